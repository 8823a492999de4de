/* "Did you mean": the known word nearest to a misspelt one. */
#ifndef MTPS_CONFIG_NEAREST_H
#define MTPS_CONFIG_NEAREST_H

#include <stddef.h>

/* Insertions, deletions, replacements and swaps of neighbours that turn a into
 * b; case does not count. Words over 64 bytes are far from everything. */
size_t nearest_distance(const char *a, const char *b);

/* The first of the closest words when it is close enough to be meant (a third
 * of its letters, at least 2, may differ), or NULL. */
const char *nearest_word(const char *word, const char *const *known, size_t n);

#endif
