#include "common/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct {
    pthread_mutex_t lock;
    char who[16];
    enum log_level level;
    int quiet_terminal;
    FILE *file;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO};

void log_setup(const char *role, int rank, enum log_level level)
{
    pthread_mutex_lock(&sink.lock);
    if (*role)
        snprintf(sink.who, sizeof sink.who, "%s%02d", role, rank);
    else
        sink.who[0] = '\0';
    sink.level = level;
    pthread_mutex_unlock(&sink.lock);
}

int log_file(const char *path)
{
    pthread_mutex_lock(&sink.lock);
    if (sink.file) fclose(sink.file);
    sink.file = path ? fopen(path, "a") : NULL;
    int ok = !path || sink.file;
    pthread_mutex_unlock(&sink.lock);
    return ok;
}

void log_quiet_terminal(int quiet)
{
    pthread_mutex_lock(&sink.lock);
    sink.quiet_terminal = quiet;
    pthread_mutex_unlock(&sink.lock);
}

static void write_line(FILE *f, enum log_level level, const char *topic, const char *text)
{
    if (!sink.who[0]) {
        static const char *const names[] = {"error: ", "warning: ", "", ""};
        fprintf(f, "%s%s\n", names[level], text);
        fflush(f);
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm tm;
    localtime_r(&now.tv_sec, &tm);
    fprintf(f, "%02d:%02d:%02d.%03ld %c %s %-8s %s\n", tm.tm_hour, tm.tm_min, tm.tm_sec,
            now.tv_nsec / 1000000, "EWID"[level], sink.who, topic, text);
    fflush(f);
}

void log_line(enum log_level level, const char *topic, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (char *s = text; *s; s++)
        if (*s == '\n') *s = ' ';
    pthread_mutex_lock(&sink.lock);
    if (level <= sink.level) {
        if (!sink.quiet_terminal || level <= LOG_WARN) write_line(stderr, level, topic, text);
        if (sink.file) write_line(sink.file, level, topic, text);
    }
    pthread_mutex_unlock(&sink.lock);
}
