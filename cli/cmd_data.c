/* mtps data: prepare raw files, look at rows as features see them, and at what
 * the selected rows hold. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cmd_data.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/config/nearest.h"
#include "data/dataset_stats.h"
#include "data/feature.h"

enum { HEAD_ROWS = 10, KEY_FORCE = 1, KEY_SOURCE };

struct data_args {
    struct common_args common;
    const char *verb, *source;
    uint64_t rows;
    bool force;
};

/* One source of the configuration. */
struct named_source {
    const char *name;
    const struct source_cfg *cfg;
    enum use use;
};

/* ---- arguments ---- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct data_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 'n':
        a->rows = cli_whole(state, "--rows", arg, 0, UINT64_MAX);
        return 0;
    case KEY_FORCE:
        a->force = true;
        return 0;
    case KEY_SOURCE:
        a->source = arg;
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
    {"rows", 'n', "N", 0, "head: how many rows (default: 10)", 0},
    {"source", KEY_SOURCE, "NAME", 0,
     "train, eval or valid (default: train; prepare: all)", 0},
    {"force", KEY_FORCE, NULL, 0, "prepare: make the files again", 0},
    {0}};
static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    options,
    parse,
    "prepare|head|stats -c FILE, or synth mmoe|tasks|funnel -o DIR",
    "Prepare raw files and look at them."
    "\v"
    "prepare  make the columnar files that training reads, or find them in data.cache\n"
    "head     the first rows as features and labels see them\n"
    "stats    of the selected rows: label rates; per feature fill rate, values, distinct "
    "ids\n"
    "synth    write learnable data (see 'mtps data synth --help')\n",
    children,
    NULL,
    NULL};

/* ---- sources ---- */

static enum status find_source(const struct settings *s, const char *name,
                               struct named_source *out, struct error *err)
{
    const struct data_cfg *d = &s->data;
    bool own = d->valid.source.files.n > 0;
    const struct named_source all[] = {
        {"train", &d->train, USE_TRAIN},
        {"eval", &d->eval, USE_EVAL},
        {"valid", own || !d->valid.given ? &d->valid.source : &d->train, USE_VALID}};
    static const char *const names[] = {"train", "eval", "valid"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(name, all[i].name) != 0) continue;
        if (!all[i].cfg->files.n)
            return error_set(err, ST_USAGE, "data.%s is not given in the configuration",
                             name);
        *out = all[i];
        return ST_OK;
    }
    error_set(err, ST_USAGE, "--source: '%s' is none of train, eval, valid", name);
    const char *nearest = nearest_word(name, names, 3);
    return nearest ? error_hint(err, ST_USAGE, "did you mean '%s'?", nearest) : ST_USAGE;
}

/* The header line of the training rows names the columns, or that of the source
 * when there is no training. */
static enum status open_schema(const struct settings *s,
                               const struct named_source *source, struct schema **out,
                               struct error *err)
{
    const struct source_cfg *header =
        s->data.train.files.n ? &s->data.train : source->cfg;
    struct raw_columns columns;
    TRY(raw_columns_read(&s->data, header, &columns, err));
    enum status st = schema_build(s, &columns, false, out, err);
    raw_columns_close(&columns);
    return st;
}

static void on_progress(void *arg, uint64_t done, uint64_t total, uint64_t rows,
                        const char *phase)
{
    (void)arg;
    if (total)
        log_line(LOG_INFO, "prepare", "%s  %.0f%%  %" PRIu64 " rows", phase,
                 100.0 * (double)done / (double)total, rows);
}

static void warn_bad_rows(const struct bad_rows *b)
{
    if (!b->n_bad) return;
    log_line(LOG_WARN, "data", "%" PRIu64 " bad rows left out of %" PRIu64, b->n_bad,
             b->n_bad + b->n_good);
    for (size_t i = 0; i < b->n_shown; i++) log_line(LOG_WARN, "data", "%s", b->shown[i]);
}

static enum status prepare_source(const struct data_args *a, const struct schema *schema,
                                  const struct named_source *source, char **path,
                                  struct bad_rows *bad, struct error *err)
{
    struct prepare_options opt = {.force = a->force, .progress = on_progress};
    bad_rows_init(bad, &schema->settings->data);
    enum status st = prepare(schema, source->cfg, &opt, path, bad, err);
    warn_bad_rows(bad);
    return st == ST_OK ? st : error_wrap(err, st, "data.%s", source->name);
}

