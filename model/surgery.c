#include "model/surgery.h"

#include <string.h>

#include "common/math/blas.h"
#include "common/math/vec.h"
#include "model/balance.h"

/* ---- memory ---- */

static size_t widest_source(const struct net *net)
{
    size_t n = 0;
    for (size_t i = 0; i < net->n_blocks; i++) {
        const struct net_block *b = &net->blocks[i];
        if (b->meeting && net->buffers[b->src].width > n) n = net->buffers[b->src].width;
    }
    return n;
}

static bool alloc(struct surgery *s, size_t floats)
{
    size_t K = s->K;
    s->gram = mem_zeroed(K * K, sizeof *s->gram);
    s->coef = mem_zeroed(K, sizeof *s->coef);
    s->scratch = mem_zeroed(K, sizeof *s->scratch);
    s->order = mem_zeroed(K * K, sizeof *s->order);
    s->d = mem_zeroed(K, sizeof *s->d);
    if (!s->gram || !s->coef || !s->scratch || !s->order || !s->d) return false;
    for (size_t k = 0; k < K && floats > 0; k++)
        if ((s->d[k] = mem_zeroed(floats, sizeof(float))) == NULL) return false;
    return true;
}

enum status surgery_create(const struct net *net, size_t n_tasks, enum balance_kind kind,
                           size_t rows, struct surgery **out, struct error *err)
{
    size_t floats = rows * widest_source(net);
    struct surgery *s = *out = mem_zeroed(1, sizeof *s);
    if (s == NULL) return mem_error(err, "balance", sizeof *s);
    s->kind = kind;
    s->K = n_tasks;
    if (alloc(s, floats)) return ST_OK;
    surgery_destroy(s);
    *out = NULL;
    return mem_error(err, "balance", n_tasks * floats * sizeof(float));
}

void surgery_destroy(struct surgery *s)
{
    if (s == NULL) return;
    for (size_t k = 0; s->d != NULL && k < s->K; k++) mem_free(s->d[k]);
    mem_free(s->d);
    mem_free(s->gram);
    mem_free(s->coef);
    mem_free(s->scratch);
    mem_free(s->order);
    mem_free(s);
}

void surgery_begin(struct surgery *s, const struct surgery_turn *turn)
{
    s->turn = *turn;
    s->place = 0;
}

/* ---- inner products ---- */

static void mirror(size_t K, double *gram)
{
    for (size_t j = 0; j < K; j++)
        for (size_t k = 0; k < j; k++) gram[j * K + k] = gram[k * K + j];
}

/* d_k = dL_k/dz of the rows: the task's columns of the block times their weights. */
static void tower_gradients(const struct net *net, const struct net_block *b,
                            const float *params, const struct level_chunk *c,
                            float *const *d)
{
    size_t ld = net->buffers[b->dst].width, ldz = net->buffers[b->src].width;
    for (size_t i = 0; i < b->n_units; i++) {
        const struct net_unit *u = &net->units[b->first_unit + i];
        const struct net_layer *l = &net->layers[u->first];
        blas_gemm(false, true, c->n, l->in, l->out, 1, c->grad[b->dst] + l->dst_col, ld,
                  params + l->w, l->ldw, 0, d[u->task], ldz);
    }
}

void surgery_gram_towers(const struct net *net, const struct net_block *b,
                         const float *params, const struct level_chunk *c, size_t K,
                         float *const *d, double *gram)
{
    size_t ldz = net->buffers[b->src].width;
    tower_gradients(net, b, params, c, d);
    for (size_t i = 0; i < b->n_units; i++)
        for (size_t j = i; j < b->n_units; j++) {
            size_t k = net->units[b->first_unit + i].task,
                   l = net->units[b->first_unit + j].task;
            double sum = 0;
            for (size_t r = 0; r < c->n; r++)
                sum += (double)vec_dot(b->in, d[k] + r * ldz, d[l] + r * ldz);
            gram[k * K + l] += sum;
        }
    mirror(K, gram);
}

/* Sum over the experts where tasks meet of the product of both mixes' weights. */
static double weights_product(const struct net *net, const struct level_chunk *c,
                              size_t row, const struct net_mix *a,
                              const struct net_mix *b)
{
    const float *ga = c->act[a->gate_buf] + row * net->buffers[a->gate_buf].width,
                *gb = c->act[b->gate_buf] + row * net->buffers[b->gate_buf].width;
    double sum = 0;
    for (size_t i = 0, j = 0; i < a->n; i++) {
        size_t e = a->expert[i];
        while (j < b->n && b->expert[j] < e) j++; /* both lists rise */
        if (j < b->n && b->expert[j] == e && net->experts[e].meeting)
            sum += (double)ga[a->gate_col + i] * (double)gb[b->gate_col + j];
    }
    return sum;
}

static double mixes_product(const struct net *net, const struct net_level *level,
                            const struct level_chunk *c, const struct net_mix *a,
                            const struct net_mix *b)
{
    size_t ld = level->width;
    const float *da = c->grad[a->dst], *db = c->grad[b->dst];
    double sum = 0;
    for (size_t r = 0; r < c->n; r++)
        sum += weights_product(net, c, r, a, b) *
               (double)vec_dot(ld, da + r * ld, db + r * ld);
    return sum;
}

void surgery_gram_mixes(const struct net *net, const struct net_level *level,
                        const struct level_chunk *c, size_t K, double *gram)
{
    const struct net_mix *mixes = net->mixes + level->first_mix;
    for (size_t i = 0; i < level->n_mixes; i++)
        for (size_t j = i; j < level->n_mixes; j++) {
            size_t k = mixes[i].task, l = mixes[j].task;
            if (k == NET_NONE || l == NET_NONE) continue;
            gram[k * K + l] += mixes_product(net, level, c, &mixes[i], &mixes[j]);
        }
    mirror(K, gram);
}

/* ---- surgery ---- */

/* Coefficients from s->gram for the place that is next on the way back. */
static void operate(struct surgery *s)
{
    if (s->kind == BALANCE_MGDA) {
        balance_mgda(s->K, s->gram, s->scratch, s->coef);
    } else {
        balance_order(s->turn.seed, s->turn.step, s->turn.row, s->place, s->K, s->order);
        balance_pcgrad(s->K, s->gram, s->order, s->scratch, s->coef);
    }
    s->place++;
}

static void forget(struct surgery *s)
{
    memset(s->gram, 0, s->K * s->K * sizeof *s->gram);
}

void surgery_towers(const struct net *net, const struct net_block *b, const float *params,
                    struct level_chunk *c)
{
    struct surgery *s = c->surgery;
    size_t ldz = net->buffers[b->src].width;
    forget(s);
    surgery_gram_towers(net, b, params, c, s->K, s->d, s->gram);
    operate(s);
    for (size_t r = 0; r < c->n; r++) {
        float *dz = c->grad[b->src] + r * ldz;
        if (!b->add) memset(dz, 0, b->in * sizeof *dz);
        for (size_t i = 0; i < b->n_units; i++) {
            size_t k = net->units[b->first_unit + i].task;
            vec_axpy(b->in, (float)s->coef[k], s->d[k] + r * ldz, dz);
        }
    }
}

void surgery_mixes(const struct net *net, const struct net_level *level,
                   struct level_chunk *c)
{
    forget(c->surgery);
    surgery_gram_mixes(net, level, c, c->surgery->K, c->surgery->gram);
    operate(c->surgery);
}
