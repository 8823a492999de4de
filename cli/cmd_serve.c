/* mtps serve: bundles behind HTTP until a signal says stop. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build_id.h"
#include "cli/cli.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "serve/http/server.h"

enum { KEY_JSON = 1000, KEY_LISTEN, KEY_SKIP, KEY_NUMBERS, MAX_PLACES = 256 };

struct args {
    struct server_spec spec;
    char *given[MAX_PLACES]; /* [NAME=]PATH */
    struct server_place places[MAX_PLACES];
    bool json;
    int verbosity;
};

static void add_place(const struct argp_state *state, struct args *a, char *arg)
{
    if (a->spec.n_places == MAX_PLACES) argp_error(state, "more than %d bundles", MAX_PLACES);
    a->given[a->spec.n_places++] = arg;
}

/* [NAME=]PATH; a path with '=' in its first part needs "./" in front. */
static enum status split_place(char *given, struct server_place *out, struct error *err)
{
    size_t first = strcspn(given, "/");
    char *equals = memchr(given, '=', first), *path = equals ? equals + 1 : given;
    if (!*path) {
        error_set(err, ST_USAGE, "--bundle '%s': no path is given", given);
        return error_hint(err, ST_USAGE, "name a bundle or a folder of versions: [NAME=]PATH");
    }
    if (equals == given) {
        error_set(err, ST_USAGE, "--bundle '%s': no name stands in front of '='", given);
        return error_hint(err, ST_USAGE, "NAME=PATH, or PATH alone for the name in the bundle");
    }
    if (equals && memchr(path, '=', first - (size_t)(path - given))) {
        error_set(err, ST_USAGE, "--bundle '%s': more than one '='", given);
        return error_hint(err, ST_USAGE, "a path with '=' in it needs './' in front: %.*s./%s", (int)(path - given), given, path);
    }
    if (equals) *equals = 0;
    *out = (struct server_place){equals ? given : NULL, path};
    return ST_OK;
}

static void set_number(const struct argp_state *state, struct args *a, int key, const char *arg)
{
    const struct server_option *o = &server_options[key - KEY_NUMBERS];
    char name[64];
    snprintf(name, sizeof name, "--%s", o->name);
    uint64_t v = cli_whole(state, name, arg, o->least, o->most);
    memcpy((char *)&a->spec.numbers + o->place, &v, sizeof v);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    switch (key) {
    case 'b':
        add_place(state, a, arg);
        return 0;
    case 'q':
        a->verbosity = -1;
        return 0;
    case KEY_LISTEN:
        a->spec.address = arg;
        return 0;
    case KEY_SKIP:
        a->spec.open_flags |= MTPS_SKIP_BIG_CHECKS;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_END:
        if (!a->spec.n_places) argp_error(state, "--bundle is missing: name a bundle or a folder of versions");
        return 0;
    default:
        if (key < KEY_NUMBERS || (size_t)(key - KEY_NUMBERS) >= n_server_options) return ARGP_ERR_UNKNOWN;
        set_number(state, a, key, arg);
        return 0;
    }
}

/* Options with numbers come from the server's table. */
static void make_options(struct argp_option *out, char (*help)[160])
{
    static const struct argp_option first[] = {
        {"bundle", 'b', "[NAME=]PATH", 0, "bundle, or folder of versions, to serve; may be repeated (default name: that of the configuration)", 0},
        {"listen", KEY_LISTEN, "ADDRESS", 0, "address to listen at, as a number (default: 127.0.0.1, for this machine alone)", 0},
        {"skip-big-checks", KEY_SKIP, NULL, 0, "no checksums of sections over 16 MiB: big bundles open at once", 0},
        {"quiet", 'q', NULL, 0, "warnings and errors only", 0},
        {"json", KEY_JSON, NULL, 0, "print the address as JSON", 0}};
    memcpy(out, first, sizeof first);
    out += sizeof first / sizeof *first;
    for (size_t i = 0; i < n_server_options; i++) {
        const struct server_option *o = &server_options[i];
        snprintf(help[i], sizeof help[i], "%s (default: %llu)", o->help, (unsigned long long)o->usual);
        out[i] = (struct argp_option){o->name, KEY_NUMBERS + (int)i, o->unit, 0, help[i], 0};
    }
}

static enum status parse_all(int argc, char **argv, struct args *a, struct error *err)
{
    enum { MOST = 64 };
    struct argp_option options[MOST] = {0};
    char help[MOST][160];
    make_options(options, help);
    struct argp argp = {options, parse, NULL,
                        "Answer requests for scores over HTTP: the Open Inference Protocol (KServe V2) and the "
                        "':predict' of TensorFlow Serving, a page at / and counters at /metrics. New versions are "
                        "opened as they appear, or on SIGHUP; SIGTERM ends it when every request is answered.",
                        NULL, NULL, NULL};
    TRY(cli_parse(&argp, argc, argv, a, NULL, err));
    for (size_t i = 0; i < a->spec.n_places; i++) TRY(split_place(a->given[i], &a->places[i], err));
    return ST_OK;
}

static void say(void *unused, bool failed, const char *text)
{
    (void)unused;
    log_line(failed ? LOG_WARN : LOG_INFO, "serve", "%s", text);
}

static enum status print_address(const struct args *a, const struct server *s, struct error *err)
{
    const struct http *h = server_http(s);
    struct models *m = server_models(s);
    json_t *models = json_object();
    for (size_t i = 0; i < m->n_items; i++)
        json_object_set_new(models, m->items[i].name, json_integer((json_int_t)m->items[i].versions[0]->version));
    if (a->json) {
        json_t *doc = json_pack("{s:s, s:i, s:o}", "url", http_url(h), "port", (int)http_port(h), "models", models);
        char *text = json_dumps(doc, JSON_COMPACT);
        if (text) puts(text);
        free(text);
        json_decref(doc);
    } else {
        char *text = json_dumps(models, JSON_COMPACT);
        printf("%s serves %s\n", http_url(h), text ? text : "");
        free(text);
        json_decref(models);
    }
    return cli_flush(ST_OK, err);
}

/* Until a signal says stop; one more ends the process the usual way. */
static void serve(struct server *s, const sigset_t *signals)
{
    for (int sig = 0; sig != SIGTERM && sig != SIGINT;) {
        if (sigwait(signals, &sig) != 0) return;
        if (sig == SIGHUP) server_look(s);
    }
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
    log_line(LOG_INFO, "serve", "stop requested");
}

int cmd_serve(int argc, char **argv)
{
    static struct args a = {.spec = {.address = "127.0.0.1", .version = MTPS_VERSION, .say = say}};
    struct server *server = NULL;
    struct error err;
    sigset_t signals;
    a.spec.places = a.places;
    server_defaults(&a.spec.numbers);
    enum status st = parse_all(argc, argv, &a, &err);
    if (st != ST_OK) return cli_finish(st, &err);
    log_setup("", 0, a.verbosity < 0 ? LOG_WARN : LOG_INFO);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    st = server_start(&a.spec, &server, &err);
    if (st == ST_OK) st = print_address(&a, server, &err);
    if (st == ST_OK) serve(server, &signals);
    server_stop(server);
    return cli_finish(st, &err);
}
