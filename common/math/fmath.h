/* exp, log and their relatives, ours, so that bits depend on no libm. Scalar
 * double versions here are used on cold paths (losses, samplers, schedules);
 * vector float versions are in vec.h. Accuracy: < 1 ulp-ish, see the test. */
#ifndef MTPS_MATH_FMATH_H
#define MTPS_MATH_FMATH_H

double fmath_exp(double x);
double fmath_log(double x);   /* x > 0; log(0) = -inf; NaN below */
double fmath_log1p(double x); /* x > -1 */
double fmath_log2(double x);
double fmath_sigmoid(double z);
double fmath_softplus(double z); /* log(1 + e^z), no overflow */
/* Quantile of the standard normal at p in (0, 1) (Wichura, AS 241). */
double fmath_normal_quantile(double p);
double fmath_cos_pi(double x);   /* cos(pi x), 0 <= x <= 1: cosine schedule */

#endif
