/* One general level of experts and gates. With no own experts it is MMoE's, with one
 * gate OMoE's, with own experts CGC's, and several of them are PLE. */
#include "model/plan.h"

static const char *group_name(const struct plan *p, size_t g)
{
    return g < p->m->n_tasks ? p->m->tasks[g].name : "shared";
}

static size_t group_experts(const struct plan *p, const struct plan_level *x, size_t g)
{
    return g < p->m->n_tasks ? x->own[g] : x->shared;
}

static bool group_gate(const struct plan *p, const struct plan_level *x, size_t g)
{
    return g < p->m->n_tasks ? x->task_gates : x->shared_gate || !x->task_gates;
}

/* Experts that the gate of group g mixes: a task's own, then the shared ones;
 * the shared gate mixes all experts of the level. */
static size_t gate_width(const struct plan *p, const struct plan_level *x, size_t g)
{
    size_t n = x->shared;
    if (g < p->m->n_tasks) return n + x->own[g];
    for (size_t k = 0; k < p->m->n_tasks; k++) n += x->own[k];
    return n;
}

static enum status experts_add(struct plan *p, const struct plan_level *x, size_t g,
                               size_t in)
{
    struct plan_stack s = {&p->m->cfg.experts, 0};
    for (size_t i = 0; i < group_experts(p, x, g); i++) {
        const char *name = arena_printf(p->m->arena, "expert/level%zu/%s/%zu", x->index,
                                        group_name(p, g), i);
        if (name == NULL) return plan_nomem(p);
        plan_unit(p, name, UNIT_EXPERT, NET_NONE, s, in);
    }
    return ST_OK;
}

static enum status gate_add(struct plan *p, const struct plan_level *x, size_t g,
                            size_t in)
{
    if (!group_gate(p, x, g)) return ST_OK;
    bool of_task = g < p->m->n_tasks;
    struct plan_stack s = {of_task ? &p->m->tasks[g].gate : &p->m->cfg.gates,
                           gate_width(p, x, g)};
    const char *name =
        arena_printf(p->m->arena, "gate/level%zu/%s", x->index, group_name(p, g));
    if (name == NULL) return plan_nomem(p);
    plan_unit(p, name, UNIT_GATE, NET_NONE, s, in);
    return ST_OK;
}

/* Level 0 reads x in one block; later levels have a block for each path. */
static enum status level_units(struct plan *p, const struct plan_level *x)
{
    size_t n_groups = p->m->n_tasks + 1;
    if (x->index == 0) {
        plan_block_begin(p, p->x[0], p->m->n_x);
        for (size_t g = 0; g < n_groups; g++) TRY(experts_add(p, x, g, p->m->n_x));
        for (size_t g = 0; g < n_groups; g++) TRY(gate_add(p, x, g, p->m->n_x));
        return plan_block_end(p);
    }
    for (size_t g = 0; g < n_groups; g++) {
        if (group_experts(p, x, g) == 0 && !group_gate(p, x, g)) continue;
        plan_block_begin(p, p->branch[g], p->width[g]);
        TRY(experts_add(p, x, g, p->width[g]));
        TRY(gate_add(p, x, g, p->width[g]));
        TRY(plan_block_end(p));
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
        net->experts[net->n_experts++] =
            (struct net_expert){.buf = l->dst, .col = l->dst_col};
        level->width = net_round(l->out, NET_PAD);
    }
    level->n_experts = net->n_experts - level->first_expert;
}

static enum status mix_add(struct plan *p, const struct plan_level *x, size_t g,
                           const struct net_unit *gate)
{
    struct net *net = p->net;
    struct net_level *level = &net->levels[net->n_levels - 1];
    const struct net_layer *l = &net->layers[gate->first + gate->n_layers - 1];
    size_t *expert = arena_take(p->m->arena, l->out, sizeof *expert);
    if (expert == NULL) return plan_nomem(p);
    size_t n = 0, at = level->first_expert;
    for (size_t h = 0; h <= p->m->n_tasks; h++) {
        bool sees = h == g || h == p->m->n_tasks || g == p->m->n_tasks;
        for (size_t i = 0; i < group_experts(p, x, h); i++, at++)
            if (sees) expert[n++] = at;
    }
    size_t dst = plan_buffer(p, level->width);
    net->mixes[net->n_mixes++] =
        (struct net_mix){gate->name, g < p->m->n_tasks ? g : NET_NONE,
                         l->dst, l->dst_col, n, expert, dst};
    level->n_mixes++;
    return ST_OK;
}

/* Invert the mixes' lists: which mixes see each expert. */
static enum status level_seen(struct plan *p, struct net_level *level)
{
    struct net *net = p->net;
    for (size_t e = level->first_expert; e < net->n_experts; e++) {
        struct net_seen *seen = arena_take(p->m->arena, level->n_mixes, sizeof *seen);
        if (seen == NULL) return plan_nomem(p);
        size_t n = 0, n_tasks = 0;
        for (size_t j = level->first_mix; j < net->n_mixes; j++)
            for (size_t i = 0; i < net->mixes[j].n; i++) {
                if (net->mixes[j].expert[i] != e) continue;
                seen[n++] = (struct net_seen){j, i};
                n_tasks += net->mixes[j].task != NET_NONE;
            }
        net->experts[e].seen = seen;
        net->experts[e].n_seen = n;
        net->experts[e].meeting = n_tasks > 1;
        level->meeting |= n_tasks > 1;
    }
    return ST_OK;
}

/* All experts of a level are computed before a branch is written: the mixes of
 * a level run after its last unit, into new buffers. */
enum status plan_extraction(struct plan *p, const struct plan_level *x)
{
    struct net *net = p->net;
    size_t K = p->m->n_tasks, unit = net->n_units;
    plan_level_begin(p);
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
