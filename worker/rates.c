#include "worker/rates.h"

#include <string.h>

#include "common/base/mem.h"
#include "worker/hot_names.h"
#include "worker/train_state.h"

static enum status no_memory(struct error *err)
{
    return mem_error(err, "rates", 0);
}

static enum status create(const struct rates_model *m, struct rates **out, struct error *err)
{
    struct arena *arena;
    TRY(arena_create(&arena, err));
    struct rates *r = arena_take(arena, 1, sizeof *r);
    if (r) {
        *r = (struct rates){.v = {{.scale = 1}},
                            .n = 1,
                            .dense = arena_take(arena, m->n_params + 1, 1),
                            .tables = arena_take(arena, m->n_tables + 1, 1),
                            .ramped = arena_take(arena, m->settings->n_tasks + 1, 1),
                            .n_dense = m->n_params,
                            .n_tables = m->n_tables,
                            .n_tasks = m->settings->n_tasks,
                            .arena = arena};
        if (r->dense && r->tables && r->ramped) {
            *out = r;
            return ST_OK;
        }
    }
    arena_destroy(arena);
    return no_memory(err);
}

void rates_destroy(struct rates *r)
{
    if (r) arena_destroy(r->arena);
}

/* ---- values in a checkpoint ---- */

static const void *find(struct ckpt *c, const char *name, enum dtype type, size_t rows, size_t cols)
{
    const struct named_array *a = name ? ckpt_find_state(c, name) : NULL;
    return a && a->type == type && a->rows == rows && a->cols == cols ? a->data : NULL;
}

static enum status damaged(struct error *err)
{
    return error_set(err, ST_NOINPUT, "train_state.h5: rates are of another shape");
}

static enum status read_values(struct rates *r, struct ckpt *c, size_t n, struct error *err)
{
    const double *values = find(c, "rates/values", DTYPE_F64, n, 0);
    const uint64_t *steps = find(c, "rates/steps", DTYPE_U64, n, 2);
    const uint64_t *ramp = find(c, "rates/ramp", DTYPE_U64, 2, 0);
    const uint64_t *opened = find(c, "rates/opened", DTYPE_U64, n, 0);
    if (!values || !steps || !ramp || !n || n > WIRE_MAX_RATES) return damaged(err);
    r->n = n;
    for (size_t i = 0; i < n; i++)
        r->v[i] = (struct wire_rate){values[i], steps[2 * i], steps[2 * i + 1],
                                     opened ? opened[i] : 0};
    r->ramp_from = ramp[0];
    r->ramp = ramp[1];
    return ST_OK;
}

/* ---- from a plan ---- */

static enum status place_of(struct rates *r, struct wire_rate rate, uint8_t *out,
                            struct error *err)
{
    size_t i = 0;
    while (i < r->n && (r->v[i].scale != rate.scale || r->v[i].from != rate.from ||
                        r->v[i].open != rate.open || r->v[i].opened != rate.opened))
        i++;
    if (i == WIRE_MAX_RATES)
        return error_set(err, ST_MISMATCH, "hot_start: freeze and lr_scale make more than %d "
                         "different rates", WIRE_MAX_RATES);
    r->v[i] = rate;
    if (i == r->n) r->n++;
    *out = (uint8_t)i;
    return ST_OK;
}

/* What the patterns say of a target; what was loaded waits for the new parts. */
static struct wire_rate rate_of(const struct hot_target *t, const struct settings *s)
{
    const struct hot_start_cfg *h = &s->hot_start;
    struct wire_rate rate = {.scale = 1};
    for (size_t i = 0; i < h->lr_scale.n; i++)
        if (hot_fits(h->lr_scale.key[i], t->name, s)) rate.scale = h->lr_factor[i];
    for (size_t i = 0; i < h->n_freeze; i++)
        for (size_t j = 0; j < h->freeze[i].names.n; j++)
            if (hot_fits(h->freeze[i].names.v[j], t->name, s)) rate.from = h->freeze[i].until;
    if (t->action == HOT_LOADED && rate.from < h->new_task.only_new)
        rate.from = h->new_task.only_new;
    return rate;
}

static bool is_bias(const char *name)
{
    size_t n = strlen(name);
    return n > 2 && !strcmp(name + n - 2, "/b");
}

/* The rates of the run that the checkpoint is of. */
struct old_rates {
    struct ckpt *ckpt;
    struct rates rates; /* n is 0 when it has none */
    uint64_t step;
};

static enum status read_old(struct ckpt *c, struct old_rates *old, struct error *err)
{
    const struct named_array *values = c ? ckpt_find_state(c, "rates/values") : NULL;
    struct train_state state;
    *old = (struct old_rates){.ckpt = c};
    if (!values) return ST_OK;
    TRY(read_values(&old->rates, c, values->rows, err));
    TRY(train_state_read(c, &state, err));
    old->step = state.step;
    return ST_OK;
}

