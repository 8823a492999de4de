#include "common/net/topology.h"

#include "common/base/mem.h"

static enum status allocate(int size, struct topology *t, bool **server,
                            struct error *err)
{
    *server = mem_zeroed((size_t)size, sizeof **server);
    t->server_rank = mem_array((size_t)size, sizeof *t->server_rank);
    t->worker_rank = mem_array((size_t)size, sizeof *t->worker_rank);
    if (*server && t->server_rank && t->worker_rank) return ST_OK;
    mem_free(*server);
    topology_close(t);
    return mem_error(err, "topology", (size_t)size * sizeof *t->server_rank);
}

/* Highest rank on the host that is free, or -1. Rank 0 stays a worker. */
static int highest_free(int size, const int *host, int wanted, const bool *server)
{
    for (int r = size - 1; r > 0; r--)
        if (host[r] == wanted && !server[r]) return r;
    return -1;
}

/* Server i goes to host i mod H; a host without a free rank passes it on to the
 * next one. */
static void place_servers(int size, const int *host, size_t n_servers, bool *server)
{
    int n_hosts = 0;
    for (int r = 0; r < size; r++)
        if (host[r] >= n_hosts) n_hosts = host[r] + 1;
    for (size_t i = 0; i < n_servers; i++) {
        int rank = -1;
        for (int k = 0; rank < 0 && k < n_hosts; k++)
            rank = highest_free(size, host, (int)((i + (size_t)k) % (size_t)n_hosts),
                                server);
        server[rank] = true;
    }
}

enum status topology_make(int size, int rank, const int *host, size_t n_servers,
                          struct topology *out, struct error *err)
{
    *out = (struct topology){.size = size};
    if (n_servers >= (size_t)size) {
        error_set(err, ST_USAGE,
                  "cluster.servers is %zu but there are %d ranks: no worker is left",
                  n_servers, size);
        return error_hint(err, ST_USAGE,
                          "start at least %zu ranks (mpirun -n %zu), or fewer servers",
                          n_servers + 1, n_servers + 1);
    }
    if (!n_servers && size > 1) {
        error_set(err, ST_USAGE, "cluster.servers is 0 but there are %d ranks", size);
        return error_hint(err, ST_USAGE,
                          "at least one server is needed with more than one rank");
    }
    bool *server;
    TRY(allocate(size, out, &server, err));
    place_servers(size, host, n_servers, server);
    for (int r = 0; r < size; r++) {
        size_t *n = server[r] ? &out->n_servers : &out->n_workers;
        if (r == rank) {
            out->is_server = server[r];
            out->index = *n;
        }
        (server[r] ? out->server_rank : out->worker_rank)[(*n)++] = r;
    }
    mem_free(server);
    return ST_OK;
}

void topology_close(struct topology *t)
{
    mem_free(t->server_rank);
    mem_free(t->worker_rank);
    t->server_rank = t->worker_rank = NULL;
}
