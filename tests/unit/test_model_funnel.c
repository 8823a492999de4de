/* esmm and aitm: what ties the steps of a funnel together, and what does not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/math/funnel.h"
#include "tests/unit/test_model_toy.h"

enum { ROWS = 9, TASKS = 3 };
#define ESMM                                                                             \
    .type = MODEL_ESMM, .n_rows = ROWS, .n_tasks = TASKS, .seed = 2, .towers = {5, 4},   \
    .funnel = {1, 0}, .n_funnel = 2
#define AITM                                                                             \
    .type = MODEL_AITM, .n_rows = ROWS, .n_tasks = TASKS, .seed = 2, .towers = {5, 4},   \
    .funnel = {1, 0}, .n_funnel = 2

static void logits(const struct toy *t, float *z)
{
    model_forward_reference(t->model, t->params, &t->batch, &t->rows, z);
}

static void set_labels(struct toy *t, float click, float buy)
{
    float *labels = (float *)t->batch.labels;
    for (size_t r = 0; r < ROWS; r++) {
        labels[r * TASKS + 1] = click;
        labels[r * TASKS] = buy;
    }
}

static double norm(const struct toy *t, const float *v, const char *name)
{
    const struct model_tensor *x = toy_tensor(t, name);
    double sum = 0;
    if (x == NULL) fail_msg("no tensor %s", name);
    for (size_t i = 0; i < x->rows * x->cols; i++) {
        double g = (double)v[x->offset + i / x->cols * x->stride + i % x->cols];
        sum += g * g;
    }
    return sqrt(sum);
}

/* The last bias of a tower or head. */
static float *bias(struct toy *t, const char *name)
{
    const struct model_tensor *x = toy_tensor(t, name);
    if (x == NULL) fail_msg("no tensor %s", name);
    return &t->params[x->offset];
}

/* esmm is share_bottom with another reading of the later step's logit: the first step
 * and tasks outside of the funnel have the same, the later step's is joint. */
static void test_esmm_multiplies_probabilities(void **state)
{
    (void)state;
    float z[ROWS * TASKS], plain[ROWS * TASKS];
    struct toy esmm, share;
    toy_create(&esmm, &(struct toy_cfg){ESMM});
    toy_create(&share, &(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                         .n_rows = ROWS,
                                         .n_tasks = TASKS,
                                         .seed = 2,
                                         .towers = {5, 4}});
    toy_randomise(&esmm); /* by name: both have the same values */
    toy_randomise(&share);
    logits(&esmm, z);
    logits(&share, plain);
    for (size_t r = 0; r < ROWS; r++) {
        const float *a = plain + r * TASKS, *b = z + r * TASKS;
        double p = 1 / (1 + exp(-(double)a[1])) / (1 + exp(-(double)a[0]));
        assert_true(b[1] == a[1] && b[2] == a[2]);
        assert_true(fabs(1 / (1 + exp(-(double)b[0])) - p) < 1e-6);
        assert_true(fabs(funnel_conditional((double)b[1], (double)b[0]) - (double)a[0]) < 1e-5);
    }
    toy_destroy(&share);
    toy_destroy(&esmm);
}

/* A batch without a click still teaches: "no buy" on all rows lowers pCTR pCVR, so both
 * towers move; there is no loss of pCVR alone that would need a click. */
static void test_esmm_learns_from_rows_without_a_click(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){ESMM});
    toy_randomise(&t);
    set_labels(&t, 0, 0);
    assert_true(toy_step(&t));
    assert_true(norm(&t, t.grad, "tower/task0/layer0/w/num") > 1e-4);
    assert_true(norm(&t, t.grad, "tower/task1/layer0/w/num") > 1e-4);
    toy_destroy(&t);
}

/* Where the joint label is absent, the later step adds no loss, and its tower rests. */
static void test_esmm_absent_labels_are_not_zeros(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){ESMM});
    toy_randomise(&t);
    set_labels(&t, 1, NAN);
    assert_true(toy_step(&t));
    assert_true(t.loss[0] == 0 && t.loss[1] > 0);
    assert_true(norm(&t, t.grad, "tower/task0/layer0/w/num") == 0);
    assert_true(norm(&t, t.grad, "tower/task1/layer0/w/num") > 1e-4);
    toy_destroy(&t);
}

/* Probabilities of 0 and 1 in float: losses and gradients stay finite, and wrong ones
 * cost about their logit. */
