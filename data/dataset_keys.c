#include "data/dataset_keys.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/partition.h"

enum { FIRST_SLOTS = 64 };

/* ---- keys ---- */

static void place_key(struct key_set *s, uint64_t key, uint32_t number)
{
    size_t i = hash_mix(key) & (s->n_slots - 1);
    while (s->slots[i]) i = (i + 1) & (s->n_slots - 1);
    s->slots[i] = number + 1;
}

static bool grow_keys(struct key_set *s)
{
    if (s->n + 1 >= KEY_SET_FULL) return false;
    if (s->n == s->max) {
        size_t max = s->max ? 2 * s->max : FIRST_SLOTS / 2;
        uint64_t *keys = mem_resize(s->keys, max, sizeof *keys);
        if (!keys) return false;
        s->keys = keys;
        s->max = max;
    }
    if (2 * (s->n + 1) <= s->n_slots) return true;
    size_t n = s->n_slots ? 2 * s->n_slots : FIRST_SLOTS;
    uint32_t *slots = mem_zeroed(n, sizeof *slots);
    if (!slots) return false;
    mem_free(s->slots);
    s->slots = slots;
    s->n_slots = n;
    for (size_t i = 0; i < s->n; i++) place_key(s, s->keys[i], (uint32_t)i);
    return true;
}

uint32_t key_set_add(struct key_set *s, uint64_t key)
{
    if (s->n_slots) {
        size_t i = hash_mix(key) & (s->n_slots - 1);
        for (; s->slots[i]; i = (i + 1) & (s->n_slots - 1))
            if (s->keys[s->slots[i] - 1] == key) return s->slots[i] - 1;
    }
    if (!grow_keys(s)) return KEY_SET_FULL;
    place_key(s, key, (uint32_t)s->n);
    s->keys[s->n] = key;
    return (uint32_t)s->n++;
}

void key_set_clear(struct key_set *s)
{
    if (s->n_slots) memset(s->slots, 0, s->n_slots * sizeof *s->slots);
    s->n = 0;
}

void key_set_close(struct key_set *s)
{
    mem_free(s->keys);
    mem_free(s->slots);
    *s = (struct key_set){0};
}

struct ranked {
    uint64_t key;
    uint32_t number;
};

static int compare_ranked(const void *a, const void *b)
{
    uint64_t x = ((const struct ranked *)a)->key, y = ((const struct ranked *)b)->key;
    return (x > y) - (x < y);
}

/* A counting sort by bucket, then each bucket by key. */
enum status key_set_rank(const struct key_set *s, uint32_t *rank, uint64_t *sorted,
                         struct error *err)
{
    struct ranked *r = mem_array(s->n, sizeof *r);
    if (!r) return mem_error(err, "sorting a dictionary", s->n * sizeof *r);
    size_t at[N_BUCKETS + 1] = {0};
    for (size_t i = 0; i < s->n; i++) at[partition_bucket(s->keys[i]) + 1]++;
    for (size_t b = 0; b < N_BUCKETS; b++) at[b + 1] += at[b];
    for (size_t i = 0; i < s->n; i++)
        r[at[partition_bucket(s->keys[i])]++] = (struct ranked){s->keys[i], (uint32_t)i};
    for (size_t b = 0, first = 0; b < N_BUCKETS; first = at[b++])
        qsort(r + first, at[b] - first, sizeof *r, compare_ranked);
    for (size_t i = 0; i < s->n; i++) {
        sorted[i] = r[i].key;
        rank[r[i].number] = (uint32_t)i;
    }
    mem_free(r);
    return ST_OK;
}

size_t keys_find(const uint64_t *sorted, size_t n, uint64_t key)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (partition_before(sorted[mid], key))
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && sorted[low] == key ? low : SIZE_MAX;
}

/* ---- texts ---- */

static size_t text_slot(const struct text_set *s, struct text t)
{
    return hash_id(t.s, t.n) & (s->n_slots - 1);
}

static void place_text(struct text_set *s, struct text t, uint32_t number)
{
    size_t i = text_slot(s, t);
    while (s->slots[i]) i = (i + 1) & (s->n_slots - 1);
    s->slots[i] = number + 1;
}

static bool grow_texts(struct text_set *s, size_t bytes)
{
    if (s->n + 1 >= KEY_SET_FULL) return false;
    if (s->n + 1 >= s->max) {
        size_t max = s->max ? 2 * s->max : FIRST_SLOTS / 2;
        uint64_t *start = mem_resize(s->start, max, sizeof *start);
        if (!start) return false;
        if (!s->n) start[0] = 0;
        s->start = start;
        s->max = max;
    }
    if (s->n_bytes + bytes > s->max_bytes) {
        size_t max = 2 * s->max_bytes + bytes + 256;
        char *p = mem_resize(s->bytes, max, 1);
        if (!p) return false;
        s->bytes = p;
        s->max_bytes = max;
    }
    if (2 * (s->n + 1) <= s->n_slots) return true;
    size_t n = s->n_slots ? 2 * s->n_slots : FIRST_SLOTS;
    uint32_t *slots = mem_zeroed(n, sizeof *slots);
    if (!slots) return false;
    mem_free(s->slots);
    s->slots = slots;
    s->n_slots = n;
    for (size_t i = 0; i < s->n; i++) place_text(s, text_set_get(s, i), (uint32_t)i);
    return true;
}

uint32_t text_set_add(struct text_set *s, struct text t)
{
    if (s->n_slots) {
        size_t i = text_slot(s, t);
        for (; s->slots[i]; i = (i + 1) & (s->n_slots - 1)) {
            struct text have = text_set_get(s, s->slots[i] - 1);
            if (have.n == t.n && !memcmp(have.s, t.s, t.n)) return s->slots[i] - 1;
        }
    }
    if (!grow_texts(s, t.n)) return KEY_SET_FULL;
    place_text(s, t, (uint32_t)s->n);
    memcpy(s->bytes + s->n_bytes, t.s, t.n);
    s->n_bytes += t.n;
    s->start[++s->n] = s->n_bytes;
    return (uint32_t)(s->n - 1);
}

void text_set_close(struct text_set *s)
{
    mem_free(s->bytes);
    mem_free(s->start);
    mem_free(s->slots);
    *s = (struct text_set){0};
}
