#include "data/schema.h"

#include <fnmatch.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/config/nearest.h"

static enum status no_memory(struct error *err)
{
    return mem_error(err, "schema", sizeof(struct schema));
}

/* ---- columns ---- */

static size_t known_index(const struct schema_plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_known; i++)
        if (!strcmp(p->known[i], name)) return i;
    return SIZE_MAX;
}

int schema_owner(const struct schema_plan *p, const char *name)
{
    size_t i = known_index(p, name);
    return i == SIZE_MAX ? -1 : p->known_owner[i];
}

static bool same_list(const struct list_cfg *a, const struct list_cfg *b)
{
    if (!a || !b) return a == b;
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i], b->v[i])) return false;
    return true;
}

static bool grow(struct schema *s)
{
    struct schema_plan *p = s->plan;
    size_t max = p->max_columns ? 2 * p->max_columns : 64;
    struct schema_column *c = arena_take(s->arena, max, sizeof *c);
    if (!c) return false;
    if (p->n_columns) memcpy(c, p->columns, p->n_columns * sizeof *c);
    p->columns = c;
    p->max_columns = max;
    return true;
}

size_t schema_column_add(struct schema *s, const char *name,
                         const struct list_cfg *missing, struct error *err)
{
    struct schema_plan *p = s->plan;
    for (size_t i = 0; i < p->n_columns; i++)
        if (!strcmp(p->columns[i].name, name) &&
            same_list(p->columns[i].missing, missing))
            return i;
    char *copy = arena_strdup(s->arena, name);
    if (!copy || (p->n_columns == p->max_columns && !grow(s))) {
        no_memory(err);
        return SIZE_MAX;
    }
    p->columns[p->n_columns] =
        (struct schema_column){copy, missing, schema_owner(p, name)};
    return p->n_columns++;
}

static enum status copy_columns(struct schema *s, const struct raw_columns *c,
                                struct error *err)
{
    struct schema_plan *p = s->plan;
    const char **names = arena_take(s->arena, c->n + 1, sizeof *names);
    int *owner = arena_take(s->arena, c->n + 1, sizeof *owner);
    if (!names || !owner) return no_memory(err);
    for (size_t i = 0; i < c->n; i++) {
        names[i] = arena_strdup(s->arena, c->names[i]);
        if (!names[i]) return no_memory(err);
        owner[i] = c->owner[i];
    }
    p->known = names;
    p->known_owner = owner;
    p->n_known = c->n;
    return ST_OK;
}

static enum status unknown_column(const struct schema *s, const struct origin *at,
                                  const char *what, const char *name, const char *column,
                                  struct error *err)
{
    config_fail(err, *at, "%s %s: column \"%s\" is not in the data", what, name, column);
    const char *near = nearest_word(column, s->plan->known, s->plan->n_known);
    return near ? error_hint(err, ST_USAGE, "did you mean \"%s\"?", near) : ST_USAGE;
}

/* ---- expressions ---- */

/* Inputs of e as columns of the schema; missing: of the feature, or NULL. */
static enum status resolve(struct schema *s, struct expr *expr,
                           const struct list_cfg *missing, struct schema_expr *out,
                           struct error *err)
{
    size_t n = expr_n_columns(expr);
    size_t *inputs = arena_take(s->arena, n + 1, sizeof *inputs);
    *out = (struct schema_expr){expr, inputs, n};
    if (!inputs) return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        inputs[i] = schema_column_add(s, expr_column(expr, i), missing, err);
        if (inputs[i] == SIZE_MAX) return ST_NOMEM;
    }
    return ST_OK;
}

static enum status parse(struct schema *s, const struct text_cfg *text,
                         const struct list_cfg *missing, struct schema_expr *out,
                         struct error *err)
{
    struct expr *expr;
    TRY(expr_parse(text, s->plan->known, s->plan->n_known, &expr, err));
    s->plan->exprs[s->plan->n_exprs++] = expr;
    return resolve(s, expr, missing, out, err);
}

