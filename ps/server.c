#include "ps/server_impl.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/store/ckpt.h"

/* ---- create ---- */

static enum status copy_tables(struct server *s, const struct server_spec *spec,
                               struct error *err)
{
    s->tables = mem_zeroed(spec->n_tables, sizeof *s->tables);
    if (!s->tables)
        return mem_error(err, "server tables", spec->n_tables * sizeof *s->tables);
    for (size_t i = 0; i < spec->n_tables; i++) {
        struct server_table *t = &s->tables[i];
        t->name = mem_strdup(spec->tables[i].name);
        if (!t->name) return mem_error(err, "table name", strlen(spec->tables[i].name));
        t->dim = spec->tables[i].dim;
        t->optimizer = spec->tables[i].optimizer;
        t->layout = optim_layout(t->optimizer.kind, t->dim);
        t->l2 = spec->tables[i].l2;
        t->admit = spec->tables[i].admit;
        if (t->admit > 1 && !(t->waiting = ckpt_waiting_name(t->name)))
            return mem_error(err, "table name", strlen(t->name));
    }
    return ST_OK;
}

static enum status float_array(float **out, size_t n, struct error *err)
{
    *out = mem_zeroed(n, sizeof **out);
    return *out ? ST_OK : mem_error(err, "dense parameters", n * sizeof **out);
}

/* Where the floats with an optimiser of their own stand in this server's part. */
static struct range local_part(const struct server *s)
{
    struct range r = s->spec.dense_part.floats;
    r.first = r.first < s->dense.first ? s->dense.first : r.first;
    r.end = r.end > s->dense.end ? s->dense.end : r.end;
    if (r.first >= r.end) return (struct range){0, 0};
    return (struct range){r.first - s->dense.first, r.end - s->dense.first};
}

static enum status make_dense(struct server *s, struct error *err)
{
    TRY(float_array(&s->params, s->n_dense, err));
    const struct dense_part *part = &s->spec.dense_part;
    s->n_slots = optim_layout(s->spec.dense_optimizer.kind, 1).n_slots;
    size_t n = optim_layout(part->optimizer.kind, 1).n_slots;
    if (part->floats.end > part->floats.first && n > s->n_slots) s->n_slots = n;
    for (size_t i = 0; i < s->n_slots; i++)
        TRY(float_array(&s->slots[i], s->n_dense, err));
    if (s->spec.clip_norm > 0) {
        TRY(float_array(&s->joined, s->n_dense, err));
        s->squares = mem_zeroed(s->n_blocks, sizeof *s->squares);
        if (!s->squares)
            return mem_error(err, "block norms", s->n_blocks * sizeof *s->squares);
    }
    return ST_OK;
}

static struct range shard_dense(const struct server *s, size_t i)
{
    struct range r = partition_part(s->n_blocks, i, s->spec.n_shards);
    r.first *= DENSE_BLOCK;
    r.end *= DENSE_BLOCK;
    if (r.first > s->n_dense) r.first = s->n_dense;
    if (r.end > s->n_dense) r.end = s->n_dense;
    return r;
}

static enum status make_shard(struct server *s, size_t i, const struct server_spec *spec,
                              struct error *err)
{
    struct shard *h = &s->shards[i];
    h->buckets = partition_part(s->buckets.end - s->buckets.first, i, spec->n_shards);
    h->buckets.first += s->buckets.first;
    h->buckets.end += s->buckets.first;
    h->dense = shard_dense(s, i);
    h->tables = mem_zeroed(spec->n_tables, sizeof(struct table *));
    h->waiting = mem_zeroed(spec->n_tables, sizeof(struct table *));
    if (!h->tables || !h->waiting)
        return mem_error(err, "shard", spec->n_tables * sizeof(struct table *));
    size_t max_dim = 1;
    for (size_t t = 0; t < spec->n_tables; t++) {
        const struct table_spec *ts = &spec->tables[t];
        struct table_shape shape = {.name = ts->name,
                                    .dim = ts->dim,
                                    .n_state = s->tables[t].layout.floats,
                                    .initial_state = optim_initial_state(&ts->optimizer),
                                    .init = ts->init,
                                    .seed = spec->seed};
        TRY(table_create(&shape, &h->tables[t], err));
        const struct table_shape keys = {.name = s->tables[t].waiting};
        if (keys.name) TRY(table_create(&keys, &h->waiting[t], err));
        if (ts->dim > max_dim) max_dim = ts->dim;
    }
    h->grad = mem_array(max_dim, sizeof *h->grad);
    if (!h->grad) return mem_error(err, "shard", max_dim * sizeof *h->grad);
    TRY(float_array(&h->before, max_dim, err));
    TRY(memo_create(max_dim, &h->memo, err));
    return join_work_create(spec->n_lanes, spec->n_lanes, max_dim, &h->work, err);
}

