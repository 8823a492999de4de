#include "worker/hot_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "worker/hot_names.h"

static const char *mode_name(const struct hot_start *h)
{
    return hot_mode_name(h->plan->settings->hot_start.mode);
}

/* ---- JSON ---- */

static json_t *shape_json(size_t rows, size_t cols)
{
    return json_pack("[I, I]", (json_int_t)rows, (json_int_t)cols);
}

static json_t *target_json(const struct hot_target *t, size_t rows)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "name", t->name, "kind",
                          t->is_table ? "table" : "tensor", "action", hot_action_name(t->action),
                          "reason", t->reason);
    if (t->action != HOT_SKIPPED) json_object_set_new(o, "shape", shape_json(rows, t->cols));
    if (t->source) {
        json_object_set_new(o, "source", json_string(t->source));
        json_object_set_new(o, "source_shape", shape_json(t->source_rows, t->source_cols));
    }
    if (t->action == HOT_LOADED)
        json_object_set_new(o, "state", json_string(t->keep_state ? "kept" : "fresh"));
    return o;
}

static json_t *share_json(const struct hot_share *s)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "distinct", (json_int_t)s->distinct, "distinct_found",
                     (json_int_t)s->distinct_found, "lookups", (json_int_t)s->lookups,
                     "lookups_found", (json_int_t)s->lookups_found);
}

static json_t *coverage_json(const struct hot_coverage *c)
{
    json_t *features = json_object(), *tables = json_object();
    for (size_t i = 0; i < c->n_features; i++) {
        json_t *o = share_json(&c->features[i]);
        json_object_set_new(o, "table", json_string(c->tables[c->features[i].table].name));
        json_object_set_new(features, c->features[i].name, o);
    }
    for (size_t i = 0; i < c->n_tables; i++) {
        json_t *o = share_json(&c->tables[i]);
        json_object_set_new(o, "rows", json_integer((json_int_t)c->rows[i]));
        json_object_set_new(tables, c->tables[i].name, o);
    }
    return json_pack("{s:o, s:o}", "features", features, "tables", tables);
}

json_t *hot_report_json(const struct hot_start *h, const struct hot_coverage *coverage)
{
    const struct hot_plan *p = h->plan;
    json_t *targets = json_array();
    for (size_t i = 0; i < p->n; i++) {
        const struct hot_target *t = &p->targets[i];
        bool counted = t->is_table && coverage && i < p->n_tables;
        json_array_append_new(targets, target_json(t, counted ? coverage->rows[i] : t->rows));
    }
    json_t *doc = json_pack("{s:s, s:s, s:I, s:o}", "from", p->path, "mode", mode_name(h),
                            "loaded", (json_int_t)p->n_loaded, "targets", targets);
    if (doc && h->ckpt)
        json_object_set_new(doc, "step", json_integer((json_int_t)ckpt_meta(h->ckpt)->step));
    if (doc && coverage) json_object_set_new(doc, "coverage", coverage_json(coverage));
    return doc;
}

/* ---- lines ---- */

static bool same_fate(const struct hot_target *a, const struct hot_target *b)
{
    size_t n = hot_unit(a->name);
    return !a->is_table && !b->is_table && a->action == b->action && !strcmp(a->reason, b->reason) &&
           a->keep_state == b->keep_state && hot_unit(b->name) == n && !strncmp(a->name, b->name, n);
}

static void put_source(FILE *f, const struct hot_target *t, size_t unit)
{
    if (!t->source || t->action == HOT_SKIPPED) return;
    size_t n = t->is_table ? strlen(t->source) : hot_unit(t->source);
    if (n != unit || strncmp(t->source, t->name, n) != 0) fprintf(f, "  from %.*s", (int)n, t->source);
}

static void put_tables_shape(FILE *f, const struct hot_target *t, const struct hot_coverage *c,
                             size_t i)
{
    if (t->action == HOT_LOADED && c && c->rows[i] != t->source_rows)
        fprintf(f, "  %llu of %zu rows", (unsigned long long)c->rows[i], t->source_rows);
    else if (t->source)
        fprintf(f, "  %zu rows", t->source_rows);
    fprintf(f, "  dim %zu", t->action == HOT_SKIPPED ? t->source_cols : t->cols);
    if (t->resized) fprintf(f, " was %zu", t->source_cols);
}

