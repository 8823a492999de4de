#include "worker/hot_plan.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model/tables.h"
#include "worker/hot_plan_impl.h"
#include "worker/train_state.h"

const char *hot_action_name(enum hot_action a)
{
    static const char *const names[] = {"loaded", "initialised", "skipped"};
    return names[a];
}

enum status hot_no_memory(struct planning *pl)
{
    return mem_error(pl->err, "plan of the hot start", 0);
}

size_t hot_side_find(const struct hot_side *side, const char *name)
{
    for (size_t i = 0; i < side->n; i++)
        if (!strcmp(side->names[i], name)) return i;
    return SIZE_MAX;
}

/* ---- the two sides ---- */

static enum status list_now(struct planning *pl, const struct hot_model *m)
{
    struct hot_plan *p = pl->p;
    struct hot_side *side = &pl->now;
    *side = (struct hot_side){.names = arena_take(p->arena, m->n_tables + m->n_tensors + 1,
                                                  sizeof *side->names),
                              .n_tables = m->n_tables,
                              .settings = p->settings};
    if (!side->names) return hot_no_memory(pl);
    for (size_t i = 0; i < m->n_tables; i++) {
        struct hot_target *t = &p->targets[p->n++];
        *t = (struct hot_target){.name = arena_printf(p->arena, "table/%s", m->tables[i]),
                                 .is_table = true, .cols = m->dims[i]};
    }
    for (size_t i = 0; i < m->n_tensors; i++)
        p->targets[p->n++] = (struct hot_target){.name = m->tensors[i].name,
                                                 .rows = m->tensors[i].rows,
                                                 .cols = m->tensors[i].cols};
    for (; side->n < p->n; side->n++) {
        struct hot_target *t = &p->targets[side->n];
        if (!t->name) return hot_no_memory(pl);
        t->action = HOT_INITIALISED;
        t->task = hot_task_of(p->settings, t->name);
        t->shrink = 1;
        side->names[side->n] = t->name;
    }
    p->n_tables = m->n_tables;
    p->n_tensors = m->n_tensors;
    return ST_OK;
}

static enum status list_then(struct planning *pl)
{
    struct arena *a = pl->p->arena;
    struct hot_side *side = &pl->then;
    size_t tables = ckpt_n_tables(pl->ckpt), n = tables + ckpt_n_tensors(pl->ckpt);
    *side = (struct hot_side){.names = arena_take(a, n + 1, sizeof *side->names),
                              .n = n, .n_tables = tables, .settings = pl->p->then};
    pl->taken = arena_take(a, n + 1, sizeof *pl->taken);
    if (!side->names || !pl->taken) return hot_no_memory(pl);
    for (size_t i = 0; i < n; i++) {
        const struct ckpt_table *t = i < tables ? ckpt_table(pl->ckpt, i) : NULL;
        side->names[i] = t ? arena_printf(a, "%s/%s", t->dim ? "table" : "waiting", t->name)
                           : ckpt_tensor_shape(pl->ckpt, i - tables).name;
        if (!side->names[i]) return hot_no_memory(pl);
    }
    return ST_OK;
}

static enum status read_settings(struct planning *pl)
{
    enum status st = settings_parse(ckpt_meta(pl->ckpt)->config, pl->p->path, NULL, 0,
                                    &pl->p->then, pl->err);
    if (st == ST_OK || st == ST_NOMEM) return st;
    return error_wrap(pl->err, ST_MISMATCH, "hot_start.from");
}

/* ---- what each target takes ---- */

/* The mode, then include, then exclude; *reason when it is not loaded. */
static bool is_wanted(struct planning *pl, const char *name, bool table, const char **reason)
{
    static const char *const by_mode[] = {"mode cold", "mode sparse", NULL, NULL};
    const struct hot_start_cfg *h = pl->h;
    bool wanted = h->mode >= (table ? HOT_SPARSE : HOT_SPARSE_SHARED);
    *reason = wanted ? NULL : by_mode[h->mode];
    for (size_t i = 0; i < h->include.n; i++)
        wanted |= hot_fits(h->include.v[i], name, pl->now.settings);
    for (size_t i = 0; i < h->exclude.n; i++) {
        if (!hot_fits(h->exclude.v[i], name, pl->now.settings)) continue;
        *reason = arena_printf(pl->p->arena, "excluded by '%s'", h->exclude.v[i]);
        return false;
    }
    return wanted;
}

