#include "worker/client.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/partition.h"

/* One server. */
struct link {
    int rank; /* -1: in this process */
    struct range buckets, dense;
    struct wire_part *parts; /* [max_parts] cut to this server */
    struct wire_run *runs;   /* [max_parts, n_tables] */
    struct wire_keys *pulls; /* [n_tables] */
    struct wire_pieces pieces;
    struct wire_room room;
    struct wire_answer answer;
    struct wire_buffer request, reply; /* control; reply only when local */
    struct message got;
};

struct client {
    struct client_spec spec;
    size_t *dim;
    const struct server_port *port; /* local */
    struct transport *net;          /* remote */
    struct link *links;
    size_t n_links;

    struct wire_step step; /* as begun */
    bool stepping;
    size_t *asked; /* [n_tables] rows of the step */
    /* Answers of several servers side by side. */
    float *dense;        /* [P] */
    float **rows;        /* [n_tables] */
    size_t *rows_floats; /* [n_tables] capacity */
};

/* ---- create ---- */

static enum status make_link(struct client *c, size_t i, struct error *err)
{
    struct link *l = &c->links[i];
    size_t parts = c->spec.max_parts, tables = c->spec.n_tables;
    l->buckets = partition_buckets(i, c->n_links);
    l->dense = partition_dense(c->spec.n_dense, i, c->n_links);
    l->parts = mem_array(parts, sizeof *l->parts);
    l->runs = mem_array(parts * tables, sizeof *l->runs);
    l->pulls = mem_array(tables, sizeof *l->pulls);
    if (!l->parts || !l->runs || !l->pulls)
        return mem_error(err, "client link", parts * tables * sizeof *l->runs);
    return wire_room_make(1, tables, &l->room, err);
}

static enum status make_joint(struct client *c, struct error *err)
{
    c->rows = mem_zeroed(c->spec.n_tables, sizeof *c->rows);
    c->rows_floats = mem_zeroed(c->spec.n_tables, sizeof *c->rows_floats);
    if (!c->rows || !c->rows_floats) return mem_error(err, "client", c->spec.n_tables * 8);
    if (c->n_links == 1) return ST_OK;
    c->dense = mem_zeroed(c->spec.n_dense, sizeof *c->dense);
    return c->dense ? ST_OK : mem_error(err, "dense parameters", c->spec.n_dense * sizeof *c->dense);
}

static enum status fill(struct client *c, const struct client_spec *spec, size_t n_links,
                        struct error *err)
{
    c->spec = *spec;
    c->spec.dim = NULL;
    c->dim = mem_array(spec->n_tables, sizeof *c->dim);
    c->asked = mem_zeroed(spec->n_tables, sizeof *c->asked);
    c->links = mem_zeroed(n_links, sizeof *c->links);
    if (!c->dim || !c->asked || !c->links) return mem_error(err, "client", n_links * sizeof *c->links);
    memcpy(c->dim, spec->dim, spec->n_tables * sizeof *c->dim);
    c->n_links = n_links;
    for (size_t i = 0; i < n_links; i++) TRY(make_link(c, i, err));
    return make_joint(c, err);
}

static enum status create(const struct client_spec *spec, size_t n_links, struct client **out,
                          struct error *err)
{
    struct client *c = mem_zeroed(1, sizeof *c);
    if (!c) return mem_error(err, "client", sizeof *c);
    enum status st = fill(c, spec, n_links, err);
    if (st == ST_OK) *out = c;
    else client_destroy(c);
    return st;
}

enum status client_create_local(const struct client_spec *spec, const struct server_port *port,
                                struct client **out, struct error *err)
{
    TRY(create(spec, 1, out, err));
    (*out)->port = port;
    (*out)->links[0].rank = -1;
    return ST_OK;
}

enum status client_create_remote(const struct client_spec *spec, struct transport *t,
                                 const struct topology *topology, struct client **out,
                                 struct error *err)
{
    TRY(create(spec, topology->n_servers, out, err));
    (*out)->net = t;
    for (size_t i = 0; i < topology->n_servers; i++)
        (*out)->links[i].rank = topology->server_rank[i];
    return ST_OK;
}

