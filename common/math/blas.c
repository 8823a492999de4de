#include "common/math/blas.h"

#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

static CBLAS_TRANSPOSE op(bool transposed)
{
    return transposed ? CblasTrans : CblasNoTrans;
}

void blas_gemm(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, float alpha, const float *a,
               size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
    if (m == 0 || n == 0) return;
    cblas_sgemm(CblasRowMajor, op(trans_a), op(trans_b), (blasint)m, (blasint)n, (blasint)k, alpha, a,
                (blasint)(lda ? lda : 1), b, (blasint)(ldb ? ldb : 1), beta, c, (blasint)ldc);
}

/* ---- self-test: the same bits from several threads at once and at another
 * alignment, for the three forms of product that a layer uses ---- */

enum { TEST_M = 37, TEST_N = 65, TEST_K = 70, TEST_THREADS = 3, TEST_ROUNDS = 8, SHIFT = 3 };

struct test_space {
    float a[TEST_M * TEST_K + SHIFT], b[TEST_K * TEST_N + SHIFT], c[TEST_M * TEST_N + SHIFT];
};

struct test_run {
    struct test_space *space;
    size_t shift;
    bool trans_a, trans_b;
};

static void *test_once(void *arg)
{
    struct test_run *r = arg;
    float *a = r->space->a + r->shift, *b = r->space->b + r->shift, *c = r->space->c + r->shift;
    for (size_t i = 0; i < TEST_M * TEST_K; i++) a[i] = (float)(i * 37 % 101) / 101 - 0.4f;
    for (size_t i = 0; i < TEST_K * TEST_N; i++) b[i] = (float)(i * 53 % 97) / 97 - 0.6f;
    for (int i = 0; i < TEST_ROUNDS; i++)
        blas_gemm(r->trans_a, r->trans_b, TEST_M, TEST_N, TEST_K, 1, a, r->trans_a ? TEST_M : TEST_K, b,
                  r->trans_b ? TEST_K : TEST_N, 0, c, TEST_N);
    return NULL;
}

static bool test_form(struct test_space *spaces, bool trans_a, bool trans_b)
{
    struct test_run want = {&spaces[TEST_THREADS], 0, trans_a, trans_b}, runs[TEST_THREADS];
    pthread_t threads[TEST_THREADS];
    bool same = true;
    test_once(&want);
    for (size_t i = 0; i < TEST_THREADS; i++) {
        runs[i] = (struct test_run){&spaces[i], i % (SHIFT + 1), trans_a, trans_b};
        if (pthread_create(&threads[i], NULL, test_once, &runs[i])) return false;
    }
    for (size_t i = 0; i < TEST_THREADS; i++) {
        pthread_join(threads[i], NULL);
        same = same && !memcmp(spaces[i].c + runs[i].shift, want.space->c, TEST_M * TEST_N * sizeof(float));
    }
    return same;
}

enum status blas_setup(struct error *err)
{
    openblas_set_num_threads(1);
    struct test_space *spaces = mem_array(TEST_THREADS + 1, sizeof *spaces);
    if (!spaces) return mem_error(err, "BLAS self-test", (TEST_THREADS + 1) * sizeof *spaces);
    bool same = test_form(spaces, false, false) && test_form(spaces, true, false) &&
                test_form(spaces, false, true);
    mem_free(spaces);
    if (same) return ST_OK;
    error_set(err, ST_INTERNAL, "BLAS self-test: %s gives other bits when called from several threads",
              blas_describe());
    return error_hint(err, ST_INTERNAL, "use an OpenBLAS built with locking (Debian's is), or cluster.threads=1");
}

const char *blas_describe(void)
{
    static char text[256];
    static const char *const parallel[] = {"serial", "pthread", "openmp"};
    char version[64] = "";
    sscanf(openblas_get_config(), "OpenBLAS %63s", version);
    int kind = openblas_get_parallel();
    snprintf(text, sizeof text, "OpenBLAS %s %s %s", version, openblas_get_corename(),
             kind >= 0 && kind < 3 ? parallel[kind] : "unknown");
    return text;
}
