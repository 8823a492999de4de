#include "cli/compare_plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare_svg.h"
#include "cli/compare_write.h"

/* Sizes in pixels. */
enum {
    BAR_WIDTH = 720,
    BAR_LABEL = 244,
    BAR_VALUE = 150,
    BAR_ROW = 24,
    BAR_TOP = 8,
    BAR_BOTTOM = 26,
    CURVE_WIDTH = 440,
    CURVE_HEIGHT = 260,
    CURVE_LEFT = 62,
    CURVE_TOP = 24,
    CURVE_BOTTOM = 30,
    MAX_POINTS = 200, /* of a curve */
    THIN_RUNS = 60,   /* more runs than these: no thin lines */
    GATE_CELL = 44,
    GATE_ROW = 22,
    GATE_LABEL = 150,
    GATE_WIDTH = 660,
    GATE_TEXT = 34,
    FILE_TITLE = 26, /* above the bars of a task */
    FILE_GAP = 10,
    FILE_COLUMNS = 2, /* of curves */
    LEGEND_GAP = 40,
    LEGEND_CHAR = 7,
    LABEL_CHARS = 28,
    COLOUR = 32
};

/* clang-format off */
const char plot_style[] =
    ":root{--ink:#1d2430;--soft:#5b6472;--line:#dde1e7;--page:#fff;--heat:#4477aa}\n"
    "@media (prefers-color-scheme:dark){\n"
    ":root{--ink:#e6e9ee;--soft:#9aa4b2;--line:#333b47;--page:#14181e;--heat:#66aadd}}\n"
    "svg{font:12px system-ui,sans-serif;fill:var(--ink)}\n"
    ".ground{fill:var(--page)}\n"
    ".grid{stroke:var(--line)}\n"
    ".tick{fill:var(--soft);font-size:11px}\n"
    ".title,.value.best{font-weight:600}\n"
    ".first{stroke:var(--soft);stroke-dasharray:3 3}\n"
    ".bar{stroke:var(--c);stroke-width:2}\n"
    ".mean{fill:var(--c)}\n"
    ".seed{fill:var(--c);fill-opacity:.4}\n"
    "polyline{fill:none;stroke:var(--c)}\n"
    ".curve{stroke-width:2}\n"
    ".thin{stroke-opacity:.3}\n"
    ".heat{fill:var(--heat)}\n"
    ".on{fill:#fff;font-size:11px}\n"
    ".off{font-size:11px}\n";
/* clang-format on */

static const char *colour_of(const struct compare *c, size_t cell, char *out)
{
    return svg_colour(cell, c->n_cells, out, COLOUR);
}

/* ---- error bars ---- */

/* Height of the bars of all cells. */
static double bars_height(const struct compare *c)
{
    return BAR_TOP + BAR_ROW * (double)c->n_cells + BAR_BOTTOM;
}

static void bar_range(const struct compare *c, const struct cell_metric *m,
                      const double *x, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < c->n_runs; i++) {
        *low = fmin(*low, x[i]);
        *high = fmax(*high, x[i]);
    }
    for (size_t i = 0; i < c->n_cells; i++) {
        double sd = isnan(m[i].sample.sd) ? 0 : m[i].sample.sd;
        *low = fmin(*low, m[i].sample.mean - sd);
        *high = fmax(*high, m[i].sample.mean + sd);
    }
}

