/* The forward pass once more, with plain loops in double, from the equations and
 * the logical tensors by name: it knows nothing of blocks, buffers or padding. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "model/layers.h"
#include "model/norm.h"
#include "model/op.h"
#include "model/reference.h"

enum { NAME = 512, MOST_LAYERS = 16 };

struct ref {
    const struct model *m;
    const float *params;
    const double *x;  /* [D] of this row, after the cross layers */
    const double *x0; /* before them */
    size_t width;        /* of the widest layer */
    size_t *last;        /* tensor found last: they are asked for nearly in order */
    const uint64_t *key; /* of this row's dropout; NULL: none */
};

/* printf of %s and %zu. Names are made for every row and layer, and printf would take most
 * of the time of a test (a library that extends it, as Fortran's does, makes it slow). */
static void PRINTF_LIKE(2, 3) print_name(char out[NAME], const char *format, ...)
{
    char *const end = out + NAME - 1;
    va_list args;
    va_start(args, format);
    for (const char *f = format; *f != '\0' && out < end; f++) {
        char digits[24], *word = digits + sizeof digits - 1;
        *word = '\0';
        if (f[0] != '%') {
            *--word = *f;
        } else if (*++f == 's') {
            word = va_arg(args, char *);
        } else {
            f++; /* zu */
            size_t n = va_arg(args, size_t);
            do *--word = (char)('0' + n % 10);
            while ((n /= 10) > 0);
        }
        while (*word != '\0' && out < end) *out++ = *word++;
    }
    va_end(args);
    *out = '\0';
}

/* Memory of a test's reference: running out of it ends the test. */
static double *take(size_t n)
{
    double *p = mem_zeroed(n, sizeof *p);
    if (p == NULL) abort();
    return p;
}

static const struct model_tensor *find(const struct ref *r, const char *name)
{
    for (size_t i = 0; i < r->m->n_tensors; i++) {
        size_t at = (*r->last + i) % r->m->n_tensors;
        if (strcmp(r->m->tensors[at].name, name) != 0) continue;
        *r->last = at;
        return &r->m->tensors[at];
    }
    return NULL;
}

/* out[t->cols] += in[t->rows] . tensor */
static void multiply(const struct ref *r, const struct model_tensor *t, const double *in,
                     double *out)
{
    for (size_t j = 0; j < t->cols; j++)
        for (size_t i = 0; i < t->rows; i++)
            out[j] += in[i] * (double)r->params[t->offset + i * t->stride + j];
}

/* Where a part of x begins in r->x. */
static const double *part_of_x(const struct ref *r, size_t part)
{
    return r->x + (part > 0 ? r->m->x_width[0] : 0);
}

/* One layer of a unit: in -> out; gives the number of outputs. Where in is x, or a part
 * of it, weights are one tensor per feature. */
static size_t layer(const struct ref *r, const char *unit, size_t index, const double *in,
                    double *out)
{
    char name[NAME];
    memset(out, 0, r->width * sizeof *out);
    bool of_x = in == r->x || (r->m->n_parts > 1 && in == part_of_x(r, SIDE_ITEM));
    for (size_t f = 0; f < r->m->n_inputs && of_x; f++) {
        if (r->m->inputs[f].direct || in != part_of_x(r, r->m->part[f])) continue;
        print_name(name, "%s/layer%zu/w/%s", unit, index,
                 r->m->inputs[f].name);
        const struct model_tensor *t = find(r, name);
        multiply(r, t, in + r->m->x_offset[f], out);
    }
    if (!of_x) {
        print_name(name, "%s/layer%zu/w", unit, index);
        multiply(r, find(r, name), in, out);
    }
    print_name(name, "%s/layer%zu/b", unit, index);
    const struct model_tensor *b = find(r, name);
    for (size_t j = 0; j < b->cols; j++) out[j] += (double)r->params[b->offset + j];
    return b->cols;
}

