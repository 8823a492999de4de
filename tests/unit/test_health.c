/* Health of gates, units and gradients: known gates, dead units and label pairs, and the
 * same bits whoever scored which block. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "model/health.h"
#include "tests/unit/test_model_toy.h"

enum { PARTS = 4, ROWS = 260, PART = 65 };

#define TOY .n_rows = ROWS, .seed = 4, .towers = {4}
static const struct toy_cfg mmoe = {
    .type = MODEL_MMOE, TOY, .n_tasks = 3, .count = 3, .experts = {6, 5}};

/* One who scores: a model's inference, watched. */
struct scorer {
    struct infer *infer;
    struct infer_work *work;
    struct watch *watch;
};

static void scorer_open(const struct toy *t, struct scorer *s)
{
    struct error err;
    assert_int_equal(infer_create(t->model, t->params, &s->infer, &err), ST_OK);
    assert_int_equal(infer_work_create(s->infer, ROWS, &s->work, &err), ST_OK);
    assert_int_equal(watch_create(t->model, s->work, &s->watch, &err), ST_OK);
}

static void scorer_close(struct scorer *s)
{
    watch_destroy(s->watch);
    infer_work_destroy(s->work);
    infer_destroy(s->infer);
}

/* All rows as one block. */
static struct health *whole(const struct toy *t, struct health_result *out)
{
    struct scorer s;
    struct health *h;
    struct error err;
    float *z = mem_array(ROWS * t->cfg.n_tasks, sizeof *z);
    scorer_open(t, &s);
    assert_int_equal(health_create(t->model, &h, &err), ST_OK);
    infer_forward(s.infer, &t->batch, &t->rows, s.work, z);
    assert_int_equal(health_take(h, 0, s.watch, &err), ST_OK);
    assert_int_equal(health_finalize(h, out, &err), ST_OK);
    scorer_close(&s);
    mem_free(z);
    return h;
}

static void set(struct toy *t, const char *name, float value)
{
    const struct model_tensor *x = toy_tensor(t, name);
    assert_non_null(x);
    for (size_t r = 0; r < x->rows; r++)
        for (size_t c = 0; c < x->cols; c++)
            t->params[x->offset + r * x->stride + c] = value;
}

/* A gate's weights from every feature, and biases, are 0. */
static void silence_gate(struct toy *t, const char *gate)
{
    size_t n;
    const struct model_tensor *list = model_tensors(t->model, &n);
    for (size_t i = 0; i < n; i++)
        if (!strncmp(list[i].name, gate, strlen(gate))) set(t, list[i].name, 0);
}

/* A gate that does not look spreads evenly; one with a bias of 40 for an expert gives it
 * everything. Gates are named LEVEL/TASK. */
static void test_even_and_one_sided_gates(void **state)
{
    (void)state;
    struct toy t;
    struct health_result r;
    toy_create(&t, &mmoe);
    silence_gate(&t, "gate/level0/task0/");
    silence_gate(&t, "gate/level0/task1/");
    t.params[toy_tensor(&t, "gate/level0/task1/layer0/b")->offset + 2] = 40;
    struct health *h = whole(&t, &r);
    assert_int_equal(r.n_gates, 3);
    assert_string_equal(r.gates[0].name, "0/task0");
    assert_string_equal(r.gates[1].name, "0/task1");
    assert_int_equal(r.gates[1].n, 3);
    for (size_t e = 0; e < 3; e++) {
        assert_true(fabs(r.gates[0].load[e] - 1.0 / 3) < 1e-6);
        assert_true(fabs(r.gates[1].load[e] - (e == 2)) < 1e-6);
    }
    assert_true(fabs(r.gates[0].entropy - 1) < 1e-6);
    assert_true(r.gates[1].entropy >= 0 && r.gates[1].entropy < 1e-6);
    assert_true(r.gates[2].entropy > 0.1 && r.gates[2].entropy < 1);
    health_destroy(h);
    toy_destroy(&t);
}

