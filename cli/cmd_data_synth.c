/* mtps data synth: learnable data as files, with a configuration beside them. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cmd_data.h"
#include "common/base/mem.h"
#include "common/config/nearest.h"
#include "data/synth.h"

enum {
    MMOE = 1 << SYNTH_KIND_MMOE,
    TASKS = 1 << SYNTH_KIND_TASKS,
    FUNNEL = 1 << SYNTH_KIND_FUNNEL
};

static const char *const kinds[] = {"mmoe", "tasks", "funnel"};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

enum { KEY_FORMAT = 1, KEY_EVAL_ROWS, KEY_SEED, KEY_JSON, KEY_SETTING };

/* Options that set a number of the generator, the kinds that read it, and where it
 * goes. */
enum target {
    TO_CORRELATION,
    TO_FEATURES,
    TO_TERMS,
    TO_SCALE,
    TO_NOISE,
    TO_FUNCTION,
    TO_TASKS,
    TO_RATE,
    TO_PRESENT,
    TO_ID_FEATURES,
    TO_IDS,
    TO_ZIPF,
    TO_DENSE,
    TO_SIGNAL,
    TO_INTERACTION,
    N_TARGETS
};

struct setting {
    const char *name, *arg, *help;
    unsigned kinds;
    bool whole; /* a whole number */
};

static const struct setting settings[N_TARGETS] = {
    [TO_CORRELATION] =
        {"correlation", "P",
         "relatedness: cosine of the weights (mmoe), correlation of the logits; "
         "0 to 1 (default: 0.5)",
         MMOE | TASKS | FUNNEL, false},
    [TO_FEATURES] = {"features", "D", "mmoe: numbers of a row (default: 100)", MMOE,
                     true},
    [TO_TERMS] = {"terms", "M", "mmoe: sines of the function (default: 10)", MMOE, true},
    [TO_SCALE] = {"scale", "C", "mmoe: length of the weights (default: 1)", MMOE, false},
    [TO_NOISE] = {"noise", "S", "mmoe: standard deviation of the noise (default: 0.1)",
                  MMOE, false},
    [TO_FUNCTION] = {"function", "N", "mmoe: number of the function (docs/synth.md)",
                     MMOE, true},
    [TO_TASKS] = {"tasks", "K", "tasks: how many (default: 3)", TASKS, true},
    [TO_RATE] =
        {"rate", "R[,R...]",
         "share of positives per task, the last one for all others (default: 0.2); "
         "funnel: of clicks, and of buys among them (default: 0.2,0.1)",
         TASKS | FUNNEL, false},
    [TO_PRESENT] = {"present", "S[,S...]",
                    "tasks: share of rows with a label per task, likewise (default: 1)",
                    TASKS, false},
    [TO_ID_FEATURES] = {"id-features", "F", "features that are ids (default: 4)",
                        TASKS | FUNNEL, true},
    [TO_IDS] = {"ids", "V", "ids of each (default: 1000)", TASKS | FUNNEL, true},
    [TO_ZIPF] = {"zipf", "S", "Zipf exponent of the ids; 0: all alike (default: 1.1)",
                 TASKS | FUNNEL, false},
    [TO_DENSE] = {"dense", "D", "features that are numbers (default: 4)", TASKS | FUNNEL,
                  true},
    [TO_SIGNAL] = {"signal", "S", "standard deviation of the logits (default: 2)",
                   TASKS | FUNNEL, false},
    [TO_INTERACTION] = {"interaction", "S",
                        "share of the logits that pairs of ids make (default: 0.5)",
                        TASKS | FUNNEL, false},
};

struct args {
    const char *kind, *dir;
    const char *given[N_TARGETS];   /* texts, applied when the kind is known */
    uint64_t rows, eval_rows, seed; /* UINT64_MAX: not given */
    bool tsv, json;
};

