/* serve/http/router: addresses, and the documents that describe them. */
#include "serve/http/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/config/yaml.h"
#include "serve/http/server.h"
#include "serve/http/target.h"

static const struct route *found;
static struct route_names names;
static char allow[64];

static int find(const char *method, const char *path)
{
    found = NULL;
    return route_find(method, path, &found, &names, allow, sizeof allow);
}

static void name_is(struct text t, const char *want)
{
    assert_int_equal(t.n, strlen(want));
    assert_memory_equal(t.s, want, t.n);
}

/* An address leads to its operation, with the names that stand in it. */
static void addresses_are_found(void **state)
{
    (void)state;
    assert_int_equal(find("GET", "/"), 200);
    assert_int_equal(found->operation, ROUTE_PAGE);
    assert_int_equal(find("POST", "/v2/models/a.b-c_D9/infer"), 200);
    assert_int_equal(found->operation, ROUTE_INFER);
    name_is(names.model, "a.b-c_D9");
    assert_int_equal(names.version.n, 0);
    assert_int_equal(find("POST", "/v1/models/m/versions/12:predict"), 200);
    assert_int_equal(found->operation, ROUTE_PREDICT);
    name_is(names.model, "m");
    name_is(names.version, "12");
    assert_int_equal(find("GET", "/v2/models/\xC3\xA9 %2F"), 200); /* a name that no model has is one, too */
    name_is(names.model, "\xC3\xA9 %2F");
    assert_int_equal(find("HEAD", "/v2/health/live"), 200);
    assert_int_equal(found->operation, ROUTE_LIVE);
}

/* What is close to an address is none. */
static void others_are_not(void **state)
{
    (void)state;
    static const char *const bad[] = {"",          "//",          "/v2/",           "/V2",          "/v2/models",
                                      "/v2/models/", "/v2/models//infer", "/v2/models/a/b", "/v2/models/a/infer/", "/v2%2Fhealth/live",
                                      "/v2/models/a:b", "/v1/models/a:predictx", "/v1/models/a:b:predict", "/v1/models/:predict",
                                      "/v2/models/a/versions/1/", "/v2/health/live?x", "*", "v2", "/../v2", "/metrics/"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (find("GET", bad[i]) != 404) fail_msg("%s is found", bad[i]);
}

/* A method that an address does not have is answered with those that it has. */
static void other_methods_are_named(void **state)
{
    (void)state;
    assert_int_equal(find("DELETE", "/v2"), 405);
    assert_string_equal(allow, "GET, HEAD");
    assert_int_equal(find("PUT", "/v2/repository/index"), 405);
    assert_string_equal(allow, "GET, HEAD, POST");
    assert_int_equal(find("GET", "/v2/models/m/infer"), 405);
    assert_string_equal(allow, "POST");
    assert_int_equal(find("get", "/v2"), 405);
}

/* ---- targets ---- */

static int path_of(const char *target, char *out, const char **why)
{
    /* No byte more than promised: tools that watch memory see what is written behind it. */
    char *path = malloc(strlen(target) + 1);
    *why = NULL;
    int status = target_path(target, path, why);
    if (status == 200) strcpy(out, path);
    free(path);
    assert_int_equal(status == 200, *why == NULL);
    return status;
}

/* The path is found in both forms, with its bytes decoded once; '/' stays coded. */
static void targets_have_paths(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        {"/", "/"}, {"/v2/models/m", "/v2/models/m"}, {"http://y/v2", "/v2"}, {"http://y:80/v2", "/v2"}, {"HTTP://y/v2", "/v2"},
        {"http://[::1]:80/v2", "/v2"}, {"http://y", "/"}, {"http://y/", "/"}, {"http://y//v2", "//v2"}, {"/v%32", "/v2"},
        {"/v2/models/kuai%2Drand", "/v2/models/kuai-rand"}, {"/v2/models/kuai%2drand", "/v2/models/kuai-rand"},
        {"/a%2Fb%2fc", "/a%2Fb%2Fc"}, {"/a%252Fb", "/a%2Fb"}, {"/a%2525", "/a%25"}, {"/m%3Apredict", "/m:predict"},
        {"/%C3%A9%20", "/\xC3\xA9 "}, {"/%FF", "/\xFF"}, {"/%2e%2e/x", "/../x"}, {"http://y/%41", "/A"}, {"*", "*"},
        {"y:80", "y:80"}, {"%2Fv2", "%2Fv2"}, {"http:/v2", "http:/v2"}, {"httpx://y/v2", "httpx://y/v2"}};
    char out[256];
    const char *why;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(path_of(good[i][0], out, &why), 200);
        assert_string_equal(out, good[i][1]);
        assert_int_equal(target_is_path(good[i][0]), good[i][0][0] == '/' && !strcmp(good[i][0], good[i][1]));
    }
}

