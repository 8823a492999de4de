#include "data/guess_text.h"

#include <ctype.h>
#include <string.h>

#include "data/raw_text.h"

size_t text_column(const struct buffer *b)
{
    size_t n = 0;
    while (n < b->n && b->text[b->n - n - 1] != '\n') n++;
    return n;
}

static bool is_plain(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes",
                                        "no",   "on",   "off"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(text, words[i])) return false;
    if (!isalnum((unsigned char)text[0]) && text[0] != '_' && text[0] != '/')
        return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_./-", *c)) return false;
    return true;
}

void text_scalar(struct buffer *b, const char *text)
{
    if (is_plain(text)) {
        buffer_puts(b, text);
        return;
    }
    /* Single quotes keep an expression's double ones readable. */
    bool control = false;
    for (const char *c = text; *c; c++) control |= (unsigned char)*c < ' ' || *c == 0x7f;
    bool single = !control && strchr(text, '"');
    buffer_puts(b, single ? "'" : "\"");
    for (const char *c = text; *c; c++) {
        if (single && *c == '\'') buffer_puts(b, "'");
        if (!single && (*c == '"' || *c == '\\')) buffer_puts(b, "\\");
        if (c[0] == '$' && c[1] == '{') buffer_puts(b, "$");
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            buffer_printf(b, "\\x%02x", (unsigned)(unsigned char)*c);
        else
            buffer_add(b, c, 1);
    }
    buffer_puts(b, single ? "'" : "\"");
}

void text_list(struct buffer *b, const char *const *v, size_t n, size_t indent)
{
    buffer_puts(b, "[");
    for (size_t i = 0; i < n; i++) {
        struct buffer one = {0};
        text_scalar(&one, v[i]);
        b->failed |= one.failed;
        if (i && text_column(b) + 2 + one.n + 2 > TEXT_WIDTH)
            buffer_printf(b, ",\n%*s", (int)indent, "");
        else if (i)
            buffer_puts(b, ", ");
        buffer_add(b, one.text ? one.text : "", one.n);
        buffer_close(&one);
    }
    buffer_puts(b, "]");
}

static void add_clean(struct buffer *b, struct text t)
{
    while (t.n) {
        size_t n = raw_text_character(t);
        bool shown = n && (unsigned char)t.s[0] >= ' ' && t.s[0] != 0x7f;
        buffer_add(b, shown ? t.s : "?", shown ? n : 1);
        t.s += n ? n : 1;
        t.n -= n ? n : 1;
    }
}

void text_clean(struct buffer *b, const char *text)
{
    add_clean(b, raw_text_of(text));
}

void text_comment(struct buffer *b, size_t indent, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (!column || column + 1 + n > TEXT_WIDTH) {
            buffer_printf(b, "%s%*s#", column ? "\n" : "", (int)indent, "");
            column = indent + 1;
        }
        buffer_puts(b, " ");
        add_clean(b, (struct text){text, n});
        column += 1 + n;
        text += n;
        while (*text == ' ') text++;
    }
    buffer_puts(b, "\n");
}
