#include "serve/lookup.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/math/half.h"

enum { I8_MAX = 127 };

unsigned lookup_bits(size_t n)
{
    unsigned bits = 0;
    while (bits < 31 && (size_t)2 << bits < n) bits++;
    return bits;
}

/* ---- opening ---- */

enum status lookup_section(const struct bundle *b, const char *prefix, const char *part,
                           enum section_type type, size_t rows, size_t cols,
                           const struct bundle_section **out, struct error *err)
{
    char name[2 * BUNDLE_MAX_NAME];
    snprintf(name, sizeof name, "%s/%s", prefix, part);
    const struct bundle_section *s = *out = bundle_find(b, name);
    if (!s) return error_set(err, ST_DATA, "%s: section %s is missing", b->path, name);
    if ((type == SECTION_TYPES || s->type == type) && (rows == SIZE_MAX || s->rows == rows) && s->cols == cols)
        return ST_OK;
    return error_set(err, ST_DATA, "%s: section %s has another type or shape", b->path, name);
}

/* Keys are in order and the directory fits them, without a branch that depends on them: key
 * i stands between its place's entry and the next, and entries never fall from 0 to n. Then
 * entry e is at least the number of keys whose place is below e (the last of them stands
 * before the entry behind its place), and at most (the first that is not stands at or after
 * its own). */
static bool is_in_order(const struct lookup_keys *l)
{
    const uint32_t *d = l->directory;
    size_t entries = (size_t)1 << l->bits, bad = d[0] != 0 || d[entries] != l->n;
    for (size_t e = 0; e < entries; e++) bad |= d[e] > d[e + 1];
    uint64_t before = 0;
    for (size_t i = 0; i < l->n; i++) {
        uint64_t mixed = hash_mix(l->keys[i]);
        size_t of = lookup_entry(mixed, l->bits);
        bad |= (mixed <= before && i) | (d[of] > i) | (d[of + 1] <= i);
        before = mixed;
    }
    return !bad;
}

/* What is_in_order found, row by row, to be said. */
static enum status say_disorder(const struct bundle *b, const struct lookup_keys *l, const char *prefix,
                                struct error *err)
{
    size_t entry = 0, entries = (size_t)1 << l->bits;
    uint64_t before = 0;
    for (size_t i = 0; i < l->n; i++) {
        uint64_t mixed = hash_mix(l->keys[i]);
        if (i && mixed <= before)
            return error_set(err, ST_DATA, "%s: %s: keys are not in order at row %zu", b->path, prefix, i);
        before = mixed;
        size_t of = lookup_entry(mixed, l->bits);
        for (; entry <= of; entry++)
            if (l->directory[entry] != i) goto misfit;
    }
    while (entry <= entries && l->directory[entry] == l->n) entry++;
misfit:
    return error_set(err, ST_DATA, "%s: %s: entry %zu of the directory does not fit the keys", b->path, prefix, entry);
}

enum status lookup_open_keys(const struct bundle *b, const char *prefix, const char *name, bool order,
                             struct lookup_keys *out, struct error *err)
{
    const struct bundle_section *keys, *directory;
    TRY(lookup_section(b, prefix, name, SECTION_U64, SIZE_MAX, 0, &keys, err));
    unsigned bits = lookup_bits(keys->rows);
    TRY(lookup_section(b, prefix, "directory", SECTION_U32, ((size_t)1 << bits) + 1, 0, &directory, err));
    *out = (struct lookup_keys){keys->rows, bits, directory->data, keys->data};
    return order && !is_in_order(out) ? say_disorder(b, out, prefix, err) : ST_OK;
}

enum status lookup_open(const struct bundle *b, const char *name, size_t dim,
                        const struct init_cfg *init, uint64_t seed, bool check,
                        struct lookup *out, struct error *err)
{
    char prefix[BUNDLE_MAX_NAME + 32];
    const struct bundle_section *rows, *scales = NULL;
    struct lookup_keys keys;
    snprintf(prefix, sizeof prefix, "table/%s", name);
    TRY(lookup_open_keys(b, prefix, "keys", check, &keys, err));
    TRY(lookup_section(b, prefix, "rows", SECTION_TYPES, keys.n, dim, &rows, err));
    if (rows->type != SECTION_F32 && rows->type != SECTION_F16 && rows->type != SECTION_I8)
        return error_set(err, ST_DATA, "%s: table %s: rows are of type %s", b->path, name,
                         section_type_name(rows->type));
    if (rows->type == SECTION_I8) TRY(lookup_section(b, prefix, "scales", SECTION_F32, keys.n, 0, &scales, err));
    if (check && !(bundle_is_finite(rows) && (!scales || bundle_is_finite(scales))))
        return error_set(err, ST_DATA, "%s: table %s holds a number that is not finite", b->path, name);
    *out = (struct lookup){.keys = keys,
                           .dim = dim,
                           .type = rows->type,
                           .rows = rows->data,
                           .scales = scales ? scales->data : NULL,
                           .init = *init,
                           .rng = row_init_rng(seed, name)};
    return ST_OK;
}

