#include "model/layer1.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/math/blas.h"
#include "common/math/vec.h"
#include "model/layer1_impl.h"

/* ---- making ---- */

static bool in_project(const struct layer1 *l, size_t input)
{
    const struct model_input *in = &l->inputs[input];
    return in->kind == INPUT_ID && in->project && l->table_dim[in->table] <= MAX_PROJECT_DIM;
}

static bool in_run(const struct layer1 *l, size_t input)
{
    return l->inputs[input].kind != INPUT_ONE_HOT && !in_project(l, input);
}

static void lay_out(struct layer1 *l)
{
    for (size_t i = 0; i < l->n_inputs; i++) {
        l->offset[i] = l->n_in;
        l->n_in += l->inputs[i].width;
        if (in_project(l, i)) l->project[l->n_project++] = i;
        if (!in_run(l, i)) continue;
        if (i == 0 || !in_run(l, i - 1))
            l->runs[l->n_runs++] = (struct layer1_run){.first = i, .offset = l->offset[i]};
        struct layer1_run *run = &l->runs[l->n_runs - 1];
        run->end = i + 1;
        run->width += l->inputs[i].width;
        if (run->width > l->x_width) l->x_width = run->width;
    }
}

enum status layer1_create(const struct model_input *inputs, size_t n_inputs, const size_t *table_dim,
                          size_t n_tables, size_t n_out, struct layer1 **out, struct error *err)
{
    struct layer1 *l = mem_zeroed(1, sizeof *l);
    if (!l) return mem_error(err, "layer 1", sizeof *l);
    l->n_inputs = n_inputs;
    l->n_tables = n_tables;
    l->n_out = n_out;
    l->kernels = layer1_kernels_pick();
    l->inputs = mem_array(n_inputs, sizeof *l->inputs);
    l->offset = mem_array(n_inputs, sizeof *l->offset);
    l->table_dim = mem_array(n_tables, sizeof *l->table_dim);
    l->runs = mem_zeroed(n_inputs, sizeof *l->runs);
    l->project = mem_array(n_inputs, sizeof *l->project);
    if (!l->inputs || !l->offset || !l->table_dim || !l->runs || !l->project) {
        layer1_destroy(l);
        return mem_error(err, "layer 1", n_inputs * sizeof *l->inputs);
    }
    if (n_inputs) memcpy(l->inputs, inputs, n_inputs * sizeof *inputs);
    if (n_tables) memcpy(l->table_dim, table_dim, n_tables * sizeof *table_dim);
    lay_out(l);
    *out = l;
    return ST_OK;
}

void layer1_destroy(struct layer1 *l)
{
    if (!l) return;
    mem_free(l->inputs);
    mem_free(l->offset);
    mem_free(l->table_dim);
    mem_free(l->runs);
    mem_free(l->project);
    mem_free(l);
}

size_t layer1_in(const struct layer1 *l)
{
    return l->n_in;
}

size_t layer1_offset(const struct layer1 *l, size_t input)
{
    return l->offset[input];
}

static size_t padded_dim(const struct layer1 *l, size_t input)
{
    size_t dim = l->table_dim[l->inputs[input].table];
    return (dim + DIM_MULTIPLE - 1) / DIM_MULTIPLE * DIM_MULTIPLE;
}

enum status layer1_work_create(const struct layer1 *l, const struct model_caps *caps,
                               struct layer1_work **out, struct error *err)
{
    struct layer1_work *w = mem_zeroed(1, sizeof *w);
    if (!w) return mem_error(err, "layer 1", sizeof *w);
    size_t B = caps->max_rows, n_rows = 0, n_packed = 0;
    for (size_t i = 0; i < l->n_project; i++) {
        size_t cap = caps->max_distinct[l->inputs[l->project[i]].place];
        n_rows += cap;
        n_packed += cap * padded_dim(l, l->project[i]);
    }
    w->max_rows = B;
    w->x = mem_array(B * l->x_width, sizeof *w->x);
    w->dx = mem_array(B * l->x_width, sizeof *w->dx);
    w->scale = mem_array(B * l->n_inputs, sizeof *w->scale);
    w->e = mem_zeroed(n_packed, sizeof *w->e);
    w->de = mem_zeroed(n_packed, sizeof *w->de);
    w->p = mem_array(n_rows * KERNEL_COLS, sizeof *w->p);
    w->dy = mem_array(B * KERNEL_COLS, sizeof *w->dy);
    w->index = mem_array(B * l->n_project, sizeof *w->index);
    w->features = mem_zeroed(l->n_project, sizeof *w->features);
    if (!w->x || !w->dx || !w->scale || !w->e || !w->de || !w->p || !w->dy || !w->index || !w->features) {
        layer1_work_destroy(w);
        return mem_error(err, "layer 1", n_rows * KERNEL_COLS * sizeof *w->p);
    }
    *out = w;
    return ST_OK;
}

void layer1_work_destroy(struct layer1_work *w)
{
    if (!w) return;
    mem_free(w->x);
    mem_free(w->dx);
    mem_free(w->scale);
    mem_free(w->e);
    mem_free(w->de);
    mem_free(w->p);
    mem_free(w->dy);
    mem_free(w->index);
    mem_free(w->features);
    mem_free(w);
}

