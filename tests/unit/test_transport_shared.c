#include <dirent.h>
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
#include "common/net/transport_shared.h"

enum { MAX_BYTES = 300000 };

static unsigned char text[MAX_BYTES];

/* Message number i as pieces of uneven sizes; some are empty. */
static size_t cut(unsigned i, size_t bytes, struct piece pieces[4])
{
    memset(text, (int)(i % 251 + 1), bytes);
    if (bytes) text[bytes - 1] = (unsigned char)(i * 7);
    size_t a = bytes / 3, b = bytes / 2;
    pieces[0] = (struct piece){text, a};
    pieces[1] = (struct piece){NULL, 0};
    pieces[2] = (struct piece){text + a, b - a};
    pieces[3] = (struct piece){text + b, bytes - b};
    return 4;
}

static bool is_message(unsigned i, const unsigned char *data, size_t bytes)
{
    for (size_t k = 0; k + 1 < bytes; k++)
        if (data[k] != (unsigned char)(i % 251 + 1)) return false;
    return !bytes || data[bytes - 1] == (unsigned char)(i * 7);
}

static bool write_message(struct shared_out *out, unsigned i, size_t bytes,
                          struct shared_note *note)
{
    struct piece pieces[4];
    size_t n = cut(i, bytes, pieces);
    return shared_write(out, pieces, n, bytes, note);
}

static void expect_message(struct shared_in *in, unsigned i, size_t bytes,
                           const struct shared_note *note)
{
    const unsigned char *data;
    struct error err;
    if (shared_read(in, getpid(), note, bytes, &data, &err) != ST_OK)
        fail_msg("%s", err.text);
    assert_int_equal((uintptr_t)data % 64, 0);
    assert_true(is_message(i, data, bytes));
}

