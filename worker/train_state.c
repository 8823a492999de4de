#include "worker/train_state.h"

#include <string.h>

size_t train_state_list(const struct train_state *s, struct train_state_arrays *m,
                        struct named_array *out)
{
    *m = (struct train_state_arrays){
        .counts = {s->step, s->updates, s->skipped, s->stale, s->best_step,
                   (uint64_t)s->has_best | (uint64_t)s->stopped_early << 1},
        .past = {s->past.steps, s->past.sparse_updates, s->past.dense_updates},
        .reals = {s->epoch, s->best}};
    out[0] = (struct named_array){"counts", DTYPE_U64, TRAIN_STATE_COUNTS, 0, 0, m->counts};
    out[1] = (struct named_array){"reals", DTYPE_F64, TRAIN_STATE_REALS, 0, 0, m->reals};
    out[2] = (struct named_array){"past", DTYPE_U64, TRAIN_STATE_PAST, 0, 0, m->past};
    memcpy(m->days, s->days, s->n_days * sizeof *s->days);
    out[3] = (struct named_array){"days", DTYPE_U64, s->n_days, 0, 0, m->days};
    return s->n_days ? 4 : 3;
}

static const void *find(struct ckpt *ckpt, const char *name, enum dtype type, size_t rows)
{
    const struct named_array *a = ckpt_find_state(ckpt, name);
    return a && a->type == type && a->rows == rows && !a->cols ? a->data : NULL;
}

enum status train_state_read(struct ckpt *ckpt, struct train_state *s, struct error *err)
{
    TRY(ckpt_read_state(ckpt, err));
    const uint64_t *counts = find(ckpt, "counts", DTYPE_U64, TRAIN_STATE_COUNTS);
    const double *reals = find(ckpt, "reals", DTYPE_F64, TRAIN_STATE_REALS);
    /* Checkpoints of versions without a hot start have no past. */
    const uint64_t *past = find(ckpt, "past", DTYPE_U64, TRAIN_STATE_PAST);
    if (!counts || !reals)
        return error_set(err, ST_NOINPUT,
                         "train_state.h5: counts and reals are missing or of another shape");
    *s = (struct train_state){.step = counts[0],
                              .updates = counts[1],
                              .skipped = counts[2],
                              .stale = counts[3],
                              .best_step = counts[4],
                              .has_best = counts[5] & 1,
                              .stopped_early = counts[5] >> 1 & 1,
                              .epoch = reals[0],
                              .best = reals[1]};
    if (past) s->past = (struct wire_past){past[0], past[1], past[2]};
    const struct named_array *days = ckpt_find_state(ckpt, "days");
    if (!days) return ST_OK;
    if (days->type != DTYPE_U64 || days->cols || days->rows > TRAIN_STATE_DAYS)
        return error_set(err, ST_NOINPUT, "train_state.h5: days are of another shape");
    s->n_days = days->rows;
    memcpy(s->days, days->data, s->n_days * sizeof *s->days);
    return ST_OK;
}

/* A run without a step has seen nothing: it is no day. */
void train_state_next_day(const struct train_state *s, struct train_state *next)
{
    size_t dropped = s->step && s->n_days == TRAIN_STATE_DAYS;
    next->n_days = s->n_days - dropped;
    memcpy(next->days, s->days + dropped, next->n_days * sizeof *s->days);
    if (s->step) next->days[next->n_days++] = s->past.steps;
}

uint64_t train_state_since(const struct train_state *s, size_t n)
{
    size_t before = n - (s->step > 0); /* days of runs before this one */
    if (!before) return s->past.steps;
    return before <= s->n_days ? s->days[s->n_days - before] : 0;
}
