/* The written tree -> struct settings and the effective tree, row by row of the
 * option table. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/config/config.h"
#include "common/config/flow.h"
#include "common/config/read.h"

enum { MAX_PATH = 512 };

/* Named elements begin with their name. */
_Static_assert(offsetof(struct table_cfg, name) == 0, "name first");
_Static_assert(offsetof(struct task_cfg, name) == 0, "name first");
_Static_assert(offsetof(struct perturb_cfg, name) == 0, "name first");

struct bind {
    struct settings *s;
    struct arena *arena;
    char path[MAX_PATH]; /* of the key at hand */
    enum feature_kind kind; /* of the feature at hand */
    bool has_reading;
    struct source_cfg reading; /* how `data` says files are read */
    bool data_header; /* `data` itself says header */
    struct error *err;
};

/* What a group of keys is bound to. */
struct target {
    const struct option_group *group;
    const struct node *written; /* NULL: nothing is written */
    char *base;                 /* its struct */
    bool inherits;              /* no defaults: base holds the outer level's values */
    struct node *effective;     /* gets the keys */
};

static enum status bind_group(struct bind *b, const struct target *t);

/* ---- paths ---- */

static size_t push(struct bind *b, const char *part)
{
    size_t old = strlen(b->path);
    snprintf(b->path + old, sizeof b->path - old, "%s%.120s", old ? "." : "", part);
    return old;
}

static void pop(struct bind *b, size_t old)
{
    b->path[old] = '\0';
}

/* ---- the effective tree ---- */

static enum status keep(struct bind *b, struct node *effective, const char *key,
                        struct node *value)
{
    struct node *k = node_scalar(b->arena, key, strlen(key), true, value->at);
    if (!k || !node_append(b->arena, effective, k, value)) return config_no_memory(b->err);
    return ST_OK;
}

static enum status default_node(struct bind *b, const struct option *o, struct node **out)
{
    if (strpbrk(o->def, "[{\""))
        return flow_parse(b->arena, o->def, strlen(o->def), "default", out, b->err);
    *out = node_scalar(b->arena, o->def, strlen(o->def), true, (struct origin){"default", 0, 0});
    return *out ? ST_OK : config_no_memory(b->err);
}

static enum status child_map(struct bind *b, const struct node *written, struct node **out)
{
    *out = node_map(b->arena, written ? written->at : (struct origin){"default", 0, 0});
    return *out ? ST_OK : config_no_memory(b->err);
}

/* ---- sources ---- */

/* A source starts from what `data` says; a side table has a layout of its own. */
static struct source_cfg source_start(struct bind *b, bool join)
{
    if (!b->has_reading) {
        b->has_reading = true;
        b->reading = b->s->data.train; /* so far it holds what `data` itself says */
    }
    struct source_cfg start = b->reading;
    if (!join) return start;
    if (start.format == SOURCE_SLOT) start.format = SOURCE_CSV;
    start.columns = (struct list_cfg){0};
    start.skip_lines = 0;
    return start;
}

static void source_finish(struct bind *b, struct source_cfg *source, const struct node *written,
                          bool join)
{
    bool says_header = (written && node_get(written, "header")) || (b->data_header && !join);
    if (!says_header) source->header = source->columns.n == 0;
    if (source->format == SOURCE_SLOT) source->header = false;
    if (!source->delimiter) source->delimiter = source->format == SOURCE_TSV ? "\t" : ",";
}

static struct source_cfg *source_of(const struct option *o, void *field)
{
    if (o->flags & OPTION_JOIN) return &((struct join_cfg *)field)->source;
    if (!strcmp(o->key, "valid")) return &((struct valid_cfg *)field)->source;
    return field;
}

/* ---- single options ---- */

static enum status missing_key(struct bind *b, const struct target *t, const char *key)
{
    size_t dot = strlen(b->path) - strlen(key);
    struct origin at = t->written ? t->written->at : b->s->tree->root->at;
    if (!dot)
        config_fail(b->err, at, "the key '%s' is missing", key);
    else
        config_fail(b->err, at, "'%.*s' needs the key '%s'", (int)dot - 1, b->path, key);
    return error_hint(b->err, ST_USAGE, "see 'mtps config explain %s'", b->path);
}

static enum status not_for_kind(struct bind *b, const struct option *o,
                                const struct node *value)
{
    static const char *const kinds[] = {"id", "dense", "one_hot"};
    const char *fits = "";
    for (size_t k = 3; k-- > 0;)
        if (o->kinds & FOR(k)) fits = kinds[k];
    return config_fail(b->err, value->at, "%s: is for features of kind %s, this one is %s",
                       b->path, fits, kinds[b->kind]);
}

