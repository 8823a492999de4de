/* The inference forward: right, and a function of the row and the parameters alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/math/vec.h"
#include "tests/unit/test_model_toy.h"

enum { ROWS = 300, MOST_TASKS = 4 };

static const struct toy_cfg every_type[] = {
    {.type = MODEL_LR, .n_rows = ROWS, .n_tasks = 2, .seed = 4},
    {.type = MODEL_DNN, .n_rows = ROWS, .n_tasks = 2, .seed = 4, .bottom = {5, 3}},
    {.type = MODEL_SHARE_BOTTOM,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 4,
     .bottom = {11},
     .towers = {4},
     .act = ACT_TANH},
    {.type = MODEL_DNN, .n_rows = ROWS, .n_tasks = 2, .seed = 4},
    {.type = MODEL_SHARE_BOTTOM, .n_rows = ROWS, .n_tasks = 2, .seed = 4, .towers = {4}},
    {.type = MODEL_OMOE,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 4,
     .count = 3,
     .experts = {5},
     .towers = {4},
     .act = ACT_SILU},
    {.type = MODEL_MMOE,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 4,
     .count = 5,
     .experts = {9, 6},
     .gates = {3},
     .towers = {4},
     .act = ACT_GELU},
    {.type = MODEL_CGC,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 4,
     .own = 2,
     .shared = 1,
     .experts = {5},
     .towers = {4}},
    {.type = MODEL_PLE,
     .n_rows = ROWS,
     .n_tasks = 3,
     .seed = 4,
     .own = 2,
     .shared = 2,
     .levels = 2,
     .experts = {5},
     .towers = {4, 3}},
    {.type = MODEL_ESMM,
     .n_rows = ROWS,
     .n_tasks = 3,
     .seed = 4,
     .towers = {5, 4},
     .funnel = {2, 0},
     .n_funnel = 2},
    {.type = MODEL_AITM,
     .n_rows = ROWS,
     .n_tasks = 4,
     .seed = 4,
     .bottom = {7},
     .towers = {5},
     .funnel = {1, 0, 2},
     .n_funnel = 3},
    {.type = MODEL_LR, .n_rows = ROWS, .n_tasks = 2, .seed = 5, .wide = true},
    {.type = MODEL_FM, .n_rows = ROWS, .n_tasks = 2, .seed = 5, .wide = true},
    {.type = MODEL_WIDE_DEEP,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 5,
     .bottom = {5},
     .wide = true},
    {.type = MODEL_FM, .n_rows = ROWS, .n_tasks = 1, .seed = 5},
    {.type = MODEL_DEEPFM, .n_rows = ROWS, .n_tasks = 2, .seed = 6, .bottom = {4}, .cross = 1},
    {.type = MODEL_DEEPFM,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 5,
     .bottom = {5, 3},
     .act = ACT_GELU,
     .wide = true},
    {.type = MODEL_CGC,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 5,
     .own = 1,
     .shared = 1,
     .experts = {4},
     .wide = true},
    {.type = MODEL_PLE,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 6,
     .own = 1,
     .shared = 1,
     .levels = 2,
     .experts = {5, 19},
     .gates = {3},
     .towers = {4},
     .norm = NORM_LAYER},
    {.type = MODEL_MMOE,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 8,
     .count = 2,
     .experts = {5},
     .towers = {4},
     .attends = true,
     .attention = {9, 4}},
    {.type = MODEL_DNN,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 6,
     .bottom = {5},
     .cross = 2},
    {.type = MODEL_MMOE,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 6,
     .count = 3,
     .experts = {5},
     .towers = {4},
     .cross = 3,
     .rank = 3},
    {.type = MODEL_CGC,
     .n_rows = ROWS,
     .n_tasks = 4,
     .seed = 9,
     .shared = 2,
     .experts = {5},
     .own_towers = true},
    {.type = MODEL_SHARE_BOTTOM,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 10,
     .bottom = {5},
     .cross = 1,
     .attends = true,
     .attention = {3}},
    {.type = MODEL_TWO_TOWER,
     .n_rows = ROWS,
     .n_tasks = 2,
     .seed = 7,
     .user = {5, 9},
     .item = {9},
     .act = ACT_GELU,
     .cross = 1},
    {.type = MODEL_TWO_TOWER,
     .n_rows = ROWS,
     .n_tasks = 3,
     .seed = 7,
     .user = {4, 8},
     .item = {6, 5, 8},
     .attends = true,
     .attention = {3}},
};
enum { N_TYPES = sizeof every_type / sizeof every_type[0] };

static void infer(const struct toy *t, const struct batch *b,
                  const struct model_rows *rows, float *out)
{
    struct infer *f;
    struct infer_work *w;
    struct error err;
    assert_int_equal(infer_create(t->model, t->params, &f, &err), ST_OK);
    assert_int_equal(infer_work_create(f, b->n_rows, &w, &err), ST_OK);
    infer_forward(f, b, rows, w, out);
    infer_work_destroy(w);
    infer_destroy(f);
}

/* Logits agree with the plain reference; float sums of some dozen terms carry 1e-6. */
static void test_infer_agrees_with_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        static float got[ROWS * MOST_TASKS], want[ROWS * MOST_TASKS];
        struct toy t;
        toy_create(&t, &every_type[i]);
        toy_randomise(&t);
        infer(&t, &t.batch, &t.rows, got);
        model_forward_reference(t.model, t.params, &t.batch, &t.rows, want);
        for (size_t j = 0; j < ROWS * t.cfg.n_tasks; j++)
            assert_true(fabsf(got[j] - want[j]) < 1e-5f * (1 + fabsf(want[j])));
        toy_destroy(&t);
    }
}

