/* A worker's link to all servers. Cuts pushes and pulls per server by the
 * partition, joins the answers. A server in this process is reached through its
 * port without copying; others through the transport, one message per server.
 *
 * Only the thread that owns the transport may call. */
#ifndef MTPS_WORKER_CLIENT_H
#define MTPS_WORKER_CLIENT_H

#include "common/net/port.h"
#include "common/net/topology.h"
#include "common/net/wire.h"
#include "common/store/ckpt.h"

struct client;

struct client_spec {
    size_t worker;         /* this worker's number */
    size_t n_dense;        /* P */
    size_t n_tables;
    const size_t *dim;     /* [n_tables] */
    const size_t *max_keys; /* [n_tables] keys of one step's pull at most (a hint for buffers) */
};

/* One process: the only server is `port` (borrowed). */
enum status client_create_local(const struct client_spec *spec, const struct server_port *port,
                                struct client **out, struct error *err) MUST_USE;
/* Many ranks: servers as the topology says. */
enum status client_create_remote(const struct client_spec *spec, struct transport *t,
                                 const struct topology *topology, struct client **out,
                                 struct error *err) MUST_USE;
void client_destroy(struct client *c);

/* ---- steps ---- */

struct client_step {
    uint64_t step;  /* whose rows are asked for; the push belongs to step - 1 */
    uint32_t flags; /* WIRE_* of this worker */
    const struct wire_part *parts; /* [n_parts] whole dense vectors and whole runs */
    size_t n_parts;
    const struct wire_keys *pulls; /* [n_tables]; NULL with WIRE_NO_PULL or nothing to ask */
};

/* Begin the exchange. Everything in *m stays borrowed until client_step_end. In
 * one process the caller then applies every shard of the port. */
enum status client_step_begin(struct client *c, const struct client_step *m, struct error *err) MUST_USE;
/* Wait for all servers. out->dense[P] and out->rows[t][n, dim] (in the order
 * asked) stay valid until the next client_step_begin's answer; flags of all
 * servers are ORed. With WIRE_NO_PULL dense and rows are those of before. */
enum status client_step_end(struct client *c, struct wire_answer *out, struct error *err) MUST_USE;

/* ---- control: between steps, behind no barrier of their own ---- */

/* Read-only rows for keys (one table after the other): never inserts. rows[t]
 * point into the client, valid until the next client_pull. */
enum status client_pull(struct client *c, const struct wire_keys *keys, const float *const **rows,
                        struct error *err) MUST_USE;
/* Whole dense vector: parameters and, where not NULL, optimiser slots
 * [n_slots][P] and the update counter. */
enum status client_dense_get(struct client *c, float *params, float *const *slots, size_t n_slots,
                             uint64_t *updates, struct error *err) MUST_USE;
/* Leader only: set parameters (slots NULL: fresh state), decay mask (NULL: as it
 * was) and counters on all servers. */
enum status client_dense_put(struct client *c, const float *params, const float *const *slots,
                             size_t n_slots, const uint8_t *decay_mask, uint64_t step, uint64_t updates,
                             struct error *err) MUST_USE;
/* Leader only: every server loads its buckets' rows (weights and state) from a checkpoint. */
enum status client_load(struct client *c, const char *ckpt_path, struct error *err) MUST_USE;
/* Leader only: every server writes its file into the temp folder; infos[n_servers]. */
enum status client_save(struct client *c, const char *temp, struct ckpt_file_info *infos, struct error *err) MUST_USE;
size_t client_n_servers(const struct client *c);
/* Rows and digest of all tables as the servers hold them now; rows[n_tables] may be NULL. */
enum status client_stats(struct client *c, uint64_t *rows, uint64_t *bytes, struct digest *digest,
                         struct error *err) MUST_USE;
/* Leader only: servers leave server_run. */
enum status client_bye(struct client *c, struct error *err) MUST_USE;

#endif
