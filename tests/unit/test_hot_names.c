/* worker/hot_names: names taken apart, patterns, renaming. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "worker/hot_names.h"

static struct task_cfg tasks[] = {{.name = "click"}, {.name = "like"}};
static const struct settings two_tasks = {.tasks = tasks, .n_tasks = 2};

/* The task stands second, or behind the level. */
static void a_name_says_its_task(void **state)
{
    (void)state;
    assert_true(hot_task_of(&two_tasks, "tower/click/layer0/w") == 0);
    assert_true(hot_task_of(&two_tasks, "gate/level0/like/layer0/w/user") == 1);
    assert_true(hot_task_of(&two_tasks, "expert/level12/click/3/layer0/b") == 0);
    assert_true(hot_task_of(&two_tasks, "wide/like/w/age") == 1);
    assert_true(hot_task_of(&two_tasks, "expert/level0/shared/0/layer0/b") == SIZE_MAX);
    assert_true(hot_task_of(&two_tasks, "bottom/layer0/w/click") == SIZE_MAX);
    assert_true(hot_task_of(&two_tasks, "table/click") == SIZE_MAX);
    assert_true(hot_task_of(&two_tasks, "bottom") == SIZE_MAX);
    assert_true(hot_task_of(&two_tasks, "gate/level0") == SIZE_MAX);
}

/* First-layer weights end in their feature. */
static void a_name_says_its_feature(void **state)
{
    (void)state;
    struct hot_part p[HOT_FEATURES];
    assert_int_equal(hot_features("tower/click/layer0/w/user", p), 1);
    assert_true(hot_part_is(p[0], "user"));
    assert_int_equal(hot_features("wide/click/w/age", p), 1);
    assert_true(hot_part_is(p[0], "age"));
    assert_int_equal(hot_features("cross/layer1/w/user/age", p), 2);
    assert_true(hot_part_is(p[0], "user") && hot_part_is(p[1], "age"));
    assert_int_equal(hot_features("cross/layer1/v/user", p), 1);
    assert_int_equal(hot_features("tower/click/layer1/w", p), 0);
    assert_int_equal(hot_features("tower/click/layer0/b", p), 0);
    assert_int_equal(hot_features("table/w/x", p), 0);
    assert_int_equal(hot_unit("tower/click/layer0/w"), strlen("tower/click"));
    assert_int_equal(hot_unit("table/user"), strlen("table/user"));
}

static bool fits(const char *pattern, const char *name)
{
    return hot_fits(pattern, name, &two_tasks);
}

/* A pattern fits a whole name or the components it begins with, and * also stands for /. */
static void patterns_fit_names_and_beginnings(void **state)
{
    (void)state;
    assert_true(fits("tower/click", "tower/click/layer0/w"));
    assert_true(fits("tower", "tower/click/layer0/w"));
    assert_true(fits("tower/c*", "tower/click/layer0/w"));
    assert_true(fits("*/layer0/b", "expert/level0/shared/1/layer0/b"));
    assert_true(fits("expert/level?/shared/1", "expert/level0/shared/1/layer0/b"));
    assert_true(fits("*", "table/user"));
    assert_true(fits("table/user", "table/user"));
    assert_false(fits("table/use", "table/user"));
    assert_false(fits("tower/cl", "tower/click/layer0/w"));
    assert_false(fits("click", "tower/click/layer0/w"));
    assert_false(fits("", "tower"));
}

/* task/ and feature/ stand for all that belongs to one. */
static void patterns_of_tasks_and_features(void **state)
{
    (void)state;
    assert_true(fits("task/click", "gate/level1/click/layer0/b"));
    assert_true(fits("task/*", "tower/like/layer0/b"));
    assert_false(fits("task/*", "bottom/layer0/b"));
    assert_false(fits("task/*", "expert/level0/shared/0/layer0/b"));
    assert_true(fits("feature/u*", "bottom/layer0/w/user"));
    assert_true(fits("feature/user", "cross/layer0/w/user/age"));
    assert_true(fits("feature/user", "cross/layer0/w/age/user"));
    assert_false(fits("feature/user", "bottom/layer0/b"));
    assert_false(fits("feature/user", "table/user"));
}

