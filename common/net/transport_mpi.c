/* Ranks over MPI: the one file that includes mpi.h. One thread calls MPI
 * (MPI_THREAD_FUNNELED), point-to-point only after the start, and it never blocks
 * inside MPI.
 *
 * A message is one MPI message of at most HEAD_BYTES when it is small; otherwise a
 * head that lists segments below 1 GiB, and these segments, all with the channel
 * as tag. Big pieces are segments of their own and are sent from where they
 * stand; small ones are packed together first. A receive for the next head of
 * every peer and channel is always posted; two places per peer and channel take
 * turns, so that a message can be used while the next one comes in. */
#include <errno.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/net/transport_impl.h"
#include "common/net/transport_shared.h"

enum {
    HEAD_BYTES = 8192,
    HEAD_WORDS = 8, /* before segment sizes or the message itself */
    MAX_SEGMENTS = HEAD_BYTES / 8 - HEAD_WORDS,
    BIG_PIECE = 32 * 1024, /* sent from where it stands */
    FEW_SPINS = 50,        /* when ranks outnumber the cores */
    MIN_START = 15,        /* s for coming to MPI: starting takes its time */
    MAX_LIMIT = 24 * 3600, /* s for coming to MPI and for leaving it */
};

#define HEAD_MAGIC UINT64_C(0x444145485350544d) /* "MTPSHEAD" */

/* First words of a head. */
struct head {
    uint64_t magic, bytes, n_segments;
    struct shared_note note; /* when n_segments is IN_SHARED_MEMORY */
};

_Static_assert(sizeof(struct head) <= HEAD_WORDS * 8, "a head has its place");

#define IN_SHARED_MEMORY UINT64_MAX

enum place_state { PLACE_FREE, PLACE_HEAD, PLACE_BODY, PLACE_READY, PLACE_TAKEN };

/* Where one message is received. */
struct place {
    enum place_state state;
    unsigned char *head; /* [HEAD_BYTES] */
    unsigned char *body;
    size_t capacity;
    const unsigned char *data; /* the message: in head or in body */
    size_t bytes;
    bool is_shared; /* data stands in a shared buffer of the sender */
    uint64_t buffer;
    MPI_Request *segments;
    size_t n_segments, max_segments;
};

/* One peer and channel. */
struct lane {
    struct place in[2];
    unsigned filling, taking; /* place of the next head, of the next message to take */
    unsigned char *out_head, *packed;
    size_t packed_capacity;
    MPI_Request *out;
    size_t n_out, max_out;
    struct shared_in shared_in;
    struct shared_out shared_out;
};

struct mpi_transport {
    struct transport base; /* first: a transport is its first member */
    MPI_Comm comm;
    struct lane *lanes;   /* [size * CHANNEL_ALL] */
    MPI_Request *heads;   /* [size * CHANNEL_ALL], null where none is posted */
    int *done;            /* [size * CHANNEL_ALL] scratch of a poll */
    MPI_Status *statuses; /* the same */
    int *bodies;          /* lanes with segments coming in */
    int n_bodies;
    long *pids;            /* [size]; 0 = on another host */
    unsigned char *shares; /* [size]; 1 = that rank can map memory of this one */
};

static struct mpi_transport *mpi_of(const struct transport *t)
{
    return (struct mpi_transport *)t;
}

static int lane_index(int peer, int ch)
{
    return peer * CHANNEL_ALL + ch;
}

static void mpi_broken(struct mpi_transport *m, int code, const char *what)
{
    char text[MPI_MAX_ERROR_STRING];
    int n;
    struct error err;
    MPI_Error_string(code, text, &n);
    transport_break(&m->base, error_set(&err, ST_PEER, "MPI: %s: %s", what, text), &err);
}

static bool mpi_ok(struct mpi_transport *m, int code, const char *what)
{
    if (code != MPI_SUCCESS) mpi_broken(m, code, what);
    return code == MPI_SUCCESS;
}

/* ---- receiving ---- */

