/* data/source_lines: lines and records of several lines in a bounded buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "data/source_lines.h"
#include "tests/lib/tmpdir.h"

struct fixture {
    struct tmpdir dir;
    char path[512];
    struct source_lines *lines;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tmpdir_create(&f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    source_lines_close(f->lines);
    tmpdir_remove(&f->dir);
    free(f);
    return 0;
}
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void open_text(struct fixture *f, const char *text)
{
    tmpdir_write(&f->dir, "a", text);
    tmpdir_path(&f->dir, "a", f->path, sizeof f->path);
    assert_int_equal(source_lines_open(f->path, false, &f->lines, &f->err), ST_OK);
}

/* The next line must be this one; NULL: the end. */
static void expect(struct fixture *f, const char *line)
{
    enum source_line kind;
    struct text t;
    assert_int_equal(source_lines_next(f->lines, &kind, &t, &f->err), ST_OK);
    assert_int_equal(kind, line ? LINE_OK : LINE_END);
    if (!line) return;
    assert_int_equal(t.n, strlen(line));
    assert_memory_equal(t.s, line, t.n);
}

static void expect_extended(struct fixture *f, const char *record)
{
    enum source_line kind;
    struct text t;
    assert_int_equal(source_lines_extend(f->lines, &kind, &t, &f->err), ST_OK);
    assert_int_equal(kind, record ? LINE_OK : LINE_END);
    if (!record) return;
    assert_int_equal(t.n, strlen(record));
    assert_memory_equal(t.s, record, t.n);
}

/* Both line ends, empty lines, a last line without an end; the end stays the end. */
static void test_lines(void **state)
{
    struct fixture *f = *state;
    open_text(f, "one\ntwo\r\n\n\r\nthree\rx\nlast");
    static const char *const lines[] = {"one", "two", "", "", "three\rx", "last"};
    for (size_t i = 0; i < 6; i++) {
        expect(f, lines[i]);
        assert_int_equal(source_lines_number(f->lines), i + 1);
    }
    expect(f, NULL);
    expect(f, NULL);
}

/* No bytes, no lines. */
static void test_empty(void **state)
{
    struct fixture *f = *state;
    open_text(f, "");
    expect(f, NULL);
    expect_extended(f, NULL);
}

/* A record takes in lines, keeps the line ends inside, and counts them. */
static void test_extend(void **state)
{
    struct fixture *f = *state;
    open_text(f, "a\r\nb\r\nc\nd\n");
    expect(f, "a");
    expect_extended(f, "a\r\nb");
    expect_extended(f, "a\r\nb\r\nc");
    expect(f, "d");
    assert_int_equal(source_lines_number(f->lines), 4);
    expect_extended(f, NULL);
    expect(f, NULL);
}

/* Cut back to its first line, a record gives the others back. */
static void test_cut_back(void **state)
{
    struct fixture *f = *state;
    open_text(f, "a\nb\nc\n");
    expect(f, "a");
    expect_extended(f, "a\nb");
    expect_extended(f, "a\nb\nc");
    source_lines_cut_back(f->lines);
    expect(f, "b");
    assert_int_equal(source_lines_number(f->lines), 2);
    expect(f, "c");
    expect(f, NULL);
}

/* Random lines, longer and shorter than a block read, come as they were written,
 * with records extended and cut back over every edge of the buffer. */
static void test_random_lines(void **state)
{
    struct fixture *f = *state;
    enum { LINES = 3000 };
    static size_t begin[LINES + 1];
    size_t n = 0;
    for (size_t i = 0; i < LINES; i++) {
        begin[i] = n;
        n += (hash_mix(i) % 50 == 0 ? hash_mix(i + 7) % 100000 : hash_mix(i) % 300) + 1;
    }
    begin[LINES] = n;
    char *text = malloc(n + 1);
    for (size_t i = 0; i < n; i++) text[i] = (char)('a' + hash_mix(i) % 26);
    for (size_t i = 0; i < LINES; i++) text[begin[i + 1] - 1] = '\n';
    text[n] = '\0';
    open_text(f, text);
    for (size_t i = 0; i < LINES;) {
        enum source_line kind;
        struct text t;
        assert_int_equal(source_lines_next(f->lines, &kind, &t, &f->err), ST_OK);
        assert_int_equal(kind, LINE_OK);
        assert_int_equal(source_lines_number(f->lines), i + 1);
        size_t last = i + hash_mix(i + 3) % 4, at = i;
        while (at < last && at + 1 < LINES) {
            assert_int_equal(source_lines_extend(f->lines, &kind, &t, &f->err), ST_OK);
            assert_int_equal(kind, LINE_OK);
            at++;
        }
        assert_int_equal(t.n, begin[at + 1] - 1 - begin[i]);
        assert_memory_equal(t.s, text + begin[i], t.n);
        bool back = hash_mix(i + 5) % 2;
        if (back) source_lines_cut_back(f->lines);
        i = back ? i + 1 : at + 1;
    }
    expect(f, NULL);
    assert_int_equal(source_lines_bytes_in(f->lines), n);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lines),    TEST(test_empty),        TEST(test_extend),
        TEST(test_cut_back), TEST(test_random_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
