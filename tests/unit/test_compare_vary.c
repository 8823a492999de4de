/* compare_vary: what --vary says, every combination, and random draws. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/compare_vary.h"

static int make_arena(void **state)
{
    struct error err;
    return arena_create((struct arena **)state, &err) == ST_OK ? 0 : -1;
}

static int free_arena(void **state)
{
    arena_destroy(*state);
    return 0;
}

/* "key|value|value" of a --vary; "error: ..." when it is refused. */
static const char *parsed(struct arena *a, const char *text, bool ranges)
{
    struct vary v;
    struct error err;
    if (vary_parse(a, text, ranges, &v, &err) != ST_OK)
        return arena_printf(a, "error: %s", err.text);
    if (v.is_range)
        return arena_printf(a, "%s %g to %g%s%s", v.key, v.low, v.high,
                            v.whole ? " whole" : "", v.log ? " log" : "");
    const char *out = v.key;
    for (size_t i = 0; i < v.n; i++) out = arena_printf(a, "%s|%s", out, v.values[i]);
    return out;
}

/* Commas split; blanks around values do not count. */
static void commas_split_values(void **state)
{
    struct arena *a = *state;
    assert_string_equal(parsed(a, "model.type=mmoe", false), "model.type|mmoe");
    assert_string_equal(parsed(a, "model.type= mmoe ,ple", false), "model.type|mmoe|ple");
    assert_string_equal(parsed(a, "hot_start.mode=cold,sparse,sparse+shared", false),
                        "hot_start.mode|cold|sparse|sparse+shared");
}

/* A value may be a list, a mapping, an expression or a quoted text with commas. */
static void commas_inside_brackets_and_quotes_do_not_split(void **state)
{
    struct arena *a = *state;
    assert_string_equal(parsed(a, "k=[64],[32, 32],[]", false), "k|[64]|[32, 32]|[]");
    assert_string_equal(parsed(a, "k={adam: {lr: 1, b: [1,2]}},adam", false),
                        "k|{adam: {lr: 1, b: [1,2]}}|adam");
    assert_string_equal(parsed(a, "w=if(a, b, c),x", false), "w|if(a, b, c)|x");
    assert_string_equal(parsed(a, "w=\"a,b\",'c,]d'", false), "w|\"a,b\"|'c,]d'");
    assert_string_equal(parsed(a, "w=x == \"a,\\\",b\",y", false),
                        "w|x == \"a,\\\",b\"|y");
}

/* An apostrophe inside a word is a letter. */
static void an_apostrophe_opens_no_quote(void **state)
{
    assert_string_equal(parsed(*state, "w=don't,won't", false), "w|don't|won't");
    assert_string_equal(parsed(*state, "w='open,end", false), "w|'open|end");
}

/* What is malformed is said in one line that repeats the text. */
static void malformed_texts_are_refused(void **state)
{
    struct arena *a = *state;
    assert_string_equal(parsed(a, "k", false),
                        "error: --vary k: this is not KEY=V1,V2,...");
    assert_string_equal(parsed(a, "=1", false),
                        "error: --vary =1: this is not KEY=V1,V2,...");
    assert_string_equal(parsed(a, "k=[1,2", false),
                        "error: --vary k=[1,2: the brackets do not match");
    assert_string_equal(parsed(a, "k=[1}", false),
                        "error: --vary k=[1}: the brackets do not match");
    assert_string_equal(parsed(a, "k=1]", false),
                        "error: --vary k=1]: the brackets do not match");
    const char *empty = " a value is empty (the empty text is \"\")";
    assert_non_null(strstr(parsed(a, "k=", false), empty));
    assert_non_null(strstr(parsed(a, "k=1,,2", false), empty));
    assert_non_null(strstr(parsed(a, "k=1,", false), empty));
}

/* Ranges are numbers around two dots; names of features with dots are not. */
static void ranges_are_read_with_random(void **state)
{
    struct arena *a = *state;
    assert_string_equal(parsed(a, "k=1..8", true), "k 1 to 8 whole");
    assert_string_equal(parsed(a, "k=1e-4..1e-2:log", true), "k 0.0001 to 0.01 log");
    assert_string_equal(parsed(a, "k=-1..0.5", true), "k -1 to 0.5");
    assert_string_equal(parsed(a, "k=feat0..17", true), "k|feat0..17");
    assert_string_equal(parsed(a, "k=[a0..3],1", true), "k|[a0..3]|1");
    assert_non_null(strstr(parsed(a, "k=8..1", true), "ends where it starts, or before"));
    assert_non_null(strstr(parsed(a, "k=0..1:log", true), "starts above 0"));
    assert_non_null(strstr(parsed(a, "k=1..2,5", true), "a range stands alone"));
    assert_non_null(strstr(parsed(a, "k=1..8", false), "a range is for random draws"));
}

