/* YAML text -> tree. The only user of libfyaml. */
#ifndef MTPS_CONFIG_YAML_H
#define MTPS_CONFIG_YAML_H

#include "common/config/node.h"

enum {
    YAML_MAX_BYTES = 1024 * 1024, /* of one file */
    YAML_MAX_LINE = 64 * 1024,
    YAML_MAX_DEPTH = 16,
    YAML_MAX_NODES = 200000, /* after aliases: a short text may name a huge tree */
};

/* Parse one document. An empty text is an empty mapping. Anchors, aliases and
 * merge keys (<<) are resolved here; a key written twice is an error.
 *   file   name for origins, must live as long as the tree
 *   lines  false: origins carry the file alone (--set values)
 * ST_USAGE with "file:line:column: ...". */
enum status yaml_parse(struct arena *a, const char *text, size_t n, const char *file,
                       bool lines, struct node **out, struct error *err) MUST_USE;

/* Read and parse a file. ST_NOINPUT when it cannot be read. */
enum status yaml_read(struct arena *a, const char *file, struct node **out,
                      struct error *err) MUST_USE;

#endif
