#if defined(__x86_64__)
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
/* 16 registers: 6 x 2 accumulators and 2 vectors of b, or 8 with b from memory. */
#define VECTORS 2
#define WIDE_VECTORS 8
#define KERNELS chain_kernels_avx2
#define NAME "avx2"
#define RUNS_HERE() (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#include "common/math/chain_kernels_vector.inc"
#else
typedef int chain_no_avx2; /* a file must declare something */
#endif