/* Places in the old rates of a bias's columns; NULL when it learned plainly. */
static enum status old_places(const struct old_rates *old, const struct hot_target *t,
                              struct rates *r, const uint8_t **out, struct error *err)
{
    *out = NULL;
    if (!old->rates.n) return ST_OK;
    const char *name = arena_printf(r->arena, "rates/dense/%s", t->source);
    if (!name) return no_memory(err);
    if (!ckpt_find_state(old->ckpt, name)) return ST_OK;
    *out = find(old->ckpt, name, DTYPE_U8, t->source_rows, t->source_cols);
    for (size_t j = 0; *out && j < t->source_cols; j++)
        if ((*out)[j] >= old->rates.n) *out = NULL;
    return *out ? ST_OK : damaged(err);
}

/* A closed column opens from the beginning. One that the checkpoint was about to open, which
 * learning alone would leave closed, goes on where it stood. */
static struct wire_rate opening_of(const struct old_rates *old, const uint8_t *places, int column,
                                   struct wire_rate rate, uint64_t open)
{
    if (column == HOT_CLOSED) {
        rate.open = open;
        return rate;
    }
    if (!places) return rate;
    const struct wire_rate *was = &old->rates.v[places[column]];
    uint64_t done = was->opened + (old->step > was->from ? old->step - was->from : 0);
    if (done < was->open) {
        rate.open = was->open;
        rate.opened = done;
    }
    return rate;
}

static enum status mark_tensor(struct rates *r, const struct hot_target *t,
                               const struct model_tensor *m, const struct settings *s,
                               const struct old_rates *old, struct error *err)
{
    const struct wire_rate rate = rate_of(t, s);
    const uint8_t *places;
    uint8_t place = 0;
    TRY(place_of(r, rate, &place, err));
    for (size_t i = 0; i < m->rows; i++)
        memset(r->dense + m->offset + i * m->stride, place, m->cols);
    if (t->action != HOT_LOADED || !t->columns || !is_bias(t->name)) return ST_OK;
    TRY(old_places(old, t, r, &places, err));
    for (size_t j = 0; j < m->cols; j++) {
        struct wire_rate opening =
            opening_of(old, places, t->columns[j], rate, s->hot_start.new_task.open);
        TRY(place_of(r, opening, &place, err));
        r->dense[m->offset + j] = place;
    }
    return ST_OK;
}

static enum status mark_all(struct rates *r, const struct hot_plan *plan,
                            const struct rates_model *m, struct error *err)
{
    const struct new_task_cfg *n = &m->settings->hot_start.new_task;
    struct old_rates old;
    TRY(read_old(plan->ckpt, &old, err));
    for (size_t i = 0; i < m->n_tables; i++)
        TRY(place_of(r, rate_of(&plan->targets[i], m->settings), &r->tables[i], err));
    for (size_t i = 0; i < m->n_tensors; i++)
        TRY(mark_tensor(r, &plan->targets[m->n_tables + i], &m->tensors[i], m->settings, &old,
                        err));
    r->ramp_from = n->only_new;
    r->ramp = n->ramp;
    for (size_t k = 0; k < r->n_tasks; k++) r->ramped[k] = n->ramp && plan->new_task[k];
    return ST_OK;
}

/* ---- as arrays: rates/values, rates/steps, rates/ramp; rates/opened, rates/dense/TENSOR,
 * rates/table/TABLE and rates/task/TASK where they are not 0 ---- */

static bool any(const uint8_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i]) return true;
    return false;
}

static bool add(struct rates *r, const char *name, enum dtype type, size_t rows, size_t cols,
                size_t stride, void *data)
{
    if (!name || !data) return false;
    r->arrays[r->n_arrays++] = (struct named_array){name, type, rows, cols, stride, data};
    return true;
}

static bool list_values(struct rates *r)
{
    double *values = arena_take(r->arena, r->n, sizeof *values);
    uint64_t *steps = arena_take(r->arena, 2 * r->n, sizeof *steps);
    uint64_t *ramp = arena_take(r->arena, 2, sizeof *ramp);
    uint64_t *opened = arena_take(r->arena, r->n, sizeof *opened);
    bool any_opened = false;
    if (!values || !steps || !ramp || !opened) return false;
    for (size_t i = 0; i < r->n; i++) {
        values[i] = r->v[i].scale;
        steps[2 * i] = r->v[i].from;
        steps[2 * i + 1] = r->v[i].open;
        opened[i] = r->v[i].opened;
        any_opened |= opened[i] > 0;
    }
    ramp[0] = r->ramp_from;
    ramp[1] = r->ramp;
    return add(r, "rates/values", DTYPE_F64, r->n, 0, 0, values) &&
           add(r, "rates/steps", DTYPE_U64, r->n, 2, 0, steps) &&
           add(r, "rates/ramp", DTYPE_U64, 2, 0, 0, ramp) &&
           (!any_opened || add(r, "rates/opened", DTYPE_U64, r->n, 0, 0, opened));
}

