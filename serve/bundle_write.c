#include "serve/bundle_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/config/flow.h"
#include "common/store/file.h"
#include "serve/bundle_layout.h"

enum { PIECE_BYTES = 1 << 20 };

/* A section while it is being filled. */
struct filling {
    struct hash_stream *hash;
    unsigned char *buffer; /* [PIECE_BYTES] bytes from `written` on */
    size_t n;
    uint64_t written;
};

struct bundle_writer {
    int fd;
    char *path, *head;
    struct bundle_plan *plan;
    struct filling *filling; /* [plan->n] */
    size_t header_bytes;
    uint64_t file_bytes;
};

/* ---- plan ---- */

enum status bundle_plan_init(struct bundle_plan *p, struct error *err)
{
    *p = (struct bundle_plan){0};
    return arena_create(&p->arena, err);
}

void bundle_plan_close(struct bundle_plan *p)
{
    mem_free(p->sections);
    arena_destroy(p->arena);
}

enum status bundle_plan_add(struct bundle_plan *p, const char *name, enum section_type type,
                            size_t rows, size_t cols, struct error *err)
{
    if (p->n == BUNDLE_MAX_SECTIONS)
        return error_set(err, ST_CANTCREATE, "%s: a bundle holds %d sections at most", name, BUNDLE_MAX_SECTIONS);
    if (!bundle_good_name(name)) return error_set(err, ST_CANTCREATE, "'%s' cannot be the name of a section", name);
    if (p->n == p->max) {
        size_t max = 2 * p->max + 64;
        struct bundle_section *v = mem_resize(p->sections, max, sizeof *v);
        if (!v) return mem_error(err, "sections", max * sizeof *v);
        p->sections = v;
        p->max = max;
    }
    char *copy = arena_strdup(p->arena, name);
    if (!copy) return mem_error(err, name, strlen(name));
    p->sections[p->n++] = (struct bundle_section){.name = copy, .type = type, .rows = rows, .cols = cols};
    return ST_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct bundle_section *)a)->name, ((const struct bundle_section *)b)->name);
}

static struct bundle_section *plan_find(const struct bundle_plan *p, const char *name)
{
    struct bundle_section key = {.name = name};
    return bsearch(&key, p->sections, p->n, sizeof key, by_name);
}

/* ---- header ---- */

static enum status header_text(const struct bundle_writer *w, const char *id, char **out,
                               struct error *err)
{
    struct buffer b = {0};
    buffer_printf(&b, BUNDLE_HEAD "%s\", ", id);
    buffer_puts(&b, w->head);
    buffer_puts(&b, ",\n\"sections\": [");
    for (size_t i = 0; i < w->plan->n; i++) {
        const struct bundle_section *s = &w->plan->sections[i];
        buffer_puts(&b, i ? ",\n[" : "\n[");
        flow_put_string(&b, s->name);
        buffer_printf(&b, ", \"%s\", %zu, %zu, \"%016" PRIx64 "\"]", section_type_name(s->type), s->rows,
                      s->cols, s->checksum);
    }
    buffer_puts(&b, "]}\n");
    return buffer_take(&b, out, err);
}

/* The contents' name: of everything that the header says but the id itself. */
static enum status make_id(const struct bundle_writer *w, char id[BUNDLE_ID], struct error *err)
{
    static const char blank[] = "00000000000000000000000000000000";
    char *text;
    TRY(header_text(w, blank, &text, err));
    bool made = bundle_header_id(text, strlen(text), id);
    mem_free(text);
    return made ? ST_OK : error_set(err, ST_INTERNAL, "%s: the header has no id", w->path);
}

static enum status place_sections(struct bundle_writer *w, struct error *err)
{
    char *text, id[BUNDLE_ID];
    struct bundle_plan *p = w->plan;
    qsort(p->sections, p->n, sizeof *p->sections, by_name);
    TRY(make_id(w, id, err)); /* as long as the last one */
    TRY(header_text(w, id, &text, err));
    w->header_bytes = strlen(text);
    mem_free(text);
    if (w->header_bytes > BUNDLE_MAX_HEADER)
        return error_set(err, ST_CANTCREATE, "%s: the header is longer than 16 MiB", w->path);
    uint64_t at = bundle_align(BUNDLE_PREFIX + w->header_bytes);
    for (size_t i = 0; i < p->n; i++) {
        struct bundle_section *s = &p->sections[i];
        if (i && !strcmp(s[-1].name, s->name))
            return error_set(err, ST_CANTCREATE, "%s: section %s stands twice", w->path, s->name);
        if (!bundle_section_bytes(s, &s->bytes) || __builtin_add_overflow(at, s->bytes, &at) || at > INT64_MAX / 2)
            return error_set(err, ST_CANTCREATE, "%s: section %s is too large", w->path, s->name);
        s->offset = at - s->bytes;
        at = bundle_align(at);
    }
    w->file_bytes = at;
    return ST_OK;
}

/* ---- bytes ---- */

static enum status failed(const struct bundle_writer *w, const char *what, struct error *err)
{
    int why = errno;
    error_set(err, ST_IO, "%s: cannot %s it: %s", w->path, what, strerror(why));
    return file_hint(err, ST_IO, why);
}

static enum status write_at(const struct bundle_writer *w, uint64_t at, const void *data,
                            size_t bytes, struct error *err)
{
    const char *from = data;
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pwrite(w->fd, from + done, bytes - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return failed(w, "write", err);
        done += (size_t)n;
    }
    return ST_OK;
}

