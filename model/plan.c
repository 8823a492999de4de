/* From a configuration to a net: each architecture is a few lines. */
#include "model/plan.h"

#include <string.h>

#include "model/attention.h"
#include "model/op.h"

/* ---- towers ---- */

/* Where the towers of the units from `first` on leave the logits. */
static void heads_of(const struct plan *p, size_t first, struct net_head *heads)
{
    for (size_t i = first; i < p->net->n_units; i++) {
        const struct net_unit *u = &p->net->units[i];
        if (u->role != UNIT_TOWER) continue;
        const struct net_layer *l = &p->net->layers[u->first + u->n_layers - 1];
        heads[u->task] = (struct net_head){l->dst, l->dst_col};
    }
}

enum status plan_towers(struct plan *p, const char *prefix, const struct mlp_cfg *mlp,
                        enum unit_role role)
{
    struct model *m = p->m;
    size_t first_unit = p->net->n_units;
    /* Losses of later steps of a funnel reach the towers of others. */
    bool apart = m->cfg.type != MODEL_ESMM && m->cfg.type != MODEL_AITM;
    plan_level_begin(p);
    for (size_t k = 0; k < m->n_tasks; k++) {
        bool first = true;
        for (size_t j = 0; j < k; j++) first &= p->branch[j] != p->branch[k];
        if (!first) continue;
        struct net_block *block = &p->net->blocks[p->net->n_blocks];
        plan_block_begin(p, p->branch[k], p->width[k]);
        for (size_t j = k; j < m->n_tasks; j++) {
            if (p->branch[j] != p->branch[k]) continue;
            const char *name = arena_printf(m->arena, "%s/%s", prefix, m->tasks[j].name);
            if (name == NULL) return plan_nomem(p);
            struct plan_stack s = {mlp != NULL ? mlp : &m->tasks[j].tower,
                                   role == UNIT_TOWER};
            plan_unit(p, name, role, j, s, p->width[k]);
        }
        block->meeting =
            apart && block->n_units > 1 && block->src != p->x[0] && block->src != NET_X;
        TRY(plan_block_end(p));
    }
    heads_of(p, first_unit, p->net->heads);
    return ST_OK;
}

static enum status towers_add(struct plan *p, const char *prefix,
                              const struct mlp_cfg *mlp)
{
    return plan_towers(p, prefix, mlp, UNIT_TOWER);
}

/* ---- architectures ---- */

/* z_k = x . w_k + b_k; embedding rows of lr are weights themselves (model_row_dim). */
static enum status plan_lr(struct plan *p)
{
    static const struct mlp_cfg none = {0};
    return towers_add(p, "lr", &none);
}

static enum status plan_dnn(struct plan *p)
{
    return towers_add(p, "dnn", &p->m->cfg.bottom);
}

/* Rendle: a linear part, of direct inputs, and the interactions of all pairs of fields. */
static enum status plan_fm(struct plan *p)
{
    plan_level_begin(p);
    return op_fm_add(p, true, p->net->heads);
}

/* DeepFM: a linear part, interactions and a network over the same vectors, which cross
 * layers change for the network alone. */
static enum status plan_deepfm(struct plan *p)
{
    size_t K = p->m->n_tasks;
    struct net_head *terms = arena_take(p->m->arena, 2 * K, sizeof *terms);
    if (terms == NULL) return plan_nomem(p);
    for (size_t k = 0; k < K; k++)
        p->branch[k] = p->x[0] == p->net->x_buf[0] ? NET_X : p->x[0];
    TRY(plan_dnn(p));
    memcpy(terms, p->net->heads, K * sizeof *terms);
    TRY(op_fm_add(p, false, terms + K));
    return op_sum_add(p, terms, 2);
}

enum status plan_bottom(struct plan *p)
{
    if (p->m->cfg.bottom.layers.n == 0) return ST_OK;
    plan_level_begin(p);
    plan_block_begin(p, p->x[0], p->m->n_x);
    plan_unit(p, "bottom", UNIT_BOTTOM, NET_NONE,
              (struct plan_stack){&p->m->cfg.bottom, 0}, p->m->n_x);
    TRY(plan_block_end(p));
    const struct net_layer *l = &p->net->layers[p->net->n_layers - 1];
    for (size_t k = 0; k < p->m->n_tasks; k++) {
        p->branch[k] = l->dst;
        p->width[k] = l->out;
    }
    return ST_OK;
}

/* Caruana: one stack for all, then a tower per task. */
static enum status plan_share_bottom(struct plan *p)
{
    TRY(plan_bottom(p));
    return towers_add(p, "tower", NULL);
}

