/* common/config/yaml: texts become trees with places, and hostile texts are
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/config/yaml.h"

#include "tests/lib/tmpdir.h"

static struct arena *arena;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    return arena_create(&arena, &err) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static struct node *parsed(const char *text)
{
    struct node *root = NULL;
    enum status st = yaml_parse(arena, text, strlen(text), "f", true, &root, &err);
    if (st != ST_OK) fail_msg("%s", err.text);
    return root;
}

static void refused(const char *text, size_t n, const char *message)
{
    struct node *root;
    assert_int_equal(yaml_parse(arena, text, n, "f", true, &root, &err), ST_USAGE);
    assert_string_equal(err.text, message);
}

static void is_at(const struct node *node, unsigned line, unsigned column)
{
    assert_int_equal(node->at.line, line);
    assert_int_equal(node->at.column, column);
    assert_string_equal(node->at.file, "f");
}

/* A scalar's place is its first character, behind a quote or an indent. */
static void scalars_know_their_first_character(void **state)
{
    (void)state;
    struct node *root = parsed("a: 1\nb: \"x y\"\nc: |\n   deep\nd: [p, 'q']\n");
    is_at(node_get(root, "a"), 1, 4);
    is_at(node_get(root, "b"), 2, 5);
    is_at(node_get(root, "c"), 4, 4);
    is_at(node_get(root, "d"), 5, 4);
    is_at(node_get(root, "d")->items[1], 5, 9);
    is_at(root->keys[3], 5, 1);
}

/* Quotes decide whether a word may be a number or null. */
static void quotes_are_remembered(void **state)
{
    (void)state;
    struct node *root = parsed("a: 1\nb: '1'\nc:\nd: ''\ne: ~\nf: 'null'\n");
    assert_true(node_get(root, "a")->plain);
    assert_false(node_get(root, "b")->plain);
    assert_true(node_is_null(node_get(root, "c")));
    assert_false(node_is_null(node_get(root, "d")));
    assert_true(node_is_null(node_get(root, "e")));
    assert_false(node_is_null(node_get(root, "f")));
}

/* A value that is left away is where its key is. */
static void an_empty_value_is_at_its_key(void **state)
{
    (void)state;
    is_at(node_get(parsed("x:\n  y:\n"), "x"), 2, 3);
    is_at(node_get(parsed("a: 1\nb:\n"), "b"), 2, 1);
}

/* Anchors give copies, and << takes the keys that are not there yet. */
static void aliases_and_merge_keys_are_resolved(void **state)
{
    (void)state;
    struct node *root = parsed("a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, q: 3}\n");
    assert_string_equal(node_get(node_get(root, "b"), "q")->text, "2");
    assert_string_equal(node_get(node_get(root, "c"), "p")->text, "1");
    assert_string_equal(node_get(node_get(root, "c"), "q")->text, "3");
    assert_ptr_not_equal(node_get(root, "a"), node_get(root, "b"));
}

/* An empty text is an empty mapping, not an error. */
static void an_empty_text_is_an_empty_mapping(void **state)
{
    (void)state;
    assert_int_equal(parsed("")->kind, NODE_MAP);
    assert_int_equal(parsed("# nothing\n")->n, 0);
}

/* The second of two equal keys is named with the place of the first. */
static void a_key_written_twice_is_an_error(void **state)
{
    (void)state;
    static const char text[] = "a: 1\nb:\n  c: 1\n  c: 2\n";
    refused(text, strlen(text), "f:4:3: key 'c' is written twice, first in line 3 column 3");
    static const char root[] = "a: 1\na: 2\n";
    refused(root, strlen(root), "f:2:1: key 'a' is written twice, first in line 1 column 1");
}

/* What the YAML library says is told with its place. */
static void broken_yaml_is_an_error_with_its_place(void **state)
{
    (void)state;
    static const char open[] = "a: [1, 2\n";
    refused(open, strlen(open), "f:2:1: flow sequence without a closing bracket");
    static const char escape[] = "a: \"\\q\"\n";
    refused(escape, strlen(escape), "f:1:5: invalid escape 'q' in double-quoted string");
    static const char two[] = "a: 1\n---\nb: 2\n";
    refused(two, strlen(two), "f:3:1: a second document; one is allowed");
    static const char alias[] = "a: *nobody\n";
    refused(alias, strlen(alias), "f:1:5: alias of an anchor that is not written before it");
}

/* Bytes that are no text are refused where they are. */
static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    refused("a: \xff", 4, "f:1:4: not valid UTF-8 text");
    refused("a: 1\nb\0: 2", 10, "f:2:2: not valid UTF-8 text");
    refused("a: \xed\xa0\x80", 6, "f:1:4: not valid UTF-8 text");
    refused("a: \x1b[0m", 7, "f:1:4: not valid UTF-8 text");
}

/* Nesting, length of lines and size are bounded. */
static void sizes_are_bounded(void **state)
{
    (void)state;
    refused("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", 35, "f:1:17: nested deeper than 16 levels");
    parsed("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]");
    static char line[YAML_MAX_LINE + 100];
    memset(line, 'x', sizeof line);
    struct node *root;
    assert_int_equal(yaml_parse(arena, line, sizeof line, "f", true, &root, &err), ST_USAGE);
    assert_non_null(strstr(err.text, "line is longer than 64 KiB"));
    static char big[YAML_MAX_BYTES + 1];
    memset(big, '\n', sizeof big);
    refused(big, sizeof big,
            "f: configuration has 1048577 bytes, at most 1048576 are allowed");
}

/* A few lines of aliases of aliases do not become a huge tree. */
static void aliases_cannot_blow_up(void **state)
{
    (void)state;
    char text[4096];
    int n = sprintf(text, "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
    for (int i = 1; i < 10; i++) {
        n += sprintf(text + n, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++) n += sprintf(text + n, "%s*a%d", k ? ", " : "", i - 1);
        n += sprintf(text + n, "]\n");
    }
    struct node *root;
    assert_int_equal(yaml_parse(arena, text, (size_t)n, "f", true, &root, &err), ST_USAGE);
    assert_non_null(strstr(err.text, "aliases make too large a tree"));
}

/* Files that cannot be read are exit code 66. */
static void unreadable_files_are_no_input(void **state)
{
    (void)state;
    struct node *root;
    assert_int_equal(yaml_read(arena, "/nowhere/c.yaml", &root, &err), ST_NOINPUT);
    assert_non_null(strstr(err.text, "/nowhere/c.yaml: configuration cannot be read: No such"));
    struct tmpdir d;
    tmpdir_create(&d);
    assert_int_equal(yaml_read(arena, d.path, &root, &err), ST_NOINPUT);
    assert_non_null(strstr(err.text, "is a folder"));
    tmpdir_remove(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_know_their_first_character),
        cmocka_unit_test(quotes_are_remembered),
        cmocka_unit_test(an_empty_value_is_at_its_key),
        cmocka_unit_test(aliases_and_merge_keys_are_resolved),
        cmocka_unit_test(an_empty_text_is_an_empty_mapping),
        cmocka_unit_test(a_key_written_twice_is_an_error),
        cmocka_unit_test(broken_yaml_is_an_error_with_its_place),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(aliases_cannot_blow_up),
        cmocka_unit_test(unreadable_files_are_no_input),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
