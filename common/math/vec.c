#include "common/math/vec.h"

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

/* ---- lists of rows ---- */

typedef float v8 LOOSE_VECTOR_OF(32);
/* Floats of a vector, of a line of the cache, of a tile whose sums fill half the registers. */
enum { V8 = 8, LINE = 16, TILE = 64 };

/* Columns [0, cols) of the sum of one list. ahead: how many rows later the one is that is asked
 * of memory meanwhile. */
ALWAYS_INLINE void add_list(const size_t cols, size_t rows, const float *a, const float *const *x, size_t column,
                            size_t ahead, float *y)
{
    v8 s[TILE / V8];
#pragma GCC unroll 8
    for (size_t j = 0; j < cols / V8; j++) s[j] = *(const v8 *)(y + j * V8);
    for (size_t r = 0; r < rows; r++) {
        const float *row = x[r] + column;
#pragma GCC unroll 8
        for (size_t j = 0; j < cols; j += LINE) PREFETCH(x[r + ahead] + column + j);
#pragma GCC unroll 8
        for (size_t j = 0; j < cols / V8; j++) s[j] = s[j] + a[r] * *(const v8 *)(row + j * V8);
    }
#pragma GCC unroll 8
    for (size_t j = 0; j < cols / V8; j++) *(v8 *)(y + j * V8) = s[j];
}

/* Columns from `column` on, fewer than a line. */
ALWAYS_INLINE void add_list_tail(size_t cols, size_t rows, const float *a, const float *const *x, size_t column,
                                 float *y)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < cols; j++) y[j] += a[r] * x[r][column + j];
}

VECTOR_CLONES void vec_axpy_lists(size_t n, size_t lists, const uint32_t *first, const float *a,
                                  const float *const *x, float *y, size_t ldy)
{
    size_t c = 0;
    for (; c + TILE <= n; c += TILE)
        for (size_t l = 0; l < lists; l++)
            add_list(TILE, first[l + 1] - first[l], a + first[l], x + first[l], c, VEC_AHEAD, y + l * ldy + c);
    for (; c + LINE <= n; c += LINE)
        for (size_t l = 0; l < lists; l++)
            add_list(LINE, first[l + 1] - first[l], a + first[l], x + first[l], c, VEC_AHEAD, y + l * ldy + c);
    for (size_t l = 0; c < n && l < lists; l++)
        add_list_tail(n - c, first[l + 1] - first[l], a + first[l], x + first[l], c, y + l * ldy + c);
}

VECTOR_CLONES void vec_axpy_far_lists(size_t n, size_t lists, const uint32_t *first, const float *a,
                                      const float *const *x, float *y, size_t ldy)
{
    for (size_t l = 0; l < lists; l++, y += ldy) {
        size_t c = 0, at = first[l], rows = first[l + 1] - at, ahead = rows < VEC_AHEAD ? rows : VEC_AHEAD;
        for (; c + LINE <= n; c += LINE) add_list(LINE, rows, a + at, x + at, c, ahead, y + c);
        if (c < n) add_list_tail(n - c, rows, a + at, x + at, c, y + c);
    }
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
