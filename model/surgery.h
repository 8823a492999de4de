/* Where the gradients of several tasks meet on the way back, and what pcgrad and mgda do
 * there. z is what several tasks read:
 *
 *   towers   the buffer before the towers, when it is one for all (share_bottom, omoe):
 *            g_k = dL_k/dz
 *   mixes    the outputs of the experts that the gates of several tasks mix (mmoe; the
 *            shared experts of cgc and of every level of ple): what the gate of task k
 *            sends to expert e, g_k = gate weight_ke * dL/d(mixture of k)
 *
 * With L the sum of the tasks' weighted losses of a lane, and z of all its rows one long
 * vector, the gradient sum_k g_k of z becomes sum_k coef_k g_k, coef from the inner
 * products of the lane (balance.h). Nothing else changes: towers, the tasks' gates and own
 * experts learn as ever, and what a shared gate of ple sends down, a combination made a
 * level above, is added as it is. */
#ifndef MTPS_MODEL_SURGERY_H
#define MTPS_MODEL_SURGERY_H

#include "model/level.h"

/* What the random order of pcgrad follows from: balance_order(). */
struct surgery_turn {
    uint64_t seed, step, row;
};

struct surgery {
    enum balance_kind kind;
    struct surgery_turn turn;
    size_t K;
    size_t place;    /* places met so far on the way back */
    float **d;       /* [K] -> [rows, widest src] gradients of each task at towers */
    double *gram;    /* [K, K] */
    double *coef;    /* [K] */
    double *scratch; /* [K] */
    uint32_t *order; /* [K, K - 1] */
};

/* For chunks of at most `rows` rows. */
enum status surgery_create(const struct net *net, size_t n_tasks, enum balance_kind kind,
                           size_t rows, struct surgery **out, struct error *err) MUST_USE;
void surgery_destroy(struct surgery *s);
/* The way back starts. */
void surgery_begin(struct surgery *s, const struct surgery_turn *turn);

/* gram[K, K] += inner products over the chunk's rows. grad of the tower's first layers,
 * or of the mixtures, must be there; d: scratch as in struct surgery. */
void surgery_gram_towers(const struct net *net, const struct net_block *b,
                         const float *params, const struct level_chunk *c, size_t K,
                         float *const *d, double *gram);
void surgery_gram_mixes(const struct net *net, const struct net_level *level,
                        const struct level_chunk *c, size_t K, double *gram);

/* A meeting block's gradient of its source: overwritten, or added to (b->add). */
void surgery_towers(const struct net *net, const struct net_block *b, const float *params,
                    struct level_chunk *c);
/* c->surgery->coef for the experts of a meeting level. */
void surgery_mixes(const struct net *net, const struct net_level *level,
                   struct level_chunk *c);

#endif
