/* The computing threads of a process: fork, join, nothing else. The caller is
 * thread 0. Between runs threads spin briefly, then sleep. One run at a time;
 * only the thread that created the pool may start runs. */
#ifndef MTPS_WORKER_POOL_H
#define MTPS_WORKER_POOL_H

#include <stddef.h>

#include "common/base/status.h"

struct pool;
enum status pool_create(size_t n_threads, struct pool **out, struct error *err) MUST_USE;
void pool_destroy(struct pool *p);
size_t pool_size(const struct pool *p);

/* Call work(arg, thread) once per thread, in parallel, and wait for all. */
void pool_run(struct pool *p, void (*work)(void *arg, size_t thread), void *arg);

#endif
