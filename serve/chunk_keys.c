/* A chunk from prepared keys: feature by feature, because a caller's columns are. */
#include <math.h>
#include <string.h>

#include "serve/chunk.h"

/* Rows [first, first + n) of the caller's batch, which become those of the empty chunk. A
 * fault cuts n to the rows before it; what is kept is the first row's that has one. */
struct rows_of_keys {
    size_t first, n;
    struct error *err;
    enum status st;
};

static void fault(struct rows_of_keys *k, size_t row, enum status st)
{
    k->n = row;
    k->st = st;
}

static bool has_room(struct chunk_ids *ids, size_t n, struct rows_of_keys *k)
{
    if (chunk_ids_room(ids, n)) return true;
    fault(k, 0, mem_error(k->err, "keys", n * sizeof(uint64_t)));
    return false;
}

/* Keys [begin, end) of the batch are those of a chunk's row. */
struct key_range {
    size_t begin, end;
};

static struct key_range keys_of(const struct mtps_column *c, const struct rows_of_keys *k, size_t row)
{
    size_t at = k->first + row;
    return c->offsets ? (struct key_range){c->offsets[at], c->offsets[at + 1]} : (struct key_range){at, at + 1};
}

/* Every row has as many keys as the feature takes, and they are there. */
static void check_keys(const struct schema_feature *f, const struct mtps_column *c, struct rows_of_keys *k)
{
    bool many = f->kind == FEATURE_ID && f->multi;
    for (size_t r = 0; c->offsets && r < k->n; r++) {
        struct key_range at = keys_of(c, k, r);
        if (at.end < at.begin) {
            fault(k, r, error_set(k->err, ST_DATA, "%s: offsets are not in order", f->name));
        } else if (at.end - at.begin > 1 && !many) {
            fault(k, r, error_set(k->err, ST_DATA, "%s: %zu keys where one is expected", f->name, at.end - at.begin));
        } else if (at.end > at.begin && !c->keys) {
            fault(k, r, error_set(k->err, ST_USAGE, "%s: keys are not given", f->name));
        }
    }
    if (!c->offsets && !c->keys && k->n) fault(k, 0, error_set(k->err, ST_USAGE, "%s: keys are not given", f->name));
}

static void copy_levels(struct mtps_scorer *s, size_t one_hot, const struct mtps_column *c, const struct rows_of_keys *k)
{
    for (size_t r = 0; r < k->n; r++) {
        struct key_range at = keys_of(c, k, r);
        s->one_hot[one_hot][r] = at.end > at.begin ? chunk_level(s->model, one_hot, c->keys[at.begin]) : ONE_HOT_NONE;
    }
}

static void copy_ids(struct chunk_ids *ids, bool many, const struct mtps_column *c, struct rows_of_keys *k)
{
    if (!c->offsets) {
        if (!has_room(ids, k->n, k)) return;
        memcpy(ids->keys, c->keys + k->first, k->n * sizeof *ids->keys);
        for (size_t r = 0; r < k->n; r++) ids->off[r] = (uint32_t)r;
        ids->n = k->n;
        return;
    }
    for (size_t r = 0; r < k->n; r++) {
        struct key_range at = keys_of(c, k, r);
        size_t n = at.end - at.begin;
        if (!has_room(ids, n + 1, k)) return;
        ids->off[r] = (uint32_t)ids->n;
        for (size_t i = at.begin; i < at.end; i++) ids->keys[ids->n++] = c->keys[i];
        if (!n && !many) ids->keys[ids->n++] = feature_missing_key();
    }
}

static void copy_numbers(struct mtps_scorer *s, size_t feature, const struct mtps_column *c, struct rows_of_keys *k)
{
    const struct schema_feature *f = &s->model->schema->features[feature];
    size_t width = s->model->features[feature].width;
    if (!c->numbers) {
        if (k->n) fault(k, 0, error_set(k->err, ST_USAGE, "%s: numbers are not given", f->name));
        return;
    }
    for (size_t r = 0; r < k->n; r++)
        for (size_t j = 0; j < width; j++)
            if (isinf(c->numbers[(k->first + r) * width + j]))
                fault(k, r, error_set(k->err, ST_DATA, "%s: a number that is not finite", f->name));
    if (f->kind == FEATURE_ID && !has_room(&s->ids[f->place], k->n, k)) return;
    for (size_t r = 0; r < k->n; r++) {
        if (f->kind == FEATURE_ID) s->ids[f->place].off[r] = (uint32_t)r;
        chunk_put_numbers(s, feature, r, c->numbers + (k->first + r) * width);
    }
}

static void copy_feature(struct mtps_scorer *s, size_t i, const struct mtps_column *c, struct rows_of_keys *k)
{
    const struct schema_feature *f = &s->model->schema->features[i];
    if (s->model->features[i].kind == MTPS_FEATURE_NUMBERS) {
        copy_numbers(s, i, c, k);
        return;
    }
    check_keys(f, c, k);
    if (!k->n) return;
    if (f->kind == FEATURE_ONE_HOT)
        copy_levels(s, f->place, c, k);
    else
        copy_ids(&s->ids[f->place], f->multi, c, k);
}

/* As of raw values: one that is missing, or not above 0, is 0. */
static void copy_durations(struct mtps_scorer *s, const float *durations, struct rows_of_keys *k)
{
    const struct settings *settings = s->model->settings;
    size_t tasks = settings->n_tasks;
    memset(s->durations, 0, k->n * tasks * sizeof *s->durations);
    for (size_t r = 0; durations && r < k->n; r++)
        for (size_t t = 0; t < tasks; t++) {
            float d = durations[(k->first + r) * tasks + t];
            if (settings->tasks[t].loss != LOSS_COMPLETION) continue;
            if (isinf(d)) fault(k, r, error_set(k->err, ST_DATA, "%s: a duration that is not finite", settings->tasks[t].name));
            s->durations[r * tasks + t] = d > 0 ? d : 0;
        }
}

enum status chunk_fill_keys(struct mtps_scorer *s, const struct mtps_column *columns, const float *durations,
                            size_t first, size_t n, struct error *err)
{
    struct rows_of_keys k = {first, n, err, ST_OK};
    copy_durations(s, durations, &k);
    for (size_t i = 0; i < s->model->schema->n_features; i++) copy_feature(s, i, &columns[i], &k);
    s->n_rows = k.n;
    return k.st;
}
