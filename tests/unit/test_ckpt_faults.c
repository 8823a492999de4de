/* Saving and loading when the world does not help: full disks, folders that
 * cannot be made, no memory, system calls that fail, and a process that is killed
 * at any of them. What was committed before always stays, and what is chosen
 * afterwards is whole. The parts on system calls need strace and are skipped
 * without it. */
#include "common/store/ckpt.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/ckpt_sample.h"

struct fixture {
    struct tmpdir tmp;
    char dir[300];
    struct error err;
};

enum { OLD_STEP = 3, NEW_STEP = 8, ROWS = 60 };

#define OK(f, call)                                                                      \
    do {                                                                                 \
        enum status ok_ = (call);                                                        \
        if (ok_ != ST_OK) fail_msg("%d: %s", ok_, (f)->err.text);                        \
    } while (0)

static enum status save(const char *dir, uint64_t step, struct error *err)
{
    char *path;
    struct sample s = {.dir = dir, .step = step, .n_servers = 2, .n_rows = ROWS};
    enum status st = sample_save(&s, &path, err);
    if (st == ST_OK) mem_free(path);
    return st;
}

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    tmpdir_create(&f.tmp);
    snprintf(f.dir, sizeof f.dir, "%s/checkpoints", f.tmp.path);
    OK(&f, save(f.dir, OLD_STEP, &f.err));
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tmpdir_remove(&f->tmp);
    return 0;
}

static uint64_t newest_step(struct fixture *f)
{
    char *path;
    struct ckpt *c;
    OK(f, ckpt_newest(f->dir, NULL, NULL, &path, &f->err));
    assert_non_null(path);
    OK(f, ckpt_verify(path, &f->err));
    OK(f, ckpt_open(path, true, &c, &f->err));
    uint64_t step = ckpt_meta(c)->step;
    ckpt_close(c);
    mem_free(path);
    return step;
}

static size_t count_files(const char *dir)
{
    const char **names;
    size_t n;
    assert_int_equal(file_list(dir, &names, &n, NULL), ST_OK);
    mem_free(names);
    return n;
}

static void remove_new(struct fixture *f)
{
    char path[600];
    snprintf(path, sizeof path, "%s/step-%012d", f->dir, NEW_STEP);
    OK(f, file_remove_tree(path, &f->err));
}

/* With any limit on the size of a file the save fails cleanly: an error that
 * names a path, no temporary folder, no open file; and later ones succeed. */
static void test_disk_full(void **state)
{
    struct fixture *f = *state;
    struct rlimit old;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    size_t open_before = count_files("/proc/self/fd"), entries = count_files(f->dir);
    size_t failures = 0;
    for (rlim_t limit = 0;; limit += limit < 1000 ? 100 : 700) {
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, old.rlim_max});
        enum status st = save(f->dir, NEW_STEP, &f->err);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(count_files("/proc/self/fd"), open_before);
        if (st == ST_OK) break;
        assert_true(st == ST_IO || st == ST_CANTCREATE);
        assert_non_null(strstr(f->err.text, f->dir));
        assert_non_null(strstr(f->err.text, "File too large"));
        assert_non_null(strstr(f->err.hint, "ulimit -f"));
        assert_int_equal(count_files(f->dir), entries);
        assert_int_equal(newest_step(f), OLD_STEP);
        failures++;
    }
    assert_true(failures > 20);
    assert_int_equal(newest_step(f), NEW_STEP);
}

/* Where no folder can be made: 73; where the space does not suffice: 74. */
static void test_begin_refuses(void **state)
{
    struct fixture *f = *state;
    struct ckpt_save *s;
    char below[400];
    tmpdir_write(&f->tmp, "file", "x");
    snprintf(below, sizeof below, "%s/file/checkpoints", f->tmp.path);
    assert_int_equal(ckpt_begin(below, 1, 1, 0, &s, &f->err), ST_CANTCREATE);
    assert_int_equal(ckpt_begin("/proc/checkpoints", 1, 1, 0, &s, &f->err),
                     ST_CANTCREATE);
    assert_int_equal(ckpt_begin(f->dir, 1, 1, UINT64_MAX, &s, &f->err), ST_IO);
    assert_non_null(strstr(f->err.text, "are free"));
    assert_true(f->err.hint[0]);
}

