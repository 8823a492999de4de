/* serve/http/service: every operation without a socket: status, contents, counters. */
#include "serve/http/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/bundle_sample.h"

struct fixture {
    struct bundle_sample *bundle;
    struct service service;
    struct budget budget;
    struct pad pad;
    struct call call;
    char allow[64];
    char *body;
    atomic_bool woken;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    void *bundle;
    *state = f;
    bundle_sample_setup(&bundle);
    f->bundle = bundle;
    struct models_spec spec = {.n_versions = 1, .n_scorers = 2};
    assert_int_equal(models_create(&spec, &f->service.models, &f->err), ST_OK);
    if (models_add(f->service.models, "m", f->bundle->path, &f->err) != ST_OK) fail_msg("%s", f->err.text);
    f->service.limits = (struct ask_limits){100, 1000};
    f->service.version = "1.2.3";
    f->budget.max = f->service.memory.max = 1 << 20;
    pad_open(&f->pad, &f->budget);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *bundle = f->bundle;
    batcher_destroy(f->service.batcher);
    models_destroy(f->service.models);
    pad_close(&f->pad);
    assert_int_equal(f->budget.used, 0);
    bundle_sample_teardown(&bundle);
    free(f->body);
    free(f);
    return 0;
}

static void woken(struct call *call)
{
    struct fixture *f = (struct fixture *)((char *)call - offsetof(struct fixture, call));
    atomic_store(&f->woken, true);
}

static void set_call(struct fixture *f, const char *method, const char *path, const char *body)
{
    pad_reset(&f->pad);
    free(f->body);
    f->body = strdup(body);
    f->call = (struct call){.pad = &f->pad, .wake = woken, .body = {f->body, strlen(body), strlen(body)}};
    if (route_find(method, path, &f->call.route, &f->call.names, f->allow, sizeof f->allow) != 200) fail_msg("%s", path);
}

/* The answer to a call, which must be there at once. */
static json_t *call(struct fixture *f, const char *method, const char *path, const char *body, int status)
{
    set_call(f, method, path, body);
    assert_int_equal(service_begin(&f->service, &f->call), SERVICE_DONE);
    if (f->call.status != status) fail_msg("%s: %d: %.*s", path, f->call.status, (int)f->call.text.n, f->call.text.s);
    assert_null(f->call.served);
    return json_loadb(f->call.text.s, f->call.text.n, 0, NULL);
}

static void says(struct fixture *f, const char *path, const char *body, int status, const char *part)
{
    json_t *doc = call(f, "POST", path, body, status);
    const char *text = json_string_value(json_object_get(doc, "error"));
    if (!text || !strstr(text, part)) fail_msg("%s: '%s' is not in '%s'", path, part, text ? text : "(no error)");
    json_decref(doc);
}

/* What the server and its models are, as both protocols say it. */
static void descriptions_are_json(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/v2", "/v2/health/live", "/v2/health/ready", "/v2/repository/index", "/v2/models/m",
                                        "/v2/models/m/ready", "/v2/models/m/versions/3", "/v2/models/m/versions/3/ready",
                                        "/v1/models/m", "/v1/models/m/metadata", "/v1/models/m/versions/3",
                                        "/v1/models/m/versions/3/metadata"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        json_t *doc = call(f, "GET", paths[i], "", 200);
        if (!doc) fail_msg("%s: no JSON", paths[i]);
        assert_string_equal(f->call.type, "application/json");
        json_decref(doc);
    }
    json_t *doc = call(f, "GET", "/v2", "", 200), *extensions = json_object_get(doc, "extensions");
    assert_int_equal(json_array_size(extensions), 1); /* the index alone is no model_repository: that loads and unloads, too */
    assert_string_equal(json_string_value(json_array_get(extensions, 0)), "binary_tensor_data");
    json_decref(doc);
    doc = call(f, "GET", "/v2/models/m", "", 200);
    assert_int_equal(json_array_size(json_object_get(doc, "inputs")), 8);
    assert_int_equal(json_array_size(json_object_get(doc, "outputs")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(doc, "versions"), 0)), "3");
    json_decref(doc);
}

