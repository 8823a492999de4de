/* Metrics of held-out rows, exact and mergeable. A row block is added by whoever
 * scored it; sets of several workers are packed, sent and merged; metric_finalize
 * sorts blocks by index first, so the result does not depend on who scored what,
 * nor in which order.
 *
 *   auc      rank sum with mean ranks for ties; a label y in (0, 1) counts as y
 *            positives and 1 - y negatives
 *   logloss  mean of softplus(z) - y z, from logits, in double
 *   pcoc     sum of predictions / sum of labels
 *   gauc     mean of the groups' aucs weighted by their rows; groups with one
 *            class are left out
 *   mae, rmse  of predictions against labels
 *   xauc     share of the pairs of rows with different labels whose predictions are
 *            in the labels' order; equal predictions count one half
 *   gxauc    mean of the groups' xaucs weighted by their rows; groups with one label
 *            are left out
 *
 * A row counts for a task when its label is present (not NaN). Row weights of
 * training are not used. Values that do not exist (auc of one class or of labels
 * outside [0, 1], xauc of one label, pcoc without positives) are NaN. Not
 * thread-safe. */
#ifndef MTPS_MODEL_METRIC_H
#define MTPS_MODEL_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct metric_result {
    double auc, logloss, pcoc, gauc, mae, rmse, xauc, gxauc;
    double positives; /* sum of labels */
    uint64_t rows;    /* with a label */
    uint64_t groups;  /* that count in gauc */
};

struct metric; /* rows of all tasks */

enum status metric_create(size_t n_tasks, struct metric **out,
                          struct error *err) MUST_USE;
void metric_destroy(struct metric *m);

/* A row block, once. scores (what users see), logits, labels: [n, n_tasks]; group:
 * [n] hashes, or NULL when there are no groups (then in all blocks). Copied. */
enum status metric_add(struct metric *m, uint64_t block, size_t n, const float *scores,
                       const float *logits, const float *labels, const uint64_t *group,
                       struct error *err) MUST_USE;

/* Everything added so far as bytes (little-endian, for a peer of the same build). */
size_t metric_pack_bytes(const struct metric *m);
void metric_pack(const struct metric *m, void *out);
/* Adds what another set packed. ST_INTERNAL when the bytes do not fit together. */
enum status metric_merge(struct metric *m, const void *bytes, size_t n,
                         struct error *err) MUST_USE;

/* out[n_tasks]. More blocks may follow. ST_INTERNAL when a block was added twice. */
enum status metric_finalize(struct metric *m, struct metric_result *out,
                            struct error *err) MUST_USE;

#endif
