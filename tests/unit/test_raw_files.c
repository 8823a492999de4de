/* data/raw: which files a source has, empty ones, progress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/unit/raw_sample.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, raw_sample_setup, raw_sample_teardown)

/* Expand patterns in the folder; names joined by ",", or the error's text. */
static const char *expand(struct raw_sample *s, size_t n, const char *const *patterns)
{
    static char paths[8][512];
    const char *list[8], **files;
    size_t n_files;
    for (size_t i = 0; i < n; i++)
        list[i] = tmpdir_path(&s->dir, patterns[i], paths[i], sizeof paths[i]);
    struct source_cfg source = {.files = {list, n, {0}}};
    s->status = raw_expand(&source, &files, &n_files, &s->err);
    if (s->status != ST_OK) return s->err.text;
    char *at = s->out;
    for (size_t i = 0; i < n_files; i++) {
        if (i) *at++ = ',';
        at = stpcpy(at, files[i] + strlen(s->dir.path) + 1);
    }
    mem_free(files);
    return s->out;
}
#define EXPAND(s, ...)                                                                   \
    expand(s, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                    \
           (const char *[]){__VA_ARGS__})

/* Files come sorted by name over all patterns, each once, folders left out. */
static void test_sorted_once(void **state)
{
    struct raw_sample *s = *state;
    static const char *const names[] = {"b2.csv", "b10.csv", "a.csv", "c.txt", "B.csv"};
    for (size_t i = 0; i < 5; i++) raw_sample_file(s, names[i], "x");
    char path[512];
    assert_int_equal(mkdir(tmpdir_path(&s->dir, "d.csv", path, sizeof path), 0700), 0);
    assert_string_equal(EXPAND(s, "*.csv"), "B.csv,a.csv,b10.csv,b2.csv");
    assert_string_equal(EXPAND(s, "c.txt", "[ab]*.csv", "a.csv", "?.csv"),
                        "B.csv,a.csv,b10.csv,b2.csv,c.txt");
    assert_string_equal(EXPAND(s, "a.csv", "./a.csv", "d.csv/../a*"), "./a.csv");
}

/* One file under two names is read once. */
static void test_links(void **state)
{
    struct raw_sample *s = *state;
    char a[512], b[512];
    raw_sample_file(s, "a.csv", "x");
    assert_int_equal(symlink(tmpdir_path(&s->dir, "a.csv", a, sizeof a),
                             tmpdir_path(&s->dir, "b.csv", b, sizeof b)),
                     0);
    assert_string_equal(EXPAND(s, "*.csv"), "a.csv");
    assert_string_equal(EXPAND(s, "b.csv"), "b.csv");
}

/* A name with glob signs that is a file is that file. */
static void test_literal_name(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "day[1].csv", "x");
    assert_string_equal(EXPAND(s, "day[1].csv"), "day[1].csv");
}

/* Nothing there, a folder, no pattern at all: an error that names it. */
static void test_nothing_there(void **state)
{
    struct raw_sample *s = *state;
    EXPAND(s, "gone.csv");
    assert_int_equal(s->status, ST_NOINPUT);
    assert_non_null(strstr(s->err.text, "/gone.csv: no such file"));
    EXPAND(s, "*.gone");
    assert_int_equal(s->status, ST_NOINPUT);
    assert_non_null(strstr(s->err.text, "/*.gone: no file matches"));
    EXPAND(s, ".");
    assert_int_equal(s->status, ST_NOINPUT);
    assert_non_null(strstr(s->err.text, "is a directory"));
    struct source_cfg source = {0};
    const char **files;
    size_t n;
    assert_int_equal(raw_expand(&source, &files, &n, &s->err), ST_NOINPUT);
}

/* A file that may not be opened is named. (root may open everything.) */
static void test_unreadable(void **state)
{
    struct raw_sample *s = *state;
    char path[512];
    raw_sample_file(s, "a.in", "a\n1\n");
    assert_int_equal(chmod(tmpdir_path(&s->dir, "a.in", path, sizeof path), 0), 0);
    raw_sample_read(s, "a");
    if (geteuid() == 0) return;
    assert_int_equal(s->status, ST_NOINPUT);
    assert_non_null(strstr(s->err.text, "a.in: Permission denied"));
}

/* Empty files among others have no rows; a header alone neither. */
static void test_empty_files(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "");
    raw_sample_file(s, "b.in", "a,b\n");
    raw_sample_file(s, "c.in", "a,b\n1,2\n");
    raw_sample_file(s, "d.in", "\xef\xbb\xbf");
    raw_sample_file(s, "e.in", "\n\n");
    assert_string_equal(raw_sample_read(s, "a"), "1\n");
    assert_int_equal(s->bad.n_bad, 0);
}

/* Nothing but empty files: no header line to read names from. */
static void test_all_empty(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "");
    raw_sample_read(s, "a");
    assert_int_equal(s->status, ST_NOINPUT);
    assert_non_null(strstr(s->err.text, "a.in: a header line is expected: it is empty"));
    raw_sample_columns(s, "a");
    assert_string_equal(raw_sample_read(s, "a"), "");
    assert_int_equal(s->status, ST_OK);
}

/* Progress goes from 0 to the size of all files. */
static void test_progress(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a\n1\n2\n");
    raw_sample_file(s, "b.in", "a\n3\n");
    struct raw *r;
    const struct raw_row *row;
    uint64_t done, total, last = 0;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a"}, NULL, 1,
                              &s->bad, &r, &s->err),
                     ST_OK);
    raw_progress(r, &done, &total);
    assert_int_equal(done, 0);
    assert_int_equal(total, 10);
    do {
        assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
        raw_progress(r, &done, &total);
        assert_true(done >= last);
        last = done;
    } while (row);
    assert_int_equal(done, 10);
    raw_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sorted_once),   TEST(test_links),      TEST(test_literal_name),
        TEST(test_nothing_there), TEST(test_unreadable), TEST(test_empty_files),
        TEST(test_all_empty),     TEST(test_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
