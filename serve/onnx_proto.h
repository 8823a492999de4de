/* An ONNX graph as bytes: the few messages of onnx.proto that are needed (protocol buffers,
 * field numbers beside each). Names of values are the caller's; after a failed
 * allocation everything does nothing and onnx_finish says so. Inside serve/. */
#ifndef MTPS_SERVE_ONNX_PROTO_H
#define MTPS_SERVE_ONNX_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/config/buffer.h"

enum { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_BOOL = 9, ONNX_DOUBLE = 11 };

/* An input or output of the graph. */
struct onnx_value {
    const char *name;
    int type;
    size_t cols; /* 0: one-dimensional */
    bool output;
};

struct onnx {
    struct arena *arena; /* owns names */
    struct onnx_value *values; /* inputs and outputs, in the order of the graph */
    size_t n_values, max_values;
    struct buffer nodes, initializers, inputs, outputs;
    size_t n_names;
    bool failed;
};
enum status onnx_init(struct onnx *o, struct error *err) MUST_USE;
void onnx_close(struct onnx *o);
/* The whole model; text is mem_free'd. ST_CANTCREATE beyond 2 GiB, which protocol
 * buffers cannot hold. */
enum status onnx_finish(struct onnx *o, const char *name, char **bytes, size_t *n,
                        struct error *err) MUST_USE;

/* A name that nothing else has. */
const char *onnx_new(struct onnx *o, const char *what);

/* Graph inputs and outputs: [batch] or [batch, cols] (cols 0: one-dimensional); batch is
 * the name of a free dimension. */
void onnx_input(struct onnx *o, const char *name, int type, const char *batch, size_t cols);
void onnx_output(struct onnx *o, const char *name, const char *batch, size_t cols);

/* Constants. Give their names. cols 0: one-dimensional; rows 0 and cols 0: a scalar.
 * stride: floats from row to row. */
const char *onnx_floats(struct onnx *o, size_t rows, size_t cols, size_t stride, const float *v);
const char *onnx_doubles(struct onnx *o, size_t n, const double *v); /* 0: a scalar */
const char *onnx_ints(struct onnx *o, size_t n, const int64_t *v);   /* 0: a scalar */

/* A node with one result; inputs end with NULL. attributes: made by the functions below,
 * taken and emptied. out NULL: a new name. Gives the result's name. */
const char *onnx_node(struct onnx *o, const char *op, const char *out, struct buffer *attributes, ...);
const char *onnx_node_of(struct onnx *o, const char *op, const char *domain, const char *out,
                         struct buffer *attributes, const char *const *inputs, size_t n);
void onnx_attribute_int(struct buffer *attributes, const char *name, int64_t v);
void onnx_attribute_float(struct buffer *attributes, const char *name, float v);
void onnx_attribute_ints(struct buffer *attributes, const char *name, const int64_t *v, size_t n);
void onnx_attribute_text(struct buffer *attributes, const char *name, const char *v);

#endif
