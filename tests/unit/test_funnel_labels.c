/* data/funnel: labels of a funnel's steps in batches, statistics and counts. */
#include <math.h>

#include "common/base/mem.h"
#include "data/dataset_stats.h"
#include "tests/unit/data_sample.h"

#define TEST(f)                                                                          \
    cmocka_unit_test_setup_teardown(f, data_sample_setup, data_sample_teardown)

/* 0 click and nothing, 1 click, 2 click and buy, 3 buy without click, 4 click, buy
 * unknown, 5 click unknown, 6 no click, buy unknown, 7 click, buy, return. */
static const char rows[] = "user,click,buy,back\na,0,0,0\nb,1,0,0\na,1,1,0\nb,0,1,1\n"
                           "a,1,,0\nb,,1,1\na,0,,0\nb,1,1,1\n";
enum { ROWS = 8 };
static const float absent = NAN;

#define TASKS "tasks: {back: {label: back}, buy: {label: buy}, click: {label: click}}\n"

static void train(struct data_sample *s, const char *const *sets)
{
    data_sample_file(s, "a.csv", rows);
    data_sample_train(s,
                      "data: {train: {files: [\"${dir}/a.csv\"]}}\n"
                      "features: [{name: user}]\n" TASKS,
                      sets);
}

static const char *const funnel[] = {"model.funnel=[click, buy, back]", NULL};

static void expect_labels(struct data_sample *s, const float want[ROWS][3])
{
    struct scan *scan;
    const struct batch *b;
    if (scan_open(s->data, s->fit, 0, ROWS, ROWS, &scan, &s->err) != ST_OK ||
        scan_next(scan, &b, &s->err) != ST_OK)
        fail_msg("%s", s->err.text);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t k = 0; k < 3; k++) {
            float y = b->labels[r * 3 + k];
            if (isnan(want[r][k]) ? !isnan(y) : y != want[r][k])
                fail_msg("row %zu, task %zu: %g", r, k, (double)y);
        }
    scan_close(scan);
}

/* A later step counts where all before it happened; a label that is missing anywhere
 * up to it stays missing. */
static void test_labels_of_later_steps(void **state)
{
    struct data_sample *s = *state;
    train(s, funnel);
    const float want[ROWS][3] = {{0, 0, 0},          {0, 0, 1},           {0, 1, 1},
                                 {0, 0, 0},          {absent, absent, 1}, {absent, absent, absent},
                                 {absent, absent, 0}, {1, 1, 1}};
    expect_labels(s, want);
}

/* Without a funnel labels are their columns'. */
static void test_labels_without_a_funnel(void **state)
{
    struct data_sample *s = *state;
    train(s, NULL);
    const float want[ROWS][3] = {{0, 0, 0},      {0, 0, 1},      {0, 1, 1},      {1, 1, 0},
                                 {0, absent, 1}, {1, 1, absent}, {0, absent, 0}, {1, 1, 1}};
    expect_labels(s, want);
}

/* Presence, base rates and the counts of what is odd are those of the joint labels. */
static void test_statistics_of_training(void **state)
{
    struct data_sample *s = *state;
    train(s, funnel);
    assert_true(fit_presence(s->fit, 2) == 7.0 / 8 && fit_presence(s->fit, 1) == 5.0 / 8);
    assert_true(fit_base(s->fit, 2) == 4.0 / 7);
    assert_true(fit_base(s->fit, 1) == 2.0 / 5);
    assert_true(fit_base(s->fit, 0) == 1.0 / 5);
    const struct funnel_rows *buy = fit_funnel(s->fit, 1), *back = fit_funnel(s->fit, 0);
    assert_int_equal(fit_funnel(s->fit, 2)->ended, 0); /* the first step */
    assert_int_equal(buy->ended, 3);                   /* rows 0, 3, 6 */
    assert_int_equal(buy->violations, 1);              /* row 3 */
    assert_int_equal(buy->unlabelled, 1);              /* row 6 */
    assert_int_equal(back->ended, 3);                  /* rows 0, 1, 3 */
    assert_int_equal(back->violations, 1);             /* row 3 */
    assert_int_equal(back->unlabelled, 0);
}

/* `data stats` counts the same. */
static void test_statistics_for_people(void **state)
{
    struct data_sample *s = *state;
    struct dataset_stats stats;
    train(s, funnel);
    assert_int_equal(dataset_stats(s->data, &stats, &s->err), ST_OK);
    assert_int_equal(stats.tasks[1].present, 5);
    assert_true(stats.tasks[1].sum == 2);
    assert_int_equal(stats.tasks[1].funnel.violations, 1);
    assert_int_equal(stats.tasks[2].present, 7);
    dataset_stats_close(&stats);
}

/* Shares of a label multiply; a share above nothing is a violation, below 1 it is not. */
static void test_labels_between_0_and_1(void **state)
{
    (void)state;
    size_t steps[] = {0, 1};
    struct settings s = {.n_tasks = 2, .model.steps = {steps, 2}};
    struct funnel_rows n = {0};
    const float labels[] = {0.5f, 0.25f}, none[] = {0, 0.25f};
    assert_true(funnel_label(&s, labels, 0) == 0.5f);
    assert_true(funnel_label(&s, labels, 1) == 0.125f);
    funnel_count(&s, labels, 1, &n);
    assert_int_equal(n.violations, 0);
    funnel_count(&s, none, 1, &n);
    assert_int_equal(n.violations, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_labels_of_later_steps),
        TEST(test_labels_without_a_funnel),
        TEST(test_statistics_of_training),
        TEST(test_statistics_for_people),
        cmocka_unit_test(test_labels_between_0_and_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
