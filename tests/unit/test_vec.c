#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rng.h"
#include "common/math/vec.h"

enum { MAX_N = 70, SHIFTS = 17, SIZE = MAX_N + SHIFTS + 1 };

static void fill(float *x, size_t n, uint32_t which)
{
    struct rng r = rng_make(3, RNG_TEST, 0);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_uniform(&r, i, which) * 4 - 2;
}

/* y after each kernel that adds to or scales y. */
enum kernel { ADD, AXPY, SCALE, MUL_ADD, N_KERNELS };

static void run(enum kernel kernel, size_t n, const float *a, const float *b, float *y)
{
    switch (kernel) {
    case ADD:
        vec_add(n, a, y);
        break;
    case AXPY:
        vec_axpy(n, 0.7f, a, y);
        break;
    case SCALE:
        vec_scale(n, 0.7f, y);
        break;
    case MUL_ADD:
        vec_mul_add(n, a, b, y);
        break;
    case N_KERNELS:
        break;
    }
}

/* Product and sum are rounded one by one: the only sequence that all machines share. */
static float expected(enum kernel kernel, float a, float b, float y)
{
    volatile float product = kernel == AXPY ? 0.7f * a : a * b;
    switch (kernel) {
    case ADD:
        return y + a;
    case SCALE:
        return 0.7f * y;
    default:
        return y + product;
    }
}

/* Every length and alignment gives the bits of a plain float loop, and no float
 * beyond the last is written. */
static void test_elementwise_kernels_are_plain_loops(void **state)
{
    (void)state;
    float a[SIZE], b[SIZE], from[SIZE], y[SIZE];
    fill(a, SIZE, 0);
    fill(b, SIZE, 1);
    fill(from, SIZE, 2);
    for (enum kernel kernel = ADD; kernel < N_KERNELS; kernel++)
        for (size_t n = 0; n <= MAX_N; n++)
            for (size_t shift = 0; shift < SHIFTS; shift++) {
                memcpy(y, from, sizeof y);
                run(kernel, n, a + shift, b + shift, y + shift);
                for (size_t i = 0; i < SIZE; i++) {
                    bool in = i >= shift && i < shift + n;
                    float want = in ? expected(kernel, a[i], b[i], from[i]) : from[i];
                    assert_memory_equal(&y[i], &want, sizeof want);
                }
            }
}

/* Lists of rows give the bits of one row after another, whatever their lengths, and write
 * nothing beside their columns. */
static void test_lists_of_rows_are_added_in_order(void **state)
{
    (void)state;
    enum { ROWS = 23, LISTS = 5, WIDTH = 150 };
    static const uint32_t first[LISTS + 1] = {0, 1, 1, 5, 14, ROWS};
    static float x[ROWS][WIDTH + ROWS], a[ROWS], start[LISTS * WIDTH], y[LISTS * WIDTH], want[LISTS * WIDTH];
    const float *rows[ROWS + VEC_AHEAD];
    fill(a, ROWS, 3);
    fill(start, LISTS * WIDTH, 2);
    for (size_t r = 0; r < ROWS; r++) fill(x[r], WIDTH + ROWS, (uint32_t)(4 + r));
    for (size_t r = 0; r < ROWS + VEC_AHEAD; r++) rows[r] = x[r % ROWS] + r % ROWS; /* not aligned */
    for (size_t n = 0; n <= WIDTH; n += n < 40 ? 1 : 7) {
        memcpy(want, start, sizeof want);
        for (size_t l = 0; l < LISTS; l++)
            for (size_t r = first[l]; r < first[l + 1]; r++) vec_axpy(n, a[r], rows[r], want + l * WIDTH);
        memcpy(y, start, sizeof y);
        vec_axpy_lists(n, LISTS, first, a, rows, y, WIDTH);
        assert_memory_equal(y, want, sizeof y);
        memcpy(y, start, sizeof y);
        vec_axpy_far_lists(n, LISTS, first, a, rows, y, WIDTH);
        assert_memory_equal(y, want, sizeof y);
    }
}