static void put_bar(const struct compare *c, size_t i, const struct cell_metric *m,
                    const double *x, const struct svg_axis *axis, struct buffer *out)
{
    char colour[COLOUR], mean[32], sd[32];
    double y = BAR_TOP + BAR_ROW * ((double)i + 0.5),
           at = svg_place(axis, m->sample.mean);
    buffer_printf(out, "<g style=\"--c:%s\"><title>", colour_of(c, i, colour));
    svg_text(out, c->cells[i].label);
    buffer_printf(out, "</title><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
                  BAR_LABEL - 10, y + 4);
    svg_text_cut(out, c->cells[i].label, LABEL_CHARS);
    buffer_puts(out, "</text>");
    for (size_t k = 0; k < c->n_seeds; k++)
        if (!isnan(x[k]))
            buffer_printf(out,
                          "<circle class=\"seed\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>",
                          svg_place(axis, x[k]), y);
    if (m->sample.n && !isnan(m->sample.sd))
        buffer_printf(
            out, "<line class=\"bar\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
            svg_place(axis, m->sample.mean - m->sample.sd),
            svg_place(axis, m->sample.mean + m->sample.sd), y, y);
    if (m->sample.n) {
        buffer_printf(out, "<circle class=\"mean\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"/>",
                      at, y);
        compare_number(m->sample.mean, mean, sizeof mean);
        compare_number(m->sample.sd, sd, sizeof sd);
        buffer_printf(out, "<text class=\"value%s\" x=\"%d\" y=\"%.1f\">%s%s%s</text>",
                      m->best ? " best" : "", BAR_WIDTH - BAR_VALUE + 12, y + 4, mean,
                      *sd ? " ± " : "", sd);
    }
    buffer_puts(out, "</g>\n");
}

enum status plot_bars(const struct compare *c, enum compare_on on, const char *task,
                      const char *metric, struct buffer *out, struct error *err)
{
    struct cell_metric *m = arena_take(c->arena, c->n_cells, sizeof *m);
    double *x = arena_take(c->arena, c->n_runs, sizeof *x), low, high;
    if (!m || !x) return mem_error(err, "plot", c->n_runs * sizeof *x);
    TRY(compare_metric(c, on, task, metric, m, err));
    compare_values(c, on, task, metric, x);
    bar_range(c, m, x, &low, &high);
    if (!isfinite(low) || !isfinite(high)) return ST_OK;
    double bottom = BAR_TOP + BAR_ROW * (double)c->n_cells, pad = 0.04 * (high - low);
    struct svg_axis axis =
        svg_axis_make(low - pad, high + pad, BAR_LABEL, BAR_WIDTH - BAR_VALUE, 5);
    const char *title =
        arena_printf(c->arena, "%s %s: mean, deviation and each seed", task, metric);
    if (!title) return mem_error(err, "plot", 1);
    svg_open(out, BAR_WIDTH, bars_height(c), title);
    svg_axis_below(out, &axis, BAR_TOP, bottom);
    if (c->n_cells > 1 && m[0].sample.n)
        buffer_printf(
            out,
            "<line class=\"first\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\"/>\n",
            svg_place(&axis, m[0].sample.mean), svg_place(&axis, m[0].sample.mean),
            BAR_TOP, bottom);
    for (size_t i = 0; i < c->n_cells; i++)
        put_bar(c, i, &m[i], x + i * c->n_seeds, &axis, out);
    svg_close(out);
    return ST_OK;
}

static enum status put_task(const struct compare *c, const struct task_metrics *t,
                            double top, struct buffer *out, struct error *err)
{
    buffer_printf(
        out,
        "<g transform=\"translate(0 %.0f)\"><text class=\"title\" x=\"%d\" y=\"18\">",
        top, BAR_LABEL);
    svg_text_cut(out, t->task, LABEL_CHARS);
    buffer_puts(out, " ");
    svg_text(out, t->metrics[0]);
    buffer_printf(out, "</text>\n<g transform=\"translate(0 %d)\">", FILE_TITLE);
    TRY(plot_bars(c, c->on[0], t->task, t->metrics[0], out, err));
    buffer_puts(out, "</g></g>\n");
    return ST_OK;
}

/* A picture that stands alone; svg_close ends it. */
static void open_picture(const struct compare *c, double width, double height,
                         struct buffer *out)
{
    buffer_printf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
        "width=\"%.0f\" height=\"%.0f\" role=\"img\"><title>",
        width, height, width, height);
    svg_text(out, c->name);
    buffer_printf(out,
                  "</title>\n<style>\n%s</style>\n<rect class=\"ground\" "
                  "width=\"%.0f\" height=\"%.0f\"/>\n",
                  plot_style, width, height);
}

