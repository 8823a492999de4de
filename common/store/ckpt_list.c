/* The folder of checkpoints: finding, keeping and removing them. */
#include "common/store/ckpt_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

struct entry {
    uint64_t step;
    const char *name; /* within names */
};

struct listing {
    const char **names;
    struct entry *v; /* newest first */
    size_t n;
};

static int newest_first(const void *a, const void *b)
{
    uint64_t x = ((const struct entry *)a)->step, y = ((const struct entry *)b)->step;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Every step-* entry; no folder counts as an empty one. */
static enum status list_steps(const char *dir, struct listing *out, struct error *err)
{
    size_t n;
    *out = (struct listing){0};
    if (!file_is_dir(dir)) return ST_OK;
    TRY(file_list(dir, &out->names, &n, err));
    out->v = mem_array(n, sizeof *out->v);
    if (!out->v) {
        mem_free(out->names);
        return mem_error(err, dir, n * sizeof *out->v);
    }
    for (size_t i = 0; i < n; i++)
        if (ckpt_parse_name(out->names[i], &out->v[out->n].step))
            out->v[out->n++].name = out->names[i];
    if (out->n) qsort(out->v, out->n, sizeof *out->v, newest_first);
    return ST_OK;
}

static void listing_close(struct listing *l)
{
    mem_free(l->names);
    mem_free(l->v);
}

static enum status join(const char *dir, const char *name, char **out, struct error *err)
{
    char path[CKPT_PATH];
    TRY(manifest_path(dir, name, path, sizeof path, err));
    *out = mem_strdup(path);
    return *out ? ST_OK : mem_error(err, path, strlen(path));
}

/* ---- newest, resolve ---- */

/* Not the checkpoint's fault: looking at an older one would hide the trouble. */
static bool must_stop(enum status st)
{
    return st == ST_NOMEM || st == ST_INTERNAL;
}

/* The newest that holds, hashes and all; *out NULL: none. */
static enum status first_valid(const char *dir, const struct listing *l,
                               void (*warn)(void *, const char *), void *arg, struct ckpt **out,
                               struct error *err)
{
    for (size_t i = 0; i < l->n; i++) {
        char *candidate;
        struct error why;
        TRY(join(dir, l->v[i].name, &candidate, err));
        enum status st = ckpt_open(candidate, true, out, &why);
        mem_free(candidate);
        if (st == ST_OK) return ST_OK;
        if (warn) {
            error_wrap(&why, st, "checkpoint %s skipped", l->v[i].name);
            warn(arg, why.text);
        }
        if (must_stop(st)) return error_set(err, st, "%s", why.text);
    }
    return ST_OK;
}

static enum status open_newest(const char *dir, void (*warn)(void *, const char *), void *arg,
                               struct ckpt **out, struct error *err)
{
    struct listing l;
    *out = NULL;
    TRY(list_steps(dir, &l, err));
    enum status st = first_valid(dir, &l, warn, arg, out, err);
    listing_close(&l);
    return st;
}

/* Its path in place of an open checkpoint; NULL of none. */
static enum status close_for_path(struct ckpt *c, char **path, struct error *err)
{
    *path = c ? mem_strdup(ckpt_path(c)) : NULL;
    enum status st = c && !*path ? mem_error(err, "path", strlen(ckpt_path(c))) : ST_OK;
    ckpt_close(c);
    return st;
}

enum status ckpt_newest(const char *dir, void (*warn)(void *, const char *), void *arg,
                        char **path, struct error *err)
{
    struct ckpt *c;
    TRY(open_newest(dir, warn, arg, &c, err));
    return close_for_path(c, path, err);
}

/* The checkpoint that DIR/best.json names; *path NULL when there is no such file. */
static enum status read_best(const char *dir, const char *ckpt_dir, char **path,
                             struct error *err)
{
    char file[CKPT_PATH], *text;
    size_t bytes;
    uint64_t step;
    TRY(manifest_path(dir, "best.json", file, sizeof file, err));
    if (!file_exists(file)) return ST_OK;
    TRY(file_read_all(file, &text, &bytes, 1 << 20, err));
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    mem_free(text);
    const char *name = json_string_value(json_object_get(root, "checkpoint"));
    enum status st = ST_OK;
    if (!name || !ckpt_parse_name(name, &step))
        st = error_set(err, ST_NOINPUT, "%s: does not name a checkpoint", file);
    else
        st = join(ckpt_dir, name, path, err);
    json_decref(root);
    return st;
}

/* The best one by its path, or the newest, open. */
static enum status find_in(const char *run, const char *dir,
                           void (*warn)(void *, const char *), void *arg, char **best,
                           struct ckpt **newest, struct error *err)
{
    TRY(read_best(dir, dir, best, err));
    if (!*best && strcmp(run, dir)) TRY(read_best(run, dir, best, err));
    if (*best) return ST_OK;
    TRY(open_newest(dir, warn, arg, newest, err));
    if (*newest) return ST_OK;
    error_set(err, ST_NOINPUT, "%s: holds no usable checkpoint", dir);
    return error_hint(err, ST_NOINPUT, "`mtps ckpt ls %s` says what is wrong with each",
                      run);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool ckpt_is(const char *path)
{
    char inner[CKPT_PATH];
    uint64_t step;
    if (manifest_path(path, MANIFEST_NAME, inner, sizeof inner, NULL) != ST_OK)
        return false;
    return file_exists(inner) || ckpt_parse_name(base_name(path), &step);
}

/* One of the two: the path of the one that is meant, or the newest, open. */
static enum status find(const char *path, void (*warn)(void *, const char *), void *arg,
                        char **named, struct ckpt **newest, struct error *err)
{
    char inner[CKPT_PATH];
    *named = NULL;
    *newest = NULL;
    if (!file_is_dir(path)) {
        error_set(err, ST_NOINPUT, "%s: no such folder", path);
        return error_hint(err, ST_NOINPUT, "name a run directory, or a checkpoint below its checkpoints/");
    }
    if (ckpt_is(path)) {
        *named = mem_strdup(path);
        return *named ? ST_OK : mem_error(err, path, strlen(path));
    }
    TRY(manifest_path(path, "checkpoints", inner, sizeof inner, err));
    return find_in(path, file_is_dir(inner) ? inner : path, warn, arg, named, newest, err);
}

enum status ckpt_resolve(const char *path, void (*warn)(void *, const char *), void *arg,
                         char **out, struct error *err)
{
    struct ckpt *newest;
    *out = NULL;
    TRY(find(path, warn, arg, out, &newest, err));
    return *out ? ST_OK : close_for_path(newest, out, err);
}

enum status ckpt_open_resolved(const char *path, void (*warn)(void *, const char *), void *arg,
                               struct ckpt **out, struct error *err)
{
    char *named;
    TRY(find(path, warn, arg, &named, out, err));
    if (!named) return ST_OK;
    enum status st = ckpt_open(named, true, out, err);
    mem_free(named);
    return st;
}

/* ---- retention ---- */

/* Out of sight by one rename, then removed: a crash in between leaves only trash. */
static enum status remove_checkpoint(const char *dir, const char *name, struct error *err)
{
    char path[CKPT_PATH], trash[CKPT_PATH];
    TRY(manifest_path(dir, name, path, sizeof path, err));
    int n = snprintf(trash, sizeof trash, "%s/.trash-%s-%ld", dir, name, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof trash)
        return error_set(err, ST_IO, "%s: the path is too long", dir);
    TRY(file_remove_tree(trash, err));
    if (rename(path, trash))
        return error_set(err, ST_IO, "%s: cannot move it to the trash: %s", path,
                         strerror(errno));
    return file_remove_tree(trash, err);
}

/* Manifest and sizes only: retention runs after every save. */
static bool looks_valid(const char *dir, const char *name)
{
    char path[CKPT_PATH];
    struct manifest m;
    if (manifest_path(dir, name, path, sizeof path, NULL) != ST_OK) return false;
    if (manifest_read(path, &m, NULL) != ST_OK) return false;
    bool ok = true;
    for (size_t i = 0; i < m.n_files && ok; i++)
        ok = manifest_check_file(path, &m.files[i], false, NULL) == ST_OK;
    manifest_close(&m);
    return ok;
}

enum status ckpt_retire(const char *dir, size_t keep, const char *best, struct error *err)
{
    enum { LEAST = 2 };
    struct listing l;
    size_t valid = 0;
    enum status st = ST_OK;
    if (keep < LEAST) keep = LEAST;
    TRY(list_steps(dir, &l, err));
    for (size_t i = 0; i < l.n && st == ST_OK; i++) {
        if (valid < keep)
            valid += looks_valid(dir, l.v[i].name);
        else if (!best || strcmp(base_name(best), l.v[i].name))
            st = remove_checkpoint(dir, l.v[i].name, err);
    }
    listing_close(&l);
    return st;
}

static bool is_leftover(const char *name)
{
    static const char *const starts[] = {".tmp-", ".trash-", "LATEST.tmp-",
                                         "best.json.tmp-"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (!strncmp(name, starts[i], strlen(starts[i]))) return true;
    return false;
}

enum status ckpt_sweep(const char *dir, struct error *err)
{
    const char **names;
    size_t n;
    enum status st = ST_OK;
    if (!file_is_dir(dir)) return ST_OK;
    TRY(file_list(dir, &names, &n, err));
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        char path[CKPT_PATH];
        if (!is_leftover(names[i])) continue;
        st = manifest_path(dir, names[i], path, sizeof path, err);
        if (st == ST_OK) st = file_remove_tree(path, err);
    }
    mem_free(names);
    return st;
}
