/* Losses: values by hand, derivatives by differences, no overflow, absent labels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/loss.h"

static double value(enum loss_kind kind, double z, double y)
{
    double d;
    return loss_value(kind, 0.5, z, y, &d);
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * (1 + fabs(b));
}

/* bce is -log of the probability of the label, also for labels between 0 and 1. */
static void test_bce_values(void **state)
{
    (void)state;
    assert_true(near(value(LOSS_BCE, 0, 1), log(2)));
    assert_true(near(value(LOSS_BCE, 1.5, 1), -log(1 / (1 + exp(-1.5)))));
    assert_true(near(value(LOSS_BCE, 1.5, 0), -log(1 - 1 / (1 + exp(-1.5)))));
    assert_true(near(value(LOSS_BCE, -0.3, 0.25),
                     0.25 * value(LOSS_BCE, -0.3, 1) + 0.75 * value(LOSS_BCE, -0.3, 0)));
}

/* Logits far out give |z| or 0, never infinity (clipping at 1e-15 in float would). */
static void test_bce_is_stable_far_out(void **state)
{
    (void)state;
    double d;
    assert_true(loss_value(LOSS_BCE, 0, 1000, 0, &d) == 1000 && d == 1);
    assert_true(loss_value(LOSS_BCE, 0, -1000, 1, &d) == 1000 && d == -1);
    assert_true(loss_value(LOSS_BCE, 0, 1000, 1, &d) == 0 && d == 0);
    assert_true(loss_value(LOSS_BCE, 0, -1000, 0, &d) == 0 && d == 0);
}

static void test_regression_values(void **state)
{
    (void)state;
    assert_true(near(value(LOSS_MSE, 3, 1), 4));
    assert_true(near(value(LOSS_HUBER, 1.3, 1), 0.5 * 0.09));
    assert_true(near(value(LOSS_HUBER, 3, 1), 0.5 * (2 - 0.25)));
    assert_true(near(value(LOSS_HUBER, -3, -1), 0.5 * (2 - 0.25)));
}

/* -T log(p) - log(1 - p): a positive of weight T and a negative of weight 1. */
static void test_weighted_logistic_values(void **state)
{
    (void)state;
    for (double z = -5; z <= 5; z += 0.3)
        for (double t = 0; t < 40; t += 7.5) {
            double p = 1 / (1 + exp(-z)), q = 1 / (1 + exp(z));
            assert_true(near(value(LOSS_WEIGHTED_LOGISTIC, z, t), -t * log(p) - log(q)));
        }
}

/* Over rows with times 1, 3 and 11, the least loss is where the odds are their mean. */
static void test_weighted_logistic_learns_the_mean(void **state)
{
    (void)state;
    const double t[] = {1, 3, 11};
    double sum = 0, d;
    for (size_t i = 0; i < 3; i++) {
        loss_value(LOSS_WEIGHTED_LOGISTIC, 0, log(5), t[i], &d);
        sum += d;
    }
    assert_true(fabs(sum) < 1e-14);
}

static void test_weighted_logistic_is_stable_far_out(void **state)
{
    (void)state;
    double d;
    assert_true(loss_value(LOSS_WEIGHTED_LOGISTIC, 0, 1000, 7, &d) == 1000 && d == 1);
    assert_true(loss_value(LOSS_WEIGHTED_LOGISTIC, 0, -1000, 7, &d) == 7000 && d == -7);
    assert_true(loss_value(LOSS_WEIGHTED_LOGISTIC, 0, -1000, 0, &d) == 0 && d == 0);
}

static void test_derivatives_agree_with_differences(void **state)
{
    (void)state;
    for (int kind = LOSS_BCE; kind <= LOSS_LOG_MSE; kind++)
        for (double z = -3.02; z < 3; z += 0.7)
            for (double y = 0; y <= 1; y += 0.25) {
                double d, h = 1e-6;
                loss_value((enum loss_kind)kind, 0.5, z, y, &d);
                double up = value((enum loss_kind)kind, z + h, y);
                double down = value((enum loss_kind)kind, z - h, y);
                assert_true(fabs((up - down) / (2 * h) - d) < 1e-8);
            }
}

/* Absent rows give no loss and a zero gradient; the others weight, scale and task weight.
 */
static void test_rows_are_weighted_and_absent_ones_skipped(void **state)
{
    (void)state;
    const float z[] = {1, 9, 2}, y[] = {0, NAN, 4}, w[] = {2, 5, 0.5f};
    float dz[] = {7, 7, 7};
    double sum = 10;
    struct loss_rows rows = {3, z, 1, y, w, 1, NULL};
    loss_forward_backward(LOSS_MSE, 0, &rows, 0.25, 3, &sum, dz);
    assert_true(near(sum, 10 + 2 * 0.25 * 1 + 0.5 * 0.25 * 4));
    assert_true(dz[0] == 3 && dz[1] == 0 && dz[2] == -1.5f);
}

/* Labels of times become targets on the way: the share of the row's duration, at most
 * 1, and log(1 + time). A scalar reference of loss and gradient. */
