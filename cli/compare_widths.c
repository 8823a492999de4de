#include "cli/compare_widths.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config.h"

/* ---- which widths ---- */

static bool is_used(const char *key, enum model_type type)
{
    const struct option_group *group;
    char bad[64];
    const struct option *o = option_path(key, &group, bad, sizeof bad);
    return o && (!o->models || o->models & FOR(type));
}

/* A part that the type uses and that has layers. */
static enum status add_part(const struct settings *s, const char *part, const char *layers,
                            struct widths *out, struct error *err)
{
    const struct node *list = config_node(s, layers);
    if (!is_used(part, s->model.type) || !list || list->kind != NODE_LIST || !list->n)
        return ST_OK;
    if (list->n > WIDTHS_MAX_LAYERS)
        return error_set(err, ST_USAGE, "--equal-params: %s has more than %d layers", layers,
                         WIDTHS_MAX_LAYERS);
    size_t k = out->n++;
    out->part[k].key = layers;
    out->part[k].n = list->n;
    for (size_t l = 0; l < list->n; l++)
        out->part[k].v[l] = strtoul(list->items[l]->text, NULL, 10);
    return ST_OK;
}

enum status widths_of(const struct settings *s, struct widths *out, struct error *err)
{
    static const char *const parts[][2] = {{"model.experts", "model.experts.layers"},
                                           {"model.bottom", "model.bottom.layers"},
                                           {"model.user", "model.user.layers"},
                                           {"model.item", "model.item.layers"}};
    _Static_assert(sizeof parts / sizeof *parts == WIDTHS_MAX_PARTS, "a place for each");
    *out = (struct widths){0};
    for (size_t i = 0; i < WIDTHS_MAX_PARTS; i++)
        TRY(add_part(s, parts[i][0], parts[i][1], out, err));
    return out->n ? ST_OK : add_part(s, "model.towers", "model.towers.layers", out, err);
}

/* ---- solving ---- */

struct widths widths_scaled(const struct widths *base, double factor)
{
    struct widths w = *base;
    for (size_t p = 0; p < w.n; p++)
        for (size_t l = 0; l < w.part[p].n; l++) {
            double v = floor((double)base->part[p].v[l] * factor + 0.5);
            w.part[p].v[l] = (size_t)fmin(fmax(v, 1), WIDTHS_MAX);
        }
    return w;
}

static bool equal(const struct widths *a, const struct widths *b)
{
    for (size_t p = 0; p < a->n; p++)
        for (size_t l = 0; l < a->part[p].n; l++)
            if (a->part[p].v[l] != b->part[p].v[l]) return false;
    return true;
}

struct point {
    double factor;
    struct widths w;
    size_t params;
};

struct solver {
    const struct widths *base;
    widths_count_fn count;
    void *arg;
};

static enum status measure(const struct solver *s, double factor, struct point *out,
                           struct error *err)
{
    out->factor = factor;
    out->w = widths_scaled(s->base, factor);
    return s->count(s->arg, &out->w, &out->params, err);
}

/* Two points with the target between them, unless the widths' limits forbid it:
 * then both are the same. */
static enum status bracket(const struct solver *s, size_t target, struct point *low,
                           struct point *high, struct error *err)
{
    TRY(measure(s, 1, low, err));
    *high = *low;
    while (high->params < target) {
        *low = *high;
        TRY(measure(s, 2 * low->factor, high, err));
        if (equal(&low->w, &high->w)) return ST_OK;
    }
    while (low->params > target) {
        *high = *low;
        TRY(measure(s, high->factor / 2, low, err));
        if (equal(&low->w, &high->w)) return ST_OK;
    }
    return ST_OK;
}

enum status widths_solve(const struct widths *base, size_t target, widths_count_fn count,
                         void *arg, struct widths *out, size_t *params, struct error *err)
{
    const struct solver s = {base, count, arg};
    struct point low, high, mid;
    TRY(bracket(&s, target, &low, &high, err));
    while (high.factor - low.factor > 1e-9 * high.factor) {
        mid.factor = (low.factor + high.factor) / 2;
        mid.w = widths_scaled(base, mid.factor);
        if (equal(&mid.w, &low.w)) {
            low.factor = mid.factor;
        } else if (equal(&mid.w, &high.w)) {
            high.factor = mid.factor;
        } else {
            TRY(count(arg, &mid.w, &mid.params, err));
            *(mid.params > target ? &high : &low) = mid;
        }
    }
    size_t over = high.params > target ? high.params - target : target - high.params;
    size_t under = low.params > target ? low.params - target : target - low.params;
    const struct point *best = over < under ? &high : &low;
    *out = best->w;
    *params = best->params;
    return ST_OK;
}
