#include "worker/dense.h"

#include "common/base/mem.h"

void dense_close(struct dense *d)
{
    mem_free(d->params);
    for (size_t i = 0; i < OPTIM_MAX_SLOTS; i++) mem_free(d->slots[i]);
}

enum status dense_make(const struct session *s, struct dense *d, struct error *err)
{
    const struct settings *settings = s->spec.settings;
    size_t first, n;
    model_direct_params(s->model, &first, &n);
    *d = (struct dense){.n = model_n_params(s->model),
                        .layout = optim_layout(settings->train.optimizer.kind, 1),
                        .wide_layout = optim_layout(settings->model.wide_optimizer.kind, 1),
                        .wide = {first, first + n}};
    d->n_slots = d->layout.n_slots;
    if (n && d->wide_layout.n_slots > d->n_slots) d->n_slots = d->wide_layout.n_slots;
    d->params = mem_zeroed(d->n, sizeof *d->params);
    bool ok = d->params;
    for (size_t i = 0; i < d->n_slots; i++)
        ok = (d->slots[i] = mem_zeroed(d->n, sizeof **d->slots)) && ok;
    if (ok) return ST_OK;
    dense_close(d);
    return mem_error(err, "dense parameters", d->n * sizeof(float));
}

static bool is_wide(const struct dense *d, const struct model_tensor *t)
{
    return t->offset >= d->wide.first && t->offset < d->wide.end;
}

const struct optim_layout *dense_layout(const struct dense *d, const struct model_tensor *t)
{
    return is_wide(d, t) ? &d->wide_layout : &d->layout;
}

void dense_fresh(const struct settings *s, struct dense *d)
{
    float rest = optim_initial_state(&s->train.optimizer);
    float wide = optim_initial_state(&s->model.wide_optimizer);
    for (size_t k = 0; k < d->n_slots; k++) {
        for (size_t i = 0; i < d->n; i++) d->slots[k][i] = rest;
        for (size_t i = d->wide.first; i < d->wide.end; i++) d->slots[k][i] = wide;
    }
}

static struct named_array view(const struct model_tensor *t, float *flat)
{
    return (struct named_array){.name = t->name,
                                .type = DTYPE_F32,
                                .rows = t->rows,
                                .cols = t->cols,
                                .stride = t->stride,
                                .data = flat + t->offset};
}

void dense_views(const struct model *m, float *flat, struct named_array *out)
{
    size_t n;
    const struct model_tensor *tensors = model_tensors(m, &n);
    for (size_t i = 0; i < n; i++) out[i] = view(&tensors[i], flat);
}

/* The slots of one optimiser. */
static size_t slots_of(const struct model *m, const struct dense *d, bool wide,
                       struct named_array **views, struct ckpt_slot *out)
{
    size_t n;
    const struct model_tensor *tensors = model_tensors(m, &n);
    const struct optim_layout *layout = wide ? &d->wide_layout : &d->layout;
    for (size_t k = 0; k < layout->n_slots; k++) {
        out[k] = (struct ckpt_slot){layout->name[k], *views, 0};
        for (size_t i = 0; i < n; i++) {
            if (is_wide(d, &tensors[i]) != wide) continue;
            *(*views)++ = view(&tensors[i], d->slots[k]);
            out[k].n++;
        }
    }
    return layout->n_slots;
}

size_t dense_slots(const struct model *m, const struct dense *d, struct named_array *views,
                   struct ckpt_slot *out)
{
    size_t n = slots_of(m, d, false, &views, out);
    return d->wide.end > d->wide.first ? n + slots_of(m, d, true, &views, out + n) : n;
}

static enum status decay_mask(const struct session *s, uint8_t **out, struct error *err)
{
    *out = mem_zeroed(model_n_params(s->model), 1);
    if (!*out) return mem_error(err, "weight decay mask", model_n_params(s->model));
    model_decay_mask(s->model, *out);
    return ST_OK;
}

enum status dense_put(const struct session *s, struct client *client, const struct dense *d,
                      size_t n_slots, const struct train_state *at, struct error *err)
{
    uint8_t *decay;
    TRY(decay_mask(s, &decay, err));
    struct wire_dense put = {.step = at->step,
                             .updates = at->updates,
                             .past = at->past,
                             .n = d->n,
                             .n_slots = n_slots,
                             .params = d->params,
                             .decay = decay};
    for (size_t i = 0; i < n_slots; i++) put.slots[i] = d->slots[i];
    enum status st = client_dense_put(client, &put, err);
    mem_free(decay);
    return st;
}
