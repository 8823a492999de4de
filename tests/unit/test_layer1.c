/* Layer 1: both forms against plain loops and against each other. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/math/blas.h"
#include "model/layer1.h"
#include "tests/lib/random_batch.h"

enum { MAX_INPUTS = 8 };

/* A layer over: two single-valued features of one table, a multi-valued one of each
 * pooling, a one_hot feature and three dense numbers in two places. */
struct fixture {
    struct random_batch r;
    struct model_input inputs[MAX_INPUTS];
    size_t dims[3], N;
    struct layer1 *layer;
    struct layer1_work *work;
    float *W, *bias, *y, *dy, *dW, *dbias, *row_grad[3];
};

static float *random_floats(size_t n, unsigned seed)
{
    float *v = mem_array(n + 1, sizeof *v);
    assert_non_null(v);
    srand(seed);
    for (size_t i = 0; i < n; i++) v[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    return v;
}

static void fixture_open(struct fixture *f, size_t B, size_t dim, size_t N, unsigned project)
{
    const struct random_id ids[] = {{0, 40, 2, 0}, {0, 25, 1, 0}, {1, 30, 1, 3}, {2, 9, 1, 4}, {1, 12, 1, 2}};
    const size_t levels[] = {5};
    f->dims[0] = dim;
    f->dims[1] = dim + 1;
    f->dims[2] = 3;
    f->N = N;
    random_batch_make(&f->r, B, ids, 5, f->dims, 3, levels, 1, 3, 17);
    const struct model_input inputs[MAX_INPUTS] = {
        {"a", INPUT_ID, 0, f->dims[0], 0, POOL_SUM, project & 1, false},
        {"d1", INPUT_DENSE, 0, 1, 0, POOL_SUM, false, false},
        {"b", INPUT_ID, 1, f->dims[0], 0, POOL_SUM, project >> 1 & 1, false},
        {"mean", INPUT_ID, 2, f->dims[1], 1, POOL_MEAN, project >> 2 & 1, false},
        {"hot", INPUT_ONE_HOT, 0, 5, 0, POOL_SUM, false, false},
        {"sum", INPUT_ID, 3, f->dims[2], 2, POOL_SUM, project >> 3 & 1, false},
        {"sqrtn", INPUT_ID, 4, f->dims[1], 1, POOL_SQRTN, project >> 4 & 1, false},
        {"d2", INPUT_DENSE, 1, 2, 0, POOL_SUM, false, false}};
    memcpy(f->inputs, inputs, sizeof inputs);
    struct error err;
    assert_int_equal(layer1_create(inputs, MAX_INPUTS, f->dims, 3, N, &f->layer, &err), ST_OK);
    size_t distinct[5], occurrences[5];
    for (size_t i = 0; i < 5; i++) {
        distinct[i] = f->r.ids[i].n_distinct;
        occurrences[i] = f->r.ids[i].n;
    }
    struct model_caps caps = {B, distinct, occurrences};
    assert_int_equal(layer1_work_create(f->layer, &caps, &f->work, &err), ST_OK);
    size_t D = layer1_in(f->layer);
    f->W = random_floats(D * N, 1);
    f->bias = random_floats(N, 2);
    f->y = random_floats(B * N, 3);
    f->dy = random_floats(B * N, 4);
    f->dW = random_floats(D * N, 5); /* overwritten: junk must not survive */
    f->dbias = random_floats(N, 6);
    for (size_t t = 0; t < 3; t++) f->row_grad[t] = random_floats(f->r.tables[t].n * f->dims[t], 7);
}

static void run(struct fixture *f)
{
    uint64_t calls = mem_calls();
    for (size_t t = 0; t < 3; t++)
        memset(f->row_grad[t], 0, f->r.tables[t].n * f->dims[t] * sizeof(float));
    layer1_forward(f->layer, f->W, f->N, f->bias, &f->r.batch, &f->r.model_rows, f->work, f->y, f->N);
    layer1_backward(f->layer, f->W, f->N, &f->r.batch, &f->r.model_rows, f->work, f->dy, f->N, f->dW,
                    f->dbias, f->row_grad);
    assert_int_equal(mem_calls(), calls);
}

static void fixture_close(struct fixture *f)
{
    float *all[] = {f->W, f->bias, f->y, f->dy, f->dW, f->dbias, f->row_grad[0], f->row_grad[1], f->row_grad[2]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    layer1_work_destroy(f->work);
    layer1_destroy(f->layer);
    random_batch_close(&f->r);
}

/* Largest difference between two vectors. */
static double gap(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= worst)) worst = d;
    }
    return worst;
}

