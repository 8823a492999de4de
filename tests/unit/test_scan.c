/* data/scan: selected rows in input order. */
#include "common/base/mem.h"
#include "tests/unit/data_sample.h"

#define TEST(f)                                                                          \
    cmocka_unit_test_setup_teardown(f, data_sample_setup, data_sample_teardown)

#define BODY                                                                             \
    "data: {train: {files: [\"${dir}/a.csv\"], where: \"row % 3 == 0\"}}\n"              \
    "features: [{names: [user, item, row]}, {name: tags, split: ' '}]\n"                 \
    "tasks: {click: {label: click}}\n"

static void expect_ok(const struct data_sample *s, enum status st)
{
    if (st != ST_OK) fail_msg("%s", s->err.text);
}

/* Rows first .. end, batch_rows at a time, are those of the file in order. */
static void expect_rows(struct data_sample *s, uint64_t first, uint64_t end,
                        size_t batch_rows)
{
    struct scan *scan;
    const struct batch *b;
    uint64_t at = first;
    expect_ok(s, scan_open(s->data, s->fit, first, end, batch_rows, &scan, &s->err));
    for (;;) {
        expect_ok(s, scan_next(scan, &b, &s->err));
        if (!b) break;
        batch_check(b);
        assert_int_equal(b->n_rows, end - at < batch_rows ? end - at : batch_rows);
        for (size_t r = 0; r < b->n_rows; r++, at++) assert_int_equal(b->row[r], 3 * at);
    }
    assert_int_equal(at, end);
    expect_ok(s, scan_next(scan, &b, &s->err));
    assert_null(b);
    scan_close(scan);
}

/* Any part, in batches of any size, the last one shorter. */
static void test_input_order(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 15000);
    data_sample_train(s, BODY, NULL);
    assert_int_equal(dataset_rows(s->data), 5000);
    expect_rows(s, 0, 5000, 256);
    expect_rows(s, 0, 5000, 7);
    expect_rows(s, 0, 5000, 5000);
    expect_rows(s, 0, 5000, 6000);
    expect_rows(s, 1365, 1367, 1); /* the edge of a block of 4096 rows */
    expect_rows(s, 4999, 5000, 16);
    expect_rows(s, 5000, 5000, 16);
    expect_rows(s, 17, 17, 16);
}

/* What a row holds does not depend on the batch it is in. */
static void test_rows_are_independent(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 300);
    data_sample_train(s, BODY, NULL);
    struct scan *one, *many;
    const struct batch *a, *b;
    expect_ok(s, scan_open(s->data, s->fit, 0, 100, 1, &one, &s->err));
    expect_ok(s, scan_open(s->data, s->fit, 0, 100, 100, &many, &s->err));
    expect_ok(s, scan_next(many, &b, &s->err));
    for (size_t r = 0; r < 100; r++) {
        expect_ok(s, scan_next(one, &a, &s->err));
        assert_int_equal(batch_key(s, a, "row", 0, 0), batch_key(s, b, "row", r, 0));
        assert_int_equal(batch_values(s, a, "tags", 0), batch_values(s, b, "tags", r));
        for (size_t j = 0; j < batch_values(s, a, "tags", 0); j++)
            assert_int_equal(batch_key(s, a, "tags", 0, j),
                             batch_key(s, b, "tags", r, j));
        assert_true(a->labels[0] == b->labels[r]);
    }
    scan_close(one);
    scan_close(many);
}

/* Durations go with their rows; where a row has none it is 0. */
static void test_durations(void **state)
{
    struct data_sample *s = *state;
    data_sample_file(s, "a.csv", "x,y,t,d\na,1,3,4\nb,0,10,5.5\nc,1,1,\nd,0,2,-1\n");
    data_sample_train(
        s,
        "data: {train: {files: [\"${dir}/a.csv\"]}}\n"
        "features: [{name: x}]\n"
        "tasks: {y: {label: y}, t: {label: t, loss: completion, duration: d}}\n",
        NULL);
    struct scan *scan;
    const struct batch *b;
    const float want[] = {4, 5.5f, 0, 0};
    expect_ok(s, scan_open(s->data, s->fit, 0, 4, 4, &scan, &s->err));
    expect_ok(s, scan_next(scan, &b, &s->err));
    for (size_t r = 0; r < 4; r++) {
        assert_true(b->durations[2 * r] == 0 && b->durations[2 * r + 1] == want[r]);
        assert_true((want[r] == 0) == (b->labels[2 * r + 1] != b->labels[2 * r + 1]));
    }
    scan_close(scan);
}

/* ---- values of other rows ---- */

enum { EXCHANGE_ROWS = 9000 };
#define EXCHANGE_BODY                                                                    \
    "data: {train: {files: [\"${dir}/a.csv\"], where: \"row % 2 == 0\"}}\n"              \
    "features: [{names: [user, row]}, {name: tags, split: ' '}, {name: price, kind: "    \
    "dense}, {name: level, column: item, kind: one_hot}, {name: quarter, column: "       \
    "price, "                                                                            \
    "bucketize: 4}]\n"                                                                   \
    "tasks: {click: {label: click}}\n"

/* What one row holds. */
struct seen {
    uint64_t user, row, tags, quarter;
    uint32_t level;
    float price, label;
    bool met;
};

