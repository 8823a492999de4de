/* The wide part of a model names features; names that only the data's columns will show
 * are looked for again where these are known (model/tables.c). */
#include <fnmatch.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/config/config.h"
#include "common/config/nearest.h"

bool settings_names_fit(const struct list_cfg *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *entry = list->v[i];
        if (names_is_pattern(entry) ? !fnmatch(entry, name, 0) : !strcmp(entry, name))
            return true;
    }
    return false;
}

enum status settings_unknown_name(const struct list_cfg *list, const char *key,
                                  const char *entry, const char *const *names, size_t n,
                                  struct error *err)
{
    config_fail(err, list->at, "%s: there is no feature '%s'%s", key, entry,
                strcmp(key, "model.wide.only") ? "" : " in model.wide.features");
    const char *near = nearest_word(entry, names, n);
    return near ? error_hint(err, ST_USAGE, "did you mean '%s'?", near) : ST_USAGE;
}

/* All names of features that are no patterns; *patterns: there are more. */
static enum status known_names(struct settings *s, const char ***out, size_t *n,
                               bool *patterns, struct error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < s->n_features; i++) total += s->features[i].names.n;
    *out = arena_take(s->arena, total + 1, sizeof **out);
    if (!*out) return config_no_memory(err);
    for (size_t i = 0; i < s->n_features; i++)
        for (size_t k = 0; k < s->features[i].names.n; k++) {
            const char *name = s->features[i].names.v[k];
            *patterns |= names_is_pattern(name);
            if (!names_is_pattern(name)) (*out)[(*n)++] = name;
        }
    return ST_OK;
}

static enum status check_known(const struct list_cfg *list, const char *key,
                               const char *const *names, size_t n, struct error *err)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct list_cfg entry = {&list->v[i], 1, list->at};
        bool found = false;
        for (size_t k = 0; k < n && !found; k++) found = settings_names_fit(&entry, names[k]);
        if (!found) return settings_unknown_name(list, key, list->v[i], names, n, err);
    }
    return ST_OK;
}

enum status check_wide(struct settings *s, struct error *err)
{
    struct model_cfg *m = &s->model;
    const char **names = NULL;
    size_t n = 0, n_wide = 0;
    bool patterns = false;
    TRY(names_expand_list(s->arena, &m->wide_features, err));
    TRY(names_expand_list(s->arena, &m->wide_only, err));
    TRY(known_names(s, &names, &n, &patterns, err));
    if (patterns || m->type != MODEL_WIDE_DEEP) return ST_OK;
    TRY(check_known(&m->wide_features, "model.wide.features", names, n, err));
    for (size_t i = 0; i < n; i++)
        if (settings_names_fit(&m->wide_features, names[i])) names[n_wide++] = names[i];
    return check_known(&m->wide_only, "model.wide.only", names, n_wide, err);
}
