/* Tables: rows come in (bucket, key) order and go out in the order of their mixed hash,
 * whose top bits are the bucket, so that one bucket at a time is sorted. A delta gives out
 * only those that are not in its base as they are. */
#include "serve/export_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/partition.h"
#include "common/store/ckpt.h"
#include "serve/lookup.h"

enum { PIECE_ROWS = 4096, BUCKET_BITS = 10 };
_Static_assert(N_BUCKETS == 1 << BUCKET_BITS, "a bucket is the top bits of the mixed hash");

struct item {
    uint64_t mixed, key;
    size_t row; /* of the bucket's floats */
};

struct table_writer {
    const struct export *e;
    struct bundle_writer *w; /* NULL: rows are only counted */
    const char *name;
    size_t dim, width;     /* floats, bytes of a row that is written */
    const struct lookup *base; /* of a delta: what it is compared with; else NULL */
    size_t base_at;            /* its rows that are behind */
    unsigned bits;
    uint64_t n, entry; /* rows, directory entries given out */
    /* a bucket */
    struct item *items, *sorted; /* [max_items] */
    uint32_t *places;            /* [max_items + 1] */
    float *rows;
    size_t n_items, max_items;
    /* what is given out, to be written in pieces */
    uint64_t keys[PIECE_ROWS];
    float scales[PIECE_ROWS];
    unsigned char *packed; /* [PIECE_ROWS + 1, width] the last one is being made */
    size_t n_pending;
    uint32_t directory[PIECE_ROWS];
    size_t n_directory;
};

