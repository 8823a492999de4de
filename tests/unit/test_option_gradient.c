/* Gradients of the parts that any type may have against central differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/toy_gradient.h"

#define BASE .n_rows = 6, .n_tasks = 3, .seed = 7

/* One to three cross layers, of full matrices and of factors; below every kind of type: x
 * is read by one block, by several, and by no other block than towers. */
static void test_gradient_cross(void **state)
{
    (void)state;
    for (size_t rank = 0; rank <= 3; rank += 3) {
        for (size_t layers = 1; layers <= 3; layers++)
            toy_check_gradients(&(struct toy_cfg){.type = MODEL_DNN,
                                                  BASE,
                                                  .n_inputs = 4,
                                                  .bottom = {5},
                                                  .cross = layers,
                                                  .rank = rank});
        toy_check_gradients(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                              BASE,
                                              .n_inputs = 4,
                                              .towers = {4},
                                              .act = ACT_SILU,
                                              .cross = 2,
                                              .rank = rank});
        toy_check_gradients(&(struct toy_cfg){.type = MODEL_PLE,
                                              BASE,
                                              .n_inputs = 4,
                                              .own = 1,
                                              .shared = 1,
                                              .levels = 2,
                                              .experts = {4},
                                              .cross = 2,
                                              .rank = rank});
    }
    toy_check_gradients(&(struct toy_cfg){
        .type = MODEL_OMOE, BASE, .count = 2, .experts = {4}, .cross = 1});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_CGC,
                                          BASE,
                                          .n_inputs = 4,
                                          .own = 1,
                                          .shared = 1,
                                          .experts = {4},
                                          .cross = 1});
}

/* One feature, one task and a rank above the width; direct inputs pass cross layers by;
 * twelve tasks; more rows than go through at once. lr has no cross layers. */
static void test_gradient_cross_corners(void **state)
{
    (void)state;
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_DNN,
                                          .n_rows = 3,
                                          .n_tasks = 1,
                                          .n_inputs = 1,
                                          .seed = 3,
                                          .cross = 2,
                                          .rank = 5});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_CGC,
                                          BASE,
                                          .own = 1,
                                          .shared = 1,
                                          .experts = {4},
                                          .wide = true,
                                          .cross = 1,
                                          .rank = 1});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_MMOE,
                                          .n_rows = 3,
                                          .n_tasks = 12,
                                          .n_inputs = 3,
                                          .seed = 3,
                                          .count = 2,
                                          .experts = {2},
                                          .cross = 1});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_MMOE,
                                          .n_rows = 130,
                                          .n_tasks = 2,
                                          .n_inputs = 3,
                                          .seed = 5,
                                          .count = 2,
                                          .experts = {3},
                                          .towers = {2},
                                          .cross = 2,
                                          .rank = 2});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_LR, BASE, .cross = 2});
}

/* Each activation in experts, gates and towers at once. */
static void test_gradient_activations(void **state)
{
    (void)state;
    for (int a = ACT_RELU; a <= ACT_TANH; a++) {
        toy_check_gradients(&(struct toy_cfg){.type = MODEL_MMOE,
                                              BASE,
                                              .count = 2,
                                              .experts = {4, 3},
                                              .gates = {3},
                                              .towers = {4, 3},
                                              .act = (enum activation)a});
        toy_check_gradients(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                              BASE,
                                              .bottom = {4},
                                              .towers = {3},
                                              .act = (enum activation)a});
    }
}

/* Experts and gates of one block with two activations, of which one or both keep
 * their input. */
static void test_gradient_gates_with_their_own_activation(void **state)
{
    (void)state;
    struct toy_cfg c = {.type = MODEL_MMOE,
                        BASE,
                        .count = 2,
                        .experts = {4},
                        .gates = {3},
                        .towers = {3},
                        .own_gate_act = true,
                        .gate_act = ACT_GELU};
    toy_check_gradients(&c);
    c.act = ACT_SILU;
    toy_check_gradients(&c);
    c.gate_act = ACT_TANH;
    toy_check_gradients(&c);
}

static void test_gradient_losses(void **state)
{
    (void)state;
    for (int l = LOSS_BCE; l <= LOSS_LOG_MSE; l++)
        toy_check_gradients(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                              BASE,
                                              .bottom = {4},
                                              .towers = {3},
                                              .act = ACT_TANH,
                                              .loss = (enum loss_kind)l});
}

/* Two levels with experts, gates and towers of layers of their own. */
#define EVERY_STACK                                                                     \
    .type = MODEL_PLE, .n_rows = 4, .n_tasks = 2, .seed = 7, .own = 1, .shared = 1,     \
    .levels = 2, .experts = {4, 3}, .gates = {2}, .towers = {3}

/* A layer norm in every stack: layers of a block, of buffers of their own, of the block
 * that reads x, beside gates that end in a linear layer. */
static void test_gradient_layer_norm(void **state)
{
    (void)state;
    for (int a = ACT_RELU; a <= ACT_TANH; a++)
        toy_check_gradients(&(struct toy_cfg){
            EVERY_STACK, .act = (enum activation)a, .norm = NORM_LAYER});
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_DNN, BASE, .bottom = {6, 5}, .norm = NORM_LAYER});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                          BASE,
                                          .bottom = {9},
                                          .towers = {4},
                                          .norm = NORM_LAYER});
}

