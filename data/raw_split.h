/* Cuts a record of csv or tsv into cells (RFC 4180): a cell that starts with a
 * quote ends at the next quote that is not doubled; a quote elsewhere is an
 * ordinary character. The delimiter is any text.
 *
 * A quoted cell may hold line ends: when the record ends inside quotes the caller
 * appends the next line and goes on with raw_split_more(). */
#ifndef MTPS_DATA_RAW_SPLIT_H
#define MTPS_DATA_RAW_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/text.h"

/* Offsets into the record, quotes not included. */
struct raw_cell {
    uint32_t begin, end;
    bool doubled; /* holds doubled quotes: made single by raw_split_text */
};

struct raw_split {
    const char *delimiter;
    size_t n_delimiter;
    bool trim;
    struct raw_cell *cells; /* [capacity] the caller's */
    size_t capacity;
    size_t n;             /* cells found; those beyond capacity are only counted */
    size_t at;            /* where a broken quote stands, or where scanning goes on */
    struct raw_cell open; /* the cell whose quote is open */
};

enum raw_split_end {
    SPLIT_DONE,
    SPLIT_OPEN,  /* inside quotes at the end of the record */
    SPLIT_BROKEN /* text behind a closing quote, at offset `at` */
};

enum raw_split_end raw_split(struct raw_split *s, struct text record);
/* record: the same one, longer. */
enum raw_split_end raw_split_more(struct raw_split *s, struct text record);

/* Text of a cell, trimmed if asked for; doubled quotes are made single in place. */
struct text raw_split_text(const struct raw_split *s, struct raw_cell *cell,
                           char *record);

#endif
