/* Records of csv and tsv: header, quoted cells over several lines, field counts. */
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/config/nearest.h"
#include "data/raw_reader.h"
#include "data/raw_split.h"
#include "data/raw_text.h"

enum { FIRST_CELLS = 64, NAME_IN_MESSAGE = 64 };

struct raw_csv {
    struct raw_wanted want;
    struct raw_split split; /* cells [n_fields + 1] while rows are read */
    struct text header;     /* line of the file just begun; empty with `columns:` */
    size_t n_fields;        /* cells of a good row */
    uint32_t *place;        /* [n] wanted column -> cell */
    const struct list_cfg **missing; /* [n] */
    struct text *texts;              /* [n] */
    struct raw_field *fields;        /* [n] */
};

static const char *delimiter_of(const struct source_cfg *s)
{
    if (s->delimiter && s->delimiter[0]) return s->delimiter;
    return s->format == SOURCE_TSV ? "\t" : ",";
}

enum status raw_csv_create(const struct raw_wanted *want, struct raw_csv **out,
                           struct error *err)
{
    size_t n = want->n;
    struct raw_csv *c = mem_zeroed(1, sizeof *c);
    if (!c) return mem_error(err, "csv reader", sizeof *c);
    c->want = *want;
    c->split.delimiter = delimiter_of(want->source);
    c->split.n_delimiter = strlen(c->split.delimiter);
    c->split.trim = want->source->trim;
    c->place = mem_zeroed(n, sizeof *c->place);
    c->missing = mem_zeroed(n, sizeof *c->missing);
    c->texts = mem_zeroed(n, sizeof *c->texts);
    c->fields = mem_zeroed(n, sizeof *c->fields);
    if (!c->place || !c->missing || !c->texts || !c->fields) {
        raw_csv_destroy(c);
        return mem_error(err, "csv columns", n * sizeof *c->fields);
    }
    for (size_t i = 0; i < n; i++) {
        c->fields[i].v = &c->texts[i];
        c->missing[i] =
            want->missing && want->missing[i] ? want->missing[i] : &want->source->missing;
    }
    *out = c;
    return ST_OK;
}

void raw_csv_destroy(struct raw_csv *c)
{
    if (!c) return;
    mem_free(c->split.cells);
    mem_free(c->place);
    mem_free(c->missing);
    mem_free(c->texts);
    mem_free(c->fields);
    mem_free(c);
}

static enum status reserve_cells(struct raw_csv *c, size_t n, struct error *err)
{
    if (n <= c->split.capacity) return ST_OK;
    struct raw_cell *cells = mem_resize(c->split.cells, n, sizeof *cells);
    if (!cells) return mem_error(err, "csv cells", n * sizeof *cells);
    c->split.cells = cells;
    c->split.capacity = n;
    return ST_OK;
}

/* Cells of the header line, however many there are. */
static enum status split_header(struct raw_csv *c, const char *path, uint64_t line,
                                struct error *err)
{
    TRY(reserve_cells(c, FIRST_CELLS, err));
    enum raw_split_end end = raw_split(&c->split, c->header);
    if (end == SPLIT_DONE && c->split.n > c->split.capacity) {
        TRY(reserve_cells(c, c->split.n, err));
        end = raw_split(&c->split, c->header);
    }
    if (end == SPLIT_DONE) return ST_OK;
    return error_set(err, ST_DATA, "%s:%llu:%zu: broken quote in the header line", path,
                     (unsigned long long)line, c->split.at + 1);
}

static struct text header_name(struct raw_csv *c, size_t i)
{
    return raw_split_text(&c->split, &c->split.cells[i], (char *)c->header.s);
}

