#include "serve/http/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "data/raw_text.h"
#include "serve/http/closing.h"
#include "serve/http/deadlines.h"
#include "serve/http/door.h"
#include "serve/http/head.h"
#include "serve/http/target.h"

enum {
    POOL_BYTES = 32 << 10, /* libmicrohttpd's memory of a connection: headers, and pieces of a body */
    FIRST_BODY = 64 << 10, /* bytes for a body, until more of it came */
    BACKLOG = 1024,
    QUIET_MS = 200 /* without a request: nothing more is under way */
};

enum stage { STAGE_NEW, STAGE_BODY, STAGE_WAIT, STAGE_DONE };

/* A connection and the request that it carries now. */
struct connection {
    struct http *http;
    struct MHD_Connection *mhd;
    struct deadline deadline;
    struct pad pad;
    struct call call;
    enum stage stage;
    bool unread;     /* a request was refused: nobody will read its body */
    uint64_t promised; /* bytes of all requests, as their heads say; UINT64_MAX: not known */
    bool no_memory;  /* for the body */
    size_t line;     /* bytes of the address as sent */
    bool odd_line;   /* with others than printing ASCII among them */
    size_t length, room; /* of the body: as promised, and of its memory */
    char allow[64];
    char nothing[1]; /* the body of a request without one */
};

