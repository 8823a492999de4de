/* The bundle that a delta is made against. */
#include "serve/export_impl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/ckpt.h"

static enum status misfit(const struct export *e, const char *why, struct error *err)
{
    error_set(err, ST_MISMATCH, "--delta-from %s: %s", e->spec->delta_from, why);
    return error_hint(err, ST_MISMATCH, "export a complete bundle, without --delta-from");
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
        return misfit(e, "it is not in the folder that -o names", err);
    char *slash = strrchr(base, '/');
    *slash = '\0';
    char want[PATH_MAX + 32];
    snprintf(want, sizeof want, "%s/%llu", dir, (unsigned long long)e->base->info.version);
    return !strcmp(base, want) && !strcmp(slash + 1, BUNDLE_FILE)
               ? ST_OK
               : misfit(e, "it is no version in the folder that -o names", err);
}

enum status export_open_base(struct export *e, struct error *err)
{
    if (!e->spec->delta_from) return ST_OK;
    TRY(loaded_open(e->spec->delta_from, BUNDLE_CHECK_ALL, &e->base, err));
    const struct mtps_model *b = e->base;
    TRY(check_place(e, err));
    if (b->base) return misfit(e, "it is a delta itself", err);
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