static void print_json(json_t *doc)
{
    json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12) | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(doc);
}

static json_t *integer(uint64_t v)
{
    return json_integer((json_int_t)v);
}

/* ---- prepare ---- */

static enum status prepare_one(const struct data_args *a, const struct settings *s,
                               const struct named_source *source, json_t *done,
                               struct error *err)
{
    struct schema *schema;
    struct bad_rows bad;
    char *path = NULL;
    TRY(open_schema(s, source, &schema, err));
    enum status st = prepare_source(a, schema, source, &path, &bad, err);
    if (st == ST_OK && a->common.json)
        json_array_append_new(done,
                              json_pack("{s:s, s:s, s:I, s:I}", "source", source->name,
                                        "path", path, "rows", (json_int_t)bad.n_good,
                                        "bad_rows", (json_int_t)bad.n_bad));
    else if (st == ST_OK)
        printf("%s: %" PRIu64 " rows, %" PRIu64 " bad: %s\n", source->name, bad.n_good,
               bad.n_bad, path);
    mem_free(path);
    schema_destroy(schema);
    return st;
}

static enum status run_prepare(const struct data_args *a, const struct settings *s,
                               struct error *err)
{
    static const char *const names[] = {"train", "eval", "valid"};
    json_t *done = json_array();
    enum status st = ST_OK;
    for (size_t i = 0; i < 3 && st == ST_OK; i++) {
        struct named_source source;
        if (a->source && strcmp(a->source, names[i]) != 0) continue;
        if (find_source(s, names[i], &source, a->source ? err : NULL) != ST_OK) {
            st = a->source ? ST_USAGE : ST_OK;
            continue;
        }
        bool part = source.use == USE_VALID && source.cfg == &s->data.train;
        if (!part || a->source) st = prepare_one(a, s, &source, done, err);
    }
    if (st == ST_OK && a->common.json)
        print_json(json_pack("{s:o}", "prepared", done));
    else
        json_decref(done);
    return st;
}

/* ---- head ---- */

static json_t *text_json(struct text t)
{
    json_t *v = json_stringn(t.s, t.n);
    if (v) return v;
    /* Not UTF-8: byte by byte, as Latin-1 would show it. */
    char *wide = mem_alloc(2 * t.n + 1);
    size_t n = 0;
    for (size_t i = 0; wide && i < t.n; i++) {
        unsigned char c = (unsigned char)t.s[i];
        if (c >= 0x80) wide[n++] = (char)(0xc0 | c >> 6);
        wide[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    v = wide ? json_stringn(wide, n) : NULL;
    mem_free(wide);
    return v ? v : json_null();
}

static json_t *float_json(float v)
{
    return isnan(v) ? json_null() : json_real((double)v);
}

/* A number, an array of numbers or texts, a text; null when missing. */
static enum status feature_json(const struct schema *s, size_t f,
                                const struct raw_field *fields, struct feature_scratch *x,
                                float *numbers, json_t **out, struct error *err)
{
    const struct feature_plan *p = &s->plan->features[f];
    if (p->store == STORE_NUMBER) {
        TRY(feature_numbers(s, f, fields, x, numbers, err));
        *out = p->width > 1 ? json_array() : float_json(numbers[0]);
        for (size_t i = 0; p->width > 1 && i < p->width; i++)
            json_array_append_new(*out, float_json(numbers[i]));
        return ST_OK;
    }
    char buf[FEATURE_TEXT];
    const struct text *texts;
    size_t n;
    TRY(feature_texts(s, f, fields, x, buf, &texts, &n, err));
    bool list = p->store == STORE_MULTI || p->from == FROM_CROSS;
    if (!list) {
        *out = n ? text_json(texts[0]) : json_null();
        return ST_OK;
    }
    *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(*out, text_json(texts[i]));
    return ST_OK;
}

static enum status labels_json(const struct schema *s, const struct raw_field *fields,
                               struct feature_scratch *x, json_t *tasks,
                               struct error *err)
{
    for (size_t k = 0; k < s->settings->n_tasks; k++) {
        float label, weight;
        TRY(feature_label(s, k, fields, x, &label, &weight, err));
        json_object_set_new(tasks, s->settings->tasks[k].name, float_json(label));
    }
    return ST_OK;
}

static enum status row_json(const struct schema *s, const struct raw_row *row,
                            struct feature_scratch *x, float *numbers, json_t *doc,
                            struct error *err)
{
    json_t *tasks = json_object(), *features = json_object();
    json_object_set_new(doc, "file", json_string(row->file));
    json_object_set_new(doc, "line", integer(row->line));
    json_object_set_new(doc, "tasks", tasks);
    json_object_set_new(doc, "features", features);
    for (size_t f = 0; f < s->n_features; f++) {
        json_t *v = NULL;
        TRY(feature_json(s, f, row->fields, x, numbers, &v, err));
        json_object_set_new(features, s->features[f].name, v);
    }
    return labels_json(s, row->fields, x, tasks, err);
}

static void print_members(const json_t *members)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)members, name, v)
    {
        char *text =
            json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(7));
        printf("  %s = %s\n", name, text ? text : "?");
        free(text); /* comes from jansson, not from mem.h */
    }
}

