/* Inside of a client: shared by its two files. */
#ifndef MTPS_WORKER_CLIENT_IMPL_H
#define MTPS_WORKER_CLIENT_IMPL_H

#include "common/base/partition.h"
#include "worker/client.h"

/* One server. */
struct link {
    int rank; /* -1: in this process */
    struct range buckets, dense;
    struct wire_part *parts; /* [max_parts] cut to this server */
    struct wire_run *runs;   /* [max_parts, n_tables] */
    struct wire_keys *pulls; /* [n_tables] */
    struct wire_pieces pieces;
    struct wire_room room;
    struct wire_answer answer;
    struct wire_buffer request, reply; /* control; reply only when local */
    struct message got;
};

struct client {
    struct client_spec spec;
    size_t *dim;
    const struct server_port *port; /* local */
    struct transport *net;          /* remote */
    struct link *links;
    size_t n_links;

    struct wire_step step; /* as begun */
    bool stepping;
    size_t *asked; /* [n_tables] rows of the step */
    /* Answers of several servers side by side. */
    float *dense;        /* [P] */
    float **rows;        /* [n_tables] */
    size_t *rows_floats; /* [n_tables] capacity */
};

/* The part of the keys that this link's server owns. */
struct wire_keys client_cut_keys(const struct client *c, const struct link *l,
                                 const struct wire_keys *k);

#endif
