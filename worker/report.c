#include "worker/report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/store/file.h"

struct report {
    const struct settings *settings; /* borrowed */
    char *dir;
    FILE *metrics;
    uint64_t step; /* where training is */
    bool warned;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Trouble with report files is said once and does not stop the run. */
static void warn(struct report *r, const char *what, const struct error *err)
{
    if (r->warned) return;
    r->warned = true;
    log_line(LOG_WARN, "report", "%s cannot be written (%s); going on without", what, err->text);
}

/* With all digits, so that report_last_result gives the same numbers. */
static enum status put_json(const char *dir, const char *name, const json_t *doc,
                            struct error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    char *text = json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (!text) return mem_error(err, name, 1024);
    enum status st = file_write_atomic(path, text, strlen(text), err);
    free(text);
    return st;
}

static void write_json(struct report *r, const char *name, const json_t *doc)
{
    struct error err;
    if (put_json(r->dir, name, doc, &err) != ST_OK) warn(r, name, &err);
}

static void append_metrics(struct report *r, const char *kind, uint64_t step, json_t *line)
{
    json_object_set_new(line, "t", json_real(floor(now_s() * 1e3) / 1e3));
    json_object_set_new(line, "kind", json_string(kind));
    json_object_set_new(line, "step", json_integer((json_int_t)step));
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(13) | JSON_SORT_KEYS);
    if (text && r->metrics) {
        fprintf(r->metrics, "%s\n", text);
        if (fflush(r->metrics)) {
            struct error err;
            error_set(&err, ST_IO, "%s", "write failed");
            warn(r, "metrics.jsonl", &err);
        }
    }
    free(text);
    json_decref(line);
}

static void write_environment(struct report *r)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    char cpu[256] = "";
    FILE *f = fopen("/proc/cpuinfo", "r");
    for (char line[256]; f && fgets(line, sizeof line, f);)
        if (sscanf(line, "model name : %255[^\n]", cpu) == 1) break;
    if (f) fclose(f);
    json_t *doc = json_pack("{s:s, s:s, s:i, s:i}", "host", host, "cpu", cpu, "cores",
                            (int)sysconf(_SC_NPROCESSORS_ONLN), "pid", (int)getpid());
    if (doc) write_json(r, "environment.json", doc);
    json_decref(doc);
}

static enum status write_config(struct report *r, struct error *err)
{
    char path[4096], *text;
    TRY(settings_print(r->settings, false, &text, err));
    snprintf(path, sizeof path, "%s/config.yaml", r->dir);
    enum status st = file_write_atomic(path, text, strlen(text), err);
    mem_free(text);
    return st;
}

/* Open to append. What a killed run left half written at the end is no line, and goes. */
static FILE *open_metrics(const char *run_dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run_dir);
    FILE *f = fopen(path, "a+");
    if (!f || fseek(f, 0, SEEK_END)) return f;
    long size = ftell(f), end = size;
    while (end > 0 && fseek(f, end - 1, SEEK_SET) == 0 && fgetc(f) != '\n') end--;
    if (end < size && ftruncate(fileno(f), end))
        log_line(LOG_WARN, "report", "%s: its last line is not whole", path);
    fseek(f, 0, SEEK_END);
    return f;
}

enum status report_open(const char *run_dir, const struct settings *s, struct report **out,
                        struct error *err)
{
    struct report *r = mem_zeroed(1, sizeof *r);
    if (!r || !(r->dir = mem_strdup(run_dir))) {
        mem_free(r);
        return mem_error(err, "report", sizeof *r);
    }
    r->settings = s;
    enum status st = write_config(r, err);
    if (st != ST_OK) {
        report_close(r);
        return st;
    }
    struct error why;
    r->metrics = open_metrics(run_dir);
    error_set(&why, ST_IO, "%s", strerror(errno));
    if (!r->metrics) warn(r, "metrics.jsonl", &why);
    write_environment(r);
    *out = r;
    return ST_OK;
}

void report_close(struct report *r)
{
    if (!r) return;
    if (r->metrics) fclose(r->metrics);
    mem_free(r->dir);
    mem_free(r);
}

static json_t *status_json(const char *state, json_int_t step, const char *message)
{
    return json_pack("{s:s, s:I, s:f, s:i, s:s}", "state", state, "step", step, "time", now_s(),
                     "pid", (int)getpid(), "message", message ? message : "");
}

void report_state(struct report *r, const char *state, uint64_t step, const char *message)
{
    if (!r) return;
    r->step = step;
    json_t *doc = status_json(state, (json_int_t)step, message);
    if (doc) write_json(r, "status.json", doc);
    json_decref(doc);
}

void report_at(struct report *r, uint64_t step)
{
    if (r) r->step = step;
}

void report_end(struct report *r, enum status st, const char *message)
{
    if (r) report_state(r, st == ST_STOPPED ? "stopped" : "failed", r->step, message);
}

void report_failed(const char *run_dir, const char *message)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/status.json", run_dir);
    json_t *last = json_load_file(path, 0, NULL);
    if (!last) return;
    json_int_t step = json_integer_value(json_object_get(last, "step"));
    json_t *doc = status_json("failed", step, message);
    struct error ignored;
    if (doc && put_json(run_dir, "status.json", doc, &ignored) != ST_OK)
        log_line(LOG_WARN, "report", "status.json: %s", ignored.text);
    json_decref(doc);
    json_decref(last);
}