/* Sums of up to some hundred terms below 1 in single precision. */
static const double TOLERANCE = 2e-5;

/* The layer by its definition: x, y = x W + b, dW = x^T dy, dx = dy W^T, scattered. */
static void check_definition(struct fixture *f)
{
    size_t B = f->r.batch.n_rows, D = layer1_in(f->layer), N = f->N;
    float *x = mem_zeroed(B * D + 1, sizeof *x), *y = mem_zeroed(B * N + 1, sizeof *y);
    float *dW = mem_zeroed(D * N, sizeof *dW), *dx = mem_zeroed(B * D + 1, sizeof *dx);
    layer1_input_reference(f->layer, &f->r.batch, &f->r.model_rows, x);
    for (size_t s = 0; s < B; s++) memcpy(y + s * N, f->bias, N * sizeof *y);
    blas_gemm_reference(false, false, B, N, D, 1, x, D, f->W, N, 1, y, N);
    assert_true(gap(y, f->y, B * N) < TOLERANCE);
    blas_gemm_reference(true, false, D, N, B, 1, x, D, f->dy, N, 0, dW, N);
    assert_true(gap(dW, f->dW, D * N) < TOLERANCE);
    blas_gemm_reference(false, true, B, D, N, 1, f->dy, N, f->W, N, 0, dx, D);
    for (size_t j = 0; j < N; j++) {
        double sum = 0;
        for (size_t s = 0; s < B; s++) sum += (double)f->dy[s * N + j];
        assert_true(fabs(sum - (double)f->dbias[j]) < TOLERANCE);
    }
    for (size_t t = 0; t < 3; t++) {
        size_t n = f->r.tables[t].n * f->dims[t];
        float *grad = mem_zeroed(n + 1, sizeof *grad);
        for (size_t i = 0; i < MAX_INPUTS; i++) {
            const struct model_input *in = &f->inputs[i];
            if (in->kind != INPUT_ID || in->table != t) continue;
            const struct batch_id *id = &f->r.ids[in->place];
            for (size_t s = 0; s < B; s++) {
                size_t a = id->off ? id->off[s] : s, b = id->off ? id->off[s + 1] : s + 1;
                float scale = !id->off || in->pool == POOL_SUM ? 1.0f
                              : in->pool == POOL_MEAN          ? 1.0f / (float)(b - a)
                                                               : 1.0f / sqrtf((float)(b - a));
                for (size_t o = a; o < b; o++)
                    for (size_t d = 0; d < f->dims[t]; d++)
                        grad[id->row[id->idx[o]] * f->dims[t] + d] +=
                            scale * dx[s * D + layer1_offset(f->layer, i) + d];
            }
        }
        assert_true(gap(grad, f->row_grad[t], n) < TOLERANCE);
        mem_free(grad);
    }
    mem_free(x);
    mem_free(y);
    mem_free(dW);
    mem_free(dx);
}

