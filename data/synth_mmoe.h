/* Two regression tasks of chosen relatedness, after the MMoE paper (KDD'18, section
 * 3.2):
 *
 *   u1, u2  orthonormal in R^d             w1 = c u1,  w2 = c (p u1 + sqrt(1 - p^2) u2)
 *   x       normal, independent            s_t = w_t . x
 *   y_t     s_t + sum_i sin(a_i s_t + b_i) + noise
 *
 * a_i and b_i are normal numbers of the function's own seed, so that data sets of
 * several seeds ask for the same function; everything else follows from the seed.
 * Numbers of x have four decimals and y is computed from them as they are written. */
#ifndef MTPS_DATA_SYNTH_MMOE_H
#define MTPS_DATA_SYNTH_MMOE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct synth_mmoe_spec {
    size_t features;    /* d, at least 2 */
    size_t terms;       /* sines, at most SYNTH_MAX_TERMS */
    double correlation; /* p, cosine of w1 and w2, 0 .. 1 */
    double scale;       /* c */
    double noise;       /* standard deviation */
    uint64_t seed, function;
};
enum { SYNTH_MAX_TERMS = 1000 };

/* Which rows: row numbers count from 0 in each part. */
enum synth_part { SYNTH_TRAIN, SYNTH_EVAL, SYNTH_VALID };

struct synth_mmoe;
enum status synth_mmoe_create(const struct synth_mmoe_spec *spec, struct synth_mmoe **out,
                              struct error *err) MUST_USE;
void synth_mmoe_destroy(struct synth_mmoe *s);
/* x[d], y[2] of one row; any thread may ask, in any order. */
void synth_mmoe_row(const struct synth_mmoe *s, enum synth_part part, uint64_t row,
                    double *x, double *y);

/* Of y1 and y2 as random variables, in closed form. */
double synth_mmoe_variance(const struct synth_mmoe *s);
double synth_mmoe_label_correlation(const struct synth_mmoe *s);

#endif
