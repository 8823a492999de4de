/* Metrics against values by hand and against brute force over all pairs; and that
 * neither blocks nor workers show in them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "model/metric.h"

static struct metric_result one_block(size_t n, const float *scores, const float *labels,
                                      const uint64_t *group)
{
    struct metric *m;
    struct metric_result r;
    struct error err;
    float *logits = malloc((n + 1) * sizeof *logits);
    for (size_t i = 0; i < n; i++) logits[i] = logf(scores[i] / (1 - scores[i]));
    assert_int_equal(metric_create(1, &m, &err), ST_OK);
    assert_int_equal(metric_add(m, 0, n, scores, logits, labels, group, &err), ST_OK);
    assert_int_equal(metric_finalize(m, &r, &err), ST_OK);
    metric_destroy(m);
    free(logits);
    return r;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * (1 + fabs(b)); /* scores are floats */
}

/* Four rows by hand: 3 of 4 pairs in order. */
static void test_values_by_hand(void **state)
{
    (void)state;
    const float s[] = {0.1f, 0.4f, 0.35f, 0.8f}, y[] = {0, 0, 1, 1};
    struct metric_result r = one_block(4, s, y, NULL);
    assert_true(r.auc == 0.75);
    assert_true(near(r.logloss, -(log(0.9) + log(0.6) + log(0.35) + log(0.8)) / 4));
    assert_true(near(r.pcoc, 1.65 / 2));
    assert_true(near(r.mae, (0.1 + 0.4 + 0.65 + 0.2) / 4));
    assert_true(near(r.rmse, sqrt((0.01 + 0.16 + 0.4225 + 0.04) / 4)));
    assert_true(r.rows == 4 && r.positives == 2 && isnan(r.gauc));
}

/* A tie of a positive and a negative counts one half; all tied is 0.5. */
static void test_ties_count_one_half(void **state)
{
    (void)state;
    const float s[] = {0.5f, 0.5f, 0.5f, 0.5f}, y[] = {0, 1, 1, 0};
    assert_true(one_block(4, s, y, NULL).auc == 0.5);
    const float s2[] = {0.2f, 0.5f, 0.5f}, y2[] = {0, 0, 1};
    assert_true(one_block(3, s2, y2, NULL).auc == 0.75);
}

/* One class, or no row: what cannot be said is NaN. */
static void test_one_class_has_no_auc(void **state)
{
    (void)state;
    const float s[] = {0.5f, 0.6f}, y[] = {0, 0};
    struct metric_result r = one_block(2, s, y, NULL);
    assert_true(isnan(r.auc) && isnan(r.pcoc) && r.rows == 2 && isfinite(r.logloss));
    r = one_block(0, s, y, NULL);
    assert_true(isnan(r.auc) && isnan(r.logloss) && isnan(r.mae) && r.rows == 0);
}

/* Absent labels are out of every figure. */
static void test_absent_labels_do_not_count(void **state)
{
    (void)state;
    const float s[] = {0.1f, 0.99f, 0.4f, 0.35f, 0.01f, 0.8f},
                y[] = {0, NAN, 0, 1, NAN, 1};
    struct metric_result r = one_block(6, s, y, NULL);
    assert_true(r.auc == 0.75 && r.rows == 4 && near(r.pcoc, 1.65 / 2));
}

/* Groups with one class are left out; the others weigh as many as their rows. */
static void test_gauc_by_hand(void **state)
{
    (void)state;
    const float s[] = {0.1f, 0.9f, 0.9f, 0.3f, 0.2f, 0.7f, 0.6f};
    const float y[] = {0, 1, 0, 1, 0, 1, 1};
    const uint64_t g[] = {7, 7, UINT64_MAX, UINT64_MAX, UINT64_MAX, 3, 3};
    struct metric_result r = one_block(7, s, y, g);
    assert_true(near(r.gauc, (2 * 1.0 + 3 * 0.5) / 5)); /* group 3 has one class */
    assert_int_equal(r.groups, 2);
}

