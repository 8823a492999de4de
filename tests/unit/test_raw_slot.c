/* data/raw: slot text in both orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/raw_sample.h"

static int setup(void **state)
{
    raw_sample_setup(state);
    struct raw_sample *s = *state;
    s->source->format = SOURCE_SLOT;
    return 0;
}
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, raw_sample_teardown)

static const char *shown(const struct raw_sample *s, size_t i)
{
    const char *at = strstr(s->bad.shown[i], "a.in");
    return at ? at : s->bad.shown[i];
}

/* Names stand first; a repeated name has several values, an absent one none. */
static void test_name_first(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "click:0 1:737395 2:5 2:6 2:7\nclick:1 2:8\r\n\nclick:1");
    assert_string_equal(raw_sample_read(s, "2,click,1"),
                        "5+6+7|0|737395\n8|1|~\n~|1|~\n");
}

/* Values stand first and may be beyond 2^63. */
static void test_value_first(void **state)
{
    struct raw_sample *s = *state;
    s->data.slot.order = SLOT_VALUE_FIRST;
    raw_sample_file(s, "a.in",
                    "0:1 16543128959394097760:29 9:3 18446744073709551615:29\n1:1\n");
    assert_string_equal(raw_sample_read(s, "1,29,3"),
                        "0|16543128959394097760+18446744073709551615|9\n1|~|~\n");
}

/* A value may hold colons: the first, or the last, parts name and value. */
static void test_colons_in_values(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a:x:y b:12:30:00 c:\n");
    assert_string_equal(raw_sample_read(s, "a,b,c"), "x:y|12:30:00|~\n");
    s->data.slot.order = SLOT_VALUE_FIRST;
    raw_sample_file(s, "a.in", "x:y:a 12:30:00:b :c\n");
    assert_string_equal(raw_sample_read(s, "a,b,c"), "x:y|12:30:00|~\n");
}

/* Another separator, doubled ones, blanks cut by trim. */
static void test_separators(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "  a:1   b:2 \n");
    assert_string_equal(raw_sample_read(s, "a,b"), "1|2\n");
    s->data.slot.separator = "\t";
    raw_sample_file(s, "a.in", "a:1 x\tb:2\t\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "1 x|2\n");
    s->data.slot.separator = ";;";
    s->source->trim = true;
    raw_sample_file(s, "a.in", " a : 1 ;; b:2;3 ;;a:4\n");
    assert_string_equal(raw_sample_read(s, "a,b"), "1+4|2;3\n");
}

/* Plain columns lead, also empty ones; fewer than listed is a bad row. */
static void test_fixed(void **state)
{
    struct raw_sample *s = *state;
    s->data.slot.separator = ",";
    s->fixed[0] = "id", s->fixed[1] = "click", s->fixed[2] = "buy";
    s->data.slot.fixed = (struct list_cfg){s->fixed, 3, {0}};
    raw_sample_file(s, "a.in", "7,1,0,210:5,210:6\n8,,1\n9,1\n10,0,0,301:x\n,,\n");
    assert_string_equal(raw_sample_read(s, "buy,id,click,210"),
                        "0|7|1|5+6\n1|8|~|~\n0|10|0|~\n~|~|~|~\n");
    assert_int_equal(s->bad.n_bad, 1);
    assert_string_equal(shown(s, 0), "a.in:3:4: 2 fixed columns, 3 expected: '9,1'");
    assert_string_equal(raw_sample_read(s, "210"), "5+6\n~\n~\n~\n");
}

/* Texts that mean missing are no values; a name wanted twice comes twice, each
 * with missing texts of its own. */
static void test_missing_and_repeats(void **state)
{
    struct raw_sample *s = *state;
    static const char *words[] = {"-1"}, *own[] = {"5"};
    s->source->missing = (struct list_cfg){words, 1, {0}};
    raw_sample_file(s, "a.in", "a:-1 a:5 a:\n");
    assert_string_equal(raw_sample_read(s, "a"), "5+\n");
    struct list_cfg list = {own, 1, {0}};
    const struct list_cfg *const lists[] = {&list, NULL};
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a", "a"}, lists, 2,
                              &s->bad, &r, &s->err),
                     ST_OK);
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    assert_int_equal(row->fields[0].n, 2);
    assert_memory_equal(row->fields[0].v[0].s, "-1", 2);
    assert_int_equal(row->fields[1].n, 2);
    assert_memory_equal(row->fields[1].v[0].s, "5", 1);
    raw_close(r);
}

