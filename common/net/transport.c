/* Waiting and signs of life, over any transport. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/net/transport_impl.h"

enum { NAPS_BEFORE_LONGER = 400, GIB = 1 << 30 };

static const double MAX_TICK = 1.0; /* see struct transport */
static const double BEATS_PER_DEADLINE = 8;
static const double MAX_BEAT_GAP = 1.0;     /* s */
static const double CHECK_GAP = 0.02;       /* s between looks at who is alive */
static const double IDLE_GAP = 0.003;       /* s between calls of the idle function */
static const double DEFAULT_DEADLINE = 120; /* s */
/* Last words: for others' to arrive; between looks; at most until a job has ended (s). */
static const double WORD_WAIT = 0.25, WORD_GAP = 0.02, MAX_END_WAIT = 10;

#define ENDS UINT64_MAX /* as progress in a sign of life: this rank ends the job */

static double monotonic(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

enum status transport_init(struct transport *t, const struct transport_ops *ops, int rank,
                           int size, struct error *err)
{
    t->ops = ops;
    t->rank = rank;
    t->size = size;
    t->segment_limit = GIB;
    t->share = true;
    t->spins = 2000;
    t->owner = pthread_self();
    t->deadline = DEFAULT_DEADLINE;
    t->clock = monotonic();
    t->peers = mem_zeroed((size_t)size, sizeof *t->peers);
    if (!t->peers) return mem_error(err, "peers", (size_t)size * sizeof *t->peers);
    for (int r = 0; r < size; r++)
        snprintf(t->peers[r].name, sizeof t->peers[r].name, "rank %d", r);
    return ST_OK;
}

void transport_fini(struct transport *t)
{
    mem_free(t->peers);
    t->peers = NULL;
}

void transport_break(struct transport *t, enum status st, const struct error *err)
{
    if (t->broken != ST_OK) return;
    t->broken = st;
    t->broken_err = *err;
}

int transport_rank(const struct transport *t)
{
    return t->rank;
}

int transport_size(const struct transport *t)
{
    return t->size;
}

const char *transport_host(const struct transport *t, int rank)
{
    return t->peers[rank].host;
}

void transport_name(struct transport *t, int rank, const char *name)
{
    snprintf(t->peers[rank].name, sizeof t->peers[rank].name, "%s", name);
}

void transport_deadline(struct transport *t, double seconds)
{
    t->deadline = seconds;
    t->next_beat = 0;
}

void transport_segment_limit(struct transport *t, size_t bytes)
{
    t->segment_limit = bytes < GIB ? bytes : GIB;
}

void transport_share(struct transport *t, bool on)
{
    t->share = on;
}

uint64_t transport_shared(const struct transport *t)
{
    return t->n_shared;
}

void transport_on_idle(struct transport *t, void (*idle)(void *), void *arg)
{
    t->idle = idle;
    t->idle_arg = arg;
}

/* ---- signs of life ---- */

static void tick(struct transport *t)
{
    double clock = monotonic(), step = clock - t->clock;
    t->now += step < MAX_TICK ? step : MAX_TICK;
    t->clock = clock;
}

static uint64_t own_progress(struct transport *t)
{
    return t->events + atomic_load_explicit(&t->counter, memory_order_relaxed);
}

/* Tell every rank that this one is alive, and how far it is. At most one such
 * message is on its way to a rank: a rank that does not read gets no more. */
static void send_beats(struct transport *t)
{
    double gap = t->deadline / BEATS_PER_DEADLINE;
    t->next_beat = t->now + (gap < MAX_BEAT_GAP ? gap : MAX_BEAT_GAP);
    uint64_t progress = t->ends ? ENDS : own_progress(t);
    for (int r = 0; r < t->size; r++) {
        if (r == t->rank || !t->ops->sent(t, r, CHANNEL_BEAT)) continue;
        struct error err;
        memcpy(t->peers[r].beat, &progress, sizeof progress);
        const struct piece piece = {t->peers[r].beat, sizeof t->peers[r].beat};
        enum status st = t->ops->send(t, r, CHANNEL_BEAT, &piece, 1, &err);
        if (st != ST_OK) transport_break(t, st, &err);
    }
}

/* How many have come. */
static size_t take_beats(struct transport *t)
{
    size_t n = 0;
    uint64_t own = own_progress(t);
    if (own != t->progress) {
        t->progress = own;
        t->changed = t->now;
    }
    for (int r = 0; r < t->size; r++) {
        while (r != t->rank && t->ops->ready(t, r, CHANNEL_BEAT)) {
            struct message m;
            uint64_t counter = 0;
            t->ops->take(t, r, CHANNEL_BEAT, &m);
            if (m.bytes == sizeof counter) memcpy(&counter, m.data, sizeof counter);
            t->ops->release(t, r, CHANNEL_BEAT);
            t->peers[r].sign = t->now;
            n++;
            if (counter == ENDS) t->peers[r].ends = true;
            if (counter == t->peers[r].counter) continue;
            t->peers[r].counter = counter;
            t->changed = t->now;
        }
    }
    return n;
}

static void poll_all(struct transport *t)
{
    t->ops->poll(t);
    tick(t);
    if (t->now >= t->next_beat) send_beats(t);
    t->checked = t->now >= t->next_check;
    if (!t->checked) return;
    t->next_check = t->now + CHECK_GAP;
    take_beats(t);
}

void transport_progress(struct transport *t, uint64_t counter)
{
    atomic_store_explicit(&t->counter, counter, memory_order_relaxed);
    if (!pthread_equal(pthread_self(), t->owner)) return;
    tick(t);
    if (t->now >= t->next_check) poll_all(t);
}

/* "server 1 (rank 2 on host a)" */
static void describe(const struct transport *t, int peer, char *out, size_t size)
{
    const struct transport_peer *p = &t->peers[peer];
    char rank[32] = "";
    if (strncmp(p->name, "rank ", 5)) snprintf(rank, sizeof rank, "rank %d ", peer);
    snprintf(out, size, "%s (%son host %s)", p->name, rank, p->host);
}

static enum status peer_lost(const struct transport *t, int peer, const char *what,
                             double since, struct error *err)
{
    char who[400], self[400];
    describe(t, peer, who, sizeof who);
    describe(t, t->rank, self, sizeof self);
    if (t->ops->gone(t, peer))
        return error_set(err, ST_PEER, "%s: its process has ended while %s waited for %s",
                         who, self, what);
    if (t->now - since > t->deadline) {
        error_set(err, ST_PEER, "%s: no sign of life for %.0f s while %s waited for %s",
                  who, t->now - since, self, what);
        return error_hint(
            err, ST_PEER,
            "if that rank was only slow, raise cluster.deadline (now %.0f s)",
            t->deadline);
    }
    return ST_OK;
}

/* Is this wait still worth while? */
static enum status check_alive(struct transport *t, const struct inbox *boxes, size_t n,
                               const char *what, double start, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        double sign = t->peers[boxes[i].peer].sign;
        TRY(peer_lost(t, boxes[i].peer, what, sign > start ? sign : start, err));
    }
    if (t->now - (t->changed > start ? t->changed : start) <= t->deadline) return ST_OK;
    char who[400], self[400];
    describe(t, boxes[0].peer, who, sizeof who);
    describe(t, t->rank, self, sizeof self);
    return error_set(err, ST_PEER,
                     "no rank has made progress for %.0f s: %s waits for %s of %s",
                     t->deadline, self, what, who);
}

