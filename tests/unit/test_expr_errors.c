/* data/expr: errors point at the column, and hostile texts do no harm. */
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
#include "data/expr.h"

static const char *const known[] = {"play_time_ms", "duration_ms", "tab", "city",
                                    "109_14"};
enum { N_KNOWN = sizeof known / sizeof *known };

static enum status parse(const char *text, struct expr **e, struct error *err)
{
    struct text_cfg cfg = {text, {"mmoe.yaml", 31, 20}};
    return expr_parse(&cfg, known, N_KNOWN, e, err);
}

/* Each mistake: the column of the expression where it stands, and what is said. */
static void test_errors_point_at_the_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int column;
        const char *said;
    } rows[] = {
        {"", 1, "the expression ends here, a value is expected"},
        {"tab +", 6, "the expression ends here, a value is expected"},
        {"tab tab", 5, "'tab', an operator or the end is expected"},
        {"(tab + 1", 9, "the expression ends here, ')' is expected"},
        {"tab + 1)", 8, "')', an operator or the end is expected"},
        {"tab = 1", 5, "one '=' is no comparison: write '=='"},
        {"tab && 1", 5, "write 'and'"},
        {"!tab", 1, "write 'not'"},
        {"tab ** 2", 5, "there is no power"},
        {"tab # 1", 5, "a character that means nothing here"},
        {"foo + 1", 1, "there is no column 'foo'"},
        {"1 + frob(tab)", 5, "there is no function 'frob'"},
        {"109_14 + 1", 1, "a name starts with a digit: put it in back quotes"},
        {"city == \"x", 9, "the quote is never closed"},
        {"`109_14 + 1", 1, "the back quote is never closed"},
        {"city == 'a\\x'", 11, "unknown escape"},
        {"1e999", 1, "the number is too large"},
        {"city + 1 + 'x'", 12, "'+' needs a number, this is a string"},
        {"'x' * 2", 1, "'*' needs a number, this is a string"},
        {"city == 'x' and city > 1", 24, "comparison of a string and a number"},
        {"city == 'x' and city + 1 > 1", 17,
         "'+' needs a number, this is a string, by its use at column 9"},
        {"tab > 1 and lower(tab) == 'x'", 19,
         "lower() needs a string, this is a number, by its use at column 7"},
        {"lower(1)", 7, "lower() needs a string, this is a number"},
        {"sqrt('x')", 6, "sqrt() needs a number, this is a string"},
        {"if(tab, 1, 'x')", 12, "if() has results of a number and a string"},
        {"coalesce('x', 1)", 15, "coalesce() has results of a string and a number"},
        {"not 'x'", 5, "'not' needs a number, this is a string"},
        {"-'x'", 2, "'-' needs a number, this is a string"},
        {"'x' and 1", 1, "'and' needs a number, this is a string"},
        {"1 or 'x'", 6, "'or' needs a number, this is a string"},
        {"1 < tab < 3", 9, "comparisons do not chain"},
        {"tab in (1, 2)", 8, "'(', '[' is expected"},
        {"tab in []", 9, "']', a number or a string in quotes is expected"},
        {"tab in [1, 'x']", 12, "'in' compares values of a number and a string"},
        {"tab in [1 2]", 11, "'2', ']' is expected"},
        {"tab in [tab]", 9, "'tab', a number or a string in quotes is expected"},
        {"tab not 1", 9, "'1', 'in' is expected"},
        {"min(1)", 1, "min() takes at least 2 arguments"},
        {"abs()", 1, "abs() takes 1 argument"},
        {"abs(1, 2)", 8, "abs() takes 1 argument"},
        {"if(1, 2)", 1, "if() takes 3 arguments"},
        {"hour(1, 2, 3)", 12, "hour() takes 1 or one more arguments"},
        {"abs(1", 6, "the expression ends here, ')' is expected"},
        {"and", 1, "'and', a value is expected"},
        {"1 + , 2", 5, "',', a value is expected"},
        {"city == 'Köln' and foo", 20, "there is no column 'foo'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct expr *e;
        struct error err;
        char start[400];
        snprintf(start, sizeof start,
                 "mmoe.yaml:31:20: in expression '%s' at column %d: %s", rows[i].text,
                 rows[i].column, rows[i].said);
        assert_int_equal(parse(rows[i].text, &e, &err), ST_USAGE);
        if (strncmp(err.text, start, strlen(start)) != 0)
            fail_msg("said:     %s\nexpected: %s", err.text, start);
    }
}

/* A misspelt name comes with the nearest column or function. */
static void test_hints(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hint;
    } rows[] = {
        {"play_time_ms >= duraton_ms", "did you mean the column 'duration_ms'?"},
        {"coalecse(tab, 1)", "did you mean the function coalesce()?"},
        {"n_item(city, ',')", "did you mean the function n_items()?"},
        {"something_else > 1", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct expr *e;
        struct error err;
        assert_int_equal(parse(rows[i].text, &e, &err), ST_USAGE);
        assert_string_equal(err.hint, rows[i].hint);
    }
}

