/* A model's creation from its specification, and small questions about it. */
#include "model/attention.h"

#include <string.h>

#include "common/math/target.h"

size_t model_row_dim(enum model_type type, size_t cfg_dim, size_t n_tasks)
{
    return type == MODEL_LR ? n_tasks : cfg_dim;
}

/* ---- checks ---- */

static enum status check_sizes(const char *what, const struct mlp_cfg *mlp,
                               struct error *err)
{
    for (size_t i = 0; i < mlp->layers.n; i++)
        if (mlp->layers.v[i] == 0)
            return error_set(err, ST_USAGE, "%s.layers: layer %zu has no units", what, i);
    return ST_OK;
}

static enum status missing(const char *type, const char *key, struct error *err)
{
    error_set(err, ST_USAGE, "model.type %s needs %s", type, key);
    return error_hint(err, ST_USAGE, "set %s in the configuration", key);
}

static enum status check_sides(const struct model_spec *s, struct error *err)
{
    const struct sizes_cfg *user = &s->cfg.user.mlp.layers, *item = &s->cfg.item.mlp.layers;
    if (user->n == 0) return missing("two_tower", "model.user.layers", err);
    if (item->n == 0) return missing("two_tower", "model.item.layers", err);
    for (int side = 0; side < N_SIDES; side++) {
        size_t n = 0;
        for (size_t i = 0; i < s->n_inputs && s->side != NULL; i++)
            n += s->side[i] == (enum model_side)side && !s->inputs[i].direct;
        if (n == 0)
            return error_set(err, ST_USAGE, "two_tower: no input on the %s's side",
                             side == SIDE_USER ? "user" : "item");
    }
    if (user->v[user->n - 1] != item->v[item->n - 1])
        return error_set(err, ST_USAGE, "vectors of %zu floats do not match vectors of %zu",
                         user->v[user->n - 1], item->v[item->n - 1]);
    if (!(s->cfg.temperature > 0))
        return error_set(err, ST_USAGE, "model.temperature: %g is not above 0",
                         s->cfg.temperature);
    return ST_OK;
}

static enum status check_experts(const struct model_spec *s, struct error *err)
{
    const struct model_cfg *c = &s->cfg;
    const char *type = model_type_name(c->type);
    if (c->experts.layers.n == 0) return missing(type, "model.experts.layers", err);
    if (c->type == MODEL_OMOE || c->type == MODEL_MMOE)
        return c->expert_count > 0 ? ST_OK : missing(type, "model.experts.count", err);
    if (c->type == MODEL_PLE && c->expert_levels == 0)
        return missing(type, "model.experts.levels", err);
    for (size_t k = 0; k < s->n_tasks; k++) {
        if (s->tasks[k].own + c->expert_shared > 0) continue;
        return error_set(err, ST_USAGE,
                         "task %s has no expert: own and shared are both 0",
                         s->tasks[k].name);
    }
    return ST_OK;
}

/* The steps are tasks, once each, with the one loss that a probability has. */
static enum status check_steps(const struct model_spec *s, struct error *err)
{
    const struct sizes_cfg *steps = &s->cfg.steps;
    if (steps->n < 2) return missing("esmm or aitm", "model.funnel", err);
    for (size_t i = 0; i < steps->n; i++) {
        size_t k = steps->v[i];
        if (k >= s->n_tasks)
            return error_set(err, ST_USAGE, "model.funnel: task %zu of %zu", k, s->n_tasks);
        if (s->tasks[k].loss != LOSS_BCE)
            return error_set(err, ST_USAGE, "model.funnel: the loss of task %s is not bce",
                             s->tasks[k].name);
        for (size_t j = 0; j < i; j++)
            if (steps->v[j] == k)
                return error_set(err, ST_USAGE, "model.funnel: task %s stands twice",
                                 s->tasks[k].name);
    }
    for (size_t i = 0; i < s->n_inputs; i++)
        if (s->inputs[i].direct)
            return error_set(err, ST_USAGE,
                             "feature %s: esmm and aitm take no direct inputs",
                             s->inputs[i].name);
    enum balance_kind balance = s->cfg.balance.kind;
    if (balance == BALANCE_PCGRAD || balance == BALANCE_MGDA)
        return error_set(err, ST_USAGE,
                         "model.balance: pcgrad and mgda do not fit esmm and aitm: a step's "
                         "loss reaches the towers of others");
    return ST_OK;
}

