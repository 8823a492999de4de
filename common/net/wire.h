/* Messages between workers and servers, declared once. All numbers are
 * little-endian and of fixed width; a message starts with a prefix {magic,
 * version, kind, bytes} and a list of fields, sections follow, each 8-byte
 * aligned; every size in a header is checked against the message before use (a
 * damaged or foreign message is ST_PEER with the check named, never a crash). No
 * C struct is ever sent. docs/protocol.md shows them byte by byte.
 *
 * A *view* is a decoded message: numbers plus pointers into the message's bytes
 * (or, in one process, straight into the sender's buffers: encode and decode are
 * then skipped for the sections, and the same server code reads the view).
 *
 * step:    worker -> server, one a step, also when empty
 *          header {step, flags, n_parts, n_tables, dense floats of this server}
 *          n_parts of { tree node; dense gradient[n_dense]; per table: n, keys[n],
 * counts[n], gradients[n, dim] }           push of step - 1 per table: n, keys[n] pull
 * for this step answer:  server -> worker header {step, flags, updates}, dense[n_dense],
 * per table rows[n, dim] in the order asked
 *
 * Control requests and their replies (kinds from WIRE_PULL on) go on
 * CHANNEL_CONTROL; every reply starts with a status, and with the error text when
 * it is not ST_OK. */
#ifndef MTPS_NET_WIRE_H
#define MTPS_NET_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/net/transport.h"

enum { WIRE_VERSION = TRANSPORT_PROTOCOL };

enum wire_flags {
    WIRE_NONFINITE = 1,  /* a lane of the pushed step was not finite: all skip the step */
    WIRE_CHECKPOINT = 2, /* commit at the edge of the next step */
    WIRE_STOP = 4,       /* stop at the edge of the next step */
    WIRE_NO_PUSH = 8,    /* first message after start or resume */
    WIRE_NO_PULL = 16,   /* last message */
    WIRE_REPORT = 32,    /* progress is due at the edge of the next step */
    WIRE_VALIDATE = 64,  /* so is validation */

    WIRE_REQUESTS = WIRE_CHECKPOINT | WIRE_STOP | WIRE_REPORT | WIRE_VALIDATE
};

enum wire_kind {
    WIRE_STEP = 1,
    WIRE_ANSWER,
    WIRE_REPLY,
    WIRE_PULL,      /* read-only: rows of keys, and dense parameters when asked */
    WIRE_DENSE_GET, /* parameters and optimiser slots of this server's floats */
    WIRE_DENSE_PUT, /* the same, and weight decay mask, counters */
    WIRE_LOAD,      /* rows of this server's buckets from a checkpoint: path, struct wire_load per
                       table or none */
    WIRE_SAVE,      /* rows into this server's file of a checkpoint */
    WIRE_DIGEST,    /* digest and row counts of the live tables */
    WIRE_STATS,
    WIRE_BYE,     /* the server leaves its loop when every worker has said it */
    WIRE_SQUARES, /* server to server: sums of squares per dense block */
    WIRE_RATES,   /* how parameters learn, struct wire_rates */
    WIRE_KIND_END
};

/* A node of the binary tree over lanes: lanes [index << level, (index + 1) << level). */
struct wire_node {
    uint32_t level, index;
};

struct wire_keys {
    size_t n;
    const uint64_t *keys; /* (bucket, key) order */
};

struct wire_run {
    size_t n;
    const uint64_t *keys;   /* [n] strictly increasing in (bucket, key) order */
    const uint32_t *counts; /* [n] occurrences */
    const float *grads;     /* [n, dim] */
};

/* A maximal aligned subtree of a worker's lanes, already summed. */
struct wire_part {
    struct wire_node node;
    const float *dense;          /* [n_dense of this server] */
    const struct wire_run *runs; /* [n_tables] */
};

struct wire_step {
    uint64_t step; /* the step whose rows are asked for; the push belongs to step - 1 */
    uint32_t flags;
    size_t n_parts, n_tables, n_dense;
    const struct wire_part *parts; /* [n_parts] */
    const struct wire_keys *pulls; /* [n_tables]; NULL = nothing */
};

