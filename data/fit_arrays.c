#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "data/dataset.h"
#include "data/fit_impl.h"

/* Names: fit/feature/NAME/{default,statistics,borders,levels}, fit/feature/NAME/repeat,
 * fit/task/NAME. Everything is found by name, so the order of features may change. */

enum { REPEAT = 2, LABELS = 2 };

static enum status no_memory(struct error *err)
{
    return mem_error(err, "statistics", sizeof(struct named_array));
}

/* ---- listing ---- */

static bool add(struct fit *f, const char *name, enum dtype type, size_t rows,
                size_t cols, const void *from)
{
    size_t bytes = rows * (cols ? cols : 1) * dtype_bytes(type);
    void *data = arena_take(f->arena, bytes + 1, 1);
    if (!name || !data) return false;
    if (bytes) memcpy(data, from, bytes);
    f->arrays[f->n_arrays++] = (struct named_array){name, type, rows, cols, 0, data};
    return true;
}

static const char *feature_array(struct fit *f, const char *feature, const char *what)
{
    return arena_printf(f->arena, "fit/feature/%s/%s", feature, what);
}

static bool list_dense(struct fit *f, const struct schema_feature *g)
{
    size_t n = g->cfg->n_transforms;
    double *def = arena_take(f->arena, g->width, sizeof *def);
    double *stat = arena_take(f->arena, g->width * (n + 1) * 2, sizeof *stat);
    if (!def || !stat) return false;
    for (size_t j = 0; j < g->width; j++) {
        def[j] = f->columns[g->place + j].default_value;
        memcpy(stat + j * n * 2, f->columns[g->place + j].stat, n * 2 * sizeof *stat);
    }
    return add(f, feature_array(f, g->name, "default"), DTYPE_F64, g->width, 0, def) &&
           (!n || add(f, feature_array(f, g->name, "statistics"), DTYPE_F64, g->width,
                      2 * n, stat));
}

static bool list_id(struct fit *f, size_t i, const struct schema_feature *g)
{
    double repeat[REPEAT] = {f->distinct_share[g->place], f->mean_per_row[g->place]};
    return add(f, feature_array(f, g->name, "repeat"), DTYPE_F64, REPEAT, 0, repeat) &&
           (!f->borders[i] || add(f, feature_array(f, g->name, "borders"), DTYPE_F32,
                                  g->cfg->bucketize - 1, 0, f->borders[i]));
}

enum status fit_list_arrays(struct fit *f, struct error *err)
{
    const struct schema *s = f->schema;
    size_t most = 2 * s->n_features + s->settings->n_tasks + 1;
    f->arrays = arena_take(f->arena, most, sizeof *f->arrays);
    f->n_arrays = 0;
    bool ok = f->arrays != NULL;
    for (size_t i = 0; ok && i < s->n_features; i++) {
        const struct schema_feature *g = &s->features[i];
        if (g->kind == FEATURE_DENSE)
            ok = list_dense(f, g);
        else if (g->kind == FEATURE_ID)
            ok = list_id(f, i, g);
        else
            ok = add(f, feature_array(f, g->name, "levels"), DTYPE_U64,
                     f->n_levels[g->place], 0, f->levels[g->place]);
    }
    for (size_t k = 0; ok && k < s->settings->n_tasks; k++) {
        double labels[LABELS] = {f->presence[k], f->base[k]};
        const char *name =
            arena_printf(f->arena, "fit/task/%s", s->settings->tasks[k].name);
        ok = add(f, name, DTYPE_F64, LABELS, 0, labels);
    }
    return ok ? ST_OK : no_memory(err);
}

const struct named_array *fit_arrays(const struct fit *f, size_t *n)
{
    *n = f->n_arrays;
    return f->arrays;
}

/* ---- finding ---- */

