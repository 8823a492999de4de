/* The toy job over real MPI: run by mpirun with any number of ranks; the number of
 * servers is the argument. Rank 0 compares with the plain reference. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/toy_job.h"

/* What goes wrong, for tests of failures: at step 5 the last worker (the highest
 * rank that is one) dies, stops, or naps while its heart beats. */
enum fault { FAULT_NONE, FAULT_KILL, FAULT_STOP, FAULT_SLOW };

struct plan {
    enum fault fault;
    int rank;
};

static void before(void *arg, struct transport *t, uint64_t step)
{
    const struct plan *p = arg;
    if (step != 5 || transport_rank(t) != p->rank) return;
    if (p->fault == FAULT_KILL) raise(SIGKILL);
    if (p->fault == FAULT_STOP) raise(SIGSTOP);
    for (unsigned i = 0; p->fault == FAULT_SLOW && i < 40; i++) {
        usleep(100 * 1000);
        transport_progress(t, i + 1);
    }
}

static enum fault parse_fault(const char *s)
{
    if (!strcmp(s, "kill")) return FAULT_KILL;
    if (!strcmp(s, "stop")) return FAULT_STOP;
    return strcmp(s, "slow") ? FAULT_NONE : FAULT_SLOW;
}

static int compare(const struct toy *t, const struct toy_state *got)
{
    struct toy_state expected;
    toy_reference(t, &expected);
    int bad = memcmp(expected.params, got->params, t->server.n_dense * sizeof(float)) ||
              expected.updates != got->updates;
    for (size_t i = 0; i < TOY_TABLES; i++)
        bad = bad || memcmp(expected.rows[i], got->rows[i],
                            TOY_KEYS * t->dims[i] * sizeof(float));
    toy_state_close(&expected);
    return bad;
}

static void make(struct toy *t, size_t dense)
{
    toy_make(t, 31);
    t->steps = 40;
    t->server.n_dense = dense;
    t->server.clip_norm = 0.9;
}

int main(int argc, char **argv)
{
    struct transport *net;
    struct error err;
    struct toy t;
    struct toy_state got;
    if (argc < 3 || !transport_mpi_launched()) return 64;
    enum status st = transport_mpi_open(60, &net, &err);
    if (st != ST_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        return status_exit_code(st);
    }
    struct plan plan = {argc > 3 ? parse_fault(argv[3]) : FAULT_NONE,
                        transport_size(net) - 2};
    make(&t, strtoul(argv[2], NULL, 10));
    struct toy_job job = {.toy = &t,
                          .n_servers = strtoul(argv[1], NULL, 10),
                          .n_shards = 2,
                          .before = before,
                          .arg = &plan,
                          .count_memory = true};
    /* Several segments even for a small message. */
    transport_segment_limit(net, 40000);
    bool segments = argc > 3 && !strcmp(argv[3], "segments");
    bool shared = argc > 3 && !strcmp(argv[3], "shared");
    /* One: only the last rank may not, so that both ways are taken in one job. */
    bool one = argc > 3 && !strcmp(argv[3], "mixed");
    /* Ranks that get no memory to share. */
    bool refused = argc > 3 && !strcmp(argv[3], "refused");
    if (refused) setrlimit(RLIMIT_FSIZE, &(struct rlimit){8192, 8192});
    transport_share(net, !segments && !(one && transport_rank(net) == transport_size(net) - 1));
    if (plan.fault != FAULT_NONE) transport_deadline(net, 2);
    st = toy_job_rank(&job, net, transport_rank(net) ? NULL : &got, &err);
    if (st != ST_OK) {
        fprintf(stderr, "rank %d: error: %s\n", transport_rank(net), err.text);
        transport_abort(net, status_exit_code(st));
    }
    bool leader = transport_rank(net) == 0;
    st = ST_OK;
    if (leader && compare(&t, &got)) st = error_set(&err, ST_INTERNAL, "the bits differ");
    if (leader) toy_state_close(&got);
    /* Servers answer everybody; a worker without lanes has nothing big to say. */
    bool server = transport_rank(net) >= transport_size(net) - (int)job.n_servers;
    if (shared && server && !transport_shared(net))
        st = error_set(&err, ST_INTERNAL, "no message went through shared memory");
    if ((segments || refused) && transport_shared(net))
        st = error_set(&err, ST_INTERNAL, "a message went through shared memory");
    st = transport_agree(net, st, "the result", &err);
    if (leader && st != ST_OK) fprintf(stderr, "error: %s\n", err.text);
    int code = status_exit_code(st);
    if (transport_close(net, &err) == ST_OK) return code;
    fprintf(stderr, "rank %d: error: %s\n", transport_rank(net), err.text);
    transport_abort(net, status_exit_code(ST_PEER));
}
