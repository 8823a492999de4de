#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "data/prepare.h"

/* ---- making ---- */

static void *take(size_t n, size_t size, bool *ok)
{
    void *p = mem_zeroed(n, size);
    if (!p) *ok = false;
    return p;
}

static struct part *part_of(struct prep *p, int owner)
{
    size_t i = owner < 0 ? 0 : 1 + (size_t)owner;
    return &p->parts[i < p->n_parts && p->parts[i].rows ? i : 0];
}

/* Bytes that remembering one side row takes, about. */
static size_t place_bytes(const struct prep *p, int owner)
{
    const struct schema *s = p->schema;
    size_t bytes = 1 + sizeof(char *) + sizeof(size_t);
    for (size_t i = 0; i < s->n_features; i++)
        if (s->plan->features[i].owner == owner)
            bytes += s->plan->features[i].store == STORE_MULTI
                         ? 96
                         : 8 + 4 * s->features[i].width;
    return bytes + 4 * p->aux.n;
}

static void choose_rows(struct prep *p)
{
    p->parts[0].owner = -1;
    p->parts[0].rows = 1;
    for (size_t i = 1; i < p->n_parts; i++) {
        size_t rows = raw_side_rows(p->raw, i - 1) + 1;
        p->parts[i].owner = (int)i - 1;
        /* What would not fit beside the side tables is worked out every time. */
        bool fits =
            rows <= p->schema->settings->data.join_memory / place_bytes(p, (int)i - 1);
        p->parts[i].rows = fits ? rows : 0;
    }
}

static void list_features(struct prep *p, bool *ok)
{
    const struct schema *s = p->schema;
    for (size_t i = 0; i < p->n_parts; i++) {
        struct part *part = &p->parts[i];
        part->single = take(s->n_features, sizeof *part->single, ok);
        part->multi = take(s->n_features, sizeof *part->multi, ok);
        part->level = take(s->n_features, sizeof *part->level, ok);
        part->number = take(s->n_features, sizeof *part->number, ok);
        part->aux = take(p->aux.n, sizeof *part->aux, ok);
    }
    if (!*ok) return;
    for (size_t i = 0; i < s->n_features; i++) {
        const struct feature_plan *f = &s->plan->features[i];
        struct part *part = part_of(p, f->owner);
        if (f->store == STORE_SINGLE) part->single[part->n_single++] = i;
        if (f->store == STORE_MULTI) part->multi[part->n_multi++] = i;
        if (f->store == STORE_ONE_HOT) part->level[part->n_level++] = i;
        if (f->store != STORE_NUMBER) continue;
        part->number[part->n_number++] = i;
        part->width += f->width;
    }
    for (size_t i = 0; i < p->aux.n; i++) {
        struct aux_column *a = &p->aux.v[i];
        if (a->kind == AUX_DROPPED) continue;
        struct part *part = part_of(p, a->owner);
        a->owner = part->owner;
        part->aux[part->n_aux++] = i;
    }
}

static void allocate(struct part *part, bool *ok)
{
    size_t n = part->rows;
    part->state = take(n, 1, ok);
    part->ids = take(n * part->n_single, sizeof *part->ids, ok);
    part->start = take(n * part->n_multi, sizeof *part->start, ok);
    part->length = take(n * part->n_multi, sizeof *part->length, ok);
    part->levels = take(n * part->n_level, sizeof *part->levels, ok);
    part->has_level = take(n * part->n_level, sizeof *part->has_level, ok);
    part->numbers = take(n * part->width, sizeof *part->numbers, ok);
    part->aux_codes = take(n * part->n_aux, sizeof *part->aux_codes, ok);
    part->aux_numbers =
        take(part->owner < 0 ? part->n_aux : 0, sizeof *part->aux_numbers, ok);
    part->why = take(n, sizeof *part->why, ok);
    part->bad_column = take(n, sizeof *part->bad_column, ok);
}

enum status parts_create(struct prep *p, struct error *err)
{
    bool ok = true;
    p->n_parts = 1 + p->schema->settings->data.n_joins;
    p->parts = take(p->n_parts, sizeof *p->parts, &ok);
    if (ok) choose_rows(p);
    if (ok) list_features(p, &ok);
    for (size_t i = 0; ok && i < p->n_parts; i++)
        if (p->parts[i].rows) allocate(&p->parts[i], &ok);
    return ok ? ST_OK : mem_error(err, "rows of side tables", 0);
}

