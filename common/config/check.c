#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/config/config.h"
#include "common/config/nearest.h"

enum { MAX_KNOWN = 256, MAX_AUTO_LANES = 64 };

/* ---- data ---- */

static enum status check_layout(const struct source_cfg *source, const char *name,
                                struct error *err)
{
    bool given = source->files.n > 0;
    if (!given || source->header || source->columns.n || source->format == SOURCE_SLOT)
        return ST_OK;
    config_fail(err, source->at, "%s: without a header line 'columns' must name the columns",
                name);
    return error_hint(err, ST_USAGE, "write columns: [...], or leave header: false away");
}

static enum status check_valid(struct settings *s, struct error *err)
{
    struct valid_cfg *v = &s->data.valid;
    if (!v->given) return ST_OK;
    bool files = v->source.files.n > 0;
    int ways = files ? 1 : (v->fraction > 0) + (v->where.text != NULL);
    if (ways != 1 || (files && v->fraction > 0)) {
        config_fail(err, v->source.at, "data.valid: expected one of 'fraction', 'where', 'files'");
        return error_hint(err, ST_USAGE, "for example valid: {fraction: 0.1, by: user_id}");
    }
    if (v->by.text && !(v->fraction > 0))
        return config_fail(err, v->by.at, "data.valid: 'by' belongs to 'fraction'");
    if (files) {
        v->source.where = v->where;
        v->where = (struct text_cfg){0};
    }
    return check_layout(&v->source, "data.valid", err);
}

static enum status check_data(struct settings *s, struct error *err)
{
    struct data_cfg *d = &s->data;
    TRY(check_layout(&d->train, "data.train", err));
    TRY(check_layout(&d->eval, "data.eval", err));
    for (size_t i = 0; i < d->n_joins; i++)
        TRY(check_layout(&d->joins[i].source, "data.joins", err));
    return check_valid(s, err);
}

/* ---- tables ---- */

static enum status check_name(const char *name, struct origin at, const char *what,
                              struct error *err)
{
    bool fits = *name && strlen(name) <= 255;
    for (const char *c = name; *c && fits; c++) fits = *c != '/' && (unsigned char)*c >= ' ';
    if (fits) return ST_OK;
    config_fail(err, at, "%s: '%.60s' cannot be a name", what, name);
    return error_hint(err, ST_USAGE, "a name has 1 to 255 bytes and no '/'");
}

static enum status check_divisor(const struct optimizer_cfg *o, struct origin at,
                                 const char *what, const char *name, struct error *err)
{
    bool adagrad = o->kind == OPT_ADAGRAD || o->kind == OPT_ROWWISE_ADAGRAD;
    if (!adagrad || o->eps > 0 || o->initial_accumulator > 0) return ST_OK;
    return config_fail(err, at,
                       "%s%s: initial_accumulator and eps are both 0, so an update without a "
                       "gradient would be 0/0", what, name);
}

static enum status check_tables(struct settings *s, struct error *err)
{
    for (size_t i = 0; i < s->n_tables; i++) {
        const struct table_cfg *t = &s->tables[i];
        TRY(check_name(t->name, t->at, "tables", err));
        TRY(check_divisor(&t->optimizer, t->at, "tables.", t->name, err));
    }
    bool is_default;
    struct origin at = config_origin(s, "model.wide.optimizer", &is_default);
    TRY(check_divisor(&s->model.wide_optimizer, at, "model.wide.optimizer", "", err));
    at = config_origin(s, "train.optimizer", &is_default);
    return check_divisor(&s->train.optimizer, at, "train.optimizer", "", err);
}

/* ---- model ---- */

static enum status missing_part(const struct settings *s, const char *key, const char *example,
                                struct error *err)
{
    bool is_default;
    struct origin at = config_origin(s, "model", &is_default);
    config_fail(err, at, "model type %s needs '%s'", model_type_name(s->model.type), key);
    return error_hint(err, ST_USAGE, "for example %s", example);
}

static enum status check_towers(const struct settings *s, struct error *err)
{
    bool all = true;
    for (size_t k = 0; k < s->n_tasks; k++) all = all && s->tasks[k].tower.given;
    if (all) return ST_OK;
    return missing_part(s, "model.towers.layers", "towers: {layers: [32]}", err);
}

