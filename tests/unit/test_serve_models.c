/* serve/http/models: which versions of a folder are open, through all that can happen to it. */
#include "serve/http/models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/bundle_sample.h"

struct fixture {
    struct bundle_sample *bundle;
    struct tmpdir dir; /* of versions */
    struct models *models;
    size_t n_said, n_failed;
    char said[2048]; /* the last failure */
    char well[2048]; /* the last line that is none */
    struct error err;
};

static void say(void *arg, bool failed, const char *text)
{
    struct fixture *f = arg;
    f->n_said++;
    f->n_failed += failed;
    snprintf(failed ? f->said : f->well, sizeof f->said, "%s", text);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    void *bundle;
    *state = f;
    bundle_sample_setup(&bundle);
    f->bundle = bundle;
    tmpdir_create(&f->dir);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *bundle = f->bundle;
    models_destroy(f->models);
    tmpdir_remove(&f->dir);
    bundle_sample_teardown(&bundle);
    free(f);
    return 0;
}

/* The sample as version v, or damaged. */
static void put(struct fixture *f, unsigned v, bool damaged)
{
    char name[64], path[512];
    size_t n;
    snprintf(name, sizeof name, "%u", v);
    mkdir(tmpdir_path(&f->dir, name, path, sizeof path), 0777);
    unsigned char *bytes = bundle_sample_read(f->bundle->path, &n);
    snprintf(name, sizeof name, "%u/model.mtps", v);
    bundle_sample_put(tmpdir_path(&f->dir, name, path, sizeof path), bytes, damaged ? n / 2 : n);
    mem_free(bytes);
}

static void drop(struct fixture *f, unsigned v)
{
    char name[64], path[512];
    snprintf(name, sizeof name, "%u/model.mtps", v);
    assert_int_equal(unlink(tmpdir_path(&f->dir, name, path, sizeof path)), 0);
    snprintf(name, sizeof name, "%u", v);
    assert_int_equal(rmdir(tmpdir_path(&f->dir, name, path, sizeof path)), 0);
}

static enum status open_folder(struct fixture *f, size_t n_versions)
{
    struct models_spec spec = {n_versions, 1, 0, say, f};
    assert_int_equal(models_create(&spec, &f->models, &f->err), ST_OK);
    return models_add(f->models, "m", f->dir.path, &f->err);
}

/* Versions that are open, newest first: "3 2". */
static void open_are(const struct fixture *f, const char *want)
{
    struct served *v[MODELS_MAX_VERSIONS];
    char got[256] = "";
    size_t n = models_hold_all(&f->models->items[0], v);
    for (size_t i = 0; i < n; i++) {
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%u", i ? " " : "", (unsigned)v[i]->version);
        served_release(v[i]);
    }
    assert_string_equal(got, want);
}

/* The newest versions are open; a look opens what came and lets go of what is old or gone. */
static void the_newest_are_open(void **state)
{
    struct fixture *f = *state;
    put(f, 2, false);
    put(f, 10, false);
    put(f, 9, false);
    assert_int_equal(open_folder(f, 2), ST_OK);
    open_are(f, "10 9");
    put(f, 11, false);
    open_are(f, "10 9");
    models_look(f->models, false);
    open_are(f, "11 10");
    drop(f, 11);
    models_look(f->models, false);
    open_are(f, "10 9");
    drop(f, 10);
    drop(f, 9);
    models_look(f->models, false);
    open_are(f, "2");
    drop(f, 2);
    models_look(f->models, false);
    open_are(f, "2"); /* nothing is there: the last one goes on */
    assert_int_equal(f->n_failed, 0);
}

/* A damaged version is left out and said once; when its file changes, or a signal asks,
 * it is tried again. */
static void damaged_versions_are_left_out(void **state)
{
    struct fixture *f = *state;
    put(f, 1, false);
    put(f, 2, true);
    assert_int_equal(open_folder(f, 1), ST_OK);
    open_are(f, "1");
    assert_int_equal(f->n_failed, 1);
    assert_non_null(strstr(f->said, "m: version 2 cannot be used: "));
    models_look(f->models, false);
    assert_int_equal(f->n_failed, 1);
    models_look(f->models, true);
    assert_int_equal(f->n_failed, 2);
    assert_int_equal(f->models->items[0].refused, 2);
    put(f, 2, false);
    models_look(f->models, false);
    open_are(f, "2");
    assert_int_equal(f->models->items[0].opened, 2);
}

