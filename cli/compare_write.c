#include "cli/compare_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare_plots.h"
#include "common/config/value.h"
#include "common/config/yaml.h"
#include "common/store/file.h"

enum { MAX_LABEL = 48, NUMBER = 32 };

static const char *const state_names[] = {"waiting", "active", "done", "stopped",
                                          "failed"};

const char *compare_number(double x, char *out, size_t size)
{
    out[0] = '\0';
    if (isnan(x)) return out;
    snprintf(out, size, fabs(x) < 1000 ? "%.5f" : "%.6g", x);
    return out;
}

int compare_decimals_of_seconds(double s)
{
    return s < 1 ? 3 : s < 10 ? 2 : 1;
}

/* ---- YAML values as JSON ---- */

static json_t *scalar_json(const struct node *node)
{
    double x;
    bool b;
    if (node_is_null(node)) return json_null();
    if (node->plain && value_bool(node->text, &b)) return json_boolean(b);
    if (!node->plain || !value_real(node->text, &x)) return json_string(node->text);
    bool whole = !strpbrk(node->text, ".eE") && strlen(node->text) < 18;
    return whole ? json_integer(strtoll(node->text, NULL, 10)) : json_real(x);
}

static json_t *node_json(const struct node *node)
{
    if (node->kind == NODE_SCALAR) return scalar_json(node);
    json_t *out = node->kind == NODE_LIST ? json_array() : json_object();
    for (size_t i = 0; i < node->n; i++) {
        if (node->kind == NODE_LIST)
            json_array_append_new(out, node_json(node->items[i]));
        else
            json_object_set_new(out, node->keys[i]->text, node_json(node->items[i]));
    }
    return out;
}

static json_t *value_json(const struct compare *c, const char *text)
{
    struct node *node;
    struct error ignored;
    if (yaml_parse(c->arena, text, strlen(text), "--vary", false, &node, &ignored) !=
        ST_OK)
        return json_string(text);
    return node_json(node);
}

static json_t *set_json(const struct compare *c, const struct compare_cell *cell)
{
    json_t *set = json_object();
    for (size_t k = 0; k < c->n_keys; k++)
        json_object_set_new(set, c->keys[k], value_json(c, cell->values[k]));
    return set;
}

/* ---- JSON ---- */

