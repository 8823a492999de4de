/* Elements of `features`: many may be written as one group with `names`. */
#include <string.h>

#include "common/config/config.h"

enum status element_names(struct arena *a, const struct node *element,
                          struct name_list *out, struct error *err)
{
    const struct node *names = node_get(element, "names");
    if (!names) names = node_get(element, "name");
    if (names && names->kind == NODE_SCALAR)
        return names_expand(a, out, names->text, names->at, err);
    for (size_t i = 0; names && i < names->n; i++)
        if (names->items[i]->kind == NODE_SCALAR)
            TRY(names_expand(a, out, names->items[i]->text, names->at, err));
    return ST_OK;
}

static void drop(struct node *map, const char *key)
{
    size_t i = node_find(map, key);
    if (i < map->n) node_remove(map, i);
}

/* A copy of a group for names[from..to) of it; NULL for none. */
static enum status group_part(struct arena *a, const struct node *group,
                              const struct name_list *names, size_t from, size_t to,
                              struct node **out, struct error *err)
{
    *out = NULL;
    if (from == to) return ST_OK;
    struct node *part = node_copy(a, group),
                *list = part ? node_list(a, group->at) : NULL;
    if (!list) return config_no_memory(err);
    for (size_t i = from; i < to; i++) {
        struct node *name =
            node_scalar(a, names->v[i], strlen(names->v[i]), true, group->at);
        if (!name || !node_append(a, list, NULL, name)) return config_no_memory(err);
    }
    if (!node_put(a, part, "names", group->at, list)) return config_no_memory(err);
    *out = part;
    return ST_OK;
}

enum status element_of_one(struct arena *a, const struct node *group, const char *name,
                           struct node **out, struct error *err)
{
    struct node *own = node_copy(a, group);
    struct node *text = own ? node_scalar(a, name, strlen(name), true, group->at) : NULL;
    if (!text) return config_no_memory(err);
    drop(own, "names");
    drop(own, "except");
    *out = own;
    return node_put(a, own, "name", group->at, text) ? ST_OK : config_no_memory(err);
}

enum status element_own(struct arena *a, struct node *list, size_t *at,
                        const struct name_list *names, size_t k, struct error *err)
{
    const struct node *group = list->items[*at];
    if (!node_get(group, "names")) return ST_OK;
    struct node *before, *own, *behind;
    TRY(group_part(a, group, names, 0, k, &before, err));
    TRY(element_of_one(a, group, names->v[k], &own, err));
    TRY(group_part(a, group, names, k + 1, names->n, &behind, err));
    list->items[*at] = own;
    if (behind && !node_insert(a, list, *at + 1, behind)) return config_no_memory(err);
    if (before && !node_insert(a, list, (*at)++, before)) return config_no_memory(err);
    return ST_OK;
}
