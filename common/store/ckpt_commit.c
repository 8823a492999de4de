/* Making a checkpoint durable and visible: temp folder, manifest, rename. */
#include "common/store/ckpt_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct ckpt_save {
    char *dir;
    char *temp;
    char name[40]; /* "step-000000012000" */
    uint64_t step;
};

/* ---- begin ---- */

static enum status check_space(const char *dir, uint64_t expect_bytes, struct error *err)
{
    struct statvfs s;
    if (statvfs(dir, &s))
        return error_set(err, ST_IO, "%s: cannot ask for free space: %s", dir,
                         strerror(errno));
    uint64_t free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
    uint64_t need;
    if (__builtin_add_overflow(expect_bytes, expect_bytes / 5, &need)) need = UINT64_MAX;
    if (free_bytes >= need) return ST_OK;
    error_set(err, ST_IO,
              "%s: a checkpoint needs about %" PRIu64 " bytes, %" PRIu64 " are free", dir,
              need, free_bytes);
    return error_hint(err, ST_IO, "free space, or lower checkpoint.keep");
}

static enum status make_temp(struct ckpt_save *s, uint64_t attempt, struct error *err)
{
    char temp[CKPT_PATH];
    uint32_t nonce;
    if (getrandom(&nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
        return error_set(err, ST_IO, "no random number for a folder's name: %s",
                         strerror(errno));
    int n = snprintf(temp, sizeof temp, "%s/.tmp-%s-a%04" PRIu64 "-%08" PRIx32, s->dir,
                     s->name, attempt, nonce);
    if (n < 0 || (size_t)n >= sizeof temp)
        return error_set(err, ST_CANTCREATE, "%s: the path is too long", s->dir);
    s->temp = mem_strdup(temp);
    if (!s->temp) return mem_error(err, temp, strlen(temp));
    if (mkdir(temp, 0777)) {
        enum status st = error_set(err, ST_CANTCREATE, "%s: cannot make the folder: %s",
                                   temp, strerror(errno));
        mem_free(s->temp);
        s->temp = NULL;
        return st;
    }
    return file_fsync(s->dir, err);
}

enum status ckpt_begin(const char *dir, uint64_t step, uint64_t attempt,
                       uint64_t expect_bytes, struct ckpt_save **out, struct error *err)
{
    TRY(file_mkdirs(dir, err));
    TRY(check_space(dir, expect_bytes, err));
    struct ckpt_save *s = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "checkpoint", sizeof *s);
    s->step = step;
    snprintf(s->name, sizeof s->name, "step-%012" PRIu64, step);
    s->dir = mem_strdup(dir);
    enum status st =
        s->dir ? make_temp(s, attempt, err) : mem_error(err, dir, strlen(dir));
    if (st == ST_OK)
        *out = s;
    else
        ckpt_abandon(s);
    return st;
}

const char *ckpt_save_path(const struct ckpt_save *s)
{
    return s->temp;
}

static void save_free(struct ckpt_save *s)
{
    mem_free(s->dir);
    mem_free(s->temp);
    mem_free(s);
}

/* What cannot be removed now is swept by the next start. */
static void remove_quietly(const char *path)
{
    enum status st = file_remove_tree(path, NULL);
    (void)st;
}

void ckpt_abandon(struct ckpt_save *s)
{
    if (!s) return;
    if (s->temp) remove_quietly(s->temp);
    save_free(s);
}

/* ---- what the manifest says, read back from the files ---- */

static enum status count_rows(const char *temp, struct manifest *m,
                              struct manifest_file *f, struct error *err)
{
    char path[CKPT_PATH];
    struct ckpt_column columns[CKPT_COLUMNS];
    struct h5 *h;
    uint64_t sum = 0;
    TRY(manifest_path(temp, f->info.name, path, sizeof path, err));
    TRY(h5_open(path, &h, err));
    enum status st = ST_OK;
    for (size_t t = 0; t < m->n_tables && st == ST_OK; t++) {
        enum dtype type;
        size_t rows = 0, cols;
        ckpt_columns(&m->tables[t], columns);
        st = h5_describe(h, columns[0].name, &type, &rows, &cols, err);
        f->rows[t] = rows;
        m->table_rows[t] += rows;
        sum += rows;
    }
    enum status closed = h5_close(h, st == ST_OK ? err : NULL);
    if (st != ST_OK || closed != ST_OK) return st != ST_OK ? st : closed;
    if (sum == f->info.rows) return ST_OK;
    return error_set(err, ST_IO, "%s: holds %" PRIu64 " rows, its server wrote %" PRIu64,
                     path, sum, f->info.rows);
}

struct tensor_list {
    struct manifest *m;
    struct h5 *file;
    size_t capacity;
};

static enum status add_tensor(void *arg, const char *name, struct error *err)
{
    struct tensor_list *l = arg;
    struct manifest *m = l->m;
    enum dtype type;
    if (m->n_tensors == l->capacity) {
        size_t capacity = 2 * l->capacity + 16;
        struct manifest_tensor *more = arena_take(m->arena, capacity, sizeof *more);
        if (!more) return mem_error(err, name, capacity);
        if (m->n_tensors) memcpy(more, m->tensors, m->n_tensors * sizeof *more);
        m->tensors = more;
        l->capacity = capacity;
    }
    struct manifest_tensor *t = &m->tensors[m->n_tensors];
    TRY(h5_describe(l->file, name, &type, &t->rows, &t->cols, err));
    t->name = arena_strdup(m->arena, name + strlen("tensor/"));
    if (!t->name) return mem_error(err, name, strlen(name));
    m->n_tensors++;
    return ST_OK;
}

struct slot_list {
    struct manifest *m;
    size_t capacity;
};

/* Names "slot/SLOT/TENSOR" come sorted, so each SLOT once in a row. */
static enum status add_slot(void *arg, const char *name, struct error *err)
{
    struct slot_list *l = arg;
    struct manifest *m = l->m;
    const char *slot = name + strlen("slot/");
    const char *end = strchr(slot, '/');
    if (!end) return error_set(err, ST_INTERNAL, "%s: not a slot of a tensor", name);
    size_t n = (size_t)(end - slot);
    const char *last = m->n_slots ? m->slots[m->n_slots - 1] : "";
    if (strlen(last) == n && !memcmp(last, slot, n)) return ST_OK;
    if (m->n_slots == l->capacity)
        return error_set(err, ST_INTERNAL, "%s: too many slots", name);
    m->slots[m->n_slots] = arena_strndup(m->arena, slot, n);
    if (!m->slots[m->n_slots]) return mem_error(err, name, n);
    m->n_slots++;
    return ST_OK;
}

static enum status list_tensors(const char *temp, struct manifest *m, struct error *err)
{
    enum { MOST_SLOTS = 8 };
    char path[CKPT_PATH];
    TRY(manifest_path(temp, "dense.h5", path, sizeof path, err));
    struct tensor_list tensors = {.m = m};
    struct slot_list slots = {m, MOST_SLOTS};
    m->slots = arena_take(m->arena, MOST_SLOTS, sizeof *m->slots);
    if (!m->slots) return mem_error(err, path, MOST_SLOTS);
    TRY(h5_open(path, &tensors.file, err));
    enum status st = h5_visit(tensors.file, "tensor", add_tensor, &tensors, err);
    if (st == ST_OK) st = h5_visit(tensors.file, "slot", add_slot, &slots, err);
    enum status closed = h5_close(tensors.file, st == ST_OK ? err : NULL);
    return st != ST_OK ? st : closed;
}

static const struct ckpt_file_info *find_file(const struct ckpt_file_info *files,
                                              size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(files[i].name, name)) return &files[i];
    return NULL;
}

