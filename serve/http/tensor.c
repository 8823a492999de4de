#include "serve/http/tensor.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/raw_text.h"

enum { SHOWN = 64 };

/* Whole numbers go from low to high. */
static const struct {
    const char *name;
    size_t bytes; /* of an element; 0: its length stands in front of it */
    int64_t low;
    uint64_t high;
} types[] = {[TENSOR_NONE] = {"none", 0, 0, 0},
             [TENSOR_BOOL] = {"BOOL", 1, 0, 1},
             [TENSOR_I8] = {"INT8", 1, INT8_MIN, INT8_MAX},
             [TENSOR_I16] = {"INT16", 2, INT16_MIN, INT16_MAX},
             [TENSOR_I32] = {"INT32", 4, INT32_MIN, INT32_MAX},
             [TENSOR_I64] = {"INT64", 8, INT64_MIN, INT64_MAX},
             [TENSOR_U8] = {"UINT8", 1, 0, UINT8_MAX},
             [TENSOR_U16] = {"UINT16", 2, 0, UINT16_MAX},
             [TENSOR_U32] = {"UINT32", 4, 0, UINT32_MAX},
             [TENSOR_U64] = {"UINT64", 8, 0, UINT64_MAX},
             [TENSOR_F32] = {"FP32", 4, 0, 0},
             [TENSOR_F64] = {"FP64", 8, 0, 0},
             [TENSOR_BYTES] = {"BYTES", 0, 0, 0}};
enum { N_TYPES = sizeof types / sizeof *types };

bool tensor_is_whole(const struct tensor *t)
{
    return t->type >= TENSOR_I8 && t->type <= TENSOR_U64;
}

enum ask_status tensor_bad(const struct tensor *t, struct error *err, const char *fmt, ...)
{
    char text[512], name[4 * SHOWN + 8];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    raw_text_print(t->name, SHOWN, name, sizeof name);
    error_set(err, ST_DATA, "%s: %s", t->name.s ? name : "a tensor without a name", text);
    return ASK_BAD;
}

static enum ask_status bad_json(const struct tensor *t, const struct jsonin *r, struct error *err)
{
    return tensor_bad(t, err, "byte %zu: %s", r->at, r->why);
}

/* ---- the head ---- */

static bool read_size(struct jsonin *r, size_t *out)
{
    struct jsonin_number n;
    if (!jsonin_number(r, &n)) return false;
    if (!n.fits || n.integer < 0 || n.integer > INT32_MAX) return jsonin_fault(r, "not a size");
    *out = (size_t)n.integer;
    return true;
}

static bool read_shape(struct jsonin *r, struct tensor *t)
{
    size_t size;
    t->rank = 0;
    t->shape[0] = t->shape[1] = 1;
    jsonin_array(r);
    while (jsonin_item(r)) {
        if (!read_size(r, &size)) return false;
        if (t->rank == 2) return jsonin_fault(r, "a shape of more than two dimensions");
        t->shape[t->rank++] = size;
    }
    t->count = t->shape[0] * t->shape[1];
    return r->why || t->rank ? !r->why : jsonin_fault(r, "a shape without dimensions");
}

static bool read_type(struct jsonin *r, struct tensor *t)
{
    struct text name;
    if (!jsonin_string(r, &name)) return false;
    for (size_t i = TENSOR_BOOL; i < N_TYPES && t->type == TENSOR_NONE; i++)
        if (raw_text_equal(name, raw_text_of(types[i].name))) t->type = (enum tensor_type)i;
    return t->type != TENSOR_NONE || jsonin_fault(r, "a datatype that is none of BOOL, INT8 to INT64, UINT8 to UINT64, FP32, FP64, BYTES");
}

static bool read_parameters(struct jsonin *r, struct tensor *t)
{
    struct text key;
    jsonin_object(r);
    while (jsonin_key(r, &key)) {
        if (!raw_text_equal(key, raw_text_of("binary_data_size"))) {
            jsonin_skip(r);
            continue;
        }
        if (!read_size(r, &t->n_bytes)) return false;
        t->is_binary = true;
    }
    return !r->why;
}

