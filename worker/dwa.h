/* Dynamic weight average (model.balance: dwa) over a job: the mean losses of the last two
 * windows of steps decide the tasks' weights in the next one (balance.h).
 *
 *   window 0   window 1   window 2        windows end at steps that are multiples of
 *   weight 1   weight 1   weight by       balance.dwa.window, also after a resume
 *                         loss 1 / loss 0
 *
 * Every lane adds up its own losses step after step, and the leader adds the lanes in
 * order, so weights have the same bits for any workers and threads. Unfinished sums are
 * part of a checkpoint. Calls marked collective are made by all workers together; the
 * thread that owns the transport makes all of them. */
#ifndef MTPS_WORKER_DWA_H
#define MTPS_WORKER_DWA_H

#include "common/store/ckpt.h"
#include "worker/crew.h"
#include "worker/session.h"

struct dwa;
/* *out is NULL when the session's model has another balance. ckpt: where the run goes on
 * from (its state read), or NULL. ST_MISMATCH when its state is not there. */
enum status dwa_create(const struct session *s, const struct crew *crew,
                       struct ckpt *ckpt, struct dwa **out,
                       struct error *err) MUST_USE;
void dwa_destroy(struct dwa *d);

/* Weights of the tasks for the next step: [n_tasks], valid until dwa_destroy. NULL of
 * NULL. */
const double *dwa_weight(const struct dwa *d);

/* A lane's sums of losses in a step that counted, and its rows: sums over all lanes divided
 * by all rows are the tasks' mean losses. */
void dwa_add(struct dwa *d, size_t lane, const double *loss, size_t rows);
/* So many steps are done: at the end of a window new weights. Collective; nothing of NULL. */
enum status dwa_edge(struct dwa *d, uint64_t steps, struct error *err) MUST_USE;

/* The state for a checkpoint, collective; on the leader dwa_state() gives it then. */
enum status dwa_collect(struct dwa *d, struct error *err) MUST_USE;
/* NULL of NULL; valid until the next call for d. */
const struct named_array *dwa_state(const struct dwa *d);

#endif
