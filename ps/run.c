/* A server rank: the main thread takes step messages and control requests of all
 * workers as they come; when all messages of a step are there, all threads do the
 * step, a shard each; the rank leaves when every worker has said goodbye. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "ps/server_impl.h"

/* What belongs to one worker of the loop. */
struct visitor {
    struct wire_room room;
    struct wire_pieces pieces;
    struct wire_buffer reply;
    bool left;
};

/* Shorter gaps are polled through; longer sleeps would keep requests waiting. */
static const double MIN_REST = 400e-6, MAX_REST = 3e-3;

struct run {
    struct server *server;
    struct transport *net;
    struct threads *threads;
    uint32_t (*requests)(void);
    const struct topology *topology;
    size_t *dims;
    struct visitor *visitors; /* [n_workers] */
    struct inbox *boxes;      /* [2 n_workers] */
    double answered; /* when the last step's answers were sent; 0 = the next has begun */
    double gap_s;    /* from there to the first message of the next step, smoothed */
    size_t n_left;
    struct wire_buffer squares;
    double *all_squares; /* of all blocks, with clipping */
};

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static int rank_of(const struct run *r, size_t worker)
{
    return r->topology->worker_rank[worker];
}

/* ---- clipping: every server tells every other its sums, in block order ---- */

static enum status send_squares(struct run *r, struct error *err)
{
    size_t n;
    const double *squares = server_block_squares(r->server, &n);
    wire_begin(&r->squares, WIRE_SQUARES);
    wire_put(&r->squares, r->server->step);
    wire_put(&r->squares, n);
    wire_put_bytes(&r->squares, squares, n * sizeof *squares);
    TRY(wire_finish(&r->squares, err));
    const struct piece piece = {r->squares.data, r->squares.bytes};
    for (size_t i = 0; i < r->topology->n_servers; i++)
        if (i != r->server->spec.index)
            TRY(transport_send(r->net, r->topology->server_rank[i], CHANNEL_STEP, &piece,
                               1, err));
    return ST_OK;
}

static enum status read_squares(const struct message *m, uint64_t step, size_t expected,
                                double *out, struct error *err)
{
    struct wire_reader reader;
    TRY(wire_open(m, &reader, err));
    uint64_t their_step = wire_get(&reader), n = wire_get(&reader);
    if (reader.kind != WIRE_SQUARES || their_step != step || n != expected)
        return error_set(err, ST_PEER, "block norms of another step or another cut");
    const double *v = wire_get_array(&reader, n, sizeof *v);
    if (v && n) memcpy(out, v, (size_t)n * sizeof *v);
    return wire_close(&reader, err);
}

static size_t blocks_of(const struct run *r, size_t server)
{
    const struct server_spec *spec = &r->server->spec;
    struct range d = partition_dense(spec->n_dense, server, spec->n_servers);
    return (d.end - d.first + DENSE_BLOCK - 1) / DENSE_BLOCK;
}

static enum status exchange_norm(struct run *r, struct error *err)
{
    const struct server *s = r->server;
    TRY(send_squares(r, err));
    double *at = r->all_squares, sum = 0;
    for (size_t i = 0; i < s->spec.n_servers; i++) {
        size_t n = blocks_of(r, i);
        struct message m;
        if (i == s->spec.index) {
            memcpy(at, s->squares, n * sizeof *at);
        } else {
            TRY(transport_recv(r->net, r->topology->server_rank[i], CHANNEL_STEP,
                               "block norms of the gradient", &m, err));
            TRY(read_squares(&m, s->step, n, at, err));
        }
        at += n;
    }
    for (const double *x = r->all_squares; x < at; x++) sum += *x;
    server_set_norm(r->server, sqrt(sum));
    return ST_OK;
}

/* ---- steps ---- */