enum status plot_bars_file(const struct compare *c, struct buffer *out, struct error *err)
{
    struct task_metrics *tasks;
    size_t n, drawn = 0;
    TRY(compare_tasks(c, c->on[0], &tasks, &n, err));
    for (size_t i = 0; i < n; i++) drawn += tasks[i].n > 0;
    double each = FILE_TITLE + bars_height(c), top = 0;
    open_picture(c, BAR_WIDTH, each * (double)drawn + FILE_GAP, out);
    for (size_t i = 0; i < n; i++) {
        if (!tasks[i].n) continue;
        TRY(put_task(c, &tasks[i], top, out, err));
        top += each;
    }
    svg_close(out);
    return out->failed ? mem_error(err, "compare.svg", out->n) : ST_OK;
}

/* ---- curves ---- */

struct point {
    double step, value;
};

struct curve {
    struct point *v;
    size_t n;
};

static bool read_point(const json_t *line, const struct plot_path *path,
                       struct point *out)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    if (!kind || strcmp(kind, path->kind) != 0) return false;
    const json_t *value = line;
    for (size_t i = 0; i < 3 && path->key[i]; i++)
        value = json_object_get(value, path->key[i]);
    *out = (struct point){json_number_value(json_object_get(line, "step")),
                          json_number_value(value)};
    return json_is_number(value);
}

static enum status read_curve(const struct compare *c, const struct compare_run *r,
                              const struct plot_path *path, struct curve *out,
                              struct error *err)
{
    size_t n = json_array_size(r->lines);
    *out = (struct curve){arena_take(c->arena, n + 1, sizeof *out->v), 0};
    if (!out->v) return mem_error(err, "curve", n * sizeof *out->v);
    for (size_t i = 0; i < n; i++)
        if (read_point(json_array_get(r->lines, i), path, &out->v[out->n])) out->n++;
    return ST_OK;
}

static int by_step(const void *a, const void *b)
{
    double x = ((const struct point *)a)->step, y = ((const struct point *)b)->step;
    return (x > y) - (x < y);
}

/* Between two points by a straight line. The step lies inside of the curve. */
static double value_at(const struct curve *curve, double step)
{
    size_t low = 0, high = curve->n - 1; /* v[low].step <= step <= v[high].step */
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        *(curve->v[mid].step <= step ? &low : &high) = mid;
    }
    const struct point *a = &curve->v[low], *b = &curve->v[high];
    if (step <= a->step || b->step <= a->step) return a->value;
    return a->value + (b->value - a->value) * (step - a->step) / (b->step - a->step);
}

/* The mean over the seeds, at the steps of any of them, as far as all of them
 * reach: seeds may end an epoch at other steps, or stop early. */
static enum status mean_curve(const struct compare *c, const struct curve *seeds,
                              struct curve *out, struct error *err)
{
    size_t n = 0, kept = 0;
    double first = -INFINITY, last = INFINITY;
    for (size_t k = 0; k < c->n_seeds; k++) n += seeds[k].n;
    *out = (struct curve){arena_take(c->arena, n + 1, sizeof *out->v), 0};
    if (!out->v) return mem_error(err, "curve", n * sizeof *out->v);
    for (size_t k = 0; k < c->n_seeds; k++) {
        if (!seeds[k].n) continue;
        memcpy(out->v + kept, seeds[k].v, seeds[k].n * sizeof *out->v);
        kept += seeds[k].n;
        first = fmax(first, seeds[k].v[0].step);
        last = fmin(last, seeds[k].v[seeds[k].n - 1].step);
    }
    qsort(out->v, n, sizeof *out->v, by_step);
    for (size_t i = 0; i < n; i++) {
        double step = out->v[i].step, sum = 0;
        size_t m = 0;
        bool again = out->n && out->v[out->n - 1].step == step;
        if (again || step < first || step > last) continue;
        for (size_t k = 0; k < c->n_seeds; k++)
            if (seeds[k].n && ++m) sum += value_at(&seeds[k], step);
        out->v[out->n++] = (struct point){step, sum / (double)m};
    }
    return ST_OK;
}

