/* From a request's raw values to keys and numbers: texts first, as a file would hold
 * them, then what training makes of texts (data/feature.h). */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"
#include "data/feature.h"
#include "data/raw_text.h"
#include "serve/chunk.h"

enum { NUMBER_TEXT = 32 };

static enum status misfit(const struct mtps_scorer *s, size_t input, const char *what,
                          struct error *err)
{
    return error_set(err, ST_DATA, "%s: %s", s->model->inputs[input].name, what);
}

/* ---- texts ---- */

static bool reserve(struct mtps_scorer *s, size_t bytes)
{
    if (bytes <= s->max_digits) return true;
    char *v = mem_resize(s->digits, 2 * bytes, 1);
    if (!v) return false;
    s->digits = v;
    s->max_digits = 2 * bytes;
    return true;
}

/* Most bytes that a value's own texts take. */
static size_t value_bytes(const struct mtps_value *v, size_t joint)
{
    if (v->kind == MTPS_INTEGER || v->kind == MTPS_REAL) return NUMBER_TEXT;
    if (v->kind == MTPS_TEXT) return v->n;
    size_t bytes = 0;
    for (size_t i = 0; v->kind == MTPS_LIST && i < v->n; i++)
        bytes += value_bytes(&v->u.list[i], 0) + joint;
    return bytes;
}

/* Text of a value that is no list; a number's is written into s->digits. */
static enum status scalar(struct mtps_scorer *s, const struct mtps_value *v, size_t input,
                          struct text *out, struct error *err)
{
    struct value x;
    *out = (struct text){NULL, 0};
    switch (v->kind) {
    case MTPS_MISSING:
        return ST_OK;
    case MTPS_TEXT:
        *out = (struct text){v->u.text ? v->u.text : "", v->n};
        return ST_OK;
    case MTPS_INTEGER:
        x = (struct value){.kind = VALUE_INT, .i = v->u.integer};
        break;
    case MTPS_REAL:
        if (!isfinite(v->u.real)) return misfit(s, input, "a number that is not finite", err);
        x = (struct value){.kind = VALUE_FLOAT, .f = v->u.real};
        break;
    case MTPS_LIST:
        return misfit(s, input, "a list where one value is expected", err);
    default:
        return misfit(s, input, "a value of unknown kind", err);
    }
    *out = value_id_text(&x, s->digits + s->n_digits);
    s->n_digits += out->n;
    return ST_OK;
}

/* A list as the one text that a file would hold. */
static enum status join(struct mtps_scorer *s, const struct mtps_value *v,
                        const struct loaded_column *c, struct text *out, struct error *err)
{
    size_t start = s->n_digits;
    for (size_t i = 0; i < v->n; i++) {
        struct text t;
        if (i) {
            size_t n = strlen(c->joint);
            memcpy(s->digits + s->n_digits, c->joint, n);
            s->n_digits += n;
        }
        TRY(scalar(s, &v->u.list[i], c->input, &t, err));
        if (v->u.list[i].kind != MTPS_TEXT || !t.n) continue;
        memcpy(s->digits + s->n_digits, t.s, t.n);
        s->n_digits += t.n;
    }
    *out = (struct text){s->digits + start, s->n_digits - start};
    return ST_OK;
}

static bool is_missing(const struct loaded_column *c, struct text *t)
{
    if (!t->s) return true;
    if (c->trim) *t = raw_text_trim(*t);
    return raw_text_in(c->missing, *t);
}

static void put_text(struct mtps_scorer *s, size_t column, struct text t)
{
    if (is_missing(&s->model->columns[column], &t)) return;
    s->texts[column][s->fields[column].n++] = t;
}

static bool texts_room(struct mtps_scorer *s, size_t column, size_t n)
{
    if (n <= s->max_texts[column]) return true;
    struct text *v = mem_resize(s->texts[column], 2 * n, sizeof *v);
    if (!v) return false;
    s->texts[column] = v;
    s->max_texts[column] = 2 * n;
    return true;
}

