/* include: one file on top of others. What is merged follows from the option
 * table: groups and named groups key by key, features and joins by their names
 * and files (a name within a group, too), a choice when both chose the same; everything
 * else is replaced. */
#include <stdio.h>
#include <string.h>

#include "common/config/config.h"
#include "common/config/yaml.h"

enum { MAX_INCLUDE_DEPTH = 8, MAX_INCLUDED_FILES = 64, MAX_PATH = 4096 };

static enum status put(struct arena *a, struct node *map, struct node *key,
                       struct node *value, struct error *err)
{
    size_t i = node_find(map, key->text);
    if (i == map->n)
        return node_append(a, map, key, value) ? ST_OK : config_no_memory(err);
    map->keys[i] = key;
    map->items[i] = value;
    return ST_OK;
}

/* What an element of `features` or `joins` is found again by. */
static const struct node *identity(const struct node *element)
{
    static const char *const keys[] = {"name", "names", "files"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct node *value = node_get(element, keys[i]);
        if (value) return value;
    }
    return NULL;
}

static size_t identity_count(const struct node *node)
{
    return node->kind == NODE_LIST ? node->n : 1;
}

static bool same_identity(const struct node *a, const struct node *b)
{
    const struct node *x = identity(a), *y = identity(b);
    if (!x || !y || x->kind == NODE_MAP || y->kind == NODE_MAP) return false;
    size_t n = identity_count(x);
    if (n != identity_count(y)) return false;
    for (size_t i = 0; i < n; i++) {
        const struct node *s = x->kind == NODE_LIST ? x->items[i] : x;
        const struct node *t = y->kind == NODE_LIST ? y->items[i] : y;
        if (s->kind != NODE_SCALAR || t->kind != NODE_SCALAR || strcmp(s->text, t->text))
            return false;
    }
    return true;
}

/* The element of base that has the name, on its own; base->n when there is none. */
static enum status find_name(struct arena *a, struct node *base, const char *name,
                             size_t *at, struct error *err)
{
    for (*at = 0; *at < base->n; ++*at) {
        struct name_list names = {0};
        TRY(element_names(a, base->items[*at], &names, err));
        for (size_t k = 0; k < names.n; k++)
            if (!strcmp(names.v[k], name))
                return element_own(a, base, at, &names, k, err);
    }
    return ST_OK;
}

/* An element that names others than those of one element of base: name by name. */
static enum status merge_names(struct arena *a, const struct option_group *group,
                               struct node *base, const struct node *over,
                               struct error *err)
{
    struct name_list names = {0};
    TRY(element_names(a, over, &names, err));
    for (size_t i = 0; i < names.n; i++) {
        struct node *one;
        size_t k;
        TRY(element_of_one(a, over, names.v[i], &one, err));
        TRY(find_name(a, base, names.v[i], &k, err));
        if (k < base->n)
            TRY(merge_group(a, group, base->items[k], one, err));
        else if (!node_append(a, base, NULL, one))
            return config_no_memory(err);
    }
    return ST_OK;
}

/* Does base have any of the names? */
static enum status shares_name(struct arena *a, const struct node *base,
                               const struct node *over, bool *shares, struct error *err)
{
    struct name_list mine = {0}, theirs = {0};
    *shares = false;
    TRY(element_names(a, over, &mine, err));
    for (size_t i = 0; i < base->n; i++)
        TRY(element_names(a, base->items[i], &theirs, err));
    for (size_t i = 0; i < mine.n && !*shares; i++)
        for (size_t k = 0; k < theirs.n && !*shares; k++)
            *shares = !strcmp(mine.v[i], theirs.v[k]);
    return ST_OK;
}

static enum status merge_elements(struct arena *a, const struct option_group *group,
                                  struct node *base, const struct node *over,
                                  struct error *err)
{
    for (size_t i = 0; i < over->n; i++) {
        size_t k = 0;
        while (k < base->n && !same_identity(base->items[k], over->items[i])) k++;
        if (k < base->n) {
            TRY(merge_group(a, group, base->items[k], over->items[i], err));
            continue;
        }
        bool shares;
        TRY(shares_name(a, base, over->items[i], &shares, err));
        if (shares)
            TRY(merge_names(a, group, base, over->items[i], err));
        else if (!node_append(a, base, NULL, over->items[i]))
            return config_no_memory(err);
    }
    return ST_OK;
}

static enum status merge_named(struct arena *a, const struct option_group *group,
                               struct node *base, const struct node *over,
                               struct error *err)
{
    for (size_t i = 0; i < over->n; i++) {
        struct node *old = node_get(base, over->keys[i]->text), *new = over->items[i];
        if (group && old && old->kind == NODE_MAP && new->kind == NODE_MAP)
            TRY(merge_group(a, group, old, new, err));
        else
            TRY(put(a, base, over->keys[i], new, err));
    }
    return ST_OK;
}

