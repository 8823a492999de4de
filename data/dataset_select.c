#include <math.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "data/dataset_impl.h"

/* An expression over kept columns, as a truth or as an id per row. */
struct rule {
    struct expr *expr;
    struct kept *kept;     /* [n] */
    struct value **values; /* [n][texts] typed once per text; NULL entries: AUX_NUMBER */
    struct value *inputs;
    size_t n;
    struct expr_scratch *scratch;
    int8_t *known; /* one text column: truth per code and one for missing; 0 = not yet */
    const char *what;
};

static void rule_close(struct rule *r)
{
    for (size_t i = 0; r->kept && i < r->n; i++) kept_close(&r->kept[i]);
    for (size_t i = 0; r->values && i < r->n; i++) mem_free(r->values[i]);
    mem_free(r->kept);
    mem_free(r->values);
    mem_free(r->inputs);
    mem_free(r->known);
    expr_scratch_destroy(r->scratch);
    expr_destroy(r->expr);
    *r = (struct rule){0};
}

/* Values of a column's texts, as the expression reads them. A bare column is a
 * number where its text is one. */
static enum status type_texts(struct rule *r, size_t i, struct error *err)
{
    const struct kept *k = &r->kept[i];
    bool text_use = expr_column_is_string(r->expr, i) && !expr_is_column(r->expr);
    r->values[i] = mem_array(k->n + 1, sizeof *r->values[i]);
    if (!r->values[i])
        return mem_error(err, "texts of a selection", k->n * sizeof(struct value));
    for (uint32_t c = 0; c < k->n; c++) {
        struct value *v = &r->values[i][c];
        struct text t = kept_text(k, c);
        if (text_use || !text_number(t, v))
            *v = (struct value){.kind = VALUE_STRING, .s = t};
    }
    return ST_OK;
}

static enum status find_columns(struct rule *r, const struct prepared *p,
                                struct error *err)
{
    for (size_t i = 0; i < r->n; i++) {
        const char *name = expr_column(r->expr, i);
        size_t column = prepared_kept(p, name);
        if (column == SIZE_MAX)
            return error_set(err, ST_USAGE, "%s: column \"%s\" is not in the data",
                             r->what, name);
        TRY(kept_open(p, column, &r->kept[i], err));
        if (p->kept[column].kind == AUX_TEXT) TRY(type_texts(r, i, err));
    }
    return ST_OK;
}

static enum status rule_open(const struct dataset *d, const struct text_cfg *text,
                             const char *what, struct rule *r, struct error *err)
{
    const struct prepared *p = d->file;
    *r = (struct rule){.what = what};
    TRY(expr_parse(text, p->kept_names, p->n_kept, &r->expr, err));
    r->n = expr_n_columns(r->expr);
    r->kept = mem_zeroed(r->n, sizeof *r->kept);
    r->values = mem_zeroed(r->n, sizeof *r->values);
    r->inputs = mem_zeroed(r->n, sizeof *r->inputs);
    if (!r->kept || !r->values || !r->inputs) return mem_error(err, "selection", r->n);
    TRY(expr_scratch_create(&r->scratch, err));
    TRY(find_columns(r, p, err));
    if (r->n == 1 && r->values[0]) {
        r->known = mem_zeroed(r->kept[0].n + 1, 1);
        if (!r->known) return mem_error(err, "selection", r->kept[0].n);
    }
    return ST_OK;
}

/* Whole doubles are integers again, as they were in the text. */
static struct value number_value(double v)
{
    if (isnan(v)) return (struct value){.kind = VALUE_MISSING};
    if (fabs(v) < 0x1p53 && v == (double)(int64_t)v)
        return (struct value){.kind = VALUE_INT, .i = (int64_t)v};
    return (struct value){.kind = VALUE_FLOAT, .f = v};
}

static enum status rule_value(struct rule *r, const struct block *b, size_t i,
                              struct value *out, struct error *err)
{
    for (size_t c = 0; c < r->n; c++) {
        const struct kept *k = &r->kept[c];
        if (!r->values[c]) {
            r->inputs[c] = number_value(kept_number(k, b, i));
            continue;
        }
        uint32_t code = kept_code(k, b, i);
        r->inputs[c] = code == KEPT_MISSING ? (struct value){.kind = VALUE_MISSING}
                                            : r->values[c][code];
    }
    if (expr_is_column(r->expr)) {
        *out = r->inputs[0];
        return ST_OK;
    }
    enum status st = expr_eval_values(r->expr, r->inputs, r->scratch, out, err);
    return st == ST_OK ? st : error_wrap(err, st, "%s", r->what);
}

