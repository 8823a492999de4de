/* Statistics from the training rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/math/target.h"
#include "data/dataset_impl.h"
#include "data/fit_impl.h"

/* Quantiles are exact up to this many numbers; beyond it they are those of an
 * evenly spaced part of the rows. */
enum { MAX_QUANTILE_VALUES = 4 << 20 };

static enum status no_memory(struct error *err)
{
    return mem_error(err, "statistics", sizeof(struct fit));
}

/* ---- passes over the training rows ---- */

struct moments {
    double sum, sum2, low, high;
    uint64_t n;
};

struct fitting {
    struct fit *fit;
    struct dataset *d;
    struct block *block;
    uint64_t n_rows;
    struct moments *moments; /* [n_dense] of the pass */
    size_t *stage;           /* [n_dense] transforms whose statistics are known */
    bool *mean_known;        /* [n_dense] default mean */
    bool *second;   /* [n_dense] standardize: the mean is known, now the deviation */
    float **values; /* [n_features] of bucketized ones */
    size_t *n_values;
    uint64_t **level_count;          /* [n_one_hot] */
    double *weight, *weighted_label; /* [n_tasks] */
    float *label_low, *label_high;
    uint64_t *occurrences; /* [M] */
    /* rows of a lane batch, evenly spaced */
    size_t lane_rows, n_sample;
    struct key_set *distinct; /* [n_ids] */
};

typedef enum status visit_row(struct fitting *g, size_t i, uint64_t nth,
                              struct error *err);

/* Call visit for every training row: i in the block, nth among the selected. */
static enum status each_row(struct fitting *g, visit_row *visit, struct error *err)
{
    uint64_t nth = 0;
    for (uint64_t b = 0; b < g->d->file->n_blocks; b++) {
        if (g->d->before[b] == g->d->before[b + 1]) continue;
        TRY(prepared_read(g->d->file, b, g->block, err));
        for (size_t i = 0; i < g->block->n; i++)
            if (dataset_is_selected(g->d, b * BLOCK_ROWS + i))
                TRY(visit(g, i, nth++, err));
    }
    return ST_OK;
}

/* ---- numbers ---- */

static bool needs_statistics(const struct transform_cfg *t)
{
    return t->kind == TRANSFORM_STANDARDIZE || t->kind == TRANSFORM_MINMAX;
}

/* Transforms of column k that are settled: up to the next one with statistics. */
static size_t settled(const struct fitting *g, size_t k)
{
    const struct feature_cfg *c = g->fit->columns[k].cfg;
    size_t i = g->stage[k];
    while (i < c->n_transforms && !needs_statistics(&c->transform[i])) i++;
    return i;
}

static bool is_done(const struct fitting *g, size_t k)
{
    const struct feature_cfg *c = g->fit->columns[k].cfg;
    return g->mean_known[k] && settled(g, k) == c->n_transforms;
}

static enum status visit_numbers(struct fitting *g, size_t i, uint64_t nth,
                                 struct error *err)
{
    (void)nth;
    (void)err;
    const struct schema *s = g->fit->schema;
    const float *raw = block_f32(g->block, COL_NUMBERS) + i * s->plan->n_number;
    for (size_t k = 0; k < s->n_dense; k++) {
        const struct fit_column *c = &g->fit->columns[k];
        if (is_done(g, k)) continue;
        struct moments *m = &g->moments[k];
        double x = raw[k];
        if (g->mean_known[k])
            x = fit_transform_first(c, x, settled(g, k));
        else if (isnan(x))
            continue;
        double away = g->second[k] ? x - c->stat[settled(g, k)][0] : 0;
        if (!m->n || x < m->low) m->low = x;
        if (!m->n || x > m->high) m->high = x;
        m->sum += x;
        m->sum2 += away * away;
        m->n++;
    }
    return ST_OK;
}

