/* How long the inference library takes: bench_infer BUNDLE [<ROWS.csv]
 *
 * One thread. Prepared keys are the bundle's own, so that every id has a row. Texts are
 * those of the csv rows on standard input, whose first line names the columns (no
 * quotes); without rows they are not measured. Prints the median and the 99th percentile
 * of a call in microseconds, as JSON lines, for batches of 1 and 256 rows, the time of
 * opening (of three times the shortest), and the memory that model and scorer have made
 * resident, mapped pages of the file included. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "serve/loaded.h"

enum { ROWS = 4096, LIST = 5, WARM = 50, MOST_COLUMNS = 1024, OPENINGS = 3 };

struct bench {
    struct mtps_model *model;
    struct mtps_scorer *scorer;
    size_t n_features, n_inputs, n_tasks;
    uint64_t **keys;    /* [n_features][ROWS * LIST] */
    uint32_t *offsets;  /* [ROWS + 1] of lists */
    float **numbers;    /* [n_features][ROWS * width] */
    struct mtps_column *columns;
    struct mtps_value *values; /* [ROWS, n_inputs] */
    size_t n_values;           /* rows read */
    float *scores;
    uint64_t state;
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

/* KiB of this process in memory. */
static long resident(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) sscanf(line, "VmRSS: %ld", &kib);
    if (f) fclose(f);
    return kib;
}

static uint64_t next(struct bench *b)
{
    b->state = b->state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return b->state >> 33;
}

static uint64_t some_key(struct bench *b, size_t feature)
{
    const struct schema_feature *f = &b->model->schema->features[feature];
    if (f->kind == FEATURE_ONE_HOT)
        return b->model->fit->n_levels[f->place] ? b->model->fit->levels[f->place][next(b) % b->model->fit->n_levels[f->place]] : 0;
    const struct lookup_keys *k = &b->model->tables[f->table].keys;
    return k->n ? k->keys[next(b) % k->n] : next(b);
}

static void make_rows(struct bench *b)
{
    b->keys = mem_zeroed(b->n_features, sizeof *b->keys);
    b->numbers = mem_zeroed(b->n_features, sizeof *b->numbers);
    b->columns = mem_zeroed(b->n_features, sizeof *b->columns);
    b->offsets = mem_array(ROWS + 1, sizeof *b->offsets);
    for (size_t r = 0; r <= ROWS; r++) b->offsets[r] = (uint32_t)(r * LIST);
    for (size_t i = 0; i < b->n_features; i++) {
        const struct mtps_feature *f = mtps_feature(b->model, i);
        if (f->kind == MTPS_FEATURE_NUMBERS) {
            b->numbers[i] = mem_array(ROWS * f->width, sizeof **b->numbers);
            for (size_t j = 0; j < ROWS * f->width; j++) b->numbers[i][j] = (float)(next(b) % 1000);
        } else {
            b->keys[i] = mem_array(ROWS * LIST, sizeof **b->keys);
            for (size_t j = 0; j < ROWS * LIST; j++) b->keys[i][j] = some_key(b, i);
        }
        b->columns[i] = (struct mtps_column){b->keys[i], f->is_list ? b->offsets : NULL, b->numbers[i]};
    }
    b->scores = mem_array(ROWS * b->n_tasks, sizeof *b->scores);
}