static enum status make_workers(struct server *s, struct error *err)
{
    size_t n = s->spec.n_workers, tables = s->spec.n_tables;
    s->workers = mem_zeroed(n, sizeof *s->workers);
    if (!s->workers) return mem_error(err, "worker slots", n * sizeof *s->workers);
    for (size_t w = 0; w < n; w++) {
        struct worker_slot *slot = &s->workers[w];
        slot->answer = mem_zeroed(tables, sizeof *slot->answer);
        slot->n_rows = mem_zeroed(tables, sizeof *slot->n_rows);
        if (!slot->answer || !slot->n_rows)
            return mem_error(err, "worker slots", tables * sizeof *slot->answer);
    }
    return ST_OK;
}

static enum status fill(struct server *s, const struct server_spec *spec,
                        struct error *err)
{
    s->spec = *spec;
    s->spec.tables = NULL;
    s->buckets = partition_buckets(spec->index, spec->n_servers);
    s->dense = partition_dense(spec->n_dense, spec->index, spec->n_servers);
    s->n_dense = s->dense.end - s->dense.first;
    s->part = local_part(s);
    s->n_blocks = (s->n_dense + DENSE_BLOCK - 1) / DENSE_BLOCK;
    TRY(copy_tables(s, spec, err));
    TRY(make_dense(s, err));
    s->shards = mem_zeroed(spec->n_shards, sizeof *s->shards);
    if (!s->shards) return mem_error(err, "shards", spec->n_shards * sizeof *s->shards);
    for (size_t i = 0; i < spec->n_shards; i++) TRY(make_shard(s, i, spec, err));
    TRY(make_workers(s, err));
    TRY(join_plan_create(spec->n_lanes, spec->n_lanes, &s->plan, err));
    server_clear(s);
    return ST_OK;
}

