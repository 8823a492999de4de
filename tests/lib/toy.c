#include "tests/lib/toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/partition.h"
#include "common/math/optim.h"
#include "ps/table.h"

static int by_place(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return partition_before(x, y) ? -1 : partition_before(y, x);
}

void toy_make(struct toy *t, uint64_t seed)
{
    static const size_t dims[TOY_TABLES] = {16, 5, 1, 3};
    static const char *const names[TOY_TABLES] = {"user", "item", "tag", "wide"};
    static const struct optimizer_cfg optimizers[TOY_TABLES] = {
        {.kind = OPT_ADAGRAD, .lr = 0.1, .initial_accumulator = 1e-7, .eps = 1e-10},
        {.kind = OPT_ROWWISE_ADAGRAD, .lr = 0.05, .eps = 1e-10},
        {.kind = OPT_ADAM, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
        {.kind = OPT_FTRL, .lr = 0.1, .beta = 0.5, .l1 = 0.2, .l2 = 0.1},
    };
    /* Ids of item get their rows late, some none; those of tag in the middle. */
    static const uint64_t admit[TOY_TABLES] = {0, 36, 12, 1};
    memset(t, 0, sizeof *t);
    for (size_t i = 0; i < TOY_TABLES; i++) {
        t->dims[i] = dims[i];
        t->tables[i] = (struct table_spec){.name = names[i],
                                           .dim = dims[i],
                                           .init = {.kind = INIT_NORMAL, .scale = 0.01},
                                           .optimizer = optimizers[i],
                                           .l2 = i % 2 ? 0.25f : 0,
                                           .admit = admit[i]};
        for (uint64_t k = 0; k < TOY_KEYS; k++)
            t->keys[i][k] = k < 2 ? k - 1 : hash_mix(seed * 1000 + i * 100 + k);
        qsort(t->keys[i], TOY_KEYS, sizeof t->keys[i][0], by_place);
    }
    t->server = (struct server_spec){
        .n_servers = 1,
        .n_workers = 1,
        .n_lanes = 8,
        .n_shards = 1,
        .seed = seed,
        .tables = t->tables,
        .n_tables = TOY_TABLES,
        .n_dense = 3000,
        .dense_optimizer =
            {.kind = OPT_ADAM, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
        .schedule = {.warmup_steps = 3, .decay = DECAY_COSINE, .decay_floor = 0.1},
        .total_steps = 20};
    t->steps = 8;
    t->nonfinite_step = -1;
    t->grad_scale = 1.0f;
}

static uint64_t bits(const struct toy *t, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return hash_mix(hash_mix(hash_mix(hash_mix(t->server.seed + 77 + a) + b) + c) + d);
}

static float noise(const struct toy *t, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return t->grad_scale * ((float)(bits(t, a, b, c, d) >> 40) * 0x1p-23f - 1.0f);
}

/* About one lane in eight has no rows; a lane has about a third of the keys. */
static bool lane_present(const struct toy *t, uint64_t step, size_t lane)
{
    return bits(t, 1, step, lane, 0) % 8 != 0;
}

static uint32_t lane_count(const struct toy *t, uint64_t step, size_t lane, size_t table,
                           size_t k)
{
    if (!lane_present(t, step, lane) || step >= t->steps) return 0;
    uint64_t x = bits(t, 2, step, lane, table * 1000 + k);
    return x % 3 ? 0 : (uint32_t)(1 + (x >> 32) % 4);
}

static void *take(size_t n, size_t size)
{
    void *p = mem_zeroed(n ? n : 1, size);
    assert_non_null(p);
    return p;
}

static void sum_make(const struct toy *t, struct toy_sum *s)
{
    memset(s, 0, sizeof *s);
    s->dense = take(t->server.n_dense, sizeof *s->dense);
    for (size_t i = 0; i < TOY_TABLES; i++)
        s->rows[i].grads = take(TOY_KEYS * t->dims[i], sizeof *s->rows[i].grads);
}

static void sum_close(struct toy_sum *s)
{
    mem_free(s->dense);
    for (size_t i = 0; i < TOY_TABLES; i++) mem_free(s->rows[i].grads);
}

/* Gradient of one lane; rows[t] holds the pulled row of every key of the universe
 * that the lane uses. */
static void lane_sum(const struct toy *t, uint64_t step, size_t lane, const float *params,
                     float *const *rows, struct toy_sum *out)
{
    sum_make(t, out);
    out->present = lane_present(t, step, lane);
    if (!out->present) return;
    for (size_t i = 0; i < t->server.n_dense; i++)
        out->dense[i] = noise(t, 3, step, lane, i) + 0.01f * params[i];
    for (size_t i = 0; i < TOY_TABLES; i++)
        for (size_t k = 0; k < TOY_KEYS; k++) {
            out->rows[i].count[k] = lane_count(t, step, lane, i, k);
            if (!out->rows[i].count[k]) continue;
            for (size_t d = 0; d < t->dims[i]; d++)
                out->rows[i].grads[k * t->dims[i] + d] =
                    noise(t, 4 + i, step, lane, k * 100 + d) +
                    0.01f * rows[i][k * t->dims[i] + d];
        }
}

/* a += b, rows that one side lacks pass through. */
static void sum_add(const struct toy *t, struct toy_sum *a, const struct toy_sum *b)
{
    for (size_t i = 0; i < t->server.n_dense; i++) a->dense[i] += b->dense[i];
    for (size_t i = 0; i < TOY_TABLES; i++)
        for (size_t k = 0; k < TOY_KEYS; k++) {
            if (!b->rows[i].count[k]) continue;
            float *x = a->rows[i].grads + k * t->dims[i];
            const float *y = b->rows[i].grads + k * t->dims[i];
            for (size_t d = 0; d < t->dims[i]; d++)
                x[d] = a->rows[i].count[k] ? x[d] + y[d] : y[d];
            a->rows[i].count[k] += b->rows[i].count[k];
        }
}

static void tree_sum(const struct toy *t, uint64_t step, size_t level, size_t index,
                     const float *params, float *const *rows, struct toy_sum *out)
{
    if (!level) {
        lane_sum(t, step, index, params, rows, out);
        return;
    }
    struct toy_sum right;
    tree_sum(t, step, level - 1, 2 * index, params, rows, out);
    tree_sum(t, step, level - 1, 2 * index + 1, params, rows, &right);
    if (out->present && right.present)
        sum_add(t, out, &right);
    else if (right.present) {
        struct toy_sum swap = *out;
        *out = right;
        right = swap;
    }
    sum_close(&right);
}

/* ---- worker ---- */

void toy_worker_make(const struct toy *t, size_t worker, size_t n_workers,
                     struct toy_worker *w)
{
    memset(w, 0, sizeof *w);
    struct range r = partition_part(t->server.n_lanes, worker, n_workers);
    *w = (struct toy_worker){.toy = t, .first = r.first, .end = r.end};
}

static void *keep(struct toy_worker *w, void *p)
{
    assert_true(w->n_memory < sizeof w->memory / sizeof *w->memory);
    return w->memory[w->n_memory++] = p;
}

void toy_worker_close(struct toy_worker *w)
{
    while (w->n_memory) mem_free(w->memory[--w->n_memory]);
}

static void add_part(struct toy_worker *w, struct wire_node node, struct toy_sum *s)
{
    const struct toy *t = w->toy;
    if (!s->present) {
        sum_close(s);
        return;
    }
    struct wire_part *p = &w->parts[w->n_parts];
    struct wire_run *runs = w->runs[w->n_parts++];
    *p = (struct wire_part){.node = node, .dense = keep(w, s->dense), .runs = runs};
    for (size_t i = 0; i < TOY_TABLES; i++) {
        size_t dim = t->dims[i], n = 0;
        uint64_t *keys = keep(w, take(TOY_KEYS, sizeof *keys));
        uint32_t *counts = keep(w, take(TOY_KEYS, sizeof *counts));
        float *grads = keep(w, s->rows[i].grads);
        for (size_t k = 0; k < TOY_KEYS; k++) {
            if (!s->rows[i].count[k]) continue;
            keys[n] = t->keys[i][k];
            counts[n] = s->rows[i].count[k];
            memmove(grads + n * dim, grads + k * dim, dim * sizeof *grads);
            n++;
        }
        runs[i] =
            (struct wire_run){.n = n, .keys = keys, .counts = counts, .grads = grads};
    }
}

/* Pulled rows by place in the universe. */
static void spread_rows(const struct toy_worker *w, const struct wire_answer *a,
                        float **rows)
{
    for (size_t i = 0; i < TOY_TABLES; i++) {
        size_t dim = w->toy->dims[i], n = 0;
        rows[i] = take(TOY_KEYS * dim, sizeof(float));
        for (size_t k = 0; k < TOY_KEYS; k++)
            if (w->used[i][k])
                memcpy(rows[i] + k * dim, a->rows[i] + n++ * dim, dim * sizeof(float));
        assert_int_equal(n, a->n_rows[i]);
    }
}

static void push(struct toy_worker *w, uint64_t step, const struct wire_answer *a)
{
    float *rows[TOY_TABLES];
    spread_rows(w, a, rows);
    for (size_t l = w->first; l < w->end;) {
        uint32_t level = 0;
        while (l % ((size_t)2 << level) == 0 && l + ((size_t)2 << level) <= w->end)
            level++;
        struct toy_sum s;
        tree_sum(w->toy, step, level, l >> level, a->dense, rows, &s);
        add_part(w, (struct wire_node){level, (uint32_t)(l >> level)}, &s);
        l += (size_t)1 << level;
    }
    for (size_t i = 0; i < TOY_TABLES; i++) mem_free(rows[i]);
}

static void pull(struct toy_worker *w, uint64_t step)
{
    for (size_t i = 0; i < TOY_TABLES; i++) {
        size_t n = 0;
        for (size_t k = 0; k < TOY_KEYS; k++) {
            uint32_t count = 0;
            for (size_t l = w->first; l < w->end; l++)
                count += lane_count(w->toy, step, l, i, k);
            w->used[i][k] = count > 0;
            if (count) w->pull_keys[i][n++] = w->toy->keys[i][k];
        }
        w->pulls[i] = (struct wire_keys){.n = n, .keys = w->pull_keys[i]};
    }
}

void toy_message(struct toy_worker *w, uint64_t step, const struct wire_answer *answer,
                 struct wire_step *out)
{
    toy_worker_close(w);
    w->n_parts = 0;
    if (answer) push(w, step - 1, answer);
    pull(w, step);
    *out = (struct wire_step){.step = step,
                              .n_parts = w->n_parts,
                              .n_tables = TOY_TABLES,
                              .n_dense = w->toy->server.n_dense,
                              .parts = w->parts,
                              .pulls = w->pulls};
    if (!answer) out->flags |= WIRE_NO_PUSH;
    if (step == w->toy->steps) out->flags |= WIRE_NO_PULL;
    if (answer && (int64_t)step - 1 == w->toy->nonfinite_step && w->first == 0 && w->end)
        out->flags |= WIRE_NONFINITE;
}

/* ---- reference ---- */

void toy_state_make(const struct toy *t, struct toy_state *s)
{
    memset(s, 0, sizeof *s);
    s->n_dense = t->server.n_dense;
    s->params = take(s->n_dense, sizeof *s->params);
    for (size_t i = 0; i < TOY_TABLES; i++)
        s->rows[i] = take(TOY_KEYS * t->dims[i], sizeof(float));
}

void toy_state_close(struct toy_state *s)
{
    mem_free(s->params);
    for (size_t i = 0; i < TOY_TABLES; i++) mem_free(s->rows[i]);
}

static void initial_rows(const struct toy *t, size_t i, float *rows)
{
    struct table_shape shape = {.name = t->tables[i].name,
                                .dim = t->dims[i],
                                .init = t->tables[i].init,
                                .seed = t->server.seed};
    struct table *table;
    assert_int_equal(table_create(&shape, &table, NULL), ST_OK);
    for (size_t k = 0; k < TOY_KEYS; k++)
        table_initial(table, t->keys[i][k], rows + k * t->dims[i]);
    table_destroy(table);
}

static void clip(const struct toy *t, float *g)
{
    if (t->server.clip_norm <= 0) return;
    double sum = 0;
    for (size_t i = 0; i < t->server.n_dense; i++) sum += (double)g[i] * g[i];
    double norm = sqrt(sum);
    float scale = norm > t->server.clip_norm ? (float)(t->server.clip_norm / norm) : 1.0f;
    for (size_t i = 0; i < t->server.n_dense; i++) g[i] *= scale;
}

static void apply_table(const struct toy *t, size_t i, const struct toy_rows *g,
                        double lr, uint64_t updates, float *state, struct toy_state *out)
{
    size_t dim = t->dims[i];
    const struct optimizer_cfg *cfg = &t->tables[i].optimizer;
    struct optim o = optim_make(cfg, lr, updates + 1);
    for (size_t k = 0; k < TOY_KEYS; k++) {
        if (!g->count[k]) continue;
        out->seen[i][k] += g->count[k];
        if (out->seen[i][k] < t->tables[i].admit) continue;
        out->known[i][k] = true;
        float *w = out->rows[i] + k * dim;
        for (size_t d = 0; d < dim && t->tables[i].l2 > 0; d++)
            g->grads[k * dim + d] += t->tables[i].l2 * w[d];
        optim_row(&o, dim, g->grads + k * dim, w, state + k * 2 * dim);
    }
}

void toy_reference(const struct toy *t, struct toy_state *out)
{
    size_t n = t->server.n_dense, levels = 0;
    while (((size_t)1 << levels) < t->server.n_lanes) levels++;
    toy_state_make(t, out);
    const struct optimizer_cfg *dense = &t->server.dense_optimizer;
    float *slots[2] = {take(n, sizeof(float)), take(n, sizeof(float))},
          *state[TOY_TABLES];
    for (size_t f = 0; f < n; f++) slots[0][f] = optim_initial_state(dense);
    for (size_t i = 0; i < TOY_TABLES; i++) {
        initial_rows(t, i, out->rows[i]);
        state[i] = take(2 * TOY_KEYS * t->dims[i], sizeof(float));
        float first = optim_initial_state(&t->tables[i].optimizer);
        for (size_t k = 0; k < 2 * TOY_KEYS * t->dims[i]; k++) state[i][k] = first;
    }
    for (uint64_t step = 0; step < t->steps; step++) {
        struct toy_sum g;
        tree_sum(t, step, levels, 0, out->params, out->rows, &g);
        if ((int64_t)step != t->nonfinite_step) {
            uint64_t u = out->updates;
            const struct schedule_cfg *schedule = &t->server.schedule;
            double lr = optim_lr(schedule, dense->lr, u, t->server.total_steps);
            struct optim o = optim_make(dense, lr, u + 1);
            clip(t, g.dense);
            if (g.present) optim_dense(&o, n, g.dense, out->params, slots, NULL);
            for (size_t i = 0; i < TOY_TABLES; i++) {
                lr = optim_lr(schedule, t->tables[i].optimizer.lr, u,
                              t->server.total_steps);
                apply_table(t, i, &g.rows[i], lr, u, state[i], out);
            }
            out->updates++;
        }
        sum_close(&g);
    }
    mem_free(slots[0]);
    mem_free(slots[1]);
    for (size_t i = 0; i < TOY_TABLES; i++) mem_free(state[i]);
}

void toy_state_equal(const struct toy *t, const struct toy_state *a,
                     const struct toy_state *b)
{
    assert_int_equal(a->updates, b->updates);
    assert_memory_equal(a->params, b->params, a->n_dense * sizeof(float));
    for (size_t i = 0; i < TOY_TABLES; i++)
        assert_memory_equal(a->rows[i], b->rows[i],
                            TOY_KEYS * t->dims[i] * sizeof(float));
}
