/* Rows to evaluate on, and rows to choose the epoch by. With a time both are the
 * newest rows, as they will be in use; otherwise a share that a hash decides. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/file.h"
#include "data/guess_impl.h"

enum { SAMPLE = 1 << 16, ENOUGH_ROWS = 10, DAY_SECONDS = 86400 };
static const uint64_t most_bytes = UINT64_C(1)
                                   << 28; /* files up to this are read for times */
static const double part = 0.1, least_part = 0.02, most_part = 0.4;
static const double many_rows =
    3e6; /* beyond, one epoch is enough and nothing is chosen */

/* An even sample of the times of all rows, sorted in the end. */
struct times {
    double v[SAMPLE];
    size_t n;
    uint64_t step, seen;
};

static void add_time(struct times *t, double x)
{
    if (t->seen++ % t->step) return;
    if (t->n == SAMPLE) {
        for (size_t i = 0; i < SAMPLE / 2; i++) t->v[i] = t->v[2 * i];
        t->n = SAMPLE / 2;
        t->step *= 2;
        if ((t->seen - 1) % t->step) return;
    }
    t->v[t->n++] = x;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The time as an expression with a number: whole days, or the number itself. */
static const char *time_expression(struct guess *g)
{
    const struct guess_column *c = guess_find(g, g->when);
    const char *name = guess_quoted(g, c->name);
    if (!name) return NULL;
    bool text =
        c->time == TIME_TEXT || (c->time == TIME_DATE && !guess_is_number(c->profile));
    return text ? guess_print(g, "date(concat(%s))", name) : name;
}

static enum status read_times(struct guess *g, const char *text, struct times *t,
                              struct error *err)
{
    struct expr *e = NULL;
    struct expr_scratch *scratch = NULL;
    struct raw *raw = NULL;
    struct bad_rows bad;
    const struct raw_row *row = NULL;
    struct data_cfg data = g->data;
    data.bad_rows_max = 1e18;
    bad_rows_init(&bad, &data);
    enum status st =
        expr_parse(&(struct text_cfg){text, {"guess", 1, 1}}, &g->when, 1, &e, err);
    if (st == ST_OK) st = expr_scratch_create(&scratch, err);
    if (st == ST_OK)
        st = raw_open(&data, &data.train, &g->when, NULL, 1, &bad, &raw, err);
    while (st == ST_OK && (st = raw_next(raw, &row, err)) == ST_OK && row) {
        struct value v;
        struct error unheeded;
        double x;
        if (!row->fields[0].n) continue;
        bool good = expr_eval(e, row->fields[0].v, scratch, &v, &unheeded) == ST_OK;
        if (good && v.kind == VALUE_STRING) good = text_number(v.s, &v);
        if (good && value_number(&v, &x)) add_time(t, x);
    }
    raw_close(raw);
    expr_scratch_destroy(scratch);
    expr_destroy(e);
    qsort(t->v, t->n, sizeof *t->v, by_value);
    return st;
}

/* The time from which on about a tenth of the first n sampled rows are; NaN when
 * there is none near it. *kept: how many are before. */
static double cut_at(const struct times *t, size_t n, size_t *kept)
{
    double best = (double)NAN;
    double nearest = most_part;
    for (size_t i = 1; i < n; i++) {
        if (t->v[i] == t->v[i - 1]) continue;
        double share = (double)(n - i) / (double)n;
        if (share < least_part || share > most_part) continue;
        if (isnan(best) || fabs(share - part) < nearest) {
            nearest = fabs(share - part);
            best = t->v[i];
            *kept = i;
        }
    }
    return best;
}

/* Would a share of the rows have some of either kind of every task? */
static bool is_enough(const struct guess *g, double rows)
{
    for (size_t k = 0; k < g->n_tasks; k++) {
        const struct guess_task *t = &g->tasks[k];
        uint64_t other = t->labelled - t->positives;
        uint64_t rare =
            t->loss == LOSS_BCE && t->positives < other ? t->positives : other;
        if (t->loss != LOSS_BCE) rare = t->labelled;
        if ((double)rare * rows / (double)g->rows_seen < ENOUGH_ROWS) return false;
    }
    return true;
}

static enum status wheres(struct guess *g, const char *train, const char *eval,
                          struct error *err)
{
    if (!train || !eval) return guess_no_memory(err);
    g->data.eval = g->data.train;
    g->data.train.where.text = train;
    g->data.eval.where.text = eval;
    return ST_OK;
}

/* ---- by time ---- */

static bool is_small(const struct guess *g)
{
    const char **files;
    size_t n;
    struct error unheeded;
    uint64_t total = 0;
    if (raw_expand(&g->data.train, &files, &n, &unheeded) != ST_OK) return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes;
        if (file_size(files[i], &bytes, &unheeded) == ST_OK) total += bytes;
    }
    mem_free(files);
    return total <= most_bytes;
}

/* Whole numbers as they are, others so that they read back. */
static const char *number_text(struct guess *g, double x)
{
    return x == floor(x) && fabs(x) < 1e15 ? guess_print(g, "%.0f", x)
                                           : guess_print(g, "%.17g", x);
}