const float *layer1_scale(const struct layer1 *l, const struct batch *b, size_t input,
                          struct layer1_work *w)
{
    const struct model_input *in = &l->inputs[input];
    const uint32_t *off = b->ids[in->place].off;
    if (!off || in->pool == POOL_SUM) return NULL;
    float *scale = w->scale + input * w->max_rows;
    for (size_t s = 0; s < b->n_rows; s++) {
        float n = (float)(off[s + 1] - off[s]);
        scale[s] = n == 0 ? 0 : in->pool == POOL_MEAN ? 1 / n : 1 / __builtin_sqrtf(n);
    }
    return scale;
}

/* ---- gather form: x, one product per run ---- */

/* x[s, 0..dim) = pooled rows of an id feature. */
static void gather_id(const struct layer1 *l, const struct batch *b, const struct model_rows *rows,
                      size_t input, struct layer1_work *w, float *x, size_t ldx)
{
    const struct model_input *in = &l->inputs[input];
    const struct batch_id *id = &b->ids[in->place];
    size_t dim = l->table_dim[in->table];
    if (!id->off) {
        for (size_t s = 0; s < b->n_rows; s++)
            memcpy(x + s * ldx, layer1_row(l, b, rows, in, id->idx[s]), dim * sizeof *x);
        return;
    }
    const float *scale = layer1_scale(l, b, input, w);
    for (size_t s = 0; s < b->n_rows; s++) {
        float *to = x + s * ldx;
        memset(to, 0, dim * sizeof *to);
        for (uint32_t o = id->off[s]; o < id->off[s + 1]; o++)
            vec_add(dim, layer1_row(l, b, rows, in, id->idx[o]), to);
        if (scale) vec_scale(dim, scale[s], to);
    }
}

static void fill_x(const struct layer1 *l, const struct layer1_run *run, const struct batch *b,
                   const struct model_rows *rows, struct layer1_work *w)
{
    for (size_t i = run->first; i < run->end; i++) {
        const struct model_input *in = &l->inputs[i];
        float *x = w->x + (l->offset[i] - run->offset);
        if (in->kind == INPUT_ID) {
            gather_id(l, b, rows, i, w, x, run->width);
            continue;
        }
        for (size_t s = 0; s < b->n_rows; s++)
            memcpy(x + s * run->width, b->dense + s * b->n_dense + in->place, in->width * sizeof *x);
    }
}

static void one_hot_forward(const struct layer1 *l, const float *W, size_t ldw, const struct batch *b,
                            float *y, size_t ldy)
{
    for (size_t i = 0; i < l->n_inputs; i++) {
        const struct model_input *in = &l->inputs[i];
        if (in->kind != INPUT_ONE_HOT) continue;
        const uint32_t *level = b->one_hot[in->place];
        for (size_t s = 0; s < b->n_rows; s++)
            if (level[s] != ONE_HOT_NONE)
                vec_add(l->n_out, W + (l->offset[i] + level[s]) * ldw, y + s * ldy);
    }
}

void layer1_forward(const struct layer1 *l, const float *W, size_t ldw, const float *bias,
                    const struct batch *b, const struct model_rows *rows, struct layer1_work *w,
                    float *y, size_t ldy)
{
    for (size_t s = 0; s < b->n_rows; s++) memcpy(y + s * ldy, bias, l->n_out * sizeof *y);
    for (size_t i = 0; i < l->n_runs; i++) {
        const struct layer1_run *run = &l->runs[i];
        fill_x(l, run, b, rows, w);
        blas_gemm(false, false, b->n_rows, l->n_out, run->width, 1, w->x, run->width,
                  W + run->offset * ldw, ldw, 1, y, ldy);
    }
    if (l->n_project) layer1_project_forward(l, W, ldw, b, rows, w, y, ldy);
    one_hot_forward(l, W, ldw, b, y, ldy);
}

/* ---- backward ---- */

/* Rows' gradients of a run, occurrences in (row, feature, position) order. */
static void scatter(const struct layer1 *l, const struct layer1_run *run, const struct batch *b,
                    const struct layer1_work *w, float *const *row_grad)
{
    for (size_t s = 0; s < b->n_rows; s++)
        for (size_t i = run->first; i < run->end; i++) {
            const struct model_input *in = &l->inputs[i];
            if (in->kind != INPUT_ID) continue;
            const struct batch_id *id = &b->ids[in->place];
            size_t dim = l->table_dim[in->table];
            const float *dx = w->dx + s * run->width + (l->offset[i] - run->offset);
            size_t first = id->off ? id->off[s] : s, end = id->off ? id->off[s + 1] : s + 1;
            bool scaled = id->off && in->pool != POOL_SUM;
            float factor = scaled ? w->scale[i * w->max_rows + s] : 1;
            for (size_t o = first; o < end; o++)
                vec_axpy(dim, factor, dx, row_grad[in->table] + (size_t)id->row[id->idx[o]] * dim);
        }
}

