#include "common/math/vec.h"

#include <stdint.h>
#include <string.h>

#include "common/base/compiler.h"
#include "common/math/vec_impl.h"

VECTOR_CLONES void vec_add(size_t n, const float *x, float *y)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

VECTOR_CLONES void vec_axpy(size_t n, float a, const float *x, float *y)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* Floats of a line of the cache, and rows that are added at a time. */
enum { LINE = 16, TOGETHER = 4 };

ALWAYS_INLINE void axpy_together(size_t n, const float *restrict a, const float *const *x,
                                 size_t n_next, float *restrict y)
{
    const float *restrict x0 = x[0], *restrict x1 = x[1], *restrict x2 = x[2],
                         *restrict x3 = x[3];
    size_t i = 0;
    for (; i + LINE <= n; i += LINE) {
        for (size_t j = TOGETHER; j < TOGETHER + n_next; j++) PREFETCH(x[j] + i);
        for (size_t j = i; j < i + LINE; j++)
            y[j] = (((y[j] + a[0] * x0[j]) + a[1] * x1[j]) + a[2] * x2[j]) + a[3] * x3[j];
    }
    for (; i < n; i++)
        y[i] = (((y[i] + a[0] * x0[i]) + a[1] * x1[i]) + a[2] * x2[i]) + a[3] * x3[i];
}

VECTOR_CLONES void vec_axpy_rows(size_t n, size_t rows, const float *a, const float *const *x,
                                 float *y)
{
    size_t r = 0;
    for (; r + TOGETHER <= rows; r += TOGETHER) {
        size_t left = rows - r - TOGETHER;
        axpy_together(n, a + r, x + r, left < TOGETHER ? left : TOGETHER, y);
    }
    for (; r < rows; r++) vec_axpy(n, a[r], x[r], y);
}

VECTOR_CLONES void vec_scale(size_t n, float a, float *x)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) x[i] *= a;
}

VECTOR_CLONES void vec_mul_add(size_t n, const float *a, const float *b, float *y)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) y[i] += a[i] * b[i];
}

/* Sixteen running sums, then pairwise: the sequence depends on n alone. */
enum { SUMS = 16 };

static float add_up(const float *s)
{
    float t[SUMS];
    memcpy(t, s, sizeof t);
    for (size_t half = SUMS / 2; half; half /= 2)
        for (size_t i = 0; i < half; i++) t[i] += t[i + half];
    return t[0];
}

VECTOR_CLONES float vec_dot(size_t n, const float *a, const float *b)
{
    float s[SUMS] = {0};
    size_t i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (size_t j = 0; j < SUMS; j++) s[j] += a[i + j] * b[i + j];
    for (size_t j = 0; i + j < n; j++) s[j] += a[i + j] * b[i + j];
    return add_up(s);
}

VECTOR_CLONES float vec_sum(size_t n, const float *x)
{
    float s[SUMS] = {0};
    size_t i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (size_t j = 0; j < SUMS; j++) s[j] += x[i + j];
    for (size_t j = 0; i + j < n; j++) s[j] += x[i + j];
    return add_up(s);
}

VECTOR_CLONES double vec_sum_squares(size_t n, const float *x)
{
    double s[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++) s[j] += (double)x[i + j] * (double)x[i + j];
    for (size_t j = 0; i + j < n; j++) s[j] += (double)x[i + j] * (double)x[i + j];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* Positive floats are in the order of their bits, and infinity and NaN come last. */
VECTOR_CLONES bool vec_is_moderate(size_t n, const float *x)
{
    const uint32_t limit = (uint32_t)(127 + 50) << 23; /* 2^50 */
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t b;
        memcpy(&b, &x[i], sizeof b);
        bad |= (b & UINT32_C(0x7fffffff)) >= limit;
    }
    return bad == 0;
}
