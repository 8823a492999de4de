/* JSON written into a request's memory. Commas are put by the writer; after a failed
 * allocation nothing is added and `failed` stays. */
#ifndef MTPS_SERVE_HTTP_JSONOUT_H
#define MTPS_SERVE_HTTP_JSONOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "data/text.h"
#include "serve/http/pad.h"

struct jsonout {
    struct pad *pad;
    char *text;
    size_t n, max;
    bool failed;
    bool comma; /* the next value has one in front of it */
};

void jsonout_open(struct jsonout *w, struct pad *pad);
/* bracket: '{', '}', '[' or ']' */
void jsonout_begin(struct jsonout *w, char bracket);
void jsonout_finish(struct jsonout *w, char bracket);
void jsonout_key(struct jsonout *w, const char *key);
/* A byte that is no UTF-8 becomes U+FFFD. */
void jsonout_string(struct jsonout *w, struct text t);
void jsonout_word(struct jsonout *w, const char *text); /* true, false, null */
void jsonout_whole(struct jsonout *w, uint64_t v);
/* Nine digits, which read back as the same float; null when it is not finite. */
void jsonout_float(struct jsonout *w, float v);

/* "key":value */
void jsonout_text_of(struct jsonout *w, const char *key, const char *text);
void jsonout_whole_of(struct jsonout *w, const char *key, uint64_t v);

/* Bytes as they are, at the end. */
void jsonout_raw(struct jsonout *w, const void *bytes, size_t n);

#endif
