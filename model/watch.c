#include "model/watch.h"

#include "common/math/fmath.h"
#include "model/step.h"
#include "model/surgery.h"

_Static_assert((int)HEALTH_ROWS == (int)NET_CHUNK, "the first chunk of a block");

/* ---- shapes ---- */

/* Where the tasks' gradients meet first on the way back: a level of experts, or the
 * towers' block. */
struct meeting {
    size_t level;                  /* NET_NONE: nowhere */
    const struct net_block *block; /* NULL: experts */
};

static struct meeting last_meeting(const struct net *net)
{
    for (size_t i = net->n_levels; i-- > 0;) {
        const struct net_level *level = &net->levels[i];
        for (size_t j = 0; j < level->n_blocks; j++)
            if (net->blocks[level->first_block + j].meeting)
                return (struct meeting){i, &net->blocks[level->first_block + j]};
        if (level->meeting) return (struct meeting){i, NULL};
    }
    return (struct meeting){NET_NONE, NULL};
}

static size_t gate_values(const struct net *net)
{
    size_t n = 0;
    for (size_t i = 0; i < net->n_mixes; i++) n += net->mixes[i].n + 1;
    return n;
}

size_t watch_n_values(const struct model *m)
{
    bool meet = last_meeting(&m->net).level != NET_NONE;
    return gate_values(&m->net) + (meet ? m->n_tasks * m->n_tasks : 0) + 1;
}

size_t watch_n_units(const struct model *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->net.n_layers; i++)
        if (watch_relu(&m->net.layers[i])) n += m->net.layers[i].out;
    return n;
}

/* ---- memory ---- */

static bool alloc_gradients(struct watch *w, const struct model *m, struct meeting at)
{
    size_t K = m->n_tasks;
    w->grad = mem_zeroed(m->net.n_params, sizeof *w->grad);
    w->d = mem_zeroed(K, sizeof *w->d);
    w->ones = mem_zeroed(K, sizeof *w->ones);
    w->loss = mem_zeroed(K, sizeof *w->loss);
    if (!w->grad || !w->d || !w->ones || !w->loss) return false;
    for (size_t k = 0; k < K; k++) w->ones[k] = 1;
    size_t width = at.block != NULL ? m->net.buffers[at.block->src].width : 0;
    for (size_t k = 0; k < K && width > 0; k++)
        if ((w->d[k] = mem_zeroed(HEALTH_ROWS * width, sizeof(float))) == NULL)
            return false;
    return true;
}

static bool alloc(struct watch *w, const struct model *m)
{
    struct meeting at = last_meeting(&m->net);
    w->n_values = watch_n_values(m);
    w->n_units = watch_n_units(m);
    w->values = mem_zeroed(w->n_values, sizeof *w->values);
    w->alive = mem_zeroed(w->n_units + 1, 1);
    w->dead = mem_zeroed(m->net.n_layers + 1, sizeof *w->dead);
    w->dy = mem_zeroed(NET_CHUNK * m->net.buffers[NET_Y].width, sizeof *w->dy);
    if (!w->values || !w->alive || !w->dead || !w->dy) return false;
    for (size_t i = 0; i < m->net.n_layers; i++) w->dead[i] = m->net.layers[i].out;
    return at.level == NET_NONE || alloc_gradients(w, m, at);
}

void watch_destroy(struct watch *w)
{
    if (w == NULL) return;
    for (size_t k = 0; w->d != NULL && k < w->m->n_tasks; k++) mem_free(w->d[k]);
    mem_free(w->values);
    mem_free(w->alive);
    mem_free(w->dead);
    mem_free(w->dy);
    mem_free(w->grad);
    mem_free(w->d);
    mem_free(w->ones);
    mem_free(w->loss);
    mem_free(w);
}

/* ---- gates and units ---- */

static void watch_mix(const struct net *net, const struct net_mix *m,
                      const struct level_chunk *c, double *values)
{
    size_t ld = net->buffers[m->gate_buf].width;
    for (size_t r = 0; r < c->n; r++) {
        const float *g = c->act[m->gate_buf] + r * ld + m->gate_col;
        double entropy = 0;
        for (size_t i = 0; i < m->n; i++) {
            double weight = (double)g[i];
            values[i] += weight;
            if (weight > 0) entropy -= weight * fmath_log(weight);
        }
        values[m->n] += entropy;
    }
}

/* Relu's values are not below 0, so a sum of them tells. */
static void watch_layer(const struct net *net, const struct net_layer *l,
                        const struct level_chunk *c, uint8_t *alive, size_t *dead)
{
    size_t ld = net->buffers[l->dst].width;
    for (size_t r = 0; r < c->n && *dead > 0; r++) {
        const float *y = c->act[l->dst] + r * ld + l->dst_col;
        for (size_t j = 0; j < l->out; j++) {
            if (alive[j] || !(y[j] > 0)) continue;
            alive[j] = 1;
            --*dead;
        }
    }
}

/* ---- gradients ---- */

/* Back from the losses of the chunk to where the tasks meet. */
static void watch_gradients(struct watch *w, const float *params, const struct batch *b,
                            size_t first, struct level_chunk *c, double *gram)
{
    const struct model *m = w->m;
    const struct net *net = &m->net;
    struct meeting at = last_meeting(net);
    if (at.level == NET_NONE) return;
    c->grad[NET_Y] = w->dy;
    step_losses(m, b, first, w->ones, w->ones, c, w->loss);
    for (size_t i = net->n_levels; i-- > at.level + (at.block == NULL);)
        level_backward(net, &net->levels[i], params, c, w->grad);
    if (at.block != NULL)
        surgery_gram_towers(net, at.block, params, c, m->n_tasks, w->d, gram);
    else
        surgery_gram_mixes(net, &net->levels[at.level], c, m->n_tasks, gram);
}

static void watch_chunk(void *arg, const float *params, const struct batch *b,
                        size_t first, struct level_chunk *c)
{
    struct watch *w = arg;
    const struct net *net = &w->m->net;
    double *v = w->values;
    uint8_t *alive = w->alive;
    for (size_t i = 0; i < net->n_mixes; i++) {
        watch_mix(net, &net->mixes[i], c, v);
        v += net->mixes[i].n + 1;
    }
    for (size_t i = 0; i < net->n_layers; i++) {
        if (!watch_relu(&net->layers[i])) continue;
        watch_layer(net, &net->layers[i], c, alive, &w->dead[i]);
        alive += net->layers[i].out;
    }
    w->values[w->n_values - 1] += (double)c->n;
    if (first == 0) watch_gradients(w, params, b, first, c, v);
}

enum status watch_create(const struct model *m, struct infer_work *work,
                         struct watch **out, struct error *err)
{
    struct watch *w = mem_zeroed(1, sizeof *w);
    *out = NULL;
    if (w == NULL) return mem_error(err, "health", sizeof *w);
    w->m = m;
    enum status st = alloc(w, m)
                         ? ST_OK
                         : mem_error(err, "health", m->net.n_params * sizeof(float));
    if (st == ST_OK) st = infer_work_show(work, watch_chunk, w, err);
    if (st != ST_OK) {
        watch_destroy(w);
        return st;
    }
    *out = w;
    return ST_OK;
}
