/* Cross layers of DCN-v2 (Wang et al. 2021, eq. 1 and 2), x as a row:
 *
 *   x_{l+1} = x_0 * u_l + x_l,   u_l = x_l W_l + b_l   or   (x_l V_l) U_l + b_l
 *
 * W [D, D], V [D, R], U [R, D]; the paper's W is U V^T. Rows of W and V and columns of
 * W, U and b belong to columns of x, so each is stored as one tensor per feature, W as
 * one per pair of features: neither order nor number of the others moves them. Each part
 * of the x of two_tower is crossed by itself. */
#include "model/op.h"

#include <string.h>

#include "common/base/compiler.h"
#include "common/math/vec.h"

struct op_cross_spec {
    const char *name; /* "cross/layer0" */
    size_t part;      /* of x */
    size_t D, R;      /* R 0: a full matrix */
    size_t ld;        /* row stride of W and U */
    size_t w;         /* W */
    size_t v, ldv, u; /* V, U */
    size_t b;
};

/* Of op.src and op.dst. */
enum { SRC_X, SRC_X0 };
enum { DST_X, DST_U, DST_V };

/* ---- forward ---- */

static void forward(const struct op_run *r)
{
    const struct op_cross_spec *s = r->op->spec;
    const size_t *dst = r->op->dst;
    size_t rows = r->chunk->n, ld = op_ld(r, dst[DST_X]);
    const float *x = op_act(r, r->op->src[SRC_X]), *p = r->params;
    float *u = op_act(r, dst[DST_U]), *y = op_act(r, dst[DST_X]);
    if (s->R == 0) {
        layers_product(r->product, rows, s->D, s->D, x, ld, p + s->w, s->ld, p + s->b, u,
                       ld);
    } else {
        float *v = op_act(r, dst[DST_V]);
        size_t ldv = op_ld(r, dst[DST_V]);
        layers_product(r->product, rows, s->D, s->R, x, ld, p + s->v, s->ldv, NULL, v,
                       ldv);
        layers_product(r->product, rows, s->R, s->D, v, ldv, p + s->u, s->ld, p + s->b, u,
                       ld);
    }
    memcpy(y, x, rows * ld * sizeof *y);
    vec_mul_add(rows * ld, op_act(r, r->op->src[SRC_X0]), u, y);
}

/* ---- backward ---- */

/* du = dy * x0, dx0 (+)= dy * u. */
VECTOR_CLONES
static void product_backward(bool add, size_t n, const float *dy, const float *x0,
                             const float *u, float *du, float *dx0)
{
    for (size_t i = 0; i < n; i++) {
        du[i] = dy[i] * x0[i];
        dx0[i] = add ? dx0[i] + dy[i] * u[i] : dy[i] * u[i];
    }
}

/* dx_0 comes first, so that for l = 0, where it is dx_l, the rest is added to it. */
static void backward(const struct op_run *r)
{
    const struct op_cross_spec *s = r->op->spec;
    const size_t *src = r->op->src, *dst = r->op->dst;
    size_t rows = r->chunk->n, ld = op_ld(r, dst[DST_X]);
    const float *x = op_act(r, src[SRC_X]), *dy = op_grad(r, dst[DST_X]), *p = r->params;
    float *du = op_grad(r, dst[DST_U]), *dx = op_grad(r, src[SRC_X]), *g = r->grad;
    bool same = src[SRC_X] == src[SRC_X0];
    product_backward(same ? r->op->add[SRC_X] : r->op->add[SRC_X0], rows * ld, dy,
                     op_act(r, src[SRC_X0]), op_act(r, dst[DST_U]), du,
                     op_grad(r, src[SRC_X0]));
    bool add = same || r->op->add[SRC_X];
    if (s->R == 0) {
        layers_product_backward(add, rows, s->D, s->D, x, ld, p + s->w, s->ld, du, ld, dx,
                                ld, g + s->w, g + s->b);
    } else {
        const float *v = op_act(r, dst[DST_V]);
        float *dv = op_grad(r, dst[DST_V]);
        size_t ldv = op_ld(r, dst[DST_V]);
        layers_product_backward(false, rows, s->R, s->D, v, ldv, p + s->u, s->ld, du, ld,
                                dv, ldv, g + s->u, g + s->b);
        layers_product_backward(add, rows, s->D, s->R, x, ld, p + s->v, s->ldv, dv, ldv,
                                dx, ld, g + s->v, NULL);
    }
    vec_add(rows * ld, dy, dx);
}

/* ---- tensors ---- */

static struct model_tensor weights(size_t offset, size_t rows, size_t cols, size_t stride,
                                   size_t fan_in, size_t fan_out)
{
    return (struct model_tensor){.offset = offset,
                                 .rows = rows,
                                 .cols = cols,
                                 .stride = stride,
                                 .init = TENSOR_GLOROT,
                                 .fan_in = fan_in,
                                 .fan_out = fan_out,
                                 .decay = true};
}

/* Does input i stand among the columns? */
static bool is_input(const struct model *m, const struct op_cross_spec *s, size_t i)
{
    return m->x_offset[i] != NET_NONE && m->part[i] == s->part;
}

/* Rows of W that read feature i: a tensor for each feature that they write. */
static enum status full_tensors(struct model *m, const struct op_cross_spec *s, size_t i,
                                struct error *err)
{
    for (size_t j = 0; j < m->n_inputs; j++) {
        if (!is_input(m, s, j)) continue;
        const char *name = arena_printf(m->arena, "%s/w/%s/%s", s->name,
                                        m->inputs[i].name, m->inputs[j].name);
        TRY(tensors_add(m, name,
                        weights(s->w + m->x_offset[i] * s->ld + m->x_offset[j],
                                m->inputs[i].width, m->inputs[j].width, s->ld, s->D,
                                s->D),
                        err));
    }
    return ST_OK;
}

