/* common/config: every mistake is one line with the place, what is expected and
 * what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/config_text.h"

/* Unknown keys are named with the place of the key and the nearest known one. */
static void unknown_keys_are_errors(void **state)
{
    (void)state;
    config_more_refused("train:\n  batchsize: 5\n",
                        "c.yaml:6:3: unknown key 'batchsize' in 'train'",
                        "did you mean 'batch_size'? See 'mtps config explain train'");
    config_more_refused("tarin: {}\n", "c.yaml:5:1: unknown key 'tarin' at the top level",
                        "did you mean 'train'?");
    config_more_refused("log: {zebra: 1}\n", "c.yaml:5:7: unknown key 'zebra' in 'log'",
                        "known keys: level, every");
    config_more_refused("tables: {x: {dimm: 1}}\n",
                        "c.yaml:5:14: unknown key 'dimm' in 'tables.x'", "'dim'");
    config_more_refused("warm_start: {from: x}\n",
                        "c.yaml:5:1: unknown key 'warm_start' at the top level", NULL);
}

/* A value of another type says what was expected. */
static void wrong_types_are_errors(void **state)
{
    (void)state;
    config_more_refused("train: {batch_size: many}\n",
                        "c.yaml:5:21: train.batch_size: expected a whole number, not 'many'",
                        "mtps config explain train.batch_size");
    config_more_refused("train: {batch_size: \"1024\"}\n",
                        "c.yaml:5:22: train.batch_size: expected a whole number, not the string "
                        "'1024'", NULL);
    config_more_refused("train: {batch_size: [1]}\n",
                        "c.yaml:5:21: train.batch_size: expected a whole number, not a list",
                        NULL);
    config_more_refused("train: 7\n", "c.yaml:5:8: train: expected a mapping, not '7'", NULL);
    config_more_refused("checkpoint: {every: 10}\n",
                        "c.yaml:5:21: checkpoint.every: expected a period or list of periods "
                        "(2000 steps, 10 min, 1 epoch), or never, not '10'", NULL);
    config_more_refused("cluster: {deadline: soon}\n",
                        "c.yaml:5:21: cluster.deadline: expected a duration (120 s, 10 min, "
                        "2 h), not 'soon'", NULL);
    config_refused("data: {trim: yes, train: {files: a}}\n", NULL,
                   "c.yaml:1:14: data.trim: expected true or false, not 'yes'",
                   "write true or false");
    config_refused("just text", NULL,
                   "c.yaml:1:1: expected a mapping of keys at the top level", NULL);
}

/* A value out of its range says the range. */
static void values_out_of_range_are_errors(void **state)
{
    (void)state;
    config_more_refused("train: {batch_size: 0}\n",
                        "c.yaml:5:21: train.batch_size: 0 is out of range: 1 to 16777216 rows",
                        "mtps config explain train.batch_size");
    config_more_refused("train: {batch_size: -5}\n",
                        "c.yaml:5:21: train.batch_size: -5 is out of range: 1 to 16777216 rows",
                        NULL);
    config_more_refused("tables: {default: {dim: 5000}}\n",
                        "c.yaml:5:25: tables.default.dim: 5000 is out of range: 1 to 4096 floats",
                        NULL);
    config_more_refused("train: {optimizer: {adam: {lr: -1}}}\n",
                        "c.yaml:5:32: train.optimizer.adam.lr: -1 is out of range: 0 to 1000000",
                        NULL);
    config_more_refused("train: {optimizer: {ftrl: {beta: 0}}}\n",
                        "c.yaml:5:34: train.optimizer.ftrl.beta: 0 is out of range: above 0, up "
                        "to 1000000", NULL);
    config_more_refused("train: {staleness: 2}\n",
                        "c.yaml:5:20: train.staleness: only 0 is known, not '2'", NULL);
    config_more_refused("version: 2\n", "c.yaml:5:10: version: only 1 is known, not '2'", NULL);
}