static enum status fill_field(struct mtps_scorer *s, size_t column, const struct mtps_value *v,
                              struct error *err)
{
    const struct loaded_column *c = &s->model->columns[column];
    struct text t;
    bool list = v->kind == MTPS_LIST && c->list, joined = v->kind == MTPS_LIST && !c->list && c->joint;
    size_t n = list ? v->n : 1;
    if (!texts_room(s, column, n)) return mem_error(err, "values", n * sizeof t);
    s->fields[column] = (struct raw_field){s->texts[column], 0};
    if (joined) {
        TRY(join(s, v, c, &t, err));
        put_text(s, column, t);
        return ST_OK;
    }
    for (size_t i = 0; i < n; i++) {
        TRY(scalar(s, list ? &v->u.list[i] : v, c->input, &t, err));
        put_text(s, column, t);
    }
    return ST_OK;
}

/* ---- side tables ---- */

/* Cell of a row of a side table; a row that is not there has none. */
static struct text side_text(const struct mtps_scorer *s, const struct loaded_column *c)
{
    const struct loaded_join *join = c->join;
    size_t row = s->side[join->index];
    if (row == SIZE_MAX) return (struct text){NULL, 0};
    const uint64_t *ends = join->offsets + row * join->n_cells + c->cell;
    if (ends[0] > ends[1] || ends[1] > join->n_bytes) return (struct text){NULL, 0};
    return (struct text){join->bytes + ends[0], (size_t)(ends[1] - ends[0])};
}

/* The row of each side table that the row's keys lead to. */
static enum status find_sides(struct mtps_scorer *s, const struct mtps_value *values,
                              struct error *err)
{
    const struct mtps_model *m = s->model;
    for (size_t j = 0; m->joins && j < m->settings->data.n_joins; j++) {
        const struct loaded_join *join = &m->joins[j];
        struct text t;
        s->side[j] = SIZE_MAX;
        if (!join->used) continue;
        if (join->key.join)
            t = side_text(s, &join->key);
        else
            TRY(scalar(s, &values[join->key.input], join->key.input, &t, err));
        if (is_missing(&join->key, &t)) continue;
        t = raw_text_trim(t);
        s->side[j] = lookup_find(&join->keys, hash_id(t.s, t.n));
    }
    return ST_OK;
}

static enum status fill_side(struct mtps_scorer *s, size_t column, struct error *err)
{
    if (!texts_room(s, column, 1)) return mem_error(err, "values", sizeof(struct text));
    s->fields[column] = (struct raw_field){s->texts[column], 0};
    put_text(s, column, side_text(s, &s->model->columns[column]));
    return ST_OK;
}

static enum status fill_fields(struct mtps_scorer *s, const struct mtps_value *values,
                               struct error *err)
{
    const struct mtps_model *m = s->model;
    size_t n = m->schema->plan->n_columns, bytes = NUMBER_TEXT;
    for (size_t c = 0; c < n; c++)
        if (m->columns[c].input != SIZE_MAX)
            bytes += value_bytes(&values[m->columns[c].input],
                                 m->columns[c].joint ? strlen(m->columns[c].joint) : 0);
    for (size_t j = 0; m->joins && j < m->settings->data.n_joins; j++) bytes += NUMBER_TEXT;
    /* At once: texts that stand there already must not move. */
    if (!reserve(s, bytes)) return mem_error(err, "values", bytes);
    s->n_digits = 0;
    TRY(find_sides(s, values, err));
    for (size_t c = 0; c < n; c++) {
        s->fields[c].n = 0;
        if (m->columns[c].join) TRY(fill_side(s, c, err));
        if (m->columns[c].input != SIZE_MAX)
            TRY(fill_field(s, c, &values[m->columns[c].input], err));
    }
    return ST_OK;
}

/* ---- features ---- */

static enum status add_ids(struct mtps_scorer *s, size_t feature, struct error *err)
{
    const struct schema *schema = s->model->schema;
    const struct schema_feature *f = &schema->features[feature];
    struct chunk_ids *ids = &s->ids[f->place];
    size_t n = 1;
    if (f->multi) {
        TRY(feature_ids(schema, feature, s->fields, s->scratch, &s->list, err));
        n = s->list.n;
    }
    uint64_t *keys = chunk_ids_room(ids, n);
    if (!keys) return mem_error(err, "keys", n * sizeof *keys);
    if (!f->multi) TRY(feature_id(schema, feature, s->fields, s->scratch, keys, err));
    if (f->multi && n) memcpy(keys, s->list.v, n * sizeof *keys);
    ids->n += n;
    return ST_OK;
}

