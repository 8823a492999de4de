/* data/raw: rows that cannot be read are counted, shown and left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "tests/unit/raw_sample.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, raw_sample_setup, raw_sample_teardown)

/* The n-th shown row, behind the folder and its slash. */
static const char *shown(const struct raw_sample *s, size_t i)
{
    assert_true(i < s->bad.n_shown);
    const char *at = strstr(s->bad.shown[i], s->dir.path);
    return at ? at + strlen(s->dir.path) + 1 : s->bad.shown[i];
}

/* Each kind at a known place: the rows around it are read, the place and the
 * reason are told. */
static void test_each_kind(void **state)
{
    struct raw_sample *s = *state;
    static const struct {
        const char *bad, *said;
    } rows[] = {
        {"1", "a.in:3:2: 1 columns, 2 expected: '1'"},
        {"1,2,3", "a.in:3:5: 3 columns, 2 expected: '1,2,3'"},
        {"1,2,", "a.in:3:5: 3 columns, 2 expected: '1,2,'"},
        {"1,\"x\"y", "a.in:3:6: broken quote: text behind its end: '1,\"x\"y'"},
        {"\"x\" ,2", "a.in:3:4: broken quote: text behind its end: '\"x\" ,2'"},
        {"1,\"x", "a.in:3:3: broken quote: it is never closed: '1,\"x\\x0agood,2\\x0a'"},
        {"\"1,x", "a.in:3:1: broken quote: it is never closed: '\"1,x\\x0agood,2\\x0a'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        snprintf(text, sizeof text, "a,b\ngood,1\n%s\ngood,2\n\n", rows[i].bad);
        raw_sample_file(s, "a.in", text);
        assert_string_equal(raw_sample_read(s, "a,b"), "good|1\ngood|2\n");
        assert_int_equal(s->bad.n_bad, 1);
        assert_int_equal(s->bad.n_good, 2);
        assert_string_equal(shown(s, 0), rows[i].said);
    }
}

/* A zero byte anywhere in a row is binary data. */
static void test_zero_byte(void **state)
{
    struct raw_sample *s = *state;
    static const char text[] = "a,b\n1,2\n3,\0\n\0\"\0,\n\"x\n\0,y\n5,6\n";
    raw_sample_bytes(s, "a.in", text, sizeof text - 1);
    assert_string_equal(raw_sample_read(s, "a,b"), "1|2\n5|6\n");
    assert_int_equal(s->bad.n_bad,
                     4); /* the quote that is never closed, and the zero behind it */
    assert_string_equal(shown(s, 0), "a.in:3:3: binary data: a zero byte: '3,\\x00'");
    assert_string_equal(shown(s, 1),
                        "a.in:4:1: binary data: a zero byte: '\\x00\"\\x00,'");
}

/* In the header line it is the end: no column could be found. UTF-16, archives. */
static void test_zero_byte_in_the_header(void **state)
{
    struct raw_sample *s = *state;
    static const char text[] = "\xff\xfe" "a\0,\0b\0\n\0" "1\0,\0" "2\0\n\0";
    raw_sample_bytes(s, "a.in", text, sizeof text - 1);
    raw_sample_read(s, "a,b");
    assert_int_equal(s->status, ST_DATA);
    assert_non_null(strstr(s->err.text, "a.in:1:4: the header line is binary data: a zero byte"));
    assert_non_null(strstr(s->err.hint, "UTF-16"));
}

/* An open quote costs its own line only, however many good rows follow; they may
 * hold quotes themselves. */
static void test_open_quote_costs_one_line(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a,b\n1,\"x\n2,y\n3,\"z\"\n4,w\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "2|y\n3|z\n4|w\n");
    assert_int_equal(s->bad.n_bad, 1);
    enum { ROWS = 200000 };
    char *text = malloc(16 * ROWS), *at = stpcpy(text, "a,b\n1,\"x\n");
    for (size_t i = 0; i < ROWS; i++) at = stpcpy(at, "12345,abcde\n");
    raw_sample_file(s, "a.in", text);
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a"}, NULL, 1,
                              &s->bad, &r, &s->err),
                     ST_OK);
    do assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    while (row);
    raw_close(r);
    assert_int_equal(s->bad.n_good, ROWS);
    assert_int_equal(s->bad.n_bad, 1);
    free(text);
}

/* A row of several lines with a wrong number of columns is one bad row. */
static void test_wrong_count_over_lines(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a,b,c\n1,\"two\nlines\"\n2,x,y\n");
    assert_string_equal(raw_sample_read(s, "a,b,c"), "2|x|y\n");
    assert_int_equal(s->bad.n_bad, 1);
    assert_string_equal(shown(s, 0),
                        "a.in:3:7: 2 columns, 3 expected: '1,\"two\\x0alines\"'");
}

