#include "cli/compare_vary.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/config/value.h"
#include "common/math/fmath.h"

enum { MAX_VALUES = 4096, MAX_DEPTH = 16, MAX_NUMBER = 64 };

static enum status no_memory(struct error *err)
{
    return mem_error(err, "--vary", sizeof(struct vary));
}

static enum status fail(struct error *err, const char *text, const char *what)
{
    error_set(err, ST_USAGE, "--vary %.300s: %s", text, what);
    return error_hint(err, ST_USAGE,
                      "for example --vary model.type=share_bottom,mmoe, or "
                      "--vary 'model.experts.layers=[64],[32, 32]'");
}

/* ---- splitting ---- */

/* A quote opens where a word could not hold it as an apostrophe. Gives the place
 * behind the closing one, or `from` when it is not one. */
static const char *skip_quoted(const char *text, const char *from)
{
    if (*from != '"' && *from != '\'') return from;
    if (from > text && isalnum((unsigned char)from[-1])) return from;
    for (const char *c = from + 1; *c; c++) {
        if (*from == '"' && *c == '\\' && c[1])
            c++;
        else if (*c == *from)
            return c + 1;
    }
    return from;
}

/* The end of the value that starts at `from`: a comma outside of brackets and
 * quotes, or the end of the text. NULL when brackets do not match. */
static const char *value_end(const char *text, const char *from)
{
    static const char open[] = "[{(", close[] = "]})";
    char wanted[MAX_DEPTH];
    size_t depth = 0;
    for (const char *c = from;; c++) {
        const char *behind = skip_quoted(text, c);
        if (behind != c) {
            c = behind - 1;
            continue;
        }
        if (!*c) return depth ? NULL : c;
        if (*c == ',' && !depth) return c;
        const char *bracket = strchr(open, *c);
        if (bracket) {
            if (depth == MAX_DEPTH) return NULL;
            wanted[depth++] = close[bracket - open];
        } else if (strchr(close, *c)) {
            if (!depth || wanted[--depth] != *c) return NULL;
        }
    }
}

static enum status split(struct arena *a, const char *text, const char *from,
                         struct vary *v, struct error *err)
{
    size_t capacity = 1;
    for (const char *c = from; *c; c++) capacity += *c == ',';
    v->values = arena_take(a, capacity, sizeof *v->values);
    if (!v->values) return no_memory(err);
    for (const char *c = from;; c++) {
        const char *end = value_end(text, c);
        if (!end) return fail(err, text, "the brackets do not match");
        const char *last = end;
        while (c < end && isspace((unsigned char)*c)) c++;
        while (last > c && isspace((unsigned char)last[-1])) last--;
        if (c == last)
            return fail(err, text, "a value is empty (the empty text is \"\")");
        if (v->n == MAX_VALUES) return fail(err, text, "too many values");
        if (!(v->values[v->n++] = arena_strndup(a, c, (size_t)(last - c))))
            return no_memory(err);
        c = end;
        if (!*c) return ST_OK;
    }
}

/* ---- ranges ---- */

static bool is_whole(const char *text)
{
    const char *digits = text + (*text == '-');
    size_t n = strspn(digits, "0123456789");
    return n && n <= 15 && !digits[n];
}

/* A..B or A..B:log. Gives false when the text is something else. */
static bool read_range(const char *text, struct vary *v)
{
    const char *dots = strstr(text, "..");
    char low[MAX_NUMBER], high[MAX_NUMBER];
    if (!dots || (size_t)(dots - text) >= sizeof low || strlen(dots + 2) >= sizeof high)
        return false;
    snprintf(low, sizeof low, "%.*s", (int)(dots - text), text);
    snprintf(high, sizeof high, "%s", dots + 2);
    char *colon = strchr(high, ':');
    if (colon && strcmp(colon, ":log") != 0) return false;
    if (colon) *colon = '\0';
    if (!value_real(low, &v->low) || !value_real(high, &v->high)) return false;
    v->log = colon != NULL;
    v->whole = is_whole(low) && is_whole(high);
    return true;
}

static enum status check_range(const char *text, struct vary *v, bool ranges,
                               struct error *err)
{
    if (!ranges) {
        error_set(err, ST_USAGE, "--vary %.300s: a range is for random draws", text);
        return error_hint(err, ST_USAGE,
                          "say how many with --random N, or list values: %s=V1,V2",
                          v->key);
    }
    if (v->low >= v->high)
        return fail(err, text, "the range ends where it starts, or before");
    if (v->log && v->low <= 0) return fail(err, text, "a :log range starts above 0");
    v->is_range = true;
    v->n = 0;
    return ST_OK;
}

enum status vary_parse(struct arena *a, const char *text, bool ranges, struct vary *out,
                       struct error *err)
{
    *out = (struct vary){0};
    size_t n = strcspn(text, "=");
    if (!n || !text[n]) return fail(err, text, "this is not KEY=V1,V2,...");
    if (!(out->key = arena_strndup(a, text, n))) return no_memory(err);
    TRY(split(a, text, text + n + 1, out, err));
    for (size_t i = 0; i < out->n; i++) {
        struct vary range = {.key = out->key};
        if (!read_range(out->values[i], &range)) continue;
        if (out->n > 1 && ranges) return fail(err, text, "a range stands alone");
        TRY(check_range(text, &range, ranges, err));
        *out = range;
    }
    return ST_OK;
}

/* ---- combining ---- */

size_t vary_grid_size(const struct vary *v, size_t n)
{
    size_t size = 1;
    for (size_t i = 0; i < n; i++)
        if (__builtin_mul_overflow(size, v[i].n, &size)) return SIZE_MAX;
    return size;
}

void vary_grid(const struct vary *v, size_t n, size_t i, const char **values)
{
    for (size_t k = n; k-- > 0; i /= v[k].n) values[k] = v[k].values[i % v[k].n];
}

/* u in [0, 1). The exponential of a logarithm may leave the range by rounding. */
static const char *draw_number(struct arena *a, const struct vary *v, double u)
{
    char text[MAX_NUMBER];
    if (v->whole) {
        double end = v->high + 1;
        double x = v->log ? fmath_exp(fmath_log(v->low) + u * fmath_log(end / v->low))
                          : v->low + u * (end - v->low);
        x = fmin(fmax(floor(x), v->low), v->high);
        return arena_printf(a, "%.0f", x);
    }
    double x = v->log ? fmath_exp(fmath_log(v->low) + u * fmath_log(v->high / v->low))
                      : v->low + u * (v->high - v->low);
    snprintf(text, sizeof text, "%.6g",
             x); /* digits that nobody needs would fill every table */
    x = fmin(fmax(strtod(text, NULL), v->low), v->high);
    return arena_strdup(a, value_print_real(x, text, sizeof text));
}

enum status vary_draw(struct arena *a, const struct vary *v, size_t n, uint64_t seed,
                      uint64_t i, const char **values, struct error *err)
{
    for (size_t k = 0; k < n; k++) {
        struct rng rng = rng_named(seed, RNG_COMPARE, v[k].key);
        double u = rng_uniform(&rng, i, 0);
        values[k] = v[k].is_range ? draw_number(a, &v[k], u)
                                  : v[k].values[(size_t)(u * (double)v[k].n)];
        if (!values[k]) return no_memory(err);
    }
    return ST_OK;
}
