/* Scores rows in input order with the inference forward: what evaluation and
 * prediction share. Rows are cut in blocks of SCORE_BLOCK; a worker takes a
 * contiguous range of blocks, its threads share the range. Rows of tables come by
 * read-only pulls, so tables stay as they are. Collective over the workers only
 * in the sense that each scores its own part. */
#ifndef MTPS_WORKER_SCORER_H
#define MTPS_WORKER_SCORER_H

#include "worker/client.h"
#include "worker/crew.h"
#include "worker/session.h"
#include "common/base/threads.h"
#include "model/health.h"

enum { SCORE_BLOCK = 1024 };

struct scorer_spec {
    const struct session *session;
    struct dataset *data;
    struct client *client;
    const struct crew *crew;
    struct threads *threads;
    const enum model_side *vectors; /* two_tower: this side's vectors in place of logits; or NULL */
    struct health *health; /* gets every block that this worker scores; NULL: nobody asks */
};

/* Floats of a row's result: a logit per task, or a vector per task. */
size_t scorer_width(const struct scorer_spec *spec);

/* The scores (settings.scores) of row `row` of the batch from the outputs z[n_tasks]:
 * what users see and its logit, [n_scores]. */
void scorer_scores(const struct session *s, const struct batch *b, size_t row, const float *z,
                   float *values, float *logits);
/* Their labels from those of the tasks: of a conditional score that of its task on rows
 * where the step before happened, absent elsewhere. */
void scorer_labels(const struct settings *s, const float *labels, float *out);

/* Blocks [first, end) of the data that a worker scores. */
struct range scorer_blocks(const struct dataset *d, size_t worker, size_t n_workers);

/* take: called by the calling thread for every block of this worker, in no
 * particular order; logits[b->n_rows, scorer_width]. The block's first row is
 * block * SCORE_BLOCK of the selected rows. Parameters are asked from the
 * servers. */
enum status scorer_run(const struct scorer_spec *spec,
                       enum status (*take)(void *arg, uint64_t block, const struct batch *b,
                                           const float *logits, struct error *err),
                       void *arg, struct error *err) MUST_USE;
/* The same over rows some of whose values come from other rows (data/dataset.h);
 * blocks are those of that sequence. */
enum status scorer_run_exchanged(const struct scorer_spec *spec, const struct scan_exchange *what,
                                 enum status (*take)(void *arg, uint64_t block,
                                                     const struct batch *b,
                                                     const float *logits, struct error *err),
                                 void *arg, struct error *err) MUST_USE;

#endif
