/* Decompressed bytes of one file: gz, zst, lz4, xz or bz2 through libarchive.
 * Not thread-safe. */
#ifndef MTPS_DATA_SOURCE_ARCHIVE_H
#define MTPS_DATA_SOURCE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* True when the first n bytes of a file are those of a compression we read. */
bool source_archive_knows(const unsigned char *head, size_t n);

struct source_archive;
/* fd: the file at its start, open for reading; borrowed until source_archive_close.
 * path is for error texts. */
enum status source_archive_open(const char *path, int fd, struct source_archive **out,
                                struct error *err) MUST_USE;
void source_archive_close(struct source_archive *a);

/* Up to `capacity` bytes; *n = 0 at the end. When the stream is damaged, *damage is
 * set to the reason (valid until close) and *n = 0, now and ever after. */
void source_archive_read(struct source_archive *a, char *to, size_t capacity, size_t *n,
                         const char **damage);

/* Compressed bytes read so far. */
uint64_t source_archive_bytes_in(const struct source_archive *a);

#endif