static bool read_member(struct jsonin *r, struct text key, struct tensor *t)
{
    if (raw_text_equal(key, raw_text_of("name"))) return jsonin_string(r, &t->name);
    if (raw_text_equal(key, raw_text_of("shape"))) return read_shape(r, t);
    if (raw_text_equal(key, raw_text_of("datatype"))) return read_type(r, t);
    if (raw_text_equal(key, raw_text_of("parameters"))) return read_parameters(r, t);
    if (raw_text_equal(key, raw_text_of("data"))) {
        t->data = *r;
        t->has_data = true;
        return jsonin_skip_unread(r);
    }
    return jsonin_skip(r);
}

enum ask_status tensor_read_head(struct jsonin *r, struct tensor *t, struct error *err)
{
    struct text key;
    *t = (struct tensor){.type = TENSOR_NONE};
    jsonin_object(r);
    while (jsonin_key(r, &key))
        if (!read_member(r, key, t)) break;
    if (r->why) return bad_json(t, r, err);
    if (!t->name.s) return tensor_bad(t, err, "\"name\" is missing");
    if (!t->rank) return tensor_bad(t, err, "\"shape\" is missing");
    if (t->type == TENSOR_NONE) return tensor_bad(t, err, "\"datatype\" is missing");
    if (t->has_data == t->is_binary)
        return tensor_bad(t, err, "one of \"data\" and the parameter binary_data_size is expected");
    return ASK_OK;
}

/* ---- elements as bytes ---- */

static uint64_t little_endian(const unsigned char *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = bytes; i-- > 0;) v = v << 8 | p[i];
    return v;
}

static struct mtps_value whole(struct tensor *t, const unsigned char *p, size_t bytes)
{
    uint64_t v = little_endian(p, bytes);
    if (types[t->type].low < 0 && bytes < 8 && v >> (8 * bytes - 1)) v |= UINT64_MAX << 8 * bytes;
    return mtps_integer((int64_t)v);
}

static enum ask_status text_element(struct tensor *t, struct mtps_value *out, struct error *err)
{
    const unsigned char *end = t->bytes + t->n_bytes;
    if (end - t->next < 4) return tensor_bad(t, err, "its bytes end inside of element %zu", t->done);
    size_t n = little_endian(t->next, 4);
    t->next += 4;
    if (n > (size_t)(end - t->next)) return tensor_bad(t, err, "its bytes end inside of element %zu", t->done);
    *out = (struct mtps_value){.kind = MTPS_TEXT, .n = n, .u.text = (const char *)t->next};
    t->next += n;
    return ASK_OK;
}

/* A number of 2^63 and more is its digits: keys of 64 bits are. */
static enum ask_status large_element(struct tensor *t, uint64_t v, struct mtps_value *out, struct error *err)
{
    enum { ROOM = 24 };
    char *digits = pad_take(t->pad, ROOM, 1);
    if (!digits) return ask_no_memory(err);
    int n = snprintf(digits, ROOM, "%" PRIu64, v);
    *out = (struct mtps_value){.kind = MTPS_TEXT, .n = (size_t)n, .u.text = digits};
    return ASK_OK;
}

static enum ask_status byte_element(struct tensor *t, struct mtps_value *out, struct error *err)
{
    size_t bytes = types[t->type].bytes;
    if (!bytes) return text_element(t, out, err);
    const unsigned char *p = t->next;
    t->next += bytes;
    if (t->type == TENSOR_F32) {
        float f;
        memcpy(&f, p, sizeof f);
        *out = mtps_real((double)f);
    } else if (t->type == TENSOR_F64) {
        double d;
        memcpy(&d, p, sizeof d);
        *out = mtps_real(d);
    } else {
        *out = whole(t, p, bytes);
        if (t->type == TENSOR_BOOL && (out->u.integer & ~1)) return tensor_bad(t, err, "element %zu is neither 0 nor 1", t->done);
        if (t->type == TENSOR_U64 && out->u.integer < 0) return large_element(t, (uint64_t)out->u.integer, out, err);
    }
    if (out->kind == MTPS_REAL && !isfinite(out->u.real)) return tensor_bad(t, err, "element %zu is not finite", t->done);
    return ASK_OK;
}

