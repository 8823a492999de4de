/* common/config: --set, variables and included files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/config_text.h"

#include "tests/lib/tmpdir.h"

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Values are YAML with their types; later ones win. */
static void set_values_are_typed(void **state)
{
    (void)state;
    struct settings *s = config_parse(
        config_least, SETS("train.batch_size=2048", "train.batch_size=512", "data.trim=true",
                           "checkpoint.every=[5 steps, 1 min]", "seed=7"));
    assert_int_equal(s->train.batch_size, 512);
    assert_true(s->data.train.trim);
    assert_int_equal(s->checkpoint.every.steps, 5);
    assert_int_equal(s->seed, 7);
    settings_destroy(s);
}

/* A mapping replaces what is there. */
static void set_replaces_mappings(void **state)
{
    (void)state;
    struct settings *s = config_parse(
        "data: {train: {files: [a], where: old, trim: true}}\nfeatures: [{name: u}]\n"
        "tasks: {c: {label: y}}\nmodel: {type: lr}\n",
        SETS("data.train={files: [b], where: \"x == 1\"}"));
    assert_string_equal(s->data.train.files.v[0], "b");
    assert_string_equal(s->data.train.where.text, "x == 1");
    assert_string_equal(s->data.train.where.at.file, "--set");
    assert_false(s->data.train.trim);
    settings_destroy(s);
}

/* Elements of features are addressed by name, named groups by key, joins by place. */
static void set_addresses_elements_by_name(void **state)
{
    (void)state;
    struct settings *s = config_parse(
        "data: {train: {files: a}, joins: [{files: j, key: k}]}\n"
        "features: [{name: user.id}, {name: item}]\n"
        "tasks: {c: {label: y}}\nmodel: {type: lr}\n",
        SETS("features.user.id.pool=mean", "features.item={kind: dense}", "tasks.c.weight=0.5",
             "tables.item.dim=3", "data.joins.0.key=other", "tasks.new.label=z"));
    assert_int_equal(s->features[0].pool, POOL_MEAN);
    assert_int_equal(s->features[1].kind, FEATURE_DENSE);
    assert_string_equal(s->features[1].names.v[0], "item");
    assert_true(s->tasks[0].weight == 0.5);
    assert_int_equal(s->tables[1].dim, 3);
    assert_string_equal(s->data.joins[0].key.text, "other");
    assert_string_equal(s->tasks[1].name, "new");
    settings_destroy(s);
}

/* A name out of a group gets an entry of its own, in its place. */
static void set_takes_a_name_out_of_its_group(void **state)
{
    (void)state;
    struct settings *s = config_parse(
        "data: {train: {files: a}}\nfeatures: [{names: [p, f0..3, q], pool: mean}]\n"
        "tasks: {c: {label: y}}\nmodel: {type: lr}\n",
        SETS("features.f1.dim=4"));
    assert_int_equal(s->n_features, 3);
    assert_int_equal(s->features[0].names.n, 2);
    assert_string_equal(s->features[1].names.v[0], "f1");
    assert_int_equal(s->features[1].dim, 4);
    assert_int_equal(s->features[1].pool, POOL_MEAN);
    assert_false(s->features[1].is_group);
    assert_string_equal(s->features[2].names.v[0], "f2");
    assert_string_equal(s->features[2].names.v[2], "q");
    settings_destroy(s);
}

/* Null takes a key, a task or a feature away. */
static void set_null_takes_away(void **state)
{
    (void)state;
    struct settings *s = config_parse(
        "data: {train: {files: a}, valid: {fraction: 0.1}}\nfeatures: [{names: [a, b, c]}]\n"
        "tasks: {c: {label: y}, d: {label: z}}\nmodel: {type: lr}\n",
        SETS("data.valid=null", "tasks.d=", "features.b=null"));
    assert_false(s->data.valid.given);
    assert_int_equal(s->n_tasks, 1);
    assert_int_equal(s->n_features, 2);
    assert_string_equal(s->features[1].names.v[0], "c");
    settings_destroy(s);
}

