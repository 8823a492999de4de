/* Inside of the plan of a hot start: shared by hot_plan*.c alone. */
#ifndef MTPS_WORKER_HOT_PLAN_IMPL_H
#define MTPS_WORKER_HOT_PLAN_IMPL_H

#include "worker/hot_names.h"
#include "worker/hot_plan.h"

/* Names of one side: "table/NAME" first, then tensors. */
struct hot_side {
    const char **names;
    size_t n, n_tables;
    const struct settings *settings;
};

struct planning {
    struct hot_plan *p;
    const struct hot_start_cfg *h;
    struct ckpt *ckpt;       /* NULL: there is none */
    struct hot_side now, then;
    bool *taken;             /* [then.n] some target has this source */
    struct error *err;
};

/* hot_plan_check.c: the patterns all fit something, renames do not contradict. */
enum status hot_check_patterns(struct planning *pl) MUST_USE;
/* No pattern freezes parts of a new task. */
enum status hot_check_frozen(struct planning *pl) MUST_USE;
/* What a table needs besides a name: ids of one definition, dim, optimiser. */
enum status hot_check_table(struct planning *pl, const struct hot_target *t) MUST_USE;
/* Optimiser of the tensors, when their state is kept. */
enum status hot_check_dense(struct planning *pl) MUST_USE;

/* hot_plan_gate.c: columns of loaded gates, by the experts that they stand for. */
bool hot_is_gate(const char *name);
/* The gate is of a new task and copies that of new_task.gate: the source's name; NULL
 * with the error set when out of memory. */
const char *hot_gate_copied(struct planning *pl, const char *name);
/* There is no such source: the error. */
enum status hot_no_gate(struct planning *pl, const struct hot_target *t, const char *copy);
/* Fills t->columns when both sides' columns are known to be experts; *known says so. */
enum status hot_gate_columns(struct planning *pl, struct hot_target *t, bool *known) MUST_USE;

/* Is this a table of lr, or of a wide part? */
bool hot_is_by_task(const struct hot_side *side, const char *name);
/* Rows of those have a column per task: they follow the tasks' names. Fills
 * t->columns unless all are in their places. */
enum status hot_task_columns(struct planning *pl, struct hot_target *t, bool *known) MUST_USE;

/* Place of a name on a side, or SIZE_MAX. */
size_t hot_side_find(const struct hot_side *side, const char *name);
enum status hot_no_memory(struct planning *pl);

#endif
