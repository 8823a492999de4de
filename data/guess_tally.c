#include "data/guess_tally.h"

#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"

enum { FIRST_CAPACITY = 16 };

void tally_init(struct tally *t, size_t limit, size_t width)
{
    *t = (struct tally){.limit = limit, .width = width};
}

void tally_close(struct tally *t)
{
    mem_free(t->v);
    mem_free(t->sums);
    mem_free(t->slots);
    *t = (struct tally){0};
}

static size_t slot_of(const struct tally *t, uint64_t key)
{
    size_t i = (size_t)hash_mix(key) & (t->n_slots - 1);
    while (t->slots[i] && t->v[t->slots[i] - 1].key != key)
        i = (i + 1) & (t->n_slots - 1);
    return i;
}

static enum status grow(struct tally *t, struct error *err)
{
    size_t capacity = t->capacity ? 2 * t->capacity : FIRST_CAPACITY;
    struct tally_value *v = mem_resize(t->v, capacity, sizeof *v);
    if (!v) return mem_error(err, "values seen", capacity * sizeof *v);
    t->v = v;
    if (t->width) {
        double *sums = mem_resize(t->sums, capacity * t->width, sizeof *sums);
        if (!sums) return mem_error(err, "values seen", capacity * sizeof *sums);
        t->sums = sums;
    }
    uint32_t *slots = mem_zeroed(2 * capacity, sizeof *slots);
    if (!slots) return mem_error(err, "values seen", 2 * capacity * sizeof *slots);
    mem_free(t->slots);
    t->slots = slots;
    t->n_slots = 2 * capacity;
    t->capacity = capacity;
    for (size_t i = 0; i < t->n; i++) t->slots[slot_of(t, t->v[i].key)] = (uint32_t)i + 1;
    return ST_OK;
}

enum status tally_add(struct tally *t, uint64_t key, double number, size_t *place,
                      struct error *err)
{
    if (t->n == t->capacity && t->n < t->limit) TRY(grow(t, err));
    *place = SIZE_MAX;
    size_t slot = t->n_slots ? slot_of(t, key) : 0;
    if (t->n_slots && t->slots[slot]) {
        *place = t->slots[slot] - 1;
        t->v[*place].n++;
        return ST_OK;
    }
    if (t->n >= t->limit) {
        t->n_more++;
        return ST_OK;
    }
    *place = t->n++;
    t->slots[slot] = (uint32_t)t->n;
    t->v[*place] = (struct tally_value){key, number, 1};
    for (size_t k = 0; k < t->width; k++) t->sums[*place * t->width + k] = 0;
    return ST_OK;
}
