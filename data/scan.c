#include "common/base/mem.h"
#include "common/base/rng.h"
#include "data/dataset_impl.h"

/* Rows that are in memory together: a batch, or a window within which rows exchange
 * values. */
struct scan {
    const struct dataset *data;
    uint64_t at, end; /* of the sequence of rows */
    size_t batch_rows, window_rows;
    uint64_t loaded; /* window in memory; UINT64_MAX = none */
    struct loading *loading;
    struct store *store;
    struct block *scratch;
    struct builder *builder;
    struct batch_buffer *buffer;
    uint32_t *order; /* 0, 1, 2 ... */
    /* with an exchange */
    const struct scan_exchange *what; /* NULL: in input order, nothing is exchanged */
    uint32_t *donor;                  /* [window_rows] */
    uint32_t *blocks;                 /* permuted */
    uint64_t *before;                 /* [n_blocks + 1] rows in earlier blocks */
};

/* ---- making ---- */

static enum status fill(struct scan *s, const struct fit *fit, struct error *err)
{
    TRY(loading_create(s->data, fit, &s->loading, err));
    TRY(store_create(s->loading, s->window_rows, &s->store, err));
    TRY(loading_block(s->loading, &s->scratch, err));
    TRY(builder_create(s->loading, s->batch_rows, &s->builder, err));
    TRY(batch_buffer_create(s->loading, s->batch_rows, &s->buffer, err));
    s->order = mem_array(s->window_rows, sizeof *s->order);
    if (!s->order) return mem_error(err, "scan", s->window_rows * sizeof *s->order);
    for (size_t i = 0; i < s->window_rows; i++) s->order[i] = (uint32_t)i;
    return ST_OK;
}

static enum status order_blocks(struct scan *s, struct error *err)
{
    uint32_t n = (uint32_t)s->data->file->n_blocks;
    const uint64_t *before = s->data->before;
    s->donor = mem_array(s->window_rows, sizeof *s->donor);
    s->blocks = mem_array(n, sizeof *s->blocks);
    s->before = mem_zeroed((size_t)n + 1, sizeof *s->before);
    if (!s->donor || !s->blocks || !s->before)
        return mem_error(err, "scan", s->window_rows * sizeof *s->donor);
    struct rng r = rng_make(s->what->seed, RNG_BLOCK_ORDER, 0);
    rng_permutation(&r, n, s->blocks);
    for (uint32_t i = 0; i < n; i++)
        s->before[i + 1] =
            s->before[i] + (before[s->blocks[i] + 1] - before[s->blocks[i]]);
    return ST_OK;
}

static enum status make(struct dataset *d, const struct fit *fit, uint64_t first,
                        uint64_t end, size_t batch_rows, const struct scan_exchange *what,
                        struct scan **out, struct error *err)
{
    struct scan *s = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "scan", sizeof *s);
    uint64_t rows = dataset_rows(d);
    s->data = d;
    s->at = first < rows ? first : rows;
    s->end = end < rows ? end : rows;
    s->batch_rows = s->window_rows = batch_rows;
    s->what = what;
    s->loaded = UINT64_MAX;
    if (what) {
        uint64_t wanted = d->schema->settings->data.shuffle_window;
        if (wanted > rows) wanted = rows;
        s->window_rows = (size_t)((wanted + batch_rows - 1) / batch_rows * batch_rows);
        if (!s->window_rows) s->window_rows = batch_rows;
    }
    enum status st = fill(s, fit, err);
    if (st == ST_OK && what) st = order_blocks(s, err);
    if (st != ST_OK) {
        scan_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

enum status scan_open(struct dataset *d, const struct fit *fit, uint64_t first,
                      uint64_t end, size_t batch_rows, struct scan **out,
                      struct error *err)
{
    return make(d, fit, first, end, batch_rows, NULL, out, err);
}

enum status scan_open_exchanged(struct dataset *d, const struct fit *fit, uint64_t first,
                                uint64_t end, size_t batch_rows,
                                const struct scan_exchange *what, struct scan **out,
                                struct error *err)
{
    return make(d, fit, first, end, batch_rows, what, out, err);
}

void scan_close(struct scan *s)
{
    if (!s) return;
    batch_buffer_destroy(s->buffer);
    builder_destroy(s->builder);
    block_destroy(s->scratch);
    store_destroy(s->store);
    loading_destroy(s->loading);
    mem_free(s->order);
    mem_free(s->donor);
    mem_free(s->blocks);
    mem_free(s->before);
    mem_free(s);
}

/* ---- batches ---- */

static enum status load(struct scan *s, const uint32_t *blocks, const uint64_t *before,
                        uint64_t first, uint64_t end, struct error *err)
{
    store_clear(s->store);
    TRY(dataset_load(s->data, blocks, before, first, end, s->store, s->scratch, err));
    return store_seal(s->store, err);
}

/* The whole window of the next row, whichever part of it is asked for. */
static enum status load_window(struct scan *s, uint64_t window, struct error *err)
{
    uint64_t first = window * s->window_rows, end = first + s->window_rows;
    if (s->loaded == window) return ST_OK;
    if (end > dataset_rows(s->data)) end = dataset_rows(s->data);
    TRY(load(s, s->blocks, s->before, first, end, err));
    struct rng r = rng_make(s->what->seed, RNG_IMPORTANCE, window);
    rng_permutation(&r, (uint32_t)(end - first), s->donor);
    s->loaded = window;
    return ST_OK;
}

enum status scan_next(struct scan *s, const struct batch **out, struct error *err)
{
    *out = NULL;
    if (s->at >= s->end) return ST_OK;
    uint64_t stop = s->at + s->batch_rows < s->end ? s->at + s->batch_rows : s->end;
    size_t n = (size_t)(stop - s->at);
    if (s->what) {
        size_t from = (size_t)(s->at % s->window_rows);
        TRY(load_window(s, s->at / s->window_rows, err));
        TRY(builder_build_exchanged(s->builder, s->store, s->order + from,
                                    s->donor + from, n, s->what->features, s->what->n,
                                    s->buffer, out, err));
    } else {
        TRY(load(s, NULL, s->data->before, s->at, stop, err));
        TRY(builder_build(s->builder, s->store, s->order, n, s->buffer, out, err));
    }
    s->at = stop;
    return ST_OK;
}
