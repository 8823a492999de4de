/* The pieces of a level: layers and mixtures against plain loops, for widths and
 * counts around the vector sizes, with strides. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/math/blas.h"
#include "model/layers.h"
#include "model/mix.h"

/* Sums of at most 100 products of numbers below 1, in float. */
static const double TOLERANCE = 1e-5;

static float *random_floats(size_t n, uint64_t stream)
{
    struct rng r = rng_make(3, RNG_TEST, stream);
    float *v = mem_array(n, sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < n; i++) v[i] = (float)(2 * rng_uniform(&r, i, 0) - 1);
    return v;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= TOLERANCE * (1 + fabs(b));
}

/* ---- mixtures ---- */

enum { ROWS = 19, MOST = 12 };

static void check_mix_forward(size_t n, size_t width)
{
    size_t ld = width + 8;
    float *g = random_floats(ROWS * n, 1), *out = random_floats(ROWS * ld, 2), *f[MOST];
    struct mix_rows experts[MOST];
    for (size_t i = 0; i < n; i++) {
        f[i] = random_floats(ROWS * ld, 10 + i);
        experts[i] = (struct mix_rows){f[i] + 8, ld};
    }
    mix_forward(ROWS, n, width, (struct mix_rows){g, n}, experts,
                (struct mix_rows){out, ld});
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < width; c++) {
            double want = 0;
            for (size_t i = 0; i < n; i++)
                want += (double)g[r * n + i] * (double)f[i][8 + r * ld + c];
            assert_true(near((double)out[r * ld + c], want));
        }
    for (size_t i = 0; i < n; i++) mem_free(f[i]);
    mem_free(out);
    mem_free(g);
}

/* Any number of experts, widths below, at and between the unrolled sizes. */
static void test_mix_forward_equals_plain_loops(void **state)
{
    (void)state;
    static const size_t widths[] = {8, 16, 32, 40, 64, 72};
    for (size_t n = 1; n <= MOST; n++)
        for (size_t w = 0; w < 6; w++) check_mix_forward(n, widths[w]);
}

static void check_mix_backward(size_t n, size_t width)
{
    size_t ld = width + 8;
    float *g = random_floats(ROWS * n, 1), *f = random_floats(ROWS * ld, 2);
    float *df = random_floats(ROWS * ld, 3), *q = random_floats(ROWS * n, 4), *d[MOST];
    struct mix_use use[MOST];
    for (size_t j = 0; j < n; j++) {
        d[j] = random_floats(ROWS * width, 10 + j);
        use[j] = (struct mix_use){
            {g + j, n}, {d[j], width}, {q + j, n}, 1 - 0.25f * (float)j};
    }
    mix_backward(ROWS, n, width, (struct mix_rows){f, ld}, use,
                 (struct mix_rows){df, ld});
    for (size_t r = 0; r < ROWS; r++) {
        double dot[MOST] = {0};
        for (size_t c = 0; c < width; c++) {
            double want = 0;
            for (size_t j = 0; j < n; j++) {
                want += (double)use[j].factor * (double)g[r * n + j] *
                        (double)d[j][r * width + c];
                dot[j] += (double)f[r * ld + c] * (double)d[j][r * width + c];
            }
            assert_true(near((double)df[r * ld + c], want));
        }
        for (size_t j = 0; j < n; j++) assert_true(near((double)q[r * n + j], dot[j]));
    }
    for (size_t j = 0; j < n; j++) mem_free(d[j]);
    mem_free(q);
    mem_free(df);
    mem_free(f);
    mem_free(g);
}

/* No use at all gives zeros; uses come in groups of four. */
static void test_mix_backward_equals_plain_loops(void **state)
{
    (void)state;
    for (size_t n = 0; n <= MOST; n++)
        for (size_t width = 8; width <= 72; width += 32) check_mix_backward(n, width);
}

/* The softmax's backward: gradients of the gate's outputs add up to 0 in each row. */
static void test_softmax_backward_by_hand(void **state)
{
    (void)state;
    float g[] = {0.25f, 0.75f, 1}, q[] = {2, 4, 9};
    mix_softmax_backward(1, 2, (struct mix_rows){g, 2}, (struct mix_rows){q, 2});
    assert_true(q[0] == 0.25f * (2 - 3.5f) && q[1] == 0.75f * (4 - 3.5f) && q[2] == 9);
}

/* A row's mixture has the same bits alone and among others. */
static void test_mix_forward_looks_at_one_row(void **state)
{
    (void)state;
    float *g = random_floats(ROWS * 3, 1), *f = random_floats(ROWS * 3 * 40, 2);
    float *all = random_floats(ROWS * 40, 3), *one = random_floats(40, 4);
    struct mix_rows e[3] = {{f, 120}, {f + 40, 120}, {f + 80, 120}};
    mix_forward(ROWS, 3, 40, (struct mix_rows){g, 3}, e, (struct mix_rows){all, 40});
    for (size_t r = 0; r < ROWS; r++) {
        struct mix_rows at[3];
        for (size_t i = 0; i < 3; i++) at[i] = (struct mix_rows){e[i].p + r * 120, 120};
        mix_forward(1, 3, 40, (struct mix_rows){g + r * 3, 3}, at,
                    (struct mix_rows){one, 40});
        assert_memory_equal(one, all + r * 40, 40 * sizeof(float));
    }
    mem_free(one);
    mem_free(all);
    mem_free(f);
    mem_free(g);
}

