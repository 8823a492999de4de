#pragma GCC target("avx512f")
#include <immintrin.h>

#define VW 16
#define V __m512
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define ZERO() _mm512_setzero_ps()
#define BROADCAST(x) _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define ADD(a, b) _mm512_add_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define KERNELS layer1_kernels_avx512
#define NAME "avx512"
/* 32 registers: 4 x 4 accumulators of products, 16 rows of dW. */
#define STRIP_ROWS 4
#define STRIP_VECTORS 4
#define ACC_DIMS 16
#include "model/layer1_kernels_vector.inc"
