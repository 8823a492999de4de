/* A small checkpoint for tests: three tables, some tensors with two slots, some
 * state. Contents depend on the row count alone, not on the number of servers. */
#ifndef MTPS_TESTS_CKPT_SAMPLE_H
#define MTPS_TESTS_CKPT_SAMPLE_H

#include "common/store/ckpt.h"

enum { SAMPLE_TABLES = 3 }; /* user: adagrad; item: adam; none: no slots and no rows */

/* Which single thing differs from the plain sample. */
enum sample_change {
    SAMPLE_AS_IS,
    SAMPLE_KEY,
    SAMPLE_LAST_STEP,
    SAMPLE_COUNT,
    SAMPLE_WEIGHT,
    SAMPLE_SLOT,
    SAMPLE_ONE_ROW_LESS,
    SAMPLE_TENSOR,
    SAMPLE_TENSOR_SLOT,
    SAMPLE_UPDATES,
    SAMPLE_CHANGES,
    /* Broken ones: ckpt_sparse_write and ckpt_dense_write refuse them. */
    SAMPLE_TWICE,
    SAMPLE_UNSORTED,
    SAMPLE_FOREIGN,
    SAMPLE_NAN_WEIGHT,
    SAMPLE_NAN_TENSOR
};

struct sample {
    const char *dir;
    uint64_t step;
    size_t n_servers;
    size_t n_rows; /* of tables user and item */
    size_t batch;  /* rows handed over at a time; 0 = 100 */
    enum sample_change change;
    bool (*still_ours)(void *); /* NULL = always */
};

extern const struct ckpt_table sample_tables[SAMPLE_TABLES];

/* begin ... commit, or abandon. *path: mem_free. */
enum status sample_save(const struct sample *s, char **path, struct error *err) MUST_USE;

/* What row `key` of a table holds. */
void sample_row(size_t table, uint64_t key, uint64_t *last_step, uint64_t *count,
                float *weights, float *const slots[2]);
/* Key i of a table in (bucket, key) order, for n rows. */
uint64_t *sample_keys(size_t n); /* mem_free */

#endif