enum status raw_csv_names(struct raw_csv *c, struct raw_names *out, struct error *err)
{
    const struct list_cfg *listed = &c->want.source->columns;
    size_t place;
    for (size_t i = 0; i < c->n_fields; i++) {
        struct text name = listed->n ? raw_text_of(listed->v[i]) : header_name(c, i);
        /* Nobody can ask for the others. */
        if (name.n && raw_text_is_utf8(name)) TRY(raw_names_add(out, name, &place, err));
    }
    return ST_OK;
}

bool raw_csv_header_fault(const struct raw_csv *c, struct raw_fault *fault)
{
    if (c->want.source->columns.n) return false;
    for (size_t i = 0; i < c->n_fields; i++) {
        const struct raw_cell *cell = &c->split.cells[i];
        struct text name = {c->header.s + cell->begin, cell->end - cell->begin};
        if (raw_text_is_utf8(name)) continue;
        snprintf(fault->why, sizeof fault->why, "invalid UTF-8 in a column's name");
        fault->offset = cell->begin;
        fault->excerpt = name;
        return true;
    }
    return false;
}

static enum status no_column(struct raw_csv *c, const char *path, const char *name,
                             struct error *err)
{
    struct raw_names known;
    TRY(raw_names_init(&known, err));
    enum status st = raw_csv_names(c, &known, err);
    if (st == ST_OK) {
        st = error_set(err, ST_DATA, "%s: has no column '%s'", path, name);
        const char *near = nearest_word(name, known.v, known.n);
        if (near) error_hint(err, st, "the nearest column is '%s'", near);
    }
    raw_names_close(&known);
    return st;
}

/* Where the wanted columns stand in this file. */
static enum status find_columns(struct raw_csv *c, const char *path, struct error *err)
{
    const struct list_cfg *listed = &c->want.source->columns;
    for (size_t i = 0; i < c->want.n; i++) {
        struct text wanted = raw_text_of(c->want.names[i]);
        size_t found = SIZE_MAX;
        for (size_t k = 0; k < c->n_fields; k++) {
            struct text name = listed->n ? raw_text_of(listed->v[k]) : header_name(c, k);
            if (!raw_text_equal(name, wanted)) continue;
            if (found != SIZE_MAX)
                return error_set(err, ST_DATA, "%s: has two columns '%s'", path,
                                 c->want.names[i]);
            found = k;
        }
        if (found == SIZE_MAX) return no_column(c, path, c->want.names[i], err);
        c->place[i] = (uint32_t)found;
    }
    return ST_OK;
}

static enum status binary_header(const char *path, uint64_t line, size_t column, struct error *err)
{
    error_set(err, ST_DATA, "%s:%llu:%zu: the header line is binary data: a zero byte", path,
              (unsigned long long)line, column);
    return error_hint(err, ST_DATA, "text in UTF-8 or latin1 is read, plain or compressed by gz, "
                                    "zst, lz4, xz or bz2; not UTF-16, tar or zip");
}

enum status raw_csv_begin(struct raw_csv *c, const char *path, struct source_lines *lines,
                          enum source_line *kind, struct text *record, struct error *err)
{
    const struct source_cfg *source = c->want.source;
    *kind = LINE_OK;
    c->header = (struct text){"", 0};
    if (!source->header && !source->columns.n)
        return error_hint(
            err, error_set(err, ST_USAGE, "%s: no header line and no columns", path),
            "list the columns' names under `columns:`, or set `header: true`");
    if (source->header) {
        do TRY(source_lines_next(lines, kind, record, err));
        while (*kind == LINE_OK && record->n == 0);
        if (*kind == LINE_TOO_LONG)
            return error_set(err, ST_DATA,
                             "%s:%llu: the header line is longer than 1 MiB", path,
                             (unsigned long long)source_lines_number(lines));
        if (*kind != LINE_OK) return ST_OK;
        const char *zero = memchr(record->s, '\0', record->n);
        if (zero)
            return binary_header(path, source_lines_number(lines), (size_t)(zero - record->s) + 1,
                                 err);
        c->header = *record;
    }
    if (source->columns.n) {
        c->n_fields = source->columns.n;
    } else {
        TRY(split_header(c, path, source_lines_number(lines), err));
        c->n_fields = c->split.n;
    }
    TRY(find_columns(c, path, err));
    return reserve_cells(c, c->n_fields + 1, err);
}