struct wire_answer {
    uint64_t step;
    uint32_t flags;
    uint64_t updates; /* optimiser updates done so far (skipped steps do not count) */
    size_t n_tables, n_dense;
    const float *dense;       /* [n_dense] parameters */
    const float *const *rows; /* [n_tables] -> [n, dim] */
    const size_t *n_rows;     /* [n_tables] */
};

/* A growable byte buffer for encoded messages; reused, so that nothing is
 * allocated once it has its size. Puts that find no memory set `failed`, which
 * wire_finish() reports. */
struct wire_buffer {
    unsigned char *data;
    size_t bytes, capacity;
    bool failed;
};
void wire_buffer_close(struct wire_buffer *b);

/* ---- step and answer ---- */

/* Pieces of one message to send; arrays grow and stay. The pieces point into
 * head and into the buffers of the encoded view, which stay borrowed. */
struct wire_pieces {
    struct wire_buffer head;
    struct piece *v;
    size_t n, capacity;
};
void wire_pieces_close(struct wire_pieces *p);

/* dims: [n_tables] floats of a row's gradient. */
enum status wire_encode_step(const struct wire_step *m, const size_t *dims,
                             struct wire_pieces *out, struct error *err) MUST_USE;
enum status wire_encode_answer(const struct wire_answer *m, const size_t *dims,
                               struct wire_pieces *out, struct error *err) MUST_USE;

/* Room for views, made once. What is decoded stays valid until the next decode
 * with the same room, and while the message does. */
struct wire_room {
    size_t max_parts, n_tables;
    struct wire_part *parts; /* [max_parts] */
    struct wire_run *runs;   /* [max_parts, n_tables] */
    struct wire_keys *pulls; /* [n_tables] */
    const float **rows;      /* [n_tables] */
    size_t *n_rows;          /* [n_tables] */
};
enum status wire_room_make(size_t max_parts, size_t n_tables, struct wire_room *out,
                           struct error *err) MUST_USE;
void wire_room_close(struct wire_room *r);

/* n_dense: what this server (or link) must have. */
enum status wire_decode_step(const struct message *m, const size_t *dims, size_t n_dense,
                             struct wire_room *room, struct wire_step *out,
                             struct error *err) MUST_USE;
enum status wire_decode_answer(const struct message *m, const size_t *dims,
                               size_t n_dense, struct wire_room *room,
                               struct wire_answer *out, struct error *err) MUST_USE;

/* ---- control messages: put fields and sections, finish; open, get in the same order
 * ---- */

void wire_begin(struct wire_buffer *b, enum wire_kind kind); /* forgets what b held */
void wire_put(struct wire_buffer *b, uint64_t x);
void wire_put_bytes(struct wire_buffer *b, const void *data,
                    size_t bytes); /* padded to 8 */
void wire_put_text(struct wire_buffer *b, const char *s);
/* Room of this many bytes (padded to 8, the padding zeroed) to fill in place, as
 * an offset into data, which later puts may move. */
size_t wire_put_room(struct wire_buffer *b, size_t bytes);
enum status wire_finish(struct wire_buffer *b, struct error *err) MUST_USE;

/* Start a reply with this outcome; anything but ST_OK carries err and ends it. */
void wire_begin_reply(struct wire_buffer *b, enum status st, const struct error *err);

/* Reading never passes the end: what is missing reads as 0 or NULL and sets
 * `bad`, which wire_close() turns into ST_PEER. */
struct wire_reader {
    const unsigned char *data;
    size_t at, bytes;
    enum wire_kind kind;
    bool bad;
};
enum status wire_open(const struct message *m, struct wire_reader *r,
                      struct error *err) MUST_USE;
uint64_t wire_get(struct wire_reader *r);
/* A section of n elements of this size. */
const void *wire_get_array(struct wire_reader *r, uint64_t n, size_t size);
/* A text of at most this many bytes, with its final 0 (truncation is bad). */
bool wire_get_text(struct wire_reader *r, char *out, size_t size);
/* ST_PEER when something was missing, or bytes are left over. */
enum status wire_close(struct wire_reader *r, struct error *err) MUST_USE;
/* Open a reply: gives back the status it carries, with its text. */
enum status wire_open_reply(const struct message *m, struct wire_reader *r,
                            struct error *err) MUST_USE;

