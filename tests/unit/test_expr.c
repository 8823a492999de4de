/* data/expr: what expressions give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "data/expr.h"
#include "tests/unit/expr_sample.h"

static const struct sample_column columns[] = {
    {"a", "5"},
    {"b", "2.5"},
    {"s", "Abc,dé,"},
    {"none", NULL},
    {"zero", "0"},
    {"neg", "-7"},
    {"big", "9223372036854775807"},
    {"bad", "12x"},
    {"109_14", "77"},
    {"one", "1"},
    {"a b", "9"},
    {"and", "3"},
    {"é", "4"},
    {"true", "x"},
    {"x+y", "sum"},
    {NULL, NULL},
};

struct expected {
    const char *expr, *result;
};

static void check(const struct expected *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *result = expr_sample(rows[i].expr, columns);
        if (strcmp(result, rows[i].result) != 0)
            fail_msg("%s gives %s, not %s", rows[i].expr, result, rows[i].result);
    }
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof *(rows))

/* Integers stay integers while they fit; / and anything with a float is a float. */
static void test_arithmetic(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"a + 1", "6"},
        {"a - 7", "-2"},
        {"a * -2", "-10"},
        {"a / 2", "2.5"},
        {"6 / 3", "2"},
        {"a + b", "7.5"},
        {"b * 2", "5"},
        {"-a", "-5"},
        {"--a", "5"},
        {"-b", "-2.5"},
        {"1 + 2 * 3", "7"},
        {"(1 + 2) * 3", "9"},
        {"10 - 3 - 2", "5"},
        {"16 / 4 / 2", "2"},
        {"2 * 7 % 4", "2"},
        {"-2 * 3", "-6"},
        {"big + 0", "9223372036854775807"},
        {"big + 1", "9.223372036854776e+18"},
        {"-big - 1", "-9223372036854775808"},
        {"-(-big - 1)", "9.223372036854776e+18"},
        {"abs(-big - 1)", "9.223372036854776e+18"},
        {"big * 2", "1.8446744073709552e+19"},
        {"0 * -1.5", "0"},
        {"1e308 * 10", "missing"},
    };
    CHECK(rows);
}

/* % has the sign of its right side, for integers and floats. */
static void test_modulo(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"7 % 3", "1"},         {"-7 % 3", "2"},          {"7 % -3", "-2"},
        {"-7 % -3", "-1"},      {"6 % 3", "0"},           {"-6 % 3", "0"},
        {"neg % 4", "1"},       {"7.5 % 2", "1.5"},       {"-7.5 % 2", "0.5"},
        {"7.5 % -2", "-0.5"},   {"(-big - 1) % -1", "0"}, {"1 % 0", "missing"},
        {"1.5 % 0", "missing"}, {"a % zero", "missing"},
    };
    CHECK(rows);
}

/* Numbers compare exactly over both kinds, texts by bytes; the shorter is less. */
static void test_comparison(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"a == 5", "1"},
        {"a != 5", "0"},
        {"a == 5.0", "1"},
        {"b < a", "1"},
        {"b <= 2.5", "1"},
        {"a > 5", "0"},
        {"a >= 5", "1"},
        {"9007199254740993 > 9007199254740992.0", "1"},
        {"9007199254740993 == 9007199254740992.0", "0"},
        {"big < 9223372036854775808", "1"},
        {"big > -1e300", "1"},
        {"3 < 3.5", "1"},
        {"-3 > -3.5", "1"},
        {"-3.5 < -3", "1"},
        {"s == \"Abc,dé,\"", "1"},
        {"'a' < 'b'", "1"},
        {"'a' < 'aa'", "1"},
        {"'b' > 'aa'", "1"},
        {"'a' >= 'a'", "1"},
        {"'' < 'a'", "1"},
        {"s != 'x'", "1"},
        {"'a' == 'A'", "0"},
        {"a in [1, 5, 7]", "1"},
        {"a in [1]", "0"},
        {"a not in [1]", "1"},
        {"neg in [-7]", "1"},
        {"b in [2.5]", "1"},
        {"a in [5.0]", "1"},
        {"s in ['x', 'Abc,dé,']", "1"},
        {"not a in [5]", "0"},
        {"none in [1]", "missing"},
        {"none not in [1]", "missing"},
    };
    CHECK(rows);
}

