/* Random numbers of the generators, inside data/. */
#ifndef MTPS_DATA_SYNTH_RANDOM_H
#define MTPS_DATA_SYNTH_RANDOM_H

#include <stdint.h>

#include "common/base/rng.h"
#include "common/math/fmath.h"

/* Streams of a seed. Rows of part i have SYNTH_ROWS + i. */
enum synth_stream {
    SYNTH_STREAM_FUNCTION,
    SYNTH_STREAM_DIRECTIONS,
    SYNTH_STREAM_WEIGHTS,
    SYNTH_STREAM_CALIBRATION,
    SYNTH_STREAM_IDS = 16, /* + feature: effects of ids */
    SYNTH_STREAM_ROWS = 1 << 20
};

static inline struct rng synth_stream(uint64_t seed, uint64_t stream)
{
    return rng_make(seed, RNG_SYNTH, stream);
}

/* Never infinite: the uniform number is in the middle of its cell. */
static inline double synth_normal(const struct rng *r, uint64_t index, uint32_t sub)
{
    return fmath_normal_quantile(rng_uniform(r, index, sub) + 0x1p-54);
}

/* As four decimals read back. */
static inline double synth_four_decimals(double v)
{
    return (double)(int64_t)(v * 1e4 + (v < 0 ? -0.5 : 0.5)) / 1e4;
}

#endif
