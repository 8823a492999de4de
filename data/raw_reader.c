/* The rows of a source: its files one after another, bad rows to the ledger. */
#include "data/raw_reader.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/mem.h"
#include "data/raw_text.h"

enum { NAMES_FROM_ROWS = 10000 }; /* slot text: rows that tell which names there are */

struct raw_reader {
    struct raw_wanted want;
    struct bad_rows *bad;
    const char **files;
    size_t n_files, next_file;
    struct source_lines *lines; /* of file next_file - 1; NULL between files */
    struct raw_csv *csv;        /* one of the two */
    struct raw_slot *slot;
    struct text record;
    uint64_t done_before, total; /* bytes */
};

/* Sizes are for the progress line only: a file that is gone is found later. */
static uint64_t bytes_of(const char *const *files, size_t n)
{
    uint64_t total = 0;
    struct stat info;
    for (size_t i = 0; i < n; i++)
        if (stat(files[i], &info) == 0) total += (uint64_t)info.st_size;
    return total;
}

enum status raw_reader_open(const struct raw_wanted *want, struct bad_rows *bad,
                            struct raw_reader **out, struct error *err)
{
    struct raw_reader *r = mem_zeroed(1, sizeof *r);
    if (!r) return mem_error(err, "raw reader", sizeof *r);
    r->want = *want;
    r->bad = bad;
    enum status st = raw_expand(want->source, &r->files, &r->n_files, err);
    if (st == ST_OK) {
        r->total = bytes_of(r->files, r->n_files);
        st = want->source->format == SOURCE_SLOT ? raw_slot_create(want, &r->slot, err)
                                                 : raw_csv_create(want, &r->csv, err);
    }
    if (st != ST_OK) {
        raw_reader_close(r);
        return st;
    }
    *out = r;
    return ST_OK;
}

static void close_file(struct raw_reader *r)
{
    if (r->lines) r->done_before += source_lines_bytes_in(r->lines);
    source_lines_close(r->lines);
    r->lines = NULL;
}

void raw_reader_close(struct raw_reader *r)
{
    if (!r) return;
    close_file(r);
    raw_csv_destroy(r->csv);
    raw_slot_destroy(r->slot);
    mem_free(r->files);
    mem_free(r);
}

/* Line and column of an offset into the record. */
static void place_of(const struct raw_reader *r, size_t offset, uint64_t *line,
                     uint64_t *column)
{
    *line = source_lines_number(r->lines);
    size_t start = 0;
    for (size_t i = 0; i < offset && i < r->record.n; i++) {
        if (r->record.s[i] != '\n') continue;
        start = i + 1;
        ++*line;
    }
    *column = offset - start + 1;
}

static enum status add_bad(struct raw_reader *r, const struct raw_fault *fault,
                           struct error *err)
{
    uint64_t line = source_lines_number(r->lines), column = 0;
    if (fault->offset != SIZE_MAX) place_of(r, fault->offset, &line, &column);
    bad_rows_add(r->bad, raw_reader_file(r), line, column, fault->why, fault->excerpt);
    return bad_rows_check(r->bad, false, err);
}

/* Lines that never become rows: over-long ones and what damage left over. */
static enum status add_bad_line(struct raw_reader *r, enum source_line kind,
                                struct text text, struct error *err)
{
    struct raw_fault fault = {.offset = SIZE_MAX, .excerpt = text};
    if (kind == LINE_TOO_LONG)
        snprintf(fault.why, sizeof fault.why, "the line is longer than 1 MiB");
    else
        snprintf(fault.why, sizeof fault.why, "the rest of the file cannot be read: %s",
                 source_lines_damage(r->lines));
    return add_bad(r, &fault, err);
}

static enum status skip_lines(struct raw_reader *r, enum source_line *kind,
                              struct error *err)
{
    *kind = LINE_OK;
    for (size_t i = 0; i < r->want.source->skip_lines; i++) {
        TRY(source_lines_next(r->lines, kind, &r->record, err));
        if (*kind == LINE_END || *kind == LINE_DAMAGED) return ST_OK;
    }
    *kind = LINE_OK;
    return ST_OK;
}

/* Open the next file and read what stands before its rows. *kind LINE_OK: rows
 * may follow. */
static enum status open_file(struct raw_reader *r, enum source_line *kind,
                             struct error *err)
{
    const char *path = r->files[r->next_file];
    bool latin1 = r->want.source->encoding == ENCODING_LATIN1;
    TRY(source_lines_open(path, latin1, &r->lines, err));
    r->next_file++;
    TRY(skip_lines(r, kind, err));
    if (*kind == LINE_OK && r->csv)
        TRY(raw_csv_begin(r->csv, path, r->lines, kind, &r->record, err));
    return ST_OK;
}

