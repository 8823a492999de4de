#include "serve/http/pad.h"

#include <stdbool.h>

#include "common/base/mem.h"

enum { ALIGN = 16, LEAST = 64 << 10 };

struct pad_block {
    struct pad_block *next;
    size_t bytes; /* with this head */
};
_Static_assert(sizeof(struct pad_block) % ALIGN == 0, "what stands behind the head is aligned");

void pad_open(struct pad *p, struct budget *budget)
{
    *p = (struct pad){.budget = budget};
}

static bool charge(struct budget *b, size_t bytes)
{
    size_t used = atomic_fetch_add(&b->used, bytes);
    if (used <= b->max && bytes <= b->max - used) return true;
    atomic_fetch_sub(&b->used, bytes);
    return false;
}

static void free_more(struct pad *p)
{
    while (p->more) {
        struct pad_block *b = p->more;
        p->more = b->next;
        atomic_fetch_sub(&p->budget->used, b->bytes);
        mem_free(b);
    }
}

void pad_close(struct pad *p)
{
    free_more(p);
    mem_free(p->kept);
    *p = (struct pad){.budget = p->budget};
}

static void use(struct pad *p, struct pad_block *b)
{
    p->next = (char *)(b + 1);
    p->left = b->bytes - sizeof *b;
}

static struct pad_block *make(size_t bytes)
{
    struct pad_block *b = mem_alloc(bytes);
    if (b) *b = (struct pad_block){.bytes = bytes};
    return b;
}

/* A block that holds `bytes`. */
static bool grow(struct pad *p, size_t bytes)
{
    bytes += sizeof(struct pad_block);
    if (!p->kept && bytes <= PAD_KEEP) {
        if (!(p->kept = make(PAD_KEEP))) return false;
        use(p, p->kept);
        return true;
    }
    if (bytes < LEAST) bytes = LEAST;
    if (!charge(p->budget, bytes)) return false;
    struct pad_block *b = make(bytes);
    if (!b) {
        atomic_fetch_sub(&p->budget->used, bytes);
        return false;
    }
    b->next = p->more;
    p->more = b;
    use(p, b);
    return true;
}

void *pad_take(struct pad *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || __builtin_add_overflow(bytes, ALIGN - 1 + sizeof(struct pad_block), &bytes))
        return NULL;
    bytes = (bytes - sizeof(struct pad_block)) / ALIGN * ALIGN;
    if (bytes > p->left && !grow(p, bytes)) return NULL;
    void *taken = p->next;
    p->next += bytes;
    p->left -= bytes;
    return taken;
}

void pad_reset(struct pad *p)
{
    free_more(p);
    p->next = NULL;
    p->left = 0;
    if (p->kept) use(p, p->kept);
}
