#include "common/config/flat.h"

#include <stdio.h>
#include <string.h>

#include "common/config/buffer.h"
#include "common/config/value.h"

enum { MAX_KEY = 400 };

struct flattening {
    const struct settings *s;
    struct flat *out;
    struct buffer value; /* of the line at hand */
    enum feature_kind kind;
    struct error *err;
};

static enum status add(struct flattening *f, const char *key)
{
    struct flat *out = f->out;
    if (out->n == out->capacity) {
        size_t capacity = out->capacity ? 2 * out->capacity : 256;
        struct flat_line *lines = arena_take(out->arena, capacity, sizeof *lines);
        if (!lines) return config_no_memory(f->err);
        if (out->n) memcpy(lines, out->lines, out->n * sizeof *lines);
        out->lines = lines;
        out->capacity = capacity;
    }
    if (f->value.failed) return config_no_memory(f->err);
    const char *value = f->value.text ? f->value.text : "";
    struct flat_line line = {arena_strdup(out->arena, key),
                             arena_strndup(out->arena, value, f->value.n)};
    f->value.n = 0; /* the buffer serves the next line */
    if (!line.key || !line.value) return config_no_memory(f->err);
    out->lines[out->n++] = line;
    return ST_OK;
}

/* ---- values ---- */

static void put_real(struct buffer *out, double x)
{
    char text[40];
    buffer_puts(out, value_print_real(x, text, sizeof text));
}

static void put_strings(struct buffer *out, const struct list_cfg *list)
{
    for (size_t i = 0; i < list->n; i++) buffer_printf(out, "%s%s", i ? ", " : "", list->v[i]);
}

static void put_sizes(struct buffer *out, const struct sizes_cfg *list)
{
    buffer_puts(out, "[");
    for (size_t i = 0; i < list->n; i++) buffer_printf(out, "%s%zu", i ? ", " : "", list->v[i]);
    buffer_puts(out, "]");
}

static void put_period(struct buffer *out, const struct every_cfg *every)
{
    buffer_printf(out, "%llu steps, ", (unsigned long long)every->steps);
    put_real(out, every->epochs);
    buffer_puts(out, " epochs, ");
    put_real(out, every->seconds);
    buffer_puts(out, " s");
}

static void put_pairs(struct buffer *out, const struct pairs_cfg *pairs)
{
    for (size_t i = 0; i < pairs->n; i++)
        buffer_printf(out, "%s%s: %s", i ? ", " : "", pairs->key[i], pairs->value[i]);
}

static void put_transforms(struct buffer *out, const struct feature_cfg *feature)
{
    static const char *const words[] = {"log1p", "standardize", "minmax", "clip"};
    for (size_t i = 0; i < feature->n_transforms; i++) {
        const struct transform_cfg *t = &feature->transform[i];
        buffer_printf(out, "%s%s", i ? ", " : "", words[t->kind]);
        if (t->kind != TRANSFORM_CLIP) continue;
        buffer_puts(out, " ");
        put_real(out, t->low);
        buffer_puts(out, " ");
        put_real(out, t->high);
    }
}

static void put_value(struct buffer *out, const struct option *o, const void *field, bool flag)
{
    const char *text;
    switch (o->type) {
    case OPTION_BOOL:
        buffer_puts(out, *(const bool *)field ? "true" : "false");
        return;
    case OPTION_ENUM:
        buffer_puts(out, o->names[*(const int *)field]);
        return;
    case OPTION_COUNT:
    case OPTION_BYTES:
        buffer_printf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
        return;
    case OPTION_REAL:
    case OPTION_SHARE:
    case OPTION_COUNT_OR_SHARE:
    case OPTION_SECONDS:
        if (o->word && flag)
            buffer_puts(out, o->word);
        else
            put_real(out, *(const double *)field);
        if (o->type == OPTION_COUNT_OR_SHARE && flag) buffer_puts(out, " of all");
        return;
    case OPTION_STRING:
        memcpy(&text, field, sizeof text);
        buffer_puts(out, text ? text : "");
        return;
    case OPTION_TEXT:
        text = ((const struct text_cfg *)field)->text;
        buffer_puts(out, text ? text : "");
        return;
    case OPTION_STRINGS:
        put_strings(out, field);
        return;
    case OPTION_SIZES:
        put_sizes(out, field);
        return;
    case OPTION_PERIOD:
        put_period(out, field);
        return;
    case OPTION_PAIRS:
        put_pairs(out, field);
        return;
    case OPTION_TRANSFORMS:
        put_transforms(out, field);
        return;
    default:
        return;
    }
}

/* ---- the walk ---- */

static enum status flat_group(struct flattening *f, const struct option_group *group,
                              const char *base, const char *prefix);

static enum status flat_choice(struct flattening *f, const struct option *o, const char *base,
                               const char *key)
{
    int kind = *(const int *)(const void *)(base + o->offset);
    const struct option *chosen = o->group->options;
    while (chosen->value != kind) chosen++;
    buffer_puts(&f->value, chosen->key);
    TRY(add(f, key));
    if (chosen->type == OPTION_NOTHING) return ST_OK;
    char inside[MAX_KEY];
    snprintf(inside, sizeof inside, "%.250s.%s", key, chosen->key);
    const char *part = base + o->offset_n;
    if (chosen->type == OPTION_GROUP) return flat_group(f, chosen->group, part, inside);
    put_value(&f->value, chosen, part + chosen->offset, false);
    return add(f, inside);
}

