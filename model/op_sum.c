/* Sums of logits that different parts of a net leave in different places. */
#include "model/op.h"

#include <string.h>

struct op_sum_spec {
    size_t n, K;
    const struct net_head *terms; /* [n][K] */
};

static void forward(const struct op_run *r)
{
    const struct op_sum_spec *s = r->op->spec;
    size_t ld = op_ld(r, r->op->dst[0]);
    for (size_t row = 0; row < r->chunk->n; row++) {
        float *z = op_act(r, r->op->dst[0]) + row * ld;
        for (size_t k = 0; k < s->K; k++) z[k] = 0;
        for (size_t i = 0; i < s->n * s->K; i++) {
            const struct net_head *h = &s->terms[i];
            z[i % s->K] += op_act(r, h->buf)[row * op_ld(r, h->buf) + h->col];
        }
    }
}

static void backward(const struct op_run *r)
{
    const struct op_sum_spec *s = r->op->spec;
    size_t ld = op_ld(r, r->op->dst[0]);
    for (size_t row = 0; row < r->chunk->n; row++) {
        const float *dz = op_grad(r, r->op->dst[0]) + row * ld;
        for (size_t i = 0; i < s->n * s->K; i++) {
            const struct net_head *h = &s->terms[i];
            op_grad(r, h->buf)[row * op_ld(r, h->buf) + h->col] = dz[i % s->K];
        }
    }
}

static void reference(const struct model *m, const struct net_op *op, const float *params,
                      const double *const *src, double *const *dst)
{
    const struct op_sum_spec *s = op->spec;
    (void)m, (void)params;
    for (size_t k = 0; k < s->K; k++) dst[0][k] = 0;
    for (size_t i = 0; i < s->n * s->K; i++) dst[0][i % s->K] += src[i / s->K][i % s->K];
}

static void trace(const struct net_op *op, const struct op_trace *t)
{
    const struct op_sum_spec *s = op->spec;
    for (size_t k = 0; k < s->K; k++) {
        op_value z = NULL;
        for (size_t i = 0; i < s->n; i++) {
            const struct net_head *h = &s->terms[i * s->K + k];
            op_value term = t->read(t->arg, h->buf, h->col, 1);
            z = i > 0 ? trace_step(t, STEP_ADD, z, term) : term;
        }
        t->write(t->arg, op->dst[0], k, 1, z);
    }
}

const struct op_kind op_sum = {"sum", forward, backward, NULL, reference, trace};

enum status op_sum_add(struct plan *p, const struct net_head *terms, size_t n)
{
    struct arena *a = p->m->arena;
    size_t K = p->m->n_tasks;
    struct op_sum_spec *spec = arena_take(a, 1, sizeof *spec);
    struct net_head *copy = arena_take(a, n * K, sizeof *copy);
    size_t *dst = arena_take(a, 1, sizeof *dst);
    if (spec == NULL || copy == NULL || dst == NULL) return plan_nomem(p);
    memcpy(copy, terms, n * K * sizeof *copy);
    *spec = (struct op_sum_spec){n, K, copy};
    dst[0] = plan_buffer(p, K);
    for (size_t k = 0; k < K; k++) p->net->heads[k] = (struct net_head){dst[0], k};
    return plan_op(
        p, (struct net_op){.kind = &op_sum, .dst = dst, .n_dst = 1, .spec = spec});
}
