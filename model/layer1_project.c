/* Project -> gather: E[u] W_f once per distinct row, then sums per example; and
 * backward S[u] = sum of dy, dW_f = E^T S, dE = S W_f^T. Column block by column
 * block, so that projected rows stay in the second-level cache. */
#include <string.h>

#include "model/layer1_impl.h"

static size_t padded(size_t dim)
{
    return (dim + DIM_MULTIPLE - 1) / DIM_MULTIPLE * DIM_MULTIPLE;
}

/* Pack every feature's distinct rows; say where they lie in p. Gives their number. */
static size_t pack(const struct layer1 *l, const struct batch *b, const struct model_rows *rows,
                   struct layer1_work *w)
{
    size_t base = 0;
    float *e = w->e, *de = w->de;
    for (size_t i = 0; i < l->n_project; i++) {
        size_t input = l->project[i];
        const struct model_input *in = &l->inputs[input];
        const struct batch_id *id = &b->ids[in->place];
        size_t dim = l->table_dim[in->table], ld = padded(dim);
        w->features[i] = (struct layer1_feature){
            .rows = {id->n_distinct, dim, ld, e, de, id->t_off, id->t_row, layer1_scale(l, b, input, w)},
            .base = base,
            .input = input};
        for (size_t u = 0; u < id->n_distinct; u++) {
            memcpy(e + u * ld, layer1_row(l, b, rows, in, u), dim * sizeof *e);
            memset(e + u * ld + dim, 0, (ld - dim) * sizeof *e);
        }
        base += id->n_distinct;
        e += id->n_distinct * ld;
        de += id->n_distinct * ld;
    }
    return base;
}

/* index[s, f]: row of p for each single-valued feature. Gives their number. */
static size_t index_rows(const struct layer1 *l, const struct batch *b, struct layer1_work *w)
{
    size_t n_single = 0, f = 0;
    for (size_t i = 0; i < l->n_project; i++) n_single += !b->ids[l->inputs[l->project[i]].place].off;
    for (size_t i = 0; i < l->n_project; i++) {
        const struct batch_id *id = &b->ids[l->inputs[l->project[i]].place];
        if (id->off) continue;
        uint32_t base = (uint32_t)w->features[i].base;
        for (size_t s = 0; s < b->n_rows; s++) w->index[s * n_single + f] = base + id->idx[s];
        f++;
    }
    return n_single;
}

/* The next block: 64, 32 or 16 columns by vector kernels, fewer by plain ones. Blocks are
 * narrower when many rows are projected: p of a block should fit half a megabyte. */
static size_t next_block(const struct layer1 *l, size_t left, size_t n_rows,
                         const struct layer1_kernels **k)
{
    *k = l->kernels;
    size_t widest = n_rows * KERNEL_COLS * sizeof(float) > (768u << 10) ? 32 : KERNEL_COLS;
    for (size_t cols = widest; cols >= 16; cols /= 2)
        if (left >= cols) return cols;
    *k = &layer1_kernels_plain;
    return left;
}

void layer1_project_forward(const struct layer1 *l, const float *W, size_t ldw, const struct batch *b,
                            const struct model_rows *rows, struct layer1_work *w, float *y, size_t ldy)
{
    size_t n_rows = pack(l, b, rows, w), n_single = index_rows(l, b, w);
    const struct layer1_kernels *k;
    for (size_t c = 0, cols; c < l->n_out; c += cols) {
        cols = next_block(l, l->n_out - c, n_rows, &k);
        for (size_t i = 0; i < l->n_project; i++) {
            const struct layer1_feature *f = &w->features[i];
            k->product(&f->rows, W + l->offset[f->input] * ldw + c, ldw, cols, w->p + f->base * cols);
        }
        if (n_single) k->gather(b->n_rows, n_single, w->index, w->p, cols, y + c, ldy);
        for (size_t i = 0; i < l->n_project; i++) {
            const struct layer1_feature *f = &w->features[i];
            const struct batch_id *id = &b->ids[l->inputs[f->input].place];
            if (id->off)
                k->gather_multi(b->n_rows, id->off, id->idx, f->rows.scale, w->p + f->base * cols, cols,
                                y + c, ldy);
        }
    }
}

void layer1_project_backward(const struct layer1 *l, const float *W, size_t ldw, const struct batch *b,
                             struct layer1_work *w, const float *dy, size_t ldy, float *dW,
                             float *const *row_grad)
{
    for (size_t i = 0; i < l->n_project; i++) {
        const struct kernel_rows *r = &w->features[i].rows;
        memset(r->de, 0, r->n * r->ld * sizeof *r->de);
        float *slice = dW + l->offset[w->features[i].input] * ldw;
        for (size_t d = 0; d < r->dim; d++) memset(slice + d * ldw, 0, l->n_out * sizeof *slice);
    }
    const struct layer1_kernels *k;
    for (size_t c = 0, cols; c < l->n_out; c += cols) {
        cols = next_block(l, l->n_out - c, 0, &k);
        for (size_t s = 0; s < b->n_rows; s++)
            memcpy(w->dy + s * cols, dy + s * ldy + c, cols * sizeof *dy);
        for (size_t i = 0; i < l->n_project; i++) {
            const struct layer1_feature *f = &w->features[i];
            size_t at = l->offset[f->input] * ldw + c;
            k->backward(&f->rows, w->dy, cols, W + at, ldw, cols, dW + at);
        }
    }
    for (size_t i = 0; i < l->n_project; i++) {
        const struct kernel_rows *r = &w->features[i].rows;
        const struct model_input *in = &l->inputs[w->features[i].input];
        const uint32_t *row = b->ids[in->place].row;
        float *grad = row_grad[in->table];
        for (size_t u = 0; u < r->n; u++)
            for (size_t d = 0; d < r->dim; d++) grad[row[u] * r->dim + d] += r->de[u * r->ld + d];
    }
}
