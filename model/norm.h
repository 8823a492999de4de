/* Layer normalisation of rows (Ba, Kiros and Hinton 2016, eq. 3-4), over the n values of
 * each row by itself, the same in training and inference:
 *
 *   xhat = (x - mean) / sqrt(variance + NORM_EPS)        y = gain xhat + bias
 *
 * Sums run in a sequence that depends on n alone, so a row's bits depend on the row and
 * the parameters. Rows have a stride, ld. */
#ifndef MTPS_MODEL_NORM_H
#define MTPS_MODEL_NORM_H

#include <stddef.h>

#define NORM_EPS 1e-5f

/* Floats that backward needs of forward: xhat[rows, n], then 1 / sd of each row. */
#define NORM_MEMORY(rows, n) ((rows) * ((n) + 1))

/* y[rows, n] in place; gain[n], bias[n]. memory[NORM_MEMORY(rows, n)], or NULL when there
 * is no backward pass. */
void norm_forward(size_t rows, size_t n, const float *gain, const float *bias, float *y,
                  size_t ld, float *memory);
/* dy[rows, n] in place, from y's gradient to x's; dgain[n] and dbias[n] are added to,
 * rows in order. */
void norm_backward(size_t rows, size_t n, const float *gain, const float *memory,
                   float *dy, size_t ld, float *dgain, float *dbias);

#endif