/* y may be x. */
static void test_add_in_place_doubles(void **state)
{
    (void)state;
    float x[MAX_N], y[MAX_N];
    fill(x, MAX_N, 0);
    memcpy(y, x, sizeof y);
    vec_add(MAX_N, y, y);
    for (size_t i = 0; i < MAX_N; i++) assert_true(y[i] == 2 * x[i]);
}

/* Sums agree with long double to the rounding of their length. */
static void test_sums_follow_the_reference(void **state)
{
    (void)state;
    float a[MAX_N], b[MAX_N];
    fill(a, MAX_N, 0);
    fill(b, MAX_N, 1);
    for (size_t n = 0; n <= MAX_N; n++) {
        long double dot = 0, squares = 0, size = 0;
        for (size_t i = 0; i < n; i++) {
            dot += (long double)a[i] * b[i];
            size += fabsl((long double)a[i] * b[i]);
            squares += (long double)a[i] * a[i];
        }
        assert_true(fabsl(vec_dot(n, a, b) - dot) <= 12 * FLT_EPSILON * size);
        assert_true(fabsl(vec_sum_squares(n, a) - squares) <= 20 * DBL_EPSILON * squares);
    }
}

/* A sum's bits depend on the floats and their number alone, not on where they lie. */
static void test_sums_do_not_depend_on_alignment(void **state)
{
    (void)state;
    float a[MAX_N], b[MAX_N], x[SIZE], y[SIZE];
    fill(a, MAX_N, 0);
    fill(b, MAX_N, 1);
    for (size_t n = 0; n <= MAX_N; n++)
        for (size_t shift = 0; shift < SHIFTS; shift++) {
            memcpy(x + shift, a, sizeof a);
            memcpy(y + SHIFTS - shift, b, sizeof b);
            float dot = vec_dot(n, a, b),
                  moved = vec_dot(n, x + shift, y + SHIFTS - shift);
            assert_memory_equal(&dot, &moved, sizeof dot);
            double sum = vec_sum_squares(n, a), there = vec_sum_squares(n, x + shift);
            assert_memory_equal(&sum, &there, sizeof sum);
        }
}

/* Squares are summed in double: they neither overflow nor vanish. */
static void test_squares_of_extreme_floats_are_summed(void **state)
{
    (void)state;
    float big[3] = {FLT_MAX, FLT_MAX, FLT_MAX}, small[2] = {0x1p-149f, 0x1p-149f};
    assert_true(vec_sum_squares(3, big) == 3.0 * (double)FLT_MAX * (double)FLT_MAX);
    assert_true(vec_sum_squares(2, small) == 0x1p-297);
}

/* One NaN, inf or number from 2^50 on at any place is found, and nothing beyond the last
 * float counts. */
static void test_is_moderate_finds_any_place(void **state)
{
    (void)state;
    const float bad[] = {INFINITY, -INFINITY, NAN, -NAN, 0x1p50f, -FLT_MAX};
    float x[MAX_N + 1];
    for (size_t i = 0; i <= MAX_N; i++) x[i] = i % 3 ? -0x1.fffffep49f : 0x1p-149f;
    for (size_t n = 0; n <= MAX_N; n++)
        for (size_t i = 0; i <= n; i++) {
            float old = x[i];
            x[i] = bad[(n + i) % (sizeof bad / sizeof *bad)];
            assert_int_equal(vec_is_moderate(n, x), i == n);
            x[i] = old;
        }
    assert_true(vec_is_moderate(MAX_N, x));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise_kernels_are_plain_loops),
        cmocka_unit_test(test_lists_of_rows_are_added_in_order),
        cmocka_unit_test(test_add_in_place_doubles),
        cmocka_unit_test(test_sums_follow_the_reference),
        cmocka_unit_test(test_sums_do_not_depend_on_alignment),
        cmocka_unit_test(test_squares_of_extreme_floats_are_summed),
        cmocka_unit_test(test_is_moderate_finds_any_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
