/* Plans, tensors and steps: what a model of each type consists of, and the defects
 * of other libraries that it must not have. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/unit/test_model_toy.h"

#define MMOE                                                                             \
    .type = MODEL_MMOE, .n_rows = 6, .n_tasks = 2, .seed = 1, .count = 3,                \
    .experts = {5}, .towers = {4}
#define PLE2                                                                             \
    .type = MODEL_PLE, .n_rows = 6, .n_tasks = 3, .seed = 1, .own = 2, .shared = 3,      \
    .levels = 2, .experts = {5}, .towers = {4}

#define ALL_OPTIONS                                                                      \
    PLE2, .norm = NORM_LAYER, .dropout = 0.5, .attends = true, .attention = {4},         \
        .cross = 2, .rank = 3

#define TWO_TOWER                                                                        \
    .type = MODEL_TWO_TOWER, .n_rows = 6, .n_tasks = 2, .seed = 1, .user = {5, 3},       \
    .item = {3}

static const struct toy_cfg every_type[] = {
    {.type = MODEL_LR, .n_rows = 6, .n_tasks = 2, .seed = 1},
    {.type = MODEL_DNN, .n_rows = 6, .n_tasks = 2, .seed = 1, .bottom = {5, 3}},
    {.type = MODEL_SHARE_BOTTOM,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .bottom = {11},
     .towers = {4}},
    {.type = MODEL_OMOE,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .count = 3,
     .experts = {5},
     .towers = {4}},
    {MMOE},
    {.type = MODEL_CGC,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .own = 2,
     .shared = 1,
     .experts = {5},
     .towers = {4}},
    {PLE2},
    {ALL_OPTIONS},
    {.type = MODEL_DNN, .n_rows = 6, .n_tasks = 2, .seed = 1, .cross = 2},
    {MMOE, .cross = 1, .rank = 3},
    {TWO_TOWER},
    {TWO_TOWER, .cross = 1, .norm = NORM_LAYER, .dropout = 0.5},
    {.type = MODEL_FM, .n_rows = 6, .n_tasks = 2, .seed = 1, .wide = true},
    {.type = MODEL_WIDE_DEEP,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .bottom = {5},
     .wide = true},
    {.type = MODEL_DEEPFM,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .bottom = {5, 3},
     .wide = true},
    {.type = MODEL_ESMM,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .towers = {4},
     .funnel = {1, 0},
     .n_funnel = 2},
    {.type = MODEL_AITM,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .bottom = {5},
     .towers = {4},
     .funnel = {1, 0},
     .n_funnel = 2},
};
enum { N_TYPES = sizeof every_type / sizeof every_type[0] };

static float *at(const struct toy *t, const struct model_tensor *x, size_t r, size_t c)
{
    return &t->params[x->offset + r * x->stride + c];
}

static const struct model_tensor *tensor(const struct toy *t, const char *name)
{
    const struct model_tensor *x = toy_tensor(t, name);
    if (x == NULL) fail_msg("no tensor %s", name);
    return x;
}

static void logits(const struct toy *t, float *out)
{
    struct infer *f;
    struct infer_work *w;
    struct error err;
    assert_int_equal(infer_create(t->model, t->params, &f, &err), ST_OK);
    assert_int_equal(infer_work_create(f, t->batch.n_rows, &w, &err), ST_OK);
    infer_forward(f, &t->batch, &t->rows, w, out);
    infer_work_destroy(w);
    infer_destroy(f);
}

/* Does adding to every float of the tensor change any logit of task k? */
static bool reaches(struct toy *t, const char *name, size_t k)
{
    float before[64], after[64];
    const struct model_tensor *x = tensor(t, name);
    logits(t, before);
    for (size_t c = 0; c < x->cols; c++) *at(t, x, 0, c) += 0.5f + (float)c;
    logits(t, after);
    for (size_t c = 0; c < x->cols; c++) *at(t, x, 0, c) -= 0.5f + (float)c;
    for (size_t r = 0; r < t->batch.n_rows; r++)
        if (before[r * t->cfg.n_tasks + k] != after[r * t->cfg.n_tasks + k]) return true;
    return false;
}

