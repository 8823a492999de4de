/* The lock of a run directory: one owner at a time, named to the others, and
 * free at once when it dies. */
#include "common/store/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/tmpdir.h"

struct fixture {
    struct tmpdir dir;
    struct error err;
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    tmpdir_create(&f.dir);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tmpdir_remove(&f->dir);
    return 0;
}

/* A process that takes the lock, says so, and waits to be killed. */
static pid_t start_owner(const char *dir)
{
    int pipe_fd[2];
    char byte;
    assert_int_equal(pipe(pipe_fd), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct lock *l;
        if (lock_take(dir, 0, &l, NULL) != ST_OK) _exit(1);
        if (write(pipe_fd[1], "x", 1) != 1) _exit(2);
        for (;;) pause();
    }
    assert_int_equal(read(pipe_fd[0], &byte, 1), 1);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    return pid;
}

static void end_owner(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* A second process is refused and told who holds the lock; nothing changes. */
static void test_second_owner_is_refused(void **state)
{
    struct fixture *f = *state;
    struct lock *l;
    char text[32];
    pid_t owner = start_owner(f->dir.path);
    enum status st = lock_take(f->dir.path, 0, &l, &f->err);
    end_owner(owner);
    assert_int_equal(st, ST_BUSY);
    snprintf(text, sizeof text, "pid=%ld", (long)owner);
    assert_non_null(strstr(f->err.text, text));
    assert_true(f->err.hint[0]);
}

/* A killed owner leaves the lock free, and the next attempt has a new number. */
static void test_killed_owner_frees_the_lock(void **state)
{
    struct fixture *f = *state;
    struct lock *l;
    for (uint64_t attempt = 2; attempt < 5; attempt++) {
        end_owner(start_owner(f->dir.path));
        assert_int_equal(lock_take(f->dir.path, 0, &l, &f->err), ST_OK);
        assert_int_equal(lock_attempt(l), 2 * attempt - 2);
        assert_true(lock_is_ours(l));
        lock_release(l);
    }
}

/* Waiting for the lock succeeds when it becomes free in time. */
static void test_waiting(void **state)
{
    struct fixture *f = *state;
    struct lock *l;
    pid_t owner = start_owner(f->dir.path), killer = fork();
    if (killer == 0) {
        usleep(200000);
        kill(owner, SIGKILL);
        _exit(0);
    }
    assert_int_equal(lock_take(f->dir.path, 10, &l, &f->err), ST_OK);
    lock_release(l);
    waitpid(killer, NULL, 0);
    waitpid(owner, NULL, 0);
}

/* An owner notices when its record or its folder is no longer its own. */
static void test_lost_lock_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct lock *l;
    char path[512];
    assert_int_equal(lock_take(f->dir.path, 0, &l, &f->err), ST_OK);
    assert_true(lock_is_ours(l));
    tmpdir_write(&f->dir, "LOCK", "host=other pid=1 attempt=9 start=0\n");
    assert_false(lock_is_ours(l));
    unlink(tmpdir_path(&f->dir, "LOCK", path, sizeof path));
    assert_false(lock_is_ours(l));
    lock_release(l);
}

/* Damaged records do not stop a new owner. */
static void test_damaged_record(void **state)
{
    struct fixture *f = *state;
    struct lock *l;
    tmpdir_write(&f->dir, "LOCK", "attempt=garbage \xff\xfe");
    assert_int_equal(lock_take(f->dir.path, 0, &l, &f->err), ST_OK);
    assert_int_equal(lock_attempt(l), 1);
    lock_release(l);
}

/* Where the lock file cannot be made, that is said. */
static void test_no_folder(void **state)
{
    struct fixture *f = *state;
    struct lock *l;
    assert_int_equal(lock_take("/proc/none", 0, &l, &f->err), ST_CANTCREATE);
    lock_release(NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_second_owner_is_refused),
        T(test_killed_owner_frees_the_lock),
        T(test_waiting),
        T(test_lost_lock_is_noticed),
        T(test_damaged_record),
        T(test_no_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
