/* The server under attack, overload and change: changed requests, many slow clients, more
 * clients than it takes, new versions and the end in the middle of it all.
 *
 *   test_unit_serve_load        in a minute
 *   test_unit_serve_load full   at the counts of a release */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "serve/http/deadlines.h"
#include "tests/unit/serve_client.h"

static struct {
    uint64_t changed; /* requests */
    size_t slow;      /* connections */
    size_t versions;
    double seconds; /* of overload */
} counts = {200000, 120, 50, 1.5};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
enum { PARALLEL = 64 };

static int setup(void **state)
{
    struct serve_host *h = calloc(1, sizeof *h);
    *state = h;
    serve_host_open(h);
    return 0;
}

static int teardown(void **state)
{
    serve_host_close(*state);
    free(*state);
    return 0;
}

static const char row[] = "{\"instances\":[{\"user\":7,\"tags\":[1,2],\"price\":2.5,\"length\":9}]}";

/* ---- changed requests ---- */

static const char *const seeds[] = {
    "POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n"
    "{\"instances\":[{\"user\":7,\"tags\":[1]}]}",
    "POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 82\r\n\r\n"
    "{\"inputs\":[{\"name\":\"user\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"7\"]}],\"id\":\"x\"}  ",
    "POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: 95\r\nContent-Length: 103\r\n\r\n"
    "{\"inputs\":[{\"name\":\"user\",\"shape\":[1],\"datatype\":\"INT64\",\"parameters\":{\"binary_data_size\":8}}]}12345678",
    "GET /v2/models/m HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\nGET /v1/models/m/metadata HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "POST http://y:80/v1/models/%6d%3Apredict?a=%00 HTTP/1.1\r\nHost: x\r\nContent-Length: 36\r\n\r\n{\"instances\":[{\"price\":1,\"user\":7}]}",
    "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"};

/* Bytes replaced, removed, doubled, and pieces of other requests put in. */
static size_t change(uint64_t i, char *out, size_t size)
{
    const char *seed = seeds[i % (sizeof seeds / sizeof *seeds)];
    size_t n = strlen(seed);
    memcpy(out, seed, n);
    for (uint64_t k = 0; k < 1 + hash_mix(i) % 4; k++) {
        uint64_t h = hash_mix(i * 16 + k + 1), what = h >> 60;
        size_t at = h % n, length = 1 + (h >> 16) % 24;
        if (length > n - at) length = n - at;
        if (what < 6) {
            out[at] = (char)(h >> 40);
        } else if (what < 10) {
            memmove(out + at, out + at + length, n - at - length);
            n -= length;
            if (!n) return 0;
        } else if (n + length < size) {
            const char *other = what < 13 ? out : seeds[(h >> 48) % (sizeof seeds / sizeof *seeds)];
            size_t from = (h >> 24) % (what < 13 ? n : strlen(other)), most = (what < 13 ? n : strlen(other)) - from;
            char piece[32];
            if (length > most) length = most;
            memcpy(piece, other + from, length);
            memmove(out + at + length, out + at, n - at);
            memcpy(out + at, piece, length);
            n += length;
        }
    }
    return n;
}

static bool is_status(int status)
{
    static const int known[] = {100, 200, 400, 404, 405, 408, 411, 413, 414, 415, 421, 431, 503, 505};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (status == known[i]) return true;
    return false;
}

/* Sends a changed request, and takes what came for the one that was sent PARALLEL before. */
static bool send_changed(struct serve_host *h, int *ring, uint64_t i, struct serve_answer *a)
{
    char bytes[2048];
    int *fd = &ring[i % PARALLEL];
    bool answered = false;
    if (*fd >= 0) {
        serve_receive(*fd, 0, a);
        if (a->status && !is_status(a->status)) fail_msg("request %llu: status %d", (unsigned long long)(i - PARALLEL), a->status);
        answered = a->status != 0;
        close(*fd);
    }
    *fd = serve_connect(h);
    assert_true(*fd >= 0);
    serve_send(*fd, bytes, change(i, bytes, sizeof bytes));
    return answered;
}