static void run_backward(const struct layer1 *l, const struct layer1_run *run, const float *W, size_t ldw,
                         const struct batch *b, const struct model_rows *rows, struct layer1_work *w,
                         const float *dy, size_t ldy, float *dW, float *const *row_grad)
{
    bool has_ids = false;
    for (size_t i = run->first; i < run->end; i++) has_ids |= l->inputs[i].kind == INPUT_ID;
    if (l->n_runs > 1) fill_x(l, run, b, rows, w); /* else x is still that of forward */
    blas_gemm(true, false, run->width, l->n_out, b->n_rows, 1, w->x, run->width, dy, ldy, 0,
              dW + run->offset * ldw, ldw);
    if (!has_ids) return;
    blas_gemm(false, true, b->n_rows, run->width, l->n_out, 1, dy, ldy, W + run->offset * ldw, ldw, 0,
              w->dx, run->width);
    scatter(l, run, b, w, row_grad);
}

static void one_hot_backward(const struct layer1 *l, const struct batch *b, const float *dy, size_t ldy,
                             float *dW, size_t ldw)
{
    for (size_t i = 0; i < l->n_inputs; i++) {
        const struct model_input *in = &l->inputs[i];
        if (in->kind != INPUT_ONE_HOT) continue;
        float *slice = dW + l->offset[i] * ldw;
        for (size_t r = 0; r < in->width; r++) memset(slice + r * ldw, 0, l->n_out * sizeof *slice);
        const uint32_t *level = b->one_hot[in->place];
        for (size_t s = 0; s < b->n_rows; s++)
            if (level[s] != ONE_HOT_NONE) vec_add(l->n_out, dy + s * ldy, slice + level[s] * ldw);
    }
}

void layer1_backward(const struct layer1 *l, const float *W, size_t ldw, const struct batch *b,
                     const struct model_rows *rows, struct layer1_work *w, const float *dy, size_t ldy,
                     float *dW, float *dbias, float *const *row_grad)
{
    memset(dbias, 0, l->n_out * sizeof *dbias);
    for (size_t s = 0; s < b->n_rows; s++) vec_add(l->n_out, dy + s * ldy, dbias);
    for (size_t i = 0; i < l->n_runs; i++)
        run_backward(l, &l->runs[i], W, ldw, b, rows, w, dy, ldy, dW, row_grad);
    if (l->n_project) layer1_project_backward(l, W, ldw, b, w, dy, ldy, dW, row_grad);
    one_hot_backward(l, b, dy, ldy, dW, ldw);
}

/* ---- reference ---- */

static void reference_id(const struct layer1 *l, const struct batch *b, const struct model_rows *rows,
                         size_t input, size_t s, float *x)
{
    const struct model_input *in = &l->inputs[input];
    const struct batch_id *id = &b->ids[in->place];
    size_t dim = l->table_dim[in->table];
    size_t first = id->off ? id->off[s] : s, end = id->off ? id->off[s + 1] : s + 1;
    for (size_t d = 0; d < dim; d++) {
        double sum = 0, n = (double)(end - first);
        for (size_t o = first; o < end; o++) sum += (double)layer1_row(l, b, rows, in, id->idx[o])[d];
        if (id->off && n > 0 && in->pool == POOL_MEAN) sum /= n;
        if (id->off && n > 0 && in->pool == POOL_SQRTN) sum /= __builtin_sqrt(n);
        x[d] = (float)sum;
    }
}

void layer1_input_reference(const struct layer1 *l, const struct batch *b, const struct model_rows *rows,
                            float *x)
{
    memset(x, 0, b->n_rows * l->n_in * sizeof *x);
    for (size_t s = 0; s < b->n_rows; s++)
        for (size_t i = 0; i < l->n_inputs; i++) {
            const struct model_input *in = &l->inputs[i];
            float *to = x + s * l->n_in + l->offset[i];
            if (in->kind == INPUT_ID) reference_id(l, b, rows, i, s, to);
            if (in->kind == INPUT_ONE_HOT && b->one_hot[in->place][s] != ONE_HOT_NONE)
                to[b->one_hot[in->place][s]] = 1;
            for (size_t d = 0; in->kind == INPUT_DENSE && d < in->width; d++)
                to[d] = b->dense[s * b->n_dense + in->place + d];
        }
}

/* Work per batch row, in multiply-adds of a large product. Gather: three products
 * over dim x n_out. Project: the same per distinct row, through smaller kernels
 * (1.4 times the cost), plus reading and adding n_out floats per occurrence, forward
 * and backward (3 each). Measured with tests/bench/bench_layer1; only counts enter,
 * so the choice is the same everywhere. */
bool layer1_prefers_project(double distinct_share, double mean_per_row, size_t dim, size_t n_out)
{
    if (dim > MAX_PROJECT_DIM) return false;
    double product = 3.0 * (double)dim * (double)n_out;
    double padded = (double)((dim + DIM_MULTIPLE - 1) / DIM_MULTIPLE * DIM_MULTIPLE);
    double project =
        1.4 * distinct_share * 3.0 * padded * (double)n_out + 6.0 * mean_per_row * (double)n_out;
    return project < product;
}