/* A run directory that vanished while saving is an error, not a crash. */
static void test_folder_removed_while_saving(void **state)
{
    struct fixture *f = *state;
    struct ckpt_save *s;
    struct ckpt_file_info info;
    uint64_t one = 1;
    const struct named_array a = {"one", DTYPE_U64, 1, 0, 0, &one};
    OK(f, ckpt_begin(f->dir, NEW_STEP, 1, 0, &s, &f->err));
    OK(f, file_remove_tree(f->dir, &f->err));
    assert_int_equal(ckpt_state_write(ckpt_save_path(s), &a, 1, &info, &f->err),
                     ST_CANTCREATE);
    ckpt_abandon(s);
    OK(f, save(f->dir, NEW_STEP, &f->err));
}

/* Every allocation of a save may fail: a status, nothing left behind, no leak. */
static void test_failing_allocations_of_a_save(void **state)
{
    struct fixture *f = *state;
    size_t entries = count_files(f->dir);
    OK(f, save(f->dir, NEW_STEP, &f->err));
    remove_new(f);
    uint64_t live = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        mem_fail_at(k);
        enum status st = save(f->dir, NEW_STEP, &f->err);
        mem_fail_at(0);
        assert_int_equal(mem_live_bytes(), live);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
        assert_int_equal(count_files(f->dir), entries);
    }
    assert_int_equal(newest_step(f), NEW_STEP);
}

static enum status count_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    (void)err;
    *(size_t *)arg += rows->n;
    return ST_OK;
}

static enum status load_all(struct fixture *f)
{
    char *path;
    struct ckpt *c;
    size_t rows = 0;
    const struct named_array *tensors;
    TRY(ckpt_resolve(f->tmp.path, NULL, NULL, &path, &f->err));
    enum status st = ckpt_verify(path, &f->err);
    if (st == ST_OK) st = ckpt_open(path, false, &c, &f->err);
    mem_free(path);
    if (st != ST_OK) return st;
    st = ckpt_read_dense(c, &tensors, &rows, &f->err);
    if (st == ST_OK) st = ckpt_read_state(c, &f->err);
    if (st == ST_OK)
        st = ckpt_read_rows(c, 1, (struct range){300, 800}, count_rows, &rows, &f->err);
    ckpt_close(c);
    return st;
}

/* Every allocation of a load may fail: a status, no leak; no older checkpoint is
 * taken instead. */
static void test_failing_allocations_of_a_load(void **state)
{
    struct fixture *f = *state;
    OK(f, load_all(f));
    uint64_t live = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        mem_fail_at(k);
        enum status st = load_all(f);
        mem_fail_at(0);
        assert_int_equal(mem_live_bytes(), live);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
    }
}

/* ---- system calls ---- */

#define CHANGES                                                                          \
    "pwrite64,write,fsync,rename,renameat2,mkdir,ftruncate,openat,close,statfs"

/* Runs this program as a saver under strace; gives its exit status. */
static int run_traced(struct fixture *f, const char *options, const char *trace)
{
    char program[512], command[2048];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(n > 0);
    program[n] = '\0';
    snprintf(command, sizeof command,
             "exec strace -qq -y -o '%s' -e trace=" CHANGES
             " %s '%s' save '%s' 2>>'%s/strace.err'",
             trace, options, program, f->dir, f->tmp.path);
    return system(command);
}

static char *traced_save(struct fixture *f)
{
    char trace[400], *text;
    size_t n;
    snprintf(trace, sizeof trace, "%s/trace", f->tmp.path);
    if (run_traced(f, "", trace) != 0) skip(); /* no strace, or it may not trace */
    OK(f, file_read_all(trace, &text, &n, 1 << 26, &f->err));
    return text;
}

