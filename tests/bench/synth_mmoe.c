/* The MMoE paper's synthetic experiment in the regime in which it tells models apart
 * (data/synth_mmoe.h with c = 1, m = 10): do mixtures beat a shared bottom, gates per
 * task one gate, gates of two layers gates of one, at equal numbers of parameters?
 *
 *   bench_synth_mmoe [--seeds N] [--threads T] [--function F] [--rows N]
 *
 * Every seed draws the data, the order and the first weights anew; the four models of
 * a seed see the same stream of fresh rows, 100 a step, Adam 0.001. Error is the mean
 * squared error on 2,000 held-out rows divided by the labels' variance, mean of both
 * tasks, lowest of the checks after every 50,000 rows. Prints every run, the table,
 * and the verdict on each claim; exit code 1 when one fails. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/math/blas.h"
#include "common/math/optim.h"
#include "data/synth.h"
#include "model/model.h"

enum {
    D = 100,
    K = 2,
    BATCH = 100,
    HELD_OUT = 2000,
    CHECK = 50000,
    N_MODELS = 4,
    N_P = 2,
    MAX_SEEDS = 1000
};

static const double correlations[N_P] = {0.5, 0.9};

/* ---- the models: about 14,000 parameters each ---- */

enum { SHARED_BOTTOM, OMOE, MMOE, MMOE_DEEP_GATE };
static const char *const model_names[N_MODELS] = {"share_bottom 113", "omoe 8x16",
                                                  "mmoe 8x16", "mmoe 8x14, gate [16]"};

/* Mean and standard deviation of 20 runs of another implementation. */
static const double known[N_P][N_MODELS][2] = {
    {{0.367, 0.09}, {0.243, 0.10}, {0.164, 0.08}, {0.117, 0.06}},
    {{0.366, 0.10}, {0.165, 0.07}, {0.161, 0.10}, {0.093, 0.03}}};
enum { KNOWN_RUNS = 20 };

static struct mlp_cfg layers(size_t *width)
{
    return (struct mlp_cfg){.given = true, .layers = {width, *width > 0}};
}

static struct model *make_model(int which)
{
    static size_t none = 0, bottom = 113, expert = 16, narrow = 14, gate = 16, tower = 8;
    static const enum model_type types[] = {MODEL_SHARE_BOTTOM, MODEL_OMOE, MODEL_MMOE,
                                            MODEL_MMOE};
    bool deep = which == MMOE_DEEP_GATE;
    struct model_cfg cfg = {.type = types[which],
                            .expert_count = 8,
                            .bottom = layers(&bottom),
                            .experts = layers(deep ? &narrow : &expert),
                            .gates = layers(deep ? &gate : &none),
                            .towers = layers(&tower)};
    struct model_input input = {.name = "x", .kind = INPUT_DENSE, .width = D};
    struct model_task tasks[K];
    for (size_t k = 0; k < K; k++)
        tasks[k] = (struct model_task){.name = k ? "y2" : "y1",
                                       .loss = LOSS_MSE,
                                       .weight = 1,
                                       .tower = cfg.towers,
                                       .gate = cfg.gates};
    struct model_spec spec = {.cfg = cfg,
                              .inputs = &input,
                              .n_inputs = 1,
                              .tasks = tasks,
                              .n_tasks = K,
                              .n_dense = D};
    struct model *m;
    struct error err;
    if (model_create(&spec, &m, &err) != ST_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        exit(70);
    }
    return m;
}

/* Floats that tensors cover: the vector itself has padding. */
static size_t count_parameters(const struct model *m)
{
    size_t n, sum = 0;
    const struct model_tensor *t = model_tensors(m, &n);
    for (size_t i = 0; i < n; i++) sum += t[i].rows * t[i].cols;
    return sum;
}

/* ---- one model in training ---- */

struct trainee {
    struct model *model;
    struct model_work *work;
    float *params, *grad, *slots[OPTIM_MAX_SLOTS];
    size_t n;
    double lowest;
};

