/* The counters of a training, as checkpoints hold them. */
#ifndef MTPS_WORKER_TRAIN_STATE_H
#define MTPS_WORKER_TRAIN_STATE_H

#include "common/net/wire.h"
#include "common/store/ckpt.h"

/* What is kept besides tensors and rows. */
struct train_state {
    uint64_t step, updates, skipped;
    double epoch;
    /* early stopping: the best value so far, its step, evaluations since */
    bool has_best;
    double best;
    uint64_t best_step, stale;
    bool stopped_early;
    struct wire_past past;
};

/* Counters and early stopping in arrays, so that a reader needs no schema. */
enum { TRAIN_STATE_ARRAYS = 3, TRAIN_STATE_COUNTS = 6, TRAIN_STATE_REALS = 2, TRAIN_STATE_PAST = 3 };
struct train_state_arrays {
    uint64_t counts[TRAIN_STATE_COUNTS], past[TRAIN_STATE_PAST];
    double reals[TRAIN_STATE_REALS];
};
/* Fills out[TRAIN_STATE_ARRAYS], views into memory. */
void train_state_list(const struct train_state *s, struct train_state_arrays *memory,
                      struct named_array *out);
enum status train_state_read(struct ckpt *ckpt, struct train_state *s, struct error *err) MUST_USE;

#endif
