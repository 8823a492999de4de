#include "model/level.h"

#include <string.h>

#include "model/norm.h"
#include "model/op.h"

#include "common/math/vec.h"
#include "model/surgery.h"

enum { MIX_ROWS = 16 }; /* rows whose branches' gradients stay in the first-level cache */

/* ---- memory ---- */

static size_t most_experts(const struct net *net)
{
    size_t n = 1;
    for (size_t i = 0; i < net->n_mixes; i++)
        if (net->mixes[i].n > n) n = net->mixes[i].n;
    return n;
}

static bool alloc_buffers(const struct net *net, bool backward, struct level_chunk *c)
{
    for (size_t i = 0; i < net->n_buffers; i++) {
        const struct net_buffer *b = &net->buffers[i];
        size_t n = b->width * c->max;
        if (i != NET_Y && (c->act[i] = mem_zeroed(n, sizeof(float))) == NULL)
            return false;
        if (b->pre && (c->pre[i] = mem_zeroed(n, sizeof(float))) == NULL) return false;
        if (i == NET_Y || !backward) continue;
        if ((c->grad[i] = mem_zeroed(n, sizeof(float))) == NULL) return false;
    }
    for (size_t i = 0; i < net->n_layers && backward; i++) {
        const struct net_layer *l = &net->layers[i];
        if (l->norm == NET_NONE) continue;
        c->norm[l->norm] = mem_zeroed(NORM_MEMORY(c->max, l->out), sizeof(float));
        if (c->norm[l->norm] == NULL) return false;
    }
    return true;
}

enum status level_chunk_create(const struct net *net, bool backward, size_t rows,
                               struct level_chunk **out, struct error *err)
{
    struct level_chunk *c = *out = mem_zeroed(1, sizeof *c);
    if (c == NULL) return mem_error(err, "activations", sizeof *c);
    c->max = rows;
    c->act = mem_zeroed(net->n_buffers, sizeof *c->act);
    c->grad = mem_zeroed(net->n_buffers, sizeof *c->grad);
    c->pre = mem_zeroed(net->n_buffers, sizeof *c->pre);
    c->norm = mem_zeroed(net->n_norms, sizeof *c->norm);
    c->rows = mem_zeroed(most_experts(net), sizeof *c->rows);
    c->uses = mem_zeroed(net->n_mixes, sizeof *c->uses);
    if (c->act && c->grad && c->pre && c->norm && c->rows && c->uses &&
        alloc_buffers(net, backward, c))
        return ST_OK;
    level_chunk_destroy(c, net);
    *out = NULL;
    return mem_error(err, "activations", 0);
}

void level_chunk_destroy(struct level_chunk *c, const struct net *net)
{
    if (c == NULL) return;
    for (size_t i = 0; i < net->n_buffers; i++) {
        if (i != NET_Y && c->act != NULL) mem_free(c->act[i]);
        if (i != NET_Y && c->grad != NULL) mem_free(c->grad[i]);
        if (c->pre != NULL) mem_free(c->pre[i]);
    }
    for (size_t i = 0; i < net->n_norms && c->norm != NULL; i++) mem_free(c->norm[i]);
    mem_free(c->act);
    mem_free(c->grad);
    mem_free(c->pre);
    mem_free(c->norm);
    mem_free(c->rows);
    mem_free(c->uses);
    mem_free(c);
}

/* ---- blocks and layers ---- */

/* Columns [col, col + n) of buffer number buf through their activation, and back. */
static void activate(const struct net *net, const struct net_run *r, size_t buf,
                     struct level_chunk *c)
{
    size_t ld = net->buffers[buf].width;
    float *y = c->act[buf] + r->col;
    float *pre = r->keep != KEEP_NOTHING ? c->pre[buf] + r->col : NULL;
    layers_activate(r->act, c->n, r->n, y, r->keep == KEEP_INPUT ? pre : NULL, ld);
    for (size_t i = 0; i < c->n && r->keep == KEEP_OUTPUT; i++)
        memcpy(pre + i * ld, y + i * ld, r->n * sizeof *y);
}

static void activate_backward(const struct net *net, const struct net_run *r, size_t buf,
                              struct level_chunk *c)
{
    const float *y = c->act[buf] + r->col;
    const float *pre = r->keep != KEEP_NOTHING ? c->pre[buf] + r->col : NULL;
    layers_activate_backward(r->act, c->n, r->n, r->keep == KEEP_OUTPUT ? pre : y, pre,
                             c->grad[buf] + r->col, net->buffers[buf].width);
}

static struct net_run run_of(const struct net_layer *l)
{
    return (struct net_run){l->dst_col, l->out, l->act, l->keep};
}

