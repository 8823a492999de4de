#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/mem.h"
#include "data/dataset_impl.h"
#include "data/fit_impl.h"

enum { LARGE_PAGE = 2 << 20 };

/* Where a single-valued id comes from. */
enum single_from { SINGLE_CODE, SINGLE_KEY, SINGLE_BUCKET };
struct single {
    enum single_from from;
    size_t at, table;
    const float *borders;
    size_t n_borders;
    uint64_t *bucket; /* [n_borders + 2] code or key of each bucket, then of missing */
};

struct list {
    size_t table;
    bool keyed;
};

struct loading {
    const struct dataset *dataset;
    const struct fit *fit;
    struct block_shape shape; /* columns that stores read */
    struct single *singles;   /* [n_singles] in config order */
    size_t n_singles;
    struct list *lists; /* [M] */
    struct record record;
    uint32_t **level; /* [O][n_levels of the dictionary] level or ONE_HOT_NONE */
    bool plain;       /* ids are id/codes as they stand */
};

/* ---- what depends on the fit and the dictionaries ---- */

static enum status map_buckets(const struct loading *l, struct single *s, size_t feature,
                               struct error *err)
{
    const struct prepared *file = l->dataset->file;
    size_t n = l->dataset->schema->features[feature].cfg->bucketize;
    s->borders = l->fit->borders[feature];
    s->n_borders = n - 1;
    s->bucket = mem_array(n + 1, sizeof *s->bucket);
    if (!s->bucket) return mem_error(err, "buckets", n * sizeof *s->bucket);
    for (size_t b = 0; b <= n; b++) {
        uint64_t key = b < n ? feature_bucket_key(b) : feature_missing_key();
        s->bucket[b] = key;
        if (file->keyed[s->table]) continue;
        s->bucket[b] = keys_find(file->keys[s->table], file->n_keys[s->table], key);
        if (s->bucket[b] == SIZE_MAX)
            return error_set(err, ST_NOINPUT,
                             "prepared data: a bucket of feature %s is missing",
                             l->dataset->schema->features[feature].name);
    }
    return ST_OK;
}

static enum status map_singles(struct loading *l, struct error *err)
{
    const struct schema *s = l->dataset->schema;
    const struct prepared *file = l->dataset->file;
    l->plain = true;
    for (size_t i = 0; i < s->n_ids; i++) {
        size_t f = s->plan->ids[i];
        const struct feature_plan *p = &s->plan->features[f];
        if (p->store == STORE_MULTI) continue;
        struct single *to = &l->singles[l->n_singles++];
        to->table = s->features[f].table;
        if (p->store == STORE_NUMBER) {
            to->from = SINGLE_BUCKET;
            to->at = p->at;
            TRY(map_buckets(l, to, f, err));
        } else {
            to->from = file->keyed[to->table] ? SINGLE_KEY : SINGLE_CODE;
            to->at = file->place[f];
        }
        if (to->from != SINGLE_CODE) l->plain = false;
    }
    return ST_OK;
}

static enum status map_levels(struct loading *l, struct error *err)
{
    const struct schema *s = l->dataset->schema;
    const struct prepared *file = l->dataset->file;
    for (size_t i = 0; i < s->n_one_hot; i++) {
        l->level[i] = mem_array(file->n_levels[i], sizeof **l->level);
        if (!l->level[i]) return mem_error(err, "levels", file->n_levels[i] * 4);
        for (size_t c = 0; c < file->n_levels[i]; c++) l->level[i][c] = ONE_HOT_NONE;
        for (size_t k = 0; k < l->fit->n_levels[i]; k++) {
            size_t c =
                keys_find(file->levels[i], file->n_levels[i], l->fit->levels[i][k]);
            if (c != SIZE_MAX) l->level[i][c] = (uint32_t)k;
        }
    }
    return ST_OK;
}

