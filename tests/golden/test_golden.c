/* Every architecture against tensors from an independent implementation
 * (generate.py, PyTorch in double): logits, losses, every gradient, and all weights
 * after three steps of each optimiser on batches that leave some rows out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/math/blas.h"
#include "common/math/optim.h"
#include "tests/golden/golden_file.h"
#include "model/balance.h"
#include "model/dropout.h"
#include "model/model.h"

enum {
    B = 6,
    K = 3,
    N_IDS = 4,
    N_INPUTS = 6,
    N_TABLES = 4, /* the last two have the keys of the first two: rows of a wide part */
    MOST_IDS = 5,
    MOST_ITEMS = 24,
    N_STEPS = 3,
    SEED = 9
};

/* Values are printed with 6 digits (5e-7 of the value) and computed in float over
 * some dozen terms below 10 (1e-6); steps of adagrad and adam divide by the root of
 * small squares, which multiplies the relative error of a small gradient. */
static const double TOLERANCE = 5e-6, TOLERANCE_AFTER = 5e-5;

/* ---- the batch ---- */

static const struct {
    const char *name;
    size_t table;
    enum pool pool;
} ids[N_IDS] = {{"user", 0, POOL_SUM},
                {"seen", 0, POOL_MEAN},
                {"tags", 1, POOL_SUM},
                {"more", 1, POOL_SQRTN}};

/* Rows [first, end) of the file's batch with the distinct ids of those rows. */
struct part {
    struct batch batch;
    struct batch_table tables[N_TABLES];
    struct batch_id ids[N_IDS];
    uint64_t keys[N_TABLES][MOST_IDS];
    uint32_t codes[N_TABLES][MOST_IDS], count[N_TABLES][MOST_IDS];
    uint32_t row[N_IDS][MOST_IDS], off[N_IDS][B + 1], idx[N_IDS][MOST_ITEMS];
    uint32_t t_off[N_IDS][MOST_IDS + 1], t_row[N_IDS][MOST_ITEMS];
    uint32_t level[B];
    const uint32_t *one_hot[1];
    float dense[B * 2], labels[B * K], weights[B * K];
    uint64_t number[B];
};

/* Items of feature f in rows [first, end), and where each row starts. */
static size_t items(const struct golden_file *g, size_t f, size_t first, size_t end,
                    uint32_t *item, uint32_t *off)
{
    const struct golden_line *l = golden_find(g, 0, "list", ids[f].name);
    size_t n = 0, at = 0;
    for (size_t r = 0; r < end; r++) {
        size_t count = (size_t)l->v[at++];
        if (r >= first) off[r - first] = (uint32_t)n;
        for (size_t i = 0; i < count; i++, at++)
            if (r >= first) item[n++] = (uint32_t)l->v[at];
    }
    off[end - first] = (uint32_t)n;
    return n;
}

static void part_tables(struct part *p, uint32_t item[N_IDS][MOST_ITEMS], const size_t *n)
{
    for (size_t t = 0; t < N_TABLES; t++) {
        uint32_t count[MOST_IDS] = {0};
        for (size_t f = 0; f < N_IDS; f++)
            for (size_t i = 0; i < n[f] && ids[f].table == t % 2; i++)
                count[item[f][i]]++;
        size_t u = 0;
        for (uint32_t v = 0; v < MOST_IDS; v++) {
            if (count[v] == 0) continue;
            p->keys[t][u] = p->codes[t][u] = v;
            p->count[t][u++] = count[v];
        }
        p->tables[t] = (struct batch_table){u, p->keys[t], p->codes[t], p->count[t]};
    }
}

static void part_id(struct part *p, size_t f, const uint32_t *item, size_t n,
                    size_t n_rows)
{
    size_t u = 0, o = 0;
    const struct batch_table *t = &p->tables[ids[f].table];
    for (uint32_t v = 0; v < t->n; v++) {
        bool used = false;
        for (size_t i = 0; i < n; i++) {
            if (item[i] != t->codes[v]) continue;
            p->idx[f][i] = (uint32_t)u;
            used = true;
        }
        if (used) p->row[f][u++] = v;
    }
    for (size_t k = 0; k < u; k++) {
        for (uint32_t r = 0; r < n_rows; r++)
            for (uint32_t i = p->off[f][r]; i < p->off[f][r + 1]; i++)
                if (p->idx[f][i] == k) p->t_row[f][o++] = r;
        p->t_off[f][k + 1] = (uint32_t)o;
    }
    p->ids[f] = (struct batch_id){
        u, p->row[f], n, f == 0 ? NULL : p->off[f], p->idx[f], p->t_off[f], p->t_row[f]};
}

