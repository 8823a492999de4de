/* Tables to and from a checkpoint. Rows leave in (bucket, key) order over all
 * shards; on the way in every server takes the rows of its own buckets from
 * whatever files there are, so any number of servers loads any checkpoint. */
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/math/perturb.h"
#include "common/store/ckpt.h"
#include "ps/server_impl.h"

enum { CHUNK_ROWS = 8192 };

/* Tables in order, then the ids that wait for a row of one. out[2 n_tables]; gives their
 * number. */
static size_t describe_tables(const struct server *s, struct ckpt_table *out)
{
    size_t n = s->spec.n_tables;
    for (size_t t = 0; t < s->spec.n_tables; t++) {
        const struct server_table *table = &s->tables[t];
        out[t] = (struct ckpt_table){
            .name = table->name, .dim = table->dim, .n_slots = table->layout.n_slots};
        for (size_t i = 0; i < table->layout.n_slots; i++) {
            out[t].slot_name[i] = table->layout.name[i];
            out[t].slot_width[i] = table->layout.width[i];
        }
        if (table->waiting) out[n++] = (struct ckpt_table){.name = table->waiting};
    }
    return n;
}

/* The server's table with waiting ids that is number `place` of them. */
static size_t nth_waiting(const struct server *s, size_t place)
{
    size_t t = 0;
    for (;; t++)
        if (s->tables[t].waiting && !place--) return t;
}

/* ---- saving ---- */

struct source {
    const struct server *server;
    size_t table, shard;
    const struct ckpt_table *tables;
    struct row **rows; /* of this table and shard, sorted */
    size_t n, at;
    uint64_t *keys, *last_step, *count;
    float *weights, *slots[OPTIM_MAX_SLOTS];
};

static enum status source_create(const struct server *s, const struct ckpt_table *tables,
                                 struct source *c, struct error *err)
{
    *c = (struct source){.server = s, .table = SIZE_MAX, .tables = tables};
    size_t dim = 1;
    for (size_t t = 0; t < s->spec.n_tables; t++)
        if (s->tables[t].dim > dim) dim = s->tables[t].dim;
    c->keys = mem_array(CHUNK_ROWS, sizeof *c->keys);
    c->last_step = mem_array(CHUNK_ROWS, sizeof *c->last_step);
    c->count = mem_array(CHUNK_ROWS, sizeof *c->count);
    c->weights = mem_array(CHUNK_ROWS, dim * sizeof(float));
    bool all = c->keys && c->last_step && c->count && c->weights;
    for (size_t i = 0; i < OPTIM_MAX_SLOTS; i++) {
        c->slots[i] = mem_array(CHUNK_ROWS, dim * sizeof(float));
        all = all && c->slots[i];
    }
    return all ? ST_OK : mem_error(err, "rows to save", CHUNK_ROWS * dim * sizeof(float));
}

static void source_close(struct source *c)
{
    mem_free(c->rows);
    mem_free(c->keys);
    mem_free(c->last_step);
    mem_free(c->count);
    mem_free(c->weights);
    for (size_t i = 0; i < OPTIM_MAX_SLOTS; i++) mem_free(c->slots[i]);
}

/* Go to the first shard of this table, or to the next one. */
static enum status source_sort(struct source *c, size_t table, size_t shard,
                               struct error *err)
{
    mem_free(c->rows);
    c->rows = NULL;
    c->table = table;
    c->shard = shard;
    c->n = c->at = 0;
    const struct shard *h = &c->server->shards[shard];
    size_t n = c->server->spec.n_tables;
    const struct table *t = table < n ? h->tables[table]
                                      : h->waiting[nth_waiting(c->server, table - n)];
    TRY(table_sorted(t, &c->rows, err));
    c->n = table_rows(t);
    return ST_OK;
}

static void source_copy(struct source *c, size_t i, const struct row *r)
{
    const struct ckpt_table *table = &c->tables[c->table];
    c->keys[i] = r->key;
    c->last_step[i] = r->last_step;
    c->count[i] = r->count;
    const float *values = r->values;
    memcpy(c->weights + i * table->dim, values, table->dim * sizeof *values);
    values += table->dim;
    for (size_t k = 0; k < table->n_slots; k++) {
        size_t width = table->slot_width[k];
        memcpy(c->slots[k] + i * width, values, width * sizeof *values);
        values += width;
    }
}

