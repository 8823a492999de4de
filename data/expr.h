/* The expression language of labels, presence, weights, filters and derived
 * features (docs/expressions.md). Typed, without loops or assignment.
 *
 * Values are missing, 64-bit integers, doubles or strings. A column is read as
 * number or string by its use: expr_parse() decides it once. Arithmetic and
 * comparison with missing give missing.
 *
 * A parsed expression is read-only and may be evaluated by any thread, each
 * with its own scratch. */
#ifndef MTPS_DATA_EXPR_H
#define MTPS_DATA_EXPR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/settings.h"
#include "data/text.h"

enum value_kind { VALUE_MISSING, VALUE_INT, VALUE_FLOAT, VALUE_STRING };

struct value {
    enum value_kind kind;
    int64_t i;
    double f;
    struct text s; /* valid until the scratch is reset or the inputs change */
};

struct expr;
struct expr_scratch; /* memory of strings made while evaluating */

/* Parse text->text. `known` lists the columns there are (NULL = any name is
 * taken); a text that equals a known column's name byte for byte is that column,
 * whatever characters it has. Errors: ST_USAGE,
 * "FILE:LINE:COLUMN: in expression 'TEXT' at column K: ...", with the nearest
 * known column or function as hint. */
enum status expr_parse(const struct text_cfg *text, const char *const *known,
                       size_t n_known, struct expr **out, struct error *err) MUST_USE;
void expr_destroy(struct expr *e);

/* Columns the expression reads, each once; the order of expr_eval's inputs. */
size_t expr_n_columns(const struct expr *e);
const char *expr_column(const struct expr *e, size_t i);
bool expr_column_is_string(const struct expr *e, size_t i); /* else number */
/* True when the expression is one bare column (its value is then the column's text). */
bool expr_is_column(const struct expr *e);
/* True when the result is always a string (or missing). */
bool expr_gives_string(const struct expr *e);

enum status expr_scratch_create(struct expr_scratch **out, struct error *err) MUST_USE;
void expr_scratch_destroy(struct expr_scratch *s);

/* columns[i]: the raw text of column i; s == NULL means missing. A number column
 * whose text is no number is ST_DATA naming the column and the text. The result
 * is valid until the next evaluation with the same scratch. */
enum status expr_eval(const struct expr *e, const struct text *columns,
                      struct expr_scratch *scratch, struct value *out,
                      struct error *err) MUST_USE;

/* The same on values that are already typed (columns kept in prepared data):
 * integers and floats for number columns, strings for string columns. */
enum status expr_eval_values(const struct expr *e, const struct value *columns,
                             struct expr_scratch *scratch, struct value *out,
                             struct error *err) MUST_USE;

/* Truth: a number other than 0 or a non-empty string; missing is false. */
bool value_is_true(const struct value *v);
/* As a number; false when missing or a string. */
bool value_number(const struct value *v, double *out);
/* Text of an id (DESIGN section 8): a string as it is; an integer, or a float
 * that equals one, in decimal; another float as the shortest text that reads
 * back. Written to buf (>= 32 bytes) unless it is a string. */
struct text value_id_text(const struct value *v, char *buf);

/* "not a number" rule of the whole project: decimal integers and floats,
 * surrounding blanks not allowed, no hex, no inf or nan. Kind is VALUE_INT when the
 * text is an integer that fits int64, else VALUE_FLOAT. False when it is none. */
bool text_number(struct text t, struct value *out);

#endif
