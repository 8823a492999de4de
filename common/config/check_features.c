/* Rules between the keys of features, and what follows for their tables. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config.h"
#include "common/config/nearest.h"

static const char *first_name(const struct feature_cfg *f)
{
    return f->names.n ? f->names.v[0] : "";
}

static bool has_patterns(const struct feature_cfg *f)
{
    for (size_t i = 0; i < f->names.n; i++)
        if (names_is_pattern(f->names.v[i])) return true;
    return false;
}

/* The node of the effective tree that a feature came from. */
static const struct node *feature_node(const struct settings *s, size_t i)
{
    return config_node(s, "features")->items[i];
}

/* ---- names ---- */

static enum status expand_names(struct settings *s, struct feature_cfg *f,
                                const struct node *node, struct error *err)
{
    const struct node *name = node_get(node, "name"), *names = node_get(node, "names");
    if (!name && !names) {
        config_fail(err, f->at, "features: an entry without 'name' or 'names'");
        return error_hint(err, ST_USAGE, "for example {name: user_id}");
    }
    if (name && names)
        return config_fail(err, names->at, "features.%s: 'name' and 'names' exclude each other",
                           name->text);
    struct name_list out = {0};
    for (size_t i = 0; i < f->names.n; i++) {
        struct origin at = names && names->kind == NODE_LIST ? names->items[i]->at : f->names.at;
        TRY(names_expand(s->arena, &out, f->names.v[i], at, err));
    }
    if (name && (out.n != 1 || names_is_pattern(name->text))) {
        config_fail(err, name->at, "features: '%s' is more than one name", name->text);
        return error_hint(err, ST_USAGE, "ranges and patterns go into names: [...]");
    }
    f->names.v = out.v;
    f->names.n = out.n;
    return ST_OK;
}

static enum status check_origin_of_value(const struct feature_cfg *f, struct error *err)
{
    const char *name = first_name(f);
    int ways = (f->column != NULL) + (f->expr.text != NULL) + (f->cross.n > 0);
    if (f->is_group && ways)
        return config_fail(err, f->at, "features.%s: a group of features reads columns of their "
                                       "own names: no 'column', 'expr' or 'cross'", name);
    if (ways > 1)
        return config_fail(err, f->at, "features.%s: 'column', 'expr' and 'cross' exclude each "
                                       "other", name);
    if (f->except.n && !f->is_group)
        return config_fail(err, f->at, "features.%s: 'except' belongs to 'names'", name);
    if (f->bucketize && (f->cross.n || f->split))
        return config_fail(err, f->at, "features.%s: 'bucketize' needs a single number: no "
                                       "'cross' or 'split'", name);
    if (f->cross.n && f->split)
        return config_fail(err, f->at, "features.%s: a cross is a single id: no 'split'", name);
    if (f->cross.n && f->cross.n != 2)
        return config_fail(err, f->cross.at, "features.%s.cross: expected two names, not %zu",
                           name, f->cross.n);
    return ST_OK;
}

struct named {
    const char *name;
    const struct feature_cfg *feature;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (order) return order;
    return x->feature < y->feature ? -1 : x->feature > y->feature;
}

/* Every name that is no pattern, sorted; caller frees with mem_free. */
static enum status sorted_names(const struct settings *s, struct named **out, size_t *n,
                                struct error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < s->n_features; i++) total += s->features[i].names.n;
    if (total > NAMES_MAX)
        return config_fail(err, s->features[0].at, "features: %zu names, at most %d are allowed",
                           total, NAMES_MAX);
    struct named *v = mem_array(total, sizeof *v);
    if (!v) return config_no_memory(err);
    *n = 0;
    for (size_t i = 0; i < s->n_features; i++)
        for (size_t k = 0; k < s->features[i].names.n; k++)
            if (!names_is_pattern(s->features[i].names.v[k]))
                v[(*n)++] = (struct named){s->features[i].names.v[k], &s->features[i]};
    qsort(v, *n, sizeof *v, by_name);
    *out = v;
    return ST_OK;
}

