/* data/stream: the order of training rows (DESIGN section 4 rule 4). */
#include <pthread.h>

#include "common/base/mem.h"
#include "tests/unit/data_sample.h"

#define TEST(f)                                                                          \
    cmocka_unit_test_setup_teardown(f, data_sample_setup, data_sample_teardown)

#define BODY                                                                             \
    "data: {train: {files: [\"${dir}/a.csv\"]}, group: user}\n"                          \
    "features: [{names: [user, item]}, {name: tags, split: ' ', pool: mean}, "           \
    "{name: more, column: tags, split: ' ', table: item}, "                              \
    "{name: price, kind: dense, transform: [standardize]}]\n"                            \
    "tasks: {click: {label: click}}\n"
#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { ROWS = 10000, MAX_LANES = 16 };

static void expect_ok(const struct data_sample *s, enum status st)
{
    if (st != ST_OK) fail_msg("%s", s->err.text);
}

static struct stream *open_stream(struct data_sample *s, struct stream_spec spec)
{
    struct stream *stream = NULL;
    expect_ok(s, stream_open(s->data, s->fit, &spec, &stream, &s->err));
    return stream;
}

/* Hash of steps [start, end) of lane `lane`, read by a worker of lanes [first, last). */
static uint64_t lane_hash(struct data_sample *s, size_t n_lanes, size_t first,
                          size_t last, size_t lane, size_t batch, uint64_t start,
                          uint64_t end)
{
    struct stream_spec spec = {5, n_lanes, first, last, batch, start, end};
    struct stream *stream = open_stream(s, spec);
    uint64_t h = 0;
    for (uint64_t step = start; step < end; step++)
        for (size_t l = first; l < last; l++) {
            const struct batch *b;
            expect_ok(s, stream_next(stream, l, step % STREAM_SLOTS, &b, &s->err));
            batch_check(b);
            assert_int_equal(b->step, step);
            if (l == lane) h = batch_hash(b, h);
        }
    stream_close(stream);
    return h;
}

/* Every selected row comes exactly once an epoch for any number of lanes, and
 * each epoch and seed has an order of its own. */
static void test_each_row_once(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, ROWS);
    data_sample_train(s, BODY, SETS("data.train.where=row % 5 > 0"));
    for (size_t lanes = 1; lanes <= MAX_LANES; lanes *= 2) {
        uint64_t per_epoch = stream_steps_per_epoch(8000, 64, lanes), same = 0;
        static uint32_t seen[3][ROWS], place[3][ROWS];
        memset(seen, 0, sizeof seen);
        struct stream *stream = open_stream(
            s, (struct stream_spec){5, lanes, 0, lanes, 64, 0, 3 * per_epoch});
        for (uint64_t step = 0; step < 3 * per_epoch; step++)
            for (size_t l = 0; l < lanes; l++) {
                const struct batch *b;
                expect_ok(s, stream_next(stream, l, step % STREAM_SLOTS, &b, &s->err));
                for (size_t r = 0; r < b->n_rows; r++) {
                    seen[step / per_epoch][b->row[r]]++;
                    place[step / per_epoch][b->row[r]] = (uint32_t)(step % per_epoch);
                }
            }
        stream_close(stream);
        for (size_t i = 0; i < ROWS; i++) {
            for (size_t e = 0; e < 3; e++) assert_int_equal(seen[e][i], i % 5 > 0);
            same += i % 5 > 0 && place[0][i] == place[1][i];
        }
        assert_true(same < 8000 / 20); /* about 8000 / per_epoch by chance */
    }
}

/* A lane's batches do not depend on which lanes the same worker reads: also not
 * on whether the worker holds all rows or windows of them. */
static void test_lanes_are_independent(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, ROWS);
    static const char *const windows[] = {
        "data.shuffle_window=65536", "data.shuffle_window=500", "data.shuffle_window=100",
        "data.shuffle_window=1"};
    for (size_t w = 0; w < 4; w++) {
        data_sample_train(s, BODY, SETS(windows[w]));
        for (size_t lane = 0; lane < 8; lane += 3) {
            uint64_t all = lane_hash(s, 8, 0, 8, lane, 128, 0, 170);
            assert_int_equal(lane_hash(s, 8, lane, lane + 1, lane, 128, 0, 170), all);
            assert_int_equal(
                lane_hash(s, 8, lane / 2 * 2, lane / 2 * 2 + 2, lane, 128, 0, 170), all);
        }
    }
}

/* A stream that starts at a step gives what one from the beginning gives there,
 * also across epochs. */
