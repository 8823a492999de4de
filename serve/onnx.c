/* The net of a model as nodes of a graph. */
#include "serve/onnx_impl.h"

#include <string.h>

#include "common/math/target.h"
#include "model/norm.h"
#include "model/op.h"
#include "model/tables.h"

/* ---- buffers ---- */

static void add_piece(struct onnx_graph *g, size_t buf, size_t col, size_t n, const char *value)
{
    if (g->n_pieces == g->max_pieces) {
        size_t max = 2 * g->max_pieces + 64;
        struct onnx_piece *v = mem_resize(g->pieces, max, sizeof *v);
        if (!v) {
            g->o->failed = true;
            return;
        }
        g->pieces = v;
        g->max_pieces = max;
    }
    g->pieces[g->n_pieces++] = (struct onnx_piece){buf, col, n, value};
}

/* The piece written last that holds a column. */
static const struct onnx_piece *find_piece(const struct onnx_graph *g, size_t buf, size_t col)
{
    for (size_t i = g->n_pieces; i-- > 0;) {
        const struct onnx_piece *p = &g->pieces[i];
        if (p->buf == buf && col >= p->col && col < p->col + p->n) return p;
    }
    return NULL;
}

/* Columns [col, col + n) of a buffer, of one piece or of several side by side. */
static const char *read_columns(struct onnx_graph *g, size_t buf, size_t col, size_t n)
{
    const char *parts = NULL, *part;
    for (size_t end = col + n; col < end;) {
        const struct onnx_piece *p = find_piece(g, buf, col);
        if (!p) {
            g->o->failed = true;
            return "";
        }
        size_t last = p->col + p->n < end ? p->col + p->n : end;
        part = p->col == col && p->n == last - col ? p->value : onnx_columns(g, p->value, col - p->col, last - p->col);
        struct buffer axis = {0};
        if (parts) onnx_attribute_int(&axis, "axis", 1);
        parts = parts ? onnx_node(g->o, "Concat", NULL, &axis, parts, part, NULL) : part;
        col = last;
    }
    return parts;
}

/* ---- layers ---- */

static const char *add(struct onnx_graph *g, const char *a, const char *b)
{
    return onnx_node(g->o, "Add", NULL, NULL, a, b, NULL);
}

static const char *sigmoid_times(struct onnx_graph *g, const char *x, const char *of)
{
    return onnx_node(g->o, "Mul", NULL, NULL, x, onnx_node(g->o, "Sigmoid", NULL, NULL, of, NULL), NULL);
}

static const char *scaled(struct onnx_graph *g, const char *x, float by)
{
    return onnx_node(g->o, "Mul", NULL, NULL, x, onnx_floats(g->o, 0, 0, 0, &by), NULL);
}

static const char *activate(struct onnx_graph *g, enum activation act, const char *x)
{
    switch (act) {
    case ACT_RELU:
        return onnx_node(g->o, "Relu", NULL, NULL, x, NULL);
    case ACT_TANH:
        return onnx_node(g->o, "Tanh", NULL, NULL, x, NULL);
    case ACT_SILU:
        return sigmoid_times(g, x, x);
    case ACT_GELU: {
        /* x sigmoid(1.59576912 (x + 0.044715 x^3)), as common/math/activation.c */
        const char *cube = onnx_node(g->o, "Mul", NULL, NULL, onnx_node(g->o, "Mul", NULL, NULL, x, x, NULL), x, NULL);
        return sigmoid_times(g, x, scaled(g, add(g, x, scaled(g, cube, 0.044715f)), 1.59576912f));
    }
    }
    return x;
}

/* What follows a layer's product: norm and activation. */
static void end_layer(struct onnx_graph *g, const struct net_layer *l, const char *y)
{
    if (l->norm != NET_NONE) {
        struct buffer a = {0};
        onnx_attribute_float(&a, "epsilon", NORM_EPS);
        y = onnx_node(g->o, "LayerNormalization", NULL, &a, y, onnx_floats(g->o, l->out, 0, 0, g->params + l->gain),
                      onnx_floats(g->o, l->out, 0, 0, g->params + l->bias), NULL);
    }
    if (!l->linear) y = activate(g, l->act, y);
    add_piece(g, l->dst, l->dst_col, l->out, y);
}