/* The place whose segments are coming in, or NULL. */
static struct place *body_of(struct lane *l)
{
    if (l->in[0].state == PLACE_BODY) return &l->in[0];
    return l->in[1].state == PLACE_BODY ? &l->in[1] : NULL;
}

/* One message at a time: no head is waited for while segments come in. */
static void post_head(struct mpi_transport *m, int lane)
{
    struct lane *l = &m->lanes[lane];
    struct place *p = &l->in[l->filling];
    if (p->state != PLACE_FREE || m->heads[lane] != MPI_REQUEST_NULL || body_of(l))
        return;
    p->state = PLACE_HEAD;
    mpi_ok(m,
           MPI_Irecv(p->head, HEAD_BYTES, MPI_BYTE, lane / CHANNEL_ALL,
                     lane % CHANNEL_ALL, m->comm, &m->heads[lane]),
           "post a receive");
}

static bool grow_segments(MPI_Request **v, size_t *max, size_t n)
{
    if (n <= *max) return true;
    size_t larger = 2 * n + 16;
    MPI_Request *p = mem_resize(*v, larger, sizeof *p);
    if (!p) return false;
    *v = p;
    *max = larger;
    return true;
}

static bool grow_bytes(unsigned char **v, size_t *capacity, size_t n)
{
    if (n <= *capacity) return true;
    size_t larger = n + n / 2;
    unsigned char *p = mem_alloc(larger);
    if (!p) return false;
    mem_free(*v);
    *v = p;
    *capacity = larger;
    return true;
}

static void bad_head(struct mpi_transport *m, int lane, const char *why)
{
    struct error err;
    transport_break(&m->base,
                    error_set(&err, ST_PEER, "%s sent a message that %s",
                              m->base.peers[lane / CHANNEL_ALL].name, why),
                    &err);
}

/* The head says which segments follow: receive them side by side. */
static void start_body(struct mpi_transport *m, int lane, struct place *p,
                       const struct head *h)
{
    uint64_t sizes[MAX_SEGMENTS], total = 0;
    size_t n = (size_t)h->n_segments;
    memcpy(sizes, p->head + HEAD_WORDS * 8, n * sizeof *sizes);
    for (size_t i = 0; i < n; i++) {
        if (sizes[i] > INT32_MAX || total + sizes[i] > h->bytes) {
            bad_head(m, lane, "has segments of impossible sizes");
            return;
        }
        total += sizes[i];
    }
    if (total != h->bytes) {
        bad_head(m, lane, "has segments that do not add up");
        return;
    }
    if (!grow_bytes(&p->body, &p->capacity, (size_t)total) ||
        !grow_segments(&p->segments, &p->max_segments, n)) {
        struct error err;
        transport_break(&m->base, mem_error(&err, "a message", (size_t)total), &err);
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (!mpi_ok(m,
                    MPI_Irecv(p->body + at, (int)sizes[i], MPI_BYTE, lane / CHANNEL_ALL,
                              lane % CHANNEL_ALL, m->comm, &p->segments[i]),
                    "receive a segment"))
            return;
        at += (size_t)sizes[i];
    }
    p->n_segments = n;
    p->data = p->body;
    p->bytes = (size_t)total;
    p->state = PLACE_BODY;
    m->bodies[m->n_bodies++] = lane;
}

/* The head says where the message stands in memory of the sender. */
static void open_shared(struct mpi_transport *m, int lane, struct place *p,
                        const struct head *h)
{
    struct error err;
    int peer = lane / CHANNEL_ALL;
    enum status st = shared_read(&m->lanes[lane].shared_in, m->pids[peer], &h->note,
                                 (size_t)h->bytes, &p->data, &err);
    if (st != ST_OK) {
        error_wrap(&err, st, "%s", m->base.peers[peer].name);
        transport_break(&m->base, st, &err);
        return;
    }
    p->bytes = (size_t)h->bytes;
    p->is_shared = true;
    p->buffer = h->note.buffer;
    p->state = PLACE_READY;
}

