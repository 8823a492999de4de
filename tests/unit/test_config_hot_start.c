/* `hot_start` in a configuration: values, what the mode fills in, mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/unit/config_text.h"

/* Without the key nothing is hot-started, and nothing of it is printed. */
static void without_it_a_run_starts_from_nothing(void **state)
{
    (void)state;
    char *text;
    struct settings *s = config_parse(config_least, NULL);
    assert_false(s->hot_start.given);
    assert_int_equal(settings_print(s, false, &text, NULL), ST_OK);
    assert_null(strstr(text, "hot_start"));
    mem_free(text);
    settings_destroy(s);
}

/* What state and statistics are follows from the mode unless they are written. */
static void the_mode_fills_in_the_rest(void **state)
{
    (void)state;
    static const struct {
        const char *mode;
        enum hot_mode value;
        enum hot_state dense;
        enum hot_statistics statistics;
    } modes[] = {{"hot_start.mode=cold", HOT_COLD, HOT_RESET, HOT_STATISTICS_FIT},
                 {"hot_start.mode=sparse", HOT_SPARSE, HOT_RESET, HOT_STATISTICS_FIT},
                 {"hot_start.mode=sparse+shared", HOT_SPARSE_SHARED, HOT_RESET, HOT_STATISTICS_KEEP},
                 {"hot_start.mode=all", HOT_ALL, HOT_KEEP, HOT_STATISTICS_KEEP}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const char *const sets[] = {"hot_start.from=runs/r", modes[i].mode, NULL};
        struct settings *s = config_parse(config_least, sets);
        assert_true(s->hot_start.given);
        assert_int_equal(s->hot_start.mode, modes[i].value);
        assert_int_equal(s->hot_start.state_sparse, HOT_KEEP);
        assert_int_equal(s->hot_start.state_dense, modes[i].dense);
        assert_int_equal(s->hot_start.statistics, modes[i].statistics);
        settings_destroy(s);
    }
    struct settings *s = config_more(
        "hot_start: {from: r, mode: all, state: {dense: reset}, statistics: fit}\n");
    assert_int_equal(s->hot_start.state_dense, HOT_RESET);
    assert_int_equal(s->hot_start.statistics, HOT_STATISTICS_FIT);
    settings_destroy(s);
}

/* Every key is read into its place, and printed so that it is read again. */
static void all_keys_are_read(void **state)
{
    (void)state;
    static const char lines[] =
        "hot_start:\n"
        "  from: runs/r\n"
        "  include: [tower/a, 'gate/*']\n"
        "  exclude: table/x\n"
        "  rename: {task/a: task/b, table/x: table/y}\n"
        "  perturb: {'expert/*': {shrink: 0.6, noise: 0.01}, bottom: {}}\n"
        "  freeze: [{names: [table/x, bottom], until: 1000}, {names: tower}]\n"
        "  lr_scale: {bottom: 0.1, 'table/*': 0}\n"
        "  resize: pad\n"
        "  rows: {min_count: 2, max_age: 30}\n"
        "  new_task: {only_new: 500, ramp: 1k, open: 7, gate: uniform}\n";
    struct settings *s = config_more(lines);
    char *text;
    assert_int_equal(settings_print(s, false, &text, NULL), ST_OK);
    settings_destroy(s);
    s = config_parse(text, NULL);
    mem_free(text);
    const struct hot_start_cfg *h = &s->hot_start;
    assert_string_equal(h->from, "runs/r");
    assert_true(h->include.n == 2 && h->exclude.n == 1 && h->rename.n == 2);
    assert_string_equal(h->rename.key[1], "table/x");
    assert_string_equal(h->rename.value[1], "table/y");
    assert_int_equal(h->n_perturb, 2);
    assert_string_equal(h->perturb[0].name, "expert/*");
    assert_true(h->perturb[0].shrink == 0.6 && h->perturb[0].noise == 0.01);
    assert_true(h->perturb[1].shrink == 1 && h->perturb[1].noise == 0);
    assert_int_equal(h->n_freeze, 2);
    assert_true(h->freeze[0].names.n == 2 && h->freeze[0].until == 1000);
    assert_true(h->freeze[1].until == UINT64_MAX);
    assert_true(h->lr_scale.n == 2 && h->lr_factor[0] == 0.1 && h->lr_factor[1] == 0);
    assert_int_equal(h->resize, HOT_RESIZE_PAD);
    assert_true(h->rows.min_count == 2 && h->rows.max_age == 30);
    assert_true(h->new_task.only_new == 500 && h->new_task.ramp == 1000 && h->new_task.open == 7);
    settings_destroy(s);
}

