/* The toy job of toy.h as one rank of a transport sees it: roles from the
 * topology, a server loop or a worker's client, and at the end the whole state on
 * rank 0. The same code runs over loopback threads and over MPI. */
#ifndef MTPS_TESTS_TOY_JOB_H
#define MTPS_TESTS_TOY_JOB_H

#include "common/net/topology.h"
#include "tests/lib/toy.h"
#include "worker/client.h"

struct toy_job {
    const struct toy *toy;
    size_t n_servers, n_shards;
    /* Called by workers before each message (NULL: nothing). */
    void (*before)(void *arg, struct transport *t, uint64_t step);
    void *arg;
    bool count_memory; /* warm steps of workers must not allocate */
    uint64_t first_step;
    /* Called on rank 0 alone before the first step and after the last one (NULL:
     * nothing), while the other workers wait. */
    enum status (*first)(void *arg, struct client *c, struct error *err);
    enum status (*last)(void *arg, struct client *c, struct error *err);
};

/* Statuses are those of this rank. out (rank 0 only) may be NULL; its memory is
 * the caller's. */
enum status toy_job_rank(const struct toy_job *job, struct transport *t,
                         struct toy_state *out, struct error *err) MUST_USE;

#endif
