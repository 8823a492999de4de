/* mtps eval: metrics of a checkpoint on data.eval, or on other rows. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/scoring.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "data/expr.h"
#include "worker/evaluator.h"
#include "worker/report.h"
#include "worker/slices.h"

enum { MAX_COLUMNS = 64 };

/* Rows to measure on. */
struct rows {
    const char *name;
    enum session_use use;
    unsigned open; /* the training rows' header line names the columns of both */
};
static const struct rows all_rows[] = {{"eval", SESSION_EVAL, SESSION_EVAL},
                                       {"valid", SESSION_VALID, SESSION_VALID | SESSION_TRAIN},
                                       {"train", SESSION_TRAIN, SESSION_TRAIN}};

struct args {
    struct scoring_args scoring;
    const char *by; /* expression, or NULL */
    const struct rows *on;
};

static void choose_rows(struct args *a, const char *name, const struct argp_state *state)
{
    a->on = NULL;
    for (size_t i = 0; i < sizeof all_rows / sizeof *all_rows; i++)
        if (!strcmp(name, all_rows[i].name)) a->on = &all_rows[i];
    if (!a->on) argp_error(state, "--on: '%s' is none of eval, valid, train", name);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->scoring;
        return 0;
    case 'b':
        a->by = arg;
        return 0;
    case 'o':
        choose_rows(a, arg, state);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"by", 'b', "EXPR", 0, "also per value of an expression over the data's columns", 0},
    {"on", 'o', "eval|valid|train", 0,
     "rows to measure on: data.eval, the validation rows, or the training rows without them "
     "(default: eval)", 0},
    {0}};
static const struct argp_child children[] = {{&scoring_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    options, parse, NULL,
    "Metrics of a checkpoint on data.eval, or on other rows (--on). The configuration is the one "
    "inside the checkpoint; -c and --set change it.",
    children, NULL, NULL};

static json_t *tasks_json(const struct settings *s, const struct metric_result *results)
{
    json_t *tasks = json_object();
    for (size_t k = 0; k < s->n_scores; k++)
        json_object_set_new(tasks, s->scores[k].name, report_metric_json(&results[k]));
    return tasks;
}

static void print_tasks(const struct settings *s, const struct metric_result *results, const char *indent)
{
    for (size_t k = 0; k < s->n_scores; k++) {
        char *line = report_metric_line(s->scores[k].name, &results[k]);
        if (line) printf("%s%s\n", indent, line);
        mem_free(line);
    }
}

static void print_text(const struct settings *s, const struct metric_result *results,
                       const struct slice *slices, size_t n)
{
    print_tasks(s, results, "");
    for (size_t i = 0; i < n; i++) {
        printf("%s\n", slices[i].value);
        print_tasks(s, slices[i].results, "  ");
    }
}

static void print_json(const struct settings *s, uint64_t rows, const struct metric_result *results,
                       const struct health_result *health, bool by, const struct slice *slices,
                       size_t n)
{
    json_t *doc = json_pack("{s:I, s:o}", "rows", (json_int_t)rows, "eval", tasks_json(s, results));
    json_t *values = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(values, slices[i].value, tasks_json(s, slices[i].results));
    if (by) json_object_set(doc, "by", values);
    json_decref(values);
    json_t *found = json_object();
    report_health_json(s, health, found);
    json_object_set_new(doc, "health", found);
    json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(doc);
}

static struct dataset *data_of(const struct args *a, const struct session *s)
{
    if (a->on->use == SESSION_VALID) return s->valid;
    return a->on->use == SESSION_TRAIN ? s->train : s->eval;
}

static enum status print(const struct args *a, const struct job *j, uint64_t rows,
                         const struct metric_result *results, struct health *health,
                         const struct slice *slices, size_t n, struct error *err)
{
    struct health_result found;
    char text[512];
    TRY(health_finalize(health, &found, err));
    report_health_line(j->settings, &found, text, sizeof text);
    if (*text) log_line(LOG_INFO, a->on->name, "%s", text);
    if (a->scoring.common.json)
        print_json(j->settings, rows, results, &found, a->by != NULL, slices, n);
    else
        print_text(j->settings, results, slices, n);
    return ST_OK;
}

static enum status measure(const struct args *a, struct job *j, const struct text_cfg *by,
                           struct error *err)
{
    struct metric_result *results = mem_zeroed(j->settings->n_scores, sizeof *results);
    if (!results) return mem_error(err, "results", sizeof *results);
    struct scorer_spec scorer = {.session = j->session,
                                 .data = data_of(a, j->session),
                                 .client = j->client,
                                 .crew = &j->crew,
                                 .threads = j->threads},
                       watched = scorer;
    struct slice *slices = NULL;
    size_t n = 0;
    enum status st = health_create(j->session->model, &watched.health, err);
    if (st == ST_OK) st = evaluate(&watched, results, err);
    if (st == ST_OK && by) st = evaluate_slices(&scorer, by, &slices, &n, err);
    if (st == ST_OK && j->leader)
        st = print(a, j, dataset_rows(scorer.data), results, watched.health, slices, n, err);
    health_destroy(watched.health);
    slices_free(slices, n);
    mem_free(results);
    return st;
}

static enum status check_rows(const struct args *a, const struct settings *s, struct error *err)
{
    if (a->on->use == SESSION_VALID && !s->data.valid.given)
        return error_set(err, ST_USAGE, "--on valid: data.valid is not given in the configuration");
    if (a->by && a->on->use != SESSION_EVAL)
        return error_set(err, ST_USAGE, "--by works on data.eval only, not with --on %s", a->on->name);
    return ST_OK;
}

static enum status run(const struct args *a, struct job *j, const char *path, struct error *err)
{
    struct expr *by = NULL; /* parsed here for its columns alone */
    const char *keep[MAX_COLUMNS];
    struct session_spec data = {.settings = j->settings, .net = j->net, .uses = a->on->open,
                                .keep = keep, .keep_option = "--by"};
    struct text_cfg text = {a->by, {"--by", 1, 1}};
    enum status st = check_rows(a, j->settings, err);
    if (st == ST_OK && a->by) st = expr_parse(&text, NULL, 0, &by, err);
    if (by && expr_n_columns(by) > MAX_COLUMNS)
        st = error_set(err, ST_USAGE, "--by: more than %d columns", MAX_COLUMNS);
    for (size_t i = 0; st == ST_OK && by && i < expr_n_columns(by); i++) {
        keep[i] = expr_column(by, i);
        data.n_keep = i + 1;
    }
    st = job_agree(j, st, "--by", err);
    if (st == ST_OK) st = scoring_open(j, &data, path, err);
    if (st == ST_OK && !j->is_server) st = measure(a, j, by ? &text : NULL, err);
    expr_destroy(by);
    return st;
}

int cmd_eval(int argc, char **argv)
{
    struct args a = {.scoring = {.servers = SIZE_MAX}, .on = &all_rows[0]};
    struct settings *settings = NULL;
    struct error err = {0};
    struct job job;
    char *path = NULL;
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK) st = scoring_settings(&a.scoring, &path, &settings, &err);
    st = job_open(&job, settings, a.scoring.servers, st, &err);
    if (st == ST_OK) st = run(&a, &job, path, &err);
    int code = job_close(&job, st, &err);
    settings_destroy(settings);
    mem_free(path);
    free(a.scoring.common.sets);
    return code;
}
