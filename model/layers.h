/* The two steps of a layer, y = f(x w + b), on rows with strides. Forward and
 * backward of each are neighbours in layers.c, a plain reference is below.
 *
 * Shapes: x[rows, in] (stride ldx), w[in, out] (ldw), b[out], y[rows, out] (ldy).
 * b and db may be NULL: no bias. Gradients of parameters are added to what is there; those of activations are
 * overwritten. */
#ifndef MTPS_MODEL_LAYERS_H
#define MTPS_MODEL_LAYERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config/settings.h"

/* BLAS: fast, a row's bits depend on the shape. CHAIN: a row's bits depend on the
 * row and the weights alone (vec.h). */
enum product { PRODUCT_BLAS, PRODUCT_CHAIN };

/* b may be NULL: no bias; db is NULL then. */
void layers_product(enum product kind, size_t rows, size_t in, size_t out, const float *x,
                    size_t ldx, const float *w, size_t ldw, const float *b, float *y,
                    size_t ldy);
/* dx may be NULL; add: dx is added to. */
void layers_product_backward(bool add, size_t rows, size_t in, size_t out, const float *x,
                             size_t ldx, const float *w, size_t ldw, const float *dy,
                             size_t ldy, float *dx, size_t lddx, float *dw, float *db);

/* y = f(y). pre (stride ldy, may be NULL unless gelu or silu) keeps the input. */
void layers_activate(enum activation act, size_t rows, size_t n, float *y, float *pre,
                     size_t ldy);
/* dy *= f', from y (relu, tanh) or pre (gelu, silu), all with stride ldy. */
void layers_activate_backward(enum activation act, size_t rows, size_t n, const float *y,
                              const float *pre, float *dy, size_t ldy);

/* f(x) in double with the C library's functions, for tests and the reference. */
double layers_activation_reference(enum activation act, double x);

#endif
