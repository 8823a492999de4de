/* The target of a request (RFC 9112, 3.2), to the path that addresses are compared with. */
#ifndef MTPS_SERVE_HTTP_TARGET_H
#define MTPS_SERVE_HTTP_TARGET_H

#include <stdbool.h>

/* Most targets are their path. */
bool target_is_path(const char *target);

/* target: without its query, in origin form (/path) or in absolute form (http://host/path,
 * whose host is not compared with anything); another form is no address and stays as it is.
 * out (strlen(target) + 1 bytes): the path with its bytes decoded. %2F stays, as it separates
 * nothing and stands in no name. 200, or the status that refuses it and why. */
int target_path(const char *target, char *out, const char **why);

#endif