/* Sparse files by number, then dense and state. */
static enum status place_files(struct manifest *m, const struct ckpt_file_info *files,
                               struct error *err)
{
    for (size_t i = 0; i < m->n_files; i++) {
        struct manifest_file *f = &m->files[i];
        char name[64];
        if (i < m->n_sparse)
            manifest_sparse_name(i, m->n_sparse, name);
        else
            snprintf(name, sizeof name, "%s",
                     i == m->n_sparse ? "dense.h5" : "train_state.h5");
        const struct ckpt_file_info *info = find_file(files, m->n_files, name);
        if (!info)
            return error_set(err, ST_INTERNAL, "checkpoint: nobody wrote %s", name);
        f->info = *info;
        f->role = manifest_role(name);
        f->rows = arena_take(m->arena, m->n_tables, sizeof *f->rows);
        if (!f->rows) return mem_error(err, name, m->n_tables);
    }
    return ST_OK;
}

static enum status fill_manifest(const char *temp, struct manifest *m,
                                 const struct ckpt_table *tables,
                                 const struct ckpt_file_info *files, struct error *err)
{
    m->tables = arena_take(m->arena, m->n_tables, sizeof *m->tables);
    m->table_rows = arena_take(m->arena, m->n_tables, sizeof *m->table_rows);
    m->files = arena_take(m->arena, m->n_files, sizeof *m->files);
    if (!m->tables || !m->table_rows || !m->files)
        return mem_error(err, "manifest", m->n_files);
    if (m->n_tables) memcpy(m->tables, tables, m->n_tables * sizeof *tables);
    TRY(place_files(m, files, err));
    for (size_t i = 0; i < m->n_files; i++) {
        TRY(manifest_check_file(temp, &m->files[i], false, err));
        if (i < m->n_sparse) TRY(count_rows(temp, m, &m->files[i], err));
    }
    TRY(list_tensors(temp, m, err));
    manifest_sum_digest(m, &m->digest);
    return ST_OK;
}

