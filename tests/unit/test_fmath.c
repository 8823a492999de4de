#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/math/fmath.h"

/* The functions under test use no libm; its long double versions judge them. */
typedef double function(double);
typedef long double judge(long double);

enum { POINTS = 20000 };

/* Largest relative error over [low, high] in units of 2^-52. */
static double worst(function *f, judge *want, double low, double high)
{
    double most = 0;
    for (int i = 0; i < POINTS; i++) {
        double x = low + (high - low) * (i + 0.37) / POINTS;
        long double y = want(x);
        double error = (double)(fabsl(f(x) - y) / fabsl(y) * 0x1p52L);
        if (!(error <= most)) most = error;
    }
    return most;
}

static long double sigmoid(long double z)
{
    return 1 / (1 + expl(-z));
}

static long double softplus(long double z)
{
    return z > 0 ? z + log1pl(expl(-z)) : log1pl(expl(z));
}

static long double log1mexp(long double x)
{
    return x > -0.7L ? logl(-expm1l(x)) : log1pl(-expl(x));
}

/* Each function stays within the error that its header names, over its range and
 * where cancellation would show. */
static void test_errors_stay_within_the_documented_bounds(void **state)
{
    (void)state;
    static const struct {
        function *f;
        judge *want;
        double low, high, bound;
    } cases[] = {
        {fmath_exp, expl, -708, 709.7, 0.8},
        {fmath_exp, expl, -1, 1, 0.8},
        {fmath_log, logl, 1e-300, 1e300, 0.8},
        {fmath_log, logl, 0.5, 2, 0.8},
        {fmath_log, logl, 1e-310, 2e-308, 0.8},
        {fmath_log1p, log1pl, -0.99, 3, 1.3},
        {fmath_log1p, log1pl, -1e-6, 1e-6, 1.3},
        {fmath_log1p, log1pl, -1e-17, 1e-17, 1.3},
        {fmath_log2, log2l, 1e-3, 100, 1.6},
        {fmath_log2, log2l, 0.9, 1.1, 1.6},
        {fmath_sigmoid, sigmoid, -700, 40, 1.6},
        {fmath_sigmoid, sigmoid, -1, 1, 1.6},
        {fmath_softplus, softplus, -700, 50, 2},
        {fmath_softplus, softplus, -2, 2, 2},
        {fmath_log1mexp, log1mexp, -700, -1e-3, 4},
        {fmath_log1mexp, log1mexp, -1, -0.3, 4},
        {fmath_log1mexp, log1mexp, -1e-6, -1e-12, 4},
        {fmath_log1mexp, log1mexp, -1e-15, -1e-18, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double error = worst(cases[i].f, cases[i].want, cases[i].low, cases[i].high);
        if (error > cases[i].bound)
            fail_msg("case %zu: %g > %g", i, error, cases[i].bound);
    }
}

/* log2 of every power of two that a double holds, subnormal ones too, is exact. */
static void test_log2_of_powers_of_two_is_exact(void **state)
{
    (void)state;
    for (int e = -1074; e <= 1023; e++) assert_true(fmath_log2(ldexp(1, e)) == e);
}

/* floor(log2(x)), a common feature, is right from the first double above a power. */
static void test_log2_above_a_power_is_not_below_it(void **state)
{
    (void)state;
    for (int e = -1022; e <= 1023; e++)
        assert_true(floor(fmath_log2(nextafter(ldexp(1, e), INFINITY))) == e);
}

/* exp goes to inf and to 0 where the result leaves the range of double, and not
 * before. */
static void test_exp_uses_the_whole_range(void **state)
{
    (void)state;
    double last = 709.782712893383973096;
    assert_true(isfinite(fmath_exp(last)));
    assert_true(fmath_exp(nextafter(last, INFINITY)) == INFINITY);
    assert_true(fmath_exp(INFINITY) == INFINITY);
    assert_true(fmath_exp(-745.13) == 0x1p-1074);
    assert_true(fmath_exp(-745.14) == 0);
    assert_true(fmath_exp(-INFINITY) == 0);
    assert_true(fmath_exp(0) == 1 && fmath_exp(-0.0) == 1);
    for (double x = -744; x < -708; x += 0.37)
        assert_true(fabsl(fmath_exp(x) - expl(x)) <=
                    0.51L * 0x1p-1074L + 0.8L * 0x1p-52L * expl(x));
}

/* NaN comes out of every function that NaN goes into. */
static void test_nan_stays_nan(void **state)
{
    (void)state;
    static function *const all[] = {
        fmath_exp,     fmath_log,      fmath_log1p,          fmath_log2,
        fmath_sigmoid, fmath_softplus, fmath_normal_quantile};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_true(isnan(all[i](NAN)));
        assert_true(isnan(all[i](-NAN)));
    }
}

