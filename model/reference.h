/* model_forward_reference before rounding: what finite differences need. */
#ifndef MTPS_MODEL_REFERENCE_H
#define MTPS_MODEL_REFERENCE_H

#include "model/model.h"

/* logits[B, K] in double; training: with the batch's dropout. Running out of memory ends the process: for tests. */
void reference_logits(const struct model *m, const float *params, const struct batch *b,
                      const struct model_rows *rows, bool training, double *logits);

#endif
