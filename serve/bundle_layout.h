/* The bytes of a bundle that reader and writer share. Inside serve/. */
#ifndef MTPS_SERVE_BUNDLE_LAYOUT_H
#define MTPS_SERVE_BUNDLE_LAYOUT_H

#include "serve/bundle.h"

/* Little-endian at the start of the file; the rest of the 64 bytes is 0. */
struct bundle_prefix {
    char magic[8];
    uint64_t version;
    uint64_t header_bytes;
    uint64_t header_checksum; /* XXH3-64 */
    uint64_t file_bytes;
    uint64_t zero[3];
};
_Static_assert(sizeof(struct bundle_prefix) == BUNDLE_PREFIX, "the prefix has no padding");

static const char bundle_magic[8] = {'M', 'T', 'P', 'S', 'B', 'N', 'D', 'L'};

static inline uint64_t bundle_align(uint64_t at)
{
    return (at + BUNDLE_ALIGN - 1) / BUNDLE_ALIGN * BUNDLE_ALIGN;
}

/* Bytes of a section; false when they do not fit 63 bits. */
bool bundle_section_bytes(const struct bundle_section *s, uint64_t *out);

#endif
