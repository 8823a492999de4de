/* The inference forward: layer 1 as one chain of fused multiply-adds per output
 * over features in order of name, everything after it with the chain product.
 * Nothing here looks at more than one row at a time, so a row's bits depend on
 * the row and the parameters alone. */
#include <string.h>

#include "common/math/chain.h"
#include "common/math/vec.h"
#include "model/attention.h"
#include "model/gather.h"
#include "model/op.h"
#include "model/watch.h"

enum { PROJECTED_ROWS = 64 }; /* of an example, added at a time */

/* A stretch of the chain. */
enum segment_kind {
    SEGMENT_DENSE,  /* k columns of x times k rows of W: ids and dense numbers */
    SEGMENT_ONE_HOT /* one row of W: fma(1, w, s) = s + w and fma(0, w, s) = s */
};
struct segment {
    enum segment_kind kind;
    size_t first, n_inputs; /* in infer.order */
    size_t row, k;          /* in W and, for DENSE, columns [row, row + k) of x */
};

struct infer {
    const struct model *m; /* must outlive the infer */
    float *params;         /* [P] a copy */
    float *w;              /* [D, N] rows of layer 1 in name order */
    const float *bias;     /* [N] in params */
    size_t *order;         /* [n_order] inputs of x by name */
    size_t n_order;
    size_t *direct; /* [m->n_direct] direct inputs by name */
    struct segment *segments;
    size_t n_segments;
};

struct infer_work {
    const struct infer *f;
    struct level_chunk *chunk;
    struct attention_work *attention; /* NULL: none */
    float *x; /* [NET_CHUNK, D] pooled rows and numbers in name order */
    float *y; /* [NET_CHUNK, N] */
    infer_see *see; /* NULL: nobody watches */
    void *see_arg;
};

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
            f->segments[f->n_segments++] = (struct segment){kind, i, 1, row, width};
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
    f->order = mem_array(m->n_inputs, sizeof *f->order);
    f->direct = mem_array(m->n_inputs, sizeof *f->direct);
    f->segments = mem_array(m->n_inputs, sizeof *f->segments);
    if (!f->params || !f->w || !f->order || !f->direct || !f->segments) {
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
    return ST_OK;
}

