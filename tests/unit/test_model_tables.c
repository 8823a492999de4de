/* model/tables: who reads a feature, and which tables follow. */
#include "common/base/mem.h"
#include "model/tables.h"
#include "tests/unit/data_sample.h"

#define TEST(f)                                                                          \
    cmocka_unit_test_setup_teardown(f, data_sample_setup, data_sample_teardown)

static const char features[] =
    "features: [{name: user}, {name: item}, {name: seen, split: ' ', table: item}, "
    "{name: user_item, cross: [user, item]}, {name: price, kind: dense}]";

/* The model of these features and --set values over columns click, user, item, seen and
 * price. */
static enum status make(struct data_sample *s, const char *text, const char *const *sets,
                        struct model_tables **out)
{
    char body[4096];
    *out = NULL;
    data_sample_file(s, "a.csv", "click,user,item,seen,price\n");
    snprintf(body, sizeof body,
             "data: {train: {files: [\"${dir}/a.csv\"]}}\n%s\ntasks: {click: {label: click},"
             " like: {label: click}}\n",
             text);
    TRY(data_sample_config(s, body, sets));
    if (data_sample_schema(s, USE_TRAIN) != ST_OK) fail_msg("%s", s->err.text);
    return model_tables_make(s->settings, s->schema, out, &s->err);
}

static void expect_table(const struct model_tables *t, size_t i, const char *name,
                         size_t dim, size_t source)
{
    assert_true(i < t->n);
    assert_string_equal(t->name[i], name);
    assert_int_equal(t->dim[i], dim);
    assert_int_equal(t->source[i], source);
}

static void expect_error(struct data_sample *s, const char *text, const char *const *sets,
                         const char *part, const char *hint)
{
    struct model_tables *t;
    assert_int_equal(make(s, text, sets, &t), ST_USAGE);
    if (!strstr(s->err.text, part)) fail_msg("'%s' does not say '%s'", s->err.text, part);
    if (!strstr(s->err.hint, hint)) fail_msg("'%s' does not say '%s'", s->err.hint, hint);
    assert_null(t);
    data_sample_close(s);
}

/* A network has the tables of the configuration; so has lr, with a weight per task. */
static void test_tables_of_the_schema(void **state)
{
    struct data_sample *s = *state;
    struct model_tables *t;
    assert_int_equal(make(s, features, (const char *const[]){"model.type=dnn",
                          "model.bottom.layers=[4]", NULL}, &t), ST_OK);
    assert_true(t->same);
    assert_int_equal(t->n, 3);
    expect_table(t, 0, "item", 16, 0);
    expect_table(t, 1, "user", 16, 1);
    model_tables_destroy(t);
    data_sample_close(s);
    assert_int_equal(make(s, features, (const char *const[]){"model.type=lr", NULL}, &t),
                     ST_OK);
    assert_true(t->same);
    expect_table(t, 0, "item", 2, 0);
    model_tables_destroy(t);
}

/* fm has two tables for each of the configuration: vectors, and weights that start from 0
 * and have the optimiser of the wide part. */
static void test_fm_has_vectors_and_weights(void **state)
{
    struct data_sample *s = *state;
    struct model_tables *t;
    assert_int_equal(make(s, features, (const char *const[]){"model.type=fm", NULL}, &t),
                     ST_OK);
    assert_false(t->same);
    assert_int_equal(t->n, 6);
    assert_int_equal(t->vector, 16);
    expect_table(t, 2, "user_item", 16, 2);
    expect_table(t, 3, "wide/item", 2, 0);
    expect_table(t, 5, "wide/user_item", 2, 2);
    for (size_t i = 0; i < 5; i++) assert_true(t->deep[i] && t->wide[i]);
    struct table_cfg v = model_tables_cfg(s->settings, "item"),
                     w = model_tables_cfg(s->settings, "wide/item");
    assert_int_equal(v.optimizer.kind, OPT_ADAGRAD);
    assert_int_equal(v.init.kind, INIT_NORMAL);
    assert_int_equal(w.optimizer.kind, OPT_FTRL);
    assert_int_equal(w.init.kind, INIT_ZERO);
    model_tables_destroy(t);
}

/* In wide_deep, crosses that the wide part names are its own; what else it names is read
 * by both parts. */
static void test_wide_deep_shares_all_but_crosses(void **state)
{
    struct data_sample *s = *state;
    struct model_tables *t;
    assert_int_equal(make(s, features, (const char *const[]){"model.type=wide_deep",
                          "model.bottom.layers=[4]",
                          "model.wide.features=[user, 'user_*', price]", NULL}, &t), ST_OK);
    const bool deep[] = {true, true, true, false, true},
               wide[] = {true, false, false, true, true};
    assert_memory_equal(t->deep, deep, sizeof deep);
    assert_memory_equal(t->wide, wide, sizeof wide);
    assert_int_equal(t->n, 4);
    expect_table(t, 0, "item", 16, 0);
    expect_table(t, 1, "user", 16, 1);
    expect_table(t, 2, "wide/user", 2, 1);
    expect_table(t, 3, "wide/user_item", 2, 2);
    assert_int_equal(t->deep_table[2], SIZE_MAX);
    assert_int_equal(t->wide_table[0], SIZE_MAX);
    model_tables_destroy(t);
}

