/* What the values of every column look like: one pass over the head. */
#include <math.h>
#include <string.h>

#include "common/base/hash.h"
#include "data/guess_impl.h"
#include "data/raw_text.h"

const char list_separators[LIST_SEPARATORS] = {'|', ',', ';', ' ', '#'};

/* Distinct values kept per column share a budget, so that wide data fit too. */
enum { VALUES_IN_ALL = 4 << 20, VALUES_MOST = 1 << 16, VALUES_LEAST = 256 };
/* Cells looked at in all. */
enum { CELLS_MOST = 20 << 20, ROWS_LEAST = 1000 };

struct profiler {
    struct guess *g;
    struct expr *date; /* date(concat(v)): what the language reads as a day */
    struct expr_scratch *scratch;
};

/* ---- times ---- */

static bool is_date(struct profiler *p, struct text t)
{
    struct value v;
    struct error unheeded;
    enum status st = expr_eval(p->date, &t, p->scratch, &v, &unheeded);
    return st == ST_OK && v.kind == VALUE_INT && v.i >= 19800101 && v.i < 20500101;
}

/* 1980 to 2040. */
static bool is_seconds(double x)
{
    return x >= 315532800.0 && x < 2208988800.0;
}

static enum guess_time time_of(struct profiler *p, struct text t, const struct value *v)
{
    if (v && v->kind != VALUE_INT) return TIME_NONE;
    if (v && is_seconds((double)v->i)) return TIME_SECONDS;
    if (v && is_seconds((double)v->i / 1000)) return TIME_MILLIS;
    if (v) return t.n == 8 && is_date(p, t) ? TIME_DATE : TIME_NONE;
    if (t.n < 10 || t.n > 40 || t.s[4] != '-' || !is_date(p, t)) return TIME_NONE;
    return t.n == 10 ? TIME_DATE : TIME_TEXT;
}

/* ---- lists ---- */

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '\'' || c == '.';
}

static enum status add_piece(struct list_profile *l, struct text piece, struct error *err)
{
    bool plain = true, digits = false;
    for (size_t i = 0; i < piece.n; i++) {
        plain &= is_plain(piece.s[i]);
        digits |= piece.s[i] >= '0' && piece.s[i] <= '9';
    }
    l->pieces++;
    l->plain += plain;
    l->digits += digits;
    size_t place;
    return tally_add(&l->tally, hash_id(piece.s, piece.n), (double)NAN, &place, err);
}

static enum status add_list(struct list_profile *l, char separator, struct text t,
                            bool fresh, struct error *err)
{
    uint64_t before = l->pieces;
    const char *at = t.s, *end = t.s + t.n;
    while (at <= end) {
        const char *stop = memchr(at, separator, (size_t)(end - at));
        if (!stop) stop = end;
        struct text piece = {at, (size_t)(stop - at)};
        if (piece.n) TRY(add_piece(l, piece, err));
        at = stop + 1;
    }
    uint64_t n = l->pieces - before;
    if (!l->rows || n < l->fewest) l->fewest = n;
    if (n > l->most) l->most = n;
    l->rows++;
    l->cells += fresh;
    return ST_OK;
}

/* ---- values ---- */

static void add_number(struct guess_profile *p, struct text t, const struct value *v)
{
    double x = v->kind == VALUE_INT ? (double)v->i : v->f;
    if (!p->numbers || x < p->low) p->low = x;
    if (!p->numbers || x > p->high) p->high = x;
    p->numbers++;
    p->sum += x;
    p->whole += x == floor(x);
    p->zeros += x == 0;
    p->negatives += x < 0;
    p->zero_led += t.n > 1 && t.s[0] == '0' && t.s[1] >= '0' && t.s[1] <= '9';
    bool digits = t.n > 0 && t.n < 20;
    for (size_t i = 0; i < t.n; i++) digits &= t.s[i] >= '0' && t.s[i] <= '9';
    p->keys += digits;
}

/* An integer of 20 digits that is below 2^64 is a float to text_number(). */
static bool is_long_key(struct text t)
{
    if (t.n != 20) return false;
    for (size_t i = 0; i < t.n; i++)
        if (t.s[i] < '0' || t.s[i] > '9') return false;
    return memcmp(t.s, "18446744073709551615", 20) <= 0;
}

static enum status add_value(struct profiler *r, struct guess_profile *p, struct text t,
                             struct error *err)
{
    struct value v;
    bool number = text_number(t, &v);
    size_t place, token = number ? SIZE_MAX : guess_token(t);
    uint64_t n_before = p->tally.n;
    double x = !number ? (double)NAN : v.kind == VALUE_INT ? (double)v.i : v.f;
    TRY(tally_add(&p->tally, hash_id(t.s, t.n), x, &place, err));
    bool fresh = p->tally.n > n_before;
    if (fresh && place < SHOWN_TEXTS) {
        p->texts[place] = arena_strndup(r->g->arena, t.s, t.n);
        if (!p->texts[place]) return guess_no_memory(err);
    }
    p->values++;
    p->bytes += t.n;
    if (number) add_number(p, t, &v);
    p->keys += number && is_long_key(t);
    if (token != SIZE_MAX) {
        p->tokens++;
        p->token_seen[token] = true;
        return ST_OK;
    }
    enum guess_time time = time_of(r, t, number ? &v : NULL);
    if (time != TIME_NONE) p->times[time]++;
    for (size_t i = 0; !number && i < LIST_SEPARATORS; i++)
        if (memchr(t.s, list_separators[i], t.n))
            TRY(add_list(&p->lists[i], list_separators[i], t, fresh, err));
    return ST_OK;
}

