#include "worker/run.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "worker/early_stop.h"
#include "worker/evaluator.h"
#include "worker/signals.h"
#include "worker/trainer.h"

enum {
    MAX_SKIPPED_IN_ROW = 10, /* non-finite steps, then the run ends */
    MAX_FAILED_SAVES = 3     /* in a row, then the run ends */
};

struct run {
    const struct run_spec *spec;
    const struct settings *settings;
    struct trainer *trainer;
    struct dwa *dwa; /* NULL: another balance */
    struct train_state state;
    uint64_t total_steps, steps_per_epoch;
    uint64_t last_commit;    /* step of the newest checkpoint; UINT64_MAX = none */
    char *path;              /* of the newest checkpoint (leader) */
    char *best_path;         /* of the best one (leader) */
    double last_commit_s, last_valid_s, started_s, train_s, reported_s;
    uint64_t reported_rows;
    size_t failed_saves, skipped_in_row;
    struct metric_result *results; /* [n_scores] of the last evaluation */
    bool *undefined;               /* [n_scores] scratch of early stopping */
    bool said_undefined;
    bool looked; /* data.valid is due at this step */
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool leads(const struct run *r)
{
    return r->spec->crew->worker == 0;
}

/* ---- periods ---- */

/* True when a period in steps or epochs ends at this step; the same on all workers.
 * Periods of time end by the leader's clock: see due_by_time. */
static bool due(const struct run *r, const struct every_cfg *e, uint64_t step)
{
    if (e->steps && step % e->steps == 0) return true;
    if (e->epochs <= 0) return false;
    double period = e->epochs * (double)r->steps_per_epoch;
    return floor((double)step / period) > floor((double)(step - 1) / period);
}

static bool elapsed(const struct every_cfg *e, double since)
{
    return e->seconds > 0 && now_s() - since >= e->seconds;
}

/* Requests for what is due by the leader's clock, as wire_flags: the step's
 * messages carry them, so that all workers act at the same edge. */
static uint32_t due_by_time(const struct run *r)
{
    const struct settings *s = r->settings;
    if (!leads(r)) return 0;
    bool valid = r->spec->session->valid && elapsed(&s->train.eval_every, r->last_valid_s);
    return (elapsed(&s->checkpoint.every, r->last_commit_s) ? WIRE_CHECKPOINT : 0) |
           (elapsed(&s->log.every, r->reported_s) ? WIRE_REPORT : 0) |
           (valid ? WIRE_VALIDATE : 0);
}

/* Rows that training has used after so many steps. */
static uint64_t rows_until(const struct run *r, uint64_t step)
{
    const struct train_cfg *t = &r->settings->train;
    uint64_t n = dataset_rows(r->spec->session->train);
    uint64_t epochs = step / r->steps_per_epoch;
    uint64_t rows = epochs * n, used = step % r->steps_per_epoch * (t->batch_size / t->lanes);
    for (size_t l = 0; l < t->lanes; l++) {
        struct range part = partition_part(n, l, t->lanes);
        uint64_t size = part.end - part.first;
        rows += used < size ? used : size;
    }
    return rows;
}

/* ---- progress ---- */

/* What workers tell the leader; the losses of all tasks follow. */
struct share {
    uint64_t rows, loss_rows; /* trained; that the losses are sums over */
    struct stage_times times;
    double loss[];
};

static enum status add_share(void *arg, size_t worker, const struct message *m, struct error *err)
{
    struct share *sum = arg;
    const struct share *s = (const void *)m->data;
    if (m->bytes < sizeof *s)
        return error_set(err, ST_PEER, "progress of worker %zu: %zu bytes", worker, m->bytes);
    sum->rows += s->rows;
    sum->loss_rows += s->loss_rows;
    if (worker == 0) sum->times = s->times;
    size_t n = (m->bytes - sizeof *s) / sizeof *s->loss;
    for (size_t k = 0; k < n; k++) sum->loss[k] += s->loss[k];
    return ST_OK;
}

static void say_progress(struct run *r, struct share *sum)
{
    double now = now_s();
    size_t n = r->settings->n_tasks;
    for (size_t k = 0; k < n && sum->loss_rows; k++) sum->loss[k] /= (double)sum->loss_rows;
    struct progress p = {.step = r->state.step,
                         .total_steps = r->total_steps,
                         .updates = r->state.updates,
                         .skipped = r->state.skipped,
                         .rows = sum->rows,
                         .epoch = r->state.epoch,
                         .seconds = now - r->started_s,
                         .rows_per_s = (double)(sum->rows - r->reported_rows) / (now - r->reported_s),
                         .loss = sum->loss,
                         .weight = dwa_weight(r->dwa),
                         .times = sum->times};
    report_progress(r->spec->report, &p);
    r->reported_rows = sum->rows;
}

static enum status progress(struct run *r, struct error *err)
{
    size_t n = r->settings->n_tasks;
    size_t bytes = sizeof(struct share) + n * sizeof(double);
    struct share *own = mem_zeroed(1, bytes), *sum = mem_zeroed(1, bytes);
    enum status st = own && sum ? ST_OK : mem_error(err, "progress", bytes);
    if (st == ST_OK) {
        own->rows = trainer_rows(r->trainer);
        trainer_times(r->trainer, &own->times);
        trainer_take_losses(r->trainer, own->loss, &own->loss_rows);
        st = crew_gather(r->spec->crew, own, bytes, "progress", add_share, sum, err);
    }
    if (st == ST_OK && leads(r)) say_progress(r, sum);
    r->reported_s = now_s();
    mem_free(own);
    mem_free(sum);
    return st;
}

/* ---- checkpoints ---- */

static enum status retire(struct run *r, struct error *err)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/checkpoints", r->spec->run_dir);
    return ckpt_retire(dir, r->settings->checkpoint.keep, r->best_path, err);
}

