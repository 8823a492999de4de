/* Speed of the training step against the machine's limit for matrix products,
 * measured in turn in one run. */
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

#endif
