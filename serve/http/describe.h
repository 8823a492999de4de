/* Documents about models, in the two protocols' forms. */
#ifndef MTPS_SERVE_HTTP_DESCRIBE_H
#define MTPS_SERVE_HTTP_DESCRIBE_H

#include "serve/http/jsonout.h"
#include "serve/http/models.h"

/* GET /v2/models/{model}: inputs are the raw columns: BYTES [-1] for ids, FP64 [-1] for
 * numbers, [-1, -1] for lists; outputs are FP32 [-1]. */
void describe_model(struct models_item *item, const struct served *v, struct jsonout *out);
/* POST /v2/repository/index */
void describe_index(struct models *m, struct jsonout *out);
/* GET /v1/models/{model}; version 0: all that are open. */
void describe_status(struct models_item *item, uint64_t version, struct jsonout *out);
/* GET /v1/models/{model}/metadata */
void describe_metadata(const struct models_item *item, const struct served *v, struct jsonout *out);

#endif
