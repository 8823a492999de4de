/* What an op computes, as a few kinds of steps over whole values: how others write it down
 * (serve/onnx.c). A value is [rows, n]; its name is that of whoever listens. Steps of two
 * values spread [rows, 1], and constants [n], over the other one. */
#ifndef MTPS_MODEL_OP_TRACE_H
#define MTPS_MODEL_OP_TRACE_H

#include <stddef.h>

enum op_step {
    STEP_ADD,
    STEP_SUB,
    STEP_MUL,
    STEP_DIV,
    STEP_RELU, /* from here on of one value */
    STEP_SIGMOID,
    STEP_SQRT,
    STEP_LOG,
    STEP_ROW_SUM /* [rows, n] -> [rows, 1] */
};

typedef const char *op_value;

struct op_trace {
    const float *params; /* the whole vector */
    void *arg;
    /* Columns [col, col + n) of a buffer, and giving them their value. */
    op_value (*read)(void *arg, size_t buf, size_t col, size_t n);
    void (*write)(void *arg, size_t buf, size_t col, size_t n, op_value value);
    /* x w + b: w [in, out] at params + w with row stride ldw; b NET_NONE: none. */
    op_value (*product)(void *arg, op_value x, size_t in, size_t out, size_t w, size_t ldw,
                        size_t b);
    op_value (*step)(void *arg, enum op_step step, op_value a, op_value b);
    op_value (*constant)(void *arg, size_t n, const float *v);
};

/* One number. */
static inline op_value trace_number(const struct op_trace *t, float x)
{
    return t->constant(t->arg, 1, &x);
}
static inline op_value trace_step(const struct op_trace *t, enum op_step step, op_value a,
                                  op_value b)
{
    return t->step(t->arg, step, a, b);
}
/* <a, b> of each row. */
static inline op_value trace_dot(const struct op_trace *t, op_value a, op_value b)
{
    return trace_step(t, STEP_ROW_SUM, trace_step(t, STEP_MUL, a, b), NULL);
}

#endif
