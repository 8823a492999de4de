/* A second look at the head, now that the labels are known: what the labels are,
 * and which columns give one away. A column that knows the answer makes a model
 * that is right on these rows and useless on new ones. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "data/guess_impl.h"

enum { VALUES_IN_ALL = 8 << 20, VALUES_MOST = 1 << 16, VALUES_LEAST = 256 };
/* A column orders a label too well from this AUC on, if there are enough rows of
 * both kinds to say so. */
static const double too_well = 0.999;
enum { ENOUGH_ORDER = 20, ENOUGH_PURE = 10, ROWS_A_VALUE = 5 };

/* Sums per value of a column and task. */
enum { LABELLED, POSITIVES, LABELS, N_SUMS };

struct suspect {
    struct guess_column *c;
    struct tally tally; /* width n_tasks * N_SUMS */
};

struct label {
    struct expr *e;
    size_t *inputs; /* columns of the head */
    struct text *texts;
};

struct leak {
    struct guess *g;
    struct label *labels; /* [n_tasks] */
    double *y;            /* [n_tasks] of the row, NaN: none */
    struct suspect *suspects;
    size_t n_suspects;
    struct expr_scratch *scratch;
    const char **names; /* [n_columns] */
};

/* ---- set up ---- */

static enum status parse_label(struct leak *l, size_t k, struct error *err)
{
    struct guess *g = l->g;
    struct label *label = &l->labels[k];
    struct text_cfg text = {g->tasks[k].label, {"--label", 1, 1}};
    TRY(expr_parse(&text, l->names, g->n_columns, &label->e, err));
    size_t n = expr_n_columns(label->e);
    label->inputs = arena_take(g->arena, n + 1, sizeof *label->inputs);
    label->texts = arena_take(g->arena, n + 1, sizeof *label->texts);
    if (!label->inputs || !label->texts) return guess_no_memory(err);
    for (size_t i = 0; i < n; i++)
        label->inputs[i] = (size_t)(guess_find(g, expr_column(label->e, i)) - g->columns);
    return ST_OK;
}

static bool is_suspect(const struct guess_column *c)
{
    bool input = c->kind == GUESS_ID || c->kind == GUESS_NUMBER ||
                 (c->kind == GUESS_LIST && c->split);
    return input && c->profile->most <= 1;
}

static enum status set_up(struct leak *l, struct error *err)
{
    struct guess *g = l->g;
    l->labels = arena_take(g->arena, g->n_tasks, sizeof *l->labels);
    l->y = arena_take(g->arena, g->n_tasks, sizeof *l->y);
    l->suspects = arena_take(g->arena, g->n_columns, sizeof *l->suspects);
    l->names = arena_take(g->arena, g->n_columns, sizeof *l->names);
    if (!l->labels || !l->y || !l->suspects || !l->names) return guess_no_memory(err);
    for (size_t i = 0; i < g->n_columns; i++) l->names[i] = g->columns[i].name;
    for (size_t k = 0; k < g->n_tasks; k++) TRY(parse_label(l, k, err));
    size_t limit = VALUES_IN_ALL / (g->n_columns * (1 + g->n_tasks * N_SUMS));
    if (limit > VALUES_MOST) limit = VALUES_MOST;
    if (limit < VALUES_LEAST) limit = VALUES_LEAST;
    for (size_t i = 0; i < g->n_columns; i++) {
        if (!is_suspect(&g->columns[i])) continue;
        struct suspect *s = &l->suspects[l->n_suspects++];
        s->c = &g->columns[i];
        tally_init(&s->tally, limit, g->n_tasks * N_SUMS);
    }
    return expr_scratch_create(&l->scratch, err);
}

static void clean_up(struct leak *l)
{
    for (size_t i = 0; i < l->n_suspects; i++) tally_close(&l->suspects[i].tally);
    for (size_t k = 0; l->labels && k < l->g->n_tasks; k++) expr_destroy(l->labels[k].e);
    expr_scratch_destroy(l->scratch);
}

/* ---- the pass ---- */

