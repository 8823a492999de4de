#include "serve/http/server.h"

#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/base/mem.h"
#include "serve/http/closing.h"

enum { MIB = 1 << 20, OTHER_FILES = 256 + CLOSING_MOST };

#define OPTION(name, field, unit, least, most, usual, help) \
    {name, unit, help, least, most, usual, offsetof(struct server_numbers, field)}

const struct server_option server_options[] = {
    OPTION("port", port, "N", 0, 65535, 8080, "port; 0: one that is free"),
    OPTION("threads", threads, "N", 0, 1024, 0, "threads that read, score and answer; 0: as many as processors"),
    OPTION("versions", versions, "N", 1, MODELS_MAX_VERSIONS, 1, "newest versions of each model that are open"),
    OPTION("poll", poll, "S", 0, 86400, 2, "seconds between two looks for new versions; 0: only on SIGHUP"),
    OPTION("batch-rows", batch_rows, "N", 1, 65536, 1, "score requests together, up to N rows; 1: each by itself"),
    OPTION("batch-window", batch_window, "US", 0, 1000000, 500, "microseconds that a batch waits for more requests"),
    OPTION("max-waiting", max_waiting, "N", 1, 1000000, 256, "requests that wait for their batch; more: 503"),
    OPTION("max-rows", max_rows, "N", 1, 1 << 24, 4096, "rows of a request; more: 413"),
    OPTION("max-values", max_values, "N", 1, 1 << 30, 1000000, "values of a request, in all rows and inputs; more: 413"),
    OPTION("max-body", max_body, "BYTES", 1, UINT64_C(1) << 31, 8 * MIB, "bytes of a request's body; more: 413"),
    OPTION("max-memory", max_memory, "BYTES", MIB, UINT64_C(1) << 40, 512 * (uint64_t)MIB,
           "memory that the large requests of a moment take together; more: 503"),
    OPTION("max-connections", max_connections, "N", 1, 1000000, 1024, "open connections; more: 503"),
    OPTION("header-time", header_time, "S", 1, 86400, 10, "seconds for a request's headers"),
    OPTION("body-time", body_time, "S", 1, 86400, 30, "seconds for a request's body"),
    OPTION("idle-time", idle_time, "S", 1, 86400, 60, "seconds between two requests of a connection"),
    OPTION("write-time", write_time, "S", 1, 86400, 30, "seconds in which a client takes its answer"),
    OPTION("drain-time", drain_time, "S", 0, 86400, 5, "seconds that requests have to end after SIGTERM")};
const size_t n_server_options = sizeof server_options / sizeof *server_options;

void server_defaults(struct server_numbers *numbers)
{
    for (size_t i = 0; i < n_server_options; i++)
        memcpy((char *)numbers + server_options[i].place, &server_options[i].usual, sizeof(uint64_t));
}

struct server {
    struct server_spec spec;
    struct service service;
    struct http *http;
    pthread_mutex_t lock;
    pthread_cond_t due;
    pthread_t watcher;
    bool watching, stop, look;
};

/* ---- the watch ---- */

/* Until a look is due; false at the end. *again: it was asked for. */
static bool await_look(struct server *s, bool *again)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)s->spec.numbers.poll;
    int late = 0;
    while (!s->stop && !s->look && !late)
        late = s->spec.numbers.poll ? pthread_cond_timedwait(&s->due, &s->lock, &until)
                                    : pthread_cond_wait(&s->due, &s->lock);
    *again = s->look;
    s->look = false;
    return !s->stop;
}

static void *watch(void *arg)
{
    struct server *s = arg;
    bool again;
    pthread_mutex_lock(&s->lock);
    while (await_look(s, &again)) {
        pthread_mutex_unlock(&s->lock);
        models_look(s->service.models, again);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static enum status start_watch(struct server *s, struct error *err)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->due, &attr);
    pthread_condattr_destroy(&attr);
    int code = pthread_create(&s->watcher, NULL, watch, s);
    s->watching = code == 0;
    return code ? error_set(err, ST_INTERNAL, "a thread cannot be started: %s", strerror(code)) : ST_OK;
}

