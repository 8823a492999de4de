/* Columns that follow names. The last layer of a gate has one per expert: the task's own
 * ones in order, then the shared ones; the shared gate has those of all tasks in order, then
 * the shared ones. Rows of lr and of wide parts have one per task. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/tables.h"
#include "worker/hot_plan_impl.h"

/* gate/level0/GROUP/layer1/w/FEATURE in parts. */
struct gate_name {
    struct hot_part level, group;
    size_t layer;
};

static bool parse(const char *name, struct gate_name *g)
{
    if (strncmp(name, "gate/level", 10) != 0) return false;
    g->level = (struct hot_part){name + 5, strcspn(name + 5, "/")};
    g->group = hot_task(name);
    const char *layer = name + hot_unit(name);
    if (!g->group.n || strncmp(layer, "/layer", 6) != 0) return false;
    g->layer = strtoul(layer + 6, NULL, 10);
    return true;
}

bool hot_is_gate(const char *name)
{
    struct gate_name g;
    return parse(name, &g);
}

static bool begins(const struct hot_side *side, const char *with)
{
    size_t n = strlen(with);
    for (size_t i = side->n_tables; i < side->n; i++)
        if (!strncmp(side->names[i], with, n)) return true;
    return false;
}

static bool is_last_layer(const struct hot_side *side, const char *name,
                          const struct gate_name *g)
{
    char next[HOT_NAME];
    snprintf(next, sizeof next, "%.*s/layer%zu/", (int)hot_unit(name), name, g->layer + 1);
    return !begins(side, next);
}

/* Names of units, expert/level0/GROUP/0 ..., appended to out[max]. */
static size_t group_experts(const struct hot_side *side, struct hot_part level,
                            struct hot_part group, char (*out)[HOT_NAME], size_t n, size_t max)
{
    for (size_t i = 0; n < max; i++) {
        char slash[HOT_NAME];
        snprintf(slash, sizeof slash, "expert/%.*s/%.*s/%zu/", (int)level.n, level.at,
                 (int)group.n, group.at, i);
        if (!begins(side, slash)) break;
        slash[strlen(slash) - 1] = '\0';
        memcpy(out[n++], slash, strlen(slash) + 1);
    }
    return n;
}

static size_t gate_experts(const struct hot_side *side, const struct gate_name *g,
                           struct hot_part group, char (*out)[HOT_NAME], size_t max)
{
    const struct hot_part shared = {"shared", 6};
    size_t n = 0;
    if (!hot_part_is(group, "shared"))
        return group_experts(side, g->level, shared, out,
                             group_experts(side, g->level, group, out, 0, max), max);
    for (size_t k = 0; k < side->settings->n_tasks; k++) {
        const char *task = side->settings->tasks[k].name;
        n = group_experts(side, g->level, (struct hot_part){task, strlen(task)}, out, n, max);
    }
    return group_experts(side, g->level, shared, out, n, max);
}

/* ---- the new task's gate ---- */

static const char *with_task(struct planning *pl, const char *name, const char *task)
{
    struct hot_part p = hot_task(name);
    const char *out = arena_printf(pl->p->arena, "%.*s%s%s", (int)(p.at - name), name, task,
                                   p.at + p.n);
    if (!out) (void)hot_no_memory(pl);
    return out;
}

const char *hot_gate_copied(struct planning *pl, const char *name)
{
    size_t by, by2;
    const char *copy = with_task(pl, name, pl->h->new_task.gate);
    if (!copy) return NULL;
    copy = hot_renamed(pl->p->arena, &pl->h->rename, copy, &by, &by2);
    if (!copy) (void)hot_no_memory(pl);
    return copy;
}

enum status hot_no_gate(struct planning *pl, const struct hot_target *t, const char *copy)
{
    error_set(pl->err, ST_MISMATCH, "hot_start.new_task.gate: %s cannot copy %s, which is not in "
              "the checkpoint", t->name, copy);
    return error_hint(pl->err, ST_MISMATCH, "name a task with such a gate, or uniform");
}

/* ---- columns ---- */

/* Any part will do: weights of new features are none of the checkpoint. */
static bool expert_loaded(const struct planning *pl, const char *expert)
{
    size_t n = strlen(expert);
    for (size_t i = pl->p->n_tables; i < pl->p->n_tables + pl->p->n_tensors; i++) {
        const struct hot_target *t = &pl->p->targets[i];
        if (t->action == HOT_LOADED && !strncmp(t->name, expert, n) && t->name[n] == '/')
            return true;
    }
    return false;
}

