/* A configuration text as a tree of plain data: scalars, lists and mappings,
 * each with the place where it was written. Mappings keep the written order.
 * All memory belongs to an arena; nothing is freed alone. */
#ifndef MTPS_CONFIG_NODE_H
#define MTPS_CONFIG_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/config/settings.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    bool plain;       /* scalar without quotes: may be a number, true or null */
    const char *text; /* scalar */
    struct origin at; /* a scalar's first character, behind its quote */
    struct node **items; /* [n] elements of a list, values of a mapping */
    struct node **keys;  /* [n] of a mapping: scalars */
    size_t n, capacity;
};

/* NULL when out of memory. text is copied. */
struct node *node_scalar(struct arena *a, const char *text, size_t n, bool plain,
                         struct origin at) MUST_USE;
struct node *node_list(struct arena *a, struct origin at) MUST_USE;
struct node *node_map(struct arena *a, struct origin at) MUST_USE;
/* Mappings and lists are copied, scalars are shared: they never change. */
struct node *node_copy(struct arena *a, const struct node *from) MUST_USE;

/* Append to a list (key NULL) or to a mapping (key a scalar that is not in it
 * yet). Put an item before place `at` of a list. False when out of memory. */
bool node_append(struct arena *a, struct node *to, struct node *key, struct node *item) MUST_USE;
bool node_insert(struct arena *a, struct node *list, size_t at, struct node *item) MUST_USE;
void node_remove(struct node *from, size_t i);
/* Set a key of a mapping, which is appended with its place when it is not there. */
bool node_put(struct arena *a, struct node *map, const char *key, struct origin at,
              struct node *value) MUST_USE;

/* Place of a key in a mapping, or n. */
size_t node_find(const struct node *map, const char *key);
/* The value of a key, or NULL. */
struct node *node_get(const struct node *map, const char *key);

/* "not given": an empty value, ~ or null without quotes. */
bool node_is_null(const struct node *node);

/* "a mapping", "a list", "null", "'text'" for messages. out is a caller's buffer. */
const char *node_describe(const struct node *node, char *out, size_t size);

#endif
