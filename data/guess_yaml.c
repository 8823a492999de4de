/* A guess as a configuration with comments. */
#include <stdio.h>
#include <string.h>

#include "data/guess_impl.h"
#include "data/guess_text.h"

/* ---- top and data ---- */

static void write_head(const struct guess *g, struct buffer *b)
{
    if (g->origin) text_comment(b, 0, g->origin);
    if (g->command) {
        buffer_puts(b, "#\n#   ");
        text_clean(b, g->command);
        buffer_puts(b, "\n#\n");
    }
    text_comment(b, 0, "`mtps config explain KEY` describes any key.");
    buffer_puts(b, "version: 1\n");
    if (g->plan.seed) buffer_printf(b, "seed: %s\n", g->plan.seed);
    if (g->plan.run_dir) {
        buffer_puts(b, "run_dir: ");
        text_scalar(b, g->plan.run_dir);
        buffer_puts(b, "\n");
    }
    buffer_puts(b, "\n");
}

static void write_format(const struct guess *g, struct buffer *b)
{
    static const char *const formats[] = {"csv", "tsv", "slot"};
    const struct source_cfg *s = &g->data.train;
    const struct slot_cfg *slot = &g->data.slot;
    buffer_printf(b, "  format: %s\n", formats[s->format]);
    if (s->format == SOURCE_SLOT) {
        buffer_printf(b, "  slot: {order: %s",
                      slot->order == SLOT_NAME_FIRST ? "name_first" : "value_first");
        if (strcmp(slot->separator, " ") != 0) {
            buffer_puts(b, ", separator: ");
            text_scalar(b, slot->separator);
        }
        if (slot->fixed.n) {
            buffer_puts(b, ", fixed: ");
            text_list(b, slot->fixed.v, slot->fixed.n, 10);
        }
        buffer_puts(b, "}\n");
        return;
    }
    const char *usual = s->format == SOURCE_TSV ? "\t" : ",";
    if (strcmp(s->delimiter, usual) != 0) {
        buffer_puts(b, "  delimiter: ");
        text_scalar(b, s->delimiter);
        buffer_puts(b, "\n");
    }
    if (!g->names_listed) return;
    buffer_puts(b, "  columns: ");
    text_list(b, s->columns.v, s->columns.n, 12);
    buffer_puts(b, "\n");
}

static void write_reading(const struct guess *g, struct buffer *b)
{
    const struct source_cfg *s = &g->data.train;
    if (s->trim)
        buffer_puts(b, "  trim: true                      # blanks around values\n");
    if (s->encoding == ENCODING_LATIN1) buffer_puts(b, "  encoding: latin1\n");
    if (s->missing.n > 1) {
        text_comment(b, 2, "Met among numbers: they mean that a value is missing.");
        buffer_puts(b, "  missing: ");
        text_list(b, s->missing.v, s->missing.n, 12);
        buffer_puts(b, "\n");
    }
}

static void write_source(const struct guess *g, const char *key,
                         const struct source_cfg *s, struct buffer *b)
{
    buffer_printf(b, "  %s: {files: ", key);
    text_list(b, s->files.v, s->files.n, 12);
    if (g->names_listed && s->header) buffer_puts(b, ", header: true");
    if (s->where.text) {
        buffer_puts(b, ",\n    where: ");
        text_scalar(b, s->where.text);
    }
    buffer_puts(b, "}\n");
}

static void write_valid(const struct guess *g, struct buffer *b)
{
    if (!g->valid_where && !(g->valid_fraction > 0)) return;
    text_comment(b, 2, "These leave training; the epoch is chosen by them.");
    if (g->valid_where) {
        buffer_puts(b, "  valid: {where: ");
        text_scalar(b, g->valid_where);
        buffer_puts(b, "}\n");
    } else {
        buffer_printf(b, "  valid: {fraction: %g}\n", g->valid_fraction);
    }
}

static void write_bad_rows(const struct guess *g, struct buffer *b)
{
    if (g->bad_seen * 1000 <= g->rows_seen) return;
    double share = (double)g->bad_seen / (double)(g->bad_seen + g->rows_seen);
    char text[256];
    snprintf(
        text, sizeof text,
        "%llu of the rows looked at cannot be read: they do not have the columns of the "
        "others. They are left out; find out why.",
        (unsigned long long)g->bad_seen);
    text_comment(b, 2, text);
    buffer_printf(b, "  bad_rows: {max: %.2g%%}\n", 200 * share);
}

static void write_data(const struct guess *g, struct buffer *b)
{
    buffer_puts(b, "data:\n");
    write_format(g, b);
    write_reading(g, b);
    write_source(g, "train", &g->data.train, b);
    if (g->split_note) {
        char text[512];
        snprintf(text, sizeof text,
                 g->data.eval.files.n ? "For the final metrics: %s."
                                      : "data.eval is not given: %s.",
                 g->split_note);
        text_comment(b, 2, text);
    }
    if (g->data.eval.files.n) write_source(g, "eval", &g->data.eval, b);
    write_valid(g, b);
    if (g->group) {
        text_comment(b, 2, "GAUC is the AUC within each of these, averaged.");
        buffer_puts(b, "  group: ");
        text_scalar(b, g->group);
        buffer_puts(b, "\n");
    }
    write_bad_rows(g, b);
    buffer_puts(b, "\n");
}

/* ---- tables, tasks, model, training ---- */

static void write_tables(const struct guess *g, struct buffer *b)
{
    const struct guess_plan *p = &g->plan;
    buffer_printf(b,
                  "tables:\n  %s: {dim: %zu, init: {normal: 0.01}, optimizer: {%s}}\n\n",
                  p->table ? p->table : "default", p->dim, p->table_optimizer);
}