static void nap(unsigned n)
{
    long ns = n < NAPS_BEFORE_LONGER ? 1000 : 20000;
    nanosleep(&(struct timespec){.tv_sec = 0, .tv_nsec = ns}, NULL);
}

/* One round of waiting: spin first, then sleep about a microsecond at a time. */
static enum status wait_round(struct transport *t, unsigned *round,
                              const struct inbox *boxes, size_t n, const char *what,
                              double *start, struct error *err)
{
    if (t->broken != ST_OK) {
        if (err) *err = t->broken_err;
        return t->broken;
    }
    if (!*round) *start = t->now;
    if ((*round)++ < t->spins) return ST_OK;
    if (t->checked) TRY(check_alive(t, boxes, n, what, *start, err));
    if (t->idle && t->now >= t->next_idle) {
        t->next_idle = t->now + IDLE_GAP;
        t->idle(t->idle_arg);
    }
    nap(*round - t->spins);
    return ST_OK;
}

/* ---- messages ---- */

static enum status wait_box(struct transport *t, const struct inbox *boxes, size_t n,
                            const char *what, size_t *which, struct error *err)
{
    double start = 0;
    for (unsigned round = 0;;) {
        poll_all(t);
        for (size_t i = 0; i < n; i++) {
            if (!t->ops->ready(t, boxes[i].peer, boxes[i].channel)) continue;
            *which = i;
            return ST_OK;
        }
        TRY(wait_round(t, &round, boxes, n, what, &start, err));
    }
}