/* Every mix of forms computes the layer's definition, for many widths and heights. */
static void test_every_mix_of_forms_follows_the_definition(void **state)
{
    (void)state;
    static const size_t rows[] = {0, 1, 2, 7, 33, 130}, outs[] = {1, 16, 24, 112, 130};
    static const size_t dims[] = {1, 4, 8, 15, 16, 17, 33};
    static const unsigned projects[] = {0, 31, 1, 6, 24};
    for (size_t b = 0; b < sizeof rows / sizeof *rows; b++)
        for (size_t n = 0; n < sizeof outs / sizeof *outs; n++)
            for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
                for (size_t p = 0; p < sizeof projects / sizeof *projects; p++) {
                    struct fixture f;
                    fixture_open(&f, rows[b], dims[d], outs[n], projects[p]);
                    run(&f);
                    check_definition(&f);
                    fixture_close(&f);
                }
}

/* The check can fail: one wrong index moves the result by far more than the tolerance. */
static void test_one_wrong_index_is_seen(void **state)
{
    (void)state;
    for (unsigned project = 0; project < 32; project += 31) {
        struct fixture f;
        fixture_open(&f, 33, 16, 32, project);
        run(&f);
        float *y = mem_array(33 * 32, sizeof *y);
        memcpy(y, f.y, 33 * 32 * sizeof *y);
        uint32_t *idx = (uint32_t *)(uintptr_t)f.r.ids[0].idx;
        idx[5] = (idx[5] + 1) % (uint32_t)f.r.ids[0].n_distinct;
        run(&f);
        assert_true(gap(y, f.y, 33 * 32) > 100 * TOLERANCE);
        mem_free(y);
        fixture_close(&f);
    }
}

/* A second run, in other memory, gives the same bits. */
static void test_bits_do_not_depend_on_memory(void **state)
{
    (void)state;
    for (unsigned project = 0; project < 32; project += 31) {
        struct fixture f, g;
        fixture_open(&f, 130, 16, 112, project);
        fixture_open(&g, 130, 16, 112, project);
        run(&f);
        run(&g);
        run(&g);
        assert_memory_equal(f.y, g.y, 130 * 112 * sizeof *f.y);
        assert_memory_equal(f.dW, g.dW, layer1_in(f.layer) * 112 * sizeof *f.dW);
        for (size_t t = 0; t < 3; t++)
            assert_memory_equal(f.row_grad[t], g.row_grad[t], f.r.tables[t].n * f.dims[t] * sizeof(float));
        fixture_close(&f);
        fixture_close(&g);
    }
}

/* Ids that repeat are projected, ids that do not are gathered. */
static void test_the_form_follows_repetition(void **state)
{
    (void)state;
    assert_true(layer1_prefers_project(0.05, 1, 16, 544));
    assert_true(layer1_prefers_project(0.3, 1, 16, 544));
    assert_false(layer1_prefers_project(1.0, 1, 16, 544));
    assert_false(layer1_prefers_project(0.1, 30, 16, 544));
    assert_false(layer1_prefers_project(0.01, 1, 1000, 544));
}

/* Every failing allocation of layer1_create and layer1_work_create is reported and leaks nothing. */
static void test_creation_survives_failing_allocations(void **state)
{
    (void)state;
    const struct model_input in = {"a", INPUT_ID, 0, 8, 0, POOL_SUM, true, false};
    const size_t dim = 8, cap = 10;
    const struct model_caps caps = {16, &cap, &cap};
    uint64_t live = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        struct layer1 *l = NULL;
        struct layer1_work *w = NULL;
        struct error err;
        mem_fail_at(k);
        enum status st = layer1_create(&in, 1, &dim, 1, 32, &l, &err);
        if (st == ST_OK) st = layer1_work_create(l, &caps, &w, &err);
        mem_fail_at(0);
        layer1_work_destroy(w);
        if (l) layer1_destroy(l);
        assert_int_equal(mem_live_bytes(), live);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mix_of_forms_follows_the_definition),
        cmocka_unit_test(test_one_wrong_index_is_seen),
        cmocka_unit_test(test_bits_do_not_depend_on_memory),
        cmocka_unit_test(test_the_form_follows_repetition),
        cmocka_unit_test(test_creation_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
