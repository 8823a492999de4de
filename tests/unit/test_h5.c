/* common/store/h5: arrays and attributes come back as written, and every way to
 * ask for something else is one clear error. */
#include "common/store/h5.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <unistd.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/store/file.h"
#include "tests/lib/tmpdir.h"

struct fixture {
    struct tmpdir dir;
    char path[512];
    struct error err;
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    tmpdir_create(&f.dir);
    tmpdir_path(&f.dir, "a.h5", f.path, sizeof f.path);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tmpdir_remove(&f->dir);
    return 0;
}

static struct h5 *create(struct fixture *f)
{
    struct h5 *h = NULL;
    assert_int_equal(h5_create(f->path, &h, &f->err), ST_OK);
    return h;
}

static struct h5 *open_again(struct fixture *f, struct h5 *written)
{
    struct h5 *h = NULL;
    assert_int_equal(h5_close(written, &f->err), ST_OK);
    if (h5_open(f->path, &h, &f->err) != ST_OK) fail_msg("%s", f->err.text);
    return h;
}

static void close_file(struct fixture *f, struct h5 *h)
{
    assert_int_equal(h5_close(h, &f->err), ST_OK);
}

/* Arrays of every type come back bit for bit, with their shapes. */
static void test_every_type_round_trips(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"u8", "u32", "u64", "i64", "f32", "deep/er/f64"};
    uint64_t values[30];
    for (size_t i = 0; i < 30; i++) values[i] = i * UINT64_C(0x9e3779b97f4a7c15);
    struct h5 *h = create(f);
    for (enum dtype t = 0; t < DTYPE_COUNT; t++)
        assert_int_equal(h5_write(h, names[t], t, 10, t % 2 ? 3 : 0, values, &f->err),
                         ST_OK);
    h = open_again(f, h);
    for (enum dtype t = 0; t < DTYPE_COUNT; t++) {
        size_t rows = 0, cols = 99, r, c;
        void *back = NULL;
        enum dtype type;
        assert_int_equal(h5_describe(h, names[t], &type, &r, &c, &f->err), ST_OK);
        assert_int_equal(h5_read(h, names[t], t, &rows, &cols, &back, &f->err), ST_OK);
        assert_int_equal(type, t);
        assert_int_equal(rows, 10);
        assert_int_equal(r, 10);
        assert_int_equal(cols, t % 2 ? 3 : 0);
        assert_int_equal(c, cols);
        assert_memory_equal(back, values, 10 * dtype_bytes(t) * (t % 2 ? 3 : 1));
        mem_free(back);
    }
    close_file(f, h);
}

/* Rows appended in uneven parts over many chunks read back from any place. */
static void test_appended_rows_read_from_anywhere(void **state)
{
    struct fixture *f = *state;
    enum { ROWS = 5000, COLS = 3 };
    static float values[ROWS * COLS], back[ROWS * COLS];
    for (size_t i = 0; i < ROWS * COLS; i++) values[i] = (float)i * 0.5f;
    struct h5 *h = create(f);
    struct h5_data *d;
    assert_int_equal(h5_data_create(h, "rows", DTYPE_F32, COLS, 64, &d, &f->err), ST_OK);
    for (size_t at = 0, n = 1; at < ROWS; at += n, n = n * 2 + 1) {
        if (n > ROWS - at) n = ROWS - at;
        assert_int_equal(h5_data_append(d, values + at * COLS, n, &f->err), ST_OK);
    }
    h5_data_close(d);
    h = open_again(f, h);
    assert_int_equal(h5_data_open(h, "rows", DTYPE_F32, &d, &f->err), ST_OK);
    assert_int_equal(h5_data_rows(d), ROWS);
    assert_int_equal(h5_data_cols(d), COLS);
    static const size_t from[] = {0, 1, 63, 64, 100, 4999, 5000};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        size_t n = ROWS - from[i] < 130 ? ROWS - from[i] : 130;
        assert_int_equal(h5_data_read(d, from[i], n, back, &f->err), ST_OK);
        assert_memory_equal(back, values + from[i] * COLS, n * COLS * sizeof *back);
    }
    assert_int_equal(h5_data_read(d, 4999, 2, back, &f->err), ST_NOINPUT);
    assert_int_equal(h5_data_read(d, SIZE_MAX, 2, back, &f->err), ST_NOINPUT);
    h5_data_close(d);
    close_file(f, h);
}