/* ---- tensors ---- */

/* Logical tensors cover floats once; what they leave is padding: 0, gradient 0, no decay.
 */
static void test_tensors_cover_all_but_padding(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        struct toy t;
        size_t n;
        toy_create(&t, &every_type[i]);
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
    toy_create(&t, &every_type[4]);
    assert_int_equal(tensor(&t, "expert/level0/shared/2/layer0/w/z_user")->rows, 3);
    assert_int_equal(tensor(&t, "expert/level0/shared/2/layer0/w/level")->rows, 4);
    assert_int_equal(tensor(&t, "gate/level0/task1/layer0/w/num")->cols, 3);
    assert_int_equal(tensor(&t, "tower/task0/layer0/w")->rows, 5);
    toy_destroy(&t);
}

/* ---- initial values ---- */

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
            assert_true(*at(&t, &list[i], 0, c) != *at(&t, &list[i], 0, 0));
        for (size_t j = 0; j < i; j++)
            if (list[j].init == TENSOR_GLOROT)
                assert_true(*at(&t, &list[i], 0, 0) != *at(&t, &list[j], 0, 0));
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
        const struct model_tensor *x = tensor(&t, name);
        assert_int_equal(x->fan_in, 18);
        assert_int_equal(x->fan_out, 5);
        for (size_t i = 0; i < 20; i++)
            most = fmax(most, fabs((double)*at(&t, x, i / 5, i % 5)));
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
    assert_true(*at(&t, tensor(&t, "gate/level0/task1/layer1/b"), 0, 2) == 0);
    assert_true(*at(&t, tensor(&t, "tower/task1/layer0/b"), 0, 3) == 0);
    assert_true(*at(&t, tensor(&t, "tower/task1/layer1/b"), 0, 0) ==
                (float)t.tasks[1].base);
    toy_destroy(&t);
    toy_create(&t, &every_type[0]);
    assert_true(*at(&t, tensor(&t, "lr/task0/layer0/w/num"), 1, 0) == 0);
    assert_true(*at(&t, tensor(&t, "lr/task0/layer0/b"), 0, 0) == (float)t.tasks[0].base);
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){ALL_OPTIONS});
    for (size_t j = 0; j < 5; j++) {
        assert_true(
            *at(&t, tensor(&t, "expert/level0/shared/2/layer0/norm/gain"), 0, j) == 1);
        assert_true(
            *at(&t, tensor(&t, "expert/level0/shared/2/layer0/norm/bias"), 0, j) == 0);
    }
    assert_true(*at(&t, tensor(&t, "attention/list_mean/layer0/b"), 0, 3) == 0);
    assert_true(*at(&t, tensor(&t, "attention/list_mean/layer1/b"), 0, 0) == 1);
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
            const struct model_tensor *x = tensor(&a, names[j]),
                                      *y = tensor(&b, names[j]);
            for (size_t r = 0; r < x->rows; r++)
                assert_memory_equal(at(&a, x, r, 0), at(&b, y, r, 0),
                                    x->cols * sizeof(float));
        }
        toy_destroy(&b);
    }
    toy_destroy(&a);
}

/* ---- routing ---- */

/* A task's own expert reaches that task alone in the last level, and every own
 * expert is used (indexing by i * n_tasks + j would share one and lose another). */
static void test_own_experts_reach_their_task_alone(void **state)
{
    (void)state;
    struct toy t;
    char name[64];
    toy_create(&t, &(struct toy_cfg){PLE2});
    toy_randomise(&t);
    for (size_t e = 0; e < 6; e++)
        for (size_t k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "expert/level1/task%zu/%zu/layer0/b", e / 2,
                     e % 2);
            assert_int_equal(reaches(&t, name, k), k == e / 2);
        }
    toy_destroy(&t);
}

/* The shared gate of a level mixes all experts of that level, so an own expert of
 * level 0 reaches the other tasks through the shared path. */
