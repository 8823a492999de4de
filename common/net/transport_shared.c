#include "common/net/transport_shared.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_BYTES = 4096 }; /* a page before the message */

#define SHARED_MAGIC UINT64_C(0x4d4d485353505440) /* "@TPSSHMM" */

struct shared_head {
    uint64_t magic, version;
    _Atomic uint32_t full; /* set by the sender, cleared by the receiver */
};

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "processes share atomics without locks");

static struct shared_head *map(int fd, size_t capacity)
{
    void *p =
        mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void unmap(struct shared_head *head, size_t capacity)
{
    if (head) munmap(head, capacity);
}

/* ---- sending ---- */

static void drop(struct shared_out *out, size_t i)
{
    unmap(out->buffers[i].head, out->buffers[i].capacity);
    if (out->buffers[i].head && out->buffers[i].fd >= 0) close(out->buffers[i].fd);
    out->buffers[i].head = NULL;
    out->buffers[i].capacity = 0;
}

/* All pages are asked for at once: too little memory shows here, not at a write.
 * Beyond the limit of file sizes asking would raise a signal. */
static struct shared_head *make_memory(size_t capacity, int *fd)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < capacity) return NULL;
    *fd = memfd_create("mtps-message", MFD_CLOEXEC);
    if (*fd < 0) return NULL;
    struct shared_head *head =
        posix_fallocate(*fd, 0, (off_t)capacity) == 0 ? map(*fd, capacity) : NULL;
    if (!head) close(*fd);
    return head;
}

static bool grow(struct shared_out *out, size_t i, size_t bytes)
{
    if (HEAD_BYTES + bytes <= out->buffers[i].capacity) return true;
    if (out->refused && bytes >= out->refused) return false;
    size_t capacity =
        HEAD_BYTES + (bytes + bytes / 2 + HEAD_BYTES - 1) / HEAD_BYTES * HEAD_BYTES;
    int fd;
    struct shared_head *head = make_memory(capacity, &fd);
    if (!head) {
        out->refused = bytes;
        return false;
    }
    drop(out, i);
    head->magic = SHARED_MAGIC;
    head->version = ++out->buffers[i].version;
    out->buffers[i].head = head;
    out->buffers[i].capacity = capacity;
    out->buffers[i].fd = fd;
    return true;
}

/* A buffer that the receiver does not hold, large enough; SHARED_BUFFERS: none. */
static size_t find(struct shared_out *out, size_t bytes)
{
    for (size_t i = 0; i < SHARED_BUFFERS; i++) {
        struct shared_head *head = out->buffers[i].head;
        if (head && atomic_load_explicit(&head->full, memory_order_acquire)) continue;
        if (head && out->buffers[i].fd >= 0) { /* its last message has been read */
            close(out->buffers[i].fd);
            out->buffers[i].fd = -1;
        }
        if (grow(out, i, bytes)) return i;
    }
    return SHARED_BUFFERS;
}

bool shared_write(struct shared_out *out, const struct piece *pieces, size_t n,
                  size_t bytes, struct shared_note *note)
{
    size_t i = find(out, bytes);
    if (i == SHARED_BUFFERS) return false;
    unsigned char *at = (unsigned char *)out->buffers[i].head + HEAD_BYTES;
    for (size_t k = 0; k < n; k++) {
        if (pieces[k].bytes) memcpy(at, pieces[k].data, pieces[k].bytes);
        at += pieces[k].bytes;
    }
    atomic_store_explicit(&out->buffers[i].head->full, 1, memory_order_release);
    *note = (struct shared_note){.buffer = i,
                                 .version = out->buffers[i].version,
                                 .fd = (uint64_t)out->buffers[i].fd,
                                 .capacity = out->buffers[i].capacity};
    return true;
}

void shared_out_close(struct shared_out *out)
{
    for (size_t i = 0; i < SHARED_BUFFERS; i++) drop(out, i);
}

/* ---- receiving ---- */

static enum status refuse(struct error *err, long pid, const char *why)
{
    return error_set(err, ST_PEER, "a message in memory shared with process %ld: %s", pid,
                     why);
}

/* The sender's memory may have been replaced by a larger one. */
static enum status map_theirs(struct shared_in *in, long pid,
                              const struct shared_note *note, struct error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/fd/%llu", pid, (unsigned long long)note->fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return refuse(err, pid, strerror(errno));
    struct stat st;
    bool fits = fstat(fd, &st) == 0 && (uint64_t)st.st_size == note->capacity;
    struct shared_head *head = fits ? map(fd, (size_t)note->capacity) : NULL;
    int why = errno;
    close(fd);
    if (!fits) return refuse(err, pid, "its size is not as announced");
    if (!head) return refuse(err, pid, strerror(why));
    if (head->magic != SHARED_MAGIC || head->version != note->version) {
        unmap(head, (size_t)note->capacity);
        return refuse(err, pid, "it does not start as announced");
    }
    size_t i = (size_t)note->buffer;
    unmap(in->buffers[i].head, in->buffers[i].capacity);
    in->buffers[i].head = head;
    in->buffers[i].capacity = (size_t)note->capacity;
    in->buffers[i].version = note->version;
    return ST_OK;
}

enum status shared_read(struct shared_in *in, long pid, const struct shared_note *note,
                        size_t bytes, const unsigned char **data, struct error *err)
{
    size_t i = (size_t)note->buffer;
    if (note->buffer >= SHARED_BUFFERS || note->capacity < HEAD_BYTES ||
        bytes > note->capacity - HEAD_BYTES)
        return refuse(err, pid, "the note of it is impossible");
    if (!in->buffers[i].head || in->buffers[i].version != note->version ||
        in->buffers[i].capacity != note->capacity)
        TRY(map_theirs(in, pid, note, err));
    *data = (const unsigned char *)in->buffers[i].head + HEAD_BYTES;
    return ST_OK;
}

void shared_release(struct shared_in *in, uint64_t buffer)
{
    assert(buffer < SHARED_BUFFERS && in->buffers[buffer].head);
    atomic_store_explicit(&in->buffers[buffer].head->full, 0, memory_order_release);
}

void shared_in_close(struct shared_in *in)
{
    for (size_t i = 0; i < SHARED_BUFFERS; i++) {
        unmap(in->buffers[i].head, in->buffers[i].capacity);
        in->buffers[i].head = NULL;
    }
}