static void set_source(struct planning *pl, struct hot_target *t, size_t at)
{
    pl->taken[at] = true;
    t->source = pl->then.names[at];
    if (t->is_table) {
        t->place = at;
        t->source_rows = (size_t)ckpt_table_rows(pl->ckpt, at);
        t->source_cols = ckpt_table(pl->ckpt, at)->dim;
        return;
    }
    t->place = at - pl->then.n_tables;
    struct named_array a = ckpt_tensor_shape(pl->ckpt, t->place);
    t->source_rows = a.rows;
    t->source_cols = a.cols;
}

static enum status find_source(struct planning *pl, struct hot_target *t)
{
    size_t by, by2;
    const char *name = hot_renamed(pl->p->arena, &pl->h->rename, t->name, &by, &by2);
    if (!name) return hot_no_memory(pl);
    size_t at = hot_side_find(&pl->then, name);
    if (at != SIZE_MAX && (at < pl->then.n_tables) == t->is_table) set_source(pl, t, at);
    return ST_OK;
}

/* A task is new when nothing of it has a source. */
static void find_new_tasks(struct planning *pl)
{
    struct hot_plan *p = pl->p;
    for (size_t k = 0; k < p->settings->n_tasks; k++) {
        bool any = false, found = false;
        for (size_t i = p->n_tables; i < p->n_tables + p->n_tensors; i++) {
            if (p->targets[i].task != k) continue;
            any = true;
            found |= p->targets[i].source != NULL;
        }
        p->new_task[k] = any && !found;
    }
}

static void choose_perturb(struct planning *pl, struct hot_target *t)
{
    for (size_t i = 0; i < pl->h->n_perturb; i++) {
        const struct perturb_cfg *p = &pl->h->perturb[i];
        if (!hot_fits(p->name, t->name, pl->now.settings)) continue;
        t->shrink = p->shrink;
        t->noise = p->noise;
    }
}

static enum status other_shape(struct planning *pl, const struct hot_target *t)
{
    if (t->is_table)
        error_set(pl->err, ST_MISMATCH, "hot_start: %s: dim is %zu, in the checkpoint %zu",
                  t->name, t->cols, t->source_cols);
    else
        error_set(pl->err, ST_MISMATCH, "hot_start: %s: shape is [%zu, %zu], in the checkpoint "
                  "[%zu, %zu]", t->name, t->rows, t->cols, t->source_rows, t->source_cols);
    return error_hint(pl->err, ST_MISMATCH, "set hot_start.resize=pad or cut, or take it out with "
                      "hot_start.exclude");
}

/* Columns that follow names are of no number. */
static enum status check_shape(struct planning *pl, struct hot_target *t)
{
    size_t cols = t->columns ? t->source_cols : t->cols;
    bool rows_less = !t->is_table && t->rows < t->source_rows, cols_less = cols < t->source_cols;
    bool rows_more = !t->is_table && t->rows > t->source_rows, cols_more = cols > t->source_cols;
    if (!rows_less && !cols_less && !rows_more && !cols_more) return ST_OK;
    bool fits = pl->h->resize == HOT_RESIZE_PAD   ? !rows_less && !cols_less
                : pl->h->resize == HOT_RESIZE_CUT ? !rows_more && !cols_more
                                                  : false;
    if (!fits) return other_shape(pl, t);
    t->resized = true;
    t->reason = pl->h->resize == HOT_RESIZE_PAD ? "padded" : "cut";
    return ST_OK;
}

static enum status plan_table(struct planning *pl, struct hot_target *t)
{
    const char *reason;
    bool wanted = is_wanted(pl, t->name, true, &reason);
    t->reason = wanted ? "not in the checkpoint" : reason;
    if (!wanted || !t->source) return ST_OK;
    if (hot_is_by_task(&pl->now, t->name) != hot_is_by_task(&pl->then, t->source)) {
        t->reason = "weights of tasks are no embeddings";
        return ST_OK;
    }
    t->reason = "";
    t->action = HOT_LOADED;
    /* A table without state (imported, or of sgd) has none to keep. */
    t->keep_state = pl->h->state_sparse == HOT_KEEP && ckpt_table(pl->ckpt, t->place)->n_slots;
    choose_perturb(pl, t);
    bool by_task;
    TRY(hot_task_columns(pl, t, &by_task));
    if (!by_task) TRY(check_shape(pl, t));
    return hot_check_table(pl, t);
}

