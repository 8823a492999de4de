/* Absolute time limits of connections: whoever sends a byte now and then does not stay.
 * A thread looks at all of them several times a second and shuts the sockets of those
 * that are over their time; their owner then sees the end of the connection. The same
 * thread wakes connections that rest. */
#ifndef MTPS_SERVE_HTTP_DEADLINES_H
#define MTPS_SERVE_HTTP_DEADLINES_H

#include <stdatomic.h>
#include <stdbool.h>

#include "serve/http/metrics.h"

struct deadline {
    struct deadline *next, **link;
    int fd;
    _Atomic int64_t at_ms; /* INT64_MAX: none */
    _Atomic int limit;     /* enum metrics_limit */
    void (*wake)(struct deadline *one); /* NULL: it does not rest */
};

struct deadlines;
/* seconds[METRICS_LIMITS]; cut[METRICS_LIMITS] counts. */
enum status deadlines_create(const unsigned *seconds, _Atomic uint64_t *cut, struct deadlines **out,
                             struct error *err) MUST_USE;
void deadlines_destroy(struct deadlines *d); /* NULL is fine */

/* From when the socket is open until before it is closed. */
void deadlines_add(struct deadlines *d, struct deadline *one, int fd);
void deadlines_remove(struct deadlines *d, struct deadline *one);

/* From now on it has the seconds of this limit. */
void deadlines_set(const struct deadlines *d, struct deadline *one, enum metrics_limit limit);
void deadlines_clear(struct deadline *one);

enum { DEADLINES_REST_MS = 100 };
/* wake is called once, in the thread, after DEADLINES_REST_MS to twice as long, or when
 * deadlines_stop is called. Until then there is no limit. False: it was called; there is no rest. */
bool deadlines_rest(struct deadlines *d, struct deadline *one, void (*wake)(struct deadline *one)) MUST_USE;
/* Wakes all; nothing rests or is cut from then on. NULL is fine. */
void deadlines_stop(struct deadlines *d);

#endif
