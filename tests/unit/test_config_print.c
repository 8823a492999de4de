/* common/config: printing is the inverse of parsing, and comparison is by
 * meaning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"

#include "tests/unit/config_text.h"

static char *printed(const struct settings *s, bool origins)
{
    char *text;
    struct error err;
    if (settings_print(s, origins, &text, &err) != ST_OK) fail_msg("%s", err.text);
    return text;
}

/* One line of flow text, and back: the same configuration. */
static void flows_back(const struct settings *s, const char *want)
{
    char *line;
    struct settings *again;
    struct error err;
    if (settings_print_flow(s, &line, &err) != ST_OK) fail_msg("%s", err.text);
    assert_null(strchr(line, '\n'));
    if (settings_parse_flow(line, strlen(line), "flow", &again, &err) != ST_OK)
        fail_msg("%s: %s", err.text, line);
    char *text = printed(again, false);
    assert_string_equal(text, want);
    mem_free(text);
    mem_free(line);
    settings_destroy(again);
}

/* Print, parse, print: the same text. */
static void reads_back(const char *text)
{
    struct settings *s = config_parse(text, NULL);
    char *first = printed(s, false);
    struct settings *again = config_parse(first, NULL);
    char *second = printed(again, false);
    assert_string_equal(first, second);
    flows_back(s, first);
    char *commented = printed(s, true); /* comments change nothing either */
    struct settings *third = config_parse(commented, NULL);
    char *last = printed(third, false);
    assert_string_equal(first, last);
    mem_free(first);
    mem_free(second);
    mem_free(commented);
    mem_free(last);
    settings_destroy(s);
    settings_destroy(again);
    settings_destroy(third);
}

/* What is printed reads back as the same configuration. */
static void printing_is_the_inverse_of_parsing(void **state)
{
    (void)state;
    reads_back(config_least);
    reads_back("name: 'null'\nvars: {x: 3}\n"
               "data:\n  delimiter: \"\\t|'\\\"\"\n  missing: [\"\", NULL, ~, ' ', \"a: b # c\"]\n"
               "  train: {files: ['*.csv', \"a, b\", '[x]'], where: 'a == \"$${x}\" and ${x} > 1'}\n"
               "  valid: {files: [v], where: \"x\"}\n  bad_rows: {max: 10}\n"
               "features:\n  - {names: [a0..3, 'x*', '- b'], except: [x1]}\n"
               "  - {name: \"\\u00e9t\\u00e9 !\", kind: dense, transform: [{clip: [-1.5, 2]}, minmax]}\n"
               "  - {name: 12, split: \" \", missing: []}\n"
               "tables: {a0: {optimizer: rowwise_adagrad, init: {uniform: 0.5}}, 'x ${y': {dim: 3},\n"
               "         a1: {optimizer: {adam: {}}}, a2: {}}\n"
               "tasks: {c: {label: \"a:b\"}, d: {label: \"x >\\n3\", tower: {layers: []}}}\n"
               "model: {type: cgc, experts: {own: 1, shared: 0, layers: [2]}, towers: {layers: []}}\n"
               "train: {lanes: auto, eval_every: [1 epoch, 5 min], early_stop: {metric: auc},\n"
               "        schedule: {decay: {step: {every: 7}}}, optimizer: sgd}\n"
               "checkpoint: {every: never}\n");
}

/* The configurations that ship read back too. */
static void shipped_configurations_read_back(void **state)
{
    (void)state;
    static const char *const files[] = {"configs/kuairand-mmoe.yaml", "configs/census-mmoe.yaml",
                                        "configs/paddlerec-slot-dnn.yaml"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct settings *s;
        struct error err;
        if (settings_load(files[i], NULL, 0, &s, &err) != ST_OK) fail_msg("%s", err.text);
        char *text = printed(s, false);
        reads_back(text);
        mem_free(text);
        settings_destroy(s);
    }
}

/* Each line can say where its value comes from, and what the type leaves alone. */
static void origins_are_printed(void **state)
{
    (void)state;
    static const char *const sets[] = {"seed=3", NULL};
    struct settings *s = config_parse("data: {train: {files: [a]}}\nfeatures: [{name: u}]\n"
                                      "tasks: {c: {label: y}}\n"
                                      "model: {type: lr, bottom: {layers: [5]}}\n",
                                      sets);
    char *text = printed(s, true);
    assert_non_null(strstr(text, "seed: 3  # --set\n"));
    assert_non_null(strstr(text, "    files: [a]  # c.yaml:1\n"));
    assert_non_null(strstr(text, "  batch_size: 1024  # default\n"));
    assert_non_null(strstr(text, "    layers: [5]  # c.yaml:4, not used by type lr\n"));
    mem_free(text);
    settings_destroy(s);
}

typedef enum status (*diff_fn)(const struct settings *a, const struct settings *b, char **out,
                               size_t *n, struct error *err);

