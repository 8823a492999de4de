#include "model/health.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/math/fmath.h"
#include "model/watch.h"

/* A block: its index, then the watch's values. */
struct health {
    const struct model *m; /* must outlive it */
    size_t n_values, n_units;
    double *blocks; /* [n_blocks, 1 + n_values] in no order; the index as a number */
    size_t n_blocks, max_blocks;
    uint8_t *alive; /* [n_units] */
    double *sum;    /* [n_values] */
    struct health_gate *gates;
    struct health_stack *stacks;
    size_t n_stacks;
    double *cosine;
    struct arena *arena; /* names, loads */
};

static size_t stride(const struct health *h)
{
    return 1 + h->n_values;
}

/* ---- making ---- */

static enum status name_gates(struct health *h, struct error *err)
{
    const struct net *net = &h->m->net;
    h->gates = arena_take(h->arena, net->n_mixes + 1, sizeof *h->gates);
    if (h->gates == NULL) return mem_error(err, "health", 0);
    for (size_t i = 0; i < net->n_mixes; i++) {
        double *load = arena_take(h->arena, net->mixes[i].n, sizeof *load);
        const char *name = net->mixes[i].name; /* gate/levelL/TASK */
        const char *short_name =
            arena_printf(h->arena, "%s", name + strlen("gate/level"));
        if (load == NULL || short_name == NULL) return mem_error(err, "health", 0);
        h->gates[i] = (struct health_gate){short_name, net->mixes[i].n, load, NAN};
    }
    return ST_OK;
}

static enum status name_stacks(struct health *h, struct error *err)
{
    const struct net *net = &h->m->net;
    h->stacks = arena_take(h->arena, net->n_units + 1, sizeof *h->stacks);
    if (h->stacks == NULL) return mem_error(err, "health", 0);
    for (size_t i = 0; i < net->n_units; i++) {
        const struct net_unit *u = &net->units[i];
        bool relu = false;
        for (size_t j = 0; j < u->n_layers; j++)
            relu |= watch_relu(&net->layers[u->first + j]);
        if (relu) h->stacks[h->n_stacks++] = (struct health_stack){u->name, NAN};
    }
    return ST_OK;
}

static enum status fill(struct health *h, struct error *err)
{
    size_t K = h->m->n_tasks;
    h->n_values = watch_n_values(h->m);
    h->n_units = watch_n_units(h->m);
    h->alive = mem_zeroed(h->n_units + 1, 1);
    h->sum = mem_zeroed(h->n_values, sizeof *h->sum);
    h->cosine = mem_zeroed(K * K, sizeof *h->cosine);
    if (!h->alive || !h->sum || !h->cosine) return mem_error(err, "health", h->n_units);
    TRY(arena_create(&h->arena, err));
    TRY(name_gates(h, err));
    return name_stacks(h, err);
}

enum status health_create(const struct model *m, struct health **out, struct error *err)
{
    struct health *h = mem_zeroed(1, sizeof *h);
    *out = NULL;
    if (h == NULL) return mem_error(err, "health", sizeof *h);
    h->m = m;
    enum status st = fill(h, err);
    if (st != ST_OK) {
        health_destroy(h);
        return st;
    }
    *out = h;
    return ST_OK;
}

void health_destroy(struct health *h)
{
    if (h == NULL) return;
    if (h->arena != NULL) arena_destroy(h->arena);
    mem_free(h->blocks);
    mem_free(h->alive);
    mem_free(h->sum);
    mem_free(h->cosine);
    mem_free(h);
}

/* ---- collecting ---- */

static enum status room(struct health *h, size_t n, struct error *err)
{
    if (h->n_blocks + n <= h->max_blocks) return ST_OK;
    size_t max = 2 * (h->n_blocks + n) + 16, bytes = max * stride(h) * sizeof(double);
    double *more = mem_resize(h->blocks, max * stride(h), sizeof *more);
    if (more == NULL) return mem_error(err, "health", bytes);
    h->blocks = more;
    h->max_blocks = max;
    return ST_OK;
}

static void join_alive(struct health *h, const uint8_t *alive)
{
    for (size_t i = 0; i < h->n_units; i++) h->alive[i] |= alive[i];
}

enum status health_take(struct health *h, uint64_t block, struct watch *w,
                        struct error *err)
{
    TRY(room(h, 1, err));
    double *at = h->blocks + h->n_blocks++ * stride(h);
    at[0] = (double)block;
    memcpy(at + 1, w->values, h->n_values * sizeof *at);
    memset(w->values, 0, h->n_values * sizeof *at);
    join_alive(h, w->alive);
    return ST_OK;
}