static void close_link(struct link *l)
{
    mem_free(l->parts);
    mem_free(l->runs);
    mem_free(l->pulls);
    wire_pieces_close(&l->pieces);
    wire_room_close(&l->room);
    wire_buffer_close(&l->request);
    wire_buffer_close(&l->reply);
}

void client_destroy(struct client *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->n_links; i++) close_link(&c->links[i]);
    for (size_t t = 0; c->rows && t < c->spec.n_tables; t++) mem_free(c->rows[t]);
    mem_free(c->links);
    mem_free(c->dim);
    mem_free(c->asked);
    mem_free(c->dense);
    mem_free(c->rows);
    mem_free(c->rows_floats);
    mem_free(c);
}

size_t client_n_servers(const struct client *c)
{
    return c->n_links;
}

/* ---- cutting ---- */

/* Places [first, end) of keys that this link's server owns. */
static struct range cut(const struct client *c, const struct link *l, const uint64_t *keys, size_t n)
{
    if (c->n_links == 1) return (struct range){0, n};
    return (struct range){partition_lower(keys, n, l->buckets.first),
                          partition_lower(keys, n, l->buckets.end)};
}

static struct wire_keys cut_keys(const struct client *c, const struct link *l,
                                 const struct wire_keys *k)
{
    struct range r = cut(c, l, k->keys, k->n);
    return (struct wire_keys){.n = r.end - r.first, .keys = k->keys + r.first};
}

static void cut_part(const struct client *c, struct link *l, size_t i, const struct wire_part *p)
{
    size_t n_tables = c->spec.n_tables;
    struct wire_run *runs = l->runs + i * n_tables;
    for (size_t t = 0; t < n_tables; t++) {
        const struct wire_run *whole = &p->runs[t];
        struct range r = cut(c, l, whole->keys, whole->n);
        runs[t] = (struct wire_run){.n = r.end - r.first,
                                    .keys = whole->keys + r.first,
                                    .counts = whole->counts + r.first,
                                    .grads = whole->grads + r.first * c->dim[t]};
    }
    l->parts[i] = (struct wire_part){.node = p->node, .dense = p->dense + l->dense.first, .runs = runs};
}

static struct wire_step cut_step(const struct client *c, struct link *l, const struct wire_step *m)
{
    struct wire_step out = *m;
    out.n_parts = m->flags & WIRE_NO_PUSH ? 0 : m->n_parts;
    out.n_dense = l->dense.end - l->dense.first;
    out.parts = l->parts;
    out.pulls = m->flags & WIRE_NO_PULL || !m->pulls ? NULL : l->pulls;
    for (size_t i = 0; i < out.n_parts; i++) cut_part(c, l, i, &m->parts[i]);
    for (size_t t = 0; out.pulls && t < m->n_tables; t++) l->pulls[t] = cut_keys(c, l, &m->pulls[t]);
    return out;
}

/* ---- steps ---- */

enum status client_step_begin(struct client *c, const struct wire_step *m, struct error *err)
{
    assert(!c->stepping && m->n_tables == c->spec.n_tables && m->n_dense == c->spec.n_dense);
    assert(m->flags & WIRE_NO_PUSH || m->n_parts <= c->spec.max_parts);
    c->step = *m;
    bool pull = m->pulls && !(m->flags & WIRE_NO_PULL);
    for (size_t t = 0; t < m->n_tables; t++) c->asked[t] = pull ? m->pulls[t].n : 0;
    for (size_t i = 0; i < c->n_links; i++) {
        struct link *l = &c->links[i];
        struct wire_step part = cut_step(c, l, m);
        if (c->port) {
            TRY(c->port->accept(c->port->server, c->spec.worker, &part, err));
        } else {
            TRY(wire_encode_step(&part, c->dim, &l->pieces, err));
            TRY(transport_send(c->net, l->rank, CHANNEL_STEP, l->pieces.v, l->pieces.n, err));
        }
    }
    c->stepping = true;
    return ST_OK;
}

size_t client_shards(const struct client *c)
{
    return c->port ? c->port->n_shards : 0;
}

bool client_clips(const struct client *c)
{
    return c->port && c->port->clips;
}

void client_join(struct client *c, size_t shard)
{
    c->port->join(c->port->server, shard);
}

