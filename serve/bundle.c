#include "serve/bundle_layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/sha256.h"
#include "common/config/flow.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bundles are read in place");

static const struct {
    const char *name;
    size_t bytes;
} types[SECTION_TYPES] = {{"u8", 1},  {"u32", 4}, {"u64", 8}, {"i64", 8},
                          {"f32", 4}, {"f64", 8}, {"f16", 2}, {"i8", 1}};

const char *section_type_name(enum section_type t)
{
    return types[t].name;
}

size_t section_type_bytes(enum section_type t)
{
    return types[t].bytes;
}

bool bundle_section_bytes(const struct bundle_section *s, uint64_t *out)
{
    return !__builtin_mul_overflow((uint64_t)s->rows, s->cols ? s->cols : 1, out) &&
           !__builtin_mul_overflow(*out, section_type_bytes(s->type), out) &&
           *out <= INT64_MAX;
}

/* A number is infinite or NaN when all bits of its exponent are 1. Without branches: big tables
 * are read as fast as memory is. */
#define ALL_FINITE(type, exponent)                                     \
    static bool all_finite_##type(const type *bits, size_t n)          \
    {                                                                  \
        type bad = 0;                                                  \
        for (size_t i = 0; i < n; i++) bad |= (bits[i] & (exponent)) == (exponent); \
        return !bad;                                                   \
    }
ALL_FINITE(uint16_t, 0x7c00)
ALL_FINITE(uint32_t, 0x7f800000)
ALL_FINITE(uint64_t, 0x7ff0000000000000)

bool bundle_is_finite(const struct bundle_section *s)
{
    size_t n = s->bytes / section_type_bytes(s->type);
    if (s->type == SECTION_F16) return all_finite_uint16_t(s->data, n);
    if (s->type == SECTION_F32) return all_finite_uint32_t(s->data, n);
    return s->type != SECTION_F64 || all_finite_uint64_t(s->data, n);
}

static enum status damaged(const struct bundle *b, struct error *err, const char *what)
{
    return error_set(err, ST_DATA, "%s: %s", b->path, what);
}

/* ---- the file ---- */

/* The highest number among the names in a folder; 0 when there is none. */
static unsigned long newest_version(const char *path)
{
    unsigned long best = 0;
    DIR *d = opendir(path);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        char *end;
        unsigned long v = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? strtoul(e->d_name, &end, 10) : 0;
        if (v > best && v < ULONG_MAX && !*end) best = v;
    }
    if (d) closedir(d);
    return best;
}

static enum status find_file(const char *path, char *out, size_t size, struct error *err)
{
    struct stat s;
    if (stat(path, &s)) {
        error_set(err, ST_NOINPUT, "%s: cannot open it: %s", path, strerror(errno));
        return error_hint(err, ST_NOINPUT, "name what 'mtps export -o' wrote: %s, the folder of a version or that of versions", BUNDLE_FILE);
    }
    int n = snprintf(out, size, "%s", path);
    if (S_ISDIR(s.st_mode)) {
        n = snprintf(out, size, "%s/%s", path, BUNDLE_FILE);
        if (n > 0 && (size_t)n < size && access(out, F_OK)) {
            unsigned long version = newest_version(path);
            if (!version) {
                error_set(err, ST_NOINPUT, "%s: neither %s nor a folder of a version is in it", path,
                          BUNDLE_FILE);
                return error_hint(err, ST_NOINPUT, "'mtps export --ckpt PATH -o %s' makes one", path);
            }
            n = snprintf(out, size, "%s/%lu/%s", path, version, BUNDLE_FILE);
        }
    }
    if (n > 0 && (size_t)n < size) return ST_OK;
    return error_set(err, ST_NOINPUT, "%s: the path is too long", path);
}

