#include "common/config/node.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct node *node_new(struct arena *a, enum node_kind kind, struct origin at)
{
    struct node *node = arena_take(a, 1, sizeof *node);
    if (!node) return NULL;
    node->kind = kind;
    node->at = at;
    return node;
}

struct node *node_scalar(struct arena *a, const char *text, size_t n, bool plain,
                         struct origin at)
{
    struct node *node = node_new(a, NODE_SCALAR, at);
    if (!node) return NULL;
    node->plain = plain;
    node->text = arena_strndup(a, text, n);
    return node->text ? node : NULL;
}

struct node *node_list(struct arena *a, struct origin at)
{
    return node_new(a, NODE_LIST, at);
}

struct node *node_map(struct arena *a, struct origin at)
{
    return node_new(a, NODE_MAP, at);
}

struct node *node_copy(struct arena *a, const struct node *from)
{
    struct node *copy = node_new(a, from->kind, from->at);
    if (!copy) return NULL;
    copy->plain = from->plain;
    copy->text = from->text;
    for (size_t i = 0; i < from->n; i++) {
        struct node *item = node_copy(a, from->items[i]);
        struct node *key = from->kind == NODE_MAP ? from->keys[i] : NULL;
        if (!item || !node_append(a, copy, key, item)) return NULL;
    }
    return copy;
}

static bool grow(struct arena *a, struct node *to)
{
    if (to->n < to->capacity) return true;
    size_t capacity = to->capacity ? 2 * to->capacity : 4;
    struct node **items = arena_take(a, capacity, sizeof *items);
    struct node **keys = to->kind == NODE_MAP ? arena_take(a, capacity, sizeof *keys) : NULL;
    if (!items || (to->kind == NODE_MAP && !keys)) return false;
    if (to->n) memcpy(items, to->items, to->n * sizeof *items);
    if (to->n && keys) memcpy(keys, to->keys, to->n * sizeof *keys);
    to->items = items;
    to->keys = keys;
    to->capacity = capacity;
    return true;
}

bool node_append(struct arena *a, struct node *to, struct node *key, struct node *item)
{
    assert((to->kind == NODE_MAP) == (key != NULL) && to->kind != NODE_SCALAR);
    if (!grow(a, to)) return false;
    if (key) to->keys[to->n] = key;
    to->items[to->n++] = item;
    return true;
}

bool node_insert(struct arena *a, struct node *list, size_t at, struct node *item)
{
    assert(list->kind == NODE_LIST && at <= list->n);
    if (!grow(a, list)) return false;
    memmove(list->items + at + 1, list->items + at, (list->n - at) * sizeof *list->items);
    list->items[at] = item;
    list->n++;
    return true;
}

void node_remove(struct node *from, size_t i)
{
    assert(i < from->n);
    size_t behind = from->n - i - 1;
    memmove(from->items + i, from->items + i + 1, behind * sizeof *from->items);
    if (from->kind == NODE_MAP)
        memmove(from->keys + i, from->keys + i + 1, behind * sizeof *from->keys);
    from->n--;
}

size_t node_find(const struct node *map, const char *key)
{
    if (map->kind != NODE_MAP) return map->n;
    size_t i = 0;
    while (i < map->n && strcmp(map->keys[i]->text, key) != 0) i++;
    return i;
}

struct node *node_get(const struct node *map, const char *key)
{
    size_t i = node_find(map, key);
    return i < map->n ? map->items[i] : NULL;
}

bool node_put(struct arena *a, struct node *map, const char *key, struct origin at,
              struct node *value)
{
    size_t i = node_find(map, key);
    if (i < map->n) {
        map->items[i] = value;
        return true;
    }
    struct node *k = node_scalar(a, key, strlen(key), true, at);
    return k && node_append(a, map, k, value);
}

bool node_is_null(const struct node *node)
{
    if (node->kind != NODE_SCALAR || !node->plain) return false;
    const char *t = node->text;
    return !*t || !strcmp(t, "~") || !strcmp(t, "null") || !strcmp(t, "Null") ||
           !strcmp(t, "NULL");
}

const char *node_describe(const struct node *node, char *out, size_t size)
{
    if (node->kind == NODE_MAP) return "a mapping";
    if (node->kind == NODE_LIST) return "a list";
    if (node_is_null(node)) return "null";
    const char *mark = strlen(node->text) > 60 ? "..." : "";
    snprintf(out, size, "%s'%.60s%s'", node->plain ? "" : "the string ", node->text, mark);
    return out;
}
