/* What the parts of a checkpoint's code share. Internal to common/store.
 *
 * sparse-IIIII-of-SSSSS.h5   table/NAME/{keys, last_step, count, weights, slot/SLOT}
 * dense.h5                   tensor/NAME, slot/SLOT/NAME
 * train_state.h5             state/NAME */
#ifndef MTPS_STORE_CKPT_INTERNAL_H
#define MTPS_STORE_CKPT_INTERNAL_H

#include "common/store/h5.h"
#include "common/store/manifest.h"

enum {
    CKPT_FILE_VERSION = 1,
    CKPT_CHUNK_ROWS = 65536, /* rows read or written at a time, at most */
    CKPT_PATH = 4096,
    CKPT_NAME = 512, /* a dataset's name */
    CKPT_COLUMNS = 6 /* keys, last_step, count, weights, two slots */
};

/* Root attributes of every file: format, version, and a sparse file's place. */
enum status ckpt_mark_file(struct h5 *f, const char *format, struct error *err) MUST_USE;
enum status ckpt_check_mark(struct h5 *f, const char *path, const char *format, struct error *err) MUST_USE;
enum status ckpt_check_number(struct h5 *f, const char *path, const char *name, uint64_t expected,
                              struct error *err) MUST_USE;

/* Size, SHA-256 by plain reading, then fsync. The HDF5 file is closed already. */
enum status ckpt_seal_file(const char *path, const char *name, void (*progress)(void *, uint64_t),
                           void *arg, struct ckpt_file_info *info, struct error *err) MUST_USE;

/* The columns of a table in a file. */
struct ckpt_column {
    char name[CKPT_NAME];
    enum dtype type;
    size_t cols; /* 0 = one number a row */
};
/* Gives the number of columns, 0 when the table's name is too long. */
size_t ckpt_columns(const struct ckpt_table *t, struct ckpt_column out[CKPT_COLUMNS]);

/* Rows come in strictly increasing (bucket, key) order, all in `buckets`. */
struct ckpt_order {
    struct range buckets;
    bool any;
    uint64_t last;
};
/* The first row that breaks it, or n. */
size_t ckpt_order_check(struct ckpt_order *o, const uint64_t *keys, size_t n);

/* Adds rows to a digest; scratch holds dim and slot widths of one row. */
size_t ckpt_row_floats(const struct ckpt_table *t);
void ckpt_digest_rows(struct digest *d, const struct ckpt_table *t, const struct ckpt_rows *rows,
                      float *scratch);

/* Index of the first value that is infinite or not a number, or n. */
size_t ckpt_find_nonfinite(const float *v, size_t n);

/* "step-" and at least 12 digits; gives the step. */
bool ckpt_parse_name(const char *name, uint64_t *step);

/* All rows of one file's table, in order; see ckpt_read_rows. */
enum status ckpt_read_file_rows(struct ckpt *c, size_t file, size_t table, struct range buckets,
                                enum status (*visit)(void *arg, const struct ckpt_rows *rows,
                                                     struct error *err),
                                void *arg, struct error *err) MUST_USE;
struct manifest *ckpt_manifest(struct ckpt *c);

#endif
