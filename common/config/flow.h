/* Text in flow form -> tree, and back: JSON, and YAML's [a, b] and {key: value} with
 * plain words. For texts that programs write (defaults of the option table, headers of
 * bundles); safe on any bytes. */
#ifndef MTPS_CONFIG_FLOW_H
#define MTPS_CONFIG_FLOW_H

#include "common/config/buffer.h"
#include "common/config/node.h"

enum { FLOW_MAX_DEPTH = 24, FLOW_MAX_NODES = 400000 };

/* One value and nothing behind it. Strings in double quotes have the escapes of JSON
 * and \\xHH; a character 0, a key that stands twice, more than FLOW_MAX_DEPTH levels or
 * FLOW_MAX_NODES nodes are errors. Origins carry name alone, which must live as long as
 * the tree. ST_USAGE with "NAME: byte N: ...". */
enum status flow_parse(struct arena *a, const char *text, size_t n, const char *name,
                       struct node **out, struct error *err) MUST_USE;

/* Writes what reads back as the same tree. A string's quotes stay, a plain word
 * without odd characters stays plain. */
void flow_put(struct buffer *out, const struct node *node);
/* A text in double quotes, as JSON wants it. */
void flow_put_string(struct buffer *out, const char *text);

#endif
