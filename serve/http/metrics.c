#include "serve/http/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* 0: any other. */
static const int codes[METRICS_CODES] = {200, 400, 404, 405, 408, 411, 413, 414, 415, 421, 431, 500, 501, 503, 505, 0};
/* Upper ends in microseconds. */
static const uint64_t ends_us[METRICS_BUCKETS] = {50,    100,   250,    500,    1000,   2500,    5000,    10000,
                                                  25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};
static const char *const forms[METRICS_FORMS] = {"infer", "predict", "other"};
static const char *const limits[METRICS_LIMITS] = {"header", "body", "idle", "write"};

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_answer(struct metrics *m, enum metrics_form form, int code, int64_t ns)
{
    size_t c = 0, b = 0;
    while (codes[c] && codes[c] != code) c++;
    while (b < METRICS_BUCKETS && (uint64_t)ns > ends_us[b] * 1000) b++;
    add(&m->answers[form][c], 1);
    add(&m->within[form][b], 1);
    add(&m->nanoseconds[form], (uint64_t)ns);
}

/* ---- text ---- */

static void put(struct jsonout *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct jsonout *out, const char *fmt, ...)
{
    char text[768]; /* a model's name has 255 bytes at most */
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    jsonout_raw(out, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

static void head(struct jsonout *out, const char *name, const char *type, const char *help)
{
    put(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct jsonout *out, const char *name, const char *type, const char *help, uint64_t v)
{
    head(out, name, type, help);
    put(out, "%s %" PRIu64 "\n", name, v);
}

static void put_answers(struct metrics *m, struct jsonout *out)
{
    head(out, "mtps_answers_total", "counter", "Answers by form of the request and status.");
    for (size_t f = 0; f < METRICS_FORMS; f++)
        for (size_t c = 0; c < METRICS_CODES; c++) {
            uint64_t n = get(&m->answers[f][c]);
            char code[16] = "other";
            if (codes[c]) snprintf(code, sizeof code, "%d", codes[c]);
            if (n) put(out, "mtps_answers_total{form=\"%s\",code=\"%s\"} %" PRIu64 "\n", forms[f], code, n);
        }
}

static void put_seconds(struct metrics *m, struct jsonout *out)
{
    head(out, "mtps_answer_seconds", "histogram", "Time from the whole request to the whole answer.");
    for (size_t f = 0; f < METRICS_FORMS; f++) {
        uint64_t n = 0;
        for (size_t b = 0; b < METRICS_BUCKETS; b++) {
            n += get(&m->within[f][b]);
            put(out, "mtps_answer_seconds_bucket{form=\"%s\",le=\"%g\"} %" PRIu64 "\n", forms[f], (double)ends_us[b] * 1e-6, n);
        }
        n += get(&m->within[f][METRICS_BUCKETS]);
        put(out, "mtps_answer_seconds_bucket{form=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", forms[f], n);
        put(out, "mtps_answer_seconds_sum{form=\"%s\"} %.9f\n", forms[f], (double)get(&m->nanoseconds[f]) * 1e-9);
        put(out, "mtps_answer_seconds_count{form=\"%s\"} %" PRIu64 "\n", forms[f], n);
    }
}

static void put_models(struct models *models, struct jsonout *out)
{
    static const struct {
        const char *name, *help;
        size_t place;
    } counters[] = {
        {"mtps_rows_total", "Rows scored.", offsetof(struct models_item, rows)},
        {"mtps_requests_total", "Requests for scores that were answered with them.", offsetof(struct models_item, requests)},
        {"mtps_versions_opened_total", "Versions opened since the start.", offsetof(struct models_item, opened)},
        {"mtps_versions_refused_total", "Versions that could not be used.", offsetof(struct models_item, refused)}};
    for (size_t c = 0; c < sizeof counters / sizeof *counters; c++) {
        head(out, counters[c].name, "counter", counters[c].help);
        for (size_t i = 0; i < models->n_items; i++) {
            struct models_item *item = &models->items[i];
            _Atomic uint64_t *counter = (_Atomic uint64_t *)((char *)item + counters[c].place);
            put(out, "%s{model=\"%s\"} %" PRIu64 "\n", counters[c].name, item->name, get(counter));
        }
    }
    head(out, "mtps_version", "gauge", "1 for each version that is open.");
    for (size_t i = 0; i < models->n_items; i++) {
        struct served *v[MODELS_MAX_VERSIONS];
        size_t n = models_hold_all(&models->items[i], v);
        for (size_t k = 0; k < n; k++) {
            put(out, "mtps_version{model=\"%s\",version=\"%" PRIu64 "\"} 1\n", models->items[i].name, v[k]->version);
            served_release(v[k]);
        }
    }
}

static void put_batches(struct batcher *batcher, struct jsonout *out)
{
    struct batcher_counts c;
    batcher_count(batcher, &c);
    one(out, "mtps_batches_total", "counter", "Batches scored.", c.batches);
    one(out, "mtps_batch_rows_total", "counter", "Rows of all batches.", c.rows);
    one(out, "mtps_batch_waiting", "gauge", "Requests that wait for their batch.", c.waiting);
}

static uint64_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*u %lu", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void metrics_write(struct metrics *m, struct models *models, struct batcher *batcher, const struct budget *memory,
                   struct jsonout *out)
{
    put_answers(m, out);
    put_seconds(m, out);
    put_models(models, out);
    if (batcher) put_batches(batcher, out);
    head(out, "mtps_connections_cut_total", "counter", "Connections cut at a time limit.");
    for (size_t i = 0; i < METRICS_LIMITS; i++)
        put(out, "mtps_connections_cut_total{limit=\"%s\"} %" PRIu64 "\n", limits[i], get(&m->cut[i]));
    one(out, "mtps_connections", "gauge", "Open connections.", (uint64_t)atomic_load(&m->connections));
    one(out, "mtps_request_memory_bytes", "gauge", "Memory of large requests of this moment.", atomic_load(&memory->used));
    one(out, "process_resident_memory_bytes", "gauge", "Resident memory, with the pages of bundles.", resident_bytes());
}
