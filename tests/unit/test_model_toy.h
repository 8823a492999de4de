/* A small model and a batch for tests: every kind of input, all in memory.
 *
 *   tables  0 dim 3 (features z_user and a_shared), 1 dim 2, or 3 for fm and deepfm
 * (list_sum, list_mean, list_sqrtn) inputs  z_user, list_sum, num (dense, 2), level (one_hot, 4), a_shared,
 * list_mean, list_sqrtn
 *
 * With `wide` there are direct inputs too: num, level, z_user (table 2) and list_mean
 * (table 3), whose tables have the keys of tables 0 and 1 and a weight per task.
 *
 * With `attends` table 1 has dim 3, list_mean is pooled by attention to z_user, and
 * list_sqrtn to a_shared.
 *
 * The user's side of two_tower is z_user, num and list_mean, the item's side the rest.
 *
 * Lists have 0 to 4 items, with repeats; levels may be missing; labels may be absent
 * (NaN), row weights differ. Everything is a function of the seed. */
#ifndef MTPS_TESTS_MODEL_TOY_H
#define MTPS_TESTS_MODEL_TOY_H

#include "model/model.h"

enum {
    TOY_INPUTS = 7,
    TOY_WIDE = 4,
    TOY_TABLES = 4,
    TOY_IDS = 5,
    TOY_TASKS = 16,
    TOY_SIZES = 4
};

struct toy_cfg {
    enum model_type type;
    size_t n_rows, n_tasks, n_inputs; /* n_inputs 0 = all */
    size_t rotate;                    /* the config names the inputs from this one on */
    bool reverse_tasks;               /* and the last task first */
    size_t count, own, shared, levels;
    size_t bottom[TOY_SIZES], experts[TOY_SIZES], gates[TOY_SIZES],
        towers[TOY_SIZES]; /* 0 ends */
    enum activation act;
    bool own_gate_act; /* gates use gate_act, not act */
    enum activation gate_act;
    enum norm norm;         /* of every stack */
    double dropout;         /* of every stack */
    enum loss_kind loss;
    bool own_towers; /* task k has k + 1 layers of 3 + k units, and activation k mod 4 */
    bool wide;
    bool attends;
    size_t attention[TOY_SIZES]; /* hidden layers of its networks */
    size_t cross, rank; /* cross layers, their rank */
    struct balance_cfg balance;
    size_t user[TOY_SIZES], item[TOY_SIZES]; /* layers of two_tower */
    size_t funnel[TOY_SIZES], n_funnel; /* tasks of the steps */
    bool stop_gradient, no_constraint; /* of aitm */
    uint64_t seed;
};

struct toy {
    struct toy_cfg cfg;
    struct model_spec spec;
    struct model_input inputs[TOY_INPUTS + TOY_WIDE];
    struct model_task tasks[TOY_TASKS];
    struct model_attention attention[2];
    size_t n_attention;
    enum model_side side[TOY_INPUTS + TOY_WIDE];
    char names[TOY_TASKS][16];
    size_t table_dim[TOY_TABLES];
    struct model *model;
    struct batch batch;
    struct model_rows rows;
    size_t n_params;
    float *params;
    float *table[TOY_TABLES]; /* [U, dim] what rows points at (place is a permutation) */
    float *grad, *row_grad[TOY_TABLES];
    double *scale, *loss; /* [K] */
    struct model_work *work;
    void *memory[128]; /* owned arrays */
    size_t n_memory;
};

/* Group setup: blas_setup. */
int toy_setup(void **state);
/* Builds the model, its parameters and the batch; failures are test failures. */
void toy_create(struct toy *t, const struct toy_cfg *cfg);
void toy_destroy(struct toy *t);
/* Gives every parameter a random value, biases too: at a bias of exactly 0 a unit
 * without input stands on the kink of relu. */
void toy_randomise(struct toy *t);
/* model_step with the toy's arrays. */
bool toy_step(struct toy *t);
/* What the toy's gradients are those of, from the reference forward, in double: the
 * task-weighted sum of losses, with balance uncertainty of the labels' costs. */
double toy_reference_loss(struct toy *t);
/* The tensor of that name, or NULL; toy_need: or the test fails. */
const struct model_tensor *toy_tensor(const struct toy *t, const char *name);
const struct model_tensor *toy_need(const struct toy *t, const char *name);
/* A float of a tensor among the parameters. */
float *toy_at(const struct toy *t, const struct model_tensor *x, size_t r, size_t c);
/* The batch's logits by the inference forward: out[n_rows, n_tasks]. */
void toy_logits(const struct toy *t, float *out);

/* A copy of rows [first, first + n) of the toy's batch as a batch of its own, with
 * its own distinct keys; sub_rows shares the toy's tables. */
struct toy_part {
    struct batch batch;
    struct model_rows rows;
    void *memory[64];
    size_t n_memory;
};
void toy_part_create(const struct toy *t, size_t first, size_t n, struct toy_part *p);
void toy_part_destroy(struct toy_part *p);

#endif
