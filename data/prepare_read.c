#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/store/file.h"
#include "data/prepare.h"

enum { KEPT_TEXTS = 1 << 20, KEPT_BYTES = 64 << 20, WHY_BYTES = 256, LIMIT_EVERY = 64 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum status prepare_tell(const struct prepare_options *opt, double *told, uint64_t done,
                         uint64_t total, uint64_t rows, const char *phase,
                         struct error *err)
{
    if (opt->stop && opt->stop(opt->arg)) {
        error_set(err, ST_STOPPED, "stopped while data was prepared");
        return error_hint(err, ST_STOPPED, "run the same command again to start over");
    }
    double now = now_s();
    if (!*told) *told = now;
    if (!opt->progress || now - *told < 1) return ST_OK;
    *told = now;
    opt->progress(opt->arg, done, total, rows, phase);
    return ST_OK;
}

/* ---- what is asked for ---- */

static enum status list_columns(struct prep *p, struct error *err)
{
    const struct schema_plan *plan = p->schema->plan;
    size_t most = plan->n_columns + p->aux.n + 1;
    p->columns = mem_array(most, sizeof *p->columns);
    p->missing = mem_zeroed(most, sizeof *p->missing);
    if (!p->columns || !p->missing)
        return mem_error(err, "columns", most * sizeof *p->columns);
    for (size_t i = 0; i < plan->n_columns; i++) {
        p->columns[i] = plan->columns[i].name;
        p->missing[i] = plan->columns[i].missing;
    }
    p->n_columns = plan->n_columns;
    for (size_t i = 0; i < p->aux.n; i++) {
        struct aux_column *a = &p->aux.v[i];
        if (a->kind == AUX_DROPPED) continue;
        size_t j = 0;
        while (j < p->n_columns && (strcmp(p->columns[j], a->name) || p->missing[j])) j++;
        if (j == p->n_columns) p->columns[p->n_columns++] = a->name;
        a->field = j;
    }
    return ST_OK;
}

/* ---- where things lie ---- */

static void place_features(struct prep *p)
{
    const struct schema_plan *plan = p->schema->plan;
    struct block_shape *shape = &p->shape;
    *shape = (struct block_shape){0};
    for (size_t i = 0; i < plan->n_single; i++) {
        size_t f = plan->single[i];
        p->place[f] = shape->width[prep_is_keyed(p, f) ? COL_KEYS : COL_CODES]++;
    }
    for (size_t i = 0; i < plan->n_multi; i++) {
        shape->values[prep_is_keyed(p, plan->multi[i]) ? BLOCK_KEYS : BLOCK_CODES] = true;
    }
    for (size_t i = 0; i < p->n_parts; i++)
        for (size_t m = 0; m < p->parts[i].n_multi; m++)
            p->place[p->parts[i].multi[m]] = m;
    shape->width[COL_LENGTHS] = plan->n_multi;
    shape->width[COL_ONE_HOT] = plan->n_one_hot;
    shape->width[COL_NUMBERS] = plan->n_number;
    shape->width[COL_LABELS] = p->schema->settings->n_tasks;
    shape->width[COL_WEIGHTS] = plan->row_weights ? p->schema->settings->n_tasks : 0;
    shape->width[COL_DURATIONS] = plan->durations ? p->schema->settings->n_tasks : 0;
    shape->width[COL_GROUP] = plan->group != SIZE_MAX;
    shape->width[COL_SIDE] = p->n_parts - 1;
    for (size_t i = 0; i < p->aux.n; i++)
        if (p->aux.v[i].owner < 0 && p->aux.v[i].kind != AUX_DROPPED)
            shape
                ->width[p->aux.v[i].kind == AUX_NUMBER ? COL_AUX_NUMBER : COL_AUX_TEXT]++;
}

/* Keys that training may need though no row has them: those of buckets. */
static enum status seed_dictionaries(struct prep *p, struct error *err)
{
    const struct schema *s = p->schema;
    for (size_t i = 0; i < s->n_features; i++) {
        const struct feature_cfg *c = s->features[i].cfg;
        if (s->features[i].kind != FEATURE_ID || !c->bucketize || prep_is_keyed(p, i))
            continue;
        struct key_set *set = &p->tables[s->features[i].table];
        bool ok = key_set_add(set, feature_missing_key()) != KEY_SET_FULL;
        for (size_t b = 0; ok && b < c->bucketize; b++)
            ok = key_set_add(set, feature_bucket_key(b)) != KEY_SET_FULL;
        if (!ok) return mem_error(err, "dictionary", c->bucketize * sizeof(uint64_t));
    }
    return ST_OK;
}

/* A file without a name beside the prepared ones. */
static enum status open_spool(struct prep *p, struct error *err)
{
    const char *dir = p->schema->settings->data.cache;
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        char path[4096];
        snprintf(path, sizeof path, "%s/spool-XXXXXX", dir);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0) unlink(path);
    }
    if (fd >= 0) p->spool = fdopen(fd, "w+");
    if (p->spool) return ST_OK;
    int why = errno;
    if (fd >= 0) close(fd);
    return error_set(err, ST_CANTCREATE, "%s: cannot make a temporary file: %s", dir,
                     strerror(why));
}

