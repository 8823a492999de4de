#include "data/raw_text.h"

#include <stdio.h>

struct text raw_text_trim(struct text t)
{
    while (t.n && raw_text_is_blank(t.s[0])) t.s++, t.n--;
    while (t.n && raw_text_is_blank(t.s[t.n - 1])) t.n--;
    return t;
}

bool raw_text_in(const struct list_cfg *list, struct text t)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *word = list->v[i];
        if (word[0] != (t.n ? t.s[0] : '\0')) continue; /* nearly always */
        if (strncmp(word, t.s, t.n) == 0 && word[t.n] == '\0') return true;
    }
    return false;
}

size_t raw_text_character(struct text t)
{
    const unsigned char *s = (const unsigned char *)t.s;
    if (t.n == 0) return 0;
    if (s[0] < 0x80) return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || t.n < n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    /* The second byte decides: over-long forms, surrogates, above U+10FFFF. */
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
    if (s[0] == 0xed && s[1] > 0x9f) return 0;
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
    return n;
}

bool raw_text_is_utf8(struct text t)
{
    while (t.n) {
        size_t n = raw_text_character(t);
        if (n == 0) return false;
        t.s += n;
        t.n -= n;
    }
    return true;
}

void raw_text_print(struct text t, size_t columns, char *out, size_t size)
{
    size_t at = 0;
    for (size_t shown = 0; t.n; shown++) {
        if (shown == columns || at + 8 > size) {
            if (at + 4 <= size) at += (size_t)snprintf(out + at, size - at, "...");
            break;
        }
        size_t n = raw_text_character(t);
        unsigned char c = (unsigned char)t.s[0];
        if (n > 1 || (n == 1 && c >= 0x20 && c != 0x7f)) {
            memcpy(out + at, t.s, n);
            at += n;
        } else {
            n = 1;
            at += (size_t)snprintf(out + at, size - at, "\\x%02x", c);
        }
        t.s += n;
        t.n -= n;
    }
    out[at] = '\0';
}
