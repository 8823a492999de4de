#include "common/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/base/mem.h"

uint64_t hash_id(const void *bytes, size_t n)
{
    return XXH3_64bits(bytes, n);
}

uint64_t hash_bytes(const void *bytes, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, n, seed);
}

struct hash_stream {
    XXH3_state_t state;
};

struct hash_stream *hash_stream_create(void)
{
    struct hash_stream *s = mem_alloc(sizeof *s);
    if (s) XXH3_64bits_reset(&s->state);
    return s;
}

void hash_stream_destroy(struct hash_stream *s)
{
    mem_free(s);
}

void hash_stream_add(struct hash_stream *s, const void *bytes, size_t n)
{
    XXH3_64bits_update(&s->state, bytes, n);
}

uint64_t hash_stream_value(const struct hash_stream *s)
{
    return XXH3_64bits_digest(&s->state);
}