/* ---- layers ---- */

static void check_product(enum product kind, size_t rows, size_t in, size_t out,
                          size_t ldw)
{
    size_t ldx = in + 3, ldy = out + 2;
    float *x = random_floats(rows * ldx, 1), *w = random_floats(in * ldw, 2);
    float *b = random_floats(out, 3), *y = random_floats(rows * ldy, 4);
    layers_product(kind, rows, in, out, x, ldx, w, ldw, b, y, ldy);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < out; j++) {
            double want = (double)b[j];
            for (size_t i = 0; i < in; i++)
                want += (double)x[r * ldx + i] * (double)w[i * ldw + j];
            assert_true(near((double)y[r * ldy + j], want));
        }
    mem_free(y);
    mem_free(b);
    mem_free(w);
    mem_free(x);
}

/* Both kinds of product, one output as well as many. */
static void test_product_equals_plain_loops(void **state)
{
    (void)state;
    for (int kind = PRODUCT_BLAS; kind <= PRODUCT_CHAIN; kind++) {
        check_product((enum product)kind, 9, 33, 17, 24);
        check_product((enum product)kind, 9, 33, 1, 1);
        check_product((enum product)kind, 1, 1, 1, 8);
    }
}

static void check_product_backward(size_t in, size_t out, size_t ldw)
{
    size_t rows = 9, ldx = in + 3, ldy = out + 2;
    float *x = random_floats(rows * ldx, 1), *w = random_floats(in * ldw, 2);
    float *dy = random_floats(rows * ldy, 3), *dx = random_floats(rows * ldx, 4);
    float *dw = random_floats(in * ldw, 5), *db = random_floats(out, 6);
    float *dw0 = random_floats(in * ldw, 5), *db0 = random_floats(out, 6);
    layers_product_backward(false, rows, in, out, x, ldx, w, ldw, dy, ldy, dx, ldx, dw, db);
    for (size_t i = 0; i < in; i++)
        for (size_t j = 0; j < out; j++) {
            double want = (double)dw0[i * ldw + j];
            for (size_t r = 0; r < rows; r++)
                want += (double)x[r * ldx + i] * (double)dy[r * ldy + j];
            assert_true(near((double)dw[i * ldw + j], want));
        }
    for (size_t j = 0; j < out; j++) {
        double want = (double)db0[j];
        for (size_t r = 0; r < rows; r++) want += (double)dy[r * ldy + j];
        assert_true(near((double)db[j], want));
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < in; i++) {
            double want = 0;
            for (size_t j = 0; j < out; j++)
                want += (double)dy[r * ldy + j] * (double)w[i * ldw + j];
            assert_true(near((double)dx[r * ldx + i], want));
        }
    float *all[] = {x, w, dy, dx, dw, db, dw0, db0};
    for (size_t i = 0; i < 8; i++) mem_free(all[i]);
}

/* Gradients of parameters are added, those of inputs overwritten. */
static void test_product_backward_equals_plain_loops(void **state)
{
    (void)state;
    check_product_backward(33, 17, 24);
    check_product_backward(33, 1, 1);
    check_product_backward(1, 2, 8);
}

/* Values against the formula; derivatives against differences of it. */
static void test_activations_equal_their_formulas(void **state)
{
    (void)state;
    enum { N = 21 };
    for (int a = ACT_RELU; a <= ACT_TANH; a++) {
        float y[2 * N], pre[2 * N], dy[2 * N];
        bool keep = a == ACT_GELU || a == ACT_SILU;
        for (size_t i = 0; i < 2 * N; i++) {
            y[i] = pre[i] = (float)(i % N) / 3 - 3.1f;
            dy[i] = 2;
        }
        float x[2 * N];
        memcpy(x, y, sizeof x);
        layers_activate((enum activation)a, 2, N - 1, y, keep ? pre : NULL, N);
        layers_activate_backward((enum activation)a, 2, N - 1, y, keep ? pre : NULL, dy,
                                 N);
        for (size_t i = 0; i < 2 * N; i++) {
            if (i % N == N - 1) { /* beyond the width: untouched */
                assert_true(y[i] == x[i] && dy[i] == 2);
                continue;
            }
            double h = 1e-6, at = (double)x[i];
            double up = layers_activation_reference((enum activation)a, at + h);
            double down = layers_activation_reference((enum activation)a, at - h);
            assert_true(
                near((double)y[i], layers_activation_reference((enum activation)a, at)));
            assert_true(near((double)dy[i], (up - down) / h));
        }
    }
}

static int setup(void **state)
{
    struct error err;
    (void)state;
    return blas_setup(&err) == ST_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mix_forward_equals_plain_loops),
        cmocka_unit_test(test_mix_backward_equals_plain_loops),
        cmocka_unit_test(test_softmax_backward_by_hand),
        cmocka_unit_test(test_mix_forward_looks_at_one_row),
        cmocka_unit_test(test_product_equals_plain_loops),
        cmocka_unit_test(test_product_backward_equals_plain_loops),
        cmocka_unit_test(test_activations_equal_their_formulas),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
