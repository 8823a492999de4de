/* Every gradient of every architecture and option against central differences of
 * the reference forward in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/test_model_toy.h"

/* The model computes in float: sums of some hundred terms below 10 carry 1e-6. */
static const double TOLERANCE = 2e-5;

/* dL/dvalue by central differences. A kink of relu between the two points spoils
 * it; a smaller step then tells. */
static bool difference_agrees(struct toy *t, float *value, double gradient)
{
    float was = *value;
    double d = 0;
    for (double h = 0x1p-12; h > 0x1p-20; h /= 8) {
        *value = (float)((double)was + h);
        double up = toy_reference_loss(t), at = (double)*value;
        *value = (float)((double)was - h);
        d = (up - toy_reference_loss(t)) / (at - (double)*value);
        *value = was;
        if (fabs(d - gradient) <= TOLERANCE * (1 + fabs(d))) return true;
    }
    print_error("difference %.9g, gradient %.9g\n", d, gradient);
    return false;
}

static void check_tensors(struct toy *t)
{
    size_t n;
    const struct model_tensor *list = model_tensors(t->model, &n);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < list[i].rows; r++)
            for (size_t c = 0; c < list[i].cols; c++) {
                size_t at = list[i].offset + r * list[i].stride + c;
                if (!difference_agrees(t, &t->params[at], (double)t->grad[at]))
                    fail_msg("%s[%zu, %zu]", list[i].name, r, c);
            }
}

static void check_rows(struct toy *t)
{
    for (size_t i = 0; i < t->spec.n_tables; i++)
        for (size_t u = 0; u < t->batch.tables[i].n; u++)
            for (size_t j = 0; j < t->table_dim[i]; j++) {
                size_t at = t->rows.place[i][u] * t->table_dim[i] + j;
                double g = (double)t->row_grad[i][u * t->table_dim[i] + j];
                if (!difference_agrees(t, &t->table[i][at], g))
                    fail_msg("table %zu, row %zu, column %zu", i, u, j);
            }
}

static void check(const struct toy_cfg *cfg)
{
    struct toy t;
    toy_create(&t, cfg);
    toy_randomise(&t);
    for (size_t i = 0; i < t.spec.n_tables; i++) /* the step must overwrite, not add */
        memset(t.row_grad[i], 0x7f, t.batch.tables[i].n * t.table_dim[i] * sizeof(float));
    memset(t.grad, 0x7f, t.n_params * sizeof(float));
    assert_true(toy_step(&t));
    double sum = 0;
    for (size_t k = 0; k < cfg->n_tasks; k++) sum += t.loss[k] * t.tasks[k].weight;
    if (cfg->balance.kind == BALANCE_FIXED)
        assert_true(fabs(sum - toy_reference_loss(&t)) < 1e-6 * (1 + fabs(sum)));
    check_tensors(&t);
    check_rows(&t);
    toy_destroy(&t);
}

#define BASE .n_rows = 6, .n_tasks = 3, .seed = 7

/* lr: dense weights, level weights, biases and the ids' own weights. */
static void test_gradient_lr(void **state)
{
    (void)state;
    check(&(struct toy_cfg){.type = MODEL_LR, BASE});
}

/* lr with id features alone has no layer 1 at all. */
static void test_gradient_lr_without_numbers(void **state)
{
    (void)state;
    check(&(struct toy_cfg){.type = MODEL_LR, BASE, .n_inputs = 2});
}

/* Direct inputs of every kind, where logits stand side by side and where they do not:
 * the towers of ple read different buffers. */
static void test_gradient_direct_inputs(void **state)
{
    (void)state;
    check(&(struct toy_cfg){.type = MODEL_WIDE_DEEP, BASE, .bottom = {4}, .wide = true});
    check(&(struct toy_cfg){.type = MODEL_WIDE_DEEP, BASE, .wide = true});
    check(&(struct toy_cfg){.type = MODEL_LR, BASE, .wide = true});
    check(&(struct toy_cfg){
        .type = MODEL_CGC, BASE, .own = 1, .shared = 1, .experts = {4}, .wide = true});
}

