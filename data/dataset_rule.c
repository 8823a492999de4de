#include "data/dataset_rule.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"

void rule_close(struct rule *r)
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

enum status rule_open(const struct dataset *d, const struct text_cfg *text,
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

enum status rule_truth(struct rule *r, const struct block *b, size_t i,
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

enum status rule_text(struct rule *r, const struct block *b, size_t i, struct text *out,
                      struct error *err)
{
    *out = (struct text){"missing", 7};
    if (r->n == 1 && r->values[0] && expr_is_column(r->expr)) {
        uint32_t code = kept_code(&r->kept[0], b, i);
        if (code != KEPT_MISSING) *out = kept_text(&r->kept[0], code); /* not its number */
        return ST_OK;
    }
    struct value v;
    TRY(rule_value(r, b, i, &v, err));
    if (v.kind != VALUE_MISSING) *out = value_id_text(&v, r->buf);
    return ST_OK;
}

/* ---- by row number ---- */

struct row_values {
    const struct dataset *data;
    struct rule rule;
    struct block *block;
    uint64_t loaded; /* number of the block that is read */
};

enum status row_values_open(const struct dataset *d, const struct text_cfg *text,
                            const char *what, struct row_values **out, struct error *err)
{
    struct row_values *v = mem_zeroed(1, sizeof *v);
    if (!v) return mem_error(err, what, sizeof *v);
    v->data = d;
    v->loaded = UINT64_MAX;
    enum status st = rule_open(d, text, what, &v->rule, err);
    if (st == ST_OK) st = kept_block(d->file, &v->block, err);
    if (st != ST_OK) {
        row_values_close(v);
        return st;
    }
    *out = v;
    return ST_OK;
}

void row_values_close(struct row_values *v)
{
    if (!v) return;
    block_destroy(v->block);
    rule_close(&v->rule);
    mem_free(v);
}

enum status row_values_text(struct row_values *v, uint64_t row, struct text *out,
                            struct error *err)
{
    uint64_t block = row / BLOCK_ROWS;
    if (block != v->loaded) {
        v->loaded = UINT64_MAX;
        TRY(block_file_read(v->data->file->rows_file, block, v->block, err));
        v->loaded = block;
    }
    return rule_text(&v->rule, v->block, row % BLOCK_ROWS, out, err);
}
