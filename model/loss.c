#include "model/loss.h"

#include <math.h>

#include "common/math/fmath.h"
#include "common/math/target.h"

/* With e = exp(-|z|): softplus(z) = max(z, 0) + log1p(e), sigmoid(z) = 1/(1+e) or
 * e/(1+e). */
static double bce(double z, double y, double *dz)
{
    double e = fmath_exp(z < 0 ? z : -z);
    *dz = (z < 0 ? e : 1) / (1 + e) - y;
    return (z > 0 ? z : 0) + fmath_log1p(e) - y * z;
}

/* (1 + y) softplus(z) - y z: y softplus(-z) is y (softplus(z) - z). */
static double weighted_logistic(double z, double y, double *dz)
{
    double e = fmath_exp(z < 0 ? z : -z);
    double p = (z < 0 ? e : 1) / (1 + e), q = (z < 0 ? 1 : e) / (1 + e);
    *dz = p - y * q;
    double log1p = fmath_log1p(e);
    return z < 0 ? log1p + y * (log1p - z) : log1p + z + y * log1p;
}

static double huber(double delta, double z, double y, double *dz)
{
    double e = z - y, size = e < 0 ? -e : e;
    if (size <= delta) {
        *dz = e;
        return 0.5 * e * e;
    }
    *dz = e < 0 ? -delta : delta;
    return delta * (size - 0.5 * delta);
}

double loss_value(enum loss_kind kind, double delta, double z, double y, double *dz)
{
    switch (kind) {
    case LOSS_BCE:
    case LOSS_COMPLETION:
        return bce(z, y, dz);
    case LOSS_WEIGHTED_LOGISTIC:
        return weighted_logistic(z, y, dz);
    case LOSS_HUBER:
        return huber(delta, z, y, dz);
    case LOSS_MSE:
    case LOSS_LOG_MSE:
        break;
    }
    *dz = 2 * (z - y);
    return (z - y) * (z - y);
}

double loss_constraint_value(double z, double z_before, double *dz, double *dz_before)
{
    double p = fmath_sigmoid(z), before = fmath_sigmoid(z_before);
    *dz = *dz_before = 0;
    if (!(p > before)) return p - p; /* 0, or NaN */
    *dz = p * (1 - p);
    *dz_before = -before * (1 - before);
    return p - before;
}

void loss_constraint(double alpha, const struct loss_rows *rows, const float *z_before,
                     size_t ld_before, double scale, double task_weight, double *sum,
                     float *dz, float *dz_before)
{
    for (size_t r = 0; r < rows->n; r++) {
        if (isnan(rows->label[r * rows->ld])) continue;
        double w = alpha * (double)rows->weight[r * rows->ld] * scale, d, d_before;
        *sum += w * loss_constraint_value((double)rows->z[r * rows->ldz],
                                          (double)z_before[r * ld_before], &d, &d_before);
        dz[r * rows->ldz] += (float)(w * task_weight * d);
        dz_before[r * ld_before] += (float)(w * task_weight * d_before);
    }
}

void loss_forward_backward(enum loss_kind kind, double delta,
                           const struct loss_rows *rows, double scale, double task_weight,
                           double *sum, float *dz)
{
    for (size_t r = 0; r < rows->n; r++) {
        float label = rows->label[r * rows->ld];
        double d = 0;
        if (!isnan(label)) {
            double w = (double)rows->weight[r * rows->ld] * scale;
            double duration = rows->duration ? (double)rows->duration[r * rows->ld] : 0;
            double y = target_of_label(kind, (double)label, duration);
            *sum += w * loss_value(kind, delta, (double)rows->z[r * rows->ldz], y, &d);
            d *= w * task_weight;
        }
        dz[r * rows->ldz] = (float)d;
    }
}
