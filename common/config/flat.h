/* Settings as lines "key = value", everything filled in: what is compared. Two
 * configurations that mean the same give the same lines, whatever was written
 * and whatever was left to defaults, to the outer level or to groups of names. */
#ifndef MTPS_CONFIG_FLAT_H
#define MTPS_CONFIG_FLAT_H

#include "common/config/config.h"

struct flat_line {
    const char *key, *value;
};

struct flat {
    struct arena *arena; /* borrowed; holds the lines */
    struct flat_line *lines; /* in table order */
    size_t n, capacity;
};

/* Keys of parts that the model type does not use are left out. */
enum status flat_make(struct arena *a, const struct settings *s, struct flat *out,
                      struct error *err) MUST_USE;

#endif
