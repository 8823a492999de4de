/* data/fit: statistics of the training rows, as batches show them. */
#include <math.h>

#include "common/base/hash.h"
#include "data/fit_impl.h"
#include "tests/lib/failing.h"
#include "tests/unit/data_sample.h"

#define TEST(f)                                                                          \
    cmocka_unit_test_setup_teardown(f, data_sample_setup, data_sample_teardown)
#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define DATA "data: {train: {files: [\"${dir}/a.csv\"]}}\n"

enum { MAX_ROWS = 64 };

static const struct named_array *find_state(void *ckpt, const char *name)
{
    return ckpt_find_state(ckpt, name);
}

static void expect_ok(const struct data_sample *s, enum status st)
{
    if (st != ST_OK) fail_msg("%s", s->err.text);
}

static void train(struct data_sample *s, const char *rows, const char *features,
                  const char *tasks)
{
    char body[4096];
    data_sample_file(s, "a.csv", rows);
    snprintf(body, sizeof body, DATA "features: %s\ntasks: %s\n", features,
             tasks ? tasks : "{click: {label: click}}");
    data_sample_train(s, body, NULL);
}

/* All selected rows as one batch; close the scan after use. */
static const struct batch *all_rows(struct data_sample *s, struct scan **scan)
{
    const struct batch *b;
    expect_ok(s, scan_open(s->data, s->fit, 0, MAX_ROWS, MAX_ROWS, scan, &s->err));
    expect_ok(s, scan_next(*scan, &b, &s->err));
    return b;
}

/* Column 0 of the dense input of every row; NAN in want is "not looked at". */
static void expect_dense(struct data_sample *s, size_t n, const double *want,
                         double tolerance)
{
    struct scan *scan;
    const struct batch *b = all_rows(s, &scan);
    assert_int_equal(b->n_rows, n);
    for (size_t i = 0; i < n; i++)
        if (!isnan(want[i]) &&
            fabs((double)b->dense[i * b->n_dense] - want[i]) > tolerance)
            fail_msg("row %zu: %.9g is not %.9g", i, (double)b->dense[i * b->n_dense],
                     want[i]);
    scan_close(scan);
}

#define X_ROWS "x,click\n1,0\n3,1\n,0\n8,1\n"
#define EXPECT(tolerance, ...)                                                           \
    expect_dense(s, 4, (const double[]){__VA_ARGS__}, tolerance)
/* A float's rounding: results are doubles rounded once. */
#define ROUNDED 1e-6

/* Missing is `default` before transforms; `mean` is that of the present values. */
static void test_defaults(void **state)
{
    struct data_sample *s = *state;
    train(s, X_ROWS, "[{name: x, kind: dense}]", NULL);
    EXPECT(0, 1, 3, 0, 8);
    train(s, X_ROWS, "[{name: x, kind: dense, default: -2}]", NULL);
    EXPECT(0, 1, 3, -2, 8);
    train(s, X_ROWS, "[{name: x, kind: dense, default: mean}]", NULL);
    EXPECT(0, 1, 3, 4, 8);
}

/* Each transform alone, by hand. */
static void test_transforms(void **state)
{
    struct data_sample *s = *state;
    train(s, X_ROWS, "[{name: x, kind: dense, transform: [log1p]}]", NULL);
    EXPECT(ROUNDED, log(2), log(4), 0, log(9));
    /* 1, 3, 0, 8: mean 3, variance (4 + 0 + 9 + 25) / 4 = 9.5 */
    train(s, X_ROWS, "[{name: x, kind: dense, transform: [standardize]}]", NULL);
    EXPECT(ROUNDED, -2 / sqrt(9.5), 0, -3 / sqrt(9.5), 5 / sqrt(9.5));
    train(s, X_ROWS, "[{name: x, kind: dense, transform: [minmax]}]", NULL);
    EXPECT(ROUNDED, 0.125, 0.375, 0, 1);
    train(s, X_ROWS, "[{name: x, kind: dense, transform: [{clip: [0.5, 4]}]}]", NULL);
    EXPECT(0, 1, 3, 0.5, 4);
}

