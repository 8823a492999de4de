/* mtps init: a first configuration from data that nobody has described yet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/paddlerec.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/store/file.h"
#include "data/guess.h"

enum {
    MAX_NAMES = 4096,
    KEY_EVAL = 2000,
    KEY_COLUMNS,
    KEY_ROWS,
    KEY_PADDLEREC,
    KEY_FORCE
};

struct names {
    const char *v[MAX_NAMES];
    size_t n;
};

struct init_args {
    struct common_args common;
    struct names files, eval, labels, columns;
    const char *output, *paddlerec;
    uint64_t rows;
    bool force;
};

static void add(struct names *to, const char *word, struct argp_state *state)
{
    if (to->n == MAX_NAMES) argp_error(state, "more than %d names", MAX_NAMES);
    to->v[to->n++] = word;
}

/* Names separated by commas; arg is cut in place. */
static void add_all(struct names *to, char *arg, struct argp_state *state)
{
    for (char *name = strtok(arg, ","); name; name = strtok(NULL, ","))
        add(to, name, state);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct init_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 'd':
        add(&a->files, arg, state);
        return 0;
    case KEY_EVAL:
        add(&a->eval, arg, state);
        return 0;
    case 'l':
        add(&a->labels, arg, state);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s': files follow --data", arg);
        return 0;
    case KEY_COLUMNS:
        add_all(&a->columns, arg, state);
        return 0;
    case KEY_ROWS:
        a->rows = cli_whole(state, "--rows", arg, 1, UINT64_MAX);
        return 0;
    case KEY_PADDLEREC:
        a->paddlerec = arg;
        return 0;
    case KEY_FORCE:
        a->force = true;
        return 0;
    case 'o':
        a->output = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->files.n && !a->paddlerec)
            argp_error(state, "--data is missing: name the files to train on");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"data", 'd', "FILE...", 0,
     "files to train on, or patterns: csv, tsv or slot text, compressed or not", 0},
    {"label", 'l', "COL...", 0,
     "what is to be predicted: columns, expressions, or NAME=EXPRESSION", 0},
    {"eval", KEY_EVAL, "FILE...", 0, "files to evaluate on (default: a part of --data)",
     0},
    {"columns", KEY_COLUMNS, "NAME,...", 0,
     "names of the columns, for files without a header line", 0},
    {"rows", KEY_ROWS, "N", 0, "rows to look at (default: 100000)", 0},
    {"from-paddlerec", KEY_PADDLEREC, "FILE", 0,
     "take over model and training from a PaddleRec YAML file", 0},
    {"output", 'o', "FILE", 0, "file to write (default: standard output)", 0},
    {"force", KEY_FORCE, NULL, 0, "write over an existing FILE", 0},
    {0}};
static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {options,
                                 parse,
                                 "--data FILE... [--label COL...]",
                                 "Draft a configuration from the head of the data: what "
                                 "is an id, a list of ids, a number, a "
                                 "time; what gives the label away; which rows to "
                                 "evaluate on. It says in comments what it "
                                 "saw, and trains as it is.",
                                 children,
                                 NULL,
                                 NULL};

/* ---- options that take several words ---- */

/* The option that a word is, with its value in it or not; NULL when it is another. */
static const char *list_option(const char *word, bool *has_value)
{
    static const char *const names[] = {"--data", "--eval", "--label", "-d", "-l"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(word, names[i], n) != 0) continue;
        *has_value = word[n] != '\0';
        bool long_one = names[i][1] == '-';
        if (!*has_value || !long_one || word[n] == '=') return names[i];
    }
    return NULL;
}

/* --data a b becomes --data a --data b: getopt moves words without an option to the
 * end, where nobody knows what they followed. Gives argv's new words, ended by
 * NULL; caller frees. */
static char **repeat_options(int argc, char **argv, int *n)
{
    char **out = mem_zeroed(2 * (size_t)argc + 1, sizeof *out);
    const char *open = NULL;
    bool waits = false; /* for the value of the option before */
    *n = 0;
    for (int i = 0; out && i < argc; i++) {
        bool option = i > 0 && argv[i][0] == '-' && argv[i][1] && !waits,
             has_value = true;
        if (option) {
            open = list_option(argv[i], &has_value);
        } else if (i > 0 && open && !waits) {
            out[(*n)++] = (char *)open;
        }
        waits = option && open && !has_value;
        out[(*n)++] = argv[i];
    }
    return out;
}

