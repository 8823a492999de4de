#include "data/guess.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "data/guess_impl.h"

enum status guess_no_memory(struct error *err)
{
    return mem_error(err, "guess", sizeof(struct guess));
}

struct guess_column *guess_find(const struct guess *g, const char *name)
{
    for (size_t i = 0; i < g->n_columns; i++)
        if (!strcmp(g->columns[i].name, name)) return &g->columns[i];
    return NULL;
}

const char *guess_print(struct guess *g, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = n < 0 ? NULL : arena_take(g->arena, (size_t)n + 1, 1);
    if (!text) return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

const char *guess_quoted(struct guess *g, const char *name)
{
    static const char *const words[] = {"and",  "or",    "not",    "in",
                                        "true", "false", "missing"};
    bool plain = !isdigit((unsigned char)name[0]);
    for (const char *c = name; *c; c++)
        plain &= isalnum((unsigned char)*c) || *c == '_' || (unsigned char)*c >= 0x80;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        plain &= strcmp(name, words[i]) != 0;
    return plain ? name : guess_print(g, "`%s`", name);
}

enum status guess_leave_out(struct guess_column *c, const char *why, struct error *err)
{
    if (!why) return guess_no_memory(err);
    c->kind = GUESS_OUT;
    c->why = why;
    return ST_OK;
}

enum status guess_create(struct guess **out, struct error *err)
{
    struct arena *arena;
    TRY(arena_create(&arena, err));
    struct guess *g = arena_take(arena, 1, sizeof *g);
    if (!g) {
        arena_destroy(arena);
        return guess_no_memory(err);
    }
    static const char *const nothing[] = {""};
    g->arena = arena;
    g->data.slot.separator = " ";
    g->data.train.missing = (struct list_cfg){(const char **)nothing, 1, {0}};
    g->data.train.delimiter = ",";
    g->data.eval = g->data.train;
    *out = g;
    return ST_OK;
}

static void close_profile(struct guess_profile *p)
{
    if (!p) return;
    tally_close(&p->tally);
    for (size_t i = 0; i < LIST_SEPARATORS; i++) tally_close(&p->lists[i].tally);
}

void guess_destroy(struct guess *g)
{
    if (!g) return;
    for (size_t i = 0; i < g->n_columns; i++) close_profile(g->columns[i].profile);
    arena_destroy(g->arena);
}

/* ---- sizes and rates ---- */

static size_t batch_for(double rows)
{
    if (rows >= 5e5) return 1024;
    if (rows >= 5e4) return 512;
    return rows >= 5e3 ? 128 : 32;
}

void guess_plan_default(struct guess *g)
{
    bool one = g->n_tasks == 1;
    g->plan = (struct guess_plan){.type = one ? "dnn" : "mmoe",
                                  .bottom = one ? "128, 64" : "256",
                                  .dim = g->rows < 5e4 ? 8 : 16,
                                  .table_optimizer = "adam: {lr: 0.001}",
                                  .optimizer = "adam: {lr: 0.001}",
                                  .batch_size = batch_for(g->rows)};
    struct guess_plan *p = &g->plan;
    p->early_stop = g->valid_fraction > 0 || g->valid_where;
    p->epochs = p->early_stop ? "20" : g->rows > 1e6 ? "1" : "3";
    if (one) return;
    p->experts = g->n_tasks < 2 ? 4 : g->n_tasks > 8 ? 16 : 2 * g->n_tasks;
    if (p->experts < 4) p->experts = 4;
    p->own = p->levels = 1;
    p->shared = p->experts / 2;
    p->expert = "64";
    p->tower = "32";
    p->gates = "";
}

/* ---- all stages ---- */

static enum status check_inputs(const struct guess *g, struct error *err)
{
    for (size_t i = 0; i < g->n_columns; i++) {
        enum guess_kind kind = g->columns[i].kind;
        if (kind == GUESS_ID || kind == GUESS_LIST || kind == GUESS_NUMBER) return ST_OK;
    }
    return error_set(err, ST_DATA,
                     "%s: no column is left to learn from: the first is left out "
                     "because it is %s",
                     g->data.train.files.v[0],
                     g->columns[0].why ? g->columns[0].why : "a label or a time");
}

static enum status read_all(struct guess *g, const struct guess_request *q,
                            struct error *err)
{
    TRY(guess_layout(g, q, err));
    TRY(guess_profile(g, q->rows, err));
    TRY(guess_tasks(g, q, err));
    TRY(guess_kinds(g, err));
    TRY(guess_leaks(g, q->rows, err));
    TRY(check_inputs(g, err));
    TRY(guess_split(g, err));
    guess_plan_default(g);
    return ST_OK;
}

enum status guess_read(const struct guess_request *q, struct guess **out,
                       struct error *err)
{
    struct guess *g;
    TRY(guess_create(&g, err));
    enum status st = read_all(g, q, err);
    if (st != ST_OK) {
        guess_destroy(g);
        return st;
    }
    *out = g;
    return ST_OK;
}
