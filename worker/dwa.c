#include "worker/dwa.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/partition.h"
#include "model/balance.h"

/* The state is one table of columns task 0 ... task K - 1, extra:
 *   rows 0 ... lanes - 1   sums of the window that runs; extra: rows of the lane
 *   then                   mean losses of the last window; extra: windows so far
 *   then                   mean losses of the one before
 *   then                   weights */
enum { EXTRA_ROWS = 3 };

struct dwa {
    const struct crew *crew; /* borrowed */
    size_t K, lanes, cols;
    struct range own; /* lanes of this worker */
    uint64_t window;
    double temperature;
    double *table; /* [lanes + EXTRA_ROWS, cols] */
    double *last, *before, *weight;
    struct named_array state;
};

static size_t table_size(const struct dwa *d)
{
    return (d->lanes + EXTRA_ROWS) * d->cols;
}

static enum status read_state(struct dwa *d, struct ckpt *ckpt, struct error *err)
{
    const struct named_array *a = ckpt_find_state(ckpt, d->state.name);
    if (!a || a->type != DTYPE_F64 || a->rows != d->state.rows || a->cols != d->cols)
        return error_set(err, ST_MISMATCH, "checkpoint: state of model.balance dwa: %zu by %zu numbers expected",
                         d->state.rows, d->cols);
    memcpy(d->table, a->data, table_size(d) * sizeof *d->table);
    return ST_OK;
}

enum status dwa_create(const struct session *s, const struct crew *crew,
                       struct ckpt *ckpt, struct dwa **out, struct error *err)
{
    const struct settings *settings = s->spec.settings;
    *out = NULL;
    if (settings->model.balance.kind != BALANCE_DWA) return ST_OK;
    struct dwa *d = mem_zeroed(1, sizeof *d);
    if (!d) return mem_error(err, "balance", sizeof *d);
    d->crew = crew;
    d->K = settings->n_tasks;
    d->cols = d->K + 1;
    d->lanes = settings->train.lanes;
    d->own = partition_part(d->lanes, crew->worker, crew->n_workers);
    d->window = settings->model.balance.window;
    d->temperature = settings->model.balance.temperature;
    d->table = mem_zeroed(table_size(d), sizeof *d->table);
    if (!d->table) {
        dwa_destroy(d);
        return mem_error(err, "balance", table_size(d) * sizeof *d->table);
    }
    d->last = d->table + d->lanes * d->cols;
    d->before = d->last + d->cols;
    d->weight = d->before + d->cols;
    for (size_t k = 0; k < d->K; k++) d->weight[k] = 1;
    d->state = (struct named_array){"balance_dwa", DTYPE_F64, d->lanes + EXTRA_ROWS, d->cols, 0, d->table};
    enum status st = ckpt ? read_state(d, ckpt, err) : ST_OK;
    if (st != ST_OK) {
        dwa_destroy(d);
        return st;
    }
    *out = d;
    return ST_OK;
}

void dwa_destroy(struct dwa *d)
{
    if (!d) return;
    mem_free(d->table);
    mem_free(d);
}

const double *dwa_weight(const struct dwa *d)
{
    return d ? d->weight : NULL;
}

void dwa_add(struct dwa *d, size_t lane, const double *loss, size_t rows)
{
    double *sum = d->table + lane * d->cols;
    for (size_t k = 0; k < d->K; k++) sum[k] += loss[k];
    sum[d->K] += (double)rows;
}

/* ---- over the workers ---- */

static enum status take_lanes(void *arg, size_t worker, const struct message *m, struct error *err)
{
    struct dwa *d = arg;
    struct range lanes = partition_part(d->lanes, worker, d->crew->n_workers);
    size_t bytes = (lanes.end - lanes.first) * d->cols * sizeof *d->table;
    if (m->bytes != bytes)
        return error_set(err, ST_PEER, "balance: worker %zu sent %zu bytes, %zu expected", worker,
                         m->bytes, bytes);
    if (worker > 0 && bytes) memcpy(d->table + lanes.first * d->cols, m->data, bytes);
    return ST_OK;
}

enum status dwa_collect(struct dwa *d, struct error *err)
{
    if (!d) return ST_OK;
    size_t bytes = (d->own.end - d->own.first) * d->cols * sizeof *d->table;
    return crew_gather(d->crew, d->table + d->own.first * d->cols, bytes, "balance", take_lanes, d,
                       err);
}

const struct named_array *dwa_state(const struct dwa *d)
{
    return d ? &d->state : NULL;
}

/* Leader: mean losses of the window that ends, lanes in order; then the weights. */
static void end_window(struct dwa *d)
{
    memcpy(d->before, d->last, d->K * sizeof *d->before);
    for (size_t c = 0; c < d->cols; c++) {
        double sum = 0;
        for (size_t l = 0; l < d->lanes; l++) sum += d->table[l * d->cols + c];
        if (c < d->K)
            d->last[c] = sum;
        else
            for (size_t k = 0; k < d->K; k++) d->last[k] = sum > 0 ? d->last[k] / sum : 0;
    }
    d->last[d->K] += 1;
    if (d->last[d->K] >= 2) balance_dwa(d->K, d->last, d->before, d->temperature, d->weight);
}

enum status dwa_edge(struct dwa *d, uint64_t steps, struct error *err)
{
    if (!d || steps % d->window) return ST_OK;
    TRY(dwa_collect(d, err));
    if (d->crew->worker == 0) end_window(d);
    memset(d->table, 0, d->lanes * d->cols * sizeof *d->table);
    return crew_tell(d->crew, d->last, EXTRA_ROWS * d->cols * sizeof *d->last, "balance", err);
}
