#include "serve/score_rows.h"

#include <math.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/config/nearest.h"
#include "serve/chunk.h"
#include "serve/score_columns.h"

struct scoring {
    const struct score_rows_spec *spec;
    const struct mtps_model *model;
    struct score_columns files;
    struct schema *schema;
    struct schema_expr where;
    struct expr_scratch *where_scratch;
    struct text *where_inputs;
    struct feature_scratch *scratch;
    /* columns asked for: those of the schema, of where, kept ones, the model's inputs */
    const char **names;
    const struct list_cfg **missing;
    size_t n_names;
    size_t *keep, *inputs; /* places among them */
    struct raw *raw;
    struct mtps_scorer *scorer;
    struct mtps_value *row; /* [n_inputs] */
    struct mtps_value *items; /* of lists of the row */
    size_t max_items;
    /* the block */
    struct scored_block block;
    float *scores, *logits, *labels, *vectors;
    size_t width; /* of a row's vectors */
    uint64_t *group;
    struct text *kept;
    struct mtps_value *values;
    struct arena *texts; /* of the block */
    size_t n_scored;
    uint64_t rows;
};

/* ---- what is asked for ---- */

/* Nothing is missing yet: the model decides it. */
static const struct list_cfg nothing;

static size_t ask(struct scoring *s, const char *name, const struct list_cfg *missing)
{
    for (size_t i = 0; i < s->n_names; i++)
        if (!strcmp(s->names[i], name) && s->missing[i] == missing) return i;
    s->names[s->n_names] = name;
    s->missing[s->n_names] = missing;
    return s->n_names++;
}

static enum status parse_where(struct scoring *s, struct error *err)
{
    const struct text_cfg *text = &s->spec->source->where;
    if (!text->text) return ST_OK;
    TRY(expr_parse(text, s->files.columns.names, s->files.columns.n, &s->where.expr, err));
    s->where.n = expr_n_columns(s->where.expr);
    s->where_inputs = mem_zeroed(s->where.n + 1, sizeof *s->where_inputs);
    if (!s->where_inputs) return mem_error(err, "where", s->where.n);
    return expr_scratch_create(&s->where_scratch, err);
}

static enum status unknown_kept(const struct scoring *s, const char *name, struct error *err)
{
    const struct raw_columns *c = &s->files.columns;
    const char *near = s->files.absent ? NULL : nearest_word(name, c->names, c->n);
    error_set(err, ST_USAGE, "%s: column \"%s\" is not in the data", s->spec->keep_option, name);
    if (near) return error_hint(err, ST_USAGE, "did you mean \"%s\"?", near);
    if (c->n) error_hint(err, ST_USAGE, "name one of the columns there are, \"%s\" to \"%s\"", c->names[0], c->names[c->n - 1]);
    return score_columns_fault(&s->files, ST_USAGE, err);
}

static enum status check_keep(const struct scoring *s, struct error *err)
{
    if (s->spec->settings->data.train.format == SOURCE_SLOT) return ST_OK;
    for (size_t i = 0; i < s->spec->n_keep; i++)
        if (!score_columns_have(&s->files, s->spec->keep[i])) return unknown_kept(s, s->spec->keep[i], err);
    return ST_OK;
}

static enum status list_columns(struct scoring *s, struct error *err)
{
    const struct schema_plan *p = s->schema->plan;
    size_t most = p->n_columns + s->where.n + s->spec->n_keep + s->model->n_inputs + 1;
    size_t *where = mem_zeroed(most, sizeof *where);
    s->where.inputs = where;
    s->names = mem_zeroed(most, sizeof *s->names);
    s->missing = mem_zeroed(most, sizeof *s->missing);
    s->keep = mem_zeroed(most, sizeof *s->keep);
    s->inputs = mem_zeroed(most, sizeof *s->inputs);
    if (!where || !s->names || !s->missing || !s->keep || !s->inputs)
        return mem_error(err, "columns", most * sizeof *s->names);
    /* First, so that fields of a row are those of the schema. */
    for (size_t i = 0; i < p->n_columns; i++) {
        s->names[i] = p->columns[i].name;
        s->missing[i] = p->columns[i].missing;
    }
    s->n_names = p->n_columns;
    for (size_t i = 0; i < s->where.n; i++) where[i] = ask(s, expr_column(s->where.expr, i), NULL);
    for (size_t i = 0; i < s->spec->n_keep; i++) s->keep[i] = ask(s, s->spec->keep[i], NULL);
    for (size_t i = 0; i < s->model->n_inputs; i++) s->inputs[i] = ask(s, s->model->inputs[i].name, &nothing);
    return ST_OK;
}