/* cols SIZE_MAX: any number of rows, one dimension. */
static enum status find(struct fit *f, const struct fit_source *from, const char *name, enum dtype type,
                        size_t rows, size_t cols, const struct named_array **out,
                        struct error *err)
{
    if (!name) return no_memory(err);
    const struct named_array *a = from->find(from->arg, name);
    if (!a) {
        error_set(err, ST_MISMATCH, "statistics %s are missing", name);
        return error_hint(err, ST_MISMATCH,
                          "the checkpoint was trained with other features or tasks");
    }
    bool fits =
        a->type == type && (cols == SIZE_MAX ? a->cols == 0 && a->rows <= rows
                                             : a->rows == rows && a->cols == cols);
    if (!fits)
        return error_set(err, ST_MISMATCH, "statistics %s have another shape",
                         name);
    (void)f;
    *out = a;
    return ST_OK;
}

static enum status restore_dense(struct fit *f, const struct fit_source *from,
                                 const struct schema_feature *g, struct error *err)
{
    const struct named_array *def, *stat;
    size_t n = g->cfg->n_transforms;
    TRY(find(f, from, feature_array(f, g->name, "default"), DTYPE_F64, g->width, 0, &def,
             err));
    for (size_t j = 0; j < g->width; j++)
        f->columns[g->place + j].default_value = ((const double *)def->data)[j];
    if (!n) return ST_OK;
    TRY(find(f, from, feature_array(f, g->name, "statistics"), DTYPE_F64, g->width, 2 * n,
             &stat, err));
    for (size_t j = 0; j < g->width; j++)
        memcpy(f->columns[g->place + j].stat, (const double *)stat->data + j * n * 2,
               n * 2 * sizeof(double));
    return ST_OK;
}

static enum status restore_id(struct fit *f, const struct fit_source *from, size_t i,
                              const struct schema_feature *g, struct error *err)
{
    const struct named_array *a;
    TRY(find(f, from, feature_array(f, g->name, "repeat"), DTYPE_F64, REPEAT, 0, &a, err));
    f->distinct_share[g->place] = ((const double *)a->data)[0];
    f->mean_per_row[g->place] = ((const double *)a->data)[1];
    size_t n = g->cfg->bucketize;
    if (!n) return ST_OK;
    TRY(find(f, from, feature_array(f, g->name, "borders"), DTYPE_F32, n - 1, 0, &a, err));
    f->borders[i] = arena_take(f->arena, n, sizeof(float));
    if (!f->borders[i]) return no_memory(err);
    memcpy(f->borders[i], a->data, (n - 1) * sizeof(float));
    return ST_OK;
}

static enum status restore_levels(struct fit *f, const struct fit_source *from,
                                  const struct schema_feature *g, struct error *err)
{
    const struct named_array *a;
    TRY(find(f, from, feature_array(f, g->name, "levels"), DTYPE_U64, g->cfg->max_levels,
             SIZE_MAX, &a, err));
    uint64_t *keys = arena_take(f->arena, a->rows + 1, sizeof *keys);
    if (!keys) return no_memory(err);
    if (a->rows) memcpy(keys, a->data, a->rows * sizeof *keys);
    f->levels[g->place] = keys;
    f->n_levels[g->place] = a->rows;
    return ST_OK;
}

static enum status restore(struct fit *f, const struct fit_source *from, struct error *err)
{
    const struct schema *s = f->schema;
    for (size_t i = 0; i < s->n_features; i++) {
        const struct schema_feature *g = &s->features[i];
        if (g->kind == FEATURE_DENSE)
            TRY(restore_dense(f, from, g, err));
        else if (g->kind == FEATURE_ID)
            TRY(restore_id(f, from, i, g, err));
        else
            TRY(restore_levels(f, from, g, err));
    }
    for (size_t k = 0; k < s->settings->n_tasks; k++) {
        const struct named_array *a;
        const char *name =
            arena_printf(f->arena, "fit/task/%s", s->settings->tasks[k].name);
        TRY(find(f, from, name, DTYPE_F64, LABELS, 0, &a, err));
        f->presence[k] = ((const double *)a->data)[0];
        f->base[k] = ((const double *)a->data)[1];
    }
    return fit_list_arrays(f, err);
}

