/* Who reads what: which parts of a model reach which task. Among the facts are defects of
 * other libraries. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/toy_types.h"

/* Does adding to every float of the tensor change any logit of task k? */
static bool reaches(struct toy *t, const char *name, size_t k)
{
    float before[64], after[64];
    const struct model_tensor *x = toy_need(t, name);
    toy_logits(t, before);
    for (size_t c = 0; c < x->cols; c++) *toy_at(t, x, 0, c) += 0.5f + (float)c;
    toy_logits(t, after);
    for (size_t c = 0; c < x->cols; c++) *toy_at(t, x, 0, c) -= 0.5f + (float)c;
    for (size_t r = 0; r < t->batch.n_rows; r++)
        if (before[r * t->cfg.n_tasks + k] != after[r * t->cfg.n_tasks + k]) return true;
    return false;
}

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
    assert_int_equal(toy_need(&t, "gate/level0/shared/layer0/b")->cols, 3 * 2 + 3);
    assert_int_equal(toy_need(&t, "gate/level0/task0/layer0/b")->cols, 2 + 3);
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

/* The shared gates of a and b have a column for each task's own experts, in the order of
 * tasks, then the shared ones': gives b, whose tasks are reversed, the weights of a. */
static void copy_shared_gates(const struct toy *a, const struct toy *b)
{
    size_t n, own = a->cfg.own, K = a->cfg.n_tasks;
    const struct model_tensor *list = model_tensors(a->model, &n);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(list[i].name, "gate/", 5) || !strstr(list[i].name, "/shared/"))
            continue;
        const struct model_tensor *to = toy_need(b, list[i].name);
        for (size_t r = 0; r < to->rows; r++)
            for (size_t c = 0; c < to->cols; c++) {
                size_t k = c / own, from = k < K ? (K - 1 - k) * own + c % own : c;
                *toy_at(b, to, r, c) = *toy_at(a, &list[i], r, from);
            }
    }
}

/* A level reads nothing but the level before, so tasks may be computed in any order:
 * named in reverse they have the same logits, but for the order of the shared gates'
 * sums. */
static void test_order_of_tasks_does_not_matter(void **state)
{
    (void)state;
    float first[18], last[18];
    struct toy a, b;
    struct toy_cfg c = {PLE2};
    c.levels = 3;
    toy_create(&a, &c);
    c.reverse_tasks = true;
    toy_create(&b, &c);
    toy_randomise(&a);
    toy_randomise(&b);
    copy_shared_gates(&a, &b);
    toy_logits(&a, first);
    toy_logits(&b, last);
    for (size_t r = 0; r < 6; r++)
        for (size_t k = 0; k < 3; k++)
            assert_true(fabsf(first[r * 3 + k] - last[r * 3 + 2 - k]) < 1e-5f);
    toy_destroy(&b);
    toy_destroy(&a);
}

/* Hidden layers of a side are shared, vectors are per task; first layers and cross layers
 * have the features of their own side alone. */
static void test_sides_have_their_own_features(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &(struct toy_cfg){TWO_TOWER, .cross = 1});
    assert_int_equal(toy_need(&t, "user/layer0/w/z_user")->cols, 5);
    assert_int_equal(toy_need(&t, "user/task1/layer0/w")->rows, 5);
    assert_int_equal(toy_need(&t, "user/task1/layer0/w")->cols, 3);
    assert_int_equal(toy_need(&t, "item/task1/layer0/w/level")->rows, 4);
    assert_int_equal(toy_need(&t, "match/task0/b")->cols, 1);
    assert_int_equal(toy_need(&t, "cross/layer0/w/num/z_user")->cols, 3);
    assert_null(toy_tensor(&t, "user/layer0/w/level"));
    assert_null(toy_tensor(&t, "item/task1/layer0/w/z_user"));
    assert_null(toy_tensor(&t, "cross/layer0/w/num/level"));
    assert_true(reaches(&t, "user/task1/layer0/w", 1));
    assert_false(reaches(&t, "user/task1/layer0/w", 0));
    assert_true(reaches(&t, "user/layer0/w/z_user", 0));
    toy_destroy(&t);
}

/* One field has nothing to be multiplied with: fm is then its linear part, to the bit. */
static void test_fm_of_one_field_is_linear(void **state)
{
    (void)state;
    struct toy t;
    float z[6 * 2];
    toy_create(
        &t, &(struct toy_cfg){
                .type = MODEL_FM, .n_rows = 6, .n_tasks = 2, .n_inputs = 1, .seed = 3});
    toy_randomise(&t);
    const float *bias = &t.params[toy_need(&t, "fm/task0/b")->offset];
    toy_logits(&t, z);
    for (size_t i = 0; i < 12; i++) assert_true(z[i] == bias[i % 2]);
    toy_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_experts_reach_their_task_alone),
        cmocka_unit_test(test_shared_gate_sees_every_expert),
        cmocka_unit_test(test_task_paths_do_not_mix),
        cmocka_unit_test(test_order_of_tasks_does_not_matter),
        cmocka_unit_test(test_sides_have_their_own_features),
        cmocka_unit_test(test_fm_of_one_field_is_linear),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
