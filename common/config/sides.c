/* Which features belong to which side of a two_tower model. */
#include <fnmatch.h>
#include <string.h>

#include "common/config/config.h"
#include "common/config/nearest.h"

static const char *const side_names[N_SIDES] = {"model.user", "model.item"};

static const struct side_cfg *side_of(const struct settings *s, size_t i)
{
    return i == SIDE_USER ? &s->model.user : &s->model.item;
}

/* ---- who is where ---- */

static bool matches(const char *entry, const char *feature)
{
    return names_is_pattern(entry) ? fnmatch(entry, feature, 0) == 0
                                   : strcmp(entry, feature) == 0;
}

static bool names(const struct list_cfg *list, const char *feature)
{
    for (size_t i = 0; i < list->n; i++)
        if (matches(list->v[i], feature)) return true;
    return false;
}

/* The entry that a feature comes from, or NULL. */
static const struct feature_cfg *entry_of(const struct settings *s, const char *feature)
{
    for (size_t i = 0; i < s->n_features; i++)
        if (names(&s->features[i].names, feature)) return &s->features[i];
    return NULL;
}

static enum status find_side(const struct settings *s, const char *feature, enum model_side *out,
                             struct error *err)
{
    const struct list_cfg *user = &s->model.user.features, *item = &s->model.item.features;
    bool in_user = names(user, feature), in_item = names(item, feature);
    *out = in_user ? SIDE_USER : SIDE_ITEM;
    if (in_user != in_item) return ST_OK;
    if (in_user) {
        config_fail(err, item->at, "model.item.features: '%s' is in model.user.features too",
                    feature);
        return error_hint(err, ST_USAGE, "take it out of one of them");
    }
    const struct feature_cfg *entry = entry_of(s, feature);
    config_fail(err, entry ? entry->at : user->at,
                "features.%s: is neither in model.user.features nor in model.item.features",
                feature);
    return error_hint(err, ST_USAGE, "every input of two_tower is on one side: add it to a list");
}

/* Attention to the other side would make a vector of both. */
static enum status check_attention(const struct settings *s, const char *const *features,
                                   size_t n, const enum model_side *side, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct feature_cfg *f = entry_of(s, features[i]);
        if (!f || f->kind != FEATURE_ID || f->pool != POOL_ATTENTION) continue;
        for (size_t k = 0; k < n; k++) {
            if (strcmp(features[k], f->attention.target) != 0 || side[k] == side[i]) continue;
            config_fail(err, f->at, "features.%s: attention to '%s', which is on the other side",
                        features[i], features[k]);
            return error_hint(err, ST_USAGE, "a vector of two_tower sees its own side alone: pool "
                                             "by mean or sum, or attend to a feature of that side");
        }
    }
    return ST_OK;
}

/* An entry that matches nothing is a slip of the pen. */
static enum status check_entries(const struct settings *s, size_t side,
                                 const char *const *features, size_t n, struct error *err)
{
    const struct list_cfg *list = &side_of(s, side)->features;
    for (size_t i = 0; i < list->n; i++) {
        size_t k = 0;
        while (k < n && !matches(list->v[i], features[k])) k++;
        if (k < n) continue;
        config_fail(err, list->at, "%s.features: there is no feature '%s'", side_names[side],
                    list->v[i]);
        const char *nearest = nearest_word(list->v[i], features, n);
        if (nearest) return error_hint(err, ST_USAGE, "did you mean '%s'?", nearest);
        return error_hint(err, ST_USAGE, "write names of features, or patterns that match some");
    }
    return ST_OK;
}

enum status settings_sides(const struct settings *s, const char *const *features, size_t n,
                           enum model_side *out, struct error *err)
{
    for (size_t side = 0; side < N_SIDES; side++)
        TRY(check_entries(s, side, features, n, err));
    for (size_t i = 0; i < n; i++) TRY(find_side(s, features[i], &out[i], err));
    return check_attention(s, features, n, out, err);
}

/* ---- loading ---- */

static enum status missing(const struct settings *s, size_t side, const char *key,
                           struct error *err)
{
    bool is_default;
    const char *where = config_given(s, side_names[side]) ? side_names[side] : "model";
    config_fail(err, config_origin(s, where, &is_default),
                "model type two_tower needs '%s.%s'", side_names[side], key);
    return error_hint(err, ST_USAGE, "for example %s: {features: [%s], layers: [128, 32]}",
                      side == SIDE_USER ? "user" : "item",
                      side == SIDE_USER ? "user_id, \"user_*\"" : "item_id, \"item_*\"");
}

static enum status check_widths(const struct settings *s, struct error *err)
{
    const struct sizes_cfg *user = &s->model.user.mlp.layers, *item = &s->model.item.mlp.layers;
    bool is_default;
    if (user->v[user->n - 1] == item->v[item->n - 1]) return ST_OK;
    config_fail(err, config_origin(s, "model.item.layers", &is_default),
                "model.item.layers: the vector has %zu floats, that of model.user %zu",
                item->v[item->n - 1], user->v[user->n - 1]);
    return error_hint(err, ST_USAGE, "end both lists of layers with the same width");
}

/* Features whose names only the data's columns will show are checked when they are known. */
static enum status check_lists(struct settings *s, struct error *err)
{
    struct name_list all = {0};
    for (size_t i = 0; i < s->n_features; i++)
        for (size_t k = 0; k < s->features[i].names.n; k++) {
            const char *name = s->features[i].names.v[k];
            if (names_is_pattern(name)) return ST_OK;
            if (names(&s->features[i].except, name)) continue;
            TRY(names_add(s->arena, &all, name, err));
        }
    enum model_side *side = arena_take(s->arena, all.n + 1, sizeof *side);
    if (!side) return config_no_memory(err);
    return settings_sides(s, all.v, all.n, side, err);
}

enum status check_sides(struct settings *s, struct error *err)
{
    for (size_t i = 0; i < N_SIDES; i++) {
        const struct side_cfg *side = side_of(s, i);
        if (!side->features.n) return missing(s, i, "features", err);
        if (!side->mlp.layers.n) return missing(s, i, "layers", err);
    }
    TRY(names_expand_list(s->arena, &s->model.user.features, err));
    TRY(names_expand_list(s->arena, &s->model.item.features, err));
    TRY(check_widths(s, err));
    return check_lists(s, err);
}
