/* Of a training step, what others use too. */
#ifndef MTPS_MODEL_STEP_H
#define MTPS_MODEL_STEP_H

#include "model/level.h"

/* Losses of rows [first, first + c->n) of the batch, whose logits are in the chunk: values
 * times scale[K] are added to loss[K], gradients times factor[K] too go to the chunk. */
void step_losses(const struct model *m, const struct batch *b, size_t first,
                 const double *scale, const double *factor, struct level_chunk *c,
                 double *loss);

#endif
