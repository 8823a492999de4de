/* common/base/input: what can be read as input, and what is refused without waiting. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/input.h"

/* A folder of its own, the current one during a test. */
static int setup(void **state)
{
    static char dir[64];
    snprintf(dir, sizeof dir, "/tmp/mtps-input-XXXXXX");
    *state = dir;
    return mkdtemp(dir) && !chdir(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    unlink("file");
    unlink("link");
    unlink("pipe");
    unlink("socket");
    return chdir("/") || rmdir(*state) ? -1 : 0;
}

static void refused(const char *path, const char *reason)
{
    const char *why = NULL;
    assert_int_equal(input_open(path, &why), -1);
    assert_non_null(strstr(why, reason));
}

/* A regular file is read from its start, also through a link. */
static void test_regular_file(void **state)
{
    (void)state;
    const char *why, *names[] = {"file", "link"};
    char text[8] = "";
    int fd = open("file", O_WRONLY | O_CREAT, 0666);
    assert_int_equal(write(fd, "abc", 3), 3);
    close(fd);
    assert_int_equal(symlink("file", "link"), 0);
    for (size_t i = 0; i < 2; i++) {
        fd = input_open(names[i], &why);
        assert_true(fd >= 0);
        assert_int_equal(read(fd, text, sizeof text), 3);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        close(fd);
    }
}

/* A pipe that nobody writes to is refused at once, as is a device. */
static void test_nothing_that_waits(void **state)
{
    (void)state;
    assert_int_equal(mkfifo("pipe", 0666), 0);
    refused("pipe", "is a pipe");
    refused("/dev/zero", "not a regular file");
    refused("/dev/null", "not a regular file");
}

/* A folder, a socket and what is not there are refused with the reason. */
static void test_other_kinds(void **state)
{
    (void)state;
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof at), 0);
    refused(".", "is a folder");
    refused("socket", "No such device");
    refused("absent", "No such file");
    close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_regular_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_that_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_kinds, setup, teardown),
    };
    return cmocka_run_group_tests_name("base_input", tests, NULL, NULL);
}