static void take_statistics(struct fitting *g, size_t k)
{
    struct fit_column *c = &g->fit->columns[k];
    const struct moments *m = &g->moments[k];
    double n = m->n ? (double)m->n : 1;
    if (!g->mean_known[k]) {
        c->default_value = m->sum / n;
        g->mean_known[k] = true;
        return;
    }
    size_t i = settled(g, k);
    if (i == c->cfg->n_transforms) return;
    if (c->cfg->transform[i].kind == TRANSFORM_MINMAX) {
        c->stat[i][0] = m->low;
        c->stat[i][1] = m->high;
    } else if (!g->second[k]) {
        c->stat[i][0] = m->sum / n;
        g->second[k] = true;
        return;
    } else {
        c->stat[i][1] = sqrt(m->sum2 / n);
        g->second[k] = false;
    }
    g->stage[k] = i + 1;
}

/* A pass settles one statistic of every column: first the default mean, then
 * the transforms in their order (standardize takes two: mean, deviation). */
static enum status fit_numbers(struct fitting *g, struct error *err)
{
    size_t n = g->fit->schema->n_dense;
    for (size_t k = 0; k < n; k++)
        g->mean_known[k] = !g->fit->columns[k].cfg->default_mean;
    for (;;) {
        bool done = true;
        for (size_t k = 0; k < n; k++) done &= is_done(g, k);
        if (done) return ST_OK;
        memset(g->moments, 0, n * sizeof *g->moments);
        TRY(each_row(g, visit_numbers, err));
        for (size_t k = 0; k < n; k++)
            if (!is_done(g, k)) take_statistics(g, k);
    }
}

/* ---- everything that one pass gives ---- */

static enum status check_logs(const struct fitting *g, size_t i, struct error *err)
{
    const struct schema *s = g->fit->schema;
    const float *raw = block_f32(g->block, COL_NUMBERS) + i * s->plan->n_number;
    for (size_t k = 0; k < s->n_dense; k++) {
        const struct fit_column *c = &g->fit->columns[k];
        for (size_t t = 0; t < c->cfg->n_transforms; t++) {
            if (c->cfg->transform[t].kind != TRANSFORM_LOG1P) continue;
            double x = fit_transform_first(c, raw[k], t);
            if (x > -1) continue;
            const char *name = "";
            for (size_t f = 0; f < s->n_features; f++)
                if (s->features[f].cfg == c->cfg &&
                    s->features[f].kind == FEATURE_DENSE && s->features[f].place <= k)
                    name = s->features[f].name;
            error_set(err, ST_DATA, "feature %s: log1p of %g: it takes numbers above -1",
                      name, x);
            return error_hint(err, ST_DATA,
                              "put {clip: [0, HIGH]} before log1p, or log a "
                              "shifted `expr`");
        }
    }
    return ST_OK;
}

static void count_labels(struct fitting *g, size_t i)
{
    const struct settings *settings = g->fit->schema->settings;
    size_t n = settings->n_tasks;
    const float *label = block_f32(g->block, COL_LABELS) + i * n;
    const float *weight = block_f32(g->block, COL_WEIGHTS);
    const float *duration = block_f32(g->block, COL_DURATIONS);
    for (size_t k = 0; k < n; k++) {
        float y = funnel_label(settings, label, k);
        double w = weight ? weight[i * n + k] : 1;
        funnel_count(settings, label, k, &g->fit->funnel[k]);
        if (isnan(y)) continue;
        if (g->label_low[k] > y) g->label_low[k] = y;
        if (g->label_high[k] < y) g->label_high[k] = y;
        g->weight[k] += w;
        g->weighted_label[k] +=
            w * target_of_label(settings->tasks[k].loss, y,
                                duration ? duration[i * n + k] : 0);
    }
}

static uint64_t value_of_single(const struct fitting *g, size_t feature, size_t i)
{
    const struct prepared *p = g->d->file;
    size_t at = p->place[feature];
    if (p->keyed[g->fit->schema->features[feature].table])
        return block_u64(g->block, COL_KEYS)[i * p->shape.width[COL_KEYS] + at];
    return block_u32(g->block, COL_CODES)[i * p->shape.width[COL_CODES] + at];
}

