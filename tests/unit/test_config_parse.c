/* common/config: what a configuration text becomes in struct settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/config_text.h"

/* Every kind of key in one text. */
static const char complete[] =
    "version: 1\n"
    "name: kuairand-mmoe\n"
    "seed: 42\n"
    "vars: {last: 20220503}\n"
    "data:\n"
    "  format: csv\n"
    "  train: {files: [logs/log*.csv.zst], where: \"date <= ${last}\"}\n"
    "  eval:  {files: [logs/log*.csv.zst], where: \"date > ${last}\"}\n"
    "  valid: {fraction: 0.1, by: user_id}\n"
    "  joins:\n"
    "    - {files: [users*.csv.zst], key: user_id}\n"
    "    - {files: [videos*.csv.zst], key: video_id}\n"
    "  group: user_id\n"
    "  bad_rows: {max: 0.1%}\n"
    "features:\n"
    "  - {name: user_id}\n"
    "  - {name: video_id}\n"
    "  - {names: [author_id, tab, onehot_feat0..17]}\n"
    "  - {name: watched, column: watch_seq, split: \" \", keep: last, max_len: 10, pool: mean, "
    "table: video_id}\n"
    "  - {name: hour, expr: \"floor(hourmin / 100)\"}\n"
    "  - {name: duration, kind: dense, column: video_duration, transform: [log1p, standardize, "
    "{clip: [0, 10]}], default: mean}\n"
    "tables:\n"
    "  default: {dim: 16, init: {normal: 1e-4}, optimizer: {adagrad: {lr: 0.05, "
    "initial_accumulator: 1e-6}}}\n"
    "  user_id: {dim: 8}\n"
    "  video_id: {optimizer: {adagrad: {lr: 0.2}}}\n"
    "  tab: {optimizer: sgd, init: zero}\n"
    "tasks:\n"
    "  click:  {label: is_click}\n"
    "  like:   {label: is_like, weight: 0.5, tower: {layers: [64, 32]}, own: 5}\n"
    "  finish: {label: \"play_time_ms >= duration_ms\", present: \"duration_ms > 0\"}\n"
    "model:\n"
    "  type: ple\n"
    "  bottom: {layers: [117]}\n"
    "  experts: {count: 8, own: 3, shared: 2, levels: 2, layers: [64], activation: gelu}\n"
    "  gates: {layers: [16]}\n"
    "  towers: {layers: [32]}\n"
    "train:\n"
    "  batch_size: 1024\n"
    "  lanes: 4\n"
    "  epochs: 1\n"
    "  staleness: 0\n"
    "  optimizer: {adam: {lr: 0.002}}\n"
    "  schedule: {warmup_steps: 100, decay: {cosine: {floor: 0.1}}}\n"
    "  eval_every: 2 epochs\n"
    "  early_stop: {task: click, metric: auc, patience: 3}\n"
    "checkpoint: {every: [2000 steps, 10 min], keep: 4}\n"
    "cluster: {servers: 2, threads: auto, deadline: 2 min}\n";

static struct settings *s;

static int load_complete(void **state)
{
    (void)state;
    s = config_parse(complete, NULL);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    settings_destroy(s);
    return 0;
}

/* Sources take files, filters with variables, and how files are read. */
static void sources_are_read(void **state)
{
    (void)state;
    assert_string_equal(s->data.train.files.v[0], "logs/log*.csv.zst");
    assert_string_equal(s->data.train.where.text, "date <= 20220503");
    assert_string_equal(s->data.eval.where.text, "date > 20220503");
    assert_int_equal(s->data.train.where.at.line, 7);
    assert_int_equal(s->data.train.where.at.column, 47);
    assert_true(s->data.valid.given);
    assert_true(s->data.valid.fraction == 0.1);
    assert_string_equal(s->data.valid.by.text, "user_id");
    assert_int_equal(s->data.n_joins, 2);
    assert_string_equal(s->data.joins[1].key.text, "video_id");
    assert_string_equal(s->data.joins[1].source.delimiter, ",");
    assert_true(s->data.bad_rows_is_share);
    assert_true(s->data.bad_rows_max == 0.001);
}

