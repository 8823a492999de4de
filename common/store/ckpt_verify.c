/* The full check of a checkpoint: what no hash of the writer can promise. */
#include "common/store/ckpt_internal.h"

#include <stdio.h>
#include <string.h>

struct row_check {
    const struct ckpt_table *table;
    const char *file;
    float *scratch;
    struct digest digest;
    uint64_t rows;
};

static enum status check_values(const struct row_check *k, const float *v, size_t width,
                                size_t rows, const char *what, struct error *err)
{
    size_t at = ckpt_find_nonfinite(v, rows * width);
    if (at == rows * width) return ST_OK;
    return error_set(err, ST_NOINPUT,
                     "%s: table %s: %s of row %zu: infinite or not a number", k->file,
                     k->table->name, what, (size_t)k->rows + at / width);
}

static enum status check_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    struct row_check *k = arg;
    const struct ckpt_table *t = k->table;
    TRY(check_values(k, rows->weights, t->dim, rows->n, "weights", err));
    for (size_t i = 0; i < t->n_slots; i++)
        TRY(check_values(k, rows->slots[i], t->slot_width[i], rows->n, t->slot_name[i],
                         err));
    ckpt_digest_rows(&k->digest, t, rows, k->scratch);
    k->rows += rows->n;
    return ST_OK;
}

static enum status check_digest(const struct manifest_file *f, const struct digest *found,
                                struct error *err)
{
    if (digest_equal(found, &f->info.digest)) return ST_OK;
    return error_set(err, ST_NOINPUT,
                     "%s: its contents do not have the digest in the manifest",
                     f->info.name);
}

static enum status check_table(struct ckpt *c, size_t file, size_t table,
                               struct digest *sum, struct error *err)
{
    const struct manifest *m = ckpt_manifest(c);
    struct row_check k = {.table = &m->tables[table], .file = m->files[file].info.name};
    k.scratch = mem_array(ckpt_row_floats(k.table), sizeof *k.scratch);
    if (!k.scratch) return mem_error(err, "row buffer", ckpt_row_floats(k.table));
    enum status st =
        ckpt_read_file_rows(c, file, table, m->files[file].buckets, check_rows, &k, err);
    mem_free(k.scratch);
    digest_add(sum, &k.digest);
    return st;
}

static enum status count_dataset(void *arg, const char *name, struct error *err)
{
    (void)name;
    (void)err;
    ++*(size_t *)arg;
    return ST_OK;
}

/* Nothing in the file but the tables. */
static enum status check_contents(struct ckpt *c, size_t file, struct error *err)
{
    const struct manifest *m = ckpt_manifest(c);
    char path[CKPT_PATH];
    struct h5 *f;
    size_t found = 0, expected = 0;
    for (size_t t = 0; t < m->n_tables; t++)
        expected += m->tables[t].dim ? 4 + m->tables[t].n_slots : 3;
    TRY(manifest_path(ckpt_path(c), m->files[file].info.name, path, sizeof path, err));
    TRY(h5_open(path, &f, err));
    enum status st = h5_visit(f, "", count_dataset, &found, err);
    enum status closed = h5_close(f, st == ST_OK ? err : NULL);
    if (st != ST_OK || closed != ST_OK) return st != ST_OK ? st : closed;
    if (found == expected) return ST_OK;
    return error_set(err, ST_NOINPUT, "%s: %zu datasets, the manifest's tables make %zu",
                     path, found, expected);
}

static enum status check_sparse(struct ckpt *c, size_t file, struct error *err)
{
    const struct manifest *m = ckpt_manifest(c);
    struct digest sum = {0};
    TRY(check_contents(c, file, err));
    for (size_t t = 0; t < m->n_tables; t++) TRY(check_table(c, file, t, &sum, err));
    return check_digest(&m->files[file], &sum, err);
}

static enum status add_tensor(struct digest *sum, const char *group,
                              const struct named_array *a, struct error *err)
{
    char name[CKPT_NAME];
    size_t n = a->rows * (a->cols ? a->cols : 1);
    if ((size_t)snprintf(name, sizeof name, "%s/%s", group, a->name) >= sizeof name ||
        a->type != DTYPE_F32)
        return error_set(err, ST_NOINPUT, "dense.h5: %s: not a tensor of f32", a->name);
    if (ckpt_find_nonfinite(a->data, n) < n)
        return error_set(err, ST_NOINPUT, "dense.h5: %s: infinite or not a number", name);
    digest_tensor(sum, name, a->rows, a->cols, a->data, 0);
    return ST_OK;
}

/* A slot that is not there is missing in the digest, unless the tensor has no such. */
static enum status check_slots(struct ckpt *c, const struct named_array *tensor,
                               struct digest *sum, struct error *err)
{
    const struct manifest *m = ckpt_manifest(c);
    for (size_t s = 0; s < m->n_slots; s++) {
        char group[CKPT_NAME];
        snprintf(group, sizeof group, "slot/%s", m->slots[s]);
        const struct named_array *a = ckpt_find_slot(c, m->slots[s], tensor->name);
        if (!a) continue;
        struct named_array named = *a;
        named.name = tensor->name;
        TRY(add_tensor(sum, group, &named, err));
    }
    return ST_OK;
}

static enum status check_dense(struct ckpt *c, struct error *err)
{
    const struct manifest *m = ckpt_manifest(c);
    const struct named_array *tensors;
    struct digest sum = {0};
    size_t n;
    TRY(ckpt_read_dense(c, &tensors, &n, err));
    for (size_t i = 0; i < n; i++) {
        const struct manifest_tensor *said = &m->tensors[i];
        if (strcmp(said->name, tensors[i].name) || said->rows != tensors[i].rows ||
            said->cols != tensors[i].cols)
            return error_set(err, ST_NOINPUT,
                             "dense.h5: tensor %s: not as the manifest says",
                             tensors[i].name);
        TRY(add_tensor(&sum, "tensor", &tensors[i], err));
        TRY(check_slots(c, &tensors[i], &sum, err));
    }
    return check_digest(&m->files[m->n_sparse], &sum, err);
}

static enum status check_all(struct ckpt *c, struct error *err)
{
    const struct manifest *m = ckpt_manifest(c);
    for (size_t i = 0; i < m->n_sparse; i++) TRY(check_sparse(c, i, err));
    TRY(check_dense(c, err));
    return ckpt_read_state(c, err);
}

enum status ckpt_verify(const char *path, struct error *err)
{
    struct ckpt *c;
    TRY(ckpt_open(path, true, &c, err));
    enum status st = check_all(c, err);
    ckpt_close(c);
    return st;
}
