#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/math/chain.h"
#include "common/math/chain_kernels.h"

enum { MAX_M = 27, MAX_N = 300, MAX_K = 600, SHIFTS = 17, GAP = 3 };
static const float guard = -12345.5f; /* where nothing may be written */

struct space {
    float a[(MAX_K + GAP) * MAX_M + SHIFTS], b[MAX_K * (MAX_N + GAP) + SHIFTS],
        bias[MAX_N + SHIFTS];
    float packed[MAX_K * MAX_N];
    float c[MAX_M * (MAX_N + GAP) + SHIFTS], want[MAX_M * (MAX_N + GAP) + SHIFTS],
        start[MAX_M * (MAX_N + GAP) + SHIFTS];
};

static int set_up(void **state)
{
    struct space *s = mem_array(1, sizeof *s);
    if (!s) return -1;
    struct rng r = rng_make(1, RNG_TEST, 0);
    float *all = (float *)s;
    for (size_t i = 0; i < sizeof *s / sizeof *all; i++)
        all[i] = (float)rng_uniform(&r, i, 0) - 0.5f;
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    mem_free(*state);
    return 0;
}

struct shape {
    size_t m, n, k, shift;
    bool bias, accumulate;
};

/* Kernels and reference from the same start give the same bits, in and between the
 * rows of c. */
static void same_as_reference(struct space *s, const struct chain_kernels *kernels,
                              struct shape d)
{
    size_t lda = d.k + GAP, ldb = d.n + GAP, ldc = d.n + GAP, size = d.m * ldc;
    const float *a = s->a + d.shift, *b = s->b + d.shift,
                *bias = d.bias ? s->bias + d.shift : NULL;
    float *c = s->c + d.shift, *want = s->want + d.shift;
    struct chain_matrix forms[] = {{b, ldb, false}, {s->packed, 0, true}};
    chain_pack_with(kernels, d.n, d.k, b, ldb, s->packed);
    for (size_t i = 0; i < size; i++)
        want[i] = i % ldc < d.n ? (float)(i % 89) - 44.3f : guard;
    float *start = s->start;
    memcpy(start, want, size * sizeof *want);
    chain_gemm_reference(d.m, d.n, d.k, a, lda, b, ldb, bias, d.accumulate, want, ldc);
    for (size_t f = 0; f < 2; f++) {
        memcpy(c, start, size * sizeof *c);
        chain_gemm_with(kernels, d.m, d.n, d.k, a, lda, forms[f], bias, d.accumulate, c, ldc);
        if (memcmp(c, want, size * sizeof *c))
            fail_msg("%s m %zu n %zu k %zu shift %zu bias %d accumulate %d packed %zu",
                     kernels->name, d.m, d.n, d.k, d.shift, d.bias, d.accumulate, f);
    }
}

static void every_kernel(struct space *s, struct shape d)
{
    for (const struct chain_kernels *const *k = chain_kernels_all; *k; k++)
        if ((*k)->runs_here()) same_as_reference(s, *k, d);
}

/* Every instruction set gives the bits of three plain loops of fmaf, for tiles whole
 * and cut, with and without bias, from +0 and going on. */
static void test_bits_are_those_of_plain_loops(void **state)
{
    static const size_t n[] = {1,  2,  3,  4,  5,  7,  8,  9,  15, 16,  17,  24,  31, 32,
                               33, 40, 47, 48, 63, 64, 65, 80, 95, 127, 128, 129, 144};
    static const size_t k[] = {0, 1, 2, 7, 8, 9, 16, 31};
    for (size_t m = 1; m <= MAX_M; m += m < 13 ? 1 : 5)
        for (size_t i = 0; i < sizeof n / sizeof *n; i++)
            for (size_t j = 0; j < sizeof k / sizeof *k; j++)
                for (unsigned how = 0; how < 4; how++)
                    every_kernel(*state,
                                 (struct shape){m, n[i], k[j], 0, how & 1, how & 2});
}

/* Cutting a long k in blocks does not touch the chain. */
static void test_long_chains_stay_whole(void **state)
{
    static const size_t k[] = {255, 256, 257, 511, 512, 513, 600};
    static const size_t m[] = {1, 2, 6, 23, 24, 25}, n[] = {5, 70, 161, 300};
    for (size_t h = 0; h < sizeof k / sizeof *k; h++)
        for (size_t i = 0; i < sizeof m / sizeof *m; i++)
            for (size_t j = 0; j < sizeof n / sizeof *n; j++)
                every_kernel(*state,
                             (struct shape){m[i], n[j], k[h], h % 5, h % 2, h % 3 == 0});
}

