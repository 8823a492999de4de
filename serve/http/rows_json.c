#include "serve/http/rows_json.h"

#include <string.h>

#include "data/raw_text.h"

/* What a request is about may be named by the caller: bounded, and in plain letters. */
static enum ask_status at_input(const struct ask *a, size_t input, const struct jsonin *r, struct error *err)
{
    jsonin_error(r, err);
    error_wrap(err, ST_DATA, "%s", mtps_input(a->names->model, input)->name);
    return ASK_BAD;
}

static bool is_key(struct text key, const char *name)
{
    return raw_text_equal(key, raw_text_of(name));
}

/* Elements of the array that comes next, counted without a change. False: at a fault, which
 * is in the last one that is counted or behind it; reading comes to it and can name its row. */
static bool count_items(const struct jsonin *at, size_t *n)
{
    struct jsonin r = *at;
    jsonin_array(&r);
    for (*n = 0; jsonin_item(&r); ++*n) jsonin_skip(&r);
    return !r.why;
}

/* ---- values ---- */

static enum ask_status read_list(struct ask *a, size_t input, struct jsonin *r, struct mtps_value *out,
                                 struct error *err)
{
    size_t n, kept = 0;
    count_items(r, &n);
    ASK_TRY(ask_count(a, n, err));
    struct mtps_value *list = pad_take(a->pad, n, sizeof *list);
    if (!list) return ask_no_memory(err);
    jsonin_array(r);
    while (jsonin_item(r)) {
        if (!ask_scalar(r, &list[kept])) return at_input(a, input, r, err);
        kept += list[kept].kind != MTPS_MISSING;
    }
    if (r->why) return at_input(a, input, r, err);
    *out = mtps_list(list, kept);
    return ASK_OK;
}

static enum ask_status read_value(struct ask *a, size_t input, struct jsonin *r, struct mtps_value *out,
                                  struct error *err)
{
    if (jsonin_peek(r) == JSONIN_ARRAY) {
        if (mtps_input(a->names->model, input)->is_list) return read_list(a, input, r, out, err);
        jsonin_fault(r, "a list where one value is expected");
    }
    ASK_TRY(ask_count(a, 1, err));
    return ask_scalar(r, out) ? ASK_OK : at_input(a, input, r, err);
}

/* ---- rows ---- */

enum ask_status rows_json_row(struct ask *a, struct jsonin *r, struct mtps_value *values, struct error *err)
{
    size_t n_inputs = a->names->n_inputs, input = SIZE_MAX;
    struct text key;
    /* An input that stands twice would silently take the later value. */
    uint64_t *seen = pad_take(a->pad, n_inputs / 64 + 1, sizeof *seen);
    if (!seen) return ask_no_memory(err);
    memset(seen, 0, (n_inputs / 64 + 1) * sizeof *seen);
    jsonin_object(r);
    while (jsonin_key(r, &key)) {
        input = names_input(a->names, key, input);
        if (input == SIZE_MAX) {
            names_unknown_input(a->names, key, err);
            return ASK_BAD;
        }
        if (seen[input / 64] >> input % 64 & 1)
            return ask_bad(err, "%s: stands twice", mtps_input(a->names->model, input)->name);
        seen[input / 64] |= UINT64_C(1) << input % 64;
        ASK_TRY(read_value(a, input, r, &values[input], err));
    }
    return r->why ? ask_not_json(r, err) : ASK_OK;
}

static enum ask_status read_instances(struct ask *a, struct jsonin *r, struct error *err)
{
    size_t n;
    count_items(r, &n);
    ASK_TRY(ask_make_rows(a, n, err));
    jsonin_array(r);
    for (size_t row = 0; jsonin_item(r); row++)
        ASK_TRY(ask_at_row(rows_json_row(a, r, ask_value(a, row, 0), err), row, err));
    return r->why ? ask_not_json(r, err) : ASK_OK;
}

/* ---- columns ---- */

