#include "data/dataset_block.h"

#include <errno.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/store/file.h"

enum { VALUES_CHUNK = 1 << 18 };

#define BLOCK_AS_NAME(id, name, type) name,
#define BLOCK_AS_TYPE(id, name, type) DTYPE_##type,
static const char *const column_name[N_COLUMNS] = {BLOCK_COLUMNS(BLOCK_AS_NAME)};
static const enum dtype column_type[N_COLUMNS] = {BLOCK_COLUMNS(BLOCK_AS_TYPE)};
static const char *const values_name[N_VALUES] = {"multi/codes", "multi/keys"};
static const char *const starts_name[N_VALUES] = {"multi/code_starts",
                                                  "multi/key_starts"};
static const enum dtype values_type[N_VALUES] = {DTYPE_U32, DTYPE_U64};

static size_t column_bytes(const struct block_shape *s, int c)
{
    return s->width[c] * dtype_bytes(column_type[c]);
}

/* ---- blocks ---- */

enum status block_create(const struct block_shape *shape, struct block **out,
                         struct error *err)
{
    struct block *b = mem_zeroed(1, sizeof *b);
    if (!b) return mem_error(err, "block of rows", sizeof *b);
    b->shape = *shape;
    b->index = UINT64_MAX;
    for (int c = 0; c < N_COLUMNS; c++) {
        if (!shape->width[c]) continue;
        b->col[c] = mem_array(BLOCK_ROWS, column_bytes(shape, c));
        if (!b->col[c]) {
            block_destroy(b);
            return mem_error(err, "block of rows", BLOCK_ROWS * column_bytes(shape, c));
        }
    }
    *out = b;
    return ST_OK;
}

void block_destroy(struct block *b)
{
    if (!b) return;
    for (int c = 0; c < N_COLUMNS; c++) mem_free(b->col[c]);
    for (int k = 0; k < N_VALUES; k++) mem_free(b->values[k].v);
    mem_free(b);
}

bool block_values_reserve(struct block_values *v, enum block_value kind, size_t n)
{
    if (v->n + n <= v->max) return true;
    size_t max = 2 * v->max + n + 1024;
    void *p = mem_resize(v->v, max, dtype_bytes(values_type[kind]));
    if (!p) return false;
    v->v = p;
    v->max = max;
    return true;
}

/* ---- spool ---- */

static enum status put(FILE *f, const void *data, size_t bytes, struct error *err)
{
    if (!bytes || fwrite(data, 1, bytes, f) == bytes) return ST_OK;
    int why = errno;
    error_set(err, ST_IO, "temporary file of prepared rows: cannot write it: %s", strerror(why));
    return file_hint(err, ST_IO, why);
}

static enum status get(FILE *f, void *data, size_t bytes, struct error *err)
{
    if (!bytes || fread(data, 1, bytes, f) == bytes) return ST_OK;
    return error_set(err, ST_IO, "temporary file of prepared rows: %s",
                     ferror(f) ? strerror(errno) : "ends too early");
}

enum status block_spool(const struct block *b, FILE *f, struct error *err)
{
    uint64_t head[1 + N_VALUES] = {b->n, b->values[0].n, b->values[1].n};
    TRY(put(f, head, sizeof head, err));
    for (int c = 0; c < N_COLUMNS; c++)
        TRY(put(f, b->col[c], b->n * column_bytes(&b->shape, c), err));
    for (int k = 0; k < N_VALUES; k++)
        TRY(put(f, b->values[k].v, b->values[k].n * dtype_bytes(values_type[k]), err));
    return ST_OK;
}

enum status block_unspool(struct block *b, FILE *f, struct error *err)
{
    uint64_t head[1 + N_VALUES];
    TRY(get(f, head, sizeof head, err));
    if (head[0] > BLOCK_ROWS)
        return error_set(err, ST_IO, "temporary file of prepared rows is damaged");
    b->n = head[0];
    for (int c = 0; c < N_COLUMNS; c++)
        TRY(get(f, b->col[c], b->n * column_bytes(&b->shape, c), err));
    for (int k = 0; k < N_VALUES; k++) {
        struct block_values *v = &b->values[k];
        v->n = 0;
        if (!block_values_reserve(v, k, head[1 + k]))
            return mem_error(err, "values of a block", head[1 + k] * 8);
        v->n = head[1 + k];
        TRY(get(f, v->v, v->n * dtype_bytes(values_type[k]), err));
    }
    return ST_OK;
}

/* ---- files ---- */

struct block_file {
    struct h5 *h5;
    struct block_shape shape;
    uint64_t rows, n_blocks, next;
    struct h5_data *col[N_COLUMNS], *values[N_VALUES];
    uint64_t *start[N_VALUES]; /* [n_blocks + 1] first value of each block */
};

static enum status file_new(struct h5 *h5, const struct block_shape *shape, uint64_t rows,
                            struct block_file **out, struct error *err)
{
    struct block_file *f = mem_zeroed(1, sizeof *f);
    if (!f) return mem_error(err, "prepared file", sizeof *f);
    *f = (struct block_file){.h5 = h5,
                             .shape = *shape,
                             .rows = rows,
                             .n_blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS};
    *out = f;
    return ST_OK;
}

void block_file_close(struct block_file *f)
{
    if (!f) return;
    for (int c = 0; c < N_COLUMNS; c++)
        if (f->col[c]) h5_data_close(f->col[c]);
    for (int k = 0; k < N_VALUES; k++) {
        if (f->values[k]) h5_data_close(f->values[k]);
        mem_free(f->start[k]);
    }
    mem_free(f);
}