static size_t open_files(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static size_t size_of(unsigned i)
{
    return i % 7 ? (i * 7919u) % 5000 : (i * 104729u) % MAX_BYTES;
}

struct told {
    struct shared_note note;
    size_t bytes;
};

/* The other process: reads what it is told of, one message late, so that one is held
 * while the next is read; its exit code is the number of wrong ones. */
static int read_all(int notes, int answers, long pid, unsigned n)
{
    struct shared_in in = {0};
    struct told told;
    uint64_t held = 0;
    int wrong = 0;
    for (unsigned i = 0; i < n; i++) {
        const unsigned char *data;
        struct error err;
        if (read(notes, &told, sizeof told) != sizeof told) return 100;
        if (shared_read(&in, pid, &told.note, told.bytes, &data, &err) != ST_OK)
            return 101;
        wrong += !is_message(i, data, told.bytes);
        if (i) shared_release(&in, held);
        held = told.note.buffer;
        if (write(answers, "x", 1) != 1) return 102;
    }
    shared_in_close(&in);
    return wrong < 100 ? wrong : 99;
}

/* Messages of any size reach another process whole, while it still holds the one
 * before. */
static void test_two_processes(void **state)
{
    (void)state;
    enum { N = 300 };
    int notes[2], answers[2];
    assert_int_equal(pipe(notes), 0);
    assert_int_equal(pipe(answers), 0);
    long pid = getpid();
    pid_t child = fork();
    if (!child) _exit(read_all(notes[0], answers[1], pid, N));
    struct shared_out out = {0};
    for (unsigned i = 0; i < N; i++) {
        struct told told = {.bytes = size_of(i)};
        char c;
        assert_true(write_message(&out, i, told.bytes, &told.note));
        assert_int_equal(write(notes[1], &told, sizeof told), sizeof told);
        assert_int_equal(read(answers[0], &c, 1), 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    shared_out_close(&out);
    for (int i = 0; i < 2; i++) {
        close(notes[i]);
        close(answers[i]);
    }
}

/* A message that is held is never written over: with all buffers held there is none
 * for the next, and after a release there is. */
static void test_held_messages_stay(void **state)
{
    (void)state;
    struct shared_out out = {0};
    struct shared_in in = {0};
    struct shared_note notes[SHARED_BUFFERS], more;
    for (unsigned i = 0; i < SHARED_BUFFERS; i++)
        assert_true(write_message(&out, i, 1000, &notes[i]));
    assert_false(write_message(&out, 9, 1, &more));
    for (unsigned i = 0; i < SHARED_BUFFERS; i++) expect_message(&in, i, 1000, &notes[i]);
    assert_false(write_message(&out, 9, 1, &more));
    shared_release(&in, notes[1].buffer);
    assert_true(write_message(&out, 9, 500, &more));
    assert_int_equal(more.buffer, notes[1].buffer);
    expect_message(&in, 0, 1000, &notes[0]);
    expect_message(&in, 9, 500, &more);
    shared_in_close(&in);
    shared_out_close(&out);
}

/* When sizes repeat nothing is asked of the system: the memory stays, it is mapped
 * once, and no descriptor stays open. */
static void test_warm_messages_cost_nothing(void **state)
{
    (void)state;
    struct shared_out out = {0};
    struct shared_in in = {0};
    struct shared_note first, note;
    size_t files = open_files();
    uint64_t calls = mem_calls();
    assert_true(write_message(&out, 0, 100000, &first));
    expect_message(&in, 0, 100000, &first);
    shared_release(&in, first.buffer);
    const void *theirs = in.buffers[0].head;
    for (unsigned i = 1; i < 50; i++) {
        assert_true(write_message(&out, i, 100000 + 1000 * (i % 40), &note));
        assert_int_equal(note.version, first.version);
        assert_int_equal(note.buffer, first.buffer);
        expect_message(&in, i, 100000 + 1000 * (i % 40), &note);
        shared_release(&in, note.buffer);
    }
    assert_ptr_equal(in.buffers[0].head, theirs);
    assert_null(out.buffers[1].head);
    assert_int_equal(open_files(), files);
    assert_int_equal(mem_calls(), calls);
    shared_in_close(&in);
    shared_out_close(&out);
}

/* Memory is at most half as large again as the largest message, and pages around. */
static void test_memory_is_bounded(void **state)
{
    (void)state;
    struct shared_out out = {0};
    struct shared_in in = {0};
    for (unsigned i = 0; i < 100; i++) {
        struct shared_note note;
        size_t bytes = size_of(i);
        assert_true(write_message(&out, i, bytes, &note));
        expect_message(&in, i, bytes, &note);
        shared_release(&in, note.buffer);
        assert_true(note.capacity <= MAX_BYTES + MAX_BYTES / 2 + 3 * 4096);
    }
    shared_in_close(&in);
    shared_out_close(&out);
}

static void with_limit(int resource, rlim_t limit, bool possible)
{
    struct shared_out out = {0};
    struct shared_in in = {0};
    struct shared_note held, note;
    struct rlimit before;
    assert_true(write_message(&out, 1, 5000, &held));
    expect_message(&in, 1, 5000, &held);
    assert_int_equal(getrlimit(resource, &before), 0);
    assert_int_equal(setrlimit(resource, &(struct rlimit){limit, before.rlim_max}), 0);
    bool done = write_message(&out, 2, 200000, &note);
    assert_int_equal(setrlimit(resource, &before), 0);
    assert_int_equal(done, possible);
    expect_message(&in, 1, 5000, &held);
    shared_release(&in, held.buffer);
    assert_true(write_message(&out, 3, 6000, &note)); /* what is there stays usable */
    expect_message(&in, 3, 6000, &note);
    assert_false(!possible && write_message(&out, 4, 200000, &note));
    shared_in_close(&in);
    shared_out_close(&out);
}

/* Refused memory (file size, descriptors, address space) is a plain no, and not asked
 * for again. */
static void test_refused_memory(void **state)
{
    (void)state;
    with_limit(RLIMIT_FSIZE, 100000, false);
    with_limit(RLIMIT_NOFILE, 3, false);
    with_limit(RLIMIT_AS, 1000, false);
    with_limit(RLIMIT_FSIZE, 10000000, true);
}

static void expect_refusal(long pid, const struct shared_note *note, size_t bytes,
                           const char *why)
{
    struct shared_in in = {0};
    const unsigned char *data;
    struct error err;
    assert_int_equal(shared_read(&in, pid, note, bytes, &data, &err), ST_PEER);
    if (!strstr(err.text, why)) fail_msg("no '%s' in: %s", why, err.text);
    shared_in_close(&in);
}

/* A note that cannot be true is an error before anything is read. */
static void test_wrong_notes(void **state)
{
    (void)state;
    struct shared_out out = {0};
    struct shared_note good, bad;
    assert_true(write_message(&out, 1, 5000, &good));
    bad = good;
    bad.buffer = SHARED_BUFFERS;
    expect_refusal(getpid(), &bad, 5000, "impossible");
    bad = good;
    bad.capacity = 100;
    expect_refusal(getpid(), &bad, 50, "impossible");
    expect_refusal(getpid(), &good, (size_t)good.capacity, "impossible");
    expect_refusal(getpid(), &good, SIZE_MAX, "impossible");
    bad = good;
    bad.capacity += 4096;
    expect_refusal(getpid(), &bad, 5000, "size");
    bad = good;
    bad.version = 7;
    expect_refusal(getpid(), &bad, 5000, "start");
    bad = good;
    bad.fd = 12345;
    expect_refusal(getpid(), &bad, 5000, "No such file");
    shared_out_close(&out);
}

/* What a killed process has written stays readable to whoever has mapped it, and
 * leaves nothing for others. */
static void test_killed_sender(void **state)
{
    (void)state;
    int notes[2];
    struct shared_note note;
    struct shared_in in = {0};
    const unsigned char *data;
    struct error err;
    assert_int_equal(pipe(notes), 0);
    pid_t child = fork();
    if (!child) {
        struct shared_out out = {0};
        if (!write_message(&out, 5, 70000, &note) ||
            write(notes[1], &note, sizeof note) != sizeof note)
            _exit(1);
        pause();
    }
    assert_int_equal(read(notes[0], &note, sizeof note), sizeof note);
    assert_int_equal(shared_read(&in, child, &note, 70000, &data, &err), ST_OK);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(is_message(5, data, 70000));
    shared_release(&in, note.buffer);
    expect_refusal(child, &note, 70000, "No such file");
    shared_in_close(&in);
    close(notes[0]);
    close(notes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_processes),
        cmocka_unit_test(test_held_messages_stay),
        cmocka_unit_test(test_warm_messages_cost_nothing),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_refused_memory),
        cmocka_unit_test(test_wrong_notes),
        cmocka_unit_test(test_killed_sender),
    };
    return cmocka_run_group_tests_name("transport_shared", tests, NULL, NULL);
}
