/* mtps compare: the same data, several configurations and seeds, one table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/compare_write.h"
#include "common/base/log.h"
#include "common/net/transport.h"
#include "common/store/file.h"

enum {
    KEY_VARY = 1,
    KEY_RANDOM,
    KEY_SEEDS,
    KEY_EQUAL,
    KEY_JOBS,
    KEY_ON,
    KEY_DRY,
    LOCK_WAIT_S = 3
};

struct args {
    struct common_args common;
    struct compare_args compare;
};

/* ---- arguments ---- */

static void add_rows(struct compare_args *a, const char *list,
                     const struct argp_state *state)
{
    a->on_given = true;
    a->n_on = 0;
    while (*list) {
        size_t n = strcspn(list, ","), k = 0;
        while (k < N_ON && (strlen(compare_on_names[k]) != n ||
                            strncmp(list, compare_on_names[k], n)))
            k++;
        bool twice = false;
        for (size_t i = 0; i < a->n_on; i++) twice = twice || a->on[i] == k;
        if (k == N_ON || twice) {
            argp_error(state, "--on: '%s' is no list of eval, valid, train", list);
            return;
        }
        a->on[a->n_on++] = (enum compare_on)k;
        list += n + (list[n] == ',');
    }
    if (!a->n_on) argp_error(state, "--on: no rows are named");
}

/* Neither list can be longer than argv. */
static error_t start(struct args *a, const struct argp_state *state)
{
    state->child_inputs[0] = &a->common;
    size_t n = (size_t)state->argc + 1;
    a->compare.vary = mem_zeroed(2 * n, sizeof *a->compare.vary);
    a->compare.files = a->compare.vary ? a->compare.vary + n : NULL;
    a->compare.n_files = 1; /* the first is that of -c */
    return a->compare.vary ? 0 : ENOMEM;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    struct compare_args *c = &a->compare;
    switch (key) {
    case ARGP_KEY_INIT:
        return start(a, state);
    case KEY_VARY:
        c->vary[c->n_vary++] = arg;
        return 0;
    case KEY_RANDOM:
        c->draws = (size_t)cli_whole(state, "--random", arg, 1, 10000);
        return 0;
    case KEY_SEEDS:
        c->seeds = (size_t)cli_whole(state, "--seeds", arg, 1, COMPARE_MAX_SEEDS);
        return 0;
    case KEY_JOBS:
        c->jobs = (size_t)cli_whole(state, "--jobs", arg, 1, 1024);
        return 0;
    case KEY_EQUAL:
        c->equal_params = true;
        return 0;
    case KEY_DRY:
        c->dry_run = true;
        return 0;
    case KEY_ON:
        add_rows(c, arg, state);
        return 0;
    case 'o':
        c->out = arg;
        return 0;
    case ARGP_KEY_ARG:
        c->files[c->n_files++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"vary", KEY_VARY, "KEY=V1,V2,...", 0,
     "values that a key of the configuration takes; several times: every combination. "
     "Commas "
     "inside brackets and quotes do not split",
     0},
    {"random", KEY_RANDOM, "N", 0,
     "N random combinations instead of all; a key may then have a range: KEY=A..B, or "
     "KEY=A..B:log for log-uniform draws",
     0},
    {"seeds", KEY_SEEDS, "N", 0,
     "train every cell N times, from the configured seed on (default: 1)", 0},
    {"equal-params", KEY_EQUAL, NULL, 0,
     "scale the widths of experts and bottom until every cell has as many dense "
     "parameters as the "
     "first",
     0},
    {"on", KEY_ON, "ROWS,...", 0,
     "rows to measure on: eval, valid, train; the first decides who is best (default: "
     "eval, or "
     "valid without data.eval)",
     0},
    {"jobs", KEY_JOBS, "N", 0,
     "runs side by side (default: as many as there are cores for)", 0},
    {"out", 'o', "DIR", 0, "folder of the comparison (default: runs/NAME-compare)", 0},
    {"dry-run", KEY_DRY, NULL, 0, "print cells, parameters and widths; train nothing", 0},
    {0}};
static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    options,
    parse,
    "-c FILE [FILE...]",
    "Train every combination of values with every seed on the same prepared data and "
    "compare them. "
    "Finished runs are kept: the same command goes on after an interruption.",
    children,
    NULL,
    NULL};

