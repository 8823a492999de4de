/* The `:predict` form of TensorFlow Serving: rows as objects, or columns.
 *
 *   {"instances": [{"user": 7, "tags": ["a", "b"]}, {"user": 8}]}
 *   -> {"predictions": [{"click": 0.25}, {"click": 0.5}]}
 *
 *   {"inputs": {"user": [7, 8], "tags": [["a", "b"], []]}}
 *   -> {"outputs": {"click": [0.25, 0.5]}}
 *
 * An input that is absent or null is missing; one that the model does not have is an error. */
#ifndef MTPS_SERVE_HTTP_ROWS_JSON_H
#define MTPS_SERVE_HTTP_ROWS_JSON_H

#include "serve/http/ask.h"

enum ask_status rows_json_read(struct ask *a, const struct ask_body *body, struct error *err) MUST_USE;
void rows_json_write(const struct ask *a, struct jsonout *out);

/* One row, an object, as it stands in "instances"; fills values[n_inputs]. */
enum ask_status rows_json_row(struct ask *a, struct jsonin *r, struct mtps_value *values, struct error *err) MUST_USE;

#endif