static void test_times_become_targets(void **state)
{
    (void)state;
    const float z[] = {0.3f, -1.2f, 2}, t[] = {3, NAN, 50}, w[] = {2, 1, 0.5f},
                d[] = {12, 0, 20};
    struct loss_rows rows = {3, z, 1, t, w, 1, d};
    double want = 0, sum = 0,
           p[] = {1 / (1 + exp(-(double)z[0])), 0, 1 / (1 + exp(-2.0))};
    float dz[3];
    want = 2 * -(0.25 * log(p[0]) + 0.75 * log(1 - p[0])) + 0.5 * -log(p[2]);
    loss_forward_backward(LOSS_COMPLETION, 0, &rows, 0.1, 3, &sum, dz);
    assert_true(near(sum, 0.1 * want));
    assert_true(fabs((double)dz[0] - 2 * 0.1 * 3 * (p[0] - 0.25)) < 1e-7);
    assert_true(dz[1] == 0 && fabs((double)dz[2] - 0.5 * 0.1 * 3 * (p[2] - 1)) < 1e-7);
    rows.duration = NULL;
    sum = 0;
    loss_forward_backward(LOSS_LOG_MSE, 0, &rows, 0.1, 3, &sum, dz);
    double e0 = (double)z[0] - log(4), e2 = 2 - log(51);
    assert_true(near(sum, 0.1 * (2 * e0 * e0 + 0.5 * e2 * e2)));
    assert_true(fabs((double)dz[2] - 0.5 * 0.1 * 3 * 2 * e2) < 1e-7);
}

/* Strides: one column of logits, labels and weights each. */
static void test_strides_are_followed(void **state)
{
    (void)state;
    const float z[] = {1, 8, 2, 8}, y[] = {0, 8, 8, 1, 8, 8}, w[] = {1, 8, 8, 1, 8, 8};
    float dz[] = {7, 7, 7, 7};
    double sum = 0;
    struct loss_rows rows = {2, z, 2, y, w, 3, NULL};
    loss_forward_backward(LOSS_MSE, 0, &rows, 1, 1, &sum, dz);
    assert_true(near(sum, 2) && dz[0] == 2 && dz[1] == 7 && dz[2] == 2 && dz[3] == 7);
}

/* A logit or label that is not finite shows in the sum. */
static void test_non_finite_shows(void **state)
{
    (void)state;
    const float z[] = {NAN, INFINITY}, y[] = {1, 0}, w[] = {1, 1};
    for (size_t i = 0; i < 2; i++) {
        float dz;
        double sum = 0;
        struct loss_rows rows = {1, z + i, 1, y + i, w, 1, NULL};
        loss_forward_backward(LOSS_BCE, 0, &rows, 1, 1, &sum, &dz);
        assert_false(isfinite(sum));
    }
}

/* The constraint is what a step's probability has above the one before, and nothing
 * where it has not; its derivatives are the differences'. */
static void test_constraint_values_and_derivatives(void **state)
{
    (void)state;
    for (double z = -6; z <= 6; z += 0.75)
        for (double before = -5.9; before <= 6; before += 0.75) {
            double d, d_before, x, h = 1e-6;
            double p = 1 / (1 + exp(-z)), q = 1 / (1 + exp(-before));
            assert_true(fabs(loss_constraint_value(z, before, &d, &d_before) -
                             (p > q ? p - q : 0)) < 1e-15);
            double by_z = (loss_constraint_value(z + h, before, &x, &x) -
                           loss_constraint_value(z - h, before, &x, &x)) / (2 * h);
            double by_before = (loss_constraint_value(z, before + h, &x, &x) -
                                loss_constraint_value(z, before - h, &x, &x)) / (2 * h);
            assert_true(fabs(d - by_z) < 1e-8 && fabs(d_before - by_before) < 1e-8);
        }
}

/* Rows without a label of the later step have no constraint; others are weighted as its
 * loss is, and both gradients are added to. */
static void test_constraint_over_rows(void **state)
{
    (void)state;
    const float z[] = {2, 1, -1}, before[] = {0, 7, -1, 7, 0, 7};
    const float label[] = {1, NAN, 0}, weight[] = {0.5f, 1, 1};
    struct loss_rows rows = {.n = 3, .z = z, .ldz = 1, .label = label, .weight = weight, .ld = 1};
    float dz[] = {1, 1, 1}, dz_before[] = {2, 9, 2, 9, 2, 9};
    double sum = 3, p = 1 / (1 + exp(-2.0));
    loss_constraint(0.6, &rows, before, 2, 0.1, 4, &sum, dz, dz_before);
    assert_true(near(sum, 3 + 0.6 * 0.5 * 0.1 * (p - 0.5)));
    assert_true(fabs((double)dz[0] - (1 + 0.6 * 0.5 * 0.1 * 4 * p * (1 - p))) < 1e-6);
    assert_true(fabs((double)dz_before[0] - (2 - 0.6 * 0.5 * 0.1 * 4 * 0.25)) < 1e-6);
    assert_true(dz[1] == 1 && dz[2] == 1 && dz_before[2] == 2 && dz_before[4] == 2);
    assert_true(dz_before[1] == 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bce_values),
        cmocka_unit_test(test_bce_is_stable_far_out),
        cmocka_unit_test(test_regression_values),
        cmocka_unit_test(test_weighted_logistic_values),
        cmocka_unit_test(test_weighted_logistic_learns_the_mean),
        cmocka_unit_test(test_weighted_logistic_is_stable_far_out),
        cmocka_unit_test(test_times_become_targets),
        cmocka_unit_test(test_derivatives_agree_with_differences),
        cmocka_unit_test(test_rows_are_weighted_and_absent_ones_skipped),
        cmocka_unit_test(test_strides_are_followed),
        cmocka_unit_test(test_non_finite_shows),
        cmocka_unit_test(test_constraint_values_and_derivatives),
        cmocka_unit_test(test_constraint_over_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
