/* From a configuration to a net. Each architecture is a few lines at the end of
 * this file; what they share is how levels, blocks and parameters are laid out. */
#include "model/net.h"

#include <string.h>

struct plan {
    struct model *m;
    struct net *net;
    size_t *branch;  /* [K + 1] buffer that carries task k's path; [K]: the shared path */
    size_t *width;   /* [K + 1] its width without padding */
    struct error *err;
};

/* The sizes of a stack: hidden layers, then a linear one of `last` units unless
 * last is 0 (then every layer is activated). */
struct stack {
    const struct mlp_cfg *mlp;
    size_t last;
};

static size_t stack_layers(struct stack s)
{
    return s.mlp->layers.n + (s.last > 0);
}

static enum status nomem(struct plan *p)
{
    return mem_error(p->err, "plan of the model", 0);
}

/* ---- nodes ---- */

static size_t buffer_add(struct plan *p, size_t width)
{
    struct net *net = p->net;
    net->buffers[net->n_buffers].width = net_round(width, NET_PAD);
    return net->n_buffers++;
}

static size_t params_add(struct plan *p, size_t n)
{
    size_t at = p->net->n_params;
    p->net->n_params = net_round(at + n, 16);
    return at;
}

/* A unit of the block that was begun last; block_end() places its layers. */
static void unit_add(struct plan *p, const char *name, enum unit_role role, size_t task,
                     struct stack s, size_t in)
{
    struct net *net = p->net;
    struct net_unit *u = &net->units[net->n_units++];
    *u = (struct net_unit){name, role, task, net->n_layers, stack_layers(s)};
    for (size_t i = 0; i < u->n_layers; i++) {
        bool last = s.last > 0 && i + 1 == u->n_layers;
        size_t out = last ? s.last : s.mlp->layers.v[i];
        net->layers[net->n_layers++] = (struct net_layer){
            .in = in, .out = out, .linear = last, .act = s.mlp->activation};
        in = out;
    }
    net->blocks[net->n_blocks - 1].n_units++;
    net->levels[net->n_levels - 1].n_units++;
}

static void block_begin(struct plan *p, size_t src, size_t in)
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

static bool needs_input(enum activation act)
{
    return act == ACT_GELU || act == ACT_SILU;
}

/* Activated columns of the block, neighbours with one activation joined. */
static enum status block_runs(struct plan *p, struct net_block *b)
{
    struct net *net = p->net;
    struct net_run *runs = arena_take(p->m->arena, b->n_units, sizeof *runs);
    if (runs == NULL) return nomem(p);
    for (size_t i = 0; i < b->n_units; i++) {
        const struct net_unit *u = &net->units[b->first_unit + i];
        const struct net_layer *l = &net->layers[u->first];
        size_t n = slot_width(u, l->out);
        if (l->linear) continue;
        struct net_run *r = b->n_runs > 0 ? &runs[b->n_runs - 1] : NULL;
        if (r != NULL && r->act == l->act && r->col + r->n == l->dst_col) {
            r->n += n;
        } else {
            runs[b->n_runs++] = (struct net_run){l->dst_col, n, l->act};
        }
        if (needs_input(l->act)) net->buffers[b->dst].pre = true;
    }
    b->runs = runs;
    return ST_OK;
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
        l->w = params_add(p, l->in * l->ldw);
        l->b = params_add(p, l->out);
        if (u->role == UNIT_TOWER && i + 1 == u->n_layers) {
            l->dst = net->logits;
            l->dst_col = u->task;
        } else {
            l->dst = buffer_add(p, l->out);
            net->buffers[l->dst].pre = !l->linear && needs_input(l->act);
        }
    }
}

static enum status block_end(struct plan *p)
{
    struct net *net = p->net;
    struct net_block *b = &net->blocks[net->n_blocks - 1];
    for (size_t i = 0; i < b->n_units; i++) {
        const struct net_unit *u = &net->units[b->first_unit + i];
        net->layers[u->first].dst_col = b->n;
        b->n += slot_width(u, net->layers[u->first].out);
    }
    b->n = net_round(b->n, b->src == NET_X ? NET_PAD_X : NET_PAD);
    b->dst = b->src == NET_X ? NET_Y : buffer_add(p, b->n);
    if (b->dst == NET_Y) net->buffers[NET_Y].width = b->n;
    b->w = params_add(p, b->in * b->n);
    b->b = params_add(p, b->n);
    for (size_t i = 0; i < b->n_units; i++) {
        struct net_unit *u = &net->units[b->first_unit + i];
        struct net_layer *l = &net->layers[u->first];
        l->src = b->src;
        l->dst = b->dst;
        l->w = b->w + l->dst_col;
        l->ldw = b->n;
        l->b = b->b + l->dst_col;
        unit_rest(p, u);
    }
    return block_runs(p, b);
}

