/* common/base/status: outcomes, and texts that grow from the inside out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/status.h"

/* Every status has the exit code that the documentation promises. */
static void test_exit_codes(void **state)
{
    (void)state;
    static const int promised[] = {0, 64, 65, 66, 70, 71, 73, 74, 75, 76, 77, 78};
    assert_int_equal(ST_COUNT, sizeof promised / sizeof *promised);
    for (int i = 0; i < ST_COUNT; i++)
        assert_int_equal(status_exit_code((enum status)i), promised[i]);
}

/* A number that is no status is an internal failure, never success. */
static void test_unknown_status_is_internal(void **state)
{
    (void)state;
    assert_int_equal(status_exit_code(ST_COUNT), 70);
    assert_string_equal(status_text(ST_COUNT), "unknown status");
}

/* Context is put in front, so a text reads from the intent to the cause. */
static void test_wrap_reads_outermost_first(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set(&err, ST_IO, "write %d: disk full", 3), ST_IO);
    assert_int_equal(error_wrap(&err, ST_IO, "checkpoint %s", "step-7"), ST_IO);
    assert_string_equal(err.text, "checkpoint step-7: write 3: disk full");
}

/* A text is one line whatever went into it: logs are read line by line. */
static void test_text_is_one_line(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, ST_DATA, "a\nb\r\nc");
    error_wrap(&err, ST_DATA, "x\ny");
    error_hint(&err, ST_DATA, "do\nthis");
    assert_string_equal(err.text, "x y: a b  c");
    assert_string_equal(err.hint, "do this");
}

/* A new text drops the hint of the old one. */
static void test_set_clears_hint(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, ST_USAGE, "first");
    error_hint(&err, ST_USAGE, "hint of the first");
    error_set(&err, ST_IO, "second");
    assert_string_equal(err.hint, "");
}

/* A text longer than its room is cut and ended, also when wrapped. */
static void test_long_text_is_cut(void **state)
{
    (void)state;
    static char many[4000];
    memset(many, 'a', sizeof many - 1);
    struct error err;
    error_set(&err, ST_DATA, "%s", many);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    error_wrap(&err, ST_DATA, "outer");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "outer: aaa", 10);
    error_wrap(&err, ST_DATA, "%s", many);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

/* A caller that wants no text passes NULL and still gets the status. */
static void test_null_error_is_fine(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, ST_DATA, "x"), ST_DATA);
    assert_int_equal(error_wrap(NULL, ST_DATA, "x"), ST_DATA);
    assert_int_equal(error_hint(NULL, ST_DATA, "x"), ST_DATA);
}

static enum status give(enum status st, int *reached)
{
    TRY(st);
    *reached = 1;
    return ST_OK;
}

/* TRY goes on only after success. */
static void test_try_returns_failures(void **state)
{
    (void)state;
    int reached = 0;
    assert_int_equal(give(ST_PEER, &reached), ST_PEER);
    assert_int_equal(reached, 0);
    assert_int_equal(give(ST_OK, &reached), ST_OK);
    assert_int_equal(reached, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_unknown_status_is_internal),
        cmocka_unit_test(test_wrap_reads_outermost_first),
        cmocka_unit_test(test_text_is_one_line),
        cmocka_unit_test(test_set_clears_hint),
        cmocka_unit_test(test_long_text_is_cut),
        cmocka_unit_test(test_null_error_is_fine),
        cmocka_unit_test(test_try_returns_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
