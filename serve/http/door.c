#include "serve/http/door.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/mem.h"

enum {
    PAUSE_MS = 1,  /* behind a refusal */
    SHORT_MS = 50, /* without files or memory for a connection */
    AT_ONCE = 64   /* accepted before the end is looked for */
};

struct door {
    struct door_spec spec;
    int wake; /* readable: look at what follows */
    atomic_bool over, resting;
    pthread_t thread;
    char answer[256];
    size_t n_answer;
};

static void refuse(struct door *d, int fd)
{
    /* A new socket has room for that much. */
    send(fd, d->answer, d->n_answer, MSG_NOSIGNAL | MSG_DONTWAIT);
    closing_add(d->spec.closing, fd, UINT64_MAX);
    close(fd);
    d->spec.refused(d->spec.arg);
}

/* Milliseconds to rest; 0: there may be more at once; -1: none is there. */
static int accept_one(struct door *d)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    int fd = accept4(d->spec.fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return errno == EAGAIN ? -1 : errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? SHORT_MS : 0;
    if (d->spec.take(d->spec.arg, fd, (struct sockaddr *)&from, size)) return 0;
    refuse(d, fd);
    return PAUSE_MS;
}

static void *run(void *arg)
{
    struct door *d = arg;
    struct pollfd polls[] = {{.fd = d->wake, .events = POLLIN}, {.fd = d->spec.fd, .events = POLLIN}};
    int rest = -1;
    for (;;) {
        eventfd_t ignored;
        atomic_store(&d->resting, rest > 0);
        poll(polls, rest > 0 ? 1 : 2, rest > 0 ? rest : -1);
        if (polls[0].revents) eventfd_read(d->wake, &ignored);
        if (atomic_load(&d->over)) return NULL;
        rest = 0;
        for (int i = 0; i < AT_ONCE && !rest; i++) rest = accept_one(d);
    }
}

enum status door_open(const struct door_spec *spec, struct door **out, struct error *err)
{
    static const char body[] = "{\"error\":\"too many connections\"}";
    struct door *d = *out = mem_zeroed(1, sizeof *d);
    if (!d) return mem_error(err, "listening", sizeof *d);
    d->spec = *spec;
    d->n_answer = (size_t)snprintf(d->answer, sizeof d->answer,
                                   "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                                   "Retry-After: 1\r\nConnection: close\r\n\r\n%s", sizeof body - 1, body);
    d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int code = d->wake < 0 ? errno : pthread_create(&d->thread, NULL, run, d);
    if (!code) return ST_OK;
    if (d->wake >= 0) close(d->wake);
    mem_free(d);
    *out = NULL;
    return error_set(err, ST_INTERNAL, "a thread cannot be started: %s", strerror(code));
}

void door_has_room(struct door *d)
{
    if (atomic_load_explicit(&d->resting, memory_order_relaxed) && atomic_exchange(&d->resting, false)) eventfd_write(d->wake, 1);
}

void door_close(struct door *d)
{
    if (atomic_exchange(&d->over, true)) return;
    eventfd_write(d->wake, 1);
    pthread_join(d->thread, NULL);
    close(d->spec.fd);
}

void door_destroy(struct door *d)
{
    if (!d) return;
    door_close(d);
    close(d->wake);
    mem_free(d);
}
