/* The parts of an ONNX graph in the making. */
#ifndef MTPS_SERVE_ONNX_IMPL_H
#define MTPS_SERVE_ONNX_IMPL_H

#include "model/net.h"
#include "serve/onnx.h"

/* Columns [col, col + n) of a buffer, or an input of x, as a value of the graph. */
struct onnx_piece {
    size_t buf, col, n;
    const char *value;
};

struct onnx_graph {
    struct onnx *o;
    struct mtps_model *m;
    const struct onnx_options *opt;
    const float *params;
    struct onnx_piece *pieces;
    size_t n_pieces, max_pieces;
    bool *declared; /* [n_features] the graph has the feature's input */
    const char **x; /* [n_inputs] float [batch, width]; of one_hot: index int64 [batch] */
    const char *zero, *axis1; /* int64 [1] */
};

/* Fills x: from keys, numbers and levels to what layer 1 reads. */
void onnx_inputs(struct onnx_graph *g);
/* What an input adds to a layer: x w, w[width, n] of the parameters with a stride. */
const char *onnx_product_of(struct onnx_graph *g, size_t input, const float *w, size_t n, size_t stride);
const char *onnx_columns(struct onnx_graph *g, const char *value, size_t first, size_t end);

/* Inputs and outputs in the text form of Triton's ModelConfig. */
void onnx_triton(const struct onnx *o, struct buffer *out);

#endif
