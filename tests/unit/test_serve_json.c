/* serve/http/jsonin and jsonout: JSON as RFC 8259 says, read in place, and written. */
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
#include "serve/http/jsonin.h"
#include "serve/http/jsonout.h"

/* A reader over a copy of exactly these bytes and a 0. */
struct input {
    char *bytes;
    struct jsonin r;
};

static struct input open_bytes(const char *text, size_t n)
{
    struct input in = {.bytes = malloc(n + 1)};
    memcpy(in.bytes, text, n);
    in.bytes[n] = 0;
    jsonin_open(&in.r, in.bytes, n);
    return in;
}

static struct input open_text(const char *text)
{
    return open_bytes(text, strlen(text));
}

static bool is_json(const char *text, size_t n)
{
    struct input in = open_bytes(text, n), before = open_bytes(text, n);
    jsonin_skip(&in.r);
    bool ok = jsonin_end(&in.r);
    assert_int_equal(ok, in.r.why == NULL);
    assert_memory_equal(in.bytes, before.bytes, n); /* skipping leaves the text */
    free(in.bytes);
    free(before.bytes);
    return ok;
}

/* What the grammar allows is taken. */
static void takes_json(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}", "[]", "0", "-0", "10", "-1.5e+10", "1E5", "0.5", "true", "false", "null", "\"\"", " [ 1 , 2 ] ",
        "{\"a\":{\"b\":[1,2,{\"c\":null}]}}", "\"\\u0041\\n\\\\\\/\\\"\"", "\"\\ud83d\\ude00\"", "\"\xC3\xA9\"",
        "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", "123456789012345678901234567890", "\t\r\n{\"a\" : 1}\n"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!is_json(good[i], strlen(good[i]))) fail_msg("refused: %s", good[i]);
}

/* What it does not allow is refused. */
static void refuses_what_is_no_json(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", " ", "{", "}", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}",
        "{a:1}", "{'a':1}", "{1:1}", "01", "-", "-01", "1.", ".5", "1e", "1e+", "+1", "0x10", "1_000", "NaN", "Infinity",
        "-Infinity", "nul", "nulll", "tru", "True", "\"", "\"\\\"", "\"\\x41\"", "\"\\u12\"", "\"\\u12g4\"",
        "\"\\ud83d\"", "\"\\ud83dx\"", "\"\\ud83d\\n\"", "\"\\ud83d\\u0041\"", "\"\\ude00\"", "\"\n\"", "\"\x01\"",
        "\"\xC3\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xFF\"", "1 2", "{} {}", "[]x", "// 1", "1 // 2", "[1]]",
        "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "1e999", "-1e999", "\xEF\xBB\xBF{}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (is_json(bad[i], strlen(bad[i]))) fail_msg("taken: %s", bad[i]);
    assert_false(is_json("\"a\0b\"", 5));
    assert_false(is_json("1\0", 2));
    assert_false(is_json("[1\0]", 4));
}

/* A text of any nesting ends within the stack and says why. */
static void deep_nesting_is_refused(void **state)
{
    (void)state;
    char *deep = malloc(1 << 20);
    memset(deep, '[', 1 << 20);
    assert_false(is_json(deep, 1 << 20));
    for (size_t i = 0; i + 5 <= 1 << 20; i += 5) memcpy(deep + i, "{\"a\":", 5);
    assert_false(is_json(deep, 1 << 20));
    free(deep);
}

static void number_is(const char *text, bool whole, bool fits, int64_t integer, double real)
{
    struct input in = open_text(text);
    struct jsonin_number n;
    if (!jsonin_number(&in.r, &n)) fail_msg("%s: %s", text, in.r.why);
    assert_int_equal(n.whole, whole);
    assert_int_equal(n.fits, fits);
    if (fits) assert_int_equal(n.integer, integer);
    assert_true(n.real == real);
    assert_int_equal(n.digits.n, strlen(text));
    free(in.bytes);
}

/* Whole numbers keep all their digits, others are the nearest double. */
static void numbers_are_exact(void **state)
{
    (void)state;
    number_is("0", true, true, 0, 0);
    number_is("-0", true, true, 0, 0);
    number_is("9007199254740993", true, true, INT64_C(9007199254740993), 9007199254740992.0);
    number_is("9223372036854775807", true, true, INT64_MAX, 0x1p63);
    number_is("-9223372036854775808", true, true, INT64_MIN, -0x1p63);
    number_is("9223372036854775808", true, false, 0, 0x1p63);
    number_is("18446744073709551615", true, false, 0, 0x1p64);
    number_is("1.0", false, false, 0, 1);
    number_is("1e2", false, false, 0, 100);
    number_is("0.1", false, false, 0, 0.1);
    number_is("5e-324", false, false, 0, 5e-324);
}

