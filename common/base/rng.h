/* Counter-based random numbers: every value is a pure function of
 * (seed, purpose, stream, index), so nothing is saved and nothing depends on
 * order or layout. Philox4x32-10 (Salmon et al., SC'11). */
#ifndef MTPS_BASE_RNG_H
#define MTPS_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

enum rng_purpose { RNG_ROW_INIT = 1, RNG_TENSOR_INIT, RNG_BLOCK_ORDER, RNG_WINDOW_ORDER,
                   RNG_VALID, RNG_SYNTH, RNG_TEST, RNG_COMPARE,
                   RNG_IMPORTANCE,
                   RNG_DROPOUT = 32 /* docs/adr/0015-dropout.md */,
                   RNG_HOT_NOISE = 33,
                   RNG_BALANCE = 40 /* docs/adr/0019-balancing.md */ };

struct rng {
    uint64_t seed;
    uint64_t stream; /* already mixed with the purpose */
};

/* stream is a number; use rng_named for the hash of a tensor's or table's name. */
struct rng rng_make(uint64_t seed, enum rng_purpose purpose, uint64_t stream);
struct rng rng_named(uint64_t seed, enum rng_purpose purpose, const char *name);

/* 64 random bits for counter (index, sub). */
uint64_t rng_u64(const struct rng *r, uint64_t index, uint32_t sub);
/* Uniform in [0, 1) with 53 bits. */
double rng_uniform(const struct rng *r, uint64_t index, uint32_t sub);
/* Normal numbers: fmath_normal_quantile() of one of these (common/math). */

/* out[0..n) = a permutation of 0..n-1 (Fisher-Yates). n < 2^32. */
void rng_permutation(const struct rng *r, uint32_t n, uint32_t *out);

#endif