/* out[n] = gain (out - mean) / sqrt(variance + eps) + bias */
static void norm(const struct ref *r, const char *unit, size_t index, size_t n,
                 double *out)
{
    char name[NAME];
    double mean = 0, variance = 0;
    print_name(name, "%s/layer%zu/norm/gain", unit, index);
    const float *gain = r->params + find(r, name)->offset;
    print_name(name, "%s/layer%zu/norm/bias", unit, index);
    const float *bias = r->params + find(r, name)->offset;
    for (size_t j = 0; j < n; j++) mean += out[j] / (double)n;
    for (size_t j = 0; j < n; j++)
        variance += (out[j] - mean) * (out[j] - mean) / (double)n;
    for (size_t j = 0; j < n; j++)
        out[j] = (double)gain[j] * (out[j] - mean) / sqrt(variance + (double)NORM_EPS) +
                 (double)bias[j];
}

static void drop(const struct ref *r, const char *unit, size_t index, double rate,
                 size_t n, double *out)
{
    if (rate == 0 || r->key == NULL) return;
    struct dropout d = dropout_make(rate, unit, index);
    for (size_t j = 0; j < n; j++)
        out[j] = dropout_keeps(&d, *r->key, j) ? out[j] / (1 - rate) : 0;
}

/* Layers 0 .. hidden-1 activated, then `linear` more without. */
static size_t stack(const struct ref *r, const char *unit, const struct mlp_cfg *mlp,
                    bool linear, const double *in, double *out)
{
    double *t[2] = {take(r->width), take(r->width)};
    const double *from = in;
    size_t n = 0;
    for (size_t i = 0; i < mlp->layers.n + linear; i++) {
        double *to = t[i % 2];
        n = layer(r, unit, i, from, to);
        if (i < mlp->layers.n && mlp->norm == NORM_LAYER) norm(r, unit, i, n, to);
        for (size_t j = 0; j < n && i < mlp->layers.n; j++)
            to[j] = layers_activation_reference(mlp->activation, to[j]);
        if (i < mlp->layers.n) drop(r, unit, i, mlp->dropout, n, to);
        from = to;
    }
    memcpy(out, from, n * sizeof *out);
    mem_free(t[0]);
    mem_free(t[1]);
    return n;
}

/* ---- architectures ---- */

struct experts {
    size_t n, width;
    double *f; /* [n, width] */
};

/* Appends experts GROUP/0 .. GROUP/n-1 of a level, all reading `in`. */
static void add_experts(const struct ref *r, size_t level, const char *group, size_t n,
                        const double *in, struct experts *e)
{
    char name[NAME];
    for (size_t i = 0; i < n; i++) {
        print_name(name, "expert/level%zu/%s/%zu", level, group, i);
        stack(r, name, &r->m->cfg.experts, false, in, e->f + e->n++ * e->width);
    }
}

/* out = sum of softmax(gate(in))_i * f_i */
static void mixture(const struct ref *r, size_t level, const char *who,
                    const struct mlp_cfg *gate, const double *in, const struct experts *e,
                    double *out)
{
    char name[NAME];
    double *g = take(r->width), sum = 0, most;
    print_name(name, "gate/level%zu/%s", level, who);
    stack(r, name, gate, true, in, g);
    most = g[0];
    for (size_t i = 1; i < e->n; i++) most = g[i] > most ? g[i] : most;
    for (size_t i = 0; i < e->n; i++) sum += g[i] = exp(g[i] - most);
    memset(out, 0, e->width * sizeof *out);
    for (size_t i = 0; i < e->n; i++)
        for (size_t j = 0; j < e->width; j++)
            out[j] += g[i] / sum * e->f[i * e->width + j];
    mem_free(g);
}

static double tower(const struct ref *r, size_t k, const double *in)
{
    char name[NAME];
    double *t = take(r->width), z;
    print_name(name, "tower/%s", r->m->tasks[k].name);
    stack(r, name, &r->m->tasks[k].tower, true, in, t);
    z = t[0];
    mem_free(t);
    return z;
}

static struct experts no_experts(const struct ref *r)
{
    const struct sizes_cfg *s = &r->m->cfg.experts.layers;
    size_t width = s->v[s->n - 1];
    return (struct experts){0, width, take(r->m->net.n_experts * width)};
}

static void mmoe(const struct ref *r, bool one_gate, double *z)
{
    struct experts e = no_experts(r);
    double *mix = take(e.width);
    add_experts(r, 0, "shared", r->m->cfg.expert_count, r->x, &e);
    for (size_t k = 0; k < r->m->n_tasks; k++) {
        const struct model_task *t = &r->m->tasks[k];
        mixture(r, 0, one_gate ? "shared" : t->name,
                one_gate ? &r->m->cfg.gates : &t->gate, r->x, &e, mix);
        z[k] = tower(r, k, mix);
    }
    mem_free(mix);
    mem_free(e.f);
}