/* ---- rows ---- */

/* What the directory says is checked here, because it may not have been before. */
static size_t find(const struct lookup_keys *k, uint64_t key, size_t entry)
{
    size_t first = k->directory[entry], end = k->directory[entry + 1];
    if (end > k->n) return SIZE_MAX;
    for (size_t i = first; i < end; i++)
        if (k->keys[i] == key) return i;
    return SIZE_MAX;
}

size_t lookup_find(const struct lookup_keys *k, uint64_t key)
{
    return find(k, key, lookup_entry(hash_mix(key), k->bits));
}

/* Both out of the loops over keys: what a request's table is does not change in them. */
static void ask_directory(const struct lookup_request *r)
{
    const struct lookup_keys *k = &r->table->keys;
    for (size_t i = 0; i < r->n; i++) {
        r->place[i] = lookup_entry(hash_mix(r->keys[i]), k->bits);
        PREFETCH(k->directory + r->place[i]);
    }
}

static void ask_keys(const struct lookup_request *r)
{
    const struct lookup_keys *k = &r->table->keys;
    for (size_t i = 0; i < r->n; i++) PREFETCH(k->keys + k->directory[r->place[i]]);
}

static void find_places(const struct lookup_request *r)
{
    const struct lookup *l = r->table, *base = l->base;
    const char *rows = l->rows;
    size_t row_bytes = l->dim * section_type_bytes(l->type);
    for (size_t i = 0; i < r->n; i++) {
        size_t place = find(&l->keys, r->keys[i], r->place[i]);
        if (place != SIZE_MAX) {
            PREFETCH(rows + place * row_bytes);
        } else if (base) {
            place = lookup_find(&base->keys, r->keys[i]);
            if (place != SIZE_MAX) place += l->keys.n;
        }
        r->place[i] = place;
    }
}

void lookup_places(const struct lookup_request *requests, size_t n)
{
    for (size_t i = 0; i < n; i++) ask_directory(&requests[i]);
    for (size_t i = 0; i < n; i++) ask_keys(&requests[i]);
    for (size_t i = 0; i < n; i++) find_places(&requests[i]);
}

static const float *unpack(const struct lookup *l, size_t i, float *room)
{
    size_t at = i * l->dim;
    if (l->type == SECTION_F32) return (const float *)l->rows + at;
    const uint16_t *half = (const uint16_t *)l->rows + at;
    const int8_t *eighth = (const int8_t *)l->rows + at;
    if (l->type == SECTION_F16)
        for (size_t j = 0; j < l->dim; j++) room[j] = half_to_float(half[j]);
    else
        for (size_t j = 0; j < l->dim; j++) room[j] = l->scales[i] * (float)eighth[j];
    return room;
}

const float *lookup_row(const struct lookup *l, uint64_t key, size_t place, float *room)
{
    if (place < l->keys.n) return unpack(l, place, room);
    if (place != SIZE_MAX) return unpack(l->base, place - l->keys.n, room);
    row_init(&l->init, &l->rng, key, l->dim, room);
    return room;
}

/* ---- writing ---- */

static void pack_i8(const float *row, size_t dim, int8_t *to, float *scale)
{
    float most = 0;
    for (size_t j = 0; j < dim; j++) most = fabsf(row[j]) > most ? fabsf(row[j]) : most;
    *scale = most / I8_MAX;
    for (size_t j = 0; j < dim; j++) {
        float q = *scale > 0 ? rintf(row[j] / *scale) : 0;
        to[j] = (int8_t)(q > I8_MAX ? I8_MAX : q < -I8_MAX ? -I8_MAX : q);
    }
}

void lookup_pack(enum section_type type, const float *row, size_t dim, void *values,
                 float *scale)
{
    uint16_t *half = values;
    if (type == SECTION_F32)
        memcpy(values, row, dim * sizeof *row);
    else if (type == SECTION_I8)
        pack_i8(row, dim, values, scale);
    else
        for (size_t j = 0; j < dim; j++) half[j] = half_from_float(fminf(fmaxf(row[j], -HALF_MOST), HALF_MOST));
}
