#include "model/loss.h"

#include <math.h>

#include "common/math/fmath.h"

/* With e = exp(-|z|): softplus(z) = max(z, 0) + log1p(e), sigmoid(z) = 1/(1+e) or
 * e/(1+e). */
static double bce(double z, double y, double *dz)
{
    double e = fmath_exp(z < 0 ? z : -z);
    *dz = (z < 0 ? e : 1) / (1 + e) - y;
    return (z > 0 ? z : 0) + fmath_log1p(e) - y * z;
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
        return bce(z, y, dz);
    case LOSS_HUBER:
        return huber(delta, z, y, dz);
    case LOSS_MSE:
        break;
    }
    *dz = 2 * (z - y);
    return (z - y) * (z - y);
}

void loss_forward_backward(enum loss_kind kind, double delta,
                           const struct loss_rows *rows, double scale, double task_weight,
                           double *sum, float *dz)
{
    for (size_t r = 0; r < rows->n; r++) {
        float y = rows->label[r * rows->ld];
        double d = 0;
        if (!isnan(y)) {
            double w = (double)rows->weight[r * rows->ld] * scale;
            *sum += w * loss_value(kind, delta, (double)rows->z[r * rows->ldz], (double)y,
                                   &d);
            d *= w * task_weight;
        }
        dz[r * rows->ldz] = (float)d;
    }
}
