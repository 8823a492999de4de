/* Requests of a worker between steps: sent to every server, then all replies are
 * awaited. */
#include <assert.h>
#include <string.h>

#include "common/base/mem.h"
#include "worker/client_impl.h"

static enum status ask_one(struct client *c, struct link *l, struct error *err)
{
    TRY(wire_finish(&l->request, err));
    const struct message request = {.data = l->request.data, .bytes = l->request.bytes};
    if (c->port) {
        TRY(c->port->control(c->port->server, &request, &l->reply, err));
        l->got = (struct message){.data = l->reply.data, .bytes = l->reply.bytes};
        return ST_OK;
    }
    const struct piece piece = {request.data, request.bytes};
    return transport_send(c->net, l->rank, CHANNEL_CONTROL, &piece, 1, err);
}

/* Send the requests of all links and wait for all replies; the first failure is
 * reported after every reply is here. r[n_links] are opened replies. */
static enum status ask(struct client *c, const char *what, struct wire_reader *r,
                       struct error *err)
{
    for (size_t i = 0; i < c->n_links; i++) TRY(ask_one(c, &c->links[i], err));
    for (size_t i = 0; c->net && i < c->n_links; i++)
        TRY(transport_recv(c->net, c->links[i].rank, CHANNEL_CONTROL, what,
                           &c->links[i].got, err));
    for (size_t i = 0; i < c->n_links; i++) {
        enum status st = wire_open_reply(&c->links[i].got, &r[i], err);
        if (st == ST_OK) continue;
        return c->n_links > 1 ? error_wrap(err, st, "server %zu", i) : st;
    }
    return ST_OK;
}

static enum status readers(const struct client *c, struct wire_reader **out,
                           struct error *err)
{
    *out = mem_zeroed(c->n_links, sizeof **out);
    return *out ? ST_OK : mem_error(err, "replies", c->n_links * sizeof **out);
}

static enum status read_pull(const struct client *c, const struct link *l,
                             struct wire_reader *r, size_t *done, float *const *rows,
                             float *dense, struct error *err)
{
    uint64_t n_dense = wire_get(r);
    size_t expected = dense ? l->dense.end - l->dense.first : 0;
    if (n_dense != expected) r->bad = true;
    const float *d = wire_get_array(r, n_dense, sizeof *d);
    if (dense && d) memcpy(dense + l->dense.first, d, expected * sizeof *d);
    for (size_t t = 0; t < c->spec.n_tables; t++) {
        uint64_t n = wire_get(r);
        if (n != l->pulls[t].n) r->bad = true;
        const float *v = wire_get_array(r, n, c->dim[t] * sizeof *v);
        if (!v || !n) continue;
        memcpy(rows[t] + done[t] * c->dim[t], v, (size_t)n * c->dim[t] * sizeof *v);
        done[t] += (size_t)n;
    }
    return wire_close(r, err);
}

enum status client_pull(struct client *c, const struct wire_keys *keys,
                        float *const *rows, float *dense, struct error *err)
{
    for (size_t i = 0; i < c->n_links; i++) {
        struct link *l = &c->links[i];
        wire_begin(&l->request, WIRE_PULL);
        wire_put(&l->request, dense != NULL);
        wire_put(&l->request, c->spec.n_tables);
        for (size_t t = 0; t < c->spec.n_tables; t++) {
            l->pulls[t] = client_cut_keys(c, l, &keys[t]);
            wire_put(&l->request, l->pulls[t].n);
            wire_put_bytes(&l->request, l->pulls[t].keys,
                           l->pulls[t].n * sizeof(uint64_t));
        }
    }
    struct wire_reader *r;
    TRY(readers(c, &r, err));
    enum status st = ask(c, "the rows of a pull", r, err);
    memset(c->asked, 0, c->spec.n_tables * sizeof *c->asked);
    for (size_t i = 0; st == ST_OK && i < c->n_links; i++)
        st = read_pull(c, &c->links[i], &r[i], c->asked, rows, dense, err);
    mem_free(r);
    return st;
}