static enum status make_block(struct scoring *s, struct error *err)
{
    size_t tasks = s->model->settings->n_tasks, n = SCORE_ROWS_BLOCK;
    s->scores = mem_array(n * tasks, sizeof *s->scores);
    s->logits = mem_array(n * tasks, sizeof *s->logits);
    s->labels = mem_array(n * tasks, sizeof *s->labels);
    s->group = mem_array(n, sizeof *s->group);
    s->kept = mem_array(n * (s->spec->n_keep + 1), sizeof *s->kept);
    s->row = mem_zeroed(s->model->n_inputs + 1, sizeof *s->row);
    s->width = s->spec->vectors ? tasks * model_vector_width(s->model->model) : 0;
    s->vectors = mem_array(n * s->width + 1, sizeof *s->vectors);
    if (s->spec->values) s->values = mem_zeroed(n * (s->model->n_inputs + 1), sizeof *s->values);
    if (s->vectors && s->scores && s->logits && s->labels && s->group && s->kept && s->row && (s->values || !s->spec->values))
        return ST_OK;
    return mem_error(err, "scores", n * tasks * sizeof *s->scores);
}

/* What the files have, and what is asked of them. */
static enum status open_columns(struct scoring *s, struct error *err)
{
    const struct score_rows_spec *spec = s->spec;
    struct score_columns *files = &s->files;
    TRY(score_columns_read(spec, files, err));
    TRY(score_columns_check(files, spec, err));
    enum status st = schema_build_tasks(spec->settings, &files->columns, spec->labels_optional, &s->schema, err);
    if (st == ST_OK) st = parse_where(s, err);
    TRY(score_columns_fault(files, st, err));
    TRY(check_keep(s, err));
    score_columns_warn(files, spec, s->schema);
    return ST_OK;
}

static enum status open_rows(struct scoring *s, struct bad_rows *ledger, struct error *err)
{
    TRY(open_columns(s, err));
    TRY(list_columns(s, err));
    TRY(make_block(s, err));
    TRY(feature_scratch_create(s->schema, &s->scratch, err));
    TRY(arena_create(&s->texts, err));
    struct mtps_error api;
    enum mtps_status made = mtps_scorer_create(s->spec->model, &s->scorer, &api);
    if (made != MTPS_OK) return error_set(err, ST_NOMEM, "%s", api.text);
    return raw_open(&s->files.data, s->spec->source, s->names, s->missing, s->n_names, ledger, &s->raw, err);
}

static void close_rows(struct scoring *s)
{
    raw_close(s->raw);
    mtps_scorer_destroy(s->scorer);
    arena_destroy(s->texts);
    feature_scratch_destroy(s->scratch);
    expr_scratch_destroy(s->where_scratch);
    expr_destroy(s->where.expr);
    schema_destroy(s->schema);
    score_columns_close(&s->files);
    void *blocks[] = {s->where_inputs, (void *)s->where.inputs, s->names,  s->missing, s->keep,
                      s->inputs,       s->row,                  s->items,  s->scores,  s->logits, s->vectors,
                      s->labels,       s->group,                s->kept,   s->values};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) mem_free(blocks[i]);
}

/* ---- a row ---- */

static struct text first_text(const struct raw_field *f)
{
    return f->n ? f->v[0] : (struct text){NULL, 0};
}

