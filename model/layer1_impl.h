/* What the files of layer 1 share. */
#ifndef MTPS_MODEL_LAYER1_IMPL_H
#define MTPS_MODEL_LAYER1_IMPL_H

#include "model/layer1.h"
#include "model/layer1_kernels.h"

enum { MAX_PROJECT_DIM = 256, DIM_MULTIPLE = 16 };

/* Neighbouring inputs that go through x: one product per run. */
struct layer1_run {
    size_t first, end; /* inputs; those of another form are not in the run's way: they end it */
    size_t offset;     /* first row of W */
    size_t width;
};

struct layer1 {
    struct model_input *inputs;
    size_t n_inputs, n_tables, n_in, n_out;
    size_t *offset;    /* [n_inputs] first row of W */
    size_t *table_dim; /* [n_tables] */
    struct layer1_run *runs;
    size_t n_runs, x_width; /* widest run */
    size_t *project;        /* inputs in project form, config order */
    size_t n_project;
    const struct layer1_kernels *kernels;
};

/* One project feature of the current batch. */
struct layer1_feature {
    struct kernel_rows rows;
    size_t base; /* first of its rows in p */
    size_t input;
};

struct layer1_work {
    size_t max_rows;
    float *x, *dx;   /* [B, x_width] */
    float *scale;    /* [n_inputs, B] pooling factors, where pool is not sum */
    float *e, *de;   /* packed rows of all project features, and their gradients */
    float *p;        /* [sum of U_f, KERNEL_COLS] */
    float *dy;       /* [B, KERNEL_COLS] one block of dy, packed */
    uint32_t *index; /* [B, n_project] rows of p, single-valued features */
    struct layer1_feature *features; /* [n_project] */
};

/* Pooling factors of a multi-valued feature into scale[B]; NULL for sum or single-valued. */
const float *layer1_scale(const struct layer1 *l, const struct batch *b, size_t input,
                          struct layer1_work *w);

/* Project features: y += their part; dW of their part; row_grad += their part. */
void layer1_project_forward(const struct layer1 *l, const float *W, size_t ldw, const struct batch *b,
                            const struct model_rows *rows, struct layer1_work *w, float *y, size_t ldy);
void layer1_project_backward(const struct layer1 *l, const float *W, size_t ldw, const struct batch *b,
                             struct layer1_work *w, const float *dy, size_t ldy, float *dW,
                             float *const *row_grad);

/* Row u of an id feature in the pulled rows. */
static inline const float *layer1_row(const struct layer1 *l, const struct batch *b,
                                      const struct model_rows *rows, const struct model_input *in,
                                      size_t u)
{
    uint32_t at = b->ids[in->place].row[u];
    const uint32_t *place = rows->place ? rows->place[in->table] : NULL;
    return rows->rows[in->table] + (size_t)(place ? place[at] : at) * l->table_dim[in->table];
}

#endif
