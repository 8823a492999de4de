/* What a run leaves for people and programs: the run directory's config.yaml,
 * environment.json, status.json (rewritten atomically), metrics.jsonl (one
 * object a line) and result.json; and progress lines in the log. Only the leader
 * has a report; every call accepts NULL and then does nothing. Problems with
 * these files are warnings: a full log disk does not stop training. */
#ifndef MTPS_WORKER_REPORT_H
#define MTPS_WORKER_REPORT_H

#include <jansson.h>

#include "common/config/settings.h"
#include "model/health.h"
#include "model/metric.h"

/* Where the time of training goes, in seconds; of one worker's busiest thread. */
struct stage_times {
    double read;  /* waiting for rows from the prepared file */
    double keys;  /* building batches, distinct keys, joining lanes' gradients */
    double wait;  /* for the servers' answers */
    double model; /* forward and backward */
    double apply; /* optimisers, when the server is in this process */
};

struct progress {
    uint64_t step, total_steps, updates, skipped;
    uint64_t rows; /* trained so far in this run */
    double epoch, seconds, rows_per_s;
    const double *loss; /* [n_tasks] mean since the last report */
    const double *weight; /* [n_tasks] of balance dwa; NULL: another one */
    struct stage_times times;
};

struct report;
enum status report_open(const char *run_dir, const struct settings *s, struct report **out,
                        struct error *err) MUST_USE;
void report_close(struct report *r);

/* status.json: state is preparing, running, saving, stopped, done or failed. A
 * process that was killed leaves the state it was in: see whether `pid` lives. */
void report_state(struct report *r, const char *state, uint64_t step, const char *message);
/* Training has come to this step; for report_end. */
void report_at(struct report *r, uint64_t step);
/* The run ends early: stopped or failed, at the step where it is. */
void report_end(struct report *r, enum status st, const char *message);
/* The same from a rank that is not the leader and ends the whole job: the step
 * is that of the leader's last report. Does nothing before there is one. */
void report_failed(const char *run_dir, const char *message);
void report_progress(struct report *r, const struct progress *p);
/* kind: "valid" or "eval". results[n_scores]; health of the same rows. */
void report_metrics(struct report *r, const char *kind, uint64_t step,
                    const struct metric_result *results, const struct health_result *health);
void report_commit(struct report *r, uint64_t step, const char *path, double seconds);

/* One result as JSON: {"auc":…,"logloss":…,…}; absent metrics are left out. New reference. */
json_t *report_metric_json(const struct metric_result *m);
/* Health as keys of a line of metrics.jsonl (docs/models.md), and as a line for people;
 * the text is empty when there is nothing to say. */
void report_health_json(const struct settings *s, const struct health_result *h, json_t *line);
void report_health_line(const struct settings *s, const struct health_result *h, char *out,
                        size_t size);
/* One line per task for people: "click  auc 0.7481  logloss ...". Caller frees (mem_free). */
char *report_metric_line(const char *task, const struct metric_result *m);
/* Keep the final JSON in result.json, read it back (NULL when there is none). */
void report_result(struct report *r, const json_t *result);
json_t *report_last_result(const char *run_dir);

#endif