static void level_begin(struct plan *p)
{
    struct net *net = p->net;
    net->levels[net->n_levels++] = (struct net_level){.first_block = net->n_blocks,
                                                      .first_unit = net->n_units,
                                                      .first_mix = net->n_mixes,
                                                      .first_expert = net->n_experts};
}

/* ---- levels of experts and gates ---- */

/* Group g is task g for g < K, and the shared group for g = K. */
struct extraction {
    size_t index;       /* of the level, in names */
    const size_t *own;  /* [K] experts of each task */
    size_t shared;
    bool task_gates;    /* false: one gate for all tasks (omoe) */
    bool shared_gate;   /* a gate over all experts feeds the shared path */
};

static const char *group_name(const struct plan *p, size_t g)
{
    return g < p->m->n_tasks ? p->m->tasks[g].name : "shared";
}

static size_t group_experts(const struct plan *p, const struct extraction *x, size_t g)
{
    return g < p->m->n_tasks ? x->own[g] : x->shared;
}

static bool group_gate(const struct plan *p, const struct extraction *x, size_t g)
{
    return g < p->m->n_tasks ? x->task_gates : x->shared_gate || !x->task_gates;
}

/* Experts that the gate of group g mixes: a task's own, then the shared ones;
 * the shared gate mixes all experts of the level. */
static size_t gate_width(const struct plan *p, const struct extraction *x, size_t g)
{
    size_t n = x->shared;
    if (g < p->m->n_tasks) return n + x->own[g];
    for (size_t k = 0; k < p->m->n_tasks; k++) n += x->own[k];
    return n;
}

static enum status experts_add(struct plan *p, const struct extraction *x, size_t g, size_t in)
{
    struct stack s = {&p->m->cfg.experts, 0};
    for (size_t i = 0; i < group_experts(p, x, g); i++) {
        const char *name = arena_printf(p->m->arena, "expert/level%zu/%s/%zu", x->index,
                                        group_name(p, g), i);
        if (name == NULL) return nomem(p);
        unit_add(p, name, UNIT_EXPERT, NET_NONE, s, in);
    }
    return ST_OK;
}

static enum status gate_add(struct plan *p, const struct extraction *x, size_t g, size_t in)
{
    if (!group_gate(p, x, g)) return ST_OK;
    bool of_task = g < p->m->n_tasks;
    struct stack s = {of_task ? &p->m->tasks[g].gate : &p->m->cfg.gates, gate_width(p, x, g)};
    const char *name =
        arena_printf(p->m->arena, "gate/level%zu/%s", x->index, group_name(p, g));
    if (name == NULL) return nomem(p);
    unit_add(p, name, UNIT_GATE, NET_NONE, s, in);
    return ST_OK;
}

/* Level 0 reads x in one block; later levels have a block for each path. */
static enum status level_units(struct plan *p, const struct extraction *x)
{
    size_t n_groups = p->m->n_tasks + 1;
    if (x->index == 0) {
        block_begin(p, NET_X, p->m->n_x);
        for (size_t g = 0; g < n_groups; g++) TRY(experts_add(p, x, g, p->m->n_x));
        for (size_t g = 0; g < n_groups; g++) TRY(gate_add(p, x, g, p->m->n_x));
        return block_end(p);
    }
    for (size_t g = 0; g < n_groups; g++) {
        if (group_experts(p, x, g) == 0 && !group_gate(p, x, g)) continue;
        block_begin(p, p->branch[g], p->width[g]);
        TRY(experts_add(p, x, g, p->width[g]));
        TRY(gate_add(p, x, g, p->width[g]));
        TRY(block_end(p));
    }
    return ST_OK;
}

/* The units of a level, group after group, are: experts and gates of group 0 ...
 * (level 0: all experts, then all gates). Either way experts come in group order. */
static void level_experts(struct plan *p, struct net_level *level)
{
    struct net *net = p->net;
    for (size_t i = 0; i < level->n_units; i++) {
        const struct net_unit *u = &net->units[level->first_unit + i];
        if (u->role != UNIT_EXPERT) continue;
        const struct net_layer *l = &net->layers[u->first + u->n_layers - 1];
        net->experts[net->n_experts++] = (struct net_expert){.buf = l->dst, .col = l->dst_col};
        level->width = net_round(l->out, NET_PAD);
    }
    level->n_experts = net->n_experts - level->first_expert;
}