/* ---- the first lines of the draft ---- */

static enum status write_top(struct guess *g, const struct init_args *a,
                             struct error *err)
{
    if (a->paddlerec && !g->rows_seen)
        g->origin = arena_printf(g->arena,
                                 "Drafted by mtps init from %s; the data were not there "
                                 "to be looked at.",
                                 a->paddlerec);
    else
        g->origin = arena_printf(
            g->arena,
            "Drafted by mtps init from %s%llu rows of %s%s%s. It is "
            "a guess: the comments say what it rests on.",
            g->whole ? "all " : "the first ", (unsigned long long)g->rows_seen,
            g->data.train.files.v[0], a->paddlerec ? " and from " : "",
            a->paddlerec ? a->paddlerec : "");
    g->command =
        arena_printf(g->arena, "mtps train -c %s", a->output ? a->output : "FILE");
    return g->origin && g->command ? ST_OK : mem_error(err, "draft", 0);
}

/* ---- the command ---- */

static enum status check_output(const struct init_args *a, struct error *err)
{
    if (!a->output || a->force || !file_exists(a->output)) return ST_OK;
    error_set(err, ST_CANTCREATE, "%s: is there already", a->output);
    return error_hint(err, ST_CANTCREATE, "--force writes over it");
}

static enum status write_output(const struct init_args *a, const char *text,
                                struct error *err)
{
    if (a->output) return file_write_atomic(a->output, text, strlen(text), err);
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
        return cli_not_written(err);
    return ST_OK;
}

static void tell(const struct init_args *a, const struct guess *g)
{
    size_t n_left_out = 0;
    for (size_t k = 0; k < g->n_tasks && g->picked; k++)
        log_line(LOG_INFO, "init", "no --label: %s is %s", g->tasks[k].name, g->picked);
    for (size_t i = 0; i < g->n_columns; i++) {
        const struct guess_column *c = &g->columns[i];
        if (c->kind != GUESS_OUT) continue;
        n_left_out++;
        if (!strncmp(c->why, "a leak", 6))
            log_line(LOG_WARN, "init", "%s is left out: %s", c->name, c->why);
    }
    log_line(LOG_INFO, "init",
             "%llu rows looked at, %zu columns, %zu left out, %zu tasks%s%s",
             (unsigned long long)g->rows_seen, g->n_columns, n_left_out, g->n_tasks,
             a->output ? ": " : "", a->output ? a->output : "");
}

static struct list_cfg list(const struct names *names)
{
    return (struct list_cfg){(const char **)names->v, names->n, {0}};
}

static enum status run(const struct init_args *a, struct error *err)
{
    struct guess_request q = {list(&a->files), list(&a->eval), list(&a->labels),
                              list(&a->columns), a->rows};
    struct guess *g = NULL;
    char *text = NULL;
    TRY(check_output(a, err));
    if (a->common.config || a->common.n_sets)
        return error_set(err, ST_USAGE,
                         "mtps init takes no configuration: it writes one");
    enum status st = a->paddlerec ? paddlerec_draft(a->paddlerec, &q, &g, err)
                                  : guess_read(&q, &g, err);
    if (st == ST_OK) st = write_top(g, a, err);
    if (st == ST_OK) st = guess_yaml(g, &text, err);
    if (st == ST_OK) st = write_output(a, text, err);
    if (st == ST_OK) tell(a, g);
    mem_free(text);
    guess_destroy(g);
    return st;
}

int cmd_init(int argc, char **argv)
{
    static struct init_args a;
    struct error err = {0};
    int n;
    char **words = repeat_options(argc, argv, &n);
    enum status st = words ? cli_parse(&argp, n, words, &a, NULL, &err)
                           : mem_error(&err, "command line", 0);
    if (st == ST_OK) log_setup("", 0, a.common.verbosity < 0 ? LOG_WARN : LOG_INFO);
    if (st == ST_OK) st = run(&a, &err);
    int code = cli_finish(st, &err);
    mem_free(a.common.sets);
    mem_free(words);
    return code;
}
