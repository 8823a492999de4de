#include "data/source_archive.h"

#include <stdio.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "common/base/mem.h"
#include "data/gzip_check.h"

enum { READ_BLOCK = 256 * 1024 };

struct source_archive {
    struct archive *archive;
    const char *block; /* decompressed, libarchive's */
    size_t n_block, used;
    bool ended;
    bool damaged;
    bool is_gzip; /* and nothing else around or inside */
    struct gzip_check gzip;
    char reason[128];
};

static const struct {
    const char *name;
    unsigned char magic[6];
    size_t n;
} known[] = {
    {"gzip", {0x1f, 0x8b}, 2},
    {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4},
    {"lz4", {0x04, 0x22, 0x4d, 0x18}, 4},
    {"lz4 (legacy)", {0x02, 0x21, 0x4c, 0x18}, 4},
    {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6},
    {"bzip2", {'B', 'Z', 'h'}, 3},
};

bool source_archive_knows(const unsigned char *head, size_t n)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n >= known[i].n && memcmp(head, known[i].magic, known[i].n) == 0) return true;
    return false;
}

/* The stream ends here for us, with the reason libarchive gives. */
static void set_damaged(struct source_archive *a)
{
    const char *why = archive_error_string(a->archive);
    snprintf(a->reason, sizeof a->reason, "%s",
             why ? why : "compressed stream is damaged");
    a->damaged = true;
}

static bool set_up(struct archive *a)
{
    /* A filter missing from this build of libarchive gives ARCHIVE_WARN: it
     * would start an external program. */
    return archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
           archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
           archive_read_support_filter_lz4(a) == ARCHIVE_OK &&
           archive_read_support_filter_xz(a) == ARCHIVE_OK &&
           archive_read_support_filter_bzip2(a) == ARCHIVE_OK &&
           archive_read_support_format_raw(a) == ARCHIVE_OK &&
           archive_read_support_format_empty(a) == ARCHIVE_OK;
}

enum status source_archive_open(const char *path, int fd, struct source_archive **out,
                                struct error *err)
{
    struct source_archive *a = mem_zeroed(1, sizeof *a);
    if (!a) return mem_error(err, "decompression", sizeof *a);
    a->archive = archive_read_new();
    if (!a->archive) {
        mem_free(a);
        return mem_error(err, "decompression", 0);
    }
    if (!set_up(a->archive)) {
        error_set(err, ST_INTERNAL, "%s: libarchive lacks a compression: %s", path,
                  archive_error_string(a->archive));
        source_archive_close(a);
        return ST_INTERNAL;
    }
    struct archive_entry *entry;
    int got = archive_read_open_fd(a->archive, fd, READ_BLOCK);
    if (got == ARCHIVE_OK) got = archive_read_next_header(a->archive, &entry);
    if (got == ARCHIVE_EOF)
        a->ended = true;
    else if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
        set_damaged(a);
    a->is_gzip = archive_filter_code(a->archive, 0) == ARCHIVE_FILTER_GZIP &&
                 archive_filter_code(a->archive, 1) == ARCHIVE_FILTER_NONE;
    if (a->is_gzip) gzip_check_begin(&a->gzip, fd);
    *out = a;
    return ST_OK;
}

void source_archive_close(struct source_archive *a)
{
    if (!a) return;
    archive_read_free(a->archive);
    mem_free(a);
}

static void next_block(struct source_archive *a)
{
    const void *block;
    la_int64_t offset;
    a->used = a->n_block = 0;
    int got = archive_read_data_block(a->archive, &block, &a->n_block, &offset);
    a->block = block;
    if (got == ARCHIVE_EOF) {
        a->n_block = 0;
        a->ended = !a->is_gzip || gzip_check_holds(&a->gzip);
        if (a->ended) return;
        a->damaged = true;
        snprintf(a->reason, sizeof a->reason, "gzip: checksum or length differs from the file's end");
    } else if (got != ARCHIVE_OK && got != ARCHIVE_WARN) {
        set_damaged(a);
        a->n_block = 0;
    } else if (a->is_gzip) {
        gzip_check_add(&a->gzip, a->block, a->n_block);
    }
}

void source_archive_read(struct source_archive *a, char *to, size_t capacity, size_t *n,
                         const char **damage)
{
    *n = 0;
    while (a->used == a->n_block && !a->ended && !a->damaged) next_block(a);
    if (a->damaged) *damage = a->reason;
    size_t left = a->n_block - a->used;
    *n = left < capacity ? left : capacity;
    if (*n) memcpy(to, a->block + a->used, *n);
    a->used += *n;
}

uint64_t source_archive_bytes_in(const struct source_archive *a)
{
    la_int64_t n = archive_filter_bytes(a->archive, -1);
    return n > 0 ? (uint64_t)n : 0;
}