/* Gates of new tasks start even, or as a copy. */
static enum status plan_new_gate(struct planning *pl, struct hot_target *t)
{
    if (!strcmp(pl->h->new_task.gate, "uniform")) {
        t->zero = true;
        t->reason = "new task: even gate";
        return ST_OK;
    }
    const char *copy = hot_gate_copied(pl, t->name);
    if (!copy) return ST_NOMEM;
    size_t at = hot_side_find(&pl->then, copy), n = strlen(t->name);
    if (at == SIZE_MAX && !strcmp(t->name + n - 2, "/b")) return hot_no_gate(pl, t, copy);
    if (at == SIZE_MAX) return ST_OK; /* of a new feature */
    set_source(pl, t, at);
    t->action = HOT_LOADED;
    t->reason = "copied for the new task";
    return ST_OK;
}

static enum status plan_tensor(struct planning *pl, struct hot_target *t)
{
    const char *reason;
    bool is_new = t->task != SIZE_MAX && pl->p->new_task[t->task];
    bool wanted = is_wanted(pl, t->name, false, &reason);
    t->reason = !wanted ? reason : is_new ? "new task" : "not in the checkpoint";
    if (!wanted) return ST_OK;
    if (!t->source) return is_new && hot_is_gate(t->name) ? plan_new_gate(pl, t) : ST_OK;
    t->reason = "";
    t->action = HOT_LOADED;
    t->keep_state = pl->h->state_dense == HOT_KEEP;
    choose_perturb(pl, t);
    return ST_OK;
}

/* After all experts: shapes, and the columns of gates. */
static enum status plan_shape(struct planning *pl, struct hot_target *t)
{
    bool gate = false;
    if (t->action != HOT_LOADED) return ST_OK;
    TRY(hot_gate_columns(pl, t, &gate));
    if (t->action == HOT_LOADED) TRY(check_shape(pl, t));
    if (!gate) return ST_OK;
    size_t closed = 0;
    for (size_t j = 0; j < t->cols; j++) closed += t->columns[j] == HOT_CLOSED;
    if (closed && t->action == HOT_LOADED) t->reason = "columns of new experts are closed";
    return ST_OK;
}

static bool is_loaded(const struct planning *pl, const char *stem, size_t n, const char *rest)
{
    for (size_t i = pl->p->n_tables; i < pl->p->n_tables + pl->p->n_tensors; i++) {
        const struct hot_target *t = &pl->p->targets[i];
        if (t->action == HOT_LOADED && !strncmp(t->name, stem, n) && !strcmp(t->name + n, rest))
            return true;
    }
    return false;
}

/* A new feature's weights into what is loaded: zeros leave it as it was. The names of what
 * they go into are those of biases: P/w/NEW into P/b, P/w/NEW/OLD into P/b/OLD, P/v/NEW into
 * all that P/b/... stand for. */
static void plan_new_feature(struct planning *pl, struct hot_target *t)
{
    struct hot_part p[HOT_FEATURES];
    char bias[HOT_NAME];
    if (t->action != HOT_INITIALISED || t->source || t->zero) return;
    size_t n = hot_features(t->name, p);
    if (!n) return;
    size_t stem = (size_t)(p[0].at - t->name) - 2; /* before "w/" */
    char kind = t->name[stem];
    snprintf(bias, sizeof bias, "b%s%s", n == 2 ? "/" : "", n == 2 ? p[1].at : "");
    bool zero = kind == 'w' && is_loaded(pl, t->name, stem, bias);
    for (size_t i = 0; kind == 'v' && i < pl->now.n; i++) {
        const char *other = pl->now.names[i];
        if (!strncmp(other, t->name, stem + 2))
            zero |= is_loaded(pl, other, strlen(other), "");
    }
    if (!zero) return;
    t->zero = true;
    t->reason = "new feature of a loaded layer: zeros";
}

static enum status plan_targets(struct planning *pl)
{
    struct hot_plan *p = pl->p;
    for (size_t i = 0; i < p->n; i++) TRY(find_source(pl, &p->targets[i]));
    find_new_tasks(pl);
    TRY(hot_check_frozen(pl));
    bool dense = false, dense_state = false;
    for (size_t i = 0; i < p->n; i++) {
        struct hot_target *t = &p->targets[i];
        TRY(t->is_table ? plan_table(pl, t) : plan_tensor(pl, t));
        dense |= !t->is_table && t->action == HOT_LOADED;
        dense_state |= !t->is_table && t->keep_state;
    }
    for (size_t i = p->n_tables; i < p->n; i++) TRY(plan_shape(pl, &p->targets[i]));
    for (size_t i = p->n_tables; i < p->n && dense; i++) plan_new_feature(pl, &p->targets[i]);
    return dense_state ? hot_check_dense(pl) : ST_OK;
}

