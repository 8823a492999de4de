/* Gradients of every type of model against central differences; those of options are in
 * test_option_gradient.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/toy_gradient.h"

#define BASE .n_rows = 6, .n_tasks = 3, .seed = 7

/* lr: dense weights, level weights, biases and the ids' own weights. */
static void test_gradient_lr(void **state)
{
    (void)state;
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_LR, BASE});
}

/* lr with id features alone has no layer 1 at all. */
static void test_gradient_lr_without_numbers(void **state)
{
    (void)state;
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_LR, BASE, .n_inputs = 2});
}

/* Direct inputs of every kind, where logits stand side by side and where they do not:
 * the towers of ple read different buffers. */
static void test_gradient_direct_inputs(void **state)
{
    (void)state;
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_WIDE_DEEP, BASE, .bottom = {4}, .wide = true});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_WIDE_DEEP, BASE, .wide = true});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_LR, BASE, .wide = true});
    toy_check_gradients(&(struct toy_cfg){
        .type = MODEL_CGC, BASE, .own = 1, .shared = 1, .experts = {4}, .wide = true});
}

/* Interactions with and without a linear part; of one field, of one task, of twelve. */
static void test_gradient_fm(void **state)
{
    (void)state;
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_FM, BASE, .wide = true});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_FM, BASE});
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_FM, BASE, .n_inputs = 1, .wide = true});
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_FM, .n_rows = 5, .n_tasks = 1, .seed = 7});
    toy_check_gradients(&(struct toy_cfg){
        .type = MODEL_FM, .n_rows = 5, .n_tasks = 12, .seed = 7, .wide = true});
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_FM, .n_rows = 140, .n_tasks = 2, .seed = 7});
}

/* The same vectors in the interactions and in the networks, with and without layers. */
static void test_gradient_deepfm(void **state)
{
    (void)state;
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_DEEPFM, BASE, .bottom = {6, 5}, .wide = true});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_DEEPFM, BASE});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_DEEPFM,
                                          .n_rows = 140,
                                          .n_tasks = 1,
                                          .seed = 7,
                                          .bottom = {4},
                                          .wide = true});
    toy_check_gradients(&(struct toy_cfg){
        .type = MODEL_DEEPFM, BASE, .bottom = {4}, .cross = 2, .wide = true});
}

static void test_gradient_dnn(void **state)
{
    (void)state;
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_DNN, BASE, .bottom = {6, 5}});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_DNN, BASE});
}

/* A bottom whose width is no multiple of the padding, one layer and two; without a layer
 * the towers read the inputs. */
static void test_gradient_share_bottom(void **state)
{
    (void)state;
    toy_check_gradients(&(struct toy_cfg){
        .type = MODEL_SHARE_BOTTOM, BASE, .bottom = {11}, .towers = {4}});
    toy_check_gradients(&(struct toy_cfg){
        .type = MODEL_SHARE_BOTTOM, BASE, .bottom = {9, 5}, .towers = {4, 3}});
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_SHARE_BOTTOM, BASE, .bottom = {9}});
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_SHARE_BOTTOM, BASE, .towers = {4, 3}});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM, BASE});
}

static void test_gradient_omoe(void **state)
{
    (void)state;
    toy_check_gradients(&(struct toy_cfg){
        .type = MODEL_OMOE, BASE, .count = 3, .experts = {5}, .towers = {4}});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_OMOE,
                                          BASE,
                                          .count = 3,
                                          .experts = {5},
                                          .gates = {4},
                                          .towers = {4}});
}

/* Linear gates, gates with one and two hidden layers, experts of two layers. */
static void test_gradient_mmoe(void **state)
{
    (void)state;
    struct toy_cfg c = {
        .type = MODEL_MMOE, BASE, .count = 4, .experts = {8}, .towers = {5}};
    toy_check_gradients(&c);
    c.gates[0] = 6;
    toy_check_gradients(&c);
    c.gates[1] = 3;
    c.experts[1] = 5;
    toy_check_gradients(&c);
    c.towers[0] = 0;
    toy_check_gradients(&c);
}

