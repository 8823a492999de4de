/* mtps train: from raw data to a committed checkpoint and its metrics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build_id.h"
#include "cli/cli.h"
#include "cli/job.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/store/file.h"
#include "worker/early_stop.h"
#include "worker/hot_report.h"
#include "worker/report.h"
#include "worker/run.h"
#include "worker/saver.h"
#include "worker/signals.h"

enum { LOCK_WAIT_S = 3 };

enum resume { RESUME_AUTO, RESUME_REQUIRE, RESUME_NEVER };

struct args {
    struct common_args common;
    size_t servers; /* SIZE_MAX: as configured */
    enum resume resume;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 's':
        a->servers = cli_servers(state, arg);
        return 0;
    case 'r':
        if (!strcmp(arg, "auto")) a->resume = RESUME_AUTO;
        else if (!strcmp(arg, "require")) a->resume = RESUME_REQUIRE;
        else if (!strcmp(arg, "never")) a->resume = RESUME_NEVER;
        else argp_error(state, "--resume: '%s' is none of auto, require, never", arg);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"servers", 's', "S", 0, "ranks that are parameter servers (under mpirun)", 0},
    {"resume", 'r', "auto|require|never", 0,
     "go on from the newest checkpoint of the run directory (default: auto)", 0},
    {0}};
static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    options, parse, NULL,
    "Train a model. Resumes when the run directory holds a checkpoint of the same configuration; "
    "evaluates at the end when data.eval is given.",
    children, NULL, NULL};

/* What the leader holds for the run directory. */
struct place {
    struct lock *lock;
    struct report *report;
    char uuid[40];
    char *resume; /* checkpoint to go on from, or NULL */
    struct hot_start hot;
};

static void warn_skipped(void *n_skipped, const char *text)
{
    ++*(size_t *)n_skipped;
    log_line(LOG_WARN, "ckpt", "%s", text);
}

static void make_uuid(char out[40])
{
    unsigned char b[16] = {0};
    FILE *f = fopen("/dev/urandom", "rb");
    if (!f || fread(b, 1, sizeof b, f) != sizeof b) b[0] = 1;
    if (f) fclose(f);
    for (size_t i = 0, n = 0; i < sizeof b; i++) {
        n += (size_t)snprintf(out + n, 40 - n, "%02x", b[i]);
        if (i == 3 || i == 5 || i == 7 || i == 9) out[n++] = '-';
    }
}

/* The newest valid checkpoint, when the run may and must go on from it. Checkpoints
 * that are all damaged are somebody's work too: no run starts afresh over them. */
static enum status find_checkpoint(const struct args *a, const char *dir, char **path, struct error *err)
{
    size_t skipped = 0;
    *path = NULL;
    if (file_is_dir(dir)) {
        TRY(ckpt_sweep(dir, err));
        TRY(ckpt_newest(dir, warn_skipped, &skipped, path, err));
    }
    if ((*path || skipped) && a->resume == RESUME_NEVER) {
        error_set(err, ST_CANTCREATE, "--resume never: %s holds checkpoints already", dir);
        return error_hint(err, ST_CANTCREATE, "name another folder with --run-dir");
    }
    if (!*path && skipped) {
        error_set(err, ST_NOINPUT, "%s: none of %zu checkpoints is usable", dir, skipped);
        return error_hint(err, ST_NOINPUT, "bring a copy back, or start afresh with --run-dir NEW");
    }
    if (!*path && a->resume == RESUME_REQUIRE)
        return error_set(err, ST_NOINPUT, "--resume require: no usable checkpoint in %s", dir);
    return ST_OK;
}

/* A checkpoint of another configuration is refused, naming each difference. */
static enum status check_config(const struct settings *now, const char *path, struct error *err)
{
    struct ckpt *ckpt;
    struct settings *then = NULL;
    char *diff = NULL;
    size_t n_diff = 0;
    TRY(ckpt_open(path, false, &ckpt, err));
    enum status st = settings_parse(ckpt_meta(ckpt)->config, path, NULL, 0, &then, err);
    if (st == ST_OK) st = settings_diff_resume(then, now, &diff, &n_diff, err);
    if (st == ST_OK && n_diff) {
        st = error_set(err, ST_MISMATCH, "%s does not fit the configuration: %s", path, diff);
        error_hint(err, st, "train elsewhere with --run-dir NEW, or take the change back");
    }
    mem_free(diff);
    settings_destroy(then);
    ckpt_close(ckpt);
    return st;
}

