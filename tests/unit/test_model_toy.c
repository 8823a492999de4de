#include "tests/unit/test_model_toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/math/blas.h"
#include "common/math/target.h"
#include "model/loss.h"
#include "model/reference.h"

enum { VOCABULARY = 7, LONGEST = 4 };

static void *keep(struct toy *t, size_t n, size_t size)
{
    void *p = mem_zeroed(n + 1, size);
    assert_non_null(p);
    assert_true(t->n_memory < sizeof t->memory / sizeof *t->memory);
    return t->memory[t->n_memory++] = p;
}

/* ---- batch ---- */

/* Occurrences of one feature as numbers below VOCABULARY. */
struct lists {
    uint32_t *off, *id; /* off [B + 1] */
};

static struct lists random_lists(struct toy *t, size_t feature, bool multi)
{
    size_t n_rows = t->batch.n_rows;
    struct rng r = rng_make(t->cfg.seed, RNG_TEST, feature);
    struct lists l = {keep(t, n_rows + 1, 4), keep(t, n_rows * LONGEST, 4)};
    uint32_t n = 0;
    for (size_t i = 0; i < n_rows; i++) {
        uint32_t items = multi ? (uint32_t)(rng_u64(&r, i, 0) % (LONGEST + 1)) : 1;
        for (uint32_t j = 0; j < items; j++)
            l.id[n++] = (uint32_t)(rng_u64(&r, i, 1 + j) % VOCABULARY);
        l.off[i + 1] = n;
    }
    return l;
}

/* Distinct numbers in ascending order and the place of each. */
static size_t distinct(const uint32_t *id, size_t n, uint32_t *place, uint32_t *list)
{
    size_t u = 0;
    bool there[VOCABULARY] = {false};
    for (size_t i = 0; i < n; i++) there[id[i]] = true;
    for (uint32_t v = 0; v < VOCABULARY; v++) {
        if (!there[v]) continue;
        place[v] = (uint32_t)u;
        list[u++] = v;
    }
    return u;
}

static struct batch_table make_table(struct toy *t, const struct lists *const *features,
                                     size_t n)
{
    size_t B = t->batch.n_rows, total = 0;
    uint32_t *all = keep(t, n * B * LONGEST, 4), place[VOCABULARY];
    for (size_t f = 0; f < n; f++)
        for (uint32_t i = 0; i < features[f]->off[B]; i++)
            all[total++] = features[f]->id[i];
    uint32_t *codes = keep(t, VOCABULARY, 4), *count = keep(t, VOCABULARY, 4);
    uint64_t *keys = keep(t, VOCABULARY, 8);
    size_t u = distinct(all, total, place, codes);
    for (size_t i = 0; i < u; i++) keys[i] = codes[i];
    for (size_t i = 0; i < total; i++) count[place[all[i]]]++;
    return (struct batch_table){u, keys, codes, count};
}

static struct batch_id make_id(struct toy *t, const struct lists *l,
                               const struct batch_table *tab, bool multi)
{
    size_t B = t->batch.n_rows, n = l->off[B];
    uint32_t place[VOCABULARY], list[VOCABULARY];
    size_t u = distinct(l->id, n, place, list);
    uint32_t *row = keep(t, u, 4), *idx = keep(t, n, 4), *t_off = keep(t, u + 1, 4);
    uint32_t *t_row = keep(t, n, 4);
    for (size_t i = 0; i < u; i++)
        while (tab->codes[row[i]] != list[i]) row[i]++;
    for (size_t i = 0; i < n; i++) idx[i] = place[l->id[i]];
    for (size_t i = 0, k = 0; i < u; i++) {
        for (size_t r = 0; r < B; r++)
            for (uint32_t o = l->off[r]; o < l->off[r + 1]; o++)
                if (idx[o] == i) t_row[k++] = (uint32_t)r;
        t_off[i + 1] = (uint32_t)k;
    }
    return (struct batch_id){u, row, n, multi ? l->off : NULL, idx, t_off, t_row};
}

