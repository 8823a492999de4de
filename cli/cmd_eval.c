/* mtps eval: metrics of a checkpoint on data.eval. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/scoring.h"
#include "common/base/mem.h"
#include "worker/evaluator.h"
#include "worker/report.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = state->input;
        return 0;
    }
    if (key == ARGP_KEY_ARG) argp_error(state, "unexpected argument '%s'", arg);
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_child children[] = {{&scoring_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    NULL, parse, NULL,
    "Metrics of a checkpoint on data.eval. The configuration is the one inside the checkpoint; "
    "-c and --set change it.",
    children, NULL, NULL};

static void print(const struct settings *s, const struct dataset *d, const struct metric_result *results,
                  bool json)
{
    json_t *eval = json_object();
    for (size_t k = 0; k < s->n_tasks; k++) {
        json_object_set_new(eval, s->tasks[k].name, report_metric_json(&results[k]));
        char *line = report_metric_line(s->tasks[k].name, &results[k]);
        if (!json && line) puts(line);
        mem_free(line);
    }
    json_t *doc = json_pack("{s:I, s:o}", "rows", (json_int_t)dataset_rows(d), "eval", eval);
    if (json && doc) {
        json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
        putchar('\n');
    }
    json_decref(doc);
}

static enum status run(const struct scoring_args *a, struct job *j, const char *path, struct error *err)
{
    struct session_spec data = {.settings = j->settings, .net = j->net, .uses = SESSION_EVAL};
    TRY(scoring_open(j, &data, path, err));
    if (j->is_server) return ST_OK;
    struct metric_result *results = mem_zeroed(j->settings->n_tasks, sizeof *results);
    if (!results) return mem_error(err, "results", sizeof *results);
    struct scorer_spec scorer = {j->session, j->session->eval, j->client, &j->crew, j->threads};
    enum status st = evaluate(&scorer, results, err);
    if (st == ST_OK && j->leader) print(j->settings, j->session->eval, results, a->common.json);
    mem_free(results);
    return st;
}

int cmd_eval(int argc, char **argv)
{
    struct scoring_args a = {.servers = SIZE_MAX};
    struct settings *settings = NULL;
    struct error err = {0};
    struct job job;
    char *path = NULL;
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK) st = scoring_settings(&a, &path, &settings, &err);
    st = job_open(&job, settings, a.servers, st, &err);
    if (st == ST_OK) st = run(&a, &job, path, &err);
    int code = job_close(&job, st, &err);
    settings_destroy(settings);
    mem_free(path);
    free(a.common.sets);
    return code;
}
