/* A multi-task model as pure arithmetic: parameters in one flat vector, a
 * forward and backward pass for a lane, an inference pass for any rows. No MPI,
 * no files, no threads: the caller owns all of that.
 *
 * Letters: B rows, D width of the layer-1 input, N width of the fused layer 1,
 * K tasks, P floats in the parameter vector.
 *
 *   lr            z_k = x . w_k + b_k              (ids are direct inputs)
 *   fm            z_k = b_k + weighted pairs of inputs, op_fm.c (+ direct inputs)
 *   dnn           one tower per task over x, no sharing but the embeddings
 *   wide_deep     dnn (+ direct inputs)
 *   deepfm        dnn + fm over the same vectors (+ direct inputs)
 *   share_bottom  bottom MLP, tower per task
 *   omoe, mmoe    experts, one gate or one per task, towers
 *   cgc, ple      own and shared experts, gates per task (and shared), levels
 *   two_tower     z_k = <u_k, v_k> / temperature + b_k: vectors of unit length of the
 *                 user's and of the item's inputs, hidden layers shared by the tasks
 *   esmm          a tower per task; those of a funnel's steps are conditional logits
 *   aitm          the same, and every step hands on what its tower knows
 *
 * z_k of a step of model.steps is the joint logit of all steps up to it, for every type,
 * and its label says whether all of them happened (data/funnel.h).
 *
 * Of any type but lr, the layers above may read what cross layers (cross_layers of the
 * configuration) make of x.
 *
 * A direct input of any type bypasses x: its weights, one per task, are added to the
 * logits (the rows of an id feature's table; "wide/..." tensors of other features).
 *
 * See docs/notation.md and MODELS: equations are cited where they are computed. */
#ifndef MTPS_MODEL_MODEL_H
#define MTPS_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/settings.h"
#include "data/batch.h"

/* What a feature gives layer 1, in config order. */
enum input_kind { INPUT_ID, INPUT_ONE_HOT, INPUT_DENSE };
struct model_input {
    const char *name;
    enum input_kind kind;
    size_t place;   /* INPUT_ID: index into batch.ids; ONE_HOT: into batch.one_hot;
                       DENSE: first column in batch.dense */
    size_t width;   /* floats of x: table dim, number of levels, or dense width */
    size_t table;   /* INPUT_ID: index into batch.tables */
    enum pool pool; /* INPUT_ID */
    bool project;   /* INPUT_ID: training uses project -> gather for it */
    bool
        direct; /* bypasses x; an id's rows have a weight per task. Ids of lr always do */
};

/* An input with pool: attention: the list, what it is pooled against, and the network that
 * weighs its rows (attention.h). Ids of both, of one width, the target single-valued. */
struct model_attention {
    size_t input, target; /* in inputs */
    struct sizes_cfg layers;
    enum activation activation;
};

struct model_task {
    const char *name;
    enum loss_kind loss;
    double huber_delta;
    double weight;
    struct mlp_cfg tower, gate;
    size_t own;
    double base; /* last bias: logit of the base rate (bce; of a later step of esmm the
                    rate after the step before) or mean label */
};

struct model_spec {
    struct model_cfg cfg;             /* type and parts */
    const struct model_input *inputs; /* borrowed during create, copied */
    size_t n_inputs;
    const struct model_task *tasks;
    size_t n_tasks;
    const size_t *table_dim; /* [n_tables] */
    size_t n_tables;
    size_t n_dense; /* columns of batch.dense */
    uint64_t seed;  /* of dropout and pcgrad's order */
    const struct model_attention *attention; /* inputs with POOL_ATTENTION, in order */
    size_t n_attention;
    const enum model_side *side; /* [n_inputs] of two_tower */
    size_t vector;  /* fm, deepfm: floats of a field's vector, so the width of every id
                       input that is not direct */
};

/* Width of the embedding rows that a model of this type reads: cfg_dim, but for lr
 * the number of tasks. A row of lr is the weights of its id, one per task, so
 * z_k = sum over id features of pooled row[k] + dense and one_hot inputs . w_k + b_k:
 * a true logistic regression (a small vector times a small matrix would start
 * with next to no gradient). Callers size tables and model_spec.table_dim by it. */
size_t model_row_dim(enum model_type type, size_t cfg_dim, size_t n_tasks);

struct model; /* read-only after creation; any thread may use it */

