/* What balancing does to the gradients of whole models: which of them it changes, by one
 * set of coefficients for a lane, and where there is nothing to do. The numbers
 * themselves are checked by the golden tests. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/test_model_toy.h"

enum { MOST = 12 };

/* Gradients are sums of 150 rows' products in float, here of some thousandths. */
static const double TOLERANCE = 1e-5;

#define SURGERY .n_rows = 150, .n_tasks = 3, .seed = 5, .act = ACT_TANH
static const struct toy_cfg types[] = {
    {.type = MODEL_SHARE_BOTTOM, SURGERY, .bottom = {9, 5}, .towers = {4}},
    {.type = MODEL_SHARE_BOTTOM, SURGERY, .bottom = {9}},
    {.type = MODEL_OMOE, SURGERY, .count = 3, .experts = {5}, .towers = {4}, .norm = NORM_LAYER},
    {.type = MODEL_MMOE, SURGERY, .count = 3, .experts = {5, 4}, .towers = {4, 3}},
    {.type = MODEL_CGC, SURGERY, .own = 1, .shared = 2, .experts = {5}, .towers = {4}},
    {.type = MODEL_PLE,
     SURGERY,
     .own = 1,
     .shared = 2,
     .levels = 2,
     .experts = {5},
     .towers = {4}},
};
enum { N_TYPES = sizeof types / sizeof *types };

/* A toy's step; weight: of dwa, or NULL; scale: instead of the toy's, or NULL. */
static void run(const struct toy_cfg *cfg, enum balance_kind kind, const double *weight,
                const double *scale, struct toy *t)
{
    struct toy_cfg c = *cfg;
    c.balance.kind = kind;
    toy_create(t, &c);
    toy_randomise(t);
    if (weight != NULL) model_work_weigh(t->work, weight);
    for (size_t k = 0; scale != NULL && k < c.n_tasks; k++) t->scale[k] = scale[k];
    assert_true(toy_step(t));
}

/* The part of the model that surgery is to change: what lies below the last place where
 * tasks meet, and nothing else reaches. */
static bool is_shared(const struct toy_cfg *c, const char *name)
{
    char last[64];
    snprintf(last, sizeof last, "expert/level%zu/shared/", c->levels > 0 ? c->levels - 1 : 0);
    if (c->type == MODEL_SHARE_BOTTOM) return !strncmp(name, "bottom/", 7);
    if (c->type == MODEL_OMOE && !strncmp(name, "gate/", 5)) return true;
    return !strncmp(name, last, strlen(last));
}

/* What learns from one task, or from all of them, as without surgery: everything above
 * the place; gates of tasks and their own experts beside it. */
static bool is_left_alone(const struct toy_cfg *c, const char *name)
{
    char level[32];
    snprintf(level, sizeof level, "/level%zu/", c->levels > 0 ? c->levels - 1 : 0);
    if (!strncmp(name, "tower/", 6)) return true;
    if (c->type == MODEL_SHARE_BOTTOM || c->type == MODEL_OMOE) return false;
    return strstr(name, level) != NULL && !is_shared(c, name);
}

/* ---- a plain least-squares fit ---- */

/* Solves a x = b, K by K; a and b are overwritten. */
static void solve(size_t K, double a[MOST][MOST], double *b)
{
    for (size_t i = 0; i < K; i++)
        for (size_t r = i + 1; r < K; r++) {
            double f = a[r][i] / a[i][i];
            for (size_t c = i; c < K; c++) a[r][c] -= f * a[i][c];
            b[r] -= f * b[i];
        }
    for (size_t i = K; i-- > 0;) {
        for (size_t c = i + 1; c < K; c++) b[i] -= a[i][c] * b[c];
        b[i] /= a[i][i];
    }
}

/* Every float of the shared tensors: f(arg, place in the flat vector). */
static void each_shared(const struct toy *t, void (*f)(void *arg, size_t at), void *arg)
{
    size_t n;
    const struct model_tensor *list = model_tensors(t->model, &n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < list[i].rows * list[i].cols; j++)
            if (is_shared(&t->cfg, list[i].name))
                f(arg, list[i].offset + j / list[i].cols * list[i].stride +
                           j % list[i].cols);
}

struct fit {
    struct toy *whole, *alone; /* alone[K]: gradients of one task each */
    size_t K;
    double a[MOST][MOST], c[MOST], worst, largest;
};

static void add_products(void *arg, size_t at)
{
    struct fit *f = arg;
    for (size_t j = 0; j < f->K; j++) {
        double g = (double)f->alone[j].grad[at];
        f->c[j] += g * (double)f->whole->grad[at];
        for (size_t k = 0; k < f->K; k++) f->a[j][k] += g * (double)f->alone[k].grad[at];
    }
}

