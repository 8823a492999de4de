#include "common/math/target.h"

#include "common/math/fmath.h"

double target_of_label(enum loss_kind kind, double y, double d)
{
    if (kind == LOSS_LOG_MSE) return fmath_log1p(y);
    if (kind != LOSS_COMPLETION) return y;
    return y < d ? y / d : 1;
}

double target_logit(enum loss_kind kind, double mean)
{
    if (target_is_share(kind)) return fmath_log(mean) - fmath_log(1 - mean);
    return kind == LOSS_WEIGHTED_LOGISTIC ? fmath_log(mean) : mean;
}

double target_value(enum loss_kind kind, double z, double d)
{
    switch (kind) {
    case LOSS_BCE:
        return fmath_sigmoid(z);
    case LOSS_WEIGHTED_LOGISTIC:
        return fmath_exp(z);
    case LOSS_COMPLETION:
        return fmath_sigmoid(z) * d;
    case LOSS_LOG_MSE:
        return z > 0 ? fmath_exp(z) - 1 : 0;
    case LOSS_MSE:
    case LOSS_HUBER:
        break;
    }
    return z;
}
