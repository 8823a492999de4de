/* data/feature: from texts to keys, numbers and labels. */
#include <math.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "data/feature.h"
#include "tests/unit/data_sample.h"

#define TEST(f)                                                                          \
    cmocka_unit_test_setup_teardown(f, data_sample_setup, data_sample_teardown)

enum { MAX_COLUMNS = 16 };

/* One row of csv columns a, b, y through a schema; NULL = missing. */
struct row {
    struct text text[MAX_COLUMNS];
    struct raw_field fields[MAX_COLUMNS];
};

static void build(struct data_sample *s, const char *features, const char *task)
{
    char body[4096];
    data_sample_file(s, "a.csv", "a,b,y\n");
    snprintf(body, sizeof body,
             "data: {train: {files: [\"${dir}/a.csv\"]}}\nfeatures: %s\ntasks: {t: %s}\n",
             features, task ? task : "{label: y}");
    if (data_sample_config(s, body, NULL) != ST_OK) fail_msg("%s", s->err.text);
    if (data_sample_schema(s, USE_TRAIN) != ST_OK) fail_msg("%s", s->err.text);
}

static void fill(const struct data_sample *s, struct row *row, const char *a,
                 const char *b, const char *y)
{
    const struct schema_plan *p = s->schema->plan;
    for (size_t i = 0; i < p->n_columns; i++) {
        const char *name = p->columns[i].name;
        const char *v = *name == 'a' ? a : *name == 'b' ? b : y;
        row->text[i] = (struct text){v, v ? strlen(v) : 0};
        row->fields[i] = (struct raw_field){&row->text[i], v != NULL};
    }
}

static enum status key_of(struct data_sample *s, size_t feature, const char *a,
                          const char *b, uint64_t *key)
{
    struct row row;
    struct feature_scratch *x;
    fill(s, &row, a, b, "1");
    assert_int_equal(feature_scratch_create(s->schema, &x, &s->err), ST_OK);
    enum status st = feature_id(s->schema, feature, row.fields, x, key, &s->err);
    feature_scratch_destroy(x);
    return st;
}

static uint64_t hash_text(const char *text)
{
    return hash_id(text, strlen(text));
}

static void expect_key(struct data_sample *s, size_t feature, const char *a,
                       const char *text)
{
    uint64_t key = 0;
    assert_int_equal(key_of(s, feature, a, "5", &key), ST_OK);
    assert_int_equal(key, hash_text(text));
}

/* An id is its text byte for byte; a missing one is the id "missing". */
static void test_text_ids(void **state)
{
    struct data_sample *s = *state;
    build(s, "[{name: a}]", NULL);
    expect_key(s, 0, "x", "x");
    expect_key(s, 0, "007", "007");
    expect_key(s, 0, "7.0", "7.0");
    expect_key(s, 0, "\xc3\xa9", "\xc3\xa9");
    expect_key(s, 0, NULL, "missing");
}

/* The id of an expression is decimal for whole numbers and the shortest text
 * that reads back for others. */
static void test_expression_ids(void **state)
{
    struct data_sample *s = *state;
    build(s, "[{name: x, expr: 'a / 2'}, {name: t, expr: 'lower(b)'}]", NULL);
    expect_key(s, 0, "42", "21");
    expect_key(s, 0, "43", "21.5");
    expect_key(s, 0, "-4", "-2");
    expect_key(s, 0, NULL, "missing");
    expect_key(s, 1, "1", "5");
    uint64_t key;
    assert_int_equal(key_of(s, 0, "x", NULL, &key), ST_DATA);
}

