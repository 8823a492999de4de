#include "serve/score_columns.h"

#include <stdio.h>
#include <string.h>

#include "common/config/nearest.h"
#include "data/schema.h"
#include "serve/chunk.h"

/* ---- the files ---- */

/* Files of the first side table that has none; NULL: all are there. */
static const char *absent_files(const struct data_cfg *d)
{
    for (size_t j = 0; j < d->n_joins; j++) {
        const struct source_cfg *source = &d->joins[j].source;
        const char **files;
        size_t n;
        if (raw_expand(source, &files, &n, NULL) != ST_OK) return source->files.v[0];
        mem_free(files);
    }
    return NULL;
}

static enum status first_file(const struct source_cfg *source, char **out, struct error *err)
{
    const char **files;
    size_t n;
    TRY(raw_expand(source, &files, &n, err));
    *out = mem_strdup(files[0]);
    mem_free(files);
    return *out ? ST_OK : mem_error(err, "a file's name", 1);
}

enum status score_columns_read(const struct score_rows_spec *spec, struct score_columns *out,
                               struct error *err)
{
    *out = (struct score_columns){.data = spec->settings->data};
    if (spec->model->joins) out->absent = absent_files(&out->data);
    if (out->absent) out->data.n_joins = 0;
    TRY(first_file(spec->source, &out->first, err));
    return raw_columns_read(&out->data, spec->source, &out->columns, err);
}

void score_columns_close(struct score_columns *c)
{
    raw_columns_close(&c->columns);
    mem_free(c->first);
}

bool score_columns_have(const struct score_columns *c, const char *name)
{
    for (size_t i = 0; i < c->columns.n; i++)
        if (!strcmp(c->columns.names[i], name)) return true;
    return false;
}

/* ---- what is not there ---- */

static enum status lacks(const struct score_columns *c, const char *name, struct error *err)
{
    const char *near = nearest_word(name, c->columns.names, c->columns.n);
    error_set(err, ST_USAGE, "%s: has no column '%s', which the model reads", c->first, name);
    if (near)
        return error_hint(err, ST_USAGE, "the nearest column is '%s'; a column of which nothing is known must be there, too, and be empty", near);
    return error_hint(err, ST_USAGE, "add the column; where nothing is known, with empty values");
}

enum status score_columns_check(const struct score_columns *c, const struct score_rows_spec *spec,
                                struct error *err)
{
    const struct mtps_model *m = spec->model;
    if (spec->settings->data.train.format == SOURCE_SLOT) return ST_OK; /* any name may come */
    for (size_t i = 0; i < m->n_inputs; i++)
        if (!score_columns_have(c, m->inputs[i].name)) return lacks(c, m->inputs[i].name, err);
    return ST_OK;
}

enum status score_columns_fault(const struct score_columns *c, enum status st, struct error *err)
{
    if (st != ST_USAGE || !c->absent) return st;
    return error_hint(err, st, "if it is of a side table: the bundle holds only what the model reads, the rest is read from files, and %s is not there",
                      c->absent);
}

/* ---- what is left out ---- */

static bool reads_some(const struct score_columns *c, const struct text_cfg *text)
{
    struct expr *e;
    bool some = false;
    if (!text->text || expr_parse(text, NULL, 0, &e, NULL) != ST_OK) return false;
    for (size_t i = 0; i < expr_n_columns(e); i++) some |= score_columns_have(c, expr_column(e, i));
    expr_destroy(e);
    return some;
}

/* Rows without any label are scored every day; nobody misses metrics there. */
static bool is_labelled(const struct score_columns *c, const struct settings *s)
{
    for (size_t k = 0; k < s->n_tasks; k++)
        if (reads_some(c, &s->tasks[k].label) || reads_some(c, &s->tasks[k].present)) return true;
    return false;
}

static void append(char *to, size_t size, const char *what, const char *of)
{
    size_t n = strlen(to);
    snprintf(to + n, size - n, "%s%s%s", n ? ", " : "", what, of);
}

void score_columns_warn(const struct score_columns *c, const struct score_rows_spec *spec,
                        const struct schema *schema)
{
    const struct settings *s = spec->settings;
    char out[1024] = "", text[2048];
    if (!c->absent || !spec->warn || !is_labelled(c, s)) return;
    for (size_t k = 0; k < s->n_tasks; k++) {
        const struct task_plan *t = &schema->plan->tasks[k];
        if (!t->label.expr) append(out, sizeof out, "the label of ", s->tasks[k].name);
        if (t->label.expr && s->tasks[k].present.text && !t->present.expr)
            append(out, sizeof out, "`present` of ", s->tasks[k].name);
    }
    if (s->data.group.text && schema->plan->group == SIZE_MAX) append(out, sizeof out, "data.group, ", s->data.group.text);
    if (!*out) return;
    snprintf(text, sizeof text, "%s is not there, and no other file has columns of: %s; metrics are without them", c->absent, out);
    spec->warn(NULL, text);
}
