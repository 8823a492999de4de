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
        "data.cache",       "hot_start",    "log"};
    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        if (is_under(key, free_keys[i])) return false;
    return true;
}

/* Scoring needs the same inputs and the same network. The seed is part of it:
 * an id never seen has the row that the seed gives it. */
static bool compared_for_model(const char *key)
{
    static const char *const training_only[] = {".label", ".present", ".weight", ".row_weight"};
    const char *last = strrchr(key, '.');
    if (last && (!strcmp(last, ".dropout") || !strcmp(last, ".l2"))) return false;
    if (is_under(key, "model.wide.optimizer")) return false;
    if (!strcmp(key, "seed") || is_under(key, "model")) return true;
    if (is_under(key, "features")) return strcmp(key, "features (order)") != 0;
    if (is_under(key, "tables"))
        return !strstr(key, ".optimizer") && !strstr(key, ".admit.min_count") &&
               !strstr(key, ".evict.unseen_days");
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

/* What only one side says follows from another line when the part that it
 * belongs to differs as a whole: another optimizer, a feature that is new. */
static bool follows(const struct flat *from, const struct flat *other, const char *key)
{
    const char *type = look_up(from, "model.type"), *other_type = look_up(other, "model.type");
    bool typed = !strncmp(key, "model.", 6) || !strncmp(key, "tasks.", 6);
    if (typed && strcmp(type, other_type) != 0) return true;
    char part[512];
    for (const char *dot = strchr(key, '.'); dot; dot = strchr(dot + 1, '.')) {
        snprintf(part, sizeof part, "%.*s", (int)(dot - key), key);
        const char *value = look_up(from, part), *other_value = look_up(other, part);
        if (value && (!other_value || strcmp(value, other_value) != 0)) return true;
    }
    return false;
}

static const char order_key[] = "features (order)";

struct side {
    struct flat lines, sorted;
};

/* Lines of `one` that `two` says differently. new_only: only those that `two`
 * does not write at all; `one` is then the new configuration. */
static size_t compare(const struct side *one, const struct side *two, bool new_only,
                      compared_fn compared, struct buffer *out)
{
    const struct flat *from = &one->sorted, *other = &two->sorted;
    size_t n = 0;
    for (size_t i = 0; i < one->lines.n; i++) {
        const struct flat_line *line = &one->lines.lines[i];
        if (!compared(line->key) || !strcmp(line->key, order_key)) continue;
        if (new_only && look_up(other, line->key)) continue;
        const char *value = value_of(other, line->key);
        if (value && !strcmp(value, line->value)) continue;
        if (!value && follows(from, other, line->key)) continue;
        put_difference(out, line->key, new_only ? value : line->value,
                       new_only ? line->value : value);
        n++;
    }
    return n;
}

/* Another order of features is worth a word when nothing else about them differs. */
static size_t compare_order(const struct side *old, const struct side *new,
                            compared_fn compared, struct buffer *out)
{
    const char *a = look_up(&old->sorted, order_key), *b = look_up(&new->sorted, order_key);
    bool said = out->text && strstr(out->text, "features.");
    if (!compared(order_key) || said || !strcmp(a, b)) return 0;
    put_difference(out, order_key, a, b);
    return 1;
}

static enum status make_side(struct arena *a, const struct settings *s, struct side *out,
                             struct error *err)
{
    TRY(flat_make(a, s, &out->lines, err));
    out->sorted = out->lines;
    out->sorted.lines = arena_take(a, out->lines.n, sizeof *out->sorted.lines);
    if (!out->sorted.lines) return config_no_memory(err);
    memcpy(out->sorted.lines, out->lines.lines, out->lines.n * sizeof *out->sorted.lines);
    qsort(out->sorted.lines, out->sorted.n, sizeof *out->sorted.lines, by_key);
    return ST_OK;
}

static enum status diff(const struct settings *checkpoint, const struct settings *now,
                        compared_fn compared, struct arena *a, struct buffer *out,
                        size_t *n_diff, struct error *err)
{
    struct side old, new;
    TRY(make_side(a, checkpoint, &old, err));
    TRY(make_side(a, now, &new, err));
    *n_diff = compare(&old, &new, false, compared, out);
    *n_diff += compare(&new, &old, true, compared, out);
    *n_diff += compare_order(&old, &new, compared, out);
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
