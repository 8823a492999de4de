#include "serve/onnx_proto.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "build_id.h"

enum { IR_VERSION = 8, OPSET = 17, OPSET_ML = 2 };

/* ---- protocol buffers ---- */

enum wire { VARINT = 0, BYTES = 2, FIXED32 = 5 };

static void put_varint(struct buffer *b, uint64_t v)
{
    char bytes[10];
    size_t n = 0;
    do {
        bytes[n] = (char)(v & 0x7f);
        v >>= 7;
        if (v) bytes[n] |= (char)0x80;
        n++;
    } while (v);
    buffer_add(b, bytes, n);
}

static void put_tag(struct buffer *b, unsigned field, enum wire type)
{
    put_varint(b, field << 3 | type);
}

static void put_int(struct buffer *b, unsigned field, uint64_t v)
{
    put_tag(b, field, VARINT);
    put_varint(b, v);
}

static void put_bytes(struct buffer *b, unsigned field, const void *v, size_t n)
{
    put_tag(b, field, BYTES);
    put_varint(b, n);
    buffer_add(b, v, n);
}

static void put_text(struct buffer *b, unsigned field, const char *v)
{
    put_bytes(b, field, v, strlen(v));
}

/* The message, which is closed. */
static void put_message(struct buffer *b, unsigned field, struct buffer *m)
{
    if (m->failed) b->failed = true;
    put_bytes(b, field, m->text ? m->text : "", m->n);
    buffer_close(m);
    *m = (struct buffer){0};
}

/* ---- the model ---- */

enum status onnx_init(struct onnx *o, struct error *err)
{
    *o = (struct onnx){.underscores = 1};
    return arena_create(&o->arena, err);
}

void onnx_close(struct onnx *o)
{
    buffer_close(&o->nodes);
    buffer_close(&o->initializers);
    buffer_close(&o->inputs);
    buffer_close(&o->outputs);
    mem_free(o->values);
    arena_destroy(o->arena);
}

static void put_opset(struct buffer *model, const char *domain, int version)
{
    struct buffer b = {0};
    put_text(&b, 1, domain);          /* OperatorSetIdProto.domain */
    put_int(&b, 2, (uint64_t)version); /* .version */
    put_message(model, 8, &b);        /* ModelProto.opset_import */
}

static void append(struct buffer *to, struct buffer *from)
{
    if (from->failed) to->failed = true;
    if (from->n) buffer_add(to, from->text, from->n);
}

static enum status check_names(const struct onnx *o, struct error *err)
{
    if (o->clash[0] == o->clash[1]) return ST_OK;
    const struct onnx_value *a = &o->values[o->clash[0]], *b = &o->values[o->clash[1]];
    error_set(err, ST_USAGE, "ONNX: two inputs or outputs are named %s: %s %s, and %s %s", a->name, a->what, a->owner,
              b->what, b->owner);
    return error_hint(err, ST_USAGE, "a graph tells values apart by name alone: rename one of the two in the configuration");
}

enum status onnx_finish(struct onnx *o, const char *name, char **bytes, size_t *n,
                        struct error *err)
{
    struct buffer graph = {0}, model = {0};
    if (!o->failed) TRY(check_names(o, err));
    append(&graph, &o->nodes); /* GraphProto.node = 1, already tagged */
    put_text(&graph, 2, name);
    append(&graph, &o->initializers); /* .initializer = 5 */
    append(&graph, &o->inputs);       /* .input = 11 */
    append(&graph, &o->outputs);      /* .output = 12 */
    if (o->failed) graph.failed = true;
    if (graph.n > INT32_MAX - 4096) {
        buffer_close(&graph);
        error_set(err, ST_CANTCREATE, "ONNX: the model is larger than 2 GiB");
        return error_hint(err, ST_CANTCREATE,
                          "keep the tables out of it: --onnx-rows N, with N below their number of rows, writes them as flat files");
    }
    put_int(&model, 1, IR_VERSION);
    put_text(&model, 2, "mtps"); /* producer_name */
    put_text(&model, 3, MTPS_VERSION);
    put_message(&model, 7, &graph);
    put_opset(&model, "", OPSET);
    put_opset(&model, "ai.onnx.ml", OPSET_ML);
    *n = model.n;
    return buffer_take(&model, bytes, err);
}