/* A value that is no number names its column and shows the text, cut and safe. */
static void test_not_a_number(void **state)
{
    (void)state;
    struct expr *e;
    struct error err;
    struct expr_scratch *scratch;
    assert_int_equal(parse("tab + 1", &e, &err), ST_OK);
    assert_int_equal(expr_scratch_create(&scratch, &err), ST_OK);
    struct value v;
    assert_int_equal(expr_eval(e, &(struct text){"a\n\x01z", 4}, scratch, &v, &err),
                     ST_DATA);
    assert_string_equal(err.text, "column tab: 'a\\x0a\\x01z' is not a number");
    expr_scratch_destroy(scratch);
    expr_destroy(e);
}

static char *repeat(const char *front, size_t n, const char *middle, const char *back)
{
    char *text = calloc(n * (strlen(front) + strlen(back)) + strlen(middle) + 1, 1),
         *at = text;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++) at = stpcpy(at, front);
    at = stpcpy(at, middle);
    for (size_t i = 0; i < n; i++) at = stpcpy(at, back);
    return text;
}

static void check_nesting(const char *front, const char *back, size_t n, enum status st)
{
    struct expr *e;
    struct error err;
    char *text = repeat(front, n, "1", back);
    assert_int_equal(parse(text, &e, &err), st);
    if (st == ST_OK) expr_destroy(e);
    free(text);
}

/* 64 parentheses or calls in one another are fine, 65 are not, a million are
 * refused as quietly; signs and nots may be many. */
static void test_nesting_is_limited(void **state)
{
    (void)state;
    check_nesting("(", ")", 64, ST_OK);
    check_nesting("(", ")", 65, ST_USAGE);
    check_nesting("abs(", ")", 64, ST_OK);
    check_nesting("abs(", ")", 65, ST_USAGE);
    check_nesting("(", ")", 1000000, ST_USAGE);
    check_nesting("not ", "", 10000, ST_OK);
    check_nesting("-", "", 10000, ST_OK);
    check_nesting("min(1,", ")", 64, ST_OK);
}

/* 255 arguments are fine, more are refused. */
static void test_arguments_are_limited(void **state)
{
    (void)state;
    struct expr *e;
    struct error err;
    char *text = repeat("1,", 253, "1", "");
    char call[1200];
    snprintf(call, sizeof call, "min(%s)", text);
    assert_int_equal(parse(call, &e, &err), ST_OK);
    expr_destroy(e);
    snprintf(call, sizeof call, "min(1,1,1,%s)", text);
    assert_int_equal(parse(call, &e, &err), ST_USAGE);
    free(text);
}

/* Every allocation may fail: out of memory, nothing leaks. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static const char text[] =
        "if(tab in [1, 2] and city == \"a\", coalesce(lower(city), 'x'), 'y')";
    uint64_t before = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        struct expr *e;
        struct error err;
        mem_fail_at(k);
        enum status st = parse(text, &e, &err);
        mem_fail_at(0);
        if (st == ST_OK) expr_destroy(e);
        assert_int_equal(mem_live_bytes(), before);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
    }
}

/* Random words and bytes are parsed or refused, and what is parsed runs. */
static void test_random_texts(void **state)
{
    (void)state;
    static const char *const words[] = {
        "tab",   "city",    "1",   "2.5",       "'x'",  "\"",      "'",     "`",
        "(",     ")",       "[",   "]",         ",",    "+",       "-",     "*",
        "/",     "%",       "==",  "<",         ">=",   "!=",      "in",    "not",
        "and",   "or",      "if(", "coalesce(", "min(", "concat(", "item(", "substr(",
        "hour(", "missing", "\\",  "\xff",      "\x01", "e9",      ".",     "hash(",
    };
    enum { N_WORDS = sizeof words / sizeof *words, TEXTS = 100000 };
    struct error err;
    struct expr_scratch *scratch;
    assert_int_equal(expr_scratch_create(&scratch, &err), ST_OK);
    uint64_t h = 1, parsed = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        char text[256] = "";
        for (size_t n = (h = hash_mix(h + i)) % 12; n > 0; n--)
            strcat(text, words[(h = hash_mix(h + n)) % N_WORDS]);
        struct expr *e;
        if (parse(text, &e, &err) != ST_OK) continue;
        struct text in[N_KNOWN];
        for (size_t k = 0; k < N_KNOWN; k++)
            in[k] = (struct text){h >> k & 1 ? "7" : NULL, 1};
        struct value v;
        (void)!expr_eval(e, in, scratch, &v, &err);
        expr_destroy(e);
        parsed++;
    }
    assert_true(parsed > TEXTS / 100);
    expr_scratch_destroy(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_point_at_the_column),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_nesting_is_limited),
        cmocka_unit_test(test_arguments_are_limited),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_random_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
