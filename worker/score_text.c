#include "worker/score_text.h"

#include <math.h>
#include <string.h>

#include "data/raw_text.h"

static bool has(struct text t, char c)
{
    return t.n && memchr(t.s, c, t.n) != NULL;
}

static char separator_of(const struct score_text *t)
{
    return t->format == SCORE_TSV ? '\t' : ',';
}

static void put_quoted(struct score_text *t, struct text v)
{
    if (!has(v, separator_of(t)) && !has(v, '"') && !has(v, '\n') && !has(v, '\r')) {
        fwrite(v.s, 1, v.n, t->file);
        return;
    }
    putc('"', t->file);
    for (size_t i = 0; i < v.n; i++) {
        if (v.s[i] == '"') putc('"', t->file);
        putc(v.s[i], t->file);
    }
    putc('"', t->file);
}

static void put_json(struct score_text *t, struct text v)
{
    putc('"', t->file);
    for (size_t i = 0; i < v.n;) {
        size_t n = raw_text_character((struct text){v.s + i, v.n - i});
        unsigned char c = (unsigned char)v.s[i];
        if (!n) {
            fputs("\xEF\xBF\xBD", t->file);
            t->not_utf8 = true;
        } else if (c < 0x20 || c == 0x7F) {
            fprintf(t->file, "\\u%04x", c);
        } else {
            if (c == '"' || c == '\\') putc('\\', t->file);
            fwrite(v.s + i, 1, n, t->file);
        }
        i += n ? n : 1;
    }
    putc('"', t->file);
}

/* What stands in front of a field. */
static void begin(struct score_text *t, const char *name)
{
    bool json = t->format == SCORE_JSONL;
    if (t->begun)
        putc(separator_of(t), t->file);
    else if (json)
        putc('{', t->file);
    t->begun = true;
    if (!json) return;
    put_json(t, raw_text_of(name));
    putc(':', t->file);
}

void score_text_name(struct score_text *t, const char *name)
{
    if (t->format == SCORE_JSONL) return;
    begin(t, name);
    put_quoted(t, raw_text_of(name));
}

void score_text_field(struct score_text *t, const char *name, struct text value)
{
    begin(t, name);
    if (t->format == SCORE_JSONL)
        put_json(t, value);
    else
        put_quoted(t, value);
}

static void put_value(struct score_text *t, float value)
{
    if (isfinite(value))
        fprintf(t->file, "%.9g", (double)value);
    else if (t->format == SCORE_JSONL)
        fputs("null", t->file);
}

void score_text_value(struct score_text *t, const char *name, float value)
{
    begin(t, name);
    put_value(t, value);
}

void score_text_vector_name(struct score_text *t, const char *name, size_t n)
{
    char column[512]; /* a task's name has 255 bytes at most */
    for (size_t i = 0; i < n && t->format != SCORE_JSONL; i++) {
        snprintf(column, sizeof column, "%s_%zu", name, i);
        score_text_name(t, column);
    }
}

void score_text_vector(struct score_text *t, const char *name, const float *v, size_t n)
{
    if (t->format == SCORE_JSONL) {
        begin(t, name);
        putc('[', t->file);
    }
    for (size_t i = 0; i < n; i++) {
        if (t->format != SCORE_JSONL)
            begin(t, name);
        else if (i > 0)
            putc(',', t->file);
        put_value(t, v[i]);
    }
    if (t->format == SCORE_JSONL) putc(']', t->file);
}

void score_text_end(struct score_text *t)
{
    if (!t->begun) return; /* the header line of jsonl */
    fputs(t->format == SCORE_JSONL ? "}\n" : "\n", t->file);
    t->begun = false;
}
