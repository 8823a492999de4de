/* common/math/funnel: probabilities of steps that follow one another, in log space. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/math/funnel.h"

enum { MOST = 4 };

static double joint(const double *a, size_t n)
{
    struct funnel f = funnel_start();
    for (size_t i = 0; i < n; i++) f = funnel_next(f, a[i]);
    return funnel_logit(f);
}

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * (1 + fabs(b));
}

/* log P - log1mexp(log P), the form of the ESMM loss, in long double. */
static double by_log1mexp(const double *a, size_t n)
{
    long double log_p = 0;
    for (size_t i = 0; i < n; i++) log_p -= log1pl(expl(-(long double)a[i]));
    long double q = log_p > -0.7L ? logl(-expm1l(log_p)) : log1pl(-expl(log_p));
    return (double)(log_p - q);
}

/* The joint logit of one to four steps is that of the product of their probabilities. */
static void test_joint_is_the_product(void **state)
{
    (void)state;
    static const double values[] = {-30, -7.5, -1, 0, 0.25, 3, 20};
    enum { N = sizeof values / sizeof *values };
    double a[MOST];
    for (size_t i = 0; i < N * N * N * N; i++) {
        size_t rest = i;
        for (size_t j = 0; j < MOST; j++, rest /= N) a[j] = values[rest % N];
        for (size_t n = 1; n <= MOST; n++)
            assert_true(near(joint(a, n), by_log1mexp(a, n), 1e-13));
    }
}

/* One step is its own logit; a step that is certain changes nothing. */
static void test_trivial_steps(void **state)
{
    (void)state;
    for (double a = -40; a <= 40; a += 0.7) {
        assert_true(near(joint(&a, 1), a, 1e-15));
        assert_true(near(joint((const double[]){a, 700}, 2), a, 1e-15));
        assert_true(near(joint((const double[]){700, a}, 2), a, 1e-15));
    }
}

/* Where probabilities are 0 or 1 in any floating point format, logits stay finite and
 * right: the likelier way to fail decides, and of two equal ones both do. */
static void test_certain_and_impossible_steps(void **state)
{
    (void)state;
    assert_true(near(joint((const double[]){800, 800}, 2), 800 - log(2), 1e-15));
    assert_true(near(joint((const double[]){5000, 90}, 2), 90, 1e-15));
    assert_true(near(joint((const double[]){-800, -900}, 2), -1700, 1e-15));
    assert_true(near(joint((const double[]){-3e38, 0}, 2), -3e38, 1e-15));
    assert_true(isfinite(joint((const double[]){3e38, 3e38, -3e38}, 3)));
    assert_true(isnan(joint((const double[]){(double)NAN, 1}, 2)));
}

/* Slope and carries make the derivative of every joint logit by every step's own, as
 * differences have it, and lie in [0, 1]. */
static void test_slopes(void **state)
{
    (void)state;
    static const double points[][MOST] = {
        {0.3, -1.2, 0.8, -0.1}, {6, 5, 7, 6.5}, {-8, -3, 2, 0.5}, {-0.5, 9, -6, 3}};
    for (size_t p = 0; p < sizeof points / sizeof *points; p++)
        for (size_t j = 0; j < MOST; j++) {
            double up[MOST], down[MOST], h = 1e-5, d = 0;
            for (size_t i = 0; i < MOST; i++) up[i] = down[i] = points[p][i];
            up[j] += h;
            down[j] -= h;
            struct funnel f = funnel_start();
            for (size_t k = 0; k < MOST; k++) {
                f = funnel_next(f, points[p][k]);
                assert_true(f.slope >= 0 && f.slope <= 1 && f.carry >= 0 && f.carry <= 1);
                d = k < j ? 0 : k == j ? f.slope : d * f.carry;
                double want = (joint(up, k + 1) - joint(down, k + 1)) / (2 * h);
                assert_true(near(d, want, 1e-8));
            }
        }
    struct funnel f = funnel_next(funnel_next(funnel_start(), 800), 800);
    assert_true(near(f.slope, 0.5, 1e-12) && near(f.carry, 0.5, 1e-12));
    f = funnel_next(funnel_next(funnel_start(), -800), -800);
    assert_true(near(f.slope, 1, 1e-12) && near(f.carry, 1, 1e-12));
}

/* The conditional logit is the step's own, found again from joint ones: within what a
 * float keeps of these. */
static void test_conditional_undoes_joint(void **state)
{
    (void)state;
    for (double a = -12; a <= 6; a += 0.9)
        for (double b = -12; b <= 6; b += 0.9) {
            float before = (float)a, z = (float)joint((const double[]){(double)before, b}, 2);
            double scale = 1e-6 * (1 + fabs((double)z)) * (1 + exp(b));
            assert_true(fabs(funnel_conditional((double)before, (double)z) - b) < scale);
        }
}

/* A later step that is as likely as the one before, or likelier, has a probability
 * below 1 and a finite logit. */
static void test_conditional_stays_below_one(void **state)
{
    (void)state;
    static const double pairs[][2] = {{0, 0}, {-3, 2}, {700, 700}, {-900, -899}, {5, 5 + 1e-12}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        double z = funnel_conditional(pairs[i][0], pairs[i][1]);
        assert_true(near(z, 24 * log(2), 1e-6)); /* of 1 - 2^-24 */
        assert_true((float)(1 / (1 + exp(-z))) < 1.0f);
    }
    assert_true(isnan(funnel_conditional((double)NAN, 0)));
    assert_true(near(funnel_conditional(-900, -1000), -100, 1e-12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joint_is_the_product),
        cmocka_unit_test(test_trivial_steps),
        cmocka_unit_test(test_certain_and_impossible_steps),
        cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_conditional_undoes_joint),
        cmocka_unit_test(test_conditional_stays_below_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