static enum status bind_source(struct bind *b, const struct option *o, const struct node *value,
                               char *field, struct node *effective)
{
    struct source_cfg *source = source_of(o, field);
    *source = source_start(b, false);
    struct target t = {o->group, value, field, false, effective};
    TRY(bind_group(b, &t));
    source->at = value->at;
    bool part = !strcmp(o->key, "valid");
    if (!source->files.n && !part) {
        push(b, "files");
        return missing_key(b, &t, "files");
    }
    source_finish(b, source, value, false);
    return ST_OK;
}

static enum status bind_mapping(struct bind *b, const struct option *o,
                                const struct node *value, char *field, bool inherits,
                                struct node *out)
{
    if (value && value->kind != NODE_MAP) return read_wrong_type(o, b->path, value, b->err);
    struct node *effective;
    TRY(child_map(b, value, &effective));
    if (o->flags & OPTION_SOURCE)
        TRY(bind_source(b, o, value, field, effective));
    else {
        struct target t = {o->group, value, field, inherits, effective};
        TRY(bind_group(b, &t));
    }
    return keep(b, out, o->key, effective);
}

static enum status unknown_choice(struct bind *b, const struct option *o,
                                  const struct node *value, const char *word)
{
    char choices[256];
    config_fail(b->err, value->at, "%s: '%.60s' is unknown: expected %s", b->path, word,
                option_choices_text(o, choices, sizeof choices));
    const char *nearest = option_nearest(o->group, word);
    if (nearest) return error_hint(b->err, ST_USAGE, "did you mean '%s'?", nearest);
    return error_hint(b->err, ST_USAGE, "see 'mtps config explain %s'", b->path);
}

/* Which of its keys a choice names: `adam` or {adam: {lr: 0.1}}. */
static enum status find_choice(struct bind *b, const struct option *o, const struct node *value,
                               const struct option **chosen, const struct node **inside)
{
    *inside = NULL;
    if (value->kind == NODE_LIST) return read_wrong_type(o, b->path, value, b->err);
    if (value->kind == NODE_MAP && value->n != 1) {
        char choices[256];
        return config_fail(b->err, value->at, "%s: expected one of %s, not %zu keys", b->path,
                           option_choices_text(o, choices, sizeof choices), value->n);
    }
    const struct node *word = value->kind == NODE_MAP ? value->keys[0] : value;
    *chosen = option_find(o->group, word->text);
    if (!*chosen) return unknown_choice(b, o, word, word->text);
    if (value->kind == NODE_MAP && !node_is_null(value->items[0])) *inside = value->items[0];
    return ST_OK;
}

static enum status bind_option(struct bind *b, const struct target *t,
                               const struct option_row *row, const struct node *value);

static enum status bind_choice(struct bind *b, const struct option *o, const struct node *value,
                               char *base, bool inherits, struct node *out)
{
    const struct option *chosen;
    const struct node *inside;
    TRY(find_choice(b, o, value, &chosen, &inside));
    int *kind = (int *)(void *)(base + o->offset);
    bool as_before = inherits && *kind == chosen->value;
    *kind = chosen->value;
    bool nothing = chosen->type == OPTION_NOTHING;
    if (nothing && inside) return read_wrong_type(chosen, b->path, inside, b->err);
    if (nothing || (as_before && !inside)) {
        struct node *word =
            node_scalar(b->arena, chosen->key, strlen(chosen->key), true, value->at);
        return word ? keep(b, out, o->key, word) : config_no_memory(b->err);
    }
    struct node *effective;
    TRY(child_map(b, value, &effective));
    struct target t = {o->group, value, base + o->offset_n, as_before, effective};
    struct option_row row = {chosen, 0, as_before};
    TRY(bind_option(b, &t, &row, inside));
    return keep(b, out, o->key, effective);
}

/* ---- lists and named groups ---- */

static enum status too_many(struct bind *b, const struct option *o, const struct node *value)
{
    return config_fail(b->err, value->at, "%s: %zu elements, at most %zu are allowed", b->path,
                       value->n, o->group->max_elements);
}

static void element_name(const struct node *element, size_t i, char *out, size_t size)
{
    const struct node *name = node_get(element, "name");
    if (!name) name = node_get(element, "names");
    if (name && name->kind == NODE_LIST && name->n) name = name->items[0];
    if (name && name->kind == NODE_SCALAR)
        snprintf(out, size, "%.100s", name->text);
    else
        snprintf(out, size, "%zu", i);
}