static void print_row(const json_t *doc)
{
    printf("%s:%" JSON_INTEGER_FORMAT "\n",
           json_string_value(json_object_get(doc, "file")),
           json_integer_value(json_object_get(doc, "line")));
    print_members(json_object_get(doc, "tasks"));
    print_members(json_object_get(doc, "features"));
}

/* Raw rows as they are, whatever `where` says. */
static enum status show_rows(const struct data_args *a, const struct schema *s,
                             struct raw *raw, struct feature_scratch *x, float *numbers,
                             json_t *rows, struct error *err)
{
    const struct raw_row *row;
    for (uint64_t n = 0; n < a->rows;) {
        TRY(raw_next(raw, &row, err));
        if (!row) break;
        json_t *doc = json_object();
        struct error why;
        enum status st = row_json(s, row, x, numbers, doc, &why);
        if (st == ST_DATA) {
            raw_reject(raw, x->bad_column, why.text);
            json_decref(doc);
            continue;
        }
        if (st == ST_OK && a->common.json)
            json_array_append(rows, doc);
        else if (st == ST_OK)
            print_row(doc);
        json_decref(doc);
        if (st != ST_OK) {
            *err = why;
            return st;
        }
        n++;
    }
    return ST_OK;
}

static enum status open_rows(const struct schema *s, const struct named_source *source,
                             struct bad_rows *bad, struct raw **out, struct error *err)
{
    const struct schema_plan *p = s->plan;
    const char **columns = mem_array(p->n_columns, sizeof *columns);
    const struct list_cfg **missing = mem_array(p->n_columns, sizeof *missing);
    enum status st = columns && missing ? ST_OK : mem_error(err, "columns", p->n_columns);
    for (size_t i = 0; st == ST_OK && i < p->n_columns; i++) {
        columns[i] = p->columns[i].name;
        missing[i] = p->columns[i].missing;
    }
    bad_rows_init(bad, &s->settings->data);
    if (st == ST_OK)
        st = raw_open(&s->settings->data, source->cfg, columns, missing, p->n_columns,
                      bad, out, err);
    mem_free(columns);
    mem_free(missing);
    return st;
}

static enum status head_of(const struct data_args *a, const struct schema *schema,
                           const struct named_source *source, struct error *err)
{
    struct raw *raw = NULL;
    struct feature_scratch *x = NULL;
    struct bad_rows bad;
    float *numbers = mem_array(schema->plan->n_number + 1, sizeof *numbers);
    json_t *rows = json_array();
    enum status st = numbers ? ST_OK : mem_error(err, "row", schema->plan->n_number);
    if (st == ST_OK) st = open_rows(schema, source, &bad, &raw, err);
    if (st == ST_OK) st = feature_scratch_create(schema, &x, err);
    if (st == ST_OK) st = show_rows(a, schema, raw, x, numbers, rows, err);
    if (st == ST_OK) warn_bad_rows(&bad);
    if (st == ST_OK && a->common.json) print_json(json_pack("{s:O}", "rows", rows));
    json_decref(rows);
    feature_scratch_destroy(x);
    raw_close(raw);
    mem_free(numbers);
    return st;
}