/* Settings of two texts differ in exactly this. */
static void differ(diff_fn diff, const char *old, const char *const *sets, size_t n,
                   const char *expected)
{
    struct settings *a = config_parse(old, NULL), *b = config_parse(old, sets);
    struct error err;
    char *text;
    size_t n_diff;
    if (diff(a, b, &text, &n_diff, &err) != ST_OK) fail_msg("%s", err.text);
    assert_string_equal(text, expected);
    assert_int_equal(n_diff, n);
    mem_free(text);
    settings_destroy(a);
    settings_destroy(b);
}

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A resumed run may go on longer and elsewhere. */
static void resume_allows_what_does_not_change_training(void **state)
{
    (void)state;
    differ(settings_diff_resume, config_least,
           SETS("train.epochs=9", "train.max_steps=5", "data.valid=null", "run_dir=x",
                "train.eval_every=5 steps", "checkpoint={every: 1 h, keep: 9}", "log.level=debug",
                "cluster={servers: 3, threads: 2, deadline: 5 s}", "data.cache=c",
                "data.eval={files: [b]}"),
           0, "");
}

/* Everything else is named with both values. */
static void resume_names_what_differs(void **state)
{
    (void)state;
    differ(settings_diff_resume, config_least, SETS("train.batch_size=64", "seed=1"), 2,
           "seed: 42 (checkpoint) != 1 (config); "
           "train.batch_size: 1024 (checkpoint) != 64 (config)");
    differ(settings_diff_resume, config_least, SETS("train.optimizer.sgd.lr=0.5"), 1,
           "train.optimizer: adam (checkpoint) != sgd (config)");
    differ(settings_diff_resume, config_least, SETS("tasks.like.label=z"), 1,
           "tasks.like: not set (checkpoint) != given (config)");
    differ(settings_diff_resume, config_least, SETS("features.item=null"), 1,
           "features.item: id (checkpoint) != not set (config)");
    differ(settings_diff_resume, config_least,
           SETS("model={type: dnn, bottom: {layers: [3]}}"), 1,
           "model.type: lr (checkpoint) != dnn (config)");
    differ(settings_diff_resume, config_least, SETS("data.train.where=x > 1"), 1,
           "data.train.where: none (checkpoint) != x > 1 (config)");
    differ(settings_diff_resume, config_least, SETS("tables.user.dim=8"), 1,
           "tables.user.dim: 16 (checkpoint) != 8 (config)");
    differ(settings_diff_resume, config_least, SETS("features=[{name: item}, {name: user}]"), 1,
           "features (order): user, item (checkpoint) != item, user (config)");
}

static void same_meaning(const char *a, const char *b)
{
    struct settings *x = config_parse(a, NULL), *y = config_parse(b, NULL);
    struct error err;
    char *text;
    size_t n;
    assert_int_equal(settings_diff_resume(x, y, &text, &n, &err), ST_OK);
    assert_string_equal(text, "");
    mem_free(text);
    settings_destroy(x);
    settings_destroy(y);
}

/* Two ways to write the same thing do not differ. */
static void ways_of_writing_do_not_differ(void **state)
{
    (void)state;
    same_meaning("data: {format: tsv, train: {files: [a]}}\nname: n\n"
                 "features: [{names: [u0..1]}, {name: v, dim: 4}]\ntables: {u0: {dim: 16}}\n"
                 "tasks: {c: {label: y, tower: {layers: [8]}}}\n"
                 "model: {type: share_bottom, bottom: {layers: [4]}, experts: {count: 3}}\n",
                 "data: {train: {files: a, format: tsv}}\nname: n\n"
                 "features: [{name: u0}, {name: u1, column: u1}, {name: v}]\n"
                 "tables: {v: {dim: 4, optimizer: {adagrad: {lr: 0.10}}}}\n"
                 "tasks: {c: {label: y}}\n"
                 "model: {type: share_bottom, bottom: {layers: [4]}, towers: {layers: [8]}}\n"
                 "train: {batch_size: 1024}\n");
}

/* Scoring compares the model and its inputs only. */
static void scoring_compares_the_model(void **state)
{
    (void)state;
    differ(settings_diff_model, config_least,
           SETS("data.train.files=[other]", "train.batch_size=8", "tasks.click.label=z",
                "tables.default.optimizer=sgd", "features=[{name: item}, {name: user}]"),
           0, "");
    differ(settings_diff_model, config_least, SETS("tables.default.dim=8"), 1,
           "tables.default.dim: 16 (checkpoint) != 8 (config)");
    differ(settings_diff_model, config_least, SETS("features.user.kind=one_hot"), 1,
           "features.user: id (checkpoint) != one_hot (config)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printing_is_the_inverse_of_parsing),
        cmocka_unit_test(shipped_configurations_read_back),
        cmocka_unit_test(origins_are_printed),
        cmocka_unit_test(resume_allows_what_does_not_change_training),
        cmocka_unit_test(resume_names_what_differs),
        cmocka_unit_test(ways_of_writing_do_not_differ),
        cmocka_unit_test(scoring_compares_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
