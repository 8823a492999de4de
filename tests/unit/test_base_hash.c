/* common/base/hash: frozen values. A failure here means that stored tables
 * cannot be read any more: mend the code, or raise HASH_VERSION on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"

/* Keys of ids are plain XXH3-64: the published vectors, and one per code path
 * of the algorithm (up to 16, 128, 240 bytes and longer). */
static void test_hash_id_golden(void **state)
{
    (void)state;
    char text[1000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + i % 26);
    assert_true(hash_id("", 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hash_id("a", 1) == UINT64_C(0xe6c632b61e964e1f));
    assert_true(hash_id("abc", 3) == UINT64_C(0x78af5f94892f3950));
    static const struct {
        size_t n;
        uint64_t key;
    } golden[] = {
        {8, UINT64_C(0x6f45a76842a96483)},   {16, UINT64_C(0x3d3ccac9af14d8a8)},
        {17, UINT64_C(0xca7f3571df47cacf)},  {128, UINT64_C(0x3e99edc6c76f21c6)},
        {129, UINT64_C(0x852cb20608c9d2c7)}, {240, UINT64_C(0xea0e0f78188232ed)},
        {241, UINT64_C(0xbb0a906af5b5c211)}, {1000, UINT64_C(0xe153425558d7da5d)},
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++)
        assert_true(hash_id(text, golden[i].n) == golden[i].key);
}

/* An id is its bytes: 0 inside it counts, and so does its length. */
static void test_hash_id_sees_every_byte(void **state)
{
    (void)state;
    assert_true(hash_id("a\0b", 3) != hash_id("a\0c", 3));
    assert_true(hash_id("a\0", 2) != hash_id("a", 1));
    assert_true(hash_id("21", 2) != hash_id("21.0", 4));
}

/* Seed 0 is the id hash; another seed is another function. */
static void test_hash_bytes_seeded(void **state)
{
    (void)state;
    assert_true(hash_bytes("user_id", 7, 0) == hash_id("user_id", 7));
    assert_true(hash_bytes("user_id", 7, 1) == UINT64_C(0x8ef941d9456706ee));
}

/* hash_mix is SplitMix64's finaliser: its published first outputs for seed 0. */
static void test_hash_mix_golden(void **state)
{
    (void)state;
    const uint64_t gamma = UINT64_C(0x9e3779b97f4a7c15);
    assert_true(hash_mix(0) == 0);
    assert_true(hash_mix(gamma) == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(hash_mix(2 * gamma) == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(hash_mix(3 * gamma) == UINT64_C(0x06c45d188009454f));
}

/* Flipping any input bit flips about half of the output bits. */
static void test_hash_mix_avalanche(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        int flipped = 0;
        for (uint64_t x = 1; x <= 200; x++)
            flipped +=
                __builtin_popcountll(hash_mix(x) ^ hash_mix(x ^ UINT64_C(1) << bit));
        assert_in_range(flipped, 200 * 28, 200 * 36);
    }
}

/* A cross is ordered: (a, b) is not (b, a), and small keys do not collide. */
static void test_hash_pair_is_ordered(void **state)
{
    (void)state;
    assert_true(hash_pair(1, 2) == UINT64_C(0x9f4f52964e9c628c));
    enum { N = 60 };
    static uint64_t keys[N * N];
    for (uint64_t a = 0; a < N; a++)
        for (uint64_t b = 0; b < N; b++) keys[a * N + b] = hash_pair(a, b);
    for (size_t i = 0; i < N * N; i++)
        for (size_t j = 0; j < i; j++) assert_true(keys[i] != keys[j]);
}

/* A stream's hash is that of the whole, however the bytes are cut. */
static void test_hash_stream(void **state)
{
    (void)state;
    unsigned char bytes[3000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 7 >> 2);
    struct hash_stream *s = hash_stream_create();
    assert_non_null(s);
    assert_true(hash_stream_value(s) == hash_bytes("", 0, 0));
    size_t at = 0;
    for (size_t n = 1; at < sizeof bytes; n = n * 2 + 1) {
        size_t piece = sizeof bytes - at < n ? sizeof bytes - at : n;
        hash_stream_add(s, bytes + at, piece);
        at += piece;
        assert_true(hash_stream_value(s) == hash_bytes(bytes, at, 0));
    }
    hash_stream_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_id_golden),
        cmocka_unit_test(test_hash_id_sees_every_byte),
        cmocka_unit_test(test_hash_bytes_seeded),
        cmocka_unit_test(test_hash_mix_golden),
        cmocka_unit_test(test_hash_mix_avalanche),
        cmocka_unit_test(test_hash_pair_is_ordered),
        cmocka_unit_test(test_hash_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