/* Requests without a payload that comes back. */
static enum status ask_plain(struct client *c, const char *what, struct error *err)
{
    struct wire_reader *r;
    TRY(readers(c, &r, err));
    enum status st = ask(c, what, r, err);
    for (size_t i = 0; st == ST_OK && i < c->n_links; i++) st = wire_close(&r[i], err);
    mem_free(r);
    return st;
}

static void begin_all(struct client *c, enum wire_kind kind, const char *text)
{
    for (size_t i = 0; i < c->n_links; i++) {
        wire_begin(&c->links[i].request, kind);
        if (text) wire_put_text(&c->links[i].request, text);
    }
}

enum status client_dense_put(struct client *c, const struct wire_dense *d,
                             struct error *err)
{
    assert(d->n == c->spec.n_dense);
    for (size_t i = 0; i < c->n_links; i++) {
        struct link *l = &c->links[i];
        struct wire_dense part = *d;
        part.n = l->dense.end - l->dense.first;
        part.params = d->params + l->dense.first;
        for (size_t k = 0; k < d->n_slots; k++)
            part.slots[k] = d->slots[k] + l->dense.first;
        if (d->decay) part.decay = d->decay + l->dense.first;
        wire_begin(&l->request, WIRE_DENSE_PUT);
        wire_put_dense(&l->request, &part);
    }
    return ask_plain(c, "dense parameters to be taken", err);
}

static enum status read_dense(const struct link *l, struct wire_reader *r,
                              struct wire_dense *d, float *params, float *const *slots,
                              struct error *err)
{
    wire_get_dense(r, d);
    TRY(wire_close(r, err));
    if (d->n != l->dense.end - l->dense.first)
        return error_set(err, ST_PEER, "%zu dense floats came, expected %zu", d->n,
                         l->dense.end - l->dense.first);
    memcpy(params + l->dense.first, d->params, d->n * sizeof *params);
    for (size_t k = 0; slots && k < d->n_slots; k++)
        memcpy(slots[k] + l->dense.first, d->slots[k], d->n * sizeof *params);
    return ST_OK;
}

enum status client_dense_get(struct client *c, float *params, float *const *slots,
                             uint64_t *step, uint64_t *updates, struct error *err)
{
    begin_all(c, WIRE_DENSE_GET, NULL);
    struct wire_reader *r;
    TRY(readers(c, &r, err));
    enum status st = ask(c, "the dense parameters", r, err);
    for (size_t i = 0; st == ST_OK && i < c->n_links; i++) {
        struct wire_dense d;
        st = read_dense(&c->links[i], &r[i], &d, params, slots, err);
        if (st == ST_OK && i && (d.step != *step || d.updates != *updates))
            st = error_set(err, ST_INTERNAL,
                           "server %zu stands at step %llu, server 0 at step %llu", i,
                           (unsigned long long)d.step, (unsigned long long)*step);
        *step = d.step;
        *updates = d.updates;
    }
    mem_free(r);
    return st;
}

enum status client_rates(struct client *c, const struct wire_rates *r, struct error *err)
{
    assert(r->n_dense == c->spec.n_dense && r->n_tables == c->spec.n_tables);
    for (size_t i = 0; i < c->n_links; i++) {
        struct link *l = &c->links[i];
        struct wire_rates part = *r;
        part.n_dense = l->dense.end - l->dense.first;
        part.dense = r->dense + l->dense.first;
        wire_begin(&l->request, WIRE_RATES);
        wire_put_rates(&l->request, &part);
    }
    return ask_plain(c, "rates to be taken", err);
}

enum status client_load(struct client *c, const char *ckpt_path, struct error *err)
{
    return client_load_tables(c, ckpt_path, NULL, err);
}

