/* Losses of one task over rows: value in double, gradient by the logit; y is the
 * target of the label (common/math/target.h).
 *
 *   bce, completion    softplus(z) - y z, y in [0, 1]   (one logit a task, no clipping)
 *   mse, log_mse       (z - y)^2
 *   huber              e^2 / 2 where |e| <= delta, delta (|e| - delta / 2) beyond
 *   weighted_logistic  y softplus(-z) + softplus(z), y >= 0: a positive of weight y
 *                      and a negative of weight 1; least where e^z is the mean of y
 *
 * A row whose label is NaN has no loss and a zero gradient. */
#ifndef MTPS_MODEL_LOSS_H
#define MTPS_MODEL_LOSS_H

#include <stddef.h>

#include "common/config/settings.h"

struct loss_rows {
    size_t n;
    const float *z; /* logits, stride ldz */
    size_t ldz;
    const float *label;  /* stride ld */
    const float *weight; /* stride ld */
    size_t ld;
    const float *duration; /* stride ld; NULL when the loss is not completion */
};

/* Adds weight * loss * scale to *sum, row after row, and writes
 * dz = weight * dloss/dz * scale * task_weight (stride ldz). */
void loss_forward_backward(enum loss_kind kind, double delta,
                           const struct loss_rows *rows, double scale, double task_weight,
                           double *sum, float *dz);

/* AITM's label constraint: a step of a funnel is not more likely than the one before.
 * Adds weight * alpha * max(p - p_before, 0) * scale to *sum for the rows that have the
 * later step's label, and its derivatives, with task_weight, to dz and dz_before. z_before
 * and dz_before have strides of their own. */
void loss_constraint(double alpha, const struct loss_rows *rows, const float *z_before,
                     size_t ld_before, double scale, double task_weight, double *sum,
                     float *dz, float *dz_before);
/* max(p - p_before, 0) of one row, and its derivatives by both logits. */
double loss_constraint_value(double z, double z_before, double *dz, double *dz_before);

/* Loss and derivative of one row with target y. */
double loss_value(enum loss_kind kind, double delta, double z, double y, double *dz);

#endif
