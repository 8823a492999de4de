/* common/store/output: a result appears whole or not at all, and nothing that
 * is no regular file is ever replaced. */
#include "common/store/output.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/tmpdir.h"

struct fixture {
    struct tmpdir dir;
    char path[512], other[512];
    struct error err;
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    tmpdir_create(&f.dir);
    tmpdir_path(&f.dir, "scores", f.path, sizeof f.path);
    tmpdir_path(&f.dir, "other", f.other, sizeof f.other);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tmpdir_remove(&f->dir);
    return 0;
}

/* Writes text to path and closes with st. */
static enum status write_as(struct fixture *f, const char *path, const char *text, enum status st)
{
    struct output *o;
    assert_int_equal(output_check(path, &f->err), ST_OK);
    assert_int_equal(output_open(path, &o, &f->err), ST_OK);
    fputs(text, output_stream(o));
    return output_close(o, st, &f->err);
}

static void expect_text(const char *path, const char *text)
{
    char got[64] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(got, 1, sizeof got - 1, file);
    fclose(file);
    assert_int_equal(n, strlen(text));
    assert_string_equal(got, text);
}

static void expect_refused(struct fixture *f, const char *path, const char *why)
{
    struct output *o;
    assert_int_equal(output_check(path, &f->err), ST_CANTCREATE);
    assert_non_null(strstr(f->err.text, why));
    assert_int_equal(output_open(path, &o, &f->err), ST_CANTCREATE);
    assert_non_null(strstr(f->err.text, path));
    assert_non_null(strstr(f->err.text, why));
}

/* A file appears, or is replaced, when it is complete; else the old one stays. */
static void a_file_is_replaced_when_it_is_complete(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(write_as(f, f->path, "one", ST_OK), ST_OK);
    expect_text(f->path, "one");
    assert_int_equal(write_as(f, f->path, "half", ST_DATA), ST_DATA);
    expect_text(f->path, "one");
    assert_int_equal(write_as(f, f->path, "two", ST_OK), ST_OK);
    expect_text(f->path, "two");
}

/* Who may read the old file may read the new one, and nobody else. */
static void permissions_stay(void **state)
{
    struct fixture *f = *state;
    struct stat s;
    assert_int_equal(write_as(f, f->path, "one", ST_OK), ST_OK);
    assert_int_equal(chmod(f->path, 0640), 0);
    assert_int_equal(write_as(f, f->path, "two", ST_OK), ST_OK);
    assert_int_equal(stat(f->path, &s), 0);
    assert_int_equal(s.st_mode & 07777, 0640);
}

/* A link stays, the file behind it is written. */
static void a_link_is_followed(void **state)
{
    struct fixture *f = *state;
    struct stat s;
    tmpdir_write(&f->dir, "other", "old");
    assert_int_equal(symlink("other", f->path), 0);
    assert_int_equal(write_as(f, f->path, "new", ST_OK), ST_OK);
    assert_int_equal(lstat(f->path, &s), 0);
    assert_true(S_ISLNK(s.st_mode));
    expect_text(f->other, "new");
}

/* What cannot sensibly be written is refused with its reason, and stays. */
static void folders_and_dead_links_are_refused(void **state)
{
    struct fixture *f = *state;
    struct stat s;
    expect_refused(f, f->dir.path, "directory");
    assert_int_equal(symlink("nowhere", f->path), 0);
    expect_refused(f, f->path, "link to nothing");
    assert_int_equal(lstat(f->path, &s), 0);
    assert_true(S_ISLNK(s.st_mode));
    char below[600];
    snprintf(below, sizeof below, "%s/no/such/file", f->dir.path);
    expect_refused(f, below, "No such file");
}

/* A pipe stays a pipe and gets the bytes. */
static void a_pipe_is_written_straight_to(void **state)
{
    struct fixture *f = *state;
    struct stat s;
    char got[8] = "";
    assert_int_equal(mkfifo(f->path, 0600), 0);
    int reader = open(f->path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_int_equal(write_as(f, f->path, "piped", ST_OK), ST_OK);
    assert_int_equal(read(reader, got, sizeof got - 1), 5);
    assert_string_equal(got, "piped");
    close(reader);
    assert_int_equal(lstat(f->path, &s), 0);
    assert_true(S_ISFIFO(s.st_mode));
}

/* A full device fails with the reason, says what to do, and is a device still.
 * The device is reached by a link, so that no mistake of ours can replace it. */
static void a_full_device_is_an_error(void **state)
{
    struct fixture *f = *state;
    if (access("/dev/full", W_OK)) skip();
    assert_int_equal(symlink("/dev/full", f->path), 0);
    assert_int_equal(write_as(f, f->path, "lost", ST_OK), ST_IO);
    assert_non_null(strstr(f->err.text, f->path));
    assert_non_null(strstr(f->err.text, "No space left"));
    assert_non_null(strstr(f->err.hint, "room"));
    struct stat s;
    assert_int_equal(stat("/dev/full", &s), 0);
    assert_true(S_ISCHR(s.st_mode));
}

/* Two names of one file are found out, whatever they look like. */
static void the_same_file_is_recognised(void **state)
{
    struct fixture *f = *state;
    tmpdir_write(&f->dir, "other", "x");
    assert_false(output_is_file(f->path, f->other)); /* not there yet */
    assert_int_equal(symlink("other", f->path), 0);
    assert_true(output_is_file(f->path, f->other));
    assert_true(output_is_file(f->other, f->path));
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(link(f->other, f->path), 0);
    assert_true(output_is_file(f->path, f->other));
}

/* A path below a folder is one by place, not by spelling. */
static void below_is_a_matter_of_place(void **state)
{
    struct fixture *f = *state;
    char in[600], dir[600], beside[600];
    snprintf(dir, sizeof dir, "%s/ckpt", f->dir.path);
    snprintf(in, sizeof in, "%s/../ckpt/new", dir);
    snprintf(beside, sizeof beside, "%s/ckpt-2", f->dir.path);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(mkdir(beside, 0700), 0);
    assert_true(output_is_below(in, dir));
    snprintf(in, sizeof in, "%s/new", beside);
    assert_false(output_is_below(in, dir));
    assert_false(output_is_below(f->path, dir));
}

/* Standard output has many names. */
static void standard_output_is_recognised(void **state)
{
    struct fixture *f = *state;
    assert_true(output_is_stdout("-"));
    assert_true(output_is_stdout("/dev/stdout"));
    assert_false(output_is_stdout(f->path));
    tmpdir_write(&f->dir, "other", "x");
    assert_false(output_is_stdout(f->other));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(a_file_is_replaced_when_it_is_complete),
                                       CASE(permissions_stay),
                                       CASE(a_link_is_followed),
                                       CASE(folders_and_dead_links_are_refused),
                                       CASE(a_pipe_is_written_straight_to),
                                       CASE(a_full_device_is_an_error),
                                       CASE(the_same_file_is_recognised),
                                       CASE(below_is_a_matter_of_place),
                                       CASE(standard_output_is_recognised)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