static enum status create_columns(struct block_file *f, const uint64_t *total,
                                  struct error *err)
{
    size_t chunk = f->rows < BLOCK_ROWS ? f->rows + !f->rows : BLOCK_ROWS;
    for (int c = 0; c < N_COLUMNS; c++)
        if (f->shape.width[c])
            TRY(h5_data_create(f->h5, column_name[c], column_type[c], f->shape.width[c],
                               chunk, &f->col[c], err));
    for (int k = 0; k < N_VALUES; k++) {
        if (!f->shape.values[k]) continue;
        size_t n = total[k] < VALUES_CHUNK ? total[k] + !total[k] : VALUES_CHUNK;
        TRY(h5_data_create(f->h5, values_name[k], values_type[k], 0, n, &f->values[k],
                           err));
        f->start[k] = mem_zeroed(f->n_blocks + 1, sizeof(uint64_t));
        if (!f->start[k]) return mem_error(err, "starts of blocks", f->n_blocks * 8);
    }
    return ST_OK;
}

enum status block_file_create(struct h5 *h5, const struct block_shape *shape,
                              uint64_t rows, const uint64_t total_values[N_VALUES],
                              struct block_file **out, struct error *err)
{
    struct block_file *f;
    TRY(file_new(h5, shape, rows, &f, err));
    enum status st = create_columns(f, total_values, err);
    if (st == ST_OK)
        *out = f;
    else
        block_file_close(f);
    return st;
}

enum status block_file_append(struct block_file *f, const struct block *b,
                              struct error *err)
{
    for (int c = 0; c < N_COLUMNS; c++)
        if (f->col[c]) TRY(h5_data_append(f->col[c], b->col[c], b->n, err));
    for (int k = 0; k < N_VALUES; k++) {
        if (!f->values[k]) continue;
        if (b->values[k].n)
            TRY(h5_data_append(f->values[k], b->values[k].v, b->values[k].n, err));
        f->start[k][f->next + 1] = f->start[k][f->next] + b->values[k].n;
    }
    f->next++;
    return ST_OK;
}

enum status block_file_finish(struct block_file *f, struct error *err)
{
    for (int k = 0; k < N_VALUES; k++)
        if (f->values[k])
            TRY(h5_write(f->h5, starts_name[k], DTYPE_U64, f->n_blocks + 1, 0,
                         f->start[k], err));
    return ST_OK;
}

static enum status check_starts(const struct block_file *f, int k, size_t n,
                                struct error *err)
{
    bool ok = n == f->n_blocks + 1 && f->start[k][0] == 0 &&
              f->start[k][n - 1] == h5_data_rows(f->values[k]);
    for (size_t i = 1; ok && i < n; i++) ok = f->start[k][i - 1] <= f->start[k][i];
    if (ok) return ST_OK;
    return error_set(err, ST_NOINPUT, "%s does not fit %s", starts_name[k],
                     values_name[k]);
}

static enum status open_columns(struct block_file *f, struct error *err)
{
    for (int c = 0; c < N_COLUMNS; c++) {
        if (!f->shape.width[c]) continue;
        TRY(h5_data_open(f->h5, column_name[c], column_type[c], &f->col[c], err));
        if (h5_data_rows(f->col[c]) != f->rows ||
            h5_data_cols(f->col[c]) != f->shape.width[c])
            return error_set(err, ST_NOINPUT, "%s has another shape than the file says",
                             column_name[c]);
    }
    for (int k = 0; k < N_VALUES; k++) {
        if (!f->shape.values[k]) continue;
        size_t n, cols;
        TRY(h5_data_open(f->h5, values_name[k], values_type[k], &f->values[k], err));
        TRY(h5_read(f->h5, starts_name[k], DTYPE_U64, &n, &cols, (void **)&f->start[k],
                    err));
        TRY(check_starts(f, k, n, err));
    }
    return ST_OK;
}

enum status block_file_open(struct h5 *h5, const struct block_shape *shape, uint64_t rows,
                            struct block_file **out, struct error *err)
{
    struct block_file *f;
    TRY(file_new(h5, shape, rows, &f, err));
    enum status st = open_columns(f, err);
    if (st == ST_OK)
        *out = f;
    else
        block_file_close(f);
    return st;
}

enum status block_file_read(struct block_file *f, uint64_t index, struct block *b,
                            struct error *err)
{
    uint64_t first = index * BLOCK_ROWS;
    if (b->index == index) return ST_OK;
    b->index = UINT64_MAX;
    b->n = f->rows - first < BLOCK_ROWS ? (size_t)(f->rows - first) : BLOCK_ROWS;
    for (int c = 0; c < N_COLUMNS; c++)
        if (f->col[c] && b->col[c])
            TRY(h5_data_read(f->col[c], first, b->n, b->col[c], err));
    for (int k = 0; k < N_VALUES; k++) {
        if (!f->values[k] || !b->shape.values[k]) continue;
        struct block_values *v = &b->values[k];
        uint64_t from = f->start[k][index], n = f->start[k][index + 1] - from;
        v->n = 0;
        if (!block_values_reserve(v, k, n))
            return mem_error(err, "values of a block", n * 8);
        v->n = n;
        if (n) TRY(h5_data_read(f->values[k], from, n, v->v, err));
    }
    b->index = index;
    return ST_OK;
}

uint64_t block_file_values(const struct block_file *f, enum block_value kind)
{
    return f->values[kind] ? h5_data_rows(f->values[kind]) : 0;
}