static void part_close(struct part *part)
{
    for (size_t r = 0; part->why && r < part->rows; r++) mem_free(part->why[r]);
    void *blocks[] = {part->state,     part->single,    part->ids,         part->multi,
                      part->start,     part->length,    part->values,      part->level,
                      part->levels,    part->has_level, part->number,      part->numbers,
                      part->aux,       part->aux_codes, part->aux_numbers, part->why,
                      part->bad_column};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) mem_free(blocks[i]);
}

void parts_close(struct prep *p)
{
    for (size_t i = 0; p->parts && i < p->n_parts; i++) part_close(&p->parts[i]);
    mem_free(p->parts);
    p->parts = NULL;
    p->n_parts = 0;
}

/* ---- reading ---- */

static enum status read_lists(struct prep *p, struct part *part, size_t r,
                              const struct raw_field *fields, struct error *err)
{
    for (size_t i = 0; i < part->n_multi; i++) {
        TRY(feature_ids(p->schema, part->multi[i], fields, p->scratch, &p->list, err));
        if (part->n_values + p->list.n > part->max_values) {
            size_t max = 2 * part->max_values + p->list.n + 256;
            uint64_t *v = mem_resize(part->values, max, sizeof *v);
            if (!v) return mem_error(err, "lists of side tables", max * sizeof *v);
            part->values = v;
            part->max_values = max;
        }
        part->start[r * part->n_multi + i] = part->n_values;
        part->length[r * part->n_multi + i] = (uint32_t)p->list.n;
        if (p->list.n)
            memcpy(part->values + part->n_values, p->list.v,
                   p->list.n * sizeof *p->list.v);
        part->n_values += p->list.n;
    }
    return ST_OK;
}

/* A selection that reads the column as number must be able to. */
static enum status check_aux(struct prep *p, struct part *part,
                             const struct raw_field *fields, struct error *err)
{
    for (size_t i = 0; i < part->n_aux; i++) {
        const struct aux_column *a = &p->aux.v[part->aux[i]];
        const struct raw_field *f = &fields[a->field];
        struct value v;
        if (!a->as_number || !f->n || text_number(f->v[0], &v)) continue;
        p->scratch->bad_column = a->field;
        return error_set(err, ST_DATA, "%s: not a number", a->name);
    }
    return ST_OK;
}

static enum status read_place(struct prep *p, struct part *part, size_t r,
                              const struct raw_field *fields, struct error *err)
{
    const struct schema *s = p->schema;
    uint64_t *ids = part->ids + r * part->n_single;
    for (size_t i = 0; i < part->n_single; i++)
        TRY(feature_id(s, part->single[i], fields, p->scratch, &ids[i], err));
    for (size_t i = 0; i < part->n_level; i++)
        TRY(feature_level(s, part->level[i], fields, p->scratch,
                          &part->levels[r * part->n_level + i],
                          &part->has_level[r * part->n_level + i], err));
    float *numbers = part->numbers + r * part->width;
    for (size_t i = 0; i < part->n_number; i++) {
        TRY(feature_numbers(s, part->number[i], fields, p->scratch, numbers, err));
        numbers += s->plan->features[part->number[i]].width;
    }
    TRY(check_aux(p, part, fields, err));
    return read_lists(p, part, r, fields, err);
}

enum status part_read(struct prep *p, struct part *part, size_t r,
                      const struct raw_field *fields, size_t *column, struct error *err)
{
    if (part->owner < 0)
        part->n_values = 0;
    else if (part->state[r] == PART_BAD) {
        *column = part->bad_column[r];
        return error_set(err, ST_DATA, "%s", part->why[r]);
    }
    size_t values = part->n_values;
    enum status st = read_place(p, part, r, fields, err);
    part->state[r] = PART_READ;
    if (st != ST_DATA) return st;
    *column = p->scratch->bad_column;
    part->n_values = values;
    if (part->owner < 0) return st;
    part->state[r] = PART_BAD;
    part->bad_column[r] = *column;
    part->why[r] = mem_strdup(err->text);
    return part->why[r] ? st : mem_error(err, "reason of a bad row", strlen(err->text));
}

/* ---- coding ---- */

static enum status full(struct error *err)
{
    return mem_error(err, "dictionary", 0);
}