/* Transforms are applied in the order written, and fitted on what reaches them. */
static void test_chains(void **state)
{
    struct data_sample *s = *state;
    /* clip to 1, 3, 1, 4, then minmax: (x - 1) / 3 */
    train(s, X_ROWS, "[{name: x, kind: dense, transform: [{clip: [1, 4]}, minmax]}]",
          NULL);
    EXPECT(ROUNDED, 0, 2.0 / 3, 0, 1);
    /* minmax to 1/8, 3/8, 0, 1, then mean 3/8 and deviation sqrt(9.5) / 8 */
    train(s, X_ROWS, "[{name: x, kind: dense, transform: [minmax, standardize]}]", NULL);
    EXPECT(ROUNDED, -2 / sqrt(9.5), 0, -3 / sqrt(9.5), 5 / sqrt(9.5));
    double y[4] = {log(2), log(4), log(5), log(9)}, mean = 0, variance = 0;
    for (size_t i = 0; i < 4; i++) mean += y[i] / 4;
    for (size_t i = 0; i < 4; i++) variance += (y[i] - mean) * (y[i] - mean) / 4;
    train(s, X_ROWS,
          "[{name: x, kind: dense, default: mean, transform: [log1p, standardize]}]",
          NULL);
    EXPECT(ROUNDED, (y[0] - mean) / sqrt(variance), (y[1] - mean) / sqrt(variance),
           (y[2] - mean) / sqrt(variance), (y[3] - mean) / sqrt(variance));
}

/* A constant column is divided by 1. */
static void test_constant_column(void **state)
{
    struct data_sample *s = *state;
    const char *rows = "x,click\n5,0\n5,1\n5,0\n5,1\n";
    train(s, rows, "[{name: x, kind: dense, transform: [standardize]}]", NULL);
    EXPECT(0, 0, 0, 0, 0);
    train(s, rows, "[{name: x, kind: dense, transform: [minmax]}]", NULL);
    EXPECT(0, 0, 0, 0, 0);
}

/* A large offset does not spoil the deviation: it is taken around the mean. */
static void test_large_offset(void **state)
{
    struct data_sample *s = *state;
    train(s, "x,click\n16777200,0\n16777202,1\n16777200,0\n16777202,1\n",
          "[{name: x, kind: dense, transform: [standardize]}]", NULL);
    EXPECT(0, -1, 1, -1, 1);
}

/* Statistics come from the rows of training: not from those that `where` or
 * `valid` leave out. */
static void test_training_rows_only(void **state)
{
    struct data_sample *s = *state;
    data_sample_file(s, "a.csv", "x,click\n1,0\n3,1\n1000,0\n500,1\n");
    data_sample_train(s,
                      "data: {train: {files: [\"${dir}/a.csv\"], where: \"x < 900\"}, "
                      "valid: {where: \"x == 500\"}}\n"
                      "features: [{name: x, kind: dense, transform: [minmax]}]\n"
                      "tasks: {click: {label: click}}\n",
                      NULL);
    expect_dense(s, 2, (const double[]){0, 1}, 0);
}

/* log1p of -1 and below is refused with the feature's name. */
static void test_log_domain(void **state)
{
    struct data_sample *s = *state;
    data_sample_file(s, "a.csv", "x,click\n-1,0\n3,1\n");
    expect_ok(s, data_sample_config(
                     s,
                     DATA "features: [{name: x, kind: dense, transform: [log1p]}]\n"
                          "tasks: {click: {label: click}}\n",
                     NULL));
    expect_ok(s, data_sample_open(s, USE_TRAIN));
    assert_int_equal(data_sample_fit(s, 16), ST_DATA);
    assert_non_null(strstr(s->err.text, "feature x"));
}

/* Levels: the most frequent first, ties in the order of keys, at most max_levels;
 * missing and rare values have none. */
static void test_levels(void **state)
{
    struct data_sample *s = *state;
    struct scan *scan;
    const char *rows = "x,click\na,0\nb,1\n,0\nb,1\nc,1\na,0\nb,0\nd,1\n";
    train(s, rows, "[{name: x, kind: one_hot, max_levels: 3}]", NULL);
    assert_int_equal(fit_levels(s->fit, 0), 3);
    const struct batch *b = all_rows(s, &scan);
    const uint32_t *level = b->one_hot[0];
    assert_int_equal(level[1], 0);
    assert_int_equal(level[0], 1);
    assert_int_equal(level[2], ONE_HOT_NONE);
    /* c and d occur once: one of them, always the same, is a level */
    assert_true((level[4] == 2 && level[7] == ONE_HOT_NONE) ||
                (level[7] == 2 && level[4] == ONE_HOT_NONE));
    assert_int_equal(level[7] == 2, partition_before(hash_id("d", 1), hash_id("c", 1)));
    scan_close(scan);
}

