#include "model/assemble.h"

#include "common/base/mem.h"
#include "common/math/target.h"

void assemble_table_dims(const struct settings *settings, const struct schema *schema,
                         size_t *table_dim)
{
    for (size_t t = 0; t < schema->n_tables; t++)
        table_dim[t] = model_row_dim(settings->model.type, schema->tables[t]->dim,
                                     settings->n_tasks);
}

static size_t input_width(const struct assembly *a, const struct schema_feature *f)
{
    if (f->kind == FEATURE_ID) return a->table_dim[f->table];
    return f->kind == FEATURE_ONE_HOT ? fit_levels(a->fit, f->place) : f->width;
}

/* Of two_tower: the side on which the lists name each feature. */
static enum status fill_sides(const struct assembly *a, enum model_side *sides, struct error *err)
{
    size_t n = a->schema->n_features;
    if (a->settings->model.type != MODEL_TWO_TOWER) return ST_OK;
    const char **names = mem_array(n, sizeof *names);
    if (!names) return mem_error(err, "model", n * sizeof *names);
    for (size_t i = 0; i < n; i++) names[i] = a->schema->features[i].name;
    enum status st = settings_sides(a->settings, names, n, sides, err);
    mem_free(names);
    return st;
}

static void fill_inputs(const struct assembly *a, struct model_input *inputs)
{
    for (size_t i = 0; i < a->schema->n_features; i++) {
        const struct schema_feature *f = &a->schema->features[i];
        inputs[i] = (struct model_input){
            .name = f->name,
            .kind = f->kind == FEATURE_ID        ? INPUT_ID
                    : f->kind == FEATURE_ONE_HOT ? INPUT_ONE_HOT
                                                 : INPUT_DENSE,
            .place = f->place,
            .width = input_width(a, f),
            .table = f->table,
            .pool = f->pool,
            .project = a->project && a->project[i],
        };
    }
}

static void fill_tasks(const struct assembly *a, struct model_task *tasks)
{
    for (size_t k = 0; k < a->settings->n_tasks; k++) {
        const struct task_cfg *t = &a->settings->tasks[k];
        tasks[k] = (struct model_task){.name = t->name,
                                       .loss = t->loss,
                                       .huber_delta = t->huber_delta,
                                       .weight = t->weight,
                                       .tower = t->tower,
                                       .gate = t->gate,
                                       .own = t->own,
                                       .base = target_logit(t->loss, fit_base(a->fit, k))};
    }
}

/* Features are inputs of the same number. */
static size_t fill_attention(const struct schema *schema, struct model_attention *out)
{
    size_t n = 0;
    for (size_t i = 0; i < schema->n_features; i++) {
        const struct schema_feature *f = &schema->features[i];
        if (f->kind != FEATURE_ID || f->pool != POOL_ATTENTION) continue;
        const struct attention_cfg *a = &f->cfg->attention;
        out[n++] = (struct model_attention){i, f->target, a->layers, a->activation};
    }
    return n;
}

enum status assemble_model(const struct assembly *a, struct model **out, struct error *err)
{
    const struct schema *schema = a->schema;
    struct model_input *inputs = mem_array(schema->n_features, sizeof *inputs);
    struct model_task *tasks = mem_array(a->settings->n_tasks, sizeof *tasks);
    struct model_attention *attention = mem_array(schema->n_features, sizeof *attention);
    enum model_side *sides = mem_array(schema->n_features, sizeof *sides);
    enum status st = inputs && tasks && attention && sides
                         ? fill_sides(a, sides, err)
                         : mem_error(err, "model", schema->n_features * sizeof *inputs);
    if (st == ST_OK) {
        fill_inputs(a, inputs);
        fill_tasks(a, tasks);
        struct model_spec spec = {.cfg = a->settings->model,
                                  .inputs = inputs,
                                  .n_inputs = schema->n_features,
                                  .tasks = tasks,
                                  .n_tasks = a->settings->n_tasks,
                                  .table_dim = a->table_dim,
                                  .n_tables = schema->n_tables,
                                  .n_dense = schema->n_dense,
                                  .seed = a->settings->seed,
                                  .attention = attention,
                                  .n_attention = fill_attention(schema, attention),
                                  .side = sides};
        st = model_create(&spec, out, err);
    }
    mem_free(inputs);
    mem_free(tasks);
    mem_free(attention);
    mem_free(sides);
    return st;
}
