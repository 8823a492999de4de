/* data/schema: configuration and header line together. */
#include "common/base/mem.h"
#include "data/schema.h"
#include "tests/unit/data_sample.h"

#define TEST(f)                                                                          \
    cmocka_unit_test_setup_teardown(f, data_sample_setup, data_sample_teardown)

/* The configuration's features over a header line. */
static enum status build(struct data_sample *s, const char *header, const char *features)
{
    char body[4096], file[1024];
    snprintf(file, sizeof file, "%s\n", header);
    data_sample_file(s, "a.csv", file);
    snprintf(body, sizeof body,
             "data: {train: {files: [\"${dir}/a.csv\"]}}\n%s\ntasks: {click: {label: "
             "click}}\n",
             features);
    enum status st = data_sample_config(s, body, NULL);
    return st == ST_OK ? data_sample_schema(s, USE_TRAIN) : st;
}

static void expect_names(struct data_sample *s, const char *const *names)
{
    size_t n = 0;
    for (; names[n]; n++) {
        assert_true(n < s->schema->n_features);
        assert_string_equal(s->schema->features[n].name, names[n]);
    }
    assert_int_equal(s->schema->n_features, n);
}

static void expect_error(struct data_sample *s, enum status st, const char *part)
{
    assert_int_equal(st, ST_USAGE);
    if (!strstr(s->err.text, part)) fail_msg("'%s' does not say '%s'", s->err.text, part);
}

/* Ranges and patterns become one feature each, in the order of the configuration
 * and, within a pattern, of the columns. */
static void test_groups_expand(void **state)
{
    struct data_sample *s = *state;
    assert_int_equal(build(s, "click,f0,f1,x,u_b,u_a,other",
                           "features: [{names: [f0..1, 'u_*']}, {name: x, kind: dense}]"),
                     ST_OK);
    expect_names(s, (const char *const[]){"f0", "f1", "u_b", "u_a", "x", NULL});
    assert_int_equal(s->schema->n_ids, 4);
    assert_int_equal(s->schema->n_dense, 1);
    assert_int_equal(s->schema->n_tables, 4);
}

/* A pattern leaves alone what a label or another feature reads, and `except`. */
static void test_patterns_skip(void **state)
{
    struct data_sample *s = *state;
    assert_int_equal(
        build(s, "click,a,b,c,d,e",
              "features: [{names: ['*'], except: [e]}, {name: x, expr: b + 1}, "
              "{name: c, kind: dense}]"),
        ST_OK);
    expect_names(s, (const char *const[]){"a", "d", "x", "c", NULL});
}

/* A pattern without a column is an error that names it. */
static void test_pattern_without_match(void **state)
{
    struct data_sample *s = *state;
    expect_error(s, build(s, "click,a", "features: [{names: ['z*']}]"),
                 "\"z*\" matches no column");
    expect_error(s, build(s, "click,a", "features: [{name: a}, {names: ['c*']}]"),
                 "read elsewhere");
}

/* An unknown column is named with the place in the file and the nearest one. */
static void test_unknown_column(void **state)
{
    struct data_sample *s = *state;
    expect_error(s, build(s, "click,user_id", "features: [{name: usr_id}]"),
                 "\"usr_id\"");
    assert_non_null(strstr(s->err.text, "test.yaml:"));
    assert_non_null(strstr(s->err.hint, "user_id"));
}

/* Features that name one table share it; tables are sorted by name. */
static void test_tables(void **state)
{
    struct data_sample *s = *state;
    assert_int_equal(build(s, "click,z,b,seq",
                           "features: [{name: z}, {name: b}, "
                           "{name: seq, split: ' ', table: b}]\ntables: {b: {dim: 3}}"),
                     ST_OK);
    assert_int_equal(s->schema->n_tables, 2);
    assert_string_equal(s->schema->table_names[0], "b");
    assert_string_equal(s->schema->table_names[1], "z");
    assert_int_equal(s->schema->features[0].table, 1);
    assert_int_equal(s->schema->features[1].table, 0);
    assert_int_equal(s->schema->features[2].table, 0);
    assert_int_equal(s->schema->features[2].width, 3);
    assert_true(s->schema->features[2].multi);
    assert_int_equal(s->schema->features[0].width, 16);
}

/* Places are counted per kind; dense ones in columns. */
static void test_places(void **state)
{
    struct data_sample *s = *state;
    assert_int_equal(build(s, "click,a,b,c,d,e",
                           "features: [{name: a, kind: dense}, {name: b}, "
                           "{name: c, kind: one_hot}, {name: d, bucketize: 4}, "
                           "{name: e, kind: dense}]"),
                     ST_OK);
    const struct schema_plan *p = s->schema->plan;
    assert_int_equal(s->schema->features[4].place, 1);
    assert_int_equal(s->schema->features[3].place, 1);
    assert_int_equal(p->n_single, 1);
    assert_int_equal(p->n_number, 3);
    assert_int_equal(p->features[3].at, 2); /* buckets lie behind dense columns */
}

/* A list is pooled against a feature wherever it stands; what cannot be a target, or
 * a list, is an error that names both. */