static enum status mix_add(struct plan *p, const struct extraction *x, size_t g,
                           const struct net_unit *gate)
{
    struct net *net = p->net;
    struct net_level *level = &net->levels[net->n_levels - 1];
    const struct net_layer *l = &net->layers[gate->first + gate->n_layers - 1];
    size_t *expert = arena_take(p->m->arena, l->out, sizeof *expert);
    if (expert == NULL) return nomem(p);
    size_t n = 0, at = level->first_expert;
    for (size_t h = 0; h <= p->m->n_tasks; h++) {
        bool sees = h == g || h == p->m->n_tasks || g == p->m->n_tasks;
        for (size_t i = 0; i < group_experts(p, x, h); i++, at++)
            if (sees) expert[n++] = at;
    }
    size_t dst = buffer_add(p, level->width);
    net->mixes[net->n_mixes++] =
        (struct net_mix){gate->name, l->dst, l->dst_col, n, expert, dst};
    level->n_mixes++;
    return ST_OK;
}

/* Invert the mixes' lists: which mixes see each expert. */
static enum status level_seen(struct plan *p, const struct net_level *level)
{
    struct net *net = p->net;
    for (size_t e = level->first_expert; e < net->n_experts; e++) {
        struct net_seen *seen = arena_take(p->m->arena, level->n_mixes, sizeof *seen);
        if (seen == NULL) return nomem(p);
        size_t n = 0;
        for (size_t j = level->first_mix; j < net->n_mixes; j++)
            for (size_t i = 0; i < net->mixes[j].n; i++)
                if (net->mixes[j].expert[i] == e) seen[n++] = (struct net_seen){j, i};
        net->experts[e].seen = seen;
        net->experts[e].n_seen = n;
    }
    return ST_OK;
}

/* All experts of a level are computed before a branch is written: the mixes of
 * a level run after its last unit, into new buffers. */
static enum status level_add(struct plan *p, const struct extraction *x)
{
    struct net *net = p->net;
    size_t K = p->m->n_tasks, unit = net->n_units;
    level_begin(p);
    struct net_level *level = &net->levels[net->n_levels - 1];
    TRY(level_units(p, x));
    level_experts(p, level);
    size_t width = p->m->cfg.experts.layers.v[p->m->cfg.experts.layers.n - 1];
    for (size_t g = 0; g <= K; g++) {
        if (!group_gate(p, x, g)) continue;
        while (net->units[unit].role != UNIT_GATE) unit++;
        TRY(mix_add(p, x, g, &net->units[unit++]));
        p->branch[g] = net->mixes[net->n_mixes - 1].dst;
        p->width[g] = width;
    }
    for (size_t k = 0; k < K && !x->task_gates; k++) {
        p->branch[k] = p->branch[K];
        p->width[k] = width;
    }
    return level_seen(p, level);
}

/* ---- towers ---- */