static bool sample_lists(struct fitting *g, size_t i)
{
    const struct schema_plan *plan = g->fit->schema->plan;
    size_t at[N_VALUES] = {0};
    const uint32_t *lengths = block_u32(g->block, COL_LENGTHS);
    /* Where the row's values begin: behind those of all rows before it. */
    for (size_t r = 0; r <= i; r++)
        for (size_t m = 0; m < plan->n_multi; m++) {
            size_t f = plan->multi[m], n = lengths[r * plan->n_multi + m];
            bool keyed = g->d->file->keyed[g->fit->schema->features[f].table];
            const struct block_values *v = &g->block->values[keyed];
            if (at[keyed] + n > v->n) return true;
            for (size_t j = 0; r == i && j < n; j++) {
                uint64_t value = keyed ? ((uint64_t *)v->v)[at[keyed] + j]
                                       : ((uint32_t *)v->v)[at[keyed] + j];
                size_t id = g->fit->schema->features[f].place;
                if (key_set_add(&g->distinct[id], value) == KEY_SET_FULL) return false;
            }
            at[keyed] += n;
        }
    return true;
}

/* Rows j * N / B of the selected rows stand for a lane's batch. */
static enum status sample_row(struct fitting *g, size_t i, uint64_t nth,
                              struct error *err)
{
    const struct schema_plan *plan = g->fit->schema->plan;
    uint64_t next = (uint64_t)((__uint128_t)g->n_sample * g->n_rows / g->lane_rows);
    if (g->n_sample == g->lane_rows || nth != next) return ST_OK;
    g->n_sample++;
    bool ok = true;
    for (size_t k = 0; ok && k < plan->n_single; k++) {
        size_t f = plan->single[k], id = g->fit->schema->features[f].place;
        ok = key_set_add(&g->distinct[id], value_of_single(g, f, i)) != KEY_SET_FULL;
    }
    if (ok && plan->n_multi) ok = sample_lists(g, i);
    return ok ? ST_OK : no_memory(err);
}

static void take_quantile_values(struct fitting *g, size_t i, uint64_t nth)
{
    const struct schema *s = g->fit->schema;
    /* Every stride-th row, so that all parts of the data count alike. */
    uint64_t stride = (g->n_rows + MAX_QUANTILE_VALUES - 1) / MAX_QUANTILE_VALUES;
    if (nth % stride) return;
    for (size_t f = 0; f < s->n_features; f++) {
        if (!g->values[f]) continue;
        float v = block_f32(g->block,
                            COL_NUMBERS)[i * s->plan->n_number + s->plan->features[f].at];
        if (!isnan(v)) g->values[f][g->n_values[f]++] = v;
    }
}

static enum status visit_all(struct fitting *g, size_t i, uint64_t nth, struct error *err)
{
    const struct schema *s = g->fit->schema;
    count_labels(g, i);
    take_quantile_values(g, i, nth);
    const uint32_t *level = block_u32(g->block, COL_ONE_HOT) + i * s->n_one_hot;
    for (size_t k = 0; k < s->n_one_hot; k++)
        if (level[k] < g->d->file->n_levels[k]) g->level_count[k][level[k]]++;
    const uint32_t *lengths = block_u32(g->block, COL_LENGTHS) + i * s->plan->n_multi;
    for (size_t m = 0; m < s->plan->n_multi; m++) g->occurrences[m] += lengths[m];
    TRY(check_logs(g, i, err));
    return sample_row(g, i, nth, err);
}

/* ---- results ---- */

