/* One parameter server: embedding rows of a range of buckets and a range of
 * dense blocks. Knows rows, states and steps; knows no model.
 *
 * The core is free of transport. Work of a step is split over shards (a bucket
 * sub-range and a dense sub-range each), which the threads of a server rank, or the
 * computing threads of the one process, do in parallel. Nothing numeric
 * depends on the number of shards, servers or workers (DESIGN section 4).
 *
 * One step, for all workers w:   server_accept(w, message)  (any order)
 *                                server_apply(shard)        (each shard once)
 *                                server_answer(w)           -> pieces to send back
 */
#ifndef MTPS_PS_SERVER_H
#define MTPS_PS_SERVER_H

#include "common/base/partition.h"
#include "common/base/threads.h"
#include "common/config/settings.h"
#include "common/net/port.h"
#include "common/net/topology.h"
#include "common/net/transport.h"
#include "common/net/wire.h"

struct table_spec {
    const char *name;
    size_t dim;
    struct init_cfg init;
    struct optimizer_cfg optimizer;
    float l2; /* a used row's gradient gains this times its weights */
    uint64_t admit; /* occurrences with which an id gets a row; 0 and 1: the first */
};

/* Floats of the dense vector with an optimiser of their own; none when the range is
 * empty. */
struct dense_part {
    struct range floats;
    struct optimizer_cfg optimizer;
};

struct server_spec {
    size_t index, n_servers, n_workers, n_lanes, n_shards;
    uint64_t seed;
    const struct table_spec *tables; /* borrowed during create, copied */
    size_t n_tables;
    size_t n_dense; /* floats in the whole dense vector */
    struct optimizer_cfg dense_optimizer;
    struct dense_part dense_part;
    struct schedule_cfg schedule; /* of dense and sparse learning rates alike */
    uint64_t total_steps;         /* planned; for cosine decay */
    double clip_norm;
};

struct server;
enum status server_create(const struct server_spec *spec, struct server **out,
                          struct error *err) MUST_USE;
void server_destroy(struct server *s);

/* A step message of worker w; the view stays borrowed until server_answer(w) of
 * the same step has been sent. */
enum status server_accept(struct server *s, size_t worker, const struct wire_step *m,
                          struct error *err) MUST_USE;
bool server_step_ready(const struct server *s); /* all workers' messages are here */

/* Join the workers' parts up the lane tree, apply the optimiser once per key and
 * per dense float, then copy the rows asked for next. With clip_norm > 0 (and a
 * step that is not skipped), server_join(shard) of all shards and server_set_norm
 * come first. Called once per shard in a step. */
void server_apply(struct server *s, size_t shard);

/* Clipping by the global norm of the joined dense gradient: sums of squares per
 * dense block of this server, in double, in block order. Valid after
 * server_join(shard) of every shard; the caller exchanges them between servers,
 * adds all blocks up in order and hands over the root of the sum. When clip_norm
 * is 0 join is done inside apply and none of these is called. */
bool server_clips(const struct server *s);
void server_join(struct server *s, size_t shard);
const double *server_block_squares(const struct server *s, size_t *n_blocks);
void server_set_norm(struct server *s, double norm);
/* Of this server's blocks alone: right when there is one server. */
double server_norm(const struct server *s);

/* After all shards: answer for worker w, ready to send; pieces borrowed until the
 * next accept. Flags of all workers are ORed into it. *status of the step: ST_INTERNAL
 * when a joined gradient is not finite. */
enum status server_answer(struct server *s, size_t worker, struct wire_answer *out,
                          struct error *err) MUST_USE;

/* Run as a server rank: serve steps and control messages of all workers until
 * every worker has said goodbye. The threads share out the shards of a step; only
 * the caller, thread 0, uses the transport. Collective with the workers' clients.
 * requests (or NULL) gives what this rank itself is asked for, as wire_flags: it is
 * ORed into the answer of every worker of a step. */
enum status server_run(struct server *s, struct transport *t,
                       const struct topology *topology, struct threads *threads,
                       uint32_t (*requests)(void), struct error *err) MUST_USE;

/* This server as a client in the same process sees it. */
struct server_port server_port(struct server *s);

/* Control messages, also used directly in one process: decode, act, encode the
 * reply (see wire.h for the kinds: read-only pull, dense get/put, save, load,
 * digest, stats). */
enum status server_control(struct server *s, const struct message *request,
                           struct wire_buffer *reply, struct error *err) MUST_USE;

/* For reports: rows held per table, bytes of memory. */
uint64_t server_rows(const struct server *s, size_t table);
uint64_t server_bytes(const struct server *s);

#endif
