#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rng.h"
#include "common/math/optim.h"

enum { MAX_DIM = 129, STEPS = 5 };

static const struct optimizer_cfg optimizers[] = {
    {.kind = OPT_SGD, .lr = 0.1},
    {.kind = OPT_ADAGRAD, .lr = 0.1, .initial_accumulator = 1e-7, .eps = 1e-10},
    {.kind = OPT_ROWWISE_ADAGRAD, .lr = 0.1, .initial_accumulator = 0.01, .eps = 1e-10},
    {.kind = OPT_ADAM, .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
    {.kind = OPT_FTRL, .lr = 0.1, .beta = 0.5, .l1 = 0.2, .l2 = 0.05},
};
enum { N_OPTIMIZERS = sizeof optimizers / sizeof *optimizers };

static float draw(const struct rng *r, uint64_t i, uint32_t sub)
{
    return (float)(rng_uniform(r, i, sub) - 0.5);
}

/* Rounding of a few float operations per step, relative to the size of a weight
 * (below 1) and of a step. */
static const double TOLERANCE = 2e-6;

/* Rows of every width from 1 to 129 follow the double reference over several
 * steps. */
static void test_rows_follow_the_reference(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_OPTIMIZERS; k++)
        for (size_t dim = 1; dim <= MAX_DIM; dim++) {
            const struct optimizer_cfg *cfg = &optimizers[k];
            struct rng rng = rng_make(k, RNG_TEST, dim);
            float w[MAX_DIM], s[2 * MAX_DIM], g[MAX_DIM];
            double wd[MAX_DIM], sd[2 * MAX_DIM];
            struct optim_layout layout = optim_layout(cfg->kind, dim);
            for (size_t i = 0; i < dim; i++) wd[i] = w[i] = draw(&rng, i, 99);
            for (size_t i = 0; i < layout.floats; i++)
                sd[i] = s[i] = optim_initial_state(cfg);
            for (uint32_t t = 1; t <= STEPS; t++) {
                for (size_t i = 0; i < dim; i++) g[i] = draw(&rng, i, t);
                struct optim o = optim_make(cfg, cfg->lr, t);
                optim_row(&o, dim, g, w, s);
                optim_row_reference(cfg, cfg->lr, t, dim, g, wd, sd);
            }
            for (size_t i = 0; i < dim; i++)
                assert_true(fabs((double)w[i] - wd[i]) < TOLERANCE);
            for (size_t i = 0; i < layout.floats; i++)
                assert_true(fabs((double)s[i] - sd[i]) < TOLERANCE);
        }
}

/* g + l2 w in rows of every width, apart from g and in its place; 0 leaves g. */
static void test_l2_adds_the_weight(void **state)
{
    (void)state;
    struct rng rng = rng_make(5, RNG_TEST, 0);
    for (size_t dim = 1; dim <= MAX_DIM; dim++) {
        float g[MAX_DIM], w[MAX_DIM], x[MAX_DIM];
        for (size_t i = 0; i < dim; i++) {
            g[i] = draw(&rng, i, 1);
            w[i] = draw(&rng, i, 2);
        }
        optim_add_l2(0.3f, dim, g, w, x);
        for (size_t i = 0; i < dim; i++) assert_true(x[i] == g[i] + 0.3f * w[i]);
        optim_add_l2(0, dim, g, w, x);
        assert_memory_equal(x, g, dim * sizeof *g);
        optim_add_l2(0.3f, dim, g, w, x);
        optim_add_l2(0.3f, dim, g, w, g);
        assert_memory_equal(x, g, dim * sizeof *g);
    }
}

/* A float gets the same bits wherever it stands and however many there are: dense
 * blocks of any length equal single floats. */
