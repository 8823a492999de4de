/* From a request's keys and numbers to the inputs of layer 1. */
#include <math.h>
#include <string.h>

#include "data/feature.h"
#include "model/tables.h"
#include "serve/onnx_impl.h"

static const char *int_scalar(struct onnx_graph *g, int64_t v)
{
    return onnx_ints(g->o, 0, &v);
}

static const char *cast(struct onnx_graph *g, const char *value, int type)
{
    struct buffer a = {0};
    onnx_attribute_int(&a, "to", type);
    return onnx_node(g->o, "Cast", NULL, &a, value, NULL);
}

static const char *unsqueeze(struct onnx_graph *g, const char *value, const char *axis)
{
    return onnx_node(g->o, "Unsqueeze", NULL, NULL, value, axis, NULL);
}

static const char *gather(struct onnx_graph *g, const char *rows, const char *index)
{
    return onnx_node(g->o, "Gather", NULL, NULL, rows, index, NULL);
}

const char *onnx_columns(struct onnx_graph *g, const char *value, size_t first, size_t end)
{
    int64_t a = (int64_t)first, b = (int64_t)end;
    return onnx_node(g->o, "Slice", NULL, NULL, value, onnx_ints(g->o, 1, &a), onnx_ints(g->o, 1, &b), g->axis1,
                     NULL);
}

/* The feature's input, once for all that read it. */
static void declare(struct onnx_graph *g, size_t feature, const char *name, int type, const char *batch, size_t cols)
{
    if (!g->declared[feature]) onnx_input(g->o, name, "feature", name, type, batch, cols);
    g->declared[feature] = true;
}

/* ---- ids ---- */

/* Key -> number of its row; n for a key that has none. */
static const char *encode(struct onnx_graph *g, const char *keys, const int64_t *from, size_t n)
{
    struct buffer a = {0};
    int64_t *to = mem_array(n + 1, sizeof *to);
    const char *inputs[] = {keys};
    if (!to) {
        g->o->failed = true;
        return keys;
    }
    for (size_t i = 0; i < n; i++) to[i] = (int64_t)i;
    onnx_attribute_ints(&a, "keys_int64s", from, n);
    onnx_attribute_ints(&a, "values_int64s", to, n);
    onnx_attribute_int(&a, "default_int64", (int64_t)n);
    mem_free(to);
    return onnx_node_of(g->o, "LabelEncoder", "ai.onnx.ml", NULL, &a, inputs, 1);
}

/* A table with a row of zeros behind the others. */
static const char *table_rows(struct onnx_graph *g, const struct lookup *t)
{
    float *rows = mem_zeroed((t->keys.n + 1) * t->dim, sizeof *rows);
    if (!rows) {
        g->o->failed = true;
        return "";
    }
    if (t->keys.n) memcpy(rows, t->rows, t->keys.n * t->dim * sizeof *rows);
    const char *name = onnx_floats(g->o, t->keys.n + 1, t->dim, t->dim, rows);
    mem_free(rows);
    return name;
}

static const char *rows_of_keys(struct onnx_graph *g, const struct lookup *t, const char *keys)
{
    /* A table without a row has only the row of zeros; LabelEncoder wants a key. */
    static const int64_t some_key = 0;
    const int64_t *from = t->keys.n ? (const int64_t *)t->keys.keys : &some_key;
    if (t->keys.n) return gather(g, table_rows(g, t), encode(g, keys, from, t->keys.n));
    const char *none = onnx_node(g->o, "Mul", NULL, NULL, keys, int_scalar(g, 0), NULL);
    return gather(g, table_rows(g, t), none);
}

/* Sums of the rows between offsets: [batch, dim]. The row of occurrence j is the number
 * of ends at or before j. */