static int joint_owner(const struct schema_plan *p, const struct schema_expr *e)
{
    int owner = e->n ? p->columns[e->inputs[0]].owner : -1;
    for (size_t i = 1; i < e->n; i++)
        if (p->columns[e->inputs[i]].owner != owner) return -1;
    return owner;
}

/* ---- tasks ---- */

static bool label_is_absent(const struct schema *s, const struct task_cfg *t)
{
    struct expr *any;
    if (expr_parse(&t->label, s->plan->known, s->plan->n_known, &any, NULL) == ST_OK) {
        expr_destroy(any);
        return false;
    }
    /* Only unknown columns make a label absent; another mistake is reported. */
    if (expr_parse(&t->label, NULL, 0, &any, NULL) != ST_OK) return false;
    expr_destroy(any);
    return true;
}

/* An expression of a task. Without features the configuration is that of a bundle, whose
 * lines nobody sees: the setting is named, too. */
static enum status parse_of(struct schema *s, const struct task_cfg *t, const char *key,
                            const struct text_cfg *text, struct schema_expr *out, struct error *err)
{
    enum status st = parse(s, text, NULL, out, err);
    bool named = st != ST_OK && !s->plan->has_features;
    return named ? error_wrap(err, st, "tasks.%s.%s", t->name, key) : st;
}

/* What is absent is let be. */
static void parse_if_there(struct schema *s, const struct text_cfg *text, struct schema_expr *out)
{
    if (text->text && parse(s, text, NULL, out, NULL) != ST_OK) *out = (struct schema_expr){0};
}

static enum status build_task(struct schema *s, const struct task_cfg *t, struct task_plan *plan,
                              struct error *err)
{
    struct schema_plan *p = s->plan;
    if (t->duration.text && p->labels_optional && !p->has_features) {
        parse_if_there(s, &t->duration, &plan->duration);
        if (!plan->duration.expr) return ST_OK; /* a label without it would not be a completion's */
    } else if (t->duration.text) {
        TRY(parse_of(s, t, "duration", &t->duration, &plan->duration, err));
    }
    if (plan->duration.expr) p->durations = true;
    if (p->labels_optional && label_is_absent(s, t)) return ST_OK;
    TRY(parse_of(s, t, "label", &t->label, &plan->label, err));
    if (p->labels_optional) {
        parse_if_there(s, &t->present, &plan->present); /* nothing is learned from these rows */
        return ST_OK;
    }
    if (t->present.text) TRY(parse_of(s, t, "present", &t->present, &plan->present, err));
    if (t->row_weight.text) TRY(parse_of(s, t, "row_weight", &t->row_weight, &plan->weight, err));
    if (plan->weight.expr) p->row_weights = true;
    return ST_OK;
}

static enum status build_tasks(struct schema *s, struct error *err)
{
    const struct settings *settings = s->settings;
    struct schema_plan *p = s->plan;
    p->tasks = arena_take(s->arena, settings->n_tasks + 1, sizeof *p->tasks);
    if (!p->tasks) return no_memory(err);
    for (size_t k = 0; k < settings->n_tasks; k++)
        TRY(build_task(s, &settings->tasks[k], &p->tasks[k], err));
    return ST_OK;
}

/* ---- names of features ---- */

static bool is_pattern(const struct feature_cfg *c, const char *name)
{
    return c->is_group && strpbrk(name, "*?");
}

static bool is_excepted(const struct feature_cfg *c, const char *name)
{
    for (size_t i = 0; i < c->except.n; i++)
        if (!fnmatch(c->except.v[i], name, 0)) return true;
    return false;
}

/* Work memory of the expansion. */
struct names {
    struct schema_expr *expr; /* per entry */
    bool *taken;              /* per known column: read by something else */
};

static void take_column(const struct schema *s, struct names *n, const char *name)
{
    size_t i = known_index(s->plan, name);
    if (i != SIZE_MAX) n->taken[i] = true;
}

static void take_inputs(const struct schema *s, struct names *n,
                        const struct schema_expr *e)
{
    for (size_t i = 0; i < e->n; i++)
        take_column(s, n, s->plan->columns[e->inputs[i]].name);
}