static void floats(const struct golden_line *l, size_t first, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)l->v[first + i];
}

static void part_make(const struct golden_file *g, size_t first, size_t end,
                      struct part *p)
{
    uint32_t item[N_IDS][MOST_ITEMS];
    size_t n[N_IDS], rows = end - first;
    memset(p, 0, sizeof *p);
    for (size_t f = 0; f < N_IDS; f++) n[f] = items(g, f, first, end, item[f], p->off[f]);
    part_tables(p, item, n);
    for (size_t f = 0; f < N_IDS; f++) part_id(p, f, item[f], n[f], rows);
    const struct golden_line *levels = golden_find(g, 0, "levels", NULL);
    for (size_t r = 0; r < rows; r++) {
        double v = levels->v[first + r];
        p->level[r] = v < 0 ? ONE_HOT_NONE : (uint32_t)v;
        p->number[r] = first + r;
    }
    p->one_hot[0] = p->level;
    floats(golden_find(g, 0, "numbers", NULL), first * 2, rows * 2, p->dense);
    floats(golden_find(g, 0, "labels", NULL), first * K, rows * K, p->labels);
    floats(golden_find(g, 0, "weights", NULL), first * K, rows * K, p->weights);
    p->batch = (struct batch){.n_rows = rows,
                              .n_tables = N_TABLES,
                              .n_ids = N_IDS,
                              .n_one_hot = 1,
                              .n_dense = 2,
                              .n_tasks = K,
                              .tables = p->tables,
                              .ids = p->ids,
                              .one_hot = p->one_hot,
                              .dense = p->dense,
                              .labels = p->labels,
                              .weights = p->weights,
                              .row = p->number};
}

/* ---- a case ---- */

struct golden_case {
    const struct golden_file *file;
    size_t at; /* its line */
    bool project;
    size_t n_tables, dim[N_TABLES];
    struct model *model;
    struct model_work *work;
    float *params, *grad;
    float table[N_TABLES][MOST_IDS * K];    /* rows of all ids */
    float row_grad[N_TABLES][MOST_IDS * K]; /* of the part's distinct ids */
};

static const struct golden_line *line(const struct golden_case *c, const char *key,
                                      const char *name)
{
    const struct golden_line *l = golden_find(c->file, c->at, key, name);
    if (l == NULL)
        fail_msg("%s: no line %s %s", c->file->lines[c->at].name, key, name ? name : "");
    return l;
}

static struct mlp_cfg sizes(const struct golden_case *c, const char *part, size_t *memory)
{
    static const char *const names[] = {"relu", "gelu", "silu", "tanh"};
    struct mlp_cfg m = {.given = true};
    const struct golden_line *l = line(c, "sizes", part),
                             *act = line(c, "activation", NULL);
    for (size_t i = 0; i < l->n; i++) memory[i] = (size_t)l->v[i];
    m.layers = (struct sizes_cfg){memory, l->n};
    if (line(c, "number", "norm")->v[0] != 0) m.norm = NORM_LAYER;
    m.dropout = line(c, "number", "dropout")->v[0];
    for (int a = 0; a < 4; a++)
        if (strcmp(names[a], act->name) == 0) m.activation = (enum activation)a;
    return m;
}

static size_t number(const struct golden_case *c, const char *name)
{
    return (size_t)line(c, "number", name)->v[0];
}

static enum model_type type_of(const char *word)
{
    for (enum model_type t = MODEL_LR; t <= MODEL_AITM; t++)
        if (strcmp(model_type_name(t), word) == 0) return t;
    fail_msg("unknown type %s", word);
    return MODEL_LR;
}

