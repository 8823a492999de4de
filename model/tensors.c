/* The directory of logical tensors: names, shapes and initial values, free of how
 * layers are fused; and the description that a log shows. */
#include "model/attention.h"
#include "model/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"

/* ---- directory ---- */

enum status tensors_add(struct model *m, const char *name, struct model_tensor t,
                        struct error *err)
{
    if (name == NULL) return mem_error(err, "names of tensors", 0);
    t.name = name;
    if (m->n_tensors == m->max_tensors) {
        size_t max = 2 * m->max_tensors + 64;
        struct model_tensor *more = arena_take(m->arena, max, sizeof *more);
        if (more == NULL) return mem_error(err, "list of tensors", max);
        if (m->n_tensors > 0) memcpy(more, m->tensors, m->n_tensors * sizeof *more);
        m->tensors = more;
        m->max_tensors = max;
    }
    m->tensors[m->n_tensors++] = t;
    return ST_OK;
}

static struct model_tensor weights(const struct model *m, const struct net_layer *l,
                                   size_t row, size_t rows)
{
    return (struct model_tensor){
        .offset = l->w + row * l->ldw,
        .rows = rows,
        .cols = l->out,
        .stride = l->ldw,
        .init = m->cfg.type == MODEL_LR ? TENSOR_ZERO : TENSOR_GLOROT,
        .fan_in = l->in,
        .fan_out = l->out,
        .decay = true,
    };
}

/* Gain and bias of a layer's norm. */
static enum status norm_tensors(struct model *m, const char *unit, size_t i,
                                const struct net_layer *l, struct error *err)
{
    if (l->norm == NET_NONE) return ST_OK;
    struct model_tensor gain = {.offset = l->gain,
                                .rows = 1,
                                .cols = l->out,
                                .stride = l->out,
                                .init = TENSOR_CONSTANT,
                                .constant = 1};
    struct model_tensor bias = gain;
    bias.offset = l->bias;
    bias.init = TENSOR_ZERO;
    TRY(tensors_add(m, arena_printf(m->arena, "%s/layer%zu/norm/gain", unit, i), gain,
                    err));
    return tensors_add(m, arena_printf(m->arena, "%s/layer%zu/norm/bias", unit, i), bias,
                       err);
}

static enum status layer_tensors(struct model *m, const struct net_unit *u, size_t i,
                                 struct error *err)
{
    const struct net_layer *l = &m->net.layers[u->first + i];
    struct arena *a = m->arena;
    if (!l->of_x) {
        const char *name = arena_printf(a, "%s/layer%zu/w", u->name, i);
        TRY(tensors_add(m, name, weights(m, l, 0, l->in), err));
    }
    for (size_t f = 0; f < m->n_inputs && l->of_x; f++) {
        if (m->x_offset[f] == NET_NONE || m->part[f] != l->part) continue;
        const char *name =
            arena_printf(a, "%s/layer%zu/w/%s", u->name, i, m->inputs[f].name);
        TRY(tensors_add(m, name, weights(m, l, m->x_offset[f], m->inputs[f].width), err));
    }
    bool last = u->role == UNIT_TOWER && i + 1 == u->n_layers;
    struct model_tensor bias = {.offset = l->b,
                                .rows = 1,
                                .cols = l->out,
                                .stride = l->out,
                                .init = last ? TENSOR_CONSTANT : TENSOR_ZERO,
                                .constant = last ? m->tasks[u->task].base : 0};
    TRY(tensors_add(m, arena_printf(a, "%s/layer%zu/b", u->name, i), bias, err));
    return norm_tensors(m, u->name, i, l, err);
}

