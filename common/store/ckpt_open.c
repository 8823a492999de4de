/* An open checkpoint: manifest, tensors and state. */
#include "common/store/ckpt_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct array_list {
    struct named_array *v;
    size_t n, capacity;
};

struct ckpt {
    char *path;
    struct manifest m;
    struct array_list tensors; /* "NAME" */
    struct array_list slots;   /* "SLOT/NAME" */
    struct array_list state;
    bool has_dense, has_state;
};

static void arrays_free(struct array_list *l)
{
    for (size_t i = 0; i < l->n; i++) mem_free(l->v[i].data);
    mem_free(l->v);
    *l = (struct array_list){0};
}

void ckpt_close(struct ckpt *c)
{
    if (!c) return;
    arrays_free(&c->tensors);
    arrays_free(&c->slots);
    arrays_free(&c->state);
    manifest_close(&c->m);
    mem_free(c->path);
    mem_free(c);
}

/* A folder called step-N must hold step N. */
static enum status check_name(const struct ckpt *c, struct error *err)
{
    uint64_t step;
    const char *slash = strrchr(c->path, '/');
    if (!ckpt_parse_name(slash ? slash + 1 : c->path, &step) || step == c->m.meta.step)
        return ST_OK;
    return error_set(err, ST_NOINPUT, "%s: the manifest is of step %" PRIu64, c->path,
                     c->m.meta.step);
}

static enum status open_files(struct ckpt *c, bool hashes, struct error *err)
{
    TRY(manifest_read(c->path, &c->m, err));
    TRY(check_name(c, err));
    /* All sizes first: they cost nothing. */
    for (size_t i = 0; i < c->m.n_files; i++)
        TRY(manifest_check_file(c->path, &c->m.files[i], false, err));
    for (size_t i = 0; i < c->m.n_files; i++)
        if (hashes || i >= c->m.n_sparse)
            TRY(manifest_check_file(c->path, &c->m.files[i], true, err));
    return ST_OK;
}

enum status ckpt_open(const char *path, bool hashes, struct ckpt **out, struct error *err)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    struct ckpt *c = mem_zeroed(1, sizeof *c);
    if (!c) return mem_error(err, path, sizeof *c);
    c->path = mem_strndup(path, n);
    enum status st = c->path ? open_files(c, hashes, err) : mem_error(err, path, n);
    if (st == ST_OK)
        *out = c;
    else
        ckpt_close(c);
    return st;
}

struct manifest *ckpt_manifest(struct ckpt *c)
{
    return &c->m;
}

const char *ckpt_path(const struct ckpt *c)
{
    return c->path;
}

const struct ckpt_meta *ckpt_meta(const struct ckpt *c)
{
    return &c->m.meta;
}

size_t ckpt_n_tables(const struct ckpt *c)
{
    return c->m.n_tables;
}

const struct ckpt_table *ckpt_table(const struct ckpt *c, size_t i)
{
    return &c->m.tables[i];
}

uint64_t ckpt_table_rows(const struct ckpt *c, size_t i)
{
    return c->m.table_rows[i];
}

size_t ckpt_n_files(const struct ckpt *c)
{
    return c->m.n_files;
}

const struct ckpt_file_info *ckpt_file(const struct ckpt *c, size_t i)
{
    return &c->m.files[i].info;
}

struct ckpt_counts ckpt_count_rows(const struct ckpt *c)
{
    struct ckpt_counts n = {0, 0};
    for (size_t t = 0; t < c->m.n_tables; t++)
        *(c->m.tables[t].dim ? &n.rows : &n.waiting) += c->m.table_rows[t];
    return n;
}

void ckpt_digest(const struct ckpt *c, struct digest *d)
{
    *d = c->m.digest;
}

size_t ckpt_n_tensors(const struct ckpt *c)
{
    return c->m.n_tensors;
}

struct named_array ckpt_tensor_shape(const struct ckpt *c, size_t i)
{
    const struct manifest_tensor *t = &c->m.tensors[i];
    return (struct named_array){
        .name = t->name, .type = DTYPE_F32, .rows = t->rows, .cols = t->cols};
}

size_t ckpt_n_slots(const struct ckpt *c)
{
    return c->m.n_slots;
}

const char *ckpt_slot(const struct ckpt *c, size_t i)
{
    return c->m.slots[i];
}

/* ---- arrays of a file ---- */

struct array_reader {
    struct ckpt *c;
    struct h5 *file;
    const char *prefix; /* "tensor/" */
    struct array_list *to;
};

