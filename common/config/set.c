/* --set KEY=VALUE: KEY is a dotted path, VALUE is YAML and replaces what is
 * there. Elements of `features` are addressed by name, of `joins` by place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config.h"
#include "common/config/nearest.h"
#include "common/config/yaml.h"

enum { MAX_PART = 256, MAX_KNOWN = 4096 };

struct set {
    struct arena *arena;
    const char *key;  /* the whole path */
    const char *rest; /* what is not followed yet; NULL at the end */
    struct node *value;
    struct origin at;
    struct error *err;
};

static bool is_last(const struct set *s)
{
    return s->rest == NULL;
}

static enum status next_part(struct set *s, char *part)
{
    size_t n = strcspn(s->rest, ".");
    if (!n || n >= MAX_PART)
        return config_fail(s->err, s->at, "'%s' is not a key", s->key);
    memcpy(part, s->rest, n);
    part[n] = '\0';
    s->rest = s->rest[n] ? s->rest + n + 1 : NULL;
    return ST_OK;
}

/* An element's name may have dots in it: the longest one that fits is taken. */
static bool take_name(struct set *s, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(s->rest, name, n) != 0 || (s->rest[n] && s->rest[n] != '.')) return false;
    s->rest = s->rest[n] ? s->rest + n + 1 : NULL;
    return true;
}

static enum status put(struct set *s, struct node *map, const char *key, struct node *value)
{
    return node_put(s->arena, map, key, s->at, value) ? ST_OK : config_no_memory(s->err);
}

/* The mapping below a key; made when there is none. */
static enum status descend(struct set *s, struct node *map, const char *key, struct node **out)
{
    *out = node_get(map, key);
    if (*out && (*out)->kind == NODE_MAP) return ST_OK;
    *out = node_map(s->arena, s->at);
    if (!*out) return config_no_memory(s->err);
    return put(s, map, key, *out);
}

static enum status set_in_group(struct set *s, const struct option_group *group,
                                struct node *map, const char *where);

static enum status set_in_named(struct set *s, const struct option *o, struct node *map)
{
    const char *name = NULL;
    for (size_t i = 0; i < map->n; i++) {
        const char *known = map->keys[i]->text;
        size_t n = strlen(known);
        bool fits = !strncmp(s->rest, known, n) && (!s->rest[n] || s->rest[n] == '.');
        if (fits && (!name || n > strlen(name))) name = known;
    }
    char part[MAX_PART];
    if (name)
        take_name(s, name);
    else {
        TRY(next_part(s, part));
        name = part;
    }
    if (is_last(s)) return put(s, map, name, s->value);
    if (!o->group) return config_fail(s->err, s->at, "'%s': '%s' has no keys", s->key, name);
    struct node *element = NULL;
    TRY(descend(s, map, name, &element));
    return set_in_group(s, o->group, element, o->key);
}

/* ---- features ---- */

static enum status no_element(struct set *s, const struct option *o, const struct node *list)
{
    const char *known[MAX_KNOWN];
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        struct name_list names = {0};
        TRY(element_names(s->arena, list->items[i], &names, s->err));
        for (size_t k = 0; k < names.n && n < MAX_KNOWN; k++) known[n++] = names.v[k];
    }
    char part[MAX_PART];
    TRY(next_part(s, part));
    config_fail(s->err, s->at, "%s: no element '%s' in '%s'", s->key, part, o->key);
    const char *nearest = nearest_word(part, known, n);
    if (nearest) return error_hint(s->err, ST_USAGE, "did you mean '%s'?", nearest);
    return error_hint(s->err, ST_USAGE, "elements are addressed by name, or by place from 0");
}

/* Find the element that the path names next; takes it off the path. */
static enum status find_element(struct set *s, const struct option *o, struct node *list,
                                struct node **out, size_t *at)
{
    for (*at = 0; *at < list->n; ++*at) {
        struct name_list names = {0};
        TRY(element_names(s->arena, list->items[*at], &names, s->err));
        for (size_t k = 0; k < names.n; k++) {
            if (!take_name(s, names.v[k])) continue;
            TRY(element_own(s->arena, list, at, &names, k, s->err));
            *out = list->items[*at];
            return ST_OK;
        }
    }
    size_t digits = strspn(s->rest, "0123456789");
    bool place = digits && digits < 6 && (!s->rest[digits] || s->rest[digits] == '.');
    if (!place || strtoul(s->rest, NULL, 10) >= list->n) return no_element(s, o, list);
    *at = strtoul(s->rest, NULL, 10);
    *out = list->items[*at];
    s->rest = s->rest[digits] ? s->rest + digits + 1 : NULL;
    return ST_OK;
}

