#include <string.h>

#include "common/base/mem.h"
#include "data/dataset_impl.h"

static void count_blocks(struct dataset *d)
{
    d->before[0] = 0;
    for (uint64_t b = 0; b < d->file->n_blocks; b++) {
        uint64_t n = 0;
        for (size_t w = 0; w < BLOCK_ROWS / 64; w++)
            n += (uint64_t)__builtin_popcountll(d->selected[b * (BLOCK_ROWS / 64) + w]);
        d->before[b + 1] = d->before[b] + n;
    }
}

static enum status fill(struct dataset *d, const char *path, struct error *err)
{
    TRY(prepared_open(path, d->schema, &d->file, err));
    if (d->file->rows > UINT32_MAX)
        return error_set(err, ST_DATA, "%s: more than 2^32 rows in one data set", path);
    size_t words = d->file->n_blocks * (BLOCK_ROWS / 64);
    d->selected = mem_zeroed(words, sizeof *d->selected);
    d->before = mem_zeroed(d->file->n_blocks + 1, sizeof *d->before);
    if (!d->selected || !d->before) return mem_error(err, "selection of rows", words * 8);
    TRY(dataset_select(d, err));
    count_blocks(d);
    return ST_OK;
}

enum status dataset_open(const char *path, const struct schema *schema,
                         const struct source_cfg *source, enum use use,
                         struct dataset **out, struct error *err)
{
    struct dataset *d = mem_zeroed(1, sizeof *d);
    if (!d) return mem_error(err, "data set", sizeof *d);
    d->schema = schema;
    d->source = source;
    d->use = use;
    enum status st = fill(d, path, err);
    if (st == ST_OK)
        *out = d;
    else
        dataset_close(d);
    return st;
}

void dataset_close(struct dataset *d)
{
    if (!d) return;
    for (size_t i = 0; d->kept && i < d->file->n_kept; i++) kept_close(&d->kept[i]);
    mem_free(d->kept);
    block_destroy(d->block);
    mem_free(d->selected);
    mem_free(d->before);
    prepared_close(d->file);
    mem_free(d);
}

uint64_t dataset_rows(const struct dataset *d)
{
    return d->before[d->file->n_blocks];
}

uint64_t dataset_rows_all(const struct dataset *d)
{
    return d->file->rows;
}

const char *dataset_digest(const struct dataset *d)
{
    return d->file->key;
}

size_t dataset_max_per_row(const struct dataset *d, size_t id)
{
    const struct schema_plan *plan = d->schema->plan;
    const struct feature_plan *f = &plan->features[plan->ids[id]];
    return f->store == STORE_MULTI ? (size_t)d->file->max_length[f->at] : 1;
}

void dataset_caps(const struct dataset *d, const struct fit *f, size_t rows,
                  size_t *max_distinct, size_t *max_occurrences)
{
    (void)f;
    const struct schema *s = d->schema;
    for (size_t i = 0; i < s->n_ids; i++) {
        const struct schema_feature *g = &s->features[s->plan->ids[i]];
        size_t n = rows * dataset_max_per_row(d, i);
        max_occurrences[i] = n;
        max_distinct[i] = !d->file->keyed[g->table] && d->file->n_keys[g->table] < n
                              ? d->file->n_keys[g->table]
                              : n;
    }
}