static struct saver_spec saver_of(const struct run *r)
{
    return (struct saver_spec){r->spec->session, r->spec->client, r->spec->run_dir, r->spec->lock,
                               r->spec->run_uuid, r->spec->build, dwa_state(r->dwa)};
}

/* The checkpoint of this step is the best. */
static enum status mark_best(struct run *r, struct error *err)
{
    struct saver_spec saver = saver_of(r);
    mem_free(r->best_path);
    if (!(r->best_path = mem_strdup(r->path))) return mem_error(err, "path", strlen(r->path));
    return saver_mark_best(&saver, &r->state, err);
}

static enum status commit_now(struct run *r, struct error *err)
{
    struct saver_spec saver = saver_of(r);
    double start = now_s();
    char *path = NULL;
    report_state(r->spec->report, "saving", r->state.step, NULL);
    TRY(saver_commit(&saver, &r->state, &path, err));
    mem_free(r->path);
    r->path = path;
    report_commit(r->spec->report, r->state.step, path, now_s() - start);
    report_state(r->spec->report, "running", r->state.step, NULL);
    if (r->state.has_best && r->state.best_step == r->state.step) TRY(mark_best(r, err));
    return retire(r, err);
}

/* Leader: commit; a failure is a warning until it happens too often or `must`. */
static enum status commit(struct run *r, bool must, struct error *err)
{
    r->last_commit = r->state.step;
    r->last_commit_s = now_s();
    TRY(dwa_collect(r->dwa, err));
    if (!leads(r)) return ST_OK;
    struct error why;
    enum status st = commit_now(r, &why);
    if (st == ST_OK) {
        r->failed_saves = 0;
        return ST_OK;
    }
    if (must || st == ST_BUSY || st == ST_PEER || ++r->failed_saves >= MAX_FAILED_SAVES) {
        if (err) *err = why;
        return error_wrap(err, st, "checkpoint at step %llu", (unsigned long long)r->state.step);
    }
    log_line(LOG_WARN, "ckpt", "checkpoint at step %llu failed, going on: %s",
             (unsigned long long)r->state.step, why.text);
    return ST_OK;
}

/* ---- validation and early stopping ---- */

/* Names of the scores that are marked, for a message. */
static void put_names(const struct settings *s, const bool *marked, char *out, size_t size)
{
    size_t n = 0;
    *out = 0;
    for (size_t k = 0; k < s->n_scores && n < size; k++)
        if (marked[k])
            n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", s->scores[k].name);
}

/* The watched value. Tasks without one are left out of a mean, and named once. */
static enum status watch(struct run *r, double *value, struct error *err)
{
    const struct settings *s = r->settings;
    char names[512];
    *value = early_stop_value(s, r->results, r->undefined);
    put_names(s, r->undefined, names, sizeof names);
    if (isfinite(*value)) {
        if (*names && leads(r) && !r->said_undefined)
            log_line(LOG_WARN, "train", "early stopping: %s of %s is not defined on data.valid: "
                     "left out of the mean", s->train.early_stop_metric, names);
        r->said_undefined = true;
        return ST_OK;
    }
    error_set(err, ST_DATA, "train.early_stop: %s of %s is not defined on the rows of data.valid",
              s->train.early_stop_metric, names);
    return error_hint(err, ST_DATA, "take more rows for data.valid (an AUC needs labels of both "
                                    "kinds), or watch another task or metric");
}

