/* Small questions about pieces of text. */
#ifndef MTPS_DATA_RAW_TEXT_H
#define MTPS_DATA_RAW_TEXT_H

#include <stdbool.h>
#include <string.h>

#include "common/config/settings.h"
#include "data/text.h"

static inline bool raw_text_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline bool raw_text_equal(struct text a, struct text b)
{
    return a.n == b.n && memcmp(a.s, b.s, a.n) == 0;
}

static inline struct text raw_text_of(const char *s)
{
    return (struct text){s, strlen(s)};
}

/* Without blanks (space, tab) at both ends. */
struct text raw_text_trim(struct text t);
/* Is t one of the texts that mean missing? */
bool raw_text_in(const struct list_cfg *list, struct text t);
/* Well-formed UTF-8: no over-long forms, no surrogates. */
bool raw_text_is_utf8(struct text t);
/* Bytes of the UTF-8 character at the start of t, 0 when it is none. */
size_t raw_text_character(struct text t);

/* A printable form for messages: other bytes as \xHH, cut to about `columns`
 * characters with "..." behind. Always ends with 0. */
void raw_text_print(struct text t, size_t columns, char *out, size_t size);

#endif
