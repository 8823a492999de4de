/* Sets that number their members in order of arrival: 64-bit keys, and texts. */
#ifndef MTPS_DATA_DATASET_KEYS_H
#define MTPS_DATA_DATASET_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "data/text.h"

/* ---- keys ---- */

struct key_set {
    uint64_t *keys; /* [n] in order of arrival */
    size_t n, max;
    uint32_t *slots; /* [n_slots] number + 1, 0 = empty */
    size_t n_slots;  /* power of two */
};

enum { KEY_SET_FULL = UINT32_MAX };
/* Number of the key, added when new; KEY_SET_FULL when memory is short. */
uint32_t key_set_add(struct key_set *s, uint64_t key);
/* Forget the members, keep the memory. */
void key_set_clear(struct key_set *s);
void key_set_close(struct key_set *s);

/* rank[i]: place of key i when all are in (bucket, key) order; sorted[rank[i]] =
 * key i. Both [n], the caller's. */
enum status key_set_rank(const struct key_set *s, uint32_t *rank, uint64_t *sorted,
                         struct error *err) MUST_USE;

/* Place of a key in a dictionary in (bucket, key) order; SIZE_MAX = not there. */
size_t keys_find(const uint64_t *sorted, size_t n, uint64_t key);

/* ---- texts ---- */

struct text_set {
    char *bytes;
    size_t n_bytes, max_bytes;
    uint64_t *start; /* [n + 1] */
    size_t n, max;
    uint32_t *slots;
    size_t n_slots;
};

uint32_t text_set_add(struct text_set *s, struct text t); /* KEY_SET_FULL: no memory */
static inline struct text text_set_get(const struct text_set *s, size_t i)
{
    return (struct text){s->bytes + s->start[i], (size_t)(s->start[i + 1] - s->start[i])};
}
void text_set_close(struct text_set *s);

#endif
