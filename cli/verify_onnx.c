#include "cli/verify_onnx.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/store/file.h"
#include "model/tables.h"
#include "serve/chunk.h"
#include "serve/onnx.h"

extern char **environ;

enum { NO_RUNTIME = 3 /* exit code of the script */, ROOM = 1024 /* rows */ };

/* Files of the folder: started, once there is a runtime; model.onnx; N.values and N.offsets of input N (of floats, keys, or
 * keys with offsets); out, scores as float32. Lines of `inputs`: number, name, kind, width. */
static const char script[] =
    "import sys\n"
    "try:\n"
    "    import numpy as np, onnxruntime as ort\n"
    "except ImportError:\n"
    "    sys.exit(3)\n"
    "folder, rows, step = sys.argv[1], int(sys.argv[2]), 256\n"
    "open(folder + '/started', 'w').close()\n"
    "o = ort.SessionOptions()\n"
    "o.log_severity_level = 3\n"
    "s = ort.InferenceSession(folder + '/model.onnx', o, providers=['CPUExecutionProvider'])\n"
    "known = {i.name for i in s.get_inputs()}\n"
    "inputs = []\n"
    "for line in open(folder + '/inputs'):\n"
    "    number, name, kind, width = line.rstrip('\\n').split('\\t')\n"
    "    read = lambda part, t: np.fromfile(folder + '/' + number + '.' + part, t)\n"
    "    v = read('values', np.float32).reshape(rows, int(width)) if kind == 'numbers' else read('values', np.int64)\n"
    "    if name in known:\n"
    "        inputs.append((name, v, read('offsets', np.int64) if kind == 'list' else None))\n"
    "names, out = [t.name for t in s.get_outputs()], open(folder + '/out', 'wb')\n"
    "for a in range(0, rows, step):\n"
    "    b, feed = min(rows, a + step), {}\n"
    "    for name, v, offsets in inputs:\n"
    "        if offsets is None:\n"
    "            feed[name] = v[a:b]\n"
    "        else:\n"
    "            feed[name] = v[offsets[a]:offsets[b]]\n"
    "            feed[name + '.offsets'] = offsets[a:b + 1] - offsets[a]\n"
    "    np.stack(s.run(names, feed), 1).astype(np.float32).tofile(out)\n"
    "out.close()\n";

/* One input of the graph. */
struct stream {
    FILE *values, *offsets;
    int64_t n; /* values written */
};

struct verify_onnx {
    struct mtps_model *m;
    char folder[PATH_MAX];
    struct stream *features, *durations; /* [n_features], [n_tasks] */
    float *scores;                       /* [rows, n_tasks] of the rows that are compared */
    size_t rows, max_rows;
    /* of a row until it is known to be compared */
    uint64_t **keys;
    size_t *n_keys, *max_keys;
    float **numbers;
    float *row_durations;
    bool known, failed;
};

double verify_difference(float got, float want)
{
    if (got == want || (isnan(got) && isnan(want))) return 0;
    double d = fabs((double)got - (double)want);
    if (fabs((double)want) > 1) d /= fabs((double)want);
    return isnan(d) ? INFINITY : d;
}

/* ---- making ---- */

static FILE *open_part(const struct verify_onnx *v, size_t number, const char *part)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%zu.%s", v->folder, number, part);
    return fopen(path, "wbe");
}

static enum status cannot_write(const struct verify_onnx *v, struct error *err)
{
    return error_set(err, ST_IO, "%s: cannot write: %s", v->folder, strerror(errno));
}

static enum status write_graph(const struct verify_onnx *v, char why[256], struct error *err)
{
    char path[PATH_MAX + 64], *bytes;
    size_t n;
    struct error e;
    struct onnx_options opt = {.tables = true};
    enum status st = onnx_write(v->m, &opt, &bytes, &n, &e);
    if (st == ST_USAGE || st == ST_CANTCREATE) snprintf(why, 256, "%.250s", e.text);
    if (st == ST_USAGE || st == ST_CANTCREATE) return ST_OK;
    if (st != ST_OK) return error_set(err, st, "%s", e.text);
    snprintf(path, sizeof path, "%s/model.onnx", v->folder);
    st = file_write_atomic(path, bytes, n, err);
    mem_free(bytes);
    return st;
}

