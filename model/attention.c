#include "model/attention.h"

#include <string.h>

#include "common/math/vec.h"
#include "model/gather.h"

enum { PIECE = 128 /* occurrences that go through the MLP together */ };

/* ---- the plan ---- */

static bool takes_part(const struct model *m, const struct model_attention *a)
{
    return !m->inputs[a->input].direct;
}

static enum status make(struct model *m, const struct model_attention *spec,
                        struct attention *a, struct error *err)
{
    struct model_input *in = &m->inputs[spec->input];
    const struct model_input *target = &m->inputs[spec->target];
    *a = (struct attention){.name = in->name,
                            .list = *in,
                            .target = *target,
                            .activation = spec->activation,
                            .n_layers = spec->layers.n + 1};
    a->layers = arena_take(m->arena, a->n_layers, sizeof *a->layers);
    if (a->layers == NULL) return mem_error(err, "attention", 0);
    size_t width = 4 * in->width;
    for (size_t i = 0; i < a->n_layers; i++) {
        size_t out = i + 1 < a->n_layers ? spec->layers.v[i] : 1;
        a->layers[i] = (struct net_layer){.in = width, .out = out};
        width = out;
    }
    in->place = m->n_ids + m->n_attention;
    in->table = m->n_tables + m->n_attention;
    in->pool = POOL_SUM;
    in->project = false;
    m->table_dim[in->table] = in->width;
    m->n_attention++;
    return ST_OK;
}

enum status attention_inputs(struct model *m, const struct model_spec *s,
                             struct error *err)
{
    if (s->n_attention == 0) return ST_OK;
    m->attention = arena_take(m->arena, s->n_attention, sizeof *m->attention);
    if (m->attention == NULL) return mem_error(err, "attention", 0);
    for (size_t i = 0; i < s->n_attention; i++)
        if (takes_part(m, &s->attention[i]))
            TRY(make(m, &s->attention[i], &m->attention[m->n_attention], err));
    return ST_OK;
}

void attention_plan(struct plan *p)
{
    for (size_t i = 0; i < p->m->n_attention; i++)
        for (size_t j = 0; j < p->m->attention[i].n_layers; j++) {
            struct net_layer *l = &p->m->attention[i].layers[j];
            l->ldw = l->out == 1 ? 1 : net_round(l->out, NET_PAD);
            l->w = plan_params(p, l->in * l->ldw);
            l->b = plan_params(p, l->out);
        }
}

/* The last bias starts at 1: with small weights a fresh model pools by sum, which its
 * gradients need, and not by next to nothing. */
enum status attention_tensors(struct model *m, struct error *err)
{
    for (size_t i = 0; i < m->n_attention; i++) {
        const struct attention *a = &m->attention[i];
        for (size_t j = 0; j < a->n_layers; j++) {
            const struct net_layer *l = &a->layers[j];
            bool last = j + 1 == a->n_layers;
            struct model_tensor w = {.offset = l->w,
                                     .rows = l->in,
                                     .cols = l->out,
                                     .stride = l->ldw,
                                     .init = TENSOR_GLOROT,
                                     .fan_in = l->in,
                                     .fan_out = l->out,
                                     .decay = true};
            struct model_tensor b = {.offset = l->b,
                                     .rows = 1,
                                     .cols = l->out,
                                     .stride = l->out,
                                     .init = last ? TENSOR_CONSTANT : TENSOR_ZERO,
                                     .constant = 1};
            TRY(tensors_add(m,
                            arena_printf(m->arena, "attention/%s/layer%zu/w", a->name, j),
                            w, err));
            TRY(tensors_add(m,
                            arena_printf(m->arena, "attention/%s/layer%zu/b", a->name, j),
                            b, err));
        }
    }
    return ST_OK;
}

void attention_print(FILE *f, const struct attention *a)
{
    fprintf(f, "attention %s to %s [%zu", a->name, a->target.name, a->layers[0].in);
    for (size_t j = 0; j < a->n_layers; j++) fprintf(f, " %zu", a->layers[j].out);
    fputs("]\n", f);
}

/* ---- memory ---- */

/* An occurrence of a list: its row and the target's, and where their gradients are. */
struct occurrence {
    size_t example;
    const float *e, *q;
    size_t e_row, q_row;
};