/* A step that failed here: every worker gets the reason as its answer. */
static void answer_failure(struct run *r, enum status st, const struct error *err)
{
    struct error ignored;
    for (size_t w = 0; w < r->server->spec.n_workers; w++) {
        struct wire_buffer *reply = &r->visitors[w].reply;
        wire_begin_reply(reply, st, err);
        if (wire_finish(reply, &ignored) != ST_OK) continue;
        const struct piece piece = {reply->data, reply->bytes};
        if (transport_send(r->net, rank_of(r, w), CHANNEL_STEP, &piece, 1, &ignored) !=
            ST_OK)
            return;
    }
    if (transport_flush(r->net, &ignored) != ST_OK) return;
}

static enum status answer_all(struct run *r, struct error *err)
{
    for (size_t w = 0; w < r->server->spec.n_workers; w++) {
        struct visitor *v = &r->visitors[w];
        struct wire_answer a;
        enum status st = server_answer(r->server, w, &a, err);
        if (st != ST_OK) {
            answer_failure(r, st, err);
            return st;
        }
        TRY(wire_encode_answer(&a, r->dims, &v->pieces, err));
        st = transport_send(r->net, rank_of(r, w), CHANNEL_STEP, v->pieces.v, v->pieces.n, err);
        if (st != ST_OK)
            return error_wrap(err, st, "answer of step %llu", (unsigned long long)a.step);
        transport_release(r->net, rank_of(r, w), CHANNEL_STEP);
    }
    return ST_OK;
}

static void join_phase(void *arg, size_t thread)
{
    const struct run *r = arg;
    for (size_t i = thread; i < r->server->spec.n_shards; i += threads_size(r->threads))
        server_join(r->server, i);
}

static void apply_phase(void *arg, size_t thread)
{
    const struct run *r = arg;
    for (size_t i = thread; i < r->server->spec.n_shards; i += threads_size(r->threads))
        server_apply(r->server, i);
}

static enum status do_step(struct run *r, struct error *err)
{
    struct server *s = r->server;
    double start = now();
    if (r->requests) s->flags |= r->requests() & WIRE_REQUESTS;
    if (server_clips(s) && s->pushing) {
        threads_run(r->threads, join_phase, r);
        TRY(exchange_norm(r, err));
    }
    threads_run(r->threads, apply_phase, r);
    TRY(answer_all(r, err));
    r->answered = now();
    s->stats.busy_s += r->answered - start;
    return ST_OK;
}

static enum status take_step(struct run *r, size_t w, struct error *err)
{
    struct message m;
    struct wire_step step;
    TRY(transport_recv(r->net, rank_of(r, w), CHANNEL_STEP, "a step", &m, err));
    enum status st = wire_decode_step(&m, r->dims, r->server->n_dense,
                                      &r->visitors[w].room, &step, err);
    if (st == ST_OK) st = server_accept(r->server, w, &step, err);
    if (st != ST_OK) return error_wrap(err, st, "worker %zu", w);
    return server_step_ready(r->server) ? do_step(r, err) : ST_OK;
}

static enum status take_request(struct run *r, size_t w, struct error *err)
{
    struct message m;
    struct visitor *v = &r->visitors[w];
    TRY(transport_recv(r->net, rank_of(r, w), CHANNEL_CONTROL, "a request", &m, err));
    struct wire_reader reader;
    TRY(wire_open(&m, &reader, err));
    bool bye = reader.kind == WIRE_BYE;
    enum status st = server_control(r->server, &m, &v->reply, err);
    if (st != ST_OK) return error_wrap(err, st, "worker %zu", w);
    const struct piece piece = {v->reply.data, v->reply.bytes};
    TRY(transport_send(r->net, rank_of(r, w), CHANNEL_CONTROL, &piece, 1, err));
    if (bye && !v->left) {
        v->left = true;
        r->n_left++;
    }
    return ST_OK;
}

/* Workers whose step is here already are asked for nothing but requests. */
static size_t list_boxes(struct run *r)
{
    size_t n = 0;
    for (size_t w = 0; w < r->server->spec.n_workers; w++) {
        if (r->visitors[w].left) continue;
        r->boxes[n++] = (struct inbox){rank_of(r, w), CHANNEL_CONTROL};
        if (!r->server->workers[w].here)
            r->boxes[n++] = (struct inbox){rank_of(r, w), CHANNEL_STEP};
    }
    return n;
}

