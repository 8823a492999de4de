#include "common/base/mem.h"
#include "data/dataset_impl.h"

struct scan {
    const struct dataset *data;
    uint64_t at, end; /* selected rows */
    size_t batch_rows;
    struct loading *loading;
    struct store *store;
    struct block *scratch;
    struct builder *builder;
    struct batch_buffer *buffer;
    uint32_t *order; /* 0, 1, 2 ... */
};

static enum status fill(struct scan *s, const struct fit *fit, struct error *err)
{
    TRY(loading_create(s->data, fit, &s->loading, err));
    TRY(store_create(s->loading, s->batch_rows, &s->store, err));
    TRY(loading_block(s->loading, &s->scratch, err));
    TRY(builder_create(s->loading, s->batch_rows, &s->builder, err));
    TRY(batch_buffer_create(s->loading, s->batch_rows, &s->buffer, err));
    s->order = mem_array(s->batch_rows, sizeof *s->order);
    if (!s->order) return mem_error(err, "scan", s->batch_rows * sizeof *s->order);
    for (size_t i = 0; i < s->batch_rows; i++) s->order[i] = (uint32_t)i;
    return ST_OK;
}

enum status scan_open(struct dataset *d, const struct fit *fit, uint64_t first,
                      uint64_t end, size_t batch_rows, struct scan **out,
                      struct error *err)
{
    struct scan *s = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "scan", sizeof *s);
    uint64_t rows = dataset_rows(d);
    s->data = d;
    s->at = first < rows ? first : rows;
    s->end = end < rows ? end : rows;
    s->batch_rows = batch_rows;
    enum status st = fill(s, fit, err);
    if (st != ST_OK) {
        scan_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
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
    mem_free(s);
}

enum status scan_next(struct scan *s, const struct batch **out, struct error *err)
{
    *out = NULL;
    if (s->at >= s->end) return ST_OK;
    uint64_t stop = s->at + s->batch_rows < s->end ? s->at + s->batch_rows : s->end;
    store_clear(s->store);
    TRY(dataset_load(s->data, NULL, s->data->before, s->at, stop, s->store, s->scratch,
                     err));
    TRY(store_seal(s->store, err));
    TRY(builder_build(s->builder, s->store, s->order, (size_t)(stop - s->at), s->buffer,
                      out, err));
    s->at = stop;
    return ST_OK;
}