static enum balance_kind balance_of(const struct golden_case *c)
{
    static const char *const names[] = {"fixed", "uncertainty", "dwa", "pcgrad", "mgda"};
    const char *word = line(c, "balance", NULL)->name;
    for (int i = 0; i < 5; i++)
        if (strcmp(names[i], word) == 0) return (enum balance_kind)i;
    fail_msg("unknown balance %s", word);
    return BALANCE_FIXED;
}

/* Parts that the case gives to one task alone. */
static void own_parts(const struct golden_case *c, struct model_task *t, size_t *memory)
{
    static const char *const parts[] = {"towers", "gates", "own"};
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%s", t->name, parts[i]);
        const struct golden_line *l = golden_find(c->file, c->at + 1, "task", name);
        if (l == NULL) continue;
        for (size_t j = 0; j < l->n; j++) memory[j] = (size_t)l->v[j];
        struct sizes_cfg sizes = {memory, l->n};
        if (i == 0) t->tower.layers = sizes;
        if (i == 1) t->gate.layers = sizes;
        if (i == 2) t->own = memory[0];
        memory += 4;
    }
}

static const char *const table_names[N_TABLES] = {"0", "1", "2", "3"};
static const double scale[K] = {0.25, 0.2, 0.25};

/* Features that are not in the wide part alone, then the wide ones; gives their number. */
static size_t make_inputs(struct golden_case *c, struct model_input *out)
{
    const struct model_input inputs[N_INPUTS] = {
        {"user", INPUT_ID, 0, c->dim[0], 0, POOL_SUM, c->project, false},
        {"num", INPUT_DENSE, 0, 2, 0, POOL_SUM, false, false},
        {"seen", INPUT_ID, 1, c->dim[0], 0, POOL_MEAN, c->project, false},
        {"level", INPUT_ONE_HOT, 0, 3, 0, POOL_SUM, false, false},
        {"tags", INPUT_ID, 2, c->dim[1], 1, POOL_SUM, c->project, false},
        {"more", INPUT_ID, 3, c->dim[1], 1, POOL_SQRTN, c->project, false},
    };
    static const char *const wide_names[N_INPUTS] = {"wide/user",  "wide/num",
                                                     "wide/seen",  "wide/level",
                                                     "wide/tags",  "wide/more"};
    size_t n = 0;
    for (size_t i = 0; i < N_INPUTS; i++)
        if (golden_find(c->file, c->at, "only", inputs[i].name) == NULL)
            out[n++] = inputs[i];
    c->n_tables = 2;
    for (size_t i = 0; i < N_INPUTS; i++) {
        if (golden_find(c->file, c->at, "wide", inputs[i].name) == NULL) continue;
        c->n_tables = N_TABLES;
        out[n] = inputs[i];
        out[n].name = wide_names[i];
        out[n].direct = true;
        if (inputs[i].kind == INPUT_ID) {
            out[n].table += 2;
            out[n].width = K;
        }
        n++;
    }
    return n;
}

