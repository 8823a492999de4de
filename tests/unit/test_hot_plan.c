/* worker/hot_plan: what is taken from where, and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/failing.h"
#include "tests/unit/hot_sample.h"

static struct tmpdir dir;

/* An old model with its checkpoint, a new one with its plan. */
struct pair {
    struct hot_side_sample old, new;
    char *path;
    struct ckpt *ckpt;
    struct hot_start hot;
    enum status st;
    struct error err;
};

static void pair_open(struct pair *p, const char *const *old_sets, const char *const *new_sets)
{
    static unsigned number;
    char name[32];
    *p = (struct pair){0};
    snprintf(name, sizeof name, "run%u", number++);
    hot_sample_open(&dir, old_sets, NULL, &p->old);
    hot_sample_save(&dir, name, &p->old, &p->path);
    assert_int_equal(hot_start_open(p->path, &p->hot, &p->err), ST_OK);
    hot_sample_open(&dir, new_sets, NULL, &p->new);
    if (p->new.settings->hot_start.statistics == HOT_STATISTICS_KEEP) {
        hot_sample_close(&p->new);
        hot_sample_open(&dir, new_sets, p->hot.ckpt, &p->new);
    }
    p->st = hot_start_plan(&p->hot, p->new.session, &p->err);
}

static void pair_close(struct pair *p)
{
    hot_start_close(&p->hot);
    hot_sample_close(&p->new);
    hot_sample_close(&p->old);
    mem_free(p->path);
}

static const struct hot_target *find(const struct pair *p, const char *name)
{
    if (p->st != ST_OK) fail_msg("%s", p->err.text);
    for (size_t i = 0; i < p->hot.plan->n; i++)
        if (!strcmp(p->hot.plan->targets[i].name, name)) return &p->hot.plan->targets[i];
    fail_msg("no target %s", name);
    return NULL;
}

static void is(const struct pair *p, const char *name, enum hot_action action, const char *reason)
{
    const struct hot_target *t = find(p, name);
    if (t->action != action || strcmp(t->reason, reason) != 0)
        fail_msg("%s: %s, '%s'", name, hot_action_name(t->action), t->reason);
}

static void refused(const char *const *old_sets, const char *const *new_sets, const char *text,
                    const char *hint)
{
    struct pair p;
    pair_open(&p, old_sets, new_sets);
    assert_int_equal(p.st, ST_MISMATCH);
    if (!strstr(p.err.text, text)) fail_msg("'%s' is not in: %s", text, p.err.text);
    if (!strstr(p.err.hint, hint)) fail_msg("'%s' is not in: %s", hint, p.err.hint);
    pair_close(&p);
}

#define FROM "hot_start.from=x"
#define ALL FROM, "hot_start.mode=all"
#define BUY "tasks={click: {label: click}, buy: {label: buy}, like: {label: like}}"

/* Each mode loads more than the one before. */
static void modes_load_what_they_say(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, NULL, SETS(FROM, "hot_start.mode=cold"));
    is(&p, "table/user", HOT_INITIALISED, "mode cold");
    is(&p, "tower/click/layer0/w", HOT_INITIALISED, "mode cold");
    assert_int_equal(p.hot.plan->n_loaded, 0);
    pair_close(&p);
    pair_open(&p, NULL, SETS(FROM));
    is(&p, "table/user", HOT_LOADED, "");
    assert_true(find(&p, "table/user")->keep_state);
    is(&p, "tower/click/layer0/w", HOT_INITIALISED, "mode sparse");
    pair_close(&p);
    pair_open(&p, NULL, SETS(FROM, "hot_start.mode=sparse+shared"));
    is(&p, "expert/level0/shared/0/layer0/b", HOT_LOADED, "");
    is(&p, "tower/click/layer0/w", HOT_LOADED, "");
    assert_false(find(&p, "tower/click/layer0/w")->keep_state);
    pair_close(&p);
    pair_open(&p, NULL, SETS(ALL));
    assert_true(find(&p, "tower/click/layer0/w")->keep_state);
    assert_int_equal(p.hot.plan->n_loaded, p.hot.plan->n);
    pair_close(&p);
}