static bool same_choice(const struct node *old, const struct node *new)
{
    return old->n == 1 && new->n == 1 && !strcmp(old->keys[0]->text, new->keys[0]->text);
}

/* Merge the value of one key when the table says so; *merged tells. */
static enum status merge_value(struct arena *a, const struct option *o, struct node *old,
                               const struct node *new, bool *merged, struct error *err)
{
    *merged = true;
    if (o && old->kind == NODE_MAP && new->kind == NODE_MAP &&
        !(o->flags & OPTION_REPLACED)) {
        if (o->type == OPTION_GROUP ||
            (o->type == OPTION_CHOICE && same_choice(old, new)))
            return merge_group(a, o->group, old, new, err);
        if (o->type == OPTION_NAMED) return merge_named(a, o->group, old, new, err);
        if (o->type == OPTION_PRELUDE || o->type == OPTION_PAIRS)
            return merge_named(a, NULL, old, new, err);
    }
    if (o && o->type == OPTION_LIST && old->kind == NODE_LIST && new->kind == NODE_LIST)
        return merge_elements(a, o->group, old, new, err);
    *merged = false;
    return ST_OK;
}

enum status merge_group(struct arena *a, const struct option_group *group,
                        struct node *base, const struct node *over, struct error *err)
{
    for (size_t i = 0; over->kind == NODE_MAP && i < over->n; i++) {
        struct node *key = over->keys[i], *new = over->items[i];
        struct node *old = node_get(base, key->text);
        bool merged = false;
        if (old)
            TRY(merge_value(a, option_find(group, key->text), old, new, &merged, err));
        if (!merged) TRY(put(a, base, key, new, err));
    }
    return ST_OK;
}

struct include {
    struct arena *arena;
    size_t n_files;
    struct error *err;
};

/* Paths in `include` start at the folder of the file that says it. */
static const char *beside(struct arena *a, const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || !slash) return arena_strdup(a, path);
    return arena_printf(a, "%.*s%s", (int)(slash - file + 1), file, path);
}

static enum status expand(struct include *inc, const char *file, struct node **root,
                          size_t depth);

static enum status include_one(struct include *inc, const char *file,
                               const struct node *what, struct node **base, size_t depth)
{
    if (what->kind != NODE_SCALAR || !what->text[0])
        return config_fail(inc->err, what->at, "include: expected a file's name");
    if (strlen(what->text) > MAX_PATH)
        return config_fail(inc->err, what->at, "include: the path is too long");
    if (depth == MAX_INCLUDE_DEPTH || ++inc->n_files > MAX_INCLUDED_FILES) {
        config_fail(inc->err, what->at, "include: '%s' is nested too deep", what->text);
        return error_hint(inc->err, ST_USAGE,
                          "a file may not include itself, directly or "
                          "through others");
    }
    const char *path = beside(inc->arena, file, what->text);
    if (!path) return config_no_memory(inc->err);
    struct node *root;
    enum status st = yaml_read(inc->arena, path, &root, inc->err);
    if (st == ST_NOINPUT) {
        error_wrap(inc->err, st, "%s:%u:%u: include", what->at.file, what->at.line,
                   what->at.column);
        return error_hint(inc->err, st,
                          "relative paths start at the folder of the file that includes");
    }
    if (st == ST_OK) st = expand(inc, path, &root, depth + 1);
    if (st != ST_OK) return st;
    if (!*base) {
        *base = root;
        return ST_OK;
    }
    return merge_group(inc->arena, &option_root, *base, root, inc->err);
}

static enum status expand(struct include *inc, const char *file, struct node **root,
                          size_t depth)
{
    if ((*root)->kind != NODE_MAP)
        return config_fail(inc->err, (*root)->at,
                           "expected a mapping of keys at the top level");
    size_t at = node_find(*root, "include");
    if (at == (*root)->n) return ST_OK;
    const struct node *what = (*root)->items[at];
    node_remove(*root, at);
    if (node_is_null(what)) return ST_OK;
    struct node *base = NULL;
    if (what->kind != NODE_LIST) TRY(include_one(inc, file, what, &base, depth));
    for (size_t i = 0; what->kind == NODE_LIST && i < what->n; i++)
        TRY(include_one(inc, file, what->items[i], &base, depth));
    if (!base) return ST_OK;
    TRY(merge_group(inc->arena, &option_root, base, *root, inc->err));
    base->at = (*root)->at;
    *root = base;
    return ST_OK;
}

enum status merge_includes(struct arena *a, const char *file, struct node **root,
                           struct error *err)
{
    if (!file) { /* text from memory */
        const struct node *what =
            (*root)->kind == NODE_MAP ? node_get(*root, "include") : NULL;
        if (what)
            return config_fail(err, what->at,
                               "include: only a configuration file may include "
                               "others");
        file = "";
    }
    struct include inc = {.arena = a, .err = err};
    return expand(&inc, file, root, 0);
}
