#include "data/expr_lex.h"

#include <string.h>

#include "data/raw_text.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Letters beyond ASCII belong to names. */
static bool starts_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool fail(struct expr_lexer *l, size_t at, const char *problem)
{
    l->problem = problem;
    l->problem_at = at;
    return false;
}

static char peek(const struct expr_lexer *l, size_t ahead)
{
    return l->at + ahead < l->n ? l->text[l->at + ahead] : '\0';
}

static void skip_digits(struct expr_lexer *l)
{
    while (is_digit(peek(l, 0))) l->at++;
}

static bool lex_number(struct expr_lexer *l, struct expr_token *t)
{
    skip_digits(l);
    if (peek(l, 0) == '.') {
        l->at++;
        skip_digits(l);
    }
    char e = peek(l, 0), sign = peek(l, 1);
    if ((e == 'e' || e == 'E') &&
        (is_digit(sign) || ((sign == '-' || sign == '+') && is_digit(peek(l, 2))))) {
        l->at += 2;
        skip_digits(l);
    }
    t->kind = TOKEN_NUMBER;
    t->text = (struct text){l->text + t->at, l->at - t->at};
    if (starts_name(peek(l, 0)))
        return fail(l, t->at, "a name starts with a digit: put it in back quotes");
    if (!text_number(t->text, &t->number))
        return fail(l, t->at, "the number is too large");
    return true;
}

static char escaped(char c)
{
    switch (c) {
    case 't':
        return '\t';
    case 'n':
        return '\n';
    case '\\':
    case '\'':
    case '"':
        return c;
    default:
        return '\0';
    }
}

/* Offset of the closing quote, or n. */
static size_t find_end(const struct expr_lexer *l, size_t at, char quote)
{
    while (at < l->n && l->text[at] != quote)
        at += l->text[at] == '\\' && quote != '`' ? 2 : 1;
    return at < l->n ? at : l->n;
}

/* A string in ' or ", or a name in back quotes, which knows no escapes. */
static bool lex_quoted(struct expr_lexer *l, struct expr_token *t)
{
    char quote = l->text[l->at++];
    size_t end = find_end(l, l->at, quote), n = 0;
    if (end == l->n)
        return fail(l, t->at,
                    quote == '`' ? "the back quote is never closed"
                                 : "the quote is never closed");
    char *to = arena_take(l->arena, end - l->at + 1, 1);
    if (!to) return fail(l, t->at, NULL);
    for (; l->at < end; l->at++) {
        char c = peek(l, 0);
        if (c == '\\' && quote != '`') {
            c = escaped(peek(l, 1));
            if (!c)
                return fail(l, l->at, "unknown escape: there are \\\\ \\' \\\" \\t \\n");
            l->at++;
        }
        to[n++] = c;
    }
    l->at++;
    t->kind = quote == '`' ? TOKEN_QUOTED : TOKEN_STRING;
    t->text = (struct text){to, n};
    if (quote == '`' && n == 0) return fail(l, t->at, "a name is empty");
    return true;
}

static bool lex_sign(struct expr_lexer *l, struct expr_token *t)
{
    static const struct {
        char text[3];
        const char *problem;
    } signs[] = {
        {"==", NULL},
        {"!=", NULL},
        {"<=", NULL},
        {">=", NULL},
        {"&&", "write 'and'"},
        {"||", "write 'or'"},
        {"<>", "write '!='"},
        {"**", "there is no power: write exp(y * log(x))"},
        {"//", "write floor(x / y)"},
        {"+", NULL},
        {"-", NULL},
        {"*", NULL},
        {"/", NULL},
        {"%", NULL},
        {"<", NULL},
        {">", NULL},
        {"(", NULL},
        {")", NULL},
        {"[", NULL},
        {"]", NULL},
        {",", NULL},
        {"=", "one '=' is no comparison: write '=='"},
        {"!", "write 'not'"},
    };
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t n = strlen(signs[i].text);
        if (l->n - l->at < n || memcmp(l->text + l->at, signs[i].text, n) != 0) continue;
        if (signs[i].problem) return fail(l, t->at, signs[i].problem);
        t->kind = TOKEN_SIGN;
        t->text = (struct text){l->text + l->at, n};
        l->at += n;
        return true;
    }
    return fail(l, t->at, "a character that means nothing here");
}

bool expr_lex(struct expr_lexer *l, struct expr_token *t)
{
    while (l->at < l->n && (raw_text_is_blank(l->text[l->at]) || l->text[l->at] == '\n' ||
                            l->text[l->at] == '\r'))
        l->at++;
    *t = (struct expr_token){.kind = TOKEN_END, .at = l->at};
    if (l->at == l->n) return true;
    char c = l->text[l->at];
    if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) return lex_number(l, t);
    if (c == '\'' || c == '"' || c == '`') return lex_quoted(l, t);
    if (!starts_name(c)) return lex_sign(l, t);
    while (starts_name(peek(l, 0)) || is_digit(peek(l, 0))) l->at++;
    t->kind = TOKEN_NAME;
    t->text = (struct text){l->text + t->at, l->at - t->at};
    return true;
}

bool expr_token_is(const struct expr_token *t, const char *word)
{
    if (t->kind != TOKEN_NAME && t->kind != TOKEN_SIGN) return false;
    return raw_text_equal(t->text, raw_text_of(word));
}
