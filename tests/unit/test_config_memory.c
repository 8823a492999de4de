/* common/config: whichever allocation fails, loading ends in ST_NOMEM and leaves
 * nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/config/docs.h"

#include "tests/unit/config_text.h"

enum { MAX_CALLS = 2000 };

/* A text that needs every stage and, with many features, many allocations. */
static const char text[] =
    "vars: {n: 512}\ndata: {train: {files: ['${n}.csv']}, valid: {fraction: 0.1}}\n"
    "features: [{names: [a0..5000], dim: 3}, {name: clicked}]\n"
    "tasks: {click: {label: clicked, own: 2}}\nmodel: {type: lr}\n";

typedef enum status (*attempt_fn)(struct error *err);

static enum status load(struct error *err)
{
    static const char *const sets[] = {"features.a7.pool=mean", "train.lanes=8"};
    struct settings *s;
    TRY(settings_parse(text, "c.yaml", sets, 2, &s, err));
    settings_destroy(s);
    return ST_OK;
}

static enum status load_file(struct error *err)
{
    struct settings *s;
    TRY(settings_load("configs/kuairand-mmoe.yaml", NULL, 0, &s, err));
    settings_destroy(s);
    return ST_OK;
}

static enum status print_and_compare(struct error *err)
{
    static struct settings *s;
    if (!s) TRY(settings_parse(text, "c.yaml", NULL, 0, &s, err));
    char *out;
    size_t n;
    enum status st = settings_print(s, true, &out, err);
    if (st == ST_OK) {
        mem_free(out);
        st = settings_diff_resume(s, s, &out, &n, err);
    }
    if (st == ST_OK) mem_free(out);
    if (st != ST_OK) return st;
    settings_destroy(s);
    s = NULL;
    return ST_OK;
}

static enum status describe(struct error *err)
{
    char *out;
    TRY(docs_markdown(&out, err));
    mem_free(out);
    TRY(docs_schema(&out, err));
    mem_free(out);
    return ST_OK;
}

static void survives_every_failure(attempt_fn attempt)
{
    uint64_t before = mem_live_bytes();
    for (uint64_t k = 1; k < MAX_CALLS; k++) {
        struct error err = {0};
        mem_fail_at(k);
        enum status st = attempt(&err);
        mem_fail_at(0);
        if (st == ST_OK) {
            assert_true(k > 1);
            assert_int_equal(mem_live_bytes(), before);
            return;
        }
        assert_int_equal(st, ST_NOMEM);
        assert_non_null(strstr(err.text, "out of memory"));
    }
    fail_msg("never succeeded");
}

/* Parsing a text, with --set and variables. */
static void parsing_survives_every_failure(void **state)
{
    (void)state;
    survives_every_failure(load);
}

/* Loading a file that includes another. */
static void loading_survives_every_failure(void **state)
{
    (void)state;
    survives_every_failure(load_file);
}

/* Printing and comparing. */
static void printing_survives_every_failure(void **state)
{
    (void)state;
    survives_every_failure(print_and_compare);
}

/* Generating documentation. */
static void documentation_survives_every_failure(void **state)
{
    (void)state;
    survives_every_failure(describe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsing_survives_every_failure),
        cmocka_unit_test(loading_survives_every_failure),
        cmocka_unit_test(printing_survives_every_failure),
        cmocka_unit_test(documentation_survives_every_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