static void make_model(struct golden_case *c)
{
    size_t memory[8][4];
    struct error err;
    enum model_type type = type_of(c->file->lines[c->at].word);
    struct mlp_cfg tower = sizes(c, "towers", memory[0]),
                   gate = sizes(c, "gates", memory[1]);
    size_t own = number(c, "own");
    struct model_task tasks[K] = {
        {"click", LOSS_BCE, 0, 1, tower, gate, own, 0},
        {"finish", LOSS_BCE, 0, 0.5, tower, gate, own, 0},
        {"time", LOSS_HUBER, 0.8, 1.5, tower, gate, own, 0},
    };
    size_t own_sizes[K][3 * 4];
    for (size_t k = 0; k < K; k++) own_parts(c, &tasks[k], own_sizes[k]);
    bool pairs = type == MODEL_FM || type == MODEL_DEEPFM;
    c->dim[0] = model_row_dim(type, pairs ? 3 : 2, K);
    c->dim[1] = model_row_dim(type, 3, K);
    c->dim[2] = c->dim[3] = K;
    struct model_input inputs[2 * N_INPUTS];
    size_t n_inputs = make_inputs(c, inputs);
    static const enum model_side side[] = {SIDE_USER, SIDE_USER, SIDE_USER,
                                           SIDE_ITEM, SIDE_ITEM, SIDE_ITEM};
    struct model_cfg cfg = {.type = type,
                            .bottom = sizes(c, "bottom", memory[2]),
                            .expert_count = number(c, "count"),
                            .expert_own = own,
                            .expert_shared = number(c, "shared"),
                            .expert_levels = number(c, "levels"),
                            .cross_layers = number(c, "cross"),
                            .cross_rank = number(c, "rank"),
                            .user.mlp = sizes(c, "user", memory[5]),
                            .item.mlp = sizes(c, "item", memory[6]),
                            .temperature = line(c, "number", "temperature")->v[0],
                            .experts = sizes(c, "experts", memory[3]),
                            .gates = gate,
                            .towers = tower,
                            .balance = {.kind = balance_of(c)},
                            .steps = sizes(c, "funnel", memory[7]).layers,
                            .aitm_constraint = 0.6,
                            .aitm_stop_gradient = line(c, "number", "stop")->v[0] > 0};
    struct mlp_cfg attention = sizes(c, "attention", memory[4]);
    const struct model_attention seen = {2, 0, attention.layers, attention.activation};
    struct model_spec spec = {.cfg = cfg,
                              .inputs = inputs,
                              .n_inputs = n_inputs,
                              .tasks = tasks,
                              .n_tasks = K,
                              .table_dim = c->dim,
                              .n_tables = c->n_tables,
                              .n_dense = 2,
                              .vector = 3,
                              .seed = SEED,
                              .attention = &seen,
                              .n_attention = attention.layers.n > 0,
                              .side = side};
    if (spec.n_attention > 0) inputs[2].pool = POOL_ATTENTION;
    if (model_create(&spec, &c->model, &err) != ST_OK) fail_msg("%s", err.text);
}

static void load_params(struct golden_case *c)
{
    size_t n, lines = 0;
    const struct model_tensor *list = model_tensors(c->model, &n);
    memset(c->params, 0, model_n_params(c->model) * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        const struct golden_line *l = line(c, "param", list[i].name);
        assert_int_equal(l->n, list[i].rows * list[i].cols);
        for (size_t r = 0; r < list[i].rows; r++)
            floats(l, r * list[i].cols, list[i].cols,
                   c->params + list[i].offset + r * list[i].stride);
    }
    for (size_t i = c->at + 1;
         i < c->file->n && strcmp(c->file->lines[i].key, "case") != 0; i++)
        lines += strcmp(c->file->lines[i].key, "param") == 0;
    assert_int_equal(lines, n); /* neither side has a tensor that the other lacks */
    for (size_t t = 0; t < c->n_tables; t++) {
        const struct golden_line *l = line(c, "table", table_names[t]);
        floats(l, 0, l->n, c->table[t]);
    }
}

/* Balanced cases: a step in which pcgrad takes the tasks in the generator's order at
 * every level, for a batch from this row on. */
static uint64_t ascending_step(const struct golden_case *c, uint64_t row)
{
    static const uint32_t want[K * (K - 1)] = {1, 2, 0, 2, 0, 1};
    size_t levels = number(c, "levels");
    for (uint64_t step = 0; step < 100000; step++) {
        bool fits = true;
        for (size_t place = 0; place < (levels > 0 ? levels : 1) && fits; place++) {
            uint32_t order[K * (K - 1)];
            balance_order(SEED, step, row, place, K, order);
            fits = memcmp(order, want, sizeof want) == 0;
        }
        if (fits) return step;
    }
    fail_msg("no step");
    return 0;
}

static void weigh(struct golden_case *c)
{
    double weight[K];
    if (balance_of(c) != BALANCE_DWA) return;
    balance_dwa(K, golden_find(c->file, 0, "dwa", "last")->v,
                golden_find(c->file, 0, "dwa", "before")->v,
                golden_find(c->file, 0, "dwa", "temperature")->v[0], weight);
    model_work_weigh(c->work, weight);
}

static void case_open(const struct golden_file *f, size_t at, bool project,
                      struct golden_case *c)
{
    struct error err;
    size_t distinct[N_IDS] = {5, 5, 5, 5}, occurrences[N_IDS] = {24, 24, 24, 24};
    struct model_caps caps = {B, distinct, occurrences};
    memset(c, 0, sizeof *c);
    c->file = f;
    c->at = at;
    c->project = project;
    make_model(c);
    c->params = malloc(model_n_params(c->model) * sizeof(float));
    c->grad = malloc(model_n_params(c->model) * sizeof(float));
    assert_int_equal(model_work_create(c->model, &caps, &c->work, &err), ST_OK);
    load_params(c);
    weigh(c);
}

