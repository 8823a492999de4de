/* Collectives over any transport: everyone sends to rank 0, which answers all, so
 * that an error names the very rank that is missing. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/net/transport_impl.h"

static enum status send_bytes(struct transport *t, int peer, const void *data,
                              size_t bytes, struct error *err)
{
    const struct piece piece = {data, bytes};
    return transport_send_on(t, peer, CHANNEL_GROUP, &piece, 1, err);
}

enum status transport_barrier(struct transport *t, const char *what, struct error *err)
{
    struct message m;
    if (t->rank) {
        TRY(send_bytes(t, 0, "", 1, err));
        return transport_recv_on(t, 0, CHANNEL_GROUP, what, &m, err);
    }
    for (int r = 1; r < t->size; r++)
        TRY(transport_recv_on(t, r, CHANNEL_GROUP, what, &m, err));
    for (int r = 1; r < t->size; r++) TRY(send_bytes(t, r, "", 1, err));
    return ST_OK;
}

/* A status as bytes that any version understands: exit code, text, hint. */
struct verdict {
    unsigned char code;
    char text[sizeof((struct error *)0)->text + sizeof((struct error *)0)->hint];
    size_t bytes;
};

static void verdict_make(struct verdict *v, enum status st, const struct error *err)
{
    v->code = (unsigned char)status_exit_code(st);
    const char *text = st == ST_OK || !err ? "" : err->text;
    const char *hint = st == ST_OK || !err ? "" : err->hint;
    size_t n = strlen(text) + 1, m = strlen(hint) + 1;
    memcpy(v->text, text, n);
    memcpy(v->text + n, hint, m);
    v->bytes = n + m;
}

static enum status verdict_send(struct transport *t, int peer, const struct verdict *v,
                                struct error *err)
{
    const struct piece pieces[2] = {{&v->code, 1}, {v->text, v->bytes}};
    return transport_send_on(t, peer, CHANNEL_GROUP, pieces, 2, err);
}

static enum status verdict_recv(struct transport *t, int peer, const char *what,
                                struct verdict *v, struct error *err)
{
    struct message m;
    TRY(transport_recv_on(t, peer, CHANNEL_GROUP, what, &m, err));
    v->bytes = m.bytes - 1;
    if (m.bytes < 3 || v->bytes > sizeof v->text || m.data[m.bytes - 1])
        return error_set(err, ST_PEER, "rank %d sent something else than a status", peer);
    v->code = m.data[0];
    memcpy(v->text, m.data + 1, v->bytes);
    return ST_OK;
}

static enum status verdict_open(const struct verdict *v, struct error *err)
{
    enum status st = ST_OK;
    while (st < ST_COUNT && status_exit_code(st) != v->code) st++;
    if (st == ST_OK) return st;
    if (st == ST_COUNT) st = ST_INTERNAL;
    size_t n = strlen(v->text) + 1;
    error_set(err, st, "%s", v->text);
    return n < v->bytes && v->text[n] ? error_hint(err, st, "%s", v->text + n) : st;
}

/* Rank 0's verdict to all. */
static enum status verdict_share(struct transport *t, struct verdict *v, const char *what,
                                 struct error *err)
{
    if (t->rank) TRY(verdict_recv(t, 0, what, v, err));
    for (int r = 1; !t->rank && r < t->size; r++) TRY(verdict_send(t, r, v, err));
    if (!t->rank) TRY(transport_flush(t, err));
    return verdict_open(v, err);
}

enum status transport_agree(struct transport *t, enum status mine, const char *what,
                            struct error *err)
{
    struct verdict worst, other;
    verdict_make(&worst, mine, err);
    if (t->rank) {
        TRY(verdict_send(t, 0, &worst, err));
        TRY(transport_flush(t, err));
    }
    for (int r = 1; !t->rank && r < t->size; r++) {
        TRY(verdict_recv(t, r, what, &other, err));
        if (other.code > worst.code) worst = other;
    }
    return verdict_share(t, &worst, what, err);
}

