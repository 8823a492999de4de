/* The functions of mtps.h but for the making of scorers: thin, so that everything else
 * has one kind of error. */
#include <stdio.h>
#include <string.h>

#include "build_id.h"
#include "common/base/hash.h"
#include "serve/chunk.h"

enum mtps_status loaded_fail(enum status st, const struct error *err, struct mtps_error *out)
{
    if (out) {
        snprintf(out->text, sizeof out->text, "%s", err->text);
        snprintf(out->hint, sizeof out->hint, "%s", err->hint);
        out->row = 0;
    }
    return (enum mtps_status)status_exit_code(st);
}

/* An argument that cannot be. */
static enum mtps_status misuse(const char *what, struct mtps_error *error)
{
    struct error err;
    enum status st = error_set(&err, ST_USAGE, "%s", what);
    return loaded_fail(st, &err, error);
}

const char *mtps_version(void)
{
    return MTPS_VERSION;
}

enum mtps_status mtps_open(const char *path, unsigned flags, struct mtps_model **model,
                           struct mtps_error *error)
{
    struct error err;
    bool skip = flags & MTPS_SKIP_BIG_CHECKS;
    if (!model) return misuse("mtps_open: model is NULL: there is no place for it", error);
    *model = NULL;
    if (!path) return misuse("mtps_open: path is NULL", error);
    if (flags & ~(unsigned)MTPS_SKIP_BIG_CHECKS)
        return misuse("mtps_open: flags has bits that this version does not know", error);
    enum status st = loaded_open(path, skip ? BUNDLE_CHECK_SMALL : BUNDLE_CHECK_ALL, model, &err);
    return st == ST_OK ? MTPS_OK : loaded_fail(st, &err, error);
}

void mtps_close(struct mtps_model *model)
{
    loaded_release(model);
}

void mtps_describe(const struct mtps_model *model, struct mtps_info *info)
{
    if (!info) return;
    *info = model ? model->info : (struct mtps_info){0};
}

/* ---- what a row holds ---- */

size_t mtps_n_inputs(const struct mtps_model *model)
{
    return model ? model->n_inputs : 0;
}

const struct mtps_input *mtps_input(const struct mtps_model *model, size_t i)
{
    return model && i < model->n_inputs ? &model->inputs[i] : NULL;
}

ptrdiff_t mtps_find_input(const struct mtps_model *model, const char *name)
{
    for (size_t i = 0; model && name && i < model->n_inputs; i++)
        if (!strcmp(model->inputs[i].name, name)) return (ptrdiff_t)i;
    return -1;
}

size_t mtps_n_tasks(const struct mtps_model *model)
{
    return model ? model->settings->n_tasks : 0;
}

const struct mtps_task *mtps_task(const struct mtps_model *model, size_t i)
{
    return model && i < model->settings->n_tasks ? &model->tasks[i] : NULL;
}

size_t mtps_n_features(const struct mtps_model *model)
{
    return model ? model->schema->n_features : 0;
}

const struct mtps_feature *mtps_feature(const struct mtps_model *model, size_t i)
{
    return model && i < model->schema->n_features ? &model->features[i] : NULL;
}

uint64_t mtps_key(const char *text, size_t bytes)
{
    return hash_id(text ? text : "", text ? bytes : 0);
}

/* ---- values ---- */

struct mtps_value mtps_text(const char *text)
{
    if (!text) return (struct mtps_value){.kind = MTPS_MISSING};
    return (struct mtps_value){.kind = MTPS_TEXT, .n = strlen(text), .u.text = text};
}

struct mtps_value mtps_integer(int64_t integer)
{
    return (struct mtps_value){.kind = MTPS_INTEGER, .u.integer = integer};
}

struct mtps_value mtps_real(double real)
{
    return (struct mtps_value){.kind = MTPS_REAL, .u.real = real};
}

struct mtps_value mtps_list(const struct mtps_value *values, size_t n)
{
    return (struct mtps_value){.kind = MTPS_LIST, .n = n, .u.list = values};
}

/* ---- scoring ---- */

/* One of the two forms of a batch. */
struct rows {
    const struct mtps_value *values;
    const struct mtps_column *columns;
    const float *durations;
};

/* Rows [first, first + n) into the empty chunk, as far as they are well. */
static enum status fill(struct mtps_scorer *s, const struct rows *r, size_t first, size_t n, struct error *err)
{
    if (!r->values) return chunk_fill_keys(s, r->columns, r->durations, first, n, err);
    for (size_t row = first; row < first + n; row++)
        TRY(chunk_add_values(s, r->values + row * s->model->n_inputs, err));
    return ST_OK;
}

static enum mtps_status score(struct mtps_scorer *s, const struct rows *r, size_t n_rows,
                              float *scores, struct mtps_error *error)
{
    size_t tasks = s->model->settings->n_tasks, row = 0;
    struct error err;
    enum status st = ST_OK;
    locale_t before = uselocale(s->model->plain);
    chunk_empty(s);
    for (size_t first = 0; st == ST_OK && first < n_rows; first += CHUNK_ROWS) {
        size_t left = n_rows - first;
        st = fill(s, r, first, left < CHUNK_ROWS ? left : CHUNK_ROWS, &err);
        row = first + s->n_rows;
        if (st == ST_OK) st = chunk_run(s, scores + first * tasks, &err);
    }
    uselocale(before);
    if (st == ST_OK) return MTPS_OK;
    chunk_empty(s);
    if (st == ST_DATA || st == ST_USAGE) error_wrap(&err, st, "row %zu", row);
    enum mtps_status code = loaded_fail(st, &err, error);
    if (error) error->row = row;
    return code;
}

enum mtps_status mtps_score(struct mtps_scorer *scorer, const struct mtps_value *rows,
                            size_t n_rows, float *scores, struct mtps_error *error)
{
    static const struct mtps_value none;
    if (!scorer) return misuse("mtps_score: scorer is NULL", error);
    if (!rows && n_rows && scorer->model->n_inputs) return misuse("mtps_score: rows is NULL", error);
    if (!scores && n_rows) return misuse("mtps_score: scores is NULL", error);
    return score(scorer, &(struct rows){.values = rows ? rows : &none}, n_rows, scores, error);
}

enum mtps_status mtps_score_keys(struct mtps_scorer *scorer, const struct mtps_column *columns,
                                 const float *durations, size_t n_rows, float *scores,
                                 struct mtps_error *error)
{
    if (!scorer) return misuse("mtps_score_keys: scorer is NULL", error);
    if (!columns && n_rows) return misuse("mtps_score_keys: columns is NULL", error);
    if (!scores && n_rows) return misuse("mtps_score_keys: scores is NULL", error);
    return score(scorer, &(struct rows){.columns = columns, .durations = durations}, n_rows, scores, error);
}