/* Labels of a row. One that cannot be read is a bad row in training. */
static void read_labels(struct leak *l, const struct raw_row *row)
{
    for (size_t k = 0; k < l->g->n_tasks; k++) {
        struct label *label = &l->labels[k];
        struct guess_task *t = &l->g->tasks[k];
        for (size_t i = 0; i < expr_n_columns(label->e); i++) {
            const struct raw_field *f = &row->fields[label->inputs[i]];
            label->texts[i] = f->n ? f->v[0] : (struct text){NULL, 0};
        }
        struct value v;
        struct error unheeded;
        bool good = expr_eval(label->e, label->texts, l->scratch, &v, &unheeded) == ST_OK;
        double y = (double)NAN;
        if (good && v.kind == VALUE_STRING) good = text_number(v.s, &v);
        if (!good || !value_number(&v, &y)) y = (double)NAN;
        l->y[k] = y;
        if (isnan(y)) continue;
        if (!t->labelled || y < t->low) t->low = y;
        if (!t->labelled || y > t->high) t->high = y;
        t->labelled++;
        t->positives += y > 0.5;
        t->sum += y;
    }
}

static enum status add_row(struct leak *l, const struct raw_row *row, struct error *err)
{
    read_labels(l, row);
    for (size_t i = 0; i < l->n_suspects; i++) {
        struct suspect *s = &l->suspects[i];
        const struct raw_field *f = &row->fields[s->c - l->g->columns];
        if (!f->n) continue;
        struct value v;
        double x = (double)NAN;
        if (text_number(f->v[0], &v)) x = v.kind == VALUE_INT ? (double)v.i : v.f;
        size_t place;
        TRY(tally_add(&s->tally, hash_id(f->v[0].s, f->v[0].n), x, &place, err));
        if (place == SIZE_MAX) continue;
        double *sums = s->tally.sums + place * s->tally.width;
        for (size_t k = 0; k < l->g->n_tasks; k++, sums += N_SUMS) {
            if (isnan(l->y[k])) continue;
            sums[LABELLED]++;
            sums[POSITIVES] += l->y[k] > 0.5;
            sums[LABELS] += l->y[k];
        }
    }
    return ST_OK;
}

/* ---- verdicts ---- */

static const double *sums_of(const struct suspect *s, size_t value, size_t task)
{
    return s->tally.sums + value * s->tally.width + task * N_SUMS;
}

/* The number is the label, or (bce) one minus the label, on every row. */
static bool is_equal(const struct suspect *s, size_t k, bool opposite)
{
    size_t n = 0;
    if (s->tally.n_more) return false;
    for (size_t i = 0; i < s->tally.n; i++) {
        const double *sums = sums_of(s, i, k);
        if (sums[LABELLED] == 0) continue;
        double x = s->tally.v[i].number;
        if (opposite) x = 1 - x;
        /* Also false when it is no number. */
        if (!(fabs(sums[LABELS] - x * sums[LABELLED]) <= 1e-9 * fabs(sums[LABELS])))
            return false;
        n++;
    }
    return n > 1;
}

/* Every value goes with one label, and values are met often enough to tell. */
static bool is_pure(const struct suspect *s, size_t k)
{
    double positives = 0, negatives = 0;
    size_t n_positive = 0, n_negative = 0;
    if (s->tally.n_more) return false;
    for (size_t i = 0; i < s->tally.n; i++) {
        const double *sums = sums_of(s, i, k);
        double other = sums[LABELLED] - sums[POSITIVES];
        if (sums[POSITIVES] > 0 && other > 0) return false;
        positives += sums[POSITIVES];
        negatives += other;
        n_positive += sums[POSITIVES] > 0;
        n_negative += other > 0;
    }
    return positives >= ENOUGH_PURE && negatives >= ENOUGH_PURE &&
           positives >= ROWS_A_VALUE * (double)n_positive &&
           negatives >= ROWS_A_VALUE * (double)n_negative;
}

struct point {
    double x, positives, negatives;
};

static int by_x(const void *a, const void *b)
{
    double x = ((const struct point *)a)->x, y = ((const struct point *)b)->x;
    return (x > y) - (x < y);
}

