/* compare's outputs from a comparison made by hand: summary, CSV, JSON, text and
 * the page, which must be well-formed and need nothing from outside. */
#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/compare_plots.h"
#include "cli/compare_write.h"

enum { CELLS = 2, SEEDS = 3 };

static const char hostile[] = "<b>\"x\" & 'y',z</b>";

static json_t *parsed(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *doc = json_loads(text, 0, NULL);
    assert_non_null(doc);
    return doc;
}

/* Seeds 5, 6, 7; auc rises by 0.01, 0.02, 0.03 from cell to cell. */
static void fill_run(struct compare_run *r, size_t cell, size_t k)
{
    double gain = cell ? 0.01 * (double)(k + 1) : 0;
    *r = (struct compare_run){
        .cell = cell, .seed = 5 + k, .dir = "runs/x", .state = RUN_DONE};
    r->train_s = 10 + (double)k;
    r->steps = 200;
    r->metrics[ON_EVAL] =
        parsed("{\"click\":{\"auc\":%.3f,\"logloss\":%.3f,\"pcoc\":1.0,\"rows\":9},"
               "\"<b>\":{\"rmse\":2.5,\"rows\":9}}",
               0.7 + gain + 0.001 * (double)k, 0.5 - gain);
    r->lines = json_array();
    for (int step = 10; step <= 200; step += 10) {
        json_array_append_new(
            r->lines, parsed("{\"kind\":\"train\",\"step\":%d,\"loss\":{\"click\":%f,"
                             "\"<b>\":%f}}",
                             step, 1.0 / step, 2.0 / step));
        if (step % 50 == 0)
            json_array_append_new(
                r->lines,
                parsed(
                    "{\"kind\":\"valid\",\"step\":%d,\"tasks\":{\"click\":{\"auc\":%f}},"
                    "\"gates\":{\"0/click\":[%f,0.25,0.25],\"0/<b>\":[1,0,0]}}",
                    step, 0.6 + step * 1e-3, 0.4 + 0.05 * (double)k));
    }
}

static int make(void **state)
{
    static struct compare c;
    static struct compare_args args;
    static const char *keys[] = {"model.type"};
    static const char *values[CELLS][1] = {{"mmoe"}, {hostile}};
    struct error err;
    c = (struct compare){.args = &args,
                         .name = hostile,
                         .out = "out",
                         .keys = keys,
                         .n_keys = 1,
                         .n_cells = CELLS,
                         .n_runs = CELLS * SEEDS,
                         .n_seeds = SEEDS,
                         .first_seed = 5,
                         .on = {ON_EVAL},
                         .n_on = 1};
    if (arena_create(&c.arena, &err) != ST_OK) return -1;
    c.cells = arena_take(c.arena, CELLS, sizeof *c.cells);
    c.runs = arena_take(c.arena, CELLS * SEEDS, sizeof *c.runs);
    for (size_t i = 0; i < CELLS; i++) {
        c.cells[i] = (struct compare_cell){.values = values[i],
                                           .label = values[i][0],
                                           .id = "id",
                                           .params = 1000 + i,
                                           .deviation = 0.001 * (double)i};
        for (size_t k = 0; k < SEEDS; k++) fill_run(&c.runs[i * SEEDS + k], i, k);
    }
    c.cells[1].widths =
        (struct widths){.n = 1, .part = {{"model.experts.layers", {8, 4}, 2}}};
    *state = &c;
    return 0;
}

static int drop(void **state)
{
    compare_close(*state);
    return 0;
}

static struct cell_metric *metric(const struct compare *c, const char *task,
                                  const char *name)
{
    static struct cell_metric m[CELLS];
    struct error err;
    assert_int_equal(compare_metric(c, ON_EVAL, task, name, m, &err), ST_OK);
    return m;
}

/* Means, differences and the test are those of the seeds; best goes by the metric. */
static void the_summary_pairs_seeds(void **state)
{
    const struct compare *c = *state;
    struct cell_metric *m = metric(c, "click", "auc");
    assert_true(fabs(m[0].sample.mean - 0.701) < 1e-12 &&
                fabs(m[0].sample.sd - 0.001) < 1e-12);
    assert_true(!m[0].best && m[1].best);
    assert_int_equal(m[0].paired.n, 0);
    assert_true(fabs(m[1].paired.diff - 0.02) < 1e-12);
    assert_true(fabs(m[1].paired.t - 0.02 / (0.01 / sqrt(3))) < 1e-9);
    m = metric(c, "click", "logloss");
    assert_true(m[1].best && !m[0].best); /* lower */
    m = metric(c, "click", "pcoc");
    assert_true(m[0].best && m[1].best); /* equal */
    m = metric(c, "nobody", "auc");
    assert_true(!m[0].best && !m[1].best && m[0].sample.n == 0);
}

