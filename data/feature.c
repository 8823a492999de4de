#include "data/feature.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/math/target.h"

enum { ID_TEXT = 64 };

enum status feature_scratch_create(const struct schema *s, struct feature_scratch **out,
                                   struct error *err)
{
    struct feature_scratch *x = mem_zeroed(1, sizeof *x);
    if (!x) return mem_error(err, "feature scratch", sizeof *x);
    x->bad_column = SIZE_MAX;
    x->inputs = mem_array(s->plan->n_columns + 1, sizeof *x->inputs);
    enum status st = x->inputs ? expr_scratch_create(&x->expr, err)
                               : mem_error(err, "feature scratch", s->plan->n_columns);
    if (st == ST_OK)
        *out = x;
    else
        feature_scratch_destroy(x);
    return st;
}

void feature_scratch_destroy(struct feature_scratch *x)
{
    if (!x) return;
    expr_scratch_destroy(x->expr);
    mem_free(x->inputs);
    mem_free(x->pieces);
    mem_free(x);
}

uint64_t feature_missing_key(void)
{
    return hash_id("missing", 7);
}

uint64_t feature_bucket_key(size_t bucket)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%zu", bucket);
    return hash_id(text, (size_t)n);
}

/* ---- values of columns and expressions ---- */

static struct text first_text(const struct raw_field *f)
{
    return f->n ? f->v[0] : (struct text){NULL, 0};
}

/* The column that kept an expression from its value. */
static size_t not_a_number(const struct schema_expr *e, const struct feature_scratch *x)
{
    struct value v;
    for (size_t i = 0; i < e->n; i++)
        if (x->inputs[i].s && !expr_column_is_string(e->expr, i) &&
            !text_number(x->inputs[i], &v))
            return e->inputs[i];
    return SIZE_MAX;
}

static enum status evaluate(const struct schema_expr *e, const struct raw_field *fields,
                            struct feature_scratch *x, struct value *out,
                            struct error *err)
{
    for (size_t i = 0; i < e->n; i++) x->inputs[i] = first_text(&fields[e->inputs[i]]);
    enum status st = expr_eval(e->expr, x->inputs, x->expr, out, err);
    if (st == ST_DATA) x->bad_column = not_a_number(e, x);
    return st;
}

static enum status bad(struct feature_scratch *x, size_t column, struct error *err,
                       const char *what, const char *name)
{
    x->bad_column = column;
    return error_set(err, ST_DATA, "%s: %s", name, what);
}

/* Text of a single-valued feature; s == NULL: missing. buf: ID_TEXT bytes. */
static enum status feature_text(const struct schema *s, size_t feature,
                                const struct raw_field *fields, struct feature_scratch *x,
                                char *buf, struct text *out, struct error *err)
{
    const struct feature_plan *p = &s->plan->features[feature];
    if (p->from == FROM_COLUMN) {
        *out = first_text(&fields[p->column]);
        return ST_OK;
    }
    struct value v;
    TRY(evaluate(&p->expr, fields, x, &v, err));
    *out = v.kind == VALUE_MISSING ? (struct text){NULL, 0} : value_id_text(&v, buf);
    return ST_OK;
}

static size_t column_at_fault(const struct feature_plan *p)
{
    if (p->from == FROM_COLUMN) return p->column;
    return p->expr.n == 1 ? p->expr.inputs[0] : SIZE_MAX;
}

/* ---- ids ---- */

static bool parse_u64(struct text t, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < t.n; i++) {
        unsigned digit = (unsigned)(unsigned char)t.s[i] - '0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10) return false;
        v = 10 * v + digit;
    }
    *out = v;
    return t.n > 0;
}

static enum status text_key(const struct schema *s, size_t feature, struct text t,
                            struct feature_scratch *x, uint64_t *key, struct error *err)
{
    const struct schema_feature *f = &s->features[feature];
    if (f->cfg->key == KEY_HASH) {
        *key = hash_id(t.s, t.n);
        return ST_OK;
    }
    if (parse_u64(t, key)) return ST_OK;
    return bad(x, column_at_fault(&s->plan->features[feature]), err,
               "not a whole number from 0 to 2^64 - 1", f->name);
}

