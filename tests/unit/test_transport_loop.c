#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/net/transport.h"

enum { MAX_RANKS = 6 };

struct rank {
    pthread_t thread;
    struct loop *loop;
    int number;
    enum status (*body)(struct transport *t, struct error *err);
    enum status st;
    struct error err;
};

static void *run_rank(void *arg)
{
    struct rank *r = arg;
    struct transport *t = loop_rank(r->loop, r->number);
    transport_deadline(t, 5);
    r->st = r->body(t, &r->err);
    return NULL;
}

/* The same function on n ranks; ranks[] get its statuses. */
static void run_all(int n, uint64_t seed,
                    enum status (*body)(struct transport *, struct error *),
                    struct rank *ranks)
{
    struct loop *loop;
    assert_int_equal(loop_create(n, seed, 30, &loop, NULL), ST_OK);
    for (int i = 0; i < n; i++) {
        ranks[i] = (struct rank){.loop = loop, .number = i, .body = body};
        assert_int_equal(pthread_create(&ranks[i].thread, NULL, run_rank, &ranks[i]), 0);
    }
    for (int i = 0; i < n; i++) pthread_join(ranks[i].thread, NULL);
    loop_destroy(loop);
}

static void all_ok(const struct rank *ranks, int n)
{
    for (int i = 0; i < n; i++)
        if (ranks[i].st != ST_OK) fail_msg("rank %d: %s", i, ranks[i].err.text);
}

/* Rank 1 sends numbered messages of growing size on two channels; rank 0 gets them in
 * order. */
static enum status numbered(struct transport *t, struct error *err)
{
    unsigned char data[600];
    for (unsigned i = 0; i < 200; i++) {
        enum channel ch = i % 3 ? CHANNEL_STEP : CHANNEL_CONTROL;
        if (transport_rank(t) == 1) {
            memset(data, (int)i, sizeof data);
            const struct piece pieces[3] = {{data, i}, {data, 0}, {data, 2 * i + 1}};
            TRY(transport_send(t, 0, ch, pieces, 3, err));
            TRY(transport_flush(t, err));
        } else {
            struct message m;
            TRY(transport_recv(t, 1, ch, "a number", &m, err));
            if (m.bytes != 3 * i + 1 || m.data[0] != i || m.data[3 * i] != i)
                return error_set(err, ST_INTERNAL, "message %u is wrong", i);
        }
    }
    return ST_OK;
}

/* Messages of one peer on one channel keep their order under any delay. */
static void test_order_is_kept(void **state)
{
    (void)state;
    struct rank ranks[2];
    for (uint64_t seed = 0; seed < 5; seed++) {
        run_all(2, seed, numbered, ranks);
        all_ok(ranks, 2);
    }
}

static enum status one_each(struct transport *t, struct error *err)
{
    int rank = transport_rank(t), size = transport_size(t), peers[MAX_RANKS], n = 0;
    const struct piece piece = {&rank, sizeof rank};
    if (rank)
        return transport_send(t, 0, CHANNEL_STEP, &piece, 1, err) == ST_OK
                   ? transport_flush(t, err)
                   : ST_PEER;
    for (int r = 1; r < size; r++) peers[n++] = r;
    while (n) {
        int from, got;
        struct message m;
        TRY(transport_recv_any(t, peers, (size_t)n, CHANNEL_STEP, "a number", &from, &m,
                               err));
        memcpy(&got, m.data, sizeof got);
        if (got != from) return error_set(err, ST_INTERNAL, "rank %d said %d", from, got);
        for (int i = 0; i < n; i++)
            if (peers[i] == from) peers[i] = peers[--n];
    }
    return ST_OK;
}

/* Whoever comes first is served first, and everyone is served. */
static void test_any_peer(void **state)
{
    (void)state;
    struct rank ranks[MAX_RANKS];
    run_all(MAX_RANKS, 3, one_each, ranks);
    all_ok(ranks, MAX_RANKS);
}

