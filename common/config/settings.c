#include "common/config/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/buffer.h"
#include "common/config/config.h"
#include "common/config/flow.h"

/* ---- errors and warnings ---- */

static void origin_print(struct origin at, char *out, size_t size)
{
    if (at.line && at.column)
        snprintf(out, size, "%s:%u:%u", at.file, at.line, at.column);
    else
        snprintf(out, size, "%s", at.file ? at.file : "configuration");
}

enum status config_fail(struct error *err, struct origin at, const char *fmt, ...)
{
    char where[512], what[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    origin_print(at, where, sizeof where);
    return error_set(err, ST_USAGE, "%s: %s", where, what);
}

enum status config_unknown_key(struct error *err, struct origin at, const char *key,
                               const char *where, const struct option_group *group)
{
    bool top = !where || !*where;
    config_fail(err, at, "unknown key '%.100s' %s%s%s", key, top ? "at the top level" : "in '",
                top ? "" : where, top ? "" : "'");
    const char *nearest = option_nearest(group, key);
    char list[400];
    size_t used = 0;
    for (size_t i = 0; !nearest && i < option_count(group) && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 option_row(group, i).o->key);
    if (nearest)
        return error_hint(err, ST_USAGE, "did you mean '%s'? See 'mtps config explain%s%s'",
                          nearest, top ? "" : " ", top ? "" : where);
    return error_hint(err, ST_USAGE, "known keys: %s", list);
}

enum status config_no_memory(struct error *err)
{
    return mem_error(err, "configuration", sizeof(struct node));
}

enum status config_warn(struct settings *s, struct error *err, struct origin at,
                        const char *fmt, ...)
{
    char where[512], what[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    origin_print(at, where, sizeof where);
    struct config *tree = s->tree;
    if (tree->warnings.n == tree->warning_capacity) {
        size_t capacity = tree->warning_capacity ? 2 * tree->warning_capacity : 8;
        const char **v = arena_take(s->arena, capacity, sizeof *v);
        if (!v) return config_no_memory(err);
        if (tree->warnings.n) memcpy(v, tree->warnings.v, tree->warnings.n * sizeof *v);
        tree->warnings.v = v;
        tree->warning_capacity = capacity;
    }
    char *line = arena_printf(s->arena, "%s: %s", where, what);
    if (!line) return config_no_memory(err);
    tree->warnings.v[tree->warnings.n++] = line;
    return ST_OK;
}

const struct list_cfg *settings_warnings(const struct settings *s)
{
    return &s->tree->warnings;
}

/* ---- the effective tree ---- */

/* Follows names and, in lists, places. *deepest: the last node that there was. */
static struct node *follow(const struct settings *s, const char *path, struct node **deepest)
{
    struct node *node = s->tree->root;
    *deepest = node;
    while (*path && node) {
        char part[256];
        size_t n = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        if (node->kind == NODE_LIST) {
            size_t i = strtoul(part, NULL, 10);
            node = i < node->n ? node->items[i] : NULL;
        } else {
            node = node_get(node, part);
        }
        if (node) *deepest = node;
        path += n + (path[n] == '.');
    }
    return node;
}

struct node *config_node(const struct settings *s, const char *path)
{
    struct node *deepest;
    return follow(s, path, &deepest);
}

struct origin config_origin(const struct settings *s, const char *path, bool *is_default)
{
    struct node *deepest;
    follow(s, path, &deepest);
    *is_default = deepest->at.file && !strcmp(deepest->at.file, "default");
    return deepest->at;
}

bool config_given(const struct settings *s, const char *path)
{
    const struct node *node = config_node(s, path);
    return node && !(node->at.file && !strcmp(node->at.file, "default"));
}

/* ---- making ---- */

enum status config_create(struct settings **out, struct error *err)
{
    struct arena *arena;
    TRY(arena_create(&arena, err));
    struct settings *s = arena_take(arena, 1, sizeof *s);
    if (s) s->tree = arena_take(arena, 1, sizeof *s->tree);
    if (!s || !s->tree) {
        arena_destroy(arena);
        return config_no_memory(err);
    }
    s->arena = arena;
    *out = s;
    return ST_OK;
}

void settings_destroy(struct settings *s)
{
    if (s) arena_destroy(s->arena);
}

const char *settings_model_name(const struct settings *s)
{
    return model_type_name(s->model.type);
}

/* ---- one line ---- */

enum status settings_print_flow(const struct settings *s, char **out, struct error *err)
{
    struct buffer b = {0};
    flow_put(&b, s->tree->root);
    return buffer_take(&b, out, err);
}

static enum status read_flow(struct settings *s, const char *text, size_t n, const char *name,
                             struct error *err)
{
    struct node *root;
    const char *file = arena_strdup(s->arena, name);
    if (!file) return config_no_memory(err);
    TRY(flow_parse(s->arena, text, n, file, &root, err));
    TRY(bind_settings(s, root, err));
    return check_settings(s, err);
}

enum status settings_parse_flow(const char *text, size_t n, const char *name,
                                struct settings **out, struct error *err)
{
    struct settings *s = NULL;
    TRY(config_create(&s, err));
    enum status st = read_flow(s, text, n, name, err);
    if (st == ST_OK)
        *out = s;
    else
        settings_destroy(s);
    return st;
}
