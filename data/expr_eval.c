/* The machine that runs parsed expressions. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/math/fmath.h"
#include "data/expr_code.h"
#include "data/raw_text.h"

/* Where the values of columns come from: texts or typed values. */
struct inputs {
    const struct text *texts;
    const struct value *values; /* when texts is NULL */
};

static enum status not_a_number(const struct expr *e, size_t column, struct text t,
                                struct error *err)
{
    char shown[160];
    raw_text_print(t, 40, shown, sizeof shown);
    return error_set(err, ST_DATA, "column %s: '%s' is not a number",
                     e->columns[column].name, shown);
}

static enum status column_of_text(const struct expr *e, size_t column, struct text t,
                                  struct expr_cell *out, struct error *err)
{
    if (!t.s) {
        *out = expr_cell_missing();
        return ST_OK;
    }
    if (e->columns[column].is_string) {
        *out = expr_cell_string(t.s, t.n);
        return ST_OK;
    }
    struct value v;
    if (UNLIKELY(!text_number(t, &v))) return not_a_number(e, column, t, err);
    *out = expr_cell_of(&v);
    return ST_OK;
}

/* A typed value of the other type is converted. */
static enum status column_of_value(const struct expr *e, size_t column,
                                   const struct value *v, struct expr_scratch *scratch,
                                   struct expr_cell *out, struct error *err)
{
    if (v->kind == VALUE_STRING) return column_of_text(e, column, v->s, out, err);
    *out = expr_cell_of(v);
    if (!e->columns[column].is_string || v->kind == VALUE_MISSING) return ST_OK;
    char *buf = expr_text_take(scratch, 32);
    if (!buf) return mem_error(err, "expression", 32);
    struct text t = value_id_text(v, buf);
    *out = expr_cell_string(t.s, t.n);
    return ST_OK;
}

/* ---- arithmetic ---- */

static struct expr_cell modulo(const struct expr_cell *a, const struct expr_cell *b)
{
    if (a->kind == VALUE_INT && b->kind == VALUE_INT) {
        if (b->u.i == 0) return expr_cell_missing();
        if (b->u.i == -1) return expr_cell_int(0);
        int64_t r = a->u.i % b->u.i;
        return expr_cell_int(r != 0 && (r < 0) != (b->u.i < 0) ? r + b->u.i : r);
    }
    double x = expr_cell_number(a), y = expr_cell_number(b);
    if (y == 0) return expr_cell_missing();
    double r = fmod(x, y);
    return expr_cell_float(r != 0 && (r < 0) != (y < 0) ? r + y : r);
}

/* Integers stay integers while they fit 64 bits. */
static struct expr_cell arithmetic(enum expr_op op, const struct expr_cell *a,
                                   const struct expr_cell *b)
{
    int64_t i;
    if (a->kind == VALUE_INT && b->kind == VALUE_INT) {
        if (op == OP_ADD && !__builtin_add_overflow(a->u.i, b->u.i, &i))
            return expr_cell_int(i);
        if (op == OP_SUB && !__builtin_sub_overflow(a->u.i, b->u.i, &i))
            return expr_cell_int(i);
        if (op == OP_MUL && !__builtin_mul_overflow(a->u.i, b->u.i, &i))
            return expr_cell_int(i);
    }
    double x = expr_cell_number(a), y = expr_cell_number(b);
    switch (op) {
    case OP_ADD:
        return expr_cell_float(x + y);
    case OP_SUB:
        return expr_cell_float(x - y);
    case OP_MUL:
        return expr_cell_float(x * y);
    case OP_DIV:
        return y == 0 ? expr_cell_missing() : expr_cell_float(x / y);
    default:
        return modulo(a, b);
    }
}

static struct expr_cell absolute(const struct expr_cell *a, bool negate)
{
    if (a->kind == VALUE_FLOAT) return expr_cell_float(negate ? -a->u.f : fabs(a->u.f));
    if (a->u.i == INT64_MIN) return expr_cell_float(-(double)a->u.i);
    return expr_cell_int(negate || a->u.i < 0 ? -a->u.i : a->u.i);
}

static struct expr_cell compare(enum expr_op op, const struct expr_cell *a,
                                const struct expr_cell *b)
{
    int c = expr_cell_compare(a, b);
    switch (op) {
    case OP_EQUAL:
        return expr_cell_int(c == 0);
    case OP_NOT_EQUAL:
        return expr_cell_int(c != 0);
    case OP_LESS:
        return expr_cell_int(c < 0);
    case OP_LESS_EQUAL:
        return expr_cell_int(c <= 0);
    case OP_GREATER:
        return expr_cell_int(c > 0);
    default:
        return expr_cell_int(c >= 0);
    }
}

