/* model.funnel: the steps as tasks, and the scores that follow from them. */
#include <stdio.h>
#include <string.h>

#include "common/config/config.h"
#include "common/config/nearest.h"

enum { MAX_KNOWN = 256 };

static bool needs_funnel(const struct settings *s)
{
    return s->model.type == MODEL_ESMM || s->model.type == MODEL_AITM;
}

/* Where step i was written: in the list, or the list itself. */
static struct origin step_at(const struct settings *s, size_t i)
{
    const struct node *list = config_node(s, "model.funnel");
    bool has = list && list->kind == NODE_LIST && i < list->n;
    return has ? list->items[i]->at : s->model.funnel.at;
}

static enum status unknown_step(const struct settings *s, size_t i, struct error *err)
{
    const char *known[MAX_KNOWN], *name = s->model.funnel.v[i];
    size_t n = 0;
    for (; n < s->n_tasks && n < MAX_KNOWN; n++) known[n] = s->tasks[n].name;
    config_fail(err, step_at(s, i), "model.funnel: there is no task '%s'", name);
    const char *nearest = nearest_word(name, known, n);
    if (nearest) return error_hint(err, ST_USAGE, "did you mean '%s'?", nearest);
    return error_hint(err, ST_USAGE, "name tasks, the first step first: [click, buy]");
}

static enum status check_step(const struct settings *s, size_t i, struct error *err)
{
    const struct list_cfg *f = &s->model.funnel;
    size_t k = 0;
    while (k < s->n_tasks && strcmp(s->tasks[k].name, f->v[i]) != 0) k++;
    if (k == s->n_tasks) return unknown_step(s, i, err);
    for (size_t j = 0; j < i; j++) {
        if (s->model.steps.v[j] != k) continue;
        config_fail(err, step_at(s, i), "model.funnel: task '%s' stands twice", f->v[i]);
        return error_hint(err, ST_USAGE, "a step happens once, after the one before");
    }
    if (s->tasks[k].loss != LOSS_BCE) {
        config_fail(err, step_at(s, i), "model.funnel: the loss of task '%s' is not bce", f->v[i]);
        return error_hint(err, ST_USAGE, "a step happens or does not: leave the task out of the "
                                         "funnel, or set loss: bce");
    }
    s->model.steps.v[i] = k;
    return ST_OK;
}

/* What aitm hands on is as wide as what the next step's tower makes of it. */
static enum status check_widths(const struct settings *s, struct error *err)
{
    size_t width = 0;
    for (size_t k = 0; k < s->n_tasks; k++) {
        const struct task_cfg *t = &s->tasks[k];
        if (t->tower.layers.n) continue;
        config_fail(err, t->at, "tasks.%s: a tower of aitm needs a layer", t->name);
        return error_hint(err, ST_USAGE, "for example towers: {layers: [64, 32]}");
    }
    for (size_t i = 0; i < s->model.steps.n; i++) {
        const struct task_cfg *t = &s->tasks[s->model.steps.v[i]];
        size_t last = t->tower.layers.v[t->tower.layers.n - 1];
        if (i == 0) width = last;
        if (last == width) continue;
        config_fail(err, t->at, "tasks.%s: its tower ends with %zu units, that of the first step "
                    "with %zu", t->name, last, width);
        return error_hint(err, ST_USAGE, "aitm needs towers whose last layers are equally wide");
    }
    return ST_OK;
}

/* "buy|click" must not be a task's name. */
static enum status check_score(const struct settings *s, const char *name, size_t step,
                               struct error *err)
{
    for (size_t k = 0; k < s->n_tasks; k++) {
        if (strcmp(s->tasks[k].name, name) != 0) continue;
        config_fail(err, step_at(s, step), "model.funnel: task '%s' has the name of a step's own "
                    "score", name);
        return error_hint(err, ST_USAGE, "choose another name for the task");
    }
    return ST_OK;
}

static enum status fill_scores(struct settings *s, struct error *err)
{
    const struct sizes_cfg *steps = &s->model.steps;
    s->scores = arena_take(s->arena, s->n_tasks + steps->n + 1, sizeof *s->scores);
    if (!s->scores) return config_no_memory(err);
    for (size_t k = 0; k < s->n_tasks; k++)
        s->scores[s->n_scores++] = (struct score_cfg){s->tasks[k].name, k, SCORE_OF_TASK};
    for (size_t i = 1; i < steps->n; i++) {
        const char *name = arena_printf(s->arena, "%s|%s", s->model.funnel.v[i],
                                        s->model.funnel.v[i - 1]);
        if (!name) return config_no_memory(err);
        TRY(check_score(s, name, i, err));
        s->scores[s->n_scores++] =
            (struct score_cfg){name, steps->v[i], (ptrdiff_t)steps->v[i - 1]};
    }
    return ST_OK;
}

enum status check_funnel(struct settings *s, struct error *err)
{
    const struct list_cfg *f = &s->model.funnel;
    if (!f->n && needs_funnel(s)) {
        bool is_default;
        config_fail(err, config_origin(s, "model", &is_default),
                    "model type %s needs 'model.funnel'", model_type_name(s->model.type));
        return error_hint(err, ST_USAGE, "for example funnel: [click, buy]");
    }
    if (f->n == 1) {
        config_fail(err, f->at, "model.funnel: one step is no funnel");
        return error_hint(err, ST_USAGE, "name two tasks or more, the first step first: [click, buy]");
    }
    s->model.steps.v = arena_take(s->arena, f->n + 1, sizeof *s->model.steps.v);
    if (!s->model.steps.v) return config_no_memory(err);
    for (size_t i = 0; i < f->n; i++) TRY(check_step(s, i, err));
    s->model.steps.n = f->n;
    if (s->model.type == MODEL_AITM) TRY(check_widths(s, err));
    return fill_scores(s, err);
}