/* Activations of a layer for a piece. */
struct activations {
    float *y, *dy, *pre; /* [PIECE, ld] */
    size_t ld;
};

struct attention_work {
    struct attention_view view;
    struct batch_id *ids;   /* [n_ids + n_attention] */
    const float **rows;     /* [n_tables + n_attention] */
    const uint32_t **place; /* the same */
    const float *const **at; /* the same */
    float **row_grad;       /* the same */
    const uint32_t **one_hot;
    uint32_t *identity;            /* [max_rows] 0, 1, 2, ... */
    float **pooled, **grad;        /* [n_attention] -> [max_rows, dim] */
    struct activations x, *layers; /* x: the MLP's input; layers: of the longest MLP */
    struct occurrence piece[PIECE];
    size_t n_layers, max_rows;
    struct arena *arena;
};

static size_t widest(const struct model *m, size_t layer)
{
    size_t n = 1;
    for (size_t i = 0; i < m->n_attention; i++) {
        const struct attention *a = &m->attention[i];
        if (layer < a->n_layers && a->layers[layer].out > n) n = a->layers[layer].out;
    }
    return n;
}

static bool take_activations(struct attention_work *w, size_t width,
                             struct activations *out)
{
    out->ld = net_round(width, NET_PAD);
    out->y = arena_take(w->arena, PIECE * out->ld, sizeof *out->y);
    out->dy = arena_take(w->arena, PIECE * out->ld, sizeof *out->dy);
    out->pre = arena_take(w->arena, PIECE * out->ld, sizeof *out->pre);
    return out->y && out->dy && out->pre;
}

static bool take_layers(const struct model *m, struct attention_work *w)
{
    size_t dim = 1;
    for (size_t i = 0; i < m->n_attention; i++) {
        if (m->attention[i].n_layers > w->n_layers)
            w->n_layers = m->attention[i].n_layers;
        if (m->attention[i].list.width > dim) dim = m->attention[i].list.width;
    }
    w->layers = arena_take(w->arena, w->n_layers, sizeof *w->layers);
    bool ok = w->layers != NULL && take_activations(w, 4 * dim, &w->x);
    for (size_t j = 0; ok && j < w->n_layers; j++)
        ok = take_activations(w, widest(m, j), &w->layers[j]);
    return ok;
}

static bool take_all(const struct model *m, struct attention_work *w)
{
    struct arena *a = w->arena;
    size_t n_tables = m->n_tables + m->n_attention, n = m->n_attention;
    w->ids = arena_take(a, m->n_ids + n, sizeof *w->ids);
    w->rows = arena_take(a, n_tables, sizeof *w->rows);
    w->place = arena_take(a, n_tables, sizeof *w->place);
    w->at = arena_take(a, n_tables, sizeof *w->at);
    w->row_grad = arena_take(a, n_tables, sizeof *w->row_grad);
    w->one_hot = arena_take(a, m->n_one_hot + 1, sizeof *w->one_hot);
    w->identity = arena_take(a, w->max_rows + 1, sizeof *w->identity);
    w->pooled = arena_take(a, n, sizeof *w->pooled);
    w->grad = arena_take(a, n, sizeof *w->grad);
    if (!w->ids || !w->rows || !w->place || !w->at || !w->row_grad || !w->one_hot || !w->identity ||
        !w->pooled || !w->grad || !take_layers(m, w))
        return false;
    for (size_t i = 0; i < w->max_rows; i++) w->identity[i] = (uint32_t)i;
    for (size_t i = 0; i < n; i++) {
        size_t floats = w->max_rows * m->attention[i].list.width + 1;
        w->pooled[i] = arena_take(a, floats, sizeof *w->pooled[i]);
        w->grad[i] = arena_take(a, floats, sizeof *w->grad[i]);
        if (!w->pooled[i] || !w->grad[i]) return false;
    }
    return true;
}