static enum status add_field(struct profiler *r, struct guess_profile *p,
                             const struct raw_field *f, struct error *err)
{
    p->rows++;
    if (!f->n) return ST_OK;
    if (!p->present || f->n < p->fewest) p->fewest = f->n;
    if (f->n > p->most) p->most = f->n;
    p->present++;
    for (size_t i = 0; i < f->n; i++) TRY(add_value(r, p, f->v[i], err));
    return ST_OK;
}

/* ---- the pass ---- */

static enum status create_columns(struct guess *g, const struct raw_columns *known,
                                  struct error *err)
{
    g->columns = arena_take(g->arena, known->n, sizeof *g->columns);
    if (!g->columns) return guess_no_memory(err);
    size_t limit = VALUES_IN_ALL / (known->n ? known->n : 1);
    if (limit > VALUES_MOST) limit = VALUES_MOST;
    if (limit < VALUES_LEAST) limit = VALUES_LEAST;
    for (size_t i = 0; i < known->n; i++) {
        struct guess_column *c = &g->columns[i];
        c->name = arena_strdup(g->arena, known->names[i]);
        c->profile = arena_take(g->arena, 1, sizeof *c->profile);
        if (!c->name || !c->profile) return guess_no_memory(err);
        tally_init(&c->profile->tally, limit, 0);
        for (size_t k = 0; k < LIST_SEPARATORS; k++)
            tally_init(&c->profile->lists[k].tally, limit / 4, 0);
        g->n_columns++;
    }
    return ST_OK;
}

static enum status read_rows(struct profiler *r, uint64_t rows, struct error *err)
{
    struct guess *g = r->g;
    const char **names = arena_take(g->arena, g->n_columns, sizeof *names);
    if (!names) return guess_no_memory(err);
    for (size_t i = 0; i < g->n_columns; i++) names[i] = g->columns[i].name;
    struct guess_head *head;
    const struct raw_row *row = NULL;
    TRY(guess_head_open(g, rows, names, g->n_columns, &head, err));
    enum status st;
    while ((st = guess_head_next(head, &row, err)) == ST_OK && row)
        for (size_t i = 0; st == ST_OK && i < g->n_columns; i++)
            st = add_field(r, g->columns[i].profile, &row->fields[i], err);
    if (st == ST_OK) guess_head_count(head, g);
    guess_head_close(head);
    return st;
}

static enum status check_rows(const struct guess *g, struct error *err)
{
    const char *file = g->data.train.files.v[0];
    if (!g->rows_seen) return error_set(err, ST_DATA, "%s: no row can be read", file);
    if (g->bad_seen * 10 > g->rows_seen)
        return error_set(err, ST_DATA,
                         "%s: %llu of %llu rows do not have the columns of the "
                         "others",
                         file, (unsigned long long)g->bad_seen,
                         (unsigned long long)(g->rows_seen + g->bad_seen));
    return ST_OK;
}

uint64_t guess_rows(const struct guess *g, uint64_t rows)
{
    uint64_t most = CELLS_MOST / (g->n_columns ? g->n_columns : 1);
    if (most < ROWS_LEAST) most = ROWS_LEAST;
    if (!rows) rows = GUESS_ROWS;
    return rows < most ? rows : most;
}

enum status guess_profile(struct guess *g, uint64_t rows, struct error *err)
{
    struct raw_columns known;
    TRY(raw_columns_read(&g->data, &g->data.train, &known, err));
    enum status st = create_columns(g, &known, err);
    raw_columns_close(&known);
    TRY(st);
    struct profiler r = {.g = g};
    struct text_cfg date = {"date(concat(v))", {"guess", 1, 1}};
    st = expr_parse(&date, NULL, 0, &r.date, err);
    if (st == ST_OK) st = expr_scratch_create(&r.scratch, err);
    if (st == ST_OK) st = read_rows(&r, guess_rows(g, rows), err);
    if (st == ST_OK) st = check_rows(g, err);
    expr_scratch_destroy(r.scratch);
    expr_destroy(r.date);
    return st;
}

bool guess_is_number(const struct guess_profile *p)
{
    uint64_t junk = p->values - p->numbers - p->tokens;
    return p->numbers > 0 && p->numbers >= p->tokens && junk * 10000 <= p->values;
}

bool guess_has_token(const struct guess_profile *p)
{
    return guess_is_number(p) && p->tokens > 0;
}