static void widen(const struct curve *curve, double low[2], double high[2])
{
    for (size_t i = 0; i < curve->n; i++) {
        const double xy[] = {curve->v[i].step, curve->v[i].value};
        for (size_t k = 0; k < 2; k++) {
            low[k] = fmin(low[k], xy[k]);
            high[k] = fmax(high[k], xy[k]);
        }
    }
}

static void put_line(const struct curve *curve, const char *class,
                     const struct svg_axis *x, const struct svg_axis *y,
                     struct buffer *out)
{
    if (curve->n < 2) return;
    size_t stride = (curve->n + MAX_POINTS - 1) / MAX_POINTS;
    buffer_printf(out, "<polyline class=\"%s\" points=\"", class);
    for (size_t i = 0; i < curve->n; i++)
        if (i % stride == 0 || i + 1 == curve->n)
            buffer_printf(out, "%.1f,%.1f ", svg_place(x, curve->v[i].step),
                          svg_place(y, curve->v[i].value));
    buffer_puts(out, "\"/>");
}

static void put_curves(const struct compare *c, const struct curve *seeds,
                       const struct curve *means, const char *title, struct buffer *out)
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    bool thin = c->n_seeds > 1 && c->n_runs <= THIN_RUNS;
    for (size_t i = 0; thin && i < c->n_runs; i++) widen(&seeds[i], low, high);
    for (size_t i = 0; i < c->n_cells; i++) widen(&means[i], low, high);
    double bottom = CURVE_HEIGHT - CURVE_BOTTOM, pad = 0.03 * (high[1] - low[1]);
    struct svg_axis x = svg_axis_make(low[0], high[0], CURVE_LEFT, CURVE_WIDTH - 16, 5);
    struct svg_axis y = svg_axis_make(low[1] - pad, high[1] + pad, bottom, CURVE_TOP, 5);
    svg_open(out, CURVE_WIDTH, CURVE_HEIGHT, title);
    buffer_printf(out, "<text class=\"title\" x=\"%d\" y=\"14\">", CURVE_LEFT);
    svg_text_cut(out, title, 60);
    buffer_puts(out, "</text>\n");
    svg_axis_below(out, &x, CURVE_TOP, bottom);
    svg_axis_left(out, &y, CURVE_LEFT, CURVE_WIDTH - 16);
    for (size_t i = 0; i < c->n_cells; i++) {
        char colour[COLOUR];
        buffer_printf(out, "<g style=\"--c:%s\"><title>", colour_of(c, i, colour));
        svg_text(out, c->cells[i].label);
        buffer_puts(out, "</title>");
        for (size_t k = 0; thin && k < c->n_seeds; k++)
            put_line(&seeds[i * c->n_seeds + k], "thin", &x, &y, out);
        put_line(&means[i], "curve", &x, &y, out);
        buffer_puts(out, "</g>\n");
    }
    svg_close(out);
}

enum status plot_curves(const struct compare *c, const struct plot_path *path,
                        const char *title, struct buffer *out, struct error *err)
{
    struct curve *seeds = arena_take(c->arena, c->n_runs, sizeof *seeds);
    struct curve *means = arena_take(c->arena, c->n_cells, sizeof *means);
    if (!seeds || !means) return mem_error(err, "curves", c->n_runs * sizeof *seeds);
    size_t longest = 0;
    for (size_t i = 0; i < c->n_runs; i++)
        TRY(read_curve(c, &c->runs[i], path, &seeds[i], err));
    for (size_t i = 0; i < c->n_cells; i++) {
        TRY(mean_curve(c, seeds + i * c->n_seeds, &means[i], err));
        if (means[i].n > longest) longest = means[i].n;
    }
    if (longest > 1) put_curves(c, seeds, means, title, out);
    return ST_OK;
}