static void write_task(const struct guess *g, const struct guess_task *t,
                       struct buffer *b)
{
    static const char *const losses[] = {
        [LOSS_MSE] = "mse", [LOSS_HUBER] = "huber", [LOSS_LOG_MSE] = "log_mse"};
    if (t->note) {
        buffer_puts(b, "  ");
        text_comment(b, 0, t->note);
    }
    buffer_puts(b, "  ");
    text_scalar(b, t->name);
    buffer_puts(b, ": {label: ");
    text_scalar(b, t->label);
    if (t->loss != LOSS_BCE) buffer_printf(b, ", loss: %s", losses[t->loss]);
    buffer_puts(b, "}");
    double mean = t->labelled ? t->sum / (double)t->labelled : 0;
    if (t->labelled && t->loss == LOSS_BCE)
        buffer_printf(b, "    # %.3g%% of the rows looked at", 100 * mean);
    else if (t->labelled)
        buffer_printf(b, "    # from %g to %g, mean %.4g", t->low, t->high, mean);
    if (t->labelled && t->labelled < g->rows_seen)
        buffer_printf(b, ", absent on %llu",
                      (unsigned long long)(g->rows_seen - t->labelled));
    buffer_puts(b, "\n");
}

static void write_tasks(const struct guess *g, struct buffer *b)
{
    buffer_puts(b, "tasks:\n");
    if (g->picked) {
        char text[256];
        snprintf(text, sizeof text, "No --label was given. Taken: %s.", g->picked);
        text_comment(b, 2, text);
    }
    for (size_t k = 0; k < g->n_tasks; k++) write_task(g, &g->tasks[k], b);
    buffer_puts(b, "\n");
}

static void write_model(const struct guess *g, struct buffer *b)
{
    const struct guess_plan *p = &g->plan;
    buffer_printf(b, "model:\n  type: %s\n", p->type);
    if (p->expert && p->bottom && p->own)
        text_comment(b, 2,
                     "Sizes for --set model.type=share_bottom, omoe, cgc or ple, too.");
    if (p->expert) {
        buffer_puts(b, "  experts: {");
        if (p->experts) buffer_printf(b, "count: %zu, ", p->experts);
        if (p->own) buffer_printf(b, "own: %zu, shared: %zu, ", p->own, p->shared);
        if (p->levels) buffer_printf(b, "levels: %zu, ", p->levels);
        buffer_printf(b, "layers: [%s]}\n", p->expert);
    }
    if (p->gates) buffer_printf(b, "  gates: {layers: [%s]}\n", p->gates);
    if (p->tower) buffer_printf(b, "  towers: {layers: [%s]}\n", p->tower);
    if (p->bottom) buffer_printf(b, "  bottom: {layers: [%s]}\n", p->bottom);
    buffer_puts(b, "\n");
}

/* By AUC where a task has one, else by error. */
static void write_early_stop(const struct guess *g, struct buffer *b)
{
    size_t binary = 0, first = g->n_tasks;
    for (size_t k = 0; k < g->n_tasks; k++) {
        if (g->tasks[k].loss != LOSS_BCE) continue;
        binary++;
        if (first == g->n_tasks) first = k;
    }
    buffer_puts(b, "  early_stop: {task: ");
    if (binary && binary < g->n_tasks)
        text_scalar(b, g->tasks[first].name);
    else
        buffer_puts(b, "mean");
    buffer_printf(b, ", metric: %s, patience: 2}\n", binary ? "auc" : "rmse");
}

static void write_train(const struct guess *g, struct buffer *b)
{
    const struct guess_plan *p = &g->plan;
    buffer_printf(b, "train:\n  batch_size: %zu\n", p->batch_size);
    if (p->lanes) buffer_printf(b, "  lanes: %zu\n", p->lanes);
    buffer_printf(b, "  epochs: %s%s\n", p->epochs,
                  p->early_stop ? "                      # at most" : "");
    buffer_printf(b, "  optimizer: {%s}\n", p->optimizer);
    if (p->early_stop) write_early_stop(g, b);
    if (p->threads) buffer_printf(b, "\ncluster: {threads: %s}\n", p->threads);
    if (p->log_every) buffer_printf(b, "\nlog: {every: %s}\n", p->log_every);
}

static void write_unmapped(const struct guess *g, struct buffer *b)
{
    if (!g->n_unmapped) return;
    buffer_puts(b, "\n# Not taken over:\n");
    for (size_t i = 0; i < g->n_unmapped; i++) {
        buffer_puts(b, "#   ");
        text_clean(b, g->unmapped[i]);
        buffer_puts(b, "\n");
    }
}

/* ---- the whole ---- */

static enum status check(const char *text, struct error *err)
{
    struct settings *s;
    enum status st = settings_parse(text, "draft", NULL, 0, &s, err);
    if (st == ST_OK) {
        settings_destroy(s);
        return ST_OK;
    }
    if (st == ST_NOMEM) return st;
    return error_wrap(err, ST_INTERNAL, "the drafted configuration does not load");
}

enum status guess_yaml(struct guess *g, char **out, struct error *err)
{
    struct buffer b = {0};
    write_head(g, &b);
    write_data(g, &b);
    guess_features(g, &b);
    write_tables(g, &b);
    write_tasks(g, &b);
    write_model(g, &b);
    write_train(g, &b);
    write_unmapped(g, &b);
    char *text;
    TRY(buffer_take(&b, &text, err));
    enum status st = check(text, err);
    if (st != ST_OK) {
        mem_free(text);
        return st;
    }
    *out = text;
    return ST_OK;
}