static json_t *number_json(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *run_json(const struct compare *c, const struct compare_run *r)
{
    const struct compare_cell *cell = &c->cells[r->cell];
    json_t *o =
        json_pack("{s:o, s:I, s:I, s:I, s:O?, s:s, s:s}", "set", set_json(c, cell),
                  "seed", (json_int_t)r->seed, "params", (json_int_t)cell->params, "cell",
                  (json_int_t)r->cell, "eval", r->metrics[c->on[0]], "state",
                  state_names[r->state], "run_dir", r->dir);
    if (r->state == RUN_DONE) {
        json_object_set_new(o, "steps", json_integer((json_int_t)r->steps));
        json_object_set_new(o, "train_s", json_real(r->train_s));
    }
    if (r->state == RUN_FAILED) {
        json_object_set_new(o, "exit", json_integer(r->code));
        json_object_set_new(o, "error", json_string(r->message));
    }
    json_t *also = json_object();
    for (size_t i = 1; i < c->n_on; i++)
        if (r->metrics[c->on[i]])
            json_object_set(also, compare_on_names[c->on[i]], r->metrics[c->on[i]]);
    if (json_object_size(also)) json_object_set(o, "also", also);
    json_decref(also);
    return o;
}

static json_t *metric_json(const struct cell_metric *m)
{
    json_t *o = json_pack("{s:o, s:o, s:I, s:b}", "mean", number_json(m->sample.mean),
                          "sd", number_json(m->sample.sd), "n", (json_int_t)m->sample.n,
                          "best", (int)m->best);
    if (m->paired.n) {
        json_object_set_new(o, "diff", number_json(m->paired.diff));
        json_object_set_new(o, "t", number_json(m->paired.t));
        json_object_set_new(o, "p", number_json(m->paired.p));
    }
    return o;
}

/* Adds {TASK: {METRIC: …}} on these rows to every cell as `name`. */
static enum status add_metrics(const struct compare *c, enum compare_on on,
                               const char *name, json_t *cells, struct error *err)
{
    struct task_metrics *tasks;
    size_t n;
    struct cell_metric *m = arena_take(c->arena, c->n_cells, sizeof *m);
    if (!m) return mem_error(err, "metrics", c->n_cells * sizeof *m);
    TRY(compare_tasks(c, on, &tasks, &n, err));
    for (size_t i = 0; i < c->n_cells; i++)
        json_object_set_new(json_array_get(cells, i), name, json_object());
    for (size_t t = 0; t < n; t++)
        for (size_t k = 0; k < tasks[t].n; k++) {
            TRY(compare_metric(c, on, tasks[t].task, tasks[t].metrics[k], m, err));
            for (size_t i = 0; i < c->n_cells; i++) {
                json_t *all = json_object_get(json_array_get(cells, i), name);
                if (!json_object_get(all, tasks[t].task))
                    json_object_set_new(all, tasks[t].task, json_object());
                json_object_set_new(json_object_get(all, tasks[t].task),
                                    tasks[t].metrics[k], metric_json(&m[i]));
            }
        }
    return ST_OK;
}

static json_t *cell_json(const struct compare *c, size_t i)
{
    const struct compare_cell *cell = &c->cells[i];
    struct sample s = compare_train_s(c, i);
    json_t *widths = json_object();
    for (size_t p = 0; p < cell->widths.n; p++) {
        json_t *list = json_array();
        for (size_t l = 0; l < cell->widths.part[p].n; l++)
            json_array_append_new(list,
                                  json_integer((json_int_t)cell->widths.part[p].v[l]));
        json_object_set_new(widths, cell->widths.part[p].key, list);
    }
    return json_pack("{s:o, s:s, s:s, s:I, s:f, s:o, s:{s:o, s:o, s:I}}", "set",
                     set_json(c, cell), "label", cell->label, "id", cell->id, "params",
                     (json_int_t)cell->params, "deviation", cell->deviation, "widths",
                     widths, "train_s", "mean", number_json(s.mean), "sd",
                     number_json(s.sd), "n", (json_int_t)s.n);
}

enum status compare_json(const struct compare *c, json_t **out, struct error *err)
{
    json_t *runs = json_array(), *cells = json_array(), *on = json_array();
    for (size_t i = 0; i < c->n_runs; i++)
        json_array_append_new(runs, run_json(c, &c->runs[i]));
    for (size_t i = 0; i < c->n_cells; i++) json_array_append_new(cells, cell_json(c, i));
    for (size_t i = 0; i < c->n_on; i++)
        json_array_append_new(on, json_string(compare_on_names[c->on[i]]));
    enum status st = add_metrics(c, c->on[0], "tasks", cells, err);
    for (size_t i = 1; i < c->n_on && st == ST_OK; i++)
        st = add_metrics(c, c->on[i], compare_on_names[c->on[i]], cells, err);
    *out = json_pack("{s:s, s:o, s:o, s:o}", "name", c->name, "on", on, "runs", runs,
                     "cells", cells);
    if (st == ST_OK && !*out) st = mem_error(err, "results", c->n_runs);
    if (st != ST_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

/* ---- CSV ---- */

static void put_field(struct buffer *out, const char *text)
{
    if (!strpbrk(text, ",\"\n")) {
        buffer_puts(out, text);
        return;
    }
    buffer_puts(out, "\"");
    for (const char *t = text; *t; t++) {
        if (*t == '"') buffer_puts(out, "\"");
        buffer_add(out, t, 1);
    }
    buffer_puts(out, "\"");
}

static void csv_run(const struct compare *c, const struct compare_run *r,
                    enum compare_on on, struct buffer *out)
{
    const struct compare_cell *cell = &c->cells[r->cell];
    const char *task, *metric;
    json_t *metrics, *value;
    char text[40];
    json_object_foreach(r->metrics[on], task, metrics)
        json_object_foreach(metrics, metric, value)
    {
        if (!json_is_number(value)) continue;
        put_field(out, cell->label);
        for (size_t k = 0; k < c->n_keys; k++) {
            buffer_puts(out, ",");
            put_field(out, cell->values[k]);
        }
        buffer_printf(out, ",%llu,%zu,%.3f,%s,", (unsigned long long)r->seed,
                      cell->params, r->train_s, compare_on_names[on]);
        put_field(out, task);
        buffer_puts(out, ",");
        put_field(out, metric);
        buffer_printf(out, ",%s\n",
                      value_print_real(json_number_value(value), text, sizeof text));
    }
}

enum status compare_csv(const struct compare *c, struct buffer *out, struct error *err)
{
    buffer_puts(out, "cell");
    for (size_t k = 0; k < c->n_keys; k++) {
        buffer_puts(out, ",");
        put_field(out, c->keys[k]);
    }
    buffer_puts(out, ",seed,params,train_s,on,task,metric,value\n");
    for (size_t i = 0; i < c->n_runs; i++)
        for (size_t k = 0; k < c->n_on; k++) csv_run(c, &c->runs[i], c->on[k], out);
    return out->failed ? mem_error(err, "compare.csv", out->n) : ST_OK;
}

/* ---- text ---- */

static int label_width(const struct compare *c)
{
    size_t width = 8;
    for (size_t i = 0; i < c->n_cells; i++) {
        size_t n = strlen(c->cells[i].label);
        if (n > width) width = n;
    }
    return (int)(width < MAX_LABEL ? width : MAX_LABEL);
}

/* "mean ± sd" in a column; the sign takes two bytes of one place. */
static void put_mean(struct buffer *out, struct sample s, int decimals)
{
    char mean[NUMBER] = "", sd[NUMBER];
    if (s.n) snprintf(mean, sizeof mean, "%.*f", decimals, s.mean);
    snprintf(sd, sizeof sd, "%.*f", decimals, s.sd);
    if (isnan(s.sd))
        buffer_printf(out, "  %9s           ", mean);
    else
        buffer_printf(out, "  %9s ± %-8s", mean, sd);
}

void compare_text_cells(const struct compare *c, struct buffer *out)
{
    int width = label_width(c);
    bool trained = compare_count(c, RUN_DONE) > 0;
    buffer_printf(out, "%-*s  %12s  %9s", width + 2, "cell", "parameters", "deviation");
    buffer_puts(out, trained ? "    train s              runs\n" : "\n");
    for (size_t i = 0; i < c->n_cells; i++) {
        const struct compare_cell *cell = &c->cells[i];
        struct sample s = compare_train_s(c, i);
        buffer_printf(out, "  %-*s  %12zu  %+8.2f%%", width, cell->label, cell->params,
                      100 * cell->deviation);
        if (trained) {
            put_mean(out, s, compare_decimals_of_seconds(s.mean));
            buffer_printf(out, "  %zu of %zu", s.n, c->n_seeds);
        }
        for (size_t p = 0; p < cell->widths.n; p++) {
            buffer_printf(out, "  %s=[", cell->widths.part[p].key);
            for (size_t l = 0; l < cell->widths.part[p].n; l++)
                buffer_printf(out, "%s%zu", l ? ", " : "", cell->widths.part[p].v[l]);
            buffer_puts(out, "]");
        }
        buffer_puts(out, "\n");
    }
}

static void put_metric(const struct compare *c, const struct cell_metric *m,
                       struct buffer *out)
{
    int width = label_width(c);
    for (size_t i = 0; i < c->n_cells; i++) {
        const struct paired *p = &m[i].paired;
        if (!m[i].sample.n) continue;
        buffer_printf(out, "  %-*s", width, c->cells[i].label);
        put_mean(out, m[i].sample, fabs(m[i].sample.mean) < 1000 ? 5 : 1);
        buffer_puts(out, m[i].best ? " *" : "  ");
        if (p->n) buffer_printf(out, "  %+.5f", p->diff);
        if (p->n > 1) buffer_printf(out, "  t %6.2f  p %.4f", p->t, p->p);
        buffer_puts(out, "\n");
    }
}

/* All metrics on the first rows; on others the first metric, the rest is in the
 * files. */
static enum status put_rows(const struct compare *c, enum compare_on on,
                            struct buffer *out, struct error *err)
{
    struct task_metrics *tasks;
    size_t n;
    struct cell_metric *m = arena_take(c->arena, c->n_cells, sizeof *m);
    if (!m) return mem_error(err, "metrics", c->n_cells * sizeof *m);
    TRY(compare_tasks(c, on, &tasks, &n, err));
    for (size_t t = 0; t < n; t++)
        for (size_t k = 0; k < tasks[t].n && (k == 0 || on == c->on[0]); k++) {
            TRY(compare_metric(c, on, tasks[t].task, tasks[t].metrics[k], m, err));
            buffer_printf(out, "%s  %s%s%s\n", tasks[t].task, tasks[t].metrics[k],
                          on == ON_EVAL ? "" : "  on the rows of ",
                          on == ON_EVAL ? "" : compare_on_names[on]);
            put_metric(c, m, out);
        }
    return ST_OK;
}

enum status compare_text(const struct compare *c, struct buffer *out, struct error *err)
{
    compare_text_cells(c, out);
    for (size_t i = 0; i < c->n_on; i++) TRY(put_rows(c, c->on[i], out, err));
    if (c->n_cells > 1)
        buffer_printf(out,
                      "* best mean; difference, t and p: paired over seeds, against %s\n",
                      c->cells[0].label);
    return out->failed ? mem_error(err, "table", out->n) : ST_OK;
}

/* ---- files ---- */

static enum status write_file(const struct compare *c, const char *name, const char *text,
                              size_t n, struct error *err)
{
    const char *path = arena_printf(c->arena, "%s/%s", c->out, name);
    if (!path || !text) return mem_error(err, name, n);
    return file_write_atomic(path, text, n, err);
}

/* A file without contents is left out. */
static enum status write_with(const struct compare *c, const char *name,
                              enum status (*make)(const struct compare *, struct buffer *,
                                                  struct error *),
                              struct error *err)
{
    struct buffer b = {0};
    enum status st = make(c, &b, err);
    if (st == ST_OK && b.n) st = write_file(c, name, b.text, b.n, err);
    buffer_close(&b);
    return st;
}

enum status compare_write(const struct compare *c, const json_t *doc, struct error *err)
{
    char *text = json_dumps(doc, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    enum status st = write_file(c, "compare.json", text, text ? strlen(text) : 0, err);
    free(text); /* jansson's */
    if (st == ST_OK) st = write_with(c, "compare.csv", compare_csv, err);
    if (st == ST_OK) st = write_with(c, "compare.svg", plot_bars_file, err);
    if (st == ST_OK) st = write_with(c, "curves.svg", plot_curves_file, err);
    if (st == ST_OK) st = write_with(c, "compare.html", compare_html, err);
    return st;
}