static enum status source_next(void *arg, size_t table, struct ckpt_rows *rows,
                               struct error *err)
{
    struct source *c = arg;
    if (c->table != table) TRY(source_sort(c, table, 0, err));
    while (c->at == c->n && c->shard + 1 < c->server->spec.n_shards)
        TRY(source_sort(c, table, c->shard + 1, err));
    size_t n = c->n - c->at < CHUNK_ROWS ? c->n - c->at : CHUNK_ROWS;
    for (size_t i = 0; i < n; i++) source_copy(c, i, c->rows[c->at + i]);
    c->at += n;
    *rows = (struct ckpt_rows){.n = n,
                               .keys = c->keys,
                               .last_step = c->last_step,
                               .count = c->count,
                               .weights = c->weights,
                               .slots = {c->slots[0], c->slots[1]}};
    return ST_OK;
}

static void fill_file(const struct ckpt_file_info *info, struct wire_file *out)
{
    *out = (struct wire_file){.bytes = info->bytes,
                              .rows = info->rows,
                              .digest_low = info->digest.low,
                              .digest_high = info->digest.high};
    _Static_assert(sizeof out->name == sizeof info->name,
                   "the wire carries the whole name");
    _Static_assert(sizeof out->sha256 == sizeof info->sha256,
                   "the wire carries the whole hash");
    memcpy(out->name, info->name, sizeof out->name);
    memcpy(out->sha256, info->sha256, sizeof out->sha256);
}

enum status server_save(struct server *s, const char *temp, struct wire_file *out,
                        struct error *err)
{
    struct ckpt_table *tables = mem_array(2 * s->spec.n_tables, sizeof *tables);
    if (!tables)
        return mem_error(err, "tables to save", 2 * s->spec.n_tables * sizeof *tables);
    size_t n_tables = describe_tables(s, tables);
    struct source source;
    struct ckpt_file_info info;
    enum status st = source_create(s, tables, &source, err);
    if (st == ST_OK) {
        const struct ckpt_row_source rows = {.arg = &source, .next = source_next};
        st = ckpt_sparse_write(temp, s->spec.index, s->spec.n_servers, tables, n_tables,
                               &rows, s->progress, s->progress_arg,
                               &info, err);
    }
    if (st == ST_OK) fill_file(&info, out);
    source_close(&source);
    mem_free(tables);
    return st;
}

/* ---- loading ---- */

struct sink {
    struct server *server;
    size_t table;
    const struct ckpt_table *saved;
    const struct wire_load *how; /* NULL: as it is */
    struct rng noise;
    float *row; /* [dim] a row on its way */
    uint64_t rows;
};