/* Page and counters are texts of their own kinds. */
static void page_and_counters_are_texts(void **state)
{
    struct fixture *f = *state;
    call(f, "GET", "/", "", 200);
    assert_string_equal(f->call.type, "text/html; charset=utf-8");
    assert_memory_equal(f->call.text.s, "<!doctype html>", 15);
    call(f, "GET", "/metrics", "", 200);
    assert_non_null(memmem(f->call.text.s, f->call.text.n, "mtps_answers_total{form=\"other\",code=\"200\"} 1\n", 46));
    size_t lines = 0;
    for (size_t i = 0; i < f->call.text.n; i++) lines += f->call.text.s[i] == '\n';
    assert_in_range(lines, 60, 200);
    assert_int_equal(f->call.text.s[f->call.text.n - 1], '\n');
}

/* Both forms score, and say by which version. */
static void both_forms_score(void **state)
{
    struct fixture *f = *state;
    json_t *doc = call(f, "POST", "/v1/models/m:predict", "{\"instances\":[{\"user\":7,\"length\":9}]}", 200);
    double click = json_number_value(json_object_get(json_array_get(json_object_get(doc, "predictions"), 0), "click"));
    assert_true(click > 0 && click < 1);
    assert_int_equal(f->call.version, 3);
    json_decref(doc);
    doc = call(f, "POST", "/v2/models/m/versions/3/infer",
               "{\"inputs\":[{\"name\":\"user\",\"shape\":[1],\"datatype\":\"INT8\",\"data\":[7]},"
               "{\"name\":\"length\",\"shape\":[1],\"datatype\":\"INT8\",\"data\":[9]}]}", 200);
    json_t *output = json_array_get(json_object_get(doc, "outputs"), 0);
    assert_true(json_number_value(json_array_get(json_object_get(output, "data"), 0)) == click);
    json_decref(doc);
    assert_int_equal(f->service.models->items[0].rows, 2);
    assert_int_equal(f->service.models->items[0].requests, 2);
}

/* Scores as bytes are of another type, and say where the JSON ends. */
static void bytes_are_announced(void **state)
{
    struct fixture *f = *state;
    call(f, "POST", "/v2/models/m/infer",
         "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"user\",\"shape\":[1],\"datatype\":\"INT8\",\"data\":[7]}]}",
         200);
    assert_string_equal(f->call.type, "application/octet-stream");
    assert_int_equal(f->call.text.n - f->call.json, 2 * sizeof(float));
}

/* What is not there, and what is wrong, has its status and a bounded text. */
static void faults_have_their_status(void **state)
{
    struct fixture *f = *state;
    says(f, "/v1/models/nobody:predict", "{}", 404, "there is no model nobody");
    says(f, "/v1/models/m/versions/4:predict", "{}", 404, "version 4 of model m is not open");
    says(f, "/v1/models/m/versions/0:predict", "{}", 404, "version 0 of model m");
    says(f, "/v1/models/m/versions/x3:predict", "{}", 404, "version x3");
    says(f, "/v1/models/m/versions/99999999999999999999999999:predict", "{}", 404, "is not open");
    says(f, "/v1/models/m:predict", "{", 400, "byte 1: ");
    says(f, "/v1/models/m:predict", "{\"instances\":[{\"price\":\"cheap\"}]}", 400, "row 0: price");
    says(f, "/v2/models/m/infer", "{\"inputs\":[{\"name\":\"x\"}]}", 400, "x: \"shape\" is missing");
    says(f, "/v2/repository/index", "[]", 400, "no JSON object");
    f->service.limits.rows = 1;
    says(f, "/v1/models/m:predict", "{\"instances\":[{},{}]}", 413, "more than 1 rows");
    char letters[4000], longer[5000];
    memset(letters, 'x', sizeof letters);
    snprintf(longer, sizeof longer, "{\"instances\":[{\"price\":\"%.*s\"}]}", (int)sizeof letters, letters);
    says(f, "/v1/models/m:predict", longer, 400, "price");
    assert_in_range(f->call.text.n, 10, 700);
    memset(letters, '\x7F', sizeof letters);
    snprintf(longer, sizeof longer, "{\"instances\":[{\"%.*s\":1}]}", (int)sizeof letters, letters);
    says(f, "/v1/models/m:predict", longer, 400, "no such input");
    assert_in_range(f->call.text.n, 10, 700);
}

