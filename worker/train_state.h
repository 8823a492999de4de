/* The counters of a training, as checkpoints hold them. */
#ifndef MTPS_WORKER_TRAIN_STATE_H
#define MTPS_WORKER_TRAIN_STATE_H

#include "common/net/wire.h"
#include "common/store/ckpt.h"

enum { TRAIN_STATE_DAYS = 366 };

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
    /* First steps of the runs before this one that hot starts went on from, the last
     * TRAIN_STATE_DAYS of them; this one's is past.steps. In steps as rows' last_step. */
    size_t n_days;
    uint64_t days[TRAIN_STATE_DAYS];
};

/* Counters and early stopping in arrays, so that a reader needs no schema. */
enum { TRAIN_STATE_ARRAYS = 4, TRAIN_STATE_COUNTS = 6, TRAIN_STATE_REALS = 2, TRAIN_STATE_PAST = 3 };
struct train_state_arrays {
    uint64_t counts[TRAIN_STATE_COUNTS], past[TRAIN_STATE_PAST], days[TRAIN_STATE_DAYS];
    double reals[TRAIN_STATE_REALS];
};
/* Fills out[TRAIN_STATE_ARRAYS], views into memory; gives their number. */
size_t train_state_list(const struct train_state *s, struct train_state_arrays *memory,
                        struct named_array *out);
enum status train_state_read(struct ckpt *ckpt, struct train_state *s, struct error *err) MUST_USE;

/* The run of this state is over and another goes on from its rows: its days. */
void train_state_next_day(const struct train_state *s, struct train_state *next);
/* The first step of the last n > 0 days (this run is the last, unless it has no step), 0 when
 * there are not so many. */
uint64_t train_state_since(const struct train_state *s, size_t n);

#endif
