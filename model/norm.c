#include "model/norm.h"

#include <string.h>

#include "common/base/compiler.h"
#include "common/math/vec.h"

VECTOR_CLONES
static void subtract(size_t n, float a, float *x)
{
    for (size_t i = 0; i < n; i++) x[i] -= a;
}

VECTOR_CLONES
static void gain_and_bias(size_t n, const float *restrict gain,
                          const float *restrict bias, float *restrict y)
{
    for (size_t i = 0; i < n; i++) y[i] = gain[i] * y[i] + bias[i];
}

void norm_forward(size_t rows, size_t n, const float *gain, const float *bias, float *y,
                  size_t ld, float *memory)
{
    for (size_t r = 0; r < rows; r++, y += ld) {
        subtract(n, vec_sum(n, y) / (float)n, y);
        float variance = vec_dot(n, y, y) / (float)n;
        float scale = 1.0f / __builtin_sqrtf(variance + NORM_EPS);
        vec_scale(n, scale, y);
        if (memory != NULL) {
            memcpy(memory + r * n, y, n * sizeof *y);
            memory[rows * n + r] = scale;
        }
        gain_and_bias(n, gain, bias, y);
    }
}

VECTOR_CLONES
static void multiply(size_t n, const float *restrict gain, float *restrict dy)
{
    for (size_t i = 0; i < n; i++) dy[i] *= gain[i];
}

/* dx = scale (d - mean(d) - xhat mean(d xhat)), d = gain dy. */
VECTOR_CLONES
static void centre(size_t n, float scale, float mean, float along,
                   const float *restrict xhat, float *restrict dy)
{
    for (size_t i = 0; i < n; i++) dy[i] = scale * (dy[i] - mean - xhat[i] * along);
}

void norm_backward(size_t rows, size_t n, const float *gain, const float *memory,
                   float *dy, size_t ld, float *dgain, float *dbias)
{
    for (size_t r = 0; r < rows; r++, dy += ld) {
        const float *xhat = memory + r * n;
        vec_mul_add(n, dy, xhat, dgain);
        vec_add(n, dy, dbias);
        multiply(n, gain, dy);
        centre(n, memory[rows * n + r], vec_sum(n, dy) / (float)n,
               vec_dot(n, dy, xhat) / (float)n, xhat, dy);
    }
}
