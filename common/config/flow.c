#include "common/config/flow.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"

/* Keys of a mapping are compared with those before: 6,000 in one mapping. */
enum { MAX_COMPARED = 20000000 };

struct flow {
    struct arena *arena;
    const char *text, *name;
    size_t n, at, n_nodes;
    size_t n_compared; /* keys, to find those that stand twice */
    struct error *err;
};

static enum status fail(struct flow *f, const char *what)
{
    return error_set(f->err, ST_USAGE, "%s: byte %zu: %s", f->name, f->at, what);
}

static enum status no_memory(struct flow *f)
{
    return mem_error(f->err, f->name, f->n);
}

static void skip_blanks(struct flow *f)
{
    while (f->at < f->n && strchr(" \t\r\n", f->text[f->at]) && f->text[f->at]) f->at++;
}

static bool is_next(struct flow *f, char c)
{
    skip_blanks(f);
    return f->at < f->n && f->text[f->at] == c;
}

static struct origin origin_of(const struct flow *f)
{
    return (struct origin){f->name, 0, 0};
}

/* ---- strings ---- */

static bool hex(struct flow *f, size_t digits, unsigned *out)
{
    *out = 0;
    for (size_t i = 0; i < digits; i++, f->at++) {
        if (f->at >= f->n || !isxdigit((unsigned char)f->text[f->at])) return false;
        char c = f->text[f->at];
        *out = *out << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return true;
}

/* Behind \u: four digits, or a pair of surrogates. */
static enum status unicode(struct flow *f, char *out, size_t *n)
{
    unsigned c, low;
    if (!hex(f, 4, &c)) return fail(f, "four hexadecimal digits are expected behind \\u");
    if (c >= 0xd800 && c < 0xe000) {
        bool pair = c < 0xdc00 && f->at + 2 <= f->n && !memcmp(f->text + f->at, "\\u", 2);
        if (pair) f->at += 2;
        if (!pair || !hex(f, 4, &low) || low < 0xdc00 || low > 0xdfff)
            return fail(f, "half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (!c) return fail(f, "a character 0");
    *n = utf8_put(c, out);
    return ST_OK;
}

static enum status escape(struct flow *f, char *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = f->at < f->n ? f->text[f->at++] : '\0';
    const char *known = c ? strchr(from, c) : NULL;
    *n = 1;
    if (c == 'u') return unicode(f, out, n);
    if (c == 'x') {
        unsigned byte;
        if (!hex(f, 2, &byte) || !byte) return fail(f, "two hexadecimal digits are expected behind \\x");
        out[0] = (char)byte;
        return ST_OK;
    }
    if (!known) return fail(f, "unknown escape");
    out[0] = to[known - from];
    return ST_OK;
}

static size_t string_bytes(const struct flow *f)
{
    size_t end = f->at;
    while (end < f->n && f->text[end] != '"') end += f->text[end] == '\\' ? 2 : 1;
    return end - f->at;
}

static enum status quoted(struct flow *f, struct node **out)
{
    f->at++;
    /* What an escape stands for is never longer than the escape. */
    char *text = arena_take(f->arena, string_bytes(f) + 4, 1);
    if (!text) return no_memory(f);
    size_t n = 0;
    for (;;) {
        if (f->at >= f->n) return fail(f, "the text ends inside quotes");
        char c = f->text[f->at++];
        if (c == '"') break;
        if (!c) return fail(f, "a character 0");
        size_t more = 1;
        if (c == '\\')
            TRY(escape(f, text + n, &more));
        else
            text[n] = c;
        n += more;
    }
    *out = arena_take(f->arena, 1, sizeof **out);
    if (!*out) return no_memory(f);
    **out = (struct node){.kind = NODE_SCALAR, .text = text, .at = origin_of(f)};
    return ST_OK;
}

/* ---- values ---- */

static enum status word(struct flow *f, bool key, struct node **out)
{
    size_t first = f->at;
    while (f->at < f->n && f->text[f->at] && !strchr(",[]{}\"\n", f->text[f->at]) &&
           !(key && f->text[f->at] == ':'))
        f->at++;
    size_t n = f->at - first;
    while (n && isspace((unsigned char)f->text[first + n - 1])) n--;
    if (!n) return fail(f, "a value is expected");
    *out = node_scalar(f->arena, f->text + first, n, true, origin_of(f));
    return *out ? ST_OK : no_memory(f);
}

static enum status value(struct flow *f, size_t depth, struct node **out);

static enum status member(struct flow *f, size_t depth, struct node *map)
{
    struct node *key, *item;
    TRY(is_next(f, '"') ? quoted(f, &key) : word(f, true, &key));
    if (!is_next(f, ':')) return fail(f, "':' is expected");
    f->at++;
    f->n_compared += map->n;
    if (f->n_compared > MAX_COMPARED) return fail(f, "more keys than are accepted");
    if (node_find(map, key->text) < map->n) return fail(f, "a key stands twice");
    TRY(value(f, depth, &item));
    return node_append(f->arena, map, key, item) ? ST_OK : no_memory(f);
}

static enum status element(struct flow *f, size_t depth, struct node *list)
{
    struct node *item;
    TRY(value(f, depth, &item));
    return node_append(f->arena, list, NULL, item) ? ST_OK : no_memory(f);
}

static enum status collection(struct flow *f, size_t depth, struct node **out)
{
    bool map = f->text[f->at++] == '{';
    char end = map ? '}' : ']';
    *out = map ? node_map(f->arena, origin_of(f)) : node_list(f->arena, origin_of(f));
    if (!*out) return no_memory(f);
    if (is_next(f, end)) {
        f->at++;
        return ST_OK;
    }
    for (;;) {
        TRY(map ? member(f, depth, *out) : element(f, depth, *out));
        if (is_next(f, end)) {
            f->at++;
            return ST_OK;
        }
        if (!is_next(f, ',')) return fail(f, map ? "',' or '}' is expected" : "',' or ']' is expected");
        f->at++;
    }
}

static enum status value(struct flow *f, size_t depth, struct node **out)
{
    skip_blanks(f);
    if (f->at >= f->n) return fail(f, "a value is expected");
    if (++f->n_nodes > FLOW_MAX_NODES) return fail(f, "more values than are accepted");
    char c = f->text[f->at];
    if (c == '"') return quoted(f, out);
    if (c != '[' && c != '{') return word(f, false, out);
    if (depth == FLOW_MAX_DEPTH) return fail(f, "nested too deep");
    return collection(f, depth + 1, out);
}

enum status flow_parse(struct arena *a, const char *text, size_t n, const char *name,
                       struct node **out, struct error *err)
{
    struct flow f = {.arena = a, .text = text, .name = name, .n = n, .err = err};
    TRY(value(&f, 0, out));
    skip_blanks(&f);
    return f.at == n ? ST_OK : fail(&f, "nothing is expected behind the value");
}

/* ---- writing ---- */

void flow_put_string(struct buffer *out, const char *text)
{
    buffer_puts(out, "\"");
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buffer_printf(out, "\\%c", *c);
        else if ((unsigned char)*c < ' ')
            buffer_printf(out, "\\u%04x", (unsigned)*c);
        else
            buffer_add(out, c, 1);
    }
    buffer_puts(out, "\"");
}

/* Plain words are written plain unless they would read as something else. */
static bool fits_plain(const char *text)
{
    size_t n = strlen(text);
    if (!n || isspace((unsigned char)text[0]) || isspace((unsigned char)text[n - 1])) return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_-+./% ~", *c)) return false;
    return true;
}

static void put_scalar(struct buffer *out, const struct node *node)
{
    if (node->plain && fits_plain(node->text))
        buffer_puts(out, node->text);
    else if (node->plain && !*node->text)
        buffer_puts(out, "~");
    else
        flow_put_string(out, node->text);
}

void flow_put(struct buffer *out, const struct node *node)
{
    if (node->kind == NODE_SCALAR) {
        put_scalar(out, node);
        return;
    }
    bool map = node->kind == NODE_MAP;
    buffer_puts(out, map ? "{" : "[");
    for (size_t i = 0; i < node->n; i++) {
        if (i) buffer_puts(out, ", ");
        if (map) {
            put_scalar(out, node->keys[i]);
            buffer_puts(out, ": ");
        }
        flow_put(out, node->items[i]);
    }
    buffer_puts(out, map ? "}" : "]");
}
