/* The same kernels in plain C: for machines without AVX2, and for the last
 * columns where a block is narrower than a vector. Any number of columns. */
#include "model/layer1_kernels.h"

#include <string.h>

static void product(const struct kernel_rows *r, const float *W, size_t ldw, size_t cols, float *p)
{
    memset(p, 0, r->n * cols * sizeof *p);
    for (size_t u = 0; u < r->n; u++)
        for (size_t d = 0; d < r->dim; d++)
            for (size_t c = 0; c < cols; c++) p[u * cols + c] += r->e[u * r->ld + d] * W[d * ldw + c];
}

static void gather(size_t B, size_t F, const uint32_t *index, const float *p, size_t cols, float *y,
                   size_t ldy)
{
    for (size_t s = 0; s < B; s++)
        for (size_t f = 0; f < F; f++)
            for (size_t c = 0; c < cols; c++)
                y[s * ldy + c] += p[(size_t)index[s * F + f] * cols + c];
}

static void gather_multi(size_t B, const uint32_t *off, const uint32_t *idx, const float *scale,
                         const float *p, size_t cols, float *y, size_t ldy)
{
    for (size_t s = 0; s < B; s++) {
        float sum[KERNEL_COLS] = {0};
        for (uint32_t o = off[s]; o < off[s + 1]; o++)
            for (size_t c = 0; c < cols; c++) sum[c] += p[(size_t)idx[o] * cols + c];
        for (size_t c = 0; c < cols; c++) y[s * ldy + c] += scale ? scale[s] * sum[c] : sum[c];
    }
}

static void backward(const struct kernel_rows *r, const float *dy, size_t ldy, const float *W, size_t ldw,
                     size_t cols, float *dW)
{
    for (size_t u = 0; u < r->n; u++) {
        float s[KERNEL_COLS] = {0};
        for (uint32_t o = r->t_off[u]; o < r->t_off[u + 1]; o++) {
            float factor = r->scale ? r->scale[r->t_row[o]] : 1.0f;
            for (size_t c = 0; c < cols; c++) s[c] += factor * dy[(size_t)r->t_row[o] * ldy + c];
        }
        for (size_t d = 0; d < r->dim; d++) {
            float sum = 0, x = r->e[u * r->ld + d];
            for (size_t c = 0; c < cols; c++) {
                dW[d * ldw + c] += x * s[c];
                sum += s[c] * W[d * ldw + c];
            }
            r->de[u * r->ld + d] += sum;
        }
    }
}

const struct layer1_kernels layer1_kernels_plain = {"plain", 1, product, gather, gather_multi, backward};

const struct layer1_kernels *layer1_kernels_pick(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return &layer1_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &layer1_kernels_avx2;
#endif
    return &layer1_kernels_plain;
}
