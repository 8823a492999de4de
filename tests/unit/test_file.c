/* common/store/file: whole-file writes leave the old or the new contents, and
 * every failure names the path. */
#include "common/store/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/mem.h"
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
    tmpdir_path(&f.dir, "file", f.path, sizeof f.path);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tmpdir_remove(&f->dir);
    return 0;
}

static void expect_contents(struct fixture *f, const char *text)
{
    char *data;
    size_t n;
    assert_int_equal(file_read_all(f->path, &data, &n, 1000, &f->err), ST_OK);
    assert_int_equal(n, strlen(text));
    assert_string_equal(data, text); /* a final 0 is always there */
    mem_free(data);
}

/* A write replaces the contents and leaves no other file. */
static void test_atomic_write_replaces(void **state)
{
    struct fixture *f = *state;
    const char **names;
    size_t n;
    assert_int_equal(file_write_atomic(f->path, "old", 3, &f->err), ST_OK);
    expect_contents(f, "old");
    assert_int_equal(file_write_atomic(f->path, "", 0, &f->err), ST_OK);
    expect_contents(f, "");
    assert_int_equal(file_list(f->dir.path, &names, &n, &f->err), ST_OK);
    assert_int_equal(n, 1);
    mem_free(names);
}

/* When the disk is full the old contents stay, and no temporary file. */
static void test_atomic_write_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    static char big[100000];
    struct rlimit old;
    const char **names;
    size_t n;
    assert_int_equal(file_write_atomic(f->path, "old", 3, &f->err), ST_OK);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){5000, old.rlim_max});
    enum status st = file_write_atomic(f->path, big, sizeof big, &f->err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(st, ST_IO);
    assert_non_null(strstr(f->err.text, f->path));
    assert_non_null(strstr(f->err.hint, "ulimit -f"));
    expect_contents(f, "old");
    assert_int_equal(file_list(f->dir.path, &names, &n, &f->err), ST_OK);
    assert_int_equal(n, 1);
    mem_free(names);
}

/* Where nothing can be created, the status says so. */
static void test_cannot_create(void **state)
{
    struct fixture *f = *state;
    char below[600];
    assert_int_equal(file_write_atomic(f->path, "x", 1, &f->err), ST_OK);
    snprintf(below, sizeof below, "%s/below", f->path); /* below a regular file */
    assert_int_equal(file_write_atomic(below, "x", 1, &f->err), ST_CANTCREATE);
    assert_int_equal(file_mkdirs(below, &f->err), ST_CANTCREATE);
    assert_int_equal(file_mkdirs(f->path, &f->err), ST_CANTCREATE);
    assert_int_equal(file_mkdirs("/proc/none/such", &f->err), ST_CANTCREATE);
    assert_int_equal(file_mkdirs("", &f->err), ST_CANTCREATE);
}

/* Missing files, folders and files over the limit are not read. */
static void test_read_refuses(void **state)
{
    struct fixture *f = *state;
    char *data;
    size_t n;
    uint64_t bytes;
    assert_int_equal(file_read_all(f->path, &data, &n, 10, &f->err), ST_NOINPUT);
    assert_non_null(strstr(f->err.text, f->path));
    assert_int_equal(file_read_all(f->dir.path, &data, &n, 10, &f->err), ST_NOINPUT);
    assert_int_equal(file_size(f->dir.path, &bytes, &f->err), ST_NOINPUT);
    tmpdir_write(&f->dir, "file", "12345678901");
    assert_int_equal(file_read_all(f->path, &data, &n, 10, &f->err), ST_NOINPUT);
    assert_int_equal(file_size(f->path, &bytes, &f->err), ST_OK);
    assert_int_equal(bytes, 11);
}

