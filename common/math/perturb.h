/* Noise for loaded values, a pure function of (seed, name, index, place). */
#ifndef MTPS_MATH_PERTURB_H
#define MTPS_MATH_PERTURB_H

#include "common/base/rng.h"
#include "common/math/fmath.h"

/* A normal number. Half a unit up keeps the argument inside (0, 1). */
static inline double perturb_noise(const struct rng *r, uint64_t index, uint32_t place)
{
    return fmath_normal_quantile(rng_uniform(r, index, place) + 0x1p-54);
}

#endif