static void test_shared_gate_sees_every_expert(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){PLE2});
    toy_randomise(&t);
    assert_int_equal(tensor(&t, "gate/level0/shared/layer0/b")->cols, 3 * 2 + 3);
    assert_int_equal(tensor(&t, "gate/level0/task0/layer0/b")->cols, 2 + 3);
    assert_true(reaches(&t, "expert/level0/task0/1/layer0/b", 1));
    assert_true(reaches(&t, "gate/level0/shared/layer0/b", 0));
    toy_destroy(&t);
}

/* A task's path is its own: the gate of one task in level 0 leaves the others alone. */
static void test_task_paths_do_not_mix(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){PLE2});
    toy_randomise(&t);
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(reaches(&t, "gate/level0/task1/layer0/b", k), k == 1);
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
    toy_create(&t, &every_type[3]);
    assert_non_null(toy_tensor(&t, "gate/level0/shared/layer0/b"));
    assert_null(toy_tensor(&t, "gate/level0/task0/layer0/b"));
    toy_destroy(&t);
    toy_create(&t, &every_type[4]);
    assert_null(toy_tensor(&t, "gate/level0/shared/layer0/b"));
    assert_non_null(toy_tensor(&t, "gate/level0/task1/layer0/b"));
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
    assert_int_equal(tensor(&t, "tower/task0/layer1/w")->cols, 1);
    assert_null(toy_tensor(&t, "gate/level0/task0/layer2/w"));
    for (size_t i = 0; i < n; i++)
        assert_true(strstr(list[i].name, "/w") != NULL ||
                    strstr(list[i].name, "/b") != NULL);
    toy_destroy(&t);
}

/* ---- steps ---- */

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
    for (size_t i = 0; i < N_TYPES; i++) {
        struct toy t;
        toy_create(&t, &every_type[i]);
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

/* One field has nothing to be multiplied with: fm is then its linear part, to the bit. */
static void test_fm_of_one_field_is_linear(void **state)
{
    (void)state;
    struct toy t;
    struct infer *f;
    struct infer_work *w;
    struct error err;
    float z[6 * 2];
    toy_create(&t, &(struct toy_cfg){
                       .type = MODEL_FM, .n_rows = 6, .n_tasks = 2, .n_inputs = 1, .seed = 3});
    toy_randomise(&t);
    const float *bias = &t.params[tensor(&t, "fm/task0/b")->offset];
    assert_int_equal(infer_create(t.model, t.params, &f, &err), ST_OK);
    assert_int_equal(infer_work_create(f, 6, &w, &err), ST_OK);
    infer_forward(f, &t.batch, &t.rows, w, z);
    for (size_t i = 0; i < 12; i++) assert_true(z[i] == bias[i % 2]);
    infer_work_destroy(w);
    infer_destroy(f);
    toy_destroy(&t);
}

/* With one task the factors have no weights: that is the machine of the paper. With more,
 * every task starts from it. */
static void test_fm_starts_as_in_the_paper(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){.type = MODEL_FM, .n_rows = 6, .n_tasks = 1, .seed = 3});
    assert_null(toy_tensor(&t, "fm/task0/w"));
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){.type = MODEL_FM, .n_rows = 6, .n_tasks = 3, .seed = 3});
    for (size_t j = 0; j < 3; j++) assert_true(*at(&t, tensor(&t, "fm/task2/w"), j, 0) == 1);
    toy_destroy(&t);
}