void infer_destroy(struct infer *f)
{
    if (f == NULL) return;
    mem_free(f->params);
    mem_free(f->w);
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

static void layer1_chain(const struct infer *f, const struct batch *b,
                         const struct model_rows *rows, size_t first, size_t n,
                         struct infer_work *w)
{
    size_t ld = f->m->net.buffers[NET_Y].width, n_x = f->m->n_x;
    memset(w->y, 0, n * ld * sizeof *w->y);
    for (size_t i = 0; i < f->n_segments; i++) {
        const struct segment *s = &f->segments[i];
        switch (s->kind) {
        case SEGMENT_DENSE:
            gather_segment(f, s, b, rows, first, n, w->x);
            chain_gemm(n, ld, s->k, w->x + s->row, n_x, f->w + s->row * ld, ld, NULL,
                       true, w->y, ld);
            break;
        case SEGMENT_ONE_HOT:
            add_levels(f, s, b, first, n, w->y, ld);
            break;
        }
    }
    for (size_t r = 0; r < n; r++) vec_add(ld, f->bias, w->y + r * ld);
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
static void after_layer1(const struct infer *f, const struct batch *b,
                         const struct model_rows *rows, size_t first,
                         struct infer_work *w)
{
    const struct net *net = &f->m->net;
    for (size_t i = 0; i < net->n_levels; i++)
        level_forward(net, &net->levels[i], f->params, PRODUCT_CHAIN, w->chunk);
    gather_direct_forward(f->m, f->direct, f->m->n_direct, f->params, b, rows, first,
                          w->chunk);
}

/* Rows [first, first + w->chunk->n) of the batch. */
static void chunk_forward(const struct infer *f, const struct batch *b,
                          const struct model_rows *rows, size_t first,
                          struct infer_work *w)
{
    const struct net *net = &f->m->net;
    if (net->x_block != NET_NONE) layer1_chain(f, b, rows, first, w->chunk->n, w);
    if (net->x_buf[0] != NET_NONE) gather_x_forward(f->m, b, rows, first, w->chunk);
    after_layer1(f, b, rows, first, w);
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

/* ---- projected rows ---- */

size_t infer_projected_width(const struct infer *f)
{
    bool plain = f->m->net.x_block != NET_NONE && f->m->net.x_buf[0] == NET_NONE &&
                 f->m->n_attention == 0;
    return plain ? f->m->net.buffers[NET_Y].width : 0;
}

bool infer_projects(const struct infer *f, size_t input)
{
    const struct model_input *in = &f->m->inputs[input];
    return infer_projected_width(f) > 0 && in->kind == INPUT_ID && !in->direct;
}

/* First row of the input's weights. */
static size_t first_row(const struct infer *f, size_t input)
{
    size_t row = 0;
    for (size_t i = 0; f->order[i] != input; i++) row += f->m->inputs[f->order[i]].width;
    return row;
}

void infer_project(const struct infer *f, size_t input, const float *row, float *out)
{
    size_t ld = f->m->net.buffers[NET_Y].width, dim = f->m->inputs[input].width;
    chain_gemm(1, ld, dim, row, dim, f->w + first_row(f, input) * ld, ld, NULL, false,
               out, ld);
}

/* Projected rows of an example that wait to be added. */
struct projected_rows {
    size_t n;
    float scale[PROJECTED_ROWS];
    const float *row[PROJECTED_ROWS];
};

static void add_waiting(struct projected_rows *p, float *y, size_t ld)
{
    vec_axpy_rows(ld, p->n, p->scale, p->row, y);
    p->n = 0;
}

/* Inputs order[i..end), all projected, of example r. */
static void add_projected(const struct infer *f, const struct batch *b,
                          const float *const *const *projected, size_t i, size_t end,
                          size_t r, float *y, size_t ld)
{
    struct projected_rows p;
    p.n = 0;
    for (; i < end; i++) {
        const struct model_input *in = &f->m->inputs[f->order[i]];
        const struct batch_id *ids = &b->ids[in->place];
        size_t first = gather_first(ids, r), last = gather_first(ids, r + 1);
        float scale = gather_scale(in->pool, last - first);
        for (size_t o = first; o < last; o++) {
            if (p.n == PROJECTED_ROWS) add_waiting(&p, y, ld);
            p.scale[p.n] = scale;
            p.row[p.n++] = projected[f->order[i]][o];
        }
    }
    add_waiting(&p, y, ld);
}

/* Where the inputs from `i` on that are projected end. */
static size_t projected_end(const struct infer *f, const float *const *const *projected,
                            size_t i)
{
    while (i < f->n_order && projected[f->order[i]] != NULL) i++;
    return i;
}

/* Input order[i], whose weights are the rows of w from `row` on, as it is. */
static void add_unprojected(const struct infer *f, const struct batch *b,
                            const struct model_rows *rows, size_t i, size_t row,
                            size_t first, size_t n, struct infer_work *w)
{
    const struct model_input *in = &f->m->inputs[f->order[i]];
    struct segment s = {SEGMENT_DENSE, i, 1, row, in->width};
    size_t ld = f->m->net.buffers[NET_Y].width, n_x = f->m->n_x;
    if (in->kind == INPUT_ONE_HOT) {
        add_levels(f, &s, b, first, n, w->y, ld);
        return;
    }
    gather_segment(f, &s, b, rows, first, n, w->x);
    chain_gemm(n, ld, s.k, w->x + row, n_x, f->w + row * ld, ld, NULL, true, w->y, ld);
}

static void layer1_sums(const struct infer *f, const struct batch *b,
                        const struct model_rows *rows,
                        const float *const *const *projected, size_t first, size_t n,
                        struct infer_work *w)
{
    size_t ld = f->m->net.buffers[NET_Y].width, row = 0;
    memset(w->y, 0, n * ld * sizeof *w->y);
    for (size_t i = 0; i < f->n_order;) {
        size_t end = projected_end(f, projected, i);
        for (size_t r = 0; end > i && r < n; r++)
            add_projected(f, b, projected, i, end, first + r, w->y + r * ld, ld);
        if (end == i) add_unprojected(f, b, rows, end++, row, first, n, w);
        for (; i < end; i++) row += f->m->inputs[f->order[i]].width;
    }
    for (size_t r = 0; r < n; r++) vec_add(ld, f->bias, w->y + r * ld);
}

void infer_forward_projected(const struct infer *f, const struct batch *b,
                             const struct model_rows *rows,
                             const float *const *const *projected, struct infer_work *w,
                             float *logits)
{
    for (size_t first = 0; first < b->n_rows; first += NET_CHUNK) {
        size_t left = b->n_rows - first, n = left < NET_CHUNK ? left : NET_CHUNK;
        w->chunk->n = n;
        w->chunk->act[NET_Y] = w->y;
        layer1_sums(f, b, rows, projected, first, n, w);
        after_layer1(f, b, rows, first, w);
        copy_logits(f->m, w->chunk, logits + first * f->m->n_tasks);
    }
}
