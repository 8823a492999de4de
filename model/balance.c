#include "model/balance.h"

#include <stdbool.h>

#include "common/base/rng.h"
#include "common/math/fmath.h"

double balance_uncertainty(enum loss_kind loss)
{
    return loss == LOSS_MSE || loss == LOSS_LOG_MSE ? 0.5 : 1;
}

void balance_dwa(size_t K, const double *last, const double *before, double temperature,
                 double *weight)
{
    double most = 0, sum = 0;
    for (size_t k = 0; k < K; k++) {
        double r = last[k] > 0 && before[k] > 0 ? last[k] / before[k] : 1;
        weight[k] = r / temperature;
        if (k == 0 || weight[k] > most) most = weight[k];
    }
    for (size_t k = 0; k < K; k++) sum += weight[k] = fmath_exp(weight[k] - most);
    for (size_t k = 0; k < K; k++) weight[k] *= (double)K / sum;
}

/* ---- pcgrad ---- */

/* One task: mine[K] are the coefficients of what is left of its gradient. */
static void project(size_t K, const double *G, const uint32_t *order, size_t k,
                    double *mine)
{
    for (size_t i = 0; i < K; i++) mine[i] = i == k;
    for (size_t i = 0; i + 1 < K; i++) {
        size_t j = order[i];
        double dot = 0;
        for (size_t l = 0; l < K; l++) dot += mine[l] * G[l * K + j];
        if (dot < 0 && G[j * K + j] > 0) mine[j] -= dot / G[j * K + j];
    }
}

void balance_pcgrad(size_t K, const double *G, const uint32_t *order, double *scratch,
                    double *coef)
{
    for (size_t k = 0; k < K; k++) coef[k] = 0;
    for (size_t k = 0; k < K; k++) {
        project(K, G, order + k * (K - 1), k, scratch);
        for (size_t i = 0; i < K; i++) coef[i] += scratch[i];
    }
}

void balance_order(uint64_t seed, uint64_t step, uint64_t row, size_t place, size_t K,
                   uint32_t *order)
{
    struct rng r = rng_make(seed, RNG_BALANCE, row << 8 | place);
    for (size_t k = 0; k < K; k++) {
        uint32_t *others = order + k * (K - 1);
        for (size_t i = 0; i + 1 < K; i++) others[i] = (uint32_t)(i < k ? i : i + 1);
        for (size_t i = K - 1; i-- > 1;) {
            uint64_t bits = rng_u64(&r, step, (uint32_t)(k * K + i)) >> 32;
            size_t j = (size_t)(bits * (i + 1) >> 32);
            uint32_t was = others[i];
            others[i] = others[j];
            others[j] = was;
        }
    }
}

/* ---- mgda ---- */

/* One step: weight goes from the task whose gradient lies most along v = sum coef g to
 * the one along which v is shortest, as far as the length of v falls and there is weight
 * to take. dot[K] = <g_k, v> is kept up to date. False: v is the shortest. */
static bool mgda_step(size_t K, const double *G, double *dot, double *coef)
{
    size_t to = K, from = K;
    for (size_t k = 0; k < K; k++) {
        if (!(G[k * K + k] > 0)) continue;
        if (to == K || dot[k] < dot[to]) to = k;
        if (coef[k] > 0 && (from == K || dot[k] > dot[from])) from = k;
    }
    if (from == K) return false;
    double gain = dot[from] - dot[to];
    double length = G[from * K + from] - 2 * G[from * K + to] + G[to * K + to];
    if (!(gain > 0 && length > 0)) return false;
    double part = gain / length;
    if (part > coef[from]) part = coef[from];
    coef[from] -= part;
    coef[to] += part;
    for (size_t k = 0; k < K; k++) dot[k] += part * (G[k * K + to] - G[k * K + from]);
    return true;
}

void balance_mgda(size_t K, const double *G, double *scratch, double *coef)
{
    size_t n = 0;
    for (size_t k = 0; k < K; k++) n += G[k * K + k] > 0;
    for (size_t k = 0; k < K; k++) coef[k] = G[k * K + k] > 0 ? 1 / (double)n : 0;
    for (size_t k = 0; k < K; k++) {
        scratch[k] = 0;
        for (size_t j = 0; j < K; j++) scratch[k] += coef[j] * G[k * K + j];
    }
    for (size_t i = 0; i < BALANCE_MGDA_STEPS; i++)
        if (!mgda_step(K, G, scratch, coef)) return;
}
