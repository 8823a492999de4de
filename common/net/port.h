/* A server in the same process, as a client sees it: ps/ and worker/ never
 * include each other, so the program that holds both hands this table over
 * (server_port() of ps/server.h fills it in). Functions are those of ps/server.h
 * with the same rules. */
#ifndef MTPS_NET_PORT_H
#define MTPS_NET_PORT_H

#include "common/net/wire.h"

struct server_port {
    void *server; /* borrowed */
    size_t n_shards;
    bool clips; /* clip_norm > 0: join (every shard), norm (once), then apply (every
                   shard) */
    enum status (*accept)(void *server, size_t worker, const struct wire_step *m,
                          struct error *err);
    void (*join)(void *server, size_t shard);
    void (*norm)(void *server);
    void (*apply)(void *server, size_t shard); /* each shard by one thread, in parallel */
    enum status (*answer)(void *server, size_t worker, struct wire_answer *out,
                          struct error *err);
    enum status (*control)(void *server, const struct message *request,
                           struct wire_buffer *reply, struct error *err);
};

#endif