/* ST_USAGE when the type lacks a part or widths do not fit. */
enum status model_create(const struct model_spec *spec, struct model **out,
                         struct error *err) MUST_USE;
void model_destroy(struct model *m);

/* P. The vector's layout (which tensors are fused, in which order) is the
 * model's own business and the same on every rank. */
size_t model_n_params(const struct model *m);
size_t model_n_tasks(const struct model *m);
/* Floats [first, first + n) of the vector: the weights of direct inputs, none other. */
void model_direct_params(const struct model *m, size_t *first, size_t *n);
/* N: outputs of the fused layer 1, which the choice of its form depends on; 0: there is
 * none, all inputs of x are gathered. */
size_t model_layer1_width(const struct model *m);

/* Logical tensors: a view [rows, cols] with a row stride into the flat vector.
 * Together they cover each float that matters exactly once; padding floats are
 * in none, start at 0 and keep a zero gradient. Names (DESIGN section 9):
 * bottom/layer0/w, expert/level0/{shared|TASK}/2/layer0/b,
 * gate/level0/{TASK|shared}/layer0/w, tower/TASK/layer0/w, transfer/TASK/{info/w|info/b|
 * value/w|query/w|key/w} and head/TASK/layer0/w (aitm), dnn/TASK/..., lr/TASK/... (no
 * weights for id features), cross/layer0/{w/IN/OUT, v/IN, u/OUT, b/OUT} of features IN and
 * OUT, {user|item}/layer0/w/FEATURE, {user|item}/TASK/layer0/w, match/TASK/b,
 * wide/TASK/w/FEATURE (of direct inputs that are no ids, where FEATURE is the input's name
 * without a leading "wide/"), balance/TASK/log_variance; first-layer weights are one
 * tensor per feature:
 * attention/FEATURE/layer0/w [4 dim, out];
 * .../layer0/w/FEATURE with shape [width, out]. Weights are stored [in, out]: y = x w +
 * b. Biases are [1, out], and so are .../layer0/norm/gain and .../norm/bias of a layer
 * norm. */
enum tensor_init { TENSOR_GLOROT, TENSOR_ZERO, TENSOR_CONSTANT, TENSOR_UNIFORM };
struct model_tensor {
    const char *name;
    size_t offset, rows, cols, stride;
    enum tensor_init init;
    size_t fan_in, fan_out; /* of the whole layer, for Glorot */
    double constant; /* CONSTANT: the value; UNIFORM: the bound */
    bool decay; /* weight decay applies (weights, not biases) */
};
const struct model_tensor *model_tensors(const struct model *m, size_t *n);

/* Fill params[P]: each tensor by name and logical index from (seed, name), so
 * neither order nor layout matters. Glorot uniform, biases 0, last biases at
 * task.base; lr weights start at 0. */
void model_init_params(const struct model *m, uint64_t seed, float *params);

/* Which floats of [0, P) take weight decay: mask[P] of 0 and 1. */
void model_decay_mask(const struct model *m, uint8_t *mask);

/* Pulled rows of each table, as the lane sees them: row u of table t is
 * rows[t] + place[t][u] * dim (place NULL: row u itself). The inference forward also takes
 * rows that lie anywhere: at[t][u]. */
struct model_rows {
    const float *const *rows;      /* [n_tables] */
    const uint32_t *const *place;  /* [n_tables][U_t] or NULL entries; or NULL */
    const float *const *const *at; /* [n_tables][U_t] or NULL entries; or NULL */
};

/* Memory of one lane: activations and gradients, sized once. */
struct model_work;
struct model_caps {
    size_t max_rows;               /* B at most */
    const size_t *max_distinct;    /* [n_ids] U_f at most */
    const size_t *max_occurrences; /* [n_ids] N at most */
};
enum status model_work_create(const struct model *m, const struct model_caps *caps,
                              struct model_work **out, struct error *err) MUST_USE;
void model_work_destroy(struct model_work *w);

/* dwa: factors of the tasks' losses besides their weights, [K], from the next step on
 * (copied); 1 at first. */
void model_work_weigh(struct model_work *w, const double *weight);