/* A quote open at the end of the file. */
static void test_open_quote_at_the_end(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a,b\n1,2\n3,\"x");
    assert_string_equal(raw_sample_read(s, "a,b"), "1|2\n");
    assert_int_equal(s->bad.n_bad, 1);
    raw_sample_file(s, "b.in", "a,b\n5,6\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "1|2\n5|6\n");
}

static void write_long(struct raw_sample *s, const char *name, size_t bytes, bool tail)
{
    char path[512];
    FILE *f = fopen(tmpdir_path(&s->dir, name, path, sizeof path), "wb");
    assert_non_null(f);
    fputs("a,b\n1,2\nlong,", f);
    static char block[65536];
    memset(block, 'x', sizeof block);
    for (size_t n = 5; n < bytes;) {
        size_t more = bytes - n < sizeof block ? bytes - n : sizeof block;
        assert_int_equal(fwrite(block, 1, more, f), more);
        n += more;
    }
    if (tail) fputs("\n3,4\n", f);
    assert_int_equal(fclose(f), 0);
}

/* A line of 1 MiB is a row, a longer one is bad, and 100 MB take no more memory. */
static void test_long_lines(void **state)
{
    struct raw_sample *s = *state;
    static const struct {
        size_t bytes;
        bool bad;
    } rows[] = {
        {1 << 20, false}, {(1 << 20) + 1, true}, {3 << 20, true}, {100000000, true}};
    for (size_t i = 0; i < 4; i++) {
        write_long(s, "a.in", rows[i].bytes, true);
        assert_string_equal(raw_sample_read(s, "a"),
                            rows[i].bad ? "1\n3\n" : "1\nlong\n3\n");
        assert_int_equal(s->bad.n_bad, rows[i].bad);
        if (rows[i].bad)
            assert_memory_equal(shown(s, 0),
                                "a.in:3: the line is longer than 1 MiB: 'long,xxx", 48);
    }
    write_long(s, "a.in", 5000000, false);
    assert_string_equal(raw_sample_read(s, "a"), "1\n");
    assert_int_equal(s->bad.n_bad, 1);
}

/* Memory does not depend on the length of a line. */
static void test_long_line_memory(void **state)
{
    struct raw_sample *s = *state;
    write_long(s, "a.in", 30000000, true);
    uint64_t before = mem_live_bytes();
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a"}, NULL, 1,
                              &s->bad, &r, &s->err),
                     ST_OK);
    do {
        assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
        assert_true(mem_live_bytes() - before < 4000000);
    } while (row);
    raw_close(r);
    assert_int_equal(mem_live_bytes(), before);
}

/* A row of several lines may have 1 MiB too; beyond that its quote is broken. */
static void test_long_quoted_rows(void **state)
{
    struct raw_sample *s = *state;
    for (size_t lines = 1 << 19; lines <= (1 << 20); lines *= 2) {
        char *text = malloc(2 * lines + 64), *at = stpcpy(text, "a,b\n1,\"");
        for (size_t i = 0; i < lines - 8; i++) at = stpcpy(at, "x\n");
        at = stpcpy(at, "\"\n2,y\n");
        raw_sample_file(s, "a.in", text);
        raw_sample_read(s, "a");
        assert_string_equal(s->out, lines == 1 << 19 ? "1\n2\n" : "2\n");
        assert_int_equal(s->bad.n_bad > 0, lines != 1 << 19);
        free(text);
    }
}

/* The first ten are shown, all are counted; texts are cut and made safe. */
static void test_ten_are_shown(void **state)
{
    struct raw_sample *s = *state;
    char text[4096] = "a,b\n", *at = text + 4;
    for (size_t i = 0; i < 25; i++) at += sprintf(at, "bad%zu\n", i);
    at = stpcpy(at, "1,2\n");
    raw_sample_file(s, "a.in", text);
    assert_string_equal(raw_sample_read(s, "a"), "1\n");
    assert_int_equal(s->bad.n_bad, 25);
    assert_int_equal(s->bad.n_shown, BAD_ROWS_SHOWN);
    assert_string_equal(shown(s, 9), "a.in:11:5: 1 columns, 2 expected: 'bad9'");
    struct bad_rows b;
    bad_rows_init(&b, &s->data);
    bad_rows_add(&b, "f.csv", 7, 0, "why",
                 (struct text){"\x1b[31m\tk\xc3\xb6ln\xff", 12});
    assert_string_equal(b.shown[0], "f.csv:7: why: '\\x1b[31m\\x09köln\\xff'");
    memset(text, 'y', sizeof text);
    bad_rows_add(&b, "f.csv", 8, 2, "why", (struct text){text, sizeof text});
    assert_int_equal(strlen(b.shown[1]), strlen("f.csv:8:2: why: ''") + 60 + 3);
}

