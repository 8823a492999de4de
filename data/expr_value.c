/* Values of expressions: numbers from text and back, comparison. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/value.h"
#include "data/expr_code.h"

enum { NUMBER_LONGEST = 400 };
#define TWO_63 9223372036854775808.0

/* ---- text -> number ---- */

struct parts {
    bool negative;
    uint64_t digits; /* of mantissa, the first 19 at most */
    int n_digits;    /* without leading zeros */
    int exponent;    /* decimal, of the last digit of `digits` */
    bool whole;      /* neither a point nor an exponent */
};

/* The written form: [sign] digits [. digits] [e [sign] digits]. */
static bool take_parts(struct text t, struct parts *p)
{
    size_t i = 0, seen = 0;
    *p = (struct parts){.whole = true};
    if (i < t.n && (t.s[i] == '-' || t.s[i] == '+')) p->negative = t.s[i++] == '-';
    for (bool point = false; i < t.n; i++) {
        unsigned digit = (unsigned)(unsigned char)t.s[i] - '0';
        if (digit > 9) {
            if (t.s[i] != '.' || point) break;
            point = true;
            p->whole = false;
            continue;
        }
        seen++;
        if (p->n_digits || digit) p->n_digits++;
        if (p->n_digits <= 19) {
            p->digits = 10 * p->digits + digit;
            p->exponent -= point;
        } else {
            p->exponent += !point;
        }
    }
    if (!seen || i == t.n) return seen && i == t.n;
    if (t.s[i] != 'e' && t.s[i] != 'E') return false;
    p->whole = false;
    i++;
    bool minus = i < t.n && t.s[i] == '-';
    if (i < t.n && (t.s[i] == '-' || t.s[i] == '+')) i++;
    int e = 0;
    size_t first = i;
    for (; i < t.n; i++) {
        unsigned digit = (unsigned)(unsigned char)t.s[i] - '0';
        if (digit > 9) return false;
        if (e < 100000) e = 10 * e + (int)digit;
    }
    p->exponent += minus ? -e : e;
    return i > first;
}

/* Up to 2^53 and 10^22 are exact doubles: one rounding gives the nearest. */
static bool small_double(const struct parts *p, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (p->digits > UINT64_C(1) << 53 || p->n_digits > 19) return false;
    if (p->exponent < -22 || p->exponent > 22) return false;
    double m = (double)p->digits;
    m = p->exponent < 0 ? m / powers[-p->exponent] : m * powers[p->exponent];
    *out = p->negative ? -m : m;
    return true;
}

bool text_number(struct text t, struct value *out)
{
    struct parts p;
    if (t.n == 0 || !take_parts(t, &p)) return false;
    uint64_t limit = (uint64_t)INT64_MAX + p.negative;
    if (p.whole && p.n_digits <= 19 && p.digits <= limit) {
        int64_t i = p.negative ? (int64_t)(0 - p.digits) : (int64_t)p.digits;
        *out = (struct value){.kind = VALUE_INT, .i = i};
        return true;
    }
    double f;
    if (!small_double(&p, &f)) {
        char copy[NUMBER_LONGEST + 1];
        if (t.n > NUMBER_LONGEST) return false;
        memcpy(copy, t.s, t.n);
        copy[t.n] = '\0';
        f = strtod(copy, NULL);
        if (!isfinite(f)) return false;
    }
    *out = (struct value){.kind = VALUE_FLOAT, .f = f};
    return true;
}

/* ---- values ---- */

bool value_is_true(const struct value *v)
{
    struct value number;
    switch (v->kind) {
    case VALUE_INT:
        return v->i != 0;
    case VALUE_FLOAT:
        return v->f != 0;
    case VALUE_STRING:
        /* A bare column is text: "0" in it means what 0 means. */
        if (text_number(v->s, &number)) return value_is_true(&number);
        return v->s.n != 0;
    case VALUE_MISSING:
        break;
    }
    return false;
}

bool value_number(const struct value *v, double *out)
{
    if (v->kind == VALUE_INT)
        *out = (double)v->i;
    else if (v->kind == VALUE_FLOAT)
        *out = v->f;
    else
        return false;
    return true;
}

static bool fits_int(double f)
{
    return f >= -TWO_63 && f < TWO_63;
}

/* Decimal digits. */
static struct text whole_text(int64_t i, char *buf)
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t left = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    do *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (i < 0) *--at = '-';
    size_t n = (size_t)(digits + sizeof digits - at);
    memcpy(buf, at, n);
    buf[n] = '\0';
    return (struct text){buf, n};
}

struct text value_id_text(const struct value *v, char *buf)
{
    enum { ROOM = 32 };
    if (v->kind == VALUE_STRING) return v->s;
    if (v->kind == VALUE_MISSING) return (struct text){NULL, 0};
    if (v->kind == VALUE_INT) return whole_text(v->i, buf);
    if (fits_int(v->f) && v->f == floor(v->f)) return whole_text((int64_t)v->f, buf);
    value_print_real(v->f, buf, ROOM);
    return (struct text){buf, strlen(buf)};
}

struct expr_cell expr_cell_float(double f)
{
    if (!isfinite(f)) return expr_cell_missing();
    return (struct expr_cell){.kind = VALUE_FLOAT, .u.f = f};
}

struct expr_cell expr_cell_whole(double f)
{
    return fits_int(f) ? expr_cell_int((int64_t)f) : expr_cell_float(f);
}

double expr_cell_number(const struct expr_cell *c)
{
    return c->kind == VALUE_INT ? (double)c->u.i : c->u.f;
}

static int order(double a, double b)
{
    return (a > b) - (a < b);
}

/* A double loses digits of an integer beyond 2^53, so the double is cut instead. */
static int compare_mixed(int64_t i, double f)
{
    if (f >= TWO_63) return -1;
    if (f < -TWO_63) return 1;
    int64_t whole = (int64_t)f;
    if (i != whole) return i > whole ? 1 : -1;
    return order(0, f - (double)whole);
}

int expr_cell_compare(const struct expr_cell *a, const struct expr_cell *b)
{
    if (a->kind == VALUE_STRING) {
        int c = memcmp(a->u.s, b->u.s, a->n < b->n ? a->n : b->n);
        if (c) return c > 0 ? 1 : -1;
        return (a->n > b->n) - (a->n < b->n);
    }
    if (a->kind == VALUE_INT && b->kind == VALUE_INT)
        return (a->u.i > b->u.i) - (a->u.i < b->u.i);
    if (a->kind == VALUE_INT) return compare_mixed(a->u.i, b->u.f);
    if (b->kind == VALUE_INT) return -compare_mixed(b->u.i, a->u.f);
    return order(a->u.f, b->u.f);
}

struct value expr_cell_value(const struct expr_cell *c)
{
    struct value v = {.kind = c->kind};
    if (c->kind == VALUE_INT) v.i = c->u.i;
    if (c->kind == VALUE_FLOAT) v.f = c->u.f;
    if (c->kind == VALUE_STRING) v.s = (struct text){c->u.s, c->n};
    return v;
}

struct expr_cell expr_cell_of(const struct value *v)
{
    switch (v->kind) {
    case VALUE_INT:
        return expr_cell_int(v->i);
    case VALUE_FLOAT:
        return expr_cell_float(v->f);
    case VALUE_STRING:
        return expr_cell_string(v->s.s, v->s.n);
    case VALUE_MISSING:
        break;
    }
    return expr_cell_missing();
}
