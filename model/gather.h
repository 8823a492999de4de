/* Pooled embedding rows, one example at a time, occurrences in order; and the
 * inputs of lr, whose rows are weights that go straight into the logits. */
#ifndef MTPS_MODEL_GATHER_H
#define MTPS_MODEL_GATHER_H

#include "model/model.h"

/* Row u of a table's pulled rows. */
static inline const float *gather_row(const struct model_rows *rows, size_t table,
                                      size_t u, size_t dim)
{
    const uint32_t *place = rows->place != NULL ? rows->place[table] : NULL;
    return rows->rows[table] + (place != NULL ? place[u] : u) * dim;
}

/* First and last + 1 occurrence of example r. */
static inline size_t gather_first(const struct batch_id *f, size_t r)
{
    return f->off != NULL ? f->off[r] : r;
}

/* Factor of a sum of n rows; 0 of none. The root is correctly rounded, so the
 * same everywhere. */
float gather_scale(enum pool pool, size_t n);

/* out[dim] = pooled rows of example r: +0, plus each occurrence, times the factor.
 * An empty list gives zeros. */
void gather_pooled(const struct batch_id *f, const struct model_input *in,
                   const struct model_rows *rows, size_t r, float *out);

/* y[r, 0..K) += pooled rows of every id feature in config order, r < b->n_rows. */
void gather_direct_forward(const struct model_input *inputs, size_t n_inputs,
                           const struct batch *b, const struct model_rows *rows, float *y,
                           size_t ldy);
/* row_grad[table][U_t, K] += gradients, in (row, feature, position) order. */
void gather_direct_backward(const struct model_input *inputs, size_t n_inputs,
                            const struct batch *b, const float *dy, size_t ldy,
                            float *const *row_grad);

#endif