static void filling_close(struct filling *f)
{
    hash_stream_destroy(f->hash);
    mem_free(f->buffer);
    f->hash = NULL;
    f->buffer = NULL;
}

static enum status flush(struct bundle_writer *w, const struct bundle_section *s,
                         struct filling *f, struct error *err)
{
    TRY(write_at(w, s->offset + f->written, f->buffer, f->n, err));
    hash_stream_add(f->hash, f->buffer, f->n);
    f->written += f->n;
    f->n = 0;
    return ST_OK;
}

static enum status begin(const struct bundle_writer *w, struct filling *f, struct error *err)
{
    f->hash = hash_stream_create();
    f->buffer = mem_alloc(PIECE_BYTES);
    return f->hash && f->buffer ? ST_OK : mem_error(err, w->path, PIECE_BYTES);
}

enum status bundle_writer_add(struct bundle_writer *w, const char *name, const void *data,
                              size_t bytes, struct error *err)
{
    struct bundle_section *s = plan_find(w->plan, name);
    if (!s) return error_set(err, ST_INTERNAL, "%s: section %s was not planned", w->path, name);
    struct filling *f = &w->filling[s - w->plan->sections];
    if (bytes > s->bytes - f->written - f->n)
        return error_set(err, ST_INTERNAL, "%s: section %s: more bytes than planned", w->path, name);
    if (!f->hash && f->written < s->bytes) TRY(begin(w, f, err));
    const unsigned char *from = data;
    while (bytes) {
        size_t room = PIECE_BYTES - f->n, n = bytes < room ? bytes : room;
        memcpy(f->buffer + f->n, from, n);
        f->n += n;
        from += n;
        bytes -= n;
        if (f->n == PIECE_BYTES) TRY(flush(w, s, f, err));
    }
    if (!f->hash || f->written + f->n < s->bytes) return ST_OK;
    TRY(flush(w, s, f, err));
    s->checksum = hash_stream_value(f->hash);
    filling_close(f);
    return ST_OK;
}

/* ---- the whole ---- */

static enum status open_file(struct bundle_writer *w, struct error *err)
{
    w->fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->fd < 0)
        return error_set(err, ST_CANTCREATE, "%s: cannot create it: %s", w->path, strerror(errno));
    /* What is between sections reads as 0; a full disk shows now. */
    int why = posix_fallocate(w->fd, 0, (off_t)w->file_bytes);
    if (!why) return ST_OK;
    errno = why;
    return failed(w, "make room for", err);
}

enum status bundle_writer_create(const char *path, struct bundle_plan *plan, const char *head,
                                 struct bundle_writer **out, struct error *err)
{
    struct bundle_writer *w = mem_zeroed(1, sizeof *w);
    if (!w) return mem_error(err, path, sizeof *w);
    w->fd = -1;
    w->plan = plan;
    w->path = mem_strdup(path);
    w->head = mem_strdup(head);
    w->filling = mem_zeroed(plan->n + 1, sizeof *w->filling);
    enum status st = w->path && w->head && w->filling ? place_sections(w, err) : mem_error(err, path, sizeof *w);
    if (st == ST_OK) st = open_file(w, err);
    for (size_t i = 0; st == ST_OK && i < plan->n; i++)
        if (!plan->sections[i].bytes) plan->sections[i].checksum = hash_bytes("", 0, 0);
    if (st == ST_OK)
        *out = w;
    else
        bundle_writer_destroy(w);
    return st;
}

void bundle_writer_destroy(struct bundle_writer *w)
{
    if (!w) return;
    for (size_t i = 0; w->filling && i < w->plan->n; i++) filling_close(&w->filling[i]);
    if (w->fd >= 0) close(w->fd);
    mem_free(w->filling);
    mem_free(w->path);
    mem_free(w->head);
    mem_free(w);
}

static enum status finish(struct bundle_writer *w, char id[BUNDLE_ID], struct error *err)
{
    for (size_t i = 0; i < w->plan->n; i++)
        if (w->filling[i].written < w->plan->sections[i].bytes)
            return error_set(err, ST_INTERNAL, "%s: section %s: fewer bytes than planned", w->path,
                             w->plan->sections[i].name);
    char *text;
    TRY(make_id(w, id, err));
    TRY(header_text(w, id, &text, err));
    struct bundle_prefix p = {.version = BUNDLE_VERSION,
                              .header_bytes = w->header_bytes,
                              .header_checksum = hash_bytes(text, w->header_bytes, 0),
                              .file_bytes = w->file_bytes};
    memcpy(p.magic, bundle_magic, sizeof p.magic);
    enum status st = write_at(w, BUNDLE_PREFIX, text, w->header_bytes, err);
    mem_free(text);
    if (st == ST_OK) st = write_at(w, 0, &p, sizeof p, err);
    if (st == ST_OK && fsync(w->fd)) st = failed(w, "sync", err);
    return st;
}

enum status bundle_writer_finish(struct bundle_writer *w, char id[BUNDLE_ID], struct error *err)
{
    enum status st = finish(w, id, err);
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) && st == ST_OK) st = failed(w, "close", err);
    bundle_writer_destroy(w);
    return st;
}

uint64_t bundle_writer_bytes(const struct bundle_writer *w)
{
    return w->file_bytes;
}