/* Columns that patterns leave alone; parses the entries' expressions. */
static enum status take_columns(struct schema *s, struct names *n, struct error *err)
{
    const struct settings *settings = s->settings;
    for (size_t k = 0; k < settings->n_tasks; k++) {
        const struct task_plan *t = &s->plan->tasks[k];
        take_inputs(s, n, &t->label);
        take_inputs(s, n, &t->present);
        take_inputs(s, n, &t->weight);
    }
    for (size_t i = 0; i < settings->n_features; i++) {
        const struct feature_cfg *c = &settings->features[i];
        if (c->expr.text) {
            TRY(parse(s, &c->expr, c->has_missing ? &c->missing : NULL, &n->expr[i],
                      err));
            take_inputs(s, n, &n->expr[i]);
            continue;
        }
        for (size_t j = 0; j < c->names.n && !c->cross.n; j++)
            if (!is_pattern(c, c->names.v[j]))
                take_column(s, n, c->column ? c->column : c->names.v[j]);
    }
    return ST_OK;
}

static enum status add_feature(struct schema *s, const struct feature_cfg *c,
                               const struct schema_expr *expr, const char *name,
                               struct error *err)
{
    for (size_t i = 0; i < s->n_features; i++)
        if (!strcmp(s->features[i].name, name))
            return config_fail(err, c->at, "feature \"%s\" is given twice", name);
    struct schema_feature *f = &s->features[s->n_features];
    struct feature_plan *p = &s->plan->features[s->n_features];
    *f = (struct schema_feature){.name = arena_strdup(s->arena, name), .cfg = c};
    *p = (struct feature_plan){.from = FROM_COLUMN};
    if (!f->name) return no_memory(err);
    s->n_features++;
    if (c->cross.n) {
        p->from = FROM_CROSS;
    } else if (expr->expr) {
        p->from = FROM_EXPR;
        p->expr = *expr;
        p->owner = joint_owner(s->plan, expr);
    } else {
        const char *column = c->column ? c->column : f->name;
        if (s->settings->data.train.format != SOURCE_SLOT &&
            known_index(s->plan, column) == SIZE_MAX)
            return unknown_column(s, &c->at, "feature", name, column, err);
        p->column =
            schema_column_add(s, column, c->has_missing ? &c->missing : NULL, err);
        if (p->column == SIZE_MAX) return ST_NOMEM;
        p->owner = s->plan->columns[p->column].owner;
    }
    return ST_OK;
}

static enum status expand_pattern(struct schema *s, struct names *n,
                                  const struct feature_cfg *c, const char *pattern,
                                  struct error *err)
{
    size_t before = s->n_features;
    struct schema_expr none = {0};
    bool matched = false;
    for (size_t i = 0; i < s->plan->n_known; i++) {
        const char *name = s->plan->known[i];
        if (fnmatch(pattern, name, 0)) continue;
        matched = true;
        if (n->taken[i] || is_excepted(c, name)) continue;
        n->taken[i] = true;
        TRY(add_feature(s, c, &none, name, err));
    }
    if (s->n_features != before) return ST_OK;
    return config_fail(err, c->at, "pattern \"%s\" %s", pattern,
                       matched ? "matches only columns that are read elsewhere or excepted"
                               : "matches no column of the data");
}

static enum status expand(struct schema *s, struct error *err)
{
    const struct settings *settings = s->settings;
    size_t most = 1;
    for (size_t i = 0; i < settings->n_features; i++)
        most += settings->features[i].names.n;
    most += s->plan->n_known;
    struct names n = {
        .expr = arena_take(s->arena, settings->n_features + 1, sizeof *n.expr),
        .taken = arena_take(s->arena, s->plan->n_known + 1, sizeof *n.taken)};
    s->features = arena_take(s->arena, most, sizeof *s->features);
    s->plan->features = arena_take(s->arena, most, sizeof *s->plan->features);
    if (!n.expr || !n.taken || !s->features || !s->plan->features) return no_memory(err);
    TRY(take_columns(s, &n, err));
    for (size_t i = 0; i < settings->n_features; i++) {
        const struct feature_cfg *c = &settings->features[i];
        for (size_t j = 0; j < c->names.n; j++) {
            const char *name = c->names.v[j];
            if (is_pattern(c, name))
                TRY(expand_pattern(s, &n, c, name, err));
            else if (!c->is_group || !is_excepted(c, name))
                TRY(add_feature(s, c, &n.expr[i], name, err));
        }
    }
    if (s->n_features) return ST_OK;
    return error_set(err, ST_USAGE, "features: none is given");
}