static void on_head(struct mpi_transport *m, int lane, const MPI_Status *status)
{
    struct lane *l = &m->lanes[lane];
    struct place *p = &l->in[l->filling];
    struct head h;
    int got = 0;
    MPI_Get_count(status, MPI_BYTE, &got);
    memcpy(&h, p->head, sizeof h);
    if ((size_t)got < HEAD_WORDS * 8 || h.magic != HEAD_MAGIC ||
        (h.n_segments > MAX_SEGMENTS && h.n_segments != IN_SHARED_MEMORY)) {
        bad_head(m, lane, "does not start as a message does");
        return;
    }
    l->filling ^= 1;
    p->is_shared = false;
    if (h.n_segments == IN_SHARED_MEMORY) {
        open_shared(m, lane, p, &h);
    } else if (h.n_segments) {
        start_body(m, lane, p, &h);
    } else if (h.bytes == (size_t)got - HEAD_WORDS * 8) {
        p->data = p->head + HEAD_WORDS * 8;
        p->bytes = (size_t)h.bytes;
        p->state = PLACE_READY;
    } else {
        bad_head(m, lane, "is cut short");
    }
    post_head(m, lane);
}

static void poll_bodies(struct mpi_transport *m)
{
    int kept = 0;
    for (int i = 0; i < m->n_bodies; i++) {
        int lane = m->bodies[i], done = 0;
        struct place *p = body_of(&m->lanes[lane]);
        if (!mpi_ok(
                m,
                MPI_Testall((int)p->n_segments, p->segments, &done, MPI_STATUSES_IGNORE),
                "receive a segment"))
            return;
        if (!done) {
            m->bodies[kept++] = lane;
            continue;
        }
        p->state = PLACE_READY;
        post_head(m, lane);
    }
    m->n_bodies = kept;
}

static void mpi_poll(struct transport *t)
{
    struct mpi_transport *m = mpi_of(t);
    int n = t->size * CHANNEL_ALL, n_done = 0;
    if (t->broken != ST_OK) return;
    if (m->n_bodies) poll_bodies(m);
    if (!mpi_ok(m, MPI_Testsome(n, m->heads, &n_done, m->done, m->statuses), "poll"))
        return;
    if (n_done == MPI_UNDEFINED) return;
    for (int i = 0; i < n_done; i++) on_head(m, m->done[i], &m->statuses[i]);
}

static bool mpi_ready(const struct transport *t, int peer, int ch)
{
    const struct lane *l = &mpi_of(t)->lanes[lane_index(peer, ch)];
    return l->in[l->taking].state == PLACE_READY;
}

static void mpi_take(struct transport *t, int peer, int ch, struct message *out)
{
    struct lane *l = &mpi_of(t)->lanes[lane_index(peer, ch)];
    struct place *p = &l->in[l->taking];
    *out = (struct message){.data = p->data, .bytes = p->bytes};
    p->state = PLACE_TAKEN;
    l->taking ^= 1;
}

static void mpi_release(struct transport *t, int peer, int ch)
{
    struct mpi_transport *m = mpi_of(t);
    int lane = lane_index(peer, ch);
    for (int i = 0; i < 2; i++) {
        struct place *p = &m->lanes[lane].in[i];
        if (p->state != PLACE_TAKEN) continue;
        p->state = PLACE_FREE;
        if (p->is_shared) shared_release(&m->lanes[lane].shared_in, p->buffer);
    }
    post_head(m, lane);
}

/* ---- sending ---- */

static bool mpi_sent(const struct transport *t, int peer, int ch)
{
    struct mpi_transport *m = mpi_of(t);
    struct lane *l = &m->lanes[lane_index(peer, ch)];
    int done = 1;
    if (l->n_out &&
        !mpi_ok(m, MPI_Testall((int)l->n_out, l->out, &done, MPI_STATUSES_IGNORE),
                "send"))
        return false;
    if (done) l->n_out = 0;
    return done;
}

