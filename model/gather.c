#include "model/gather.h"

#include <string.h>

#include "common/math/vec.h"

float gather_scale(enum pool pool, size_t n)
{
    if (n == 0) return 0;
    if (pool == POOL_MEAN) return 1.0f / (float)n;
    if (pool == POOL_SQRTN) return 1.0f / __builtin_sqrtf((float)n);
    return 1;
}

void gather_pooled(const struct batch_id *f, const struct model_input *in,
                   const struct model_rows *rows, size_t r, float *out)
{
    size_t first = gather_first(f, r), end = gather_first(f, r + 1);
    memset(out, 0, in->width * sizeof *out);
    for (size_t i = first; i < end; i++)
        vec_add(in->width, gather_row(rows, in->table, f->row[f->idx[i]], in->width),
                out);
    if (in->pool != POOL_SUM && end - first > 1)
        vec_scale(in->width, gather_scale(in->pool, end - first), out);
}

void gather_direct_forward(const struct model_input *inputs, size_t n_inputs,
                           const struct batch *b, const struct model_rows *rows, float *y,
                           size_t ldy)
{
    for (size_t r = 0; r < b->n_rows; r++) {
        for (size_t i = 0; i < n_inputs; i++) {
            const struct model_input *in = &inputs[i];
            if (in->kind != INPUT_ID) continue;
            const struct batch_id *f = &b->ids[in->place];
            size_t first = gather_first(f, r), end = gather_first(f, r + 1);
            float scale = gather_scale(in->pool, end - first);
            for (size_t o = first; o < end; o++)
                vec_axpy(in->width, scale,
                         gather_row(rows, in->table, f->row[f->idx[o]], in->width),
                         y + r * ldy);
        }
    }
}

void gather_direct_backward(const struct model_input *inputs, size_t n_inputs,
                            const struct batch *b, const float *dy, size_t ldy,
                            float *const *row_grad)
{
    for (size_t r = 0; r < b->n_rows; r++) {
        for (size_t i = 0; i < n_inputs; i++) {
            const struct model_input *in = &inputs[i];
            if (in->kind != INPUT_ID) continue;
            const struct batch_id *f = &b->ids[in->place];
            size_t first = gather_first(f, r), end = gather_first(f, r + 1);
            float scale = gather_scale(in->pool, end - first);
            for (size_t o = first; o < end; o++)
                vec_axpy(in->width, scale, dy + r * ldy,
                         row_grad[in->table] + (size_t)f->row[f->idx[o]] * in->width);
        }
    }
}
