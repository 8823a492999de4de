#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "ps/server.h"
#include "tests/lib/toy.h"
#include "worker/client.h"

enum { MAX_WORKERS = 8 };

/* A server and its workers driven by direct calls. */
struct job {
    struct toy *toy;
    struct server *server;
    struct toy_worker workers[MAX_WORKERS];
    size_t n_workers, n_shards;
};

static void job_start(struct job *j, struct toy *t, size_t n_workers, size_t n_shards)
{
    j->toy = t;
    j->n_workers = n_workers;
    j->n_shards = n_shards;
    struct server_spec spec = t->server;
    spec.n_workers = n_workers;
    spec.n_shards = n_shards;
    assert_int_equal(server_create(&spec, &j->server, NULL), ST_OK);
    for (size_t w = 0; w < n_workers; w++)
        toy_worker_make(t, w, n_workers, &j->workers[w]);
}

static void job_stop(struct job *j)
{
    for (size_t w = 0; w < j->n_workers; w++) toy_worker_close(&j->workers[w]);
    server_destroy(j->server);
}

/* Workers come in an order that changes from step to step, shards backwards. */
static enum status job_round(struct job *j, uint64_t step, struct wire_answer *answers,
                             struct error *err)
{
    struct wire_step m[MAX_WORKERS];
    for (size_t w = 0; w < j->n_workers; w++)
        toy_message(&j->workers[w], step, step ? &answers[w] : NULL, &m[w]);
    for (size_t i = 0; i < j->n_workers; i++) {
        size_t w = (i + step) % j->n_workers;
        assert_false(server_step_ready(j->server));
        TRY(server_accept(j->server, w, &m[w], err));
    }
    assert_true(server_step_ready(j->server));
    if (server_clips(j->server) && step) {
        for (size_t i = j->n_shards; i--;) server_join(j->server, i);
        server_set_norm(j->server, server_norm(j->server));
    }
    for (size_t i = j->n_shards; i--;) server_apply(j->server, i);
    for (size_t w = 0; w < j->n_workers; w++)
        TRY(server_answer(j->server, w, &answers[w], err));
    return ST_OK;
}

/* Everything the server holds, through read-only pulls. */
static void job_state(struct job *j, struct toy_state *out)
{
    const struct toy *t = j->toy;
    toy_state_make(t, out);
    struct server_port port = server_port(j->server);
    struct client_spec spec = {.n_tables = TOY_TABLES,
                               .dim = t->dims,
                               .n_dense = t->server.n_dense,
                               .max_parts = 1};
    struct client *c;
    assert_int_equal(client_create_local(&spec, &port, &c, NULL), ST_OK);
    struct wire_keys keys[TOY_TABLES];
    for (size_t i = 0; i < TOY_TABLES; i++)
        keys[i] = (struct wire_keys){.n = TOY_KEYS, .keys = t->keys[i]};
    assert_int_equal(client_pull(c, keys, out->rows, out->params, NULL), ST_OK);
    struct wire_stats stats;
    assert_int_equal(client_stats(c, &stats, NULL), ST_OK);
    out->updates = stats.updates;
    client_destroy(c);
}

static void run_job(struct toy *t, size_t n_workers, size_t n_shards,
                    struct toy_state *out)
{
    struct job j;
    struct wire_answer answers[MAX_WORKERS];
    struct error err;
    job_start(&j, t, n_workers, n_shards);
    for (uint64_t step = 0; step <= t->steps; step++)
        if (job_round(&j, step, answers, &err) != ST_OK) fail_msg("%s", err.text);
    job_state(&j, out);
    job_stop(&j);
}

static void compare_layouts(struct toy *t)
{
    struct toy_state expected, got;
    toy_reference(t, &expected);
    for (size_t n_workers = 1; n_workers <= 5; n_workers++)
        for (size_t n_shards = 1; n_shards <= 3; n_shards++) {
            run_job(t, n_workers, n_shards, &got);
            toy_state_equal(t, &expected, &got);
            toy_state_close(&got);
        }
    toy_state_close(&expected);
}

/* The model is the plain reference's, bit for bit, for 1 to 5 workers and 1 to 3
 * shards. */
static void test_any_layout_gives_the_bits_of_the_reference(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 1);
    compare_layouts(&t);
    toy_make(&t, 2);
    t.server.n_lanes = 16;
    t.server.dense_optimizer.kind = OPT_SGD;
    compare_layouts(&t);
}

