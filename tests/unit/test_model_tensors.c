/* What a model consists of: its tensors by name, their shapes and first values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/toy_types.h"

/* Logical tensors cover floats once; what they leave is padding: 0, gradient 0, no decay.
 */
static void test_tensors_cover_all_but_padding(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TOY_TYPES; i++) {
        struct toy t;
        size_t n;
        toy_create(&t, &toy_types[i]);
        const struct model_tensor *list = model_tensors(t.model, &n);
        uint8_t *seen = calloc(t.n_params, 1), *mask = malloc(t.n_params);
        for (size_t j = 0; j < n; j++)
            for (size_t r = 0; r < list[j].rows; r++)
                for (size_t c = 0; c < list[j].cols; c++)
                    assert_int_equal(seen[list[j].offset + r * list[j].stride + c]++, 0);
        assert_true(toy_step(&t));
        model_decay_mask(t.model, mask);
        for (size_t p = 0; p < t.n_params; p++) {
            if (seen[p]) continue;
            assert_true(t.params[p] == 0 && t.grad[p] == 0 && mask[p] == 0);
        }
        free(mask);
        free(seen);
        toy_destroy(&t);
    }
}

/* "/b" alone, or before a feature's name. */
static bool is_bias(const char *name)
{
    const char *b = strstr(name, "/b");
    return b != NULL && (b[2] == '\0' || b[2] == '/');
}

/* Weight decay touches weights and never a bias. */
static void test_decay_mask_holds_weights_only(void **state)
{
    (void)state;
    struct toy t;
    size_t n;
    toy_create(&t, &(struct toy_cfg){MMOE, .cross = 1});
    uint8_t *mask = malloc(t.n_params);
    model_decay_mask(t.model, mask);
    const struct model_tensor *list = model_tensors(t.model, &n);
    for (size_t j = 0; j < n; j++) {
        bool bias = is_bias(list[j].name);
        assert_int_equal(list[j].decay, !bias);
        assert_int_equal(mask[list[j].offset], !bias);
    }
    free(mask);
    toy_destroy(&t);
}

/* First layers have one tensor per feature, with the feature's width. */
static void test_first_layer_has_a_tensor_per_feature(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){MMOE});
    assert_int_equal(toy_need(&t, "expert/level0/shared/2/layer0/w/z_user")->rows, 3);
    assert_int_equal(toy_need(&t, "expert/level0/shared/2/layer0/w/level")->rows, 4);
    assert_int_equal(toy_need(&t, "gate/level0/task1/layer0/w/num")->cols, 3);
    assert_int_equal(toy_need(&t, "tower/task0/layer0/w")->rows, 5);
    toy_destroy(&t);
}

/* A full cross layer is a tensor for each pair of features, factors and biases one for
 * each feature; direct inputs have none. */
static void test_cross_layers_have_tensors_by_feature(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){MMOE, .cross = 2, .wide = true});
    assert_int_equal(toy_need(&t, "cross/layer1/w/z_user/num")->rows, 3);
    assert_int_equal(toy_need(&t, "cross/layer1/w/z_user/num")->cols, 2);
    assert_int_equal(toy_need(&t, "cross/layer0/b/level")->cols, 4);
    assert_null(toy_tensor(&t, "cross/layer0/b/wide/level"));
    assert_null(toy_tensor(&t, "cross/layer2/b/level"));
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){MMOE, .cross = 1, .rank = 5});
    assert_int_equal(toy_need(&t, "cross/layer0/v/z_user")->rows, 3);
    assert_int_equal(toy_need(&t, "cross/layer0/v/z_user")->cols, 5);
    assert_int_equal(toy_need(&t, "cross/layer0/u/z_user")->rows, 5);
    assert_int_equal(toy_need(&t, "cross/layer0/u/z_user")->cols, 3);
    assert_null(toy_tensor(&t, "cross/layer0/w/z_user/num"));
    toy_destroy(&t);
}

/* A binary task has one logit, not a softmax over two; and nothing in a gate but
 * its linear layers (no normalisation over the batch). */
