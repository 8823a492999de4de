#include "common/store/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/store/file.h"

struct output {
    FILE *file;
    char *temp; /* renamed to target at the end; NULL when written straight to */
    char target[PATH_MAX];
    char name[]; /* as the user wrote it */
};

/* ---- what stands at a path ---- */

enum place { PLACE_NEW, PLACE_FILE, PLACE_STREAM, PLACE_STDOUT, PLACE_NONE };

static enum status refuse(const char *path, const char *why, struct error *err)
{
    return error_set(err, ST_CANTCREATE, "%s: cannot be created: %s", path, why);
}

/* Folder of a path, "." when none is named. */
static void folder_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) : 0;
    if (!slash)
        snprintf(out, PATH_MAX, ".");
    else
        snprintf(out, PATH_MAX, "%.*s", n ? n : 1, path);
}

static enum status look_at(const char *path, enum place *place, struct stat *s, struct error *err)
{
    struct stat out, link;
    if (!strcmp(path, "-")) {
        *place = PLACE_STDOUT;
        return ST_OK;
    }
    if (strlen(path) + 32 > PATH_MAX) return refuse(path, strerror(ENAMETOOLONG), err);
    if (stat(path, s)) {
        if (errno != ENOENT) return refuse(path, strerror(errno), err);
        if (lstat(path, &link) == 0) return refuse(path, "it is a link to nothing", err);
        *place = PLACE_NEW;
        return ST_OK;
    }
    if (S_ISDIR(s->st_mode)) return error_hint(err, refuse(path, strerror(EISDIR), err), "name a file in it");
    if (S_ISBLK(s->st_mode)) return refuse(path, "it is a block device", err);
    bool is_stdout = fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == s->st_dev && out.st_ino == s->st_ino;
    *place = is_stdout ? PLACE_STDOUT : S_ISREG(s->st_mode) ? PLACE_FILE : PLACE_STREAM;
    return ST_OK;
}

enum status output_check(const char *path, struct error *err)
{
    enum place place;
    struct stat s;
    char target[PATH_MAX], folder[PATH_MAX];
    TRY(look_at(path, &place, &s, err));
    if (place == PLACE_STDOUT) return ST_OK;
    if (place == PLACE_STREAM) return access(path, W_OK) ? refuse(path, strerror(errno), err) : ST_OK;
    if (place == PLACE_FILE && !realpath(path, target)) return refuse(path, strerror(errno), err);
    folder_of(place == PLACE_FILE ? target : path, folder);
    return access(folder, W_OK | X_OK) ? refuse(path, strerror(errno), err) : ST_OK;
}

bool output_is_stdout(const char *path)
{
    enum place place = PLACE_NONE;
    struct stat s;
    return look_at(path, &place, &s, NULL) == ST_OK && place == PLACE_STDOUT;
}

bool output_is_file(const char *path, const char *file)
{
    struct stat a, b;
    return stat(path, &a) == 0 && stat(file, &b) == 0 && S_ISREG(a.st_mode) && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

bool output_is_below(const char *path, const char *dir)
{
    char target[PATH_MAX], folder[PATH_MAX], real[PATH_MAX], top[PATH_MAX];
    folder_of(realpath(path, target) ? target : path, folder);
    if (!realpath(folder, real) || !realpath(dir, top)) return false;
    size_t n = strlen(top);
    return !strncmp(real, top, n) && (!real[n] || real[n] == '/' || n == 1);
}

/* ---- writing ---- */

/* A new file beside the target; *old: what it replaces, or NULL. */
static enum status open_temp(struct output *o, const struct stat *old, struct error *err)
{
    size_t size = strlen(o->target) + 32;
    o->temp = mem_alloc(size);
    if (!o->temp) return mem_error(err, o->name, size);
    snprintf(o->temp, size, "%s.tmp-%ld", o->target, (long)getpid());
    int fd = open(o->temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, old ? 0600 : 0666);
    bool ok = fd >= 0 && (!old || fchmod(fd, old->st_mode & 0777) == 0) && (o->file = fdopen(fd, "wb"));
    if (ok) return ST_OK;
    enum status st = refuse(o->name, strerror(errno), err);
    if (fd >= 0) {
        close(fd);
        unlink(o->temp);
    }
    return st;
}

static enum status open_place(struct output *o, struct error *err)
{
    enum place place;
    struct stat s;
    TRY(look_at(o->name, &place, &s, err));
    if (place == PLACE_STDOUT) {
        o->file = stdout;
        return ST_OK;
    }
    if (place == PLACE_STREAM) {
        int fd = open(o->name, O_WRONLY | O_NOCTTY | O_CLOEXEC);
        o->file = fd < 0 ? NULL : fdopen(fd, "wb");
        return o->file ? ST_OK : refuse(o->name, strerror(errno), err);
    }
    if (place == PLACE_FILE && !realpath(o->name, o->target)) return refuse(o->name, strerror(errno), err);
    if (place == PLACE_NEW) snprintf(o->target, sizeof o->target, "%s", o->name);
    return open_temp(o, place == PLACE_FILE ? &s : NULL, err);
}

enum status output_open(const char *path, struct output **out, struct error *err)
{
    size_t n = strlen(path) + 1;
    struct output *o = mem_zeroed(1, sizeof *o + n);
    if (!o) return mem_error(err, path, n);
    memcpy(o->name, path, n);
    enum status st = open_place(o, err);
    if (st == ST_OK) {
        *out = o;
        return ST_OK;
    }
    mem_free(o->temp);
    mem_free(o);
    return st;
}

FILE *output_stream(struct output *o)
{
    return o->file;
}

static enum status write_failed(const struct output *o, struct error *err)
{
    int why = errno;
    const char *name = o->file == stdout ? "standard output" : o->name;
    error_set(err, ST_IO, "%s: cannot write it: %s", name, strerror(why));
    return file_hint(err, ST_IO, why);
}

enum status output_status(struct output *o, struct error *err)
{
    return ferror(o->file) ? write_failed(o, err) : ST_OK;
}

enum status output_close(struct output *o, enum status st, struct error *err)
{
    if (st == ST_OK && (fflush(o->file) || ferror(o->file))) st = write_failed(o, err);
    if (st == ST_OK && o->temp && fsync(fileno(o->file))) st = write_failed(o, err);
    if (o->file != stdout && fclose(o->file) && st == ST_OK) st = write_failed(o, err);
    if (st == ST_OK && o->temp && rename(o->temp, o->target)) st = refuse(o->name, strerror(errno), err);
    if (st != ST_OK && o->temp) unlink(o->temp);
    mem_free(o->temp);
    mem_free(o);
    return st;
}