/* Buckets are quantiles of the present values; the id of bucket i is the text i. */
static void test_buckets(void **state)
{
    struct data_sample *s = *state;
    struct scan *scan;
    train(s, "x,click\n10,0\n20,1\n30,0\n40,1\n,1\n50,0\n60,1\n70,0\n80,1\n",
          "[{name: x, bucketize: 4}]", NULL);
    static const char *const want[] = {"0", "0", "1", "1", "missing", "2", "2", "3", "3"};
    const struct batch *b = all_rows(s, &scan);
    for (size_t r = 0; r < 9; r++)
        assert_int_equal(batch_key(s, b, "x", r, 0), hash_id(want[r], strlen(want[r])));
    scan_close(scan);
    /* The same on rows that were not trained on, beyond the borders too. */
    data_sample_file(s, "e.csv", "x,click\n-5,0\n1000,1\n30,1\n29.9,0\n");
    struct fit *fit = s->fit;
    struct schema *schema = s->schema;
    struct dataset *d;
    struct source_cfg source = s->settings->data.train;
    char path[512], *prepared;
    const char *files[] = {tmpdir_path(&s->dir, "e.csv", path, sizeof path)};
    source.files.v = files;
    expect_ok(s, prepare(schema, &source, &s->opt, &prepared, &s->bad, &s->err));
    expect_ok(s, dataset_open(prepared, schema, &source, USE_EVAL, &d, &s->err));
    expect_ok(s, scan_open(d, fit, 0, 4, 4, &scan, &s->err));
    expect_ok(s, scan_next(scan, &b, &s->err));
    static const char *const other[] = {"0", "3", "1", "0"};
    for (size_t r = 0; r < 4; r++)
        assert_int_equal(batch_key(s, b, "x", r, 0), hash_id(other[r], 1));
    scan_close(scan);
    dataset_close(d);
    mem_free(prepared);
}

/* Border search against a walk over the borders. */
static void test_bucket_search(void **state)
{
    (void)state;
    const float borders[] = {1, 2, 2, 2, 5};
    for (size_t n = 0; n <= 5; n++)
        for (float v = 0; v < 7; v += 0.5f) {
            size_t want = 0;
            while (want < n && borders[want] <= v) want++;
            assert_int_equal(fit_bucket(borders, n, v), want);
        }
}

/* r is the weight of present labels over rows, the base the weighted mean label. */
static void test_presence_and_base(void **state)
{
    struct data_sample *s = *state;
    train(s, "x,click,w\na,1,2\nb,0,1\nc,,5\nd,0,1\n", "[{name: x}]",
          "{click: {label: click}, heavy: {label: click, row_weight: w}, "
          "value: {label: w, loss: mse, present: 'click == 0'}}");
    assert_true(fit_presence(s->fit, 0) == 3.0 / 4);
    assert_true(fit_base(s->fit, 0) == 1.0 / 3);
    assert_true(fit_presence(s->fit, 1) == 1);
    assert_true(fit_base(s->fit, 1) == 0.5);
    assert_true(fit_presence(s->fit, 2) == 0.5);
    assert_true(fit_base(s->fit, 2) == 1);
}

/* Bases of times are means of what the loss compares with: times, shares of the
 * duration, logarithms. */
static void test_base_of_times(void **state)
{
    struct data_sample *s = *state;
    train(s, "x,t,d,click\na,3,4,1\nb,10,5,0\nc,1,0,1\nd,2,,0\n", "[{name: x}]",
          "{click: {label: click}, odds: {label: t, loss: weighted_logistic}, "
          "share: {label: t, loss: completion, duration: d}, "
          "logs: {label: t, loss: log_mse}}");
    assert_true(fit_base(s->fit, 1) == 4);
    assert_true(fit_base(s->fit, 2) == (0.75 + 1) / 2);
    assert_true(fit_presence(s->fit, 2) == 0.5);
    assert_true(fabs(fit_base(s->fit, 3) - log(4.0 * 11 * 2 * 3) / 4) < 1e-15);
}

