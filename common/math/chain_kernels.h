/* Inner loops of chain_gemm, once per instruction set. */
#ifndef MTPS_MATH_CHAIN_KERNELS_H
#define MTPS_MATH_CHAIN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    CHAIN_ROWS = 6 /* most rows of a tile */,
    CHAIN_MAX_COLS = 128 /* of any kernel's panel */
};

/* Columns of c that go through together: whole vectors, b packed or in place. */
struct chain_panel {
    size_t k;
    const float *a, *b;
    size_t lda, ldb;
    const float *bias; /* NULL: none */
    bool go_on;        /* chains start from c, not from +0 */
    float *c;
    size_t ldc;
};

struct chain_kernels {
    const char *name;
    size_t vector;    /* floats; a panel's columns are a multiple of it ... */
    size_t cols;      /* ... up to this many for a tile of several rows */
    size_t wide_cols; /* ... or this many for one row */
    bool (*runs_here)(void);
    /* All m rows of a panel of `cols` columns. */
    void (*panel)(const struct chain_panel *p, size_t m, size_t cols);
};

extern const struct chain_kernels chain_kernels_plain;
#if defined(__x86_64__)
extern const struct chain_kernels chain_kernels_avx512, chain_kernels_avx2;
#endif

/* All kernels of this build, best first, NULL at the end. */
extern const struct chain_kernels *const chain_kernels_all[];

/* b[k, n], or what chain_pack_with made of it for the same kernels. */
struct chain_matrix {
    const float *v;
    size_t ld; /* unless packed */
    bool packed;
};
/* chain_gemm, chain_gemm_packed and chain_pack with given kernels (tests). */
void chain_gemm_with(const struct chain_kernels *kernels, size_t m, size_t n, size_t k,
                     const float *a, size_t lda, struct chain_matrix b, const float *bias,
                     bool accumulate, float *c, size_t ldc);
void chain_pack_with(const struct chain_kernels *kernels, size_t n, size_t k, const float *b,
                     size_t ldb, float *packed);

#endif