/* The record is bad. When one of its further lines is a whole row by itself,
 * the quote of the first line was never meant to reach that far: only the first
 * line is bad, and reading goes on behind it. False when none is. */
static bool give_up_quote(struct raw_csv *c, struct source_lines *lines,
                          struct text record)
{
    const char *at = memchr(record.s, '\n', record.n);
    while (at) {
        struct text line = {at + 1, record.n - (size_t)(at + 1 - record.s)};
        at = memchr(line.s, '\n', line.n);
        if (at) line.n = (size_t)(at - line.s);
        if (line.n && line.s[line.n - 1] == '\r') line.n--;
        if (raw_split(&c->split, line) == SPLIT_DONE && c->split.n == c->n_fields) {
            source_lines_cut_back(lines);
            return true;
        }
    }
    return false;
}

/* Split, taking in further lines while a quote is open. */
static enum status split_record(struct raw_csv *c, struct source_lines *lines,
                                struct text *record, enum raw_split_end *end,
                                struct error *err)
{
    *end = raw_split(&c->split, *record);
    while (*end == SPLIT_OPEN) {
        size_t before = record->n;
        enum source_line kind;
        TRY(source_lines_extend(lines, &kind, record, err));
        if (kind != LINE_OK) break;
        if (memchr(record->s + before, '\0', record->n - before)) break;
        *end = raw_split_more(&c->split, *record);
    }
    return ST_OK;
}

static void describe(const struct raw_csv *c, enum raw_split_end end, struct text record,
                     struct raw_fault *fault)
{
    fault->excerpt = record;
    if (end == SPLIT_OPEN) {
        snprintf(fault->why, sizeof fault->why, "broken quote: it is never closed");
        fault->offset = c->split.open.begin - 1;
    } else if (end == SPLIT_BROKEN) {
        snprintf(fault->why, sizeof fault->why, "broken quote: text behind its end");
        fault->offset = c->split.at;
    } else {
        size_t n = c->split.n;
        snprintf(fault->why, sizeof fault->why, "%zu columns, %zu expected", n,
                 c->n_fields);
        fault->offset = n > c->n_fields ? c->split.cells[c->n_fields].begin : record.n;
    }
}

enum status raw_csv_parse(struct raw_csv *c, struct source_lines *lines,
                          struct text *record, enum raw_parsed *parsed,
                          struct raw_fault *fault, struct error *err)
{
    if (record->n == 0 && c->n_fields > 1) {
        *parsed = PARSED_BLANK;
        return ST_OK;
    }
    enum raw_split_end end;
    TRY(split_record(c, lines, record, &end, err));
    if (end != SPLIT_DONE || c->split.n != c->n_fields) {
        *parsed = PARSED_BAD;
        describe(c, end, *record, fault);
        /* What the damage behind it took away is reported as that, once. */
        bool cut = give_up_quote(c, lines, *record);
        if (!cut && end == SPLIT_OPEN && source_lines_damage(lines))
            *parsed = PARSED_BLANK;
        return ST_OK;
    }
    *parsed = PARSED_ROW;
    for (size_t i = 0; i < c->want.n; i++) {
        struct raw_cell *cell = &c->split.cells[c->place[i]];
        c->texts[i] = raw_split_text(&c->split, cell, (char *)record->s);
        c->fields[i].n = raw_text_in(c->missing[i], c->texts[i]) ? 0 : 1;
    }
    return ST_OK;
}

const struct raw_field *raw_csv_fields(const struct raw_csv *c)
{
    return c->fields;
}

size_t raw_csv_offset(const struct raw_csv *c, size_t column)
{
    return c->split.cells[c->place[column]].begin;
}
