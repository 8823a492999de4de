/* Writing a bundle: the sections are declared first, then filled in any order, each from
 * its start to its end, piece by piece; the header comes last. Memory is bounded by the
 * sections that are being filled. */
#ifndef MTPS_SERVE_BUNDLE_WRITE_H
#define MTPS_SERVE_BUNDLE_WRITE_H

#include "common/config/buffer.h"
#include "serve/bundle.h"

/* Sections that a bundle will have. Name, type, rows and cols count. */
struct bundle_plan {
    struct arena *arena; /* owns the names */
    struct bundle_section *sections;
    size_t n, max;
};
enum status bundle_plan_init(struct bundle_plan *p, struct error *err) MUST_USE;
void bundle_plan_close(struct bundle_plan *p);
enum status bundle_plan_add(struct bundle_plan *p, const char *name, enum section_type type,
                            size_t rows, size_t cols, struct error *err) MUST_USE;

struct bundle_writer;
/* Makes the file, which must not exist, with room for everything. The plan is sorted and
 * borrowed. head: members of the header as JSON, without braces. */
enum status bundle_writer_create(const char *path, struct bundle_plan *plan, const char *head,
                                 struct bundle_writer **out, struct error *err) MUST_USE;
/* More bytes of a section, behind those it has. */
enum status bundle_writer_add(struct bundle_writer *w, const char *name, const void *data,
                              size_t bytes, struct error *err) MUST_USE;
/* Header, sync, close; every section must be full. Always frees. */
enum status bundle_writer_finish(struct bundle_writer *w, char id[BUNDLE_ID],
                                 struct error *err) MUST_USE;
/* Gives up; the file stays. */
void bundle_writer_destroy(struct bundle_writer *w);
uint64_t bundle_writer_bytes(const struct bundle_writer *w); /* of the file */

#endif
