#include "model/layers.h"

#include <math.h>
#include <string.h>

#include "common/base/compiler.h"
#include "common/math/blas.h"
#include "common/math/vec.h"

/* ---- product ---- */

VECTOR_CLONES
static void add_bias(size_t rows, size_t n, const float *b, float *y, size_t ldy)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < n; j++) y[r * ldy + j] += b[j];
}

void layers_product(enum product kind, size_t rows, size_t in, size_t out, const float *x,
                    size_t ldx, const float *w, size_t ldw, const float *b, float *y,
                    size_t ldy)
{
    if (kind == PRODUCT_CHAIN) {
        chain_gemm(rows, out, in, x, ldx, w, ldw, b, false, y, ldy);
    } else if (out == 1 && ldw == 1) {
        for (size_t r = 0; r < rows; r++)
            y[r * ldy] = vec_dot(in, x + r * ldx, w) + (b != NULL ? b[0] : 0);
    } else {
        blas_gemm(false, false, rows, out, in, 1, x, ldx, w, ldw, 0, y, ldy);
        if (b != NULL) add_bias(rows, out, b, y, ldy);
    }
}

/* db += column sums, rows in order. */
VECTOR_CLONES
static void sum_rows(size_t rows, size_t n, const float *dy, size_t ldy, float *db)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < n; j++) db[j] += dy[r * ldy + j];
}

/* One output: dw += dy x, dx = dy w, row by row. */
VECTOR_CLONES
static void column_backward(bool add, size_t rows, size_t in, const float *x, size_t ldx,
                            const float *w, const float *dy, size_t ldy, float *dx,
                            size_t lddx, float *dw)
{
    for (size_t r = 0; r < rows; r++) {
        float d = dy[r * ldy];
        const float *xr = x + r * ldx;
        for (size_t i = 0; i < in; i++) dw[i] += d * xr[i];
        if (dx == NULL) continue;
        float *dxr = dx + r * lddx;
        for (size_t i = 0; i < in; i++) dxr[i] = add ? dxr[i] + d * w[i] : d * w[i];
    }
}

void layers_product_backward(bool add, size_t rows, size_t in, size_t out, const float *x,
                             size_t ldx, const float *w, size_t ldw, const float *dy,
                             size_t ldy, float *dx, size_t lddx, float *dw, float *db)
{
    if (db != NULL) sum_rows(rows, out, dy, ldy, db);
    if (out == 1 && ldw == 1) {
        column_backward(add, rows, in, x, ldx, w, dy, ldy, dx, lddx, dw);
        return;
    }
    blas_gemm(true, false, in, out, rows, 1, x, ldx, dy, ldy, 1, dw, ldw);
    if (dx != NULL)
        blas_gemm(false, true, rows, in, out, 1, dy, ldy, w, ldw, add, dx, lddx);
}

/* ---- activation ---- */

static void activate(enum activation act, size_t n, const float *x, float *y)
{
    switch (act) {
    case ACT_RELU:
        vec_relu(n, x, y);
        break;
    case ACT_GELU:
        vec_gelu(n, x, y);
        break;
    case ACT_SILU:
        vec_silu(n, x, y);
        break;
    case ACT_TANH:
        vec_tanh(n, x, y);
        break;
    }
}

void layers_activate(enum activation act, size_t rows, size_t n, float *y, float *pre,
                     size_t ldy)
{
    if (n == ldy) {
        n *= rows;
        rows = 1;
    }
    for (size_t r = 0; r < rows; r++, y += ldy) {
        if (pre == NULL) {
            activate(act, n, y, y);
        } else {
            memcpy(pre, y, n * sizeof *y);
            activate(act, n, pre, y);
            pre += ldy;
        }
    }
}

void layers_activate_backward(enum activation act, size_t rows, size_t n, const float *y,
                              const float *pre, float *dy, size_t ldy)
{
    if (n == ldy) {
        n *= rows;
        rows = 1;
    }
    for (size_t r = 0; r < rows; r++) {
        size_t at = r * ldy;
        switch (act) {
        case ACT_RELU:
            vec_relu_backward(n, y + at, dy + at, dy + at);
            break;
        case ACT_GELU:
            vec_gelu_backward(n, pre + at, dy + at, dy + at);
            break;
        case ACT_SILU:
            vec_silu_backward(n, pre + at, dy + at, dy + at);
            break;
        case ACT_TANH:
            vec_tanh_backward(n, y + at, dy + at, dy + at);
            break;
        }
    }
}

double layers_activation_reference(enum activation act, double x)
{
    switch (act) {
    case ACT_RELU:
        return x > 0 ? x : 0;
    case ACT_GELU:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ACT_SILU:
        return x / (1 + exp(-x));
    case ACT_TANH:
        return tanh(x);
    }
    return 0;
}