/* Logic has three values; the deciding side wins over missing. */
static void test_logic(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"1 and 2", "1"},
        {"1 and 0", "0"},
        {"0 and 1", "0"},
        {"0 or 0", "0"},
        {"0 or 3", "1"},
        {"0.5 or 0", "1"},
        {"not 0", "1"},
        {"not 0.5", "0"},
        {"not not 7", "1"},
        {"none > 0 and 0", "0"},
        {"0 and none > 0", "0"},
        {"none > 0 and 1", "missing"},
        {"1 and none > 0", "missing"},
        {"none > 0 or 1", "1"},
        {"1 or none > 0", "1"},
        {"none > 0 or 0", "missing"},
        {"0 or none > 0", "missing"},
        {"none > 0 or none > 1", "missing"},
        {"not none > 0", "missing"},
        {"1 or 1 and 0", "1"},
        {"not 1 or 1", "1"},
        {"not 1 == 0", "1"},
        {"0 or 0 or 5", "1"},
        {"1 and 1 and 0", "0"},
        {"not (a > 1 and b > 1)", "0"},
    };
    CHECK(rows);
}

/* What is not needed is not worked out: a bad number there does no harm. */
static void test_lazy(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"0 and bad > 1", "0"},
        {"1 or bad > 1", "1"},
        {"if(1, a, bad + 0)", "5"},
        {"if(0, bad + 0, a)", "5"},
        {"coalesce(a, bad + 0)", "5"},
        {"if(none, bad, bad) + 0", "missing"},
        {"1 and bad > 1", "column bad: '12x' is not a number"},
    };
    CHECK(rows);
}

/* Arithmetic, comparisons and functions of missing are missing, with exceptions. */
static void test_missing(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"none", "missing"},
        {"none + 1", "missing"},
        {"-none", "missing"},
        {"1 < none", "missing"},
        {"none == none", "missing"},
        {"missing", "missing"},
        {"missing + 1", "missing"},
        {"abs(none)", "missing"},
        {"min(1, none)", "missing"},
        {"clip(1, none, 2)", "missing"},
        {"lower(none)", "missing"},
        {"concat(none, 'x')", "missing"},
        {"hash(none)", "missing"},
        {"hour(none)", "missing"},
        {"item(none, ',', 0)", "missing"},
        {"is_missing(none)", "1"},
        {"is_missing(a)", "0"},
        {"is_missing(1 / 0)", "1"},
        {"coalesce(none, 3)", "3"},
        {"coalesce(none, none)", "missing"},
        {"coalesce(none, a, 1)", "5"},
        {"coalesce(none, s)", "'Abc,dé,'"},
        {"n_items(none, ',')", "0"},
        {"n_items(s, none)", "missing"},
        {"if(none > 1, 1, 2)", "missing"},
        {"if(a > 1, missing, 2)", "missing"},
        {"if(a > 1, 2, missing)", "2"},
    };
    CHECK(rows);
}