/* What runs that this one was hot-started from have done. */
struct wire_past {
    uint64_t steps;         /* added to the step in rows' last_step, so that ages go on */
    uint64_t sparse_updates, dense_updates; /* added to t of optimisers whose state was kept */
};

/* Dense floats with what belongs to them, both ways (WIRE_DENSE_PUT, reply of
 * WIRE_DENSE_GET). */
struct wire_dense {
    uint64_t step, updates;
    struct wire_past past;
    size_t n;
    size_t n_slots;        /* 0: slots start fresh */
    const float *params;   /* [n] */
    const float *slots[2]; /* [n] each */
    const uint8_t *decay;  /* [n] of 0 and 1; NULL = no weight decay anywhere */
};
void wire_put_dense(struct wire_buffer *b, const struct wire_dense *d);
void wire_get_dense(struct wire_reader *r, struct wire_dense *d);

/* How a group of parameters learns beside what its optimiser says. In steps before `from`
 * nothing of it changes, state included; then a change counts `scale` times. With open > 0
 * it is a gate's bias that is not learned in steps [from, from + open - opened) but set, to
 * the logarithm of a share that rises in a line to 1; `opened` steps of it were done before. */
struct wire_rate {
    double scale;
    uint64_t from, open, opened;
};
enum { WIRE_MAX_RATES = 256 };
struct wire_rates {
    size_t n, n_dense, n_tables;
    const struct wire_rate *rates; /* [n]; 0 is that of plain learning */
    const uint8_t *dense;          /* [n_dense] which one; of this server's floats */
    const uint8_t *tables;         /* [n_tables] */
};
void wire_put_rates(struct wire_buffer *b, const struct wire_rates *r);
/* rates[WIRE_MAX_RATES] takes the groups, which `out` points to. */
void wire_get_rates(struct wire_reader *r, struct wire_rate *rates, struct wire_rates *out);

/* How a table takes rows from the checkpoint of a WIRE_LOAD. Without these every table
 * takes the one of its own name as it is. */
enum { WIRE_TABLE_NAME = 256, WIRE_MAX_COLUMNS = 256 };
#define WIRE_FRESH UINT32_MAX
struct wire_load {
    char source[WIRE_TABLE_NAME]; /* the table's name there; empty: starts without rows */
    bool keep_state;              /* of the optimiser; else fresh */
    bool resize;                  /* rows are cut or get their first values behind the end */
    /* Column j comes from column from[j], or stays fresh (WIRE_FRESH); n_columns 0: all from
     * their own places. */
    size_t n_columns;
    uint32_t from[WIRE_MAX_COLUMNS];
    uint64_t min_count, min_step; /* other rows are left out */
    double shrink, noise;         /* w becomes shrink w + noise z, z normal; 1 and 0: as it is */
};
void wire_put_load(struct wire_buffer *b, const struct wire_load *l);
void wire_get_load(struct wire_reader *r, struct wire_load *l);

/* A server's file in a checkpoint, in the reply of WIRE_SAVE. */
struct wire_file {
    char name[64];
    uint64_t bytes, rows;
    char sha256[65];
    uint64_t digest_low, digest_high;
};
void wire_put_file(struct wire_buffer *b, const struct wire_file *f);
void wire_get_file(struct wire_reader *r, struct wire_file *f);

/* Reply of WIRE_STATS. */
struct wire_stats {
    uint64_t steps, updates,
        skipped; /* step messages handled; of these applied; skipped */
    uint64_t keys_pulled, keys_pushed;
    uint64_t rows, bytes;  /* rows held; memory */
    double busy_s, wait_s; /* joining, applying, copying; waiting for messages */
};
void wire_put_stats(struct wire_buffer *b, const struct wire_stats *s);
void wire_get_stats(struct wire_reader *r, struct wire_stats *s);

#endif
