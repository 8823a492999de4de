#include "ps/table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/math/row_init.h"

enum {
    FIRST_BLOCK_LOG2 = 6, /* rows of slab block 0; block b has twice as many as b - 1 */
    MAX_BLOCKS = 26,
    FIRST_SLOTS = 128,
    ROW_ALIGNMENT = 64,
    KEY_ALIGNMENT = 32, /* of rows without weights */
    HUGE_PAGE = 2 << 20,
    PREFETCH_GROUP = 64,
};

struct slot {
    uint64_t key;
    uint64_t row; /* number of the row + 1; 0 = free */
};

struct table {
    char *name;
    size_t dim, n_state;
    float initial_state;
    struct init_cfg init;
    struct rng rng;

    struct slot *slots;
    size_t n_slots; /* power of two */
    size_t n_rows;
    size_t stride; /* bytes of a row */
    unsigned char *blocks[MAX_BLOCKS];
    size_t n_blocks;
};

/* Big blocks are walked at random: ask for huge pages on their whole part. */
static void advise_huge(void *p, size_t bytes)
{
    if (bytes < (size_t)2 * HUGE_PAGE) return;
    uintptr_t first = ((uintptr_t)p + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uintptr_t end = ((uintptr_t)p + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (end > first) (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
}

static size_t block_rows(size_t block)
{
    return (size_t)1 << (FIRST_BLOCK_LOG2 + block);
}

/* Blocks 0 .. b-1 hold 2^(b+k) - 2^k rows, k = FIRST_BLOCK_LOG2: the top bit of
 * number + 2^k names the block. */
static struct row *row_at(const struct table *t, size_t number)
{
    size_t x = number + ((size_t)1 << FIRST_BLOCK_LOG2);
    size_t top = 63 - (size_t)__builtin_clzll(x);
    size_t place = x - ((size_t)1 << top);
    return (struct row *)(void *)(t->blocks[top - FIRST_BLOCK_LOG2] + place * t->stride);
}

static size_t capacity(const struct table *t)
{
    return block_rows(t->n_blocks) - block_rows(0);
}

enum status table_create(const struct table_shape *shape, struct table **out,
                         struct error *err)
{
    struct table *t = mem_zeroed(1, sizeof *t);
    if (!t) return mem_error(err, "table", sizeof *t);
    t->dim = shape->dim;
    t->n_state = shape->n_state;
    t->initial_state = shape->initial_state;
    t->init = shape->init;
    t->rng = row_init_rng(shape->seed, shape->name);
    size_t bytes = sizeof(struct row) + (t->dim + t->n_state) * sizeof(float);
    size_t to = bytes > KEY_ALIGNMENT ? ROW_ALIGNMENT : KEY_ALIGNMENT;
    t->stride = (bytes + to - 1) / to * to;
    t->name = mem_strdup(shape->name);
    t->slots = mem_zeroed(FIRST_SLOTS, sizeof *t->slots);
    t->n_slots = FIRST_SLOTS;
    if (!t->name || !t->slots) {
        table_destroy(t);
        return mem_error(err, "table", FIRST_SLOTS * sizeof *t->slots);
    }
    *out = t;
    return ST_OK;
}

static void free_blocks(struct table *t)
{
    for (size_t b = 0; b < t->n_blocks; b++) mem_free(t->blocks[b]);
    t->n_blocks = 0;
}

void table_destroy(struct table *t)
{
    if (!t) return;
    free_blocks(t);
    mem_free(t->slots);
    mem_free(t->name);
    mem_free(t);
}

void table_clear(struct table *t)
{
    free_blocks(t);
    memset(t->slots, 0, t->n_slots * sizeof *t->slots);
    t->n_rows = 0;
}

size_t table_dim(const struct table *t)
{
    return t->dim;
}

uint64_t table_rows(const struct table *t)
{
    return t->n_rows;
}

uint64_t table_bytes(const struct table *t)
{
    return t->n_slots * sizeof *t->slots + capacity(t) * t->stride;
}

/* The top bits of the mix choose server and shard, so slots use the low ones. */
static struct slot *home(const struct table *t, uint64_t key)
{
    return &t->slots[hash_mix(key) & (t->n_slots - 1)];
}

/* Slot of the key, or the free slot where it would stand. */
static struct slot *probe(const struct table *t, struct slot *s, uint64_t key)
{
    struct slot *end = t->slots + t->n_slots;
    while (s->row && s->key != key)
        if (++s == end) s = t->slots;
    return s;
}

static void find_group(const struct table *t, size_t n, const uint64_t *keys,
                       struct row **rows)
{
    struct slot *at[PREFETCH_GROUP];
    for (size_t i = 0; i < n; i++) {
        at[i] = home(t, keys[i]);
        PREFETCH(at[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const struct slot *s = probe(t, at[i], keys[i]);
        rows[i] = s->row ? row_at(t, s->row - 1) : NULL;
        if (!rows[i]) continue;
        PREFETCH(rows[i]);
        PREFETCH((const char *)rows[i] + 64);
        PREFETCH((const char *)rows[i] + 128);
    }
}

void table_find(const struct table *t, size_t n, const uint64_t *keys, struct row **rows)
{
    for (size_t i = 0; i < n; i += PREFETCH_GROUP)
        find_group(t, n - i < PREFETCH_GROUP ? n - i : PREFETCH_GROUP, keys + i,
                   rows + i);
}

static enum status no_room(const struct table *t, size_t bytes, struct error *err)
{
    return error_set(err, ST_NOMEM,
                     "out of memory: table %s with %zu rows: %zu bytes more", t->name,
                     t->n_rows, bytes);
}

static enum status grow_slots(struct table *t, struct error *err)
{
    size_t n = 2 * t->n_slots;
    struct slot *bigger = mem_array(n, sizeof *bigger);
    if (!bigger) return no_room(t, n * sizeof *bigger, err);
    advise_huge(bigger, n * sizeof *bigger);
    memset(bigger, 0, n * sizeof *bigger);
    struct slot *old = t->slots;
    size_t n_old = t->n_slots;
    t->slots = bigger;
    t->n_slots = n;
    for (size_t i = 0; i < n_old; i++)
        if (old[i].row) *probe(t, home(t, old[i].key), old[i].key) = old[i];
    mem_free(old);
    return ST_OK;
}

static enum status grow_slab(struct table *t, struct error *err)
{
    size_t bytes = block_rows(t->n_blocks) * t->stride;
    if (t->n_blocks == MAX_BLOCKS) return no_room(t, bytes, err);
    unsigned char *block = mem_alloc(bytes);
    if (!block) return no_room(t, bytes, err);
    advise_huge(block, bytes);
    t->blocks[t->n_blocks++] = block;
    return ST_OK;
}

enum status table_insert(struct table *t, uint64_t key, const float *weights,
                         struct row **out, struct error *err)
{
    if (4 * (t->n_rows + 1) > 3 * t->n_slots) TRY(grow_slots(t, err));
    if (t->n_rows == capacity(t)) TRY(grow_slab(t, err));
    struct slot *s = probe(t, home(t, key), key);
    if (s->row) { /* the key stood twice in one request */
        *out = row_at(t, s->row - 1);
        return ST_OK;
    }
    struct row *r = row_at(t, t->n_rows);
    *s = (struct slot){.key = key, .row = ++t->n_rows};
    memset(r, 0, t->stride);
    r->key = key;
    if (weights)
        memcpy(r->values, weights, t->dim * sizeof *weights);
    else
        table_initial(t, key, r->values);
    for (size_t i = 0; i < t->n_state; i++) r->values[t->dim + i] = t->initial_state;
    *out = r;
    return ST_OK;
}

/* Slots behind a gap move into it unless that would bring them before their home. */
static void close_gap(struct table *t, struct slot *gap)
{
    size_t mask = t->n_slots - 1, hole = (size_t)(gap - t->slots);
    for (size_t i = (hole + 1) & mask; t->slots[i].row; i = (i + 1) & mask) {
        size_t from = (size_t)(home(t, t->slots[i].key) - t->slots);
        if (((i - from) & mask) < ((i - hole) & mask)) continue;
        t->slots[hole] = t->slots[i];
        hole = i;
    }
    t->slots[hole].row = 0;
}

void table_remove(struct table *t, uint64_t key)
{
    struct slot *s = probe(t, home(t, key), key);
    if (!s->row) return;
    size_t number = s->row - 1, last = --t->n_rows;
    close_gap(t, s);
    if (number == last) return;
    const struct row *moved = row_at(t, last);
    memcpy(row_at(t, number), moved, t->stride);
    probe(t, home(t, moved->key), moved->key)->row = number + 1;
}

void table_initial(const struct table *t, uint64_t key, float *w)
{
    row_init(&t->init, &t->rng, key, t->dim, w);
}

const struct row *table_row(const struct table *t, size_t i)
{
    return row_at(t, i);
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = (*(struct row *const *)a)->key, y = (*(struct row *const *)b)->key;
    return (x > y) - (x < y);
}

/* Counting sort by bucket, then each bucket by key. */
enum status table_sorted(const struct table *t, struct row ***rows, struct error *err)
{
    struct row **v = mem_array(t->n_rows, sizeof *v);
    if (!v) return no_room(t, t->n_rows * sizeof *v, err);
    size_t start[N_BUCKETS + 1] = {0};
    for (size_t i = 0; i < t->n_rows; i++)
        start[partition_bucket(row_at(t, i)->key) + 1]++;
    for (size_t b = 0; b < N_BUCKETS; b++) start[b + 1] += start[b];
    size_t next[N_BUCKETS];
    memcpy(next, start, sizeof next);
    for (size_t i = 0; i < t->n_rows; i++) {
        struct row *r = row_at(t, i);
        v[next[partition_bucket(r->key)]++] = r;
    }
    for (size_t b = 0; b < N_BUCKETS; b++)
        qsort(v + start[b], start[b + 1] - start[b], sizeof *v, by_key);
    *rows = v;
    return ST_OK;
}