static enum status take_labels(struct fitting *g, struct error *err)
{
    const struct settings *settings = g->fit->schema->settings;
    for (size_t k = 0; k < settings->n_tasks; k++) {
        const struct task_cfg *t = &settings->tasks[k];
        if (!(g->weight[k] > 0)) {
            error_set(err, ST_DATA, "task %s: no training row of %llu has a label",
                      t->name, (unsigned long long)g->n_rows);
            return error_hint(err, ST_DATA,
                              "look at `present`, `row_weight` and data.train.where");
        }
        if (t->loss == LOSS_BCE && g->label_low[k] == g->label_high[k]) {
            error_set(err, ST_DATA, "task %s: every label of the training rows is %g",
                      t->name, (double)g->label_low[k]);
            return error_hint(err, ST_DATA,
                              "a binary task needs both classes: look at `label`");
        }
        g->fit->presence[k] = g->weight[k] / (double)g->n_rows;
        g->fit->base[k] = g->weighted_label[k] / g->weight[k];
        if (isfinite(target_logit(t->loss, g->fit->base[k]))) continue;
        error_set(err, ST_DATA, "task %s: the mean of the training rows is %g", t->name,
                  g->fit->base[k]);
        return error_hint(err, ST_DATA,
                          "nothing can be learned from it: look at `label`");
    }
    return ST_OK;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Border i of n buckets is the smallest number that i/n of the numbers lie below. */
static enum status take_borders(struct fitting *g, struct error *err)
{
    const struct schema *s = g->fit->schema;
    for (size_t f = 0; f < s->n_features; f++) {
        if (!g->values[f]) continue;
        size_t buckets = s->features[f].cfg->bucketize, n = g->n_values[f];
        qsort(g->values[f], n, sizeof(float), compare_floats);
        float *borders = arena_take(g->fit->arena, buckets, sizeof *borders);
        if (!borders) return no_memory(err);
        for (size_t i = 1; i < buckets; i++)
            borders[i - 1] = n ? g->values[f][(size_t)((__uint128_t)n * i / buckets)] : 0;
        g->fit->borders[f] = borders;
    }
    return ST_OK;
}

struct level {
    uint64_t count;
    size_t code;
};

static int compare_levels(const void *a, const void *b)
{
    const struct level *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return (x->code > y->code) - (x->code < y->code);
}

/* The most frequent values first; equally frequent ones in the order of keys. */
static enum status take_levels(struct fitting *g, struct error *err)
{
    const struct schema *s = g->fit->schema;
    for (size_t k = 0; k < s->n_one_hot; k++) {
        size_t n = 0, all = g->d->file->n_levels[k];
        size_t most = s->features[s->plan->one_hot[k]].cfg->max_levels;
        struct level *level = mem_array(all, sizeof *level);
        if (!level) return no_memory(err);
        for (size_t c = 0; c < all; c++)
            if (g->level_count[k][c])
                level[n++] = (struct level){g->level_count[k][c], c};
        qsort(level, n, sizeof *level, compare_levels);
        if (most && n > most) n = most;
        uint64_t *keys = arena_take(g->fit->arena, n + 1, sizeof *keys);
        for (size_t i = 0; keys && i < n; i++)
            keys[i] = g->d->file->levels[k][level[i].code];
        mem_free(level);
        if (!keys) return no_memory(err);
        g->fit->levels[k] = keys;
        g->fit->n_levels[k] = n;
    }
    return ST_OK;
}

static void take_shares(struct fitting *g)
{
    const struct schema *s = g->fit->schema;
    double rows = g->n_sample ? (double)g->n_sample : 1;
    for (size_t i = 0; i < s->n_ids; i++) {
        size_t f = s->plan->ids[i];
        const struct feature_plan *p = &s->plan->features[f];
        size_t n = g->distinct[i].n;
        if (p->store == STORE_NUMBER) {
            size_t buckets = s->features[f].cfg->bucketize + 1;
            n = buckets < g->n_sample ? buckets : g->n_sample;
        }
        g->fit->distinct_share[i] = (double)n / rows;
        g->fit->mean_per_row[i] = p->store == STORE_MULTI
                                      ? (double)g->occurrences[p->at] / (double)g->n_rows
                                      : 1;
    }
}

/* ---- the whole ---- */

static void *take(size_t n, size_t size, bool *ok)
{
    void *p = mem_zeroed(n, size);
    if (!p) *ok = false;
    return p;
}

static bool fitting_open(struct fitting *g)
{
    const struct schema *s = g->fit->schema;
    bool ok = true;
    size_t tasks = s->settings->n_tasks;
    g->moments = take(s->n_dense, sizeof *g->moments, &ok);
    g->stage = take(s->n_dense, sizeof *g->stage, &ok);
    g->mean_known = take(s->n_dense, sizeof *g->mean_known, &ok);
    g->second = take(s->n_dense, sizeof *g->second, &ok);
    g->values = take(s->n_features, sizeof *g->values, &ok);
    g->n_values = take(s->n_features, sizeof *g->n_values, &ok);
    g->level_count = take(s->n_one_hot, sizeof *g->level_count, &ok);
    g->weight = take(tasks, sizeof *g->weight, &ok);
    g->weighted_label = take(tasks, sizeof *g->weighted_label, &ok);
    g->label_low = take(tasks, sizeof *g->label_low, &ok);
    g->label_high = take(tasks, sizeof *g->label_high, &ok);
    g->occurrences = take(s->plan->n_multi, sizeof *g->occurrences, &ok);
    g->distinct = take(s->n_ids, sizeof *g->distinct, &ok);
    size_t n = g->n_rows < MAX_QUANTILE_VALUES ? (size_t)g->n_rows : MAX_QUANTILE_VALUES;
    for (size_t f = 0; ok && f < s->n_features; f++)
        if (s->features[f].kind == FEATURE_ID &&
            s->plan->features[f].store == STORE_NUMBER)
            g->values[f] = take(n + 1, sizeof **g->values, &ok);
    for (size_t k = 0; ok && k < s->n_one_hot; k++)
        g->level_count[k] = take(g->d->file->n_levels[k], sizeof **g->level_count, &ok);
    for (size_t k = 0; ok && k < tasks; k++) {
        g->label_low[k] = INFINITY;
        g->label_high[k] = -INFINITY;
    }
    return ok;
}

static void fitting_close(struct fitting *g)
{
    const struct schema *s = g->fit->schema;
    for (size_t f = 0; g->values && f < s->n_features; f++) mem_free(g->values[f]);
    for (size_t k = 0; g->level_count && k < s->n_one_hot; k++)
        mem_free(g->level_count[k]);
    for (size_t i = 0; g->distinct && i < s->n_ids; i++) key_set_close(&g->distinct[i]);
    void *blocks[] = {g->moments,        g->stage,     g->mean_known,  g->second,
                      g->values,         g->n_values,  g->level_count, g->weight,
                      g->weighted_label, g->label_low, g->label_high,  g->occurrences,
                      g->distinct};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) mem_free(blocks[i]);
    block_destroy(g->block);
}

