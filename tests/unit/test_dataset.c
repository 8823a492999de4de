/* data/dataset: which rows are selected, kept columns, batches from rows. */
#include "common/base/hash.h"
#include "data/dataset_stats.h"
#include "tests/lib/failing.h"
#include "tests/unit/data_sample.h"

#define TEST(f)                                                                          \
    cmocka_unit_test_setup_teardown(f, data_sample_setup, data_sample_teardown)

#define BODY                                                                             \
    "data: {train: {files: [\"${dir}/a.csv\"]}, eval: {files: [\"${dir}/a.csv\"]}, "     \
    "group: user}\n"                                                                     \
    "features: [{names: [user, item]}, {name: tags, split: ' ', pool: mean}, "           \
    "{name: more, column: tags, split: ' ', table: item}, {name: row}, "                 \
    "{name: price, kind: dense}]\n"                                                      \
    "tasks: {click: {label: click}}\n"
#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { ROWS = 9000 };

static void expect_ok(const struct data_sample *s, enum status st)
{
    if (st != ST_OK) fail_msg("%s", s->err.text);
}

/* Rows of the file that are selected, as bits; gives their number. */
static uint64_t selected(struct data_sample *s, enum use use, const char *const *sets,
                         uint8_t *rows)
{
    struct scan *scan;
    const struct batch *b;
    memset(rows, 0, ROWS);
    expect_ok(s, data_sample_config(s, BODY, sets));
    expect_ok(s, data_sample_open(s, USE_TRAIN));
    expect_ok(s, data_sample_fit(s, 16));
    expect_ok(s, data_sample_prepare(s, use));
    dataset_close(s->data);
    s->data = NULL;
    const struct data_cfg *d = &s->settings->data;
    expect_ok(s, dataset_open(s->path, s->schema, use == USE_EVAL ? &d->eval : &d->train,
                              use, &s->data, &s->err));
    assert_int_equal(dataset_rows_all(s->data), ROWS);
    expect_ok(s, scan_open(s->data, s->fit, 0, UINT64_MAX, 64, &scan, &s->err));
    uint64_t n = 0, last = 0;
    for (;;) {
        expect_ok(s, scan_next(scan, &b, &s->err));
        if (!b) break;
        for (size_t i = 0; i < b->n_rows; i++) {
            assert_true(n == 0 || b->row[i] > last);
            last = b->row[i];
            rows[last] = 1;
            n++;
        }
    }
    scan_close(scan);
    assert_int_equal(n, dataset_rows(s->data));
    return n;
}

/* `where` selects the rows for which it holds, in the order of the file; missing
 * is false. */
static void test_where(void **state)
{
    struct data_sample *s = *state;
    static uint8_t rows[ROWS];
    data_sample_rows(s, "a.csv", 0, ROWS);
    assert_int_equal(selected(s, USE_TRAIN, NULL, rows), ROWS);
    assert_int_equal(selected(s, USE_TRAIN, SETS("data.train.where=row % 3 == 1"), rows),
                     ROWS / 3);
    for (size_t i = 0; i < ROWS; i++) assert_int_equal(rows[i], i % 3 == 1);
    /* every 9th row has no item */
    selected(s, USE_TRAIN, SETS("data.train.where=item != \"i1\""), rows);
    for (size_t i = 0; i < ROWS; i += 9) assert_int_equal(rows[i], 0);
    assert_int_equal(
        selected(s, USE_EVAL, SETS("data.eval.where=row >= 4090 and row < 4100"), rows),
        10);
    for (size_t i = 0; i < ROWS; i++) assert_int_equal(rows[i], i >= 4090 && i < 4100);
}

/* A bare column in `where` is true when it is a number other than 0. */
static void test_where_column(void **state)
{
    struct data_sample *s = *state;
    static uint8_t rows[ROWS];
    data_sample_rows(s, "a.csv", 0, ROWS);
    selected(s, USE_TRAIN, SETS("data.train.where=click or row == 3"), rows);
    for (size_t i = 0; i < ROWS; i++) {
        size_t user = i * 7919 % 53, item = (i * 104729 + i / 17) % 31;
        assert_int_equal(rows[i], (user % 5 + item % 7) > 5 || i == 3);
    }
}

