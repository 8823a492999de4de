/* The toy job over loopback: a thread per rank. */
#ifndef MTPS_TESTS_TOY_CLUSTER_H
#define MTPS_TESTS_TOY_CLUSTER_H

#include "tests/lib/toy_job.h"

enum { TOY_MAX_RANKS = 12 };

struct toy_outcome {
    enum status st;
    struct error err;
};

/* Runs the job on n ranks; outcome[n] may be NULL, then any failure fails the
 * test. out: as toy_job_rank. */
void toy_cluster(const struct toy_job *job, int n, uint64_t delay_seed,
                 struct toy_state *out, struct toy_outcome *outcome);

#endif
