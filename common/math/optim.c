#include "common/math/optim.h"

#include <math.h>

#include "common/base/compiler.h"
#include "common/math/fmath.h"

struct optim_layout optim_layout(enum optimizer_kind kind, size_t dim)
{
    switch (kind) {
    case OPT_ADAGRAD:
        return (struct optim_layout){1, {"accumulator", NULL}, {dim, 0}, dim};
    case OPT_ROWWISE_ADAGRAD:
        return (struct optim_layout){1, {"accumulator", NULL}, {1, 0}, 1};
    case OPT_ADAM:
        return (struct optim_layout){2, {"m", "v"}, {dim, dim}, 2 * dim};
    case OPT_FTRL:
        return (struct optim_layout){2, {"z", "n"}, {dim, dim}, 2 * dim};
    case OPT_SGD:
        break;
    }
    return (struct optim_layout){0, {NULL, NULL}, {0, 0}, 0};
}

float optim_initial_state(const struct optimizer_cfg *cfg)
{
    bool adagrad = cfg->kind == OPT_ADAGRAD || cfg->kind == OPT_ROWWISE_ADAGRAD;
    return adagrad ? (float)cfg->initial_accumulator : 0.0f;
}

/* x^n by squaring: multiplications only, so the bits depend on no library. */
static double power(double x, uint64_t n)
{
    double y = 1.0;
    for (; n; n >>= 1) {
        if (n & 1) y *= x;
        x *= x;
    }
    return y;
}

struct optim optim_make(const struct optimizer_cfg *cfg, double lr, uint64_t t)
{
    struct optim o = {.kind = cfg->kind, .lr = (float)lr, .eps = (float)cfg->eps};
    o.shrink = (float)(lr * cfg->weight_decay);
    o.beta = (float)cfg->beta;
    o.l1 = (float)(lr * cfg->l1);
    o.l2 = (float)(lr * cfg->l2);
    if (cfg->kind != OPT_ADAM) return o;
    o.lr = (float)(lr / (1.0 - power(cfg->beta1, t)));
    o.root_scale = (float)(1.0 / sqrt(1.0 - power(cfg->beta2, t)));
    o.beta1 = (float)cfg->beta1;
    o.beta2 = (float)cfg->beta2;
    o.one_minus_beta1 = (float)(1.0 - cfg->beta1);
    o.one_minus_beta2 = (float)(1.0 - cfg->beta2);
    return o;
}

VECTOR_CLONES
static void sgd(size_t n, float lr, const float *restrict g, float *restrict w)
{
    for (size_t i = 0; i < n; i++) w[i] -= lr * g[i];
}

VECTOR_CLONES
static void adagrad(size_t n, float lr, float eps, const float *restrict g,
                    float *restrict w, float *restrict a)
{
    for (size_t i = 0; i < n; i++) {
        a[i] += g[i] * g[i];
        w[i] -= lr * g[i] / (sqrtf(a[i]) + eps);
    }
}

VECTOR_CLONES
static void adam(const struct optim *o, size_t n, const float *restrict g,
                 float *restrict w, float *restrict m, float *restrict v)
{
    const struct optim c = *o;
    for (size_t i = 0; i < n; i++) {
        m[i] = c.beta1 * m[i] + c.one_minus_beta1 * g[i];
        v[i] = c.beta2 * v[i] + c.one_minus_beta2 * (g[i] * g[i]);
        w[i] -= c.lr * m[i] / (sqrtf(v[i]) * c.root_scale + c.eps);
    }
}

VECTOR_CLONES
static void ftrl(const struct optim *o, size_t n, const float *restrict g,
                 float *restrict w, float *restrict z, float *restrict a)
{
    const struct optim c = *o;
    for (size_t i = 0; i < n; i++) {
        float before = sqrtf(a[i]);
        bool fresh = (a[i] == 0.0f) & (z[i] == 0.0f);
        a[i] += g[i] * g[i];
        float root = sqrtf(a[i]);
        float stand = fresh ? -c.beta * w[i] : z[i];
        z[i] = stand + (c.lr * g[i] - (root - before) * w[i]);
        float excess = fabsf(z[i]) - c.l1;
        excess = excess > 0.0f ? excess : 0.0f;
        w[i] = -copysignf(excess, z[i]) / (c.beta + root + c.l2);
    }
}

/* Sum of squares in eight chains by place mod 8, joined as a tree: a sequence
 * that depends on n alone. */
static float mean_square(size_t n, const float *g)
{
    float s[8] = {0};
    for (size_t i = 0; i < n; i++) s[i & 7] += g[i] * g[i];
    for (size_t half = 4; half; half /= 2)
        for (size_t i = 0; i < half; i++) s[i] += s[i + half];
    return s[0] / (float)n;
}

static void rowwise_adagrad(const struct optim *o, size_t n, const float *g, float *w,
                            float *a)
{
    *a += mean_square(n, g);
    sgd(n, o->lr / (sqrtf(*a) + o->eps), g, w);
}