/* ---- tables ---- */

static size_t table_index(const struct schema *s, const char *name)
{
    for (size_t t = 0; t < s->n_tables; t++)
        if (!strcmp(s->table_names[t], name)) return t;
    return SIZE_MAX;
}

static const struct table_cfg *table_cfg_of(const struct settings *s, const char *name)
{
    for (size_t i = 1; i < s->n_tables; i++)
        if (!strcmp(s->tables[i].name, name)) return &s->tables[i];
    return &s->tables[0];
}

static const char *table_of(const struct schema_feature *f)
{
    return f->cfg->table ? f->cfg->table : f->name;
}

static void insert_table(struct schema *s, const char *name)
{
    size_t at = s->n_tables;
    while (at > 0 && strcmp(s->table_names[at - 1], name) > 0) at--;
    memmove(s->table_names + at + 1, s->table_names + at,
            (s->n_tables - at) * sizeof *s->table_names);
    s->table_names[at] = name;
    s->n_tables++;
}

static enum status build_tables(struct schema *s, struct error *err)
{
    s->table_names = arena_take(s->arena, s->n_features + 1, sizeof *s->table_names);
    s->tables = arena_take(s->arena, s->n_features + 1, sizeof *s->tables);
    if (!s->table_names || !s->tables) return no_memory(err);
    for (size_t i = 0; i < s->n_features; i++) {
        const char *name = table_of(&s->features[i]);
        if (s->features[i].cfg->kind == FEATURE_ID && table_index(s, name) == SIZE_MAX)
            insert_table(s, name);
    }
    for (size_t t = 0; t < s->n_tables; t++)
        s->tables[t] = table_cfg_of(s->settings, s->table_names[t]);
    return ST_OK;
}

/* ---- places ---- */

static enum status place_dense(struct schema *s, struct schema_feature *f,
                               struct feature_plan *p, struct error *err)
{
    const struct feature_cfg *c = f->cfg;
    f->width = c->width ? c->width : 1;
    f->place = s->n_dense;
    s->n_dense += f->width;
    p->store = STORE_NUMBER;
    p->at = f->place;
    p->width = f->width;
    if (f->width > 1 &&
        (p->from != FROM_COLUMN || s->settings->data.train.format != SOURCE_SLOT))
        return config_fail(err, c->at,
                           "feature %s: width %zu: a column or expression of csv and tsv "
                           "rows holds one number; vectors are read from format: slot",
                           f->name, f->width);
    return ST_OK;
}

static void place_id(struct schema *s, struct schema_feature *f, struct feature_plan *p)
{
    const struct feature_cfg *c = f->cfg;
    struct schema_plan *plan = s->plan;
    f->place = s->n_ids;
    plan->ids[s->n_ids++] = (size_t)(f - s->features);
    f->table = table_index(s, table_of(f));
    f->width = s->tables[f->table]->dim;
    f->multi = (c->multi || c->split) && !c->bucketize && p->from != FROM_CROSS;
    f->pool = c->pool;
    if (c->bucketize) {
        p->store = STORE_NUMBER; /* placed behind the dense columns */
        p->width = 1;
        plan->n_bucket++;
    } else if (f->multi) {
        p->store = STORE_MULTI;
        p->at = plan->n_multi;
        plan->multi[plan->n_multi++] = (size_t)(f - s->features);
    } else {
        p->store = STORE_SINGLE;
        p->at = plan->n_single;
        plan->single[plan->n_single++] = (size_t)(f - s->features);
    }
}

