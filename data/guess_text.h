/* Pieces of YAML as text: scalars, lists that wrap, comments that wrap. Inside
 * data/guess*.c. */
#ifndef MTPS_DATA_GUESS_TEXT_H
#define MTPS_DATA_GUESS_TEXT_H

#include "common/config/buffer.h"

enum { TEXT_WIDTH = 88 };

/* A scalar, quoted when it has to be. */
void text_scalar(struct buffer *b, const char *text);
/* "[a, b, c]", going on in further lines, indented so many columns, when it is long. */
void text_list(struct buffer *b, const char *const *v, size_t n, size_t indent);
/* "# words", in as many lines as it takes, each indented. */
void text_comment(struct buffer *b, size_t indent, const char *text);
/* The text as it may stand in a comment: what is not printable or not UTF-8 is '?'. */
void text_clean(struct buffer *b, const char *text);
/* Columns of the last line so far. */
size_t text_column(const struct buffer *b);

#endif
