/* Preparing, inside data/: raw rows -> blocks in a spool with provisional codes
 * -> prepared file with final codes.
 *
 *   prepare.c        cache: key, looking up, checking, giving out
 *   prepare_aux.c    which columns are kept for selections
 *   prepare_read.c   first pass: raw rows -> spool, dictionaries
 *   prepare_part.c   what one owner (main rows or a join) decides of a row
 *   prepare_write.c  second pass: spool -> HDF5 */
#ifndef MTPS_DATA_PREPARE_H
#define MTPS_DATA_PREPARE_H

#include "data/dataset_block.h"
#include "data/dataset_keys.h"
#include "data/feature.h"

enum { PREPARED_VERSION = 1 };

/* ---- columns kept for selections ---- */

/* TEXT: numbered texts. NUMBER: doubles, when there are too many texts. */
enum aux_kind { AUX_TEXT, AUX_NUMBER, AUX_DROPPED };

struct aux_column {
    const char *name;
    bool as_number; /* some selection reads it as number: other texts are bad rows */
    bool as_text;   /* some selection or --keep reads its text */
    /* of one preparation */
    int owner;    /* -1 main rows, else the join */
    size_t field; /* among the columns asked for */
    enum aux_kind kind;
    bool unlimited; /* a text column that has to be kept whatever its size */
    bool all_numbers;
    struct text_set texts;
};
struct aux {
    struct aux_column *v;
    size_t n, max;
    struct arena *arena;
};

/* Columns that the source's selections need (and `keep`), then those worth
 * keeping: plain columns of ids and of labels. */
enum status aux_collect(const struct schema *s, const struct source_cfg *source,
                        const struct prepare_options *opt, struct aux *out,
                        struct error *err) MUST_USE;
void aux_close(struct aux *a);
/* Is column `name` of a file, of this kind, enough for need? */
bool aux_covers(const struct aux_column *need, enum aux_kind kind, bool all_numbers);

/* ---- what one owner decides of a row ---- */

/* A join's part is worked out once per side row and remembered. */
enum part_state { PART_NEW, PART_READ, PART_CODED, PART_BAD };
struct part {
    int owner;   /* -1: main rows (and joins that are not remembered) */
    size_t rows; /* places: side rows and one for no match; 1 for main rows */
    uint8_t *state;
    size_t *single, n_single; /* features */
    uint64_t *ids;            /* [rows, n_single] keys, from PART_CODED on codes */
    size_t *multi, n_multi;
    uint64_t *start; /* [rows, n_multi] into values */
    uint32_t *length;
    uint64_t *values;
    size_t n_values, max_values;
    size_t *level, n_level;
    uint64_t *levels; /* [rows, n_level] keys, then codes */
    bool *has_level;
    size_t *number, n_number, width;
    float *numbers;      /* [rows, width] */
    size_t *aux, n_aux;  /* columns of struct aux */
    uint32_t *aux_codes; /* [rows, n_aux]; UINT32_MAX = missing */
    double *aux_numbers; /* main part only */
    char **why;          /* [rows] of bad ones */
    size_t *bad_column;
};

/* One preparation. */
struct prep {
    const struct schema *schema;
    const struct source_cfg *source;
    const struct prepare_options *opt;
    struct bad_rows *bad;
    struct aux aux;
    bool *keyed; /* [n_tables] too many keys: no dictionary */

    const char **columns; /* asked of raw_open() */
    const struct list_cfg **missing;
    size_t n_columns;
    struct raw *raw;
    struct feature_scratch *scratch;
    struct feature_keys list;

    struct part *parts; /* [n_parts] main, then joins */
    size_t n_parts;
    struct key_set *tables; /* [n_tables] */
    struct key_set *levels; /* [n_one_hot] */
    uint64_t *max_length;   /* [M] */
    size_t
        *place; /* [n_features] column in id/codes or id/keys; multi: among its part's */

    struct block_shape shape;
    struct block *block;
    FILE *spool;
    uint64_t rows, total[N_VALUES];
    uint64_t ignored_values, ignored_names;
    double told; /* when progress was told last */
};

/* The table of an id feature has no dictionary. */
static inline bool prep_is_keyed(const struct prep *p, size_t feature)
{
    return p->keyed[p->schema->features[feature].table];
}

enum status parts_create(struct prep *p, struct error *err) MUST_USE;
void parts_close(struct prep *p);
/* Work out place r of a part from the current row. A row that does not fit: ST_DATA
 * with the reason in err and the column in *column. */
enum status part_read(struct prep *p, struct part *part, size_t r,
                      const struct raw_field *fields, size_t *column,
                      struct error *err) MUST_USE;
/* Keys to codes, once the row is accepted. */
enum status part_code(struct prep *p, struct part *part, size_t r,
                      const struct raw_field *fields, struct error *err) MUST_USE;
/* Copy place r to row p->block->n of the block, all but multi-valued features. */
void part_put(struct prep *p, const struct part *part, size_t r);

/* Both passes. *again: a dictionary or a kept column outgrew its limit, which is
 * noted in p; start over. */
enum status prepare_read(struct prep *p, bool *again, struct error *err) MUST_USE;
enum status prepare_write(struct prep *p, const char *path, const char *base,
                          struct error *err) MUST_USE;
/* Free what one pass left; aux kinds and keyed stay. */
void prepare_reset(struct prep *p);
/* Ask whether to stop (ST_STOPPED), and tell about progress when the last time, in
 * *told (0: never yet), is long enough ago. */
enum status prepare_tell(const struct prepare_options *opt, double *told, uint64_t done,
                         uint64_t total, uint64_t rows, const char *phase,
                         struct error *err) MUST_USE;

#endif