struct http {
    struct http_spec spec;
    struct deadlines *deadlines;
    struct closing *closing;
    struct MHD_Daemon *daemon;
    struct door *door;
    uint16_t port;
    char url[128];
    _Atomic size_t n_open, n_busy; /* connections; with a request */
    _Atomic int64_t last_ms; /* an answer was done */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* ---- connections ---- */

static void leave(struct http *h)
{
    atomic_fetch_sub(&h->n_open, 1);
    atomic_fetch_sub(&h->spec.service->metrics.connections, 1);
    door_has_room(h->door);
}

static bool take_connection(void *arg, int fd, const struct sockaddr *from, socklen_t size)
{
    struct http *h = arg;
    if (atomic_load(&h->n_open) >= h->spec.max_connections) return false;
    atomic_fetch_add(&h->n_open, 1);
    atomic_fetch_add(&h->spec.service->metrics.connections, 1);
    if (MHD_add_connection(h->daemon, fd, from, size) == MHD_YES) return true;
    leave(h); /* without memory; the socket is closed */
    return true;
}

static void refused_connection(void *arg)
{
    struct http *h = arg;
    metrics_answer(&h->spec.service->metrics, METRICS_OTHER, 503, 0);
}

static void open_connection(struct http *h, struct MHD_Connection *mhd, void **context)
{
    struct connection *c = *context = mem_zeroed(1, sizeof *c);
    if (!c) return; /* its requests are dropped */
    c->http = h;
    c->mhd = mhd;
    pad_open(&c->pad, &h->spec.service->memory);
    deadlines_add(h->deadlines, &c->deadline, MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    deadlines_set(h->deadlines, &c->deadline, METRICS_HEADER);
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *h = arg;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        open_connection(h, mhd, context);
        return;
    }
    struct connection *c = *context;
    leave(h);
    if (!c) return;
    deadlines_remove(h->deadlines, &c->deadline);
    if (c->unread) closing_add(h->closing, c->deadline.fd, c->promised);
    pad_close(&c->pad);
    mem_free(c);
}

/* The request line is there: a request begins. */
static void *on_line(void *arg, const char *uri, struct MHD_Connection *mhd)
{
    struct http *h = arg;
    struct connection *c = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (!c) return NULL;
    c->line = 0;
    c->odd_line = false;
    for (; uri[c->line]; c->line++) c->odd_line |= uri[c->line] <= ' ' || uri[c->line] == 0x7F;
    c->stage = STAGE_NEW;
    deadlines_set(h->deadlines, &c->deadline, METRICS_HEADER);
    return c;
}

/* The answer is sent, or the client is gone. */
static void on_completed(void *arg, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode code)
{
    (void)mhd;
    (void)code;
    struct http *h = arg;
    struct connection *c = *request;
    if (!c || c->stage == STAGE_NEW) return;
    c->stage = STAGE_NEW;
    pad_reset(&c->pad);
    memset(&c->call, 0, sizeof c->call);
    atomic_store(&h->last_ms, now_ms());
    atomic_fetch_sub(&h->n_busy, 1);
    deadlines_set(h->deadlines, &c->deadline, METRICS_IDLE);
}

/* ---- answers ---- */

static void add_header(struct MHD_Response *r, const char *name, const char *value)
{
    MHD_add_response_header(r, name, value); /* fails without memory: the answer does without */
}

static void add_number(struct MHD_Response *r, const char *name, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    add_header(r, name, text);
}

static void add_headers(const struct connection *c, struct MHD_Response *r, bool close)
{
    const struct call *call = &c->call;
    add_header(r, "Content-Type", call->type);
    if (call->json) add_number(r, "Inference-Header-Content-Length", call->json);
    if (call->version) add_number(r, "Mtps-Model-Version", call->version);
    if (call->allow) add_header(r, "Allow", call->allow);
    if (call->retry) add_header(r, "Retry-After", "1");
    if (close) add_header(r, "Connection", "close");
    if (call->route && call->route->operation == ROUTE_PAGE) {
        add_header(r, "X-Content-Type-Options", "nosniff");
        add_header(r, "X-Frame-Options", "DENY");
        add_header(r, "Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'");
    }
}

static enum MHD_Result send_answer(struct connection *c, bool close)
{
    struct http *h = c->http;
    const struct call *call = &c->call;
    struct MHD_Response *r =
        MHD_create_response_from_buffer(call->text.n, (void *)call->text.s, MHD_RESPMEM_PERSISTENT);
    if (!r) return MHD_NO;
    add_headers(c, r, close || atomic_load(&h->spec.service->draining));
    c->stage = STAGE_DONE;
    deadlines_set(h->deadlines, &c->deadline, METRICS_WRITE);
    enum MHD_Result queued = MHD_queue_response(c->mhd, (unsigned)call->status, r);
    MHD_destroy_response(r);
    return queued;
}

/* Before the body is read, which it never will be. */
static enum MHD_Result refuse(struct connection *c, int status, const char *text)
{
    c->unread = true;
    service_refuse(c->http->spec.service, &c->call, status, "%s", text);
    return send_answer(c, true);
}

/* ---- the head of a request ---- */

static enum MHD_Result see_header(void *head, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    head_add(head, name, value);
    return MHD_YES;
}

/* Version 0.9.75 takes lines that end with LF or CR alone, folded lines, characters 0 and
 * several spaces, where another program on the way may see other lines. It leaves texts
 * where they were received, so that well-formed lines have a known length. Later versions
 * refuse such lines themselves (start_daemon). */
static void see_head(const struct connection *c, struct head *head)
{
    head->bytes = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    head->is_in_place = !strcmp(MHD_get_version(), "0.9.75");
    MHD_get_connection_values(c->mhd, MHD_HEADER_KIND, see_header, head);
}

/* 200, or the status that refuses the address or the method, and why. */
static int find_route(struct connection *c, const char *url, const char *method, const char **why)
{
    struct call *call = &c->call;
    if (!target_is_path(url)) {
        char *path = pad_take(&c->pad, strlen(url) + 1, 1);
        *why = "the requests of this moment take all memory that requests may take";
        int status = path ? target_path(url, path, why) : ASK_NO_MEMORY;
        if (status != 200) return status;
        url = path;
    }
    int status = route_find(method, url, &call->route, &call->names, c->allow, sizeof c->allow);
    if (status == 200) return status;
    call->route = NULL;
    if (status == 405) call->allow = c->allow;
    *why = status == 404 ? "there is no such address" : "not with this method";
    return status;
}

static enum MHD_Result begin_request(struct connection *c, const char *url, const char *method, const char *version)
{
    struct head head = {.method = method, .version = version, .line = c->line, .odd = c->odd_line};
    const char *why;
    c->call = (struct call){.pad = &c->pad};
    c->stage = STAGE_BODY;
    c->no_memory = false;
    c->length = c->room = 0;
    atomic_fetch_add(&c->http->n_busy, 1);
    deadlines_set(c->http->deadlines, &c->deadline, METRICS_BODY);
    see_head(c, &head);
    uint64_t promised = head_promised(&head);
    c->promised = promised > UINT64_MAX - c->promised ? UINT64_MAX : c->promised + promised;
    int status = head_check(&head, &why);
    if (status == 200) status = find_route(c, url, method, &why);
    if (status == 200)
        status = head_check_body(&head, c->call.route->has_body, c->http->spec.max_body, &c->length, &c->call.body.json, &why);
    return status == 200 ? MHD_YES : refuse(c, status, why);
}

/* ---- the body ---- */

/* Memory grows with what came, not with what was promised. */
static bool body_room(struct connection *c, size_t more)
{
    struct ask_body *body = &c->call.body;
    size_t need = body->n + more + 1;
    if (need <= c->room) return true;
    size_t room = c->length + 1 <= FIRST_BODY ? c->length + 1 : 2 * need > FIRST_BODY ? 2 * need : FIRST_BODY;
    if (room > c->length + 1) room = c->length + 1;
    char *bytes = pad_take(&c->pad, room, 1);
    if (!bytes) return false;
    if (body->n) memcpy(bytes, body->bytes, body->n);
    body->bytes = bytes;
    c->room = room;
    return true;
}

static enum MHD_Result take_body(struct connection *c, const char *data, size_t n)
{
    struct ask_body *body = &c->call.body;
    if (n > c->length - body->n) return MHD_NO; /* cannot be: the length ends it */
    if (!c->no_memory && !body_room(c, n)) c->no_memory = true;
    if (!c->no_memory) memcpy(body->bytes + body->n, data, n);
    body->n += n;
    return MHD_YES;
}

/* In a thread of the batcher. */
static void on_scored(struct call *call)
{
    struct connection *c = (struct connection *)((char *)call - offsetof(struct connection, call));
    MHD_resume_connection(c->mhd);
}

static void end_rest(struct deadline *one)
{
    struct connection *c = (struct connection *)((char *)one - offsetof(struct connection, deadline));
    MHD_resume_connection(c->mhd);
}

/* Of a suspended connection, before it is told that too many wait: clients that ask again at
 * once must not keep the server busy with refusals. */
static void rest(struct connection *c)
{
    if (!deadlines_rest(c->http->deadlines, &c->deadline, end_rest)) MHD_resume_connection(c->mhd);
}

static enum MHD_Result end_request(struct connection *c)
{
    struct service *s = c->http->spec.service;
    deadlines_clear(&c->deadline);
    if (c->no_memory) {
        service_refuse(s, &c->call, ASK_NO_MEMORY, "the requests of this moment take all memory that requests may take");
        return send_answer(c, true);
    }
    if (!c->call.body.bytes) c->call.body.bytes = c->nothing;
    c->call.body.bytes[c->call.body.n] = 0;
    c->call.wake = on_scored;
    if (service_begin(s, &c->call) == SERVICE_DONE) return send_answer(c, false);
    c->stage = STAGE_WAIT;
    MHD_suspend_connection(c->mhd);
    if (service_submit(s, &c->call) == SERVICE_WAIT) return MHD_YES;
    c->stage = STAGE_DONE; /* the answer is there; it can be given once the connection goes on */
    rest(c);
    return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n_data, void **request)
{
    (void)arg;
    (void)mhd;
    struct connection *c = *request;
    if (!c) return MHD_NO;
    switch (c->stage) {
    case STAGE_NEW:
        return begin_request(c, url, method, version);
    case STAGE_WAIT:
        service_finish(c->http->spec.service, &c->call);
        return send_answer(c, false);
    case STAGE_DONE:
        return send_answer(c, false);
    default:
        break;
    }
    if (!*n_data) return end_request(c);
    size_t n = *n_data;
    *n_data = 0;
    return take_body(c, data, n);
}

/* ---- starting and stopping ---- */

static enum status no_socket(const struct http_spec *spec, const char *why, struct error *err)
{
    error_set(err, ST_CANTCREATE, "%s, port %u: %s", spec->address, spec->port, why);
    return error_hint(err, ST_CANTCREATE, "--listen takes an address of this machine, --port one that is free");
}

static int listening_socket(const struct addrinfo *a)
{
    int yes = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static enum status open_socket(struct http *h, int *fd, struct error *err)
{
    const struct http_spec *spec = &h->spec;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    char port[8];
    snprintf(port, sizeof port, "%u", spec->port);
    int code = getaddrinfo(spec->address, port, &hints, &found);
    if (code) return no_socket(spec, gai_strerror(code), err);
    *fd = listening_socket(found);
    int why = errno;
    freeaddrinfo(found);
    if (*fd < 0) return no_socket(spec, strerror(why), err);
    if (getsockname(*fd, (struct sockaddr *)&bound, &size) != 0 ||
        getnameinfo((struct sockaddr *)&bound, size, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0)
        return no_socket(spec, "its port is not known", err);
    h->port = (uint16_t)strtoul(port, NULL, 10);
    bool six = strchr(spec->address, ':') != NULL;
    snprintf(h->url, sizeof h->url, "http://%s%s%s:%s", six ? "[" : "", spec->address, six ? "]" : "", port);
    return ST_OK;
}

/* Addresses come as they were sent: target.h decodes them, or refuses to. */
static size_t leave_as_sent(void *arg, struct MHD_Connection *mhd, char *text)
{
    (void)arg;
    (void)mhd;
    return strlen(text);
}

static enum status start_daemon(struct http *h, struct error *err)
{
    /* Connections come by the door: MHD_quiesce_daemon, which ends its own listening, can abort
     * the program (it and a thread both take the socket out of epoll). */
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_TURBO | MHD_USE_NO_LISTEN_SOCKET;
    if (h->spec.service->batcher) flags |= MHD_ALLOW_SUSPEND_RESUME;
    size_t n = h->spec.n_threads;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)(h->spec.max_connections * n), NULL}, /* divided: one may have all */
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_BYTES, NULL},
#if MHD_VERSION >= 0x00097701
        {MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, NULL},
#endif
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, h},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, h},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_line, h},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_as_sent, NULL},
        {n > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)n, NULL},
        {MHD_OPTION_END, 0, NULL}};
    h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, h, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!h->daemon) return error_set(err, ST_INTERNAL, "the server's threads cannot be started");
    return ST_OK;
}

