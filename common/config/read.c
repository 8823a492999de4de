#include "common/config/read.h"

#include <stdio.h>
#include <string.h>

#include "common/config/nearest.h"
#include "common/config/value.h"

enum { MAX_IDENTIFIER = 255, MAX_NAMES = 16 };

struct reading {
    struct arena *arena;
    const struct option *o;
    const char *path;
    struct error *err;
};

static const char *article(enum option_type type)
{
    bool none = type == OPTION_BOOL || type == OPTION_ENUM || type == OPTION_BYTES ||
                type == OPTION_TEXT || type == OPTION_STRING || type == OPTION_NAME ||
                type == OPTION_NOTHING;
    return none ? "" : "a ";
}

enum status read_wrong_type(const struct option *o, const char *path, const struct node *value,
                            struct error *err)
{
    char what[160];
    config_fail(err, value->at, "%s: expected %s%s, not %s", path, article(o->type),
                option_type_text(o), node_describe(value, what, sizeof what));
    return error_hint(err, ST_USAGE, "see 'mtps config explain %s'", path);
}

static enum status wrong(const struct reading *r, const struct node *value)
{
    return read_wrong_type(r->o, r->path, value, r->err);
}

static enum status check_range(const struct reading *r, const struct node *value, double x)
{
    const struct option *o = r->o;
    if (!option_has_range(o)) return ST_OK;
    bool low = (o->flags & OPTION_ABOVE_MIN) ? x <= o->min : x < o->min;
    if (!low && x <= o->max) return ST_OK;
    char range[80];
    config_fail(r->err, value->at, "%s: %s is out of range: %s%s%s", r->path, value->text,
                option_range_text(o, range, sizeof range), o->unit ? " " : "",
                o->unit ? o->unit : "");
    return error_hint(r->err, ST_USAGE, "see 'mtps config explain %s'", r->path);
}

/* ---- numbers ---- */

static enum status read_count(const struct reading *r, const struct node *value, uint64_t *out)
{
    uint64_t n;
    double x;
    if (value->kind != NODE_SCALAR || !value->plain) return wrong(r, value);
    if (!value_count(value->text, &n)) {
        if (value_real(value->text, &x) && (x < 0 || x > 1e15)) return check_range(r, value, x);
        return wrong(r, value);
    }
    TRY(check_range(r, value, (double)n));
    *out = n;
    return ST_OK;
}

static enum status read_real(const struct reading *r, const struct node *value, double *out)
{
    double x;
    if (value->kind != NODE_SCALAR || !value->plain || !value_real(value->text, &x))
        return wrong(r, value);
    TRY(check_range(r, value, x));
    *out = x;
    return ST_OK;
}

static enum status read_share(const struct reading *r, const struct node *value, double *out,
                              bool *percent)
{
    double x;
    bool is_percent;
    if (value->kind != NODE_SCALAR || !value_share(value->text, &x, &is_percent))
        return wrong(r, value);
    TRY(check_range(r, value, x));
    bool counts = r->o->type == OPTION_COUNT_OR_SHARE;
    if (counts && (is_percent ? x > 1 : x != (double)(uint64_t)x)) return wrong(r, value);
    *out = x;
    if (percent) *percent = is_percent;
    return ST_OK;
}

static enum status read_bytes(const struct reading *r, const struct node *value, uint64_t *out)
{
    uint64_t n;
    if (value->kind != NODE_SCALAR || !value_bytes(value->text, &n)) return wrong(r, value);
    TRY(check_range(r, value, (double)n));
    *out = n;
    return ST_OK;
}

static enum status read_seconds(const struct reading *r, const struct node *value, double *out)
{
    double x;
    if (value->kind != NODE_SCALAR || !value_seconds(value->text, &x)) return wrong(r, value);
    TRY(check_range(r, value, x));
    *out = x;
    return ST_OK;
}

static enum status read_period(const struct reading *r, const struct node *value,
                               struct every_cfg *out)
{
    struct every_cfg every = {0};
    size_t n = value->kind == NODE_LIST ? value->n : 1;
    if (value->kind == NODE_MAP || !n) return wrong(r, value);
    bool never = value->kind == NODE_SCALAR && !strcmp(value->text, "never");
    for (size_t i = 0; i < n && !never; i++) {
        const struct node *one = value->kind == NODE_LIST ? value->items[i] : value;
        if (one->kind != NODE_SCALAR || !value_period(one->text, &every)) return wrong(r, one);
    }
    *out = every;
    return ST_OK;
}

static enum status read_sizes(const struct reading *r, const struct node *value,
                              struct sizes_cfg *out)
{
    if (value->kind != NODE_LIST) return wrong(r, value);
    size_t *v = arena_take(r->arena, value->n, sizeof *v);
    if (!v) return config_no_memory(r->err);
    for (size_t i = 0; i < value->n; i++) {
        uint64_t n;
        TRY(read_count(r, value->items[i], &n));
        v[i] = n;
    }
    *out = (struct sizes_cfg){v, value->n};
    return ST_OK;
}