static enum status run(struct fitting *g, struct error *err)
{
    struct block_shape shape = g->d->file->shape;
    shape.width[COL_SIDE] = shape.width[COL_AUX_TEXT] = shape.width[COL_AUX_NUMBER] = 0;
    shape.width[COL_GROUP] = 0;
    if (!fitting_open(g)) return no_memory(err);
    TRY(block_create(&shape, &g->block, err));
    TRY(fit_numbers(g, err));
    TRY(each_row(g, visit_all, err));
    TRY(take_labels(g, err));
    TRY(take_borders(g, err));
    TRY(take_levels(g, err));
    take_shares(g);
    return fit_list_arrays(g->fit, err);
}

enum status fit_compute(struct dataset *train, size_t lane_rows, struct fit **out,
                        struct error *err)
{
    struct fitting g = {.d = train, .n_rows = dataset_rows(train)};
    if (!g.n_rows) return error_set(err, ST_DATA, "no training row is selected");
    g.lane_rows = g.n_rows < lane_rows ? (size_t)g.n_rows : lane_rows;
    TRY(fit_create(train->schema, &g.fit, err));
    enum status st = run(&g, err);
    fitting_close(&g);
    if (st == ST_OK)
        *out = g.fit;
    else
        fit_destroy(g.fit);
    return st;
}
