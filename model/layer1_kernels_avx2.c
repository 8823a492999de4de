#pragma GCC target("avx2,fma")
#include <immintrin.h>

#define VW 8
#define V __m256
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define ZERO() _mm256_setzero_ps()
#define BROADCAST(x) _mm256_set1_ps(x)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define ADD(a, b) _mm256_add_ps(a, b)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define KERNELS layer1_kernels_avx2
#define NAME "avx2"
/* 16 registers: 6 x 2 accumulators of products, 8 rows of dW. */
#define STRIP_ROWS 6
#define STRIP_VECTORS 2
#define ACC_DIMS 8
#include "model/layer1_kernels_vector.inc"