/* Number of the last (or first) line that starts with call and holds what; 0 = none. */
static size_t find_line(const char *trace, const char *call, const char *what, bool last)
{
    size_t found = 0, line = 1;
    for (const char *at = trace; *at; line++) {
        size_t n = strcspn(at, "\n");
        char text[2048];
        snprintf(text, sizeof text, "%.*s", (int)(n < 2000 ? n : 2000), at);
        bool match = !strncmp(text, call, strlen(call)) && strstr(text, what) &&
                     strstr(text, "= ") && !strstr(text, "= -1");
        if (match && (last || !found)) found = line;
        at += n + (at[n] == '\n');
    }
    return found;
}

/* An fsync of what strictly between two lines. */
static bool synced_between(const char *trace, const char *what, size_t first, size_t end)
{
    size_t line = 1;
    for (const char *at = trace; *at && line < end; line++) {
        size_t n = strcspn(at, "\n");
        char text[2048];
        snprintf(text, sizeof text, "%.*s", (int)(n < 2000 ? n : 2000), at);
        if (line > first && !strncmp(text, "fsync(", 6) && strstr(text, what))
            return true;
        at += n + (at[n] == '\n');
    }
    return false;
}

/* Each file is synced after its last write; then the manifest is renamed and its
 * folder synced; then the checkpoint is renamed, and the folder above synced. */
static void test_order_of_system_calls(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {"sparse-00000-of-00002.h5",
                                        "sparse-00001-of-00002.h5", "dense.h5",
                                        "train_state.h5"};
    char *trace = traced_save(f), parent[320];
    snprintf(parent, sizeof parent, "<%s>", f->dir);
    size_t manifest = find_line(trace, "rename(", "MANIFEST.json", true);
    size_t published = find_line(trace, "renameat2(", "step-000000000008", true);
    for (size_t i = 0; i < 4; i++) {
        size_t written = find_line(trace, "pwrite64(", files[i], true);
        size_t synced = find_line(trace, "fsync(", files[i], true);
        assert_true(written && written < synced && synced < manifest);
    }
    size_t text_written = find_line(trace, "write(", "MANIFEST.json.tmp", true);
    size_t text_synced = find_line(trace, "fsync(", "MANIFEST.json.tmp", true);
    size_t folder_synced = find_line(trace, "fsync(", "-a0003-", true);
    assert_true(text_written && text_written < text_synced && text_synced < manifest);
    assert_true(manifest < folder_synced && folder_synced < published);
    size_t hint = find_line(trace, "rename(", "LATEST", false);
    assert_true(published < hint);
    assert_true(synced_between(trace, parent, published, hint));
    mem_free(trace);
}

static size_t count_calls(const char *trace, const char *call)
{
    size_t n = 0, length = strlen(call);
    for (const char *at = trace; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (!*at) break;
        n += !strncmp(at, call, length) && at[length] == '(';
    }
    return n;
}

static const char *const calls[] = {"pwrite64",  "write", "fsync",    "rename",
                                    "renameat2", "mkdir", "ftruncate"};
enum { N_CALLS = sizeof calls / sizeof *calls };

/* pwrite64 is the library's, and there are many: one test takes the odd ones, the
 * other the even ones. */
static size_t step_of(size_t call)
{
    return call == 0 ? 2 : 1;
}

/* Killed at any call that changes the disk: the old checkpoint or the new one is
 * chosen, whole; what is left over can be swept; the next save works. */