/* pcoc is best at 1, from both sides. */
static void pcoc_is_best_near_one(void **state)
{
    struct compare *c = *state;
    for (size_t i = 0; i < c->n_runs; i++)
        json_object_set_new(json_object_get(c->runs[i].metrics[ON_EVAL], "click"), "pcoc",
                            json_real(i < SEEDS ? 0.9 : 1.05));
    assert_true(metric(c, "click", "pcoc")[1].best);
    assert_false(metric(c, "click", "pcoc")[0].best);
}

/* A run that is not there leaves its seed out of means and pairs. */
static void a_missing_run_leaves_its_seed_out(void **state)
{
    struct compare *c = *state;
    json_decref(c->runs[0].metrics[ON_EVAL]);
    c->runs[0].metrics[ON_EVAL] = NULL;
    c->runs[0].state = RUN_FAILED;
    c->runs[0].message = "a <loss> is not finite";
    c->runs[0].code = 70;
    struct cell_metric *m = metric(c, "click", "auc");
    assert_int_equal(m[0].sample.n, 2);
    assert_int_equal(m[1].sample.n, 3);
    assert_int_equal(m[1].paired.n, 2);
    struct buffer page = {0};
    struct error err;
    assert_int_equal(compare_html(c, &page, &err), ST_OK);
    assert_non_null(strstr(page.text, "5 of 6 runs are finished"));
    assert_non_null(strstr(page.text, "(exit 70): a &lt;loss&gt; is not finite"));
    buffer_close(&page);
}

/* compare.json is the contract: set, seed, params and eval of every run. */
static void the_json_has_runs_and_cells(void **state)
{
    json_t *doc;
    struct error err;
    assert_int_equal(compare_json(*state, &doc, &err), ST_OK);
    const json_t *runs = json_object_get(doc, "runs"), *last = json_array_get(runs, 5);
    assert_int_equal(json_array_size(runs), 6);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(last, "set"), "model.type")),
        hostile);
    assert_int_equal(json_integer_value(json_object_get(last, "seed")), 7);
    assert_int_equal(json_integer_value(json_object_get(last, "params")), 1001);
    const json_t *click = json_object_get(json_object_get(last, "eval"), "click");
    assert_true(fabs(json_number_value(json_object_get(click, "auc")) - 0.732) < 1e-12);
    const json_t *cell = json_array_get(json_object_get(doc, "cells"), 1);
    const json_t *auc =
        json_object_get(json_object_get(json_object_get(cell, "tasks"), "click"), "auc");
    assert_true(json_is_true(json_object_get(auc, "best")));
    assert_true(fabs(json_number_value(json_object_get(auc, "diff")) - 0.02) < 1e-12);
    json_decref(doc);
}

/* Values of YAML keep their type in "set". */
static void set_values_keep_their_type(void **state)
{
    struct compare *c = *state;
    static const char *const texts[] = {
        "8",    "0.5",   "1e-3", "true",       "[64, 32]", "{adam: {lr: 1}}",
        "null", "\"8\"", "mmoe", "[not closed"};
    static const char *const want[] = {
        "8",    "0.5",   "0.001",    "true",           "[64,32]", "{\"adam\":{\"lr\":1}}",
        "null", "\"8\"", "\"mmoe\"", "\"[not closed\""};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *doc;
        struct error err;
        c->cells[0].values[0] = texts[i];
        assert_int_equal(compare_json(c, &doc, &err), ST_OK);
        const json_t *run = json_array_get(json_object_get(doc, "runs"), 0);
        char *text =
            json_dumps(json_object_get(json_object_get(run, "set"), "model.type"),
                       JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        assert_string_equal(text, want[i]);
        free(text);
        json_decref(doc);
    }
    c->cells[0].values[0] = "mmoe";
}

