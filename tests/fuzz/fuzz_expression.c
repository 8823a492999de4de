/* Expressions: any text is parsed or refused; what is parsed gives the same on the same row. */
#include <stdlib.h>
#include <string.h>

#include "data/expr.h"
#include "tests/fuzz/fuzz.h"

enum { ROWS = 6, COLUMNS = 8 };

static bool is_same(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind) return false;
    if (a->kind == VALUE_INT) return a->i == b->i;
    if (a->kind == VALUE_FLOAT) return memcmp(&a->f, &b->f, sizeof a->f) == 0;
    return a->kind != VALUE_STRING || (a->s.n == b->s.n && memcmp(a->s.s, b->s.s, a->s.n) == 0);
}

static void evaluate(const struct expr *e, size_t row, struct expr_scratch *one, struct expr_scratch *two)
{
    static const char *const texts[] = {"21", "", NULL, "-0.5", "a b,c", "9223372036854775807", "1e308", "2022-05-04"};
    struct text columns[COLUMNS];
    struct value a, b;
    struct error err;
    char buf[32];
    for (size_t i = 0; i < COLUMNS; i++) {
        const char *t = texts[(i * 3 + row) % 8];
        columns[i] = (struct text){t, t ? strlen(t) : 0};
    }
    enum status st = expr_eval(e, columns, one, &a, &err);
    FUZZ_CHECK(expr_eval(e, columns, two, &b, &err) == st);
    if (st != ST_OK) return;
    FUZZ_CHECK(is_same(&a, &b));
    (void)value_is_true(&a);
    (void)value_id_text(&a, buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const known[] = {"a", "b", "day", "item id", "tags"};
    char *text = fuzz_text(data, n);
    struct text_cfg cfg = {text, {"fuzz.yaml", 1, 1}};
    struct expr_scratch *one, *two;
    struct error err;
    FUZZ_CHECK(expr_scratch_create(&one, &err) == ST_OK && expr_scratch_create(&two, &err) == ST_OK);
    for (int any = 0; any < 2; any++) {
        struct expr *e;
        if (expr_parse(&cfg, any ? NULL : known, any ? 0 : 5, &e, &err) != ST_OK) continue;
        for (size_t row = 0; row < ROWS && expr_n_columns(e) <= COLUMNS; row++) evaluate(e, row, one, two);
        expr_destroy(e);
    }
    expr_scratch_destroy(one);
    expr_scratch_destroy(two);
    free(text);
    return 0;
}
