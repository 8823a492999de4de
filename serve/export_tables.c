/* Tables: rows come in (bucket, key) order and go out in the order of their mixed hash,
 * whose top bits are the bucket, so that one bucket at a time is sorted. */
#include "serve/export_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/partition.h"
#include "common/store/ckpt.h"
#include "serve/lookup.h"

struct item {
    uint64_t mixed, key;
    size_t row; /* of the bucket's floats */
};

struct table_writer {
    const struct export *e;
    struct bundle_writer *w;
    const char *name;
    size_t dim, width; /* floats, bytes of a row that is written */
    unsigned bits;
    uint64_t n, entry; /* rows written, directory entries written */
    struct item *items;
    float *rows;
    size_t n_items, max_items;
    /* what a bucket becomes */
    uint64_t *keys;
    unsigned char *packed;
    float *scales;
    uint32_t *directory;
    size_t max_directory;
};

static bool keeps(const struct export *e, const struct ckpt_rows *rows, size_t i)
{
    const struct export_spec *s = e->spec;
    uint64_t step = ckpt_meta(e->ckpt)->step;
    uint64_t age = step > rows->last_step[i] ? step - rows->last_step[i] : 0;
    return rows->count[i] >= s->min_count && (!s->max_age || age <= s->max_age);
}

/* ---- counting ---- */

struct counting {
    const struct export *e;
    uint64_t n;
};

static enum status count_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    (void)err;
    struct counting *c = arg;
    for (size_t i = 0; i < rows->n; i++) c->n += keeps(c->e, rows, i);
    return ST_OK;
}

static const struct range all_buckets = {0, N_BUCKETS};

enum status export_count_rows(struct export *e, struct error *err)
{
    for (size_t t = 0; t < e->schema->n_tables; t++) {
        struct counting c = {e, ckpt_table_rows(e->ckpt, e->table[t])};
        if (e->spec->min_count || e->spec->max_age) {
            c.n = 0;
            TRY(ckpt_read_rows(e->ckpt, e->table[t], all_buckets, count_rows, &c, err));
        }
        if (c.n >= UINT32_MAX)
            return error_set(err, ST_CANTCREATE, "table %s: %llu rows, a bundle's table holds %u",
                             e->schema->table_names[t], (unsigned long long)c.n, UINT32_MAX - 1);
        e->kept[t] = c.n;
    }
    return ST_OK;
}

/* ---- sections ---- */

static const char *part_name(const char *table, const char *part, char *out, size_t size)
{
    snprintf(out, size, "table/%s/%s", table, part);
    return out;
}

enum status export_plan_tables(const struct export *e, struct bundle_plan *p, struct error *err)
{
    char name[BUNDLE_MAX_NAME + 64];
    for (size_t t = 0; t < e->schema->n_tables; t++) {
        const char *table = e->schema->table_names[t];
        size_t n = e->kept[t], dim = ckpt_table(e->ckpt, e->table[t])->dim;
        size_t entries = ((size_t)1 << lookup_bits(n)) + 1;
        TRY(bundle_plan_add(p, part_name(table, "directory", name, sizeof name), SECTION_U32, entries, 0, err));
        TRY(bundle_plan_add(p, part_name(table, "keys", name, sizeof name), SECTION_U64, n, 0, err));
        TRY(bundle_plan_add(p, part_name(table, "rows", name, sizeof name), e->spec->rows, n, dim, err));
        if (e->spec->rows == SECTION_I8)
            TRY(bundle_plan_add(p, part_name(table, "scales", name, sizeof name), SECTION_F32, n, 0, err));
    }
    return ST_OK;
}

/* ---- a bucket ---- */

static bool grow(void **v, size_t n, size_t size)
{
    void *p = mem_resize(*v, n, size);
    if (!p) return false;
    *v = p;
    return true;
}

static bool make_room(struct table_writer *t)
{
    if (t->n_items < t->max_items) return true;
    size_t max = 2 * t->max_items + 1024;
    if (!grow((void **)&t->items, max, sizeof *t->items) || !grow((void **)&t->rows, max, t->dim * sizeof(float)) ||
        !grow((void **)&t->keys, max, sizeof *t->keys) || !grow((void **)&t->packed, max, t->width) ||
        !grow((void **)&t->scales, max, sizeof *t->scales))
        return false;
    t->max_items = max;
    return true;
}

