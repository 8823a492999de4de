#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/store/file.h"
#include "worker/bench.h"

enum { MAX_ROUNDS = 101, BATCH_ROWS = 4096 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct speeds {
    double prepare[MAX_ROUNDS], read[MAX_ROUNDS], batches[MAX_ROUNDS];
    size_t n;
};

/* Every selected row once, in batches, as evaluation builds them. */
static enum status scan_all(struct dataset *d, const struct fit *fit, struct error *err)
{
    struct scan *scan;
    const struct batch *batch;
    TRY(scan_open(d, fit, 0, dataset_rows(d), BATCH_ROWS, &scan, err));
    enum status st;
    do {
        st = scan_next(scan, &batch, err);
    } while (st == ST_OK && batch != NULL);
    scan_close(scan);
    return st;
}

static enum status time_read(struct dataset *d, struct speeds *out, struct error *err)
{
    struct fit *fit = NULL;
    TRY(fit_compute(d, BATCH_ROWS, &fit, err));
    double rows = (double)dataset_rows(d), start = now_s();
    enum status st = dataset_read(d, fit, err);
    double middle = now_s();
    if (st == ST_OK) st = scan_all(d, fit, err);
    out->read[out->n] = rows / (middle - start);
    out->batches[out->n] = rows / (now_s() - middle);
    fit_destroy(fit);
    return st;
}

static enum status time_prepare(const struct schema *schema, struct speeds *out,
                                char **path, struct error *err)
{
    const struct source_cfg *train = &schema->settings->data.train;
    struct prepare_options opt = {.force = true};
    struct bad_rows bad;
    bad_rows_init(&bad, &schema->settings->data);
    double start = now_s();
    TRY(prepare(schema, train, &opt, path, &bad, err));
    out->prepare[out->n] = (double)(bad.n_good + bad.n_bad) / (now_s() - start);
    return ST_OK;
}

static enum status one_round(const struct schema *schema, struct speeds *out,
                             struct error *err)
{
    struct dataset *d = NULL;
    char *path = NULL;
    enum status st = time_prepare(schema, out, &path, err);
    if (st == ST_OK)
        st = dataset_open(path, schema, &schema->settings->data.train, USE_TRAIN, &d, err);
    if (st == ST_OK) st = time_read(d, out, err);
    dataset_close(d);
    mem_free(path);
    out->n++;
    return st;
}

static enum status all_rounds(const struct settings *s, size_t rounds, struct speeds *out,
                              struct error *err)
{
    struct raw_columns columns;
    struct schema *schema = NULL;
    TRY(raw_columns_read(&s->data, &s->data.train, &columns, err));
    enum status st = schema_build(s, &columns, false, &schema, err);
    raw_columns_close(&columns);
    for (size_t i = 0; st == ST_OK && i < rounds; i++) st = one_round(schema, out, err);
    schema_destroy(schema);
    return st;
}

static json_t *line(const char *name, double *v, size_t n)
{
    return json_pack("{s:s, s:f, s:s}", "name", name, "value", bench_median(v, n), "unit",
                     "rows/s");
}

enum status bench_data(const struct settings *settings, size_t rounds, json_t **result,
                       struct error *err)
{
    if (rounds < 1 || rounds > MAX_ROUNDS)
        return error_set(err, ST_USAGE, "--rounds: 1 to %d", MAX_ROUNDS);
    char cache[4096];
    int n = snprintf(cache, sizeof cache, "%s/bench-%ld", settings->data.cache,
                     (long)getpid());
    if (n < 0 || (size_t)n >= sizeof cache)
        return error_set(err, ST_USAGE, "data.cache: %s: path is too long",
                         settings->data.cache);
    struct settings own = *settings;
    struct speeds speeds = {.n = 0};
    own.data.cache = cache;
    enum status st = all_rounds(&own, rounds, &speeds, err);
    enum status removed = file_remove_tree(cache, st == ST_OK ? err : NULL);
    if (st == ST_OK) st = removed;
    if (st != ST_OK) return st;
    *result = json_pack("[o, o, o]", line("prepare", speeds.prepare, rounds),
                        line("read", speeds.read, rounds),
                        line("batches", speeds.batches, rounds));
    return *result ? ST_OK : mem_error(err, "bench", 1024);
}
