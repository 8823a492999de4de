/* Vectors of items beside the bundle of a two_tower model, for a nearest-neighbour index:
 * those of the rows of given files, in their order. */
#include "serve/export_impl.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "serve/score_rows.h"

struct writing {
    FILE *ids, *vectors;
    const char *folder;
    size_t width; /* floats of a row */
};

static enum status cannot_write(const struct writing *w, struct error *err)
{
    return error_set(err, ST_IO, "%s: cannot write: %s", w->folder, strerror(errno));
}

/* A line of item_ids.txt must name one item. */
static enum status take_block(void *arg, const struct scored_block *b, struct error *err)
{
    struct writing *w = arg;
    for (size_t i = 0; i < b->n; i++) {
        struct text id = b->kept[i];
        if (!id.n || memchr(id.s, '\n', id.n))
            return error_set(err, ST_DATA, "--item-vectors: row %llu has no id, or one with a line end in it",
                             (unsigned long long)(b->index * SCORE_ROWS_BLOCK + i));
        if (fwrite(id.s, 1, id.n, w->ids) != id.n || fputc('\n', w->ids) == EOF) return cannot_write(w, err);
    }
    size_t n = b->n * w->width;
    return fwrite(b->vectors, sizeof *b->vectors, n, w->vectors) == n ? ST_OK : cannot_write(w, err);
}

static FILE *open_file(const struct writing *w, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", w->folder, name);
    return n > 0 && (size_t)n < sizeof path ? fopen(path, "wbe") : NULL;
}

static bool close_file(FILE *f)
{
    if (!f) return false;
    bool ok = fflush(f) == 0 && fsync(fileno(f)) == 0;
    return fclose(f) == 0 && ok;
}

/* An index without them finds fewer items: that is never silent. */
static void warn_bad_rows(const struct export_spec *spec, const struct bad_rows *b)
{
    char text[128];
    if (!b->n_bad || !spec->warn) return;
    snprintf(text, sizeof text, "--item-vectors: %llu bad rows left out of %llu", (unsigned long long)b->n_bad,
             (unsigned long long)(b->n_bad + b->n_good));
    spec->warn(NULL, text);
    for (size_t i = 0; i < b->n_shown; i++) spec->warn(NULL, b->shown[i]);
}

static enum status write_rows(const struct export *e, struct mtps_model *m, struct writing *w, struct error *err)
{
    const struct data_cfg *d = &e->settings->data;
    static const struct origin at = {"--item-vectors", 0, 0};
    static const enum model_side side = SIDE_ITEM;
    struct source_cfg source = d->train;
    struct bad_rows bad;
    uint64_t rows;
    source.files = (struct list_cfg){(const char **)e->spec->item_files, e->spec->n_item_files, at};
    source.as_listed = true;
    source.where = (struct text_cfg){NULL, at};
    struct score_rows_spec spec = {.settings = e->settings,
                                   .source = &source,
                                   .labels_optional = true,
                                   .keep = &e->spec->item_key,
                                   .n_keep = 1,
                                   .keep_option = "--item-key",
                                   .model = m,
                                   .vectors = &side,
                                   .take = take_block,
                                   .arg = w};
    w->width = m->settings->n_tasks * model_vector_width(m->model);
    TRY(score_rows(&spec, &bad, &rows, err));
    warn_bad_rows(e->spec, &bad);
    return ST_OK;
}

enum status export_vectors(const struct export *e, const char *path, const char *folder, struct error *err)
{
    struct writing w = {.folder = folder};
    struct mtps_model *m;
    TRY(loaded_open(path, BUNDLE_CHECK_SMALL, &m, err));
    w.ids = open_file(&w, "item_ids.txt");
    w.vectors = open_file(&w, "item_vectors.f32");
    enum status st = w.ids && w.vectors ? write_rows(e, m, &w, err) : cannot_write(&w, err);
    bool closed = close_file(w.ids) & close_file(w.vectors);
    if (st == ST_OK && !closed) st = cannot_write(&w, err);
    loaded_release(m);
    return st;
}
