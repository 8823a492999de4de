#include <string.h>

#include "common/base/mem.h"
#include "data/dataset_impl.h"

/* Distinct codes without sorting or hashing: a bit per code of a dictionary and
 * a bit per word of bits. Walking the bits gives the codes in order, which is
 * the order of keys, and clears them for the next batch. The cost depends on the
 * batch, not on the dictionary.
 *
 *   occurrences --set--> bits, summary --walk--> codes, place[code] --look up--> idx */

/* LIST_AHEAD: values of a row's lists that are asked for before their number is known. */
enum { TILE = 16, CACHE_LINE = 64, LIST_AHEAD = 32 };

struct bit_set {
    uint64_t *bits, *summary;
    size_t n; /* codes */
};

struct builder {
    const struct schema *schema;
    const struct record *record;
    size_t max_rows, n_singles;
    struct bit_set *sets;    /* [n_tables] */
    uint32_t **place;        /* [n_tables][codes] place among the batch's keys */
    struct bit_set ranks;    /* of places, for features that share a table */
    uint32_t *feature_place; /* [max keys of a table] place in a feature's rows */
    uint32_t *identity;
    size_t max_keys;
    size_t *single_id;  /* [S'] id feature of each column of the store */
    size_t *multi_id;   /* [M] */
    size_t *n_features; /* [n_tables] id features of the table */
};

/* Memory of one id feature, the caller may write. */
struct id_memory {
    uint32_t *row, *off, *idx, *t_off, *t_row;
    size_t max; /* occurrences */
};

struct table_memory {
    uint64_t *keys;
    uint32_t *codes, *count;
};

struct batch_buffer {
    struct batch batch;
    const struct schema *schema;
    struct id_memory *id;       /* [n_ids] */
    struct table_memory *table; /* [n_tables] */
    struct batch_id *ids;
    struct batch_table *tables;
    uint32_t **one_hot;
    float *dense, *labels, *weights, *durations;
    uint64_t *group, *row;
};

/* ---- sets of bits ---- */

static bool bit_set_grow(struct bit_set *s, size_t n)
{
    if (n <= s->n) return true;
    size_t words = (n + 63) / 64, tops = (words + 63) / 64;
    uint64_t *bits = mem_zeroed(words, sizeof *bits);
    uint64_t *summary = mem_zeroed(tops, sizeof *summary);
    if (!bits || !summary) {
        mem_free(bits);
        mem_free(summary);
        return false;
    }
    mem_free(s->bits);
    mem_free(s->summary);
    *s = (struct bit_set){bits, summary, n};
    return true;
}

static void bit_set_close(struct bit_set *s)
{
    mem_free(s->bits);
    mem_free(s->summary);
}

static void bit_set_add(struct bit_set *s, const uint32_t *v, size_t n)
{
    uint64_t *bits = s->bits, *summary = s->summary;
    if (s->n <= 64) {
        uint64_t all = 0;
        for (size_t i = 0; i < n; i++) all |= UINT64_C(1) << v[i];
        bits[0] |= all;
        summary[0] |= n > 0;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        bits[v[i] >> 6] |= UINT64_C(1) << (v[i] & 63);
        summary[v[i] >> 12] |= UINT64_C(1) << (v[i] >> 6 & 63);
    }
}

/* Members in ascending order into out; place[member] = its number. The set is
 * empty afterwards. */
static size_t bit_set_take(struct bit_set *s, uint32_t *out, uint32_t *place)
{
    size_t n = 0, tops = ((s->n + 63) / 64 + 63) / 64;
    for (size_t t = 0; t < tops; t++) {
        for (uint64_t top = s->summary[t]; top; top &= top - 1) {
            size_t w = 64 * t + (size_t)__builtin_ctzll(top);
            for (uint64_t word = s->bits[w]; word; word &= word - 1) {
                uint32_t v = (uint32_t)(64 * w + (size_t)__builtin_ctzll(word));
                place[v] = (uint32_t)n;
                out[n++] = v;
            }
            s->bits[w] = 0;
        }
        s->summary[t] = 0;
    }
    return n;
}

/* ---- making ---- */

