/* The inference forward: layer 1 as one chain of fused multiply-adds per output
 * over features in order of name, everything after it with the chain product.
 * Nothing here looks at more than one row at a time, so a row's bits depend on
 * the row and the parameters alone. */
#include <string.h>

#include "common/math/chain.h"
#include "common/math/vec.h"
#include "model/attention.h"
#include "model/gather.h"
#include "model/infer_impl.h"
#include "model/op.h"

enum { PACKED_FROM = 8 }; /* rows of a product that reads packed weights */

/* ---- creation ---- */

/* Inputs of x, and direct inputs, by name. */
static void sort_inputs(struct infer *f)
{
    size_t n_direct = 0;
    for (size_t i = 0; i < f->m->n_inputs; i++) {
        size_t input = f->m->by_name[i];
        if (f->m->inputs[input].direct)
            f->direct[n_direct++] = input;
        else
            f->order[f->n_order++] = input;
    }
}

/* Neighbours that are multiplied are multiplied together: the chain is the same. */
static void make_segments(struct infer *f)
{
    const struct model *m = f->m;
    size_t row = 0;
    for (size_t i = 0; i < f->n_order; i++) {
        const struct model_input *in = &m->inputs[f->order[i]];
        enum segment_kind kind =
            in->kind == INPUT_ONE_HOT ? SEGMENT_ONE_HOT : SEGMENT_DENSE;
        size_t width = in->width;
        struct segment *last = f->n_segments > 0 ? &f->segments[f->n_segments - 1] : NULL;
        if (kind == SEGMENT_DENSE && last != NULL && last->kind == kind) {
            last->n_inputs++;
            last->k += width;
        } else {
            f->segments[f->n_segments++] = (struct segment){kind, i, 1, row, width, true};
        }
        row += width;
    }
}

static void reorder_weights(struct infer *f)
{
    const struct model *m = f->m;
    const struct net_block *b = &m->net.blocks[m->net.x_block];
    size_t row = 0;
    for (size_t i = 0; i < f->n_order; i++) {
        size_t from = m->x_offset[f->order[i]], width = m->inputs[f->order[i]].width;
        memcpy(f->w + row * b->n, f->params + b->w + from * b->n,
               width * b->n * sizeof(float));
        row += width;
    }
}

enum status infer_create(const struct model *m, const float *params, struct infer **out,
                         struct error *err)
{
    bool has_block = m->net.x_block != NET_NONE;
    size_t n = has_block ? m->net.blocks[m->net.x_block].n : 0;
    size_t bytes = m->net.n_params * sizeof(float);
    struct infer *f = *out = mem_zeroed(1, sizeof *f);
    if (f == NULL) return mem_error(err, "inference", sizeof *f);
    f->m = m;
    f->params = mem_alloc(bytes);
    f->w = mem_zeroed(m->n_x * n, sizeof *f->w);
    f->packed = mem_zeroed(m->n_x * n, sizeof *f->packed);
    f->order = mem_array(m->n_inputs, sizeof *f->order);
    f->direct = mem_array(m->n_inputs, sizeof *f->direct);
    f->segments = mem_array(m->n_inputs, sizeof *f->segments);
    if (!f->params || !f->w || !f->packed || !f->order || !f->direct || !f->segments) {
        infer_destroy(f);
        *out = NULL;
        return mem_error(err, "inference", bytes);
    }
    memcpy(f->params, params, bytes);
    sort_inputs(f);
    if (!has_block) return ST_OK;
    f->bias = f->params + m->net.blocks[m->net.x_block].b;
    make_segments(f);
    reorder_weights(f);
    for (size_t i = 0; i < f->n_segments; i++)
        chain_pack(n, f->segments[i].k, f->w + f->segments[i].row * n, n,
                   f->packed + f->segments[i].row * n);
    return ST_OK;
}

void infer_destroy(struct infer *f)
{
    if (f == NULL) return;
    mem_free(f->params);
    mem_free(f->w);
    mem_free(f->packed);
    mem_free(f->order);
    mem_free(f->direct);
    mem_free(f->segments);
    mem_free(f);
}