/* An array without rows is kept, with its type and columns. */
static void test_empty_arrays_round_trip(void **state)
{
    struct fixture *f = *state;
    struct h5 *h = create(f);
    assert_int_equal(h5_write(h, "none", DTYPE_F32, 0, 4, NULL, &f->err), ST_OK);
    assert_int_equal(h5_write_texts(h, "texts", NULL, 0, &f->err), ST_OK);
    h = open_again(f, h);
    size_t rows = 1, cols = 0, n = 1;
    void *back;
    const char **texts;
    assert_int_equal(h5_read(h, "none", DTYPE_F32, &rows, &cols, &back, &f->err), ST_OK);
    assert_int_equal(rows, 0);
    assert_int_equal(cols, 4);
    mem_free(back);
    assert_int_equal(h5_read_texts(h, "texts", &texts, &n, &f->err), ST_OK);
    assert_int_equal(n, 0);
    mem_free(texts);
    close_file(f, h);
}

/* Numbers and texts as attributes of the file, a group and an array. */
static void test_attributes_round_trip(void **state)
{
    struct fixture *f = *state;
    struct h5 *h = create(f);
    uint8_t byte = 1;
    assert_int_equal(h5_write(h, "group/data", DTYPE_U8, 1, 0, &byte, &f->err), ST_OK);
    static const char *const where[] = {"", "group", "group/data", "new/group"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(h5_set_u64(h, where[i], "u", UINT64_MAX - i, &f->err), ST_OK);
        assert_int_equal(h5_set_f64(h, where[i], "f", -0.1 * (double)i, &f->err), ST_OK);
        assert_int_equal(h5_set_text(h, where[i], "t",
                                     i ? "Gr\xc3\xb6\xc3\x9f"
                                         "e"
                                       : "",
                                     &f->err),
                         ST_OK);
    }
    h = open_again(f, h);
    for (size_t i = 0; i < 4; i++) {
        uint64_t u;
        double d;
        char *t;
        assert_int_equal(h5_get_u64(h, where[i], "u", &u, &f->err), ST_OK);
        assert_int_equal(h5_get_f64(h, where[i], "f", &d, &f->err), ST_OK);
        assert_int_equal(h5_get_text(h, where[i], "t", &t, &f->err), ST_OK);
        assert_true(u == UINT64_MAX - i && d == -0.1 * (double)i);
        assert_string_equal(t, i ? "Gr\xc3\xb6\xc3\x9f"
                                   "e"
                                 : "");
        mem_free(t);
        assert_int_equal(h5_get_u64(h, where[i], "f", &u, &f->err), ST_NOINPUT);
        assert_int_equal(h5_get_f64(h, where[i], "t", &d, &f->err), ST_NOINPUT);
        assert_int_equal(h5_get_text(h, where[i], "u", &t, &f->err), ST_NOINPUT);
        assert_int_equal(h5_get_u64(h, where[i], "missing", &u, &f->err), ST_NOINPUT);
    }
    assert_int_equal(h5_get_text(h, "nowhere", "t", &(char *){NULL}, &f->err),
                     ST_NOINPUT);
    close_file(f, h);
}

/* A list of texts keeps order, empty ones and long ones. */
static void test_texts_round_trip(void **state)
{
    struct fixture *f = *state;
    static char big[200000];
    memset(big, 'x', sizeof big - 1);
    const char *const in[] = {"", "one", big, "", "\xc3\xa9t\xc3\xa9"};
    struct h5 *h = create(f);
    assert_int_equal(h5_write_texts(h, "a/list", in, 5, &f->err), ST_OK);
    assert_int_equal(h5_set_text(h, "", "too_long", big, &f->err), ST_IO);
    h = open_again(f, h);
    const char **out;
    size_t n;
    assert_int_equal(h5_read_texts(h, "a/list", &out, &n, &f->err), ST_OK);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) assert_string_equal(out[i], in[i]);
    mem_free(out);
    close_file(f, h);
}

/* Offsets that fall, or do not end at the last byte, are refused. */
static void test_texts_with_wrong_offsets_are_refused(void **state)
{
    struct fixture *f = *state;
    static const uint64_t bad[][3] = {
        {0, 9, 4}, {1, 2, 4}, {0, 2, 5}, {0, UINT64_MAX, 4}};
    struct h5 *h = create(f);
    char name[32];
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "list%zu/bytes", i);
        assert_int_equal(h5_write(h, name, DTYPE_U8, 4, 0, "abcd", &f->err), ST_OK);
        snprintf(name, sizeof name, "list%zu/offsets", i);
        assert_int_equal(h5_write(h, name, DTYPE_U64, 3, 0, bad[i], &f->err), ST_OK);
    }
    h = open_again(f, h);
    for (size_t i = 0; i < 4; i++) {
        const char **out;
        size_t n;
        snprintf(name, sizeof name, "list%zu", i);
        assert_int_equal(h5_read_texts(h, name, &out, &n, &f->err), ST_NOINPUT);
    }
    close_file(f, h);
}

