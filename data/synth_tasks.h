/* Binary tasks of chosen relatedness over Zipf ids and numbers, with the probability
 * of every label known.
 *
 *   id_f       Zipf: P(k) ~ (k + 1)^-s, independent per feature    x_j  normal
 *   r_0 .. r_K shared and own scores: effects of ids and numbers, and products of
 *              latent vectors of neighbouring id features, all random
 *   z_0 .. z_K the scores, made uncorrelated with mean 0 and variance 1
 *   logit_k    bias_k + signal (sqrt(p) z_0 + sqrt(1 - p) z_k)
 *
 * so that the logits of any two tasks have correlation p, the standard deviation
 * `signal`, and biases give the wanted rates; moments and biases are taken over
 * SYNTH_CALIBRATION rows of their own. Labels are drawn independently given the
 * logits, and are present with a probability of their own.
 *
 * A funnel has two tasks: the second label is 1 only where the first is, its
 * probability is that given the first, and its rate the share among these rows. */
#ifndef MTPS_DATA_SYNTH_TASKS_H
#define MTPS_DATA_SYNTH_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "data/synth_mmoe.h"

enum {
    SYNTH_MAX_TASKS = 64,
    SYNTH_MAX_FEATURES = 1000,
    SYNTH_MAX_IDS = 10000000,
    SYNTH_CALIBRATION = 20000
};

struct synth_tasks_spec {
    size_t n_tasks;
    double correlation; /* p, 0 .. 1 */
    double signal;
    double rate[SYNTH_MAX_TASKS];    /* share of positives, in (0, 1) */
    double present[SYNTH_MAX_TASKS]; /* share of rows with a label */
    size_t n_ids, n_dense;           /* features */
    size_t vocabulary;               /* ids of a feature */
    double zipf;                     /* s; 0: all ids alike */
    double interaction;              /* share of variance that products make, 0 .. 1 */
    bool funnel;
    uint64_t seed;
};

struct synth_tasks_row {
    uint64_t id[SYNTH_MAX_FEATURES];
    double x[SYNTH_MAX_FEATURES]; /* four decimals */
    double probability[SYNTH_MAX_TASKS];
    double label[SYNTH_MAX_TASKS]; /* 0 or 1; NaN = absent */
};

struct synth_tasks;
/* ST_USAGE when features are too few for so many uncorrelated scores. */
enum status synth_tasks_create(const struct synth_tasks_spec *spec,
                               struct synth_tasks **out, struct error *err) MUST_USE;
void synth_tasks_destroy(struct synth_tasks *s);
/* One row; any thread may ask, in any order. */
void synth_tasks_row(const struct synth_tasks *s, enum synth_part part, uint64_t row,
                     struct synth_tasks_row *out);

#endif
