/* mtps predict: scores of rows as a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/predict_bundle.h"
#include "cli/scoring.h"
#include "common/base/mem.h"
#include "common/store/output.h"
#include "data/raw.h"
#include "worker/predictor.h"

enum { MAX_NAMES = 4096 };

struct args {
    struct scoring_args scoring;
    const char *input[MAX_NAMES], *keep[MAX_NAMES];
    size_t n_input, n_keep;
    const char *bundle, *where, *output;
    enum score_format format;
    enum model_side vectors; /* N_SIDES: scores */
};

/* Column names, separated by commas; arg is cut in place. */
static void add_keep(struct args *a, char *arg, struct argp_state *state)
{
    for (char *name = strtok(arg, ","); name; name = strtok(NULL, ",")) {
        if (a->n_keep == MAX_NAMES) argp_error(state, "--keep: more than %d columns", MAX_NAMES);
        a->keep[a->n_keep++] = name;
    }
}

static void set_format(struct args *a, const char *arg, struct argp_state *state)
{
    if (!strcmp(arg, "csv")) a->format = SCORE_CSV;
    else if (!strcmp(arg, "tsv")) a->format = SCORE_TSV;
    else if (!strcmp(arg, "jsonl")) a->format = SCORE_JSONL;
    else argp_error(state, "--format: '%s' is none of csv, tsv, jsonl", arg);
}

static void set_vectors(struct args *a, const char *arg, struct argp_state *state)
{
    if (!strcmp(arg, "user")) a->vectors = SIDE_USER;
    else if (!strcmp(arg, "item")) a->vectors = SIDE_ITEM;
    else argp_error(state, "--vectors: '%s' is none of user, item", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->scoring;
        return 0;
    case 'i':
    case ARGP_KEY_ARG:
        if (key == ARGP_KEY_ARG && !a->n_input)
            argp_error(state, "unexpected argument '%s': files to score follow --input", arg);
        if (a->n_input == MAX_NAMES) argp_error(state, "--input: more than %d files", MAX_NAMES);
        a->input[a->n_input++] = arg;
        return 0;
    case 'w':
        a->where = arg;
        return 0;
    case 'u':
        a->bundle = arg;
        return 0;
    case 'e':
        add_keep(a, arg, state);
        return 0;
    case 'o':
        a->output = arg;
        return 0;
    case 'f':
        set_format(a, arg, state);
        return 0;
    case 'v' + 256:
        set_vectors(a, arg, state);
        return 0;
    case ARGP_KEY_END:
        if (!a->scoring.ckpt == !a->bundle)
            argp_error(state, "name one of --ckpt (a checkpoint or a run directory) and --bundle");
        if (!a->output) argp_error(state, "-o is missing: name the file to write ('-' is stdout)");
        if (a->bundle && a->vectors != N_SIDES) argp_error(state, "--vectors goes with --ckpt");
        if (a->where && !a->n_input) argp_error(state, "--where goes with --input");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"bundle", 'u', "DIR", 0, "score with a bundle that 'mtps export' wrote, instead of --ckpt", 0},
    {"input", 'i', "FILE...", 0, "files to score instead of the rows of data.eval; labels may be absent", 0},
    {"where", 'w', "EXPR", 0, "only these rows of --input", 0},
    {"keep", 'e', "COL,...", 0, "columns to copy in front of the scores", 0},
    {"output", 'o', "FILE", 0, "file to write; '-' is stdout", 0},
    {"format", 'f', "csv|tsv|jsonl", 0, "form of the output (default: csv)", 0},
    {"vectors", 'v' + 256, "user|item", 0, "a vector per task in place of scores (model type two_tower)", 0},
    {0}};
