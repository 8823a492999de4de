/* What runs left: metrics and times from JSON files, curves from metrics.jsonl. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare.h"
#include "common/store/file.h"

enum { MAX_LINE = 1 << 20 };

static enum status load_json(const char *path, json_t **out, struct error *err)
{
    json_error_t why;
    if (!path) return mem_error(err, "metrics", 1);
    *out = json_load_file(path, 0, &why);
    if (*out && json_is_object(*out)) return ST_OK;
    json_decref(*out);
    *out = NULL;
    error_set(err, ST_NOINPUT, "%s: %s", path, *why.text ? why.text : "no JSON object");
    return error_hint(err, ST_NOINPUT, "remove the file; its run is then done again");
}

static enum status read_eval(struct compare *c, struct compare_run *r, enum compare_on on,
                             const char *file, json_t **whole, struct error *err)
{
    json_t *doc;
    const char *path = compare_run_file(c, r, file);
    TRY(load_json(path, &doc, err));
    json_t *eval = json_object_get(doc, "eval");
    json_decref(r->metrics[on]);
    r->metrics[on] = json_is_object(eval) ? json_incref(eval) : NULL;
    if (whole)
        *whole = doc;
    else
        json_decref(doc);
    return ST_OK;
}

enum status compare_read_run(struct compare *c, struct compare_run *r, struct error *err)
{
    json_t *result;
    TRY(read_eval(c, r, ON_EVAL, "result.json", &result, err));
    /* The speed of the steps alone: preparation and evaluation are not in it, and
     * a run in several parts has it too. */
    double speed = json_number_value(json_object_get(result, "samples_per_s"));
    double rows = json_number_value(json_object_get(result, "rows"));
    r->train_s = speed > 0 ? rows / speed : 0;
    r->steps = (uint64_t)json_integer_value(json_object_get(result, "steps"));
    json_decref(result);
    for (size_t i = 0; i < c->n_on; i++) {
        char name[32];
        if (c->on[i] == ON_EVAL) continue;
        snprintf(name, sizeof name, "eval-%s.json", compare_on_names[c->on[i]]);
        TRY(read_eval(c, r, c->on[i], name, NULL, err));
    }
    if (r->metrics[c->on[0]]) return ST_OK;
    return error_set(err, ST_NOINPUT, "%s: no metrics on %s", r->dir,
                     compare_on_names[c->on[0]]);
}

/* ---- curves ---- */

static double step_of(const json_t *line)
{
    return json_number_value(json_object_get(line, "step"));
}

/* A run that was killed repeats steps after its last checkpoint: the lines that it
 * had written behind the step of a new one are void. */
static void add_line(json_t *lines, json_t *line)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    bool curve = kind && (!strcmp(kind, "train") || !strcmp(kind, "valid") ||
                          !strcmp(kind, "eval"));
    if (!curve || !json_is_number(json_object_get(line, "step"))) return;
    size_t n = json_array_size(lines);
    while (n && step_of(json_array_get(lines, n - 1)) > step_of(line))
        json_array_remove(lines, --n);
    for (size_t i = n; i-- > 0;) {
        const json_t *other = json_array_get(lines, i);
        if (step_of(other) < step_of(line)) break;
        if (!strcmp(kind, json_string_value(json_object_get(other, "kind")))) {
            json_array_set(lines, i, line);
            return;
        }
    }
    json_array_append(lines, line);
}

/* A last line that is cut off, or any other that is no JSON, is passed over. */
static enum status read_lines(struct compare *c, struct compare_run *r, struct error *err)
{
    const char *path = compare_run_file(c, r, "metrics.jsonl");
    json_decref(r->lines);
    r->lines = json_array();
    if (!path || !r->lines) return mem_error(err, "curves", 1);
    FILE *f = fopen(path, "r");
    if (!f) return ST_OK;
    char *text = mem_alloc(MAX_LINE);
    while (text && fgets(text, MAX_LINE, f)) {
        json_t *line = json_loads(text, 0, NULL);
        if (line) add_line(r->lines, line);
        json_decref(line);
    }
    fclose(f);
    enum status st = text ? ST_OK : mem_error(err, "curves", MAX_LINE);
    mem_free(text);
    return st;
}

enum status compare_read(struct compare *c, struct error *err)
{
    for (size_t i = 0; i < c->n_runs; i++) {
        struct compare_run *r = &c->runs[i];
        if (r->state == RUN_DONE) TRY(compare_read_run(c, r, err));
        TRY(read_lines(c, r, err));
    }
    return ST_OK;
}
