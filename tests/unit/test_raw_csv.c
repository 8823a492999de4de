/* data/raw: csv and tsv. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "tests/unit/raw_sample.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, raw_sample_setup, raw_sample_teardown)

/* Columns come in the order asked for, whatever the file's. */
static void test_columns_by_name(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a,b,c\n1,2,3\n4,5,6\n");
    assert_string_equal(raw_sample_read(s, "c,a"), "3|1\n6|4\n");
    assert_string_equal(raw_sample_read(s, "b,b"), "2|2\n5|5\n");
    assert_int_equal(s->bad.n_good, 2);
    assert_int_equal(s->bad.n_bad, 0);
}

/* Each form of quoting of RFC 4180, and quotes that are ordinary characters. */
static void test_quoting(void **state)
{
    struct raw_sample *s = *state;
    static const struct {
        const char *row, *read;
    } rows[] = {
        {"\"x\",y", "x|y\n"},
        {"\"\",y", "~|y\n"},
        {"\"a,b\",y", "a,b|y\n"},
        {"\"a\"\"b\",y", "a\"b|y\n"},
        {"\"\"\"\",\"\"\"x\"\"\"", "\"|\"x\"\n"},
        {"\"a\"\"\"\"b\",\"\"", "a\"\"b|~\n"},
        {"\"two\nlines\",y", "two\nlines|y\n"},
        {"\"two\r\nlines\",y", "two\r\nlines|y\n"},
        {"\"a\n\n\nb\",\"c\nd\"", "a\n\n\nb|c\nd\n"},
        {"\",\",\",\"", ",|,\n"},
        {"a\"b,c\"", "a\"b|c\"\n"},
        {"5'10\",x\"y\"z", "5'10\"|x\"y\"z\n"},
        {" \"x\",y", " \"x\"|y\n"},
        {"x,\"y\"", "x|y\n"},
        {"x,\"\"", "x|~\n"},
        {"x,", "x|~\n"},
        {",", "~|~\n"},
        {"' x ',\t", "' x '|\t\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        /* With a final line end, without one, and with more rows behind. */
        static const char *const tails[] = {"\n", "", "\r\n", "\nlast,row\n"};
        for (size_t k = 0; k < 4; k++) {
            char want[200];
            snprintf(text, sizeof text, "p,q\n%s%s", rows[i].row, tails[k]);
            snprintf(want, sizeof want, "%s%s", rows[i].read, k == 3 ? "last|row\n" : "");
            raw_sample_file(s, "a.in", text);
            assert_string_equal(raw_sample_read(s, "p,q"), want);
            assert_int_equal(s->bad.n_bad, 0);
        }
    }
}

/* A header's names may be quoted too. */
static void test_quoted_header(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "\"a,1\",\"say \"\"b\"\"\"\n1,2\n");
    assert_string_equal(raw_sample_read(s, "say \"b\""), "2\n");
}

/* "\r\n" ends a line, a mark of byte order is no part of the first name, the last
 * line needs no end. */
static void test_line_ends_and_mark(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in",
                    "\xef\xbb\xbf"
                    "a,b\r\n1,2\r\n3,4");
    assert_string_equal(raw_sample_read(s, "a,b"), "1|2\n3|4\n");
    raw_sample_file(s, "a.in", "\xef\xbb\xbf\"a\",b\n1,2\n");
    assert_string_equal(raw_sample_read(s, "a"), "1\n");
}

/* Empty lines are no rows, unless a row is one column. */
static void test_empty_lines(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "\na,b\n\n1,2\n\r\n\n3,4\n\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "1|2\n3|4\n");
    raw_sample_file(s, "a.in", "a\n1\n\n3\n");
    assert_string_equal(raw_sample_read(s, "a"), "1\n~\n3\n");
    assert_int_equal(s->bad.n_bad, 0);
}

/* The delimiter is any text, quoted cells included. */
static void test_delimiters(void **state)
{
    struct raw_sample *s = *state;
    static const char *const delimiters[] = {";",    "|",   "::", "\t",
                                             "\x01", "<->", " ",  "§"};
    for (size_t i = 0; i < sizeof delimiters / sizeof *delimiters; i++) {
        const char *d = delimiters[i];
        char text[200], want[64];
        snprintf(text, sizeof text, "a%sb%sc\n1%s2%s3\n\"x%sy\"%s%s\n", d, d, d, d, d, d,
                 d);
        snprintf(want, sizeof want, "1|2|3\nx%sy|~|~\n", d);
        raw_sample_file(s, "a.in", text);
        s->source->delimiter = d;
        assert_string_equal(raw_sample_read(s, "a,b,c"), want);
    }
}