/* A row alone, in parts of 7, of 129 and among all others: the same bits. */
static void test_infer_bits_do_not_depend_on_neighbours(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 129};
    for (size_t i = 0; i < N_TYPES; i++) {
        static float all[ROWS * MOST_TASKS], some[ROWS * MOST_TASKS];
        struct toy t;
        toy_create(&t, &every_type[i]);
        toy_randomise(&t);
        size_t K = t.cfg.n_tasks;
        infer(&t, &t.batch, &t.rows, all);
        for (size_t s = 0; s < 3; s++)
            for (size_t first = 0; first < ROWS; first += sizes[s] * (s == 0 ? 37 : 1)) {
                size_t n = ROWS - first < sizes[s] ? ROWS - first : sizes[s];
                struct toy_part p;
                toy_part_create(&t, first, n, &p);
                infer(&t, &p.batch, &p.rows, some);
                assert_memory_equal(some, all + first * K, n * K * sizeof(float));
                toy_part_destroy(&p);
            }
        toy_destroy(&t);
    }
}

/* Features are added in order of name, whatever order the configuration has. */
static void test_infer_bits_do_not_depend_on_feature_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        static float one[ROWS * MOST_TASKS], other[ROWS * MOST_TASKS];
        struct toy a, b;
        struct toy_cfg c = every_type[i];
        toy_create(&a, &c);
        c.rotate = 3;
        toy_create(&b, &c);
        infer(&a, &a.batch, &a.rows, one);
        infer(&b, &b.batch, &b.rows, other);
        assert_memory_equal(one, other, ROWS * c.n_tasks * sizeof(float));
        toy_destroy(&a);
        toy_destroy(&b);
    }
}

/* Copies every tensor of `from` that `to` has too; the others of `to` become 0. */
static void copy_params(struct toy *to, const struct toy *from)
{
    size_t n;
    const struct model_tensor *list = model_tensors(to->model, &n);
    memset(to->params, 0, to->n_params * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        const struct model_tensor *x = toy_tensor(from, list[i].name);
        for (size_t r = 0; x != NULL && r < x->rows; r++)
            memcpy(to->params + list[i].offset + r * list[i].stride,
                   from->params + x->offset + r * x->stride, x->cols * sizeof(float));
    }
}

