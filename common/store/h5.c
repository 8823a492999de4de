#include "common/store/h5.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <hdf5.h>

#include "common/base/mem.h"
#include "common/store/file.h"
#include "common/store/h5_names.h"
#include "common/store/h5_why.h"

enum {
    CHUNK_BYTES = 1 << 20,
    TEXT_LIMIT = 60 * 1024 /* an attribute must fit its object's header (64 KiB) */
};

struct h5 {
    hid_t id;
    uint64_t bytes; /* of the file when it was opened */
    bool writing;
    char why[1400]; /* the first write that failed; empty = none */
    int why_system; /* its errno, or 0 */
    char path[];
};

struct h5_data {
    struct h5 *file;
    hid_t id;
    enum dtype type;
    size_t rows, cols; /* cols 0 = one-dimensional */
    char name[];
};

/* The library keeps global state and is not thread-safe, so one lock guards it. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_setup(void)
{
    /* Its exit handler crashes after a failed write (disk full); see docs/adr. */
    H5dont_atexit();
    H5open();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
}

static void enter(void)
{
    pthread_once(&library_once, library_setup);
    pthread_mutex_lock(&library_lock);
    H5Eclear2(H5E_DEFAULT);
}

static enum status leave(enum status st)
{
    pthread_mutex_unlock(&library_lock);
    return st;
}

/* ---- errors: the library's stack as "outermost: innermost" ---- */

static herr_t stack_entry(unsigned n, const H5E_error2_t *e, void *arg)
{
    h5_why_add(arg, n, e->desc);
    return 0;
}

/* Text "PATH: fmt: cause"; a failed write is also kept in the file. */
static enum status PRINTF_LIKE(4, 5)
    fail(struct h5 *f, enum status st, struct error *err, const char *fmt, ...)
{
    char text[512], cause[800];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct h5_why why = {.system = 0};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, stack_entry, &why);
    H5Eclear2(H5E_DEFAULT);
    h5_why_text(&why, cause, sizeof cause);
    if (f->writing && !f->why[0]) {
        snprintf(f->why, sizeof f->why, "%s%s", text, cause);
        f->why_system = why.system;
    }
    error_set(err, st, "%s: %s%s", f->path, text, cause);
    return file_hint(err, st, why.system);
}

/* Closes an object and keeps the stack: any other call would clear it. */
static void done_with(hid_t id)
{
    hid_t kept = H5Eget_current_stack();
    H5Idec_ref(id);
    H5Eset_current_stack(kept);
}

/* ---- types ---- */

/* The library's names stand for numbers that are known only when it runs. */
static hid_t file_type(enum dtype t)
{
    const hid_t types[DTYPE_COUNT] = {H5T_STD_U8LE,  H5T_STD_U32LE,  H5T_STD_U64LE,
                                      H5T_STD_I64LE, H5T_IEEE_F32LE, H5T_IEEE_F64LE};
    return types[t];
}

static hid_t memory_type(enum dtype t)
{
    const hid_t types[DTYPE_COUNT] = {H5T_NATIVE_UINT8,  H5T_NATIVE_UINT32,
                                      H5T_NATIVE_UINT64, H5T_NATIVE_INT64,
                                      H5T_NATIVE_FLOAT,  H5T_NATIVE_DOUBLE};
    return types[t];
}

/* DTYPE_COUNT when the stored type is none of ours. */
static enum dtype type_of(hid_t type)
{
    for (enum dtype t = 0; t < DTYPE_COUNT; t++)
        if (H5Tequal(type, file_type(t)) > 0) return t;
    return DTYPE_COUNT;
}

/* ---- files ---- */