static const char *pool(struct onnx_graph *g, const struct model_input *in, const char *rows, const char *offsets)
{
    struct onnx *o = g->o;
    int64_t one = 1, big = INT64_MAX, last = -1;
    const char *ends = onnx_node(o, "Slice", NULL, NULL, offsets, onnx_ints(o, 1, &one), onnx_ints(o, 1, &big),
                                 g->zero, NULL);
    const char *starts = onnx_node(o, "Slice", NULL, NULL, offsets, g->zero, onnx_ints(o, 1, &last), g->zero, NULL);
    const char *n = onnx_node(o, "Squeeze", NULL, NULL,
                              onnx_node(o, "Slice", NULL, NULL, onnx_node(o, "Shape", NULL, NULL, rows, NULL), g->zero,
                                        g->axis1, g->zero, NULL),
                              NULL);
    const char *j = onnx_node(o, "Range", NULL, NULL, int_scalar(g, 0), n, int_scalar(g, 1), NULL);
    const char *behind = onnx_node(o, "LessOrEqual", NULL, NULL, unsqueeze(g, ends, g->axis1), unsqueeze(g, j, g->zero),
                                   NULL);
    struct buffer keep = {0};
    onnx_attribute_int(&keep, "keepdims", 0);
    const char *row = onnx_node(o, "ReduceSum", NULL, &keep, cast(g, behind, ONNX_INT64), g->zero, NULL);
    struct buffer shape = {0};
    int64_t dim = (int64_t)in->width;
    onnx_attribute_int(&shape, "axis", 0);
    const char *size = onnx_node(o, "Concat", NULL, &shape, onnx_node(o, "Shape", NULL, NULL, starts, NULL),
                                 onnx_ints(o, 1, &dim), NULL);
    float nothing = 0;
    const char *zeros = onnx_node(o, "Expand", NULL, NULL, onnx_floats(o, 0, 0, 0, &nothing), size, NULL);
    struct buffer add = {0};
    onnx_attribute_text(&add, "reduction", "add");
    const char *sum = onnx_node(o, "ScatterND", NULL, &add, zeros, unsqueeze(g, row, g->axis1), rows, NULL);
    if (in->pool == POOL_SUM) return sum;
    float least = 1;
    const char *count = cast(g, onnx_node(o, "Sub", NULL, NULL, ends, starts, NULL), ONNX_FLOAT);
    count = onnx_node(o, "Max", NULL, NULL, count, onnx_floats(o, 0, 0, 0, &least), NULL);
    if (in->pool == POOL_SQRTN) count = onnx_node(o, "Sqrt", NULL, NULL, count, NULL);
    return onnx_node(o, "Div", NULL, NULL, sum, unsqueeze(g, count, g->axis1), NULL);
}

/* Rows of the buckets, then of a missing number, then zeros never asked for. */
static const char *bucket_rows(struct onnx_graph *g, size_t feature, const struct lookup *t)
{
    size_t n = g->m->features[feature].kind == MTPS_FEATURE_NUMBERS
                   ? g->m->schema->features[feature].cfg->bucketize
                   : 0;
    float *rows = mem_zeroed((n + 1) * t->dim, sizeof *rows);
    const char *name = "";
    if (rows) {
        for (size_t b = 0; b <= n; b++) {
            uint64_t key = b < n ? feature_bucket_key(b) : feature_missing_key();
            size_t place;
            lookup_places(&(struct lookup_request){t, &key, 1, &place}, 1);
            float *to = rows + b * t->dim;
            const float *row = lookup_row(t, key, place, to);
            if (row != to) memcpy(to, row, t->dim * sizeof *to);
        }
        name = onnx_floats(g->o, n + 1, t->dim, t->dim, rows);
    } else {
        g->o->failed = true;
    }
    mem_free(rows);
    return name;
}

static const char *is_nan(struct onnx_graph *g, const char *value)
{
    return onnx_node(g->o, "IsNaN", NULL, NULL, value, NULL);
}

static const char *bucket(struct onnx_graph *g, size_t feature, const struct lookup *t)
{
    struct onnx *o = g->o;
    const char *name = g->m->schema->features[feature].name;
    size_t n = g->m->schema->features[feature].cfg->bucketize;
    declare(g, feature, name, ONNX_FLOAT, "batch", 1);
    const char *borders = onnx_floats(o, n - 1, 0, 0, g->m->fit->borders[feature]);
    struct buffer keep = {0};
    onnx_attribute_int(&keep, "keepdims", 0);
    const char *below = onnx_node(o, "LessOrEqual", NULL, NULL, borders, name, NULL);
    const char *index = onnx_node(o, "ReduceSum", NULL, &keep, cast(g, below, ONNX_INT64), g->axis1, NULL);
    const char *missing = onnx_node(o, "Squeeze", NULL, NULL, is_nan(g, name), g->axis1, NULL);
    index = onnx_node(o, "Where", NULL, NULL, missing, int_scalar(g, (int64_t)n), index, NULL);
    return gather(g, bucket_rows(g, feature, t), index);
}

static const char *offsets_name(struct onnx_graph *g, const char *feature)
{
    char *name = arena_printf(g->o->arena, "%s.offsets", feature);
    if (!name) g->o->failed = true;
    return name ? name : "";
}

/* Model input `input`, which reads feature i. */
static const char *id_input(struct onnx_graph *g, size_t input, size_t i)
{
    const struct schema_feature *f = &g->m->schema->features[i];
    const struct model_input *in = &g->m->model->inputs[input];
    const struct lookup *t = &g->m->tables[in->table];
    if (g->m->features[i].kind == MTPS_FEATURE_NUMBERS) return bucket(g, i, t);
    if (!g->opt->tables) {
        bool wide = strcmp(in->name, f->name) != 0;
        onnx_input(g->o, in->name, wide ? "the wide part of feature" : "feature", f->name, ONNX_FLOAT, "batch", in->width);
        return in->name;
    }
    if (!f->multi) {
        declare(g, i, f->name, ONNX_INT64, "batch", 0);
        return rows_of_keys(g, t, f->name);
    }
    char *n = arena_printf(g->o->arena, "%s.n", f->name);
    const char *offsets = offsets_name(g, f->name);
    bool first = !g->declared[i];
    declare(g, i, f->name, ONNX_INT64, n ? n : "n", 0);
    if (first) onnx_input(g->o, offsets, "the offsets of feature", f->name, ONNX_INT64, "batch+1", 0);
    return pool(g, in, rows_of_keys(g, t, f->name), offsets);
}

