#include "worker/importance.h"

#include <math.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "worker/evaluator.h"

double importance_figure(const struct metric_result *m)
{
    return isnan(m->auc) ? m->xauc : m->auc;
}

/* The permutation depends on the group's name, not on its place among the groups. */
static uint64_t seed_of(const struct importance_spec *spec, size_t group, size_t repeat)
{
    const char *name = spec->groups[group].name;
    return hash_pair(hash_bytes(name, strlen(name), spec->seed), repeat);
}

/* drop[repeat * n_scores + k] of one group. */
static enum status measure_group(const struct importance_spec *spec, size_t group,
                                 const struct metric_result *whole,
                                 struct metric_result *moved, double *drop,
                                 struct error *err)
{
    size_t n_scores = spec->scorer.session->spec.settings->n_scores;
    const struct importance_group *g = &spec->groups[group];
    for (size_t r = 0; r < spec->repeats; r++) {
        struct scan_exchange what = {g->features, g->n, seed_of(spec, group, r)};
        TRY(evaluate_exchanged(&spec->scorer, &what, moved, err));
        for (size_t k = 0; k < n_scores; k++)
            drop[r * n_scores + k] =
                importance_figure(&whole[k]) - importance_figure(&moved[k]);
        if (spec->progress)
            spec->progress(spec->arg, group * spec->repeats + r + 1,
                           spec->n_groups * spec->repeats);
    }
    return ST_OK;
}

static struct importance summary(const double *v, size_t n, size_t stride)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++) sum += v[i * stride];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        square += (v[i * stride] - mean) * (v[i * stride] - mean);
    return (struct importance){mean, n > 1 ? __builtin_sqrt(square / (double)(n - 1))
                                           : (double)NAN};
}

enum status importance_measure(const struct importance_spec *spec,
                               struct metric_result *whole, struct importance *drops,
                               struct error *err)
{
    size_t n_scores = spec->scorer.session->spec.settings->n_scores;
    struct metric_result *moved = mem_zeroed(n_scores, sizeof *moved);
    double *drop = mem_array(spec->repeats * n_scores, sizeof *drop);
    enum status st = ST_OK;
    if (!moved || !drop)
        st = mem_error(err, "importance", spec->repeats * n_scores * sizeof *drop);
    if (st == ST_OK) st = evaluate(&spec->scorer, whole, err);
    for (size_t g = 0; st == ST_OK && g < spec->n_groups; g++) {
        st = measure_group(spec, g, whole, moved, drop, err);
        for (size_t k = 0; st == ST_OK && k < n_scores; k++)
            drops[g * n_scores + k] = summary(drop + k, spec->repeats, n_scores);
    }
    mem_free(moved);
    mem_free(drop);
    return st;
}