static void test_resuming(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 3000);
    data_sample_train(s, BODY, SETS("data.shuffle_window=200"));
    uint64_t per_epoch = stream_steps_per_epoch(3000, 64, 4);
    struct stream_spec spec = {5, 4, 0, 4, 64, 0, 3 * per_epoch};
    struct stream *stream = open_stream(s, spec);
    uint64_t *h = calloc(3 * per_epoch, sizeof *h);
    for (uint64_t step = 0; step < 3 * per_epoch; step++)
        for (size_t l = 0; l < 4; l++) {
            const struct batch *b;
            expect_ok(s, stream_next(stream, l, 0, &b, &s->err));
            h[step] = batch_hash(b, h[step]);
        }
    stream_close(stream);
    for (uint64_t start = 0; start < 3 * per_epoch; start += 7) {
        spec.start_step = start;
        stream = open_stream(s, spec);
        for (uint64_t step = start; step < start + 5 && step < 3 * per_epoch; step++) {
            uint64_t got = 0;
            for (size_t l = 0; l < 4; l++) {
                const struct batch *b;
                expect_ok(s, stream_next(stream, l, 0, &b, &s->err));
                got = batch_hash(b, got);
                assert_int_equal(b->step, step);
            }
            assert_int_equal(got, h[step]);
        }
        stream_close(stream);
    }
    free(h);
}

/* The seed decides the order. */
static void test_seeds(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 1000);
    data_sample_train(s, BODY, NULL);
    uint64_t h[2];
    for (uint64_t seed = 0; seed < 2; seed++) {
        struct stream *stream =
            open_stream(s, (struct stream_spec){seed, 1, 0, 1, 64, 0, 1});
        const struct batch *b;
        expect_ok(s, stream_next(stream, 0, 0, &b, &s->err));
        h[seed] = batch_hash(b, 0);
        stream_close(stream);
    }
    assert_int_not_equal(h[0], h[1]);
}

/* Fewer rows than lanes: some lanes are empty, and that is all. */
static void test_fewer_rows_than_lanes(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 6);
    data_sample_train(s, BODY, NULL);
    assert_int_equal(stream_steps_per_epoch(6, 64, 16), 1);
    struct stream *stream = open_stream(s, (struct stream_spec){5, 16, 0, 16, 64, 0, 2});
    for (int epoch = 0; epoch < 2; epoch++) {
        size_t n = 0;
        for (size_t l = 0; l < 16; l++) {
            const struct batch *b;
            expect_ok(s, stream_next(stream, l, 0, &b, &s->err));
            batch_check(b);
            assert_true(b->n_rows <= 1);
            n += b->n_rows;
        }
        assert_int_equal(n, 6);
    }
    stream_close(stream);
}

/* Lanes differ by one row at most; only the end of an epoch is short. */
static void test_short_ends(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 130);
    data_sample_train(s, BODY, NULL);
    /* 130 rows, 4 lanes of 16: 32, 33, 32, 33 rows in 3 steps */
    static const size_t want[3][4] = {{16, 16, 16, 16}, {16, 16, 16, 16}, {0, 1, 0, 1}};
    assert_int_equal(stream_steps_per_epoch(130, 64, 4), 3);
    assert_int_equal(stream_steps_per_epoch(128, 64, 4), 2);
    struct stream *stream = open_stream(s, (struct stream_spec){5, 4, 0, 4, 64, 0, 6});
    for (size_t step = 0; step < 6; step++)
        for (size_t l = 0; l < 4; l++) {
            const struct batch *b;
            expect_ok(s, stream_next(stream, l, 0, &b, &s->err));
            assert_int_equal(b->n_rows, want[step % 3][l]);
        }
    stream_close(stream);
}

/* A batch stays valid until its (lane, slot) is built again. */
static void test_slots(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 1000);
    data_sample_train(s, BODY, NULL);
    struct stream *stream = open_stream(s, (struct stream_spec){5, 2, 0, 2, 64, 0, 15});
    const struct batch *b[2][STREAM_SLOTS];
    uint64_t h[2][STREAM_SLOTS];
    for (size_t slot = 0; slot < STREAM_SLOTS; slot++)
        for (size_t l = 0; l < 2; l++) {
            expect_ok(s, stream_next(stream, l, slot, &b[l][slot], &s->err));
            h[l][slot] = batch_hash(b[l][slot], 0);
        }
    for (size_t slot = 0; slot < STREAM_SLOTS; slot++)
        for (size_t l = 0; l < 2; l++)
            assert_int_equal(batch_hash(b[l][slot], 0), h[l][slot]);
    stream_close(stream);
}

/* Building batches allocates nothing once an epoch has been read. */
static void test_no_allocation(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, ROWS);
    static const char *const windows[] = {"data.shuffle_window=65536",
                                          "data.shuffle_window=128"};
    for (size_t w = 0; w < 2; w++) {
        data_sample_train(s, BODY, SETS(windows[w]));
        uint64_t per_epoch = stream_steps_per_epoch(ROWS, 64, 4), calls = 0;
        struct stream *stream =
            open_stream(s, (struct stream_spec){5, 4, 0, 4, 64, 0, 3 * per_epoch});
        for (uint64_t step = 0; step < 3 * per_epoch; step++) {
            for (size_t l = 0; l < 4; l++) {
                const struct batch *b;
                expect_ok(s, stream_next(stream, l, step % STREAM_SLOTS, &b, &s->err));
            }
            if (step == 2 * per_epoch) calls = mem_calls();
        }
        assert_int_equal(mem_calls(), calls);
        stream_close(stream);
    }
}

