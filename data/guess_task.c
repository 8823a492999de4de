/* What is to be learnt: the labels that were asked for, or those that stand out. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/config/buffer.h"
#include "common/config/nearest.h"
#include "data/guess_impl.h"
#include "data/raw_text.h"

/* A label that is picked without being asked for has at least so many rows of
 * either kind, or one in so many of all. */
enum { ENOUGH_ROWS = 10, ENOUGH_SHARE = 200 };
enum { MOST_PICKED = 12, MOST_LISTED = 12, MAX_NAME = 64 };

/* ---- what a column offers as a label ---- */

/* Its rows of the rarer of two values; 0 when it has not just two. */
static uint64_t rarer(const struct guess_profile *p)
{
    if (p->tally.n != 2 || p->tally.n_more) return 0;
    uint64_t a = p->tally.v[0].n, b = p->tally.v[1].n;
    return a < b ? a : b;
}

/* One value a row. */
static bool is_single(const struct guess_profile *p)
{
    return p->present > 0 && p->most == 1;
}

static bool is_share(const struct guess_profile *p)
{
    return guess_is_number(p) && p->low >= 0 && p->high <= 1;
}

static bool means_yes(const char *text)
{
    static const char *const words[] = {"yes", "true", "y", "t", "positive", "pos"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(text, words[i])) return true;
    return false;
}

/* Text as a constant of the expression language. */
static const char *constant(struct guess *g, const char *text)
{
    struct buffer b = {0};
    buffer_puts(&b, "\"");
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\') buffer_puts(&b, "\\");
        buffer_add(&b, c, 1);
    }
    buffer_puts(&b, "\"");
    const char *copy = b.text && !b.failed ? arena_strdup(g->arena, b.text) : NULL;
    buffer_close(&b);
    return copy;
}

/* Two texts: the one that says yes, else the rarer one, is 1. */
static enum status label_of_texts(struct guess *g, const struct guess_column *c,
                                  struct guess_task *t, struct error *err)
{
    const struct guess_profile *p = c->profile;
    size_t yes = p->tally.v[1].n < p->tally.v[0].n;
    for (size_t i = 0; i < 2; i++)
        if (means_yes(p->texts[i])) yes = i;
    if (!raw_text_is_utf8(raw_text_of(p->texts[yes])))
        return error_set(err, ST_USAGE, "label '%s': its values are not UTF-8 text",
                         c->name);
    const char *text = constant(g, p->texts[yes]);
    const char *name = guess_quoted(g, c->name);
    if (!text || !name) return guess_no_memory(err);
    t->label = guess_print(g, "%s == %s", name, text);
    t->note = guess_print(g, "the other value is '%s'", p->texts[!yes]);
    return t->label && t->note ? ST_OK : guess_no_memory(err);
}

static enum status label_of_column(struct guess *g, struct guess_column *c,
                                   struct guess_task *t, struct error *err)
{
    const struct guess_profile *p = c->profile;
    c->kind = GUESS_LABEL;
    c->read = true;
    t->label = c->name;
    if (!is_single(p))
        return error_set(err, ST_USAGE, "label '%s': %s", c->name,
                         p->present ? "it has several values in a row"
                                    : "no row that was looked at has a value");
    if (is_share(p)) return ST_OK;
    if (p->tally.n == 2 && !p->tally.n_more && !p->tokens) {
        if (!guess_is_number(p)) return label_of_texts(g, c, t, err);
        double low = p->low, high = p->high;
        t->label = guess_print(g, "%s == %.17g", guess_quoted(g, c->name), high);
        t->note = guess_print(g, "the other value is %g", low);
        return t->label && t->note ? ST_OK : guess_no_memory(err);
    }
    if (guess_is_number(p)) return ST_OK;
    error_set(err, ST_USAGE,
              "label '%s': its values are texts, such as '%s' and '%s': which of "
              "them is 1?",
              c->name, p->texts[0], p->texts[1] ? p->texts[1] : "");
    return error_hint(err, ST_USAGE, "--label '%s == \"%s\"'", c->name, p->texts[0]);
}

/* ---- labels that were asked for ---- */

/* NAME of NAME=EXPRESSION, or 0. */
static size_t given_name(const char *text)
{
    size_t n = 0;
    while (isalnum((unsigned char)text[n]) || text[n] == '_') n++;
    bool word = n > 0 && n < MAX_NAME && !isdigit((unsigned char)text[0]);
    return word && text[n] == '=' && text[n + 1] != '=' ? n : 0;
}

/* "rating >= 4" -> rating_ge_4. */
static const char *name_of_expression(struct guess *g, const char *text)
{
    static const struct {
        const char *sign, *word;
    } signs[] = {{">=", "ge"},  {"<=", "le"}, {"==", "is"},
                 {"!=", "not"}, {">", "gt"},  {"<", "lt"}};
    char name[MAX_NAME];
    size_t n = 0;
    while (*text && n + 8 < sizeof name) {
        const char *word = NULL;
        size_t used = 1;
        for (size_t i = 0; i < 6 && !word; i++)
            if (!strncmp(text, signs[i].sign, strlen(signs[i].sign))) {
                word = signs[i].word;
                used = strlen(signs[i].sign);
            }
        bool letter = isalnum((unsigned char)*text) || *text == '_';
        if (!letter && n && name[n - 1] != '_') name[n++] = '_';
        if (word) n += (size_t)sprintf(name + n, "%s_", word);
        if (letter) name[n++] = *text;
        text += used;
    }
    while (n && name[n - 1] == '_') n--;
    return n ? arena_strndup(g->arena, name, n) : arena_strdup(g->arena, "task");
}

