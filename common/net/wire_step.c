/* Step messages and answers. They are sent as pieces from where their sections
 * stand, and read in place. */
#include <string.h>

#include "common/base/mem.h"
#include "common/net/wire_impl.h"

static const unsigned char zeros[8];

void wire_pieces_close(struct wire_pieces *p)
{
    wire_buffer_close(&p->head);
    mem_free(p->v);
    *p = (struct wire_pieces){0};
}

static enum status reserve_pieces(struct wire_pieces *p, size_t n, struct error *err)
{
    p->n = 0;
    if (n <= p->capacity) return ST_OK;
    mem_free(p->v);
    p->capacity = 0;
    p->v = mem_array(n, sizeof *p->v);
    if (!p->v) return mem_error(err, "message pieces", n * sizeof *p->v);
    p->capacity = n;
    return ST_OK;
}

/* Appends a section; one that goes on where the last piece ends makes it longer. */
static void add_section(struct wire_pieces *p, const void *data, size_t bytes)
{
    const struct piece parts[2] = {{data, bytes}, {zeros, wire_padded(bytes) - bytes}};
    for (size_t i = 0; i < 2; i++) {
        if (!parts[i].bytes) continue;
        struct piece *last = p->n ? &p->v[p->n - 1] : NULL;
        if (last && (const unsigned char *)last->data + last->bytes == parts[i].data)
            last->bytes += parts[i].bytes;
        else
            p->v[p->n++] = parts[i];
    }
}

static void finish_pieces(struct wire_pieces *p, enum wire_kind kind)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < p->n; i++) bytes += p->v[i].bytes;
    wire_put_prefix(p->head.data, kind, bytes);
}

/* Fields in the order in which both sides handle them. */
#define STEP_FIELDS(F) F(step) F(flags) F(n_parts) F(n_tables) F(n_dense)
#define ANSWER_FIELDS(F) F(step) F(flags) F(updates) F(n_tables) F(n_dense)
#define PUT_FIELD(name) wire_put(head, m->name);
#define GET_FIELD(name) uint64_t name = wire_get(&r);

/* Per part: node and run lengths; then the lengths of the pulls. */
static void put_step_head(struct wire_buffer *head, const struct wire_step *m)
{
    wire_begin(head, WIRE_STEP);
    STEP_FIELDS(PUT_FIELD)
    for (size_t i = 0; i < m->n_parts; i++) {
        wire_put(head, m->parts[i].node.level);
        wire_put(head, m->parts[i].node.index);
        for (size_t t = 0; t < m->n_tables; t++) wire_put(head, m->parts[i].runs[t].n);
    }
    for (size_t t = 0; t < m->n_tables; t++) wire_put(head, m->pulls ? m->pulls[t].n : 0);
}

enum status wire_encode_step(const struct wire_step *m, const size_t *dims,
                             struct wire_pieces *out, struct error *err)
{
    size_t n_runs = m->n_parts * m->n_tables;
    TRY(reserve_pieces(out, 1 + 2 * (m->n_parts + 3 * n_runs + m->n_tables), err));
    put_step_head(&out->head, m);
    TRY(wire_finish(&out->head, err));
    add_section(out, out->head.data, out->head.bytes);
    for (size_t i = 0; i < m->n_parts; i++) {
        add_section(out, m->parts[i].dense, m->n_dense * sizeof(float));
        for (size_t t = 0; t < m->n_tables; t++) {
            const struct wire_run *run = &m->parts[i].runs[t];
            add_section(out, run->keys, run->n * sizeof *run->keys);
            add_section(out, run->counts, run->n * sizeof *run->counts);
            add_section(out, run->grads, run->n * dims[t] * sizeof *run->grads);
        }
    }
    for (size_t t = 0; m->pulls && t < m->n_tables; t++)
        add_section(out, m->pulls[t].keys, m->pulls[t].n * sizeof *m->pulls[t].keys);
    finish_pieces(out, WIRE_STEP);
    return ST_OK;
}

enum status wire_encode_answer(const struct wire_answer *m, const size_t *dims,
                               struct wire_pieces *out, struct error *err)
{
    TRY(reserve_pieces(out, 1 + 2 * (1 + m->n_tables), err));
    struct wire_buffer *head = &out->head;
    wire_begin(head, WIRE_ANSWER);
    ANSWER_FIELDS(PUT_FIELD)
    for (size_t t = 0; t < m->n_tables; t++) wire_put(head, m->n_rows[t]);
    TRY(wire_finish(head, err));
    add_section(out, head->data, head->bytes);
    add_section(out, m->dense, m->n_dense * sizeof(float));
    for (size_t t = 0; t < m->n_tables; t++)
        add_section(out, m->rows[t], m->n_rows[t] * dims[t] * sizeof(float));
    finish_pieces(out, WIRE_ANSWER);
    return ST_OK;
}

enum status wire_room_make(size_t max_parts, size_t n_tables, struct wire_room *out,
                           struct error *err)
{
    *out = (struct wire_room){.max_parts = max_parts, .n_tables = n_tables};
    out->parts = mem_array(max_parts, sizeof *out->parts);
    out->runs = mem_array(max_parts * n_tables, sizeof *out->runs);
    out->pulls = mem_array(n_tables, sizeof *out->pulls);
    out->rows = mem_array(n_tables, sizeof *out->rows);
    out->n_rows = mem_array(n_tables, sizeof *out->n_rows);
    if (out->parts && out->runs && out->pulls && out->rows && out->n_rows) return ST_OK;
    wire_room_close(out);
    return mem_error(err, "message views", max_parts * n_tables * sizeof *out->runs);
}