/* Of the layer's activations, or of their gradients: the same factors. */
static void layer_dropout(const struct net *net, const struct net_layer *l,
                          const struct level_chunk *c, float *const *base)
{
    if (l->dropout.below == 0 || c->keys == NULL) return;
    dropout_apply(&l->dropout, c->n, l->out, c->keys, base[l->dst] + l->dst_col,
                  net->buffers[l->dst].width);
}

static void layer_norm(const struct net *net, const struct net_layer *l,
                       const float *params, struct level_chunk *c)
{
    if (l->norm == NET_NONE) return;
    norm_forward(c->n, l->out, params + l->gain, params + l->bias,
                 c->act[l->dst] + l->dst_col, net->buffers[l->dst].width,
                 c->norm[l->norm]);
}

static void layer_norm_backward(const struct net *net, const struct net_layer *l,
                                const float *params, struct level_chunk *c, float *grad)
{
    if (l->norm == NET_NONE) return;
    norm_backward(c->n, l->out, params + l->gain, c->norm[l->norm],
                  c->grad[l->dst] + l->dst_col, net->buffers[l->dst].width,
                  grad + l->gain, grad + l->bias);
}

/* The first layer of unit number i of a block. */
static const struct net_layer *first_layer(const struct net *net,
                                           const struct net_block *b, size_t i)
{
    return &net->layers[net->units[b->first_unit + i].first];
}

static void block_forward(const struct net *net, const struct net_block *b,
                          const float *params, enum product kind, struct level_chunk *c)
{
    if (b->src != NET_X) {
        layers_product(kind, c->n, b->in, b->n, c->act[b->src],
                       net->buffers[b->src].width, params + b->w, b->n, params + b->b,
                       c->act[b->dst], net->buffers[b->dst].width);
    }
    for (size_t i = 0; i < b->n_units; i++)
        layer_norm(net, first_layer(net, b, i), params, c);
    for (size_t i = 0; i < b->n_runs; i++) activate(net, &b->runs[i], b->dst, c);
    for (size_t i = 0; i < b->n_units; i++)
        layer_dropout(net, first_layer(net, b, i), c, c->act);
}

static void block_backward(const struct net *net, const struct net_block *b,
                           const float *params, struct level_chunk *c, float *grad)
{
    for (size_t i = 0; i < b->n_units; i++)
        layer_dropout(net, first_layer(net, b, i), c, c->grad);
    for (size_t i = 0; i < b->n_runs; i++) activate_backward(net, &b->runs[i], b->dst, c);
    for (size_t i = 0; i < b->n_units; i++)
        layer_norm_backward(net, first_layer(net, b, i), params, c, grad);
    if (b->src == NET_X) return;
    bool meeting = c->surgery != NULL && b->meeting;
    layers_product_backward(b->add, c->n, b->in, b->n, c->act[b->src],
                            net->buffers[b->src].width, params + b->w, b->n,
                            c->grad[b->dst], net->buffers[b->dst].width,
                            meeting ? NULL : c->grad[b->src],
                            net->buffers[b->src].width, grad + b->w, grad + b->b);
    if (meeting) surgery_towers(net, b, params, c);
}

static void layer_forward(const struct net *net, const struct net_layer *l,
                          const float *params, enum product kind, struct level_chunk *c)
{
    size_t ldx = net->buffers[l->src].width, ldy = net->buffers[l->dst].width;
    float *y = c->act[l->dst] + l->dst_col;
    layers_product(kind, c->n, l->in, l->out, c->act[l->src] + l->src_col, ldx,
                   params + l->w, l->ldw, params + l->b, y, ldy);
    layer_norm(net, l, params, c);
    if (l->linear) return;
    struct net_run all = run_of(l);
    activate(net, &all, l->dst, c);
    layer_dropout(net, l, c, c->act);
}

static void layer_backward(const struct net *net, const struct net_layer *l,
                           const float *params, struct level_chunk *c, float *grad)
{
    size_t ldx = net->buffers[l->src].width, ldy = net->buffers[l->dst].width;
    float *dy = c->grad[l->dst] + l->dst_col;
    if (!l->linear) {
        struct net_run all = run_of(l);
        layer_dropout(net, l, c, c->grad);
        activate_backward(net, &all, l->dst, c);
    }
    layer_norm_backward(net, l, params, c, grad);
    layers_product_backward(false, c->n, l->in, l->out, c->act[l->src] + l->src_col, ldx,
                            params + l->w, l->ldw, dy, ldy, c->grad[l->src] + l->src_col,
                            ldx, grad + l->w, grad + l->b);
}