static void case_close(struct golden_case *c)
{
    model_work_destroy(c->work);
    model_destroy(c->model);
    free(c->params);
    free(c->grad);
}

/* The tables' rows as the part's distinct ids see them. */
static struct model_rows rows_of(const struct golden_case *c, const struct part *p,
                                 const float **rows, const uint32_t **place)
{
    for (size_t t = 0; t < N_TABLES; t++) {
        rows[t] = c->table[t];
        place[t] = p->codes[t];
    }
    return (struct model_rows){.rows = rows, .place = place};
}

static void step(struct golden_case *c, struct part *p, double *loss)
{
    if (balance_of(c) != BALANCE_FIXED)
        p->batch.step = ascending_step(c, p->batch.row[0]);
    const float *rows[N_TABLES];
    const uint32_t *place[N_TABLES];
    float *row_grad[N_TABLES];
    struct model_rows r = rows_of(c, p, rows, place);
    for (size_t t = 0; t < N_TABLES; t++) row_grad[t] = c->row_grad[t];
    assert_true(model_step(c->model, c->params, &p->batch, &r, scale, c->work, c->grad,
                           row_grad, loss));
}

/* ---- comparing ---- */

static void expect(const struct golden_line *l, size_t i, double got, double tolerance)
{
    if (fabs(got - l->v[i]) <= tolerance * (1 + fabs(l->v[i]))) return;
    fail_msg("%s %s [%zu]: %.9g, expected %.9g", l->key, l->name, i, got, l->v[i]);
}

static void expect_tensors(const struct golden_case *c, const char *key, const float *v,
                           double tolerance)
{
    size_t n;
    const struct model_tensor *list = model_tensors(c->model, &n);
    for (size_t i = 0; i < n; i++) {
        const struct golden_line *l = line(c, key, list[i].name);
        for (size_t j = 0; j < l->n; j++) {
            size_t at = j / list[i].cols * list[i].stride + j % list[i].cols;
            expect(l, j, (double)v[list[i].offset + at], tolerance);
        }
    }
}

static void check_logits(const struct golden_case *c, const struct part *p)
{
    float z[B * K];
    struct infer *f;
    struct infer_work *w;
    struct error err;
    const float *tables[N_TABLES];
    const uint32_t *place[N_TABLES];
    struct model_rows rows = rows_of(c, p, tables, place);
    const struct golden_line *l = line(c, "logits", NULL);
    model_forward_reference(c->model, c->params, &p->batch, &rows, z);
    for (size_t i = 0; i < l->n; i++) expect(l, i, (double)z[i], TOLERANCE);
    assert_int_equal(infer_create(c->model, c->params, &f, &err), ST_OK);
    assert_int_equal(infer_work_create(f, B, &w, &err), ST_OK);
    infer_forward(f, &p->batch, &rows, w, z);
    for (size_t i = 0; i < l->n; i++) expect(l, i, (double)z[i], TOLERANCE);
    infer_work_destroy(w);
    infer_destroy(f);
}

static void check_step(struct golden_case *c)
{
    struct part p;
    double loss[K];
    part_make(c->file, 0, B, &p);
    check_logits(c, &p);
    step(c, &p, loss);
    for (size_t k = 0; k < K; k++) expect(line(c, "loss", NULL), k, loss[k], TOLERANCE);
    expect_tensors(c, "grad", c->grad, TOLERANCE);
    for (size_t t = 0; t < c->n_tables; t++)
        for (size_t u = 0; u < p.tables[t].n; u++)
            for (size_t j = 0; j < c->dim[t]; j++)
                expect(line(c, "row_grad", table_names[t]),
                       p.codes[t][u] * c->dim[t] + j,
                       (double)c->row_grad[t][u * c->dim[t] + j], TOLERANCE);
}

/* ---- three steps ---- */

