#include "worker/session.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "model/assemble.h"
#include "model/layer1.h"
#include "worker/hot_statistics.h"
#include "worker/rates.h"
#include "worker/signals.h"

/* ---- data ---- */

static void on_prepare(void *arg, uint64_t done, uint64_t total, uint64_t rows, const char *phase)
{
    struct session *s = arg;
    if (s->spec.net) transport_progress(s->spec.net, done);
    if (total)
        log_line(LOG_INFO, "prepare", "%s  %.0f%%  %llu rows", phase,
                 100.0 * (double)done / (double)total, (unsigned long long)rows);
}

static bool on_stop(void *arg)
{
    (void)arg;
    return signals_stopping();
}

static void warn_bad_rows(const struct bad_rows *b)
{
    if (!b->n_bad) return;
    log_line(LOG_WARN, "data", "%llu bad rows left out of %llu", (unsigned long long)b->n_bad,
             (unsigned long long)(b->n_bad + b->n_good));
    for (size_t i = 0; i < b->n_shown; i++) log_line(LOG_WARN, "data", "%s", b->shown[i]);
}

static enum status open_source(struct session *s, const struct source_cfg *source, enum use use,
                               struct dataset **out, struct error *err)
{
    struct prepare_options opt = {.labels_optional = use == USE_INPUT,
                                  .keep = s->spec.keep,
                                  .keep_option = s->spec.keep_option,
                                  .n_keep = use == USE_EVAL || use == USE_INPUT ? s->spec.n_keep : 0,
                                  .progress = on_prepare,
                                  .stop = on_stop,
                                  .arg = s};
    char *path = NULL;
    struct bad_rows bad;
    if (signals_stopping())
        return error_set(err, ST_STOPPED, "stopped before the first step");
    bad_rows_init(&bad, &s->spec.settings->data);
    TRY(prepare(s->schema, source, &opt, &path, &bad, err));
    if (!s->spec.net || transport_rank(s->spec.net) == 0) warn_bad_rows(&bad);
    s->bad = bad;
    enum status st = dataset_open(path, s->schema, source, use, out, err);
    mem_free(path);
    return st;
}

/* The source whose header line names the columns. */
static const struct source_cfg *header_source(const struct session_spec *spec)
{
    const struct data_cfg *data = &spec->settings->data;
    if (spec->uses & SESSION_INPUT) return spec->input;
    if (spec->uses & SESSION_TRAIN) return &data->train;
    return &data->eval;
}

static enum status build_schema(struct session *s, struct error *err)
{
    const struct settings *settings = s->spec.settings;
    const struct source_cfg *source = header_source(&s->spec);
    if (!source->files.n)
        return error_set(err, ST_USAGE, "%s is not given: name its files in the configuration",
                         s->spec.uses & SESSION_TRAIN ? "data.train" : "data.eval");
    struct raw_columns columns;
    TRY(raw_columns_read(&settings->data, source, &columns, err));
    enum status st = schema_build(settings, &columns, (s->spec.uses & SESSION_INPUT) != 0,
                                  &s->schema, err);
    raw_columns_close(&columns);
    return st;
}

/* Keys of the prepared files: they cover the schema and the contents of the raw ones. */
static enum status make_digest(struct session *s, struct error *err)
{
    const struct valid_cfg *valid = &s->spec.settings->data.valid;
    bool own = s->valid && valid->source.files.n > 0;
    char text[256];
    snprintf(text, sizeof text, "%s%s%s", dataset_digest(s->train), own ? "+" : "",
             own ? dataset_digest(s->valid) : "");
    s->data_digest = mem_strdup(text);
    return s->data_digest ? ST_OK : mem_error(err, "data digest", sizeof text);
}

/* Metrics of nothing would look like a success. */
static enum status some_rows(const struct dataset *d, const char *name, const char *what,
                             struct error *err)
{
    if (!d || dataset_rows(d)) return ST_OK;
    return error_set(err, ST_DATA, "data.%s: no row is left to %s (%llu rows in the files)",
                     name, what, (unsigned long long)dataset_rows_all(d));
}

static enum status open_data(struct session *s, struct error *err)
{
    const struct data_cfg *data = &s->spec.settings->data;
    unsigned uses = s->spec.uses;
    TRY(build_schema(s, err));
    if (uses & SESSION_EVAL && data->eval.files.n)
        TRY(open_source(s, &data->eval, USE_EVAL, &s->eval, err));
    TRY(some_rows(s->eval, "eval", "measure on", err));
    if (uses & SESSION_INPUT) TRY(open_source(s, s->spec.input, USE_INPUT, &s->eval, err));
    if (uses & SESSION_VALID && data->valid.given) {
        bool own = data->valid.source.files.n > 0;
        TRY(open_source(s, own ? &data->valid.source : &data->train, USE_VALID, &s->valid, err));
        TRY(some_rows(s->valid, "valid", "measure on", err));
    }
    if (uses & SESSION_TRAIN) {
        TRY(open_source(s, &data->train, USE_TRAIN, &s->train, err));
        TRY(some_rows(s->train, "train", "train on", err));
        TRY(make_digest(s, err));
    }
    return ST_OK;
}

