/* Lists pooled by attention to another feature (DIN, Zhou et al. 2018, sec. 4.3): with
 * e_j the rows of a list and q the row of the target feature on the same example,
 *
 *   a_j = MLP([e_j, q, e_j - q, e_j q])        pooled = sum_j a_j e_j
 *
 * No softmax over a_j: how much there is of what the target asks for is information.
 * An empty list gives zeros.
 *
 * The rest of the model meets the results as rows of one more table, seen through a
 * single-valued feature with a row of its own per example; so every form of layer 1 and
 * every op reads them like any other feature, and leaves their gradient where rows have
 * theirs (docs/adr/0016-attention-pooling.md). The list itself is not in x.
 *
 * Occurrences go through the MLP in pieces, examples in order, positions in order. */
#ifndef MTPS_MODEL_ATTENTION_H
#define MTPS_MODEL_ATTENTION_H

#include <stdio.h>

#include "model/layers.h"
#include "model/plan.h"

/* Makes the attention of the model's spec: turns the inputs that have it into features of
 * tables behind the others. Before x is laid out. */
enum status attention_inputs(struct model *m, const struct model_spec *s,
                             struct error *err) MUST_USE;
/* Places parameters, attention/FEATURE/layer0/w [4 dim, out] and so on. */
void attention_plan(struct plan *p);
/* A line of model_describe: "attention watched to video_id [64 36 1]". */
void attention_print(FILE *f, const struct attention *a);
enum status attention_tensors(struct model *m, struct error *err) MUST_USE;

/* Memory for one caller: results and their gradients. */
struct attention_work;
enum status attention_work_create(const struct model *m, size_t max_rows,
                                  struct attention_work **out,
                                  struct error *err) MUST_USE;
void attention_work_destroy(struct attention_work *w);

/* What the rest of the model reads: examples [first, first + n) of the batch as a batch
 * and rows of their own. Valid until the next forward with this work. */
struct attention_view {
    struct batch batch;
    struct model_rows rows;
    float *const *row_grad; /* [n_tables and attentions] */
};

/* Pools examples [first, first + n), n <= max_rows. row_grad NULL: no backward. */
const struct attention_view *attention_forward(const struct model *m, const float *params,
                                               enum product kind, const struct batch *b,
                                               const struct model_rows *rows,
                                               float *const *row_grad, size_t first,
                                               size_t n, struct attention_work *w);

/* From the gradients that the rest of the model left in view->row_grad to those of
 * parameters (added to) and of the rows of lists and targets (added to). b, rows and
 * row_grad as in the forward before it, which had all examples. */
void attention_backward(const struct model *m, const float *params, const struct batch *b,
                        const struct model_rows *rows, struct attention_work *w,
                        float *grad, float *const *row_grad);

#endif