static void *take(size_t n, size_t size, bool *ok)
{
    void *p = mem_zeroed(n, size);
    if (!p) *ok = false;
    return p;
}

/* Occurrences of one id feature in a batch, at most. */
static size_t max_occurrences(const struct dataset *d, size_t id, size_t rows)
{
    size_t n = rows * dataset_max_per_row(d, id);
    uint64_t all = block_file_values(d->file->rows_file, BLOCK_CODES) +
                   block_file_values(d->file->rows_file, BLOCK_KEYS);
    bool multi = d->schema->features[d->schema->plan->ids[id]].multi;
    return multi && all < n ? (size_t)all : n;
}

static size_t max_table_keys(const struct dataset *d, size_t table, size_t rows)
{
    const struct schema *s = d->schema;
    size_t n = 0;
    for (size_t i = 0; i < s->n_ids; i++)
        if (s->features[s->plan->ids[i]].table == table) n += max_occurrences(d, i, rows);
    return !d->file->keyed[table] && d->file->n_keys[table] < n ? d->file->n_keys[table]
                                                                : n;
}

static bool builder_table(struct builder *b, const struct dataset *d, size_t t)
{
    bool ok = true;
    size_t most = max_table_keys(d, t, b->max_rows);
    if (most > b->max_keys) b->max_keys = most;
    if (d->file->keyed[t]) return true; /* grows with the rows' own dictionary */
    b->place[t] = take(d->file->n_keys[t], sizeof **b->place, &ok);
    return ok && bit_set_grow(&b->sets[t], d->file->n_keys[t] + 1);
}

static bool builder_fill(struct builder *b, const struct dataset *d)
{
    const struct schema *s = b->schema;
    bool ok = true;
    b->sets = take(s->n_tables, sizeof *b->sets, &ok);
    b->place = take(s->n_tables, sizeof *b->place, &ok);
    b->single_id = take(s->n_ids, sizeof *b->single_id, &ok);
    b->multi_id = take(s->n_ids, sizeof *b->multi_id, &ok);
    b->n_features = take(s->n_tables, sizeof *b->n_features, &ok);
    size_t n_multi = 0;
    for (size_t i = 0; ok && i < s->n_ids; i++) {
        const struct schema_feature *f = &s->features[s->plan->ids[i]];
        b->n_features[f->table]++;
        if (f->multi)
            b->multi_id[n_multi++] = i;
        else
            b->single_id[b->n_singles++] = i;
    }
    for (size_t t = 0; ok && t < s->n_tables; t++) ok = builder_table(b, d, t);
    if (!ok) return false;
    b->feature_place = take(b->max_keys, sizeof *b->feature_place, &ok);
    b->identity = take(b->max_keys, sizeof *b->identity, &ok);
    for (size_t i = 0; ok && i < b->max_keys; i++) b->identity[i] = (uint32_t)i;
    return ok && bit_set_grow(&b->ranks, b->max_keys + 1);
}

enum status builder_create(const struct loading *l, size_t max_rows, struct builder **out,
                           struct error *err)
{
    const struct dataset *d = loading_dataset(l);
    struct builder *b = mem_zeroed(1, sizeof *b);
    if (!b) return mem_error(err, "batch builder", sizeof *b);
    b->schema = d->schema;
    b->record = loading_record(l);
    b->max_rows = max_rows;
    if (!builder_fill(b, d)) {
        builder_destroy(b);
        return mem_error(err, "batch builder", max_rows * sizeof(uint32_t));
    }
    *out = b;
    return ST_OK;
}

void builder_destroy(struct builder *b)
{
    if (!b) return;
    for (size_t t = 0; t < b->schema->n_tables; t++) {
        if (b->sets) bit_set_close(&b->sets[t]);
        if (b->place) mem_free(b->place[t]);
    }
    bit_set_close(&b->ranks);
    void *blocks[] = {b->sets,      b->place,    b->feature_place, b->identity,
                      b->single_id, b->multi_id, b->n_features};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) mem_free(blocks[i]);
    mem_free(b);
}

