/* Functions on strings, and the memory they take while evaluating. Characters
 * are those of UTF-8; a byte that belongs to none counts as one. */
#include <string.h>

#include "common/base/hash.h"
#include "data/expr_code.h"
#include "data/raw_text.h"

enum { FIRST_BLOCK = 4096 };

/* Blocks are kept from one evaluation to the next; a new one is larger than all
 * before it together, so that a steady state has one block. */
struct block {
    struct block *older;
    size_t size, used;
    char bytes[];
};

struct expr_scratch {
    struct block *newest;
    struct expr_cell stack[1 + EXPR_STACK]; /* the first is below the lowest value */
};

enum status expr_scratch_create(struct expr_scratch **out, struct error *err)
{
    struct expr_scratch *s = mem_alloc(sizeof *s);
    if (!s) return mem_error(err, "expression", sizeof *s);
    s->newest = NULL;
    *out = s;
    return ST_OK;
}

static void free_blocks(struct block *b)
{
    while (b) {
        struct block *older = b->older;
        mem_free(b);
        b = older;
    }
}

void expr_scratch_destroy(struct expr_scratch *s)
{
    if (!s) return;
    free_blocks(s->newest);
    mem_free(s);
}

struct expr_cell *expr_text_stack(struct expr_scratch *s)
{
    return s->stack + 1;
}

void expr_text_reset(struct expr_scratch *s)
{
    if (!s->newest) return;
    free_blocks(s->newest->older);
    s->newest->older = NULL;
    s->newest->used = 0;
}

char *expr_text_take(struct expr_scratch *s, size_t n)
{
    struct block *b = s->newest;
    if (!b || b->size - b->used < n) {
        size_t size = b ? 2 * b->size : FIRST_BLOCK;
        if (size < n) size = n;
        struct block *more = mem_alloc(sizeof *more + size);
        if (!more) return NULL;
        *more = (struct block){.older = b, .size = size};
        s->newest = b = more;
    }
    char *p = b->bytes + b->used;
    b->used += n;
    return p;
}

bool expr_text_concat(struct expr_scratch *s, const struct expr_cell *args, size_t n,
                      struct expr_cell *out)
{
    enum { NUMBER = 32 };
    size_t room = 0;
    for (size_t i = 0; i < n; i++)
        room += args[i].kind == VALUE_STRING ? args[i].n : NUMBER;
    char *to = expr_text_take(s, room), *at = to;
    if (!to) return false;
    for (size_t i = 0; i < n; i++) {
        char buf[NUMBER];
        struct value v = expr_cell_value(&args[i]);
        struct text t = value_id_text(&v, buf);
        memcpy(at, t.s, t.n);
        at += t.n;
    }
    *out = expr_cell_string(to, (size_t)(at - to));
    return true;
}

bool expr_text_lower(struct expr_scratch *s, const struct expr_cell *arg,
                     struct expr_cell *out)
{
    char *to = expr_text_take(s, arg->n);
    if (!to) return false;
    for (size_t i = 0; i < arg->n; i++) {
        char c = arg->u.s[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    *out = expr_cell_string(to, arg->n);
    return true;
}

static struct text text_of(const struct expr_cell *c)
{
    return (struct text){c->u.s, c->n};
}

/* First place of `part`, or NULL; an empty part is nowhere. */
static const char *find(struct text t, struct text part)
{
    if (part.n == 0 || t.n < part.n) return NULL;
    if (part.n == 1) return memchr(t.s, part.s[0], t.n);
    return memmem(t.s, t.n, part.s, part.n);
}

static size_t count_items(struct text t, struct text separator)
{
    size_t n = t.n > 0;
    for (const char *hit; (hit = find(t, separator)); n++) {
        const char *end = t.s + t.n;
        t.s = hit + separator.n;
        t.n = (size_t)(end - t.s);
    }
    return n;
}

struct expr_cell expr_text_n_items(const struct expr_cell *args)
{
    return expr_cell_int((int64_t)count_items(text_of(&args[0]), text_of(&args[1])));
}

/* A whole number as a place; false when it is none. */
static bool whole(const struct expr_cell *c, int64_t *out)
{
    struct expr_cell w = c->kind == VALUE_INT ? *c : expr_cell_whole(c->u.f);
    if (w.kind != VALUE_INT || expr_cell_compare(&w, c) != 0) return false;
    *out = w.u.i;
    return true;
}

struct expr_cell expr_text_item(const struct expr_cell *args)
{
    struct text t = text_of(&args[0]), separator = text_of(&args[1]);
    int64_t k;
    if (!whole(&args[2], &k)) return expr_cell_missing();
    if (k < 0) k += (int64_t)count_items(t, separator);
    if (k < 0 || t.n == 0) return expr_cell_missing();
    for (;; k--) {
        const char *hit = find(t, separator);
        if (k == 0) return expr_cell_string(t.s, hit ? (size_t)(hit - t.s) : t.n);
        if (!hit) return expr_cell_missing();
        const char *end = t.s + t.n;
        t.s = hit + separator.n;
        t.n = (size_t)(end - t.s);
    }
}

struct expr_cell expr_text_contains(const struct expr_cell *args)
{
    struct text part = text_of(&args[1]);
    return expr_cell_int(part.n == 0 || find(text_of(&args[0]), part) != NULL);
}

/* The text behind its first n characters. */
static struct text skip_characters(struct text t, int64_t n)
{
    while (n > 0 && t.n) {
        size_t bytes = raw_text_character(t);
        if (bytes == 0) bytes = 1;
        t.s += bytes;
        t.n -= bytes;
        n--;
    }
    return t;
}

static int64_t count_characters(struct text t)
{
    int64_t n = 0;
    for (; t.n; n++) t = skip_characters(t, 1);
    return n;
}

struct expr_cell expr_text_substr(const struct expr_cell *args, size_t n)
{
    struct text t = text_of(&args[0]);
    int64_t start, length = INT64_MAX;
    if (!whole(&args[1], &start)) return expr_cell_missing();
    if (n == 3 && !whole(&args[2], &length)) return expr_cell_missing();
    if (start < 0) start += count_characters(t);
    t = skip_characters(t, start);
    struct text rest = skip_characters(t, length);
    return expr_cell_string(t.s, t.n - rest.n);
}

struct expr_cell expr_text_hash(const struct expr_cell *arg)
{
    char buf[32];
    struct value v = expr_cell_value(arg);
    struct text t = value_id_text(&v, buf);
    return expr_cell_int((int64_t)(hash_id(t.s, t.n) >> 1));
}