static enum status measure(struct run *r, struct dataset *data, const char *kind, uint64_t step,
                           struct error *err)
{
    struct health *health;
    struct health_result found;
    TRY(health_create(r->spec->session->model, &health, err));
    struct scorer_spec scorer = {r->spec->session, data, r->spec->client, r->spec->crew,
                                 r->spec->threads, NULL, health};
    enum status st = evaluate(&scorer, r->results, err);
    if (st == ST_OK && leads(r)) st = health_finalize(health, &found, err);
    if (st == ST_OK && leads(r)) report_metrics(r->spec->report, kind, step, r->results, &found);
    health_destroy(health);
    return st;
}

/* *better: the watched value is the best so far, and noted as such. */
static enum status look(struct run *r, bool *better, struct error *err)
{
    double value;
    *better = false;
    TRY(measure(r, r->spec->session->valid, "valid", r->state.step, err));
    r->last_valid_s = now_s();
    if (!r->settings->train.early_stop) return ST_OK;
    TRY(watch(r, &value, err));
    *better = !r->state.has_best || early_stop_better(r->settings, value, r->state.best);
    if (!*better) return ST_OK;
    r->state.has_best = true;
    r->state.best = value;
    r->state.best_step = r->state.step;
    r->state.stale = 0;
    return ST_OK;
}

static enum status validate(struct run *r, struct error *err)
{
    bool better;
    TRY(look(r, &better, err));
    if (better) return commit(r, true, err);
    if (!r->settings->train.early_stop) return ST_OK;
    r->state.stale++;
    if (r->state.stale >= r->settings->train.early_stop_patience) {
        r->state.stopped_early = true;
        if (leads(r))
            log_line(LOG_INFO, "train", "stopped early at step %llu: best at step %llu",
                     (unsigned long long)r->state.step, (unsigned long long)r->state.best_step);
    }
    return ST_OK;
}

/* ---- the loop ---- */

static enum status add_largest(void *arg, size_t worker, const struct message *m,
                               struct error *err)
{
    uint64_t bytes, *largest = arg;
    if (m->bytes != sizeof bytes)
        return error_set(err, ST_PEER, "message size of worker %zu: %zu bytes", worker, m->bytes);
    memcpy(&bytes, m->data, sizeof bytes);
    if (bytes > *largest) *largest = bytes;
    return ST_OK;
}

/* What a server needs to hold: one step message of every worker. */
static enum status say_messages(const struct run *r, struct error *err)
{
    const struct crew *c = r->spec->crew;
    uint64_t own = trainer_message_bytes(r->trainer), largest = 0;
    if (!c->net) return ST_OK;
    TRY(crew_gather(c, &own, sizeof own, "message sizes", add_largest, &largest, err));
    if (leads(r))
        log_line(LOG_INFO, "job", "step messages up to %.3g MiB; a server holds %zu, up to %.3g MiB",
                 (double)largest / 0x1p20, c->n_workers,
                 (double)largest * (double)c->n_workers / 0x1p20);
    return ST_OK;
}

static enum status check_skipped(struct run *r, uint64_t skipped_before, struct error *err)
{
    uint64_t now = r->spec->start.skipped + trainer_skipped(r->trainer);
    r->skipped_in_row = now > skipped_before ? r->skipped_in_row + 1 : 0;
    r->state.skipped = now;
    if (now > skipped_before && leads(r))
        log_line(LOG_WARN, "train", "step %llu skipped: a loss or gradient is not finite, or beyond 2^50",
                 (unsigned long long)r->state.step);
    if (r->skipped_in_row < MAX_SKIPPED_IN_ROW) return ST_OK;
    error_set(err, ST_INTERNAL, "training: steps up to %llu: %d steps in a row were not finite",
              (unsigned long long)r->state.step, MAX_SKIPPED_IN_ROW);
    return error_hint(err, ST_INTERNAL, "lower the learning rates, set train.clip_norm, or look "
                                        "for huge values with `mtps data stats`");
}

static enum status one_step(struct run *r, uint32_t *flags, struct error *err)
{
    double start = now_s();
    uint64_t skipped = r->state.skipped;
    *flags = signals_take() | due_by_time(r);
    TRY(trainer_step(r->trainer, flags, err));
    r->train_s += now_s() - start;
    r->state.step = trainer_next_step(r->trainer);
    report_at(r->spec->report, r->state.step);
    r->state.updates = trainer_updates(r->trainer);
    r->state.epoch = (double)r->state.step / (double)r->steps_per_epoch;
    return check_skipped(r, skipped, err);
}

