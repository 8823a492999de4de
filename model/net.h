/* The plan of a model: which units exist, what each reads and writes, where its
 * parameters are. Built once by plan.c from the configuration, walked by level.c,
 * named by tensors.c. All architectures are the same few kinds of node:
 *
 *   buffer   activations [rows, width] of a chunk of rows
 *   unit     a stack of layers with one name (an expert, a gate, a tower, a bottom)
 *   block    the first layers of all units that read one buffer, side by side in
 *            one matrix [in, n]; the block that reads x is computed by layer1
 *   mix      softmax of one gate's output over a list of experts -> a buffer
 *   op       anything else that goes from buffers to buffers: op.h
 *   level    blocks, then the rest of their units, then mixes, then ops; levels run
 *            in order, and backwards everything runs the other way round
 *
 *        x -- block --> experts, gates -- mix --> branch -- block --> ... towers --> z
 *
 * Two ways for x: the block that reads NET_X is computed by layer1 for a whole batch,
 * without x itself; where something else than a block reads x, the input stage gathers
 * a chunk's rows of x into buffer net.x_buf, and its gradient is scattered to the
 * embedding rows. One model may have both. With an input stage features stand in x in
 * order of name, else in config order. The x of two_tower has two parts that never meet,
 * a buffer each: the user's and the item's inputs.
 *
 * Gradients of buffers: an expert is read by several mixes, whose gradients mix.c adds
 * up, and by nothing else. Any other buffer may be read by several blocks and ops: the
 * one that comes first on the way back overwrites its gradient, the others add to it
 * (net_block.add, net_op.add; plan_build finds out). */
#ifndef MTPS_MODEL_NET_H
#define MTPS_MODEL_NET_H

#include "common/base/mem.h"
#include "model/dropout.h"
#include "model/layer1.h"
#include "model/model.h"

enum {
    NET_PAD = 8,    /* floats: widths of buffers and of experts are multiples */
    NET_PAD_X = 16, /* width of the block that reads x */
    NET_CHUNK = 128, /* rows that go through all levels together, to stay in cache; a whole
                        lane where the tasks' gradients are compared (surgery.h) */
    NET_PARTS = N_SIDES /* of x at most */
};
#define NET_X ((size_t)-1)    /* "reads x" in place of a buffer */
#define NET_NONE ((size_t)-1) /* no task, no gate */

enum unit_role { UNIT_BOTTOM, UNIT_EXPERT, UNIT_GATE, UNIT_TOWER };

/* What an activation's derivative reads besides its output: `pre` keeps it. Dropout changes
 * the output of a tanh; what it does to relu's sign does not matter. */
enum net_keep { KEEP_NOTHING, KEEP_INPUT, KEEP_OUTPUT };

/* y = dropout(f(norm(x w + b))), w [in, out] at params + w with row stride ldw. */
struct net_layer {
    size_t in, out;
    size_t w, ldw, b;
    size_t norm;       /* place of its memory in the chunk; NET_NONE: no norm */
    size_t gain, bias; /* [out] of the norm */
    size_t src, src_col; /* src NET_X: computed by layer1 */
    size_t dst, dst_col;
    bool of_x;   /* rows of w are columns of x: one tensor per feature ... */
    size_t part; /* ... of this part of x */
    bool linear; /* no activation */
    enum activation act;
    enum net_keep keep;
    struct dropout dropout;
};

struct net_unit {
    const char *name; /* "expert/level0/shared/2" */
    enum unit_role role;
    size_t task;            /* a tower's */
    size_t first, n_layers; /* in net.layers */
};

/* Columns [col, col + n) of a buffer that share an activation. */
struct net_run {
    size_t col, n;
    enum activation act;
    enum net_keep keep;
};

struct net_block {
    size_t src, dst, in, n; /* in: as in the layers; n: padded */
    size_t w, b;
    size_t first_unit, n_units;
    const struct net_run *runs;
    size_t n_runs;
    bool add; /* src's gradient has been written: add to it */
    bool meeting; /* towers of several tasks read src, which is not x: surgery.h */
};

struct net_mix {
    const char *name; /* of its gate */
    size_t task;      /* NET_NONE: the gate is shared */
    size_t gate_buf, gate_col, n;
    const size_t *expert; /* [n] in net.experts */
    size_t dst;
};

/* An expert's output, and the mixes of its level in which it takes part. */
struct net_expert {
    size_t buf, col;
    bool meeting; /* the gates of several tasks mix it: surgery.h */
    size_t n_seen;
    const struct net_seen {
        size_t mix, pos; /* place in net.mixes, place among that mix's experts */
    } * seen;
};

