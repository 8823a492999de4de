#include "common/config/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

static bool reserve(struct buffer *b, size_t n)
{
    if (b->failed) return false;
    if (b->n + n < b->capacity) return true;
    size_t capacity = b->capacity ? 2 * b->capacity : 1024;
    while (capacity <= b->n + n) capacity *= 2;
    char *text = mem_resize(b->text, capacity, 1);
    if (!text) {
        b->failed = true;
        return false;
    }
    b->text = text;
    b->capacity = capacity;
    return true;
}

void buffer_add(struct buffer *b, const char *text, size_t n)
{
    if (!reserve(b, n)) return;
    memcpy(b->text + b->n, text, n);
    b->n += n;
    b->text[b->n] = '\0';
}

void buffer_puts(struct buffer *b, const char *text)
{
    buffer_add(b, text, strlen(text));
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n >= 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->text + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

enum status buffer_take(struct buffer *b, char **out, struct error *err)
{
    buffer_add(b, "", 0);
    if (b->failed) {
        buffer_close(b);
        return mem_error(err, "text", 0);
    }
    *out = b->text;
    *b = (struct buffer){0};
    return ST_OK;
}

void buffer_close(struct buffer *b)
{
    mem_free(b->text);
    *b = (struct buffer){0};
}
