/* worker/train_state: the days of a chain of runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/train_state.h"

/* The state of the last of n runs with 10 steps each, which hot starts went on from. */
static void chain(size_t n, struct train_state *s)
{
    *s = (struct train_state){.step = 10};
    for (size_t i = 1; i < n; i++) {
        struct train_state next = {.step = 10, .past.steps = s->past.steps + 10};
        train_state_next_day(s, &next);
        *s = next;
    }
}

/* The last n days begin where the n-th run from the end began; when there were not so many,
 * with the first step of all. */
static void days_begin_with_runs(void **state)
{
    (void)state;
    struct train_state s;
    chain(1, &s);
    assert_int_equal(s.n_days, 0);
    assert_int_equal(train_state_since(&s, 1), 0);
    assert_int_equal(train_state_since(&s, 2), 0);
    chain(4, &s);
    assert_int_equal(s.n_days, 3);
    assert_int_equal(train_state_since(&s, 1), 30);
    assert_int_equal(train_state_since(&s, 2), 20);
    assert_int_equal(train_state_since(&s, 4), 0);
    assert_int_equal(train_state_since(&s, 5), 0);
}

/* Only so many days are remembered, the last ones. */
static void the_oldest_days_are_forgotten(void **state)
{
    (void)state;
    struct train_state s;
    size_t n = TRAIN_STATE_DAYS + 34;
    chain(n, &s);
    assert_int_equal(s.n_days, TRAIN_STATE_DAYS);
    for (size_t days = 1; days <= TRAIN_STATE_DAYS; days++)
        assert_int_equal(train_state_since(&s, days), 10 * (n - days));
}

/* A run without steps, as train.max_steps: 0 makes, is no day: those before it count. */
static void a_run_without_steps_is_no_day(void **state)
{
    (void)state;
    struct train_state s;
    chain(4, &s);
    struct train_state none = {.past.steps = 40}, after = {.step = 10, .past.steps = 40};
    train_state_next_day(&s, &none);
    assert_int_equal(none.n_days, 4);
    for (size_t n = 1; n <= 5; n++)
        assert_int_equal(train_state_since(&none, n), train_state_since(&s, n));
    train_state_next_day(&none, &after);
    assert_int_equal(after.n_days, 4);
    assert_int_equal(train_state_since(&after, 1), 40);
    assert_int_equal(train_state_since(&after, 2), 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_begin_with_runs),
        cmocka_unit_test(the_oldest_days_are_forgotten),
        cmocka_unit_test(a_run_without_steps_is_no_day),
    };
    return cmocka_run_group_tests_name("train_state", tests, NULL, NULL);
}
