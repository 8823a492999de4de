/* Reading rows of a checkpoint, some at a time, whatever the number of files. */
#include "common/store/ckpt_internal.h"

#include <inttypes.h>
#include <string.h>

enum { BUFFER_BYTES = 32 << 20 };

struct row_reader {
    const struct ckpt_table *table;
    const char *path;
    struct range buckets; /* asked for */
    struct ckpt_order order;
    struct h5_data *columns[CKPT_COLUMNS];
    void *buffers[CKPT_COLUMNS];
    size_t n_columns, rows, chunk;
};

typedef enum status (*row_visit)(void *arg, const struct ckpt_rows *rows,
                                 struct error *err);

static void reader_close(struct row_reader *r)
{
    for (size_t i = 0; i < CKPT_COLUMNS; i++) {
        h5_data_close(r->columns[i]);
        mem_free(r->buffers[i]);
    }
}

static enum status open_column(struct row_reader *r, struct h5 *f,
                               const struct ckpt_column *c, size_t i, struct error *err)
{
    TRY(h5_data_open(f, c->name, c->type, &r->columns[i], err));
    size_t rows = h5_data_rows(r->columns[i]), cols = h5_data_cols(r->columns[i]);
    if (rows != r->rows || cols != c->cols)
        return error_set(err, ST_NOINPUT,
                         "%s: dataset %s: shape [%zu, %zu], the manifest says [%zu, %zu]",
                         r->path, c->name, rows, cols, r->rows, c->cols);
    r->buffers[i] = mem_array(r->chunk * (c->cols ? c->cols : 1), dtype_bytes(c->type));
    return r->buffers[i] ? ST_OK
                         : mem_error(err, c->name, r->chunk * dtype_bytes(c->type));
}

static enum status reader_open(struct row_reader *r, struct h5 *f, struct error *err)
{
    struct ckpt_column columns[CKPT_COLUMNS];
    size_t row = 3 * sizeof(uint64_t) + ckpt_row_floats(r->table) * sizeof(float);
    r->chunk = BUFFER_BYTES / row;
    if (r->chunk > CKPT_CHUNK_ROWS) r->chunk = CKPT_CHUNK_ROWS;
    if (r->chunk == 0) r->chunk = 1;
    if (r->chunk > r->rows) r->chunk = r->rows;
    r->n_columns = ckpt_columns(r->table, columns);
    if (r->n_columns == 0)
        return error_set(err, ST_NOINPUT, "%s: table %s: the name is too long", r->path,
                         r->table->name);
    for (size_t i = 0; i < r->n_columns; i++) TRY(open_column(r, f, &columns[i], i, err));
    return ST_OK;
}

/* First row whose bucket is not below `bucket`. */
static enum status lower_bound(struct row_reader *r, size_t bucket, size_t *out,
                               struct error *err)
{
    size_t first = 0, end = r->rows;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        uint64_t key;
        TRY(h5_data_read(r->columns[0], middle, 1, &key, err));
        if (partition_bucket(key) < bucket)
            first = middle + 1;
        else
            end = middle;
    }
    *out = first;
    return ST_OK;
}

static enum status read_chunk(struct row_reader *r, size_t first, struct ckpt_rows *rows,
                              struct error *err)
{
    size_t n = r->rows - first < r->chunk ? r->rows - first : r->chunk;
    TRY(h5_data_read(r->columns[0], first, n, r->buffers[0], err));
    const uint64_t *keys = r->buffers[0];
    size_t at = ckpt_order_check(&r->order, keys, n);
    if (at < n)
        return error_set(err, ST_NOINPUT,
                         "%s: table %s: row %zu: key %016" PRIx64
                         " is out of order, twice there, or of another server's bucket",
                         r->path, r->table->name, first + at, keys[at]);
    while (n && partition_bucket(keys[n - 1]) >= r->buckets.end) n--;
    for (size_t i = 1; i < r->n_columns && n; i++)
        TRY(h5_data_read(r->columns[i], first, n, r->buffers[i], err));
    *rows = (struct ckpt_rows){.n = n,
                               .keys = keys,
                               .last_step = r->buffers[1],
                               .count = r->buffers[2],
                               .weights = r->buffers[3],
                               .slots = {r->buffers[4], r->buffers[5]}};
    return ST_OK;
}

static enum status visit_rows(struct row_reader *r, row_visit visit, void *arg,
                              struct error *err)
{
    size_t at = 0;
    if (r->buckets.first > r->order.buckets.first)
        TRY(lower_bound(r, r->buckets.first, &at, err));
    while (at < r->rows) {
        struct ckpt_rows rows;
        TRY(read_chunk(r, at, &rows, err));
        if (rows.n) TRY(visit(arg, &rows, err));
        if (rows.n < r->chunk) break;
        at += rows.n;
    }
    return ST_OK;
}

static enum status check_place(struct h5 *f, const char *path, size_t index,
                               const struct manifest *m, struct error *err)
{
    TRY(ckpt_check_mark(f, path, "mtps-sparse", err));
    TRY(ckpt_check_number(f, path, "server", index, err));
    TRY(ckpt_check_number(f, path, "n_servers", m->n_sparse, err));
    TRY(ckpt_check_number(f, path, "bucket_first", m->files[index].buckets.first, err));
    return ckpt_check_number(f, path, "bucket_end", m->files[index].buckets.end, err);
}

enum status ckpt_read_file_rows(struct ckpt *c, size_t file, size_t table,
                                struct range buckets, row_visit visit, void *arg,
                                struct error *err)
{
    struct manifest *m = ckpt_manifest(c);
    struct manifest_file *mf = &m->files[file];
    char path[CKPT_PATH];
    struct h5 *f;
    TRY(manifest_path(ckpt_path(c), mf->info.name, path, sizeof path, err));
    TRY(manifest_check_file(ckpt_path(c), mf, true,
                            err)); /* before libhdf5 sees a byte */
    TRY(h5_open(path, &f, err));
    struct row_reader r = {.table = &m->tables[table],
                           .path = path,
                           .buckets = buckets,
                           .order = {.buckets = mf->buckets},
                           .rows = mf->rows[table]};
    enum status st = check_place(f, path, file, m, err);
    if (st == ST_OK) st = reader_open(&r, f, err);
    if (st == ST_OK) st = visit_rows(&r, visit, arg, err);
    reader_close(&r);
    enum status closed = h5_close(f, st == ST_OK ? err : NULL);
    return st != ST_OK ? st : closed;
}

enum status ckpt_read_rows(struct ckpt *c, size_t table, struct range buckets,
                           row_visit visit, void *arg, struct error *err)
{
    const struct manifest *m = ckpt_manifest(c);
    /* Files hold ascending bucket ranges, so one after the other is in order. */
    for (size_t i = 0; i < m->n_sparse; i++) {
        const struct range *has = &m->files[i].buckets;
        if (has->first >= buckets.end || has->end <= buckets.first ||
            m->files[i].rows[table] == 0)
            continue;
        TRY(ckpt_read_file_rows(c, i, table, buckets, visit, arg, err));
    }
    return ST_OK;
}
