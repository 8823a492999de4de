/* Control requests: what is asked between steps. Each is decoded, done and
 * answered here; a request that fails is answered with its status and text, and
 * the server goes on. Pulls change nothing and may run in several threads at once;
 * everything else comes when no step is at work. */
#include <string.h>

#include "common/base/mem.h"
#include "ps/server_impl.h"

/* Rows of keys for evaluation: {dense wanted, tables, per table n and keys} ->
 * {dense floats or 0, dense, per table n and rows}. Nothing is inserted. */
static enum status handle_pull(struct server *s, struct wire_reader *r,
                               struct wire_buffer *reply, struct error *err)
{
    uint64_t dense = wire_get(r), n_tables = wire_get(r);
    if (dense > 1 || n_tables != s->spec.n_tables)
        return error_set(err, ST_PEER, "a pull names %llu tables, here are %zu",
                         (unsigned long long)n_tables, s->spec.n_tables);
    wire_begin_reply(reply, ST_OK, NULL);
    wire_put(reply, dense ? s->n_dense : 0);
    wire_put_bytes(reply, s->params, dense ? s->n_dense * sizeof *s->params : 0);
    for (size_t t = 0; t < s->spec.n_tables; t++) {
        uint64_t n = wire_get(r);
        const uint64_t *keys = wire_get_array(r, n, sizeof *keys);
        if (r->bad) break;
        wire_put(reply, n);
        size_t at = wire_put_room(reply, (size_t)n * s->tables[t].dim * sizeof(float));
        if (reply->failed) break;
        server_pull(s, t, (size_t)n, keys, (float *)(void *)(reply->data + at));
    }
    return wire_close(r, err);
}

static enum status handle_dense_get(struct server *s, struct wire_reader *r,
                                    struct wire_buffer *reply, struct error *err)
{
    TRY(wire_close(r, err));
    struct wire_dense d = {
        .step = s->step, .updates = s->updates, .past = s->past, .n = s->n_dense,
        .params = s->params};
    d.n_slots = s->n_slots;
    for (size_t i = 0; i < s->n_slots; i++) d.slots[i] = s->slots[i];
    wire_begin_reply(reply, ST_OK, NULL);
    wire_put_dense(reply, &d);
    return ST_OK;
}

static enum status set_decay(struct server *s, const uint8_t *mask, struct error *err)
{
    mem_free(s->decay);
    s->decay = NULL;
    if (!mask || s->spec.dense_optimizer.weight_decay == 0) return ST_OK;
    s->decay = mem_array(s->n_dense, sizeof *s->decay);
    if (!s->decay)
        return mem_error(err, "weight decay mask", s->n_dense * sizeof *s->decay);
    for (size_t i = 0; i < s->n_dense; i++) s->decay[i] = mask[i] ? 1.0f : 0.0f;
    return ST_OK;
}

static enum status handle_dense_put(struct server *s, struct wire_reader *r,
                                    struct wire_buffer *reply, struct error *err)
{
    struct wire_dense d;
    wire_get_dense(r, &d);
    TRY(wire_close(r, err));
    if (d.n != s->n_dense || (d.n_slots && d.n_slots != s->n_slots))
        return error_set(err, ST_PEER,
                         "%zu dense floats with %zu slots were put, here are %zu and %zu",
                         d.n, d.n_slots, s->n_dense, s->n_slots);
    memcpy(s->params, d.params, d.n * sizeof *s->params);
    if (d.n_slots == 0) server_fresh_slots(s);
    for (size_t i = 0; i < d.n_slots; i++)
        memcpy(s->slots[i], d.slots[i], d.n * sizeof *s->slots[i]);
    TRY(set_decay(s, d.decay, err));
    s->step = d.step;
    s->updates = d.updates;
    s->past = d.past;
    s->step_known = true;
    wire_begin_reply(reply, ST_OK, NULL);
    return ST_OK;
}

static enum status handle_rates(struct server *s, struct wire_reader *r,
                                struct wire_buffer *reply, struct error *err)
{
    struct wire_rate rates[WIRE_MAX_RATES];
    struct wire_rates all;
    wire_get_rates(r, rates, &all);
    TRY(wire_close(r, err));
    TRY(rates_set(s, &all, err));
    wire_begin_reply(reply, ST_OK, NULL);
    return ST_OK;
}

