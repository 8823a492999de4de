/* Speed of the training step against the machine's limit for matrix products,
 * measured in turn in one run; and of preparing and reading data. */
#ifndef MTPS_WORKER_BENCH_H
#define MTPS_WORKER_BENCH_H

#include <jansson.h>

#include "worker/client.h"
#include "worker/crew.h"
#include "worker/session.h"
#include "common/base/threads.h"

struct bench_spec {
    const struct session *session; /* with train data and model */
    struct client *client;
    const struct crew *crew;
    struct threads *threads;
    size_t rounds;
    double round_s; /* of each kind, per round */
};

/* Rounds of {matrix products of the model on one core, whole batch, fused
 * shapes, one BLAS thread} and {training steps of all workers}, medians. *result
 * (leader): {"name":"step","samples_per_s","bound_samples_per_s","ratio","server_us" (busiest server),
 * "stages":{µs per step}}. Collective over the workers; leaves the tables trained. */
enum status bench_step(const struct bench_spec *spec, json_t **result, struct error *err) MUST_USE;

/* Rounds of preparing data.train, in a folder of its own below data.cache that is
 * removed at the end; of reading the selected rows of the prepared file into memory; and
 * of the same with batches of 4,096 built from them. One thread. *result:
 * [{"name":"prepare","value":rows/s,"unit":"rows/s"}, {"name":"read",...},
 * {"name":"batches",...}], medians. */
enum status bench_data(const struct settings *settings, size_t rounds, json_t **result,
                       struct error *err) MUST_USE;

/* Sorts v. */
double bench_median(double *v, size_t n);

#endif