static void check_new_feature(struct toy_cfg c)
{
    static float before[ROWS * MOST_TASKS], after[ROWS * MOST_TASKS];
    struct toy old, new;
    c.n_inputs = 4;
    toy_create(&old, &c);
    c.n_inputs =
        0; /* adds a_shared, list_mean, list_sqrtn: names before, between, after */
    toy_create(&new, &c);
    copy_params(&new, &old);
    infer(&old, &old.batch, &old.rows, before);
    infer(&new, &new.batch, &new.rows, after);
    assert_memory_equal(before, after, ROWS * c.n_tasks * sizeof(float));
    toy_destroy(&new);
    toy_destroy(&old);
}

/* A new feature whose weights are 0 leaves every logit's bits, also through cross layers
 * of either form (but its vector is a factor of deepfm's products). */
static void test_infer_new_feature_with_zero_weights_changes_nothing(void **state)
{
    (void)state;
    check_new_feature(every_type[4]);
    for (size_t i = 0; i < N_TYPES; i++)
        if (every_type[i].cross > 0 && !every_type[i].attends &&
            every_type[i].type != MODEL_DEEPFM)
            check_new_feature(every_type[i]);
}

/* A new task with its gate, experts and tower leaves the old tasks' bits in the last
 * level. */
static void test_infer_new_task_leaves_the_others(void **state)
{
    (void)state;
    for (size_t i = 4; i < 6; i++) {
        static float before[ROWS * MOST_TASKS], after[ROWS * MOST_TASKS];
        struct toy_cfg c = every_type[i];
        struct toy old, new;
        toy_create(&old, &c);
        c.n_tasks = 3;
        toy_create(&new, &c);
        infer(&old, &old.batch, &old.rows, before);
        infer(&new, &new.batch, &new.rows, after);
        for (size_t r = 0; r < ROWS; r++)
            assert_memory_equal(before + 2 * r, after + 3 * r, 2 * sizeof(float));
        toy_destroy(&new);
        toy_destroy(&old);
    }
}

/* Dropout is a matter of training: scoring has the bits of a model without it. */
static void test_infer_leaves_dropout_out(void **state)
{
    (void)state;
    static float with[ROWS * MOST_TASKS], without[ROWS * MOST_TASKS];
    struct toy a, b;
    struct toy_cfg c = every_type[8];
    toy_create(&a, &c);
    c.dropout = 0.5;
    toy_create(&b, &c);
    infer(&a, &a.batch, &a.rows, without);
    infer(&b, &b.batch, &b.rows, with);
    assert_memory_equal(with, without, ROWS * c.n_tasks * sizeof(float));
    assert_true(toy_step(&a) && toy_step(&b));
    assert_true(a.loss[0] != b.loss[0]);
    toy_destroy(&a);
    toy_destroy(&b);
}

static void vectors(const struct toy *t, const struct batch *b, enum model_side side,
                    float *out)
{
    struct infer *f;
    struct infer_work *w;
    struct error err;
    assert_int_equal(infer_create(t->model, t->params, &f, &err), ST_OK);
    assert_int_equal(infer_work_create(f, b->n_rows, &w, &err), ST_OK);
    infer_vectors(f, b, &t->rows, side, w, out);
    infer_work_destroy(w);
    infer_destroy(f);
}

/* Vectors have length 1, and their products by task, over the temperature, plus the bias
 * are the logits, bit for bit. */
static void test_vectors_give_the_logits(void **state)
{
    (void)state;
    for (size_t i = N_TYPES - 2; i < N_TYPES; i++) {
        static float z[ROWS * 3], user[ROWS * 3 * 9], item[ROWS * 3 * 9];
        struct toy t;
        toy_create(&t, &every_type[i]);
        toy_randomise(&t);
        size_t K = t.cfg.n_tasks, width = model_vector_width(t.model);
        float inverse = (float)(1 / t.spec.cfg.temperature);
        infer(&t, &t.batch, &t.rows, z);
        vectors(&t, &t.batch, SIDE_USER, user);
        vectors(&t, &t.batch, SIDE_ITEM, item);
        for (size_t j = 0; j < ROWS * K; j++) {
            const float *u = user + j * width, *v = item + j * width;
            char name[32];
            snprintf(name, sizeof name, "match/task%zu/b", j % K);
            float bias = t.params[toy_tensor(&t, name)->offset];
            assert_true(z[j] == vec_dot(width, u, v) * inverse + bias);
            assert_true(fabsf(vec_dot(width, u, u) - 1) < 1e-5f);
        }
        toy_destroy(&t);
    }
}

