/* The computing threads of a process: fork, join, nothing else. The caller is
 * thread 0. Between runs threads spin briefly, then sleep. One run at a time;
 * only the thread that created the pool may start runs. */
#ifndef MTPS_BASE_THREADS_H
#define MTPS_BASE_THREADS_H

#include <stddef.h>

#include "common/base/status.h"

struct threads;
enum status threads_create(size_t n_threads, struct threads **out, struct error *err) MUST_USE;
void threads_destroy(struct threads *p);
size_t threads_size(const struct threads *p);

/* Call work(arg, thread) once per thread, in parallel, and wait for all. */
void threads_run(struct threads *p, void (*work)(void *arg, size_t thread), void *arg);

#endif
