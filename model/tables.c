#include "model/tables.h"

#include <string.h>

#include "common/base/mem.h"

static const char wide_prefix[] = "wide/"; /* no name of a table has a slash */

static enum status no_memory(struct error *err)
{
    return mem_error(err, "tables of the model", 0);
}

static bool has_pairs(enum model_type type)
{
    return type == MODEL_FM || type == MODEL_DEEPFM;
}

/* ---- who reads a feature ---- */

static bool is_only_wide(const struct model_cfg *m, const struct schema_feature *f)
{
    return m->has_wide_only ? settings_names_fit(&m->wide_only, f->name)
                            : f->cfg->cross.n > 0;
}

/* Every entry of the list fits one of these features. */
static enum status check_known(const struct schema *schema, const bool *among,
                               const struct list_cfg *list, const char *key,
                               struct arena *arena, struct error *err)
{
    const char **names = arena_take(arena, schema->n_features + 1, sizeof *names);
    size_t n = 0;
    if (names == NULL) return no_memory(err);
    for (size_t i = 0; i < schema->n_features; i++)
        if (among == NULL || among[i]) names[n++] = schema->features[i].name;
    for (size_t i = 0; i < list->n; i++) {
        const struct list_cfg entry = {&list->v[i], 1, list->at};
        size_t k = 0;
        while (k < n && !settings_names_fit(&entry, names[k])) k++;
        if (k == n) return settings_unknown_name(list, key, list->v[i], names, n, err);
    }
    return ST_OK;
}

/* A list that the deep part pools by attention needs the embedding of its target. */
static enum status check_targets(const struct schema *schema, const struct model_tables *t,
                                 struct error *err)
{
    for (size_t i = 0; i < schema->n_features; i++) {
        const struct schema_feature *f = &schema->features[i];
        bool attends = f->kind == FEATURE_ID && f->pool == POOL_ATTENTION && t->deep[i];
        if (!attends || t->deep[f->target]) continue;
        error_set(err, ST_USAGE,
                  "model.wide: feature %s, the target of the attention of %s, is read by the "
                  "wide part alone",
                  schema->features[f->target].name, f->name);
        return error_hint(err, ST_USAGE, "take it out of model.wide.only");
    }
    return ST_OK;
}

static enum status choose_readers(const struct settings *s, const struct schema *schema,
                                  struct model_tables *t, struct error *err)
{
    const struct model_cfg *m = &s->model;
    bool wide_deep = m->type == MODEL_WIDE_DEEP, any = false;
    for (size_t i = 0; i < schema->n_features; i++) {
        const struct schema_feature *f = &schema->features[i];
        t->wide[i] = wide_deep ? settings_names_fit(&m->wide_features, f->name)
                               : has_pairs(m->type);
        t->deep[i] = !(wide_deep && t->wide[i] && is_only_wide(m, f));
        any |= t->deep[i];
    }
    if (!wide_deep) return ST_OK;
    TRY(check_known(schema, NULL, &m->wide_features, "model.wide.features", t->arena, err));
    TRY(check_known(schema, t->wide, &m->wide_only, "model.wide.only", t->arena, err));
    TRY(check_targets(schema, t, err));
    if (any) return ST_OK;
    error_set(err, ST_USAGE, "model.wide: every feature is read by the wide part alone");
    return error_hint(err, ST_USAGE, "leave some to the deep part, or take model.type=lr");
}

/* Vectors that are multiplied have one length. */
static enum status find_vector(const struct settings *s, const struct schema *schema,
                               struct model_tables *t, struct error *err)
{
    const struct schema_feature *first = NULL;
    t->vector = s->tables[0].dim;
    for (size_t i = 0; i < schema->n_features; i++) {
        const struct schema_feature *f = &schema->features[i];
        if (f->kind != FEATURE_ID) continue;
        if (first == NULL) first = f;
        t->vector = schema->tables[first->table]->dim;
        size_t dim = schema->tables[f->table]->dim;
        if (dim == t->vector) continue;
        error_set(err, ST_USAGE,
                  "%s:%u:%u: model type %s multiplies the vectors of all features, but "
                  "feature %s has dim %zu and feature %s has dim %zu",
                  f->cfg->at.file, f->cfg->at.line, f->cfg->at.column,
                  model_type_name(s->model.type), f->name, dim, first->name, t->vector);
        return error_hint(err, ST_USAGE, "give their tables one dim, for example --set "
                                         "tables.%s.dim=%zu",
                          schema->table_names[f->table], t->vector);
    }
    return ST_OK;
}

/* ---- tables ---- */

/* Has a table of the schema a feature of this kind? */
static bool is_read(const struct schema *schema, const bool *by, size_t table)
{
    for (size_t i = 0; i < schema->n_features; i++) {
        const struct schema_feature *f = &schema->features[i];
        if (f->kind == FEATURE_ID && f->table == table && by[i]) return true;
    }
    return false;
}