static void add_residual(void *arg, size_t at)
{
    struct fit *f = arg;
    double want = 0, got = (double)f->whole->grad[at];
    for (size_t k = 0; k < f->K; k++) want += f->c[k] * (double)f->alone[k].grad[at];
    f->worst = fmax(f->worst, fabs(got - want));
    f->largest = fmax(f->largest, fabs(got));
}

/* The coefficients that make the balanced gradient of the tasks' own ones. */
static void fit_shared(const struct toy_cfg *cfg, enum balance_kind kind, struct fit *f)
{
    struct toy whole, alone[MOST];
    *f = (struct fit){.whole = &whole, .alone = alone, .K = cfg->n_tasks};
    run(cfg, kind, NULL, NULL, &whole);
    for (size_t k = 0; k < f->K; k++) {
        double scale[MOST] = {0};
        scale[k] = whole.scale[k];
        run(cfg, BALANCE_FIXED, NULL, scale, &alone[k]);
    }
    each_shared(&whole, add_products, f);
    solve(f->K, f->a, f->c);
    each_shared(&whole, add_residual, f);
    for (size_t k = 0; k < f->K; k++) toy_destroy(&alone[k]);
    toy_destroy(&whole);
}

/* ---- tests ---- */

/* A lane of more rows than a chunk has one set of coefficients, which makes every shared
 * gradient of the tasks' own ones; mgda's are those of a mean, pcgrad's at least 1 (what
 * a task loses goes to the others), and neither are those of fixed weights. */
static void test_one_set_of_coefficients_for_a_lane(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++)
        for (int kind = BALANCE_PCGRAD; kind <= BALANCE_MGDA; kind++) {
            struct fit f;
            double sum = 0, least = 1e9;
            fit_shared(&types[i], (enum balance_kind)kind, &f);
            for (size_t k = 0; k < f.K; k++) {
                sum += f.c[k];
                least = fmin(least, f.c[k]);
            }
            if (f.worst > TOLERANCE * f.largest)
                fail_msg("type %zu, balance %d: off by %g of %g", i, kind, f.worst, f.largest);
            if (kind == BALANCE_MGDA) assert_true(fabs(sum - 1) < 1e-3 && least > -1e-3);
            if (kind == BALANCE_PCGRAD) assert_true(least > 1 - 1e-3);
            assert_true(fabs(sum - (double)f.K) > 0.01);
        }
}

/* Towers, the tasks' gates and own experts of the last level learn as with fixed
 * weights, bit for bit but for the size of the products. */
static void test_what_is_not_shared_is_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++)
        for (int kind = BALANCE_PCGRAD; kind <= BALANCE_MGDA; kind++) {
            struct toy fixed, cut;
            size_t n, seen = 0;
            run(&types[i], BALANCE_FIXED, NULL, NULL, &fixed);
            run(&types[i], (enum balance_kind)kind, NULL, NULL, &cut);
            const struct model_tensor *list = model_tensors(fixed.model, &n);
            for (size_t j = 0; j < n; j++) {
                if (!is_left_alone(&types[i], list[j].name)) continue;
                seen++;
                for (size_t r = 0; r < list[j].rows; r++) {
                    size_t at = list[j].offset + r * list[j].stride;
                    float gap = fixed.grad[at] - cut.grad[at];
                    if (fabsf(gap) > 1e-5f) fail_msg("%s", list[j].name);
                }
            }
            assert_true(seen > 0);
            toy_destroy(&fixed);
            toy_destroy(&cut);
        }
}

/* With one task there is nothing to do: the same bits. */
static void test_one_task_is_as_fixed(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        struct toy_cfg c = types[i];
        c.n_tasks = 1;
        for (int kind = BALANCE_DWA; kind <= BALANCE_MGDA; kind++) {
            struct toy fixed, cut;
            run(&c, BALANCE_FIXED, NULL, NULL, &fixed);
            run(&c, (enum balance_kind)kind, NULL, NULL, &cut);
            assert_int_equal(fixed.n_params, cut.n_params);
            assert_memory_equal(fixed.grad, cut.grad, fixed.n_params * sizeof(float));
            toy_destroy(&fixed);
            toy_destroy(&cut);
        }
    }
}

/* Twelve tasks meet in a bottom and in experts. */
static void test_twelve_tasks(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++)
        for (int kind = BALANCE_PCGRAD; kind <= BALANCE_MGDA; kind++) {
            struct toy_cfg c = types[i];
            struct toy t;
            c.n_tasks = 12;
            c.n_rows = 40;
            run(&c, (enum balance_kind)kind, NULL, NULL, &t);
            toy_destroy(&t);
        }
}

/* A task without labels in the lane changes nothing for the others: the gradient is that
 * of the lane without the task's loss, and with mgda it is not zero. */
