/* A bundle: a frozen model as one flat file that is read by mmap (docs/bundle-format.md).
 *
 *   prefix 64 bytes | header text | section | section | ...
 *
 * The header is JSON: what the model is, and the list of sections sorted by name; their
 * places follow from their order, types and shapes, on multiples of 64 bytes. Nothing in
 * a file is trusted: sizes are compared with the file's before anything is allocated,
 * every byte is either under a checksum or must be 0, and only a regular file is opened.
 *
 * A mapped file must stay as it is: writing to it changes scores, and cutting it short
 * kills the process that reads (SIGBUS). Exports therefore only make new files.
 *
 * Read-only after opening; may be read by any thread. */
#ifndef MTPS_SERVE_BUNDLE_H
#define MTPS_SERVE_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/node.h"

#define BUNDLE_FILE "model.mtps"

enum {
    BUNDLE_VERSION = 1,
    BUNDLE_ALIGN = 64,
    BUNDLE_PREFIX = 64,
    BUNDLE_MAX_HEADER = 16 << 20,
    BUNDLE_MAX_SECTIONS = 65536,
    BUNDLE_MAX_NAME = 1024, /* of a section; each part between '/' has 255 at most */
    BUNDLE_ID = 33 /* hexadecimal digits and the final 0 */
};

enum section_type {
    SECTION_U8,
    SECTION_U32,
    SECTION_U64,
    SECTION_I64,
    SECTION_F32,
    SECTION_F64,
    SECTION_F16,
    SECTION_I8,
    SECTION_TYPES
};
const char *section_type_name(enum section_type t);
size_t section_type_bytes(enum section_type t);

struct bundle_section {
    const char *name;
    enum section_type type;
    size_t rows, cols; /* cols 0: one-dimensional */
    uint64_t offset, bytes;
    uint64_t checksum; /* XXH3-64 */
    const void *data;  /* mapped */
};

struct bundle {
    struct arena *arena;
    const struct node *header; /* the whole of it */
    const char *path;          /* of the file */
    char id[BUNDLE_ID];
    const char *settings; /* flow text */
    struct bundle_section *sections;
    size_t n_sections;
    const unsigned char *map;
    uint64_t bytes;
};

enum bundle_checks {
    BUNDLE_CHECK_ALL,  /* every section's checksum */
    BUNDLE_CHECK_SMALL /* those of sections up to BUNDLE_SMALL bytes: opening big tables
                          takes no time, and damage in them is not noticed */
};
enum { BUNDLE_SMALL = 16 << 20 };

/* path: a bundle's file, a folder that holds BUNDLE_FILE, or a folder of versions (the
 * one with the highest number). ST_NOINPUT when there is none, ST_DATA when it is damaged
 * or of another version: the text names the check. */
enum status bundle_open(const char *path, enum bundle_checks checks, struct bundle **out,
                        struct error *err) MUST_USE;
void bundle_close(struct bundle *b);

/* NULL when there is none. */
const struct bundle_section *bundle_find(const struct bundle *b, const char *name);
/* Is every number of a section finite? Whole numbers are. */
bool bundle_is_finite(const struct bundle_section *s);
/* A whole number below 2^63, without sign, blanks or zeros in front. */
bool bundle_whole(const struct node *n, uint64_t *out);
/* Text or number of the header; ST_DATA when it is missing or of another kind. */
enum status bundle_text(const struct bundle *b, const char *key, const char **out,
                        struct error *err) MUST_USE;
enum status bundle_number(const struct bundle *b, const char *key, uint64_t *out,
                          struct error *err) MUST_USE;

#endif