static bool isend(struct mpi_transport *m, int lane, const void *data, size_t bytes)
{
    struct lane *l = &m->lanes[lane];
    return mpi_ok(m,
                  MPI_Isend(data, (int)bytes, MPI_BYTE, lane / CHANNEL_ALL,
                            lane % CHANNEL_ALL, m->comm, &l->out[l->n_out++]),
                  "send");
}

static void put_head(unsigned char *head, size_t bytes, size_t n_segments)
{
    const struct head h = {.magic = HEAD_MAGIC, .bytes = bytes, .n_segments = n_segments};
    memset(head, 0, HEAD_WORDS * 8);
    memcpy(head, &h, sizeof h);
}

static bool send_small(struct mpi_transport *m, int lane, const struct piece *v, size_t n,
                       size_t bytes)
{
    unsigned char *at = m->lanes[lane].out_head;
    put_head(at, bytes, 0);
    at += HEAD_WORDS * 8;
    for (size_t i = 0; i < n; i++) {
        if (v[i].bytes) memcpy(at, v[i].data, v[i].bytes);
        at += v[i].bytes;
    }
    return isend(m, lane, m->lanes[lane].out_head, HEAD_WORDS * 8 + bytes);
}

/* Segments as they will be sent: a run of small pieces is packed into one. */
struct cutter {
    const unsigned char *data[MAX_SEGMENTS];
    uint64_t sizes[MAX_SEGMENTS];
    size_t n, limit;
    bool full;
};

static void cut(struct cutter *c, const unsigned char *data, size_t bytes)
{
    while (bytes) {
        size_t some = bytes < c->limit ? bytes : c->limit;
        if (c->n == MAX_SEGMENTS) {
            c->full = true;
            return;
        }
        c->data[c->n] = data;
        c->sizes[c->n++] = some;
        data += some;
        bytes -= some;
    }
}

/* big: pieces of at least this many bytes stand for themselves. */
static void cut_pieces(struct cutter *c, unsigned char *packed, const struct piece *v,
                       size_t n, size_t big)
{
    unsigned char *start = packed, *end = packed;
    c->n = 0;
    c->full = false;
    for (size_t i = 0; i < n; i++) {
        if (v[i].bytes >= big) {
            cut(c, start, (size_t)(end - start));
            start = end;
            cut(c, v[i].data, v[i].bytes);
        } else if (v[i].bytes) {
            memcpy(end, v[i].data, v[i].bytes);
            end += v[i].bytes;
        }
    }
    cut(c, start, (size_t)(end - start));
}

static enum status send_large(struct mpi_transport *m, int lane, const struct piece *v,
                              size_t n, size_t bytes, struct error *err)
{
    struct lane *l = &m->lanes[lane];
    struct cutter c = {.limit = m->base.segment_limit};
    size_t small = 0;
    for (size_t i = 0; i < n; i++) small += v[i].bytes < BIG_PIECE ? v[i].bytes : 0;
    if (!grow_bytes(&l->packed, &l->packed_capacity, small))
        return mem_error(err, "a message", small);
    cut_pieces(&c, l->packed, v, n, BIG_PIECE);
    if (c.full) { /* very many big pieces: pack them all */
        if (!grow_bytes(&l->packed, &l->packed_capacity, bytes))
            return mem_error(err, "a message", bytes);
        cut_pieces(&c, l->packed, v, n, SIZE_MAX);
    }
    if (c.full)
        return error_set(err, ST_PEER,
                         "a message of %zu bytes does not fit in %d segments of %zu",
                         bytes, MAX_SEGMENTS, c.limit);
    if (!grow_segments(&l->out, &l->max_out, c.n + 1))
        return mem_error(err, "a message", bytes);
    put_head(l->out_head, bytes, c.n);
    memcpy(l->out_head + HEAD_WORDS * 8, c.sizes, c.n * sizeof *c.sizes);
    bool ok = isend(m, lane, l->out_head, (HEAD_WORDS + c.n) * 8);
    for (size_t i = 0; ok && i < c.n; i++)
        ok = isend(m, lane, c.data[i], (size_t)c.sizes[i]);
    return ST_OK;
}

