/* The order of training rows (DESIGN section 4 rule 4) and the rows in memory.
 *
 *   epoch     blocks of 4096 accepted rows in permuted order; their selected rows
 *             one after another are the epoch's sequence of N rows
 *   lane      positions [l N / L, (l + 1) N / L) of it
 *   window    shuffle_window rows of the lane's part (rounded down to whole
 *             batches), permuted within
 *
 * Each lane holds up to two windows: the one it builds batches from, and the next
 * one, which the reading thread fills. When all rows together need no more memory
 * than these windows, they are read once and a window is an order of them; the
 * batches are the same. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "data/dataset_impl.h"

/* Rows of one window, and their order. */
struct window {
    struct store *store; /* of its own, or the one of all rows */
    uint32_t *order;
    bool ready;
};

struct lane {
    uint64_t first, n; /* positions of the epoch's sequence */
    uint64_t step;     /* next one to build */
    uint64_t current,
        loading; /* window in use; next one to read. Numbered over all epochs */
    struct window window[2];
    struct batch_buffer *buffer[STREAM_SLOTS];
};

/* One epoch's order of blocks. */
struct epoch_order {
    uint64_t epoch;
    uint32_t *blocks; /* [n_blocks] permuted */
    uint64_t *before; /* [n_blocks + 1] rows in earlier blocks of that order */
};

struct stream {
    struct dataset *data;
    struct stream_spec spec;
    uint64_t n_rows, steps_per_epoch,
        last_window; /* of the last step; windows end there */
    size_t lane_rows, window_rows;
    uint64_t windows_per_epoch;
    size_t n_local;
    struct lane *lanes;
    struct loading *loading;
    struct block *scratch;
    struct epoch_order order;
    struct store
        *all; /* every selected row in file order; NULL: windows have their own */
    bool all_read;
    uint32_t *places;               /* [window_rows] of the window being ordered */
    struct builder **free_builders; /* [n_builders], the first n_free are free */
    size_t n_builders, n_free;
    pthread_t reader;
    bool reading;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    enum status status;
    struct error err;
    /* Time in which at least one caller waits for a window. */
    size_t n_waiting;
    double wait_s, wait_start;
};

uint64_t stream_steps_per_epoch(uint64_t rows, size_t batch_size, size_t n_lanes)
{
    uint64_t lane_rows = batch_size / n_lanes, longest = (rows + n_lanes - 1) / n_lanes;
    return (longest + lane_rows - 1) / lane_rows;
}

/* ---- which window a step reads from ---- */

static uint64_t window_of_step(const struct stream *s, uint64_t step)
{
    uint64_t position = step % s->steps_per_epoch * s->lane_rows;
    return step / s->steps_per_epoch * s->windows_per_epoch + position / s->window_rows;
}

/* A lane's rows in a window: [0, n) of its part from `from` on. */
static size_t rows_in_window(const struct stream *s, const struct lane *l,
                             uint64_t window, uint64_t *from)
{
    *from = window % s->windows_per_epoch * s->window_rows;
    if (*from >= l->n) return 0;
    return (size_t)(l->n - *from < s->window_rows ? l->n - *from : s->window_rows);
}

/* ---- reading ---- */

static void order_blocks(struct stream *s, uint64_t epoch)
{
    struct epoch_order *o = &s->order;
    if (o->epoch == epoch) return;
    const uint64_t *before = s->data->before;
    uint32_t n = (uint32_t)s->data->file->n_blocks;
    struct rng r = rng_make(s->spec.seed, RNG_BLOCK_ORDER, epoch);
    rng_permutation(&r, n, o->blocks);
    for (uint32_t i = 0; i < n; i++)
        o->before[i + 1] =
            o->before[i] + (before[o->blocks[i] + 1] - before[o->blocks[i]]);
    o->epoch = epoch;
}

static enum status read_all(struct stream *s, struct error *err)
{
    if (!s->all || s->all_read) return ST_OK;
    TRY(dataset_load(s->data, NULL, s->data->before, 0, s->n_rows, s->all, s->scratch,
                     err));
    TRY(store_seal(s->all, err));
    s->all_read = true;
    return ST_OK;
}

/* Rows [first, first + n) of the epoch's sequence into the window's own store. */
static enum status read_rows(struct stream *s, struct store *store, uint64_t first,
                             size_t n, struct error *err)
{
    store_clear(store);
    if (n)
        TRY(dataset_load(s->data, s->order.blocks, s->order.before, first, first + n,
                         store, s->scratch, err));
    return store_seal(store, err);
}

static enum status read_window(struct stream *s, size_t lane, uint64_t window,
                               struct error *err)
{
    struct lane *l = &s->lanes[lane];
    struct window *w = &l->window[window % 2];
    uint64_t from, epoch = window / s->windows_per_epoch;
    size_t n = rows_in_window(s, l, window, &from);
    order_blocks(s, epoch);
    TRY(read_all(s, err));
    if (!s->all) TRY(read_rows(s, w->store, l->first + from, n, err));
    uint64_t stream = hash_pair(hash_pair(epoch, s->spec.lane_first + lane),
                                window % s->windows_per_epoch);
    struct rng r = rng_make(s->spec.seed, RNG_WINDOW_ORDER, stream);
    rng_permutation(&r, (uint32_t)n, w->order);
    if (s->all && n) {
        dataset_places(s->data, s->order.blocks, s->order.before, l->first + from,
                       l->first + from + n, s->places);
        for (size_t i = 0; i < n; i++) w->order[i] = s->places[w->order[i]];
    }
    return ST_OK;
}

