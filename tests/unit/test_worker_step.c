/* Whole training steps of one process: real data, tables, model, servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/math/blas.h"
#include "ps/server.h"
#include "tests/lib/tmpdir.h"
#include "worker/client.h"
#include "worker/saver.h"
#include "worker/session.h"
#include "common/base/threads.h"
#include "worker/trainer.h"

enum { ROWS = 3000 };

static struct tmpdir dir;

/* Ids, a list of ids that share a table, numbers, two labels of which one is often absent. */
static void write_csv(void)
{
    char path[512];
    FILE *f = fopen(tmpdir_path(&dir, "rows.csv", path, sizeof path), "w");
    assert_non_null(f);
    struct rng r = rng_make(7, RNG_TEST, 0);
    fputs("user,item,seen,age,click,like\n", f);
    for (uint64_t i = 0; i < ROWS; i++) {
        unsigned user = (unsigned)(rng_u64(&r, i, 0) % 300), item = (unsigned)(rng_u64(&r, i, 1) % 80);
        fprintf(f, "u%u,%u,", user, item);
        for (unsigned j = 0; j < rng_u64(&r, i, 2) % 4; j++)
            fprintf(f, "%s%u", j ? " " : "", (unsigned)(rng_u64(&r, i, 10 + j) % 80));
        fprintf(f, ",%u,%d,%s\n", 18 + user % 50, (user + item) % 3 == 0,
                i % 3 ? "" : (user + item) % 7 == 0 ? "1" : "0");
    }
    assert_int_equal(fclose(f), 0);
}

static const char config[] =
    "version: 1\n"
    "name: step\n"
    "data:\n"
    "  train: {files: [%s/rows.csv]}\n"
    "  cache: %s/cache\n"
    "  shuffle_window: 512\n"
    "features:\n"
    "  - {names: [user, item]}\n"
    "  - {name: seen, split: \" \", pool: mean, table: item}\n"
    "  - {name: age, kind: dense, transform: [log1p, standardize]}\n"
    "tables: {default: {dim: 8}}\n"
    "tasks:\n"
    "  click: {label: click}\n"
    "  like: {label: like}\n"
    "model: {type: mmoe, experts: {count: 3, layers: [16]}, gates: {layers: []}, towers: {layers: [8]}}\n"
    "train: {batch_size: 128, lanes: 4, epochs: 3}\n";

struct job {
    struct settings *settings;
    struct session *session;
    struct threads *threads;
    struct server *server;
    struct server_port port;
    struct client *client;
    struct trainer *trainer;
};

static void check(enum status st, const struct error *err)
{
    if (st != ST_OK) fail_msg("%s", err->text);
}

static void job_open(struct job *j, size_t n_threads, const char *const *sets, size_t n_sets)
{
    struct error err;
    char text[2048];
    snprintf(text, sizeof text, config, dir.path, dir.path);
    check(settings_parse(text, "step.yaml", sets, n_sets, &j->settings, &err), &err);
    struct session_spec spec = {.settings = j->settings, .uses = SESSION_TRAIN};
    check(session_open(&spec, &j->session, &err), &err);
    check(session_model(j->session, NULL, &err), &err);
    check(threads_create(n_threads, &j->threads, &err), &err);
    const struct schema *schema = j->session->schema;
    struct table_spec tables[8];
    for (size_t t = 0; t < schema->n_tables; t++)
        tables[t] = (struct table_spec){schema->table_names[t], j->session->tables->dim[t],
                                        schema->tables[t]->init, schema->tables[t]->optimizer,
                                        (float)schema->tables[t]->l2,
                                        schema->tables[t]->admit.min_count};
    struct server_spec server = {.n_servers = 1,
                                 .n_workers = 1,
                                 .n_lanes = j->settings->train.lanes,
                                 .n_shards = n_threads,
                                 .seed = j->settings->seed,
                                 .tables = tables,
                                 .n_tables = schema->n_tables,
                                 .n_dense = model_n_params(j->session->model),
                                 .dense_optimizer = j->settings->train.optimizer,
                                 .schedule = j->settings->train.schedule,
                                 .total_steps = session_total_steps(j->session),
                                 .clip_norm = j->settings->train.clip_norm};
    check(server_create(&server, &j->server, &err), &err);
    j->port = server_port(j->server);
    struct client_spec client = {.n_tables = schema->n_tables,
                                 .dim = j->session->tables->dim,
                                 .n_dense = server.n_dense,
                                 .max_parts = server.n_lanes};
    check(client_create_local(&client, &j->port, &j->client, &err), &err);
    check(saver_init(j->session, j->client, &err), &err);
    struct trainer_spec trainer = {.session = j->session,
                                   .client = j->client,
                                   .threads = j->threads,
                                   .n_workers = 1,
                                   .end_step = session_total_steps(j->session)};
    check(trainer_create(&trainer, &j->trainer, &err), &err);
    check(trainer_begin(j->trainer, &err), &err);
}

