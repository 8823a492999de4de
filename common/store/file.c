#include "common/store/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"

enum { PATH_BYTES = 4096, MAX_DEPTH = 32 };

static enum status system_error(enum status st, struct error *err, const char *what,
                                const char *path)
{
    int why = errno;
    error_set(err, st, "%s: %s: %s", path, what, strerror(why));
    return file_hint(err, st, why);
}

enum status file_hint(struct error *err, enum status st, int why)
{
    if (why == ENOSPC) return error_hint(err, st, "the disk is full: make room on it, or use another");
    if (why == EDQUOT) return error_hint(err, st, "the quota is used up: make room, or use another disk");
    if (why == EROFS) return error_hint(err, st, "the file system is read-only: use another folder");
    if (why == EACCES || why == EPERM)
        return error_hint(err, st, "this user may not do that there: use another folder");
    if (why == EFBIG) return error_hint(err, st, "a file may not be as large: see 'ulimit -f'");
    return st;
}

bool file_exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

enum status file_size(const char *path, uint64_t *bytes, struct error *err)
{
    struct stat s;
    if (stat(path, &s)) return system_error(ST_NOINPUT, err, "cannot read it", path);
    if (!S_ISREG(s.st_mode))
        return error_set(err, ST_NOINPUT, "%s: not a regular file", path);
    *bytes = (uint64_t)s.st_size;
    return ST_OK;
}

/* ---- reading ---- */

static enum status open_regular(const char *path, int *out, uint64_t *bytes,
                                struct error *err)
{
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return system_error(ST_NOINPUT, err, "cannot open it", path);
    if (fstat(fd, &s) || !S_ISREG(s.st_mode)) {
        close(fd);
        return error_set(err, ST_NOINPUT, "%s: not a regular file", path);
    }
    *out = fd;
    *bytes = (uint64_t)s.st_size;
    return ST_OK;
}

/* As many bytes as there are, at most n; -1 on an error. */
static ssize_t read_full(int fd, char *to, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = read(fd, to + got, n - got);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return -1;
        if (r == 0) break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

enum status file_read_all(const char *path, char **data, size_t *bytes, size_t limit,
                          struct error *err)
{
    int fd = -1;
    uint64_t size = 0;
    TRY(open_regular(path, &fd, &size, err));
    char *block = NULL;
    enum status st = ST_OK;
    if (size > limit)
        st = error_set(err, ST_NOINPUT, "%s: %llu bytes, at most %zu are accepted", path,
                       (unsigned long long)size, limit);
    else if (!(block = mem_alloc(size + 1)))
        st = mem_error(err, path, size + 1);
    if (st == ST_OK) {
        ssize_t got = read_full(fd, block, size);
        if (got < 0)
            st = system_error(ST_IO, err, "cannot read it", path);
        else {
            block[got] = '\0';
            *data = block;
            *bytes = (size_t)got;
        }
    }
    if (st != ST_OK) mem_free(block);
    close(fd);
    return st;
}

/* ---- writing ---- */

static enum status write_full(int fd, const char *path, const char *from, size_t n,
                              struct error *err)
{
    size_t done = 0;
    while (done < n) {
        ssize_t w = write(fd, from + done, n - done);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return system_error(ST_IO, err, "cannot write it", path);
        done += (size_t)w;
    }
    return ST_OK;
}

/* Writes, syncs and closes fd. */
static enum status finish_file(int fd, const char *path, const void *data, size_t bytes,
                               struct error *err)
{
    enum status st = write_full(fd, path, data, bytes, err);
    if (st == ST_OK && fsync(fd)) st = system_error(ST_IO, err, "cannot sync it", path);
    if (close(fd) && st == ST_OK) st = system_error(ST_IO, err, "cannot close it", path);
    return st;
}

enum status file_fsync(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return system_error(ST_IO, err, "cannot open it", path);
    enum status st = fsync(fd) ? system_error(ST_IO, err, "cannot sync it", path) : ST_OK;
    close(fd);
    return st;
}

/* Folder part of a path, "." when there is none. */
static enum status parent_of(const char *path, char out[PATH_BYTES], struct error *err)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= PATH_BYTES)
        return error_set(err, ST_CANTCREATE, "%s: the path is too long", path);
    if (!slash) {
        memcpy(out, ".", 2);
    } else {
        memcpy(out, n ? path : "/", n ? n : 1);
        out[n ? n : 1] = '\0';
    }
    return ST_OK;
}