/* include adds to the mode, exclude takes away from both. */
static void patterns_refine_the_mode(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, NULL, SETS(FROM, "hot_start.include=[bottom, tower/click]",
                             "hot_start.exclude=[table/item, '*/layer0/b']", "model.type=share_bottom"));
    is(&p, "table/user", HOT_LOADED, "");
    is(&p, "table/item", HOT_INITIALISED, "excluded by 'table/item'");
    is(&p, "tower/click/layer1/b", HOT_LOADED, "");
    is(&p, "tower/click/layer0/b", HOT_INITIALISED, "excluded by '*/layer0/b'");
    is(&p, "tower/like/layer1/b", HOT_INITIALISED, "mode sparse");
    pair_close(&p);
}

/* What is only in the checkpoint is listed with the reason. */
static void what_is_left_is_skipped(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, NULL, SETS(ALL, "tasks.like=null", "features.user=null"));
    is(&p, "tower/like/layer0/w", HOT_SKIPPED, "no such part in this model");
    is(&p, "expert/level0/shared/0/layer0/w/user", HOT_SKIPPED, "no such part in this model");
    is(&p, "table/user", HOT_SKIPPED, "no such part in this model");
    assert_int_equal(find(&p, "table/user")->source_rows, HOT_ROWS);
    pair_close(&p);
}

/* A new task has its own parts fresh, its gate even, and nothing of the others changed. */
static void a_new_task_starts_fresh(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, NULL, SETS(ALL, BUY));
    is(&p, "tower/buy/layer0/w", HOT_INITIALISED, "new task");
    is(&p, "expert/level0/buy/0/layer0/b", HOT_INITIALISED, "new task");
    is(&p, "gate/level0/buy/layer0/b", HOT_INITIALISED, "new task: even gate");
    assert_true(find(&p, "gate/level0/buy/layer0/w/user")->zero);
    is(&p, "gate/level0/click/layer0/b", HOT_LOADED, "");
    assert_true(p.hot.plan->new_task[1] && !p.hot.plan->new_task[0] && !p.hot.plan->new_task[2]);
    pair_close(&p);
}

static void columns_are(const struct pair *p, const char *name, const int *want, size_t n)
{
    const struct hot_target *t = find(p, name);
    assert_int_equal(t->cols, n);
    assert_non_null(t->columns);
    assert_memory_equal(t->columns, want, n * sizeof *want);
}

/* The shared gate mixes click/0, like/0, shared/0, shared/1; then buy/0 is closed. */
static void the_shared_gate_is_closed_for_new_experts(void **state)
{
    (void)state;
    struct pair p;
    const char *ple = "model.type=ple", *levels = "model.experts.levels=2";
    pair_open(&p, SETS(ple, levels), SETS(ALL, BUY, ple, levels));
    columns_are(&p, "gate/level0/shared/layer0/b", (const int[]){0, HOT_CLOSED, 1, 2, 3}, 5);
    columns_are(&p, "gate/level0/shared/layer0/w/age", (const int[]){0, HOT_CLOSED, 1, 2, 3}, 5);
    is(&p, "gate/level0/shared/layer0/b", HOT_LOADED, "columns of new experts are closed");
    columns_are(&p, "gate/level1/like/layer0/b", (const int[]){0, 1, 2}, 3);
    pair_close(&p);
}

/* Columns go by the names of experts: fewer, more, renamed, of another type of model. */
static void columns_follow_their_experts(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, NULL, SETS(ALL, "model.experts.own=2", "model.experts.shared=1"));
    columns_are(&p, "gate/level0/click/layer0/b", (const int[]){0, HOT_CLOSED, 1}, 3);
    pair_close(&p);
    pair_open(&p, SETS("model.type=mmoe"), SETS(ALL));
    columns_are(&p, "gate/level0/click/layer0/b", (const int[]){HOT_CLOSED, 0, 1}, 3);
    is(&p, "expert/level0/shared/2/layer0/b", HOT_SKIPPED, "no such part in this model");
    pair_close(&p);
    pair_open(&p, SETS("model.type=mmoe"),
              SETS(ALL, "hot_start.rename={expert/level0/click/0: expert/level0/shared/2}"));
    columns_are(&p, "gate/level0/click/layer0/b", (const int[]){2, 0, 1}, 3);
    columns_are(&p, "gate/level0/like/layer0/b", (const int[]){HOT_CLOSED, 0, 1}, 3);
    pair_close(&p);
    pair_open(&p, NULL, SETS(ALL, "hot_start.exclude=['expert/*']"));
    is(&p, "gate/level0/click/layer0/b", HOT_INITIALISED, "none of its experts is loaded");
    pair_close(&p);
}

