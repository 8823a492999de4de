/* What every column is to the model. */
#include <math.h>
#include <string.h>

#include "data/guess_impl.h"

/* Rows from which "another value on every row" and, in slot text, "always the
 * same value" mean something. */
enum { ROWS_UNIQUE = 50, ROWS_CONSTANT = 200 };

static bool all(uint64_t part, uint64_t whole)
{
    return whole > 0 && part == whole;
}

/* ---- times ---- */

static enum guess_time time_of(const struct guess_column *c, unsigned hints)
{
    const struct guess_profile *p = c->profile;
    uint64_t values = p->values - p->tokens;
    if (p->most > 1 || !values) return TIME_NONE;
    if (all(p->times[TIME_DATE], values)) return TIME_DATE;
    if (all(p->times[TIME_DATE] + p->times[TIME_TEXT], values)) return TIME_TEXT;
    if (hints & HINT_ID && !(hints & (HINT_TIME | HINT_DAY))) return TIME_NONE;
    /* Numbers of nine or ten digits may be ids: the name, or that nearly every row
     * has its own, decides. */
    bool fine = hints & (HINT_TIME | HINT_DAY) ||
                (p->tally.n * 2 > p->values && p->high < 2 * p->low);
    if (fine && all(p->times[TIME_SECONDS], values)) return TIME_SECONDS;
    if (fine && all(p->times[TIME_MILLIS], values)) return TIME_MILLIS;
    if (hints & HINT_TIME && guess_is_number(p) && p->tally.n * 4 > p->values &&
        p->tally.n > 24)
        return TIME_OTHER;
    return TIME_NONE;
}

/* ---- numbers ---- */

/* Far from even: the mean is far from the middle of the range. */
static bool is_skewed(const struct guess_profile *p)
{
    double mean = p->sum / (double)p->numbers;
    return p->low >= 0 && p->high > 20 && p->high > 5 * mean;
}

static bool is_quantity(const struct guess_column *c, unsigned hints)
{
    const struct guess_profile *p = c->profile;
    if (!guess_is_number(p) || p->most > 1 || p->zero_led) return false;
    if (p->whole < p->numbers) return !(hints & (HINT_USER | HINT_ITEM | HINT_ROW));
    if (hints & HINT_ID) return false;
    if (hints & HINT_NUMBER) return true;
    /* Ids are not negative, but for one or two that stand for unknown. */
    uint64_t negative = 0;
    for (size_t i = 0; i < p->tally.n; i++) negative += p->tally.v[i].number < 0;
    return negative > 2;
}

static void take_number(struct guess_column *c)
{
    c->kind = GUESS_NUMBER;
    c->width = 1;
    c->log = is_skewed(c->profile);
}

/* ---- lists of ids in a cell ---- */

static bool is_list(const struct guess_profile *p, const struct list_profile *l)
{
    if (l->rows < 2 || l->rows * 20 < p->present || l->plain < l->pieces) return false;
    bool combined = l->pieces >= 3 * l->tally.n && l->tally.n < l->cells;
    bool numbered = all(l->digits, l->pieces) && l->most >= 3 && l->fewest < l->most;
    return !l->tally.n_more ? combined || numbered : numbered;
}

static enum status take_list(struct guess *g, struct guess_column *c, bool *taken,
                             struct error *err)
{
    const struct guess_profile *p = c->profile;
    *taken = false;
    for (size_t i = 0; i < LIST_SEPARATORS && !*taken; i++) {
        const struct list_profile *l = &p->lists[i];
        if (!is_list(p, l)) continue;
        *taken = true;
        c->kind = GUESS_LIST;
        c->split = guess_print(g, "%c", list_separators[i]);
        c->per_row = (double)(l->pieces + p->present - l->rows) / (double)p->present;
        c->most = l->most;
        c->distinct = l->tally.n;
        c->capped = l->tally.n_more > 0;
        if (!c->split) return guess_no_memory(err);
    }
    return ST_OK;
}

/* ---- one column ---- */

static enum status decide_text(struct guess *g, struct guess_column *c, unsigned hints,
                               struct error *err)
{
    const struct guess_profile *p = c->profile;
    bool taken, known = hints & (HINT_USER | HINT_ITEM);
    TRY(take_list(g, c, &taken, err));
    if (taken) return ST_OK;
    bool unique =
        !known && p->rows >= ROWS_UNIQUE && p->tally.n + p->tally.n_more == p->values;
    if (unique && p->tally.n_more == 0)
        return guess_leave_out(c, "another value on every row", err);
    double length = (double)p->bytes / (double)p->values;
    if (!known && length > 40 && 2 * p->tally.n > p->values)
        return guess_leave_out(c, "free text", err);
    if (hints & HINT_ROW && p->tally.n * 20 > p->values)
        return guess_leave_out(c, "called like the id of one row, or of a few", err);
    c->kind = GUESS_ID;
    return ST_OK;
}

