/* Generated data: moments against closed forms and against what was asked for, known
 * probabilities, and files that are the same bytes whenever they are made. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/config/settings.h"
#include "common/store/file.h"
#include "data/synth.h"
#include "tests/lib/tmpdir.h"

enum { ROWS = 20000, BINS = 5 };

/* Sums of two numbers over rows. */
struct pair {
    double n, a, b, aa, bb, ab;
};

static void pair_add(struct pair *p, double a, double b)
{
    p->n++;
    p->a += a;
    p->b += b;
    p->aa += a * a;
    p->bb += b * b;
    p->ab += a * b;
}

static double variance_a(const struct pair *p)
{
    return p->aa / p->n - p->a / p->n * (p->a / p->n);
}

static double correlation(const struct pair *p)
{
    double b = p->bb / p->n - p->b / p->n * (p->b / p->n);
    return (p->ab / p->n - p->a / p->n * (p->b / p->n)) / sqrt(variance_a(p) * b);
}

/* ---- mmoe ---- */

static struct synth_mmoe *make_mmoe(const struct synth_mmoe_spec *spec)
{
    struct synth_mmoe *s;
    struct error err;
    if (synth_mmoe_create(spec, &s, &err) != ST_OK) fail_msg("%s", err.text);
    return s;
}

static struct pair labels_of(const struct synth_mmoe *s)
{
    struct pair p = {0};
    double x[100], y[2];
    for (uint64_t row = 0; row < ROWS; row++) {
        synth_mmoe_row(s, SYNTH_TRAIN, row, x, y);
        pair_add(&p, y[0], y[1]);
    }
    return p;
}

/* Without sines a label is a projection: its variance is c^2 and the correlation of
 * the two is p. Standard errors over 20,000 rows: 1 % of the variance, 0.007. */
static void test_linear_labels_have_the_cosine_as_correlation(void **state)
{
    (void)state;
    for (double p = 0; p <= 1; p += 0.25) {
        struct synth_mmoe_spec spec = {
            .features = 30, .correlation = p, .scale = 1.5, .seed = 3};
        struct synth_mmoe *s = make_mmoe(&spec);
        struct pair sums = labels_of(s);
        assert_true(fabs(variance_a(&sums) - 2.25) < 4 * 0.01 * 2.25);
        assert_true(fabs(correlation(&sums) - p) < 4 * 0.0071);
        assert_true(fabs(synth_mmoe_label_correlation(s) - p) < 1e-12);
        synth_mmoe_destroy(s);
    }
}

/* With sines and noise, moments of the rows are those in closed form. */
static void test_label_moments_are_the_closed_form(void **state)
{
    (void)state;
    for (uint64_t function = 0; function < 4; function++)
        for (double p = 0.5; p <= 1; p += 0.25) {
            struct synth_mmoe_spec spec = {.features = 20,
                                           .terms = 10,
                                           .correlation = p,
                                           .scale = 1,
                                           .noise = 0.1,
                                           .seed = 5 + function,
                                           .function = function};
            struct synth_mmoe *s = make_mmoe(&spec);
            struct pair sums = labels_of(s);
            double variance = synth_mmoe_variance(s);
            assert_true(fabs(variance_a(&sums) / variance - 1) < 0.06);
            assert_true(fabs(correlation(&sums) - synth_mmoe_label_correlation(s)) <
                        0.03);
            synth_mmoe_destroy(s);
        }
}

/* The default function is the one that docs/synth.md describes. */
static void test_default_function_has_the_documented_label_correlations(void **state)
{
    (void)state;
    static const double p[] = {0.5, 0.9, 1}, want[] = {0.098, 0.576, 0.976};
    struct synth_options o;
    synth_defaults(SYNTH_KIND_MMOE, &o);
    for (size_t i = 0; i < 3; i++) {
        o.mmoe.correlation = p[i];
        struct synth_mmoe *s = make_mmoe(&o.mmoe);
        assert_true(fabs(synth_mmoe_label_correlation(s) - want[i]) < 0.0005);
        synth_mmoe_destroy(s);
    }
}