/* They also do when what a gate reads is wider, or less wide, on request. */
static void columns_follow_in_other_widths(void **state)
{
    (void)state;
    struct pair p;
    const char *ple = "model.type=ple", *levels = "model.experts.levels=3";
    const int want[] = {0, HOT_CLOSED, 1, 2, 3};
    pair_open(&p, SETS(ple, levels), SETS(ALL, BUY, ple, levels, "model.experts.layers=[12]",
                                          "tables.default.dim=6", "hot_start.resize=pad"));
    columns_are(&p, "gate/level1/shared/layer0/w", want, 5);
    columns_are(&p, "gate/level0/shared/layer0/w/user", want, 5);
    is(&p, "gate/level1/like/layer0/w", HOT_LOADED, "padded");
    pair_close(&p);
    pair_open(&p, SETS(ple, levels), SETS(ALL, BUY, ple, levels, "model.experts.layers=[6]",
                                          "hot_start.resize=cut"));
    columns_are(&p, "gate/level1/shared/layer0/w", want, 5);
    pair_close(&p);
    refused(SETS(ple, levels), SETS(ALL, BUY, ple, levels, "tables.default.dim=6",
                                    "hot_start.exclude=['table/*', 'expert/*/w/*']"),
            "gate/level0/click/layer0/w/user: shape is [6, 3]", "hot_start.resize");
}

/* A gate with hidden layers has expert columns in its last layer alone. */
static void hidden_layers_of_gates_are_plain(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, SETS("model.gates.layers=[6]"),
              SETS(ALL, "model.gates.layers=[6]", "model.experts.own=2"));
    assert_null(find(&p, "gate/level0/click/layer0/b")->columns);
    columns_are(&p, "gate/level0/click/layer1/w", (const int[]){0, HOT_CLOSED, 1, 2}, 4);
    pair_close(&p);
}

/* The gate of a new task may copy an old one's: own experts stand for own experts. */
static void a_gate_is_copied(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, NULL, SETS(ALL, BUY, "hot_start.new_task.gate=like"));
    is(&p, "gate/level0/buy/layer0/b", HOT_LOADED, "copied for the new task");
    assert_string_equal(find(&p, "gate/level0/buy/layer0/b")->source, "gate/level0/like/layer0/b");
    columns_are(&p, "gate/level0/buy/layer0/b", (const int[]){0, 1, 2}, 3);
    is(&p, "gate/level0/like/layer0/b", HOT_LOADED, "");
    pair_close(&p);
}

/* A gate that is not there is no gate to copy; features of its own are. */
static void a_gate_to_copy_must_be_there(void **state)
{
    (void)state;
    struct pair p;
    refused(NULL, SETS(ALL, BUY, "hot_start.new_task.gate=buy"),
            "gate/level0/buy/layer0/b, which is not in the checkpoint", "uniform");
    pair_open(&p, SETS("features.user=null"), SETS(ALL, BUY, "hot_start.new_task.gate=like"));
    is(&p, "gate/level0/buy/layer0/b", HOT_LOADED, "copied for the new task");
    is(&p, "gate/level0/buy/layer0/w/user", HOT_INITIALISED,
       "new feature of a loaded layer: zeros");
    pair_close(&p);
}

/* Rows of lr are weights of tasks: no embeddings, though they may be as wide. */
static void weights_of_tasks_are_no_embeddings(void **state)
{
    (void)state;
    refused(SETS("model.type=lr"), SETS(FROM, "tables.default.dim=2"), "nothing of", "");
    refused(SETS("tables.default.dim=2"), SETS(FROM, "model.type=lr"), "nothing of", "");
}

/* A feature that the loaded layers did not have starts with zeros. */
static void a_new_feature_starts_with_zeros(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, SETS("features.user=null"), SETS(ALL, BUY));
    is(&p, "expert/level0/shared/0/layer0/w/user", HOT_INITIALISED,
       "new feature of a loaded layer: zeros");
    assert_true(find(&p, "expert/level0/shared/0/layer0/w/user")->zero);
    is(&p, "expert/level0/buy/0/layer0/w/user", HOT_INITIALISED, "new task");
    assert_false(find(&p, "expert/level0/buy/0/layer0/w/user")->zero);
    is(&p, "table/user", HOT_INITIALISED, "not in the checkpoint");
    pair_close(&p);
}

