#include "worker/bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/math/blas.h"
#include "worker/report.h"
#include "worker/trainer.h"

enum { WARM_STEPS = 8, MAX_PRODUCTS = 512, MAX_ROUNDS = 101 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the bound: nothing but the model's matrix products ---- */

struct bound {
    size_t batch, n;
    struct model_product products[MAX_PRODUCTS];
    size_t rows[MAX_PRODUCTS];
    float *x, *w, *y;
};

static void bound_close(struct bound *b)
{
    mem_free(b->x);
    mem_free(b->w);
    mem_free(b->y);
}

/* Rows of a product: those of the batch, or as many occurrences as it has on average. */
static size_t rows_of(const struct session *s, size_t batch,
                      const struct model_product *p)
{
    if (!p->list) return batch;
    double n = (double)batch * fit_mean_per_row(s->fit, p->list->place);
    return n > 1 ? (size_t)n : 1;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static enum status bound_make(const struct session *s, struct bound *b, struct error *err)
{
    *b = (struct bound){.batch = s->spec.settings->train.batch_size};
    b->n = model_products(s->model, b->products, MAX_PRODUCTS);
    size_t x = 1, w = 1, y = 1;
    for (size_t i = 0; i < b->n; i++) {
        const struct model_product *p = &b->products[i];
        b->rows[i] = rows_of(s, b->batch, p);
        x = larger(x, b->rows[i] * p->in);
        y = larger(y, b->rows[i] * p->out);
        w = larger(w, p->in * p->out);
    }
    b->x = mem_zeroed(x, sizeof(float));
    b->w = mem_zeroed(w, sizeof(float));
    b->y = mem_zeroed(y, sizeof(float));
    if (!b->x || !b->w || !b->y) {
        bound_close(b);
        return mem_error(err, "bench", (x + w + y) * sizeof(float));
    }
    for (size_t i = 0; i < x; i++) b->x[i] = (float)(i % 17) * 0.01f;
    for (size_t i = 0; i < w; i++) b->w[i] = (float)(i % 13) * 0.01f;
    return ST_OK;
}

/* Forward, gradient of the weights, gradient of the input. */
static void bound_once(const struct bound *b)
{
    for (size_t i = 0; i < b->n; i++) {
        size_t n = b->rows[i], in = b->products[i].in, out = b->products[i].out;
        blas_gemm(false, false, n, out, in, 1, b->x, in, b->w, out, 0, b->y, out);
        blas_gemm(true, false, in, out, n, 1, b->x, in, b->y, out, 0, b->w, out);
        blas_gemm(false, true, n, in, out, 1, b->y, out, b->w, out, 0, b->x, in);
        /* Products must not grow without limit. */
        memset(b->w, 0, in * out * sizeof *b->w);
    }
}

static double bound_rate(const struct bound *b, double seconds)
{
    double start = now_s(), end = start;
    size_t n = 0;
    for (; end - start < seconds || n < 2; end = now_s(), n++) bound_once(b);
    return (double)(n * b->batch) / (end - start);
}

/* ---- rounds ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static enum status steps(struct trainer *t, uint64_t n, struct error *err)
{
    for (uint64_t i = 0; i < n; i++) {
        uint32_t flags = 0;
        TRY(trainer_step(t, &flags, err));
    }
    return ST_OK;
}

/* Steps that take about round_s, the same number on all workers. */
static enum status calibrate(const struct bench_spec *spec, struct trainer *t,
                             uint64_t *n, struct error *err)
{
    TRY(steps(t, WARM_STEPS, err));
    double start = now_s();
    TRY(steps(t, WARM_STEPS, err));
    *n = (uint64_t)(spec->round_s * WARM_STEPS / (now_s() - start)) + 1;
    return crew_tell(spec->crew, n, sizeof *n, "bench", err);
}

struct samples {
    double steps[MAX_ROUNDS], bound[MAX_ROUNDS], ratio[MAX_ROUNDS];
};

static json_t *number_or_null(bool known, double x)
{
    return known ? json_real(x) : json_null();
}

static enum status rounds(const struct bench_spec *spec, struct trainer *t,
                          const struct bound *b, uint64_t n, struct samples *out,
                          struct error *err)
{
    double batch = (double)spec->session->spec.settings->train.batch_size;
    for (size_t r = 0; r < spec->rounds; r++) {
        uint8_t go = 1;
        if (spec->crew->worker == 0 && b->n) out->bound[r] = bound_rate(b, spec->round_s);
        TRY(crew_tell(spec->crew, &go, sizeof go, "bench", err));
        double start = now_s();
        TRY(steps(t, n, err));
        out->steps[r] = (double)n * batch / (now_s() - start);
        if (b->n) out->ratio[r] = out->steps[r] / out->bound[r];
    }
    return ST_OK;
}

static json_t *stages_json(const struct stage_times *a, const struct stage_times *b,
                           uint64_t n)
{
    double us = 1e6 / (double)n;
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "read", (b->read - a->read) * us,
                     "keys", (b->keys - a->keys) * us, "wait", (b->wait - a->wait) * us,
                     "model", (b->model - a->model) * us, "apply",
                     (b->apply - a->apply) * us);
}

static enum status measure(const struct bench_spec *spec, struct trainer *t,
                           const struct bound *b, json_t **result, struct error *err)
{
    struct samples samples = {0};
    struct stage_times before, after;
    uint64_t n = 1;
    TRY(trainer_begin(t, err));
    TRY(calibrate(spec, t, &n, err));
    trainer_times(t, &before);
    struct wire_stats server_before = {0}, server = {0};
    if (spec->crew->worker == 0) TRY(client_stats(spec->client, &server_before, err));
    TRY(rounds(spec, t, b, n, &samples, err));
    trainer_times(t, &after);
    if (spec->crew->worker) return ST_OK;
    TRY(client_stats(spec->client, &server, err));
    double server_us =
        1e6 * (server.busy_s - server_before.busy_s) / (double)(n * spec->rounds);
    *result = json_pack(
        "{s:s, s:f, s:o, s:o, s:I, s:f, s:o}", "name", "step", "samples_per_s",
        bench_median(samples.steps, spec->rounds), "bound_samples_per_s",
        number_or_null(b->n, bench_median(samples.bound, spec->rounds)), "ratio",
        number_or_null(b->n, bench_median(samples.ratio, spec->rounds)), "rounds",
        (json_int_t)spec->rounds, "server_us", server_us, "stages",
        stages_json(&before, &after, n * spec->rounds));
    return *result ? ST_OK : mem_error(err, "bench", 1024);
}

enum status bench_step(const struct bench_spec *spec, json_t **result, struct error *err)
{
    if (spec->rounds < 1 || spec->rounds > MAX_ROUNDS)
        return error_set(err, ST_USAGE, "--rounds: 1 to %d", MAX_ROUNDS);
    struct trainer_spec train = {.session = spec->session,
                                 .client = spec->client,
                                 .threads = spec->threads,
                                 .worker = spec->crew->worker,
                                 .n_workers = spec->crew->n_workers,
                                 .end_step = UINT64_MAX};
    struct bound bound = {0};
    struct trainer *t = NULL;
    enum status st = trainer_create(&train, &t, err);
    if (st == ST_OK) st = bound_make(spec->session, &bound, err);
    if (st == ST_OK) st = measure(spec, t, &bound, result, err);
    bound_close(&bound);
    trainer_destroy(t);
    return st;
}
