/* Optimisers as pure arithmetic: (weights, state, gradient) -> (weights, state).
 * The same code serves embedding rows and blocks of the dense vector. All
 * elementwise work gives the same bits in vector body and tail; factors that
 * depend on the update number are computed once per step, in double.
 *
 *   sgd              w -= lr g
 *   adagrad          a += g^2                        w -= lr g / (sqrt(a) + eps)
 *   rowwise_adagrad  a += mean of g^2 over the row   w -= lr g / (sqrt(a) + eps)
 *   adam             m = b1 m + (1-b1) g   v = b2 v + (1-b2) g^2
 *                    w -= lr/(1-b1^t) m / (sqrt(v)/sqrt(1-b2^t) + eps)
 *   ftrl             n += g^2            z += lr g - (sqrt(n) - sqrt(n before)) w
 *                    w = -sign(z) max(|z| - lr l1, 0) / (beta + sqrt(n) + lr l2)
 *
 * ftrl is FTRL-Proximal (McMahan et al. 2013, algorithm 1); z is the paper's times lr,
 * which lets a schedule change lr, and makes it adagrad when l1 = l2 = 0. A weight that
 * has had no gradient (n = z = 0) is taken to stand where it is: z = -beta w
 * (docs/adr/0011-ftrl.md).
 *
 * t counts all updates of the job, also for rows that a step did not touch
 * (lazy Adam: such rows keep their state). Weight decay is decoupled:
 * w -= lr decay w, before the step, and only for the dense part. L2 is for rows, and
 * part of the gradient that any of the above receives: optim_add_l2. */
#ifndef MTPS_MATH_OPTIM_H
#define MTPS_MATH_OPTIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/settings.h"

enum { OPTIM_MAX_SLOTS = 2 };

/* State of one row (or of one dense float, dim 1): slots one after another. */
struct optim_layout {
    size_t n_slots;
    const char *name[OPTIM_MAX_SLOTS]; /* "accumulator"; "m", "v"; "z", "n" */
    size_t width[OPTIM_MAX_SLOTS];     /* floats: dim, or 1 (rowwise_adagrad) */
    size_t floats;                     /* sum of the widths */
};
struct optim_layout optim_layout(enum optimizer_kind kind, size_t dim);

/* What a fresh slot holds: initial_accumulator for adagrad, else zero. */
float optim_initial_state(const struct optimizer_cfg *cfg);

/* Numbers of one step. */
struct optim {
    enum optimizer_kind kind;
    float lr; /* adam: lr / (1 - beta1^t) */
    float eps;
    float beta1, beta2, one_minus_beta1, one_minus_beta2;
    float root_scale; /* adam: 1 / sqrt(1 - beta2^t) */
    float beta, l1, l2; /* ftrl: l1 and l2 times lr */
    float shrink;     /* lr * weight_decay */
};
/* lr: from optim_lr. t: number of this update, from 1. */
struct optim optim_make(const struct optimizer_cfg *cfg, double lr, uint64_t t);

/* One row: w[dim], state[layout.floats], gradient g[dim]. */
void optim_row(const struct optim *o, size_t dim, const float *g, float *w, float *state);

/* x = g + l2 w, the gradient of the loss + l2 |w|^2 / 2. x[dim] is g or apart from it. */
void optim_add_l2(float l2, size_t dim, const float *g, const float *w, float *x);

/* n dense floats; slots[s][n] are separate arrays (NULL beyond the layout of dim
 * 1; rowwise_adagrad keeps one float per float here, so it is adagrad).
 * decay[n]: 1 where weight decay applies, 0 elsewhere; NULL = nowhere. */
void optim_dense(const struct optim *o, size_t n, const float *g, float *w,
                 float *const slots[OPTIM_MAX_SLOTS], const float *decay);

/* Learning rate of update number `update` (from 0): linear warm-up over
 * warmup_steps updates, then constant, cosine down to decay_floor * lr at `total`
 * updates, or times decay_factor every decay_every updates. */
double optim_lr(const struct schedule_cfg *schedule, double lr, uint64_t update,
                uint64_t total);

/* The same rules in plain double loops, for tests. */
void optim_row_reference(const struct optimizer_cfg *cfg, double lr, uint64_t t,
                         size_t dim, const float *g, double *w, double *state);

#endif
