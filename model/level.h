/* All levels of a model over one chunk of rows: everything between layer 1 and
 * the logits, forward and backward, once for every architecture. */
#ifndef MTPS_MODEL_LEVEL_H
#define MTPS_MODEL_LEVEL_H

#include "model/layers.h"
#include "model/mix.h"
#include "model/net.h"

/* A chunk of rows of every buffer, [n, buffer.width]. act of NET_Y points into
 * layer 1's output; grad is all NULL when there is no backward pass. */
struct level_chunk {
    size_t n, max; /* rows now, and at most */
    float **act, **grad;   /* [n_buffers] */
    float **pre;           /* [n_buffers], NULL where not needed */
    const uint64_t *keys;  /* [n] the rows' keys of dropout; NULL: none, as in scoring */
    float **norm;          /* [n_norms] memory of norm.h; NULL without a backward pass */
    struct mix_rows *rows; /* scratch: [most experts of a mix] */
    struct mix_use *uses;  /* scratch: [most mixes of a level] */
    struct surgery *surgery; /* of the caller: what pcgrad and mgda do; NULL: nothing */
};

/* Pointers for every buffer but NET_Y, for `rows` rows at most, zeroed so that
 * padding stays 0. */
enum status level_chunk_create(const struct net *net, bool backward, size_t rows,
                               struct level_chunk **out, struct error *err) MUST_USE;
void level_chunk_destroy(struct level_chunk *c, const struct net *net);

/* act[NET_Y] holds layer 1 before activation; afterwards every act is filled and
 * the logits stand where net->heads says. */
void level_forward(const struct net *net, const struct net_level *level,
                   const float *params, enum product kind, struct level_chunk *c);

/* From the gradients of the level's outputs to those of its inputs; gradients of
 * parameters are added to grad. Levels go backwards; the block that reads x is
 * left at its output's gradient, for layer1_backward. */
void level_backward(const struct net *net, const struct net_level *level,
                    const float *params, struct level_chunk *c, float *grad);

#endif