/* The next window to read: of the lane that needs it soonest. SIZE_MAX: none has room. */
static size_t lane_to_read(const struct stream *s)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < s->n_local; i++) {
        const struct lane *l = &s->lanes[i];
        if (l->loading > s->last_window || l->loading > l->current + 1) continue;
        if (best == SIZE_MAX || l->loading < s->lanes[best].loading) best = i;
    }
    return best;
}

static void *reader_main(void *arg)
{
    struct stream *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stop && s->status == ST_OK) {
        size_t lane = lane_to_read(s);
        if (lane == SIZE_MAX) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        uint64_t window = s->lanes[lane].loading;
        pthread_mutex_unlock(&s->lock);
        struct error err;
        enum status st = read_window(s, lane, window, &err);
        pthread_mutex_lock(&s->lock);
        if (st != ST_OK) {
            s->status = st;
            s->err = err;
        } else {
            s->lanes[lane].window[window % 2].ready = true;
            s->lanes[lane].loading++;
        }
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- making ---- */

static enum status make_window(struct stream *s, const struct lane *l, struct window *w,
                               struct error *err)
{
    size_t n = (size_t)(l->n < s->window_rows ? l->n : s->window_rows);
    w->store = s->all;
    if (!s->all) TRY(store_create(s->loading, n ? n : 1, &w->store, err));
    w->order = mem_array(n, sizeof *w->order);
    return w->order ? ST_OK : mem_error(err, "window", n * sizeof *w->order);
}

static enum status make_lane(struct stream *s, struct lane *l, size_t number,
                             uint64_t first_window, struct error *err)
{
    struct range part = partition_part(s->n_rows, number, s->spec.n_lanes);
    l->first = part.first;
    l->n = part.end - part.first;
    l->step = s->spec.start_step;
    l->current = l->loading = first_window;
    size_t n_windows = s->last_window > first_window ? 2 : 1;
    for (size_t i = 0; i < n_windows; i++)
        TRY(make_window(s, l, &l->window[(first_window + i) % 2], err));
    for (size_t i = 0; i < STREAM_SLOTS; i++)
        TRY(batch_buffer_create(s->loading, s->lane_rows, &l->buffer[i], err));
    return ST_OK;
}

/* As many builders as threads can run: what finding distinct ids touches stays in
 * the cache of a core, whichever lane is built. */
static enum status make_builders(struct stream *s, struct error *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = cores > 0 && (size_t)cores < s->n_local ? (size_t)cores : s->n_local;
    s->free_builders = mem_zeroed(n, sizeof(struct builder *));
    if (!s->free_builders) return mem_error(err, "batch builders", n * sizeof(void *));
    s->n_builders = n;
    for (; s->n_free < n; s->n_free++)
        TRY(builder_create(s->loading, s->lane_rows, &s->free_builders[s->n_free], err));
    return ST_OK;
}

/* All rows at once where they need no more room than two windows per lane. */
static enum status make_all(struct stream *s, struct error *err)
{
    uint64_t longest = (s->n_rows + s->spec.n_lanes - 1) / s->spec.n_lanes;
    uint64_t window = longest < s->window_rows ? longest : s->window_rows;
    if (s->n_rows > 2 * window * s->n_local) return ST_OK;
    s->places = mem_array((size_t)window, sizeof *s->places);
    if (!s->places) return mem_error(err, "window", (size_t)window * sizeof *s->places);
    return store_create(s->loading, (size_t)s->n_rows, &s->all, err);
}

static enum status fill(struct stream *s, const struct fit *fit, struct error *err)
{
    uint64_t n_blocks = s->data->file->n_blocks;
    TRY(loading_create(s->data, fit, &s->loading, err));
    TRY(loading_block(s->loading, &s->scratch, err));
    s->order.blocks = mem_array(n_blocks, sizeof *s->order.blocks);
    s->order.before = mem_zeroed(n_blocks + 1, sizeof *s->order.before);
    s->lanes = mem_zeroed(s->n_local, sizeof *s->lanes);
    if (!s->order.blocks || !s->order.before || !s->lanes)
        return mem_error(err, "row order", n_blocks * sizeof *s->order.before);
    TRY(make_all(s, err));
    TRY(make_builders(s, err));
    uint64_t first = window_of_step(s, s->spec.start_step);
    for (size_t i = 0; i < s->n_local; i++)
        TRY(make_lane(s, &s->lanes[i], s->spec.lane_first + i, first, err));
    if (pthread_create(&s->reader, NULL, reader_main, s))
        return error_set(err, ST_INTERNAL,
                         "cannot start the thread that reads training rows");
    s->reading = true;
    return ST_OK;
}

static void set_sizes(struct stream *s)
{
    const struct stream_spec *spec = &s->spec;
    size_t window = s->data->schema->settings->data.shuffle_window;
    uint64_t longest = (s->n_rows + spec->n_lanes - 1) / spec->n_lanes;
    s->lane_rows = spec->batch_size / spec->n_lanes;
    s->window_rows = window / s->lane_rows * s->lane_rows;
    if (!s->window_rows) s->window_rows = s->lane_rows;
    s->steps_per_epoch =
        stream_steps_per_epoch(s->n_rows, spec->batch_size, spec->n_lanes);
    s->windows_per_epoch = (longest + s->window_rows - 1) / s->window_rows;
    s->last_window =
        spec->end_step > spec->start_step ? window_of_step(s, spec->end_step - 1) : 0;
}

enum status stream_open(struct dataset *train, const struct fit *fit,
                        const struct stream_spec *spec, struct stream **out,
                        struct error *err)
{
    if (!dataset_rows(train)) return error_set(err, ST_DATA, "no rows to train on");
    struct stream *s = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "stream", sizeof *s);
    s->data = train;
    s->spec = *spec;
    s->n_rows = dataset_rows(train);
    s->n_local = spec->lane_end - spec->lane_first;
    s->order.epoch = UINT64_MAX;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    set_sizes(s);
    enum status st = fill(s, fit, err);
    if (st != ST_OK) {
        stream_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

static void stop_reader(struct stream *s)
{
    if (!s->reading) return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->reader, NULL);
}

void stream_close(struct stream *s)
{
    if (!s) return;
    stop_reader(s);
    for (size_t i = 0; s->lanes && i < s->n_local; i++) {
        struct lane *l = &s->lanes[i];
        for (size_t j = 0; j < STREAM_SLOTS; j++) batch_buffer_destroy(l->buffer[j]);
        for (size_t j = 0; j < 2; j++) {
            if (!s->all) store_destroy(l->window[j].store);
            mem_free(l->window[j].order);
        }
    }
    for (size_t i = 0; s->free_builders && i < s->n_builders; i++)
        builder_destroy(s->free_builders[i]);
    mem_free(s->free_builders);
    store_destroy(s->all);
    mem_free(s->places);
    mem_free(s->lanes);
    mem_free(s->order.blocks);
    mem_free(s->order.before);
    block_destroy(s->scratch);
    loading_destroy(s->loading);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    mem_free(s);
}

/* ---- batches ---- */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Several threads that wait at once wait for the same seconds. */
static void wait_for_window(struct stream *s, const struct window *w)
{
    if (w->ready) return;
    if (!s->n_waiting++) s->wait_start = now_s();
    while (!w->ready && s->status == ST_OK) pthread_cond_wait(&s->changed, &s->lock);
    if (!--s->n_waiting) s->wait_s += now_s() - s->wait_start;
}

/* Wait for the lane's window, the one before it is given back, and for a builder. */
static enum status take_window(struct stream *s, struct lane *l, uint64_t window,
                               struct window **out, struct builder **builder,
                               struct error *err)
{
    pthread_mutex_lock(&s->lock);
    if (l->current != window) {
        l->window[l->current % 2].ready = false;
        l->current = window;
        pthread_cond_broadcast(&s->changed);
    }
    *out = &l->window[window % 2];
    wait_for_window(s, *out);
    enum status st = (*out)->ready ? ST_OK : s->status;
    if (st != ST_OK && err) *err = s->err;
    while (st == ST_OK && !s->n_free) pthread_cond_wait(&s->changed, &s->lock);
    if (st == ST_OK) *builder = s->free_builders[--s->n_free];
    pthread_mutex_unlock(&s->lock);
    return st;
}

static void give_builder(struct stream *s, struct builder *builder)
{
    pthread_mutex_lock(&s->lock);
    if (!s->n_free) pthread_cond_broadcast(&s->changed);
    s->free_builders[s->n_free++] = builder;
    pthread_mutex_unlock(&s->lock);
}

enum status stream_next(struct stream *s, size_t lane, size_t slot,
                        const struct batch **out, struct error *err)
{
    struct lane *l = &s->lanes[lane - s->spec.lane_first];
    uint64_t position = l->step % s->steps_per_epoch * s->lane_rows, from;
    uint64_t number = window_of_step(s, l->step);
    struct window *w;
    struct builder *builder = NULL;
    TRY(take_window(s, l, number, &w, &builder, err));
    size_t n_window = rows_in_window(s, l, number, &from), at = (size_t)(position - from);
    size_t n = at < n_window ? n_window - at : 0;
    if (n > s->lane_rows) n = s->lane_rows;
    batch_buffer_step(l->buffer[slot], l->step);
    enum status st = builder_build(builder, w->store, w->order + (n ? at : 0), n,
                                   l->buffer[slot], out, err);
    give_builder(s, builder);
    if (st == ST_OK) l->step++;
    return st;
}

double stream_wait_s(const struct stream *s)
{
    return s->wait_s;
}
