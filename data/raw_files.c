/* The files of a source. */
#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include <stdlib.h>

#include "common/base/mem.h"
#include "data/raw.h"

struct found {
    char *path;
    dev_t device;
    ino_t inode;
};

struct found_list {
    struct found *v;
    size_t n, capacity;
};

static enum status add(struct found_list *list, const char *path, const struct stat *info,
                       struct error *err)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        struct found *v = mem_resize(list->v, capacity, sizeof *v);
        if (!v) return mem_error(err, "input files", capacity * sizeof *v);
        list->v = v;
        list->capacity = capacity;
    }
    char *copy = mem_strdup(path);
    if (!copy) return mem_error(err, "input files", strlen(path));
    list->v[list->n++] = (struct found){copy, info->st_dev, info->st_ino};
    return ST_OK;
}

/* The pattern as a plain name: also of a file whose name holds glob signs. */
static enum status add_plain(struct found_list *list, const char *path, struct error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        error_set(err, ST_NOINPUT, "%s: %s", path,
                  errno == ENOENT ? "no such file" : strerror(errno));
        return error_hint(err, ST_NOINPUT, "paths are relative to the current directory");
    }
    if (S_ISDIR(info.st_mode)) {
        error_set(err, ST_NOINPUT, "%s: is a directory, a file is expected", path);
        return error_hint(err, ST_NOINPUT, "to read all files in it, write %s/*", path);
    }
    return add(list, path, &info, err);
}

static enum status add_pattern(struct found_list *list, const char *pattern,
                               struct error *err)
{
    if (!strpbrk(pattern, "*?[")) return add_plain(list, pattern, err);
    glob_t hits;
    int got = glob(pattern, 0, NULL, &hits);
    if (got == GLOB_NOSPACE) return mem_error(err, pattern, 0);
    if (got != 0) {
        struct stat info;
        if (stat(pattern, &info) == 0) return add_plain(list, pattern, err);
        return error_set(err, ST_NOINPUT, "%s: no file matches", pattern);
    }
    enum status st = ST_OK;
    size_t before = list->n;
    for (size_t i = 0; st == ST_OK && i < hits.gl_pathc; i++) {
        struct stat info;
        if (stat(hits.gl_pathv[i], &info) == 0 && S_ISREG(info.st_mode))
            st = add(list, hits.gl_pathv[i], &info, err);
    }
    globfree(&hits);
    if (st == ST_OK && list->n == before)
        return error_set(err, ST_NOINPUT, "%s: no regular file matches", pattern);
    return st;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct found *)a)->path, ((const struct found *)b)->path);
}

/* Sorted; a file reached by two paths is kept under the first. */
static void sort_once(struct found_list *list)
{
    if (list->n) qsort(list->v, list->n, sizeof *list->v, by_path);
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        struct found *f = &list->v[i];
        size_t k = 0;
        while (k < kept &&
               (list->v[k].device != f->device || list->v[k].inode != f->inode))
            k++;
        if (k < kept) {
            mem_free(f->path);
        } else {
            list->v[kept++] = *f;
        }
    }
    list->n = kept;
}

/* Array and strings in one block. */
static enum status pack(const struct found_list *list, const char ***files,
                        struct error *err)
{
    size_t bytes = list->n * sizeof **files;
    for (size_t i = 0; i < list->n; i++) bytes += strlen(list->v[i].path) + 1;
    const char **out = mem_alloc(bytes);
    if (!out) return mem_error(err, "input files", bytes);
    char *at = (char *)(out + list->n);
    for (size_t i = 0; i < list->n; i++) {
        out[i] = at;
        at = stpcpy(at, list->v[i].path) + 1;
    }
    *files = out;
    return ST_OK;
}

enum status raw_expand(const struct source_cfg *source, const char ***files, size_t *n,
                       struct error *err)
{
    struct found_list list = {0};
    enum status st = ST_OK;
    if (source->files.n == 0) st = error_set(err, ST_NOINPUT, "no input files are given");
    for (size_t i = 0; st == ST_OK && i < source->files.n; i++)
        st = add_pattern(&list, source->files.v[i], err);
    if (st == ST_OK) {
        if (!source->as_listed) sort_once(&list);
        st = pack(&list, files, err);
    }
    if (st == ST_OK) *n = list.n;
    for (size_t i = 0; i < list.n; i++) mem_free(list.v[i].path);
    mem_free(list.v);
    return st;
}