/* MMoE eq. 6-7: shared experts, a gate per task; omoe: one gate for all. */
static enum status plan_mmoe(struct plan *p, bool one_gate)
{
    size_t *own = arena_take(p->m->arena, p->m->n_tasks, sizeof *own);
    if (own == NULL) return plan_nomem(p);
    struct plan_level x = {0, own, p->m->cfg.expert_count, !one_gate, one_gate};
    TRY(plan_extraction(p, &x));
    return towers_add(p, "tower", NULL);
}

/* PLE sec. 4.1-4.3. CGC is the case of one level. The last level has no shared
 * gate, and a level without shared experts has nothing to read a shared path. */
static enum status plan_ple(struct plan *p, size_t n_levels)
{
    const struct model *m = p->m;
    size_t *own = arena_take(m->arena, m->n_tasks, sizeof *own);
    if (own == NULL) return plan_nomem(p);
    for (size_t k = 0; k < m->n_tasks; k++) own[k] = m->tasks[k].own;
    for (size_t i = 0; i < n_levels; i++) {
        bool last = i + 1 == n_levels;
        struct plan_level x = {i, own, m->cfg.expert_shared, true,
                               !last && m->cfg.expert_shared > 0};
        TRY(plan_extraction(p, &x));
    }
    return towers_add(p, "tower", NULL);
}

static enum status plan_type(struct plan *p)
{
    const struct model_cfg *c = &p->m->cfg;
    switch (c->type) {
    case MODEL_LR:
        return plan_lr(p);
    case MODEL_FM:
        return plan_fm(p);
    case MODEL_DNN:
    case MODEL_WIDE_DEEP: /* its wide part are direct inputs */
        return plan_dnn(p);
    case MODEL_DEEPFM:
        return plan_deepfm(p);
    case MODEL_SHARE_BOTTOM:
        return plan_share_bottom(p);
    case MODEL_OMOE:
        return plan_mmoe(p, true);
    case MODEL_MMOE:
        return plan_mmoe(p, false);
    case MODEL_CGC:
        return plan_ple(p, 1);
    case MODEL_PLE:
        return plan_ple(p, c->expert_levels);
    case MODEL_TWO_TOWER:
        return plan_two_tower(p);
    case MODEL_ESMM:
        return plan_esmm(p);
    case MODEL_AITM:
        return plan_aitm(p);
    }
    return error_set(p->err, ST_USAGE, "model.type: unknown type %d", (int)c->type);
}

/* ---- bounds ---- */

static size_t longest_stack(const struct model *m)
{
    const struct model_cfg *c = &m->cfg;
    size_t n = c->bottom.layers.n;
    if (c->experts.layers.n > n) n = c->experts.layers.n;
    if (c->gates.layers.n > n) n = c->gates.layers.n;
    if (c->user.mlp.layers.n > n) n = c->user.mlp.layers.n;
    if (c->item.mlp.layers.n > n) n = c->item.mlp.layers.n;
    for (size_t k = 0; k < m->n_tasks; k++) {
        if (m->tasks[k].tower.layers.n > n) n = m->tasks[k].tower.layers.n;
        if (m->tasks[k].gate.layers.n > n) n = m->tasks[k].gate.layers.n;
    }
    return n + 1;
}

enum { OPS = 8 /* ops of a net besides cross layers, at most */ };

/* Every array has room for the largest plan that the configuration can make. */
static enum status plan_reserve(struct plan *p)
{
    struct model *m = p->m;
    struct net *net = p->net;
    size_t K = m->n_tasks, levels = m->cfg.expert_levels + 1;
    size_t experts = m->cfg.expert_count + m->cfg.expert_shared;
    for (size_t k = 0; k < K; k++) experts += m->tasks[k].own;
    size_t units = levels * (experts + K + 1) + K + 1;
    size_t layers = units * longest_stack(m);
    size_t blocks = levels * (K + 1) + K + 1, cross = NET_PARTS * m->cfg.cross_layers;
    net->units = arena_take(m->arena, units, sizeof *net->units);
    net->layers = arena_take(m->arena, layers, sizeof *net->layers);
    net->blocks = arena_take(m->arena, blocks, sizeof *net->blocks);
    net->buffers = arena_take(m->arena, layers + 2 * blocks + 2 + OPS + 3 * cross + 4 * K,
                              sizeof *net->buffers);
    net->mixes = arena_take(m->arena, blocks, sizeof *net->mixes);
    net->experts = arena_take(m->arena, levels * experts + 1, sizeof *net->experts);
    net->ops = arena_take(m->arena, OPS + cross, sizeof *net->ops);
    net->levels = arena_take(m->arena, levels + 2 + OPS, sizeof *net->levels);
    net->heads = arena_take(m->arena, K, sizeof *net->heads);
    p->branch = arena_take(m->arena, K + 1, sizeof *p->branch);
    p->width = arena_take(m->arena, K + 1, sizeof *p->width);
    if (!net->units || !net->layers || !net->blocks || !net->buffers || !net->mixes ||
        !net->experts || !net->ops || !net->levels || !net->heads || !p->branch ||
        !p->width) {
        return plan_nomem(p);
    }
    return ST_OK;
}

