/* Memory of one request: taken piece by piece, given back all at once. A first block is
 * kept for the next request, so that small requests allocate nothing. What goes beyond is
 * counted in a budget that all requests share: many large ones cannot take the machine's
 * memory. A pad is used by one thread at a time. */
#ifndef MTPS_SERVE_HTTP_PAD_H
#define MTPS_SERVE_HTTP_PAD_H

#include <stdatomic.h>
#include <stddef.h>

#include "common/base/compiler.h"

enum { PAD_KEEP = 16 << 10 };

struct budget {
    _Atomic size_t used;
    size_t max;
};

struct pad_block;
struct pad {
    struct budget *budget;
    struct pad_block *kept, *more;
    char *next;
    size_t left;
};

void pad_open(struct pad *p, struct budget *budget);
void pad_close(struct pad *p);
/* n * size bytes, 16-byte aligned, of any contents. NULL: over the budget, or no memory. */
void *pad_take(struct pad *p, size_t n, size_t size) MUST_USE;
/* Everything that was taken is void. */
void pad_reset(struct pad *p);

#endif
