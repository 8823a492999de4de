#if defined(__x86_64__)
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
/* 32 registers: 6 x 4 accumulators and 4 vectors of b, or 8 and 8. */
#define VECTORS 4
#define WIDE_VECTORS 8
#define KERNELS chain_kernels_avx512
#define NAME "avx512"
#define RUNS_HERE() __builtin_cpu_supports("avx512f")
#include "common/math/chain_kernels_vector.inc"
#else
typedef int chain_no_avx512; /* a file must declare something */
#endif