/* With key: uint64 the number is the key; another text is a bad row. */
static void test_uint64_keys(void **state)
{
    struct data_sample *s = *state;
    uint64_t key;
    build(s, "[{name: a, key: uint64}]", NULL);
    assert_int_equal(key_of(s, 0, "18446744073709551615", NULL, &key), ST_OK);
    assert_int_equal(key, UINT64_MAX);
    assert_int_equal(key_of(s, 0, "0", NULL, &key), ST_OK);
    assert_int_equal(key, 0);
    const char *const bad[] = {"18446744073709551616", "-1", "1.5", "x", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(key_of(s, 0, bad[i], NULL, &key), ST_DATA);
    assert_int_equal(key_of(s, 0, NULL, NULL, &key), ST_OK);
    assert_int_equal(key, feature_missing_key());
}

/* A cross is the pair of both keys, order matters, missing ones included. */
static void test_crosses(void **state)
{
    struct data_sample *s = *state;
    build(s,
          "[{name: a}, {name: b}, {name: ab, cross: [a, b]}, {name: ba, cross: [b, a]}]",
          NULL);
    uint64_t ab, ba, am;
    assert_int_equal(key_of(s, 2, "x", "y", &ab), ST_OK);
    assert_int_equal(key_of(s, 3, "x", "y", &ba), ST_OK);
    assert_int_equal(key_of(s, 2, "x", NULL, &am), ST_OK);
    assert_int_equal(ab, hash_pair(hash_text("x"), hash_text("y")));
    assert_int_equal(ba, hash_pair(hash_text("y"), hash_text("x")));
    assert_int_equal(am, hash_pair(hash_text("x"), feature_missing_key()));
}

static void expect_list(struct data_sample *s, const char *features, const char *a,
                        const char *const *want)
{
    struct row row;
    struct feature_scratch *x;
    struct feature_keys keys = {0};
    size_t n = 0;
    build(s, features, NULL);
    fill(s, &row, a, NULL, "1");
    assert_int_equal(feature_scratch_create(s->schema, &x, &s->err), ST_OK);
    assert_int_equal(feature_ids(s->schema, 0, row.fields, x, &keys, &s->err), ST_OK);
    for (; want[n]; n++) {
        assert_true(n < keys.n);
        assert_int_equal(keys.v[n], hash_text(want[n]));
    }
    assert_int_equal(keys.n, n);
    mem_free(keys.v);
    feature_scratch_destroy(x);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
static const char *const no_items[] = {NULL};

/* A list is cut at its separator, which may be longer than a letter; nothing
 * between two separators is no item. */
static void test_lists(void **state)
{
    struct data_sample *s = *state;
    expect_list(s, "[{name: a, split: ' '}]", "p q p", LIST("p", "q", "p"));
    expect_list(s, "[{name: a, split: '||'}]", "p||q|r", LIST("p", "q|r"));
    expect_list(s, "[{name: a, split: ' '}]", " p  q ", LIST("p", "q"));
    expect_list(s, "[{name: a, split: ' '}]", "", no_items);
    expect_list(s, "[{name: a, split: ' '}]", NULL, no_items);
}

/* max_len keeps the first or the last items, in their order. */
static void test_kept_end(void **state)
{
    struct data_sample *s = *state;
    expect_list(s, "[{name: a, split: ' ', max_len: 2}]", "p q r", LIST("p", "q"));
    expect_list(s, "[{name: a, split: ' ', max_len: 2, keep: last}]", "p q r",
                LIST("q", "r"));
    expect_list(s, "[{name: a, split: ' ', max_len: 3, keep: last}]", "p q r",
                LIST("p", "q", "r"));
    expect_list(s, "[{name: a, split: ' ', max_len: 4, keep: last}]", "p q r",
                LIST("p", "q", "r"));
}

static enum status number_of(struct data_sample *s, const char *a, float *out)
{
    struct row row;
    struct feature_scratch *x;
    fill(s, &row, a, NULL, "1");
    assert_int_equal(feature_scratch_create(s->schema, &x, &s->err), ST_OK);
    enum status st = feature_numbers(s->schema, 0, row.fields, x, out, &s->err);
    feature_scratch_destroy(x);
    return st;
}

/* A dense value is a finite number or missing; anything else is a bad row. */
static void test_numbers(void **state)
{
    struct data_sample *s = *state;
    float v;
    build(s, "[{name: a, kind: dense}]", NULL);
    assert_int_equal(number_of(s, "-1.5", &v), ST_OK);
    assert_true(v == -1.5f);
    assert_int_equal(number_of(s, NULL, &v), ST_OK);
    assert_true(isnan(v));
    const char *const bad[] = {"x", "", "nan", "inf", "1e39", "0x10", " 1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(number_of(s, bad[i], &v), ST_DATA);
    build(s, "[{name: n, kind: dense, expr: 'a * 2'}]", NULL);
    assert_int_equal(number_of(s, "4", &v), ST_OK);
    assert_true(v == 8);
    assert_int_equal(number_of(s, NULL, &v), ST_OK);
    assert_true(isnan(v));
}

static enum status label_of(struct data_sample *s, const char *task, const char *a,
                            const char *b, const char *y, float *label, float *weight)
{
    struct row row;
    struct feature_scratch *x;
    build(s, "[{name: a}]", task);
    fill(s, &row, a, b, y);
    assert_int_equal(feature_scratch_create(s->schema, &x, &s->err), ST_OK);
    enum status st = feature_label(s->schema, 0, row.fields, x, label, weight, &s->err);
    feature_scratch_destroy(x);
    return st;
}

struct label_case {
    const char *task, *a, *b, *y;
    enum status status;
    float label, weight; /* NAN = absent */
};

/* A label is absent when it or `present` is missing or false; a label that is not
 * there is not looked at; a bce label outside of [0, 1] and a time below 0 are bad rows;
 * a completion without a duration is no label. */
static void test_labels(void **state)
{
    static const struct label_case cases[] = {
        {"{label: y}", "1", "1", "1", ST_OK, 1, 1},
        {"{label: y}", "1", "1", "0.25", ST_OK, 0.25f, 1},
        {"{label: y}", "1", "1", NULL, ST_OK, NAN, 0},
        {"{label: y}", "1", "1", "2", ST_DATA, 0, 0},
        {"{label: y}", "1", "1", "-0.5", ST_DATA, 0, 0},
        {"{label: y}", "1", "1", "yes", ST_DATA, 0, 0},
        {"{label: y, loss: mse}", "1", "1", "-7", ST_OK, -7, 1},
        {"{label: y, present: 'a > 0'}", "0", "1", "1", ST_OK, NAN, 0},
        {"{label: y, present: 'a > 0'}", NULL, "1", "1", ST_OK, NAN, 0},
        {"{label: y, present: 'a > 0'}", "0", "1", "-1", ST_OK, NAN, 0},
        {"{label: y, present: 'a > 0'}", "1", "1", "1", ST_OK, 1, 1},
        {"{label: y, present: a}", "0", "1", "1", ST_OK, NAN, 0},
        {"{label: y, present: a}", "1", "1", "1", ST_OK, 1, 1},
        {"{label: 'y >= b'}", "1", "3", "3", ST_OK, 1, 1},
        {"{label: 'y >= b'}", "1", "3", "2", ST_OK, 0, 1},
        {"{label: 'y >= b'}", "1", NULL, "2", ST_OK, NAN, 0},
        {"{label: y, row_weight: b}", "1", "2.5", "1", ST_OK, 1, 2.5f},
        {"{label: y, row_weight: b}", "1", NULL, "1", ST_OK, NAN, 0},
        {"{label: y, row_weight: b}", "1", "-1", "1", ST_DATA, 0, 0},
        {"{label: y, loss: log_mse}", "1", "1", "7", ST_OK, 7, 1},
        {"{label: y, loss: log_mse}", "1", "1", "-7", ST_DATA, 0, 0},
        {"{label: y, loss: weighted_logistic}", "1", "1", "-7", ST_DATA, 0, 0},
        {"{label: y, loss: completion, duration: b}", "1", "9", "70", ST_OK, 70, 1},
        {"{label: y, loss: completion, duration: b}", "1", NULL, "7", ST_OK, NAN, 0},
        {"{label: y, loss: completion, duration: b}", "1", "0", "7", ST_OK, NAN, 0},
        {"{label: y, loss: completion, duration: b}", "1", "-3", "7", ST_OK, NAN, 0},
        {"{label: y, loss: completion, duration: b}", "1", "long", "7", ST_DATA, 0, 0},
        {"{label: y, loss: completion, duration: b}", "1", "9", "-7", ST_DATA, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct label_case *c = &cases[i];
        float label = 9, weight = 9;
        assert_int_equal(label_of(*state, c->task, c->a, c->b, c->y, &label, &weight),
                         c->status);
        if (c->status != ST_OK) continue;
        assert_true(isnan(c->label) ? isnan(label) : label == c->label);
        assert_true(weight == c->weight);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_text_ids), TEST(test_expression_ids), TEST(test_uint64_keys),
        TEST(test_crosses),  TEST(test_lists),          TEST(test_kept_end),
        TEST(test_numbers),  TEST(test_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
