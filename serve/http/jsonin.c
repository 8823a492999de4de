#include "serve/http/jsonin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"
#include "data/raw_text.h"

void jsonin_open(struct jsonin *r, char *text, size_t n)
{
    *r = (struct jsonin){.text = text, .n = n};
}

bool jsonin_fault(struct jsonin *r, const char *why)
{
    if (!r->why) r->why = why;
    return false;
}

enum status jsonin_error(const struct jsonin *r, struct error *err)
{
    return error_set(err, ST_DATA, "byte %zu: %s", r->at, r->why);
}

/* The byte that comes next, behind space; 0 at the end (a byte 0 is no JSON either). */
static char next_byte(struct jsonin *r)
{
    const char *t = r->text;
    while (t[r->at] == ' ' || t[r->at] == '\n' || t[r->at] == '\r' || t[r->at] == '\t') r->at++;
    return t[r->at];
}

enum jsonin_kind jsonin_peek(struct jsonin *r)
{
    if (r->why) return JSONIN_NOTHING;
    char c = next_byte(r);
    switch (c) {
    case '{':
        return JSONIN_OBJECT;
    case '[':
        return JSONIN_ARRAY;
    case '"':
        return JSONIN_STRING;
    case 't':
    case 'f':
        return JSONIN_BOOL;
    case 'n':
        return JSONIN_NULL;
    default:
        return c == '-' || (c >= '0' && c <= '9') ? JSONIN_NUMBER : JSONIN_NOTHING;
    }
}

/* Bytes of a word that other programs write for a number that is none; 0: none is there. */
static size_t odd_number_bytes(const char *s)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(s, words[i], strlen(words[i]))) return strlen(words[i]);
    return 0;
}

/* What comes next is none of what may stand here. */
static bool no_value(struct jsonin *r, const char *why)
{
    return jsonin_fault(r, odd_number_bytes(r->text + r->at) ? "NaN and Infinity are no numbers of JSON" : why);
}

static bool expect(struct jsonin *r, enum jsonin_kind kind, const char *why)
{
    return jsonin_peek(r) == kind || no_value(r, why);
}

/* ---- words ---- */

static bool word(struct jsonin *r, const char *w)
{
    size_t n = strlen(w);
    if (r->n - r->at < n || memcmp(r->text + r->at, w, n) != 0) return jsonin_fault(r, "a value is expected");
    r->at += n;
    return true;
}

bool jsonin_null(struct jsonin *r)
{
    return expect(r, JSONIN_NULL, "null is expected") && word(r, "null");
}

bool jsonin_bool(struct jsonin *r, bool *out)
{
    if (!expect(r, JSONIN_BOOL, "true or false is expected")) return false;
    *out = r->text[r->at] == 't';
    return word(r, *out ? "true" : "false");
}

/* ---- numbers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits(const char *s)
{
    size_t n = 0;
    while (is_digit(s[n])) n++;
    return n;
}

/* Bytes of the number at s, 0 when it is none. */
static size_t number_bytes(const char *s, bool *whole)
{
    size_t n = s[0] == '-', k = digits(s + n);
    if (!k || (k > 1 && s[n] == '0')) return 0;
    n += k;
    *whole = true;
    if (s[n] == '.') {
        *whole = false;
        if (!(k = digits(s + n + 1))) return 0;
        n += 1 + k;
    }
    if (s[n] == 'e' || s[n] == 'E') {
        *whole = false;
        size_t sign = s[n + 1] == '+' || s[n + 1] == '-';
        if (!(k = digits(s + n + 1 + sign))) return 0;
        n += 1 + sign + k;
    }
    return n;
}

/* False when it needs more than 63 bits. */
static bool integer_of(struct text t, int64_t *out)
{
    bool minus = t.s[0] == '-';
    int64_t v = 0;
    for (size_t i = minus; i < t.n; i++) {
        int64_t digit = t.s[i] - '0';
        if (__builtin_mul_overflow(v, 10, &v)) return false;
        if (minus ? __builtin_sub_overflow(v, digit, &v) : __builtin_add_overflow(v, digit, &v)) return false;
    }
    *out = v;
    return true;
}

bool jsonin_number(struct jsonin *r, struct jsonin_number *out)
{
    if (!expect(r, JSONIN_NUMBER, "a number is expected")) return false;
    char *s = r->text + r->at;
    bool whole = false;
    size_t n = number_bytes(s, &whole);
    if (!n) return no_value(r, "not a number");
    *out = (struct jsonin_number){.whole = whole, .digits = {s, n}};
    out->fits = whole && integer_of(out->digits, &out->integer);
    out->real = out->fits ? (double)out->integer : strtod(s, NULL);
    if (!isfinite(out->real)) return jsonin_fault(r, "a number that is too large");
    r->at += n;
    return true;
}

/* ---- strings ---- */

static int hex4(const char *s)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int d = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

/* Bytes of the escape at s ("\u" and four digits, perhaps a pair of them), 0 when it is
 * none. Reads up to the first byte that does not fit, and text ends with 0. */
