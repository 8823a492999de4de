/* Layer 1: from distinct rows to the first activations of every unit at once.
 *
 *   x[B,D] = features in config order: pooled rows, levels as one-hot, dense numbers
 *   y[B,N] = x W + b,   W[D,N] all experts' and gates' first layers side by side
 *
 * Two forms with the same mathematics, chosen per feature (model_input.project):
 *   gather   copy pooled rows into x, one wide matrix product
 *   project  multiply each distinct row by its feature's slice W_f once, then add
 *            up projected rows per example; backward sums dy per distinct row
 * one_hot features add rows of W directly; they are never multiplied.
 * Sums follow one sequence fixed by the batch (DESIGN section 4 rule 2).
 * The gather form is the oracle of the project form in tests. */
#ifndef MTPS_MODEL_LAYER1_H
#define MTPS_MODEL_LAYER1_H

#include "model/model.h"

struct layer1; /* shapes; read-only */
struct layer1_work; /* scratch of one lane */

/* inputs are copied; offset of input i in x is the sum of the widths before it. */
enum status layer1_create(const struct model_input *inputs, size_t n_inputs, const size_t *table_dim,
                          size_t n_tables, size_t n_out, struct layer1 **out, struct error *err) MUST_USE;
void layer1_destroy(struct layer1 *l);
size_t layer1_in(const struct layer1 *l); /* D */
size_t layer1_offset(const struct layer1 *l, size_t input);

enum status layer1_work_create(const struct layer1 *l, const struct model_caps *caps,
                               struct layer1_work **out, struct error *err) MUST_USE;
void layer1_work_destroy(struct layer1_work *w);

/* y[B, ldy >= N] = x W + b. W is [D, ldw], b [N]. */
void layer1_forward(const struct layer1 *l, const float *W, size_t ldw, const float *bias,
                    const struct batch *b, const struct model_rows *rows, struct layer1_work *w,
                    float *y, size_t ldy);
/* dW[D, ldw] and dbias[N] are overwritten, row_grad[t][U_t, dim] is added to.
 * Must follow the forward of the same batch with the same work. */
void layer1_backward(const struct layer1 *l, const float *W, size_t ldw, const struct batch *b,
                     const struct model_rows *rows, struct layer1_work *w, const float *dy, size_t ldy,
                     float *dW, float *dbias, float *const *row_grad);

/* Plain loops, for tests and model_forward_reference. x[B, D]. */
void layer1_input_reference(const struct layer1 *l, const struct batch *b, const struct model_rows *rows,
                            float *x);

/* Which form a feature should use: true = project. From counts alone
 * (distinct share U_f/B, occurrences per row, dim, N), never from timing. */
bool layer1_prefers_project(double distinct_share, double mean_per_row, size_t dim, size_t n_out);

#endif