static enum status is_selected(struct scoring *s, const struct raw_row *row, bool *out,
                               size_t *column, struct error *err)
{
    *out = true;
    if (!s->where.expr) return ST_OK;
    for (size_t i = 0; i < s->where.n; i++) s->where_inputs[i] = first_text(&row->fields[s->where.inputs[i]]);
    struct value v;
    *column = s->where.n == 1 ? s->where.inputs[0] : SIZE_MAX;
    TRY(expr_eval(s->where.expr, s->where_inputs, s->where_scratch, &v, err));
    *out = value_is_true(&v);
    return ST_OK;
}

static struct mtps_value value_of(struct text t)
{
    return (struct mtps_value){.kind = MTPS_TEXT, .n = t.n, .u.text = t.s};
}

static enum status fill_row(struct scoring *s, const struct raw_row *row, struct error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < s->model->n_inputs; i++) n += row->fields[s->inputs[i]].n;
    if (n > s->max_items) {
        struct mtps_value *v = mem_resize(s->items, 2 * n, sizeof *v);
        if (!v) return mem_error(err, "values", 2 * n * sizeof *v);
        s->items = v;
        s->max_items = 2 * n;
    }
    struct mtps_value *next = s->items;
    for (size_t i = 0; i < s->model->n_inputs; i++) {
        const struct raw_field *f = &row->fields[s->inputs[i]];
        bool list = s->spec->settings->data.train.format == SOURCE_SLOT && s->model->inputs[i].is_list;
        if (!list) {
            s->row[i] = f->n ? value_of(f->v[0]) : (struct mtps_value){.kind = MTPS_MISSING};
            continue;
        }
        for (size_t j = 0; j < f->n; j++) next[j] = value_of(f->v[j]);
        s->row[i] = mtps_list(next, f->n);
        next += f->n;
    }
    return ST_OK;
}

