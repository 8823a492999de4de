/* Closing without a loss. A connection that is closed while its client still sends is reset,
 * which can destroy the answer before the client reads it. So a connection whose request was
 * refused is closed for writing only; what still comes is read and dropped until the client
 * ends it, too. A thread does so for all of them, within bounds of time, bytes and number. */
#ifndef MTPS_SERVE_HTTP_CLOSING_H
#define MTPS_SERVE_HTTP_CLOSING_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

enum {
    CLOSING_MOST = 64,        /* connections at once; more are closed at once */
    CLOSING_BYTES = 64 << 20 /* of each */
};

struct closing;
enum status closing_create(unsigned seconds, struct closing **out, struct error *err) MUST_USE;
void closing_destroy(struct closing *c); /* closes what is left; NULL is fine */

/* A socket whose answer is sent and which its owner is about to close. promised: bytes that
 * its client announced in all, UINT64_MAX when that is not known; nothing is to be done when
 * they came and were read. Any thread. */
void closing_add(struct closing *c, int fd, uint64_t promised);

#endif
