/* An open prepared file: head, dictionaries, kept columns, rows by block. Checked
 * when it is opened; read-only, any thread may read blocks. */
#ifndef MTPS_DATA_PREPARE_FILE_H
#define MTPS_DATA_PREPARE_FILE_H

#include "data/prepare.h"

struct kept_column {
    const char *name;
    int owner;
    enum aux_kind kind;
    bool all_numbers;
    size_t at; /* among the owner's columns of its kind */
};

struct prepared {
    char *path;
    struct h5 *h5;
    const struct schema *schema;
    uint64_t rows, n_blocks, ignored_values, ignored_names;
    char *key;       /* hex */
    bool *keyed;     /* [n_tables] */
    uint64_t **keys; /* [n_tables] dictionary or NULL */
    size_t *n_keys;
    uint64_t **levels; /* [n_one_hot] */
    size_t *n_levels;
    uint64_t *max_length; /* [M] */
    size_t *place;        /* [n_features] of single ids: column in id/codes or id/keys */
    struct kept_column *kept;
    const char **kept_names;
    size_t n_kept;
    struct block_shape shape;
    struct block_file *rows_file;
};

enum status prepared_open(const char *path, const struct schema *s, struct prepared **out,
                          struct error *err) MUST_USE;
void prepared_close(struct prepared *p);
/* Block `index` of the rows. A file whose rows are damaged (seen only here: opening
 * reads the rest) is removed, so that the next run makes it again. */
enum status prepared_read(const struct prepared *p, uint64_t index, struct block *b,
                          struct error *err) MUST_USE;
/* Index of a kept column; SIZE_MAX = not there. */
size_t prepared_kept(const struct prepared *p, const char *name);
/* Texts of a kept column: bytes and offsets [n + 1], the caller's (mem_free). */
enum status prepared_texts(const struct prepared *p, size_t column, char **bytes,
                           uint64_t **offsets, size_t *n, struct error *err) MUST_USE;
/* Codes of a join's kept columns [rows, n]; the last row is "no match". */
enum status prepared_side(const struct prepared *p, int owner, uint32_t **codes,
                          size_t *rows, size_t *n, struct error *err) MUST_USE;
/* The ledger of bad rows into b (its limit stays). */
enum status prepared_ledger(const struct prepared *p, struct bad_rows *b,
                            struct error *err) MUST_USE;

#endif