/* PLE: path[k] is g_k of the level before, path[K] its shared output. */
static void ple_level(const struct ref *r, size_t level, bool last,
                      const double *const *in, double *const *out)
{
    const struct model *m = r->m;
    size_t K = m->n_tasks;
    for (size_t k = 0; k < K; k++) {
        struct experts e = no_experts(r);
        add_experts(r, level, m->tasks[k].name, m->tasks[k].own, in[k], &e);
        add_experts(r, level, "shared", m->cfg.expert_shared, in[K], &e);
        mixture(r, level, m->tasks[k].name, &m->tasks[k].gate, in[k], &e, out[k]);
        mem_free(e.f);
    }
    if (last || m->cfg.expert_shared == 0) return;
    struct experts all = no_experts(r);
    for (size_t k = 0; k < K; k++)
        add_experts(r, level, m->tasks[k].name, m->tasks[k].own, in[k], &all);
    add_experts(r, level, "shared", m->cfg.expert_shared, in[K], &all);
    mixture(r, level, "shared", &m->cfg.gates, in[K], &all, out[K]);
    mem_free(all.f);
}

static void ple(const struct ref *r, size_t n_levels, double *z)
{
    size_t K = r->m->n_tasks;
    const double **in = mem_array(K + 1, sizeof *in);
    double **out = mem_array(K + 1, sizeof *out);
    double *memory = take(2 * (K + 1) * r->width);
    if (in == NULL || out == NULL) abort();
    for (size_t k = 0; k <= K; k++) in[k] = r->x;
    for (size_t i = 0; i < n_levels; i++) {
        for (size_t k = 0; k <= K; k++)
            out[k] = memory + ((i % 2) * (K + 1) + k) * r->width;
        ple_level(r, i, i + 1 == n_levels, in, out);
        for (size_t k = 0; k <= K; k++) in[k] = out[k];
    }
    for (size_t k = 0; k < K; k++) z[k] = tower(r, k, in[k]);
    mem_free(memory);
    mem_free(out);
    mem_free(in);
}

static void share_bottom(const struct ref *r, double *z)
{
    double *s = take(r->width);
    bool none = r->m->cfg.bottom.layers.n == 0;
    if (!none) stack(r, "bottom", &r->m->cfg.bottom, false, r->x, s);
    for (size_t k = 0; k < r->m->n_tasks; k++) z[k] = tower(r, k, none ? r->x : s);
    mem_free(s);
}

static void separate(const struct ref *r, const char *prefix, const struct mlp_cfg *mlp,
                     double *z)
{
    char name[NAME];
    double *t = take(r->width);
    for (size_t k = 0; k < r->m->n_tasks; k++) {
        print_name(name, "%s/%s", prefix, r->m->tasks[k].name);
        stack(r, name, mlp, true, r->x, t);
        z[k] = t[0];
    }
    mem_free(t);
}

/* The vectors of all tasks on one side. */
static void side(const struct ref *r, const char *name, size_t part,
                 const struct mlp_cfg *mlp, double *vectors)
{
    char unit[NAME];
    struct mlp_cfg hidden = *mlp, none = {0};
    size_t width = hidden.layers.v[--hidden.layers.n];
    const double *x = part_of_x(r, part);
    double *h = take(r->width), *v = take(r->width);
    if (hidden.layers.n > 0) stack(r, name, &hidden, false, x, h);
    for (size_t k = 0; k < r->m->n_tasks; k++) {
        print_name(unit, "%s/%s", name, r->m->tasks[k].name);
        stack(r, unit, &none, true, hidden.layers.n > 0 ? h : x, v);
        memcpy(vectors + k * width, v, width * sizeof *v);
    }
    mem_free(v);
    mem_free(h);
}

static void two_tower(const struct ref *r, double *z)
{
    size_t n = r->m->n_tasks * model_vector_width(r->m);
    double *user = take(n), *item = take(n);
    const struct net_op *op = &r->m->net.ops[r->m->net.match];
    side(r, "user", SIDE_USER, &r->m->cfg.user.mlp, user);
    side(r, "item", SIDE_ITEM, &r->m->cfg.item.mlp, item);
    op->kind->reference(r->m, op, r->params, (const double *const[]){user, item}, &z);
    mem_free(user);
    mem_free(item);
}