/* One name of an entry: its column and its table are said even when they are its
 * name. The kind stands for the feature as a whole. */
static enum status flat_feature(struct flattening *f, const struct option *o,
                                const struct feature_cfg *entry, const char *name)
{
    const struct option *kind = option_find(o->group, "kind");
    struct feature_cfg feature = *entry;
    if (!feature.column && !feature.expr.text && !feature.cross.n) feature.column = name;
    if (!feature.table) feature.table = name;
    f->kind = feature.kind;
    char key[MAX_KEY];
    snprintf(key, sizeof key, "features.%.255s", name);
    buffer_puts(&f->value, kind->names[feature.kind]);
    TRY(add(f, key));
    return flat_group(f, o->group, (const char *)&feature, key);
}

/* Every name of a group is a feature of its own. */
static enum status flat_features(struct flattening *f, const struct option *o)
{
    for (size_t i = 0; i < f->s->n_features; i++) {
        const struct feature_cfg *entry = &f->s->features[i];
        for (size_t k = 0; k < entry->names.n; k++)
            TRY(flat_feature(f, o, entry, entry->names.v[k]));
    }
    for (size_t i = 0; i < f->s->n_features; i++) {
        if (i) buffer_puts(&f->value, ", ");
        put_strings(&f->value, &f->s->features[i].names);
    }
    return add(f, "features (order)");
}

static enum status flat_list(struct flattening *f, const struct option *o, const char *base,
                             const char *prefix)
{
    if (!strcmp(o->key, "features")) return flat_features(f, o);
    const char *elements;
    memcpy(&elements, base + o->offset, sizeof elements);
    size_t n = *(const size_t *)(const void *)(base + o->offset_n);
    for (size_t i = 0; i < n; i++) {
        char key[MAX_KEY];
        const char *element = elements + i * o->group->size, *name;
        memcpy(&name, element, sizeof name);
        if (o->type == OPTION_NAMED)
            snprintf(key, sizeof key, "%.100s.%.255s", prefix, name);
        else
            snprintf(key, sizeof key, "%.100s.%zu", prefix, i);
        /* A table is there even when nobody wrote it. */
        if (strcmp(o->key, "tables") != 0) {
            buffer_puts(&f->value, "given");
            TRY(add(f, key));
        }
        TRY(flat_group(f, o->group, element, key));
    }
    return ST_OK;
}

/* What a line would repeat, or nobody reads. */
static bool is_left_out(const struct flattening *f, const struct option_group *group, size_t i,
                        const char *prefix)
{
    const struct option *o = option_row(group, i).o;
    if (o->type == OPTION_PRELUDE || o->type == OPTION_FIXED) return true;
    if (o->models && !(o->models & FOR(f->s->model.type))) return true;
    if (!strncmp(prefix, "features.", 9)) {
        /* Names are in the key, the kind stands for the feature, and dim is its table's. */
        static const char *const said[] = {"name", "names", "kind", "dim"};
        for (size_t k = 0; k < sizeof said / sizeof *said; k++)
            if (!strcmp(o->key, said[k])) return true;
        return o->kinds && !(o->kinds & FOR(f->kind));
    }
    /* The tasks have taken these over. */
    if (!strcmp(prefix, "model") && !strcmp(o->key, "towers")) return true;
    if (!strcmp(prefix, "model.experts") && !strcmp(o->key, "own")) return true;
    /* How files are read is a matter of each source. */
    return !strcmp(prefix, "data") && i < option_count(group->shared);
}

/* check.c has moved the filter on files of their own to these files. */
static enum status flat_valid_where(struct flattening *f)
{
    const char *where = f->s->data.valid.source.where.text;
    buffer_puts(&f->value, where ? where : "");
    return add(f, "data.valid.files where");
}

static enum status flat_option(struct flattening *f, const struct option_row *row,
                               const char *struct_base, const char *key)
{
    const struct option *o = row->o;
    const char *base = struct_base + row->base;
    bool flag = o->flag && *(const bool *)(const void *)(base + o->flag - 1);
    switch (o->type) {
    case OPTION_GROUP:
        if (o->flag) {
            buffer_puts(&f->value, flag ? "given" : "not given");
            TRY(add(f, key));
        }
        if (o->flag && !flag) return ST_OK;
        if (!strcmp(key, "data.valid")) TRY(flat_valid_where(f));
        return flat_group(f, o->group, base + o->offset, key);
    case OPTION_CHOICE:
        return flat_choice(f, o, base, key);
    case OPTION_LIST:
    case OPTION_NAMED:
        return flat_list(f, o, base, key);
    default:
        put_value(&f->value, o, o->type == OPTION_TRANSFORMS ? base : base + o->offset, flag);
        return add(f, key);
    }
}

static enum status flat_group(struct flattening *f, const struct option_group *group,
                              const char *base, const char *prefix)
{
    for (size_t i = 0; i < option_count(group); i++) {
        if (is_left_out(f, group, i, prefix)) continue;
        struct option_row row = option_row(group, i);
        char key[MAX_KEY];
        snprintf(key, sizeof key, "%.300s%s%s", prefix, *prefix ? "." : "", row.o->key);
        TRY(flat_option(f, &row, base, key));
    }
    return ST_OK;
}

enum status flat_make(struct arena *a, const struct settings *s, struct flat *out,
                      struct error *err)
{
    *out = (struct flat){.arena = a};
    struct flattening f = {.s = s, .out = out, .err = err};
    enum status st = flat_group(&f, &option_root, (const char *)s, "");
    buffer_close(&f.value);
    return st;
}
