#include "common/base/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *why_not(int fd)
{
    struct stat info;
    if (fstat(fd, &info)) return strerror(errno);
    if (S_ISREG(info.st_mode)) return NULL;
    if (S_ISDIR(info.st_mode)) return "is a folder";
    return S_ISFIFO(info.st_mode) ? "is a pipe, not a regular file" : "is not a regular file";
}

int input_open(const char *path, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    *why = fd < 0 ? strerror(errno) : why_not(fd);
    if (!*why) return fd;
    if (fd >= 0) close(fd);
    return -1;
}
