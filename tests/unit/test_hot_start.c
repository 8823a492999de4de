/* worker/hot_start: values and counters that servers get, against the checkpoint's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "ps/server.h"
#include "tests/unit/hot_sample.h"
#include "common/base/threads.h"
#include "worker/dense.h"
#include "worker/rates.h"
#include "worker/trainer.h"

static struct tmpdir dir;
static char *path; /* a checkpoint of the plain sample */

/* A new model, started, with what its server holds. */
struct started {
    struct hot_side_sample side;
    struct hot_start hot;
    struct server *server;
    struct server_port port;
    struct client *client;
    struct train_state state;
    struct dense now, fresh; /* as loaded; as a start from nothing has it */
};

static void make_server(struct started *s)
{
    struct error err;
    const struct session *session = s->side.session;
    struct table_spec tables[8];
    for (size_t t = 0; t < session->tables->n; t++) {
        struct table_cfg cfg = model_tables_cfg(s->side.settings, session->tables->name[t]);
        tables[t] = (struct table_spec){.name = session->tables->name[t],
                                        .dim = session->tables->dim[t],
                                        .init = cfg.init,
                                        .optimizer = cfg.optimizer};
    }
    struct server_spec spec = {.n_servers = 1,
                               .n_workers = 1,
                               .n_lanes = 4,
                               .n_shards = 3,
                               .seed = s->side.settings->seed,
                               .tables = tables,
                               .n_tables = session->tables->n,
                               .n_dense = model_n_params(session->model),
                               .dense_optimizer = s->side.settings->train.optimizer};
    hot_sample_check(server_create(&spec, &s->server, &err), &err);
    s->port = server_port(s->server);
    struct client_spec client = {.n_tables = spec.n_tables,
                                 .dim = session->tables->dim,
                                 .n_dense = spec.n_dense,
                                 .max_parts = 4};
    hot_sample_check(client_create_local(&client, &s->port, &s->client, &err), &err);
}

static void start(struct started *s, const char *const *sets)
{
    struct error err;
    uint64_t step, updates;
    *s = (struct started){0};
    hot_sample_check(hot_start_open(path, &s->hot, &err), &err);
    hot_sample_open(&dir, sets, s->hot.ckpt, &s->side);
    if (s->side.settings->hot_start.statistics == HOT_STATISTICS_FIT) {
        hot_sample_close(&s->side);
        hot_sample_open(&dir, sets, NULL, &s->side);
    }
    hot_sample_check(hot_start_plan(&s->hot, s->side.session, &err), &err);
    hot_sample_check(session_rates(s->side.session, NULL, s->hot.plan, &err), &err);
    make_server(s);
    hot_sample_check(hot_start_load(&s->hot, s->side.session, s->client, &s->state, &err), &err);
    hot_sample_check(dense_make(s->side.session, &s->now, &err), &err);
    hot_sample_check(dense_make(s->side.session, &s->fresh, &err), &err);
    hot_sample_check(client_dense_get(s->client, s->now.params, s->now.slots, &step, &updates, &err), &err);
    assert_true(step == 0 && updates == 0);
    model_init_params(s->side.session->model, s->side.settings->seed, s->fresh.params);
}

static void stop(struct started *s)
{
    dense_close(&s->now);
    dense_close(&s->fresh);
    client_destroy(s->client);
    server_destroy(s->server);
    hot_start_close(&s->hot);
    hot_sample_close(&s->side);
}

/* A tensor of the new model as the server, or a fresh model, has it; and of the checkpoint. */
static struct named_array view(const struct started *s, float *flat, const char *name)
{
    struct named_array views[256], found = {0};
    size_t n;
    model_tensors(s->side.session->model, &n);
    assert_true(n <= 256);
    dense_views(s->side.session->model, flat, views);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(views[i].name, name)) found = views[i];
    if (!found.name) fail_msg("no tensor %s", name);
    return found;
}