static enum status check_args(const struct args *a, struct error *err)
{
    if (!a->common.config) {
        error_set(err, ST_USAGE, "no configuration is given");
        return error_hint(err, ST_USAGE, "name one with -c FILE");
    }
    for (size_t i = 0; i < a->common.n_sets; i++)
        if (!strncmp(a->common.sets[i], "run_dir=", 8)) {
            error_set(err, ST_USAGE,
                      "compare: every run has a folder of its own, not run_dir");
            return error_hint(err, ST_USAGE,
                              "name the comparison's folder with --out DIR");
        }
    if (!transport_mpi_launched()) return ST_OK;
    error_set(err, ST_USAGE,
              "compare starts its own processes and cannot be started by mpirun");
    return error_hint(err, ST_USAGE,
                      "run it without mpirun; --jobs says how many side by side");
}

/* ---- running ---- */

static enum status print(const struct compare *c, bool json, const json_t *doc,
                         struct error *err)
{
    if (json) {
        if (json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12)))
            return cli_not_written(err);
        putchar('\n');
        return ST_OK;
    }
    struct buffer text = {0};
    enum status st = ST_OK;
    if (c->args->dry_run)
        compare_text_cells(c, &text);
    else
        st = compare_text(c, &text, err);
    if (st == ST_OK && text.text && fputs(text.text, stdout) < 0)
        st = cli_not_written(err);
    if (!c->args->dry_run && st == ST_OK) printf("page  %s/compare.html\n", c->out);
    buffer_close(&text);
    return st;
}

/* What there is after the runs, whole or not. A request to stop prints nothing. */
static enum status report(struct compare *c, bool say, bool json, struct error *err)
{
    json_t *doc = NULL;
    TRY(compare_read(c, err));
    TRY(compare_json(c, &doc, err));
    enum status st = compare_write(c, doc, err);
    if (st == ST_OK && say) st = print(c, json, doc, err);
    json_decref(doc);
    return st;
}

static enum status train(struct compare *c, bool json, struct error *err)
{
    struct lock *lock;
    struct error trouble;
    TRY(file_mkdirs(c->out, err));
    TRY(lock_take(c->out, LOCK_WAIT_S, &lock, err));
    enum status st = compare_train(c, err);
    bool say = st == ST_OK || compare_count(c, RUN_FAILED);
    enum status told = report(c, say, json, &trouble);
    if (st == ST_OK && told != ST_OK) {
        *err = trouble;
        st = told;
    } else if (told != ST_OK) {
        log_line(LOG_WARN, "compare", "no report: %s", trouble.text);
    }
    lock_release(lock);
    return st;
}

static enum status dry_run(struct compare *c, bool json, struct error *err)
{
    json_t *doc = NULL;
    TRY(compare_json(c, &doc, err));
    enum status st = print(c, json, doc, err);
    json_decref(doc);
    return st;
}

static void setup_log(const struct common_args *a)
{
    log_setup("", 0,
              a->verbosity < 0   ? LOG_WARN
              : a->verbosity > 0 ? LOG_DEBUG
                                 : LOG_INFO);
}

int cmd_compare(int argc, char **argv)
{
    struct args a = {.compare = {.seeds = 1, .on = {ON_EVAL}, .n_on = 1}};
    struct error err = {0};
    struct compare c = {0};
    int first;
    enum status st = cli_parse(&argp, argc, argv, &a, &first, &err);
    if (st == ST_OK) st = check_args(&a, &err);
    if (st == ST_OK) {
        setup_log(&a.common);
        a.compare.files[0] = a.common.config;
        a.compare.sets = a.common.sets;
        a.compare.n_sets = a.common.n_sets;
        st = compare_plan(&a.compare, &c, &err);
    }
    if (st == ST_OK)
        st = a.compare.dry_run ? dry_run(&c, a.common.json, &err)
                               : train(&c, a.common.json, &err);
    int code = cli_finish(st, &err);
    compare_close(&c);
    mem_free(a.compare.vary);
    mem_free(a.common.sets);
    return code;
}