/* Where the arrays start does not matter. */
static void test_alignment_does_not_matter(void **state)
{
    for (size_t shift = 0; shift < SHIFTS; shift++) {
        every_kernel(*state, (struct shape){1, 141, 19, shift, true, false});
        every_kernel(*state, (struct shape){7, 77, 19, shift, true, false});
        every_kernel(*state, (struct shape){26, 77, 19, shift, false, true});
    }
}

/* A batch gives the bits of its rows alone, and of any split. */
static void test_rows_do_not_depend_on_the_batch(void **state)
{
    struct space *s = *state;
    enum { M = MAX_M, N = 201, K = 300 };
    chain_gemm(M, N, K, s->a, K, s->b, N, s->bias, false, s->want, N);
    for (size_t step = 1; step < M; step++) {
        memset(s->c, 0, M * N * sizeof *s->c);
        for (size_t i = 0; i < M; i += step)
            chain_gemm(i + step < M ? step : M - i, N, K, s->a + i * K, K, s->b, N,
                       s->bias, false, s->c + i * N, N);
        assert_memory_equal(s->c, s->want, M * N * sizeof *s->c);
    }
}

/* A matrix gives the bits of its columns alone, and of any split. */
static void test_columns_do_not_depend_on_the_width(void **state)
{
    struct space *s = *state;
    enum { M = 7, N = 150, K = 40 };
    chain_gemm(M, N, K, s->a, K, s->b, N, s->bias, false, s->want, N);
    for (size_t step = 1; step < N; step += 6) {
        memset(s->c, 0, M * N * sizeof *s->c);
        for (size_t j = 0; j < N; j += step)
            chain_gemm(M, j + step < N ? step : N - j, K, s->a, K, s->b + j, N,
                       s->bias + j, false, s->c + j, N);
        assert_memory_equal(s->c, s->want, M * N * sizeof *s->c);
    }
}

/* Going on from c joins two products into the chain of one. */
static void test_accumulate_goes_on_with_the_chain(void **state)
{
    struct space *s = *state;
    enum { M = 5, N = 70, K = 50 };
    chain_gemm(M, N, K, s->a, K, s->b, N, NULL, false, s->want, N);
    for (size_t first = 0; first <= K; first++) {
        chain_gemm(M, N, first, s->a, K, s->b, N, NULL, false, s->c, N);
        chain_gemm(M, N, K - first, s->a + first, K, s->b + first * N, N, s->bias, true,
                   s->c, N);
        assert_memory_equal(s->c, s->want, M * N * sizeof *s->c);
    }
}

/* Rows of zeros in b, as a new feature brings them, change no bit. */
static void test_zero_weights_change_no_bit(void **state)
{
    struct space *s = *state;
    enum { M = 9, N = 50, K = 33, MORE = 16 };
    float old[MORE * N];
    memcpy(old, s->b + K * N, sizeof old);
    chain_gemm(M, N, K, s->a, K + MORE, s->b, N, s->bias, false, s->want, N);
    memset(s->b + K * N, 0, sizeof old);
    chain_gemm(M, N, K + MORE, s->a, K + MORE, s->b, N, s->bias, false, s->c, N);
    assert_memory_equal(s->c, s->want, M * N * sizeof *s->c);
    memcpy(s->b + K * N, old, sizeof old);
}

/* What c held does not matter unless the chain goes on: NaN there is overwritten. */
static void test_old_nan_is_overwritten(void **state)
{
    struct space *s = *state;
    enum { M = 3, N = 37 };
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < M * N; i++) s->c[i] = NAN;
        chain_gemm(M, N, k, s->a, k, s->b, N, NULL, false, s->c, N);
        for (size_t i = 0; i < M * N; i++) assert_true(isfinite(s->c[i]));
    }
}

/* A NaN or inf in one row or column reaches that row or column only. */
static void test_nan_stays_in_its_row_and_column(void **state)
{
    struct space *s = *state;
    enum { M = 7, N = 37, K = 20 };
    float *a = s->a + 3 * K + 5, *b = s->b + 4 * N + 36, old_a = *a, old_b = *b;
    *a = NAN;
    *b = INFINITY;
    chain_gemm(M, N, K, s->a, K, s->b, N, NULL, false, s->c, N);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++)
            assert_int_equal(!!isfinite(s->c[i * N + j]), i != 3 && j != 36);
    *a = old_a;
    *b = old_b;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_are_those_of_plain_loops),
        cmocka_unit_test(test_long_chains_stay_whole),
        cmocka_unit_test(test_alignment_does_not_matter),
        cmocka_unit_test(test_rows_do_not_depend_on_the_batch),
        cmocka_unit_test(test_columns_do_not_depend_on_the_width),
        cmocka_unit_test(test_accumulate_goes_on_with_the_chain),
        cmocka_unit_test(test_zero_weights_change_no_bit),
        cmocka_unit_test(test_old_nan_is_overwritten),
        cmocka_unit_test(test_nan_stays_in_its_row_and_column),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
