#include "serve/http/models.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/mem.h"
#include "serve/bundle.h"

enum { MAX_BROKEN = 256, MAX_FOUND = 4096 };

struct models_broken {
    uint64_t version;
    struct served_stamp file;
};

static void say(const struct models *m, bool failed, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void say(const struct models *m, bool failed, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (m->spec.say) m->spec.say(m->spec.arg, failed, text);
}

enum status models_create(const struct models_spec *spec, struct models **out, struct error *err)
{
    struct models *m = *out = mem_zeroed(1, sizeof *m);
    if (!m) return mem_error(err, "models", sizeof *m);
    m->spec = *spec;
    return ST_OK;
}

static void close_item(struct models_item *item)
{
    for (size_t i = 0; i < item->n_versions; i++) served_release(item->versions[i]);
    pthread_mutex_destroy(&item->lock);
    mem_free(item->broken);
    mem_free((char *)item->name);
    mem_free((char *)item->path);
}

void models_destroy(struct models *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->n_items; i++) close_item(&m->items[i]);
    mem_free(m->items);
    mem_free(m);
}

/* ---- what is on disk ---- */

static void version_path(const struct models_item *item, uint64_t version, const char *file, char *out, size_t size)
{
    snprintf(out, size, "%s/%" PRIu64 "%s%s", item->path, version, file ? "/" : "", file ? file : "");
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* Numbers of the folder's versions, newest first. */
static size_t list_versions(const char *path, uint64_t *found)
{
    size_t n = 0;
    const struct dirent *e;
    DIR *d = opendir(path);
    while (d && n < MAX_FOUND && (e = readdir(d))) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9') continue;
        char *end;
        unsigned long v = strtoul(e->d_name, &end, 10);
        if (!*end && v < ULONG_MAX) found[n++] = v;
    }
    if (d) closedir(d);
    qsort(found, n, sizeof *found, newest_first);
    return n;
}

/* A place that is itself a bundle has one version for good. */
static bool is_bundle(const char *path)
{
    char file[PATH_MAX];
    struct stat s;
    if (stat(path, &s) == 0 && !S_ISDIR(s.st_mode)) return true;
    snprintf(file, sizeof file, "%s/%s", path, BUNDLE_FILE);
    return stat(file, &s) == 0;
}

static bool is_link(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0 && S_ISLNK(s.st_mode);
}

/* Of the version's file, or of the link that stands in place of its folder; false: there is none. */
static bool stamp(const struct models_item *item, uint64_t version, struct served_stamp *out)
{
    char file[PATH_MAX];
    struct stat s;
    version_path(item, version, NULL, file, sizeof file);
    if (lstat(file, &s) != 0) return false;
    if (!S_ISLNK(s.st_mode)) {
        version_path(item, version, BUNDLE_FILE, file, sizeof file);
        if (lstat(file, &s) != 0) return false;
    }
    *out = (struct served_stamp){s.st_mtim, s.st_ino, s.st_size};
    return true;
}

/* ---- versions that cannot be used ---- */

/* Clocks of file systems are coarse: two files of a moment differ in the rest. */
static bool same_file(struct served_stamp a, struct served_stamp b)
{
    return a.written.tv_sec == b.written.tv_sec && a.written.tv_nsec == b.written.tv_nsec &&
           a.inode == b.inode && a.bytes == b.bytes;
}

static bool is_broken(const struct models_item *item, uint64_t version, struct served_stamp t)
{
    for (size_t i = 0; i < item->n_broken; i++)
        if (item->broken[i].version == version && same_file(item->broken[i].file, t)) return true;
    return false;
}

/* The oldest of many is forgotten: then it is tried, and said, once more. */
static void remember_broken(struct models_item *item, uint64_t version, struct served_stamp t)
{
    if (!item->broken) item->broken = mem_zeroed(MAX_BROKEN, sizeof *item->broken);
    if (!item->broken) return;
    if (item->n_broken == MAX_BROKEN) {
        memmove(item->broken, item->broken + 1, (MAX_BROKEN - 1) * sizeof *item->broken);
        item->n_broken--;
    }
    item->broken[item->n_broken++] = (struct models_broken){version, t};
}

