#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "ps/memo.h"
#include "ps/table.h"

static const struct table_shape shape = {.name = "user",
                                         .dim = 4,
                                         .n_state = 4,
                                         .initial_state = 0.5f,
                                         .init = {.kind = INIT_NORMAL, .scale = 0.01},
                                         .seed = 42};

static struct table *make(const struct table_shape *s)
{
    struct table *t;
    assert_int_equal(table_create(s, &t, NULL), ST_OK);
    return t;
}

static struct row *find_one(const struct table *t, uint64_t key)
{
    struct row *r;
    table_find(t, 1, &key, &r);
    return r;
}

/* 200,000 operations on a small key space agree with a plain array of flags. */
static void test_agrees_with_a_plain_map(void **state)
{
    (void)state;
    enum { SPACE = 30000 };
    struct table *t = make(&shape);
    uint64_t *expected = mem_zeroed(SPACE, sizeof *expected);
    struct rng rng = rng_make(1, RNG_TEST, 0);
    size_t n = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        uint64_t x = rng_u64(&rng, i, 0) % SPACE, key = hash_mix(x);
        struct row *r = find_one(t, key);
        assert_int_equal(r != NULL, expected[x] != 0);
        if (!r) {
            assert_int_equal(table_insert(t, key, NULL, &r, NULL), ST_OK);
            n++;
        }
        assert_int_equal(r->key, key);
        assert_int_equal(r->count, expected[x]);
        r->count = ++expected[x];
    }
    assert_int_equal(table_rows(t), n);
    mem_free(expected);
    table_destroy(t);
}

/* Inserting and removing at random agrees with a plain array of counts: rows of others
 * stay, whatever is taken out from between them. Rows without weights have 32 bytes. */
static void test_removal_agrees_with_a_plain_map(void **state)
{
    (void)state;
    enum { SPACE = 700 };
    const struct table_shape shapes[] = {shape, {.name = "keys", .seed = 1}};
    for (size_t s = 0; s < 2; s++) {
        struct table *t = make(&shapes[s]);
        uint64_t expected[SPACE] = {0};
        struct rng rng = rng_make(2, RNG_TEST, s);
        size_t n = 0;
        for (uint64_t i = 0; i < 100000; i++) {
            uint64_t x = rng_u64(&rng, i, 0) % SPACE, key = hash_mix(x);
            struct row *r = find_one(t, key);
            assert_int_equal(r ? r->count : 0, expected[x]);
            if (!r) {
                assert_int_equal(table_insert(t, key, NULL, &r, NULL), ST_OK);
                r->count = expected[x] = i + 1;
                n++;
            } else {
                table_remove(t, key);
                expected[x] = 0;
                n--;
            }
            table_remove(t, hash_mix(x + SPACE)); /* never there */
            assert_int_equal(table_rows(t), n);
        }
        for (uint64_t x = 0; x < SPACE; x++) {
            const struct row *r = find_one(t, hash_mix(x));
            assert_int_equal(r ? r->count : 0, expected[x]);
            assert_true(!r || r->key == hash_mix(x));
        }
        const char *first = (const char *)table_row(t, 0), *second = (const char *)table_row(t, 1);
        assert_int_equal(second - first, s ? 32 : 64);
        table_destroy(t);
    }
}

/* Rows never move: a pointer stays good while the table grows. */
static void test_rows_stay_where_they_are(void **state)
{
    (void)state;
    struct table *t = make(&shape);
    struct row *first, *r;
    assert_int_equal(table_insert(t, 7, NULL, &first, NULL), ST_OK);
    for (uint64_t k = 100; k < 20000; k++)
        assert_int_equal(table_insert(t, k, NULL, &r, NULL), ST_OK);
    assert_ptr_equal(find_one(t, 7), first);
    assert_int_equal((uintptr_t)r % 64, 0);
    table_destroy(t);
}

/* The extreme keys are keys like any other. */
static void test_extreme_keys(void **state)
{
    (void)state;
    struct table *t = make(&shape);
    const uint64_t keys[3] = {0, 1, UINT64_MAX};
    struct row *r;
    for (size_t i = 0; i < 3; i++) {
        assert_null(find_one(t, keys[i]));
        assert_int_equal(table_insert(t, keys[i], NULL, &r, NULL), ST_OK);
        assert_ptr_equal(find_one(t, keys[i]), r);
    }
    struct row *again;
    assert_int_equal(table_insert(t, UINT64_MAX, NULL, &again, NULL), ST_OK);
    assert_ptr_equal(again, r);
    assert_int_equal(table_rows(t), 3);
    table_destroy(t);
}

/* A row is born with the weights that table_initial gives, the initial state and
 * no count; they depend on seed, table name and key, not on the order of births. */
