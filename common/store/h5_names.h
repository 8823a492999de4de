/* Names inside an HDF5 file: what a usable one is, and lists of them. Internal
 * to common/store. */
#ifndef MTPS_STORE_H5_NAMES_H
#define MTPS_STORE_H5_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum { H5_NAME_LIMIT = 512 };

/* "a/b/c": no empty part and no "." (which the library would skip), not too long. */
bool h5_name_ok(const char *name);
/* The groups that lead to a name, from the outermost: out = the next one that is
 * longer than `from` characters. Gives its length, 0 = no more. */
size_t h5_name_prefix(const char *name, size_t from, char out[H5_NAME_LIMIT]);

struct h5_names {
    char **v;
    size_t n, capacity;
};
/* Adds prefix/name, or name when the prefix is empty. False when out of memory. */
bool h5_names_add(struct h5_names *l, const char *prefix, const char *name);
void h5_names_sort(struct h5_names *l);
void h5_names_free(struct h5_names *l);

#endif
