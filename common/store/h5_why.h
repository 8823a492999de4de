/* Why a call of the HDF5 library failed: from its stack of errors to one cause. */
#ifndef MTPS_STORE_H5_WHY_H
#define MTPS_STORE_H5_WHY_H

#include <stddef.h>

struct h5_why {
    char outer[256], inner[512];
    int system; /* errno that an entry tells of, or 0 */
};

/* Entries come from the outermost (n = 0) to the innermost; desc may be NULL. */
void h5_why_add(struct h5_why *w, unsigned n, const char *desc);
/* ": cause" for the end of a message: the system's reason where there is one, else
 * the library's outermost and innermost words; "" when nothing is known. */
void h5_why_text(const struct h5_why *w, char *out, size_t size);

#endif