/* False when the message cannot go through shared memory now. */
static bool send_shared(struct mpi_transport *m, int lane, const struct piece *v,
                        size_t n, size_t bytes)
{
    struct lane *l = &m->lanes[lane];
    struct head h = {HEAD_MAGIC, bytes, IN_SHARED_MEMORY, {0}};
    if (!m->shares[lane / CHANNEL_ALL] || !m->base.share || bytes < BIG_PIECE ||
        !shared_write(&l->shared_out, v, n, bytes, &h.note))
        return false;
    memcpy(l->out_head, &h, sizeof h);
    m->base.n_shared += isend(m, lane, l->out_head, HEAD_WORDS * 8);
    return true;
}

static enum status mpi_send(struct transport *t, int peer, int ch,
                            const struct piece *pieces, size_t n, struct error *err)
{
    struct mpi_transport *m = mpi_of(t);
    int lane = lane_index(peer, ch);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += pieces[i].bytes;
    if (bytes <= HEAD_BYTES - HEAD_WORDS * 8)
        send_small(m, lane, pieces, n, bytes);
    else if (!send_shared(m, lane, pieces, n, bytes))
        TRY(send_large(m, lane, pieces, n, bytes, err));
    if (t->broken == ST_OK) return ST_OK;
    if (err) *err = t->broken_err;
    return t->broken;
}

/* ---- start and end ---- */

static bool mpi_gone(const struct transport *t, int peer)
{
    long pid = mpi_of(t)->pids[peer];
    return pid && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

NORETURN static void mpi_abort(struct transport *t, int code)
{
    MPI_Abort(mpi_of(t)->comm, code);
    _exit(code);
}

static void free_lane(struct lane *l)
{
    for (int i = 0; i < 2; i++) {
        mem_free(l->in[i].head);
        mem_free(l->in[i].body);
        mem_free(l->in[i].segments);
    }
    mem_free(l->out_head);
    mem_free(l->packed);
    mem_free(l->out);
    shared_in_close(&l->shared_in);
    shared_out_close(&l->shared_out);
}

static void free_all(struct mpi_transport *m)
{
    for (int i = 0; m->lanes && i < m->base.size * CHANNEL_ALL; i++)
        free_lane(&m->lanes[i]);
    mem_free(m->lanes);
    mem_free(m->heads);
    mem_free(m->done);
    mem_free(m->statuses);
    mem_free(m->bodies);
    mem_free(m->pids);
    mem_free(m->shares);
    transport_fini(&m->base);
    mem_free(m);
}

/* MPI_Init and MPI_Finalize wait for all ranks, for ever if need be. */
NORETURN static void end_late(const char *text, size_t n)
{
    ssize_t said = write(STDERR_FILENO, text, n);
    (void)said;
    _exit(status_exit_code(ST_PEER));
}

NORETURN static void on_late_start(int sig)
{
    static const char text[] =
        "error: the start of the job: not all ranks have come to MPI within cluster.deadline\n"
        "hint: a rank is stopped, or has ended, or runs another program\n";
    (void)sig;
    end_late(text, sizeof text - 1);
}

NORETURN static void on_late_end(int sig)
{
    static const char text[] =
        "error: the end of the job: not all ranks have left MPI within cluster.deadline\n";
    (void)sig;
    end_late(text, sizeof text - 1);
}

static void limit(double seconds, void (*handler)(int))
{
    struct sigaction act = {.sa_handler = handler};
    sigemptyset(&act.sa_mask);
    sigaction(SIGALRM, &act, NULL);
    alarm(seconds < MAX_LIMIT ? (unsigned)seconds + 1 : MAX_LIMIT);
}

static void mpi_close(struct transport *t)
{
    struct mpi_transport *m = mpi_of(t);
    limit(t->deadline, on_late_end);
    for (int i = 0; i < t->size * CHANNEL_ALL; i++) {
        if (m->heads[i] == MPI_REQUEST_NULL) continue;
        MPI_Cancel(&m->heads[i]);
        MPI_Request_free(&m->heads[i]);
    }
    MPI_Finalize();
    alarm(0);
    free_all(m);
}

static const struct transport_ops mpi_ops = {.poll = mpi_poll,
                                             .ready = mpi_ready,
                                             .take = mpi_take,
                                             .release = mpi_release,
                                             .sent = mpi_sent,
                                             .send = mpi_send,
                                             .gone = mpi_gone,
                                             .abort = mpi_abort,
                                             .close = mpi_close};

static long environment_number(const char *name)
{
    const char *s = getenv(name);
    return s ? strtol(s, NULL, 10) : 0;
}

bool transport_mpi_launched(void)
{
    if (getenv("OMPI_COMM_WORLD_SIZE"))
        return environment_number("OMPI_COMM_WORLD_SIZE") > 1;
    if (getenv("PMI_SIZE")) return environment_number("PMI_SIZE") > 1;
    return getenv("PMIX_RANK") && environment_number("SLURM_STEP_NUM_TASKS") > 1;
}

/* Who runs where: process numbers mean something in the same host and the same
 * process namespace. */
struct identity {
    char host[256];
    uint64_t pid, pid_namespace, secret;
    struct shared_note note; /* of memory that holds the secret; none: capacity 0 */
};

static void own_identity(struct identity *id, struct shared_out *trial)
{
    struct stat st;
    memset(id, 0, sizeof *id);
    gethostname(id->host, sizeof id->host - 1);
    id->pid = (uint64_t)getpid();
    if (stat("/proc/self/ns/pid", &st) == 0) id->pid_namespace = (uint64_t)st.st_ino;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    id->secret = ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)now.tv_sec ^ id->pid << 20;
    const struct piece piece = {&id->secret, sizeof id->secret};
    if (!shared_write(trial, &piece, 1, piece.bytes, &id->note)) id->note.capacity = 0;
}

