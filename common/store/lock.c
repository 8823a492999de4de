/* The lock of a run directory (file.h). flock() on DIR/LOCK decides; the record
 * in the file tells people and old attempts who holds it. The kernel drops a
 * flock when its process dies, so nothing stale is left behind. */
#include "common/store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"

enum { RECORD_BYTES = 512, POLL_MS = 50 };

struct lock {
    int fd;
    char *path;
    uint64_t attempt;
    char record[RECORD_BYTES]; /* what we wrote */
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void read_record(int fd, char record[RECORD_BYTES])
{
    ssize_t n = pread(fd, record, RECORD_BYTES - 1, 0);
    record[n > 0 ? n : 0] = '\0';
}

static uint64_t attempt_of(const char *record)
{
    const char *at = strstr(record, "attempt=");
    uint64_t attempt = 0;
    return at && sscanf(at, "attempt=%" SCNu64, &attempt) == 1 ? attempt : 0;
}

/* Tries until wait_s have passed. */
static enum status wait_for_lock(struct lock *l, double wait_s, struct error *err)
{
    double until = now_s() + wait_s;
    while (flock(l->fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set(err, ST_CANTCREATE, "%s: cannot lock it: %s", l->path,
                             strerror(errno));
        if (now_s() >= until) {
            char record[RECORD_BYTES];
            read_record(l->fd, record);
            record[strcspn(record, "\n")] = '\0';
            error_set(err, ST_BUSY, "%s: held by another job (%s)", l->path,
                      *record ? record : "owner not recorded");
            return error_hint(err, ST_BUSY,
                              "wait for that job, stop it, or use another run directory");
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    return ST_OK;
}

/* The record names the attempt: one more than the last owner's. */
static enum status write_record(struct lock *l, struct error *err)
{
    char before[RECORD_BYTES], host[128] = "unknown";
    read_record(l->fd, before);
    l->attempt = attempt_of(before) + 1;
    gethostname(host, sizeof host - 1);
    int n = snprintf(l->record, sizeof l->record,
                     "host=%s pid=%ld attempt=%" PRIu64 " start=%lld\n", host,
                     (long)getpid(), l->attempt, (long long)time(NULL));
    ssize_t done = pwrite(l->fd, l->record, (size_t)n, 0);
    if (done != n || ftruncate(l->fd, n) || fsync(l->fd))
        return error_set(err, ST_CANTCREATE, "%s: cannot write it: %s", l->path,
                         strerror(errno));
    return ST_OK;
}

enum status lock_take(const char *dir, double wait_s, struct lock **out,
                      struct error *err)
{
    size_t size = strlen(dir) + sizeof "/LOCK";
    struct lock *l = mem_zeroed(1, sizeof *l);
    char *path = mem_alloc(size);
    if (!l || !path) {
        mem_free(l);
        mem_free(path);
        return mem_error(err, "lock", size);
    }
    snprintf(path, size, "%s/LOCK", dir);
    l->path = path;
    l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    enum status st = ST_OK;
    if (l->fd < 0)
        st = error_set(err, ST_CANTCREATE, "%s: cannot create it: %s", path,
                       strerror(errno));
    if (st == ST_OK) st = wait_for_lock(l, wait_s, err);
    if (st == ST_OK) st = write_record(l, err);
    if (st == ST_OK)
        *out = l;
    else
        lock_release(l);
    return st;
}

uint64_t lock_attempt(const struct lock *l)
{
    return l->attempt;
}

bool lock_is_ours(const struct lock *l)
{
    /* By path: the folder may have been removed, or replaced with another. */
    char record[RECORD_BYTES];
    struct stat held, named;
    int fd = open(l->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool same_file = fstat(l->fd, &held) == 0 && fstat(fd, &named) == 0 &&
                     held.st_ino == named.st_ino && held.st_dev == named.st_dev;
    read_record(fd, record);
    close(fd);
    return same_file && strcmp(record, l->record) == 0;
}

void lock_release(struct lock *l)
{
    if (!l) return;
    if (l->fd >= 0)
        close(l->fd); /* the flock goes with it; the file stays, with the attempt */
    mem_free(l->path);
    mem_free(l);
}
