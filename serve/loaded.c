#include "serve/loaded_impl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/feature.h"
#include "model/assemble.h"

static enum status open_as_base(const char *path, enum bundle_checks checks,
                                    struct mtps_model **out, struct error *err);

enum status loaded_no_memory(struct error *err)
{
    return mem_error(err, "bundle", sizeof(struct mtps_model));
}

enum status loaded_fault(const struct mtps_model *m, struct error *err, const char *what)
{
    return error_set(err, ST_DATA, "%s: %s", m->bundle->path, what);
}

/* What is wrong with a bundle's contents is wrong data, whoever found it. */
static enum status as_fault(const struct mtps_model *m, enum status st, struct error *err)
{
    if (st == ST_OK || st == ST_NOMEM) return st;
    return error_wrap(err, ST_DATA, "%s", m->bundle->path);
}

/* ---- settings and schema ---- */

/* Texts can ask for more than they hold sections for: that would take time and memory. */
static bool plausible(const struct mtps_model *m)
{
    const struct settings *s = m->settings;
    const struct model_cfg *c = &s->model;
    size_t features = 0, sections = m->bundle->n_sections;
    for (size_t i = 0; i < s->n_features; i++) features += s->features[i].names.n;
    size_t experts = c->expert_count + c->expert_shared;
    for (size_t k = 0; k < s->n_tasks; k++) {
        experts += s->tasks[k].own;
        if (s->tasks[k].tower.layers.n > sections || s->tasks[k].gate.layers.n > sections) return false;
    }
    /* Full cross layers have a tensor for each pair of features. */
    size_t pairs = c->cross_layers * (c->cross_rank ? features : features * features);
    return features <= LOADED_MAX_FEATURES && features <= sections && pairs <= sections &&
           c->bottom.layers.n <= sections && c->experts.layers.n <= sections &&
           c->gates.layers.n <= sections && c->towers.layers.n <= sections &&
           experts * (c->expert_levels ? c->expert_levels : 1) <= sections;
}

bool loaded_owner(const struct node *e, size_t n, int *out)
{
    uint64_t number = 0;
    bool main_rows = e->kind == NODE_SCALAR && e->plain && !strcmp(e->text, "-1");
    if (!main_rows && !(bundle_whole(e, &number) && number < n)) return false;
    *out = main_rows ? -1 : (int)number;
    return true;
}

/* `columns` of the header: [name, owner] for each, owner -1 or a join. */
static enum status read_columns(const struct mtps_model *m, struct raw_columns *out,
                                struct error *err)
{
    const struct node *list = node_get(m->bundle->header, "columns");
    if (!list || list->kind != NODE_LIST || list->n > LOADED_MAX_FEATURES)
        return loaded_fault(m, err, "header: columns: a list of at most 16384 is expected");
    const char **names = arena_take(m->arena, list->n + 1, sizeof *names);
    int *owner = arena_take(m->arena, list->n + 1, sizeof *owner);
    if (!names || !owner) return loaded_no_memory(err);
    for (size_t i = 0; i < list->n; i++) {
        const struct node *e = list->items[i];
        bool pair = e->kind == NODE_LIST && e->n == 2 && e->items[0]->kind == NODE_SCALAR &&
                    e->items[1]->kind == NODE_SCALAR;
        if (!pair) return loaded_fault(m, err, "header: columns: a name and an owner are expected");
        names[i] = e->items[0]->text;
        if (!loaded_owner(e->items[1], m->settings->data.n_joins, &owner[i]))
            return loaded_fault(m, err, "header: columns: there is no such owner");
    }
    *out = (struct raw_columns){names, owner, list->n};
    return ST_OK;
}

static enum status make_schema(struct mtps_model *m, struct error *err)
{
    const char *text = m->bundle->settings;
    enum status st = settings_parse_flow(text, strlen(text), "settings", &m->settings, err);
    TRY(as_fault(m, st, err));
    if (!plausible(m)) return loaded_fault(m, err, "settings: a larger model than the sections hold");
    struct raw_columns columns;
    TRY(read_columns(m, &columns, err));
    return as_fault(m, schema_build(m->settings, &columns, true, &m->schema, err), err);
}

/* ---- statistics and parameters ---- */

struct statistics {
    const struct mtps_model *model;
    bool no_memory; /* then an array only seems to be missing */
};

