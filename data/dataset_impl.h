/* Opened prepared data, inside data/.
 *
 *   dataset.c         opening, row numbers of selected rows
 *   dataset_kept.c    columns kept for selections, by row
 *   dataset_rule.c    expressions over those columns
 *   dataset_select.c  where and valid
 *   dataset_store.c   selected rows in memory, ready for batches
 *   dataset_batch.c   a batch from rows in memory */
#ifndef MTPS_DATA_DATASET_IMPL_H
#define MTPS_DATA_DATASET_IMPL_H

#include "data/prepare_file.h"

/* ---- kept columns ---- */

struct kept {
    const struct prepared *file;
    const struct kept_column *column;
    char *bytes;
    uint64_t *offsets;
    size_t n; /* texts; codes below n */
    uint32_t *side;
    size_t side_rows, side_width;
};
enum { KEPT_MISSING = UINT32_MAX };

enum status kept_open(const struct prepared *p, size_t column, struct kept *out,
                      struct error *err) MUST_USE;
void kept_close(struct kept *k);
/* A block with the columns that kept values need. */
enum status kept_block(const struct prepared *p, struct block **out,
                       struct error *err) MUST_USE;
/* Code on row i of a block; KEPT_MISSING = missing (or damaged). AUX_TEXT only. */
uint32_t kept_code(const struct kept *k, const struct block *b, size_t i);
static inline struct text kept_text(const struct kept *k, uint32_t code)
{
    return (struct text){k->bytes + k->offsets[code],
                         (size_t)(k->offsets[code + 1] - k->offsets[code])};
}
/* AUX_NUMBER: the number; NaN = missing. */
double kept_number(const struct kept *k, const struct block *b, size_t i);

/* ---- the data set ---- */

struct dataset {
    const struct schema *schema;
    const struct source_cfg *source;
    enum use use;
    struct prepared *file;
    uint64_t *selected; /* bits; all rows when every one is selected */
    uint64_t *before;   /* [n_blocks + 1] selected rows in earlier blocks */
    /* dataset_kept */
    struct kept *kept; /* [n_kept], opened on demand */
    struct block *block;
    char number[32];
};

static inline bool dataset_is_selected(const struct dataset *d, uint64_t row)
{
    return d->selected[row / 64] >> row % 64 & 1;
}

/* Fill selected[]. */
enum status dataset_select(struct dataset *d, struct error *err) MUST_USE;

/* ---- rows in memory ---- */

/* What dataset-wide loading needs to know of a fit: transforms, levels and
 * buckets, looked up in this data set's dictionaries once. */
struct loading;
enum status loading_create(const struct dataset *d, const struct fit *fit,
                           struct loading **out, struct error *err) MUST_USE;
void loading_destroy(struct loading *l);

/* Where things lie in the record of a row, in words of 32 bits. Everything of a
 * row lies together because batches read rows in any order:
 *
 *   ids[S'] lengths[M] levels[O] dense[D] labels[K] (weights[K]) (durations[K])
 * (group, 2 words) row values[...]
 *
 * S' are the single-valued id features in config order, bucketized ones too. */
struct record {
    size_t lengths, levels, dense, labels, weights, durations, group, row, values;
    bool has_weights, has_durations, has_group;
};
const struct record *loading_record(const struct loading *l);

/* Rows in memory; ids are codes of one dictionary per table. */
struct store {
    const struct loading *loading;
    const struct prepared *file;
    size_t n, max; /* rows */
    uint32_t *words;
    size_t n_words, max_words;
    size_t *start; /* [n] first word of a row; NULL: rows are record.values apart */
    /* dictionaries: the file's, or one of these rows when the file has none */
    const uint64_t **keys; /* [n_tables] */
    size_t *n_keys;
    struct key_set *own; /* [n_tables] */
    uint64_t **own_keys;
};
enum status store_create(const struct loading *l, size_t max_rows, struct store **out,
                         struct error *err) MUST_USE;
void store_destroy(struct store *s);
void store_clear(struct store *s);
/* Append the first..end-th selected rows of a block (counted within it). block is
 * scratch of loading_block(). Then, once, store_seal(). */
enum status store_load(struct store *s, uint64_t block, size_t first, size_t end,
                       struct block *scratch, struct error *err) MUST_USE;
/* Append rows [first, end) of the sequence that visits blocks[] in this order (NULL =
 * as in the file); before[b]: selected rows in the b blocks visited first. */
enum status dataset_load(const struct dataset *d, const uint32_t *blocks,
                         const uint64_t *before, uint64_t first, uint64_t end,
                         struct store *store, struct block *scratch,
                         struct error *err) MUST_USE;
/* Where these rows lie among all selected rows in file order. */
void dataset_places(const struct dataset *d, const uint32_t *blocks,
                    const uint64_t *before, uint64_t first, uint64_t end, uint32_t *out);
enum status store_seal(struct store *s, struct error *err) MUST_USE;
enum status loading_block(const struct loading *l, struct block **out,
                          struct error *err) MUST_USE;
size_t loading_n_singles(const struct loading *l);
const struct dataset *loading_dataset(const struct loading *l);

/* ---- batches ---- */

/* Scratch to find distinct ids; one thread at a time. */
struct builder;
enum status builder_create(const struct loading *l, size_t max_rows, struct builder **out,
                           struct error *err) MUST_USE;
void builder_destroy(struct builder *b);
/* Memory of one batch. */
struct batch_buffer;
enum status batch_buffer_create(const struct loading *l, size_t max_rows,
                                struct batch_buffer **out, struct error *err) MUST_USE;
void batch_buffer_destroy(struct batch_buffer *b);
/* batch.step of what is built next. */
void batch_buffer_step(struct batch_buffer *b, uint64_t step);
/* Rows order[0..n) of the store, n <= max_rows. ST_NOMEM only where the file has
 * no dictionary of a table and the batch holds more ids than any before. */
enum status builder_build(struct builder *b, const struct store *s, const uint32_t *order,
                          size_t n, struct batch_buffer *to, const struct batch **out,
                          struct error *err) MUST_USE;
/* The same, but with the values that features[0..n_features) have on rows donor[0..n). */
enum status builder_build_exchanged(struct builder *b, const struct store *s,
                                    const uint32_t *order, const uint32_t *donor,
                                    size_t n, const size_t *features, size_t n_features,
                                    struct batch_buffer *to, const struct batch **out,
                                    struct error *err) MUST_USE;

#endif