/* ---- names ---- */

static const char *keep(struct onnx *o, char *name)
{
    if (!name) o->failed = true;
    return name ? name : "";
}

void onnx_reserve(struct onnx *o, const char *name)
{
    size_t n = strspn(name, "_");
    if (n >= o->underscores) o->underscores = n + 1;
}

const char *onnx_new(struct onnx *o, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "%s_%zu", what, o->n_names++);
    char *out = arena_take(o->arena, o->underscores + strlen(name) + 1, 1);
    if (!out) return keep(o, NULL);
    memset(out, '_', o->underscores);
    strcpy(out + o->underscores, name);
    return out;
}

/* ---- inputs and outputs ---- */

static void put_dimension(struct buffer *shape, size_t value, const char *name)
{
    struct buffer d = {0};
    if (name)
        put_text(&d, 2, name); /* Dimension.dim_param */
    else
        put_int(&d, 1, value); /* .dim_value */
    put_message(shape, 1, &d);
}

/* ValueInfoProto */
static void put_value(struct buffer *to, unsigned field, const char *name, int type, const char *batch, size_t cols)
{
    struct buffer shape = {0}, tensor = {0}, kind = {0}, value = {0};
    put_dimension(&shape, 0, batch);
    if (cols) put_dimension(&shape, cols, NULL);
    put_int(&tensor, 1, (uint64_t)type); /* TypeProto.Tensor.elem_type */
    put_message(&tensor, 2, &shape);
    put_message(&kind, 1, &tensor); /* TypeProto.tensor_type */
    put_text(&value, 1, name);
    put_message(&value, 2, &kind);
    put_message(to, field, &value);
}

static void note_clash(struct onnx *o)
{
    size_t last = o->n_values - 1;
    for (size_t i = 0; o->clash[0] == o->clash[1] && i < last; i++)
        if (!strcmp(o->values[i].name, o->values[last].name)) o->clash[0] = i, o->clash[1] = last;
}

static void note_value(struct onnx *o, struct onnx_value v)
{
    v.name = arena_printf(o->arena, "%s", v.name);
    if (o->n_values == o->max_values) {
        size_t max = 2 * o->max_values + 64;
        struct onnx_value *more = mem_resize(o->values, max, sizeof *more);
        if (more) o->values = more, o->max_values = max;
        o->failed |= !more;
    }
    o->failed |= !v.name;
    if (o->failed) return;
    o->values[o->n_values++] = v;
    note_clash(o);
}

void onnx_input(struct onnx *o, const char *name, const char *what, const char *owner, int type, const char *batch,
                size_t cols)
{
    put_value(&o->inputs, 11, name, type, batch, cols);
    note_value(o, (struct onnx_value){name, what, owner, type, cols, false});
}

void onnx_output(struct onnx *o, const char *name, const char *what, const char *owner, const char *batch, size_t cols)
{
    put_value(&o->outputs, 12, name, ONNX_FLOAT, batch, cols);
    note_value(o, (struct onnx_value){name, what, owner, ONNX_FLOAT, cols, true});
}

/* ---- constants ---- */

static const char *put_tensor(struct onnx *o, int type, size_t rows, size_t cols, struct buffer *raw)
{
    const char *name = onnx_new(o, "c");
    struct buffer t = {0};
    if (rows || cols) put_int(&t, 1, rows); /* TensorProto.dims */
    if (cols) put_int(&t, 1, cols);
    put_int(&t, 2, (uint64_t)type); /* .data_type */
    put_text(&t, 8, name);
    put_message(&t, 9, raw); /* .raw_data */
    put_message(&o->initializers, 5, &t);
    return name;
}

