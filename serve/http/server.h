/* The server as a whole: models, threads and the watch over their folders. */
#ifndef MTPS_SERVE_HTTP_SERVER_H
#define MTPS_SERVE_HTTP_SERVER_H

#include "serve/http/http.h"

/* Whole numbers that the command line sets; server_options names them. */
struct server_numbers {
    uint64_t port, threads, versions, poll;
    uint64_t batch_rows, batch_window, max_waiting;
    uint64_t max_rows, max_values, max_body, max_memory, max_connections;
    uint64_t header_time, body_time, idle_time, write_time, drain_time;
};

/* The one table of them: options of `mtps serve`, and docs/deployment.md. */
struct server_option {
    const char *name, *unit, *help;
    uint64_t least, most, usual;
    size_t place; /* in struct server_numbers */
};
extern const struct server_option server_options[];
extern const size_t n_server_options;
/* usual 0 of threads: as many as processors that this process may use. */
void server_defaults(struct server_numbers *numbers);

struct server_place {
    const char *name; /* NULL: the bundle's own */
    const char *path;
};

struct server_spec {
    const char *address;
    const struct server_place *places;
    size_t n_places;
    struct server_numbers numbers;
    unsigned open_flags; /* enum mtps_open_flags */
    const char *version; /* of this program */
    void (*say)(void *arg, bool failed, const char *text);
    void *arg;
};

struct server;
/* Every model is open and warm when it answers. Signals must be blocked: the server's
 * threads are not to get them. */
enum status server_start(const struct server_spec *spec, struct server **out, struct error *err) MUST_USE;
const struct http *server_http(const struct server *s);
struct models *server_models(const struct server *s);
/* Look at the folders now, also at versions that could not be used. */
void server_look(struct server *s);
/* Ends when every request is answered, or after drain_time. NULL is fine. */
void server_stop(struct server *s);

#endif
