/* The workers of a job among themselves, on CHANNEL_WORKERS: the leader (worker
 * 0) collects from all and tells all. In one process there is nobody else.
 * Every call is collective over the workers, made in the same order by all; only
 * the thread that owns the transport may call. */
#ifndef MTPS_WORKER_CREW_H
#define MTPS_WORKER_CREW_H

#include "common/net/topology.h"
#include "common/net/transport.h"

struct crew {
    struct transport *net;           /* NULL in one process */
    const struct topology *topology; /* NULL in one process */
    size_t worker, n_workers;
};

/* Leader: take(arg, worker, message) for workers 0, 1, 2 ... in order, its own bytes first.
 * Others: send theirs. what: for errors. */
enum status crew_gather(const struct crew *c, const void *data, size_t bytes, const char *what,
                        enum status (*take)(void *arg, size_t worker, const struct message *m,
                                            struct error *err),
                        void *arg, struct error *err) MUST_USE;

/* Copy `bytes` bytes of the leader into everybody's data. */
enum status crew_tell(const struct crew *c, void *data, size_t bytes, const char *what,
                      struct error *err) MUST_USE;

#endif