enum status attention_work_create(const struct model *m, size_t max_rows,
                                  struct attention_work **out, struct error *err)
{
    *out = NULL;
    if (m->n_attention == 0) return ST_OK;
    struct attention_work *w = mem_zeroed(1, sizeof *w);
    if (w == NULL) return mem_error(err, "attention", sizeof *w);
    w->max_rows = max_rows;
    enum status st = arena_create(&w->arena, err);
    if (st == ST_OK && !take_all(m, w)) st = mem_error(err, "attention", max_rows);
    if (st != ST_OK) {
        attention_work_destroy(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void attention_work_destroy(struct attention_work *w)
{
    if (w == NULL) return;
    if (w->arena != NULL) arena_destroy(w->arena);
    mem_free(w);
}

/* ---- the view ---- */

static void view_batch(const struct model *m, const struct batch *b, size_t first,
                       size_t n, struct attention_work *w)
{
    struct batch *v = &w->view.batch;
    *v = *b;
    v->n_rows = n;
    v->ids = w->ids;
    v->one_hot = w->one_hot;
    if (v->dense != NULL) v->dense += first * b->n_dense;
    for (size_t i = 0; i < m->n_one_hot; i++) w->one_hot[i] = b->one_hot[i] + first;
    for (size_t i = 0; i < m->n_ids; i++) {
        w->ids[i] = b->ids[i];
        if (b->ids[i].off != NULL)
            w->ids[i].off += first;
        else
            w->ids[i].idx += first;
    }
    for (size_t i = 0; i < m->n_attention; i++)
        w->ids[m->n_ids + i] = (struct batch_id){
            .n_distinct = n, .row = w->identity, .n = n, .idx = w->identity};
}

static void view_rows(const struct model *m, const struct model_rows *rows,
                      float *const *row_grad, size_t n, struct attention_work *w)
{
    for (size_t t = 0; t < m->n_tables; t++) {
        w->rows[t] = rows->rows[t];
        w->place[t] = rows->place != NULL ? rows->place[t] : NULL;
        w->at[t] = rows->at != NULL ? rows->at[t] : NULL;
        w->row_grad[t] = row_grad != NULL ? row_grad[t] : NULL;
    }
    for (size_t i = 0; i < m->n_attention; i++) {
        size_t bytes = n * m->attention[i].list.width * sizeof(float);
        w->rows[m->n_tables + i] = w->pooled[i];
        w->row_grad[m->n_tables + i] = w->grad[i];
        memset(w->pooled[i], 0, bytes);
        memset(w->grad[i], 0, bytes);
    }
    w->view.rows = (struct model_rows){w->rows, w->place, w->at};
    w->view.row_grad = w->row_grad;
}

/* ---- pieces ---- */

struct cursor {
    size_t example, end; /* examples [example, end) are left ... */
    size_t at;           /* ... of the first one, from this occurrence on */
};

/* The next occurrences, PIECE at most, with their inputs [e, q, e - q, e q] in w->x. */
static size_t next_piece(const struct attention *a, const struct batch *b,
                         const struct model_rows *rows, struct cursor *c,
                         struct attention_work *w)
{
    const struct batch_id *list = &b->ids[a->list.place], *of = &b->ids[a->target.place];
    size_t n = 0, dim = a->list.width;
    for (; c->example < c->end; c->at = gather_first(list, ++c->example)) {
        size_t q_row = of->row[of->idx[c->example]];
        const float *q = gather_row(rows, a->target.table, q_row, dim);
        for (; c->at < gather_first(list, c->example + 1); c->at++) {
            if (n == PIECE) return n;
            size_t e_row = list->row[list->idx[c->at]];
            const float *e = gather_row(rows, a->list.table, e_row, dim);
            float *x = w->x.y + n * w->x.ld;
            for (size_t k = 0; k < dim; k++) {
                x[k] = e[k];
                x[dim + k] = q[k];
                x[2 * dim + k] = e[k] - q[k];
                x[3 * dim + k] = e[k] * q[k];
            }
            w->piece[n++] = (struct occurrence){c->example, e, q, e_row, q_row};
        }
    }
    return n;
}

/* Weights a_j of a piece; they stand in the last layer's activations. */
static const struct activations *score(const struct attention *a, const float *params,
                                       enum product kind, size_t n,
                                       struct attention_work *w)
{
    const struct activations *x = &w->x;
    for (size_t j = 0; j < a->n_layers; j++) {
        const struct net_layer *l = &a->layers[j];
        struct activations *y = &w->layers[j];
        layers_product(kind, n, l->in, l->out, x->y, x->ld, params + l->w, l->ldw,
                       params + l->b, y->y, y->ld);
        if (j + 1 < a->n_layers)
            layers_activate(a->activation, n, l->out, y->y, y->pre, y->ld);
        x = y;
    }
    return x;
}

const struct attention_view *attention_forward(const struct model *m, const float *params,
                                               enum product kind, const struct batch *b,
                                               const struct model_rows *rows,
                                               float *const *row_grad, size_t first,
                                               size_t n, struct attention_work *w)
{
    view_batch(m, b, first, n, w);
    view_rows(m, rows, row_grad, n, w);
    for (size_t i = 0; i < m->n_attention; i++) {
        const struct attention *a = &m->attention[i];
        size_t dim = a->list.width, some;
        struct cursor c = {0, n, gather_first(&w->ids[a->list.place], 0)};
        while ((some = next_piece(a, &w->view.batch, rows, &c, w)) > 0) {
            const struct activations *s = score(a, params, kind, some, w);
            for (size_t o = 0; o < some; o++)
                vec_axpy(dim, s->y[o * s->ld], w->piece[o].e,
                         w->pooled[i] + w->piece[o].example * dim);
        }
    }
    return &w->view;
}

/* From the gradients of the piece's weights, in the last layer's dy, to those of
 * parameters and of w->x. */
static void score_backward(const struct attention *a, const float *params, size_t n,
                           struct attention_work *w, float *grad)
{
    for (size_t j = a->n_layers; j-- > 0;) {
        const struct net_layer *l = &a->layers[j];
        const struct activations *x = j > 0 ? &w->layers[j - 1] : &w->x;
        struct activations *y = &w->layers[j];
        if (j + 1 < a->n_layers)
            layers_activate_backward(a->activation, n, l->out, y->y, y->pre, y->dy,
                                     y->ld);
        layers_product_backward(false, n, l->in, l->out, x->y, x->ld, params + l->w,
                                l->ldw, y->dy, y->ld, x->dy, x->ld, grad + l->w,
                                grad + l->b);
    }
}

/* de = a d + dx_e + dx_(e-q) + dx_(eq) q; dq = dx_q - dx_(e-q) + dx_(eq) e, d the pooled
 * vector's gradient. */
static void scatter(size_t dim, const struct occurrence *o, float weight, const float *d,
                    const float *dx, float *de, float *dq)
{
    for (size_t k = 0; k < dim; k++) {
        float by_difference = dx[2 * dim + k], by_product = dx[3 * dim + k];
        de[k] += weight * d[k] + dx[k] + by_difference + by_product * o->q[k];
        dq[k] += dx[dim + k] - by_difference + by_product * o->e[k];
    }
}

static void one_backward(const struct model *m, size_t number, const float *params,
                         const struct batch *b, const struct model_rows *rows,
                         struct attention_work *w, float *grad, float *const *row_grad)
{
    const struct attention *a = &m->attention[number];
    size_t dim = a->list.width, n;
    struct activations *last = &w->layers[a->n_layers - 1];
    struct cursor c = {0, b->n_rows, gather_first(&b->ids[a->list.place], 0)};
    while ((n = next_piece(a, b, rows, &c, w)) > 0) {
        score(a, params, PRODUCT_BLAS, n, w);
        for (size_t o = 0; o < n; o++)
            last->dy[o * last->ld] =
                vec_dot(dim, w->grad[number] + w->piece[o].example * dim, w->piece[o].e);
        score_backward(a, params, n, w, grad);
        for (size_t o = 0; o < n; o++) {
            const struct occurrence *p = &w->piece[o];
            scatter(dim, p, last->y[o * last->ld], w->grad[number] + p->example * dim,
                    w->x.dy + o * w->x.ld, row_grad[a->list.table] + p->e_row * dim,
                    row_grad[a->target.table] + p->q_row * dim);
        }
    }
}

void attention_backward(const struct model *m, const float *params, const struct batch *b,
                        const struct model_rows *rows, struct attention_work *w,
                        float *grad, float *const *row_grad)
{
    for (size_t i = 0; i < m->n_attention; i++)
        one_backward(m, i, params, b, rows, w, grad, row_grad);
}