/* ids: z_user, list_sum, a_shared, list_mean, list_sqrtn. */
static const size_t id_table[TOY_IDS] = {0, 1, 0, 1, 1};

static void make_ids(struct toy *t)
{
    static const bool multi[TOY_IDS] = {false, true, false, true, true};
    struct lists *l = keep(t, TOY_IDS, sizeof *l);
    struct batch_table *tables = keep(t, TOY_TABLES, sizeof *tables);
    struct batch_id *ids = keep(t, TOY_IDS, sizeof *ids);
    for (size_t f = 0; f < TOY_IDS; f++) l[f] = random_lists(t, f, multi[f]);
    tables[0] = make_table(t, (const struct lists *const[]){&l[0], &l[2]}, 2);
    tables[1] = make_table(t, (const struct lists *const[]){&l[1], &l[3], &l[4]}, 3);
    tables[2] = tables[0];
    tables[3] = tables[1];
    for (size_t f = 0; f < TOY_IDS; f++)
        ids[f] = make_id(t, &l[f], &tables[id_table[f]], multi[f]);
    t->batch.tables = tables;
    t->batch.n_tables = TOY_TABLES;
    t->batch.ids = ids;
    t->batch.n_ids = TOY_IDS;
}

static void make_numbers(struct toy *t)
{
    size_t B = t->batch.n_rows, K = t->cfg.n_tasks;
    struct rng r = rng_make(t->cfg.seed, RNG_TEST, 100);
    uint32_t *level = keep(t, B, 4);
    uint64_t *number = keep(t, B, 8);
    const uint32_t **one_hot = keep(t, 1, sizeof *one_hot);
    float *dense = keep(t, 2 * B, 4), *labels = keep(t, B * K, 4),
          *weights = keep(t, B * K, 4), *durations = keep(t, B * K, 4);
    for (size_t i = 0; i < B; i++) {
        number[i] = 1000 - i;
        level[i] = (uint32_t)(rng_u64(&r, i, 0) % 5);
        if (level[i] == 4) level[i] = ONE_HOT_NONE;
        for (uint32_t j = 0; j < 2; j++)
            dense[2 * i + j] = (float)(2 * rng_uniform(&r, i, 1 + j) - 1);
        for (uint32_t k = 0; k < K; k++) {
            double u = rng_uniform(&r, i, 16 + 4 * k), v = rng_uniform(&r, i, 17 + 4 * k);
            bool whole = rng_uniform(&r, i, 18 + 4 * k) < 0.7;
            labels[i * K + k] = u < 0.25 ? NAN : (float)(whole ? v > 0.5 : v);
            if (t->cfg.loss != LOSS_BCE) labels[i * K + k] *= 4;
            weights[i * K + k] = (float)(0.5 + rng_uniform(&r, i, 19 + 4 * k));
            durations[i * K + k] = (float)(1 + 4 * rng_uniform(&r, i, 5 + k));
        }
    }
    t->batch.row = number;
    t->batch.step = 17;
    one_hot[0] = level;
    t->batch.one_hot = one_hot;
    t->batch.n_one_hot = 1;
    t->batch.dense = dense;
    t->batch.n_dense = 2;
    t->batch.labels = labels;
    t->batch.weights = weights;
    if (t->cfg.loss == LOSS_COMPLETION) t->batch.durations = durations;
    t->batch.n_tasks = K;
}

/* Rows stand in reverse order behind `place`, so that a forgotten place shows. */
static void make_rows(struct toy *t)
{
    const float **rows = keep(t, TOY_TABLES, sizeof *rows);
    const uint32_t **places = keep(t, TOY_TABLES, sizeof *places);
    for (size_t i = 0; i < TOY_TABLES; i++) {
        size_t n = t->batch.tables[i].n, dim = t->table_dim[i];
        struct rng r = rng_make(t->cfg.seed, RNG_TEST, 200 + i);
        uint32_t *place = keep(t, n, 4);
        t->table[i] = keep(t, n * dim, 4);
        t->row_grad[i] = keep(t, n * dim, 4);
        for (size_t u = 0; u < n; u++) {
            place[u] = (uint32_t)(n - 1 - u);
            for (uint32_t j = 0; j < dim; j++)
                t->table[i][place[u] * dim + j] =
                    (float)(2 * rng_uniform(&r, t->batch.tables[i].keys[u], j) - 1);
        }
        rows[i] = t->table[i];
        places[i] = place;
    }
    t->rows = (struct model_rows){.rows = rows, .place = places};
}

