/* A lane batch with random ids, made from a few numbers: for tests and
 * benchmarks of what reads batches. Everything is owned by the random_batch. */
#ifndef MTPS_TESTS_RANDOM_BATCH_H
#define MTPS_TESTS_RANDOM_BATCH_H

#include "model/model.h"

struct random_id {
    size_t table;
    size_t n_ids;    /* ids are drawn from this many ... */
    double skew;     /* ... id = n_ids * u^skew: 1 is uniform, larger prefers small ids */
    size_t max_per_row; /* 0: single-valued; else 0..max occurrences a row */
};

struct random_batch {
    struct batch batch;
    struct batch_table *tables;
    struct batch_id *ids;
    float **rows;        /* [n_tables] -> [U_t, dim] */
    struct model_rows model_rows;
    void *memory[4096];
    size_t n_memory;
};

/* dims[n_tables]; levels[n_one_hot] of one_hot features. Aborts when out of memory. */
void random_batch_make(struct random_batch *r, size_t n_rows, const struct random_id *ids, size_t n_ids,
                       const size_t *dims, size_t n_tables, const size_t *levels, size_t n_one_hot,
                       size_t n_dense, uint64_t seed);
void random_batch_close(struct random_batch *r);

#endif
