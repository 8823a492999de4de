#include "cli/paddlerec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/config/yaml.h"

/* Why a key is not taken over. A path that ends with '*' stands for all that begin
 * like it; the first that fits counts. */
static const struct {
    const char *path, *why;
} reasons[] = {
    {"runner.use_gpu", "training is on CPUs"},
    {"runner.use_xpu", "training is on CPUs"},
    {"runner.use_npu", "training is on CPUs"},
    {"runner.use_auc", "AUC is always computed, anew in each evaluation"},
    {"runner.auc_num", "AUC is always computed, anew in each evaluation"},
    {"runner.use_visual", "metrics.jsonl in the run directory holds the curves"},
    {"runner.model_init_path", "a Paddle model cannot be loaded"},
    {"runner.init_model_path", "a Paddle model cannot be loaded"},
    {"runner.warmup_model_path", "a Paddle model cannot be loaded"},
    {"runner.use_out_vec", "a Paddle model cannot be loaded"},
    {"runner.emb_weight_name", "a Paddle model cannot be loaded"},
    {"runner.out_vec_path", "a Paddle model cannot be loaded"},
    {"runner.infer_batch_size", "scores do not depend on a batch size"},
    {"runner.infer_*", "mtps eval and mtps predict take a run directory"},
    {"runner.train_reader_path",
     "files are read as data says; expressions do what readers do"},
    {"runner.reader_type", "files are read as data says; expressions do what readers do"},
    {"runner.pipe_command",
     "files are read as data says; expressions do what readers do"},
    {"runner.user_define_reader", "files are read as data says"},
    {"runner.batch_generator", "files are read as data says"},
    {"runner.num_workers", "one thread reads ahead on every worker"},
    {"runner.*thread_num", "cluster.threads: cores are divided among workers"},
    {"runner.sync_mode", "training is synchronous"},
    {"runner.geo_step", "training is synchronous"},
    {"runner.use_fleet", "mpirun starts more ranks"},
    {"runner.use_gloo", "mpirun starts more ranks"},
    {"runner.split_file_list", "rows are divided among workers, not files"},
    {"runner.use_inference", "there is no exported program"},
    {"runner.save_inference*", "there is no exported program"},
    {"runner.split_interval", "there is no stream of passes"},
    {"runner.split_per_pass", "there is no stream of passes"},
    {"runner.start_day", "there is no stream of passes"},
    {"runner.end_day", "there is no stream of passes"},
    {"runner.checkpoint_per_pass", "there is no stream of passes: see checkpoint.every"},
    {"runner.save_*", "there is no stream of passes: see checkpoint.every"},
    {"runner.data_*", "there is no stream of passes"},
    {"runner.prefetch", "data are always read ahead"},
    {"runner.fs_*", "files are those of mounted file systems"},
    {"runner.*dump*", "mtps predict writes scores, mtps data head shows rows"},
    {"runner.CE", "a switch of Paddle's own tests"},
    {"hyper_parameters.optimizer.strategy", "training is synchronous"},
    {"hyper_parameters.optimizer.adam_lazy_mode",
     "rows of a table always move only in steps that hold them"},
    {"hyper_parameters.adam_d2sum", "the optimiser is the one that is named"},
    {"hyper_parameters.sparse_feature_number", "tables grow with the ids that are met"},
    {"hyper_parameters.dict_dim", "tables grow with the ids that are met"},
    {"hyper_parameters.feature_vocabulary", "tables grow with the ids that are met"},
    {"hyper_parameters.distributed_embedding", "tables are always divided among servers"},
    {"hyper_parameters.counterfact*", "there is no counterfactual loss"},
    {"hyper_parameters.global_w", "there is no counterfactual loss"},
    {"hyper_parameters.top_k", "gates mix all their experts"},
    {"table_parameters.*shard_num", "tables are divided among servers by themselves"},
    {"table_parameters.*ctr_accessor_param*",
     "rows do not come and go by shows and clicks"},
    {"table_parameters.*embedx_threshold", "rows do not come and go by shows and clicks"},
    {"table_parameters.*embed_sgd_param*",
     "a row learns as one: as embedx_sgd_param says"},
    {"dataset*", "written for PaddleRec before 2.0"},
    {"phase*", "written for PaddleRec before 2.0"},
    {"mode*", "written for PaddleRec before 2.0"},
};

/* One '*' anywhere in the pattern. */
static bool fits(const char *pattern, const char *path)
{
    const char *star = strchr(pattern, '*');
    if (!star) return !strcmp(pattern, path);
    size_t before = (size_t)(star - pattern), n = strlen(path);
    if (strncmp(pattern, path, before) != 0) return false;
    const char *rest = star + 1;
    size_t more = strcspn(rest, "*");
    for (size_t i = before; i + more <= n; i++)
        if (!strncmp(path + i, rest, more) && (rest[more] == '*' || i + more == n))
            return true;
    return false;
}

static const char *reason_of(const char *path)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (fits(reasons[i].path, path)) return reasons[i].why;
    return "no counterpart is known";
}

/* ---- keys ---- */

/* Depth is bounded by YAML_MAX_DEPTH. */
static enum status add_keys(struct paddlerec *p, const char *path,
                            const struct node *value, struct error *err)
{
    if (value->kind == NODE_MAP && value->n) {
        for (size_t i = 0; i < value->n; i++) {
            const char *key = arena_printf(p->arena, "%s%s%s", path, *path ? "." : "",
                                           value->keys[i]->text);
            if (!key) return mem_error(err, "keys", 0);
            TRY(add_keys(p, key, value->items[i], err));
        }
        return ST_OK;
    }
    if (p->n == PADDLEREC_KEYS)
        return error_set(err, ST_USAGE, "%s: more than %d keys", p->file, PADDLEREC_KEYS);
    p->keys[p->n++] = (struct paddlerec_key){path, value, node_is_null(value)};
    return ST_OK;
}