/* Leader: take the run directory and decide what to go on from. */
static enum status take_place(const struct args *a, const struct settings *s, struct place *p,
                              struct error *err)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/checkpoints", s->run_dir);
    TRY(file_mkdirs(s->run_dir, err));
    TRY(lock_take(s->run_dir, LOCK_WAIT_S, &p->lock, err));
    TRY(find_checkpoint(a, dir, &p->resume, err));
    if (p->resume) TRY(check_config(s, p->resume, err));
    if (!p->resume && s->hot_start.given) TRY(hot_start_find(s, &p->hot, err));
    char logs[4096];
    snprintf(logs, sizeof logs, "%s/logs", s->run_dir);
    TRY(file_mkdirs(logs, err));
    TRY(report_open(s->run_dir, s, &p->report, err));
    report_state(p->report, "preparing", 0, NULL);
    make_uuid(p->uuid);
    return ST_OK;
}

/* A rank that ends the whole job does so perhaps before the leader has noticed
 * anything: then it writes the status. */
static void leave_place(const struct job *j, struct place *p, enum status st,
                        const struct error *err)
{
    if (st != ST_OK) report_end(p->report, st, err->text);
    if (job_aborts(j, st) && !p->report && j->settings)
        report_failed(j->settings->run_dir, err->text);
    report_close(p->report);
    lock_release(p->lock);
    mem_free(p->resume);
    hot_start_close(&p->hot);
}

static void open_log_file(const struct job *j)
{
    char path[4096];
    int rank = j->net ? transport_rank(j->net) : 0;
    snprintf(path, sizeof path, "%s/logs/rank-%03d.%s.log", j->settings->run_dir, rank,
             j->is_server ? "server" : "worker");
    if (!log_file(path)) log_line(LOG_WARN, "job", "%s cannot be opened: no log file", path);
}

/* train.early_stop may be another one than that of the checkpoint. */
static enum status renew_early_stop(const struct settings *now, const struct ckpt *ckpt,
                                    const char *path, struct train_state *state, struct error *err)
{
    struct settings *then;
    TRY(settings_parse(ckpt_meta(ckpt)->config, path, NULL, 0, &then, err));
    early_stop_resume(then, now, state);
    settings_destroy(then);
    return ST_OK;
}

/* The leader puts the starting point on the servers; then all workers know it is there. */
static enum status load_start(struct job *j, const char *path, struct ckpt *ckpt,
                              const struct hot_start *hot, struct train_state *start,
                              struct error *err)
{
    if (j->leader && ckpt) {
        TRY(saver_load(j->session, j->client, path, ckpt, start, err));
        TRY(renew_early_stop(j->settings, ckpt, path, start, err));
    }
    if (j->leader && hot->plan) TRY(hot_start_load(hot, j->session, j->client, start, err));
    if (j->leader && !ckpt && !hot->plan) TRY(saver_init(j->session, j->client, err));
    return crew_tell(&j->crew, start, sizeof *start, "the starting point", err);
}