static enum status start(struct prep *p, struct error *err)
{
    const struct schema *s = p->schema;
    p->told = now_s();
    for (size_t i = 0; i < p->aux.n; i++) {
        p->aux.v[i].owner = -1;
        p->aux.v[i].all_numbers = true;
    }
    TRY(list_columns(p, err));
    TRY(raw_open(&s->settings->data, p->source, p->columns, p->missing, p->n_columns,
                 p->bad, &p->raw, err));
    for (size_t i = 0; i < p->aux.n; i++)
        if (p->aux.v[i].kind != AUX_DROPPED)
            p->aux.v[i].owner = raw_column_owner(p->raw, p->aux.v[i].field);
    TRY(feature_scratch_create(s, &p->scratch, err));
    TRY(parts_create(p, err));
    p->tables = mem_zeroed(s->n_tables, sizeof *p->tables);
    p->levels = mem_zeroed(s->n_one_hot, sizeof *p->levels);
    p->max_length = mem_zeroed(s->plan->n_multi, sizeof *p->max_length);
    p->place = mem_zeroed(s->n_features, sizeof *p->place);
    if (!p->tables || !p->levels || !p->max_length || !p->place)
        return mem_error(err, "dictionaries", s->n_features * sizeof(struct key_set));
    place_features(p);
    TRY(seed_dictionaries(p, err));
    TRY(block_create(&p->shape, &p->block, err));
    return open_spool(p, err);
}

void prepare_reset(struct prep *p)
{
    const struct schema *s = p->schema;
    if (p->spool) fclose(p->spool);
    raw_close(p->raw);
    feature_scratch_destroy(p->scratch);
    parts_close(p);
    for (size_t t = 0; p->tables && t < s->n_tables; t++) key_set_close(&p->tables[t]);
    for (size_t i = 0; p->levels && i < s->n_one_hot; i++) key_set_close(&p->levels[i]);
    for (size_t i = 0; i < p->aux.n; i++) text_set_close(&p->aux.v[i].texts);
    block_destroy(p->block);
    mem_free(p->tables);
    mem_free(p->levels);
    mem_free(p->max_length);
    mem_free(p->place);
    mem_free(p->columns);
    mem_free(p->missing);
    mem_free(p->list.v);
    p->spool = NULL;
    p->raw = NULL;
    p->scratch = NULL;
    p->tables = p->levels = NULL;
    p->block = NULL;
    p->max_length = NULL;
    p->place = NULL;
    p->columns = NULL;
    p->missing = NULL;
    p->list = (struct feature_keys){0};
    p->rows = p->total[0] = p->total[1] = 0;
}

/* ---- rows ---- */

static size_t place_of(const struct part *part, const struct raw_row *row)
{
    if (part->owner < 0) return 0;
    uint32_t side = row->side[part->owner];
    return side == RAW_NO_MATCH ? part->rows - 1 : side;
}

