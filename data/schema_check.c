/* What can be said of a configuration before anything is read but header lines. */
#include "common/base/mem.h"
#include "data/expr.h"
#include "data/schema.h"

/* The expression's words, and its columns where they are known. */
static enum status check_text(const struct text_cfg *text, const struct raw_columns *c,
                              struct error *err)
{
    struct expr *e;
    if (!text->text) return ST_OK;
    TRY(expr_parse(text, c ? c->names : NULL, c ? c->n : 0, &e, err));
    expr_destroy(e);
    return ST_OK;
}

/* All expressions alone, when there is no header line to hold them against. */
static enum status check_words(const struct settings *s, struct error *err)
{
    for (size_t i = 0; i < s->n_features; i++)
        TRY(check_text(&s->features[i].expr, NULL, err));
    for (size_t i = 0; i < s->n_tasks; i++) {
        const struct task_cfg *t = &s->tasks[i];
        TRY(check_text(&t->label, NULL, err));
        TRY(check_text(&t->present, NULL, err));
        TRY(check_text(&t->row_weight, NULL, err));
        TRY(check_text(&t->duration, NULL, err));
    }
    return ST_OK;
}

static enum status check_header(const struct settings *s, const struct source_cfg *source,
                                const struct raw_columns *c, struct error *err)
{
    struct schema *schema = NULL;
    TRY(schema_build(s, c, false, &schema, err));
    schema_destroy(schema);
    TRY(check_text(&source->where, c, err));
    if (source != &s->data.train || s->data.valid.source.files.n) return ST_OK;
    TRY(check_text(&s->data.valid.where, c, err));
    return check_text(&s->data.valid.by, c, err);
}

static enum status check_source(const struct settings *s, const struct source_cfg *source,
                                char **unread, struct error *err)
{
    struct raw_columns columns;
    if (source->files.n == 0) return ST_OK;
    enum status st = raw_columns_read(&s->data, source, &columns, err);
    if (st == ST_NOINPUT) {
        if (!*unread) *unread = mem_strdup(err->text);
        return check_text(&source->where, NULL, err);
    }
    if (st != ST_OK) return st;
    st = check_header(s, source, &columns, err);
    raw_columns_close(&columns);
    return st;
}

enum status schema_check(const struct settings *s, char **unread, struct error *err)
{
    const struct data_cfg *d = &s->data;
    *unread = NULL;
    TRY(check_words(s, err));
    for (size_t i = 0; i < d->n_joins; i++)
        TRY(check_text(&d->joins[i].source.where, NULL, err));
    TRY(check_source(s, &d->train, unread, err));
    TRY(check_source(s, &d->eval, unread, err));
    return check_source(s, &d->valid.source, unread, err);
}
