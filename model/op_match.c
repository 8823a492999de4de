/* The cosine of two vectors per task, divided by the temperature, plus a bias: the score
 * of two_tower (DSSM, Huang et al. 2013, eq. 4, with the temperature of Yi et al. 2019).
 *
 *   a = u / sqrt(<u, u> + EPSILON), b likewise of v, z = <a, b> / temperature + bias
 *
 * EPSILON keeps a vector of zeros (a row without any known id, say) at zero; the formulas
 * and their gradients hold with it exactly. */
#include "model/op.h"

#include "common/base/compiler.h"
#include "common/math/vec.h"

static const float EPSILON = 1e-12f; /* norms below 1e-6 count as small */

struct op_match_spec {
    size_t K, width;
    size_t ld;                         /* from one task's vector to the next */
    const size_t *user_col, *item_col; /* [K] where the vectors stand in the sources */
    float inverse;                     /* 1 / temperature */
    size_t bias;                       /* [K] */
};

/* Of the row's memory: 1 / |u|, 1 / |v|, <a, b> of each task. */
enum { SUM_USER, SUM_ITEM, SUM_DOT, N_SUMS };

/* ---- forward ---- */

VECTOR_CLONES
static void scaled(size_t n, float scale, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] * scale;
}

static float inverse_norm(size_t n, const float *x)
{
    return 1.0f / __builtin_sqrtf(vec_dot(n, x, x) + EPSILON);
}

static void forward(const struct op_run *r)
{
    const struct op_match_spec *s = r->op->spec;
    const size_t *src = r->op->src, *dst = r->op->dst;
    for (size_t row = 0; row < r->chunk->n; row++) {
        const float *u = op_act(r, src[SIDE_USER]) + row * op_ld(r, src[SIDE_USER]);
        const float *v = op_act(r, src[SIDE_ITEM]) + row * op_ld(r, src[SIDE_ITEM]);
        float *a = op_act(r, dst[MATCH_USER]) + row * op_ld(r, dst[MATCH_USER]);
        float *b = op_act(r, dst[MATCH_ITEM]) + row * op_ld(r, dst[MATCH_ITEM]);
        float *z = op_act(r, dst[MATCH_Z]) + row * op_ld(r, dst[MATCH_Z]);
        float *sums = op_act(r, dst[MATCH_SUMS]) + row * op_ld(r, dst[MATCH_SUMS]);
        for (size_t k = 0; k < s->K; k++, a += s->ld, b += s->ld, sums += N_SUMS) {
            sums[SUM_USER] = inverse_norm(s->width, u + s->user_col[k]);
            sums[SUM_ITEM] = inverse_norm(s->width, v + s->item_col[k]);
            scaled(s->width, sums[SUM_USER], u + s->user_col[k], a);
            scaled(s->width, sums[SUM_ITEM], v + s->item_col[k], b);
            sums[SUM_DOT] = vec_dot(s->width, a, b);
            z[k] = sums[SUM_DOT] * s->inverse + r->params[s->bias + k];
        }
    }
}

/* ---- backward ---- */

/* With da = d b: du = d (b - <a, b> a) / |u|. */
VECTOR_CLONES
static void vector_backward(bool add, size_t n, float d, float dot, const float *a,
                            const float *b, float *du)
{
    for (size_t i = 0; i < n; i++) {
        float g = d * (b[i] - dot * a[i]);
        du[i] = add ? du[i] + g : g;
    }
}

static void backward(const struct op_run *r)
{
    const struct op_match_spec *s = r->op->spec;
    const size_t *src = r->op->src, *dst = r->op->dst;
    for (size_t row = 0; row < r->chunk->n; row++) {
        float *du = op_grad(r, src[SIDE_USER]) + row * op_ld(r, src[SIDE_USER]);
        float *dv = op_grad(r, src[SIDE_ITEM]) + row * op_ld(r, src[SIDE_ITEM]);
        const float *a = op_act(r, dst[MATCH_USER]) + row * op_ld(r, dst[MATCH_USER]);
        const float *b = op_act(r, dst[MATCH_ITEM]) + row * op_ld(r, dst[MATCH_ITEM]);
        const float *dz = op_grad(r, dst[MATCH_Z]) + row * op_ld(r, dst[MATCH_Z]);
        const float *sums = op_act(r, dst[MATCH_SUMS]) + row * op_ld(r, dst[MATCH_SUMS]);
        for (size_t k = 0; k < s->K; k++, a += s->ld, b += s->ld, sums += N_SUMS) {
            float d = dz[k] * s->inverse;
            r->grad[s->bias + k] += dz[k];
            vector_backward(r->op->add[SIDE_USER], s->width, d * sums[SUM_USER],
                            sums[SUM_DOT], a, b, du + s->user_col[k]);
            vector_backward(r->op->add[SIDE_ITEM], s->width, d * sums[SUM_ITEM],
                            sums[SUM_DOT], b, a, dv + s->item_col[k]);
        }
    }
}

