/* mtps hotstart plan: what a hot start would do, without training and without MPI. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/base/mem.h"
#include "worker/hot_report.h"

struct args {
    struct common_args common;
    const char *verb, *from;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 'f':
        a->from = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->verb) argp_error(state, "unexpected argument '%s'", arg);
        a->verb = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"from", 'f', "PATH", 0, "checkpoint or run directory, instead of hot_start.from", 0}, {0}};
static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    options, parse, "plan",
    "Dry run of a hot start: every table and tensor that would be loaded, initialised or "
    "skipped, with the reason, and what share of the training data finds a loaded row. "
    "Nothing is trained or written but prepared data.",
    children, NULL, NULL};

/* --from is an assignment that comes last. */
static enum status load_settings(struct args *a, struct settings **out, struct error *err)
{
    static const char key[] = "hot_start.from";
    char *from = NULL;
    const char **sets = mem_array(a->common.n_sets + 1, sizeof *sets);
    if (!sets) return mem_error(err, "arguments", 0);
    struct common_args common = a->common;
    if (a->common.n_sets) memcpy(sets, a->common.sets, a->common.n_sets * sizeof *sets);
    if (a->from) {
        from = mem_alloc(settings_assign_bytes(key, a->from));
        if (from) settings_assign_text(key, a->from, from);
        sets[common.n_sets++] = from;
        common.sets = sets;
    }
    enum status st = a->from && !from ? mem_error(err, "arguments", 0)
                                      : cli_settings(&common, out, err);
    mem_free(from);
    mem_free(sets);
    return st;
}

static enum status print(const struct args *a, const struct hot_start *h,
                         const struct hot_coverage *coverage, struct error *err)
{
    if (!a->common.json) {
        char *text;
        TRY(hot_report_text(h, coverage, &text, err));
        fputs(text, stdout);
        mem_free(text);
        return ST_OK;
    }
    json_t *doc = hot_report_json(h, coverage);
    if (!doc) return mem_error(err, "report of the hot start", 0);
    json_dumpf(doc, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(doc);
    return ST_OK;
}

static enum status plan(const struct args *a, const struct settings *s, struct hot_start *h,
                        struct session **session, struct error *err)
{
    if (!s->hot_start.given) {
        error_set(err, ST_USAGE, "hotstart plan: the configuration has no hot_start");
        return error_hint(err, ST_USAGE, "give --from PATH");
    }
    TRY(hot_start_find(s, h, err));
    struct session_spec spec = {.settings = s, .uses = SESSION_TRAIN};
    TRY(session_open(&spec, session, err));
    if (s->hot_start.statistics == HOT_STATISTICS_KEEP) (*session)->hot = h->ckpt;
    TRY(session_model(*session, NULL, err));
    TRY(hot_start_plan(h, *session, err));
    TRY(session_rates(*session, NULL, h->plan, err)); /* says what it refuses */
    struct hot_coverage *coverage;
    TRY(hot_coverage_make(h, *session, NULL, &coverage, err));
    enum status st = print(a, h, coverage, err);
    hot_coverage_destroy(coverage);
    return st;
}

static enum status run(struct args *a, struct error *err)
{
    if (!a->verb || strcmp(a->verb, "plan") != 0) {
        if (a->verb)
            error_set(err, ST_USAGE, "hotstart: unknown command '%s'", a->verb);
        else
            error_set(err, ST_USAGE, "hotstart: give a command");
        return error_hint(err, ST_USAGE, "mtps hotstart plan -c FILE --from PATH");
    }
    struct settings *s = NULL;
    struct session *session = NULL;
    struct hot_start h = {0};
    enum status st = load_settings(a, &s, err);
    if (st == ST_OK) st = plan(a, s, &h, &session, err);
    hot_start_close(&h);
    session_close(session);
    settings_destroy(s);
    return st;
}

int cmd_hotstart(int argc, char **argv)
{
    struct args a = {0};
    struct error err = {0};
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK) st = run(&a, &err);
    free(a.common.sets);
    return cli_finish(st, &err);
}