static void ask_once(struct serve_host *h, struct serve_answer *a)
{
    char request[1024];
    int fd = serve_connect(h);
    serve_ask(fd, request, serve_predict_request(row, request, sizeof request), a);
    close(fd);
    assert_int_equal(a->status, 200);
}

/* Whatever is sent, the server lives, answers with a status of its own or closes, and a
 * valid request has the same answer afterwards; no file stays open, no memory is lost. */
static void changed_requests_do_no_harm(void **state)
{
    struct serve_host *h = *state;
    static struct serve_answer a, before, after;
    int ring[PARALLEL];
    size_t files = serve_open_files(), resident = 0, answered = 0;
    h->numbers.header_time = h->numbers.body_time = h->numbers.idle_time = 1;
    serve_host_start(h);
    ask_once(h, &before);
    files = serve_open_files();
    for (size_t i = 0; i < PARALLEL; i++) ring[i] = -1;
    for (uint64_t i = 0; i < counts.changed; i++) {
        /* How much connections take together depends on how many there are at once. */
        if (i < counts.changed / 2 && i % 100 == 0 && serve_resident_bytes() > resident) resident = serve_resident_bytes();
        answered += send_changed(h, ring, i, &a);
    }
    for (size_t i = 0; i < PARALLEL; i++) close(ring[i]);
    assert_true(answered > counts.changed / 20); /* those that came in time */
    for (int i = 0; i < 500 && serve_open_files() > files + 2; i++) nanosleep(&(struct timespec){0, 10000000}, NULL);
    assert_true(serve_open_files() <= files + 2);
    ask_once(h, &after);
    assert_string_equal(after.text + after.head, before.text + before.head);
    /* Sanitizers keep what was freed. */
    if (!SANITIZED) assert_true(serve_resident_bytes() < resident + resident / 20 + (1 << 20));
    assert_int_equal(h->n_failed, 0);
}

/* ---- clients that ask all the time ---- */

struct client {
    struct serve_host *host;
    pthread_t thread;
    atomic_bool *stop;
    const char *const *want; /* [2] bodies of odd and even versions; NULL: not compared */
    size_t good, refused, wrong;
    double slowest;
    bool reconnects;
};

static void count_answer(struct client *c, const struct serve_answer *a)
{
    bool same = !c->want || (a->version && !strcmp(a->text + a->head, c->want[a->version % 2]));
    if (a->status == 200 && same)
        c->good++;
    else if (a->status == 503)
        c->refused++;
    else
        c->wrong++;
}

static void *keep_asking(void *arg)
{
    struct client *c = arg;
    char request[1024];
    struct serve_answer *a = malloc(sizeof *a);
    size_t n = serve_predict_request(row, request, sizeof request);
    int fd = -1;
    while (!atomic_load(c->stop)) {
        if (fd < 0) fd = serve_connect(c->host);
        double began = serve_now();
        serve_ask(fd, request, n, a);
        double took = serve_now() - began;
        if (took > c->slowest) c->slowest = took;
        count_answer(c, a);
        if (a->status == 200 && !c->reconnects) continue;
        close(fd);
        fd = -1;
    }
    if (fd >= 0) close(fd);
    free(a);
    return NULL;
}

static void start_clients(struct client *c, size_t n, struct serve_host *h, atomic_bool *stop, const char *const *want,
                          bool reconnects)
{
    atomic_store(stop, false);
    for (size_t i = 0; i < n; i++) {
        c[i] = (struct client){.host = h, .stop = stop, .want = want, .reconnects = reconnects};
        assert_int_equal(pthread_create(&c[i].thread, NULL, keep_asking, &c[i]), 0);
    }
}

