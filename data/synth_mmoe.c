#include "data/synth_mmoe.h"

#include "common/base/mem.h"
#include "data/synth_random.h"

struct synth_mmoe {
    struct synth_mmoe_spec spec;
    double *w[2];  /* [d] */
    double *a, *b; /* [terms] */
    struct rng rows[3];
};

/* ---- making ---- */

static double dot(size_t n, const double *a, const double *b)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void normalise(size_t n, double *v)
{
    double length = __builtin_sqrt(dot(n, v, v));
    for (size_t i = 0; i < n; i++) v[i] /= length;
}

/* w[0], w[1] from two random directions, made orthonormal. */
static void draw_weights(struct synth_mmoe *s)
{
    const struct synth_mmoe_spec *spec = &s->spec;
    struct rng r = synth_stream(spec->seed, SYNTH_STREAM_DIRECTIONS);
    size_t d = spec->features;
    double *u1 = s->w[0], *u2 = s->w[1];
    for (size_t j = 0; j < d; j++) {
        u1[j] = synth_normal(&r, j, 0);
        u2[j] = synth_normal(&r, j, 1);
    }
    normalise(d, u1);
    double along = dot(d, u1, u2), p = spec->correlation;
    for (size_t j = 0; j < d; j++) u2[j] -= along * u1[j];
    normalise(d, u2);
    double across = __builtin_sqrt(1 - p * p);
    for (size_t j = 0; j < d; j++) {
        u2[j] = spec->scale * (p * u1[j] + across * u2[j]);
        u1[j] *= spec->scale;
    }
}

static void draw_function(struct synth_mmoe *s)
{
    struct rng r = synth_stream(s->spec.function, SYNTH_STREAM_FUNCTION);
    for (size_t i = 0; i < s->spec.terms; i++) {
        s->a[i] = synth_normal(&r, i, 0);
        s->b[i] = synth_normal(&r, i, 1);
    }
}

enum status synth_mmoe_create(const struct synth_mmoe_spec *spec, struct synth_mmoe **out,
                              struct error *err)
{
    struct synth_mmoe *s = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "generator", sizeof *s);
    s->spec = *spec;
    s->w[0] = mem_array(spec->features, sizeof *s->w[0]);
    s->w[1] = mem_array(spec->features, sizeof *s->w[1]);
    s->a = mem_array(spec->terms + 1, sizeof *s->a);
    s->b = mem_array(spec->terms + 1, sizeof *s->b);
    if (!s->w[0] || !s->w[1] || !s->a || !s->b) {
        synth_mmoe_destroy(s);
        return mem_error(err, "generator", spec->features * sizeof(double));
    }
    for (size_t i = 0; i < 3; i++)
        s->rows[i] = synth_stream(spec->seed, SYNTH_STREAM_ROWS + i);
    draw_weights(s);
    draw_function(s);
    *out = s;
    return ST_OK;
}

void synth_mmoe_destroy(struct synth_mmoe *s)
{
    if (!s) return;
    mem_free(s->w[0]);
    mem_free(s->w[1]);
    mem_free(s->a);
    mem_free(s->b);
    mem_free(s);
}

/* ---- rows ---- */

/* sin t = cos(pi x) with x = t / pi - 1/2, folded into [0, 1]. */
static double sine(double t)
{
    double x = t * 0.31830988618379067154 - 0.5;
    x = x < 0 ? -x : x;
    x -= 2 * (double)(int64_t)(0.5 * x);
    return fmath_cos_pi(x > 1 ? 2 - x : x);
}

static double function(const struct synth_mmoe *s, double t)
{
    double y = t;
    for (size_t i = 0; i < s->spec.terms; i++) y += sine(s->a[i] * t + s->b[i]);
    return y;
}

void synth_mmoe_row(const struct synth_mmoe *s, enum synth_part part, uint64_t row,
                    double *x, double *y)
{
    const struct rng *r = &s->rows[part];
    size_t d = s->spec.features;
    for (size_t j = 0; j < d; j++)
        x[j] = synth_four_decimals(synth_normal(r, row, (uint32_t)j));
    for (uint32_t t = 0; t < 2; t++)
        y[t] = function(s, dot(d, s->w[t], x)) +
               s->spec.noise * synth_normal(r, row, (uint32_t)d + t);
}

/* ---- moments ---- */

/* Covariance of f(s1) and f(s2), f(s) = s + sum sin(a s + b), for normal s1, s2 of
 * variance v and covariance q v: from E e^(i (a s1 - a' s2)) = e^(-v (a^2 + a'^2 - 2 q a
 * a') / 2) and its derivative. */
static double covariance(const struct synth_mmoe *s, double q)
{
    double v = s->spec.scale * s->spec.scale, sum = q * v;
    for (size_t i = 0; i < s->spec.terms; i++) {
        double a = s->a[i], b = s->b[i];
        double mean = sine(b) * fmath_exp(-0.5 * v * a * a);
        /* E s1 sin(a s2 + b), once for either place of the sine */
        sum += 2 * q * v * a * sine(b + 1.57079632679489661923) *
               fmath_exp(-0.5 * v * a * a);
        for (size_t j = 0; j < s->spec.terms; j++) {
            double c = s->a[j], e = s->b[j], squares = a * a + c * c;
            double minus = fmath_exp(-0.5 * v * (squares - 2 * q * a * c));
            double plus = fmath_exp(-0.5 * v * (squares + 2 * q * a * c));
            sum += 0.5 * (sine(b - e + 1.57079632679489661923) * minus -
                          sine(b + e + 1.57079632679489661923) * plus);
            sum -= mean * sine(e) * fmath_exp(-0.5 * v * c * c);
        }
    }
    return sum;
}

double synth_mmoe_variance(const struct synth_mmoe *s)
{
    return covariance(s, 1) + s->spec.noise * s->spec.noise;
}

double synth_mmoe_label_correlation(const struct synth_mmoe *s)
{
    return covariance(s, s->spec.correlation) / synth_mmoe_variance(s);
}