/* Can this rank read memory of that one? */
static bool try_sharing(const struct identity *id)
{
    struct shared_in in = {0};
    const unsigned char *data;
    struct error err;
    bool ok = id->note.capacity && shared_read(&in, (long)id->pid, &id->note,
                                               sizeof id->secret, &data, &err) == ST_OK;
    ok = ok && !memcmp(data, &id->secret, sizeof id->secret);
    shared_in_close(&in);
    return ok;
}

/* readable[r]: this rank can read memory of rank r. */
static void learn_peers(struct mpi_transport *m, const struct identity *all,
                        unsigned char *readable)
{
    struct transport *t = &m->base;
    const struct identity *own = &all[t->rank];
    long here = 0;
    for (int r = 0; r < t->size; r++) {
        memcpy(t->peers[r].host, all[r].host, sizeof t->peers[r].host);
        bool local =
            !strcmp(all[r].host, own->host) && all[r].pid_namespace == own->pid_namespace;
        m->pids[r] = local && r != t->rank ? (long)all[r].pid : 0;
        readable[r] = m->pids[r] && try_sharing(&all[r]);
        here += local;
    }
    if (here > sysconf(_SC_NPROCESSORS_ONLN)) t->spins = FEW_SPINS;
}

static bool meet(struct mpi_transport *m, struct identity *all, unsigned char *readable)
{
    struct identity own;
    struct shared_out trial = {0};
    own_identity(&own, &trial);
    bool ok = MPI_Allgather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE,
                            m->comm) == MPI_SUCCESS;
    if (ok) learn_peers(m, all, readable);
    ok = ok && MPI_Alltoall(readable, 1, MPI_BYTE, m->shares, 1, MPI_BYTE, m->comm) ==
                   MPI_SUCCESS;
    shared_out_close(&trial); /* all have looked */
    return ok;
}

