#include "worker/hot_start.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/math/perturb.h"
#include "worker/dense.h"
#include "worker/hot_names.h"
#include "worker/rates.h"
#include "worker/saver.h"

/* Added to other logits it makes a share of exactly 0, whatever they are. */
static const float CLOSED_BIAS = -1e30f;

/* ---- the checkpoint ---- */

static void warn_skipped(void *unused, const char *text)
{
    (void)unused;
    log_line(LOG_WARN, "ckpt", "%s", text);
}

enum status hot_start_find(const struct settings *s, struct hot_start *h, struct error *err)
{
    const char *from = s->hot_start.from;
    if (!from) return ST_OK;
    enum status st = ckpt_open_resolved(from, warn_skipped, NULL, &h->ckpt, err);
    if (st == ST_OK && !(h->path = mem_strdup(ckpt_path(h->ckpt)))) st = mem_error(err, "path", strlen(from));
    if (st == ST_OK) return st;
    error_wrap(err, st, "hot_start.from");
    return error_hint(err, st, "name a checkpoint or a run directory; mtps ckpt verify says what is "
                      "wrong with one");
}

enum status hot_start_open(const char *path, struct hot_start *h, struct error *err)
{
    if (!(h->path = mem_strdup(path))) return mem_error(err, "path", strlen(path));
    enum status st = ckpt_open(path, false, &h->ckpt, err);
    return st == ST_OK ? st : error_wrap(err, st, "hot_start.from");
}

void hot_start_close(struct hot_start *h)
{
    hot_plan_destroy(h->plan);
    ckpt_close(h->ckpt);
    mem_free(h->path);
    *h = (struct hot_start){0};
}

/* ---- the plan ---- */

static const struct schema_feature *find_one_hot(const struct session *s, struct hot_part name,
                                                 size_t *place)
{
    for (*place = 0; *place < s->schema->n_features; ++*place) {
        const struct schema_feature *f = &s->schema->features[*place];
        if (hot_part_is(name, f->name)) return f->kind == FEATURE_ONE_HOT ? f : NULL;
    }
    return NULL;
}

/* Weights of a one_hot feature belong to levels by place. */
static enum status check_level(const struct hot_start *h, const struct session *s,
                               const struct hot_target *t, struct hot_part now,
                               struct hot_part then, struct error *err)
{
    size_t place;
    char array[HOT_NAME];
    const struct schema_feature *f = find_one_hot(s, now, &place);
    if (!f) return ST_OK;
    snprintf(array, sizeof array, "fit/feature/%.*s/levels", (int)then.n, then.at);
    if (fit_same_levels(s->fit, place, ckpt_find_state(h->ckpt, array))) return ST_OK;
    error_set(err, ST_MISMATCH, "hot_start: %s: the levels of the new rows are not those of the "
              "checkpoint", t->name);
    return error_hint(err, ST_MISMATCH, "set hot_start.statistics=keep, or exclude feature/%s",
                      f->name);
}

static enum status check_levels(const struct hot_start *h, const struct session *s,
                                struct error *err)
{
    const struct hot_plan *p = h->plan;
    for (size_t i = p->n_tables; i < p->n_tables + p->n_tensors; i++) {
        const struct hot_target *t = &p->targets[i];
        struct hot_part now[HOT_FEATURES], then[HOT_FEATURES];
        if (t->action != HOT_LOADED) continue;
        size_t n = hot_features(t->name, now), old = hot_features(t->source, then);
        for (size_t k = 0; k < n && k < old; k++)
            TRY(check_level(h, s, t, now[k], then[k], err));
    }
    return ST_OK;
}

enum status hot_start_plan(struct hot_start *h, const struct session *s, struct error *err)
{
    size_t n_tensors;
    const struct model_tensor *tensors = model_tensors(s->model, &n_tensors);
    struct hot_model m = {.tables = s->tables->name,
                          .dims = s->tables->dim,
                          .n_tables = s->tables->n,
                          .tensors = tensors,
                          .n_tensors = n_tensors};
    if (h->ckpt) TRY(ckpt_read_state(h->ckpt, err));
    TRY(hot_plan_make(s->spec.settings, &m, h->ckpt, h->path, &h->plan, err));
    return check_levels(h, s, err);
}

