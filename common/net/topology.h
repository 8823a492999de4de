/* Which ranks are servers and which are workers: a pure function of (hosts,
 * number of servers), so all ranks agree. Rank 0 is always a worker and the
 * leader. Servers are spread over hosts: server i goes to host i mod H, taking
 * the highest free rank there. Server and worker numbers follow rank order. */
#ifndef MTPS_NET_TOPOLOGY_H
#define MTPS_NET_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/status.h"

struct topology {
    int size;
    size_t n_servers, n_workers;
    int *server_rank; /* [n_servers] */
    int *worker_rank; /* [n_workers]; [0] is rank 0 */
    bool is_server;   /* of this rank */
    size_t index;     /* this rank's number among its role */
};

/* host[size]: a number per rank, equal for ranks on one host, numbered in order
 * of first appearance. n_servers = 0 is only allowed with size 1 (one process
 * plays both). ST_USAGE when no worker would remain. */
enum status topology_make(int size, int rank, const int *host, size_t n_servers,
                          struct topology *out, struct error *err) MUST_USE;
void topology_close(struct topology *t);

#endif