static float at(const struct named_array *a, size_t r, size_t j)
{
    return ((const float *)a->data)[r * (a->stride ? a->stride : a->cols) + j];
}

static const struct named_array *saved(const struct started *s, const char *name)
{
    struct error err;
    hot_sample_check(ckpt_read_dense(s->hot.ckpt, NULL, NULL, &err), &err);
    const struct named_array *a = ckpt_find_tensor(s->hot.ckpt, name);
    if (!a) fail_msg("the checkpoint has no %s", name);
    return a;
}

static void equal(const struct named_array *a, const struct named_array *b, double factor)
{
    assert_true(a->rows == b->rows && a->cols == b->cols);
    for (size_t r = 0; r < a->rows; r++)
        for (size_t j = 0; j < a->cols; j++)
            assert_true(at(a, r, j) == (float)factor * at(b, r, j));
}

static bool is_saved(const struct started *s, const char *name)
{
    struct named_array now = view(s, s->now.params, name);
    const struct named_array *old = saved(s, name);
    for (size_t r = 0; r < now.rows; r++)
        for (size_t j = 0; j < now.cols; j++)
            if (at(&now, r, j) != at(old, r, j)) return false;
    return true;
}

static bool is_saved_state(const struct started *s, size_t slot, const char *name)
{
    struct named_array now = view(s, s->now.slots[slot], name);
    const struct named_array *old = saved(s, name);
    for (size_t r = 0; r < now.rows; r++)
        for (size_t j = 0; j < now.cols; j++)
            if (at(&now, r, j) != (float)(2 + slot) * fabsf(at(old, r, j))) return false;
    return true;
}

static void row(const struct started *s, size_t table, uint64_t key, float *out)
{
    struct wire_keys keys[8] = {0};
    float *rows[8] = {out, out, out, out};
    struct error err;
    keys[table] = (struct wire_keys){1, &key};
    hot_sample_check(client_pull(s->client, keys, rows, NULL, &err), &err);
}

static uint64_t n_rows(const struct started *s)
{
    struct digest d;
    uint64_t rows[8], sum = 0;
    struct error err;
    hot_sample_check(client_digest(s->client, &d, rows, &err), &err);
    for (size_t t = 0; t < s->side.session->tables->n; t++) sum += rows[t];
    return sum;
}

#define FROM "hot_start.from=x"
#define ALL FROM, "hot_start.mode=all"
enum { TABLES = 2 };

/* Mode all: values and state are those of the checkpoint, counters begin anew and know the
 * past. */
static void all_is_taken_as_it_is(void **state)
{
    (void)state;
    struct started s;
    float w[4];
    start(&s, SETS(ALL));
    struct named_array now = view(&s, s.now.params, "tower/like/layer0/w");
    equal(&now, saved(&s, "tower/like/layer0/w"), 1);
    assert_true(is_saved_state(&s, 1, "tower/like/layer0/w"));
    for (size_t i = 0; i < HOT_ROWS; i++) {
        row(&s, 1, hot_sample_key(i), w);
        for (size_t j = 0; j < 4; j++) assert_true(w[j] == hot_sample_row(i, j));
    }
    assert_int_equal(n_rows(&s), TABLES * HOT_ROWS);
    assert_true(s.state.step == 0 && s.state.updates == 0);
    assert_int_equal(s.state.past.steps, 100 + HOT_STEP);
    assert_int_equal(s.state.past.sparse_updates, 90 + HOT_UPDATES);
    assert_int_equal(s.state.past.dense_updates, 80 + HOT_UPDATES);
    stop(&s);
}