static void lay_out(struct loading *l)
{
    const struct schema *s = l->dataset->schema;
    struct record *r = &l->record;
    size_t tasks = s->settings->n_tasks;
    r->has_weights = l->shape.width[COL_WEIGHTS] > 0;
    r->has_durations = l->shape.width[COL_DURATIONS] > 0;
    r->has_group = l->shape.width[COL_GROUP] > 0;
    r->lengths = l->n_singles;
    r->levels = r->lengths + s->plan->n_multi;
    r->dense = r->levels + s->n_one_hot;
    r->labels = r->dense + s->n_dense;
    r->weights = r->labels + tasks;
    r->durations = r->weights + (r->has_weights ? tasks : 0);
    r->group = r->durations + (r->has_durations ? tasks : 0);
    r->row = r->group + (r->has_group ? 2 : 0);
    r->values = r->row + 1;
}

static enum status fill(struct loading *l, struct error *err)
{
    const struct schema *s = l->dataset->schema;
    l->shape = l->dataset->file->shape;
    l->shape.width[COL_SIDE] = 0;
    l->shape.width[COL_AUX_TEXT] = 0;
    l->shape.width[COL_AUX_NUMBER] = 0;
    l->singles = mem_zeroed(s->n_ids, sizeof *l->singles);
    l->lists = mem_zeroed(s->plan->n_multi, sizeof *l->lists);
    l->level = mem_zeroed(s->n_one_hot, sizeof *l->level);
    if (!l->singles || !l->lists || !l->level)
        return mem_error(err, "data set", s->n_ids * sizeof *l->singles);
    for (size_t m = 0; m < s->plan->n_multi; m++) {
        l->lists[m].table = s->features[s->plan->multi[m]].table;
        l->lists[m].keyed = l->dataset->file->keyed[l->lists[m].table];
    }
    TRY(map_singles(l, err));
    lay_out(l);
    return map_levels(l, err);
}

enum status loading_create(const struct dataset *d, const struct fit *fit,
                           struct loading **out, struct error *err)
{
    struct loading *l = mem_zeroed(1, sizeof *l);
    if (!l) return mem_error(err, "data set", sizeof *l);
    l->dataset = d;
    l->fit = fit;
    enum status st = fill(l, err);
    if (st == ST_OK)
        *out = l;
    else
        loading_destroy(l);
    return st;
}

void loading_destroy(struct loading *l)
{
    if (!l) return;
    for (size_t i = 0; l->singles && i < l->n_singles; i++)
        mem_free(l->singles[i].bucket);
    for (size_t i = 0; l->level && i < l->dataset->schema->n_one_hot; i++)
        mem_free(l->level[i]);
    mem_free(l->singles);
    mem_free(l->lists);
    mem_free(l->level);
    mem_free(l);
}

enum status loading_block(const struct loading *l, struct block **out, struct error *err)
{
    return block_create(&l->shape, out, err);
}

size_t loading_n_singles(const struct loading *l)
{
    return l->n_singles;
}

const struct record *loading_record(const struct loading *l)
{
    return &l->record;
}

const struct dataset *loading_dataset(const struct loading *l)
{
    return l->dataset;
}

/* ---- stores ---- */

static void *take(size_t n, size_t size, bool *ok)
{
    void *p = mem_array(n, size);
    if (!p) *ok = false;
    return p;
}

static double values_per_row(const struct prepared *f)
{
    uint64_t values = block_file_values(f->rows_file, BLOCK_CODES) +
                      block_file_values(f->rows_file, BLOCK_KEYS);
    return f->rows ? (double)values / (double)f->rows : 0;
}

