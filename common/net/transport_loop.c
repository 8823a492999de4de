/* Virtual ranks in one process, for tests of everything above a transport. Pieces
 * are read when the message is delivered, not when it is sent, as a network card
 * would: who touches them too early is found out. A seeded number of polls passes
 * before a message shows up, so messages of different peers overtake each other;
 * those of one peer on one channel stay in order. */
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/net/transport_impl.h"

struct parcel {
    struct parcel *next;
    struct piece *pieces; /* the sender's, until delivered */
    size_t n, capacity_pieces;
    unsigned hold; /* polls of the receiver to wait still */
    unsigned char *data;
    size_t bytes, capacity;
    bool delivered;
};

/* Messages of one sender to one receiver on one channel. */
struct mailbox {
    struct parcel *first, *last; /* oldest first */
    struct parcel *free;
    struct parcel *taken;
    size_t undelivered;
    uint64_t n_sent;
};

struct loop_transport {
    struct transport base; /* first: a transport is its first member */
    struct loop *loop;
};

struct loop {
    pthread_mutex_t lock;
    int n;
    struct rng rng;
    unsigned max_delay;    /* 0: none */
    struct mailbox *boxes; /* [n from][n to][CHANNEL_ALL] */
    struct loop_transport *ranks;
};

static struct loop *loop_of(const struct transport *t)
{
    return ((const struct loop_transport *)t)->loop;
}

static struct mailbox *box(const struct loop *l, int from, int to, int ch)
{
    return &l->boxes[((size_t)from * (size_t)l->n + (size_t)to) * CHANNEL_ALL +
                     (size_t)ch];
}

static bool grow(void *array, size_t *capacity, size_t n, size_t size)
{
    void *old;
    memcpy(&old, array, sizeof old);
    if (n <= *capacity) return true;
    void *p = mem_resize(old, n, size);
    if (!p) return false;
    memcpy(array, &p, sizeof p);
    *capacity = n;
    return true;
}

/* Copy the pieces out of the sender's memory. */
static bool deliver(struct mailbox *b, struct parcel *p)
{
    size_t bytes = 0;
    for (size_t i = 0; i < p->n; i++) bytes += p->pieces[i].bytes;
    if (!grow(&p->data, &p->capacity, bytes ? bytes : 1, 1)) return false;
    p->bytes = 0;
    for (size_t i = 0; i < p->n; i++) {
        memcpy(p->data + p->bytes, p->pieces[i].data, p->pieces[i].bytes);
        p->bytes += p->pieces[i].bytes;
    }
    p->delivered = true;
    b->undelivered--;
    return true;
}

static void loop_poll(struct transport *t)
{
    struct loop *l = loop_of(t);
    bool ok = true;
    pthread_mutex_lock(&l->lock);
    for (int from = 0; from < l->n; from++)
        for (int ch = 0; ch < CHANNEL_ALL; ch++) {
            struct mailbox *b = box(l, from, t->rank, ch);
            struct parcel *p = b->first;
            if (!p || p->delivered) continue;
            if (p->hold)
                p->hold--;
            else
                ok = deliver(b, p) && ok;
        }
    pthread_mutex_unlock(&l->lock);
    if (ok) return;
    struct error err;
    transport_break(t, mem_error(&err, "message", 0), &err);
}

static bool loop_ready(const struct transport *t, int peer, int ch)
{
    struct loop *l = loop_of(t);
    pthread_mutex_lock(&l->lock);
    const struct parcel *p = box(l, peer, t->rank, ch)->first;
    bool ready = p && p->delivered;
    pthread_mutex_unlock(&l->lock);
    return ready;
}

static void loop_take(struct transport *t, int peer, int ch, struct message *out)
{
    struct loop *l = loop_of(t);
    pthread_mutex_lock(&l->lock);
    struct mailbox *b = box(l, peer, t->rank, ch);
    struct parcel *p = b->first;
    b->first = p->next;
    if (!b->first) b->last = NULL;
    b->taken = p;
    *out = (struct message){.data = p->data, .bytes = p->bytes};
    pthread_mutex_unlock(&l->lock);
}

static void loop_release(struct transport *t, int peer, int ch)
{
    struct loop *l = loop_of(t);
    pthread_mutex_lock(&l->lock);
    struct mailbox *b = box(l, peer, t->rank, ch);
    if (b->taken) {
        memset(b->taken->data, 0xdd, b->taken->bytes); /* late readers shall notice */
        b->taken->next = b->free;
        b->free = b->taken;
        b->taken = NULL;
    }
    pthread_mutex_unlock(&l->lock);
}

static bool loop_sent(const struct transport *t, int peer, int ch)
{
    struct loop *l = loop_of(t);
    pthread_mutex_lock(&l->lock);
    bool sent = !box(l, t->rank, peer, ch)->undelivered;
    pthread_mutex_unlock(&l->lock);
    return sent;
}