/* ---- opening ---- */

static enum status not_followed(const char *path, struct error *err)
{
    error_set(err, ST_NOINPUT, "%s: a symbolic link, which is not followed", path);
    return error_hint(err, ST_NOINPUT, "put the folder or file itself there; the path given to --bundle may be a link");
}

/* version 0: the place is a bundle itself. */
static enum status load(const struct models *m, const struct models_item *item, uint64_t version, struct served **out,
                        struct error *err)
{
    char path[PATH_MAX], rows[PATH_MAX];
    struct stat s;
    snprintf(path, sizeof path, "%s", item->path);
    if (version) {
        version_path(item, version, NULL, path, sizeof path);
        if (is_link(path)) return not_followed(path, err);
    }
    snprintf(rows, sizeof rows, "%s/" MODELS_WARM_UP, item->path);
    if (is_link(rows)) return not_followed(rows, err);
    struct served_spec spec = {m->spec.n_scorers, m->spec.open_flags, stat(rows, &s) == 0 ? rows : NULL};
    return served_open(path, version, &spec, out, err);
}

/* Opened, counted and said; a model without a name gets that of the bundle. */
static enum status open_version(struct models *m, struct models_item *item, uint64_t version, struct served **out,
                                struct error *err)
{
    TRY(load(m, item, version, out, err));
    if (!item->name) item->name = mem_strdup((*out)->info.name);
    if (!item->name) {
        served_release(*out);
        return mem_error(err, item->path, 0);
    }
    atomic_fetch_add(&item->opened, 1);
    say(m, false, "%s: version %" PRIu64 " is open", item->name, (*out)->version);
    return ST_OK;
}

static struct served *open_one(const struct models_item *item, uint64_t version)
{
    for (size_t i = 0; i < item->n_versions; i++)
        if (item->versions[i]->version == version) return item->versions[i];
    return NULL;
}

static struct served *open_stamped(struct models *m, struct models_item *item, uint64_t version, struct served_stamp t,
                                   struct error *err)
{
    struct served *v;
    if (is_broken(item, version, t)) return NULL;
    if (open_version(m, item, version, &v, err) == ST_OK) {
        v->file = t;
        return v;
    }
    atomic_fetch_add(&item->refused, 1);
    remember_broken(item, version, t);
    say(m, true, "%s: version %" PRIu64 " cannot be used: %s", item->name ? item->name : item->path, version,
        err->text);
    return NULL;
}

/* A version that is open stays as long as its file does; what took its place is opened, and
 * follows it when it can be used. NULL: there is none of this number. */
static struct served *get_version(struct models *m, struct models_item *item, uint64_t version, struct error *err)
{
    struct served_stamp t;
    if (!stamp(item, version, &t)) return NULL;
    struct served *old = open_one(item, version);
    struct served *v = old && same_file(old->file, t) ? NULL : open_stamped(m, item, version, t, err);
    if (v || !old) return v;
    served_hold(old);
    return old;
}

static void put_versions(struct models *m, struct models_item *item, struct served **v, size_t n)
{
    struct served *old[MODELS_MAX_VERSIONS];
    pthread_mutex_lock(&item->lock);
    size_t n_old = item->n_versions;
    memcpy(old, item->versions, n_old * sizeof *old);
    memcpy(item->versions, v, n * sizeof *v);
    item->n_versions = n;
    pthread_mutex_unlock(&item->lock);
    for (size_t i = 0; i < n_old; i++) {
        if (!open_one(item, old[i]->version)) say(m, false, "%s: version %" PRIu64 " is let go", item->name, old[i]->version);
        served_release(old[i]);
    }
}

