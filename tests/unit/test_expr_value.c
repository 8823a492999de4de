/* data/expr: numbers from text and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "data/expr.h"

static bool number(const char *s, struct value *out)
{
    return text_number((struct text){s, strlen(s)}, out);
}

/* Decimal integers that fit 64 bits are integers. */
static void test_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t i;
    } rows[] = {
        {"0", 0},
        {"-0", 0},
        {"+7", 7},
        {"007", 7},
        {"-12", -12},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"0000000000000000000000000000012", 12},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct value v;
        assert_true(number(rows[i].text, &v));
        assert_int_equal(v.kind, VALUE_INT);
        assert_true(v.i == rows[i].i);
    }
}

/* Everything else that is a number is the nearest double. */
static void test_floats(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "0.1",
        "2.50",
        ".5",
        "5.",
        "1e3",
        "1E+3",
        "-1.5e-7",
        "0.00497512437811",
        "1e22",
        "1e23",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "1e308",
        "4.9e-324",
        "123456789012345678901234567890",
        "0.1234567890123456789012345",
        "9007199254740993.0",
        "8.5e-310",
        "1e-400",
        "179769313486231580793728971405301e276",
        "0.30000000000000004",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct value v;
        assert_true(number(rows[i], &v));
        assert_int_equal(v.kind, VALUE_FLOAT);
        double want = strtod(rows[i], NULL);
        assert_memory_equal(&v.f, &want, sizeof want);
    }
}

/* The quick way through small mantissas rounds as strtod does. */
static void test_floats_like_strtod(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        char text[64];
        uint64_t h = hash_mix(i + 1);
        snprintf(text, sizeof text, "%llu.%0*lluE%d", (unsigned long long)(h >> 40),
                 (int)(1 + h % 15), (unsigned long long)(hash_mix(h) % 1000000),
                 (int)(h % 61) - 30);
        struct value v;
        assert_true(number(text, &v));
        double want = strtod(text, NULL);
        if (memcmp(&v.f, &want, sizeof want) != 0) fail_msg("%s", text);
    }
}

/* Blanks, other bases, inf, nan, half-written numbers are none. */
static void test_no_numbers(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",    " 1",  "1 ",    "-",    "+",     ".",     "-.",       "e5",
        "1e",  "1e+", "1.2.3", "0x10", "inf",   "nan",   "-inf",     "Infinity",
        "1,5", "12x", "1e5x",  "--1",  "1e999", "1_000", "\xd9\xa1",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct value v;
        if (number(rows[i], &v)) fail_msg("'%s' is taken for a number", rows[i]);
    }
    assert_false(text_number((struct text){"1\0", 2}, &(struct value){0}));
}

/* The text of an id: integers in decimal, also when they are floats; other
 * floats as short as reads back; texts as they are. */
static void test_id_text(void **state)
{
    (void)state;
    static const struct {
        struct value v;
        const char *text;
    } rows[] = {
        {{.kind = VALUE_INT, .i = 21}, "21"},
        {{.kind = VALUE_INT, .i = 0}, "0"},
        {{.kind = VALUE_INT, .i = -7}, "-7"},
        {{.kind = VALUE_INT, .i = INT64_MAX}, "9223372036854775807"},
        {{.kind = VALUE_INT, .i = INT64_MIN}, "-9223372036854775808"},
        {{.kind = VALUE_FLOAT, .f = 21.0}, "21"},
        {{.kind = VALUE_FLOAT, .f = -0.0}, "0"},
        {{.kind = VALUE_FLOAT, .f = 0.1}, "0.1"},
        {{.kind = VALUE_FLOAT, .f = 0.1 + 0.2}, "0.30000000000000004"},
        {{.kind = VALUE_FLOAT, .f = 1e17}, "100000000000000000"},
        {{.kind = VALUE_FLOAT, .f = 1e300}, "1e+300"},
        {{.kind = VALUE_FLOAT, .f = -9223372036854775808.0}, "-9223372036854775808"},
        {{.kind = VALUE_FLOAT, .f = -2.2250738585072014e-308},
         "-2.2250738585072014e-308"},
        {{.kind = VALUE_STRING, .s = {"21.0", 4}}, "21.0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char buf[32];
        struct text t = value_id_text(&rows[i].v, buf);
        assert_int_equal(t.n, strlen(rows[i].text));
        assert_memory_equal(t.s, rows[i].text, t.n);
    }
}

/* True: numbers but 0, texts but the empty one and those that read as 0. */
static void test_truth(void **state)
{
    (void)state;
    static const struct {
        struct value v;
        bool truth;
    } rows[] = {
        {{.kind = VALUE_MISSING}, false},
        {{.kind = VALUE_INT, .i = 0}, false},
        {{.kind = VALUE_INT, .i = -1}, true},
        {{.kind = VALUE_FLOAT, .f = 0}, false},
        {{.kind = VALUE_FLOAT, .f = 0.1}, true},
        {{.kind = VALUE_STRING, .s = {"", 0}}, false},
        {{.kind = VALUE_STRING, .s = {"x", 1}}, true},
        {{.kind = VALUE_STRING, .s = {"0", 1}}, false},
        {{.kind = VALUE_STRING, .s = {"0.0", 3}}, false},
        {{.kind = VALUE_STRING, .s = {"1", 1}}, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(value_is_true(&rows[i].v), rows[i].truth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_floats_like_strtod),
        cmocka_unit_test(test_no_numbers),
        cmocka_unit_test(test_id_text),
        cmocka_unit_test(test_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
