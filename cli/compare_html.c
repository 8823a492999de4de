/* The page: text and inline SVG only, no script and no link, so that it shows the
 * same from a disk, in a mail and behind a firewall. Every tag is closed. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/compare_plots.h"
#include "cli/compare_svg.h"
#include "cli/compare_write.h"

/* clang-format off */
static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<style>\n";
static const char page_style[] =
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);\n"
    "  max-width:960px;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.5rem;margin:0}\n"
    "h2{font-size:1.15rem;margin:2.2rem 0 .4rem;border-bottom:1px solid var(--line)}\n"
    "h3{font-size:1rem;margin:1.2rem 0 .3rem}\n"
    "p{color:var(--soft);margin:.3rem 0 1rem}\n"
    ".wide{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.2rem .8rem .2rem 0;text-align:right;white-space:nowrap}\n"
    "th{font-weight:600;color:var(--soft)}\n"
    "th:first-child,td:first-child{text-align:left}\n"
    "td:first-child,.v{white-space:normal;max-width:18rem;min-width:7rem}\n"
    "tr+tr td{border-top:1px solid var(--line)}\n"
    ".best{font-weight:700}\n"
    ".p{font-weight:400;color:var(--soft);font-size:.85em}\n"
    ".bad{color:#c33}\n"
    ".chip{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.5em;\n"
    "  background:var(--c)}\n"
    "svg{max-width:100%;height:auto;vertical-align:top}\n"
    "</style>\n<title>";
/* clang-format on */

static void put_chip(const struct compare *c, size_t i, struct buffer *out)
{
    char colour[32];
    buffer_printf(out, "<span class=\"chip\" style=\"--c:%s\"></span>",
                  svg_colour(i, c->n_cells, colour, sizeof colour));
    svg_text(out, c->cells[i].label);
}

/* ---- the top ---- */

static void put_intro(const struct compare *c, struct buffer *out)
{
    size_t done = compare_count(c, RUN_DONE);
    buffer_puts(out, "<h1>");
    svg_text(out, c->name);
    buffer_printf(out, "</h1>\n<p>%zu cells × %zu seeds on the same prepared data",
                  c->n_cells, c->n_seeds);
    if (done < c->n_runs)
        buffer_printf(out, "; <span class=\"bad\">%zu of %zu runs are finished</span>",
                      done, c->n_runs);
    buffer_printf(out, ". Metrics are on the rows of <b>%s</b>.",
                  compare_on_names[c->on[0]]);
    if (c->n_cells > 1 && c->n_seeds > 1) {
        buffer_puts(
            out,
            " Values are mean ± standard deviation over seeds; differences are paired by "
            "seed, against <b>");
        svg_text(out, c->cells[0].label);
        buffer_puts(out,
                    "</b> (two-sided t test, not corrected for the number of cells).");
    }
    buffer_puts(out, "</p>\n");
}

static void put_widths(const struct compare_cell *cell, struct buffer *out)
{
    for (size_t p = 0; p < cell->widths.n; p++) {
        buffer_puts(out, p ? " " : "");
        svg_text(out, cell->widths.part[p].key);
        buffer_puts(out, " [");
        for (size_t l = 0; l < cell->widths.part[p].n; l++)
            buffer_printf(out, "%s%zu", l ? ", " : "", cell->widths.part[p].v[l]);
        buffer_puts(out, "]");
    }
}

static void put_cells(const struct compare *c, struct buffer *out)
{
    buffer_puts(out, "<h2>Cells</h2>\n<div class=\"wide\"><table><tr><th>cell</th>");
    for (size_t k = 0; k < c->n_keys; k++) {
        buffer_puts(out, "<th>");
        svg_text(out, c->keys[k]);
        buffer_puts(out, "</th>");
    }
    buffer_puts(out, "<th>parameters</th><th>deviation</th><th>train s</th><th>runs</th>"
                     "<th>widths solved</th></tr>\n");
    for (size_t i = 0; i < c->n_cells; i++) {
        const struct compare_cell *cell = &c->cells[i];
        struct sample s = compare_train_s(c, i);
        buffer_puts(out, "<tr><td>");
        put_chip(c, i, out);
        buffer_puts(out, "</td>");
        for (size_t k = 0; k < c->n_keys; k++) {
            buffer_puts(out, "<td class=\"v\">");
            svg_text(out, cell->values[k]);
            buffer_puts(out, "</td>");
        }
        buffer_printf(out, "<td>%zu</td><td>%+.2f %%</td><td>", cell->params,
                      100 * cell->deviation);
        if (s.n) buffer_printf(out, "%.*f", compare_decimals_of_seconds(s.mean), s.mean);
        if (s.n > 1)
            buffer_printf(out, " ± %.*f", compare_decimals_of_seconds(s.mean), s.sd);
        buffer_printf(out, "</td><td>%zu of %zu</td><td>", s.n, c->n_seeds);
        put_widths(cell, out);
        buffer_puts(out, "</td></tr>\n");
    }
    buffer_puts(out, "</table></div>\n");
}

static void put_failures(const struct compare *c, struct buffer *out)
{
    for (size_t i = 0; i < c->n_runs; i++) {
        const struct compare_run *r = &c->runs[i];
        if (r->state != RUN_FAILED) continue;
        buffer_puts(out, "<p class=\"bad\">");
        svg_text(out, c->cells[r->cell].label);
        buffer_printf(out, " seed %llu failed (exit %d): ", (unsigned long long)r->seed,
                      r->code);
        svg_text(out, r->message);
        buffer_puts(out, "</p>\n");
    }
}