/* A step that a lane flags as not finite changes nothing but the cursor. */
static void test_nonfinite_step_is_skipped(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 3);
    t.nonfinite_step = 4;
    compare_layouts(&t);
}

/* Clipping by the global norm takes the same factor for every layout. The norm
 * here exceeds the limit by far; sums of blocks differ from the plain sum in the
 * last bits of a double, which the rounding to float hides. */
static void test_clipping_is_the_same_for_any_layout(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 4);
    t.server.clip_norm = 0.5;
    compare_layouts(&t);
}

/* More workers than lanes: those without lanes send empty messages. */
static void test_worker_without_lanes(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 5);
    t.server.n_lanes = 4;
    struct toy_state expected, got;
    toy_reference(&t, &expected);
    run_job(&t, 7, 2, &got);
    toy_state_equal(&t, &expected, &got);
    toy_state_close(&expected);
    toy_state_close(&got);
}

/* Lanes without any row in the whole step leave parameters alone, and the step
 * counts as an update. */
static void test_step_without_rows(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 6);
    struct job j;
    struct wire_answer a;
    job_start(&j, &t, 1, 1);
    struct wire_step m = {.step = 0,
                          .flags = WIRE_NO_PUSH,
                          .n_tables = TOY_TABLES,
                          .n_dense = t.server.n_dense};
    for (uint64_t step = 0; step < 3; step++) {
        m.step = step;
        m.flags = step ? 0 : WIRE_NO_PUSH;
        assert_int_equal(server_accept(j.server, 0, &m, NULL), ST_OK);
        server_apply(j.server, 0);
        assert_int_equal(server_answer(j.server, 0, &a, NULL), ST_OK);
        assert_int_equal(a.updates, step);
        assert_int_equal(a.n_rows[0], 0);
    }
    for (size_t i = 0; i < TOY_TABLES; i++) assert_int_equal(server_rows(j.server, i), 0);
    job_stop(&j);
}

/* Only keys that were pushed, and as often as their table asks for, have a row. */
static void test_pushes_are_conserved(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 7);
    struct toy_state expected;
    toy_reference(&t, &expected);
    struct job j;
    struct wire_answer answers[MAX_WORKERS];
    job_start(&j, &t, 3, 2);
    for (uint64_t step = 0; step <= t.steps; step++)
        assert_int_equal(job_round(&j, step, answers, NULL), ST_OK);
    for (size_t i = 0; i < TOY_TABLES; i++) {
        size_t known = 0;
        size_t pushed = 0;
        for (size_t k = 0; k < TOY_KEYS; k++) {
            known += expected.known[i][k];
            pushed += expected.seen[i][k] > 0;
        }
        assert_int_equal(server_rows(j.server, i), known);
        assert_true(t.tables[i].admit < 13 ? known == pushed : 0 < known && known < pushed);
    }
    job_stop(&j);
    toy_state_close(&expected);
}

/* A sum that overflows though every lane is finite ends the step with an error
 * that names the part. */
static void test_overflow_in_the_join_is_an_error(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 8);
    t.grad_scale = 3e38f;
    struct job j;
    struct wire_answer answers[MAX_WORKERS];
    struct error err;
    job_start(&j, &t, 2, 2);
    assert_int_equal(job_round(&j, 0, answers, &err), ST_OK);
    assert_int_equal(job_round(&j, 1, answers, &err), ST_INTERNAL);
    assert_non_null(strstr(err.text, "gradient of"));
    job_stop(&j);
}

/* A read-only pull gives unknown keys their initial row and adds nothing. */
static void test_pull_inserts_nothing(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 9);
    struct job j;
    struct toy_state s;
    job_start(&j, &t, 1, 2);
    uint64_t bytes = server_bytes(j.server);
    job_state(&j, &s);
    for (size_t i = 0; i < TOY_TABLES; i++) assert_int_equal(server_rows(j.server, i), 0);
    assert_int_equal(server_bytes(j.server), bytes);
    assert_true(s.rows[0][0] != 0.0f);
    toy_state_close(&s);
    job_stop(&j);
}