/* ---- words ---- */

static enum status read_bool(const struct reading *r, const struct node *value, bool *out)
{
    if (value->kind != NODE_SCALAR || !value->plain || !value_bool(value->text, out)) {
        wrong(r, value);
        return error_hint(r->err, ST_USAGE, "write true or false");
    }
    return ST_OK;
}

static enum status read_enum(const struct reading *r, const struct node *value, int *out)
{
    if (value->kind != NODE_SCALAR) return wrong(r, value);
    const char *const *names = r->o->names;
    size_t n = 0;
    for (; names[n]; n++)
        if (!strcmp(names[n], value->text)) {
            *out = (int)n;
            return ST_OK;
        }
    char choices[256];
    config_fail(r->err, value->at, "%s: '%.60s' is unknown: expected %s", r->path, value->text,
                option_choices_text(r->o, choices, sizeof choices));
    const char *nearest = nearest_word(value->text, names, n);
    if (nearest) return error_hint(r->err, ST_USAGE, "did you mean '%s'?", nearest);
    return error_hint(r->err, ST_USAGE, "see 'mtps config explain %s'", r->path);
}

/* Names go into file, tensor and report names. */
static enum status check_identifier(const struct reading *r, const struct node *value)
{
    const char *text = value->text;
    bool fits = *text && strlen(text) <= MAX_IDENTIFIER && strcmp(text, ".") != 0 &&
                strcmp(text, "..") != 0;
    for (const char *c = text; *c && fits; c++) fits = *c != '/' && (unsigned char)*c >= ' ';
    if (fits) return ST_OK;
    config_fail(r->err, value->at, "%s: '%.60s' cannot be a name", r->path, text);
    return error_hint(r->err, ST_USAGE, "a name has 1 to 255 bytes and no '/'");
}

static enum status check_string(const struct reading *r, const struct node *value)
{
    if (value->kind != NODE_SCALAR) return wrong(r, value);
    if (!value->text[0] && (r->o->flags & OPTION_NOT_EMPTY))
        return config_fail(r->err, value->at, "%s: the text is empty", r->path);
    return r->o->flags & OPTION_IDENTIFIER ? check_identifier(r, value) : ST_OK;
}

static enum status read_string(const struct reading *r, const struct node *value,
                               const char **out)
{
    TRY(check_string(r, value));
    *out = value->text;
    return ST_OK;
}

static enum status read_strings(const struct reading *r, const struct node *value,
                                struct list_cfg *out)
{
    if (value->kind == NODE_MAP) return wrong(r, value);
    bool list = value->kind == NODE_LIST;
    size_t n = list ? value->n : 1;
    if (!n && (r->o->flags & OPTION_NOT_EMPTY))
        return config_fail(r->err, value->at, "%s: the list is empty", r->path);
    const char **v = arena_take(r->arena, n, sizeof *v);
    if (!v) return config_no_memory(r->err);
    for (size_t i = 0; i < n; i++) {
        const struct node *one = list ? value->items[i] : value;
        if (one->kind != NODE_SCALAR) return wrong(r, one);
        TRY(check_string(r, one));
        v[i] = one->text;
    }
    *out = (struct list_cfg){v, n, value->at};
    return ST_OK;
}

static enum status read_pairs(const struct reading *r, const struct node *value,
                              struct pairs_cfg *out)
{
    if (value->kind != NODE_MAP) return wrong(r, value);
    *out = (struct pairs_cfg){.key = arena_take(r->arena, value->n + 1, sizeof *out->key),
                              .value = arena_take(r->arena, value->n + 1, sizeof *out->value),
                              .where = arena_take(r->arena, value->n + 1, sizeof *out->where)};
    if (!out->key || !out->value || !out->where) return config_no_memory(r->err);
    for (size_t i = 0; i < value->n; i++) {
        const struct node *one = value->items[i];
        if (node_is_null(one)) continue;
        if (one->kind != NODE_SCALAR) return wrong(r, one);
        out->key[out->n] = value->keys[i]->text;
        out->value[out->n] = one->text;
        out->where[out->n++] = value->keys[i]->at;
    }
    return ST_OK;
}

static enum status read_name(const struct reading *r, const struct node *value,
                             struct list_cfg *out)
{
    if (value->kind != NODE_SCALAR) {
        wrong(r, value);
        return error_hint(r->err, ST_USAGE, "for several names write 'names: [...]'");
    }
    return read_strings(r, value, out);
}

