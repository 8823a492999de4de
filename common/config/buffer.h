/* Text that grows. After a failed allocation it stays empty-handed: add as much
 * as you like and ask once at the end. */
#ifndef MTPS_CONFIG_BUFFER_H
#define MTPS_CONFIG_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/status.h"

struct buffer {
    char *text; /* ends with 0; NULL when nothing was added */
    size_t n, capacity;
    bool failed;
};

void buffer_add(struct buffer *b, const char *text, size_t n);
void buffer_puts(struct buffer *b, const char *text);
void buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Gives the text away (caller frees with mem_free), "" when nothing was added;
 * ST_NOMEM when an addition failed. The buffer is empty afterwards. */
enum status buffer_take(struct buffer *b, char **out, struct error *err) MUST_USE;
void buffer_close(struct buffer *b);

#endif