/* ---- model ---- */

static struct mlp_cfg mlp_of(struct toy *t, const size_t *sizes)
{
    struct mlp_cfg m = {.given = true,
                        .activation = t->cfg.act,
                        .norm = t->cfg.norm,
                        .dropout = t->cfg.dropout};
    m.layers.v = keep(t, TOY_SIZES, sizeof(size_t));
    while (m.layers.n < TOY_SIZES && sizes[m.layers.n] > 0) {
        m.layers.v[m.layers.n] = sizes[m.layers.n];
        m.layers.n++;
    }
    return m;
}

static size_t input_of(const struct toy *t, size_t n, const char *name)
{
    size_t i = 0;
    while (i < n && strcmp(t->inputs[i].name, name) != 0) i++;
    return i;
}

/* Of those lists that are among the n inputs, in their order. */
static void make_attention(struct toy *t, size_t n)
{
    struct mlp_cfg m = mlp_of(t, t->cfg.attention);
    for (size_t i = 0; i < n; i++) {
        bool mean = strcmp(t->inputs[i].name, "list_mean") == 0;
        if (!mean && strcmp(t->inputs[i].name, "list_sqrtn") != 0) continue;
        size_t target = input_of(t, n, mean ? "z_user" : "a_shared");
        t->attention[t->n_attention++] =
            (struct model_attention){i, target, m.layers, m.activation};
        t->inputs[i].pool = POOL_ATTENTION;
    }
}

static enum model_side side_of(const char *name)
{
    static const char *const user[] = {"z_user", "num", "list_mean"};
    for (size_t i = 0; i < 3; i++)
        if (strcmp(user[i], name) == 0) return SIDE_USER;
    return SIDE_ITEM;
}

static bool has_pairs(enum model_type type)
{
    return type == MODEL_FM || type == MODEL_DEEPFM;
}

static void make_inputs(struct toy *t)
{
    size_t d0 = model_row_dim(t->cfg.type, 3, t->cfg.n_tasks);
    size_t d1 = model_row_dim(t->cfg.type, t->cfg.attends || has_pairs(t->cfg.type) ? 3 : 2,
                              t->cfg.n_tasks);
    const struct model_input in[TOY_INPUTS] = {
        {"z_user", INPUT_ID, 0, d0, 0, POOL_SUM, false, false},
        {"list_sum", INPUT_ID, 1, d1, 1, POOL_SUM, true, false},
        {"num", INPUT_DENSE, 0, 2, 0, POOL_SUM, false, false},
        {"level", INPUT_ONE_HOT, 0, 4, 0, POOL_SUM, false, false},
        {"a_shared", INPUT_ID, 2, d0, 0, POOL_SUM, true, false},
        {"list_mean", INPUT_ID, 3, d1, 1, POOL_MEAN, false, false},
        {"list_sqrtn", INPUT_ID, 4, d1, 1, POOL_SQRTN, true, false},
    };
    size_t n = t->cfg.n_inputs > 0 ? t->cfg.n_inputs : TOY_INPUTS, K = t->cfg.n_tasks;
    const struct model_input wide[TOY_WIDE] = {
        {"wide/num", INPUT_DENSE, 0, 2, 0, POOL_SUM, false, true},
        {"wide/z_user", INPUT_ID, 0, K, 2, POOL_SUM, false, true},
        {"wide/level", INPUT_ONE_HOT, 0, 4, 0, POOL_SUM, false, true},
        {"wide/list_mean", INPUT_ID, 3, K, 3, POOL_MEAN, false, true},
    };
    for (size_t i = 0; i < n; i++) {
        t->inputs[i] = in[(i + t->cfg.rotate) % TOY_INPUTS];
        t->side[i] = side_of(t->inputs[i].name);
    }
    if (t->cfg.attends) make_attention(t, n);
    for (size_t i = 0; i < TOY_WIDE; i++)
        t->inputs[n + i] = wide[(i + t->cfg.rotate) % TOY_WIDE];
    const size_t dims[TOY_TABLES] = {d0, d1, K, K};
    memcpy(t->table_dim, dims, sizeof dims);
}

