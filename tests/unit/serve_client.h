/* A server in this process, with the sample bundle, and a client that sends it any bytes. */
#ifndef MTPS_TESTS_SERVE_CLIENT_H
#define MTPS_TESTS_SERVE_CLIENT_H

#include "serve/http/server.h"
#include "tests/unit/bundle_sample.h"

struct serve_host {
    struct bundle_sample *bundle;
    struct tmpdir dir; /* of versions; 1 is there */
    struct server_numbers numbers; /* defaults; change before starting */
    struct server *server;
    _Atomic size_t n_failed; /* lines of what went wrong */
    struct error err;
};

void serve_host_open(struct serve_host *h);
void serve_host_start(struct serve_host *h);
void serve_host_stop(struct serve_host *h);
void serve_host_close(struct serve_host *h);
/* The sample as version v, with f32 or rounded rows; it appears at once. */
void serve_host_put(struct serve_host *h, unsigned v, enum section_type rows);

struct serve_answer {
    int status; /* 0: none came */
    unsigned version; /* Mtps-Model-Version, 0: none */
    size_t n, head; /* bytes; of them before the body */
    char text[16384];
};

int serve_connect(const struct serve_host *h);
/* False when the server does not take them all. */
bool serve_send(int fd, const void *bytes, size_t n);
/* One answer, by its Content-Length; status 0 when the connection ends or seconds pass. */
void serve_receive(int fd, double seconds, struct serve_answer *a);
/* Does the connection end within seconds? */
bool serve_ends(int fd, double seconds);

/* POST of a JSON body to a model's predict. out must be large enough. */
size_t serve_predict_request(const char *body, char *out, size_t size);
/* Asks on this connection; the answer must be complete. */
void serve_ask(int fd, const char *request, size_t n, struct serve_answer *a);

double serve_now(void);
size_t serve_open_files(void);
size_t serve_resident_bytes(void);

#endif
