/* The Open Inference Protocol (KServe V2) over HTTP: tensors by name, in JSON or, by the
 * binary tensor extension, as bytes behind it (Inference-Header-Content-Length says where).
 *
 *   {"inputs": [{"name": "user", "shape": [2], "datatype": "INT64", "data": [7, 8]},
 *               {"name": "tags", "shape": [3], "datatype": "BYTES", "data": ["a", "b", "c"]},
 *               {"name": "tags.lengths", "shape": [2], "datatype": "INT32", "data": [2, 1]}]}
 *   -> {"model_name": "m", "model_version": "3",
 *       "outputs": [{"name": "click", "datatype": "FP32", "shape": [2], "data": [0.25, 0.5]}]}
 *
 * A tensor's first dimension is the row, and all agree. An input of several values is
 * ragged: its values one after another, and NAME.lengths says how many each row has; a
 * length of 0 makes a single value missing. Without lengths, shape [n] is a value a row
 * (a list's text is split as in training) and [n, k] holds k values a row, where an
 * integer -1 and null are padding. Integers, FP32, FP64, BOOL (1 or 0) and BYTES are taken;
 * null is missing; what is not finite is an error. An input that is not named is missing
 * on all rows. */
#ifndef MTPS_SERVE_HTTP_KSERVE_H
#define MTPS_SERVE_HTTP_KSERVE_H

#include "serve/http/ask.h"

enum ask_status kserve_read(struct ask *a, const struct ask_body *body, struct error *err) MUST_USE;
/* Gives the bytes of the JSON; tensors that were asked for as bytes follow it. */
size_t kserve_write(const struct ask *a, const char *model, uint64_t version, struct jsonout *out);

#endif
