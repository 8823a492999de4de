/* Checkpoints of a run as the leader makes and loads them: orders the servers to
 * write their files, gathers the dense part, commits; and the way back. */
#ifndef MTPS_WORKER_SAVER_H
#define MTPS_WORKER_SAVER_H

#include "common/store/file.h"
#include "worker/client.h"
#include "worker/session.h"
#include "worker/train_state.h"

struct saver_spec {
    const struct session *session;
    struct client *client;
    const char *run_dir;
    struct lock *lock; /* of the run directory */
    const char *run_uuid;
    const char *build; /* id of this program */
    const struct named_array *balance; /* more state, or NULL */
};

/* Write and commit a checkpoint of the state; logs "committed ..." only then.
 * Gives the path (mem_free). A failure leaves older checkpoints as they were. */
enum status saver_commit(const struct saver_spec *s, const struct train_state *state, char **path,
                         struct error *err) MUST_USE;
/* Name the best checkpoint (best.json), which retention keeps. */
enum status saver_mark_best(const struct saver_spec *s, const struct train_state *state, struct error *err) MUST_USE;

/* Load a checkpoint into the servers: rows, dense parameters
 * and their state, counters. state may be NULL. */
enum status saver_load(const struct session *session, struct client *client, const char *path,
                       struct ckpt *ckpt, struct train_state *state, struct error *err) MUST_USE;
/* Fresh start: initial dense parameters to the servers. */
enum status saver_init(const struct session *session, struct client *client, struct error *err) MUST_USE;

#endif