/* Words outside of a set say the set and the nearest word. */
static void unknown_words_are_errors(void **state)
{
    (void)state;
    config_refused("data: {train: {files: a}}\nfeatures: [{name: a}]\ntasks: {t: {label: y}}\n"
                   "model: {type: mmeo}\n", NULL,
                   "c.yaml:4:15: model.type: 'mmeo' is unknown: expected lr | fm | dnn | wide_deep "
                   "| deepfm | share_bottom | omoe | mmoe | cgc | ple "
                   "| two_tower | esmm | aitm", "did you mean 'mmoe'?");
    config_more_refused("train: {optimizer: {adm: {lr: 1}}}\n",
                        "c.yaml:5:21: train.optimizer: 'adm' is unknown: expected sgd | adagrad "
                        "| adam | ftrl", "did you mean 'adam'?");
    config_more_refused("tables: {default: {optimizer: {adam: {weight_decay: 1}}}}\n",
                        "c.yaml:5:39: unknown key 'weight_decay' in "
                        "'tables.default.optimizer.adam'", "known keys: lr");
    config_more_refused("tables: {default: {optimizer: {adam: {}, sgd: {}}}}\n",
                        "c.yaml:5:31: tables.default.optimizer: expected one of sgd | adagrad | "
                        "rowwise_adagrad | adam | ftrl, not 2 keys", NULL);
}

/* What must be there and is not. */
static void missing_keys_are_errors(void **state)
{
    (void)state;
    config_refused("seed: 1\n", NULL, "c.yaml:1:1: the key 'data' is missing",
                   "mtps config explain data");
    config_refused("data: {}\n", NULL, "c.yaml:1:7: 'data' needs the key 'train'", NULL);
    config_refused("data: {train: {where: x}}\n", NULL,
                   "c.yaml:1:15: 'data.train' needs the key 'files'", NULL);
    config_refused("data: {train: {files: []}}\n", NULL,
                   "c.yaml:1:23: data.train.files: the list is empty", NULL);
    config_refused("data: {train: {files: a}}\nfeatures: []\n", NULL,
                   "c.yaml:2:11: features: the list is empty", NULL);
    config_refused("data: {train: {files: a}}\nfeatures: [{name: a}]\nmodel: {type: lr}\n"
                   "tasks: {}\n", NULL, "c.yaml:4:8: tasks: there is none", NULL);
    config_refused("data: {train: {files: a}}\nfeatures: [{name: a}]\nmodel: {type: lr}\n"
                   "tasks: {t: {weight: 1}}\n", NULL,
                   "c.yaml:4:12: 'tasks.t' needs the key 'label'", NULL);
    config_refused("data: {train: {files: a}, joins: [{files: b}]}\n", NULL,
                   "c.yaml:1:35: 'data.joins.0' needs the key 'key'", NULL);
}

/* Lanes: a power of two that divides the batch. */
static void lanes_must_divide_the_batch(void **state)
{
    (void)state;
    config_more_refused("train: {lanes: 3}\n",
                        "c.yaml:5:16: train.lanes: 3 is not a power of two", "write 2 or 4");
    config_more_refused("train: {batch_size: 2}\n",
                        "c.yaml:5:21: train.batch_size: 2 rows are fewer than 4 lanes",
                        "set train.lanes");
    config_more_refused("train: {batch_size: 1022}\n",
                        "c.yaml:5:21: train.batch_size: 1022 rows cannot be cut into 4 equal "
                        "lanes", "write 1024");
}

static void model_refused(const char *model, const char *message, const char *hint)
{
    char text[1024] = "data: {train: {files: a}}\nfeatures: [{name: a}]\n"
                      "tasks: {t: {label: y}}\nmodel: ";
    strcat(text, model);
    config_refused(text, NULL, message, hint);
}

static void towers_refused(const char *sides, const char *message, const char *hint)
{
    char text[1024];
    snprintf(text, sizeof text,
             "data: {train: {files: a}}\nfeatures:\n  - {names: [u1..3]}\n  - {name: item}\n"
             "tasks: {t: {label: y}}\nmodel:\n  type: two_tower\n%s",
             sides);
    config_refused(text, NULL, message, hint);
}

