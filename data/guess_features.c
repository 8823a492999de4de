/* The features of a guess as YAML: groups of columns of one kind, and what is left
 * out with the reason. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/guess_impl.h"
#include "data/guess_text.h"

enum { MAX_NAME = 255, LONG_LIST = 50, RUN_LEAST = 3 };

/* ---- names of features ---- */

/* May the name stand in `names:`, as itself? */
static bool is_simple(const char *name)
{
    if (strpbrk(name, "*?/") || strstr(name, "..") || strlen(name) > MAX_NAME)
        return false;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ') return false;
    return *name && strcmp(name, ".") != 0;
}

/* Digits at the end of a name that could be a range's: no leading zero. */
static size_t digits_at_end(const char *name, unsigned long *number)
{
    size_t n = strlen(name), digits = 0;
    while (digits < n && digits < 9 && isdigit((unsigned char)name[n - 1 - digits]))
        digits++;
    if (digits < n && isdigit((unsigned char)name[n - 1 - digits])) return 0;
    if (!digits || (digits > 1 && name[n - digits] == '0')) return 0;
    *number = strtoul(name + n - digits, NULL, 10);
    return digits;
}

/* How many names from v on are prefix1, prefix2, prefix3 ... */
static size_t run_of(const struct guess_column *const *v, size_t n)
{
    unsigned long first, next;
    size_t digits = digits_at_end(v[0]->name, &first), run = 1;
    if (!digits) return 1;
    size_t prefix = strlen(v[0]->name) - digits;
    while (run < n) {
        size_t more = digits_at_end(v[run]->name, &next);
        if (!more || strlen(v[run]->name) - more != prefix || next != first + run) break;
        if (memcmp(v[run]->name, v[0]->name, prefix) != 0) break;
        run++;
    }
    return run;
}

/* "names: [...]" of these columns, with runs as ranges. */
static void write_names(struct guess *g, const struct guess_column *const *v, size_t n,
                        struct buffer *b)
{
    const char **names = arena_take(g->arena, n, sizeof *names);
    size_t n_names = 0;
    if (!names) b->failed = true;
    for (size_t i = 0; names && i < n;) {
        size_t run = run_of(v + i, n - i);
        unsigned long last;
        if (run < RUN_LEAST) run = 1;
        names[n_names] = v[i]->name;
        if (run > 1) {
            digits_at_end(v[i + run - 1]->name, &last);
            names[n_names] = guess_print(g, "%s..%lu", v[i]->name, last);
        }
        if (!names[n_names++]) {
            b->failed = true;
            return;
        }
        i += run;
    }
    if (names) text_list(b, names, n_names, 12);
}

/* A column whose name cannot be a feature's. */
static void write_odd_name(const struct guess *g, const struct guess_column *c,
                           struct buffer *b)
{
    char name[64];
    snprintf(name, sizeof name, "column%zu", (size_t)(c - g->columns) + 1);
    buffer_printf(b, "name: %s, column: ", name);
    text_scalar(b, c->name);
}

/* ---- features ---- */

typedef bool (*choose_fn)(const struct guess *g, const struct guess_column *c,
                          unsigned way);

/* All columns chosen as groups of one kind; keys: what follows the names. */
static void write_group(struct guess *g, choose_fn choose, unsigned way,
                        const char *comment, const char *keys, struct buffer *b)
{
    const struct guess_column **v = arena_take(g->arena, g->n_columns + 1, sizeof *v);
    size_t n = 0, all = 0;
    if (!v) {
        b->failed = true;
        return;
    }
    for (size_t i = 0; i < g->n_columns; i++) {
        if (!choose(g, &g->columns[i], way)) continue;
        all++;
        if (is_simple(g->columns[i].name)) v[n++] = &g->columns[i];
    }
    if (!all) return;
    text_comment(b, 2, comment);
    if (n) {
        buffer_puts(b, "  - {names: ");
        write_names(g, v, n, b);
        if (*keys && text_column(b) + strlen(keys) + 3 > TEXT_WIDTH)
            buffer_printf(b, ",\n     %s}\n", keys);
        else
            buffer_printf(b, "%s%s}\n", *keys ? ", " : "", keys);
    }
    for (size_t i = 0; i < g->n_columns; i++) {
        if (!choose(g, &g->columns[i], way) || is_simple(g->columns[i].name)) continue;
        buffer_puts(b, "  - {");
        write_odd_name(g, &g->columns[i], b);
        buffer_printf(b, "%s%s}\n", *keys ? ", " : "", keys);
    }
}