/* --set reaches into the mappings by name. */
static void set_reaches_inside(void **state)
{
    (void)state;
    const char *const sets[] = {"hot_start.from=r", "hot_start.lr_scale.bottom=0.5",
                                "hot_start.rename.task/a=task/b",
                                "hot_start.perturb.table/x.shrink=0.9", NULL};
    struct settings *s = config_parse(config_least, sets);
    assert_true(s->hot_start.lr_factor[0] == 0.5);
    assert_string_equal(s->hot_start.rename.key[0], "task/a");
    assert_true(s->hot_start.perturb[0].shrink == 0.9);
    settings_destroy(s);
}

/* A run that resumes ignores it, and scoring does too. */
static void it_is_not_compared(void **state)
{
    (void)state;
    const char *const sets[] = {"hot_start.from=r", "hot_start.mode=all", NULL};
    struct settings *a = config_parse(config_least, NULL), *b = config_parse(config_least, sets);
    char *text;
    size_t n;
    assert_int_equal(settings_diff_resume(a, b, &text, &n, NULL), ST_OK);
    assert_int_equal(n, 0);
    mem_free(text);
    assert_int_equal(settings_diff_model(a, b, &text, &n, NULL), ST_OK);
    assert_int_equal(n, 0);
    mem_free(text);
    settings_destroy(a);
    settings_destroy(b);
}

/* Mistakes are told with their place. */
static void mistakes_are_told(void **state)
{
    (void)state;
    config_more_refused("hot_start: {mode: sparse}\n", "c.yaml:5:12: hot_start needs 'from'",
                        "for example hot_start: {from: runs/yesterday}");
    config_more_refused("hot_start: {from: r, mode: warm}\n",
                        "c.yaml:5:28: hot_start.mode: 'warm' is unknown: expected cold | sparse | "
                        "sparse+shared | all", NULL);
    config_more_refused("hot_start: {from: r, lr_scale: {bottom: fast}}\n",
                        "c.yaml:5:33: hot_start.lr_scale: 'fast' is no number from 0 to 1e6", NULL);
    config_more_refused("hot_start: {from: r, lr_scale: [1]}\n",
                        "c.yaml:5:32: hot_start.lr_scale: expected a mapping from names to values, "
                        "not a list", NULL);
    config_more_refused("hot_start: {from: r, rename: {a: [b]}}\n",
                        "c.yaml:5:34: hot_start.rename: expected a mapping from names to values, not "
                        "a list", NULL);
    config_more_refused("hot_start: {from: r, freeze: [{until: 3}]}\n",
                        "c.yaml:5:31: 'hot_start.freeze.0' needs the key 'names'", NULL);
    config_more_refused("hot_start: {from: r, new_task: {gate: clik}}\n",
                        "c.yaml:5:39: hot_start.new_task.gate: there is no task 'clik'", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_it_a_run_starts_from_nothing),
        cmocka_unit_test(the_mode_fills_in_the_rest),
        cmocka_unit_test(all_keys_are_read),
        cmocka_unit_test(set_reaches_inside),
        cmocka_unit_test(it_is_not_compared),
        cmocka_unit_test(mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
