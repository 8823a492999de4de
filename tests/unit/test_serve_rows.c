/* serve/http/rows_json: the `:predict` form, rows and columns. */
#include "serve/http/rows_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/serve_sample.h"

static void refused(struct serve_sample *f, const char *text, const char *part)
{
    serve_sample_refused(f, rows_json_read, text, ASK_BAD, part);
}

/* Values of rows arrive as they were sent; what is absent or null is missing. */
static void rows_are_read(void **state)
{
    struct serve_sample *f = *state;
    assert_int_equal(serve_sample_read(f, rows_json_read,
                                       "{\"signature_name\": \"serving_default\", \"instances\": ["
                                       "{\"user\": 7, \"tags\": [\"a\", 2, null, 3.5], \"price\": 1.5, \"color\": null},"
                                       "{\"item\": \"i\\u00e9\", \"tags\": \"a b\", \"age\": true, \"user\": 18446744073709551615},"
                                       "{}]}"),
                     ASK_OK);
    assert_int_equal(f->ask.n_rows, 3);
    serve_sample_is(f, 0, "user", "i7");
    serve_sample_is(f, 0, "tags", "a|i2|r3.5");
    serve_sample_is(f, 0, "price", "r1.5");
    serve_sample_is(f, 0, "color", "missing");
    serve_sample_is(f, 0, "item", "missing");
    serve_sample_is(f, 1, "item", "i\xC3\xA9");
    serve_sample_is(f, 1, "tags", "a b");
    serve_sample_is(f, 1, "age", "i1");
    serve_sample_is(f, 1, "user", "18446744073709551615");
    serve_sample_is(f, 2, "user", "missing");
}

/* Columns give the values that rows give. */
static void columns_are_read(void **state)
{
    struct serve_sample *f = *state;
    assert_int_equal(serve_sample_read(f, rows_json_read,
                                       "{\"inputs\": {\"tags\": [[1, 2], []], \"user\": [\"x\", null]}}"),
                     ASK_OK);
    assert_true(f->ask.columns);
    assert_int_equal(f->ask.n_rows, 2);
    serve_sample_is(f, 0, "tags", "i1|i2");
    serve_sample_is(f, 1, "tags", "");
    serve_sample_is(f, 0, "user", "x");
    serve_sample_is(f, 1, "user", "missing");
}

/* No row is a request, too. */
static void no_rows_have_no_scores(void **state)
{
    struct serve_sample *f = *state;
    struct jsonout out;
    serve_sample_score(f, rows_json_read, "{\"instances\": []}");
    assert_int_equal(f->ask.n_rows, 0);
    jsonout_open(&out, &f->pad);
    rows_json_write(&f->ask, &out);
    assert_int_equal(out.n, strlen("{\"predictions\":[]}"));
}

static bool holds(const struct jsonout *out, const char *part)
{
    return memmem(out->text, out->n, part, strlen(part)) != NULL;
}

/* The answer has every score by its task's name, in nine digits. */
static void answers_name_tasks(void **state)
{
    struct serve_sample *f = *state;
    struct jsonout out;
    char want[128];
    serve_sample_score(f, rows_json_read, "{\"instances\": [{\"user\": 7}, {\"user\": 8, \"length\": 10}]}");
    jsonout_open(&out, &f->pad);
    rows_json_write(&f->ask, &out);
    for (size_t i = 0; i < 2; i++) {
        snprintf(want, sizeof want, "{\"click\":%.9g,\"watched\":%.9g}", (double)f->ask.scores[2 * i], (double)f->ask.scores[2 * i + 1]);
        assert_true(holds(&out, want));
    }
    float click[2] = {f->ask.scores[0], f->ask.scores[2]};
    serve_sample_score(f, rows_json_read, "{\"inputs\": {\"user\": [7, 8], \"length\": [null, 10]}}");
    jsonout_open(&out, &f->pad);
    rows_json_write(&f->ask, &out);
    snprintf(want, sizeof want, "{\"outputs\":{\"click\":[%.9g,%.9g],", (double)click[0], (double)click[1]);
    assert_true(holds(&out, want));
}

/* Whatever is wrong is refused, with the row and the input by name. */
static void faults_are_named(void **state)
{
    struct serve_sample *f = *state;
    refused(f, "", "byte 0: an object is expected");
    refused(f, "[]", "an object is expected");
    refused(f, "{}", "neither");
    refused(f, "{\"instances\": {}}", "an array is expected");
    refused(f, "{\"instances\": [1]}", "row 0: byte 15: an object is expected");
    refused(f, "{\"instances\": [{}, {\"user\": {}}]}", "row 1: user: byte 28: a text, a number, true, false or null is expected");
    refused(f, "{\"instances\": [{\"user\": [1]}]}", "row 0: user: byte 24: a list where one value is expected");
    refused(f, "{\"instances\": [{\"tags\": [[1]]}]}", "row 0: tags: byte 25: a text, a number, true, false or null is expected");
    refused(f, "{\"instances\": [{\"usr\": 1}]}", "row 0: usr: the model has no such input");
    assert_string_equal(f->err.hint, "did you mean user?");
    refused(f, "{\"instances\": [{\"us\\u0000er\": 1}]}", "no such input");
    refused(f, "{\"instances\": [{\"user\": 1, \"user\": 2}]}", "row 0: user: stands twice");
    refused(f, "{\"instances\": [{}]} x", "behind the value");
    refused(f, "{\"instances\": [{}], \"instances\": []}", "once");
    refused(f, "{\"instances\": [{}], \"inputs\": {}}", "once");
    refused(f, "{\"inputs\": {}}", "not known");
    refused(f, "{\"inputs\": {\"user\": 7}}", "user: byte 20: an array is expected");
    refused(f, "{\"inputs\": {\"user\": [7], \"item\": [1, 2]}}", "item: 2 rows, the inputs before have 1");
    refused(f, "{\"inputs\": {\"user\": [7, {}]}}", "row 1: user: byte 24: a text, a number, true, false or null is expected");
    refused(f, "{\"inputs\": {\"user\": [7], \"user\": [8]}}", "user: stands twice");
    refused(f, "{\"inputs\": {\"nobody\": [7]}}", "nobody: the model has no such input");
    assert_int_equal(serve_sample_read_bytes(f, rows_json_read, "{\"instances\": [{}]}1234", 23, 19), ASK_BAD);
}