/* A step of no rows gives zeros. */
static void test_empty_lane_gives_zeros(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        struct toy t;
        toy_create(&t, &every_type[i]);
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
    for (size_t i = 0; i < N_TYPES; i++) {
        struct toy t;
        size_t n;
        toy_create(&t, &every_type[i]);
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

/* So is a gradient that overflows while every loss is finite. */
static void test_overflowing_gradient_is_noticed(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &every_type[0]);
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
    for (size_t i = 0; i < N_TYPES; i++) {
        struct toy t;
        toy_create(&t, &every_type[i]);
        uint64_t calls = mem_calls();
        assert_true(toy_step(&t));
        assert_int_equal(mem_calls(), calls);
        toy_destroy(&t);
    }
}

/* ---- creation ---- */

static void expect_usage(const struct toy *t, const struct model_spec *spec,
                         const char *text)
{
    struct model *m;
    struct error err;
    (void)t;
    assert_int_equal(model_create(spec, &m, &err), ST_USAGE);
    if (strstr(err.text, text) == NULL) fail_msg("\"%s\" lacks \"%s\"", err.text, text);
    assert_null(m);
}

/* A part that the type needs and the configuration lacks is named. */
static void test_missing_parts_are_named(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){MMOE});
    struct model_spec s = t.spec;
    s.cfg.expert_count = 0;
    expect_usage(&t, &s, "model.experts.count");
    s = t.spec;
    s.cfg.experts.layers.n = 0;
    expect_usage(&t, &s, "model.experts.layers");
    s = t.spec;
    s.cfg.type = MODEL_PLE;
    expect_usage(&t, &s, "model.experts.levels");
    s.cfg.type = MODEL_CGC;
    expect_usage(&t, &s, "no expert");
    s.cfg.type = MODEL_LR; /* tables were not sized by model_row_dim */
    expect_usage(&t, &s, "one weight per task");
    toy_destroy(&t);
}

/* Inputs that do not fit their tables, and names that stand twice, are refused. */
static void test_wrong_inputs_are_refused(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){MMOE});
    t.inputs[0].width = 4;
    expect_usage(&t, &t.spec, "z_user");
    t.inputs[0].width = 3;
    t.inputs[1].name = "z_user";
    expect_usage(&t, &t.spec, "twice");
    t.inputs[1].name = "list_sum";
    t.tasks[1].name = "task0";
    expect_usage(&t, &t.spec, "twice");
    t.tasks[1].name = "task1";
    t.spec.n_dense = 1;
    expect_usage(&t, &t.spec, "num");
    toy_destroy(&t);
}

/* Attention without a target, to a row of another width, or to numbers, is refused. */
static void test_wrong_attention_is_refused(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){ALL_OPTIONS});
    struct model_spec s = t.spec;
    s.n_attention = 1;
    expect_usage(&t, &s, "list_sqrtn");
    t.attention[1].target = 99;
    expect_usage(&t, &t.spec, "list_sqrtn");
    t.attention[1].target = 2;
    expect_usage(&t, &t.spec, "list_sqrtn");
    t.attention[1].target = 0;
    t.inputs[0].width = t.table_dim[0] = 4;
    t.inputs[4].width = 4;
    expect_usage(&t, &t.spec, "list_mean");
    toy_destroy(&t);
}

/* A full cross layer is a tensor for each pair of features, factors and biases one for
 * each feature; direct inputs have none. */
static void test_cross_layers_have_tensors_by_feature(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){MMOE, .cross = 2, .wide = true});
    assert_int_equal(tensor(&t, "cross/layer1/w/z_user/num")->rows, 3);
    assert_int_equal(tensor(&t, "cross/layer1/w/z_user/num")->cols, 2);
    assert_int_equal(tensor(&t, "cross/layer0/b/level")->cols, 4);
    assert_null(toy_tensor(&t, "cross/layer0/b/wide/level"));
    assert_null(toy_tensor(&t, "cross/layer2/b/level"));
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){MMOE, .cross = 1, .rank = 5});
    assert_int_equal(tensor(&t, "cross/layer0/v/z_user")->rows, 3);
    assert_int_equal(tensor(&t, "cross/layer0/v/z_user")->cols, 5);
    assert_int_equal(tensor(&t, "cross/layer0/u/z_user")->rows, 5);
    assert_int_equal(tensor(&t, "cross/layer0/u/z_user")->cols, 3);
    assert_null(toy_tensor(&t, "cross/layer0/w/z_user/num"));
    toy_destroy(&t);
}

/* Hidden layers of a side are shared, vectors are per task; first layers and cross layers
 * have the features of their own side alone. */