enum status transport_bcast(struct transport *t, int root, void **data, size_t *bytes,
                            struct error *err)
{
    if (t->rank == root) {
        for (int r = 0; r < t->size; r++)
            if (r != root) TRY(send_bytes(t, r, *data, *bytes, err));
        return transport_flush(t, err);
    }
    struct message m;
    TRY(transport_recv_on(t, root, CHANNEL_GROUP, "data for all ranks", &m, err));
    *data = mem_alloc(m.bytes);
    if (!*data) return mem_error(err, "data for all ranks", m.bytes);
    memcpy(*data, m.data, m.bytes);
    *bytes = m.bytes;
    return ST_OK;
}

/* ---- handshake ---- */

enum { HANDSHAKE_BYTES = 4096 };

/* Lines "what\0value\0", protocol first, so that other versions read them. */
static size_t handshake_text(const struct handshake_item *items, size_t n, char *out)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t a = strlen(items[i].what) + 1, b = strlen(items[i].value) + 1;
        assert(at + a + b <= HANDSHAKE_BYTES);
        memcpy(out + at, items[i].what, a);
        memcpy(out + at + a, items[i].value, b);
        at += a + b;
    }
    return at;
}

/* First item that differs, or NULL; *here and *there get the values. */
static const char *first_difference(const char *mine, size_t n_mine, const char *other,
                                    size_t n_other, const char **here, const char **there)
{
    size_t at = 0;
    *there = *here = "?";
    while (at < n_mine) {
        const char *what = mine + at, *value = what + strlen(what) + 1;
        size_t next = at + strlen(what) + strlen(value) + 2;
        *here = value;
        if (next > n_other || memcmp(mine + at, other + at, next - at)) {
            size_t skip = (size_t)(value - mine);
            if (skip < n_other && !memcmp(mine + at, other + at, skip - at))
                *there = other + skip;
            return what;
        }
        at = next;
    }
    return n_other == n_mine ? NULL : "number of items";
}

static enum status compare_all(struct transport *t, const char *text, size_t n,
                               struct verdict *v, struct error *err)
{
    char ranks[1024] = "", what[64] = "", values[300] = "";
    for (int r = 1; r < t->size; r++) {
        struct message m;
        TRY(transport_recv_on(t, r, CHANNEL_GROUP, "its handshake", &m, err));
        const char *here, *there, *other = (const char *)m.data;
        bool whole = m.bytes && !other[m.bytes - 1];
        const char *item =
            first_difference(text, n, other, whole ? m.bytes : 0, &here, &there);
        if (!item) continue;
        size_t at = strlen(ranks);
        snprintf(ranks + at, sizeof ranks - at, "%s%d (host %.64s)", at ? ", " : "", r,
                 t->peers[r].host);
        if (*what) continue;
        snprintf(what, sizeof what, "%s", item);
        snprintf(values, sizeof values, "%.120s on rank 0, %.120s on rank %d", here,
                 there, r);
    }
    struct error e;
    enum status st = ST_OK;
    if (*what) {
        st = error_set(&e, ST_USAGE,
                       "ranks do not run the same job: %s differs on rank %s: %s", what,
                       ranks, values);
        error_hint(&e, st, "start all ranks with one binary and one configuration");
    }
    verdict_make(v, st, &e);
    return ST_OK;
}

enum status transport_handshake(struct transport *t, const struct handshake_item *items,
                                size_t n, struct error *err)
{
    char text[HANDSHAKE_BYTES], version[16];
    snprintf(version, sizeof version, "%d", TRANSPORT_PROTOCOL);
    uint16_t one = 1;
    unsigned char low;
    memcpy(&low, &one, 1);
    const struct handshake_item own[2] = {{"protocol", version},
                                          {"endianness", low ? "little" : "big"}};
    size_t bytes = handshake_text(own, 2, text);
    size_t left = HANDSHAKE_BYTES - bytes, need = 0;
    for (size_t i = 0; i < n; i++)
        need += strlen(items[i].what) + strlen(items[i].value) + 2;
    if (need > left)
        return error_set(err, ST_INTERNAL, "handshake texts of %zu bytes", need);
    bytes += handshake_text(items, n, text + bytes);
    struct verdict v;
    if (t->rank) {
        TRY(send_bytes(t, 0, text, bytes, err));
        TRY(transport_flush(t, err));
    } else {
        TRY(compare_all(t, text, bytes, &v, err));
    }
    return verdict_share(t, &v, "the handshake", err);
}