/* Rows are met in any order: fewer and larger pages are found faster. */
static void use_large_pages(void *block, size_t bytes)
{
    size_t first = ((size_t)block + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    size_t end = ((size_t)block + bytes) / LARGE_PAGE * LARGE_PAGE;
    if (first < end)
        madvise((char *)block + (first - (size_t)block), end - first, MADV_HUGEPAGE);
}

/* Room for n more words. The first guess: as many values a row as the file has
 * on average, and a little. */
static bool reserve_words(struct store *s, size_t n)
{
    if (s->n_words + n <= s->max_words) return true;
    double values = values_per_row(s->file) * 1.05;
    size_t guess =
        (size_t)((double)s->max * ((double)s->loading->record.values + values)) + 1024;
    size_t max = s->max_words ? s->n_words + n + s->max_words / 8 : n + guess;
    uint32_t *words = mem_array(max, sizeof *words);
    if (!words) return false;
    use_large_pages(words, max * sizeof *words);
    if (s->n_words) memcpy(words, s->words, s->n_words * sizeof *words);
    mem_free(s->words);
    s->words = words;
    s->max_words = max;
    return true;
}

static bool allocate(struct store *s, size_t max_rows)
{
    const struct schema *schema = s->file->schema;
    bool ok = true;
    s->max = max_rows;
    if (schema->plan->n_multi) s->start = take(max_rows, sizeof *s->start, &ok);
    s->keys = take(schema->n_tables, sizeof *s->keys, &ok);
    s->n_keys = take(schema->n_tables, sizeof *s->n_keys, &ok);
    s->own = mem_zeroed(schema->n_tables, sizeof *s->own);
    s->own_keys = mem_zeroed(schema->n_tables, sizeof *s->own_keys);
    return ok && s->own && s->own_keys && reserve_words(s, 0);
}

enum status store_create(const struct loading *l, size_t max_rows, struct store **out,
                         struct error *err)
{
    struct store *s = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "rows in memory", sizeof *s);
    s->loading = l;
    s->file = l->dataset->file;
    if (!allocate(s, max_rows)) {
        store_destroy(s);
        return mem_error(err, "rows in memory",
                         max_rows * l->record.values * sizeof(uint32_t));
    }
    for (size_t t = 0; t < s->file->schema->n_tables; t++) {
        s->keys[t] = s->file->keys[t];
        s->n_keys[t] = s->file->n_keys[t];
    }
    *out = s;
    return ST_OK;
}

void store_destroy(struct store *s)
{
    if (!s) return;
    for (size_t t = 0; s->own && t < s->file->schema->n_tables; t++)
        key_set_close(&s->own[t]);
    for (size_t t = 0; s->own_keys && t < s->file->schema->n_tables; t++)
        mem_free(s->own_keys[t]);
    mem_free(s->words);
    mem_free(s->start);
    mem_free(s->keys);
    mem_free(s->n_keys);
    mem_free(s->own);
    mem_free(s->own_keys);
    mem_free(s);
}

void store_clear(struct store *s)
{
    s->n = 0;
    s->n_words = 0;
    for (size_t t = 0; t < s->file->schema->n_tables; t++) key_set_clear(&s->own[t]);
}

/* ---- loading a block ---- */

struct cursor {
    struct store *s;
    const struct block *b;
    size_t codes_at, keys_at; /* in the block's values */
    bool bad;                 /* a code beyond its dictionary */
};

static uint32_t own_code(struct cursor *c, size_t table, uint64_t key)
{
    uint32_t code = key_set_add(&c->s->own[table], key);
    if (code == KEY_SET_FULL) c->bad = true;
    return code;
}

static uint32_t bucket_code(struct cursor *c, const struct single *from, float v)
{
    size_t b =
        isnan(v) ? from->n_borders + 1 : fit_bucket(from->borders, from->n_borders, v);
    uint64_t id = from->bucket[b];
    return c->s->file->keyed[from->table] ? own_code(c, from->table, id) : (uint32_t)id;
}