/* Functions of numbers; outside their domain they are missing. */
static void test_number_functions(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"abs(-3)", "3"},
        {"abs(-2.5)", "2.5"},
        {"floor(b)", "2"},
        {"floor(-b)", "-3"},
        {"ceil(b)", "3"},
        {"ceil(-b)", "-2"},
        {"round(b)", "3"},
        {"round(-b)", "-3"},
        {"round(2.4)", "2"},
        {"floor(7)", "7"},
        {"floor(1e300)", "1e+300"},
        {"sqrt(16)", "4"},
        {"sqrt(-1)", "missing"},
        {"exp(0)", "1"},
        {"exp(1e4)", "missing"},
        {"log(1)", "0"},
        {"log(0)", "missing"},
        {"log(-1)", "missing"},
        {"log2(8)", "3"},
        {"log2(1024)", "10"},
        {"log1p(0)", "0"},
        {"log1p(-1)", "missing"},
        {"floor(exp(1) * 1000)", "2718"},
        {"min(3, 1.5, 2)", "1.5"},
        {"max(3, 1.5, 2)", "3"},
        {"max(a, b)", "5"},
        {"min(2, 2.0)", "2"},
        {"clip(5, 0, 1)", "1"},
        {"clip(-5, 0, 1)", "0"},
        {"clip(0.5, 0, 1)", "0.5"},
        {"floor(log2(7))", "2"},
        {"floor(log2(8))", "3"},
    };
    CHECK(rows);
}

/* Functions of texts count characters, and items from both ends. */
static void test_text_functions(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"n_items(s, ',')", "3"},
        {"n_items('', ',')", "0"},
        {"n_items('x', ',')", "1"},
        {"n_items('a::b', '::')", "2"},
        {"n_items('abc', '')", "1"},
        {"item(s, ',', 0)", "'Abc'"},
        {"item(s, ',', 1)", "'dé'"},
        {"item(s, ',', 2)", "''"},
        {"item(s, ',', 3)", "missing"},
        {"item(s, ',', -1)", "''"},
        {"item(s, ',', -3)", "'Abc'"},
        {"item(s, ',', -4)", "missing"},
        {"item(s, ',', 0.5)", "missing"},
        {"item(s, ',', 1.0)", "'dé'"},
        {"item('', ',', 0)", "missing"},
        {"contains(s, 'bc,d')", "1"},
        {"contains(s, 'x')", "0"},
        {"contains(s, '')", "1"},
        {"concat(s, 1, 2.0, 0.5)", "'Abc,dé,120.5'"},
        {"concat('x')", "'x'"},
        {"concat('', '')", "''"},
        {"lower('AbC-É')", "'abc-É'"},
        {"substr('Köln', 1, 2)", "'öl'"},
        {"substr('Köln', 2)", "'ln'"},
        {"substr('Köln', -2)", "'ln'"},
        {"substr('Köln', -9)", "'Köln'"},
        {"substr('Köln', 9)", "''"},
        {"substr('Köln', 0, 0)", "''"},
        {"substr('Köln', 0, -1)", "''"},
        {"substr('Köln', 0, 99)", "'Köln'"},
        {"hash('21') == hash(21)", "1"},
        {"hash(21.0) == hash('21')", "1"},
        {"hash('a') >= 0", "1"},
        {"hash('a') == hash('b')", "0"},
        {"if(a > 1, 'x', 'y')", "'x'"},
        {"concat(lower('A'), lower('B'))", "'ab'"},
    };
    CHECK(rows);
}

/* Times are seconds or texts; days before 1970, leap years, offsets. */
static void test_times(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"date(0)", "19700101"},
        {"hour(0)", "0"},
        {"weekday(0)", "3"},
        {"date(-1)", "19691231"},
        {"hour(-1)", "23"},
        {"weekday(-1)", "2"},
        {"date(951782400)", "20000229"},
        {"date(951868800)", "20000301"},
        {"date(4107542400)", "21000301"},
        {"date(4107542399)", "21000228"},
        {"hour(3599.9)", "0"},
        {"hour(3600)", "1"},
        {"hour(0, 8)", "8"},
        {"hour(0, -1)", "23"},
        {"date(0, -1)", "19691231"},
        {"hour(0, 5.5)", "5"},
        {"hour(1800, 5.5)", "6"},
        {"weekday('2022-04-25')", "0"},
        {"weekday('20220501')", "6"},
        {"date('2022-04-25 23:30', 1)", "20220426"},
        {"hour('2022-04-25T13:45:59.25')", "13"},
        {"hour('2022-04-25 09')", "9"},
        {"date('2024-02-29')", "20240229"},
        {"date('2023-02-29')", "missing"},
        {"date('2022-13-01')", "missing"},
        {"date('2022-4-25')", "missing"},
        {"date('2022-04-25x')", "missing"},
        {"hour('2022-04-25 24:00')", "missing"},
        {"date('')", "missing"},
        {"date(1e30)", "missing"},
        {"hour(0, 25)", "missing"},
        {"date('0000-03-01')", "301"},
        {"date('9999-12-31')", "99991231"},
    };
    CHECK(rows);
}

