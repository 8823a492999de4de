#include "serve/http/jsonout.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/raw_text.h"

enum { FIRST = 1024 };

void jsonout_open(struct jsonout *w, struct pad *pad)
{
    *w = (struct jsonout){.pad = pad};
}

static bool room(struct jsonout *w, size_t n)
{
    if (w->failed) return false;
    if (n <= w->max - w->n) return true;
    size_t max = 2 * (w->n + n) + FIRST;
    char *text = pad_take(w->pad, max, 1);
    if (!text) {
        w->failed = true;
        return false;
    }
    if (w->n) memcpy(text, w->text, w->n);
    w->text = text;
    w->max = max;
    return true;
}

void jsonout_raw(struct jsonout *w, const void *bytes, size_t n)
{
    if (!n || !room(w, n)) return;
    memcpy(w->text + w->n, bytes, n);
    w->n += n;
}

static void put(struct jsonout *w, char c)
{
    jsonout_raw(w, &c, 1);
}

static void before_value(struct jsonout *w)
{
    if (w->comma) put(w, ',');
    w->comma = true;
}

void jsonout_begin(struct jsonout *w, char bracket)
{
    before_value(w);
    put(w, bracket);
    w->comma = false;
}

void jsonout_finish(struct jsonout *w, char bracket)
{
    put(w, bracket);
    w->comma = true;
}

static void put_escaped(struct jsonout *w, struct text t)
{
    for (size_t i = 0; i < t.n;) {
        unsigned char c = (unsigned char)t.s[i];
        size_t n = c < 0x80 ? 1 : raw_text_character((struct text){t.s + i, t.n - i});
        char code[8];
        if (!n)
            jsonout_raw(w, "\xEF\xBF\xBD", 3);
        else if (c < 0x20 || c == 0x7F)
            jsonout_raw(w, code, (size_t)snprintf(code, sizeof code, "\\u%04x", c));
        else {
            if (c == '"' || c == '\\') put(w, '\\');
            jsonout_raw(w, t.s + i, n);
        }
        i += n ? n : 1;
    }
}

void jsonout_string(struct jsonout *w, struct text t)
{
    before_value(w);
    put(w, '"');
    put_escaped(w, t);
    put(w, '"');
}

void jsonout_key(struct jsonout *w, const char *key)
{
    jsonout_string(w, raw_text_of(key));
    put(w, ':');
    w->comma = false;
}

void jsonout_word(struct jsonout *w, const char *text)
{
    before_value(w);
    jsonout_raw(w, text, strlen(text));
}

void jsonout_whole(struct jsonout *w, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, v);
    jsonout_word(w, text);
}

void jsonout_float(struct jsonout *w, float v)
{
    char text[32] = "null";
    if (isfinite(v)) snprintf(text, sizeof text, "%.9g", (double)v);
    jsonout_word(w, text);
}

void jsonout_text_of(struct jsonout *w, const char *key, const char *text)
{
    jsonout_key(w, key);
    jsonout_string(w, raw_text_of(text));
}

void jsonout_whole_of(struct jsonout *w, const char *key, uint64_t v)
{
    jsonout_key(w, key);
    jsonout_whole(w, v);
}
