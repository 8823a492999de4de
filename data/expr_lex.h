/* The words of an expression. Inside data/expr_*.c only. */
#ifndef MTPS_DATA_EXPR_LEX_H
#define MTPS_DATA_EXPR_LEX_H

#include "common/base/mem.h"
#include "data/expr.h"

enum expr_token_kind {
    TOKEN_END,
    TOKEN_NUMBER,
    TOKEN_STRING,
    TOKEN_NAME,   /* a word */
    TOKEN_QUOTED, /* `a name` */
    TOKEN_SIGN    /* an operator, parenthesis, bracket or comma: text */
};

struct expr_token {
    enum expr_token_kind kind;
    size_t at;        /* offset into the expression */
    struct text text; /* as written; contents of a string or quoted name */
    struct value number;
};

struct expr_lexer {
    const char *text;
    size_t n, at;
    struct arena *arena; /* for strings with escapes */
    const char *problem; /* what is wrong at offset problem_at, or NULL */
    size_t problem_at;
};

/* Read the next word. False: see problem (NULL when out of memory). */
bool expr_lex(struct expr_lexer *l, struct expr_token *out) MUST_USE;
/* Is the token this sign or this bare word? */
bool expr_token_is(const struct expr_token *t, const char *word);

#endif
