/* common/config/docs: what is said about keys comes from the option table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/base/mem.h"
#include "common/config/docs.h"
#include "common/config/options.h"

static void explains(const char *key, const char *part)
{
    char *text;
    struct error err;
    if (docs_explain(key, &text, &err) != ST_OK) fail_msg("%s", err.text);
    if (!strstr(text, part)) fail_msg("'%s' is not in: %s", part, text);
    mem_free(text);
}

/* A key is explained with its value, range and default. */
static void a_key_is_explained(void **state)
{
    (void)state;
    explains("train.batch_size", "value:    whole number, 1 to 16777216 rows\n");
    explains("train.batch_size", "default:  1024\n");
    explains("model.type", "lr | fm | dnn | wide_deep | deepfm | share_bottom | omoe | mmoe");
    explains("cluster.threads", "or auto\n");
    explains("features.pool", "only for: features of kind id\n");
    explains("model.bottom", "used by:  model type dnn, wide_deep, deepfm, share_bottom, esmm, aitm\n");
    explains("model.cross", "used by:  model type dnn, wide_deep, deepfm, share_bottom, omoe");
    explains(NULL, "    checkpoint ");
}

/* Names of elements may be written or left out. */
static void elements_names_may_be_left_out(void **state)
{
    (void)state;
    explains("tasks.click.label", "default:  must be given");
    explains("tasks.label", "default:  must be given");
    explains("features[].kind", "id | dense | one_hot");
    explains("features.user_id.kind", "id | dense | one_hot");
    explains("tables.default.optimizer.adam.lr", "default:  0.001");
}

/* A mapping is explained with the keys inside. */
static void a_mapping_lists_its_keys(void **state)
{
    (void)state;
    explains("train", "    lanes                Equal parts of a batch");
    explains("train.optimizer", "    adam ");
}

/* A key that is not there is an error with the nearest one. */
static void an_unknown_key_is_an_error(void **state)
{
    (void)state;
    char *text;
    struct error err;
    assert_int_equal(docs_explain("train.lane", &text, &err), ST_USAGE);
    assert_string_equal(err.text, "there is no key 'train.lane': 'lane' is unknown");
    assert_string_equal(err.hint, "did you mean 'lanes'?");
    assert_int_equal(docs_explain("train.lanes.x", &text, &err), ST_USAGE);
    assert_int_equal(docs_explain("model.type.x", &text, &err), ST_USAGE);
}

/* docs/configuration.md is what the table gives. */
static void the_page_is_up_to_date(void **state)
{
    (void)state;
    char *text;
    struct error err;
    assert_int_equal(docs_markdown(&text, &err), ST_OK);
    static char page[256 * 1024];
    FILE *f = fopen("docs/configuration.md", "rb");
    assert_non_null(f);
    page[fread(page, 1, sizeof page - 1, f)] = '\0';
    fclose(f);
    if (strcmp(page, text) != 0)
        fail_msg("docs/configuration.md is stale: mtps config docs > docs/configuration.md");
    mem_free(text);
}

/* The schema is JSON and knows the keys. */
static void the_schema_is_json(void **state)
{
    (void)state;
    char *text;
    struct error err;
    assert_int_equal(docs_schema(&text, &err), ST_OK);
    json_t *schema = json_loads(text, 0, NULL);
    assert_non_null(schema);
    json_t *train = json_object_get(json_object_get(schema, "properties"), "train");
    json_t *keys = json_object_get(json_array_get(json_object_get(train, "anyOf"), 0), "properties");
    assert_non_null(json_object_get(keys, "batch_size"));
    json_decref(schema);
    mem_free(text);
}

static bool check_row(void *context, const struct option_place *place)
{
    const struct option *o = place->o;
    size_t *n = context;
    ++*n;
    size_t length = strlen(o->help);
    if (!length || o->help[length - 1] != '.') fail_msg("%s: help is no sentence", place->path);
    bool says = o->def || o->def_text || o->flags & OPTION_REQUIRED || o->group ||
                o->type == OPTION_NOTHING;
    if (!says) fail_msg("%s: nothing says what happens when it is not written", place->path);
    const struct option_group *group;
    char bad[64];
    if (option_path(place->path, &group, bad, sizeof bad) != o)
        fail_msg("%s: does not lead to its row", place->path);
    return true;
}

/* Every row has a sentence, a default or a word about it, and is found by its path. */
static void every_row_is_complete(void **state)
{
    (void)state;
    size_t n = 0;
    assert_true(option_walk(check_row, &n));
    assert_true(n > 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_explained),
        cmocka_unit_test(elements_names_may_be_left_out),
        cmocka_unit_test(a_mapping_lists_its_keys),
        cmocka_unit_test(an_unknown_key_is_an_error),
        cmocka_unit_test(the_page_is_up_to_date),
        cmocka_unit_test(the_schema_is_json),
        cmocka_unit_test(every_row_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