enum { WAY_HASH = 1, WAY_LOG = 1, WAY_MEAN = 2 };

static bool is_id(const struct guess *g, const struct guess_column *c, unsigned way)
{
    (void)g;
    (void)way;
    return c->kind == GUESS_ID;
}

static bool is_slot_list(const struct guess *g, const struct guess_column *c,
                         unsigned way)
{
    bool list = g->data.train.format == SOURCE_SLOT && c->kind == GUESS_LIST;
    return list && c->whole_keys == !(way & WAY_HASH);
}

static bool is_number(const struct guess *g, const struct guess_column *c, unsigned way)
{
    (void)g;
    return c->kind == GUESS_NUMBER && c->width == 1 && c->log == !!(way & WAY_LOG) &&
           c->has_missing == !!(way & WAY_MEAN);
}

/* "table: NAME" for every id, when one is shared. */
static const char *with_table(struct guess *g, const char *keys)
{
    if (!g->plan.table) return keys;
    return guess_print(g, "%s%stable: %s", keys, *keys ? ", " : "", g->plan.table);
}

static void write_name(const struct guess *g, const struct guess_column *c,
                       struct buffer *b)
{
    buffer_puts(b, "  - {");
    if (!is_simple(c->name)) {
        write_odd_name(g, c, b);
        return;
    }
    buffer_puts(b, "name: ");
    text_scalar(b, c->name);
}

static void write_lists(const struct guess *g, struct buffer *b)
{
    for (size_t i = 0; i < g->n_columns; i++) {
        const struct guess_column *c = &g->columns[i];
        if (c->kind != GUESS_LIST || !c->split) continue;
        char text[256];
        snprintf(text, sizeof text,
                 "Several ids in one cell, their rows averaged: %.1f a row, %s"
                 "%llu different ones.",
                 c->per_row, c->capped ? "more than " : "",
                 (unsigned long long)c->distinct);
        text_comment(b, 2, text);
        write_name(g, c, b);
        buffer_puts(b, ", split: ");
        buffer_printf(b, "\"%s\", pool: mean", c->split);
        if (c->most > LONG_LIST) buffer_printf(b, ", max_len: %d", LONG_LIST);
        if (g->plan.table) buffer_printf(b, ", table: %s", g->plan.table);
        buffer_puts(b, "}\n");
    }
}

static void write_vectors(const struct guess *g, struct buffer *b)
{
    for (size_t i = 0; i < g->n_columns; i++) {
        const struct guess_column *c = &g->columns[i];
        if (c->kind != GUESS_NUMBER || c->width == 1) continue;
        text_comment(b, 2, "A vector of numbers.");
        write_name(g, c, b);
        buffer_printf(b, ", kind: dense, width: %zu}\n", c->width);
    }
}

/* A name that no column has. */
static void write_time_feature(struct guess *g, const char *what, const char *expr,
                               struct buffer *b)
{
    const char *name = guess_find(g, what) ? guess_print(g, "%s_of_row", what) : what;
    if (!name || !expr) {
        b->failed = true;
        return;
    }
    buffer_printf(b, "  - {name: %s, expr: ", name);
    text_scalar(b, expr);
    buffer_puts(b, "}\n");
}