static void test_a_task_without_labels_is_left_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        struct toy t;
        struct toy_cfg c = types[i];
        c.balance.kind = BALANCE_MGDA;
        toy_create(&t, &c);
        toy_randomise(&t);
        for (size_t r = 0; r < c.n_rows; r++)
            ((float *)(uintptr_t)t.batch.labels)[r * c.n_tasks + 1] = NAN;
        assert_true(toy_step(&t));
        assert_true(t.loss[1] == 0);
        double sum = 0;
        for (size_t j = 0; j < t.n_params; j++) sum += fabs((double)t.grad[j]);
        assert_true(sum > 1e-3);
        size_t n;
        const struct model_tensor *list = model_tensors(t.model, &n);
        double shared = 0;
        for (size_t j = 0; j < n; j++)
            if (is_shared(&c, list[j].name)) shared += fabs((double)t.grad[list[j].offset]);
        assert_true(shared > 0);
        toy_destroy(&t);
    }
}

/* A log variance rests while its task has no labels. */
static void test_uncertainty_rests_without_labels(void **state)
{
    (void)state;
    struct toy t;
    struct toy_cfg c = types[3];
    c.balance.kind = BALANCE_UNCERTAINTY;
    toy_create(&t, &c);
    for (size_t r = 0; r < c.n_rows; r++)
        ((float *)(uintptr_t)t.batch.labels)[r * c.n_tasks] = NAN;
    assert_true(toy_step(&t));
    assert_true(t.grad[toy_tensor(&t, "balance/task0/log_variance")->offset] == 0);
    assert_true(t.grad[toy_tensor(&t, "balance/task1/log_variance")->offset] != 0);
    toy_destroy(&t);
}

/* The weights of dwa multiply the tasks' gradients and leave losses as they are. */
static void test_dwa_weights_multiply(void **state)
{
    (void)state;
    const double weight[] = {2, 0.5, 1};
    struct toy plain, weighed;
    run(&types[3], BALANCE_DWA, NULL, NULL, &plain);
    run(&types[3], BALANCE_DWA, weight, NULL, &weighed);
    for (size_t k = 0; k < 3; k++) {
        char name[64];
        snprintf(name, sizeof name, "tower/task%zu/layer2/b", k);
        size_t at = toy_tensor(&plain, name)->offset;
        assert_true(plain.loss[k] == weighed.loss[k]);
        assert_true(weighed.grad[at] == (float)weight[k] * plain.grad[at]);
    }
    toy_destroy(&plain);
    toy_destroy(&weighed);
}

/* pcgrad's order, and with it the gradient, is a function of the seed, the step and the
 * lane's first row. */
static void test_pcgrad_depends_on_its_counters(void **state)
{
    (void)state;
    struct toy t;
    struct toy_cfg c = types[0];
    c.n_tasks = 12;
    run(&c, BALANCE_PCGRAD, NULL, NULL, &t);
    float *first = malloc(t.n_params * sizeof *first);
    memcpy(first, t.grad, t.n_params * sizeof *first);
    uint64_t *row = (uint64_t *)(uintptr_t)t.batch.row;
    for (int i = 0; i < 3; i++) {
        t.batch.step += i == 1;
        row[0] += i == 2;
        assert_true(toy_step(&t));
        bool equal = !memcmp(first, t.grad, t.n_params * sizeof *first);
        assert_true(equal == (i == 0));
    }
    free(first);
    toy_destroy(&t);
}

/* Models without a shared bottom, mixture or experts are refused in words. */
static void test_types_without_a_shared_layer_are_refused(void **state)
{
    (void)state;
    const struct toy_cfg none[] = {
        {.type = MODEL_LR, SURGERY},
        {.type = MODEL_DNN, SURGERY, .bottom = {4}},
        {.type = MODEL_SHARE_BOTTOM, SURGERY, .towers = {4}},
        {.type = MODEL_CGC, SURGERY, .own = 1, .experts = {4}, .towers = {4}},
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct toy t;
        struct error err;
        struct model *m;
        toy_create(&t, &none[i]);
        t.spec.cfg.balance.kind = BALANCE_PCGRAD;
        assert_int_equal(model_create(&t.spec, &m, &err), ST_USAGE);
        assert_non_null(strstr(err.text, "has none of them"));
        toy_destroy(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_set_of_coefficients_for_a_lane),
        cmocka_unit_test(test_what_is_not_shared_is_left_alone),
        cmocka_unit_test(test_one_task_is_as_fixed),
        cmocka_unit_test(test_twelve_tasks),
        cmocka_unit_test(test_a_task_without_labels_is_left_out),
        cmocka_unit_test(test_uncertainty_rests_without_labels),
        cmocka_unit_test(test_dwa_weights_multiply),
        cmocka_unit_test(test_pcgrad_depends_on_its_counters),
        cmocka_unit_test(test_types_without_a_shared_layer_are_refused),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