/* A row depends on seed, part and number; x is normal; the function on its own
 * number alone. */
static void test_mmoe_rows_are_functions_of_their_number(void **state)
{
    (void)state;
    struct synth_mmoe_spec spec = {
        .features = 20, .terms = 3, .correlation = 0.5, .scale = 1, .seed = 1};
    struct synth_mmoe *s = make_mmoe(&spec);
    double a[20], b[20], y[2], z[2];
    struct pair moments = {0};
    synth_mmoe_row(s, SYNTH_TRAIN, 77, a, y);
    synth_mmoe_row(s, SYNTH_EVAL, 77, b, z);
    assert_true(memcmp(a, b, sizeof a) != 0);
    synth_mmoe_row(s, SYNTH_TRAIN, 77, b, z);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(y, z, sizeof y);
    for (uint64_t row = 0; row < 2000; row++) {
        synth_mmoe_row(s, SYNTH_VALID, row, a, y);
        for (size_t j = 0; j < 20; j += 2) pair_add(&moments, a[j], a[j + 1]);
    }
    assert_true(fabs(moments.a / moments.n) < 4 / sqrt(20000));
    assert_true(fabs(variance_a(&moments) - 1) < 4 * sqrt(2.0 / 20000));
    assert_true(fabs(correlation(&moments)) < 4 / sqrt(20000));
    double variance = synth_mmoe_variance(s);
    synth_mmoe_destroy(s);
    spec.seed = 2;
    s = make_mmoe(&spec);
    assert_true(synth_mmoe_variance(s) == variance);
    spec.function = 1;
    synth_mmoe_destroy(s);
    s = make_mmoe(&spec);
    assert_true(synth_mmoe_variance(s) != variance);
    synth_mmoe_destroy(s);
}

/* ---- tasks ---- */

static struct synth_tasks *make_tasks(const struct synth_tasks_spec *spec)
{
    struct synth_tasks *s;
    struct error err;
    if (synth_tasks_create(spec, &s, &err) != ST_OK) fail_msg("%s", err.text);
    return s;
}

static double logit(double p)
{
    return log(p) - log(1 - p);
}

/* Rates of positives, shares of labels, correlation and deviation of the logits are
 * those asked for; the scores were made so over 20,000 other rows. */
static void test_tasks_are_as_asked_for(void **state)
{
    (void)state;
    struct synth_options o;
    static struct synth_tasks_row row;
    synth_defaults(SYNTH_KIND_TASKS, &o);
    struct synth_tasks_spec *spec = &o.tasks;
    spec->correlation = 0.7;
    spec->signal = 1.5;
    const double rate[] = {0.3, 0.05, 0.5}, present[] = {1, 0.4, 0.9};
    memcpy(spec->rate, rate, sizeof rate);
    memcpy(spec->present, present, sizeof present);
    struct synth_tasks *s = make_tasks(spec);
    struct pair logits[3] = {0};
    double with[3] = {0}, positive[3] = {0};
    for (uint64_t i = 0; i < ROWS; i++) {
        synth_tasks_row(s, SYNTH_TRAIN, i, &row);
        for (size_t k = 0; k < 3; k++) {
            pair_add(&logits[k], logit(row.probability[k]),
                     logit(row.probability[(k + 1) % 3]));
            if (isnan(row.label[k])) continue;
            with[k]++;
            positive[k] += row.label[k];
        }
    }
    for (size_t k = 0; k < 3; k++) {
        assert_true(fabs(with[k] / ROWS - present[k]) < 0.015);
        assert_true(fabs(positive[k] / with[k] - rate[k]) < 0.02);
        assert_true(fabs(correlation(&logits[k]) - 0.7) < 0.03);
        assert_true(fabs(sqrt(variance_a(&logits[k])) - 1.5) < 0.05);
    }
    synth_tasks_destroy(s);
}

