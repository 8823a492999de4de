/* From labels to targets and from outputs to values, against plain formulas. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/math/target.h"

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-14 * (1 + fabs(b));
}

/* A completion is the share that was watched, at most all of it; a log label is
 * log(1 + y); other labels stay. */
static void test_targets(void **state)
{
    (void)state;
    assert_true(target_of_label(LOSS_COMPLETION, 3, 12) == 0.25);
    assert_true(target_of_label(LOSS_COMPLETION, 0, 12) == 0);
    assert_true(target_of_label(LOSS_COMPLETION, 12, 12) == 1);
    assert_true(target_of_label(LOSS_COMPLETION, 50, 12) == 1);
    assert_true(near(target_of_label(LOSS_LOG_MSE, 6.5, 12), log(7.5)));
    assert_true(target_of_label(LOSS_LOG_MSE, 0, 12) == 0);
    const enum loss_kind plain[] = {LOSS_BCE, LOSS_MSE, LOSS_HUBER,
                                    LOSS_WEIGHTED_LOGISTIC};
    for (size_t i = 0; i < 4; i++) assert_true(target_of_label(plain[i], 0.7, 12) == 0.7);
}

static void test_values(void **state)
{
    (void)state;
    for (double z = -6; z <= 6; z += 0.37) {
        double p = 1 / (1 + exp(-z));
        assert_true(near(target_value(LOSS_BCE, z, 12), p));
        assert_true(target_value(LOSS_MSE, z, 12) == z);
        assert_true(target_value(LOSS_HUBER, z, 12) == z);
        assert_true(near(target_value(LOSS_WEIGHTED_LOGISTIC, z, 12), exp(z)));
        assert_true(near(target_value(LOSS_COMPLETION, z, 12), 12 * p));
        assert_true(near(target_value(LOSS_LOG_MSE, z, 12), z > 0 ? exp(z) - 1 : 0));
    }
    assert_true(target_value(LOSS_COMPLETION, 3, 0) == 0);
}

/* A model that says the same for every row, the mean target, predicts that mean (the
 * mean share of the duration, the geometric mean of 1 + time). */
static void test_first_output_predicts_the_mean(void **state)
{
    (void)state;
    for (int kind = LOSS_BCE; kind <= LOSS_LOG_MSE; kind++) {
        enum loss_kind k = (enum loss_kind)kind;
        double want = k == LOSS_COMPLETION ? 0.3 * 7
                      : k == LOSS_LOG_MSE  ? exp(0.3) - 1
                                           : 0.3;
        assert_true(near(target_value(k, target_logit(k, 0.3), 7), want));
    }
}

/* Means that no finite output stands for. */
static void test_degenerate_means_have_no_output(void **state)
{
    (void)state;
    assert_false(isfinite(target_logit(LOSS_COMPLETION, 0)));
    assert_false(isfinite(target_logit(LOSS_COMPLETION, 1)));
    assert_false(isfinite(target_logit(LOSS_WEIGHTED_LOGISTIC, 0)));
    assert_true(target_logit(LOSS_LOG_MSE, 0) == 0 && target_logit(LOSS_MSE, -3) == -3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_first_output_predicts_the_mean),
        cmocka_unit_test(test_degenerate_means_have_no_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