static enum status check_aitm(const struct model_spec *s, struct error *err)
{
    TRY(check_steps(s, err));
    for (size_t k = 0; k < s->n_tasks; k++)
        if (s->tasks[k].tower.layers.n == 0)
            return error_set(err, ST_USAGE, "task %s: a tower of aitm needs a layer",
                             s->tasks[k].name);
    const struct sizes_cfg *steps = &s->cfg.steps;
    const struct sizes_cfg *first = &s->tasks[steps->v[0]].tower.layers;
    for (size_t i = 1; i < steps->n; i++) {
        const struct sizes_cfg *t = &s->tasks[steps->v[i]].tower.layers;
        if (t->v[t->n - 1] != first->v[first->n - 1])
            return error_set(err, ST_USAGE,
                             "towers of aitm end with %zu and %zu units: they must be equal",
                             first->v[first->n - 1], t->v[t->n - 1]);
    }
    return ST_OK;
}

static enum status check_parts(const struct model_spec *s, struct error *err)
{
    const struct model_cfg *c = &s->cfg;
    if (s->n_tasks == 0)
        return error_set(err, ST_USAGE, "tasks: a model needs at least one");
    TRY(check_sizes("model.bottom", &c->bottom, err));
    TRY(check_sizes("model.experts", &c->experts, err));
    TRY(check_sizes("model.gates", &c->gates, err));
    TRY(check_sizes("model.user", &c->user.mlp, err));
    TRY(check_sizes("model.item", &c->item.mlp, err));
    for (size_t k = 0; k < s->n_tasks; k++) {
        TRY(check_sizes("tower", &s->tasks[k].tower, err));
        TRY(check_sizes("gate", &s->tasks[k].gate, err));
        for (size_t j = 0; j < k; j++)
            if (strcmp(s->tasks[j].name, s->tasks[k].name) == 0)
                return error_set(err, ST_USAGE, "task %s stands twice", s->tasks[k].name);
    }
    switch (c->type) {
    case MODEL_LR:
    case MODEL_FM:
    case MODEL_DNN:
    case MODEL_WIDE_DEEP:
    case MODEL_DEEPFM:
    case MODEL_SHARE_BOTTOM:
        return ST_OK;
    case MODEL_TWO_TOWER:
        return check_sides(s, err);
    case MODEL_ESMM:
        return check_steps(s, err);
    case MODEL_AITM:
        return check_aitm(s, err);
    default:
        return check_experts(s, err);
    }
}

static enum status check_input(const struct model_spec *s, const struct model_input *in,
                               struct error *err)
{
    if (in->width == 0)
        return error_set(err, ST_USAGE, "feature %s has width 0", in->name);
    if (in->kind == INPUT_DENSE && in->place + in->width > s->n_dense) {
        return error_set(err, ST_USAGE,
                         "feature %s: columns %zu to %zu of %zu dense ones", in->name,
                         in->place, in->place + in->width, s->n_dense);
    }
    if (in->kind != INPUT_ID) return ST_OK;
    if (in->table >= s->n_tables)
        return error_set(err, ST_USAGE, "feature %s: table %zu of %zu", in->name,
                         in->table, s->n_tables);
    size_t dim = s->table_dim[in->table];
    if (in->width != dim)
        return error_set(err, ST_USAGE, "feature %s has width %zu, its table has dim %zu",
                         in->name, in->width, dim);
    if ((s->cfg.type == MODEL_LR || in->direct) && dim != s->n_tasks)
        return error_set(
            err, ST_USAGE,
            "feature %s: direct rows have one weight per task (%zu), not %zu", in->name,
            s->n_tasks, dim);
    bool pairs = s->cfg.type == MODEL_FM || s->cfg.type == MODEL_DEEPFM;
    if (pairs && !in->direct && dim != s->vector)
        return error_set(err, ST_USAGE, "feature %s has width %zu, a field's vector %zu",
                         in->name, dim, s->vector);
    return ST_OK;
}