/* AUC of the number as a score, ties as one half; 0.5 when there is too little. */
static enum status auc_of(const struct suspect *s, size_t k, double *auc,
                          struct error *err)
{
    *auc = 0.5;
    struct point *v = mem_array(s->tally.n, sizeof *v);
    if (!v) return mem_error(err, "values", s->tally.n * sizeof *v);
    double positives = 0, negatives = 0, below = 0, sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < s->tally.n; i++) {
        const double *sums = sums_of(s, i, k);
        if (isnan(s->tally.v[i].number)) continue;
        v[n++] = (struct point){s->tally.v[i].number, sums[POSITIVES],
                                sums[LABELLED] - sums[POSITIVES]};
    }
    qsort(v, n, sizeof *v, by_x);
    for (size_t i = 0; i < n; i++) {
        sum += v[i].positives * (below + v[i].negatives / 2);
        below += v[i].negatives;
        positives += v[i].positives;
        negatives += v[i].negatives;
    }
    if (positives >= ENOUGH_ORDER && negatives >= ENOUGH_ORDER)
        *auc = sum / (positives * negatives);
    mem_free(v);
    return ST_OK;
}

static enum status judge(struct guess *g, const struct suspect *s, size_t k,
                         struct error *err)
{
    const struct guess_task *t = &g->tasks[k];
    if (is_equal(s, k, false))
        return guess_leave_out(
            s->c, guess_print(g, "a leak: equal to %s on every row", t->name), err);
    if (t->loss != LOSS_BCE) return ST_OK;
    if (is_equal(s, k, true))
        return guess_leave_out(
            s->c, guess_print(g, "a leak: the opposite of %s on every row", t->name),
            err);
    if (is_pure(s, k))
        return guess_leave_out(
            s->c,
            guess_print(g, "a leak: each of its %zu values has one value of %s",
                        s->tally.n, t->name),
            err);
    if (s->c->kind != GUESS_NUMBER && !guess_is_number(s->c->profile)) return ST_OK;
    double auc;
    TRY(auc_of(s, k, &auc, err));
    if (auc < too_well && auc > 1 - too_well) return ST_OK;
    return guess_leave_out(s->c,
                           guess_print(g, "a leak: it alone orders %s with AUC %.4f",
                                       t->name, auc > 0.5 ? auc : 1 - auc),
                           err);
}

/* ---- what the labels are ---- */

static enum status decide_loss(struct guess *g, struct guess_task *t, struct error *err)
{
    if (!t->labelled) {
        error_set(err, ST_DATA, "label '%s': no row of the %llu looked at has a number",
                  t->name, (unsigned long long)g->rows_seen);
        return error_hint(err, ST_DATA,
                          "numbers, or two different texts, are expected in it");
    }
    if (t->low >= 0 && t->high <= 1) {
        t->loss = LOSS_BCE;
        if (t->low < t->high || !g->whole) return ST_OK;
        return error_set(err, ST_DATA, "label '%s' is %g on every row", t->name, t->low);
    }
    double mean = t->sum / (double)t->labelled;
    t->loss = t->low >= 0 && t->high > 20 && t->high > 5 * mean ? LOSS_LOG_MSE : LOSS_MSE;
    return ST_OK;
}

static enum status look_again(struct leak *l, uint64_t rows, struct error *err)
{
    struct guess *g = l->g;
    TRY(set_up(l, err));
    struct guess_head *head;
    TRY(guess_head_open(g, guess_rows(g, rows), l->names, g->n_columns, &head, err));
    const struct raw_row *row = NULL;
    enum status st;
    while ((st = guess_head_next(head, &row, err)) == ST_OK && row)
        if ((st = add_row(l, row, err)) != ST_OK) break;
    guess_head_close(head);
    for (size_t k = 0; st == ST_OK && k < g->n_tasks; k++)
        st = decide_loss(g, &g->tasks[k], err);
    for (size_t i = 0; st == ST_OK && i < l->n_suspects; i++)
        for (size_t k = 0; st == ST_OK && k < g->n_tasks; k++)
            if (l->suspects[i].c->kind != GUESS_OUT)
                st = judge(g, &l->suspects[i], k, err);
    return st;
}

enum status guess_leaks(struct guess *g, uint64_t rows, struct error *err)
{
    struct leak l = {.g = g};
    enum status st = look_again(&l, rows, err);
    clean_up(&l);
    return st;
}
