#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/net/wire.h"

enum { TABLES = 2, DENSE = 5 };
static const size_t dims[TABLES] = {3, 1};
static const uint64_t keys[4] = {11, 22, 33, 44};
static const uint32_t counts[4] = {1, 2, 3, 4};
static const float floats[16] = {1, -2,  3,  -4,  5,  -6,  7,  -8,
                                 9, -10, 11, -12, 13, -14, 15, -16};

/* A message with two parts: the second has an empty run, the third table entry an
 * odd number of floats. */
struct sample {
    struct wire_run runs[2][TABLES];
    struct wire_part parts[2];
    struct wire_keys pulls[TABLES];
    struct wire_step step;
};

static void make_sample(struct sample *s)
{
    memset(s, 0, sizeof *s);
    s->runs[0][0] =
        (struct wire_run){.n = 3, .keys = keys, .counts = counts, .grads = floats};
    s->runs[0][1] = (struct wire_run){
        .n = 1, .keys = keys + 1, .counts = counts + 1, .grads = floats + 2};
    s->runs[1][1] =
        (struct wire_run){.n = 3, .keys = keys, .counts = counts, .grads = floats + 5};
    s->parts[0] = (struct wire_part){.node = {1, 0}, .dense = floats, .runs = s->runs[0]};
    s->parts[1] =
        (struct wire_part){.node = {0, 2}, .dense = floats + 7, .runs = s->runs[1]};
    s->pulls[0] = (struct wire_keys){.n = 4, .keys = keys};
    s->step = (struct wire_step){.step = 1234567890123,
                                 .flags = WIRE_STOP,
                                 .n_parts = 2,
                                 .n_tables = TABLES,
                                 .n_dense = DENSE,
                                 .parts = s->parts,
                                 .pulls = s->pulls};
}

/* All pieces of a message in a row, exactly as long as it is, so that a sanitizer
 * sees every read past the end. */
static unsigned char *flatten(const struct wire_pieces *p, size_t *bytes)
{
    *bytes = 0;
    for (size_t i = 0; i < p->n; i++) *bytes += p->v[i].bytes;
    unsigned char *data = mem_alloc(*bytes), *at = data;
    assert_non_null(data);
    for (size_t i = 0; i < p->n; i++) {
        memcpy(at, p->v[i].data, p->v[i].bytes);
        at += p->v[i].bytes;
    }
    return data;
}

static unsigned char *encode_sample(size_t *bytes)
{
    struct sample s;
    struct wire_pieces pieces = {0};
    make_sample(&s);
    assert_int_equal(wire_encode_step(&s.step, dims, &pieces, NULL), ST_OK);
    unsigned char *data = flatten(&pieces, bytes);
    wire_pieces_close(&pieces);
    return data;
}

/* A step message comes back as it was, with every section on 8 bytes. */
static void test_step_comes_back(void **state)
{
    (void)state;
    struct sample s;
    size_t bytes;
    struct wire_room room;
    struct wire_step got;
    make_sample(&s);
    unsigned char *data = encode_sample(&bytes);
    const struct message m = {data, bytes};
    assert_int_equal(wire_room_make(4, TABLES, &room, NULL), ST_OK);
    assert_int_equal(wire_decode_step(&m, dims, DENSE, &room, &got, NULL), ST_OK);
    assert_int_equal(got.step, s.step.step);
    assert_int_equal(got.flags, WIRE_STOP);
    assert_int_equal(got.n_parts, 2);
    for (size_t p = 0; p < 2; p++) {
        assert_int_equal(got.parts[p].node.level, s.parts[p].node.level);
        assert_int_equal(got.parts[p].node.index, s.parts[p].node.index);
        assert_memory_equal(got.parts[p].dense, s.parts[p].dense, DENSE * sizeof(float));
        for (size_t t = 0; t < TABLES; t++) {
            const struct wire_run *a = &got.parts[p].runs[t], *b = &s.runs[p][t];
            assert_int_equal(a->n, b->n);
            assert_int_equal((uintptr_t)a->grads % 8, 0);
            if (!b->n) continue;
            assert_memory_equal(a->keys, b->keys, b->n * 8);
            assert_memory_equal(a->counts, b->counts, b->n * 4);
            assert_memory_equal(a->grads, b->grads, b->n * dims[t] * 4);
        }
    }
    assert_int_equal(got.pulls[0].n, 4);
    assert_int_equal(got.pulls[1].n, 0);
    assert_memory_equal(got.pulls[0].keys, keys, sizeof keys);
    wire_room_close(&room);
    mem_free(data);
}