/* Names of features hold neither tabs nor line ends (common/config). */
static enum status open_streams(struct verify_onnx *v, struct error *err)
{
    char path[PATH_MAX + 64];
    const struct mtps_model *m = v->m;
    size_t features = mtps_n_features(m), tasks = mtps_n_tasks(m);
    snprintf(path, sizeof path, "%s/inputs", v->folder);
    FILE *list = fopen(path, "we");
    if (!list) return cannot_write(v, err);
    bool ok = true;
    for (size_t i = 0; i < features; i++) {
        const struct mtps_feature *f = mtps_feature(m, i);
        bool numbers = f->kind == MTPS_FEATURE_NUMBERS;
        fprintf(list, "%zu\t%s\t%s\t%zu\n", i, f->name, numbers ? "numbers" : f->is_list ? "list" : "keys", f->width);
        ok &= (v->features[i].values = open_part(v, i, "values")) != NULL;
        if (f->is_list) ok &= (v->features[i].offsets = open_part(v, i, "offsets")) != NULL;
        if (ok && f->is_list) fwrite(&v->features[i].n, sizeof v->features[i].n, 1, v->features[i].offsets);
    }
    for (size_t k = 0; k < tasks; k++) {
        if (m->settings->tasks[k].loss != LOSS_COMPLETION) continue;
        fprintf(list, "%zu\t%s.duration\tnumbers\t1\n", features + k, mtps_task(m, k)->name);
        ok &= (v->durations[k].values = open_part(v, features + k, "values")) != NULL;
    }
    ok &= fclose(list) == 0;
    return ok ? ST_OK : cannot_write(v, err);
}

static enum status make(struct verify_onnx *v, char why[256], struct error *err)
{
    size_t features = mtps_n_features(v->m), tasks = mtps_n_tasks(v->m);
    const char *dir = getenv("TMPDIR");
    v->features = mem_zeroed(features + 1, sizeof *v->features);
    v->durations = mem_zeroed(tasks, sizeof *v->durations);
    v->keys = mem_zeroed(features + 1, sizeof *v->keys);
    v->n_keys = mem_zeroed(features + 1, sizeof *v->n_keys);
    v->max_keys = mem_zeroed(features + 1, sizeof *v->max_keys);
    v->numbers = mem_zeroed(features + 1, sizeof *v->numbers);
    v->row_durations = mem_zeroed(tasks, sizeof *v->row_durations);
    bool ok = v->features && v->durations && v->keys && v->n_keys && v->max_keys && v->numbers && v->row_durations;
    for (size_t i = 0; ok && i < features; i++)
        ok = (v->numbers[i] = mem_zeroed(mtps_feature(v->m, i)->width + 1, sizeof **v->numbers)) != NULL;
    if (!ok) return mem_error(err, "comparison with ONNX Runtime", features);
    snprintf(v->folder, sizeof v->folder, "%s/mtps-onnx-XXXXXX", dir && *dir ? dir : "/tmp");
    if (!mkdtemp(v->folder)) {
        *v->folder = '\0';
        return error_set(err, ST_CANTCREATE, "cannot make a temporary folder in %s", dir && *dir ? dir : "/tmp");
    }
    TRY(write_graph(v, why, err));
    return *why ? ST_OK : open_streams(v, err);
}

enum status verify_onnx_open(struct mtps_model *m, struct verify_onnx **out, char why[256], struct error *err)
{
    struct verify_onnx *v = *out = mem_zeroed(1, sizeof *v);
    *why = '\0';
    if (!v) return mem_error(err, "comparison with ONNX Runtime", sizeof *v);
    v->m = m;
    enum status st = make(v, why, err);
    if (st == ST_OK && !*why) return ST_OK;
    verify_onnx_close(v);
    *out = NULL;
    return st;
}