static const struct argp_child children[] = {{&scoring_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    options, parse, "[FILE...]",
    "Score every row, in input order: a header, the kept columns, one column per task. With --bundle metrics are "
    "printed too when the rows have labels.",
    children, NULL, NULL};

/* --input: read like data.eval (or data.train where that is not given), other files. */
static struct source_cfg input_source(const struct args *a, const struct settings *s)
{
    struct source_cfg source = s->data.eval.files.n ? s->data.eval : s->data.train;
    static const struct origin at = {"--input", 0, 0}, where_at = {"--where", 1, 1};
    source.files = (struct list_cfg){(const char **)a->input, a->n_input, at};
    source.as_listed = true;
    source.where = (struct text_cfg){a->where, where_at};
    source.at = at;
    return source;
}

/* ---- the output ---- */

static enum status would_destroy(const struct args *a, const char *file, struct error *err)
{
    error_set(err, ST_CANTCREATE, "%s: to write it would destroy an input, %s", a->output, file);
    return error_hint(err, ST_CANTCREATE, "name another file with -o");
}

/* Files that are not there are reported where they are read. */
static enum status check_source(const struct args *a, const struct source_cfg *source, struct error *err)
{
    const char **files = NULL;
    size_t n = 0;
    if (!source->files.n || raw_expand(source, &files, &n, NULL) != ST_OK) return ST_OK;
    enum status st = ST_OK;
    for (size_t i = 0; i < n && st == ST_OK; i++)
        if (output_is_file(a->output, files[i])) st = would_destroy(a, files[i], err);
    mem_free(files);
    return st;
}

/* Before any work: it can be written, and is nothing that is read. */
static enum status check_output(const struct args *a, const struct settings *s,
                                const struct source_cfg *input, const char *ckpt,
                                struct error *err)
{
    const struct data_cfg *d = &s->data;
    const char *config = a->scoring.common.config;
    TRY(output_check(a->output, err));
    if (config && output_is_file(a->output, config)) return would_destroy(a, config, err);
    if (output_is_below(a->output, ckpt) || output_is_file(a->output, ckpt))
        return would_destroy(a, ckpt, err);
    const struct source_cfg *sources[] = {input, &d->train, &d->eval, &d->valid.source};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) TRY(check_source(a, sources[i], err));
    for (size_t i = 0; i < d->n_joins; i++) TRY(check_source(a, &d->joins[i].source, err));
    return ST_OK;
}

/* A name that stands twice in a header line cannot be told apart. */
static enum status check_keep(const struct args *a, const struct settings *s, struct error *err)
{
    for (size_t i = 0; i < a->n_keep; i++) {
        for (size_t k = 0; k < i; k++)
            if (!strcmp(a->keep[i], a->keep[k]))
                return error_set(err, ST_USAGE, "--keep: column \"%s\" stands twice", a->keep[i]);
        for (size_t k = 0; k < s->n_scores; k++) {
            if (strcmp(a->keep[i], s->scores[k].name) != 0) continue;
            error_set(err, ST_USAGE, "--keep: column \"%s\" has the name of a task, whose scores are in the output",
                      a->keep[i]);
            return error_hint(err, ST_USAGE, "leave it out of --keep");
        }
    }
    return ST_OK;
}

/* TASK_0 up to its vector's width. */
static bool is_column_of(const char *name, const char *task, size_t width)
{
    size_t n = strlen(task), digits;
    if (strncmp(name, task, n) != 0 || name[n] != '_') return false;
    digits = strspn(name + n + 1, "0123456789");
    return digits && !name[n + 1 + digits] && strtoul(name + n + 1, NULL, 10) < width;
}

static enum status check_vectors(const struct args *a, const struct settings *s, struct error *err)
{
    const struct sizes_cfg *layers = &s->model.user.mlp.layers;
    if (a->vectors == N_SIDES) return ST_OK;
    if (s->model.type != MODEL_TWO_TOWER) {
        error_set(err, ST_USAGE, "--vectors: the model has none");
        return error_hint(err, ST_USAGE, "only model type two_tower has vectors; leave --vectors out for scores");
    }
    for (size_t i = 0; i < a->n_keep; i++)
        for (size_t k = 0; k < s->n_tasks; k++)
            if (is_column_of(a->keep[i], s->tasks[k].name, layers->v[layers->n - 1]))
                return error_set(err, ST_USAGE, "--keep: column \"%s\" has the name of a column of task %s's vector",
                                 a->keep[i], s->tasks[k].name);
    return ST_OK;
}

