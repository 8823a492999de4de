#include "tests/unit/expr_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_COLUMNS = 64 };

static const char *find(const struct sample_column *columns, const char *name)
{
    for (; columns->name; columns++)
        if (strcmp(columns->name, name) == 0) return columns->text;
    fail_msg("column %s is read and not there", name);
    return NULL;
}

static const char *in_writing(const struct value *v, char *out, size_t size)
{
    char buf[32];
    if (v->kind == VALUE_MISSING) return "missing";
    struct text t = value_id_text(v, buf);
    const char *quote = v->kind == VALUE_STRING ? "'" : "";
    snprintf(out, size, "%s%.*s%s", quote, (int)t.n, t.s, quote);
    return out;
}

const char *expr_sample(const char *text, const struct sample_column *columns)
{
    static char out[1024];
    const char *known[MOST_COLUMNS];
    struct text inputs[MOST_COLUMNS];
    struct error err;
    size_t n = 0;
    for (; columns[n].name; n++) known[n] = columns[n].name;
    struct text_cfg cfg = {text, {"f.yaml", 3, 7}};
    struct expr *e;
    if (expr_parse(&cfg, known, n, &e, &err) != ST_OK) {
        snprintf(out, sizeof out, "%s", err.text);
        return out;
    }
    struct expr_scratch *scratch;
    assert_int_equal(expr_scratch_create(&scratch, &err), ST_OK);
    for (size_t i = 0; i < expr_n_columns(e); i++) {
        const char *t = find(columns, expr_column(e, i));
        inputs[i] = (struct text){t, t ? strlen(t) : 0};
    }
    struct value v;
    const char *result = out;
    if (expr_eval(e, inputs, scratch, &v, &err) == ST_OK)
        result = in_writing(&v, out, sizeof out);
    else
        snprintf(out, sizeof out, "%s", err.text);
    expr_scratch_destroy(scratch);
    expr_destroy(e);
    return result;
}