static enum status check_twice(const struct named *v, size_t n, struct error *err)
{
    for (size_t i = 1; i < n; i++) {
        if (strcmp(v[i - 1].name, v[i].name) != 0) continue;
        unsigned line = v[i - 1].feature->at.line;
        char first[32] = "";
        if (line) snprintf(first, sizeof first, ", first in line %u", line);
        config_fail(err, v[i].feature->at, "features: '%s' is there twice%s", v[i].name, first);
        return error_hint(err, ST_USAGE, "rename one of them (name: NEW, column: %s) or take it "
                                         "out with 'except'", v[i].name);
    }
    return ST_OK;
}

static const struct feature_cfg *find_feature(const struct named *v, size_t n, const char *name)
{
    struct named key = {name, NULL};
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (by_name(&v[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && !strcmp(v[low].name, name) ? v[low].feature : NULL;
}

static enum status check_cross(const struct settings *s, const struct feature_cfg *f,
                               const struct named *v, size_t n, struct error *err)
{
    bool patterns = false; /* names that only the data's columns will show */
    for (size_t i = 0; i < s->n_features; i++) patterns |= has_patterns(&s->features[i]);
    for (size_t i = 0; i < f->cross.n; i++) {
        const struct feature_cfg *part = find_feature(v, n, f->cross.v[i]);
        if (part && part->kind == FEATURE_ID && !part->cross.n) continue;
        if (part)
            return config_fail(err, f->cross.at, "features.%s.cross: '%s' is no plain id feature",
                               first_name(f), f->cross.v[i]);
        if (patterns) continue;
        return config_fail(err, f->cross.at, "features.%s.cross: there is no feature '%s'",
                           first_name(f), f->cross.v[i]);
    }
    return ST_OK;
}

/* ---- slot format ---- */

static bool in_list(const struct list_cfg *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->v[i], name)) return true;
    return false;
}

/* Values of slots are lists of 64-bit numbers; leading plain columns are not. */
static void apply_slot(struct settings *s, struct feature_cfg *f, const struct node *node)
{
    const char *column = f->column ? f->column : first_name(f);
    bool plain = f->expr.text || f->cross.n || f->bucketize;
    if (s->data.train.format != SOURCE_SLOT || f->kind != FEATURE_ID || plain) return;
    if (in_list(&s->data.slot.fixed, column)) return;
    f->multi = true;
    if (!node_get(node, "key")) f->key = KEY_UINT64;
}

/* ---- dims ---- */

struct dims {
    struct table_cfg *tables;
    struct origin *at; /* who said the dim; line 0 and file NULL: nobody */
    size_t n;
};

static enum status two_dims(const struct dims *d, size_t i, const struct feature_cfg *f,
                            struct error *err)
{
    struct origin first = d->at[i];
    config_fail(err, f->at, "table '%s' is used with two dims: %zu here, %zu in %s:%u",
                d->tables[i].name, f->dim, d->tables[i].dim, first.file, first.line);
    return error_hint(err, ST_USAGE, "a table has one dim: write it once, as tables.%s.dim",
                      d->tables[i].name);
}

static enum status set_dim(struct dims *d, const struct feature_cfg *f, const char *table,
                           struct error *err)
{
    size_t i = 1;
    while (i < d->n && strcmp(d->tables[i].name, table) != 0) i++;
    if (i == d->n) {
        d->tables[d->n] = d->tables[0];
        d->tables[d->n].name = table;
        d->at[d->n++] = (struct origin){0};
    }
    if (d->at[i].file && d->tables[i].dim != f->dim) return two_dims(d, i, f, err);
    if (!d->at[i].file) {
        d->at[i] = f->at;
        d->tables[i].dim = f->dim;
        d->tables[i].at = f->at;
    }
    return ST_OK;
}

static enum status feature_dims(struct dims *d, const struct feature_cfg *f, struct error *err)
{
    if (!f->dim) return ST_OK;
    if (f->table) return set_dim(d, f, f->table, err);
    if (has_patterns(f)) {
        config_fail(err, f->at, "features.%s: 'dim' cannot be given for a pattern of names",
                    first_name(f));
        return error_hint(err, ST_USAGE, "name a table for them, or set tables.default.dim");
    }
    for (size_t i = 0; i < f->names.n; i++) TRY(set_dim(d, f, f->names.v[i], err));
    return ST_OK;
}

/* Features' own dims go into the tables; tables that only they name are added. */
static enum status merge_dims(struct settings *s, struct error *err)
{
    size_t most = s->n_tables;
    for (size_t i = 0; i < s->n_features; i++)
        if (s->features[i].dim) most += s->features[i].table ? 1 : s->features[i].names.n;
    if (most == s->n_tables) return ST_OK;
    struct dims d = {.tables = arena_take(s->arena, most, sizeof *d.tables),
                     .at = arena_take(s->arena, most, sizeof *d.at),
                     .n = s->n_tables};
    if (!d.tables || !d.at) return config_no_memory(err);
    memcpy(d.tables, s->tables, s->n_tables * sizeof *d.tables);
    const struct node *written = config_node(s, "tables");
    for (size_t i = 1; i < s->n_tables; i++) {
        const struct node *dim = node_get(node_get(written, s->tables[i].name), "dim");
        if (dim) d.at[i] = dim->at;
    }
    for (size_t i = 0; i < s->n_features; i++) TRY(feature_dims(&d, &s->features[i], err));
    s->tables = d.tables;
    s->n_tables = d.n;
    return ST_OK;
}

/* ---- tables that nobody uses ---- */

static bool uses_table(const struct feature_cfg *f, const char *table)
{
    if (f->kind != FEATURE_ID) return false;
    if (f->table) return !strcmp(f->table, table);
    for (size_t i = 0; i < f->names.n; i++)
        if (!fnmatch(f->names.v[i], table, 0)) return true;
    return false;
}

/* The table's name, of the features' tables, that is nearest. */
static const char *nearest_table(const struct settings *s, const char *table)
{
    size_t n = 0, most = 1;
    for (size_t i = 0; i < s->n_features; i++) most += s->features[i].names.n;
    const char **names = mem_array(most, sizeof *names), *near = NULL;
    if (!names) return NULL;
    for (size_t i = 0; i < s->n_features; i++) {
        const struct feature_cfg *f = &s->features[i];
        if (f->kind == FEATURE_ID && f->table) names[n++] = f->table;
        for (size_t k = 0; f->kind == FEATURE_ID && !f->table && k < f->names.n; k++)
            names[n++] = f->names.v[k];
    }
    near = nearest_word(table, names, n);
    mem_free(names);
    return near;
}

/* Only a warning: an included file may describe tables for other features, too. */
static enum status check_used(struct settings *s, struct error *err)
{
    for (size_t t = 1; t < s->n_tables; t++) {
        bool used = false;
        for (size_t i = 0; i < s->n_features && !used; i++)
            used = uses_table(&s->features[i], s->tables[t].name);
        if (used) continue;
        const char *near = nearest_table(s, s->tables[t].name);
        TRY(config_warn(s, err, s->tables[t].at, "tables.%s: no feature uses this table%s%s%s",
                        s->tables[t].name, near ? "; did you mean '" : "", near ? near : "",
                        near ? "'?" : ""));
    }
    return ST_OK;
}

/* ---- all of them ---- */

static enum status check_table_name(const struct feature_cfg *f, struct error *err)
{
    bool is_default = f->kind == FEATURE_ID && f->table && !strcmp(f->table, "default");
    for (size_t i = 0; f->kind == FEATURE_ID && !f->table && i < f->names.n; i++)
        is_default |= !strcmp(f->names.v[i], "default");
    if (!is_default) return ST_OK;
    config_fail(err, f->at, "features.%s: 'default' is no table but the defaults of all tables",
                first_name(f));
    return error_hint(err, ST_USAGE, "give the feature another 'table'");
}

enum status check_features(struct settings *s, struct error *err)
{
    for (size_t i = 0; i < s->n_features; i++) {
        struct feature_cfg *f = &s->features[i];
        const struct node *node = feature_node(s, i);
        TRY(expand_names(s, f, node, err));
        TRY(check_origin_of_value(f, err));
        TRY(check_table_name(f, err));
        apply_slot(s, f, node);
    }
    struct named *names = NULL;
    size_t n = 0;
    TRY(sorted_names(s, &names, &n, err));
    enum status st = check_twice(names, n, err);
    for (size_t i = 0; st == ST_OK && i < s->n_features; i++)
        st = check_cross(s, &s->features[i], names, n, err);
    mem_free(names);
    if (st == ST_OK) st = merge_dims(s, err);
    return st == ST_OK ? check_used(s, err) : st;
}