static struct arena *arena;

static const char *renamed(const char *const (*pairs)[2], size_t n, const char *name, size_t *by2)
{
    const char *key[4], *value[4];
    for (size_t i = 0; i < n; i++) {
        key[i] = pairs[i][0];
        value[i] = pairs[i][1];
    }
    struct pairs_cfg cfg = {.key = key, .value = value, .n = n};
    size_t by;
    return hot_renamed(arena, &cfg, name, &by, by2);
}

/* Tasks, features and beginnings are renamed; a task and a feature at once. */
static void renames_follow_the_parts(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"task/like", "task/heart"},
                                           {"feature/user", "feature/person"},
                                           {"table/user", "table/person"},
                                           {"expert/level0/shared/0", "expert/level0/click/1"}};
    static const char *const names[][2] = {
        {"tower/like/layer0/b", "tower/heart/layer0/b"},
        {"gate/level0/like/layer0/w/user", "gate/level0/heart/layer0/w/person"},
        {"bottom/layer0/w/user", "bottom/layer0/w/person"},
        {"cross/layer0/w/user/user", "cross/layer0/w/person/person"},
        {"cross/layer0/w/age/user", "cross/layer0/w/age/person"},
        {"cross/layer0/b/user", "cross/layer0/b/person"},
        {"table/user", "table/person"},
        {"table/users", "table/users"},
        {"expert/level0/shared/0/layer0/b", "expert/level0/click/1/layer0/b"},
        {"expert/level0/shared/01/layer0/b", "expert/level0/shared/01/layer0/b"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t by2;
        assert_string_equal(renamed(pairs, 4, names[i][0], &by2), names[i][1]);
        assert_true(by2 == SIZE_MAX);
    }
}

/* Renames are of names as they stand: two may change places, and a chain is not followed. */
static void names_may_change_places(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"task/click", "task/like"},
                                           {"task/like", "task/click"},
                                           {"feature/user", "feature/item"},
                                           {"feature/item", "feature/shop"}};
    static const char *const names[][2] = {
        {"tower/click/layer0/b", "tower/like/layer0/b"},
        {"tower/like/layer0/b", "tower/click/layer0/b"},
        {"gate/level0/like/layer0/w/user", "gate/level0/click/layer0/w/item"},
        {"cross/layer0/w/user/item", "cross/layer0/w/item/shop"},
        {"bottom/layer0/w/shop", "bottom/layer0/w/shop"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t by2;
        assert_string_equal(renamed(pairs, 4, names[i][0], &by2), names[i][1]);
        assert_true(by2 == SIZE_MAX);
    }
}

/* Two renames that disagree about a name are told; two that agree are not. */
static void contradicting_renames_are_told(void **state)
{
    (void)state;
    static const char *const disagree[][2] = {{"task/like", "task/a"}, {"tower/like", "tower/b"}};
    static const char *const agree[][2] = {{"task/like", "task/a"}, {"tower/like", "tower/a"}};
    static const char *const nested[][2] = {{"tower/like", "tower/a"},
                                            {"tower/like/layer0", "tower/b/layer0"}};
    size_t by2;
    assert_non_null(renamed(disagree, 2, "tower/like/layer0/b", &by2));
    assert_true(by2 != SIZE_MAX);
    assert_non_null(renamed(agree, 2, "tower/like/layer0/b", &by2));
    assert_true(by2 == SIZE_MAX);
    assert_non_null(renamed(nested, 2, "tower/like/layer0/b", &by2));
    assert_true(by2 != SIZE_MAX);
}

int main(void)
{
    struct error err;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_says_its_task),
        cmocka_unit_test(a_name_says_its_feature),
        cmocka_unit_test(patterns_fit_names_and_beginnings),
        cmocka_unit_test(patterns_of_tasks_and_features),
        cmocka_unit_test(renames_follow_the_parts),
        cmocka_unit_test(names_may_change_places),
        cmocka_unit_test(contradicting_renames_are_told),
    };
    if (arena_create(&arena, &err) != ST_OK) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_destroy(arena);
    return failed;
}
