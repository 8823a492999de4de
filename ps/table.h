/* One shard of an embedding table: uint64 key -> row of weights and optimiser
 * state. One thread owns a shard; there are no locks.
 *
 *   index: open addressing, 16-byte slots {key, row}, linear probing, at most 3/4
 *          full, apart from the rows so that a miss touches one cache line
 *   slab:  rows in blocks that double in size; a row stays where it is until one is
 *          removed, whose place the last one takes
 *
 *   row:   | key | last_step | count | spare | weights[dim] state[...] | to 64 bytes,
 *          32 without weights
 *
 * Looking up never inserts. A row is born by table_insert with values that are a
 * pure function of (seed, table name, key). A table of dim 0 counts keys. */
#ifndef MTPS_PS_TABLE_H
#define MTPS_PS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/partition.h"
#include "common/base/status.h"
#include "common/config/settings.h"

struct row {
    uint64_t key;
    uint64_t last_step; /* step of the last push */
    uint64_t count;     /* occurrences pushed so far */
    uint64_t spare;
    float values[]; /* weights[dim], then the optimiser's state */
};

struct table_shape {
    const char *name; /* copied */
    size_t dim;       /* weights */
    size_t n_state;   /* floats of optimiser state */
    float initial_state;
    struct init_cfg init;
    uint64_t seed;
};

struct table;
enum status table_create(const struct table_shape *shape, struct table **out,
                         struct error *err) MUST_USE;
void table_destroy(struct table *t);

size_t table_dim(const struct table *t);
uint64_t table_rows(const struct table *t);
uint64_t table_bytes(const struct table *t);

/* rows[i] = row of keys[i], or NULL when there is none. Prefetches all slots
 * first, and the rows it finds. Good for some dozens of keys at a time. */
void table_find(const struct table *t, size_t n, const uint64_t *keys, struct row **rows);

/* Adds a row: these weights (NULL: its initial ones), initial state, last_step and
 * count 0. A row that is there already is given back as it is. ST_NOMEM names the
 * table and its rows. */
enum status table_insert(struct table *t, uint64_t key, const float *weights,
                         struct row **out, struct error *err) MUST_USE;

/* Takes a key out, if it is there. Rows found before are no longer valid. */
void table_remove(struct table *t, uint64_t key);

/* The weights that the row of this key has when it is born: w[dim]. */
void table_initial(const struct table *t, uint64_t key, float *w);

/* Row number i < table_rows, in order of birth while none has been removed. */
const struct row *table_row(const struct table *t, size_t i);

/* Forget all rows. */
void table_clear(struct table *t);

/* All rows in (bucket, key) order; n = table_rows. The array is the caller's
 * (mem_free); the rows stay the table's. */
enum status table_sorted(const struct table *t, struct row ***rows,
                         struct error *err) MUST_USE;

#endif
