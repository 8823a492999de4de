/* The mixture of experts: out = sum over its experts of weight * expert (MMoE
 * eq. 6), forward, backward and the softmax's backward. Rows have strides; widths
 * are multiples of 8 floats and rows are 32-byte aligned. Sums over experts and
 * over columns follow one fixed order, the same for any number of rows. */
#ifndef MTPS_MODEL_MIX_H
#define MTPS_MODEL_MIX_H

#include <stddef.h>

/* Rows of something: row r is at p + r * ld. */
struct mix_rows {
    float *p;
    size_t ld;
};

/* out[r, 0..width) = sum_i g[r, i] * f_i[r, 0..width), i = 0..n-1 in order. n >= 1. */
void mix_forward(size_t rows, size_t n, size_t width, struct mix_rows g,
                 const struct mix_rows *f, struct mix_rows out);

/* What an expert's gradient needs of one mix that reads it. */
struct mix_use {
    struct mix_rows g; /* column of the expert's weight */
    struct mix_rows d; /* [width] gradient of the mix's output */
    struct mix_rows q; /* column that receives <d, f> */
    float factor;      /* of d in df */
};

/* df = sum_j factor_j g_j d_j (overwritten), q_j = <d_j, f>, over the n uses in order. */
void mix_backward(size_t rows, size_t n, size_t width, struct mix_rows f,
                  const struct mix_use *use, struct mix_rows df);

/* q -> gradient of the gate's output: g_i (q_i - sum_j g_j q_j), in place. */
void mix_softmax_backward(size_t rows, size_t n, struct mix_rows g, struct mix_rows q);

#endif