/* An answer comes back as it was. */
static void test_answer_comes_back(void **state)
{
    (void)state;
    const float *const rows[TABLES] = {floats, floats + 6};
    const size_t n_rows[TABLES] = {2, 3};
    const struct wire_answer a = {.step = 9,
                                  .flags = WIRE_CHECKPOINT,
                                  .updates = 8,
                                  .n_tables = TABLES,
                                  .n_dense = DENSE,
                                  .dense = floats + 3,
                                  .rows = rows,
                                  .n_rows = n_rows};
    struct wire_pieces pieces = {0};
    struct wire_room room;
    struct wire_answer got;
    size_t bytes;
    assert_int_equal(wire_encode_answer(&a, dims, &pieces, NULL), ST_OK);
    unsigned char *data = flatten(&pieces, &bytes);
    const struct message m = {data, bytes};
    assert_int_equal(wire_room_make(1, TABLES, &room, NULL), ST_OK);
    assert_int_equal(wire_decode_answer(&m, dims, DENSE, &room, &got, NULL), ST_OK);
    assert_int_equal(got.updates, 8);
    assert_int_equal(got.flags, WIRE_CHECKPOINT);
    assert_memory_equal(got.dense, floats + 3, DENSE * 4);
    for (size_t t = 0; t < TABLES; t++) {
        assert_int_equal(got.n_rows[t], n_rows[t]);
        assert_memory_equal(got.rows[t], rows[t], n_rows[t] * dims[t] * 4);
    }
    struct error err;
    assert_int_equal(wire_decode_answer(&m, dims, DENSE + 1, &room, &got, &err), ST_PEER);
    assert_non_null(strstr(err.text, "dense floats"));
    wire_room_close(&room);
    wire_pieces_close(&pieces);
    mem_free(data);
}

/* Rows that stand one after another are one piece: they are sent from where they
 * stand. */
static void test_neighbouring_sections_become_one_piece(void **state)
{
    (void)state;
    const float *const rows[TABLES] = {floats, floats + 6};
    const size_t n_rows[TABLES] = {2, 4};
    const struct wire_answer a = {.n_tables = TABLES, .rows = rows, .n_rows = n_rows};
    struct wire_pieces pieces = {0};
    assert_int_equal(wire_encode_answer(&a, dims, &pieces, NULL), ST_OK);
    assert_int_equal(pieces.n, 2); /* head and rows */
    wire_pieces_close(&pieces);
}

static enum status decode_copy(const unsigned char *data, size_t bytes)
{
    struct wire_room room;
    struct wire_step got;
    struct error err = {.text = ""};
    unsigned char *copy = mem_alloc(bytes);
    memcpy(copy, data, bytes);
    const struct message m = {copy, bytes};
    assert_int_equal(wire_room_make(2, TABLES, &room, NULL), ST_OK);
    enum status st = wire_decode_step(&m, dims, DENSE, &room, &got, &err);
    if (st != ST_OK) assert_true(err.text[0]);
    wire_room_close(&room);
    mem_free(copy);
    return st;
}

/* A message cut anywhere is refused, also when its length field is made to fit. */
static void test_every_truncation_is_refused(void **state)
{
    (void)state;
    size_t bytes;
    unsigned char *data = encode_sample(&bytes);
    for (uint64_t n = 0; n < bytes; n++) {
        assert_int_equal(decode_copy(data, n), ST_PEER);
        if (n >= 16) memcpy(data + 8, &n, 8);
        assert_int_equal(decode_copy(data, n), ST_PEER);
        memcpy(data + 8, &bytes, 8);
    }
    mem_free(data);
}

/* Bytes changed at random give a message that is refused or has the sizes that
 * were asked for; nothing is read outside of it. */