/* Weights of a direct input that is no id, a column per task. */
static enum status direct_tensors(struct model *m, size_t input, struct error *err)
{
    const struct model_input *in = &m->inputs[input];
    const struct net_direct *d = &m->net.direct;
    const char *feature = in->name + (strncmp(in->name, "wide/", 5) == 0 ? 5 : 0);
    for (size_t k = 0; k < m->n_tasks && in->kind != INPUT_ID; k++) {
        struct model_tensor t = {.offset = d->w + m->direct_row[input] * d->ld + k,
                                 .rows = in->width,
                                 .cols = 1,
                                 .stride = d->ld,
                                 .init = TENSOR_ZERO,
                                 .decay = true};
        const char *name =
            arena_printf(m->arena, "wide/%s/w/%s", m->tasks[k].name, feature);
        TRY(tensors_add(m, name, t, err));
    }
    return ST_OK;
}

/* Log variances of balance uncertainty start at 0: each loss with factor 1 (1/2: mse). */
static enum status balance_tensors(struct model *m, struct error *err)
{
    for (size_t k = 0; k < m->n_tasks && m->net.log_variance != NET_NONE; k++) {
        struct model_tensor t = {.offset = m->net.log_variance + k,
                                 .rows = 1,
                                 .cols = 1,
                                 .stride = 1,
                                 .init = TENSOR_ZERO};
        const char *name =
            arena_printf(m->arena, "balance/%s/log_variance", m->tasks[k].name);
        TRY(tensors_add(m, name, t, err));
    }
    return ST_OK;
}

enum status tensors_build(struct model *m, struct error *err)
{
    for (size_t i = 0; i < m->net.n_units; i++) {
        const struct net_unit *u = &m->net.units[i];
        for (size_t j = 0; j < u->n_layers; j++) TRY(layer_tensors(m, u, j, err));
    }
    for (size_t i = 0; i < m->net.n_ops; i++) {
        const struct net_op *op = &m->net.ops[i];
        if (op->kind->tensors != NULL) TRY(op->kind->tensors(m, op, err));
    }
    for (size_t i = 0; i < m->n_direct; i++) TRY(direct_tensors(m, m->direct[i], err));
    TRY(attention_tensors(m, err));
    return balance_tensors(m, err);
}

const struct model_tensor *model_tensors(const struct model *m, size_t *n)
{
    *n = m->n_tensors;
    return m->tensors;
}

/* ---- values ---- */

/* Glorot and Bengio 2010: uniform within sqrt(6 / (fan_in + fan_out)). The square
 * root is correctly rounded by IEEE 754, so it is the same on every machine. */
static double glorot(const struct model_tensor *t)
{
    return __builtin_sqrt(6.0 / (double)(t->fan_in + t->fan_out));
}

static void init_uniform(const struct model_tensor *t, double bound, uint64_t seed,
                         float *params)
{
    struct rng r = rng_named(seed, RNG_TENSOR_INIT, t->name);
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; j < t->cols; j++)
            params[t->offset + i * t->stride + j] =
                (float)((2 * rng_uniform(&r, i * t->cols + j, 0) - 1) * bound);
}

void model_init_params(const struct model *m, uint64_t seed, float *params)
{
    memset(params, 0, m->net.n_params * sizeof *params);
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct model_tensor *t = &m->tensors[i];
        if (t->init == TENSOR_GLOROT) init_uniform(t, glorot(t), seed, params);
        if (t->init == TENSOR_UNIFORM) init_uniform(t, t->constant, seed, params);
        for (size_t j = 0; j < t->rows * t->cols && t->init == TENSOR_CONSTANT; j++)
            params[t->offset + j / t->cols * t->stride + j % t->cols] =
                (float)t->constant;
    }
}

void model_decay_mask(const struct model *m, uint8_t *mask)
{
    memset(mask, 0, m->net.n_params);
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct model_tensor *t = &m->tensors[i];
        for (size_t r = 0; r < t->rows && t->decay; r++)
            memset(mask + t->offset + r * t->stride, 1, t->cols);
    }
}

/* ---- description ---- */

static void print_shape(FILE *f, const struct net *net, const struct net_unit *u)
{
    fprintf(f, " [%zu", net->layers[u->first].in);
    for (size_t i = 0; i < u->n_layers; i++)
        fprintf(f, " %zu", net->layers[u->first + i].out);
    fputc(']', f);
    const struct net_layer *l = &net->layers[u->first];
    if (l->norm != NET_NONE) fputs(" layer norm", f);
    if (l->dropout.below > 0) fprintf(f, " dropout %g", (double)l->dropout.rate);
}

