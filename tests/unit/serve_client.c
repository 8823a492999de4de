#include "tests/unit/serve_client.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the server ---- */

static void say(void *arg, bool failed, const char *text)
{
    struct serve_host *h = arg;
    (void)text;
    h->n_failed += failed;
}

void serve_host_open(struct serve_host *h)
{
    void *bundle;
    memset(h, 0, sizeof *h);
    bundle_sample_setup(&bundle);
    h->bundle = bundle;
    tmpdir_create(&h->dir);
    server_defaults(&h->numbers);
    h->numbers.port = 0;
    h->numbers.threads = 2;
    h->numbers.poll = 0;
    serve_host_put(h, 1, SECTION_F32);
}

void serve_host_start(struct serve_host *h)
{
    const struct server_place place = {"m", h->dir.path};
    struct server_spec spec = {.address = "127.0.0.1",
                               .places = &place,
                               .n_places = 1,
                               .numbers = h->numbers,
                               .version = "0",
                               .say = say,
                               .arg = h};
    if (server_start(&spec, &h->server, &h->err) != ST_OK) fail_msg("%s", h->err.text);
}

void serve_host_stop(struct serve_host *h)
{
    server_stop(h->server);
    h->server = NULL;
}

void serve_host_close(struct serve_host *h)
{
    void *bundle = h->bundle;
    serve_host_stop(h);
    tmpdir_remove(&h->dir);
    bundle_sample_teardown(&bundle);
}

void serve_host_put(struct serve_host *h, unsigned v, enum section_type rows)
{
    char name[64], path[512], to[512];
    mkdir(tmpdir_path(&h->dir, ".new", path, sizeof path), 0777);
    bundle_sample_write(h->bundle, tmpdir_path(&h->dir, ".new/model.mtps", to, sizeof to), rows);
    snprintf(name, sizeof name, "%u", v);
    assert_int_equal(rename(path, tmpdir_path(&h->dir, name, to, sizeof to)), 0);
}

/* ---- the client ---- */

double serve_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int serve_connect(const struct serve_host *h)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(http_port(server_http(h->server)))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    close(fd);
    return -1;
}

bool serve_send(int fd, const void *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = send(fd, (const char *)bytes + at, n - at, MSG_NOSIGNAL);
        if (k <= 0) return false;
        at += (size_t)k;
    }
    return true;
}

static bool wait_readable(int fd, double until)
{
    double left = until - serve_now();
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, left > 0 ? (int)(left * 1000) + 1 : 0) > 0;
}

/* Bytes of the body that the head promises; SIZE_MAX: the head is not whole. */
static size_t promised(struct serve_answer *a)
{
    a->text[a->n] = 0;
    const char *end = strstr(a->text, "\r\n\r\n"), *length = strstr(a->text, "\r\nContent-Length: ");
    if (!end) return SIZE_MAX;
    a->head = (size_t)(end + 4 - a->text);
    return length && length < end ? strtoul(length + 18, NULL, 10) : 0;
}

void serve_receive(int fd, double seconds, struct serve_answer *a)
{
    double until = serve_now() + seconds;
    a->n = a->head = 0;
    a->status = 0;
    a->version = 0;
    for (;;) {
        size_t body = promised(a);
        if (body != SIZE_MAX && a->n >= a->head + body) break;
        if (a->n == sizeof a->text - 1 || !wait_readable(fd, until)) return;
        ssize_t k = recv(fd, a->text + a->n, sizeof a->text - 1 - a->n, MSG_PEEK);
        if (k <= 0) return;
        /* No byte of the next answer is taken. */
        size_t before = a->n;
        a->n += (size_t)k;
        body = promised(a);
        size_t most = body == SIZE_MAX || a->n < a->head + body ? (size_t)k : a->head + body - before;
        a->n = before;
        k = recv(fd, a->text + a->n, most, 0);
        if (k <= 0) return;
        a->n += (size_t)k;
    }
    const char *version = strstr(a->text, "\r\nMtps-Model-Version: ");
    if (version) a->version = (unsigned)strtoul(version + 22, NULL, 10);
    a->status = atoi(a->text + strlen("HTTP/1.1 "));
}

bool serve_ends(int fd, double seconds)
{
    double until = serve_now() + seconds;
    char rest[4096];
    while (wait_readable(fd, until))
        if (recv(fd, rest, sizeof rest, 0) <= 0) return true;
    return false;
}

size_t serve_predict_request(const char *body, char *out, size_t size)
{
    int n = snprintf(out, size,
                     "POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(body), body);
    assert_true(n > 0 && (size_t)n < size);
    return (size_t)n;
}

void serve_ask(int fd, const char *request, size_t n, struct serve_answer *a)
{
    a->status = 0;
    if (serve_send(fd, request, n)) serve_receive(fd, 30, a);
}

/* ---- this process ---- */

size_t serve_open_files(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

size_t serve_resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %lu", &pages) != 1) fail_msg("no /proc/self/statm");
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}
