/* The layout-independent digest (ckpt.h). Each item is hashed on its own with
 * two seeds; adding the 128-bit results makes order and grouping irrelevant. */
#include "common/store/ckpt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"

enum { SEED_LOW = 0x726f7731, SEED_HIGH = 0x726f7732 };

static void add(struct digest *d, uint64_t low, uint64_t high)
{
    d->low += low;
    d->high += high + (d->low < low);
}

void digest_add(struct digest *d, const struct digest *other)
{
    add(d, other->low, other->high);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return a->low == b->low && a->high == b->high;
}

/* The fixed part is hashed first; its hash seeds that of the values. */
static uint64_t hash_item(const uint64_t *head, size_t n_head, const float *values,
                          size_t n, uint64_t seed)
{
    return hash_bytes(values, n * sizeof *values,
                      hash_bytes(head, n_head * sizeof *head, seed));
}

void digest_row(struct digest *d, uint64_t table_hash, uint64_t key, uint64_t last_step,
                uint64_t count, const float *values, size_t n_values)
{
    const uint64_t head[] = {table_hash, key, last_step, count};
    add(d, hash_item(head, 4, values, n_values, SEED_LOW),
        hash_item(head, 4, values, n_values, SEED_HIGH));
}

static uint64_t hash_tensor(const uint64_t *head, size_t n_head, const float *values,
                            size_t rows, size_t width, size_t stride, uint64_t seed)
{
    uint64_t h = hash_bytes(head, n_head * sizeof *head, seed);
    for (size_t r = 0; r < rows; r++)
        h = hash_bytes(values + r * stride, width * sizeof *values, h);
    return h;
}

void digest_tensor(struct digest *d, const char *name, size_t rows, size_t cols,
                   const float *values, size_t stride)
{
    const uint64_t head[] = {hash_id(name, strlen(name)), rows, cols};
    size_t width = cols ? cols : 1;
    if (stride == 0) stride = width;
    add(d, hash_tensor(head, 3, values, rows, width, stride, SEED_LOW),
        hash_tensor(head, 3, values, rows, width, stride, SEED_HIGH));
}

void digest_number(struct digest *d, const char *name, uint64_t value)
{
    const uint64_t head[] = {hash_id(name, strlen(name)), value};
    add(d, hash_bytes(head, sizeof head, SEED_LOW),
        hash_bytes(head, sizeof head, SEED_HIGH));
}

void digest_hex(const struct digest *d, char hex[33])
{
    snprintf(hex, 33, "%016" PRIx64 "%016" PRIx64, d->high, d->low);
}
