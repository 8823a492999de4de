/* Text -> expression, in one pass by recursive descent (nesting is limited):
 *
 *   or:       and { "or" and }
 *   and:      not { "and" not }
 *   not:      "not" not | comparison
 *   compare:  sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=") sum | ["not"] "in" list ]
 *   sum:      product { ("+" | "-") product }
 *   product:  unary { ("*" | "/" | "%") unary }
 *   unary:    "-" unary | primary
 *   primary:  number | string | name | `name` | name "(" ... ")" | "(" or ")"
 *   list:     "[" constant { "," constant } "]" */
#include <stdio.h>
#include <string.h>

#include "common/config/nearest.h"
#include "data/expr_build.h"
#include "data/expr_lex.h"
#include "data/raw_text.h"

struct parser {
    const struct text_cfg *cfg;
    const char *const *known;
    size_t n_known;
    struct expr_lexer lexer;
    struct expr_token now; /* the word looked at */
    struct expr_build build;
    struct arena *arena;
    size_t nesting;
    struct error *err;
    enum status status; /* of the failure that made a function give false */
};

/* A function. args: n number, s string, a either, t a time (either), v a value of
 * the type of the result; * any more of the one before; ? what follows may be left
 * out. */
static const struct function {
    const char *name, *args;
    enum expr_type result;
    enum expr_op op;
} functions[] = {
    {"abs", "n", TYPE_NUMBER, OP_ABS},
    {"floor", "n", TYPE_NUMBER, OP_FLOOR},
    {"ceil", "n", TYPE_NUMBER, OP_CEIL},
    {"round", "n", TYPE_NUMBER, OP_ROUND},
    {"sqrt", "n", TYPE_NUMBER, OP_SQRT},
    {"exp", "n", TYPE_NUMBER, OP_EXP},
    {"log", "n", TYPE_NUMBER, OP_LOG},
    {"log2", "n", TYPE_NUMBER, OP_LOG2},
    {"log1p", "n", TYPE_NUMBER, OP_LOG1P},
    {"min", "nn*", TYPE_NUMBER, OP_MIN},
    {"max", "nn*", TYPE_NUMBER, OP_MAX},
    {"clip", "nnn", TYPE_NUMBER, OP_CLIP},
    {"if", "nvv", TYPE_OPEN, OP_IF},
    {"coalesce", "vv*", TYPE_OPEN, OP_COALESCE},
    {"is_missing", "a", TYPE_NUMBER, OP_IS_MISSING},
    {"n_items", "ss", TYPE_NUMBER, OP_N_ITEMS},
    {"item", "ssn", TYPE_STRING, OP_ITEM},
    {"contains", "ss", TYPE_NUMBER, OP_CONTAINS},
    {"concat", "a*", TYPE_STRING, OP_CONCAT},
    {"lower", "s", TYPE_STRING, OP_LOWER},
    {"substr", "sn?n", TYPE_STRING, OP_SUBSTR},
    {"hash", "a", TYPE_NUMBER, OP_HASH},
    {"hour", "t?n", TYPE_NUMBER, OP_HOUR},
    {"weekday", "t?n", TYPE_NUMBER, OP_WEEKDAY},
    {"date", "t?n", TYPE_NUMBER, OP_DATE},
};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

/* ---- failing ---- */

/* Characters up to a byte offset, from 1. */
static size_t column_of(const struct parser *p, size_t at)
{
    size_t column = 1;
    for (size_t i = 0; i < at; i++)
        column += ((unsigned char)p->cfg->text[i] & 0xc0) != 0x80;
    return column;
}

static bool fail(struct parser *p, size_t at, const char *what)
{
    const struct origin *o = &p->cfg->at;
    char place[64] = "", shown[400];
    if (o->line) snprintf(place, sizeof place, ":%u:%u", o->line, o->column);
    raw_text_print(raw_text_of(p->cfg->text), 120, shown, sizeof shown);
    p->status =
        error_set(p->err, ST_USAGE, "%s%s: in expression '%s' at column %zu: %s",
                  o->file ? o->file : "expression", place, shown, column_of(p, at), what);
    return false;
}

static bool fail_memory(struct parser *p)
{
    p->status = mem_error(p->err, "expression", strlen(p->cfg->text));
    return false;
}

