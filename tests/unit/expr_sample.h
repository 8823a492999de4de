/* Evaluate an expression on columns given as text: for tests. */
#ifndef MTPS_TESTS_EXPR_SAMPLE_H
#define MTPS_TESTS_EXPR_SAMPLE_H

#include <stddef.h>

#include "data/expr.h"

struct sample_column {
    const char *name;
    const char *text; /* NULL = missing */
};

/* The result in writing: "missing", a number, or a text in single quotes; on an
 * error its text. Columns end with name NULL. Valid until the next call. */
const char *expr_sample(const char *text, const struct sample_column *columns);

#endif
