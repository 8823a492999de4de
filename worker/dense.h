/* The dense part of a model in one piece, on its way between checkpoints and servers. */
#ifndef MTPS_WORKER_DENSE_H
#define MTPS_WORKER_DENSE_H

#include "common/math/optim.h"
#include "worker/client.h"
#include "worker/session.h"
#include "worker/train_state.h"

/* Whole vectors, zeroed. */
struct dense {
    size_t n;
    float *params;
    float *slots[OPTIM_MAX_SLOTS];
    struct optim_layout layout;
};
enum status dense_make(const struct session *s, struct dense *d, struct error *err) MUST_USE;
void dense_close(struct dense *d);

/* The model's tensors as views into a flat vector, in order. */
void dense_views(const struct model *m, float *flat, struct named_array *out);

/* To the servers, with counters. n_slots 0: optimiser state starts fresh. */
enum status dense_put(const struct session *s, struct client *client, const struct dense *d,
                      size_t n_slots, const struct train_state *at, struct error *err) MUST_USE;

#endif
