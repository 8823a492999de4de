/* Metrics of the current parameters on a data set: every worker scores its
 * blocks, the leader merges and computes, all workers get the results. */
#ifndef MTPS_WORKER_EVALUATOR_H
#define MTPS_WORKER_EVALUATOR_H

#include "model/metric.h"
#include "worker/scorer.h"

/* Collective over the workers. results[n_scores] (settings.scores), equal on all. When the scorer has a
 * health, that of the leader holds the blocks of all workers afterwards. */
enum status evaluate(const struct scorer_spec *spec, struct metric_result *results,
                     struct error *err) MUST_USE;

/* The same where some values come from other rows; what NULL: none. */
enum status evaluate_exchanged(const struct scorer_spec *spec, const struct scan_exchange *what,
                               struct metric_result *results, struct error *err) MUST_USE;

/* Metrics of the other kind of task say nothing (a regression has no AUC): NaN.
 * results[n_scores]. */
void evaluator_drop_meaningless(const struct settings *s, struct metric_result *results);

#endif
