/* A worker's link to all servers. One step is split-phase, so that the wire is
 * hidden by work:
 *
 *   client_step_begin   cut the push and the next keys per server, start sending
 *   client_apply        one process only: the server's shards, by computing threads
 *   client_step_end     wait for the answers of all servers
 *
 * Local: the server is in this process, nothing is copied; the answer points into
 * the server's memory. Remote: one message per server and step. Keys are globally
 * in (bucket, key) order and servers own contiguous bucket ranges, so answers
 * laid end to end are in the order asked.
 *
 * One thread owns a client (client_apply apart). */
#ifndef MTPS_WORKER_CLIENT_H
#define MTPS_WORKER_CLIENT_H

#include "common/net/port.h"
#include "common/net/topology.h"
#include "common/net/transport.h"
#include "common/net/wire.h"
#include "common/store/ckpt.h"

struct client_spec {
    size_t worker; /* this worker's number */
    size_t n_tables;
    const size_t *dim; /* [n_tables], copied */
    size_t n_dense;    /* P */
    size_t max_parts;  /* parts of one push at most */
};

struct client;
enum status client_create_local(const struct client_spec *spec,
                                const struct server_port *port, struct client **out,
                                struct error *err) MUST_USE;
/* topology and transport are borrowed. */
enum status client_create_remote(const struct client_spec *spec, struct transport *t,
                                 const struct topology *topology, struct client **out,
                                 struct error *err) MUST_USE;
void client_destroy(struct client *c);
size_t client_n_servers(const struct client *c);

/* ---- steps ---- */

/* m: the whole push and pull, not cut: n_dense = P, dense gradients [P], runs and
 * pulls over all buckets. Everything m points to stays borrowed until
 * client_step_end has returned. With WIRE_NO_PUSH parts are ignored, with
 * WIRE_NO_PULL pulls are. */
enum status client_step_begin(struct client *c, const struct wire_step *m,
                              struct error *err) MUST_USE;

/* Local: number of shards (0 when remote: nothing to apply here). Between begin
 * and end call, with a barrier after each line:
 *   if (client_clips(c)) client_join(c, shard) for every shard; client_norm(c) once
 *   client_apply(c, shard) for every shard */
size_t client_shards(const struct client *c);
bool client_clips(const struct client *c);
void client_join(struct client *c, size_t shard);
void client_norm(struct client *c);
void client_apply(struct client *c, size_t shard);

/* Makes progress on the messages; true when client_step_end will not wait. */
bool client_step_ready(struct client *c);

/* The answer: flags and dense[P], rows per table in the order asked. Valid until the next
 * client_step_begin. ST_PEER when a server is lost, ST_INTERNAL when a joined
 * gradient is not finite. */
enum status client_step_end(struct client *c, struct wire_answer *out,
                            struct error *err) MUST_USE;

/* ---- control: between steps; any worker unless said otherwise ---- */

/* Read-only: rows of keys (unknown keys give their initial row and stay unknown)
 * into rows[t] ([n, dim]); dense[P] too unless NULL. */
enum status client_pull(struct client *c, const struct wire_keys *keys,
                        float *const *rows, float *dense, struct error *err) MUST_USE;

/* The whole dense vector with optimiser slots. n = P. Put: slots may be fresh
 * (n_slots 0). Get: params and slots (of the optimiser's number) are filled;
 * decay is not given back. */
enum status client_dense_put(struct client *c, const struct wire_dense *d,
                             struct error *err) MUST_USE;
enum status client_dense_get(struct client *c, float *params, float *const *slots,
                             uint64_t *step, uint64_t *updates,
                             struct error *err) MUST_USE;

/* How parameters learn from the next step on: n_dense = P, rates of all floats. */
enum status client_rates(struct client *c, const struct wire_rates *r,
                         struct error *err) MUST_USE;

/* Every server loads the rows of its buckets from this checkpoint folder; its
 * tables start empty. */
enum status client_load(struct client *c, const char *ckpt_path,
                        struct error *err) MUST_USE;
/* The same, each table as its entry says: loads[n_tables]. */
enum status client_load_tables(struct client *c, const char *ckpt_path,
                               const struct wire_load *loads, struct error *err) MUST_USE;
/* Every server writes its file into this folder; info[n_servers]. */
enum status client_save(struct client *c, const char *temp, struct ckpt_file_info *info,
                        struct error *err) MUST_USE;
/* Digest of all live rows, and rows per table (rows may be NULL). */
enum status client_digest(struct client *c, struct digest *d, uint64_t *rows,
                          struct error *err) MUST_USE;
/* Added up over servers (times: the largest). */
enum status client_stats(struct client *c, struct wire_stats *s,
                         struct error *err) MUST_USE;

/* Goodbye: servers return from server_run when all workers have said it. */
enum status client_bye(struct client *c, struct error *err) MUST_USE;

#endif
