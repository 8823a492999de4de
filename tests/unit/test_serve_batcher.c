/* serve/http/batcher and served: jobs scored together have the scores they have alone, each
 * exactly once, in a bounded queue; a version lives as long as its holders. */
#include "serve/http/batcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/unit/bundle_sample.h"

enum { INPUTS = 8, TASKS = 2, JOBS = 40, MAX_ROWS = 5 };

/* A job with its own rows, the scores that they have alone, and how often it was done. */
struct one {
    struct batch_job job;
    struct mtps_value rows[MAX_ROWS * INPUTS];
    char user[MAX_ROWS][16];
    float scores[MAX_ROWS * TASKS], want[MAX_ROWS * TASKS];
    _Atomic int done;
};

struct fixture {
    struct bundle_sample *bundle;
    struct served *served;
    struct one jobs[JOBS];
    struct batcher *batcher;
    struct error err;
};

static void done(struct batch_job *job)
{
    ((struct one *)((char *)job - offsetof(struct one, job)))->done++;
}

static void fill(struct fixture *f, struct one *o, size_t i)
{
    size_t user = (size_t)mtps_find_input(f->served->model, "user");
    size_t length = (size_t)mtps_find_input(f->served->model, "length");
    o->job = (struct batch_job){.served = f->served, .rows = o->rows, .n_rows = i % (MAX_ROWS + 1), .scores = o->scores, .done = done};
    for (size_t r = 0; r < o->job.n_rows; r++) {
        snprintf(o->user[r], sizeof o->user[r], "%zu", (i * 7 + r) % 61);
        o->rows[r * INPUTS + user] = mtps_text(o->user[r]);
        o->rows[r * INPUTS + length] = mtps_integer((int64_t)i);
    }
    assert_int_equal(served_score(f->served, o->rows, o->job.n_rows, o->want, NULL), MTPS_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    void *bundle;
    *state = f;
    bundle_sample_setup(&bundle);
    f->bundle = bundle;
    if (served_open(f->bundle->path, 0, &(struct served_spec){.n_scorers = 2}, &f->served, &f->err) != ST_OK)
        fail_msg("%s", f->err.text);
    for (size_t i = 0; i < JOBS; i++) fill(f, &f->jobs[i], i);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *bundle = f->bundle;
    batcher_destroy(f->batcher);
    served_release(f->served);
    bundle_sample_teardown(&bundle);
    free(f);
    return 0;
}

static void start(struct fixture *f, struct batcher_spec spec)
{
    if (batcher_create(&spec, &f->batcher, &f->err) != ST_OK) fail_msg("%s", f->err.text);
}

static void is_scored(const struct one *o)
{
    assert_int_equal(o->done, 1);
    assert_int_equal(o->job.status, MTPS_OK);
    assert_memory_equal(o->scores, o->want, o->job.n_rows * TASKS * sizeof *o->scores);
}

static void await(const struct one *o)
{
    for (int i = 0; i < 5000 && !o->done; i++) nanosleep(&(struct timespec){0, 1000000}, NULL);
    assert_int_equal(o->done, 1);
}

/* Any number of jobs in batches of any size have the bits that they have alone. */
static void batches_change_no_bit(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {1, 2, 7, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        start(f, (struct batcher_spec){1 + s % 2, sizes[s], 1000, JOBS});
        for (size_t i = 0; i < JOBS; i++) {
            f->jobs[i].done = 0;
            memset(f->jobs[i].scores, 0xFF, sizeof f->jobs[i].scores);
            assert_true(batcher_submit(f->batcher, &f->jobs[i].job));
        }
        for (size_t i = 0; i < JOBS; i++) await(&f->jobs[i]);
        for (size_t i = 0; i < JOBS; i++) is_scored(&f->jobs[i]);
        batcher_destroy(f->batcher);
        f->batcher = NULL;
    }
}

/* A full batch does not wait for its window; jobs beyond it are the next batch. */
static void a_full_batch_is_due(void **state)
{
    struct fixture *f = *state;
    struct batcher_counts counts;
    start(f, (struct batcher_spec){1, 4, 60000000, JOBS}); /* a minute */
    f->jobs[1].job.n_rows = 1;
    assert_true(batcher_submit(f->batcher, &f->jobs[1].job));
    assert_true(batcher_submit(f->batcher, &f->jobs[2].job)); /* 2 rows: 3 wait */
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    batcher_count(f->batcher, &counts);
    assert_int_equal(counts.waiting, 2);
    assert_true(batcher_submit(f->batcher, &f->jobs[3].job)); /* 3 rows: do not fit in */
    await(&f->jobs[1]);
    await(&f->jobs[2]);
    batcher_count(f->batcher, &counts);
    assert_int_equal(counts.batches, 1);
    assert_int_equal(counts.rows, 3);
    assert_int_equal(counts.waiting, 1);
    assert_true(batcher_submit(f->batcher, &f->jobs[5].job)); /* 5 rows: more than a batch */
    await(&f->jobs[3]);
    await(&f->jobs[5]);
    batcher_count(f->batcher, &counts);
    assert_int_equal(counts.batches, 3);
    is_scored(&f->jobs[5]);
}

/* The window ends a batch that is not full. */
static void the_window_ends(void **state)
{
    struct fixture *f = *state;
    start(f, (struct batcher_spec){2, 1000, 30000, JOBS});
    assert_true(batcher_submit(f->batcher, &f->jobs[4].job));
    await(&f->jobs[4]);
    is_scored(&f->jobs[4]);
}

/* More than max_jobs do not wait. */
static void the_queue_is_bounded(void **state)
{
    struct fixture *f = *state;
    start(f, (struct batcher_spec){1, 1000, 60000000, 2});
    assert_true(batcher_submit(f->batcher, &f->jobs[1].job));
    assert_true(batcher_submit(f->batcher, &f->jobs[2].job));
    assert_false(batcher_submit(f->batcher, &f->jobs[3].job));
    assert_int_equal(f->jobs[3].done, 0);
}

/* The end scores what waits. */
static void the_end_scores_what_waits(void **state)
{
    struct fixture *f = *state;
    start(f, (struct batcher_spec){2, 1000, 60000000, JOBS});
    for (size_t i = 0; i < 6; i++) assert_true(batcher_submit(f->batcher, &f->jobs[i].job));
    batcher_destroy(f->batcher);
    f->batcher = NULL;
    for (size_t i = 0; i < 6; i++) is_scored(&f->jobs[i]);
}

/* A row that does not fit fails its own job, with the row counted in that job. */
static void a_bad_row_fails_its_own_job(void **state)
{
    struct fixture *f = *state;
    struct one *bad = &f->jobs[3];
    bad->rows[2 * INPUTS + (size_t)mtps_find_input(f->served->model, "price")] = mtps_text("cheap");
    start(f, (struct batcher_spec){1, 1000, 60000000, JOBS});
    for (size_t i = 1; i < 6; i++) assert_true(batcher_submit(f->batcher, &f->jobs[i].job));
    batcher_destroy(f->batcher);
    f->batcher = NULL;
    for (size_t i = 1; i < 6; i++)
        if (i != 3) is_scored(&f->jobs[i]);
    assert_int_equal(bad->done, 1);
    assert_int_equal(bad->job.status, MTPS_DATA);
    assert_int_equal(bad->job.error.row, 2);
    assert_non_null(strstr(bad->job.error.text, "row 2: price"));
}

/* Jobs of two versions that wait together are scored by their own. */
static void versions_are_not_mixed(void **state)
{
    struct fixture *f = *state;
    char path[512];
    struct served *rounded;
    bundle_sample_write(f->bundle, tmpdir_path(&f->bundle->dir, "rounded.mtps", path, sizeof path), SECTION_F16);
    if (served_open(path, 9, &(struct served_spec){.n_scorers = 1}, &rounded, &f->err) != ST_OK) fail_msg("%s", f->err.text);
    assert_int_equal(rounded->version, 9);
    start(f, (struct batcher_spec){1, 1000, 60000000, JOBS});
    for (size_t i = 2; i < 6; i++) {
        struct one *o = &f->jobs[i];
        if (i % 2) o->job.served = rounded;
        if (i % 2) assert_int_equal(served_score(rounded, o->rows, o->job.n_rows, o->want, NULL), MTPS_OK);
        assert_true(batcher_submit(f->batcher, &o->job));
    }
    batcher_destroy(f->batcher);
    f->batcher = NULL;
    for (size_t i = 2; i < 6; i++) is_scored(&f->jobs[i]);
    assert_memory_not_equal(f->jobs[2].scores, f->jobs[3].scores, sizeof(float));
    served_release(rounded);
}

/* A version that was let go scores on for those who hold it. */
static void a_held_version_scores_on(void **state)
{
    struct fixture *f = *state;
    float scores[MAX_ROWS * TASKS];
    served_hold(f->served);
    served_release(f->served);
    const struct one *o = &f->jobs[5];
    assert_int_equal(served_score(f->served, o->rows, o->job.n_rows, scores, NULL), MTPS_OK);
    assert_memory_equal(scores, o->want, sizeof scores);
}

/* Every allocation that fails while a version is opened is an error without a leak. */
static void opening_survives_failing_memory(void **state)
{
    struct fixture *f = *state;
    struct served *v = NULL;
    uint64_t before = mem_live_bytes();
    enum status st = ST_NOMEM;
    for (uint64_t k = 1; st != ST_OK && k < 5000; k += 1 + k / 16) {
        mem_fail_at(k);
        st = served_open(f->bundle->path, 0, &(struct served_spec){.n_scorers = 2}, &v, &f->err);
        mem_fail_at(0);
        if (st == ST_OK) break;
        assert_null(v);
        assert_int_equal(mem_live_bytes(), before);
    }
    assert_int_equal(st, ST_OK);
    served_release(v);
    assert_int_equal(mem_live_bytes(), before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(batches_change_no_bit),       TEST(a_full_batch_is_due),   TEST(the_window_ends),
        TEST(the_queue_is_bounded),        TEST(the_end_scores_what_waits), TEST(a_bad_row_fails_its_own_job),
        TEST(versions_are_not_mixed),      TEST(a_held_version_scores_on),  TEST(opening_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