/* Slot text: every name may have several values. */
static void decide_slot(struct guess_column *c)
{
    const struct guess_profile *p = c->profile;
    bool vector = guess_is_number(p) && p->whole < p->numbers && p->fewest == p->most;
    c->kind = vector ? GUESS_NUMBER : GUESS_LIST;
    c->width = p->most;
    c->log = vector && p->most == 1 && is_skewed(p);
    c->per_row = (double)p->values / (double)p->present;
    c->most = p->most;
    c->whole_keys = p->keys == p->values;
}

static bool is_fixed(const struct guess *g, const char *name)
{
    const struct list_cfg *fixed = &g->data.slot.fixed;
    for (size_t i = 0; i < fixed->n; i++)
        if (!strcmp(fixed->v[i], name)) return true;
    return false;
}

static enum status decide(struct guess *g, struct guess_column *c, struct error *err)
{
    const struct guess_profile *p = c->profile;
    unsigned hints = guess_hints(c->name);
    bool slot = g->data.train.format == SOURCE_SLOT && !is_fixed(g, c->name);
    c->distinct = p->tally.n;
    c->capped = p->tally.n_more > 0;
    c->has_missing = p->present < p->rows || p->tokens > 0;
    if (c->kind == GUESS_LABEL || c->kind == GUESS_OUT) return ST_OK;
    if (!p->present) return guess_leave_out(c, "no value on any row", err);
    c->time = slot ? TIME_NONE : time_of(c, hints);
    c->kind = GUESS_TIME;
    if (c->time != TIME_NONE) return ST_OK;
    if (p->tally.n == 1 && !p->tally.n_more && p->present == p->rows &&
        (!slot || p->rows >= ROWS_CONSTANT))
        return guess_leave_out(c, guess_print(g, "always '%.40s'", p->texts[0]), err);
    if (hints & (HINT_OUTCOME | HINT_AMOUNT))
        return guess_leave_out(c, "called like an outcome: known only after the row",
                               err);
    if (slot) {
        decide_slot(c);
        return ST_OK;
    }
    if (is_quantity(c, hints)) {
        take_number(c);
        return ST_OK;
    }
    return decide_text(g, c, hints, err);
}

/* ---- all of them ---- */

/* The column whose rows belong together: a user. */
static void find_group(struct guess *g)
{
    for (size_t i = 0; i < g->n_columns && !g->group; i++) {
        const struct guess_column *c = &g->columns[i];
        const struct guess_profile *p = c->profile;
        if (c->kind == GUESS_ID && guess_hints(c->name) & HINT_USER &&
            p->tally.n * 10 < p->values * 9)
            g->group = c->name;
    }
}

/* The time of the row, of several: a moment before a day, a good name before others. */
static int time_rank(const struct guess_column *c)
{
    if (c->kind != GUESS_TIME) return 0;
    unsigned hints = guess_hints(c->name);
    int rank = hints & HINT_TIME ? 5 : hints & HINT_DAY ? 3 : 1;
    return c->time == TIME_DATE || c->time == TIME_OTHER ? rank : rank + 1;
}

static enum status find_time(struct guess *g, struct error *err)
{
    struct guess_column *best = NULL;
    for (size_t i = 0; i < g->n_columns; i++)
        if (time_rank(&g->columns[i]) > (best ? time_rank(best) : 0))
            best = &g->columns[i];
    if (best) g->when = best->name;
    for (size_t i = 0; i < g->n_columns; i++) {
        struct guess_column *c = &g->columns[i];
        if (c->kind == GUESS_TIME && c != best)
            TRY(guess_leave_out(c, guess_print(g, "a second time beside %s", g->when),
                                err));
    }
    return ST_OK;
}

/* Words that stand for a missing number or label somewhere mean it everywhere. */
static enum status take_tokens(struct guess *g, struct error *err)
{
    struct list_cfg *missing = &g->data.train.missing;
    const char **v = arena_take(g->arena, GUESS_TOKENS + 1, sizeof *v);
    if (!v) return guess_no_memory(err);
    size_t n = 0;
    v[n++] = "";
    for (size_t k = 0; k < GUESS_TOKENS; k++) {
        bool seen = false;
        for (size_t i = 0; i < g->n_columns; i++) {
            const struct guess_column *c = &g->columns[i];
            bool number = c->kind == GUESS_NUMBER || c->kind == GUESS_TIME || c->read;
            seen |= number && c->profile->token_seen[k] && guess_has_token(c->profile);
        }
        if (seen) v[n++] = guess_tokens[k];
    }
    missing->v = v;
    missing->n = n;
    g->data.eval.missing = *missing;
    return ST_OK;
}

enum status guess_kinds(struct guess *g, struct error *err)
{
    for (size_t i = 0; i < g->n_columns; i++) TRY(decide(g, &g->columns[i], err));
    TRY(take_tokens(g, err));
    find_group(g);
    return find_time(g, err);
}
