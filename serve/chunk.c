#include "serve/chunk.h"

#include <math.h>
#include <string.h>

#include "data/feature.h"
#include "model/tables.h"

/* ---- making ---- */

static bool make(struct mtps_scorer *s)
{
    const struct schema *schema = s->model->schema;
    size_t tasks = s->model->settings->n_tasks, n_columns = schema->plan->n_columns, width = 1;
    for (size_t i = 0; i < schema->n_features; i++)
        if (schema->features[i].width > width) width = schema->features[i].width;
    s->ids = mem_zeroed(schema->n_ids + 1, sizeof *s->ids);
    s->one_hot = mem_zeroed(schema->n_one_hot + 1, sizeof *s->one_hot);
    s->dense = mem_zeroed(CHUNK_ROWS * schema->n_dense, sizeof *s->dense);
    s->durations = mem_zeroed(CHUNK_ROWS * tasks, sizeof *s->durations);
    s->fields = mem_zeroed(n_columns + 1, sizeof *s->fields);
    s->texts = mem_zeroed(n_columns + 1, sizeof *s->texts);
    s->max_texts = mem_zeroed(n_columns + 1, sizeof *s->max_texts);
    s->side = mem_zeroed(s->model->settings->data.n_joins + 1, sizeof *s->side);
    s->numbers = mem_zeroed(width, sizeof *s->numbers);
    s->projected = mem_zeroed(schema->n_features + 1, sizeof *s->projected);
    size_t n_tables = s->model->kinds->n + 1;
    s->rows = mem_zeroed(n_tables, sizeof *s->rows);
    s->n_slots = mem_zeroed(schema->n_tables + 1, sizeof *s->n_slots);
    s->max_slots = mem_zeroed(n_tables, sizeof *s->max_slots);
    s->at = mem_zeroed(n_tables, sizeof *s->at);
    s->requests = mem_zeroed(2 * schema->n_ids + 1, sizeof *s->requests);
    s->wanted = mem_zeroed(2 * schema->n_ids + 1, sizeof *s->wanted);
    s->batch_ids = mem_zeroed(schema->n_ids + 1, sizeof *s->batch_ids);
    s->logits = mem_zeroed(CHUNK_ROWS * tasks, sizeof *s->logits);
    bool ok = s->ids && s->one_hot && s->dense && s->durations && s->fields && s->texts && s->max_texts &&
         s->side && s->projected && s->numbers && s->rows && s->n_slots && s->max_slots && s->at && s->requests && s->wanted &&
         s->batch_ids && s->logits;
    for (size_t k = 0; ok && k < schema->n_one_hot; k++)
        ok = (s->one_hot[k] = mem_zeroed(CHUNK_ROWS, sizeof **s->one_hot)) != NULL;
    return ok;
}

static enum status create(struct mtps_scorer *s, struct error *err)
{
    if (!make(s)) return mem_error(err, "scorer", sizeof *s);
    TRY(feature_scratch_create(s->model->schema, &s->scratch, err));
    return infer_work_create(s->model->infer, CHUNK_ROWS, &s->work, err);
}

enum mtps_status mtps_scorer_create(struct mtps_model *model, struct mtps_scorer **scorer,
                                    struct mtps_error *error)
{
    struct error err;
    if (scorer) *scorer = NULL;
    if (!model || !scorer)
        return loaded_fail(error_set(&err, ST_USAGE, "mtps_scorer_create: %s is NULL", model ? "scorer" : "model"), &err, error);
    struct mtps_scorer *s = *scorer = mem_zeroed(1, sizeof *s);
    if (!s) return loaded_fail(mem_error(&err, "scorer", sizeof *s), &err, error);
    s->model = model;
    atomic_fetch_add(&model->holders, 1);
    enum status st = create(s, &err);
    if (st == ST_OK) return MTPS_OK;
    mtps_scorer_destroy(s);
    *scorer = NULL;
    return loaded_fail(st, &err, error);
}

void mtps_scorer_destroy(struct mtps_scorer *s)
{
    if (!s) return;
    const struct schema *schema = s->model->schema;
    for (size_t i = 0; s->ids && i < schema->n_ids; i++) {
        mem_free(s->ids[i].keys);
        mem_free(s->ids[i].idx);
        mem_free(s->ids[i].projected);
    }
    for (size_t k = 0; s->one_hot && k < schema->n_one_hot; k++) mem_free(s->one_hot[k]);
    for (size_t c = 0; s->texts && c < schema->plan->n_columns; c++) mem_free(s->texts[c]);
    for (size_t t = 0; s->rows && t < s->model->kinds->n; t++) mem_free(s->rows[t]);
    for (size_t t = 0; s->at && t < s->model->kinds->n; t++) mem_free(s->at[t]);
    feature_scratch_destroy(s->scratch);
    infer_work_destroy(s->work);
    void *blocks[] = {s->ids,     s->one_hot,    s->dense,     s->durations, s->fields,   s->texts,
                      s->numbers, s->max_texts,  s->rows,      s->at,        s->n_slots,  s->max_slots,
                      s->batch_ids, s->logits,   s->digits,    s->requests,  s->wanted,   s->places,
                      s->identity, s->list.v,    s->side,      s->projected, s->born};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) mem_free(blocks[i]);
    loaded_release(s->model);
    mem_free(s);
}

