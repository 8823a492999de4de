#include "common/base/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "common/base/mem.h"

/* A phase of a step lasts 0.1 to 10 ms: spinning this long (some 20 us) hides
 * the wake-up between phases and costs little while a message is waited for. */
enum { SPINS = 4000 };

struct threads {
    size_t n;
    pthread_t *helpers; /* [n - 1] */
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    _Atomic uint64_t run;     /* number of the current run */
    _Atomic size_t remaining; /* helpers that have not finished it */
    _Atomic int quit;
    void (*work)(void *, size_t);
    void *arg;
    _Atomic size_t next_index;
};

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void wait_for_run(struct threads *p, uint64_t seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->run, memory_order_acquire) != seen) return;
        pause_cpu();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->run) == seen) pthread_cond_wait(&p->start, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void *helper_main(void *arg)
{
    struct threads *p = arg;
    size_t index = atomic_fetch_add(&p->next_index, 1);
    uint64_t seen = 0;
    for (;;) {
        wait_for_run(p, seen);
        seen++;
        if (atomic_load(&p->quit)) return NULL;
        p->work(p->arg, index);
        if (atomic_fetch_sub(&p->remaining, 1) == 1) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

static void start_run(struct threads *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->remaining, p->n - 1);
    atomic_fetch_add(&p->run, 1);
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);
}

void threads_run(struct threads *p, void (*work)(void *, size_t), void *arg)
{
    if (p->n == 1) {
        work(arg, 0);
        return;
    }
    p->work = work;
    p->arg = arg;
    start_run(p);
    work(arg, 0);
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->remaining, memory_order_acquire) == 0) return;
        pause_cpu();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->remaining)) pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

enum status threads_create(size_t n_threads, struct threads **out, struct error *err)
{
    struct threads *p = mem_zeroed(1, sizeof *p);
    if (!p) return mem_error(err, "thread pool", sizeof *p);
    p->n = 1;
    atomic_store(&p->next_index, 1);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->start, NULL);
    pthread_cond_init(&p->done, NULL);
    p->helpers = mem_array(n_threads, sizeof *p->helpers);
    if (!p->helpers) {
        threads_destroy(p);
        return mem_error(err, "thread pool", n_threads * sizeof *p->helpers);
    }
    for (; p->n < n_threads; p->n++) {
        if (pthread_create(&p->helpers[p->n - 1], NULL, helper_main, p)) {
            threads_destroy(p);
            return error_set(err, ST_INTERNAL, "cannot start computing thread %zu of %zu", p->n,
                             n_threads);
        }
    }
    *out = p;
    return ST_OK;
}

void threads_destroy(struct threads *p)
{
    if (!p) return;
    atomic_store(&p->quit, 1);
    start_run(p);
    for (size_t i = 0; i + 1 < p->n; i++) pthread_join(p->helpers[i], NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->start);
    pthread_cond_destroy(&p->done);
    mem_free(p->helpers);
    mem_free(p);
}

size_t threads_size(const struct threads *p)
{
    return p->n;
}