/* ---- levels and numbers ---- */

static const char *level_input(struct onnx_graph *g, size_t i)
{
    const struct schema_feature *f = &g->m->schema->features[i];
    declare(g, i, f->name, ONNX_INT64, "batch", 0);
    return encode(g, f->name, (const int64_t *)g->m->fit->levels[f->place], g->m->fit->n_levels[f->place]);
}

/* In double, as training does it; x [batch, 1]. */
static const char *transform(struct onnx_graph *g, const struct fit_column *c, const char *x)
{
    struct onnx *o = g->o;
    x = cast(g, x, ONNX_DOUBLE);
    x = onnx_node(o, "Where", NULL, NULL, is_nan(g, cast(g, x, ONNX_FLOAT)), onnx_doubles(o, 0, &c->default_value), x,
                  NULL);
    for (size_t i = 0; i < c->cfg->n_transforms; i++) {
        const struct transform_cfg *t = &c->cfg->transform[i];
        double a = c->stat[i][0], b = 1, one = 1, lowest = -1 + 0x1p-53;
        switch (t->kind) {
        case TRANSFORM_LOG1P:
            x = onnx_node(o, "Max", NULL, NULL, x, onnx_doubles(o, 0, &lowest), NULL);
            x = onnx_node(o, "Log", NULL, NULL, onnx_node(o, "Add", NULL, NULL, x, onnx_doubles(o, 0, &one), NULL),
                          NULL);
            break;
        case TRANSFORM_STANDARDIZE:
        case TRANSFORM_MINMAX:
            if (t->kind == TRANSFORM_STANDARDIZE && c->stat[i][1] > 0) b = c->stat[i][1];
            if (t->kind == TRANSFORM_MINMAX && c->stat[i][1] > a) b = c->stat[i][1] - a;
            x = onnx_node(o, "Sub", NULL, NULL, x, onnx_doubles(o, 0, &a), NULL);
            x = onnx_node(o, "Div", NULL, NULL, x, onnx_doubles(o, 0, &b), NULL);
            break;
        case TRANSFORM_CLIP:
            x = onnx_node(o, "Max", NULL, NULL, x, onnx_doubles(o, 0, &t->low), NULL);
            x = onnx_node(o, "Min", NULL, NULL, x, onnx_doubles(o, 0, &t->high), NULL);
            break;
        }
    }
    return cast(g, x, ONNX_FLOAT);
}

static const char *number_input(struct onnx_graph *g, size_t i)
{
    const struct schema_feature *f = &g->m->schema->features[i];
    declare(g, i, f->name, ONNX_FLOAT, "batch", f->width);
    const char **columns = arena_take(g->o->arena, f->width, sizeof *columns);
    if (!columns) g->o->failed = true;
    for (size_t j = 0; columns && j < f->width; j++)
        columns[j] = transform(g, &g->m->fit->columns[f->place + j],
                               f->width > 1 ? onnx_columns(g, f->name, j, j + 1) : f->name);
    if (!columns || f->width == 1) return columns ? columns[0] : f->name;
    struct buffer a = {0};
    onnx_attribute_int(&a, "axis", 1);
    return onnx_node_of(g->o, "Concat", "", NULL, &a, columns, f->width);
}

static const char *make_input(struct onnx_graph *g, size_t input, size_t feature)
{
    switch (g->m->schema->features[feature].kind) {
    case FEATURE_ID:
        return id_input(g, input, feature);
    case FEATURE_ONE_HOT:
        return level_input(g, feature);
    case FEATURE_DENSE:
        break;
    }
    return number_input(g, feature);
}

/* In the order in which the model was assembled: the deep features, then the wide ones. */
void onnx_inputs(struct onnx_graph *g)
{
    const struct model_tables *kinds = g->m->kinds;
    size_t n = g->m->schema->n_features, input = 0;
    for (size_t i = 0; i < 2 * n; i++) {
        bool read = i < n ? kinds->deep[i] : kinds->wide[i - n];
        if (!read) continue;
        g->x[input] = make_input(g, input, i % n);
        input++;
    }
}

const char *onnx_product_of(struct onnx_graph *g, size_t input, const float *w, size_t n, size_t stride)
{
    const struct model_input *in = &g->m->model->inputs[input];
    if (in->kind != INPUT_ONE_HOT)
        return onnx_node(g->o, "MatMul", NULL, NULL, g->x[input], onnx_floats(g->o, in->width, n, stride, w), NULL);
    /* A level picks a row of w; none of them, zeros. */
    float *rows = mem_zeroed((in->width + 1) * n, sizeof *rows);
    if (!rows) {
        g->o->failed = true;
        return "";
    }
    for (size_t r = 0; r < in->width; r++) memcpy(rows + r * n, w + r * stride, n * sizeof *rows);
    const char *value = gather(g, onnx_floats(g->o, in->width + 1, n, n, rows), g->x[input]);
    mem_free(rows);
    return value;
}
