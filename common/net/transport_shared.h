/* Messages between two processes of one host, through memory that both map: the
 * sender gathers a message there, the receiver reads it where it stands. Only bytes
 * pass here. That a message is there, and in what order, the sender tells by other
 * means, with a note.
 *
 * The memory is a file without a name (memfd), which the receiver opens through
 * /proc/<pid>/fd: nothing stays behind when processes are killed, and the size of
 * /dev/shm does not matter. It may be refused (another host or process namespace,
 * no permission, too little memory): then shared_write says false, and the message
 * has to travel in another way.
 *
 * Memory: one direction has at most SHARED_BUFFERS buffers, each at most half as
 * large again as the largest message it held, plus a page; it counts for both
 * processes but is there once. A buffer that is large enough is used again without
 * asking the system for anything. */
#ifndef MTPS_NET_TRANSPORT_SHARED_H
#define MTPS_NET_TRANSPORT_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/net/transport.h"

/* One may be read while the next is written. */
enum { SHARED_BUFFERS = 2 };

/* Start of a buffer's memory: what sender and receiver both change. */
struct shared_head;

/* What the receiver must know to find a message. */
struct shared_note {
    uint64_t buffer;   /* below SHARED_BUFFERS */
    uint64_t version;  /* of the buffer's memory: 1, 2 ... as it grows */
    uint64_t fd;       /* the sender's descriptor of it */
    uint64_t capacity; /* bytes to map */
};

/* The sender's side of one direction. Starts zeroed. */
struct shared_out {
    struct {
        struct shared_head *head; /* NULL: no memory yet */
        size_t capacity;
        uint64_t version;
        int fd; /* -1 once the receiver has mapped it */
    } buffers[SHARED_BUFFERS];
    size_t refused; /* so many bytes were refused: not asked for again; 0 = none */
};

/* The receiver's side. Starts zeroed. */
struct shared_in {
    struct {
        struct shared_head *head;
        size_t capacity;
        uint64_t version;
    } buffers[SHARED_BUFFERS];
};

/* Copy the pieces, `bytes` together, into a buffer that the receiver does not hold,
 * and fill in the note. False when there is none or its memory is refused; nothing
 * has changed then. */
bool shared_write(struct shared_out *out, const struct piece *pieces, size_t n,
                  size_t bytes, struct shared_note *note) MUST_USE;
/* The message of a note from process `pid`; it stays until shared_release. *data is
 * 64-byte aligned. Fails when the memory cannot be mapped or is smaller than the
 * note says. */
enum status shared_read(struct shared_in *in, long pid, const struct shared_note *note,
                        size_t bytes, const unsigned char **data,
                        struct error *err) MUST_USE;
/* The sender may use the buffer again. */
void shared_release(struct shared_in *in, uint64_t buffer);

/* Give back all memory of this side; the other side keeps its own view. */
void shared_out_close(struct shared_out *out);
void shared_in_close(struct shared_in *in);

#endif
