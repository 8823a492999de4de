/* Sums over the binary tree of lanes (DESIGN section 4 rule 2). Parts are sums of
 * aligned subtrees, from any number of workers; a missing child passes the other
 * one through. Whatever the parts are, the sequence of additions of a float is
 * that of the whole tree over single lanes, so the bits do not depend on how
 * lanes were dealt to workers. */
#ifndef MTPS_PS_JOIN_H
#define MTPS_PS_JOIN_H

#include "common/base/partition.h"
#include "common/net/wire.h"

/* Parts in lane order and the additions that join them, as a program for a
 * stack: a number >= 0 pushes that part, JOIN_ADD adds the two on top. */
enum { JOIN_ADD = -1 };
struct join_plan {
    size_t n_lanes, max_parts;
    const struct wire_part **parts; /* [n_parts], by first lane */
    size_t n_parts;
    int *ops; /* [n_ops] */
    size_t n_ops;
    size_t depth; /* of the stack */
};
/* max_parts: parts of one step at most. */
enum status join_plan_create(size_t n_lanes, size_t max_parts, struct join_plan *p,
                             struct error *err) MUST_USE;
void join_plan_close(struct join_plan *p);

void join_plan_clear(struct join_plan *p);
/* Borrowed until cleared. ST_PEER when a node lies outside of the lanes, or there
 * are too many. */
enum status join_plan_add(struct join_plan *p, const struct wire_part *part,
                          struct error *err) MUST_USE;
/* After the last part. ST_PEER when two parts hold the same lane. */
enum status join_plan_finish(struct join_plan *p, struct error *err) MUST_USE;

/* Memory for joining, one per thread. */
enum { JOIN_KEYS = 64 };
struct join_work {
    size_t width;                /* floats of a stack place */
    float *stack;                /* [depth + 1][width] */
    float *block;                /* [DENSE_BLOCK] */
    float *sums;                 /* [JOIN_KEYS][max_dim] */
    const float **slots;         /* [depth] */
    const float **values;        /* [max_parts] */
    struct join_cursor *cursors; /* [max_parts] */
};
enum status join_work_create(size_t n_lanes, size_t max_parts, size_t max_dim,
                             struct join_work *w, struct error *err) MUST_USE;
void join_work_close(struct join_work *w);

/* Sum of floats [first, first + n) of the dense gradients, n <= DENSE_BLOCK. The
 * result stands in a part or in w; NULL when there is no part. */
const float *join_dense(const struct join_plan *p, struct join_work *w, size_t first,
                        size_t n);

/* Merge of one table's runs, restricted to a bucket range, in (bucket, key)
 * order. */
void join_runs_begin(const struct join_plan *p, struct join_work *w, size_t table,
                     struct range buckets);
struct join_rows {
    size_t n; /* at most JOIN_KEYS; 0 = done */
    uint64_t keys[JOIN_KEYS];
    uint32_t counts[JOIN_KEYS];
    const float *grads[JOIN_KEYS]; /* [dim], in a part or in w */
};
void join_runs_next(const struct join_plan *p, struct join_work *w, size_t dim,
                    struct join_rows *out);

#endif
