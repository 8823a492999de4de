/* What one thread sees of the health of a model while it scores: between infer.c, which
 * has the activations, and health.c. */
#ifndef MTPS_MODEL_WATCH_H
#define MTPS_MODEL_WATCH_H

#include "model/health.h"
#include "model/level.h"

struct watch {
    const struct model *m;
    size_t n_values, n_units;
    double *values; /* [n_values] sums of a block: per mix its weights, then its entropy;
                       the tasks' Gram matrix [K, K] where they meet; rows */
    uint8_t *alive; /* [n_units] relu units, layer after layer: 1 once not 0; never reset */
    size_t *dead;   /* [n_layers] units of the layer that are not alive yet */
    float *dy;      /* [NET_CHUNK, N] gradient of layer 1, which nobody reads */
    float *grad;    /* [P] nor those of parameters */
    float **d;      /* [K] of surgery.h */
    double *ones;   /* [K] */
    double *loss;   /* [K] */
};

/* A layer whose units may be dead. */
static inline bool watch_relu(const struct net_layer *l)
{
    return !l->linear && l->act == ACT_RELU;
}

/* Numbers of values and units of a model. */
size_t watch_n_values(const struct model *m);
size_t watch_n_units(const struct model *m);

/* From infer.c: see() is shown every chunk after it was scored: all activations of rows
 * [first, first + c->n) of the batch, and room for their gradients. */
typedef void infer_see(void *arg, const float *params, const struct batch *b,
                       size_t first, struct level_chunk *c);
enum status infer_work_show(struct infer_work *w, infer_see *see, void *arg,
                            struct error *err) MUST_USE;

#endif