static struct shard *owner(struct server *s, uint64_t key)
{
    uint32_t bucket = partition_bucket(key);
    size_t i = 0;
    while (bucket >= s->shards[i].buckets.end) i++;
    return &s->shards[i];
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Columns of n floats of a row from those of `old` saved ones; others stay as they are. */
static void copy_columns(const struct wire_load *how, size_t n, size_t old, const float *saved,
                         float *w)
{
    if (!how || how->n_columns != n) {
        memcpy(w, saved, smaller(n, old) * sizeof *w);
        return;
    }
    for (size_t j = 0; j < n; j++)
        if (how->from[j] < old) w[j] = saved[how->from[j]];
}

/* What is beyond the saved width stays fresh. */
static void fill_state(const struct sink *sink, const struct ckpt_rows *rows, size_t i,
                       struct row *r)
{
    const struct server_table *table = &sink->server->tables[sink->table];
    float *values = r->values + table->dim;
    for (size_t k = 0; k < table->layout.n_slots; k++) {
        size_t width = table->layout.width[k], old = sink->saved->slot_width[k];
        copy_columns(sink->how, width, old, rows->slots[k] + i * old, values);
        values += width;
    }
}

/* w = shrink w + noise z, z a normal number that depends on seed, table, key and place. */
static void perturb_row(const struct sink *sink, uint64_t key, size_t n, float *w)
{
    const struct wire_load *how = sink->how;
    for (size_t j = 0; j < n; j++)
        if (!how->n_columns || how->from[j] != WIRE_FRESH)
            w[j] = (float)(how->shrink * (double)w[j] +
                           how->noise * perturb_noise(&sink->noise, key, (uint32_t)j));
}

static const float *make_weights(const struct sink *sink, const struct table *table,
                                 const struct ckpt_rows *rows, size_t i)
{
    size_t dim = table_dim(table), old = sink->saved->dim, n = smaller(dim, old);
    const float *saved = rows->weights + i * old;
    const struct wire_load *how = sink->how;
    bool perturbed = how && (how->shrink != 1 || how->noise != 0);
    bool mapped = how && how->n_columns;
    if (dim == old && !perturbed && !mapped) return saved;
    if (dim > old || mapped) table_initial(table, rows->keys[i], sink->row);
    copy_columns(how, dim, old, saved, sink->row);
    if (perturbed) perturb_row(sink, rows->keys[i], mapped ? dim : n, sink->row);
    return sink->row;
}

static bool is_left_out(const struct sink *sink, const struct ckpt_rows *rows, size_t i)
{
    const struct wire_load *how = sink->how;
    return how && (rows->count[i] < how->min_count || rows->last_step[i] < how->min_step);
}

static void tell(struct sink *sink, const struct ckpt_rows *rows)
{
    struct server *s = sink->server;
    sink->rows += rows->n;
    if (s->progress) s->progress(s->progress_arg, sink->rows);
}

static enum status sink_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    struct sink *sink = arg;
    struct server *s = sink->server;
    const struct wire_load *how = sink->how;
    for (size_t i = 0; i < rows->n; i++) {
        if (is_left_out(sink, rows, i)) continue;
        struct row *r;
        struct table *table = owner(s, rows->keys[i])->tables[sink->table];
        TRY(table_insert(table, rows->keys[i], make_weights(sink, table, rows, i), &r, err));
        r->last_step = rows->last_step[i];
        r->count = rows->count[i];
        if (!how || how->keep_state)
            fill_state(sink, rows, i, r);
    }
    tell(sink, rows);
    return ST_OK;
}

/* Rows may have come for some of them otherwise (mtps ckpt import). */
static enum status sink_waiting(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    struct sink *sink = arg;
    for (size_t i = 0; i < rows->n; i++) {
        if (is_left_out(sink, rows, i)) continue;
        struct shard *h = owner(sink->server, rows->keys[i]);
        struct row *r;
        table_find(h->tables[sink->table], 1, &rows->keys[i], &r);
        if (r) continue;
        TRY(table_insert(h->waiting[sink->table], rows->keys[i], NULL, &r, err));
        r->last_step = rows->last_step[i];
        r->count = rows->count[i];
    }
    tell(sink, rows);
    return ST_OK;
}

/* The slots are those of the table's optimiser. */
static enum status check_slots(const struct server_table *table,
                               const struct ckpt_table *saved, bool resize, struct error *err)
{
    bool same = saved->n_slots == table->layout.n_slots;
    for (size_t k = 0; same && k < saved->n_slots; k++)
        same = (resize || saved->slot_width[k] == table->layout.width[k]) &&
               strcmp(saved->slot_name[k], table->layout.name[k]) == 0;
    if (same) return ST_OK;
    return error_set(
        err, ST_MISMATCH,
        "table %s: its optimiser has %zu state arrays in the checkpoint, another "
        "optimiser with %zu in the configuration",
        table->name, saved->n_slots, table->layout.n_slots);
}