/* Names that nobody asked for are counted: their values and how many they are. */
static void test_ignored(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a:1 b:2 b:3 c:4\na:1 c:5\n");
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a"}, NULL, 1,
                              &s->bad, &r, &s->err),
                     ST_OK);
    do assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    while (row);
    assert_int_equal(raw_ignored_values(r), 4);
    assert_int_equal(raw_ignored_names(r), 2);
    raw_close(r);
}

/* Ten thousand names that nobody asked for are told apart. */
static void test_many_ignored_names(void **state)
{
    struct raw_sample *s = *state;
    enum { NAMES = 10000 };
    char *text = malloc(16 * NAMES), *at = text;
    for (size_t i = 0; i < 2 * NAMES; i++) at += sprintf(at, "n%zu:1\n", i % NAMES);
    raw_sample_file(s, "a.in", text);
    free(text);
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a"}, NULL, 1,
                              &s->bad, &r, &s->err),
                     ST_OK);
    do assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    while (row);
    assert_int_equal(raw_ignored_values(r), 2 * NAMES);
    assert_int_equal(raw_ignored_names(r), NAMES);
    raw_close(r);
}

/* What is no item makes its row bad, with the place of the item. */
static void test_bad_items(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in",
                    "a:1\na:1 b\na:2 :5\na:2 x\xff:5\na:3 \xff"
                    "b\na:4\n");
    assert_string_equal(raw_sample_read(s, "a"), "1\n4\n");
    assert_int_equal(s->bad.n_bad, 4);
    assert_string_equal(shown(s, 0), "a.in:2:5: item without ':': 'b'");
    assert_string_equal(shown(s, 1), "a.in:3:5: item without a name: ':5'");
    assert_string_equal(shown(s, 2),
                        "a.in:4:5: invalid UTF-8 in a slot's name: 'x\\xff:5'");
    assert_string_equal(shown(s, 3), "a.in:5:5: item without ':': '\\xffb'");
}

/* A rejected value is shown where it stands. */
static void test_reject(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_file(s, "a.in", "a:1 b:x b:y\n");
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"b", "c"}, NULL, 2,
                              &s->bad, &r, &s->err),
                     ST_OK);
    assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
    raw_reject(r, 0, "not a number");
    assert_string_equal(shown(s, 0), "a.in:1:7: not a number: 'x'");
    raw_close(r);
}

/* latin1 becomes UTF-8 in names and values. */
static void test_latin1(void **state)
{
    struct raw_sample *s = *state;
    s->source->encoding = ENCODING_LATIN1;
    raw_sample_file(s, "a.in", "\xe9:\xfc\n");
    assert_string_equal(raw_sample_read(s, "é"), "ü\n");
}

/* The columns there are: fixed ones, then names in the order met, of the first
 * 10,000 rows over all files. */
static void test_columns_read(void **state)
{
    struct raw_sample *s = *state;
    enum { ROWS = 10000 };
    s->fixed[0] = "id";
    s->data.slot.fixed = (struct list_cfg){s->fixed, 1, {0}};
    char *text = malloc(16 * ROWS), *at = text;
    for (size_t i = 0; i < ROWS - 2; i++)
        at = stpcpy(at, i == 3 ? "3 b:1 a:2\n" : "1 b:1\n");
    raw_sample_file(s, "a.in", text);
    raw_sample_file(s, "b.in", "1 last:1\n1 \xff:1\n1 the_10000th:1\n1 beyond:1\n");
    free(text);
    struct raw_columns c;
    assert_int_equal(raw_columns_read(&s->data, s->source, &c, &s->err), ST_OK);
    static const char *const want[] = {"id", "b", "a", "last", "the_10000th"};
    assert_int_equal(c.n, 5);
    for (size_t i = 0; i < 5; i++) assert_string_equal(c.names[i], want[i]);
    raw_columns_close(&c);
}

/* Side tables join slot text by a slot's first value. */
static void test_join(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "users.csv", "u");
    raw_sample_file(s, "users.csv", "u,age\n7,30\n8,40\n");
    raw_sample_file(s, "a.in", "u:7 x:1\nu:9\nu:8 u:7\nx:3\n");
    assert_string_equal(raw_sample_read(s, "u,age,x,other"),
                        "7|30|1|~\n9|~|~|~\n8+7|40|~|~\n~|~|3|~\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_name_first),
        TEST(test_value_first),
        TEST(test_colons_in_values),
        TEST(test_separators),
        TEST(test_fixed),
        TEST(test_missing_and_repeats),
        TEST(test_ignored),
        TEST(test_many_ignored_names),
        TEST(test_bad_items),
        TEST(test_reject),
        TEST(test_latin1),
        TEST(test_columns_read),
        TEST(test_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
