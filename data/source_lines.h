/* Lines of one input file, without copying: a line is a piece of a buffer.
 *
 *   buffer:  ..done.. | record: line 1 \n line 2 ... | \n ..not looked at yet.. |
 *
 * A record starts as one line and may be extended by the lines after it (a
 * quoted field may hold line ends), or cut back to its first line. Memory is
 * bounded: longer records are refused. Not thread-safe. */
#ifndef MTPS_DATA_SOURCE_LINES_H
#define MTPS_DATA_SOURCE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "data/text.h"

enum { SOURCE_LINE_MAX = 1 << 20 }; /* bytes of the longest accepted record */

enum source_line {
    LINE_OK,
    LINE_END,      /* of the file */
    LINE_TOO_LONG, /* the line was skipped; its text is its beginning */
    LINE_DAMAGED   /* the compressed stream is damaged; the text is what was left of
                      a line; the file ends here */
};

struct source_lines;
enum status source_lines_open(const char *path, bool latin1, struct source_lines **out,
                              struct error *err) MUST_USE;
void source_lines_close(struct source_lines *l);

/* The next line, as a new record, without its line end ("\n" or "\r\n"). The text
 * is valid until the next call and may be written to. */
enum status source_lines_next(struct source_lines *l, enum source_line *kind,
                              struct text *record, struct error *err) MUST_USE;

/* Append the next line to the record just given. Offsets into the record stay
 * good, pointers do not. LINE_END: there is no further line (or the stream is
 * damaged behind it); LINE_TOO_LONG: the record would be too long. In both cases
 * the record stays as it was. */
enum status source_lines_extend(struct source_lines *l, enum source_line *kind,
                                struct text *record, struct error *err) MUST_USE;

/* Only the first line of the record counts; the next call goes on behind it. */
void source_lines_cut_back(struct source_lines *l);

/* Number of the record's first line, from 1. */
uint64_t source_lines_number(const struct source_lines *l);
/* Why the stream is damaged; NULL when it is not. */
const char *source_lines_damage(const struct source_lines *l);
uint64_t source_lines_bytes_in(const struct source_lines *l);

#endif
