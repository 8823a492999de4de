/* A temporary folder for one test: made by tmpdir_create, removed with all it
 * holds by tmpdir_remove. Failures are test failures. */
#ifndef MTPS_TESTS_TMPDIR_H
#define MTPS_TESTS_TMPDIR_H

#include <stddef.h>

struct tmpdir {
    char path[256];
};

void tmpdir_create(struct tmpdir *d);
void tmpdir_remove(struct tmpdir *d);

/* out = folder/name; gives out back. */
const char *tmpdir_path(const struct tmpdir *d, const char *name, char *out, size_t size);
/* Write text to folder/name. */
void tmpdir_write(const struct tmpdir *d, const char *name, const char *text);

#endif
