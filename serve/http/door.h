/* The listening socket. A thread accepts connections, hands over as many as may be open, and
 * tells the others that there are too many: before they are read, and a thousand a second at
 * most and one more for each that left, so that clients that ask again at once do not keep
 * the server busy with refusals (the rest waits to be accepted). */
#ifndef MTPS_SERVE_HTTP_DOOR_H
#define MTPS_SERVE_HTTP_DOOR_H

#include <stdbool.h>
#include <sys/socket.h>

#include "serve/http/closing.h"

struct door_spec {
    int fd; /* listens, does not block; the door's, once that is open: closed by door_close */
    struct closing *closing;
    /* True: the socket is taken (or was closed); false: it is one too many. */
    bool (*take)(void *arg, int fd, const struct sockaddr *from, socklen_t size);
    void (*refused)(void *arg); /* one more */
    void *arg;
};

struct door;
enum status door_open(const struct door_spec *spec, struct door **out, struct error *err) MUST_USE;
/* One may be taken again. Any thread, until it is destroyed. */
void door_has_room(struct door *d);
/* No call comes any more. Again is fine. */
void door_close(struct door *d);
void door_destroy(struct door *d); /* NULL is fine */

#endif