void client_norm(struct client *c)
{
    c->port->norm(c->port->server);
}

void client_apply(struct client *c, size_t shard)
{
    c->port->apply(c->port->server, shard);
}

bool client_step_ready(struct client *c)
{
    for (size_t i = 0; c->net && i < c->n_links; i++)
        if (!transport_ready(c->net, c->links[i].rank, CHANNEL_STEP)) return false;
    return true;
}

static enum status receive(struct client *c, struct link *l, size_t i, struct error *err)
{
    if (c->port) return c->port->answer(c->port->server, c->spec.worker, &l->answer, err);
    char what[64];
    snprintf(what, sizeof what, "the answer of step %llu", (unsigned long long)c->step.step);
    struct message m;
    TRY(transport_recv(c->net, l->rank, CHANNEL_STEP, what, &m, err));
    enum status st = wire_decode_answer(&m, c->dim, l->dense.end - l->dense.first, &l->room,
                                        &l->answer, err);
    if (st != ST_OK) return error_wrap(err, st, "server %zu", i);
    if (l->answer.step == c->step.step) return ST_OK;
    return error_set(err, ST_PEER, "server %zu answered step %llu, asked was step %llu", i,
                     (unsigned long long)l->answer.step, (unsigned long long)c->step.step);
}

static enum status check_rows(const struct client *c, struct error *err)
{
    for (size_t t = 0; t < c->spec.n_tables; t++) {
        size_t n = 0;
        for (size_t i = 0; i < c->n_links; i++) n += c->links[i].answer.n_rows[t];
        if (n != c->asked[t])
            return error_set(err, ST_PEER, "%zu rows of table %zu were asked for, %zu came",
                             c->asked[t], t, n);
    }
    return ST_OK;
}

static enum status make_room(struct client *c, size_t t, struct error *err)
{
    size_t floats = c->asked[t] * c->dim[t];
    if (floats <= c->rows_floats[t]) return ST_OK;
    size_t capacity = floats + floats / 2;
    mem_free(c->rows[t]);
    c->rows_floats[t] = 0;
    c->rows[t] = mem_array(capacity, sizeof **c->rows);
    if (!c->rows[t]) return mem_error(err, "pulled rows", capacity * sizeof **c->rows);
    c->rows_floats[t] = capacity;
    return ST_OK;
}

/* Answers of several servers, laid end to end. */
static enum status lay_out(struct client *c, struct error *err)
{
    for (size_t i = 0; i < c->n_links; i++) {
        const struct link *l = &c->links[i];
        memcpy(c->dense + l->dense.first, l->answer.dense, l->answer.n_dense * sizeof *c->dense);
    }
    for (size_t t = 0; t < c->spec.n_tables; t++) {
        TRY(make_room(c, t, err));
        float *at = c->rows[t];
        for (size_t i = 0; i < c->n_links; i++) {
            size_t n = c->links[i].answer.n_rows[t] * c->dim[t];
            if (n) memcpy(at, c->links[i].answer.rows[t], n * sizeof *at);
            at += n;
        }
    }
    return ST_OK;
}

enum status client_step_end(struct client *c, struct wire_answer *out, struct error *err)
{
    assert(c->stepping);
    c->stepping = false;
    uint32_t flags = 0;
    for (size_t i = 0; i < c->n_links; i++) {
        TRY(receive(c, &c->links[i], i, err));
        flags |= c->links[i].answer.flags;
    }
    TRY(check_rows(c, err));
    *out = c->links[0].answer;
    out->flags = flags;
    if (c->n_links == 1) return ST_OK;
    TRY(lay_out(c, err));
    out->n_dense = c->spec.n_dense;
    out->dense = c->dense;
    out->rows = (const float *const *)c->rows;
    out->n_rows = c->asked;
    return ST_OK;
}

/* ---- control ---- */

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
static enum status ask(struct client *c, const char *what, struct wire_reader *r, struct error *err)
{
    for (size_t i = 0; i < c->n_links; i++) TRY(ask_one(c, &c->links[i], err));
    for (size_t i = 0; c->net && i < c->n_links; i++)
        TRY(transport_recv(c->net, c->links[i].rank, CHANNEL_CONTROL, what, &c->links[i].got, err));
    for (size_t i = 0; i < c->n_links; i++) {
        enum status st = wire_open_reply(&c->links[i].got, &r[i], err);
        if (st == ST_OK) continue;
        return c->n_links > 1 ? error_wrap(err, st, "server %zu", i) : st;
    }
    return ST_OK;
}

