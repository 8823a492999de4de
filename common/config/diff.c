#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/buffer.h"
#include "common/config/config.h"
#include "common/config/flat.h"

enum { MAX_SHOWN = 80 };

typedef bool (*compared_fn)(const char *key);

static bool is_under(const char *key, const char *prefix)
{
    size_t n = strlen(prefix);
    return !strncmp(key, prefix, n) && (!key[n] || key[n] == '.' || key[n] == ' ');
}

/* A resumed run may go on longer, elsewhere, and look at other held-out rows. */
static bool compared_for_resume(const char *key)
{
    static const char *const free_keys[] = {
        "run_dir",          "train.epochs", "train.max_steps", "train.early_stop",
        "train.eval_every", "checkpoint",   "cluster",         "data.eval",
        "data.cache",       "log"};
    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        if (is_under(key, free_keys[i])) return false;
    return true;
}

/* Scoring needs the same inputs and the same network. The seed is part of it:
 * an id never seen has the row that the seed gives it. */
static bool compared_for_model(const char *key)
{
    static const char *const training_only[] = {".label", ".present", ".weight", ".row_weight"};
    if (!strcmp(key, "seed") || is_under(key, "model")) return true;
    if (is_under(key, "features")) return strcmp(key, "features (order)") != 0;
    if (is_under(key, "tables")) return strstr(key, ".optimizer") == NULL;
    if (!is_under(key, "tasks")) return false;
    for (size_t i = 0; i < sizeof training_only / sizeof *training_only; i++) {
        size_t n = strlen(key), m = strlen(training_only[i]);
        if (n > m && !strcmp(key + n - m, training_only[i])) return false;
    }
    return true;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct flat_line *)a)->key, ((const struct flat_line *)b)->key);
}

static const char *look_up(const struct flat *sorted, const char *key)
{
    struct flat_line line = {key, NULL};
    const struct flat_line *found =
        bsearch(&line, sorted->lines, sorted->n, sizeof line, by_key);
    return found ? found->value : NULL;
}

/* A table that is not written is like `default`. */
static const char *value_of(const struct flat *sorted, const char *key)
{
    const char *value = look_up(sorted, key);
    if (value || strncmp(key, "tables.", 7) != 0) return value;
    char path[512];
    for (const char *dot = key + 7; (dot = strchr(dot, '.')); dot++) {
        snprintf(path, sizeof path, "tables.default%s", dot);
        value = look_up(sorted, path);
        if (value) return value;
    }
    return NULL;
}

static void put_shown(struct buffer *out, const char *value)
{
    if (!value || !*value)
        buffer_puts(out, value ? "none" : "not set");
    else if (strlen(value) > MAX_SHOWN)
        buffer_printf(out, "%.*s...", MAX_SHOWN, value);
    else
        buffer_puts(out, value);
}

static void put_difference(struct buffer *out, const char *key, const char *old,
                           const char *now)
{
    buffer_printf(out, "%s%s: ", out->n ? "; " : "", key);
    put_shown(out, old);
    buffer_puts(out, " (checkpoint) != ");
    put_shown(out, now);
    buffer_puts(out, " (config)");
}

/* Another order of features is worth a word when nothing else about them differs. */
static bool is_repetition(const struct buffer *out, const char *key)
{
    return !strcmp(key, "features (order)") && out->text && strstr(out->text, "features.");
}

/* Lines of `from` that `other` says differently. new_only: only those that
 * `other` does not write at all; from is then the new configuration. */
static size_t compare(const struct flat *from, const struct flat *other, bool new_only,
                      compared_fn compared, struct buffer *out)
{
    size_t n = 0;
    for (size_t i = 0; i < from->n; i++) {
        const struct flat_line *line = &from->lines[i];
        if (!compared(line->key) || (new_only && look_up(other, line->key))) continue;
        const char *value = value_of(other, line->key);
        if (value && !strcmp(value, line->value)) continue;
        if (is_repetition(out, line->key)) continue;
        put_difference(out, line->key, new_only ? value : line->value,
                       new_only ? line->value : value);
        n++;
    }
    return n;
}

static enum status sorted_copy(const struct flat *from, struct flat *out, struct error *err)
{
    *out = *from;
    out->lines = arena_take(from->arena, from->n, sizeof *out->lines);
    if (!out->lines) return config_no_memory(err);
    memcpy(out->lines, from->lines, from->n * sizeof *out->lines);
    qsort(out->lines, out->n, sizeof *out->lines, by_key);
    return ST_OK;
}

static enum status diff(const struct settings *checkpoint, const struct settings *now,
                        compared_fn compared, struct arena *a, struct buffer *out,
                        size_t *n_diff, struct error *err)
{
    struct flat old, new, old_sorted, new_sorted;
    TRY(flat_make(a, checkpoint, &old, err));
    TRY(flat_make(a, now, &new, err));
    TRY(sorted_copy(&old, &old_sorted, err));
    TRY(sorted_copy(&new, &new_sorted, err));
    *n_diff = compare(&old, &new_sorted, false, compared, out);
    *n_diff += compare(&new, &old_sorted, true, compared, out);
    return ST_OK;
}

static enum status settings_diff(const struct settings *checkpoint, const struct settings *now,
                                 compared_fn compared, char **out, size_t *n_diff,
                                 struct error *err)
{
    struct arena *a;
    struct buffer text = {0};
    size_t n = 0;
    TRY(arena_create(&a, err));
    enum status st = diff(checkpoint, now, compared, a, &text, &n, err);
    arena_destroy(a);
    if (st == ST_OK) st = buffer_take(&text, out, err);
    buffer_close(&text);
    if (st == ST_OK) *n_diff = n;
    return st;
}

enum status settings_diff_resume(const struct settings *checkpoint, const struct settings *now,
                                 char **out, size_t *n_diff, struct error *err)
{
    return settings_diff(checkpoint, now, compared_for_resume, out, n_diff, err);
}

enum status settings_diff_model(const struct settings *checkpoint, const struct settings *now,
                                char **out, size_t *n_diff, struct error *err)
{
    return settings_diff(checkpoint, now, compared_for_model, out, n_diff, err);
}
