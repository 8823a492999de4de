#include "worker/hot_statistics.h"

#include <fnmatch.h>
#include <string.h>

#include "worker/hot_names.h"

struct keeping {
    const struct settings *now, *then;
};

/* Names may be patterns over columns. */
static const struct named_array *find_state(void *ckpt, const char *name)
{
    return ckpt_find_state(ckpt, name);
}

static const struct feature_cfg *find_feature(const struct settings *s, const char *name)
{
    for (size_t i = 0; i < s->n_features; i++)
        for (size_t k = 0; k < s->features[i].names.n; k++)
            if (!fnmatch(s->features[i].names.v[k], name, 0)) return &s->features[i];
    return NULL;
}

static bool same_transform(const struct transform_cfg *a, const struct transform_cfg *b)
{
    return a->kind == b->kind &&
           (a->kind != TRANSFORM_CLIP || (a->low == b->low && a->high == b->high));
}

static bool same_definition(const struct feature_cfg *a, const struct feature_cfg *b)
{
    if (a->kind != b->kind || a->bucketize != b->bucketize || a->width != b->width ||
        a->n_transforms != b->n_transforms || a->default_mean != b->default_mean)
        return false;
    for (size_t i = 0; i < a->n_transforms; i++)
        if (!same_transform(&a->transform[i], &b->transform[i])) return false;
    return a->default_mean || a->kind != FEATURE_DENSE || a->default_value == b->default_value;
}

static const char *source(void *arg, const char *feature)
{
    const struct keeping *k = arg;
    const struct pairs_cfg *r = &k->now->hot_start.rename;
    const char *old = feature;
    for (size_t i = 0; i < r->n; i++)
        if (!strncmp(r->key[i], "feature/", 8) && !strcmp(r->key[i] + 8, feature) &&
            !strncmp(r->value[i], "feature/", 8))
            old = r->value[i] + 8;
    const struct feature_cfg *now = find_feature(k->now, feature);
    const struct feature_cfg *then = find_feature(k->then, old);
    return now && then && same_definition(now, then) ? old : NULL;
}

enum status hot_statistics_keep(const struct settings *s, struct ckpt *ckpt, struct fit *fit,
                                struct error *err)
{
    struct settings *then;
    TRY(ckpt_read_state(ckpt, err));
    TRY(settings_parse(ckpt_meta(ckpt)->config, "hot_start.from", NULL, 0, &then, err));
    struct keeping k = {s, then};
    enum status st = fit_keep(fit, &(struct fit_source){find_state, ckpt}, source, &k, err);
    settings_destroy(then);
    return st;
}
