/* mtps importance: what each feature is worth to a checkpoint. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/scoring.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/config/nearest.h"
#include "worker/importance.h"

enum { MAX_GROUPS = 4096, REPEATS = 3, MAX_REPEATS = 10000 };

struct args {
    struct scoring_args scoring;
    const char *groups[MAX_GROUPS]; /* "a" or "a,b" */
    size_t n_groups;
    size_t repeats;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->scoring;
        return 0;
    case 'f':
        if (a->n_groups == MAX_GROUPS)
            argp_error(state, "--feature: more than %d of them", MAX_GROUPS);
        a->groups[a->n_groups++] = arg;
        return 0;
    case 'r':
        a->repeats = (size_t)cli_whole(state, "--repeats", arg, 1, MAX_REPEATS);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"feature", 'f', "NAME[,NAME...]", 0,
     "measure this feature, or these together; may be given several times (default: "
     "every "
     "feature)",
     0},
    {"repeats", 'r', "N", 0, "permutations per feature (default: 3)", 0},
    {0}};
static const struct argp_child children[] = {{&scoring_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    options,
    parse,
    NULL,
    "How much worse a checkpoint ranks data.eval when a feature's values are moved to "
    "other "
    "rows: the drop of each task's AUC (XAUC where the label is a number)."
    "\v"
    "A feature that another one repeats looks worth little: name both to move them "
    "together. "
    "The configuration is the one inside the checkpoint; -c and --set change it.",
    children,
    NULL,
    NULL};

/* ---- groups ---- */

struct groups {
    struct importance_group *v;
    size_t *features; /* of all groups, one after another */
    size_t n;
};

static enum status find_feature(const struct schema *s, const char *name, size_t n,
                                size_t *out, struct error *err)
{
    const char *nearest = NULL;
    for (*out = 0; *out < s->n_features; ++*out) {
        const char *have = s->features[*out].name;
        if (strlen(have) == n && !memcmp(have, name, n)) return ST_OK;
    }
    error_set(err, ST_USAGE, "--feature: there is no feature '%.*s'", (int)n, name);
    const char **names = mem_array(s->n_features, sizeof *names);
    char *wanted = mem_strndup(name, n);
    for (size_t i = 0; names && i < s->n_features; i++) names[i] = s->features[i].name;
    if (names && wanted) nearest = nearest_word(wanted, names, s->n_features);
    mem_free(names);
    mem_free(wanted);
    return nearest ? error_hint(err, ST_USAGE, "did you mean '%s'?", nearest) : ST_USAGE;
}

static size_t count_names(const char *list)
{
    size_t n = 1;
    for (; *list; list++) n += *list == ',';
    return n;
}

static enum status named_groups(const struct args *a, const struct schema *s,
                                struct groups *g, struct error *err)
{
    size_t used = 0;
    for (size_t i = 0; i < a->n_groups; i++) {
        const char *at = a->groups[i];
        g->v[i] = (struct importance_group){a->groups[i], g->features + used, 0};
        for (size_t end; g->v[i].n < count_names(a->groups[i]); at += end + 1) {
            end = strcspn(at, ",");
            TRY(find_feature(s, at, end, &g->features[used++], err));
            g->v[i].n++;
        }
    }
    return ST_OK;
}

static enum status make_groups(const struct args *a, const struct schema *s,
                               struct groups *g, struct error *err)
{
    size_t names = s->n_features;
    g->n = a->n_groups ? a->n_groups : s->n_features;
    for (size_t i = 0; i < a->n_groups; i++) names += count_names(a->groups[i]);
    g->v = mem_zeroed(g->n, sizeof *g->v);
    g->features = mem_array(names, sizeof *g->features);
    if (!g->v || !g->features)
        return mem_error(err, "features", names * sizeof *g->features);
    if (a->n_groups) return named_groups(a, s, g, err);
    for (size_t i = 0; i < s->n_features; i++) {
        g->features[i] = i;
        g->v[i] = (struct importance_group){s->features[i].name, &g->features[i], 1};
    }
    return ST_OK;
}

/* ---- results ---- */

/* A group, what it is worth on average over the tasks, and its drops. */
struct row {
    const char *name;
    double worth;
    const struct importance *drops; /* [n_scores] */
};

static int by_worth(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->worth != y->worth) return x->worth < y->worth ? 1 : -1;
    return strcmp(x->name, y->name);
}

static void sort_rows(const struct groups *g, const struct importance *drops,
                      size_t n_scores, struct row *rows)
{
    for (size_t i = 0; i < g->n; i++) {
        double sum = 0;
        for (size_t k = 0; k < n_scores; k++)
            if (isfinite(drops[i * n_scores + k].drop)) sum += drops[i * n_scores + k].drop;
        rows[i] = (struct row){g->v[i].name, sum / (double)n_scores, drops + i * n_scores};
    }
    qsort(rows, g->n, sizeof *rows, by_worth);
}