static void write_time(struct guess *g, struct buffer *b)
{
    if (!g->hours && !g->weekdays) return;
    const struct guess_column *c = guess_find(g, g->when);
    const char *name = guess_quoted(g, c->name), *time = name;
    if (c->time == TIME_MILLIS) time = guess_print(g, "%s / 1000", name);
    if (c->time == TIME_DATE || c->time == TIME_TEXT)
        time = guess_print(g, "concat(%s)", name);
    text_comment(b, 2,
                 c->time == TIME_SECONDS || c->time == TIME_MILLIS
                     ? "Of the time, in UTC: hour(x, 8) is eight hours later."
                     : "Of the time.");
    if (g->hours) write_time_feature(g, "hour", guess_print(g, "hour(%s)", time), b);
    if (g->weekdays)
        write_time_feature(g, "weekday", guess_print(g, "weekday(%s)", time), b);
}

static void write_left_out(const struct guess *g, struct buffer *b)
{
    bool first = true;
    for (size_t i = 0; i < g->n_columns; i++) {
        const struct guess_column *c = &g->columns[i];
        bool time = c->kind == GUESS_TIME && !g->hours && !g->weekdays;
        if (c->kind != GUESS_OUT && !time) continue;
        if (first) text_comment(b, 2, "Left out:");
        first = false;
        buffer_puts(b, "  #   ");
        text_clean(b, c->name);
        buffer_printf(b, "%*s  ", (int)(strlen(c->name) < 24 ? 24 - strlen(c->name) : 0),
                      "");
        text_clean(b, time ? "a time" : c->why);
        buffer_puts(b, "\n");
    }
}

static const char *id_comment(struct guess *g)
{
    const struct guess_column *most = NULL;
    size_t n = 0;
    for (size_t i = 0; i < g->n_columns; i++) {
        const struct guess_column *c = &g->columns[i];
        if (c->kind != GUESS_ID) continue;
        n++;
        if (!most || c->distinct > most->distinct) most = c;
    }
    if (!n || !g->rows_seen)
        return "Ids: an embedding table each, a row for every value.";
    return guess_print(
        g,
        "Ids: %s, a row for every value. The most values: %s, %s%llu. A column "
        "that says how much belongs to the numbers.",
        g->plan.table ? "one embedding table" : "an embedding table each", most->name,
        most->capped ? "more than " : "", (unsigned long long)most->distinct);
}

void guess_features(struct guess *g, struct buffer *b)
{
    static const char *const numbers[] = {
        "Numbers, to mean 0 and deviation 1 over the training rows.",
        "Numbers of a wide range: log(1 + x) first.",
        "Numbers that are missing on some rows: their mean stands in.",
        "Numbers of a wide range, missing on some rows."};
    static const char *const keys[] = {
        "kind: dense, transform: [standardize]",
        "kind: dense, transform: [log1p, standardize]",
        "kind: dense, default: mean, transform: [standardize]",
        "kind: dense, default: mean, transform: [log1p, standardize]"};
    buffer_puts(b, "features:\n");
    const char *comment = id_comment(g), *id_keys = with_table(g, "");
    const char *slot_keys = with_table(g, "pool: sum");
    const char *text_keys = with_table(g, "pool: sum, key: hash");
    if (!comment || !id_keys || !slot_keys || !text_keys) {
        b->failed = true;
        return;
    }
    write_group(g, is_id, 0, comment, id_keys, b);
    write_group(g, is_slot_list, 0,
                "Slots: any number of 64-bit keys a row, their rows summed.", slot_keys,
                b);
    write_group(g, is_slot_list, WAY_HASH, "Slots of texts.", text_keys, b);
    write_lists(g, b);
    for (unsigned way = 0; way < 4; way++)
        write_group(g, is_number, way, numbers[way], keys[way], b);
    write_vectors(g, b);
    write_time(g, b);
    write_left_out(g, b);
    buffer_puts(b, "\n");
}