static enum status read_labels(struct prep *p, const struct raw_row *row, size_t *column,
                               struct error *err)
{
    size_t n = p->shape.width[COL_LABELS];
    float *label = block_f32(p->block, COL_LABELS) + p->block->n * n;
    float weight;
    for (size_t k = 0; k < n; k++) {
        enum status st =
            feature_label(p->schema, k, row->fields, p->scratch, &label[k], &weight, err);
        *column = p->scratch->bad_column;
        if (st != ST_OK) return st;
        if (p->shape.width[COL_WEIGHTS])
            block_f32(p->block, COL_WEIGHTS)[p->block->n * n + k] = weight;
    }
    return ST_OK;
}

static enum status read_durations(struct prep *p, const struct raw_row *row,
                                  size_t *column, struct error *err)
{
    size_t n = p->shape.width[COL_DURATIONS];
    if (!n) return ST_OK;
    float *to = block_f32(p->block, COL_DURATIONS) + p->block->n * n;
    for (size_t k = 0; k < n; k++) {
        to[k] = 0;
        if (!p->schema->plan->tasks[k].duration.expr) continue;
        enum status st =
            feature_duration(p->schema, k, row->fields, p->scratch, &to[k], err);
        *column = p->scratch->bad_column;
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

/* ST_DATA: a bad row. Nothing is kept of it. */
static enum status read_row(struct prep *p, const struct raw_row *row, size_t *column,
                            struct error *err)
{
    for (size_t i = 0; i < p->n_parts; i++) {
        struct part *part = &p->parts[i];
        if (!part->rows) continue;
        size_t r = place_of(part, row);
        if (part->owner < 0 || part->state[r] == PART_NEW || part->state[r] == PART_BAD)
            TRY(part_read(p, part, r, row->fields, column, err));
    }
    TRY(read_labels(p, row, column, err));
    return read_durations(p, row, column, err);
}

static enum status put_values(struct prep *p, const struct part *part, size_t r, size_t i,
                              struct error *err)
{
    bool keyed = prep_is_keyed(p, part->multi[i]);
    size_t n = part->length[r * part->n_multi + i];
    const uint64_t *from = part->values + part->start[r * part->n_multi + i];
    struct block_values *v = &p->block->values[keyed ? BLOCK_KEYS : BLOCK_CODES];
    if (!block_values_reserve(v, keyed ? BLOCK_KEYS : BLOCK_CODES, n))
        return mem_error(err, "values of a block", n * sizeof(uint64_t));
    if (keyed) {
        if (n) memcpy((uint64_t *)v->v + v->n, from, n * sizeof *from);
    } else {
        uint32_t *to = (uint32_t *)v->v + v->n;
        for (size_t j = 0; j < n; j++) to[j] = (uint32_t)from[j];
    }
    v->n += n;
    return ST_OK;
}

/* Multi-valued features stand in config order, whoever owns them. */
static enum status put_lists(struct prep *p, const struct raw_row *row, struct error *err)
{
    const struct schema_plan *plan = p->schema->plan;
    uint32_t *lengths = block_u32(p->block, COL_LENGTHS) + p->block->n * plan->n_multi;
    for (size_t m = 0; m < plan->n_multi; m++) {
        int owner = plan->features[plan->multi[m]].owner;
        const struct part *part = &p->parts[owner < 0 ? 0 : 1 + owner];
        if (!part->rows) part = &p->parts[0];
        size_t r = place_of(part, row), i = p->place[plan->multi[m]];
        lengths[m] = part->length[r * part->n_multi + i];
        TRY(put_values(p, part, r, i, err));
    }
    return ST_OK;
}

static enum status flush(struct prep *p, struct error *err)
{
    struct block *b = p->block;
    if (!b->n) return ST_OK;
    enum status st = block_spool(b, p->spool, err);
    if (st != ST_OK) return error_wrap(err, st, "%s", p->schema->settings->data.cache);
    for (int k = 0; k < N_VALUES; k++) {
        p->total[k] += b->values[k].n;
        b->values[k].n = 0;
    }
    b->n = 0;
    return ST_OK;
}

static enum status accept_row(struct prep *p, const struct raw_row *row,
                              struct error *err)
{
    struct block *b = p->block;
    for (size_t i = 0; i < p->n_parts; i++) {
        struct part *part = &p->parts[i];
        if (!part->rows) continue;
        size_t r = place_of(part, row);
        if (part->state[r] == PART_READ) TRY(part_code(p, part, r, row->fields, err));
        part_put(p, part, r);
    }
    for (size_t j = 0; j + 1 < p->n_parts; j++)
        block_u32(b, COL_SIDE)[b->n * (p->n_parts - 1) + j] = row->side[j];
    if (p->shape.width[COL_GROUP]) {
        const struct raw_field *f = &row->fields[p->schema->plan->group];
        block_u64(b, COL_GROUP)[b->n] =
            f->n ? hash_id(f->v[0].s, f->v[0].n) : feature_missing_key();
    }
    TRY(put_lists(p, row, err));
    p->rows++;
    return ++b->n == BLOCK_ROWS ? flush(p, err) : ST_OK;
}

/* ---- limits ---- */

static void limit_aux(struct aux_column *a, bool *again)
{
    bool over = a->texts.n > KEPT_TEXTS || a->texts.n_bytes > KEPT_BYTES;
    if (a->kind == AUX_NUMBER && !a->all_numbers) {
        a->kind = a->as_number || a->as_text ? AUX_TEXT : AUX_DROPPED;
        a->unlimited = true;
        *again = true;
    } else if (a->kind == AUX_TEXT && over && !a->unlimited && a->owner < 0) {
        if (a->as_text)
            a->unlimited = true;
        else {
            a->kind = a->all_numbers ? AUX_NUMBER : AUX_DROPPED;
            *again = true;
        }
    }
}

static bool over_limits(struct prep *p)
{
    bool again = false;
    const struct schema *s = p->schema;
    for (size_t t = 0; t < s->n_tables; t++) {
        if (p->keyed[t] || p->tables[t].n <= s->settings->data.dictionary_limit) continue;
        p->keyed[t] = true;
        again = true;
    }
    for (size_t i = 0; i < p->aux.n; i++) limit_aux(&p->aux.v[i], &again);
    return again;
}

/* ---- the pass ---- */

static enum status one_row(struct prep *p, const struct raw_row *row, struct error *err)
{
    struct error why;
    size_t column = SIZE_MAX;
    enum status st = read_row(p, row, &column, &why);
    if (st == ST_OK) return accept_row(p, row, err);
    if (st != ST_DATA) {
        if (err) *err = why;
        return st;
    }
    char text[WHY_BYTES];
    snprintf(text, sizeof text, "%.*s", WHY_BYTES - 1, why.text);
    raw_reject(p->raw, column, text);
    return bad_rows_check(p->bad, false, err);
}

static enum status read_rows(struct prep *p, bool *again, struct error *err)
{
    const struct raw_row *row;
    for (uint64_t seen = 0;; seen++) {
        TRY(raw_next(p->raw, &row, err));
        if (!row) break;
        TRY(one_row(p, row, err));
        if (seen % LIMIT_EVERY == 0 && over_limits(p)) {
            *again = true;
            return ST_OK;
        }
        if (seen % BLOCK_ROWS == 0) {
            uint64_t done, total;
            raw_progress(p->raw, &done, &total);
            TRY(prepare_tell(p->opt, &p->told, done, total, p->rows, "reading", err));
        }
    }
    *again = over_limits(p);
    TRY(flush(p, err));
    p->ignored_values = raw_ignored_values(p->raw);
    p->ignored_names = raw_ignored_names(p->raw);
    return bad_rows_check(p->bad, true, err);
}

enum status prepare_read(struct prep *p, bool *again, struct error *err)
{
    *again = false;
    TRY(start(p, err));
    TRY(read_rows(p, again, err));
    if (*again) return ST_OK;
    /* Dictionaries and spool are all that the second pass needs. */
    raw_close(p->raw);
    p->raw = NULL;
    if (!fflush(p->spool) && !fseeko(p->spool, 0, SEEK_SET)) return ST_OK;
    int why = errno;
    error_set(err, ST_IO, "%s: temporary file of prepared rows: cannot write it: %s",
              p->schema->settings->data.cache, strerror(why));
    return file_hint(err, ST_IO, why);
}
