#include "data/synth_tasks.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "data/synth_random.h"

/* LATENT: length of the vectors whose products make interactions. */
enum { LATENT = 4, EFFECTS = 1 + LATENT, MAX_SCORES = SYNTH_MAX_TASKS + 1 };
/* A score whose part that no other score explains has less variance than this says
 * nothing of its own. */
static const double LEAST_VARIANCE = 1e-9;

struct synth_tasks {
    struct synth_tasks_spec spec;
    size_t n_scores;
    double *below;   /* [vocabulary] P(id <= k) */
    double *weights; /* [n_dense, n_scores] */
    struct rng ids[SYNTH_MAX_FEATURES];
    struct rng rows[4];
    double mean[MAX_SCORES];
    double factor[MAX_SCORES][MAX_SCORES]; /* lower triangle L of the covariance L L^T */
    double bias[SYNTH_MAX_TASKS];
};
enum { CALIBRATION_ROWS = 3 };

/* ---- rows before calibration ---- */

static void fill_zipf(struct synth_tasks *s)
{
    double sum = 0;
    size_t n = s->spec.vocabulary;
    for (size_t k = 0; k < n; k++)
        s->below[k] = sum += fmath_exp(-s->spec.zipf * fmath_log((double)(k + 1)));
    for (size_t k = 0; k < n; k++) s->below[k] /= sum;
}