/* What is no finite number, and what is no JSON, is refused with its row and its input. */
static void odd_numbers_are_named(void **state)
{
    struct serve_sample *f = *state;
    static const char *const odd[][2] = {{"NaN", "NaN and Infinity are no numbers"}, {"Infinity", "NaN and Infinity are no numbers"},
                                         {"-Infinity", "NaN and Infinity are no numbers"}, {"1e400", "too large"}, {"-1e400", "too large"},
                                         {"nan", "a value is expected"}, {"01", "not a number"}, {"1.", "not a number"}, {"-", "not a number"},
                                         {"tru", "a value is expected"}, {"'x'", "a value is expected"}, {"\"\\x\"", "not an escape"},
                                         {"[1,", "one value"}, {"", "a value is expected"}};
    static const char *const forms[][2] = {{"{\"instances\": [{\"price\": 1}, {\"user\": 1, \"price\": ", "}, {}]}"},
                                           {"{\"inputs\": {\"user\": [1, 2, 3], \"price\": [1, ", ", 3]}}"},
                                           {"{\"inputs\": {\"price\": [1, ", ", 3], \"user\": [1, 2, 3]}}"}};
    char text[1024], big[512], want[256];
    for (size_t form = 0; form < 3; form++) {
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
            snprintf(text, sizeof text, "%s%s%s", forms[form][0], odd[i][0], forms[form][1]);
            refused(f, text, "row 1: price: byte ");
            refused(f, text, odd[i][1]);
        }
        memset(big, '9', 400);
        big[400] = 0;
        snprintf(text, sizeof text, "%s%s%s", forms[form][0], big, forms[form][1]);
        snprintf(want, sizeof want, "row 1: price: byte %d: a number that is too large", (int)(strstr(text, "999") - text));
        refused(f, text, want);
    }
    refused(f, "{\"instances\": [{\"tags\": [1]}, {\"tags\": [1, NaN]}]}", "row 1: tags: byte 43: NaN and Infinity");
    refused(f, "{\"inputs\": {\"tags\": [[1], [1, 2, 1e400]]}}", "row 1: tags: byte 33: a number that is too large");
    refused(f, "{\"instances\": [{}, {\"tags\": [1, 2", "row 1: tags: byte 33: ',' or ']' is expected");
    refused(f, "{\"instances\": [{}, {\"user\" 1}]}", "row 1: byte 27: ':' is expected");
    refused(f, "{\"instances\": [{}, {}", "byte 21: ',' or ']' is expected");
    refused(f, "{\"inputs\": {\"user\": [1, 2], \"price\": [1", "price: byte 39: ',' or ']' is expected");
    refused(f, "{\"inputs\": {\"user\": [1], \"price\": [1, 2, NaN]}}", "price: 3 rows, the inputs before have 1");
    refused(f, "{\"instances\": [{}], \"more\": NaN}", "byte 28: NaN and Infinity");
}

/* Rows and values beyond the limits are too large, up to them are not. */
static void limits_hold(void **state)
{
    struct serve_sample *f = *state;
    f->limits = (struct ask_limits){2, 5};
    assert_int_equal(serve_sample_read(f, rows_json_read, "{\"instances\": [{}, {}]}"), ASK_OK);
    serve_sample_refused(f, rows_json_read, "{\"instances\": [{}, {}, {}]}", ASK_TOO_LARGE, "more than 2 rows");
    serve_sample_refused(f, rows_json_read, "{\"inputs\": {\"user\": [1, 2, 3]}}", ASK_TOO_LARGE, "more than 2 rows");
    assert_int_equal(serve_sample_read(f, rows_json_read, "{\"instances\": [{\"user\": 1}, {\"tags\": [1, 2, 3, 4]}]}"), ASK_OK);
    serve_sample_refused(f, rows_json_read, "{\"instances\": [{\"user\": 1}, {\"tags\": [1, 2, 3, 4, 5]}]}", ASK_TOO_LARGE,
                         "more than 5 values");
}

/* When memory is short a request is refused, and nothing is kept. */
static void short_memory_refuses(void **state)
{
    struct serve_sample *f = *state;
    f->budget.max = 0;
    char text[PAD_KEEP] = "{\"inputs\": {\"tags\": [[1";
    size_t n = strlen(text);
    for (size_t i = 0; i < 900; i++, n += 2) memcpy(text + n, ",1", 2);
    memcpy(text + n, "]]}}", 5);
    assert_int_equal(serve_sample_read(f, rows_json_read, text), ASK_NO_MEMORY);
    f->budget.max = 1 << 20;
    assert_int_equal(serve_sample_read(f, rows_json_read, text), ASK_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, serve_sample_setup, serve_sample_teardown)
    const struct CMUnitTest tests[] = {
        TEST(rows_are_read),      TEST(columns_are_read), TEST(no_rows_have_no_scores), TEST(answers_name_tasks),
        TEST(faults_are_named),   TEST(odd_numbers_are_named), TEST(limits_hold),   TEST(short_memory_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