enum status http_start(const struct http_spec *spec, struct http **out, struct error *err)
{
    struct http *h = *out = mem_zeroed(1, sizeof *h);
    if (!h) return mem_error(err, "server", sizeof *h);
    h->spec = *spec;
    int fd = -1;
    enum status st = open_socket(h, &fd, err);
    if (st == ST_OK) st = deadlines_create(spec->seconds, spec->service->metrics.cut, &h->deadlines, err);
    if (st == ST_OK) st = closing_create(spec->seconds[METRICS_BODY], &h->closing, err);
    if (st == ST_OK) st = start_daemon(h, err);
    struct door_spec door = {fd, h->closing, take_connection, refused_connection, h};
    if (st == ST_OK) st = door_open(&door, &h->door, err);
    if (st == ST_OK) return ST_OK;
    if (fd >= 0) close(fd);
    http_stop(h);
    *out = NULL;
    return st;
}

const char *http_url(const struct http *h)
{
    return h->url;
}

uint16_t http_port(const struct http *h)
{
    return h->port;
}

void http_drain(struct http *h, unsigned seconds)
{
    int64_t began = now_ms(), now = began;
    atomic_store(&h->spec.service->draining, true);
    atomic_store(&h->last_ms, began);
    door_close(h->door);
    while (atomic_load(&h->n_open) && now - began < seconds * INT64_C(1000)) {
        if (!atomic_load(&h->n_busy) && now - atomic_load(&h->last_ms) >= QUIET_MS) break;
        nanosleep(&(struct timespec){0, 5000000}, NULL);
        now = now_ms();
    }
}

void http_stop(struct http *h)
{
    if (!h) return;
    if (h->door) door_close(h->door);
    deadlines_stop(h->deadlines); /* nothing may be suspended */
    if (h->daemon) MHD_stop_daemon(h->daemon);
    deadlines_destroy(h->deadlines);
    door_destroy(h->door);
    closing_destroy(h->closing);
    mem_free(h);
}
