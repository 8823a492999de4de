#include "data/source_lines.h"

#include <string.h>

#include "common/base/mem.h"
#include "data/source_file.h"

/* Room for the longest record behind another one not looked at yet: a refill
 * that moves the rest to the front always has space for a large read. */
enum { CAPACITY = 5 * SOURCE_LINE_MAX / 2, EXCERPT = 128 };
enum { READ_AT_ONCE = 256 * 1024 }; /* stays in the cache until it is parsed */

struct source_lines {
    struct source_file *file;
    char *buffer;      /* [CAPACITY] */
    size_t begin;      /* of the record */
    size_t end;        /* of the record's text, its last line end not included */
    size_t first_next; /* behind the record's first line and its line end */
    size_t next;       /* behind the record and its line end */
    size_t filled;     /* bytes in the buffer */
    uint64_t line;     /* number of the record's first line */
    uint64_t n_more;   /* further lines in the record */
    bool eof;
    const char *damage;
    bool damage_told;
    char excerpt[EXCERPT];
};

enum status source_lines_open(const char *path, bool latin1, struct source_lines **out,
                              struct error *err)
{
    struct source_lines *l = mem_zeroed(1, sizeof *l);
    if (!l) return mem_error(err, "line reader", sizeof *l);
    enum status st = source_file_open(path, latin1, &l->file, err);
    if (st == ST_OK) {
        l->buffer = mem_alloc(CAPACITY);
        if (!l->buffer) st = mem_error(err, "line buffer", CAPACITY);
    }
    if (st != ST_OK) {
        source_lines_close(l);
        return st;
    }
    *out = l;
    return ST_OK;
}

void source_lines_close(struct source_lines *l)
{
    if (!l) return;
    source_file_close(l->file);
    mem_free(l->buffer);
    mem_free(l);
}

/* Move what is still needed to the front and read behind it. */
static enum status fill(struct source_lines *l, struct error *err)
{
    size_t gone = l->begin;
    if (gone) {
        memmove(l->buffer, l->buffer + gone, l->filled - gone);
        l->begin = 0;
        l->end -= gone;
        l->first_next -= gone;
        l->next -= gone;
        l->filled -= gone;
    }
    size_t n = 0, room = CAPACITY - l->filled;
    if (room > READ_AT_ONCE) room = READ_AT_ONCE;
    TRY(source_file_read(l->file, l->buffer + l->filled, room, &n, &l->damage, err));
    l->filled += n;
    if (n == 0) l->eof = true;
    return ST_OK;
}

/* Find the end of the line that starts at l->next. *stop: offset of its "\n", or
 * of the end of the file; *found is false when the line would make the record
 * too long. */
static enum status find_end(struct source_lines *l, size_t *stop, bool *found,
                            struct error *err)
{
    size_t looked = l->next;
    for (;;) {
        char *at = memchr(l->buffer + looked, '\n', l->filled - looked);
        *stop = at ? (size_t)(at - l->buffer) : l->filled;
        *found = *stop - l->begin <= SOURCE_LINE_MAX;
        if (at || l->eof || !*found) return ST_OK;
        size_t offset = l->filled - l->begin;
        TRY(fill(l, err));
        looked = l->begin + offset;
    }
}

/* The record now ends at `stop`. */
static void take_line(struct source_lines *l, size_t stop)
{
    l->end = stop;
    l->next = stop < l->filled ? stop + 1 : stop;
    if (l->next > stop && l->end > l->begin && l->buffer[l->end - 1] == '\r') l->end--;
}

static struct text record_of(const struct source_lines *l)
{
    return (struct text){l->buffer + l->begin, l->end - l->begin};
}

/* Throw away everything up to the next line end; keep the line's beginning. */
static enum status skip_line(struct source_lines *l, struct text *record,
                             struct error *err)
{
    memcpy(l->excerpt, l->buffer + l->begin, EXCERPT);
    *record = (struct text){l->excerpt, EXCERPT};
    for (;;) {
        char *at = memchr(l->buffer + l->begin, '\n', l->filled - l->begin);
        l->begin = at ? (size_t)(at - l->buffer) + 1 : l->filled;
        l->end = l->first_next = l->next = l->begin;
        if (at || l->eof) return ST_OK;
        TRY(fill(l, err));
    }
}

enum status source_lines_next(struct source_lines *l, enum source_line *kind,
                              struct text *record, struct error *err)
{
    l->line += 1 + l->n_more;
    l->n_more = 0;
    l->begin = l->next;
    size_t stop = l->begin;
    bool found;
    TRY(find_end(l, &stop, &found, err));
    if (!found) {
        *kind = LINE_TOO_LONG;
        return skip_line(l, record, err);
    }
    bool partial = l->eof && stop == l->filled;
    take_line(l, stop);
    l->first_next = l->next;
    *record = record_of(l);
    *kind = LINE_OK;
    if (partial && l->damage) {
        *kind = l->damage_told ? LINE_END : LINE_DAMAGED;
        l->damage_told = true;
    } else if (partial && l->begin == l->filled) {
        *kind = LINE_END;
    }
    return ST_OK;
}

enum status source_lines_extend(struct source_lines *l, enum source_line *kind,
                                struct text *record, struct error *err)
{
    size_t stop = l->next;
    bool found;
    TRY(find_end(l, &stop, &found, err));
    bool partial = l->eof && stop == l->filled;
    *kind = LINE_OK;
    if (!found)
        *kind = LINE_TOO_LONG;
    else if (partial && (l->damage || l->next == l->filled))
        *kind = LINE_END;
    if (*kind == LINE_OK) {
        take_line(l, stop);
        l->n_more++;
    }
    *record = record_of(l);
    return ST_OK;
}

void source_lines_cut_back(struct source_lines *l)
{
    l->next = l->first_next;
    l->n_more = 0;
}

uint64_t source_lines_number(const struct source_lines *l)
{
    return l->line;
}

const char *source_lines_damage(const struct source_lines *l)
{
    return l->damage;
}

uint64_t source_lines_bytes_in(const struct source_lines *l)
{
    return source_file_bytes_in(l->file);
}