/* ---- tensors ---- */

/* From which the values of a tensor come; NULL: the fresh model's stay. */
struct origin_of {
    const struct hot_target *t;
    const float *from;
    size_t stride;
    bool bias;
};

/* Value (r, j) of the source for place (r, j) now. */
static const float *source_value(const struct origin_of *o, size_t r, size_t j)
{
    const struct hot_target *t = o->t;
    if (t->columns && t->columns[j] == HOT_CLOSED) return NULL;
    size_t column = t->columns ? (size_t)t->columns[j] : j;
    if (r >= t->source_rows || column >= t->source_cols) return NULL;
    return o->from + r * o->stride + column;
}

/* What stands where the source has nothing: closed columns; no weight from new inputs to
 * old outputs; else the fresh value. */
static void fill_gap(const struct origin_of *o, size_t r, size_t j, float *w)
{
    const struct hot_target *t = o->t;
    if (t->columns)
        *w = o->bias ? CLOSED_BIAS : 0;
    else if (r >= t->source_rows && j < t->source_cols)
        *w = 0;
}

static void load_values(const struct origin_of *o, const struct model_tensor *m, uint64_t seed,
                        float *flat)
{
    const struct hot_target *t = o->t;
    struct rng noise = rng_named(seed, RNG_HOT_NOISE, m->name);
    bool perturbed = t->shrink != 1 || t->noise != 0;
    for (size_t r = 0; r < m->rows; r++)
        for (size_t j = 0; j < m->cols; j++) {
            float *w = flat + m->offset + r * m->stride + j;
            const float *v = source_value(o, r, j);
            if (!v)
                fill_gap(o, r, j, w);
            else if (perturbed)
                *w = (float)(t->shrink * (double)*v +
                             t->noise * perturb_noise(&noise, r * m->cols + j, 0));
            else
                *w = *v;
        }
}

static void load_state(const struct origin_of *o, const struct model_tensor *m, float *slot)
{
    for (size_t r = 0; r < m->rows; r++)
        for (size_t j = 0; j < m->cols; j++) {
            const float *v = source_value(o, r, j);
            if (v) slot[m->offset + r * m->stride + j] = *v;
        }
}

static bool is_bias(const char *name)
{
    size_t n = strlen(name);
    return n > 2 && !strcmp(name + n - 2, "/b");
}

static struct origin_of origin_of(const struct hot_target *t, const struct named_array *a)
{
    return (struct origin_of){t, a->data, a->stride ? a->stride : a->cols, is_bias(t->name)};
}

static void zero_tensor(const struct model_tensor *m, float *flat)
{
    for (size_t r = 0; r < m->rows; r++)
        memset(flat + m->offset + r * m->stride, 0, m->cols * sizeof *flat);
}

static enum status missing(const char *name, struct error *err)
{
    return error_set(err, ST_NOINPUT, "dense.h5: %s of the manifest is missing", name);
}

static enum status load_tensor(const struct hot_start *h, const struct hot_target *t,
                               const struct model_tensor *m, uint64_t seed, struct dense *d,
                               struct error *err)
{
    if (t->zero) zero_tensor(m, d->params);
    if (t->action != HOT_LOADED) return ST_OK;
    const struct named_array *a = ckpt_find_tensor(h->ckpt, t->source);
    if (!a) return missing(t->source, err);
    struct origin_of o = origin_of(t, a);
    load_values(&o, m, seed, d->params);
    const struct optim_layout *layout = dense_layout(d, m);
    for (size_t i = 0; i < layout->n_slots && t->keep_state; i++) {
        a = ckpt_find_slot(h->ckpt, layout->name[i], t->source);
        if (!a) return missing(t->source, err);
        o = origin_of(t, a);
        load_state(&o, m, d->slots[i]);
    }
    return ST_OK;
}

