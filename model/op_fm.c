/* The second-order term of factorisation machines (Rendle 2010, eq. 5; DeepFM, Guo et
 * al. 2017, eq. 2) over the fields of x, every input being one field with one vector v_i:
 * an id's pooled row stands in x itself; numbers and levels x_i have learnt vectors V_i,
 * v_i = x_i V_i.
 *
 *   p_j = ((sum_i v_ij)^2 - sum_i v_ij^2) / 2          z_k = sum_j h_kj p_j (+ b_k)
 *
 * h = 1 when there is one task, and is left out; with more tasks it is how the factors
 * that they share count for each of them, learnt from 1 on. dp_j/dv_ij = s_j - v_ij with
 * s_j = sum_i v_ij. Fields are added in order of name. */
#include "model/op.h"

#include <string.h>

#include "common/base/compiler.h"

/* Where a field's vector stands in a row. */
struct fm_vector {
    bool made; /* in the op's memory; else in x */
    size_t at;
};

/* A field of numbers or levels. */
struct fm_numbers {
    size_t input; /* in model.inputs */
    size_t col, width;
    size_t v;  /* parameters V [width, ld] */
    size_t at; /* of its vector in the op's memory */
};

struct op_fm_spec {
    size_t n, d, K, ld; /* fields; floats of a vector, without and with padding */
    const struct fm_vector *vectors; /* [n] */
    const struct fm_numbers *numbers;
    size_t n_numbers;
    size_t h, ld_h; /* weights [d, ld_h]; NET_NONE: all 1 */
    size_t b;       /* biases [K]; NET_NONE: none */
};

enum { DST_Z, DST_SUMS, DST_MADE }; /* results; s and p; vectors of numbers and levels */
enum { TILE = 8 };                  /* floats that are summed in a register */

/* s_j and p_j of one row; base[made] + at is a vector. */
VECTOR_CLONES
static void sums(const struct op_fm_spec *f, const float *const base[2],
                 float *restrict s, float *restrict p)
{
    size_t j = 0;
    for (; j + TILE <= f->d; j += TILE) {
        float a[TILE] = {0}, q[TILE] = {0};
        for (size_t i = 0; i < f->n; i++) {
            const float *v = base[f->vectors[i].made] + f->vectors[i].at + j;
            for (size_t t = 0; t < TILE; t++) a[t] += v[t];
            for (size_t t = 0; t < TILE; t++) q[t] += v[t] * v[t];
        }
        for (size_t t = 0; t < TILE; t++) s[j + t] = a[t];
        for (size_t t = 0; t < TILE; t++) p[j + t] = 0.5f * (a[t] * a[t] - q[t]);
    }
    for (; j < f->d; j++) {
        float a = 0, q = 0;
        for (size_t i = 0; i < f->n; i++) {
            float v = base[f->vectors[i].made][f->vectors[i].at + j];
            a += v;
            q += v * v;
        }
        s[j] = a;
        p[j] = 0.5f * (a * a - q);
    }
}

static void logits(const struct op_fm_spec *f, const float *params, const float *p,
                   float *z)
{
    for (size_t k = 0; k < f->K; k++) {
        float sum = f->b != NET_NONE ? params[f->b + k] : 0;
        for (size_t j = 0; j < f->d; j++)
            sum += f->h != NET_NONE ? params[f->h + j * f->ld_h + k] * p[j] : p[j];
        z[k] = sum;
    }
}