/* A label of 0.25 counts as a quarter of a positive. */
static void test_fractional_labels(void **state)
{
    (void)state;
    const float s[] = {0.2f, 0.8f}, y[] = {0.25f, 0.5f};
    /* p_i n_j over pairs: (2,1) ordered, (1,1) and (2,2) tied, (1,2) reversed */
    double want = (0.5 * 0.75 + 0.5 * (0.25 * 0.75 + 0.5 * 0.5)) / (0.75 * 1.25);
    assert_true(near(one_block(2, s, y, NULL).auc, want));
    const float big[] = {3, 4};
    assert_true(isnan(one_block(2, s, big, NULL).auc)); /* a regression label */
}

/* Four watch times by hand: of the 5 pairs with different times 4 are in order and one
 * has equal predictions. */
static void test_xauc_by_hand(void **state)
{
    (void)state;
    const float s[] = {0.2f, 0.5f, 0.5f, 0.4f}, y[] = {3, 8, 20, 8};
    struct metric_result r = one_block(4, s, y, NULL);
    assert_true(r.xauc == 4.5 / 5 && isnan(r.auc) && isnan(r.gxauc));
    const float far[] = {-2, 5e30f, -0.0f, 0}, times[] = {-7, 1e30f, 0, 2};
    assert_true(one_block(4, far, times, NULL).xauc == 5.5 / 6);
}

/* Without two different labels, or with a prediction that is no number, there is none. */
static void test_xauc_that_cannot_be_said(void **state)
{
    (void)state;
    const float s[] = {0.2f, 0.5f}, y[] = {3, 3}, bad[] = {NAN, 0.5f}, y2[] = {3, 4};
    assert_true(isnan(one_block(2, s, y, NULL).xauc));
    assert_true(isnan(one_block(1, s, y2, NULL).xauc));
    assert_true(isnan(one_block(0, s, y, NULL).xauc));
    assert_true(isnan(one_block(2, bad, y2, NULL).xauc));
}

/* Of two classes the pairs with different labels are those of the AUC. */
static void test_xauc_of_classes_is_the_auc(void **state)
{
    (void)state;
    const float s[] = {0.1f, 0.9f, 0.9f, 0.3f, 0.2f, 0.7f, 0.6f};
    const float y[] = {0, 1, 0, 1, 0, 1, 1};
    const uint64_t g[] = {7, 7, 9, 9, 9, 3, 3};
    struct metric_result r = one_block(7, s, y, g);
    assert_true(r.xauc == r.auc && r.gxauc == r.gauc);
}

/* ---- brute force, blocks and workers ---- */

enum { N = 500, K = 2, BLOCK = 64 };

struct rows {
    float scores[N * K], logits[N * K], labels[N * K];
    uint64_t group[N];
};

static void random_rows(struct rows *r)
{
    struct rng g = rng_make(11, RNG_TEST, 0);
    for (size_t i = 0; i < N * K; i++) {
        double u = rng_uniform(&g, i, 0), v = rng_uniform(&g, i, 1);
        r->logits[i] = (float)(floor(u * 40) / 10 - 2); /* many ties */
        r->scores[i] = (float)(1 / (1 + exp(-(double)r->logits[i])));
        r->labels[i] = v < 0.1 ? NAN : rng_uniform(&g, i, 2) < u;
        r->group[i / K] = rng_u64(&g, i / K, 3) % 20 << 58;
    }
}

/* Task 1 with times instead of classes: few values, so that many are equal. */
static void random_times(struct rows *r)
{
    struct rng g = rng_make(12, RNG_TEST, 0);
    random_rows(r);
    for (size_t i = 1; i < N * K; i += K)
        if (!isnan(r->labels[i]))
            r->labels[i] =
                (float)floor(rng_uniform(&g, i, 0) * 30 + 10 * (double)r->scores[i]);
}