/* "'foo'" of a word, cut when it is long. */
static const char *shown(struct text t, char out[80])
{
    char word[76];
    raw_text_print(t, 40, word, sizeof word);
    snprintf(out, 80, "'%s'", word);
    return out;
}

static bool advance(struct parser *p)
{
    if (expr_lex(&p->lexer, &p->now)) return true;
    if (!p->lexer.problem) return fail_memory(p);
    return fail(p, p->lexer.problem_at, p->lexer.problem);
}

static bool unexpected(struct parser *p, const char *wanted)
{
    char what[200], word[80];
    snprintf(what, sizeof what, "%s, %s is expected",
             p->now.kind == TOKEN_END ? "the expression ends here"
                                      : shown(p->now.text, word),
             wanted);
    return fail(p, p->now.at, what);
}

/* Take this sign or word if it is next. */
static bool take(struct parser *p, const char *word, bool *taken)
{
    *taken = expr_token_is(&p->now, word);
    return *taken ? advance(p) : true;
}

static bool expect(struct parser *p, const char *sign)
{
    char wanted[8];
    bool taken;
    snprintf(wanted, sizeof wanted, "'%s'", sign);
    if (!take(p, sign, &taken)) return false;
    return taken ? true : unexpected(p, wanted);
}

static bool emit(struct parser *p, enum expr_op op, size_t n_args, size_t arg, int net)
{
    return expr_build_code(&p->build, op, n_args, arg, net) ? true : fail_memory(p);
}

/* ---- types ---- */

static const char *type_name(enum expr_type t)
{
    return t == TYPE_NUMBER ? "a number" : "a string";
}

/* The part must be of a type: `who` says so. */
static bool need(struct parser *p, const struct expr_part *part, enum expr_type type,
                 const char *who)
{
    if (expr_build_bind(&p->build, part->type, type, part->at)) return true;
    size_t bound_at;
    enum expr_type has = expr_build_type(&p->build, part->type, &bound_at);
    char what[200], since[64] = "";
    if (bound_at != part->at)
        snprintf(since, sizeof since, ", by its use at column %zu",
                 column_of(p, bound_at));
    snprintf(what, sizeof what, "%s needs %s, this is %s%s", who, type_name(type),
             type_name(has), since);
    return fail(p, part->at, what);
}

/* Two parts must be of one type. */
static bool need_same(struct parser *p, const struct expr_part *a,
                      const struct expr_part *b, const char *who)
{
    if (expr_build_join(&p->build, a->type, b->type, b->at)) return true;
    char what[200];
    snprintf(what, sizeof what, "%s of %s and %s", who,
             type_name(expr_build_type(&p->build, a->type, NULL)),
             type_name(expr_build_type(&p->build, b->type, NULL)));
    return fail(p, b->at, what);
}

/* out is a part of this type that starts at `at`. */
static bool typed(struct parser *p, enum expr_type type, size_t at, struct expr_part *out)
{
    out->at = at;
    return expr_build_variable(&p->build, type, at, &out->type) ? true : fail_memory(p);
}

/* ---- names ---- */

static const char *find_known(const struct parser *p, struct text name)
{
    for (size_t i = 0; i < p->n_known; i++)
        if (raw_text_equal(raw_text_of(p->known[i]), name)) return p->known[i];
    return NULL;
}

static const struct function *find_function(struct text name)
{
    for (size_t i = 0; i < N_FUNCTIONS; i++)
        if (raw_text_equal(raw_text_of(functions[i].name), name)) return &functions[i];
    return NULL;
}

static bool hint_nearest(struct parser *p, struct text name, bool function_only)
{
    char word[65];
    const char *names[N_FUNCTIONS];
    if (name.n >= sizeof word) return false;
    memcpy(word, name.s, name.n);
    word[name.n] = '\0';
    for (size_t i = 0; i < N_FUNCTIONS; i++) names[i] = functions[i].name;
    const char *column = function_only ? NULL : nearest_word(word, p->known, p->n_known);
    const char *function = column ? NULL : nearest_word(word, names, N_FUNCTIONS);
    if (column) error_hint(p->err, p->status, "did you mean the column '%s'?", column);
    if (function)
        error_hint(p->err, p->status, "did you mean the function %s()?", function);
    return false;
}

