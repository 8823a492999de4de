/* Between labels as users see them and outputs of a model: what a loss compares
 * the output z with, and what z says in units of the label. d is the row's
 * duration (completion alone reads it).
 *
 *   loss               target         value
 *   bce                y              sigmoid(z)
 *   mse, huber         y              z
 *   weighted_logistic  y              e^z, the odds
 *   completion         min(y / d, 1)  sigmoid(z) d
 *   log_mse            log(1 + y)     e^z - 1, at least 0 */
#ifndef MTPS_MATH_TARGET_H
#define MTPS_MATH_TARGET_H

#include <stdbool.h>

#include "common/config/settings.h"

double target_of_label(enum loss_kind kind, double y, double d);
/* The output whose value is the mean target: where the last bias starts. */
double target_logit(enum loss_kind kind, double mean);
double target_value(enum loss_kind kind, double z, double d);

/* Labels are times: numbers from 0 on. */
static inline bool target_is_time(enum loss_kind kind)
{
    return kind == LOSS_WEIGHTED_LOGISTIC || kind == LOSS_COMPLETION ||
           kind == LOSS_LOG_MSE;
}

/* Targets are shares, and a constant one has no finite output. */
static inline bool target_is_share(enum loss_kind kind)
{
    return kind == LOSS_BCE || kind == LOSS_COMPLETION;
}

#endif