const char *onnx_floats(struct onnx *o, size_t rows, size_t cols, size_t stride, const float *v)
{
    struct buffer raw = {0};
    size_t n = cols ? cols : 1;
    for (size_t r = 0; r < (rows || cols ? rows : 1); r++)
        buffer_add(&raw, (const char *)(v + r * (cols ? stride : 1)), n * sizeof *v);
    return put_tensor(o, ONNX_FLOAT, rows, cols, &raw);
}

const char *onnx_doubles(struct onnx *o, size_t n, const double *v)
{
    struct buffer raw = {0};
    buffer_add(&raw, (const char *)v, (n ? n : 1) * sizeof *v);
    return put_tensor(o, ONNX_DOUBLE, n, 0, &raw);
}

const char *onnx_ints(struct onnx *o, size_t n, const int64_t *v)
{
    struct buffer raw = {0};
    buffer_add(&raw, (const char *)v, (n ? n : 1) * sizeof *v);
    return put_tensor(o, ONNX_INT64, n, 0, &raw);
}

/* ---- nodes ---- */

/* NodeProto: input = 1, output = 2, name = 3, op_type = 4, attribute = 5, domain = 7. */
const char *onnx_node_of(struct onnx *o, const char *op, const char *domain, const char *out,
                         struct buffer *attributes, const char *const *inputs, size_t n)
{
    struct buffer b = {0};
    if (!out) out = onnx_new(o, op);
    for (size_t i = 0; i < n; i++) put_text(&b, 1, inputs[i]);
    put_text(&b, 2, out);
    put_text(&b, 4, op);
    if (attributes) {
        append(&b, attributes);
        buffer_close(attributes);
        *attributes = (struct buffer){0};
    }
    if (*domain) put_text(&b, 7, domain);
    put_message(&o->nodes, 1, &b);
    return out;
}

const char *onnx_node(struct onnx *o, const char *op, const char *out, struct buffer *attributes, ...)
{
    const char *inputs[8];
    size_t n = 0;
    va_list args;
    va_start(args, attributes);
    for (const char *in; n < 8 && (in = va_arg(args, const char *));) inputs[n++] = in;
    va_end(args);
    return onnx_node_of(o, op, "", out, attributes, inputs, n);
}

/* AttributeProto: name = 1, f = 2, i = 3, s = 4, ints = 8, type = 20. */
enum { ATTRIBUTE_FLOAT = 1, ATTRIBUTE_INT = 2, ATTRIBUTE_TEXT = 3, ATTRIBUTE_INTS = 7 };

void onnx_attribute_int(struct buffer *attributes, const char *name, int64_t v)
{
    struct buffer a = {0};
    put_text(&a, 1, name);
    put_int(&a, 3, (uint64_t)v);
    put_int(&a, 20, ATTRIBUTE_INT);
    put_message(attributes, 5, &a);
}

void onnx_attribute_float(struct buffer *attributes, const char *name, float v)
{
    struct buffer a = {0};
    put_text(&a, 1, name);
    put_tag(&a, 2, FIXED32);
    buffer_add(&a, (const char *)&v, sizeof v);
    put_int(&a, 20, ATTRIBUTE_FLOAT);
    put_message(attributes, 5, &a);
}

void onnx_attribute_ints(struct buffer *attributes, const char *name, const int64_t *v, size_t n)
{
    struct buffer a = {0};
    put_text(&a, 1, name);
    for (size_t i = 0; i < n; i++) put_int(&a, 8, (uint64_t)v[i]);
    put_int(&a, 20, ATTRIBUTE_INTS);
    put_message(attributes, 5, &a);
}

void onnx_attribute_text(struct buffer *attributes, const char *name, const char *v)
{
    struct buffer a = {0};
    put_text(&a, 1, name);
    put_text(&a, 4, v);
    put_int(&a, 20, ATTRIBUTE_TEXT);
    put_message(attributes, 5, &a);
}
