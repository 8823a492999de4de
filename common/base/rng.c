#include "common/base/rng.h"

#include <string.h>

#include <Random123/philox.h>

#include "common/base/hash.h"

struct rng rng_make(uint64_t seed, enum rng_purpose purpose, uint64_t stream)
{
    return (struct rng){seed, hash_mix(stream ^ hash_mix((uint64_t)purpose))};
}

struct rng rng_named(uint64_t seed, enum rng_purpose purpose, const char *name)
{
    return rng_make(seed, purpose, hash_bytes(name, strlen(name), (uint64_t)purpose));
}

/* Counter: index, sub and the low half of the stream; key: seed and the high
 * half, so that two streams of one seed never share a block. */
uint64_t rng_u64(const struct rng *r, uint64_t index, uint32_t sub)
{
    philox4x32_ctr_t counter = {{(uint32_t)index, (uint32_t)(index >> 32), sub, (uint32_t)r->stream}};
    uint64_t k = r->seed ^ (r->stream & UINT64_C(0xffffffff00000000));
    philox4x32_key_t key = {{(uint32_t)k, (uint32_t)(k >> 32)}};
    philox4x32_ctr_t out = philox4x32(counter, key);
    return (uint64_t)out.v[1] << 32 | out.v[0];
}

double rng_uniform(const struct rng *r, uint64_t index, uint32_t sub)
{
    return (double)(rng_u64(r, index, sub) >> 11) * 0x1p-53;
}

void rng_permutation(const struct rng *r, uint32_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++) out[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        /* Multiply-shift: bias below i / 2^64. */
        uint32_t j = (uint32_t)((__uint128_t)rng_u64(r, i, 0) * i >> 64);
        uint32_t t = out[i - 1];
        out[i - 1] = out[j];
        out[j] = t;
    }
}
