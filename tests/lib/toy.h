/* A toy training job for tests of servers, clients and transports: a few tables
 * over a small universe of keys, a dense vector, and lanes whose gradients are a
 * fixed function of (seed, step, lane, key) and of the parameters pulled, so that
 * a wrong row or a wrong sum changes everything after it.
 *
 * toy_reference() is the whole job in plain loops: lanes summed up the tree by
 * recursion over arrays indexed by key, one optimiser call per key. */
#ifndef MTPS_TESTS_TOY_H
#define MTPS_TESTS_TOY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/net/wire.h"
#include "ps/server.h"

enum { TOY_TABLES = 4, TOY_KEYS = 61, TOY_MAX_LANES = 16 };

struct toy {
    struct server_spec server; /* index, n_servers, n_workers, n_shards to be set */
    struct table_spec tables[TOY_TABLES];
    size_t dims[TOY_TABLES];
    uint64_t keys[TOY_TABLES][TOY_KEYS]; /* in (bucket, key) order */
    uint64_t steps;
    int64_t nonfinite_step; /* a lane of this step is not finite; -1 = none */
    float grad_scale;
};
/* Sensible values: 8 lanes, 3000 dense floats, Adam and four kinds of tables. */
void toy_make(struct toy *t, uint64_t seed);

/* One table's sum over some lanes, by place of the key. */
struct toy_rows {
    uint32_t count[TOY_KEYS]; /* 0 = absent */
    float *grads;             /* [TOY_KEYS, dim] */
};
struct toy_sum {
    bool present;
    float *dense;
    struct toy_rows rows[TOY_TABLES];
};

/* What a worker holds. */
struct toy_worker {
    const struct toy *toy;
    size_t first, end;               /* lanes */
    bool used[TOY_TABLES][TOY_KEYS]; /* keys of the step pulled */
    struct wire_keys pulls[TOY_TABLES];
    uint64_t pull_keys[TOY_TABLES][TOY_KEYS];
    struct wire_part parts[TOY_MAX_LANES];
    struct wire_run runs[TOY_MAX_LANES][TOY_TABLES];
    size_t n_parts;
    void *memory[TOY_MAX_LANES * (1 + 4 * TOY_TABLES)];
    size_t n_memory;
};
void toy_worker_make(const struct toy *t, size_t worker, size_t n_workers,
                     struct toy_worker *w);
void toy_worker_close(struct toy_worker *w);

/* Message number `step` of this worker: push of step - 1 computed from `answer`
 * (the answer of message step - 1, NULL when step is 0), pull for `step`.
 * Returns the flags to send with it. Valid until the next call. */
void toy_message(struct toy_worker *w, uint64_t step, const struct wire_answer *answer,
                 struct wire_step *out);

/* Final state: parameters and every row. */
struct toy_state {
    size_t n_dense;
    float *params;
    bool known[TOY_TABLES][TOY_KEYS];
    float *rows[TOY_TABLES];    /* [TOY_KEYS, dim]: of unknown keys the initial row */
    uint64_t seen[TOY_TABLES][TOY_KEYS]; /* occurrences pushed */
    uint64_t updates;
};
void toy_state_make(const struct toy *t, struct toy_state *s);
void toy_state_close(struct toy_state *s);
void toy_reference(const struct toy *t, struct toy_state *out);
/* Bits of parameters and rows are equal (assertion). */
void toy_state_equal(const struct toy *t, const struct toy_state *a,
                     const struct toy_state *b);

#endif
