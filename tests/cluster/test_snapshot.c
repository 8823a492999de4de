#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/math/optim.h"
#include "tests/lib/tmpdir.h"
#include "tests/lib/toy_cluster.h"

/* What the leader saves at the end of the first half and loads before the second. */
struct half {
    const struct toy *toy;
    size_t n_servers;
    struct tmpdir dir;
    char *path; /* of the checkpoint */
    float *params, *slots[2];
    uint64_t step, updates;
    struct digest live, loaded; /* of the tables when saved, when loaded */
    uint64_t rows, rows_loaded;
};

static enum status measure(struct client *c, struct digest *d, uint64_t *rows,
                           struct error *err)
{
    uint64_t per_table[TOY_TABLES];
    TRY(client_digest(c, d, per_table, err));
    *rows = 0;
    for (size_t i = 0; i < TOY_TABLES; i++) *rows += per_table[i];
    return ST_OK;
}

/* Gives their number. */
static size_t describe(const struct toy *t, struct ckpt_table tables[2 * TOY_TABLES])
{
    static const char *const waiting[TOY_TABLES] = {NULL, "item/waiting", "tag/waiting", NULL};
    size_t n = TOY_TABLES;
    for (size_t i = 0; i < TOY_TABLES; i++) {
        struct optim_layout l = optim_layout(t->tables[i].optimizer.kind, t->dims[i]);
        tables[i] = (struct ckpt_table){.name = t->tables[i].name,
                                        .dim = t->dims[i],
                                        .n_slots = l.n_slots,
                                        .slot_name = {l.name[0], l.name[1]},
                                        .slot_width = {l.width[0], l.width[1]}};
        if (t->tables[i].admit > 1) tables[n++] = (struct ckpt_table){.name = waiting[i]};
    }
    return n;
}

static enum status commit(struct half *h, struct client *c, struct ckpt_save *save,
                          struct error *err)
{
    struct ckpt_file_info files[8] = {0};
    struct ckpt_table tables[2 * TOY_TABLES];
    size_t n = h->n_servers;
    TRY(client_save(c, ckpt_save_path(save), files, err));
    const struct named_array dense = {"dense", DTYPE_F32, 1, h->toy->server.n_dense,
                                      0,       h->params};
    const struct named_array state = {"step", DTYPE_U64, 1, 0, 0, &h->step};
    TRY(ckpt_dense_write(ckpt_save_path(save), &dense, 1, NULL, 0, &files[n], err));
    TRY(ckpt_state_write(ckpt_save_path(save), &state, 1, &files[n + 1], err));
    size_t n_tables = describe(h->toy, tables);
    struct ckpt_meta meta = {.step = h->step,
                             .updates = h->updates,
                             .lanes = h->toy->server.n_lanes,
                             .batch_size = 8,
                             .config = "x: 1\n",
                             .run_uuid = "test",
                             .data_digest = "",
                             .build = "test"};
    return ckpt_commit(save, &meta, tables, n_tables, files, n + 2, NULL, NULL,
                       &h->path, err);
}

static enum status save(void *arg, struct client *c, struct error *err)
{
    struct half *h = arg;
    struct ckpt_save *s;
    TRY(measure(c, &h->live, &h->rows, err));
    TRY(client_dense_get(c, h->params, h->slots, &h->step, &h->updates, err));
    TRY(ckpt_begin(h->dir.path, h->step, 1, 0, &s, err));
    return commit(h, c, s, err);
}

static enum status load(void *arg, struct client *c, struct error *err)
{
    struct half *h = arg;
    TRY(client_load(c, h->path, err));
    const struct wire_dense d = {.step = h->step,
                                 .updates = h->updates,
                                 .n = h->toy->server.n_dense,
                                 .n_slots = 2,
                                 .params = h->params,
                                 .slots = {h->slots[0], h->slots[1]}};
    TRY(client_dense_put(c, &d, err));
    return measure(c, &h->loaded, &h->rows_loaded, err);
}

static void half_make(struct half *h, const struct toy *t, size_t n_servers)
{
    *h = (struct half){.toy = t, .n_servers = n_servers};
    tmpdir_create(&h->dir);
    h->params = mem_array(t->server.n_dense, sizeof(float));
    for (size_t i = 0; i < 2; i++)
        h->slots[i] = mem_array(t->server.n_dense, sizeof(float));
}

static void half_close(struct half *h)
{
    mem_free(h->params);
    mem_free(h->slots[0]);
    mem_free(h->slots[1]);
    mem_free(h->path);
    tmpdir_remove(&h->dir);
}