/* Mode sparse: tensors are a fresh model's, their state too; t starts anew for them alone. */
static void sparse_leaves_tensors_fresh(void **state)
{
    (void)state;
    struct started s;
    start(&s, SETS(FROM));
    assert_memory_equal(s.now.params, s.fresh.params, s.now.n * sizeof(float));
    for (size_t i = 0; i < s.now.n; i++) assert_true(s.now.slots[0][i] == 0);
    assert_int_equal(s.state.past.sparse_updates, 90 + HOT_UPDATES);
    assert_int_equal(s.state.past.dense_updates, 0);
    stop(&s);
    start(&s, SETS(FROM, "hot_start.state.sparse=reset"));
    assert_int_equal(s.state.past.sparse_updates, 0);
    assert_int_equal(s.state.past.steps, 100 + HOT_STEP);
    stop(&s);
}

/* A new expert's column is closed: weights 0, a bias that makes its share 0. */
static void closed_columns_have_no_share(void **state)
{
    (void)state;
    struct started s;
    start(&s, SETS(ALL, "model.experts.own=2"));
    struct named_array b = view(&s, s.now.params, "gate/level0/click/layer0/b");
    struct named_array w = view(&s, s.now.params, "gate/level0/click/layer0/w/user");
    const struct named_array *old_b = saved(&s, "gate/level0/click/layer0/b");
    const struct named_array *old_w = saved(&s, "gate/level0/click/layer0/w/user");
    static const int column[] = {0, HOT_CLOSED, 1, 2};
    for (size_t j = 0; j < 4; j++) {
        bool closed = column[j] == HOT_CLOSED;
        size_t from = closed ? 0 : (size_t)column[j];
        assert_true(at(&b, 0, j) == (closed ? -1e30f : at(old_b, 0, from)));
        for (size_t r = 0; r < w.rows; r++)
            assert_true(at(&w, r, j) == (closed ? 0 : at(old_w, r, from)));
    }
    stop(&s);
}

/* Padding: old inputs and outputs as they were, no weight from new inputs to old outputs,
 * new outputs and dimensions fresh. */
static void padding_keeps_the_old_part(void **state)
{
    (void)state;
    struct started s;
    float w[6];
    start(&s, SETS(ALL, "model.towers.layers=[6]", "tables.default.dim=6", "hot_start.resize=pad"));
    struct named_array now = view(&s, s.now.params, "tower/click/layer0/w");
    struct named_array fresh = view(&s, s.fresh.params, "tower/click/layer0/w");
    const struct named_array *old = saved(&s, "tower/click/layer0/w");
    for (size_t r = 0; r < now.rows; r++)
        for (size_t j = 0; j < now.cols; j++)
            assert_true(at(&now, r, j) == (j < old->cols ? at(old, r, j) : at(&fresh, r, j)));
    now = view(&s, s.now.params, "tower/click/layer1/w");
    old = saved(&s, "tower/click/layer1/w");
    for (size_t r = 0; r < now.rows; r++)
        assert_true(at(&now, r, 0) == (r < old->rows ? at(old, r, 0) : 0));
    now = view(&s, s.now.slots[0], "tower/click/layer1/w");
    for (size_t r = 0; r < now.rows; r++)
        assert_true(at(&now, r, 0) == (r < old->rows ? 2 * fabsf(at(old, r, 0)) : 0));
    row(&s, 0, hot_sample_key(3), w);
    for (size_t j = 0; j < 6; j++) assert_true(w[j] == (j < 4 ? hot_sample_row(3, j) : 0.5f));
    stop(&s);
    start(&s, SETS(FROM, "tables.default.dim=2", "hot_start.resize=cut"));
    row(&s, 0, hot_sample_key(3), w);
    assert_true(w[0] == hot_sample_row(3, 0) && w[1] == hot_sample_row(3, 1));
    stop(&s);
}