/* Logarithms at the ends of their domain: -inf, inf, and NaN outside. */
static void test_logarithms_at_the_ends(void **state)
{
    (void)state;
    assert_true(fmath_log(0) == -INFINITY && fmath_log(-0.0) == -INFINITY);
    assert_true(fmath_log(INFINITY) == INFINITY && isnan(fmath_log(-1)));
    assert_true(fmath_log(1) == 0);
    assert_true(fmath_log2(0) == -INFINITY && isnan(fmath_log2(-1)));
    assert_true(fmath_log2(INFINITY) == INFINITY);
    assert_true(fmath_log1p(-1) == -INFINITY && isnan(fmath_log1p(-1.5)));
    assert_true(fmath_log1p(INFINITY) == INFINITY && fmath_log1p(0) == 0);
    assert_true(fabs(fmath_log(DBL_MAX) - 709.782712893384) < 1e-12);
}

/* sigmoid and softplus neither overflow nor lose their limits. */
static void test_sigmoid_and_softplus_at_the_ends(void **state)
{
    (void)state;
    assert_true(fmath_sigmoid(0) == 0.5);
    assert_true(fmath_sigmoid(1000) == 1 && fmath_sigmoid(INFINITY) == 1);
    assert_true(fmath_sigmoid(-1000) == 0 && fmath_sigmoid(-INFINITY) == 0);
    assert_true(fmath_sigmoid(-740) > 0);
    assert_true(fmath_softplus(1e300) == 1e300 && fmath_softplus(INFINITY) == INFINITY);
    assert_true(fmath_softplus(-1e300) == 0 && fmath_softplus(-INFINITY) == 0);
    assert_true(fmath_softplus(-740) > 0);
}

/* The probability below the quantile, 1/2 erfc(-x / sqrt 2), is p again, to an error
 * of x of 1e-15 (relative where |x| > 1), from 1e-300 to 1 - 2^-53. */
static void test_normal_quantile_inverts_erfc(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) {
        double p = i < 1000   ? pow(10, -0.3 * (i + 1))
                   : i < 2000 ? (i - 999) / 1001.0
                              : 1 - ldexp(1 - (i - 2000) / 2000.0, -(i % 53));
        if (!(p > 0 && p < 1)) continue;
        double x = fmath_normal_quantile(p);
        long double density = expl(-(long double)x * x / 2) / sqrtl(2 * acosl(-1));
        long double below = erfcl(-x / sqrtl(2)) / 2;
        double error = (double)(fabsl(below - p) / density);
        assert_true(error <= 1e-15 * fmax(1, fabs(x)));
    }
    assert_true(fmath_normal_quantile(0.5) == 0);
    assert_true(fmath_normal_quantile(0) == -INFINITY &&
                fmath_normal_quantile(1) == INFINITY);
    assert_true(isnan(fmath_normal_quantile(-0.1)) && isnan(fmath_normal_quantile(1.1)));
}

/* cos(pi x) is right to 1e-15, and exact where the cosine schedule starts, turns
 * and ends. */
static void test_cos_pi(void **state)
{
    (void)state;
    for (int i = 0; i <= 10000; i++) {
        double x = i / 10000.0;
        assert_true(fabsl(fmath_cos_pi(x) - cosl(acosl(-1) * x)) < 1e-15);
    }
    assert_true(fmath_cos_pi(0) == 1 && fmath_cos_pi(0.5) == 0 && fmath_cos_pi(1) == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_stay_within_the_documented_bounds),
        cmocka_unit_test(test_log2_of_powers_of_two_is_exact),
        cmocka_unit_test(test_log2_above_a_power_is_not_below_it),
        cmocka_unit_test(test_exp_uses_the_whole_range),
        cmocka_unit_test(test_nan_stays_nan),
        cmocka_unit_test(test_logarithms_at_the_ends),
        cmocka_unit_test(test_sigmoid_and_softplus_at_the_ends),
        cmocka_unit_test(test_normal_quantile_inverts_erfc),
        cmocka_unit_test(test_cos_pi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
