/* What a hot start refuses before anything is loaded. */
#include <fnmatch.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/config/nearest.h"
#include "common/math/optim.h"
#include "model/tables.h"
#include "worker/hot_plan_impl.h"

/* ---- patterns ---- */

static bool fits_side(const char *pattern, const struct hot_side *side)
{
    for (size_t i = 0; i < side->n; i++)
        if (hot_fits(pattern, side->names[i], side->settings)) return true;
    return false;
}

static bool concerns_side(const char *name, const struct hot_side *side)
{
    for (size_t i = 0; i < side->n; i++)
        if (hot_concerns(name, side->names[i])) return true;
    return false;
}

struct words {
    struct arena *arena;
    const char **v;
    size_t n;
};

static void put_word(struct words *w, const char *text)
{
    for (size_t i = 0; i < w->n; i++)
        if (text && !strcmp(w->v[i], text)) return;
    if (text) w->v[w->n++] = text;
}

/* What may have been meant: names, their units, tasks and features. */
static const char *nearest(struct planning *pl, const char *word, const struct hot_side *side)
{
    struct arena *a = pl->p->arena;
    struct words w = {a, arena_take(a, 3 * side->n + side->settings->n_tasks, sizeof *w.v), 0};
    if (!w.v) return NULL;
    for (size_t k = 0; k < side->settings->n_tasks; k++)
        put_word(&w, arena_printf(a, "task/%s", side->settings->tasks[k].name));
    for (size_t i = 0; i < side->n; i++) {
        const char *name = side->names[i];
        struct hot_part p[HOT_FEATURES];
        put_word(&w, arena_strndup(a, name, hot_unit(name)));
        if (hot_features(name, p))
            put_word(&w, arena_printf(a, "feature/%.*s", (int)p[0].n, p[0].at));
    }
    for (size_t i = 0; i < side->n; i++) w.v[w.n++] = side->names[i];
    return nearest_word(word, w.v, w.n);
}

static enum status fits_nothing(struct planning *pl, const char *key, const char *pattern,
                                const char *where, const struct hot_side *side)
{
    error_set(pl->err, ST_MISMATCH, "hot_start.%s: '%s' fits nothing of %s", key, pattern, where);
    const char *meant = nearest(pl, pattern, side);
    if (meant) return error_hint(pl->err, ST_MISMATCH, "did you mean '%s'?", meant);
    return error_hint(pl->err, ST_MISMATCH, "names are like %s and %s; mtps hotstart plan lists "
                      "them", side->names[0], side->names[side->n - 1]);
}

static enum status must_fit(struct planning *pl, const char *key, const char *pattern)
{
    if (fits_side(pattern, &pl->now)) return ST_OK;
    return fits_nothing(pl, key, pattern, "this model", &pl->now);
}

static enum status check_lists(struct planning *pl)
{
    const struct hot_start_cfg *h = pl->h;
    for (size_t i = 0; i < h->include.n; i++) TRY(must_fit(pl, "include", h->include.v[i]));
    for (size_t i = 0; i < h->exclude.n; i++) {
        if (pl->ckpt && fits_side(h->exclude.v[i], &pl->then)) continue;
        TRY(must_fit(pl, "exclude", h->exclude.v[i]));
    }
    for (size_t i = 0; i < h->n_perturb; i++) TRY(must_fit(pl, "perturb", h->perturb[i].name));
    for (size_t i = 0; i < h->lr_scale.n; i++) TRY(must_fit(pl, "lr_scale", h->lr_scale.key[i]));
    for (size_t i = 0; i < h->n_freeze; i++)
        for (size_t j = 0; j < h->freeze[i].names.n; j++)
            TRY(must_fit(pl, "freeze", h->freeze[i].names.v[j]));
    return ST_OK;
}

/* Some part is found by it: renaming a task to a table would name nothing. */
static enum status check_found(struct planning *pl, size_t i)
{
    const struct pairs_cfg *r = &pl->h->rename;
    for (size_t k = 0; k < pl->now.n; k++) {
        size_t by, by2;
        if (!hot_concerns(r->key[i], pl->now.names[k])) continue;
        const char *old = hot_renamed(pl->p->arena, r, pl->now.names[k], &by, &by2);
        if (!old) return hot_no_memory(pl);
        if (hot_side_find(&pl->then, old) != SIZE_MAX) return ST_OK;
    }
    error_set(pl->err, ST_MISMATCH, "hot_start.rename: '%s: %s' finds no part in the checkpoint",
              r->key[i], r->value[i]);
    return error_hint(pl->err, ST_MISMATCH, "write both sides alike, as in {task/tap: task/click}; "
                      "mtps hotstart plan lists names");
}

static enum status check_renames(struct planning *pl)
{
    const struct pairs_cfg *r = &pl->h->rename;
    for (size_t i = 0; i < r->n; i++) {
        if (!concerns_side(r->key[i], &pl->now))
            return fits_nothing(pl, "rename", r->key[i], "this model", &pl->now);
        if (!concerns_side(r->value[i], &pl->then))
            return fits_nothing(pl, "rename", r->value[i], "the checkpoint", &pl->then);
        TRY(check_found(pl, i));
    }
    for (size_t i = 0; i < pl->now.n; i++) {
        size_t by, by2;
        if (!hot_renamed(pl->p->arena, r, pl->now.names[i], &by, &by2)) return hot_no_memory(pl);
        if (by2 == SIZE_MAX) continue;
        error_set(pl->err, ST_MISMATCH,
                  "hot_start.rename: two sources for %s: '%s: %s' and '%s: %s'", pl->now.names[i],
                  r->key[by], r->value[by], r->key[by2], r->value[by2]);
        return error_hint(pl->err, ST_MISMATCH, "take one of them out");
    }
    return ST_OK;
}