/* ---- a task ---- */

static void put_metric_cell(const struct cell_metric *m, struct buffer *out)
{
    char mean[32], sd[32];
    compare_number(m->sample.mean, mean, sizeof mean);
    compare_number(m->sample.sd, sd, sizeof sd);
    buffer_printf(out, "<td%s>%s%s%s", m->best ? " class=\"best\"" : "", mean,
                  *sd ? " ± " : "", sd);
    if (m->paired.n) {
        buffer_printf(out, "<br/><span class=\"p\">%+.5f", m->paired.diff);
        if (m->paired.n > 1)
            buffer_printf(out, " t %.2f p %.4f", m->paired.t, m->paired.p);
        buffer_puts(out, "</span>");
    }
    buffer_puts(out, "</td>");
}

static enum status put_task_table(const struct compare *c, enum compare_on on,
                                  const struct task_metrics *t, struct buffer *out,
                                  struct error *err)
{
    struct cell_metric *m = arena_take(c->arena, c->n_cells * (t->n + 1), sizeof *m);
    if (!m) return mem_error(err, "table", c->n_cells * t->n * sizeof *m);
    buffer_puts(out, "<div class=\"wide\"><table><tr><th>cell</th>");
    for (size_t k = 0; k < t->n; k++) {
        TRY(compare_metric(c, on, t->task, t->metrics[k], m + k * c->n_cells, err));
        buffer_puts(out, "<th>");
        svg_text(out, t->metrics[k]);
        buffer_puts(out, "</th>");
    }
    buffer_puts(out, "</tr>\n");
    for (size_t i = 0; i < c->n_cells; i++) {
        buffer_puts(out, "<tr><td>");
        put_chip(c, i, out);
        buffer_puts(out, "</td>");
        for (size_t k = 0; k < t->n; k++) put_metric_cell(&m[k * c->n_cells + i], out);
        buffer_puts(out, "</tr>\n");
    }
    buffer_puts(out, "</table></div>\n");
    return ST_OK;
}

static enum status put_curves(const struct compare *c, const struct task_metrics *t,
                              struct buffer *out, struct error *err)
{
    const struct plot_path loss = {"train", {"loss", t->task, NULL}};
    TRY(plot_curves(c, &loss, "training loss over steps", out, err));
    const struct plot_path valid = {"valid", {"tasks", t->task, t->metrics[0]}};
    const char *title = arena_printf(c->arena, "validation %s over steps", t->metrics[0]);
    if (!title) return mem_error(err, "curves", 1);
    return plot_curves(c, &valid, title, out, err);
}

static enum status put_rows(const struct compare *c, size_t nth, struct buffer *out,
                            struct error *err)
{
    struct task_metrics *tasks;
    size_t n;
    enum compare_on on = c->on[nth];
    TRY(compare_tasks(c, on, &tasks, &n, err));
    for (size_t t = 0; t < n; t++) {
        if (!tasks[t].n) continue;
        buffer_puts(out, "<h2>");
        svg_text(out, tasks[t].task);
        if (nth) buffer_printf(out, " on the rows of %s", compare_on_names[on]);
        buffer_puts(out, "</h2>\n");
        TRY(put_task_table(c, on, &tasks[t], out, err));
        buffer_puts(out, "<h3>");
        svg_text(out, tasks[t].metrics[0]);
        buffer_puts(out, "</h3>\n");
        TRY(plot_bars(c, on, tasks[t].task, tasks[t].metrics[0], out, err));
        if (!nth) TRY(put_curves(c, &tasks[t], out, err));
    }
    return ST_OK;
}

static enum status put_gates(const struct compare *c, struct buffer *out,
                             struct error *err)
{
    if (!plot_has_gates(c)) return ST_OK;
    buffer_puts(
        out,
        "<h2>Gates</h2>\n<p>Mean weight that each gate gives each expert at the last "
        "evaluation, mean over seeds; darkest: the largest of the cell.</p>\n");
    for (size_t i = 0; i < c->n_cells; i++) {
        struct buffer plot = {0};
        enum status st = plot_gates(c, i, &plot, err);
        if (st == ST_OK && plot.n) {
            buffer_puts(out, "<h3>");
            put_chip(c, i, out);
            buffer_puts(out, "</h3>\n");
            buffer_add(out, plot.text, plot.n);
        }
        out->failed = out->failed || plot.failed;
        buffer_close(&plot);
        TRY(st);
    }
    return ST_OK;
}

enum status compare_html(const struct compare *c, struct buffer *out, struct error *err)
{
    buffer_puts(out, head);
    buffer_puts(out, plot_style);
    buffer_puts(out, page_style);
    svg_text(out, c->name);
    buffer_puts(out, "</title></head>\n<body>\n");
    put_intro(c, out);
    put_failures(c, out);
    put_cells(c, out);
    for (size_t i = 0; i < c->n_on; i++) TRY(put_rows(c, i, out, err));
    TRY(put_gates(c, out, err));
    buffer_puts(out, "</body></html>\n");
    return out->failed ? mem_error(err, "compare.html", out->n) : ST_OK;
}
