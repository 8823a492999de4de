/* Messages between workers and servers, declared once. All numbers are
 * little-endian and of fixed width; a message starts with a header {magic,
 * version, kind, ...} and sections follow, each 8-byte aligned; every size in a
 * header is checked against the message before use (a damaged or foreign message
 * is ST_PEER with the check named, never a crash). No C struct is ever sent.
 *
 * A *view* is a decoded message: numbers plus pointers into the message's bytes
 * (or, in one process, straight into the sender's buffers: encode and decode are
 * then skipped for the sections, and the same server code reads the view).
 *
 * step:    worker -> server, one a step, also when empty
 *          header {step, flags, n_parts, dense floats of this server, n_tables}
 *          n_parts of { tree node; dense gradient[n_dense]; per table: n, keys[n], counts[n],
 *                       gradients[n, dim] }           push of step - 1
 *          per table: n, keys[n]                       pull for this step
 * answer:  server -> worker
 *          header {step, flags}, dense[n_dense], per table rows[n, dim] in the order asked
 */
#ifndef MTPS_NET_WIRE_H
#define MTPS_NET_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/net/transport.h"

enum { WIRE_VERSION = 1 };

enum wire_flags {
    WIRE_NONFINITE = 1,  /* a lane of the pushed step was not finite: all skip the step */
    WIRE_CHECKPOINT = 2, /* commit at the edge of the next step */
    WIRE_STOP = 4,       /* stop at the edge of the next step */
    WIRE_NO_PUSH = 8,    /* first message after start or resume */
    WIRE_NO_PULL = 16,   /* last message */
};

/* A node of the binary tree over lanes: lanes [index << level, (index + 1) << level). */
struct wire_node {
    uint32_t level, index;
};

struct wire_keys {
    size_t n;
    const uint64_t *keys; /* (bucket, key) order */
};

struct wire_run {
    size_t n;
    const uint64_t *keys;   /* [n] strictly increasing in (bucket, key) order */
    const uint32_t *counts; /* [n] occurrences */
    const float *grads;     /* [n, dim] */
};

/* A maximal aligned subtree of a worker's lanes, already summed. */
struct wire_part {
    struct wire_node node;
    const float *dense;          /* [n_dense of this server] */
    const struct wire_run *runs; /* [n_tables] */
};

struct wire_step {
    uint64_t step;    /* the step whose rows are asked for; the push belongs to step - 1 */
    uint32_t flags;
    size_t n_parts, n_tables, n_dense;
    const struct wire_part *parts;  /* [n_parts] */
    const struct wire_keys *pulls;  /* [n_tables] */
};

struct wire_answer {
    uint64_t step;
    uint32_t flags;
    uint64_t updates; /* optimiser updates done so far (skipped steps do not count) */
    size_t n_tables, n_dense;
    const float *dense;              /* [n_dense] parameters */
    const float *const *rows;        /* [n_tables] -> [n, dim] */
    const size_t *n_rows;            /* [n_tables] */
};

/* A growable byte buffer for encoded messages; reused, so that nothing is
 * allocated once it has its size. */
struct wire_buffer {
    unsigned char *data;
    size_t bytes, capacity;
};

#endif