/* Columns that the label reads are not inputs. */
static enum status label_of_expression(struct guess *g, struct guess_task *t,
                                       struct error *err)
{
    const char **known = arena_take(g->arena, g->n_columns, sizeof *known);
    if (!known) return guess_no_memory(err);
    for (size_t i = 0; i < g->n_columns; i++) known[i] = g->columns[i].name;
    struct expr *e;
    TRY(expr_parse(&(struct text_cfg){t->label, {"--label", 1, 1}}, known, g->n_columns,
                   &e, err));
    enum status st = ST_OK;
    if (expr_gives_string(e))
        st = error_set(err, ST_USAGE, "label '%s' gives a text, a number is expected",
                       t->label);
    for (size_t i = 0; st == ST_OK && i < expr_n_columns(e); i++) {
        struct guess_column *c = guess_find(g, expr_column(e, i));
        c->read = true;
        st = guess_leave_out(c, guess_print(g, "the label %s reads it", t->name), err);
    }
    expr_destroy(e);
    return st;
}

static enum status add_asked(struct guess *g, const char *text, struct error *err)
{
    struct guess_task *t = &g->tasks[g->n_tasks++];
    struct guess_column *c = guess_find(g, text);
    size_t n = c ? 0 : given_name(text);
    t->name = c   ? c->name
              : n ? arena_strndup(g->arena, text, n)
                  : name_of_expression(g, text);
    if (!t->name) return guess_no_memory(err);
    for (size_t i = 0; i + 1 < g->n_tasks; i++)
        if (!strcmp(g->tasks[i].name, t->name))
            return error_set(err, ST_USAGE, "two labels are called '%s'", t->name);
    if (c) return label_of_column(g, c, t, err);
    if (n && (c = guess_find(g, text + n + 1))) return label_of_column(g, c, t, err);
    t->label = n ? text + n + 1 : text;
    return label_of_expression(g, t, err);
}

/* ---- labels that stand out ---- */

/* What a column is called as an outcome, if it can be a label; 0: it cannot. */
static unsigned outcome_of(const struct guess_column *c)
{
    const struct guess_profile *p = c->profile;
    unsigned hints = guess_hints(c->name);
    if (!is_single(p)) return 0;
    if (rarer(p)) return hints & HINT_OUTCOME ? HINT_OUTCOME : HINT_ID;
    if (guess_is_number(p) && p->tally.n > 1 && hints & (HINT_AMOUNT | HINT_OUTCOME))
        return HINT_AMOUNT;
    return 0;
}

/* May it be picked as a label of this kind? */
static bool is_good(const struct guess_column *c, unsigned kind)
{
    uint64_t n = rarer(c->profile);
    return outcome_of(c) == kind && (kind == HINT_AMOUNT || n >= ENOUGH_ROWS ||
                                     n * ENOUGH_SHARE >= c->profile->rows);
}

static size_t count_kind(const struct guess *g, unsigned kind)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_columns; i++) n += is_good(&g->columns[i], kind);
    return n;
}

static enum status none_stands_out(const struct guess *g, struct error *err)
{
    char list[768] = "";
    size_t at = 0, n = 0;
    static const unsigned order[] = {HINT_OUTCOME, HINT_AMOUNT, HINT_ID};
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < g->n_columns; i++) {
            if (outcome_of(&g->columns[i]) != order[k]) continue;
            if (n++ < MOST_LISTED && at < sizeof list - 128)
                at += (size_t)snprintf(list + at, 128, "%s%.100s", at ? ", " : "",
                                       g->columns[i].name);
        }
    if (!n)
        error_set(err, ST_USAGE,
                  "no --label is given, and no column has two values or is "
                  "called like an outcome");
    else
        error_set(err, ST_USAGE,
                  "no --label is given, and none stands out; columns that could "
                  "be one: %s%s",
                  list, n > MOST_LISTED ? ", ..." : "");
    return error_hint(err, ST_USAGE,
                      "name what is to be predicted: --label COLUMN, or an "
                      "expression such as --label 'rating >= 4'");
}

static enum status pick(struct guess *g, struct error *err)
{
    static const struct {
        unsigned kind;
        size_t most;
        const char *what;
    } ways[] = {{HINT_OUTCOME, MOST_PICKED, "what is called like an outcome"},
                {HINT_AMOUNT, 1, "the only number that is called like an outcome"},
                {HINT_ID, 1, "the only column with two values"}};
    size_t w = 0, n = 0;
    for (; w < 3; w++)
        if ((n = count_kind(g, ways[w].kind))) break;
    if (!n || n > ways[w].most) return none_stands_out(g, err);
    g->picked = ways[w].what;
    g->tasks = arena_take(g->arena, n, sizeof *g->tasks);
    if (!g->tasks) return guess_no_memory(err);
    for (size_t i = 0; i < g->n_columns; i++) {
        struct guess_column *c = &g->columns[i];
        if (!is_good(c, ways[w].kind)) continue;
        struct guess_task *t = &g->tasks[g->n_tasks++];
        t->name = c->name;
        TRY(label_of_column(g, c, t, err));
    }
    return ST_OK;
}

enum status guess_tasks(struct guess *g, const struct guess_request *q, struct error *err)
{
    if (!q->labels.n) return pick(g, err);
    g->tasks = arena_take(g->arena, q->labels.n, sizeof *g->tasks);
    if (!g->tasks) return guess_no_memory(err);
    for (size_t i = 0; i < q->labels.n; i++) TRY(add_asked(g, q->labels.v[i], err));
    return ST_OK;
}