static const struct named_array *find_state(void *arg, const char *name)
{
    static const enum dtype types[SECTION_TYPES] = {DTYPE_U8,  DTYPE_U32, DTYPE_U64,   DTYPE_I64,
                                                    DTYPE_F32, DTYPE_F64, DTYPE_COUNT, DTYPE_COUNT};
    struct statistics *from = arg;
    const struct mtps_model *m = from->model;
    const char *full = arena_printf(m->arena, "state/%s", name);
    const struct bundle_section *s = full ? bundle_find(m->bundle, full) : NULL;
    bool good = s && bundle_is_finite(s);
    struct named_array *a = good ? arena_take(m->arena, 1, sizeof *a) : NULL;
    from->no_memory |= !full || (good && !a);
    if (a) *a = (struct named_array){name, types[s->type], s->rows, s->cols, 0, (void *)s->data};
    return a;
}

static enum status make_model(struct mtps_model *m, struct error *err)
{
    struct statistics statistics = {m, false};
    struct fit_source from = {find_state, &statistics};
    enum status st = fit_from_arrays(m->schema, &from, &m->fit, err);
    if (statistics.no_memory) return loaded_no_memory(err);
    TRY(as_fault(m, st, err));
    TRY(as_fault(m, model_tables_make(m->settings, m->schema, &m->kinds, err), err));
    m->table_dim = m->kinds->dim;
    struct assembly a = {
        .settings = m->settings, .schema = m->schema, .fit = m->fit, .tables = m->kinds};
    return as_fault(m, assemble_model(&a, &m->model, err), err);
}

static enum status find_tensor(const struct mtps_model *m, const struct model_tensor *t,
                               const struct bundle_section **out, struct error *err)
{
    const char *name = arena_printf(m->arena, "tensor/%s", t->name);
    if (!name) return loaded_no_memory(err);
    const struct bundle_section *s = *out = bundle_find(m->bundle, name);
    if (!s) return error_set(err, ST_DATA, "%s: section %s is missing", m->bundle->path, name);
    if (s->type != SECTION_F32 || s->rows != t->rows || s->cols != t->cols)
        return error_set(err, ST_DATA, "%s: section %s has another type or shape", m->bundle->path, name);
    if (!bundle_is_finite(s))
        return error_set(err, ST_DATA, "%s: section %s holds a number that is not finite", m->bundle->path, name);
    return ST_OK;
}

static void place_tensor(const struct model_tensor *t, const float *from, float *flat)
{
    for (size_t r = 0; r < t->rows; r++)
        memcpy(flat + t->offset + r * t->stride, from + r * t->cols, t->cols * sizeof *flat);
}

enum status loaded_params(struct mtps_model *m, float **out, struct error *err)
{
    enum { PADDED = 32 }; /* rows of a tensor are padded to 16 floats at most */
    size_t n, floats = 0;
    const struct model_tensor *t = model_tensors(m->model, &n);
    const struct bundle_section **from = arena_take(m->arena, n + 1, sizeof *from);
    if (!from) return loaded_no_memory(err);
    for (size_t i = 0; i < n; i++) {
        TRY(find_tensor(m, &t[i], &from[i], err));
        floats += t[i].rows * t[i].cols;
    }
    if (model_n_params(m->model) / PADDED > floats + 65536)
        return loaded_fault(m, err, "a larger model than the sections hold");
    float *flat = *out = mem_zeroed(model_n_params(m->model), sizeof *flat);
    if (!flat) return mem_error(err, "parameters", model_n_params(m->model) * sizeof *flat);
    for (size_t i = 0; i < n; i++) place_tensor(&t[i], from[i]->data, flat);
    return ST_OK;
}

static enum status make_infer(struct mtps_model *m, struct error *err)
{
    float *flat;
    TRY(loaded_params(m, &flat, err));
    enum status st = infer_create(m->model, flat, &m->infer, err);
    mem_free(flat);
    return st;
}

/* ---- tables and levels ---- */