/* Labels are 1 as often as their probability says, high or low. */
static void test_probabilities_are_those_of_the_labels(void **state)
{
    (void)state;
    struct synth_options o;
    static struct synth_tasks_row row;
    synth_defaults(SYNTH_KIND_TASKS, &o);
    struct synth_tasks *s = make_tasks(&o.tasks);
    double n[BINS] = {0}, p[BINS] = {0}, y[BINS] = {0};
    for (uint64_t i = 0; i < ROWS; i++) {
        synth_tasks_row(s, SYNTH_EVAL, i, &row);
        size_t bin = (size_t)(row.probability[1] * BINS);
        n[bin]++;
        p[bin] += row.probability[1];
        y[bin] += row.label[1];
    }
    for (size_t b = 0; b < BINS; b++) {
        assert_true(n[b] > 200);
        assert_true(fabs(y[b] - p[b]) < 4 * sqrt(p[b]));
    }
    synth_tasks_destroy(s);
}

/* P(id = k) falls as (k + 1)^-s, and s = 0 makes all alike. */
static void test_ids_are_zipf(void **state)
{
    (void)state;
    static const double exponents[] = {0, 1, 1.5};
    static struct synth_tasks_row row;
    for (size_t e = 0; e < 3; e++) {
        struct synth_options o;
        synth_defaults(SYNTH_KIND_TASKS, &o);
        o.tasks.zipf = exponents[e];
        o.tasks.vocabulary = 50;
        struct synth_tasks *s = make_tasks(&o.tasks);
        double count[50] = {0}, all = 0;
        for (uint64_t i = 0; i < ROWS; i++) {
            synth_tasks_row(s, SYNTH_TRAIN, i, &row);
            assert_true(row.id[2] < 50);
            count[row.id[2]]++;
        }
        for (size_t k = 0; k < 50; k++) all += pow((double)(k + 1), -exponents[e]);
        for (size_t k = 0; k < 50; k++) {
            double want = ROWS * pow((double)(k + 1), -exponents[e]) / all;
            assert_true(fabs(count[k] - want) < 4.5 * sqrt(want));
        }
        synth_tasks_destroy(s);
    }
}

/* Nobody buys without a click, a tenth of the clicks buy, and the known rate after a
 * click is the one that the clicks show, high or low. */
static void test_funnel_has_a_known_rate_after_clicks(void **state)
{
    (void)state;
    struct synth_options o;
    static struct synth_tasks_row row;
    synth_defaults(SYNTH_KIND_FUNNEL, &o);
    struct synth_tasks *s = make_tasks(&o.tasks);
    double clicks = 0, buys = 0, n[BINS] = {0}, p[BINS] = {0}, y[BINS] = {0};
    for (uint64_t i = 0; i < 5 * ROWS; i++) {
        synth_tasks_row(s, SYNTH_TRAIN, i, &row);
        assert_true(row.label[1] <= row.label[0]);
        clicks += row.label[0];
        buys += row.label[1];
        if (row.label[0] == 0) continue;
        size_t bin = (size_t)(row.probability[1] * BINS);
        n[bin]++;
        p[bin] += row.probability[1];
        y[bin] += row.label[1];
    }
    assert_true(fabs(clicks / (5 * ROWS) - 0.2) < 0.01);
    assert_true(fabs(buys / clicks - 0.1) < 0.01);
    for (size_t b = 0; b < BINS; b++) {
        assert_true(n[b] > 30);
        assert_true(fabs(y[b] - p[b]) < 4 * sqrt(p[b]));
    }
    synth_tasks_destroy(s);
}

/* One id cannot carry the scores of three different tasks. */
static void test_too_few_features_are_refused(void **state)
{
    (void)state;
    struct synth_options o;
    struct synth_tasks *s;
    struct error err;
    synth_defaults(SYNTH_KIND_TASKS, &o);
    o.tasks.n_ids = 0;
    o.tasks.n_dense = 3;
    assert_int_equal(synth_tasks_create(&o.tasks, &s, &err), ST_USAGE);
    assert_non_null(strstr(err.text, "too few"));
    o.tasks.n_dense = 4;
    assert_int_equal(synth_tasks_create(&o.tasks, &s, &err), ST_OK);
    synth_tasks_destroy(s);
    o.tasks.n_ids = 1;
    o.tasks.vocabulary = 1;
    o.tasks.n_dense = 0;
    assert_int_equal(synth_tasks_create(&o.tasks, &s, &err), ST_USAGE);
}

