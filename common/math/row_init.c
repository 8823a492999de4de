#include "common/math/row_init.h"

#include "common/math/fmath.h"

void row_init(const struct init_cfg *init, const struct rng *rng, uint64_t key, size_t dim,
              float *w)
{
    double scale = init->scale;
    for (size_t i = 0; i < dim; i++) {
        switch (init->kind) {
        case INIT_ZERO:
            w[i] = 0.0f;
            break;
        case INIT_CONSTANT:
            w[i] = (float)scale;
            break;
        case INIT_UNIFORM:
            w[i] = (float)(scale * (2.0 * rng_uniform(rng, key, (uint32_t)i) - 1.0));
            break;
        case INIT_NORMAL: {
            /* Half a unit up keeps the argument inside (0, 1). */
            double p = rng_uniform(rng, key, (uint32_t)i) + 0x1p-54;
            w[i] = (float)(scale * fmath_normal_quantile(p));
            break;
        }
        }
    }
}