static struct client stop_clients(struct client *c, size_t n, atomic_bool *stop)
{
    struct client all = {0};
    atomic_store(stop, true);
    for (size_t i = 0; i < n; i++) {
        pthread_join(c[i].thread, NULL);
        all.good += c[i].good;
        all.refused += c[i].refused;
        all.wrong += c[i].wrong;
        if (c[i].slowest > all.slowest) all.slowest = c[i].slowest;
    }
    return all;
}

/* ---- slow clients ---- */

/* Clients that dawdle over headers or bodies, or take no answer, do not keep others from
 * theirs, and are cut at their limits. */
static void slow_clients_harm_nobody(void **state)
{
    struct serve_host *h = *state;
    static const char *const starts[] = {"GET /v2 HTTP/1.1\r\nHost",
                                         "POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{\"in",
                                         "GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n", ""};
    int *fd = calloc(counts.slow, sizeof *fd);
    struct client c[2];
    atomic_bool stop;
    h->numbers.header_time = h->numbers.body_time = h->numbers.idle_time = 2;
    serve_host_start(h);
    for (size_t i = 0; i < counts.slow; i++) {
        fd[i] = serve_connect(h);
        assert_true(fd[i] >= 0 && serve_send(fd[i], starts[i % 4], strlen(starts[i % 4])));
    }
    double began = serve_now();
    start_clients(c, 2, h, &stop, NULL, false);
    while (serve_now() - began < 1.5)
        for (size_t i = 0; i < counts.slow; i += 7) serve_send(fd[i], "a", 1);
    struct client all = stop_clients(c, 2, &stop);
    assert_int_equal(all.wrong, 0);
    assert_int_equal(all.refused, 0);
    assert_true(all.good > 100);
    for (size_t i = 0; i < counts.slow; i++) {
        assert_true(serve_ends(fd[i], 15));
        close(fd[i]);
    }
    free(fd);
}

/* ---- too many clients ---- */

/* Beyond its connections the server says 503, a thousand times a second at most and once more
 * for each connection that ended, and goes on answering the others; when the others are gone,
 * everybody is answered again. */
static void overload_is_refused(void **state)
{
    struct serve_host *h = *state;
    enum { CLIENTS = 20 };
    struct client c[CLIENTS];
    atomic_bool stop;
    h->numbers.max_connections = 4;
    serve_host_start(h);
    start_clients(c, CLIENTS, h, &stop, NULL, true);
    double start = serve_now();
    nanosleep(&(struct timespec){(time_t)counts.seconds, (long)((counts.seconds - (double)(time_t)counts.seconds) * 1e9)}, NULL);
    struct client all = stop_clients(c, CLIENTS, &stop);
    double seconds = serve_now() - start;
    print_message("%zu answered, %zu refused\n", all.good, all.refused);
    assert_int_equal(all.wrong, 0);
    assert_true(all.good > 100);
    assert_true(all.refused > 0 && (double)all.refused < seconds * 1000 + (double)all.good + 1);
    double began = serve_now();
    for (struct serve_answer *a = calloc(1, sizeof *a);; nanosleep(&(struct timespec){0, 10000000}, NULL)) {
        char request[1024];
        int fd = serve_connect(h);
        serve_ask(fd, request, serve_predict_request(row, request, sizeof request), a);
        close(fd);
        int status = a->status;
        if (status != 200 && serve_now() - began < 2) continue;
        free(a);
        assert_int_equal(status, 200);
        break;
    }
}

/* The same through a queue of batches: every answer is 200 or 503, the latter ten times a
 * second and client at most. */
static void a_full_queue_refuses(void **state)
{
    struct serve_host *h = *state;
    enum { CLIENTS = 12 };
    struct client c[CLIENTS];
    atomic_bool stop;
    h->numbers.batch_rows = 4;
    h->numbers.batch_window = 2000;
    h->numbers.max_waiting = 3;
    serve_host_start(h);
    start_clients(c, CLIENTS, h, &stop, NULL, false);
    double start = serve_now();
    nanosleep(&(struct timespec){1, 0}, NULL);
    struct client all = stop_clients(c, CLIENTS, &stop);
    double seconds = serve_now() - start;
    assert_int_equal(all.wrong, 0);
    assert_true(all.good > 100);
    assert_true(all.refused > 0 && (double)all.refused < CLIENTS * (seconds * 1000 / DEADLINES_REST_MS + 1));
}