/* A new feature's weights are 0 in loaded layers and fresh in others. */
static void new_features_have_no_weight(void **state)
{
    (void)state;
    struct started s;
    start(&s, SETS(ALL, "hot_start.exclude=[expert/level0/like]",
                   "features=[{name: new, column: phone, table: item}, {names: [user, item]}, "
                   "{name: seen, split: ' ', pool: mean, table: item}, {name: age, kind: dense, "
                   "transform: [standardize]}, {name: phone, kind: one_hot}]"));
    struct named_array now = view(&s, s.now.params, "expert/level0/shared/0/layer0/w/new");
    for (size_t r = 0; r < now.rows; r++)
        for (size_t j = 0; j < now.cols; j++) assert_true(at(&now, r, j) == 0);
    now = view(&s, s.now.params, "expert/level0/like/0/layer0/w/new");
    struct named_array fresh = view(&s, s.fresh.params, "expert/level0/like/0/layer0/w/new");
    equal(&now, &fresh, 1);
    assert_true(at(&now, 0, 0) != 0);
    stop(&s);
}

/* Rows seen too rarely, or too long ago, stay behind. */
static void rows_are_filtered(void **state)
{
    (void)state;
    struct started s;
    float w[4];
    start(&s, SETS(FROM, "hot_start.rows.min_count=11"));
    assert_int_equal(n_rows(&s), TABLES * (HOT_ROWS - 10));
    row(&s, 0, hot_sample_key(9), w);
    assert_true(w[0] == 0.5f); /* its first value */
    row(&s, 0, hot_sample_key(10), w);
    assert_true(w[0] == hot_sample_row(10, 0));
    stop(&s);
    /* Now is step 150 of all runs; the rows' last steps are 0 to 39. */
    start(&s, SETS(FROM, "hot_start.rows.max_age=115"));
    assert_int_equal(n_rows(&s), TABLES * (HOT_ROWS - 35));
    stop(&s);
}

/* A table leaves behind what its last days have not seen, others keep all; the new run's days
 * are those of the checkpoint and that of its own run. */
static void unseen_rows_are_evicted(void **state)
{
    (void)state;
    struct started s;
    float w[4];
    const size_t kept[] = {0, 10, 20, HOT_ROWS, HOT_ROWS}; /* seen since steps 100, 30, 20 */
    for (size_t days = 1; days <= 5; days++) {
        char set[64];
        snprintf(set, sizeof set, "tables.user.evict.unseen_days=%zu", days);
        start(&s, SETS(FROM, set));
        assert_int_equal(n_rows(&s), kept[days - 1] + HOT_ROWS);
        assert_true(s.state.n_days == 3 && s.state.days[0] == 20 && s.state.days[2] == 100);
        stop(&s);
    }
    start(&s, SETS(FROM, "tables.user.evict.unseen_days=2", "hot_start.rows.max_age=115"));
    assert_int_equal(n_rows(&s), HOT_ROWS - 35 + HOT_ROWS - 35); /* the stricter one counts */
    row(&s, 0, hot_sample_key(34), w);
    assert_true(w[0] == 0.5f);
    stop(&s);
}

/* Columns that stand for tasks follow their names; those of a new task, or of one that is
 * excluded, start fresh. */
static void columns_of_tasks_follow_names(void **state)
{
    (void)state;
    struct hot_side_sample old;
    struct started s;
    float w[4];
    char *plain = path;
    hot_sample_open(&dir, SETS("model.type=lr"), NULL, &old);
    hot_sample_save(&dir, "lr", &old, &path);
    hot_sample_close(&old);
    const char *const sets[] = {"tasks={buy: {label: buy}, like: {label: like}, tap: {label: click}}",
                                "hot_start.rename={task/tap: task/click}", "model.type=lr", FROM,
                                NULL, NULL};
    start(&s, sets);
    row(&s, 0, hot_sample_key(3), w);
    assert_true(w[0] == 0.5f && w[1] == hot_sample_row(3, 1) && w[2] == hot_sample_row(3, 0));
    stop(&s);
    const char *excluded[] = {sets[0], sets[1], sets[2], FROM, "hot_start.exclude=[task/like]", NULL};
    start(&s, excluded);
    row(&s, 0, hot_sample_key(3), w);
    assert_true(w[0] == 0.5f && w[1] == 0.5f && w[2] == hot_sample_row(3, 0));
    stop(&s);
    const char *perturbed[] = {sets[0], sets[1], sets[2], FROM,
                               "hot_start.perturb={\"table/*\": {shrink: 0.5}}", NULL};
    start(&s, perturbed);
    row(&s, 0, hot_sample_key(3), w);
    assert_true(w[0] == 0.5f && w[1] == 0.5f * hot_sample_row(3, 1));
    stop(&s);
    mem_free(path);
    path = plain;
}

