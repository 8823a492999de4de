#include "common/math/fmath.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static double from_bits(uint64_t b)
{
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}

static uint64_t to_bits(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

/* x = k ln 2 + r, |r| <= ln 2 / 2, e^x = 2^k e^r; e^r by its Taylor series, whose
 * 14th term is below 2^-60. ln 2 in two parts keeps r exact to 2^-90. */
double fmath_exp(double x)
{
    if (x != x) return x;
    if (x > 709.782712893384) return INFINITY;
    if (x < -745.2) return 0;
    static const double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
    double k = floor(x * 0x1.71547652b82fep+0 + 0.5);
    double r = (x - k * ln2_high) - k * ln2_low;
    double p = 1.0 / 87178291200.0;
    static const double inverse[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0,
                                     1.0 / 3628800.0,    1.0 / 362880.0,    1.0 / 40320.0,
                                     1.0 / 5040.0,       1.0 / 720.0,       1.0 / 120.0,
                                     1.0 / 24.0,         1.0 / 6.0,         0.5};
    for (unsigned i = 0; i < sizeof inverse / sizeof *inverse; i++) p = p * r + inverse[i];
    p = 1 + (r + r * r * p);
    int n = (int)k, half = n / 2; /* two factors, so that results near 0 round once */
    return p * from_bits((uint64_t)(1023 + half) << 52) * from_bits((uint64_t)(1023 + n - half) << 52);
}

/* x = 2^k m, sqrt(1/2) <= m < sqrt(2), for a finite x > 0. */
static double split(double x, int *k)
{
    *k = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        *k = -54;
    }
    uint64_t b = to_bits(x);
    *k += (int)(b >> 52) - 1023;
    double m = from_bits((b & UINT64_C(0xfffffffffffff)) | UINT64_C(0x3ff0000000000000));
    if (m <= 0x1.6a09e667f3bcdp+0) return m;
    (*k)++;
    return m * 0.5;
}

/* log(2^k m) with log m = 2 atanh(f), f = (m-1)/(m+1). */
static double log_of(double m, int k)
{
    double f = (m - 1) / (m + 1), s = f * f, p = 0;
    for (int i = 23; i >= 3; i -= 2) p = p * s + 1.0 / i;
    /* 2f + 2f s p; with d = m - 1: 2f = d - f d, exact enough where m is near 1. */
    double d = m - 1;
    return k * 0x1.62e42fee00000p-1 + (d - (f * (d - 2 * s * p) - k * 0x1.a39ef35793c76p-33));
}

double fmath_log(double x)
{
    if (x != x || x < 0) return NAN;
    if (x == 0) return -INFINITY;
    if (x == INFINITY) return x;
    int k;
    double m = split(x, &k);
    return log_of(m, k);
}

double fmath_log1p(double x)
{
    double u = 1 + x;
    if (u == 1 || !(x > -1) || u == INFINITY) return u == 1 ? x : fmath_log(u);
    return fmath_log(u) + (x - (u - 1)) / u; /* what rounding 1 + x lost */
}

/* k apart from log2 m, so that powers of two are exact and nothing above one falls
 * below it: floor(log2(x)) is a common feature. */
double fmath_log2(double x)
{
    if (!(x > 0 && x < INFINITY)) return fmath_log(x);
    int k;
    double m = split(x, &k);
    return k + log_of(m, 0) * 0x1.71547652b82fep+0;
}

double fmath_sigmoid(double z)
{
    if (z >= 0) return 1 / (1 + fmath_exp(-z));
    double e = fmath_exp(z);
    return e / (1 + e);
}

double fmath_softplus(double z)
{
    return z > 0 ? z + fmath_log1p(fmath_exp(-z)) : fmath_log1p(fmath_exp(z));
}

/* Near 0 by Kahan's 1 - u = -x (1 - u) / log(u): what rounding u = e^x lost cancels. */
double fmath_log1mexp(double x)
{
    double u = fmath_exp(x);
    if (u < 0.5) return fmath_log1p(-u);
    return fmath_log(u == 1 ? -x : (1 - u) * (x / fmath_log(u)));
}

static double polynomial(const double *c, int n, double x)
{
    double p = c[n - 1];
    for (int i = n - 2; i >= 0; i--) p = p * x + c[i];
    return p;
}

double fmath_normal_quantile(double p)
{
    static const double a[] = {3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427,
                               13731.693765509461125, 45921.953931549871457, 67265.770927008700853,
                               33430.575583588128105, 2509.0809287301226727};
    static const double b[] = {1.0, 42.313330701600911252, 687.18700749205790830,
                               5394.1960214247511077, 21213.794301586595867, 39307.895800092710610,
                               28729.085735721942674, 5226.4952788528545610};
    static const double c[] = {1.42343711074968357734, 4.63033784615654529590,
                               5.76949722146069140550, 3.64784832476320460504,
                               1.27045825245236838258, 0.241780725177450611770,
                               0.0227238449892691845833, 7.74545014278341407640e-4};
    static const double d[] = {1.0, 2.05319162663775882187, 1.67638483018380384940,
                               0.689767334985100004550, 0.148103976427480074590,
                               0.0151986665636164571966, 5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
    static const double e[] = {6.65790464350110377720, 5.46378491116411436990,
                               1.78482653991729133580, 0.296560571828504891230,
                               0.0265321895265761230930, 0.00124266094738807843860,
                               2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[] = {1.0, 0.599832206555887937690, 0.136929880922735805310,
                               0.0148753612908506148525, 7.86869131145613259100e-4,
                               1.84631831751005468180e-5, 1.42151175831644588870e-7,
                               2.04426310338993978564e-15};
    if (!(p > 0 && p < 1)) return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
    double q = p - 0.5;
    if (q >= -0.425 && q <= 0.425) {
        double r = 0.180625 - q * q;
        return q * polynomial(a, 8, r) / polynomial(b, 8, r);
    }
    double r = sqrt(-fmath_log(q < 0 ? p : 1 - p));
    double x = r <= 5 ? polynomial(c, 8, r - 1.6) / polynomial(d, 8, r - 1.6)
                      : polynomial(e, 8, r - 5) / polynomial(f, 8, r - 5);
    return q < 0 ? -x : x;
}

/* Taylor series about the nearest of 0 and 1/2, where |argument| <= pi / 4. */
double fmath_cos_pi(double x)
{
    double sign = 1;
    if (x > 0.5) {
        x = 1 - x;
        sign = -1;
    }
    bool swap = x > 0.25;
    double t = (swap ? 0.5 - x : x) * 3.14159265358979323846, s = t * t, p = 0;
    for (int i = 22; i >= 2; i -= 2) {
        int n = swap ? i + 1 : i;
        p = (1 - p) * s / (n * (n - 1));
    }
    return sign * (1 - p) * (swap ? t : 1);
}
