#include "serve/http/closing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"

enum { PIECE = 1 << 20 };

struct held {
    int64_t until_ms;
    size_t bytes; /* dropped */
};

struct closing {
    unsigned seconds;
    pthread_mutex_t lock;
    pthread_t thread;
    bool started;
    /* with the lock */
    bool stop;
    int come[CLOSING_MOST];
    size_t n_come, n_all; /* with those that the thread has */
    /* the thread's own */
    struct held held[CLOSING_MOST];
    struct pollfd polls[1 + CLOSING_MOST]; /* the first wakes it; then the held ones' */
    size_t n;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* ---- the thread ---- */

/* False at the end of all. */
static bool take_new(struct closing *c)
{
    eventfd_t ignored;
    eventfd_read(c->polls[0].fd, &ignored);
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n_come; i++) {
        c->held[c->n] = (struct held){.until_ms = now_ms() + c->seconds * INT64_C(1000)};
        c->polls[1 + c->n++] = (struct pollfd){.fd = c->come[i], .events = POLLIN};
    }
    c->n_come = 0;
    bool go_on = !c->stop;
    pthread_mutex_unlock(&c->lock);
    return go_on;
}

/* False when it is over. */
static bool drop(struct closing *c, size_t i)
{
    /* The kernel drops the bytes itself (tcp(7)). */
    ssize_t got = recv(c->polls[1 + i].fd, NULL, PIECE, MSG_DONTWAIT | MSG_TRUNC);
    if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR);
    c->held[i].bytes += (size_t)got;
    return c->held[i].bytes < CLOSING_BYTES;
}

static void let_go(struct closing *c, size_t i)
{
    close(c->polls[1 + i].fd);
    c->n--;
    c->held[i] = c->held[c->n];
    c->polls[1 + i] = c->polls[1 + c->n];
    pthread_mutex_lock(&c->lock);
    c->n_all--;
    pthread_mutex_unlock(&c->lock);
}

/* Milliseconds until the first is over its time; -1: there is none. */
static int next_end(const struct closing *c)
{
    int64_t now = now_ms(), least = INT64_MAX;
    for (size_t i = 0; i < c->n; i++)
        if (c->held[i].until_ms < least) least = c->held[i].until_ms;
    return c->n ? (int)(least > now ? least - now : 0) : -1;
}

static void *run(void *arg)
{
    struct closing *c = arg;
    do {
        poll(c->polls, 1 + c->n, next_end(c));
        int64_t now = now_ms();
        for (size_t i = c->n; i-- > 0;)
            if (c->held[i].until_ms <= now || (c->polls[1 + i].revents && !drop(c, i))) let_go(c, i);
    } while (take_new(c));
    while (c->n) let_go(c, 0);
    return NULL;
}

/* ---- its owner ---- */

enum status closing_create(unsigned seconds, struct closing **out, struct error *err)
{
    struct closing *c = *out = mem_zeroed(1, sizeof *c);
    if (!c) return mem_error(err, "closing connections", sizeof *c);
    c->seconds = seconds;
    pthread_mutex_init(&c->lock, NULL);
    c->polls[0] = (struct pollfd){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .events = POLLIN};
    int code = c->polls[0].fd < 0 ? errno : pthread_create(&c->thread, NULL, run, c);
    c->started = code == 0;
    if (c->started) return ST_OK;
    closing_destroy(c);
    *out = NULL;
    return error_set(err, ST_INTERNAL, "a thread cannot be started: %s", strerror(code));
}

void closing_destroy(struct closing *c)
{
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_mutex_unlock(&c->lock);
    if (c->started) {
        eventfd_write(c->polls[0].fd, 1);
        pthread_join(c->thread, NULL);
    }
    if (c->polls[0].fd >= 0) close(c->polls[0].fd);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

/* Most refusals are of requests that came in one piece. */
static bool is_over(int fd, uint64_t promised)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    char byte;
    return promised != UINT64_MAX && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           size >= offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received &&
           info.tcpi_bytes_received >= promised && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

void closing_add(struct closing *c, int fd, uint64_t promised)
{
    if (is_over(fd, promised)) return;
    pthread_mutex_lock(&c->lock);
    int copy = c->n_all < CLOSING_MOST && !c->stop ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (copy >= 0) {
        shutdown(copy, SHUT_WR);
        c->come[c->n_come++] = copy;
        c->n_all++;
    }
    pthread_mutex_unlock(&c->lock);
    if (copy >= 0) eventfd_write(c->polls[0].fd, 1);
}
