/* Scores as text that reads back as what it was.
 *
 *   csv, tsv  a field with the separator, a quote or a line end in it is quoted as
 *             RFC 4180 says; bytes are copied as they are
 *   jsonl     one object a line; a byte that is no UTF-8 becomes U+FFFD */
#ifndef MTPS_WORKER_SCORE_TEXT_H
#define MTPS_WORKER_SCORE_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "data/text.h"

enum score_format { SCORE_CSV, SCORE_TSV, SCORE_JSONL };

struct score_text {
    FILE *file;
    enum score_format format;
    bool not_utf8; /* set when a byte was replaced */
    bool begun;    /* the line has a field */
};

/* The fields of the header line (none in jsonl) or of a row, one after another,
 * then the end of the line. Nine digits of a value read back as the same float;
 * one that is no number is empty, in jsonl null. */
void score_text_name(struct score_text *t, const char *name);
void score_text_field(struct score_text *t, const char *name, struct text value);
void score_text_value(struct score_text *t, const char *name, float value);
/* A vector of n: columns name_0 .. name_(n-1) of csv and tsv, in jsonl one list. */
void score_text_vector_name(struct score_text *t, const char *name, size_t n);
void score_text_vector(struct score_text *t, const char *name, const float *v, size_t n);
void score_text_end(struct score_text *t);

#endif
