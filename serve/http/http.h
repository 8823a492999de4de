/* The transport: HTTP/1.1 over TCP, by libmicrohttpd, which only http.c knows. Requests
 * are held to the limits here, before and while they are read; what they mean is the
 * service's. Connections are served by a fixed number of threads (epoll). */
#ifndef MTPS_SERVE_HTTP_HTTP_H
#define MTPS_SERVE_HTTP_HTTP_H

#include "serve/http/service.h"

struct http_spec {
    const char *address; /* numeric, IPv4 or IPv6 */
    uint16_t port;       /* 0: any that is free */
    size_t n_threads;
    size_t max_connections; /* 503 beyond */
    size_t max_body;        /* bytes; 413 beyond */
    unsigned seconds[METRICS_LIMITS];
    struct service *service;
};

struct http;
/* ST_CANTCREATE when the address cannot be had. */
enum status http_start(const struct http_spec *spec, struct http **out, struct error *err) MUST_USE;
/* http://ADDRESS:PORT */
const char *http_url(const struct http *h);
uint16_t http_port(const struct http *h);

/* No new connections. Waits until all requests are answered and none came for a moment,
 * at most so many seconds; every answer ends its connection. */
void http_drain(struct http *h, unsigned seconds);
/* Closes all connections. After the service's batcher has ended. NULL is fine. */
void http_stop(struct http *h);

#endif