/* x w + b of the block that reads x: each input's share, then the bias. */
static const char *product_of_x(struct onnx_graph *g, const struct net_block *b)
{
    const struct model *m = g->m->model;
    const char *y = NULL;
    for (size_t j = 0; j < m->n_inputs; j++) {
        size_t i = m->by_name[j];
        if (m->inputs[i].direct) continue;
        const char *share = onnx_product_of(g, i, g->params + b->w + m->x_offset[i] * b->n, b->n, b->n);
        y = y ? add(g, y, share) : share;
    }
    const char *bias = onnx_floats(g->o, b->n, 0, 0, g->params + b->b);
    return y ? add(g, y, bias) : NULL;
}

static const char *product(struct onnx_graph *g, const char *x, size_t in, size_t out, size_t w, size_t ldw, size_t b)
{
    const char *y = onnx_node(g->o, "MatMul", NULL, NULL, x, onnx_floats(g->o, in, out, ldw, g->params + w), NULL);
    return b == NET_NONE ? y : add(g, y, onnx_floats(g->o, out, 0, 0, g->params + b));
}

static void put_block(struct onnx_graph *g, const struct net_block *b)
{
    const struct net *net = &g->m->model->net;
    const char *y = b->src == NET_X ? product_of_x(g, b)
                                    : product(g, read_columns(g, b->src, 0, b->in), b->in, b->n, b->w, b->n, b->b);
    for (size_t i = 0; i < b->n_units; i++) {
        const struct net_layer *l = &net->layers[net->units[b->first_unit + i].first];
        /* Without an input the layer is its bias, [out], which later sums spread. */
        const char *columns = y ? onnx_columns(g, y, l->dst_col, l->dst_col + l->out)
                                : onnx_floats(g->o, l->out, 0, 0, g->params + b->b + l->dst_col);
        end_layer(g, l, columns);
    }
}

static void put_layer(struct onnx_graph *g, const struct net_layer *l)
{
    end_layer(g, l, product(g, read_columns(g, l->src, l->src_col, l->in), l->in, l->out, l->w, l->ldw, l->b));
}

/* ---- mixtures ---- */

/* w = softmax(gate), branch = sum of w_i expert_i. */
static void put_mix(struct onnx_graph *g, const struct net_mix *mix)
{
    const struct net *net = &g->m->model->net;
    struct buffer a = {0};
    onnx_attribute_int(&a, "axis", 1);
    const char *w = onnx_node(g->o, "Softmax", NULL, &a, read_columns(g, mix->gate_buf, mix->gate_col, mix->n), NULL);
    const char *sum = NULL;
    size_t width = 0;
    for (size_t i = 0; i < mix->n; i++) {
        const struct net_expert *e = &net->experts[mix->expert[i]];
        const struct onnx_piece *p = find_piece(g, e->buf, e->col);
        if (!p) {
            g->o->failed = true;
            return;
        }
        width = p->n;
        const char *term = onnx_node(g->o, "Mul", NULL, NULL, p->value, onnx_columns(g, w, i, i + 1), NULL);
        sum = sum ? add(g, sum, term) : term;
    }
    if (sum) add_piece(g, mix->dst, 0, width, sum);
}

/* ---- other ops, as they tell of themselves (model/op_trace.h) ---- */

static op_value trace_read(void *arg, size_t buf, size_t col, size_t n)
{
    return read_columns(arg, buf, col, n);
}

static void trace_write(void *arg, size_t buf, size_t col, size_t n, op_value value)
{
    add_piece(arg, buf, col, n, value);
}

static op_value trace_product(void *arg, op_value x, size_t in, size_t out, size_t w, size_t ldw, size_t b)
{
    return product(arg, x, in, out, w, ldw, b);
}

static op_value trace_constant(void *arg, size_t n, const float *v)
{
    struct onnx_graph *g = arg;
    return onnx_floats(g->o, n, 0, 0, v);
}