static bool buffer_id(struct batch_buffer *b, const struct dataset *d, size_t i,
                      size_t rows)
{
    bool ok = true;
    struct id_memory *m = &b->id[i];
    const struct schema_feature *f = &b->schema->features[b->schema->plan->ids[i]];
    size_t distinct = m->max = max_occurrences(d, i, rows);
    if (!d->file->keyed[f->table] && d->file->n_keys[f->table] < distinct)
        distinct = d->file->n_keys[f->table];
    m->row = take(distinct, sizeof *m->row, &ok);
    m->off = take(f->multi ? rows + 1 : 0, sizeof *m->off, &ok);
    m->idx = take(m->max, sizeof *m->idx, &ok);
    m->t_off = take(distinct + 2, sizeof *m->t_off, &ok);
    m->t_row = take(m->max, sizeof *m->t_row, &ok);
    return ok;
}

static bool buffer_fill(struct batch_buffer *b, const struct dataset *d, size_t rows)
{
    const struct schema *s = b->schema;
    size_t tasks = s->settings->n_tasks;
    bool ok = true;
    b->id = take(s->n_ids, sizeof *b->id, &ok);
    b->table = take(s->n_tables, sizeof *b->table, &ok);
    b->ids = take(s->n_ids, sizeof *b->ids, &ok);
    b->tables = take(s->n_tables, sizeof *b->tables, &ok);
    b->one_hot = take(s->n_one_hot, sizeof *b->one_hot, &ok);
    b->dense = take(rows * s->n_dense, sizeof *b->dense, &ok);
    b->labels = take(rows * tasks, sizeof *b->labels, &ok);
    b->weights = take(rows * tasks, sizeof *b->weights, &ok);
    if (s->plan->durations) b->durations = take(rows * tasks, sizeof *b->durations, &ok);
    b->row = take(rows, sizeof *b->row, &ok);
    if (s->plan->group != SIZE_MAX) b->group = take(rows, sizeof *b->group, &ok);
    for (size_t i = 0; ok && i < rows * tasks; i++) b->weights[i] = 1;
    for (size_t i = 0; ok && i < s->n_ids; i++) ok = buffer_id(b, d, i, rows);
    for (size_t i = 0; ok && i < s->n_one_hot; i++)
        b->one_hot[i] = take(rows, sizeof **b->one_hot, &ok);
    for (size_t t = 0; ok && t < s->n_tables; t++) {
        size_t n = max_table_keys(d, t, rows);
        b->table[t].keys = take(n, sizeof *b->table[t].keys, &ok);
        b->table[t].codes = take(n, sizeof *b->table[t].codes, &ok);
        b->table[t].count = take(n, sizeof *b->table[t].count, &ok);
    }
    return ok;
}

enum status batch_buffer_create(const struct loading *l, size_t max_rows,
                                struct batch_buffer **out, struct error *err)
{
    const struct dataset *d = loading_dataset(l);
    struct batch_buffer *b = mem_zeroed(1, sizeof *b);
    if (!b) return mem_error(err, "batch", sizeof *b);
    const struct schema *s = b->schema = d->schema;
    if (!buffer_fill(b, d, max_rows)) {
        batch_buffer_destroy(b);
        return mem_error(err, "batch", max_rows * sizeof(uint32_t));
    }
    b->batch = (struct batch){.n_tables = s->n_tables,
                              .n_ids = s->n_ids,
                              .n_one_hot = s->n_one_hot,
                              .n_dense = s->n_dense,
                              .n_tasks = s->settings->n_tasks,
                              .tables = b->tables,
                              .ids = b->ids,
                              .one_hot = (const uint32_t *const *)b->one_hot,
                              .dense = b->dense,
                              .labels = b->labels,
                              .weights = b->weights,
                              .durations = b->durations,
                              .group = b->group,
                              .row = b->row};
    *out = b;
    return ST_OK;
}

void batch_buffer_step(struct batch_buffer *b, uint64_t step)
{
    b->batch.step = step;
}

