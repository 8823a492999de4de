/* What the server counts, as Prometheus reads it. Counting is lock-free, any thread. */
#ifndef MTPS_SERVE_HTTP_METRICS_H
#define MTPS_SERVE_HTTP_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "serve/http/batcher.h"
#include "serve/http/jsonout.h"
#include "serve/http/models.h"

enum metrics_form { METRICS_INFER, METRICS_PREDICT, METRICS_OTHER, METRICS_FORMS };
/* Why a connection was cut. */
enum metrics_limit { METRICS_HEADER, METRICS_BODY, METRICS_IDLE, METRICS_WRITE, METRICS_LIMITS };
enum { METRICS_CODES = 16, METRICS_BUCKETS = 16 };

struct metrics {
    _Atomic uint64_t answers[METRICS_FORMS][METRICS_CODES];
    _Atomic uint64_t within[METRICS_FORMS][METRICS_BUCKETS + 1]; /* the last: longer */
    _Atomic uint64_t nanoseconds[METRICS_FORMS];
    _Atomic uint64_t cut[METRICS_LIMITS];
    _Atomic int64_t connections;
};

/* ns: from the whole request to the whole answer. */
void metrics_answer(struct metrics *m, enum metrics_form form, int code, int64_t ns);

/* batcher: NULL when there is none. */
void metrics_write(struct metrics *m, struct models *models, struct batcher *batcher, const struct budget *memory,
                   struct jsonout *out);

#endif