/* Rows of the csv on standard input; its lines live as long as the process. */
static void read_rows(struct bench *b)
{
    ptrdiff_t input[MOST_COLUMNS];
    size_t n_columns = 0;
    b->values = mem_zeroed(ROWS * b->n_inputs, sizeof *b->values);
    for (bool header = true; b->n_values < ROWS; header = false) {
        char *line = NULL, *at;
        size_t room = 0, column = 0;
        if (getline(&line, &room, stdin) <= 0) return;
        line[strcspn(line, "\r\n")] = '\0';
        at = line;
        for (char *field; column < MOST_COLUMNS && (field = strsep(&at, ",")); column++) {
            if (header)
                input[column] = mtps_find_input(b->model, field);
            else if (column < n_columns && input[column] >= 0)
                b->values[b->n_values * b->n_inputs + (size_t)input[column]] = mtps_text(field);
        }
        if (header)
            n_columns = column;
        else
            b->n_values++;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double score(struct bench *b, bool keys, size_t first, size_t n)
{
    struct mtps_error err;
    struct mtps_column columns[1024];
    for (size_t i = 0; keys && i < b->n_features && i < 1024; i++) {
        const struct mtps_column *c = &b->columns[i];
        size_t width = mtps_feature(b->model, i)->width;
        columns[i] = (struct mtps_column){c->keys ? c->keys + (c->offsets ? 0 : first) : NULL,
                                          c->offsets ? c->offsets + first : NULL,
                                          c->numbers ? c->numbers + first * width : NULL};
    }
    double start = now_us();
    enum mtps_status st = keys ? mtps_score_keys(b->scorer, columns, NULL, n, b->scores, &err)
                               : mtps_score(b->scorer, b->values + first * b->n_inputs, n, b->scores, &err);
    double took = now_us() - start;
    if (st != MTPS_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        exit(status_exit_code(ST_INTERNAL));
    }
    return took;
}

static void measure(struct bench *b, bool keys, size_t n, size_t times)
{
    size_t rows = keys ? ROWS : b->n_values;
    if (rows <= n) return;
    double *took = mem_array(times, sizeof *took);
    for (size_t i = 0; i < WARM; i++) score(b, keys, next(b) % (rows - n), n);
    for (size_t i = 0; i < times; i++) took[i] = score(b, keys, next(b) % (rows - n), n);
    qsort(took, times, sizeof *took, by_value);
    printf("{\"name\":\"infer.%s.batch%zu\",\"value\":%.2f,\"p99\":%.2f,\"unit\":\"us\"}\n", keys ? "keys" : "texts", n,
           took[times / 2], took[times * 99 / 100]);
    mem_free(took);
}

/* Leaves the model open. */
static void open_often(struct bench *b, const char *path, unsigned flags, const char *what)
{
    struct mtps_error err;
    double best = 0;
    for (int i = 0; i < OPENINGS; i++) {
        if (i) mtps_close(b->model);
        double start = now_us();
        if (mtps_open(path, flags, &b->model, &err) != MTPS_OK) {
            fprintf(stderr, "error: %s\n", err.text);
            exit(status_exit_code(ST_NOINPUT));
        }
        double took = now_us() - start;
        if (!i || took < best) best = took;
    }
    printf("{\"name\":\"infer.open.%s\",\"value\":%.0f,\"unit\":\"us\"}\n", what, best);
}

int main(int argc, char **argv)
{
    struct bench b = {.state = 1};
    struct mtps_error err;
    if (argc != 2) { /* rows come on standard input */
        fprintf(stderr, "usage: bench_infer BUNDLE [<ROWS.csv]\n");
        return status_exit_code(ST_USAGE);
    }
    long before = resident();
    open_often(&b, argv[1], 0, "all_checks");
    mtps_close(b.model);
    open_often(&b, argv[1], MTPS_SKIP_BIG_CHECKS, "skip_big_checks");
    b.n_features = mtps_n_features(b.model);
    b.n_inputs = mtps_n_inputs(b.model);
    b.n_tasks = mtps_n_tasks(b.model);
    if (mtps_scorer_create(b.model, &b.scorer, &err) != MTPS_OK) return status_exit_code(ST_NOMEM);
    long opened = resident();
    make_rows(&b);
    if (!isatty(STDIN_FILENO)) read_rows(&b);
    long ready = resident();
    measure(&b, true, 1, 4000);
    measure(&b, true, 256, 400);
    measure(&b, false, 1, 4000);
    measure(&b, false, 256, 400);
    printf("{\"name\":\"infer.resident\",\"value\":%ld,\"unit\":\"KiB\"}\n",
           opened - before + resident() - ready);
    mtps_scorer_destroy(b.scorer);
    mtps_close(b.model);
    return 0; /* the rest goes with the process */
}