enum status feature_id(const struct schema *s, size_t feature,
                       const struct raw_field *fields, struct feature_scratch *x,
                       uint64_t *key, struct error *err)
{
    const struct feature_plan *p = &s->plan->features[feature];
    if (p->from == FROM_CROSS) {
        uint64_t a, b;
        TRY(feature_id(s, p->cross[0], fields, x, &a, err));
        TRY(feature_id(s, p->cross[1], fields, x, &b, err));
        *key = hash_pair(a, b);
        return ST_OK;
    }
    char buf[ID_TEXT];
    struct text t;
    TRY(feature_text(s, feature, fields, x, buf, &t, err));
    if (t.s) return text_key(s, feature, t, x, key, err);
    *key = feature_missing_key();
    return ST_OK;
}

enum status feature_level(const struct schema *s, size_t feature,
                          const struct raw_field *fields, struct feature_scratch *x,
                          uint64_t *key, bool *present, struct error *err)
{
    char buf[ID_TEXT];
    struct text t;
    TRY(feature_text(s, feature, fields, x, buf, &t, err));
    *present = t.s != NULL;
    *key = t.s ? hash_id(t.s, t.n) : 0;
    return ST_OK;
}

/* ---- lists of ids ---- */

static bool add_piece(struct feature_scratch *x, size_t *n, struct text piece)
{
    if (!piece.n) return true; /* nothing between two separators is no item */
    if (*n == x->max_pieces) {
        size_t max = 2 * x->max_pieces + 64;
        struct text *p = mem_resize(x->pieces, max, sizeof *p);
        if (!p) return false;
        x->pieces = p;
        x->max_pieces = max;
    }
    x->pieces[(*n)++] = piece;
    return true;
}

static bool cut(struct feature_scratch *x, struct text t, const char *separator,
                size_t *n)
{
    size_t width = strlen(separator);
    const char *end = t.s + t.n;
    while (t.s < end) {
        size_t left = (size_t)(end - t.s);
        const char *hit = memmem(t.s, left, separator, width);
        size_t piece = hit ? (size_t)(hit - t.s) : left;
        if (!add_piece(x, n, (struct text){t.s, piece})) return false;
        t.s += piece + (hit ? width : 0);
    }
    return true;
}

/* The feature's items in x->pieces, all of them. */
static enum status list_pieces(const struct schema *s, size_t feature,
                               const struct raw_field *fields, struct feature_scratch *x,
                               char *buf, size_t *n, struct error *err)
{
    const struct feature_plan *p = &s->plan->features[feature];
    const char *split = s->features[feature].cfg->split;
    *n = 0;
    bool ok = true;
    if (p->from == FROM_COLUMN) {
        const struct raw_field *f = &fields[p->column];
        for (size_t i = 0; ok && i < f->n; i++)
            ok = split ? cut(x, f->v[i], split, n) : add_piece(x, n, f->v[i]);
    } else {
        struct text t;
        TRY(feature_text(s, feature, fields, x, buf, &t, err));
        if (t.s) ok = split ? cut(x, t, split, n) : add_piece(x, n, t);
    }
    return ok ? ST_OK : mem_error(err, "items of a list", *n * sizeof(struct text));
}

/* The kept end of a list. */
static const struct text *kept_pieces(const struct feature_cfg *c,
                                      const struct feature_scratch *x, size_t *n)
{
    const struct text *first = x->pieces;
    if (!c->max_len || *n <= c->max_len) return first;
    if (c->keep == KEEP_LAST) first += *n - c->max_len;
    *n = c->max_len;
    return first;
}

enum status feature_ids(const struct schema *s, size_t feature,
                        const struct raw_field *fields, struct feature_scratch *x,
                        struct feature_keys *out, struct error *err)
{
    const struct feature_cfg *c = s->features[feature].cfg;
    char buf[ID_TEXT];
    size_t n;
    TRY(list_pieces(s, feature, fields, x, buf, &n, err));
    const struct text *pieces = kept_pieces(c, x, &n);
    out->n = 0;
    if (n > out->max) {
        uint64_t *v = mem_resize(out->v, 2 * n, sizeof *v);
        if (!v) return mem_error(err, "items of a list", 2 * n * sizeof *v);
        out->v = v;
        out->max = 2 * n;
    }
    for (size_t i = 0; i < n; i++)
        TRY(text_key(s, feature, pieces[i], x, &out->v[i], err));
    out->n = n;
    return ST_OK;
}