/* What may happen at the edge after a step. */
static enum status edge(struct run *r, uint32_t flags, struct error *err)
{
    const struct train_cfg *t = &r->settings->train;
    uint64_t step = r->state.step;
    bool last = step == r->total_steps;
    TRY(dwa_edge(r->dwa, step, err));
    bool report_due = due(r, &r->settings->log.every, step) || flags & WIRE_REPORT;
    if (last || report_due) TRY(progress(r, err));
    r->looked = due(r, &t->eval_every, step) || flags & WIRE_VALIDATE;
    if (r->spec->session->valid && r->looked) TRY(validate(r, err));
    bool commit_due = due(r, &r->settings->checkpoint.every, step) || flags & WIRE_CHECKPOINT;
    bool must = last || flags & WIRE_STOP || r->state.stopped_early;
    if ((commit_due || must) && r->last_commit != step) TRY(commit(r, must, err));
    return ST_OK;
}

/* best.json says what the state says: the look at the end of the run before is undone, and
 * what another early stopping chose is forgotten. */
static enum status name_best(const struct run *r, struct error *err)
{
    char path[4200];
    if (!leads(r) || !r->spec->start_path) return ST_OK;
    struct saver_spec saver = saver_of(r);
    if (r->state.has_best) return saver_mark_best(&saver, &r->state, err);
    snprintf(path, sizeof path, "%s/checkpoints/best.json", r->spec->run_dir);
    return file_remove_tree(path, err);
}

static enum status loop(struct run *r, struct error *err)
{
    struct trainer_spec spec = {.session = r->spec->session,
                                .client = r->spec->client,
                                .threads = r->spec->threads,
                                .worker = r->spec->crew->worker,
                                .n_workers = r->spec->crew->n_workers,
                                .start_step = r->state.step,
                                .end_step = r->total_steps,
                                .dwa = r->dwa};
    TRY(trainer_create(&spec, &r->trainer, err));
    TRY(say_messages(r, err));
    TRY(trainer_begin(r->trainer, err));
    r->reported_s = r->last_commit_s = r->last_valid_s = now_s();
    report_state(r->spec->report, "running", r->state.step, NULL);
    while (r->state.step < r->total_steps && !r->state.stopped_early) {
        uint32_t flags;
        TRY(one_step(r, &flags, err));
        TRY(edge(r, flags, err));
        if (flags & WIRE_STOP && r->state.step < r->total_steps) {
            error_set(err, ST_STOPPED, "stopped at step %llu of %llu after a committed checkpoint",
                      (unsigned long long)r->state.step, (unsigned long long)r->total_steps);
            return error_hint(err, ST_STOPPED, "run the same command again to go on");
        }
    }
    return ST_OK;
}

/* ---- the end ---- */

/* With early stopping the best checkpoint is the one that counts. */
static enum status load_best(struct run *r, struct error *err)
{
    if (!r->state.has_best || r->state.best_step == r->state.step) return ST_OK;
    if (leads(r)) {
        char path[4200];
        snprintf(path, sizeof path, "%s/checkpoints/step-%012llu", r->spec->run_dir,
                 (unsigned long long)r->state.best_step);
        struct ckpt *ckpt;
        TRY(ckpt_open(path, true, &ckpt, err));
        enum status st = saver_load(r->spec->session, r->spec->client, path, ckpt, NULL, err);
        ckpt_close(ckpt);
        TRY(st);
        mem_free(r->path);
        if (!(r->path = mem_strdup(path))) return mem_error(err, "path", sizeof path);
    }
    uint8_t ready = 1;
    return crew_tell(r->spec->crew, &ready, sizeof ready, "loading the best checkpoint", err);
}

static json_t *eval_json(const struct run *r)
{
    json_t *eval = json_object();
    for (size_t k = 0; k < r->settings->n_scores; k++)
        json_object_set_new(eval, r->settings->scores[k].name, report_metric_json(&r->results[k]));
    return eval;
}

static json_t *times_json(const struct run *r)
{
    struct stage_times t = {0};
    if (r->trainer) trainer_times(r->trainer, &t);
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "read", t.read, "keys", t.keys, "wait", t.wait,
                     "model", t.model, "apply", t.apply);
}

