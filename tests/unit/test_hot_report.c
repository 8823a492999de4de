/* worker/hot_coverage, worker/hot_report: what the loaded rows cover, and how it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/failing.h"
#include "tests/unit/hot_sample.h"
#include "worker/hot_report.h"

static struct tmpdir dir;
static char *path; /* a checkpoint of the plain sample */

struct planned {
    struct hot_side_sample side;
    struct hot_start hot;
    struct hot_coverage *coverage;
};

static void plan(struct planned *p, const char *const *sets)
{
    struct error err;
    *p = (struct planned){0};
    hot_sample_check(hot_start_open(path, &p->hot, &err), &err);
    hot_sample_open(&dir, sets, NULL, &p->side);
    hot_sample_check(hot_start_plan(&p->hot, p->side.session, &err), &err);
    hot_sample_check(hot_coverage_make(&p->hot, p->side.session, NULL, &p->coverage, &err), &err);
}

static void close_plan(struct planned *p)
{
    hot_coverage_destroy(p->coverage);
    hot_start_close(&p->hot);
    hot_sample_close(&p->side);
}

static const struct hot_share *share(const struct hot_share *v, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(v[i].name, name)) return &v[i];
    fail_msg("nothing about %s", name);
    return NULL;
}

static void covers(const struct hot_share *s, uint64_t distinct, uint64_t distinct_found,
                   uint64_t lookups, uint64_t lookups_found)
{
    assert_int_equal(s->distinct, distinct);
    assert_int_equal(s->distinct_found, distinct_found);
    assert_int_equal(s->lookups, lookups);
    assert_int_equal(s->lookups_found, lookups_found);
}

#define FEATURE(p, name) share((p)->coverage->features, (p)->coverage->n_features, name)
#define TABLE(p, name) share((p)->coverage->tables, (p)->coverage->n_tables, name)
enum { FOUND_USERS = HOT_DATA_USERS - HOT_FIRST_USER, PER_USER = HOT_DATA_ROWS / HOT_DATA_USERS };

/* Ids and lookups are counted by feature, and by table over all its features. */
static void ids_and_lookups_are_counted(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, SETS("hot_start.from=x"));
    covers(FEATURE(&p, "user"), HOT_DATA_USERS, FOUND_USERS, HOT_DATA_ROWS, FOUND_USERS * PER_USER);
    covers(TABLE(&p, "user"), HOT_DATA_USERS, FOUND_USERS, HOT_DATA_ROWS, FOUND_USERS * PER_USER);
    covers(FEATURE(&p, "item"), HOT_DATA_ITEMS, 0, HOT_DATA_ROWS, 0);
    covers(FEATURE(&p, "seen"), 11, 0, 2 * HOT_DATA_ROWS, 0); /* i % 5 and i % 11 */
    covers(TABLE(&p, "item"), HOT_DATA_ITEMS, 0, 3 * HOT_DATA_ROWS, 0);
    assert_int_equal(p.coverage->rows[1], HOT_ROWS);
    close_plan(&p);
}

/* A feature that the wide part alone reads is covered by its weights; the tables are those of
 * the model, in which its embeddings are missing. */
static void wide_weights_cover(void **state)
{
    (void)state;
    struct planned p;
    struct hot_side_sample wide;
    plan(&p, SETS("hot_start.from=x", "model.type=wide_deep",
                  "model.wide={features: [user, item], only: [user]}"));
    covers(FEATURE(&p, "user"), HOT_DATA_USERS, 0, HOT_DATA_ROWS, 0);
    covers(TABLE(&p, "wide/user"), HOT_DATA_USERS, 0, HOT_DATA_ROWS, 0);
    covers(TABLE(&p, "item"), HOT_DATA_ITEMS, 0, 3 * HOT_DATA_ROWS, 0);
    covers(TABLE(&p, "wide/item"), HOT_DATA_ITEMS, 0, HOT_DATA_ROWS, 0);
    assert_int_equal(p.coverage->n_tables, 3);
    assert_int_equal(p.coverage->rows[0], HOT_ROWS); /* item */
    close_plan(&p);
    char *const plain = path;
    hot_sample_open(&dir, SETS("model.type=wide_deep",
                               "model.wide={features: [user, item], only: [user]}"), NULL, &wide);
    hot_sample_save(&dir, "wide", &wide, &path);
    hot_sample_close(&wide);
    plan(&p, SETS("hot_start.from=x", "model.type=wide_deep",
                  "model.wide={features: [user, item], only: [user]}"));
    covers(FEATURE(&p, "user"), HOT_DATA_USERS, FOUND_USERS, HOT_DATA_ROWS, FOUND_USERS * PER_USER);
    covers(TABLE(&p, "wide/user"), HOT_DATA_USERS, FOUND_USERS, HOT_DATA_ROWS,
           FOUND_USERS * PER_USER);
    close_plan(&p);
    mem_free(path);
    path = plain;
}

