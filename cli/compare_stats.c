#include "cli/compare_stats.h"

#include <math.h>
#include <stdbool.h>

struct sample sample_of(const double *x, size_t n)
{
    struct sample s = {0, NAN, NAN};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i])) {
            sum += x[i];
            s.n++;
        }
    if (s.n) s.mean = sum / (double)s.n;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i])) squares += (x[i] - s.mean) * (x[i] - s.mean);
    if (s.n > 1) s.sd = sqrt(squares / (double)(s.n - 1));
    return s;
}

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by
 * Lentz's method: f = 1 + d_1 / (1 + d_2 / (1 + ...)), numerators by parity. */
static double beta_fraction(double x, double a, double b)
{
    enum { MAX_TERMS = 10000 };
    static const double tiny = 1e-300;
    double f = 1, c = 1, d = 0;
    for (int i = 1; i <= MAX_TERMS; i++) {
        double m = i / 2, numerator;
        if (i % 2)
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        else
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + numerator * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + numerator / c;
        if (fabs(c) < tiny) c = tiny;
        f *= c * d;
        if (fabs(c * d - 1) < 1e-15) break;
    }
    return f;
}

double beta_regularized(double x, double a, double b)
{
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    /* The fraction converges fast below the mean; above it by symmetry. */
    if (x > (a + 1) / (a + b + 2)) return 1 - beta_regularized(1 - x, b, a);
    double front =
        exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return front / (a * beta_fraction(x, a, b));
}

double student_p(double t, double df)
{
    if (isnan(t)) return NAN;
    if (isinf(t)) return 0;
    return beta_regularized(df / (df + t * t), df / 2, 0.5);
}

struct paired paired_test(const double *x, const double *base, size_t n)
{
    struct paired r = {0, NAN, NAN, NAN};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double d = x[i] - base[i];
        if (isnan(d)) continue;
        sum += d;
        r.n++;
    }
    if (!r.n) return r;
    r.diff = sum / (double)r.n;
    if (r.n < 2) return r;
    for (size_t i = 0; i < n; i++) {
        double d = x[i] - base[i];
        if (!isnan(d)) squares += (d - r.diff) * (d - r.diff);
    }
    double error = sqrt(squares / (double)(r.n - 1) / (double)r.n);
    r.t = r.diff == 0 ? 0 : r.diff / error; /* error 0: infinite */
    r.p = r.diff == 0 ? 1 : student_p(r.t, (double)(r.n - 1));
    return r;
}