/* Every feature of two_tower is on one side, and what a list names is a feature. */
static void features_of_two_tower_are_on_one_side(void **state)
{
    (void)state;
    towers_refused("  user: {features: [u1, u2], layers: [4]}\n  item: {features: [item], layers: [4]}\n",
                   "c.yaml:3:5: features.u3: is neither in model.user.features nor in "
                   "model.item.features", "add it to a list");
    towers_refused("  user: {features: [u1..3], layers: [4]}\n  item: {features: ['*'], layers: [4]}\n",
                   "c.yaml:9:20: model.item.features: 'u1' is in model.user.features too",
                   "take it out");
    towers_refused("  user: {features: ['u?'], layers: [4]}\n  item: {features: [itm], layers: [4]}\n",
                   "c.yaml:9:20: model.item.features: there is no feature 'itm'",
                   "did you mean 'item'?");
    towers_refused("  user: {features: ['u?'], layers: [4]}\n  item: {features: [item], layers: [4, 2]}\n",
                   "c.yaml:9:36: model.item.layers: the vector has 2 floats, that of model.user 4",
                   "the same width");
    towers_refused("  user: {features: ['u?'], layers: []}\n  item: {features: [item], layers: [4]}\n",
                   "c.yaml:8:9: model type two_tower needs 'model.user.layers'", "layers: [");
    towers_refused("  user: {features: ['u?'], layers: [4]}\n",
                   "c.yaml:7:3: model type two_tower needs 'model.item.features'", "item: {");
}

/* Each model type says which part it lacks. */
static void missing_parts_of_a_model_are_errors(void **state)
{
    (void)state;
    model_refused("{type: dnn}", "c.yaml:4:8: model type dnn needs 'model.bottom.layers'",
                  "bottom: {layers");
    model_refused("{type: share_bottom, bottom: {layers: [8]}}",
                  "c.yaml:4:8: model type share_bottom needs 'model.towers.layers'", NULL);
    model_refused("{type: wide_deep, bottom: {layers: [8]}}",
                  "c.yaml:4:8: model type wide_deep needs 'model.wide.features'", "wide: {features");
    model_refused("{type: deepfm}", "c.yaml:4:8: model type deepfm needs 'model.bottom.layers'",
                  NULL);
    model_refused("{type: mmoe, experts: {layers: [8]}}",
                  "c.yaml:4:8: model type mmoe needs 'model.experts.count'", NULL);
    model_refused("{type: omoe, experts: {count: 2}}",
                  "c.yaml:4:8: model type omoe needs 'model.experts.layers'", NULL);
    model_refused("{type: mmoe, experts: {count: 2, layers: []}, towers: {layers: []}}",
                  "c.yaml:4:49: model.experts.layers: an expert needs a layer, [] has none", "[64]");
    model_refused("{type: cgc, experts: {count: 2, layers: [8]}}",
                  "c.yaml:4:8: model type cgc needs 'model.experts.own'", NULL);
    model_refused("{type: ple, experts: {own: 2, layers: [8]}}",
                  "c.yaml:4:8: model type ple needs 'model.experts.shared'", NULL);
    model_refused("{type: cgc, experts: {own: 0, shared: 0, layers: [8]}}",
                  "c.yaml:3:12: tasks.t: there is no expert for it: own and shared are both 0",
                  "set model.experts.shared");
}

/* Two features cannot have one name. */
static void features_have_names_of_their_own(void **state)
{
    (void)state;
    config_refused("data: {train: {files: a}}\nfeatures:\n  - {name: f3}\n  - {names: [f1..4]}\n"
                   "tasks: {t: {label: y}}\nmodel: {type: lr}\n", NULL,
                   "c.yaml:4:5: features: 'f3' is there twice, first in line 3", "rename one");
}

static void feature_refused(const char *feature, const char *message, const char *hint)
{
    char text[1024] = "data: {train: {files: a}}\ntasks: {t: {label: y}}\nmodel: {type: lr}\n"
                      "features:\n  - {name: b}\n  - ";
    strcat(text, feature);
    config_refused(text, NULL, message, hint);
}