static enum status cut_by_time(struct guess *g, const struct times *t, const char *name,
                               struct error *err)
{
    size_t kept = 0, left = 0;
    double at = cut_at(t, t->n, &kept);
    if (isnan(at) || !is_enough(g, g->rows * (double)(t->n - kept) / (double)t->n))
        return ST_OK;
    const char *text = number_text(g, at);
    if (!text) return guess_no_memory(err);
    TRY(wheres(g, guess_print(g, "%s < %s", name, text),
               guess_print(g, "%s >= %s", name, text), err));
    g->split_note = guess_print(g, "the newest %.0f%% of the rows, by %s",
                                100.0 * (double)(t->n - kept) / (double)t->n, g->when);
    at = cut_at(t, kept, &left);
    double rows = g->rows * (double)(kept - left) / (double)t->n;
    if (!isnan(at) && g->rows <= many_rows && is_enough(g, rows)) {
        text = number_text(g, at);
        g->valid_where = text ? guess_print(g, "%s >= %s", name, text) : NULL;
        if (!g->valid_where) return guess_no_memory(err);
    }
    return g->split_note ? ST_OK : guess_no_memory(err);
}

static enum status split_by_time(struct guess *g, struct error *err)
{
    const char *name = time_expression(g);
    struct times *t = mem_zeroed(1, sizeof *t);
    enum status st = t && name ? ST_OK : mem_error(err, "times", sizeof *t);
    if (t) t->step = 1;
    if (st == ST_OK) st = read_times(g, name, t, err);
    if (st == ST_OK && t->n > 1) st = cut_by_time(g, t, name, err);
    mem_free(t);
    return st;
}

/* ---- by a hash ---- */

/* How well the column tells rows apart. */
static double spread(const struct guess_column *c)
{
    if (c->kind == GUESS_LABEL || c->read) return 0;
    return (double)(c->profile->tally.n + c->profile->tally.n_more);
}

/* 'hash(concat(user, "/", item))' of the columns, at most three, that tell rows
 * apart best; NULL when none does. */
static const char *row_hash(struct guess *g)
{
    enum { MOST = 3 };
    const struct guess_column *best[MOST] = {NULL};
    for (size_t i = 0; i < g->n_columns; i++) {
        const struct guess_column *c = &g->columns[i];
        for (size_t k = 0; k < MOST; k++)
            if (spread(c) > (best[k] ? spread(best[k]) : 1)) {
                const struct guess_column *lower = best[k];
                best[k] = c;
                c = lower;
                if (!c) break;
            }
    }
    if (!best[0] || spread(best[0]) < 50) return NULL;
    const char *text = "hash(concat(";
    for (size_t k = 0; text && k < MOST && best[k]; k++) {
        const char *name = guess_quoted(g, best[k]->name);
        bool gaps = best[k]->has_missing;
        text = guess_print(g, "%s%s%s%s%s", text, k ? ", \"/\", " : "",
                           gaps ? "coalesce(" : "", name, gaps ? ", \"\")" : "");
        if (spread(best[k]) >= (double)g->rows_seen) break;
    }
    return text ? guess_print(g, "%s))", text) : NULL;
}

static enum status split_by_hash(struct guess *g, struct error *err)
{
    const char *hash = g->data.train.format == SOURCE_SLOT ? NULL : row_hash(g);
    if (!hash || !is_enough(g, g->rows * part)) return ST_OK;
    g->split_note = "a tenth of the rows, by a hash of what tells them apart best";
    return wheres(g, guess_print(g, "%s %% 10 != 0", hash),
                  guess_print(g, "%s %% 10 == 0", hash), err);
}

/* ---- the rest ---- */

static void find_time_features(struct guess *g)
{
    const struct guess_column *c = g->when ? guess_find(g, g->when) : NULL;
    if (!c) return;
    double span = c->profile->high - c->profile->low;
    if (c->time == TIME_MILLIS) span /= 1000;
    bool number = c->time == TIME_SECONDS || c->time == TIME_MILLIS;
    g->hours = c->time == TIME_TEXT || (number && span > DAY_SECONDS);
    g->weekdays = c->time == TIME_TEXT || (number && span > 7.0 * DAY_SECONDS) ||
                  (c->time == TIME_DATE && c->distinct > 7);
}

/* What the configuration reads must be in the evaluation files too. */
static enum status check_eval(const struct guess *g, struct error *err)
{
    if (g->data.train.format == SOURCE_SLOT) return ST_OK;
    struct raw_columns known;
    TRY(raw_columns_read(&g->data, &g->data.eval, &known, err));
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < g->n_columns; i++) {
        const struct guess_column *c = &g->columns[i];
        bool found = c->kind == GUESS_OUT && !c->read;
        if (c->kind == GUESS_TIME) found |= !g->hours && !g->weekdays;
        for (size_t k = 0; k < known.n; k++) found |= !strcmp(known.names[k], c->name);
        if (!found)
            st = error_set(err, ST_DATA, "%s: has no column '%s'",
                           g->data.eval.files.v[0], c->name);
    }
    raw_columns_close(&known);
    return st;
}

enum status guess_split(struct guess *g, struct error *err)
{
    find_time_features(g);
    if (g->data.eval.files.n) {
        TRY(check_eval(g, err));
    } else {
        if (g->when && is_small(g)) TRY(split_by_time(g, err));
        if (!g->data.eval.files.n) TRY(split_by_hash(g, err));
    }
    bool held = g->data.eval.files.n > 0;
    if (!g->valid_where && g->rows <= many_rows &&
        is_enough(g, g->rows * part * (held ? 0.9 : 1)))
        g->valid_fraction = part;
    if (!held)
        g->split_note = g->valid_fraction > 0 ? "no rows are set apart for a final test"
                                              : "too few rows to set some apart";
    return ST_OK;
}
