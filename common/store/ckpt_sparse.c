/* Writing a server's file of a checkpoint. */
#include "common/store/ckpt_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 20, LEAST_CHUNK_ROWS = 256 };

struct writer {
    struct h5 *file;
    const struct ckpt_row_source *source;
    void (*progress)(void *, uint64_t);
    void *progress_arg;
    uint64_t bytes; /* handed over so far */
    struct ckpt_file_info *info;
    struct range buckets;
    float *scratch;
};

/* Chunks fit the first rows, so that a small table makes a small file. */
static size_t chunk_rows(const struct ckpt_column *c, size_t first_rows)
{
    size_t most = CHUNK_BYTES / (dtype_bytes(c->type) * (c->cols ? c->cols : 1));
    size_t rows = first_rows < LEAST_CHUNK_ROWS ? LEAST_CHUNK_ROWS : first_rows;
    if (rows > most) rows = most;
    return rows ? rows : 1;
}

static void close_columns(struct h5_data **columns, size_t n)
{
    for (size_t i = 0; i < n; i++) h5_data_close(columns[i]);
}

static enum status open_columns(struct h5 *f, const struct ckpt_table *t,
                                size_t first_rows, struct h5_data **out, size_t *n,
                                struct error *err)
{
    struct ckpt_column columns[CKPT_COLUMNS];
    size_t count = ckpt_columns(t, columns);
    if (count == 0)
        return error_set(err, ST_CANTCREATE, "table %s: the name is too long", t->name);
    for (size_t i = 0; i < count; i++) {
        enum status st =
            h5_data_create(f, columns[i].name, columns[i].type, columns[i].cols,
                           chunk_rows(&columns[i], first_rows), &out[i], err);
        if (st != ST_OK) {
            close_columns(out, i);
            return st;
        }
    }
    *n = count;
    return ST_OK;
}

/* Our own bugs, caught before they are committed. */
static enum status check_rows(const struct ckpt_table *t, const struct ckpt_rows *rows,
                              struct ckpt_order *order, struct error *err)
{
    size_t at = ckpt_order_check(order, rows->keys, rows->n);
    if (at < rows->n)
        return error_set(err, ST_INTERNAL,
                         "table %s: key %016" PRIx64
                         " is out of order or belongs to another server",
                         t->name, rows->keys[at]);
    bool finite =
        ckpt_find_nonfinite(rows->weights, rows->n * t->dim) == rows->n * t->dim;
    for (size_t i = 0; i < t->n_slots; i++) {
        size_t n = rows->n * t->slot_width[i];
        finite = finite && ckpt_find_nonfinite(rows->slots[i], n) == n;
    }
    if (!finite)
        return error_set(err, ST_INTERNAL,
                         "table %s: a value is infinite or not a number", t->name);
    return ST_OK;
}

static enum status append_rows(struct writer *w, const struct ckpt_table *t,
                               const struct ckpt_rows *rows, struct h5_data **columns,
                               size_t n_columns, struct error *err)
{
    const void *parts[CKPT_COLUMNS] = {rows->keys,    rows->last_step, rows->count,
                                       rows->weights, rows->slots[0],  rows->slots[1]};
    for (size_t i = 0; i < n_columns; i++)
        TRY(h5_data_append(columns[i], parts[i], rows->n, err));
    ckpt_digest_rows(&w->info->digest, t, rows, w->scratch);
    w->info->rows += rows->n;
    w->bytes += rows->n * (3 * sizeof(uint64_t) + ckpt_row_floats(t) * sizeof(float));
    if (w->progress) w->progress(w->progress_arg, w->bytes);
    return ST_OK;
}

static enum status write_table(struct writer *w, const struct ckpt_table *t, size_t index,
                               struct error *err)
{
    struct ckpt_rows rows = {0};
    struct h5_data *columns[CKPT_COLUMNS];
    size_t n_columns = 0;
    TRY(w->source->next(w->source->arg, index, &rows, err));
    TRY(open_columns(w->file, t, rows.n, columns, &n_columns, err));
    struct ckpt_order order = {.buckets = w->buckets};
    enum status st = ST_OK;
    while (st == ST_OK && rows.n) {
        st = check_rows(t, &rows, &order, err);
        if (st == ST_OK) st = append_rows(w, t, &rows, columns, n_columns, err);
        if (st == ST_OK) st = w->source->next(w->source->arg, index, &rows, err);
    }
    close_columns(columns, n_columns);
    return st;
}

static enum status write_tables(struct writer *w, size_t index, size_t n_servers,
                                const struct ckpt_table *tables, size_t n_tables,
                                struct error *err)
{
    TRY(ckpt_mark_file(w->file, "mtps-sparse", err));
    TRY(h5_set_u64(w->file, "", "server", index, err));
    TRY(h5_set_u64(w->file, "", "n_servers", n_servers, err));
    TRY(h5_set_u64(w->file, "", "bucket_first", w->buckets.first, err));
    TRY(h5_set_u64(w->file, "", "bucket_end", w->buckets.end, err));
    for (size_t t = 0; t < n_tables; t++) TRY(write_table(w, &tables[t], t, err));
    return ST_OK;
}

static enum status make_scratch(const struct ckpt_table *tables, size_t n_tables,
                                float **out, struct error *err)
{
    size_t most = 0;
    for (size_t t = 0; t < n_tables; t++)
        if (ckpt_row_floats(&tables[t]) > most) most = ckpt_row_floats(&tables[t]);
    *out = mem_array(most, sizeof **out);
    return *out ? ST_OK : mem_error(err, "row buffer", most * sizeof **out);
}

enum status ckpt_sparse_write(const char *temp, size_t index, size_t n_servers,
                              const struct ckpt_table *tables, size_t n_tables,
                              const struct ckpt_row_source *source,
                              void (*progress)(void *, uint64_t), void *progress_arg,
                              struct ckpt_file_info *info, struct error *err)
{
    char name[64], path[CKPT_PATH];
    manifest_sparse_name(index, n_servers, name);
    TRY(manifest_path(temp, name, path, sizeof path, err));
    *info = (struct ckpt_file_info){0};
    struct writer w = {.source = source,
                       .progress = progress,
                       .progress_arg = progress_arg,
                       .info = info,
                       .buckets = partition_buckets(index, n_servers)};
    TRY(make_scratch(tables, n_tables, &w.scratch, err));
    enum status st = h5_create(path, &w.file, err);
    if (st == ST_OK) {
        st = write_tables(&w, index, n_servers, tables, n_tables, err);
        enum status closed = h5_close(w.file, st == ST_OK ? err : NULL);
        if (st == ST_OK) st = closed;
    }
    mem_free(w.scratch);
    if (st != ST_OK) return st;
    return ckpt_seal_file(path, name, progress, progress_arg, info, err);
}
