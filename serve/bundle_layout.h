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

/* The header begins with these bytes, then come the id's digits. */
#define BUNDLE_HEAD "{\"format\": \"mtps-bundle\", \"id\": \""

/* The id of a header of n bytes, whatever digits stand there: the first half of the SHA-256 of
 * it with zeros in their place. False when it does not begin with BUNDLE_HEAD and room for them. */
bool bundle_header_id(const char *header, size_t n, char id[BUNDLE_ID]);
/* Can it be the name of a section? Parts with '/' between them, each of 1 to 255 bytes, none of
 * them "." or "..", no control characters. Parts are words of this format, and names of the
 * configuration, which have the same rule. */
bool bundle_good_name(const char *name);

/* Bytes of a section; false when they do not fit 63 bits. */
bool bundle_section_bytes(const struct bundle_section *s, uint64_t *out);

#endif