static void test_attention(void **state)
{
    struct data_sample *s = *state;
    assert_int_equal(
        build(
            s, "click,seen,item",
            "features: [{name: seen, split: ' ', table: item, pool: {attention: {target: "
            "item}}}, {name: item}]"),
        ST_OK);
    assert_int_equal(s->schema->features[0].pool, POOL_ATTENTION);
    assert_int_equal(s->schema->features[0].target, 1);
    assert_int_equal(s->schema->features[0].cfg->attention.layers.n, 1);
    assert_int_equal(s->schema->features[0].cfg->attention.layers.v[0], 36);
    static const struct {
        const char *seen, *item, *why;
    } cases[] = {{"split: ' ', ", "name: itm", "there is no such feature"},
                 {"", "name: item", "the feature is no list"},
                 {"split: ' ', ", "name: item, kind: dense", "it is not an id feature"},
                 {"split: ' ', ", "name: item, split: ' '", "it is a list itself"},
                 {"split: ' ', ", "name: item, dim: 3", "its rows have another dim"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char features[512];
        snprintf(features, sizeof features,
                 "features: [{name: seen, %spool: {attention: {target: item}}}, {%s}]",
                 cases[i].seen, cases[i].item);
        char want[256];
        snprintf(want, sizeof want, "feature seen: pool: attention to \"item\": %s",
                 cases[i].why);
        expect_error(s, build(s, "click,seen,item,itm", features), want);
    }
}

/* A cross of what has no single key is an error. */
static void test_crosses(void **state)
{
    struct data_sample *s = *state;
    assert_int_equal(build(s, "click,a,b",
                           "features: [{name: a}, {name: b}, {name: ab, cross: [a, b]}]"),
                     ST_OK);
    assert_int_equal(s->schema->n_ids, 3);
    static const struct {
        const char *b, *why;
    } cases[] = {{"{name: b, split: ' '}", "multi-valued"},
                 {"{name: b, bucketize: 4}", "bucketized"},
                 {"{name: b, kind: dense}", "id feature"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "features: [{name: a}, %s, {name: ab, cross: [a, b]}]", cases[i].b);
        expect_error(s, build(s, "click,a,b", text), cases[i].why);
    }
    expect_error(
        s, build(s, "click,a", "features: [{name: a}, {name: ab, cross: [a, z]}]"), "z");
}

/* The same name twice, also by a pattern, is an error. */
static void test_duplicates(void **state)
{
    struct data_sample *s = *state;
    expect_error(s, build(s, "click,a,b", "features: [{name: a}, {name: a, column: b}]"),
                 "a");
}

/* To score, a label's column may be absent; to train, it may not. */
static void test_optional_labels(void **state)
{
    struct data_sample *s = *state;
    data_sample_file(s, "a.csv", "x\n1\n");
    assert_int_equal(
        data_sample_config(s,
                           "data: {train: {files: [\"${dir}/a.csv\"]}, "
                           "eval: {files: [\"${dir}/a.csv\"]}}\n"
                           "features: [{name: x}]\n"
                           "tasks: {click: {label: click, present: \"y > 0\"}}\n",
                           NULL),
        ST_OK);
    expect_error(s, data_sample_schema(s, USE_TRAIN), "click");
    assert_int_equal(data_sample_schema(s, USE_INPUT), ST_OK);
    assert_null(s->schema->plan->tasks[0].label.expr);
}

/* The text that enters the cache key tells what is computed, not with which
 * statistics. */
static void test_description(void **state)
{
    struct data_sample *s = *state;
    assert_int_equal(
        build(s, "click,a", "features: [{name: a, kind: dense, transform: [log1p]}]"),
        ST_OK);
    char *before = mem_strdup(s->schema->plan->text);
    assert_int_equal(
        build(s, "click,a", "features: [{name: a, kind: dense, transform: [minmax]}]"),
        ST_OK);
    assert_string_equal(s->schema->plan->text, before);
    assert_int_equal(build(s, "click,a", "features: [{name: a}]"), ST_OK);
    assert_string_not_equal(s->schema->plan->text, before);
    mem_free(before);
}

/* Whichever allocation fails, the failure is reported and nothing leaks. */
static void test_failing_allocations(void **state)
{
    struct data_sample *s = *state;
    assert_int_equal(build(s, "click,a,b,c,d",
                           "features: [{names: ['*']}, {name: x, expr: 'a + 1'}, "
                           "{name: bc, cross: [b, c]}, {name: b}, {name: c}]"),
                     ST_OK);
    uint64_t live = 0;
    for (uint64_t k = 1;; k++) {
        schema_destroy(s->schema);
        s->schema = NULL;
        if (!live) live = mem_live_bytes();
        assert_int_equal(mem_live_bytes(), live);
        mem_fail_at(k);
        enum status st = data_sample_schema(s, USE_TRAIN);
        mem_fail_at(0);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_groups_expand),
        TEST(test_patterns_skip),
        TEST(test_pattern_without_match),
        TEST(test_unknown_column),
        TEST(test_tables),
        TEST(test_places),
        TEST(test_attention),
        TEST(test_crosses),
        TEST(test_duplicates),
        TEST(test_optional_labels),
        TEST(test_description),
        TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