static enum status map_fd(struct bundle *b, int fd, struct error *err)
{
    struct stat s;
    if (fstat(fd, &s) || !S_ISREG(s.st_mode)) return error_set(err, ST_NOINPUT, "%s: not a regular file", b->path);
    b->bytes = (uint64_t)s.st_size;
    if (b->bytes < BUNDLE_PREFIX) return damaged(b, err, "shorter than a bundle's first 64 bytes");
    void *map = mmap(NULL, b->bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return error_set(err, ST_IO, "%s: cannot map %llu bytes: %s", b->path, (unsigned long long)b->bytes,
                         strerror(errno));
    b->map = map;
    return ST_OK;
}

static enum status map_file(struct bundle *b, struct error *err)
{
    /* Neither a link nor a pipe that would wait. */
    int fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return error_set(err, ST_NOINPUT, "%s: cannot open it: %s", b->path, strerror(errno));
    enum status st = map_fd(b, fd, err);
    close(fd);
    return st;
}

/* ---- the header ---- */

static bool all_zero(const void *bytes, size_t n)
{
    const unsigned char *c = bytes;
    for (size_t i = 0; i < n; i++)
        if (c[i]) return false;
    return true;
}

static enum status read_prefix(struct bundle *b, struct bundle_prefix *p, struct error *err)
{
    memcpy(p, b->map, sizeof *p);
    if (memcmp(p->magic, bundle_magic, sizeof p->magic) != 0) return damaged(b, err, "not a bundle: the first 8 bytes differ");
    if (p->version != BUNDLE_VERSION)
        return error_set(err, ST_DATA, "%s: bundle version %llu, this program reads %d", b->path,
                         (unsigned long long)p->version, BUNDLE_VERSION);
    if (!all_zero(p->zero, sizeof p->zero)) return damaged(b, err, "reserved bytes of the prefix are not 0");
    if (p->file_bytes != b->bytes)
        return error_set(err, ST_DATA, "%s: %llu bytes long, the prefix says %llu", b->path,
                         (unsigned long long)b->bytes, (unsigned long long)p->file_bytes);
    if (p->header_bytes > BUNDLE_MAX_HEADER || p->header_bytes > b->bytes - BUNDLE_PREFIX)
        return damaged(b, err, "the header is longer than the file or than 16 MiB");
    const unsigned char *text = b->map + BUNDLE_PREFIX;
    if (hash_bytes(text, p->header_bytes, 0) != p->header_checksum)
        return damaged(b, err, "checksum of the header");
    return ST_OK;
}

static enum status header_fault(const struct bundle *b, const char *key, const char *what,
                                struct error *err)
{
    return error_set(err, ST_DATA, "%s: header: %s: %s", b->path, key, what);
}

enum status bundle_text(const struct bundle *b, const char *key, const char **out,
                        struct error *err)
{
    const struct node *n = node_get(b->header, key);
    if (!n || n->kind != NODE_SCALAR || n->plain) return header_fault(b, key, "a text is expected", err);
    *out = n->text;
    return ST_OK;
}

bool bundle_whole(const struct node *n, uint64_t *out)
{
    if (!n || n->kind != NODE_SCALAR || !n->plain) return false;
    uint64_t v = 0;
    for (const char *c = n->text; *c; c++) {
        unsigned digit = (unsigned)(unsigned char)*c - '0';
        if (digit > 9 || v > ((uint64_t)INT64_MAX - digit) / 10) return false;
        v = 10 * v + digit;
    }
    *out = v;
    return n->text[0] != '0' || !n->text[1];
}

enum status bundle_number(const struct bundle *b, const char *key, uint64_t *out,
                          struct error *err)
{
    return bundle_whole(node_get(b->header, key), out)
               ? ST_OK
               : header_fault(b, key, "a whole number is expected", err);
}

static bool hex16(const struct node *n, uint64_t *out)
{
    if (!n || n->kind != NODE_SCALAR || strlen(n->text) != 16) return false;
    *out = 0;
    for (const char *c = n->text; *c; c++) {
        bool digit = *c >= '0' && *c <= '9', letter = *c >= 'a' && *c <= 'f';
        if (!digit && !letter) return false;
        *out = *out << 4 | (uint64_t)(digit ? *c - '0' : *c - 'a' + 10);
    }
    return true;
}

bool bundle_good_name(const char *name)
{
    enum { MAX_PART = 255 };
    if (strlen(name) > BUNDLE_MAX_NAME) return false;
    for (const char *part = name;; part++) {
        size_t n = strcspn(part, "/");
        bool dots = (n == 1 || n == 2) && !strncmp(part, "..", n);
        if (!n || n > MAX_PART || dots) return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)part[i] < ' ') return false;
        part += n;
        if (!*part) return true;
    }
}

