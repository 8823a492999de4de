/* The few BLAS calls we use, row-major, one BLAS thread per call. blas.c is the
 * only file that includes cblas.h. */
#ifndef MTPS_MATH_BLAS_H
#define MTPS_MATH_BLAS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/status.h"

/* C[m,n] = alpha op(A) op(B) + beta C, float, row-major with row strides lda,
 * ldb, ldc. op(A) is [m,k], op(B) is [k,n]. Any size may be 0. */
void blas_gemm(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, float alpha,
               const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);
/* The same with plain loops, sums in double: the reference for tests. */
void blas_gemm_reference(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, float alpha,
                         const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                         size_t ldc);

/* Set one thread per call and check that the kernel gives the same bits from
 * several threads at once and at another alignment; once per process, before
 * any other call. */
enum status blas_setup(struct error *err) MUST_USE;
/* "OpenBLAS 0.3.21 SkylakeX pthread", for logs. */
const char *blas_describe(void);

#endif