static void test_units_consist_of_their_layers_alone(void **state)
{
    (void)state;
    struct toy t;
    size_t n;
    toy_create(&t, &(struct toy_cfg){MMOE, .gates = {4}});
    const struct model_tensor *list = model_tensors(t.model, &n);
    assert_int_equal(toy_need(&t, "tower/task0/layer1/w")->cols, 1);
    assert_null(toy_tensor(&t, "gate/level0/task0/layer2/w"));
    for (size_t i = 0; i < n; i++)
        assert_true(strstr(list[i].name, "/w") != NULL ||
                    strstr(list[i].name, "/b") != NULL);
    toy_destroy(&t);
}

/* There are exactly `shared` shared experts, also when that exceeds `own`; they read
 * the shared path, which ends before the last level. */
static void test_shared_experts_are_as_many_as_asked(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){PLE2});
    assert_non_null(toy_tensor(&t, "expert/level1/shared/2/layer0/b"));
    assert_null(toy_tensor(&t, "expert/level1/shared/3/layer0/b"));
    assert_null(toy_tensor(&t, "expert/level1/task0/2/layer0/b"));
    assert_null(toy_tensor(&t, "gate/level1/shared/layer0/b"));
    toy_destroy(&t);
}

/* omoe has one gate for all tasks, mmoe one for each. */
static void test_omoe_has_one_gate(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &toy_types[3]);
    assert_non_null(toy_tensor(&t, "gate/level0/shared/layer0/b"));
    assert_null(toy_tensor(&t, "gate/level0/task0/layer0/b"));
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){MMOE});
    assert_null(toy_tensor(&t, "gate/level0/shared/layer0/b"));
    assert_non_null(toy_tensor(&t, "gate/level0/task1/layer0/b"));
    toy_destroy(&t);
}

/* Rows of lr hold one weight per task; other types keep the configured width. */
static void test_row_width_follows_from_the_type(void **state)
{
    (void)state;
    assert_int_equal(model_row_dim(MODEL_LR, 16, 4), 4);
    assert_int_equal(model_row_dim(MODEL_DNN, 16, 4), 16);
}

/* Constant initialisation (a reference library) or one seed for every expert
 * (another): here no two units, and no two columns of a unit, start alike. */
static void test_every_unit_starts_differently(void **state)
{
    (void)state;
    struct toy t;
    size_t n;
    toy_create(&t, &(struct toy_cfg){PLE2});
    const struct model_tensor *list = model_tensors(t.model, &n);
    for (size_t i = 0; i < n; i++) {
        if (list[i].init != TENSOR_GLOROT) continue;
        for (size_t c = 1; c < list[i].cols; c++)
            assert_true(*toy_at(&t, &list[i], 0, c) != *toy_at(&t, &list[i], 0, 0));
        for (size_t j = 0; j < i; j++)
            if (list[j].init == TENSOR_GLOROT)
                assert_true(*toy_at(&t, &list[i], 0, 0) != *toy_at(&t, &list[j], 0, 0));
    }
    toy_destroy(&t);
}

/* Glorot's bound uses the whole layer: all of x, and one unit's outputs, not the fused
 * width. */
static void test_initial_values_fill_the_glorot_range(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){MMOE});
    double bound = sqrt(6.0 / (18 + 5)), most = 0; /* widths 3 2 2 4 3 2 2 */
    for (size_t e = 0; e < 3; e++) {
        char name[64];
        snprintf(name, sizeof name, "expert/level0/shared/%zu/layer0/w/level", e);
        const struct model_tensor *x = toy_need(&t, name);
        assert_int_equal(x->fan_in, 18);
        assert_int_equal(x->fan_out, 5);
        for (size_t i = 0; i < 20; i++)
            most = fmax(most, fabs((double)*toy_at(&t, x, i / 5, i % 5)));
    }
    assert_true(most <= bound && most > 0.8 * bound);
    toy_destroy(&t);
}

/* Gate biases and hidden biases are 0, last biases stand at the task's base, lr weights
 * at 0; a norm leaves what it normalised, attention starts as a sum. */