/* Tasks, features and tables go by their old names. */
static void renamed_parts_are_found(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, NULL,
              SETS(ALL, "tasks={tap: {label: click}, like: {label: like}}", "features.user.table=who",
                   "hot_start.rename={task/tap: task/click, table/who: table/user}"));
    assert_string_equal(find(&p, "tower/tap/layer0/b")->source, "tower/click/layer0/b");
    assert_string_equal(find(&p, "gate/level0/tap/layer0/w/age")->source,
                        "gate/level0/click/layer0/w/age");
    columns_are(&p, "gate/level0/tap/layer0/b", (const int[]){0, 1, 2}, 3);
    assert_string_equal(find(&p, "table/who")->source, "table/user");
    assert_false(p.hot.plan->new_task[0]);
    assert_int_equal(p.hot.plan->n_loaded, p.hot.plan->n);
    pair_close(&p);
}

/* Shapes must agree unless a resize is asked for, in one direction. */
static void resizing_is_on_request(void **state)
{
    (void)state;
    struct pair p;
    const char *wide = "model.towers.layers=[6]", *narrow = "model.towers.layers=[2]";
    refused(NULL, SETS(ALL, wide), "tower/click/layer0/w: shape is [8, 6], in the checkpoint [8, 4]",
            "hot_start.resize=pad");
    refused(NULL, SETS(ALL, wide, "hot_start.resize=cut"), "tower/click/layer0/w", "");
    refused(NULL, SETS(ALL, narrow, "hot_start.resize=pad"), "tower/click/layer0/w", "");
    refused(NULL, SETS(FROM, "tables.default.dim=6"), "table/item: dim is 6, in the checkpoint 4",
            "hot_start.exclude");
    refused(NULL, SETS(ALL, wide, "tables.default.dim=2", "hot_start.resize=pad"), "table/item", "");
    pair_open(&p, NULL, SETS(ALL, wide, "hot_start.resize=pad"));
    is(&p, "tower/click/layer0/w", HOT_LOADED, "padded");
    is(&p, "tower/click/layer1/w", HOT_LOADED, "padded");
    is(&p, "tower/click/layer1/b", HOT_LOADED, "");
    pair_close(&p);
    pair_open(&p, NULL, SETS(ALL, narrow, "tables.default.dim=2", "hot_start.resize=cut"));
    is(&p, "table/user", HOT_LOADED, "cut");
    assert_true(find(&p, "table/user")->resized);
    pair_close(&p);
}

/* A pattern that fits nothing is named with what was meant. */
static void patterns_must_fit(void **state)
{
    (void)state;
    refused(NULL, SETS(ALL, "hot_start.exclude=[tower/clik]"),
            "hot_start.exclude: 'tower/clik' fits nothing of this model", "'tower/click'");
    refused(NULL, SETS(ALL, "hot_start.include=[table/usr]"), "hot_start.include: 'table/usr'",
            "'table/user'");
    refused(NULL, SETS(ALL, "hot_start.perturb={task/clck: {shrink: 0.5}}"),
            "hot_start.perturb: 'task/clck'", "'task/click'");
    refused(NULL, SETS(ALL, "hot_start.lr_scale={gates: 0.5}"), "hot_start.lr_scale: 'gates'", "");
    refused(NULL, SETS(ALL, "hot_start.freeze=[{names: [feature/usr]}]"),
            "hot_start.freeze: 'feature/usr'", "'feature/user'");
    refused(NULL, SETS(ALL, "hot_start.rename={tower/x: tower/click}"),
            "hot_start.rename: 'tower/x' fits nothing of this model", "");
    refused(NULL, SETS(ALL, "hot_start.rename={tower/click: tower/clik}"),
            "hot_start.rename: 'tower/clik' fits nothing of the checkpoint", "'tower/click'");
    refused(NULL, SETS(ALL, "hot_start.rename={task/like: table/user}"),
            "hot_start.rename: 'task/like: table/user' finds no part", "both sides alike");
}

/* Two sources for one target are refused with both. */
static void two_sources_are_refused(void **state)
{
    (void)state;
    refused(NULL,
            SETS(ALL, "hot_start.rename={task/like: task/click, tower/like: tower/like}"),
            "two sources for tower/like/layer0/w: 'tower/like: tower/like' and "
            "'task/like: task/click'",
            "take one");
}

