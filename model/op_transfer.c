/* What a step of a funnel hands on to the next one (AITM, KDD'21, sec. 3.2). */
#include "model/op.h"

#include <math.h>
#include <string.h>

#include "common/base/compiler.h"
#include "common/math/fmath.h"
#include "common/math/vec.h"

/* One task. Buffers and weights of a step after the first; others have g and out. */
struct transfer_task {
    const char *name;
    struct net_head g;
    size_t width, out;     /* floats of g without padding; buffer of g' */
    bool told;             /* a step after the first */
    size_t before;         /* out of the step before */
    size_t u, of_u, of_g;  /* buffers: u; value, query, key of u and of g */
    size_t a;              /* buffer: weight of u */
    size_t info_w, info_b; /* [dim, ld], [ld] */
    size_t vqk;            /* [dim, 3 ld]: value, query and key side by side */
};

struct op_transfer_spec {
    struct transfer_task *task; /* [K] */
    const size_t *order;        /* [K] steps in order, then the other tasks */
    size_t K, dim, ld;          /* ld: dim with its padding */
    bool stop;                  /* no gradient into the step before */
};

static struct mix_rows head_rows(const struct op_run *r, float *const *base,
                                 const struct net_head *h)
{
    return (struct mix_rows){base[h->buf] + h->col, op_ld(r, h->buf)};
}

static void copy_rows(size_t n, size_t width, struct mix_rows from, struct mix_rows to)
{
    for (size_t row = 0; row < n; row++)
        memcpy(to.p + row * to.ld, from.p + row * from.ld, width * sizeof(float));
}

/* ---- attention over the pair {u, g} ---- */

/* out = a_u value_u + a_g value_g; parts [n, 3 ld] value, query, key. */
VECTOR_CLONES
static void attend(size_t n, size_t dim, size_t ld, const float *u, const float *g,
                   float *out, float *a, size_t lda)
{
    double root = __builtin_sqrt((double)dim);
    for (size_t row = 0; row < n; row++, u += 3 * ld, g += 3 * ld, out += ld, a += lda) {
        double su = (double)vec_dot(dim, u + ld, u + 2 * ld);
        double sg = (double)vec_dot(dim, g + ld, g + 2 * ld);
        double d = (su - sg) / root;
        a[0] = (float)fmath_sigmoid(d);
        a[1] = (float)fmath_sigmoid(-d);
        for (size_t j = 0; j < ld; j++) out[j] = a[0] * u[j] + a[1] * g[j];
    }
}

/* d: gradient of out -> du, dg: gradients of the parts. */
VECTOR_CLONES
static void attend_backward(size_t n, size_t dim, size_t ld, const float *u,
                            const float *g, const float *a, size_t lda, const float *d,
                            float *du, float *dg)
{
    float root = (float)__builtin_sqrt((double)dim);
    for (size_t row = 0; row < n; row++) {
        float change = vec_dot(dim, d, u) - vec_dot(dim, d, g);
        float s = a[0] * a[1] * change / root; /* of <query, key> of u; of g: -s */
        for (size_t j = 0; j < ld; j++) {
            du[j] = a[0] * d[j];
            dg[j] = a[1] * d[j];
            du[ld + j] = s * u[2 * ld + j];
            dg[ld + j] = -s * g[2 * ld + j];
            du[2 * ld + j] = s * u[ld + j];
            dg[2 * ld + j] = -s * g[ld + j];
        }
        u += 3 * ld, g += 3 * ld, du += 3 * ld, dg += 3 * ld;
        d += ld, a += lda;
    }
}

/* ---- forward and backward ---- */

static void told_forward(const struct op_run *r, const struct transfer_task *t)
{
    const struct op_transfer_spec *s = r->op->spec;
    size_t n = r->chunk->n, dim = s->dim, ld = s->ld;
    struct mix_rows g = head_rows(r, r->chunk->act, &t->g);
    layers_product(r->product, n, dim, ld, op_act(r, t->before), ld, r->params + t->info_w,
                   ld, r->params + t->info_b, op_act(r, t->u), ld);
    vec_relu(n * ld, op_act(r, t->u), op_act(r, t->u));
    layers_product(r->product, n, dim, 3 * ld, op_act(r, t->u), ld, r->params + t->vqk,
                   3 * ld, NULL, op_act(r, t->of_u), 3 * ld);
    layers_product(r->product, n, dim, 3 * ld, g.p, g.ld, r->params + t->vqk, 3 * ld, NULL,
                   op_act(r, t->of_g), 3 * ld);
    attend(n, dim, ld, op_act(r, t->of_u), op_act(r, t->of_g), op_act(r, t->out),
           op_act(r, t->a), op_ld(r, t->a));
}

