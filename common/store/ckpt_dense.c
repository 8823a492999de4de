/* Writing the dense and the state file of a checkpoint. */
#include "common/store/ckpt_internal.h"

#include <stdio.h>
#include <string.h>

static size_t width_of(const struct named_array *a)
{
    return a->cols ? a->cols : 1;
}

static enum status check_finite(const struct named_array *a, const char *name,
                                struct error *err)
{
    size_t width = width_of(a), stride = a->stride ? a->stride : width;
    for (size_t r = 0; r < a->rows; r++)
        if (ckpt_find_nonfinite((const float *)a->data + r * stride, width) < width)
            return error_set(err, ST_INTERNAL,
                             "%s: a value in row %zu is infinite or not a number", name,
                             r);
    return ST_OK;
}

/* Rows of a view made contiguous. */
static enum status write_packed(struct h5 *f, const char *name,
                                const struct named_array *a, struct error *err)
{
    size_t row = width_of(a) * dtype_bytes(a->type),
           stride = a->stride * dtype_bytes(a->type);
    char *packed = mem_array(a->rows, row);
    if (!packed) return mem_error(err, name, a->rows * row);
    for (size_t r = 0; r < a->rows; r++)
        memcpy(packed + r * row, (const char *)a->data + r * stride, row);
    enum status st = h5_write(f, name, a->type, a->rows, a->cols, packed, err);
    mem_free(packed);
    return st;
}

static enum status write_array(struct h5 *f, const char *name,
                               const struct named_array *a, struct error *err)
{
    if (a->stride && a->stride != width_of(a)) return write_packed(f, name, a, err);
    return h5_write(f, name, a->type, a->rows, a->cols, a->data, err);
}

static enum status write_tensor(struct h5 *f, const char *group,
                                const struct named_array *a, struct digest *digest,
                                struct error *err)
{
    char name[CKPT_NAME];
    if ((size_t)snprintf(name, sizeof name, "%s/%s", group, a->name) >= sizeof name)
        return error_set(err, ST_CANTCREATE, "tensor %s: the name is too long", a->name);
    if (a->type != DTYPE_F32)
        return error_set(err, ST_INTERNAL, "tensor %s: not f32", a->name);
    TRY(check_finite(a, name, err));
    digest_tensor(digest, name, a->rows, a->cols, a->data, a->stride);
    return write_array(f, name, a, err);
}

static enum status write_dense(struct h5 *f, const struct named_array *tensors, size_t n,
                               const struct ckpt_slot *slots, size_t n_slots,
                               struct digest *digest, struct error *err)
{
    char group[CKPT_NAME];
    TRY(ckpt_mark_file(f, "mtps-dense", err));
    for (size_t i = 0; i < n; i++)
        TRY(write_tensor(f, "tensor", &tensors[i], digest, err));
    for (size_t s = 0; s < n_slots; s++) {
        const char *name = slots[s].name;
        if ((size_t)snprintf(group, sizeof group, "slot/%s", name) >= sizeof group)
            return error_set(err, ST_CANTCREATE, "slot %s: the name is too long", name);
        for (size_t i = 0; i < slots[s].n; i++)
            TRY(write_tensor(f, group, &slots[s].arrays[i], digest, err));
    }
    return ST_OK;
}

static enum status close_and_seal(struct h5 *f, enum status st, const char *path,
                                  const char *name, struct ckpt_file_info *info,
                                  struct error *err)
{
    enum status closed = h5_close(f, st == ST_OK ? err : NULL);
    if (st != ST_OK) return st;
    if (closed != ST_OK) return closed;
    return ckpt_seal_file(path, name, NULL, NULL, info, err);
}

enum status ckpt_dense_write(const char *temp, const struct named_array *tensors,
                             size_t n, const struct ckpt_slot *slots, size_t n_slots,
                             struct ckpt_file_info *info, struct error *err)
{
    char path[CKPT_PATH];
    struct h5 *f;
    *info = (struct ckpt_file_info){0};
    TRY(manifest_path(temp, "dense.h5", path, sizeof path, err));
    TRY(h5_create(path, &f, err));
    enum status st =
        write_dense(f, tensors, n, slots, n_slots, &info->digest, err);
    return close_and_seal(f, st, path, "dense.h5", info, err);
}

static enum status write_state(struct h5 *f, const struct named_array *arrays, size_t n,
                               struct error *err)
{
    char name[CKPT_NAME];
    TRY(ckpt_mark_file(f, "mtps-state", err));
    for (size_t i = 0; i < n; i++) {
        if ((size_t)snprintf(name, sizeof name, "state/%s", arrays[i].name) >=
            sizeof name)
            return error_set(err, ST_CANTCREATE, "state %s: the name is too long",
                             arrays[i].name);
        TRY(write_array(f, name, &arrays[i], err));
    }
    return ST_OK;
}

enum status ckpt_state_write(const char *temp, const struct named_array *arrays, size_t n,
                             struct ckpt_file_info *info, struct error *err)
{
    char path[CKPT_PATH];
    struct h5 *f;
    *info = (struct ckpt_file_info){0};
    TRY(manifest_path(temp, "train_state.h5", path, sizeof path, err));
    TRY(h5_create(path, &f, err));
    return close_and_seal(f, write_state(f, arrays, n, err), path, "train_state.h5", info,
                          err);
}
