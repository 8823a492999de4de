#include "worker/hot_coverage.h"

#include <string.h>

#include "common/base/mem.h"
#include "data/dataset_keys.h"

enum { SCAN_ROWS = 4096 };

/* Keys have numbers: first those of loaded rows, then what the data adds. */
struct table_keys {
    struct key_set set;
    size_t n_loaded;
};

/* Numbers that a feature (or a table, over its features) has met. */
struct met {
    uint8_t *seen;
    size_t n;
};

struct covering {
    const struct hot_start *h;
    const struct session *s;
    struct transport *net;
    struct hot_coverage *out;
    struct table_keys *tables;  /* [n_tables] */
    struct met *by_feature, *by_table;
    uint64_t progress;
    size_t table; /* being read */
};

static enum status no_memory(struct error *err)
{
    return mem_error(err, "coverage of a hot start", 0);
}

static void tell(struct covering *c, uint64_t n)
{
    c->progress += n;
    if (c->net) transport_progress(c->net, c->progress);
}

/* ---- loaded keys ---- */

static enum status take_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    struct covering *c = arg;
    struct table_keys *t = &c->tables[c->table];
    const struct hot_plan *p = c->h->plan;
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->count[i] < p->settings->hot_start.rows.min_count ||
            rows->last_step[i] < p->targets[c->table].min_step)
            continue;
        if (key_set_add(&t->set, rows->keys[i]) == KEY_SET_FULL) return no_memory(err);
    }
    tell(c, rows->n);
    return ST_OK;
}

/* A plan of tables alone whose filters leave no row, and no id that waits for one. */
static enum status check_some(const struct covering *c, struct error *err)
{
    const struct hot_plan *p = c->h->plan;
    bool any = !p->n_loaded;
    for (size_t i = 0; i < p->n_tables; i++) any |= c->out->rows[i] > 0;
    for (size_t i = p->n_tables; i < p->n; i++) any |= p->targets[i].action == HOT_LOADED;
    for (size_t i = 0; p->n_loaded && i < ckpt_n_tables(c->h->ckpt); i++)
        any |= !ckpt_table(c->h->ckpt, i)->dim && ckpt_table_rows(c->h->ckpt, i);
    if (any) return ST_OK;
    error_set(err, ST_MISMATCH, "hot_start: no row of %s is loaded", p->path);
    return error_hint(err, ST_MISMATCH, "lower hot_start.rows.min_count, or raise "
                      "hot_start.rows.max_age and evict.unseen_days");
}

static enum status read_tables(struct covering *c, struct error *err)
{
    const struct range all = {0, N_BUCKETS};
    for (c->table = 0; c->table < c->out->n_tables; c->table++) {
        const struct hot_target *t = &c->h->plan->targets[c->table];
        struct table_keys *keys = &c->tables[c->table];
        if (t->action != HOT_LOADED) continue;
        TRY(ckpt_read_rows(c->h->ckpt, t->place, all, take_rows, c, err));
        keys->n_loaded = keys->set.n;
        c->out->rows[c->table] = keys->set.n;
    }
    return check_some(c, err);
}

/* ---- the data ---- */

static bool first_time(struct met *m, uint32_t number, bool *failed)
{
    if (number >= m->n) {
        size_t n = 2 * (size_t)number + 1024;
        uint8_t *more = mem_resize(m->seen, n, 1);
        if (!more) {
            *failed = true;
            return false;
        }
        memset(more + m->n, 0, n - m->n);
        m->seen = more;
        m->n = n;
    }
    bool first = !m->seen[number];
    m->seen[number] = 1;
    return first;
}

static bool count(struct hot_share *s, struct met *m, uint32_t number, bool found, uint64_t times)
{
    bool failed = false, first = first_time(m, number, &failed);
    s->distinct += first;
    s->distinct_found += first && found;
    s->lookups += times;
    s->lookups_found += found ? times : 0;
    return !failed;
}

/* What a feature looks up in one of its tables. */
static enum status take_lookups(struct covering *c, const struct batch *b,
                                const struct schema_feature *f, size_t table, struct error *err)
{
    struct table_keys *t = &c->tables[table];
    struct hot_share *share = &c->out->features[f->place];
    const struct batch_id *id = &b->ids[f->place];
    for (size_t u = 0; u < id->n_distinct; u++) {
        uint64_t times = id->t_off[u + 1] - id->t_off[u];
        uint32_t number = key_set_add(&t->set, b->tables[f->table].keys[id->row[u]]);
        if (number == KEY_SET_FULL) return no_memory(err);
        bool found = number < t->n_loaded;
        if (!count(&c->out->tables[table], &c->by_table[table], number, found, times) ||
            (share->table == table &&
             !count(share, &c->by_feature[f->place], number, found, times)))
            return no_memory(err);
    }
    return ST_OK;
}

