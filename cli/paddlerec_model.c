/* hyper_parameters and runner as model, optimisers and training. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli/paddlerec.h"
#include "common/base/mem.h"
#include "common/config/value.h"

#define HYPER "hyper_parameters."

static enum status no_memory(struct error *err)
{
    return mem_error(err, "draft", 0);
}

/* ---- sizes ---- */

/* "512, 256" of a list of whole numbers, or of one; NULL when it is not given. */
static enum status layers(struct paddlerec *p, struct guess *g, const char *path,
                          const char **out, struct error *err)
{
    const struct node *v = paddlerec_value(p, path);
    if (!v) return ST_OK;
    size_t n = v->kind == NODE_LIST ? v->n : 1;
    const char *text = "";
    for (size_t i = 0; i < n; i++) {
        const struct node *one = v->kind == NODE_LIST ? v->items[i] : v;
        uint64_t size;
        if (one->kind != NODE_SCALAR || !value_count(one->text, &size) || size < 1 ||
            size > 65536)
            return error_set(err, ST_USAGE, "%s:%u:%u: %s: widths of layers are expected",
                             p->file, one->at.line, one->at.column, path);
        text = arena_printf(g->arena, "%s%s%s", text, i ? ", " : "", one->text);
        if (!text) return no_memory(err);
    }
    *out = text;
    return ST_OK;
}

static enum status dnn_layers(struct paddlerec *p, struct guess *g, struct error *err)
{
    static const char *const keys[] = {HYPER "fc_sizes", HYPER "layer_sizes",
                                       HYPER "dims", HYPER "ctr_fc_sizes",
                                       HYPER "cvr_fc_sizes"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *one = NULL;
        TRY(layers(p, g, keys[i], &one, err));
        if (one && !found) found = one;
    }
    if (found) g->plan.bottom = found;
    g->plan.type = "dnn";
    g->plan.expert = g->plan.tower = g->plan.gates = NULL;
    return ST_OK;
}

/* Counts are taken to be whole numbers that the option table allows; the draft is
 * loaded before it is printed. */
static enum status mixture(struct paddlerec *p, struct guess *g, struct error *err)
{
    struct guess_plan *plan = &g->plan;
    bool ple = paddlerec_has(p, HYPER "exp_per_task");
    plan->type = ple ? "ple" : "mmoe";
    plan->bottom = NULL;
    plan->gates = "";
    plan->experts = ple ? 0 : paddlerec_count(p, HYPER "expert_num");
    plan->own = ple ? paddlerec_count(p, HYPER "exp_per_task") : 0;
    plan->shared = ple ? paddlerec_count(p, HYPER "shared_num") : 0;
    plan->levels = ple ? paddlerec_count(p, HYPER "level_number") : 0;
    plan->expert = "64";
    plan->tower = "32";
    TRY(layers(p, g, HYPER "expert_size", &plan->expert, err));
    return layers(p, g, HYPER "tower_size", &plan->tower, err);
}

static enum status shared_bottom(struct paddlerec *p, struct guess *g, struct error *err)
{
    g->plan.type = "share_bottom";
    g->plan.expert = g->plan.gates = NULL;
    g->plan.tower = "32";
    TRY(layers(p, g, HYPER "bottom_size", &g->plan.bottom, err));
    return layers(p, g, HYPER "tower_size", &g->plan.tower, err);
}

/* ---- optimisers ---- */

static const char *kind_of(const char *name)
{
    if (!strcasecmp(name, "sgd") || !strcasecmp(name, "naive")) return "sgd";
    if (!strcasecmp(name, "adagrad") || !strcasecmp(name, "stdadagrad")) return "adagrad";
    return "adam";
}

/* A number as it was written, when it is one; else the default. */
static const char *number(struct paddlerec *p, const char *path, const char *fallback)
{
    const char *text = paddlerec_text(p, path);
    double x;
    return text && value_real(text, &x) && x >= 0 ? text : fallback;
}

static const char *rule(struct guess *g, const char *kind, const char *lr)
{
    return arena_printf(g->arena, "%s: {lr: %s}", kind, lr);
}

/* The one rule of hyper_parameters is for everything, as in single-machine PaddleRec. */
static enum status optimizers(struct paddlerec *p, struct guess *g, struct error *err)
{
    const char *class = paddlerec_text(p, HYPER "optimizer.class");
    if (!class) class = paddlerec_text(p, HYPER "optimizer");
    const char *lr = number(p, HYPER "optimizer.learning_rate", NULL);
    if (!lr) lr = number(p, HYPER "learning_rate", "0.001");
    const char *kind = class ? kind_of(class) : "adam";
    g->plan.optimizer = g->plan.table_optimizer = rule(g, kind, lr);
    return g->plan.optimizer ? ST_OK : no_memory(err);
}

