#include "common/math/chain.h"

#include <string.h>

#include "common/math/chain_kernels.h"

/* k is cut in blocks, so that a panel of b stays in the nearest caches; the chain
 * goes on through c, which keeps every bit of a float. One row reads b once, best
 * in the order in which it lies: short blocks. */
enum { K_BLOCK = 256, K_BLOCK_ONE_ROW = 8, MAX_VECTOR = 16, PACK_COLS = 64 };
/* From so many rows on a panel is copied to where its rows lie close together. */
enum { PACK_ROWS = 4 * CHAIN_ROWS };

const struct chain_kernels *const chain_kernels_all[] = {
#if defined(__x86_64__)
    &chain_kernels_avx512, &chain_kernels_avx2,
#endif
    &chain_kernels_plain, NULL};

static void pack(size_t k, const float *b, size_t ldb, size_t cols, size_t padded,
                 float *to)
{
    for (size_t p = 0; p < k; p++) {
        memcpy(to + p * padded, b + p * ldb, cols * sizeof *to);
        for (size_t j = cols; j < padded; j++) to[p * padded + j] = 0;
    }
}

static void packed_panel(const struct chain_kernels *kernels, struct chain_panel t,
                         size_t m, size_t cols)
{
    _Alignas(64) float b[K_BLOCK * PACK_COLS];
    pack(t.k, t.b, t.ldb, cols, cols, b);
    t.b = b;
    t.ldb = cols;
    kernels->panel(&t, m, cols);
}

/* Fewer columns than a vector: b, bias and c by copies padded with zeros, a tile
 * of rows at a time. What the padding computes is dropped. */
static void narrow_panel(const struct chain_kernels *kernels, struct chain_panel t,
                         size_t m, size_t cols)
{
    size_t padded = kernels->vector, ldc = t.ldc;
    _Alignas(64) float b[K_BLOCK * MAX_VECTOR], c[CHAIN_ROWS * MAX_VECTOR],
        bias[MAX_VECTOR];
    float *to = t.c;
    pack(t.k, t.b, t.ldb, cols, padded, b);
    if (t.bias) pack(1, t.bias, 0, cols, padded, bias);
    t.b = b;
    t.ldb = t.ldc = padded;
    t.bias = t.bias ? bias : NULL;
    t.c = c;
    for (size_t i = 0; i < m; i += CHAIN_ROWS, t.a += CHAIN_ROWS * t.lda) {
        size_t rows = m - i < CHAIN_ROWS ? m - i : CHAIN_ROWS;
        if (t.go_on) pack(rows, to + i * ldc, ldc, cols, padded, c);
        kernels->panel(&t, rows, padded);
        for (size_t r = 0; r < rows; r++)
            memcpy(to + (i + r) * ldc, c + r * padded, cols * sizeof *c);
    }
}

/* Columns of the next panel: the widest that the rest holds. */
static size_t panel_cols(const struct chain_kernels *kernels, size_t rest)
{
    if (rest >= kernels->cols) return kernels->cols;
    return rest < kernels->vector ? rest : rest / kernels->vector * kernels->vector;
}

void chain_gemm_with(const struct chain_kernels *kernels, size_t m, size_t n, size_t k,
                     const float *a, size_t lda, struct chain_matrix b,
                     const float *bias, bool accumulate, float *c, size_t ldc)
{
    if (m == 0 || n == 0) return;
    bool wide = m == 1 && n >= kernels->wide_cols && !b.packed;
    size_t block = wide && n > kernels->wide_cols ? K_BLOCK_ONE_ROW : K_BLOCK, first = 0;
    do { /* also once for k = 0, which leaves the bias */
        size_t end = k - first > block ? first + block : k, rows = end - first;
        for (size_t j = 0, cols; j < n; j += cols) {
            cols = wide && n - j >= kernels->wide_cols ? kernels->wide_cols
                                                       : panel_cols(kernels, n - j);
            struct chain_panel t = {
                .k = rows,
                .a = a + first,
                .lda = lda,
                .b = b.packed ? b.v + first * n + rows * j : b.v + first * b.ld + j,
                .ldb = b.packed ? cols : b.ld,
                .bias = bias && !accumulate && end == k ? bias + j : NULL,
                .go_on = accumulate || first > 0,
                .c = c + j,
                .ldc = ldc,
            };
            if (cols < kernels->vector)
                narrow_panel(kernels, t, m, cols);
            else if (m >= PACK_ROWS && !b.packed)
                packed_panel(kernels, t, m, cols);
            else
                kernels->panel(&t, m, cols);
        }
        first = end;
    } while (first < k);
}

/* Panel by panel, of each in turn its columns of every row: as chain_gemm_with reads it. */
void chain_pack_with(const struct chain_kernels *kernels, size_t n, size_t k, const float *b,
                     size_t ldb, float *packed)
{
    for (size_t first = 0; first < k; first += K_BLOCK) {
        size_t rows = k - first < K_BLOCK ? k - first : K_BLOCK;
        for (size_t j = 0, cols; j < n; j += cols) {
            cols = panel_cols(kernels, n - j);
            pack(rows, b + first * ldb + j, ldb, cols, cols, packed + first * n + rows * j);
        }
    }
}

static const struct chain_kernels *best(void)
{
    const struct chain_kernels *const *kernels = chain_kernels_all;
    while (!(*kernels)->runs_here()) kernels++;
    return *kernels;
}

void chain_gemm(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                size_t ldb, const float *bias, bool accumulate, float *c, size_t ldc)
{
    chain_gemm_with(best(), m, n, k, a, lda, (struct chain_matrix){b, ldb, false}, bias,
                    accumulate, c, ldc);
}

void chain_pack(size_t n, size_t k, const float *b, size_t ldb, float *packed)
{
    chain_pack_with(best(), n, k, b, ldb, packed);
}

void chain_gemm_packed(size_t m, size_t n, size_t k, const float *a, size_t lda,
                       const float *packed, const float *bias, bool accumulate, float *c,
                       size_t ldc)
{
    chain_gemm_with(best(), m, n, k, a, lda, (struct chain_matrix){packed, 0, true}, bias,
                    accumulate, c, ldc);
}

void chain_gemm_reference(size_t m, size_t n, size_t k, const float *a, size_t lda,
                          const float *b, size_t ldb, const float *bias, bool accumulate,
                          float *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            float s = accumulate ? c[i * ldc + j] : 0;
            for (size_t p = 0; p < k; p++)
                s = __builtin_fmaf(a[i * lda + p], b[p * ldb + j], s);
            c[i * ldc + j] = bias && !accumulate ? s + bias[j] : s;
        }
}
