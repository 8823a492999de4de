/* Inner loops of the project form, once per instruction set. All work on a block
 * of `cols` columns of layer 1's output, so that what a block needs stays in the
 * second-level cache. Which set is used is decided once, at layer1_create. */
#ifndef MTPS_MODEL_LAYER1_KERNELS_H
#define MTPS_MODEL_LAYER1_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { KERNEL_COLS = 64 /* widest block */ };

/* Distinct rows of one feature and where they occur. */
struct kernel_rows {
    size_t n, dim, ld;       /* U, floats of a row, stride of e and de (dim rounded up) */
    const float *e;          /* [U, ld], padded with zeros */
    float *de;               /* [U, ld] gradient, added to */
    const uint32_t *t_off, *t_row; /* rows of the batch that hold u */
    const float *scale;      /* [B] factor of each batch row (mean, sqrtn); NULL = 1 */
};

struct layer1_kernels {
    const char *name;
    size_t multiple; /* columns must be a multiple of this */
    /* p[U, cols] = e W; W [dim, ldw] at the block's first column. */
    void (*product)(const struct kernel_rows *r, const float *W, size_t ldw, size_t cols, float *p);
    /* y[s] += sum over f of p[index[s, f]], in order of f. y [B, ldy]. */
    void (*gather)(size_t B, size_t F, const uint32_t *index, const float *p, size_t cols, float *y,
                   size_t ldy);
    /* y[s] += scale[s] * sum over occurrences [off[s], off[s+1]) of p[idx]. */
    void (*gather_multi)(size_t B, const uint32_t *off, const uint32_t *idx, const float *scale,
                         const float *p, size_t cols, float *y, size_t ldy);
    /* S[u] = sum of scale * dy over u's rows; dW += e^T S; de += S W^T. */
    void (*backward)(const struct kernel_rows *r, const float *dy, size_t ldy, const float *W, size_t ldw,
                     size_t cols, float *dW);
};

extern const struct layer1_kernels layer1_kernels_avx512, layer1_kernels_avx2, layer1_kernels_plain;

/* The best one this machine can run. */
const struct layer1_kernels *layer1_kernels_pick(void);

#endif
