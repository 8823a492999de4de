/* UTF-8, RFC 3629. */
#ifndef MTPS_BASE_UTF8_H
#define MTPS_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { UTF8_MAX = 4 };

/* Bytes of a code point of at most 0x10FFFF at out[UTF8_MAX]; gives their number. Surrogates are
 * the caller's business. */
size_t utf8_put(uint32_t code, char *out);

#endif