static bool keeps(const struct export *e, const struct ckpt_rows *rows, size_t i)
{
    const struct export_spec *s = e->spec;
    uint64_t age = e->steps > rows->last_step[i] ? e->steps - rows->last_step[i] : 0;
    return rows->count[i] >= s->min_count && (!s->max_age || age <= s->max_age);
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
    for (size_t t = 0; t < e->kinds->n; t++) {
        const char *table = e->kinds->name[t];
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

/* ---- rows that are given out ---- */

static enum status no_memory(const struct table_writer *t, struct error *err)
{
    return mem_error(err, t->name, t->max_items * t->dim * sizeof(float));
}

static enum status put(struct table_writer *t, const char *part, const void *data, size_t bytes,
                       struct error *err)
{
    char name[BUNDLE_MAX_NAME + 64];
    return bundle_writer_add(t->w, part_name(t->name, part, name, sizeof name), data, bytes, err);
}

/* Entries up to `end` (not included) begin at the next row. */
static enum status add_directory(struct table_writer *t, uint64_t end, struct error *err)
{
    for (; t->entry < end; t->entry++) {
        t->directory[t->n_directory++] = (uint32_t)t->n;
        if (t->n_directory < PIECE_ROWS) continue;
        TRY(put(t, "directory", t->directory, sizeof t->directory, err));
        t->n_directory = 0;
    }
    return ST_OK;
}

static enum status write_pending(struct table_writer *t, struct error *err)
{
    size_t n = t->n_pending;
    t->n_pending = 0;
    TRY(put(t, "keys", t->keys, n * sizeof *t->keys, err));
    TRY(put(t, "rows", t->packed, n * t->width, err));
    return t->e->spec->rows == SECTION_I8 ? put(t, "scales", t->scales, n * sizeof *t->scales, err) : ST_OK;
}

/* The row that stands at packed[n_pending], scales[n_pending]. */
static enum status give_out(struct table_writer *t, uint64_t mixed, uint64_t key, struct error *err)
{
    if (t->w) {
        TRY(add_directory(t, lookup_entry(mixed, t->bits) + 1, err));
        t->keys[t->n_pending++] = key;
        if (t->n_pending == PIECE_ROWS) TRY(write_pending(t, err));
    }
    t->n++;
    return ST_OK;
}

static unsigned char *next_packed(struct table_writer *t)
{
    return t->packed + t->n_pending * t->width;
}

/* ---- against a base ---- */

/* Rows of the base that the checkpoint has not got count as never seen: initial ones. */
static enum status give_out_gone(struct table_writer *t, uint64_t before, struct error *err)
{
    while (t->base && t->base_at < t->base->keys.n) {
        uint64_t key = t->base->keys.keys[t->base_at], mixed = hash_mix(key);
        if (mixed >= before) break;
        t->base_at++;
        row_init(&t->base->init, &t->base->rng, key, t->dim, t->rows + t->n_items * t->dim);
        lookup_pack(t->e->spec->rows, t->rows + t->n_items * t->dim, t->dim, next_packed(t),
                    &t->scales[t->n_pending]);
        TRY(give_out(t, mixed, key, err));
    }
    return ST_OK;
}

/* Is the row that stands at packed[n_pending] in the base as it is? Steps over it. */
static bool is_in_base(struct table_writer *t, uint64_t key)
{
    const struct lookup *b = t->base;
    if (!b || t->base_at == b->keys.n || b->keys.keys[t->base_at] != key) return false;
    size_t at = t->base_at++;
    if (t->e->spec->rows == SECTION_I8 && b->scales[at] != t->scales[t->n_pending]) return false;
    return !memcmp((const char *)b->rows + at * t->width, next_packed(t), t->width);
}

/* ---- a bucket ---- */

static bool grow(void **v, size_t n, size_t size)
{
    void *p = mem_resize(*v, n, size);
    if (!p) return false;
    *v = p;
    return true;
}

/* One row of floats more than items: room for an initial row. */
static bool make_room(struct table_writer *t)
{
    if (t->n_items < t->max_items) return true;
    size_t max = 2 * t->max_items + 1024;
    if (!grow((void **)&t->items, max, sizeof *t->items) || !grow((void **)&t->sorted, max, sizeof *t->sorted) ||
        !grow((void **)&t->places, max + 1, sizeof *t->places) ||
        !grow((void **)&t->rows, max + 1, t->dim * sizeof(float)))
        return false;
    t->max_items = max;
    return true;
}

static int by_mixed(const void *a, const void *b)
{
    uint64_t x = ((const struct item *)a)->mixed, y = ((const struct item *)b)->mixed;
    return (x > y) - (x < y);
}

/* A few items where they lie; many of one place, which nobody has by chance, by qsort. */
static void sort_place(struct item *v, size_t n)
{
    enum { FEW = 32 };
    if (n > FEW) {
        qsort(v, n, sizeof *v, by_mixed);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct item x = v[i];
        size_t j = i;
        for (; j > 0 && v[j - 1].mixed > x.mixed; j--) v[j] = v[j - 1];
        v[j] = x;
    }
}

/* items -> sorted. Mixed hashes are spread evenly: their bits behind the bucket's say where
 * an item stands, up to a few neighbours. */
static void sort_bucket(struct table_writer *t)
{
    unsigned bits = lookup_bits(t->n_items);
    size_t n_places = (size_t)1 << bits;
    memset(t->places, 0, (n_places + 1) * sizeof *t->places);
    for (size_t i = 0; i < t->n_items; i++)
        t->places[lookup_entry(t->items[i].mixed << BUCKET_BITS, bits) + 1]++;
    for (size_t i = 0; i < n_places; i++) t->places[i + 1] += t->places[i];
    for (size_t i = 0; i < t->n_items; i++)
        t->sorted[t->places[lookup_entry(t->items[i].mixed << BUCKET_BITS, bits)]++] = t->items[i];
    /* places[i] is where place i ends now. */
    for (size_t i = 0, first = 0; i < n_places; first = t->places[i++])
        sort_place(t->sorted + first, t->places[i] - first);
}

static enum status end_bucket(struct table_writer *t, struct error *err)
{
    if (t->n_items) sort_bucket(t);
    for (size_t i = 0; i < t->n_items; i++) {
        const struct item *x = &t->sorted[i];
        TRY(give_out_gone(t, x->mixed, err));
        lookup_pack(t->e->spec->rows, t->rows + x->row * t->dim, t->dim, next_packed(t),
                    &t->scales[t->n_pending]);
        if (!is_in_base(t, x->key)) TRY(give_out(t, x->mixed, x->key, err));
    }
    t->n_items = 0;
    return ST_OK;
}

/* ---- a table ---- */

static const struct range all_buckets = {0, N_BUCKETS};

static enum status take_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    struct table_writer *t = arg;
    for (size_t i = 0; i < rows->n; i++) {
        uint64_t key = rows->keys[i];
        if (!keeps(t->e, rows, i)) continue;
        if (t->n_items && partition_bucket(key) != partition_bucket(t->items[0].key)) TRY(end_bucket(t, err));
        if (!make_room(t)) return no_memory(t, err);
        memcpy(t->rows + t->n_items * t->dim, rows->weights + i * t->dim, t->dim * sizeof(float));
        t->items[t->n_items] = (struct item){hash_mix(key), key, t->n_items};
        t->n_items++;
    }
    return ST_OK;
}

static enum status walk_table(struct table_writer *t, size_t table, struct error *err)
{
    t->packed = mem_array(PIECE_ROWS + 1, t->width);
    if (!t->packed || !make_room(t)) return no_memory(t, err);
    TRY(ckpt_read_rows(t->e->ckpt, table, all_buckets, take_rows, t, err));
    TRY(end_bucket(t, err));
    TRY(give_out_gone(t, UINT64_MAX, err));
    if (!t->w) return ST_OK;
    TRY(write_pending(t, err));
    TRY(add_directory(t, ((uint64_t)1 << t->bits) + 1, err));
    return put(t, "directory", t->directory, t->n_directory * sizeof *t->directory, err);
}

/* w NULL: counts. */
static enum status go_over_table(const struct export *e, size_t i, struct bundle_writer *w, uint64_t *n,
                                 struct error *err)
{
    struct table_writer *t = mem_zeroed(1, sizeof *t);
    if (!t) return mem_error(err, "table", sizeof *t);
    t->e = e;
    t->w = w;
    t->name = e->kinds->name[i];
    t->dim = ckpt_table(e->ckpt, e->table[i])->dim;
    t->width = t->dim * section_type_bytes(e->spec->rows);
    t->base = e->base ? &e->base->tables[i] : NULL;
    t->bits = lookup_bits(e->kept[i]);
    enum status st = walk_table(t, e->table[i], err);
    *n = t->n;
    mem_free(t->items);
    mem_free(t->sorted);
    mem_free(t->places);
    mem_free(t->rows);
    mem_free(t->packed);
    mem_free(t);
    return st;
}

enum status export_count_rows(struct export *e, struct error *err)
{
    for (size_t t = 0; t < e->kinds->n; t++) {
        uint64_t n = ckpt_table_rows(e->ckpt, e->table[t]);
        if (e->spec->min_count || e->spec->max_age || e->base) TRY(go_over_table(e, t, NULL, &n, err));
        if (n >= UINT32_MAX)
            return error_set(err, ST_CANTCREATE, "table %s: %llu rows, a bundle's table holds %u",
                             e->kinds->name[t], (unsigned long long)n, UINT32_MAX - 1);
        e->kept[t] = n;
    }
    return ST_OK;
}

enum status export_write_tables(const struct export *e, struct bundle_writer *w, struct error *err)
{
    uint64_t n;
    for (size_t i = 0; i < e->kinds->n; i++) TRY(go_over_table(e, i, w, &n, err));
    return ST_OK;
}