static void print_result(const struct args *a, const json_t *result)
{
    if (a->common.json) {
        json_dumpf(result, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
        putchar('\n');
        return;
    }
    const char *task;
    json_t *metrics, *value;
    json_object_foreach(json_object_get(result, "eval"), task, metrics)
    {
        const char *name;
        printf("%-12s", task);
        json_object_foreach(metrics, name, value)
            printf(json_is_integer(value) ? "  %s %.0f" : "  %s %.5f", name, json_number_value(value));
        putchar('\n');
    }
    printf("checkpoint    %s\n", json_string_value(json_object_get(result, "checkpoint")));
}

static enum status work(const struct args *a, struct job *j, const struct place *p, const char *resume,
                        struct ckpt *ckpt, struct error *err)
{
    struct train_state start = {0};
    TRY(load_start(j, resume, ckpt, &p->hot, &start, err));
    if (ckpt && j->leader)
        log_line(LOG_INFO, "train", "resumed from %s at step %llu", resume,
                 (unsigned long long)start.step);
    struct run_spec spec = {.session = j->session,
                            .client = j->client,
                            .crew = &j->crew,
                            .threads = j->threads,
                            .run_dir = j->settings->run_dir,
                            .lock = p->lock,
                            .report = p->report,
                            .run_uuid = p->uuid,
                            .build = MTPS_BUILD_ID,
                            .start = start,
                            .start_path = resume,
                            .start_ckpt = ckpt};
    json_t *result = NULL;
    TRY(run_train(&spec, &result, err));
    if (result) print_result(a, result);
    json_decref(result);
    return ST_OK;
}

static void describe(const struct job *j)
{
    char *text;
    struct error err;
    if (!j->leader || model_describe(j->session->model, &text, &err) != ST_OK) return;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        log_line(LOG_INFO, "model", "%s", line);
    log_line(LOG_INFO, "data", "%llu rows to train on, %llu steps",
             (unsigned long long)dataset_rows(j->session->train),
             (unsigned long long)session_total_steps(j->session));
    mem_free(text);
}

/* Every worker has the checkpoint of a hot start and a session that knows of it. */
static enum status open_hot(struct job *j, struct place *p, const char *path, struct error *err)
{
    enum status st = ST_OK;
    if (j->is_server) return ST_OK;
    if (path && !p->hot.ckpt) st = hot_start_open(path, &p->hot, err);
    if (st == ST_OK && j->settings->hot_start.statistics == HOT_STATISTICS_KEEP)
        j->session->hot = p->hot.ckpt;
    return st;
}

/* The plan, and on the leader its report. */
static enum status plan_hot(struct job *j, struct place *p, struct error *err)
{
    TRY(hot_start_plan(&p->hot, j->session, err));
    TRY(session_rates(j->session, NULL, p->hot.plan, err));
    if (!j->leader) return ST_OK;
    struct hot_coverage *coverage = NULL;
    if (p->hot.plan->n_loaded) TRY(hot_coverage_make(&p->hot, j->session, j->net, &coverage, err));
    enum status st = hot_report_run(&p->hot, coverage, j->settings->run_dir, err);
    hot_coverage_destroy(coverage);
    return st;
}

/* The model, and what it starts from when nothing is resumed. */
static enum status make_model(struct job *j, struct place *p, const char *resume,
                              struct ckpt *ckpt, struct error *err)
{
    char *path = p->hot.path ? mem_strdup(p->hot.path) : NULL;
    enum status st = job_tell(j, &path, err);
    if (st == ST_OK) st = job_agree(j, open_hot(j, p, path, err), "opening the checkpoint", err);
    mem_free(path);
    TRY(st);
    TRY(job_make_model(j, ckpt, err));
    if (!resume && j->settings->hot_start.given && !j->is_server) st = plan_hot(j, p, err);
    if (ckpt && !j->is_server) st = session_rates(j->session, ckpt, NULL, err);
    TRY(job_agree(j, st, "planning the hot start", err));
    return job_serve(j, err);
}

static enum status train(const struct args *a, struct job *j, struct place *p, struct error *err)
{
    const struct settings *s = j->settings;
    signals_install();
    enum status st = j->leader ? take_place(a, s, p, err) : ST_OK;
    TRY(job_agree(j, st, "run directory", err));
    open_log_file(j);
    char *resume = p->resume ? mem_strdup(p->resume) : NULL;
    st = job_tell(j, &resume, err);
    struct ckpt *ckpt = NULL;
    struct session_spec data = {.settings = s, .net = j->net, .uses = SESSION_TRAIN | SESSION_VALID};
    if (s->data.eval.files.n) data.uses |= SESSION_EVAL;
    if (st == ST_OK) st = job_data(j, &data, err);
    if (st == ST_OK) {
        enum status open = resume && !j->is_server ? ckpt_open(resume, j->leader, &ckpt, err) : ST_OK;
        if (ckpt && open == ST_OK) open = session_same_data(j->session, ckpt, err);
        st = job_agree(j, open, "opening the checkpoint", err);
    }
    if (st == ST_OK) st = make_model(j, p, resume, ckpt, err);
    if (st == ST_OK && !j->is_server) {
        describe(j);
        st = work(a, j, p, resume, ckpt, err);
    }
    ckpt_close(ckpt);
    mem_free(resume);
    return st;
}

int cmd_train(int argc, char **argv)
{
    struct args a = {.servers = SIZE_MAX};
    struct settings *settings = NULL;
    struct error err = {0};
    struct job job;
    struct place place = {0};
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK) st = cli_settings(&a.common, &settings, &err);
    st = job_open(&job, settings, a.servers, st, &err);
    if (st == ST_OK) st = train(&a, &job, &place, &err);
    st = job_outcome(&job, st, &err);
    leave_place(&job, &place, st, &err);
    int code = job_close(&job, st, &err);
    settings_destroy(settings);
    free(a.common.sets);
    return code;
}