static void test_esmm_is_stable_far_out(void **state)
{
    (void)state;
    static const float far[] = {-2000, -150, 150, 2000};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++)
            for (int label = 0; label < 2; label++) {
                struct toy t;
                toy_create(&t, &(struct toy_cfg){ESMM});
                *bias(&t, "tower/task1/layer2/b") = far[i];
                *bias(&t, "tower/task0/layer2/b") = far[j];
                set_labels(&t, (float)label, (float)label);
                assert_true(toy_step(&t));
                double a = (double)far[i], b = (double)far[j], weight = 0;
                double z = a > 0 && b > 0 ? fmin(a, b) : fmin(a, 0) + fmin(b, 0);
                for (size_t r = 0; r < ROWS; r++)
                    weight += (double)t.batch.weights[r * TASKS] * t.scale[0];
                double cost = label ? fmax(-z, 0) : fmax(z, 0);
                assert_true(fabs(t.loss[0] / weight - cost) < 0.02 * cost + 3);
                toy_destroy(&t);
            }
}

/* aitm's constraint costs where the later step is likelier, and nothing elsewhere. */
static void test_aitm_constraint(void **state)
{
    (void)state;
    double with[2], without[2];
    for (int likelier = 0; likelier < 2; likelier++)
        for (int on = 0; on < 2; on++) {
            struct toy t;
            toy_create(&t, &(struct toy_cfg){AITM, .no_constraint = !on});
            set_labels(&t, 1, 0);
            *bias(&t, "head/task0/layer0/b") = likelier ? 9 : -9;
            *bias(&t, "head/task1/layer0/b") = likelier ? -9 : 9;
            assert_true(toy_step(&t));
            double weight = 0;
            for (size_t r = 0; r < ROWS; r++)
                weight += (double)t.batch.weights[r * TASKS] * t.scale[0];
            (on ? with : without)[likelier] = t.loss[0] / weight;
            toy_destroy(&t);
        }
    assert_true(with[0] == without[0]);
    assert_true(fabs(with[1] - without[1] - 0.6) < 1e-2); /* p is 1, the other 0 */
}