static enum status fill_dense(const struct hot_start *h, const struct session *s,
                              struct dense *d, struct error *err)
{
    size_t n, n_stored;
    const struct named_array *stored;
    const struct settings *settings = s->spec.settings;
    const struct model_tensor *tensors = model_tensors(s->model, &n);
    model_init_params(s->model, settings->seed, d->params);
    dense_fresh(settings, d);
    TRY(ckpt_read_dense(h->ckpt, &stored, &n_stored, err));
    for (size_t i = 0; i < n; i++)
        TRY(load_tensor(h, &h->plan->targets[h->plan->n_tables + i], &tensors[i], settings->seed,
                        d, err));
    return ST_OK;
}

/* ---- to the servers ---- */

static enum status load_rows(const struct hot_start *h, struct client *client, struct error *err)
{
    const struct hot_plan *p = h->plan;
    struct wire_load *loads = mem_zeroed(p->n_tables, sizeof *loads);
    if (!loads) return mem_error(err, "tables to load", p->n_tables * sizeof *loads);
    for (size_t i = 0; i < p->n_tables; i++) {
        const struct hot_target *t = &p->targets[i];
        loads[i] = (struct wire_load){.keep_state = t->keep_state,
                                      .resize = t->resized,
                                      .min_count = p->settings->hot_start.rows.min_count,
                                      .min_step = t->min_step,
                                      .shrink = t->shrink,
                                      .noise = t->noise};
        if (t->action != HOT_LOADED) continue;
        snprintf(loads[i].source, sizeof loads[i].source, "%s", t->source + strlen("table/"));
        loads[i].n_columns = t->columns ? t->cols : 0;
        for (size_t j = 0; j < loads[i].n_columns; j++)
            loads[i].from[j] = t->columns[j] == HOT_CLOSED ? WIRE_FRESH : (uint32_t)t->columns[j];
    }
    enum status st = client_load_tables(client, h->path, loads, err);
    mem_free(loads);
    return st;
}

/* Rows' ages go on when rows were loaded, t of an optimiser where its state was kept. */
static struct wire_past past_of(const struct hot_plan *p, const struct train_state *old)
{
    struct wire_past past = {0};
    for (size_t i = 0; i < p->n_tables + p->n_tensors; i++) {
        const struct hot_target *t = &p->targets[i];
        if (t->action != HOT_LOADED) continue;
        if (t->is_table) past.steps = old->past.steps + old->step;
        if (t->is_table && t->keep_state)
            past.sparse_updates = old->past.sparse_updates + old->updates;
        if (!t->is_table && t->keep_state)
            past.dense_updates = old->past.dense_updates + old->updates;
    }
    return past;
}

enum status hot_start_load(const struct hot_start *h, const struct session *s,
                           struct client *client, struct train_state *start, struct error *err)
{
    struct train_state old;
    struct dense d;
    *start = (struct train_state){0};
    if (!h->plan->n_loaded) {
        TRY(saver_init(s, client, err));
        return s->rates ? rates_put(s->rates, client, err) : ST_OK;
    }
    TRY(train_state_read(h->ckpt, &old, err));
    start->past = past_of(h->plan, &old);
    if (start->past.steps) train_state_next_day(&old, start);
    TRY(dense_make(s, &d, err));
    enum status st = fill_dense(h, s, &d, err);
    if (st == ST_OK) st = load_rows(h, client, err);
    if (st == ST_OK) st = dense_put(s, client, &d, d.n_slots, start, err);
    if (st == ST_OK && s->rates) st = rates_put(s->rates, client, err);
    dense_close(&d);
    if (st != ST_OK) return st;
    log_line(LOG_INFO, "train", "hot start from %s: %zu tables and tensors loaded", h->path,
             h->plan->n_loaded);
    return ST_OK;
}
