/* How long the inference library takes: bench_infer BUNDLE [<ROWS.csv]
 *
 * One thread. Texts are those of the csv rows on standard input, whose first line names the
 * columns (no quotes), and prepared keys are made of them: a call scores neighbouring rows
 * from a place drawn at random. Without rows, keys are drawn evenly from all that have a
 * row, which caches serve worst, and texts are not measured. Prints the median and the 99th
 * percentile of a call in microseconds, as JSON lines, for batches of 1 and 256 rows, the
 * time of opening (of three times the shortest), and the memory that model and scorer have
 * made resident, mapped pages of the file included. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "serve/chunk.h"

enum { DRAWN_ROWS = 4096, DRAWN_LIST = 5, MOST_ROWS = 65536, WARM = 50, MOST_COLUMNS = 1024, OPENINGS = 3 };

/* What a feature is made of on all rows; a row takes one key, or as many as its list has. */
struct prepared {
    uint64_t *keys;
    size_t n, max;
    uint32_t *offsets; /* [n_rows + 1] */
    float *numbers;    /* [n_rows * width] */
    size_t width;
    bool is_list;
};

struct bench {
    struct mtps_model *model;
    struct mtps_scorer *scorer;
    size_t n_features, n_inputs, n_tasks;
    size_t n_rows;
    struct prepared *features; /* [n_features] */
    struct mtps_value *values; /* [n_rows, n_inputs]; NULL: keys were drawn */
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

/* ---- rows ---- */

static void make_room(struct bench *b, size_t most)
{
    b->features = mem_zeroed(b->n_features, sizeof *b->features);
    for (size_t i = 0; i < b->n_features; i++) {
        const struct mtps_feature *f = mtps_feature(b->model, i);
        struct prepared *p = &b->features[i];
        p->is_list = f->is_list;
        p->width = f->kind == MTPS_FEATURE_NUMBERS ? f->width : 0;
        if (p->width)
            p->numbers = mem_zeroed(most * p->width, sizeof *p->numbers);
        else
            p->offsets = mem_zeroed(most + 1, sizeof *p->offsets);
    }
}

static void add_keys(struct prepared *p, const uint64_t *keys, size_t n)
{
    if (p->n + n > p->max) {
        p->max = 2 * (p->n + n);
        p->keys = mem_resize(p->keys, p->max, sizeof *p->keys);
    }
    for (size_t j = 0; j < n; j++) p->keys[p->n++] = keys[j];
}

static void draw_rows(struct bench *b)
{
    make_room(b, DRAWN_ROWS);
    for (; b->n_rows < DRAWN_ROWS; b->n_rows++)
        for (size_t i = 0; i < b->n_features; i++) {
            struct prepared *p = &b->features[i];
            for (size_t j = 0; j < p->width; j++) p->numbers[b->n_rows * p->width + j] = (float)(next(b) % 1000);
            for (size_t j = 0; !p->width && j < (p->is_list ? DRAWN_LIST : 1); j++)
                add_keys(p, &(uint64_t){some_key(b, i)}, 1);
            if (!p->width) p->offsets[b->n_rows + 1] = (uint32_t)p->n;
        }
}

static void prepare_feature(void *arg, size_t feature, const uint64_t *keys, size_t n, const float *numbers)
{
    struct bench *b = arg;
    struct prepared *p = &b->features[feature];
    if (p->width) {
        for (size_t j = 0; j < p->width; j++) p->numbers[b->n_rows * p->width + j] = numbers[j];
        return;
    }
    add_keys(p, keys, n);
    p->offsets[b->n_rows + 1] = (uint32_t)p->n;
}

/* The values of one line of the csv; the line lives as long as the process. */
static size_t read_line(const ptrdiff_t *input, struct mtps_value *values, char **fields)
{
    char *line = NULL, *at;
    size_t room = 0, n = 0;
    if (getline(&line, &room, stdin) <= 0) return 0;
    line[strcspn(line, "\r\n")] = '\0';
    at = line;
    for (char *field; n < MOST_COLUMNS && (field = strsep(&at, ",")); n++) {
        if (fields) fields[n] = field;
        if (input && input[n] >= 0) values[input[n]] = mtps_text(field);
    }
    return n;
}

static void read_rows(struct bench *b)
{
    static ptrdiff_t input[MOST_COLUMNS];
    static char *names[MOST_COLUMNS];
    struct error err;
    float *durations = mem_zeroed(b->n_tasks, sizeof *durations);
    size_t n_columns = read_line(NULL, NULL, names);
    for (size_t i = 0; i < MOST_COLUMNS; i++) input[i] = i < n_columns ? mtps_find_input(b->model, names[i]) : -1;
    make_room(b, MOST_ROWS);
    b->values = mem_zeroed(MOST_ROWS * b->n_inputs, sizeof *b->values);
    for (; b->n_rows < MOST_ROWS; b->n_rows++) {
        struct mtps_value *values = b->values + b->n_rows * b->n_inputs;
        if (!read_line(input, values, NULL)) break;
        if (chunk_see_values(b->scorer, values, prepare_feature, b, durations, &err) != ST_OK) {
            fprintf(stderr, "error: row %zu: %s\n", b->n_rows, err.text);
            exit(status_exit_code(ST_DATA));
        }
    }
    mem_free(durations);
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double score(struct bench *b, bool keys, size_t first, size_t n)
{
    static struct mtps_column columns[MOST_COLUMNS];
    struct mtps_error err;
    for (size_t i = 0; i < b->n_features; i++) {
        const struct prepared *p = &b->features[i];
        bool one_each = !p->is_list && p->n == b->n_rows;
        if (p->width)
            columns[i] = (struct mtps_column){.numbers = p->numbers + first * p->width};
        else
            columns[i] = (struct mtps_column){.keys = p->keys + (one_each ? first : 0),
                                              .offsets = one_each ? NULL : p->offsets + first};
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
    size_t rows = b->n_rows;
    if (rows <= n || (!keys && !b->values)) return;
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
    if (b.n_features > MOST_COLUMNS) return status_exit_code(ST_USAGE);
    if (!isatty(STDIN_FILENO)) read_rows(&b);
    if (!b.n_rows) draw_rows(&b);
    b.scores = mem_array(b.n_rows * b.n_tasks, sizeof *b.scores);
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