static void test_biases_start_at_zero_or_base(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){MMOE, .gates = {3}});
    assert_true(*toy_at(&t, toy_need(&t, "gate/level0/task1/layer1/b"), 0, 2) == 0);
    assert_true(*toy_at(&t, toy_need(&t, "tower/task1/layer0/b"), 0, 3) == 0);
    assert_true(*toy_at(&t, toy_need(&t, "tower/task1/layer1/b"), 0, 0) ==
                (float)t.tasks[1].base);
    toy_destroy(&t);
    toy_create(&t, &toy_types[0]);
    assert_true(*toy_at(&t, toy_need(&t, "lr/task0/layer0/w/num"), 1, 0) == 0);
    assert_true(*toy_at(&t, toy_need(&t, "lr/task0/layer0/b"), 0, 0) ==
                (float)t.tasks[0].base);
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){ALL_OPTIONS});
    for (size_t j = 0; j < 5; j++) {
        assert_true(*toy_at(&t, toy_need(&t, "expert/level0/shared/2/layer0/norm/gain"),
                            0, j) == 1);
        assert_true(*toy_at(&t, toy_need(&t, "expert/level0/shared/2/layer0/norm/bias"),
                            0, j) == 0);
    }
    assert_true(*toy_at(&t, toy_need(&t, "attention/list_mean/layer0/b"), 0, 3) == 0);
    assert_true(*toy_at(&t, toy_need(&t, "attention/list_mean/layer1/b"), 0, 0) == 1);
    toy_destroy(&t);
}

/* With one task the factors have no weights: that is the machine of the paper. With more,
 * every task starts from it. */
static void test_fm_starts_as_in_the_paper(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t,
               &(struct toy_cfg){.type = MODEL_FM, .n_rows = 6, .n_tasks = 1, .seed = 3});
    assert_null(toy_tensor(&t, "fm/task0/w"));
    toy_destroy(&t);
    toy_create(&t,
               &(struct toy_cfg){.type = MODEL_FM, .n_rows = 6, .n_tasks = 3, .seed = 3});
    for (size_t j = 0; j < 3; j++)
        assert_true(*toy_at(&t, toy_need(&t, "fm/task2/w"), j, 0) == 1);
    toy_destroy(&t);
}

/* A tensor's values follow from seed and name: more experts, another order of
 * features or more tasks change the layout, not the values. */
static void test_initial_values_do_not_depend_on_layout(void **state)
{
    (void)state;
    const struct toy_cfg other[] = {{MMOE, .rotate = 3}, {MMOE}};
    struct toy a, b;
    toy_create(&a, &(struct toy_cfg){MMOE});
    for (size_t i = 0; i < 2; i++) {
        struct toy_cfg c = other[i];
        if (i == 1) c.n_tasks = 5;
        toy_create(&b, &c);
        const char *names[] = {"expert/level0/shared/1/layer0/w/num",
                               "tower/task1/layer0/w"};
        for (size_t j = 0; j < 2; j++) {
            const struct model_tensor *x = toy_need(&a, names[j]),
                                      *y = toy_need(&b, names[j]);
            for (size_t r = 0; r < x->rows; r++)
                assert_memory_equal(toy_at(&a, x, r, 0), toy_at(&b, y, r, 0),
                                    x->cols * sizeof(float));
        }
        toy_destroy(&b);
    }
    toy_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors_cover_all_but_padding),
        cmocka_unit_test(test_decay_mask_holds_weights_only),
        cmocka_unit_test(test_first_layer_has_a_tensor_per_feature),
        cmocka_unit_test(test_cross_layers_have_tensors_by_feature),
        cmocka_unit_test(test_units_consist_of_their_layers_alone),
        cmocka_unit_test(test_shared_experts_are_as_many_as_asked),
        cmocka_unit_test(test_omoe_has_one_gate),
        cmocka_unit_test(test_row_width_follows_from_the_type),
        cmocka_unit_test(test_every_unit_starts_differently),
        cmocka_unit_test(test_initial_values_fill_the_glorot_range),
        cmocka_unit_test(test_biases_start_at_zero_or_base),
        cmocka_unit_test(test_fm_starts_as_in_the_paper),
        cmocka_unit_test(test_initial_values_do_not_depend_on_layout),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
