/* A model as an ONNX graph, for runtimes that are not ours. Inside serve/. */
#ifndef MTPS_SERVE_ONNX_H
#define MTPS_SERVE_ONNX_H

#include "serve/loaded.h"
#include "serve/onnx_proto.h"

struct onnx_options {
    bool tables; /* embedding tables inside: inputs are keys; else pooled vectors */
    struct buffer *triton; /* gets inputs and outputs as config.pbtxt says them; or NULL */
};

/* The graph of an open model (f32 rows). Inputs are named after features:
 *
 *   id              keys int64 [batch]; without tables: vectors float [batch, dim]
 *   list of ids     keys int64 [NAME.n] and NAME.offsets int64 [batch + 1];
 *                   without tables: pooled vectors float [batch, dim]
 *   one_hot         keys int64 [batch]
 *   number, bucket  float [batch, width], NaN = missing, before transforms
 *
 * A feature that is also in the wide part has one input for both; without tables the wide
 * part has inputs of its own, wide/NAME.
 *
 * Outputs float [batch] are named after tasks; a task that predicts a share of a time
 * has an input TASK.duration, too. A key without a row has a row of zeros. ST_USAGE when
 * the model has parts that this writer does not know, or two of these names are one. */
enum status onnx_write(struct mtps_model *m, const struct onnx_options *opt, char **bytes, size_t *n,
                       struct error *err) MUST_USE;

/* A text in quotes, as config.pbtxt has them. */
void onnx_triton_text(struct buffer *b, const char *s);

#endif
