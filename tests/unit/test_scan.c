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

/* Whichever allocation fails, it is reported and nothing leaks. */
static void test_failing_allocations(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 300);
    data_sample_train(s, BODY, NULL);
    uint64_t live = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        struct scan *scan = NULL;
        const struct batch *b;
        mem_fail_at(k);
        enum status st = scan_open(s->data, s->fit, 0, 100, 32, &scan, &s->err);
        if (st == ST_OK) st = scan_next(scan, &b, &s->err);
        mem_fail_at(0);
        scan_close(scan);
        assert_int_equal(mem_live_bytes(), live);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_input_order), TEST(test_rows_are_independent), TEST(test_durations),
        TEST(test_failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