void batch_buffer_destroy(struct batch_buffer *b)
{
    if (!b) return;
    for (size_t i = 0; b->id && i < b->schema->n_ids; i++) {
        struct id_memory *m = &b->id[i];
        mem_free(m->row);
        mem_free(m->off);
        mem_free(m->idx);
        mem_free(m->t_off);
        mem_free(m->t_row);
    }
    for (size_t t = 0; b->table && t < b->schema->n_tables; t++) {
        mem_free(b->table[t].keys);
        mem_free(b->table[t].codes);
        mem_free(b->table[t].count);
    }
    for (size_t i = 0; b->one_hot && i < b->schema->n_one_hot; i++)
        mem_free(b->one_hot[i]);
    void *blocks[] = {b->id,        b->table, b->ids,    b->tables,
                      b->one_hot,   b->dense, b->labels, b->weights,
                      b->durations, b->group, b->row};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) mem_free(blocks[i]);
    mem_free(b);
}

/* ---- gathering ---- */

/* Rows of a batch lie anywhere in the store. They are gathered some at a time;
 * memory is asked for some tiles ahead. */

static const uint32_t *record_of(const struct store *s, const struct record *r, size_t i)
{
    return s->words + (s->start ? s->start[i] : i * r->values);
}

static void prefetch_tile(const struct store *s, const struct record *r,
                          const uint32_t *order, size_t first, size_t n)
{
    for (size_t i = first; i < first + TILE && i < n; i++) {
        const char *from = (const char *)record_of(s, r, order[i]);
        size_t bytes = (r->values + (s->start ? LIST_AHEAD : 0)) * sizeof(uint32_t);
        for (size_t at = 0; at < bytes; at += CACHE_LINE) PREFETCH(from + at);
        PREFETCH(from + bytes - 1);
    }
    if (!s->start) return;
    for (size_t i = first + TILE; i < first + 2 * TILE && i < n; i++)
        PREFETCH(s->start + order[i]);
}

/* Codes of single-valued features, from rows to columns. */
static void gather_singles(const struct builder *b, const uint32_t *const *from,
                           size_t first, size_t rows, struct batch_buffer *to)
{
    for (size_t k = 0; k < b->n_singles; k++) {
        uint32_t *column = to->id[b->single_id[k]].idx + first;
        for (size_t r = 0; r < rows; r++) column[r] = from[r][k];
    }
}

static void gather_lists(const struct builder *b, const uint32_t *from, size_t r,
                         struct batch_buffer *to)
{
    const uint32_t *lengths = from + b->record->lengths, *v = from + b->record->values;
    for (size_t m = 0; m < b->schema->plan->n_multi; m++) {
        struct id_memory *f = &to->id[b->multi_id[m]];
        uint32_t at = f->off[r], n = lengths[m];
        uint32_t *idx = f->idx + at;
        for (size_t j = 0; j < n; j++) idx[j] = v[j];
        f->off[r + 1] = at + n;
        v += n;
    }
}

static void gather_rest(const struct builder *b, const uint32_t *from, size_t r,
                        struct batch_buffer *to)
{
    const struct schema *schema = b->schema;
    const struct record *w = b->record;
    size_t tasks = schema->settings->n_tasks, dense = schema->n_dense;
    memcpy(to->labels + r * tasks, from + w->labels, tasks * sizeof(float));
    if (w->has_weights)
        memcpy(to->weights + r * tasks, from + w->weights, tasks * sizeof(float));
    if (w->has_durations)
        memcpy(to->durations + r * tasks, from + w->durations, tasks * sizeof(float));
    memcpy(to->dense + r * dense, from + w->dense, dense * sizeof(float));
    for (size_t k = 0; k < schema->n_one_hot; k++)
        to->one_hot[k][r] = from[w->levels + k];
    if (w->has_group) memcpy(to->group + r, from + w->group, sizeof(uint64_t));
    to->row[r] = from[w->row];
}

static void gather(const struct builder *b, const struct store *s, const uint32_t *order,
                   size_t n, struct batch_buffer *to)
{
    size_t n_multi = b->schema->plan->n_multi;
    const uint32_t *from[TILE];
    for (size_t m = 0; m < n_multi; m++) to->id[b->multi_id[m]].off[0] = 0;
    prefetch_tile(s, b->record, order, 0, n);
    prefetch_tile(s, b->record, order, TILE, n);
    for (size_t first = 0; first < n; first += TILE) {
        size_t rows = n - first < TILE ? n - first : TILE;
        prefetch_tile(s, b->record, order, first + 2 * TILE, n);
        for (size_t r = 0; r < rows; r++)
            from[r] = record_of(s, b->record, order[first + r]);
        gather_singles(b, from, first, rows, to);
        for (size_t r = 0; r < rows; r++) {
            if (n_multi) gather_lists(b, from[r], first + r, to);
            gather_rest(b, from[r], first + r, to);
        }
    }
}