/* out[j] += element j of the vector of input f: a row of its table, or numbers and
 * levels times their vectors. */
static void field_vector(const struct ref *r, size_t f, double *out)
{
    char name[NAME];
    const struct model_input *in = &r->m->inputs[f];
    const double *x = r->x0 + r->m->x_offset[f];
    print_name(name, "vector/%s", in->name);
    if (in->kind != INPUT_ID)
        multiply(r, find(r, name), x, out);
    else
        for (size_t j = 0; j < in->width; j++) out[j] += x[j];
}

/* z_k += sum over pairs of fields a < b of sum_j h_kj v_aj v_bj: the definition, pair by
 * pair. h of one task is 1. */
static void pairs(const struct ref *r, double *z)
{
    char name[NAME];
    const struct model *m = r->m;
    size_t d = m->vector;
    double *v = take(m->n_inputs * d);
    for (size_t f = 0; f < m->n_inputs; f++)
        if (!m->inputs[f].direct) field_vector(r, f, v + f * d);
    for (size_t k = 0; k < m->n_tasks; k++) {
        print_name(name, "fm/%s/w", m->tasks[k].name);
        const struct model_tensor *h = m->n_tasks > 1 ? find(r, name) : NULL;
        for (size_t a = 0; a < m->n_inputs; a++)
            for (size_t b = a + 1; b < m->n_inputs; b++)
                for (size_t j = 0; j < d; j++)
                    z[k] += (h ? (double)r->params[h->offset + j * h->stride] : 1) *
                            v[a * d + j] * v[b * d + j];
    }
    mem_free(v);
}

static void fm(const struct ref *r, double *z)
{
    char name[NAME];
    for (size_t k = 0; k < r->m->n_tasks; k++) {
        print_name(name, "fm/%s/b", r->m->tasks[k].name);
        z[k] = (double)r->params[find(r, name)->offset];
    }
    pairs(r, z);
}

/* The op of that kind. */
static const struct net_op *op_of(const struct model *m, const struct op_kind *kind)
{
    size_t i = 0;
    while (m->net.ops[i].kind != kind) i++;
    return &m->net.ops[i];
}

static void esmm(const struct ref *r, double *z)
{
    double *a = take(r->m->n_tasks);
    share_bottom(r, a);
    op_joint.reference(r->m, op_of(r->m, &op_joint), r->params,
                       (const double *const[]){a}, &z);
    mem_free(a);
}

/* Hidden layers of the towers, the transfer, linear heads. */
static void aitm(const struct ref *r, double *z)
{
    const struct mlp_cfg linear = {0};
    const struct model *m = r->m;
    char name[NAME];
    size_t K = m->n_tasks;
    double *s = take(r->width), *memory = take(2 * K * r->width), *t = take(r->width);
    const double **g = mem_array(K, sizeof *g);
    double **told = mem_array(K, sizeof *told);
    if (g == NULL || told == NULL) abort();
    bool none = m->cfg.bottom.layers.n == 0;
    if (!none) stack(r, "bottom", &m->cfg.bottom, false, r->x, s);
    for (size_t k = 0; k < K; k++) {
        double *to = memory + k * r->width;
        print_name(name, "tower/%s", m->tasks[k].name);
        stack(r, name, &m->tasks[k].tower, false, none ? r->x : s, to);
        g[k] = to;
        told[k] = memory + (K + k) * r->width;
    }
    op_transfer.reference(m, op_of(m, &op_transfer), r->params, g, told);
    for (size_t k = 0; k < K; k++) {
        print_name(name, "head/%s", m->tasks[k].name);
        stack(r, name, &linear, true, told[k], t);
        z[k] = t[0];
    }
    mem_free(told);
    mem_free(g);
    mem_free(t);
    mem_free(memory);
    mem_free(s);
}

