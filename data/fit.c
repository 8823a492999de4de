/* Statistics once they are known: transforms, and what they say. fit_compute.c makes
 * them, fit_arrays.c stores them. */
#include <math.h>

#include "common/base/mem.h"
#include "common/math/fmath.h"
#include "data/fit_impl.h"

/* ---- transforms ---- */

static double log1p_above(double x)
{
    /* log1p ends at -1; what is at or below it (never in training: fit_compute
     * refuses it) counts as the last number above. */
    double lowest = -1 + 0x1p-53;
    return fmath_log1p(x > lowest ? x : lowest);
}

static double apply(const struct transform_cfg *t, const double stat[2], double x)
{
    switch (t->kind) {
    case TRANSFORM_LOG1P:
        return log1p_above(x);
    case TRANSFORM_STANDARDIZE:
        return (x - stat[0]) / (stat[1] > 0 ? stat[1] : 1);
    case TRANSFORM_MINMAX:
        return (x - stat[0]) / (stat[1] > stat[0] ? stat[1] - stat[0] : 1);
    case TRANSFORM_CLIP:
        return x < t->low ? t->low : x > t->high ? t->high : x;
    }
    return x;
}

double fit_transform_first(const struct fit_column *c, double raw, size_t n)
{
    double x = isnan(raw) ? c->default_value : raw;
    for (size_t i = 0; i < n; i++) x = apply(&c->cfg->transform[i], c->stat[i], x);
    return x;
}

/* ---- making ---- */

static enum status no_memory(struct error *err)
{
    return mem_error(err, "statistics", sizeof(struct fit));
}

enum status fit_create(const struct schema *s, struct fit **out, struct error *err)
{
    struct fit *f = mem_zeroed(1, sizeof *f);
    if (!f) return no_memory(err);
    f->schema = s;
    if (arena_create(&f->arena, err) != ST_OK) {
        mem_free(f);
        return ST_NOMEM;
    }
    size_t tasks = s->settings->n_tasks + 1;
    f->columns = arena_take(f->arena, s->n_dense + 1, sizeof *f->columns);
    f->borders = arena_take(f->arena, s->n_features + 1, sizeof *f->borders);
    f->levels = arena_take(f->arena, s->n_one_hot + 1, sizeof *f->levels);
    f->n_levels = arena_take(f->arena, s->n_one_hot + 1, sizeof *f->n_levels);
    f->presence = arena_take(f->arena, tasks, sizeof *f->presence);
    f->base = arena_take(f->arena, tasks, sizeof *f->base);
    f->funnel = arena_take(f->arena, tasks, sizeof *f->funnel);
    f->distinct_share = arena_take(f->arena, s->n_ids + 1, sizeof *f->distinct_share);
    f->mean_per_row = arena_take(f->arena, s->n_ids + 1, sizeof *f->mean_per_row);
    if (!f->columns || !f->borders || !f->levels || !f->n_levels || !f->presence ||
        !f->base || !f->funnel || !f->distinct_share || !f->mean_per_row) {
        fit_destroy(f);
        return no_memory(err);
    }
    for (size_t i = 0; i < s->n_features; i++) {
        const struct schema_feature *g = &s->features[i];
        for (size_t j = 0; g->kind == FEATURE_DENSE && j < g->width; j++) {
            struct fit_column *c = &f->columns[g->place + j];
            c->cfg = g->cfg;
            c->default_value = g->cfg->default_mean ? 0 : g->cfg->default_value;
        }
    }
    *out = f;
    return ST_OK;
}

void fit_destroy(struct fit *f)
{
    if (!f) return;
    arena_destroy(f->arena);
    mem_free(f);
}

double fit_presence(const struct fit *f, size_t task)
{
    return f->presence[task];
}

double fit_base(const struct fit *f, size_t task)
{
    return f->base[task];
}

const struct funnel_rows *fit_funnel(const struct fit *f, size_t task)
{
    return &f->funnel[task];
}

size_t fit_levels(const struct fit *f, size_t one_hot)
{
    return f->n_levels[one_hot];
}

double fit_distinct_share(const struct fit *f, size_t id)
{
    return f->distinct_share[id];
}

double fit_mean_per_row(const struct fit *f, size_t id)
{
    return f->mean_per_row[id];
}