static void forward(const struct op_run *r)
{
    const struct op_fm_spec *f = r->op->spec;
    const size_t *dst = r->op->dst;
    size_t x = r->op->src[0];
    for (size_t i = 0; i < f->n_numbers; i++) {
        const struct fm_numbers *u = &f->numbers[i];
        layers_product(r->product, r->chunk->n, u->width, f->d, op_act(r, x) + u->col,
                       op_ld(r, x), r->params + u->v, f->ld, NULL,
                       op_act(r, dst[DST_MADE]) + u->at, op_ld(r, dst[DST_MADE]));
    }
    for (size_t row = 0; row < r->chunk->n; row++) {
        const float *base[2] = {op_act(r, x) + row * op_ld(r, x),
                                op_act(r, dst[DST_MADE]) + row * op_ld(r, dst[DST_MADE])};
        float *s = op_act(r, dst[DST_SUMS]) + row * op_ld(r, dst[DST_SUMS]);
        sums(f, base, s, s + f->ld);
        logits(f, r->params, s + f->ld, op_act(r, dst[DST_Z]) + row * op_ld(r, dst[DST_Z]));
    }
}

/* dp of one row; gradients of h and b. */
static void logits_backward(const struct op_fm_spec *f, const float *params,
                            const float *p, const float *dz, float *dp, float *grad)
{
    for (size_t k = 0; k < f->K && f->b != NET_NONE; k++) grad[f->b + k] += dz[k];
    for (size_t j = 0; j < f->d; j++) {
        float sum = 0;
        for (size_t k = 0; k < f->K; k++) {
            size_t at = f->h + j * f->ld_h + k;
            sum += f->h != NET_NONE ? params[at] * dz[k] : dz[k];
            if (f->h != NET_NONE) grad[at] += p[j] * dz[k];
        }
        dp[j] = sum;
    }
}

/* dv_ij = dp_j (s_j - v_ij), added to what stands in x's gradient when `add`. */
VECTOR_CLONES
static void vectors_backward(const struct op_fm_spec *f, const float *const base[2],
                             const float *restrict s, const float *restrict dp, bool add,
                             float *const to[2])
{
    for (size_t i = 0; i < f->n; i++) {
        const struct fm_vector *v = &f->vectors[i];
        const float *restrict from = base[v->made] + v->at;
        float *restrict dv = to[v->made] + v->at;
        if (add && !v->made) {
            for (size_t j = 0; j < f->d; j++) dv[j] += dp[j] * (s[j] - from[j]);
        } else {
            for (size_t j = 0; j < f->d; j++) dv[j] = dp[j] * (s[j] - from[j]);
        }
    }
}

static void backward(const struct op_run *r)
{
    const struct op_fm_spec *f = r->op->spec;
    const size_t *dst = r->op->dst;
    size_t x = r->op->src[0], n_made = op_ld(r, dst[DST_MADE]);
    for (size_t row = 0; row < r->chunk->n; row++) {
        const float *base[2] = {op_act(r, x) + row * op_ld(r, x),
                                op_act(r, dst[DST_MADE]) + row * n_made};
        float *to[2] = {op_grad(r, x) + row * op_ld(r, x),
                        op_grad(r, dst[DST_MADE]) + row * n_made};
        const float *s = op_act(r, dst[DST_SUMS]) + row * op_ld(r, dst[DST_SUMS]);
        float *dp = op_grad(r, dst[DST_SUMS]) + row * op_ld(r, dst[DST_SUMS]);
        logits_backward(f, r->params, s + f->ld,
                        op_grad(r, dst[DST_Z]) + row * op_ld(r, dst[DST_Z]), dp, r->grad);
        vectors_backward(f, base, s, dp, r->op->add[0], to);
    }
    for (size_t i = 0; i < f->n_numbers; i++) {
        const struct fm_numbers *u = &f->numbers[i];
        float *dx = op_grad(r, x) + u->col;
        layers_product_backward(r->op->add[0], r->chunk->n, u->width, f->d,
                                op_act(r, x) + u->col, op_ld(r, x), r->params + u->v,
                                f->ld, op_grad(r, dst[DST_MADE]) + u->at, n_made, dx,
                                op_ld(r, x), r->grad + u->v, NULL);
    }
}

/* ---- tensors ---- */