static void test_sides_have_their_own_features(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){TWO_TOWER, .cross = 1});
    assert_int_equal(tensor(&t, "user/layer0/w/z_user")->cols, 5);
    assert_int_equal(tensor(&t, "user/task1/layer0/w")->rows, 5);
    assert_int_equal(tensor(&t, "user/task1/layer0/w")->cols, 3);
    assert_int_equal(tensor(&t, "item/task1/layer0/w/level")->rows, 4);
    assert_int_equal(tensor(&t, "match/task0/b")->cols, 1);
    assert_int_equal(tensor(&t, "cross/layer0/w/num/z_user")->cols, 3);
    assert_null(toy_tensor(&t, "user/layer0/w/level"));
    assert_null(toy_tensor(&t, "item/task1/layer0/w/z_user"));
    assert_null(toy_tensor(&t, "cross/layer0/w/num/level"));
    assert_true(reaches(&t, "user/task1/layer0/w", 1));
    assert_false(reaches(&t, "user/task1/layer0/w", 0));
    assert_true(reaches(&t, "user/layer0/w/z_user", 0));
    toy_destroy(&t);
}

/* Sides whose vectors do not fit, or that are not there, are refused. */
static void test_wrong_sides_are_refused(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){TWO_TOWER});
    struct model_spec s = t.spec;
    s.cfg.user.mlp.layers.n = 1;
    expect_usage(&t, &s, "vectors of 5 floats");
    s.cfg.user.mlp.layers.n = 0;
    expect_usage(&t, &s, "model.user.layers");
    s = t.spec;
    s.cfg.temperature = 0;
    expect_usage(&t, &s, "model.temperature");
    s = t.spec;
    s.side = NULL;
    expect_usage(&t, &s, "side");
    for (size_t i = 0; i < 2; i++) {
        enum model_side both[TOY_INPUTS];
        for (size_t k = 0; k < TOY_INPUTS; k++) both[k] = (enum model_side)i;
        s.side = both;
        expect_usage(&t, &s, i == SIDE_USER ? "item" : "user");
    }
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){TWO_TOWER, .attends = true, .attention = {3}});
    t.side[0] = SIDE_ITEM;
    expect_usage(&t, &t.spec, "other side");
    toy_destroy(&t);
}

/* The matrix products that a bound counts: those of cross layers and of every other
 * layer, the first layers of all units as one. */
static void test_products_are_those_of_the_layers(void **state)
{
    (void)state;
    struct toy t;
    struct model_product p[16];
    toy_create(&t, &(struct toy_cfg){MMOE, .cross = 1, .rank = 5});
    const struct model_product want[] = {{5, 4}, {4, 1}, {5, 4}, {4, 1}, {18, 5}, {5, 18},
                                         {18, 3 * 5 + 2 * 3}};
    assert_int_equal(model_products(t.model, p, 16), 7);
    assert_memory_equal(p, want, sizeof want);
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){TWO_TOWER}); /* 7 columns of the user, 11 of the item */
    const struct model_product sides[] = {{5, 3}, {5, 3}, {7, 5}, {11, 2 * 3}};
    assert_int_equal(model_products(t.model, p, 16), 4);
    assert_memory_equal(p, sides, sizeof sides);
    toy_destroy(&t);
}

static void check_failing_allocations(const struct toy_cfg *cfg)
{
    struct toy t;
    toy_create(&t, cfg);
    struct model_caps caps = {6, (size_t[]){7, 7, 7, 7, 7},
                              (size_t[]){24, 24, 24, 24, 24}};
    uint64_t live = mem_live_bytes();
    enum status st = ST_NOMEM;
    for (uint64_t k = 1; st != ST_OK && k < 1000; k++) {
        struct model *m = NULL;
        struct model_work *w = NULL;
        struct error err;
        mem_fail_at(k);
        st = model_create(&t.spec, &m, &err);
        if (st == ST_OK) st = model_work_create(m, &caps, &w, &err);
        mem_fail_at(0);
        assert_true(st == ST_OK || st == ST_NOMEM);
        model_work_destroy(w);
        model_destroy(m);
        assert_int_equal(mem_live_bytes(), live);
    }
    assert_int_equal(st, ST_OK);
    toy_destroy(&t);
}

