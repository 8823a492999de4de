/* All allocation goes through here, so that tests can count it and make call
 * number k fail. Blocks are 64-byte aligned. Thread-safe. */
#ifndef MTPS_BASE_MEM_H
#define MTPS_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* NULL when out of memory or when n * size overflows. A zero-byte request gives
 * a valid pointer. Free with mem_free (NULL is fine). */
void *mem_alloc(size_t bytes) MUST_USE;
void *mem_array(size_t n, size_t size) MUST_USE;  /* uninitialised */
void *mem_zeroed(size_t n, size_t size) MUST_USE; /* all bits zero */
/* Grows or shrinks to n * size bytes keeping the contents; on NULL the old
 * block stays valid. */
void *mem_resize(void *block, size_t n, size_t size) MUST_USE;
char *mem_strdup(const char *s) MUST_USE;
char *mem_strndup(const char *s, size_t n) MUST_USE; /* copies n bytes and ends with 0 */
void mem_free(void *block);

/* Says "out of memory: WHAT: N bytes" and gives ST_NOMEM. */
enum status mem_error(struct error *err, const char *what, size_t bytes);

/* Test hooks. mem_calls: allocations (and resizes) so far in this process.
 * mem_fail_at(k): the k-th call from now fails, once; 0 switches it off.
 * mem_live_bytes: bytes now allocated. */
uint64_t mem_calls(void);
void mem_fail_at(uint64_t k);
uint64_t mem_live_bytes(void);

/* Many small objects with one lifetime (strings, parsed trees). Not
 * thread-safe. Memory comes back zeroed and 16-byte aligned. */
struct arena;
enum status arena_create(struct arena **out, struct error *err) MUST_USE;
void arena_destroy(struct arena *a);
void *arena_take(struct arena *a, size_t n, size_t size) MUST_USE; /* NULL when out of memory */
char *arena_strdup(struct arena *a, const char *s) MUST_USE;
char *arena_strndup(struct arena *a, const char *s, size_t n) MUST_USE;
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_USE;

#endif