static void print_text(const struct settings *s, const struct metric_result *whole,
                       const struct row *rows, size_t n)
{
    printf("%-28s", "drop when moved");
    for (size_t k = 0; k < s->n_scores; k++) printf(" %20s", s->scores[k].name);
    printf("\n%-28s", "(nothing moved)");
    for (size_t k = 0; k < s->n_scores; k++)
        printf("%5s%9s %.4f", "", isnan(whole[k].auc) ? "xauc" : "auc",
               importance_figure(&whole[k]));
    putchar('\n');
    for (size_t i = 0; i < n; i++) {
        printf("%-28s", rows[i].name);
        for (size_t k = 0; k < s->n_scores; k++) {
            const struct importance *d = &rows[i].drops[k];
            if (isfinite(d->deviation))
                printf("   %+8.4f ± %.4f", d->drop, d->deviation);
            else
                printf(" %+20.4f", d->drop);
        }
        putchar('\n');
    }
}

static void set_number(json_t *object, const char *name, double v)
{
    if (isfinite(v)) json_object_set_new(object, name, json_real(v));
}

static json_t *row_json(const struct settings *s, const struct row *row)
{
    json_t *tasks = json_object();
    for (size_t k = 0; k < s->n_scores; k++) {
        json_t *o = json_object();
        set_number(o, "drop", row->drops[k].drop);
        set_number(o, "deviation", row->drops[k].deviation);
        json_object_set_new(tasks, s->scores[k].name, o);
    }
    return json_pack("{s:s, s:o}", "feature", row->name, "tasks", tasks);
}

static void print_json(const struct settings *s, uint64_t n_rows, size_t repeats,
                       const struct metric_result *whole, const struct row *rows,
                       size_t n)
{
    json_t *tasks = json_object(), *list = json_array();
    for (size_t k = 0; k < s->n_scores; k++) {
        json_t *o = json_object();
        set_number(o, isnan(whole[k].auc) ? "xauc" : "auc", importance_figure(&whole[k]));
        json_object_set_new(tasks, s->scores[k].name, o);
    }
    for (size_t i = 0; i < n; i++) json_array_append_new(list, row_json(s, &rows[i]));
    json_t *doc = json_pack("{s:I, s:I, s:o, s:o}", "rows", (json_int_t)n_rows, "repeats",
                            (json_int_t)repeats, "eval", tasks, "importance", list);
    json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(doc);
}

static void on_progress(void *arg, size_t done, size_t total)
{
    size_t *shown = arg; /* tenths of the work */
    if (10 * done / total == *shown) return;
    *shown = 10 * done / total;
    log_line(LOG_INFO, "moved", "%zu of %zu permutations", done, total);
}

/* ---- the command ---- */

static enum status measure(const struct args *a, struct job *j, const struct groups *g,
                           struct error *err)
{
    size_t n_scores = j->settings->n_scores, shown = 0;
    struct metric_result *whole = mem_zeroed(n_scores, sizeof *whole);
    struct importance *drops = mem_zeroed(g->n * n_scores, sizeof *drops);
    struct row *rows = mem_zeroed(g->n, sizeof *rows);
    struct importance_spec spec = {
        .scorer = {j->session, j->session->eval, j->client, &j->crew, j->threads, NULL, NULL},
        .groups = g->v,
        .n_groups = g->n,
        .repeats = a->repeats,
        .seed = j->settings->seed,
        .progress = j->leader ? on_progress : NULL,
        .arg = &shown};
    enum status st = whole && drops && rows
                         ? ST_OK
                         : mem_error(err, "importance", g->n * n_scores * sizeof *drops);
    if (st == ST_OK) st = importance_measure(&spec, whole, drops, err);
    if (st == ST_OK && j->leader) {
        sort_rows(g, drops, n_scores, rows);
        if (a->scoring.common.json)
            print_json(j->settings, dataset_rows(j->session->eval), a->repeats, whole,
                       rows, g->n);
        else
            print_text(j->settings, whole, rows, g->n);
    }
    mem_free(rows);
    mem_free(drops);
    mem_free(whole);
    return st;
}

static enum status run(const struct args *a, struct job *j, const char *path,
                       struct error *err)
{
    struct groups groups = {0};
    struct session_spec data = {
        .settings = j->settings, .net = j->net, .uses = SESSION_EVAL};
    enum status st = scoring_open(j, &data, path, err);
    if (st == ST_OK && !j->is_server) {
        st = make_groups(a, j->session->schema, &groups, err);
        if (st == ST_OK) st = measure(a, j, &groups, err);
    }
    mem_free(groups.v);
    mem_free(groups.features);
    return st;
}

int cmd_importance(int argc, char **argv)
{
    struct args a = {.scoring = {.servers = SIZE_MAX}, .repeats = REPEATS};
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
