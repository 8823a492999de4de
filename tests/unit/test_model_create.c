/* Making a model: what is refused and how, memory that runs out, and how a model is
 * described. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/unit/toy_types.h"

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

static void expect_products(const struct toy_cfg *cfg, size_t n, const size_t want[][2])
{
    struct toy t;
    struct model_product p[16];
    toy_create(&t, cfg);
    assert_int_equal(model_products(t.model, p, 16), n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(p[i].in, want[i][0]);
        assert_int_equal(p[i].out, want[i][1]);
        assert_null(p[i].list);
    }
    toy_destroy(&t);
}

/* The matrix products that a bound counts: those of cross layers and of every other
 * layer, the first layers of all units as one; of two_tower as two, over the 7 columns of
 * the user and the 11 of the item. */
static void test_products_are_those_of_the_layers(void **state)
{
    (void)state;
    expect_products(
        &(struct toy_cfg){MMOE, .cross = 1, .rank = 5}, 7,
        (const size_t[][2]){
            {5, 4}, {4, 1}, {5, 4}, {4, 1}, {18, 5}, {5, 18}, {18, 3 * 5 + 2 * 3}});
    expect_products(&(struct toy_cfg){TWO_TOWER}, 4,
                    (const size_t[][2]){{5, 3}, {5, 3}, {7, 5}, {11, 2 * 3}});
}

/* Those of attention are over the occurrences of its list. */
static void test_products_of_attention_name_their_list(void **state)
{
    (void)state;
    struct toy t;
    struct model_product p[64];
    toy_create(&t, &(struct toy_cfg){ALL_OPTIONS});
    size_t n = model_products(t.model, p, 64), found = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i].list == NULL) continue;
        bool first = found % 2 == 0; /* two lists, of places 3 and 4, two layers each */
        assert_int_equal(p[i].list->place, 3 + found / 2);
        assert_int_equal(p[i].in, first ? 4 * 3 : 4);
        assert_int_equal(p[i].out, first ? 4 : 1);
        found++;
    }
    assert_int_equal(found, 4);
    toy_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_parts_are_named),
        cmocka_unit_test(test_wrong_inputs_are_refused),
        cmocka_unit_test(test_wrong_attention_is_refused),
        cmocka_unit_test(test_wrong_sides_are_refused),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
        cmocka_unit_test(test_description_shows_shapes),
        cmocka_unit_test(test_products_are_those_of_the_layers),
        cmocka_unit_test(test_products_of_attention_name_their_list),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