/* One lane, forward and backward. Never allocates. Dropout and pcgrad's order follow from
 * the model's seed, the batch's step and its rows' numbers (dropout.h, balance.h).
 *   params      [P]
 *   scale       [K] 1 / (batch_size * r_k): factor of every row's loss (DESIGN 4 rule 5);
 *               the task's weight is applied inside
 *   grad        [P] out, overwritten: d(sum of weighted losses)/d(params), balanced as
 *               model.balance says (balance.h, surgery.h)
 *   row_grad    [n_tables] out, [U_t, dim] each, overwritten
 *   loss        [K] out: sum of row_weight * loss * scale, in double, rows in order;
 *               neither weighted nor balanced
 * Returns false when a loss is not finite, or a gradient not or beyond 2^50, whose square
 * an optimiser could not keep (then grad and row_grad must not be used). A lane of zero rows gives zeros. */
bool model_step(const struct model *m, const float *params, const struct batch *b,
                const struct model_rows *rows, const double *scale, struct model_work *w,
                float *grad, float *const *row_grad, double *loss);

/* Time spent in the stages of model_step, added up, in seconds. */
struct model_times {
    double layer1_forward, layer1_backward, mix, towers;
};
void model_work_times(const struct model_work *w, struct model_times *out);

/* The same arithmetic, plain loops, gather form only, for tests: logits[B, K]. */
void model_forward_reference(const struct model *m, const float *params,
                             const struct batch *b, const struct model_rows *rows,
                             float *logits);

/* The inference forward (DESIGN section 9): a row's bits depend on the row and
 * the parameters alone. logits[B, K]; apply model_link() for what users see.
 *   infer_create copies and reorders params once (features by name); it must be
 *   made again after params change. */
struct infer;
enum status infer_create(const struct model *m, const float *params, struct infer **out,
                         struct error *err) MUST_USE;
void infer_destroy(struct infer *f);
struct infer_work;
enum status infer_work_create(const struct infer *f, size_t max_rows,
                              struct infer_work **out, struct error *err) MUST_USE;
void infer_work_destroy(struct infer_work *w);
void infer_forward(const struct infer *f, const struct batch *b,
                   const struct model_rows *rows, struct infer_work *w, float *logits);
/* two_tower: the vectors of one side, of unit length, vectors[B, K, width]; the logits of
 * infer_forward are <user, item> / temperature + match/TASK/b, in the same chains of
 * sums. */
size_t model_vector_width(const struct model *m); /* 0: another type */
void infer_vectors(const struct infer *f, const struct batch *b,
                   const struct model_rows *rows, enum model_side side, struct infer_work *w,
                   float *vectors);

/* Layer 1 ahead of time. It is linear in the rows of a table: a row times the weights of
 * one input may be computed once, and scoring then adds such projected rows up. The sums
 * are others than those of infer_forward: logits agree within 1e-6 of their size.
 *
 * Floats of a projected row; 0: the model has no layer 1 that reads rows as they are
 * (lr, cross layers, attention pooling). */
size_t infer_projected_width(const struct infer *f);
/* Is this input one whose rows may be projected? */
bool infer_projects(const struct infer *f, size_t input);
/* out[width] = row[dim] x weights of the input. */
void infer_project(const struct infer *f, size_t input, const float *row, float *out);
/* projected[n_inputs]: of an input that is projected, a projected row for each of its
 * occurrences in batch order; of others NULL. far: the table has many rows, so that they are
 * read from memory, not from a cache; it decides the order of the sum and must not change with
 * the batch. rows: of the inputs that are not projected. */
struct infer_projected {
    const float *const *row;
    bool far;
};
void infer_forward_projected(const struct infer *f, const struct batch *b,
                             const struct model_rows *rows,
                             const struct infer_projected *projected, struct infer_work *w,
                             float *logits);
/* What users see of z (common/math/target.h), of a completion its share. */
float model_link(const struct model *m, size_t task, float z);

/* The matrix products of a forward pass, each in [n, in] x [in, out]: what the bound of
 * `mtps bench step` computes. n is B, or where `list` is given the occurrences of that
 * input, which attention weighs. The first layers of all units are one product, every
 * other layer is one of its own. Writes at most max of them; gives their number. */
struct model_product {
    size_t in, out;
    const struct model_input *list; /* of the model */
};
size_t model_products(const struct model *m, struct model_product *out, size_t max);

/* A few lines describing shapes, one per unit ("expert level0 shared x8 [592 64]"), for
 * the log. */
enum status model_describe(const struct model *m, char **out, struct error *err) MUST_USE;

#endif
