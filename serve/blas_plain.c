/* The product that training takes from BLAS. The library never trains: its forward pass
 * multiplies by common/math/chain.h, and this keeps BLAS and its threads out of it. */
#include "common/math/blas.h"

void blas_gemm(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, float alpha,
               const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
               size_t ldc)
{
    blas_gemm_reference(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