static enum status add_feature(struct mtps_scorer *s, size_t feature, struct error *err)
{
    const struct schema *schema = s->model->schema;
    const struct schema_feature *f = &schema->features[feature];
    switch (schema->plan->features[feature].store) {
    case STORE_SINGLE:
    case STORE_MULTI:
        return add_ids(s, feature, err);
    case STORE_ONE_HOT: {
        uint64_t key;
        bool present;
        TRY(feature_level(schema, feature, s->fields, s->scratch, &key, &present, err));
        s->one_hot[f->place][s->n_rows] = present ? chunk_level(s->model, f->place, key) : ONE_HOT_NONE;
        return ST_OK;
    }
    case STORE_NUMBER:
        TRY(feature_numbers(schema, feature, s->fields, s->scratch, s->numbers, err));
        if (f->kind == FEATURE_ID && !chunk_ids_room(&s->ids[f->place], 1))
            return mem_error(err, "keys", sizeof(uint64_t));
        chunk_put_numbers(s, feature, s->n_rows, s->numbers);
        return ST_OK;
    }
    return ST_OK;
}

static enum status add_row(struct mtps_scorer *s, const struct mtps_value *values,
                           struct error *err)
{
    const struct mtps_model *m = s->model;
    size_t tasks = m->settings->n_tasks;
    TRY(fill_fields(s, values, err));
    for (size_t i = 0; i < m->schema->n_features; i++) TRY(add_feature(s, i, err));
    for (size_t k = 0; m->has_durations && k < tasks; k++)
        if (m->settings->tasks[k].loss == LOSS_COMPLETION)
            TRY(feature_duration(m->schema, k, s->fields, s->scratch, &s->durations[s->n_rows * tasks + k], err));
    return ST_OK;
}

static void begin_row(struct mtps_scorer *s)
{
    for (size_t i = 0; i < s->model->schema->n_ids; i++) s->ids[i].off[s->n_rows] = (uint32_t)s->ids[i].n;
}

/* A row that failed leaves nothing behind. */
static enum status end_row(struct mtps_scorer *s, enum status st)
{
    if (st == ST_OK)
        s->n_rows++;
    else
        for (size_t i = 0; i < s->model->schema->n_ids; i++) s->ids[i].n = s->ids[i].off[s->n_rows];
    return st;
}

enum status chunk_add_values(struct mtps_scorer *s, const struct mtps_value *values,
                              struct error *err)
{
    begin_row(s);
    return end_row(s, add_row(s, values, err));
}

/* ---- showing ---- */

static enum status see_feature(struct mtps_scorer *s, size_t i, chunk_see *see, void *arg, struct error *err)
{
    const struct schema *schema = s->model->schema;
    uint64_t key;
    bool present;
    switch (schema->plan->features[i].store) {
    case STORE_SINGLE:
        TRY(feature_id(schema, i, s->fields, s->scratch, &key, err));
        see(arg, i, &key, 1, NULL);
        break;
    case STORE_MULTI:
        TRY(feature_ids(schema, i, s->fields, s->scratch, &s->list, err));
        see(arg, i, s->list.v, s->list.n, NULL);
        break;
    case STORE_ONE_HOT:
        TRY(feature_level(schema, i, s->fields, s->scratch, &key, &present, err));
        see(arg, i, &key, present, NULL);
        break;
    case STORE_NUMBER:
        TRY(feature_numbers(schema, i, s->fields, s->scratch, s->numbers, err));
        see(arg, i, NULL, 0, s->numbers);
        break;
    }
    return ST_OK;
}

enum status chunk_see_values(struct mtps_scorer *s, const struct mtps_value *values, chunk_see *see,
                             void *arg, float *durations, struct error *err)
{
    const struct mtps_model *m = s->model;
    TRY(fill_fields(s, values, err));
    for (size_t i = 0; i < m->schema->n_features; i++) TRY(see_feature(s, i, see, arg, err));
    for (size_t k = 0; k < m->settings->n_tasks; k++) {
        durations[k] = 0;
        if (m->settings->tasks[k].loss == LOSS_COMPLETION)
            TRY(feature_duration(m->schema, k, s->fields, s->scratch, &durations[k], err));
    }
    return ST_OK;
}
