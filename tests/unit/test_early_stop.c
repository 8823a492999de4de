/* worker/early_stop: the value that is watched and which of two is better. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/early_stop.h"

enum { TASKS = 3, SCORES = 4 };

static struct task_cfg tasks[TASKS] = {
    {.name = "click"}, {.name = "like"}, {.name = "buy"}};
/* The funnel [click, buy] adds a score. */
static struct score_cfg scores[SCORES] = {{"click", 0, SCORE_OF_TASK},
                                          {"like", 1, SCORE_OF_TASK},
                                          {"buy", 2, SCORE_OF_TASK},
                                          {"buy|click", 2, 0}};
static const struct metric_result results[SCORES] = {
    {.auc = 0.75, .logloss = 0.5, .gauc = 0.625},
    {.auc = (double)NAN, .logloss = 0.25, .gauc = (double)NAN},
    {.auc = 0.5, .logloss = 0.75, .gauc = (double)NAN},
    {.auc = 0.9, .logloss = 0.0625, .gauc = (double)NAN},
};

static struct settings watching(const char *task, const char *metric)
{
    return (struct settings){.tasks = tasks,
                             .n_tasks = TASKS,
                             .scores = scores,
                             .n_scores = SCORES,
                             .train = {.early_stop = true,
                                       .early_stop_task = task,
                                       .early_stop_metric = metric}};
}

/* One task's value, or the mean over all. */
static void test_value_of_a_task_and_of_all(void **state)
{
    (void)state;
    bool undefined[SCORES];
    struct settings s = watching("buy", "auc");
    assert_true(early_stop_value(&s, results, undefined) == 0.5);
    s = watching("mean", "logloss");
    assert_true(early_stop_value(&s, results, undefined) == 0.5);
    for (size_t k = 0; k < SCORES; k++) assert_false(undefined[k]);
}

/* A conditional score can be watched, and has no part in the mean over the tasks. */
static void test_value_of_a_conditional_score(void **state)
{
    (void)state;
    bool undefined[SCORES];
    struct settings s = watching("buy|click", "auc");
    assert_true(early_stop_value(&s, results, undefined) == 0.9);
    s = watching("mean", "logloss");
    assert_true(early_stop_value(&s, results, undefined) == 0.5);
}

/* A task without a value is left out of the mean and named. */
static void test_mean_is_over_defined_tasks(void **state)
{
    (void)state;
    bool undefined[SCORES];
    struct settings s = watching("mean", "auc");
    assert_true(early_stop_value(&s, results, undefined) == 0.625);
    assert_false(undefined[0]);
    assert_true(undefined[1]);
    assert_false(undefined[2]);
}

/* No value at all is NAN, not a number that would count as worse. */
static void test_no_value_is_nan(void **state)
{
    (void)state;
    bool undefined[SCORES];
    struct settings s = watching("like", "auc");
    assert_true(isnan(early_stop_value(&s, results, undefined)));
    assert_false(undefined[0]);
    assert_true(undefined[1]);
    s = watching("buy", "gauc");
    assert_true(isnan(early_stop_value(&s, results, undefined)));
}

/* More is better for the AUCs, less for errors and losses. */
static void test_direction_follows_the_metric(void **state)
{
    (void)state;
    static const char *const rising[] = {"auc", "gauc", "xauc", "gxauc"};
    static const char *const falling[] = {"logloss", "mae", "rmse"};
    for (size_t i = 0; i < sizeof rising / sizeof *rising; i++) {
        struct settings s = watching("mean", rising[i]);
        assert_true(early_stop_better(&s, 0.75, 0.5));
        assert_false(early_stop_better(&s, 0.5, 0.5));
    }
    for (size_t i = 0; i < sizeof falling / sizeof *falling; i++) {
        struct settings s = watching("mean", falling[i]);
        assert_true(early_stop_better(&s, 0.5, 0.75));
        assert_false(early_stop_better(&s, 0.75, 0.5));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_of_a_task_and_of_all),
        cmocka_unit_test(test_value_of_a_conditional_score),
        cmocka_unit_test(test_mean_is_over_defined_tasks),
        cmocka_unit_test(test_no_value_is_nan),
        cmocka_unit_test(test_direction_follows_the_metric),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
