/* An ordered set of names: each has the place in which it was first added. */
#ifndef MTPS_DATA_RAW_NAMES_H
#define MTPS_DATA_RAW_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "data/text.h"

struct raw_names {
    struct arena *arena; /* holds the strings */
    const char **v;      /* [n] in order of adding, each ended by 0 */
    size_t n, capacity;
    uint32_t *slots; /* [n_slots] place + 1; 0 = free; power of two */
    size_t n_slots;
};

enum status raw_names_init(struct raw_names *names, struct error *err) MUST_USE;
void raw_names_close(struct raw_names *names);
/* Place of a name, or SIZE_MAX. */
size_t raw_names_find(const struct raw_names *names, struct text name);
/* Place of a name, which is copied when it is new. */
enum status raw_names_add(struct raw_names *names, struct text name, size_t *place,
                          struct error *err) MUST_USE;

#endif