static bool parse_column(struct parser *p, struct text name, size_t at,
                         struct expr_part *out)
{
    const char *kept = find_known(p, name);
    if (!kept && p->known) {
        char what[120], word[80];
        snprintf(what, sizeof what, "there is no column %s", shown(name, word));
        fail(p, at, what);
        return hint_nearest(p, name, false);
    }
    kept = arena_strndup(p->arena, name.s, name.n);
    size_t column;
    if (!kept || !expr_build_column(&p->build, kept, at, &column)) return fail_memory(p);
    *out = (struct expr_part){p->build.column_type[column], at};
    return emit(p, OP_COLUMN, 0, column, 1);
}

static bool parse_constant(struct parser *p, struct expr_cell c, enum expr_type type,
                           size_t at, struct expr_part *out)
{
    size_t index;
    if (!expr_build_constant(&p->build, c, &index)) return fail_memory(p);
    return typed(p, type, at, out) && emit(p, OP_CONST, 0, index, 1);
}

/* ---- calls ---- */

static bool parse_or(struct parser *p, struct expr_part *out);

/* Letter of argument i; NULL-safe over `*` and `?`. '\0': one too many. */
static char argument_kind(const char *args, size_t i)
{
    char last = '\0';
    for (size_t k = 0; *args; args++) {
        if (*args == '?') continue;
        if (*args == '*') return last;
        last = *args;
        if (k++ == i) return last;
    }
    return '\0';
}

static size_t least_arguments(const char *args)
{
    size_t n = 0;
    for (; *args && *args != '?'; args++) n += *args != '*';
    return n;
}

static bool wrong_arguments(struct parser *p, const struct function *f, size_t at)
{
    char what[120];
    size_t least = least_arguments(f->args);
    bool open = strchr(f->args, '*') != NULL, optional = strchr(f->args, '?') != NULL;
    snprintf(what, sizeof what, "%s() takes %s%zu%s argument%s", f->name,
             open ? "at least " : "", least, optional ? " or one more" : "",
             least == 1 && !optional ? "" : "s");
    return fail(p, at, what);
}

/* What the kind of an argument asks of its type. */
static bool check_argument(struct parser *p, const struct function *f, char kind,
                           const struct expr_part *part, struct expr_part *branch)
{
    char who[40];
    snprintf(who, sizeof who, "%s()", f->name);
    if (kind == 'n') return need(p, part, TYPE_NUMBER, who);
    if (kind == 's') return need(p, part, TYPE_STRING, who);
    /* A time is a number unless it is a string already. */
    if (kind == 't') (void)expr_build_bind(&p->build, part->type, TYPE_NUMBER, part->at);
    if (kind != 'v') return true; /* 'a': what stays open becomes a string */
    if (branch->at == SIZE_MAX) {
        *branch = *part;
        return true;
    }
    snprintf(who, sizeof who, "%s() has results", f->name);
    return need_same(p, branch, part, who);
}

/* Jumps of if() and coalesce() around argument i, before and behind it. */
struct branches {
    size_t jumps[EXPR_STACK]; /* instructions that jump to the end */
    size_t n;
    size_t to_else;
};

static void land(struct parser *p, size_t instr)
{
    p->build.code[instr].arg = (uint32_t)p->build.n_code;
}

static bool emit_jump(struct parser *p, enum expr_op op, int net, struct branches *b)
{
    b->jumps[b->n++] = p->build.n_code;
    return emit(p, op, 0, 0, net);
}

static bool between_arguments(struct parser *p, const struct function *f, size_t i,
                              struct branches *b)
{
    if (f->op == OP_COALESCE) return emit_jump(p, OP_TEST_COALESCE, -1, b);
    if (f->op != OP_IF) return true;
    if (i == 0) {
        if (!emit_jump(p, OP_TEST_MISSING, 0, b)) return false;
        b->to_else = p->build.n_code;
        return emit(p, OP_TEST_IF, 0, 0, -1);
    }
    if (i > 1) return true;
    if (!emit_jump(p, OP_JUMP, -1, b)) return false;
    land(p, b->to_else);
    return true;
}

static bool parse_arguments(struct parser *p, const struct function *f, size_t at,
                            struct branches *b, size_t *n, struct expr_part *branch)
{
    for (*n = 0;;) {
        struct expr_part part;
        char kind = argument_kind(f->args, *n);
        if (kind == '\0') return wrong_arguments(p, f, p->now.at);
        if (*n == EXPR_STACK - 1) return fail(p, p->now.at, "too many arguments");
        if (!parse_or(p, &part) || !check_argument(p, f, kind, &part, branch))
            return false;
        ++*n;
        bool comma;
        if (!take(p, ",", &comma)) return false;
        if (!comma) break;
        if (!between_arguments(p, f, *n - 1, b)) return false;
    }
    if (*n < least_arguments(f->args)) return wrong_arguments(p, f, at);
    return expect(p, ")");
}