static enum status check_own(const struct settings *s, struct error *err)
{
    for (size_t k = 0; k < s->n_tasks; k++)
        if (!s->tasks[k].has_own)
            return missing_part(s, "model.experts.own", "experts: {own: 2, shared: 2, layers: [64]}",
                                err);
    if (!s->model.has_expert_shared)
        return missing_part(s, "model.experts.shared", "experts: {own: 2, shared: 2, layers: [64]}",
                            err);
    for (size_t k = 0; k < s->n_tasks; k++) {
        if (s->tasks[k].own + s->model.expert_shared > 0) continue;
        config_fail(err, s->tasks[k].at, "tasks.%s: there is no expert for it: own and shared "
                    "are both 0", s->tasks[k].name);
        return error_hint(err, ST_USAGE, "set model.experts.shared, or own");
    }
    return ST_OK;
}

/* Why the tasks of such a model do not meet in one layer. */
static const char *apart(enum model_type type)
{
    switch (type) {
    case MODEL_TWO_TOWER:
        return "the tasks of this two_tower meet in two places, one on each side";
    case MODEL_ESMM:
    case MODEL_AITM:
        return "a step's loss comes there through the towers of several steps, too";
    default:
        return "there is none of them";
    }
}

/* pcgrad and mgda work where several tasks read one layer. */
static enum status check_balance(const struct settings *s, struct error *err)
{
    const struct model_cfg *m = &s->model;
    if (m->balance.kind != BALANCE_PCGRAD && m->balance.kind != BALANCE_MGDA) return ST_OK;
    bool meet = false;
    switch (m->type) {
    case MODEL_SHARE_BOTTOM:
        meet = m->bottom.layers.n > 0;
        break;
    case MODEL_CGC:
    case MODEL_PLE:
        meet = m->expert_shared > 0;
        break;
    case MODEL_OMOE:
    case MODEL_MMOE:
        meet = true;
        break;
    default:
        break;
    }
    if (meet || s->n_tasks == 1) return ST_OK;
    bool is_default;
    config_fail(err, config_origin(s, "model.balance", &is_default),
                "model.balance: %s compares the gradients that tasks send to a shared bottom, a "
                "shared mixture or shared experts; in this %s %s",
                m->balance.kind == BALANCE_MGDA ? "mgda" : "pcgrad",
                model_type_name(m->type), apart(m->type));
    return error_hint(err, ST_USAGE, "fixed, uncertainty and dwa fit every model; mmoe, for "
                                     "example, shares experts");
}

/* Experts that are their input are all equal, and so is every mixture of them. */
static enum status empty_expert(const struct settings *s, struct error *err)
{
    bool is_default;
    struct origin at = config_origin(s, "model.experts.layers", &is_default);
    config_fail(err, at, "model.experts.layers: an expert needs a layer, [] has none");
    return error_hint(err, ST_USAGE, "for example experts: {layers: [64]}; type share_bottom does without");
}

/* A rank alone looks like cross layers and makes none. */
static enum status warn_rank(struct settings *s, struct error *err)
{
    bool is_default;
    struct origin at = config_origin(s, "model.cross.rank", &is_default);
    if (s->model.type == MODEL_LR || s->model.cross_layers || !s->model.cross_rank)
        return ST_OK;
    return config_warn(s, err, at, "model.cross.rank does nothing without model.cross.layers");
}

static enum status check_model(struct settings *s, struct error *err)
{
    const struct model_cfg *m = &s->model;
    unsigned type = FOR(m->type);
    unsigned one_pool = FOR(MODEL_OMOE) | FOR(MODEL_MMOE);
    unsigned own = FOR(MODEL_CGC) | FOR(MODEL_PLE);
    unsigned funnels = FOR(MODEL_ESMM) | FOR(MODEL_AITM);
    unsigned bottom = FOR(MODEL_DNN) | FOR(MODEL_WIDE_DEEP) | FOR(MODEL_DEEPFM) |
                      FOR(MODEL_SHARE_BOTTOM);
    if ((type & bottom) && !m->bottom.given)
        return missing_part(s, "model.bottom.layers", "bottom: {layers: [128]}", err);
    if (m->type == MODEL_WIDE_DEEP && !m->wide_features.n)
        return missing_part(s, "model.wide.features", "wide: {features: [user_id, video_id]}",
                            err);
    if ((type & one_pool) && !m->expert_count)
        return missing_part(s, "model.experts.count", "experts: {count: 8, layers: [64]}", err);
    if (type & own) TRY(check_own(s, err));
    if ((type & (one_pool | own)) && !m->experts.given)
        return missing_part(s, "model.experts.layers", "experts: {layers: [64]}", err);
    if ((type & (one_pool | own)) && !m->experts.layers.n) return empty_expert(s, err);
    if (type & (one_pool | own | funnels | FOR(MODEL_SHARE_BOTTOM))) TRY(check_towers(s, err));
    TRY(check_balance(s, err));
    if (m->type == MODEL_TWO_TOWER) TRY(check_sides(s, err));
    return warn_rank(s, err);
}

