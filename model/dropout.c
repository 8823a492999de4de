#include "model/dropout.h"

#include <string.h>

#include "common/base/compiler.h"
#include "common/base/hash.h"
#include "common/base/rng.h"

struct dropout dropout_make(double rate, const char *unit, size_t layer)
{
    return (struct dropout){.rate = (float)rate,
                            .scale = (float)(1.0 / (1.0 - rate)),
                            .below = (uint32_t)(rate * 0x1p32),
                            .name = hash_bytes(unit, strlen(unit), layer)};
}

void dropout_keys(uint64_t seed, uint64_t step, size_t n, const uint64_t *row,
                  uint64_t *keys)
{
    struct rng r = rng_make(seed, RNG_DROPOUT, step);
    for (size_t i = 0; i < n; i++) keys[i] = rng_u64(&r, row[i], 0);
}

/* A 32-bit mixer with full avalanche (C. Wellons' search for such functions, 2018), one
 * half of the key before each of its halves. */
ALWAYS_INLINE uint32_t mix(uint32_t low, uint32_t high, uint32_t j)
{
    uint32_t x = low + j * UINT32_C(0x9e3779b9);
    x ^= x >> 16;
    x *= UINT32_C(0x21f0aaad);
    x ^= x >> 15;
    x ^= high;
    x *= UINT32_C(0x735a2d97);
    x ^= x >> 15;
    x *= UINT32_C(0x21f0aaad);
    return x ^ x >> 16;
}

VECTOR_CLONES
static void apply_row(uint32_t low, uint32_t high, uint32_t below, float scale, size_t n,
                      float *y)
{
    for (size_t j = 0; j < n; j++)
        y[j] = mix(low, high, (uint32_t)j) < below ? 0.0f : y[j] * scale;
}

void dropout_apply(const struct dropout *d, size_t rows, size_t n, const uint64_t *keys,
                   float *y, size_t ld)
{
    for (size_t r = 0; r < rows; r++) {
        uint64_t key = hash_mix(keys[r] ^ d->name);
        apply_row((uint32_t)key, (uint32_t)(key >> 32), d->below, d->scale, n,
                  y + r * ld);
    }
}

bool dropout_keeps(const struct dropout *d, uint64_t key, size_t j)
{
    uint64_t k = hash_mix(key ^ d->name);
    return mix((uint32_t)k, (uint32_t)(k >> 32), (uint32_t)j) >= d->below;
}