static void stop_watch(struct server *s)
{
    if (!s->watching) return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->due);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->watcher, NULL);
    pthread_cond_destroy(&s->due);
    pthread_mutex_destroy(&s->lock);
}

void server_look(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    s->look = true;
    pthread_cond_signal(&s->due);
    pthread_mutex_unlock(&s->lock);
}

/* ---- parts ---- */

static size_t processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

/* A connection is a file. */
static enum status allow_files(uint64_t connections, struct error *err)
{
    struct rlimit limit;
    rlim_t need = connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need) return ST_OK;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < need) {
        error_set(err, ST_USAGE, "--max-connections %llu needs %llu open files, and %llu are allowed",
                  (unsigned long long)connections, (unsigned long long)need, (unsigned long long)limit.rlim_max);
        return error_hint(err, ST_USAGE, "allow more (ulimit -Hn) or take fewer connections");
    }
    limit.rlim_cur = need;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? ST_OK : error_set(err, ST_INTERNAL, "the number of open files cannot be set");
}

static enum status open_models(struct server *s, struct error *err)
{
    const struct server_numbers *n = &s->spec.numbers;
    struct models_spec spec = {n->versions, n->threads, s->spec.open_flags, s->spec.say, s->spec.arg};
    TRY(models_create(&spec, &s->service.models, err));
    for (size_t i = 0; i < s->spec.n_places; i++)
        TRY(models_add(s->service.models, s->spec.places[i].name, s->spec.places[i].path, err));
    return ST_OK;
}

static enum status start_batcher(struct server *s, struct error *err)
{
    const struct server_numbers *n = &s->spec.numbers;
    if (n->batch_rows == 1) return ST_OK;
    struct batcher_spec spec = {n->threads, n->batch_rows, n->batch_window, n->max_waiting};
    return batcher_create(&spec, &s->service.batcher, err);
}

static enum status start_http(struct server *s, struct error *err)
{
    const struct server_numbers *n = &s->spec.numbers;
    struct http_spec spec = {.address = s->spec.address,
                             .port = (uint16_t)n->port,
                             .n_threads = n->threads,
                             .max_connections = n->max_connections,
                             .max_body = n->max_body,
                             .seconds = {(unsigned)n->header_time, (unsigned)n->body_time, (unsigned)n->idle_time,
                                         (unsigned)n->write_time},
                             .service = &s->service};
    return http_start(&spec, &s->http, err);
}

static enum status start(struct server *s, struct error *err)
{
    struct server_numbers *n = &s->spec.numbers;
    if (!n->threads) n->threads = processors();
    s->service.limits = (struct ask_limits){n->max_rows, n->max_values};
    s->service.memory.max = n->max_memory;
    s->service.version = s->spec.version;
    TRY(allow_files(n->max_connections, err));
    TRY(open_models(s, err));
    TRY(start_batcher(s, err));
    TRY(start_watch(s, err));
    return start_http(s, err);
}

enum status server_start(const struct server_spec *spec, struct server **out, struct error *err)
{
    struct server *s = *out = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "server", sizeof *s);
    s->spec = *spec;
    enum status st = start(s, err);
    if (st == ST_OK) return ST_OK;
    server_stop(s);
    *out = NULL;
    return st;
}

const struct http *server_http(const struct server *s)
{
    return s->http;
}

struct models *server_models(const struct server *s)
{
    return s->service.models;
}

void server_stop(struct server *s)
{
    if (!s) return;
    if (s->http) http_drain(s->http, (unsigned)s->spec.numbers.drain_time);
    batcher_destroy(s->service.batcher); /* wakes what waits: nothing is suspended after it */
    http_stop(s->http);
    stop_watch(s);
    models_destroy(s->service.models);
    mem_free(s);
}