/* Dropout in every stack: each activation, with and without a norm before it; more rows
 * than go through the levels at once. */
static void test_gradient_dropout(void **state)
{
    (void)state;
    for (int a = ACT_RELU; a <= ACT_TANH; a++) {
        struct toy_cfg c = {EVERY_STACK, .act = (enum activation)a, .dropout = 0.3};
        toy_check_gradients(&c);
        c.norm = NORM_LAYER;
        toy_check_gradients(&c);
    }
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                          .n_rows = 130,
                                          .n_tasks = 1,
                                          .n_inputs = 3,
                                          .seed = 5,
                                          .bottom = {3},
                                          .act = ACT_TANH,
                                          .dropout = 0.5});
}

/* Lists pooled by attention, of which some are empty: each activation, no hidden layer,
 * lists that pass one after another through several pieces, direct inputs beside them, an
 * input stage behind them. */
static void test_gradient_attention(void **state)
{
    (void)state;
    for (int a = ACT_RELU; a <= ACT_TANH; a++)
        toy_check_gradients(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                              BASE,
                                              .bottom = {4},
                                              .act = (enum activation)a,
                                              .attends = true,
                                              .attention = {5, 3}});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_MMOE,
                                          BASE,
                                          .count = 2,
                                          .experts = {3},
                                          .attends = true,
                                          .wide = true});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_DNN,
                                          BASE,
                                          .bottom = {3},
                                          .cross = 1,
                                          .attends = true,
                                          .attention = {2}});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_DNN,
                                          .n_rows = 140,
                                          .n_tasks = 1,
                                          .seed = 5,
                                          .bottom = {2},
                                          .act = ACT_TANH,
                                          .attends = true,
                                          .attention = {2}});
}

/* Log variances of every kind of loss, beside direct inputs, and of the joint losses of a
 * funnel, of which aitm's constraint is a part. */
static void test_gradient_uncertainty(void **state)
{
    (void)state;
    struct toy_cfg c = {.type = MODEL_SHARE_BOTTOM,
                        BASE,
                        .bottom = {4},
                        .act = ACT_TANH,
                        .balance = {.kind = BALANCE_UNCERTAINTY}};
    for (int l = LOSS_BCE; l <= LOSS_LOG_MSE; l++) {
        c.loss = (enum loss_kind)l;
        toy_check_gradients(&c);
    }
    toy_check_gradients(&(struct toy_cfg){
        .type = MODEL_LR, BASE, .wide = true, .balance = {.kind = BALANCE_UNCERTAINTY}});
    c.loss = LOSS_BCE;
    c.towers[0] = 3;
    c.funnel[0] = 1; /* then 0; task 2 is outside */
    c.n_funnel = 2;
    for (int type = MODEL_ESMM; type <= MODEL_AITM; type++) {
        c.type = (enum model_type)type;
        toy_check_gradients(&c);
    }
}

/* Every other part below and in the towers of a funnel: what aitm hands on has passed
 * norm and dropout. */
static void test_gradient_funnel_with_options(void **state)
{
    (void)state;
    for (int type = MODEL_ESMM; type <= MODEL_AITM; type++) {
        struct toy_cfg c = {.type = (enum model_type)type,
                            BASE,
                            .bottom = {5},
                            .towers = {4, 3},
                            .act = ACT_SILU,
                            .funnel = {1, 0},
                            .n_funnel = 2,
                            .norm = NORM_LAYER,
                            .dropout = 0.3};
        toy_check_gradients(&c);
        c.bottom[0] = 0;
        c.towers[1] = 0;
        c.cross = 1;
        c.rank = 2;
        c.attends = true;
        c.attention[0] = 2;
        toy_check_gradients(&c);
    }
}

/* Towers of one, two and three layers, each with its own width and activation, over one
 * buffer and over one each. */
static void test_gradient_towers_of_their_own(void **state)
{
    (void)state;
    toy_check_gradients(&(struct toy_cfg){
        .type = MODEL_SHARE_BOTTOM, BASE, .bottom = {4}, .own_towers = true});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_MMOE,
                                          BASE,
                                          .count = 2,
                                          .experts = {4},
                                          .own_towers = true,
                                          .norm = NORM_LAYER,
                                          .dropout = 0.2});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient_cross),
        cmocka_unit_test(test_gradient_cross_corners),
        cmocka_unit_test(test_gradient_activations),
        cmocka_unit_test(test_gradient_gates_with_their_own_activation),
        cmocka_unit_test(test_gradient_losses),
        cmocka_unit_test(test_gradient_layer_norm),
        cmocka_unit_test(test_gradient_dropout),
        cmocka_unit_test(test_gradient_attention),
        cmocka_unit_test(test_gradient_uncertainty),
        cmocka_unit_test(test_gradient_funnel_with_options),
        cmocka_unit_test(test_gradient_towers_of_their_own),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