/* ---- arguments ---- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    if (key >= KEY_SETTING && key < KEY_SETTING + N_TARGETS) {
        a->given[key - KEY_SETTING] = arg;
        return 0;
    }
    switch (key) {
    case 'o':
        a->dir = arg;
        return 0;
    case 'n':
        a->rows = cli_whole(state, "--rows", arg, 0, UINT64_MAX);
        return 0;
    case KEY_EVAL_ROWS:
        a->eval_rows = cli_whole(state, "--eval-rows", arg, 0, UINT64_MAX);
        return 0;
    case KEY_SEED:
        a->seed = cli_whole(state, "--seed", arg, 0, UINT64_MAX);
        return 0;
    case KEY_FORMAT:
        a->tsv = !strcmp(arg, "tsv");
        if (!a->tsv && strcmp(arg, "csv") != 0)
            argp_error(state, "--format: '%s' is none of csv, tsv", arg);
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->kind) argp_error(state, "unexpected argument '%s'", arg);
        a->kind = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->kind) argp_error(state, "mmoe, tasks or funnel?");
        if (!a->dir)
            argp_error(state, "--output is missing: name a folder for the files");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

enum { N_PLAIN = 6 };
static struct argp_option options[N_PLAIN + N_TARGETS + 1] = {
    {"output", 'o', "DIR", 0, "folder for train, eval and config.yaml", 0},
    {"rows", 'n', "N", 0, "training rows (default: 100000; mmoe: 600000)", 0},
    {"eval-rows", KEY_EVAL_ROWS, "N", 0, "evaluation rows (default: 20000; mmoe: 2000)",
     0},
    {"seed", KEY_SEED, "N", 0, "every random number follows from it (default: 1)", 0},
    {"format", KEY_FORMAT, "csv|tsv", 0, "text format (default: csv)", 0},
    {"json", KEY_JSON, NULL, 0, "print what was written as JSON", 0},
};

static void fill_options(void)
{
    for (int i = 0; i < N_TARGETS; i++)
        options[N_PLAIN + i] = (struct argp_option){
            settings[i].name, KEY_SETTING + i, settings[i].arg, 0, settings[i].help, 0};
}

static const struct argp argp = {
    options,
    parse,
    "mmoe|tasks|funnel -o DIR",
    "Write learnable data and a configuration that trains on it."
    "\v"
    "mmoe    two regression tasks of the MMoE paper, as related as --correlation says\n"
    "tasks   binary tasks over Zipf ids and numbers, with the true probabilities\n"
    "funnel  click and buy, with the true rates of both\n",
    NULL,
    NULL,
    NULL};

/* ---- from texts to numbers ---- */

static enum status find_kind(const char *name, enum synth_kind *out, struct error *err)
{
    for (int k = 0; k < N_KINDS; k++) {
        if (strcmp(name, kinds[k]) != 0) continue;
        *out = (enum synth_kind)k;
        return ST_OK;
    }
    error_set(err, ST_USAGE, "mtps data synth: there is no '%s'", name);
    const char *nearest = nearest_word(name, kinds, N_KINDS);
    return error_hint(err, ST_USAGE, nearest ? "did you mean '%s'?" : "see --help%s",
                      nearest ? nearest : "");
}

static enum status read_number(const struct setting *s, const char *text,
                               const char **end, double *out, struct error *err)
{
    char *stop;
    *out = strtod(text, &stop);
    bool fine =
        stop != text &&
        (!s->whole || (*out >= 0 && *out < 1e15 && *out == (double)(uint64_t)*out));
    *end = stop;
    if (fine) return ST_OK;
    return error_set(err, ST_USAGE, "--%s: '%s' is not a %s", s->name, text,
                     s->whole ? "whole number" : "number");
}

/* Several numbers, one per task; the last one goes on. */
static enum status read_list(const struct setting *s, const char *text, double *v,
                             struct error *err)
{
    size_t n = 0;
    for (const char *at = text;; at++) {
        if (n == SYNTH_MAX_TASKS)
            return error_set(err, ST_USAGE, "--%s: more than %d numbers", s->name,
                             SYNTH_MAX_TASKS);
        TRY(read_number(s, at, &at, &v[n++], err));
        if (*at == 0) break;
        if (*at != ',')
            return error_set(err, ST_USAGE, "--%s: '%s' are not numbers", s->name, text);
    }
    for (; n < SYNTH_MAX_TASKS; n++) v[n] = v[n - 1];
    return ST_OK;
}