static bool parse_call(struct parser *p, struct text name, size_t at,
                       struct expr_part *out)
{
    const struct function *f = find_function(name);
    if (!f) {
        char what[120], word[80];
        snprintf(what, sizeof what, "there is no function %s", shown(name, word));
        fail(p, at, what);
        return hint_nearest(p, name, true);
    }
    struct branches b = {.n = 0};
    struct expr_part branch = {.at = SIZE_MAX};
    size_t n;
    if (expr_token_is(&p->now, ")")) return wrong_arguments(p, f, at);
    if (!parse_arguments(p, f, at, &b, &n, &branch)) return false;
    for (size_t i = 0; i < b.n; i++) land(p, b.jumps[i]);
    if (f->op == OP_IF || f->op == OP_COALESCE) {
        *out = (struct expr_part){branch.type, at};
        return true;
    }
    return typed(p, f->result, at, out) && emit(p, f->op, n, 0, 1 - (int)n);
}

/* ---- operators ---- */

static bool enter(struct parser *p)
{
    if (++p->nesting <= EXPR_NESTING + 1) return true; /* the whole is no level */
    return fail(p, p->now.at, "nested too deeply: 64 levels are allowed");
}

static bool parse_word(struct parser *p, struct expr_part *out)
{
    struct expr_token t = p->now;
    static const char *const reserved[] = {"and", "or", "not", "in"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (expr_token_is(&t, reserved[i])) return unexpected(p, "a value");
    if (!advance(p)) return false;
    bool call = false;
    if (t.kind == TOKEN_NAME && !take(p, "(", &call)) return false;
    if (call) return parse_call(p, t.text, t.at, out);
    if (!find_known(p, t.text)) {
        if (expr_token_is(&t, "true") || expr_token_is(&t, "false"))
            return parse_constant(p, expr_cell_int(t.text.s[0] == 't'), TYPE_NUMBER, t.at,
                                  out);
        if (expr_token_is(&t, "missing"))
            return parse_constant(p, expr_cell_missing(), TYPE_OPEN, t.at, out);
    }
    return parse_column(p, t.text, t.at, out);
}

static bool parse_primary(struct parser *p, struct expr_part *out)
{
    struct expr_token t = p->now;
    bool open;
    switch (t.kind) {
    case TOKEN_NUMBER:
        return advance(p) &&
               parse_constant(p, expr_cell_of(&t.number), TYPE_NUMBER, t.at, out);
    case TOKEN_STRING:
        return advance(p) && parse_constant(p, expr_cell_string(t.text.s, t.text.n),
                                            TYPE_STRING, t.at, out);
    case TOKEN_NAME:
    case TOKEN_QUOTED:
        return parse_word(p, out);
    default:
        break;
    }
    if (!take(p, "(", &open)) return false;
    if (!open) return unexpected(p, "a value");
    return parse_or(p, out) && expect(p, ")");
}

static bool parse_unary(struct parser *p, struct expr_part *out)
{
    size_t at = p->now.at, n = 0;
    bool minus;
    for (;; n++) {
        if (!take(p, "-", &minus)) return false;
        if (!minus) break;
    }
    if (!parse_primary(p, out)) return false;
    if (n == 0) return true;
    if (!need(p, out, TYPE_NUMBER, "'-'")) return false;
    for (size_t i = 0; i < n; i++)
        if (!emit(p, OP_NEG, 1, 0, 0)) return false;
    return typed(p, TYPE_NUMBER, at, out);
}

struct operator_row {
    const char *sign;
    enum expr_op op;
};

/* The operator of the table that is next, or NULL. */
static bool take_operator(struct parser *p, const struct operator_row *rows,
                          const struct operator_row **out)
{
    for (; rows->sign; rows++) {
        if (!expr_token_is(&p->now, rows->sign)) continue;
        *out = rows;
        return advance(p);
    }
    *out = NULL;
    return true;
}

static bool parse_arithmetic(struct parser *p, struct expr_part *out,
                             const struct operator_row *rows,
                             bool (*operand)(struct parser *, struct expr_part *))
{
    if (!operand(p, out)) return false;
    for (;;) {
        const struct operator_row *row;
        struct expr_part right;
        char who[8];
        if (!take_operator(p, rows, &row)) return false;
        if (!row) return true;
        snprintf(who, sizeof who, "'%s'", row->sign);
        if (!need(p, out, TYPE_NUMBER, who) || !operand(p, &right)) return false;
        if (!need(p, &right, TYPE_NUMBER, who)) return false;
        if (!emit(p, row->op, 2, 0, -1) || !typed(p, TYPE_NUMBER, out->at, out))
            return false;
    }
}

static bool parse_product(struct parser *p, struct expr_part *out)
{
    static const struct operator_row rows[] = {
        {"*", OP_MUL}, {"/", OP_DIV}, {"%", OP_MOD}, {NULL, OP_MUL}};
    return parse_arithmetic(p, out, rows, parse_unary);
}

static bool parse_sum(struct parser *p, struct expr_part *out)
{
    static const struct operator_row rows[] = {
        {"+", OP_ADD}, {"-", OP_SUB}, {NULL, OP_ADD}};
    return parse_arithmetic(p, out, rows, parse_product);
}

/* One constant of a list, of the type of what is looked for. */
static bool parse_list_item(struct parser *p, const struct expr_part *left, uint32_t *n)
{
    bool minus;
    size_t at = p->now.at, index;
    if (!take(p, "-", &minus)) return false;
    struct expr_token t = p->now;
    if (t.kind != TOKEN_NUMBER && (t.kind != TOKEN_STRING || minus))
        return unexpected(p, "a number or a string in quotes");
    struct expr_part item;
    struct expr_cell c = t.kind == TOKEN_NUMBER ? expr_cell_of(&t.number)
                                                : expr_cell_string(t.text.s, t.text.n);
    if (minus && c.kind == VALUE_INT) c.u.i = -c.u.i;
    if (minus && c.kind == VALUE_FLOAT) c.u.f = -c.u.f;
    if (!typed(p, t.kind == TOKEN_NUMBER ? TYPE_NUMBER : TYPE_STRING, at, &item))
        return false;
    if (!need_same(p, left, &item, "'in' compares values")) return false;
    if (!expr_build_constant(&p->build, c, &index)) return fail_memory(p);
    ++*n;
    return advance(p);
}

static bool parse_list(struct parser *p, struct expr_part *left, enum expr_op op)
{
    struct expr_list list = {(uint32_t)p->build.n_constants, 0};
    size_t index;
    bool comma = true;
    if (!expect(p, "[")) return false;
    while (comma)
        if (!parse_list_item(p, left, &list.n) || !take(p, ",", &comma)) return false;
    if (!expect(p, "]")) return false;
    if (!expr_build_list(&p->build, list, &index)) return fail_memory(p);
    return emit(p, op, 1, index, 0) && typed(p, TYPE_NUMBER, left->at, left);
}

static bool parse_comparison(struct parser *p, struct expr_part *out)
{
    static const struct operator_row rows[] = {
        {"==", OP_EQUAL},      {"!=", OP_NOT_EQUAL},
        {"<=", OP_LESS_EQUAL}, {">=", OP_GREATER_EQUAL},
        {"<", OP_LESS},        {">", OP_GREATER},
        {"in", OP_IN},         {"not", OP_NOT_IN},
        {NULL, OP_EQUAL}};
    const struct operator_row *row, *again;
    struct expr_part right;
    if (!parse_sum(p, out) || !take_operator(p, rows, &row)) return false;
    if (!row) return true;
    if (row->op == OP_NOT_IN && !expect(p, "in")) return false;
    if (row->op == OP_IN || row->op == OP_NOT_IN) return parse_list(p, out, row->op);
    if (!parse_sum(p, &right) || !need_same(p, out, &right, "comparison")) return false;
    /* Order between columns of no known type is that of numbers. */
    if (row->op != OP_EQUAL && row->op != OP_NOT_EQUAL)
        (void)expr_build_bind(&p->build, out->type, TYPE_NUMBER, out->at);
    if (!emit(p, row->op, 2, 0, -1) || !typed(p, TYPE_NUMBER, out->at, out)) return false;
    size_t at = p->now.at;
    if (!take_operator(p, rows, &again)) return false;
    return again ? fail(p, at, "comparisons do not chain: write 'a < b and b < c'")
                 : true;
}

static bool parse_not(struct parser *p, struct expr_part *out)
{
    size_t at = p->now.at, n = 0;
    bool not ;
    for (;; n++) {
        if (!take(p, "not", &not )) return false;
        if (!not ) break;
    }
    if (!parse_comparison(p, out)) return false;
    if (n == 0) return true;
    if (!need(p, out, TYPE_NUMBER, "'not'")) return false;
    for (size_t i = 0; i < n; i++)
        if (!emit(p, OP_NOT, 1, 0, 0)) return false;
    return typed(p, TYPE_NUMBER, at, out);
}

/* a and b: TEST jumps behind the AND when a decides. */
static bool parse_logic(struct parser *p, struct expr_part *out, const char *word,
                        enum expr_op test, enum expr_op op,
                        bool (*operand)(struct parser *, struct expr_part *))
{
    char who[8];
    snprintf(who, sizeof who, "'%s'", word);
    if (!operand(p, out)) return false;
    for (;;) {
        bool taken;
        struct expr_part right;
        if (!take(p, word, &taken)) return false;
        if (!taken) return true;
        if (!need(p, out, TYPE_NUMBER, who)) return false;
        size_t jump = p->build.n_code;
        if (!emit(p, test, 0, 0, 0) || !operand(p, &right)) return false;
        if (!need(p, &right, TYPE_NUMBER, who) || !emit(p, op, 0, 0, -1)) return false;
        land(p, jump);
        if (!typed(p, TYPE_NUMBER, out->at, out)) return false;
    }
}

static bool parse_and(struct parser *p, struct expr_part *out)
{
    return parse_logic(p, out, "and", OP_TEST_AND, OP_AND, parse_not);
}

static bool parse_or(struct parser *p, struct expr_part *out)
{
    if (!enter(p) || !parse_logic(p, out, "or", OP_TEST_OR, OP_OR, parse_and))
        return false;
    p->nesting--;
    return true;
}

/* ---- the whole ---- */

static bool parse_all(struct parser *p, struct expr *e)
{
    struct text whole = {p->cfg->text, strlen(p->cfg->text)};
    struct expr_part part;
    if (find_known(p, whole)) {
        if (!parse_column(p, whole, 0, &part)) return false;
    } else {
        if (whole.n > EXPR_TEXT_MAX) return fail(p, EXPR_TEXT_MAX, "longer than 64 KiB");
        if (!advance(p) || !parse_or(p, &part)) return false;
        if (p->now.kind != TOKEN_END) return unexpected(p, "an operator or the end");
    }
    if (p->build.depth_max > EXPR_STACK)
        return fail(p, 0, "needs more than 256 values at once");
    e->is_column = p->build.n_code == 1 && p->build.code[0].op == OP_COLUMN;
    e->gives_string = expr_build_type(&p->build, part.type, NULL) != TYPE_NUMBER;
    return expr_build_finish(&p->build, e) ? true : fail_memory(p);
}

enum status expr_parse(const struct text_cfg *text, const char *const *known,
                       size_t n_known, struct expr **out, struct error *err)
{
    struct arena *arena;
    TRY(arena_create(&arena, err));
    struct expr *e = arena_take(arena, 1, sizeof *e);
    struct parser p = {.cfg = text,
                       .known = known,
                       .n_known = n_known,
                       .arena = arena,
                       .err = err,
                       .status = ST_OK};
    p.lexer =
        (struct expr_lexer){.text = text->text, .n = strlen(text->text), .arena = arena};
    bool ok = e != NULL;
    if (ok) {
        e->arena = arena;
        ok = parse_all(&p, e);
    } else {
        fail_memory(&p);
    }
    expr_build_close(&p.build);
    if (!ok) {
        arena_destroy(arena);
        return p.status;
    }
    *out = e;
    return ST_OK;
}

void expr_destroy(struct expr *e)
{
    if (e) arena_destroy(e->arena);
}

size_t expr_n_columns(const struct expr *e)
{
    return e->n_columns;
}

const char *expr_column(const struct expr *e, size_t i)
{
    return e->columns[i].name;
}

bool expr_column_is_string(const struct expr *e, size_t i)
{
    return e->columns[i].is_string;
}

bool expr_is_column(const struct expr *e)
{
    return e->is_column;
}

bool expr_gives_string(const struct expr *e)
{
    return e->gives_string;
}