static op_value trace_one(void *arg, enum op_step step, op_value a, op_value b)
{
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "Relu", "Sigmoid", "Sqrt", "Log"};
    struct onnx_graph *g = arg;
    struct buffer keep = {0};
    if (step != STEP_ROW_SUM) return onnx_node(g->o, names[step], NULL, NULL, a, b, NULL);
    onnx_attribute_int(&keep, "keepdims", 1);
    return onnx_node(g->o, "ReduceSum", NULL, &keep, a, g->axis1, NULL);
}

static void put_op(struct onnx_graph *g, const struct net_op *op)
{
    struct op_trace t = {.params = g->params,
                         .arg = g,
                         .read = trace_read,
                         .write = trace_write,
                         .product = trace_product,
                         .step = trace_one,
                         .constant = trace_constant};
    op->kind->trace(op, &t);
}

/* The input stage: every input's columns of x, levels as one of their columns. */
static void put_x(struct onnx_graph *g)
{
    const struct model *m = g->m->model;
    for (size_t i = 0; i < m->n_inputs; i++) {
        size_t width = m->inputs[i].width;
        if (m->x_offset[i] == NET_NONE || m->net.x_buf[m->part[i]] == NET_NONE) continue;
        const char *x = g->x[i];
        if (m->inputs[i].kind == INPUT_ONE_HOT) {
            float *unit = mem_zeroed(width * width, sizeof *unit);
            g->o->failed |= !unit;
            for (size_t j = 0; unit && j < width; j++) unit[j * width + j] = 1;
            if (unit) x = onnx_product_of(g, i, unit, width, width);
            mem_free(unit);
        }
        add_piece(g, m->net.x_buf[m->part[i]], m->x_offset[i], width, x);
    }
}

/* ---- outputs ---- */

/* Direct inputs: [batch, K] to be added to the logits; NULL when there are none. */
static const char *direct_sum(struct onnx_graph *g)
{
    const struct model *m = g->m->model;
    const char *sum = NULL;
    for (size_t j = 0; j < m->n_inputs; j++) {
        size_t i = m->by_name[j];
        if (!m->inputs[i].direct) continue;
        const float *w = g->params + m->net.direct.w + m->direct_row[i] * m->net.direct.ld;
        const char *share = m->inputs[i].kind == INPUT_ID ? g->x[i]
                                                          : onnx_product_of(g, i, w, m->n_tasks, m->net.direct.ld);
        sum = sum ? add(g, sum, share) : share;
    }
    return sum;
}

static const char *link(struct onnx_graph *g, size_t task, const char *z)
{
    float one = 1, nothing = 0;
    const char *name = g->m->tasks[task].name;
    switch (g->m->settings->tasks[task].loss) {
    case LOSS_BCE:
        return onnx_node(g->o, "Sigmoid", NULL, NULL, z, NULL);
    case LOSS_WEIGHTED_LOGISTIC:
        return onnx_node(g->o, "Exp", NULL, NULL, z, NULL);
    case LOSS_COMPLETION: {
        char *duration = arena_printf(g->o->arena, "%s.duration", name);
        if (!duration) g->o->failed = true;
        onnx_input(g->o, duration ? duration : "", "the duration of task", name, ONNX_FLOAT, "batch", 1);
        return onnx_node(g->o, "Mul", NULL, NULL, onnx_node(g->o, "Sigmoid", NULL, NULL, z, NULL),
                         duration ? duration : "", NULL);
    }
    case LOSS_LOG_MSE:
        z = onnx_node(g->o, "Max", NULL, NULL, z, onnx_floats(g->o, 0, 0, 0, &nothing), NULL);
        return onnx_node(g->o, "Sub", NULL, NULL, onnx_node(g->o, "Exp", NULL, NULL, z, NULL),
                         onnx_floats(g->o, 0, 0, 0, &one), NULL);
    case LOSS_MSE:
    case LOSS_HUBER:
        break;
    }
    return z;
}