void wire_room_close(struct wire_room *r)
{
    mem_free(r->parts);
    mem_free(r->runs);
    mem_free(r->pulls);
    mem_free(r->rows);
    mem_free(r->n_rows);
    *r = (struct wire_room){0};
}

static enum status wrong(struct error *err, const char *what, uint64_t is,
                         uint64_t expected)
{
    return error_set(err, ST_PEER, "message has %llu %s, expected %llu",
                     (unsigned long long)is, what, (unsigned long long)expected);
}

static enum status check_kind(const struct wire_reader *r, enum wire_kind kind,
                              struct error *err)
{
    if (r->kind == kind) return ST_OK;
    return error_set(err, ST_PEER, "message of kind %d where kind %d was expected",
                     r->kind, kind);
}

static void get_step_head(struct wire_reader *r, struct wire_room *room, size_t n_parts)
{
    for (size_t i = 0; i < n_parts; i++) {
        uint64_t level = wire_get(r), index = wire_get(r);
        if (level > 31 || index > UINT32_MAX) r->bad = true;
        room->parts[i].node = (struct wire_node){(uint32_t)level, (uint32_t)index};
        room->parts[i].runs = room->runs + i * room->n_tables;
        for (size_t t = 0; t < room->n_tables; t++)
            room->runs[i * room->n_tables + t].n = (size_t)wire_get(r);
    }
    for (size_t t = 0; t < room->n_tables; t++) room->pulls[t].n = (size_t)wire_get(r);
}

static void get_step_sections(struct wire_reader *r, struct wire_room *room,
                              size_t n_parts, size_t n_dense, const size_t *dims)
{
    for (size_t i = 0; i < n_parts; i++) {
        room->parts[i].dense = wire_get_array(r, n_dense, sizeof(float));
        for (size_t t = 0; t < room->n_tables; t++) {
            struct wire_run *run = &room->runs[i * room->n_tables + t];
            run->keys = wire_get_array(r, run->n, sizeof *run->keys);
            run->counts = wire_get_array(r, run->n, sizeof *run->counts);
            run->grads = wire_get_array(r, run->n, dims[t] * sizeof *run->grads);
        }
    }
    for (size_t t = 0; t < room->n_tables; t++)
        room->pulls[t].keys =
            wire_get_array(r, room->pulls[t].n, sizeof *room->pulls[t].keys);
}

enum status wire_decode_step(const struct message *msg, const size_t *dims,
                             size_t expect_dense, struct wire_room *room,
                             struct wire_step *out, struct error *err)
{
    struct wire_reader r;
    TRY(wire_open(msg, &r, err));
    TRY(check_kind(&r, WIRE_STEP, err));
    STEP_FIELDS(GET_FIELD)
    if (n_tables != room->n_tables) return wrong(err, "tables", n_tables, room->n_tables);
    if (n_dense != expect_dense) return wrong(err, "dense floats", n_dense, expect_dense);
    if (n_parts > room->max_parts)
        return error_set(err, ST_PEER, "message has %llu parts, at most %zu are possible",
                         (unsigned long long)n_parts, room->max_parts);
    get_step_head(&r, room, (size_t)n_parts);
    get_step_sections(&r, room, (size_t)n_parts, expect_dense, dims);
    TRY(wire_close(&r, err));
    *out = (struct wire_step){.step = step,
                              .flags = (uint32_t)flags,
                              .n_parts = (size_t)n_parts,
                              .n_tables = room->n_tables,
                              .n_dense = expect_dense,
                              .parts = room->parts,
                              .pulls = room->pulls};
    return ST_OK;
}

enum status wire_decode_answer(const struct message *msg, const size_t *dims,
                               size_t expect_dense, struct wire_room *room,
                               struct wire_answer *out, struct error *err)
{
    struct wire_reader r;
    TRY(wire_open(msg, &r, err));
    if (r.kind == WIRE_REPLY) { /* the step failed at the server */
        enum status st = wire_open_reply(msg, &r, err);
        return st != ST_OK ? st : check_kind(&r, WIRE_ANSWER, err);
    }
    TRY(check_kind(&r, WIRE_ANSWER, err));
    ANSWER_FIELDS(GET_FIELD)
    if (n_tables != room->n_tables) return wrong(err, "tables", n_tables, room->n_tables);
    if (n_dense != expect_dense) return wrong(err, "dense floats", n_dense, expect_dense);
    for (size_t t = 0; t < room->n_tables; t++) room->n_rows[t] = (size_t)wire_get(&r);
    const float *dense = wire_get_array(&r, expect_dense, sizeof *dense);
    for (size_t t = 0; t < room->n_tables; t++)
        room->rows[t] = wire_get_array(&r, room->n_rows[t], dims[t] * sizeof(float));
    TRY(wire_close(&r, err));
    *out = (struct wire_answer){.step = step,
                                .flags = (uint32_t)flags,
                                .updates = updates,
                                .n_tables = room->n_tables,
                                .n_dense = expect_dense,
                                .dense = dense,
                                .rows = room->rows,
                                .n_rows = room->n_rows};
    return ST_OK;
}
