/* Nodes of a kind of their own: from buffers of a chunk to buffers of the chunk. To add
 * one:
 *
 *   1. a file op_KIND.c with the functions below, its struct op_kind declared here;
 *   2. in it, or beside it, a function that makes the node for a plan: buffers by
 *      plan_buffer (results first, then whatever backward needs of forward: every buffer
 *      has activations and gradients for chunk->max rows), parameters by plan_params,
 *      shape in a spec of the plan's arena, then plan_op(); it joins the level begun
 * last;
 *   3. a place in plan.c that calls it, and its equation in reference.c's architecture;
 *   4. tests: golden tensors (tests/golden/generate.py), ONNX (tests/e2e/onnx.sh), finite differences
 *      (test_model_gradient.c, test_option_gradient.c), a row's bits (test_infer.c).
 *
 * Rules for forward and backward: at most chunk->max rows, chunk->n of them; never
 * allocate; sums in one fixed order; with PRODUCT_CHAIN (inference) a row's bits depend
 * on the row and the parameters alone. Padding columns of results stay 0. */
#ifndef MTPS_MODEL_OP_H
#define MTPS_MODEL_OP_H

#include "model/level.h"
#include "model/op_trace.h"
#include "model/plan.h"

struct op_run {
    const struct net *net;
    const struct net_op *op;
    const float *params; /* the whole vector */
    float *grad;         /* backward: the whole vector, added to */
    enum product product;
    struct level_chunk *chunk;
};

struct op_kind {
    const char *name;
    /* act of sources -> act of dst. */
    void (*forward)(const struct op_run *r);
    /* grad of the results -> grad of sources (overwritten, or added to where op->add
     * says so) and of parameters (added to). grad of its memory is free to use. */
    void (*backward)(const struct op_run *r);
    /* Adds the logical tensors (tensors_add); NULL when there are none. */
    enum status (*tensors)(struct model *m, const struct net_op *op, struct error *err);
    /* One row once more, plain loops in double: sources and results without padding. */
    void (*reference)(const struct model *m, const struct net_op *op, const float *params,
                      const double *const *src, double *const *dst);
    /* Tells how the results come from the sources, as forward does it. */
    void (*trace)(const struct net_op *op, const struct op_trace *t);
};

/* Activations, gradients and row stride of a buffer. */
static inline float *op_act(const struct op_run *r, size_t buf)
{
    return r->chunk->act[buf];
}
static inline float *op_grad(const struct op_run *r, size_t buf)
{
    return r->chunk->grad[buf];
}
static inline size_t op_ld(const struct op_run *r, size_t buf)
{
    return r->net->buffers[buf].width;
}

/* z_k = the sum of n logits of task k, in order: terms[n][K]. Nothing else reads them.
 * Points net->heads at the sums, which stand side by side. */
extern const struct op_kind op_sum;
enum status op_sum_add(struct plan *p, const struct net_head *terms, size_t n) MUST_USE;

/* The cross layers of the configuration, a level of their own, over buffer x0, whose D
 * columns are those of p->part of x. *out: the buffer of the last, in which a column still belongs
 * to the feature that it has in x0. */
extern const struct op_kind op_cross;
enum status op_cross_add(struct plan *p, size_t D, size_t x0, size_t *out) MUST_USE;

/* z_k = <u_k, v_k> / (|u_k| |v_k| temperature) + b_k: u_k is the output of unit `user` + k,
 * v_k that of unit `item` + k, `width` floats each. Points net->heads at the logits.
 * Leaves the vectors of unit length in buffers dst[MATCH_USER] and dst[MATCH_ITEM], those
 * of the tasks side by side. */
enum { MATCH_Z, MATCH_USER, MATCH_ITEM, MATCH_SUMS, MATCH_DST };
extern const struct op_kind op_match;
enum status op_match_add(struct plan *p, size_t user, size_t item,
                         size_t width) MUST_USE;

/* The interactions of a factorisation machine over the input stage's x; bias: and the
 * bias of each task. Points heads[K] at its results. */
extern const struct op_kind op_fm;
enum status op_fm_add(struct plan *p, bool bias, struct net_head *heads) MUST_USE;

/* ESMM: joint logits of the funnel's steps from conditional ones, common/math/funnel.h;
 * other tasks' logits stay. Nothing else reads the heads, which then point at the
 * results, side by side. */
extern const struct op_kind op_joint;
enum status op_joint_add(struct plan *p) MUST_USE;

/* AITM sec. 3.2: what every step's tower makes of x, and what it is told by the step
 * before. In order of the funnel, for the steps after the first:
 *
 *   u = relu(g'_{k-1} info_k + b_k)                         handed on
 *   g'_k = sum of a_v (v value_k) over v in {u, g_k},
 *   a = softmax of <v query_k, v key_k> / sqrt(dim)
 *
 * The first step's g' is its g, and so is that of tasks outside of the funnel. from:
 * [K] where the towers leave g; nothing else reads them. Points p->branch at the
 * buffers of g'. */
extern const struct op_kind op_transfer;
enum status op_transfer_add(struct plan *p, const struct net_head *from) MUST_USE;

#endif
