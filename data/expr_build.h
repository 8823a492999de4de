/* An expression while it is parsed: growing code, and the types of its parts.
 * Inside data/expr_*.c only.
 *
 * Whether a column is read as number or string follows from its use, which may
 * stand behind it: `a == b and a > 3`. So every part has a type variable; uses
 * bind variables to a type or to each other. */
#ifndef MTPS_DATA_EXPR_BUILD_H
#define MTPS_DATA_EXPR_BUILD_H

#include "data/expr_code.h"

enum expr_type { TYPE_OPEN, TYPE_NUMBER, TYPE_STRING };

/* A part that has been parsed. */
struct expr_part {
    uint32_t type; /* variable */
    size_t at;     /* where it starts */
};

struct expr_variable {
    uint32_t parent; /* itself: a root */
    enum expr_type type;
    size_t bound_at; /* use that decided the type of a root */
};

struct expr_build {
    struct expr_instr *code;
    size_t n_code, cap_code;
    struct expr_cell *constants;
    size_t n_constants, cap_constants;
    struct expr_list *lists;
    size_t n_lists, cap_lists;
    struct expr_column *columns;
    uint32_t *column_type; /* variable of each column */
    size_t n_columns, cap_columns;
    struct expr_variable *variables;
    size_t n_variables, cap_variables;
    size_t depth, depth_max; /* of the stack */
};

void expr_build_close(struct expr_build *b);

/* All give false when out of memory. net: values it adds to the stack. */
bool expr_build_code(struct expr_build *b, enum expr_op op, size_t n_args, size_t arg,
                     int net) MUST_USE;
bool expr_build_constant(struct expr_build *b, struct expr_cell c,
                         size_t *index) MUST_USE;
bool expr_build_list(struct expr_build *b, struct expr_list l, size_t *index) MUST_USE;
bool expr_build_variable(struct expr_build *b, enum expr_type type, size_t at,
                         uint32_t *out) MUST_USE;
/* The column of that name (kept, not copied), with one variable for all its uses. */
bool expr_build_column(struct expr_build *b, const char *name, size_t at,
                       size_t *index) MUST_USE;

enum expr_type expr_build_type(struct expr_build *b, uint32_t variable, size_t *bound_at);
/* False: the variable is bound to the other type already. */
bool expr_build_bind(struct expr_build *b, uint32_t variable, enum expr_type type,
                     size_t at);
/* Both are of one type from now on; false when they cannot be. */
bool expr_build_join(struct expr_build *b, uint32_t x, uint32_t y, size_t at);

/* Move everything into an expression's arena; what is still open is a string. */
bool expr_build_finish(struct expr_build *b, struct expr *e) MUST_USE;

#endif