/* Who says POOL_ATTENTION says how: all of them, in order. */
static enum status check_attention(const struct model_spec *s, struct error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_inputs; i++) {
        const struct model_input *in = &s->inputs[i];
        if (in->kind != INPUT_ID || in->pool != POOL_ATTENTION || in->direct) continue;
        const struct model_attention *a = n < s->n_attention ? &s->attention[n++] : NULL;
        if (a == NULL || a->input != i || a->target >= s->n_inputs ||
            s->inputs[a->target].kind != INPUT_ID ||
            s->inputs[a->target].width != in->width)
            return error_set(err, ST_USAGE,
                             "feature %s: attention without a target of its width",
                             in->name);
        if (s->cfg.type == MODEL_TWO_TOWER && s->side[i] != s->side[a->target])
            return error_set(err, ST_USAGE, "feature %s: attention to the other side",
                             in->name);
    }
    return ST_OK;
}

static enum status check_inputs(const struct model_spec *s, struct error *err)
{
    if (s->n_inputs == 0)
        return error_set(err, ST_USAGE, "features: a model needs at least one");
    TRY(check_attention(s, err));
    for (size_t i = 0; i < s->n_inputs; i++) {
        TRY(check_input(s, &s->inputs[i], err));
        for (size_t j = 0; j < i; j++)
            if (strcmp(s->inputs[j].name, s->inputs[i].name) == 0)
                return error_set(err, ST_USAGE, "feature %s stands twice",
                                 s->inputs[i].name);
    }
    return ST_OK;
}

/* ---- building ---- */

static bool copy_sizes(struct arena *a, struct sizes_cfg *sizes)
{
    size_t *v = arena_take(a, sizes->n + 1, sizeof *v);
    if (v == NULL) return false;
    if (sizes->n > 0) memcpy(v, sizes->v, sizes->n * sizeof *v);
    sizes->v = v;
    return true;
}

static bool copy_tasks(struct model *m, const struct model_spec *s)
{
    for (size_t k = 0; k < s->n_tasks; k++) {
        struct model_task *t = &m->tasks[k];
        *t = s->tasks[k];
        t->name = arena_strdup(m->arena, t->name);
        if (!t->name || !copy_sizes(m->arena, &t->tower.layers) ||
            !copy_sizes(m->arena, &t->gate.layers))
            return false;
    }
    struct sizes_cfg *const sizes[] = {&m->cfg.bottom.layers, &m->cfg.experts.layers,
                                       &m->cfg.gates.layers, &m->cfg.towers.layers,
                                       &m->cfg.user.mlp.layers, &m->cfg.item.mlp.layers,
                                       &m->cfg.steps};
    bool ok = true;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        ok = ok && copy_sizes(m->arena, sizes[i]);
    return ok;
}

static bool copy_inputs(struct model *m, const struct model_spec *s)
{
    for (size_t i = 0; i < s->n_inputs; i++) {
        struct model_input *in = &m->inputs[i];
        *in = s->inputs[i];
        if ((in->name = arena_strdup(m->arena, in->name)) == NULL) return false;
        m->part[i] = s->cfg.type == MODEL_TWO_TOWER ? s->side[i] : 0;
        in->direct |= m->cfg.type == MODEL_LR && in->kind == INPUT_ID;
        if (in->direct && in->pool == POOL_ATTENTION) in->pool = POOL_SUM;
        if (in->kind == INPUT_ID && in->place >= m->n_ids) m->n_ids = in->place + 1;
        if (in->kind == INPUT_ONE_HOT && in->place >= m->n_one_hot)
            m->n_one_hot = in->place + 1;
    }
    if (s->n_tables > 0)
        memcpy(m->table_dim, s->table_dim, s->n_tables * sizeof *m->table_dim);
    return true;
}

static enum status copy_spec(struct model *m, const struct model_spec *s,
                             struct error *err)
{
    m->cfg = s->cfg;
    m->n_inputs = s->n_inputs;
    m->n_tasks = s->n_tasks;
    m->n_tables = s->n_tables;
    m->n_dense = s->n_dense;
    m->seed = s->seed;
    m->n_parts = s->cfg.type == MODEL_TWO_TOWER ? N_SIDES : 1;
    m->vector = s->vector;
    m->inputs = arena_take(m->arena, s->n_inputs, sizeof *m->inputs);
    m->x_offset = arena_take(m->arena, s->n_inputs, sizeof *m->x_offset);
    m->part = arena_take(m->arena, s->n_inputs, sizeof *m->part);
    m->by_name = arena_take(m->arena, s->n_inputs, sizeof *m->by_name);
    m->direct = arena_take(m->arena, s->n_inputs, sizeof *m->direct);
    m->direct_row = arena_take(m->arena, s->n_inputs, sizeof *m->direct_row);
    m->tasks = arena_take(m->arena, s->n_tasks, sizeof *m->tasks);
    m->table_dim =
        arena_take(m->arena, s->n_tables + s->n_attention + 1, sizeof *m->table_dim);
    if (!m->inputs || !m->by_name || !m->x_offset || !m->part || !m->direct || !m->direct_row ||
        !m->tasks || !m->table_dim || !copy_tasks(m, s) || !copy_inputs(m, s)) {
        return mem_error(err, "model", 0);
    }
    return attention_inputs(m, s, err);
}

