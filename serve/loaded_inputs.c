/* What a row of an open model holds: inputs, side tables that stand for some, features, tasks. */
#include "serve/loaded_impl.h"

#include <stdio.h>
#include <string.h>

/* ---- columns ---- */

static size_t input_of(struct mtps_model *m, const char *name)
{
    size_t i = 0;
    while (i < m->n_inputs && strcmp(m->inputs[i].name, name) != 0) i++;
    if (i == m->n_inputs) m->inputs[m->n_inputs++] = (struct mtps_input){name, 0, 0};
    return i;
}

static const struct source_cfg *source_of(const struct mtps_model *m, int owner)
{
    const struct data_cfg *d = &m->settings->data;
    if (owner >= 0) return &d->joins[owner].source;
    return &d->train;
}

static void use_column(struct mtps_model *m, size_t column, bool number)
{
    const struct schema_column *c = &m->schema->plan->columns[column];
    const struct source_cfg *source = source_of(m, c->owner);
    struct loaded_column *l = &m->columns[column];
    l->missing = c->missing ? c->missing : &source->missing;
    l->trim = source->trim;
    l->list = source->format == SOURCE_SLOT;
    if (m->joins && c->owner >= 0) {
        l->join = &m->joins[c->owner];
        l->join->used = true;
        l->side = c->name;
        return;
    }
    l->input = input_of(m, c->name);
    if (number) m->inputs[l->input].is_number = 1;
}

static void use_expr(struct mtps_model *m, const struct schema_expr *e)
{
    for (size_t i = 0; i < e->n; i++) use_column(m, e->inputs[i], !expr_column_is_string(e->expr, i));
}

/* A bare column is a number here, and a text where it is an id. */
static void use_duration(struct mtps_model *m, const struct schema_expr *e)
{
    if (expr_is_column(e->expr))
        use_column(m, e->inputs[0], true);
    else
        use_expr(m, e);
}

static void use_feature(struct mtps_model *m, size_t i)
{
    const struct schema_feature *f = &m->schema->features[i];
    const struct feature_plan *p = &m->schema->plan->features[i];
    if (p->from == FROM_EXPR) use_expr(m, &p->expr);
    if (p->from != FROM_COLUMN) return;
    use_column(m, p->column, p->store == STORE_NUMBER);
    struct loaded_column *l = &m->columns[p->column];
    if (l->join) return;
    bool many = f->multi || (l->list && f->width > 1 && p->store == STORE_NUMBER);
    if (!l->list && f->multi) l->joint = f->cfg->split;
    if (many && (l->list || l->joint)) m->inputs[l->input].is_list = 1;
}

/* A column that one feature reads as a list and another as a plain text takes both. */
static void share_joints(struct mtps_model *m)
{
    const struct schema_plan *p = m->schema->plan;
    for (size_t c = 0; c < p->n_columns; c++)
        for (size_t d = 0; d < p->n_columns; d++)
            if (!m->columns[d].joint && m->columns[d].input != SIZE_MAX &&
                m->columns[d].input == m->columns[c].input)
                m->columns[d].joint = m->columns[c].joint;
}

/* ---- side tables ---- */

/* `joins` of the header: for each side table the owner of its key, and its columns. */
static enum status read_join(struct mtps_model *m, const struct node *e, struct loaded_join *join,
                             struct error *err)
{
    bool pair = e->kind == NODE_LIST && e->n == 2 && e->items[0]->kind == NODE_SCALAR &&
                e->items[1]->kind == NODE_LIST && e->items[1]->n <= LOADED_MAX_FEATURES;
    if (!pair) return loaded_fault(m, err, "header: joins: an owner and a list of columns are expected");
    if (!loaded_owner(e->items[0], join->index, &join->owner))
        return loaded_fault(m, err, "header: joins: there is no such owner");
    join->names = arena_take(m->arena, e->items[1]->n + 1, sizeof *join->names);
    if (!join->names) return loaded_no_memory(err);
    for (; join->n_cells < e->items[1]->n; join->n_cells++) {
        const struct node *name = e->items[1]->items[join->n_cells];
        if (name->kind != NODE_SCALAR) return loaded_fault(m, err, "header: joins: a column's name is expected");
        join->names[join->n_cells] = name->text;
    }
    return ST_OK;
}

static enum status open_joins(struct mtps_model *m, struct error *err)
{
    const struct node *inside = node_get(m->bundle->header, "joins");
    size_t n = m->settings->data.n_joins;
    if (!inside || !n) return ST_OK;
    if (inside->kind != NODE_LIST || inside->n != n)
        return loaded_fault(m, err, "header: joins: one of each side table is expected");
    m->joins = arena_take(m->arena, n, sizeof *m->joins);
    if (!m->joins) return loaded_no_memory(err);
    for (size_t j = 0; j < n; j++) {
        m->joins[j].index = j;
        TRY(read_join(m, inside->items[j], &m->joins[j], err));
    }
    return ST_OK;
}

/* The column that holds the key of a side table: an input, or of an earlier table. */
static void find_key(struct mtps_model *m, struct loaded_join *join)
{
    const char *key = m->settings->data.joins[join->index].key.text;
    const struct source_cfg *source = source_of(m, join->owner);
    join->key = (struct loaded_column){.input = SIZE_MAX, .missing = &source->missing, .trim = source->trim};
    if (join->owner < 0) {
        join->key.input = input_of(m, key);
        return;
    }
    join->key.join = &m->joins[join->owner];
    join->key.side = key;
    m->joins[join->owner].used = true;
}

