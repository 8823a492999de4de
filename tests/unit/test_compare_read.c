/* compare_read: results and curves as runs leave them, also resumed and cut-off ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/compare.h"
#include "tests/lib/tmpdir.h"

struct one_run {
    struct tmpdir dir;
    struct compare c;
    struct compare_run run;
};

static int make(void **state)
{
    static struct one_run r;
    struct error err;
    tmpdir_create(&r.dir);
    r.run = (struct compare_run){.dir = r.dir.path, .state = RUN_DONE};
    r.c = (struct compare){
        .runs = &r.run, .n_runs = 1, .n_seeds = 1, .on = {ON_EVAL}, .n_on = 1};
    *state = &r;
    return arena_create(&r.c.arena, &err) == ST_OK ? 0 : -1;
}

static int drop(void **state)
{
    struct one_run *r = *state;
    compare_close(&r->c);
    tmpdir_remove(&r->dir);
    return 0;
}

static const char result[] = "{\"steps\": 64, \"rows\": 8000, \"samples_per_s\": 4000.0,"
                             " \"eval\": {\"click\": {\"auc\": 0.75, \"rows\": 10}}}";

/* The kinds and steps of the kept lines: "t10 t20 v20". */
static const char *kept(struct one_run *r, const char *lines)
{
    static char out[256];
    struct error err;
    tmpdir_write(&r->dir, "result.json", result);
    tmpdir_write(&r->dir, "metrics.jsonl", lines);
    assert_int_equal(compare_read(&r->c, &err), ST_OK);
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(r->run.lines); i++) {
        const json_t *line = json_array_get(r->run.lines, i);
        sprintf(out + strlen(out), "%s%c%d", i ? " " : "",
                *json_string_value(json_object_get(line, "kind")),
                (int)json_integer_value(json_object_get(line, "step")));
    }
    return out;
}

/* Metrics, steps, and the time of the steps alone: rows by rows per second. */
static void a_result_is_read(void **state)
{
    struct one_run *r = *state;
    struct error err;
    tmpdir_write(&r->dir, "result.json", result);
    assert_int_equal(compare_read_run(&r->c, &r->run, &err), ST_OK);
    assert_int_equal(r->run.steps, 64);
    assert_true(fabs(r->run.train_s - 2) < 1e-12);
    const json_t *click = json_object_get(r->run.metrics[ON_EVAL], "click");
    assert_true(json_number_value(json_object_get(click, "auc")) == 0.75);
}

/* Metrics on further rows are in files of their own. */
static void further_rows_are_read(void **state)
{
    struct one_run *r = *state;
    struct error err;
    r->c.on[1] = ON_TRAIN;
    r->c.n_on = 2;
    assert_false(compare_is_finished(&r->c, &r->run));
    tmpdir_write(&r->dir, "result.json", result);
    assert_false(compare_is_finished(&r->c, &r->run));
    assert_int_equal(compare_read_run(&r->c, &r->run, &err), ST_NOINPUT);
    tmpdir_write(&r->dir, "eval-train.json",
                 "{\"rows\":5,\"eval\":{\"click\":{\"auc\":0.99}}}");
    assert_true(compare_is_finished(&r->c, &r->run));
    assert_int_equal(compare_read_run(&r->c, &r->run, &err), ST_OK);
    const json_t *click = json_object_get(r->run.metrics[ON_TRAIN], "click");
    assert_true(json_number_value(json_object_get(click, "auc")) == 0.99);
}

/* A result that is no JSON, or has no metrics, is named with what to do. */
static void a_damaged_result_is_named(void **state)
{
    struct one_run *r = *state;
    struct error err;
    static const char *const damaged[] = {"", "{\"eval\":", "[1]", "{\"steps\":3}"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        tmpdir_write(&r->dir, "result.json", damaged[i]);
        assert_int_equal(compare_read_run(&r->c, &r->run, &err), ST_NOINPUT);
        assert_non_null(strstr(err.text, r->dir.path));
    }
}

/* Training, validation and evaluation are curves; checkpoints and unknown lines are not.
 */
static void lines_of_curves_are_kept(void **state)
{
    assert_string_equal(
        kept(*state,
             "{\"kind\":\"train\",\"step\":10}\n{\"kind\":\"checkpoint\",\"step\":10}\n"
             "{\"kind\":\"valid\",\"step\":10}\n{\"step\":11}\n{\"kind\":\"train\"}\n"
             "{\"kind\":\"eval\",\"step\":20}\n"),
        "t10 v10 e20");
}

/* A killed run resumes from its last checkpoint: what it had written behind that
 * step is void, and a line written again replaces the old one. */
static void a_resumed_run_has_each_step_once(void **state)
{
    struct one_run *r = *state;
    assert_string_equal(
        kept(r, "{\"kind\":\"train\",\"step\":10}\n{\"kind\":\"train\",\"step\":20}\n"
                "{\"kind\":\"train\",\"step\":30}\n{\"kind\":\"valid\",\"step\":30}\n"
                "{\"kind\":\"train\",\"step\":20,\"loss\":{\"click\":7}}\n"
                "{\"kind\":\"valid\",\"step\":20}\n"),
        "t10 t20 v20");
    const json_t *loss = json_object_get(json_array_get(r->run.lines, 1), "loss");
    assert_int_equal(json_integer_value(json_object_get(loss, "click")), 7);
}

/* A last line without its end, and garbage, are passed over. */
static void broken_lines_are_passed_over(void **state)
{
    assert_string_equal(
        kept(*state, "{\"kind\":\"train\",\"step\":10}\n\n???\n[1]\n3\n{\"kind\":\"tr"),
        "t10");
    assert_string_equal(kept(*state, ""), "");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_result_is_read),
        CASE(further_rows_are_read),
        CASE(a_damaged_result_is_named),
        CASE(lines_of_curves_are_kept),
        CASE(a_resumed_run_has_each_step_once),
        CASE(broken_lines_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
