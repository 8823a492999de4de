#include "common/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int status_exit_code(enum status st)
{
#define STATUS_AS_CODE(name, code, text) code,
    static const int codes[] = {STATUS_LIST(STATUS_AS_CODE)};
    return st < ST_COUNT ? codes[st] : codes[ST_INTERNAL];
}

const char *status_text(enum status st)
{
#define STATUS_AS_TEXT(name, code, text) text,
    static const char *const texts[] = {STATUS_LIST(STATUS_AS_TEXT)};
    return st < ST_COUNT ? texts[st] : "unknown status";
}

static void one_line(char *s)
{
    for (; *s; s++)
        if (*s == '\n' || *s == '\r') *s = ' ';
}

enum status error_set(struct error *err, enum status st, const char *fmt, ...)
{
    if (!err) return st;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    one_line(err->text);
    err->hint[0] = '\0';
    return st;
}

enum status error_wrap(struct error *err, enum status st, const char *fmt, ...)
{
    if (!err) return st;
    char inner[sizeof err->text];
    memcpy(inner, err->text, sizeof inner);
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", inner);
    one_line(err->text);
    return st;
}

enum status error_hint(struct error *err, enum status st, const char *fmt, ...)
{
    if (!err) return st;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
    one_line(err->hint);
    return st;
}
