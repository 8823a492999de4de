/* The bundle that a delta is made against. */
#include "serve/export_impl.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/ckpt.h"

enum { MAX_SHOWN = 5 /* versions in a hint */ };

/* ---- what could be one ---- */

/* A complete version without projected rows: what a delta can be made against. */
struct candidate {
    uint64_t version, step;
    char checkpoint[33]; /* digest of the checkpoint that it was exported from */
    bool same_form;      /* its rows are kept as those of the delta will be */
};

struct candidates {
    struct candidate *v; /* the newest first */
    size_t n;
};

/* 0: the name is no version's. */
static uint64_t number_of(const char *name)
{
    uint64_t v = 0;
    if (*name < '1') return 0;
    for (; *name; name++) {
        unsigned digit = (unsigned)(unsigned char)*name - '0';
        if (digit > 9 || v > ((uint64_t)INT64_MAX - digit) / 10) return 0;
        v = 10 * v + digit;
    }
    return v;
}

static bool read_candidate(const struct export *e, const struct bundle *b, struct candidate *c)
{
    const char *checkpoint, *rows;
    uint64_t projected;
    if (node_get(b->header, "base") || bundle_number(b, "projected", &projected, NULL) != ST_OK || projected ||
        bundle_number(b, "step", &c->step, NULL) != ST_OK || bundle_text(b, "rows", &rows, NULL) != ST_OK ||
        bundle_text(b, "checkpoint", &checkpoint, NULL) != ST_OK)
        return false;
    c->same_form = !strcmp(rows, section_type_name(e->spec->rows));
    snprintf(c->checkpoint, sizeof c->checkpoint, "%s", checkpoint);
    return true;
}

/* Those in a folder. Versions that cannot be opened are passed over with a warning. */
static void look_at(const struct export *e, const char *dir, uint64_t version, struct candidates *out)
{
    char path[PATH_MAX];
    struct bundle *b;
    struct error why;
    struct candidate *c = &out->v[out->n];
    int n = snprintf(path, sizeof path, "%s/%" PRIu64 "/%s", dir, version, BUNDLE_FILE);
    if (n < 0 || (size_t)n >= sizeof path || !file_exists(path)) return; /* ONNX, perhaps */
    if (bundle_open(path, BUNDLE_CHECK_SMALL, &b, &why) != ST_OK) {
        if (e->spec->warn) e->spec->warn(NULL, why.text);
        return;
    }
    c->version = version;
    out->n += read_candidate(e, b, c);
    bundle_close(b);
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

static enum status list_candidates(const struct export *e, const char *dir, struct candidates *out,
                                   struct error *err)
{
    const char **names;
    size_t n, n_versions = 0;
    *out = (struct candidates){0};
    if (file_list(dir, &names, &n, NULL) != ST_OK) return ST_OK; /* nothing is there */
    uint64_t *versions = mem_array(n + 1, sizeof *versions);
    out->v = mem_zeroed(n + 1, sizeof *out->v);
    for (size_t i = 0; versions && i < n; i++) {
        versions[n_versions] = number_of(names[i]);
        n_versions += versions[n_versions] > 0;
    }
    mem_free(names);
    bool ok = versions && out->v;
    if (ok) qsort(versions, n_versions, sizeof *versions, newest_first);
    for (size_t i = 0; ok && i < n_versions; i++) look_at(e, dir, versions[i], out);
    mem_free(versions);
    return ok ? ST_OK : mem_error(err, dir, n * sizeof *out->v);
}

/* The newest of the form that is wanted, else the newest, of a checkpoint where one is named;
 * 0: none. */
static uint64_t pick(const struct candidates *c, const char *checkpoint)
{
    uint64_t other = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (checkpoint && strcmp(c->v[i].checkpoint, checkpoint) != 0) continue;
        if (c->v[i].same_form) return c->v[i].version;
        if (!other) other = c->v[i].version;
    }
    return other;
}

/* ---- what does not fit ---- */

/* Says which versions in -o would do. */
static enum status hint_candidates(const struct export *e, enum status st, struct error *err)
{
    char text[256];
    size_t at = 0;
    struct candidates c;
    if (list_candidates(e, e->spec->dir, &c, NULL) != ST_OK || !c.n) {
        mem_free(c.v);
        return error_hint(err, st, "no complete version is in %s: export one, without --delta-from", e->spec->dir);
    }
    for (size_t i = 0; i < c.n && i < MAX_SHOWN; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%" PRIu64 " (step %" PRIu64 ")", i ? ", " : "",
                               c.v[i].version, c.v[i].step);
    if (c.n > MAX_SHOWN) snprintf(text + at, sizeof text - at, " and %zu more", c.n - MAX_SHOWN);
    mem_free(c.v);
    return error_hint(err, st, "complete versions in %s: %s; or export a complete one, without --delta-from",
                      e->spec->dir, text);
}

static enum status misfit(const struct export *e, const char *why, struct error *err)
{
    error_set(err, ST_MISMATCH, "--delta-from %s: %s", e->spec->delta_from, why);
    return error_hint(err, ST_MISMATCH, "export a complete bundle, without --delta-from");
}

static enum status no_base(const struct export *e, const char *why, struct error *err)
{
    error_set(err, ST_MISMATCH, "--delta-from %s: %s", e->spec->delta_from, why);
    return hint_candidates(e, ST_MISMATCH, err);
}