static enum status bind_list(struct bind *b, const struct option *o, const struct node *value,
                             char *base, struct node *out)
{
    if (value->kind != NODE_LIST) return read_wrong_type(o, b->path, value, b->err);
    if (!value->n && (o->flags & OPTION_NOT_EMPTY))
        return config_fail(b->err, value->at, "%s: the list is empty", b->path);
    if (value->n > o->group->max_elements) return too_many(b, o, value);
    char *elements = arena_take(b->arena, value->n, o->group->size);
    struct node *list = node_list(b->arena, value->at);
    if (!elements || !list) return config_no_memory(b->err);
    for (size_t i = 0; i < value->n; i++) {
        const struct node *one = value->items[i];
        char *element = elements + i * o->group->size, name[128];
        element_name(one, i, name, sizeof name);
        size_t old = push(b, name);
        if (one->kind != NODE_MAP)
            return config_fail(b->err, one->at, "%s: expected a mapping", b->path);
        bool join = (o->flags & OPTION_JOIN) != 0;
        if (join) *source_of(o, element) = source_start(b, true);
        struct target t = {o->group, one, element, false, NULL};
        TRY(child_map(b, one, &t.effective));
        TRY(bind_group(b, &t));
        if (join) source_finish(b, source_of(o, element), one, true);
        if (o->group->at) *(struct origin *)(void *)(element + o->group->at - 1) = one->at;
        if (!node_append(b->arena, list, NULL, t.effective)) return config_no_memory(b->err);
        pop(b, old);
    }
    memcpy(base + o->offset, &elements, sizeof elements);
    *(size_t *)(void *)(base + o->offset_n) = value->n;
    return keep(b, out, o->key, list);
}

/* Elements start from the values that they override. */
static bool prefill(struct bind *b, const struct option *o, char *element, size_t i)
{
    const struct model_cfg *m = &b->s->model;
    if (!strcmp(o->key, "tables")) {
        if (i) *(struct table_cfg *)(void *)element = b->s->tables[0];
        return i > 0;
    }
    if (strcmp(o->key, "tasks") != 0) return false;
    struct task_cfg *task = (void *)element;
    task->tower = m->towers;
    task->gate = m->gates;
    task->own = m->expert_own;
    task->has_own = m->has_expert_own;
    return false;
}

static enum status bind_element(struct bind *b, const struct option *o, char *base,
                                const char *name, const struct node *written, size_t i,
                                struct node *map)
{
    char *element;
    memcpy(&element, base + o->offset, sizeof element);
    element += i * o->group->size;
    size_t old = push(b, name);
    if (written && written->kind != NODE_MAP)
        return config_fail(b->err, written->at, "%s: expected a mapping", b->path);
    bool inherits = prefill(b, o, element, i);
    const char *own_name = arena_strdup(b->arena, name);
    if (!own_name) return config_no_memory(b->err);
    memcpy(element, &own_name, sizeof own_name);
    struct target t = {o->group, written, element, inherits, NULL};
    TRY(child_map(b, written, &t.effective));
    *(struct origin *)(void *)(element + o->group->at - 1) = t.effective->at;
    TRY(bind_group(b, &t));
    pop(b, old);
    return keep(b, map, name, t.effective);
}

/* Elements with names. The table `default` always exists and comes first. */
static enum status bind_named(struct bind *b, const struct option *o, const struct node *value,
                              char *base, struct node *out)
{
    if (value && value->kind != NODE_MAP) return read_wrong_type(o, b->path, value, b->err);
    size_t n = value ? value->n : 0;
    if (n > o->group->max_elements) return too_many(b, o, value);
    char *elements = arena_take(b->arena, n + 1, o->group->size);
    struct node *map;
    TRY(child_map(b, value, &map));
    if (!elements) return config_no_memory(b->err);
    memcpy(base + o->offset, &elements, sizeof elements);
    size_t *count = (size_t *)(void *)(base + o->offset_n);
    bool tables = !strcmp(o->key, "tables");
    *count = 0;
    if (tables) {
        const struct node *first = value ? node_get(value, "default") : NULL;
        if (first && node_is_null(first)) first = NULL;
        TRY(bind_element(b, o, base, "default", first, (*count)++, map));
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = value->keys[i]->text;
        if ((tables && !strcmp(name, "default")) || node_is_null(value->items[i])) continue;
        TRY(bind_element(b, o, base, name, value->items[i], (*count)++, map));
    }
    if (!*count && (o->flags & OPTION_NOT_EMPTY))
        return config_fail(b->err, value->at, "%s: there is none", b->path);
    return keep(b, out, o->key, map);
}