/* ---- tasks ---- */

/* A key that a task sets itself and the type never reads was written for nothing. */
static enum status warn_unused(struct settings *s, const struct task_cfg *t, struct error *err)
{
    const struct option_group *group;
    char bad[64];
    const struct option *tasks = option_path("tasks", &group, bad, sizeof bad);
    const struct node *written = node_get(config_node(s, "tasks"), t->name);
    for (size_t i = 0; written && i < written->n; i++) {
        const struct option *o = option_find(tasks->group, written->keys[i]->text);
        if (!o || !o->models || (o->models & FOR(s->model.type))) continue;
        TRY(config_warn(s, err, written->keys[i]->at, "model type %s does not use tasks.%s.%s",
                        model_type_name(s->model.type), t->name, o->key));
    }
    return ST_OK;
}

static enum status check_duration(const struct task_cfg *t, struct error *err)
{
    if (t->loss == LOSS_COMPLETION && !t->duration.text) {
        config_fail(err, t->at, "tasks.%s: loss completion needs `duration`", t->name);
        return error_hint(err, ST_USAGE, "for example duration: duration_ms / 1000");
    }
    if (t->loss != LOSS_COMPLETION && t->duration.text) {
        config_fail(err, t->duration.at, "tasks.%s.duration: only loss completion reads it",
                    t->name);
        return error_hint(err, ST_USAGE, "take it out, or set loss: completion");
    }
    return ST_OK;
}

static enum status check_tasks(struct settings *s, struct error *err)
{
    for (size_t k = 0; k < s->n_tasks; k++) {
        const struct task_cfg *t = &s->tasks[k];
        TRY(check_name(t->name, t->at, "tasks", err));
        if (!strcmp(t->name, "shared") || !strcmp(t->name, "mean")) {
            config_fail(err, t->at, "tasks: '%s' has a meaning of its own", t->name);
            return error_hint(err, ST_USAGE, "choose another name for the task");
        }
        TRY(check_duration(t, err));
        TRY(warn_unused(s, t, err));
    }
    return ST_OK;
}

/* ---- training ---- */

static size_t auto_lanes(size_t batch_size)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t lanes = 4;
    while ((long)lanes < cores && lanes < MAX_AUTO_LANES) lanes *= 2;
    while (batch_size % lanes) lanes /= 2;
    return lanes;
}

/* `lanes: auto` becomes a number here, once: it is part of the model's identity. */
static enum status resolve_lanes(struct settings *s, struct error *err)
{
    if (s->train.lanes) return ST_OK;
    s->train.lanes = auto_lanes(s->train.batch_size);
    struct node *train = config_node(s, "train");
    size_t i = node_find(train, "lanes");
    char text[32];
    int n = snprintf(text, sizeof text, "%zu", s->train.lanes);
    train->items[i] = node_scalar(s->arena, text, (size_t)n, true, train->items[i]->at);
    return train->items[i] ? ST_OK : config_no_memory(err);
}

static enum status check_lanes(struct settings *s, struct error *err)
{
    TRY(resolve_lanes(s, err));
    size_t lanes = s->train.lanes, batch = s->train.batch_size;
    bool lanes_default, batch_default;
    struct origin lanes_at = config_origin(s, "train.lanes", &lanes_default);
    struct origin batch_at = config_origin(s, "train.batch_size", &batch_default);
    if (lanes & (lanes - 1)) {
        size_t below = 1;
        while (below * 2 < lanes) below *= 2;
        config_fail(err, lanes_at, "train.lanes: %zu is not a power of two", lanes);
        return error_hint(err, ST_USAGE, "write %zu or %zu", below, below * 2);
    }
    struct origin at = lanes_default ? batch_at : lanes_at;
    if (batch < lanes) {
        config_fail(err, at, "train.batch_size: %zu rows are fewer than %zu lanes", batch, lanes);
        return error_hint(err, ST_USAGE, "make the batch larger, or set train.lanes");
    }
    if (batch % lanes) {
        config_fail(err, at, "train.batch_size: %zu rows cannot be cut into %zu equal lanes",
                    batch, lanes);
        return error_hint(err, ST_USAGE, "the batch must be a multiple of the lanes: write %zu",
                          (batch / lanes + 1) * lanes);
    }
    return ST_OK;
}

