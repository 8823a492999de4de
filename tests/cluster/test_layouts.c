#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/toy_cluster.h"

static void check_layout(const struct toy *t, const struct toy_state *expected,
                         size_t n_servers, size_t n_workers, size_t n_shards,
                         uint64_t delay_seed)
{
    struct toy_job job = {.toy = t, .n_servers = n_servers, .n_shards = n_shards};
    struct toy_state got;
    toy_cluster(&job, (int)(n_servers + n_workers), delay_seed, &got, NULL);
    toy_state_equal(t, expected, &got);
    toy_state_close(&got);
}

/* 1 to 4 servers, 1 to 5 workers and 1 to 3 shards give the bits of the plain
 * reference. */
static void test_servers_and_workers_do_not_change_a_bit(void **state)
{
    (void)state;
    struct toy t;
    struct toy_state expected;
    toy_make(&t, 21);
    toy_reference(&t, &expected);
    for (size_t servers = 1; servers <= 4; servers++)
        for (size_t workers = 1; workers <= 5; workers++)
            check_layout(&t, &expected, servers, workers, 1 + (servers + workers) % 3, 0);
    toy_state_close(&expected);
}

/* Messages held back at random, so that they overtake those of other peers,
 * change nothing. */
static void test_delays_and_orders_do_not_change_a_bit(void **state)
{
    (void)state;
    struct toy t;
    struct toy_state expected;
    toy_make(&t, 22);
    t.nonfinite_step = 3;
    toy_reference(&t, &expected);
    for (uint64_t seed = 1; seed <= 12; seed++)
        check_layout(&t, &expected, 1 + seed % 3, 1 + seed % 4, 1 + seed % 2, seed);
    toy_state_close(&expected);
}

/* The norm of the dense gradient is the same for every number of servers. */
static void test_clipping_over_servers(void **state)
{
    (void)state;
    struct toy t;
    struct toy_state expected;
    toy_make(&t, 23);
    t.server.clip_norm = 0.7;
    toy_reference(&t, &expected);
    check_layout(&t, &expected, 1, 2, 1, 1);
    check_layout(&t, &expected, 2, 3, 2, 2);
    check_layout(&t, &expected, 4, 2, 1, 3);
    toy_state_close(&expected);
}

/* More servers than dense blocks, and more workers than lanes: those without work
 * still take part. */
static void test_ranks_without_work(void **state)
{
    (void)state;
    struct toy t;
    struct toy_state expected;
    toy_make(&t, 24);
    t.server.n_lanes = 2;
    t.server.n_dense = 700;
    toy_reference(&t, &expected);
    check_layout(&t, &expected, 5, 4, 2, 9);
    toy_state_close(&expected);
}

/* A sum that overflows at a server ends the job on every rank with the server's
 * own words. */
static void test_server_failure_reaches_workers(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 25);
    t.grad_scale = 3e38f;
    struct toy_job job = {.toy = &t, .n_servers = 1, .n_shards = 1};
    struct toy_outcome outcome[3];
    toy_cluster(&job, 3, 5, NULL, outcome);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(outcome[i].st, ST_INTERNAL);
        assert_non_null(strstr(outcome[i].err.text, "gradient of"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_servers_and_workers_do_not_change_a_bit),
        cmocka_unit_test(test_delays_and_orders_do_not_change_a_bit),
        cmocka_unit_test(test_clipping_over_servers),
        cmocka_unit_test(test_ranks_without_work),
        cmocka_unit_test(test_server_failure_reaches_workers),
    };
    return cmocka_run_group_tests_name("layouts", tests, NULL, NULL);
}
