/* The logits of a funnel's steps, from "given the step before" to "all of them". */
#include "model/op.h"

#include <math.h>
#include <string.h>

#include "common/math/funnel.h"

struct op_joint_spec {
    const struct net_head *from; /* [K] conditional logits of steps, logits of others */
    size_t K;
    struct sizes_cfg steps;
};

/* dst: 0 joint logits [K], 1 slopes of the steps and then their carries [2 steps] */

static float *of_task(const struct op_run *r, float *const *base, size_t row, size_t task)
{
    const struct op_joint_spec *s = r->op->spec;
    const struct net_head *h = &s->from[task];
    return base[h->buf] + row * op_ld(r, h->buf) + h->col;
}

static void forward(const struct op_run *r)
{
    const struct op_joint_spec *s = r->op->spec;
    size_t n = s->steps.n;
    for (size_t row = 0; row < r->chunk->n; row++) {
        float *z = op_act(r, r->op->dst[0]) + row * op_ld(r, r->op->dst[0]);
        float *slope = op_act(r, r->op->dst[1]) + row * op_ld(r, r->op->dst[1]);
        struct funnel f = funnel_start();
        for (size_t k = 0; k < s->K; k++) z[k] = *of_task(r, r->chunk->act, row, k);
        for (size_t i = 0; i < n; i++) {
            size_t k = s->steps.v[i];
            f = funnel_next(f, (double)z[k]);
            if (i > 0) z[k] = (float)funnel_logit(f); /* the first keeps its bits */
            slope[i] = (float)f.slope;
            slope[n + i] = (float)f.carry;
        }
    }
}

/* dL/da_i = slope_i (dz_i + carry_{i+1} (dz_{i+1} + carry_{i+2} (...))) */
static void backward(const struct op_run *r)
{
    const struct op_joint_spec *s = r->op->spec;
    size_t n = s->steps.n;
    for (size_t row = 0; row < r->chunk->n; row++) {
        const float *dz = op_grad(r, r->op->dst[0]) + row * op_ld(r, r->op->dst[0]);
        const float *slope = op_act(r, r->op->dst[1]) + row * op_ld(r, r->op->dst[1]);
        float later = 0;
        for (size_t k = 0; k < s->K; k++) *of_task(r, r->chunk->grad, row, k) = dz[k];
        for (size_t i = n; i-- > 0;) {
            float d = dz[s->steps.v[i]] + later;
            *of_task(r, r->chunk->grad, row, s->steps.v[i]) = slope[i] * d;
            later = slope[n + i] * d;
        }
    }
}

/* p / (1 - p) as it is written, good for logits that are not large. */
static void reference(const struct model *m, const struct net_op *op, const float *params,
                      const double *const *src, double *const *dst)
{
    const struct op_joint_spec *s = op->spec;
    double p = 1;
    (void)m, (void)params;
    for (size_t k = 0; k < s->K; k++) dst[0][k] = src[0][k];
    for (size_t i = 0; i < s->steps.n; i++) {
        p /= 1 + exp(-src[0][s->steps.v[i]]);
        dst[0][s->steps.v[i]] = log(p / (1 - p));
    }
}

/* log P - log(1 - P): where P is near 0 or 1 as a float, so is what users see of it. */
static void trace(const struct net_op *op, const struct op_trace *t)
{
    const struct op_joint_spec *s = op->spec;
    op_value reach = NULL, one = trace_number(t, 1);
    for (size_t k = 0; k < s->K; k++) {
        bool later = false; /* a step after the first has another logit */
        for (size_t i = 1; i < s->steps.n; i++) later |= s->steps.v[i] == k;
        if (!later)
            t->write(t->arg, op->dst[0], k, 1,
                     t->read(t->arg, s->from[k].buf, s->from[k].col, 1));
    }
    for (size_t i = 0; i < s->steps.n; i++) {
        const struct net_head *h = &s->from[s->steps.v[i]];
        op_value p = trace_step(t, STEP_SIGMOID, t->read(t->arg, h->buf, h->col, 1), NULL);
        reach = i > 0 ? trace_step(t, STEP_MUL, reach, p) : p;
        if (i == 0) continue;
        op_value fail = trace_step(t, STEP_SUB, one, reach);
        t->write(t->arg, op->dst[0], s->steps.v[i], 1,
                 trace_step(t, STEP_SUB, trace_step(t, STEP_LOG, reach, NULL),
                            trace_step(t, STEP_LOG, fail, NULL)));
    }
}

const struct op_kind op_joint = {"joint", forward, backward, NULL, reference, trace};

enum status op_joint_add(struct plan *p)
{
    struct arena *a = p->m->arena;
    size_t K = p->m->n_tasks;
    struct op_joint_spec *spec = arena_take(a, 1, sizeof *spec);
    struct net_head *from = arena_take(a, K, sizeof *from);
    size_t *dst = arena_take(a, 2, sizeof *dst);
    const char *text = arena_printf(a, "joint logits of %zu steps", p->m->cfg.steps.n);
    if (spec == NULL || from == NULL || dst == NULL || text == NULL) return plan_nomem(p);
    memcpy(from, p->net->heads, K * sizeof *from);
    *spec = (struct op_joint_spec){from, K, p->m->cfg.steps};
    dst[0] = plan_buffer(p, K);
    dst[1] = plan_buffer(p, 2 * spec->steps.n);
    for (size_t k = 0; k < K; k++) p->net->heads[k] = (struct net_head){dst[0], k};
    return plan_op(p, (struct net_op){.kind = &op_joint,
                                      .text = text,
                                      .dst = dst,
                                      .n_dst = 2,
                                      .spec = spec});
}
