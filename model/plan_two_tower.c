/* two_tower: a stack over the user's part of x and one over the item's, a vector per task
 * on either side, and their cosine. */
#include "model/op.h"

/* The stack that all tasks share: leaves *in columns in buffer *src. */
static enum status side_hidden(struct plan *p, const char *name,
                               const struct mlp_cfg *hidden, size_t *src, size_t *in)
{
    *src = p->x[p->part];
    *in = p->m->x_width[p->part];
    if (hidden->layers.n == 0) return ST_OK;
    plan_block_begin(p, *src, *in);
    plan_unit(p, name, UNIT_BOTTOM, NET_NONE, (struct plan_stack){hidden, 0}, *in);
    TRY(plan_block_end(p));
    const struct net_layer *last = &p->net->layers[p->net->n_layers - 1];
    *src = last->dst;
    *in = last->out;
    return ST_OK;
}

static enum status side_vectors(struct plan *p, const char *name, size_t src, size_t in,
                                size_t width)
{
    static const struct mlp_cfg none = {0};
    plan_block_begin(p, src, in);
    for (size_t k = 0; k < p->m->n_tasks; k++) {
        const char *unit = arena_printf(p->m->arena, "%s/%s", name, p->m->tasks[k].name);
        if (unit == NULL) return plan_nomem(p);
        plan_unit(p, unit, UNIT_BOTTOM, NET_NONE, (struct plan_stack){&none, width}, in);
    }
    return plan_block_end(p);
}

/* DSSM: the last layer of each side is a vector, one per task; what is below is shared by
 * the tasks. */
enum status plan_two_tower(struct plan *p)
{
    static const char *const names[N_SIDES] = {"user", "item"};
    const struct model_cfg *c = &p->m->cfg;
    const struct mlp_cfg *mlp[N_SIDES] = {&c->user.mlp, &c->item.mlp};
    size_t src[N_SIDES], in[N_SIDES], unit[N_SIDES], width = 0;
    plan_level_begin(p);
    for (p->part = 0; p->part < N_SIDES; p->part++) {
        struct mlp_cfg hidden = *mlp[p->part];
        width = hidden.layers.v[--hidden.layers.n];
        TRY(side_hidden(p, names[p->part], &hidden, &src[p->part], &in[p->part]));
    }
    plan_level_begin(p);
    for (p->part = 0; p->part < N_SIDES; p->part++) {
        unit[p->part] = p->net->n_units;
        TRY(side_vectors(p, names[p->part], src[p->part], in[p->part], width));
    }
    p->part = 0;
    return op_match_add(p, unit[SIDE_USER], unit[SIDE_ITEM], width);
}