static enum status collect(void *arg, const char *name, struct error *err)
{
    (void)err;
    char *all = arg;
    strcat(all, name);
    strcat(all, " ");
    return ST_OK;
}

static enum status refuse(void *arg, const char *name, struct error *err)
{
    (void)arg;
    return error_set(err, ST_DATA, "stop at %s", name);
}

/* Names are listed in full and sorted; the visitor's failure ends the visit. */
static void test_visit_lists_sorted_full_names(void **state)
{
    struct fixture *f = *state;
    struct h5 *h = create(f);
    static const char *const names[] = {"z", "b/two", "b/a/one", "a"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(h5_write(h, names[i], DTYPE_U8, 1, 0, "x", &f->err), ST_OK);
    h = open_again(f, h);
    char all[128] = "";
    assert_int_equal(h5_visit(h, "", collect, all, &f->err), ST_OK);
    assert_string_equal(all, "a b/a/one b/two z ");
    *all = '\0';
    assert_int_equal(h5_visit(h, "b", collect, all, &f->err), ST_OK);
    assert_string_equal(all, "b/a/one b/two ");
    *all = '\0';
    assert_int_equal(h5_visit(h, "nothing", collect, all, &f->err), ST_OK);
    assert_string_equal(all, "");
    assert_int_equal(h5_visit(h, "", refuse, NULL, &f->err), ST_DATA);
    assert_string_equal(f->err.text, "stop at a");
    assert_true(h5_has(h, "b/a/one") && h5_has(h, "b") && !h5_has(h, "b/x/y") &&
                !h5_has(h, ""));
    close_file(f, h);
}

/* A wrong type, a missing array and a group are named in the error. */
static void test_errors_name_file_and_array(void **state)
{
    struct fixture *f = *state;
    struct h5 *h = create(f);
    uint32_t v = 7;
    assert_int_equal(h5_write(h, "g/v", DTYPE_U32, 1, 0, &v, &f->err), ST_OK);
    h = open_again(f, h);
    struct h5_data *d;
    assert_int_equal(h5_data_open(h, "g/v", DTYPE_F32, &d, &f->err), ST_NOINPUT);
    assert_non_null(strstr(f->err.text, "a.h5: dataset g/v: expected f32, found u32"));
    assert_int_equal(h5_data_open(h, "g/w", DTYPE_F32, &d, &f->err), ST_NOINPUT);
    assert_non_null(strstr(f->err.text, "dataset g/w: missing"));
    assert_int_equal(h5_data_open(h, "g", DTYPE_F32, &d, &f->err), ST_NOINPUT);
    assert_non_null(strstr(f->err.text, "dataset g: not a dataset"));
    close_file(f, h);
}

/* Names that the library would read in its own way are refused. */
static void test_unusable_names_are_refused(void **state)
{
    struct fixture *f = *state;
    struct h5 *h = create(f);
    static const char *const names[] = {"", "/", "/a", "a/", "a//b", ".", "a/./b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(h5_write(h, names[i], DTYPE_U8, 1, 0, "x", &f->err), ST_IO);
    assert_int_equal(h5_close(h, &f->err), ST_OK);
}

/* An existing file is never overwritten. */
static void test_create_refuses_an_existing_file(void **state)
{
    struct fixture *f = *state;
    tmpdir_write(&f->dir, "a.h5", "mine");
    struct h5 *h;
    assert_int_equal(h5_create(f->path, &h, &f->err), ST_CANTCREATE);
    char *data;
    size_t n;
    assert_int_equal(file_read_all(f->path, &data, &n, 100, &f->err), ST_OK);
    assert_string_equal(data, "mine");
    mem_free(data);
}

/* What is no HDF5 file, or not there, is refused by name. */
static void test_open_refuses_other_files(void **state)
{
    struct fixture *f = *state;
    struct h5 *h;
    assert_int_equal(h5_open(f->path, &h, &f->err), ST_NOINPUT);
    tmpdir_write(&f->dir, "a.h5", "not an HDF5 file, but some text");
    assert_int_equal(h5_open(f->path, &h, &f->err), ST_NOINPUT);
    assert_non_null(strstr(f->err.text, f->path));
    assert_int_equal(h5_open(f->dir.path, &h, &f->err), ST_NOINPUT);
}

/* A file whose writer was killed before closing does not open. */
static void test_unclosed_file_is_refused(void **state)
{
    struct fixture *f = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct h5 *h;
        struct h5_data *d;
        static float values[1 << 16];
        if (h5_create(f->path, &h, NULL) ||
            h5_data_create(h, "d", DTYPE_F32, 0, 1024, &d, NULL) ||
            h5_data_append(d, values, 1 << 16, NULL))
            _exit(1);
        h5_data_close(d);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    struct h5 *h;
    assert_int_equal(h5_open(f->path, &h, &f->err), ST_NOINPUT);
}

static char *make_bytes(struct fixture *f, const char *name, size_t *n)
{
    tmpdir_path(&f->dir, name, f->path, sizeof f->path);
    struct h5 *h = create(f);
    static float values[3000];
    assert_int_equal(h5_write(h, "g/values", DTYPE_F32, 1000, 3, values, &f->err), ST_OK);
    assert_int_equal(h5_set_text(h, "g", "note", "text", &f->err), ST_OK);
    close_file(f, h);
    char *bytes;
    assert_int_equal(file_read_all(f->path, &bytes, n, 1 << 24, &f->err), ST_OK);
    return bytes;
}

/* Equal contents give equal bytes, whenever they were written. */
static void test_equal_contents_are_equal_bytes(void **state)
{
    size_t n, m;
    char *a = make_bytes(*state, "x.h5", &n);
    usleep(1100000);
    char *b = make_bytes(*state, "y.h5", &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    mem_free(a);
    mem_free(b);
}

static enum status write_much(struct fixture *f)
{
    static float values[1 << 16];
    struct h5 *h;
    struct h5_data *d;
    TRY(h5_create(f->path, &h, &f->err));
    enum status st = h5_data_create(h, "values", DTYPE_F32, 0, 4096, &d, &f->err);
    if (st == ST_OK) {
        st = h5_data_append(d, values, 1 << 16, &f->err);
        h5_data_close(d);
    }
    struct error closing;
    enum status closed = h5_close(h, &closing);
    return st != ST_OK ? st : closed;
}

static size_t open_files(void)
{
    const char **names;
    size_t n;
    assert_int_equal(file_list("/proc/self/fd", &names, &n, NULL), ST_OK);
    mem_free(names);
    return n;
}

/* When the disk is full at any point, the caller learns it in few words, nothing crashes, no
 * file stays open, and the next file can be written. */
static void test_disk_full_is_an_error_and_no_crash(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    size_t before = open_files();
    for (size_t limit = 0; limit < 260000; limit += limit < 3000 ? 100 : 20000) {
        small = (struct rlimit){limit, old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        enum status st = write_much(f);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_true(st == ST_IO || st == ST_CANTCREATE);
        assert_true(strlen(f->err.text) > strlen(f->path));
        assert_true(strlen(f->err.text) < strlen(f->path) + 120);
        assert_non_null(strstr(f->err.text, "File too large"));
        assert_non_null(strstr(f->err.hint, "ulimit -f"));
        assert_null(strchr(f->err.text, '\n'));
        unlink(f->path);
        assert_int_equal(open_files(), before);
    }
    assert_int_equal(write_much(f), ST_OK);
    struct h5 *h;
    assert_int_equal(h5_open(f->path, &h, &f->err), ST_OK);
    close_file(f, h);
}

/* Every allocation may fail: a status, no leak. */
static void test_failing_allocations(void **state)
{
    struct fixture *f = *state;
    struct h5 *h = create(f);
    const char *const texts[] = {"a", "b"};
    assert_int_equal(h5_write_texts(h, "t", texts, 2, &f->err), ST_OK);
    h = open_again(f, h);
    close_file(f, h);
    uint64_t live = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        const char **out = NULL;
        size_t n;
        char all[64] = "";
        h = NULL;
        mem_fail_at(k);
        enum status st = h5_open(f->path, &h, &f->err);
        if (st == ST_OK) st = h5_read_texts(h, "t", &out, &n, &f->err);
        if (st == ST_OK) st = h5_visit(h, "", collect, all, &f->err);
        bool over = st == ST_OK;
        mem_fail_at(0);
        assert_true(over || st == ST_NOMEM);
        mem_free(out);
        close_file(f, h);
        assert_int_equal(mem_live_bytes(), live);
        if (over) break;
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_every_type_round_trips),
        T(test_appended_rows_read_from_anywhere),
        T(test_empty_arrays_round_trip),
        T(test_attributes_round_trip),
        T(test_texts_round_trip),
        T(test_texts_with_wrong_offsets_are_refused),
        T(test_visit_lists_sorted_full_names),
        T(test_errors_name_file_and_array),
        T(test_unusable_names_are_refused),
        T(test_create_refuses_an_existing_file),
        T(test_open_refuses_other_files),
        T(test_unclosed_file_is_refused),
        T(test_equal_contents_are_equal_bytes),
        T(test_disk_full_is_an_error_and_no_crash),
        T(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