enum status infer_work_create(const struct infer *f, size_t max_rows,
                              struct infer_work **out, struct error *err)
{
    (void)max_rows; /* any number of rows goes through in chunks */
    size_t ld = f->m->net.buffers[NET_Y].width;
    struct infer_work *w = mem_zeroed(1, sizeof *w);
    *out = NULL;
    if (w == NULL) return mem_error(err, "inference", sizeof *w);
    w->f = f;
    w->x = mem_zeroed(NET_CHUNK * f->m->n_x, sizeof *w->x);
    w->y = mem_zeroed(NET_CHUNK * ld, sizeof *w->y);
    enum status st = w->x && w->y ? ST_OK : mem_error(err, "inference", NET_CHUNK * ld);
    if (st == ST_OK) st = level_chunk_create(&f->m->net, false, NET_CHUNK, &w->chunk, err);
    if (st == ST_OK) st = attention_work_create(f->m, NET_CHUNK, &w->attention, err);
    if (st == ST_OK && infer_projected_width(f) > 0) st = infer_lists_create(&w->lists, err);
    if (st != ST_OK) {
        infer_work_destroy(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void infer_work_destroy(struct infer_work *w)
{
    if (w == NULL) return;
    level_chunk_destroy(w->chunk, &w->f->m->net);
    attention_work_destroy(w->attention);
    infer_lists_destroy(w->lists);
    mem_free(w->x);
    mem_free(w->y);
    mem_free(w);
}

enum status infer_work_show(struct infer_work *w, infer_see *see, void *arg,
                            struct error *err)
{
    struct level_chunk *with_gradients;
    TRY(level_chunk_create(&w->f->m->net, true, NET_CHUNK, &with_gradients, err));
    level_chunk_destroy(w->chunk, &w->f->m->net);
    w->chunk = with_gradients;
    w->see = see;
    w->see_arg = arg;
    return ST_OK;
}

/* ---- rows [first, first + n) ---- */

static void gather_segment(const struct infer *f, const struct segment *s,
                           const struct batch *b, const struct model_rows *rows,
                           size_t first, size_t n, float *x)
{
    const struct model *m = f->m;
    size_t col = s->row;
    for (size_t i = s->first; i < s->first + s->n_inputs; i++) {
        const struct model_input *in = &m->inputs[f->order[i]];
        for (size_t r = 0; r < n; r++) {
            float *out = x + r * m->n_x + col;
            if (in->kind == INPUT_ID) {
                gather_pooled(&b->ids[in->place], in, rows, first + r, out);
            } else {
                memcpy(out, b->dense + (first + r) * b->n_dense + in->place,
                       in->width * sizeof *out);
            }
        }
        col += in->width;
    }
}

static void add_levels(const struct infer *f, const struct segment *s,
                       const struct batch *b, size_t first, size_t n, float *y, size_t ld)
{
    const struct model_input *in = &f->m->inputs[f->order[s->first]];
    const uint32_t *level = b->one_hot[in->place] + first;
    for (size_t r = 0; r < n; r++)
        if (level[r] != ONE_HOT_NONE)
            vec_add(ld, f->w + (s->row + level[r]) * ld, y + r * ld);
}

/* A few rows read the weights best as they lie. */
static void multiply_segment(const struct infer *f, const struct segment *s, size_t n,
                             struct infer_work *w, bool go_on)
{
    size_t ld = f->m->net.buffers[NET_Y].width, n_x = f->m->n_x;
    const float *x = w->x + s->row;
    if (n < PACKED_FROM || !s->packed)
        chain_gemm(n, ld, s->k, x, n_x, f->w + s->row * ld, ld, NULL, go_on, w->y, ld);
    else
        chain_gemm_packed(n, ld, s->k, x, n_x, f->packed + s->row * ld, NULL, go_on, w->y, ld);
}

void infer_add_segment(const struct infer *f, const struct segment *s, const struct batch *b,
                       const struct model_rows *rows, size_t first, size_t n, bool go_on,
                       struct infer_work *w)
{
    size_t ld = f->m->net.buffers[NET_Y].width;
    if (s->kind == SEGMENT_DENSE) {
        gather_segment(f, s, b, rows, first, n, w->x);
        multiply_segment(f, s, n, w, go_on);
        return;
    }
    if (!go_on) memset(w->y, 0, n * ld * sizeof *w->y);
    add_levels(f, s, b, first, n, w->y, ld);
}

void infer_add_bias(const struct infer *f, size_t n, struct infer_work *w)
{
    size_t ld = f->m->net.buffers[NET_Y].width;
    for (size_t r = 0; r < n; r++) vec_add(ld, f->bias, w->y + r * ld);
}

static void layer1_chain(const struct infer *f, const struct batch *b,
                         const struct model_rows *rows, size_t first, size_t n,
                         struct infer_work *w)
{
    size_t ld = f->m->net.buffers[NET_Y].width;
    if (f->n_segments == 0) memset(w->y, 0, n * ld * sizeof *w->y);
    for (size_t i = 0; i < f->n_segments; i++)
        infer_add_segment(f, &f->segments[i], b, rows, first, n, i > 0, w);
    infer_add_bias(f, n, w);
}

static void copy_logits(const struct model *m, const struct level_chunk *c, float *logits)
{
    for (size_t k = 0; k < m->n_tasks; k++) {
        const struct net_head *h = &m->net.heads[k];
        size_t ld = m->net.buffers[h->buf].width;
        for (size_t r = 0; r < c->n; r++)
            logits[r * m->n_tasks + k] = c->act[h->buf][r * ld + h->col];
    }
}

/* From layer 1's output, w->y, to the last buffer. */
static void levels_forward(const struct infer *f, const struct batch *b,
                         const struct model_rows *rows, size_t first,
                         struct infer_work *w)
{
    const struct net *net = &f->m->net;
    for (size_t i = 0; i < net->n_levels; i++)
        level_forward(net, &net->levels[i], f->params, PRODUCT_CHAIN, w->chunk);
    gather_direct_forward(f->m, f->direct, f->m->n_direct, f->params, b, rows, first,
                          w->chunk);
}

void infer_after_layer1(const struct infer *f, const struct batch *b, const struct model_rows *rows,
                        size_t first, struct infer_work *w, float *logits)
{
    levels_forward(f, b, rows, first, w);
    copy_logits(f->m, w->chunk, logits + first * f->m->n_tasks);
}

/* Rows [first, first + w->chunk->n) of the batch. */
static void chunk_forward(const struct infer *f, const struct batch *b,
                          const struct model_rows *rows, size_t first,
                          struct infer_work *w)
{
    const struct net *net = &f->m->net;
    if (net->x_block != NET_NONE) layer1_chain(f, b, rows, first, w->chunk->n, w);
    if (net->x_buf[0] != NET_NONE) gather_x_forward(f->m, b, rows, first, w->chunk);
    levels_forward(f, b, rows, first, w);
}

/* Rows from `first` on, as many as a chunk takes, up to the last buffer. */
static void next_chunk(const struct infer *f, const struct batch *b,
                       const struct model_rows *rows, size_t first, struct infer_work *w)
{
    size_t left = b->n_rows - first, n = left < NET_CHUNK ? left : NET_CHUNK;
    w->chunk->n = n;
    w->chunk->act[NET_Y] = w->y;
    if (w->attention == NULL) {
        chunk_forward(f, b, rows, first, w);
        return;
    }
    const struct attention_view *v = attention_forward(
        f->m, f->params, PRODUCT_CHAIN, b, rows, NULL, first, n, w->attention);
    chunk_forward(f, &v->batch, &v->rows, 0, w);
}

void infer_forward(const struct infer *f, const struct batch *b,
                   const struct model_rows *rows, struct infer_work *w, float *logits)
{
    for (size_t first = 0; first < b->n_rows; first += NET_CHUNK) {
        next_chunk(f, b, rows, first, w);
        copy_logits(f->m, w->chunk, logits + first * f->m->n_tasks);
        if (w->see != NULL) w->see(w->see_arg, f->params, b, first, w->chunk);
    }
}

void infer_vectors(const struct infer *f, const struct batch *b,
                   const struct model_rows *rows, enum model_side side, struct infer_work *w,
                   float *vectors)
{
    const struct net *net = &f->m->net;
    size_t K = f->m->n_tasks, width = model_vector_width(f->m);
    size_t buf = net->ops[net->match].dst[side == SIDE_USER ? MATCH_USER : MATCH_ITEM];
    size_t ld = net->buffers[buf].width;
    for (size_t first = 0; first < b->n_rows; first += NET_CHUNK) {
        next_chunk(f, b, rows, first, w);
        for (size_t i = 0; i < w->chunk->n * K; i++)
            memcpy(vectors + (first * K + i) * width,
                   w->chunk->act[buf] + i / K * ld + i % K * (ld / K),
                   width * sizeof *vectors);
    }
}