static hid_t access_list(void)
{
    hid_t p = H5Pcreate(H5P_FILE_ACCESS);
    /* Locks fail on some network file systems; a run has its own lock (file.h)
     * and a new file is created exclusively. */
    if (p >= 0 && (H5Pset_libver_bounds(p, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0 ||
                   H5Pset_file_locking(p, 0, 1) < 0 ||
                   H5Pset_fclose_degree(p, H5F_CLOSE_STRONG) < 0)) {
        H5Pclose(p);
        return H5I_INVALID_HID;
    }
    return p;
}

static struct h5 *file_new(const char *path, bool writing)
{
    size_t n = strlen(path) + 1;
    struct h5 *f = mem_zeroed(1, sizeof *f + n);
    if (!f) return NULL;
    f->id = H5I_INVALID_HID;
    f->writing = writing;
    memcpy(f->path, path, n);
    return f;
}

/* Times are not stored: equal contents give equal bytes. */
static hid_t plain_creation_list(hid_t class)
{
    hid_t p = H5Pcreate(class);
    if (p >= 0 && H5Pset_obj_track_times(p, 0) < 0) {
        H5Pclose(p);
        return H5I_INVALID_HID;
    }
    return p;
}

enum status h5_create(const char *path, struct h5 **out, struct error *err)
{
    enter();
    struct h5 *f = file_new(path, true);
    if (!f) return leave(mem_error(err, path, sizeof *f));
    hid_t access = access_list(), creation = plain_creation_list(H5P_FILE_CREATE);
    if (access >= 0 && creation >= 0)
        f->id = H5Fcreate(path, H5F_ACC_EXCL, creation, access);
    enum status st =
        f->id < 0 ? fail(f, ST_CANTCREATE, err, "cannot create the file") : ST_OK;
    H5Pclose(access);
    H5Pclose(creation);
    if (st != ST_OK)
        mem_free(f);
    else
        *out = f;
    return leave(st);
}

struct link_check {
    struct h5 *file;
    struct error *err;
    enum status st;
};

/* Only hard links to groups and datasets, each object reached by one name. */
static herr_t check_link(hid_t group, const char *name, const H5L_info_t *info, void *arg)
{
    struct link_check *c = arg;
    if (info->type != H5L_TYPE_HARD) {
        c->st = fail(c->file, ST_NOINPUT, c->err, "\"%s\" is not a hard link", name);
        return -1;
    }
    H5O_info_t object;
    if (H5Oget_info_by_name2(group, name, &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0) {
        c->st = fail(c->file, ST_NOINPUT, c->err, "\"%s\" cannot be read", name);
        return -1;
    }
    if ((object.type != H5O_TYPE_GROUP && object.type != H5O_TYPE_DATASET) ||
        object.rc != 1) {
        c->st = fail(c->file, ST_NOINPUT, c->err,
                     "\"%s\" is not a plain group or dataset with one name", name);
        return -1;
    }
    return 0;
}

static enum status open_checked(struct h5 *f, struct error *err)
{
    struct stat s;
    if (stat(f->path, &s) || !S_ISREG(s.st_mode))
        return error_set(err, ST_NOINPUT, "%s: no such file", f->path);
    f->bytes = (uint64_t)s.st_size;
    hid_t access = access_list();
    if (access >= 0) f->id = H5Fopen(f->path, H5F_ACC_RDONLY, access);
    done_with(access);
    if (f->id < 0) return fail(f, ST_NOINPUT, err, "not a complete HDF5 file");
    struct link_check check = {f, err, ST_OK};
    if (H5Lvisit(f->id, H5_INDEX_NAME, H5_ITER_NATIVE, check_link, &check) >= 0)
        return ST_OK;
    if (check.st == ST_OK)
        check.st = fail(f, ST_NOINPUT, err, "cannot list the contents");
    H5Fclose(f->id);
    return check.st;
}

enum status h5_open(const char *path, struct h5 **out, struct error *err)
{
    enter();
    struct h5 *f = file_new(path, false);
    if (!f) return leave(mem_error(err, path, sizeof *f));
    enum status st = open_checked(f, err);
    if (st != ST_OK)
        mem_free(f);
    else
        *out = f;
    return leave(st);
}

enum status h5_close(struct h5 *f, struct error *err)
{
    if (!f) return ST_OK;
    enter();
    enum status st = ST_OK;
    if (f->writing && H5Fflush(f->id, H5F_SCOPE_LOCAL) < 0)
        st = fail(f, ST_IO, err, "cannot write the file");
    if (H5Fclose(f->id) < 0 && f->writing && st == ST_OK)
        st = fail(f, ST_IO, err, "cannot close the file");
    if (f->why[0] && st == ST_OK) st = ST_IO;
    if (st != ST_OK && f->why[0]) {
        error_set(err, st, "%s: %s", f->path, f->why);
        file_hint(err, st, f->why_system);
    }
    H5Eclear2(H5E_DEFAULT);
    mem_free(f);
    return leave(st);
}

/* ---- names ---- */

static bool name_exists(const struct h5 *f, const char *name)
{
    char part[H5_NAME_LIMIT];
    if (!h5_name_ok(name)) return false;
    for (size_t n = 0; (n = h5_name_prefix(name, n, part));)
        if (H5Lexists(f->id, part, H5P_DEFAULT) <= 0) return false;
    bool found = H5Lexists(f->id, name, H5P_DEFAULT) > 0;
    H5Eclear2(H5E_DEFAULT);
    return found;
}

static enum status make_group(struct h5 *f, const char *name, struct error *err)
{
    if (name_exists(f, name)) return ST_OK;
    hid_t creation = plain_creation_list(H5P_GROUP_CREATE);
    hid_t group = H5Gcreate2(f->id, name, H5P_DEFAULT, creation, H5P_DEFAULT);
    done_with(creation);
    if (group < 0 || H5Gclose(group) < 0)
        return fail(f, ST_IO, err, "cannot make group %s", name);
    return ST_OK;
}

/* Makes the groups that lead to name. */
static enum status make_parents(struct h5 *f, const char *name, struct error *err)
{
    char part[H5_NAME_LIMIT];
    if (!h5_name_ok(name))
        return error_set(err, ST_IO, "%s: \"%s\" is not a usable name", f->path, name);
    for (size_t n = 0; (n = h5_name_prefix(name, n, part));)
        TRY(make_group(f, part, err));
    return ST_OK;
}

bool h5_has(struct h5 *f, const char *name)
{
    enter();
    bool found = name_exists(f, name);
    leave(ST_OK);
    return found;
}

/* ---- datasets ---- */

static struct h5_data *data_new(struct h5 *f, const char *name)
{
    size_t n = strlen(name) + 1;
    struct h5_data *d = mem_zeroed(1, sizeof *d + n);
    if (!d) return NULL;
    d->file = f;
    d->id = H5I_INVALID_HID;
    memcpy(d->name, name, n);
    return d;
}

static size_t row_bytes(const struct h5_data *d)
{
    return dtype_bytes(d->type) * (d->cols ? d->cols : 1);
}

/* A cache of two chunks, whole ones evicted first: rows are streamed in order. */
static hid_t data_access(size_t chunk_bytes)
{
    hid_t p = H5Pcreate(H5P_DATASET_ACCESS);
    if (p >= 0 && H5Pset_chunk_cache(p, 101, 2 * chunk_bytes + 4096, 1.0) < 0) {
        H5Pclose(p);
        return H5I_INVALID_HID;
    }
    return p;
}

static hid_t create_dataset(struct h5_data *d, size_t chunk_rows)
{
    size_t width = d->cols ? d->cols : 1;
    int rank = d->cols ? 2 : 1;
    hsize_t size[2] = {0, width}, most[2] = {H5S_UNLIMITED, width},
            chunk[2] = {chunk_rows, width};
    hid_t space = H5Screate_simple(rank, size, most);
    hid_t creation = plain_creation_list(H5P_DATASET_CREATE);
    hid_t access = data_access(chunk_rows * row_bytes(d));
    hid_t id = H5I_INVALID_HID;
    if (space >= 0 && access >= 0 && creation >= 0 &&
        H5Pset_chunk(creation, rank, chunk) >= 0 && H5Pset_fletcher32(creation) >= 0)
        id = H5Dcreate2(d->file->id, d->name, file_type(d->type), space, H5P_DEFAULT,
                        creation, access);
    done_with(space);
    done_with(creation);
    done_with(access);
    return id;
}

static enum status data_create(struct h5 *f, const char *name, enum dtype type,
                               size_t cols, size_t chunk_rows, struct h5_data **out,
                               struct error *err)
{
    TRY(make_parents(f, name, err));
    struct h5_data *d = data_new(f, name);
    if (!d) return mem_error(err, name, sizeof *d);
    d->type = type;
    d->cols = cols;
    size_t rows = CHUNK_BYTES / row_bytes(d);
    if (chunk_rows) rows = chunk_rows;
    d->id = create_dataset(d, rows ? rows : 1);
    if (d->id < 0) {
        enum status st = fail(f, ST_IO, err, "dataset %s: cannot create it", name);
        mem_free(d);
        return st;
    }
    *out = d;
    return ST_OK;
}

enum status h5_data_create(struct h5 *f, const char *name, enum dtype type, size_t cols,
                           size_t chunk_rows, struct h5_data **out, struct error *err)
{
    enter();
    return leave(data_create(f, name, type, cols, chunk_rows, out, err));
}

/* Bytes that all elements must take in the file; 0 when the layout or a filter
 * is none of ours. Chunks are stored whole, each with its checksum. */
static uint64_t expected_storage(hid_t creation, const hsize_t *size, int rank,
                                 size_t element)
{
    hsize_t chunk[2] = {1, 1};
    uint64_t n = 1, per_chunk = element;
    H5D_layout_t layout = H5Pget_layout(creation);
    int n_filters = H5Pget_nfilters(creation);
    if (H5Pget_external_count(creation) != 0 || n_filters < 0 || n_filters > 1) return 0;
    if (layout == H5D_CONTIGUOUS && n_filters == 0) {
        for (int i = 0; i < rank; i++)
            if (__builtin_mul_overflow(n, size[i], &n)) return 0;
        return __builtin_mul_overflow(n, element, &n) ? 0 : n;
    }
    if (layout != H5D_CHUNKED || H5Pget_chunk(creation, rank, chunk) != rank) return 0;
    if (n_filters == 1) {
        unsigned flags, config;
        size_t n_values = 0;
        if (H5Pget_filter2(creation, 0, &flags, &n_values, NULL, 0, NULL, &config) !=
            H5Z_FILTER_FLETCHER32)
            return 0;
    }
    for (int i = 0; i < rank; i++) {
        uint64_t count = size[i] / chunk[i] + (size[i] % chunk[i] != 0);
        if (__builtin_mul_overflow(n, count, &n) ||
            __builtin_mul_overflow(per_chunk, chunk[i], &per_chunk))
            return 0;
    }
    if (n_filters) per_chunk += 4;
    return __builtin_mul_overflow(n, per_chunk, &n) ? 0 : n;
}

/* Extents against what is really stored, before anybody allocates for them. */
static enum status check_storage(struct h5_data *d, const hsize_t *size, int rank,
                                 struct error *err)
{
    hid_t creation = H5Dget_create_plist(d->id);
    uint64_t expected = expected_storage(creation, size, rank, dtype_bytes(d->type));
    bool empty = size[0] == 0;
    H5Pclose(creation);
    if (expected == 0 && !empty)
        return fail(d->file, ST_NOINPUT, err,
                    "dataset %s: neither plain chunked (with Fletcher32) nor contiguous",
                    d->name);
    uint64_t stored = H5Dget_storage_size(d->id);
    if (!empty && (stored != expected || stored > d->file->bytes))
        return fail(d->file, ST_NOINPUT, err,
                    "dataset %s: its extents need %llu bytes, the file stores %llu",
                    d->name, (unsigned long long)expected, (unsigned long long)stored);
    return ST_OK;
}

static enum status read_shape(struct h5_data *d, hsize_t size[2], int *rank,
                              struct error *err)
{
    hid_t space = H5Dget_space(d->id), type = H5Dget_type(d->id);
    *rank = H5Sget_simple_extent_type(space) == H5S_SIMPLE
                ? H5Sget_simple_extent_ndims(space)
                : -1;
    if (*rank == 1 || *rank == 2) H5Sget_simple_extent_dims(space, size, NULL);
    d->type = type_of(type);
    H5Tclose(type);
    H5Sclose(space);
    if (*rank != 1 && *rank != 2)
        return fail(d->file, ST_NOINPUT, err, "dataset %s: expected 1 or 2 dimensions",
                    d->name);
    if (d->type == DTYPE_COUNT)
        return fail(
            d->file, ST_NOINPUT, err,
            "dataset %s: its type is not u8, u32, u64, i64, f32 or f64 (little-endian)",
            d->name);
    if (*rank == 2 && size[1] == 0)
        return fail(d->file, ST_NOINPUT, err, "dataset %s: no columns", d->name);
    d->rows = size[0];
    d->cols = *rank == 2 ? size[1] : 0;
    return ST_OK;
}

static enum status data_fill(struct h5_data *d, struct error *err)
{
    hsize_t size[2] = {0, 0};
    int rank = 0;
    struct h5 *f = d->file;
    H5O_info_t info;
    if (H5Oget_info_by_name2(f->id, d->name, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0 ||
        info.type != H5O_TYPE_DATASET)
        return fail(f, ST_NOINPUT, err, "dataset %s: not a dataset", d->name);
    hid_t access = data_access(CHUNK_BYTES);
    d->id = H5Dopen2(f->id, d->name, access);
    done_with(access);
    if (d->id < 0) return fail(f, ST_NOINPUT, err, "dataset %s: cannot open it", d->name);
    TRY(read_shape(d, size, &rank, err));
    /* What this process is writing may still be in the library's cache. */
    return f->writing ? ST_OK : check_storage(d, size, rank, err);
}

static enum status data_open(struct h5 *f, const char *name, struct h5_data **out,
                             struct error *err)
{
    if (!name_exists(f, name))
        return error_set(err, ST_NOINPUT, "%s: dataset %s: missing", f->path, name);
    struct h5_data *d = data_new(f, name);
    if (!d) return mem_error(err, name, sizeof *d);
    enum status st = data_fill(d, err);
    if (st == ST_OK) {
        *out = d;
        return ST_OK;
    }
    if (d->id >= 0) H5Dclose(d->id);
    mem_free(d);
    return st;
}

static void data_close(struct h5_data *d)
{
    struct h5 *f = d->file;
    /* A chunk that cannot be written is reported by h5_close. */
    if (f->writing && H5Dflush(d->id) < 0)
        fail(f, ST_IO, NULL, "dataset %s: cannot write", d->name);
    if (H5Dclose(d->id) < 0) fail(f, ST_IO, NULL, "dataset %s: cannot close", d->name);
    mem_free(d);
}

static enum status data_open_as(struct h5 *f, const char *name, enum dtype type,
                                struct h5_data **out, struct error *err)
{
    struct h5_data *d;
    TRY(data_open(f, name, &d, err));
    if (d->type != type) {
        enum dtype found = d->type;
        data_close(d);
        return error_set(err, ST_NOINPUT, "%s: dataset %s: expected %s, found %s",
                         f->path, name, dtype_name(type), dtype_name(found));
    }
    *out = d;
    return ST_OK;
}

enum status h5_data_open(struct h5 *f, const char *name, enum dtype type,
                         struct h5_data **out, struct error *err)
{
    enter();
    return leave(data_open_as(f, name, type, out, err));
}

void h5_data_close(struct h5_data *d)
{
    if (!d) return;
    enter();
    data_close(d);
    leave(ST_OK);
}

size_t h5_data_rows(const struct h5_data *d)
{
    return d->rows;
}

size_t h5_data_cols(const struct h5_data *d)
{
    return d->cols;
}

/* Rows [first, first + rows): into the file from `from`, or out of it to `to`. */
static herr_t transfer(const struct h5_data *d, size_t first, size_t rows,
                       const void *from, void *to)
{
    hsize_t start[2] = {first, 0}, count[2] = {rows, d->cols};
    hid_t type = memory_type(d->type), file = H5Dget_space(d->id);
    hid_t memory = H5Screate_simple(d->cols ? 2 : 1, count, NULL);
    herr_t done = -1;
    if (file >= 0 && memory >= 0 &&
        H5Sselect_hyperslab(file, H5S_SELECT_SET, start, NULL, count, NULL) >= 0)
        done = from ? H5Dwrite(d->id, type, memory, file, H5P_DEFAULT, from)
                    : H5Dread(d->id, type, memory, file, H5P_DEFAULT, to);
    done_with(memory);
    done_with(file);
    return done;
}

static enum status data_append(struct h5_data *d, const void *values, size_t rows,
                               struct error *err)
{
    if (rows == 0) return ST_OK;
    hsize_t size[2] = {d->rows + rows, d->cols};
    if (H5Dset_extent(d->id, size) < 0 || transfer(d, d->rows, rows, values, NULL) < 0)
        return fail(d->file, ST_IO, err, "dataset %s: cannot write rows %zu to %zu",
                    d->name, d->rows, d->rows + rows);
    d->rows += rows;
    return ST_OK;
}

enum status h5_data_append(struct h5_data *d, const void *values, size_t rows,
                           struct error *err)
{
    enter();
    return leave(data_append(d, values, rows, err));
}

static enum status data_read(struct h5_data *d, size_t first, size_t rows, void *out,
                             struct error *err)
{
    if (first > d->rows || rows > d->rows - first)
        return error_set(err, ST_NOINPUT,
                         "%s: dataset %s: rows %zu to %zu asked for, it has %zu",
                         d->file->path, d->name, first, first + rows, d->rows);
    if (rows && transfer(d, first, rows, NULL, out) < 0)
        return fail(d->file, ST_NOINPUT, err, "dataset %s: cannot read rows %zu to %zu",
                    d->name, first, first + rows);
    return ST_OK;
}

enum status h5_data_read(struct h5_data *d, size_t first, size_t rows, void *out,
                         struct error *err)
{
    enter();
    return leave(data_read(d, first, rows, out, err));
}

enum status h5_describe(struct h5 *f, const char *name, enum dtype *type, size_t *rows,
                        size_t *cols, struct error *err)
{
    enter();
    struct h5_data *d;
    enum status st = data_open(f, name, &d, err);
    if (st != ST_OK) return leave(st);
    *type = d->type;
    *rows = d->rows;
    *cols = d->cols;
    data_close(d);
    return leave(ST_OK);
}

/* ---- attributes ---- */

static enum status attribute_write(struct h5 *f, const char *object, const char *name,
                                   hid_t type, const void *value, struct error *err)
{
    if (*object) {
        TRY(make_parents(f, object, err));
        TRY(make_group(f, object, err)); /* only when there is no such object yet */
    }
    const char *where = *object ? object : "/";
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t a = H5Acreate_by_name(f->id, where, name, type, space, H5P_DEFAULT, H5P_DEFAULT,
                                H5P_DEFAULT);
    bool done = a >= 0 && H5Awrite(a, type, value) >= 0;
    if (!done) fail(f, ST_IO, err, "attribute %s of %s: cannot write it", name, where);
    if (a >= 0) H5Aclose(a);
    H5Sclose(space);
    return done ? ST_OK : ST_IO;
}

/* Opens a scalar attribute; *type must be closed with it. */
static enum status attribute_open(struct h5 *f, const char *object, const char *name,
                                  hid_t *a, hid_t *type, struct error *err)
{
    const char *where = *object ? object : "/";
    if (*object && !name_exists(f, object))
        return error_set(err, ST_NOINPUT, "%s: %s: missing", f->path, object);
    if (H5Aexists_by_name(f->id, where, name, H5P_DEFAULT) <= 0)
        return fail(f, ST_NOINPUT, err, "attribute %s of %s: missing", name, where);
    *a = H5Aopen_by_name(f->id, where, name, H5P_DEFAULT, H5P_DEFAULT);
    if (*a < 0)
        return fail(f, ST_NOINPUT, err, "attribute %s of %s: cannot open it", name,
                    where);
    *type = H5Aget_type(*a);
    hid_t space = H5Aget_space(*a);
    bool scalar = H5Sget_simple_extent_type(space) == H5S_SCALAR;
    H5Sclose(space);
    if (scalar) return ST_OK;
    H5Tclose(*type);
    H5Aclose(*a);
    return fail(f, ST_NOINPUT, err, "attribute %s of %s: not one value", name, where);
}

static enum status attribute_read(struct h5 *f, const char *object, const char *name,
                                  enum dtype expected, void *value, struct error *err)
{
    hid_t a, type;
    TRY(attribute_open(f, object, name, &a, &type, err));
    bool same = type_of(type) == expected;
    bool done = same && H5Aread(a, memory_type(expected), value) >= 0;
    done_with(type);
    done_with(a);
    if (done) return ST_OK;
    return fail(f, ST_NOINPUT, err, "attribute %s of %s: cannot be read as %s", name,
                *object ? object : "/", dtype_name(expected));
}

enum status h5_set_u64(struct h5 *f, const char *object, const char *name, uint64_t v,
                       struct error *err)
{
    enter();
    return leave(attribute_write(f, object, name, H5T_STD_U64LE, &v, err));
}

enum status h5_get_u64(struct h5 *f, const char *object, const char *name, uint64_t *v,
                       struct error *err)
{
    enter();
    return leave(attribute_read(f, object, name, DTYPE_U64, v, err));
}

enum status h5_set_f64(struct h5 *f, const char *object, const char *name, double v,
                       struct error *err)
{
    enter();
    return leave(attribute_write(f, object, name, H5T_IEEE_F64LE, &v, err));
}

enum status h5_get_f64(struct h5 *f, const char *object, const char *name, double *v,
                       struct error *err)
{
    enter();
    return leave(attribute_read(f, object, name, DTYPE_F64, v, err));
}

enum status h5_set_text(struct h5 *f, const char *object, const char *name, const char *v,
                        struct error *err)
{
    size_t n = strlen(v) + 1;
    if (n > TEXT_LIMIT)
        return error_set(err, ST_IO,
                         "%s: attribute %s: %zu bytes are too long for an attribute",
                         f->path, name, n);
    enter();
    hid_t type = H5Tcopy(H5T_C_S1);
    enum status st;
    if (type < 0 || H5Tset_size(type, n) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        st = fail(f, ST_IO, err, "attribute %s: cannot make its type", name);
    else
        st = attribute_write(f, object, name, type, v, err);
    H5Tclose(type);
    return leave(st);
}

static enum status text_read(hid_t a, hid_t type, const char *name, char **v,
                             struct h5 *f, struct error *err)
{
    size_t n = H5Tget_size(type);
    if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 || n == 0 ||
        n > TEXT_LIMIT)
        return fail(f, ST_NOINPUT, err, "attribute %s: not a text of fixed length", name);
    char *text = mem_zeroed(n + 1, 1);
    if (!text) return mem_error(err, name, n + 1);
    if (H5Aread(a, type, text) < 0) {
        mem_free(text);
        return fail(f, ST_NOINPUT, err, "attribute %s: cannot read it", name);
    }
    *v = text;
    return ST_OK;
}

enum status h5_get_text(struct h5 *f, const char *object, const char *name, char **v,
                        struct error *err)
{
    enter();
    hid_t a, type;
    enum status st = attribute_open(f, object, name, &a, &type, err);
    if (st != ST_OK) return leave(st);
    st = text_read(a, type, name, v, f, err);
    H5Tclose(type);
    H5Aclose(a);
    return leave(st);
}

/* ---- listing ---- */

struct listing {
    struct h5_names names;
    const char *prefix;
    bool no_memory;
};

static herr_t list_link(hid_t group, const char *name, const H5L_info_t *info, void *arg)
{
    struct listing *l = arg;
    H5O_info_t object;
    if (info->type != H5L_TYPE_HARD) return 0;
    if (H5Oget_info_by_name2(group, name, &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0)
        return -1;
    if (object.type != H5O_TYPE_DATASET) return 0;
    l->no_memory = !h5_names_add(&l->names, l->prefix, name);
    return l->no_memory ? -1 : 0;
}

static enum status list_datasets(struct h5 *f, const char *group, struct h5_names *out,
                                 struct error *err)
{
    struct listing l = {.prefix = group};
    if (*group && !name_exists(f, group)) return ST_OK;
    if (H5Lvisit_by_name(f->id, *group ? group : "/", H5_INDEX_NAME, H5_ITER_NATIVE,
                         list_link, &l, H5P_DEFAULT) < 0) {
        enum status st = l.no_memory ? mem_error(err, f->path, l.names.n)
                                     : fail(f, ST_NOINPUT, err, "cannot list %s",
                                            *group ? group : "/");
        h5_names_free(&l.names);
        return st;
    }
    h5_names_sort(&l.names);
    *out = l.names;
    return ST_OK;
}

enum status h5_visit(struct h5 *f, const char *group,
                     enum status (*visit)(void *arg, const char *name, struct error *err),
                     void *arg, struct error *err)
{
    struct h5_names names = {0};
    enter();
    TRY(leave(list_datasets(f, group, &names, err)));
    enum status st = ST_OK;
    for (size_t i = 0; i < names.n && st == ST_OK; i++) st = visit(arg, names.v[i], err);
    h5_names_free(&names);
    return st;
}