static void load_singles(struct cursor *c, size_t i, uint32_t *to)
{
    const struct loading *l = c->s->loading;
    const uint32_t *codes = block_u32(c->b, COL_CODES) + i * l->shape.width[COL_CODES];
    if (l->plain) {
        unsigned bad = 0;
        for (size_t k = 0; k < l->n_singles; k++) {
            to[k] = codes[k];
            bad |= codes[k] >= c->s->n_keys[l->singles[k].table];
        }
        c->bad |= bad;
        return;
    }
    const uint64_t *keys = block_u64(c->b, COL_KEYS) + i * l->shape.width[COL_KEYS];
    const float *numbers = block_f32(c->b, COL_NUMBERS) + i * l->shape.width[COL_NUMBERS];
    for (size_t k = 0; k < l->n_singles; k++) {
        const struct single *from = &l->singles[k];
        if (from->from == SINGLE_CODE) {
            to[k] = codes[from->at];
            c->bad |= to[k] >= c->s->n_keys[from->table];
        } else if (from->from == SINGLE_KEY)
            to[k] = own_code(c, from->table, keys[from->at]);
        else
            to[k] = bucket_code(c, from, numbers[from->at]);
    }
}

static size_t row_values(const struct loading *l, const uint32_t *lengths, size_t *keyed)
{
    size_t n = 0;
    *keyed = 0;
    for (size_t m = 0; m < l->dataset->schema->plan->n_multi; m++) {
        n += lengths[m];
        if (l->lists[m].keyed) *keyed += lengths[m];
    }
    return n;
}

static void load_lists(struct cursor *c, const uint32_t *lengths, uint32_t *to)
{
    const struct loading *l = c->s->loading;
    size_t n_multi = l->dataset->schema->plan->n_multi;
    uint32_t *v = to + l->record.values;
    const uint32_t *codes = c->b->values[BLOCK_CODES].v;
    const uint64_t *keys = c->b->values[BLOCK_KEYS].v;
    for (size_t m = 0; m < n_multi; m++) {
        size_t table = l->lists[m].table;
        to[l->record.lengths + m] = lengths[m];
        c->bad |= lengths[m] > c->s->file->max_length[m];
        for (size_t j = 0; j < lengths[m]; j++, v++) {
            if (l->lists[m].keyed) {
                *v = own_code(c, table, keys[c->keys_at++]);
            } else {
                *v = codes[c->codes_at++];
                c->bad |= *v >= c->s->n_keys[table];
            }
        }
    }
}

static void load_levels(struct cursor *c, size_t i, uint32_t *to)
{
    const struct prepared *file = c->s->file;
    size_t n = file->schema->n_one_hot;
    const uint32_t *from = block_u32(c->b, COL_ONE_HOT) + i * n;
    for (size_t k = 0; k < n; k++)
        to[k] =
            from[k] < file->n_levels[k] ? c->s->loading->level[k][from[k]] : ONE_HOT_NONE;
}

static void load_numbers(struct cursor *c, size_t i, uint32_t *to)
{
    const struct schema *schema = c->s->file->schema;
    const float *from = block_f32(c->b, COL_NUMBERS) + i * schema->plan->n_number;
    for (size_t k = 0; k < schema->n_dense; k++) {
        float v = fit_transform(&c->s->loading->fit->columns[k], from[k]);
        memcpy(to + k, &v, sizeof v);
    }
}

static void load_rest(struct cursor *c, size_t i, uint64_t row, uint32_t *to)
{
    const struct record *r = &c->s->loading->record;
    const struct settings *settings = c->s->file->schema->settings;
    size_t tasks = settings->n_tasks;
    const float *labels = block_f32(c->b, COL_LABELS) + i * tasks;
    for (size_t k = 0; k < tasks; k++) {
        float y = funnel_label(settings, labels, k);
        memcpy(to + r->labels + k, &y, sizeof y);
    }
    if (r->has_weights)
        memcpy(to + r->weights, block_f32(c->b, COL_WEIGHTS) + i * tasks,
               tasks * sizeof(float));
    if (r->has_durations)
        memcpy(to + r->durations, block_f32(c->b, COL_DURATIONS) + i * tasks,
               tasks * sizeof(float));
    if (r->has_group)
        memcpy(to + r->group, block_u64(c->b, COL_GROUP) + i, sizeof(uint64_t));
    to[r->row] = (uint32_t)row;
}

