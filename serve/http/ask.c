#include "serve/http/ask.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum ask_status ask_bad(struct error *err, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    error_set(err, ST_DATA, "%s", text);
    return ASK_BAD;
}

enum ask_status ask_too_many(struct error *err, const char *what, size_t most)
{
    error_set(err, ST_DATA, "more than %zu %s in a request", most, what);
    return ASK_TOO_LARGE;
}

enum ask_status ask_no_memory(struct error *err)
{
    error_set(err, ST_NOMEM, "the requests of this moment take all memory that requests may take");
    return ASK_NO_MEMORY;
}

enum ask_status ask_not_json(const struct jsonin *r, struct error *err)
{
    jsonin_error(r, err);
    return ASK_BAD;
}

enum ask_status ask_at_row(enum ask_status st, size_t row, struct error *err)
{
    if (st == ASK_BAD) error_wrap(err, ST_DATA, "row %zu", row);
    return st;
}

enum ask_status ask_make_rows(struct ask *a, size_t n_rows, struct error *err)
{
    if (n_rows > a->limits->rows) return ask_too_many(err, "rows", a->limits->rows);
    a->n_rows = n_rows;
    size_t n = n_rows * a->names->n_inputs;
    a->values = pad_take(a->pad, n + 1, sizeof *a->values);
    a->scores = pad_take(a->pad, n_rows * a->names->n_tasks + 1, sizeof *a->scores);
    if (!a->values || !a->scores) return ask_no_memory(err);
    memset(a->values, 0, n * sizeof *a->values);
    return ASK_OK;
}

enum ask_status ask_count(struct ask *a, size_t n, struct error *err)
{
    if (n > a->limits->ids - a->n_values) return ask_too_many(err, "values", a->limits->ids);
    a->n_values += n;
    return ASK_OK;
}

bool ask_scalar(struct jsonin *r, struct mtps_value *out)
{
    struct jsonin_number number;
    struct text t;
    bool yes;
    switch (jsonin_peek(r)) {
    case JSONIN_NULL:
        *out = (struct mtps_value){.kind = MTPS_MISSING};
        return jsonin_null(r);
    case JSONIN_BOOL:
        if (!jsonin_bool(r, &yes)) return false;
        *out = mtps_integer(yes);
        return true;
    case JSONIN_NUMBER:
        if (!jsonin_number(r, &number)) return false;
        if (!number.whole)
            *out = mtps_real(number.real);
        else if (number.fits)
            *out = mtps_integer(number.integer);
        else
            *out = (struct mtps_value){.kind = MTPS_TEXT, .n = number.digits.n, .u.text = number.digits.s};
        return true;
    case JSONIN_NOTHING:
        return jsonin_skip(r); /* says what is wrong */
    case JSONIN_ARRAY:
    case JSONIN_OBJECT:
        return jsonin_fault(r, "a text, a number, true, false or null is expected");
    default:
        if (!jsonin_string(r, &t)) return false;
        *out = (struct mtps_value){.kind = MTPS_TEXT, .n = t.n, .u.text = t.s};
        return true;
    }
}