/* Loads of every gate add up to 1; ple has a shared gate; one expert has no entropy. */
static void test_gates_of_ple_and_of_one_expert(void **state)
{
    (void)state;
    struct toy t;
    struct health_result r;
    toy_create(&t, &(struct toy_cfg){.type = MODEL_PLE,
                                     TOY,
                                     .n_tasks = 2,
                                     .own = 1,
                                     .shared = 1,
                                     .levels = 2,
                                     .experts = {5}});
    toy_randomise(&t);
    struct health *h = whole(&t, &r);
    assert_int_equal(r.n_gates, 5);
    assert_string_equal(r.gates[2].name, "0/shared");
    assert_int_equal(r.gates[2].n, 3);
    for (size_t i = 0; i < r.n_gates; i++) {
        double sum = 0;
        for (size_t e = 0; e < r.gates[i].n; e++) sum += r.gates[i].load[e];
        assert_true(fabs(sum - 1) < 1e-6);
    }
    health_destroy(h);
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){
                       .type = MODEL_OMOE, TOY, .n_tasks = 2, .count = 1, .experts = {5}});
    h = whole(&t, &r);
    assert_true(r.gates[0].load[0] == 1 && isnan(r.gates[0].entropy));
    health_destroy(h);
    toy_destroy(&t);
}

/* Units whose bias keeps them below 0 are dead, those above are not; stacks without relu
 * are not named. */
static void test_dead_units(void **state)
{
    (void)state;
    struct toy t;
    struct health_result r;
    toy_create(&t, &(struct toy_cfg){
                       .type = MODEL_SHARE_BOTTOM, TOY, .n_tasks = 2, .bottom = {6, 4}});
    float *first = t.params + toy_tensor(&t, "bottom/layer0/b")->offset;
    float *second = t.params + toy_tensor(&t, "bottom/layer1/b")->offset;
    for (size_t i = 0; i < 6; i++) first[i] = i < 3 ? -1000 : 1000;
    for (size_t i = 0; i < 4; i++) second[i] = 1e6f;
    for (size_t i = 0; i < 4; i++) t.params[toy_tensor(&t, "tower/task1/layer0/b")->offset + i] = -1e9f;
    struct health *h = whole(&t, &r);
    assert_int_equal(r.n_gates, 0);
    assert_int_equal(r.n_stacks, 3);
    assert_string_equal(r.stacks[0].name, "bottom");
    assert_true(r.stacks[0].dead == 0.3);
    assert_string_equal(r.stacks[2].name, "tower/task1");
    assert_true(r.stacks[2].dead == 1);
    health_destroy(h);
    toy_destroy(&t);
    toy_create(&t, &(struct toy_cfg){.type = MODEL_DNN,
                                     TOY,
                                     .n_tasks = 2,
                                     .bottom = {6},
                                     .act = ACT_TANH});
    h = whole(&t, &r);
    assert_int_equal(r.n_stacks, 0);
    assert_null(r.cosine); /* nor do tasks of dnn share a layer */
    health_destroy(h);
    toy_destroy(&t);
}

/* ---- gradients ---- */

static float *labels(struct toy *t)
{
    return (float *)(uintptr_t)t->batch.labels;
}

/* Two tasks with equal towers: labels on the other side of the output give the opposite
 * gradient, equal ones the same; a task without labels has none. */
