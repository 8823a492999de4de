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