static void forward_row(const struct ref *r, double *z)
{
    const struct mlp_cfg none = {0};
    switch (r->m->cfg.type) {
    case MODEL_LR:
        separate(r, "lr", &none, z);
        break;
    case MODEL_FM:
        fm(r, z);
        break;
    case MODEL_DNN:
    case MODEL_WIDE_DEEP:
        separate(r, "dnn", &r->m->cfg.bottom, z);
        break;
    case MODEL_DEEPFM:
        separate(r, "dnn", &r->m->cfg.bottom, z);
        pairs(r, z);
        break;
    case MODEL_SHARE_BOTTOM:
        share_bottom(r, z);
        break;
    case MODEL_OMOE:
        mmoe(r, true, z);
        break;
    case MODEL_MMOE:
        mmoe(r, false, z);
        break;
    case MODEL_CGC:
        ple(r, 1, z);
        break;
    case MODEL_PLE:
        ple(r, r->m->cfg.expert_levels, z);
        break;
    case MODEL_TWO_TOWER:
        two_tower(r, z);
        break;
    case MODEL_ESMM:
        esmm(r, z);
        break;
    case MODEL_AITM:
        aitm(r, z);
        break;
    }
}

/* ---- inputs ---- */

/* out[i] += pooled row of example r, in double. */
static void add_pooled(const struct model_input *in, const struct batch *b,
                       const struct model_rows *rows, size_t r, double *out)
{
    const struct batch_id *f = &b->ids[in->place];
    size_t first = f->off != NULL ? f->off[r] : r,
           end = f->off != NULL ? f->off[r + 1] : r + 1;
    double n = (double)(end - first);
    double scale = in->pool == POOL_SUM ? 1 : in->pool == POOL_MEAN ? 1 / n : 1 / sqrt(n);
    for (size_t o = first; o < end; o++) {
        size_t u = f->row[f->idx[o]];
        if (rows->place != NULL && rows->place[in->table] != NULL)
            u = rows->place[in->table][u];
        for (size_t j = 0; j < in->width; j++)
            out[j] += scale * (double)rows->rows[in->table][u * in->width + j];
    }
}

/* z_k += w_k . x of a direct input, in double. */
static void add_direct(const struct ref *ref, const struct model_input *in,
                       const struct batch *b, const struct model_rows *rows, size_t r,
                       double *z)
{
    char name[NAME];
    const char *feature = strncmp(in->name, "wide/", 5) == 0 ? in->name + 5 : in->name;
    if (in->kind == INPUT_ID) add_pooled(in, b, rows, r, z);
    for (size_t k = 0; k < ref->m->n_tasks && in->kind != INPUT_ID; k++) {
        print_name(name, "wide/%s/w/%s", ref->m->tasks[k].name, feature);
        const struct model_tensor *t = find(ref, name);
        for (size_t j = 0; j < in->width; j++) {
            double x = in->kind == INPUT_ONE_HOT
                           ? b->one_hot[in->place][r] == j
                           : (double)b->dense[r * b->n_dense + in->place + j];
            z[k] += x * (double)ref->params[t->offset + j * t->stride];
        }
    }
}

/* Row of occurrence o of an id input. */
static const float *row_of(const struct model_input *in, const struct batch *b,
                           const struct model_rows *rows, size_t o)
{
    size_t u = b->ids[in->place].row[b->ids[in->place].idx[o]];
    if (rows->place != NULL && rows->place[in->table] != NULL)
        u = rows->place[in->table][u];
    return rows->rows[in->table] + u * in->width;
}

/* out = sum_j MLP([e_j, q, e_j - q, e_j q]) e_j */
static void attention(const struct ref *ref, const struct attention *a,
                      const struct batch *b, const struct model_rows *rows, size_t r,
                      double *out)
{
    char name[NAME];
    size_t dim = a->list.width, widths[MOST_LAYERS];
    const uint32_t *off = b->ids[a->list.place].off;
    if (a->n_layers > MOST_LAYERS) abort();
    struct mlp_cfg mlp = {.layers = {widths, a->n_layers - 1},
                          .activation = a->activation};
    for (size_t i = 0; i + 1 < a->n_layers; i++) widths[i] = a->layers[i].out;
    print_name(name, "attention/%s", a->name);
    const float *q = row_of(&a->target, b, rows, r);
    double *x = take(4 * dim), *weight = take(ref->width);
    for (size_t o = off ? off[r] : r; o < (off ? off[r + 1] : r + 1); o++) {
        const float *e = row_of(&a->list, b, rows, o);
        for (size_t k = 0; k < dim; k++) {
            x[k] = (double)e[k];
            x[dim + k] = (double)q[k];
            x[2 * dim + k] = (double)e[k] - (double)q[k];
            x[3 * dim + k] = (double)e[k] * (double)q[k];
        }
        stack(ref, name, &mlp, true, x, weight);
        for (size_t k = 0; k < dim; k++) out[k] += weight[0] * (double)e[k];
    }
    mem_free(weight);
    mem_free(x);
}