struct run {
    const char *name;
    struct optimizer_cfg dense, rows;
};
#define SGD(rate)                                                                        \
    {                                                                                    \
        .kind = OPT_SGD, .lr = rate                                                      \
    }
#define ADAGRAD(rate)                                                                    \
    {                                                                                    \
        .kind = OPT_ADAGRAD, .lr = rate, .initial_accumulator = 0.01, .eps = 1e-10       \
    }
#define ADAM(rate, decay)                                                                \
    {                                                                                    \
        .kind = OPT_ADAM, .lr = rate, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,         \
        .weight_decay = decay                                                            \
    }

#define FTRL(rate)                                                                       \
    {                                                                                    \
        .kind = OPT_FTRL, .lr = rate, .beta = 0.4, .l1 = 0.5, .l2 = 0.5                  \
    }

static const struct run runs[] = {
    {"sgd", SGD(0.05), SGD(0.1)},
    {"adagrad", ADAGRAD(0.05), ADAGRAD(0.1)},
    {"rowwise_adagrad",
     ADAM(0.05, 0.1),
     {.kind = OPT_ROWWISE_ADAGRAD, .lr = 0.1, .initial_accumulator = 0.01, .eps = 1e-10}},
    {"adam", ADAM(0.05, 0), ADAM(0.1, 0)},
    {"ftrl", FTRL(0.05), FTRL(0.1)},
};

struct optimizer_state {
    float *slot[OPTIM_MAX_SLOTS]; /* [P] of the dense part */
    float *decay;                 /* [P] */
    float rows[N_TABLES][MOST_IDS][OPTIM_MAX_SLOTS * K];
};

static void state_create(const struct golden_case *c, const struct run *r,
                         struct optimizer_state *s)
{
    size_t n = model_n_params(c->model);
    uint8_t *mask = malloc(n);
    s->decay = malloc(n * sizeof(float));
    model_decay_mask(c->model, mask);
    for (size_t i = 0; i < n; i++) s->decay[i] = mask[i];
    for (size_t j = 0; j < OPTIM_MAX_SLOTS; j++) {
        s->slot[j] = malloc(n * sizeof(float));
        for (size_t i = 0; i < n; i++) s->slot[j][i] = optim_initial_state(&r->dense);
    }
    for (size_t t = 0; t < N_TABLES; t++)
        for (size_t u = 0; u < MOST_IDS; u++)
            for (size_t i = 0; i < OPTIM_MAX_SLOTS * K; i++)
                s->rows[t][u][i] = optim_initial_state(&r->rows);
    free(mask);
}

static void apply(struct golden_case *c, const struct run *r, const struct part *p,
                  uint64_t t, struct optimizer_state *s)
{
    struct optim dense = optim_make(&r->dense, r->dense.lr, t);
    struct optim rows = optim_make(&r->rows, r->rows.lr, t);
    optim_dense(&dense, model_n_params(c->model), c->grad, c->params, s->slot, s->decay);
    for (size_t i = 0; i < c->n_tables; i++)
        for (size_t u = 0; u < p->tables[i].n; u++) {
            size_t id = p->codes[i][u], dim = c->dim[i];
            float *g = c->row_grad[i] + u * dim;
            optim_add_l2((float)line(c, "number", "l2")->v[0], dim, g,
                         c->table[i] + id * dim, g);
            optim_row(&rows, dim, g, c->table[i] + id * dim, s->rows[i][id]);
        }
}

static void check_run(struct golden_case *c, const struct run *r)
{
    static const size_t first[N_STEPS] = {0, 0, 2}, end[N_STEPS] = {6, 3, 6};
    struct optimizer_state s;
    double loss[K];
    char key[64];
    load_params(c);
    state_create(c, r, &s);
    for (size_t i = 0; i < N_STEPS; i++) {
        struct part p;
        part_make(c->file, first[i], end[i], &p);
        p.batch.step = i;
        step(c, &p, loss);
        apply(c, r, &p, i + 1, &s);
    }
    snprintf(key, sizeof key, "after_%s", r->name);
    expect_tensors(c, key, c->params, TOLERANCE_AFTER);
    snprintf(key, sizeof key, "rows_after_%s", r->name);
    for (size_t t = 0; t < c->n_tables; t++) {
        const struct golden_line *l = line(c, key, table_names[t]);
        for (size_t i = 0; i < l->n; i++)
            expect(l, i, (double)c->table[t][i], TOLERANCE_AFTER);
    }
    for (size_t j = 0; j < OPTIM_MAX_SLOTS; j++) free(s.slot[j]);
    free(s.decay);
}

