/* Pooled embedding rows, one example at a time, occurrences in order: the input stage,
 * which gathers x; and the direct inputs, whose values are weights, one per task, that go
 * straight into the logits. */
#ifndef MTPS_MODEL_GATHER_H
#define MTPS_MODEL_GATHER_H

#include "model/level.h"

/* Row u of a table's pulled rows. */
static inline const float *gather_row(const struct model_rows *rows, size_t table,
                                      size_t u, size_t dim)
{
    if (rows->at != NULL && rows->at[table] != NULL) return rows->at[table][u];
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

/* The input stage of rows [first, first + c->n): x into the buffers net.x_buf of its
 * parts, features at m->x_offset; and its gradient on to row_grad (added to), rows in order, features in
 * config order, occurrences in order. */
void gather_x_forward(const struct model *m, const struct batch *b,
                      const struct model_rows *rows, size_t first, struct level_chunk *c);
void gather_x_backward(const struct model *m, const struct batch *b, size_t first,
                       const struct level_chunk *c, float *const *row_grad);

/* Direct inputs of rows [first, first + c->n) of the batch, in the order of
 * input[n_inputs]: added to the logits that the levels left in the chunk. */
void gather_direct_forward(const struct model *m, const size_t *input, size_t n_inputs,
                           const float *params, const struct batch *b,
                           const struct model_rows *rows, size_t first,
                           struct level_chunk *c);
/* From the logits' gradients to grad and row_grad (added to), rows in order, inputs in
 * the order of m->direct, occurrences in order. */
void gather_direct_backward(const struct model *m, const struct batch *b, size_t first,
                            const struct level_chunk *c, float *grad,
                            float *const *row_grad);

#endif