/* Another bundle under the number of an open version takes its place, unless it is broken. */
static void a_version_may_be_exchanged(void **state)
{
    struct fixture *f = *state;
    char path[512], from[512], id[64];
    put(f, 1, false);
    assert_int_equal(open_folder(f, 1), ST_OK);
    struct served *first = models_hold(&f->models->items[0], 1);
    snprintf(id, sizeof id, "%s", first->info.id);
    drop(f, 1);
    put(f, 1, true);
    models_look(f->models, false);
    assert_int_equal(f->n_failed, 1);
    struct served *now = models_hold(&f->models->items[0], 1);
    assert_ptr_equal(now, first);
    served_release(now);
    bundle_sample_write_changed(f->bundle, tmpdir_path(&f->dir, "new.mtps", from, sizeof from), "name: sample", "name: simple");
    assert_int_equal(rename(from, tmpdir_path(&f->dir, "1/model.mtps", path, sizeof path)), 0);
    models_look(f->models, false);
    now = models_hold(&f->models->items[0], 1);
    assert_string_not_equal(now->info.id, id);
    assert_string_equal(first->info.id, id); /* whoever holds the old one keeps it */
    open_are(f, "1");
    served_release(now);
    served_release(first);
}

/* Names that are no versions are passed over. */
static void other_names_are_passed_over(void **state)
{
    struct fixture *f = *state;
    char path[512];
    put(f, 3, false);
    static const char *const others[] = {"007", "5x", ".tmp-8", "-4", "99999999999999999999999", "12"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        mkdir(tmpdir_path(&f->dir, others[i], path, sizeof path), 0777); /* 12 has no file yet */
    assert_int_equal(open_folder(f, 5), ST_OK);
    open_are(f, "3");
    assert_int_equal(f->n_failed, 0);
}

/* Rows of the warm-up that a version does not take keep it out. */
static void warm_up_rows_must_fit(void **state)
{
    struct fixture *f = *state;
    put(f, 1, false);
    tmpdir_write(&f->dir, MODELS_WARM_UP, "{\"user\": 7}\n\n{\"tags\": [1, 2], \"price\": 2.5}\n");
    assert_int_equal(open_folder(f, 1), ST_OK);
    tmpdir_write(&f->dir, MODELS_WARM_UP, "{\"user\": 7}\n{\"price\": \"cheap\"}\n");
    put(f, 2, false);
    models_look(f->models, false);
    open_are(f, "1");
    assert_non_null(strstr(f->said, MODELS_WARM_UP ":2: "));
    assert_non_null(strstr(f->said, "price"));
    tmpdir_write(&f->dir, MODELS_WARM_UP, "{\"user\": 7} x\n");
    models_look(f->models, true);
    open_are(f, "1");
    assert_non_null(strstr(f->said, ":1: byte 12: something stands behind"));
}

/* A version that is a link, or whose file or rows are, is left out and said once; the place
 * itself may be named by one. */
static void links_are_not_followed(void **state)
{
    struct fixture *f = *state;
    char path[512], to[512];
    put(f, 1, false);
    assert_int_equal(symlink("1", tmpdir_path(&f->dir, "2", path, sizeof path)), 0);
    assert_int_equal(symlink("nowhere", tmpdir_path(&f->dir, "3", path, sizeof path)), 0);
    mkdir(tmpdir_path(&f->dir, "4", path, sizeof path), 0777);
    assert_int_equal(symlink("../1/model.mtps", tmpdir_path(&f->dir, "4/model.mtps", path, sizeof path)), 0);
    assert_int_equal(open_folder(f, 5), ST_OK);
    open_are(f, "1");
    assert_int_equal(f->n_failed, 3);
    assert_int_equal(f->models->items[0].refused, 3);
    snprintf(to, sizeof to, "m: version 2 cannot be used: %s: a symbolic link, which is not followed", tmpdir_path(&f->dir, "2", path, sizeof path));
    assert_string_equal(f->said, to);
    models_look(f->models, false);
    assert_int_equal(f->n_failed, 3);
    assert_int_equal(unlink(tmpdir_path(&f->dir, "2", path, sizeof path)), 0);
    put(f, 2, false);
    models_look(f->models, false);
    open_are(f, "2 1");
    tmpdir_write(&f->dir, "rows", "{\"user\": 7}\n");
    assert_int_equal(symlink("rows", tmpdir_path(&f->dir, MODELS_WARM_UP, path, sizeof path)), 0);
    put(f, 5, false);
    models_look(f->models, false);
    open_are(f, "2 1");
    assert_non_null(strstr(f->said, MODELS_WARM_UP ": a symbolic link"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("2", tmpdir_path(&f->dir, "current", path, sizeof path)), 0);
    assert_int_equal(models_add(f->models, "c", path, &f->err), ST_OK);
}

/* However a model is given, what is opened is said by its name, and counted. */
static void every_opening_is_said_and_counted(void **state)
{
    struct fixture *f = *state;
    char path[512];
    put(f, 4, false);
    assert_int_equal(open_folder(f, 1), ST_OK);
    assert_string_equal(f->well, "m: version 4 is open");
    assert_int_equal(models_add(f->models, "one", tmpdir_path(&f->dir, "4", path, sizeof path), &f->err), ST_OK);
    assert_string_equal(f->well, "one: version 3 is open");
    assert_int_equal(models_add(f->models, NULL, f->bundle->path, &f->err), ST_OK);
    assert_string_equal(f->well, "sample: version 3 is open");
    for (size_t i = 0; i < 3; i++) assert_int_equal(f->models->items[i].opened, 1);
    models_look(f->models, true);
    for (size_t i = 0; i < 3; i++) assert_int_equal(f->models->items[i].opened, 1);
    assert_int_equal(f->n_said, 3);
}

/* Models are found by name, versions by number; what is not there is not found. */
static void models_are_found(void **state)
{
    struct fixture *f = *state;
    put(f, 4, false);
    put(f, 5, false);
    assert_int_equal(open_folder(f, 2), ST_OK);
    struct models_item *m = models_find(f->models, "mm", 1);
    assert_ptr_equal(m, &f->models->items[0]);
    assert_null(models_find(f->models, "mm", 2));
    assert_null(models_find(f->models, "", 0));
    struct served *v = models_hold(m, 0);
    assert_int_equal(v->version, 5);
    served_release(v);
    v = models_hold(m, 4);
    assert_int_equal(v->version, 4);
    served_release(v);
    assert_null(models_hold(m, 6));
    assert_int_equal(models_add(f->models, NULL, f->bundle->path, &f->err), ST_OK);
    assert_non_null(models_find(f->models, "sample", 6));
}

/* A model whose name or place is of no use is refused. */
static void unusable_models_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_folder(f, 1), ST_NOINPUT);
    assert_non_null(strstr(f->err.text, "neither a bundle nor a folder of versions"));
    put(f, 1, true);
    assert_int_equal(models_add(f->models, "m", f->dir.path, &f->err), ST_NOINPUT);
    drop(f, 1);
    put(f, 1, false);
    assert_int_equal(models_add(f->models, "", f->dir.path, &f->err), ST_USAGE);
    assert_int_equal(models_add(f->models, "a/b", f->dir.path, &f->err), ST_USAGE);
    assert_int_equal(models_add(f->models, ".", f->dir.path, &f->err), ST_USAGE);
    assert_int_equal(models_add(f->models, "..", f->dir.path, &f->err), ST_USAGE);
    assert_int_equal(models_add(f->models, "..", "nowhere", &f->err), ST_USAGE); /* before it is opened */
    assert_string_equal(f->well, "");
    assert_int_equal(models_add(f->models, "m", f->dir.path, &f->err), ST_OK);
    assert_int_equal(models_add(f->models, "m", f->dir.path, &f->err), ST_USAGE);
    assert_non_null(strstr(f->err.text, "two models have the name m"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_newest_are_open),   TEST(damaged_versions_are_left_out), TEST(a_version_may_be_exchanged), TEST(other_names_are_passed_over),
        TEST(warm_up_rows_must_fit), TEST(links_are_not_followed),        TEST(every_opening_is_said_and_counted),
        TEST(models_are_found),      TEST(unusable_models_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
