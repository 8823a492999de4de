/* Messages between ranks: whatever a peer sends is decoded inside its bytes, or refused. */
#include <stdlib.h>
#include <string.h>

#include "common/net/wire.h"
#include "tests/fuzz/fuzz.h"

enum { TABLES = 2, PARTS = 4, DENSE = 5 };
static const size_t dims[TABLES] = {3, 1};

/* Everything that a view points to is read. */
static uint64_t sum(const void *data, size_t bytes)
{
    uint64_t total = 0;
    for (size_t i = 0; i < bytes; i++) total += ((const unsigned char *)data)[i];
    return total;
}

static volatile uint64_t sink;

static void decode_step(const struct message *m, struct wire_room *room)
{
    struct wire_step s;
    struct error err;
    if (wire_decode_step(m, dims, DENSE, room, &s, &err) != ST_OK) return;
    FUZZ_CHECK(s.n_parts <= PARTS && s.n_tables == TABLES);
    for (size_t t = 0; t < TABLES && s.pulls; t++) sink += sum(s.pulls[t].keys, s.pulls[t].n * 8);
    for (size_t p = 0; p < s.n_parts; p++) {
        sink += sum(s.parts[p].dense, DENSE * sizeof(float));
        for (size_t t = 0; t < TABLES; t++) {
            const struct wire_run *r = &s.parts[p].runs[t];
            sink += sum(r->keys, r->n * 8) + sum(r->counts, r->n * 4) + sum(r->grads, r->n * dims[t] * 4);
        }
    }
}

static void decode_answer(const struct message *m, struct wire_room *room)
{
    struct wire_answer a;
    struct error err;
    if (wire_decode_answer(m, dims, DENSE, room, &a, &err) != ST_OK) return;
    sink += sum(a.dense, DENSE * sizeof(float));
    for (size_t t = 0; t < a.n_tables; t++) sink += sum(a.rows[t], a.n_rows[t] * dims[t] * 4);
}

static void decode_dense(struct wire_reader *r)
{
    struct wire_dense d;
    wire_get_dense(r, &d);
    if (r->bad) return;
    sink += sum(d.params, d.n * sizeof(float));
    for (size_t i = 0; i < d.n_slots; i++) sink += sum(d.slots[i], d.n * sizeof(float));
    if (d.decay) sink += sum(d.decay, d.n);
}

static void decode_rates(struct wire_reader *r)
{
    static struct wire_rate groups[WIRE_MAX_RATES];
    struct wire_rates rates;
    wire_get_rates(r, groups, &rates);
    if (r->bad) return;
    FUZZ_CHECK(rates.n <= WIRE_MAX_RATES);
    sink += sum(rates.dense, rates.n_dense) + sum(rates.tables, rates.n_tables);
}

static void decode_control(const struct message *m)
{
    static struct wire_load load;
    struct wire_file file;
    struct wire_reader r, copy;
    struct error err;
    char text[64];
    if (wire_open(m, &r, &err) == ST_OK) {
        copy = r, decode_dense(&copy);
        copy = r, decode_rates(&copy);
        copy = r, wire_get_load(&copy, &load);
        copy = r, wire_get_file(&copy, &file);
        copy = r;
        if (wire_get_text(&copy, text, sizeof text)) FUZZ_CHECK(strlen(text) < sizeof text);
        sink += wire_close(&r, &err);
    }
    sink += wire_open_reply(m, &r, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    unsigned char *exact = aligned_alloc(64, (n + 63) / 64 * 64 + 64);
    struct wire_room room;
    struct error err;
    FUZZ_CHECK(exact && wire_room_make(PARTS, TABLES, &room, &err) == ST_OK);
    if (n) memcpy(exact, data, n);
    struct message m = {exact, n};
    decode_step(&m, &room);
    decode_answer(&m, &room);
    decode_control(&m);
    wire_room_close(&room);
    free(exact);
    return 0;
}
