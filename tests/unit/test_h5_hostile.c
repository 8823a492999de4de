/* common/store/h5 refuses files that a hand or an enemy made: links out of the
 * file, types and layouts that we never write, sizes without data. The files are
 * written here with the library itself. */
#include "common/store/h5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <hdf5.h>

#include "common/base/mem.h"
#include "tests/lib/tmpdir.h"

struct fixture {
    struct tmpdir dir;
    char path[512];
    hid_t file;
    struct error err;
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    tmpdir_create(&f.dir);
    tmpdir_path(&f.dir, "a.h5", f.path, sizeof f.path);
    f.file = H5Fcreate(f.path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    *state = &f;
    return f.file < 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tmpdir_remove(&f->dir);
    return 0;
}

/* A dataset "d" with this type, shape and creation list. */
static void put(struct fixture *f, hid_t type, int rank, const hsize_t *size,
                hid_t creation, bool fill)
{
    static const char zeros[1 << 16];
    hid_t space = H5Screate_simple(rank, size, NULL);
    hid_t d = H5Dcreate2(f->file, "d", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    assert_true(d >= 0);
    if (fill) assert_true(H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) >= 0);
    H5Dclose(d);
    H5Sclose(space);
}

static struct h5 *reopen(struct fixture *f)
{
    struct h5 *h = NULL;
    assert_true(H5Fclose(f->file) >= 0);
    if (h5_open(f->path, &h, &f->err) != ST_OK) fail_msg("%s", f->err.text);
    return h;
}

static void expect_open_refused(struct fixture *f, const char *text)
{
    struct h5 *h;
    assert_true(H5Fclose(f->file) >= 0);
    assert_int_equal(h5_open(f->path, &h, &f->err), ST_NOINPUT);
    if (!strstr(f->err.text, text)) fail_msg("\"%s\" not in \"%s\"", text, f->err.text);
}

/* Dataset "d", asked for as f32, is refused with this text; no memory stays. */
static void expect_data_refused(struct fixture *f, const char *text)
{
    struct h5 *h = reopen(f);
    uint64_t live = mem_live_bytes();
    size_t rows, cols;
    void *values;
    assert_int_equal(h5_read(h, "d", DTYPE_F32, &rows, &cols, &values, &f->err),
                     ST_NOINPUT);
    if (!strstr(f->err.text, text)) fail_msg("\"%s\" not in \"%s\"", text, f->err.text);
    assert_int_equal(mem_live_bytes(), live);
    assert_int_equal(h5_close(h, &f->err), ST_OK);
}

/* A soft link is refused when the file is opened. */
static void test_soft_link(void **state)
{
    struct fixture *f = *state;
    assert_true(H5Lcreate_soft("/somewhere", f->file, "d", H5P_DEFAULT, H5P_DEFAULT) >=
                0);
    expect_open_refused(f, "\"d\" is not a hard link");
}

/* A link into another file is refused without that file being opened. */
static void test_external_link(void **state)
{
    struct fixture *f = *state;
    hid_t group = H5Gcreate2(f->file, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Lcreate_external("/etc/passwd", "/", group, "d", H5P_DEFAULT,
                                   H5P_DEFAULT) >= 0);
    H5Gclose(group);
    expect_open_refused(f, "\"g/d\" is not a hard link");
}

/* Groups that lead back to themselves are refused. */
static void test_cycle_of_hard_links(void **state)
{
    struct fixture *f = *state;
    hid_t group = H5Gcreate2(f->file, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Lcreate_hard(f->file, "g", group, "again", H5P_DEFAULT, H5P_DEFAULT) >=
                0);
    H5Gclose(group);
    expect_open_refused(f, "one name");
}

/* A stored type is no array. */
static void test_named_type(void **state)
{
    struct fixture *f = *state;
    hid_t type = H5Tcopy(H5T_STD_U8LE);
    assert_true(H5Tcommit2(f->file, "d", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) >=
                0);
    H5Tclose(type);
    expect_open_refused(f, "not a plain group or dataset");
}

/* Types other than ours are refused, also big-endian ones of the same size. */
static void test_other_types(void **state)
{
    struct fixture *f = *state;
    hsize_t size = 4;
    put(f, H5T_IEEE_F32BE, 1, &size, H5P_DEFAULT, true);
    expect_data_refused(f, "its type is not");
}

/* Texts of variable length, which can crash the library, are never read. */
static void test_variable_length_texts(void **state)
{
    struct fixture *f = *state;
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    const char *text = "text";
    H5Tset_size(type, H5T_VARIABLE);
    hid_t a = H5Acreate2(f->file, "note", type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(a, type, &text) >= 0);
    H5Aclose(a);
    H5Tclose(type);
    H5Sclose(space);
    struct h5 *h = reopen(f);
    char *out;
    assert_int_equal(h5_get_text(h, "", "note", &out, &f->err), ST_NOINPUT);
    assert_non_null(strstr(f->err.text, "not a text of fixed length"));
    assert_int_equal(h5_close(h, &f->err), ST_OK);
}

/* Three dimensions, none, and no columns. */
static void test_other_ranks(void **state)
{
    struct fixture *f = *state;
    hsize_t size[3] = {2, 2, 2};
    put(f, H5T_IEEE_F32LE, 3, size, H5P_DEFAULT, true);
    expect_data_refused(f, "expected 1 or 2 dimensions");
}

/* A single value is no array. */
static void test_scalar(void **state)
{
    struct fixture *f = *state;
    hid_t space = H5Screate(H5S_SCALAR);
    H5Dclose(H5Dcreate2(f->file, "d", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT,
                        H5P_DEFAULT));
    H5Sclose(space);
    expect_data_refused(f, "expected 1 or 2 dimensions");
}

/* Terabytes that are declared and not stored are refused before allocation. */
static void test_huge_contiguous_extent_without_data(void **state)
{
    struct fixture *f = *state;
    hsize_t size[2] = {1ull << 40, 16};
    put(f, H5T_IEEE_F32LE, 2, size, H5P_DEFAULT, false);
    expect_data_refused(f, "its extents need");
}

/* The same with chunks, and with products beyond 64 bits. */
static void test_huge_chunked_extent_without_data(void **state)
{
    struct fixture *f = *state;
    hsize_t size[2] = {1ull << 50, 1ull << 40}, chunk[2] = {16, 16};
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 2, chunk);
    put(f, H5T_IEEE_F32LE, 2, size, creation, false);
    H5Pclose(creation);
    expect_data_refused(f, "dataset d");
}