static struct expr_cell rounded(enum expr_op op, const struct expr_cell *a)
{
    if (a->kind == VALUE_INT) return *a;
    if (op == OP_FLOOR) return expr_cell_whole(floor(a->u.f));
    if (op == OP_CEIL) return expr_cell_whole(ceil(a->u.f));
    return expr_cell_whole(round(a->u.f));
}

/* Outside its domain a function is missing: expr_cell_float() sees inf and nan. */
static struct expr_cell real_function(enum expr_op op, const struct expr_cell *a)
{
    double x = expr_cell_number(a);
    switch (op) {
    case OP_SQRT:
        return x < 0 ? expr_cell_missing() : expr_cell_float(sqrt(x));
    case OP_EXP:
        return expr_cell_float(fmath_exp(x));
    case OP_LOG:
        return x <= 0 ? expr_cell_missing() : expr_cell_float(fmath_log(x));
    case OP_LOG2:
        return x <= 0 ? expr_cell_missing() : expr_cell_float(fmath_log2(x));
    default:
        return x <= -1 ? expr_cell_missing() : expr_cell_float(fmath_log1p(x));
    }
}

static struct expr_cell extreme(enum expr_op op, const struct expr_cell *a, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        int c = expr_cell_compare(&a[i], &a[best]);
        if (op == OP_MIN ? c < 0 : c > 0) best = i;
    }
    return a[best];
}

static struct expr_cell clip(const struct expr_cell *a)
{
    if (expr_cell_compare(&a[0], &a[1]) < 0) return a[1];
    return expr_cell_compare(&a[0], &a[2]) > 0 ? a[2] : a[0];
}

/* ---- logic: true, false, missing ---- */

static bool is_zero(const struct expr_cell *a)
{
    return a->kind == VALUE_INT ? a->u.i == 0 : a->u.f == 0;
}

/* 0, 1 or -1 for missing. */
static int truth(const struct expr_cell *a)
{
    return a->kind == VALUE_MISSING ? -1 : !is_zero(a);
}

/* decisive: 0 for `and`, 1 for `or`; it wins over missing. */
static struct expr_cell both(const struct expr_cell *a, const struct expr_cell *b,
                             int decisive)
{
    int x = truth(a), y = truth(b);
    if (x == decisive || y == decisive) return expr_cell_int(decisive);
    return x < 0 || y < 0 ? expr_cell_missing() : expr_cell_int(!decisive);
}

static struct expr_cell is_in(const struct expr *e, const struct expr_cell *a,
                              uint32_t list)
{
    const struct expr_list *l = &e->lists[list];
    for (uint32_t i = 0; i < l->n; i++)
        if (expr_cell_compare(a, &e->constants[l->first + i]) == 0)
            return expr_cell_int(1);
    return expr_cell_int(0);
}

/* ---- the machine ---- */

static struct expr_cell on_numbers(enum expr_op op, const struct expr_cell *a, size_t n)
{
    if (op >= OP_ADD && op <= OP_MOD) return arithmetic(op, &a[0], &a[1]);
    if (op >= OP_EQUAL && op <= OP_GREATER_EQUAL) return compare(op, &a[0], &a[1]);
    if (op >= OP_FLOOR && op <= OP_ROUND) return rounded(op, a);
    if (op >= OP_SQRT && op <= OP_LOG1P) return real_function(op, a);
    if (op == OP_MIN || op == OP_MAX) return extreme(op, a, n);
    if (op == OP_CLIP) return clip(a);
    return op == OP_NOT ? expr_cell_int(is_zero(a)) : absolute(a, op == OP_NEG);
}

static bool on_texts(enum expr_op op, struct expr_scratch *scratch, struct expr_cell *a,
                     size_t n)
{
    if (op == OP_CONCAT) return expr_text_concat(scratch, a, n, a);
    if (op == OP_LOWER) return expr_text_lower(scratch, a, a);
    if (op == OP_N_ITEMS) *a = expr_text_n_items(a);
    if (op == OP_ITEM) *a = expr_text_item(a);
    if (op == OP_CONTAINS) *a = expr_text_contains(a);
    if (op == OP_SUBSTR) *a = expr_text_substr(a, n);
    if (op == OP_HASH) *a = expr_text_hash(a);
    if (op >= OP_HOUR) *a = expr_time(op, a, n);
    return true;
}

