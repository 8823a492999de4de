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

static void describe_tables(const struct server *s, struct ckpt_table *out)
{
    for (size_t t = 0; t < s->spec.n_tables; t++) {
        const struct server_table *table = &s->tables[t];
        out[t] = (struct ckpt_table){
            .name = table->name, .dim = table->dim, .n_slots = table->layout.n_slots};
        for (size_t i = 0; i < table->layout.n_slots; i++) {
            out[t].slot_name[i] = table->layout.name[i];
            out[t].slot_width[i] = table->layout.width[i];
        }
    }
}

/* ---- saving ---- */

struct source {
    const struct server *server;
    size_t table, shard;
    struct row **rows; /* of this table and shard, sorted */
    size_t n, at;
    uint64_t *keys, *last_step, *count;
    float *weights, *slots[OPTIM_MAX_SLOTS];
};

static enum status source_create(const struct server *s, struct source *c,
                                 struct error *err)
{
    *c = (struct source){.server = s, .table = SIZE_MAX};
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
    const struct table *t = c->server->shards[shard].tables[table];
    TRY(table_sorted(t, &c->rows, err));
    c->n = table_rows(t);
    return ST_OK;
}

static void source_copy(struct source *c, size_t i, const struct row *r)
{
    const struct server_table *table = &c->server->tables[c->table];
    c->keys[i] = r->key;
    c->last_step[i] = r->last_step;
    c->count[i] = r->count;
    const float *values = r->values;
    memcpy(c->weights + i * table->dim, values, table->dim * sizeof *values);
    values += table->dim;
    for (size_t k = 0; k < table->layout.n_slots; k++) {
        size_t width = table->layout.width[k];
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
    struct ckpt_table *tables = mem_array(s->spec.n_tables, sizeof *tables);
    if (!tables)
        return mem_error(err, "tables to save", s->spec.n_tables * sizeof *tables);
    describe_tables(s, tables);
    struct source source;
    struct ckpt_file_info info;
    enum status st = source_create(s, &source, err);
    if (st == ST_OK) {
        const struct ckpt_row_source rows = {.arg = &source, .next = source_next};
        st = ckpt_sparse_write(temp, s->spec.index, s->spec.n_servers, tables,
                               s->spec.n_tables, &rows, s->progress, s->progress_arg,
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

/* What is beyond the saved width stays fresh. */
static void fill_state(const struct server_table *table, const struct ckpt_table *saved,
                       const struct ckpt_rows *rows, size_t i, struct row *r)
{
    float *values = r->values + table->dim;
    for (size_t k = 0; k < table->layout.n_slots; k++) {
        size_t width = table->layout.width[k], old = saved->slot_width[k];
        memcpy(values, rows->slots[k] + i * old, smaller(width, old) * sizeof *values);
        values += width;
    }
}

/* w = shrink w + noise z, z a normal number that depends on seed, table, key and place. */
static void perturb_row(const struct sink *sink, uint64_t key, size_t n, float *w)
{
    double shrink = sink->how->shrink, noise = sink->how->noise;
    for (size_t j = 0; j < n; j++)
        w[j] = (float)(shrink * (double)w[j] +
                       noise * perturb_noise(&sink->noise, key, (uint32_t)j));
}

static const float *make_weights(const struct sink *sink, const struct table *table,
                                 const struct ckpt_rows *rows, size_t i)
{
    size_t dim = table_dim(table), old = sink->saved->dim, n = smaller(dim, old);
    const float *saved = rows->weights + i * old;
    const struct wire_load *how = sink->how;
    bool perturbed = how && (how->shrink != 1 || how->noise != 0);
    if (dim == old && !perturbed) return saved;
    if (dim > old) table_initial(table, rows->keys[i], sink->row);
    memcpy(sink->row, saved, n * sizeof *saved);
    if (perturbed) perturb_row(sink, rows->keys[i], n, sink->row);
    return sink->row;
}

static enum status sink_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    struct sink *sink = arg;
    struct server *s = sink->server;
    const struct wire_load *how = sink->how;
    for (size_t i = 0; i < rows->n; i++) {
        if (how && (rows->count[i] < how->min_count || rows->last_step[i] < how->min_step))
            continue;
        struct row *r;
        struct table *table = owner(s, rows->keys[i])->tables[sink->table];
        TRY(table_insert(table, rows->keys[i], make_weights(sink, table, rows, i), &r, err));
        r->last_step = rows->last_step[i];
        r->count = rows->count[i];
        if (!how || how->keep_state)
            fill_state(&s->tables[sink->table], sink->saved, rows, i, r);
    }
    sink->rows += rows->n;
    if (s->progress) s->progress(s->progress_arg, sink->rows);
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
        bool resize = how && how->resize;
        if (how && !how->keep_state && (resize || saved->dim == table->dim)) return ST_OK;
        if (resize || saved->dim == table->dim) return check_slots(table, saved, resize, err);
        return error_set(err, ST_MISMATCH,
                         "table %s: dim is %zu in the checkpoint, %zu in the "
                         "configuration",
                         table->name, saved->dim, table->dim);
    }
    return error_set(err, ST_MISMATCH, "table %s is not in the checkpoint", name);
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
    return st;
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

void server_digest(const struct server *s, uint64_t *low, uint64_t *high)
{
    struct digest d = {0, 0};
    for (size_t t = 0; t < s->spec.n_tables; t++) {
        const struct server_table *info = &s->tables[t];
        uint64_t name = hash_id(info->name, strlen(info->name));
        size_t n_values = info->dim + info->layout.floats;
        for (size_t i = 0; i < s->spec.n_shards; i++) {
            const struct table *table = s->shards[i].tables[t];
            for (size_t k = 0; k < table_rows(table); k++) {
                const struct row *r = table_row(table, k);
                digest_row(&d, name, r->key, r->last_step, r->count, r->values, n_values);
            }
        }
    }
    *low = d.low;
    *high = d.high;
}
