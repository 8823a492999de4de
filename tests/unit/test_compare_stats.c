/* compare_stats: means, Student's t and the paired test against known values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/compare_stats.h"

static const double PI = 3.14159265358979323846;

static void near(double x, double want, double tolerance)
{
    if (!(fabs(x - want) <= tolerance)) fail_msg("%.17g instead of %.17g", x, want);
}

/* The mean and the deviation of n - 1; values that are not there do not count. */
static void mean_and_deviation_leave_nan_out(void **state)
{
    (void)state;
    const double x[] = {2, NAN, 4, 4, 4, 5, 5, NAN, 7, 9};
    struct sample s = sample_of(x, 10);
    assert_int_equal(s.n, 8);
    near(s.mean, 5, 1e-15);
    near(s.sd, sqrt(32.0 / 7), 1e-15);
    s = sample_of(x, 2);
    assert_int_equal(s.n, 1);
    near(s.mean, 2, 0);
    assert_true(isnan(s.sd));
    assert_true(isnan(sample_of(x, 0).mean));
}

/* With one and two degrees of freedom the tail has a closed form. */
static void student_has_its_closed_forms(void **state)
{
    (void)state;
    for (double t = 0; t < 40; t += 0.37) {
        near(student_p(t, 1), 1 - 2 / PI * atan(t), 1e-13);
        near(student_p(-t, 2), 1 - t / sqrt(2 + t * t), 1e-13);
    }
}

/* Two-sided critical values from printed tables, to their digits. */
static void student_agrees_with_tables(void **state)
{
    (void)state;
    const struct {
        double df, t, p;
    } known[] = {{3, 3.182446, 0.05},  {4, 2.776445, 0.05},  {4, 4.604095, 0.01},
                 {4, 8.610302, 0.001}, {9, 2.262157, 0.05},  {9, 4.780913, 0.001},
                 {29, 2.756386, 0.01}, {39, 2.022691, 0.05}, {120, 1.979930, 0.05},
                 {1e6, 1.959966, 0.05}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        near(student_p(known[i].t, known[i].df), known[i].p, 2e-7);
}

/* I_x(a, 1) = x^a, and I_x(a, b) = 1 - I_(1-x)(b, a). */
static void beta_has_its_identities(void **state)
{
    (void)state;
    for (double x = 0.01; x < 1; x += 0.07)
        for (double a = 0.5; a < 60; a *= 2.3) {
            near(beta_regularized(x, a, 1), pow(x, a), 1e-13);
            near(beta_regularized(x, 1, a), 1 - pow(1 - x, a), 1e-13);
            near(beta_regularized(x, a, 3.5) + beta_regularized(1 - x, 3.5, a), 1, 1e-13);
        }
    near(beta_regularized(0, 2, 3), 0, 0);
    near(beta_regularized(1, 2, 3), 1, 0);
}

/* Student's own sleep data (1908): paired difference 1.58, t = 4.0621, p = 0.00283. */
static void the_sleep_data_give_their_t(void **state)
{
    (void)state;
    const double one[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
    const double two[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
    struct paired r = paired_test(two, one, 10);
    assert_int_equal(r.n, 10);
    near(r.diff, 1.58, 1e-12);
    near(r.t, 4.0621, 5e-5);
    near(r.p, 0.00283, 5e-6);
    near(paired_test(one, two, 10).t, -r.t, 1e-12);
}

/* Pairs without a partner are left out; too few, or all equal, have their own rules. */
static void corners_of_the_paired_test(void **state)
{
    (void)state;
    const double x[] = {1.5, NAN, 2.5, 3.5}, y[] = {1, 7, 2, NAN}, z[] = {2, NAN, 2, 3};
    struct paired r = paired_test(x, y, 4);
    assert_int_equal(r.n, 2);
    near(r.diff, 0.5, 0);
    assert_true(isinf(r.t) && r.p == 0);
    r = paired_test(x, x, 4);
    assert_int_equal(r.n, 3);
    assert_true(r.t == 0 && r.p == 1);
    r = paired_test(x, z, 1);
    assert_true(r.diff == -0.5 && isnan(r.t) && isnan(r.p));
    assert_int_equal(paired_test(x, y, 0).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_and_deviation_leave_nan_out),
        cmocka_unit_test(student_has_its_closed_forms),
        cmocka_unit_test(student_agrees_with_tables),
        cmocka_unit_test(beta_has_its_identities),
        cmocka_unit_test(the_sleep_data_give_their_t),
        cmocka_unit_test(corners_of_the_paired_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