/* Which colour is which cell, in lines of the picture's width; gives their height. */
static double put_legend(const struct compare *c, struct buffer *out)
{
    double x = CURVE_LEFT, y = FILE_TITLE - 8;
    for (size_t i = 0; i < c->n_cells; i++) {
        char colour[COLOUR];
        size_t chars = strlen(c->cells[i].label);
        double width =
            LEGEND_GAP + LEGEND_CHAR * (double)(chars < LABEL_CHARS ? chars : LABEL_CHARS);
        if (i && x + width > FILE_COLUMNS * CURVE_WIDTH) {
            x = CURVE_LEFT;
            y += FILE_TITLE;
        }
        buffer_printf(out,
                      "<g style=\"--c:%s\"><rect class=\"mean\" x=\"%.0f\" y=\"%.0f\" "
                      "width=\"10\" height=\"10\"/></g><text x=\"%.0f\" y=\"%.0f\">",
                      colour_of(c, i, colour), x, y - 9, x + 15, y);
        svg_text_cut(out, c->cells[i].label, LABEL_CHARS);
        buffer_puts(out, "</text>\n");
        x += width;
    }
    return y + 8;
}

/* *n: place of the next one, which grows when there is something to draw. */
static enum status put_task_curves(const struct compare *c, const struct task_metrics *t,
                                   double top, size_t *n, struct buffer *out,
                                   struct error *err)
{
    const struct plot_path path = {"valid", {"tasks", t->task, t->metrics[0]}};
    const char *title = arena_printf(c->arena, "%s: %s over steps", t->task, t->metrics[0]);
    struct buffer one = {0};
    if (!title) return mem_error(err, "curves", 1);
    enum status st = plot_curves(c, &path, title, &one, err);
    if (st == ST_OK && one.n) {
        buffer_printf(out, "<g transform=\"translate(%zu %.0f)\">",
                      *n % FILE_COLUMNS * CURVE_WIDTH,
                      top + (double)(*n / FILE_COLUMNS) * CURVE_HEIGHT);
        buffer_puts(out, one.text);
        buffer_puts(out, "</g>\n");
        ++*n;
    }
    if (one.failed) st = mem_error(err, "curves", one.n);
    buffer_close(&one);
    return st;
}

enum status plot_curves_file(const struct compare *c, struct buffer *out, struct error *err)
{
    struct task_metrics *tasks;
    size_t n, drawn = 0;
    struct buffer body = {0};
    TRY(compare_tasks(c, c->on[0], &tasks, &n, err));
    double top = put_legend(c, &body);
    enum status st = ST_OK;
    for (size_t i = 0; i < n && st == ST_OK; i++)
        if (tasks[i].n) st = put_task_curves(c, &tasks[i], top, &drawn, &body, err);
    size_t rows = (drawn + FILE_COLUMNS - 1) / FILE_COLUMNS;
    if (st == ST_OK && body.failed) st = mem_error(err, "curves.svg", body.n);
    if (st == ST_OK && drawn) {
        open_picture(c, FILE_COLUMNS * CURVE_WIDTH, top + (double)rows * CURVE_HEIGHT, out);
        buffer_puts(out, body.text);
        svg_close(out);
        if (out->failed) st = mem_error(err, "curves.svg", out->n);
    }
    buffer_close(&body);
    return st;
}

/* ---- gates ---- */

static const json_t *last_gates(const struct compare_run *r)
{
    for (size_t i = json_array_size(r->lines); i-- > 0;) {
        const json_t *gates = json_object_get(json_array_get(r->lines, i), "gates");
        if (json_is_object(gates) && json_object_size(gates)) return gates;
    }
    return NULL;
}