static enum status collectives(struct transport *t, struct error *err)
{
    TRY(transport_barrier(t, "all", err));
    for (int root = 0; root < transport_size(t); root++) {
        char text[] = "from root 0";
        text[10] = (char)('0' + root);
        void *data = text;
        size_t bytes = sizeof text;
        if (transport_rank(t) != root) {
            data = NULL;
            bytes = 0;
        }
        TRY(transport_bcast(t, root, &data, &bytes, err));
        bool same = bytes == sizeof text && !memcmp(data, text, bytes);
        if (transport_rank(t) != root) mem_free(data);
        if (!same) return error_set(err, ST_INTERNAL, "root %d was not heard", root);
    }
    return transport_agree(t, ST_OK, "the end", err);
}

/* Barrier and broadcast from every root reach everybody. */
static void test_collectives(void **state)
{
    (void)state;
    struct rank ranks[5];
    run_all(5, 4, collectives, ranks);
    all_ok(ranks, 5);
}

static enum status disagree(struct transport *t, struct error *err)
{
    static const enum status mine[4] = {ST_OK, ST_IO, ST_MISMATCH, ST_MISMATCH};
    int rank = transport_rank(t);
    error_set(err, mine[rank], "text of rank %d", rank);
    error_hint(err, mine[rank], "hint of rank %d", rank);
    return transport_agree(t, mine[rank], "the outcome", err);
}

/* All ranks leave with the highest code and the words of the lowest rank that has
 * it. */
static void test_all_agree_on_one_status(void **state)
{
    (void)state;
    struct rank ranks[4];
    run_all(4, 5, disagree, ranks);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ranks[i].st, ST_MISMATCH);
        assert_string_equal(ranks[i].err.text, "text of rank 2");
        assert_string_equal(ranks[i].err.hint, "hint of rank 2");
    }
}

static enum status same_build(struct transport *t, struct error *err)
{
    const struct handshake_item items[2] = {{"build", "abc"}, {"config", "123"}};
    return transport_handshake(t, items, 2, err);
}

static enum status other_config(struct transport *t, struct error *err)
{
    bool other = transport_rank(t) == 1 || transport_rank(t) == 3;
    const struct handshake_item items[2] = {{"build", "abc"},
                                            {"config", other ? "999" : "123"}};
    return transport_handshake(t, items, 2, err);
}

/* Ranks of one job pass; ranks with another configuration are all named, to all. */
static void test_handshake(void **state)
{
    (void)state;
    struct rank ranks[4];
    run_all(4, 6, same_build, ranks);
    all_ok(ranks, 4);
    run_all(4, 6, other_config, ranks);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ranks[i].st, ST_USAGE);
        assert_non_null(
            strstr(ranks[i].err.text, "config differs on rank 1 (host loopback), 3"));
        assert_non_null(strstr(ranks[i].err.text, "123 on rank 0, 999 on rank 1"));
    }
}

static enum status silent(struct transport *t, struct error *err)
{
    struct message m;
    transport_deadline(t, 0.3);
    transport_name(t, 1, "server 0");
    if (transport_rank(t)) {
        usleep(1500 * 1000);
        return ST_OK;
    }
    return transport_recv(t, 1, CHANNEL_STEP, "the answer of step 7", &m, err);
}

/* A peer that gives no sign of life for the deadline is named with what was
 * waited for. */
static void test_silent_peer_is_lost(void **state)
{
    (void)state;
    struct rank ranks[2];
    run_all(2, 0, silent, ranks);
    assert_int_equal(ranks[0].st, ST_PEER);
    assert_non_null(
        strstr(ranks[0].err.text, "server 0 (rank 1 on host loopback): no sign of life"));
    assert_non_null(strstr(ranks[0].err.text, "the answer of step 7"));
    assert_non_null(strstr(ranks[0].err.hint, "cluster.deadline"));
}

static enum status busy(struct transport *t, struct error *err)
{
    struct message m;
    const struct piece piece = {"x", 1};
    transport_deadline(t, 0.3);
    if (!transport_rank(t))
        return transport_recv(t, 1, CHANNEL_STEP, "a slow answer", &m, err);
    for (uint64_t i = 0; i < 30; i++) {
        usleep(50 * 1000);
        transport_progress(t, i + 1);
    }
    TRY(transport_send(t, 0, CHANNEL_STEP, &piece, 1, err));
    return transport_flush(t, err);
}