/* `runner` was called `dygraph` for a while. */
static bool is_path(const char *written, const char *path)
{
    if (!strcmp(written, path)) return true;
    return !strncmp(path, "runner.", 7) && !strncmp(written, "dygraph.", 8) &&
           !strcmp(written + 8, path + 7);
}

const struct node *paddlerec_value(struct paddlerec *p, const char *path)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!is_path(p->keys[i].path, path)) continue;
        p->keys[i].used = true;
        return node_is_null(p->keys[i].value) ? NULL : p->keys[i].value;
    }
    return NULL;
}

const char *paddlerec_text(struct paddlerec *p, const char *path)
{
    const struct node *value = paddlerec_value(p, path);
    return value && value->kind == NODE_SCALAR ? value->text : NULL;
}

size_t paddlerec_count(struct paddlerec *p, const char *path)
{
    const char *text = paddlerec_text(p, path);
    char *end;
    if (!text || *text == '-') return 0;
    unsigned long long n = strtoull(text, &end, 10);
    return *text && !*end && n <= 1000000 ? (size_t)n : 0;
}

bool paddlerec_has(const struct paddlerec *p, const char *path)
{
    for (size_t i = 0; i < p->n; i++)
        if (is_path(p->keys[i].path, path)) return true;
    return false;
}

/* ---- what is left ---- */

/* Models whose shape is taken over, but not what makes them themselves. */
static const struct {
    const char *folder, *what;
} models[] = {
    {"/esmm", "the joint loss of click and conversion: each task learns its own label"},
    {"/escm2", "the joint loss of click and conversion: each task learns its own label"},
    {"/aitm", "the transfer from click to purchase: each task has a network of its own"},
    {"/deepfm", "the factorisation machine beside the network"},
    {"/wide_deep", "the wide part beside the network"},
    {"/fm/", "the factorisation machine: a network stands in"},
    {"/dcn", "the cross layers beside the network"},
    {"/metaheac", "the mixture over tasks: a network stands in"},
};

static enum status list_model(const struct paddlerec *p, struct guess *g,
                              struct error *err)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        if (!strstr(p->file, models[i].folder)) continue;
        const char *line = arena_printf(g->arena, "model.py    %s", models[i].what);
        if (!line) return mem_error(err, "draft", 0);
        g->unmapped[g->n_unmapped++] = line;
        return ST_OK;
    }
    return ST_OK;
}

static const char *print_value(struct paddlerec *p, const struct node *value)
{
    if (value->kind == NODE_SCALAR)
        return arena_printf(p->arena, "%.40s%s", value->text,
                            strlen(value->text) > 40 ? "..." : "");
    return value->n ? "[...]" : "[]";
}

static enum status list_unused(struct paddlerec *p, struct guess *g, struct error *err)
{
    g->unmapped = arena_take(g->arena, p->n + 2, sizeof *g->unmapped);
    if (!g->unmapped) return mem_error(err, "draft", 0);
    TRY(list_model(p, g, err));
    for (size_t i = 0; i < p->n; i++) {
        const struct paddlerec_key *k = &p->keys[i];
        if (k->used) continue;
        char path[256];
        bool old = !strncmp(k->path, "dygraph.", 8);
        snprintf(path, sizeof path, "%s%s", old ? "runner." : "",
                 old ? k->path + 8 : k->path);
        const char *value = print_value(p, k->value);
        const char *line = value ? arena_printf(g->arena, "%s: %s    %s", k->path, value,
                                                reason_of(path))
                                 : NULL;
        if (!line) return mem_error(err, "draft", 0);
        g->unmapped[g->n_unmapped++] = line;
    }
    return ST_OK;
}

static enum status draft(struct paddlerec *p, const struct guess_request *q,
                         struct guess **out, struct error *err)
{
    struct node *root;
    TRY(yaml_read(p->arena, p->file, &root, err));
    TRY(add_keys(p, "", root, err));
    if (!node_get(root, "hyper_parameters") || root->kind != NODE_MAP) {
        error_set(err, ST_USAGE, "%s: no hyper_parameters: not a PaddleRec configuration",
                  p->file);
        return error_hint(err, ST_USAGE,
                          "one of PaddleRec 2.0 and later has the keys runner and "
                          "hyper_parameters");
    }
    struct guess *g;
    TRY(paddlerec_data(p, q, &g, err));
    enum status st = paddlerec_model(p, g, err);
    if (st == ST_OK) st = list_unused(p, g, err);
    if (st != ST_OK) {
        guess_destroy(g);
        return st;
    }
    *out = g;
    return ST_OK;
}

enum status paddlerec_draft(const char *file, const struct guess_request *q,
                            struct guess **out, struct error *err)
{
    struct arena *arena;
    TRY(arena_create(&arena, err));
    struct paddlerec *p = arena_take(arena, 1, sizeof *p);
    enum status st = p ? ST_OK : mem_error(err, "configuration", sizeof *p);
    if (p) *p = (struct paddlerec){.arena = arena, .file = file};
    if (st == ST_OK) st = draft(p, q, out, err);
    arena_destroy(arena);
    return st;
}
