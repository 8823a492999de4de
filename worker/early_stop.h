/* What early stopping watches on data.valid, and which of two values is better. */
#ifndef MTPS_WORKER_EARLY_STOP_H
#define MTPS_WORKER_EARLY_STOP_H

#include "common/config/settings.h"
#include "model/metric.h"
#include "worker/train_state.h"

/* The watched metric of results[n_scores]: of one score, or the mean over the tasks that
 * have it. A score has none when it is not defined on these rows (an AUC of labels that
 * are all alike); undefined[n_scores] tells which watched ones these are. NAN when no
 * watched one has it. */
double early_stop_value(const struct settings *s, const struct metric_result *results,
                        bool *undefined);
/* True for metrics of which more is better. */
bool early_stop_rises(const struct settings *s);
bool early_stop_better(const struct settings *s, double value, double than);

/* What a run that goes on with the settings `now` keeps of a checkpoint that was made with
 * `then`: the best value, when both watch the same, and the end only when it has come with
 * the patience of `now`. */
void early_stop_resume(const struct settings *then, const struct settings *now,
                       struct train_state *state);

#endif
