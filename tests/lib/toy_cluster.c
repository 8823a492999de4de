#include "tests/lib/toy_cluster.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { MAX_DELAY = 40 }; /* polls */

struct rank {
    pthread_t thread;
    const struct toy_job *job;
    struct loop *loop;
    int number;
    struct toy_outcome outcome;
    struct toy_state *out;
};

static void *run_rank(void *arg)
{
    struct rank *r = arg;
    struct transport *t = loop_rank(r->loop, r->number);
    transport_deadline(t, 20);
    r->outcome.st = toy_job_rank(r->job, t, r->out, &r->outcome.err);
    if (r->outcome.st == ST_OK) r->outcome.st = transport_close(t, &r->outcome.err);
    return NULL;
}

void toy_cluster(const struct toy_job *job, int n, uint64_t delay_seed,
                 struct toy_state *out, struct toy_outcome *outcome)
{
    struct loop *loop;
    struct rank ranks[TOY_MAX_RANKS];
    assert_int_equal(loop_create(n, delay_seed, MAX_DELAY, &loop, NULL), ST_OK);
    for (int i = 0; i < n; i++) {
        ranks[i] =
            (struct rank){.job = job, .loop = loop, .number = i, .out = i ? NULL : out};
        assert_int_equal(pthread_create(&ranks[i].thread, NULL, run_rank, &ranks[i]), 0);
    }
    for (int i = 0; i < n; i++) pthread_join(ranks[i].thread, NULL);
    for (int i = 0; i < n; i++) {
        if (outcome)
            outcome[i] = ranks[i].outcome;
        else if (ranks[i].outcome.st != ST_OK)
            fail_msg("rank %d of %d: %s", i, n, ranks[i].outcome.err.text);
    }
    loop_destroy(loop);
}