static void check_cosines(const struct toy_cfg *cfg)
{
    struct toy t;
    struct health_result r;
    toy_create(&t, cfg);
    size_t n;
    const struct model_tensor *list = model_tensors(t.model, &n);
    for (size_t i = 0; i < n; i++) { /* everything of task 1, 2 and 3 is that of task 0 */
        char other[128];
        const char *task = strstr(list[i].name, "task");
        if (task == NULL || task[4] == '0') continue;
        snprintf(other, sizeof other, "%.*stask0%s", (int)(task - list[i].name), list[i].name,
                 task + 5);
        const struct model_tensor *from = toy_tensor(&t, other);
        for (size_t k = 0; k < list[i].rows; k++)
            memcpy(t.params + list[i].offset + k * list[i].stride,
                   t.params + from->offset + k * from->stride, from->cols * sizeof(float));
    }
    for (size_t i = 2; cfg->wide && i < 4; i++) /* and the weights of direct ids */
        for (size_t u = 0; u < t.batch.tables[i].n; u++)
            for (size_t k = 1; k < 4; k++) t.table[i][u * 4 + k] = t.table[i][u * 4];
    float *z = mem_array(ROWS * 4, sizeof *z);
    model_forward_reference(t.model, t.params, &t.batch, &t.rows, z);
    float *weights = (float *)(uintptr_t)t.batch.weights;
    for (size_t i = 0; i < ROWS; i++) {
        float *y = labels(&t) + i * 4, *w = weights + i * 4;
        if (isnan(y[0])) y[0] = 1;
        y[1] = y[0];
        y[2] = 2 * z[i * 4] - y[0];
        y[3] = NAN;
        w[1] = 3 * w[0];
        w[2] = w[0];
    }
    struct health *h = whole(&t, &r);
    assert_non_null(r.cosine);
    assert_true(fabs(r.cosine[0] - 1) < 1e-6);
    assert_true(fabs(r.cosine[1] - 1) < 1e-6);
    assert_true(fabs(r.cosine[2] + 1) < 1e-4);
    assert_true(isnan(r.cosine[3]));
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_equal(&r.cosine[i * 4 + k], &r.cosine[k * 4 + i], sizeof(double));
    mem_free(z);
    health_destroy(h);
    toy_destroy(&t);
}

static void test_cosines_of_equal_and_opposite_gradients(void **state)
{
    (void)state;
    struct toy_cfg c = {
        .type = MODEL_SHARE_BOTTOM, TOY, .n_tasks = 4, .bottom = {6}, .loss = LOSS_MSE};
    c.act = ACT_TANH;
    check_cosines(&c);
    c.towers[0] = 0;
    check_cosines(&c);
    c = (struct toy_cfg){.type = MODEL_MMOE,
                         TOY,
                         .n_tasks = 4,
                         .count = 3,
                         .experts = {5},
                         .act = ACT_TANH,
                         .loss = LOSS_MSE};
    check_cosines(&c);
    c.type = MODEL_OMOE;
    check_cosines(&c);
    c.type = MODEL_CGC;
    c.own = 0;
    c.shared = 2;
    check_cosines(&c);
    c.type = MODEL_PLE;
    c.levels = 2;
    c.wide = true;
    check_cosines(&c);
}

/* ---- who scored what ---- */

/* Blocks [first, end) of the toy's rows by one who scores. */
static struct health *score_blocks(const struct toy *t, size_t first, size_t end)
{
    struct scorer s;
    struct health *h;
    struct error err;
    float *z = mem_array(ROWS * t->cfg.n_tasks, sizeof *z);
    scorer_open(t, &s);
    assert_int_equal(health_create(t->model, &h, &err), ST_OK);
    for (size_t b = end; b-- > first;) {
        struct toy_part p;
        toy_part_create(t, b * PART, PART, &p);
        p.batch.labels = t->batch.labels + b * PART * t->cfg.n_tasks;
        p.batch.weights = t->batch.weights + b * PART * t->cfg.n_tasks;
        infer_forward(s.infer, &p.batch, &p.rows, s.work, z);
        assert_int_equal(health_take(h, b, s.watch, &err), ST_OK);
        toy_part_destroy(&p);
    }
    scorer_close(&s);
    mem_free(z);
    return h;
}

static void merge(struct health *into, struct health *from)
{
    struct error err;
    size_t n = health_pack_bytes(from);
    void *bytes = mem_alloc(n);
    health_pack(from, bytes);
    assert_int_equal(health_merge(into, bytes, n, &err), ST_OK);
    assert_int_equal(health_merge(into, bytes, n - 1, &err), ST_PEER);
    assert_int_equal(health_merge(into, bytes, 3, &err), ST_PEER);
    mem_free(bytes);
    health_destroy(from);
}

static void expect_same_bits(const struct health_result *a, const struct health_result *b)
{
    for (size_t i = 0; i < a->n_gates; i++) {
        assert_memory_equal(a->gates[i].load, b->gates[i].load,
                            a->gates[i].n * sizeof(double));
        assert_memory_equal(&a->gates[i].entropy, &b->gates[i].entropy, sizeof(double));
    }
    for (size_t i = 0; i < a->n_stacks; i++)
        assert_true(a->stacks[i].dead == b->stacks[i].dead);
    assert_memory_equal(a->cosine, b->cosine, a->n_tasks * a->n_tasks * sizeof(double));
}

