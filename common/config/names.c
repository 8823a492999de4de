#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config.h"

bool names_is_pattern(const char *text)
{
    return strpbrk(text, "*?") != NULL;
}

enum status names_add(struct arena *a, struct name_list *out, const char *name,
                      struct error *err)
{
    if (out->n == out->capacity) {
        size_t capacity = out->capacity ? 2 * out->capacity : 8;
        const char **v = arena_take(a, capacity, sizeof *v);
        if (!v) return config_no_memory(err);
        if (out->n) memcpy(v, out->v, out->n * sizeof *v);
        out->v = v;
        out->capacity = capacity;
    }
    out->v[out->n++] = name;
    return ST_OK;
}

/* PREFIX LOW .. HIGH with digits around the dots and nothing behind them. */
static bool is_range(const char *text, size_t *prefix, unsigned long *low, unsigned long *high,
                     int *width)
{
    const char *dots = strstr(text, "..");
    if (!dots) return false;
    size_t start = (size_t)(dots - text);
    while (start > 0 && text[start - 1] >= '0' && text[start - 1] <= '9') start--;
    size_t n_low = (size_t)(dots - text) - start, n_high = strspn(dots + 2, "0123456789");
    if (!n_low || !n_high || n_low > 9 || n_high > 9 || dots[2 + n_high]) return false;
    *prefix = start;
    *low = strtoul(text + start, NULL, 10);
    *high = strtoul(dots + 2, NULL, 10);
    *width = text[start] == '0' ? (int)n_low : 1; /* a00..17 keeps its zeros */
    return true;
}

enum status names_expand(struct arena *a, struct name_list *out, const char *text,
                         struct origin at, struct error *err)
{
    size_t prefix;
    unsigned long low, high;
    int width;
    if (!is_range(text, &prefix, &low, &high, &width)) return names_add(a, out, text, err);
    if (low > high)
        return config_fail(err, at, "range '%s' ends before it starts", text);
    if (high - low >= NAMES_MAX || out->n + (high - low) >= NAMES_MAX)
        return config_fail(err, at, "range '%s' makes more than %d names", text, NAMES_MAX);
    for (unsigned long i = low; i <= high; i++) {
        const char *name = arena_printf(a, "%.*s%0*lu", (int)prefix, text, width, i);
        if (!name) return config_no_memory(err);
        TRY(names_add(a, out, name, err));
    }
    return ST_OK;
}

enum status names_expand_list(struct arena *a, struct list_cfg *list, struct error *err)
{
    struct name_list out = {0};
    for (size_t i = 0; i < list->n; i++)
        TRY(names_expand(a, &out, list->v[i], list->at, err));
    list->v = out.v;
    list->n = out.n;
    return ST_OK;
}