/* Features: groups with ranges, lists, expressions, transforms. */
static void features_are_read(void **state)
{
    (void)state;
    assert_int_equal(s->n_features, 6);
    assert_true(s->features[2].is_group);
    assert_int_equal(s->features[2].names.n, 20);
    assert_string_equal(s->features[2].names.v[19], "onehot_feat17");
    const struct feature_cfg *watched = &s->features[3];
    assert_string_equal(watched->split, " ");
    assert_int_equal(watched->keep, KEEP_LAST);
    assert_int_equal(watched->max_len, 10);
    assert_int_equal(watched->pool, POOL_MEAN);
    assert_string_equal(watched->table, "video_id");
    assert_string_equal(s->features[4].expr.text, "floor(hourmin / 100)");
    const struct feature_cfg *duration = &s->features[5];
    assert_int_equal(duration->kind, FEATURE_DENSE);
    assert_int_equal(duration->n_transforms, 3);
    assert_int_equal(duration->transform[1].kind, TRANSFORM_STANDARDIZE);
    assert_int_equal(duration->transform[2].kind, TRANSFORM_CLIP);
    assert_true(duration->transform[2].high == 10);
    assert_true(duration->default_mean);
}

/* A table starts from `default`; the same optimizer keeps what is not said. */
static void tables_start_from_default(void **state)
{
    (void)state;
    assert_int_equal(s->n_tables, 4);
    assert_string_equal(s->tables[0].name, "default");
    const struct table_cfg *user = &s->tables[1], *video = &s->tables[2], *tab = &s->tables[3];
    assert_int_equal(user->dim, 8);
    assert_true(user->optimizer.lr == 0.05);
    assert_int_equal(video->dim, 16);
    assert_true(video->optimizer.lr == 0.2);
    assert_true(video->optimizer.initial_accumulator == 1e-6);
    assert_int_equal(tab->optimizer.kind, OPT_SGD);
    assert_true(tab->optimizer.lr == 0.1);
    assert_int_equal(tab->init.kind, INIT_ZERO);
    assert_int_equal(video->init.kind, INIT_NORMAL);
    assert_true(video->init.scale == 1e-4);
}

/* Keys of a task override the model's, key by key. */
static void tasks_override_the_model(void **state)
{
    (void)state;
    const struct task_cfg *click = &s->tasks[0], *like = &s->tasks[1];
    assert_int_equal(click->tower.layers.n, 1);
    assert_int_equal(click->tower.layers.v[0], 32);
    assert_int_equal(click->own, 3);
    assert_int_equal(click->gate.layers.v[0], 16);
    assert_int_equal(like->tower.layers.n, 2);
    assert_int_equal(like->tower.layers.v[0], 64);
    assert_int_equal(like->own, 5);
    assert_true(like->weight == 0.5);
    assert_string_equal(s->tasks[2].present.text, "duration_ms > 0");
    assert_null(click->present.text);
}

/* The rest: model, training, checkpoints, cluster. */
static void model_and_training_are_read(void **state)
{
    (void)state;
    assert_int_equal(s->model.type, MODEL_PLE);
    assert_int_equal(s->model.expert_levels, 2);
    assert_int_equal(s->model.experts.activation, ACT_GELU);
    assert_true(s->train.optimizer.lr == 0.002);
    assert_true(s->train.optimizer.beta2 == 0.999);
    assert_int_equal(s->train.schedule.warmup_steps, 100);
    assert_int_equal(s->train.schedule.decay, DECAY_COSINE);
    assert_true(s->train.schedule.decay_floor == 0.1);
    assert_true(s->train.eval_every.epochs == 2);
    assert_true(s->train.early_stop);
    assert_int_equal(s->train.early_stop_patience, 3);
    assert_int_equal(s->checkpoint.every.steps, 2000);
    assert_true(s->checkpoint.every.seconds == 600);
    assert_int_equal(s->cluster.threads, 0);
    assert_true(s->cluster.deadline_s == 120);
    assert_string_equal(s->run_dir, "runs/kuairand-mmoe");
}

