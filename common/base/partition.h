/* Where things live. A key's mixed hash names one of 1024 buckets; buckets map
 * to servers in contiguous ranges; the dense parameter vector is cut in fixed
 * blocks that map to servers the same way. Pure functions: any rank computes
 * them alike, for any number of servers.
 *
 * The one order of keys, used in runs, files and dictionaries, is (bucket, key).
 * Since the bucket is the top of a bijective hash, this is the order of neither
 * key nor hash alone: compare with partition_before(). */
#ifndef MTPS_BASE_PARTITION_H
#define MTPS_BASE_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/hash.h"

enum { N_BUCKETS = 1024, DENSE_BLOCK = 1024 /* floats */ };

struct range {
    size_t first, end; /* [first, end) */
};

static inline uint32_t partition_bucket(uint64_t key)
{
    return (uint32_t)(hash_mix(key) >> 54);
}

/* True when a comes before b in (bucket, key) order. */
static inline bool partition_before(uint64_t a, uint64_t b)
{
    uint32_t x = partition_bucket(a), y = partition_bucket(b);
    return x != y ? x < y : a < b;
}

/* First place in keys[n], in (bucket, key) order, whose bucket is at least `bucket`. */
static inline size_t partition_lower(const uint64_t *keys, size_t n, size_t bucket)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (partition_bucket(keys[mid]) < bucket) low = mid + 1;
        else high = mid;
    }
    return low;
}

/* Part i of n equal parts of [0, total), rounded down: part i starts at
 * floor(i * total / n). Also the rule for lanes of rows and workers of lanes. */
static inline struct range partition_part(size_t total, size_t i, size_t n)
{
    return (struct range){(size_t)((__uint128_t)total * i / n),
                          (size_t)((__uint128_t)total * (i + 1) / n)};
}

/* Buckets [first, end) of server s of n; floats [first, end) of the dense
 * vector of n_dense floats (whole blocks, the last may be short). */
static inline struct range partition_buckets(size_t s, size_t n)
{
    return partition_part(N_BUCKETS, s, n);
}

static inline struct range partition_dense(size_t n_dense, size_t s, size_t n)
{
    size_t n_blocks = (n_dense + DENSE_BLOCK - 1) / DENSE_BLOCK;
    struct range r = partition_part(n_blocks, s, n);
    r.first *= DENSE_BLOCK;
    r.end = r.end * DENSE_BLOCK < n_dense ? r.end * DENSE_BLOCK : n_dense;
    if (r.first > r.end) r.first = r.end;
    return r;
}

#endif
