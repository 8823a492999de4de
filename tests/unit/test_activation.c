#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rng.h"
#include "common/math/vec.h"

typedef void kernel(size_t n, const float *x, float *y);
typedef void backward_kernel(size_t n, const float *x, const float *dy, float *dx);
typedef long double judge(long double);

enum { MAX_N = 70, SHIFTS = 17, SIZE = MAX_N + SHIFTS, CHUNK = 1000, CHUNKS = 60 };

/* ---- judges in long double ---- */

static long double sigmoid(long double x)
{
    return 1 / (1 + expl(-x));
}

static long double relu(long double x)
{
    return x > 0 ? x : 0;
}

static long double silu(long double x)
{
    return x * sigmoid(x);
}

static long double gelu(long double x)
{
    return x / 2 * (1 + tanhl(sqrtl(2 / acosl(-1)) * (x + 0.044715L * x * x * x)));
}

/* One unit in the last place of the float nearest to y. */
static long double unit(long double y)
{
    int e;
    float f = fabsf((float)y);
    if (f < FLT_MIN) return 0x1p-149L;
    frexpf(f, &e);
    return ldexpl(1, e - 24);
}

static double worst(kernel *f, judge *want, float low, float high)
{
    float x[CHUNK], y[CHUNK];
    double most = 0;
    for (int c = 0; c < CHUNKS; c++) {
        for (int i = 0; i < CHUNK; i++)
            x[i] = low + (high - low) * (float)(c * CHUNK + i) / (CHUNK * CHUNKS);
        f(CHUNK, x, y);
        for (int i = 0; i < CHUNK; i++) {
            long double exact = want(x[i]);
            double error = (double)(fabsl(y[i] - exact) / unit(exact));
            if (!(error <= most)) most = error;
        }
    }
    return most;
}