static enum status find_cell(const struct mtps_model *m, struct loaded_column *c, struct error *err)
{
    if (!c->join) return ST_OK;
    while (c->cell < c->join->n_cells && strcmp(c->join->names[c->cell], c->side) != 0) c->cell++;
    if (c->cell < c->join->n_cells) return ST_OK;
    return error_set(err, ST_DATA, "%s: header: joins: side table %zu has no column %s", m->bundle->path,
                     c->join->index, c->side);
}

static enum status open_cells(const struct mtps_model *m, struct loaded_join *join, bool check,
                              struct error *err)
{
    char prefix[64];
    const struct bundle_section *offsets, *bytes;
    snprintf(prefix, sizeof prefix, "join/%zu", join->index);
    TRY(lookup_open_keys(m->bundle, prefix, "hashes", check, &join->keys, err));
    size_t cells = join->keys.n * join->n_cells; /* below 2^32 times 2^14 */
    TRY(lookup_section(m->bundle, prefix, "offsets", SECTION_U64, cells + 1, 0, &offsets, err));
    TRY(lookup_section(m->bundle, prefix, "bytes", SECTION_U8, SIZE_MAX, 0, &bytes, err));
    join->offsets = offsets->data;
    join->bytes = bytes->data;
    join->n_bytes = bytes->rows;
    for (size_t i = 0; check && i <= cells; i++)
        if (join->offsets[i] > join->n_bytes || (i && join->offsets[i] < join->offsets[i - 1]))
            return error_set(err, ST_DATA, "%s: %s: offsets are not in order at cell %zu", m->bundle->path, prefix, i);
    return ST_OK;
}

/* Last tables first: their keys may stand in earlier ones. */
static enum status find_sides(struct mtps_model *m, bool check, struct error *err)
{
    for (size_t j = m->joins ? m->settings->data.n_joins : 0; j-- > 0;) {
        if (!m->joins[j].used) continue;
        find_key(m, &m->joins[j]);
        TRY(open_cells(m, &m->joins[j], check, err));
        TRY(find_cell(m, &m->joins[j].key, err));
    }
    for (size_t c = 0; c < m->schema->plan->n_columns; c++) TRY(find_cell(m, &m->columns[c], err));
    return ST_OK;
}

/* ---- what is shown ---- */

enum status loaded_list_inputs(struct mtps_model *m, bool check, struct error *err)
{
    const struct schema_plan *p = m->schema->plan;
    TRY(open_joins(m, err));
    m->columns = arena_take(m->arena, p->n_columns + 1, sizeof *m->columns);
    m->inputs = arena_take(m->arena, p->n_columns + m->settings->data.n_joins + 1, sizeof *m->inputs);
    if (!m->columns || !m->inputs) return loaded_no_memory(err);
    for (size_t c = 0; c < p->n_columns; c++) m->columns[c].input = SIZE_MAX;
    for (size_t i = 0; i < m->schema->n_features; i++) use_feature(m, i);
    for (size_t k = 0; k < m->settings->n_tasks; k++) {
        if (m->settings->tasks[k].loss != LOSS_COMPLETION) continue;
        if (!p->tasks[k].duration.expr) return loaded_fault(m, err, "settings: a completion without a duration");
        m->has_durations = true;
        use_duration(m, &p->tasks[k].duration);
    }
    share_joints(m);
    return find_sides(m, check, err);
}

enum status loaded_list_tasks(struct mtps_model *m, struct error *err)
{
    size_t n = m->settings->n_tasks;
    m->tasks = arena_take(m->arena, n + 1, sizeof *m->tasks);
    if (!m->tasks) return loaded_no_memory(err);
    for (size_t k = 0; k < n; k++)
        m->tasks[k] = (struct mtps_task){m->settings->tasks[k].name,
                                         m->settings->tasks[k].loss == LOSS_BCE ? MTPS_PROBABILITY : MTPS_NUMBER};
    return ST_OK;
}

/* Levels are always texts. */
static enum mtps_key_kind key_kind(const struct schema_feature *f, const struct feature_plan *p)
{
    if (p->from == FROM_CROSS) return MTPS_KEY_CROSS;
    return f->kind == FEATURE_ID && f->cfg->key == KEY_UINT64 ? MTPS_KEY_NUMBER : MTPS_KEY_TEXT;
}

enum status loaded_list_features(struct mtps_model *m, struct error *err)
{
    size_t n = m->schema->n_features;
    m->features = arena_take(m->arena, n + 1, sizeof *m->features);
    if (!m->features) return loaded_no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const struct schema_feature *f = &m->schema->features[i];
        const struct feature_plan *p = &m->schema->plan->features[i];
        m->features[i] = (struct mtps_feature){.name = f->name,
                                               .kind = p->store == STORE_NUMBER    ? MTPS_FEATURE_NUMBERS
                                                       : p->store == STORE_ONE_HOT ? MTPS_FEATURE_LEVELS
                                                                                   : MTPS_FEATURE_KEYS,
                                               .is_list = f->multi,
                                               .width = p->store == STORE_NUMBER ? p->width : 0,
                                               .key = key_kind(f, p)};
    }
    return ST_OK;
}