/* A whole text that names a column is the column, whatever it looks like; other
 * odd names stand in back quotes. */
static void test_names(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"a", "'5'"},       {"109_14", "'77'"},  {"`109_14` + 1", "78"},
        {"a b", "'9'"},     {"`a b` * 2", "18"}, {"and", "'3'"},
        {"`and` + 1", "4"}, {"é + 1", "5"},      {"x+y", "'sum'"},
        {"`x+y`", "'sum'"}, {"true", "'x'"},     {"true == 'x'", "1"},
        {"false", "0"},     {"a+b", "7.5"},      {"(a)", "'5'"},
    };
    CHECK(rows);
}

/* Quotes of both kinds, escapes, blanks and line ends between words. */
static void test_constants(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"\"it's\"", "'it's'"},
        {"'say \"x\"'", "'say \"x\"'"},
        {"'a\\'b'", "'a'b'"},
        {"'tab\\tend'", "'tab\tend'"},
        {"'\\\\'", "'\\'"},
        {"''", "''"},
        {"  1\n +\t1 ", "2"},
        {".5", "0.5"},
        {"5.", "5"},
        {"1e3", "1000"},
        {"1E-2", "0.01"},
        {"007", "7"},
        {"18446744073709551615", "1.8446744073709552e+19"},
    };
    CHECK(rows);
}

static struct expr *parse(const char *text)
{
    struct expr *e;
    struct error err;
    struct text_cfg cfg = {text, {NULL, 0, 0}};
    if (expr_parse(&cfg, NULL, 0, &e, &err) != ST_OK) fail_msg("%s", err.text);
    return e;
}

/* A column is a number or a text by its use, also by a use that comes later; what
 * no use decides is text, but the order of two columns is that of numbers. */
