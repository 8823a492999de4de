/* Towers of a funnel's steps: esmm's say how many go on, aitm's hand on what they know.
 * Both read x, or a bottom that all tasks share. */
#include "model/op.h"

/* Entire Space Multi-Task Model (SIGIR'18): pCTCVR = pCTR pCVR, over all rows. */
enum status plan_esmm(struct plan *p)
{
    TRY(plan_bottom(p));
    TRY(plan_towers(p, "tower", NULL, UNIT_TOWER));
    return op_joint_add(p);
}

/* Where the towers of the level begun last leave their last hidden layer. */
static struct net_head *tower_ends(struct plan *p)
{
    const struct net *net = p->net;
    const struct net_level *level = &net->levels[net->n_levels - 1];
    struct net_head *ends = arena_take(p->m->arena, p->m->n_tasks, sizeof *ends);
    for (size_t i = 0; ends != NULL && i < level->n_units; i++) {
        const struct net_unit *u = &net->units[level->first_unit + i];
        const struct net_layer *l = &net->layers[u->first + u->n_layers - 1];
        ends[u->task] = (struct net_head){l->dst, l->dst_col};
    }
    return ends;
}

/* Adaptive Information Transfer Multi-task (KDD'21): towers without their output, the
 * transfer along the funnel, a linear head each. */
enum status plan_aitm(struct plan *p)
{
    static const struct mlp_cfg linear = {0};
    TRY(plan_bottom(p));
    TRY(plan_towers(p, "tower", NULL, UNIT_BOTTOM));
    const struct net_head *ends = tower_ends(p);
    if (ends == NULL) return plan_nomem(p);
    TRY(op_transfer_add(p, ends));
    return plan_towers(p, "head", &linear, UNIT_TOWER);
}
