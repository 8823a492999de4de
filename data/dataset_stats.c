#include "data/dataset_stats.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "data/dataset_impl.h"

/* Ids met so far: a bit per code of a dictionary, or a set of keys. */
struct met {
    uint64_t *bits;
    struct key_set keys;
    uint64_t n;
};

struct counting {
    const struct dataset *d;
    struct dataset_stats *out;
    struct block *block;
    struct met *features, *tables;
    uint64_t *missing; /* [n_tables] code or key of a missing single id */
};

static bool met_add(struct met *m, uint64_t id)
{
    if (!m->bits) return key_set_add(&m->keys, id) != KEY_SET_FULL;
    uint64_t *word = &m->bits[id / 64], bit = UINT64_C(1) << id % 64;
    m->n += !(*word & bit);
    *word |= bit;
    return true;
}

static uint64_t met_count(const struct met *m)
{
    return m->bits ? m->n : m->keys.n;
}

static void met_close(struct met *m)
{
    mem_free(m->bits);
    key_set_close(&m->keys);
}

static bool met_open(struct met *m, size_t codes)
{
    m->bits = mem_zeroed(codes / 64 + 1, sizeof *m->bits);
    return m->bits != NULL;
}

/* ---- a row ---- */

/* id: a code where the table has a dictionary, else the key. */
static bool add_id(struct counting *c, size_t feature, uint64_t id)
{
    const struct schema_feature *f = &c->d->schema->features[feature];
    const struct prepared *p = c->d->file;
    struct feature_stats *s = &c->out->features[feature];
    uint64_t key = p->keyed[f->table]         ? id
                   : id < p->n_keys[f->table] ? p->keys[f->table][id]
                                              : 0;
    if (!p->keyed[f->table] && id >= p->n_keys[f->table]) return true;
    s->values++;
    if (f->cfg->key == KEY_UINT64 && key >> 63) s->high++;
    return met_add(&c->features[feature], id) && met_add(&c->tables[f->table], id);
}

static bool count_singles(struct counting *c, size_t i)
{
    const struct schema *s = c->d->schema;
    const struct prepared *p = c->d->file;
    const uint32_t *codes =
        block_u32(c->block, COL_CODES) + i * p->shape.width[COL_CODES];
    const uint64_t *keys = block_u64(c->block, COL_KEYS) + i * p->shape.width[COL_KEYS];
    for (size_t k = 0; k < s->plan->n_single; k++) {
        size_t f = s->plan->single[k], table = s->features[f].table;
        uint64_t id = p->keyed[table] ? keys[p->place[f]] : codes[p->place[f]];
        if (id == c->missing[table]) continue;
        c->out->features[f].filled++;
        if (!add_id(c, f, id)) return false;
    }
    return true;
}

/* at: where the row's values begin; moved past them. Counted only when `count`. */
static bool count_lists(struct counting *c, size_t i, size_t at[N_VALUES], bool count)
{
    const struct schema *s = c->d->schema;
    size_t n_multi = s->plan->n_multi;
    const uint32_t *lengths = block_u32(c->block, COL_LENGTHS) + i * n_multi;
    for (size_t m = 0; m < n_multi; m++) {
        size_t f = s->plan->multi[m], n = lengths[m];
        bool keyed = c->d->file->keyed[s->features[f].table];
        const struct block_values *v = &c->block->values[keyed];
        if (at[keyed] + n > v->n) return true;
        if (count && n) c->out->features[f].filled++;
        for (size_t j = at[keyed]; count && j < at[keyed] + n; j++)
            if (!add_id(c, f, keyed ? ((uint64_t *)v->v)[j] : ((uint32_t *)v->v)[j]))
                return false;
        at[keyed] += n;
    }
    return true;
}

static bool count_levels(struct counting *c, size_t i)
{
    const struct schema *s = c->d->schema;
    const uint32_t *codes = block_u32(c->block, COL_ONE_HOT) + i * s->n_one_hot;
    for (size_t k = 0; k < s->n_one_hot; k++) {
        size_t f = s->plan->one_hot[k];
        if (codes[k] >= c->d->file->n_levels[k]) continue;
        c->out->features[f].filled++;
        c->out->features[f].values++;
        if (!met_add(&c->features[f], codes[k])) return false;
    }
    return true;
}

static void count_numbers(struct counting *c, size_t i)
{
    const struct schema *s = c->d->schema;
    const float *row = block_f32(c->block, COL_NUMBERS) + i * s->plan->n_number;
    for (size_t f = 0; f < s->n_features; f++) {
        const struct feature_plan *p = &s->plan->features[f];
        struct feature_stats *t = &c->out->features[f];
        if (p->store != STORE_NUMBER) continue;
        bool any = false;
        for (size_t j = 0; j < p->width; j++) {
            double v = row[p->at + j];
            if (isnan(v)) continue;
            if (!t->values || v < t->low) t->low = v;
            if (!t->values || v > t->high_value) t->high_value = v;
            t->mean += v; /* divided at the end */
            t->values++;
            any = true;
        }
        t->filled += any;
    }
}