static enum status read_text(const struct reading *r, const struct node *value,
                             struct text_cfg *out)
{
    if (value->kind != NODE_SCALAR) {
        wrong(r, value);
        return error_hint(r->err, ST_USAGE, "quote an expression that contains ': ', brackets "
                                            "or braces");
    }
    if (!value->text[strspn(value->text, " \t\n")])
        return config_fail(r->err, value->at, "%s: the expression is empty", r->path);
    *out = (struct text_cfg){value->text, value->at};
    return ST_OK;
}

/* ---- transforms ---- */

static enum status read_clip(const struct reading *r, const struct node *value,
                             struct transform_cfg *out)
{
    const struct node *limits = value->kind == NODE_MAP ? node_get(value, "clip") : NULL;
    double x[2];
    if (!limits || value->n != 1 || limits->kind != NODE_LIST || limits->n != 2)
        goto no_transform;
    for (size_t i = 0; i < 2; i++)
        if (limits->items[i]->kind != NODE_SCALAR || !value_real(limits->items[i]->text, x + i))
            goto no_transform;
    if (x[0] >= x[1])
        return config_fail(r->err, limits->at, "%s: clip: the low end is not below the high end",
                           r->path);
    *out = (struct transform_cfg){TRANSFORM_CLIP, x[0], x[1]};
    return ST_OK;

no_transform:
    wrong(r, value);
    return error_hint(r->err, ST_USAGE,
                      "transforms are log1p, standardize, minmax and {clip: [low, high]}");
}

static enum status read_transforms(const struct reading *r, const struct node *value,
                                   struct feature_cfg *out)
{
    static const char *const words[] = {"log1p", "standardize", "minmax"};
    size_t n = value->kind == NODE_LIST ? value->n : 1;
    if (n > MAX_TRANSFORMS)
        return config_fail(r->err, value->at, "%s: at most %d transforms", r->path,
                           MAX_TRANSFORMS);
    for (size_t i = 0; i < n; i++) {
        const struct node *one = value->kind == NODE_LIST ? value->items[i] : value;
        size_t k = 0;
        if (one->kind == NODE_SCALAR)
            while (k < 3 && strcmp(words[k], one->text) != 0) k++;
        if (one->kind == NODE_SCALAR && k < 3)
            out->transform[i] = (struct transform_cfg){.kind = (enum transform_kind)k};
        else
            TRY(read_clip(r, one, &out->transform[i]));
    }
    out->n_transforms = n;
    return ST_OK;
}

/* ---- all of them ---- */

static enum status read_fixed(const struct reading *r, const struct node *value)
{
    if (value->kind == NODE_SCALAR && !strcmp(value->text, r->o->def)) return ST_OK;
    char what[160];
    return config_fail(r->err, value->at, "%s: only %s is known, not %s", r->path, r->o->def,
                       node_describe(value, what, sizeof what));
}

/* A word that stands for a number (threads: auto) leaves the number 0. */
static bool is_word(const struct option *o, const struct node *value)
{
    return o->word && value->kind == NODE_SCALAR && !strcmp(o->word, value->text);
}

static enum status read_word(const struct option *o, void *field, bool *flag)
{
    memset(field, 0, o->type == OPTION_REAL ? sizeof(double) : sizeof(uint64_t));
    if (flag) *flag = true;
    return ST_OK;
}

static enum status read_field(const struct reading *r, const struct node *value, void *field,
                              bool *flag)
{
    switch (r->o->type) {
    case OPTION_BOOL:
        return read_bool(r, value, field);
    case OPTION_ENUM:
        return read_enum(r, value, field);
    case OPTION_COUNT:
        return read_count(r, value, field);
    case OPTION_REAL:
        return read_real(r, value, field);
    case OPTION_SHARE:
        return read_share(r, value, field, NULL);
    case OPTION_COUNT_OR_SHARE:
        return read_share(r, value, field, flag);
    case OPTION_SECONDS:
        return read_seconds(r, value, field);
    case OPTION_BYTES:
        return read_bytes(r, value, field);
    case OPTION_PERIOD:
        return read_period(r, value, field);
    case OPTION_STRING:
        return read_string(r, value, field);
    case OPTION_NAME:
        return read_name(r, value, field);
    case OPTION_TEXT:
        return read_text(r, value, field);
    case OPTION_STRINGS:
        return read_strings(r, value, field);
    case OPTION_SIZES:
        return read_sizes(r, value, field);
    case OPTION_PAIRS:
        return read_pairs(r, value, field);
    case OPTION_TRANSFORMS:
        return read_transforms(r, value, field);
    case OPTION_FIXED:
        return read_fixed(r, value);
    default:
        return ST_OK;
    }
}

enum status read_value(struct arena *a, const struct option *o, const char *path,
                       const struct node *value, void *field, bool *flag, struct error *err)
{
    if (is_word(o, value)) return read_word(o, field, flag);
    struct reading r = {a, o, path, err};
    TRY(read_field(&r, value, field, flag));
    if (flag && o->type != OPTION_COUNT_OR_SHARE) *flag = !o->word;
    return ST_OK;
}