/* ---- new versions ---- */

/* The body that version v answers with. */
static char *body_of(struct serve_host *h, unsigned v)
{
    char request[1024];
    struct serve_answer *a = calloc(1, sizeof *a);
    struct served *open = NULL;
    server_look(h->server);
    for (int i = 0; i < 3000 && !open; i++) {
        open = models_hold(&server_models(h->server)->items[0], v);
        if (!open) nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    assert_non_null(open);
    served_release(open);
    int fd = serve_connect(h);
    serve_ask(fd, request, serve_predict_request(row, request, sizeof request), a);
    close(fd);
    assert_int_equal(a->version, v);
    char *body = strdup(a->text + a->head);
    free(a);
    return body;
}

/* While versions come and go no request fails, and each answer is that of the version
 * that it names, one by one or in batches. */
static void swap(struct serve_host *h)
{
    enum { CLIENTS = 4 };
    struct client c[CLIENTS];
    atomic_bool stop;
    char *want[2];
    serve_host_start(h);
    want[1] = body_of(h, 1);
    serve_host_put(h, 2, SECTION_F16);
    want[0] = body_of(h, 2);
    assert_string_not_equal(want[0], want[1]);
    start_clients(c, CLIENTS, h, &stop, (const char *const *)want, false);
    for (unsigned v = 3; v < 3 + counts.versions; v++) {
        serve_host_put(h, v, v % 2 ? SECTION_F32 : SECTION_F16);
        free(body_of(h, v));
    }
    struct client all = stop_clients(c, CLIENTS, &stop);
    assert_int_equal(all.wrong, 0);
    assert_int_equal(all.refused, 0);
    assert_true(all.good > counts.versions);
    assert_int_equal(h->n_failed, 0);
    free(want[0]);
    free(want[1]);
}

static void new_versions_fail_no_request(void **state)
{
    swap(*state);
}

static void nor_do_they_with_batches(void **state)
{
    struct serve_host *h = *state;
    h->numbers.batch_rows = 8;
    h->numbers.batch_window = 200;
    swap(h);
}

/* ---- the end ---- */

static void *stop_server(void *host)
{
    serve_host_stop(host);
    return NULL;
}

/* Half a request is there when the end begins: its second half is taken and answered. */
static void the_end_cuts_no_answer(void **state)
{
    struct serve_host *h = *state;
    char request[1024];
    struct serve_answer a;
    pthread_t end;
    size_t n = serve_predict_request(row, request, sizeof request);
    serve_host_start(h);
    int idle = serve_connect(h), fd = serve_connect(h);
    serve_ask(idle, request, n, &a);
    assert_int_equal(a.status, 200);
    assert_true(serve_send(fd, request, n - 10));
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    double began = serve_now();
    assert_int_equal(pthread_create(&end, NULL, stop_server, h), 0);
    nanosleep(&(struct timespec){0, 400000000}, NULL);
    assert_true(serve_send(fd, request + n - 10, 10));
    serve_receive(fd, 5, &a);
    assert_int_equal(a.status, 200);
    assert_true(strstr(a.text, "Connection: close") != NULL);
    pthread_join(end, NULL);
    assert_true(serve_now() - began < 5);
    assert_true(serve_ends(idle, 1));
    close(fd);
    close(idle);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "full")) {
        counts.changed = 1000000;
        counts.slow = 500;
        counts.versions = 500;
        counts.seconds = 30;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(changed_requests_do_no_harm), TEST(slow_clients_harm_nobody),     TEST(overload_is_refused),
        TEST(a_full_queue_refuses),        TEST(new_versions_fail_no_request), TEST(nor_do_they_with_batches),
        TEST(the_end_cuts_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