/* Each kernel stays within the error that its header names. */
static void test_errors_stay_within_the_documented_bounds(void **state)
{
    (void)state;
    static const struct {
        kernel *f;
        judge *want;
        float low, high;
        double bound;
    } cases[] = {
        {vec_exp, expl, -87.3f, 88.72f, 1.1}, {vec_exp, expl, -1, 1, 1.1},
        {vec_exp, expl, -104, -87, 1.1},      {vec_sigmoid, sigmoid, -104, 30, 2.5},
        {vec_sigmoid, sigmoid, -4, 4, 2.5},   {vec_tanh, tanhl, -12, 12, 2.5},
        {vec_tanh, tanhl, -0.5f, 0.5f, 2.5},  {vec_silu, silu, -80, 30, 4},
        {vec_relu, relu, -2, 2, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double error = worst(cases[i].f, cases[i].want, cases[i].low, cases[i].high);
        if (error > cases[i].bound)
            fail_msg("case %zu: %g > %g", i, error, cases[i].bound);
    }
}

/* gelu, whose exponent is a polynomial of x, is right to 1e-7 of x or of itself. */
static void test_gelu_follows_its_formula(void **state)
{
    (void)state;
    for (float x = -30; x < 30; x += 0.0037f) {
        float y;
        vec_gelu(1, &x, &y);
        assert_true(fabsl(y - gelu(x)) <= 1.2e-7L * fmaxl(fabsl(x), fabsl(y)));
    }
}

static float exp_at(float x)
{
    float y;
    vec_exp(1, &x, &y);
    return y;
}

/* exp is finite up to the logarithm of the largest float, inf above, subnormal
 * below -87.3, and 0 below half the least subnormal. */
static void test_exp_uses_the_whole_range(void **state)
{
    (void)state;
    assert_true(isfinite(exp_at(88.4f)) && isfinite(exp_at(88.7f)));
    assert_true(isfinite(exp_at(88.722832f)));
    assert_true(exp_at(88.7229f) == INFINITY);
    assert_true(exp_at(1e30f) == INFINITY && exp_at(INFINITY) == INFINITY);
    assert_true(fabsf(exp_at(-100) - 3.783506e-44f) <= 0x1p-149f);
    assert_true(exp_at(-103.9f) == 0x1p-149f);
    assert_true(exp_at(-104) == 0 && exp_at(-1e30f) == 0 && exp_at(-INFINITY) == 0);
    assert_true(exp_at(0) == 1 && exp_at(-0.0f) == 1);
    assert_true(isnan(exp_at(NAN)) && isnan(exp_at(-NAN)));
}

/* sigmoid and tanh reach their limits without overflow; tanh is odd, also at -0. */
static void test_sigmoid_and_tanh_at_the_ends(void **state)
{
    (void)state;
    const float x[6] = {INFINITY, -INFINITY, 0, 1e30f, -1e30f, -0.0f};
    float s[6], t[6];
    vec_sigmoid(6, x, s);
    vec_tanh(6, x, t);
    assert_true(s[0] == 1 && s[1] == 0 && s[2] == 0.5f && s[3] == 1 && s[4] == 0);
    assert_true(t[0] == 1 && t[1] == -1 && t[2] == 0 && t[3] == 1 && t[4] == -1);
    assert_true(signbit(t[5]) && !signbit(t[2]));
    float tiny = 0x1p-149f, y;
    vec_tanh(1, &tiny, &y);
    assert_true(y == tiny);
}

/* ---- every kernel ---- */

static kernel *const forward[] = {vec_exp,  vec_sigmoid, vec_tanh,
                                  vec_relu, vec_gelu,    vec_silu};
static backward_kernel *const backward[] = {vec_relu_backward, vec_gelu_backward,
                                            vec_silu_backward, vec_tanh_backward};
enum {
    N_FORWARD = sizeof forward / sizeof *forward,
    N_BACKWARD = sizeof backward / sizeof *backward
};

static void fill(float *x, size_t n, uint32_t which)
{
    struct rng r = rng_make(4, RNG_TEST, 0);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_uniform(&r, i, which) * 20 - 10;
}

/* A float gets the same bits alone, in vector body or tail, at any alignment, in
 * place; nothing beyond the last is written. */
static void test_forward_kernels_are_elementwise(void **state)
{
    (void)state;
    float x[SIZE], alone[SIZE], y[SIZE];
    fill(x, SIZE, 0);
    for (size_t f = 0; f < N_FORWARD; f++) {
        for (size_t i = 0; i < SIZE; i++) forward[f](1, &x[i], &alone[i]);
        for (size_t n = 0; n <= MAX_N; n++)
            for (size_t shift = 0; shift < SHIFTS; shift++) {
                memcpy(y, x, sizeof y);
                forward[f](n, (n & 1 ? x : y) + shift, y + shift);
                assert_memory_equal(y, x, shift * sizeof *y);
                assert_memory_equal(y + shift, alone + shift, n * sizeof *y);
                assert_memory_equal(y + shift + n, x + shift + n,
                                    (SIZE - shift - n) * sizeof *y);
            }
    }
}

/* The same for the backward kernels, with dx in the place of dy. */
static void test_backward_kernels_are_elementwise(void **state)
{
    (void)state;
    float x[SIZE], dy[SIZE], alone[SIZE], dx[SIZE];
    fill(x, SIZE, 0);
    fill(dy, SIZE, 1);
    for (size_t f = 0; f < N_BACKWARD; f++) {
        for (size_t i = 0; i < SIZE; i++) backward[f](1, &x[i], &dy[i], &alone[i]);
        for (size_t n = 0; n <= MAX_N; n++)
            for (size_t shift = 0; shift < SHIFTS; shift++) {
                memcpy(dx, dy, sizeof dx);
                backward[f](n, x + shift, (n & 1 ? dy : dx) + shift, dx + shift);
                assert_memory_equal(dx, dy, shift * sizeof *dx);
                assert_memory_equal(dx + shift, alone + shift, n * sizeof *dx);
                assert_memory_equal(dx + shift + n, dy + shift + n,
                                    (SIZE - shift - n) * sizeof *dx);
            }
    }
}

/* NaN in, NaN out: a diverged model does not look healthy behind an activation. */
static void test_nan_stays_nan(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FORWARD; f++) {
        float x[33], y[33];
        for (size_t i = 0; i < 33; i++) x[i] = i % 2 ? NAN : -NAN;
        forward[f](33, x, y);
        for (size_t i = 0; i < 33; i++) assert_true(isnan(y[i]));
    }
}

/* Backward kernels multiply dy by the slope of their forward function. */
static void test_backward_is_the_slope(void **state)
{
    (void)state;
    judge *const judges[N_BACKWARD] = {relu, gelu, silu, tanhl};
    for (size_t f = 0; f < N_BACKWARD; f++)
        for (float x = -9.985f; x < 10; x += 0.0291f) {
            long double h = 1e-6L,
                        slope = (judges[f](x + h) - judges[f](x - h)) / (2 * h);
            bool of_y = f == 0 || f == 3;
            float from = of_y ? (float)judges[f](x) : x, dy = 3, dx;
            backward[f](1, &from, &dy, &dx);
            if (fabsl(dx - dy * slope) >= 3e-6L)
                fail_msg("kernel %zu at %g: %g, not %Lg", f, (double)x, (double)dx,
                         dy * slope);
        }
}

/* Far out the slopes of gelu and silu are 0 and 1, not 0 * inf. */
static void test_slopes_far_out_are_0_and_1(void **state)
{
    (void)state;
    const float x[4] = {-1e30f, 1e30f, -200, 200}, one[4] = {1, 1, 1, 1};
    for (size_t f = 1; f <= 2; f++) {
        float dx[4];
        backward[f](4, x, one, dx);
        assert_true(dx[0] == 0 && dx[1] == 1 && dx[2] == 0 && dx[3] == 1);
    }
}

/* ---- softmax ---- */

/* Rows of every width are the exponentials over their sum, to the rounding of a
 * difference of up to 20; between rows nothing is written. */
