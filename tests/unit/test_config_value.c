/* common/config/value, names and nearest: words as numbers with units, ranges
 * of names, and what a misspelt word was meant to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/config/config.h"
#include "common/config/nearest.h"
#include "common/config/value.h"

/* Counts take thousands, and nothing that is not whole. */
static void counts_are_whole(void **state)
{
    (void)state;
    uint64_t n;
    assert_true(value_count("1024", &n) && n == 1024);
    assert_true(value_count("200M", &n) && n == 200000000);
    assert_true(value_count("64k", &n) && n == 64000);
    assert_true(value_count("1.5M", &n) && n == 1500000);
    assert_true(value_count("1e6", &n) && n == 1000000);
    assert_true(value_count("18446744073709551615", &n) && n == UINT64_MAX);
    assert_false(value_count("18446744073709551616", &n));
    assert_false(value_count("99999999999G", &n));
    assert_false(value_count("1.5", &n));
    assert_false(value_count("-1", &n));
    assert_false(value_count("12x", &n));
    assert_false(value_count("", &n));
    assert_false(value_count("0x10", &n));
}

/* Bytes count in powers of 1024. */
static void bytes_count_in_powers_of_1024(void **state)
{
    (void)state;
    uint64_t n;
    assert_true(value_bytes("512 MiB", &n) && n == 536870912);
    assert_true(value_bytes("1G", &n) && n == 1073741824);
    assert_true(value_bytes("1.5 KiB", &n) && n == 1536);
    assert_true(value_bytes("77", &n) && n == 77);
    assert_false(value_bytes("1 GX", &n));
}

/* Numbers are decimal and finite. */
static void reals_are_decimal_and_finite(void **state)
{
    (void)state;
    double x;
    assert_true(value_real("1e-7", &x) && x == 1e-7);
    assert_true(value_real("-.5", &x) && x == -0.5);
    assert_false(value_real("nan", &x));
    assert_false(value_real("inf", &x));
    assert_false(value_real("0x1p3", &x));
    assert_false(value_real("1e999", &x));
    assert_false(value_real("1 2", &x));
    assert_false(value_real("1,5", &x));
}

/* Shares may be percentages. */
static void shares_may_be_percentages(void **state)
{
    (void)state;
    double x;
    bool percent;
    assert_true(value_share("0.1%", &x, &percent) && x == 0.001 && percent);
    assert_true(value_share("0.25", &x, &percent) && x == 0.25 && !percent);
    assert_false(value_share("5 percent", &x, &percent));
}

/* Periods and durations carry units. */
static void times_carry_units(void **state)
{
    (void)state;
    double x;
    assert_true(value_seconds("120 s", &x) && x == 120);
    assert_true(value_seconds("1.5 min", &x) && x == 90);
    assert_true(value_seconds("500ms", &x) && x == 0.5);
    assert_true(value_seconds("7", &x) && x == 7);
    assert_false(value_seconds("7 parsecs", &x));
    struct every_cfg every = {0};
    assert_true(value_period("2000 steps", &every) && every.steps == 2000);
    assert_true(value_period("0.5 epochs", &every) && every.epochs == 0.5);
    assert_true(value_period("10 min", &every) && every.seconds == 600);
    assert_false(value_period("10", &every));
    assert_false(value_period("0 steps", &every));
    assert_false(value_period("1.5 steps", &every));
}

/* A printed number is the shortest that reads back. */
static void printed_numbers_read_back(void **state)
{
    (void)state;
    char text[40];
    assert_string_equal(value_print_real(0.1, text, sizeof text), "0.1");
    assert_string_equal(value_print_real(1e-7, text, sizeof text), "1e-07");
    assert_string_equal(value_print_real(3, text, sizeof text), "3");
    double third = 1.0 / 3, back;
    assert_true(value_real(value_print_real(third, text, sizeof text), &back) && back == third);
}

static void expands_to(const char *text, size_t n, const char *first, const char *last)
{
    struct arena *a;
    struct error err;
    struct name_list out = {0};
    assert_int_equal(arena_create(&a, &err), ST_OK);
    assert_int_equal(names_expand(a, &out, text, (struct origin){"f", 1, 1}, &err), ST_OK);
    assert_int_equal(out.n, n);
    assert_string_equal(out.v[0], first);
    assert_string_equal(out.v[n - 1], last);
    arena_destroy(a);
}

/* Ranges of names are expanded; leading zeros stay. */
static void ranges_of_names_are_expanded(void **state)
{
    (void)state;
    expands_to("a0..17", 18, "a0", "a17");
    expands_to("2..301", 300, "2", "301");
    expands_to("x08..11", 4, "x08", "x11");
    expands_to("plain", 1, "plain", "plain");
    expands_to("a..b", 1, "a..b", "a..b");
    expands_to("v1..2x", 1, "v1..2x", "v1..2x");
}

/* A range that runs backwards or is endless is refused with its place. */
static void bad_ranges_are_refused(void **state)
{
    (void)state;
    struct arena *a;
    struct error err;
    struct name_list out = {0};
    assert_int_equal(arena_create(&a, &err), ST_OK);
    struct origin at = {"f", 3, 7};
    assert_int_equal(names_expand(a, &out, "a9..3", at, &err), ST_USAGE);
    assert_string_equal(err.text, "f:3:7: range 'a9..3' ends before it starts");
    assert_int_equal(names_expand(a, &out, "a0..99999999", at, &err), ST_USAGE);
    assert_string_equal(err.text, "f:3:7: range 'a0..99999999' makes more than 65536 names");
    arena_destroy(a);
}

/* A misspelt word is near the right one; an unrelated one is near nothing. */
static void near_words_are_found(void **state)
{
    (void)state;
    static const char *const known[] = {"batch_size", "lanes", "epochs", "optimizer"};
    assert_string_equal(nearest_word("batchsize", known, 4), "batch_size");
    assert_string_equal(nearest_word("Lanes", known, 4), "lanes");
    assert_string_equal(nearest_word("ecophs", known, 4), "epochs");
    assert_null(nearest_word("zebra", known, 4));
    assert_int_equal(nearest_distance("abc", "acb"), 1);
    assert_int_equal(nearest_distance("kitten", "sitting"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_whole),
        cmocka_unit_test(bytes_count_in_powers_of_1024),
        cmocka_unit_test(reals_are_decimal_and_finite),
        cmocka_unit_test(shares_may_be_percentages),
        cmocka_unit_test(times_carry_units),
        cmocka_unit_test(printed_numbers_read_back),
        cmocka_unit_test(ranges_of_names_are_expanded),
        cmocka_unit_test(bad_ranges_are_refused),
        cmocka_unit_test(near_words_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