/* ---- showing ---- */

static enum status single_text(const struct schema *s, size_t feature,
                               const struct raw_field *fields, struct feature_scratch *x,
                               char *buf, size_t *n, struct error *err)
{
    struct text t;
    TRY(feature_text(s, feature, fields, x, buf, &t, err));
    if (t.s && !t.n) t.s = NULL;
    if (t.s && s->plan->features[feature].from == FROM_EXPR && t.s != buf) {
        /* The next evaluation may overwrite it. */
        if (t.n > ID_TEXT) t.n = ID_TEXT;
        memcpy(buf, t.s, t.n);
        t.s = buf;
    }
    return !t.s || add_piece(x, n, t) ? ST_OK : mem_error(err, "texts", sizeof t);
}

enum status feature_texts(const struct schema *s, size_t feature,
                          const struct raw_field *fields, struct feature_scratch *x,
                          char *buf, const struct text **out, size_t *n,
                          struct error *err)
{
    const struct feature_plan *p = &s->plan->features[feature];
    *n = 0;
    if (p->store == STORE_MULTI)
        TRY(list_pieces(s, feature, fields, x, buf, n, err));
    else if (p->from != FROM_CROSS)
        TRY(single_text(s, feature, fields, x, buf, n, err));
    else
        for (size_t i = 0; i < 2; i++)
            TRY(single_text(s, p->cross[i], fields, x, buf + i * ID_TEXT, n, err));
    *out = kept_pieces(s->features[feature].cfg, x, n);
    return ST_OK;
}

/* ---- numbers ---- */

static enum status text_float(struct text t, size_t column, const char *name,
                              struct feature_scratch *x, float *out, struct error *err)
{
    struct value v;
    double d;
    if (!text_number(t, &v) || !value_number(&v, &d))
        return bad(x, column, err, "not a number", name);
    *out = (float)d;
    return isfinite(*out) ? ST_OK : bad(x, column, err, "number out of range", name);
}

static enum status value_float(const struct value *v, const char *name,
                               struct feature_scratch *x, float *out, struct error *err)
{
    double d;
    if (v->kind == VALUE_STRING) return text_float(v->s, SIZE_MAX, name, x, out, err);
    if (!value_number(v, &d)) {
        *out = NAN;
        return ST_OK;
    }
    *out = (float)d;
    return isfinite(*out) ? ST_OK : bad(x, SIZE_MAX, err, "number out of range", name);
}

enum status feature_numbers(const struct schema *s, size_t feature,
                            const struct raw_field *fields, struct feature_scratch *x,
                            float *out, struct error *err)
{
    const struct feature_plan *p = &s->plan->features[feature];
    const char *name = s->features[feature].name;
    if (p->from == FROM_EXPR) {
        struct value v;
        TRY(evaluate(&p->expr, fields, x, &v, err));
        return value_float(&v, name, x, out, err);
    }
    const struct raw_field *f = &fields[p->column];
    if (f->n && f->n != p->width) {
        x->bad_column = p->column;
        return error_set(err, ST_DATA, "%s: %zu numbers where %zu are expected", name,
                         f->n, p->width);
    }
    for (size_t i = 0; i < p->width; i++) {
        out[i] = NAN;
        if (f->n) TRY(text_float(f->v[i], p->column, name, x, &out[i], err));
    }
    return ST_OK;
}

/* ---- labels ---- */

/* An expression as a number; NaN when missing. A bare column is a number here. */
static enum status expr_float(const struct schema_expr *e, const struct raw_field *fields,
                              const char *name, struct feature_scratch *x, float *out,
                              struct error *err)
{
    if (expr_is_column(e->expr)) {
        struct text t = first_text(&fields[e->inputs[0]]);
        *out = NAN;
        return t.s ? text_float(t, e->inputs[0], name, x, out, err) : ST_OK;
    }
    struct value v;
    TRY(evaluate(e, fields, x, &v, err));
    return value_float(&v, name, x, out, err);
}

