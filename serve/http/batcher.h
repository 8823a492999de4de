/* Micro-batches: requests that arrive within a short window are scored together, which
 * costs less than one by one; a row's scores are the same either way. A job's rows and
 * scores belong to its owner, who gets it back through `done`. */
#ifndef MTPS_SERVE_HTTP_BATCHER_H
#define MTPS_SERVE_HTTP_BATCHER_H

#include <stdbool.h>

#include "serve/http/served.h"

struct batch_job {
    struct served *served; /* held by the owner */
    const struct mtps_value *rows;
    size_t n_rows;
    float *scores;
    void (*done)(struct batch_job *job); /* in a thread of the batcher, once */
    /* the outcome */
    enum mtps_status status;
    struct mtps_error error; /* rows counted from the job's first */
    /* inside */
    struct batch_job *next;
    int64_t arrived;
};

struct batcher_spec {
    size_t n_threads;
    size_t max_rows;  /* a batch ends before it has more, unless one job has */
    size_t window_us; /* a batch waits that long for more, from its first job on */
    size_t max_jobs;  /* that wait */
};

struct batcher_counts {
    uint64_t batches, rows;
    size_t waiting; /* jobs */
};

struct batcher;
enum status batcher_create(const struct batcher_spec *spec, struct batcher **out, struct error *err) MUST_USE;
/* Scores what waits, then ends. */
void batcher_destroy(struct batcher *b);
/* False: max_jobs wait already. Any thread. */
bool batcher_submit(struct batcher *b, struct batch_job *job) MUST_USE;
void batcher_count(struct batcher *b, struct batcher_counts *out);

#endif
