/* exp and what is made of it: the activations of vec.h and softmax. Products and
 * sums stand apart (no fused ones), so every instruction set gives the same bits. */
#include <stdint.h>
#include <string.h>

#include "common/base/compiler.h"
#include "common/math/vec.h"
#include "common/math/vec_impl.h"

/* 2^n, -126 <= n <= 127. */
ALWAYS_INLINE float power_of_two(int32_t n)
{
    uint32_t bits = (uint32_t)(n + 127) << 23;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x = k ln 2 + r, |r| <= ln 2 / 2; e^r by its Taylor series, whose 8th term is below
 * 2^-27. 2^k in two factors: k = 128 is beyond one float, and a result below 2^-126
 * must be rounded once. The bounds are where e^x is surely inf and surely 0. */
ALWAYS_INLINE float exp_of(float x)
{
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.5f ? -104.5f : x;
    float k = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    uint32_t bits;
    memcpy(&bits, &k, sizeof bits);
    int32_t n = (int32_t)(bits - UINT32_C(0x4b400000)), half = n >> 1;
    k -= 12582912.0f;
    float r = (x - k * 0.693145752f) - k * 1.42860677e-6f;
    float p = 1.98412698e-4f;
    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 0.166666667f;
    p = p * r + 0.5f;
    p = 1.0f + (r + r * r * p);
    return p * power_of_two(half) * power_of_two(n - half);
}

/* 1 / (1 + e^-x), with the exponential of -|x| that cannot overflow. */
ALWAYS_INLINE float sigmoid_of(float x)
{
    float e = exp_of(-__builtin_fabsf(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

/* sigmoid(x) and its slope g (1 - g), without the cancellation of 1 - g. */
struct sigmoid_slope {
    float g, slope;
};

ALWAYS_INLINE struct sigmoid_slope sigmoid_slope_of(float x)
{
    float e = exp_of(-__builtin_fabsf(x));
    float big = 1.0f / (1.0f + e), small = e * big;
    return (struct sigmoid_slope){x < 0 ? small : big, small * big};
}

/* Odd series where 1 - e would cancel, else (1 - e) / (1 + e) with e = exp(-2|x|). */
ALWAYS_INLINE float tanh_of(float x)
{
    float a = __builtin_fabsf(x), s = x * x;
    float e = exp_of(-2.0f * a);
    float big = (1.0f - e) / (1.0f + e);
    float p = -8.86323553e-3f;
    p = p * s + 2.18694885e-2f;
    p = p * s - 5.39682540e-2f;
    p = p * s + 0.133333333f;
    p = p * s - 0.333333333f;
    float small = a + a * s * p;
    return __builtin_copysignf(a < 0.35f ? small : big, x);
}

VECTOR_CLONES void vec_exp(size_t n, const float *x, float *y)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) y[i] = exp_of(x[i]);
}

VECTOR_CLONES void vec_sigmoid(size_t n, const float *x, float *y)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) y[i] = sigmoid_of(x[i]);
}

VECTOR_CLONES void vec_tanh(size_t n, const float *x, float *y)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) y[i] = tanh_of(x[i]);
}

VECTOR_CLONES void vec_tanh_backward(size_t n, const float *y, const float *dy, float *dx)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) dx[i] = dy[i] * (1.0f - y[i] * y[i]);
}

/* Written so that NaN stays NaN: a diverged model must not look healthy. */
VECTOR_CLONES void vec_relu(size_t n, const float *x, float *y)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) y[i] = x[i] <= 0 ? 0 : x[i];
}

VECTOR_CLONES void vec_relu_backward(size_t n, const float *y, const float *dy, float *dx)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}

/* gelu(x) = x/2 (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
 * The sigmoid does not cancel where tanh(u) is near -1. */
VECTOR_CLONES void vec_gelu(size_t n, const float *x, float *y)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        float u2 = 1.59576912f * (x[i] + 0.044715f * x[i] * x[i] * x[i]);
        y[i] = x[i] * sigmoid_of(u2);
    }
}

/* gelu'(x) = g + x g (1 - g) 2u', g = sigmoid(2u). Beyond |x| = 20 g is 0 or 1, and
 * the square of x could overflow. */
VECTOR_CLONES void vec_gelu_backward(size_t n, const float *x, const float *dy, float *dx)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        float z = x[i] > 20.0f ? 20.0f : x[i];
        z = z < -20.0f ? -20.0f : z;
        float s = z * z;
        struct sigmoid_slope at = sigmoid_slope_of(1.59576912f * (z + 0.044715f * z * s));
        float du2 = 1.59576912f * (1.0f + 0.134145f * s);
        dx[i] = dy[i] * (at.g + z * at.slope * du2);
    }
}

VECTOR_CLONES void vec_silu(size_t n, const float *x, float *y)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) y[i] = x[i] * sigmoid_of(x[i]);
}

VECTOR_CLONES void vec_silu_backward(size_t n, const float *x, const float *dy, float *dx)
{
    ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        struct sigmoid_slope at = sigmoid_slope_of(x[i]);
        dx[i] = dy[i] * (at.g + x[i] * at.slope);
    }
}

/* One chain: zeros among the terms, wherever they stand, leave every partial sum as it is.
 * So a gate that is closed for an expert gives the others the bits they had without it. */
ALWAYS_INLINE float sum_of(size_t n, const float *x)
{
    float s = 0;
    for (size_t i = 0; i < n; i++) s += x[i];
    return s;
}

/* In eight chains by place mod 8; the order matters to speed alone. */
enum { SUMS = 8 };

ALWAYS_INLINE float largest_of(size_t n, const float *x)
{
    float s[SUMS];
    size_t i = 0;
    for (size_t j = 0; j < SUMS; j++) s[j] = x[0];
    for (; i + SUMS <= n; i += SUMS)
        for (size_t j = 0; j < SUMS; j++) s[j] = x[i + j] > s[j] ? x[i + j] : s[j];
    for (size_t j = 0; i + j < n; j++) s[j] = x[i + j] > s[j] ? x[i + j] : s[j];
    for (size_t half = SUMS / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++) s[j] = s[j + half] > s[j] ? s[j + half] : s[j];
    return s[0];
}

ALWAYS_INLINE void softmax_row(size_t n, float *x)
{
    float most = largest_of(n, x);
    for (size_t i = 0; i < n; i++) x[i] = exp_of(x[i] - most);
    float sum = sum_of(n, x);
    for (size_t i = 0; i < n; i++) x[i] /= sum;
}

VECTOR_CLONES void vec_softmax_rows(size_t rows, size_t n, float *x, size_t ld)
{
    if (n == 0) return;
    for (size_t i = 0; i < rows; i++) softmax_row(n, x + i * ld);
}
