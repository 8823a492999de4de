#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/config/nearest.h"

enum { MAX_KNOWN = 64 };

/* Options without a letter. */
enum { KEY_SET = 1000, KEY_RUN_DIR, KEY_SEED, KEY_JSON };

/* ---- common options ---- */

static const struct argp_option common_options[] = {
    {NULL, 0, NULL, 0, "Common options:", -2},
    {"config", 'c', "FILE", 0, "configuration (YAML)", -2},
    {"set", KEY_SET, "KEY=VALUE", 0, "change one value of the configuration; may be repeated", -2},
    {"run-dir", KEY_RUN_DIR, "DIR", 0, "folder of the run (default: runs/NAME)", -2},
    {"seed", KEY_SEED, "N", 0, "seed of all random numbers", -2},
    {"quiet", 'q', NULL, 0, "warnings and errors only", -2},
    {"verbose", 'v', NULL, 0, "more log lines", -2},
    {"json", KEY_JSON, NULL, 0, "print the result as JSON", -2},
    {0}};


/* One block for the assignments: the pointers and, behind them, the texts that
 * are not in argv. Neither can outgrow what argv holds. */
static error_t start(struct common_args *a, const struct argp_state *state)
{
    size_t pointers = (size_t)state->argc * sizeof *a->sets, text = 0;
    for (int i = 0; i < state->argc; i++) text += 3 * strlen(state->argv[i]) + 16;
    void *block = mem_alloc(pointers + text);
    if (!block) return ENOMEM;
    memset(block, 0, pointers + text);
    a->sets = block;
    a->n_sets = 0;
    return 0;
}

/* The text behind the pointers and the texts written so far. */
static char *free_text(const struct common_args *a, const struct argp_state *state)
{
    char *text = (char *)(a->sets + state->argc);
    while (*text) text += strlen(text) + 1;
    return text;
}

static void assign_text(struct common_args *a, const struct argp_state *state, const char *key,
                        const char *value)
{
    char *text = free_text(a, state);
    settings_assign_text(key, value, text);
    a->sets[a->n_sets++] = text;
}

static void assign_number(struct common_args *a, const struct argp_state *state,
                          const char *key, const char *value)
{
    char *text = free_text(a, state);
    sprintf(text, "%s=%s", key, value);
    a->sets[a->n_sets++] = text;
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
    struct common_args *a = state->input;
    if (!a) return key == ARGP_KEY_INIT ? 0 : ARGP_ERR_UNKNOWN;
    switch (key) {
    case ARGP_KEY_INIT:
        return start(a, state);
    case 'c':
        a->config = arg;
        return 0;
    case KEY_SET:
        a->sets[a->n_sets++] = arg;
        return 0;
    case KEY_RUN_DIR:
        assign_text(a, state, "run_dir", arg);
        return 0;
    case KEY_SEED:
        if (!*arg || strspn(arg, "0123456789") != strlen(arg))
            argp_error(state, "--seed: '%s' is not a whole number", arg);
        assign_number(a, state, "seed", arg);
        return 0;
    case 'q':
        a->verbosity = -1;
        return 0;
    case 'v':
        a->verbosity = 1;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_common_argp = {.options = common_options, .parser = parse_common};

uint64_t cli_whole(const struct argp_state *state, const char *option, const char *arg,
                   uint64_t min, uint64_t max)
{
    errno = 0;
    unsigned long long v = strtoull(arg, NULL, 10);
    bool digits = *arg && strspn(arg, "0123456789") == strlen(arg);
    if (!digits || errno || v < min || v > max)
        argp_error(state, "%s: '%s' is not a whole number from %" PRIu64 " to %" PRIu64, option,
                   arg, min, max);
    return v;
}

size_t cli_servers(const struct argp_state *state, const char *arg)
{
    enum { MOST = 65536 }; /* as cluster.servers */
    return (size_t)cli_whole(state, "--servers", arg, 1, MOST);
}

/* ---- parsing ---- */

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "--usage") || !strcmp(argv[i], "-?"))
            return true;
    return false;
}

/* argp leaves the program when it has printed its help. */
static bool helping;

static void leave_help(void)
{
    if (helping) _exit(cli_finish(ST_OK, NULL));
}

static void print_help(const struct argp *argp, int argc, char **argv, void *input)
{
    int at;
    helping = atexit(leave_help) == 0;
    argp_parse(argp, argc, argv, 0, &at, input);
    helping = false; /* the word was another option's value */
}

static size_t long_names(const struct argp *argp, const char **out, size_t n)
{
    const struct argp_option *o = argp->options;
    for (; o && (o->name || o->key || o->doc || o->group); o++)
        if (o->name && n < MAX_KNOWN) out[n++] = o->name;
    for (const struct argp_child *c = argp->children; c && c->argp; c++)
        n = long_names(c->argp, out, n);
    return n;
}