/* Half of the steps on one layout, a checkpoint, the other half on another. */
static void check_resume(size_t s1, size_t w1, size_t s2, size_t w2, const struct toy *t,
                         const struct toy_state *expected)
{
    struct toy first = *t;
    struct half h;
    struct toy_state got;
    first.steps = t->steps / 2;
    half_make(&h, &first, s1);
    const struct toy_job one = {
        .toy = &first, .n_servers = s1, .n_shards = 2, .last = save, .arg = &h};
    toy_cluster(&one, (int)(s1 + w1), 0, NULL, NULL);
    const struct toy_job two = {.toy = t,
                                .n_servers = s2,
                                .n_shards = 3,
                                .first = load,
                                .arg = &h,
                                .first_step = first.steps};
    toy_cluster(&two, (int)(s2 + w2), 7, &got, NULL);
    assert_true(h.rows > 100);
    assert_int_equal(h.rows, h.rows_loaded);
    assert_true(digest_equal(&h.live, &h.loaded));
    toy_state_equal(t, expected, &got);
    toy_state_close(&got);
    half_close(&h);
}

/* A checkpoint of S servers loaded by S' holds the same rows (one digest), and
 * training on from it gives the bits of training without the stop. */
static void test_resume_on_another_layout(void **state)
{
    (void)state;
    struct toy t;
    struct toy_state expected;
    toy_make(&t, 41);
    toy_reference(&t, &expected);
    check_resume(1, 1, 1, 1, &t, &expected);
    check_resume(1, 2, 3, 1, &t, &expected);
    check_resume(3, 2, 2, 3, &t, &expected);
    check_resume(4, 1, 1, 4, &t, &expected);
    toy_state_close(&expected);
}

/* The manifest's digests of the servers' files add up to the digest of the live
 * tables. */