static void make_spec(struct toy *t)
{
    const struct toy_cfg *c = &t->cfg;
    struct model_cfg m = {.type = c->type,
                          .expert_count = c->count,
                          .expert_own = c->own,
                          .expert_shared = c->shared,
                          .expert_levels = c->levels,
                          .cross_layers = c->cross,
                          .cross_rank = c->rank,
                          .user.mlp = mlp_of(t, c->user),
                          .item.mlp = mlp_of(t, c->item),
                          .temperature = 0.3,
                          .bottom = mlp_of(t, c->bottom),
                          .experts = mlp_of(t, c->experts),
                          .gates = mlp_of(t, c->gates),
                          .towers = mlp_of(t, c->towers),
                          .balance = c->balance,
                          .steps = {keep(t, c->n_funnel, sizeof(size_t)), c->n_funnel},
                          .aitm_constraint = c->no_constraint ? 0 : 0.6,
                          .aitm_stop_gradient = c->stop_gradient};
    if (c->n_funnel > 0) memcpy(m.steps.v, c->funnel, c->n_funnel * sizeof(size_t));
    if (c->own_gate_act) m.gates.activation = c->gate_act;
    for (size_t k = 0; k < c->n_tasks; k++) {
        snprintf(t->names[k], sizeof t->names[k], "task%zu",
                 c->reverse_tasks ? c->n_tasks - 1 - k : k);
        t->tasks[k] = (struct model_task){.name = t->names[k],
                                          .loss = c->loss,
                                          .huber_delta = 0.7,
                                          .weight = 1 + 0.25 * (double)k,
                                          .tower = m.towers,
                                          .gate = m.gates,
                                          .own = c->own,
                                          .base = -0.5 + 0.2 * (double)k};
    }
    for (size_t k = 0; k < c->n_tasks && c->own_towers; k++) {
        size_t layers[TOY_SIZES] = {0};
        for (size_t i = 0; i <= k && i < TOY_SIZES; i++) layers[i] = 3 + k;
        t->tasks[k].tower = mlp_of(t, layers);
        t->tasks[k].tower.activation = (enum activation)(k % 4);
    }
    size_t n_inputs = c->n_inputs > 0 ? c->n_inputs : TOY_INPUTS;
    t->spec = (struct model_spec){.cfg = m,
                                  .inputs = t->inputs,
                                  .n_inputs = n_inputs + (c->wide ? TOY_WIDE : 0),
                                  .tasks = t->tasks,
                                  .n_tasks = c->n_tasks,
                                  .table_dim = t->table_dim,
                                  .n_tables = c->wide ? TOY_TABLES : 2,
                                  .n_dense = 2,
                                  .vector = 3,
                                  .seed = c->seed,
                                  .attention = t->attention,
                                  .n_attention = t->n_attention,
                                  .side = t->side};
}

static void make_work(struct toy *t)
{
    size_t *cap = keep(t, TOY_IDS, sizeof *cap),
           *occurrences = keep(t, TOY_IDS, sizeof *cap);
    for (size_t f = 0; f < TOY_IDS; f++) {
        cap[f] = VOCABULARY;
        occurrences[f] = t->batch.n_rows * LONGEST;
    }
    struct model_caps caps = {t->batch.n_rows, cap, occurrences};
    struct error err;
    assert_int_equal(model_work_create(t->model, &caps, &t->work, &err), ST_OK);
}

