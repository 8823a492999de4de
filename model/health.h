/* How gates, experts and tasks are doing over scored rows: how each gate spreads its
 * weight, which units are dead, and whether the tasks' gradients point the same way.
 *
 *   load     mean weight that a gate gives each of its experts
 *   entropy  mean over rows of -sum g ln g / ln n of a gate over n > 1 experts: 1 where all
 *            weigh the same, 0 where one has all
 *   dead     share of a stack's relu units that are 0 in every row
 *   cosine   between the gradients of two tasks' losses at the shared representation
 *            nearest to the towers (surgery.h); tasks' weights do not matter, rows' do.
 *            From the first HEALTH_ROWS rows of every block
 *
 * Whoever scores a block of rows watches it; the block is taken from the watch. Sets of
 * several workers are packed, sent and merged. health_finalize adds up blocks by index, so
 * that the result does not depend on who scored what. Not thread-safe. */
#ifndef MTPS_MODEL_HEALTH_H
#define MTPS_MODEL_HEALTH_H

#include "model/model.h"

enum { HEALTH_ROWS = 128 };

/* What one thread sees; from its creation on infer_forward with this work feeds it, with
 * batches that have labels. Made before the first forward, destroyed before the work. */
struct watch;
enum status watch_create(const struct model *m, struct infer_work *w, struct watch **out,
                         struct error *err) MUST_USE;
void watch_destroy(struct watch *w);

struct health; /* of a model; blocks and what they add up to */
enum status health_create(const struct model *m, struct health **out,
                          struct error *err) MUST_USE;
void health_destroy(struct health *h);

/* What w has seen since the last call becomes this block, once for each index. */
enum status health_take(struct health *h, uint64_t block, struct watch *w,
                        struct error *err) MUST_USE;

/* Everything taken so far as bytes (for a peer of the same build and model). */
size_t health_pack_bytes(const struct health *h);
void health_pack(const struct health *h, void *out);
/* Adds what another set packed. ST_PEER when the bytes are not of this model. */
enum status health_merge(struct health *h, const void *bytes, size_t n,
                         struct error *err) MUST_USE;

struct health_gate {
    const char *name;   /* LEVEL/TASK or LEVEL/shared, "0/click" */
    size_t n;           /* experts */
    double *load;       /* [n] own experts first, then the shared ones */
    double entropy;     /* NaN with one expert */
};
struct health_stack {
    const char *name; /* "expert/level0/shared/2" */
    double dead;
};
/* Valid until the next call for h. Without rows, loads and entropies are NaN. */
struct health_result {
    size_t n_gates, n_stacks, n_tasks;
    const struct health_gate *gates;
    const struct health_stack *stacks; /* those with relu units */
    const double *cosine; /* [n_tasks, n_tasks], NaN where a gradient is 0; NULL when the
                             tasks share nothing above the inputs */
};
enum status health_finalize(struct health *h, struct health_result *out,
                            struct error *err) MUST_USE;

#endif