/* shrink and noise change what is loaded, in a way that depends on names and keys alone. */
static void loaded_values_are_perturbed(void **state)
{
    (void)state;
    struct started s, again;
    float w[4], v[4];
    start(&s, SETS(ALL, "hot_start.perturb={table/user: {shrink: 0.5}, tower/click: {shrink: 0.25}}"));
    row(&s, 1, hot_sample_key(5), w);
    row(&s, 0, hot_sample_key(5), v);
    for (size_t j = 0; j < 4; j++)
        assert_true(w[j] == 0.5f * hot_sample_row(5, j) && v[j] == hot_sample_row(5, j));
    struct named_array now = view(&s, s.now.params, "tower/click/layer0/w");
    equal(&now, saved(&s, "tower/click/layer0/w"), 0.25);
    now = view(&s, s.now.params, "tower/like/layer0/w");
    equal(&now, saved(&s, "tower/like/layer0/w"), 1);
    stop(&s);
    const char *noise = "hot_start.perturb={\"*\": {noise: 0.5}}";
    start(&s, SETS(ALL, noise));
    start(&again, SETS(ALL, noise));
    assert_memory_equal(s.now.params, again.now.params, s.now.n * sizeof(float));
    double sum = 0, squares = 0;
    for (size_t i = 0; i < HOT_ROWS; i++) {
        row(&s, 1, hot_sample_key(i), w);
        row(&again, 1, hot_sample_key(i), v);
        assert_memory_equal(w, v, sizeof w);
        for (size_t j = 0; j < 4; j++) {
            double z = ((double)w[j] - (double)hot_sample_row(i, j)) / 0.5;
            sum += z;
            squares += z * z;
        }
    }
    /* 160 normal numbers: 5 standard errors of mean and variance. */
    assert_true(sum / 160 < 5 / 12.6 && sum / 160 > -5 / 12.6);
    assert_true(squares / 160 > 1 - 5 * 0.112 && squares / 160 < 1 + 5 * 0.112);
    stop(&again);
    stop(&s);
}

static bool same_statistics(const struct started *s, const char *name)
{
    size_t n;
    const struct named_array *fit = fit_arrays(s->side.session->fit, &n);
    const struct named_array *old = ckpt_find_state(s->hot.ckpt, name);
    assert_non_null(old);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(fit[i].name, name))
            return fit[i].rows == old->rows &&
                   !memcmp(fit[i].data, old->data, old->rows * dtype_bytes(old->type));
    fail_msg("no statistics %s", name);
    return false;
}

/* Statistics come from the checkpoint, or from the new rows; rates of labels always from
 * these; a feature with another transform is fitted anew. */
static void statistics_are_kept_or_fitted(void **state)
{
    (void)state;
    struct started s;
    const char *where = "data.train.where=age > 30";
    start(&s, SETS(ALL, where));
    assert_true(same_statistics(&s, "fit/feature/age/statistics"));
    assert_false(same_statistics(&s, "fit/task/click"));
    stop(&s);
    start(&s, SETS(ALL, where, "hot_start.statistics=fit"));
    assert_false(same_statistics(&s, "fit/feature/age/statistics"));
    stop(&s);
    start(&s, SETS(FROM, where));
    assert_false(same_statistics(&s, "fit/feature/age/statistics"));
    stop(&s);
    start(&s, SETS(ALL, where, "features.age.transform=[minmax]"));
    assert_false(same_statistics(&s, "fit/feature/age/statistics"));
    stop(&s);
}

/* ---- how it learns afterwards ---- */

