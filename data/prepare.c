#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/store/file.h"
#include "data/prepare_file.h"
#include "data/prepare_key.h"

/* ---- the cache ---- */

/* A file of this key: KEY-COLUMNS.h5; COLUMNS tells which columns it was asked to keep.
 */
static char *file_path(const char *cache, const char *key, const struct aux *a)
{
    uint64_t h = 0;
    for (size_t i = 0; i < a->n; i++) {
        h = hash_bytes(a->v[i].name, strlen(a->v[i].name), h);
        h = hash_mix(h + (uint64_t)a->v[i].as_number + 2 * (uint64_t)a->v[i].as_text);
    }
    size_t n = strlen(cache) + strlen(key) + 32;
    char *path = mem_alloc(n);
    if (path) snprintf(path, n, "%s/%s-%016" PRIx64 ".h5", cache, key, h);
    return path;
}

static bool covers(const struct prepared *p, const struct aux *a)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct aux_column *need = &a->v[i];
        if (!need->as_number && !need->as_text) continue;
        size_t j = prepared_kept(p, need->name);
        if (j == SIZE_MAX || !aux_covers(need, p->kept[j].kind, p->kept[j].all_numbers))
            return false;
    }
    return true;
}

/* *fits: the file at path can be used; its ledger is then in bad. A damaged one
 * is removed. */
static enum status try_file(const char *path, const struct schema *s, const struct aux *a,
                            const char *key, struct bad_rows *bad, bool *fits,
                            struct error *err)
{
    struct prepared *p;
    struct error why;
    *fits = false;
    enum status st = prepared_open(path, s, &p, &why);
    if (st == ST_NOMEM) {
        if (err) *err = why;
        return st;
    }
    if (st != ST_OK) {
        log_line(LOG_WARN, "prepare", "%s: made again", why.text);
        unlink(path);
        return ST_OK;
    }
    if (!strcmp(p->key, key) && covers(p, a)) {
        st = prepared_ledger(p, bad, err);
        *fits = st == ST_OK;
    }
    prepared_close(p);
    return st;
}

static enum status find_file(const struct schema *s, const struct aux *a, const char *key,
                             struct bad_rows *bad, char **path, struct error *err)
{
    const char *cache = s->settings->data.cache;
    const char **names;
    size_t n;
    *path = NULL;
    TRY(file_list(cache, &names, &n, err));
    enum status st = ST_OK;
    for (size_t i = 0; i < n && st == ST_OK && !*path; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(names[i], key, PREPARE_KEY_HEX - 1) || length < 3 ||
            strcmp(names[i] + length - 3, ".h5"))
            continue;
        size_t size = strlen(cache) + length + 2;
        char *candidate = mem_alloc(size);
        if (!candidate) {
            st = mem_error(err, "path", size);
            break;
        }
        snprintf(candidate, size, "%s/%s", cache, names[i]);
        bool fits;
        st = try_file(candidate, s, a, key, bad, &fits, err);
        if (st == ST_OK && fits)
            *path = candidate;
        else
            mem_free(candidate);
    }
    mem_free(names);
    return st;
}

/* ---- making ---- */

static enum status make(struct prep *p, const char *path, const char *key,
                        struct error *err)
{
    p->keyed = mem_zeroed(p->schema->n_tables, sizeof *p->keyed);
    if (!p->keyed) return mem_error(err, "tables", p->schema->n_tables);
    struct bad_rows fresh = *p->bad;
    bool again = true;
    enum status st = ST_OK;
    while (st == ST_OK && again) {
        *p->bad = fresh;
        prepare_reset(p);
        st = prepare_read(p, &again, err);
    }
    if (st == ST_OK) st = prepare_write(p, path, key, err);
    prepare_reset(p);
    mem_free(p->keyed);
    return st;
}

static enum status find_or_make(const struct schema *s, const struct source_cfg *source,
                                const struct prepare_options *opt, struct aux *a,
                                char **path, struct bad_rows *bad, struct error *err)
{
    const char *cache = s->settings->data.cache;
    char key[PREPARE_KEY_HEX];
    TRY(file_mkdirs(cache, err));
    TRY(prepare_key(s, source, opt, key, err));
    if (!opt->force) TRY(find_file(s, a, key, bad, path, err));
    if (*path) return bad_rows_check(bad, true, err);
    *path = file_path(cache, key, a);
    if (!*path) return mem_error(err, "path", strlen(cache));
    struct prep p = {.schema = s, .source = source, .opt = opt, .bad = bad, .aux = *a};
    enum status st = make(&p, *path, key, err);
    *a = p.aux;
    return st;
}

enum status prepare(const struct schema *schema, const struct source_cfg *source,
                    const struct prepare_options *opt, char **path, struct bad_rows *bad,
                    struct error *err)
{
    struct aux aux;
    *path = NULL;
    TRY(aux_collect(schema, source, opt, &aux, err));
    enum status st = find_or_make(schema, source, opt, &aux, path, bad, err);
    aux_close(&aux);
    if (st == ST_OK) return ST_OK;
    mem_free(*path);
    *path = NULL;
    return st;
}
