/* One tensor of a request (kserve.h): its head, and its elements one by one. */
#ifndef MTPS_SERVE_HTTP_TENSOR_H
#define MTPS_SERVE_HTTP_TENSOR_H

#include "serve/http/ask.h"

enum tensor_type {
    TENSOR_NONE,
    TENSOR_BOOL,
    TENSOR_I8,
    TENSOR_I16,
    TENSOR_I32,
    TENSOR_I64,
    TENSOR_U8,
    TENSOR_U16,
    TENSOR_U32,
    TENSOR_U64,
    TENSOR_F32,
    TENSOR_F64,
    TENSOR_BYTES
};

struct tensor {
    struct text name;
    enum tensor_type type;
    size_t rank, shape[2]; /* rank 1: shape[1] is 1 */
    size_t count;          /* elements by its shape */
    bool has_data;
    struct jsonin data; /* where its elements stand, unless it is binary */
    bool is_binary;
    size_t n_bytes;
    const unsigned char *bytes;
    /* while its elements are read */
    struct pad *pad;
    size_t depth, done;
    const unsigned char *next;
};

/* An object of "inputs"; *err names the tensor. */
enum ask_status tensor_read_head(struct jsonin *r, struct tensor *t, struct error *err) MUST_USE;
bool tensor_is_whole(const struct tensor *t);

/* Begins at the first element; values may lie in the pad. */
enum ask_status tensor_begin(struct tensor *t, struct pad *pad, struct error *err) MUST_USE;
/* The next of `count` elements. */
enum ask_status tensor_next(struct tensor *t, struct mtps_value *out, struct error *err) MUST_USE;
/* There was nothing behind the last one. */
enum ask_status tensor_finish(struct tensor *t, struct error *err) MUST_USE;

/* A fault of this tensor. */
enum ask_status tensor_bad(const struct tensor *t, struct error *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
