#include "common/net/wire_impl.h"

#include <string.h>

#include "common/base/mem.h"

/* Arrays are sent as they stand in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire is little-endian");

#define MAGIC UINT32_C(0x5350544d) /* "MTPS" */
enum { PREFIX_BYTES = 16 };

size_t wire_padded(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

/* ---- buffer ---- */

void wire_buffer_close(struct wire_buffer *b)
{
    mem_free(b->data);
    *b = (struct wire_buffer){0};
}

size_t wire_put_room(struct wire_buffer *b, size_t bytes)
{
    size_t need = wire_padded(bytes), at = b->bytes;
    if (b->failed) return 0;
    if (need > b->capacity - b->bytes) {
        size_t capacity = (b->bytes + need) * 3 / 2 + 256;
        unsigned char *data = mem_resize(b->data, capacity, 1);
        if (!data) {
            b->failed = true;
            b->bytes = 0;
            return 0;
        }
        b->data = data;
        b->capacity = capacity;
    }
    if (need > bytes) memset(b->data + at + bytes, 0, need - bytes);
    b->bytes += need;
    return at;
}

void wire_put_bytes(struct wire_buffer *b, const void *data, size_t bytes)
{
    size_t at = wire_put_room(b, bytes);
    if (!b->failed && bytes) memcpy(b->data + at, data, bytes);
}

void wire_put(struct wire_buffer *b, uint64_t x)
{
    wire_put_bytes(b, &x, sizeof x);
}

void wire_put_text(struct wire_buffer *b, const char *s)
{
    wire_put(b, strlen(s));
    wire_put_bytes(b, s, strlen(s));
}

/* Prefix: magic u32, version u16, kind u16, bytes of the whole message u64. */
void wire_put_prefix(unsigned char *at, enum wire_kind kind, uint64_t bytes)
{
    uint32_t magic = MAGIC;
    uint16_t version = WIRE_VERSION, k = (uint16_t)kind;
    memcpy(at, &magic, 4);
    memcpy(at + 4, &version, 2);
    memcpy(at + 6, &k, 2);
    memcpy(at + 8, &bytes, 8);
}

void wire_begin(struct wire_buffer *b, enum wire_kind kind)
{
    b->bytes = 0;
    b->failed = false;
    size_t at = wire_put_room(b, PREFIX_BYTES);
    if (!b->failed) wire_put_prefix(b->data + at, kind, 0);
}

enum status wire_finish(struct wire_buffer *b, struct error *err)
{
    if (b->failed) return mem_error(err, "message", b->capacity);
    uint64_t bytes = b->bytes;
    memcpy(b->data + 8, &bytes, 8);
    return ST_OK;
}

void wire_begin_reply(struct wire_buffer *b, enum status st, const struct error *err)
{
    wire_begin(b, WIRE_REPLY);
    wire_put(b, (uint64_t)status_exit_code(st));
    if (st == ST_OK) return;
    wire_put_text(b, err ? err->text : status_text(st));
    wire_put_text(b, err ? err->hint : "");
}

/* ---- reader ---- */

static enum status check_prefix(const struct message *m, enum wire_kind *kind,
                                struct error *err)
{
    uint32_t magic = 0;
    uint16_t version = 0, k = 0;
    uint64_t bytes = 0;
    if (m->bytes < PREFIX_BYTES)
        return error_set(err, ST_PEER, "message of %zu bytes is shorter than its prefix",
                         m->bytes);
    memcpy(&magic, m->data, 4);
    memcpy(&version, m->data + 4, 2);
    memcpy(&k, m->data + 6, 2);
    memcpy(&bytes, m->data + 8, 8);
    if (magic != MAGIC)
        return error_set(err, ST_PEER, "message does not start with MTPS");
    if (version != WIRE_VERSION)
        return error_set(err, ST_PEER, "message of protocol version %u, expected %d",
                         version, WIRE_VERSION);
    if (bytes != m->bytes)
        return error_set(err, ST_PEER, "message of %zu bytes says that it has %llu",
                         m->bytes, (unsigned long long)bytes);
    if (k < WIRE_STEP || k >= WIRE_KIND_END)
        return error_set(err, ST_PEER, "message of unknown kind %u", k);
    *kind = (enum wire_kind)k;
    return ST_OK;
}

enum status wire_open(const struct message *m, struct wire_reader *r, struct error *err)
{
    *r = (struct wire_reader){.data = m->data, .at = PREFIX_BYTES, .bytes = m->bytes};
    return check_prefix(m, &r->kind, err);
}

const void *wire_get_array(struct wire_reader *r, uint64_t n, size_t size)
{
    size_t left = r->bytes - r->at;
    if (r->bad || (n && n > left / size)) {
        r->bad = true;
        return NULL;
    }
    size_t bytes = (size_t)n * size;
    if (wire_padded(bytes) > left) {
        r->bad = true;
        return NULL;
    }
    const void *p = r->data + r->at;
    r->at += wire_padded(bytes);
    return p;
}

uint64_t wire_get(struct wire_reader *r)
{
    uint64_t x = 0;
    const void *p = wire_get_array(r, 1, sizeof x);
    if (p) memcpy(&x, p, sizeof x);
    return x;
}

bool wire_get_text(struct wire_reader *r, char *out, size_t size)
{
    uint64_t n = wire_get(r);
    const char *p = wire_get_array(r, n, 1);
    out[0] = '\0';
    if (!p || n >= size || memchr(p, 0, (size_t)n)) {
        r->bad = true;
        return false;
    }
    memcpy(out, p, (size_t)n);
    out[n] = '\0';
    return true;
}

enum status wire_close(struct wire_reader *r, struct error *err)
{
    if (r->bad)
        return error_set(err, ST_PEER, "message (kind %d, %zu bytes) is cut short",
                         r->kind, r->bytes);
    if (r->at != r->bytes)
        return error_set(err, ST_PEER,
                         "message (kind %d, %zu bytes) has %zu bytes too many", r->kind,
                         r->bytes, r->bytes - r->at);
    return ST_OK;
}

static enum status status_of_code(uint64_t code)
{
    for (int st = 0; st < ST_COUNT; st++)
        if ((uint64_t)status_exit_code((enum status)st) == code) return (enum status)st;
    return ST_INTERNAL;
}

enum status wire_open_reply(const struct message *m, struct wire_reader *r,
                            struct error *err)
{
    TRY(wire_open(m, r, err));
    if (r->kind != WIRE_REPLY)
        return error_set(err, ST_PEER, "message of kind %d where a reply was expected",
                         r->kind);
    enum status st = status_of_code(wire_get(r));
    if (st == ST_OK) return r->bad ? wire_close(r, err) : ST_OK;
    struct error e = {.text = "", .hint = ""};
    wire_get_text(r, e.text, sizeof e.text);
    wire_get_text(r, e.hint, sizeof e.hint);
    TRY(wire_close(r, err));
    if (err) *err = e;
    return st;
}

/* ---- parts of control messages ---- */

void wire_put_dense(struct wire_buffer *b, const struct wire_dense *d)
{
    wire_put(b, d->step);
    wire_put(b, d->updates);
    wire_put(b, d->past.steps);
    wire_put(b, d->past.sparse_updates);
    wire_put(b, d->past.dense_updates);
    wire_put(b, d->n);
    wire_put(b, d->n_slots);
    wire_put(b, d->decay != NULL);
    wire_put_bytes(b, d->params, d->n * sizeof *d->params);
    for (size_t i = 0; i < d->n_slots; i++)
        wire_put_bytes(b, d->slots[i], d->n * sizeof(float));
    if (d->decay) wire_put_bytes(b, d->decay, d->n);
}

void wire_get_dense(struct wire_reader *r, struct wire_dense *d)
{
    *d = (struct wire_dense){.step = wire_get(r)};
    d->updates = wire_get(r);
    d->past.steps = wire_get(r);
    d->past.sparse_updates = wire_get(r);
    d->past.dense_updates = wire_get(r);
    uint64_t n = wire_get(r), n_slots = wire_get(r), decay = wire_get(r);
    if (n_slots > 2 || decay > 1) r->bad = true;
    d->params = wire_get_array(r, n, sizeof(float));
    for (size_t i = 0; !r->bad && i < n_slots; i++)
        d->slots[i] = wire_get_array(r, n, sizeof(float));
    if (decay) d->decay = wire_get_array(r, n, 1);
    if (r->bad) return;
    d->n = (size_t)n;
    d->n_slots = (size_t)n_slots;
}

static void put_real(struct wire_buffer *b, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    wire_put(b, bits);
}

static double get_real(struct wire_reader *r)
{
    uint64_t bits = wire_get(r);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void wire_put_load(struct wire_buffer *b, const struct wire_load *l)
{
    wire_put_text(b, l->source);
    wire_put(b, l->keep_state);
    wire_put(b, l->resize);
    wire_put(b, l->n_columns);
    for (size_t j = 0; j < l->n_columns; j++) wire_put(b, l->from[j]);
    wire_put(b, l->min_count);
    wire_put(b, l->min_step);
    put_real(b, l->shrink);
    put_real(b, l->noise);
}

void wire_get_load(struct wire_reader *r, struct wire_load *l)
{
    wire_get_text(r, l->source, sizeof l->source);
    l->keep_state = wire_get(r) != 0;
    l->resize = wire_get(r) != 0;
    uint64_t n = wire_get(r);
    if (n > WIRE_MAX_COLUMNS) r->bad = true;
    l->n_columns = n > WIRE_MAX_COLUMNS ? 0 : (size_t)n;
    for (size_t j = 0; j < l->n_columns; j++) l->from[j] = (uint32_t)wire_get(r);
    l->min_count = wire_get(r);
    l->min_step = wire_get(r);
    l->shrink = get_real(r);
    l->noise = get_real(r);
}

void wire_put_rates(struct wire_buffer *b, const struct wire_rates *r)
{
    wire_put(b, r->n);
    for (size_t i = 0; i < r->n; i++) {
        put_real(b, r->rates[i].scale);
        wire_put(b, r->rates[i].from);
        wire_put(b, r->rates[i].open);
        wire_put(b, r->rates[i].opened);
    }
    wire_put(b, r->n_dense);
    wire_put_bytes(b, r->dense, r->n_dense);
    wire_put(b, r->n_tables);
    wire_put_bytes(b, r->tables, r->n_tables);
}

static void check_rates(struct wire_reader *r, const uint8_t *which, size_t n, size_t n_rates)
{
    for (size_t i = 0; which && i < n; i++)
        if (which[i] >= n_rates) r->bad = true;
}

void wire_get_rates(struct wire_reader *r, struct wire_rate *rates, struct wire_rates *out)
{
    *out = (struct wire_rates){.rates = rates};
    uint64_t n = wire_get(r);
    if (n > WIRE_MAX_RATES) r->bad = true;
    for (size_t i = 0; !r->bad && i < n; i++) {
        rates[i].scale = get_real(r);
        rates[i].from = wire_get(r);
        rates[i].open = wire_get(r);
        rates[i].opened = wire_get(r);
    }
    uint64_t n_dense = wire_get(r);
    out->dense = wire_get_array(r, n_dense, 1);
    uint64_t n_tables = wire_get(r);
    out->tables = wire_get_array(r, n_tables, 1);
    if (r->bad) return;
    out->n = (size_t)n;
    out->n_dense = (size_t)n_dense;
    out->n_tables = (size_t)n_tables;
    check_rates(r, out->dense, out->n_dense, out->n);
    check_rates(r, out->tables, out->n_tables, out->n);
}

void wire_put_file(struct wire_buffer *b, const struct wire_file *f)
{
    wire_put_text(b, f->name);
    wire_put(b, f->bytes);
    wire_put(b, f->rows);
    wire_put_text(b, f->sha256);
    wire_put(b, f->digest_low);
    wire_put(b, f->digest_high);
}

void wire_get_file(struct wire_reader *r, struct wire_file *f)
{
    wire_get_text(r, f->name, sizeof f->name);
    f->bytes = wire_get(r);
    f->rows = wire_get(r);
    wire_get_text(r, f->sha256, sizeof f->sha256);
    f->digest_low = wire_get(r);
    f->digest_high = wire_get(r);
}

#define STATS_COUNTS(F)                                                                  \
    F(steps) F(updates) F(skipped) F(keys_pulled) F(keys_pushed) F(rows) F(bytes)
#define PUT_COUNT(name) wire_put(b, s->name);
#define GET_COUNT(name) s->name = wire_get(r);

/* Times travel in whole nanoseconds. */
void wire_put_stats(struct wire_buffer *b, const struct wire_stats *s)
{
    STATS_COUNTS(PUT_COUNT)
    wire_put(b, (uint64_t)(s->busy_s * 1e9));
    wire_put(b, (uint64_t)(s->wait_s * 1e9));
}

void wire_get_stats(struct wire_reader *r, struct wire_stats *s)
{
    STATS_COUNTS(GET_COUNT)
    s->busy_s = (double)wire_get(r) * 1e-9;
    s->wait_s = (double)wire_get(r) * 1e-9;
}
