/* common/base/rng: numbers that are pure functions of their counter. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rng.h"

/* Philox4x32-10: the known answers of the algorithm's authors (counter and key
 * all zero, all one, digits of pi), as rng_u64 lays counter and key out. */
static void test_philox_known_answers(void **state)
{
    (void)state;
    struct rng zeros = {0, 0};
    assert_true(rng_u64(&zeros, 0, 0) == UINT64_C(0xe169c58d6627e8d5));
    struct rng ones = {UINT64_C(0x00000000ffffffff), UINT64_MAX};
    assert_true(rng_u64(&ones, UINT64_MAX, UINT32_MAX) == UINT64_C(0x41c83b0e408f276d));
    struct rng pi = {UINT64_C(0x299f31d0a4093822), 0x03707344};
    assert_true(rng_u64(&pi, UINT64_C(0x85a308d3243f6a88), 0x13198a2e) ==
                UINT64_C(0x94fdccebd16cfe09));
}

/* Frozen: initial rows, tensors and row orders of stored models follow from these. */
static void test_streams_golden(void **state)
{
    (void)state;
    struct rng row = rng_named(42, RNG_ROW_INIT, "user_id");
    struct rng order = rng_make(42, RNG_BLOCK_ORDER, 7);
    assert_true(rng_u64(&row, 1, 0) == UINT64_C(0x0a9ba8d08d51cc92));
    assert_true(rng_u64(&order, 1, 0) == UINT64_C(0x20f886224754885f));
}

/* Seed, purpose, stream, index and sub each make another number. */
static void test_every_coordinate_counts(void **state)
{
    (void)state;
    struct rng r = rng_make(1, RNG_TEST, 1);
    struct rng seed = rng_make(2, RNG_TEST, 1), stream = rng_make(1, RNG_TEST, 2);
    struct rng purpose = rng_make(1, RNG_SYNTH, 1);
    struct rng high_seed = rng_make(1 | UINT64_C(1) << 40, RNG_TEST, 1);
    uint64_t x = rng_u64(&r, 5, 5);
    assert_true(x == rng_u64(&r, 5, 5));
    assert_true(x != rng_u64(&seed, 5, 5));
    assert_true(x != rng_u64(&high_seed, 5, 5));
    assert_true(x != rng_u64(&stream, 5, 5));
    assert_true(x != rng_u64(&purpose, 5, 5));
    assert_true(x != rng_u64(&r, 6, 5));
    assert_true(x != rng_u64(&r, 5 | UINT64_C(1) << 40, 5));
    assert_true(x != rng_u64(&r, 5, 6));
}

/* A name is another stream than any number, per purpose. */
static void test_named_streams_differ(void **state)
{
    (void)state;
    struct rng a = rng_named(1, RNG_ROW_INIT, "video_id");
    struct rng b = rng_named(1, RNG_ROW_INIT, "video_ie");
    struct rng c = rng_named(1, RNG_TENSOR_INIT, "video_id");
    assert_true(rng_u64(&a, 0, 0) != rng_u64(&b, 0, 0));
    assert_true(rng_u64(&a, 0, 0) != rng_u64(&c, 0, 0));
}

/* Uniform numbers lie in [0, 1) with mean 1/2 and variance 1/12. The limits are
 * six standard errors of 100,000 draws. */
static void test_uniform_moments(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct rng r = rng_make(3, RNG_TEST, 0);
    double sum = 0, sum2 = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = rng_uniform(&r, i, 0);
        assert_true(u >= 0 && u < 1);
        sum += u;
        sum2 += (u - 0.5) * (u - 0.5);
    }
    assert_true(fabs(sum / N - 0.5) < 6 * 0.29 / 316);
    assert_true(fabs(sum2 / N - 1.0 / 12) < 6 * 0.075 / 316);
}

/* A permutation holds every number once, for none, one and many. */
static void test_permutation_is_one(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 2, 3, 1000, 65536};
    static uint32_t order[65536];
    static unsigned char seen[65536];
    struct rng r = rng_make(4, RNG_TEST, 0);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        memset(seen, 0, sizeof seen);
        rng_permutation(&r, sizes[s], order);
        for (uint32_t i = 0; i < sizes[s]; i++) {
            assert_in_range(order[i], 0, sizes[s] - 1);
            assert_int_equal(seen[order[i]]++, 0);
        }
    }
}

/* All six orders of three come up equally often: 6,000 draws, six standard
 * deviations. */
static void test_permutation_is_fair(void **state)
{
    (void)state;
    int count[27] = {0};
    for (uint64_t i = 0; i < 6000; i++) {
        struct rng r = rng_make(5, RNG_TEST, i);
        uint32_t p[3];
        rng_permutation(&r, 3, p);
        count[p[0] * 9 + p[1] * 3 + p[2]]++;
    }
    static const int orders[] = {0 * 9 + 5, 0 * 9 + 7, 9 + 2, 9 + 6, 18 + 1, 18 + 3};
    for (size_t i = 0; i < 6; i++)
        assert_in_range(count[orders[i]], 1000 - 174, 1000 + 174);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_streams_golden),
        cmocka_unit_test(test_every_coordinate_counts),
        cmocka_unit_test(test_named_streams_differ),
        cmocka_unit_test(test_uniform_moments),
        cmocka_unit_test(test_permutation_is_one),
        cmocka_unit_test(test_permutation_is_fair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
