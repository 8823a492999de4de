/* The product of inference: a matrix kernel whose outputs do not depend on their
 * neighbours, which BLAS does not promise. */
#ifndef MTPS_MATH_CHAIN_H
#define MTPS_MATH_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

/* c[m,n] = a[m,k] b[k,n] + bias[n] (NULL: none), row strides lda, ldb, ldc. Every
 * output is one chain s = fma(a[i,p], b[p,j], s) over p = 0..k-1 from s = +0, then
 * s + bias[j]. So its bits depend on nothing but row i of a, column j of b and
 * bias[j]: not on m, n, the place in the matrix, alignment or instruction set.
 * When `accumulate`, the chain goes on from what c holds and no bias is added.
 * Any size may be 0. c overlaps no input. Processors without a fused
 * multiply-add instruction give the same bits slowly. */
void chain_gemm(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                size_t ldb, const float *bias, bool accumulate, float *c, size_t ldc);
/* The same with b in the order in which products of some dozen rows read it, packed[k n],
 * for a b that is used often. A process may not read what another one packed: the order
 * depends on the instruction set. */
void chain_pack(size_t n, size_t k, const float *b, size_t ldb, float *packed);
void chain_gemm_packed(size_t m, size_t n, size_t k, const float *a, size_t lda,
                       const float *packed, const float *bias, bool accumulate, float *c,
                       size_t ldc);
/* The same as three plain loops of fmaf: the reference for tests. */
void chain_gemm_reference(size_t m, size_t n, size_t k, const float *a, size_t lda,
                          const float *b, size_t ldb, const float *bias, bool accumulate,
                          float *c, size_t ldc);

#endif
