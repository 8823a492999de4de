/* The bytes of one input file, decompressed when its content says so, whatever
 * its name. A byte order mark at the start is left out; latin1 becomes UTF-8.
 * Not thread-safe. */
#ifndef MTPS_DATA_SOURCE_FILE_H
#define MTPS_DATA_SOURCE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct source_file;
/* path is borrowed. ST_NOINPUT when it cannot be opened. */
enum status source_file_open(const char *path, bool latin1, struct source_file **out,
                             struct error *err) MUST_USE;
void source_file_close(struct source_file *f);

/* Up to `capacity` (>= 2) bytes; *n = 0 at the end. Where a compressed stream is
 * damaged *damage gives the reason (valid until close) and *n = 0. */
enum status source_file_read(struct source_file *f, char *to, size_t capacity, size_t *n,
                             const char **damage, struct error *err) MUST_USE;

/* Bytes of the file itself read so far. */
uint64_t source_file_bytes_in(const struct source_file *f);

#endif