/* A missing chunk in the middle would read as zeros: refused. */
static void test_missing_chunk(void **state)
{
    struct fixture *f = *state;
    hsize_t size = 64, chunk = 16, first = 0, count = 16;
    float values[16] = {0};
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE),
          space = H5Screate_simple(1, &size, NULL);
    H5Pset_chunk(creation, 1, &chunk);
    hid_t d = H5Dcreate2(f->file, "d", H5T_IEEE_F32LE, space, H5P_DEFAULT, creation,
                         H5P_DEFAULT);
    hid_t memory = H5Screate_simple(1, &count, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, NULL, &count, NULL);
    assert_true(H5Dwrite(d, H5T_IEEE_F32LE, memory, space, H5P_DEFAULT, values) >= 0);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(d);
    H5Pclose(creation);
    expect_data_refused(f, "its extents need 256 bytes, the file stores 64");
}

/* Compressed data may be a bomb: refused. */
static void test_deflate(void **state)
{
    struct fixture *f = *state;
    hsize_t size = 4096, chunk = 4096;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 1, &chunk);
    H5Pset_deflate(creation, 9);
    put(f, H5T_IEEE_F32LE, 1, &size, creation, true);
    H5Pclose(creation);
    expect_data_refused(f, "neither plain chunked");
}

/* Data kept inside the object header is a layout that we do not write. */
static void test_compact(void **state)
{
    struct fixture *f = *state;
    hsize_t size = 4;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(creation, H5D_COMPACT);
    put(f, H5T_IEEE_F32LE, 1, &size, creation, true);
    H5Pclose(creation);
    expect_data_refused(f, "neither plain chunked");
}

/* Data that lives in another file is not read. */
static void test_external_storage(void **state)
{
    struct fixture *f = *state;
    hsize_t size = 4;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_external(creation, "/etc/passwd", 0, 16) >= 0);
    put(f, H5T_IEEE_F32LE, 1, &size, creation, false);
    H5Pclose(creation);
    expect_data_refused(f, "neither plain chunked");
}

/* Plain contiguous data and chunks without checksum are read. */
static void test_plain_layouts_are_read(void **state)
{
    struct fixture *f = *state;
    hsize_t size[2] = {5, 3};
    put(f, H5T_IEEE_F32LE, 2, size, H5P_DEFAULT, true);
    struct h5 *h = reopen(f);
    size_t rows, cols;
    void *values;
    assert_int_equal(h5_read(h, "d", DTYPE_F32, &rows, &cols, &values, &f->err), ST_OK);
    assert_true(rows == 5 && cols == 3);
    mem_free(values);
    assert_int_equal(h5_close(h, &f->err), ST_OK);
}

/* An attribute with many values, or of another type, is refused. */
static void test_attribute_arrays(void **state)
{
    struct fixture *f = *state;
    hsize_t size = 3;
    uint64_t values[3] = {1, 2, 3};
    hid_t space = H5Screate_simple(1, &size, NULL);
    hid_t a = H5Acreate2(f->file, "many", H5T_STD_U64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, H5T_NATIVE_UINT64, values);
    H5Aclose(a);
    H5Sclose(space);
    struct h5 *h = reopen(f);
    uint64_t v;
    assert_int_equal(h5_get_u64(h, "", "many", &v, &f->err), ST_NOINPUT);
    assert_non_null(strstr(f->err.text, "not one value"));
    assert_int_equal(h5_close(h, &f->err), ST_OK);
}

int main(void)
{
    H5dont_atexit();
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_soft_link),
        T(test_external_link),
        T(test_cycle_of_hard_links),
        T(test_named_type),
        T(test_other_types),
        T(test_variable_length_texts),
        T(test_other_ranks),
        T(test_scalar),
        T(test_huge_contiguous_extent_without_data),
        T(test_huge_chunked_extent_without_data),
        T(test_missing_chunk),
        T(test_deflate),
        T(test_compact),
        T(test_external_storage),
        T(test_plain_layouts_are_read),
        T(test_attribute_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
