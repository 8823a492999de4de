/* compare_widths: which widths are scaled, and that the nearest ones are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/compare_widths.h"

/* A stack of layers on 100 inputs with one output each, so many times. */
struct model {
    size_t copies, calls;
};

static size_t params_of(const struct widths *w, size_t copies)
{
    size_t n = 0;
    for (size_t p = 0; p < w->n; p++) {
        size_t in = 100;
        for (size_t l = 0; l < w->part[p].n; l++) {
            n += (in + 1) * w->part[p].v[l];
            in = w->part[p].v[l];
        }
        n += in + 1;
    }
    return n * copies;
}

static enum status count(void *arg, const struct widths *w, size_t *params,
                         struct error *err)
{
    (void)err;
    struct model *m = arg;
    m->calls++;
    *params = params_of(w, m->copies);
    return ST_OK;
}

static size_t distance(size_t a, size_t b)
{
    return a > b ? a - b : b - a;
}

/* No factor on a fine grid comes nearer than the solver, for one and two layers,
 * one and two parts, targets below, at and above the configured size. */
static void no_factor_comes_nearer(void **state)
{
    (void)state;
    const struct widths bases[] = {
        {.n = 1, .part = {{.v = {64}, .n = 1}}},
        {.n = 1, .part = {{.v = {48, 20}, .n = 2}}},
        {.n = 2, .part = {{.v = {64, 32}, .n = 2}, {.v = {7}, .n = 1}}}};
    for (size_t b = 0; b < 3; b++)
        for (double share = 0.02; share < 30; share *= 1.7) {
            struct model m = {.copies = 1 + b};
            size_t target = (size_t)(share * (double)params_of(&bases[b], m.copies)),
                   params;
            struct widths w;
            struct error err;
            assert_int_equal(
                widths_solve(&bases[b], target, count, &m, &w, &params, &err), ST_OK);
            assert_int_equal(params, params_of(&w, m.copies));
            assert_true(m.calls < 40);
            for (double f = 0.001; f < 40; f *= 1.0005) {
                struct widths other = widths_scaled(&bases[b], f);
                assert_true(distance(params, target) <=
                            distance(params_of(&other, m.copies), target));
            }
        }
}

/* A model of exactly the wanted size keeps its widths. */
static void a_fitting_model_keeps_its_widths(void **state)
{
    (void)state;
    const struct widths base = {.n = 1, .part = {{.v = {64, 32}, .n = 2}}};
    struct model m = {.copies = 3};
    struct widths w;
    size_t params;
    struct error err;
    size_t target = params_of(&base, 3);
    assert_int_equal(widths_solve(&base, target, count, &m, &w, &params, &err), ST_OK);
    assert_int_equal(params, target);
    assert_int_equal(w.part[0].v[0], 64);
    assert_int_equal(w.part[0].v[1], 32);
}

/* Widths end at 1 and at 65,536; a target beyond gives the nearest that there is. */
static void widths_have_ends(void **state)
{
    (void)state;
    const struct widths base = {.n = 1, .part = {{.v = {64}, .n = 1}}};
    struct model m = {.copies = 1};
    struct widths w;
    size_t params;
    struct error err;
    assert_int_equal(widths_solve(&base, 3, count, &m, &w, &params, &err), ST_OK);
    assert_int_equal(w.part[0].v[0], 1);
    assert_int_equal(widths_solve(&base, SIZE_MAX / 4, count, &m, &w, &params, &err),
                     ST_OK);
    assert_int_equal(w.part[0].v[0], WIDTHS_MAX);
}

static enum status refuse(void *arg, const struct widths *w, size_t *params,
                          struct error *err)
{
    struct model *m = arg;
    if (m->calls + 1 == m->copies) return error_set(err, ST_DATA, "no");
    return count(arg, w, params, err);
}

/* A failure to count ends the search with that failure. */
static void a_failing_count_is_passed_on(void **state)
{
    (void)state;
    const struct widths base = {.n = 1, .part = {{.v = {64}, .n = 1}}};
    for (size_t k = 1; k < 6; k++) {
        struct model m = {.copies = k};
        struct widths w;
        size_t params;
        struct error err;
        assert_int_equal(widths_solve(&base, 1000000, refuse, &m, &w, &params, &err),
                         ST_DATA);
    }
}

#define FUNNEL "model.funnel=[click, like]"

/* The parts that the type reads are scaled: experts of experts' types, bottom of others;
 * towers where there is no other. */
static void only_used_parts_are_scaled(void **state)
{
    (void)state;
    const struct {
        const char *set, *key;
        size_t n, first, second;
        const char *also;
    } cases[] = {{"model.type=mmoe", "model.experts.layers", 1, 64, 0, NULL},
                 {"model.experts.layers=[12, 5]", "model.experts.layers", 2, 12, 5, NULL},
                 {"model.type=share_bottom", "model.bottom.layers", 1, 459, 0, NULL},
                 {"model.type=dnn", "model.bottom.layers", 1, 459, 0, NULL},
                 {"model.type=esmm", "model.bottom.layers", 1, 459, 0, FUNNEL},
                 {"model.type=share_bottom", "model.towers.layers", 1, 32, 0,
                  "model.bottom.layers=[]"},
                 {"model.type=wide_deep", "model.bottom.layers", 1, 459, 0, NULL},
                 {"model.type=deepfm", "model.bottom.layers", 1, 459, 0, NULL},
                 {"model.type=fm", NULL, 0, 0, 0, NULL},
                 {"model.type=lr", NULL, 0, 0, 0, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings *s;
        struct error err;
        struct widths w;
        const char *sets[] = {cases[i].set, cases[i].also};
        assert_int_equal(settings_load("configs/kuairand-w2.yaml", sets,
                                       1 + (cases[i].also != NULL), &s, &err),
                         ST_OK);
        assert_int_equal(widths_of(s, &w, &err), ST_OK);
        assert_int_equal(w.n, cases[i].key != NULL);
        if (w.n) {
            assert_string_equal(w.part[0].key, cases[i].key);
            assert_int_equal(w.part[0].n, cases[i].n);
            assert_int_equal(w.part[0].v[0], cases[i].first);
            assert_int_equal(w.part[0].v[1], cases[i].second);
        }
        settings_destroy(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_factor_comes_nearer),
        cmocka_unit_test(a_fitting_model_keeps_its_widths),
        cmocka_unit_test(widths_have_ends),
        cmocka_unit_test(a_failing_count_is_passed_on),
        cmocka_unit_test(only_used_parts_are_scaled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
