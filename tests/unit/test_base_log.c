/* common/base/log: which lines reach which sink, and what they look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"

#include "tests/lib/tmpdir.h"

/* What was logged to the file so far. */
static const char *logged(const char *path)
{
    static char text[8192];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

static int set_up(void **state)
{
    static struct tmpdir d;
    tmpdir_create(&d);
    log_quiet_terminal(1);
    *state = &d;
    return 0;
}

static int tear_down(void **state)
{
    log_file(NULL);
    tmpdir_remove(*state);
    return 0;
}

/* A line is: time to the millisecond, level, role and rank, topic, text. */
static void test_line_format(void **state)
{
    char path[300];
    tmpdir_path(*state, "format.log", path, sizeof path);
    log_setup("w", 3, LOG_INFO);
    assert_true(log_file(path));
    log_line(LOG_INFO, "trainer", "step=%d", 1200);
    int h, m, s, ms, end = 0;
    char level, who[8], topic[16];
    const char *line = logged(path);
    assert_int_equal(sscanf(line, "%2d:%2d:%2d.%3d %c %7s %15s %n", &h, &m, &s, &ms,
                            &level, who, topic, &end),
                     7);
    assert_int_equal(level, 'I');
    assert_string_equal(who, "w03");
    assert_string_equal(topic, "trainer");
    assert_string_equal(line + end, "step=1200\n");
}

/* Lines above the level are dropped; lines of the level are kept. */
static void test_level_filters(void **state)
{
    char path[300];
    tmpdir_path(*state, "level.log", path, sizeof path);
    log_setup("s", 0, LOG_INFO);
    assert_true(log_file(path));
    log_line(LOG_DEBUG, "t", "hidden");
    log_line(LOG_INFO, "t", "shown");
    assert_null(strstr(logged(path), "hidden"));
    assert_non_null(strstr(logged(path), "shown"));
}

/* A text with line ends, or longer than there is room for, is still one line. */
static void test_one_line(void **state)
{
    char path[300];
    static char many[5000];
    memset(many, 'x', sizeof many - 1);
    tmpdir_path(*state, "one.log", path, sizeof path);
    log_setup("w", 0, LOG_INFO);
    assert_true(log_file(path));
    log_line(LOG_INFO, "t", "a\nb");
    log_line(LOG_INFO, "t", "%s", many);
    int lines = 0;
    for (const char *s = logged(path); *s; s++) lines += *s == '\n';
    assert_int_equal(lines, 2);
    assert_non_null(strstr(logged(path), "a b\n"));
}

/* A file is appended to: what an earlier attempt wrote stays. */
static void test_file_is_appended(void **state)
{
    char path[300];
    tmpdir_write(*state, "append.log", "earlier\n");
    tmpdir_path(*state, "append.log", path, sizeof path);
    log_setup("w", 0, LOG_INFO);
    assert_true(log_file(path));
    log_line(LOG_INFO, "t", "later");
    assert_memory_equal(logged(path), "earlier\n", 8);
    assert_non_null(strstr(logged(path), "later"));
}

/* A file that cannot be opened is reported to the caller. */
static void test_file_cannot_be_opened(void **state)
{
    char path[300];
    tmpdir_path(*state, "missing/folder.log", path, sizeof path);
    assert_false(log_file(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_format),
        cmocka_unit_test(test_level_filters),
        cmocka_unit_test(test_one_line),
        cmocka_unit_test(test_file_is_appended),
        cmocka_unit_test(test_file_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