int toy_setup(void **state)
{
    struct error err;
    (void)state;
    return blas_setup(&err) == ST_OK ? 0 : -1;
}

void toy_create(struct toy *t, const struct toy_cfg *cfg)
{
    struct error err = {0};
    memset(t, 0, sizeof *t);
    t->cfg = *cfg;
    t->batch.n_rows = cfg->n_rows;
    make_ids(t);
    make_numbers(t);
    make_inputs(t);
    make_spec(t);
    make_rows(t);
    if (model_create(&t->spec, &t->model, &err) != ST_OK) fail_msg("%s", err.text);
    t->n_params = model_n_params(t->model);
    t->params = keep(t, t->n_params, sizeof(float));
    t->grad = keep(t, t->n_params, sizeof(float));
    t->scale = keep(t, cfg->n_tasks, sizeof(double));
    t->loss = keep(t, cfg->n_tasks, sizeof(double));
    model_init_params(t->model, cfg->seed, t->params);
    for (size_t k = 0; k < cfg->n_tasks; k++) t->scale[k] = 0.1 * (double)(k + 1);
    make_work(t);
}

void toy_destroy(struct toy *t)
{
    model_work_destroy(t->work);
    model_destroy(t->model);
    for (size_t i = 0; i < t->n_memory; i++) mem_free(t->memory[i]);
}

void toy_randomise(struct toy *t)
{
    size_t n;
    const struct model_tensor *list = model_tensors(t->model, &n);
    for (size_t i = 0; i < n; i++) {
        struct rng r = rng_named(t->cfg.seed, RNG_TEST, list[i].name);
        double bound = __builtin_sqrt(3.0 / (double)list[i].rows);
        for (size_t j = 0; j < list[i].rows * list[i].cols; j++)
            t->params[list[i].offset + j / list[i].cols * list[i].stride +
                      j % list[i].cols] =
                (float)((2 * rng_uniform(&r, j, 0) - 1) * bound);
    }
}

bool toy_step(struct toy *t)
{
    return model_step(t->model, t->params, &t->batch, &t->rows, t->scale, t->work,
                      t->grad, t->row_grad, t->loss);
}

/* Weight of row r's label of task k in the loss, 0 where there is none. */
static double label_weight(const struct toy *t, size_t r, size_t k)
{
    size_t at = r * t->cfg.n_tasks + k;
    if (isnan(t->batch.labels[at])) return 0;
    return t->scale[k] * (double)t->batch.weights[at];
}

/* Of row r, where task k has a label. */
static double row_loss(const struct toy *t, size_t r, size_t k, const double *z)
{
    const struct model_task *task = &t->tasks[k];
    size_t at = r * t->cfg.n_tasks + k;
    double unused, duration = t->batch.durations ? (double)t->batch.durations[at] : 0;
    double y = target_of_label(task->loss, (double)t->batch.labels[at], duration);
    double loss = loss_value(task->loss, task->huber_delta, z[at], y, &unused);
    for (size_t i = 1; i < t->cfg.n_funnel && t->cfg.type == MODEL_AITM; i++)
        if (t->cfg.funnel[i] == k)
            loss += t->spec.cfg.aitm_constraint *
                    loss_constraint_value(z[at], z[at - k + t->cfg.funnel[i - 1]], &unused,
                                          &unused);
    return loss;
}

/* Of a task with this loss, s its log variance. */
static double task_cost(const struct toy *t, size_t k, double loss, double labels)
{
    if (t->cfg.balance.kind != BALANCE_UNCERTAINTY) return loss;
    char name[64];
    snprintf(name, sizeof name, "balance/%s/log_variance", t->names[k]);
    double s = (double)t->params[toy_tensor(t, name)->offset];
    bool gaussian = t->tasks[k].loss == LOSS_MSE || t->tasks[k].loss == LOSS_LOG_MSE;
    return (gaussian ? 0.5 : 1) * exp(-s) * loss + s / 2 * labels;
}

