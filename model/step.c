/* One lane's step: layer 1, the levels in chunks of rows there and back, losses,
 * layer 1 back. */
#include "model/step.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "common/math/fmath.h"
#include "common/math/vec.h"
#include "model/attention.h"
#include "model/balance.h"
#include "model/gather.h"
#include "model/loss.h"
#include "model/surgery.h"

struct model_work {
    const struct model *m;
    struct layer1_work *layer1;
    struct attention_work *attention; /* NULL: none */
    struct level_chunk *chunk;
    float *y, *dy;            /* [max_rows, N] */
    uint64_t *keys;           /* [rows of a chunk] of dropout */
    size_t max_rows;
    double *weight; /* [K] of dwa */
    double *factor; /* [K] of the step: what multiplies a task's gradient */
    struct surgery *surgery; /* NULL: balance does without */
    struct model_times times;
};

/* ---- a lane's memory ---- */

/* The chunk, and what balances in it. */
static enum status make_chunk(const struct model *m, struct model_work *w,
                              struct error *err)
{
    enum balance_kind kind = m->cfg.balance.kind;
    bool surgery = (kind == BALANCE_PCGRAD || kind == BALANCE_MGDA) && m->n_tasks > 1;
    size_t rows = surgery && w->max_rows > NET_CHUNK ? w->max_rows : NET_CHUNK;
    w->weight = mem_zeroed(m->n_tasks, sizeof *w->weight);
    w->factor = mem_zeroed(m->n_tasks, sizeof *w->factor);
    w->keys = mem_zeroed(rows, sizeof *w->keys);
    if (!w->weight || !w->factor || !w->keys) return mem_error(err, "lane", rows);
    for (size_t k = 0; k < m->n_tasks; k++) w->weight[k] = 1;
    TRY(level_chunk_create(&m->net, true, rows, &w->chunk, err));
    if (!surgery) return ST_OK;
    TRY(surgery_create(&m->net, m->n_tasks, kind, rows, &w->surgery, err));
    w->chunk->surgery = w->surgery;
    return ST_OK;
}