/* The validation part leaves training: together they are all rows, apart none. */
static void expect_parts(struct data_sample *s, const char *valid, double low,
                         double high)
{
    static uint8_t train[ROWS], part[ROWS];
    const char *where = "data.train.where=row % 2 == 0";
    uint64_t n_train = selected(s, USE_TRAIN, SETS(where, valid), train);
    uint64_t n_part = selected(s, USE_VALID, SETS(where, valid), part);
    assert_int_equal(n_train + n_part, ROWS / 2);
    for (size_t i = 0; i < ROWS; i++) assert_int_equal(train[i] + part[i], i % 2 == 0);
    double share = (double)n_part / (ROWS / 2);
    assert_true(share > low && share < high);
}

static void test_valid_parts(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, ROWS);
    expect_parts(s, "data.valid={fraction: 0.25}", 0.22, 0.28);
    expect_parts(s, "data.valid={fraction: 0.25, by: user}", 0.05, 0.5);
    expect_parts(s, "data.valid={fraction: 0.25, by: row % 100}", 0.1, 0.45);
    expect_parts(s, "data.valid={where: 'row % 10 == 4'}", 0.19, 0.21);
}

/* With `by`, rows of one value are never divided; the seed decides which part
 * they are in, and nothing else. */
static void test_valid_by(void **state)
{
    struct data_sample *s = *state;
    static uint8_t part[ROWS], again[ROWS], other[ROWS];
    data_sample_rows(s, "a.csv", 0, ROWS);
    const char *valid = "data.valid={fraction: 0.3, by: user}";
    selected(s, USE_VALID, SETS(valid), part);
    selected(s, USE_VALID, SETS(valid, "train.batch_size=32"), again);
    selected(s, USE_VALID, SETS(valid, "seed=6"), other);
    for (size_t i = 53; i < ROWS; i++) assert_int_equal(part[i], part[i - 53]);
    assert_memory_equal(part, again, ROWS);
    assert_memory_not_equal(part, other, ROWS);
}

/* A selection that is never true leaves no row, which is no error by itself. */
static void test_nothing_selected(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 100);
    expect_ok(s, data_sample_config(s, BODY, SETS("data.train.where=row < 0")));
    expect_ok(s, data_sample_open(s, USE_TRAIN));
    assert_int_equal(dataset_rows(s->data), 0);
}

/* An unknown column of `where` is an error that points into the configuration. */
static void test_unknown_column(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 100);
    expect_ok(s, data_sample_config(s, BODY, SETS("data.train.where=rwo < 0")));
    assert_int_equal(data_sample_open(s, USE_TRAIN), ST_USAGE);
    assert_non_null(strstr(s->err.text, "rwo"));
}

/* Kept columns give back their texts by row, of the main rows and of side rows. */
static void test_kept_texts(void **state)
{
    struct data_sample *s = *state;
    const char *const keep[] = {"row", "tags", "city"};
    data_sample_rows(s, "a.csv", 0, ROWS);
    data_sample_file(s, "users.csv", "user,city\nu0,\"Bonn, am Rhein\"\nu1,y\n");
    expect_ok(
        s, data_sample_config(
               s, BODY, SETS("data.joins=[{files: [\"${dir}/users.csv\"], key: user}]")));
    s->opt.keep = keep;
    s->opt.n_keep = 3;
    expect_ok(s, data_sample_open(s, USE_TRAIN));
    for (uint64_t i = 0; i < ROWS; i += 37) {
        char want[64];
        struct text t;
        expect_ok(s, dataset_kept(s->data, "row", i, &t, &s->err));
        snprintf(want, sizeof want, "%d", (int)i);
        assert_int_equal(t.n, strlen(want));
        assert_memory_equal(t.s, want, t.n);
        expect_ok(s, dataset_kept(s->data, "city", i, &t, &s->err));
        uint64_t user = i * 7919 % 53;
        const char *city = user == 0 ? "Bonn, am Rhein" : user == 1 ? "y" : "";
        assert_int_equal(t.n, strlen(city));
        assert_memory_equal(t.s, city, t.n);
    }
    struct text t;
    assert_int_equal(dataset_kept(s->data, "nothing", 0, &t, &s->err), ST_INTERNAL);
    s->opt.n_keep = 0;
}

/* A column to keep that is not there is a usage error with the nearest one. */
static void test_keep_unknown(void **state)
{
    struct data_sample *s = *state;
    const char *const keep[] = {"usr"};
    data_sample_rows(s, "a.csv", 0, 10);
    s->opt.keep = keep;
    s->opt.n_keep = 1;
    expect_ok(s, data_sample_config(s, BODY, NULL));
    assert_int_equal(data_sample_open(s, USE_TRAIN), ST_USAGE);
    assert_non_null(strstr(s->err.hint, "user"));
    s->opt.n_keep = 0;
}

