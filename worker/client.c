#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "worker/client_impl.h"

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
    if (!c->rows || !c->rows_floats)
        return mem_error(err, "client", c->spec.n_tables * 8);
    if (c->n_links == 1) return ST_OK;
    c->dense = mem_zeroed(c->spec.n_dense, sizeof *c->dense);
    return c->dense
               ? ST_OK
               : mem_error(err, "dense parameters", c->spec.n_dense * sizeof *c->dense);
}

static enum status fill(struct client *c, const struct client_spec *spec, size_t n_links,
                        struct error *err)
{
    c->spec = *spec;
    c->spec.dim = NULL;
    c->dim = mem_array(spec->n_tables, sizeof *c->dim);
    c->asked = mem_zeroed(spec->n_tables, sizeof *c->asked);
    c->links = mem_zeroed(n_links, sizeof *c->links);
    if (!c->dim || !c->asked || !c->links)
        return mem_error(err, "client", n_links * sizeof *c->links);
    memcpy(c->dim, spec->dim, spec->n_tables * sizeof *c->dim);
    c->n_links = n_links;
    for (size_t i = 0; i < n_links; i++) TRY(make_link(c, i, err));
    return make_joint(c, err);
}

static enum status create(const struct client_spec *spec, size_t n_links,
                          struct client **out, struct error *err)
{
    struct client *c = mem_zeroed(1, sizeof *c);
    if (!c) return mem_error(err, "client", sizeof *c);
    enum status st = fill(c, spec, n_links, err);
    if (st == ST_OK)
        *out = c;
    else
        client_destroy(c);
    return st;
}

enum status client_create_local(const struct client_spec *spec,
                                const struct server_port *port, struct client **out,
                                struct error *err)
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
static struct range cut(const struct client *c, const struct link *l,
                        const uint64_t *keys, size_t n)
{
    if (c->n_links == 1) return (struct range){0, n};
    return (struct range){partition_lower(keys, n, l->buckets.first),
                          partition_lower(keys, n, l->buckets.end)};
}

struct wire_keys client_cut_keys(const struct client *c, const struct link *l,
                                 const struct wire_keys *k)
{
    struct range r = cut(c, l, k->keys, k->n);
    return (struct wire_keys){.n = r.end - r.first, .keys = k->keys + r.first};
}

static void cut_part(const struct client *c, struct link *l, size_t i,
                     const struct wire_part *p)
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
    l->parts[i] = (struct wire_part){
        .node = p->node, .dense = p->dense + l->dense.first, .runs = runs};
}

static struct wire_step cut_step(const struct client *c, struct link *l,
                                 const struct wire_step *m)
{
    struct wire_step out = *m;
    out.n_parts = m->flags & WIRE_NO_PUSH ? 0 : m->n_parts;
    out.n_dense = l->dense.end - l->dense.first;
    out.parts = l->parts;
    out.pulls = m->flags & WIRE_NO_PULL || !m->pulls ? NULL : l->pulls;
    for (size_t i = 0; i < out.n_parts; i++) cut_part(c, l, i, &m->parts[i]);
    for (size_t t = 0; out.pulls && t < m->n_tables; t++)
        l->pulls[t] = client_cut_keys(c, l, &m->pulls[t]);
    return out;
}

/* ---- steps ---- */

enum status client_step_begin(struct client *c, const struct wire_step *m,
                              struct error *err)
{
    assert(!c->stepping && m->n_tables == c->spec.n_tables &&
           m->n_dense == c->spec.n_dense);
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
            enum status st = transport_send(c->net, l->rank, CHANNEL_STEP, l->pieces.v,
                                            l->pieces.n, err);
            if (st != ST_OK)
                return error_wrap(err, st, "message of step %llu", (unsigned long long)m->step);
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
    snprintf(what, sizeof what, "the answer of step %llu",
             (unsigned long long)c->step.step);
    struct message m;
    TRY(transport_recv(c->net, l->rank, CHANNEL_STEP, what, &m, err));
    enum status st = wire_decode_answer(&m, c->dim, l->dense.end - l->dense.first,
                                        &l->room, &l->answer, err);
    if (st != ST_OK) return error_wrap(err, st, "server %zu", i);
    if (l->answer.step == c->step.step) return ST_OK;
    return error_set(err, ST_PEER, "server %zu answered step %llu, asked was step %llu",
                     i, (unsigned long long)l->answer.step,
                     (unsigned long long)c->step.step);
}

static enum status check_rows(const struct client *c, struct error *err)
{
    for (size_t t = 0; t < c->spec.n_tables; t++) {
        size_t n = 0;
        for (size_t i = 0; i < c->n_links; i++) n += c->links[i].answer.n_rows[t];
        if (n != c->asked[t])
            return error_set(err, ST_PEER,
                             "%zu rows of table %zu were asked for, %zu came",
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
        memcpy(c->dense + l->dense.first, l->answer.dense,
               l->answer.n_dense * sizeof *c->dense);
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