/* Row i of the block; without `load` only past its values. */
static bool load_row(struct cursor *c, size_t i, uint64_t row, bool load)
{
    struct store *s = c->s;
    const struct loading *l = s->loading;
    size_t n_multi = l->dataset->schema->plan->n_multi, keyed = 0, n = 0;
    const uint32_t *lengths = block_u32(c->b, COL_LENGTHS) + i * n_multi;
    if (n_multi) n = row_values(l, lengths, &keyed);
    c->bad |= c->codes_at + n - keyed > c->b->values[BLOCK_CODES].n ||
              c->keys_at + keyed > c->b->values[BLOCK_KEYS].n;
    if (c->bad) return true;
    if (!load) {
        c->codes_at += n - keyed;
        c->keys_at += keyed;
        return true;
    }
    if (!reserve_words(s, l->record.values + n)) return false;
    uint32_t *to = s->words + s->n_words;
    load_singles(c, i, to);
    if (n_multi) load_lists(c, lengths, to);
    load_levels(c, i, to + l->record.levels);
    load_numbers(c, i, to + l->record.dense);
    load_rest(c, i, row, to);
    if (s->start) s->start[s->n] = s->n_words;
    s->n_words += l->record.values + n;
    s->n++;
    return true;
}

enum status store_load(struct store *s, uint64_t block, size_t first, size_t end,
                       struct block *scratch, struct error *err)
{
    const struct dataset *d = s->loading->dataset;
    enum status st = prepared_read(s->file, block, scratch, err);
    if (st == ST_NOINPUT)
        return error_hint(err, st,
                          "remove the file: it is made again from the raw files");
    if (st != ST_OK) return st;
    struct cursor c = {.s = s, .b = scratch};
    size_t nth = 0; /* selected rows met */
    for (size_t i = 0; i < scratch->n && nth < end && !c.bad; i++) {
        uint64_t row = block * BLOCK_ROWS + i;
        bool wanted = dataset_is_selected(d, row) && nth++ >= first;
        if (!load_row(&c, i, row, wanted))
            return mem_error(err, "rows in memory", s->max_words * sizeof *s->words);
    }
    if (!c.bad) return ST_OK;
    return error_set(err, ST_NOINPUT,
                     "prepared data: block %llu does not fit its dictionaries",
                     (unsigned long long)block);
}

/* ---- dictionaries of the rows themselves ---- */

static enum status rank_own(struct store *s, size_t table, uint32_t **rank,
                            struct error *err)
{
    struct key_set *set = &s->own[table];
    uint64_t *keys = mem_resize(s->own_keys[table], set->n, sizeof *keys);
    *rank = mem_array(set->n, sizeof **rank);
    if (keys) s->own_keys[table] = keys;
    if (!keys || !*rank) return mem_error(err, "dictionary", set->n * sizeof *keys);
    TRY(key_set_rank(set, *rank, keys, err));
    s->keys[table] = keys;
    s->n_keys[table] = set->n;
    return ST_OK;
}

static void recode(struct store *s, size_t table, const uint32_t *rank)
{
    const struct loading *l = s->loading;
    size_t n_multi = s->file->schema->plan->n_multi;
    for (size_t i = 0; i < s->n; i++) {
        uint32_t *w = s->words + (s->start ? s->start[i] : i * l->record.values);
        for (size_t k = 0; k < l->n_singles; k++)
            if (l->singles[k].table == table) w[k] = rank[w[k]];
        uint32_t *v = w + l->record.values;
        for (size_t m = 0; m < n_multi; v += w[l->record.lengths + m++])
            for (size_t j = 0; l->lists[m].table == table && j < w[l->record.lengths + m];
                 j++)
                v[j] = rank[v[j]];
    }
}

enum status store_seal(struct store *s, struct error *err)
{
    enum status st = ST_OK;
    for (size_t t = 0; t < s->file->schema->n_tables && st == ST_OK; t++) {
        if (!s->file->keyed[t]) continue;
        uint32_t *rank = NULL;
        st = rank_own(s, t, &rank, err);
        if (st == ST_OK) recode(s, t, rank);
        mem_free(rank);
    }
    return st;
}
