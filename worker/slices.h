/* Metrics per value of an expression (`eval --by`): tab, day, new users. Rows are
 * told apart by the text of the expression's value (row_values_text). */
#ifndef MTPS_WORKER_SLICES_H
#define MTPS_WORKER_SLICES_H

#include "model/metric.h"
#include "worker/scorer.h"

enum { MAX_SLICES = 1000 };

struct slice {
    char *value;
    struct metric_result *results; /* [n_scores] */
};

/* Collective over the workers. The columns of `by` must be kept in the data set
 * (session_spec.keep); by->at.file names it in errors. *slices: sorted by value; on workers other than the leader
 * *n is 0. ST_USAGE beyond MAX_SLICES values. */
enum status evaluate_slices(const struct scorer_spec *spec, const struct text_cfg *by,
                            struct slice **slices, size_t *n, struct error *err) MUST_USE;
void slices_free(struct slice *slices, size_t n);

#endif
