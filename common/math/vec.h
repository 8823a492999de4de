/* Vector kernels on floats. Elementwise ones do the same operations in vector
 * body and tail; sums run in a fixed sequence that depends on n alone. No libm
 * transcendental: exp and log are ours (fmath.h has the double versions). Each
 * has a plain reference in the tests. Pointers may not overlap unless equal. */
#ifndef MTPS_MATH_VEC_H
#define MTPS_MATH_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/math/chain.h" /* the product of inference */

void vec_add(size_t n, const float *x, float *y);               /* y += x */
void vec_axpy(size_t n, float a, const float *x, float *y);     /* y += a x */
/* Sums of lists of rows: y[l, n] += a[i] x[i], i = first[l]..first[l + 1] - 1 in order, for l =
 * 0..lists - 1 (y: row stride ldy): the bits of one vec_axpy after another. Rows are asked of
 * memory ahead: VEC_AHEAD pointers behind the last must be rows, too. The first form goes
 * through some columns of all lists at a time, which keeps rows that many lists have near;
 * the second, of far lists, reads every row as a whole. */
enum { VEC_AHEAD = 8 };
void vec_axpy_lists(size_t n, size_t lists, const uint32_t *first, const float *a,
                    const float *const *x, float *y, size_t ldy);
void vec_axpy_far_lists(size_t n, size_t lists, const uint32_t *first, const float *a,
                        const float *const *x, float *y, size_t ldy);
void vec_scale(size_t n, float a, float *x);                    /* x *= a */
void vec_mul_add(size_t n, const float *a, const float *b, float *y); /* y += a * b, elementwise */
float vec_dot(size_t n, const float *a, const float *b);
float vec_sum(size_t n, const float *x);
double vec_sum_squares(size_t n, const float *x);               /* in double */
/* All |x| are below 2^50: so none is infinite or not a number, and the squares of sums over
 * lanes and steps, which optimisers keep, stay among the floats. */
bool vec_is_moderate(size_t n, const float *x);
/* Errors below, in units in the last place of the result, tested against long
 * double. exp 1.1: inf only where e^x is above the largest float (x > 88.722839),
 * subnormal results are rounded once, 0 below about -103.97. sigmoid 2.5, tanh 2.5.
 * NaN gives NaN. */
void vec_exp(size_t n, const float *x, float *y);
void vec_sigmoid(size_t n, const float *x, float *y);
void vec_tanh(size_t n, const float *x, float *y);

/* Activations: y = f(x), and dx = dy * f'(x) (dx may be dy). y is f(x) from the
 * forward pass, for relu and tanh; x its input, for gelu and silu. gelu is the
 * erf-free tanh form. Errors in units in the last place: silu 4; gelu 1e-7 of
 * max(|x|, |y|). */
void vec_relu(size_t n, const float *x, float *y);
void vec_relu_backward(size_t n, const float *y, const float *dy, float *dx);
void vec_gelu(size_t n, const float *x, float *y);
void vec_gelu_backward(size_t n, const float *x, const float *dy, float *dx);
void vec_silu(size_t n, const float *x, float *y);
void vec_silu_backward(size_t n, const float *x, const float *dy, float *dx);
void vec_tanh_backward(size_t n, const float *y, const float *dy, float *dx);

/* Softmax of each row of x[rows, n] (row stride ld) in place. Finite rows of any
 * size do not overflow; a row with NaN or +inf becomes NaN. An entry whose share is 0 leaves
 * the bits of the others as they are without it. */
void vec_softmax_rows(size_t rows, size_t n, float *x, size_t ld);

#endif