static enum status is_present(const struct schema_expr *e, const struct raw_field *fields,
                              struct feature_scratch *x, bool *present, struct error *err)
{
    *present = true;
    if (!e->expr) return ST_OK;
    struct value v;
    if (expr_is_column(e->expr)) {
        /* The text "0" of a column is the number 0 here. */
        struct text t = first_text(&fields[e->inputs[0]]);
        if (!t.s)
            v = (struct value){.kind = VALUE_MISSING};
        else if (!text_number(t, &v))
            v = (struct value){.kind = VALUE_STRING, .s = t};
    } else {
        TRY(evaluate(e, fields, x, &v, err));
    }
    *present = value_is_true(&v);
    return ST_OK;
}

enum status feature_duration(const struct schema *s, size_t task,
                             const struct raw_field *fields, struct feature_scratch *x,
                             float *duration, struct error *err)
{
    const struct schema_expr *e = &s->plan->tasks[task].duration;
    const char *name = expr_is_column(e->expr) ? s->plan->columns[e->inputs[0]].name
                                               : s->settings->tasks[task].name;
    *duration = 0;
    TRY(expr_float(e, fields, name, x, duration, err));
    if (!(*duration > 0)) *duration = 0;
    return ST_OK;
}

/* Labels of times are at least 0; a completion is no label without a duration. */
static enum status check_time(const struct schema *s, size_t task,
                              const struct raw_field *fields, struct feature_scratch *x,
                              float *y, struct error *err)
{
    const struct task_cfg *t = &s->settings->tasks[task];
    const struct task_plan *p = &s->plan->tasks[task];
    if (*y < 0)
        return bad(x, p->label.n == 1 ? p->label.inputs[0] : SIZE_MAX, err,
                   "label below 0", t->name);
    if (!p->duration.expr) return ST_OK;
    float d;
    TRY(feature_duration(s, task, fields, x, &d, err));
    if (d == 0) *y = NAN;
    return ST_OK;
}

static enum status label_and_weight(const struct schema *s, size_t task,
                                    const struct raw_field *fields,
                                    struct feature_scratch *x, float *label,
                                    float *weight, struct error *err)
{
    const struct task_cfg *t = &s->settings->tasks[task];
    const struct task_plan *p = &s->plan->tasks[task];
    *label = NAN;
    *weight = 0;
    bool present;
    if (!p->label.expr) return ST_OK;
    TRY(is_present(&p->present, fields, x, &present, err));
    if (!present) return ST_OK;
    float y, w = 1;
    TRY(expr_float(&p->label, fields, t->name, x, &y, err));
    if (isnan(y)) return ST_OK;
    if (t->loss == LOSS_BCE && (y < 0 || y > 1))
        return bad(x, p->label.n == 1 ? p->label.inputs[0] : SIZE_MAX, err,
                   "label outside of [0, 1]", t->name);
    if (target_is_time(t->loss)) TRY(check_time(s, task, fields, x, &y, err));
    if (isnan(y)) return ST_OK;
    if (p->weight.expr) TRY(expr_float(&p->weight, fields, t->name, x, &w, err));
    if (isnan(w)) return ST_OK;
    if (w < 0)
        return bad(x, p->weight.n == 1 ? p->weight.inputs[0] : SIZE_MAX, err,
                   "negative row_weight", t->name);
    *label = y;
    *weight = w;
    return ST_OK;
}

enum status feature_label(const struct schema *s, size_t task,
                          const struct raw_field *fields, struct feature_scratch *x,
                          float *label, float *weight, struct error *err)
{
    enum status st = label_and_weight(s, task, fields, x, label, weight, err);
    if (st != ST_DATA || !s->plan->labels_optional) return st;
    /* A row to be scored needs no label. */
    *label = NAN;
    *weight = 0;
    return ST_OK;
}