static bool close_stream(struct stream *s)
{
    bool ok = (!s->values || fclose(s->values) == 0) & (!s->offsets || fclose(s->offsets) == 0);
    *s = (struct stream){0};
    return ok;
}

static void remove_files(const struct verify_onnx *v)
{
    char path[PATH_MAX + 64];
    static const char *const names[] = {"model.onnx", "inputs", "out", "started"}, *const parts[] = {"values", "offsets"};
    size_t n = mtps_n_features(v->m) + mtps_n_tasks(v->m);
    if (!*v->folder) return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", v->folder, names[i]);
        unlink(path);
    }
    for (size_t i = 0; i < 2 * n; i++) {
        snprintf(path, sizeof path, "%s/%zu.%s", v->folder, i / 2, parts[i % 2]);
        unlink(path);
    }
    rmdir(v->folder);
}

void verify_onnx_close(struct verify_onnx *v)
{
    if (!v) return;
    for (size_t i = 0; i < mtps_n_features(v->m); i++) {
        if (v->features) close_stream(&v->features[i]);
        if (v->keys) mem_free(v->keys[i]);
        if (v->numbers) mem_free(v->numbers[i]);
    }
    for (size_t k = 0; v->durations && k < mtps_n_tasks(v->m); k++) close_stream(&v->durations[k]);
    remove_files(v);
    void *blocks[] = {v->features, v->durations, v->scores, v->keys, v->n_keys, v->max_keys, v->numbers, v->row_durations};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) mem_free(blocks[i]);
    mem_free(v);
}

/* ---- rows ---- */

static bool is_known(const struct mtps_model *m, size_t feature, uint64_t key)
{
    const struct schema_feature *f = &m->schema->features[feature];
    if (f->kind == FEATURE_ONE_HOT) return true;
    const size_t tables[] = {m->kinds->deep_table[f->table], m->kinds->wide_table[f->table]};
    const bool read[] = {m->kinds->deep[feature], m->kinds->wide[feature]};
    for (size_t i = 0; i < 2; i++) {
        const struct lookup *t = read[i] ? &m->tables[tables[i]] : NULL;
        if (t && lookup_find(&t->keys, key) == SIZE_MAX) return false;
    }
    return true;
}

static void take_feature(void *arg, size_t feature, const uint64_t *keys, size_t n, const float *numbers)
{
    struct verify_onnx *v = arg;
    if (numbers) {
        memcpy(v->numbers[feature], numbers, mtps_feature(v->m, feature)->width * sizeof *numbers);
        return;
    }
    if (n > v->max_keys[feature] || !v->keys[feature]) {
        uint64_t *room = mem_resize(v->keys[feature], 2 * n + 1, sizeof *room);
        if (!room) {
            v->failed = true;
            return;
        }
        v->keys[feature] = room;
        v->max_keys[feature] = 2 * n + 1;
    }
    v->n_keys[feature] = n;
    if (n) memcpy(v->keys[feature], keys, n * sizeof *keys);
    for (size_t i = 0; i < n; i++) v->known &= is_known(v->m, feature, keys[i]);
}

/* A level that is missing is no level: any key that is none of them. */
static void put_row(struct verify_onnx *v)
{
    static const uint64_t no_level = 0;
    for (size_t i = 0; i < mtps_n_features(v->m); i++) {
        const struct mtps_feature *f = mtps_feature(v->m, i);
        struct stream *s = &v->features[i];
        if (f->kind == MTPS_FEATURE_NUMBERS) {
            fwrite(v->numbers[i], sizeof **v->numbers, f->width, s->values);
            continue;
        }
        bool none = !v->n_keys[i] && !f->is_list;
        size_t n = none ? 1 : v->n_keys[i];
        fwrite(none ? &no_level : v->keys[i], sizeof **v->keys, n, s->values);
        s->n += (int64_t)n;
        if (s->offsets) fwrite(&s->n, sizeof s->n, 1, s->offsets);
    }
    for (size_t k = 0; k < mtps_n_tasks(v->m); k++)
        if (v->durations[k].values) fwrite(&v->row_durations[k], sizeof(float), 1, v->durations[k].values);
}

