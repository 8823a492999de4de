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

/* State of a run that looked twice in vain after its best value. */
static struct train_state after_two_looks(void)
{
    return (struct train_state){.step = 40, .has_best = true, .best = 0.75, .best_step = 20,
                                .stale = 2, .stopped_early = true};
}

/* More patience ends the wait for a better value, less patience makes it come earlier. */
static void test_resume_counts_with_the_new_patience(void **state)
{
    (void)state;
    struct settings then = watching("mean", "auc"), now = then;
    then.train.early_stop_patience = 2;
    for (uint64_t patience = 0; patience < 5; patience++) {
        struct train_state s = after_two_looks();
        now.train.early_stop_patience = patience;
        early_stop_resume(&then, &now, &s);
        assert_int_equal(s.stopped_early, patience <= 2);
        assert_true(s.has_best && s.best == 0.75);
        assert_int_equal(s.best_step, 20);
        assert_int_equal(s.stale, 2);
    }
}

/* Values of another task or metric, or of no early stopping at all, compare with nothing. */
static void test_resume_forgets_the_best_of_another_watch(void **state)
{
    (void)state;
    struct settings then = watching("mean", "auc");
    struct settings others[] = {watching("click", "auc"), watching("mean", "logloss"), then};
    others[2].train.early_stop = false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        for (int back = 0; back < 2; back++) {
            struct train_state s = after_two_looks();
            early_stop_resume(back ? &others[i] : &then, back ? &then : &others[i], &s);
            assert_false(s.has_best || s.stopped_early);
            assert_int_equal(s.stale + s.best_step, 0);
            assert_int_equal(s.step, 40);
        }
    }
}

/* Without a look in vain nothing ends, however little patience there is. */
static void test_resume_without_a_look_in_vain_goes_on(void **state)
{
    (void)state;
    struct settings s = watching("mean", "auc");
    struct train_state fresh = {.step = 10, .has_best = true, .best = 0.5, .best_step = 10};
    early_stop_resume(&s, &s, &fresh);
    assert_true(fresh.has_best);
    assert_false(fresh.stopped_early);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_of_a_task_and_of_all),
        cmocka_unit_test(test_value_of_a_conditional_score),
        cmocka_unit_test(test_mean_is_over_defined_tasks),
        cmocka_unit_test(test_no_value_is_nan),
        cmocka_unit_test(test_direction_follows_the_metric),
        cmocka_unit_test(test_resume_counts_with_the_new_patience),
        cmocka_unit_test(test_resume_forgets_the_best_of_another_watch),
        cmocka_unit_test(test_resume_without_a_look_in_vain_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
