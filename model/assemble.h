/* The model that settings, the features of a schema and the statistics of the training
 * rows make together: the same for training, scoring and the inference library. */
#ifndef MTPS_MODEL_ASSEMBLE_H
#define MTPS_MODEL_ASSEMBLE_H

#include "data/dataset.h"
#include "model/model.h"

struct assembly {
    const struct settings *settings; /* of the model and the tasks */
    const struct schema *schema;
    const struct fit *fit;
    const size_t *table_dim; /* [n_tables] */
    const uint8_t *project;  /* [n_features] form of layer 1 in training; NULL: gather */
};

/* table_dim[n_tables]: floats of a row's weights. */
void assemble_table_dims(const struct settings *settings, const struct schema *schema,
                         size_t *table_dim);
enum status assemble_model(const struct assembly *a, struct model **out,
                           struct error *err) MUST_USE;

#endif