static size_t unicode(const char *s, uint32_t *code)
{
    int high = hex4(s + 2);
    if (high < 0 || (high >= 0xDC00 && high < 0xE000)) return 0;
    *code = (uint32_t)high;
    if (high < 0xD800 || high >= 0xE000) return 6;
    if (s[6] != '\\' || s[7] != 'u') return 0;
    int low = hex4(s + 8);
    if (low < 0xDC00 || low >= 0xE000) return 0;
    *code = 0x10000 + (((uint32_t)high - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    return 12;
}

/* Bytes of the escape at s, 0 when it is none; its character goes to out[4]. */
static size_t escape(const char *s, char *out, size_t *n_out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s[1] == 'u') {
        uint32_t code;
        size_t n = unicode(s, &code);
        *n_out = n ? utf8_put(code, out) : 0;
        return n;
    }
    const char *which = s[1] ? strchr(from, s[1]) : NULL;
    if (!which) return 0;
    out[0] = to[which - from];
    *n_out = 1;
    return 2;
}

/* Over a string; its decoded bytes go to `to` unless that is NULL. */
static bool string(struct jsonin *r, char *to, size_t *n_to)
{
    char *s = r->text, c[4];
    size_t at = r->at + 1, n = 0, k;
    for (;; at += k) {
        size_t run = at;
        while ((unsigned char)(s[at] - 0x20) < 0x60 && s[at] != '"' && s[at] != '\\') at++;
        if (to && to + n != s + run) memmove(to + n, s + run, at - run);
        n += at - run;
        if (s[at] == '"') break;
        r->at = at;
        size_t n_c;
        if (s[at] == '\\') {
            if (!(k = escape(s + at, c, &n_c))) return jsonin_fault(r, "not an escape of JSON");
        } else {
            if (at >= r->n) return jsonin_fault(r, "the text ends inside of a string");
            if ((unsigned char)s[at] < 0x20) return jsonin_fault(r, "a control character in a string");
            if (!(k = n_c = raw_text_character((struct text){s + at, r->n - at})))
                return jsonin_fault(r, "not UTF-8");
            memcpy(c, s + at, k);
        }
        if (to) memcpy(to + n, c, n_c);
        n += n_c;
    }
    *n_to = n;
    r->at = at + 1;
    return true;
}

bool jsonin_string(struct jsonin *r, struct text *out)
{
    if (!expect(r, JSONIN_STRING, "a string is expected")) return false;
    char *to = r->text + r->at + 1;
    size_t n;
    if (!string(r, to, &n)) return false;
    *out = (struct text){to, n};
    return true;
}

/* ---- arrays and objects ---- */

static bool enter(struct jsonin *r)
{
    if (r->depth == JSONIN_DEPTH) return jsonin_fault(r, "more than 16 levels");
    r->begun &= ~(UINT32_C(1) << r->depth);
    r->depth++;
    r->at++;
    return true;
}

/* Is there another element before `close`? */
static bool more(struct jsonin *r, char close, const char *why)
{
    if (r->why) return false;
    uint32_t bit = UINT32_C(1) << (r->depth - 1);
    char c = next_byte(r);
    if (c == close) {
        r->at++;
        r->depth--;
        return false;
    }
    if (r->begun & bit) {
        if (c != ',') return jsonin_fault(r, why);
        r->at++;
    }
    r->begun |= bit;
    return true;
}

bool jsonin_object(struct jsonin *r)
{
    return expect(r, JSONIN_OBJECT, "an object is expected") && enter(r);
}

static bool colon(struct jsonin *r)
{
    if (next_byte(r) != ':') return jsonin_fault(r, "':' is expected");
    r->at++;
    return true;
}

bool jsonin_key(struct jsonin *r, struct text *key)
{
    return more(r, '}', "',' or '}' is expected") && jsonin_string(r, key) && colon(r);
}

bool jsonin_array(struct jsonin *r)
{
    return expect(r, JSONIN_ARRAY, "an array is expected") && enter(r);
}

bool jsonin_item(struct jsonin *r)
{
    return more(r, ']', "',' or ']' is expected");
}

/* ---- skipping ---- */

static bool skip_object(struct jsonin *r)
{
    size_t n;
    if (!enter(r)) return false;
    while (more(r, '}', "',' or '}' is expected"))
        if (!expect(r, JSONIN_STRING, "a string is expected") || !string(r, NULL, &n) || !colon(r) ||
            !jsonin_skip(r))
            return false;
    return !r->why;
}

static bool skip_array(struct jsonin *r)
{
    if (!enter(r)) return false;
    while (jsonin_item(r))
        if (!jsonin_skip(r)) return false;
    return !r->why;
}

static bool skip_unread_number(struct jsonin *r)
{
    const char *s = r->text + r->at;
    bool whole;
    size_t n = number_bytes(s, &whole);
    if (!n) n = odd_number_bytes(s);
    r->at += n;
    return n || jsonin_fault(r, "a value is expected");
}

/* Calls itself at most JSONIN_DEPTH deep. */
bool jsonin_skip(struct jsonin *r)
{
    struct jsonin_number number;
    size_t n;
    bool yes;
    switch (jsonin_peek(r)) {
    case JSONIN_OBJECT:
        return skip_object(r);
    case JSONIN_ARRAY:
        return skip_array(r);
    case JSONIN_STRING:
        return string(r, NULL, &n);
    case JSONIN_NUMBER:
        return r->unread ? skip_unread_number(r) : jsonin_number(r, &number);
    case JSONIN_BOOL:
        return jsonin_bool(r, &yes);
    case JSONIN_NULL:
        return jsonin_null(r);
    default:
        return r->unread && !r->why ? skip_unread_number(r) : no_value(r, "a value is expected");
    }
}

bool jsonin_skip_unread(struct jsonin *r)
{
    r->unread = true;
    bool ok = jsonin_skip(r);
    r->unread = false;
    return ok;
}

bool jsonin_end(struct jsonin *r)
{
    if (r->why) return false;
    next_byte(r);
    return r->at == r->n || jsonin_fault(r, "something stands behind the value");
}