double toy_reference_loss(struct toy *t)
{
    size_t B = t->batch.n_rows, K = t->cfg.n_tasks;
    double *z = mem_array(B * K, sizeof *z), total = 0;
    reference_logits(t->model, t->params, &t->batch, &t->rows, true, z);
    for (size_t k = 0; k < K; k++) {
        double loss = 0, labels = 0;
        for (size_t r = 0; r < B; r++) {
            double weight = label_weight(t, r, k);
            labels += weight;
            if (weight != 0) loss += weight * row_loss(t, r, k, z);
        }
        total += t->tasks[k].weight * task_cost(t, k, loss, labels);
    }
    mem_free(z);
    return total;
}

const struct model_tensor *toy_tensor(const struct toy *t, const char *name)
{
    size_t n;
    const struct model_tensor *list = model_tensors(t->model, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0) return &list[i];
    return NULL;
}

const struct model_tensor *toy_need(const struct toy *t, const char *name)
{
    const struct model_tensor *x = toy_tensor(t, name);
    if (x == NULL) fail_msg("no tensor %s", name);
    return x;
}

float *toy_at(const struct toy *t, const struct model_tensor *x, size_t r, size_t c)
{
    return &t->params[x->offset + r * x->stride + c];
}

void toy_logits(const struct toy *t, float *out)
{
    struct infer *f;
    struct infer_work *w;
    struct error err;
    assert_int_equal(infer_create(t->model, t->params, &f, &err), ST_OK);
    assert_int_equal(infer_work_create(f, t->batch.n_rows, &w, &err), ST_OK);
    infer_forward(f, &t->batch, &t->rows, w, out);
    infer_work_destroy(w);
    infer_destroy(f);
}

/* ---- parts ---- */

static void *keep_part(struct toy_part *p, const void *from, size_t n, size_t size)
{
    void *copy = mem_zeroed(n + 1, size);
    assert_non_null(copy);
    assert_true(p->n_memory < sizeof p->memory / sizeof *p->memory);
    if (from != NULL && n > 0) memcpy(copy, from, n * size);
    return p->memory[p->n_memory++] = copy;
}

/* The feature over fewer rows; distinct keys that no longer occur stay, which is
 * allowed for a forward pass. */
static struct batch_id part_id(const struct batch_id *f, size_t first, size_t n,
                               struct toy_part *p)
{
    size_t from = f->off != NULL ? f->off[first] : first;
    size_t end = f->off != NULL ? f->off[first + n] : first + n;
    struct batch_id out = *f;
    uint32_t *off = f->off != NULL ? keep_part(p, f->off + first, n + 1, 4) : NULL;
    for (size_t i = 0; i <= n && off != NULL; i++) off[i] -= (uint32_t)from;
    out.n = end - from;
    out.off = off;
    out.idx = keep_part(p, f->idx + from, end - from, 4);
    out.t_off = out.t_row = NULL;
    return out;
}

void toy_part_create(const struct toy *t, size_t first, size_t n, struct toy_part *p)
{
    memset(p, 0, sizeof *p);
    p->batch = t->batch;
    p->batch.n_rows = n;
    p->rows = t->rows;
    struct batch_id *ids = keep_part(p, NULL, TOY_IDS, sizeof *ids);
    for (size_t f = 0; f < TOY_IDS; f++) ids[f] = part_id(&t->batch.ids[f], first, n, p);
    const uint32_t **one_hot = keep_part(p, NULL, 1, sizeof *one_hot);
    one_hot[0] = keep_part(p, t->batch.one_hot[0] + first, n, 4);
    p->batch.ids = ids;
    p->batch.one_hot = one_hot;
    p->batch.dense = keep_part(p, t->batch.dense + first * 2, n * 2, 4);
    p->batch.row = NULL;
    p->batch.labels = NULL;
    p->batch.weights = NULL;
}

void toy_part_destroy(struct toy_part *p)
{
    for (size_t i = 0; i < p->n_memory; i++) mem_free(p->memory[i]);
}