static json_t *result_json(const struct run *r)
{
    uint64_t rows = rows_until(r, r->state.step);
    uint64_t fresh = rows - rows_until(r, r->spec->start.step);
    json_t *doc = json_pack(
        "{s:I, s:f, s:I, s:I, s:f, s:f, s:o, s:s}", "steps", (json_int_t)r->state.step, "epochs",
        r->state.epoch, "rows", (json_int_t)rows, "skipped", (json_int_t)r->state.skipped,
        "samples_per_s", r->train_s > 0 ? (double)fresh / r->train_s : 0.0, "wall_s",
        now_s() - r->started_s, "times", times_json(r), "checkpoint", r->path ? r->path : "");
    if (doc && r->spec->session->eval) json_object_set_new(doc, "eval", eval_json(r));
    return doc;
}

/* A finished run that is started again keeps the speed of its training. */
static void keep_speed(const struct run *r, json_t *doc)
{
    json_t *last = report_last_result(r->spec->run_dir);
    static const char *const keys[] = {"samples_per_s", "wall_s", "times"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(last, keys[i]);
        if (v) json_object_set(doc, keys[i], v);
    }
    json_decref(last);
}

/* With early stopping the end of a run is looked at too, where that is not due. A
 * later run may go on from here, and do what one run would have done: the last
 * checkpoint, which is committed, knows nothing of this look. */
static enum status look_at_end(struct run *r, struct error *err)
{
    bool better;
    if (!r->settings->train.early_stop || !r->spec->session->valid || r->looked) return ST_OK;
    TRY(look(r, &better, err));
    return better && leads(r) ? mark_best(r, err) : ST_OK;
}

static enum status finish(struct run *r, bool trained, json_t **result, struct error *err)
{
    TRY(look_at_end(r, err));
    TRY(load_best(r, err));
    uint64_t scored = r->state.has_best ? r->state.best_step : r->state.step;
    if (r->spec->session->eval) TRY(measure(r, r->spec->session->eval, "eval", scored, err));
    if (!leads(r)) return ST_OK;
    *result = result_json(r);
    if (!*result) return mem_error(err, "result", 1024);
    if (!trained) keep_speed(r, *result);
    report_result(r->spec->report, *result);
    report_state(r->spec->report, "done", r->state.step, NULL);
    return ST_OK;
}

static enum status prepare_run(struct run *r, struct error *err)
{
    const struct session *s = r->spec->session;
    r->settings = s->spec.settings;
    r->state = r->spec->start;
    r->started_s = now_s();
    r->last_commit = r->spec->start_path ? r->state.step : UINT64_MAX;
    r->total_steps = session_total_steps(s);
    r->steps_per_epoch = stream_steps_per_epoch(
        dataset_rows(s->train), r->settings->train.batch_size, r->settings->train.lanes);
    r->looked = r->state.step && due(r, &r->settings->train.eval_every, r->state.step);
    r->results = mem_zeroed(r->settings->n_scores, sizeof *r->results);
    r->undefined = mem_zeroed(r->settings->n_scores, sizeof *r->undefined);
    if (!r->results || !r->undefined) return mem_error(err, "results", sizeof *r->results);
    if (r->spec->start_path && !(r->path = mem_strdup(r->spec->start_path)))
        return mem_error(err, "path", strlen(r->spec->start_path));
    if (r->state.has_best && leads(r)) {
        char path[4200];
        snprintf(path, sizeof path, "%s/checkpoints/step-%012llu", r->spec->run_dir,
                 (unsigned long long)r->state.best_step);
        if (!(r->best_path = mem_strdup(path))) return mem_error(err, "path", sizeof path);
    }
    return ST_OK;
}

enum status run_train(const struct run_spec *spec, json_t **result, struct error *err)
{
    struct run r = {.spec = spec};
    enum status st = prepare_run(&r, err);
    if (st == ST_OK) st = name_best(&r, err);
    if (st == ST_OK) st = dwa_create(spec->session, spec->crew, spec->start_ckpt, &r.dwa, err);
    bool train = st == ST_OK && r.state.step < r.total_steps && !r.state.stopped_early;
    if (train) st = loop(&r, err);
    /* A run of no steps (max_steps 0) still leaves its first checkpoint. */
    if (st == ST_OK && !train && !spec->start_path) st = commit(&r, true, err);
    if (st == ST_OK) st = finish(&r, train, result, err);
    trainer_destroy(r.trainer);
    dwa_destroy(r.dwa);
    mem_free(r.path);
    mem_free(r.best_path);
    mem_free(r.results);
    mem_free(r.undefined);
    return st;
}