static void string_is(const char *text, const char *want, size_t n)
{
    struct input in = open_text(text);
    struct text t;
    if (!jsonin_string(&in.r, &t)) fail_msg("%s: %s", text, in.r.why);
    assert_int_equal(t.n, n);
    assert_memory_equal(t.s, want, n);
    assert_true(jsonin_end(&in.r));
    free(in.bytes);
}

/* Strings are decoded, also a character 0. */
static void strings_are_decoded(void **state)
{
    (void)state;
    string_is("\"\"", "", 0);
    string_is("\"plain\"", "plain", 5);
    string_is("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    string_is("\"a\\u00e9b\\u20acc\\ud83d\\ude00d\"", "a\xC3\xA9" "b\xE2\x82\xAC" "c\xF0\x9F\x98\x80" "d", 13);
    string_is("\"\\u0000x\"", "\0x", 2);
    string_is("\"\xE2\x82\xAC\\n\"", "\xE2\x82\xAC\n", 4);
}

/* A value is read as what is asked for; another kind is a fault with its place. */
static void kinds_are_checked(void **state)
{
    (void)state;
    struct input in = open_text("{\"a\": [1, \"x\", true, null], \"b\": {}}");
    struct text t;
    struct jsonin_number n;
    bool yes = false;
    struct error err;
    assert_int_equal(jsonin_peek(&in.r), JSONIN_OBJECT);
    assert_true(jsonin_object(&in.r));
    assert_true(jsonin_key(&in.r, &t));
    assert_memory_equal(t.s, "a", 1);
    assert_true(jsonin_array(&in.r));
    assert_true(jsonin_item(&in.r) && jsonin_number(&in.r, &n));
    assert_true(jsonin_item(&in.r) && jsonin_string(&in.r, &t));
    assert_true(jsonin_item(&in.r) && jsonin_bool(&in.r, &yes));
    assert_true(yes);
    assert_true(jsonin_item(&in.r) && jsonin_null(&in.r));
    assert_false(jsonin_item(&in.r));
    assert_true(jsonin_key(&in.r, &t));
    assert_false(jsonin_array(&in.r));
    assert_string_equal(in.r.why, "an array is expected");
    assert_false(jsonin_key(&in.r, &t));
    assert_false(jsonin_end(&in.r));
    assert_int_equal(jsonin_error(&in.r, &err), ST_DATA);
    assert_string_equal(err.text, "byte 33: an array is expected");
    free(in.bytes);
}

/* A place can be returned to: what was skipped is read later. */
static void a_skipped_value_is_read_later(void **state)
{
    (void)state;
    struct input in = open_text("[[\"\\u0041\", 2], 3]");
    struct text t;
    struct jsonin_number n;
    jsonin_array(&in.r);
    jsonin_item(&in.r);
    struct jsonin later = in.r;
    assert_true(jsonin_skip(&in.r));
    assert_true(jsonin_item(&in.r) && jsonin_number(&in.r, &n));
    assert_int_equal(n.integer, 3);
    assert_true(jsonin_array(&later) && jsonin_item(&later) && jsonin_string(&later, &t));
    assert_memory_equal(t.s, "A", 1);
    free(in.bytes);
}

/* A value that will be read may hold numbers that reading refuses; nothing else is passed
 * over, and reading comes to them. */
static void odd_numbers_are_left_to_reading(void **state)
{
    (void)state;
    static const char *const passed[] = {"NaN", "[Infinity]", "[1, -Infinity, {\"a\": 1e999}]", "[-1e999]"},
                             *const bad[] = {"nan", "[inf]", "[-NaN]", "[NaNx]", "[NaN NaN]", "[Infinit]", "[01]", "[1e]", "[-]", ""};
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
        struct input in = open_text(passed[i]);
        if (!jsonin_skip_unread(&in.r) || !jsonin_end(&in.r)) fail_msg("%s: %s", passed[i], in.r.why);
        jsonin_open(&in.r, in.bytes, strlen(passed[i]));
        assert_false(jsonin_skip(&in.r));
        free(in.bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct input in = open_text(bad[i]);
        if (jsonin_skip_unread(&in.r) && jsonin_end(&in.r)) fail_msg("taken: %s", bad[i]);
        free(in.bytes);
    }
}