static struct seen see(const struct data_sample *s, const struct batch *b, size_t r)
{
    struct seen v = {.user = batch_key(s, b, "user", r, 0),
                     .row = batch_key(s, b, "row", r, 0),
                     .quarter = batch_key(s, b, "quarter", r, 0),
                     .level = b->one_hot[0][r],
                     .price = b->dense[r],
                     .label = b->labels[r],
                     .met = true};
    for (size_t j = 0; j < batch_values(s, b, "tags", r); j++)
        v.tags = 31 * v.tags + batch_key(s, b, "tags", r, j);
    return v;
}

static size_t feature_named(const struct data_sample *s, const char *name)
{
    size_t f = 0;
    while (strcmp(s->schema->features[f].name, name)) f++;
    return f;
}

static void take_rows(struct data_sample *s, struct scan *scan, struct seen *by_row)
{
    const struct batch *b;
    for (;;) {
        expect_ok(s, scan_next(scan, &b, &s->err));
        if (!b) break;
        batch_check(b);
        for (size_t r = 0; r < b->n_rows; r++) {
            assert_false(by_row[b->row[r]].met);
            by_row[b->row[r]] = see(s, b, r);
        }
    }
    scan_close(scan);
}

/* All rows, scanned in three parts, with the values of these features exchanged. */
static void exchange_rows(struct data_sample *s, const char *const *names, size_t n,
                          uint64_t seed, struct seen *by_row)
{
    size_t features[8];
    const uint64_t cut[] = {0, 1024, 3072, dataset_rows(s->data)};
    memset(by_row, 0, EXCHANGE_ROWS * sizeof *by_row);
    for (size_t i = 0; i < n; i++) features[i] = feature_named(s, names[i]);
    struct scan_exchange what = {features, n, seed};
    for (size_t i = 0; i < 3; i++) {
        struct scan *scan;
        expect_ok(s, scan_open_exchanged(s->data, s->fit, cut[i], cut[i + 1], 128, &what,
                                         &scan, &s->err));
        take_rows(s, scan, by_row);
    }
}

/* Checks the exchange of row, tags, price, level and quarter against the rows as they
 * are; gives how many rows kept their values. */
static size_t check_exchange(const struct seen *plain, const struct seen *moved)
{
    static bool given[EXCHANGE_ROWS];
    size_t kept = 0;
    memset(given, 0, sizeof given);
    for (size_t i = 0; i < EXCHANGE_ROWS; i += 2) {
        size_t donor = 0;
        while (plain[donor].row != moved[i].row) donor += 2;
        assert_true(moved[i].met && moved[i].user == plain[i].user);
        assert_true(moved[i].label == plain[i].label);
        assert_true(moved[i].tags == plain[donor].tags);
        assert_true(moved[i].price == plain[donor].price);
        assert_true(moved[i].level == plain[donor].level);
        assert_true(moved[i].quarter == plain[donor].quarter);
        assert_false(given[donor]);
        given[donor] = true;
        kept += donor == i;
    }
    return kept;
}

/* Every row is met once and has, in the features of the list, the values of one other
 * row, whose values no third row has; the rest is its own. In one window or several,
 * with dictionaries in the file or without. */
static void test_exchanged_values(void **state)
{
    struct data_sample *s = *state;
    static struct seen plain[EXCHANGE_ROWS], moved[EXCHANGE_ROWS], again[EXCHANGE_ROWS];
    static const char *const names[] = {"row", "tags", "price", "level", "quarter"};
    static const char *const sets[][3] = {{"data.shuffle_window=100000", NULL},
                                          {"data.shuffle_window=500", NULL},
                                          {"data.dictionary_limit=0", NULL}};
    data_sample_rows(s, "a.csv", 0, EXCHANGE_ROWS);
    for (size_t i = 0; i < 3; i++) {
        struct scan *scan;
        data_sample_train(s, EXCHANGE_BODY, sets[i]);
        memset(plain, 0, sizeof plain);
        expect_ok(s, scan_open(s->data, s->fit, 0, UINT64_MAX, 128, &scan, &s->err));
        take_rows(s, scan, plain);
        exchange_rows(s, names, 5, 7, moved);
        assert_true(check_exchange(plain, moved) < 60);
        exchange_rows(s, names, 5, 7, again);
        assert_memory_equal(moved, again, sizeof moved);
        exchange_rows(s, names, 5, 8, again);
        assert_true(memcmp(moved, again, sizeof moved) != 0);
        exchange_rows(s, names, 0, 7, again);
        assert_memory_equal(plain, again, sizeof plain);
    }
}

static void fail_each(struct data_sample *s, bool exchanged)
{
    uint64_t live = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        struct scan *scan = NULL;
        const struct batch *b;
        size_t user = 0;
        struct scan_exchange what = {&user, 1, 7};
        mem_fail_at(k);
        enum status st = scan_open_exchanged(s->data, s->fit, 0, 100, 32,
                                             exchanged ? &what : NULL, &scan, &s->err);
        if (st == ST_OK) st = scan_next(scan, &b, &s->err);
        mem_fail_at(0);
        scan_close(scan);
        assert_int_equal(mem_live_bytes(), live);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
    }
}

/* Whichever allocation fails, it is reported and nothing leaks. */
static void test_failing_allocations(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 300);
    data_sample_train(s, BODY, NULL);
    fail_each(s, false);
    fail_each(s, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_input_order), TEST(test_rows_are_independent), TEST(test_durations),
        TEST(test_exchanged_values), TEST(test_failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
