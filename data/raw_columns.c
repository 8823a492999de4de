/* Which columns there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "data/raw_reader.h"
#include "data/raw_text.h"

/* Names of one source that are not there yet belong to `owner`. */
static enum status add_source(const struct data_cfg *data,
                              const struct source_cfg *source, struct raw_names *all,
                              size_t *n_owned, struct error *err)
{
    struct raw_wanted want = {.source = source, .slot = &data->slot};
    struct raw_names own;
    TRY(raw_names_init(&own, err));
    enum status st = raw_reader_names(&want, &own, err);
    size_t place;
    for (size_t i = 0; st == ST_OK && i < own.n; i++)
        st = raw_names_add(all, raw_text_of(own.v[i]), &place, err);
    raw_names_close(&own);
    *n_owned = all->n;
    return st;
}

static enum status add_join(const struct data_cfg *data, size_t j, struct raw_names *all,
                            size_t *n_owned, struct error *err)
{
    const struct join_cfg *join = &data->joins[j];
    if (join->source.format == SOURCE_SLOT)
        return config_fail(err, join->source.at, "a side table is csv or tsv, not slot text");
    enum status st = add_source(data, &join->source, all, n_owned, err);
    return st == ST_OK ? st : error_wrap(err, st, "join by %s", join->key.text);
}

/* Array of pointers, strings, owners: one block. n_owned[k]: names up to and with
 * owner k - 1. */
static enum status pack(const struct raw_names *all, const size_t *n_owned,
                        struct raw_columns *out, struct error *err)
{
    size_t bytes = all->n * (sizeof *out->names + sizeof *out->owner);
    for (size_t i = 0; i < all->n; i++) bytes += strlen(all->v[i]) + 1;
    const char **names = mem_alloc(bytes);
    if (!names) return mem_error(err, "column names", bytes);
    int *owner = (int *)(names + all->n);
    char *at = (char *)(owner + all->n);
    int who = -1;
    for (size_t i = 0; i < all->n; i++) {
        while (i >= n_owned[who + 1]) who++;
        owner[i] = who;
        names[i] = at;
        at = stpcpy(at, all->v[i]) + 1;
    }
    *out = (struct raw_columns){names, owner, all->n};
    return ST_OK;
}

enum status raw_columns_read(const struct data_cfg *data, const struct source_cfg *source,
                             struct raw_columns *out, struct error *err)
{
    struct raw_names all;
    size_t *n_owned = mem_zeroed(data->n_joins + 1, sizeof *n_owned);
    if (!n_owned) return mem_error(err, "column names", sizeof *n_owned);
    enum status st = raw_names_init(&all, err);
    if (st == ST_OK) st = add_source(data, source, &all, &n_owned[0], err);
    for (size_t j = 0; st == ST_OK && j < data->n_joins; j++)
        st = add_join(data, j, &all, &n_owned[j + 1], err);
    if (st == ST_OK) st = pack(&all, n_owned, out, err);
    raw_names_close(&all);
    mem_free(n_owned);
    return st;
}

void raw_columns_close(struct raw_columns *c)
{
    mem_free(c->names);
    *c = (struct raw_columns){0};
}

/* ---- as bytes: "OWNER NAME" and a 0 for each ---- */

enum { OWNER_ROOM = 16, MAX_OWNER = 1 << 16 };

enum status raw_columns_pack(const struct raw_columns *c, char **bytes, size_t *n,
                             struct error *err)
{
    size_t room = 1, at = 0;
    for (size_t i = 0; i < c->n; i++) room += strlen(c->names[i]) + OWNER_ROOM;
    char *out = mem_alloc(room);
    if (!out) return mem_error(err, "column names", room);
    for (size_t i = 0; i < c->n; i++)
        at += (size_t)snprintf(out + at, room - at, "%d %s", c->owner[i], c->names[i]) + 1;
    *bytes = out;
    *n = at;
    return ST_OK;
}

/* "OWNER NAME": gives the name, NULL when it is no such text. */
static const char *unpack_one(const char *text, int *owner)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (end == text || *end != ' ' || v < -1 || v > MAX_OWNER) return NULL;
    *owner = (int)v;
    return end + 1;
}

enum status raw_columns_unpack(const char *bytes, size_t n, struct raw_columns *out,
                               struct error *err)
{
    if (n && bytes[n - 1] != '\0') return error_set(err, ST_DATA, "column names: cut short");
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += bytes[i] == '\0';
    size_t room = count * (sizeof *out->names + sizeof *out->owner) + n;
    const char **names = mem_alloc(room);
    if (!names) return mem_error(err, "column names", room);
    int *owner = (int *)(names + count);
    char *copy = (char *)(owner + count);
    if (n) memcpy(copy, bytes, n);
    for (size_t i = 0; i < count; i++, copy += strlen(copy) + 1) {
        names[i] = unpack_one(copy, &owner[i]);
        if (names[i]) continue;
        mem_free(names);
        return error_set(err, ST_DATA, "column names: number %zu is not one", i);
    }
    *out = (struct raw_columns){names, owner, count};
    return ST_OK;
}
