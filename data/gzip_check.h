/* The CRC-32 and length at the end of a gzip file, which libarchive reads over: without
 * them a damaged byte may change values and nobody notices. One for one pass over a file. */
#ifndef MTPS_DATA_GZIP_CHECK_H
#define MTPS_DATA_GZIP_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gzip_check {
    int fd;                    /* of the compressed file, borrowed; never moved */
    uint64_t file_bytes;       /* compressed */
    uint64_t n;                /* bytes added so far */
    uint32_t crc;              /* of these */
    uint32_t table[8][256];
};

void gzip_check_begin(struct gzip_check *c, int fd);
/* The next n decompressed bytes. */
void gzip_check_add(struct gzip_check *c, const void *data, size_t n);
/* Does all that was added agree with the file's end? True also where that cannot be told:
 * of several streams in one file each has an end of its own, and only the last is at hand. */
bool gzip_check_holds(const struct gzip_check *c);

#endif