static void forward(const struct op_run *r)
{
    const struct op_transfer_spec *s = r->op->spec;
    for (size_t i = 0; i < s->K; i++) {
        const struct transfer_task *t = &s->task[s->order[i]];
        struct mix_rows out = {op_act(r, t->out), op_ld(r, t->out)};
        if (t->told)
            told_forward(r, t);
        else
            copy_rows(r->chunk->n, t->width, head_rows(r, r->chunk->act, &t->g), out);
    }
}

/* The step before already has its head's gradient, and its later readers' when it is
 * its turn. */
static void told_backward(const struct op_run *r, const struct transfer_task *t)
{
    const struct op_transfer_spec *s = r->op->spec;
    size_t n = r->chunk->n, dim = s->dim, ld = s->ld;
    struct mix_rows g = head_rows(r, r->chunk->act, &t->g),
                    dg = head_rows(r, r->chunk->grad, &t->g);
    attend_backward(n, dim, ld, op_act(r, t->of_u), op_act(r, t->of_g), op_act(r, t->a),
                    op_ld(r, t->a), op_grad(r, t->out), op_grad(r, t->of_u),
                    op_grad(r, t->of_g));
    layers_product_backward(false, n, dim, 3 * ld, g.p, g.ld, r->params + t->vqk, 3 * ld,
                            op_grad(r, t->of_g), 3 * ld, dg.p, dg.ld, r->grad + t->vqk,
                            NULL);
    layers_product_backward(false, n, dim, 3 * ld, op_act(r, t->u), ld, r->params + t->vqk,
                            3 * ld, op_grad(r, t->of_u), 3 * ld, op_grad(r, t->u), ld,
                            r->grad + t->vqk, NULL);
    vec_relu_backward(n * ld, op_act(r, t->u), op_grad(r, t->u), op_grad(r, t->u));
    layers_product_backward(true, n, dim, ld, op_act(r, t->before), ld,
                            r->params + t->info_w, ld, op_grad(r, t->u), ld,
                            s->stop ? NULL : op_grad(r, t->before), ld,
                            r->grad + t->info_w, r->grad + t->info_b);
}

static void backward(const struct op_run *r)
{
    const struct op_transfer_spec *s = r->op->spec;
    for (size_t i = s->K; i-- > 0;) {
        const struct transfer_task *t = &s->task[s->order[i]];
        struct mix_rows out = {op_grad(r, t->out), op_ld(r, t->out)};
        if (t->told)
            told_backward(r, t);
        else
            copy_rows(r->chunk->n, t->width, out, head_rows(r, r->chunk->grad, &t->g));
    }
}

/* ---- tensors ---- */

static enum status tensors(struct model *m, const struct net_op *op, struct error *err)
{
    static const char *const parts[] = {"value", "query", "key"};
    const struct op_transfer_spec *s = op->spec;
    for (size_t k = 0; k < s->K; k++) {
        const struct transfer_task *t = &s->task[k];
        if (!t->told) continue;
        struct model_tensor w = {.offset = t->info_w,
                                 .rows = s->dim,
                                 .cols = s->dim,
                                 .stride = s->ld,
                                 .init = TENSOR_GLOROT,
                                 .fan_in = s->dim,
                                 .fan_out = s->dim,
                                 .decay = true};
        struct model_tensor b = {
            .offset = t->info_b, .rows = 1, .cols = s->dim, .stride = s->dim};
        b.init = TENSOR_ZERO;
        TRY(tensors_add(m, arena_printf(m->arena, "transfer/%s/info/w", t->name), w, err));
        TRY(tensors_add(m, arena_printf(m->arena, "transfer/%s/info/b", t->name), b, err));
        for (size_t i = 0; i < 3; i++) {
            w.offset = t->vqk + i * s->ld;
            w.stride = 3 * s->ld;
            TRY(tensors_add(
                m, arena_printf(m->arena, "transfer/%s/%s/w", t->name, parts[i]), w, err));
        }
    }
    return ST_OK;
}