/* So many steps, then what the server holds. */
static void learn(struct started *s, uint64_t steps)
{
    struct error err;
    struct threads *threads;
    struct trainer *trainer;
    uint64_t step, updates;
    hot_sample_check(threads_create(1, &threads, &err), &err);
    struct trainer_spec spec = {.session = s->side.session,
                                .client = s->client,
                                .threads = threads,
                                .n_workers = 1,
                                .end_step = steps};
    hot_sample_check(trainer_create(&spec, &trainer, &err), &err);
    hot_sample_check(trainer_begin(trainer, &err), &err);
    for (uint64_t i = 0; i < steps; i++) {
        uint32_t flags = 0;
        hot_sample_check(trainer_step(trainer, &flags, &err), &err);
    }
    trainer_destroy(trainer);
    threads_destroy(threads);
    hot_sample_check(client_dense_get(s->client, s->now.params, s->now.slots, &step, &updates, &err), &err);
    assert_int_equal(updates, steps);
}

/* Rows of the training data's users, which the checkpoint does not hold. */
static void user_row(const struct started *s, float *w)
{
    row(s, 1, hash_id("u1", 2), w);
}

static const float FIRST = 0.5f; /* of every row */

/* What is frozen keeps values and state until its step, and learns from then on. */
static void frozen_parts_thaw(void **state)
{
    (void)state;
    struct started s;
    float w[4];
    const char *freeze = "hot_start.freeze=[{names: [tower/click], until: 3}, {names: [table/user]}]";
    start(&s, SETS(ALL, freeze));
    learn(&s, 3);
    assert_true(is_saved(&s, "tower/click/layer0/w"));
    assert_true(is_saved_state(&s, 0, "tower/click/layer0/w"));
    assert_false(is_saved(&s, "tower/like/layer0/w"));
    user_row(&s, w);
    assert_true(w[0] == FIRST && w[3] == FIRST);
    /* Rows of other users and of all items are born all the same. */
    assert_int_equal(n_rows(&s), TABLES * HOT_ROWS + HOT_FIRST_USER + HOT_DATA_ITEMS);
    stop(&s);
    start(&s, SETS(ALL, freeze));
    learn(&s, 4);
    assert_false(is_saved(&s, "tower/click/layer0/w"));
    stop(&s);
}

/* A factor scales the change of a step: of tensors and of rows. */
static void factors_scale_changes(void **state)
{
    (void)state;
    struct started full, half;
    float a[4], b[4];
    start(&full, SETS(ALL));
    start(&half, SETS(ALL, "hot_start.lr_scale={tower/click: 0.5, table/user: 0.25}"));
    learn(&full, 1);
    learn(&half, 1);
    struct named_array x = view(&full, full.now.params, "tower/click/layer0/w");
    struct named_array y = view(&half, half.now.params, "tower/click/layer0/w");
    const struct named_array *old = saved(&full, "tower/click/layer0/w");
    for (size_t r = 0; r < x.rows; r++)
        for (size_t j = 0; j < x.cols; j++) {
            float o = at(old, r, j);
            assert_true(at(&y, r, j) == o + 0.5f * (at(&x, r, j) - o));
        }
    x = view(&full, full.now.params, "tower/like/layer0/w");
    y = view(&half, half.now.params, "tower/like/layer0/w");
    equal(&x, &y, 1);
    user_row(&full, a);
    user_row(&half, b);
    assert_true(a[0] != FIRST);
    for (size_t j = 0; j < 4; j++) assert_true(b[j] == FIRST + 0.25f * (a[j] - FIRST));
    stop(&full);
    stop(&half);
}

static float closed_bias(struct started *s)
{
    struct named_array b = view(s, s->now.params, "gate/level0/click/layer0/b");
    return at(&b, 0, 1);
}

