#include "serve/http/kserve.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "data/raw_text.h"
#include "serve/http/tensor.h"

static const char lengths_end[] = ".lengths";

/* The tensors of an input. */
struct column {
    struct tensor *values, *lengths;
};

struct reading {
    struct ask *a;
    struct tensor *tensors;
    size_t n, max;
    struct column *columns; /* [n_inputs] */
    bool binary_outputs;    /* unless an output says otherwise */
    bool has_inputs, has_outputs;
};

static bool is_key(struct text key, const char *name)
{
    return raw_text_equal(key, raw_text_of(name));
}

static bool flag(struct jsonin *r, const char *name, bool *out)
{
    struct text key;
    jsonin_object(r);
    while (jsonin_key(r, &key))
        if (is_key(key, name))
            jsonin_bool(r, out);
        else
            jsonin_skip(r);
    return !r->why;
}

/* ---- the members of a request ---- */

static enum ask_status read_inputs(struct reading *in, struct jsonin *r, struct error *err)
{
    if (in->has_inputs) return ask_bad(err, "\"inputs\" stands twice");
    in->has_inputs = true;
    jsonin_array(r);
    while (jsonin_item(r)) {
        if (in->n == in->max) return ask_bad(err, "more tensors than the model has inputs");
        ASK_TRY(tensor_read_head(r, &in->tensors[in->n], err));
        in->n++;
    }
    return r->why ? ask_not_json(r, err) : ASK_OK;
}

static enum ask_status read_output(struct reading *in, struct jsonin *r, struct error *err)
{
    struct ask *a = in->a;
    struct text key, name = {NULL, 0};
    signed char binary = -1; /* as the request says */
    jsonin_object(r);
    while (jsonin_key(r, &key)) {
        bool yes = binary == 1;
        if (is_key(key, "name")) {
            jsonin_string(r, &name);
        } else if (is_key(key, "parameters")) {
            if (flag(r, "binary_data", &yes)) binary = yes;
        } else {
            jsonin_skip(r);
        }
    }
    if (r->why) return ask_not_json(r, err);
    size_t task = name.s ? names_task(a->names, name) : SIZE_MAX;
    char shown[128];
    raw_text_print(name, 64, shown, sizeof shown);
    if (task == SIZE_MAX) return ask_bad(err, "outputs: %s: the model has no such output", name.s ? shown : "an output without a name");
    for (size_t i = 0; i < a->n_outputs; i++)
        if (a->outputs[i] == task) return ask_bad(err, "outputs: %s: stands twice", shown);
    a->outputs[a->n_outputs] = task;
    a->binary[a->n_outputs++] = binary;
    return ASK_OK;
}

static enum ask_status read_outputs(struct reading *in, struct jsonin *r, struct error *err)
{
    if (in->has_outputs) return ask_bad(err, "\"outputs\" stands twice");
    in->has_outputs = true;
    jsonin_array(r);
    while (jsonin_item(r)) ASK_TRY(read_output(in, r, err));
    return r->why ? ask_not_json(r, err) : ASK_OK;
}

static enum ask_status read_members(struct reading *in, struct jsonin *r, struct error *err)
{
    struct ask *a = in->a;
    struct text key;
    jsonin_object(r);
    while (jsonin_key(r, &key)) {
        if (is_key(key, "inputs")) {
            ASK_TRY(read_inputs(in, r, err));
        } else if (is_key(key, "outputs")) {
            ASK_TRY(read_outputs(in, r, err));
        } else if (is_key(key, "id")) {
            a->has_id = jsonin_string(r, &a->id);
        } else if (is_key(key, "parameters")) {
            flag(r, "binary_data_output", &in->binary_outputs);
        } else {
            jsonin_skip(r);
        }
    }
    jsonin_end(r);
    if (r->why) return ask_not_json(r, err);
    return in->n ? ASK_OK : ask_bad(err, "inputs: none is given, so that the number of rows is not known");
}

/* Without "outputs": all of them. */
static void choose_outputs(struct reading *in)
{
    struct ask *a = in->a;
    if (a->n_outputs) {
        for (size_t i = 0; i < a->n_outputs; i++) if (a->binary[i] < 0) a->binary[i] = in->binary_outputs;
        return;
    }
    for (size_t k = 0; k < a->names->n_tasks; k++) {
        a->outputs[k] = k;
        a->binary[k] = in->binary_outputs;
    }
    a->n_outputs = a->names->n_tasks;
}

/* ---- tensors to inputs ---- */

/* Tensors as bytes stand behind the JSON in their order. */
static enum ask_status place_bytes(struct reading *in, const struct ask_body *body, struct error *err)
{
    size_t at = body->json;
    for (size_t i = 0; i < in->n; i++) {
        struct tensor *t = &in->tensors[i];
        if (!t->is_binary) continue;
        if (t->n_bytes > body->n - at) return tensor_bad(t, err, "the body ends inside of its bytes");
        t->bytes = (const unsigned char *)body->bytes + at;
        at += t->n_bytes;
    }
    return at == body->n ? ASK_OK : ask_bad(err, "%zu bytes behind the last tensor", body->n - at);
}

