#include "common/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_id(const void *bytes, size_t n)
{
    return XXH3_64bits(bytes, n);
}

uint64_t hash_bytes(const void *bytes, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, n, seed);
}