/* A side's vectors do not change with the features of the other side. */
static void test_vectors_see_their_own_side_alone(void **state)
{
    (void)state;
    static float user[ROWS * 2 * 9], item[ROWS * 2 * 9], other[ROWS * 2 * 9];
    static uint32_t levels[ROWS];
    const uint32_t *one_hot[] = {levels};
    struct toy t;
    toy_create(&t, &every_type[N_TYPES - 2]);
    struct batch b = t.batch;
    for (size_t r = 0; r < ROWS; r++) levels[r] = b.one_hot[0][r] == 0;
    b.one_hot = one_hot; /* level is on the item's side */
    vectors(&t, &t.batch, SIDE_USER, user);
    vectors(&t, &b, SIDE_USER, other);
    assert_memory_equal(user, other, sizeof user);
    vectors(&t, &t.batch, SIDE_ITEM, item);
    vectors(&t, &b, SIDE_ITEM, other);
    assert_memory_not_equal(item, other, sizeof item);
    toy_destroy(&t);
}

/* A row without any known input has a vector of zeros, not one of noise or NaN. */
static void test_vectors_of_nothing_are_zero(void **state)
{
    (void)state;
    static float user[ROWS * 2 * 9], z[ROWS * 2];
    struct toy t;
    toy_create(&t, &every_type[N_TYPES - 2]);
    size_t n;
    const struct model_tensor *list = model_tensors(t.model, &n);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < list[i].rows && strncmp(list[i].name, "user/", 5) == 0;
             r++)
            memset(t.params + list[i].offset + r * list[i].stride, 0,
                   list[i].cols * sizeof(float));
    vectors(&t, &t.batch, SIDE_USER, user);
    for (size_t i = 0; i < ROWS * 2 * 9; i++) assert_true(user[i] == 0);
    infer(&t, &t.batch, &t.rows, z);
    for (size_t i = 0; i < ROWS * 2; i++) assert_true(z[i] == (float)t.tasks[i % 2].base);
    assert_true(toy_step(&t)); /* gradients are finite */
    toy_destroy(&t);
}

/* Parameters are copied: a change shows after infer_create alone. */
static void test_infer_keeps_its_own_parameters(void **state)
{
    (void)state;
    static float before[ROWS * MOST_TASKS], after[ROWS * MOST_TASKS];
    struct toy t;
    struct infer *f;
    struct infer_work *w;
    struct error err;
    toy_create(&t, &every_type[2]);
    assert_int_equal(infer_create(t.model, t.params, &f, &err), ST_OK);
    assert_int_equal(infer_work_create(f, 16, &w, &err), ST_OK);
    infer_forward(f, &t.batch, &t.rows, w, before);
    memset(t.params, 0, t.n_params * sizeof(float));
    infer_forward(f, &t.batch, &t.rows, w, after);
    assert_memory_equal(before, after, ROWS * 2 * sizeof(float));
    infer_work_destroy(w);
    infer_destroy(f);
    toy_destroy(&t);
}

/* Scoring allocates nothing, and no rows are allowed. */
static void test_infer_forward_does_not_allocate(void **state)
{
    (void)state;
    static float out[ROWS * MOST_TASKS];
    struct toy t;
    struct infer *f;
    struct infer_work *w;
    struct error err;
    toy_create(&t, &every_type[6]);
    assert_int_equal(infer_create(t.model, t.params, &f, &err), ST_OK);
    assert_int_equal(infer_work_create(f, ROWS, &w, &err), ST_OK);
    uint64_t calls = mem_calls();
    infer_forward(f, &t.batch, &t.rows, w, out);
    struct batch none = t.batch;
    none.n_rows = 0;
    infer_forward(f, &none, &t.rows, w, out);
    assert_int_equal(mem_calls(), calls);
    infer_work_destroy(w);
    infer_destroy(f);
    toy_destroy(&t);
}