static void test_changed_bytes_never_crash(void **state)
{
    (void)state;
    size_t bytes, refused = 0;
    unsigned char *data = encode_sample(&bytes);
    struct rng rng = rng_make(5, RNG_TEST, 0);
    for (uint64_t i = 0; i < 20000; i++) {
        unsigned char *bad = mem_alloc(bytes);
        memcpy(bad, data, bytes);
        for (uint32_t k = 0; k <= i % 3; k++)
            bad[rng_u64(&rng, i, 2 * k) % bytes] =
                (unsigned char)rng_u64(&rng, i, 2 * k + 1);
        refused += decode_copy(bad, bytes) != ST_OK;
        mem_free(bad);
    }
    assert_true(refused > 5000);
    mem_free(data);
}

/* Sizes near 2^64 do not wrap around. */
static void test_huge_sizes_are_refused(void **state)
{
    (void)state;
    size_t bytes;
    unsigned char *data = encode_sample(&bytes);
    const uint64_t huge[] = {UINT64_MAX, UINT64_MAX / 4, UINT64_MAX / 8 + 2,
                             UINT64_C(1) << 62};
    for (size_t at = 16; at + 8 <= bytes && at < 160; at += 8)
        for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
            uint64_t old;
            memcpy(&old, data + at, 8);
            memcpy(data + at, &huge[i], 8);
            (void)decode_copy(data, bytes);
            memcpy(data + at, &old, 8);
        }
    mem_free(data);
}

/* Another version, kind or magic is named in the error. */
static void test_foreign_messages_are_named(void **state)
{
    (void)state;
    struct wire_buffer b = {0};
    struct wire_reader r;
    struct error err;
    wire_begin(&b, WIRE_STATS);
    assert_int_equal(wire_finish(&b, NULL), ST_OK);
    const struct message m = {b.data, b.bytes};
    assert_int_equal(wire_open(&m, &r, &err), ST_OK);
    b.data[4]++;
    assert_int_equal(wire_open(&m, &r, &err), ST_PEER);
    assert_non_null(strstr(err.text, "protocol version 2, expected 1"));
    b.data[4]--;
    b.data[6] = 200;
    assert_int_equal(wire_open(&m, &r, &err), ST_PEER);
    assert_non_null(strstr(err.text, "unknown kind 200"));
    b.data[0] = 'X';
    assert_int_equal(wire_open(&m, &r, &err), ST_PEER);
    assert_non_null(strstr(err.text, "MTPS"));
    wire_buffer_close(&b);
}

/* A reply that carries a failure gives its status, text and hint on the other
 * side. */
static void test_failures_travel(void **state)
{
    (void)state;
    struct wire_buffer b = {0};
    struct wire_reader r;
    struct error err, got;
    error_set(&err, ST_IO, "disk full");
    error_hint(&err, ST_IO, "make room");
    wire_begin_reply(&b, ST_IO, &err);
    assert_int_equal(wire_finish(&b, NULL), ST_OK);
    const struct message m = {b.data, b.bytes};
    assert_int_equal(wire_open_reply(&m, &r, &got), ST_IO);
    assert_string_equal(got.text, "disk full");
    assert_string_equal(got.hint, "make room");
    wire_buffer_close(&b);
}

/* Leftover bytes and missing ones are both refused by wire_close. */
static void test_reader_counts_every_byte(void **state)
{
    (void)state;
    struct wire_buffer b = {0};
    struct wire_reader r;
    char text[8];
    wire_begin(&b, WIRE_LOAD);
    wire_put_text(&b, "path");
    wire_put(&b, 7);
    assert_int_equal(wire_finish(&b, NULL), ST_OK);
    const struct message m = {b.data, b.bytes};
    assert_int_equal(wire_open(&m, &r, NULL), ST_OK);
    assert_true(wire_get_text(&r, text, sizeof text));
    assert_string_equal(text, "path");
    assert_int_equal(wire_close(&r, NULL), ST_PEER);
    assert_int_equal(wire_get(&r), 7);
    assert_int_equal(wire_close(&r, NULL), ST_OK);
    assert_int_equal(wire_get(&r), 0);
    assert_int_equal(wire_close(&r, NULL), ST_PEER);
    assert_int_equal(wire_open(&m, &r, NULL), ST_OK);
    assert_false(wire_get_text(&r, text, 4));
    wire_buffer_close(&b);
}

