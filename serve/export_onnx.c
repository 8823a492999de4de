/* model.onnx, and the tables beside it when they are too large to be inside. */
#include "serve/export_impl.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/file.h"
#include "serve/onnx.h"

enum { MAX_CONFIG = 16 << 20 };

bool export_onnx_has_tables(const struct export *e)
{
    uint64_t rows = 0;
    for (size_t t = 0; t < e->kinds->n; t++) rows += e->kept[t];
    return rows <= e->spec->onnx_rows;
}

/* The number keeps names apart that differ in odd characters alone. */
void export_onnx_file(const struct export *e, size_t table, const char *part, char *out, size_t size)
{
    int n = snprintf(out, size, "%zu-%.100s.%s.bin", table, e->kinds->name[table], part);
    for (int i = 0; i < n && (size_t)i < size; i++)
        if (!isalnum((unsigned char)out[i]) && !strchr("._-", out[i])) out[i] = '_';
}

static enum status write_file(const struct export *e, const char *folder, size_t table, const char *part,
                              const void *data, size_t bytes, struct error *err)
{
    char name[160], path[PATH_MAX];
    export_onnx_file(e, table, part, name, sizeof name);
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path) return error_set(err, ST_CANTCREATE, "%s: the path is too long", folder);
    return file_write_atomic(path, bytes ? data : "", bytes, err);
}

static enum status write_tables(const struct export *e, const struct mtps_model *m, const char *folder,
                                struct error *err)
{
    for (size_t t = 0; t < m->kinds->n; t++) {
        const struct lookup *l = &m->tables[t];
        TRY(write_file(e, folder, t, "ids", l->keys.keys, l->keys.n * sizeof *l->keys.keys, err));
        TRY(write_file(e, folder, t, "vectors", l->rows, l->keys.n * l->dim * sizeof(float), err));
    }
    return ST_OK;
}

static enum status write_model(const struct export *e, struct mtps_model *m, const char *folder,
                               struct buffer *signature, struct export_result *out, struct error *err)
{
    struct onnx_options opt = {.tables = export_onnx_has_tables(e), .triton = e->spec->triton ? signature : NULL};
    char path[PATH_MAX], *bytes;
    size_t n;
    int length = snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (length < 0 || (size_t)length >= sizeof path)
        return error_set(err, ST_CANTCREATE, "%s: the path is too long", folder);
    enum status st = onnx_write(m, &opt, &bytes, &n, err);
    if (st != ST_OK) return error_wrap(err, st, "--to %s", e->spec->triton ? "triton" : "onnx");
    out->bytes = n;
    st = file_write_atomic(path, bytes, n, err);
    mem_free(bytes);
    if (st == ST_OK && !opt.tables) st = write_tables(e, m, folder, err);
    return st;
}

/* ---- a model of Triton's repository ---- */

/* The folder's own name. */
static enum status folder_name(const char *dir, char name[PATH_MAX], struct error *err)
{
    char *real = realpath(dir, NULL);
    if (!real) return error_set(err, ST_IO, "%s: cannot find its name: %s", dir, strerror(errno));
    snprintf(name, PATH_MAX, "%s", strrchr(real, '/') + 1);
    free(real);
    return ST_OK;
}

/* Other settings in it are the site's own, and stay. */
static enum status check_config(const char *path, const char *signature, struct error *err)
{
    char *text;
    size_t n;
    TRY(file_read_all(path, &text, &n, MAX_CONFIG, err));
    bool same = strstr(text, signature) != NULL;
    mem_free(text);
    if (same) return ST_OK;
    error_set(err, ST_MISMATCH, "%s: it says other inputs or outputs than this model has", path);
    return error_hint(err, ST_MISMATCH, "versions of one model share it: export to another folder, or remove it when no version is there");
}

/* DIR/config.pbtxt, which all versions share. */
static enum status write_triton(const struct export *e, const char *signature, struct error *err)
{
    char path[PATH_MAX], name[PATH_MAX], *text;
    struct buffer b = {0};
    int n = snprintf(path, sizeof path, "%s/config.pbtxt", e->spec->dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, ST_CANTCREATE, "%s: the path is too long", e->spec->dir);
    if (file_exists(path)) return check_config(path, signature, err);
    TRY(folder_name(e->spec->dir, name, err));
    buffer_puts(&b, "name: ");
    onnx_triton_text(&b, name);
    buffer_printf(&b, "\nplatform: \"onnxruntime_onnx\"\nmax_batch_size: 0\n%s", signature);
    TRY(buffer_take(&b, &text, err));
    enum status st = file_write_atomic(path, text, strlen(text), err);
    mem_free(text);
    return st;
}

enum status export_onnx(const struct export *e, const char *plain, const char *folder, struct export_result *out,
                        struct error *err)
{
    struct mtps_model *m;
    struct buffer b = {0};
    char *signature;
    TRY(loaded_open(plain, BUNDLE_CHECK_SMALL, &m, err));
    enum status st = write_model(e, m, folder, &b, out, err);
    loaded_release(m);
    if (st != ST_OK || !e->spec->triton) {
        buffer_close(&b);
        return st;
    }
    TRY(buffer_take(&b, &signature, err));
    st = write_triton(e, signature, err);
    mem_free(signature);
    return st;
}