static bool any_missing(const struct expr_cell *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i].kind == VALUE_MISSING) return true;
    return false;
}

/* An operation on the topmost values, of which none may be missing, with one
 * exception: an empty list is written as nothing and has 0 items. */
static enum status apply(const struct expr_instr *at, struct expr_scratch *scratch,
                         struct expr_cell *a, struct error *err)
{
    enum expr_op op = (enum expr_op)at->op;
    if (op == OP_N_ITEMS && a->kind == VALUE_MISSING)
        *a = expr_cell_int(0);
    else if (any_missing(a, at->n_args))
        *a = expr_cell_missing();
    else if (op <= OP_CLIP)
        *a = on_numbers(op, a, at->n_args);
    else if (!on_texts(op, scratch, a, at->n_args))
        return mem_error(err, "text of an expression", a->n);
    return ST_OK;
}

/* Does the instruction at `top` leave the straight way? Pops what it uses up. */
static bool jumps(enum expr_op op, struct expr_cell **top, uint32_t arg, uint32_t *to)
{
    struct expr_cell *a = *top;
    int t;
    switch (op) {
    case OP_TEST_AND:
    case OP_TEST_OR:
        t = truth(a) == (op == OP_TEST_OR);
        if (t) *a = expr_cell_int(op == OP_TEST_OR);
        break;
    case OP_TEST_COALESCE:
        t = a->kind != VALUE_MISSING;
        if (!t) --*top;
        break;
    case OP_TEST_MISSING:
        t = a->kind == VALUE_MISSING;
        break;
    case OP_TEST_IF:
        t = truth(a) == 0;
        --*top;
        break;
    default:
        t = 1;
        break; /* OP_JUMP */
    }
    *to = arg;
    return t;
}

static enum status load_column(const struct expr *e, uint32_t column,
                               const struct inputs *in, struct expr_scratch *scratch,
                               struct expr_cell *out, struct error *err)
{
    if (in->texts) return column_of_text(e, column, in->texts[column], out, err);
    return column_of_value(e, column, &in->values[column], scratch, out, err);
}

static enum status run(const struct expr *e, const struct inputs *in,
                       struct expr_scratch *scratch, struct value *out, struct error *err)
{
    struct expr_cell *top = expr_text_stack(scratch) - 1; /* the topmost value */
    expr_text_reset(scratch);
    for (uint32_t at = 0; at < e->n_code; at++) {
        const struct expr_instr *now = &e->code[at];
        uint32_t to;
        switch ((enum expr_op)now->op) {
        case OP_COLUMN:
            TRY(load_column(e, now->arg, in, scratch, ++top, err));
            break;
        case OP_CONST:
            *++top = e->constants[now->arg];
            break;
        case OP_IN:
        case OP_NOT_IN:
            if (top->kind == VALUE_MISSING) break;
            *top = is_in(e, top, now->arg);
            if (now->op == OP_NOT_IN) top->u.i = !top->u.i;
            break;
        case OP_AND:
            top--;
            *top = both(&top[0], &top[1], 0);
            break;
        case OP_OR:
            top--;
            *top = both(&top[0], &top[1], 1);
            break;
        case OP_IS_MISSING:
            *top = expr_cell_int(top->kind == VALUE_MISSING);
            break;
        case OP_TEST_AND:
        case OP_TEST_OR:
        case OP_TEST_COALESCE:
        case OP_TEST_MISSING:
        case OP_TEST_IF:
        case OP_JUMP:
            if (jumps((enum expr_op)now->op, &top, now->arg, &to)) at = to - 1;
            break;
        default:
            top -= now->n_args - 1;
            TRY(apply(now, scratch, top, err));
        }
    }
    *out = expr_cell_value(top);
    return ST_OK;
}

enum status expr_eval(const struct expr *e, const struct text *columns,
                      struct expr_scratch *scratch, struct value *out, struct error *err)
{
    return run(e, &(struct inputs){.texts = columns}, scratch, out, err);
}

enum status expr_eval_values(const struct expr *e, const struct value *columns,
                             struct expr_scratch *scratch, struct value *out,
                             struct error *err)
{
    return run(e, &(struct inputs){.values = columns}, scratch, out, err);
}