/* ---- files ---- */

static void small(enum synth_kind kind, const struct tmpdir *dir, const char *name,
                  char path[512], struct synth_options *o)
{
    synth_defaults(kind, o);
    snprintf(path, 512, "%s/%s", dir->path, name);
    o->dir = path;
    o->rows = 50;
    o->eval_rows = 20;
    o->mmoe.features = 5;
    o->tasks.present[1] = kind == SYNTH_KIND_TASKS ? 0.5 : 1;
}

static void hash_of(const char *dir, const char *name, char hex[SHA256_HEX])
{
    char path[1024];
    struct error err;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (file_sha256(path, hex, NULL, NULL, &err) != ST_OK) fail_msg("%s", err.text);
}

/* The same options give the same bytes; another seed, other rows; eval rows do not
 * depend on how many rows there are to train on. */
static void test_same_options_same_bytes(void **state)
{
    (void)state;
    struct tmpdir dir;
    tmpdir_create(&dir);
    for (int kind = SYNTH_KIND_MMOE; kind <= SYNTH_KIND_FUNNEL; kind++) {
        struct synth_options o;
        struct error err;
        char path[512], first[SHA256_HEX], eval[SHA256_HEX], again[SHA256_HEX];
        small((enum synth_kind)kind, &dir, "d", path, &o);
        assert_int_equal(synth_write(&o, &err), ST_OK);
        hash_of(path, "train.csv", first);
        hash_of(path, "eval.csv", eval);
        assert_int_equal(synth_write(&o, &err), ST_OK);
        hash_of(path, "train.csv", again);
        assert_string_equal(first, again);
        o.rows = 60;
        assert_int_equal(synth_write(&o, &err), ST_OK);
        hash_of(path, "train.csv", again);
        assert_string_not_equal(first, again);
        hash_of(path, "eval.csv", again);
        assert_string_equal(eval, again);
        o.mmoe.seed = o.tasks.seed = 9;
        assert_int_equal(synth_write(&o, &err), ST_OK);
        hash_of(path, "eval.csv", again);
        assert_string_not_equal(eval, again);
    }
    tmpdir_remove(&dir);
}

/* The numbers of a file are those of the rows, an absent label is an empty field. */
static void test_file_holds_the_rows(void **state)
{
    (void)state;
    struct tmpdir dir;
    struct synth_options o;
    struct error err;
    static struct synth_tasks_row row;
    char path[512], name[600], line[512];
    tmpdir_create(&dir);
    small(SYNTH_KIND_TASKS, &dir, "d", path, &o);
    o.tsv = true;
    assert_int_equal(synth_write(&o, &err), ST_OK);
    struct synth_tasks *s = make_tasks(&o.tasks);
    snprintf(name, sizeof name, "%s/train.tsv", path);
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "id0\tid1\tid2\tid3\tx0\tx1\tx2\tx3\ttask1\ttask2\ttask3\t"
                              "true1\ttrue2\ttrue3\n");
    for (uint64_t i = 0; i < o.rows; i++) {
        synth_tasks_row(s, SYNTH_TRAIN, i, &row);
        assert_non_null(fgets(line, sizeof line, f));
        char *at = line;
        for (size_t c = 0; c < 14; c++) {
            char *text = strsep(&at, "\t\n");
            double v = strtod(text, NULL);
            if (c < 4)
                assert_true(v == (double)row.id[c]);
            else if (c < 8)
                assert_true(v == row.x[c - 4]);
            else if (c < 11)
                assert_true(isnan(row.label[c - 8]) ? !*text : v == row.label[c - 8]);
            else
                assert_true(fabs(v - row.probability[c - 11]) <= 5.1e-7);
        }
    }
    assert_null(fgets(line, sizeof line, f));
    fclose(f);
    synth_tasks_destroy(s);
    tmpdir_remove(&dir);
}

