#include "cli/compare_summary.h"

#include <math.h>
#include <string.h>

enum { MAX_TASKS = 256, MAX_METRICS = 64 };

enum metric_better metric_better(const char *metric)
{
    static const char *const lower[] = {"logloss", "mae", "rmse", "mse", "loss"};
    if (!strcmp(metric, "pcoc")) return BETTER_NEAR_ONE;
    for (size_t i = 0; i < sizeof lower / sizeof *lower; i++)
        if (!strcmp(metric, lower[i])) return BETTER_LOWER;
    return BETTER_HIGHER;
}

/* ---- names ---- */

/* Counts (rows, violations) are whole numbers and no metrics. */
static bool is_metric(const json_t *value)
{
    return json_is_real(value);
}

static bool add_metric(struct arena *a, struct task_metrics *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (!strcmp(t->metrics[i], name)) return true;
    if (t->n == MAX_METRICS) return true;
    return (t->metrics[t->n] = arena_strdup(a, name)) && ++t->n;
}

static struct task_metrics *find_task(struct arena *a, struct task_metrics *tasks,
                                      size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (!strcmp(tasks[i].task, name)) return &tasks[i];
    if (*n == MAX_TASKS) return NULL;
    struct task_metrics *t = &tasks[*n];
    t->task = arena_strdup(a, name);
    t->metrics = arena_take(a, MAX_METRICS, sizeof *t->metrics);
    if (!t->task || !t->metrics) return NULL;
    ++*n;
    return t;
}

enum status compare_tasks(const struct compare *c, enum compare_on on,
                          struct task_metrics **tasks, size_t *n, struct error *err)
{
    *n = 0;
    *tasks = arena_take(c->arena, MAX_TASKS, sizeof **tasks);
    if (!*tasks) return mem_error(err, "tasks", MAX_TASKS);
    for (size_t i = 0; i < c->n_runs; i++) {
        const char *task, *metric;
        json_t *metrics, *value;
        json_object_foreach(c->runs[i].metrics[on], task, metrics)
        {
            struct task_metrics *t = find_task(c->arena, *tasks, n, task);
            if (!t) return mem_error(err, "tasks", MAX_METRICS);
            json_object_foreach(
                metrics, metric,
                value) if (is_metric(value) &&
                           !add_metric(c->arena, t,
                                       metric)) return mem_error(err, "metrics",
                                                                 MAX_METRICS);
        }
    }
    return ST_OK;
}

/* ---- values ---- */

void compare_values(const struct compare *c, enum compare_on on, const char *task,
                    const char *metric, double *x)
{
    for (size_t i = 0; i < c->n_runs; i++) {
        const json_t *of_task = json_object_get(c->runs[i].metrics[on], task);
        const json_t *value = json_object_get(of_task, metric);
        x[i] = json_is_number(value) ? json_number_value(value) : NAN;
    }
}

/* Something that is larger for a better mean; NaN stays NaN. */
static double merit(enum metric_better better, double mean)
{
    if (better == BETTER_LOWER) return -mean;
    return better == BETTER_NEAR_ONE ? -fabs(mean - 1) : mean;
}

static void mark_best(const struct compare *c, const char *metric,
                      struct cell_metric *out)
{
    enum metric_better better = metric_better(metric);
    double best = -INFINITY;
    for (size_t i = 0; i < c->n_cells; i++)
        best = fmax(best, merit(better, out[i].sample.mean));
    for (size_t i = 0; i < c->n_cells; i++)
        out[i].best = c->n_cells > 1 && out[i].sample.n &&
                      merit(better, out[i].sample.mean) == best;
}

enum status compare_metric(const struct compare *c, enum compare_on on, const char *task,
                           const char *metric, struct cell_metric *out, struct error *err)
{
    double *x = mem_array(c->n_runs, sizeof *x);
    if (!x) return mem_error(err, "metrics", c->n_runs * sizeof *x);
    compare_values(c, on, task, metric, x);
    for (size_t i = 0; i < c->n_cells; i++) {
        const double *own = x + i * c->n_seeds;
        out[i] =
            (struct cell_metric){sample_of(own, c->n_seeds), {0, NAN, NAN, NAN}, false};
        if (i) out[i].paired = paired_test(own, x, c->n_seeds);
    }
    mark_best(c, metric, out);
    mem_free(x);
    return ST_OK;
}

struct sample compare_train_s(const struct compare *c, size_t cell)
{
    double x[COMPARE_MAX_SEEDS];
    size_t n = 0;
    for (size_t i = cell * c->n_seeds;
         i < (cell + 1) * c->n_seeds && n < COMPARE_MAX_SEEDS; i++)
        if (c->runs[i].state == RUN_DONE) x[n++] = c->runs[i].train_s;
    return sample_of(x, n);
}