/* A path through a choice makes the choice; the same choice keeps its keys. */
static void set_chooses(void **state)
{
    (void)state;
    static const char text[] =
        "data: {train: {files: a}}\nfeatures: [{name: u}]\ntasks: {c: {label: y}}\n"
        "model: {type: lr}\ntrain: {optimizer: {adam: {lr: 0.5, beta1: 0.8}}}\n";
    struct settings *s = config_parse(text, SETS("train.optimizer.adam.lr=0.25"));
    assert_true(s->train.optimizer.lr == 0.25 && s->train.optimizer.beta1 == 0.8);
    settings_destroy(s);
    s = config_parse(text, SETS("train.optimizer.sgd.lr=0.25"));
    assert_int_equal(s->train.optimizer.kind, OPT_SGD);
    settings_destroy(s);
    s = config_parse(text, SETS("train.optimizer=adagrad"));
    assert_int_equal(s->train.optimizer.kind, OPT_ADAGRAD);
    assert_true(s->train.optimizer.lr == 0.01);
    settings_destroy(s);
}

/* Assignments that cannot be made say why. */
static void bad_assignments_are_errors(void **state)
{
    (void)state;
    config_refused(config_least, SETS("train.batch_sze=1"),
                   "--set: unknown key 'batch_sze' in 'train'", "did you mean 'batch_size'?");
    config_refused(config_least, SETS("batch_size=1"),
                   "--set: unknown key 'batch_size' at the top level", NULL);
    config_refused(config_least, SETS("train.lanes"), "--set: 'train.lanes' is not KEY=VALUE",
                   "--set train.epochs=2");
    config_refused(config_least, SETS("train.lanes=x"),
                   "--set: train.lanes: expected a whole number, not 'x'", NULL);
    config_refused(config_least, SETS("train.lanes=[1"),
                   "train.lanes: --set: flow sequence without a closing bracket", NULL);
    config_refused(config_least, SETS("train.lanes.x=1"),
                   "--set: train.lanes.x: 'lanes' has no keys of its own", NULL);
    config_refused(config_least, SETS("features.usr.dim=1"),
                   "--set: features.usr.dim: no element 'usr' in 'features'",
                   "did you mean 'user'?");
    config_refused(config_least, SETS("include=x.yaml"),
                   "--set: 'include' can only be written in a file", NULL);
    config_refused(config_least, SETS("train..x=1"), "--set: 'train..x' is not a key", NULL);
}

/* ${name} stands for a variable in any text, and can be set. */
static void variables_are_replaced(void **state)
{
    (void)state;
    static const char text[] =
        "vars: {last: 20220503, dir: data, n: 512, log: '${dir}/log', w: [8, 4]}\n"
        "data: {train: {files: ['${log}*.csv'], where: \"date <= ${last} and ${n} > 0\"}}\n"
        "features: [{name: u}]\ntasks: {c: {label: 'x == \"$${raw}\"'}}\n"
        "model: {type: dnn, bottom: {layers: '${w}'}}\ntrain: {batch_size: '${n}'}\n";
    struct settings *s = config_parse(text, NULL);
    assert_string_equal(s->data.train.files.v[0], "data/log*.csv");
    assert_string_equal(s->data.train.where.text, "date <= 20220503 and 512 > 0");
    assert_string_equal(s->tasks[0].label.text, "x == \"${raw}\"");
    assert_int_equal(s->train.batch_size, 512);
    assert_int_equal(s->model.bottom.layers.v[1], 4);
    settings_destroy(s);
    s = config_parse(text, SETS("vars.n=1024"));
    assert_int_equal(s->train.batch_size, 1024);
    settings_destroy(s);
}

/* A text that a program assigns comes back as it is, whatever YAML or variables would make of
 * it. */
static void assigned_texts_are_left_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {"runs/a",  "a: b, [c]", "it's \"so\"", "${last}/$${x}/${",
                                        "back\\n", "12",        "null",         " # no comment "};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char set[128];
        assert_true(settings_assign_bytes("run_dir", texts[i]) <= sizeof set);
        settings_assign_text("run_dir", texts[i], set);
        assert_true(strlen(set) < settings_assign_bytes("run_dir", texts[i]));
        struct settings *s = config_parse(config_least, SETS(set));
        assert_string_equal(s->run_dir, texts[i]);
        settings_destroy(s);
    }
}

/* ${seed} is the seed: its default, what the file says, what --set says last; or a variable
 * of that name. */