static void put_outputs(struct onnx_graph *g)
{
    const struct model *m = g->m->model;
    const char *direct = direct_sum(g);
    for (size_t k = 0; k < m->n_tasks; k++) {
        const struct net_head *h = &m->net.heads[k];
        const char *z = find_piece(g, h->buf, h->col) ? read_columns(g, h->buf, h->col, 1) : NULL;
        const char *own = direct ? onnx_columns(g, direct, k, k + 1) : NULL;
        z = z && own ? add(g, z, own) : z ? z : own;
        if (!z) g->o->failed = true;
        onnx_node(g->o, "Squeeze", g->m->tasks[k].name, NULL, link(g, k, z ? z : ""), g->axis1, NULL);
        onnx_output(g->o, g->m->tasks[k].name, "task", g->m->tasks[k].name, "batch", 0);
    }
}

/* ---- the whole ---- */

static enum status check(const struct mtps_model *m, struct error *err)
{
    if (m->model->n_attention > 0) {
        error_set(err, ST_USAGE, "attention pooling cannot be written as ONNX");
        return error_hint(err, ST_USAGE, "export a bundle, or a model without it");
    }
    if (m->base) return error_set(err, ST_USAGE, "a delta cannot be written as ONNX: it has not all rows");
    for (size_t t = 0; t < m->kinds->n; t++)
        if (m->tables[t].type != SECTION_F32)
            return error_set(err, ST_USAGE, "rows are f32, not %s", section_type_name(m->tables[t].type));
    return ST_OK;
}

/* Inputs and outputs are named after these, some with a word behind or `wide/` before. */
static void reserve_names(struct onnx_graph *g)
{
    for (size_t i = 0; i < g->m->schema->n_features; i++) onnx_reserve(g->o, g->m->schema->features[i].name);
    for (size_t k = 0; k < g->m->model->n_tasks; k++) onnx_reserve(g->o, g->m->tasks[k].name);
}

static void put_net(struct onnx_graph *g)
{
    const struct net *net = &g->m->model->net;
    int64_t zero = 0, one = 1;
    reserve_names(g);
    g->zero = onnx_ints(g->o, 1, &zero);
    g->axis1 = onnx_ints(g->o, 1, &one);
    onnx_inputs(g);
    put_x(g);
    for (size_t i = 0; i < net->n_levels; i++) {
        const struct net_level *level = &net->levels[i];
        for (size_t j = 0; j < level->n_blocks; j++) put_block(g, &net->blocks[level->first_block + j]);
        for (size_t j = 0; j < level->n_units; j++) {
            const struct net_unit *u = &net->units[level->first_unit + j];
            for (size_t l = 1; l < u->n_layers; l++) put_layer(g, &net->layers[u->first + l]);
        }
        for (size_t j = 0; j < level->n_mixes; j++) put_mix(g, &net->mixes[level->first_mix + j]);
        for (size_t j = 0; j < level->n_ops; j++) put_op(g, &net->ops[level->first_op + j]);
    }
    put_outputs(g);
}

static enum status write_graph(struct onnx_graph *g, char **bytes, size_t *n, struct error *err)
{
    put_net(g);
    if (g->opt->triton) onnx_triton(g->o, g->opt->triton);
    return onnx_finish(g->o, g->m->info.name, bytes, n, err);
}

enum status onnx_write(struct mtps_model *m, const struct onnx_options *opt, char **bytes, size_t *n,
                       struct error *err)
{
    struct onnx o;
    float *params;
    TRY(check(m, err));
    TRY(loaded_params(m, &params, err));
    enum status st = onnx_init(&o, err);
    if (st == ST_OK) {
        struct onnx_graph g = {.o = &o, .m = m, .opt = opt, .params = params};
        g.x = arena_take(o.arena, m->model->n_inputs + 1, sizeof *g.x);
        g.declared = arena_take(o.arena, m->schema->n_features + 1, sizeof *g.declared);
        st = g.x && g.declared ? write_graph(&g, bytes, n, err) : mem_error(err, "ONNX", m->schema->n_features);
        mem_free(g.pieces);
        onnx_close(&o);
    }
    mem_free(params);
    return st;
}
