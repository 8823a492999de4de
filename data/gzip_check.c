#include "data/gzip_check.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRAILER = 8, HEADER = 10, WINDOW = 64 * 1024 };

static uint32_t number(const unsigned char *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* table[k][b]: what byte b does to the CRC when k bytes follow it in one group of 8. */
static void fill_table(struct gzip_check *c)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t x = b;
        for (int i = 0; i < 8; i++) x = x & 1 ? x >> 1 ^ UINT32_C(0xedb88320) : x >> 1;
        c->table[0][b] = x;
    }
    for (size_t k = 1; k < 8; k++)
        for (size_t b = 0; b < 256; b++) {
            uint32_t x = c->table[k - 1][b];
            c->table[k][b] = x >> 8 ^ c->table[0][x & 0xff];
        }
}

void gzip_check_begin(struct gzip_check *c, int fd)
{
    struct stat st;
    *c = (struct gzip_check){.fd = fd};
    if (fstat(fd, &st) == 0 && st.st_size > 0) c->file_bytes = (uint64_t)st.st_size;
    fill_table(c);
}

void gzip_check_add(struct gzip_check *c, const void *data, size_t n)
{
    const unsigned char *b = data;
    uint32_t x = ~c->crc;
    c->n += n;
    for (; n >= 8; n -= 8, b += 8) {
        uint32_t low = x ^ number(b), high = number(b + 4);
        x = c->table[7][low & 0xff] ^ c->table[6][low >> 8 & 0xff] ^
            c->table[5][low >> 16 & 0xff] ^ c->table[4][low >> 24] ^
            c->table[3][high & 0xff] ^ c->table[2][high >> 8 & 0xff] ^
            c->table[1][high >> 16 & 0xff] ^ c->table[0][high >> 24];
    }
    for (; n; n--, b++) x = x >> 8 ^ c->table[0][(x ^ *b) & 0xff];
    c->crc = ~x;
}

/* Magic, deflate, no reserved flag, and the two bytes that writers fill from a short list. */
static bool is_header(const unsigned char *b)
{
    bool speed = b[8] == 0 || b[8] == 2 || b[8] == 4, system = b[9] <= 13 || b[9] == 255;
    return b[0] == 0x1f && b[1] == 0x8b && b[2] == 8 && !(b[3] & 0xe0) && speed && system;
}

/* Does a second stream begin somewhere? Compressed bytes look like a header by chance at one
 * place in 2^37. */
static bool has_another_stream(const struct gzip_check *c)
{
    unsigned char window[WINDOW];
    for (uint64_t at = 1; at + HEADER <= c->file_bytes;) {
        ssize_t got = pread(c->fd, window, sizeof window, (off_t)at);
        if (got < HEADER) return true; /* it cannot be told */
        for (ssize_t i = 0; i + HEADER <= got; i++)
            if (is_header(window + i)) return true;
        at += (uint64_t)got - HEADER + 1;
    }
    return false;
}

bool gzip_check_holds(const struct gzip_check *c)
{
    unsigned char end[TRAILER];
    if (c->file_bytes < TRAILER ||
        pread(c->fd, end, TRAILER, (off_t)(c->file_bytes - TRAILER)) != TRAILER)
        return true;
    if (number(end) == c->crc && number(end + 4) == (uint32_t)c->n) return true;
    return has_another_stream(c);
}