/* Work of five deadlines that reports progress is waited for. */
static void test_slow_peer_is_waited_for(void **state)
{
    (void)state;
    struct rank ranks[2];
    run_all(2, 0, busy, ranks);
    all_ok(ranks, 2);
}

static enum status deadlock(struct transport *t, struct error *err)
{
    struct message m;
    transport_deadline(t, 0.3);
    return transport_recv(t, !transport_rank(t), CHANNEL_STEP, "a word", &m, err);
}

/* Ranks that live but wait for each other are found out too. */
static void test_deadlock_is_found(void **state)
{
    (void)state;
    struct rank ranks[2];
    run_all(2, 0, deadlock, ranks);
    assert_int_equal(ranks[0].st, ST_PEER);
    assert_int_equal(ranks[1].st, ST_PEER);
    assert_true(strstr(ranks[0].err.text, "no rank has made progress") ||
                strstr(ranks[1].err.text, "no rank has made progress"));
}

static void count_idle(void *arg)
{
    (*(int *)arg)++;
}

static enum status idle(struct transport *t, struct error *err)
{
    int calls = 0;
    struct message m;
    const struct piece piece = {"x", 1};
    if (transport_rank(t)) {
        usleep(200 * 1000);
        TRY(transport_send(t, 0, CHANNEL_STEP, &piece, 1, err));
        return transport_flush(t, err);
    }
    transport_on_idle(t, count_idle, &calls);
    TRY(transport_recv(t, 1, CHANNEL_STEP, "a word", &m, err));
    return calls > 5 && calls < 100 ? ST_OK
                                    : error_set(err, ST_INTERNAL, "%d idle calls", calls);
}

/* Waiting calls the idle function some hundred times a second. */
static void test_idle_function(void **state)
{
    (void)state;
    struct rank ranks[2];
    run_all(2, 0, idle, ranks);
    all_ok(ranks, 2);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* How long until this rank may speak; the highest rank comes last by far. */
static double word_after[3];

static enum status take_word(struct transport *t, struct error *err)
{
    double start = seconds();
    (void)err;
    transport_deadline(t, 2);
    if (transport_rank(t) == 2) usleep(500 * 1000);
    transport_take_word(t);
    word_after[transport_rank(t)] = seconds() - start;
    return ST_OK;
}

/* Of ranks that give up together one speaks at once; the others would, had the job not ended
 * by then: all that wait for a lost rank make one error. */
static void test_one_rank_has_the_last_word(void **state)
{
    (void)state;
    struct rank ranks[3];
    run_all(3, 0, take_word, ranks);
    all_ok(ranks, 3);
    size_t n_waited = 0;
    for (size_t i = 0; i < 3; i++) n_waited += word_after[i] > 1.9;
    assert_int_equal(n_waited, 2);
    assert_true(word_after[2] > 1.9); /* it comes last */
}

static enum status close_without(struct transport *t, struct error *err)
{
    transport_deadline(t, 0.3);
    return transport_rank(t) == 2 ? ST_OK : transport_close(t, err);
}

/* An end that a rank does not come to is an error of the others, not a hang. */
static void test_end_without_a_rank(void **state)
{
    (void)state;
    struct rank ranks[3];
    run_all(3, 0, close_without, ranks);
    assert_int_equal(ranks[0].st, ST_PEER);
    assert_non_null(strstr(ranks[0].err.text, "rank 2"));
    assert_non_null(strstr(ranks[0].err.text, "the end of the job"));
    assert_int_equal(ranks[1].st, ST_PEER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_is_kept),
        cmocka_unit_test(test_any_peer),
        cmocka_unit_test(test_collectives),
        cmocka_unit_test(test_all_agree_on_one_status),
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_silent_peer_is_lost),
        cmocka_unit_test(test_slow_peer_is_waited_for),
        cmocka_unit_test(test_deadlock_is_found),
        cmocka_unit_test(test_idle_function),
        cmocka_unit_test(test_one_rank_has_the_last_word),
        cmocka_unit_test(test_end_without_a_rank),
    };
    return cmocka_run_group_tests_name("transport_loop", tests, NULL, NULL);
}
