/* The parts from which plan.c puts a net together: nodes (plan_block.c) and levels of
 * experts and gates (plan_level.c). For the plan_*.c files alone. */
#ifndef MTPS_MODEL_PLAN_H
#define MTPS_MODEL_PLAN_H

#include "model/net.h"

struct plan {
    struct model *m;
    struct net *net;
    size_t part; /* of x, that blocks and cross layers are made for; 0 but for two_tower */
    size_t x[NET_PARTS]; /* what stands for it: NET_X, or the buffer that the input stage or
                            an op over it leaves */
    size_t *branch; /* [K + 1] buffer that carries task k's path; [K]: the shared path */
    size_t *width;  /* [K + 1] its width without padding */
    struct error *err;
};

/* The sizes of a stack: hidden layers, then a linear one of `last` units unless
 * last is 0 (then every layer is activated). */
struct plan_stack {
    const struct mlp_cfg *mlp;
    size_t last;
};

/* ---- nodes, plan_block.c ---- */

enum status plan_nomem(struct plan *p);
size_t plan_buffer(struct plan *p, size_t width);
/* Floats of the parameter vector, aligned; gives the first. */
size_t plan_params(struct plan *p, size_t n);
/* Starts a level; blocks, units, mixes and ops belong to the level begun last. */
void plan_level_begin(struct plan *p);
/* A block of units that read buffer src (or NET_X) of width `in`: begin, add units,
 * end. The end places columns and parameters. */
void plan_block_begin(struct plan *p, size_t src, size_t in);
/* name must live as long as the model. */
void plan_unit(struct plan *p, const char *name, enum unit_role role, size_t task,
               struct plan_stack s, size_t in);
enum status plan_block_end(struct plan *p) MUST_USE;
/* A node of op.h, in the level begun last. */
enum status plan_op(struct plan *p, struct net_op op) MUST_USE;

/* ---- towers, plan.c ---- */

/* A level of units PREFIX/TASK over the tasks' branches; those that read one buffer
 * share a block. mlp NULL: each task's tower. UNIT_TOWER: they end with a logit, which
 * net->heads points at; UNIT_BOTTOM: with their last hidden layer. */
enum status plan_towers(struct plan *p, const char *prefix, const struct mlp_cfg *mlp,
                        enum unit_role role) MUST_USE;
/* The bottom becomes every task's branch; one without a layer is its input. */
enum status plan_bottom(struct plan *p) MUST_USE;

/* ---- funnels, plan_funnel.c ---- */

enum status plan_esmm(struct plan *p) MUST_USE;
enum status plan_aitm(struct plan *p) MUST_USE;

/* ---- levels, plan_level.c ---- */

/* Group g is task g for g < K, and the shared group for g = K. */
struct plan_level {
    size_t index;      /* of the level, in names */
    const size_t *own; /* [K] experts of each task */
    size_t shared;
    bool task_gates;  /* false: one gate for all tasks (omoe) */
    bool shared_gate; /* a gate over all experts feeds the shared path */
};

/* Adds the level: reads p->branch, then points it at the level's outputs. */
enum status plan_extraction(struct plan *p, const struct plan_level *x) MUST_USE;

/* ---- an architecture of its own, plan_two_tower.c ---- */

enum status plan_two_tower(struct plan *p) MUST_USE;

#endif
