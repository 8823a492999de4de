#include "data/prepare_file.h"

#include <string.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/mem.h"

enum { INFO_WIDTH = 4, MAX_KEPT = 1 << 16 };

static enum status damaged(struct error *err, const char *what)
{
    return error_set(err, ST_NOINPUT, "prepared data: %s does not fit the rest", what);
}

/* ---- head ---- */

static enum status read_head(struct prepared *p, struct error *err)
{
    uint64_t version, hash_version, complete;
    char *format;
    TRY(h5_get_text(p->h5, "", "format", &format, err));
    bool ours = !strcmp(format, "mtps prepared data");
    mem_free(format);
    if (!ours) return damaged(err, "format");
    TRY(h5_get_u64(p->h5, "", "version", &version, err));
    TRY(h5_get_u64(p->h5, "", "hash_version", &hash_version, err));
    TRY(h5_get_u64(p->h5, "", "complete", &complete, err));
    if (version != PREPARED_VERSION || hash_version != HASH_VERSION || complete != 1)
        return error_set(err, ST_NOINPUT, "prepared data: made by another version");
    TRY(h5_get_text(p->h5, "", "key", &p->key, err));
    TRY(h5_get_u64(p->h5, "", "rows", &p->rows, err));
    TRY(h5_get_u64(p->h5, "", "ignored_values", &p->ignored_values, err));
    TRY(h5_get_u64(p->h5, "", "ignored_names", &p->ignored_names, err));
    p->n_blocks = (p->rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    return ST_OK;
}

static enum status check_schema(struct prepared *p, struct error *err)
{
    size_t n, cols;
    char *text;
    TRY(h5_read(p->h5, "schema", DTYPE_U8, &n, &cols, (void **)&text, err));
    const char *want = p->schema->plan->text;
    bool same = n == strlen(want) && !memcmp(text, want, n);
    mem_free(text);
    return same ? ST_OK
                : error_set(err, ST_NOINPUT, "prepared data: made for another schema");
}

/* ---- dictionaries ---- */

static enum status read_array(struct prepared *p, const char *name, enum dtype type,
                              size_t n, void **out, struct error *err)
{
    size_t rows, cols;
    TRY(h5_read(p->h5, name, type, &rows, &cols, out, err));
    return rows == n && cols == 0 ? ST_OK : damaged(err, name);
}

static enum status read_keys(struct prepared *p, const char *name, uint64_t **keys,
                             size_t *n, struct error *err)
{
    size_t cols;
    TRY(h5_read(p->h5, name, DTYPE_U64, n, &cols, (void **)keys, err));
    bool ok = cols == 0 && *n < UINT32_MAX;
    for (size_t i = 1; ok && i < *n; i++)
        ok = partition_before((*keys)[i - 1], (*keys)[i]);
    return ok ? ST_OK : damaged(err, name);
}

static enum status read_dictionaries(struct prepared *p, struct error *err)
{
    const struct schema *s = p->schema;
    char name[64];
    uint32_t *keyed = NULL;
    if (s->n_tables)
        TRY(read_array(p, "tables/keyed", DTYPE_U32, s->n_tables, (void **)&keyed, err));
    for (size_t t = 0; t < s->n_tables; t++) p->keyed[t] = keyed[t] != 0;
    mem_free(keyed);
    for (size_t t = 0; t < s->n_tables; t++) {
        snprintf(name, sizeof name, "tables/%zu/keys", t);
        if (!p->keyed[t]) TRY(read_keys(p, name, &p->keys[t], &p->n_keys[t], err));
    }
    for (size_t i = 0; i < s->n_one_hot; i++) {
        snprintf(name, sizeof name, "one_hot/%zu/keys", i);
        TRY(read_keys(p, name, &p->levels[i], &p->n_levels[i], err));
    }
    if (!s->plan->n_multi) return ST_OK;
    return read_array(p, "multi/max", DTYPE_U64, s->plan->n_multi,
                      (void **)&p->max_length, err);
}

/* ---- kept columns ---- */

static bool info_ok(const struct prepared *p, const uint32_t *info)
{
    return info[0] <= p->schema->settings->data.n_joins && info[1] <= AUX_NUMBER;
}

static enum status fill_kept(struct prepared *p, size_t n, struct error *err)
{
    size_t rows, cols;
    uint32_t *info;
    p->kept = mem_zeroed(n, sizeof *p->kept);
    if (!p->kept) return mem_error(err, "kept columns", n * sizeof *p->kept);
    p->n_kept = n;
    if (!n) return ST_OK;
    TRY(h5_read(p->h5, "aux/info", DTYPE_U32, &rows, &cols, (void **)&info, err));
    bool ok = rows == n && cols == INFO_WIDTH;
    for (size_t i = 0; ok && i < n; i++) {
        const uint32_t *from = info + i * INFO_WIDTH;
        ok = info_ok(p, from);
        p->kept[i] = (struct kept_column){p->kept_names[i], (int)from[0] - 1,
                                          (enum aux_kind)from[1], from[2] != 0, from[3]};
        if (ok && from[0] == 0)
            p->shape.width[from[1] == AUX_NUMBER ? COL_AUX_NUMBER : COL_AUX_TEXT]++;
    }
    mem_free(info);
    return ok ? ST_OK : damaged(err, "aux/info");
}

static enum status read_kept(struct prepared *p, struct error *err)
{
    size_t n;
    TRY(h5_read_texts(p->h5, "aux/names", &p->kept_names, &n, err));
    return n <= MAX_KEPT ? fill_kept(p, n, err) : damaged(err, "aux/names");
}

size_t prepared_kept(const struct prepared *p, const char *name)
{
    for (size_t i = 0; i < p->n_kept; i++)
        if (!strcmp(p->kept[i].name, name)) return i;
    return SIZE_MAX;
}

enum status prepared_texts(const struct prepared *p, size_t column, char **bytes,
                           uint64_t **offsets, size_t *n, struct error *err)
{
    char name[64];
    size_t n_bytes, cols;
    *bytes = NULL;
    *offsets = NULL;
    snprintf(name, sizeof name, "aux/%zu/bytes", column);
    TRY(h5_read(p->h5, name, DTYPE_U8, &n_bytes, &cols, (void **)bytes, err));
    snprintf(name, sizeof name, "aux/%zu/offsets", column);
    enum status st = h5_read(p->h5, name, DTYPE_U64, n, &cols, (void **)offsets, err);
    if (st == ST_OK) {
        const uint64_t *o = *offsets;
        bool ok = *n >= 1 && o[0] == 0 && o[*n - 1] == n_bytes;
        for (size_t i = 1; ok && i < *n; i++) ok = o[i - 1] <= o[i];
        if (!ok) st = damaged(err, name);
    }
    if (st != ST_OK) {
        mem_free(*bytes);
        mem_free(*offsets);
        *bytes = NULL;
        *offsets = NULL;
        return st;
    }
    --*n;
    return ST_OK;
}

enum status prepared_side(const struct prepared *p, int owner, uint32_t **codes,
                          size_t *rows, size_t *n, struct error *err)
{
    char name[64];
    snprintf(name, sizeof name, "aux/join%d/codes", owner);
    return h5_read(p->h5, name, DTYPE_U32, rows, n, (void **)codes, err);
}

/* ---- ledger ---- */

enum status prepared_ledger(const struct prepared *p, struct bad_rows *b,
                            struct error *err)
{
    const char **shown;
    size_t n;
    TRY(h5_get_u64(p->h5, "", "bad_rows", &b->n_bad, err));
    TRY(h5_read_texts(p->h5, "bad_rows", &shown, &n, err));
    b->n_good = p->rows;
    b->n_shown = n < BAD_ROWS_SHOWN ? n : BAD_ROWS_SHOWN;
    for (size_t i = 0; i < b->n_shown; i++)
        snprintf(b->shown[i], sizeof b->shown[i], "%s", shown[i]);
    mem_free(shown);
    return ST_OK;
}

/* ---- opening ---- */

static void place(struct prepared *p)
{
    const struct schema *s = p->schema;
    const struct schema_plan *plan = s->plan;
    struct block_shape *shape = &p->shape;
    for (size_t i = 0; i < plan->n_single; i++) {
        size_t f = plan->single[i];
        bool keyed = p->keyed[s->features[f].table];
        p->place[f] = shape->width[keyed ? COL_KEYS : COL_CODES]++;
    }
    for (size_t i = 0; i < plan->n_multi; i++)
        shape->values[p->keyed[s->features[plan->multi[i]].table] ? BLOCK_KEYS
                                                                  : BLOCK_CODES] = true;
    shape->width[COL_LENGTHS] = plan->n_multi;
    shape->width[COL_ONE_HOT] = plan->n_one_hot;
    shape->width[COL_NUMBERS] = plan->n_number;
    shape->width[COL_LABELS] = s->settings->n_tasks;
    shape->width[COL_WEIGHTS] = plan->row_weights ? s->settings->n_tasks : 0;
    shape->width[COL_DURATIONS] = plan->durations ? s->settings->n_tasks : 0;
    shape->width[COL_GROUP] = plan->group != SIZE_MAX;
    shape->width[COL_SIDE] = s->settings->data.n_joins;
}

static enum status fill(struct prepared *p, const char *path, struct error *err)
{
    const struct schema *s = p->schema;
    p->keyed = mem_zeroed(s->n_tables, sizeof *p->keyed);
    p->keys = mem_zeroed(s->n_tables, sizeof *p->keys);
    p->n_keys = mem_zeroed(s->n_tables, sizeof *p->n_keys);
    p->levels = mem_zeroed(s->n_one_hot, sizeof *p->levels);
    p->n_levels = mem_zeroed(s->n_one_hot, sizeof *p->n_levels);
    p->place = mem_zeroed(s->n_features, sizeof *p->place);
    if (!p->keyed || !p->keys || !p->n_keys || !p->levels || !p->n_levels || !p->place)
        return mem_error(err, "prepared data", s->n_features * sizeof *p->place);
    TRY(h5_open(path, &p->h5, err));
    TRY(read_head(p, err));
    TRY(check_schema(p, err));
    TRY(read_dictionaries(p, err));
    TRY(read_kept(p, err));
    place(p);
    return block_file_open(p->h5, &p->shape, p->rows, &p->rows_file, err);
}

enum status prepared_open(const char *path, const struct schema *s, struct prepared **out,
                          struct error *err)
{
    struct prepared *p = mem_zeroed(1, sizeof *p);
    if (!p) return mem_error(err, "prepared data", sizeof *p);
    p->schema = s;
    p->path = mem_strdup(path);
    enum status st = p->path ? fill(p, path, err) : mem_error(err, path, strlen(path));
    if (st == ST_OK) {
        *out = p;
        return ST_OK;
    }
    prepared_close(p);
    bool named = err && !strncmp(err->text, path, strlen(path));
    return named ? st : error_wrap(err, st, "%s", path);
}

enum status prepared_read(const struct prepared *p, uint64_t index, struct block *b,
                          struct error *err)
{
    enum status st = block_file_read(p->rows_file, index, b, err);
    if (st == ST_OK || st == ST_NOMEM) return st;
    unlink(p->path);
    return error_hint(err, st, "the prepared file is removed: run the same command again, which "
                               "makes it again");
}

void prepared_close(struct prepared *p)
{
    if (!p) return;
    block_file_close(p->rows_file);
    for (size_t t = 0; p->keys && t < p->schema->n_tables; t++) mem_free(p->keys[t]);
    for (size_t i = 0; p->levels && i < p->schema->n_one_hot; i++) mem_free(p->levels[i]);
    mem_free(p->keyed);
    mem_free(p->keys);
    mem_free(p->n_keys);
    mem_free(p->levels);
    mem_free(p->n_levels);
    mem_free(p->max_length);
    mem_free(p->place);
    mem_free(p->kept);
    mem_free(p->kept_names);
    mem_free(p->key);
    mem_free(p->path);
    /* Nothing was written, so closing has nothing to report. */
    enum status closed = h5_close(p->h5, NULL);
    (void)closed;
    mem_free(p);
}