/* table_parameters.NAME.accessor, of the first table. */
static enum status table_rule(struct paddlerec *p, struct guess *g, struct error *err)
{
    char base[256] = "", path[512];
    for (size_t i = 0; i < p->n && !*base; i++) {
        const char *at = strstr(p->keys[i].path, ".accessor.embedx_sgd_param.name");
        if (at && !strncmp(p->keys[i].path, "table_parameters.", 17))
            snprintf(base, sizeof base, "%.*s.accessor", (int)(at - p->keys[i].path),
                     p->keys[i].path);
    }
    if (!*base) return ST_OK;
    snprintf(path, sizeof path, "%s.embedx_sgd_param.name", base);
    const char *name = paddlerec_text(p, path);
    const char *kind = kind_of(strstr(name ? name : "", "AdaGrad") ? "adagrad"
                               : strstr(name ? name : "", "Naive") ? "sgd"
                                                                   : "adam");
    const char *part = !strcmp(kind, "sgd") ? "naive" : kind;
    snprintf(path, sizeof path, "%s.embedx_sgd_param.%s.learning_rate", base, part);
    const char *lr = number(p, path, "0.05");
    snprintf(path, sizeof path, "%s.embedx_sgd_param.%s.initial_g2sum", base, part);
    const char *start = !strcmp(kind, "adagrad") ? number(p, path, NULL) : NULL;
    g->plan.table_optimizer =
        start ? arena_printf(g->arena, "adagrad: {lr: %s, initial_accumulator: %s}", lr,
                             start)
              : rule(g, kind, lr);
    snprintf(path, sizeof path, "%s.embedx_dim", base);
    size_t dim = paddlerec_count(p, path);
    if (dim) g->plan.dim = dim;
    return g->plan.table_optimizer ? ST_OK : no_memory(err);
}

/* ---- training ---- */

/* The largest power of two up to 4 that divides the batch: one lane needs a row. */
static size_t lanes_of(size_t batch)
{
    return batch % 4 == 0 ? 4 : batch % 2 == 0 ? 2 : 1;
}

static enum status training(struct paddlerec *p, struct guess *g, struct error *err)
{
    struct guess_plan *plan = &g->plan;
    size_t batch = paddlerec_count(p, "runner.train_batch_size");
    if (!batch) batch = paddlerec_count(p, "runner.batch_size");
    if (batch) plan->batch_size = batch;
    plan->lanes = lanes_of(plan->batch_size);
    const char *epochs = number(p, "runner.epochs", NULL);
    if (epochs) plan->epochs = epochs;
    plan->early_stop = false;
    size_t steps = paddlerec_count(p, "runner.print_interval");
    if (steps) plan->log_every = arena_printf(g->arena, "%zu steps", steps);
    if (steps && !plan->log_every) return no_memory(err);
    if (paddlerec_count(p, "runner.seed")) plan->seed = paddlerec_text(p, "runner.seed");
    const char *run = paddlerec_text(p, "runner.model_save_path");
    if (run && *run) plan->run_dir = run;
    const char *sync = paddlerec_text(p, "runner.sync_mode");
    for (size_t i = 0; i < p->n && sync; i++) /* the others are named as not taken over */
        if (!strcmp(p->keys[i].path, "runner.sync_mode"))
            p->keys[i].used = !strcmp(sync, "sync");
    return ST_OK;
}

/* Texts that came from p outlive it. */
static enum status keep_texts(struct guess *g, struct error *err)
{
    const char **texts[] = {&g->plan.epochs, &g->plan.seed, &g->plan.run_dir};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!*texts[i]) continue;
        *texts[i] = arena_strdup(g->arena, *texts[i]);
        if (!*texts[i]) return no_memory(err);
    }
    return ST_OK;
}

enum status paddlerec_model(struct paddlerec *p, struct guess *g, struct error *err)
{
    static const char *const dims[] = {HYPER "sparse_feature_dim", HYPER "emb_dim",
                                       HYPER "embedding_size", HYPER "embed_size"};
    TRY(optimizers(p, g, err));
    TRY(table_rule(p, g, err));
    for (size_t i = 0; i < 4; i++) {
        size_t dim = paddlerec_count(p, dims[i]);
        if (dim) g->plan.dim = dim;
    }
    if (paddlerec_has(p, HYPER "expert_size"))
        TRY(mixture(p, g, err));
    else if (paddlerec_has(p, HYPER "bottom_size"))
        TRY(shared_bottom(p, g, err));
    else
        TRY(dnn_layers(p, g, err));
    TRY(training(p, g, err));
    /* They say how many labels there are. */
    paddlerec_count(p, HYPER "task_num");
    paddlerec_count(p, HYPER "gate_num");
    return keep_texts(g, err);
}