/* The grid holds every combination once; the last key changes fastest. */
static void the_grid_is_every_combination(void **state)
{
    (void)state;
    const char *one[] = {"a", "b"}, *two[] = {"1", "2", "3"};
    const struct vary v[] = {{.key = "x", .values = one, .n = 2},
                             {.key = "y", .values = two, .n = 3}};
    char all[64] = "";
    assert_int_equal(vary_grid_size(v, 2), 6);
    for (size_t i = 0; i < 6; i++) {
        const char *values[2];
        vary_grid(v, 2, i, values);
        strcat(strcat(strcat(all, values[0]), values[1]), " ");
    }
    assert_string_equal(all, "a1 a2 a3 b1 b2 b3 ");
}

/* Nothing varied is one combination, and a grid that nobody could run has a size too. */
static void the_grid_size_has_no_overflow(void **state)
{
    (void)state;
    struct vary v[8];
    for (size_t i = 0; i < 8; i++) v[i] = (struct vary){.n = 4096};
    assert_int_equal(vary_grid_size(NULL, 0), 1);
    assert_true(vary_grid_size(v, 8) == SIZE_MAX);
}

enum { DRAWS = 4000 };

static double draw(struct arena *a, const struct vary *v, uint64_t seed, uint64_t i,
                   const char **text)
{
    struct error err;
    assert_int_equal(vary_draw(a, v, 1, seed, i, text, &err), ST_OK);
    return strtod(*text, NULL);
}

/* Draws stay inside of the range and fill it: each third gets its share, on the
 * logarithmic scale with :log. A third of 4,000 draws has a deviation of 30. */
static void draws_fill_the_range(void **state)
{
    const char *const ranges[] = {"k=2..5", "k=1e-3..1:log"};
    const double thirds[][2] = {{2.5, 4.5}, {1e-2, 1e-1}};
    for (size_t r = 0; r < 2; r++) {
        struct vary v;
        struct error err;
        assert_int_equal(vary_parse(*state, ranges[r], true, &v, &err), ST_OK);
        size_t low = 0, high = 0;
        for (uint64_t i = 0; i < DRAWS; i++) {
            const char *text;
            double x = draw(*state, &v, 7, i, &text);
            assert_true(x >= v.low && x <= v.high);
            low += x < thirds[r][0];
            high += x > thirds[r][1];
        }
        double share = r ? 1 / 3.0 : 1 / 4.0; /* 2 | 3 4 | 5: whole numbers */
        assert_true(low > (share - 0.04) * DRAWS && low < (share + 0.04) * DRAWS);
        assert_true(high > (share - 0.04) * DRAWS && high < (share + 0.04) * DRAWS);
    }
}

/* Whole numbers stay whole, ends included, also on the logarithmic scale. */
static void whole_numbers_stay_whole(void **state)
{
    struct vary v;
    struct error err;
    assert_int_equal(vary_parse(*state, "k=1..16:log", true, &v, &err), ST_OK);
    bool met[17] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        const char *text;
        double x = draw(*state, &v, 1, i, &text);
        assert_null(strpbrk(text, ".e"));
        met[(size_t)x] = true;
    }
    for (size_t i = 1; i <= 16; i++) assert_true(met[i]);
}

/* A key's draws depend on seed, key and number alone: another key beside it
 * changes nothing, another seed everything. */
static void draws_are_a_function_of_seed_and_key(void **state)
{
    struct arena *a = *state;
    struct vary v[2];
    struct error err;
    assert_int_equal(vary_parse(a, "x=0..1.0", true, &v[0], &err), ST_OK);
    assert_int_equal(vary_parse(a, "y=p,q,r", true, &v[1], &err), ST_OK);
    bool met[3] = {0};
    for (uint64_t i = 0; i < 50; i++) {
        const char *alone, *both[2], *other;
        draw(a, v, 7, i, &alone);
        assert_int_equal(vary_draw(a, v, 2, 7, i, both, &err), ST_OK);
        assert_string_equal(alone, both[0]);
        draw(a, v, 8, i, &other);
        assert_string_not_equal(alone, other);
        met[both[1][0] - 'p'] = true;
    }
    assert_true(met[0] && met[1] && met[2]);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_arena, free_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(commas_split_values),
        CASE(commas_inside_brackets_and_quotes_do_not_split),
        CASE(an_apostrophe_opens_no_quote),
        CASE(malformed_texts_are_refused),
        CASE(ranges_are_read_with_random),
        CASE(the_grid_is_every_combination),
        CASE(the_grid_size_has_no_overflow),
        CASE(draws_fill_the_range),
        CASE(whole_numbers_stay_whole),
        CASE(draws_are_a_function_of_seed_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