/* Interactions with and without a linear part; of one field, of one task, of twelve. */
static void test_gradient_fm(void **state)
{
    (void)state;
    check(&(struct toy_cfg){.type = MODEL_FM, BASE, .wide = true});
    check(&(struct toy_cfg){.type = MODEL_FM, BASE});
    check(&(struct toy_cfg){.type = MODEL_FM, BASE, .n_inputs = 1, .wide = true});
    check(&(struct toy_cfg){.type = MODEL_FM, .n_rows = 5, .n_tasks = 1, .seed = 7});
    check(&(struct toy_cfg){
        .type = MODEL_FM, .n_rows = 5, .n_tasks = 12, .seed = 7, .wide = true});
    check(&(struct toy_cfg){.type = MODEL_FM, .n_rows = 140, .n_tasks = 2, .seed = 7});
}

/* The same vectors in the interactions and in the networks, with and without layers. */
static void test_gradient_deepfm(void **state)
{
    (void)state;
    check(&(struct toy_cfg){.type = MODEL_DEEPFM, BASE, .bottom = {6, 5}, .wide = true});
    check(&(struct toy_cfg){.type = MODEL_DEEPFM, BASE});
    check(&(struct toy_cfg){.type = MODEL_DEEPFM,
                            .n_rows = 140,
                            .n_tasks = 1,
                            .seed = 7,
                            .bottom = {4},
                            .wide = true});
    check(&(struct toy_cfg){
        .type = MODEL_DEEPFM, BASE, .bottom = {4}, .cross = 2, .wide = true});
}

static void test_gradient_dnn(void **state)
{
    (void)state;
    check(&(struct toy_cfg){.type = MODEL_DNN, BASE, .bottom = {6, 5}});
    check(&(struct toy_cfg){.type = MODEL_DNN, BASE});
}

/* A bottom whose width is no multiple of the padding, one layer and two; without a layer
 * the towers read the inputs. */
static void test_gradient_share_bottom(void **state)
{
    (void)state;
    check(&(struct toy_cfg){
        .type = MODEL_SHARE_BOTTOM, BASE, .bottom = {11}, .towers = {4}});
    check(&(struct toy_cfg){
        .type = MODEL_SHARE_BOTTOM, BASE, .bottom = {9, 5}, .towers = {4, 3}});
    check(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM, BASE, .bottom = {9}});
    check(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM, BASE, .towers = {4, 3}});
    check(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM, BASE});
}

static void test_gradient_omoe(void **state)
{
    (void)state;
    check(&(struct toy_cfg){
        .type = MODEL_OMOE, BASE, .count = 3, .experts = {5}, .towers = {4}});
    check(&(struct toy_cfg){.type = MODEL_OMOE,
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
    check(&c);
    c.gates[0] = 6;
    check(&c);
    c.gates[1] = 3;
    c.experts[1] = 5;
    check(&c);
    c.towers[0] = 0;
    check(&c);
}

static void test_gradient_cgc(void **state)
{
    (void)state;
    struct toy_cfg c = {
        .type = MODEL_CGC, BASE, .own = 2, .shared = 3, .experts = {5}, .towers = {4}};
    check(&c);
    c.shared = 0;
    check(&c);
    c.shared = 2;
    c.own = 0;
    check(&c);
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
    check(&c);
    c.shared = 0;
    check(&c);
    c.shared = 2;
    c.own = 0;
    check(&c);
    c.own = 1;
    c.levels = 3;
    c.gates[0] = 3;
    c.experts[1] = 4;
    check(&c);
    c.levels = 1;
    check(&c);
}

/* One to three cross layers, of full matrices and of factors, below every type; x is read
 * by one block, by several, and by no other block than towers. */
static void test_gradient_cross(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        size_t layers = 1 + i % 3, rank = i < 3 ? 0 : 3;
        check(&(struct toy_cfg){
            .type = MODEL_DNN, BASE, .bottom = {5}, .cross = layers, .rank = rank});
        check(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                BASE,
                                .towers = {4},
                                .act = ACT_SILU,
                                .cross = layers,
                                .rank = rank});
        check(&(struct toy_cfg){.type = MODEL_PLE,
                                BASE,
                                .own = 1,
                                .shared = 1,
                                .levels = 2,
                                .experts = {4},
                                .cross = layers,
                                .rank = rank});
    }
    check(&(struct toy_cfg){
        .type = MODEL_OMOE, BASE, .count = 2, .experts = {4}, .cross = 1});
    check(&(struct toy_cfg){
        .type = MODEL_CGC, BASE, .own = 1, .shared = 1, .experts = {4}, .cross = 1});
}