/* ---- mixtures ---- */

static struct mix_rows rows_of(const struct net *net, float *const *base, size_t buf,
                               size_t col, size_t row)
{
    size_t ld = net->buffers[buf].width;
    return (struct mix_rows){base[buf] + row * ld + col, ld};
}

/* w = softmax(gate); branch = sum of w_i * expert_i. The gate's output becomes w. */
static void mixes_forward(const struct net *net, const struct net_level *level,
                          struct level_chunk *c)
{
    for (size_t j = 0; j < level->n_mixes; j++) {
        const struct net_mix *m = &net->mixes[level->first_mix + j];
        struct mix_rows g = rows_of(net, c->act, m->gate_buf, m->gate_col, 0);
        vec_softmax_rows(c->n, m->n, g.p, g.ld);
        for (size_t i = 0; i < m->n; i++) {
            const struct net_expert *e = &net->experts[m->expert[i]];
            c->rows[i] = rows_of(net, c->act, e->buf, e->col, 0);
        }
        mix_forward(c->n, m->n, level->width, g, c->rows,
                    rows_of(net, c->act, m->dst, 0, 0));
    }
}

static void expert_backward(const struct net *net, const struct net_level *level,
                            const struct net_expert *e, size_t row, size_t n,
                            struct level_chunk *c)
{
    for (size_t i = 0; i < e->n_seen; i++) {
        const struct net_mix *m = &net->mixes[e->seen[i].mix];
        size_t col = m->gate_col + e->seen[i].pos;
        c->uses[i].g = rows_of(net, c->act, m->gate_buf, col, row);
        c->uses[i].d = rows_of(net, c->grad, m->dst, 0, row);
        c->uses[i].q = rows_of(net, c->grad, m->gate_buf, col, row);
        c->uses[i].factor = e->meeting && c->surgery != NULL && m->task != NET_NONE
                                ? (float)c->surgery->coef[m->task]
                                : 1;
    }
    mix_backward(n, e->n_seen, level->width, rows_of(net, c->act, e->buf, e->col, row),
                 c->uses, rows_of(net, c->grad, e->buf, e->col, row));
}

static void mixes_backward(const struct net *net, const struct net_level *level,
                           struct level_chunk *c)
{
    if (c->surgery != NULL && level->meeting) surgery_mixes(net, level, c);
    for (size_t row = 0; row < c->n; row += MIX_ROWS) {
        size_t n = c->n - row < MIX_ROWS ? c->n - row : MIX_ROWS;
        for (size_t i = 0; i < level->n_experts; i++)
            expert_backward(net, level, &net->experts[level->first_expert + i], row, n,
                            c);
    }
    for (size_t j = 0; j < level->n_mixes; j++) {
        const struct net_mix *m = &net->mixes[level->first_mix + j];
        mix_softmax_backward(c->n, m->n,
                             rows_of(net, c->act, m->gate_buf, m->gate_col, 0),
                             rows_of(net, c->grad, m->gate_buf, m->gate_col, 0));
    }
}

/* ---- levels ---- */

void level_forward(const struct net *net, const struct net_level *level,
                   const float *params, enum product kind, struct level_chunk *c)
{
    for (size_t i = 0; i < level->n_blocks; i++)
        block_forward(net, &net->blocks[level->first_block + i], params, kind, c);
    for (size_t i = 0; i < level->n_units; i++) {
        const struct net_unit *u = &net->units[level->first_unit + i];
        for (size_t j = 1; j < u->n_layers; j++)
            layer_forward(net, &net->layers[u->first + j], params, kind, c);
    }
    mixes_forward(net, level, c);
    for (size_t i = 0; i < level->n_ops; i++) {
        const struct net_op *op = &net->ops[level->first_op + i];
        op->kind->forward(&(struct op_run){net, op, params, NULL, kind, c});
    }
}

void level_backward(const struct net *net, const struct net_level *level,
                    const float *params, struct level_chunk *c, float *grad)
{
    for (size_t i = level->n_ops; i-- > 0;) {
        const struct net_op *op = &net->ops[level->first_op + i];
        op->kind->backward(&(struct op_run){net, op, params, grad, PRODUCT_BLAS, c});
    }
    mixes_backward(net, level, c);
    for (size_t i = level->n_units; i-- > 0;) {
        const struct net_unit *u = &net->units[level->first_unit + i];
        for (size_t j = u->n_layers; j-- > 1;)
            layer_backward(net, &net->layers[u->first + j], params, c, grad);
    }
    for (size_t i = level->n_blocks; i-- > 0;)
        block_backward(net, &net->blocks[level->first_block + i], params, c, grad);
}
