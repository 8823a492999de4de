/* Nodes of a net: buffers, units, blocks, and where their parameters are. */
#include "model/plan.h"

enum status plan_nomem(struct plan *p)
{
    return mem_error(p->err, "plan of the model", 0);
}

static size_t stack_layers(struct plan_stack s)
{
    return s.mlp->layers.n + (s.last > 0);
}

size_t plan_buffer(struct plan *p, size_t width)
{
    struct net *net = p->net;
    net->buffers[net->n_buffers].width = net_round(width, NET_PAD);
    return net->n_buffers++;
}

size_t plan_params(struct plan *p, size_t n)
{
    size_t at = p->net->n_params;
    p->net->n_params = net_round(at + n, 16);
    return at;
}

static enum net_keep keep_of(enum activation act, double dropout)
{
    if (act == ACT_GELU || act == ACT_SILU) return KEEP_INPUT;
    return act == ACT_TANH && dropout > 0 ? KEEP_OUTPUT : KEEP_NOTHING;
}

/* An activated layer of a stack, norm and dropout with it. */
static struct net_layer hidden_layer(struct net *net, const struct mlp_cfg *mlp,
                                     const char *unit, size_t i)
{
    struct net_layer l = {.out = mlp->layers.v[i],
                          .act = mlp->activation,
                          .keep = keep_of(mlp->activation, mlp->dropout),
                          .norm = NET_NONE};
    if (mlp->norm == NORM_LAYER) l.norm = net->n_norms++;
    if (mlp->dropout > 0) l.dropout = dropout_make(mlp->dropout, unit, i);
    net->dropout |= mlp->dropout > 0;
    return l;
}

/* A unit of the block that was begun last; plan_block_end() places its layers. */
void plan_unit(struct plan *p, const char *name, enum unit_role role, size_t task,
               struct plan_stack s, size_t in)
{
    struct net *net = p->net;
    struct net_unit *u = &net->units[net->n_units++];
    *u = (struct net_unit){name, role, task, net->n_layers, stack_layers(s)};
    for (size_t i = 0; i < u->n_layers; i++) {
        struct net_layer *l = &net->layers[net->n_layers++];
        if (s.last > 0 && i + 1 == u->n_layers)
            *l = (struct net_layer){.out = s.last, .linear = true, .norm = NET_NONE};
        else
            *l = hidden_layer(net, s.mlp, name, i);
        l->in = in;
        in = l->out;
    }
    net->blocks[net->n_blocks - 1].n_units++;
    net->levels[net->n_levels - 1].n_units++;
}

void plan_block_begin(struct plan *p, size_t src, size_t in)
{
    struct net *net = p->net;
    net->blocks[net->n_blocks++] =
        (struct net_block){.src = src, .in = in, .first_unit = net->n_units};
    net->levels[net->n_levels - 1].n_blocks++;
}

/* Experts start at multiples of NET_PAD floats so that mixes read aligned vectors. */
static size_t slot_width(const struct net_unit *u, size_t out)
{
    bool pad = u->role == UNIT_EXPERT || u->role == UNIT_BOTTOM;
    return pad ? net_round(out, NET_PAD) : out;
}

/* Activated columns of the block, neighbours that do the same joined. */
static enum status block_runs(struct plan *p, struct net_block *b)
{
    struct net *net = p->net;
    struct net_run *runs = arena_take(p->m->arena, b->n_units, sizeof *runs);
    if (runs == NULL) return plan_nomem(p);
    for (size_t i = 0; i < b->n_units; i++) {
        const struct net_unit *u = &net->units[b->first_unit + i];
        const struct net_layer *l = &net->layers[u->first];
        size_t n = slot_width(u, l->out);
        if (l->linear) continue;
        struct net_run *r = b->n_runs > 0 ? &runs[b->n_runs - 1] : NULL;
        if (r != NULL && r->act == l->act && r->keep == l->keep &&
            r->col + r->n == l->dst_col) {
            r->n += n;
        } else {
            runs[b->n_runs++] = (struct net_run){l->dst_col, n, l->act, l->keep};
        }
        if (l->keep != KEEP_NOTHING) net->buffers[b->dst].pre = true;
    }
    b->runs = runs;
    return ST_OK;
}

/* Parameters of the norms of a unit's layers. */
static void unit_norms(struct plan *p, const struct net_unit *u)
{
    for (size_t i = 0; i < u->n_layers; i++) {
        struct net_layer *l = &p->net->layers[u->first + i];
        if (l->norm == NET_NONE) continue;
        l->gain = plan_params(p, l->out);
        l->bias = plan_params(p, l->out);
    }
}

/* Layers after a unit's first: each with weights and a buffer of its own. The
 * last layer of a tower of several layers writes its column of the logits. */
static void unit_rest(struct plan *p, struct net_unit *u)
{
    struct net *net = p->net;
    for (size_t i = 1; i < u->n_layers; i++) {
        struct net_layer *l = &net->layers[u->first + i];
        l->src = l[-1].dst;
        l->src_col = l[-1].dst_col;
        l->ldw = net_round(l->out, l->out == 1 ? 1 : NET_PAD);
        l->w = plan_params(p, l->in * l->ldw);
        l->b = plan_params(p, l->out);
        if (u->role == UNIT_TOWER && i + 1 == u->n_layers) {
            l->dst = net->logits;
            l->dst_col = u->task;
        } else {
            l->dst = plan_buffer(p, l->out);
            net->buffers[l->dst].pre = l->keep != KEEP_NOTHING;
        }
    }
}

enum status plan_block_end(struct plan *p)
{
    struct net *net = p->net;
    struct net_block *b = &net->blocks[net->n_blocks - 1];
    for (size_t i = 0; i < b->n_units; i++) {
        const struct net_unit *u = &net->units[b->first_unit + i];
        net->layers[u->first].dst_col = b->n;
        b->n += slot_width(u, net->layers[u->first].out);
    }
    b->n = net_round(b->n, b->src == NET_X ? NET_PAD_X : NET_PAD);
    b->dst = b->src == NET_X ? NET_Y : plan_buffer(p, b->n);
    if (b->dst == NET_Y) {
        net->buffers[NET_Y].width = b->n;
        net->x_block = net->n_blocks - 1;
    }
    b->w = plan_params(p, b->in * b->n);
    b->b = plan_params(p, b->n);
    for (size_t i = 0; i < b->n_units; i++) {
        struct net_unit *u = &net->units[b->first_unit + i];
        struct net_layer *l = &net->layers[u->first];
        l->src = b->src;
        l->of_x = b->src == p->x[p->part] || b->src == NET_X;
        l->part = p->part;
        l->dst = b->dst;
        l->w = b->w + l->dst_col;
        l->ldw = b->n;
        l->b = b->b + l->dst_col;
        unit_rest(p, u);
        unit_norms(p, u);
    }
    return block_runs(p, b);
}

void plan_level_begin(struct plan *p)
{
    struct net *net = p->net;
    net->levels[net->n_levels++] = (struct net_level){.first_block = net->n_blocks,
                                                      .first_unit = net->n_units,
                                                      .first_mix = net->n_mixes,
                                                      .first_op = net->n_ops,
                                                      .first_expert = net->n_experts};
}

enum status plan_op(struct plan *p, struct net_op op)
{
    struct net *net = p->net;
    op.add = arena_take(p->m->arena, op.n_src + 1, sizeof *op.add);
    if (op.add == NULL) return plan_nomem(p);
    net->ops[net->n_ops++] = op;
    net->levels[net->n_levels - 1].n_ops++;
    return ST_OK;
}
