/* A block of rows as a prepared file holds them: columns of fixed width and the
 * values of multi-valued features (docs/prepared-format.md). The same columns go
 * through the spool of prepare() and through HDF5. */
#ifndef MTPS_DATA_DATASET_BLOCK_H
#define MTPS_DATA_DATASET_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/store/h5.h"

enum { BLOCK_ROWS = 4096 };

/* name in the file, element type */
#define BLOCK_COLUMNS(X)                                                                 \
    X(CODES, "id/codes", U32)         /* [n, S] of tables with a dictionary */           \
    X(KEYS, "id/keys", U64)           /* [n, S'] of tables without one */                \
    X(LENGTHS, "multi/lengths", U32)  /* [n, M] */                                       \
    X(ONE_HOT, "one_hot/codes", U32)  /* [n, O] */                                       \
    X(NUMBERS, "numbers", F32)        /* [n, Q] untransformed; NaN missing */            \
    X(LABELS, "labels", F32)          /* [n, K]; NaN absent */                           \
    X(WEIGHTS, "weights", F32)        /* [n, K] when some task has row_weight */         \
    X(DURATIONS, "durations", F32)    /* [n, K] when some task has duration, 0 none */   \
    X(GROUP, "group", U64)            /* [n, 1] hash of the group column */              \
    X(SIDE, "aux/side", U32)          /* [n, joins] place in the side columns */         \
    X(AUX_TEXT, "aux/codes", U32)     /* [n, A] texts kept for selections */             \
    X(AUX_NUMBER, "aux/numbers", F64) /* [n, A'] numbers kept likewise */

#define BLOCK_AS_ENUM(id, name, type) COL_##id,
enum block_column { BLOCK_COLUMNS(BLOCK_AS_ENUM) N_COLUMNS };

/* Values of all multi-valued features, in (row, feature, position) order: codes
 * of tables with a dictionary apart from keys of those without. */
enum block_value { BLOCK_CODES, BLOCK_KEYS, N_VALUES };

struct block_shape {
    size_t width[N_COLUMNS]; /* 0 = not there */
    bool values[N_VALUES];
};

struct block_values {
    void *v; /* uint32_t or uint64_t */
    size_t n, max;
};

struct block {
    struct block_shape shape;
    size_t n;       /* rows, at most BLOCK_ROWS */
    uint64_t index; /* what block_file_read() read last; UINT64_MAX = nothing */
    void *col[N_COLUMNS];
    struct block_values values[N_VALUES];
};

enum status block_create(const struct block_shape *shape, struct block **out,
                         struct error *err) MUST_USE;
void block_destroy(struct block *b);
/* Room for n more values; false when out of memory. */
bool block_values_reserve(struct block_values *v, enum block_value kind,
                          size_t n) MUST_USE;

static inline uint32_t *block_u32(const struct block *b, enum block_column c)
{
    return b->col[c];
}

static inline uint64_t *block_u64(const struct block *b, enum block_column c)
{
    return b->col[c];
}

static inline float *block_f32(const struct block *b, enum block_column c)
{
    return b->col[c];
}

static inline double *block_f64(const struct block *b, enum block_column c)
{
    return b->col[c];
}

/* Raw bytes to and from a private temporary file. */
enum status block_spool(const struct block *b, FILE *f, struct error *err) MUST_USE;
enum status block_unspool(struct block *b, FILE *f, struct error *err) MUST_USE;

/* The columns in an HDF5 file. total_values: of the whole file, to choose chunks.
 * block_file_finish() writes the starts of blocks. */
struct block_file;
enum status block_file_create(struct h5 *h5, const struct block_shape *shape,
                              uint64_t rows, const uint64_t total_values[N_VALUES],
                              struct block_file **out, struct error *err) MUST_USE;
enum status block_file_append(struct block_file *f, const struct block *b,
                              struct error *err) MUST_USE;
enum status block_file_finish(struct block_file *f, struct error *err) MUST_USE;
/* Checks types and extents against rows. */
enum status block_file_open(struct h5 *h5, const struct block_shape *shape, uint64_t rows,
                            struct block_file **out, struct error *err) MUST_USE;
/* Reads block `index`, unless b holds it already; any thread may, each with its
 * own block. */
enum status block_file_read(struct block_file *f, uint64_t index, struct block *b,
                            struct error *err) MUST_USE;
uint64_t block_file_values(const struct block_file *f, enum block_value kind);
void block_file_close(struct block_file *f);

#endif