static void store(enum target to, double v, struct synth_options *o)
{
    switch (to) {
    case TO_CORRELATION:
        o->mmoe.correlation = o->tasks.correlation = v;
        break;
    case TO_FEATURES:
        o->mmoe.features = (size_t)v;
        break;
    case TO_TERMS:
        o->mmoe.terms = (size_t)v;
        break;
    case TO_SCALE:
        o->mmoe.scale = v;
        break;
    case TO_NOISE:
        o->mmoe.noise = v;
        break;
    case TO_FUNCTION:
        o->mmoe.function = (uint64_t)v;
        break;
    case TO_TASKS:
        o->tasks.n_tasks = (size_t)v;
        break;
    case TO_ID_FEATURES:
        o->tasks.n_ids = (size_t)v;
        break;
    case TO_IDS:
        o->tasks.vocabulary = (size_t)v;
        break;
    case TO_ZIPF:
        o->tasks.zipf = v;
        break;
    case TO_DENSE:
        o->tasks.n_dense = (size_t)v;
        break;
    case TO_SIGNAL:
        o->tasks.signal = v;
        break;
    case TO_INTERACTION:
        o->tasks.interaction = v;
        break;
    case TO_RATE:
    case TO_PRESENT:
    case N_TARGETS:
        break;
    }
}

static enum status apply(const struct args *a, struct synth_options *o, struct error *err)
{
    for (int i = 0; i < N_TARGETS; i++) {
        const struct setting *s = &settings[i];
        const char *text = a->given[i], *end;
        double v;
        if (!text) continue;
        if (!(s->kinds >> o->kind & 1))
            return error_set(err, ST_USAGE, "--%s is not for '%s'", s->name,
                             kinds[o->kind]);
        if (i == TO_RATE || i == TO_PRESENT) {
            TRY(read_list(s, text, i == TO_RATE ? o->tasks.rate : o->tasks.present, err));
            continue;
        }
        TRY(read_number(s, text, &end, &v, err));
        if (*end)
            return error_set(err, ST_USAGE, "--%s: '%s' is not a number", s->name, text);
        store((enum target)i, v, o);
    }
    return ST_OK;
}

static enum status make_options(const struct args *a, struct synth_options *o,
                                struct error *err)
{
    enum synth_kind kind = SYNTH_KIND_MMOE;
    TRY(find_kind(a->kind, &kind, err));
    synth_defaults(kind, o);
    o->dir = a->dir;
    o->tsv = a->tsv;
    if (a->rows != UINT64_MAX) o->rows = a->rows;
    if (a->eval_rows != UINT64_MAX) o->eval_rows = a->eval_rows;
    if (a->seed != UINT64_MAX) o->mmoe.seed = o->tasks.seed = a->seed;
    return apply(a, o, err);
}

/* ---- the command ---- */

static void print_written(const struct args *a, const struct synth_options *o)
{
    if (!a->json) {
        printf("%s/config.yaml: %" PRIu64 " training rows, %" PRIu64 " evaluation rows\n",
               o->dir, o->rows, o->eval_rows);
        return;
    }
    json_t *doc = json_pack("{s:s+, s:I, s:I, s:I}", "config", o->dir, "/config.yaml",
                            "rows", (json_int_t)o->rows, "eval_rows",
                            (json_int_t)o->eval_rows, "seed", (json_int_t)o->tasks.seed);
    json_dumpf(doc, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(doc);
}

int cmd_data_synth(int argc, char **argv)
{
    struct args a = {.rows = UINT64_MAX, .eval_rows = UINT64_MAX, .seed = UINT64_MAX};
    struct synth_options *o = mem_zeroed(1, sizeof *o);
    struct error err = {0};
    fill_options();
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK && !o) st = mem_error(&err, "options", sizeof *o);
    if (st == ST_OK) st = make_options(&a, o, &err);
    if (st == ST_OK) st = synth_write(o, &err);
    if (st == ST_OK) print_written(&a, o);
    mem_free(o);
    return cli_finish(st, &err);
}
