/* mtps bench: how fast the parts are, beside what the machine can do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/job.h"
#include "common/base/mem.h"
#include "worker/bench.h"
#include "worker/saver.h"

enum { MAX_ROUNDS = 1000000 };

struct args {
    struct common_args common;
    size_t servers, rounds;
    double seconds;
    char form_set[64]; /* --form as an assignment */
    enum benchmark { BENCH_NONE, BENCH_STEP, BENCH_DATA } what;
};

static double positive(struct argp_state *state, const char *option, const char *arg)
{
    char *end;
    double v = strtod(arg, &end);
    if (!*arg || *end || !(v > 0)) argp_error(state, "%s: '%s' is not a positive number", option, arg);
    return v;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 's':
        a->servers = cli_servers(state, arg);
        return 0;
    case 'n':
        a->rounds = (size_t)cli_whole(state, "--rounds", arg, 1, MAX_ROUNDS);
        return 0;
    case 't':
        a->seconds = positive(state, "--seconds", arg);
        return 0;
    case 'f':
        if (strcmp(arg, "gather") && strcmp(arg, "project") && strcmp(arg, "auto"))
            argp_error(state, "--form: '%s' is none of gather, project, auto", arg);
        snprintf(a->form_set, sizeof a->form_set, "train.form=%s", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (a->what != BENCH_NONE) argp_error(state, "unexpected argument '%s'", arg);
        if (!strcmp(arg, "step")) a->what = BENCH_STEP;
        else if (!strcmp(arg, "data")) a->what = BENCH_DATA;
        else argp_error(state, "there is no benchmark '%s'; there are: step, data", arg);
        return 0;
    case ARGP_KEY_END:
        if (a->what == BENCH_NONE) argp_error(state, "which benchmark? there are: step, data");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"form", 'f', "gather|project|auto", 0, "form of layer 1 (default: as configured)", 0},
    {"rounds", 'n', "N", 0, "rounds that medians are taken of (default: 7)", 0},
    {"seconds", 't', "S", 0, "length of a round's half (default: 0.5)", 0},
    {"servers", 's', "S", 0, "ranks that are parameter servers (under mpirun)", 0},
    {0}};
static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    options, parse, "step|data",
    "Measure this machine."
    "\v"
    "step  the training step, in turn with the model's matrix products on one core (the bound)\n"
    "data  preparing the raw rows of data.train and reading the prepared ones, on one thread;\n"
    "      without mpirun\n",
    children, NULL, NULL};

static void print_step(const json_t *r, bool json)
{
    if (json) {
        json_dumpf(r, stdout, JSON_COMPACT | JSON_REAL_PRECISION(8));
        putchar('\n');
        return;
    }
    printf("step   %.0f samples/s", json_number_value(json_object_get(r, "samples_per_s")));
    if (json_is_null(json_object_get(r, "ratio")))
        puts("; the model has no matrix products, so there is no bound");
    else
        printf(", %.2f x the bound of %.0f samples/s\n",
               json_number_value(json_object_get(r, "ratio")),
               json_number_value(json_object_get(r, "bound_samples_per_s")));
    const char *stage;
    json_t *us;
    json_object_foreach(json_object_get(r, "stages"), stage, us)
        printf("%-8s %.0f us a step\n", stage, json_number_value(us));
}

static enum status run(const struct args *a, struct job *j, struct error *err)
{
    struct session_spec data = {.settings = j->settings, .net = j->net, .uses = SESSION_TRAIN};
    TRY(job_data(j, &data, err));
    TRY(job_model(j, NULL, err));
    if (j->is_server) return ST_OK;
    uint8_t ready = 1;
    if (j->leader) TRY(saver_init(j->session, j->client, err));
    TRY(crew_tell(&j->crew, &ready, sizeof ready, "the parameters", err));
    struct bench_spec spec = {j->session, j->client, &j->crew, j->threads, a->rounds, a->seconds};
    json_t *result = NULL;
    TRY(bench_step(&spec, &result, err));
    if (result) print_step(result, a->common.json);
    json_decref(result);
    return ST_OK;
}

static int run_step(const struct args *a, struct settings *settings, enum status st,
                    struct error *err)
{
    struct job job;
    st = job_open(&job, settings, a->servers, st, err);
    if (st == ST_OK) st = run(a, &job, err);
    return job_close(&job, st, err);
}

static int run_data(const struct args *a, const struct settings *settings, enum status st,
                    struct error *err)
{
    json_t *lines = NULL, *line;
    size_t i;
    if (st == ST_OK) st = bench_data(settings, a->rounds, &lines, err);
    json_array_foreach(lines, i, line)
    {
        if (a->common.json) {
            json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(8));
            putchar('\n');
        } else {
            printf("%-8s %.0f rows/s\n", json_string_value(json_object_get(line, "name")),
                   json_number_value(json_object_get(line, "value")));
        }
    }
    json_decref(lines);
    return cli_finish(st, err);
}

static enum status add_form(struct args *a, struct error *err)
{
    if (!a->form_set[0]) return ST_OK;
    size_t n = a->common.n_sets;
    const char **sets = realloc(a->common.sets, (n + 1) * sizeof *sets);
    if (!sets) return mem_error(err, "--set", n * sizeof *sets);
    sets[n] = a->form_set;
    a->common.sets = sets;
    a->common.n_sets = n + 1;
    return ST_OK;
}

int cmd_bench(int argc, char **argv)
{
    struct args a = {.servers = SIZE_MAX, .rounds = 7, .seconds = 0.5};
    struct settings *settings = NULL;
    struct error err = {0};
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK) st = add_form(&a, &err);
    if (st == ST_OK) st = cli_settings(&a.common, &settings, &err);
    int code = a.what == BENCH_DATA ? run_data(&a, settings, st, &err)
                                    : run_step(&a, settings, st, &err);
    settings_destroy(settings);
    free(a.common.sets);
    return code;
}