/* Bytes: number of blocks, blocks, alive. */
size_t health_pack_bytes(const struct health *h)
{
    return sizeof(uint64_t) + h->n_blocks * stride(h) * sizeof(double) + h->n_units;
}

void health_pack(const struct health *h, void *out)
{
    unsigned char *p = out;
    uint64_t n = h->n_blocks;
    size_t bytes = h->n_blocks * stride(h) * sizeof(double);
    memcpy(p, &n, sizeof n);
    if (bytes > 0) memcpy(p + sizeof n, h->blocks, bytes);
    if (h->n_units > 0) memcpy(p + sizeof n + bytes, h->alive, h->n_units);
}

enum status health_merge(struct health *h, const void *bytes, size_t n, struct error *err)
{
    const unsigned char *p = bytes;
    uint64_t blocks = 0;
    size_t one = stride(h) * sizeof(double);
    if (n >= sizeof blocks) memcpy(&blocks, p, sizeof blocks);
    if (n < sizeof blocks + h->n_units || blocks > (n - sizeof blocks) / one ||
        n != sizeof blocks + blocks * one + h->n_units)
        return error_set(err, ST_PEER, "health of the model: %zu bytes do not fit", n);
    TRY(room(h, blocks, err));
    if (blocks > 0)
        memcpy(h->blocks + h->n_blocks * stride(h), p + sizeof blocks, blocks * one);
    h->n_blocks += blocks;
    join_alive(h, p + sizeof blocks + blocks * one);
    return ST_OK;
}

/* ---- results ---- */

static int by_index(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void add_blocks(struct health *h)
{
    if (h->n_blocks > 1)
        qsort(h->blocks, h->n_blocks, stride(h) * sizeof(double), by_index);
    memset(h->sum, 0, h->n_values * sizeof *h->sum);
    for (size_t i = 0; i < h->n_blocks; i++)
        for (size_t v = 0; v < h->n_values; v++)
            h->sum[v] += h->blocks[i * stride(h) + 1 + v];
}

/* Gives what follows in the sums. */
static const double *make_gates(struct health *h)
{
    const double *v = h->sum;
    double rows = h->sum[h->n_values - 1];
    for (size_t i = 0; i < h->m->net.n_mixes; i++) {
        struct health_gate *g = &h->gates[i];
        for (size_t e = 0; e < g->n; e++, v++) g->load[e] = rows > 0 ? *v / rows : NAN;
        bool several = rows > 0 && g->n > 1;
        g->entropy = several ? *v / rows / fmath_log((double)g->n) : NAN;
        v++;
    }
    return v;
}

static void make_stacks(struct health *h)
{
    const struct net *net = &h->m->net;
    const uint8_t *alive = h->alive;
    size_t at = 0;
    for (size_t i = 0; i < net->n_units; i++) {
        const struct net_unit *u = &net->units[i];
        size_t n = 0, dead = 0;
        for (size_t j = 0; j < u->n_layers; j++) {
            const struct net_layer *l = &net->layers[u->first + j];
            if (!watch_relu(l)) continue;
            for (size_t k = 0; k < l->out; k++) dead += !alive[k];
            alive += l->out;
            n += l->out;
        }
        if (n > 0) h->stacks[at++].dead = (double)dead / (double)n;
    }
}

static void make_cosine(struct health *h, const double *gram)
{
    size_t K = h->m->n_tasks;
    for (size_t j = 0; j < K; j++)
        for (size_t k = 0; k < K; k++) {
            double square = gram[j * K + j] * gram[k * K + k];
            h->cosine[j * K + k] =
                square > 0 ? gram[j * K + k] / __builtin_sqrt(square) : NAN;
        }
}

enum status health_finalize(struct health *h, struct health_result *out,
                            struct error *err)
{
    add_blocks(h);
    for (size_t i = 1; i < h->n_blocks; i++)
        if (h->blocks[i * stride(h)] == h->blocks[(i - 1) * stride(h)])
            return error_set(err, ST_INTERNAL, "health: block %.0f was added twice",
                             h->blocks[i * stride(h)]);
    const double *gram = make_gates(h);
    bool meet = gram < h->sum + h->n_values - 1;
    make_stacks(h);
    if (meet) make_cosine(h, gram);
    *out = (struct health_result){.n_gates = h->m->net.n_mixes,
                                  .n_stacks = h->n_stacks,
                                  .n_tasks = h->m->n_tasks,
                                  .gates = h->gates,
                                  .stacks = h->stacks,
                                  .cosine = meet ? h->cosine : NULL};
    return ST_OK;
}