/* Task 1 over all pairs, of one group or of all. */
static double brute_xauc(const struct rows *r, uint64_t group, bool all)
{
    double sum = 0, pairs = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            if (!all && (r->group[i] != group || r->group[j] != group)) continue;
            if (!(r->labels[i * K + 1] > r->labels[j * K + 1])) continue;
            float a = r->scores[i * K + 1], b = r->scores[j * K + 1];
            sum += a > b ? 1 : a == b ? 0.5 : 0;
            pairs++;
        }
    return sum / pairs;
}

static double brute_auc(const struct rows *r, size_t k, uint64_t group, bool all)
{
    double sum = 0, pairs = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            if (!all && (r->group[i] != group || r->group[j] != group)) continue;
            if (r->labels[i * K + k] != 1 || r->labels[j * K + k] != 0) continue;
            float a = r->scores[i * K + k], b = r->scores[j * K + k];
            sum += a > b ? 1 : a == b ? 0.5 : 0;
            pairs++;
        }
    return sum / pairs;
}

static double brute_gauc(const struct rows *r, size_t k)
{
    double sum = 0, rows = 0;
    for (uint64_t g = 0; g < 20; g++) {
        double a = brute_auc(r, k, g << 58, false), n = 0;
        for (size_t i = 0; i < N; i++)
            n += r->group[i] == g << 58 && !isnan(r->labels[i * K + k]);
        if (isnan(a)) continue;
        sum += n * a;
        rows += n;
    }
    return sum / rows;
}

static void add_block(struct metric *m, const struct rows *r, size_t block)
{
    struct error err;
    size_t first = block * BLOCK, n = N - first < BLOCK ? N - first : BLOCK;
    assert_int_equal(metric_add(m, block, n, r->scores + first * K, r->logits + first * K,
                                r->labels + first * K, r->group + first, &err),
                     ST_OK);
}

/* Blocks dealt to some workers in reverse order, packed and merged into the last. */
static void evaluate(const struct rows *r, size_t workers, struct metric_result *out)
{
    struct metric *m[8];
    struct error err;
    for (size_t w = 0; w < workers; w++)
        assert_int_equal(metric_create(K, &m[w], &err), ST_OK);
    for (size_t b = (N + BLOCK - 1) / BLOCK; b-- > 0;) add_block(m[b % workers], r, b);
    for (size_t w = 0; w + 1 < workers; w++) {
        size_t n = metric_pack_bytes(m[w]);
        void *bytes = malloc(n);
        metric_pack(m[w], bytes);
        assert_int_equal(metric_merge(m[workers - 1], bytes, n, &err), ST_OK);
        free(bytes);
    }
    assert_int_equal(metric_finalize(m[workers - 1], out, &err), ST_OK);
    for (size_t w = 0; w < workers; w++) metric_destroy(m[w]);
}

/* AUC and GAUC equal the count over all pairs. */
static void test_auc_equals_brute_force(void **state)
{
    (void)state;
    static struct rows r;
    struct metric_result got[K];
    random_rows(&r);
    evaluate(&r, 1, got);
    for (size_t k = 0; k < K; k++) {
        assert_true(fabs(got[k].auc - brute_auc(&r, k, 0, true)) < 1e-12);
        assert_true(fabs(got[k].gauc - brute_gauc(&r, k)) < 1e-12);
    }
}

/* XAUC equals the count over all pairs with different labels, alone and by group. */
static void test_xauc_equals_brute_force(void **state)
{
    (void)state;
    static struct rows r;
    struct metric_result got[K];
    random_times(&r);
    evaluate(&r, 1, got);
    assert_true(got[1].xauc == brute_xauc(&r, 0, true));
    double sum = 0, rows = 0;
    for (uint64_t g = 0; g < 20; g++) {
        double n = 0;
        for (size_t i = 0; i < N; i++)
            n += r.group[i] == g << 58 && !isnan(r.labels[i * K + 1]);
        sum += n * brute_xauc(&r, g << 58, false);
        rows += n;
    }
    assert_true(fabs(got[1].gxauc - sum / rows) < 1e-14);
    assert_true(isnan(got[1].auc) && got[0].xauc == got[0].auc);
}

