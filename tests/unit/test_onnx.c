/* serve/onnx.h: names of a graph are apart, whatever a configuration calls its parts. */
#include "serve/onnx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/bundle_sample.h"

/* ---- reading protocol buffers ---- */

/* A part of a message: its next field is at `at`. */
struct message {
    const unsigned char *at, *end;
};

struct field {
    unsigned number;
    struct message bytes; /* of a field with a length; else empty */
};

static uint64_t take_varint(struct message *m)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        assert_true(m->at < m->end);
        unsigned char c = *m->at++;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) break;
    }
    return v;
}

static bool next(struct message *m, struct field *f)
{
    if (m->at == m->end) return false;
    uint64_t tag = take_varint(m), n = 0;
    *f = (struct field){.number = (unsigned)(tag >> 3)};
    switch (tag & 7) {
    case 0:
        take_varint(m);
        break;
    case 2:
        n = take_varint(m);
        f->bytes = (struct message){m->at, m->at + n};
        break;
    case 5:
        n = 4;
        break;
    default:
        fail_msg("wire type %u", (unsigned)(tag & 7));
    }
    assert_true(n <= (size_t)(m->end - m->at));
    m->at += n;
    return true;
}

static struct message find(struct message m, unsigned number)
{
    struct field f;
    while (next(&m, &f))
        if (f.number == number) return f.bytes;
    fail_msg("no field %u", number);
    return m;
}

/* ---- names ---- */

enum { GRAPH = 7, NODE = 1, INITIALIZER = 5, INPUT = 11, OUTPUT = 12, MOST_NAMES = 4096 };

struct names {
    struct message name[MOST_NAMES];
    size_t n;
};

static bool knows(const struct names *s, struct message name)
{
    size_t bytes = (size_t)(name.end - name.at);
    for (size_t i = 0; i < s->n; i++)
        if ((size_t)(s->name[i].end - s->name[i].at) == bytes && !memcmp(s->name[i].at, name.at, bytes)) return true;
    return false;
}

static void define(struct names *s, struct message name)
{
    if (knows(s, name)) fail_msg("%.*s is there twice", (int)(name.end - name.at), (const char *)name.at);
    assert_true(s->n < MOST_NAMES);
    s->name[s->n++] = name;
}

static void define_all(struct names *s, struct message graph, unsigned kind, unsigned name)
{
    struct field f;
    while (next(&graph, &f))
        if (f.number == kind) define(s, find(f.bytes, name));
}

/* Node by node: what it reads is there, what it gives is new. */
static void walk(struct names *s, struct message graph)
{
    struct field node, f;
    while (next(&graph, &node)) {
        if (node.number != NODE) continue;
        for (struct message m = node.bytes; next(&m, &f);)
            if (f.number == 1 && !knows(s, f.bytes))
                fail_msg("nothing gives %.*s", (int)(f.bytes.end - f.bytes.at), (const char *)f.bytes.at);
        define(s, find(node.bytes, 2));
    }
}

static void check_graph(const char *bytes, size_t n)
{
    static struct names s;
    const unsigned char *at = (const unsigned char *)bytes;
    struct message graph = find((struct message){at, at + n}, GRAPH);
    struct field f;
    s.n = 0;
    define_all(&s, graph, INITIALIZER, 8);
    define_all(&s, graph, INPUT, 1);
    walk(&s, graph);
    while (next(&graph, &f))
        if (f.number == OUTPUT) assert_true(knows(&s, find(f.bytes, 1)));
}

/* ---- tests ---- */

/* Every value of a model's graph has a name of its own, and is there before it is read. */
static void test_values_have_one_name_each(void **state)
{
    struct bundle_sample *s = *state;
    struct mtps_model *m;
    struct error err;
    assert_int_equal(loaded_open(s->path, BUNDLE_CHECK_ALL, &m, &err), ST_OK);
    for (int tables = 0; tables < 2; tables++) {
        struct onnx_options opt = {.tables = tables};
        char *bytes;
        size_t n;
        if (onnx_write(m, &opt, &bytes, &n, &err) != ST_OK) fail_msg("%s", err.text);
        check_graph(bytes, n);
        mem_free(bytes);
    }
    loaded_release(m);
}

/* A feature `_c_0` is not what a constant is named, nor any longer name of that kind. */
static void test_new_names_step_aside(void **state)
{
    (void)state;
    struct onnx o;
    struct error err;
    float one = 1;
    assert_int_equal(onnx_init(&o, &err), ST_OK);
    onnx_reserve(&o, "user");
    assert_string_equal(onnx_floats(&o, 0, 0, 0, &one), "_c_0");
    onnx_reserve(&o, "_c_1");
    assert_string_equal(onnx_floats(&o, 0, 0, 0, &one), "__c_1");
    onnx_reserve(&o, "___Add_2");
    onnx_reserve(&o, "_x");
    assert_string_equal(onnx_new(&o, "Add"), "____Add_2");
    onnx_close(&o);
}

static enum status finish(struct onnx *o, struct error *err)
{
    char *bytes = NULL;
    size_t n;
    enum status st = onnx_finish(o, "names", &bytes, &n, err);
    mem_free(bytes);
    onnx_close(o);
    return st;
}

/* A list's offsets and a feature of that name are refused, and both are named. */
static void test_inputs_of_one_name_are_refused(void **state)
{
    (void)state;
    struct onnx o;
    struct error err;
    assert_int_equal(onnx_init(&o, &err), ST_OK);
    onnx_input(&o, "tags", "feature", "tags", ONNX_INT64, "tags.n", 0);
    onnx_input(&o, "tags.offsets", "the offsets of feature", "tags", ONNX_INT64, "batch+1", 0);
    onnx_input(&o, "tags.offsets", "feature", "tags.offsets", ONNX_FLOAT, "batch", 1);
    assert_int_equal(finish(&o, &err), ST_USAGE);
    assert_non_null(strstr(err.text, "named tags.offsets: the offsets of feature tags, and feature tags.offsets"));
    assert_non_null(strstr(err.hint, "rename one"));
}

/* A feature and a task, too; names that differ are no clash. */
static void test_an_output_named_like_an_input_is_refused(void **state)
{
    (void)state;
    struct onnx o;
    struct error err;
    assert_int_equal(onnx_init(&o, &err), ST_OK);
    onnx_input(&o, "click", "feature", "click", ONNX_INT64, "batch", 0);
    onnx_output(&o, "Click", "task", "Click", "batch", 0);
    assert_int_equal(finish(&o, &err), ST_OK);
    assert_int_equal(onnx_init(&o, &err), ST_OK);
    onnx_input(&o, "click", "feature", "click", ONNX_INT64, "batch", 0);
    onnx_output(&o, "click", "task", "click", "batch", 0);
    assert_int_equal(finish(&o, &err), ST_USAGE);
    assert_non_null(strstr(err.text, "feature click, and task click"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values_have_one_name_each, bundle_sample_setup, bundle_sample_teardown),
        cmocka_unit_test(test_new_names_step_aside),
        cmocka_unit_test(test_inputs_of_one_name_are_refused),
        cmocka_unit_test(test_an_output_named_like_an_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