/* ---- after the architecture ---- */

/* Direct inputs are added to the logits of all tasks at once. */
static enum status plan_direct(struct plan *p)
{
    struct net *net = p->net;
    if (p->m->n_direct == 0) return ST_OK;
    net->direct.ld = net_round(p->m->n_tasks, NET_PAD);
    net->direct.w = plan_params(p, net->direct.n * net->direct.ld);
    for (size_t k = 1; k < p->m->n_tasks; k++)
        if (net->heads[k].buf != net->heads[0].buf ||
            net->heads[k].col != net->heads[0].col + k)
            return op_sum_add(p, net->heads, 1);
    return ST_OK;
}

/* True when the gradients of several tasks meet somewhere before the embeddings. */
static bool tasks_meet(const struct net *net)
{
    bool meet = false;
    for (size_t i = 0; i < net->n_blocks; i++) meet |= net->blocks[i].meeting;
    for (size_t i = 0; i < net->n_levels; i++) meet |= net->levels[i].meeting;
    return meet;
}

static enum status plan_balance(struct plan *p)
{
    enum balance_kind kind = p->m->cfg.balance.kind;
    p->net->log_variance = NET_NONE;
    if (kind == BALANCE_UNCERTAINTY) p->net->log_variance = plan_params(p, p->m->n_tasks);
    bool surgery = kind == BALANCE_PCGRAD || kind == BALANCE_MGDA;
    if (!surgery || p->m->n_tasks == 1 || tasks_meet(p->net)) return ST_OK;
    return error_set(p->err, ST_USAGE,
                     "model.balance: %s compares the gradients that tasks send to a shared "
                     "bottom, a shared mixture or shared experts; this model has "
                     "none of them",
                     kind == BALANCE_MGDA ? "mgda" : "pcgrad");
}

/* Who comes first on the way back to a buffer's readers overwrites its gradient. */
static enum status plan_gradients(struct plan *p)
{
    struct net *net = p->net;
    bool *written = arena_take(p->m->arena, net->n_buffers, sizeof *written);
    if (written == NULL) return plan_nomem(p);
    for (size_t i = net->n_levels; i-- > 0;) {
        const struct net_level *level = &net->levels[i];
        for (size_t j = level->n_ops; j-- > 0;) {
            struct net_op *op = &net->ops[level->first_op + j];
            for (size_t s = 0; s < op->n_src; s++) {
                op->add[s] = written[op->src[s]];
                written[op->src[s]] = true;
            }
        }
        for (size_t j = level->n_blocks; j-- > 0;) {
            struct net_block *b = &net->blocks[level->first_block + j];
            if (b->src == NET_X) continue;
            b->add = written[b->src];
            written[b->src] = true;
        }
    }
    return ST_OK;
}

static bool has_pairs(enum model_type type)
{
    return type == MODEL_FM || type == MODEL_DEEPFM;
}

/* lr and fm have nothing that reads x as a whole. */
static bool has_cross(const struct model_cfg *cfg)
{
    return cfg->type != MODEL_LR && cfg->type != MODEL_FM && cfg->cross_layers > 0;
}

/* The stage's buffer of each part, or that of the last cross layer over it, takes the
 * place of x. */
static enum status plan_input_stage(struct plan *p)
{
    for (p->part = 0; p->part < p->m->n_parts; p->part++) {
        size_t width = p->m->x_width[p->part], x = plan_buffer(p, width);
        p->net->x_buf[p->part] = p->x[p->part] = x;
        if (has_cross(&p->m->cfg)) TRY(op_cross_add(p, width, x, &p->x[p->part]));
    }
    p->part = 0;
    return ST_OK;
}

bool plan_has_input_stage(const struct model_cfg *cfg)
{
    return has_cross(cfg) || has_pairs(cfg->type) || cfg->type == MODEL_TWO_TOWER;
}

enum status plan_build(struct model *m, struct error *err)
{
    struct plan p = {.m = m, .net = &m->net, .err = err, .x = {NET_X, NET_X}};
    TRY(plan_reserve(&p));
    plan_buffer(&p, NET_PAD); /* NET_Y, sized by its block */
    m->net.x_block = m->net.match = NET_NONE;
    for (size_t i = 0; i < NET_PARTS; i++) m->net.x_buf[i] = NET_NONE;
    m->net.logits = plan_buffer(&p, m->n_tasks);
    if (plan_has_input_stage(&m->cfg)) TRY(plan_input_stage(&p));
    for (size_t k = 0; k < m->n_tasks; k++) {
        p.branch[k] = p.x[0];
        p.width[k] = m->n_x;
    }
    TRY(plan_type(&p));
    attention_plan(&p);
    TRY(plan_direct(&p));
    TRY(plan_balance(&p));
    return plan_gradients(&p);
}