struct worker {
    struct data_sample *s;
    struct stream *stream;
    size_t lane;
    uint64_t steps, hash;
    enum status status;
};

static void *read_lane(void *arg)
{
    struct worker *w = arg;
    for (uint64_t step = 0; step < w->steps && w->status == ST_OK; step++) {
        const struct batch *b;
        w->status = stream_next(w->stream, w->lane, step % STREAM_SLOTS, &b, NULL);
        if (w->status == ST_OK) w->hash = batch_hash(b, w->hash);
    }
    return NULL;
}

/* Lanes may be built at once by different threads, with the same result. */
static void test_threads(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, ROWS);
    static const char *const windows[] = {"data.shuffle_window=65536",
                                          "data.shuffle_window=128"};
    for (size_t w = 0; w < 2; w++) {
        data_sample_train(s, BODY, SETS(windows[w]));
        uint64_t steps = 2 * stream_steps_per_epoch(ROWS, 64, 4);
        struct stream *stream =
            open_stream(s, (struct stream_spec){5, 4, 0, 4, 64, 0, steps});
        struct worker workers[4];
        pthread_t threads[4];
        for (size_t l = 0; l < 4; l++) {
            workers[l] = (struct worker){s, stream, l, steps, 0, ST_OK};
            assert_int_equal(pthread_create(&threads[l], NULL, read_lane, &workers[l]),
                             0);
        }
        for (size_t l = 0; l < 4; l++) pthread_join(threads[l], NULL);
        stream_close(stream);
        for (size_t l = 0; l < 4; l++) {
            assert_int_equal(workers[l].status, ST_OK);
            assert_int_equal(workers[l].hash, lane_hash(s, 4, 0, 4, l, 64, 0, steps));
        }
    }
}

/* A stream may be closed at any time. */
static void test_closing_early(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, ROWS);
    data_sample_train(s, BODY, SETS("data.shuffle_window=128"));
    for (int i = 0; i < 20; i++) {
        struct stream *stream =
            open_stream(s, (struct stream_spec){5, 4, 0, 4, 64, 0, 1000});
        const struct batch *b;
        for (int k = 0; k < i; k++) expect_ok(s, stream_next(stream, 0, 0, &b, &s->err));
        stream_close(stream);
    }
}

/* Threads that wait for rows at the same time do not wait longer than the time that passes. */
static void test_waiting_time(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, ROWS);
    data_sample_train(s, BODY, SETS("data.shuffle_window=64"));
    struct worker w[8];
    pthread_t thread[8];
    struct timespec start, end;
    uint64_t steps = stream_steps_per_epoch(ROWS, 512, 8);
    clock_gettime(CLOCK_MONOTONIC, &start);
    struct stream *stream = open_stream(s, (struct stream_spec){5, 8, 0, 8, 512, 0, steps});
    for (size_t l = 0; l < 8; l++) {
        w[l] = (struct worker){s, stream, l, steps, 0, ST_OK};
        assert_int_equal(pthread_create(&thread[l], NULL, read_lane, &w[l]), 0);
    }
    for (size_t l = 0; l < 8; l++) pthread_join(thread[l], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double passed = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    assert_true(stream_wait_s(stream) > 0);
    assert_true(stream_wait_s(stream) <= passed);
    stream_close(stream);
}

/* Tables without a dictionary: windows have their own, and batches are the same. */
static void test_without_dictionary(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 4000);
    data_sample_train(s, BODY, SETS("data.shuffle_window=128"));
    uint64_t want = lane_hash(s, 4, 0, 4, 1, 64, 0, 130);
    data_sample_train(s, BODY,
                      SETS("data.shuffle_window=128", "data.dictionary_limit=12"));
    assert_int_equal(lane_hash(s, 4, 0, 4, 1, 64, 0, 130), want);
    assert_int_equal(lane_hash(s, 4, 1, 2, 1, 64, 0, 130), want);
}

/* Whichever allocation fails while opening, it is reported and nothing leaks. */
static void test_failing_allocations(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 200);
    data_sample_train(s, BODY, NULL);
    struct stream_spec spec = {5, 4, 0, 4, 64, 0, 0};
    uint64_t live = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        struct stream *stream = NULL;
        mem_fail_at(k);
        enum status st = stream_open(s->data, s->fit, &spec, &stream, &s->err);
        const struct batch *b;
        /* The reading thread may be what meets it. */
        if (st == ST_OK) st = stream_next(stream, 0, 0, &b, &s->err);
        bool failed = st != ST_OK;
        stream_close(stream);
        mem_fail_at(0);
        assert_int_equal(mem_live_bytes(), live);
        if (!failed) break;
        assert_int_equal(st, ST_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_row_once),
        TEST(test_lanes_are_independent),
        TEST(test_resuming),
        TEST(test_seeds),
        TEST(test_fewer_rows_than_lanes),
        TEST(test_short_ends),
        TEST(test_slots),
        TEST(test_no_allocation),
        TEST(test_threads),
        TEST(test_waiting_time),
        TEST(test_closing_early),
        TEST(test_without_dictionary),
        TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
