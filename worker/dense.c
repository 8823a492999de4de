#include "worker/dense.h"

#include "common/base/mem.h"

void dense_close(struct dense *d)
{
    mem_free(d->params);
    for (size_t i = 0; i < OPTIM_MAX_SLOTS; i++) mem_free(d->slots[i]);
}

enum status dense_make(const struct session *s, struct dense *d, struct error *err)
{
    *d = (struct dense){.n = model_n_params(s->model),
                        .layout = optim_layout(s->spec.settings->train.optimizer.kind, 1)};
    d->params = mem_zeroed(d->n, sizeof *d->params);
    bool ok = d->params;
    for (size_t i = 0; i < d->layout.n_slots; i++)
        ok = (d->slots[i] = mem_zeroed(d->n, sizeof **d->slots)) && ok;
    if (ok) return ST_OK;
    dense_close(d);
    return mem_error(err, "dense parameters", d->n * sizeof(float));
}

void dense_views(const struct model *m, float *flat, struct named_array *out)
{
    size_t n;
    const struct model_tensor *tensors = model_tensors(m, &n);
    for (size_t i = 0; i < n; i++)
        out[i] = (struct named_array){.name = tensors[i].name,
                                      .type = DTYPE_F32,
                                      .rows = tensors[i].rows,
                                      .cols = tensors[i].cols,
                                      .stride = tensors[i].stride,
                                      .data = flat + tensors[i].offset};
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
