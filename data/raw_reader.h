/* Rows of the files of one source, one after another, as wanted columns; joins
 * are not its business (raw.h puts both together). Bad rows go to the ledger.
 *
 *   raw_reader   files, ledger, lines
 *     raw_csv      a record of csv or tsv -> fields
 *     raw_slot     a line of slot text    -> fields */
#ifndef MTPS_DATA_RAW_READER_H
#define MTPS_DATA_RAW_READER_H

#include "data/raw.h"
#include "data/raw_names.h"
#include "data/source_lines.h"

/* What is wrong with a record. */
struct raw_fault {
    char why[160];
    size_t offset; /* into the record; SIZE_MAX = no particular place */
    struct text excerpt;
};

/* What somebody wants of a source. All borrowed, must outlive the reader. */
struct raw_wanted {
    const struct source_cfg *source;
    const struct slot_cfg *slot;           /* slot text only */
    const char *const *names;              /* [n], may repeat */
    const struct list_cfg *const *missing; /* [n]; an entry NULL: the source's */
    size_t n;
    struct raw_names *collect; /* slot text: gets every name met; NULL = not wanted */
};

enum raw_parsed { PARSED_ROW, PARSED_BLANK, PARSED_BAD };

/* ---- csv and tsv (raw_csv.c) ---- */

struct raw_csv;
enum status raw_csv_create(const struct raw_wanted *want, struct raw_csv **out,
                           struct error *err) MUST_USE;
void raw_csv_destroy(struct raw_csv *c);
/* Start a file: read its header line, if the source has one, and find the wanted
 * columns. *kind LINE_OK, or why there are no rows. */
enum status raw_csv_begin(struct raw_csv *c, const char *path, struct source_lines *lines,
                          enum source_line *kind, struct text *record,
                          struct error *err) MUST_USE;
/* Names of the columns of the file just begun. */
enum status raw_csv_names(struct raw_csv *c, struct raw_names *out,
                          struct error *err) MUST_USE;
/* First header cell that is not UTF-8, or SIZE_MAX; fault describes it. */
bool raw_csv_header_fault(const struct raw_csv *c, struct raw_fault *fault);
/* record: a line just read; may be extended. */
enum status raw_csv_parse(struct raw_csv *c, struct source_lines *lines,
                          struct text *record, enum raw_parsed *parsed,
                          struct raw_fault *fault, struct error *err) MUST_USE;
const struct raw_field *raw_csv_fields(const struct raw_csv *c);
size_t raw_csv_offset(const struct raw_csv *c, size_t column);

/* ---- slot text (raw_slot.c) ---- */

struct raw_slot;
enum status raw_slot_create(const struct raw_wanted *want, struct raw_slot **out,
                            struct error *err) MUST_USE;
void raw_slot_destroy(struct raw_slot *s);
enum status raw_slot_parse(struct raw_slot *s, struct text record,
                           enum raw_parsed *parsed, struct raw_fault *fault,
                           struct error *err) MUST_USE;
const struct raw_field *raw_slot_fields(const struct raw_slot *s);
size_t raw_slot_offset(const struct raw_slot *s, size_t column);
uint64_t raw_slot_ignored_values(const struct raw_slot *s);
size_t raw_slot_ignored_names(const struct raw_slot *s);

/* ---- files one after another (raw_reader.c) ---- */

struct raw_reader;
enum status raw_reader_open(const struct raw_wanted *want, struct bad_rows *bad,
                            struct raw_reader **out, struct error *err) MUST_USE;
void raw_reader_close(struct raw_reader *r);
/* *got false at the end. A row counts as good in the ledger unless the reader is
 * of a side table (count_good false). */
enum status raw_reader_next(struct raw_reader *r, bool *got, struct error *err) MUST_USE;
/* Column names: of the first file with a header line, or all that slot text has
 * in its first 10,000 rows. */
enum status raw_reader_names(const struct raw_wanted *want, struct raw_names *out,
                             struct error *err) MUST_USE;

/* Of the row just read. */
const struct raw_field *raw_reader_fields(const struct raw_reader *r);
const char *raw_reader_file(const struct raw_reader *r);
uint64_t raw_reader_line(const struct raw_reader *r);
/* Line and column (from 1) where the value of wanted column i begins; 0 when missing. */
void raw_reader_place(const struct raw_reader *r, size_t i, uint64_t *line,
                      uint64_t *column);

void raw_reader_progress(const struct raw_reader *r, uint64_t *done, uint64_t *total);
const struct raw_slot *raw_reader_slot(const struct raw_reader *r); /* NULL for csv */

#endif