/* Keys of a feature that do not go together. */
static void features_do_not_contradict_themselves(void **state)
{
    (void)state;
    feature_refused("{kind: id}", "c.yaml:6:5: features: an entry without 'name' or 'names'",
                    "{name: user_id}");
    feature_refused("{name: a, kind: dense, pool: sum}",
                    "c.yaml:6:34: features.a.pool: is for features of kind id, this one is dense",
                    NULL);
    feature_refused("{name: a, column: x, expr: y}",
                    "c.yaml:6:5: features.a: 'column', 'expr' and 'cross' exclude each other",
                    NULL);
    feature_refused("{name: a0..3}", "c.yaml:6:12: features: 'a0..3' is more than one name",
                    "names: [...]");
    feature_refused("{names: [p, q], column: x}",
                    "c.yaml:6:5: features.p: a group of features reads columns of their own "
                    "names: no 'column', 'expr' or 'cross'", NULL);
    feature_refused("{name: a, cross: [b, c]}",
                    "c.yaml:6:22: features.a.cross: there is no feature 'c'", NULL);
    feature_refused("{name: a, cross: [b]}",
                    "c.yaml:6:22: features.a.cross: expected two names, not 1", NULL);
    feature_refused("{name: a, kind: dense, transform: [log10]}",
                    "c.yaml:6:40: features.a.transform: expected a list of transforms, not "
                    "'log10'", "log1p, standardize");
    feature_refused("{name: a, kind: dense, transform: {clip: [3, 1]}}",
                    "c.yaml:6:46: features.a.transform: clip: the low end is not below the high "
                    "end", NULL);
    feature_refused("{name: default}",
                    "c.yaml:6:5: features.default: 'default' is no table but the defaults of all "
                    "tables", NULL);
    feature_refused("{name: a/b}", "c.yaml:6:12: features.a/b.name: 'a/b' cannot be a name",
                    "no '/'");
}

/* One table has one dim. */
static void a_table_has_one_dim(void **state)
{
    (void)state;
    feature_refused("{names: [a, c], table: b, dim: 8}\n  - {name: d, table: b, dim: 4}",
                    "c.yaml:7:5: table 'b' is used with two dims: 4 here, 8 in c.yaml:6",
                    "tables.b.dim");
    feature_refused("{name: a, dim: 8}\ntables: {a: {dim: 4}}",
                    "c.yaml:6:5: table 'a' is used with two dims: 8 here, 4 in c.yaml:7", NULL);
    feature_refused("{names: ['a*'], dim: 8}",
                    "c.yaml:6:5: features.a*: 'dim' cannot be given for a pattern of names",
                    "tables.default.dim");
}

/* Early stopping needs validation, a task and a metric that fit. */
static void early_stop_needs_what_it_watches(void **state)
{
    (void)state;
    config_more_refused("train: {early_stop: {}}\n",
                        "c.yaml:5:21: train.early_stop needs data.valid", "fraction");
    static const char with_valid[] =
        "data: {train: {files: a}, valid: {fraction: 0.1}}\nfeatures: [{name: u}]\n"
        "tasks: {click: {label: y}, time: {label: z, loss: mse}}\nmodel: {type: lr}\n";
    char text[1024];
    strcpy(text, with_valid);
    strcat(text, "train: {early_stop: {task: clik}}\n");
    config_refused(text, NULL, "c.yaml:5:28: train.early_stop.task: there is no task 'clik'",
                   "did you mean 'click'?");
    strcpy(text, with_valid);
    strcat(text, "train: {early_stop: {task: time, metric: auc}}\n");
    config_refused(text, NULL,
                   "c.yaml:5:42: train.early_stop.metric: auc is no metric of the loss of task time",
                   "xauc");
    strcpy(text, with_valid);
    strcat(text, "train: {early_stop: {task: mean, metric: auc}}\n");
    config_refused(text, NULL,
                   "c.yaml:5:42: train.early_stop.metric: auc is no metric of the loss of task time",
                   "name one task in train.early_stop.task");
    strcpy(text, with_valid);
    strcat(text, "train: {early_stop: {task: click, metric: gauc}}\n");
    config_refused(text, NULL, "c.yaml:5:43: train.early_stop.metric: gauc needs data.group",
                   NULL);
}

/* A completion is a share of something; the other losses have no use for it. */
static void duration_belongs_to_completion(void **state)
{
    (void)state;
    static const char head[] = "data: {train: {files: a}}\nfeatures: [{name: u}]\n"
                               "model: {type: lr}\n";
    char text[512];
    strcpy(text, head);
    strcat(text, "tasks: {time: {label: y, loss: completion}}\n");
    config_refused(text, NULL, "c.yaml:4:15: tasks.time: loss completion needs `duration`",
                   "duration_ms");
    strcpy(text, head);
    strcat(text, "tasks: {time: {label: y, loss: log_mse, duration: d}}\n");
    config_refused(text, NULL,
                   "c.yaml:4:51: tasks.time.duration: only loss completion reads it",
                   "take it out");
}