/* A delta's base is a version beside it. */
static enum status open_base(struct mtps_model *m, enum bundle_checks checks, struct error *err)
{
    const char *id;
    uint64_t version;
    char path[PATH_MAX];
    if (!node_get(m->bundle->header, "base")) return ST_OK;
    TRY(bundle_text(m->bundle, "base", &id, err));
    TRY(bundle_number(m->bundle, "base_version", &version, err));
    const char *own = m->bundle->path, *slash = strrchr(own, '/');
    int n = snprintf(path, sizeof path, "%.*s/../%llu/%s", slash ? (int)(slash - own) : 1, slash ? own : ".",
                     (unsigned long long)version, BUNDLE_FILE);
    if (n < 0 || (size_t)n >= sizeof path) return loaded_fault(m, err, "the path of its base is too long");
    if (m->is_base) return loaded_fault(m, err, "a delta whose base is a delta");
    enum status st = open_as_base(path, checks, &m->base, err);
    if (st == ST_NOINPUT) error_hint(err, st, "a delta needs its base, version %llu, beside it", (unsigned long long)version);
    TRY(st);
    if (strcmp(m->base->info.id, id) != 0)
        return error_set(err, ST_DATA, "%s: its base is %s, %s is %s", own, id, path, m->base->info.id);
    return ST_OK;
}

static enum status join_base(struct mtps_model *m, size_t t, struct error *err)
{
    const struct mtps_model *b = m->base;
    const char *name = m->kinds->name[t];
    size_t i = 0;
    if (!b) return ST_OK;
    while (i < b->kinds->n && strcmp(b->kinds->name[i], name) != 0) i++;
    if (i == b->kinds->n || b->table_dim[i] != m->table_dim[t])
        return error_set(err, ST_DATA, "%s: table %s is not in its base", m->bundle->path, name);
    m->tables[t].base = &b->tables[i];
    return ST_OK;
}

static enum status open_tables(struct mtps_model *m, bool check, struct error *err)
{
    size_t n = m->kinds->n;
    m->tables = arena_take(m->arena, n + 1, sizeof *m->tables);
    if (!m->tables) return loaded_no_memory(err);
    for (size_t t = 0; t < n; t++) {
        const struct table_cfg cfg = model_tables_cfg(m->settings, m->kinds->name[t]);
        TRY(lookup_open(m->bundle, m->kinds->name[t], m->table_dim[t], &cfg.init, m->settings->seed, check,
                        &m->tables[t], err));
        TRY(join_base(m, t, err));
        m->info.n_rows += m->tables[t].keys.n;
    }
    m->info.rows = n ? section_type_name(m->tables[0].type) : section_type_name(SECTION_F32);
    return ST_OK;
}

static enum status project_missing(struct mtps_model *m, size_t feature, struct error *err)
{
    const struct lookup *l = &m->tables[m->schema->features[feature].table];
    float *row = arena_take(m->arena, l->dim, sizeof *row);
    float *to = arena_take(m->arena, m->projected_width, sizeof *to);
    if (!row || !to) return loaded_no_memory(err);
    row_init(&l->init, &l->rng, m->missing_key, l->dim, row);
    infer_project(m->infer, feature, row, to);
    m->missing[feature] = to;
    return ST_OK;
}

/* `projected` of the header: rows times their weights are inside. Inputs of the model are
 * the features, by number. */
static enum status find_projected(struct mtps_model *m, bool check, struct error *err)
{
    uint64_t inside = 0;
    size_t n = m->schema->n_features;
    m->projected = arena_take(m->arena, n + 1, sizeof *m->projected);
    m->missing = arena_take(m->arena, n + 1, sizeof *m->missing);
    if (!m->projected || !m->missing) return loaded_no_memory(err);
    m->missing_key = feature_missing_key();
    if (!node_get(m->bundle->header, "projected")) return ST_OK;
    TRY(bundle_number(m->bundle, "projected", &inside, err));
    if (!inside) return ST_OK;
    if (m->base) return loaded_fault(m, err, "header: projected: a delta has no projected rows");
    m->projected_width = m->kinds->same ? infer_projected_width(m->infer) : 0;
    if (!m->projected_width) return loaded_fault(m, err, "header: projected: this model has no rows to project");
    for (size_t i = 0; i < n; i++) {
        const struct bundle_section *s;
        const struct schema_feature *f = &m->schema->features[i];
        if (!infer_projects(m->infer, i)) continue;
        TRY(lookup_section(m->bundle, "projected", f->name, SECTION_F32, m->tables[f->table].keys.n,
                           m->projected_width, &s, err));
        if (check && !bundle_is_finite(s))
            return error_set(err, ST_DATA, "%s: section %s holds a number that is not finite", m->bundle->path, s->name);
        m->projected[i] = s->data;
        TRY(project_missing(m, i, err));
    }
    m->info.projected = 1;
    return ST_OK;
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = ((const struct loaded_level *)a)->key, y = ((const struct loaded_level *)b)->key;
    return (x > y) - (x < y);
}