enum status server_create(const struct server_spec *spec, struct server **out,
                          struct error *err)
{
    struct server *s = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "server", sizeof *s);
    enum status st = fill(s, spec, err);
    if (st != ST_OK) {
        server_destroy(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

static void close_shard(struct shard *h, size_t n_tables)
{
    for (size_t t = 0; h->tables && t < n_tables; t++) table_destroy(h->tables[t]);
    for (size_t t = 0; h->waiting && t < n_tables; t++) table_destroy(h->waiting[t]);
    mem_free(h->tables);
    mem_free(h->waiting);
    memo_destroy(h->memo);
    mem_free(h->grad);
    mem_free(h->before);
    join_work_close(&h->work);
}

void server_destroy(struct server *s)
{
    if (!s) return;
    for (size_t i = 0; s->shards && i < s->spec.n_shards; i++)
        close_shard(&s->shards[i], s->spec.n_tables);
    for (size_t w = 0; s->workers && w < s->spec.n_workers; w++) {
        mem_free(s->workers[w].rows);
        mem_free(s->workers[w].answer);
        mem_free(s->workers[w].n_rows);
    }
    for (size_t t = 0; s->tables && t < s->spec.n_tables; t++) {
        mem_free(s->tables[t].name);
        mem_free(s->tables[t].waiting);
    }
    mem_free(s->tables);
    mem_free(s->shards);
    mem_free(s->workers);
    mem_free(s->params);
    for (size_t i = 0; i < OPTIM_MAX_SLOTS; i++) mem_free(s->slots[i]);
    mem_free(s->decay);
    mem_free(s->rates);
    mem_free(s->rates_now);
    mem_free(s->rate_of);
    mem_free(s->joined);
    mem_free(s->squares);
    join_plan_close(&s->plan);
    mem_free(s);
}

void server_clear(struct server *s)
{
    for (size_t i = 0; i < s->spec.n_shards; i++)
        for (size_t t = 0; t < s->spec.n_tables; t++) {
            table_clear(s->shards[i].tables[t]);
            if (s->shards[i].waiting[t]) table_clear(s->shards[i].waiting[t]);
        }
    server_fresh_slots(s);
}

void server_fresh_slots(struct server *s)
{
    float dense = optim_initial_state(&s->spec.dense_optimizer);
    float part = optim_initial_state(&s->spec.dense_part.optimizer);
    for (size_t i = 0; i < s->n_slots; i++) {
        for (size_t f = 0; f < s->n_dense; f++) s->slots[i][f] = dense;
        for (size_t f = s->part.first; f < s->part.end; f++) s->slots[i][f] = part;
    }
}

/* ---- accept ---- */

static enum status check_step(struct server *s, size_t worker, const struct wire_step *m,
                              struct error *err)
{
    if (worker >= s->spec.n_workers)
        return error_set(err, ST_PEER, "a step message from worker %zu of %zu", worker,
                         s->spec.n_workers);
    if (s->workers[worker].here)
        return error_set(err, ST_PEER, "worker %zu sent step %llu twice", worker,
                         (unsigned long long)m->step);
    bool push = !(m->flags & WIRE_NO_PUSH);
    if ((s->n_here || push) && s->step_known && m->step != s->step + push)
        return error_set(
            err, ST_PEER, "worker %zu sent step %llu while step %llu was expected",
            worker, (unsigned long long)m->step, (unsigned long long)(s->step + push));
    if (s->n_here && push != s->pushing)
        return error_set(err, ST_PEER,
                         "worker %zu and the workers before it do not agree "
                         "whether step %llu pushes",
                         worker, (unsigned long long)m->step);
    if (m->n_tables != s->spec.n_tables || m->n_dense != s->n_dense)
        return error_set(
            err, ST_PEER,
            "worker %zu sent %zu tables and %zu dense floats, here are %zu and %zu",
            worker, m->n_tables, m->n_dense, s->spec.n_tables, s->n_dense);
    return ST_OK;
}

/* Where the rows asked for will stand. */
static enum status place_answer(struct server *s, struct worker_slot *slot,
                                struct error *err)
{
    size_t floats = 0;
    const struct wire_keys *pulls =
        slot->view.flags & WIRE_NO_PULL ? NULL : slot->view.pulls;
    for (size_t t = 0; t < s->spec.n_tables; t++) {
        slot->n_rows[t] = pulls ? pulls[t].n : 0;
        floats += (slot->n_rows[t] * s->tables[t].dim + 1) / 2 * 2;
    }
    if (floats > slot->capacity) {
        size_t capacity = floats + floats / 2;
        mem_free(slot->rows);
        slot->capacity = 0;
        slot->rows = mem_array(capacity, sizeof *slot->rows);
        if (!slot->rows)
            return mem_error(err, "rows of an answer", capacity * sizeof *slot->rows);
        slot->capacity = capacity;
    }
    float *at = slot->rows;
    for (size_t t = 0; t < s->spec.n_tables; t++) {
        size_t n = slot->n_rows[t] * s->tables[t].dim;
        slot->answer[t] = at;
        if (n & 1) at[n] = 0;
        at += (n + 1) / 2 * 2;
    }
    return ST_OK;
}

/* All messages are here: the order of additions and the numbers of this update. */
static enum status plan_step(struct server *s, struct error *err)
{
    join_plan_clear(&s->plan);
    s->clip_scale = 1.0f;
    s->finished = false;
    for (size_t i = 0; i < s->spec.n_shards; i++) s->shards[i].status = ST_OK;
    if (s->flags & WIRE_NONFINITE) s->pushing = false;
    if (!s->pushing) return ST_OK;
    for (size_t w = 0; w < s->spec.n_workers; w++) {
        const struct wire_step *m = &s->workers[w].view;
        for (size_t i = 0; i < m->n_parts; i++)
            TRY(join_plan_add(&s->plan, &m->parts[i], err));
    }
    TRY(join_plan_finish(&s->plan, err));
    rates_step(s);
    const struct server_spec *spec = &s->spec;
    uint64_t t = s->updates + 1;
    const struct optimizer_cfg *o = &spec->dense_optimizer;
    double lr = optim_lr(&spec->schedule, o->lr, s->updates, spec->total_steps);
    uint64_t dense_t = s->past.dense_updates + t;
    s->dense_step = optim_make(o, lr, dense_t);
    o = &spec->dense_part.optimizer;
    lr = optim_lr(&spec->schedule, o->lr, s->updates, spec->total_steps);
    s->part_step = optim_make(o, lr, dense_t);
    for (size_t i = 0; i < spec->n_tables; i++) {
        o = &s->tables[i].optimizer;
        lr = optim_lr(&spec->schedule, o->lr, s->updates, spec->total_steps);
        s->tables[i].step = optim_make(o, lr, s->past.sparse_updates + t);
    }
    return ST_OK;
}

enum status server_accept(struct server *s, size_t worker, const struct wire_step *m,
                          struct error *err)
{
    TRY(check_step(s, worker, m, err));
    struct worker_slot *slot = &s->workers[worker];
    slot->view = *m;
    TRY(place_answer(s, slot, err));
    if (!s->n_here) {
        s->flags = 0;
        s->pushing = !(m->flags & WIRE_NO_PUSH);
        s->step = m->step - s->pushing;
        s->step_known = true;
    }
    s->flags |= m->flags & STEP_FLAGS;
    slot->here = true;
    if (++s->n_here < s->spec.n_workers) return ST_OK;
    return plan_step(s, err);
}

bool server_step_ready(const struct server *s)
{
    return s->n_here == s->spec.n_workers;
}

/* ---- answer ---- */

static enum status finish_step(struct server *s, struct error *err)
{
    for (size_t i = 0; i < s->spec.n_shards; i++) {
        struct shard *h = &s->shards[i];
        if (h->status != ST_OK) {
            if (err) *err = h->err;
            return h->status;
        }
        s->stats.keys_pushed += h->keys_pushed;
        s->stats.keys_pulled += h->keys_pulled;
        h->keys_pushed = h->keys_pulled = 0;
    }
    bool pushed = !(s->workers[0].view.flags & WIRE_NO_PUSH);
    s->step += pushed;
    s->updates += s->pushing;
    s->stats.steps += pushed;
    s->stats.skipped += pushed && !s->pushing;
    s->finished = true;
    return ST_OK;
}

enum status server_answer(struct server *s, size_t worker, struct wire_answer *out,
                          struct error *err)
{
    if (!s->finished) TRY(finish_step(s, err));
    struct worker_slot *slot = &s->workers[worker];
    *out = (struct wire_answer){.step = slot->view.step,
                                .flags = s->flags,
                                .updates = s->updates,
                                .n_tables = s->spec.n_tables,
                                .n_dense = s->n_dense,
                                .dense = s->params,
                                .rows = slot->answer,
                                .n_rows = slot->n_rows};
    slot->here = false;
    s->n_here--;
    return ST_OK;
}

/* ---- reports ---- */

uint64_t server_rows(const struct server *s, size_t table)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->spec.n_shards; i++)
        n += table_rows(s->shards[i].tables[table]);
    return n;
}

