#include "model/mix.h"

#include <string.h>

#include "common/base/compiler.h"

typedef float v8 VECTOR_OF(32);

/* Columns [c, c + 8 n) of a mixture: n accumulators stay in registers. */
#define MIX_COLUMNS(N)                                                                   \
    do {                                                                                 \
        v8 acc[N];                                                                       \
        const v8 *f0 = (const v8 *)(f[0].p + r * f[0].ld + c);                           \
        for (size_t v = 0; v < (N); v++) acc[v] = f0[v] * gr[0];                         \
        for (size_t i = 1; i < n; i++) {                                                 \
            const v8 *fi = (const v8 *)(f[i].p + r * f[i].ld + c);                       \
            for (size_t v = 0; v < (N); v++) acc[v] = acc[v] + fi[v] * gr[i];            \
        }                                                                                \
        v8 *o = (v8 *)(out.p + r * out.ld + c);                                          \
        for (size_t v = 0; v < (N); v++) o[v] = acc[v];                                  \
    } while (0)

VECTOR_CLONES
void mix_forward(size_t rows, size_t n, size_t width, struct mix_rows g,
                 const struct mix_rows *f, struct mix_rows out)
{
    for (size_t r = 0; r < rows; r++) {
        const float *gr = g.p + r * g.ld;
        size_t c = 0;
        for (; c + 32 <= width; c += 32) MIX_COLUMNS(4);
        for (; c < width; c += 8) MIX_COLUMNS(1);
    }
}

/* Sum of eight lanes in a fixed tree. */
#define SUM8(v)                                                                          \
    ((((v)[0] + (v)[4]) + ((v)[2] + (v)[6])) + (((v)[1] + (v)[5]) + ((v)[3] + (v)[7])))

/* One row, up to four uses at a time, so that f is loaded once for them. */
ALWAYS_INLINE void backward_row(size_t n, size_t width, size_t r, const float *f,
                                const struct mix_use *use, float *df, int add)
{
    const float *d[4];
    float g[4];
    v8 q[4];
    for (size_t j = 0; j < n; j++) {
        d[j] = use[j].d.p + r * use[j].d.ld;
        g[j] = use[j].factor * use[j].g.p[r * use[j].g.ld];
        q[j] = (v8){0};
    }
    for (size_t c = 0; c < width; c += 8) {
        v8 fc = *(const v8 *)(f + c);
        v8 sum = add ? *(const v8 *)(df + c) : (v8){0};
        for (size_t j = 0; j < n; j++) {
            v8 dc = *(const v8 *)(d[j] + c);
            q[j] = q[j] + dc * fc;
            sum = sum + dc * g[j];
        }
        *(v8 *)(df + c) = sum;
    }
    for (size_t j = 0; j < n; j++) use[j].q.p[r * use[j].q.ld] = SUM8(q[j]);
}

VECTOR_CLONES
void mix_backward(size_t rows, size_t n, size_t width, struct mix_rows f,
                  const struct mix_use *use, struct mix_rows df)
{
    for (size_t r = 0; r < rows; r++) {
        const float *fr = f.p + r * f.ld;
        float *dr = df.p + r * df.ld;
        if (n == 0) memset(dr, 0, width * sizeof *dr);
        for (size_t j = 0; j < n; j += 4) {
            switch (n - j) {
            case 1:
                backward_row(1, width, r, fr, use + j, dr, j > 0);
                break;
            case 2:
                backward_row(2, width, r, fr, use + j, dr, j > 0);
                break;
            case 3:
                backward_row(3, width, r, fr, use + j, dr, j > 0);
                break;
            default:
                backward_row(4, width, r, fr, use + j, dr, j > 0);
                break;
            }
        }
    }
}

/* MODELS 2.2: with q_i = <dL/df, f_i>, dL/d(gate output)_i = g_i (q_i - sum_j g_j q_j).
 */
void mix_softmax_backward(size_t rows, size_t n, struct mix_rows g, struct mix_rows q)
{
    for (size_t r = 0; r < rows; r++) {
        const float *gr = g.p + r * g.ld;
        float *qr = q.p + r * q.ld;
        float mean = 0;
        for (size_t i = 0; i < n; i++) mean += gr[i] * qr[i];
        for (size_t i = 0; i < n; i++) qr[i] = gr[i] * (qr[i] - mean);
    }
}