static uint64_t hash_of(const char *prefix, size_t n)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%s%zu", prefix, n);
    return hash_id(text, (size_t)length);
}

/* Each row of each batch holds the keys, values and labels of its raw row. */
static void test_batches_hold_the_rows(void **state)
{
    struct data_sample *s = *state;
    struct scan *scan;
    const struct batch *b;
    data_sample_rows(s, "a.csv", 0, 5000);
    data_sample_train(s, BODY, NULL);
    expect_ok(s, scan_open(s->data, s->fit, 0, 5000, 100, &scan, &s->err));
    for (;;) {
        expect_ok(s, scan_next(scan, &b, &s->err));
        if (!b) break;
        batch_check(b);
        for (size_t r = 0; r < b->n_rows; r++) {
            size_t i = b->row[r], user = i * 7919 % 53, item = (i * 104729 + i / 17) % 31;
            assert_int_equal(batch_key(s, b, "user", r, 0), hash_of("u", user));
            assert_int_equal(batch_key(s, b, "item", r, 0),
                             i % 9 ? hash_of("i", item) : hash_id("missing", 7));
            assert_int_equal(batch_values(s, b, "tags", r), i % 4);
            for (size_t k = 0; k < i % 4; k++) {
                assert_int_equal(batch_key(s, b, "tags", r, k),
                                 hash_of("t", (item + 5 * k) % 11));
                assert_int_equal(batch_key(s, b, "more", r, k),
                                 hash_of("t", (item + 5 * k) % 11));
            }
            float price = i % 7 ? (float)(item * 3 % 20) / 4 : 0;
            assert_true(b->dense[r] == price);
            assert_true(b->labels[r] == ((user % 5 + item % 7) > 5));
            assert_true(b->weights[r] == 1);
            assert_int_equal(b->group[r], hash_of("u", user));
        }
    }
    scan_close(scan);
}

/* Capacities hold for every batch of that many rows. */
static void test_capacities(void **state)
{
    struct data_sample *s = *state;
    size_t distinct[5], occurrences[5];
    data_sample_rows(s, "a.csv", 0, 5000);
    data_sample_train(s, BODY, NULL);
    dataset_caps(s->data, s->fit, 100, distinct, occurrences);
    assert_int_equal(occurrences[0], 100);
    assert_int_equal(distinct[0], 53);
    assert_int_equal(occurrences[2], 300);
    assert_int_equal(distinct[2], 11);
    assert_int_equal(distinct[4], 100);
    assert_int_equal(dataset_max_per_row(s->data, 2), 3);
    assert_int_equal(dataset_max_per_row(s->data, 0), 1);
}

/* Statistics count the selected rows. */
static void test_stats(void **state)
{
    struct data_sample *s = *state;
    struct dataset_stats stats;
    data_sample_rows(s, "a.csv", 0, 90);
    data_sample_train(s, BODY, SETS("data.train.where=row < 63"));
    expect_ok(s, dataset_stats(s->data, &stats, &s->err));
    assert_int_equal(stats.rows, 63);
    assert_int_equal(stats.rows_all, 90);
    assert_int_equal(stats.features[0].distinct, 53);
    assert_int_equal(stats.features[1].filled, 63 - 7);
    assert_int_equal(stats.features[2].filled, 63 - 16);
    assert_int_equal(stats.features[2].values, 15 * 6 + 0 + 1 + 2);
    assert_int_equal(stats.features[5].filled, 63 - 9);
    assert_int_equal(stats.tasks[0].present, 63);
    assert_int_equal(stats.slots, 6);
    assert_int_equal(stats.high, 0);
    dataset_stats_close(&stats);
}

/* Whichever allocation fails while opening, it is reported and nothing leaks. */
static void test_failing_allocations(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 100);
    const char *const *sets =
        SETS("data.train.where=row < 90", "data.valid={fraction: 0.2, by: user}");
    expect_ok(s, data_sample_config(s, BODY, sets));
    expect_ok(s, data_sample_open(s, USE_TRAIN));
    dataset_close(s->data);
    s->data = NULL;
    EACH_ALLOCATION_FAILS(dataset_open(s->path, s->schema, &s->settings->data.train,
                                       USE_TRAIN, &s->data, &s->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_where),
        TEST(test_where_column),
        TEST(test_valid_parts),
        TEST(test_valid_by),
        TEST(test_nothing_selected),
        TEST(test_unknown_column),
        TEST(test_kept_texts),
        TEST(test_keep_unknown),
        TEST(test_batches_hold_the_rows),
        TEST(test_capacities),
        TEST(test_stats),
        TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