/* Folders are made as deep as asked for, listed sorted, and removed with all. */
static void test_folders(void **state)
{
    struct fixture *f = *state;
    char path[600];
    const char **names;
    size_t n;
    snprintf(path, sizeof path, "%s/z//y/x/", f->dir.path);
    assert_int_equal(file_mkdirs(path, &f->err), ST_OK);
    assert_int_equal(file_mkdirs(path, &f->err), ST_OK);
    assert_true(file_is_dir(path) && file_exists(path));
    tmpdir_write(&f->dir, "z/y/b", "1");
    tmpdir_write(&f->dir, "z/y/.a", "1");
    snprintf(path, sizeof path, "%s/z/y", f->dir.path);
    assert_int_equal(file_list(path, &names, &n, &f->err), ST_OK);
    assert_int_equal(n, 3);
    assert_string_equal(names[0], ".a");
    assert_string_equal(names[1], "b");
    assert_string_equal(names[2], "x");
    mem_free(names);
    snprintf(path, sizeof path, "%s/z", f->dir.path);
    assert_int_equal(file_remove_tree(path, &f->err), ST_OK);
    assert_false(file_exists(path));
    assert_int_equal(file_remove_tree(path, &f->err), ST_OK);
    assert_int_equal(file_list(path, &names, &n, &f->err), ST_NOINPUT);
}

/* Removing a tree takes away links, never what they point to. */
static void test_remove_does_not_follow_links(void **state)
{
    struct fixture *f = *state;
    char tree[600], link[700];
    tmpdir_write(&f->dir, "file", "kept");
    snprintf(tree, sizeof tree, "%s/tree", f->dir.path);
    snprintf(link, sizeof link, "%s/link", tree);
    assert_int_equal(file_mkdirs(tree, &f->err), ST_OK);
    assert_int_equal(symlink(f->dir.path, link), 0);
    assert_int_equal(file_remove_tree(tree, &f->err), ST_OK);
    expect_contents(f, "kept");
}

/* SHA-256 of known texts (FIPS 180-2, appendix B), from memory and from a file. */
static void test_sha256_known_answers(void **state)
{
    struct fixture *f = *state;
    static const char *const known[][2] = {
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    char hex[SHA256_HEX];
    for (size_t i = 0; i < 3; i++) {
        bytes_sha256(known[i][0], strlen(known[i][0]), hex);
        assert_string_equal(hex, known[i][1]);
        tmpdir_write(&f->dir, "file", known[i][0]);
        assert_int_equal(file_sha256(f->path, hex, NULL, NULL, &f->err), ST_OK);
        assert_string_equal(hex, known[i][1]);
    }
    assert_int_equal(file_sha256(f->dir.path, hex, NULL, NULL, &f->err), ST_IO);
}

static void add_up(void *arg, uint64_t bytes)
{
    *(uint64_t *)arg = bytes;
}

/* A file larger than the read buffer hashes like the same bytes in memory. */
static void test_sha256_of_a_large_file(void **state)
{
    struct fixture *f = *state;
    static char data[3000001];
    char a[SHA256_HEX], b[SHA256_HEX];
    uint64_t seen = 0;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 31 + i / 257);
    assert_int_equal(file_write_atomic(f->path, data, sizeof data, &f->err), ST_OK);
    assert_int_equal(file_sha256(f->path, a, add_up, &seen, &f->err), ST_OK);
    bytes_sha256(data, sizeof data, b);
    assert_string_equal(a, b);
    assert_int_equal(seen, sizeof data);
}

/* Every allocation may fail: a status, no leak. */
static void test_failing_allocations(void **state)
{
    struct fixture *f = *state;
    tmpdir_write(&f->dir, "file", "text");
    uint64_t live = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        char *data = NULL, hex[SHA256_HEX];
        const char **names = NULL;
        size_t n;
        mem_fail_at(k);
        enum status st = file_read_all(f->path, &data, &n, 100, &f->err);
        if (st == ST_OK) st = file_list(f->dir.path, &names, &n, &f->err);
        if (st == ST_OK) st = file_sha256(f->path, hex, NULL, NULL, &f->err);
        mem_fail_at(0);
        mem_free(data);
        mem_free(names);
        assert_int_equal(mem_live_bytes(), live);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_atomic_write_replaces),
        T(test_atomic_write_on_a_full_disk),
        T(test_cannot_create),
        T(test_read_refuses),
        T(test_folders),
        T(test_remove_does_not_follow_links),
        T(test_sha256_known_answers),
        T(test_sha256_of_a_large_file),
        T(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