static enum status no_memory(const struct table_writer *t, struct error *err)
{
    return mem_error(err, t->name, t->max_items * t->dim * sizeof(float));
}

/* Entries up to `end` (not included) begin at row n. */
static enum status add_directory(struct table_writer *t, uint64_t end, uint64_t n, size_t *filled,
                                 struct error *err)
{
    while (t->entry < end) {
        if (*filled == t->max_directory) {
            size_t max = 2 * t->max_directory + 1024;
            if (!grow((void **)&t->directory, max, sizeof *t->directory)) return no_memory(t, err);
            t->max_directory = max;
        }
        t->directory[(*filled)++] = (uint32_t)n;
        t->entry++;
    }
    return ST_OK;
}

static enum status put(struct table_writer *t, const char *part, const void *data, size_t bytes,
                       struct error *err)
{
    char name[BUNDLE_MAX_NAME + 64];
    return bundle_writer_add(t->w, part_name(t->name, part, name, sizeof name), data, bytes, err);
}

static int by_mixed(const void *a, const void *b)
{
    uint64_t x = ((const struct item *)a)->mixed, y = ((const struct item *)b)->mixed;
    return (x > y) - (x < y);
}

static enum status write_bucket(struct table_writer *t, struct error *err)
{
    size_t filled = 0, n = t->n_items;
    if (!n) return ST_OK;
    qsort(t->items, n, sizeof *t->items, by_mixed);
    for (size_t i = 0; i < n; i++) {
        const struct item *x = &t->items[i];
        TRY(add_directory(t, lookup_entry(x->mixed, t->bits) + 1, t->n + i, &filled, err));
        t->keys[i] = x->key;
        lookup_pack(t->e->spec->rows, t->rows + x->row * t->dim, t->dim, t->packed + i * t->width, &t->scales[i]);
    }
    TRY(put(t, "directory", t->directory, filled * sizeof *t->directory, err));
    TRY(put(t, "keys", t->keys, n * sizeof *t->keys, err));
    TRY(put(t, "rows", t->packed, n * t->width, err));
    if (t->e->spec->rows == SECTION_I8) TRY(put(t, "scales", t->scales, n * sizeof *t->scales, err));
    t->n += n;
    t->n_items = 0;
    return ST_OK;
}

/* ---- a table ---- */

static enum status take_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    struct table_writer *t = arg;
    for (size_t i = 0; i < rows->n; i++) {
        uint64_t key = rows->keys[i];
        if (!keeps(t->e, rows, i)) continue;
        if (t->n_items && partition_bucket(key) != partition_bucket(t->items[0].key)) TRY(write_bucket(t, err));
        if (!make_room(t)) return no_memory(t, err);
        memcpy(t->rows + t->n_items * t->dim, rows->weights + i * t->dim, t->dim * sizeof(float));
        t->items[t->n_items] = (struct item){hash_mix(key), key, t->n_items};
        t->n_items++;
    }
    return ST_OK;
}

static enum status write_table(struct table_writer *t, size_t table, struct error *err)
{
    size_t filled = 0;
    uint64_t entries = ((uint64_t)1 << t->bits) + 1;
    TRY(ckpt_read_rows(t->e->ckpt, table, all_buckets, take_rows, t, err));
    TRY(write_bucket(t, err));
    TRY(add_directory(t, entries, t->n, &filled, err));
    return put(t, "directory", t->directory, filled * sizeof *t->directory, err);
}

enum status export_write_tables(const struct export *e, struct bundle_writer *w, struct error *err)
{
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < e->schema->n_tables; i++) {
        size_t dim = ckpt_table(e->ckpt, e->table[i])->dim;
        struct table_writer t = {.e = e,
                                 .w = w,
                                 .name = e->schema->table_names[i],
                                 .dim = dim,
                                 .width = dim * section_type_bytes(e->spec->rows),
                                 .bits = lookup_bits(e->kept[i])};
        st = write_table(&t, e->table[i], err);
        void *blocks[] = {t.items, t.rows, t.keys, t.packed, t.scales, t.directory};
        for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++) mem_free(blocks[k]);
    }
    return st;
}
