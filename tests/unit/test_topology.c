#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/net/topology.h"

enum { MAX = 8 };

static void expect(int size, const int *host, size_t n_servers, const int *servers)
{
    for (int rank = 0; rank < size; rank++) {
        struct topology t;
        assert_int_equal(topology_make(size, rank, host, n_servers, &t, NULL), ST_OK);
        assert_int_equal(t.n_servers, n_servers);
        assert_int_equal(t.n_workers, (size_t)size - n_servers);
        assert_int_equal(t.worker_rank[0], 0);
        bool server = false;
        for (size_t i = 0; i < n_servers; i++) {
            assert_int_equal(t.server_rank[i], servers[i]);
            server = server || servers[i] == rank;
        }
        assert_int_equal(t.is_server, server);
        assert_int_equal((server ? t.server_rank : t.worker_rank)[t.index], rank);
        topology_close(&t);
    }
}

/* On one host servers take the highest ranks. */
static void test_one_host(void **state)
{
    (void)state;
    const int host[MAX] = {0};
    expect(1, host, 0, NULL);
    expect(2, host, 1, (const int[]){1});
    expect(3, host, 1, (const int[]){2});
    expect(5, host, 3, (const int[]){2, 3, 4});
}

/* Servers are spread over hosts before a host gets a second one. */
static void test_servers_are_spread_over_hosts(void **state)
{
    (void)state;
    expect(6, (const int[]){0, 0, 1, 1, 2, 2}, 3, (const int[]){1, 3, 5});
    expect(6, (const int[]){0, 0, 1, 1, 2, 2}, 2, (const int[]){1, 3});
    expect(6, (const int[]){0, 1, 2, 0, 1, 2}, 4, (const int[]){1, 3, 4, 5});
}

/* A host that has no free rank passes its server on, and rank 0 stays a worker. */
static void test_full_host_passes_on(void **state)
{
    (void)state;
    expect(3, (const int[]){0, 1, 1}, 2, (const int[]){1, 2});
    expect(4, (const int[]){0, 1, 2, 2}, 3, (const int[]){1, 2, 3});
}

/* Without a worker left the job does not start: a usage error that says how many
 * ranks to start. */
static void test_no_worker_left(void **state)
{
    (void)state;
    const int host[MAX] = {0};
    struct topology t;
    struct error err;
    assert_int_equal(topology_make(3, 0, host, 3, &t, &err), ST_USAGE);
    assert_non_null(strstr(err.text, "no worker is left"));
    assert_non_null(strstr(err.hint, "mpirun -n 4"));
    assert_int_equal(topology_make(1, 0, host, 1, &t, &err), ST_USAGE);
    assert_int_equal(topology_make(2, 0, host, 0, &t, &err), ST_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_host),
        cmocka_unit_test(test_servers_are_spread_over_hosts),
        cmocka_unit_test(test_full_host_passes_on),
        cmocka_unit_test(test_no_worker_left),
    };
    return cmocka_run_group_tests_name("topology", tests, NULL, NULL);
}