static void test_gradient_cgc(void **state)
{
    (void)state;
    struct toy_cfg c = {
        .type = MODEL_CGC, BASE, .own = 2, .shared = 3, .experts = {5}, .towers = {4}};
    toy_check_gradients(&c);
    c.shared = 0;
    toy_check_gradients(&c);
    c.shared = 2;
    c.own = 0;
    toy_check_gradients(&c);
}

/* One to three levels, with and without own or shared experts, deeper experts and gates.
 */
static void test_gradient_ple(void **state)
{
    (void)state;
    struct toy_cfg c = {.type = MODEL_PLE,
                        BASE,
                        .own = 2,
                        .shared = 1,
                        .levels = 2,
                        .experts = {5},
                        .towers = {4}};
    toy_check_gradients(&c);
    c.n_inputs = 4;
    c.shared = 0;
    toy_check_gradients(&c);
    c.shared = 2;
    c.own = 0;
    toy_check_gradients(&c);
    c.own = 1;
    c.levels = 3;
    c.gates[0] = 3;
    c.experts[1] = 4;
    toy_check_gradients(&c);
    c.levels = 1;
    toy_check_gradients(&c);
}

/* Hidden layers on both sides, on one, on none; a vector whose width is no multiple of
 * the padding; cross layers, norm and attention within each side. */
static void test_gradient_two_tower(void **state)
{
    (void)state;
    struct toy_cfg c = {.type = MODEL_TWO_TOWER, BASE, .user = {5, 3}, .item = {4, 6, 3}};
    toy_check_gradients(&c);
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_TWO_TOWER, BASE, .user = {3}, .item = {4, 3}});
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_TWO_TOWER, BASE, .user = {11}, .item = {11}});
    c.act = ACT_SILU;
    c.cross = 2;
    toy_check_gradients(&c);
    c.rank = 2;
    c.norm = NORM_LAYER;
    toy_check_gradients(&c);
    c.attends = true;
    c.attention[0] = 3;
    toy_check_gradients(&c);
}

/* One task and one feature on each side; a vector of one float, which is a sign; twelve
 * tasks; more rows than go through at once. */
static void test_gradient_two_tower_corners(void **state)
{
    (void)state;
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_TWO_TOWER,
                                          .n_rows = 4,
                                          .n_tasks = 1,
                                          .n_inputs = 2,
                                          .seed = 3,
                                          .user = {2},
                                          .item = {3, 2}});
    toy_check_gradients(
        &(struct toy_cfg){.type = MODEL_TWO_TOWER, BASE, .user = {3, 1}, .item = {1}});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_TWO_TOWER,
                                          .n_rows = 5,
                                          .n_tasks = 12,
                                          .seed = 3,
                                          .user = {4, 2},
                                          .item = {3, 2}});
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_TWO_TOWER,
                                          .n_rows = 140,
                                          .n_tasks = 2,
                                          .seed = 5,
                                          .user = {4, 3},
                                          .item = {3},
                                          .act = ACT_TANH});
}

/* Two steps, three of them against the order of tasks, and a task outside of the funnel;
 * over x, over a bottom, towers of one layer (a column of a block) and of none. */
static void test_gradient_esmm(void **state)
{
    (void)state;
    struct toy_cfg c = {
        .type = MODEL_ESMM, BASE, .towers = {5, 4}, .funnel = {1, 0}, .n_funnel = 2};
    toy_check_gradients(&c);
    c.bottom[0] = 6;
    toy_check_gradients(&c);
    c = (struct toy_cfg){
        .type = MODEL_ESMM, BASE, .towers = {5}, .funnel = {2, 0, 1}, .n_funnel = 3};
    toy_check_gradients(&c);
    c.towers[0] = 0;
    toy_check_gradients(&c);
}