/* Towers that read one buffer share a block. */
static enum status towers_add(struct plan *p, const char *prefix, const struct mlp_cfg *mlp)
{
    struct model *m = p->m;
    level_begin(p);
    for (size_t k = 0; k < m->n_tasks; k++) {
        bool first = true;
        for (size_t j = 0; j < k; j++) first &= p->branch[j] != p->branch[k];
        if (!first) continue;
        block_begin(p, p->branch[k], p->width[k]);
        for (size_t j = k; j < m->n_tasks; j++) {
            if (p->branch[j] != p->branch[k]) continue;
            const char *name = arena_printf(m->arena, "%s/%s", prefix, m->tasks[j].name);
            if (name == NULL) return nomem(p);
            struct stack s = {mlp != NULL ? mlp : &m->tasks[j].tower, 1};
            unit_add(p, name, UNIT_TOWER, j, s, p->width[k]);
        }
        TRY(block_end(p));
    }
    for (size_t i = 0; i < p->net->n_units; i++) {
        const struct net_unit *u = &p->net->units[i];
        if (u->role != UNIT_TOWER) continue;
        const struct net_layer *l = &p->net->layers[u->first + u->n_layers - 1];
        p->net->heads[u->task] = (struct net_head){l->dst, l->dst_col};
    }
    return ST_OK;
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

/* Caruana: one stack for all, then a tower per task. */
static enum status plan_share_bottom(struct plan *p)
{
    level_begin(p);
    block_begin(p, NET_X, p->m->n_x);
    unit_add(p, "bottom", UNIT_BOTTOM, NET_NONE, (struct stack){&p->m->cfg.bottom, 0}, p->m->n_x);
    TRY(block_end(p));
    const struct net_layer *l = &p->net->layers[p->net->n_layers - 1];
    for (size_t k = 0; k < p->m->n_tasks; k++) {
        p->branch[k] = l->dst;
        p->width[k] = l->out;
    }
    return towers_add(p, "tower", NULL);
}

/* MMoE eq. 6-7: shared experts, a gate per task; omoe: one gate for all. */
static enum status plan_mmoe(struct plan *p, bool one_gate)
{
    size_t *own = arena_take(p->m->arena, p->m->n_tasks, sizeof *own);
    if (own == NULL) return nomem(p);
    struct extraction x = {0, own, p->m->cfg.expert_count, !one_gate, one_gate};
    TRY(level_add(p, &x));
    return towers_add(p, "tower", NULL);
}

/* PLE sec. 4.1-4.3. CGC is the case of one level. The last level has no shared
 * gate, and a level without shared experts has nothing to read a shared path. */
static enum status plan_ple(struct plan *p, size_t n_levels)
{
    const struct model *m = p->m;
    size_t *own = arena_take(m->arena, m->n_tasks, sizeof *own);
    if (own == NULL) return nomem(p);
    for (size_t k = 0; k < m->n_tasks; k++) own[k] = m->tasks[k].own;
    for (size_t i = 0; i < n_levels; i++) {
        bool last = i + 1 == n_levels;
        struct extraction x = {i, own, m->cfg.expert_shared, true,
                               !last && m->cfg.expert_shared > 0};
        TRY(level_add(p, &x));
    }
    return towers_add(p, "tower", NULL);
}

static enum status plan_type(struct plan *p)
{
    const struct model_cfg *c = &p->m->cfg;
    switch (c->type) {
    case MODEL_LR: return plan_lr(p);
    case MODEL_DNN: return plan_dnn(p);
    case MODEL_SHARE_BOTTOM: return plan_share_bottom(p);
    case MODEL_OMOE: return plan_mmoe(p, true);
    case MODEL_MMOE: return plan_mmoe(p, false);
    case MODEL_CGC: return plan_ple(p, 1);
    case MODEL_PLE: return plan_ple(p, c->expert_levels);
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
    for (size_t k = 0; k < m->n_tasks; k++) {
        if (m->tasks[k].tower.layers.n > n) n = m->tasks[k].tower.layers.n;
        if (m->tasks[k].gate.layers.n > n) n = m->tasks[k].gate.layers.n;
    }
    return n + 1;
}

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
    size_t blocks = levels * (K + 1) + K + 1;
    net->units = arena_take(m->arena, units, sizeof *net->units);
    net->layers = arena_take(m->arena, layers, sizeof *net->layers);
    net->blocks = arena_take(m->arena, blocks, sizeof *net->blocks);
    net->buffers = arena_take(m->arena, layers + 2 * blocks + 2, sizeof *net->buffers);
    net->mixes = arena_take(m->arena, blocks, sizeof *net->mixes);
    net->experts = arena_take(m->arena, levels * experts + 1, sizeof *net->experts);
    net->levels = arena_take(m->arena, levels + 1, sizeof *net->levels);
    net->heads = arena_take(m->arena, K, sizeof *net->heads);
    p->branch = arena_take(m->arena, K + 1, sizeof *p->branch);
    p->width = arena_take(m->arena, K + 1, sizeof *p->width);
    if (!net->units || !net->layers || !net->blocks || !net->buffers || !net->mixes ||
        !net->experts || !net->levels || !net->heads || !p->branch || !p->width) {
        return nomem(p);
    }
    return ST_OK;
}

enum status plan_build(struct model *m, struct error *err)
{
    struct plan p = {.m = m, .net = &m->net, .err = err};
    TRY(plan_reserve(&p));
    buffer_add(&p, NET_PAD); /* NET_Y, sized by its block */
    m->net.logits = buffer_add(&p, m->n_tasks);
    for (size_t k = 0; k < m->n_tasks; k++) {
        p.branch[k] = NET_X;
        p.width[k] = m->n_x;
    }
    return plan_type(&p);
}
