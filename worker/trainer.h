/* The step loop of one worker (DESIGN section 5):
 *
 *   compute   each lane forward and backward           all threads
 *   reduce    sums up the worker's part of the tree    all threads
 *   exchange  push(s) + pull(s + 1), one message per server
 *             meanwhile: build batch(s + 2), unite its keys; and in one process
 *             the computing threads apply the servers' shards
 *
 * Three batches are in flight, one per slot (step mod 3). After the first steps
 * nothing is allocated. Only the thread that made the trainer calls it. */
#ifndef MTPS_WORKER_TRAINER_H
#define MTPS_WORKER_TRAINER_H

#include "worker/client.h"
#include "common/base/threads.h"
#include "worker/dwa.h"
#include "worker/report.h"
#include "worker/session.h"

struct trainer_spec {
    const struct session *session; /* with train data and model; borrowed, as all here */
    struct client *client;
    struct threads *threads;
    size_t worker, n_workers;
    uint64_t start_step, end_step; /* steps [start, end) */
    struct dwa *dwa;               /* gets the lanes' losses, gives weights; NULL: none */
};

struct trainer;
enum status trainer_create(const struct trainer_spec *spec, struct trainer **out, struct error *err) MUST_USE;
void trainer_destroy(struct trainer *t);

/* First pull. Comes once, before the first trainer_step. */
enum status trainer_begin(struct trainer *t, struct error *err) MUST_USE;
/* One step; flags: requests of this worker (wire_flags) in, those of all out. */
enum status trainer_step(struct trainer *t, uint32_t *flags, struct error *err) MUST_USE;

uint64_t trainer_message_bytes(const struct trainer *t); /* of a step message, at most */
uint64_t trainer_next_step(const struct trainer *t); /* steps done so far, from 0 */
uint64_t trainer_updates(const struct trainer *t);   /* as the servers count them */
uint64_t trainer_skipped(const struct trainer *t);   /* steps skipped for non-finite numbers */
uint64_t trainer_rows(const struct trainer *t);      /* rows of this worker's lanes */
/* Losses of this worker's lanes since the last call, [n_tasks], and the rows that they
 * are sums over; resets both. The sums of all workers, divided by all rows, are the
 * mean over each task's own sample space. Skipped steps do not count. */
void trainer_take_losses(struct trainer *t, double *loss, uint64_t *rows);
void trainer_times(const struct trainer *t, struct stage_times *out);

#endif