/* What is no byte, what a text would hide, and another server's are refused. */
static void odd_targets_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"/%00", "/%0a", "/%0D%0A", "/%1F", "/%7f", "/%", "/%4", "/%zz", "/%4z", "/%z4", "/%%41", "/% 41",
                                      "/%-1", "http://", "http:///v2", "http://:80/v2", "http://a@y/v2", "http://a:b@y", "http://y/%00"};
    char out[256];
    const char *why;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (path_of(bad[i], out, &why) != 400) fail_msg("%s is taken", bad[i]);
    assert_int_equal(path_of("https://y/v2", out, &why), 421);
}

/* ---- documents ---- */

static void in_lower_case(const char *text, char *out)
{
    size_t n = 0;
    for (; text[n]; n++) out[n] = (char)(text[n] >= 'A' && text[n] <= 'Z' ? text[n] + 32 : text[n]);
    out[n] = 0;
}

/* docs/openapi.yaml has the addresses and methods of the table, and no others; what must
 * have a body says so. */
static void the_description_is_complete(void **state)
{
    (void)state;
    struct arena *arena;
    struct node *doc;
    struct error err;
    assert_int_equal(arena_create(&arena, &err), ST_OK);
    if (yaml_read(arena, "docs/openapi.yaml", &doc, &err) != ST_OK) fail_msg("%s", err.text);
    const struct node *paths = node_get(doc, "paths");
    assert_non_null(paths);
    size_t n = 0;
    for (size_t i = 0; i < paths->n; i++)
        for (size_t k = 0; k < paths->items[i]->n; k++) n += strcmp(paths->items[i]->keys[k]->text, "parameters") != 0;
    assert_int_equal(n, n_routes);
    for (size_t i = 0; i < n_routes; i++) {
        char method[16];
        in_lower_case(routes[i].method, method);
        const struct node *path = node_get(paths, routes[i].pattern);
        if (!path || !node_get(path, method)) fail_msg("docs/openapi.yaml lacks %s %s", method, routes[i].pattern);
        const struct node *operation = node_get(path, method), *body = node_get(operation, "requestBody");
        assert_non_null(node_get(operation, "operationId"));
        assert_int_equal(routes[i].has_body, body && !node_get(body, "required"));
    }
    arena_destroy(arena);
}

/* docs/deployment.md explains every option of the server. */
static void every_option_is_explained(void **state)
{
    (void)state;
    static char text[1 << 18];
    FILE *f = fopen("docs/deployment.md", "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    for (size_t i = 0; i < n_server_options; i++) {
        char name[64];
        snprintf(name, sizeof name, "`--%s", server_options[i].name);
        if (!strstr(text, name)) fail_msg("docs/deployment.md lacks %s", name);
        assert_in_range(server_options[i].usual, server_options[i].least, server_options[i].most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_found),         cmocka_unit_test(others_are_not),
        cmocka_unit_test(other_methods_are_named),     cmocka_unit_test(targets_have_paths),
        cmocka_unit_test(odd_targets_are_refused),     cmocka_unit_test(the_description_is_complete),
        cmocka_unit_test(every_option_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
