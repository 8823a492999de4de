#include "data/source_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/input.h"
#include "common/base/mem.h"
#include "data/source_archive.h"

enum { HEAD = 6, LATIN1_BLOCK = 64 * 1024 };

struct source_file {
    const char *path;
    int fd;
    struct source_archive *archive; /* NULL: plain */
    uint64_t bytes_in;              /* plain */
    bool at_start;
    char *latin1; /* [LATIN1_BLOCK] bytes before conversion, NULL: none needed */
};

/* The first bytes tell the compression; then the file starts again. */
static enum status look_at_head(struct source_file *f, struct error *err)
{
    unsigned char head[HEAD];
    ssize_t n = pread(f->fd, head, sizeof head, 0);
    if (n < 0) return error_set(err, ST_NOINPUT, "%s: %s", f->path, strerror(errno));
    if (!source_archive_knows(head, (size_t)n)) return ST_OK;
    return source_archive_open(f->path, f->fd, &f->archive, err);
}

enum status source_file_open(const char *path, bool latin1, struct source_file **out,
                             struct error *err)
{
    struct source_file *f = mem_zeroed(1, sizeof *f);
    if (!f) return mem_error(err, "input file", sizeof *f);
    *f = (struct source_file){.path = path, .at_start = true};
    const char *why;
    f->fd = input_open(path, &why);
    if (f->fd < 0) {
        error_set(err, ST_NOINPUT, "%s: %s", path, why);
        source_file_close(f);
        return ST_NOINPUT;
    }
    enum status st = look_at_head(f, err);
    if (st == ST_OK && latin1) {
        f->latin1 = mem_alloc(LATIN1_BLOCK);
        if (!f->latin1) st = mem_error(err, path, LATIN1_BLOCK);
    }
    if (st != ST_OK) {
        source_file_close(f);
        return st;
    }
    *out = f;
    return ST_OK;
}

void source_file_close(struct source_file *f)
{
    if (!f) return;
    source_archive_close(f->archive);
    if (f->fd >= 0) close(f->fd);
    mem_free(f->latin1);
    mem_free(f);
}

static enum status read_bytes(struct source_file *f, char *to, size_t capacity, size_t *n,
                              const char **damage, struct error *err)
{
    if (f->archive) {
        source_archive_read(f->archive, to, capacity, n, damage);
        return ST_OK;
    }
    ssize_t got;
    do got = read(f->fd, to, capacity);
    while (got < 0 && errno == EINTR);
    if (got < 0) return error_set(err, ST_IO, "%s: %s", f->path, strerror(errno));
    *n = (size_t)got;
    f->bytes_in += *n;
    return ST_OK;
}

/* Cut the UTF-8 byte order mark off the first block, which is longer than it
 * unless the file is. */
static size_t cut_mark(char *s, size_t n)
{
    if (n < 3 || memcmp(s, "\xef\xbb\xbf", 3) != 0) return n;
    memmove(s, s + 3, n - 3);
    return n - 3;
}

/* Every latin1 byte is the code point of the same number. */
static size_t latin1_to_utf8(const char *from, size_t n, char *to)
{
    char *at = to;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)from[i];
        if (c < 0x80) {
            *at++ = (char)c;
        } else {
            *at++ = (char)(0xc0 | c >> 6);
            *at++ = (char)(0x80 | (c & 0x3f));
        }
    }
    return (size_t)(at - to);
}

enum status source_file_read(struct source_file *f, char *to, size_t capacity, size_t *n,
                             const char **damage, struct error *err)
{
    char *block = f->latin1 ? f->latin1 : to;
    size_t room = capacity;
    if (f->latin1) room = capacity / 2 < LATIN1_BLOCK ? capacity / 2 : LATIN1_BLOCK;
    *n = 0;
    TRY(read_bytes(f, block, room, n, damage, err));
    if (f->at_start && *n) {
        f->at_start = false;
        *n = cut_mark(block, *n); /* 0 when the file is nothing but the mark */
    }
    if (f->latin1) *n = latin1_to_utf8(block, *n, to);
    return ST_OK;
}

uint64_t source_file_bytes_in(const struct source_file *f)
{
    return f->archive ? source_archive_bytes_in(f->archive) : f->bytes_in;
}