static enum ask_status read_column(struct ask *a, size_t input, struct jsonin *r, bool first, struct error *err)
{
    size_t n;
    bool whole = count_items(r, &n);
    if (first) ASK_TRY(ask_make_rows(a, n, err));
    if (n > a->n_rows || (whole && n != a->n_rows))
        return ask_bad(err, "%s: %zu rows, the inputs before have %zu", mtps_input(a->names->model, input)->name, n, a->n_rows);
    jsonin_array(r);
    for (size_t row = 0; jsonin_item(r); row++)
        ASK_TRY(ask_at_row(read_value(a, input, r, ask_value(a, row, input), err), row, err));
    return r->why ? at_input(a, input, r, err) : ASK_OK;
}

static enum ask_status read_columns(struct ask *a, struct jsonin *r, struct error *err)
{
    size_t input = SIZE_MAX, n = 0;
    struct text key;
    bool *seen = pad_take(a->pad, a->names->n_inputs + 1, sizeof *seen);
    if (!seen) return ask_no_memory(err);
    memset(seen, 0, a->names->n_inputs + 1);
    jsonin_object(r);
    for (; jsonin_key(r, &key); n++) {
        input = names_input(a->names, key, input);
        if (input == SIZE_MAX) {
            names_unknown_input(a->names, key, err);
            return ASK_BAD;
        }
        if (seen[input]) return ask_bad(err, "%s: stands twice", mtps_input(a->names->model, input)->name);
        seen[input] = true;
        ASK_TRY(read_column(a, input, r, !n, err));
    }
    if (r->why) return ask_not_json(r, err);
    return n ? ASK_OK : ask_bad(err, "inputs: empty, so that the number of rows is not known");
}

/* ---- the whole ---- */

enum ask_status rows_json_read(struct ask *a, const struct ask_body *body, struct error *err)
{
    struct jsonin r;
    struct text key;
    bool found = false;
    if (body->json != body->n) return ask_bad(err, "tensors behind the JSON: only infer takes them");
    jsonin_open(&r, body->bytes, body->n);
    jsonin_object(&r);
    while (jsonin_key(&r, &key)) {
        bool instances = is_key(key, "instances"), columns = is_key(key, "inputs");
        if (!instances && !columns) { /* signature_name, and what later versions add */
            jsonin_skip(&r);
            continue;
        }
        if (found) return ask_bad(err, "one of \"instances\" and \"inputs\", once, is expected");
        found = true;
        a->columns = columns;
        ASK_TRY(columns ? read_columns(a, &r, err) : read_instances(a, &r, err));
    }
    jsonin_end(&r);
    if (r.why) return ask_not_json(&r, err);
    return found ? ASK_OK : ask_bad(err, "neither \"instances\" nor \"inputs\" is given");
}

void rows_json_write(const struct ask *a, struct jsonout *out)
{
    const struct mtps_model *m = a->names->model;
    size_t tasks = a->names->n_tasks;
    jsonout_begin(out, '{');
    jsonout_key(out, a->columns ? "outputs" : "predictions");
    jsonout_begin(out, a->columns ? '{' : '[');
    for (size_t k = 0; a->columns && k < tasks; k++) {
        jsonout_key(out, mtps_task(m, k)->name);
        jsonout_begin(out, '[');
        for (size_t i = 0; i < a->n_rows; i++) jsonout_float(out, a->scores[i * tasks + k]);
        jsonout_finish(out, ']');
    }
    for (size_t i = 0; !a->columns && i < a->n_rows; i++) {
        jsonout_begin(out, '{');
        for (size_t k = 0; k < tasks; k++) {
            jsonout_key(out, mtps_task(m, k)->name);
            jsonout_float(out, a->scores[i * tasks + k]);
        }
        jsonout_finish(out, '}');
    }
    jsonout_finish(out, a->columns ? '}' : ']');
    jsonout_finish(out, '}');
}