static size_t input_of_lengths(const struct names *names, struct text name, size_t after)
{
    size_t n = sizeof lengths_end - 1;
    if (name.n <= n || memcmp(name.s + name.n - n, lengths_end, n) != 0) return SIZE_MAX;
    return names_input(names, (struct text){name.s, name.n - n}, after);
}

static enum ask_status place_tensors(struct reading *in, struct error *err)
{
    const struct names *names = in->a->names;
    size_t last = SIZE_MAX;
    for (size_t i = 0; i < in->n; i++) {
        struct tensor *t = &in->tensors[i];
        size_t input = names_input(names, t->name, last);
        bool lengths = input == SIZE_MAX;
        if (lengths) input = input_of_lengths(names, t->name, last - 1);
        if (input == SIZE_MAX) {
            names_unknown_input(names, t->name, err);
            return ASK_BAD;
        }
        struct tensor **to = lengths ? &in->columns[input].lengths : &in->columns[input].values;
        if (*to) return tensor_bad(t, err, "stands twice");
        *to = t;
        last = input;
    }
    return ASK_OK;
}

static enum ask_status check_column(const struct reading *in, size_t input, struct error *err)
{
    const struct column *c = &in->columns[input];
    const struct tensor *t = c->values ? c->values : c->lengths;
    if (!t) return ASK_OK;
    if (!c->values) return tensor_bad(t, err, "lengths of an input that is not given");
    if (c->lengths) {
        if (!tensor_is_whole(c->lengths)) return tensor_bad(c->lengths, err, "lengths are integers");
        if (c->lengths->shape[1] != 1 || t->shape[1] != 1)
            return tensor_bad(c->lengths, err, "lengths and their values have one dimension");
    } else if (t->shape[1] != 1 && !mtps_input(in->a->names->model, input)->is_list) {
        return tensor_bad(t, err, "%zu values a row where one is expected", t->shape[1]);
    }
    return ASK_OK;
}

static enum ask_status count_rows(struct reading *in, struct error *err)
{
    size_t rows = SIZE_MAX;
    for (size_t i = 0; i < in->a->names->n_inputs; i++) {
        ASK_TRY(check_column(in, i, err));
        const struct column *c = &in->columns[i];
        if (!c->values) continue;
        const struct tensor *t = c->lengths ? c->lengths : c->values;
        if (rows == SIZE_MAX) rows = t->shape[0];
        if (t->shape[0] != rows) return tensor_bad(t, err, "%zu rows, the inputs before have %zu", t->shape[0], rows);
        ASK_TRY(ask_count(in->a, c->values->count, err));
    }
    return ask_make_rows(in->a, rows, err);
}

/* ---- values ---- */

static bool is_padding(const struct mtps_value *v)
{
    return v->kind == MTPS_MISSING || (v->kind == MTPS_INTEGER && v->u.integer == -1);
}

/* shape [n], or [n, 1] of a single value: an element a row. */
static enum ask_status fill_single(struct reading *in, size_t input, struct tensor *t, struct error *err)
{
    for (size_t row = 0; row < in->a->n_rows; row++)
        ASK_TRY(ask_at_row(tensor_next(t, ask_value(in->a, row, input), err), row, err));
    return ASK_OK;
}

/* shape [n, k]: k elements a row, less padding. */
static enum ask_status fill_padded(struct reading *in, size_t input, struct tensor *t, struct error *err)
{
    struct mtps_value *list = pad_take(in->a->pad, t->count + 1, sizeof *list);
    if (!list) return ask_no_memory(err);
    for (size_t row = 0; row < in->a->n_rows; row++) {
        size_t n = 0;
        for (size_t j = 0; j < t->shape[1]; j++) {
            ASK_TRY(ask_at_row(tensor_next(t, &list[n], err), row, err));
            n += !is_padding(&list[n]);
        }
        *ask_value(in->a, row, input) = mtps_list(list, n);
        list += n;
    }
    return ASK_OK;
}

/* Elements of one row by its length. */
static enum ask_status fill_row(struct reading *in, size_t input, struct tensor *t, size_t row, size_t length,
                                struct mtps_value **list, struct error *err)
{
    bool is_list = mtps_input(in->a->names->model, input)->is_list;
    if (length > t->count - t->done) return tensor_bad(t, err, "its lengths add up to more than its %zu elements", t->count);
    if (!is_list && length > 1) return tensor_bad(t, err, "%zu values where one is expected", length);
    if (!is_list) return length ? tensor_next(t, ask_value(in->a, row, input), err) : ASK_OK;
    size_t n = 0;
    for (size_t j = 0; j < length; j++) {
        ASK_TRY(tensor_next(t, &(*list)[n], err));
        n += (*list)[n].kind != MTPS_MISSING;
    }
    *ask_value(in->a, row, input) = mtps_list(*list, n);
    *list += n;
    return ASK_OK;
}