/* First id with P(id <= k) above u. */
static uint64_t zipf_id(const struct synth_tasks *s, double u)
{
    size_t low = 0, high = s->spec.vocabulary - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->below[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void draw_inputs(const struct synth_tasks *s, const struct rng *r, uint64_t row,
                        struct synth_tasks_row *out)
{
    uint32_t sub = 0;
    for (size_t f = 0; f < s->spec.n_ids; f++)
        out->id[f] = zipf_id(s, rng_uniform(r, row, sub++));
    for (size_t j = 0; j < s->spec.n_dense; j++)
        out->x[j] = synth_four_decimals(synth_normal(r, row, sub++));
}

/* Effect 0 of an id adds up, the others are its latent vector. */
static double effect(const struct synth_tasks *s, size_t feature, uint64_t id,
                     size_t score, size_t i)
{
    return synth_normal(&s->ids[feature], id, (uint32_t)(score * EFFECTS + i));
}

static double product(const struct synth_tasks *s, size_t feature,
                      const struct synth_tasks_row *row, size_t score)
{
    double sum = 0;
    for (size_t i = 1; i < EFFECTS; i++)
        sum += effect(s, feature, row->id[feature], score, i) *
               effect(s, feature + 1, row->id[feature + 1], score, i);
    return sum;
}

static void raw_scores(const struct synth_tasks *s, const struct synth_tasks_row *row,
                       double *r)
{
    const struct synth_tasks_spec *spec = &s->spec;
    size_t pairs = spec->n_ids > 1 ? spec->n_ids - 1 : 0;
    double share = pairs ? spec->interaction : 0;
    double plain = __builtin_sqrt((1 - share) / (double)(spec->n_ids + spec->n_dense));
    double paired = pairs ? __builtin_sqrt(share / (double)(pairs * LATENT)) : 0;
    for (size_t k = 0; k < s->n_scores; k++) {
        double sum = 0, products = 0;
        for (size_t f = 0; f < spec->n_ids; f++) sum += effect(s, f, row->id[f], k, 0);
        for (size_t j = 0; j < spec->n_dense; j++)
            sum += s->weights[j * s->n_scores + k] * row->x[j];
        for (size_t f = 0; share > 0 && f < pairs; f++) products += product(s, f, row, k);
        r[k] = plain * sum + paired * products;
    }
}

/* z = L^-1 (r - mean), in place. */
static void whiten(const struct synth_tasks *s, double *r)
{
    for (size_t k = 0; k < s->n_scores; k++) {
        double v = r[k] - s->mean[k];
        for (size_t j = 0; j < k; j++) v -= s->factor[k][j] * r[j];
        r[k] = v / s->factor[k][k];
    }
}

/* Logits without biases. */
static void mix(const struct synth_tasks *s, const double *z, double *logit)
{
    double shared = __builtin_sqrt(s->spec.correlation);
    double own = __builtin_sqrt(1 - s->spec.correlation);
    for (size_t k = 0; k < s->spec.n_tasks; k++)
        logit[k] = s->spec.signal * (shared * z[0] + own * z[k + 1]);
}

/* ---- calibration ---- */

static void moments(struct synth_tasks *s, const double *r)
{
    size_t n = s->n_scores;
    for (size_t i = 0; i < SYNTH_CALIBRATION; i++)
        for (size_t k = 0; k < n; k++) s->mean[k] += r[i * n + k] / SYNTH_CALIBRATION;
    for (size_t i = 0; i < SYNTH_CALIBRATION; i++)
        for (size_t k = 0; k < n; k++)
            for (size_t j = 0; j <= k; j++)
                s->factor[k][j] += (r[i * n + k] - s->mean[k]) *
                                   (r[i * n + j] - s->mean[j]) / SYNTH_CALIBRATION;
}

/* Cholesky, in place. */
static enum status factorise(struct synth_tasks *s, struct error *err)
{
    for (size_t k = 0; k < s->n_scores; k++) {
        for (size_t j = 0; j < k; j++) {
            for (size_t i = 0; i < j; i++)
                s->factor[k][j] -= s->factor[k][i] * s->factor[j][i];
            s->factor[k][j] /= s->factor[j][j];
            s->factor[k][k] -= s->factor[k][j] * s->factor[k][j];
        }
        if (!(s->factor[k][k] > LEAST_VARIANCE)) {
            error_set(err, ST_USAGE,
                      "%zu id features of %zu ids and %zu numbers are too "
                      "few for %zu tasks that differ",
                      s->spec.n_ids, s->spec.vocabulary, s->spec.n_dense,
                      s->spec.n_tasks);
            return error_hint(err, ST_USAGE, "ask for more features, ids or numbers");
        }
        s->factor[k][k] = __builtin_sqrt(s->factor[k][k]);
    }
    return ST_OK;
}

/* Bias with which the mean probability, weighted, is the rate. v: logits, stride n;
 * weight NULL: 1. */
static double find_bias(const double *v, size_t n, const double *weight, double rate)
{
    double low = -100, high = 100;
    for (int step = 0; step < 60; step++) {
        double middle = 0.5 * (low + high), sum = 0, all = 0;
        for (size_t i = 0; i < SYNTH_CALIBRATION; i++) {
            double w = weight ? weight[i] : 1;
            sum += w * fmath_sigmoid(middle + v[i * n]);
            all += w;
        }
        if (sum < rate * all)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

/* r: scores on entry, logits on return. weight: scratch. */
static void find_biases(struct synth_tasks *s, double *r, double *weight)
{
    size_t n = s->n_scores;
    double logit[SYNTH_MAX_TASKS];
    for (size_t i = 0; i < SYNTH_CALIBRATION; i++) {
        whiten(s, r + i * n);
        mix(s, r + i * n, logit);
        memcpy(r + i * n, logit, s->spec.n_tasks * sizeof *logit);
    }
    for (size_t k = 0; k < s->spec.n_tasks; k++) {
        bool given_first = s->spec.funnel && k == 1;
        s->bias[k] = find_bias(r + k, n, given_first ? weight : NULL, s->spec.rate[k]);
        for (size_t i = 0; i < SYNTH_CALIBRATION && k == 0; i++)
            weight[i] = fmath_sigmoid(s->bias[0] + r[i * n]);
    }
}

static enum status calibrate(struct synth_tasks *s, struct error *err)
{
    size_t n = s->n_scores;
    struct synth_tasks_row *row = mem_zeroed(1, sizeof *row);
    double *r = mem_array(SYNTH_CALIBRATION * n, sizeof *r);
    double *weight = mem_array(SYNTH_CALIBRATION, sizeof *weight);
    enum status st = ST_OK;
    if (!row || !r || !weight)
        st = mem_error(err, "generator", SYNTH_CALIBRATION * n * 8);
    for (size_t i = 0; st == ST_OK && i < SYNTH_CALIBRATION; i++) {
        draw_inputs(s, &s->rows[CALIBRATION_ROWS], i, row);
        raw_scores(s, row, r + i * n);
    }
    if (st == ST_OK) {
        moments(s, r);
        st = factorise(s, err);
    }
    if (st == ST_OK) find_biases(s, r, weight);
    mem_free(row);
    mem_free(r);
    mem_free(weight);
    return st;
}

/* ---- making ---- */

static enum status fill(struct synth_tasks *s, struct error *err)
{
    const struct synth_tasks_spec *spec = &s->spec;
    struct rng w = synth_stream(spec->seed, SYNTH_STREAM_WEIGHTS);
    s->n_scores = spec->n_tasks + 1;
    s->below = mem_array(spec->vocabulary, sizeof *s->below);
    s->weights = mem_array(spec->n_dense * s->n_scores, sizeof *s->weights);
    if (!s->below || !s->weights)
        return mem_error(err, "generator", spec->vocabulary * sizeof *s->below);
    for (size_t i = 0; i < 4; i++)
        s->rows[i] = synth_stream(spec->seed, SYNTH_STREAM_ROWS + i);
    for (size_t f = 0; f < spec->n_ids; f++)
        s->ids[f] = synth_stream(spec->seed, SYNTH_STREAM_IDS + f);
    for (size_t i = 0; i < spec->n_dense * s->n_scores; i++)
        s->weights[i] = synth_normal(&w, i, 0);
    fill_zipf(s);
    return calibrate(s, err);
}

enum status synth_tasks_create(const struct synth_tasks_spec *spec,
                               struct synth_tasks **out, struct error *err)
{
    struct synth_tasks *s = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "generator", sizeof *s);
    s->spec = *spec;
    enum status st = fill(s, err);
    if (st != ST_OK) {
        synth_tasks_destroy(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void synth_tasks_destroy(struct synth_tasks *s)
{
    if (!s) return;
    mem_free(s->below);
    mem_free(s->weights);
    mem_free(s);
}

/* ---- rows ---- */

void synth_tasks_row(const struct synth_tasks *s, enum synth_part part, uint64_t row,
                     struct synth_tasks_row *out)
{
    const struct rng *r = &s->rows[part];
    double score[MAX_SCORES], logit[SYNTH_MAX_TASKS];
    draw_inputs(s, r, row, out);
    raw_scores(s, out, score);
    whiten(s, score);
    mix(s, score, logit);
    uint32_t sub = (uint32_t)(s->spec.n_ids + s->spec.n_dense);
    for (size_t k = 0; k < s->spec.n_tasks; k++, sub += 2) {
        out->probability[k] = fmath_sigmoid(s->bias[k] + logit[k]);
        out->label[k] = rng_uniform(r, row, sub) < out->probability[k];
        if (s->spec.funnel && k == 1 && out->label[0] == 0) out->label[k] = 0;
    }
    sub = (uint32_t)(s->spec.n_ids + s->spec.n_dense) + 1;
    for (size_t k = 0; k < s->spec.n_tasks; k++, sub += 2)
        if (!(rng_uniform(r, row, sub) < s->spec.present[k])) out->label[k] = (double)NAN;
}