uint64_t server_bytes(const struct server *s)
{
    uint64_t n = s->n_dense * sizeof *s->params;
    for (size_t i = 0; i < OPTIM_MAX_SLOTS; i++)
        n += s->slots[i] ? s->n_dense * sizeof(float) : 0;
    for (size_t i = 0; i < s->spec.n_shards; i++)
        for (size_t t = 0; t < s->spec.n_tables; t++)
            n += table_bytes(s->shards[i].tables[t]) +
                 (s->shards[i].waiting[t] ? table_bytes(s->shards[i].waiting[t]) : 0);
    for (size_t w = 0; w < s->spec.n_workers; w++)
        n += s->workers[w].capacity * sizeof(float);
    return n;
}

/* ---- port ---- */

static enum status port_accept(void *s, size_t worker, const struct wire_step *m,
                               struct error *err)
{
    return server_accept(s, worker, m, err);
}

static void port_join(void *s, size_t shard)
{
    server_join(s, shard);
}

static void port_norm(void *s)
{
    server_set_norm(s, server_norm(s));
}

static void port_apply(void *s, size_t shard)
{
    server_apply(s, shard);
}

static enum status port_answer(void *s, size_t worker, struct wire_answer *out,
                               struct error *err)
{
    return server_answer(s, worker, out, err);
}

static enum status port_control(void *s, const struct message *request,
                                struct wire_buffer *reply, struct error *err)
{
    return server_control(s, request, reply, err);
}

struct server_port server_port(struct server *s)
{
    return (struct server_port){.server = s,
                                .n_shards = s->spec.n_shards,
                                .clips = server_clips(s),
                                .accept = port_accept,
                                .join = port_join,
                                .norm = port_norm,
                                .apply = port_apply,
                                .answer = port_answer,
                                .control = port_control};
}
