/* Pairs of rows, counted exactly: n log n, after Knight (1966). */
#ifndef MTPS_MODEL_METRIC_PAIRS_H
#define MTPS_MODEL_METRIC_PAIRS_H

#include <stddef.h>
#include <stdint.h>

struct metric_pairs {
    uint64_t all;     /* with different labels */
    uint64_t ordered; /* of these, with scores in the order of the labels */
    uint64_t tied;    /* of these, with equal scores */
};

/* Rows in ascending order of (label, score), both as numbers that sort alike. score
 * comes back sorted; spare[n] is scratch. */
struct metric_pairs metric_count_pairs(size_t n, const uint32_t *label, uint32_t *score,
                                       uint32_t *spare);

/* (ordered + tied / 2) / all; NaN without a pair. */
double metric_pairs_share(const struct metric_pairs *p);

#endif
