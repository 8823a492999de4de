/* Expressions over the columns that a prepared file keeps: for selections, and for
 * whoever wants their value on a row. Inside data/, but for row_values in dataset.h.
 * Typed once per text, so that a row costs no parsing. */
#ifndef MTPS_DATA_DATASET_RULE_H
#define MTPS_DATA_DATASET_RULE_H

#include "data/dataset_impl.h"

enum { RULE_TEXT = 64 };
/* An expression over kept columns, as a truth or as an id per row. */
struct rule {
    struct expr *expr;
    struct kept *kept;     /* [n] */
    struct value **values; /* [n][texts] typed once per text; NULL entries: AUX_NUMBER */
    struct value *inputs;
    size_t n;
    struct expr_scratch *scratch;
    int8_t *known; /* one text column: truth per code and one for missing; 0 = not yet */
    const char *what; /* for errors; borrowed */
    char buf[RULE_TEXT];
};

/* ST_USAGE when a column is not kept, or the expression is not valid. Close it also
 * when opening failed. */
enum status rule_open(const struct dataset *d, const struct text_cfg *text,
                      const char *what, struct rule *r, struct error *err) MUST_USE;
void rule_close(struct rule *r);
/* On row i of a block of kept_block(). Missing is false. */
enum status rule_truth(struct rule *r, const struct block *b, size_t i, bool *truth,
                       struct error *err) MUST_USE;
/* As an id: a bare column's own text, another value's; "missing". Valid until the next
 * call. */
enum status rule_text(struct rule *r, const struct block *b, size_t i, struct text *out,
                      struct error *err) MUST_USE;

#endif