/* Rows that a filter leaves behind cover nothing; tables that are not loaded neither. */
static void only_loaded_rows_cover(void **state)
{
    (void)state;
    struct planned p;
    uint64_t found = 0;
    for (size_t i = 20; i < HOT_ROWS; i++) /* row i was seen i + 1 times */
        for (size_t u = HOT_FIRST_USER; u < HOT_DATA_USERS; u++) {
            char id[16];
            int n = snprintf(id, sizeof id, "u%zu", u);
            found += hot_sample_key(i) == hash_id(id, (size_t)n);
        }
    plan(&p, SETS("hot_start.from=x", "hot_start.rows.min_count=21"));
    assert_true(found > 0 && found < FOUND_USERS);
    covers(FEATURE(&p, "user"), HOT_DATA_USERS, found, HOT_DATA_ROWS, found * PER_USER);
    assert_int_equal(p.coverage->rows[1], HOT_ROWS - 20);
    close_plan(&p);
    plan(&p, SETS("hot_start.from=x", "hot_start.exclude=[table/user]"));
    covers(FEATURE(&p, "user"), HOT_DATA_USERS, 0, HOT_DATA_ROWS, 0);
    close_plan(&p);
}

/* A table that is loaded from another name covers by that one's rows. */
static void renamed_tables_cover(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, SETS("hot_start.from=x", "features.user.table=people",
                  "hot_start.rename={table/people: table/item}"));
    covers(FEATURE(&p, "user"), HOT_DATA_USERS, FOUND_USERS, HOT_DATA_ROWS, FOUND_USERS * PER_USER);
    close_plan(&p);
}

static const json_t *target(const json_t *doc, const char *name)
{
    const json_t *list = json_object_get(doc, "targets");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i);
        if (!strcmp(json_string_value(json_object_get(t, "name")), name)) return t;
    }
    fail_msg("no target %s", name);
    return NULL;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* The JSON names every table and tensor with what happens, from where, and why. */
static void the_json_is_complete(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, SETS("hot_start.from=x", "hot_start.mode=all", "hot_start.rows.min_count=11",
                  "tasks={tap: {label: click}, buy: {label: buy}}",
                  "hot_start.rename={task/tap: task/click}"));
    json_t *doc = hot_report_json(&p.hot, p.coverage);
    const json_t *t = target(doc, "table/user");
    long long rows, dim;
    assert_string_equal(text_of(doc, "mode"), "all");
    assert_int_equal(json_integer_value(json_object_get(doc, "step")), HOT_STEP);
    assert_int_equal(json_array_size(json_object_get(doc, "targets")), p.hot.plan->n);
    assert_int_equal(json_unpack((json_t *)t, "{s:[I, I]}", "shape", &rows, &dim), 0);
    assert_true(rows == HOT_ROWS - 10 && dim == 4);
    assert_int_equal(json_unpack((json_t *)t, "{s:[I, I]}", "source_shape", &rows, &dim), 0);
    assert_true(rows == HOT_ROWS && dim == 4);
    assert_string_equal(text_of(t, "state"), "kept");
    t = target(doc, "tower/tap/layer0/w");
    assert_string_equal(text_of(t, "source"), "tower/click/layer0/w");
    t = target(doc, "tower/buy/layer0/w");
    assert_string_equal(text_of(t, "action"), "initialised");
    assert_string_equal(text_of(t, "reason"), "new task");
    t = target(doc, "tower/like/layer0/w");
    assert_string_equal(text_of(t, "action"), "skipped");
    const json_t *user =
        json_object_get(json_object_get(json_object_get(doc, "coverage"), "features"), "user");
    assert_int_equal(json_integer_value(json_object_get(user, "distinct")), HOT_DATA_USERS);
    assert_string_equal(text_of(user, "table"), "user");
    json_decref(doc);
    close_plan(&p);
}

