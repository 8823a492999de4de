#include "data/dataset_impl.h"

/* The visited block that holds a row of the sequence. */
static uint64_t find_block(const uint64_t *before, uint64_t n_blocks, uint64_t row)
{
    uint64_t low = 0, high = n_blocks; /* before[low] <= row < before[high] */
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (before[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

enum status dataset_load(const struct dataset *d, const uint32_t *blocks,
                         const uint64_t *before, uint64_t first, uint64_t end,
                         struct store *store, struct block *scratch, struct error *err)
{
    uint64_t at = first;
    for (uint64_t b = find_block(before, d->file->n_blocks, first); at < end; b++) {
        uint64_t stop = before[b + 1] < end ? before[b + 1] : end;
        if (at < stop)
            TRY(store_load(store, blocks ? blocks[b] : b, (size_t)(at - before[b]),
                           (size_t)(stop - before[b]), scratch, err));
        at = stop;
    }
    return ST_OK;
}

void dataset_places(const struct dataset *d, const uint32_t *blocks,
                    const uint64_t *before, uint64_t first, uint64_t end, uint32_t *out)
{
    uint64_t at = first;
    for (uint64_t b = find_block(before, d->file->n_blocks, first); at < end; b++) {
        uint64_t in_file = d->before[blocks[b]];
        for (; at < end && at < before[b + 1]; at++)
            *out++ = (uint32_t)(in_file + (at - before[b]));
    }
}

/* ---- reading for its own sake ---- */

static enum status read_windows(struct dataset *d, size_t window, struct store *store,
                                struct block *scratch, struct error *err)
{
    uint64_t rows = dataset_rows(d);
    for (uint64_t first = 0; first < rows; first += window) {
        uint64_t end = first + window < rows ? first + window : rows;
        store_clear(store);
        TRY(dataset_load(d, NULL, d->before, first, end, store, scratch, err));
        TRY(store_seal(store, err));
    }
    return ST_OK;
}

enum status dataset_read(struct dataset *d, const struct fit *fit, struct error *err)
{
    struct loading *loading = NULL;
    struct store *store = NULL;
    struct block *scratch = NULL;
    size_t window = d->schema->settings->data.shuffle_window;
    enum status st = loading_create(d, fit, &loading, err);
    if (st == ST_OK) st = store_create(loading, window, &store, err);
    if (st == ST_OK) st = loading_block(loading, &scratch, err);
    if (st == ST_OK) st = read_windows(d, window, store, scratch, err);
    block_destroy(scratch);
    store_destroy(store);
    loading_destroy(loading);
    return st;
}