/* Random changes of a text never lead out of it, and never to a crash. */
static void changed_bytes_are_safe(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,-2.5e3,\"x\\u00e9\\n\",true,null,{\"b\":\"\\ud83d\\ude00\"}],\"c\":{}}";
    size_t n = sizeof text - 1, taken = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        for (uint64_t k = 0; k < 1 + i % 3; k++) {
            uint64_t h = hash_mix(i * 8 + k + 1);
            copy[h % n] = (char)(h >> 32);
        }
        taken += is_json(copy, n - hash_mix(i) % 3);
    }
    assert_in_range(taken, 100, 20000);
}

/* ---- writing ---- */

static void written_is(struct jsonout *w, const char *want)
{
    assert_false(w->failed);
    assert_int_equal(w->n, strlen(want));
    assert_memory_equal(w->text, want, w->n);
}

/* Commas, escapes and floats as they should be; what is written is read again. */
static void writes_json(void **state)
{
    (void)state;
    struct budget budget = {0, 1 << 20};
    struct pad pad;
    struct jsonout w;
    pad_open(&pad, &budget);
    jsonout_open(&w, &pad);
    jsonout_begin(&w, '{');
    jsonout_text_of(&w, "a\"b", "x\\y\n\x7F\xFF");
    jsonout_whole_of(&w, "n", UINT64_MAX);
    jsonout_key(&w, "v");
    jsonout_begin(&w, '[');
    jsonout_float(&w, 0.1f);
    jsonout_float(&w, 1);
    jsonout_float(&w, 1.0f / 0.0f);
    jsonout_begin(&w, '{');
    jsonout_finish(&w, '}');
    jsonout_word(&w, "true");
    jsonout_finish(&w, ']');
    jsonout_finish(&w, '}');
    written_is(&w, "{\"a\\\"b\":\"x\\\\y\\u000a\\u007f\xEF\xBF\xBD\",\"n\":18446744073709551615,"
                   "\"v\":[0.100000001,1,null,{},true]}");
    assert_true(is_json(w.text, w.n));
    pad_close(&pad);
}

/* ---- memory of a request ---- */

/* A small request takes nothing from the budget, a large one does and gives it back. */
static void large_requests_are_counted(void **state)
{
    (void)state;
    struct budget budget = {0, 1 << 20};
    struct pad pad;
    pad_open(&pad, &budget);
    uint64_t calls = 0;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 10; k++) {
            char *p = pad_take(&pad, 100, 10);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            memset(p, k, 1000);
        }
        if (i == 0) calls = mem_calls();
        pad_reset(&pad);
    }
    assert_int_equal(mem_calls(), calls); /* the same block again */
    assert_int_equal(budget.used, 0);
    assert_non_null(pad_take(&pad, 1 << 19, 1));
    assert_in_range(budget.used, 1 << 19, 1 << 20);
    assert_null(pad_take(&pad, 1 << 20, 1));
    assert_null(pad_take(&pad, SIZE_MAX, 1));
    assert_null(pad_take(&pad, SIZE_MAX / 2, 3));
    pad_reset(&pad);
    assert_int_equal(budget.used, 0);
    pad_close(&pad);
}

/* Without memory nothing is written, and that is said. */
static void a_full_budget_fails_the_text(void **state)
{
    (void)state;
    struct budget budget = {0, 0};
    struct pad pad;
    struct jsonout w;
    char big[PAD_KEEP] = {0};
    pad_open(&pad, &budget);
    jsonout_open(&w, &pad);
    jsonout_raw(&w, big, sizeof big);
    assert_true(w.failed);
    jsonout_word(&w, "true");
    assert_int_equal(w.n, 0);
    pad_close(&pad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_json),
        cmocka_unit_test(refuses_what_is_no_json),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(kinds_are_checked),
        cmocka_unit_test(a_skipped_value_is_read_later),
        cmocka_unit_test(odd_numbers_are_left_to_reading),
        cmocka_unit_test(changed_bytes_are_safe),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(large_requests_are_counted),
        cmocka_unit_test(a_full_budget_fails_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