static enum status factor_tensors(struct model *m, const struct op_cross_spec *s,
                                  size_t i, struct error *err)
{
    const struct model_input *in = &m->inputs[i];
    const char *v = arena_printf(m->arena, "%s/v/%s", s->name, in->name);
    TRY(tensors_add(
        m, v,
        weights(s->v + m->x_offset[i] * s->ldv, in->width, s->R, s->ldv, s->D, s->R),
        err));
    const char *u = arena_printf(m->arena, "%s/u/%s", s->name, in->name);
    return tensors_add(
        m, u, weights(s->u + m->x_offset[i], s->R, in->width, s->ld, s->R, s->D), err);
}

static enum status tensors(struct model *m, const struct net_op *op, struct error *err)
{
    const struct op_cross_spec *s = op->spec;
    for (size_t i = 0; i < m->n_inputs; i++) {
        if (!is_input(m, s, i)) continue;
        TRY(s->R == 0 ? full_tensors(m, s, i, err) : factor_tensors(m, s, i, err));
        struct model_tensor bias = {.offset = s->b + m->x_offset[i],
                                    .rows = 1,
                                    .cols = m->inputs[i].width,
                                    .stride = m->inputs[i].width,
                                    .init = TENSOR_ZERO};
        const char *name = arena_printf(m->arena, "%s/b/%s", s->name, m->inputs[i].name);
        TRY(tensors_add(m, name, bias, err));
    }
    return ST_OK;
}

/* ---- reference ---- */

static void reference(const struct model *m, const struct net_op *op, const float *params,
                      const double *const *src, double *const *dst)
{
    const struct op_cross_spec *s = op->spec;
    (void)m;
    for (size_t j = 0; j < s->D; j++) {
        double u = (double)params[s->b + j];
        for (size_t i = 0; i < s->D; i++) {
            double w = 0;
            if (s->R == 0) w = (double)params[s->w + i * s->ld + j];
            for (size_t k = 0; k < s->R; k++)
                w += (double)params[s->v + i * s->ldv + k] *
                     (double)params[s->u + k * s->ld + j];
            u += src[SRC_X][i] * w;
        }
        dst[DST_X][j] = src[SRC_X0][j] * u + src[SRC_X][j];
    }
}

static void trace(const struct net_op *op, const struct op_trace *t)
{
    const struct op_cross_spec *s = op->spec;
    op_value x = t->read(t->arg, op->src[SRC_X], 0, s->D), u = x;
    op_value x0 = t->read(t->arg, op->src[SRC_X0], 0, s->D);
    if (s->R > 0) u = t->product(t->arg, x, s->D, s->R, s->v, s->ldv, NET_NONE);
    u = t->product(t->arg, u, s->R > 0 ? s->R : s->D, s->D, s->R > 0 ? s->u : s->w, s->ld,
                   s->b);
    t->write(t->arg, op->dst[DST_X], 0, s->D,
             trace_step(t, STEP_ADD, trace_step(t, STEP_MUL, x0, u), x));
}

const struct op_kind op_cross = {"cross", forward, backward, tensors, reference, trace};

/* ---- making ---- */

static void place(struct plan *p, struct op_cross_spec *s)
{
    s->ld = net_round(s->D, NET_PAD);
    if (s->R == 0) {
        s->w = plan_params(p, s->D * s->ld);
    } else {
        s->ldv = net_round(s->R, NET_PAD);
        s->v = plan_params(p, s->D * s->ldv);
        s->u = plan_params(p, s->R * s->ld);
    }
    s->b = plan_params(p, s->D);
}

/* Layer l: from buffers x_0 and *x, which becomes the result. */
static enum status add_layer(struct plan *p, size_t l, size_t D, size_t x0, size_t *x)
{
    struct arena *a = p->m->arena;
    size_t R = p->m->cfg.cross_rank, n = R == 0 ? 1 : 2;
    struct op_cross_spec *s = arena_take(a, 1, sizeof *s);
    size_t *src = arena_take(a, 2, sizeof *src), *dst = arena_take(a, 3, sizeof *dst);
    struct model_product *products = arena_take(a, n, sizeof *products);
    if (!s || !src || !dst || !products) return plan_nomem(p);
    *s = (struct op_cross_spec){.part = p->part, .D = D, .R = R};
    s->name = arena_printf(a, "cross/layer%zu", l);
    const char *text = R == 0
                           ? arena_printf(a, "cross layer%zu [%zu %zu]", l, D, D)
                           : arena_printf(a, "cross layer%zu [%zu %zu %zu]", l, D, R, D);
    if (s->name == NULL || text == NULL) return plan_nomem(p);
    place(p, s);
    src[SRC_X] = *x;
    src[SRC_X0] = x0;
    dst[DST_X] = plan_buffer(p, D);
    dst[DST_U] = plan_buffer(p, D);
    if (R > 0) dst[DST_V] = plan_buffer(p, R);
    products[0] = (struct model_product){.in = D, .out = R == 0 ? D : R};
    if (R > 0) products[1] = (struct model_product){.in = R, .out = D};
    *x = dst[DST_X];
    return plan_op(p, (struct net_op){.kind = &op_cross,
                                      .text = text,
                                      .src = src,
                                      .dst = dst,
                                      .n_src = 2,
                                      .n_dst = n + 1,
                                      .spec = s,
                                      .products = products,
                                      .n_products = n});
}

enum status op_cross_add(struct plan *p, size_t D, size_t x0, size_t *out)
{
    *out = x0;
    plan_level_begin(p);
    for (size_t l = 0; l < p->m->cfg.cross_layers; l++) TRY(add_layer(p, l, D, x0, out));
    return ST_OK;
}
