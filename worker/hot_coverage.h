/* How much of the new training data a hot start's rows cover: of its distinct ids, and of
 * its lookups (an id that stands a thousand times counts a thousand times). */
#ifndef MTPS_WORKER_HOT_COVERAGE_H
#define MTPS_WORKER_HOT_COVERAGE_H

#include "worker/hot_start.h"

struct hot_share {
    const char *name; /* of the feature or table, the session's */
    size_t table;     /* of a feature: of its embeddings, or, when it has none, its wide weights */
    uint64_t distinct, distinct_found, lookups, lookups_found;
};

struct hot_coverage {
    struct hot_share *features; /* [n_features] id features in order */
    struct hot_share *tables;   /* [n_tables] of the model, in order */
    uint64_t *rows;             /* [n_tables] rows that are loaded, behind the filters */
    size_t n_features, n_tables;
};

/* One pass over the training rows, in this thread. net (NULL in one process) is told of the
 * progress. Tables that are not loaded have no row. */
enum status hot_coverage_make(const struct hot_start *h, const struct session *s,
                              struct transport *net, struct hot_coverage **out,
                              struct error *err) MUST_USE;
void hot_coverage_destroy(struct hot_coverage *c);

#endif