static void *need(void *p)
{
    if (p) return p;
    fputs("error: out of memory\n", stderr);
    exit(71);
}

static void need_ok(enum status st, const struct error *err)
{
    if (st == ST_OK) return;
    fprintf(stderr, "error: %s\n", err->text);
    exit(status_exit_code(st));
}

static void trainee_open(struct trainee *t, int which, uint64_t seed)
{
    struct error err;
    struct model_caps caps = {.max_rows = BATCH};
    t->model = make_model(which);
    t->n = model_n_params(t->model);
    t->lowest = INFINITY;
    t->params = need(mem_zeroed(t->n, sizeof *t->params));
    t->grad = need(mem_zeroed(t->n, sizeof *t->grad));
    for (size_t s = 0; s < 2; s++)
        t->slots[s] = need(mem_zeroed(t->n, sizeof *t->slots[s]));
    need_ok(model_work_create(t->model, &caps, &t->work, &err), &err);
    model_init_params(t->model, seed, t->params);
}

static void trainee_close(struct trainee *t)
{
    model_work_destroy(t->work);
    model_destroy(t->model);
    mem_free(t->params);
    mem_free(t->grad);
    mem_free(t->slots[0]);
    mem_free(t->slots[1]);
}

static void trainee_step(struct trainee *t, const struct batch *b, uint64_t step)
{
    static const struct optimizer_cfg adam = {
        .kind = OPT_ADAM, .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    const double scale[K] = {1.0 / BATCH, 1.0 / BATCH};
    double loss[K] = {0};
    struct model_rows rows = {.rows = NULL};
    if (!model_step(t->model, t->params, b, &rows, scale, t->work, t->grad, NULL, loss)) {
        fputs("error: a loss is not finite\n", stderr);
        exit(70);
    }
    struct optim o = optim_make(&adam, adam.lr, step + 1);
    optim_dense(&o, t->n, t->grad, t->params, t->slots, NULL);
}

/* ---- rows ---- */

struct rows {
    float *x, *y, *weight; /* [n, D], [n, K] */
    struct batch batch;
};

static void rows_open(struct rows *r, size_t n)
{
    r->x = need(mem_array(n * D, sizeof *r->x));
    r->y = need(mem_array(n * K, sizeof *r->y));
    r->weight = need(mem_array(n * K, sizeof *r->weight));
    for (size_t i = 0; i < n * K; i++) r->weight[i] = 1;
    r->batch = (struct batch){.n_rows = n,
                              .n_dense = D,
                              .n_tasks = K,
                              .dense = r->x,
                              .labels = r->y,
                              .weights = r->weight};
}

static void rows_close(struct rows *r)
{
    mem_free(r->x);
    mem_free(r->y);
    mem_free(r->weight);
}

static void rows_fill(struct rows *r, const struct synth_mmoe *s, enum synth_part part,
                      uint64_t first)
{
    double x[D], y[K];
    for (size_t i = 0; i < r->batch.n_rows; i++) {
        synth_mmoe_row(s, part, first + i, x, y);
        for (size_t j = 0; j < D; j++) r->x[i * D + j] = (float)x[j];
        for (size_t k = 0; k < K; k++) r->y[i * K + k] = (float)y[k];
    }
}

static double variance(const struct rows *r, size_t k)
{
    double sum = 0, square = 0;
    size_t n = r->batch.n_rows;
    for (size_t i = 0; i < n; i++) sum += (double)r->y[i * K + k];
    for (size_t i = 0; i < n; i++) {
        double e = (double)r->y[i * K + k] - sum / (double)n;
        square += e * e;
    }
    return square / (double)n;
}

static void check(struct trainee *t, const struct rows *held_out, float *z)
{
    struct error err;
    struct infer *infer;
    struct infer_work *work;
    struct model_rows rows = {.rows = NULL};
    need_ok(infer_create(t->model, t->params, &infer, &err), &err);
    need_ok(infer_work_create(infer, HELD_OUT, &work, &err), &err);
    infer_forward(infer, &held_out->batch, &rows, work, z);
    infer_work_destroy(work);
    infer_destroy(infer);
    double error = 0;
    for (size_t k = 0; k < K; k++) {
        double sum = 0;
        for (size_t i = 0; i < HELD_OUT; i++) {
            double e = (double)z[i * K + k] - (double)held_out->y[i * K + k];
            sum += e * e;
        }
        error += sum / HELD_OUT / variance(held_out, k) / K;
    }
    if (error < t->lowest) t->lowest = error;
}

/* ---- runs ---- */

struct experiment {
    size_t seeds, threads;
    uint64_t rows;
    struct synth_mmoe_spec data;    /* but for correlation and seed */
    double (*error)[N_P][N_MODELS]; /* [seeds] */
    size_t next;
    pthread_mutex_t lock;
};

static struct synth_mmoe *generator(const struct experiment *e, size_t p, uint64_t seed)
{
    struct error err;
    struct synth_mmoe *s;
    struct synth_mmoe_spec spec = e->data;
    spec.correlation = correlations[p];
    spec.seed = seed;
    need_ok(synth_mmoe_create(&spec, &s, &err), &err);
    return s;
}

static void run(const struct experiment *e, size_t p, uint64_t seed, double *lowest)
{
    struct synth_mmoe *s = generator(e, p, seed);
    struct trainee t[N_MODELS];
    struct rows batch, held_out;
    float *z = need(mem_array(HELD_OUT * K, sizeof *z));
    rows_open(&batch, BATCH);
    rows_open(&held_out, HELD_OUT);
    rows_fill(&held_out, s, SYNTH_EVAL, 0);
    for (int m = 0; m < N_MODELS; m++) trainee_open(&t[m], m, seed);
    for (uint64_t row = 0; row < e->rows; row += BATCH) {
        rows_fill(&batch, s, SYNTH_TRAIN, row);
        for (size_t m = 0; m < N_MODELS; m++) {
            trainee_step(&t[m], &batch.batch, row / BATCH);
            if ((row + BATCH) % CHECK == 0) check(&t[m], &held_out, z);
        }
    }
    for (size_t m = 0; m < N_MODELS; m++) {
        lowest[m] = t[m].lowest;
        trainee_close(&t[m]);
    }
    rows_close(&batch);
    rows_close(&held_out);
    mem_free(z);
    synth_mmoe_destroy(s);
}

static void *runner(void *arg)
{
    struct experiment *e = arg;
    for (;;) {
        pthread_mutex_lock(&e->lock);
        size_t i = e->next++;
        pthread_mutex_unlock(&e->lock);
        if (i >= e->seeds * N_P) return NULL;
        size_t seed = i / N_P, p = i % N_P;
        double *v = e->error[seed][p];
        run(e, p, seed + 1, v);
        pthread_mutex_lock(&e->lock);
        printf("p %.1f  seed %2zu ", correlations[p], seed + 1);
        for (size_t m = 0; m < N_MODELS; m++) printf("  %.4f", v[m]);
        putchar('\n');
        fflush(stdout);
        pthread_mutex_unlock(&e->lock);
    }
}

/* ---- results ---- */

struct cell {
    double mean, sd, se, worst;
};

static struct cell cell_of(const struct experiment *e, size_t p, size_t m)
{
    double sum = 0, square = 0, n = (double)e->seeds;
    struct cell c = {0};
    for (size_t i = 0; i < e->seeds; i++) sum += e->error[i][p][m];
    c.mean = sum / n;
    for (size_t i = 0; i < e->seeds; i++) {
        double v = e->error[i][p][m];
        square += (v - c.mean) * (v - c.mean);
        if (v > c.worst) c.worst = v;
    }
    c.sd = sqrt(square / (n - 1));
    c.se = c.sd / sqrt(n);
    return c;
}

static void print_table(const struct experiment *e)
{
    printf("| p | label correlation |");
    for (int m = 0; m < N_MODELS; m++) {
        struct model *model = make_model(m);
        printf(" %s (%.1f k) |", model_names[m], (double)count_parameters(model) / 1000);
        model_destroy(model);
    }
    printf("\n| --- | --- | --- | --- | --- | --- |\n");
    for (size_t p = 0; p < N_P; p++) {
        struct synth_mmoe *s = generator(e, p, 1);
        printf("| %.1f | %.2f |", correlations[p], synth_mmoe_label_correlation(s));
        synth_mmoe_destroy(s);
        for (size_t m = 0; m < N_MODELS; m++) {
            struct cell c = cell_of(e, p, m);
            printf(" %.3f (sd %.2f, se %.3f, worst %.2f) |", c.mean, c.sd, c.se, c.worst);
        }
        putchar('\n');
    }
}

/* a is above b by at least `least` standard errors of the difference. */
static int above(const struct experiment *e, size_t p, size_t a, size_t b, double least)
{
    struct cell x = cell_of(e, p, a), y = cell_of(e, p, b);
    double n = (x.mean - y.mean) / sqrt(x.se * x.se + y.se * y.se);
    bool ok = n >= least;
    printf("%s p %.1f: %s above %s by %.1f standard errors, at least %.0f\n",
           ok ? "ok   " : "FAIL ", correlations[p], model_names[a], model_names[b], n,
           least);
    return !ok;
}

static int near_known(const struct experiment *e, size_t p, size_t m)
{
    struct cell c = cell_of(e, p, m);
    double se = known[p][m][1] / sqrt(KNOWN_RUNS);
    double n = (c.mean - known[p][m][0]) / sqrt(c.se * c.se + se * se);
    bool ok = fabs(n) <= 3;
    printf("%s p %.1f: %s is %+.1f standard errors from %.3f, at most 3\n",
           ok ? "ok   " : "FAIL ", correlations[p], model_names[m], n, known[p][m][0]);
    return !ok;
}

static int judge(const struct experiment *e)
{
    int failed = 0;
    for (size_t p = 0; p < N_P; p++)
        for (size_t m = OMOE; m < N_MODELS; m++)
            failed += above(e, p, SHARED_BOTTOM, m, 3);
    failed += above(e, 0, OMOE, MMOE, 2);
    failed += above(e, 1, MMOE, MMOE_DEEP_GATE, 2);
    for (size_t p = 0; p < N_P; p++)
        for (size_t m = 0; m < N_MODELS; m++) failed += near_known(e, p, m);
    return failed;
}

static void parse(int argc, char **argv, struct experiment *e)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t v = strtoull(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--seeds"))
            e->seeds = (size_t)v;
        else if (!strcmp(argv[i], "--threads"))
            e->threads = (size_t)v;
        else if (!strcmp(argv[i], "--function"))
            e->data.function = v;
        else if (!strcmp(argv[i], "--rows"))
            e->rows = v;
        else
            exit(64);
    }
    if (argc % 2 == 0 || e->seeds < 2 || e->seeds > MAX_SEEDS || !e->threads ||
        e->threads > 64 || e->rows < CHECK)
        exit(64);
}

int main(int argc, char **argv)
{
    struct experiment e = {.seeds = 40, .threads = 2};
    struct synth_options defaults;
    struct error err;
    pthread_t threads[64];
    struct timespec from, to;
    synth_defaults(SYNTH_KIND_MMOE, &defaults);
    e.rows = defaults.rows;
    e.data = defaults.mmoe;
    parse(argc, argv, &e);
    need_ok(blas_setup(&err), &err);
    pthread_mutex_init(&e.lock, NULL);
    e.error = need(mem_zeroed(e.seeds, sizeof *e.error));
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (size_t i = 0; i < e.threads; i++)
        if (pthread_create(&threads[i], NULL, runner, &e)) exit(71);
    for (size_t i = 0; i < e.threads; i++) pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    print_table(&e);
    int failed = judge(&e);
    printf("%zu seeds, %ld s on %zu threads\n", e.seeds, (long)(to.tv_sec - from.tv_sec),
           e.threads);
    mem_free(e.error);
    return failed > 0;
}