/* ---- groups ---- */

static enum status bind_leaf(struct bind *b, const struct target *t,
                             const struct option_row *row, const struct node *value)
{
    const struct option *o = row->o;
    char *base = t->base + row->base;
    bool *flag = o->flag ? (bool *)(void *)(base + o->flag - 1) : NULL;
    void *field = o->type == OPTION_TRANSFORMS ? base : base + o->offset;
    TRY(read_value(b->arena, o, b->path, value, field, flag, b->err));
    if (!strcmp(o->key, "kind")) b->kind = ((struct feature_cfg *)(void *)base)->kind;
    struct node *copy = node_copy(b->arena, value);
    return copy ? keep(b, t->effective, o->key, copy) : config_no_memory(b->err);
}

/* What happens to a key that is not written: its default, or nothing. */
static enum status absent(struct bind *b, const struct target *t, const struct option_row *row,
                          struct node **value, bool *skip)
{
    const struct option *o = row->o;
    *skip = true;
    if (o->flags & OPTION_REQUIRED) return missing_key(b, t, o->key);
    if (o->type == OPTION_PRELUDE || (o->kinds && !(o->kinds & FOR(b->kind)))) return ST_OK;
    if (t->inherits || row->inherits || (o->flags & OPTION_INHERITS)) return ST_OK;
    if (o->type == OPTION_NAMED || (o->type == OPTION_GROUP && !o->def_text)) {
        *skip = false;
        return ST_OK;
    }
    if (!o->def) return ST_OK;
    *skip = false;
    return default_node(b, o, value);
}

static enum status bind_option(struct bind *b, const struct target *t,
                               const struct option_row *row, const struct node *value)
{
    const struct option *o = row->o;
    size_t old = push(b, o->key);
    struct node *filled = NULL;
    bool skip = false;
    if (!value) TRY(absent(b, t, row, &filled, &skip));
    if (filled) value = filled;
    if (skip) {
        pop(b, old);
        return ST_OK;
    }
    if (value && o->kinds && !(o->kinds & FOR(b->kind))) return not_for_kind(b, o, value);
    char *base = t->base + row->base;
    bool inherits = t->inherits || row->inherits || (o->flags & OPTION_INHERITS);
    switch (o->type) {
    case OPTION_PRELUDE:
        return config_fail(b->err, value->at, "'%s' cannot be written here", o->key);
    case OPTION_GROUP:
        TRY(bind_mapping(b, o, value, base + o->offset, inherits, t->effective));
        if (o->flag) *(bool *)(void *)(base + o->flag - 1) = true;
        break;
    case OPTION_CHOICE:
        TRY(bind_choice(b, o, value, base, inherits, t->effective));
        break;
    case OPTION_LIST:
        TRY(bind_list(b, o, value, base, t->effective));
        break;
    case OPTION_NAMED:
        TRY(bind_named(b, o, value, base, t->effective));
        break;
    default:
        TRY(bind_leaf(b, t, row, value));
    }
    pop(b, old);
    return ST_OK;
}

static enum status bind_group(struct bind *b, const struct target *t)
{
    const struct node *written = t->written;
    for (size_t i = 0; written && i < written->n; i++)
        if (!option_find(t->group, written->keys[i]->text))
            return config_unknown_key(b->err, written->keys[i]->at, written->keys[i]->text,
                                      b->path, t->group);
    for (size_t i = 0; i < option_count(t->group); i++) {
        struct option_row row = option_row(t->group, i);
        const struct node *value = written ? node_get(written, row.o->key) : NULL;
        if (value && node_is_null(value)) value = NULL;
        TRY(bind_option(b, t, &row, value));
    }
    return ST_OK;
}

enum status bind_settings(struct settings *s, const struct node *written, struct error *err)
{
    struct bind b = {.s = s, .arena = s->arena, .err = err};
    struct config *tree = s->tree;
    if (written->kind != NODE_MAP)
        return config_fail(err, written->at, "expected a mapping of keys at the top level");
    tree->root = node_map(s->arena, written->at);
    if (!tree->root) return config_no_memory(err);
    const struct node *data = node_get(written, "data");
    b.data_header = data && data->kind == NODE_MAP && node_get(data, "header");
    struct target t = {&option_root, written, (char *)s, false, tree->root};
    return bind_group(&b, &t);
}
