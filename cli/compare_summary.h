/* A comparison's results cell by cell: mean and deviation over seeds, the paired
 * test against the first cell, and who is best. */
#ifndef MTPS_CLI_COMPARE_SUMMARY_H
#define MTPS_CLI_COMPARE_SUMMARY_H

#include "cli/compare.h"
#include "cli/compare_stats.h"

/* Which way a metric is better, by its name. */
enum metric_better { BETTER_HIGHER, BETTER_LOWER, BETTER_NEAR_ONE };
enum metric_better metric_better(const char *metric);

/* Tasks and, per task, metrics that some finished run has, in order of appearance.
 * Names are the arena's. */
struct task_metrics {
    const char *task;
    const char **metrics;
    size_t n;
};
enum status compare_tasks(const struct compare *c, enum compare_on on,
                          struct task_metrics **tasks, size_t *n,
                          struct error *err) MUST_USE;

/* One metric of one task. */
struct cell_metric {
    struct sample sample;
    struct paired
        paired; /* against the first cell, over common seeds; of the first: NaN */
    bool best;  /* by the mean; several when they are equal */
};
/* x[n_runs]: the runs' values, NaN where there is none. */
void compare_values(const struct compare *c, enum compare_on on, const char *task,
                    const char *metric, double *x);
/* out[n_cells]. */
enum status compare_metric(const struct compare *c, enum compare_on on, const char *task,
                           const char *metric, struct cell_metric *out,
                           struct error *err) MUST_USE;

/* Seconds of training over a cell's finished runs. */
struct sample compare_train_s(const struct compare *c, size_t cell);

#endif