/* The bias of a closed column follows the logarithm of a rising share, then learns. */
static void closed_columns_open(void **state)
{
    (void)state;
    struct started s;
    static const float log_of_share[] = {-1.38629436f, -0.693147181f, -0.287682072f, 0};
    for (uint64_t steps = 1; steps <= 4; steps++) {
        start(&s, SETS(ALL, "model.experts.own=2", "hot_start.new_task.open=4"));
        learn(&s, steps);
        assert_true(closed_bias(&s) == log_of_share[steps - 1]);
        stop(&s);
    }
    start(&s, SETS(ALL, "model.experts.own=2", "hot_start.new_task.open=4"));
    learn(&s, 5);
    assert_true(closed_bias(&s) != 0 && closed_bias(&s) > -0.1f && closed_bias(&s) < 0.1f);
    stop(&s);
    start(&s, SETS(ALL, "model.experts.own=2", "hot_start.new_task.open=4",
                   "hot_start.new_task.only_new=2"));
    learn(&s, 2);
    assert_true(closed_bias(&s) == -1e30f);
    stop(&s);
}

/* A start from the middle of an opening goes on with it, whatever `open` says by then; one
 * from its end has nothing to open. */
static void an_opening_goes_on(void **state)
{
    (void)state;
    struct started s;
    char *const plain = path, *half, *whole;
    start(&s, SETS(ALL, "model.experts.own=2", "hot_start.new_task.open=100"));
    hot_sample_save(&dir, "half-open", &s.side, &half);
    stop(&s);
    path = half;
    start(&s, SETS(ALL, "model.experts.own=2", "hot_start.new_task.open=7"));
    learn(&s, 1);
    assert_true(closed_bias(&s) == -0.673344553f); /* 50 steps are done: log 51 / 100 */
    hot_sample_save(&dir, "open", &s.side, &whole);
    stop(&s);
    path = whole;
    start(&s, SETS(ALL, "model.experts.own=2"));
    assert_null(s.side.session->rates);
    stop(&s);
    path = plain;
    mem_free(half);
    mem_free(whole);
}

#define BUY "tasks={click: {label: click}, like: {label: like}, buy: {label: buy}}"

/* At first only what was not loaded learns. */
static void only_new_parts_learn_at_first(void **state)
{
    (void)state;
    struct started s;
    start(&s, SETS(ALL, BUY, "hot_start.new_task.only_new=2"));
    learn(&s, 2);
    assert_true(is_saved(&s, "tower/click/layer0/w"));
    assert_true(is_saved(&s, "expert/level0/shared/0/layer0/w/user"));
    struct named_array now = view(&s, s.now.params, "tower/buy/layer1/b");
    struct named_array fresh = view(&s, s.fresh.params, "tower/buy/layer1/b");
    assert_true(at(&now, 0, 0) != at(&fresh, 0, 0));
    stop(&s);
    start(&s, SETS(ALL, BUY, "hot_start.new_task.only_new=2"));
    learn(&s, 3);
    assert_false(is_saved(&s, "tower/click/layer0/w"));
    stop(&s);
}

/* The loss of a new task rises from 0 behind that; losses of old ones do not. */
static void the_loss_of_a_new_task_rises(void **state)
{
    (void)state;
    struct started s, plain;
    const char *sgd = "train.optimizer=sgd", *reset = "hot_start.state.dense=reset";
    start(&s, SETS(ALL, BUY, "hot_start.new_task.only_new=2", "hot_start.new_task.ramp=4"));
    const struct rates *r = s.side.session->rates;
    static const double want[] = {1, 1, 0.25, 0.5, 0.75, 1, 1};
    for (uint64_t step = 0; step < 7; step++) {
        assert_true(rates_loss(r, 2, step) == want[step]);
        assert_true(rates_loss(r, 0, step) == 1);
        assert_true(rates_loss(NULL, 2, step) == 1);
    }
    stop(&s);
    /* With sgd a step is linear in the loss. */
    start(&s, SETS(ALL, BUY, sgd, reset, "hot_start.new_task.ramp=4"));
    start(&plain, SETS(ALL, BUY, sgd, reset));
    learn(&s, 1);
    learn(&plain, 1);
    struct named_array a = view(&s, s.now.params, "tower/buy/layer1/b");
    struct named_array b = view(&plain, plain.now.params, "tower/buy/layer1/b");
    struct named_array fresh = view(&s, s.fresh.params, "tower/buy/layer1/b");
    double change = (double)at(&a, 0, 0) - (double)at(&fresh, 0, 0);
    double whole = (double)at(&b, 0, 0) - (double)at(&fresh, 0, 0);
    assert_true(whole != 0 && change / whole > 0.249 && change / whole < 0.251);
    stop(&plain);
    stop(&s);
}