static void the_seed_is_a_variable(void **state)
{
    (void)state;
    const struct {
        const char *more, *set, *name;
    } cases[] = {{"", "name=s-${seed}", "s-42"},
                 {"seed: 7\n", "name=s-${seed}", "s-7"},
                 {"name: 's-${seed}'\nseed: 7\n", "seed=8", "s-8"},
                 {"seed: '${n}'\nvars: {n: 5}\n", "name=s-${seed}", "s-5"},
                 {"vars: {seed: x}\n", "name=s-${seed}", "s-x"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s%s", config_least, cases[i].more);
        struct settings *s = config_parse(text, SETS(cases[i].set));
        assert_string_equal(s->name, cases[i].name);
        settings_destroy(s);
    }
}

/* A variable that is not there is an error at the text that names it. */
static void unknown_variables_are_errors(void **state)
{
    (void)state;
    config_more_refused("name: '${lats}'\nvars: {last: 1}\n",
                        "c.yaml:5:8: ${lats} is not set in 'vars'", "did you mean ${last}?");
    config_more_refused("name: '${a'\n", "c.yaml:5:8: '${' without a name and '}' in '${a'",
                        "$${");
    config_more_refused("vars: {a: '${b}', b: '${a}'}\n",
                        "c.yaml:5:12: ${b} is set in 'vars' only after this: a variable may use "
                        "those before it", NULL);
}

static struct tmpdir dir;

static int make_files(void **state)
{
    (void)state;
    tmpdir_create(&dir);
    tmpdir_write(&dir, "base.yaml",
                 "seed: 5\nvars: {n: 256}\n"
                 "data:\n  train: {files: [a], where: old}\n  valid: {fraction: 0.1}\n"
                 "  joins: [{files: [j1], key: k}, {files: [j2], key: k}]\n"
                 "features: [{name: u, pool: mean}, {name: v}]\n"
                 "tasks: {c: {label: y}}\nmodel: {type: lr, bottom: {layers: [1, 2]}}\n"
                 "tables: {default: {optimizer: {adagrad: {lr: 0.5}}}}\n"
                 "train: {batch_size: '${n}', optimizer: {adam: {lr: 0.5}}}\n");
    tmpdir_write(&dir, "top.yaml",
                 "include: base.yaml\nvars: {n: 128}\n"
                 "data:\n  train: {where: new}\n  valid: {where: day > 3}\n"
                 "  joins: [{files: [j2], key: other}, {files: [j3], key: k}]\n"
                 "features: [{name: v, kind: dense}, {name: w}]\n"
                 "tasks: {d: {label: z}}\nmodel: {bottom: {layers: [3]}}\n"
                 "tables: {default: {optimizer: {adagrad: {eps: 0.25}}}}\n"
                 "train: {optimizer: {sgd: {lr: 0.1}}}\n");
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    tmpdir_remove(&dir);
    return 0;
}

static enum status load(const char *name, struct settings **s, struct error *err)
{
    char path[512];
    return settings_load(tmpdir_path(&dir, name, path, sizeof path), NULL, 0, s, err);
}

/* Mappings merge, features and joins merge by name and files, lists are replaced. */
static void included_files_are_merged(void **state)
{
    (void)state;
    struct settings *s;
    struct error err;
    if (load("top.yaml", &s, &err) != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(s->seed, 5);
    assert_string_equal(s->name, "top");
    assert_string_equal(s->data.train.files.v[0], "a");
    assert_string_equal(s->data.train.where.text, "new");
    assert_true(s->data.valid.fraction == 0);
    assert_int_equal(s->data.n_joins, 3);
    assert_string_equal(s->data.joins[1].key.text, "other");
    assert_int_equal(s->n_features, 3);
    assert_int_equal(s->features[0].pool, POOL_MEAN);
    assert_int_equal(s->features[1].kind, FEATURE_DENSE);
    assert_int_equal(s->n_tasks, 2);
    assert_int_equal(s->model.bottom.layers.n, 1);
    assert_true(s->tables[0].optimizer.lr == 0.5 && s->tables[0].optimizer.eps == 0.25);
    assert_int_equal(s->train.optimizer.kind, OPT_SGD);
    assert_int_equal(s->train.batch_size, 128);
    settings_destroy(s);
}

/* Features merge by name within groups, too, on either side; the others keep what the group says. */
static void names_of_included_groups_are_merged(void **state)
{
    (void)state;
    tmpdir_write(&dir, "groups.yaml",
                 "data: {train: {files: [a]}}\ntasks: {c: {label: y}}\nmodel: {type: lr}\n"
                 "features: [{names: [a, b1..3, c], split: ' '}, {name: d, split: ' '}]\n");
    tmpdir_write(&dir, "over.yaml",
                 "include: groups.yaml\n"
                 "features: [{name: b2, pool: mean}, {names: [c, d, e], pool: sqrtn}]\n"); /* e is new */
    struct settings *s;
    struct error err;
    if (load("over.yaml", &s, &err) != ST_OK) fail_msg("%s", err.text);
    static const struct {
        const char *first;
        size_t n;
        enum pool pool;
        const char *split;
    } want[] = {{"a", 2, POOL_SUM, " "},   {"b2", 1, POOL_MEAN, " "}, {"b3", 1, POOL_SUM, " "},
                {"c", 1, POOL_SQRTN, " "}, {"d", 1, POOL_SQRTN, " "}, {"e", 1, POOL_SQRTN, NULL}};
    assert_int_equal(s->n_features, 6);
    for (size_t i = 0; i < 6; i++) {
        const struct feature_cfg *f = &s->features[i];
        assert_int_equal(f->names.n, want[i].n);
        assert_string_equal(f->names.v[0], want[i].first);
        assert_int_equal(f->pool, want[i].pool);
        assert_int_equal(f->split != NULL, want[i].split != NULL);
    }
    settings_destroy(s);
}

/* Errors in an included file name that file. */
static void errors_name_the_included_file(void **state)
{
    (void)state;
    struct settings *s;
    struct error err;
    char expected[600];
    tmpdir_write(&dir, "bad.yaml", "train: {lanes: x}\n");
    tmpdir_write(&dir, "uses_bad.yaml", "include: [base.yaml, bad.yaml]\n");
    assert_int_equal(load("uses_bad.yaml", &s, &err), ST_USAGE);
    snprintf(expected, sizeof expected,
             "%s/bad.yaml:1:16: train.lanes: expected a whole number, not 'x'", dir.path);
    assert_string_equal(err.text, expected);
}

/* A missing included file is exit code 66 and says who includes it. */
static void a_missing_included_file_is_no_input(void **state)
{
    (void)state;
    struct settings *s;
    struct error err;
    tmpdir_write(&dir, "lost.yaml", "include: nowhere.yaml\n");
    assert_int_equal(load("lost.yaml", &s, &err), ST_NOINPUT);
    assert_non_null(strstr(err.text, "lost.yaml:1:10: include: "));
    assert_non_null(strstr(err.text, "nowhere.yaml: configuration cannot be read"));
    assert_non_null(strstr(err.hint, "the folder of the file that includes"));
}

/* A file that includes itself ends in an error. */
static void circles_of_includes_are_errors(void **state)
{
    (void)state;
    struct settings *s;
    struct error err;
    tmpdir_write(&dir, "self.yaml", "include: self.yaml\n");
    assert_int_equal(load("self.yaml", &s, &err), ST_USAGE);
    assert_non_null(strstr(err.text, "include: 'self.yaml' is nested too deep"));
    config_more_refused("include: x.yaml\n",
                        "c.yaml:5:10: include: only a configuration file may include others",
                        NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_values_are_typed),
        cmocka_unit_test(set_replaces_mappings),
        cmocka_unit_test(set_addresses_elements_by_name),
        cmocka_unit_test(set_takes_a_name_out_of_its_group),
        cmocka_unit_test(set_null_takes_away),
        cmocka_unit_test(set_chooses),
        cmocka_unit_test(bad_assignments_are_errors),
        cmocka_unit_test(variables_are_replaced),
        cmocka_unit_test(assigned_texts_are_left_alone),
        cmocka_unit_test(the_seed_is_a_variable),
        cmocka_unit_test(unknown_variables_are_errors),
        cmocka_unit_test(included_files_are_merged),
        cmocka_unit_test(names_of_included_groups_are_merged),
        cmocka_unit_test(errors_name_the_included_file),
        cmocka_unit_test(a_missing_included_file_is_no_input),
        cmocka_unit_test(circles_of_includes_are_errors),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