/* A number limits at once, a share at the end, no share at all at once. */
static void test_limits(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a,b\n1,2\nx\n3,4\ny\n5,6\n");
    s->data.bad_rows_max = 2;
    assert_string_equal(raw_sample_read(s, "a"), "1\n3\n5\n");
    s->data.bad_rows_max = 1;
    raw_sample_read(s, "a");
    assert_int_equal(s->status, ST_DATA);
    assert_memory_equal(s->out, "1\n3\n! 2 rows are bad, allowed are 1: first ", 43);
    s->data.bad_rows_is_share = true;
    s->data.bad_rows_max = 0.4;
    raw_sample_read(s, "a");
    assert_int_equal(s->status, ST_OK);
    assert_int_equal(bad_rows_check(&s->bad, true, &s->err), ST_OK);
    s->data.bad_rows_max = 0.39;
    raw_sample_read(s, "a");
    assert_int_equal(s->status, ST_OK);
    assert_int_equal(bad_rows_check(&s->bad, false, &s->err), ST_OK);
    assert_int_equal(bad_rows_check(&s->bad, true, &s->err), ST_DATA);
    assert_memory_equal(s->err.text, "2 of 5 rows are bad, allowed are 39%", 36);
    s->data.bad_rows_max = 0;
    raw_sample_read(s, "a");
    assert_int_equal(s->status, ST_DATA);
}

/* A row that the caller rejects is bad and no longer good; its value is shown
 * where it stands, also behind a line end in the row. */
static void test_reject(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a,b,c\n1,\"x\ny\",abc\n2,,\n");
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"c", "a"}, NULL, 2,
                              &s->bad, &r, &s->err),
                     ST_OK);
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    raw_reject(r, 0, "not a number");
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    raw_reject(r, SIZE_MAX, "label 7 is not 0 to 1");
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    assert_null(row);
    raw_close(r);
    assert_int_equal(s->bad.n_good, 0);
    assert_int_equal(s->bad.n_bad, 2);
    assert_string_equal(shown(s, 0), "a.in:3:4: not a number: 'abc'");
    assert_string_equal(shown(s, 1), "a.in:4: label 7 is not 0 to 1: ''");
}

/* A rejected row counts at once for a limit in rows. */
static void test_reject_over_the_limit(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a\n1\n2\n");
    s->data.bad_rows_max = 0;
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a"}, NULL, 1,
                              &s->bad, &r, &s->err),
                     ST_OK);
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    raw_reject(r, 0, "not wanted");
    assert_int_equal(raw_next(r, &row, &s->err), ST_DATA);
    raw_close(r);
}

/* Random bytes are read to their end: nothing crashes, nothing hangs, and lines
 * that were good around them stay good. */
static void test_random_bytes(void **state)
{
    struct raw_sample *s = *state;
    static const char alphabet[] = "ab,,\"\"\n\n\r\0\xff\xc3 ::1";
    enum { BYTES = 3000 };
    uint64_t h = 3;
    for (size_t round = 0; round < 400; round++) {
        char text[BYTES + 16] = "a,b\n1,2\n";
        for (size_t i = 8; i < BYTES; i++) {
            h = hash_mix(h + i);
            text[i] = round % 2 ? alphabet[h % (sizeof alphabet - 1)] : (char)(h >> 20);
        }
        size_t n = BYTES;
        memcpy(text + n, "\n3,4\n", 5);
        raw_sample_bytes(s, "a.in", text, n + 5);
        s->source->format = round % 4 < 2 ? SOURCE_CSV : SOURCE_SLOT;
        s->source->trim = round % 3 == 0;
        s->source->encoding = round % 5 == 0 ? ENCODING_LATIN1 : ENCODING_UTF8;
        raw_sample_read(s, "a");
        assert_int_equal(s->status, ST_OK);
        assert_true(s->bad.n_bad > 0);
        if (s->source->format == SOURCE_CSV) {
            assert_memory_equal(s->out, "1\n", 2);
            assert_string_equal(s->out + strlen(s->out) - 2, "3\n");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_kind),
        TEST(test_zero_byte),
        TEST(test_zero_byte_in_the_header),
        TEST(test_open_quote_costs_one_line),
        TEST(test_wrong_count_over_lines),
        TEST(test_open_quote_at_the_end),
        TEST(test_long_lines),
        TEST(test_long_line_memory),
        TEST(test_long_quoted_rows),
        TEST(test_ten_are_shown),
        TEST(test_limits),
        TEST(test_reject),
        TEST(test_reject_over_the_limit),
        TEST(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