/* No label at all, or one class only, is refused with the task's name. */
static void test_useless_labels(void **state)
{
    struct data_sample *s = *state;
    static const char *const bad[] = {
        "{click: {label: click}, t: {label: one}}",
        "{click: {label: click}, t: {label: none}}",
        "{click: {label: click}, t: {label: click, present: 'one > 1'}}",
        "{click: {label: click}, t: {label: 'one - 1', loss: weighted_logistic}}",
        "{click: {label: click}, t: {label: one, loss: completion, duration: one}}"};
    for (size_t i = 0; i < 5; i++) {
        char body[512];
        data_sample_file(s, "a.csv", "x,click,one,none\na,1,1,\nb,0,1,\n");
        snprintf(body, sizeof body, DATA "features: [{name: x}]\ntasks: %s\n", bad[i]);
        expect_ok(s, data_sample_config(s, body, NULL));
        expect_ok(s, data_sample_open(s, USE_TRAIN));
        assert_int_equal(data_sample_fit(s, 16), ST_DATA);
        assert_non_null(strstr(s->err.text, "task t"));
    }
    train(s, "x,one,click\na,1,1\nb,1,0\n", "[{name: x}]",
          "{click: {label: click}, t: {label: one, loss: mse}}");
}

/* Distinct share of a lane's batch and occurrences a row. */
static void test_repetition(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 4000);
    data_sample_train(s,
                      DATA "features: [{names: [user, row]}, {name: tags, split: ' '}]\n"
                           "tasks: {click: {label: click}}\n",
                      NULL);
    expect_ok(s, data_sample_fit(s, 100));
    assert_true(fit_distinct_share(s->fit, 1) == 1);
    assert_true(fit_distinct_share(s->fit, 0) > 0.2 &&
                fit_distinct_share(s->fit, 0) <= 0.53);
    assert_true(fit_distinct_share(s->fit, 2) <= 0.11);
    assert_true(fit_mean_per_row(s->fit, 0) == 1);
    assert_true(fit_mean_per_row(s->fit, 2) == 1.5);
}

/* ---- through a checkpoint ---- */

static enum status no_rows(void *arg, size_t table, struct ckpt_rows *rows,
                           struct error *err)
{
    (void)arg;
    (void)table;
    (void)err;
    rows->n = 0;
    return ST_OK;
}

static struct ckpt *through_checkpoint(struct data_sample *s, const struct fit *fit)
{
    char dir[512], *path;
    struct ckpt_save *save;
    struct ckpt_file_info info[3];
    struct ckpt_row_source source = {NULL, no_rows};
    struct ckpt_meta meta = {.step = 1,
                             .lanes = 1,
                             .batch_size = 1,
                             .config = "",
                             .run_uuid = "u",
                             .data_digest = "d",
                             .build = "b"};
    size_t n;
    const struct named_array *arrays = fit_arrays(fit, &n);
    float w = 1;
    struct named_array tensor = {"w", DTYPE_F32, 1, 1, 0, &w};
    expect_ok(s, ckpt_begin(tmpdir_path(&s->dir, "ckpt", dir, sizeof dir), 1, 1, 0, &save,
                            &s->err));
    const char *temp = ckpt_save_path(save);
    expect_ok(s, ckpt_sparse_write(temp, 0, 1, NULL, 0, &source, NULL, NULL, &info[0],
                                   &s->err));
    expect_ok(s, ckpt_dense_write(temp, &tensor, 1, NULL, 0, &info[1], &s->err));
    expect_ok(s, ckpt_state_write(temp, arrays, n, &info[2], &s->err));
    expect_ok(s, ckpt_commit(save, &meta, NULL, 0, info, 3, NULL, NULL, &path, &s->err));
    struct ckpt *c;
    expect_ok(s, ckpt_open(path, true, &c, &s->err));
    expect_ok(s, ckpt_read_state(c, &s->err));
    mem_free(path);
    return c;
}

