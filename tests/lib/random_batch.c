#include "tests/lib/random_batch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/partition.h"
#include "common/base/rng.h"

static void *own(struct random_batch *r, size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p || r->n_memory == sizeof r->memory / sizeof *r->memory) {
        fprintf(stderr, "random_batch: out of memory\n");
        abort();
    }
    r->memory[r->n_memory++] = p;
    return p;
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x == y ? 0 : partition_before(x, y) ? -1 : 1;
}

static size_t sort_distinct(uint64_t *keys, size_t n)
{
    size_t m = 0;
    qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 0; i < n; i++)
        if (!m || keys[m - 1] != keys[i]) keys[m++] = keys[i];
    return m;
}

static uint32_t find(const uint64_t *keys, size_t n, uint64_t key)
{
    const uint64_t *at = bsearch(&key, keys, n, sizeof *keys, by_key);
    return (uint32_t)(at - keys);
}

/* Keys of every occurrence; off for multi-valued features. */
static uint64_t *draw(struct random_batch *r, size_t B, const struct random_id *id, struct batch_id *out,
                      const struct rng *g)
{
    uint32_t *off = NULL;
    size_t n = B;
    if (id->max_per_row) {
        off = own(r, B + 1, sizeof *off);
        for (size_t s = 0; s < B; s++)
            off[s + 1] = off[s] + (uint32_t)(rng_u64(g, s, 7) % (id->max_per_row + 1));
        n = off[B];
    }
    uint64_t *keys = own(r, n, sizeof *keys);
    for (size_t i = 0; i < n; i++)
        keys[i] = (uint64_t)((double)id->n_ids * pow(rng_uniform(g, i, 1), id->skew)) * 7919 + id->table;
    out->n = n;
    out->off = off;
    return keys;
}

static void transpose(struct random_batch *r, size_t B, struct batch_id *id)
{
    uint32_t *t_off = own(r, id->n_distinct + 1, sizeof *t_off), *t_row = own(r, id->n, sizeof *t_row);
    for (size_t i = 0; i < id->n; i++) t_off[id->idx[i] + 1]++;
    for (size_t u = 0; u < id->n_distinct; u++) t_off[u + 1] += t_off[u];
    uint32_t *at = own(r, id->n_distinct, sizeof *at);
    for (size_t s = 0; s < B; s++)
        for (size_t o = id->off ? id->off[s] : s; o < (id->off ? id->off[s + 1] : s + 1); o++)
            t_row[t_off[id->idx[o]] + at[id->idx[o]]++] = (uint32_t)s;
    id->t_off = t_off;
    id->t_row = t_row;
}

static void make_ids(struct random_batch *r, size_t B, const struct random_id *ids, size_t n_ids,
                     size_t n_tables, uint64_t seed)
{
    uint64_t **keys = own(r, n_ids, sizeof *keys);
    for (size_t i = 0; i < n_ids; i++) {
        struct rng g = rng_make(seed, RNG_TEST, i);
        keys[i] = draw(r, B, &ids[i], &r->ids[i], &g);
    }
    for (size_t t = 0; t < n_tables; t++) {
        size_t n = 0;
        for (size_t i = 0; i < n_ids; i++) n += ids[i].table == t ? r->ids[i].n : 0;
        uint64_t *all = own(r, n, sizeof *all);
        n = 0;
        for (size_t i = 0; i < n_ids; i++)
            if (ids[i].table == t) {
                memcpy(all + n, keys[i], r->ids[i].n * sizeof *all);
                n += r->ids[i].n;
            }
        r->tables[t] = (struct batch_table){.n = sort_distinct(all, n), .keys = all};
        r->tables[t].count = own(r, n, sizeof(uint32_t));
    }
    for (size_t i = 0; i < n_ids; i++) {
        struct batch_id *id = &r->ids[i];
        const struct batch_table *t = &r->tables[ids[i].table];
        uint64_t *own_keys = own(r, id->n, sizeof *own_keys);
        memcpy(own_keys, keys[i], id->n * sizeof *own_keys);
        id->n_distinct = sort_distinct(own_keys, id->n);
        uint32_t *row = own(r, id->n_distinct, sizeof *row), *idx = own(r, id->n, sizeof *idx);
        for (size_t u = 0; u < id->n_distinct; u++) row[u] = find(t->keys, t->n, own_keys[u]);
        for (size_t o = 0; o < id->n; o++) {
            idx[o] = find(own_keys, id->n_distinct, keys[i][o]);
            ((uint32_t *)t->count)[row[idx[o]]]++;
        }
        id->row = row;
        id->idx = idx;
        transpose(r, B, id);
    }
}

static float *noise(struct random_batch *r, size_t n, uint64_t seed, uint64_t stream)
{
    struct rng g = rng_make(seed, RNG_TEST, stream);
    float *v = own(r, n, sizeof *v);
    for (size_t i = 0; i < n; i++) v[i] = (float)rng_uniform(&g, i, 0) - 0.5f;
    return v;
}

void random_batch_make(struct random_batch *r, size_t n_rows, const struct random_id *ids, size_t n_ids,
                       const size_t *dims, size_t n_tables, const size_t *levels, size_t n_one_hot,
                       size_t n_dense, uint64_t seed)
{
    *r = (struct random_batch){.n_memory = 0};
    r->tables = own(r, n_tables, sizeof *r->tables);
    r->ids = own(r, n_ids, sizeof *r->ids);
    r->rows = own(r, n_tables, sizeof *r->rows);
    make_ids(r, n_rows, ids, n_ids, n_tables, seed);
    for (size_t t = 0; t < n_tables; t++) r->rows[t] = noise(r, r->tables[t].n * dims[t], seed, 1000 + t);
    uint32_t **one_hot = own(r, n_one_hot, sizeof *one_hot);
    for (size_t i = 0; i < n_one_hot; i++) {
        struct rng g = rng_make(seed, RNG_TEST, 3000 + i);
        one_hot[i] = own(r, n_rows, sizeof **one_hot);
        for (size_t s = 0; s < n_rows; s++) {
            uint64_t level = rng_u64(&g, s, 0) % (levels[i] + 1);
            one_hot[i][s] = level == levels[i] ? ONE_HOT_NONE : (uint32_t)level;
        }
    }
    r->batch = (struct batch){.n_rows = n_rows,
                              .n_tables = n_tables,
                              .n_ids = n_ids,
                              .n_one_hot = n_one_hot,
                              .n_dense = n_dense,
                              .tables = r->tables,
                              .ids = r->ids,
                              .one_hot = (const uint32_t *const *)one_hot,
                              .dense = noise(r, n_rows * n_dense, seed, 2000)};
    r->model_rows = (struct model_rows){.rows = (const float *const *)r->rows};
}

void random_batch_close(struct random_batch *r)
{
    for (size_t i = 0; i < r->n_memory; i++) free(r->memory[i]);
    r->n_memory = 0;
}