static void test_dense_is_elementwise(void **state)
{
    (void)state;
    struct rng rng = rng_make(7, RNG_TEST, 0);
    float g[MAX_DIM], mask[MAX_DIM];
    for (size_t i = 0; i < MAX_DIM; i++) {
        g[i] = draw(&rng, i, 0);
        mask[i] = (float)(i % 2);
    }
    for (size_t k = 0; k < N_OPTIMIZERS; k++)
        for (size_t n = 1; n <= MAX_DIM; n++) {
            struct optimizer_cfg cfg = optimizers[k];
            cfg.weight_decay = 0.1;
            struct optim o = optim_make(&cfg, cfg.lr, 3);
            float w[MAX_DIM], a[MAX_DIM], b[MAX_DIM];
            for (size_t i = 0; i < n; i++) {
                w[i] = draw(&rng, i, 1);
                a[i] = b[i] = 0.25f;
            }
            optim_dense(&o, n, g, w, (float *const[]){a, b}, mask);
            for (size_t i = 0; i < n; i++) {
                float w1 = draw(&rng, i, 1), a1 = 0.25f, b1 = 0.25f;
                optim_dense(&o, 1, g + i, &w1, (float *const[]){&a1, &b1}, mask + i);
                assert_memory_equal(&w1, &w[i], sizeof w1);
                assert_memory_equal(&a1, &a[i], sizeof a1);
            }
        }
}

/* Decoupled decay shrinks the masked weights by lr * decay and no others, also
 * where the gradient is zero. */
static void test_weight_decay_is_decoupled(void **state)
{
    (void)state;
    struct optimizer_cfg cfg = optimizers[3];
    cfg.weight_decay = 0.5;
    struct optim o = optim_make(&cfg, 0.1, 1);
    float w[2] = {1, 1}, m[2] = {0}, v[2] = {0};
    const float g[2] = {0, 0}, mask[2] = {1, 0};
    optim_dense(&o, 2, g, w, (float *const[]){m, v}, mask);
    assert_true(fabsf(w[0] - 0.95f) < 1e-7f);
    assert_true(w[1] == 1.0f);
    optim_dense(&o, 2, g, w, (float *const[]){m, v}, NULL);
    assert_true(fabsf(w[0] - 0.95f) < 1e-7f);
}

/* Adam's first step is the learning rate times the gradient's sign, whatever its
 * size. */
static void test_adam_first_step(void **state)
{
    (void)state;
    struct optim o = optim_make(&optimizers[3], 0.001, 1);
    for (float g = 1e-3f; g < 1e4f; g *= 10) {
        float w = 0, s[2] = {0, 0};
        optim_row(&o, 1, &g, &w, s);
        assert_true(fabsf(w + 0.001f) < 1e-7f);
    }
}

/* FTRL without penalties is AdaGrad with beta in place of eps, from any first weight
 * and under a changing rate: w -= lr g / (beta + sqrt(sum of g^2)). */
static void test_ftrl_without_penalties_is_adagrad(void **state)
{
    (void)state;
    const struct optimizer_cfg cfg = {.kind = OPT_FTRL, .beta = 0.3};
    struct rng rng = rng_make(11, RNG_TEST, 0);
    float w[16], s[32] = {0}, g[16];
    double wd[16], n[16] = {0};
    for (size_t i = 0; i < 16; i++) wd[i] = w[i] = draw(&rng, i, 99);
    for (uint32_t t = 1; t <= 20; t++) {
        double lr = t % 3 ? 0.1 : 0.04;
        struct optim o = optim_make(&cfg, lr, t);
        for (size_t i = 0; i < 16; i++) g[i] = t % 5 ? draw(&rng, i, t) : 0;
        optim_row(&o, 16, g, w, s);
        for (size_t i = 0; i < 16; i++) {
            n[i] += (double)g[i] * (double)g[i];
            wd[i] -= lr * (double)g[i] / (cfg.beta + sqrt(n[i]));
            assert_true(fabs((double)w[i] - wd[i]) < TOLERANCE);
        }
    }
}

/* l1 holds a weight at exactly 0 until its gradients outweigh it, and takes it back
 * there when they no longer do; l2 makes steps shorter. */
