/* Dropout (Srivastava et al. 2014): in training a value is kept with probability
 * 1 - rate and divided by it, else it is 0; scoring does nothing. Which values are kept
 * is a function of numbers that no layout changes (docs/adr/0015-dropout.md):
 *
 *   key of a row    Philox of (seed, step), counter: the row's number in prepared data
 *   key of a layer  of (row's key, name of unit and number of layer)
 *   column j        two rounds of a 32-bit mixer over the layer's key and j
 *
 * So nothing is stored: backward computes the same factors again. */
#ifndef MTPS_MODEL_DROPOUT_H
#define MTPS_MODEL_DROPOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of one layer; all 0: none. */
struct dropout {
    float rate, scale; /* scale = 1 / (1 - rate) */
    uint32_t below;    /* columns whose number is below are 0 */
    uint64_t name;
};

/* 0 < rate < 1. unit: "tower/click". */
struct dropout dropout_make(double rate, const char *unit, size_t layer);

/* keys[n] of the rows with these numbers in a step. */
void dropout_keys(uint64_t seed, uint64_t step, size_t n, const uint64_t *row,
                  uint64_t *keys);

/* y[rows, n] (stride ld): values kept are scaled, the others become 0. */
void dropout_apply(const struct dropout *d, size_t rows, size_t n, const uint64_t *keys,
                   float *y, size_t ld);

/* Whether column j of the row with this key is kept: the same for one value. */
bool dropout_keeps(const struct dropout *d, uint64_t key, size_t j);

#endif