static enum status is_delta(const struct export *e, struct error *err)
{
    const struct mtps_info *base = &e->base->base->info;
    error_set(err, ST_MISMATCH, "--delta-from %s: it is a delta itself", e->spec->delta_from);
    return error_hint(err, ST_MISMATCH, "its base does: --delta-from %s/%" PRIu64, e->spec->dir, base->version);
}

static enum status check_settings(const struct export *e, struct error *err)
{
    char *diff = NULL;
    size_t n = 0;
    TRY(settings_diff_model(e->base->settings, e->settings, &diff, &n, err));
    enum status st = n ? misfit(e, diff, err) : ST_OK;
    mem_free(diff);
    return st;
}

/* A delta finds its base beside itself: both are versions in one folder. */
static enum status check_place(const struct export *e, struct error *err)
{
    char base[PATH_MAX], dir[PATH_MAX];
    if (!realpath(e->base->bundle->path, base) || !realpath(e->spec->dir, dir))
        return no_base(e, "it is not in the folder that -o names", err);
    char *slash = strrchr(base, '/');
    *slash = '\0';
    char want[PATH_MAX + 32];
    snprintf(want, sizeof want, "%s/%" PRIu64, dir, e->base->info.version);
    return !strcmp(base, want) && !strcmp(slash + 1, BUNDLE_FILE)
               ? ST_OK
               : no_base(e, "it is no version in the folder that -o names", err);
}

/* ---- which one is meant ---- */

static bool is_run(const char *path)
{
    char below[PATH_MAX];
    int n = snprintf(below, sizeof below, "%s/checkpoints", path);
    return n > 0 && (size_t)n < sizeof below && file_is_dir(below);
}

/* The version in -o that was exported from a checkpoint; 0: none. */
static enum status version_of_checkpoint(const struct export *e, uint64_t *out, struct error *err)
{
    char *path, hex[33];
    struct ckpt *ckpt = NULL;
    struct digest digest;
    struct candidates c;
    TRY(ckpt_resolve(e->spec->delta_from, e->spec->warn, NULL, &path, err));
    enum status st = ckpt_open(path, false, &ckpt, err);
    mem_free(path);
    TRY(st);
    ckpt_digest(ckpt, &digest);
    ckpt_close(ckpt);
    digest_hex(&digest, hex);
    st = list_candidates(e, e->spec->dir, &c, err);
    *out = pick(&c, hex);
    mem_free(c.v);
    TRY(st);
    return *out ? ST_OK : no_base(e, "no complete version in the folder that -o names was exported from this checkpoint", err);
}

static enum status newest_version(const struct export *e, uint64_t *out, struct error *err)
{
    struct candidates c;
    enum status st = list_candidates(e, e->spec->delta_from, &c, err);
    *out = pick(&c, NULL);
    mem_free(c.v);
    TRY(st);
    return *out ? ST_OK : no_base(e, "no complete version is in it", err);
}

/* A bundle or the folder of a version as it is; of a folder of versions the newest complete
 * one; of a checkpoint or a run the version that was exported from it. */
static enum status find_base(const struct export *e, char out[PATH_MAX], struct error *err)
{
    const char *from = e->spec->delta_from, *dir = from;
    uint64_t version = 0;
    char file[PATH_MAX];
    int n = snprintf(file, sizeof file, "%s/%s", from, BUNDLE_FILE);
    if (ckpt_is(from) || is_run(from)) {
        TRY(version_of_checkpoint(e, &version, err));
        dir = e->spec->dir;
    } else if (n > 0 && (size_t)n < sizeof file && file_is_dir(from) && !file_exists(file)) {
        TRY(newest_version(e, &version, err));
    }
    n = version ? snprintf(out, PATH_MAX, "%s/%" PRIu64, dir, version) : snprintf(out, PATH_MAX, "%s", from);
    return n > 0 && n < PATH_MAX ? ST_OK : error_set(err, ST_NOINPUT, "--delta-from %s: the path is too long", from);
}

enum status export_open_base(struct export *e, struct error *err)
{
    char path[PATH_MAX];
    if (!e->spec->delta_from) return ST_OK;
    TRY(find_base(e, path, err));
    enum status st = loaded_open(path, BUNDLE_CHECK_ALL, &e->base, err);
    if (st == ST_NOINPUT) return hint_candidates(e, error_wrap(err, st, "--delta-from"), err);
    TRY(st);
    const struct mtps_model *b = e->base;
    if (b->base) return is_delta(e, err);
    TRY(check_place(e, err));
    if (b->projected_width) return misfit(e, "its rows are projected, and the first layer has changed", err);
    TRY(check_settings(e, err));
    if (b->kinds->n != e->kinds->n) return misfit(e, "it has other tables", err);
    for (size_t t = 0; t < e->kinds->n; t++) {
        const char *name = e->kinds->name[t];
        if (strcmp(b->kinds->name[t], name) != 0) return misfit(e, "it has other tables", err);
        if (b->tables[t].type != e->spec->rows)
            return misfit(e, "its rows are kept in another form: give it with --rows", err);
        if (b->table_dim[t] != ckpt_table(e->ckpt, e->table[t])->dim)
            return misfit(e, "its tables have another dim", err);
    }
    return ST_OK;
}