static enum status tensors(struct model *m, const struct net_op *op, struct error *err)
{
    const struct op_fm_spec *f = op->spec;
    for (size_t i = 0; i < f->n_numbers; i++) {
        const struct fm_numbers *u = &f->numbers[i];
        struct model_tensor v = {.offset = u->v,
                                 .rows = u->width,
                                 .cols = f->d,
                                 .stride = f->ld,
                                 .init = TENSOR_UNIFORM,
                                 .constant = 0.01,
                                 .decay = true};
        const char *name = m->inputs[u->input].name;
        TRY(tensors_add(m, arena_printf(m->arena, "vector/%s", name), v, err));
    }
    for (size_t k = 0; k < f->K; k++) {
        const char *task = m->tasks[k].name;
        struct model_tensor h = {.offset = f->h + k,
                                 .rows = f->d,
                                 .cols = 1,
                                 .stride = f->ld_h,
                                 .init = TENSOR_CONSTANT,
                                 .constant = 1};
        struct model_tensor b = {.offset = f->b + k,
                                 .rows = 1,
                                 .cols = 1,
                                 .stride = 1,
                                 .init = TENSOR_CONSTANT,
                                 .constant = m->tasks[k].base};
        if (f->h != NET_NONE)
            TRY(tensors_add(m, arena_printf(m->arena, "fm/%s/w", task), h, err));
        if (f->b != NET_NONE)
            TRY(tensors_add(m, arena_printf(m->arena, "fm/%s/b", task), b, err));
    }
    return ST_OK;
}

/* ---- reference ---- */

/* One element of field i's vector, from a row of x. */
static double element(const struct op_fm_spec *f, const float *params, const double *x,
                      const struct fm_vector *v, size_t j)
{
    if (!v->made) return x[v->at + j];
    double sum = 0;
    for (size_t i = 0; i < f->n_numbers; i++) {
        const struct fm_numbers *u = &f->numbers[i];
        for (size_t c = 0; c < u->width && u->at == v->at; c++)
            sum += x[u->col + c] * (double)params[u->v + c * f->ld + j];
    }
    return sum;
}

static void reference(const struct model *m, const struct net_op *op, const float *params,
                      const double *const *src, double *const *dst)
{
    const struct op_fm_spec *f = op->spec;
    (void)m;
    for (size_t k = 0; k < f->K; k++)
        dst[DST_Z][k] = f->b != NET_NONE ? (double)params[f->b + k] : 0;
    for (size_t j = 0; j < f->d; j++) {
        double s = 0, q = 0;
        for (size_t i = 0; i < f->n; i++) {
            double v = element(f, params, src[0], &f->vectors[i], j);
            s += v;
            q += v * v;
        }
        for (size_t k = 0; k < f->K; k++)
            dst[DST_Z][k] +=
                (f->h != NET_NONE ? (double)params[f->h + j * f->ld_h + k] : 1) *
                (s * s - q) / 2;
    }
}

/* ---- trace ---- */

static op_value field_trace(const struct op_fm_spec *f, const struct net_op *op,
                            const struct op_trace *t, const struct fm_vector *v)
{
    if (!v->made) return t->read(t->arg, op->src[0], v->at, f->d);
    const struct fm_numbers *u = f->numbers;
    while (u->at != v->at) u++;
    op_value x = t->read(t->arg, op->src[0], u->col, u->width);
    return t->product(t->arg, x, u->width, f->d, u->v, f->ld, NET_NONE);
}

static void trace(const struct net_op *op, const struct op_trace *t)
{
    const struct op_fm_spec *f = op->spec;
    op_value sum = NULL, squares = NULL;
    for (size_t i = 0; i < f->n; i++) {
        op_value v = field_trace(f, op, t, &f->vectors[i]);
        op_value square = trace_step(t, STEP_MUL, v, v);
        sum = i > 0 ? trace_step(t, STEP_ADD, sum, v) : v;
        squares = i > 0 ? trace_step(t, STEP_ADD, squares, square) : square;
    }
    op_value p = trace_step(t, STEP_SUB, trace_step(t, STEP_MUL, sum, sum), squares), z;
    p = trace_step(t, STEP_MUL, p, trace_number(t, 0.5f));
    if (f->h != NET_NONE) {
        z = t->product(t->arg, p, f->d, f->K, f->h, f->ld_h, f->b);
    } else { /* one task */
        z = trace_step(t, STEP_ROW_SUM, p, NULL);
        if (f->b != NET_NONE)
            z = trace_step(t, STEP_ADD, z, t->constant(t->arg, 1, t->params + f->b));
    }
    t->write(t->arg, op->dst[DST_Z], 0, f->K, z);
}