/* The same, and with widths that fill their padding and do not. */
static void test_gradient_aitm(void **state)
{
    (void)state;
    struct toy_cfg c = {
        .type = MODEL_AITM, BASE, .towers = {5, 4}, .funnel = {1, 0}, .n_funnel = 2};
    toy_check_gradients(&c);
    c.bottom[0] = 6;
    toy_check_gradients(&c);
    c = (struct toy_cfg){
        .type = MODEL_AITM, BASE, .towers = {8}, .funnel = {2, 0, 1}, .n_funnel = 3};
    toy_check_gradients(&c);
    c.act = ACT_GELU;
    c.n_rows = 130; /* more than go through the levels at once */
    c.n_inputs = 2;
    c.towers[0] = 3;
    toy_check_gradients(&c);
}

/* Twelve tasks: mixes of one level come in groups; experts and gates of their own, on one
 * level and on two. */
static void test_gradient_many_tasks(void **state)
{
    (void)state;
    struct toy_cfg c = {.type = MODEL_MMOE,
                        .n_rows = 3,
                        .n_tasks = 12,
                        .n_inputs = 2,
                        .seed = 3,
                        .count = 2,
                        .own = 1,
                        .shared = 1,
                        .levels = 2,
                        .experts = {2},
                        .towers = {2}};
    toy_check_gradients(&c);
    c.towers[0] = 0;
    for (int type = MODEL_CGC; type <= MODEL_PLE; type++) {
        c.type = (enum model_type)type;
        toy_check_gradients(&c);
    }
}

/* One expert and one task in every mixture, which is then the expert; one row, and units
 * of one float; one task with two experts on two levels. */
static void test_gradient_of_one_expert_and_one_task(void **state)
{
    (void)state;
    struct toy_cfg c = {.n_rows = 2,
                        .n_tasks = 1,
                        .seed = 3,
                        .count = 1,
                        .levels = 2,
                        .experts = {3},
                        .towers = {2}};
    for (int type = MODEL_OMOE; type <= MODEL_PLE; type++)
        for (size_t own = 0; own < 2; own++) {
            c.type = (enum model_type)type;
            c.own = own;
            c.shared = 1 - own;
            toy_check_gradients(&c);
        }
    c.own = c.shared = 1;
    toy_check_gradients(&c);
    c.type = MODEL_MMOE;
    c.n_rows = c.experts[0] = c.towers[0] = 1;
    toy_check_gradients(&c);
}

/* More rows than go through the levels at once. */
static void test_gradient_several_chunks(void **state)
{
    (void)state;
    toy_check_gradients(&(struct toy_cfg){.type = MODEL_MMOE,
                                          .n_rows = 130,
                                          .n_tasks = 2,
                                          .n_inputs = 3,
                                          .seed = 5,
                                          .count = 2,
                                          .experts = {3},
                                          .towers = {2}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient_lr),
        cmocka_unit_test(test_gradient_lr_without_numbers),
        cmocka_unit_test(test_gradient_direct_inputs),
        cmocka_unit_test(test_gradient_fm),
        cmocka_unit_test(test_gradient_deepfm),
        cmocka_unit_test(test_gradient_dnn),
        cmocka_unit_test(test_gradient_share_bottom),
        cmocka_unit_test(test_gradient_omoe),
        cmocka_unit_test(test_gradient_mmoe),
        cmocka_unit_test(test_gradient_cgc),
        cmocka_unit_test(test_gradient_ple),
        cmocka_unit_test(test_gradient_two_tower),
        cmocka_unit_test(test_gradient_two_tower_corners),
        cmocka_unit_test(test_gradient_esmm),
        cmocka_unit_test(test_gradient_aitm),
        cmocka_unit_test(test_gradient_many_tasks),
        cmocka_unit_test(test_gradient_of_one_expert_and_one_task),
        cmocka_unit_test(test_gradient_several_chunks),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