static enum status place_features(struct schema *s, struct error *err)
{
    struct schema_plan *plan = s->plan;
    size_t n = s->n_features + 1;
    plan->single = arena_take(s->arena, n, sizeof *plan->single);
    plan->multi = arena_take(s->arena, n, sizeof *plan->multi);
    plan->one_hot = arena_take(s->arena, n, sizeof *plan->one_hot);
    plan->ids = arena_take(s->arena, n, sizeof *plan->ids);
    if (!plan->single || !plan->multi || !plan->one_hot || !plan->ids)
        return no_memory(err);
    for (size_t i = 0; i < s->n_features; i++) {
        struct schema_feature *f = &s->features[i];
        struct feature_plan *p = &plan->features[i];
        f->kind = f->cfg->kind;
        if (f->kind == FEATURE_DENSE) {
            TRY(place_dense(s, f, p, err));
        } else if (f->kind == FEATURE_ONE_HOT) {
            f->place = s->n_one_hot++;
            p->store = STORE_ONE_HOT;
            p->at = plan->n_one_hot;
            plan->one_hot[plan->n_one_hot++] = i;
        } else {
            place_id(s, f, p);
        }
    }
    plan->n_number = s->n_dense;
    for (size_t i = 0; i < s->n_features; i++)
        if (s->features[i].kind == FEATURE_ID && plan->features[i].store == STORE_NUMBER)
            plan->features[i].at = plan->n_number++;
    return ST_OK;
}

/* ---- crosses ---- */

static enum status cross_error(const struct schema_feature *f, const char *part,
                               const char *why, struct error *err)
{
    return config_fail(err, f->cfg->at, "feature %s: cross with \"%s\": %s", f->name, part, why);
}

static enum status find_cross(struct schema *s, size_t index, struct error *err)
{
    struct schema_feature *f = &s->features[index];
    struct feature_plan *p = &s->plan->features[index];
    if (f->cfg->cross.n != 2)
        return config_fail(err, f->cfg->at, "feature %s: cross takes two features, not %zu",
                           f->name, f->cfg->cross.n);
    for (size_t side = 0; side < 2; side++) {
        const char *name = f->cfg->cross.v[side];
        size_t i = 0;
        while (i < s->n_features && strcmp(s->features[i].name, name)) i++;
        if (i == s->n_features)
            return cross_error(f, name, "there is no such feature", err);
        const struct schema_feature *g = &s->features[i];
        if (g->kind != FEATURE_ID)
            return cross_error(f, name, "it is not an id feature", err);
        if (g->multi) return cross_error(f, name, "it is multi-valued", err);
        if (g->cfg->bucketize)
            return cross_error(
                f, name, "it is bucketized; bucketize by an expression instead", err);
        if (s->plan->features[i].from == FROM_CROSS)
            return cross_error(f, name, "it is a cross itself", err);
        p->cross[side] = i;
    }
    int a = s->plan->features[p->cross[0]].owner,
        b = s->plan->features[p->cross[1]].owner;
    p->owner = a == b ? a : -1;
    return ST_OK;
}

static enum status find_crosses(struct schema *s, struct error *err)
{
    for (size_t i = 0; i < s->n_features; i++)
        if (s->plan->features[i].from == FROM_CROSS) TRY(find_cross(s, i, err));
    return ST_OK;
}

/* ---- attention ---- */

static enum status attention_error(const struct schema_feature *f, const char *why,
                                   struct error *err)
{
    return config_fail(err, f->cfg->at, "feature %s: pool: attention to \"%s\": %s", f->name,
                       f->cfg->attention.target, why);
}

static enum status unknown_target(const struct schema *s, const struct schema_feature *f,
                                  struct error *err)
{
    enum { SOME = 256 };
    const char *names[SOME];
    size_t n = s->n_features < SOME ? s->n_features : SOME;
    for (size_t i = 0; i < n; i++) names[i] = s->features[i].name;
    const char *nearest = nearest_word(f->cfg->attention.target, names, n);
    attention_error(f, "there is no such feature", err);
    return nearest ? error_hint(err, ST_USAGE, "did you mean '%s'?", nearest) : ST_USAGE;
}