static const struct attention *attention_of(const struct model *m,
                                            const struct model_input *in)
{
    for (size_t i = 0; i < m->n_attention; i++)
        if (in->kind == INPUT_ID && in->table == m->n_tables + i) return &m->attention[i];
    return NULL;
}

static void input_row(const struct ref *ref, const struct batch *b,
                      const struct model_rows *rows, size_t r, double *x)
{
    const struct model *m = ref->m;
    memset(x, 0, m->n_x * sizeof *x);
    for (size_t i = 0; i < m->n_inputs; i++) {
        const struct model_input *in = &m->inputs[i];
        if (in->direct) continue;
        double *at = x + (m->part[i] > 0 ? m->x_width[0] : 0) + m->x_offset[i];
        const struct attention *a = attention_of(m, in);
        if (a != NULL) attention(ref, a, b, rows, r, at);
        if (in->kind == INPUT_ID && a == NULL) add_pooled(in, b, rows, r, at);
        if (in->kind == INPUT_ONE_HOT && b->one_hot[in->place][r] != ONE_HOT_NONE)
            at[b->one_hot[in->place][r]] = 1;
        for (size_t j = 0; j < in->width && in->kind == INPUT_DENSE; j++)
            at[j] = (double)b->dense[r * b->n_dense + in->place + j];
    }
}

/* x, equal to x0, after the cross layers: those of each part follow one another. */
static void cross_row(const struct model *m, const float *params, const double *x0,
                      double *x)
{
    double *y = take(m->n_x + 1);
    for (size_t i = 0, l = 0; i < m->net.n_ops; i++) {
        const struct net_op *op = &m->net.ops[i];
        if (op->kind != &op_cross) continue;
        size_t part = l++ / m->cfg.cross_layers, at = part > 0 ? m->x_width[0] : 0;
        op->kind->reference(m, op, params, (const double *const[]){x + at, x0 + at}, &y);
        memcpy(x + at, y, m->x_width[part] * sizeof *x);
    }
    mem_free(y);
}

void reference_logits(const struct model *m, const float *params, const struct batch *b,
                      const struct model_rows *rows, bool training, double *logits)
{
    double *x = take(m->n_x + 1), *x0 = take(m->n_x + 1), *z = take(m->n_tasks);
    size_t last = 0;
    uint64_t key;
    struct ref ref = {m, params, x, x0, 1, &last, training && m->net.dropout ? &key : NULL};
    for (size_t i = 0; i < m->net.n_layers; i++)
        if (m->net.layers[i].out > ref.width) ref.width = m->net.layers[i].out;
    for (size_t i = 0; i < m->n_attention; i++)
        for (size_t j = 0; j < m->attention[i].n_layers; j++)
            if (m->attention[i].layers[j].out > ref.width)
                ref.width = m->attention[i].layers[j].out;
    for (size_t r = 0; r < b->n_rows; r++) {
        input_row(&ref, b, rows, r, x);
        if (ref.key != NULL) dropout_keys(m->seed, b->step, 1, b->row + r, &key);
        memcpy(x0, x, m->n_x * sizeof *x);
        cross_row(m, params, x0, x);
        forward_row(&ref, z);
        for (size_t i = 0; i < m->n_inputs; i++)
            if (m->inputs[i].direct) add_direct(&ref, &m->inputs[i], b, rows, r, z);
        for (size_t k = 0; k < m->n_tasks; k++) logits[r * m->n_tasks + k] = z[k];
    }
    mem_free(z);
    mem_free(x0);
    mem_free(x);
}

void model_forward_reference(const struct model *m, const float *params,
                             const struct batch *b, const struct model_rows *rows,
                             float *logits)
{
    size_t n = b->n_rows * m->n_tasks;
    double *z = take(n);
    reference_logits(m, params, b, rows, false, z);
    for (size_t i = 0; i < n; i++) logits[i] = (float)z[i];
    mem_free(z);
}
