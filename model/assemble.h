/* The model that settings, the features of a schema and the statistics of the training
 * rows make together: the same for training, scoring and the inference library. */
#ifndef MTPS_MODEL_ASSEMBLE_H
#define MTPS_MODEL_ASSEMBLE_H

#include "model/tables.h"

struct assembly {
    const struct settings *settings; /* of the model and the tasks */
    const struct schema *schema;
    const struct fit *fit;
    const struct model_tables *tables;
    const uint8_t *project; /* [n_features] form of layer 1 in training; NULL: gather */
};

enum status assemble_model(const struct assembly *a, struct model **out,
                           struct error *err) MUST_USE;

#endif