/* ---- tests ---- */

static struct golden_file file;

static size_t find_case(const char *name)
{
    for (size_t i = 0; i < file.n; i++)
        if (strcmp(file.lines[i].key, "case") == 0 &&
            strcmp(file.lines[i].name, name) == 0)
            return i;
    fail_msg("no case %s", name);
    return 0;
}

static void check_case(const char *name)
{
    for (int project = 0; project < 2; project++) {
        struct golden_case c;
        case_open(&file, find_case(name), project, &c);
        check_step(&c);
        bool all = balance_of(&c) == BALANCE_FIXED; /* else the first run alone */
        for (size_t i = 0; i < (all ? sizeof runs / sizeof runs[0] : 1); i++)
            check_run(&c, &runs[i]);
        case_close(&c);
    }
}

/* In the order of the file. */
#define GOLDEN_CASES(X)                                                                  \
    X(lr) X(dnn) X(share_bottom) X(omoe) X(mmoe) X(mmoe_gate_mlp) X(fm) X(wide_deep)     \
    X(deepfm) X(deepfm_cross) X(cgc) X(ple) X(mmoe_norm) X(dropout) X(l2)                \
    X(attention) X(own_parts) X(dnn_cross) X(cgc_cross_rank) X(uncertainty) X(dwa)       \
    X(pcgrad_share_bottom) X(pcgrad_omoe) X(pcgrad_mmoe) X(pcgrad_cgc) X(pcgrad_ple)     \
    X(mgda_share_bottom) X(mgda_omoe) X(mgda_mmoe) X(mgda_cgc) X(mgda_ple)               \
    X(two_tower) X(two_tower_cross) X(esmm) X(aitm) X(aitm_stop_gradient)                \
    X(esmm_uncertainty)

#define GOLDEN(name)                                                                     \
    static void test_##name(void **state)                                                \
    {                                                                                    \
        (void)state;                                                                     \
        check_case(#name);                                                               \
    }
GOLDEN_CASES(GOLDEN)

/* No case of the file is left out. */
static void every_case_is_checked(void **state)
{
#define NAME(name) #name,
    static const char *const checked[] = {GOLDEN_CASES(NAME)};
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < file.n; i++) {
        if (strcmp(file.lines[i].key, "case") != 0) continue;
        assert_true(n < sizeof checked / sizeof *checked);
        assert_string_equal(checked[n++], file.lines[i].name);
    }
    assert_int_equal(n, sizeof checked / sizeof *checked);
}

/* The generator was fed the masks that the model uses: layers by name, steps, rows. */
static void masks_are_the_models(void **state)
{
    static const char *const units[] = {"bottom", "bottom", "tower/click", "tower/finish",
                                        "tower/time"};
    static const size_t layer[] = {0, 1, 0, 0, 0};
    (void)state;
    for (size_t i = 0; i < 5; i++)
        for (uint64_t step = 0; step < N_STEPS; step++) {
            char name[64];
            snprintf(name, sizeof name, "%s/layer%zu/%d", units[i], layer[i], (int)step);
            const struct golden_line *l = golden_find(&file, 0, "mask", name);
            struct dropout d = dropout_make(0.25, units[i], layer[i]);
            for (uint64_t r = 0; r < B; r++) {
                uint64_t key;
                size_t n = l->n / B;
                dropout_keys(SEED, step, 1, &r, &key);
                for (size_t j = 0; j < n; j++)
                    assert_int_equal(l->v[r * n + j], dropout_keeps(&d, key, j));
            }
        }
}

static int setup(void **state)
{
    struct error err;
    (void)state;
    golden_open(&file, "tests/golden/golden.txt");
    return blas_setup(&err) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    golden_close(&file);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_##name),
    const struct CMUnitTest tests[] = {
        GOLDEN_CASES(TEST) cmocka_unit_test(every_case_is_checked),
        cmocka_unit_test(masks_are_the_models),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
