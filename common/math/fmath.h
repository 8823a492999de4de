/* exp, log and their relatives, ours, so that bits depend on no libm. Scalar
 * double versions here are used on cold paths (losses, samplers, schedules);
 * vector float versions are in vec.h. NaN gives NaN, and the ends of each range
 * their limits. Relative errors, tested against long double, in units of 2^-52:
 * exp 0.8, log 0.8 (powers of two of log2 exact), log1p 1.3, log2 1.6, sigmoid 1.6,
 * softplus 2, log1mexp 4; normal quantile 1e-15; cos_pi 1e-15 absolute. */
#ifndef MTPS_MATH_FMATH_H
#define MTPS_MATH_FMATH_H

double fmath_exp(double x);
double fmath_log(double x);   /* log(0) = -inf; NaN below */
double fmath_log1p(double x); /* log1p(-1) = -inf; NaN below */
double fmath_log2(double x);
double fmath_sigmoid(double z);
double fmath_softplus(double z); /* log(1 + e^z), no overflow */
/* log(1 - e^x), x <= 0: the log of what is left of a probability e^x. -inf at 0. */
double fmath_log1mexp(double x);
/* Quantile of the standard normal at p in [0, 1] (Wichura, AS 241). */
double fmath_normal_quantile(double p);
double fmath_cos_pi(double x);   /* cos(pi x), 0 <= x <= 1: cosine schedule */

#endif
