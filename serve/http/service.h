/* What the server does, without its sockets: a call goes in with its route and body and
 * comes out with an answer. The transport (http.h) calls begin. When that says wait, it
 * gets ready to be woken and calls submit; the batcher wakes it, and it calls finish. */
#ifndef MTPS_SERVE_HTTP_SERVICE_H
#define MTPS_SERVE_HTTP_SERVICE_H

#include "serve/http/ask.h"
#include "serve/http/batcher.h"
#include "serve/http/metrics.h"
#include "serve/http/models.h"
#include "serve/http/router.h"

struct service {
    struct models *models;
    struct batcher *batcher; /* NULL: the calling thread scores */
    struct ask_limits limits;
    struct budget memory; /* of large requests */
    struct metrics metrics;
    const char *version;  /* of this program */
    atomic_bool draining; /* not ready any more; answers end their connections */
};

/* One request; its memory is the pad's. All zero but for what the transport sets. */
struct call {
    struct pad *pad;
    const struct route *route;
    struct route_names names;
    struct ask_body body;
    void (*wake)(struct call *call); /* in a thread of the batcher: finish is due */
    /* the answer */
    int status;
    const char *type; /* of contents */
    struct text text;
    size_t json;         /* bytes before the tensors; 0: there are none */
    uint64_t version;    /* of the model that scored; 0: none */
    const char *allow;   /* 405: methods */
    bool retry;          /* the client may try once more, soon */
    /* inside */
    struct ask ask;
    struct models_item *item;
    struct served *served;
    struct batch_job job;
    int64_t began;
};

enum service_step { SERVICE_DONE, SERVICE_WAIT };

/* The body is whole. DONE: the answer is there. WAIT only with a batcher. */
enum service_step service_begin(struct service *s, struct call *call);
/* After WAIT. DONE: too many wait, and that is the answer. WAIT: wake will come, or has. */
enum service_step service_submit(struct service *s, struct call *call);
/* After wake: the answer is there. */
void service_finish(struct service *s, struct call *call);
/* An answer that the transport gives, {"error": text}. */
void service_refuse(struct service *s, struct call *call, int status, const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
