#include "worker/trainer.h"

#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/base/partition.h"
#include "worker/lanes.h"
#include "worker/rates.h"

_Static_assert((int)LANE_SLOTS == (int)STREAM_SLOTS, "a batch and its union share a slot");

/* What one lane owns. */
struct lane {
    struct model_work *work;
    float *grad;      /* [P] */
    float **row_grad; /* [n_tables] -> [max_keys, dim] */
    struct batch_view views[STREAM_SLOTS];
    double *loss;     /* [n_tasks] */
    bool finite;
    enum status status; /* of building a batch, with its error */
    struct error err;
};

struct trainer {
    struct trainer_spec spec;
    size_t n_local, first_lane, n_tables, n_tasks;
    struct lanes *lanes;
    struct stream *stream;
    struct lane *lane;                   /* [n_local] */
    float **grads;                       /* [n_local] = lane[i].grad */
    float *const **row_grads;            /* [n_local] = lane[i].row_grad */
    const struct batch **batches[STREAM_SLOTS]; /* [n_local] */
    double *scale;                       /* [n_tasks] of a loss, without what rises */
    double *scale_now;                   /* [n_tasks] of this step */
    uint64_t step;                       /* next one to compute */
    struct wire_answer answer;           /* rows and parameters of that step */
    uint64_t rows, skipped;
    double *loss; /* [n_tasks] of the rows since they were taken */
    uint64_t loss_rows;
    struct stage_times times;
    uint64_t building; /* step whose batches the threads build now */
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- making ---- */

static void *zeroed(size_t n, size_t size, enum status *st, struct error *err)
{
    void *p = mem_zeroed(n ? n : 1, size);
    if (!p) *st = mem_error(err, "trainer", n * size);
    return p;
}

static enum status make_lane(struct trainer *t, struct lane *lane, const struct session_caps *caps,
                             struct error *err)
{
    const struct session *s = t->spec.session;
    enum status st = ST_OK;
    TRY(model_work_create(s->model, &caps->caps, &lane->work, err));
    lane->grad = zeroed(model_n_params(s->model), sizeof *lane->grad, &st, err);
    lane->loss = zeroed(t->n_tasks, sizeof *lane->loss, &st, err);
    lane->row_grad = zeroed(t->n_tables, sizeof *lane->row_grad, &st, err);
    for (size_t i = 0; i < t->n_tables && st == ST_OK; i++)
        lane->row_grad[i] =
            zeroed(caps->max_keys[i] * s->tables->dim[i], sizeof **lane->row_grad, &st, err);
    for (size_t i = 0; i < STREAM_SLOTS && st == ST_OK; i++)
        st = batch_view_make(s->tables, &lane->views[i], err);
    return st;
}

static enum status make_lanes(struct trainer *t, const struct session_caps *caps, struct error *err)
{
    const struct session *s = t->spec.session;
    struct lanes_spec spec = {.n_lanes = s->spec.settings->train.lanes,
                              .first = t->first_lane,
                              .end = t->first_lane + t->n_local,
                              .n_tables = t->n_tables,
                              .dim = s->tables->dim,
                              .max_keys = caps->max_keys,
                              .n_params = model_n_params(s->model)};
    TRY(lanes_create(&spec, &t->lanes, err));
    for (size_t i = 0; i < t->n_local; i++) {
        TRY(make_lane(t, &t->lane[i], caps, err));
        t->grads[i] = t->lane[i].grad;
        t->row_grads[i] = t->lane[i].row_grad;
    }
    return ST_OK;
}

static enum status make_stream(struct trainer *t, struct error *err)
{
    const struct session *s = t->spec.session;
    const struct settings *settings = s->spec.settings;
    struct stream_spec spec = {.seed = settings->seed,
                               .n_lanes = settings->train.lanes,
                               .lane_first = t->first_lane,
                               .lane_end = t->first_lane + t->n_local,
                               .batch_size = settings->train.batch_size,
                               .start_step = t->spec.start_step,
                               .end_step = t->spec.end_step};
    return stream_open(s->train, s->fit, &spec, &t->stream, err);
}

static enum status fill(struct trainer *t, struct error *err)
{
    const struct session *s = t->spec.session;
    const struct settings *settings = s->spec.settings;
    struct range own =
        partition_part(settings->train.lanes, t->spec.worker, t->spec.n_workers);
    t->first_lane = own.first;
    t->n_local = own.end - own.first;
    t->n_tables = s->tables->n;
    t->n_tasks = settings->n_tasks;
    t->step = t->spec.start_step;
    enum status st = ST_OK;
    t->lane = zeroed(t->n_local, sizeof *t->lane, &st, err);
    t->grads = zeroed(t->n_local, sizeof *t->grads, &st, err);
    t->row_grads = zeroed(t->n_local, sizeof *t->row_grads, &st, err);
    for (size_t i = 0; i < STREAM_SLOTS; i++)
        t->batches[i] = zeroed(t->n_local, sizeof **t->batches, &st, err);
    t->scale = zeroed(t->n_tasks, sizeof *t->scale, &st, err);
    t->scale_now = zeroed(t->n_tasks, sizeof *t->scale_now, &st, err);
    t->loss = zeroed(t->n_tasks, sizeof *t->loss, &st, err);
    if (st != ST_OK) return st;
    for (size_t k = 0; k < t->n_tasks; k++)
        t->scale[k] = 1 / ((double)settings->train.batch_size * fit_presence(s->fit, k));
    struct session_caps caps;
    TRY(session_caps_make(s, s->train, session_lane_rows(settings), &caps, err));
    st = make_lanes(t, &caps, err);
    session_caps_close(&caps);
    return st == ST_OK && t->n_local ? make_stream(t, err) : st;
}

enum status trainer_create(const struct trainer_spec *spec, struct trainer **out, struct error *err)
{
    struct trainer *t = mem_zeroed(1, sizeof *t);
    if (!t) return mem_error(err, "trainer", sizeof *t);
    t->spec = *spec;
    enum status st = fill(t, err);
    if (st != ST_OK) {
        trainer_destroy(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void trainer_destroy(struct trainer *t)
{
    if (!t) return;
    stream_close(t->stream);
    lanes_destroy(t->lanes);
    for (size_t i = 0; t->lane && i < t->n_local; i++) {
        struct lane *lane = &t->lane[i];
        model_work_destroy(lane->work);
        for (size_t j = 0; lane->row_grad && j < t->n_tables; j++) mem_free(lane->row_grad[j]);
        mem_free(lane->row_grad);
        for (size_t j = 0; j < STREAM_SLOTS; j++) batch_view_close(&lane->views[j]);
        mem_free(lane->grad);
        mem_free(lane->loss);
    }
    mem_free(t->lane);
    mem_free(t->grads);
    mem_free(t->row_grads);
    for (size_t i = 0; i < STREAM_SLOTS; i++) mem_free(t->batches[i]);
    mem_free(t->scale);
    mem_free(t->scale_now);
    mem_free(t->loss);
    mem_free(t);
}

/* ---- phases, each run by all threads ---- */

static void build_thread(struct trainer *t, size_t thread)
{
    size_t slot = t->building % STREAM_SLOTS;
    for (size_t i = thread; i < t->n_local; i += threads_size(t->spec.threads)) {
        struct lane *lane = &t->lane[i];
        const struct batch **b = &t->batches[slot][i];
        lane->status = stream_next(t->stream, t->first_lane + i, slot, b, &lane->err);
        if (lane->status == ST_OK)
            *b = batch_view_set(&lane->views[slot], t->spec.session->tables, *b);
    }
}

static void build_phase(void *arg, size_t thread)
{
    build_thread(arg, thread);
}

static void join_phase(void *arg, size_t thread)
{
    struct trainer *t = arg;
    for (size_t i = thread; i < client_shards(t->spec.client); i += threads_size(t->spec.threads))
        client_join(t->spec.client, i);
}

static void apply_phase(void *arg, size_t thread)
{
    struct trainer *t = arg;
    for (size_t i = thread; i < client_shards(t->spec.client); i += threads_size(t->spec.threads))
        client_apply(t->spec.client, i);
}

static void unite_phase(void *arg, size_t thread)
{
    struct trainer *t = arg;
    for (size_t i = thread; i < t->n_tables; i += threads_size(t->spec.threads))
        lanes_unite(t->lanes, t->building % STREAM_SLOTS, i);
}

static void compute_phase(void *arg, size_t thread)
{
    struct trainer *t = arg;
    const struct session *s = t->spec.session;
    size_t slot = t->step % STREAM_SLOTS;
    for (size_t i = thread; i < t->n_local; i += threads_size(t->spec.threads)) {
        struct lane *lane = &t->lane[i];
        struct model_rows rows = {.rows = t->answer.rows, .place = lanes_place(t->lanes, slot, i)};
        if (t->spec.dwa) model_work_weigh(lane->work, dwa_weight(t->spec.dwa));
        lane->finite = model_step(s->model, t->answer.dense, t->batches[slot][i], &rows, t->scale_now,
                                  lane->work, lane->grad, lane->row_grad, lane->loss);
    }
}

static void reduce_phase(void *arg, size_t thread)
{
    struct trainer *t = arg;
    lanes_reduce(t->lanes, t->step % STREAM_SLOTS, t->grads, t->row_grads, thread,
                 threads_size(t->spec.threads));
}

/* ---- steps ---- */

/* Batches of a step and the union of their keys. */
static enum status build(struct trainer *t, uint64_t step, struct error *err)
{
    if (!t->n_local || step >= t->spec.end_step) return ST_OK;
    double start = now_s(), waited = stream_wait_s(t->stream);
    t->building = step;
    threads_run(t->spec.threads, build_phase, t);
    for (size_t i = 0; i < t->n_local; i++)
        if (t->lane[i].status != ST_OK) {
            if (err) *err = t->lane[i].err;
            return t->lane[i].status;
        }
    lanes_set(t->lanes, step % STREAM_SLOTS, t->batches[step % STREAM_SLOTS]);
    threads_run(t->spec.threads, unite_phase, t);
    waited = stream_wait_s(t->stream) - waited;
    t->times.read += waited;
    t->times.keys += now_s() - start - waited;
    return ST_OK;
}

/* A server in this process: its shards belong to the computing threads. */
static void apply(struct trainer *t)
{
    if (client_clips(t->spec.client)) {
        threads_run(t->spec.threads, join_phase, t);
        client_norm(t->spec.client);
    }
    threads_run(t->spec.threads, apply_phase, t);
}

/* Send, do what needs no answer, receive. */
static enum status exchange(struct trainer *t, const struct wire_step *message, uint64_t build_step,
                            struct error *err)
{
    double start = now_s();
    TRY(client_step_begin(t->spec.client, message, err));
    if (client_shards(t->spec.client)) {
        apply(t);
        t->times.apply += now_s() - start;
    } else {
        t->times.wait += now_s() - start;
    }
    TRY(build(t, build_step, err));
    start = now_s();
    TRY(client_step_end(t->spec.client, &t->answer, err));
    t->times.wait += now_s() - start;
    return ST_OK;
}

static struct wire_step empty_message(const struct trainer *t, uint64_t step)
{
    return (struct wire_step){.step = step,
                              .n_tables = t->n_tables,
                              .n_dense = model_n_params(t->spec.session->model)};
}

enum status trainer_begin(struct trainer *t, struct error *err)
{
    TRY(build(t, t->step, err));
    bool last = t->step >= t->spec.end_step;
    struct wire_step first = empty_message(t, t->step);
    first.flags = WIRE_NO_PUSH | (last ? WIRE_NO_PULL : 0);
    if (t->n_local && !last) first.pulls = lanes_pull(t->lanes, t->step % STREAM_SLOTS);
    return exchange(t, &first, t->step + 1, err);
}

static uint64_t count_rows(const struct trainer *t, size_t slot)
{
    uint64_t n = 0;
    for (size_t i = 0; i < t->n_local; i++) n += t->batches[slot][i]->n_rows;
    return n;
}

static bool all_finite(const struct trainer *t)
{
    for (size_t i = 0; i < t->n_local; i++)
        if (!t->lane[i].finite) return false;
    return true;
}

/* Losses of a step that counted; a lane's is divided by the rows of a full batch. */
static void collect_losses(struct trainer *t, uint64_t rows)
{
    const struct rates *rates = t->spec.session->rates;
    double full = (double)t->spec.session->spec.settings->train.batch_size;
    for (size_t i = 0; i < t->n_local; i++) {
        double *loss = t->lane[i].loss;
        for (size_t k = 0; k < t->n_tasks; k++) {
            loss[k] = loss[k] / rates_loss(rates, k, t->step) * full;
            t->loss[k] += loss[k];
        }
        if (t->spec.dwa)
            dwa_add(t->spec.dwa, t->first_lane + i, loss,
                    t->batches[t->step % STREAM_SLOTS][i]->n_rows);
    }
    t->loss_rows += rows;
}

enum status trainer_step(struct trainer *t, uint32_t *flags, struct error *err)
{
    size_t slot = t->step % STREAM_SLOTS;
    struct wire_step message = empty_message(t, t->step + 1);
    message.flags = *flags;
    double start = now_s();
    for (size_t k = 0; k < t->n_tasks; k++)
        t->scale_now[k] = t->scale[k] * rates_loss(t->spec.session->rates, k, t->step);
    threads_run(t->spec.threads, compute_phase, t);
    t->times.model += now_s() - start;
    uint64_t rows = count_rows(t, slot);
    t->rows += rows;
    if (!all_finite(t)) {
        message.flags |= WIRE_NONFINITE;
    } else if (t->n_local) {
        start = now_s();
        if (t->n_local > 1) threads_run(t->spec.threads, reduce_phase, t);
        message.parts = lanes_parts(t->lanes, slot, t->grads, t->row_grads, &message.n_parts);
        t->times.keys += now_s() - start;
    }
    if (t->step + 1 >= t->spec.end_step)
        message.flags |= WIRE_NO_PULL;
    else if (t->n_local)
        message.pulls = lanes_pull(t->lanes, (t->step + 1) % STREAM_SLOTS);
    TRY(exchange(t, &message, t->step + 2, err));
    if (t->answer.flags & WIRE_NONFINITE)
        t->skipped++;
    else
        collect_losses(t, rows);
    *flags = t->answer.flags & WIRE_REQUESTS;
    t->step++;
    return ST_OK;
}

uint64_t trainer_message_bytes(const struct trainer *t)
{
    return lanes_message_bytes(t->lanes);
}

uint64_t trainer_next_step(const struct trainer *t)
{
    return t->step;
}

uint64_t trainer_updates(const struct trainer *t)
{
    return t->answer.updates;
}

uint64_t trainer_skipped(const struct trainer *t)
{
    return t->skipped;
}

uint64_t trainer_rows(const struct trainer *t)
{
    return t->rows;
}

void trainer_take_losses(struct trainer *t, double *loss, uint64_t *rows)
{
    memcpy(loss, t->loss, t->n_tasks * sizeof *loss);
    memset(t->loss, 0, t->n_tasks * sizeof *t->loss);
    *rows = t->loss_rows;
    t->loss_rows = 0;
}

void trainer_times(const struct trainer *t, struct stage_times *out)
{
    *out = t->times;
}