static void test_ftrl_penalties(void **state)
{
    (void)state;
    const struct optimizer_cfg plain = {.kind = OPT_FTRL, .beta = 1};
    struct optimizer_cfg cfg = plain;
    cfg.l1 = 0.5;
    struct optim o = optim_make(&cfg, 0.1, 1);
    const float gradients[] = {0.4f, 0.05f, 0.4f, -0.8f};
    const bool zero[] = {true, true, false, true};
    float w = 0, s[2] = {0, 0};
    for (size_t i = 0; i < 4; i++) {
        optim_row(&o, 1, &gradients[i], &w, s);
        assert_true((w == 0) == zero[i]);
    }
    float pulled = 0, free_w = 0, s1[2] = {0}, s2[2] = {0};
    cfg = plain;
    cfg.l2 = 30;
    o = optim_make(&cfg, 0.1, 1);
    optim_row(&o, 1, gradients, &pulled, s1);
    o = optim_make(&plain, 0.1, 1);
    optim_row(&o, 1, gradients, &free_w, s2);
    assert_true(fabsf(pulled) > 0 && fabsf(pulled) < 0.5f * fabsf(free_w));
}

/* A weight with fresh state, of a new row or after its state was thrown away, stays
 * where it is until it has a gradient. */
static void test_ftrl_fresh_state_keeps_the_weight(void **state)
{
    (void)state;
    const struct optimizer_cfg cfg = {.kind = OPT_FTRL, .beta = 0.25};
    struct optim o = optim_make(&cfg, 0.1, 1);
    float w[2] = {0.75f, -0.5f}, s[4] = {0}, g[2] = {0, 0};
    optim_row(&o, 2, g, w, s);
    optim_row(&o, 2, g, w, s);
    assert_true(w[0] == 0.75f && w[1] == -0.5f);
}

/* Row-wise AdaGrad keeps one float per row, the others one per weight and slot. */
static void test_layouts(void **state)
{
    (void)state;
    assert_int_equal(optim_layout(OPT_SGD, 16).floats, 0);
    assert_int_equal(optim_layout(OPT_ADAGRAD, 16).floats, 16);
    assert_int_equal(optim_layout(OPT_ROWWISE_ADAGRAD, 16).floats, 1);
    assert_int_equal(optim_layout(OPT_ADAM, 16).floats, 32);
    assert_string_equal(optim_layout(OPT_ADAM, 16).name[1], "v");
    assert_int_equal(optim_layout(OPT_FTRL, 16).floats, 32);
    assert_string_equal(optim_layout(OPT_FTRL, 16).name[0], "z");
}

static void near(double a, double b)
{
    assert_true(fabs(a - b) < 1e-12);
}

/* Warm-up is linear and reaches the full rate with its last update; then the rate
 * stays, falls as a cosine to its floor, or in steps. */
static void test_schedules(void **state)
{
    (void)state;
    struct schedule_cfg s = {
        .warmup_steps = 4, .decay_floor = 0.1, .decay_every = 10, .decay_factor = 0.5};
    near(optim_lr(&s, 1, 0, 100), 0.25);
    near(optim_lr(&s, 1, 3, 100), 1);
    near(optim_lr(&s, 1, 99, 100), 1);
    s.decay = DECAY_COSINE;
    near(optim_lr(&s, 2, 4, 104), 2);
    near(optim_lr(&s, 2, 54, 104), 2 * 0.55);
    near(optim_lr(&s, 2, 104, 104), 0.2);
    near(optim_lr(&s, 2, 500, 104), 0.2);
    near(optim_lr(&s, 2, 500, 3), 2);
    s.decay = DECAY_STEP;
    near(optim_lr(&s, 1, 9, 0), 1);
    near(optim_lr(&s, 1, 10, 0), 0.5);
    near(optim_lr(&s, 1, 35, 0), 0.125);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_follow_the_reference),
        cmocka_unit_test(test_l2_adds_the_weight),
        cmocka_unit_test(test_dense_is_elementwise),
        cmocka_unit_test(test_weight_decay_is_decoupled),
        cmocka_unit_test(test_adam_first_step),
        cmocka_unit_test(test_ftrl_without_penalties_is_adagrad),
        cmocka_unit_test(test_ftrl_penalties),
        cmocka_unit_test(test_ftrl_fresh_state_keeps_the_weight),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_schedules),
    };
    return cmocka_run_group_tests_name("optim", tests, NULL, NULL);
}
