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
    if (end - first == 1) {
        const float *row = gather_row(rows, in->table, f->row[f->idx[first]], in->width);
        for (size_t j = 0; j < in->width; j++) out[j] = 0.0f + row[j];
        return;
    }
    memset(out, 0, in->width * sizeof *out);
    for (size_t i = first; i < end; i++)
        vec_add(in->width, gather_row(rows, in->table, f->row[f->idx[i]], in->width),
                out);
    if (in->pool != POOL_SUM && end > first)
        vec_scale(in->width, gather_scale(in->pool, end - first), out);
}

/* row_grad += factor * d for each occurrence of example r. */
static void scatter_pooled(const struct batch_id *f, const struct model_input *in,
                           size_t r, const float *d, float *row_grad)
{
    size_t first = gather_first(f, r), end = gather_first(f, r + 1);
    float scale = gather_scale(in->pool, end - first);
    for (size_t o = first; o < end; o++)
        vec_axpy(in->width, scale, d, row_grad + (size_t)f->row[f->idx[o]] * in->width);
}

/* ---- input stage ---- */

/* Where a row of the chunk has the columns of an input. */
static float *columns_of(const struct model *m, float *const *base, size_t input, size_t r)
{
    size_t buf = m->net.x_buf[m->part[input]];
    return base[buf] + r * m->net.buffers[buf].width + m->x_offset[input];
}

void gather_x_forward(const struct model *m, const struct batch *b,
                      const struct model_rows *rows, size_t first, struct level_chunk *c)
{
    for (size_t r = 0; r < c->n; r++) {
        for (size_t i = 0; i < m->n_inputs; i++) {
            const struct model_input *in = &m->inputs[i];
            if (m->x_offset[i] == NET_NONE) continue;
            float *to = columns_of(m, c->act, i, r);
            if (in->kind == INPUT_ID) {
                gather_pooled(&b->ids[in->place], in, rows, first + r, to);
            } else if (in->kind == INPUT_ONE_HOT) {
                uint32_t level = b->one_hot[in->place][first + r];
                memset(to, 0, in->width * sizeof *to);
                if (level != ONE_HOT_NONE) to[level] = 1;
            } else {
                memcpy(to, b->dense + (first + r) * b->n_dense + in->place,
                       in->width * sizeof *to);
            }
        }
    }
}

void gather_x_backward(const struct model *m, const struct batch *b, size_t first,
                       const struct level_chunk *c, float *const *row_grad)
{
    for (size_t r = 0; r < c->n; r++) {
        for (size_t i = 0; i < m->n_inputs; i++) {
            const struct model_input *in = &m->inputs[i];
            if (m->x_offset[i] == NET_NONE || in->kind != INPUT_ID) continue;
            scatter_pooled(&b->ids[in->place], in, first + r, columns_of(m, c->grad, i, r),
                           row_grad[in->table]);
        }
    }
}

/* ---- direct inputs ---- */

/* The tasks' logits stand side by side (plan_build sees to it). */
static float *logits_of(const struct net *net, float *const *base, size_t r)
{
    const struct net_head *h = &net->heads[0];
    return base[h->buf] + r * net->buffers[h->buf].width + h->col;
}

/* First of the input's rows of the weights of direct numbers. */
static size_t weight_of(const struct model *m, size_t input)
{
    return m->net.direct.w + m->direct_row[input] * m->net.direct.ld;
}

static void direct_id_forward(const struct model_input *in, const struct batch_id *f,
                              const struct model_rows *rows, size_t r, float *z)
{
    size_t first = gather_first(f, r), end = gather_first(f, r + 1);
    float scale = gather_scale(in->pool, end - first);
    for (size_t o = first; o < end; o++)
        vec_axpy(in->width, scale,
                 gather_row(rows, in->table, f->row[f->idx[o]], in->width), z);
}

void gather_direct_forward(const struct model *m, const size_t *input, size_t n_inputs,
                           const float *params, const struct batch *b,
                           const struct model_rows *rows, size_t first,
                           struct level_chunk *c)
{
    size_t K = m->n_tasks, ld = m->net.direct.ld;
    for (size_t r = 0; r < c->n; r++) {
        float *z = logits_of(&m->net, c->act, r);
        for (size_t i = 0; i < n_inputs; i++) {
            const struct model_input *in = &m->inputs[input[i]];
            const float *w = params + weight_of(m, input[i]);
            if (in->kind == INPUT_ID) {
                direct_id_forward(in, &b->ids[in->place], rows, first + r, z);
            } else if (in->kind == INPUT_ONE_HOT) {
                uint32_t level = b->one_hot[in->place][first + r];
                if (level != ONE_HOT_NONE) vec_add(K, w + level * ld, z);
            } else {
                const float *x = b->dense + (first + r) * b->n_dense + in->place;
                for (size_t j = 0; j < in->width; j++) vec_axpy(K, x[j], w + j * ld, z);
            }
        }
    }
}

void gather_direct_backward(const struct model *m, const struct batch *b, size_t first,
                            const struct level_chunk *c, float *grad,
                            float *const *row_grad)
{
    size_t K = m->n_tasks, ld = m->net.direct.ld;
    for (size_t r = 0; r < c->n; r++) {
        const float *dz = logits_of(&m->net, c->grad, r);
        for (size_t i = 0; i < m->n_direct; i++) {
            const struct model_input *in = &m->inputs[m->direct[i]];
            float *dw = grad + weight_of(m, m->direct[i]);
            if (in->kind == INPUT_ID) {
                scatter_pooled(&b->ids[in->place], in, first + r, dz,
                               row_grad[in->table]);
            } else if (in->kind == INPUT_ONE_HOT) {
                uint32_t level = b->one_hot[in->place][first + r];
                if (level != ONE_HOT_NONE) vec_add(K, dz, dw + level * ld);
            } else {
                const float *x = b->dense + (first + r) * b->n_dense + in->place;
                for (size_t j = 0; j < in->width; j++) vec_axpy(K, x[j], dz, dw + j * ld);
            }
        }
    }
}