static enum status readers(const struct client *c, struct wire_reader **out, struct error *err)
{
    *out = mem_zeroed(c->n_links, sizeof **out);
    return *out ? ST_OK : mem_error(err, "replies", c->n_links * sizeof **out);
}

static enum status read_pull(const struct client *c, const struct link *l, struct wire_reader *r,
                             size_t *done, float *const *rows, float *dense, struct error *err)
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

enum status client_pull(struct client *c, const struct wire_keys *keys, float *const *rows,
                        float *dense, struct error *err)
{
    for (size_t i = 0; i < c->n_links; i++) {
        struct link *l = &c->links[i];
        wire_begin(&l->request, WIRE_PULL);
        wire_put(&l->request, dense != NULL);
        wire_put(&l->request, c->spec.n_tables);
        for (size_t t = 0; t < c->spec.n_tables; t++) {
            l->pulls[t] = cut_keys(c, l, &keys[t]);
            wire_put(&l->request, l->pulls[t].n);
            wire_put_bytes(&l->request, l->pulls[t].keys, l->pulls[t].n * sizeof(uint64_t));
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

enum status client_dense_put(struct client *c, const struct wire_dense *d, struct error *err)
{
    assert(d->n == c->spec.n_dense);
    for (size_t i = 0; i < c->n_links; i++) {
        struct link *l = &c->links[i];
        struct wire_dense part = *d;
        part.n = l->dense.end - l->dense.first;
        part.params = d->params + l->dense.first;
        for (size_t k = 0; k < d->n_slots; k++) part.slots[k] = d->slots[k] + l->dense.first;
        if (d->decay) part.decay = d->decay + l->dense.first;
        wire_begin(&l->request, WIRE_DENSE_PUT);
        wire_put_dense(&l->request, &part);
    }
    return ask_plain(c, "dense parameters to be taken", err);
}

static enum status read_dense(const struct link *l, struct wire_reader *r, struct wire_dense *d,
                              float *params, float *const *slots, struct error *err)
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

enum status client_dense_get(struct client *c, float *params, float *const *slots, uint64_t *step,
                             uint64_t *updates, struct error *err)
{
    begin_all(c, WIRE_DENSE_GET, NULL);
    struct wire_reader *r;
    TRY(readers(c, &r, err));
    enum status st = ask(c, "the dense parameters", r, err);
    for (size_t i = 0; st == ST_OK && i < c->n_links; i++) {
        struct wire_dense d;
        st = read_dense(&c->links[i], &r[i], &d, params, slots, err);
        if (st == ST_OK && i && (d.step != *step || d.updates != *updates))
            st = error_set(err, ST_INTERNAL, "server %zu stands at step %llu, server 0 at step %llu",
                           i, (unsigned long long)d.step, (unsigned long long)*step);
        *step = d.step;
        *updates = d.updates;
    }
    mem_free(r);
    return st;
}

enum status client_load(struct client *c, const char *ckpt_path, struct error *err)
{
    begin_all(c, WIRE_LOAD, ckpt_path);
    return ask_plain(c, "rows to be loaded from a checkpoint", err);
}

static enum status read_file(struct wire_reader *r, struct ckpt_file_info *info, struct error *err)
{
    struct wire_file f;
    wire_get_file(r, &f);
    TRY(wire_close(r, err));
    *info = (struct ckpt_file_info){.bytes = f.bytes,
                                    .rows = f.rows,
                                    .digest = {.low = f.digest_low, .high = f.digest_high}};
    _Static_assert(sizeof info->name == sizeof f.name, "the wire carries the whole name");
    _Static_assert(sizeof info->sha256 == sizeof f.sha256, "the wire carries the whole hash");
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
    for (size_t i = 0; st == ST_OK && i < c->n_links; i++) st = read_file(&r[i], &info[i], err);
    mem_free(r);
    return st;
}

enum status client_digest(struct client *c, struct digest *d, uint64_t *rows, struct error *err)
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