/* However the blocks are shared out, and in whatever order they come together. */
static void test_blocks_give_the_same_bits_from_anybody(void **state)
{
    (void)state;
    struct toy t;
    struct health_result want, got;
    struct error err;
    toy_create(&t, &mmoe);
    toy_randomise(&t);
    struct health *one = score_blocks(&t, 0, PARTS);
    assert_int_equal(health_finalize(one, &want, &err), ST_OK);
    for (size_t cut = 0; cut <= PARTS; cut++) {
        struct health *h = score_blocks(&t, cut, PARTS);
        merge(h, score_blocks(&t, 0, cut));
        assert_int_equal(health_finalize(h, &got, &err), ST_OK);
        expect_same_bits(&want, &got);
        health_destroy(h);
    }
    health_destroy(one);
    toy_destroy(&t);
}

/* Watching does not change a score; the same block twice is an error; no block gives no
 * numbers. */
static void test_watching_changes_nothing(void **state)
{
    (void)state;
    struct toy t;
    struct scorer s;
    struct infer_work *plain;
    struct health *h;
    struct health_result r;
    struct error err;
    toy_create(&t, &mmoe);
    toy_randomise(&t);
    scorer_open(&t, &s);
    float *a = mem_array(ROWS * 3, sizeof *a), *b = mem_array(ROWS * 3, sizeof *b);
    assert_int_equal(infer_work_create(s.infer, ROWS, &plain, &err), ST_OK);
    infer_forward(s.infer, &t.batch, &t.rows, s.work, a);
    infer_forward(s.infer, &t.batch, &t.rows, plain, b);
    assert_memory_equal(a, b, ROWS * 3 * sizeof *a);
    assert_int_equal(health_create(t.model, &h, &err), ST_OK);
    assert_int_equal(health_finalize(h, &r, &err), ST_OK);
    assert_true(isnan(r.gates[0].load[0]) && isnan(r.gates[0].entropy) && isnan(r.cosine[0]));
    assert_int_equal(health_take(h, 7, s.watch, &err), ST_OK);
    assert_int_equal(health_take(h, 7, s.watch, &err), ST_OK);
    assert_int_equal(health_finalize(h, &r, &err), ST_INTERNAL);
    health_destroy(h);
    infer_work_destroy(plain);
    scorer_close(&s);
    mem_free(a);
    mem_free(b);
    toy_destroy(&t);
}

/* Whichever allocation fails, creation says so and leaves nothing behind. */
static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    struct toy t;
    struct infer *f;
    struct infer_work *work;
    struct error err;
    toy_create(&t, &(struct toy_cfg){
                       .type = MODEL_SHARE_BOTTOM, TOY, .n_tasks = 2, .bottom = {5}});
    assert_int_equal(infer_create(t.model, t.params, &f, &err), ST_OK);
    enum status st = ST_NOMEM;
    for (uint64_t k = 1; st != ST_OK && k < 1000; k++) {
        uint64_t live = mem_live_bytes();
        struct health *h = NULL;
        struct watch *w = NULL;
        assert_int_equal(infer_work_create(f, ROWS, &work, &err), ST_OK);
        mem_fail_at(k);
        st = health_create(t.model, &h, &err);
        if (st == ST_OK) st = watch_create(t.model, work, &w, &err);
        if (st == ST_OK) st = health_take(h, 0, w, &err);
        mem_fail_at(0);
        assert_true(st == ST_OK || st == ST_NOMEM);
        watch_destroy(w);
        health_destroy(h);
        infer_work_destroy(work);
        assert_int_equal(mem_live_bytes(), live);
    }
    assert_int_equal(st, ST_OK);
    infer_destroy(f);
    toy_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_even_and_one_sided_gates),
        cmocka_unit_test(test_gates_of_ple_and_of_one_expert),
        cmocka_unit_test(test_dead_units),
        cmocka_unit_test(test_cosines_of_equal_and_opposite_gradients),
        cmocka_unit_test(test_blocks_give_the_same_bits_from_anybody),
        cmocka_unit_test(test_watching_changes_nothing),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