/* bce shows a probability, other losses the value itself. */
static void test_link_is_sigmoid_for_binary_tasks(void **state)
{
    (void)state;
    struct toy t;
    struct toy_cfg c = {.type = MODEL_LR, .n_rows = 1, .n_tasks = 1, .seed = 1};
    toy_create(&t, &c);
    assert_true(model_link(t.model, 0, 0) == 0.5f);
    assert_true(fabsf(model_link(t.model, 0, 2) - 0.880797f) < 1e-6f);
    toy_destroy(&t);
    c.loss = LOSS_MSE;
    toy_create(&t, &c);
    assert_true(model_link(t.model, 0, 2.5f) == 2.5f);
    toy_destroy(&t);
}

/* The same with every row of ids projected first; false when the model has none. */
static bool infer_with_projected(const struct toy *t, const struct batch *b,
                                 const struct model_rows *rows, float *out)
{
    struct infer *f;
    struct infer_work *w;
    struct error err;
    struct infer_projected projected[TOY_INPUTS + TOY_WIDE] = {0};
    void *memory[2 * (TOY_INPUTS + TOY_WIDE)];
    size_t n_memory = 0, n_projected = 0;
    assert_int_equal(infer_create(t->model, t->params, &f, &err), ST_OK);
    assert_int_equal(infer_work_create(f, b->n_rows, &w, &err), ST_OK);
    size_t width = infer_projected_width(f);
    for (size_t i = 0; i < t->spec.n_inputs; i++) {
        if (!infer_projects(f, i)) continue;
        const struct model_input *in = &t->spec.inputs[i];
        const struct batch_id *ids = &b->ids[in->place];
        float *floats = memory[n_memory++] = mem_array(ids->n * width + 1, sizeof *floats);
        const float **occurrences = memory[n_memory++] = mem_array(ids->n + 1, sizeof *occurrences);
        for (size_t o = 0; o < ids->n; o++) {
            size_t u = ids->row[ids->idx[o]];
            size_t at = rows->place[in->table] ? rows->place[in->table][u] : u;
            infer_project(f, i, rows->rows[in->table] + at * in->width, floats + o * width);
            occurrences[o] = floats + o * width;
        }
        projected[i] = (struct infer_projected){occurrences, i % 2};
        n_projected++;
    }
    if (n_projected) infer_forward_projected(f, b, rows, projected, w, out);
    while (n_memory) mem_free(memory[--n_memory]);
    infer_work_destroy(w);
    infer_destroy(f);
    return n_projected > 0;
}

/* Sums of projected rows give the logits within 1e-6 of their size, and a row's bits are
 * its own. Models without such a layer say so. */
static void test_projected_rows_give_nearly_the_same(void **state)
{
    (void)state;
    size_t n_projected = 0;
    for (size_t i = 0; i < N_TYPES; i++) {
        static float got[ROWS * MOST_TASKS], want[ROWS * MOST_TASKS], one[MOST_TASKS];
        struct toy t;
        toy_create(&t, &every_type[i]);
        toy_randomise(&t);
        size_t K = t.cfg.n_tasks;
        bool has = infer_with_projected(&t, &t.batch, &t.rows, got);
        bool may = t.cfg.type != MODEL_LR && !t.cfg.cross && !t.cfg.attends;
        if (!may) assert_false(has);
        n_projected += has;
        if (has) infer(&t, &t.batch, &t.rows, want);
        for (size_t j = 0; has && j < ROWS * K; j++)
            assert_true(fabsf(got[j] - want[j]) <= 1e-6f * (4 + fabsf(want[j])));
        for (size_t r = 0; has && r < ROWS; r += 41) {
            struct toy_part p;
            toy_part_create(&t, r, 1, &p);
            assert_true(infer_with_projected(&t, &p.batch, &p.rows, one));
            assert_memory_equal(one, got + r * K, K * sizeof *one);
            toy_part_destroy(&p);
        }
        toy_destroy(&t);
    }
    assert_true(n_projected >= 8);
}

