/* The lanes of one worker: which distinct keys they want together, and the sum
 * of their gradients up the lane tree (DESIGN section 4 rule 2).
 *
 *        node (level 2, index 0)            a worker owns lanes [first, end) and
 *          /               \                sends one part per maximal aligned
 *      (1,0)              (1,1)             subtree of them; servers join parts
 *      /    \             /   \             further up. A lane without rows is
 *   lane 0  lane 1    lane 2  lane 3        absent: its sibling passes through.
 *
 * Per table and slot (steps in flight): the union of the lanes' keys (what is
 * pulled), each lane's place in it, and per part the keys it pushes.
 * lanes_unite() and lanes_reduce() may run for different tables / threads at
 * once. Nothing is allocated after lanes_create(). */
#ifndef MTPS_WORKER_LANES_H
#define MTPS_WORKER_LANES_H

#include "common/net/wire.h"
#include "data/batch.h"

struct lanes_spec {
    size_t n_lanes, first, end; /* this worker's lanes of all */
    size_t n_tables;
    const size_t *dim;      /* [n_tables] */
    const size_t *max_keys; /* [n_tables] distinct keys of one lane at most */
    size_t n_params;
};

struct lanes;
enum status lanes_create(const struct lanes_spec *spec, struct lanes **out, struct error *err) MUST_USE;
void lanes_destroy(struct lanes *l);

enum { LANE_SLOTS = 3 };

/* The largest step message of this worker, without its head: parts with full runs, and
 * keys to pull. */
uint64_t lanes_message_bytes(const struct lanes *l);

/* The batches of one step for this slot: batches[end - first]. Then, for every table,
 * lanes_unite once. */
void lanes_set(struct lanes *l, size_t slot, const struct batch *const *batches);
void lanes_unite(struct lanes *l, size_t slot, size_t table);

/* Keys to pull: [n_tables]. Valid until the slot is set again. */
const struct wire_keys *lanes_pull(const struct lanes *l, size_t slot);
/* Place of lane i's keys in the pulled rows, per table (NULL: the same place). */
const uint32_t *const *lanes_place(const struct lanes *l, size_t slot, size_t lane);

/* Sum gradients of the step in the slot. grad[i][P] of lane i (its subtree's
 * sum ends in the grad of the subtree's first present lane), row_grad[i][t]. Call for
 * every thread of n_threads, then lanes_parts(). */
void lanes_reduce(struct lanes *l, size_t slot, float *const *grad, float *const *const *row_grad,
                  size_t thread, size_t n_threads);
/* The parts to push, in tree order; pointers into the lanes' buffers and grad. */
const struct wire_part *lanes_parts(struct lanes *l, size_t slot, float *const *grad,
                                    float *const *const *row_grad, size_t *n_parts);

#endif