/* Dense floats, files and statistics come back as they were. */
static void test_control_parts_come_back(void **state)
{
    (void)state;
    struct wire_buffer b = {0};
    struct wire_reader r;
    const uint8_t decay[3] = {1, 0, 1};
    const struct wire_dense d = {.step = 5,
                                 .updates = 4,
                                 .past = {7, 8, 9},
                                 .n = 3,
                                 .n_slots = 2,
                                 .params = floats,
                                 .slots = {floats + 3, floats + 6},
                                 .decay = decay};
    const struct wire_file f = {.name = "sparse-00000-of-00003.h5",
                                .bytes = 12,
                                .rows = 3,
                                .sha256 = "abc",
                                .digest_low = 1,
                                .digest_high = 2};
    const struct wire_stats s = {
        .steps = 1, .updates = 2, .rows = 3, .bytes = 4, .busy_s = 1.5};
    wire_begin(&b, WIRE_DENSE_PUT);
    const struct wire_load l = {.source = "user", .resize = true, .n_columns = 2,
                                .from = {WIRE_FRESH, 1}, .min_count = 3, .min_step = 1,
                                .shrink = 0.75, .noise = 1e-300};
    wire_put_dense(&b, &d);
    wire_put_load(&b, &l);
    wire_put_file(&b, &f);
    wire_put_stats(&b, &s);
    assert_int_equal(wire_finish(&b, NULL), ST_OK);
    const struct message m = {b.data, b.bytes};
    struct wire_dense d2;
    struct wire_file f2;
    struct wire_stats s2;
    assert_int_equal(wire_open(&m, &r, NULL), ST_OK);
    wire_get_dense(&r, &d2);
    struct wire_load l2 = {.keep_state = true};
    wire_get_load(&r, &l2);
    wire_get_file(&r, &f2);
    wire_get_stats(&r, &s2);
    assert_int_equal(wire_close(&r, NULL), ST_OK);
    assert_string_equal(l2.source, "user");
    assert_true(l2.resize && !l2.keep_state && l2.min_count == 3 && l2.min_step == 1);
    assert_true(l2.n_columns == 2 && l2.from[0] == WIRE_FRESH && l2.from[1] == 1);
    assert_true(l2.shrink == 0.75 && l2.noise == 1e-300);
    assert_true(d2.past.steps == 7 && d2.past.sparse_updates == 8 && d2.past.dense_updates == 9);
    assert_int_equal(d2.n_slots, 2);
    assert_memory_equal(d2.slots[1], floats + 6, 12);
    assert_memory_equal(d2.decay, decay, 3);
    assert_string_equal(f2.name, f.name);
    assert_int_equal(f2.digest_high, 2);
    assert_true(s2.busy_s == 1.5 && s2.rows == 3);
    wire_buffer_close(&b);
}

/* Every allocation that can fail gives ST_NOMEM, never a crash. */
static void test_out_of_memory(void **state)
{
    (void)state;
    struct sample s;
    make_sample(&s);
    for (uint64_t k = 1; k < 10; k++) {
        struct wire_pieces pieces = {0};
        struct wire_room room;
        mem_fail_at(k);
        enum status st = wire_encode_step(&s.step, dims, &pieces, NULL);
        if (st == ST_OK) st = wire_room_make(2, TABLES, &room, NULL);
        if (st == ST_OK) wire_room_close(&room);
        mem_fail_at(0);
        assert_int_equal(st, k <= 7 ? ST_NOMEM : ST_OK);
        wire_pieces_close(&pieces);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_comes_back),
        cmocka_unit_test(test_answer_comes_back),
        cmocka_unit_test(test_neighbouring_sections_become_one_piece),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_changed_bytes_never_crash),
        cmocka_unit_test(test_huge_sizes_are_refused),
        cmocka_unit_test(test_foreign_messages_are_named),
        cmocka_unit_test(test_failures_travel),
        cmocka_unit_test(test_reader_counts_every_byte),
        cmocka_unit_test(test_control_parts_come_back),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