static enum status take_feature(struct covering *c, const struct batch *b, size_t i,
                                struct error *err)
{
    const struct schema_feature *f = &c->s->schema->features[i];
    const struct model_tables *m = c->s->tables;
    if (f->kind != FEATURE_ID) return ST_OK;
    if (m->deep[i]) TRY(take_lookups(c, b, f, m->deep_table[f->table], err));
    return m->wide[i] ? take_lookups(c, b, f, m->wide_table[f->table], err) : ST_OK;
}

static enum status scan_rows(struct covering *c, struct scan *scan, struct error *err)
{
    const struct batch *b;
    for (;;) {
        TRY(scan_next(scan, &b, err));
        if (!b) return ST_OK;
        for (size_t i = 0; i < c->s->schema->n_features; i++) TRY(take_feature(c, b, i, err));
        tell(c, b->n_rows);
    }
}

static enum status read_data(struct covering *c, struct error *err)
{
    struct scan *scan;
    struct dataset *train = c->s->train;
    TRY(scan_open(train, c->s->fit, 0, dataset_rows(train), SCAN_ROWS, &scan, err));
    enum status st = scan_rows(c, scan, err);
    scan_close(scan);
    return st;
}

/* ---- the whole ---- */

static enum status create(const struct session *s, struct hot_coverage **out, struct error *err)
{
    const struct schema *schema = s->schema;
    struct hot_coverage *c = *out = mem_zeroed(1, sizeof *c);
    if (!c) return no_memory(err);
    c->n_features = schema->n_ids;
    c->n_tables = s->tables->n;
    c->features = mem_zeroed(c->n_features + 1, sizeof *c->features);
    c->tables = mem_zeroed(c->n_tables + 1, sizeof *c->tables);
    c->rows = mem_zeroed(c->n_tables + 1, sizeof *c->rows);
    if (!c->features || !c->tables || !c->rows) return no_memory(err);
    for (size_t i = 0; i < schema->n_features; i++) {
        const struct schema_feature *f = &schema->features[i];
        if (f->kind != FEATURE_ID) continue;
        c->features[f->place].name = f->name;
        c->features[f->place].table =
            s->tables->deep[i] ? s->tables->deep_table[f->table] : s->tables->wide_table[f->table];
    }
    for (size_t t = 0; t < c->n_tables; t++) c->tables[t].name = s->tables->name[t];
    return ST_OK;
}

static void close(struct covering *c)
{
    for (size_t t = 0; c->tables && t < c->out->n_tables; t++) key_set_close(&c->tables[t].set);
    for (size_t t = 0; c->by_table && t < c->out->n_tables; t++) mem_free(c->by_table[t].seen);
    for (size_t f = 0; c->by_feature && f < c->out->n_features; f++)
        mem_free(c->by_feature[f].seen);
    mem_free(c->tables);
    mem_free(c->by_table);
    mem_free(c->by_feature);
}

static enum status cover(struct covering *c, struct error *err)
{
    size_t tables = c->out->n_tables + 1, features = c->out->n_features + 1;
    c->tables = mem_zeroed(tables, sizeof *c->tables);
    c->by_table = mem_zeroed(tables, sizeof *c->by_table);
    c->by_feature = mem_zeroed(features, sizeof *c->by_feature);
    if (!c->tables || !c->by_table || !c->by_feature) return no_memory(err);
    TRY(read_tables(c, err));
    return read_data(c, err);
}

enum status hot_coverage_make(const struct hot_start *h, const struct session *s,
                              struct transport *net, struct hot_coverage **out, struct error *err)
{
    struct covering c = {.h = h, .s = s, .net = net};
    enum status st = create(s, &c.out, err);
    if (st == ST_OK) st = cover(&c, err);
    if (c.out) close(&c);
    if (st == ST_OK)
        *out = c.out;
    else
        hot_coverage_destroy(c.out);
    return st;
}

void hot_coverage_destroy(struct hot_coverage *c)
{
    if (!c) return;
    mem_free(c->features);
    mem_free(c->tables);
    mem_free(c->rows);
    mem_free(c);
}
