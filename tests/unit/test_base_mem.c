/* common/base/mem: counted allocation that can be made to fail, and arenas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"

/* Blocks start at a multiple of 64 bytes, whatever their size. */
static void test_blocks_are_aligned(void **state)
{
    (void)state;
    for (size_t n = 0; n < 200; n += 7) {
        void *p = mem_alloc(n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        mem_free(p);
    }
}

/* A product that does not fit size_t is refused, not wrapped around. */
static void test_overflow_is_refused(void **state)
{
    (void)state;
    assert_null(mem_array(SIZE_MAX / 2, 3));
    assert_null(mem_zeroed(SIZE_MAX / 8 + 1, 8));
    assert_null(mem_alloc(SIZE_MAX));
    struct arena *a = NULL;
    assert_int_equal(arena_create(&a, NULL), ST_OK);
    assert_null(arena_take(a, SIZE_MAX / 4, 5));
    arena_destroy(a);
}

/* A request for nothing is a block that can be freed; freeing NULL is fine. */
static void test_zero_bytes(void **state)
{
    (void)state;
    void *p = mem_array(0, 8);
    assert_non_null(p);
    mem_free(p);
    mem_free(NULL);
}

/* Growing and shrinking keep what fits. */
static void test_resize_keeps_contents(void **state)
{
    (void)state;
    uint32_t *p = mem_array(10, sizeof *p);
    for (uint32_t i = 0; i < 10; i++) p[i] = i * i;
    p = mem_resize(p, 10000, sizeof *p);
    for (uint32_t i = 0; i < 10; i++) assert_int_equal(p[i], i * i);
    p = mem_resize(p, 3, sizeof *p);
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(p[i], i * i);
    mem_free(p);
}

/* Exactly the k-th call from now fails, once, and leaves the old block valid. */
static void test_call_k_fails(void **state)
{
    (void)state;
    char *kept = mem_strdup("kept");
    mem_fail_at(2);
    void *first = mem_alloc(1);
    assert_non_null(first);
    assert_null(mem_resize(kept, 100, 1));
    assert_string_equal(kept, "kept");
    void *third = mem_alloc(1);
    assert_non_null(third);
    mem_free(first);
    mem_free(third);
    mem_free(kept);
    mem_fail_at(1);
    mem_fail_at(0);
    void *p = mem_alloc(1);
    assert_non_null(p);
    mem_free(p);
}

/* Calls and live bytes are counted: what was freed is gone from the count. */
static void test_counts(void **state)
{
    (void)state;
    uint64_t calls = mem_calls(), live = mem_live_bytes();
    void *p = mem_alloc(1000);
    assert_int_equal(mem_calls(), calls + 1);
    assert_true(mem_live_bytes() >= live + 1000);
    mem_free(p);
    assert_int_equal(mem_live_bytes(), live);
}

/* Copies of text end with 0, also when cut. */
static void test_strings(void **state)
{
    (void)state;
    char *a = mem_strdup(""), *b = mem_strndup("abcdef", 3);
    assert_string_equal(a, "");
    assert_string_equal(b, "abc");
    mem_free(a);
    mem_free(b);
}

/* Arena memory is zero, aligned, and stays where it is while the arena grows. */
static void test_arena_memory_stays(void **state)
{
    (void)state;
    struct arena *a = NULL;
    assert_int_equal(arena_create(&a, NULL), ST_OK);
    char *text = arena_strdup(a, "stays");
    for (size_t size = 1; size < 300000; size *= 3) {
        unsigned char *p = arena_take(a, size, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
    }
    assert_string_equal(text, "stays");
    assert_string_equal(arena_printf(a, "%s-%d", "x", 42), "x-42");
    assert_string_equal(arena_strndup(a, "abcdef", 2), "ab");
    arena_destroy(a);
}

/* Destroying an arena gives everything back, whatever was taken. */
static void test_arena_gives_all_back(void **state)
{
    (void)state;
    uint64_t live = mem_live_bytes();
    struct arena *a = NULL;
    assert_int_equal(arena_create(&a, NULL), ST_OK);
    for (int i = 0; i < 5000; i++)
        assert_non_null(arena_take(a, 1, (size_t)(i % 97) * 10));
    arena_destroy(a);
    assert_int_equal(mem_live_bytes(), live);
}

/* Each allocation of an arena can fail; the arena stays usable afterwards. */
static void test_arena_out_of_memory(void **state)
{
    (void)state;
    struct error err;
    struct arena *a = NULL;
    mem_fail_at(1);
    assert_int_equal(arena_create(&a, &err), ST_NOMEM);
    assert_null(a);
    assert_non_null(strstr(err.text, "out of memory"));
    assert_int_equal(arena_create(&a, &err), ST_OK);
    mem_fail_at(1);
    assert_null(arena_strdup(a, "x"));
    assert_string_equal(arena_strdup(a, "y"), "y");
    arena_destroy(a);
    arena_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned),
        cmocka_unit_test(test_overflow_is_refused),
        cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_resize_keeps_contents),
        cmocka_unit_test(test_call_k_fails),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_arena_memory_stays),
        cmocka_unit_test(test_arena_gives_all_back),
        cmocka_unit_test(test_arena_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
