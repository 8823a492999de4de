/* An ONNX graph as bytes: the few messages of onnx.proto that are needed (protocol buffers,
 * field numbers beside each). Inputs, outputs, constants and results share one space of
 * names: what a configuration names goes through onnx_reserve before anything else, the
 * rest gets names from onnx_new, which step aside. After a failed allocation everything
 * does nothing and onnx_finish says so. Inside serve/. */
#ifndef MTPS_SERVE_ONNX_PROTO_H
#define MTPS_SERVE_ONNX_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/config/buffer.h"

enum { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_BOOL = 9, ONNX_DOUBLE = 11 };

/* An input or output of the graph: what (`the offsets of feature`) of whom (`tags`). */
struct onnx_value {
    const char *name, *what, *owner;
    int type;
    size_t cols; /* 0: one-dimensional */
    bool output;
};

struct onnx {
    struct arena *arena; /* owns names */
    struct onnx_value *values; /* inputs and outputs, in the order of the graph */
    size_t n_values, max_values;
    size_t clash[2]; /* the first two of one name; equal: there are none */
    struct buffer nodes, initializers, inputs, outputs;
    size_t n_names;
    size_t underscores; /* in front of new names: more than any reserved one has */
    bool failed;
};
enum status onnx_init(struct onnx *o, struct error *err) MUST_USE;
void onnx_close(struct onnx *o);
/* The whole model; text is mem_free'd. ST_USAGE when two inputs or outputs have one name;
 * ST_CANTCREATE beyond 2 GiB, which protocol buffers cannot hold. */
enum status onnx_finish(struct onnx *o, const char *name, char **bytes, size_t *n,
                        struct error *err) MUST_USE;

/* A name that inputs or outputs will have, maybe with something behind it. */
void onnx_reserve(struct onnx *o, const char *name);
/* A name that nothing else has, reserved ones included. */
const char *onnx_new(struct onnx *o, const char *what);

/* Graph inputs and outputs: [batch] or [batch, cols] (cols 0: one-dimensional); batch is
 * the name of a free dimension; what and owner stay the caller's. */
void onnx_input(struct onnx *o, const char *name, const char *what, const char *owner, int type, const char *batch,
                size_t cols);
void onnx_output(struct onnx *o, const char *name, const char *what, const char *owner, const char *batch, size_t cols);

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