static size_t worker_of(const struct run *r, int rank)
{
    size_t w = 0;
    while (rank_of(r, w) != rank) w++;
    return w;
}

/* While workers compute, a server that polls takes their cores. It has seen how
 * long they take: sleep through the first half of that, once its answers have
 * left (a sleeping rank moves no data). */
static enum status rest(struct run *r, struct error *err)
{
    if (!r->answered || r->gap_s < MIN_REST) return ST_OK;
    enum status st = transport_flush(r->net, err);
    if (st != ST_OK)
        return error_wrap(err, st, "answers of step %llu", (unsigned long long)r->server->step);
    double left = r->answered + r->gap_s / 2 - now();
    if (left > MAX_REST) left = MAX_REST;
    if (left > 0) nanosleep(&(struct timespec){.tv_nsec = (long)(1e9 * left)}, NULL);
    return ST_OK;
}

/* The first message of a step: how long after the answers of the one before? */
static void note_gap(struct run *r)
{
    if (!r->answered) return;
    double gap = now() - r->answered;
    r->gap_s = gap < r->gap_s || !r->gap_s ? gap : r->gap_s + (gap - r->gap_s) / 8;
    r->answered = 0;
}

static enum status serve(struct run *r, struct error *err)
{
    while (r->n_left < r->server->spec.n_workers) {
        size_t which, n = list_boxes(r);
        char what[64];
        snprintf(what, sizeof what, "step %llu or a request",
                 (unsigned long long)(r->server->step + 1));
        double start = now();
        TRY(rest(r, err));
        TRY(transport_wait(r->net, r->boxes, n, what, &which, err));
        r->server->stats.wait_s += now() - start;
        size_t w = worker_of(r, r->boxes[which].peer);
        if (r->boxes[which].channel == CHANNEL_STEP) {
            note_gap(r);
            TRY(take_step(r, w, err));
        } else {
            TRY(take_request(r, w, err));
        }
    }
    return transport_flush(r->net, err);
}

/* ---- start and end ---- */

static enum status run_make(struct run *r, struct error *err)
{
    const struct server_spec *spec = &r->server->spec;
    r->dims = mem_array(spec->n_tables, sizeof *r->dims);
    r->visitors = mem_zeroed(spec->n_workers, sizeof *r->visitors);
    r->boxes = mem_array(2 * spec->n_workers, sizeof *r->boxes);
    size_t n_blocks = (spec->n_dense + DENSE_BLOCK - 1) / DENSE_BLOCK;
    r->all_squares = mem_array(n_blocks, sizeof *r->all_squares);
    if (!r->dims || !r->visitors || !r->boxes || !r->all_squares)
        return mem_error(err, "server loop", n_blocks * sizeof *r->all_squares);
    for (size_t t = 0; t < spec->n_tables; t++) r->dims[t] = r->server->tables[t].dim;
    for (size_t w = 0; w < spec->n_workers; w++)
        TRY(wire_room_make(spec->n_lanes, spec->n_tables, &r->visitors[w].room, err));
    return ST_OK;
}

static void run_close(struct run *r)
{
    for (size_t w = 0; r->visitors && w < r->server->spec.n_workers; w++) {
        wire_room_close(&r->visitors[w].room);
        wire_pieces_close(&r->visitors[w].pieces);
        wire_buffer_close(&r->visitors[w].reply);
    }
    wire_buffer_close(&r->squares);
    mem_free(r->all_squares);
    mem_free(r->visitors);
    mem_free(r->boxes);
    mem_free(r->dims);
}

static void on_progress(void *arg, uint64_t counter)
{
    transport_progress(arg, counter);
}

enum status server_run(struct server *s, struct transport *t,
                       const struct topology *topology, struct threads *threads,
                       uint32_t (*requests)(void), struct error *err)
{
    struct run r = {.server = s,
                    .net = t,
                    .topology = topology,
                    .threads = threads,
                    .requests = requests};
    s->progress = on_progress;
    s->progress_arg = t;
    enum status st = run_make(&r, err);
    if (st == ST_OK) st = serve(&r, err);
    run_close(&r);
    s->progress = NULL;
    return st;
}