/* A node of a kind of its own, op.h. */
struct op_kind;
struct net_op {
    const struct op_kind *kind;
    const char *text;  /* for model_describe, "cross [592] x2" */
    const size_t *src; /* [n_src] buffers that it reads */
    bool *add;         /* [n_src] the gradient has been written: add to it */
    const size_t *dst; /* [n_dst] buffers that it alone writes: results, then memory */
    size_t n_src, n_dst;
    const void *spec; /* shape and places of parameters, of the kind */
    const struct model_product *products; /* [n_products] its matrix products */
    size_t n_products;
};

struct net_level {
    size_t first_block, n_blocks;
    size_t first_unit, n_units;
    size_t first_mix, n_mixes;
    size_t first_op, n_ops;
    size_t first_expert, n_experts;
    size_t width; /* padded width of an expert's output */
    bool meeting; /* it has experts where tasks meet */
};

struct net_buffer {
    size_t width;
    bool pre; /* something of it is kept for derivatives */
};

struct net {
    struct net_buffer *buffers;
    struct net_layer *layers;
    struct net_unit *units;
    struct net_block *blocks;
    struct net_mix *mixes;
    struct net_expert *experts;
    struct net_op *ops;
    struct net_level *levels;
    size_t n_buffers, n_layers, n_units, n_blocks, n_mixes, n_experts, n_ops, n_levels;
    size_t n_norms;   /* layers with a norm */
    bool dropout;     /* some layer has it */
    size_t n_params;
    size_t log_variance; /* [K] parameters of balance uncertainty; NET_NONE: none */
    size_t x_block; /* the block that reads NET_X; NET_NONE: none */
    size_t x_buf[NET_PARTS]; /* buffers [rows, x_width] of the input stage; NET_NONE: none */
    size_t match;  /* two_tower: the op that matches vectors; NET_NONE: none */
    size_t logits;  /* buffer of the towers whose last layer is not in a block */
    struct net_head {
        size_t buf, col; /* where the task's logit stands */
    } * heads;           /* [K] side by side when there are direct inputs */
    struct net_direct {
        size_t w, ld, n; /* weights [n, ld >= K] of direct numbers and levels */
    } direct;
};

/* A list pooled by attention: attention.h. */
struct attention {
    const char *name;
    struct model_input list, target; /* as the specification has them */
    enum activation activation;
    struct net_layer *layers; /* in, out and places of parameters */
    size_t n_layers;
};

struct model {
    struct arena *arena; /* owns everything below but layer1 */
    struct model_cfg cfg;
    struct model_input *inputs; /* in config order */
    size_t n_inputs;
    size_t *by_name;    /* [n_inputs] inputs in order of name */
    size_t *x_offset;   /* [n_inputs] first column of its part of x; NET_NONE: direct */
    size_t *part;       /* [n_inputs] which part that is */
    size_t *direct;     /* [n_direct] inputs that bypass x, in config order */
    size_t *direct_row; /* [n_inputs] first row of net.direct; ids have none */
    size_t n_direct;
    struct model_task *tasks;
    size_t n_tasks;
    size_t *table_dim;
    size_t n_tables, n_ids, n_one_hot, n_dense;
    size_t n_x; /* D, of all parts */
    size_t n_parts, x_width[NET_PARTS]; /* parts of x: 1, or N_SIDES of two_tower */
    struct attention *attention;
    size_t n_attention; /* their results are tables n_tables, n_tables + 1, ... */
    uint64_t seed;
    size_t vector; /* fm, deepfm: floats of a field's vector */
    struct layer1 *layer1;
    struct net net;
    struct model_tensor *tensors;
    size_t n_tensors, max_tensors;
};

/* Buffer 0 is what the block that reads x writes. */
enum { NET_Y = 0 };

static inline size_t net_round(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* Some part of the model reads x itself. */
bool plan_has_input_stage(const struct model_cfg *cfg);
/* Fill m->net from m's configuration, tasks and n_x. */
enum status plan_build(struct model *m, struct error *err) MUST_USE;
/* Fill m->tensors from m->net. */
enum status tensors_build(struct model *m, struct error *err) MUST_USE;
/* Adds one; name NULL: out of memory, as arena_printf says. */
enum status tensors_add(struct model *m, const char *name, struct model_tensor t,
                        struct error *err) MUST_USE;

#endif