/* data.valid is one of three things. */
static void validation_is_one_of_three_things(void **state)
{
    (void)state;
    config_refused("data: {train: {files: a}, valid: {fraction: 0.1, where: x}}\n"
                   "features: [{name: u}]\ntasks: {c: {label: y}}\nmodel: {type: lr}\n", NULL,
                   "c.yaml:1:34: data.valid: expected one of 'fraction', 'where', 'files'", NULL);
    config_refused("data: {train: {files: a}, valid: {where: x, by: u}}\n"
                   "features: [{name: u}]\ntasks: {c: {label: y}}\nmodel: {type: lr}\n", NULL,
                   "c.yaml:1:49: data.valid: 'by' belongs to 'fraction'", NULL);
}

/* Names of tasks that mean something else are refused. */
static void reserved_names_are_refused(void **state)
{
    (void)state;
    config_refused("data: {train: {files: a}}\nfeatures: [{name: u}]\nmodel: {type: lr}\n"
                   "tasks: {mean: {label: y}}\n", NULL,
                   "c.yaml:4:15: tasks: 'mean' has a meaning of its own", NULL);
}

/* Lists are bounded before anything is made of them. */
static void lists_are_bounded(void **state)
{
    (void)state;
    static char text[32 * 1024];
    size_t n = (size_t)sprintf(text, "data: {train: {files: a}}\nfeatures: [{name: u}]\n"
                                     "model: {type: lr}\ntasks:\n");
    for (int i = 0; i < 257; i++) n += (size_t)sprintf(text + n, "  t%d: {label: y}\n", i);
    config_refused(text, NULL, "c.yaml:5:3: tasks: 257 elements, at most 256 are allowed", NULL);
    feature_refused("{names: [a0..40000, b0..40000]}",
                    "c.yaml:6:25: range 'b0..40000' makes more than 65536 names", NULL);
}

static void warns(const struct settings *s, size_t i, const char *text)
{
    const struct list_cfg *warnings = settings_warnings(s);
    assert_true(i < warnings->n);
    assert_string_equal(warnings->v[i], text);
}

/* A feature that reads a label's column is named with the task. */
static void leaking_features_are_warned_about(void **state)
{
    (void)state;
    struct settings *s = config_parse(
        "data: {train: {files: a}}\n"
        "features:\n  - {name: play_ms, kind: dense}\n  - {name: r, expr: 'floor(play_ms / 2)'}\n"
        "  - {name: fine, expr: 'if(a == \"play_ms\", play_ms2, b)'}\n"
        "tasks: {finish: {label: 'play_ms >= `dur ms`'}}\nmodel: {type: lr}\n",
        NULL);
    assert_int_equal(settings_warnings(s)->n, 2);
    warns(s, 0, "c.yaml:3:5: feature 'play_ms' reads column 'play_ms', which the label of task "
                "'finish' reads");
    warns(s, 1, "c.yaml:4:5: feature 'r' reads column 'play_ms', which the label of task "
                "'finish' reads");
    settings_destroy(s);
}

/* A task's key that the type never reads is pointed out; a model's is not: one
 * file serves several types. */
static void keys_of_tasks_without_use_are_warned_about(void **state)
{
    (void)state;
    struct settings *s = config_parse(
        "data: {train: {files: a}}\nfeatures: [{name: u}]\n"
        "tasks: {t: {label: y, own: 2}}\nmodel: {type: lr, experts: {count: 3}}\n", NULL);
    assert_int_equal(settings_warnings(s)->n, 1);
    warns(s, 0, "c.yaml:3:28: model type lr does not use tasks.t.own");
    settings_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_keys_are_errors),
        cmocka_unit_test(wrong_types_are_errors),
        cmocka_unit_test(values_out_of_range_are_errors),
        cmocka_unit_test(unknown_words_are_errors),
        cmocka_unit_test(missing_keys_are_errors),
        cmocka_unit_test(lanes_must_divide_the_batch),
        cmocka_unit_test(features_of_two_tower_are_on_one_side),
        cmocka_unit_test(missing_parts_of_a_model_are_errors),
        cmocka_unit_test(features_have_names_of_their_own),
        cmocka_unit_test(features_do_not_contradict_themselves),
        cmocka_unit_test(a_table_has_one_dim),
        cmocka_unit_test(early_stop_needs_what_it_watches),
        cmocka_unit_test(duration_belongs_to_completion),
        cmocka_unit_test(validation_is_one_of_three_things),
        cmocka_unit_test(reserved_names_are_refused),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(leaking_features_are_warned_about),
        cmocka_unit_test(keys_of_tasks_without_use_are_warned_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