static enum status rule_truth(struct rule *r, const struct block *b, size_t i,
                              bool *truth, struct error *err)
{
    struct value v;
    if (!r->known) {
        TRY(rule_value(r, b, i, &v, err));
        *truth = value_is_true(&v);
        return ST_OK;
    }
    uint32_t code = kept_code(&r->kept[0], b, i);
    int8_t *known = &r->known[code == KEPT_MISSING ? r->kept[0].n : code];
    if (!*known) {
        TRY(rule_value(r, b, i, &v, err));
        *known = value_is_true(&v) ? 1 : -1;
    }
    *truth = *known > 0;
    return ST_OK;
}

/* ---- which rows ---- */

struct selection {
    struct rule where, valid, by;
    bool has_where, has_valid, has_by;
    double fraction;
    struct rng rng;
    bool want_valid; /* USE_VALID: only the validation part; else: all but it */
};

static enum status is_valid(struct selection *s, const struct block *b, size_t i,
                            uint64_t row, bool *valid, struct error *err)
{
    if (s->has_valid) return rule_truth(&s->valid, b, i, valid, err);
    uint64_t index = row;
    if (s->has_by) {
        struct value v;
        struct text t = {"missing", 7};
        char buf[64];
        uint32_t code = s->by.values[0] && expr_is_column(s->by.expr)
                            ? kept_code(&s->by.kept[0], b, i)
                            : KEPT_MISSING;
        if (code != KEPT_MISSING) {
            t = kept_text(&s->by.kept[0], code); /* the text itself, not its number */
        } else {
            TRY(rule_value(&s->by, b, i, &v, err));
            if (v.kind != VALUE_MISSING) t = value_id_text(&v, buf);
        }
        index = hash_id(t.s, t.n);
    }
    *valid = rng_uniform(&s->rng, index, 0) < s->fraction;
    return ST_OK;
}

static enum status is_selected(struct selection *s, const struct block *b, size_t i,
                               uint64_t row, bool *out, struct error *err)
{
    *out = true;
    if (s->has_where) TRY(rule_truth(&s->where, b, i, out, err));
    if (!*out || (!s->has_valid && s->fraction <= 0)) return ST_OK;
    bool valid;
    TRY(is_valid(s, b, i, row, &valid, err));
    *out = valid == s->want_valid;
    return ST_OK;
}

static enum status selection_open(const struct dataset *d, struct selection *s,
                                  struct error *err)
{
    const struct settings *settings = d->schema->settings;
    const struct valid_cfg *v = &settings->data.valid;
    bool part =
        (d->use == USE_TRAIN || d->use == USE_VALID) && v->given && !v->source.files.n;
    *s = (struct selection){.want_valid = d->use == USE_VALID,
                            .rng = rng_make(settings->seed, RNG_VALID, 0)};
    if (d->source->where.text) {
        TRY(rule_open(d, &d->source->where, "where", &s->where, err));
        s->has_where = true;
    }
    if (!part) return ST_OK;
    if (v->where.text) {
        s->has_valid = true;
        return rule_open(d, &v->where, "valid.where", &s->valid, err);
    }
    s->fraction = v->fraction;
    if (!v->by.text) return ST_OK;
    s->has_by = true;
    return rule_open(d, &v->by, "valid.by", &s->by, err);
}

static enum status select_block(struct dataset *d, struct selection *s, struct block *b,
                                uint64_t index, struct error *err)
{
    TRY(block_file_read(d->file->rows_file, index, b, err));
    for (size_t i = 0; i < b->n; i++) {
        uint64_t row = index * BLOCK_ROWS + i;
        bool selected;
        TRY(is_selected(s, b, i, row, &selected, err));
        if (selected) d->selected[row / 64] |= UINT64_C(1) << row % 64;
    }
    return ST_OK;
}

enum status dataset_select(struct dataset *d, struct error *err)
{
    struct selection s;
    struct block *b = NULL;
    enum status st = selection_open(d, &s, err);
    if (st == ST_OK) st = kept_block(d->file, &b, err);
    for (uint64_t i = 0; i < d->file->n_blocks && st == ST_OK; i++)
        st = select_block(d, &s, b, i, err);
    block_destroy(b);
    rule_close(&s.where);
    rule_close(&s.valid);
    rule_close(&s.by);
    return st;
}