static void test_birth_is_a_function_of_the_key(void **state)
{
    (void)state;
    struct table *a = make(&shape), *b = make(&shape);
    struct table_shape other = shape;
    other.name = "item";
    struct table *c = make(&other);
    float w[4], v[4];
    struct row *r;
    for (uint64_t k = 0; k < 500; k++)
        assert_int_equal(table_insert(a, k, NULL, &r, NULL), ST_OK);
    for (uint64_t k = 500; k--;)
        assert_int_equal(table_insert(b, k, NULL, &r, NULL), ST_OK);
    for (uint64_t k = 0; k < 500; k++) {
        const struct row *x = find_one(a, k), *y = find_one(b, k);
        assert_memory_equal(x->values, y->values, 8 * sizeof(float));
        table_initial(b, k, w);
        assert_memory_equal(x->values, w, sizeof w);
        assert_true(x->values[4] == 0.5f && x->values[7] == 0.5f);
        assert_int_equal(x->count + x->last_step, 0);
    }
    table_initial(c, 499, v);
    table_initial(a, 499, w);
    assert_memory_not_equal(v, w, sizeof w);
    table_destroy(a);
    table_destroy(b);
    table_destroy(c);
}

/* The memo gives what table_initial gives, for tables of different widths, with
 * more keys than it has places. */
static void test_memo_changes_nothing(void **state)
{
    (void)state;
    struct table_shape wide = shape;
    wide.name = "item";
    wide.dim = 7;
    struct table *tables[2] = {make(&shape), make(&wide)};
    struct memo *memo;
    assert_int_equal(memo_create(7, &memo, NULL), ST_OK);
    for (uint64_t i = 0; i < 60000; i++) {
        size_t n = i % 2;
        float w[7];
        uint64_t key = i / 3;
        table_initial(tables[n], key, w);
        assert_memory_equal(memo_initial(memo, n, tables[n], key), w,
                            (n ? 7 : 4) * sizeof *w);
    }
    memo_destroy(memo);
    table_destroy(tables[0]);
    table_destroy(tables[1]);
}

/* The four ways to initialise have the mean and spread that they promise. */
static void test_initial_distributions(void **state)
{
    (void)state;
    const struct init_cfg init[4] = {
        {INIT_ZERO, 1}, {INIT_CONSTANT, 0.25}, {INIT_UNIFORM, 0.5}, {INIT_NORMAL, 0.5}};
    const double mean[4] = {0, 0.25, 0, 0}, sd[4] = {0, 0, 0.5 / 1.7320508, 0.5};
    for (size_t i = 0; i < 4; i++) {
        struct table_shape s = shape;
        s.init = init[i];
        struct table *t = make(&s);
        double sum = 0, squares = 0;
        for (uint64_t k = 0; k < 20000; k++) {
            float w[4];
            table_initial(t, k, w);
            for (size_t d = 0; d < 4; d++) {
                assert_true(isfinite(w[d]));
                sum += (double)w[d];
                squares += (double)w[d] * w[d];
            }
        }
        double m = sum / 80000, v = squares / 80000 - m * m;
        assert_true(fabs(m - mean[i]) < 0.01);
        assert_true(fabs(sqrt(fabs(v)) - sd[i]) < 0.01);
        table_destroy(t);
    }
}

/* Sorted rows are all rows, in (bucket, key) order. */
static void test_sorted_order(void **state)
{
    (void)state;
    struct table *t = make(&shape);
    struct row *r, **rows;
    for (uint64_t k = 0; k < 10000; k++)
        assert_int_equal(table_insert(t, hash_mix(k) >> 7, NULL, &r, NULL), ST_OK);
    assert_int_equal(table_sorted(t, &rows, NULL), ST_OK);
    for (size_t i = 1; i < table_rows(t); i++)
        assert_true(partition_before(rows[i - 1]->key, rows[i]->key));
    mem_free(rows);
    table_clear(t);
    assert_int_equal(table_rows(t), 0);
    assert_null(find_one(t, hash_mix(3) >> 7));
    assert_int_equal(table_sorted(t, &rows, NULL), ST_OK);
    mem_free(rows);
    table_destroy(t);
}

/* A table that cannot grow says so with its name, and stays usable. */
static void test_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t k = 1; k <= 3; k++) {
        struct table *t;
        mem_fail_at(k);
        assert_int_equal(table_create(&shape, &t, NULL), ST_NOMEM);
        mem_fail_at(0);
    }
    struct table *t = make(&shape);
    struct error err;
    struct row *r;
    uint64_t key = 0, failures = 0;
    while (failures < 4) {
        mem_fail_at(1);
        enum status st = table_insert(t, key, NULL, &r, &err);
        mem_fail_at(0);
        if (st == ST_OK) {
            key++;
            continue;
        }
        failures++;
        assert_int_equal(st, ST_NOMEM);
        assert_non_null(strstr(err.text, "table user with"));
        assert_null(find_one(t, key));
        assert_int_equal(table_rows(t), key);
        assert_int_equal(table_insert(t, key++, NULL, &r, &err), ST_OK);
    }
    table_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_a_plain_map),
        cmocka_unit_test(test_removal_agrees_with_a_plain_map),
        cmocka_unit_test(test_rows_stay_where_they_are),
        cmocka_unit_test(test_extreme_keys),
        cmocka_unit_test(test_birth_is_a_function_of_the_key),
        cmocka_unit_test(test_memo_changes_nothing),
        cmocka_unit_test(test_initial_distributions),
        cmocka_unit_test(test_sorted_order),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
