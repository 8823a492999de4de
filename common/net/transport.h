/* Ranks that send each other byte messages: the only thing that the rest of the
 * project knows about MPI. Two implementations: MPI (transport_mpi.c, the one
 * file that includes mpi.h) and a loopback of many virtual ranks in one process
 * with seeded delay and reordering between peers (transport_loop.c), by which
 * the protocol is tested.
 *
 * Messages between two ranks on one channel arrive in the order sent. A message
 * may have any size; it is cut in segments below 1 GiB. Only the thread that
 * opened a transport may call it (MPI_THREAD_FUNNELED). Waiting polls, spins
 * briefly, then sleeps about a microsecond; it never blocks inside MPI. */
#ifndef MTPS_NET_TRANSPORT_H
#define MTPS_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct transport;

/* Changes whenever messages do; ranks compare it first. */
enum { TRANSPORT_PROTOCOL = 1 };

/* Independent lanes of messages between the same two ranks. */
enum channel { CHANNEL_STEP, CHANNEL_CONTROL, CHANNEL_WORKERS, CHANNEL_COUNT };

struct piece {
    const void *data;
    size_t bytes;
};

struct message {
    const unsigned char *data; /* 64-byte aligned; valid until the next receive from the
                                  same peer on the same channel */
    size_t bytes;
};

int transport_rank(const struct transport *t);
int transport_size(const struct transport *t);
/* Host name of a rank, for error texts. */
const char *transport_host(const struct transport *t, int rank);

/* Begin sending the concatenation of the pieces. The pieces stay borrowed until
 * transport_flush() or until a later message from that peer on that channel has
 * been received; sending again to the same peer and channel first waits for the
 * previous message. */
enum status transport_send(struct transport *t, int peer, enum channel ch,
                           const struct piece *pieces, size_t n,
                           struct error *err) MUST_USE;
/* Wait until all sent messages may be overwritten. */
enum status transport_flush(struct transport *t, struct error *err) MUST_USE;

/* True when a whole message from the peer can be received without waiting;
 * makes progress on everything. */
bool transport_ready(struct transport *t, int peer, enum channel ch);

/* Wait for the next message of one peer. `what` says what is waited for (step,
 * kind) and goes into the error. ST_PEER when the deadline passes without any
 * sign of life from that peer (see transport_progress), or when its process is
 * gone. */
enum status transport_recv(struct transport *t, int peer, enum channel ch,
                           const char *what, struct message *out,
                           struct error *err) MUST_USE;

/* The first peer of `peers` (in order) with a message ready; waits as recv does
 * for all of them. */
enum status transport_recv_any(struct transport *t, const int *peers, size_t n,
                               enum channel ch, const char *what, int *peer,
                               struct message *out, struct error *err) MUST_USE;

/* One of several peers and channels. */
struct inbox {
    int peer;
    enum channel channel;
};
/* Wait until a message of one of these is ready; *which = its place (the first in
 * order). */
enum status transport_wait(struct transport *t, const struct inbox *boxes, size_t n,
                           const char *what, size_t *which, struct error *err) MUST_USE;
/* The message received last from this peer on this channel is done with: its
 * memory serves the next one. Optional; saves a second buffer. */
void transport_release(struct transport *t, int peer, enum channel ch);

/* Long work without messages (preparing data, writing a checkpoint) calls this
 * now and then; peers that wait for this rank then know that it is alive.
 * Thread-safe; cheap. counter: any number that grows while there is progress. */
void transport_progress(struct transport *t, uint64_t counter);
void transport_deadline(struct transport *t, double seconds);

/* Role and number of a rank ("server 1"), for error texts; copied. */
void transport_name(struct transport *t, int rank, const char *name);
/* Cut messages in segments of at most this many bytes (tests). */
void transport_segment_limit(struct transport *t, size_t bytes);

/* Whether big messages of this rank may go through memory shared with ranks of the
 * same host; true at first (tests). */
void transport_share(struct transport *t, bool on);
/* How many messages of this rank have. */
uint64_t transport_shared(const struct transport *t);

/* Called inside every wait, a few hundred times a second; NULL = nothing. For
 * signals and status. */
void transport_on_idle(struct transport *t, void (*idle)(void *), void *arg);

/* Collective over all ranks, built on the messages above: everyone has called
 * it; the worst status of all; bytes of rank 0 (or any root) for all; equal on
 * all ranks. */
enum status transport_barrier(struct transport *t, const char *what,
                              struct error *err) MUST_USE;
/* All ranks give a status; all get the worst one (highest in value of exit
 * code) and the text of the lowest rank that has it. mine may carry err. */
enum status transport_agree(struct transport *t, enum status mine, const char *what,
                            struct error *err) MUST_USE;
/* buffer of the root is copied to everybody; *bytes is set; caller frees *data
 * with mem_free on ranks other than the root. */
enum status transport_bcast(struct transport *t, int root, void **data, size_t *bytes,
                            struct error *err) MUST_USE;

/* Compare what must be equal on all ranks before anything else is said: the
 * protocol version and endianness (added here), and these texts (build, config
 * hash ...). Any difference: ST_USAGE on all ranks, naming the item and the ranks
 * that differ from rank 0. */
struct handshake_item {
    const char *what, *value;
};
enum status transport_handshake(struct transport *t, const struct handshake_item *items,
                                size_t n, struct error *err) MUST_USE;

/* Before a rank says why it ends the job: returns when it is the one to say so.
 * Several may give up at the same time, all that waited for a lost rank. The first
 * one speaks, of those that do not know of each other yet the lowest; the others
 * are kept here until the job has ended, and speak after all if it does not. */
void transport_take_word(struct transport *t);
/* Does another rank end the job? Then this one is kept here as above, and has nothing
 * to add. (A stopped process that is woken up to be ended would tell its own story.) */
bool transport_ended(struct transport *t);
/* End the job now with this exit code (MPI_Abort); does not return. */
NORETURN void transport_abort(struct transport *t, int code);
/* Orderly end; collective, frees t. ST_PEER when not all ranks come to it: then t
 * lives on and transport_abort is what is left. MPI's own end, which waits for
 * everybody, is limited to the deadline (exit code 76). */
enum status transport_close(struct transport *t, struct error *err) MUST_USE;

/* MPI. launched: true when this process was started by mpirun/srun with more
 * than one rank (looks at the environment, before MPI_Init). */
bool transport_mpi_launched(void);
/* MPI's own start waits for all ranks; when one does not come within the deadline, in
 * seconds (15 at least), the process ends with exit code 76. */
enum status transport_mpi_open(double deadline, struct transport **out, struct error *err) MUST_USE;

/* Loopback: n virtual ranks in this process; rank i is used by one thread.
 * delay_seed 0: no delay. Otherwise every message is held back for a random
 * number of polls (0..max_delay), which reorders messages of different peers. */
struct loop;
enum status loop_create(int n, uint64_t delay_seed, unsigned max_delay, struct loop **out,
                        struct error *err) MUST_USE;
struct transport *loop_rank(struct loop *l, int rank);
void loop_destroy(struct loop *l);

#endif
