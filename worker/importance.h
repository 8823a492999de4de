/* What each feature is worth to a model: how much worse the rows are ranked when the
 * feature's values are moved to other rows (`mtps importance`). */
#ifndef MTPS_WORKER_IMPORTANCE_H
#define MTPS_WORKER_IMPORTANCE_H

#include "model/metric.h"
#include "worker/scorer.h"

/* Features whose values move together. */
struct importance_group {
    const char *name;
    const size_t *features; /* of the schema */
    size_t n;
};

struct importance_spec {
    struct scorer_spec scorer;
    const struct importance_group *groups;
    size_t n_groups;
    size_t repeats; /* permutations per group, at least 1 */
    uint64_t seed;
    void (*progress)(void *arg, size_t done, size_t total); /* NULL: none */
    void *arg;
};

/* Over the repeats: mean, and standard deviation of one (NaN with one repeat). */
struct importance {
    double drop, deviation;
};

/* What is compared: the AUC of a bce task, the XAUC of the others. */
double importance_figure(const struct metric_result *m);

/* Collective over the workers, equal on all: whole[n_scores], the figures of untouched
 * rows; drops[n_groups, n_scores] of untouched minus moved. */
enum status importance_measure(const struct importance_spec *spec,
                               struct metric_result *whole, struct importance *drops,
                               struct error *err) MUST_USE;

#endif
