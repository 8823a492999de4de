#include "model/assemble.h"

#include "common/base/mem.h"
#include "common/math/target.h"

static struct model_input make_input(const struct assembly *a, size_t feature,
                                     const size_t *table)
{
    const struct schema_feature *f = &a->schema->features[feature];
    struct model_input in = {.name = f->name,
                             .kind = INPUT_DENSE,
                             .place = f->place,
                             .width = f->width,
                             .pool = f->pool};
    if (f->kind == FEATURE_ONE_HOT) {
        in.kind = INPUT_ONE_HOT;
        in.width = fit_levels(a->fit, f->place);
    } else if (f->kind == FEATURE_ID) {
        in.kind = INPUT_ID;
        in.table = table[f->table];
        in.width = a->tables->dim[in.table];
    }
    return in;
}

/* A feature in both parts is two inputs. */
static size_t fill_inputs(const struct assembly *a, struct model_input *inputs,
                          const char *const *wide_names)
{
    const struct model_tables *t = a->tables;
    size_t n = 0;
    for (size_t i = 0; i < a->schema->n_features; i++) {
        if (!t->deep[i]) continue;
        inputs[n] = make_input(a, i, t->deep_table);
        inputs[n++].project = a->project && a->project[i];
    }
    for (size_t i = 0; i < a->schema->n_features; i++) {
        if (!t->wide[i]) continue;
        inputs[n] = make_input(a, i, t->wide_table);
        inputs[n].name = wide_names[i];
        inputs[n++].direct = true;
    }
    return n;
}

/* [n_features] in the arena; NULL when out of memory. */
static const char **make_wide_names(struct arena *arena, const struct assembly *a)
{
    const char **names = arena_take(arena, a->schema->n_features, sizeof *names);
    for (size_t i = 0; names != NULL && i < a->schema->n_features; i++)
        if ((names[i] = arena_printf(arena, "wide/%s", a->schema->features[i].name)) ==
            NULL)
            return NULL;
    return names;
}

/* Last bias of a task. A later step of esmm says how many of those who got to the step
 * before go on: the ratio of the rates, kept below 1 where all of them did. */
static double task_base(const struct assembly *a, size_t task)
{
    const struct settings *settings = a->settings;
    const struct sizes_cfg *steps = &settings->model.steps;
    double rate = fit_base(a->fit, task);
    for (size_t i = 1; settings->model.type == MODEL_ESMM && i < steps->n; i++) {
        if (steps->v[i] != task) continue;
        rate /= fit_base(a->fit, steps->v[i - 1]);
        if (rate > 0.999) rate = 0.999;
    }
    return target_logit(settings->tasks[task].loss, rate);
}

static void fill_tasks(const struct assembly *a, struct model_task *tasks)
{
    for (size_t k = 0; k < a->settings->n_tasks; k++) {
        const struct task_cfg *t = &a->settings->tasks[k];
        tasks[k] = (struct model_task){.name = t->name,
                                       .loss = t->loss,
                                       .huber_delta = t->huber_delta,
                                       .weight = t->weight,
                                       .tower = t->tower,
                                       .gate = t->gate,
                                       .own = t->own,
                                       .base = task_base(a, k)};
    }
}

/* Of two_tower: the side on which the lists name each feature. */
static enum status fill_sides(const struct assembly *a, enum model_side *sides, struct error *err)
{
    size_t n = a->schema->n_features;
    if (a->settings->model.type != MODEL_TWO_TOWER) return ST_OK;
    const char **names = mem_array(n, sizeof *names);
    if (!names) return mem_error(err, "model", n * sizeof *names);
    for (size_t i = 0; i < n; i++) names[i] = a->schema->features[i].name;
    enum status st = settings_sides(a->settings, names, n, sides, err);
    mem_free(names);
    return st;
}

/* The input of a feature's embedding: its number among the features that have one. */
static size_t deep_input(const struct model_tables *t, size_t feature)
{
    size_t n = 0;
    for (size_t i = 0; i < feature; i++) n += t->deep[i];
    return n;
}

static size_t fill_attention(const struct assembly *a, struct model_attention *out)
{
    size_t n = 0;
    for (size_t i = 0; i < a->schema->n_features; i++) {
        const struct schema_feature *f = &a->schema->features[i];
        if (f->kind != FEATURE_ID || f->pool != POOL_ATTENTION || !a->tables->deep[i])
            continue;
        const struct attention_cfg *how = &f->cfg->attention;
        out[n++] = (struct model_attention){deep_input(a->tables, i),
                                            deep_input(a->tables, f->target), how->layers,
                                            how->activation};
    }
    return n;
}

static enum status assemble(const struct assembly *a, struct arena *arena,
                            struct model **out, struct error *err)
{
    size_t n = 2 * a->schema->n_features;
    struct model_input *inputs = arena_take(arena, n, sizeof *inputs);
    struct model_task *tasks = arena_take(arena, a->settings->n_tasks, sizeof *tasks);
    const char **names = make_wide_names(arena, a);
    struct model_attention *attention = arena_take(arena, n, sizeof *attention);
    enum model_side *sides = arena_take(arena, n, sizeof *sides);
    if (!inputs || !tasks || !names || !attention || !sides)
        return mem_error(err, "model", n * sizeof *inputs);
    TRY(fill_sides(a, sides, err));
    fill_tasks(a, tasks);
    size_t n_inputs = fill_inputs(a, inputs, names);
    struct model_spec spec = {.cfg = a->settings->model,
                              .inputs = inputs,
                              .n_inputs = n_inputs,
                              .tasks = tasks,
                              .n_tasks = a->settings->n_tasks,
                              .table_dim = a->tables->dim,
                              .n_tables = a->tables->n,
                              .n_dense = a->schema->n_dense,
                              .vector = a->tables->vector,
                              .seed = a->settings->seed,
                              .attention = attention,
                              .n_attention = fill_attention(a, attention),
                              .side = sides};
    return model_create(&spec, out, err);
}

enum status assemble_model(const struct assembly *a, struct model **out, struct error *err)
{
    struct arena *arena;
    TRY(arena_create(&arena, err));
    enum status st = assemble(a, arena, out, err);
    arena_destroy(arena);
    return st;
}