static enum status add_array(void *arg, const char *name, struct error *err)
{
    struct array_reader *r = arg;
    struct array_list *l = r->to;
    if (l->n == l->capacity) {
        size_t capacity = 2 * l->capacity + 16;
        struct named_array *more = mem_resize(l->v, capacity, sizeof *more);
        if (!more) return mem_error(err, name, capacity * sizeof *more);
        l->v = more;
        l->capacity = capacity;
    }
    struct named_array *a = &l->v[l->n];
    *a = (struct named_array){.name =
                                  arena_strdup(r->c->m.arena, name + strlen(r->prefix))};
    if (!a->name) return mem_error(err, name, strlen(name));
    TRY(h5_describe(r->file, name, &a->type, &a->rows, &a->cols, err));
    TRY(h5_read(r->file, name, a->type, &a->rows, &a->cols, &a->data, err));
    a->stride = a->cols;
    l->n++;
    return ST_OK;
}

static enum status read_group(struct ckpt *c, struct h5 *f, const char *group,
                              const char *prefix, struct array_list *to,
                              struct error *err)
{
    struct array_reader r = {c, f, prefix, to};
    enum status st = h5_visit(f, group, add_array, &r, err);
    if (st != ST_OK) arrays_free(to);
    return st;
}

/* Opens a file whose hash has been compared. */
static enum status open_small(struct ckpt *c, const char *name, const char *format,
                              struct h5 **out, struct error *err)
{
    char path[CKPT_PATH];
    TRY(manifest_path(c->path, name, path, sizeof path, err));
    TRY(h5_open(path, out, err));
    enum status st = ckpt_check_mark(*out, path, format, err);
    if (st == ST_OK) return ST_OK;
    enum status closed = h5_close(*out, NULL);
    (void)closed; /* was only read */
    return st;
}

static enum status read_dense(struct ckpt *c, struct h5 *f, struct error *err)
{
    TRY(read_group(c, f, "tensor", "tensor/", &c->tensors, err));
    enum status st = read_group(c, f, "slot", "slot/", &c->slots, err);
    /* Optimisers may share out the tensors, so a tensor need not be in every slot. */
    size_t most = c->m.n_tensors * c->m.n_slots;
    if (st == ST_OK && (c->tensors.n != c->m.n_tensors || c->slots.n > most))
        st = error_set(
            err, ST_NOINPUT,
            "%s/dense.h5: %zu tensors and %zu slots, the manifest has %zu and up to %zu",
            c->path, c->tensors.n, c->slots.n, c->m.n_tensors, most);
    if (st == ST_OK) return ST_OK;
    arrays_free(&c->tensors);
    arrays_free(&c->slots);
    return st;
}

enum status ckpt_read_dense(struct ckpt *c, const struct named_array **tensors, size_t *n,
                            struct error *err)
{
    if (!c->has_dense) {
        struct h5 *f;
        TRY(open_small(c, "dense.h5", "mtps-dense", &f, err));
        enum status st = read_dense(c, f, err);
        enum status closed = h5_close(f, st == ST_OK ? err : NULL);
        if (st != ST_OK || closed != ST_OK) return st != ST_OK ? st : closed;
        c->has_dense = true;
    }
    if (tensors) *tensors = c->tensors.v;
    if (n) *n = c->tensors.n;
    return ST_OK;
}

enum status ckpt_read_state(struct ckpt *c, struct error *err)
{
    if (c->has_state) return ST_OK;
    struct h5 *f;
    TRY(open_small(c, "train_state.h5", "mtps-state", &f, err));
    enum status st = read_group(c, f, "state", "state/", &c->state, err);
    enum status closed = h5_close(f, st == ST_OK ? err : NULL);
    if (st != ST_OK || closed != ST_OK) return st != ST_OK ? st : closed;
    c->has_state = true;
    return ST_OK;
}

static const struct named_array *find(const struct array_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->v[i].name, name)) return &l->v[i];
    return NULL;
}

const struct named_array *ckpt_find_tensor(struct ckpt *c, const char *name)
{
    return find(&c->tensors, name);
}

const struct named_array *ckpt_find_slot(struct ckpt *c, const char *slot,
                                         const char *name)
{
    char full[CKPT_NAME];
    if ((size_t)snprintf(full, sizeof full, "%s/%s", slot, name) >= sizeof full)
        return NULL;
    return find(&c->slots, full);
}

const struct named_array *ckpt_find_state(struct ckpt *c, const char *name)
{
    return find(&c->state, name);
}

const struct named_array *ckpt_state(const struct ckpt *c, size_t *n)
{
    *n = c->state.n;
    return c->state.v;
}