static enum status run(struct args *a, struct job *j, const char *path, struct error *err)
{
    struct source_cfg input = input_source(a, j->settings);
    struct session_spec data = {.settings = j->settings,
                                .net = j->net,
                                .uses = a->n_input ? SESSION_INPUT : SESSION_EVAL,
                                .input = &input,
                                .keep = a->keep,
                                .n_keep = a->n_keep,
                                .keep_option = "--keep"};
    enum status st = j->leader ? check_keep(a, j->settings, err) : ST_OK;
    if (st == ST_OK && j->leader) st = check_vectors(a, j->settings, err);
    if (st == ST_OK && j->leader) st = check_output(a, j->settings, &input, path, err);
    TRY(job_agree(j, st, "--keep, --vectors and -o", err));
    TRY(scoring_open(j, &data, path, err));
    if (j->is_server) return ST_OK;
    struct predict_spec spec = {
        .scorer = {j->session, j->session->eval, j->client, &j->crew, j->threads,
                   a->vectors == N_SIDES ? NULL : &a->vectors, NULL},
        .keep = a->keep,
        .n_keep = a->n_keep,
        .format = a->format,
        .path = a->output};
    uint64_t rows = 0;
    TRY(predict(&spec, &rows, err));
    bool to_stdout = output_is_stdout(a->output);
    if (j->leader && a->scoring.common.json && !to_stdout)
        printf("{\"rows\":%llu}\n", (unsigned long long)rows);
    else if (j->leader && !to_stdout)
        printf("%llu rows scored: %s\n", (unsigned long long)rows, a->output);
    return ST_OK;
}

static enum status run_bundle(struct args *a, struct error *err)
{
    struct mtps_model *model = NULL;
    struct settings *settings = NULL;
    TRY(predict_bundle_open(a->bundle, &a->scoring.common, &model, &settings, err));
    struct source_cfg input = input_source(a, settings);
    struct predict_bundle_spec spec = {.rows = {.settings = settings,
                                                .source = a->n_input ? &input : &settings->data.eval,
                                                .labels_optional = a->n_input > 0,
                                                .keep = a->keep,
                                                .n_keep = a->n_keep,
                                                .keep_option = "--keep",
                                                .model = model},
                                       .path = a->output,
                                       .format = a->format,
                                       .json = a->scoring.common.json};
    enum status st = ST_OK;
    if (!spec.rows.source->files.n)
        st = error_hint(err, error_set(err, ST_USAGE, "data.eval is not given"), "name the files to score with --input");
    if (st == ST_OK) st = check_keep(a, settings, err);
    if (st == ST_OK) st = check_output(a, settings, &input, model->bundle->path, err);
    if (st == ST_OK) st = predict_bundle(&spec, err);
    settings_destroy(settings);
    mtps_close(model);
    return st;
}

int cmd_predict(int argc, char **argv)
{
    static struct args a = {.scoring = {.servers = SIZE_MAX, .ckpt_optional = true}, .vectors = N_SIDES};
    struct settings *settings = NULL;
    struct error err = {0};
    struct job job;
    char *path = NULL;
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK && a.bundle) {
        st = run_bundle(&a, &err);
        free(a.scoring.common.sets);
        return cli_finish(st, &err);
    }
    if (st == ST_OK) st = scoring_settings(&a.scoring, &path, &settings, &err);
    st = job_open(&job, settings, a.scoring.servers, st, &err);
    if (st == ST_OK) st = run(&a, &job, path, &err);
    int code = job_close(&job, st, &err);
    settings_destroy(settings);
    mem_free(path);
    free(a.scoring.common.sets);
    return code;
}
