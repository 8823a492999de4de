/* What a transport implementation gives; waiting, signs of life and collectives
 * are common to all (transport.c). */
#ifndef MTPS_NET_TRANSPORT_IMPL_H
#define MTPS_NET_TRANSPORT_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/net/transport.h"

/* Two more channels than users see. */
enum { CHANNEL_GROUP = CHANNEL_COUNT, CHANNEL_BEAT, CHANNEL_ALL };

struct transport_ops {
    void (*poll)(
        struct transport *t); /* progress on everything; failures go to transport_break */
    bool (*ready)(const struct transport *t, int peer, int ch);
    void (*take)(struct transport *t, int peer, int ch,
                 struct message *out); /* after ready */
    void (*release)(struct transport *t, int peer,
                    int ch); /* the message taken last, if any */
    bool (*sent)(const struct transport *t, int peer,
                 int ch); /* nothing of ours is in flight */
    enum status (*send)(struct transport *t, int peer, int ch, const struct piece *pieces,
                        size_t n, struct error *err); /* after sent */
    bool (*gone)(const struct transport *t,
                 int peer); /* its process is known to have ended */
    NORETURN void (*abort)(struct transport *t, int code);
    void (*close)(struct transport *t); /* frees t */
};

/* What is known of another rank. */
struct transport_peer {
    char host[256];
    char name[64];
    double sign;           /* time of the last sign of life, on this transport's clock */
    uint64_t counter;      /* progress it reported last */
    unsigned char beat[8]; /* the sign of life on its way to it */
    bool ends;             /* it gives up and ends the job */
};

struct transport {
    const struct transport_ops *ops;
    int rank, size;
    size_t segment_limit;
    bool share;                   /* big messages may go through shared memory */
    uint64_t n_shared;            /* messages sent that way */
    unsigned spins;               /* polls before the first nap */
    struct transport_peer *peers; /* [size] */
    pthread_t owner;
    double deadline;
    _Atomic uint64_t counter; /* of transport_progress */
    uint64_t events;          /* messages sent and received */
    /* A clock that stands still while this process is stopped: no step of it is
     * larger than MAX_TICK, so that a long stop does not look like silent peers. */
    double now, clock;
    double next_beat, next_check, next_idle;
    bool ends;         /* this rank gives up: beats say so */
    bool checked;      /* the last poll looked at signs of life */
    double changed;    /* when any rank's progress last grew */
    uint64_t progress; /* ours, at that time */
    void (*idle)(void *);
    void *idle_arg;
    enum status broken; /* a failure found while polling */
    struct error broken_err;
};

/* Fill the common part; the implementation adds the hosts. */
enum status transport_init(struct transport *t, const struct transport_ops *ops, int rank,
                           int size, struct error *err) MUST_USE;
void transport_fini(struct transport *t);
/* The first failure counts; all later waits report it. */
void transport_break(struct transport *t, enum status st, const struct error *err);

/* transport_send and transport_recv on any channel. */
enum status transport_send_on(struct transport *t, int peer, int ch,
                              const struct piece *pieces, size_t n,
                              struct error *err) MUST_USE;
enum status transport_recv_on(struct transport *t, int peer, int ch, const char *what,
                              struct message *out, struct error *err) MUST_USE;

#endif