const struct op_kind op_fm = {"fm", forward, backward, tensors, reference, trace};

/* ---- making ---- */

/* Fields in order of name: where their vectors stand, parameters of those of numbers. */
static enum status make_fields(struct plan *p, struct op_fm_spec *f)
{
    const struct model *m = p->m;
    struct fm_vector *vectors = arena_take(m->arena, m->n_inputs, sizeof *vectors);
    struct fm_numbers *numbers = arena_take(m->arena, m->n_inputs, sizeof *numbers);
    if (vectors == NULL || numbers == NULL) return plan_nomem(p);
    for (size_t i = 0; i < m->n_inputs; i++) {
        size_t input = m->by_name[i];
        const struct model_input *in = &m->inputs[input];
        if (in->direct) continue;
        struct fm_vector *v = &vectors[f->n++];
        *v = (struct fm_vector){false, m->x_offset[input]};
        if (in->kind == INPUT_ID) continue;
        *v = (struct fm_vector){true, f->n_numbers * f->ld};
        numbers[f->n_numbers++] =
            (struct fm_numbers){input, m->x_offset[input], in->width,
                                plan_params(p, in->width * f->ld), v->at};
    }
    f->vectors = vectors;
    f->numbers = numbers;
    return ST_OK;
}

static enum status make_products(struct plan *p, const struct op_fm_spec *f,
                                 struct net_op *op)
{
    struct model_product *products =
        arena_take(p->m->arena, f->n_numbers + 1, sizeof *products);
    if (products == NULL) return plan_nomem(p);
    for (size_t i = 0; i < f->n_numbers; i++)
        products[i] = (struct model_product){.in = f->numbers[i].width, .out = f->d};
    op->products = products;
    op->n_products = f->n_numbers;
    return ST_OK;
}

enum status op_fm_add(struct plan *p, bool bias, struct net_head *heads)
{
    struct arena *a = p->m->arena;
    size_t K = p->m->n_tasks, d = p->m->vector;
    struct op_fm_spec *f = arena_take(a, 1, sizeof *f);
    size_t *src = arena_take(a, 1, sizeof *src), *dst = arena_take(a, 3, sizeof *dst);
    if (f == NULL || src == NULL || dst == NULL) return plan_nomem(p);
    *f = (struct op_fm_spec){.d = d,
                             .K = K,
                             .ld = net_round(d, NET_PAD),
                             .h = NET_NONE,
                             .b = NET_NONE};
    TRY(make_fields(p, f));
    if (K > 1) {
        f->ld_h = net_round(K, NET_PAD);
        f->h = plan_params(p, d * f->ld_h);
    }
    if (bias) f->b = plan_params(p, K);
    src[0] = p->net->x_buf[0];
    dst[DST_Z] = plan_buffer(p, K);
    dst[DST_SUMS] = plan_buffer(p, 2 * f->ld);
    dst[DST_MADE] = plan_buffer(p, f->n_numbers * f->ld);
    for (size_t k = 0; k < K; k++) heads[k] = (struct net_head){dst[DST_Z], k};
    struct net_op op = {.kind = &op_fm,
                        .text = arena_printf(a, "fm %zu fields of %zu", f->n, d),
                        .src = src,
                        .n_src = 1,
                        .dst = dst,
                        .n_dst = 3,
                        .spec = f};
    if (op.text == NULL) return plan_nomem(p);
    TRY(make_products(p, f, &op));
    return plan_op(p, op);
}
