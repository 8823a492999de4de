#include "common/math/funnel.h"

#include <math.h>

#include "common/math/fmath.h"

/* log sigmoid(z) and log(1 - sigmoid(z)) from one exponential. */
static void log_sigmoid(double z, double *yes, double *no)
{
    double l = fmath_log1p(fmath_exp(z < 0 ? z : -z));
    *yes = (z < 0 ? z : 0) - l;
    *no = (z > 0 ? -z : 0) - l;
}

/* log(e^x + e^y) */
static double log_add(double x, double y)
{
    double high = x > y ? x : y, low = x > y ? y : x;
    return low == -INFINITY ? high : high + fmath_log1p(fmath_exp(low - high));
}

struct funnel funnel_start(void)
{
    return (struct funnel){0, -INFINITY, 0, 0};
}

struct funnel funnel_next(struct funnel f, double a)
{
    double yes, no;
    log_sigmoid(a, &yes, &no);
    double fail = log_add(f.fail, f.reach + no);
    return (struct funnel){f.reach + yes, fail, fmath_exp(no - fail),
                           fmath_exp(f.fail - fail)};
}

double funnel_logit(struct funnel f)
{
    return f.reach - f.fail;
}

double funnel_conditional(double before, double z)
{
    static const double most = -0x1.0000008p-24; /* log(1 - 2^-24) */
    double reached, reach, no;
    log_sigmoid(before, &reached, &no);
    log_sigmoid(z, &reach, &no);
    double c = reach - reached;
    if (c > most) c = most;
    return c - fmath_log1mexp(c);
}
