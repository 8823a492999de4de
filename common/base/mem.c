#include "common/base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, ARENA_ALIGNMENT = 16, ARENA_CHUNK = 64 * 1024 };

static _Atomic uint64_t n_calls;
static _Atomic uint64_t fail_at; /* absolute call number, 0 = never */
static _Atomic uint64_t live_bytes;

uint64_t mem_calls(void)
{
    return atomic_load(&n_calls);
}

void mem_fail_at(uint64_t k)
{
    atomic_store(&fail_at, k ? atomic_load(&n_calls) + k : 0);
}

uint64_t mem_live_bytes(void)
{
    return atomic_load(&live_bytes);
}

static int must_fail(void)
{
    uint64_t call = atomic_fetch_add(&n_calls, 1) + 1;
    if (LIKELY(call != atomic_load(&fail_at))) return 0;
    atomic_store(&fail_at, 0);
    return 1;
}

void *mem_alloc(size_t bytes)
{
    if (must_fail() || bytes > SIZE_MAX - ALIGNMENT) return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *p = aligned_alloc(ALIGNMENT, rounded ? rounded : ALIGNMENT);
    if (p) atomic_fetch_add(&live_bytes, malloc_usable_size(p));
    return p;
}

void *mem_array(size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size) return NULL;
    return mem_alloc(n * size);
}

void *mem_zeroed(size_t n, size_t size)
{
    void *p = mem_array(n, size);
    if (p) memset(p, 0, n * size);
    return p;
}

void *mem_resize(void *block, size_t n, size_t size)
{
    void *p = mem_array(n, size);
    if (!p || !block) return p;
    size_t old = malloc_usable_size(block);
    memcpy(p, block, old < n * size ? old : n * size);
    mem_free(block);
    return p;
}

char *mem_strndup(const char *s, size_t n)
{
    char *p = mem_alloc(n + 1);
    if (!p) return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

void mem_free(void *block)
{
    if (block) atomic_fetch_sub(&live_bytes, malloc_usable_size(block));
    free(block);
}

enum status mem_error(struct error *err, const char *what, size_t bytes)
{
    return error_set(err, ST_NOMEM, "out of memory: %s: %zu bytes", what, bytes);
}

struct chunk {
    struct chunk *next;
    size_t used, size; /* bytes of data[] */
    _Alignas(ARENA_ALIGNMENT) unsigned char data[];
};

struct arena {
    struct chunk *head;
};

enum status arena_create(struct arena **out, struct error *err)
{
    struct arena *a = mem_zeroed(1, sizeof *a);
    if (!a) return mem_error(err, "arena", sizeof *a);
    *out = a;
    return ST_OK;
}

void arena_destroy(struct arena *a)
{
    if (!a) return;
    while (a->head) {
        struct chunk *next = a->head->next;
        mem_free(a->head);
        a->head = next;
    }
    mem_free(a);
}

void *arena_take(struct arena *a, size_t n, size_t size)
{
    if (size && n > (SIZE_MAX - ARENA_CHUNK) / size) return NULL;
    size_t need = (n * size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    struct chunk *c = a->head;
    if (!c || c->size - c->used < need) {
        size_t bytes = need > ARENA_CHUNK ? need : ARENA_CHUNK;
        c = mem_alloc(sizeof *c + bytes);
        if (!c) return NULL;
        *c = (struct chunk){.next = a->head, .size = bytes};
        a->head = c;
    }
    void *p = c->data + c->used;
    c->used += need;
    memset(p, 0, need);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_take(a, n + 1, 1);
    if (p) memcpy(p, s, n);
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = n < 0 ? NULL : arena_take(a, (size_t)n + 1, 1);
    if (p) vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}