enum status model_work_create(const struct model *m, const struct model_caps *caps,
                              struct model_work **out, struct error *err)
{
    *out = NULL;
    struct model_work *w = mem_zeroed(1, sizeof *w);
    if (w == NULL) return mem_error(err, "lane", sizeof *w);
    size_t n = caps->max_rows * m->net.buffers[NET_Y].width;
    w->m = m;
    w->max_rows = caps->max_rows;
    w->y = mem_zeroed(n, sizeof *w->y);
    w->dy = mem_zeroed(n, sizeof *w->dy);
    enum status st = w->y && w->dy ? ST_OK : mem_error(err, "lane", n * sizeof *w->y);
    if (st == ST_OK) st = make_chunk(m, w, err);
    if (st == ST_OK && m->layer1 != NULL)
        st = layer1_work_create(m->layer1, caps, &w->layer1, err);
    if (st == ST_OK) st = attention_work_create(m, caps->max_rows, &w->attention, err);
    if (st != ST_OK) {
        model_work_destroy(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void model_work_destroy(struct model_work *w)
{
    if (w == NULL) return;
    if (w->layer1 != NULL) layer1_work_destroy(w->layer1);
    attention_work_destroy(w->attention);
    level_chunk_destroy(w->chunk, &w->m->net);
    surgery_destroy(w->surgery);
    mem_free(w->weight);
    mem_free(w->factor);
    mem_free(w->keys);
    mem_free(w->y);
    mem_free(w->dy);
    mem_free(w);
}

void model_work_times(const struct model_work *w, struct model_times *out)
{
    *out = w->times;
}

void model_work_weigh(struct model_work *w, const double *weight)
{
    memcpy(w->weight, weight, w->m->n_tasks * sizeof *weight);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Adds the time since *from to *sum and starts again. */
static void lap(double *sum, double *from)
{
    double now = seconds();
    *sum += now - *from;
    *from = now;
}

/* ---- a step ---- */

static void input_forward(const struct model *m, const float *params,
                          const struct batch *b, const struct model_rows *rows,
                          struct model_work *w)
{
    if (m->net.x_block == NET_NONE) return;
    const struct net_block *x = &m->net.blocks[m->net.x_block];
    size_t ld = m->net.buffers[NET_Y].width;
    if (m->layer1 != NULL) {
        layer1_forward(m->layer1, params + x->w, x->n, params + x->b, b, rows, w->layer1,
                       w->y, ld);
    } else {
        for (size_t r = 0; r < b->n_rows; r++)
            memcpy(w->y + r * ld, params + x->b, ld * sizeof(float));
    }
}

static void zero_row_grad(const struct model *m, const struct batch *b,
                          float *const *row_grad)
{
    for (size_t t = 0; t < m->n_tables; t++)
        memset(row_grad[t], 0, b->tables[t].n * m->table_dim[t] * sizeof(float));
}

static void input_backward(const struct model *m, const float *params,
                           const struct batch *b, const struct model_rows *rows,
                           struct model_work *w, float *grad, float *const *row_grad)
{
    if (m->net.x_block == NET_NONE) return;
    const struct net_block *x = &m->net.blocks[m->net.x_block];
    size_t ld = m->net.buffers[NET_Y].width;
    if (m->layer1 != NULL) {
        layer1_backward(m->layer1, params + x->w, x->n, b, rows, w->layer1, w->dy, ld,
                        grad + x->w, grad + x->b, row_grad);
    } else {
        for (size_t r = 0; r < b->n_rows; r++) vec_add(ld, w->dy + r * ld, grad + x->b);
    }
}

static struct loss_rows task_rows(const struct model *m, const struct batch *b,
                                  size_t first, const struct level_chunk *c, size_t k)
{
    const struct net_head *h = &m->net.heads[k];
    size_t at = first * m->n_tasks + k;
    return (struct loss_rows){.n = c->n,
                              .z = c->act[h->buf] + h->col,
                              .ldz = m->net.buffers[h->buf].width,
                              .label = b->labels + at,
                              .weight = b->weights + at,
                              .duration = b->durations ? b->durations + at : NULL,
                              .ld = m->n_tasks};
}

static float *task_grad(const struct model *m, const struct level_chunk *c, size_t k)
{
    return c->grad[m->net.heads[k].buf] + m->net.heads[k].col;
}

/* A step of aitm is not more likely than the one before. */
static void chunk_constraints(const struct model *m, const struct batch *b, size_t first,
                              const double *scale, const double *factor,
                              struct level_chunk *c, double *loss)
{
    const struct sizes_cfg *steps = &m->cfg.steps;
    if (m->cfg.type != MODEL_AITM || !(m->cfg.aitm_constraint > 0)) return;
    for (size_t i = 1; i < steps->n; i++) {
        size_t k = steps->v[i], before = steps->v[i - 1];
        struct loss_rows rows = task_rows(m, b, first, c, k),
                         above = task_rows(m, b, first, c, before);
        loss_constraint(m->cfg.aitm_constraint, &rows, above.z, above.ldz, scale[k],
                        factor[k], &loss[k], task_grad(m, c, k),
                        task_grad(m, c, before));
    }
}

void step_losses(const struct model *m, const struct batch *b, size_t first,
                 const double *scale, const double *factor, struct level_chunk *c,
                 double *loss)
{
    for (size_t k = 0; k < m->n_tasks; k++) {
        const struct model_task *t = &m->tasks[k];
        struct loss_rows rows = task_rows(m, b, first, c, k);
        loss_forward_backward(t->loss, t->huber_delta, &rows, scale[k], factor[k],
                              &loss[k], task_grad(m, c, k));
    }
    chunk_constraints(m, b, first, scale, factor, c, loss);
}

/* One chunk, there and back: its rows of x, the levels, of which the last is the towers,
 * direct inputs, losses. */
static void chunk_step(const struct model *m, const float *params, const struct batch *b,
                       const struct model_rows *rows, size_t first, const double *scale,
                       struct model_work *w, float *grad, float *const *row_grad,
                       double *loss)
{
    const struct net *net = &m->net;
    double from = seconds();
    if (net->dropout) {
        dropout_keys(m->seed, b->step, w->chunk->n, b->row + first, w->keys);
        w->chunk->keys = w->keys;
    }
    if (net->x_buf[0] != NET_NONE) gather_x_forward(m, b, rows, first, w->chunk);
    lap(&w->times.layer1_forward, &from);
    for (size_t i = 0; i < net->n_levels; i++) {
        level_forward(net, &net->levels[i], params, PRODUCT_BLAS, w->chunk);
        lap(i + 1 < net->n_levels ? &w->times.mix : &w->times.towers, &from);
    }
    gather_direct_forward(m, m->direct, m->n_direct, params, b, rows, first, w->chunk);
    step_losses(m, b, first, scale, w->factor, w->chunk, loss);
    gather_direct_backward(m, b, first, w->chunk, grad, row_grad);
    for (size_t i = net->n_levels; i-- > 0;) {
        level_backward(net, &net->levels[i], params, w->chunk, grad);
        lap(i + 1 < net->n_levels ? &w->times.mix : &w->times.towers, &from);
    }
    if (net->x_buf[0] != NET_NONE) gather_x_backward(m, b, first, w->chunk, row_grad);
    lap(&w->times.layer1_backward, &from);
}

/* All gradients but those that layer1 overwrites. */
static void zero_grad(const struct model *m, float *grad)
{
    size_t first = 0, end = 0; /* what is left alone */
    if (m->layer1 != NULL) {
        const struct net_block *x = &m->net.blocks[m->net.x_block];
        first = x->w;
        end = x->b + x->n;
    }
    memset(grad, 0, first * sizeof *grad);
    memset(grad + end, 0, (m->net.n_params - end) * sizeof *grad);
}

/* What multiplies the gradient of each task's loss in this step. */
static void step_factors(const struct model *m, const float *params, struct model_work *w)
{
    for (size_t k = 0; k < m->n_tasks; k++) {
        w->factor[k] = m->tasks[k].weight * w->weight[k];
        if (m->net.log_variance == NET_NONE) continue;
        double s = (double)params[m->net.log_variance + k];
        w->factor[k] *= balance_uncertainty(m->tasks[k].loss) * fmath_exp(-s);
    }
}

/* Of a task's log variance s: a label costs c exp(-s) loss + s / 2. */
static void log_variance_backward(const struct model *m, const struct batch *b,
                                  const double *scale, const struct model_work *w,
                                  const double *loss, float *grad)
{
    for (size_t k = 0; k < m->n_tasks && m->net.log_variance != NET_NONE; k++) {
        double labels = 0;
        for (size_t r = 0; r < b->n_rows; r++) {
            size_t at = r * m->n_tasks + k;
            if (!isnan(b->labels[at])) labels += (double)b->weights[at] * scale[k];
        }
        grad[m->net.log_variance + k] =
            (float)(0.5 * m->tasks[k].weight * labels - w->factor[k] * loss[k]);
    }
}

static bool all_moderate(const struct model *m, const struct batch *b, const float *grad,
                       float *const *row_grad, const double *loss)
{
    for (size_t k = 0; k < m->n_tasks; k++)
        if (!isfinite(loss[k])) return false;
    for (size_t t = 0; t < m->n_tables; t++)
        if (!vec_is_moderate(b->tables[t].n * m->table_dim[t], row_grad[t])) return false;
    return vec_is_moderate(m->net.n_params, grad);
}

/* Forward and backward from rows of x on. */
static void lane_step(const struct model *m, const float *params, const struct batch *b,
                      const struct model_rows *rows, const double *scale,
                      struct model_work *w, float *grad, float *const *row_grad,
                      double *loss)
{
    size_t ld = m->net.buffers[NET_Y].width;
    double from = seconds();
    input_forward(m, params, b, rows, w);
    lap(&w->times.layer1_forward, &from);
    for (size_t first = 0; first < b->n_rows; first += w->chunk->max) {
        size_t left = b->n_rows - first;
        w->chunk->n = left < w->chunk->max ? left : w->chunk->max;
        w->chunk->act[NET_Y] = w->y + first * ld;
        w->chunk->grad[NET_Y] = w->dy + first * ld;
        chunk_step(m, params, b, rows, first, scale, w, grad, row_grad, loss);
    }
    from = seconds();
    input_backward(m, params, b, rows, w, grad, row_grad);
    lap(&w->times.layer1_backward, &from);
}

/* The same where lists are pooled by attention: before it and after it. */
static void attention_step(const struct model *m, const float *params,
                           const struct batch *b, const struct model_rows *rows,
                           const double *scale, struct model_work *w, float *grad,
                           float *const *row_grad, double *loss)
{
    double from = seconds();
    const struct attention_view *v = attention_forward(
        m, params, PRODUCT_BLAS, b, rows, row_grad, 0, b->n_rows, w->attention);
    lap(&w->times.layer1_forward, &from);
    lane_step(m, params, &v->batch, &v->rows, scale, w, grad, v->row_grad, loss);
    from = seconds();
    attention_backward(m, params, b, rows, w->attention, grad, row_grad);
    lap(&w->times.layer1_backward, &from);
}

bool model_step(const struct model *m, const float *params, const struct batch *b,
                const struct model_rows *rows, const double *scale, struct model_work *w,
                float *grad, float *const *row_grad, double *loss)
{
    assert(b->n_rows <= w->max_rows);
    assert((!m->net.dropout && w->surgery == NULL) || b->row != NULL);
    memset(loss, 0, m->n_tasks * sizeof *loss);
    zero_row_grad(m, b, row_grad);
    if (b->n_rows == 0) {
        memset(grad, 0, m->net.n_params * sizeof *grad);
        return true;
    }
    zero_grad(m, grad);
    step_factors(m, params, w);
    if (w->surgery != NULL)
        surgery_begin(w->surgery, &(struct surgery_turn){m->seed, b->step, b->row[0]});
    if (w->attention != NULL)
        attention_step(m, params, b, rows, scale, w, grad, row_grad, loss);
    else
        lane_step(m, params, b, rows, scale, w, grad, row_grad, loss);
    log_variance_backward(m, b, scale, w, loss, grad);
    return all_moderate(m, b, grad, row_grad, loss);
}