/* The configuration beside the rows is valid. */
static void test_configurations_are_valid(void **state)
{
    (void)state;
    struct tmpdir dir;
    tmpdir_create(&dir);
    for (int kind = SYNTH_KIND_MMOE; kind <= SYNTH_KIND_FUNNEL; kind++) {
        struct synth_options o;
        struct settings *settings;
        struct error err;
        char path[512], name[600];
        small((enum synth_kind)kind, &dir, "d", path, &o);
        assert_int_equal(synth_write(&o, &err), ST_OK);
        snprintf(name, sizeof name, "%s/config.yaml", path);
        if (settings_load(name, NULL, 0, &settings, &err) != ST_OK)
            fail_msg("%s", err.text);
        assert_int_equal(settings_warnings(settings)->n, 0);
        settings_destroy(settings);
    }
    tmpdir_remove(&dir);
}

/* Numbers outside of their range and folders that a configuration cannot name. */
static void test_senseless_options_are_refused(void **state)
{
    (void)state;
    struct tmpdir dir;
    struct synth_options o;
    struct error err;
    char path[512];
    tmpdir_create(&dir);
    small(SYNTH_KIND_MMOE, &dir, "d", path, &o);
    o.mmoe.correlation = 1.5;
    assert_int_equal(synth_write(&o, &err), ST_USAGE);
    small(SYNTH_KIND_TASKS, &dir, "d", path, &o);
    o.tasks.rate[2] = 1;
    assert_int_equal(synth_write(&o, &err), ST_USAGE);
    o.tasks.rate[2] = (double)NAN;
    assert_int_equal(synth_write(&o, &err), ST_USAGE);
    small(SYNTH_KIND_TASKS, &dir, "d*", path, &o);
    assert_int_equal(synth_write(&o, &err), ST_USAGE);
    small(SYNTH_KIND_TASKS, &dir, "d", path, &o);
    o.rows = 0;
    assert_int_equal(synth_write(&o, &err), ST_USAGE);
    assert_false(file_exists(path));
    tmpdir_remove(&dir);
}

/* Whichever allocation fails, it is reported and nothing leaks. */
static void test_failing_allocations(void **state)
{
    (void)state;
    struct tmpdir dir;
    uint64_t live = mem_live_bytes();
    tmpdir_create(&dir);
    for (int kind = SYNTH_KIND_MMOE; kind <= SYNTH_KIND_FUNNEL; kind++) {
        enum status st = ST_NOMEM;
        for (uint64_t k = 1; st != ST_OK; k++) {
            struct synth_options o;
            struct error err;
            char path[512];
            small((enum synth_kind)kind, &dir, "d", path, &o);
            mem_fail_at(k);
            st = synth_write(&o, &err);
            mem_fail_at(0);
            assert_true(st == ST_OK || st == ST_NOMEM);
            assert_int_equal(mem_live_bytes(), live);
        }
    }
    tmpdir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_labels_have_the_cosine_as_correlation),
        cmocka_unit_test(test_label_moments_are_the_closed_form),
        cmocka_unit_test(test_default_function_has_the_documented_label_correlations),
        cmocka_unit_test(test_mmoe_rows_are_functions_of_their_number),
        cmocka_unit_test(test_tasks_are_as_asked_for),
        cmocka_unit_test(test_probabilities_are_those_of_the_labels),
        cmocka_unit_test(test_ids_are_zipf),
        cmocka_unit_test(test_funnel_has_a_known_rate_after_clicks),
        cmocka_unit_test(test_too_few_features_are_refused),
        cmocka_unit_test(test_same_options_same_bytes),
        cmocka_unit_test(test_file_holds_the_rows),
        cmocka_unit_test(test_configurations_are_valid),
        cmocka_unit_test(test_senseless_options_are_refused),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