static size_t add_table(struct model_tables *t, const char *name, size_t dim,
                        size_t source)
{
    t->name[t->n] = name;
    t->dim[t->n] = dim;
    t->source[t->n] = source;
    return t->n++;
}

static enum status add_wide(const struct settings *s, const struct schema *schema,
                            size_t table, struct model_tables *t, struct error *err)
{
    const char *name = schema->table_names[table];
    if (!strcmp(name, "wide")) {
        error_set(err, ST_USAGE, "tables: 'wide' has a meaning of its own in model type %s",
                  model_type_name(s->model.type));
        return error_hint(err, ST_USAGE, "give the feature another 'table'");
    }
    name = arena_printf(t->arena, "%s%s", wide_prefix, name);
    if (name == NULL) return no_memory(err);
    t->wide_table[table] = add_table(t, name, s->n_tasks, table);
    return ST_OK;
}

/* Embeddings in the schema's order, then wide ones. */
static enum status add_tables(const struct settings *s, const struct schema *schema,
                              struct model_tables *t, struct error *err)
{
    for (size_t i = 0; i < schema->n_tables; i++) {
        t->deep_table[i] = t->wide_table[i] = SIZE_MAX;
        if (!is_read(schema, t->deep, i)) continue;
        size_t dim = model_row_dim(s->model.type, schema->tables[i]->dim, s->n_tasks);
        t->deep_table[i] = add_table(t, schema->table_names[i], dim, i);
    }
    t->same = t->n == schema->n_tables;
    for (size_t i = 0; i < schema->n_tables; i++)
        if (is_read(schema, t->wide, i)) TRY(add_wide(s, schema, i, t, err));
    t->same &= t->n == schema->n_tables;
    return ST_OK;
}

static enum status make(const struct settings *s, const struct schema *schema,
                        struct model_tables *t, struct error *err)
{
    size_t n = 2 * schema->n_tables + 1;
    t->name = arena_take(t->arena, n, sizeof *t->name);
    t->dim = arena_take(t->arena, n, sizeof *t->dim);
    t->source = arena_take(t->arena, n, sizeof *t->source);
    t->deep_table = arena_take(t->arena, n, sizeof *t->deep_table);
    t->wide_table = arena_take(t->arena, n, sizeof *t->wide_table);
    t->deep = arena_take(t->arena, schema->n_features, sizeof *t->deep);
    t->wide = arena_take(t->arena, schema->n_features, sizeof *t->wide);
    if (!t->name || !t->dim || !t->source || !t->deep_table || !t->wide_table ||
        !t->deep || !t->wide)
        return no_memory(err);
    TRY(choose_readers(s, schema, t, err));
    if (has_pairs(s->model.type)) TRY(find_vector(s, schema, t, err));
    return add_tables(s, schema, t, err);
}

enum status model_tables_make(const struct settings *s, const struct schema *schema,
                              struct model_tables **out, struct error *err)
{
    struct model_tables *t = mem_zeroed(1, sizeof *t);
    *out = NULL;
    if (t == NULL) return no_memory(err);
    enum status st = arena_create(&t->arena, err);
    if (st == ST_OK) st = make(s, schema, t, err);
    if (st != ST_OK) {
        model_tables_destroy(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void model_tables_destroy(struct model_tables *t)
{
    if (t == NULL) return;
    if (t->arena != NULL) arena_destroy(t->arena);
    mem_free(t);
}

/* ---- how rows start and learn ---- */

static const struct table_cfg *written(const struct settings *s, const char *name)
{
    for (size_t i = 1; i < s->n_tables; i++)
        if (!strcmp(s->tables[i].name, name)) return &s->tables[i];
    return &s->tables[0];
}

const char *model_tables_source(const char *name)
{
    size_t n = strlen(wide_prefix);
    return strncmp(name, wide_prefix, n) ? name : name + n;
}

/* Weights of a wide part start from 0, as those of any linear model, and have an
 * optimiser of their own. */
struct table_cfg model_tables_cfg(const struct settings *s, const char *name)
{
    const char *source = model_tables_source(name);
    struct table_cfg cfg = *written(s, source);
    if (source == name) return cfg;
    cfg.init = (struct init_cfg){.kind = INIT_ZERO};
    cfg.optimizer = s->model.wide_optimizer;
    return cfg;
}

/* ---- batches ---- */

enum status batch_view_make(const struct model_tables *t, struct batch_view *v,
                            struct error *err)
{
    v->tables = mem_zeroed(t->n + 1, sizeof *v->tables);
    return v->tables != NULL ? ST_OK : no_memory(err);
}

void batch_view_close(struct batch_view *v)
{
    mem_free(v->tables);
}

const struct batch *batch_view_set(struct batch_view *v, const struct model_tables *t,
                                   const struct batch *b)
{
    if (t->same) return b;
    for (size_t i = 0; i < t->n; i++) v->tables[i] = b->tables[t->source[i]];
    v->batch = *b;
    v->batch.tables = v->tables;
    v->batch.n_tables = t->n;
    return &v->batch;
}