/* ---- reference ---- */

/* y[cols] = x[rows] . w, the weights at params + w with a stride. */
static void times(const double *x, const float *params, size_t w, size_t stride,
                  size_t dim, double *y)
{
    for (size_t j = 0; j < dim; j++) {
        y[j] = 0;
        for (size_t i = 0; i < dim; i++) y[j] += x[i] * (double)params[w + i * stride + j];
    }
}

static double dot(size_t n, const double *a, const double *b)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* before, g -> out; work: [7, dim] u, then value, query, key of u and of g. */
static void told_reference(const struct op_transfer_spec *s, const struct transfer_task *t,
                           const float *params, const double *before, const double *g,
                           double *out, double *work)
{
    size_t dim = s->dim;
    double *u = work, *of[2] = {work + dim, work + 4 * dim}, e[2];
    times(before, params, t->info_w, s->ld, dim, u);
    for (size_t j = 0; j < dim; j++) {
        u[j] += (double)params[t->info_b + j];
        if (u[j] < 0) u[j] = 0;
    }
    for (size_t v = 0; v < 2; v++) {
        for (size_t i = 0; i < 3; i++)
            times(v == 0 ? u : g, params, t->vqk + i * s->ld, 3 * s->ld, dim,
                  of[v] + i * dim);
        e[v] = exp(dot(dim, of[v] + dim, of[v] + 2 * dim) / sqrt((double)dim));
    }
    for (size_t j = 0; j < dim; j++)
        out[j] = (e[0] * of[0][j] + e[1] * of[1][j]) / (e[0] + e[1]);
}

/* src, dst: [K] g and g' of every task. Out of memory: NaN, since this is in the inference
 * library, too, which ends no process. */
static void reference(const struct model *m, const struct net_op *op, const float *params,
                      const double *const *src, double *const *dst)
{
    const struct op_transfer_spec *s = op->spec;
    double *work = mem_zeroed(7 * s->dim, sizeof *work);
    (void)m;
    if (work == NULL) {
        for (size_t k = 0; k < s->K; k++)
            for (size_t j = 0; j < s->task[k].width; j++) dst[k][j] = NAN;
        return;
    }
    for (size_t i = 0; i < s->K; i++) {
        size_t k = s->order[i];
        const struct transfer_task *t = &s->task[k];
        if (t->told)
            told_reference(s, t, params, dst[s->order[i - 1]], src[k], dst[k], work);
        else
            memcpy(dst[k], src[k], t->width * sizeof **dst);
    }
    mem_free(work);
}

/* ---- trace ---- */

/* Value, query or key (which 0, 1, 2) of a vector. */
static op_value projection(const struct op_transfer_spec *s, const struct transfer_task *k,
                           const struct op_trace *t, op_value x, size_t which)
{
    return t->product(t->arg, x, s->dim, s->dim, k->vqk + which * s->ld, 3 * s->ld,
                      NET_NONE);
}

static op_value told_trace(const struct op_transfer_spec *s, const struct transfer_task *k,
                           const struct op_trace *t, op_value before, op_value g)
{
    op_value u = t->product(t->arg, before, s->dim, s->dim, k->info_w, s->ld, k->info_b);
    u = trace_step(t, STEP_RELU, u, NULL);
    op_value of_u = trace_dot(t, projection(s, k, t, u, 1), projection(s, k, t, u, 2));
    op_value of_g = trace_dot(t, projection(s, k, t, g, 1), projection(s, k, t, g, 2));
    float root = (float)__builtin_sqrt((double)s->dim);
    op_value d = trace_step(t, STEP_DIV, trace_step(t, STEP_SUB, of_u, of_g),
                            trace_number(t, root));
    op_value minus = trace_step(t, STEP_MUL, d, trace_number(t, -1));
    op_value a = trace_step(t, STEP_SIGMOID, d, NULL);
    op_value rest = trace_step(t, STEP_SIGMOID, minus, NULL);
    return trace_step(t, STEP_ADD, trace_step(t, STEP_MUL, projection(s, k, t, u, 0), a),
                      trace_step(t, STEP_MUL, projection(s, k, t, g, 0), rest));
}