static enum status find_table(const struct server_table *table, const struct ckpt *c,
                              const struct wire_load *how, size_t *out, struct error *err)
{
    const char *name = how ? how->source : table->name;
    for (size_t i = 0; i < ckpt_n_tables(c); i++) {
        const struct ckpt_table *saved = ckpt_table(c, i);
        if (strcmp(saved->name, name) != 0) continue;
        *out = i;
        bool resize = how && (how->resize || how->n_columns);
        if (how && !how->keep_state && (resize || saved->dim == table->dim)) return ST_OK;
        if (resize || saved->dim == table->dim) return check_slots(table, saved, resize, err);
        return error_set(err, ST_MISMATCH,
                         "table %s: dim is %zu in the checkpoint, %zu in the "
                         "configuration",
                         table->name, saved->dim, table->dim);
    }
    return error_set(err, ST_MISMATCH, "table %s is not in the checkpoint", name);
}

/* Behind the rows. A checkpoint of a table that admitted all at once has none. */
static enum status load_waiting(struct sink *sink, struct ckpt *c, struct error *err)
{
    struct server *s = sink->server;
    size_t i = 0, n = ckpt_n_tables(c);
    if (!s->tables[sink->table].waiting) return ST_OK;
    char *name = ckpt_waiting_name(sink->saved->name);
    if (!name) return mem_error(err, "table name", strlen(sink->saved->name));
    while (i < n && strcmp(ckpt_table(c, i)->name, name) != 0) i++;
    mem_free(name);
    return i < n ? ckpt_read_rows(c, i, s->buckets, sink_waiting, sink, err) : ST_OK;
}

static enum status load_table(struct sink *sink, struct ckpt *c, struct error *err)
{
    struct server *s = sink->server;
    size_t from = 0;
    if (sink->how && !sink->how->source[0]) return ST_OK;
    TRY(find_table(&s->tables[sink->table], c, sink->how, &from, err));
    sink->saved = ckpt_table(c, from);
    sink->noise = rng_named(s->spec.seed, RNG_HOT_NOISE, s->tables[sink->table].name);
    sink->row = mem_array(s->tables[sink->table].dim, sizeof *sink->row);
    if (!sink->row) return mem_error(err, "a row", s->tables[sink->table].dim * sizeof(float));
    enum status st = ckpt_read_rows(c, from, s->buckets, sink_rows, sink, err);
    mem_free(sink->row);
    return st == ST_OK ? load_waiting(sink, c, err) : st;
}

static enum status load_tables(struct server *s, struct ckpt *c, const struct wire_load *loads,
                               struct error *err)
{
    struct sink sink = {.server = s};
    for (sink.table = 0; sink.table < s->spec.n_tables; sink.table++) {
        sink.how = loads ? &loads[sink.table] : NULL;
        TRY(load_table(&sink, c, err));
    }
    return ST_OK;
}

/* The leader has verified every file's hash when it chose this checkpoint. */
enum status server_load(struct server *s, const char *path, const struct wire_load *loads,
                        struct error *err)
{
    struct ckpt *c = NULL;
    TRY(ckpt_open(path, false, &c, err));
    server_clear(s);
    enum status st = load_tables(s, c, loads, err);
    if (st != ST_OK) server_clear(s);
    ckpt_close(c);
    return st == ST_OK ? st : error_wrap(err, st, "%s", path);
}

/* ---- digest ---- */

static void digest_table(struct digest *d, const char *name, const struct table *table,
                         size_t n_values)
{
    uint64_t hash = hash_id(name, strlen(name));
    for (size_t k = 0; k < table_rows(table); k++) {
        const struct row *r = table_row(table, k);
        digest_row(d, hash, r->key, r->last_step, r->count, r->values, n_values);
    }
}

void server_digest(const struct server *s, uint64_t *low, uint64_t *high)
{
    struct digest d = {0, 0};
    for (size_t t = 0; t < s->spec.n_tables; t++) {
        const struct server_table *info = &s->tables[t];
        for (size_t i = 0; i < s->spec.n_shards; i++) {
            const struct shard *h = &s->shards[i];
            digest_table(&d, info->name, h->tables[t], info->dim + info->layout.floats);
            if (info->waiting) digest_table(&d, info->waiting, h->waiting[t], 0);
        }
    }
    *low = d.low;
    *high = d.high;
}
