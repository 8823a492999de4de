/* How parameters of a hot-started run learn: what is frozen and until when, factors of
 * learning rates, columns of gates that open, tasks whose loss weight rises. Made from the
 * plan of a hot start, kept in checkpoints by name, so that a resumed run needs neither the
 * plan nor its source. */
#ifndef MTPS_WORKER_RATES_H
#define MTPS_WORKER_RATES_H

#include "worker/client.h"
#include "worker/hot_plan.h"

struct rates {
    struct wire_rate v[WIRE_MAX_RATES]; /* 0: learns plainly */
    size_t n;
    uint8_t *dense;  /* [n_dense] place in v */
    uint8_t *tables; /* [n_tables] */
    uint8_t *ramped; /* [n_tasks] 1: its loss weight rises */
    size_t n_dense, n_tables, n_tasks;
    uint64_t ramp_from, ramp;
    struct named_array *arrays; /* as checkpoints hold them */
    size_t n_arrays;
    struct arena *arena; /* owns all of it */
};

/* What a model is to this file. */
struct rates_model {
    const char *const *tables;
    size_t n_tables;
    const struct model_tensor *tensors;
    size_t n_tensors, n_params;
    const struct settings *settings;
};

/* *out NULL when everything learns plainly. */
enum status rates_make(const struct hot_plan *plan, const struct rates_model *m,
                       struct rates **out, struct error *err) MUST_USE;
/* From a checkpoint of the run (ckpt_read_state done); *out NULL when it has none. */
enum status rates_read(struct ckpt *ckpt, const struct rates_model *m, struct rates **out,
                       struct error *err) MUST_USE;
void rates_destroy(struct rates *r);

enum status rates_put(const struct rates *r, struct client *client, struct error *err) MUST_USE;
/* Factor of a task's loss in a step; r may be NULL. */
double rates_loss(const struct rates *r, size_t task, uint64_t step);

#endif