void optim_row(const struct optim *o, size_t dim, const float *g, float *w, float *state)
{
    switch (o->kind) {
    case OPT_SGD:
        sgd(dim, o->lr, g, w);
        break;
    case OPT_ADAGRAD:
        adagrad(dim, o->lr, o->eps, g, w, state);
        break;
    case OPT_ROWWISE_ADAGRAD:
        rowwise_adagrad(o, dim, g, w, state);
        break;
    case OPT_ADAM:
        adam(o, dim, g, w, state, state + dim);
        break;
    case OPT_FTRL:
        ftrl(o, dim, g, w, state, state + dim);
        break;
    }
}

VECTOR_CLONES
void optim_add_l2(float l2, size_t dim, const float *g, const float *w, float *x)
{
    for (size_t i = 0; i < dim; i++) x[i] = g[i] + l2 * w[i];
}

VECTOR_CLONES
static void decay_weights(size_t n, float shrink, const float *restrict mask,
                          float *restrict w)
{
    for (size_t i = 0; i < n; i++) w[i] -= shrink * mask[i] * w[i];
}

void optim_dense(const struct optim *o, size_t n, const float *g, float *w,
                 float *const slots[OPTIM_MAX_SLOTS], const float *decay)
{
    if (decay && o->shrink != 0.0f) decay_weights(n, o->shrink, decay, w);
    switch (o->kind) {
    case OPT_SGD:
        sgd(n, o->lr, g, w);
        break;
    case OPT_ADAGRAD:
    case OPT_ROWWISE_ADAGRAD:
        adagrad(n, o->lr, o->eps, g, w, slots[0]);
        break;
    case OPT_ADAM:
        adam(o, n, g, w, slots[0], slots[1]);
        break;
    case OPT_FTRL:
        ftrl(o, n, g, w, slots[0], slots[1]);
        break;
    }
}

static double decay_part(const struct schedule_cfg *s, uint64_t update, uint64_t total)
{
    if (s->decay == DECAY_STEP)
        return s->decay_every ? power(s->decay_factor, update / s->decay_every) : 1.0;
    if (s->decay != DECAY_COSINE) return 1.0;
    if (total <= s->warmup_steps) return 1.0;
    uint64_t past = update > s->warmup_steps ? update - s->warmup_steps : 0;
    double x = (double)past / (double)(total - s->warmup_steps);
    double wave = 0.5 * (1.0 + fmath_cos_pi(x < 1.0 ? x : 1.0));
    return s->decay_floor + (1.0 - s->decay_floor) * wave;
}

double optim_lr(const struct schedule_cfg *schedule, double lr, uint64_t update,
                uint64_t total)
{
    if (update < schedule->warmup_steps)
        return lr * (double)(update + 1) / (double)schedule->warmup_steps;
    return lr * decay_part(schedule, update, total);
}

/* The paper's form, whose z is not multiplied by lr. */
static void ftrl_reference(const struct optimizer_cfg *cfg, double lr, double g, double *w,
                           double *z, double *n)
{
    bool fresh = *n == 0 && *z == 0;
    double unscaled = fresh ? -*w * cfg->beta / lr : *z / lr;
    double sigma = (sqrt(*n + g * g) - sqrt(*n)) / lr;
    *n += g * g;
    unscaled += g - sigma * *w;
    double sign = unscaled < 0 ? -1 : 1;
    *w = fabs(unscaled) <= cfg->l1
             ? 0
             : -(unscaled - sign * cfg->l1) / ((cfg->beta + sqrt(*n)) / lr + cfg->l2);
    *z = unscaled * lr;
}

void optim_row_reference(const struct optimizer_cfg *cfg, double lr, uint64_t t,
                         size_t dim, const float *g, double *w, double *state)
{
    double mean = 0;
    for (size_t i = 0; i < dim; i++) mean += (double)g[i] * g[i] / (double)dim;
    if (cfg->kind == OPT_ROWWISE_ADAGRAD) state[0] += mean;
    for (size_t i = 0; i < dim; i++) {
        double x = g[i];
        if (cfg->kind == OPT_SGD) w[i] -= lr * x;
        if (cfg->kind == OPT_ROWWISE_ADAGRAD)
            w[i] -= lr * x / (sqrt(state[0]) + cfg->eps);
        if (cfg->kind == OPT_ADAGRAD) {
            state[i] += x * x;
            w[i] -= lr * x / (sqrt(state[i]) + cfg->eps);
        }
        if (cfg->kind == OPT_ADAM) {
            double *m = state + i, *v = state + dim + i;
            *m = cfg->beta1 * *m + (1 - cfg->beta1) * x;
            *v = cfg->beta2 * *v + (1 - cfg->beta2) * x * x;
            double m_hat = *m / (1 - pow(cfg->beta1, (double)t));
            double v_hat = *v / (1 - pow(cfg->beta2, (double)t));
            w[i] -= lr * m_hat / (sqrt(v_hat) + cfg->eps);
        }
        if (cfg->kind == OPT_FTRL)
            ftrl_reference(cfg, lr, x, &w[i], &state[i], &state[dim + i]);
    }
}