/* One feature, one task and a rank above the width; direct inputs pass cross layers by;
 * twelve tasks; more rows than go through at once. lr has no cross layers. */
static void test_gradient_cross_corners(void **state)
{
    (void)state;
    check(&(struct toy_cfg){.type = MODEL_DNN,
                            .n_rows = 3,
                            .n_tasks = 1,
                            .n_inputs = 1,
                            .seed = 3,
                            .cross = 2,
                            .rank = 5});
    check(&(struct toy_cfg){.type = MODEL_CGC,
                            BASE,
                            .own = 1,
                            .shared = 1,
                            .experts = {4},
                            .wide = true,
                            .cross = 1,
                            .rank = 1});
    check(&(struct toy_cfg){.type = MODEL_MMOE,
                            .n_rows = 5,
                            .n_tasks = 12,
                            .seed = 3,
                            .count = 2,
                            .experts = {3},
                            .cross = 1});
    check(&(struct toy_cfg){.type = MODEL_MMOE,
                            .n_rows = 140,
                            .n_tasks = 2,
                            .seed = 5,
                            .count = 2,
                            .experts = {3},
                            .towers = {2},
                            .cross = 2,
                            .rank = 2});
    check(&(struct toy_cfg){.type = MODEL_LR, BASE, .cross = 2});
}

/* Hidden layers on both sides, on one, on none; a vector whose width is no multiple of
 * the padding; cross layers, norm and attention within each side. */
static void test_gradient_two_tower(void **state)
{
    (void)state;
    struct toy_cfg c = {.type = MODEL_TWO_TOWER, BASE, .user = {5, 3}, .item = {4, 6, 3}};
    check(&c);
    check(&(struct toy_cfg){.type = MODEL_TWO_TOWER, BASE, .user = {3}, .item = {4, 3}});
    check(&(struct toy_cfg){.type = MODEL_TWO_TOWER, BASE, .user = {11}, .item = {11}});
    c.act = ACT_SILU;
    c.cross = 2;
    check(&c);
    c.rank = 2;
    c.norm = NORM_LAYER;
    check(&c);
    c.attends = true;
    c.attention[0] = 3;
    check(&c);
}

/* One task and one feature on each side; a vector of one float, which is a sign; twelve
 * tasks; more rows than go through at once. */