/* Steps out of turn, doubled messages and parts that overlap are refused. */
static void test_protocol_errors_are_refused(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 10);
    struct job j;
    struct error err;
    struct wire_answer answers[MAX_WORKERS];
    job_start(&j, &t, 2, 1);
    assert_int_equal(job_round(&j, 0, answers, &err), ST_OK);
    struct wire_step m;
    toy_message(&j.workers[0], 1, &answers[0], &m);
    m.step = 5;
    assert_int_equal(server_accept(j.server, 0, &m, &err), ST_PEER);
    assert_non_null(strstr(err.text, "step 1 was expected"));
    m.step = 1;
    assert_int_equal(server_accept(j.server, 2, &m, &err), ST_PEER);
    m.n_dense--;
    assert_int_equal(server_accept(j.server, 0, &m, &err), ST_PEER);
    m.n_dense++;
    assert_int_equal(server_accept(j.server, 0, &m, &err), ST_OK);
    assert_int_equal(server_accept(j.server, 0, &m, &err), ST_PEER);
    assert_int_equal(server_accept(j.server, 1, &m, &err), ST_PEER);
    assert_non_null(strstr(err.text, "pushed twice"));
    job_stop(&j);
}

/* Warm steps allocate nothing, on the client's side nor on the server's. */
static void test_warm_step_allocates_nothing(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 11);
    t.steps = 40;
    struct job j;
    job_start(&j, &t, 1, 2);
    struct server_port port = server_port(j.server);
    struct client_spec spec = {.n_tables = TOY_TABLES,
                               .dim = t.dims,
                               .n_dense = t.server.n_dense,
                               .max_parts = TOY_MAX_LANES};
    struct client *c;
    assert_int_equal(client_create_local(&spec, &port, &c, NULL), ST_OK);
    struct wire_answer answer;
    for (uint64_t step = 0; step < t.steps; step++) {
        struct wire_step m;
        toy_message(&j.workers[0], step, step ? &answer : NULL, &m);
        uint64_t calls = mem_calls();
        assert_int_equal(client_step_begin(c, &m, NULL), ST_OK);
        for (size_t i = 0; i < client_shards(c); i++) client_apply(c, i);
        assert_int_equal(client_step_end(c, &answer, NULL), ST_OK);
        if (step > 25) assert_int_equal(mem_calls(), calls);
    }
    client_destroy(c);
    job_stop(&j);
}

/* Dense parameters, slots and counters come back as they were put; training on
 * from them gives the bits of training without the interruption. */
static void test_dense_get_and_put(void **state)
{
    (void)state;
    struct toy t;
    toy_make(&t, 12);
    struct job j;
    job_start(&j, &t, 1, 2);
    struct server_port port = server_port(j.server);
    struct client_spec spec = {.n_tables = TOY_TABLES,
                               .dim = t.dims,
                               .n_dense = t.server.n_dense,
                               .max_parts = 1};
    struct client *c;
    assert_int_equal(client_create_local(&spec, &port, &c, NULL), ST_OK);
    size_t n = t.server.n_dense;
    float *v[3], *got[3];
    for (size_t i = 0; i < 3; i++) {
        v[i] = mem_array(n, sizeof(float));
        got[i] = mem_array(n, sizeof(float));
        for (size_t k = 0; k < n; k++) v[i][k] = (float)(i * n + k);
    }
    struct wire_dense put = {.step = 7,
                             .updates = 6,
                             .n = n,
                             .n_slots = 2,
                             .params = v[0],
                             .slots = {v[1], v[2]}};
    assert_int_equal(client_dense_put(c, &put, NULL), ST_OK);
    uint64_t step, updates;
    assert_int_equal(client_dense_get(c, got[0], &got[1], &step, &updates, NULL), ST_OK);
    assert_int_equal(step, 7);
    assert_int_equal(updates, 6);
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(v[i], got[i], n * sizeof(float));
        mem_free(v[i]);
        mem_free(got[i]);
    }
    client_destroy(c);
    job_stop(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_layout_gives_the_bits_of_the_reference),
        cmocka_unit_test(test_nonfinite_step_is_skipped),
        cmocka_unit_test(test_clipping_is_the_same_for_any_layout),
        cmocka_unit_test(test_worker_without_lanes),
        cmocka_unit_test(test_step_without_rows),
        cmocka_unit_test(test_pushes_are_conserved),
        cmocka_unit_test(test_overflow_in_the_join_is_an_error),
        cmocka_unit_test(test_pull_inserts_nothing),
        cmocka_unit_test(test_protocol_errors_are_refused),
        cmocka_unit_test(test_warm_step_allocates_nothing),
        cmocka_unit_test(test_dense_get_and_put),
    };
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
