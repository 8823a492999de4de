/* The layer norm of rows against plain loops in double, for every width around the
 * vector sizes, with strides. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "model/norm.h"

enum { ROWS = 5, WIDEST = 70, GAP = 3 };

/* Some dozen sums of numbers below 10 in float, divided by a deviation above 0.3. */
static const double TOLERANCE = 2e-5;

static void fill(size_t n, uint64_t stream, float *v)
{
    struct rng r = rng_make(11, RNG_TEST, stream);
    for (size_t i = 0; i < n; i++) v[i] = (float)(2 * rng_uniform(&r, i, 0) - 1);
}

/* y[j] of one row, and 1 / sd with xhat for the gradient. */
static double normalise(size_t n, const float *x, double *xhat)
{
    double mean = 0, variance = 0;
    for (size_t j = 0; j < n; j++) mean += (double)x[j] / (double)n;
    for (size_t j = 0; j < n; j++) variance += pow((double)x[j] - mean, 2) / (double)n;
    double scale = 1 / sqrt(variance + (double)NORM_EPS);
    for (size_t j = 0; j < n; j++) xhat[j] = ((double)x[j] - mean) * scale;
    return scale;
}

static void near(float got, double want)
{
    if (fabs((double)got - want) > TOLERANCE * (1 + fabs(want)))
        fail_msg("%.9g, expected %.9g", (double)got, want);
}

struct sample {
    size_t n, ld;
    float x[ROWS * (WIDEST + GAP)], y[ROWS * (WIDEST + GAP)], gain[WIDEST], bias[WIDEST];
    float memory[NORM_MEMORY(ROWS, WIDEST)];
};

static void sample_make(size_t n, struct sample *s)
{
    s->n = n;
    s->ld = n + GAP;
    fill(ROWS * s->ld, 1, s->x);
    fill(n, 2, s->gain);
    fill(n, 3, s->bias);
    memcpy(s->y, s->x, sizeof s->y);
}

/* Every row by itself, columns behind its width untouched; with and without memory the
 * bits are the same. */
static void forward_is_the_definition(void **state)
{
    (void)state;
    static struct sample s, other;
    for (size_t n = 1; n <= WIDEST; n++) {
        double xhat[WIDEST];
        sample_make(n, &s);
        norm_forward(ROWS, n, s.gain, s.bias, s.y, s.ld, s.memory);
        for (size_t r = 0; r < ROWS; r++) {
            normalise(n, s.x + r * s.ld, xhat);
            for (size_t j = 0; j < n; j++)
                near(s.y[r * s.ld + j], (double)s.gain[j] * xhat[j] + (double)s.bias[j]);
            assert_memory_equal(s.y + r * s.ld + n, s.x + r * s.ld + n,
                                GAP * sizeof(float));
        }
        sample_make(n, &other);
        norm_forward(ROWS, n, other.gain, other.bias, other.y, other.ld, NULL);
        assert_memory_equal(s.y, other.y, ROWS * s.ld * sizeof(float));
    }
}

/* dx_i = sum_j gain_j dy_j dxhat_j/dx_i, with the full matrix dxhat_j/dx_i =
 * (delta_ij - 1/n - xhat_i xhat_j / n) / sd; dgain and dbias are added to. */
static void backward_is_the_derivative(void **state)
{
    (void)state;
    static struct sample s;
    for (size_t n = 1; n <= WIDEST; n++) {
        float dy[ROWS * (WIDEST + GAP)], was[ROWS * (WIDEST + GAP)], dgain[WIDEST],
            dbias[WIDEST];
        double want_gain[WIDEST], want_bias[WIDEST];
        sample_make(n, &s);
        norm_forward(ROWS, n, s.gain, s.bias, s.y, s.ld, s.memory);
        fill(ROWS * s.ld, 4, dy);
        memcpy(was, dy, sizeof was);
        for (size_t j = 0; j < n; j++)
            want_gain[j] = want_bias[j] = dgain[j] = dbias[j] = 2;
        norm_backward(ROWS, n, s.gain, s.memory, dy, s.ld, dgain, dbias);
        for (size_t r = 0; r < ROWS; r++) {
            double xhat[WIDEST], N = (double)n;
            const float *d = was + r * s.ld;
            double scale = normalise(n, s.x + r * s.ld, xhat);
            for (size_t i = 0; i < n; i++) {
                double sum = 0;
                for (size_t j = 0; j < n; j++)
                    sum += (double)s.gain[j] * (double)d[j] * scale *
                           ((i == j) - 1 / N - xhat[i] * xhat[j] / N);
                near(dy[r * s.ld + i], sum);
                want_gain[i] += (double)d[i] * xhat[i];
                want_bias[i] += (double)d[i];
            }
        }
        for (size_t j = 0; j < n; j++) {
            near(dgain[j], want_gain[j]);
            near(dbias[j], want_bias[j]);
        }
    }
}

/* A constant row has variance 0: it becomes the bias, and nothing is infinite. */
static void constant_rows_become_the_bias(void **state)
{
    (void)state;
    float y[20], gain[20], bias[20], memory[NORM_MEMORY(1, 20)];
    fill(20, 1, gain);
    fill(20, 2, bias);
    for (size_t j = 0; j < 20; j++) y[j] = 1024;
    norm_forward(1, 20, gain, bias, y, 20, memory);
    assert_memory_equal(y, bias, sizeof bias);
}

/* A row's bits are the same alone and among others. */
static void rows_do_not_see_each_other(void **state)
{
    (void)state;
    static struct sample s;
    for (size_t n = 1; n <= WIDEST; n += 23) {
        sample_make(n, &s);
        float alone[WIDEST];
        memcpy(alone, s.x + 3 * s.ld, n * sizeof(float));
        norm_forward(ROWS, n, s.gain, s.bias, s.y, s.ld, NULL);
        norm_forward(1, n, s.gain, s.bias, alone, n, NULL);
        assert_memory_equal(alone, s.y + 3 * s.ld, n * sizeof(float));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_definition),
        cmocka_unit_test(backward_is_the_derivative),
        cmocka_unit_test(constant_rows_become_the_bias),
        cmocka_unit_test(rows_do_not_see_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