/* The CSV has a line per run, task and metric, counts too, and quotes what needs it. */
static void the_csv_has_a_line_per_number(void **state)
{
    struct buffer b = {0};
    struct error err;
    assert_int_equal(compare_csv(*state, &b, &err), ST_OK);
    const char *header = "cell,model.type,seed,params,train_s,on,task,metric,value\n";
    assert_memory_equal(b.text, header, strlen(header));
    assert_non_null(strstr(b.text, "mmoe,mmoe,5,1000,10.000,eval,click,auc,0.7\n"));
    assert_non_null(strstr(
        b.text, "\"<b>\"\"x\"\" & 'y',z</b>\",\"<b>\"\"x\"\" & 'y',z</b>\",7,1001,"));
    size_t lines = 0;
    for (const char *t = b.text; *t; t++) lines += *t == '\n';
    assert_int_equal(lines, 1 + CELLS * SEEDS * 6);
    buffer_close(&b);
}

/* The table has mean and deviation, the mark of the best, difference, t and p. */
static void the_table_has_means_marks_and_tests(void **state)
{
    struct buffer b = {0};
    struct error err;
    assert_int_equal(compare_text(*state, &b, &err), ST_OK);
    assert_non_null(strstr(b.text, "0.70100 ± 0.00100"));
    assert_non_null(strstr(b.text, "*  +0.02000  t   3.46  p 0.0742"));
    assert_non_null(strstr(b.text, "model.experts.layers=[8, 4]"));
    assert_non_null(strstr(b.text, "+0.10%"));
    buffer_close(&b);
}

/* ---- the page ---- */

/* Checks that every tag is closed by its own name, in order. */
static void tags_match(const char *html)
{
    char open[64][16];
    size_t depth = 0;
    for (const char *t = strchr(html, '<'); t; t = strchr(t + 1, '<')) {
        const char *end = strchr(t, '>');
        assert_non_null(end);
        if (t[1] == '!') continue;
        bool closes = t[1] == '/';
        char name[16];
        size_t n = 0;
        for (const char *c = t + 1 + closes; isalnum((unsigned char)*c) && n < 15; c++)
            name[n++] = *c;
        name[n] = '\0';
        assert_true(n > 0);
        if (closes) {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
        } else if (end[-1] != '/') {
            assert_true(depth < 64);
            strcpy(open[depth++], name);
        }
    }
    assert_int_equal(depth, 0);
}

static size_t times(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *t = text; (t = strstr(t, word)); t++) n++;
    return n;
}

