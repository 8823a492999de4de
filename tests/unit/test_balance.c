/* The arithmetic of balancing against hand-worked cases and plain vectors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rng.h"
#include "model/balance.h"

enum { MOST = 12, DIM = 40 };

/* Sums of some hundred products below 10 in double; the last of 250 steps towards the
 * shortest mean of twelve still shortens it by some 1e-10 of itself. */
static const double TOLERANCE = 1e-10, TOLERANCE_SHORTEST = 1e-8;

static double dot(size_t n, const double *a, const double *b)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void gram(size_t K, size_t n, double g[][DIM], double *G)
{
    for (size_t j = 0; j < K; j++)
        for (size_t k = 0; k < K; k++) G[j * K + k] = dot(n, g[j], g[k]);
}

/* K random vectors with a common direction that the later tasks oppose. */
static void random_gradients(size_t K, uint64_t seed, double g[][DIM])
{
    struct rng r = rng_make(seed, RNG_TEST, 0);
    for (size_t k = 0; k < K; k++)
        for (size_t i = 0; i < DIM; i++)
            g[k][i] = (2 * rng_uniform(&r, k, (uint32_t)i) - 1) * (double)(k + 1) +
                      (k % 2 ? -1.0 : 1.0) * rng_uniform(&r, 100, (uint32_t)i);
}


static void expect(double got, double want)
{
    if (fabs(got - want) > TOLERANCE * (1 + fabs(want))) fail_msg("%.17g, not %.17g", got, want);
}

/* ---- uncertainty and dwa ---- */

/* Squared errors take the half of the Gaussian; the others have factor one. */
static void test_uncertainty_factor_of_each_loss(void **state)
{
    (void)state;
    for (int l = LOSS_BCE; l <= LOSS_LOG_MSE; l++)
        assert_true(balance_uncertainty((enum loss_kind)l) ==
                    (l == LOSS_MSE || l == LOSS_LOG_MSE ? 0.5 : 1.0));
}

/* Losses that fell by one half and not at all, temperature 1: e^0.5 and e^1 of their
 * sum, times two. */
static void test_dwa_by_hand(void **state)
{
    (void)state;
    double last[] = {1, 3}, before[] = {2, 3}, w[2];
    balance_dwa(2, last, before, 1, w);
    expect(w[0], 2 * exp(0.5) / (exp(0.5) + exp(1)));
    expect(w[1], 2 * exp(1) / (exp(0.5) + exp(1)));
    balance_dwa(2, last, before, 1e6, w);
    assert_true(fabs(w[0] - 1) < 1e-6 && fabs(w[1] - 1) < 1e-6);
}

/* Weights add up to the number of tasks; a task without a loss counts as one that
 * stays; a ratio far beyond the range of exp does no harm; one task has weight 1. */
static void test_dwa_corners(void **state)
{
    (void)state;
    double last[] = {1, 0, 5, 1e9}, before[] = {1, 3, 0, 1e-9}, w[4], sum = 0;
    balance_dwa(3, last, before, 2, w);
    for (size_t k = 0; k < 3; k++) expect(w[k], 1);
    balance_dwa(4, last, before, 2, w);
    for (size_t k = 0; k < 4; k++) sum += w[k];
    expect(sum, 4);
    expect(w[3], 4);
    balance_dwa(1, last, before, 2, w);
    assert_true(w[0] == 1);
}

/* ---- pcgrad ---- */

/* Algorithm 1 of the paper on vectors: every task projects a copy of its gradient. */
static void pcgrad_reference(size_t K, double g[][DIM], const uint32_t *order, double *out)
{
    memset(out, 0, DIM * sizeof *out);
    for (size_t k = 0; k < K; k++) {
        double mine[DIM];
        memcpy(mine, g[k], sizeof mine);
        for (size_t i = 0; i + 1 < K; i++) {
            const double *other = g[order[k * (K - 1) + i]];
            double along = dot(DIM, mine, other);
            for (size_t d = 0; along < 0 && d < DIM; d++)
                mine[d] -= along / dot(DIM, other, other) * other[d];
        }
        for (size_t d = 0; d < DIM; d++) out[d] += mine[d];
    }
}