static void steps(struct job *j, uint64_t n)
{
    struct error err;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t flags = 0;
        check(trainer_step(j->trainer, &flags, &err), &err);
    }
}

static void job_close(struct job *j)
{
    trainer_destroy(j->trainer);
    client_destroy(j->client);
    server_destroy(j->server);
    threads_destroy(j->threads);
    session_close(j->session);
    settings_destroy(j->settings);
}

/* Digest of all rows plus the bits of all dense parameters. */
static void fingerprint(struct job *j, char hex[33])
{
    struct error err;
    struct digest d = {0, 0};
    size_t n = model_n_params(j->session->model);
    float *params = mem_array(n, sizeof *params);
    uint64_t step, updates;
    check(client_digest(j->client, &d, NULL, &err), &err);
    check(client_dense_get(j->client, params, NULL, &step, &updates, &err), &err);
    digest_tensor(&d, "all", 1, n, params, n);
    digest_hex(&d, hex);
    mem_free(params);
}

/* After the first steps, a step allocates nothing. */
static void test_a_warm_step_allocates_nothing(void **state)
{
    (void)state;
    static const char *const balance[] = {"model.balance=fixed", "model.balance=uncertainty",
                                          "model.balance=pcgrad", "model.balance=mgda"};
    for (size_t i = 0; i < 5; i++) {
        size_t threads = i < 4 ? 1 : 2;
        struct job j;
        job_open(&j, threads, &balance[i % 4], 1);
        uint64_t per_epoch = session_total_steps(j.session) / 3;
        steps(&j, per_epoch + 2); /* every batch of an epoch was seen, all rows exist */
        uint64_t calls = mem_calls();
        steps(&j, 10);
        assert_int_equal(mem_calls(), calls);
        job_close(&j);
    }
}

/* The model is the same, bit for bit, for any number of threads. */
static void test_threads_do_not_change_bits(void **state)
{
    (void)state;
    char want[33], got[33];
    for (size_t threads = 1; threads <= 5; threads++) {
        struct job j;
        job_open(&j, threads, NULL, 0);
        steps(&j, session_total_steps(j.session));
        fingerprint(&j, threads == 1 ? want : got);
        if (threads > 1) assert_string_equal(got, want);
        job_close(&j);
    }
}

/* Dictionary codes in the prepared data are a matter of speed: without them the model is the same. */
static void test_codes_do_not_change_bits(void **state)
{
    (void)state;
    char want[33], got[33];
    const char *keys[] = {"data.dictionary_limit=10"};
    struct job j;
    job_open(&j, 1, NULL, 0);
    steps(&j, 40);
    fingerprint(&j, want);
    job_close(&j);
    job_open(&j, 1, keys, 1);
    steps(&j, 40);
    fingerprint(&j, got);
    job_close(&j);
    assert_string_equal(got, want);
}

/* The two forms of layer 1 train nearly the same model, and not the same bits. */
static void test_forms_agree_closely(void **state)
{
    (void)state;
    const char *forms[] = {"train.form=gather", "train.form=project"};
    float *params[2];
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        struct job j;
        struct error err;
        uint64_t step, updates;
        job_open(&j, 1, &forms[i], 1);
        steps(&j, 20);
        n = model_n_params(j.session->model);
        params[i] = mem_array(n, sizeof **params);
        check(client_dense_get(j.client, params[i], NULL, &step, &updates, &err), &err);
        assert_int_equal(updates, 20);
        job_close(&j);
    }
    for (size_t i = 0; i < n; i++)
        assert_true(params[0][i] - params[1][i] < 1e-3f && params[1][i] - params[0][i] < 1e-3f);
    mem_free(params[0]);
    mem_free(params[1]);
}

static int setup(void **state)
{
    (void)state;
    struct error err;
    tmpdir_create(&dir);
    write_csv();
    return blas_setup(&err) != ST_OK;
}

static int teardown(void **state)
{
    (void)state;
    tmpdir_remove(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_warm_step_allocates_nothing),
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_codes_do_not_change_bits),
        cmocka_unit_test(test_forms_agree_closely),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
