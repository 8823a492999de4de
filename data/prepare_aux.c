#include <string.h>

#include "common/base/mem.h"
#include "common/config/nearest.h"
#include "data/prepare.h"

enum { MAX_EXTRA = 256 }; /* columns kept though nothing needs them yet */

static enum status add(struct aux *a, const char *name, bool as_number, bool as_text,
                       struct error *err)
{
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->v[i].name, name)) continue;
        a->v[i].as_number |= as_number;
        a->v[i].as_text |= as_text;
        return ST_OK;
    }
    if (a->n == a->max) {
        size_t max = 2 * a->max + 16;
        struct aux_column *v = mem_resize(a->v, max, sizeof *v);
        if (!v) return mem_error(err, "columns of selections", max * sizeof *v);
        a->v = v;
        a->max = max;
    }
    char *copy = arena_strdup(a->arena, name);
    if (!copy) return mem_error(err, "columns of selections", strlen(name));
    a->v[a->n++] =
        (struct aux_column){.name = copy, .as_number = as_number, .as_text = as_text};
    return ST_OK;
}

static enum status add_expr(struct aux *a, const struct text_cfg *text,
                            const struct raw_columns *c, struct error *err)
{
    if (!text->text) return ST_OK;
    struct expr *e;
    TRY(expr_parse(text, c->names, c->n, &e, err));
    enum status st = ST_OK;
    for (size_t i = 0; i < expr_n_columns(e) && st == ST_OK; i++) {
        bool text_use = expr_is_column(e) || expr_column_is_string(e, i);
        st = add(a, expr_column(e, i), !text_use, text_use, err);
    }
    expr_destroy(e);
    return st;
}

static bool same_files(const struct source_cfg *a, const struct source_cfg *b)
{
    if (!a->files.n || a->files.n != b->files.n) return false;
    for (size_t i = 0; i < a->files.n; i++)
        if (strcmp(a->files.v[i], b->files.v[i])) return false;
    return true;
}

/* Selections of the configuration over the same files; what does not parse is
 * reported where it is used. */
static enum status add_selections(struct aux *a, const struct schema *s,
                                  const struct source_cfg *source,
                                  const struct raw_columns *c, struct error *err)
{
    const struct data_cfg *d = &s->settings->data;
    TRY(add_expr(a, &source->where, c, err));
    const struct source_cfg *others[] = {&d->train, &d->eval, &d->valid.source};
    for (size_t i = 0; i < 3; i++) {
        if (others[i] == source || !same_files(source, others[i])) continue;
        if (add_expr(a, &others[i]->where, c, NULL) == ST_NOMEM)
            return mem_error(err, "columns of selections", 0);
    }
    if (!same_files(source, &d->train) || !d->valid.given || d->valid.source.files.n)
        return ST_OK;
    TRY(add_expr(a, &d->valid.where, c, err));
    return add_expr(a, &d->valid.by, c, err);
}

static enum status add_kept(struct aux *a, const struct prepare_options *opt,
                            const struct raw_columns *c, struct error *err)
{
    for (size_t i = 0; i < opt->n_keep; i++) {
        size_t j = 0;
        while (j < c->n && strcmp(c->names[j], opt->keep[i])) j++;
        if (j == c->n) {
            error_set(err, ST_USAGE, "%s: column \"%s\" is not in the data",
                      opt->keep_option, opt->keep[i]);
            const char *near = nearest_word(opt->keep[i], c->names, c->n);
            if (near) return error_hint(err, ST_USAGE, "did you mean \"%s\"?", near);
            if (!c->n) return ST_USAGE;
            return error_hint(err, ST_USAGE, "name one of the columns there are, \"%s\" to \"%s\"",
                              c->names[0], c->names[c->n - 1]);
        }
        TRY(add(a, opt->keep[i], false, true, err));
    }
    return ST_OK;
}

static enum status add_inputs(struct aux *a, const struct schema *s,
                              const struct schema_expr *e, struct error *err)
{
    for (size_t i = 0; i < e->n; i++)
        TRY(add(a, s->plan->columns[e->inputs[i]].name, false, false, err));
    return ST_OK;
}

static bool is_list(const struct schema_plan *p, const char *column)
{
    for (size_t m = 0; m < p->n_multi; m++) {
        const struct feature_plan *f = &p->features[p->multi[m]];
        if (f->from == FROM_COLUMN && !strcmp(p->columns[f->column].name, column))
            return true;
    }
    return false;
}

static enum status add_feature(struct aux *a, const struct schema *s, size_t feature,
                               struct error *err)
{
    const struct schema_plan *p = s->plan;
    const struct feature_plan *f = &p->features[feature];
    if (f->from == FROM_COLUMN) {
        const char *column = p->columns[f->column].name;
        if (f->store == STORE_MULTI || (f->store == STORE_NUMBER && f->width > 1))
            return ST_OK;
        return is_list(p, column) ? ST_OK : add(a, column, false, false, err);
    }
    for (size_t i = 0; i < f->expr.n; i++) {
        const char *column = p->columns[f->expr.inputs[i]].name;
        if (!is_list(p, column)) TRY(add(a, column, false, false, err));
    }
    return ST_OK;
}

/* A later `where` likely reads a column that a label or a feature reads. Lists
 * are long and seldom selected by: they are left out. */
static enum status add_likely(struct aux *a, const struct schema *s, struct error *err)
{
    const struct schema_plan *p = s->plan;
    size_t most = a->n + MAX_EXTRA;
    for (size_t k = 0; k < s->settings->n_tasks && a->n < most; k++) {
        TRY(add_inputs(a, s, &p->tasks[k].label, err));
        TRY(add_inputs(a, s, &p->tasks[k].present, err));
        TRY(add_inputs(a, s, &p->tasks[k].weight, err));
    }
    for (size_t i = 0; i < s->n_features && a->n < most; i++)
        TRY(add_feature(a, s, i, err));
    return ST_OK;
}

enum status aux_collect(const struct schema *s, const struct source_cfg *source,
                        const struct prepare_options *opt, struct aux *out,
                        struct error *err)
{
    *out = (struct aux){0};
    struct raw_columns c;
    TRY(raw_columns_read(&s->settings->data, source, &c, err));
    enum status st = arena_create(&out->arena, err);
    if (st == ST_OK) st = add_selections(out, s, source, &c, err);
    if (st == ST_OK) st = add_kept(out, opt, &c, err);
    if (st == ST_OK) st = add_likely(out, s, err);
    raw_columns_close(&c);
    if (st != ST_OK) aux_close(out);
    return st;
}

void aux_close(struct aux *a)
{
    for (size_t i = 0; i < a->n; i++) text_set_close(&a->v[i].texts);
    mem_free(a->v);
    arena_destroy(a->arena);
    *a = (struct aux){0};
}

bool aux_covers(const struct aux_column *need, enum aux_kind kind, bool all_numbers)
{
    if (need->as_text && kind != AUX_TEXT) return false;
    return !need->as_number || kind == AUX_NUMBER || all_numbers;
}