enum status verify_onnx_add(struct verify_onnx *v, struct mtps_scorer *s, const struct mtps_value *values,
                            const float *scores, struct error *err)
{
    size_t tasks = mtps_n_tasks(v->m);
    v->known = true;
    TRY(chunk_see_values(s, values, take_feature, v, v->row_durations, err));
    if (v->rows == v->max_rows && !v->failed) {
        size_t max = 2 * v->max_rows + ROOM;
        float *room = mem_resize(v->scores, max * tasks, sizeof *room);
        if (room) v->scores = room, v->max_rows = max;
        v->failed |= !room;
    }
    if (v->failed) return mem_error(err, "comparison with ONNX Runtime", v->rows);
    if (!v->known) return ST_OK;
    put_row(v);
    memcpy(v->scores + v->rows++ * tasks, scores, tasks * sizeof *scores);
    return ST_OK;
}

/* ---- running ---- */

/* Else what failed is no fault of the model. */
static bool has_started(const struct verify_onnx *v)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/started", v->folder);
    return file_exists(path);
}

static enum status run_script(const struct verify_onnx *v, char why[256], struct error *err)
{
    const char *python = getenv("MTPS_PYTHON");
    char rows[32];
    int state;
    pid_t pid;
    if (!python || !*python) python = "python3";
    snprintf(rows, sizeof rows, "%zu", v->rows);
    char *const argv[] = {(char *)python, (char *)"-c", (char *)script, (char *)v->folder, rows, NULL};
    int failed = posix_spawnp(&pid, python, NULL, NULL, argv, environ);
    if (failed) {
        snprintf(why, 256, "%.100s cannot be started: %s", python, strerror(failed));
        return ST_OK;
    }
    while (waitpid(pid, &state, 0) < 0)
        if (errno != EINTR) return error_set(err, ST_IO, "%s: cannot wait for it: %s", python, strerror(errno));
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return ST_OK;
    if (has_started(v)) {
        error_set(err, ST_INTERNAL, "ONNX Runtime failed on the model");
        return error_hint(err, ST_INTERNAL, "what it said stands above; MTPS_PYTHON names a python3 with another version of it");
    }
    if (WIFSIGNALED(state))
        snprintf(why, 256, "%.100s was ended by signal %d", python, WTERMSIG(state));
    else if (WEXITSTATUS(state) == NO_RUNTIME || WEXITSTATUS(state) == 127)
        snprintf(why, 256, "%.100s has no onnxruntime", python);
    else
        snprintf(why, 256, "%.100s ended with %d before it had onnxruntime", python, WEXITSTATUS(state));
    return ST_OK;
}

static enum status read_scores(const struct verify_onnx *v, double *most, struct error *err)
{
    char path[PATH_MAX + 64];
    size_t tasks = mtps_n_tasks(v->m);
    snprintf(path, sizeof path, "%s/out", v->folder);
    FILE *f = fopen(path, "rbe");
    if (!f) return error_set(err, ST_IO, "%s: cannot read it", path);
    bool ok = true;
    for (size_t i = 0; ok && i < v->rows * tasks; i++) {
        float got;
        ok = fread(&got, sizeof got, 1, f) == 1;
        double d = ok ? verify_difference(got, v->scores[i]) : 0;
        if (d > most[i % tasks]) most[i % tasks] = d;
    }
    fclose(f);
    return ok ? ST_OK : error_set(err, ST_INTERNAL, "ONNX Runtime scores fewer rows, or tasks");
}

enum status verify_onnx_run(struct verify_onnx *v, double *most, uint64_t *rows, char why[256], struct error *err)
{
    bool ok = true;
    for (size_t i = 0; i < mtps_n_features(v->m); i++) ok &= close_stream(&v->features[i]);
    for (size_t k = 0; k < mtps_n_tasks(v->m); k++) ok &= close_stream(&v->durations[k]);
    *rows = v->rows;
    *why = '\0';
    if (!ok) return cannot_write(v, err);
    TRY(run_script(v, why, err));
    return *why ? ST_OK : read_scores(v, most, err);
}