enum { MAX_PATH_BYTES = 4096 };

static enum status handle_load(struct server *s, struct wire_reader *r,
                               struct wire_buffer *reply, struct error *err)
{
    char path[MAX_PATH_BYTES];
    wire_get_text(r, path, sizeof path);
    uint64_t n = wire_get(r);
    if (n && n != s->spec.n_tables)
        return error_set(err, ST_PEER, "a load names %llu tables, here are %zu",
                         (unsigned long long)n, s->spec.n_tables);
    struct wire_load *loads = n ? mem_zeroed((size_t)n, sizeof *loads) : NULL;
    if (n && !loads) return mem_error(err, "tables to load", (size_t)n * sizeof *loads);
    for (size_t t = 0; t < n; t++) wire_get_load(r, &loads[t]);
    enum status st = wire_close(r, err);
    if (st == ST_OK) st = server_load(s, path, loads, err);
    mem_free(loads);
    if (st == ST_OK) wire_begin_reply(reply, ST_OK, NULL);
    return st;
}

static enum status handle_save(struct server *s, struct wire_reader *r,
                               struct wire_buffer *reply, struct error *err)
{
    char path[MAX_PATH_BYTES];
    wire_get_text(r, path, sizeof path);
    TRY(wire_close(r, err));
    struct wire_file file;
    TRY(server_save(s, path, &file, err));
    wire_begin_reply(reply, ST_OK, NULL);
    wire_put_file(reply, &file);
    return ST_OK;
}

static enum status handle_digest(struct server *s, struct wire_reader *r,
                                 struct wire_buffer *reply, struct error *err)
{
    TRY(wire_close(r, err));
    uint64_t low, high;
    server_digest(s, &low, &high);
    wire_begin_reply(reply, ST_OK, NULL);
    wire_put(reply, low);
    wire_put(reply, high);
    for (size_t t = 0; t < s->spec.n_tables; t++) wire_put(reply, server_rows(s, t));
    return ST_OK;
}

static enum status handle_stats(struct server *s, struct wire_reader *r,
                                struct wire_buffer *reply, struct error *err)
{
    TRY(wire_close(r, err));
    struct wire_stats stats = s->stats;
    stats.updates = s->updates;
    stats.bytes = server_bytes(s);
    for (size_t t = 0; t < s->spec.n_tables; t++) stats.rows += server_rows(s, t);
    wire_begin_reply(reply, ST_OK, NULL);
    wire_put_stats(reply, &stats);
    return ST_OK;
}

static enum status handle_bye(struct server *s, struct wire_reader *r,
                              struct wire_buffer *reply, struct error *err)
{
    (void)s;
    TRY(wire_close(r, err));
    wire_begin_reply(reply, ST_OK, NULL);
    return ST_OK;
}

typedef enum status (*handler)(struct server *, struct wire_reader *,
                               struct wire_buffer *, struct error *);

enum status server_control(struct server *s, const struct message *request,
                           struct wire_buffer *reply, struct error *err)
{
    static const handler handlers[WIRE_KIND_END] = {
        [WIRE_PULL] = handle_pull,   [WIRE_DENSE_GET] = handle_dense_get,
        [WIRE_LOAD] = handle_load,   [WIRE_DENSE_PUT] = handle_dense_put,
        [WIRE_SAVE] = handle_save,   [WIRE_DIGEST] = handle_digest,
        [WIRE_STATS] = handle_stats, [WIRE_RATES] = handle_rates,
        [WIRE_BYE] = handle_bye,
    };
    struct wire_reader r;
    TRY(wire_open(request, &r, err));
    if (!handlers[r.kind])
        return error_set(err, ST_PEER, "message of kind %d is no request", r.kind);
    struct error failure = {.text = "", .hint = ""};
    enum status st = handlers[r.kind](s, &r, reply, &failure);
    if (st != ST_OK) wire_begin_reply(reply, st, &failure);
    return wire_finish(reply, err);
}