/* "mtps train: unrecognized option '--sett'\nTry ..." -> error and hint. */
static enum status usage_error(const struct argp *argp, const char *program, const char *message,
                               struct error *err)
{
    size_t n = strlen(program);
    if (!strncmp(message, program, n) && message[n] == ':') message += n + 1;
    message += strspn(message, " ");
    int length = (int)strcspn(message, "\n");
    error_set(err, ST_USAGE, "%s: %.*s", program, length, message);
    const char *dashes = strstr(message, "'--");
    if (dashes && dashes < message + length) {
        const char *known[MAX_KNOWN];
        size_t n_known = long_names(argp, known, 0);
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(dashes + 3, "'="), dashes + 3);
        const char *nearest = nearest_word(word, known, n_known);
        if (nearest && strcmp(nearest, word) != 0)
            return error_hint(err, ST_USAGE, "did you mean '--%s'?", nearest);
    }
    return error_hint(err, ST_USAGE, "see '%s --help'", program);
}

/* argp and getopt report on stderr in several lines, and leave. They are made
 * to write into a buffer and to come back, so that the error is told like any
 * other. */
enum status cli_parse(const struct argp *argp, int argc, char **argv, void *input, int *first,
                      struct error *err)
{
    int at = argc;
    if (wants_help(argc, argv)) print_help(argp, argc, argv, input);
    char *message = NULL;
    size_t n = 0;
    FILE *terminal = stderr, *capture = open_memstream(&message, &n);
    if (!capture) return mem_error(err, "command line", 0);
    stderr = capture;
    error_t failed = argp_parse(argp, argc, argv, ARGP_NO_EXIT, &at, input);
    stderr = terminal;
    fclose(capture);
    enum status st = ST_OK;
    if (failed == ENOMEM)
        st = mem_error(err, "command line", 0);
    else if (n)
        st = usage_error(argp, argv[0], message, err);
    else if (at < argc && !first)
        st = error_set(err, ST_USAGE, "%s: unexpected argument '%s'", argv[0], argv[at]);
    else if (failed)
        st = error_set(err, ST_USAGE, "%s: the command line is not valid", argv[0]);
    free(message); /* comes from open_memstream, not from mem.h */
    if (st == ST_OK && first) *first = at;
    return st;
}

/* ---- settings and the end ---- */

/* Under mpirun every rank reads the configuration; one tells about it. */
static bool is_first_rank(void)
{
    static const char *const ranks[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        const char *rank = getenv(ranks[i]);
        if (rank) return !strcmp(rank, "0");
    }
    return true;
}

void cli_verbosity(const struct common_args *args, struct settings *s)
{
    if (args->verbosity < 0 && s->log.level > LOG_WARN) s->log.level = LOG_WARN;
    if (args->verbosity > 0 && s->log.level < LOG_DEBUG) s->log.level++;
}

enum status cli_settings(const struct common_args *args, struct settings **out, struct error *err)
{
    if (!args->config) {
        error_set(err, ST_USAGE, "no configuration is given");
        return error_hint(err, ST_USAGE, "name one with -c FILE");
    }
    struct settings *s;
    TRY(settings_load(args->config, args->sets, args->n_sets, &s, err));
    cli_verbosity(args, s);
    const struct list_cfg *warnings = settings_warnings(s);
    for (size_t i = 0; i < warnings->n && is_first_rank(); i++)
        log_line(LOG_WARN, "config", "%s", warnings->v[i]);
    *out = s;
    return ST_OK;
}

void cli_warn(void *unused, const char *text)
{
    (void)unused;
    if (is_first_rank()) log_line(LOG_WARN, "ckpt", "%s", text);
}

enum status cli_flush(enum status st, struct error *err)
{
    if (st != ST_OK) return st;
    errno = 0;
    return !fflush(stdout) && !ferror(stdout) ? ST_OK : cli_not_written(err);
}

enum status cli_not_written(struct error *err)
{
    int why = errno ? errno : EIO;
    error_set(err, ST_IO, "standard output cannot be written: %s", strerror(why));
    return error_hint(err, ST_IO, "%s", why == ENOSPC ? "make room, or send the output elsewhere"
                                                     : "send the output elsewhere");
}

int cli_finish(enum status st, const struct error *err)
{
    struct error own;
    if (st == ST_OK && (st = cli_flush(st, &own)) != ST_OK) err = &own;
    if (st != ST_OK) {
        fflush(stdout);
        fprintf(stderr, "error: %s\n", err->text[0] ? err->text : status_text(st));
        if (err->hint[0]) fprintf(stderr, "hint: %s\n", err->hint);
    }
    return status_exit_code(st);
}