static void count_labels(struct counting *c, size_t i)
{
    const struct settings *settings = c->d->schema->settings;
    size_t n = settings->n_tasks;
    const float *weights = block_f32(c->block, COL_WEIGHTS);
    const float *labels = block_f32(c->block, COL_LABELS) + i * n;
    for (size_t k = 0; k < n; k++) {
        struct task_stats *t = &c->out->tasks[k];
        double y = funnel_label(settings, labels, k);
        funnel_count(settings, labels, k, &t->funnel);
        double w = weights ? weights[i * n + k] : 1;
        if (isnan(y)) continue;
        if (!t->present || y < t->low) t->low = y;
        if (!t->present || y > t->high) t->high = y;
        t->present++;
        t->weight += w;
        t->sum += w * y;
    }
}

static bool count_block(struct counting *c, uint64_t index)
{
    size_t at[N_VALUES] = {0};
    for (size_t i = 0; i < c->block->n; i++) {
        bool selected = dataset_is_selected(c->d, index * BLOCK_ROWS + i);
        if (c->d->schema->plan->n_multi && !count_lists(c, i, at, selected)) return false;
        if (!selected) continue;
        if (!count_singles(c, i) || !count_levels(c, i)) return false;
        count_numbers(c, i);
        count_labels(c, i);
    }
    return true;
}

/* ---- the whole ---- */

static bool open_met(struct counting *c)
{
    const struct schema *s = c->d->schema;
    const struct prepared *p = c->d->file;
    c->features = mem_zeroed(s->n_features, sizeof *c->features);
    c->tables = mem_zeroed(s->n_tables, sizeof *c->tables);
    c->missing = mem_zeroed(s->n_tables, sizeof *c->missing);
    if (!c->features || !c->tables || !c->missing) return false;
    for (size_t t = 0; t < s->n_tables; t++) {
        c->missing[t] = feature_missing_key();
        if (p->keyed[t]) continue;
        c->missing[t] = keys_find(p->keys[t], p->n_keys[t], feature_missing_key());
        if (!met_open(&c->tables[t], p->n_keys[t])) return false;
    }
    for (size_t f = 0; f < s->n_features; f++) {
        const struct schema_feature *g = &s->features[f];
        size_t n = g->kind == FEATURE_ONE_HOT ? p->n_levels[g->place]
                   : g->kind == FEATURE_ID    ? p->n_keys[g->table]
                                              : 0;
        if (g->kind == FEATURE_ID && p->keyed[g->table]) continue;
        if (!met_open(&c->features[f], n)) return false;
    }
    return true;
}

static void add_up(struct counting *c)
{
    const struct schema *s = c->d->schema;
    struct dataset_stats *o = c->out;
    for (size_t f = 0; f < s->n_features; f++) {
        struct feature_stats *t = &o->features[f];
        t->distinct = met_count(&c->features[f]);
        if (s->plan->features[f].store == STORE_NUMBER && t->values)
            t->mean /= (double)t->values;
        if (t->values) o->slots++;
        if (s->features[f].kind == FEATURE_ID) o->values += t->values;
        o->high += t->high;
    }
    for (size_t t = 0; t < s->n_tables; t++) o->distinct += met_count(&c->tables[t]);
}

static enum status run(struct counting *c, struct error *err)
{
    const struct prepared *p = c->d->file;
    struct block_shape shape = p->shape;
    shape.width[COL_SIDE] = shape.width[COL_AUX_TEXT] = shape.width[COL_AUX_NUMBER] = 0;
    if (!open_met(c)) return mem_error(err, "statistics", 0);
    TRY(block_create(&shape, &c->block, err));
    for (uint64_t b = 0; b < p->n_blocks; b++) {
        if (c->d->before[b] == c->d->before[b + 1]) continue;
        TRY(prepared_read(p, b, c->block, err));
        if (!count_block(c, b)) return mem_error(err, "statistics", 0);
    }
    add_up(c);
    return ST_OK;
}

enum status dataset_stats(const struct dataset *d, struct dataset_stats *out,
                          struct error *err)
{
    const struct schema *s = d->schema;
    *out = (struct dataset_stats){.rows = dataset_rows(d),
                                  .rows_all = dataset_rows_all(d),
                                  .ignored_values = d->file->ignored_values,
                                  .ignored_names = d->file->ignored_names};
    struct counting c = {.d = d, .out = out};
    out->tasks = mem_zeroed(s->settings->n_tasks, sizeof *out->tasks);
    out->features = mem_zeroed(s->n_features, sizeof *out->features);
    enum status st =
        out->tasks && out->features ? run(&c, err) : mem_error(err, "statistics", 0);
    for (size_t f = 0; c.features && f < s->n_features; f++) met_close(&c.features[f]);
    for (size_t t = 0; c.tables && t < s->n_tables; t++) met_close(&c.tables[t]);
    mem_free(c.features);
    mem_free(c.tables);
    mem_free(c.missing);
    block_destroy(c.block);
    if (st != ST_OK) dataset_stats_close(out);
    return st;
}

void dataset_stats_close(struct dataset_stats *s)
{
    mem_free(s->tasks);
    mem_free(s->features);
    s->tasks = NULL;
    s->features = NULL;
}