static enum status code_aux(struct prep *p, struct part *part, size_t r,
                            const struct raw_field *fields, struct error *err)
{
    uint32_t *codes = part->aux_codes + r * part->n_aux;
    for (size_t i = 0; i < part->n_aux; i++) {
        struct aux_column *a = &p->aux.v[part->aux[i]];
        const struct raw_field *f = &fields[a->field];
        struct value v;
        double number = NAN;
        codes[i] = UINT32_MAX;
        if (!f->n) {
            if (a->kind == AUX_NUMBER) part->aux_numbers[i] = NAN;
            continue;
        }
        if (a->kind == AUX_NUMBER) {
            if (!text_number(f->v[0], &v) || !value_number(&v, &number))
                a->all_numbers = false;
            part->aux_numbers[i] = number;
            continue;
        }
        size_t before = a->texts.n;
        codes[i] = text_set_add(&a->texts, f->v[0]);
        if (codes[i] == KEY_SET_FULL) return full(err);
        if (a->all_numbers && a->texts.n != before && !text_number(f->v[0], &v))
            a->all_numbers = false;
    }
    return ST_OK;
}

static enum status code_lists(struct prep *p, struct part *part, size_t r,
                              struct error *err)
{
    const struct schema *s = p->schema;
    for (size_t i = 0; i < part->n_multi; i++) {
        size_t f = part->multi[i], m = s->plan->features[f].at;
        size_t n = part->length[r * part->n_multi + i];
        uint64_t *v = part->values + part->start[r * part->n_multi + i];
        if (n > p->max_length[m]) p->max_length[m] = n;
        if (prep_is_keyed(p, f)) continue;
        struct key_set *set = &p->tables[s->features[f].table];
        for (size_t j = 0; j < n; j++) {
            v[j] = key_set_add(set, v[j]);
            if (v[j] == KEY_SET_FULL) return full(err);
        }
    }
    return ST_OK;
}

enum status part_code(struct prep *p, struct part *part, size_t r,
                      const struct raw_field *fields, struct error *err)
{
    const struct schema *s = p->schema;
    uint64_t *ids = part->ids + r * part->n_single;
    for (size_t i = 0; i < part->n_single; i++) {
        size_t f = part->single[i];
        if (prep_is_keyed(p, f)) continue;
        ids[i] = key_set_add(&p->tables[s->features[f].table], ids[i]);
        if (ids[i] == KEY_SET_FULL) return full(err);
    }
    for (size_t i = 0; i < part->n_level; i++) {
        uint64_t *v = &part->levels[r * part->n_level + i];
        if (!part->has_level[r * part->n_level + i]) {
            *v = ONE_HOT_NONE;
            continue;
        }
        *v = key_set_add(&p->levels[s->plan->features[part->level[i]].at], *v);
        if (*v == KEY_SET_FULL) return full(err);
    }
    TRY(code_lists(p, part, r, err));
    TRY(code_aux(p, part, r, fields, err));
    part->state[r] = PART_CODED;
    return ST_OK;
}

/* ---- putting ---- */

static void put_aux(struct prep *p, const struct part *part)
{
    struct block *b = p->block;
    uint32_t *texts = block_u32(b, COL_AUX_TEXT) + b->n * p->shape.width[COL_AUX_TEXT];
    double *numbers =
        block_f64(b, COL_AUX_NUMBER) + b->n * p->shape.width[COL_AUX_NUMBER];
    for (size_t i = 0; i < part->n_aux; i++) {
        if (p->aux.v[part->aux[i]].kind == AUX_NUMBER)
            *numbers++ = part->aux_numbers[i];
        else
            *texts++ = part->aux_codes[i];
    }
}

void part_put(struct prep *p, const struct part *part, size_t r)
{
    const struct schema *s = p->schema;
    struct block *b = p->block;
    size_t n = b->n;
    uint32_t *codes = block_u32(b, COL_CODES) + n * p->shape.width[COL_CODES];
    uint64_t *keys = block_u64(b, COL_KEYS) + n * p->shape.width[COL_KEYS];
    const uint64_t *ids = part->ids + r * part->n_single;
    for (size_t i = 0; i < part->n_single; i++) {
        size_t f = part->single[i];
        if (prep_is_keyed(p, f))
            keys[p->place[f]] = ids[i];
        else
            codes[p->place[f]] = (uint32_t)ids[i];
    }
    uint32_t *levels = block_u32(b, COL_ONE_HOT) + n * p->shape.width[COL_ONE_HOT];
    for (size_t i = 0; i < part->n_level; i++)
        levels[s->plan->features[part->level[i]].at] =
            (uint32_t)part->levels[r * part->n_level + i];
    float *numbers = block_f32(b, COL_NUMBERS) + n * p->shape.width[COL_NUMBERS];
    const float *from = part->numbers + r * part->width;
    for (size_t i = 0; i < part->n_number; i++) {
        const struct feature_plan *f = &s->plan->features[part->number[i]];
        memcpy(numbers + f->at, from, f->width * sizeof *from);
        from += f->width;
    }
    if (part->owner < 0) put_aux(p, part);
}