/* `only` says otherwise: which features the deep part leaves alone, or that it reads all. */
static void test_only_says_what_the_deep_part_leaves(void **state)
{
    struct data_sample *s = *state;
    struct model_tables *t;
    const char *const first[] = {"model.type=wide_deep", "model.bottom.layers=[4]",
                                 "model.wide.features=[user, user_item]",
                                 "model.wide.only=[user]", NULL};
    assert_int_equal(make(s, features, first, &t), ST_OK);
    assert_true(!t->deep[0] && t->deep[3]);
    model_tables_destroy(t);
    data_sample_close(s);
    const char *const all[] = {first[0], first[1], first[2], "model.wide.only=[]", NULL};
    assert_int_equal(make(s, features, all, &t), ST_OK);
    for (size_t i = 0; i < 5; i++) assert_true(t->deep[i]);
    model_tables_destroy(t);
}

/* Vectors of two lengths cannot be multiplied: the feature and its place are named. */
static void test_vectors_have_one_length(void **state)
{
    struct data_sample *s = *state;
    for (int deep = 0; deep < 2; deep++)
        expect_error(s, features, (const char *const[]){
                         deep ? "model.type=deepfm" : "model.type=fm",
                         "model.bottom.layers=[4]", "tables={user: {dim: 8}}", NULL},
                     "feature item has dim 16 and feature user has dim 8", "tables.");
    assert_non_null(strstr(s->err.text, "test.yaml:"));
}

/* Names that fit no feature are errors, also when patterns of features hide the names
 * until the data is seen; so are a deep part without a feature and a table `wide`. */
static void test_mistakes_are_named(void **state)
{
    struct data_sample *s = *state;
    const char *const unknown[] = {"model.type=wide_deep", "model.bottom.layers=[4]",
                                   "model.wide.features=[usr]", NULL};
    expect_error(s, features, unknown, "model.wide.features: there is no feature 'usr'",
                 "did you mean 'user'?");
    expect_error(s, "features: [{names: ['u*', item]}]", unknown,
                 "model.wide.features: there is no feature 'usr'", "did you mean 'user'?");
    expect_error(s, "features: [{names: ['u*', item]}]",
                 (const char *const[]){unknown[0], unknown[1], "model.wide.features=[user]",
                                       "model.wide.only=[item]", NULL},
                 "there is no feature 'item' in model.wide.features", "");
    expect_error(s, "features: [{name: user}]",
                 (const char *const[]){unknown[0], unknown[1], "model.wide.features=[user]",
                                       "model.wide.only=['*']", NULL},
                 "every feature is read by the wide part alone", "leave some");
    expect_error(s, "features: [{name: user, table: wide}]",
                 (const char *const[]){"model.type=fm", NULL}, "'wide' has a meaning",
                 "another 'table'");
}

/* A view shows the keys of the schema's tables under the model's tables, and is the batch
 * itself when they are the same. */
static void test_views_of_batches(void **state)
{
    struct data_sample *s = *state;
    struct model_tables *t;
    struct batch_view v;
    struct batch_table tables[3] = {{.n = 5}, {.n = 7}, {.n = 9}};
    struct batch b = {.n_rows = 2, .n_tables = 3, .tables = tables};
    assert_int_equal(make(s, features, (const char *const[]){"model.type=fm", NULL}, &t),
                     ST_OK);
    assert_int_equal(batch_view_make(t, &v, &s->err), ST_OK);
    const struct batch *seen = batch_view_set(&v, t, &b);
    assert_int_equal(seen->n_tables, 6);
    assert_int_equal(seen->n_rows, 2);
    for (size_t i = 0; i < 6; i++) assert_int_equal(seen->tables[i].n, tables[i % 3].n);
    t->same = true;
    assert_ptr_equal(batch_view_set(&v, t, &b), &b);
    batch_view_close(&v);
    model_tables_destroy(t);
}

/* Running out of memory at any point is a status and leaks nothing. */
static void test_running_out_of_memory(void **state)
{
    struct data_sample *s = *state;
    struct model_tables *t;
    assert_int_equal(make(s, features, (const char *const[]){"model.type=fm", NULL}, &t),
                     ST_OK);
    model_tables_destroy(t);
    enum status st = ST_NOMEM;
    for (uint64_t k = 1; st == ST_NOMEM; k++) {
        mem_fail_at(k);
        st = model_tables_make(s->settings, s->schema, &t, &s->err);
        mem_fail_at(0);
        assert_true(k < 100);
    }
    assert_int_equal(st, ST_OK);
    model_tables_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tables_of_the_schema),
        TEST(test_fm_has_vectors_and_weights),
        TEST(test_wide_deep_shares_all_but_crosses),
        TEST(test_only_says_what_the_deep_part_leaves),
        TEST(test_vectors_have_one_length),
        TEST(test_mistakes_are_named),
        TEST(test_views_of_batches),
        TEST(test_running_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
