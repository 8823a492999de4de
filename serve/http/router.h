/* The addresses of the server: one table of methods, patterns and operations, which
 * docs/openapi.yaml describes (unit.serve_router checks). */
#ifndef MTPS_SERVE_HTTP_ROUTER_H
#define MTPS_SERVE_HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "data/text.h"

enum route_operation {
    ROUTE_PAGE,
    ROUTE_METRICS,
    ROUTE_LIVE,
    ROUTE_READY,
    ROUTE_SERVER,
    ROUTE_INDEX,
    ROUTE_MODEL,
    ROUTE_MODEL_READY,
    ROUTE_INFER,
    ROUTE_STATUS,
    ROUTE_METADATA,
    ROUTE_PREDICT
};

struct route {
    const char *method, *pattern;
    enum route_operation operation;
    bool has_body; /* a request must have one */
};
extern const struct route routes[];
extern const size_t n_routes;

/* What stands in the address in place of {model} and {version}; no text when the
 * pattern has none. */
struct route_names {
    struct text model, version;
};

/* status 200: *out is the route; 404: no such address; 405: it has other methods, which
 * are listed in allow. HEAD is taken as GET. path: as target_path gives it; a name is
 * anything without '/' and ':'. */
int route_find(const char *method, const char *path, const struct route **out, struct route_names *names,
               char *allow, size_t size);

#endif
