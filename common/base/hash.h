/* 64-bit hashing of ids. Frozen: a change makes every stored table unreadable
 * (HASH_VERSION is kept in checkpoints and prepared data). */
#ifndef MTPS_BASE_HASH_H
#define MTPS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"

enum { HASH_VERSION = 1 };

/* Key of an id: XXH3-64 of its bytes, unsalted, seed 0. */
uint64_t hash_id(const void *bytes, size_t n);

/* XXH3-64 with a seed, for everything that is not an id (names, rows, digests). */
uint64_t hash_bytes(const void *bytes, size_t n, uint64_t seed);

/* hash_bytes(.., seed 0) of bytes that come piece by piece. */
struct hash_stream;
struct hash_stream *hash_stream_create(void) MUST_USE; /* NULL when out of memory */
void hash_stream_destroy(struct hash_stream *s);
void hash_stream_add(struct hash_stream *s, const void *bytes, size_t n);
uint64_t hash_stream_value(const struct hash_stream *s);

/* A bijection of 64-bit numbers with full avalanche (the finaliser of
 * SplitMix64). Raw numbers (`key: uint64`) become well spread by it. */
static inline uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Key of a pair of ids: what `cross: [a, b]` looks up. */
static inline uint64_t hash_pair(uint64_t a, uint64_t b)
{
    return hash_mix(hash_mix(a) + UINT64_C(0x9e3779b97f4a7c15) + (b << 1 | b >> 63));
}

#endif