static enum status find_target(struct schema *s, struct schema_feature *f,
                               struct error *err)
{
    size_t i = 0;
    while (i < s->n_features && strcmp(s->features[i].name, f->cfg->attention.target))
        i++;
    if (i == s->n_features) return unknown_target(s, f, err);
    const struct schema_feature *g = &s->features[i];
    if (!f->multi) return attention_error(f, "the feature is no list", err);
    if (g->kind != FEATURE_ID) return attention_error(f, "it is not an id feature", err);
    if (g->multi) return attention_error(f, "it is a list itself", err);
    if (g->width != f->width) {
        attention_error(f, "its rows have another dim", err);
        return error_hint(err, ST_USAGE,
                          "%zu, those of the list have %zu; let both share a table, or "
                          "give the tables one dim",
                          g->width, f->width);
    }
    f->target = i;
    return ST_OK;
}

static enum status find_targets(struct schema *s, struct error *err)
{
    for (size_t i = 0; i < s->n_features; i++)
        if (s->features[i].kind == FEATURE_ID && s->features[i].pool == POOL_ATTENTION)
            TRY(find_target(s, &s->features[i], err));
    return ST_OK;
}

/* ---- building ---- */

static enum status find_group(struct schema *s, struct error *err)
{
    const struct text_cfg *group = &s->settings->data.group;
    s->plan->group = SIZE_MAX;
    if (!group->text) return ST_OK;
    if (known_index(s->plan, group->text) == SIZE_MAX) {
        if (s->plan->labels_optional) return ST_OK;
        return unknown_column(s, &group->at, "data.group", "", group->text, err);
    }
    s->plan->group = schema_column_add(s, group->text, NULL, err);
    return s->plan->group == SIZE_MAX ? ST_NOMEM : ST_OK;
}

static enum status build_features(struct schema *s, struct error *err)
{
    TRY(expand(s, err));
    TRY(build_tables(s, err));
    TRY(place_features(s, err));
    TRY(find_crosses(s, err));
    return find_targets(s, err);
}

static enum status build(struct schema *s, const struct raw_columns *columns,
                         bool labels_optional, bool features,
                         struct error *err)
{
    s->plan = arena_take(s->arena, 1, sizeof *s->plan);
    if (!s->plan) return no_memory(err);
    size_t n = 3 * s->settings->n_tasks + s->settings->n_features + 1;
    s->plan->exprs = arena_take(s->arena, n, sizeof *s->plan->exprs);
    if (!s->plan->exprs) return no_memory(err);
    s->plan->labels_optional = labels_optional;
    s->plan->has_features = features;
    TRY(copy_columns(s, columns, err));
    TRY(build_tasks(s, err));
    if (features) TRY(build_features(s, err));
    TRY(find_group(s, err));
    s->plan->text = schema_describe(s);
    return s->plan->text ? ST_OK : no_memory(err);
}

static enum status create(const struct settings *settings, const struct raw_columns *columns,
                          bool labels_optional, bool features, struct schema **out,
                          struct error *err)
{
    struct schema *s = mem_zeroed(1, sizeof *s);
    if (!s) return no_memory(err);
    s->settings = settings;
    enum status st = arena_create(&s->arena, err);
    if (st == ST_OK) st = build(s, columns, labels_optional, features, err);
    if (st == ST_OK)
        *out = s;
    else
        schema_destroy(s);
    return st;
}

enum status schema_build(const struct settings *settings,
                         const struct raw_columns *columns, bool labels_optional,
                         struct schema **out, struct error *err)
{
    return create(settings, columns, labels_optional, true, out, err);
}

enum status schema_build_tasks(const struct settings *settings,
                               const struct raw_columns *columns, bool labels_optional,
                               struct schema **out, struct error *err)
{
    return create(settings, columns, labels_optional, false, out, err);
}

void schema_destroy(struct schema *s)
{
    if (!s) return;
    for (size_t i = 0; s->plan && i < s->plan->n_exprs; i++)
        expr_destroy(s->plan->exprs[i]);
    arena_destroy(s->arena);
    mem_free(s);
}

struct raw_columns schema_columns(const struct schema *s)
{
    return (struct raw_columns){s->plan->known, (int *)s->plan->known_owner, s->plan->n_known};
}