static enum status wait_sent(struct transport *t, int peer, int ch, struct error *err)
{
    double start = 0;
    const struct inbox box = {peer, (enum channel)ch};
    for (unsigned round = 0; !t->ops->sent(t, peer, ch);) {
        poll_all(t);
        TRY(wait_round(t, &round, &box, 1, "a message to be taken", &start, err));
    }
    return ST_OK;
}

enum status transport_send_on(struct transport *t, int peer, int ch,
                              const struct piece *pieces, size_t n, struct error *err)
{
    TRY(wait_sent(t, peer, ch, err));
    t->events++;
    return t->ops->send(t, peer, ch, pieces, n, err);
}

enum status transport_recv_on(struct transport *t, int peer, int ch, const char *what,
                              struct message *out, struct error *err)
{
    size_t which;
    const struct inbox box = {peer, (enum channel)ch};
    t->ops->release(t, peer, ch);
    TRY(wait_box(t, &box, 1, what, &which, err));
    t->ops->take(t, peer, ch, out);
    t->events++;
    t->peers[peer].sign = t->now;
    return ST_OK;
}

enum status transport_send(struct transport *t, int peer, enum channel ch,
                           const struct piece *pieces, size_t n, struct error *err)
{
    assert(peer != t->rank && peer >= 0 && peer < t->size);
    return transport_send_on(t, peer, ch, pieces, n, err);
}

enum status transport_flush(struct transport *t, struct error *err)
{
    for (int r = 0; r < t->size; r++)
        for (int ch = 0; ch < CHANNEL_BEAT; ch++)
            if (r != t->rank) TRY(wait_sent(t, r, ch, err));
    return ST_OK;
}

bool transport_ready(struct transport *t, int peer, enum channel ch)
{
    poll_all(t);
    return t->ops->ready(t, peer, ch);
}

enum status transport_recv(struct transport *t, int peer, enum channel ch,
                           const char *what, struct message *out, struct error *err)
{
    return transport_recv_on(t, peer, ch, what, out, err);
}

enum { MAX_ANY = 256 };

enum status transport_recv_any(struct transport *t, const int *peers, size_t n,
                               enum channel ch, const char *what, int *peer,
                               struct message *out, struct error *err)
{
    struct inbox boxes[MAX_ANY];
    size_t which;
    assert(n <= MAX_ANY);
    for (size_t i = 0; i < n; i++) boxes[i] = (struct inbox){peers[i], ch};
    TRY(wait_box(t, boxes, n, what, &which, err));
    *peer = peers[which];
    return transport_recv_on(t, *peer, ch, what, out, err);
}

enum status transport_wait(struct transport *t, const struct inbox *boxes, size_t n,
                           const char *what, size_t *which, struct error *err)
{
    return wait_box(t, boxes, n, what, which, err);
}

void transport_release(struct transport *t, int peer, enum channel ch)
{
    t->ops->release(t, peer, ch);
}

/* ---- end ---- */

/* Does one of the ranks below `end` end the job? Looks at all signs of life: those of
 * some time wait for a process that was stopped. */
static bool others_end(struct transport *t, int end)
{
    enum { LOOKS = 3 }; /* that find nothing */
    for (int left = LOOKS; left; left--) {
        t->ops->poll(t);
        tick(t);
        if (take_beats(t)) left = LOOKS + 1;
    }
    for (int r = 0; r < end; r++)
        if (t->peers[r].ends) return true;
    return false;
}

static void hear_others(struct transport *t, double seconds)
{
    for (double end = t->now + seconds; t->now < end;) {
        if (t->ends) send_beats(t);
        nanosleep(&(struct timespec){.tv_nsec = (long)(1e9 * WORD_GAP)}, NULL);
        (void)others_end(t, 0);
    }
}

static void await_end(struct transport *t)
{
    hear_others(t, t->deadline < MAX_END_WAIT ? t->deadline : MAX_END_WAIT);
}

void transport_take_word(struct transport *t)
{
    if (transport_ended(t)) return;
    t->ends = true;
    hear_others(t, WORD_WAIT);
    if (others_end(t, t->rank)) await_end(t);
}

bool transport_ended(struct transport *t)
{
    bool ended = others_end(t, t->size);
    if (ended) await_end(t);
    return ended;
}

void transport_abort(struct transport *t, int code)
{
    t->ops->abort(t, code);
}

enum status transport_close(struct transport *t, struct error *err)
{
    TRY(transport_flush(t, err));
    TRY(transport_barrier(t, "the end of the job", err));
    TRY(transport_flush(t, err));
    t->ops->close(t);
    return ST_OK;
}