static enum status read_labels(struct scoring *s, const struct raw_row *row, size_t *column,
                               struct error *err)
{
    size_t tasks = s->model->settings->n_tasks;
    float weight;
    for (size_t k = 0; k < tasks; k++) {
        enum status st = feature_label(s->schema, k, row->fields, s->scratch,
                                       &s->labels[s->block.n * tasks + k], &weight, err);
        *column = s->scratch->bad_column;
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

static enum status keep_text(struct scoring *s, struct text from, struct text *to, struct error *err)
{
    *to = from;
    if (!from.s) return ST_OK;
    to->s = arena_strndup(s->texts, from.s, from.n);
    return to->s ? ST_OK : mem_error(err, "kept text", from.n);
}

static enum status keep_value(struct scoring *s, struct mtps_value *v, struct error *err)
{
    struct text t;
    if (v->kind == MTPS_TEXT) {
        TRY(keep_text(s, (struct text){v->u.text, v->n}, &t, err));
        v->u.text = t.s;
    }
    if (v->kind != MTPS_LIST) return ST_OK;
    struct mtps_value *copy = arena_take(s->texts, v->n + 1, sizeof *copy);
    if (!copy) return mem_error(err, "values", v->n * sizeof *copy);
    for (size_t i = 0; i < v->n; i++) {
        copy[i] = v->u.list[i];
        TRY(keep_value(s, &copy[i], err));
    }
    v->u.list = copy;
    return ST_OK;
}

/* What others will see of the row, once it is accepted. */
static enum status keep_row(struct scoring *s, const struct raw_row *row, struct error *err)
{
    size_t group = s->schema->plan->group;
    if (group != SIZE_MAX) {
        struct text t = first_text(&row->fields[group]);
        s->group[s->block.n] = t.s ? hash_id(t.s, t.n) : feature_missing_key();
    }
    for (size_t i = 0; i < s->spec->n_keep; i++)
        TRY(keep_text(s, first_text(&row->fields[s->keep[i]]), &s->kept[s->block.n * s->spec->n_keep + i], err));
    for (size_t i = 0; s->values && i < s->model->n_inputs; i++) {
        struct mtps_value *v = &s->values[s->block.n * s->model->n_inputs + i];
        *v = s->row[i];
        TRY(keep_value(s, v, err));
    }
    s->block.n++;
    return ST_OK;
}

/* ---- blocks ---- */

static enum status score_chunk(struct scoring *s, struct error *err)
{
    size_t tasks = s->model->settings->n_tasks, n = s->scorer->n_rows;
    if (!n) return ST_OK;
    if (s->spec->vectors) {
        TRY(chunk_vectors(s->scorer, *s->spec->vectors, s->vectors + s->n_scored * s->width, err));
        s->n_scored += n;
        return ST_OK;
    }
    TRY(chunk_run(s->scorer, s->scores + s->n_scored * tasks, err));
    memcpy(s->logits + s->n_scored * tasks, s->scorer->logits, n * tasks * sizeof *s->logits);
    s->n_scored += n;
    return ST_OK;
}

static enum status give_block(struct scoring *s, struct error *err)
{
    TRY(score_chunk(s, err));
    if (!s->block.n) return ST_OK;
    s->block.scores = s->scores;
    s->block.logits = s->logits;
    s->block.vectors = s->vectors;
    s->block.labels = s->labels;
    s->block.group = s->schema->plan->group == SIZE_MAX ? NULL : s->group;
    s->block.kept = s->kept;
    s->block.values = s->values;
    TRY(s->spec->take(s->spec->arg, &s->block, err));
    s->rows += s->block.n;
    s->block.index++;
    s->block.n = s->n_scored = 0;
    arena_destroy(s->texts);
    s->texts = NULL;
    return arena_create(&s->texts, err);
}

/* Where the model's trouble with a row stands in the file. */
static size_t column_at_fault(const struct scoring *s)
{
    size_t c = s->scorer->scratch->bad_column;
    if (c == SIZE_MAX || s->model->columns[c].input == SIZE_MAX) return SIZE_MAX;
    return s->inputs[s->model->columns[c].input];
}

static enum status take_row(struct scoring *s, const struct raw_row *row, bool *selected,
                            size_t *column, struct error *err)
{
    *column = SIZE_MAX;
    TRY(is_selected(s, row, selected, column, err));
    if (!*selected) return ST_OK;
    TRY(fill_row(s, row, err));
    TRY(read_labels(s, row, column, err));
    s->scorer->scratch->bad_column = SIZE_MAX;
    enum status st = chunk_add_values(s->scorer, s->row, err);
    *column = column_at_fault(s);
    return st;
}

static enum status next_row(struct scoring *s, const struct raw_row *row, struct error *err)
{
    bool selected;
    size_t column;
    struct error why;
    enum status st = take_row(s, row, &selected, &column, &why);
    if (st == ST_DATA) {
        raw_reject(s->raw, column, why.text);
        return ST_OK;
    }
    if (st != ST_OK) {
        if (err) *err = why;
        return st;
    }
    if (!selected) return ST_OK;
    TRY(keep_row(s, row, err));
    if (s->scorer->n_rows == CHUNK_ROWS) TRY(score_chunk(s, err));
    return s->block.n == SCORE_ROWS_BLOCK ? give_block(s, err) : ST_OK;
}

static enum status run(struct scoring *s, struct bad_rows *ledger, struct error *err)
{
    TRY(open_rows(s, ledger, err));
    for (;;) {
        const struct raw_row *row;
        TRY(raw_next(s->raw, &row, err));
        if (!row) break;
        TRY(next_row(s, row, err));
    }
    TRY(bad_rows_check(ledger, true, err));
    return give_block(s, err);
}

enum status score_rows(const struct score_rows_spec *spec, struct bad_rows *ledger, uint64_t *rows,
                       struct error *err)
{
    struct scoring s = {.spec = spec, .model = spec->model};
    bad_rows_init(ledger, &spec->settings->data);
    enum status st = run(&s, ledger, err);
    *rows = s.rows;
    close_rows(&s);
    return st;
}