static void test_killed_at_any_call(void **state)
{
    struct fixture *f = *state;
    char *trace = traced_save(f), options[100];
    size_t points = 0;
    remove_new(f);
    for (size_t i = 0; i < N_CALLS; i++)
        for (size_t n = 1, most = count_calls(trace, calls[i]); n <= most;
             n += step_of(i), points++) {
            snprintf(options, sizeof options, "-e inject=%s:signal=KILL:when=%zu",
                     calls[i], n);
            int status = run_traced(f, options, "/dev/null");
            assert_int_not_equal(status, 0);
            uint64_t step = newest_step(f);
            assert_true(step == OLD_STEP || step == NEW_STEP);
            OK(f, ckpt_sweep(f->dir, &f->err));
            remove_new(f);
        }
    assert_true(points > 40);
    OK(f, save(f->dir, NEW_STEP, &f->err));
    assert_int_equal(newest_step(f), NEW_STEP);
    mem_free(trace);
}

/* Any call failing with an I/O error: an error, or (the hint LATEST alone failed, or
 * a folder was there already) success and the new one; never a crash. */
static void test_error_at_any_call(void **state)
{
    struct fixture *f = *state;
    static const size_t most_successes[N_CALLS] = {0, 1, 2, 1, 0, SIZE_MAX, 0};
    static const char *const errors[] = {"EIO", "ENOSPC"};
    char *trace = traced_save(f), options[100];
    remove_new(f);
    for (size_t i = 0; i < N_CALLS; i++) {
        size_t successes = 0;
        for (size_t n = 1 + (i == 0), most = count_calls(trace, calls[i]); n <= most;
             n += step_of(i)) {
            snprintf(options, sizeof options, "-e inject=%s:error=%s:when=%zu", calls[i],
                     errors[n / 2 % 2], n);
            int status = run_traced(f, options, "/dev/null");
            assert_true(WIFEXITED(status));
            int code = WEXITSTATUS(status);
            uint64_t step = newest_step(f);
            assert_true(code == 73 || code == 74 || (code == 0 && step == NEW_STEP));
            successes += code == 0;
            OK(f, ckpt_sweep(f->dir, &f->err));
            remove_new(f);
        }
        assert_true(successes <= most_successes[i]);
    }
    mem_free(trace);
}

/* Deleting: killed at any call, the newest one stays and the rest can be swept. */
static void test_killed_while_retiring(void **state)
{
    struct fixture *f = *state;
    char options[100], program[512], command[2048];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    mem_free(traced_save(f));
    static const char *const removing[] = {"rename", "unlinkat"};
    for (size_t i = 0; i < 2; i++)
        for (size_t n = 1; n <= 20; n++) {
            OK(f, save(f->dir, 1, &f->err));
            OK(f, save(f->dir, 2, &f->err));
            snprintf(options, sizeof options, "-e inject=%s:signal=KILL:when=%zu",
                     removing[i], n);
            snprintf(command, sizeof command,
                     "exec strace -qq -o /dev/null -e trace=%s %s '%s' retire '%s' "
                     "2>/dev/null",
                     removing[i], options, program, f->dir);
            int status = system(command);
            assert_int_equal(newest_step(f), NEW_STEP);
            OK(f, ckpt_sweep(f->dir, &f->err));
            OK(f, ckpt_retire(f->dir, 2, NULL, &f->err));
            assert_int_equal(newest_step(f), NEW_STEP);
            if (status == 0) break;
        }
}

static int run_as(const char *what, const char *dir)
{
    struct error err;
    enum status st = strcmp(what, "save") ? ckpt_retire(dir, 2, NULL, &err)
                                          : save(dir, NEW_STEP, &err);
    if (st != ST_OK) fprintf(stderr, "%s\n", err.text);
    return status_exit_code(st);
}

int main(int argc, char **argv)
{
    if (argc == 3) return run_as(argv[1], argv[2]);
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_disk_full),
        T(test_begin_refuses),
        T(test_folder_removed_while_saving),
        T(test_failing_allocations_of_a_save),
        T(test_failing_allocations_of_a_load),
        T(test_order_of_system_calls),
        T(test_killed_at_any_call),
        T(test_error_at_any_call),
        T(test_killed_while_retiring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
