/* For any processor, by vectors of four that the compiler maps to what there is.
 * Without a fused multiply-add instruction fmaf computes the same bits. */
#include <stdbool.h>
#include <string.h>

#include "common/base/compiler.h"

typedef float v4 VECTOR_OF(16);

ALWAYS_INLINE v4 load(const float *p)
{
    v4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

ALWAYS_INLINE void store(float *p, v4 v)
{
    memcpy(p, &v, sizeof v);
}

ALWAYS_INLINE v4 fused(v4 a, v4 b, v4 c)
{
    for (int i = 0; i < 4; i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
}

#define VW 4
#define V v4
#define LOAD(p) load(p)
#define STORE(p, v) store(p, v)
#define ZERO() ((v4){0})
#define BROADCAST(x) ((v4){x, x, x, x})
#define FMA(a, b, c) fused(a, b, c)
#define ADD(a, b) ((a) + (b))
#define VECTORS 4
#define WIDE_VECTORS 8
#define KERNELS chain_kernels_plain
#define NAME "plain"
#define RUNS_HERE() true
#include "common/math/chain_kernels_vector.inc"
