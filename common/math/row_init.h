/* The initial weights of an embedding row: what a server gives a row when it is
 * born, and what scoring gives an id that was never seen. */
#ifndef MTPS_MATH_ROW_INIT_H
#define MTPS_MATH_ROW_INIT_H

#include "common/base/rng.h"
#include "common/config/settings.h"

/* The generator of a table's rows. */
static inline struct rng row_init_rng(uint64_t seed, const char *table)
{
    return rng_named(seed, RNG_ROW_INIT, table);
}

/* w[dim]: a pure function of (init, generator, key). */
void row_init(const struct init_cfg *init, const struct rng *rng, uint64_t key, size_t dim,
              float *w);

#endif