/* What a step is told comes from the one before, not from other tasks or later steps. */
static void test_aitm_tells_later_steps_alone(void **state)
{
    (void)state;
    float before[ROWS * TASKS], after[ROWS * TASKS];
    struct toy t;
    toy_create(&t, &(struct toy_cfg){AITM});
    toy_randomise(&t);
    const struct {
        const char *tower;
        bool moves[TASKS];
    } cases[] = {{"tower/task1/layer1/w", {true, true, false}},
                 {"tower/task0/layer1/w", {true, false, false}},
                 {"tower/task2/layer1/w", {false, false, true}},
                 {"transfer/task0/info/w", {true, false, false}},
                 {"transfer/task0/value/w", {true, false, false}},
                 {"transfer/task0/query/w", {true, false, false}},
                 {"transfer/task0/key/w", {true, false, false}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct model_tensor *x = toy_tensor(&t, cases[i].tower);
        assert_non_null(x);
        logits(&t, before);
        for (size_t r = 0; r < x->rows; r++)
            for (size_t j = 0; j < x->cols; j++)
                t.params[x->offset + r * x->stride + j] *= 1.5f;
        logits(&t, after);
        for (size_t k = 0; k < TASKS; k++) {
            bool moved = false;
            for (size_t r = 0; r < ROWS; r++)
                moved |= before[r * TASKS + k] != after[r * TASKS + k];
            assert_int_equal(moved, cases[i].moves[k]);
        }
    }
    assert_null(toy_tensor(&t, "transfer/task1/info/w"));
    assert_null(toy_tensor(&t, "transfer/task2/info/w"));
    toy_destroy(&t);
}

/* With stop_gradient the earlier step learns from its own loss alone: its tower's
 * gradient is what it is without any loss of the later step. */
static void test_aitm_stop_gradient(void **state)
{
    (void)state;
    struct toy stopped, alone, open;
    /* The constraint ties the steps' probabilities, not their towers. */
    struct toy_cfg c = {AITM, .no_constraint = true};
    toy_create(&open, &c);
    toy_create(&alone, &c);
    c.stop_gradient = true;
    toy_create(&stopped, &c);
    toy_randomise(&open);
    toy_randomise(&alone);
    toy_randomise(&stopped);
    for (size_t r = 0; r < ROWS; r++) ((float *)alone.batch.labels)[r * TASKS] = NAN;
    assert_true(toy_step(&open) && toy_step(&alone) && toy_step(&stopped));
    const char *tower = "tower/task1/layer0/w/num";
    assert_true(norm(&stopped, stopped.grad, tower) == norm(&alone, alone.grad, tower));
    assert_true(fabs(norm(&open, open.grad, tower) - norm(&alone, alone.grad, tower)) > 1e-6);
    const char *told = "transfer/task0/info/w"; /* the later step learns all the same */
    assert_true(norm(&stopped, stopped.grad, told) == norm(&open, open.grad, told));
    toy_destroy(&open);
    toy_destroy(&alone);
    toy_destroy(&stopped);
}

/* ---- creation ---- */

static void expect_usage(const struct model_spec *spec, const char *text)
{
    struct model *m;
    struct error err;
    assert_int_equal(model_create(spec, &m, &err), ST_USAGE);
    if (strstr(err.text, text) == NULL) fail_msg("\"%s\" lacks \"%s\"", err.text, text);
    assert_null(m);
}

/* Steps that are none, towers that do not fit and direct inputs are refused. */
static void test_wrong_funnels_are_refused(void **state)
{
    (void)state;
    struct toy t, wide;
    toy_create(&t, &(struct toy_cfg){AITM});
    size_t steps[] = {1, 1}, far[] = {1, 7}, width[] = {5, 6};
    struct model_spec s = t.spec;
    s.cfg.steps.n = 0;
    expect_usage(&s, "model.funnel");
    s.cfg.steps.n = 1;
    expect_usage(&s, "model.funnel");
    s.cfg.steps = (struct sizes_cfg){steps, 2};
    expect_usage(&s, "twice");
    s.cfg.steps = (struct sizes_cfg){far, 2};
    expect_usage(&s, "task 7 of 3");
    s = t.spec;
    s.cfg.balance.kind = BALANCE_PCGRAD;
    expect_usage(&s, "pcgrad");
    s = t.spec;
    struct model_task tasks[TASKS];
    memcpy(tasks, t.tasks, sizeof tasks);
    s.tasks = tasks;
    tasks[0].tower.layers = (struct sizes_cfg){width, 2};
    expect_usage(&s, "equal");
    tasks[0].tower.layers.n = 0;
    expect_usage(&s, "needs a layer");
    tasks[0] = t.tasks[0];
    tasks[1].loss = LOSS_MSE;
    expect_usage(&s, "bce");
    toy_destroy(&t);
    toy_create(&wide, &(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                        .n_rows = ROWS,
                                        .n_tasks = TASKS,
                                        .seed = 1,
                                        .towers = {4},
                                        .wide = true});
    s = wide.spec;
    s.cfg.type = MODEL_ESMM;
    steps[1] = 0;
    s.cfg.steps = (struct sizes_cfg){steps, 2};
    expect_usage(&s, "direct");
    toy_destroy(&wide);
}

/* Whichever allocation fails, creation says so and leaves nothing behind. */
static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    static const struct toy_cfg types[] = {{ESMM}, {AITM}};
    for (size_t i = 0; i < 2; i++) {
        struct toy t;
        toy_create(&t, &types[i]);
        uint64_t live = mem_live_bytes();
        enum status st = ST_NOMEM;
        for (uint64_t k = 1; st != ST_OK && k < 1000; k++) {
            struct model *m = NULL;
            struct error err;
            mem_fail_at(k);
            st = model_create(&t.spec, &m, &err);
            mem_fail_at(0);
            assert_true(st == ST_OK || st == ST_NOMEM);
            model_destroy(m);
            assert_int_equal(mem_live_bytes(), live);
        }
        assert_int_equal(st, ST_OK);
        toy_destroy(&t);
    }
}

/* The description names what ties the steps, and products count it. */
static void test_description_and_products(void **state)
{
    (void)state;
    struct toy t;
    char *text;
    struct error err;
    struct model_product p[32];
    toy_create(&t, &(struct toy_cfg){AITM});
    assert_int_equal(model_describe(t.model, &text, &err), ST_OK);
    assert_non_null(strstr(text, "transfer x1 [4]\n"));
    assert_non_null(strstr(text, "head task0 [4 1]\n"));
    mem_free(text);
    size_t n = model_products(t.model, p, 32), projections = 0;
    for (size_t i = 0; i < n; i++) projections += p[i].in == 4 && p[i].out == 12;
    assert_int_equal(projections, 2);
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){ESMM});
    assert_int_equal(model_describe(t.model, &text, &err), ST_OK);
    assert_non_null(strstr(text, "joint logits of 2 steps\n"));
    mem_free(text);
    toy_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_esmm_multiplies_probabilities),
        cmocka_unit_test(test_esmm_learns_from_rows_without_a_click),
        cmocka_unit_test(test_esmm_absent_labels_are_not_zeros),
        cmocka_unit_test(test_esmm_is_stable_far_out),
        cmocka_unit_test(test_aitm_constraint),
        cmocka_unit_test(test_aitm_tells_later_steps_alone),
        cmocka_unit_test(test_aitm_stop_gradient),
        cmocka_unit_test(test_wrong_funnels_are_refused),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
        cmocka_unit_test(test_description_and_products),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