/* Whichever allocation fails, creation says so and leaves nothing behind. */
static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    check_failing_allocations(&(struct toy_cfg){ALL_OPTIONS});
    check_failing_allocations(&(struct toy_cfg){.type = MODEL_SHARE_BOTTOM,
                                                .n_rows = 6,
                                                .n_tasks = 2,
                                                .seed = 1,
                                                .bottom = {5},
                                                .balance = {.kind = BALANCE_PCGRAD}});
}

/* The description names each kind of unit once, with its shape. */
static void test_description_shows_shapes(void **state)
{
    (void)state;
    struct toy t;
    char *text;
    struct error err;
    toy_create(&t, &(struct toy_cfg){PLE2});
    assert_int_equal(model_describe(t.model, &text, &err), ST_OK);
    assert_non_null(strstr(text, "expert level0 task0 x2 [18 5]\n"));
    assert_non_null(strstr(text, "expert level1 shared x3 [5 5]\n"));
    assert_non_null(strstr(text, "gate level0 shared [18 9]\n"));
    assert_non_null(strstr(text, "tower task2 [5 4 1]\n"));
    mem_free(text);
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){ALL_OPTIONS});
    assert_int_equal(model_describe(t.model, &text, &err), ST_OK);
    assert_non_null(strstr(text, "tower task2 [5 4 1] layer norm dropout 0.5\n"));
    assert_non_null(strstr(text, "gate level0 shared [21 9]\n"));
    assert_non_null(strstr(text, "attention list_sqrtn to a_shared [12 4 1]\n"));
    assert_non_null(strstr(text, "cross layer1 [21 3 21]\n"));
    mem_free(text);
    toy_destroy(&t);
}

/* Rows of lr hold one weight per task; other types keep the configured width. */
static void test_row_width_follows_from_the_type(void **state)
{
    (void)state;
    assert_int_equal(model_row_dim(MODEL_LR, 16, 4), 4);
    assert_int_equal(model_row_dim(MODEL_DNN, 16, 4), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors_cover_all_but_padding),
        cmocka_unit_test(test_decay_mask_holds_weights_only),
        cmocka_unit_test(test_first_layer_has_a_tensor_per_feature),
        cmocka_unit_test(test_every_unit_starts_differently),
        cmocka_unit_test(test_initial_values_fill_the_glorot_range),
        cmocka_unit_test(test_biases_start_at_zero_or_base),
        cmocka_unit_test(test_initial_values_do_not_depend_on_layout),
        cmocka_unit_test(test_own_experts_reach_their_task_alone),
        cmocka_unit_test(test_shared_gate_sees_every_expert),
        cmocka_unit_test(test_task_paths_do_not_mix),
        cmocka_unit_test(test_shared_experts_are_as_many_as_asked),
        cmocka_unit_test(test_omoe_has_one_gate),
        cmocka_unit_test(test_units_consist_of_their_layers_alone),
        cmocka_unit_test(test_absent_labels_add_nothing),
        cmocka_unit_test(test_losses_are_scaled_per_task),
        cmocka_unit_test(test_step_repeats_bit_for_bit),
        cmocka_unit_test(test_fm_of_one_field_is_linear),
        cmocka_unit_test(test_fm_starts_as_in_the_paper),
        cmocka_unit_test(test_empty_lane_gives_zeros),
        cmocka_unit_test(test_non_finite_is_noticed),
        cmocka_unit_test(test_overflowing_gradient_is_noticed),
        cmocka_unit_test(test_step_does_not_allocate),
        cmocka_unit_test(test_missing_parts_are_named),
        cmocka_unit_test(test_wrong_inputs_are_refused),
        cmocka_unit_test(test_wrong_attention_is_refused),
        cmocka_unit_test(test_cross_layers_have_tensors_by_feature),
        cmocka_unit_test(test_sides_have_their_own_features),
        cmocka_unit_test(test_wrong_sides_are_refused),
        cmocka_unit_test(test_products_are_those_of_the_layers),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
        cmocka_unit_test(test_description_shows_shapes),
        cmocka_unit_test(test_row_width_follows_from_the_type),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