static enum status exchange_identities(struct mpi_transport *m, struct error *err)
{
    size_t n = (size_t)m->base.size;
    struct identity *all = mem_zeroed(n, sizeof *all);
    unsigned char *readable = mem_zeroed(n, sizeof *readable);
    enum status st = all && readable ? ST_OK : mem_error(err, "peers", n * sizeof *all);
    if (st == ST_OK && !meet(m, all, readable))
        st = error_set(err, ST_PEER, "MPI: the ranks cannot reach each other");
    mem_free(all);
    mem_free(readable);
    return st;
}

static enum status make_lanes(struct mpi_transport *m, struct error *err)
{
    size_t n = (size_t)m->base.size * CHANNEL_ALL;
    m->lanes = mem_zeroed(n, sizeof *m->lanes);
    m->heads = mem_array(n, sizeof *m->heads);
    m->done = mem_array(n, sizeof *m->done);
    m->statuses = mem_array(n, sizeof *m->statuses);
    m->bodies = mem_array(n, sizeof *m->bodies);
    m->pids = mem_zeroed((size_t)m->base.size, sizeof *m->pids);
    m->shares = mem_zeroed((size_t)m->base.size, sizeof *m->shares);
    bool ok = m->lanes && m->heads && m->done && m->statuses && m->bodies && m->pids &&
              m->shares;
    for (size_t i = 0; ok && i < n; i++) {
        struct lane *l = &m->lanes[i];
        m->heads[i] = MPI_REQUEST_NULL;
        if ((int)(i / CHANNEL_ALL) == m->base.rank) continue;
        l->in[0].head = mem_alloc(HEAD_BYTES);
        l->in[1].head = mem_alloc(HEAD_BYTES);
        l->out_head = mem_alloc(HEAD_BYTES);
        ok = l->in[0].head && l->in[1].head && l->out_head &&
             grow_segments(&l->out, &l->max_out, 1);
    }
    return ok ? ST_OK : mem_error(err, "message buffers", n * 3 * HEAD_BYTES);
}

static enum status open_world(struct mpi_transport *m, struct error *err)
{
    int provided = 0, rank = 0, size = 0;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return error_set(err, ST_PEER, "MPI cannot be started");
    if (provided < MPI_THREAD_FUNNELED)
        return error_set(err, ST_INTERNAL, "this MPI does not offer MPI_THREAD_FUNNELED");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    TRY(transport_init(&m->base, &mpi_ops, rank, size, err));
    if (MPI_Comm_dup(MPI_COMM_WORLD, &m->comm) != MPI_SUCCESS)
        return error_set(err, ST_PEER, "MPI: the ranks cannot reach each other");
    MPI_Comm_set_errhandler(m->comm, MPI_ERRORS_RETURN);
    TRY(make_lanes(m, err));
    return exchange_identities(m, err);
}

/* Those that have come do not all speak: mpirun ends the others when the first one ends. */
static void limit_start(double deadline)
{
    enum { APART = 2, LAST = 4 }; /* s between ranks; the rank from which all are alike */
    long rank = environment_number(getenv("PMIX_RANK") ? "PMIX_RANK" : "OMPI_COMM_WORLD_RANK");
    double wait = deadline > MIN_START ? deadline : MIN_START;
    limit(wait + (double)(APART * (rank < LAST ? rank : LAST)), on_late_start);
}

enum status transport_mpi_open(double deadline, struct transport **out, struct error *err)
{
    struct mpi_transport *m = mem_zeroed(1, sizeof *m);
    if (!m) return mem_error(err, "transport", sizeof *m);
    limit_start(deadline);
    enum status st = open_world(m, err);
    alarm(0);
    if (st != ST_OK) {
        free_all(m);
        return st;
    }
    /* Naps of a microsecond take what they say, not 50 more. */
    prctl(PR_SET_TIMERSLACK, 1);
    for (int i = 0; i < m->base.size * CHANNEL_ALL; i++)
        if (i / CHANNEL_ALL != m->base.rank) post_head(m, i);
    *out = &m->base;
    return ST_OK;
}