static bool list_tensor(struct rates *r, const struct model_tensor *t)
{
    bool used = false;
    for (size_t i = 0; i < t->rows; i++) used |= any(r->dense + t->offset + i * t->stride, t->cols);
    return !used || add(r, arena_printf(r->arena, "rates/dense/%s", t->name), DTYPE_U8, t->rows,
                        t->cols, t->stride, r->dense + t->offset);
}

static enum status list_arrays(struct rates *r, const struct rates_model *m, struct error *err)
{
    size_t most = 4 + m->n_tensors + r->n_tables + r->n_tasks;
    r->arrays = arena_take(r->arena, most, sizeof *r->arrays);
    bool ok = r->arrays && list_values(r);
    for (size_t i = 0; ok && i < m->n_tensors; i++) ok = list_tensor(r, &m->tensors[i]);
    for (size_t i = 0; ok && i < r->n_tables; i++)
        ok = !r->tables[i] || add(r, arena_printf(r->arena, "rates/table/%s", m->tables[i]),
                                  DTYPE_U8, 1, 0, 0, &r->tables[i]);
    for (size_t k = 0; ok && k < r->n_tasks; k++)
        ok = !r->ramped[k] ||
             add(r, arena_printf(r->arena, "rates/task/%s", m->settings->tasks[k].name), DTYPE_U8,
                 1, 0, 0, &r->ramped[k]);
    return ok ? ST_OK : no_memory(err);
}

enum status rates_make(const struct hot_plan *plan, const struct rates_model *m,
                       struct rates **out, struct error *err)
{
    struct rates *r = NULL;
    *out = NULL;
    TRY(create(m, &r, err));
    enum status st = mark_all(r, plan, m, err);
    bool plain = r->n == 1 && !any(r->ramped, r->n_tasks);
    if (st == ST_OK && !plain) st = list_arrays(r, m, err);
    if (st == ST_OK && !plain)
        *out = r;
    else
        rates_destroy(r);
    return st;
}

/* ---- from a checkpoint ---- */

/* A place is one of the rates. */
static enum status read_tensor(struct rates *r, struct ckpt *c, const struct model_tensor *t,
                               struct error *err)
{
    const char *name = arena_printf(r->arena, "rates/dense/%s", t->name);
    if (!name) return no_memory(err);
    if (!ckpt_find_state(c, name)) return ST_OK;
    const uint8_t *from = find(c, name, DTYPE_U8, t->rows, t->cols);
    if (!from) return damaged(err);
    for (size_t i = 0; i < t->rows * t->cols; i++) {
        if (from[i] >= r->n) return damaged(err);
        r->dense[t->offset + i / t->cols * t->stride + i % t->cols] = from[i];
    }
    return ST_OK;
}

static enum status read_one(struct ckpt *c, const char *name, size_t most, uint8_t *out,
                            struct error *err)
{
    if (!name) return no_memory(err);
    const uint8_t *from = find(c, name, DTYPE_U8, 1, 0);
    if (from && *from >= most) return damaged(err);
    if (from) *out = *from;
    return ST_OK;
}

static enum status read_all(struct rates *r, struct ckpt *c, const struct rates_model *m,
                            size_t n, struct error *err)
{
    TRY(read_values(r, c, n, err));
    for (size_t i = 0; i < m->n_tensors; i++) TRY(read_tensor(r, c, &m->tensors[i], err));
    for (size_t i = 0; i < r->n_tables; i++)
        TRY(read_one(c, arena_printf(r->arena, "rates/table/%s", m->tables[i]), r->n,
                     &r->tables[i], err));
    for (size_t k = 0; k < r->n_tasks; k++)
        TRY(read_one(c, arena_printf(r->arena, "rates/task/%s", m->settings->tasks[k].name), 2,
                     &r->ramped[k], err));
    return list_arrays(r, m, err);
}

enum status rates_read(struct ckpt *ckpt, const struct rates_model *m, struct rates **out,
                       struct error *err)
{
    const struct named_array *values = ckpt_find_state(ckpt, "rates/values");
    struct rates *r = NULL;
    *out = NULL;
    if (!values) return ST_OK;
    TRY(create(m, &r, err));
    enum status st = read_all(r, ckpt, m, values->rows, err);
    if (st == ST_OK)
        *out = r;
    else
        rates_destroy(r);
    return st;
}

/* ---- at work ---- */

enum status rates_put(const struct rates *r, struct client *client, struct error *err)
{
    struct wire_rates put = {.n = r->n,
                             .n_dense = r->n_dense,
                             .n_tables = r->n_tables,
                             .rates = r->v,
                             .dense = r->dense,
                             .tables = r->tables};
    return client_rates(client, &put, err);
}

double rates_loss(const struct rates *r, size_t task, uint64_t step)
{
    if (!r || !r->ramped[task] || step < r->ramp_from) return 1;
    uint64_t since = step - r->ramp_from + 1;
    return since < r->ramp ? (double)since / (double)r->ramp : 1;
}