/* What is not written has its documented default. */
static void defaults_are_filled_in(void **state)
{
    (void)state;
    struct settings *d = config_parse(config_least, NULL);
    assert_string_equal(d->name, "c");
    assert_string_equal(d->run_dir, "runs/c");
    assert_int_equal(d->seed, 42);
    assert_true(d->data.train.header);
    assert_int_equal(d->data.train.missing.n, 1);
    assert_string_equal(d->data.train.missing.v[0], "");
    assert_string_equal(d->data.cache, ".cache/mtps");
    assert_int_equal(d->data.shuffle_window, 65536);
    assert_int_equal(d->data.join_memory, 1073741824);
    assert_false(d->data.valid.given);
    assert_int_equal(d->n_tables, 1);
    assert_int_equal(d->tables[0].dim, 16);
    assert_int_equal(d->tables[0].optimizer.kind, OPT_ADAGRAD);
    assert_true(d->tables[0].optimizer.initial_accumulator == 1e-7);
    assert_true(d->tables[0].init.scale == 1e-4);
    assert_int_equal(d->train.batch_size, 1024);
    assert_int_equal(d->train.lanes, 4);
    assert_false(d->train.has_max_steps);
    assert_false(d->train.early_stop);
    assert_int_equal(d->train.optimizer.kind, OPT_ADAM);
    assert_int_equal(d->checkpoint.keep, 3);
    assert_int_equal(d->log.level, 2);
    assert_int_equal(d->features[0].kind, FEATURE_ID);
    assert_int_equal(d->features[0].key, KEY_HASH);
    settings_destroy(d);
}

/* Sources inherit how files are read; a side table only what is not its layout. */
static void sources_inherit_from_data(void **state)
{
    (void)state;
    struct settings *d = config_parse(
        "data:\n  format: tsv\n  trim: true\n  missing: ['?', NA]\n  columns: [user, clicked]\n"
        "  train: {files: a}\n  eval: {files: b, delimiter: '|', trim: false}\n"
        "  joins: [{files: c, key: user}]\n"
        "features: [{name: user}]\ntasks: {click: {label: clicked}}\nmodel: {type: lr}\n",
        NULL);
    assert_string_equal(d->data.train.delimiter, "\t");
    assert_true(d->data.train.trim);
    assert_int_equal(d->data.train.missing.n, 2);
    assert_false(d->data.train.header);
    assert_int_equal(d->data.train.columns.n, 2);
    assert_string_equal(d->data.eval.delimiter, "|");
    assert_false(d->data.eval.trim);
    assert_int_equal(d->data.eval.columns.n, 2);
    assert_int_equal(d->data.joins[0].source.format, SOURCE_TSV);
    assert_true(d->data.joins[0].source.header);
    assert_int_equal(d->data.joins[0].source.columns.n, 0);
    settings_destroy(d);
}

/* In slot format ids are lists of 64-bit numbers, unless they are plain columns. */
static void slots_are_lists_of_numbers(void **state)
{
    (void)state;
    struct settings *d = config_parse(
        "data: {format: slot, slot: {fixed: [uid, click]}, train: {files: a}}\n"
        "features: [{names: [2..4]}, {name: uid}, {name: x, column: '9', key: hash},\n"
        "           {name: d, kind: dense, width: 13}]\n"
        "tasks: {click: {label: click}}\nmodel: {type: lr}\n",
        NULL);
    assert_true(d->features[0].multi);
    assert_int_equal(d->features[0].key, KEY_UINT64);
    assert_false(d->features[1].multi);
    assert_int_equal(d->features[1].key, KEY_HASH);
    assert_true(d->features[2].multi);
    assert_int_equal(d->features[2].key, KEY_HASH);
    assert_false(d->features[3].multi);
    assert_int_equal(d->features[3].width, 13);
    assert_false(d->data.train.header);
    settings_destroy(d);
}