static enum status set_in_list(struct set *s, const struct option *o, struct node *list)
{
    struct node *element = NULL;
    size_t at = 0;
    TRY(find_element(s, o, list, &element, &at));
    if (!is_last(s)) {
        if (element->kind != NODE_MAP)
            return config_fail(s->err, s->at, "%s: the element is not a mapping", s->key);
        return set_in_group(s, o->group, element, o->key);
    }
    if (node_is_null(s->value)) {
        node_remove(list, at);
        return ST_OK;
    }
    struct node *name = node_get(element, "name");
    if (name && s->value->kind == NODE_MAP && !node_get(s->value, "name"))
        TRY(put(s, s->value, "name", name));
    list->items[at] = s->value;
    return ST_OK;
}

/* ---- groups ---- */

/* optimizer.adam.lr: the key below a choice makes the choice. */
static enum status set_in_choice(struct set *s, const struct option *o, struct node *map,
                                 const struct node *written)
{
    char part[MAX_PART];
    const char *from = s->rest;
    TRY(next_part(s, part));
    s->rest = from;
    if (!option_find(o->group, part))
        return config_unknown_key(s->err, s->at, part, o->key, o->group);
    bool same = map->n == 1 && !strcmp(map->keys[0]->text, part);
    bool same_word = written && written->kind == NODE_SCALAR && !strcmp(written->text, part);
    if (!same && !same_word)
        while (map->n) node_remove(map, 0);
    return set_in_group(s, o->group, map, o->key);
}

static enum status set_in_group(struct set *s, const struct option_group *group,
                                struct node *map, const char *where)
{
    char part[MAX_PART];
    TRY(next_part(s, part));
    const struct option *o = option_find(group, part);
    if (!o) return config_unknown_key(s->err, s->at, part, where, group);
    if (o->type == OPTION_PRELUDE && strcmp(part, "vars") != 0)
        return config_fail(s->err, s->at, "'%s' can only be written in a file", part);
    if (is_last(s)) return put(s, map, part, s->value);
    if (o->type == OPTION_LIST) {
        struct node *list = node_get(map, part);
        if (!list || list->kind != NODE_LIST)
            return config_fail(s->err, s->at, "%s: there is no list '%s'", s->key, part);
        return set_in_list(s, o, list);
    }
    bool named = o->type == OPTION_NAMED || o->type == OPTION_PAIRS || o->type == OPTION_PRELUDE;
    if (!o->group && !named) {
        config_fail(s->err, s->at, "%s: '%s' has no keys of its own", s->key, o->key);
        return error_hint(s->err, ST_USAGE, "'%s' is a %s", o->key, option_type_text(o));
    }
    const struct node *written = node_get(map, part);
    struct node *child;
    TRY(descend(s, map, part, &child));
    if (named) return set_in_named(s, o, child);
    if (o->type == OPTION_CHOICE) return set_in_choice(s, o, child, written);
    return set_in_group(s, o->group, child, o->key);
}

enum status set_apply(struct arena *a, struct node *root, const char *assignment,
                      struct error *err)
{
    struct set s = {.arena = a, .at = {"--set", 0, 0}, .err = err};
    size_t n = strcspn(assignment, "=");
    if (!n || !assignment[n]) {
        config_fail(err, s.at, "'%.100s' is not KEY=VALUE", assignment);
        return error_hint(err, ST_USAGE, "for example --set train.epochs=2");
    }
    s.key = s.rest = arena_strndup(a, assignment, n);
    if (!s.key) return config_no_memory(err);
    const char *value = assignment + n + 1;
    if (!value[strspn(value, " \t\n")]) { /* --set KEY= takes the key away */
        s.value = node_scalar(a, "", 0, true, s.at);
        if (!s.value) return config_no_memory(err);
    } else {
        enum status st = yaml_parse(a, value, strlen(value), "--set", false, &s.value, err);
        if (st != ST_OK) return error_wrap(err, st, "%s", s.key);
    }
    return set_in_group(&s, &option_root, root, NULL);
}

/* ---- assignments made by programs ---- */

size_t settings_assign_bytes(const char *key, const char *value)
{
    return strlen(key) + 2 * strlen(value) + sizeof "=\"\"";
}

void settings_assign_text(const char *key, const char *value, char *out)
{
    out += sprintf(out, "%s=\"", key);
    for (const char *c = value; *c; c++) {
        if (*c == '"' || *c == '\\') *out++ = '\\';
        if (c[0] == '$' && c[1] == '{') *out++ = '$';
        *out++ = *c;
    }
    *out++ = '"';
    *out = '\0';
}