static enum ask_status next_length(struct tensor *lengths, size_t *out, struct error *err)
{
    struct mtps_value v;
    ASK_TRY(tensor_next(lengths, &v, err));
    if (v.kind != MTPS_INTEGER || v.u.integer < 0) return tensor_bad(lengths, err, "not a length");
    *out = (size_t)v.u.integer;
    return ASK_OK;
}

static enum ask_status fill_ragged(struct reading *in, size_t input, struct tensor *t, struct tensor *lengths,
                                   struct error *err)
{
    struct mtps_value *list = pad_take(in->a->pad, t->count + 1, sizeof *list);
    size_t length = 0;
    if (!list) return ask_no_memory(err);
    ASK_TRY(tensor_begin(lengths, in->a->pad, err));
    for (size_t row = 0; row < in->a->n_rows; row++) {
        ASK_TRY(ask_at_row(next_length(lengths, &length, err), row, err));
        ASK_TRY(ask_at_row(fill_row(in, input, t, row, length, &list, err), row, err));
    }
    ASK_TRY(tensor_finish(lengths, err));
    if (t->done != t->count) return tensor_bad(t, err, "its lengths add up to %zu, not to its %zu elements", t->done, t->count);
    return ASK_OK;
}

static enum ask_status fill(struct reading *in, struct error *err)
{
    for (size_t i = 0; i < in->a->names->n_inputs; i++) {
        struct tensor *t = in->columns[i].values;
        if (!t) continue;
        ASK_TRY(tensor_begin(t, in->a->pad, err));
        if (in->columns[i].lengths)
            ASK_TRY(fill_ragged(in, i, t, in->columns[i].lengths, err));
        else if (t->rank == 2 && mtps_input(in->a->names->model, i)->is_list)
            ASK_TRY(fill_padded(in, i, t, err));
        else
            ASK_TRY(fill_single(in, i, t, err));
        ASK_TRY(tensor_finish(t, err));
    }
    return ASK_OK;
}

/* ---- the whole ---- */

enum ask_status kserve_read(struct ask *a, const struct ask_body *body, struct error *err)
{
    struct reading in = {.a = a, .max = 2 * a->names->n_inputs};
    struct jsonin r;
    in.tensors = pad_take(a->pad, in.max + 1, sizeof *in.tensors);
    in.columns = pad_take(a->pad, a->names->n_inputs + 1, sizeof *in.columns);
    a->outputs = pad_take(a->pad, a->names->n_tasks + 1, sizeof *a->outputs);
    a->binary = pad_take(a->pad, a->names->n_tasks + 1, sizeof *a->binary);
    if (!in.tensors || !in.columns || !a->outputs || !a->binary) return ask_no_memory(err);
    memset(in.columns, 0, (a->names->n_inputs + 1) * sizeof *in.columns);
    /* The JSON ends with 0 while it is checked, though tensors may begin there. */
    char behind = body->bytes[body->json];
    body->bytes[body->json] = 0;
    jsonin_open(&r, body->bytes, body->json);
    ASK_TRY(read_members(&in, &r, err));
    choose_outputs(&in);
    ASK_TRY(place_tensors(&in, err));
    ASK_TRY(count_rows(&in, err));
    body->bytes[body->json] = behind;
    ASK_TRY(place_bytes(&in, body, err));
    return fill(&in, err);
}

static void write_tensor(const struct ask *a, size_t i, struct jsonout *out)
{
    size_t tasks = a->names->n_tasks, task = a->outputs[i];
    jsonout_begin(out, '{');
    jsonout_text_of(out, "name", mtps_task(a->names->model, task)->name);
    jsonout_text_of(out, "datatype", "FP32");
    jsonout_key(out, "shape");
    jsonout_begin(out, '[');
    jsonout_whole(out, a->n_rows);
    jsonout_finish(out, ']');
    if (a->binary[i]) {
        jsonout_key(out, "parameters");
        jsonout_begin(out, '{');
        jsonout_whole_of(out, "binary_data_size", a->n_rows * sizeof(float));
        jsonout_finish(out, '}');
    } else {
        jsonout_key(out, "data");
        jsonout_begin(out, '[');
        for (size_t row = 0; row < a->n_rows; row++) jsonout_float(out, a->scores[row * tasks + task]);
        jsonout_finish(out, ']');
    }
    jsonout_finish(out, '}');
}

size_t kserve_write(const struct ask *a, const char *model, uint64_t version, struct jsonout *out)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, version);
    jsonout_begin(out, '{');
    jsonout_text_of(out, "model_name", model);
    jsonout_text_of(out, "model_version", number);
    if (a->has_id) {
        jsonout_key(out, "id");
        jsonout_string(out, a->id);
    }
    jsonout_key(out, "outputs");
    jsonout_begin(out, '[');
    for (size_t i = 0; i < a->n_outputs; i++) write_tensor(a, i, out);
    jsonout_finish(out, ']');
    jsonout_finish(out, '}');
    size_t json = out->n, tasks = a->names->n_tasks;
    for (size_t i = 0; i < a->n_outputs; i++)
        for (size_t row = 0; a->binary[i] && row < a->n_rows; row++)
            jsonout_raw(out, &a->scores[row * tasks + a->outputs[i]], sizeof(float));
    return json;
}
