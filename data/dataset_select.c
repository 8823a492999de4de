#include "common/base/hash.h"
#include "common/base/rng.h"
#include "data/dataset_rule.h"

/* ---- which rows ---- */

struct selection {
    struct rule where, valid, by;
    bool has_where, has_valid, has_by;
    double fraction;
    struct rng rng;
    bool want_valid; /* USE_VALID: only the validation part; else: all but it */
};

static enum status is_valid(struct selection *s, const struct block *b, size_t i,
                            uint64_t row, bool *valid, struct error *err)
{
    if (s->has_valid) return rule_truth(&s->valid, b, i, valid, err);
    uint64_t index = row;
    if (s->has_by) {
        struct text t;
        TRY(rule_text(&s->by, b, i, &t, err));
        index = hash_id(t.s, t.n);
    }
    *valid = rng_uniform(&s->rng, index, 0) < s->fraction;
    return ST_OK;
}

static enum status is_selected(struct selection *s, const struct block *b, size_t i,
                               uint64_t row, bool *out, struct error *err)
{
    *out = true;
    if (s->has_where) TRY(rule_truth(&s->where, b, i, out, err));
    if (!*out || (!s->has_valid && s->fraction <= 0)) return ST_OK;
    bool valid;
    TRY(is_valid(s, b, i, row, &valid, err));
    *out = valid == s->want_valid;
    return ST_OK;
}

static enum status selection_open(const struct dataset *d, struct selection *s,
                                  struct error *err)
{
    const struct settings *settings = d->schema->settings;
    const struct valid_cfg *v = &settings->data.valid;
    bool part =
        (d->use == USE_TRAIN || d->use == USE_VALID) && v->given && !v->source.files.n;
    *s = (struct selection){.want_valid = d->use == USE_VALID,
                            .rng = rng_make(settings->seed, RNG_VALID, 0)};
    if (d->source->where.text) {
        TRY(rule_open(d, &d->source->where, "where", &s->where, err));
        s->has_where = true;
    }
    if (!part) return ST_OK;
    if (v->where.text) {
        s->has_valid = true;
        return rule_open(d, &v->where, "valid.where", &s->valid, err);
    }
    s->fraction = v->fraction;
    if (!v->by.text) return ST_OK;
    s->has_by = true;
    return rule_open(d, &v->by, "valid.by", &s->by, err);
}

static enum status select_block(struct dataset *d, struct selection *s, struct block *b,
                                uint64_t index, struct error *err)
{
    TRY(prepared_read(d->file, index, b, err));
    for (size_t i = 0; i < b->n; i++) {
        uint64_t row = index * BLOCK_ROWS + i;
        bool selected;
        TRY(is_selected(s, b, i, row, &selected, err));
        if (selected) d->selected[row / 64] |= UINT64_C(1) << row % 64;
    }
    return ST_OK;
}

enum status dataset_select(struct dataset *d, struct error *err)
{
    struct selection s;
    struct block *b = NULL;
    enum status st = selection_open(d, &s, err);
    if (st == ST_OK) st = kept_block(d->file, &b, err);
    for (uint64_t i = 0; i < d->file->n_blocks && st == ST_OK; i++)
        st = select_block(d, &s, b, i, err);
    block_destroy(b);
    rule_close(&s.where);
    rule_close(&s.valid);
    rule_close(&s.by);
    return st;
}
