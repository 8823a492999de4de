#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "data/dataset_impl.h"

enum status kept_open(const struct prepared *p, size_t column, struct kept *out,
                      struct error *err)
{
    *out = (struct kept){.file = p, .column = &p->kept[column]};
    if (out->column->kind == AUX_NUMBER) return ST_OK;
    TRY(prepared_texts(p, column, &out->bytes, &out->offsets, &out->n, err));
    int owner = out->column->owner;
    if (owner < 0) return ST_OK;
    enum status st =
        prepared_side(p, owner, &out->side, &out->side_rows, &out->side_width, err);
    if (st == ST_OK && (!out->side_rows || out->column->at >= out->side_width))
        st = error_set(err, ST_NOINPUT, "prepared data: columns of join %d do not fit",
                       owner);
    if (st != ST_OK) kept_close(out);
    return st;
}

void kept_close(struct kept *k)
{
    mem_free(k->bytes);
    mem_free(k->offsets);
    mem_free(k->side);
    *k = (struct kept){0};
}

enum status kept_block(const struct prepared *p, struct block **out, struct error *err)
{
    struct block_shape shape = {0};
    shape.width[COL_SIDE] = p->shape.width[COL_SIDE];
    shape.width[COL_AUX_TEXT] = p->shape.width[COL_AUX_TEXT];
    shape.width[COL_AUX_NUMBER] = p->shape.width[COL_AUX_NUMBER];
    return block_create(&shape, out, err);
}

uint32_t kept_code(const struct kept *k, const struct block *b, size_t i)
{
    uint32_t code;
    if (k->column->owner < 0) {
        code =
            block_u32(b, COL_AUX_TEXT)[i * b->shape.width[COL_AUX_TEXT] + k->column->at];
    } else {
        size_t joins = b->shape.width[COL_SIDE];
        uint32_t row = block_u32(b, COL_SIDE)[i * joins + (size_t)k->column->owner];
        if (row >= k->side_rows) row = (uint32_t)k->side_rows - 1;
        code = k->side[row * k->side_width + k->column->at];
    }
    return code < k->n ? code : KEPT_MISSING;
}

double kept_number(const struct kept *k, const struct block *b, size_t i)
{
    return block_f64(b,
                     COL_AUX_NUMBER)[i * b->shape.width[COL_AUX_NUMBER] + k->column->at];
}

/* ---- by row number ---- */

static enum status kept_of(struct dataset *d, const char *column, struct kept **out,
                           struct error *err)
{
    size_t i = prepared_kept(d->file, column);
    if (i == SIZE_MAX)
        return error_set(err, ST_INTERNAL, "column \"%s\" was not kept in prepared data",
                         column);
    if (!d->kept) d->kept = mem_zeroed(d->file->n_kept, sizeof *d->kept);
    if (!d->kept)
        return mem_error(err, "kept columns", d->file->n_kept * sizeof *d->kept);
    if (!d->kept[i].file) TRY(kept_open(d->file, i, &d->kept[i], err));
    *out = &d->kept[i];
    return ST_OK;
}

enum status dataset_kept(struct dataset *d, const char *column, uint64_t row,
                         struct text *out, struct error *err)
{
    struct kept *k = NULL;
    TRY(kept_of(d, column, &k, err));
    if (!d->block) TRY(kept_block(d->file, &d->block, err));
    TRY(prepared_read(d->file, row / BLOCK_ROWS, d->block, err));
    *out = (struct text){"", 0};
    if (k->column->kind == AUX_NUMBER) {
        double v = kept_number(k, d->block, row % BLOCK_ROWS);
        struct value number = {.kind = VALUE_FLOAT, .f = v};
        if (!isnan(v)) *out = value_id_text(&number, d->number);
        return ST_OK;
    }
    uint32_t code = kept_code(k, d->block, row % BLOCK_ROWS);
    if (code != KEPT_MISSING) *out = kept_text(k, code);
    return ST_OK;
}
