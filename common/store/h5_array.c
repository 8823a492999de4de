/* Whole arrays and lists of texts, from rows that are appended and read (h5.h). */
#include "common/store/h5.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

enum { CHUNK_BYTES = 1 << 20 };

/* Chunks of about 1 MiB, of equal size, so that little is stored beyond the last row. */
static size_t balanced_chunk(enum dtype type, size_t rows, size_t cols)
{
    size_t most = CHUNK_BYTES / (dtype_bytes(type) * (cols ? cols : 1));
    if (most == 0) most = 1;
    size_t n_chunks = (rows + most - 1) / most;
    return n_chunks ? (rows + n_chunks - 1) / n_chunks : 1;
}

enum status h5_write(struct h5 *f, const char *name, enum dtype type, size_t rows,
                     size_t cols, const void *values, struct error *err)
{
    struct h5_data *d;
    TRY(h5_data_create(f, name, type, cols, balanced_chunk(type, rows, cols), &d, err));
    enum status st = h5_data_append(d, values, rows, err);
    h5_data_close(d);
    return st;
}

enum status h5_read(struct h5 *f, const char *name, enum dtype type, size_t *rows,
                    size_t *cols, void **out, struct error *err)
{
    struct h5_data *d;
    TRY(h5_data_open(f, name, type, &d, err));
    size_t n = h5_data_rows(d), width = h5_data_cols(d);
    /* h5_data_open has compared rows * columns with what the file stores. */
    void *block = mem_array(n * (width ? width : 1), dtype_bytes(type));
    enum status st = block ? h5_data_read(d, 0, n, block, err) : mem_error(err, name, n);
    if (st == ST_OK) {
        *rows = n;
        if (cols) *cols = width;
        *out = block;
    } else {
        mem_free(block);
    }
    h5_data_close(d);
    return st;
}

static enum status part_name(const char *name, const char *part, char *out, size_t size,
                             struct error *err)
{
    if ((size_t)snprintf(out, size, "%s/%s", name, part) < size) return ST_OK;
    return error_set(err, ST_IO, "dataset %s: the name is too long", name);
}

enum status h5_write_texts(struct h5 *f, const char *name, const char *const *v, size_t n,
                           struct error *err)
{
    char bytes_name[512], offsets_name[512];
    TRY(part_name(name, "bytes", bytes_name, sizeof bytes_name, err));
    TRY(part_name(name, "offsets", offsets_name, sizeof offsets_name, err));
    uint64_t *offsets = mem_array(n + 1, sizeof *offsets);
    if (!offsets) return mem_error(err, name, (n + 1) * sizeof *offsets);
    offsets[0] = 0;
    for (size_t i = 0; i < n; i++) offsets[i + 1] = offsets[i] + strlen(v[i]);
    char *bytes = mem_alloc(offsets[n]);
    if (!bytes) {
        mem_error(err, name, offsets[n]);
        mem_free(offsets);
        return ST_NOMEM;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(bytes + offsets[i], v[i], offsets[i + 1] - offsets[i]);
    enum status st = h5_write(f, bytes_name, DTYPE_U8, offsets[n], 0, bytes, err);
    if (st == ST_OK) st = h5_write(f, offsets_name, DTYPE_U64, n + 1, 0, offsets, err);
    mem_free(bytes);
    mem_free(offsets);
    return st;
}

/* Offsets from 0 to n_bytes, never falling; no text holds a 0 byte. */
static bool texts_ok(const char *bytes, size_t n_bytes, const uint64_t *offsets,
                     size_t n_offsets)
{
    if (n_offsets == 0 || offsets[0] != 0 || offsets[n_offsets - 1] != n_bytes)
        return false;
    for (size_t i = 1; i < n_offsets; i++)
        if (offsets[i] < offsets[i - 1]) return false;
    return n_bytes == 0 || !memchr(bytes, 0, n_bytes);
}

static const char **texts_build(const char *bytes, const uint64_t *offsets, size_t n)
{
    if (offsets[n] > SIZE_MAX / 2 || n > SIZE_MAX / 64) return NULL;
    const char **list = mem_alloc(n * sizeof *list + offsets[n] + n);
    if (!list) return NULL;
    char *to = (char *)(list + n);
    for (size_t i = 0; i < n; i++) {
        size_t length = offsets[i + 1] - offsets[i];
        list[i] = to;
        memcpy(to, bytes + offsets[i], length);
        to[length] = '\0';
        to += length + 1;
    }
    return list;
}

enum status h5_read_texts(struct h5 *f, const char *name, const char ***v, size_t *n,
                          struct error *err)
{
    char bytes_name[512], offsets_name[512];
    TRY(part_name(name, "bytes", bytes_name, sizeof bytes_name, err));
    TRY(part_name(name, "offsets", offsets_name, sizeof offsets_name, err));
    size_t n_bytes, n_offsets;
    void *bytes = NULL, *offsets = NULL;
    TRY(h5_read(f, bytes_name, DTYPE_U8, &n_bytes, NULL, &bytes, err));
    enum status st = h5_read(f, offsets_name, DTYPE_U64, &n_offsets, NULL, &offsets, err);
    if (st == ST_OK && !texts_ok(bytes, n_bytes, offsets, n_offsets))
        st = error_set(err, ST_NOINPUT, "dataset %s: offsets do not fit the bytes", name);
    if (st == ST_OK) {
        const char **list = texts_build(bytes, offsets, n_offsets - 1);
        if (list) {
            *v = list;
            *n = n_offsets - 1;
        } else {
            st = mem_error(err, name, n_bytes);
        }
    }
    mem_free(bytes);
    mem_free(offsets);
    return st;
}