/* What a checkpoint keeps of the rates is all of them. */
static void rates_come_back_from_a_checkpoint(void **state)
{
    (void)state;
    struct started s;
    struct error err;
    start(&s, SETS(ALL, BUY, "model.experts.own=2", "hot_start.new_task.only_new=2",
                   "hot_start.new_task.ramp=4", "hot_start.freeze=[{names: [tower/like]}]",
                   "hot_start.lr_scale={table/user: 0.5}"));
    const struct rates *r = s.side.session->rates;
    struct hot_side_sample again = s.side;
    char *with_rates;
    hot_sample_save(&dir, "with-rates", &again, &with_rates);
    again.session->rates = NULL;
    struct ckpt *c;
    hot_sample_check(ckpt_open(with_rates, true, &c, &err), &err);
    hot_sample_check(ckpt_read_state(c, &err), &err);
    hot_sample_check(session_rates(again.session, c, NULL, &err), &err);
    const struct rates *back = again.session->rates;
    assert_non_null(back);
    assert_int_equal(back->n, r->n);
    for (size_t i = 0; i < r->n; i++)
        assert_true(back->v[i].scale == r->v[i].scale && back->v[i].from == r->v[i].from &&
                    back->v[i].open == r->v[i].open);
    assert_memory_equal(back->dense, r->dense, r->n_dense);
    assert_memory_equal(back->tables, r->tables, r->n_tables);
    assert_memory_equal(back->ramped, r->ramped, r->n_tasks);
    assert_true(back->ramp_from == 2 && back->ramp == 4);
    rates_destroy((struct rates *)r);
    ckpt_close(c);
    mem_free(with_rates);
    stop(&s);
}

/* A run that everything learns plainly in keeps no rates. */
static void plain_runs_have_no_rates(void **state)
{
    (void)state;
    struct started s;
    start(&s, SETS(ALL));
    assert_null(s.side.session->rates);
    stop(&s);
}

static int set_up(void **state)
{
    (void)state;
    struct hot_side_sample plain;
    hot_sample_data(&dir);
    hot_sample_open(&dir, NULL, NULL, &plain);
    hot_sample_save(&dir, "plain", &plain, &path);
    hot_sample_close(&plain);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mem_free(path);
    tmpdir_remove(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_taken_as_it_is),
        cmocka_unit_test(sparse_leaves_tensors_fresh),
        cmocka_unit_test(closed_columns_have_no_share),
        cmocka_unit_test(padding_keeps_the_old_part),
        cmocka_unit_test(new_features_have_no_weight),
        cmocka_unit_test(rows_are_filtered),
        cmocka_unit_test(unseen_rows_are_evicted),
        cmocka_unit_test(columns_of_tasks_follow_names),
        cmocka_unit_test(loaded_values_are_perturbed),
        cmocka_unit_test(statistics_are_kept_or_fitted),
        cmocka_unit_test(frozen_parts_thaw),
        cmocka_unit_test(factors_scale_changes),
        cmocka_unit_test(closed_columns_open),
        cmocka_unit_test(an_opening_goes_on),
        cmocka_unit_test(only_new_parts_learn_at_first),
        cmocka_unit_test(the_loss_of_a_new_task_rises),
        cmocka_unit_test(rates_come_back_from_a_checkpoint),
        cmocka_unit_test(plain_runs_have_no_rates),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