/* ---- elements in JSON ---- */

/* Over brackets to the next element: data may be nested as its shape is, or flat. */
static bool to_element(struct tensor *t)
{
    for (;;) {
        if (!jsonin_item(&t->data)) {
            if (t->data.why || !--t->depth) return false;
            continue;
        }
        if (jsonin_peek(&t->data) != JSONIN_ARRAY) return true;
        if (t->depth == t->rank) return jsonin_fault(&t->data, "data is nested deeper than its shape");
        jsonin_array(&t->data);
        t->depth++;
    }
}

/* Digits end with a byte that is none. */
static bool is_u64(const struct mtps_value *digits)
{
    errno = 0;
    return digits->u.text[0] != '-' && (strtoull(digits->u.text, NULL, 10), errno != ERANGE);
}

static bool in_range(const struct tensor *t, const struct mtps_value *v)
{
    if (v->kind == MTPS_TEXT) return t->type == TENSOR_U64 && is_u64(v);
    return v->kind == MTPS_INTEGER && v->u.integer >= types[t->type].low &&
           (v->u.integer < 0 || (uint64_t)v->u.integer <= types[t->type].high);
}

static enum ask_status json_element(struct tensor *t, struct mtps_value *out, struct error *err)
{
    enum jsonin_kind kind = jsonin_peek(&t->data);
    if (!ask_scalar(&t->data, out)) return bad_json(t, &t->data, err);
    if (kind == JSONIN_NULL) return ASK_OK;
    bool fits = false;
    switch (t->type) {
    case TENSOR_BYTES:
        fits = kind == JSONIN_STRING;
        break;
    case TENSOR_F32:
    case TENSOR_F64:
        fits = kind == JSONIN_NUMBER;
        break;
    case TENSOR_BOOL:
        fits = kind == JSONIN_BOOL || (kind == JSONIN_NUMBER && in_range(t, out));
        break;
    default:
        fits = kind == JSONIN_NUMBER && in_range(t, out);
    }
    return fits ? ASK_OK : tensor_bad(t, err, "element %zu is no %s", t->done, types[t->type].name);
}

/* ---- both ---- */

enum ask_status tensor_begin(struct tensor *t, struct pad *pad, struct error *err)
{
    t->pad = pad;
    t->done = 0;
    t->next = t->bytes;
    size_t bytes = types[t->type].bytes;
    if (t->is_binary) {
        if (bytes && t->n_bytes != t->count * bytes)
            return tensor_bad(t, err, "%zu bytes for %zu elements of %s", t->n_bytes, t->count, types[t->type].name);
        return ASK_OK;
    }
    t->depth = 1;
    return jsonin_array(&t->data) ? ASK_OK : bad_json(t, &t->data, err);
}

static enum ask_status short_of(const struct tensor *t, struct error *err)
{
    return tensor_bad(t, err, "%zu elements where its shape says %zu", t->done, t->count);
}

enum ask_status tensor_next(struct tensor *t, struct mtps_value *out, struct error *err)
{
    if (!t->is_binary) {
        if (!to_element(t)) return t->data.why ? bad_json(t, &t->data, err) : short_of(t, err);
        ASK_TRY(json_element(t, out, err));
    } else {
        ASK_TRY(byte_element(t, out, err));
    }
    t->done++;
    return ASK_OK;
}

enum ask_status tensor_finish(struct tensor *t, struct error *err)
{
    if (t->is_binary)
        return t->next == t->bytes + t->n_bytes ? ASK_OK
                                                : tensor_bad(t, err, "bytes behind its last element");
    if (!to_element(t)) return t->data.why ? bad_json(t, &t->data, err) : ASK_OK;
    return tensor_bad(t, err, "more elements than the %zu of its shape", t->count);
}
