/* A step of every type: what adds to losses and gradients, and what may not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/unit/toy_types.h"

static double total_grad(const struct toy *t)
{
    double s = 0;
    for (size_t i = 0; i < t->n_params; i++) s += fabs((double)t->grad[i]);
    return s;
}

/* A row whose labels are all absent adds nothing to loss or gradient. */
static void test_absent_labels_add_nothing(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){MMOE});
    float *labels = (float *)(uintptr_t)t.batch.labels;
    for (size_t i = 0; i < 12; i++) labels[i] = NAN;
    assert_true(toy_step(&t));
    assert_true(t.loss[0] == 0 && t.loss[1] == 0 && total_grad(&t) == 0);
    toy_destroy(&t);
}

/* The divisor is the caller's, per task: rows of one task do not dilute another's
 * loss, and doubling a task's scale doubles its loss alone. */
static void test_losses_are_scaled_per_task(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){MMOE});
    assert_true(toy_step(&t));
    double first = t.loss[0], second = t.loss[1];
    t.scale[0] *= 2;
    assert_true(toy_step(&t));
    assert_true(t.loss[0] == 2 * first && t.loss[1] == second);
    toy_destroy(&t);
}

/* The same step twice gives the same bits, whatever the work held before. */
static void test_step_repeats_bit_for_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TOY_TYPES; i++) {
        struct toy t;
        toy_create(&t, &toy_types[i]);
        assert_true(toy_step(&t));
        float *grad = malloc(t.n_params * sizeof *grad);
        memcpy(grad, t.grad, t.n_params * sizeof *grad);
        double loss = t.loss[0];
        memset(t.grad, 0x55, t.n_params * sizeof *grad);
        assert_true(toy_step(&t));
        assert_memory_equal(grad, t.grad, t.n_params * sizeof *grad);
        assert_true(t.loss[0] == loss);
        free(grad);
        toy_destroy(&t);
    }
}

/* A step of no rows gives zeros. */
static void test_empty_lane_gives_zeros(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TOY_TYPES; i++) {
        struct toy t;
        toy_create(&t, &toy_types[i]);
        assert_true(toy_step(&t));
        struct batch empty = t.batch;
        struct batch_table none[TOY_TABLES] = {{0}};
        empty.n_rows = 0;
        empty.tables = none;
        assert_true(model_step(t.model, t.params, &empty, &t.rows, t.scale, t.work,
                               t.grad, t.row_grad, t.loss));
        assert_true(total_grad(&t) == 0 && t.loss[0] == 0 && t.loss[1] == 0);
        toy_destroy(&t);
    }
}

/* A parameter, a row or a label that is not finite is noticed. */
static void test_non_finite_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TOY_TYPES; i++) {
        struct toy t;
        size_t n;
        toy_create(&t, &toy_types[i]);
        const struct model_tensor *list = model_tensors(t.model, &n);
        float was = t.params[list[n - 1].offset];
        t.params[list[n - 1].offset] = NAN;
        assert_false(toy_step(&t));
        t.params[list[n - 1].offset] = was;
        was = t.table[0][0];
        t.table[0][0] = INFINITY;
        assert_false(toy_step(&t));
        t.table[0][0] = was;
        assert_true(toy_step(&t));
        toy_destroy(&t);
    }
}

/* So is a gradient that overflows, or whose square would, while every loss is finite. */
static void test_overflowing_gradient_is_noticed(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &toy_types[0]);
    double scale = t.scale[0];
    t.scale[0] = 1e25; /* an optimiser would keep infinity of it */
    assert_false(toy_step(&t));
    for (size_t i = 0; i < model_n_params(t.model); i++) assert_true(isfinite(t.grad[i]));
    t.scale[0] = scale;
    assert_true(toy_step(&t));
    float *dense = (float *)(uintptr_t)t.batch.dense;
    for (size_t i = 0; i < 12; i++) dense[i] = 3e38f; /* lr's weights are still 0 */
    t.scale[0] = 100;
    assert_false(toy_step(&t));
    assert_true(isfinite(t.loss[0]) && isfinite(t.loss[1]));
    toy_destroy(&t);
}

/* A step allocates nothing. */
static void test_step_does_not_allocate(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TOY_TYPES; i++) {
        struct toy t;
        toy_create(&t, &toy_types[i]);
        uint64_t calls = mem_calls();
        assert_true(toy_step(&t));
        assert_int_equal(mem_calls(), calls);
        toy_destroy(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent_labels_add_nothing),
        cmocka_unit_test(test_losses_are_scaled_per_task),
        cmocka_unit_test(test_step_repeats_bit_for_bit),
        cmocka_unit_test(test_empty_lane_gives_zeros),
        cmocka_unit_test(test_non_finite_is_noticed),
        cmocka_unit_test(test_overflowing_gradient_is_noticed),
        cmocka_unit_test(test_step_does_not_allocate),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
