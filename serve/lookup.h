/* Rows of an embedding table in a bundle, by key.
 *
 *   directory [2^b + 1]  keys are in the order of their mixed hash; entry j is how many
 *                        have a hash whose top b bits are below j
 *   keys      [n]
 *   rows      [n, dim]   f32, f16, or i8 with a factor per row in
 *   scales    [n]        f32
 *
 * So a key is found in one place of the directory and the next few keys. A key that is
 * not there has the row that training would have given it before its first step. Read-
 * only; any thread. */
#ifndef MTPS_SERVE_LOOKUP_H
#define MTPS_SERVE_LOOKUP_H

#include "common/math/row_init.h"
#include "serve/bundle.h"

/* b for n keys: one to two keys for each entry of the directory. */
unsigned lookup_bits(size_t n);
static inline size_t lookup_entry(uint64_t mixed, unsigned bits)
{
    return bits ? (size_t)(mixed >> (64 - bits)) : 0;
}

/* Where a key is among keys in the order of their mixed hash; SIZE_MAX: nowhere. Stays
 * inside keys[n] whatever the directory says. */
struct lookup_keys {
    size_t n;
    unsigned bits;
    const uint32_t *directory;
    const uint64_t *keys;
};
size_t lookup_find(const struct lookup_keys *k, uint64_t key);
/* The sections PREFIX/directory and PREFIX/NAME. order: check them, too. */
enum status lookup_open_keys(const struct bundle *b, const char *prefix, const char *name, bool order,
                             struct lookup_keys *out, struct error *err) MUST_USE;
/* A section PREFIX/NAME of this type and shape; type SECTION_TYPES, rows SIZE_MAX: any. */
enum status lookup_section(const struct bundle *b, const char *prefix, const char *name,
                           enum section_type type, size_t rows, size_t cols,
                           const struct bundle_section **out, struct error *err) MUST_USE;

struct lookup {
    struct lookup_keys keys;
    size_t dim;
    enum section_type type;
    const void *rows;
    const float *scales;
    struct init_cfg init;
    struct rng rng;
    const struct lookup *base; /* of a delta: where keys are that are not here; or NULL */
};

/* The sections table/NAME/... of a bundle. check: also that the keys are in order, that the
 * directory fits them, and that rows are finite (a pass over all of it); lookups stay within the
 * sections either way. ST_DATA names the section. */
enum status lookup_open(const struct bundle *b, const char *name, size_t dim,
                        const struct init_cfg *init, uint64_t seed, bool check,
                        struct lookup *out, struct error *err) MUST_USE;

/* Keys of a table, and where their rows are. */
struct lookup_request {
    const struct lookup *table;
    const uint64_t *keys; /* [n] */
    size_t n;
    size_t *place; /* [n] out: the row; behind the table's own come those of its base; SIZE_MAX: nowhere */
};
/* All of them; memory is asked for ahead. */
void lookup_places(const struct lookup_request *requests, size_t n);
/* The row of a key that has this place: in the file where that holds floats, else unpacked, or
 * made of the key, into room[dim]. */
const float *lookup_row(const struct lookup *l, uint64_t key, size_t place, float *room);

/* A row as a bundle holds it: values[dim] of the type, and the factor of i8. */
void lookup_pack(enum section_type type, const float *row, size_t dim, void *values,
                 float *scale);

#endif