/* Lists longer than what is added together are sums all the same, wherever they are cut. */
static void test_projected_lists_may_be_long(void **state)
{
    (void)state;
    enum { LONG = 7001, LISTS = 4 };
    static uint32_t idx[LISTS * LONG];
    static float got[LISTS * MOST_TASKS], want[LISTS * MOST_TASKS];
    static const uint32_t off[LISTS + 1] = {0, LONG, LONG, LONG + 1, 3 * LONG};
    struct toy t;
    struct toy_part p;
    toy_create(&t, &every_type[1]);
    toy_randomise(&t);
    toy_part_create(&t, 0, LISTS, &p);
    size_t K = t.cfg.n_tasks, n_changed = 0;
    struct batch_id ids[TOY_IDS];
    memcpy(ids, p.batch.ids, p.batch.n_ids * sizeof *ids);
    for (size_t i = 0; i < t.spec.n_inputs; i++) {
        const struct model_input *in = &t.spec.inputs[i];
        if (in->kind != INPUT_ID || !ids[in->place].off || in->pool == POOL_SUM) continue;
        for (size_t o = 0; o < LISTS * LONG; o++) idx[o] = (uint32_t)(o * 7 % ids[in->place].n_distinct);
        ids[in->place].off = off;
        ids[in->place].idx = idx;
        ids[in->place].n = off[LISTS];
        n_changed++;
    }
    assert_true(n_changed > 0);
    struct batch b = p.batch;
    b.ids = ids;
    assert_true(infer_with_projected(&t, &b, &p.rows, got));
    infer(&t, &b, &p.rows, want);
    for (size_t j = 0; j < LISTS * K; j++) assert_true(fabsf(got[j] - want[j]) <= 1e-4f * (4 + fabsf(want[j])));
    toy_part_destroy(&p);
    toy_destroy(&t);
}

/* Rows may lie anywhere: the same bits. */
static void test_rows_by_their_addresses_give_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        static float got[ROWS * MOST_TASKS], want[ROWS * MOST_TASKS];
        const float *const *at[TOY_TABLES];
        const float *nothing[TOY_TABLES] = {0};
        void *memory[TOY_TABLES];
        struct toy t;
        toy_create(&t, &every_type[i]);
        toy_randomise(&t);
        for (size_t k = 0; k < TOY_TABLES; k++) {
            const float **v = memory[k] = mem_array(t.batch.tables[k].n + 1, sizeof *v);
            for (size_t u = 0; u < t.batch.tables[k].n; u++)
                v[u] = t.rows.rows[k] + t.rows.place[k][u] * t.table_dim[k];
            at[k] = v;
        }
        struct model_rows rows = {nothing, NULL, at};
        infer(&t, &t.batch, &t.rows, want);
        infer(&t, &t.batch, &rows, got);
        assert_memory_equal(got, want, ROWS * t.cfg.n_tasks * sizeof *got);
        for (size_t k = 0; k < TOY_TABLES; k++) mem_free(memory[k]);
        toy_destroy(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_infer_agrees_with_the_reference),
        cmocka_unit_test(test_infer_bits_do_not_depend_on_neighbours),
        cmocka_unit_test(test_infer_bits_do_not_depend_on_feature_order),
        cmocka_unit_test(test_infer_new_feature_with_zero_weights_changes_nothing),
        cmocka_unit_test(test_infer_new_task_leaves_the_others),
        cmocka_unit_test(test_infer_leaves_dropout_out),
        cmocka_unit_test(test_vectors_give_the_logits),
        cmocka_unit_test(test_vectors_see_their_own_side_alone),
        cmocka_unit_test(test_vectors_of_nothing_are_zero),
        cmocka_unit_test(test_infer_keeps_its_own_parameters),
        cmocka_unit_test(test_infer_forward_does_not_allocate),
        cmocka_unit_test(test_projected_rows_give_nearly_the_same),
        cmocka_unit_test(test_projected_lists_may_be_long),
        cmocka_unit_test(test_rows_by_their_addresses_give_the_same_bits),
        cmocka_unit_test(test_link_is_sigmoid_for_binary_tasks),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
