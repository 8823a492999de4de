/* common/config/flow: JSON and plain words to trees and back, on any bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/config/flow.h"

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    return arena_create(&arena, NULL) != ST_OK;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static struct node *parse(const char *text)
{
    struct node *node;
    struct error err;
    if (flow_parse(arena, text, strlen(text), "t", &node, &err) != ST_OK)
        fail_msg("%s: %s", text, err.text);
    return node;
}

static void writes(const char *text, const char *want)
{
    struct buffer out = {0};
    char *got;
    flow_put(&out, parse(text));
    assert_int_equal(buffer_take(&out, &got, NULL), ST_OK);
    assert_string_equal(got, want);
    mem_free(got);
}

static void refused(const char *text, size_t n, const char *message)
{
    struct node *node;
    struct error err;
    assert_int_equal(flow_parse(arena, text, n, "t", &node, &err), ST_USAGE);
    assert_string_equal(err.text, message);
}

/* Mappings, lists, quoted and plain scalars keep their kinds and order. */
static void reads_json_and_plain_words(void **state)
{
    (void)state;
    struct node *n = parse(" {\"a\": [1, -2.5e3, \"1\", true], b c: {x: {}, y: []}} \n");
    assert_int_equal(n->kind, NODE_MAP);
    const struct node *a = node_get(n, "a");
    assert_int_equal(a->n, 4);
    assert_true(a->items[0]->plain);
    assert_string_equal(a->items[1]->text, "-2.5e3");
    assert_false(a->items[2]->plain);
    assert_string_equal(a->items[3]->text, "true");
    assert_int_equal(node_get(node_get(n, "b c"), "x")->kind, NODE_MAP);
    assert_int_equal(node_get(node_get(n, "b c"), "y")->kind, NODE_LIST);
    assert_string_equal(parse("10 min")->text, "10 min");
}

/* Escapes are those of JSON, with surrogate pairs, and \xHH. */
static void reads_escapes(void **state)
{
    (void)state;
    assert_string_equal(parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"")->text, "\"\\/\b\f\n\r\t");
    assert_string_equal(parse("\"\\u00e9\\u20ac\\ud83d\\ude00\\x41\"")->text, "é€😀A");
}

/* What is written reads back; a plain word with odd characters gets quotes. */
static void writes_what_it_read(void **state)
{
    (void)state;
    writes("{a: [1, \"1\", x y], \"b\\n\": {}}", "{a: [1, \"1\", x y], \"b\\u000a\": {}}");
    writes("[a:b, ~, \"\"]", "[\"a:b\", ~, \"\"]");
}

/* Each kind of malformed text is refused where it stands. */
static void refuses_malformed_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "t: byte 0: a value is expected"},
        {"[1", "t: byte 2: ',' or ']' is expected"},
        {"[1,]", "t: byte 3: a value is expected"},
        {"{a 1}", "t: byte 4: ':' is expected"},
        {"{a: 1, a: 2}", "t: byte 9: a key stands twice"},
        {"\"a", "t: byte 2: the text ends inside quotes"},
        {"\"\\q\"", "t: byte 3: unknown escape"},
        {"\"\\u12\"", "t: byte 5: four hexadecimal digits are expected behind \\u"},
        {"\"\\ud800\"", "t: byte 7: half of a surrogate pair"},
        {"\"\\u0000\"", "t: byte 7: a character 0"},
        {"1 ]", "t: byte 2: nothing is expected behind the value"},
        {"}", "t: byte 0: a value is expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].text, strlen(cases[i].text), cases[i].message);
    refused("\"a\0b\"", 5, "t: byte 3: a character 0");
}

/* Depth, values and keys are bounded, so that no text takes much memory or time. */
static void bounds_what_it_accepts(void **state)
{
    (void)state;
    char deep[2 * (FLOW_MAX_DEPTH + 1) + 1];
    memset(deep, '[', FLOW_MAX_DEPTH);
    memset(deep + FLOW_MAX_DEPTH, ']', FLOW_MAX_DEPTH);
    struct node *node;
    struct error err;
    assert_int_equal(flow_parse(arena, deep, 2 * FLOW_MAX_DEPTH, "t", &node, &err), ST_OK);
    memset(deep, '[', FLOW_MAX_DEPTH + 1);
    refused(deep, FLOW_MAX_DEPTH + 1, "t: byte 24: nested too deep");

    size_t n = 2 * (size_t)FLOW_MAX_NODES + 2;
    char *wide = mem_alloc(n);
    for (size_t i = 0; i < n; i++) wide[i] = i % 2 ? '1' : ',';
    wide[0] = '[';
    assert_int_equal(flow_parse(arena, wide, n, "t", &node, &err), ST_USAGE);
    assert_non_null(strstr(err.text, "more values than are accepted"));
    mem_free(wide);

    char *keys = mem_alloc(16 * 20000);
    size_t at = 0;
    for (size_t i = 0; i < 20000; i++)
        at += (size_t)sprintf(keys + at, "%ck%zu:1", i ? ',' : '{', i);
    assert_int_equal(flow_parse(arena, keys, at, "t", &node, &err), ST_USAGE);
    assert_non_null(strstr(err.text, "more keys than are accepted"));
    mem_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_json_and_plain_words, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_what_it_read, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_malformed_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds_what_it_accepts, setup, teardown),
    };
    return cmocka_run_group_tests_name("config_flow", tests, NULL, NULL);
}
