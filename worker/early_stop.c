#include "worker/early_stop.h"

#include <math.h>
#include <string.h>

static double metric_of(const struct metric_result *m, const char *name)
{
    if (!strcmp(name, "logloss")) return m->logloss;
    if (!strcmp(name, "gauc")) return m->gauc;
    if (!strcmp(name, "mae")) return m->mae;
    if (!strcmp(name, "rmse")) return m->rmse;
    if (!strcmp(name, "xauc")) return m->xauc;
    if (!strcmp(name, "gxauc")) return m->gxauc;
    return m->auc;
}

double early_stop_value(const struct settings *s, const struct metric_result *results,
                        bool *undefined)
{
    bool mean = !strcmp(s->train.early_stop_task, "mean");
    double sum = 0;
    size_t n = 0;
    for (size_t k = 0; k < s->n_scores; k++) {
        const struct score_cfg *c = &s->scores[k];
        undefined[k] = false;
        if (mean ? c->given != SCORE_OF_TASK : strcmp(s->train.early_stop_task, c->name) != 0)
            continue;
        double value = metric_of(&results[k], s->train.early_stop_metric);
        undefined[k] = !isfinite(value);
        if (undefined[k]) continue;
        sum += value;
        n++;
    }
    return n ? sum / (double)n : (double)NAN;
}

bool early_stop_rises(const struct settings *s)
{
    const char *name = s->train.early_stop_metric;
    size_t n = strlen(name);
    return n >= 3 && !strcmp(name + n - 3, "auc");
}

bool early_stop_better(const struct settings *s, double value, double than)
{
    return early_stop_rises(s) ? value > than : value < than;
}

static bool watch_the_same(const struct train_cfg *a, const struct train_cfg *b)
{
    return a->early_stop && b->early_stop && !strcmp(a->early_stop_task, b->early_stop_task) &&
           !strcmp(a->early_stop_metric, b->early_stop_metric);
}

void early_stop_resume(const struct settings *then, const struct settings *now,
                       struct train_state *state)
{
    if (!watch_the_same(&then->train, &now->train)) {
        state->has_best = false;
        state->best = 0;
        state->best_step = state->stale = 0;
    }
    state->stopped_early = state->stale && state->stale >= now->train.early_stop_patience;
}
