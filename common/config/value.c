#include "common/config/value.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};

/* First word's length is up to n; gives the factor of a unit, or false. */
static bool find_unit(const struct unit *units, size_t n, const char *name, double *factor)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(units[i].name, name)) {
            *factor = units[i].factor;
            return true;
        }
    return false;
}

#define FIND_UNIT(units, name, factor) \
    find_unit(units, sizeof(units) / sizeof *(units), name, factor)

/* Read a decimal number at the start; *rest is the text behind it and blanks.
 * Only digits, a point, a sign and an exponent: no hex, no inf, no nan. */
static bool leading_real(const char *text, double *out, const char **rest)
{
    size_t digits = strspn(text, "+-.0123456789");
    if (!digits || !strpbrk(text, "0123456789")) return false;
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    if (end == text || !isfinite(*out)) return false;
    for (const char *c = text; c < end; c++)
        if (!strchr("+-.0123456789eE", *c)) return false;
    *rest = end + strspn(end, " ");
    return true;
}

bool value_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"true", "True", "TRUE"};
    static const char *const no[] = {"false", "False", "FALSE"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(text, yes[i]) && strcmp(text, no[i])) continue;
        *out = !strcmp(text, yes[i]);
        return true;
    }
    return false;
}

static bool scaled_count(const char *text, const struct unit *units, size_t n, uint64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (!digits) return false;
    errno = 0;
    unsigned long long whole = strtoull(text, NULL, 10);
    if (errno) return false;
    const char *rest = text + digits;
    if (*rest) {
        double factor;
        const char *unit = rest + strspn(rest, " ");
        if (*rest != '.' && find_unit(units, n, unit, &factor)) {
            if (whole > UINT64_MAX / (uint64_t)factor) return false;
            *out = whole * (uint64_t)factor;
            return true;
        }
        /* 1.5M, 1e6: fine when the product is whole. */
        double x;
        if (!leading_real(text, &x, &unit)) return false;
        factor = 1;
        if (*unit && !find_unit(units, n, unit, &factor)) return false;
        x *= factor;
        if (x != floor(x) || x < 0 || x > 9e15) return false;
        *out = (uint64_t)x;
        return true;
    }
    *out = whole;
    return true;
}

bool value_count(const char *text, uint64_t *out)
{
    static const struct unit units[] = {{"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}};
    return scaled_count(text, units, sizeof units / sizeof *units, out);
}

bool value_bytes(const char *text, uint64_t *out)
{
    static const struct unit units[] = {
        {"B", 1},           {"k", 1024},         {"K", 1024},         {"KB", 1024},
        {"KiB", 1024},      {"M", 1048576},      {"MB", 1048576},     {"MiB", 1048576},
        {"G", 1073741824},  {"GB", 1073741824},  {"GiB", 1073741824}, {"T", 1099511627776.0},
        {"TB", 1099511627776.0}, {"TiB", 1099511627776.0}};
    return scaled_count(text, units, sizeof units / sizeof *units, out);
}

bool value_real(const char *text, double *out)
{
    const char *rest;
    return leading_real(text, out, &rest) && !*rest;
}

bool value_share(const char *text, double *out, bool *percent)
{
    const char *rest;
    double x;
    if (!leading_real(text, &x, &rest)) return false;
    *percent = !strcmp(rest, "%");
    if (*rest && !*percent) return false;
    *out = *percent ? x / 100 : x;
    return true;
}

static const struct unit time_units[] = {
    {"ms", 0.001}, {"s", 1},      {"sec", 1},     {"second", 1},  {"seconds", 1},
    {"min", 60},   {"minute", 60}, {"minutes", 60}, {"h", 3600},   {"hour", 3600},
    {"hours", 3600}, {"d", 86400}, {"day", 86400}, {"days", 86400}};

bool value_seconds(const char *text, double *out)
{
    const char *unit;
    double x, factor = 1;
    if (!leading_real(text, &x, &unit)) return false;
    if (*unit && !FIND_UNIT(time_units, unit, &factor)) return false;
    *out = x * factor;
    return true;
}

bool value_period(const char *text, struct every_cfg *out)
{
    const char *unit;
    double x, factor;
    if (!leading_real(text, &x, &unit) || x <= 0) return false;
    if (!strcmp(unit, "epoch") || !strcmp(unit, "epochs")) {
        out->epochs = x;
        return true;
    }
    if (!strcmp(unit, "step") || !strcmp(unit, "steps")) {
        if (x != floor(x) || x > 9e15) return false;
        out->steps = (uint64_t)x;
        return true;
    }
    if (!FIND_UNIT(time_units, unit, &factor)) return false;
    out->seconds = x * factor;
    return true;
}

const char *value_print_real(double x, char *out, size_t size)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, x);
        if (strtod(out, NULL) == x) break;
    }
    return out;
}
