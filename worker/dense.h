/* The dense part of a model in one piece, on its way between checkpoints and servers. */
#ifndef MTPS_WORKER_DENSE_H
#define MTPS_WORKER_DENSE_H

#include "common/math/optim.h"
#include "worker/client.h"
#include "worker/session.h"
#include "worker/train_state.h"

/* Whole vectors, zeroed. The weights of a wide part have an optimiser of their own; slots
 * are as many as the one with more of them has. */
struct dense {
    size_t n, n_slots;
    float *params;
    float *slots[OPTIM_MAX_SLOTS];
    struct optim_layout layout, wide_layout;
    struct range wide; /* floats of the wide part */
};
enum status dense_make(const struct session *s, struct dense *d, struct error *err) MUST_USE;
void dense_close(struct dense *d);

/* What the optimiser of a tensor keeps. */
const struct optim_layout *dense_layout(const struct dense *d, const struct model_tensor *t);
/* Slots as they are before the first update. */
void dense_fresh(const struct settings *s, struct dense *d);

/* The model's tensors as views into a flat vector, in order. */
void dense_views(const struct model *m, float *flat, struct named_array *out);
/* Slots with views of their tensors: out[2 OPTIM_MAX_SLOTS] at most, views[OPTIM_MAX_SLOTS
 * times the model's tensors]. Gives the number of slots. */
size_t dense_slots(const struct model *m, const struct dense *d, struct named_array *views,
                   struct ckpt_slot *out);

/* To the servers, with counters. n_slots 0: optimiser state starts fresh. */
enum status dense_put(const struct session *s, struct client *client, const struct dense *d,
                      size_t n_slots, const struct train_state *at, struct error *err) MUST_USE;

#endif
