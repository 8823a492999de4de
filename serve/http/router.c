#include "serve/http/router.h"

#include <stdio.h>
#include <string.h>

const struct route routes[] = {
    {"GET", "/", ROUTE_PAGE, false},
    {"GET", "/metrics", ROUTE_METRICS, false},
    {"GET", "/v2", ROUTE_SERVER, false},
    {"GET", "/v2/health/live", ROUTE_LIVE, false},
    {"GET", "/v2/health/ready", ROUTE_READY, false},
    {"GET", "/v2/repository/index", ROUTE_INDEX, false},
    {"POST", "/v2/repository/index", ROUTE_INDEX, false},
    {"GET", "/v2/models/{model}", ROUTE_MODEL, false},
    {"GET", "/v2/models/{model}/ready", ROUTE_MODEL_READY, false},
    {"POST", "/v2/models/{model}/infer", ROUTE_INFER, true},
    {"GET", "/v2/models/{model}/versions/{version}", ROUTE_MODEL, false},
    {"GET", "/v2/models/{model}/versions/{version}/ready", ROUTE_MODEL_READY, false},
    {"POST", "/v2/models/{model}/versions/{version}/infer", ROUTE_INFER, true},
    {"GET", "/v1/models/{model}", ROUTE_STATUS, false},
    {"GET", "/v1/models/{model}/metadata", ROUTE_METADATA, false},
    {"POST", "/v1/models/{model}:predict", ROUTE_PREDICT, true},
    {"GET", "/v1/models/{model}/versions/{version}", ROUTE_STATUS, false},
    {"GET", "/v1/models/{model}/versions/{version}/metadata", ROUTE_METADATA, false},
    {"POST", "/v1/models/{model}/versions/{version}:predict", ROUTE_PREDICT, true}};
const size_t n_routes = sizeof routes / sizeof *routes;

static bool matches(const char *pattern, const char *path, struct route_names *names)
{
    *names = (struct route_names){{NULL, 0}, {NULL, 0}};
    while (*pattern && *path) {
        if (*pattern != '{') {
            if (*pattern++ != *path++) return false;
            continue;
        }
        struct text *to = pattern[1] == 'm' ? &names->model : &names->version;
        to->s = path;
        to->n = strcspn(path, "/:");
        path += to->n;
        if (!to->n) return false;
        pattern = strchr(pattern, '}') + 1;
    }
    return !*pattern && !*path;
}

int route_find(const char *method, const char *path, const struct route **out, struct route_names *names,
               char *allow, size_t size)
{
    size_t n = 0;
    const char *wanted = strcmp(method, "HEAD") ? method : "GET";
    *allow = 0;
    for (size_t i = 0; i < n_routes; i++) {
        if (!matches(routes[i].pattern, path, names)) continue;
        *out = &routes[i];
        if (!strcmp(routes[i].method, wanted)) return 200;
        n += (size_t)snprintf(allow + n, n < size ? size - n : 0, "%s%s%s", n ? ", " : "", routes[i].method,
                              strcmp(routes[i].method, "GET") ? "" : ", HEAD");
    }
    return n ? 405 : 404;
}