static struct parcel *new_parcel(struct mailbox *b)
{
    struct parcel *p = b->free;
    if (p) {
        b->free = p->next;
        return p;
    }
    return mem_zeroed(1, sizeof *p);
}

static enum status post(struct loop *l, int from, int to, int ch,
                        const struct piece *pieces, size_t n, struct error *err)
{
    struct mailbox *b = box(l, from, to, ch);
    struct parcel *p = new_parcel(b);
    if (!p) return mem_error(err, "message", sizeof *p);
    if (!grow(&p->pieces, &p->capacity_pieces, n ? n : 1, sizeof *p->pieces)) {
        p->next = b->free;
        b->free = p;
        return mem_error(err, "message", n * sizeof *p->pieces);
    }
    memcpy(p->pieces, pieces, n * sizeof *pieces);
    p->n = n;
    p->next = NULL;
    p->delivered = false;
    uint64_t draw = rng_u64(&l->rng, b->n_sent++, (uint32_t)(b - l->boxes));
    p->hold = l->max_delay ? (unsigned)(draw % (l->max_delay + 1)) : 0;
    if (b->last)
        b->last->next = p;
    else
        b->first = p;
    b->last = p;
    b->undelivered++;
    return ST_OK;
}

static enum status loop_send(struct transport *t, int peer, int ch,
                             const struct piece *pieces, size_t n, struct error *err)
{
    struct loop *l = loop_of(t);
    pthread_mutex_lock(&l->lock);
    enum status st = post(l, t->rank, peer, ch, pieces, n, err);
    pthread_mutex_unlock(&l->lock);
    return st;
}

static bool loop_gone(const struct transport *t, int peer)
{
    (void)t;
    (void)peer;
    return false;
}

NORETURN static void loop_abort(struct transport *t, int code)
{
    (void)t;
    _Exit(code);
}

static void loop_close(struct transport *t)
{
    (void)t; /* loop_destroy frees all ranks */
}

static const struct transport_ops loop_ops = {.poll = loop_poll,
                                              .ready = loop_ready,
                                              .take = loop_take,
                                              .release = loop_release,
                                              .sent = loop_sent,
                                              .send = loop_send,
                                              .gone = loop_gone,
                                              .abort = loop_abort,
                                              .close = loop_close};

static enum status make_rank(struct loop *l, int rank, struct error *err)
{
    struct loop_transport *t = &l->ranks[rank];
    t->loop = l;
    TRY(transport_init(&t->base, &loop_ops, rank, l->n, err));
    t->base.spins = 50;
    for (int r = 0; r < l->n; r++)
        memcpy(t->base.peers[r].host, "loopback", sizeof "loopback");
    return ST_OK;
}

enum status loop_create(int n, uint64_t delay_seed, unsigned max_delay, struct loop **out,
                        struct error *err)
{
    struct loop *l = mem_zeroed(1, sizeof *l);
    if (!l) return mem_error(err, "loopback", sizeof *l);
    l->n = n;
    l->rng = rng_make(delay_seed, RNG_TEST, 0);
    l->max_delay = delay_seed ? max_delay : 0;
    pthread_mutex_init(&l->lock, NULL);
    size_t n_boxes = (size_t)n * (size_t)n * CHANNEL_ALL;
    l->boxes = mem_zeroed(n_boxes, sizeof *l->boxes);
    l->ranks = mem_zeroed((size_t)n, sizeof *l->ranks);
    enum status st = l->boxes && l->ranks ? ST_OK : mem_error(err, "loopback", n_boxes);
    for (int r = 0; st == ST_OK && r < n; r++) st = make_rank(l, r, err);
    if (st != ST_OK) {
        loop_destroy(l);
        return st;
    }
    *out = l;
    return ST_OK;
}

struct transport *loop_rank(struct loop *l, int rank)
{
    l->ranks[rank].base.owner = pthread_self();
    return &l->ranks[rank].base;
}

static void free_parcels(struct parcel *p)
{
    while (p) {
        struct parcel *next = p->next;
        mem_free(p->pieces);
        mem_free(p->data);
        mem_free(p);
        p = next;
    }
}

void loop_destroy(struct loop *l)
{
    if (!l) return;
    size_t n_boxes = (size_t)l->n * (size_t)l->n * CHANNEL_ALL;
    for (size_t i = 0; l->boxes && i < n_boxes; i++) {
        free_parcels(l->boxes[i].first);
        free_parcels(l->boxes[i].free);
        free_parcels(l->boxes[i].taken);
    }
    for (int r = 0; l->ranks && r < l->n; r++) transport_fini(&l->ranks[r].base);
    pthread_mutex_destroy(&l->lock);
    mem_free(l->boxes);
    mem_free(l->ranks);
    mem_free(l);
}