static enum status run_head(const struct data_args *a, const struct settings *s,
                            struct error *err)
{
    struct named_source source;
    struct schema *schema;
    TRY(find_source(s, a->source ? a->source : "train", &source, err));
    TRY(open_schema(s, &source, &schema, err));
    enum status st = head_of(a, schema, &source, err);
    schema_destroy(schema);
    return st;
}

/* ---- stats ---- */

static const char *kind_name(const struct schema *s, size_t f)
{
    static const char *const names[] = {"id", "dense", "one_hot"};
    return names[s->features[f].kind];
}

static double share(double part, double all)
{
    return all > 0 ? part / all : 0;
}

static json_t *feature_stats_json(const struct schema *s, size_t f,
                                  const struct dataset_stats *d)
{
    const struct feature_stats *t = &d->features[f];
    json_t *doc = json_object();
    json_object_set_new(doc, "kind", json_string(kind_name(s, f)));
    json_object_set_new(doc, "fill",
                        json_real(share((double)t->filled, (double)d->rows)));
    json_object_set_new(doc, "values", integer(t->values));
    if (s->plan->features[f].store == STORE_NUMBER) {
        json_object_set_new(doc, "low", json_real(t->low));
        json_object_set_new(doc, "high", json_real(t->high_value));
        json_object_set_new(doc, "mean", json_real(t->mean));
    } else {
        json_object_set_new(doc, "distinct", integer(t->distinct));
    }
    if (s->features[f].kind != FEATURE_ID) return doc;
    json_object_set_new(doc, "table", json_string(s->table_names[s->features[f].table]));
    if (s->features[f].cfg->key == KEY_UINT64)
        json_object_set_new(doc, "high_keys", integer(t->high));
    return doc;
}

static bool is_later_step(const struct settings *s, size_t task)
{
    size_t step = funnel_step(s, task);
    return step != SIZE_MAX && step > 0;
}

static json_t *task_stats_json(const struct settings *s, size_t task,
                               const struct task_stats *t)
{
    json_t *o = json_pack("{s:I, s:f, s:f, s:f, s:f}", "rows", (json_int_t)t->present,
                          "sum", t->sum, "rate", share(t->sum, t->weight), "low", t->low,
                          "high", t->high);
    if (o && is_later_step(s, task))
        json_object_set_new(o, "violations",
                            json_integer((json_int_t)t->funnel.violations));
    return o;
}

static json_t *totals_json(const struct dataset_stats *d)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "feature_slots", (json_int_t)d->slots,
                     "values", (json_int_t)d->values, "distinct_keys",
                     (json_int_t)d->distinct, "high_keys", (json_int_t)d->high);
}

static void stats_json(const struct schema *s, const struct dataset_stats *d,
                       const struct bad_rows *bad)
{
    json_t *tasks = json_object(), *features = json_object();
    for (size_t k = 0; k < s->settings->n_tasks; k++)
        json_object_set_new(tasks, s->settings->tasks[k].name,
                            task_stats_json(s->settings, k, &d->tasks[k]));
    for (size_t f = 0; f < s->n_features; f++)
        json_object_set_new(features, s->features[f].name, feature_stats_json(s, f, d));
    print_json(json_pack(
        "{s:I, s:I, s:I, s:o, s:o, s:o, s:{s:I, s:I}}", "rows", (json_int_t)d->rows,
        "rows_in_files", (json_int_t)d->rows_all, "bad_rows", (json_int_t)bad->n_bad,
        "tasks", tasks, "features", features, "totals", totals_json(d), "ignored",
        "names", (json_int_t)d->ignored_names, "values", (json_int_t)d->ignored_values));
}

static void print_feature(const struct schema *s, size_t f, const struct dataset_stats *d)
{
    const struct feature_stats *t = &d->features[f];
    printf("%-28s %-8s %7.2f%% %12" PRIu64, s->features[f].name, kind_name(s, f),
           100 * share((double)t->filled, (double)d->rows), t->values);
    if (s->plan->features[f].store == STORE_NUMBER)
        printf("  %g .. %g, mean %g\n", t->low, t->high_value, t->mean);
    else
        printf(" %10" PRIu64 " distinct\n", t->distinct);
}