/* A pattern must not freeze parts of a new task. */
static void new_tasks_are_not_frozen(void **state)
{
    (void)state;
    refused(NULL, SETS(ALL, BUY, "hot_start.freeze=[{names: ['tower/*'], until: 5}]"),
            "'tower/*' freezes tower/buy/layer0/w, but task buy is new", "only_new");
}

/* Rows are only taken when their ids mean the same and the optimiser is the same. */
static void rows_must_be_of_the_same_kind(void **state)
{
    (void)state;
    struct pair p;
    const char *adam = "tables.default.optimizer=adam";
    refused(NULL, SETS(FROM, adam), "another optimiser", "hot_start.state.sparse=reset");
    pair_open(&p, NULL, SETS(FROM, adam, "hot_start.state.sparse=reset"));
    is(&p, "table/user", HOT_LOADED, "");
    pair_close(&p);
    refused(NULL, SETS(ALL, "train.optimizer=sgd"), "tensors: the state in the checkpoint is of "
            "another optimiser", "hot_start.state.dense=reset");
    pair_open(&p, NULL, SETS(FROM, "hot_start.mode=sparse+shared", "train.optimizer=sgd"));
    assert_int_equal(p.st, ST_OK);
    pair_close(&p);
}

/* Loading nothing is an error unless it is asked for. */
static void nothing_loaded_is_refused(void **state)
{
    (void)state;
    refused(NULL, SETS(ALL, "hot_start.exclude=['*']"), "nothing of ", "hot_start.mode=cold");
    struct hot_side_sample s;
    struct hot_start hot = {0};
    struct error err;
    hot_sample_open(&dir, SETS("hot_start.mode=cold"), NULL, &s);
    assert_int_equal(hot_start_plan(&hot, s.session, &err), ST_OK);
    assert_int_equal(hot.plan->n_loaded, 0);
    assert_string_equal(hot.plan->targets[0].reason, "mode cold");
    hot_start_close(&hot);
    hot_sample_close(&s);
}

/* Levels of a one_hot feature that changed cannot take rows of weights by place. */
static void other_levels_are_refused(void **state)
{
    (void)state;
    const char *turned = "features.phone={kind: one_hot, expr: \"concat(phone, user)\"}";
    refused(NULL, SETS(ALL, turned, "hot_start.statistics=fit", "hot_start.resize=pad"), "levels",
            "hot_start.statistics=keep");
}

/* Running out of memory anywhere leaves nothing behind. */
static void every_failed_allocation_is_told(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, NULL, SETS(ALL, BUY, "hot_start.new_task.gate=like"));
    assert_int_equal(p.st, ST_OK);
    hot_plan_destroy(p.hot.plan);
    p.hot.plan = NULL;
    EACH_ALLOCATION_FAILS(hot_start_plan(&p.hot, p.new.session, &p.err));
    pair_close(&p);
}

static int set_up(void **state)
{
    (void)state;
    hot_sample_data(&dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tmpdir_remove(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_load_what_they_say),
        cmocka_unit_test(patterns_refine_the_mode),
        cmocka_unit_test(what_is_left_is_skipped),
        cmocka_unit_test(a_new_task_starts_fresh),
        cmocka_unit_test(the_shared_gate_is_closed_for_new_experts),
        cmocka_unit_test(columns_follow_their_experts),
        cmocka_unit_test(columns_follow_in_other_widths),
        cmocka_unit_test(hidden_layers_of_gates_are_plain),
        cmocka_unit_test(a_gate_is_copied),
        cmocka_unit_test(a_gate_to_copy_must_be_there),
        cmocka_unit_test(weights_of_tasks_are_no_embeddings),
        cmocka_unit_test(a_new_feature_starts_with_zeros),
        cmocka_unit_test(renamed_parts_are_found),
        cmocka_unit_test(resizing_is_on_request),
        cmocka_unit_test(patterns_must_fit),
        cmocka_unit_test(two_sources_are_refused),
        cmocka_unit_test(new_tasks_are_not_frozen),
        cmocka_unit_test(rows_must_be_of_the_same_kind),
        cmocka_unit_test(nothing_loaded_is_refused),
        cmocka_unit_test(other_levels_are_refused),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