/* tsv has tabs by itself; blanks are part of a value. */
static void test_tsv(void **state)
{
    struct raw_sample *s = *state;
    s->source->format = SOURCE_TSV;
    s->source->delimiter = NULL;
    raw_sample_file(s, "a.in", "a\tb\n x \t2,3\n\t\"t\tt\"\n");
    assert_string_equal(raw_sample_read(s, "a,b"), " x |2,3\n~|t\tt\n");
}

/* Part of a delimiter is a value: "a:b::c". */
static void test_half_a_delimiter(void **state)
{
    struct raw_sample *s = *state;
    s->source->delimiter = "::";
    raw_sample_file(s, "a.in", "p::q\na:b::c:\n:::x\n");
    assert_string_equal(raw_sample_read(s, "p,q"), "a:b|c:\n~|:x\n");
}

/* trim cuts blanks around values, inside quotes too, and before and behind them. */
static void test_trim(void **state)
{
    struct raw_sample *s = *state;
    s->source->trim = true;
    raw_sample_file(s, "a.in", " a , b\n  1\t, x y \n \" q,\" ,\"z\"  \n   ,\"  \"\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "1|x y\nq,|z\n~|~\n");
    s->source->format = SOURCE_TSV;
    s->source->delimiter = "\t";
    raw_sample_file(s, "a.in", "a\tb\n 1 \t\n\t 2\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "1|~\n~|2\n");
}

/* Names come from `columns:` when there is no header line; with both, the header
 * line is read over. */
static void test_columns_without_header(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_columns(s, "x,y");
    raw_sample_file(s, "a.in", "1,2\n3,4\n");
    assert_string_equal(raw_sample_read(s, "y,x"), "2|1\n4|3\n");
    s->source->header = true;
    assert_string_equal(raw_sample_read(s, "y,x"), "4|3\n");
}

/* Neither header nor columns is a configuration error. */
static void test_no_names(void **state)
{
    struct raw_sample *s = *state;
    s->source->header = false;
    raw_sample_file(s, "a.in", "1,2\n");
    raw_sample_read(s, "x");
    assert_int_equal(s->status, ST_USAGE);
    assert_non_null(strstr(s->err.text, "no header line and no columns"));
}

/* skip_lines leaves out lines before the header; more than there are is no error. */
static void test_skip_lines(void **state)
{
    struct raw_sample *s = *state;
    s->source->skip_lines = 2;
    raw_sample_file(s, "a.in", "# made by \"x\n#\na,b\n1,2\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "1|2\n");
    raw_sample_columns(s, "a,b");
    raw_sample_file(s, "a.in", "#\n#\n1,2\n");
    raw_sample_file(s, "b.in", "#\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "1|2\n");
}

/* latin1 becomes UTF-8, names too; as UTF-8 the same bytes are left alone. */
static void test_latin1(void **state)
{
    struct raw_sample *s = *state;
    s->source->encoding = ENCODING_LATIN1;
    raw_sample_file(s, "a.in", "caf\xe9,b\n\xfc,\"\xff\x80\"\n");
    assert_string_equal(raw_sample_read(s, "café,b"), "ü|ÿ\xc2\x80\n");
    s->source->encoding = ENCODING_UTF8;
    assert_string_equal(raw_sample_read(s, "b"), "\xff\x80\n");
    assert_int_equal(s->bad.n_bad, 1); /* the header's name */
    assert_non_null(
        strstr(s->bad.shown[0], ":1:1: invalid UTF-8 in a column's name: 'caf\\xe9'"));
}

/* Long latin1 files convert across blocks. */
static void test_latin1_blocks(void **state)
{
    struct raw_sample *s = *state;
    enum { ROWS = 40000 };
    char *text = malloc(8 * ROWS + 8), *at = stpcpy(text, "a\n");
    for (size_t i = 0; i < ROWS; i++) at = stpcpy(at, "x\xe4\xf6\n");
    raw_sample_bytes(s, "a.in", text, (size_t)(at - text));
    s->source->encoding = ENCODING_LATIN1;
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a"}, NULL, 1,
                              &s->bad, &r, &s->err),
                     ST_OK);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
        assert_non_null(row);
        assert_int_equal(row->fields[0].v[0].n, 5);
        assert_memory_equal(row->fields[0].v[0].s, "xäö", 5);
    }
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    assert_null(row);
    raw_close(r);
    free(text);
}

/* The source's texts mean missing, or a column's own; never "NA" by itself. */
static void test_missing(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a,b\nNA,?\n-1,x\n,?\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "NA|?\n-1|x\n~|?\n");
    static const char *words[] = {"?", "-1"}, *own[] = {"x"};
    s->source->missing = (struct list_cfg){words, 2, {0}};
    assert_string_equal(raw_sample_read(s, "a,b"), "NA|~\n~|x\n|~\n");
    struct list_cfg list = {own, 1, {0}};
    const struct list_cfg *const lists[] = {NULL, &list};
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a", "b"}, lists, 2,
                              &s->bad, &r, &s->err),
                     ST_OK);
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    assert_int_equal(row->fields[1].n, 1);
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    assert_int_equal(row->fields[0].n, 0);
    assert_int_equal(row->fields[1].n, 0);
    raw_close(r);
}