/* Well-formed, escaped, and nothing in it points outside: no address, no script. */
static void the_page_is_well_formed_and_alone(void **state)
{
    struct buffer b = {0};
    struct error err;
    assert_int_equal(compare_html(*state, &b, &err), ST_OK);
    tags_match(b.text);
    static const char *const outside[] = {"http",   "//",      "src=",    "href",
                                          "url(",   "@import", "<script", "<link",
                                          "<b>\"x", "nan",     "inf"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        if (strstr(b.text, outside[i])) fail_msg("the page has '%s'", outside[i]);
    assert_non_null(
        strstr(b.text, "&lt;b&gt;&quot;x&quot; &amp; &#39;y&#39;,z&lt;/b&gt;"));
    buffer_close(&b);
}

/* Bars for each task, curves for what has lines, a heat map for each cell. */
static void the_page_has_its_plots(void **state)
{
    struct buffer b = {0};
    struct error err;
    assert_int_equal(compare_html(*state, &b, &err), ST_OK);
    assert_int_equal(times(b.text, "class=\"mean\""), 2 * CELLS);
    assert_int_equal(times(b.text, "class=\"bar\""), 2 * CELLS);
    assert_int_equal(times(b.text, "class=\"seed\""), 2 * CELLS * SEEDS);
    assert_int_equal(times(b.text, "class=\"curve\""),
                     3 * CELLS); /* two losses, one auc */
    assert_int_equal(times(b.text, "class=\"thin\""), 3 * CELLS * SEEDS);
    assert_int_equal(times(b.text, "class=\"heat\""), CELLS * 2 * 3);
    assert_non_null(strstr(b.text, ">0.45</text>")); /* mean of 0.40, 0.45, 0.50 */
    buffer_close(&b);
}

/* The picture is well-formed, has every task's bars and nothing of the rest, and its own
 * colours. Its one address is the name of the format. */
static void the_picture_has_every_tasks_bars(void **state)
{
    struct buffer b = {0};
    struct error err;
    assert_int_equal(plot_bars_file(*state, &b, &err), ST_OK);
    tags_match(b.text);
    const char *name = "xmlns=\"http://www.w3.org/2000/svg\"";
    assert_non_null(strstr(b.text, name));
    assert_int_equal(times(b.text, "//"), 1);
    assert_int_equal(times(b.text, "class=\"mean\""), 2 * CELLS);
    assert_int_equal(times(b.text, "class=\"seed\""), 2 * CELLS * SEEDS);
    assert_int_equal(times(b.text, "<polyline"), 0);
    assert_int_equal(times(b.text, "class=\"title\""), 2);
    assert_non_null(strstr(b.text, ">click auc</text>"));
    assert_non_null(strstr(b.text, ">&lt;b&gt; rmse</text>"));
    assert_non_null(strstr(b.text, ".mean{fill:var(--c)}"));
    buffer_close(&b);
}

/* The curves of the tasks that were validated stand beside each other below a legend of all
 * cells. */
static void the_picture_of_curves_has_a_legend(void **state)
{
    struct buffer b = {0};
    struct error err;
    assert_int_equal(plot_curves_file(*state, &b, &err), ST_OK);
    tags_match(b.text);
    assert_non_null(strstr(b.text, "xmlns=\"http://www.w3.org/2000/svg\""));
    assert_int_equal(times(b.text, "//"), 1);
    assert_int_equal(times(b.text, "class=\"mean\""), CELLS);
    assert_int_equal(times(b.text, "class=\"curve\""), CELLS); /* of the one auc */
    assert_int_equal(times(b.text, "class=\"thin\""), CELLS * SEEDS);
    assert_non_null(strstr(b.text, ">click: auc over steps</text>"));
    assert_non_null(strstr(b.text, "translate(0 "));
    assert_null(strstr(b.text, "translate(440 "));
    buffer_close(&b);
}

/* A comparison of one cell with one seed has no tests; of no finished run, no plots. */
static void small_comparisons_have_pages(void **state)
{
    struct compare *c = *state;
    struct compare one = *c;
    one.n_cells = one.n_seeds = one.n_runs = 1;
    struct buffer b = {0};
    struct error err;
    assert_int_equal(compare_html(&one, &b, &err), ST_OK);
    tags_match(b.text);
    assert_int_equal(times(b.text, "paired"), 0);
    assert_int_equal(times(b.text, "class=\"bar\""), 0);
    assert_int_equal(times(b.text, "class=\"mean\""), 2);
    buffer_close(&b);
    struct compare_run none = {.state = RUN_WAITING, .dir = "d"};
    one.runs = &none;
    assert_int_equal(compare_html(&one, &b, &err), ST_OK);
    tags_match(b.text);
    assert_int_equal(times(b.text, "<svg"), 0);
    buffer_close(&b);
    assert_int_equal(plot_bars_file(&one, &b, &err), ST_OK);
    tags_match(b.text);
    assert_int_equal(times(b.text, "<svg"), 1);
    buffer_close(&b);
    assert_int_equal(plot_curves_file(&one, &b, &err), ST_OK);
    assert_int_equal(b.n, 0);
    buffer_close(&b);
}

/* Running out of memory is said, whatever allocation fails. */
static void every_failed_allocation_is_said(void **state)
{
    struct error err;
    struct buffer b = {0};
    uint64_t before = mem_calls();
    assert_int_equal(plot_curves_file(*state, &b, &err), ST_OK);
    buffer_close(&b);
    assert_int_equal(compare_html(*state, &b, &err), ST_OK);
    uint64_t calls = mem_calls() - before;
    buffer_close(&b);
    for (uint64_t k = 1; k <= calls; k++) {
        mem_fail_at(k);
        enum status st = plot_curves_file(*state, &b, &err);
        buffer_close(&b);
        if (st == ST_OK) st = compare_html(*state, &b, &err);
        mem_fail_at(0);
        assert_true(st == ST_NOMEM ||
                    st == ST_OK); /* the arena may have had room this time */
        if (st == ST_OK) tags_match(b.text);
        buffer_close(&b);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_summary_pairs_seeds),
        CASE(pcoc_is_best_near_one),
        CASE(a_missing_run_leaves_its_seed_out),
        CASE(the_json_has_runs_and_cells),
        CASE(set_values_keep_their_type),
        CASE(the_csv_has_a_line_per_number),
        CASE(the_table_has_means_marks_and_tests),
        CASE(the_page_is_well_formed_and_alone),
        CASE(the_page_has_its_plots),
        CASE(the_picture_has_every_tasks_bars),
        CASE(the_picture_of_curves_has_a_legend),
        CASE(small_comparisons_have_pages),
        CASE(every_failed_allocation_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