static void test_softmax_follows_the_reference(void **state)
{
    (void)state;
    enum { ROWS = 3, LD = MAX_N + 5 };
    for (size_t n = 0; n <= MAX_N; n++) {
        float x[ROWS * LD], y[ROWS * LD];
        fill(x, ROWS * LD, (uint32_t)n);
        memcpy(y, x, sizeof y);
        vec_softmax_rows(ROWS, n, y, LD);
        for (size_t i = 0; i < ROWS * LD; i++) {
            long double sum = 0;
            const float *row = x + i / LD * LD;
            for (size_t j = 0; j < n; j++) sum += expl((long double)row[j]);
            long double want = i % LD < n ? expl((long double)x[i]) / sum : x[i];
            assert_true(fabsl(y[i] - want) <= (i % LD < n ? 2e-6L * want : 0));
        }
    }
}

/* A row's bits depend on its floats alone: not on its place, alignment or stride. */
static void test_softmax_rows_stand_alone(void **state)
{
    (void)state;
    enum { ROWS = 5 };
    for (size_t n = 1; n <= MAX_N; n++) {
        float x[ROWS * MAX_N + SHIFTS], y[ROWS * MAX_N + SHIFTS], row[MAX_N];
        fill(x, ROWS * MAX_N + SHIFTS, 0);
        memcpy(y, x, sizeof y);
        vec_softmax_rows(ROWS, n, y + n % SHIFTS, n);
        for (size_t i = 0; i < ROWS; i++) {
            memcpy(row, x + n % SHIFTS + i * n, n * sizeof *row);
            vec_softmax_rows(1, n, row, n);
            assert_memory_equal(row, y + n % SHIFTS + i * n, n * sizeof *row);
        }
    }
}

/* An entry of share 0 may stand anywhere: the others have the bits they have without it. */
static void test_softmax_takes_no_notice_of_closed_entries(void **state)
{
    (void)state;
    for (size_t n = 1; n < MAX_N; n++) {
        float x[MAX_N], row[MAX_N];
        fill(x, MAX_N, (uint32_t)n);
        for (size_t at = 0; at <= n; at++) {
            memcpy(row, x, at * sizeof *row);
            row[at] = -1e30f;
            memcpy(row + at + 1, x + at, (n - at) * sizeof *row);
            vec_softmax_rows(1, n + 1, row, n + 1);
            float alone[MAX_N];
            memcpy(alone, x, n * sizeof *alone);
            vec_softmax_rows(1, n, alone, n);
            assert_true(row[at] == 0);
            assert_memory_equal(row, alone, at * sizeof *row);
            assert_memory_equal(row + at + 1, alone + at, (n - at) * sizeof *row);
        }
    }
}

/* Huge, tiny and far apart numbers neither overflow nor give NaN. */
static void test_softmax_of_extreme_rows(void **state)
{
    (void)state;
    float x[4][3] = {{3e38f, 3e38f, -3e38f},
                     {-3e38f, -3e38f, -3e38f},
                     {-INFINITY, 5, 5},
                     {0x1p-149f, 0, -0x1p-149f}};
    vec_softmax_rows(4, 3, &x[0][0], 3);
    assert_true(x[0][0] == 0.5f && x[0][1] == 0.5f && x[0][2] == 0);
    assert_true(x[1][0] == x[1][2] && fabsf(x[1][0] - 1 / 3.0f) < 1e-7f);
    assert_true(x[2][0] == 0 && x[2][1] == 0.5f);
    assert_true(x[3][0] == x[3][2] && fabsf(x[3][0] - 1 / 3.0f) < 1e-7f);
    float one = -7e30f;
    vec_softmax_rows(1, 1, &one, 1);
    assert_true(one == 1);
}

/* One NaN makes its row NaN, wherever it stands, and no other row. */
static void test_softmax_keeps_nan_in_its_row(void **state)
{
    (void)state;
    enum { N = 21 };
    for (size_t at = 0; at < N; at++) {
        float x[2 * N];
        fill(x, 2 * N, 0);
        x[at] = NAN;
        vec_softmax_rows(2, N, x, N);
        for (size_t i = 0; i < N; i++) assert_true(isnan(x[i]) && isfinite(x[N + i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_stay_within_the_documented_bounds),
        cmocka_unit_test(test_gelu_follows_its_formula),
        cmocka_unit_test(test_exp_uses_the_whole_range),
        cmocka_unit_test(test_sigmoid_and_tanh_at_the_ends),
        cmocka_unit_test(test_forward_kernels_are_elementwise),
        cmocka_unit_test(test_backward_kernels_are_elementwise),
        cmocka_unit_test(test_nan_stays_nan),
        cmocka_unit_test(test_backward_is_the_slope),
        cmocka_unit_test(test_slopes_far_out_are_0_and_1),
        cmocka_unit_test(test_softmax_follows_the_reference),
        cmocka_unit_test(test_softmax_rows_stand_alone),
        cmocka_unit_test(test_softmax_takes_no_notice_of_closed_entries),
        cmocka_unit_test(test_softmax_of_extreme_rows),
        cmocka_unit_test(test_softmax_keeps_nan_in_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