/* The column of the source that stands for what is now this expert. */
static enum status find_column(struct planning *pl, const struct hot_target *t,
                               const char *expert, char (*old)[HOT_NAME], size_t n_old, int *out)
{
    size_t by, by2;
    bool copies = t->task != SIZE_MAX && pl->p->new_task[t->task];
    const char *task = copies ? pl->p->settings->tasks[t->task].name : NULL;
    const char *name = expert;
    *out = HOT_CLOSED;
    if (copies && hot_part_is(hot_task(expert), task))
        name = with_task(pl, expert, pl->h->new_task.gate);
    else if (!expert_loaded(pl, expert))
        return ST_OK;
    if (name) name = hot_renamed(pl->p->arena, &pl->h->rename, name, &by, &by2);
    if (!name) return hot_no_memory(pl);
    for (size_t i = 0; i < n_old; i++)
        if (!strcmp(old[i], name)) *out = (int)i;
    return ST_OK;
}

static enum status fill_columns(struct planning *pl, struct hot_target *t,
                                char (*now)[HOT_NAME], char (*old)[HOT_NAME], size_t n_old)
{
    int *columns = arena_take(pl->p->arena, t->cols, sizeof *columns);
    bool any = false;
    if (!columns) return hot_no_memory(pl);
    for (size_t j = 0; j < t->cols; j++) {
        TRY(find_column(pl, t, now[j], old, n_old, &columns[j]));
        any |= columns[j] != HOT_CLOSED;
    }
    t->columns = columns;
    if (any) return ST_OK;
    t->action = HOT_INITIALISED;
    t->reason = "none of its experts is loaded";
    return ST_OK;
}

enum status hot_gate_columns(struct planning *pl, struct hot_target *t, bool *known)
{
    struct gate_name now, then;
    *known = false;
    if (!parse(t->name, &now) || !parse(t->source, &then)) return ST_OK;
    bool last = is_last_layer(&pl->now, t->name, &now);
    if (!last || !is_last_layer(&pl->then, t->source, &then)) return ST_OK;
    size_t max = (t->cols > t->source_cols ? t->cols : t->source_cols) + 1;
    char(*names)[HOT_NAME] = mem_array(2 * max, sizeof *names);
    if (!names) return hot_no_memory(pl);
    size_t n = gate_experts(&pl->now, &now, now.group, names, max);
    size_t n_old = gate_experts(&pl->then, &then, then.group, names + max, max);
    *known = n == t->cols && n_old == t->source_cols;
    enum status st = *known ? fill_columns(pl, t, names, names + max, n_old) : ST_OK;
    mem_free(names);
    return st;
}

/* ---- tables with a column per task ---- */

bool hot_is_by_task(const struct hot_side *side, const char *name)
{
    const char *table = name + strlen("table/");
    return side->settings->model.type == MODEL_LR || model_tables_source(table) != table;
}

static bool has_all_tasks(const struct hot_side *side, const char *name, size_t cols)
{
    return hot_is_by_task(side, name) && cols == side->settings->n_tasks;
}

/* The column of the checkpoint's tables that is the task's, in *out. Patterns meet it under
 * the name column/TASK. */
static enum status old_column(struct planning *pl, const char *task, int *out)
{
    size_t by, by2;
    struct arena *a = pl->p->arena;
    const char *name = arena_printf(a, "column/%s", task);
    *out = HOT_CLOSED;
    for (size_t i = 0; name && i < pl->h->exclude.n; i++)
        if (hot_fits(pl->h->exclude.v[i], name, pl->now.settings)) return ST_OK;
    if (name) name = hot_renamed(a, &pl->h->rename, name, &by, &by2);
    if (!name) return hot_no_memory(pl);
    size_t k = hot_task_of(pl->then.settings, name);
    *out = k == SIZE_MAX ? HOT_CLOSED : (int)k;
    return ST_OK;
}

enum status hot_task_columns(struct planning *pl, struct hot_target *t, bool *known)
{
    *known = has_all_tasks(&pl->now, t->name, t->cols) &&
             has_all_tasks(&pl->then, t->source, t->source_cols);
    if (!*known) return ST_OK;
    int *columns = arena_take(pl->p->arena, t->cols, sizeof *columns);
    if (!columns) return hot_no_memory(pl);
    bool moved = t->cols != t->source_cols, fresh = false;
    for (size_t j = 0; j < t->cols; j++) {
        TRY(old_column(pl, pl->now.settings->tasks[j].name, &columns[j]));
        moved |= columns[j] != (int)j;
        fresh |= columns[j] == HOT_CLOSED;
    }
    if (moved) t->columns = columns;
    if (fresh) t->reason = "columns of other tasks are fresh";
    return ST_OK;
}