enum status fit_from_arrays(const struct schema *schema, const struct fit_source *from,
                            struct fit **out, struct error *err)
{
    struct fit *f;
    TRY(fit_create(schema, &f, err));
    enum status st = restore(f, from, err);
    if (st == ST_OK)
        *out = f;
    else
        fit_destroy(f);
    return st;
}

/* ---- keeping ---- */

static bool copy_reals(double *to, const struct fit_source *from, const char *name, size_t rows, size_t cols)
{
    const struct named_array *a = name ? from->find(from->arg, name) : NULL;
    if (!a || a->type != DTYPE_F64 || a->rows != rows || a->cols != cols) return false;
    memcpy(to, a->data, rows * (cols ? cols : 1) * sizeof *to);
    return true;
}

/* All numbers of the feature, or none. */
static enum status keep_dense(struct fit *f, const struct fit_source *from, const struct schema_feature *g,
                              const char *old, struct error *err)
{
    size_t n = g->cfg->n_transforms;
    double *def = arena_take(f->arena, g->width, sizeof *def);
    double *stat = arena_take(f->arena, g->width * (n + 1) * 2, sizeof *stat);
    if (!def || !stat) return no_memory(err);
    if (!copy_reals(def, from, feature_array(f, old, "default"), g->width, 0)) return ST_OK;
    if (n && !copy_reals(stat, from, feature_array(f, old, "statistics"), g->width, 2 * n))
        return ST_OK;
    for (size_t j = 0; j < g->width; j++) {
        f->columns[g->place + j].default_value = def[j];
        memcpy(f->columns[g->place + j].stat, stat + j * n * 2, n * 2 * sizeof *stat);
    }
    return ST_OK;
}

static enum status keep_borders(struct fit *f, const struct fit_source *from, size_t i, const char *old,
                                struct error *err)
{
    const char *name = feature_array(f, old, "borders");
    const struct named_array *a = name ? from->find(from->arg, name) : NULL;
    size_t n = f->schema->features[i].cfg->bucketize - 1;
    if (!name) return no_memory(err);
    if (a && a->type == DTYPE_F32 && a->rows == n && !a->cols)
        memcpy(f->borders[i], a->data, n * sizeof(float));
    return ST_OK;
}

static enum status keep_levels(struct fit *f, const struct fit_source *from, const struct schema_feature *g,
                               const char *old, struct error *err)
{
    const char *name = feature_array(f, old, "levels");
    const struct named_array *a = name ? from->find(from->arg, name) : NULL;
    if (!name) return no_memory(err);
    if (!a || a->type != DTYPE_U64 || a->cols || a->rows > g->cfg->max_levels) return ST_OK;
    uint64_t *keys = arena_take(f->arena, a->rows + 1, sizeof *keys);
    if (!keys) return no_memory(err);
    if (a->rows) memcpy(keys, a->data, a->rows * sizeof *keys);
    f->levels[g->place] = keys;
    f->n_levels[g->place] = a->rows;
    return ST_OK;
}

enum status fit_keep(struct fit *f, const struct fit_source *from,
                     const char *(*source)(void *arg, const char *feature), void *arg,
                     struct error *err)
{
    for (size_t i = 0; i < f->schema->n_features; i++) {
        const struct schema_feature *g = &f->schema->features[i];
        const char *old = source(arg, g->name);
        if (!old) continue;
        if (g->kind == FEATURE_DENSE)
            TRY(keep_dense(f, from, g, old, err));
        else if (g->kind == FEATURE_ONE_HOT)
            TRY(keep_levels(f, from, g, old, err));
        else if (f->borders[i])
            TRY(keep_borders(f, from, i, old, err));
    }
    return fit_list_arrays(f, err);
}

bool fit_same_levels(const struct fit *f, size_t i, const struct named_array *levels)
{
    size_t place = f->schema->features[i].place, n = f->n_levels[place];
    return levels && levels->type == DTYPE_U64 && levels->rows == n &&
           (!n || !memcmp(levels->data, f->levels[place], n * sizeof(uint64_t)));
}