/* ---- values of other rows ---- */

static size_t index_of(const size_t *v, size_t id)
{
    size_t i = 0;
    while (v[i] != id) i++;
    return i;
}

static void exchange_list(const struct builder *b, const struct store *s, size_t id,
                          const uint32_t *donor, size_t n, struct batch_buffer *to)
{
    size_t m = index_of(b->multi_id, id);
    struct id_memory *f = &to->id[id];
    for (size_t r = 0; r < n; r++) {
        const uint32_t *from = record_of(s, b->record, donor[r]);
        const uint32_t *lengths = from + b->record->lengths;
        const uint32_t *v = from + b->record->values;
        for (size_t i = 0; i < m; i++) v += lengths[i];
        for (size_t j = 0; j < lengths[m]; j++) f->idx[f->off[r] + j] = v[j];
        f->off[r + 1] = f->off[r] + lengths[m];
    }
}

/* A feature's values from rows donor[] instead of the batch's own. */
static void exchange(const struct builder *b, const struct store *s, size_t feature,
                     const uint32_t *donor, size_t n, struct batch_buffer *to)
{
    const struct schema_feature *f = &b->schema->features[feature];
    const struct record *w = b->record;
    if (f->kind == FEATURE_ID && f->multi) {
        exchange_list(b, s, f->place, donor, n, to);
        return;
    }
    size_t single = f->kind == FEATURE_ID ? index_of(b->single_id, f->place) : 0;
    for (size_t r = 0; r < n; r++) {
        const uint32_t *from = record_of(s, w, donor[r]);
        if (f->kind == FEATURE_ID)
            to->id[f->place].idx[r] = from[single];
        else if (f->kind == FEATURE_ONE_HOT)
            to->one_hot[f->place][r] = from[w->levels + f->place];
        else
            memcpy(to->dense + r * b->schema->n_dense + f->place,
                   from + w->dense + f->place, f->width * sizeof(float));
    }
}

/* ---- distinct ids ---- */

static size_t occurrences(const struct builder *b, const struct batch_buffer *to,
                          size_t id, size_t rows)
{
    bool multi = b->schema->features[b->schema->plan->ids[id]].multi;
    return multi ? to->id[id].off[rows] : rows;
}

/* idx[] holds places; t_off[] and t_row[] follow from it. n_distinct places. */
static void transpose(struct id_memory *m, bool multi, size_t rows, size_t n,
                      size_t n_distinct)
{
    uint32_t *end = m->t_off + 1; /* end[u]: where the next occurrence of u goes */
    const uint32_t *idx = m->idx;
    memset(m->t_off, 0, (n_distinct + 2) * sizeof *m->t_off);
    for (size_t i = 0; i < n; i++) end[idx[i] + 1]++;
    for (size_t u = 1; u <= n_distinct; u++) end[u] += end[u - 1];
    if (!multi) {
        for (size_t r = 0; r < n; r++) m->t_row[end[idx[r]]++] = (uint32_t)r;
        return;
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t i = m->off[r]; i < m->off[r + 1]; i++)
            m->t_row[end[idx[i]]++] = (uint32_t)r;
}

static void set_id(struct batch_buffer *to, size_t id, const uint32_t *row,
                   size_t n_distinct, size_t n)
{
    const struct id_memory *m = &to->id[id];
    bool multi = to->schema->features[to->schema->plan->ids[id]].multi;
    to->ids[id] = (struct batch_id){.n_distinct = n_distinct,
                                    .row = row,
                                    .n = n,
                                    .off = multi ? m->off : NULL,
                                    .idx = m->idx,
                                    .t_off = m->t_off,
                                    .t_row = m->t_row};
}

