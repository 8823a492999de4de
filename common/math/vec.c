#include "common/math/vec.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/base/compiler.h"

VECTOR_CLONES void vec_add(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

VECTOR_CLONES void vec_axpy(size_t n, float a, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

VECTOR_CLONES void vec_scale(size_t n, float a, float *x)
{
    for (size_t i = 0; i < n; i++) x[i] *= a;
}

VECTOR_CLONES void vec_mul_add(size_t n, const float *a, const float *b, float *y)
{
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

VECTOR_CLONES double vec_sum_squares(size_t n, const float *x)
{
    double s[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++) s[j] += (double)x[i + j] * (double)x[i + j];
    for (size_t j = 0; i + j < n; j++) s[j] += (double)x[i + j] * (double)x[i + j];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* A float is not finite when all its exponent bits are set. */
VECTOR_CLONES bool vec_is_finite(size_t n, const float *x)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t b;
        memcpy(&b, &x[i], sizeof b);
        bad |= (b & UINT32_C(0x7f800000)) == UINT32_C(0x7f800000);
    }
    return bad == 0;
}

/* x = k ln 2 + r; e^r by a polynomial of degree 6 (relative error < 2^-24). */
static inline float exp_of(float x)
{
    x = x > 88.7f ? 88.7f : x;
    x = x < -87.3f ? -87.3f : x;
    float k = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    int32_t n;
    memcpy(&n, &k, sizeof n);
    k -= 12582912.0f;
    float r = (x - k * 0.693145752f) - k * 1.42860677e-6f;
    float p = 1.3888889e-3f;
    p = p * r + 8.3333333e-3f;
    p = p * r + 4.1666667e-2f;
    p = p * r + 0.16666667f;
    p = p * r + 0.5f;
    p = 1.0f + (r + r * r * p);
    uint32_t bits = (uint32_t)(n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline float sigmoid_of(float x)
{
    float e = exp_of(x < 0 ? x : -x);
    float small = e / (1.0f + e);
    return x < 0 ? small : 1.0f / (1.0f + e);
}

/* Odd series where exp would cancel, else (1 - e) / (1 + e) with e = exp(-2|x|). */
static inline float tanh_of(float x)
{
    float a = x < 0 ? -x : x, s = x * x;
    float e = exp_of(-2.0f * a);
    float big = (1.0f - e) / (1.0f + e);
    float small = a * (1.0f + s * (-0.33333333f + s * (0.13333333f + s * (-0.053968254f + s * 0.021869489f))));
    float t = a < 0.25f ? small : big;
    return x < 0 ? -t : t;
}

VECTOR_CLONES void vec_exp(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = exp_of(x[i]);
}

VECTOR_CLONES void vec_sigmoid(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = sigmoid_of(x[i]);
}

VECTOR_CLONES void vec_tanh(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = tanh_of(x[i]);
}

VECTOR_CLONES void vec_relu(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

VECTOR_CLONES void vec_relu_backward(size_t n, const float *y, const float *dy, float *dx)
{
    for (size_t i = 0; i < n; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}

/* gelu(x) = x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3). */
VECTOR_CLONES void vec_gelu(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) {
        float u = 0.79788456f * (x[i] + 0.044715f * x[i] * x[i] * x[i]);
        y[i] = 0.5f * x[i] * (1.0f + tanh_of(u));
    }
}

VECTOR_CLONES void vec_gelu_backward(size_t n, const float *x, const float *dy, float *dx)
{
    for (size_t i = 0; i < n; i++) {
        float s = x[i] * x[i];
        float t = tanh_of(0.79788456f * (x[i] + 0.044715f * x[i] * s));
        float du = 0.79788456f * (1.0f + 0.134145f * s);
        dx[i] = dy[i] * (0.5f * (1.0f + t) + 0.5f * x[i] * (1.0f - t * t) * du);
    }
}

VECTOR_CLONES void vec_silu(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] * sigmoid_of(x[i]);
}

VECTOR_CLONES void vec_silu_backward(size_t n, const float *x, const float *dy, float *dx)
{
    for (size_t i = 0; i < n; i++) {
        float s = sigmoid_of(x[i]);
        dx[i] = dy[i] * s * (1.0f + x[i] * (1.0f - s));
    }
}

VECTOR_CLONES void vec_tanh_backward(size_t n, const float *y, const float *dy, float *dx)
{
    for (size_t i = 0; i < n; i++) dx[i] = dy[i] * (1.0f - y[i] * y[i]);
}

static void softmax_row(size_t n, float *x)
{
    float most = x[0], sum = 0;
    for (size_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (size_t i = 0; i < n; i++) x[i] = exp_of(x[i] - most);
    for (size_t i = 0; i < n; i++) sum += x[i];
    for (size_t i = 0; i < n; i++) x[i] /= sum;
}

VECTOR_CLONES void vec_softmax_rows(size_t rows, size_t n, float *x, size_t ld)
{
    for (size_t i = 0; i < rows; i++) softmax_row(n, x + i * ld);
}

/* ---- the inference product ---- */

enum { TILE_ROWS = 6, TILE_COLS = 32 };

/* A tile of whole rows and columns: accumulators stay in registers, k runs once. */
#define CHAIN_TILE(rows, cols)                                                          \
    do {                                                                                \
        float s[rows][cols];                                                            \
        for (size_t i = 0; i < (rows); i++)                                             \
            for (size_t j = 0; j < (cols); j++) s[i][j] = accumulate ? c[i * ldc + j] : 0; \
        for (size_t p = 0; p < k; p++)                                                  \
            for (size_t i = 0; i < (rows); i++) {                                       \
                float x = a[i * lda + p];                                               \
                for (size_t j = 0; j < (cols); j++)                                     \
                    s[i][j] = __builtin_fmaf(x, b[p * ldb + j], s[i][j]);               \
            }                                                                           \
        for (size_t i = 0; i < (rows); i++)                                             \
            for (size_t j = 0; j < (cols); j++)                                         \
                c[i * ldc + j] = bias && !accumulate ? s[i][j] + bias[j] : s[i][j];     \
    } while (0)

VECTOR_CLONES static void chain_tile(size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                                     const float *bias, bool accumulate, float *c, size_t ldc)
{
    CHAIN_TILE(TILE_ROWS, TILE_COLS);
}

VECTOR_CLONES static void chain_edge(size_t m, size_t n, size_t k, const float *a, size_t lda,
                                     const float *b, size_t ldb, const float *bias, bool accumulate,
                                     float *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            float s = accumulate ? c[i * ldc + j] : 0;
            for (size_t p = 0; p < k; p++) s = __builtin_fmaf(a[i * lda + p], b[p * ldb + j], s);
            c[i * ldc + j] = bias && !accumulate ? s + bias[j] : s;
        }
}

void chain_gemm(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                const float *bias, bool accumulate, float *c, size_t ldc)
{
    size_t j = 0;
    for (; j + TILE_COLS <= n; j += TILE_COLS) {
        const float *part = bias ? bias + j : NULL;
        size_t i = 0;
        for (; i + TILE_ROWS <= m; i += TILE_ROWS)
            chain_tile(k, a + i * lda, lda, b + j, ldb, part, accumulate, c + i * ldc + j, ldc);
        chain_edge(m - i, TILE_COLS, k, a + i * lda, lda, b + j, ldb, part, accumulate,
                   c + i * ldc + j, ldc);
    }
    if (j < n)
        chain_edge(m, n - j, k, a, lda, b + j, ldb, bias ? bias + j : NULL, accumulate, c + j, ldc);
}