static bool same_shape(const struct net *net, const struct net_unit *a,
                       const struct net_unit *b)
{
    if (a->n_layers != b->n_layers) return false;
    if (net->layers[a->first].in != net->layers[b->first].in) return false;
    for (size_t i = 0; i < a->n_layers; i++)
        if (net->layers[a->first + i].out != net->layers[b->first + i].out) return false;
    return true;
}

/* Experts of one group follow one another: "expert level0 shared x8 [592 64]". */
static size_t print_unit(FILE *f, const struct net *net, size_t i)
{
    const struct net_unit *u = &net->units[i];
    size_t stem = strlen(u->name), n = 1;
    if (u->role == UNIT_EXPERT) {
        while (u->name[stem - 1] != '/') stem--;
        while (i + n < net->n_units && net->units[i + n].role == UNIT_EXPERT &&
               strncmp(net->units[i + n].name, u->name, stem) == 0 &&
               strchr(net->units[i + n].name + stem, '/') == NULL &&
               same_shape(net, u, &net->units[i + n])) {
            n++;
        }
        stem--;
    }
    for (size_t c = 0; c < stem; c++) fputc(u->name[c] == '/' ? ' ' : u->name[c], f);
    if (u->role == UNIT_EXPERT) fprintf(f, " x%zu", n);
    print_shape(f, net, u);
    fputc('\n', f);
    return n;
}

static size_t count_params(const struct model *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_tensors; i++)
        n += m->tensors[i].rows * m->tensors[i].cols;
    return n;
}

enum status model_describe(const struct model *m, char **out, struct error *err)
{
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) return mem_error(err, "description of the model", 0);
    for (size_t i = 0; i < m->net.n_units;) i += print_unit(f, &m->net, i);
    for (size_t i = 0; i < m->net.n_ops; i++)
        if (m->net.ops[i].text != NULL) fprintf(f, "%s\n", m->net.ops[i].text);
    for (size_t i = 0; i < m->n_attention; i++) attention_print(f, &m->attention[i]);
    fprintf(f, "inputs %zu, width of x %zu, tasks %zu, dense parameters %zu", m->n_inputs,
            m->n_x, m->n_tasks, count_params(m));
    if (fclose(f) == 0) *out = mem_strdup(text);
    free(text);
    return *out != NULL ? ST_OK : mem_error(err, "description of the model", size);
}

/* ---- products ---- */

static void put_product(struct model_product p, struct model_product *out, size_t max,
                        size_t *n)
{
    if (*n < max) out[(*n)++] = p;
}

size_t model_products(const struct model *m, struct model_product *out, size_t max)
{
    const struct net *net = &m->net;
    struct model_product first[NET_PARTS] = {{0}};
    size_t n = 0;
    for (size_t i = 0; i < m->n_parts; i++) first[i].in = m->x_width[i];
    for (size_t i = 0; i < net->n_layers; i++) {
        const struct net_layer *l = &net->layers[i];
        if (l->of_x)
            first[l->part].out += l->out;
        else
            put_product((struct model_product){.in = l->in, .out = l->out}, out, max, &n);
    }
    for (size_t i = 0; i < net->n_ops; i++)
        for (size_t j = 0; j < net->ops[i].n_products; j++)
            put_product(net->ops[i].products[j], out, max, &n);
    for (size_t i = 0; i < m->n_attention; i++)
        for (size_t j = 0; j < m->attention[i].n_layers; j++) {
            const struct net_layer *l = &m->attention[i].layers[j];
            put_product((struct model_product){l->in, l->out, &m->attention[i].list}, out,
                        max, &n);
        }
    for (size_t i = 0; i < m->n_parts; i++)
        if (first[i].in > 0 && first[i].out > 0) put_product(first[i], out, max, &n);
    return n;
}