/* What is left of the checkpoint. Ids that wait for a row go with their table. */
static void list_skipped(struct planning *pl)
{
    struct hot_plan *p = pl->p;
    for (size_t i = 0; i < pl->then.n; i++) {
        const char *reason;
        bool table = i < pl->then.n_tables;
        if (pl->taken[i] || (table && !ckpt_table(pl->ckpt, i)->dim)) continue;
        struct hot_target *t = &p->targets[p->n++];
        *t = (struct hot_target){.name = pl->then.names[i],
                                 .is_table = table,
                                 .action = HOT_SKIPPED,
                                 .task = SIZE_MAX,
                                 .shrink = 1};
        set_source(pl, t, i);
        bool wanted = is_wanted(pl, t->name, t->is_table, &reason);
        t->reason = wanted ? "no such part in this model" : reason;
    }
}

static enum status check_loaded(struct planning *pl)
{
    struct hot_plan *p = pl->p;
    for (size_t i = 0; i < p->n; i++) p->n_loaded += p->targets[i].action == HOT_LOADED;
    if (p->n_loaded || pl->h->mode == HOT_COLD) return ST_OK;
    error_set(pl->err, ST_MISMATCH, "hot_start: nothing of %s is loaded", p->path);
    return error_hint(pl->err, ST_MISMATCH, "look at mtps hotstart plan, or set "
                      "hot_start.mode=cold");
}

/* By hot_start.rows.max_age, and by what the table evicts. */
static enum status find_min_steps(struct planning *pl)
{
    struct train_state state;
    uint64_t age = pl->h->rows.max_age;
    TRY(train_state_read(pl->ckpt, &state, pl->err));
    uint64_t now = state.past.steps + state.step, min = age && now > age ? now - age : 0;
    for (size_t i = 0; i < pl->p->n_tables; i++) {
        struct hot_target *t = &pl->p->targets[i];
        const char *name = t->name + strlen("table/");
        size_t days = model_tables_cfg(pl->p->settings, name).evict.unseen_days;
        uint64_t since = days ? train_state_since(&state, days) : 0;
        t->min_step = since > min ? since : min;
        if (t->action != HOT_LOADED || !since || *t->reason) continue;
        t->reason = arena_printf(pl->p->arena, "but rows unseen for %zu days", days);
        if (!t->reason) return hot_no_memory(pl);
    }
    return ST_OK;
}

/* ---- the whole ---- */

static enum status make(struct planning *pl, const struct hot_model *m)
{
    struct hot_plan *p = pl->p;
    size_t n = m->n_tables + m->n_tensors;
    if (pl->ckpt) n += ckpt_n_tables(pl->ckpt) + ckpt_n_tensors(pl->ckpt);
    p->targets = arena_take(p->arena, n + 1, sizeof *p->targets);
    p->new_task = arena_take(p->arena, p->settings->n_tasks + 1, sizeof *p->new_task);
    if (!p->targets || !p->new_task) return hot_no_memory(pl);
    TRY(list_now(pl, m));
    if (!pl->ckpt) {
        for (size_t i = 0; i < p->n; i++) p->targets[i].reason = "mode cold";
        return hot_check_patterns(pl);
    }
    TRY(read_settings(pl));
    TRY(list_then(pl));
    TRY(hot_check_patterns(pl));
    TRY(plan_targets(pl));
    TRY(find_min_steps(pl));
    list_skipped(pl);
    return check_loaded(pl);
}

enum status hot_plan_make(const struct settings *s, const struct hot_model *m, struct ckpt *ckpt,
                          const char *path, struct hot_plan **out, struct error *err)
{
    struct hot_plan *p = mem_zeroed(1, sizeof *p);
    if (!p) return mem_error(err, "plan of the hot start", sizeof *p);
    enum status st = arena_create(&p->arena, err);
    if (st == ST_OK) {
        p->settings = s;
        p->ckpt = ckpt;
        p->path = arena_strdup(p->arena, path ? path : "");
        struct planning pl = {.p = p, .h = &s->hot_start, .ckpt = ckpt, .err = err};
        st = p->path ? make(&pl, m) : hot_no_memory(&pl);
    }
    if (st == ST_OK)
        *out = p;
    else
        hot_plan_destroy(p);
    return st;
}

void hot_plan_destroy(struct hot_plan *p)
{
    if (!p) return;
    settings_destroy(p->then);
    arena_destroy(p->arena);
    mem_free(p);
}
