/* The thread pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/threads.h"

static _Atomic unsigned calls[8];

static void count(void *arg, size_t thread)
{
    (void)arg;
    calls[thread]++;
}

/* Each run calls the work once per thread and returns after all have finished. */
static void test_run_calls_every_thread_once(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 4; n++) {
        struct threads *p;
        struct error err;
        assert_int_equal(threads_create(n, &p, &err), ST_OK);
        for (size_t i = 0; i < 8; i++) calls[i] = 0;
        for (unsigned run = 1; run <= 2000; run++) {
            threads_run(p, count, NULL);
            for (size_t i = 0; i < n; i++) assert_int_equal(calls[i], run);
            if (run % 700 == 0) usleep(3000); /* threads fall asleep and are woken again */
        }
        for (size_t i = n; i < 8; i++) assert_int_equal(calls[i], 0);
        threads_destroy(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run_calls_every_thread_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