enum status hot_check_patterns(struct planning *pl)
{
    TRY(check_lists(pl));
    return pl->ckpt ? check_renames(pl) : ST_OK;
}

enum status hot_check_frozen(struct planning *pl)
{
    const struct hot_start_cfg *h = pl->h;
    for (size_t i = 0; i < pl->p->n; i++) {
        const struct hot_target *t = &pl->p->targets[i];
        if (t->task == SIZE_MAX || !pl->p->new_task[t->task]) continue;
        for (size_t f = 0; f < h->n_freeze; f++)
            for (size_t j = 0; j < h->freeze[f].names.n; j++) {
                const char *pattern = h->freeze[f].names.v[j];
                if (!hot_fits(pattern, t->name, pl->now.settings)) continue;
                error_set(pl->err, ST_MISMATCH, "hot_start.freeze: '%s' freezes %s, but task %s is "
                          "new", pattern, t->name, pl->now.settings->tasks[t->task].name);
                return error_hint(pl->err, ST_MISMATCH, "freeze old parts alone, or use "
                                  "hot_start.new_task.only_new");
            }
    }
    return ST_OK;
}

/* ---- tables ---- */

static bool reads_table(const struct feature_cfg *f, const char *table)
{
    if (f->kind != FEATURE_ID) return false;
    if (f->table) return !strcmp(f->table, table);
    for (size_t i = 0; i < f->names.n; i++) /* names may be patterns over columns */
        if (!fnmatch(f->names.v[i], table, 0)) return true;
    return false;
}

/* Definitions of ids by which features of s read the table. */
static unsigned key_kinds(const struct settings *s, const char *table)
{
    unsigned kinds = 0;
    for (size_t i = 0; i < s->n_features; i++)
        if (reads_table(&s->features[i], table)) kinds |= 1u << s->features[i].key;
    return kinds;
}

static enum status check_ids(struct planning *pl, const struct hot_target *t)
{
    static const char *const words[] = {"no", "hash", "uint64", "hash and uint64"};
    unsigned now = key_kinds(pl->now.settings, model_tables_source(t->name + 6));
    unsigned then = key_kinds(pl->then.settings, model_tables_source(t->source + 6));
    if (now == then || !now || !then) return ST_OK;
    error_set(pl->err, ST_MISMATCH,
              "hot_start: %s: ids have %s keys now, %s keys in the checkpoint: its rows are of "
              "other ids", t->name, words[now & 3], words[then & 3]);
    return error_hint(pl->err, ST_MISMATCH, "set `key` of its features to what it was, or "
                      "exclude the table");
}

static enum status other_optimiser(struct planning *pl, const char *what, const char *key)
{
    error_set(pl->err, ST_MISMATCH, "hot_start: %s: the state in the checkpoint is of another "
              "optimiser", what);
    return error_hint(pl->err, ST_MISMATCH, "set hot_start.state.%s=reset, or use the old "
                      "optimiser", key);
}

static enum status check_state(struct planning *pl, const struct hot_target *t)
{
    const struct ckpt_table *saved = ckpt_table(pl->ckpt, t->place);
    struct table_cfg cfg = model_tables_cfg(pl->now.settings, t->name + 6);
    struct optim_layout layout = optim_layout(cfg.optimizer.kind, saved->dim);
    bool same = layout.n_slots == saved->n_slots;
    for (size_t i = 0; same && i < layout.n_slots; i++)
        same = !strcmp(layout.name[i], saved->slot_name[i]) &&
               layout.width[i] == saved->slot_width[i];
    return same ? ST_OK : other_optimiser(pl, t->name, "sparse");
}

enum status hot_check_table(struct planning *pl, const struct hot_target *t)
{
    TRY(check_ids(pl, t));
    return t->keep_state ? check_state(pl, t) : ST_OK;
}

/* Does the checkpoint have the slots of this optimiser? */
static bool has_slots(struct ckpt *ckpt, enum optimizer_kind kind)
{
    struct optim_layout layout = optim_layout(kind, 1);
    bool all = true;
    for (size_t i = 0; all && i < layout.n_slots; i++) {
        all = false;
        for (size_t k = 0; k < ckpt_n_slots(ckpt); k++)
            all |= !strcmp(layout.name[i], ckpt_slot(ckpt, k));
    }
    return all && (layout.n_slots || !ckpt_n_slots(ckpt));
}

enum status hot_check_dense(struct planning *pl)
{
    const struct settings *s = pl->now.settings;
    bool wide = false;
    for (size_t i = 0; i < pl->p->n; i++) {
        const struct hot_target *t = &pl->p->targets[i];
        wide |= t->action == HOT_LOADED && !strncmp(t->name, "wide/", 5);
    }
    bool same = has_slots(pl->ckpt, s->train.optimizer.kind) &&
                (!wide || has_slots(pl->ckpt, s->model.wide_optimizer.kind));
    return same ? ST_OK : other_optimiser(pl, "tensors", "dense");
}