static void says(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' is not in: %s", part, text);
}

/* The lines join a unit's tensors and tell rows, filters, sources and shares. */
static void the_lines_are_readable(void **state)
{
    (void)state;
    struct planned p;
    struct error err;
    char *text;
    plan(&p, SETS("hot_start.from=x", "hot_start.mode=all", "hot_start.rows.min_count=11",
                  "tasks={tap: {label: click}, buy: {label: buy}}", "hot_start.exclude=[table/item]",
                  "hot_start.rename={task/tap: task/click}"));
    hot_sample_check(hot_report_text(&p.hot, p.coverage, &text, &err), &err);
    says(text, "step 50: ");
    says(text, "loaded       table/user                        30 of 40 rows  dim 4  with state\n");
    says(text, "initialised  table/item                        40 rows  dim 4  excluded by 'table/item'\n");
    says(text, "loaded       tower/tap                         4 tensors  from tower/click  with state\n");
    says(text, "initialised  tower/buy                         4 tensors  new task\n");
    says(text, "skipped      tower/like                        4 tensors  no such part in this model\n");
    says(text, "feature  user                     ");
    mem_free(text);
    hot_sample_check(hot_report_text(&p.hot, NULL, &text, &err), &err);
    assert_null(strstr(text, "feature "));
    mem_free(text);
    close_plan(&p);
}

/* The run directory gets the same JSON. */
static void the_run_directory_has_the_report(void **state)
{
    (void)state;
    struct planned p;
    struct error err;
    char file[300];
    plan(&p, SETS("hot_start.from=x"));
    hot_sample_check(hot_report_run(&p.hot, p.coverage, dir.path, &err), &err);
    json_t *doc = json_load_file(tmpdir_path(&dir, "hot_start.json", file, sizeof file), 0, NULL);
    json_t *want = hot_report_json(&p.hot, p.coverage);
    assert_non_null(doc);
    assert_true(json_equal(doc, want));
    json_decref(doc);
    json_decref(want);
    close_plan(&p);
}

/* Filters that leave no row leave nothing of a plan of tables. */
static void a_plan_without_a_row_is_refused(void **state)
{
    (void)state;
    struct planned p = {0};
    struct error err;
    hot_sample_check(hot_start_open(path, &p.hot, &err), &err);
    hot_sample_open(&dir, SETS("hot_start.from=x", "hot_start.rows.min_count=41"), NULL, &p.side);
    hot_sample_check(hot_start_plan(&p.hot, p.side.session, &err), &err);
    assert_int_equal(hot_coverage_make(&p.hot, p.side.session, NULL, &p.coverage, &err), ST_MISMATCH);
    assert_non_null(strstr(err.text, "no row of"));
    p.coverage = NULL;
    close_plan(&p);
    plan(&p, SETS("hot_start.from=x", "hot_start.rows.min_count=40")); /* the last row */
    close_plan(&p);
    plan(&p, SETS("hot_start.from=x", "hot_start.mode=all", "hot_start.rows.min_count=41"));
    close_plan(&p);
}

/* Running out of memory anywhere leaves nothing behind. */
static void every_failed_allocation_is_told(void **state)
{
    (void)state;
    struct planned p;
    struct error err;
    plan(&p, SETS("hot_start.from=x"));
    hot_coverage_destroy(p.coverage);
    p.coverage = NULL;
    EACH_ALLOCATION_FAILS(hot_coverage_make(&p.hot, p.side.session, NULL, &p.coverage, &err));
    close_plan(&p);
}

static int set_up(void **state)
{
    (void)state;
    struct hot_side_sample plain;
    hot_sample_data(&dir);
    hot_sample_open(&dir, NULL, NULL, &plain);
    hot_sample_save(&dir, "plain", &plain, &path);
    hot_sample_close(&plain);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mem_free(path);
    tmpdir_remove(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_lookups_are_counted),
        cmocka_unit_test(wide_weights_cover),
        cmocka_unit_test(a_plan_without_a_row_is_refused),
        cmocka_unit_test(only_loaded_rows_cover),
        cmocka_unit_test(renamed_tables_cover),
        cmocka_unit_test(the_json_is_complete),
        cmocka_unit_test(the_lines_are_readable),
        cmocka_unit_test(the_run_directory_has_the_report),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