static void test_digest_of_files_is_that_of_the_tables(void **state)
{
    (void)state;
    struct toy t;
    struct half h;
    toy_make(&t, 42);
    half_make(&h, &t, 3);
    const struct toy_job job = {
        .toy = &t, .n_servers = 3, .n_shards = 2, .last = save, .arg = &h};
    toy_cluster(&job, 5, 0, NULL, NULL);
    struct ckpt *c;
    struct error err;
    if (ckpt_verify(h.path, &err) != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(ckpt_open(h.path, true, &c, NULL), ST_OK);
    struct digest sum = {0, 0};
    struct ckpt_counts n = ckpt_count_rows(c);
    for (size_t i = 0; i < ckpt_n_files(c); i++) {
        const struct ckpt_file_info *f = ckpt_file(c, i);
        if (strncmp(f->name, "sparse", 6)) continue;
        digest_add(&sum, &f->digest);
    }
    assert_true(digest_equal(&sum, &h.live));
    assert_int_equal(n.rows, h.rows);
    assert_true(n.waiting > 0);
    ckpt_close(c);
    half_close(&h);
}

static enum status expect_refusal(void *arg, struct client *c, struct error *err)
{
    struct half *h = arg;
    uint64_t rows = 1;
    enum status st = client_load(c, h->path, err);
    if (st != ST_MISMATCH ||
        !strstr(err->text, "table item: dim is 5 in the checkpoint, 6"))
        return error_set(err, ST_INTERNAL, "a wrong dim was taken");
    TRY(measure(c, &h->loaded, &rows, err));
    return rows ? error_set(err, ST_INTERNAL, "%llu rows were left",
                            (unsigned long long)rows)
                : ST_OK;
}

/* A table of another width is refused by name, and no row of any table stays. */
static void test_mismatch_loads_nothing(void **state)
{
    (void)state;
    struct toy t, other;
    struct half h;
    toy_make(&t, 43);
    half_make(&h, &t, 2);
    const struct toy_job one = {
        .toy = &t, .n_servers = 2, .n_shards = 1, .last = save, .arg = &h};
    toy_cluster(&one, 3, 0, NULL, NULL);
    other = t;
    other.dims[1] = other.tables[1].dim = 6;
    other.server.tables = other.tables;
    const struct toy_job two = {
        .toy = &other, .n_servers = 2, .n_shards = 1, .first = expect_refusal, .arg = &h};
    toy_cluster(&two, 3, 0, NULL, NULL);
    half_close(&h);
}

/* A hot start: rows from a checkpoint changed on their way, some parts frozen or slowed. */
static enum status load_hot(void *arg, struct client *c, struct error *err)
{
    struct half *h = arg;
    size_t n = h->toy->server.n_dense;
    struct wire_load loads[TOY_TABLES];
    const struct wire_rate rates[4] = {{.scale = 1}, {.scale = 1, .from = 3}, {.scale = 0.25},
                                       {.scale = 1, .from = 1, .open = 2}};
    const uint8_t tables[TOY_TABLES] = {0, 1, 2, 0};
    for (size_t i = 0; i < TOY_TABLES; i++) {
        loads[i] = (struct wire_load){.keep_state = i > 0, .min_count = 2, .min_step = i % 2,
                                      .shrink = 0.5, .noise = 0.25};
        snprintf(loads[i].source, sizeof loads[i].source, "%s", i ? h->toy->tables[i].name : "");
    }
    TRY(client_load_tables(c, h->path, loads, err));
    uint8_t *of = mem_zeroed(n, 1);
    for (size_t i = 0; i < n; i++) of[i] = i % 7 == 0 ? 3 : i % 5 == 0 ? 2 : i > 2000;
    const struct wire_dense d = {.past = {h->step, h->updates, 0}, .n = n, .params = h->params};
    const struct wire_rates r = {.n = 4, .n_dense = n, .n_tables = TOY_TABLES, .rates = rates,
                                 .dense = of, .tables = tables};
    enum status st = client_dense_put(c, &d, err);
    if (st == ST_OK) st = client_rates(c, &r, err);
    mem_free(of);
    return st == ST_OK ? measure(c, &h->loaded, &h->rows_loaded, err) : st;
}

static enum status measure_end(void *arg, struct client *c, struct error *err)
{
    struct half *h = arg;
    return measure(c, &h->live, &h->rows, err);
}

/* A hot start gives the same rows on any layout, and so does training from it. */
static void test_hot_start_on_any_layout(void **state)
{
    (void)state;
    static const size_t layouts[][2] = {{1, 1}, {3, 1}, {1, 3}, {2, 4}};
    struct toy t;
    struct half h, first = {0};
    struct toy_state expected, got;
    toy_make(&t, 45);
    half_make(&h, &t, 2);
    const struct toy_job one = {
        .toy = &t, .n_servers = 2, .n_shards = 2, .last = save, .arg = &h};
    toy_cluster(&one, 4, 0, NULL, NULL);
    uint64_t rows_saved = h.rows;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        const struct toy_job two = {.toy = &t,
                                    .n_servers = layouts[i][0],
                                    .n_shards = 1 + i % 3,
                                    .first = load_hot,
                                    .last = measure_end,
                                    .arg = &h};
        toy_cluster(&two, (int)(layouts[i][0] + layouts[i][1]), 9, &got, NULL);
        if (i == 0) {
            first = h;
            expected = got;
            assert_true(h.rows_loaded > 0 && h.rows_loaded < rows_saved);
            continue;
        }
        assert_true(digest_equal(&h.loaded, &first.loaded));
        assert_true(digest_equal(&h.live, &first.live));
        toy_state_equal(&t, &expected, &got);
        toy_state_close(&got);
    }
    toy_state_close(&expected);
    half_close(&h);
}

static enum status save_nowhere(void *arg, struct client *c, struct error *err)
{
    struct half *h = arg;
    struct ckpt_file_info files[4];
    char path[300];
    snprintf(path, sizeof path, "%s/missing/folder", h->dir.path);
    enum status st = client_save(c, path, files, err);
    if (st != ST_CANTCREATE && st != ST_IO)
        return error_set(err, ST_INTERNAL, "saved into nowhere");
    return measure(c, &h->live, &h->rows, err);
}

/* A save that fails is reported by its server's words; the servers go on. */
static void test_failed_save_is_survived(void **state)
{
    (void)state;
    struct toy t;
    struct half h;
    toy_make(&t, 44);
    half_make(&h, &t, 2);
    const struct toy_job job = {
        .toy = &t, .n_servers = 2, .n_shards = 1, .last = save_nowhere, .arg = &h};
    toy_cluster(&job, 3, 0, NULL, NULL);
    assert_true(h.rows > 0);
    half_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_on_another_layout),
        cmocka_unit_test(test_digest_of_files_is_that_of_the_tables),
        cmocka_unit_test(test_mismatch_loads_nothing),
        cmocka_unit_test(test_hot_start_on_any_layout),
        cmocka_unit_test(test_failed_save_is_survived),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