enum status client_load_tables(struct client *c, const char *ckpt_path,
                               const struct wire_load *loads, struct error *err)
{
    begin_all(c, WIRE_LOAD, ckpt_path);
    for (size_t i = 0; i < c->n_links; i++) {
        wire_put(&c->links[i].request, loads ? c->spec.n_tables : 0);
        for (size_t t = 0; loads && t < c->spec.n_tables; t++)
            wire_put_load(&c->links[i].request, &loads[t]);
    }
    return ask_plain(c, "rows to be loaded from a checkpoint", err);
}

static enum status read_file(struct wire_reader *r, struct ckpt_file_info *info,
                             struct error *err)
{
    struct wire_file f;
    wire_get_file(r, &f);
    TRY(wire_close(r, err));
    *info =
        (struct ckpt_file_info){.bytes = f.bytes,
                                .rows = f.rows,
                                .digest = {.low = f.digest_low, .high = f.digest_high}};
    _Static_assert(sizeof info->name == sizeof f.name, "the wire carries the whole name");
    _Static_assert(sizeof info->sha256 == sizeof f.sha256,
                   "the wire carries the whole hash");
    memcpy(info->name, f.name, sizeof info->name);
    memcpy(info->sha256, f.sha256, sizeof info->sha256);
    return ST_OK;
}

enum status client_save(struct client *c, const char *temp, struct ckpt_file_info *info,
                        struct error *err)
{
    begin_all(c, WIRE_SAVE, temp);
    struct wire_reader *r;
    TRY(readers(c, &r, err));
    enum status st = ask(c, "a server's checkpoint file", r, err);
    for (size_t i = 0; st == ST_OK && i < c->n_links; i++)
        st = read_file(&r[i], &info[i], err);
    mem_free(r);
    return st;
}

enum status client_digest(struct client *c, struct digest *d, uint64_t *rows,
                          struct error *err)
{
    *d = (struct digest){0, 0};
    for (size_t t = 0; rows && t < c->spec.n_tables; t++) rows[t] = 0;
    begin_all(c, WIRE_DIGEST, NULL);
    struct wire_reader *r;
    TRY(readers(c, &r, err));
    enum status st = ask(c, "the digest of the tables", r, err);
    for (size_t i = 0; st == ST_OK && i < c->n_links; i++) {
        struct digest part = {.low = wire_get(&r[i])};
        part.high = wire_get(&r[i]);
        digest_add(d, &part);
        for (size_t t = 0; t < c->spec.n_tables; t++) {
            uint64_t n = wire_get(&r[i]);
            if (rows) rows[t] += n;
        }
        st = wire_close(&r[i], err);
    }
    mem_free(r);
    return st;
}

static void add_stats(struct wire_stats *sum, const struct wire_stats *s)
{
    sum->steps = s->steps > sum->steps ? s->steps : sum->steps;
    sum->updates = s->updates > sum->updates ? s->updates : sum->updates;
    sum->skipped = s->skipped > sum->skipped ? s->skipped : sum->skipped;
    sum->keys_pulled += s->keys_pulled;
    sum->keys_pushed += s->keys_pushed;
    sum->rows += s->rows;
    sum->bytes += s->bytes;
    sum->busy_s = s->busy_s > sum->busy_s ? s->busy_s : sum->busy_s;
    sum->wait_s = s->wait_s > sum->wait_s ? s->wait_s : sum->wait_s;
}

enum status client_stats(struct client *c, struct wire_stats *s, struct error *err)
{
    *s = (struct wire_stats){0};
    begin_all(c, WIRE_STATS, NULL);
    struct wire_reader *r;
    TRY(readers(c, &r, err));
    enum status st = ask(c, "the statistics of a server", r, err);
    for (size_t i = 0; st == ST_OK && i < c->n_links; i++) {
        struct wire_stats part;
        wire_get_stats(&r[i], &part);
        st = wire_close(&r[i], err);
        add_stats(s, &part);
    }
    mem_free(r);
    return st;
}

enum status client_bye(struct client *c, struct error *err)
{
    begin_all(c, WIRE_BYE, NULL);
    return ask_plain(c, "goodbye", err);
}