bool plot_has_gates(const struct compare *c)
{
    for (size_t i = 0; i < c->n_runs; i++)
        if (last_gates(&c->runs[i])) return true;
    return false;
}

/* Mean over the seeds of gate `key`'s weight of expert e. */
static double gate_weight(const struct compare *c, size_t cell, const char *key, size_t e)
{
    double sum = 0;
    size_t n = 0;
    for (size_t k = 0; k < c->n_seeds; k++) {
        const json_t *row =
            json_object_get(last_gates(&c->runs[cell * c->n_seeds + k]), key);
        const json_t *w = json_array_get(row, e);
        if (!json_is_number(w)) continue;
        sum += json_number_value(w);
        n++;
    }
    return n ? sum / (double)n : NAN;
}

struct heat {
    const struct compare *c;
    size_t cell, columns;
    double width, largest;
};

static void put_heat_row(const struct heat *h, const char *key, size_t n, double y,
                         struct buffer *out)
{
    buffer_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", GATE_LABEL - 8,
                  y + GATE_ROW * 0.7);
    svg_text_cut(out, key, 22);
    buffer_puts(out, "</text>");
    for (size_t e = 0; e < n; e++) {
        double w = gate_weight(h->c, h->cell, key, e),
               x = GATE_LABEL + (double)e * h->width;
        if (isnan(w)) continue;
        double strength = h->largest > 0 ? w / h->largest : 0;
        buffer_printf(out, "<g><title>");
        svg_text(out, key);
        buffer_printf(
            out,
            ", expert %zu: %.4f</title><rect class=\"heat\" x=\"%.1f\" y=\"%.1f\" "
            "width=\"%.1f\" height=\"%d\" fill-opacity=\"%.3f\"/>",
            e, w, x, y, h->width - 1, GATE_ROW - 1, fmin(fmax(strength, 0), 1));
        if (h->width >= GATE_TEXT)
            buffer_printf(
                out,
                "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">"
                "%.2f</text>",
                strength > 0.55 ? "on" : "off", x + h->width / 2, y + GATE_ROW * 0.7, w);
        buffer_puts(out, "</g>");
    }
    buffer_puts(out, "\n");
}

static void measure_heat(struct heat *h, const json_t *gates)
{
    const char *key;
    json_t *row;
    json_object_foreach((json_t *)gates, key, row)
    {
        size_t n = json_array_size(row);
        if (n > h->columns) h->columns = n;
        for (size_t e = 0; e < n; e++)
            h->largest = fmax(h->largest, gate_weight(h->c, h->cell, key, e));
    }
    h->width = fmin(GATE_CELL, (GATE_WIDTH - GATE_LABEL) / fmax((double)h->columns, 1));
}

enum status plot_gates(const struct compare *c, size_t cell, struct buffer *out,
                       struct error *err)
{
    const json_t *gates = NULL;
    for (size_t k = 0; k < c->n_seeds && !gates; k++)
        gates = last_gates(&c->runs[cell * c->n_seeds + k]);
    if (!gates) return ST_OK;
    struct heat h = {.c = c, .cell = cell};
    measure_heat(&h, gates);
    const char *title =
        arena_printf(c->arena, "%s: mean gate weights", c->cells[cell].label);
    if (!title) return mem_error(err, "plot", 1);
    svg_open(out, GATE_WIDTH, 18 + GATE_ROW * (double)json_object_size(gates), title);
    for (size_t e = 0; e < h.columns && h.width >= 16; e++)
        buffer_printf(
            out,
            "<text class=\"tick\" x=\"%.1f\" y=\"12\" text-anchor=\"middle\">%zu</text>",
            GATE_LABEL + ((double)e + 0.5) * h.width, e);
    const char *key;
    json_t *row;
    double y = 18;
    json_object_foreach((json_t *)gates, key, row)
    {
        put_heat_row(&h, key, json_array_size(row), y, out);
        y += GATE_ROW;
    }
    svg_close(out);
    return ST_OK;
}