static void trace(const struct net_op *op, const struct op_trace *t)
{
    const struct op_transfer_spec *s = op->spec;
    for (size_t i = 0; i < s->K; i++) {
        const struct transfer_task *k = &s->task[s->order[i]];
        op_value g = t->read(t->arg, k->g.buf, k->g.col, k->width);
        if (k->told) g = told_trace(s, k, t, t->read(t->arg, k->before, 0, s->dim), g);
        t->write(t->arg, k->out, 0, k->width, g);
    }
}

const struct op_kind op_transfer = {"transfer", forward, backward, tensors, reference, trace};

/* ---- planning ---- */

/* Steps in order, then the other tasks. */
static size_t *order_of(struct plan *p)
{
    size_t K = p->m->n_tasks, n = 0;
    const struct sizes_cfg *steps = &p->m->cfg.steps;
    size_t *order = arena_take(p->m->arena, K, sizeof *order);
    if (order == NULL) return NULL;
    for (; n < steps->n; n++) order[n] = steps->v[n];
    for (size_t k = 0; k < K; k++) {
        bool is_step = false;
        for (size_t i = 0; i < steps->n; i++) is_step |= steps->v[i] == k;
        if (!is_step) order[n++] = k;
    }
    return order;
}

static void place(struct plan *p, const struct op_transfer_spec *s, struct transfer_task *t)
{
    size_t dim = s->dim, ld = s->ld;
    t->u = plan_buffer(p, dim);
    t->of_u = plan_buffer(p, 3 * ld);
    t->of_g = plan_buffer(p, 3 * ld);
    t->a = plan_buffer(p, 2);
    t->info_w = plan_params(p, dim * ld);
    t->info_b = plan_params(p, ld);
    t->vqk = plan_params(p, dim * 3 * ld);
}

static void fill_tasks(struct plan *p, struct op_transfer_spec *s, const struct net_head *from)
{
    const struct model *m = p->m;
    for (size_t i = 0; i < s->K; i++) {
        size_t k = s->order[i];
        const struct sizes_cfg *tower = &m->tasks[k].tower.layers;
        struct transfer_task *t = &s->task[k];
        t->name = m->tasks[k].name;
        t->g = from[k];
        t->width = tower->v[tower->n - 1];
        t->out = plan_buffer(p, t->width);
        t->told = i > 0 && i < m->cfg.steps.n;
        if (t->told) t->before = s->task[s->order[i - 1]].out;
        if (t->told) place(p, s, t);
        p->branch[k] = t->out;
        p->width[k] = t->width;
    }
}

/* Per step after the first: what is handed on, and three projections of two vectors. */
static enum status products(struct plan *p, const struct op_transfer_spec *s,
                            struct net_op *op)
{
    size_t n = p->m->cfg.steps.n - 1;
    struct model_product *list = arena_take(p->m->arena, 3 * n, sizeof *list);
    if (list == NULL) return plan_nomem(p);
    for (size_t i = 0; i < n; i++) {
        list[3 * i] = (struct model_product){.in = s->dim, .out = s->dim};
        list[3 * i + 1] = list[3 * i + 2] = 
            (struct model_product){.in = s->dim, .out = 3 * s->dim};
    }
    op->products = list;
    op->n_products = 3 * n;
    return ST_OK;
}

enum status op_transfer_add(struct plan *p, const struct net_head *from)
{
    struct arena *a = p->m->arena;
    struct op_transfer_spec *s = arena_take(a, 1, sizeof *s);
    if (s == NULL) return plan_nomem(p);
    const struct sizes_cfg *steps = &p->m->cfg.steps;
    const struct sizes_cfg *tower = &p->m->tasks[steps->v[0]].tower.layers;
    s->K = p->m->n_tasks;
    s->dim = tower->v[tower->n - 1];
    s->ld = net_round(s->dim, NET_PAD);
    s->stop = p->m->cfg.aitm_stop_gradient;
    s->order = order_of(p);
    s->task = arena_take(a, s->K, sizeof *s->task);
    const char *text = arena_printf(a, "transfer x%zu [%zu]", steps->n - 1, s->dim);
    if (s->order == NULL || s->task == NULL || text == NULL) return plan_nomem(p);
    fill_tasks(p, s, from);
    struct net_op op = {.kind = &op_transfer, .text = text, .spec = s};
    TRY(products(p, s, &op));
    return plan_op(p, op);
}
