/* A hot start from beginning to end (docs/hot-start.md):
 *
 *   hot_start_find    leader: the checkpoint, with every hash compared, before all else
 *   hot_start_open    other workers: the same one
 *   (session->hot, session_model: statistics and model)
 *   hot_start_plan    every worker: what is taken from where (worker/hot_plan.h)
 *   hot_start_load    leader: rows and tensors to the servers
 *
 * Nothing depends on the number of servers, workers or threads. */
#ifndef MTPS_WORKER_HOT_START_H
#define MTPS_WORKER_HOT_START_H

#include "worker/client.h"
#include "worker/hot_plan.h"
#include "worker/session.h"
#include "worker/train_state.h"

struct hot_start {
    char *path;         /* of the checkpoint; NULL: mode cold without one */
    struct ckpt *ckpt;
    struct hot_plan *plan;
};

/* ST_NOINPUT when there is no checkpoint, or a damaged or foreign one. */
enum status hot_start_find(const struct settings *s, struct hot_start *h,
                           struct error *err) MUST_USE;
enum status hot_start_open(const char *path, struct hot_start *h, struct error *err) MUST_USE;
void hot_start_close(struct hot_start *h);

enum status hot_start_plan(struct hot_start *h, const struct session *s,
                           struct error *err) MUST_USE;
/* Gives the counters that training starts from. */
enum status hot_start_load(const struct hot_start *h, const struct session *s,
                           struct client *client, struct train_state *start,
                           struct error *err) MUST_USE;

#endif