static void test_gradient_two_tower_corners(void **state)
{
    (void)state;
    check(&(struct toy_cfg){.type = MODEL_TWO_TOWER,
                            .n_rows = 4,
                            .n_tasks = 1,
                            .n_inputs = 2,
                            .seed = 3,
                            .user = {2},
                            .item = {3, 2}});
    check(&(struct toy_cfg){.type = MODEL_TWO_TOWER, BASE, .user = {3, 1}, .item = {1}});
    check(&(struct toy_cfg){.type = MODEL_TWO_TOWER,
                            .n_rows = 5,
                            .n_tasks = 12,
                            .seed = 3,
                            .user = {4, 2},
                            .item = {3, 2}});
    check(&(struct toy_cfg){.type = MODEL_TWO_TOWER,
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
    check(&c);
    c.bottom[0] = 6;
    check(&c);
    c = (struct toy_cfg){
        .type = MODEL_ESMM, BASE, .towers = {5}, .funnel = {2, 0, 1}, .n_funnel = 3};
    check(&c);
    c.towers[0] = 0;
    check(&c);
}

/* The same, and with widths that fill their padding and do not. */
static void test_gradient_aitm(void **state)
{
    (void)state;
    struct toy_cfg c = {
        .type = MODEL_AITM, BASE, .towers = {5, 4}, .funnel = {1, 0}, .n_funnel = 2};
    check(&c);
    c.bottom[0] = 6;
    check(&c);
    c = (struct toy_cfg){
        .type = MODEL_AITM, BASE, .towers = {8}, .funnel = {2, 0, 1}, .n_funnel = 3};
    check(&c);
    c.act = ACT_GELU;
    c.n_rows = 140; /* more than go through the levels at once */
    check(&c);
}

/* Each activation in experts, gates and towers at once. */
static void test_gradient_activations(void **state)
{
    (void)state;
    for (int a = ACT_RELU; a <= ACT_TANH; a++) {
        check(&(struct toy_cfg){.type = MODEL_MMOE,
                                BASE,
                                .count = 2,
                                .experts = {4, 3},
                                .gates = {3},
                                .towers = {4, 3},
                                .act = (enum activation)a});
        check(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
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
    check(&c);
    c.act = ACT_SILU;
    check(&c);
    c.gate_act = ACT_TANH;
    check(&c);
}

static void test_gradient_losses(void **state)
{
    (void)state;
    for (int l = LOSS_BCE; l <= LOSS_LOG_MSE; l++)
        check(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                BASE,
                                .bottom = {4},
                                .towers = {3},
                                .act = ACT_TANH,
                                .loss = (enum loss_kind)l});
}

/* A layer norm in every stack: layers of a block, of buffers of their own, of the block
 * that reads x, beside gates that end in a linear layer. */
static void test_gradient_layer_norm(void **state)
{
    (void)state;
    for (int a = ACT_RELU; a <= ACT_TANH; a++)
        check(&(struct toy_cfg){.type = MODEL_PLE,
                                .n_rows = 4,
                                .n_tasks = 2,
                                .seed = 7,
                                .own = 1,
                                .shared = 1,
                                .levels = 2,
                                .experts = {4, 3},
                                .gates = {2},
                                .towers = {3},
                                .act = (enum activation)a,
                                .norm = NORM_LAYER});
    check(
        &(struct toy_cfg){.type = MODEL_DNN, BASE, .bottom = {6, 5}, .norm = NORM_LAYER});
    check(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
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
        struct toy_cfg c = {.type = MODEL_PLE,
                            .n_rows = 4,
                            .n_tasks = 2,
                            .seed = 7,
                            .own = 1,
                            .shared = 1,
                            .levels = 2,
                            .experts = {4, 3},
                            .gates = {2},
                            .towers = {3},
                            .act = (enum activation)a,
                            .dropout = 0.3};
        check(&c);
        c.norm = NORM_LAYER;
        check(&c);
    }
    check(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                            .n_rows = 140,
                            .n_tasks = 1,
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
        check(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                BASE,
                                .bottom = {4},
                                .act = (enum activation)a,
                                .attends = true,
                                .attention = {5, 3}});
    check(&(struct toy_cfg){.type = MODEL_MMOE,
                            BASE,
                            .count = 2,
                            .experts = {3},
                            .attends = true,
                            .wide = true});
    check(&(struct toy_cfg){.type = MODEL_DNN,
                            BASE,
                            .bottom = {3},
                            .cross = 1,
                            .attends = true,
                            .attention = {2}});
    check(&(struct toy_cfg){.type = MODEL_DNN,
                            .n_rows = 140,
                            .n_tasks = 1,
                            .seed = 5,
                            .bottom = {2},
                            .act = ACT_TANH,
                            .attends = true,
                            .attention = {2}});
}

/* Log variances of every kind of loss, also beside direct inputs. */
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
        check(&c);
    }
    check(&(struct toy_cfg){
        .type = MODEL_LR, BASE, .wide = true, .balance = {.kind = BALANCE_UNCERTAINTY}});
}

/* One expert, one task, one row; and twelve tasks, whose mixes come in groups. */
static void test_gradient_corner_sizes(void **state)
{
    (void)state;
    check(&(struct toy_cfg){.type = MODEL_MMOE,
                            .n_rows = 1,
                            .n_tasks = 1,
                            .seed = 3,
                            .count = 1,
                            .experts = {1},
                            .towers = {1}});
    check(&(struct toy_cfg){.type = MODEL_PLE,
                            .n_rows = 5,
                            .n_tasks = 1,
                            .seed = 3,
                            .own = 1,
                            .shared = 1,
                            .levels = 2,
                            .experts = {3},
                            .towers = {2}});
    check(&(struct toy_cfg){.type = MODEL_MMOE,
                            .n_rows = 5,
                            .n_tasks = 12,
                            .seed = 3,
                            .count = 2,
                            .experts = {3},
                            .towers = {2}});
}

/* Twelve tasks with experts and gates of their own, on one level and on two. */
static void test_gradient_many_tasks(void **state)
{
    (void)state;
    struct toy_cfg c = {.type = MODEL_CGC,
                        .n_rows = 3,
                        .n_tasks = 12,
                        .n_inputs = 2,
                        .seed = 3,
                        .own = 1,
                        .shared = 1,
                        .experts = {2}};
    check(&c);
    c.type = MODEL_PLE;
    c.levels = 2;
    check(&c);
}

/* One expert and one task in every mixture; a mixture of one is the expert. */
static void test_gradient_of_one_expert_and_one_task(void **state)
{
    (void)state;
    for (int type = MODEL_OMOE; type <= MODEL_PLE; type++)
        for (size_t own = 0; own < 2; own++)
            check(&(struct toy_cfg){.type = (enum model_type)type,
                                    .n_rows = 2,
                                    .n_tasks = 1,
                                    .seed = 3,
                                    .count = 1,
                                    .own = own,
                                    .shared = 1 - own,
                                    .levels = 2,
                                    .experts = {3},
                                    .towers = {2}});
}

/* Towers of one, two and three layers, each with its own width and activation, over one
 * buffer and over one each. */
static void test_gradient_towers_of_their_own(void **state)
{
    (void)state;
    check(&(struct toy_cfg){
        .type = MODEL_SHARE_BOTTOM, BASE, .bottom = {4}, .own_towers = true});
    check(&(struct toy_cfg){.type = MODEL_MMOE,
                            BASE,
                            .count = 2,
                            .experts = {4},
                            .own_towers = true,
                            .norm = NORM_LAYER,
                            .dropout = 0.2});
}

/* More rows than go through the levels at once. */
static void test_gradient_several_chunks(void **state)
{
    (void)state;
    check(&(struct toy_cfg){.type = MODEL_MMOE,
                            .n_rows = 140,
                            .n_tasks = 2,
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
        cmocka_unit_test(test_gradient_dnn),
        cmocka_unit_test(test_gradient_fm),
        cmocka_unit_test(test_gradient_deepfm),
        cmocka_unit_test(test_gradient_share_bottom),
        cmocka_unit_test(test_gradient_omoe),
        cmocka_unit_test(test_gradient_mmoe),
        cmocka_unit_test(test_gradient_cgc),
        cmocka_unit_test(test_gradient_ple),
        cmocka_unit_test(test_gradient_cross),
        cmocka_unit_test(test_gradient_cross_corners),
        cmocka_unit_test(test_gradient_two_tower),
        cmocka_unit_test(test_gradient_two_tower_corners),
        cmocka_unit_test(test_gradient_esmm),
        cmocka_unit_test(test_gradient_aitm),
        cmocka_unit_test(test_gradient_activations),
        cmocka_unit_test(test_gradient_gates_with_their_own_activation),
        cmocka_unit_test(test_gradient_losses),
        cmocka_unit_test(test_gradient_layer_norm),
        cmocka_unit_test(test_gradient_dropout),
        cmocka_unit_test(test_gradient_attention),
        cmocka_unit_test(test_gradient_uncertainty),
        cmocka_unit_test(test_gradient_corner_sizes),
        cmocka_unit_test(test_gradient_many_tasks),
        cmocka_unit_test(test_gradient_of_one_expert_and_one_task),
        cmocka_unit_test(test_gradient_towers_of_their_own),
        cmocka_unit_test(test_gradient_several_chunks),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
