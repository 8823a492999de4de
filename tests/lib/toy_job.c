#include "tests/lib/toy_job.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "ps/server.h"

enum { WARM = 25 }; /* steps until all buffers have their size */

static enum status serve(const struct toy_job *job, struct transport *t,
                         const struct topology *topology, struct error *err)
{
    struct server_spec spec = job->toy->server;
    spec.index = topology->index;
    spec.n_servers = topology->n_servers;
    spec.n_workers = topology->n_workers;
    spec.n_shards = job->n_shards;
    struct server *s;
    TRY(server_create(&spec, &s, err));
    struct threads *threads = NULL;
    enum status st = threads_create(job->n_shards > 1 ? 2 : 1, &threads, err);
    if (st == ST_OK) st = server_run(s, t, topology, threads, NULL, err);
    threads_destroy(threads);
    server_destroy(s);
    return st;
}

static enum status one_step(const struct toy_job *job, struct transport *t,
                            struct client *c, struct toy_worker *w, uint64_t step,
                            struct wire_answer *answer, struct error *err)
{
    struct wire_step m;
    if (job->before) job->before(job->arg, t, step);
    toy_message(w, step, step > job->first_step ? answer : NULL, &m);
    uint64_t calls = mem_calls();
    TRY(client_step_begin(c, &m, err));
    TRY(client_step_end(c, answer, err));
    if (job->count_memory && step > WARM && mem_calls() != calls)
        return error_set(err, ST_INTERNAL, "step %llu allocated",
                         (unsigned long long)step);
    return ST_OK;
}

static enum status fetch_state(const struct toy *toy, struct client *c,
                               struct toy_state *out, struct error *err)
{
    toy_state_make(toy, out);
    struct wire_keys keys[TOY_TABLES];
    for (size_t i = 0; i < TOY_TABLES; i++)
        keys[i] = (struct wire_keys){.n = TOY_KEYS, .keys = toy->keys[i]};
    struct digest before, after;
    TRY(client_digest(c, &before, NULL, err));
    TRY(client_pull(c, keys, out->rows, out->params, err));
    TRY(client_digest(c, &after, NULL, err));
    if (before.low != after.low || before.high != after.high)
        return error_set(err, ST_INTERNAL, "a pull changed the tables");
    struct wire_stats stats;
    TRY(client_stats(c, &stats, err));
    out->updates = stats.updates;
    return ST_OK;
}

/* Workers go on when the leader is here too. Servers take no part, so this is no
 * barrier of the transport: a word from rank 0 to each. */
static enum status meet(struct transport *t, const struct topology *topology,
                        struct error *err)
{
    const struct piece piece = {"go", 2};
    struct message m;
    if (transport_rank(t))
        return transport_recv(t, 0, CHANNEL_WORKERS, "the start", &m, err);
    for (size_t w = 1; w < topology->n_workers; w++)
        TRY(transport_send(t, topology->worker_rank[w], CHANNEL_WORKERS, &piece, 1, err));
    return ST_OK;
}

static enum status train(const struct toy_job *job, struct transport *t,
                         const struct topology *topology, struct client *c,
                         struct toy_worker *w, struct toy_state *out, struct error *err)
{
    struct wire_answer answer;
    bool leader = !transport_rank(t);
    if (leader && job->first) TRY(job->first(job->arg, c, err));
    TRY(meet(t, topology, err));
    for (uint64_t step = job->first_step; step <= job->toy->steps; step++)
        TRY(one_step(job, t, c, w, step, &answer, err));
    if (leader && job->last) TRY(job->last(job->arg, c, err));
    if (out) TRY(fetch_state(job->toy, c, out, err));
    return client_bye(c, err);
}

static enum status work(const struct toy_job *job, struct transport *t,
                        const struct topology *topology, struct toy_state *out,
                        struct error *err)
{
    struct client_spec spec = {.worker = topology->index,
                               .n_tables = TOY_TABLES,
                               .dim = job->toy->dims,
                               .n_dense = job->toy->server.n_dense,
                               .max_parts = TOY_MAX_LANES};
    struct client *c;
    struct toy_worker w;
    TRY(client_create_remote(&spec, t, topology, &c, err));
    toy_worker_make(job->toy, topology->index, topology->n_workers, &w);
    enum status st = train(job, t, topology, c, &w, transport_rank(t) ? NULL : out, err);
    toy_worker_close(&w);
    client_destroy(c);
    return st;
}

enum status toy_job_rank(const struct toy_job *job, struct transport *t,
                         struct toy_state *out, struct error *err)
{
    int size = transport_size(t), *host = mem_zeroed((size_t)size, sizeof *host);
    if (!host) return mem_error(err, "hosts", (size_t)size);
    struct topology topology;
    enum status st =
        topology_make(size, transport_rank(t), host, job->n_servers, &topology, err);
    mem_free(host);
    if (st != ST_OK) return st;
    char name[32];
    for (size_t i = 0; i < topology.n_servers; i++) {
        snprintf(name, sizeof name, "server %zu", i);
        transport_name(t, topology.server_rank[i], name);
    }
    for (size_t i = 0; i < topology.n_workers; i++) {
        snprintf(name, sizeof name, "worker %zu", i);
        transport_name(t, topology.worker_rank[i], name);
    }
    st = topology.is_server ? serve(job, t, &topology, err)
                            : work(job, t, &topology, out, err);
    topology_close(&topology);
    return st;
}
