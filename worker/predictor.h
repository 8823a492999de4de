/* Scores as a file: a header, then for every row in input order the kept
 * columns' text and one column per task (probability, or value), or a vector per task
 * (scorer.vectors). */
#ifndef MTPS_WORKER_PREDICTOR_H
#define MTPS_WORKER_PREDICTOR_H

#include "worker/score_text.h"
#include "worker/scorer.h"

struct predict_spec {
    struct scorer_spec scorer;
    const char *const *keep;
    size_t n_keep; /* names that are no task and stand once */
    enum score_format format;
    const char *path; /* common/store/output.h; "-" is stdout */
};

/* Collective over the workers; the leader writes. */
enum status predict(const struct predict_spec *spec, uint64_t *rows, struct error *err) MUST_USE;

#endif
