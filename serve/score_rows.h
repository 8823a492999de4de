/* Scores every row of some raw files with the inference library: rows are read, joined
 * and judged as training does it, and come out in blocks in input order. */
#ifndef MTPS_SERVE_SCORE_ROWS_H
#define MTPS_SERVE_SCORE_ROWS_H

#include "data/dataset.h"
#include "serve/include/mtps.h"

enum { SCORE_ROWS_BLOCK = 1024 };

struct scored_block {
    uint64_t index; /* of the block, from 0 */
    size_t n;
    const float *scores, *logits; /* [n, n_tasks]; with spec.vectors they hold nothing */
    const float *vectors;         /* [n, n_tasks, width] with spec.vectors */
    const float *labels;          /* [n, n_tasks] NaN = absent */
    const uint64_t *group;        /* [n] hashes; NULL without data.group */
    const struct text *kept;      /* [n, n_keep] s NULL: missing */
    const struct mtps_value *values; /* [n, n_inputs] of the model, when asked for */
};

struct score_rows_spec {
    const struct settings *settings; /* how files are read, labels, group */
    const struct source_cfg *source;
    bool labels_optional;
    const char *const *keep; /* columns whose text is kept */
    size_t n_keep;
    const char *keep_option; /* who asks for them: "--keep" */
    struct mtps_model *model;
    const enum model_side *vectors; /* two_tower: the vectors of this side in place of scores; or NULL */
    bool values; /* keep the values of the rows, for scoring them once more */
    enum status (*take)(void *arg, const struct scored_block *b, struct error *err);
    void *arg;
    void (*warn)(void *, const char *); /* of labels that cannot be read, or NULL */
};

/* ledger: rows left out because they cannot be read, as in training. */
enum status score_rows(const struct score_rows_spec *spec, struct bad_rows *ledger, uint64_t *rows,
                       struct error *err) MUST_USE;

#endif
