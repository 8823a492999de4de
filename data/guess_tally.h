/* Counts of distinct values, up to a limit of how many. Not thread-safe. */
#ifndef MTPS_DATA_GUESS_TALLY_H
#define MTPS_DATA_GUESS_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct tally_value {
    uint64_t key;  /* hash of the text */
    double number; /* what it reads as, or NaN */
    uint64_t n;    /* occurrences */
};

struct tally {
    struct tally_value *v; /* [n] in order of appearance */
    double *sums;          /* [n, width] the caller's sums per value */
    size_t n, capacity, limit, width;
    uint32_t *slots; /* [n_slots] place + 1, 0 = free */
    size_t n_slots;
    uint64_t n_more; /* occurrences of values beyond the limit */
};

void tally_init(struct tally *t, size_t limit, size_t width);
void tally_close(struct tally *t);
/* Count one occurrence. *place: among v, SIZE_MAX when it is beyond the limit. */
enum status tally_add(struct tally *t, uint64_t key, double number, size_t *place,
                      struct error *err) MUST_USE;

#endif