/* A request that memory is too short for may come again. */
static void short_memory_is_said(void **state)
{
    struct fixture *f = *state;
    f->budget.max = 0;
    char body[PAD_KEEP + 100] = "{\"instances\":[{}";
    for (size_t i = 0; i < 99; i++) strcat(body, ",{}");
    strcat(body, "]}");
    says(f, "/v1/models/m:predict", body, 503, "memory");
    assert_true(f->call.retry);
    call(f, "GET", "/metrics", "", 200);
}

/* While it ends the server is alive, not ready, and answers. */
static void draining_is_not_ready(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->service.draining, true);
    json_decref(call(f, "GET", "/v2/health/live", "", 200));
    json_decref(call(f, "GET", "/v2/health/ready", "", 503));
    json_decref(call(f, "GET", "/v2/models/m/ready", "", 503));
    json_decref(call(f, "POST", "/v1/models/m:predict", "{\"instances\":[{}]}", 200));
}

/* With a batcher a call waits, is woken and then finished. */
static void batches_wake_their_calls(void **state)
{
    struct fixture *f = *state;
    struct batcher_spec spec = {1, 10, 1000, 1};
    json_t *want = call(f, "POST", "/v1/models/m:predict", "{\"instances\":[{\"user\":7}]}", 200);
    assert_int_equal(batcher_create(&spec, &f->service.batcher, &f->err), ST_OK);
    set_call(f, "POST", "/v1/models/m:predict", "{\"instances\":[{\"user\":7}]}");
    assert_int_equal(service_begin(&f->service, &f->call), SERVICE_WAIT);
    assert_int_equal(service_submit(&f->service, &f->call), SERVICE_WAIT);
    for (int i = 0; i < 5000 && !atomic_load(&f->woken); i++) nanosleep(&(struct timespec){0, 1000000}, NULL);
    assert_true(atomic_load(&f->woken));
    service_finish(&f->service, &f->call);
    assert_int_equal(f->call.status, 200);
    json_t *got = json_loadb(f->call.text.s, f->call.text.n, 0, NULL);
    assert_true(json_equal(got, want));
    json_decref(got);
    json_decref(want);
    says(f, "/v1/models/m:predict", "{", 400, "byte 1: "); /* answered at once */
}

/* When too many wait, the next is told so. */
static void a_full_queue_is_said(void **state)
{
    struct fixture *f = *state;
    struct batcher_spec spec = {1, 10, 1000, 0};
    assert_int_equal(batcher_create(&spec, &f->service.batcher, &f->err), ST_OK);
    set_call(f, "POST", "/v1/models/m:predict", "{\"instances\":[{\"user\":7}]}");
    assert_int_equal(service_begin(&f->service, &f->call), SERVICE_WAIT);
    assert_int_equal(service_submit(&f->service, &f->call), SERVICE_DONE);
    assert_int_equal(f->call.status, 503);
    assert_true(f->call.retry);
    assert_null(f->call.served);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(descriptions_are_json),    TEST(page_and_counters_are_texts), TEST(both_forms_score),
        TEST(bytes_are_announced),      TEST(faults_have_their_status),    TEST(short_memory_is_said),
        TEST(draining_is_not_ready),    TEST(batches_wake_their_calls),    TEST(a_full_queue_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