static enum status next_file(struct raw_reader *r, struct error *err)
{
    enum source_line kind;
    TRY(open_file(r, &kind, err));
    struct raw_fault fault;
    if (kind == LINE_OK && r->csv && raw_csv_header_fault(r->csv, &fault))
        TRY(add_bad(r, &fault, err));
    if (kind == LINE_DAMAGED) TRY(add_bad_line(r, kind, r->record, err));
    if (kind != LINE_OK) close_file(r);
    return ST_OK;
}

static enum status parse(struct raw_reader *r, enum raw_parsed *parsed, struct error *err)
{
    struct raw_fault fault;
    const char *zero = memchr(r->record.s, '\0', r->record.n);
    if (zero) {
        *parsed = PARSED_BAD;
        snprintf(fault.why, sizeof fault.why, "binary data: a zero byte");
        fault.offset = (size_t)(zero - r->record.s);
        fault.excerpt = r->record;
    } else if (r->csv) {
        TRY(raw_csv_parse(r->csv, r->lines, &r->record, parsed, &fault, err));
    } else {
        TRY(raw_slot_parse(r->slot, r->record, parsed, &fault, err));
    }
    return *parsed == PARSED_BAD ? add_bad(r, &fault, err) : ST_OK;
}

enum status raw_reader_next(struct raw_reader *r, bool *got, struct error *err)
{
    *got = false;
    for (;;) {
        if (!r->lines) {
            if (r->next_file == r->n_files) return ST_OK;
            TRY(next_file(r, err));
            continue;
        }
        enum source_line kind;
        TRY(source_lines_next(r->lines, &kind, &r->record, err));
        if (kind == LINE_OK) {
            enum raw_parsed parsed;
            TRY(parse(r, &parsed, err));
            if (parsed != PARSED_ROW) continue;
            *got = true;
            return ST_OK;
        }
        if (kind != LINE_END) TRY(add_bad_line(r, kind, r->record, err));
        if (kind != LINE_TOO_LONG) close_file(r);
    }
}

/* Header of the first file that has one. */
static enum status csv_names(struct raw_reader *r, struct raw_names *out,
                             struct error *err)
{
    char why[160] = "it is empty";
    while (r->next_file < r->n_files) {
        enum source_line kind;
        TRY(open_file(r, &kind, err));
        if (kind == LINE_OK) return raw_csv_names(r->csv, out, err);
        if (kind == LINE_DAMAGED)
            snprintf(why, sizeof why, "%s", source_lines_damage(r->lines));
        close_file(r);
    }
    return error_set(err, ST_NOINPUT, "%s: a header line is expected: %s", r->files[0],
                     why);
}

static enum status slot_names(struct raw_reader *r, struct raw_names *out,
                              struct error *err)
{
    const struct list_cfg *fixed = &r->want.slot->fixed;
    size_t place;
    for (size_t i = 0; i < fixed->n; i++)
        TRY(raw_names_add(out, raw_text_of(fixed->v[i]), &place, err));
    bool got = true;
    for (size_t row = 0; row < NAMES_FROM_ROWS && got; row++)
        TRY(raw_reader_next(r, &got, err));
    return ST_OK;
}

enum status raw_reader_names(const struct raw_wanted *want, struct raw_names *out,
                             struct error *err)
{
    struct raw_wanted nothing = {
        .source = want->source, .slot = want->slot, .collect = out};
    struct bad_rows *unheeded = mem_zeroed(1, sizeof *unheeded);
    if (!unheeded) return mem_error(err, "names", sizeof *unheeded);
    unheeded->max = (double)UINT64_MAX;
    struct raw_reader *r;
    enum status st = raw_reader_open(&nothing, unheeded, &r, err);
    if (st == ST_OK) {
        st = r->csv ? csv_names(r, out, err) : slot_names(r, out, err);
        raw_reader_close(r);
    }
    mem_free(unheeded);
    return st;
}

const struct raw_field *raw_reader_fields(const struct raw_reader *r)
{
    return r->csv ? raw_csv_fields(r->csv) : raw_slot_fields(r->slot);
}

const char *raw_reader_file(const struct raw_reader *r)
{
    return r->files[r->next_file - 1];
}

uint64_t raw_reader_line(const struct raw_reader *r)
{
    return source_lines_number(r->lines);
}

void raw_reader_place(const struct raw_reader *r, size_t i, uint64_t *line,
                      uint64_t *column)
{
    if (r->slot && raw_slot_fields(r->slot)[i].n == 0) {
        *line = raw_reader_line(r);
        *column = 0;
        return;
    }
    place_of(r, r->csv ? raw_csv_offset(r->csv, i) : raw_slot_offset(r->slot, i), line,
             column);
}

void raw_reader_progress(const struct raw_reader *r, uint64_t *done, uint64_t *total)
{
    *done = r->done_before + (r->lines ? source_lines_bytes_in(r->lines) : 0);
    if (*done > r->total) *done = r->total;
    *total = r->total;
}

const struct raw_slot *raw_reader_slot(const struct raw_reader *r)
{
    return r->slot;
}