static void test_column_types(void **state)
{
    (void)state;
    static const struct {
        const char *expr;
        const char *strings; /* per column in order of appearance: s or n */
        bool gives_string;
    } rows[] = {
        {"x", "s", true},
        {"x + 1", "n", false},
        {"x == 'a'", "s", false},
        {"x == 1", "n", false},
        {"x == y", "ss", false},
        {"x < y", "nn", false},
        {"x == y and y > 1", "nn", false},
        {"x == y and y == z and z == 'a'", "sss", false},
        {"if(x, y, z)", "nss", true},
        {"if(x, y, 1)", "nn", false},
        {"coalesce(x, y) + 1", "nn", false},
        {"concat(x)", "s", true},
        {"coalesce(x, 'a')", "s", true},
        {"is_missing(x)", "s", false},
        {"hash(x)", "s", false},
        {"is_missing(x) or x > 1", "n", false},
        {"hour(x)", "n", false},
        {"lower(x)", "s", true},
        {"hour(concat(x))", "s", false},
        {"x in [1]", "n", false},
        {"x in ['a']", "s", false},
        {"x", "s", true},
        {"min(x, y)", "nn", false},
        {"item(x, ',', y)", "sn", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct expr *e = parse(rows[i].expr);
        assert_int_equal(expr_n_columns(e), strlen(rows[i].strings));
        for (size_t k = 0; k < expr_n_columns(e); k++)
            assert_int_equal(expr_column_is_string(e, k), rows[i].strings[k] == 's');
        assert_int_equal(expr_gives_string(e), rows[i].gives_string);
        expr_destroy(e);
    }
}

/* Only a column by itself is "one bare column". */
static void test_is_column(void **state)
{
    (void)state;
    static const char *const yes[] = {"x", "`x y`", "(x)"}, *const no[] = {"x + 0", "1",
                                                                           "x == y"};
    for (size_t i = 0; i < 3; i++) {
        struct expr *e = parse(yes[i]);
        assert_true(expr_is_column(e));
        expr_destroy(e);
        e = parse(no[i]);
        assert_false(expr_is_column(e));
        expr_destroy(e);
    }
}

/* Each column is read once, whatever the number of its uses. */
static void test_columns_once(void **state)
{
    (void)state;
    struct expr *e = parse("x + y + x * `x` + y");
    assert_int_equal(expr_n_columns(e), 2);
    assert_string_equal(expr_column(e, 0), "x");
    assert_string_equal(expr_column(e, 1), "y");
    expr_destroy(e);
}

/* Typed values go in as they are, and are converted where the type differs. */
static void test_typed_values(void **state)
{
    (void)state;
    struct error err;
    struct expr_scratch *scratch;
    assert_int_equal(expr_scratch_create(&scratch, &err), ST_OK);
    struct expr *e = parse("if(s == '21', n + 1, 0)");
    struct value in[2] = {{.kind = VALUE_FLOAT, .f = 21.0},
                          {.kind = VALUE_STRING, .s = {"6", 1}}};
    struct value out;
    assert_int_equal(expr_eval_values(e, in, scratch, &out, &err), ST_OK);
    assert_int_equal(out.kind, VALUE_INT);
    assert_int_equal(out.i, 7);
    in[1] = (struct value){.kind = VALUE_MISSING};
    assert_int_equal(expr_eval_values(e, in, scratch, &out, &err), ST_OK);
    assert_int_equal(out.kind, VALUE_MISSING);
    expr_destroy(e);
    expr_scratch_destroy(scratch);
}

/* A long chain of operators is no nesting. */
static void test_long_chain(void **state)
{
    (void)state;
    enum { TERMS = 10000 };
    char *text = malloc(4 * TERMS + 2);
    size_t n = 0;
    text[n++] = '1';
    for (size_t i = 1; i < TERMS; i++) n += (size_t)sprintf(text + n, "+1");
    assert_string_equal(expr_sample(text, columns), "10000");
    free(text);
}

/* Evaluating takes no memory once the scratch is warm. */
static void test_evaluation_settles(void **state)
{
    (void)state;
    struct error err;
    struct expr_scratch *scratch;
    assert_int_equal(expr_scratch_create(&scratch, &err), ST_OK);
    struct expr *e = parse("concat(x, x, x, lower(concat(x, x)))");
    static char big[10000];
    memset(big, 'Q', sizeof big);
    struct text in = {big, sizeof big};
    struct value out;
    uint64_t calls = 0;
    for (size_t i = 0; i < 10; i++) {
        if (i == 5) calls = mem_calls();
        assert_int_equal(expr_eval(e, &in, scratch, &out, &err), ST_OK);
        assert_int_equal(out.s.n, 5 * sizeof big);
        assert_true(out.s.s[0] == 'Q' && out.s.s[5 * sizeof big - 1] == 'q');
    }
    assert_int_equal(mem_calls(), calls);
    expr_destroy(e);
    expr_scratch_destroy(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_modulo),
        cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_logic),
        cmocka_unit_test(test_lazy),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_number_functions),
        cmocka_unit_test(test_text_functions),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_column_types),
        cmocka_unit_test(test_is_column),
        cmocka_unit_test(test_columns_once),
        cmocka_unit_test(test_typed_values),
        cmocka_unit_test(test_long_chain),
        cmocka_unit_test(test_evaluation_settles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
