#include "data/raw_split.h"

#include <string.h>

#include "common/base/compiler.h"
#include "data/raw_text.h"

static void add_cell(struct raw_split *s, size_t begin, size_t end, bool doubled)
{
    if (s->n < s->capacity)
        s->cells[s->n] = (struct raw_cell){(uint32_t)begin, (uint32_t)end, doubled};
    s->n++;
}

/* Offset of the delimiter at or behind `at`, or the end. */
static size_t find_delimiter(const struct raw_split *s, struct text r, size_t at)
{
    if (s->n_delimiter == 1) {
        char c = s->delimiter[0];
        while (at < r.n && r.s[at] != c) at++;
        return at;
    }
    const char *hit = memmem(r.s + at, r.n - at, s->delimiter, s->n_delimiter);
    return hit ? (size_t)(hit - r.s) : r.n;
}

static bool is_delimiter(const struct raw_split *s, struct text r, size_t at)
{
    return r.n - at >= s->n_delimiter &&
           memcmp(r.s + at, s->delimiter, s->n_delimiter) == 0;
}

/* Blanks that trimming may skip: never a part of the delimiter. */
static size_t skip_blanks(const struct raw_split *s, struct text r, size_t at)
{
    while (at < r.n && raw_text_is_blank(r.s[at]) && !is_delimiter(s, r, at)) at++;
    return at;
}

/* Records without any quote and a delimiter of one byte: the usual ones. */
static enum raw_split_end split_plain(struct raw_split *s, struct text r)
{
    char delimiter = s->delimiter[0];
    size_t begin = 0, n = 0;
    for (size_t i = 0; i < r.n; i++) {
        if (LIKELY(r.s[i] != delimiter)) continue;
        if (n < s->capacity)
            s->cells[n] = (struct raw_cell){(uint32_t)begin, (uint32_t)i, false};
        n++;
        begin = i + 1;
    }
    s->n = n;
    add_cell(s, begin, r.n, false);
    return SPLIT_DONE;
}

/* Scan on inside quotes from s->at. Ends behind the delimiter that follows the
 * closing quote (*next), or at the end of the record (*next = n + 1). */
static enum raw_split_end close_quote(struct raw_split *s, struct text r, size_t *next)
{
    size_t at = s->at;
    for (;;) {
        const char *hit = at < r.n ? memchr(r.s + at, '"', r.n - at) : NULL;
        s->at = r.n;
        if (!hit) return SPLIT_OPEN;
        at = (size_t)(hit - r.s) + 1;
        if (at < r.n && r.s[at] == '"') {
            s->open.doubled = true;
            at++;
            continue;
        }
        break;
    }
    s->open.end = (uint32_t)(at - 1);
    if (s->trim) at = skip_blanks(s, r, at);
    if (at < r.n && !is_delimiter(s, r, at)) {
        s->at = at;
        return SPLIT_BROKEN;
    }
    add_cell(s, s->open.begin, s->open.end, s->open.doubled);
    *next = at < r.n ? at + s->n_delimiter : r.n + 1;
    return SPLIT_DONE;
}

/* Cells from offset `at` on. */
static enum raw_split_end split_from(struct raw_split *s, struct text r, size_t at)
{
    while (at <= r.n) {
        size_t start = s->trim ? skip_blanks(s, r, at) : at;
        if (start < r.n && r.s[start] == '"') {
            s->open = (struct raw_cell){.begin = (uint32_t)start + 1};
            s->at = start + 1;
            enum raw_split_end end = close_quote(s, r, &at);
            if (end != SPLIT_DONE) return end;
        } else {
            size_t end = find_delimiter(s, r, at);
            add_cell(s, at, end, false);
            at = end < r.n ? end + s->n_delimiter : r.n + 1;
        }
    }
    return SPLIT_DONE;
}

enum raw_split_end raw_split(struct raw_split *s, struct text record)
{
    s->n = 0;
    if (s->n_delimiter == 1 && !memchr(record.s, '"', record.n))
        return split_plain(s, record);
    return split_from(s, record, 0);
}

enum raw_split_end raw_split_more(struct raw_split *s, struct text record)
{
    size_t next;
    enum raw_split_end end = close_quote(s, record, &next);
    return end == SPLIT_DONE ? split_from(s, record, next) : end;
}

struct text raw_split_text(const struct raw_split *s, struct raw_cell *cell, char *record)
{
    if (cell->doubled) {
        char *to = record + cell->begin;
        for (size_t i = cell->begin; i < cell->end; i++) {
            *to++ = record[i];
            if (record[i] == '"') i++;
        }
        cell->end = (uint32_t)(to - record);
        cell->doubled = false;
    }
    struct text t = {record + cell->begin, cell->end - cell->begin};
    return s->trim ? raw_text_trim(t) : t;
}
