/* worker/score_text: whatever a kept column or a name holds, the output reads
 * back as it. */
#include "worker/score_text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(s) ((struct text){s, sizeof(s) - 1})

/* A header of two names, then a row with this kept value and score. */
static bool written(enum score_format format, const char *name, struct text kept, float score,
                    const char *expected)
{
    char *out = NULL;
    size_t n = 0;
    struct score_text t = {.file = open_memstream(&out, &n), .format = format};
    assert_non_null(t.file);
    score_text_name(&t, name);
    score_text_name(&t, "click");
    score_text_end(&t);
    score_text_field(&t, name, kept);
    score_text_value(&t, "click", score);
    score_text_end(&t);
    fclose(t.file);
    assert_int_equal(n, strlen(expected));
    assert_string_equal(out, expected);
    free(out); /* comes from open_memstream, not from mem.h */
    return t.not_utf8;
}

/* Plain text stays plain. */
static void plain_text_is_not_quoted(void **state)
{
    (void)state;
    written(SCORE_CSV, "user", TEXT("u 1\tx"), 0.5f, "user,click\nu 1\tx,0.5\n");
    written(SCORE_TSV, "user", TEXT("u,1"), 0.5f, "user\tclick\nu,1\t0.5\n");
    written(SCORE_CSV, "user", TEXT(""), 0.25f, "user,click\n,0.25\n");
    written(SCORE_JSONL, "user", TEXT("u,1"), 0.5f, "{\"user\":\"u,1\",\"click\":0.5}\n");
}

/* Separators, quotes and line ends of a value do not break its row. */
static void values_are_quoted(void **state)
{
    (void)state;
    written(SCORE_CSV, "u", TEXT("a,\"b\"\nc"), 1, "u,click\n\"a,\"\"b\"\"\nc\",1\n");
    written(SCORE_TSV, "u", TEXT("a\tb"), 1, "u\tclick\n\"a\tb\"\t1\n");
    written(SCORE_TSV, "u", TEXT("\"a"), 1, "u\tclick\n\"\"\"a\"\t1\n");
    written(SCORE_TSV, "u", TEXT("a\nb\r"), 1, "u\tclick\n\"a\nb\r\"\t1\n");
    written(SCORE_JSONL, "u", TEXT("a\"\\\n\0b"), 1,
            "{\"u\":\"a\\\"\\\\\\u000a\\u0000b\",\"click\":1}\n");
}

/* Names are quoted like values. */
static void names_are_quoted(void **state)
{
    (void)state;
    written(SCORE_CSV, "a,\"b", TEXT("x"), 1, "\"a,\"\"b\",click\nx,1\n");
    written(SCORE_TSV, "a\tb", TEXT("x"), 1, "\"a\tb\"\tclick\nx\t1\n");
    written(SCORE_JSONL, "a\"b", TEXT("x"), 1, "{\"a\\\"b\":\"x\",\"click\":1}\n");
}

/* JSON gets U+FFFD for a byte that is no UTF-8, and it is known; others get the bytes. */
static void bytes_that_are_no_utf8_are_replaced_in_json_only(void **state)
{
    (void)state;
    assert_true(written(SCORE_JSONL, "u", TEXT("a\xff\xc3\xa9"), 1,
                        "{\"u\":\"a\xEF\xBF\xBD\xc3\xa9\",\"click\":1}\n"));
    assert_false(written(SCORE_JSONL, "u", TEXT("\xc3\xa9"), 1, "{\"u\":\"\xc3\xa9\",\"click\":1}\n"));
    assert_false(written(SCORE_CSV, "u", TEXT("a\xff"), 1, "u,click\na\xff,1\n"));
}

/* Nine digits give the same float back; what is no number is null or empty. */
static void values_read_back(void **state)
{
    (void)state;
    written(SCORE_CSV, "u", TEXT("x"), 0.1f, "u,click\nx,0.100000001\n");
    written(SCORE_CSV, "u", TEXT("x"), NAN, "u,click\nx,\n");
    written(SCORE_JSONL, "u", TEXT("x"), INFINITY, "{\"u\":\"x\",\"click\":null}\n");
}

/* A vector is a column per float, in jsonl one list. */
static void vectors_are_columns_or_a_list(void **state)
{
    (void)state;
    static const char *const expected[] = {"u,a_0,a_1\nx,0.5,\n", "u\ta_0\ta_1\nx\t0.5\t\n",
                                           "{\"u\":\"x\",\"a\":[0.5,null]}\n"};
    static const enum score_format formats[] = {SCORE_CSV, SCORE_TSV, SCORE_JSONL};
    for (size_t i = 0; i < 3; i++) {
        char *out = NULL;
        size_t n = 0;
        struct score_text t = {.file = open_memstream(&out, &n), .format = formats[i]};
        assert_non_null(t.file);
        score_text_name(&t, "u");
        score_text_vector_name(&t, "a", 2);
        score_text_end(&t);
        score_text_field(&t, "u", TEXT("x"));
        score_text_vector(&t, "a", (const float[]){0.5f, NAN}, 2);
        score_text_end(&t);
        fclose(t.file);
        assert_string_equal(out, expected[i]);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_is_not_quoted), cmocka_unit_test(values_are_quoted),
        cmocka_unit_test(names_are_quoted),
        cmocka_unit_test(bytes_that_are_no_utf8_are_replaced_in_json_only),
        cmocka_unit_test(values_read_back), cmocka_unit_test(vectors_are_columns_or_a_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