/* The newest versions that can be used. An error is that of the last one that cannot. */
static enum status look_at(struct models *m, struct models_item *item, struct error *err)
{
    uint64_t *found = mem_array(MAX_FOUND, sizeof *found);
    struct served *v[MODELS_MAX_VERSIONS];
    size_t n = 0;
    if (!found) return mem_error(err, item->path, MAX_FOUND * sizeof *found);
    size_t n_found = list_versions(item->path, found);
    for (size_t i = 0; i < n_found && n < m->spec.n_versions; i++)
        if ((v[n] = get_version(m, item, found[i], err))) n++;
    mem_free(found);
    if (n) put_versions(m, item, v, n);
    return n ? ST_OK : ST_NOINPUT;
}

void models_look(struct models *m, bool again)
{
    struct error err;
    for (size_t i = 0; i < m->n_items; i++) {
        struct models_item *item = &m->items[i];
        if (is_bundle(item->path)) continue;
        if (again) item->n_broken = 0;
        /* Nothing usable on disk: what is open goes on. */
        if (look_at(m, item, &err) != ST_OK) continue;
    }
}

/* ---- adding ---- */

static bool is_name(const char *name)
{
    size_t n = strlen(name);
    return n && n < 256 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           n == strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
}

static enum status open_first(struct models *m, struct models_item *item, struct error *err)
{
    struct served *v = NULL;
    if (!is_bundle(item->path)) {
        error_set(err, ST_NOINPUT, "%s: neither a bundle nor a folder of versions", item->path);
        return look_at(m, item, err);
    }
    TRY(open_version(m, item, 0, &v, err));
    put_versions(m, item, &v, 1);
    return ST_OK;
}

static enum status check_name(const struct models *m, const struct models_item *item, struct error *err)
{
    if (!is_name(item->name)) {
        error_set(err, ST_USAGE, "%s: \"%s\" cannot stand in an address", item->path, item->name);
        return error_hint(err, ST_USAGE, "give it a name of letters, digits, '.', '_' and '-': NAME=%s", item->path);
    }
    for (size_t i = 0; i < m->n_items; i++)
        if (!strcmp(m->items[i].name, item->name)) {
            error_set(err, ST_USAGE, "two models have the name %s: %s and %s", item->name, m->items[i].path, item->path);
            return error_hint(err, ST_USAGE, "give one of them another name: NAME=PATH");
        }
    return ST_OK;
}

static enum status fill_item(struct models *m, struct models_item *item, const char *name, const char *path,
                             struct error *err)
{
    item->path = mem_strdup(path);
    item->name = name ? mem_strdup(name) : NULL;
    if (!item->path || (name && !item->name)) return mem_error(err, path, 0);
    if (name) TRY(check_name(m, item, err));
    TRY(open_first(m, item, err));
    return name ? ST_OK : check_name(m, item, err);
}

enum status models_add(struct models *m, const char *name, const char *path, struct error *err)
{
    struct models_item *items = mem_resize(m->items, m->n_items + 1, sizeof *items);
    if (!items) return mem_error(err, path, 0);
    m->items = items;
    struct models_item *item = &items[m->n_items];
    memset(item, 0, sizeof *item);
    pthread_mutex_init(&item->lock, NULL);
    enum status st = fill_item(m, item, name, path, err);
    if (st == ST_OK)
        m->n_items++;
    else
        close_item(item);
    return st;
}

/* ---- requests ---- */

struct models_item *models_find(struct models *m, const char *name, size_t n)
{
    for (size_t i = 0; i < m->n_items; i++)
        if (strlen(m->items[i].name) == n && !memcmp(m->items[i].name, name, n)) return &m->items[i];
    return NULL;
}

struct served *models_hold(struct models_item *item, uint64_t version)
{
    pthread_mutex_lock(&item->lock);
    struct served *v = version ? open_one(item, version) : item->versions[0];
    if (v) served_hold(v);
    pthread_mutex_unlock(&item->lock);
    return v;
}

size_t models_hold_all(struct models_item *item, struct served *out[MODELS_MAX_VERSIONS])
{
    pthread_mutex_lock(&item->lock);
    size_t n = item->n_versions;
    for (size_t i = 0; i < n; i++) {
        served_hold(item->versions[i]);
        out[i] = item->versions[i];
    }
    pthread_mutex_unlock(&item->lock);
    return n;
}