enum status session_open(const struct session_spec *spec, struct session **out, struct error *err)
{
    struct session *s = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "session", sizeof *s);
    s->spec = *spec;
    enum status st = open_data(s, err);
    if (st != ST_OK) {
        session_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void session_close(struct session *s)
{
    if (!s) return;
    model_destroy(s->model);
    rates_destroy(s->rates);
    fit_destroy(s->fit);
    dataset_close(s->train);
    dataset_close(s->valid);
    dataset_close(s->eval);
    schema_destroy(s->schema);
    mem_free(s->project);
    model_tables_destroy(s->tables);
    mem_free(s->data_digest);
    mem_free(s);
}

/* ---- model ---- */

size_t session_lane_rows(const struct settings *s)
{
    return s->train.batch_size / s->train.lanes;
}

static enum status make_model(struct session *s, struct model **out, struct error *err)
{
    struct assembly a = {.settings = s->spec.settings,
                         .schema = s->schema,
                         .fit = s->fit,
                         .tables = s->tables,
                         .project = s->project};
    return assemble_model(&a, out, err);
}

/* The form of each feature follows from how often its ids repeat in a lane and
 * from the width of layer 1, which a first model (any form) tells. Without a layer 1
 * nothing is projected. */
static enum status choose_forms(struct session *s, struct error *err)
{
    enum layer1_form form = s->spec.settings->train.form;
    struct model *probe;
    TRY(make_model(s, &probe, err));
    size_t width = model_layer1_width(probe);
    model_destroy(probe);
    for (size_t i = 0; i < s->schema->n_features && width > 0; i++) {
        const struct schema_feature *f = &s->schema->features[i];
        if (f->kind != FEATURE_ID || !s->tables->deep[i] || form == FORM_GATHER) continue;
        size_t dim = s->tables->dim[s->tables->deep_table[f->table]];
        s->project[i] = form == FORM_PROJECT ||
                        layer1_prefers_project(fit_distinct_share(s->fit, f->place),
                                               fit_mean_per_row(s->fit, f->place),
                                               dim, width);
    }
    return ST_OK;
}

/* Which rows a step uses follows from the data: other data cannot go on from there. */
enum status session_same_data(const struct session *s, const struct ckpt *ckpt,
                              struct error *err)
{
    const struct ckpt_meta *meta = ckpt_meta(ckpt);
    if (!strcmp(s->data_digest, meta->data_digest)) return ST_OK;
    size_t train = strcspn(meta->data_digest, "+"), now = strcspn(s->data_digest, "+");
    bool same_train = train == now && !strncmp(s->data_digest, meta->data_digest, now);
    error_set(err, ST_MISMATCH,
              "%s: the files are not those of the checkpoint at step %llu (digest %s, then %s)",
              same_train ? "data.valid" : "data.train or data.joins",
              (unsigned long long)meta->step, s->data_digest, meta->data_digest);
    return error_hint(err, ST_MISMATCH,
                      "train elsewhere with --run-dir NEW, or put the old files back");
}

static enum status forms_from(struct session *s, struct ckpt *ckpt, struct error *err)
{
    const struct named_array *forms = ckpt_find_state(ckpt, "layer1_project");
    if (!forms || forms->type != DTYPE_U8 || forms->rows != s->schema->n_features)
        return error_set(err, ST_MISMATCH, "checkpoint: layer1_project: %zu features expected",
                         s->schema->n_features);
    memcpy(s->project, forms->data, forms->rows);
    return ST_OK;
}

static const struct named_array *find_state(void *ckpt, const char *name)
{
    return ckpt_find_state(ckpt, name);
}

static enum status fit_from(struct session *s, struct ckpt *ckpt, struct error *err)
{
    struct fit_source from = {find_state, ckpt};
    enum status st = fit_from_arrays(s->schema, &from, &s->fit, err);
    return st == ST_OK ? ST_OK : error_wrap(err, st, "checkpoint");
}

/* What the training rows say against the funnel; once, by the first rank. */
static void warn_funnel(const struct session *s)
{
    const struct settings *settings = s->spec.settings;
    const struct sizes_cfg *steps = &settings->model.steps;
    if (s->spec.net && transport_rank(s->spec.net) > 0) return;
    for (size_t i = 1; i < steps->n; i++) {
        const char *name = settings->tasks[steps->v[i]].name;
        const char *before = settings->tasks[steps->v[i - 1]].name;
        const struct funnel_rows *f = fit_funnel(s->fit, steps->v[i]);
        if (f->violations)
            log_line(LOG_WARN, "data",
                     "model.funnel: %llu training rows have %s without %s: they count as no %s",
                     (unsigned long long)f->violations, name, before, name);
        if (f->ended && f->unlabelled == f->ended)
            log_line(LOG_WARN, "data",
                     "model.funnel: no training row without %s has a label of %s, so they say "
                     "nothing about it; if it did not happen there, write label: "
                     "\"coalesce(COLUMN, 0)\"", before, name);
    }
}

enum status session_model(struct session *s, struct ckpt *ckpt, struct error *err)
{
    const struct schema *schema = s->schema;
    const struct settings *settings = s->spec.settings;
    s->project = mem_zeroed(schema->n_features, 1);
    if (!s->project) return mem_error(err, "model", schema->n_features);
    TRY(model_tables_make(settings, schema, &s->tables, err));
    if (ckpt) {
        TRY(ckpt_read_state(ckpt, err));
        TRY(fit_from(s, ckpt, err));
        TRY(forms_from(s, ckpt, err));
    } else {
        TRY(fit_compute(s->train, session_lane_rows(settings), &s->fit, err));
        warn_funnel(s);
        if (s->hot) TRY(hot_statistics_keep(settings, s->hot, s->fit, err));
        TRY(choose_forms(s, err));
    }
    return make_model(s, &s->model, err);
}

enum status session_count_params(const struct session *s, const struct settings *settings,
                                 size_t *params, struct error *err)
{
    struct session view = *s;
    struct model *model = NULL;
    view.spec.settings = settings;
    TRY(model_tables_make(settings, s->schema, &view.tables, err));
    enum status st = make_model(&view, &model, err);
    size_t n = 0;
    const struct model_tensor *tensors = st == ST_OK ? model_tensors(model, &n) : NULL;
    *params = 0;
    for (size_t i = 0; i < n; i++) *params += tensors[i].rows * tensors[i].cols;
    model_destroy(model);
    model_tables_destroy(view.tables);
    return st;
}

enum status session_rates(struct session *s, struct ckpt *ckpt, const struct hot_plan *plan,
                          struct error *err)
{
    size_t n;
    const struct model_tensor *tensors = model_tensors(s->model, &n);
    struct rates_model m = {.tables = s->tables->name,
                            .n_tables = s->tables->n,
                            .tensors = tensors,
                            .n_tensors = n,
                            .n_params = model_n_params(s->model),
                            .settings = s->spec.settings};
    return ckpt ? rates_read(ckpt, &m, &s->rates, err) : rates_make(plan, &m, &s->rates, err);
}

uint64_t session_total_steps(const struct session *s)
{
    const struct train_cfg *t = &s->spec.settings->train;
    uint64_t per_epoch = stream_steps_per_epoch(dataset_rows(s->train), t->batch_size, t->lanes);
    double by_epochs = t->epochs * (double)per_epoch;
    uint64_t steps = (uint64_t)by_epochs;
    if ((double)steps < by_epochs) steps++;
    return t->has_max_steps && t->max_steps < steps ? t->max_steps : steps;
}

/* ---- capacities ---- */

enum status session_caps_make(const struct session *s, const struct dataset *d, size_t rows,
                              struct session_caps *out, struct error *err)
{
    const struct schema *schema = s->schema;
    size_t n = schema->n_ids;
    size_t *distinct = mem_zeroed(n, sizeof *distinct), *occur = mem_zeroed(n, sizeof *occur);
    *out = (struct session_caps){.caps = {rows, distinct, occur},
                                 .max_keys = mem_zeroed(s->tables->n, sizeof(size_t))};
    if (!distinct || !occur || !out->max_keys) {
        session_caps_close(out);
        return mem_error(err, "capacities", n * sizeof *distinct);
    }
    dataset_caps(d, s->fit, rows, distinct, occur);
    for (size_t i = 0; i < schema->n_features; i++) {
        const struct schema_feature *f = &schema->features[i];
        for (size_t t = 0; f->kind == FEATURE_ID && t < s->tables->n; t++)
            if (s->tables->source[t] == f->table) out->max_keys[t] += distinct[f->place];
    }
    return ST_OK;
}

void session_caps_close(struct session_caps *c)
{
    mem_free((void *)c->caps.max_distinct);
    mem_free((void *)c->caps.max_occurrences);
    mem_free(c->max_keys);
}