/* ---- commit ---- */

/* A folder of this step is there already: the same contents are fine (a resumed
 * run came to the same step), a damaged one makes way. *done: nothing to rename. */
static enum status settle_existing(const struct ckpt_save *s, const char *final,
                                   const struct digest *digest, bool *done,
                                   struct error *err)
{
    struct ckpt *old;
    struct error why;
    if (ckpt_open(final, true, &old, &why) == ST_OK) {
        struct digest d;
        ckpt_digest(old, &d);
        ckpt_close(old);
        *done = digest_equal(&d, digest);
        if (*done) return ST_OK;
        error_set(err, ST_CANTCREATE, "%s: exists already, with other contents", final);
        return error_hint(err, ST_CANTCREATE, "use another run directory");
    }
    char aside[CKPT_PATH];
    const char *nonce = strrchr(s->temp, '-');
    int n = snprintf(aside, sizeof aside, "%s/.trash-%s%s", s->dir, s->name, nonce);
    if (n < 0 || (size_t)n >= sizeof aside)
        return error_set(err, ST_CANTCREATE, "%s: the path is too long", s->dir);
    if (rename(final, aside))
        return error_set(err, ST_IO, "%s: cannot move it aside: %s", final,
                         strerror(errno));
    remove_quietly(aside);
    return ST_OK;
}

/* Never onto something that exists. */
static enum status rename_new(const char *from, const char *to, struct error *err)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return ST_OK;
    bool unsupported = errno == EINVAL || errno == ENOSYS;
    if (unsupported && !file_exists(to) && rename(from, to) == 0) return ST_OK;
    return error_set(err, ST_IO, "%s: cannot rename it to %s: %s", from, to,
                     strerror(errno));
}

/* Only a hint for people: no reader trusts it, so a failure does not matter. */
static void write_hint(const struct ckpt_save *s)
{
    char path[CKPT_PATH], line[64];
    if (manifest_path(s->dir, "LATEST", path, sizeof path, NULL) != ST_OK) return;
    int n = snprintf(line, sizeof line, "%s\n", s->name);
    enum status st = file_write_atomic(path, line, (size_t)n, NULL);
    (void)st;
}

static enum status publish(struct ckpt_save *s, const char *final,
                           const struct manifest *m, bool (*still_ours)(void *),
                           void *arg, struct error *err)
{
    char path[CKPT_PATH], *text;
    size_t bytes;
    bool done = false;
    TRY(manifest_path(s->temp, MANIFEST_NAME, path, sizeof path, err));
    TRY(manifest_print(m, &text, &bytes, err));
    enum status st = file_write_atomic(path, text, bytes, err);
    mem_free(text);
    TRY(st);
    if (still_ours && !still_ours(arg))
        return error_set(
            err, ST_BUSY,
            "%s: not committed: another attempt has taken over the run directory", final);
    if (file_exists(final)) TRY(settle_existing(s, final, &m->digest, &done, err));
    if (!done) TRY(rename_new(s->temp, final, err));
    TRY(file_fsync(s->dir, err));
    if (done) remove_quietly(s->temp);
    return ST_OK;
}

enum status ckpt_commit(struct ckpt_save *s, const struct ckpt_meta *meta,
                        const struct ckpt_table *tables, size_t n_tables,
                        const struct ckpt_file_info *files, size_t n_files,
                        bool (*still_ours)(void *), void *arg, char **path,
                        struct error *err)
{
    char final[CKPT_PATH];
    if (n_files < 3 || meta->step != s->step)
        return error_set(err, ST_INTERNAL,
                         "checkpoint: %zu files of step %" PRIu64
                         " for a save of step %" PRIu64,
                         n_files, meta->step, s->step);
    TRY(manifest_path(s->dir, s->name, final, sizeof final, err));
    char *result = mem_strdup(final);
    if (!result) return mem_error(err, final, strlen(final));
    struct manifest m = {
        .meta = *meta, .n_tables = n_tables, .n_files = n_files, .n_sparse = n_files - 2};
    enum status st = arena_create(&m.arena, err);
    if (st == ST_OK) st = fill_manifest(s->temp, &m, tables, files, err);
    if (st == ST_OK) st = publish(s, final, &m, still_ours, arg, err);
    manifest_close(&m);
    if (st != ST_OK) {
        mem_free(result);
        return st;
    }
    write_hint(s);
    save_free(s);
    *path = result;
    return ST_OK;
}
