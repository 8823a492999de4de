/* SHA-256 (FIPS 180-4) in plain C, for what needs nothing but the C library. Files, which are
 * large, go through libcrypto (common/store/file.h). */
#ifndef MTPS_BASE_SHA256_H
#define MTPS_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_DIGEST = 32, SHA256_BLOCK = 64 };

struct sha256 {
    uint32_t h[8];
    uint64_t n; /* bytes so far */
    unsigned char block[SHA256_BLOCK];
};
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t n);
/* The digest of everything that was added; s is used up. */
void sha256_end(struct sha256 *s, unsigned char digest[SHA256_DIGEST]);

#endif
