#include "worker/crew.h"

#include <string.h>

enum status crew_gather(const struct crew *c, const void *data, size_t bytes, const char *what,
                        enum status (*take)(void *arg, size_t worker, const struct message *m,
                                            struct error *err),
                        void *arg, struct error *err)
{
    if (c->worker > 0) {
        struct piece piece = {data, bytes};
        TRY(transport_send(c->net, c->topology->worker_rank[0], CHANNEL_WORKERS, &piece, 1, err));
        return transport_flush(c->net, err);
    }
    struct message own = {data, bytes};
    TRY(take(arg, 0, &own, err));
    for (size_t w = 1; w < c->n_workers; w++) {
        struct message m;
        TRY(transport_recv(c->net, c->topology->worker_rank[w], CHANNEL_WORKERS, what, &m, err));
        TRY(take(arg, w, &m, err));
    }
    return ST_OK;
}

enum status crew_tell(const struct crew *c, void *data, size_t bytes, const char *what,
                      struct error *err)
{
    if (c->worker == 0) {
        struct piece piece = {data, bytes};
        for (size_t w = 1; w < c->n_workers; w++)
            TRY(transport_send(c->net, c->topology->worker_rank[w], CHANNEL_WORKERS, &piece, 1, err));
        return c->n_workers > 1 ? transport_flush(c->net, err) : ST_OK;
    }
    struct message m;
    TRY(transport_recv(c->net, c->topology->worker_rank[0], CHANNEL_WORKERS, what, &m, err));
    if (m.bytes != bytes)
        return error_set(err, ST_PEER, "%s: the leader sent %zu bytes, %zu expected", what, m.bytes,
                         bytes);
    memcpy(data, m.data, bytes);
    return ST_OK;
}