static void sort_by_name(struct model *m)
{
    size_t *order = m->by_name;
    for (size_t i = 0; i < m->n_inputs; i++) {
        size_t at = i;
        for (; at > 0 && strcmp(m->inputs[order[at - 1]].name, m->inputs[i].name) > 0;
             at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static void place_direct(struct model *m, size_t input)
{
    m->x_offset[input] = NET_NONE;
    m->direct[m->n_direct++] = input;
    if (m->inputs[input].kind == INPUT_ID) return;
    m->direct_row[input] = m->net.direct.n;
    m->net.direct.n += m->inputs[input].width;
}

/* Inputs of x and their places, by name for an input stage; direct ones bypass it. */
static enum status place_inputs(struct model *m, struct model_input **in_x, size_t *n,
                                struct error *err)
{
    *n = 0;
    *in_x = arena_take(m->arena, m->n_inputs, sizeof **in_x);
    if (*in_x == NULL) return mem_error(err, "model", 0);
    sort_by_name(m);
    for (size_t j = 0; j < m->n_inputs; j++)
        if (m->inputs[j].direct) place_direct(m, j);
    for (size_t j = 0; j < m->n_inputs; j++) {
        size_t i = plan_has_input_stage(&m->cfg) ? m->by_name[j] : j;
        if (m->inputs[i].direct) continue;
        size_t *end = &m->x_width[m->part[i]];
        m->x_offset[i] = *end;
        *end += m->inputs[i].width;
        m->n_x += m->inputs[i].width;
        (*in_x)[(*n)++] = m->inputs[i];
    }
    return ST_OK;
}

static enum status model_build(struct model *m, const struct model_spec *s,
                               struct error *err)
{
    struct model_input *in_x;
    size_t n;
    TRY(copy_spec(m, s, err));
    TRY(place_inputs(m, &in_x, &n, err));
    TRY(plan_build(m, err));
    TRY(tensors_build(m, err));
    if (n == 0 || m->net.x_block == NET_NONE) return ST_OK;
    return layer1_create(in_x, n, m->table_dim, m->n_tables + m->n_attention,
                         m->net.buffers[NET_Y].width, &m->layer1, err);
}

enum status model_create(const struct model_spec *spec, struct model **out,
                         struct error *err)
{
    *out = NULL;
    TRY(check_parts(spec, err));
    TRY(check_inputs(spec, err));
    struct model *m = mem_zeroed(1, sizeof *m);
    if (m == NULL) return mem_error(err, "model", sizeof *m);
    enum status st = arena_create(&m->arena, err);
    if (st == ST_OK) st = model_build(m, spec, err);
    if (st != ST_OK) {
        model_destroy(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

void model_destroy(struct model *m)
{
    if (m == NULL) return;
    if (m->layer1 != NULL) layer1_destroy(m->layer1);
    if (m->arena != NULL) arena_destroy(m->arena);
    mem_free(m);
}

size_t model_n_params(const struct model *m)
{
    return m->net.n_params;
}

size_t model_n_tasks(const struct model *m)
{
    return m->n_tasks;
}

void model_direct_params(const struct model *m, size_t *first, size_t *n)
{
    *first = m->net.direct.w;
    *n = m->net.direct.n * m->net.direct.ld;
}

size_t model_layer1_width(const struct model *m)
{
    return m->net.x_block != NET_NONE ? m->net.blocks[m->net.x_block].n : 0;
}

size_t model_vector_width(const struct model *m)
{
    const struct sizes_cfg *s = &m->cfg.user.mlp.layers;
    return m->cfg.type == MODEL_TWO_TOWER ? s->v[s->n - 1] : 0;
}

float model_link(const struct model *m, size_t task, float z)
{
    return (float)target_value(m->tasks[task].loss, (double)z, 1);
}