/* (1, 0) and (-1, 1) oppose each other. The first loses its part along the second,
 * (1, 0) + (-1, 1) / 2, the second its part along the first, (0, 1). */
static void test_pcgrad_by_hand(void **state)
{
    (void)state;
    double g[2][DIM] = {{1, 0}, {-1, 1}}, G[4], scratch[2], c[2];
    const uint32_t order[] = {1, 0};
    gram(2, 2, g, G);
    balance_pcgrad(2, G, order, scratch, c);
    expect(c[0] * 1 + c[1] * -1, 0.5);
    expect(c[0] * 0 + c[1] * 1, 0.5 + 1);
}

static void combine(size_t K, double g[][DIM], const double *c, double *out)
{
    for (size_t d = 0; d < DIM; d++) {
        out[d] = 0;
        for (size_t k = 0; k < K; k++) out[d] += c[k] * g[k][d];
    }
}

/* The combination equals the vectors' own projections for any number of tasks. */
static void test_pcgrad_equals_vectors(void **state)
{
    (void)state;
    for (size_t K = 1; K <= MOST; K++)
        for (uint64_t seed = 0; seed < 5; seed++) {
            double g[MOST][DIM], G[MOST * MOST], scratch[MOST], c[MOST], got[DIM], want[DIM];
            uint32_t order[MOST * MOST];
            random_gradients(K, seed, g);
            gram(K, DIM, g, G);
            balance_order(seed, 3, 1, 0, K, order);
            balance_pcgrad(K, G, order, scratch, c);
            combine(K, g, c, got);
            pcgrad_reference(K, g, order, want);
            for (size_t d = 0; d < DIM; d++) expect(got[d], want[d]);
        }
}

/* Gradients that agree are left alone; opposite ones of equal length cancel; a zero
 * gradient changes nothing and stays zero. */
static void test_pcgrad_corners(void **state)
{
    (void)state;
    double same[] = {4, 4, 4, 4}, opposite[] = {4, -4, -4, 4}, zero[] = {4, 0, 0, 0};
    double scratch[2], c[2];
    const uint32_t order[] = {1, 0};
    balance_pcgrad(2, same, order, scratch, c);
    assert_true(c[0] == 1 && c[1] == 1);
    balance_pcgrad(2, opposite, order, scratch, c);
    assert_true(c[0] == 2 && c[1] == 2); /* g - g: each is left with nothing */
    balance_pcgrad(2, zero, order, scratch, c);
    assert_true(c[0] == 1);
}

/* Every list holds the other tasks once; lists differ with each counter and come in all
 * orders. */
static void test_order_is_a_permutation_of_the_others(void **state)
{
    (void)state;
    uint32_t first[MOST * MOST], order[MOST * MOST];
    balance_order(1, 1, 1, 0, MOST, first);
    for (unsigned which = 0; which < 5; which++) {
        balance_order(1 + (which == 1), 1 + (which == 2), 1 + (which == 3), which == 4, MOST,
                      order);
        for (size_t k = 0; k < MOST; k++) {
            unsigned seen = 1u << k;
            for (size_t i = 0; i + 1 < MOST; i++) seen |= 1u << order[k * (MOST - 1) + i];
            assert_int_equal(seen, (1u << MOST) - 1);
        }
        bool equal = !memcmp(first, order, MOST * (MOST - 1) * sizeof *order);
        assert_true(equal == (which == 0));
    }
    unsigned count[2] = {0};
    for (uint64_t step = 0; step < 1000; step++) {
        balance_order(7, step, 0, 0, 3, order);
        count[order[0] == 1]++;
    }
    assert_in_range(count[0], 420, 580);
    balance_order(1, 1, 1, 0, 1, order); /* nobody else */
}

/* ---- mgda ---- */

/* The shortest point of a hull: no task's gradient is shorter along it (Wolfe), and the
 * weights are those of a mean. */
