/* What an expression is parsed to: postfix instructions for a small stack.
 * Inside data/expr_*.c only.
 *
 *   duration_ms > 0 and tab in [1, 2]
 *     COLUMN 0 | CONST 0 | GREATER | TEST_AND -> end | COLUMN 1 | IN list 0 | AND | end
 */
#ifndef MTPS_DATA_EXPR_CODE_H
#define MTPS_DATA_EXPR_CODE_H

#include "common/base/mem.h"
#include "data/expr.h"

enum {
    EXPR_NESTING = 64, /* parentheses and calls in one another */
    EXPR_STACK = 256,  /* values on the stack at once */
    EXPR_TEXT_MAX = 64 * 1024
};

/* The order matters: expr_eval.c asks for ranges (arithmetic, comparison, functions
 * of numbers up to OP_CLIP, then those of texts and times). */
enum expr_op {
    /* arg: column, constant, list of constants, place to jump to */
    OP_COLUMN,
    OP_CONST,
    OP_IN,
    OP_NOT_IN,
    OP_TEST_AND, /* false on top decides an `and`: jump; else go on */
    OP_TEST_OR,
    OP_TEST_COALESCE, /* not missing: jump; else pop */
    OP_TEST_MISSING,  /* missing: jump */
    OP_TEST_IF,       /* pops; false: jump */
    OP_JUMP,
    OP_AND,
    OP_OR,
    OP_NOT,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_NEG,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    /* functions; n_args where it varies */
    OP_ABS,
    OP_FLOOR,
    OP_CEIL,
    OP_ROUND,
    OP_SQRT,
    OP_EXP,
    OP_LOG,
    OP_LOG2,
    OP_LOG1P,
    OP_MIN,
    OP_MAX,
    OP_CLIP,
    OP_IS_MISSING,
    OP_N_ITEMS,
    OP_ITEM,
    OP_CONTAINS,
    OP_CONCAT,
    OP_LOWER,
    OP_SUBSTR,
    OP_HASH,
    OP_HOUR,
    OP_WEEKDAY,
    OP_DATE,
    OP_IF,
    OP_COALESCE /* known to the parser only */
};

struct expr_instr {
    uint16_t op;
    uint16_t n_args;
    uint32_t arg;
};

/* A value on the stack. */
struct expr_cell {
    enum value_kind kind;
    union {
        int64_t i;
        double f;
        const char *s;
    } u;
    size_t n; /* bytes of a string */
};

struct expr_list {
    uint32_t first, n; /* constants */
};

struct expr_column {
    const char *name;
    bool is_string;
};

struct expr {
    struct arena *arena; /* owns the arrays and strings */
    struct expr_instr *code;
    size_t n_code;
    struct expr_cell *constants;
    struct expr_list *lists;
    struct expr_column *columns;
    size_t n_columns;
    bool is_column, gives_string;
};

/* ---- values (expr_value.c) ---- */

static inline struct expr_cell expr_cell_int(int64_t i)
{
    return (struct expr_cell){.kind = VALUE_INT, .u.i = i};
}

static inline struct expr_cell expr_cell_missing(void)
{
    return (struct expr_cell){.kind = VALUE_MISSING};
}

static inline struct expr_cell expr_cell_string(const char *s, size_t n)
{
    return (struct expr_cell){.kind = VALUE_STRING, .u.s = s, .n = n};
}

/* Missing unless finite: no expression gives inf or nan. */
struct expr_cell expr_cell_float(double f);
/* The whole number f as an integer when it fits, else as a float. */
struct expr_cell expr_cell_whole(double f);
double expr_cell_number(const struct expr_cell *c); /* INT or FLOAT */
/* -1, 0, 1: exactly, also between integers and floats; strings by bytes. Both
 * are numbers or both are strings. */
int expr_cell_compare(const struct expr_cell *a, const struct expr_cell *b);
struct value expr_cell_value(const struct expr_cell *c);
struct expr_cell expr_cell_of(const struct value *v);

/* ---- memory of one evaluation (expr_text.c) ---- */

/* Valid until the next expr_text_reset. NULL when out of memory. */
char *expr_text_take(struct expr_scratch *s, size_t n) MUST_USE;
void expr_text_reset(struct expr_scratch *s);
struct expr_cell *expr_text_stack(struct expr_scratch *s); /* [-1 .. EXPR_STACK) */

/* ---- functions on strings and times (expr_text.c, expr_time.c) ---- */

/* args: the n arguments, none missing. False when out of memory. */
bool expr_text_concat(struct expr_scratch *s, const struct expr_cell *args, size_t n,
                      struct expr_cell *out) MUST_USE;
bool expr_text_lower(struct expr_scratch *s, const struct expr_cell *arg,
                     struct expr_cell *out) MUST_USE;
struct expr_cell expr_text_n_items(const struct expr_cell *args);
struct expr_cell expr_text_item(const struct expr_cell *args);
struct expr_cell expr_text_contains(const struct expr_cell *args);
struct expr_cell expr_text_substr(const struct expr_cell *args, size_t n);
struct expr_cell expr_text_hash(const struct expr_cell *arg);
/* OP_HOUR, OP_WEEKDAY, OP_DATE of a time and, n == 2, an offset in hours. */
struct expr_cell expr_time(enum expr_op op, const struct expr_cell *args, size_t n);

#endif
