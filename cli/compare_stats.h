/* Means over seeds and the paired t test, for comparing cells. */
#ifndef MTPS_CLI_COMPARE_STATS_H
#define MTPS_CLI_COMPARE_STATS_H

#include <stddef.h>

struct sample {
    size_t n;        /* values that are numbers */
    double mean, sd; /* NaN for n = 0, and sd (of n - 1) for n = 1 */
};
struct sample sample_of(const double *x, size_t n);

/* Paired test of mean(x - base) = 0, two-sided, n - 1 degrees of freedom. Pairs
 * with a NaN are left out. t and p are NaN below two pairs; equal differences
 * give t = 0, p = 1 when they are 0, else an infinite t and p = 0. */
struct paired {
    size_t n;
    double diff, t, p;
};
struct paired paired_test(const double *x, const double *base, size_t n);

/* P(|T| >= |t|) for Student's t with df degrees of freedom. */
double student_p(double t, double df);
/* Regularised incomplete beta function I_x(a, b), 0 <= x <= 1, a, b > 0. */
double beta_regularized(double x, double a, double b);

#endif
