#include "serve/http/served.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/input.h"
#include "common/base/mem.h"
#include "serve/http/rows_json.h"

enum { BATCH = 128 }; /* rows of the largest piece that the library scores at once */

static enum status status_of(enum mtps_status code)
{
    for (int st = 0; st < ST_COUNT; st++)
        if (status_exit_code((enum status)st) == (int)code) return (enum status)st;
    return ST_INTERNAL;
}

static enum status library_error(enum mtps_status code, const struct mtps_error *from, struct error *err)
{
    enum status st = status_of(code);
    error_set(err, st, "%s", from->text);
    return from->hint[0] ? error_hint(err, st, "%s", from->hint) : st;
}

/* ---- the warm-up ---- */

/* Rows are scored one by one: small, and as most requests are. */
struct warm_up {
    struct served *v;
    struct pad pad;
    char *text;
    size_t n;
};

static enum status read_all(const char *path, struct warm_up *w, struct error *err)
{
    const char *why;
    struct stat s;
    int fd = input_open(path, &why);
    if (fd < 0) return error_set(err, ST_NOINPUT, "%s: %s", path, why);
    bool ok = fstat(fd, &s) == 0 && s.st_size <= SERVED_MAX_WARM_UP;
    if (ok) w->text = mem_alloc((size_t)s.st_size + 1);
    while (ok && w->text && w->n < (size_t)s.st_size) {
        ssize_t got = read(fd, w->text + w->n, (size_t)s.st_size - w->n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        w->n += (size_t)got;
    }
    close(fd);
    if (!ok) return error_set(err, ST_DATA, "%s: not readable, or over %d bytes", path, SERVED_MAX_WARM_UP);
    if (!w->text) return mem_error(err, path, (size_t)s.st_size);
    w->text[w->n] = 0;
    return ST_OK;
}

static enum status score_warm(struct served *v, const struct mtps_value *rows, size_t n, float *scores,
                              struct error *err)
{
    struct mtps_error error;
    enum mtps_status code = mtps_score(v->idle[v->n_idle - 1], rows, n, scores, &error);
    if (code != MTPS_OK) return library_error(code, &error, err);
    for (size_t i = 0; i < n * v->names.n_tasks; i++)
        if (!isfinite(scores[i]))
            return error_set(err, ST_DATA, "row %zu: the score of %s is not finite", i / v->names.n_tasks,
                             mtps_task(v->model, i % v->names.n_tasks)->name);
    return ST_OK;
}

static enum status warm_row(struct warm_up *w, char *line, size_t n, struct error *err)
{
    static const struct ask_limits limits = {1, SERVED_MAX_WARM_UP};
    struct ask ask = {.names = &w->v->names, .limits = &limits, .pad = &w->pad};
    struct jsonin r;
    pad_reset(&w->pad);
    enum ask_status st = ask_make_rows(&ask, 1, err);
    jsonin_open(&r, line, n);
    if (st == ASK_OK) st = rows_json_row(&ask, &r, ask.values, err);
    if (st == ASK_OK && !jsonin_end(&r)) st = ask_not_json(&r, err);
    if (st != ASK_OK) return st == ASK_NO_MEMORY ? ST_NOMEM : ST_DATA;
    return score_warm(w->v, ask.values, 1, ask.scores, err);
}

static enum status warm_lines(struct warm_up *w, const char *path, struct error *err)
{
    size_t row = 1;
    for (char *line = w->text, *end; line < w->text + w->n; line = end + 1, row++) {
        end = memchr(line, '\n', w->n - (size_t)(line - w->text));
        if (!end) end = w->text + w->n;
        *end = 0;
        if (!line[strspn(line, " \t\r")]) continue;
        enum status st = warm_row(w, line, (size_t)(end - line), err);
        if (st != ST_OK) return error_wrap(err, st, "%s:%zu", path, row);
    }
    return ST_OK;
}

/* The scorer that lies on top. */
static enum status warm_scorer(struct served *v, const char *path, struct error *err)
{
    struct budget budget = {.max = SIZE_MAX};
    struct warm_up w = {.v = v};
    struct mtps_value *rows = mem_zeroed(BATCH * v->names.n_inputs + 1, sizeof *rows);
    float *scores = mem_array(BATCH * v->names.n_tasks + 1, sizeof *scores);
    enum status st = rows && scores ? score_warm(v, rows, BATCH, scores, err) : mem_error(err, "warm-up", 0);
    mem_free(rows);
    mem_free(scores);
    pad_open(&w.pad, &budget);
    if (st == ST_OK && path) st = read_all(path, &w, err);
    if (st == ST_OK && path) st = warm_lines(&w, path, err);
    pad_close(&w.pad);
    mem_free(w.text);
    return st;
}

/* ---- opening ---- */

static enum status make_scorers(struct served *v, const struct served_spec *spec, struct error *err)
{
    struct mtps_error error;
    v->idle = mem_zeroed(spec->n_scorers, sizeof *v->idle);
    if (!v->idle) return mem_error(err, "scorers", spec->n_scorers * sizeof *v->idle);
    while (v->n_idle < spec->n_scorers) {
        enum mtps_status code = mtps_scorer_create(v->model, &v->idle[v->n_idle], &error);
        if (code != MTPS_OK) return library_error(code, &error, err);
        v->n_idle++;
        enum status st = warm_scorer(v, spec->warm_up, err);
        if (st != ST_OK) return error_wrap(err, st, "warm-up");
    }
    v->n_scorers = v->n_idle;
    return ST_OK;
}

static enum status fill(struct served *v, const char *path, uint64_t version, const struct served_spec *spec,
                        struct error *err)
{
    struct mtps_error error;
    enum mtps_status code = mtps_open(path, spec->open_flags, &v->model, &error);
    if (code != MTPS_OK) return library_error(code, &error, err);
    mtps_describe(v->model, &v->info);
    v->version = version ? version : v->info.version;
    TRY(names_open(&v->names, v->model, err));
    enum status st = make_scorers(v, spec, err);
    return st == ST_OK ? ST_OK : error_wrap(err, st, "%s", path);
}

static void destroy(struct served *v)
{
    while (v->n_idle) mtps_scorer_destroy(v->idle[--v->n_idle]);
    mem_free(v->idle);
    names_close(&v->names);
    mtps_close(v->model);
    pthread_cond_destroy(&v->back);
    pthread_mutex_destroy(&v->lock);
    mem_free(v);
}

enum status served_open(const char *path, uint64_t version, const struct served_spec *spec,
                        struct served **out, struct error *err)
{
    *out = NULL;
    struct served *v = mem_zeroed(1, sizeof *v);
    if (!v) return mem_error(err, path, sizeof *v);
    atomic_init(&v->holders, 1);
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->back, NULL);
    enum status st = fill(v, path, version, spec, err);
    if (st != ST_OK) {
        destroy(v);
        return st;
    }
    *out = v;
    return ST_OK;
}

void served_hold(struct served *v)
{
    atomic_fetch_add(&v->holders, 1);
}

void served_release(struct served *v)
{
    if (v && atomic_fetch_sub(&v->holders, 1) == 1) destroy(v);
}

/* ---- scoring ---- */

enum mtps_status served_score(struct served *v, const struct mtps_value *rows, size_t n_rows, float *scores,
                              struct mtps_error *error)
{
    pthread_mutex_lock(&v->lock);
    while (!v->n_idle) pthread_cond_wait(&v->back, &v->lock);
    struct mtps_scorer *scorer = v->idle[--v->n_idle];
    pthread_mutex_unlock(&v->lock);
    enum mtps_status code = mtps_score(scorer, rows, n_rows, scores, error);
    pthread_mutex_lock(&v->lock);
    v->idle[v->n_idle++] = scorer;
    pthread_cond_signal(&v->back);
    pthread_mutex_unlock(&v->lock);
    return code;
}