/* ---- filling a chunk ---- */

uint64_t *chunk_ids_room(struct chunk_ids *ids, size_t n)
{
    if (!ids->keys || ids->n + n > ids->max) {
        size_t max = 2 * ids->max + n + CHUNK_ROWS;
        uint64_t *keys = mem_resize(ids->keys, max, sizeof *keys);
        if (!keys) return NULL;
        ids->keys = keys;
        uint32_t *idx = mem_resize(ids->idx, max, sizeof *idx);
        if (!idx) return NULL;
        ids->idx = idx;
        const float **projected = mem_resize(ids->projected, max, sizeof *projected);
        if (!projected) return NULL;
        ids->projected = projected;
        ids->max = max;
    }
    return ids->keys + ids->n;
}

uint32_t chunk_level(const struct mtps_model *m, size_t one_hot, uint64_t key)
{
    const struct loaded_level *v = m->levels[one_hot];
    size_t low = 0, high = m->fit->n_levels[one_hot];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (v[middle].key == key) return v[middle].level;
        if (v[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return ONE_HOT_NONE;
}

void chunk_put_numbers(struct mtps_scorer *s, size_t feature, size_t row, const float *numbers)
{
    const struct mtps_model *m = s->model;
    const struct schema_feature *f = &m->schema->features[feature];
    if (f->kind == FEATURE_ID) { /* buckets */
        size_t n = f->cfg->bucketize - 1;
        s->ids[f->place].keys[s->ids[f->place].n++] =
            isnan(numbers[0]) ? feature_missing_key()
                              : feature_bucket_key(fit_bucket(m->fit->borders[feature], n, numbers[0]));
        return;
    }
    float *to = s->dense + row * m->schema->n_dense + f->place;
    for (size_t j = 0; j < f->width; j++) to[j] = fit_transform(&m->fit->columns[f->place + j], numbers[j]);
}

/* ---- a chunk ---- */

static void describe_ids(struct mtps_scorer *s)
{
    const struct schema *schema = s->model->schema;
    for (size_t i = 0; i < schema->n_ids; i++) {
        struct chunk_ids *ids = &s->ids[i];
        ids->off[s->n_rows] = (uint32_t)ids->n;
        s->batch_ids[i] = (struct batch_id){.n_distinct = ids->n,
                                            .row = s->identity,
                                            .n = ids->n,
                                            .off = schema->features[schema->plan->ids[i]].multi ? ids->off : NULL,
                                            .idx = ids->idx};
    }
}

static void write_scores(const struct mtps_scorer *s, float *scores)
{
    size_t tasks = s->model->settings->n_tasks;
    for (size_t i = 0; i < s->n_rows * tasks; i++) {
        size_t k = i % tasks;
        scores[i] = model_link(s->model->model, k, s->logits[i]);
        if (s->model->settings->tasks[k].loss == LOSS_COMPLETION) scores[i] *= s->durations[i];
    }
}

/* The rows of tables that the chunk asks for, and the batch of it. */
static enum status look_up(struct mtps_scorer *s, struct batch *b, struct error *err)
{
    const struct schema *schema = s->model->schema;
    TRY(chunk_find_rows(s, err));
    describe_ids(s);
    *b = (struct batch){.n_rows = s->n_rows,
                        .n_tables = s->model->kinds->n,
                        .n_ids = schema->n_ids,
                        .n_one_hot = schema->n_one_hot,
                        .n_dense = schema->n_dense,
                        .n_tasks = s->model->settings->n_tasks,
                        .ids = s->batch_ids,
                        .one_hot = (const uint32_t *const *)s->one_hot,
                        .dense = s->dense};
    return ST_OK;
}

void chunk_empty(struct mtps_scorer *s)
{
    s->n_rows = 0;
    for (size_t i = 0; i < s->model->schema->n_ids; i++) s->ids[i].n = 0;
}

enum status chunk_run(struct mtps_scorer *s, float *scores, struct error *err)
{
    struct batch b;
    TRY(look_up(s, &b, err));
    struct model_rows rows = {(const float *const *)s->rows, NULL, (const float *const *const *)s->at};
    if (s->model->projected_width)
        infer_forward_projected(s->model->infer, &b, &rows, s->projected, s->work, s->logits);
    else
        infer_forward(s->model->infer, &b, &rows, s->work, s->logits);
    write_scores(s, scores);
    chunk_empty(s);
    return ST_OK;
}

enum status chunk_vectors(struct mtps_scorer *s, enum model_side side, float *vectors, struct error *err)
{
    struct batch b;
    TRY(look_up(s, &b, err));
    struct model_rows rows = {(const float *const *)s->rows, NULL, (const float *const *const *)s->at};
    infer_vectors(s->model->infer, &b, &rows, side, s->work, vectors);
    chunk_empty(s);
    return ST_OK;
}