static bool metric_fits(const char *metric, const struct task_cfg *t)
{
    bool regression = !strcmp(metric, "mae") || !strcmp(metric, "rmse") ||
                      !strcmp(metric, "xauc") || !strcmp(metric, "gxauc");
    return regression == (t->loss != LOSS_BCE);
}

static enum status unknown_task(const struct settings *s, struct error *err)
{
    const char *known[MAX_KNOWN + 1];
    size_t n = 0;
    for (; n < s->n_scores && n < MAX_KNOWN; n++) known[n] = s->scores[n].name;
    known[n++] = "mean";
    bool is_default;
    struct origin at = config_origin(s, "train.early_stop.task", &is_default);
    config_fail(err, at, "train.early_stop.task: there is no task '%s'",
                s->train.early_stop_task);
    const char *nearest = nearest_word(s->train.early_stop_task, known, n);
    if (nearest) return error_hint(err, ST_USAGE, "did you mean '%s'?", nearest);
    return error_hint(err, ST_USAGE, "write the name of a task, or mean");
}

static enum status check_metric(const struct settings *s, struct error *err)
{
    static const char *const metrics[] = {"auc",  "logloss", "gauc", "mae",
                                          "rmse", "xauc",    "gxauc"};
    enum { N_METRICS = sizeof metrics / sizeof *metrics };
    const char *metric = s->train.early_stop_metric, *task = s->train.early_stop_task;
    bool is_default;
    struct origin at = config_origin(s, "train.early_stop.metric", &is_default);
    size_t m = 0;
    while (m < N_METRICS && strcmp(metrics[m], metric) != 0) m++;
    if (m == N_METRICS) {
        config_fail(err, at, "train.early_stop.metric: '%s' is unknown: expected auc | logloss "
                    "| gauc | mae | rmse | xauc | gxauc", metric);
        const char *nearest = nearest_word(metric, metrics, N_METRICS);
        return nearest ? error_hint(err, ST_USAGE, "did you mean '%s'?", nearest) : ST_USAGE;
    }
    bool mean = !strcmp(task, "mean"), found = false;
    for (size_t i = 0; i < s->n_scores; i++) {
        const struct task_cfg *t = &s->tasks[s->scores[i].task];
        if (!mean && strcmp(task, s->scores[i].name) != 0) continue;
        found = true;
        if (metric_fits(metric, t)) continue;
        config_fail(err, at, "train.early_stop.metric: %s is no metric of the loss of task %s",
                    metric, t->name);
        return error_hint(err, ST_USAGE, "auc, logloss and gauc are for bce; mae, rmse, xauc and "
                                         "gxauc for the other losses%s",
                          mean ? "; name one task in train.early_stop.task" : "");
    }
    if (!found) return unknown_task(s, err);
    if ((!strcmp(metric, "gauc") || !strcmp(metric, "gxauc")) && !s->data.group.text)
        return config_fail(err, at, "train.early_stop.metric: %s needs data.group", metric);
    return ST_OK;
}

static enum status check_train(struct settings *s, struct error *err)
{
    TRY(check_lanes(s, err));
    bool is_default;
    bool every = config_given(s, "train.eval_every");
    if (!every && s->data.valid.given) s->train.eval_every.epochs = 1;
    if (every && !s->data.valid.given)
        TRY(config_warn(s, err, config_origin(s, "train.eval_every", &is_default),
                        "train.eval_every does nothing without data.valid"));
    if (!s->train.early_stop) return ST_OK;
    struct origin at = config_origin(s, "train.early_stop", &is_default);
    if (!s->data.valid.given) {
        config_fail(err, at, "train.early_stop needs data.valid");
        return error_hint(err, ST_USAGE, "for example data.valid: {fraction: 0.1}");
    }
    if (every && !s->train.eval_every.epochs && !s->train.eval_every.steps &&
        !s->train.eval_every.seconds)
        return config_fail(err, at, "train.early_stop needs train.eval_every");
    return check_metric(s, err);
}

enum status check_settings(struct settings *s, struct error *err)
{
    TRY(check_data(s, err));
    TRY(check_features(s, err));
    TRY(check_tables(s, err));
    TRY(check_tasks(s, err));
    TRY(check_model(s, err));
    TRY(check_wide(s, err));
    TRY(check_funnel(s, err));
    TRY(check_train(s, err));
    TRY(check_hot_start(s, err));
    return check_columns(s, err);
}