/* A name nobody has comes with the nearest one. */
static void test_unknown_column(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "user_id,video_id\n1,2\n");
    assert_string_equal(raw_sample_read(s, "user_idd"),
                        "! no column 'user_idd' in the data");
    assert_int_equal(s->status, ST_USAGE);
    assert_string_equal(s->err.hint, "the nearest column is 'user_id'");
}

/* A later file may order its columns otherwise, but must have the wanted ones. */
static void test_headers_of_later_files(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a,b\n1,2\n");
    raw_sample_file(s, "b.in", "x,b,a\n0,4,3\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "1|2\n3|4\n");
    raw_sample_file(s, "c.in", "a,bb\n5,6\n");
    raw_sample_read(s, "a,b");
    assert_int_equal(s->status, ST_DATA);
    assert_non_null(strstr(s->err.text, "c.in: has no column 'b'"));
}

/* Two columns of one name are an error when somebody wants them. */
static void test_repeated_name(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a,b,b\n1,2,3\n");
    assert_string_equal(raw_sample_read(s, "a"), "1\n");
    raw_sample_read(s, "b");
    assert_int_equal(s->status, ST_DATA);
    assert_non_null(strstr(s->err.text, "has two columns 'b'"));
}

/* Rows know their file and first line, also behind cells of several lines. */
static void test_places(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a,b\n1,\"x\ny\nz\"\n\n2,w\n");
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"b"}, NULL, 1,
                              &s->bad, &r, &s->err),
                     ST_OK);
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    assert_int_equal(row->line, 2);
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    assert_int_equal(row->line, 6);
    assert_non_null(strstr(row->file, "/a.in"));
    raw_close(r);
}

/* Many random tables, written with random quoting, are read as they were. */
static void test_random_tables(void **state)
{
    struct raw_sample *s = *state;
    static const char *const pieces[] = {"x", "\"", ",", "\n", "\r\n", " ", "é", "0", ""};
    uint64_t h = 7;
    for (size_t round = 0; round < 300; round++) {
        char text[8192] = "a,b,c\n", want[8192] = "", *to = text + strlen(text),
             *w = want;
        for (size_t row = 0; row < 20; row++) {
            for (size_t c = 0; c < 3; c++) {
                char value[64] = "", *v = value;
                for (size_t n = (h = hash_mix(h + 1)) % 5; n; n--)
                    v = stpcpy(v, pieces[(h = hash_mix(h + n)) % 9]);
                bool quote = strpbrk(value, "\",\n\r") || h % 3 == 0;
                if (c) *to++ = ',', *w++ = '|';
                if (quote) *to++ = '"';
                for (v = value; *v; v++) {
                    if (*v == '"') *to++ = '"';
                    *to++ = *v;
                }
                if (quote) *to++ = '"';
                w = stpcpy(w, value[0] ? value : "~");
            }
            *to++ = '\n';
            *w++ = '\n';
        }
        *w = '\0';
        raw_sample_bytes(s, "a.in", text, (size_t)(to - text));
        assert_string_equal(raw_sample_read(s, "a,b,c"), want);
        assert_int_equal(s->bad.n_bad, 0);
    }
}

/* raw_columns_read lists the header's names, or those of `columns:`. */
static void test_columns_read(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "");
    raw_sample_file(s, "b.in", "x, y,\xff,,x\n");
    struct raw_columns c;
    assert_int_equal(raw_columns_read(&s->data, s->source, &c, &s->err), ST_OK);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.names[0], "x");
    assert_string_equal(c.names[1], " y");
    assert_int_equal(c.owner[0], -1);
    raw_columns_close(&c);
    raw_sample_columns(s, "p,q,r");
    assert_int_equal(raw_columns_read(&s->data, s->source, &c, &s->err), ST_OK);
    assert_int_equal(c.n, 3);
    assert_string_equal(c.names[2], "r");
    raw_columns_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_columns_by_name),
        TEST(test_quoting),
        TEST(test_quoted_header),
        TEST(test_line_ends_and_mark),
        TEST(test_empty_lines),
        TEST(test_delimiters),
        TEST(test_tsv),
        TEST(test_half_a_delimiter),
        TEST(test_trim),
        TEST(test_columns_without_header),
        TEST(test_no_names),
        TEST(test_skip_lines),
        TEST(test_latin1),
        TEST(test_latin1_blocks),
        TEST(test_missing),
        TEST(test_unknown_column),
        TEST(test_headers_of_later_files),
        TEST(test_repeated_name),
        TEST(test_places),
        TEST(test_random_tables),
        TEST(test_columns_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