/* One worker or several, blocks in any order: the same bits. */
static void test_result_does_not_depend_on_workers(void **state)
{
    (void)state;
    static struct rows r;
    struct metric_result one[K], some[K];
    for (int times = 0; times < 2; times++) {
        if (times)
            random_times(&r);
        else
            random_rows(&r);
        evaluate(&r, 1, one);
        for (size_t w = 2; w <= 8; w++) {
            evaluate(&r, w, some);
            assert_memory_equal(one, some, sizeof one);
        }
    }
}

/* A block scored twice is noticed. */
static void test_block_scored_twice_is_an_error(void **state)
{
    (void)state;
    static struct rows r;
    struct metric *m;
    struct metric_result out[K];
    struct error err;
    random_rows(&r);
    assert_int_equal(metric_create(K, &m, &err), ST_OK);
    add_block(m, &r, 3);
    add_block(m, &r, 3);
    assert_int_equal(metric_finalize(m, out, &err), ST_INTERNAL);
    metric_destroy(m);
}

/* Bytes that were cut or come from another set of tasks are refused. */
static void test_bad_bytes_are_refused(void **state)
{
    (void)state;
    static struct rows r;
    struct metric *m, *other, *narrow;
    struct error err;
    random_rows(&r);
    assert_int_equal(metric_create(K, &m, &err), ST_OK);
    assert_int_equal(metric_create(1, &narrow, &err), ST_OK);
    add_block(m, &r, 0);
    size_t n = metric_pack_bytes(m);
    unsigned char *bytes = malloc(n);
    metric_pack(m, bytes);
    assert_int_equal(metric_merge(narrow, bytes, n, &err), ST_INTERNAL);
    for (size_t cut = 0; cut < n; cut += 13) {
        assert_int_equal(metric_create(K, &other, &err), ST_OK);
        assert_int_equal(metric_merge(other, bytes, cut, &err), ST_INTERNAL);
        metric_destroy(other);
    }
    free(bytes);
    metric_destroy(m);
    metric_destroy(narrow);
}

/* Every failing allocation is reported and nothing leaks. */
static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    static struct rows r;
    uint64_t live = mem_live_bytes();
    enum status st = ST_NOMEM;
    random_rows(&r);
    for (uint64_t k = 1; st != ST_OK; k++) {
        struct metric *m;
        struct metric_result out[K];
        struct error err;
        mem_fail_at(k);
        st = metric_create(K, &m, &err);
        if (st == ST_OK)
            st = metric_add(m, 0, 9, r.scores, r.logits, r.labels, r.group, &err);
        if (st == ST_OK) st = metric_finalize(m, out, &err);
        mem_fail_at(0);
        assert_true(st == ST_OK || st == ST_NOMEM);
        metric_destroy(m);
        assert_int_equal(mem_live_bytes(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_by_hand),
        cmocka_unit_test(test_ties_count_one_half),
        cmocka_unit_test(test_one_class_has_no_auc),
        cmocka_unit_test(test_absent_labels_do_not_count),
        cmocka_unit_test(test_gauc_by_hand),
        cmocka_unit_test(test_fractional_labels),
        cmocka_unit_test(test_xauc_by_hand),
        cmocka_unit_test(test_xauc_that_cannot_be_said),
        cmocka_unit_test(test_xauc_of_classes_is_the_auc),
        cmocka_unit_test(test_auc_equals_brute_force),
        cmocka_unit_test(test_xauc_equals_brute_force),
        cmocka_unit_test(test_result_does_not_depend_on_workers),
        cmocka_unit_test(test_block_scored_twice_is_an_error),
        cmocka_unit_test(test_bad_bytes_are_refused),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
