/* What the stages of loading share. Inside common/config only.
 *
 *   yaml -> tree -> merge (include) -> set (--set) -> vars -> bind -> check
 *
 * bind fills struct settings and the effective tree: the written keys with the
 * defaults of all others, in table order. */
#ifndef MTPS_CONFIG_CONFIG_H
#define MTPS_CONFIG_CONFIG_H

#include "common/config/node.h"
#include "common/config/options.h"
#include "common/config/settings.h"

struct config {
    struct node *root; /* effective tree */
    struct list_cfg warnings;
    size_t warning_capacity;
};

/* The unknown key's error with the nearest known one; group is where it was looked for. */
enum status config_unknown_key(struct error *err, struct origin at, const char *key,
                               const char *where, const struct option_group *group);
enum status config_no_memory(struct error *err);

/* settings.c: empty settings with an arena and a tree. */
enum status config_create(struct settings **out, struct error *err) MUST_USE;

/* merge.c: read the files that root's `include` names and put root on top of them. */
enum status merge_includes(struct arena *a, const char *file, struct node **root,
                           struct error *err) MUST_USE;
/* Put `over` on top of `base`, which becomes the result. */
enum status merge_group(struct arena *a, const struct option_group *group, struct node *base,
                        const struct node *over, struct error *err) MUST_USE;

/* set.c: apply "KEY=VALUE". */
enum status set_apply(struct arena *a, struct node *root, const char *assignment,
                      struct error *err) MUST_USE;

/* vars.c: replace ${name} everywhere and take `vars` out. ${seed} is there without it. */
enum status vars_substitute(struct arena *a, struct node *root, struct error *err) MUST_USE;

/* bind.c: fill s and s->tree->root from the written tree. */
enum status bind_settings(struct settings *s, const struct node *written,
                          struct error *err) MUST_USE;

/* names.c: feat0..17 -> feat0 ... feat17 appended to out (arena memory). A text
 * that is no range is appended as it is. */
struct name_list {
    const char **v;
    size_t n, capacity;
};
enum { NAMES_MAX = 65536 };
enum status names_add(struct arena *a, struct name_list *out, const char *name,
                      struct error *err) MUST_USE;
enum status names_expand(struct arena *a, struct name_list *out, const char *text,
                         struct origin at, struct error *err) MUST_USE;
/* Every entry of a list, in place. */
enum status names_expand_list(struct arena *a, struct list_cfg *list,
                              struct error *err) MUST_USE;
bool names_is_pattern(const char *text);

/* elements.c: the names of an element of `features`, ranges expanded. */
enum status element_names(struct arena *a, const struct node *element, struct name_list *out,
                          struct error *err) MUST_USE;
/* A copy of a group's element for one name. */
enum status element_of_one(struct arena *a, const struct node *group, const char *name,
                           struct node **out, struct error *err) MUST_USE;
/* Give names[k] of the element list[*at] an element of its own, between those of the
 * names before and behind it; *at is its place. Nothing to do for a `name`. */
enum status element_own(struct arena *a, struct node *list, size_t *at, const struct name_list *names,
                        size_t k, struct error *err) MUST_USE;

/* check.c: rules between keys; fills what depends on several of them. */
enum status check_settings(struct settings *s, struct error *err) MUST_USE;
/* check_wide.c, called by it: the names of model.wide. */
enum status check_wide(struct settings *s, struct error *err) MUST_USE;
/* check_features.c, called by it. */
enum status check_features(struct settings *s, struct error *err) MUST_USE;
/* check_hot_start.c, called by it: also fills what follows from the mode. */
enum status check_hot_start(struct settings *s, struct error *err) MUST_USE;
/* The parts of two_tower (sides.c): both are there, with vectors of one width, and share
 * out the features. Expands ranges. */
enum status check_sides(struct settings *s, struct error *err) MUST_USE;
/* check_funnel.c: model.funnel; fills in model.steps and the scores. */
enum status check_funnel(struct settings *s, struct error *err) MUST_USE;
/* Warn about features that read what a label reads (check_columns.c). */
enum status check_columns(struct settings *s, struct error *err) MUST_USE;

/* Add a warning line. */
enum status config_warn(struct settings *s, struct error *err, struct origin at,
                        const char *fmt, ...) PRINTF_LIKE(4, 5) MUST_USE;

/* Where a key of the effective tree was written ("train.lanes"): the deepest
 * part of the path that there is. is_default: nobody wrote it. */
struct origin config_origin(const struct settings *s, const char *path, bool *is_default);
/* A node of the effective tree, or NULL. */
struct node *config_node(const struct settings *s, const char *path);
/* True when the user wrote the key. */
bool config_given(const struct settings *s, const char *path);

#endif