static void expect_shortest(size_t K, const double *G, const double *c)
{
    double sum = 0, square = 0;
    for (size_t j = 0; j < K; j++) {
        assert_true(c[j] >= 0);
        sum += c[j];
        for (size_t k = 0; k < K; k++) square += c[j] * c[k] * G[j * K + k];
    }
    expect(sum, 1);
    for (size_t k = 0; k < K; k++) {
        double along = 0;
        for (size_t j = 0; j < K; j++) along += c[j] * G[j * K + k];
        if (along < square - TOLERANCE_SHORTEST * (1 + square))
            fail_msg("task %zu of %zu: %.17g along a mean of %.17g", k, K, along, square);
    }
}

/* (1, 0) and (-1, 2): least at 3/4 of the first; (1, 0) and (3, 1): the first alone. */
static void test_mgda_of_two_by_hand(void **state)
{
    (void)state;
    double inside[] = {1, -1, -1, 5}, edge[] = {1, 3, 3, 10}, scratch[2], c[2];
    balance_mgda(2, inside, scratch, c);
    expect(c[0], 0.75);
    expect(c[1], 0.25);
    balance_mgda(2, edge, scratch, c);
    assert_true(c[0] == 1 && c[1] == 0);
}

static void test_mgda_finds_the_shortest_mean(void **state)
{
    (void)state;
    for (size_t K = 1; K <= MOST; K++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            double g[MOST][DIM], G[MOST * MOST], scratch[MOST], c[MOST];
            random_gradients(K, seed, g);
            gram(K, DIM, g, G);
            balance_mgda(K, G, scratch, c);
            expect_shortest(K, G, c);
        }
}

/* More tasks than dimensions: the hull holds 0, and the method comes near it. */
static void test_mgda_of_more_tasks_than_dimensions(void **state)
{
    (void)state;
    double g[MOST][DIM], G[MOST * MOST], scratch[MOST], c[MOST], v[DIM];
    random_gradients(MOST, 3, g);
    gram(MOST, 3, g, G);
    balance_mgda(MOST, G, scratch, c);
    combine(MOST, g, c, v);
    assert_true(dot(3, v, v) < 1e-12);
}

/* Equal gradients share; opposite ones of equal length cancel; a task without a gradient
 * is left out, and without any gradient nobody counts. */
static void test_mgda_corners(void **state)
{
    (void)state;
    double same[] = {4, 4, 4, 4}, opposite[] = {4, -4, -4, 4};
    double one_zero[] = {1, 0, -1, 0, 0, 0, -1, 0, 5}, none[9] = {0}, scratch[3], c[3];
    balance_mgda(2, same, scratch, c);
    assert_true(c[0] == 0.5 && c[1] == 0.5);
    balance_mgda(2, opposite, scratch, c);
    assert_true(c[0] == 0.5 && c[1] == 0.5);
    balance_mgda(3, one_zero, scratch, c);
    assert_true(c[1] == 0);
    expect(c[0], 0.75);
    expect(c[2], 0.25);
    balance_mgda(3, none, scratch, c);
    assert_true(c[0] == 0 && c[1] == 0 && c[2] == 0);
    double one[] = {3};
    balance_mgda(1, one, scratch, c);
    assert_true(c[0] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uncertainty_factor_of_each_loss),
        cmocka_unit_test(test_dwa_by_hand),
        cmocka_unit_test(test_dwa_corners),
        cmocka_unit_test(test_pcgrad_by_hand),
        cmocka_unit_test(test_pcgrad_equals_vectors),
        cmocka_unit_test(test_pcgrad_corners),
        cmocka_unit_test(test_order_is_a_permutation_of_the_others),
        cmocka_unit_test(test_mgda_of_two_by_hand),
        cmocka_unit_test(test_mgda_finds_the_shortest_mean),
        cmocka_unit_test(test_mgda_of_more_tasks_than_dimensions),
        cmocka_unit_test(test_mgda_corners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
