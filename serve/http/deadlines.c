#include "serve/http/deadlines.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/base/mem.h"

enum { LOOK_MS = 100, AT_ONCE = 64 };

struct deadlines {
    unsigned seconds[METRICS_LIMITS];
    _Atomic uint64_t *cut;
    pthread_mutex_t lock;
    pthread_cond_t stopping;
    pthread_t thread;
    bool started, stop;
    struct deadline *first;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* Called with the lock, under which no socket is closed. Gives those to wake. */
static size_t look(struct deadlines *d, struct deadline *due[AT_ONCE])
{
    int64_t now = d->stop ? INT64_MAX - 1 : now_ms();
    size_t n = 0;
    for (struct deadline *one = d->first; one && n < AT_ONCE; one = one->next) {
        if (atomic_load_explicit(&one->at_ms, memory_order_relaxed) > now || (d->stop && !one->wake)) continue;
        if (one->wake) {
            atomic_store(&one->at_ms, INT64_MAX);
            due[n++] = one;
            continue;
        }
        /* Counted first: once the socket is shut, its owner sets the next limit. */
        atomic_fetch_add(&d->cut[atomic_load(&one->limit)], 1);
        atomic_store(&one->at_ms, INT64_MAX);
        shutdown(one->fd, SHUT_RDWR);
    }
    return n;
}

/* Who is woken ends its rest, and may be gone as soon as it is. */
static void wake_all(struct deadline *const *due, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void (*wake)(struct deadline *one) = due[i]->wake;
        due[i]->wake = NULL;
        wake(due[i]);
    }
}

static void *watch(void *arg)
{
    struct deadlines *d = arg;
    struct timespec t;
    struct deadline *due[AT_ONCE];
    pthread_mutex_lock(&d->lock);
    for (bool last = false; !last;) {
        bool stop = d->stop;
        size_t n = look(d, due);
        if (n) {
            pthread_mutex_unlock(&d->lock);
            wake_all(due, n);
            pthread_mutex_lock(&d->lock);
        }
        last = stop && !n;
        if (d->stop || n == AT_ONCE) continue;
        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_nsec += LOOK_MS * 1000000L;
        t.tv_sec += t.tv_nsec / 1000000000L;
        t.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&d->stopping, &d->lock, &t);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

enum status deadlines_create(const unsigned *seconds, _Atomic uint64_t *cut, struct deadlines **out, struct error *err)
{
    pthread_condattr_t attr;
    struct deadlines *d = *out = mem_zeroed(1, sizeof *d);
    if (!d) return mem_error(err, "time limits", sizeof *d);
    memcpy(d->seconds, seconds, sizeof d->seconds);
    d->cut = cut;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->stopping, &attr);
    pthread_condattr_destroy(&attr);
    int code = pthread_create(&d->thread, NULL, watch, d);
    d->started = code == 0;
    if (d->started) return ST_OK;
    deadlines_destroy(d);
    *out = NULL;
    return error_set(err, ST_INTERNAL, "a thread cannot be started: %s", strerror(code));
}

void deadlines_stop(struct deadlines *d)
{
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->stopping);
    pthread_mutex_unlock(&d->lock);
    if (d->started) pthread_join(d->thread, NULL);
    d->started = false;
}

void deadlines_destroy(struct deadlines *d)
{
    if (!d) return;
    deadlines_stop(d);
    pthread_cond_destroy(&d->stopping);
    pthread_mutex_destroy(&d->lock);
    mem_free(d);
}

void deadlines_add(struct deadlines *d, struct deadline *one, int fd)
{
    one->fd = fd;
    atomic_store(&one->at_ms, INT64_MAX);
    pthread_mutex_lock(&d->lock);
    one->next = d->first;
    one->link = &d->first;
    if (d->first) d->first->link = &one->next;
    d->first = one;
    pthread_mutex_unlock(&d->lock);
}

void deadlines_remove(struct deadlines *d, struct deadline *one)
{
    pthread_mutex_lock(&d->lock);
    *one->link = one->next;
    if (one->next) one->next->link = one->link;
    pthread_mutex_unlock(&d->lock);
}

void deadlines_set(const struct deadlines *d, struct deadline *one, enum metrics_limit limit)
{
    atomic_store_explicit(&one->limit, limit, memory_order_relaxed);
    atomic_store_explicit(&one->at_ms, now_ms() + d->seconds[limit] * INT64_C(1000), memory_order_relaxed);
}

void deadlines_clear(struct deadline *one)
{
    atomic_store_explicit(&one->at_ms, INT64_MAX, memory_order_relaxed);
}

bool deadlines_rest(struct deadlines *d, struct deadline *one, void (*wake)(struct deadline *one))
{
    pthread_mutex_lock(&d->lock);
    bool rests = !d->stop;
    if (rests) {
        one->wake = wake;
        atomic_store(&one->at_ms, now_ms() + DEADLINES_REST_MS);
    }
    pthread_mutex_unlock(&d->lock);
    return rests;
}