/* `dim` of a feature is the dim of its table. */
static void a_features_dim_is_its_tables(void **state)
{
    (void)state;
    struct settings *d = config_parse(
        "data: {train: {files: a}}\n"
        "features: [{name: user, dim: 4}, {names: [a, b], dim: 6}, {name: c, table: user}]\n"
        "tables: {default: {dim: 10}}\n"
        "tasks: {click: {label: clicked}}\nmodel: {type: lr}\n",
        NULL);
    assert_int_equal(d->n_tables, 4);
    assert_string_equal(d->tables[1].name, "user");
    assert_int_equal(d->tables[1].dim, 4);
    assert_string_equal(d->tables[3].name, "b");
    assert_int_equal(d->tables[3].dim, 6);
    settings_destroy(d);
}

/* `lanes: auto` is a power of two that divides the batch, never 0. */
static void auto_lanes_are_resolved(void **state)
{
    (void)state;
    struct settings *d = config_more("train: {lanes: auto, batch_size: 12}\n");
    assert_true(d->train.lanes == 4);
    settings_destroy(d);
}

/* Null takes a key away, as if it was not written. */
static void null_is_not_given(void **state)
{
    (void)state;
    struct settings *d = config_more("train: {early_stop: null, lanes: ~, max_steps:}\n");
    assert_false(d->train.early_stop);
    assert_int_equal(d->train.lanes, 4);
    assert_false(d->train.has_max_steps);
    settings_destroy(d);
}

/* With data.valid metrics are computed every epoch unless something else is said. */
static void validation_is_every_epoch(void **state)
{
    (void)state;
    struct settings *d = config_parse(
        "data: {train: {files: a}, valid: {files: v, where: x > 1}}\nfeatures: [{name: user}]\n"
        "tasks: {click: {label: clicked}}\nmodel: {type: lr}\n",
        NULL);
    assert_true(d->train.eval_every.epochs == 1);
    assert_string_equal(d->data.valid.source.where.text, "x > 1");
    assert_null(d->data.valid.where.text);
    settings_destroy(d);
}

/* [] is a value: no hidden layer, for the types whose parts can do without one. */
static void no_hidden_layer_is_a_value(void **state)
{
    (void)state;
    static const char *const models[] = {
        "{type: dnn, bottom: {layers: []}}",
        "{type: share_bottom, bottom: {layers: []}, towers: {layers: [8]}}",
        "{type: mmoe, experts: {count: 2, layers: [4]}, gates: {layers: []}, towers: {layers: []}}"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "data: {train: {files: a}}\nfeatures: [{name: a}]\ntasks: {t: {label: y}}\nmodel: %s\n",
                 models[i]);
        struct settings *own = config_parse(text, NULL);
        assert_int_equal(own->model.bottom.layers.n, 0);
        assert_int_equal(own->model.bottom.given, i < 2);
        settings_destroy(own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sources_are_read, load_complete, unload),
        cmocka_unit_test_setup_teardown(features_are_read, load_complete, unload),
        cmocka_unit_test_setup_teardown(tables_start_from_default, load_complete, unload),
        cmocka_unit_test_setup_teardown(tasks_override_the_model, load_complete, unload),
        cmocka_unit_test_setup_teardown(model_and_training_are_read, load_complete, unload),
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(sources_inherit_from_data),
        cmocka_unit_test(slots_are_lists_of_numbers),
        cmocka_unit_test(a_features_dim_is_its_tables),
        cmocka_unit_test(auto_lanes_are_resolved),
        cmocka_unit_test(null_is_not_given),
        cmocka_unit_test(no_hidden_layer_is_a_value),
        cmocka_unit_test(validation_is_every_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