static json_t *times_json(const struct stage_times *t)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "read", t->read, "keys", t->keys, "wait",
                     t->wait, "model", t->model, "apply", t->apply);
}

static void log_progress(const struct settings *s, const struct progress *p)
{
    char text[1024];
    int n = snprintf(text, sizeof text, "step %llu/%llu  epoch %.2f  %.1fk rows/s",
                     (unsigned long long)p->step, (unsigned long long)p->total_steps, p->epoch,
                     p->rows_per_s / 1e3);
    for (size_t k = 0; k < s->n_tasks && n > 0 && (size_t)n < sizeof text; k++)
        n += snprintf(text + n, sizeof text - (size_t)n, "  loss.%s %.4f", s->tasks[k].name,
                      p->loss[k]);
    const struct stage_times *t = &p->times;
    double all = t->read + t->keys + t->wait + t->model + t->apply;
    if (all > 0 && n > 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n,
                 "  time read %.0f%% keys %.0f%% wait %.0f%% model %.0f%% apply %.0f%%",
                 100 * t->read / all, 100 * t->keys / all, 100 * t->wait / all,
                 100 * t->model / all, 100 * t->apply / all);
    log_line(LOG_INFO, "train", "%s", text);
}

static json_t *per_task(const struct settings *s, const double *v)
{
    json_t *o = json_object();
    for (size_t k = 0; k < s->n_tasks; k++)
        json_object_set_new(o, s->tasks[k].name, json_real(v[k]));
    return o;
}

void report_progress(struct report *r, const struct progress *p)
{
    if (!r) return;
    log_progress(r->settings, p);
    json_t *line = json_pack("{s:f, s:I, s:I, s:I, s:f, s:o}", "epoch", p->epoch, "rows",
                             (json_int_t)p->rows, "updates", (json_int_t)p->updates, "skipped",
                             (json_int_t)p->skipped, "rows_per_s", p->rows_per_s, "times",
                             times_json(&p->times));
    if (!line) return;
    json_object_set_new(line, "loss", per_task(r->settings, p->loss));
    if (p->weight) json_object_set_new(line, "weights", per_task(r->settings, p->weight));
    append_metrics(r, "train", p->step, line);
    report_state(r, "running", p->step, NULL);
}

static void set_number(json_t *object, const char *name, double v)
{
    if (isfinite(v)) json_object_set_new(object, name, json_real(v));
}

json_t *report_metric_json(const struct metric_result *m)
{
    json_t *o = json_object();
    set_number(o, "auc", m->auc);
    set_number(o, "logloss", m->logloss);
    set_number(o, "pcoc", m->pcoc);
    set_number(o, "gauc", m->gauc);
    set_number(o, "mae", m->mae);
    set_number(o, "rmse", m->rmse);
    set_number(o, "xauc", m->xauc);
    set_number(o, "gxauc", m->gxauc);
    json_object_set_new(o, "rows", json_integer((json_int_t)m->rows));
    return o;
}

char *report_metric_line(const char *task, const struct metric_result *m)
{
    static const char *const names[] = {"auc", "logloss", "pcoc",  "gauc",
                                        "mae", "rmse",    "xauc", "gxauc"};
    const double values[] = {m->auc, m->logloss, m->pcoc, m->gauc,
                             m->mae, m->rmse,    m->xauc, m->gxauc};
    char text[512];
    int n = snprintf(text, sizeof text, "%-12s", task);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (isfinite(values[i]) && n > 0 && (size_t)n < sizeof text)
            n += snprintf(text + n, sizeof text - (size_t)n, "  %s %.5f", names[i], values[i]);
    if (n > 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, "  rows %llu", (unsigned long long)m->rows);
    return mem_strdup(text);
}

void report_metrics(struct report *r, const char *kind, uint64_t step,
                    const struct metric_result *results, const struct health_result *health)
{
    if (!r) return;
    json_t *line = json_object(), *tasks = json_object();
    for (size_t k = 0; k < r->settings->n_scores; k++) {
        const char *task = r->settings->scores[k].name;
        json_object_set_new(tasks, task, report_metric_json(&results[k]));
        char *text = report_metric_line(task, &results[k]);
        log_line(LOG_INFO, kind, "%s", text ? text : task);
        mem_free(text);
    }
    json_object_set_new(line, "tasks", tasks);
    report_health_json(r->settings, health, line);
    char text[512];
    report_health_line(r->settings, health, text, sizeof text);
    if (*text) log_line(LOG_INFO, kind, "%s", text);
    append_metrics(r, kind, step, line);
}

void report_commit(struct report *r, uint64_t step, const char *path, double seconds)
{
    if (!r) return;
    json_t *line = json_pack("{s:s, s:f}", "path", path, "seconds", seconds);
    if (line) append_metrics(r, "checkpoint", step, line);
}

void report_result(struct report *r, const json_t *result)
{
    if (r) write_json(r, "result.json", result);
}

json_t *report_last_result(const char *run_dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/result.json", run_dir);
    return json_load_file(path, 0, NULL);
}