static void stats_text(const struct schema *s, const struct dataset_stats *d,
                       const struct bad_rows *bad)
{
    printf("%" PRIu64 " rows selected of %" PRIu64 ", %" PRIu64 " bad rows left out\n",
           d->rows, d->rows_all, bad->n_bad);
    for (size_t k = 0; k < s->settings->n_tasks; k++) {
        const struct task_stats *t = &d->tasks[k];
        printf("task %s: label on %" PRIu64 " rows, sum %g, rate %.6g\n",
               s->settings->tasks[k].name, t->present, t->sum, share(t->sum, t->weight));
        if (is_later_step(s->settings, k))
            printf("task %s: without the step before on %" PRIu64 " rows, which count as 0\n",
                   s->settings->tasks[k].name, t->funnel.violations);
    }
    printf("%-28s %-8s %8s %12s\n", "feature", "kind", "filled", "values");
    for (size_t f = 0; f < s->n_features; f++) print_feature(s, f, d);
    printf("%" PRIu64 " feature slots, %" PRIu64 " values of ids, %" PRIu64
           " distinct keys, %" PRIu64 " values of 2^63 and more\n",
           d->slots, d->values, d->distinct, d->high);
    if (d->ignored_names)
        printf("%" PRIu64 " names that no feature reads, with %" PRIu64 " values\n",
               d->ignored_names, d->ignored_values);
}

static enum status stats_of(const struct data_args *a, const struct schema *schema,
                            const struct named_source *source, struct error *err)
{
    struct bad_rows bad;
    struct dataset *d = NULL;
    struct dataset_stats stats;
    char *path = NULL;
    TRY(prepare_source(a, schema, source, &path, &bad, err));
    enum status st = dataset_open(path, schema, source->cfg, source->use, &d, err);
    mem_free(path);
    if (st == ST_OK) st = dataset_stats(d, &stats, err);
    if (st == ST_OK) {
        if (a->common.json)
            stats_json(schema, &stats, &bad);
        else
            stats_text(schema, &stats, &bad);
        dataset_stats_close(&stats);
    }
    dataset_close(d);
    return st;
}

static enum status run_stats(const struct data_args *a, const struct settings *s,
                             struct error *err)
{
    struct named_source source;
    struct schema *schema;
    TRY(find_source(s, a->source ? a->source : "train", &source, err));
    TRY(open_schema(s, &source, &schema, err));
    enum status st = stats_of(a, schema, &source, err);
    schema_destroy(schema);
    return st;
}

/* ---- the command ---- */

static enum status run(const struct data_args *a, const struct settings *s,
                       struct error *err)
{
    if (!strcmp(a->verb, "prepare")) return run_prepare(a, s, err);
    if (!strcmp(a->verb, "head")) return run_head(a, s, err);
    return run_stats(a, s, err);
}

static enum status check_verb(const struct data_args *a, struct error *err)
{
    static const char *const verbs[] = {"prepare", "head", "stats", "synth"};
    if (!a->verb) {
        error_set(err, ST_USAGE, "mtps data: prepare, head, stats or synth?");
        return error_hint(err, ST_USAGE, "see 'mtps data --help'");
    }
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(a->verb, verbs[i])) return ST_OK;
    error_set(err, ST_USAGE, "mtps data: there is no '%s'", a->verb);
    const char *nearest = nearest_word(a->verb, verbs, 4);
    if (nearest)
        return error_hint(err, ST_USAGE, "did you mean 'mtps data %s'?", nearest);
    return error_hint(err, ST_USAGE, "see 'mtps data --help'");
}

/* argv[1] is "synth": a verb with a command line of its own. */
static int run_synth(int argc, char **argv)
{
    char title[] = "mtps data synth";
    argv[1] = title;
    return cmd_data_synth(argc - 1, argv + 1);
}

int cmd_data(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "synth")) return run_synth(argc, argv);
    struct data_args a = {.rows = HEAD_ROWS};
    struct settings *settings = NULL;
    struct error err = {0};
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK) st = check_verb(&a, &err);
    if (st == ST_OK) st = cli_settings(&a.common, &settings, &err);
    if (st == ST_OK) log_setup("", 0, (enum log_level)settings->log.level);
    if (st == ST_OK) st = run(&a, settings, &err);
    int code = cli_finish(st, &err);
    settings_destroy(settings);
    mem_free(a.common.sets);
    return code;
}