/* One line for targets i, i + 1, ...; gives how many. */
static size_t put_line(FILE *f, const struct hot_plan *p, const struct hot_coverage *c, size_t i)
{
    const struct hot_target *t = &p->targets[i];
    size_t n = 1;
    while (i + n < p->n && same_fate(t, &p->targets[i + n])) n++;
    size_t unit = t->is_table || n == 1 ? strlen(t->name) : hot_unit(t->name);
    fprintf(f, "%-12s %-32.*s", hot_action_name(t->action), (int)unit, t->name);
    if (t->is_table)
        put_tables_shape(f, t, c, i);
    else if (n > 1)
        fprintf(f, "  %zu tensors", n);
    else if (t->action == HOT_SKIPPED)
        fprintf(f, "  [%zu, %zu]", t->source_rows, t->source_cols);
    else
        fprintf(f, "  [%zu, %zu]", t->rows, t->cols);
    put_source(f, t, t->is_table ? strlen(t->name) : hot_unit(t->name));
    if (t->action == HOT_LOADED) fputs(t->keep_state ? "  with state" : "  state fresh", f);
    fprintf(f, "%s%s\n", *t->reason ? "  " : "", t->reason);
    return n;
}

static void put_share(FILE *f, const char *kind, const struct hot_share *s)
{
    double distinct = s->distinct ? 100.0 * (double)s->distinct_found / (double)s->distinct : 0;
    double lookups = s->lookups ? 100.0 * (double)s->lookups_found / (double)s->lookups : 0;
    fprintf(f, "%-8s %-24s  %6.2f %% of %llu ids  %6.2f %% of %llu lookups\n", kind, s->name,
            distinct, (unsigned long long)s->distinct, lookups, (unsigned long long)s->lookups);
}

static void put_coverage(FILE *f, const struct hot_coverage *c)
{
    fputs("rows found by the ids of the training data:\n", f);
    for (size_t i = 0; i < c->n_features; i++) put_share(f, "feature", &c->features[i]);
    for (size_t i = 0; i < c->n_tables; i++) put_share(f, "table", &c->tables[i]);
}

enum status hot_report_text(const struct hot_start *h, const struct hot_coverage *coverage,
                            char **out, struct error *err)
{
    const struct hot_plan *p = h->plan;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return mem_error(err, "report of the hot start", 0);
    fprintf(f, "mode %s%s%s", mode_name(h), h->ckpt ? " from " : "", p->path);
    if (h->ckpt) fprintf(f, ", step %llu", (unsigned long long)ckpt_meta(h->ckpt)->step);
    fprintf(f, ": %zu of %zu tables and tensors loaded\n", p->n_loaded, p->n_tables + p->n_tensors);
    for (size_t i = 0; i < p->n;) i += put_line(f, p, coverage, i);
    if (coverage) put_coverage(f, coverage);
    bool written = fclose(f) == 0;
    *out = written ? mem_strdup(text) : NULL;
    free(text);
    return *out ? ST_OK : mem_error(err, "report of the hot start", size);
}

/* ---- at the start of a training ---- */

static void write_file(const struct hot_start *h, const struct hot_coverage *coverage,
                       const char *run_dir)
{
    char path[4200];
    struct error err;
    json_t *doc = hot_report_json(h, coverage);
    char *text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
    snprintf(path, sizeof path, "%s/hot_start.json", run_dir);
    if (!text || file_write_atomic(path, text, strlen(text), &err) != ST_OK)
        log_line(LOG_WARN, "report", "%s is not written", path);
    free(text);
    json_decref(doc);
}

enum status hot_report_run(const struct hot_start *h, const struct hot_coverage *coverage,
                           const char *run_dir, struct error *err)
{
    char *text;
    TRY(hot_report_text(h, coverage, &text, err));
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && *line;)
        log_line(LOG_INFO, "hot", "%s", line);
    mem_free(text);
    write_file(h, coverage, run_dir);
    return ST_OK;
}