bool bundle_header_id(const char *header, size_t n, char id[BUNDLE_ID])
{
    enum { HEAD = sizeof BUNDLE_HEAD - 1, DIGITS = BUNDLE_ID - 1 };
    static const char digits[] = "0123456789abcdef";
    char zeros[DIGITS];
    unsigned char digest[SHA256_DIGEST];
    struct sha256 s;
    if (n < HEAD + DIGITS || memcmp(header, BUNDLE_HEAD, HEAD) != 0) return false;
    memset(zeros, '0', sizeof zeros);
    sha256_init(&s);
    sha256_add(&s, header, HEAD);
    sha256_add(&s, zeros, sizeof zeros);
    sha256_add(&s, header + HEAD + DIGITS, n - HEAD - DIGITS);
    sha256_end(&s, digest);
    for (size_t i = 0; i < DIGITS; i++) id[i] = digits[i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
    id[DIGITS] = '\0';
    return true;
}

/* ---- sections ---- */

static enum status section_fault(const struct bundle *b, size_t i, const char *what,
                                 struct error *err)
{
    const char *name = b->sections[i].name;
    return error_set(err, ST_DATA, "%s: section %zu (%.100s): %s", b->path, i, name ? name : "?", what);
}

static bool read_type(const struct node *n, enum section_type *out)
{
    for (size_t t = 0; n && n->kind == NODE_SCALAR && t < SECTION_TYPES; t++) {
        if (strcmp(n->text, types[t].name) != 0) continue;
        *out = (enum section_type)t;
        return true;
    }
    return false;
}

/* [name, type, rows, cols, checksum] */
static enum status read_section(struct bundle *b, const struct node *list, size_t i,
                                uint64_t *at, struct error *err)
{
    struct bundle_section *s = &b->sections[i];
    const struct node *e = list->items[i];
    uint64_t rows, cols, limit = UINT64_C(1) << 40;
    if (e->kind != NODE_LIST || e->n != 5) return section_fault(b, i, "five values are expected", err);
    if (e->items[0]->kind != NODE_SCALAR || !bundle_good_name(e->items[0]->text))
        return section_fault(b, i, "not a name", err);
    s->name = e->items[0]->text;
    if (i && strcmp(b->sections[i - 1].name, s->name) >= 0)
        return section_fault(b, i, "names are not in strictly increasing order", err);
    if (!read_type(e->items[1], &s->type)) return section_fault(b, i, "unknown type", err);
    if (!bundle_whole(e->items[2], &rows) || !bundle_whole(e->items[3], &cols) || rows > limit || cols > limit)
        return section_fault(b, i, "not a shape", err);
    s->rows = rows;
    s->cols = cols;
    if (!hex16(e->items[4], &s->checksum)) return section_fault(b, i, "not a checksum", err);
    s->offset = *at;
    if (!bundle_section_bytes(s, &s->bytes) || s->bytes > b->bytes - *at)
        return section_fault(b, i, "does not fit the file", err);
    s->data = b->map + *at;
    uint64_t end = s->offset + s->bytes;
    *at = bundle_align(end);
    if (*at > b->bytes) return section_fault(b, i, "the file ends before its padding", err);
    if (!all_zero(b->map + end, *at - end)) return section_fault(b, i, "bytes behind it are not 0", err);
    return ST_OK;
}

static enum status read_sections(struct bundle *b, uint64_t at, struct error *err)
{
    const struct node *list = node_get(b->header, "sections");
    if (!list || list->kind != NODE_LIST || list->n > BUNDLE_MAX_SECTIONS)
        return header_fault(b, "sections", "a list of at most 65536 is expected", err);
    b->n_sections = list->n;
    b->sections = arena_take(b->arena, list->n + 1, sizeof *b->sections);
    if (!b->sections) return mem_error(err, b->path, list->n * sizeof *b->sections);
    for (size_t i = 0; i < list->n; i++) TRY(read_section(b, list, i, &at, err));
    return at == b->bytes ? ST_OK : damaged(b, err, "bytes follow the last section");
}

static enum status check_sections(const struct bundle *b, enum bundle_checks checks,
                                  struct error *err)
{
    for (size_t i = 0; i < b->n_sections; i++) {
        const struct bundle_section *s = &b->sections[i];
        if (checks == BUNDLE_CHECK_SMALL && s->bytes > BUNDLE_SMALL) continue;
        if (hash_bytes(s->data, s->bytes, 0) != s->checksum) return section_fault(b, i, "checksum", err);
    }
    return ST_OK;
}

/* It names the contents, so that a delta's base is what it was. */
static enum status check_id(struct bundle *b, const char *header, size_t n, struct error *err)
{
    const char *id = NULL;
    TRY(bundle_text(b, "id", &id, err));
    if (!bundle_header_id(header, n, b->id)) return header_fault(b, "id", "it does not stand where it belongs", err);
    return strcmp(id, b->id) == 0 ? ST_OK : header_fault(b, "id", "is not that of this header", err);
}

static enum status parse_header(struct bundle *b, const struct bundle_prefix *p,
                                struct error *err)
{
    struct node *header;
    const char *text = (const char *)b->map + BUNDLE_PREFIX;
    struct error inner;
    enum status st = flow_parse(b->arena, text, p->header_bytes, "header", &header, &inner);
    if (st == ST_NOMEM) return mem_error(err, b->path, p->header_bytes);
    if (st != ST_OK) return damaged(b, err, inner.text);
    if (header->kind != NODE_MAP) return damaged(b, err, "header: a mapping is expected");
    b->header = header;
    const char *format = NULL;
    TRY(bundle_text(b, "format", &format, err));
    if (strcmp(format, "mtps-bundle") != 0) return header_fault(b, "format", "mtps-bundle is expected", err);
    TRY(bundle_text(b, "settings", &b->settings, err));
    return check_id(b, text, p->header_bytes, err);
}

static enum status read_file(struct bundle *b, enum bundle_checks checks, struct error *err)
{
    struct bundle_prefix p;
    TRY(map_file(b, err));
    TRY(read_prefix(b, &p, err));
    TRY(parse_header(b, &p, err));
    uint64_t end = BUNDLE_PREFIX + p.header_bytes, at = bundle_align(end);
    if (at > b->bytes || !all_zero(b->map + end, at - end))
        return damaged(b, err, "bytes behind the header are not 0");
    TRY(read_sections(b, at, err));
    return check_sections(b, checks, err);
}

enum status bundle_open(const char *path, enum bundle_checks checks, struct bundle **out,
                        struct error *err)
{
    char file[PATH_MAX];
    struct arena *arena;
    TRY(find_file(path, file, sizeof file, err));
    TRY(arena_create(&arena, err));
    struct bundle *b = arena_take(arena, 1, sizeof *b);
    const char *copy = b ? arena_strdup(arena, file) : NULL;
    if (!copy) {
        arena_destroy(arena);
        return mem_error(err, path, sizeof *b);
    }
    b->arena = arena;
    b->path = copy;
    enum status st = read_file(b, checks, err);
    if (st == ST_OK)
        *out = b;
    else
        bundle_close(b);
    return st;
}

void bundle_close(struct bundle *b)
{
    if (!b) return;
    if (b->map) munmap((void *)b->map, b->bytes);
    arena_destroy(b->arena);
}

const struct bundle_section *bundle_find(const struct bundle *b, const char *name)
{
    size_t low = 0, high = b->n_sections;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(b->sections[middle].name, name);
        if (order == 0) return &b->sections[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