#define EVERYTHING                                                                       \
    "features: [{names: [user]}, {name: tags, split: ' '}, "                             \
    "{name: price, kind: dense, default: mean, transform: [log1p, standardize]}, "       \
    "{name: twice, kind: dense, expr: 'price * 2', transform: [minmax]}, "               \
    "{name: plain, kind: dense, expr: 'price + 1'}, "                                    \
    "{name: item, kind: one_hot, max_levels: 5}, {name: bucket, column: price, "         \
    "bucketize: 6}]\n"                                                                   \
    "tasks: {click: {label: click}, price: {label: price, loss: mse}}\n"

/* Statistics that went through a checkpoint give the same bits. */
static void test_checkpoint(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 3000);
    data_sample_train(s, DATA EVERYTHING, NULL);
    uint64_t want = data_sample_hash(s, 64);
    struct ckpt *c = through_checkpoint(s, s->fit);
    struct fit *fitted = s->fit;
    expect_ok(s, fit_from_arrays(s->schema, &(struct fit_source){find_state, c}, &s->fit, &s->err));
    assert_int_equal(data_sample_hash(s, 64), want);
    for (size_t k = 0; k < 2; k++) {
        assert_true(fit_base(s->fit, k) == fit_base(fitted, k));
        assert_true(fit_presence(s->fit, k) == fit_presence(fitted, k));
    }
    for (size_t i = 0; i < s->schema->n_ids; i++) {
        assert_true(fit_distinct_share(s->fit, i) == fit_distinct_share(fitted, i));
        assert_true(fit_mean_per_row(s->fit, i) == fit_mean_per_row(fitted, i));
    }
    size_t n, m;
    fit_arrays(fitted, &n);
    fit_arrays(s->fit, &m);
    assert_int_equal(n, m);
    fit_destroy(fitted);
    ckpt_close(c);
}

/* Statistics are found by name: another order of features is no other model; a
 * feature that the checkpoint does not know is a mismatch that names it. */
static void test_checkpoint_of_other_features(void **state)
{
    struct data_sample *s = *state;
    struct fit *fit;
    data_sample_rows(s, "a.csv", 0, 300);
    data_sample_train(s,
                      DATA
                      "features: [{name: user}, {name: price, kind: dense, transform: "
                      "[minmax]}]\ntasks: {click: {label: click}}\n",
                      NULL);
    struct ckpt *c = through_checkpoint(s, s->fit);
    double low = s->fit->columns[0].stat[0][0], high = s->fit->columns[0].stat[0][1];
    data_sample_train(s,
                      DATA "features: [{name: price, kind: dense, transform: [minmax]}, "
                           "{name: user}]\ntasks: {click: {label: click}}\n",
                      NULL);
    expect_ok(s, fit_from_arrays(s->schema, &(struct fit_source){find_state, c}, &fit, &s->err));
    assert_true(fit->columns[0].stat[0][0] == low && fit->columns[0].stat[0][1] == high);
    fit_destroy(fit);
    data_sample_train(s,
                      DATA "features: [{name: user}, {name: item}]\n"
                           "tasks: {click: {label: click}}\n",
                      NULL);
    assert_int_equal(fit_from_arrays(s->schema, &(struct fit_source){find_state, c}, &fit, &s->err), ST_MISMATCH);
    assert_non_null(strstr(s->err.text, "item"));
    ckpt_close(c);
}

/* Whichever allocation fails, it is reported and nothing leaks. */
static void test_failing_allocations(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 100);
    data_sample_train(s, DATA EVERYTHING, NULL);
    fit_destroy(s->fit);
    s->fit = NULL;
    EACH_ALLOCATION_FAILS(data_sample_fit(s, 16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_transforms),
        TEST(test_chains),
        TEST(test_constant_column),
        TEST(test_large_offset),
        TEST(test_training_rows_only),
        TEST(test_log_domain),
        TEST(test_levels),
        TEST(test_buckets),
        TEST(test_bucket_search),
        TEST(test_presence_and_base),
        TEST(test_base_of_times),
        TEST(test_useless_labels),
        TEST(test_repetition),
        TEST(test_checkpoint),
        TEST(test_checkpoint_of_other_features),
        TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
