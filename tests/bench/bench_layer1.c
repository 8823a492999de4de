/* Layer 1 of the W2 workload against its three matrix products, in turn.
 *
 *   bench_layer1 [ROWS]        rows of a lane, 1024 by default
 *
 * 37 features of dimension 16 into 544 outputs; the numbers of distinct ids are like
 * those of a batch of KuaiRand-Pure (about 4,000 in 1,024 rows). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/math/blas.h"
#include "model/layer1.h"
#include "tests/lib/random_batch.h"

enum { FEATURES = 37, DIM = 16, N = 544, D = FEATURES * DIM, ROUNDS = 31 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, ROUNDS, sizeof *v, by_value);
    return v[ROUNDS / 2];
}

struct arrays {
    float *W, *bias, *x, *y, *dy, *dx, *dW, *dbias, *row_grad[FEATURES];
};

static float *zeros(size_t n)
{
    float *p = mem_zeroed(n, sizeof *p);
    if (!p) exit(71);
    for (size_t i = 0; i < n; i++) p[i] = (float)(i % 13) * 0.001f;
    return p;
}

static void make_layer(const struct random_batch *r, bool project, struct layer1 **l, struct layer1_work **w)
{
    struct model_input inputs[FEATURES];
    size_t dims[FEATURES], distinct[FEATURES], occurrences[FEATURES];
    struct error err;
    for (size_t i = 0; i < FEATURES; i++) {
        dims[i] = DIM;
        distinct[i] = r->ids[i].n_distinct;
        occurrences[i] = r->ids[i].n;
        inputs[i] = (struct model_input){"f", INPUT_ID, i, DIM, i, POOL_MEAN, project, false};
    }
    struct model_caps caps = {r->batch.n_rows, distinct, occurrences};
    if (layer1_create(inputs, FEATURES, dims, FEATURES, N, l, &err) != ST_OK ||
        layer1_work_create(*l, &caps, w, &err) != ST_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        exit(71);
    }
}

int main(int argc, char **argv)
{
    size_t B = argc > 1 ? strtoul(argv[1], NULL, 10) : 1024, dims[FEATURES], n_distinct = 0;
    struct random_id ids[FEATURES];
    for (size_t i = 0; i < FEATURES; i++) {
        static const size_t large[] = {24000, 6000, 5000, 5000}, small[] = {15, 24, 3, 8, 7, 12, 4, 40, 2, 60};
        ids[i] = (struct random_id){i, i < 4 ? large[i] : small[i % 10], i < 4 ? 2 : 1.5, i == 36 ? 2 : 0};
        dims[i] = DIM;
    }
    struct random_batch r;
    struct error err;
    random_batch_make(&r, B, ids, FEATURES, dims, FEATURES, NULL, 0, 0, 3);
    for (size_t i = 0; i < FEATURES; i++) n_distinct += r.ids[i].n_distinct;
    if (blas_setup(&err) != ST_OK) return 70;
    struct arrays a = {zeros(D * N), zeros(N), zeros(B * D), zeros(B * N), zeros(B * N), zeros(B * D), zeros(D * N), zeros(N), {0}};
    for (size_t i = 0; i < FEATURES; i++) a.row_grad[i] = zeros(r.tables[i].n * DIM);
    struct layer1 *layer[2];
    struct layer1_work *work[2];
    for (int form = 0; form < 2; form++) make_layer(&r, form, &layer[form], &work[form]);
    double ms[5][ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        double t0 = now_ms();
        blas_gemm(false, false, B, N, D, 1, a.x, D, a.W, N, 0, a.y, N);
        blas_gemm(true, false, D, N, B, 1, a.x, D, a.dy, N, 0, a.dW, N);
        blas_gemm(false, true, B, D, N, 1, a.dy, N, a.W, N, 0, a.dx, D);
        ms[0][round] = now_ms() - t0;
        for (int form = 0; form < 2; form++) {
            t0 = now_ms();
            layer1_forward(layer[form], a.W, N, a.bias, &r.batch, &r.model_rows, work[form], a.y, N);
            double t1 = now_ms();
            layer1_backward(layer[form], a.W, N, &r.batch, &r.model_rows, work[form], a.dy, N, a.dW, a.dbias,
                            a.row_grad);
            ms[1 + 2 * form][round] = t1 - t0;
            ms[2 + 2 * form][round] = now_ms() - t1;
        }
    }
    double bound = median(ms[0]), gather[] = {median(ms[1]), median(ms[2])}, project[] = {median(ms[3]), median(ms[4])};
    printf("%s\n%zu rows, %zu distinct ids of %d\n", blas_describe(), B, n_distinct, (int)B * FEATURES);
    printf("products  %8.3f ms\n", bound);
    printf("gather    %8.3f ms forward %8.3f ms backward  %.2f x the products' speed\n", gather[0], gather[1],
           bound / (gather[0] + gather[1]));
    printf("project   %8.3f ms forward %8.3f ms backward  %.2f x the products' speed\n", project[0], project[1],
           bound / (project[0] + project[1]));
    return 0;
}