/* The only feature of its table: its rows are the table's keys. */
static void index_alone(struct builder *b, struct batch_buffer *to, size_t id,
                        size_t rows, const uint32_t *place, size_t n_keys,
                        struct table_memory *table)
{
    struct id_memory *m = &to->id[id];
    bool multi = b->schema->features[b->schema->plan->ids[id]].multi;
    size_t n = occurrences(b, to, id, rows);
    for (size_t i = 0; i < n; i++) m->idx[i] = place[m->idx[i]];
    transpose(m, multi, rows, n, n_keys);
    for (size_t u = 0; u < n_keys; u++) table->count[u] = m->t_off[u + 1] - m->t_off[u];
    set_id(to, id, b->identity, n_keys, n);
}

/* One of several: its rows are some of the table's keys. */
static void index_shared(struct builder *b, struct batch_buffer *to, size_t id,
                         size_t rows, const uint32_t *place, struct table_memory *table)
{
    struct id_memory *m = &to->id[id];
    bool multi = b->schema->features[b->schema->plan->ids[id]].multi;
    size_t n = occurrences(b, to, id, rows);
    for (size_t i = 0; i < n; i++) m->idx[i] = place[m->idx[i]];
    bit_set_add(&b->ranks, m->idx, n);
    size_t n_distinct = bit_set_take(&b->ranks, m->row, b->feature_place);
    for (size_t i = 0; i < n; i++) m->idx[i] = b->feature_place[m->idx[i]];
    transpose(m, multi, rows, n, n_distinct);
    for (size_t u = 0; u < n_distinct; u++)
        table->count[m->row[u]] += m->t_off[u + 1] - m->t_off[u];
    set_id(to, id, m->row, n_distinct, n);
}

/* Tables without a dictionary in the file: the rows' own one sets the size. */
static bool fit_table(struct builder *b, const struct store *s, size_t t)
{
    size_t n = s->n_keys[t];
    if (n < b->sets[t].n) return true;
    size_t more = n + n / 4 + 64;
    uint32_t *place = mem_array(more, sizeof *place);
    if (!place || !bit_set_grow(&b->sets[t], more)) {
        mem_free(place);
        return false;
    }
    mem_free(b->place[t]);
    b->place[t] = place;
    return true;
}

static void build_table(struct builder *b, const struct store *s, size_t t, size_t rows,
                        struct batch_buffer *to)
{
    const struct schema *schema = b->schema;
    struct table_memory *m = &to->table[t];
    for (size_t i = 0; i < schema->n_ids; i++)
        if (schema->features[schema->plan->ids[i]].table == t)
            bit_set_add(&b->sets[t], to->id[i].idx, occurrences(b, to, i, rows));
    size_t n = bit_set_take(&b->sets[t], m->codes, b->place[t]);
    for (size_t u = 0; u < n; u++) m->keys[u] = s->keys[t][m->codes[u]];
    bool alone = b->n_features[t] == 1;
    if (!alone) memset(m->count, 0, n * sizeof *m->count);
    for (size_t i = 0; i < schema->n_ids; i++) {
        if (schema->features[schema->plan->ids[i]].table != t) continue;
        if (alone)
            index_alone(b, to, i, rows, b->place[t], n, m);
        else
            index_shared(b, to, i, rows, b->place[t], m);
    }
    to->tables[t] = (struct batch_table){n, m->keys, m->codes, m->count};
}

enum status builder_build(struct builder *b, const struct store *s, const uint32_t *order,
                          size_t n, struct batch_buffer *to, const struct batch **out,
                          struct error *err)
{
    return builder_build_exchanged(b, s, order, NULL, n, NULL, 0, to, out, err);
}

enum status builder_build_exchanged(struct builder *b, const struct store *s,
                                    const uint32_t *order, const uint32_t *donor,
                                    size_t n, const size_t *features, size_t n_features,
                                    struct batch_buffer *to, const struct batch **out,
                                    struct error *err)
{
    gather(b, s, order, n, to);
    for (size_t i = 0; i < n_features; i++) exchange(b, s, features[i], donor, n, to);
    for (size_t t = 0; t < b->schema->n_tables; t++) {
        if (!fit_table(b, s, t)) return mem_error(err, "batch builder", s->n_keys[t] * 4);
        build_table(b, s, t, n, to);
    }
    to->batch.n_rows = n;
    *out = &to->batch;
    return ST_OK;
}
