/* common/base/partition: who owns which key and which float. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/partition.h"

/* The parts of a range are disjoint, in order, complete, and differ by one at most. */
static void test_parts_cover(void **state)
{
    (void)state;
    static const size_t totals[] = {0, 1, 2, 7, 1024, 154071, SIZE_MAX / 2};
    for (size_t t = 0; t < sizeof totals / sizeof *totals; t++) {
        for (size_t n = 1; n <= 17; n++) {
            size_t at = 0;
            for (size_t i = 0; i < n; i++) {
                struct range r = partition_part(totals[t], i, n);
                assert_int_equal(r.first, at);
                assert_in_range(r.end - r.first, totals[t] / n, totals[t] / n + 1);
                at = r.end;
            }
            assert_int_equal(at, totals[t]);
        }
    }
}

/* Frozen: buckets of keys. A change would move stored rows between servers. */
static void test_bucket_golden(void **state)
{
    (void)state;
    assert_int_equal(partition_bucket(0), 0);
    assert_int_equal(partition_bucket(1), 346);
    assert_int_equal(partition_bucket(UINT64_MAX), 723);
    assert_int_equal(partition_bucket(hash_id("missing", 7)), 783);
}

/* Small numbers as keys (`key: uint64`) fill the buckets evenly: 1,024,000 keys,
 * 1,000 a bucket, six standard deviations. */
static void test_buckets_are_even(void **state)
{
    (void)state;
    static int count[N_BUCKETS];
    for (uint64_t key = 0; key < 1000 * N_BUCKETS; key++) {
        uint32_t b = partition_bucket(key);
        assert_in_range(b, 0, N_BUCKETS - 1);
        count[b]++;
    }
    for (int b = 0; b < N_BUCKETS; b++) assert_in_range(count[b], 1000 - 190, 1000 + 190);
}

/* (bucket, key) is a strict order: never both ways, and bucket comes first. */
static void test_order_is_strict(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t a = hash_mix(i * 2 + 1);
        assert_false(partition_before(a, a));
        for (uint64_t j = 0; j < i; j++) {
            uint64_t b = hash_mix(j * 2 + 1);
            assert_true(partition_before(a, b) != partition_before(b, a));
            if (partition_bucket(a) < partition_bucket(b))
                assert_true(partition_before(a, b));
        }
    }
}

/* Every bucket belongs to one server for any number of servers, and a run in key
 * order is in server order. */
static void test_buckets_map_in_ranges(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 16; n++) {
        size_t at = 0;
        for (size_t s = 0; s < n; s++) {
            struct range r = partition_buckets(s, n);
            assert_int_equal(r.first, at);
            assert_true(r.end > r.first);
            at = r.end;
        }
        assert_int_equal(at, N_BUCKETS);
    }
}

/* Dense floats are cut at whole blocks, cover the vector once, and a server may
 * own none when there are fewer blocks than servers. */
static void test_dense_blocks_cover(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1023, 1024, 1025, 330912, 5000000};
    for (size_t t = 0; t < sizeof sizes / sizeof *sizes; t++) {
        for (size_t n = 1; n <= 16; n++) {
            size_t at = 0;
            for (size_t s = 0; s < n; s++) {
                struct range r = partition_dense(sizes[t], s, n);
                assert_true(r.first <= r.end);
                if (r.first < r.end) {
                    assert_int_equal(r.first, at);
                    assert_int_equal(r.first % DENSE_BLOCK, 0);
                    at = r.end;
                }
            }
            assert_int_equal(at, sizes[t]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_cover),
        cmocka_unit_test(test_bucket_golden),
        cmocka_unit_test(test_buckets_are_even),
        cmocka_unit_test(test_order_is_strict),
        cmocka_unit_test(test_buckets_map_in_ranges),
        cmocka_unit_test(test_dense_blocks_cover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
