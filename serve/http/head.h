/* The head of a request: what is none, what could be read in two ways, what is too large.
 * Texts are borrowed. */
#ifndef MTPS_SERVE_HTTP_HEAD_H
#define MTPS_SERVE_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HEAD_REQUEST_LINE = 4096, /* bytes; 414 */
    HEAD_BYTES = 16384,       /* with the request line; 431 */
    HEAD_HEADERS = 100        /* 431 */
};

struct head {
    const char *method, *version;
    size_t line;      /* bytes of the address as sent */
    size_t bytes;     /* of the whole head, as received */
    bool is_in_place; /* names and values lie where they were received: `bytes` can be checked */
    bool odd;         /* something that may not stand where it does */
    /* by head_add */
    size_t n, lines; /* headers, and bytes of them in well-formed lines */
    size_t n_lengths, n_hosts;
    const char *length, *encoding, *type, *coding, *json;
};

/* A header, in the order received; value may be NULL. */
void head_add(struct head *h, const char *name, const char *value);

/* Bytes of head and body, as the head promises; UINT64_MAX when it does not say. */
uint64_t head_promised(const struct head *h);
/* 200, or the status that refuses it and why. */
int head_check(const struct head *h, const char **why);
/* The body that the head promises, of a request that must have one or need not: its length
 * and, of that, the bytes of JSON in front of tensors. */
int head_check_body(const struct head *h, bool must, size_t max_body, size_t *length, size_t *json, const char **why);

#endif
