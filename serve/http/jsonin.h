/* JSON (RFC 8259) read in one pass over the bytes of a request, without a tree and
 * without memory: the caller asks for what it expects, texts are decoded in place, whole
 * numbers of any size stay exact.
 *
 *   jsonin_object(r);
 *   while (jsonin_key(r, &key))
 *       if (...) jsonin_string(r, &value); else jsonin_skip(r);
 *   jsonin_end(r);
 *   if (r->why) ... jsonin_error(r, text)
 *
 * After the first fault every function fails and r->why stays, so that a loop may be left
 * unchecked until its end. Safe on any bytes; strict: one value, UTF-8, no comment, no
 * NaN, at most JSONIN_DEPTH levels. Keys that stand twice are the caller's to find. */
#ifndef MTPS_SERVE_HTTP_JSONIN_H
#define MTPS_SERVE_HTTP_JSONIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "data/text.h"

enum { JSONIN_DEPTH = 16 };

enum jsonin_kind {
    JSONIN_NOTHING, /* no value stands here */
    JSONIN_NULL,
    JSONIN_BOOL,
    JSONIN_NUMBER,
    JSONIN_STRING,
    JSONIN_ARRAY,
    JSONIN_OBJECT
};

struct jsonin {
    char *text; /* text[n] must be readable and 0 */
    size_t n, at;
    const char *why; /* NULL: well so far */
    int depth;
    uint32_t begun; /* bit d: level d has an element */
    bool unread;    /* jsonin_skip_unread */
};

/* A whole number keeps its digits; others are a double. */
struct jsonin_number {
    bool whole;
    bool fits; /* whole: it is `integer` */
    int64_t integer;
    double real; /* also of whole ones */
    struct text digits;
};

void jsonin_open(struct jsonin *r, char *text, size_t n);
/* Kind of the value that comes next. */
enum jsonin_kind jsonin_peek(struct jsonin *r);

/* Enter; then key or item say whether there is another one, and leave at the end. */
bool jsonin_object(struct jsonin *r);
bool jsonin_key(struct jsonin *r, struct text *key);
bool jsonin_array(struct jsonin *r);
bool jsonin_item(struct jsonin *r);

bool jsonin_null(struct jsonin *r);
bool jsonin_bool(struct jsonin *r, bool *out);
bool jsonin_number(struct jsonin *r, struct jsonin_number *out);
/* Changes the bytes of the text: a string can be read once. */
bool jsonin_string(struct jsonin *r, struct text *out);
/* Any value, checked but left as it is: a copy of *r that was made before can read it
 * later. */
bool jsonin_skip(struct jsonin *r);
/* The same of a value that will be read: NaN, Infinity and numbers that are too large are
 * passed over, so that reading can refuse them where their place has a name. */
bool jsonin_skip_unread(struct jsonin *r);

/* Nothing but space is left. */
bool jsonin_end(struct jsonin *r);

/* Fault of the caller's own ("a number is expected"), at the present byte. Gives false. */
bool jsonin_fault(struct jsonin *r, const char *why);
/* "byte N: why", ST_DATA. */
enum status jsonin_error(const struct jsonin *r, struct error *err);

#endif