static enum status sort_levels(struct mtps_model *m, struct error *err)
{
    m->levels = arena_take(m->arena, m->schema->n_one_hot + 1, sizeof *m->levels);
    if (!m->levels) return loaded_no_memory(err);
    for (size_t k = 0; k < m->schema->n_one_hot; k++) {
        size_t n = m->fit->n_levels[k];
        m->levels[k] = arena_take(m->arena, n + 1, sizeof **m->levels);
        if (!m->levels[k]) return loaded_no_memory(err);
        for (size_t i = 0; i < n; i++)
            m->levels[k][i] = (struct loaded_level){m->fit->levels[k][i], (uint32_t)i};
        qsort(m->levels[k], n, sizeof **m->levels, by_key);
    }
    return ST_OK;
}

/* ---- the whole ---- */

static enum status describe(struct mtps_model *m, struct error *err)
{
    const struct bundle *b = m->bundle;
    m->info.name = m->settings->name;
    m->info.id = b->id;
    m->info.path = b->path;
    m->info.bytes = b->bytes;
    TRY(bundle_text(b, "created_by", &m->info.created_by, err));
    TRY(bundle_number(b, "model_version", &m->info.version, err));
    return bundle_number(b, "step", &m->info.step, err);
}

static enum status load(struct mtps_model *m, const char *path, enum bundle_checks checks,
                        struct error *err)
{
    TRY(bundle_open(path, checks, &m->bundle, err));
    TRY(make_schema(m, err));
    TRY(make_model(m, err));
    TRY(make_infer(m, err));
    TRY(open_base(m, checks, err));
    TRY(open_tables(m, checks == BUNDLE_CHECK_ALL, err));
    TRY(find_projected(m, checks == BUNDLE_CHECK_ALL, err));
    TRY(sort_levels(m, err));
    TRY(loaded_list_inputs(m, checks == BUNDLE_CHECK_ALL, err));
    TRY(loaded_list_tasks(m, err));
    TRY(loaded_list_features(m, err));
    return describe(m, err);
}

static void destroy(struct mtps_model *m)
{
    infer_destroy(m->infer);
    model_destroy(m->model);
    model_tables_destroy(m->kinds);
    fit_destroy(m->fit);
    schema_destroy(m->schema);
    settings_destroy(m->settings);
    bundle_close(m->bundle);
    loaded_release(m->base);
    arena_destroy(m->arena);
    if (m->plain) freelocale(m->plain);
    mem_free(m);
}

static enum status load_plain(struct mtps_model *m, const char *path, enum bundle_checks checks,
                              struct error *err)
{
    m->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!m->plain) return loaded_no_memory(err);
    TRY(arena_create(&m->arena, err));
    locale_t before = uselocale(m->plain);
    enum status st = load(m, path, checks, err);
    uselocale(before);
    return st;
}

static enum status open_model(const char *path, enum bundle_checks checks, bool is_base,
                              struct mtps_model **out, struct error *err)
{
    *out = NULL;
    struct mtps_model *m = mem_zeroed(1, sizeof *m);
    if (!m) return loaded_no_memory(err);
    atomic_init(&m->holders, 1);
    m->is_base = is_base;
    enum status st = load_plain(m, path, checks, err);
    if (st != ST_OK) {
        destroy(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

static enum status open_as_base(const char *path, enum bundle_checks checks,
                                    struct mtps_model **out, struct error *err)
{
    return open_model(path, checks, true, out, err);
}

enum status loaded_open(const char *path, enum bundle_checks checks, struct mtps_model **out,
                        struct error *err)
{
    return open_model(path, checks, false, out, err);
}

void loaded_release(struct mtps_model *m)
{
    if (m && atomic_fetch_sub(&m->holders, 1) == 1) destroy(m);
}