/* ---- tensors, reference ---- */

static enum status tensors(struct model *m, const struct net_op *op, struct error *err)
{
    const struct op_match_spec *s = op->spec;
    for (size_t k = 0; k < s->K; k++) {
        struct model_tensor t = {.offset = s->bias + k,
                                 .rows = 1,
                                 .cols = 1,
                                 .stride = 1,
                                 .init = TENSOR_CONSTANT,
                                 .constant = m->tasks[k].base};
        TRY(tensors_add(m, arena_printf(m->arena, "match/%s/b", m->tasks[k].name), t,
                        err));
    }
    return ST_OK;
}

static double reference_dot(size_t n, const double *x, const double *y)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

/* Sources: the tasks' vectors side by side without padding. */
static void reference(const struct model *m, const struct net_op *op, const float *params,
                      const double *const *src, double *const *dst)
{
    const struct op_match_spec *s = op->spec;
    for (size_t k = 0; k < s->K; k++) {
        const double *u = src[SIDE_USER] + k * s->width,
                     *v = src[SIDE_ITEM] + k * s->width;
        double uu = reference_dot(s->width, u, u) + (double)EPSILON,
               vv = reference_dot(s->width, v, v) + (double)EPSILON;
        dst[MATCH_Z][k] =
            reference_dot(s->width, u, v) / __builtin_sqrt(uu * vv) / m->cfg.temperature +
            (double)params[s->bias + k];
    }
}

static op_value unit_vector(const struct op_trace *t, op_value x)
{
    op_value squares =
        trace_step(t, STEP_ADD, trace_dot(t, x, x), trace_number(t, EPSILON));
    return trace_step(t, STEP_DIV, x, trace_step(t, STEP_SQRT, squares, NULL));
}

static void trace(const struct net_op *op, const struct op_trace *t)
{
    const struct op_match_spec *s = op->spec;
    for (size_t k = 0; k < s->K; k++) {
        op_value a = unit_vector(
            t, t->read(t->arg, op->src[SIDE_USER], s->user_col[k], s->width));
        op_value b = unit_vector(
            t, t->read(t->arg, op->src[SIDE_ITEM], s->item_col[k], s->width));
        op_value z = trace_step(t, STEP_MUL, trace_dot(t, a, b), trace_number(t, s->inverse));
        z = trace_step(t, STEP_ADD, z, t->constant(t->arg, 1, t->params + s->bias + k));
        t->write(t->arg, op->dst[MATCH_Z], k, 1, z);
    }
}

const struct op_kind op_match = {"match", forward, backward, tensors, reference, trace};

/* ---- making ---- */

/* Columns of the K units from `first` on, which one block computes. */
static const size_t *columns(struct plan *p, size_t first, size_t *buf)
{
    size_t *col = arena_take(p->m->arena, p->m->n_tasks, sizeof *col);
    for (size_t k = 0; k < p->m->n_tasks && col != NULL; k++) {
        const struct net_layer *l = &p->net->layers[p->net->units[first + k].first];
        col[k] = l->dst_col;
        *buf = l->dst;
    }
    return col;
}

enum status op_match_add(struct plan *p, size_t user, size_t item, size_t width)
{
    struct arena *a = p->m->arena;
    size_t K = p->m->n_tasks, ld = net_round(width, NET_PAD);
    struct op_match_spec *s = arena_take(a, 1, sizeof *s);
    size_t *src = arena_take(a, N_SIDES, sizeof *src),
           *dst = arena_take(a, MATCH_DST, sizeof *dst);
    const char *text = arena_printf(a, "match x%zu [%zu]", K, width);
    if (!s || !src || !dst || !text) return plan_nomem(p);
    *s = (struct op_match_spec){.K = K,
                                .width = width,
                                .ld = ld,
                                .user_col = columns(p, user, &src[SIDE_USER]),
                                .item_col = columns(p, item, &src[SIDE_ITEM]),
                                .inverse = (float)(1 / p->m->cfg.temperature)};
    if (s->user_col == NULL || s->item_col == NULL) return plan_nomem(p);
    s->bias = plan_params(p, K);
    dst[MATCH_Z] = plan_buffer(p, K);
    dst[MATCH_USER] = plan_buffer(p, K * ld);
    dst[MATCH_ITEM] = plan_buffer(p, K * ld);
    dst[MATCH_SUMS] = plan_buffer(p, K * N_SUMS);
    for (size_t k = 0; k < K; k++) p->net->heads[k] = (struct net_head){dst[MATCH_Z], k};
    p->net->match = p->net->n_ops;
    return plan_op(p, (struct net_op){.kind = &op_match,
                                      .text = text,
                                      .src = src,
                                      .dst = dst,
                                      .n_src = N_SIDES,
                                      .n_dst = MATCH_DST,
                                      .spec = s});
}
