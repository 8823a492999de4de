#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rng.h"
#include "common/math/blas.h"

enum { MAX = 40, GAP = 3, SIZE = MAX * (MAX + GAP) };

struct matrices {
    float a[SIZE], b[SIZE], c[SIZE], want[SIZE];
};

static void fill(struct matrices *x)
{
    struct rng r = rng_make(2, RNG_TEST, 0);
    for (uint32_t i = 0; i < SIZE; i++) {
        x->a[i] = (float)rng_uniform(&r, i, 0) - 0.5f;
        x->b[i] = (float)rng_uniform(&r, i, 1) - 0.5f;
        x->c[i] = x->want[i] = (float)rng_uniform(&r, i, 2) - 0.5f;
    }
}

static void same(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, float beta)
{
    struct matrices x;
    size_t lda = (ta ? m : k) + GAP, ldb = (tb ? k : n) + GAP, ldc = n + GAP;
    fill(&x);
    blas_gemm(ta, tb, m, n, k, alpha, x.a, lda, x.b, ldb, beta, x.c, ldc);
    blas_gemm_reference(ta, tb, m, n, k, alpha, x.a, lda, x.b, ldb, beta, x.want, ldc);
    for (size_t i = 0; i < SIZE; i++)
        if (!(fabsf(x.c[i] - x.want[i]) <= 2e-6f))
            fail_msg("%d%d m %zu n %zu k %zu: place %zu is %g, not %g", ta, tb, m, n, k,
                     i, (double)x.c[i], (double)x.want[i]);
}

/* All four forms, at sizes around those of kernels, with gaps between rows, agree
 * with sums in double; nothing outside c is written. */
static void test_gemm_follows_the_reference(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 7, 16, 17, 33, 40};
    enum { N = sizeof sizes / sizeof *sizes };
    for (size_t i = 0; i < N * N * N; i++)
        for (unsigned form = 0; form < 4; form++)
            same(form & 1, form & 2, sizes[i % N], sizes[i / N % N], sizes[i / N / N],
                 1.0f, i % 2 ? 1.0f : 0.0f);
}

/* alpha and beta scale. */
static void test_gemm_scales(void **state)
{
    (void)state;
    static const float factors[] = {0, 1, -1, 0.5f, 3};
    for (unsigned i = 0; i < 25; i++)
        same(i & 1, i & 2, 9, 11, 13, factors[i % 5], factors[i / 5]);
}

/* Sizes of zero: nothing to write, or (k = 0) c times beta. */
static void test_gemm_takes_zero_sizes(void **state)
{
    (void)state;
    for (unsigned form = 0; form < 4; form++)
        for (unsigned zero = 0; zero < 8; zero++)
            for (int beta = 0; beta < 3; beta++)
                same(form & 1, form & 2, zero & 1 ? 0 : 5, zero & 2 ? 0 : 6,
                     zero & 4 ? 0 : 7, 1, (float)beta);
    float c[6] = {1, 2, 3, 4, 5, 6};
    blas_gemm(false, false, 2, 3, 0, 1, NULL, 0, NULL, 3, 0, c, 3);
    for (size_t i = 0; i < 6; i++) assert_true(c[i] == 0);
    blas_gemm(false, false, 0, 3, 2, 1, NULL, 2, NULL, 3, 0, NULL, 3);
}

/* With beta 0 what c held is not read: NaN from a fresh allocation does no harm. */
static void test_beta_zero_forgets_nan(void **state)
{
    (void)state;
    for (size_t k = 0; k < 20; k++)
        for (unsigned form = 0; form < 4; form++) {
            struct matrices x;
            fill(&x);
            for (size_t i = 0; i < SIZE; i++) x.c[i] = i % 2 ? NAN : INFINITY;
            blas_gemm(form & 1, form & 2, 21, 19, k, 1, x.a, 21, x.b, 21, 0, x.c, 19);
            for (size_t i = 0; i < 21 * 19; i++) assert_true(isfinite(x.c[i]));
        }
}

/* The start-up self-test passes, more than once, and the description names a library
 * and a kernel. */
static void test_setup_accepts_this_blas(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(blas_setup(&err), ST_OK);
    assert_int_equal(blas_setup(&err), ST_OK);
    assert_true(strlen(blas_describe()) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_follows_the_reference),
        cmocka_unit_test(test_gemm_scales),
        cmocka_unit_test(test_gemm_takes_zero_sizes),
        cmocka_unit_test(test_beta_zero_forgets_nan),
        cmocka_unit_test(test_setup_accepts_this_blas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