enum status file_write_atomic(const char *path, const void *data, size_t bytes,
                              struct error *err)
{
    char temp[PATH_BYTES], parent[PATH_BYTES];
    TRY(parent_of(path, parent, err));
    int n = snprintf(temp, sizeof temp, "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temp)
        return error_set(err, ST_CANTCREATE, "%s: the path is too long", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return system_error(ST_CANTCREATE, err, "cannot create it", temp);
    enum status st = finish_file(fd, temp, data, bytes, err);
    if (st == ST_OK && rename(temp, path))
        st = system_error(ST_IO, err, "cannot rename to it", path);
    if (st != ST_OK) {
        unlink(temp);
        return st;
    }
    return file_fsync(parent, err);
}

/* ---- folders ---- */

/* A new folder is lost with the power unless the one above it is synced. */
static enum status make_dir(const char *path, struct error *err)
{
    char parent[PATH_BYTES];
    if (mkdir(path, 0777)) {
        int why = errno;
        if (why == EEXIST || file_is_dir(path)) return ST_OK;
        errno = why;
        return system_error(ST_CANTCREATE, err, "cannot make the folder", path);
    }
    TRY(parent_of(path, parent, err));
    return file_fsync(parent, err);
}

enum status file_mkdirs(const char *path, struct error *err)
{
    char part[PATH_BYTES];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return error_set(err, ST_CANTCREATE, "%s: not a usable path", path);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0') continue;
        char kept = part[i];
        part[i] = '\0';
        TRY(make_dir(part, err));
        part[i] = kept;
    }
    if (file_is_dir(path)) return ST_OK;
    return error_set(err, ST_CANTCREATE, "%s: exists and is not a folder", path);
}

static enum status remove_at(int parent, const char *name, const char *path, int depth,
                             struct error *err);

static enum status remove_contents(int dir, const char *path, int depth,
                                   struct error *err)
{
    DIR *d = fdopendir(dir);
    if (!d) {
        close(dir);
        return system_error(ST_IO, err, "cannot list it", path);
    }
    enum status st = ST_OK;
    const struct dirent *e;
    while (st == ST_OK && (errno = 0, e = readdir(d)))
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            st = remove_at(dirfd(d), e->d_name, path, depth, err);
    if (st == ST_OK && errno) st = system_error(ST_IO, err, "cannot list it", path);
    closedir(d);
    return st;
}

/* Never follows a link; our own folders are two levels deep. */
static enum status remove_at(int parent, const char *name, const char *path, int depth,
                             struct error *err)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return ST_OK;
    if (errno != EISDIR && errno != EPERM)
        return system_error(ST_IO, err, "cannot remove it", path);
    if (depth >= MAX_DEPTH)
        return error_set(err, ST_IO, "%s: folders are nested too deep", path);
    int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0) return system_error(ST_IO, err, "cannot remove it", path);
    TRY(remove_contents(dir, path, depth + 1, err));
    if (unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
        return system_error(ST_IO, err, "cannot remove it", path);
    return ST_OK;
}

enum status file_remove_tree(const char *path, struct error *err)
{
    return remove_at(AT_FDCWD, path, path, 0, err);
}

struct listed {
    char *bytes; /* names, each with its 0 */
    size_t used, capacity, n;
};

static bool listed_add(struct listed *l, const char *name)
{
    size_t size = strlen(name) + 1;
    if (l->used + size > l->capacity) {
        size_t capacity = 2 * l->capacity + size + 1024;
        char *bytes = mem_resize(l->bytes, capacity, 1);
        if (!bytes) return false;
        l->bytes = bytes;
        l->capacity = capacity;
    }
    memcpy(l->bytes + l->used, name, size);
    l->used += size;
    l->n++;
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum status listed_finish(const struct listed *l, const char *dir,
                                 const char ***names, size_t *n, struct error *err)
{
    const char **list = mem_alloc(l->n * sizeof *list + l->used);
    if (!list) return mem_error(err, dir, l->used);
    char *at = (char *)(list + l->n);
    if (l->used) memcpy(at, l->bytes, l->used);
    for (size_t i = 0; i < l->n; i++, at += strlen(at) + 1) list[i] = at;
    if (l->n) qsort(list, l->n, sizeof *list, by_text);
    *names = list;
    *n = l->n;
    return ST_OK;
}

enum status file_list(const char *dir, const char ***names, size_t *n, struct error *err)
{
    DIR *d = opendir(dir);
    if (!d) return system_error(ST_NOINPUT, err, "cannot list the folder", dir);
    struct listed l = {0};
    enum status st = ST_OK;
    const struct dirent *e;
    while (st == ST_OK && (errno = 0, e = readdir(d)))
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
            !listed_add(&l, e->d_name))
            st = mem_error(err, dir, l.used);
    if (st == ST_OK && errno)
        st = system_error(ST_IO, err, "cannot list the folder", dir);
    if (st == ST_OK) st = listed_finish(&l, dir, names, n, err);
    mem_free(l.bytes);
    closedir(d);
    return st;
}
